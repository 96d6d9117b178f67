// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/edit.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define KEY(c) ((c)&0x1f) /* with Ctrl */
#define ESC    0x1b
#define DEL    0x7f

static const char *text(const struct edit *e)
{
	return e->line.s ?: "";
}

void edit_words_add(struct edit_words *w, const char *word)
{
	char *copy = strdup(word);

	if (copy && !vec_push(&w->words, copy))
		free(copy);
}

static void words_fini(struct edit_words *w)
{
	char **word;

	vec_for_each (word, &w->words)
		free(*word);
	vec_fini(&w->words);
}

bool edit_init(struct edit *e, const char *prompt,
	void (*complete)(const char *line, struct edit_words *out))
{
	*e = (struct edit){
		.prompt = prompt, .complete = complete, .line = STR_INIT, .fresh = STR_INIT
	};
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !tcgetattr(STDIN_FILENO, &e->saved);
}

void edit_fini(struct edit *e)
{
	char **line;

	edit_hide(e);
	str_fini(&e->line);
	str_fini(&e->fresh);
	vec_for_each (line, &e->history)
		free(*line);
	vec_fini(&e->history);
}

/* -------- the screen -------- */

static size_t columns(void)
{
	struct winsize w;

	return !ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_col > 20 ? w.ws_col : 80;
}

/* One line of the screen: of a longer one what is around the cursor. */
static void draw(struct edit *e)
{
	size_t room = columns() - strlen(e->prompt) - 1;
	size_t from = e->at > room ? e->at - room : 0;
	size_t n = e->line.len - from < room ? e->line.len - from : room;

	printf("\r%s%.*s\033[K", e->prompt, (int)n, text(e) + from);
	if (from + n > e->at)
		printf("\033[%zuD", from + n - e->at);
	fflush(stdout);
}

void edit_show(struct edit *e)
{
	struct termios raw = e->saved;

	if (e->shown)
		return;
	raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG | IEXTEN);
	raw.c_iflag &= ~(tcflag_t)ICRNL;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	e->shown = true;
	draw(e);
}

void edit_hide(struct edit *e)
{
	if (!e->shown)
		return;
	printf("\r\033[K");
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &e->saved);
	e->shown = false;
}

/* Leave what is shown on the screen. */
static void leave(struct edit *e)
{
	e->at = e->line.len;
	draw(e);
	printf("\n");
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &e->saved);
	e->shown = false;
}

/* -------- the line -------- */

static void set_line(struct edit *e, const char *to)
{
	str_clear(&e->line);
	str_append(&e->line, to);
	e->at = e->line.len;
}

static void insert(struct edit *e, const char *p, size_t n)
{
	AUTO(str) tail = STR_INIT;

	if (e->line.len + n > EDIT_LINE_MAX)
		return;
	str_append(&tail, text(e) + e->at);
	e->line.len = e->at;
	str_append_mem(&e->line, p, n);
	str_append_mem(&e->line, str_cstr(&tail), tail.len);
	e->at += n;
}

static bool in_character(const struct edit *e, size_t at)
{
	return at > 0 && at < e->line.len && (text(e)[at] & 0xc0) == 0x80;
}

static size_t left_of(const struct edit *e)
{
	size_t at = e->at ? e->at - 1 : 0;

	while (in_character(e, at))
		at--;
	return at;
}

static size_t right_of(const struct edit *e)
{
	size_t at = e->at < e->line.len ? e->at + 1 : e->at;

	while (in_character(e, at))
		at++;
	return at;
}

static void erase(struct edit *e, size_t from, size_t to)
{
	if (from == to)
		return;
	memmove(e->line.s + from, e->line.s + to, e->line.len - to + 1);
	e->line.len -= to - from;
	e->at = from;
}

static size_t word_left(const struct edit *e)
{
	size_t at = e->at;

	while (at && text(e)[at - 1] == ' ')
		at--;
	while (at && text(e)[at - 1] != ' ')
		at--;
	return at;
}

/* -------- history -------- */

static void remember(struct edit *e)
{
	size_t n = e->history.len;
	char *copy;

	if (!e->line.len || (n && !strcmp(e->history.data[n - 1], text(e))))
		return;
	copy = strdup(text(e));
	if (copy && !vec_push(&e->history, copy))
		free(copy);
	if (e->history.len > EDIT_HISTORY) {
		free(e->history.data[0]);
		vec_remove(&e->history, 0);
	}
}

static void go_back(struct edit *e, size_t back)
{
	if (back > e->history.len)
		return;
	if (!e->back) {
		str_clear(&e->fresh);
		str_append(&e->fresh, text(e));
	}
	e->back = back;
	set_line(e, back ? e->history.data[e->history.len - back] : str_cstr(&e->fresh));
}

/* -------- completion -------- */

static void list_words(struct edit *e, const struct edit_words *w)
{
	size_t at = e->at, used = 0;
	char *const *word;

	e->at = e->line.len;
	draw(e);
	e->at = at;
	vec_for_each (word, &w->words) {
		size_t n = strlen(*word) + 2;

		printf("%s%s  ", !used || used + n > columns() ? "\n" : "", *word);
		used = !used || used + n > columns() ? n : used + n;
	}
	printf("\n");
}

static size_t common(const struct edit_words *w)
{
	size_t n = strlen(w->words.data[0]);

	for (size_t i = 1; i < w->words.len; i++) {
		size_t k = 0;

		while (k < n && w->words.data[i][k] == w->words.data[0][k])
			k++;
		n = k;
	}
	return n;
}

static void complete(struct edit *e)
{
	AUTO(str) head = STR_INIT;
	struct edit_words w = { .words = { 0 } };
	const char *word;
	size_t have, n;

	str_append_mem(&head, text(e), e->at);
	e->complete(str_cstr(&head), &w);
	word = strrchr(str_cstr(&head), ' ');
	have = strlen(word ? word + 1 : str_cstr(&head));
	n = w.words.len ? common(&w) : 0;
	if (n > have)
		insert(e, w.words.data[0] + have, n - have);
	else if (w.words.len > 1)
		list_words(e, &w);
	words_fini(&w);
}

/* -------- keys -------- */

static void key_in_escape(struct edit *e, unsigned char c)
{
	if (e->escape == 1) {
		e->escape = c == '[' || c == 'O' ? 2 : 0;
		e->number = 0;
		return;
	}
	if (c >= '0' && c <= '9') {
		e->number = (e->number * 10 + (c - '0')) % 1000;
		return;
	}
	e->escape = c == ';' ? 2 : 0;
	if (c == 'A')
		go_back(e, e->back + 1);
	else if (c == 'B' && e->back)
		go_back(e, e->back - 1);
	else if (c == 'C')
		e->at = right_of(e);
	else if (c == 'D')
		e->at = left_of(e);
	else if (c == 'H' || (c == '~' && (e->number == 1 || e->number == 7)))
		e->at = 0;
	else if (c == 'F' || (c == '~' && (e->number == 4 || e->number == 8)))
		e->at = e->line.len;
	else if (c == '~' && e->number == 3)
		erase(e, e->at, right_of(e));
}

static void key_in_line(struct edit *e, unsigned char c)
{
	if (c == ESC)
		e->escape = 1;
	else if (c == KEY('A'))
		e->at = 0;
	else if (c == KEY('E'))
		e->at = e->line.len;
	else if (c == KEY('B'))
		e->at = left_of(e);
	else if (c == KEY('F'))
		e->at = right_of(e);
	else if (c == KEY('P'))
		go_back(e, e->back + 1);
	else if (c == KEY('N') && e->back)
		go_back(e, e->back - 1);
	else if (c == DEL || c == KEY('H'))
		erase(e, left_of(e), e->at);
	else if (c == KEY('D'))
		erase(e, e->at, right_of(e));
	else if (c == KEY('K'))
		erase(e, e->at, e->line.len);
	else if (c == KEY('U'))
		erase(e, 0, e->at);
	else if (c == KEY('W'))
		erase(e, word_left(e), e->at);
	else if (c == KEY('L'))
		printf("\033[H\033[2J");
	else if (c == '\t')
		complete(e);
	else if (c >= ' ')
		insert(e, (const char *)&c, 1);
}

enum edit_result edit_input(struct edit *e)
{
	unsigned char c;
	ssize_t n = read(STDIN_FILENO, &c, 1);

	if (n <= 0 || (c == KEY('D') && !e->line.len && !e->escape)) {
		edit_hide(e);
		return EDIT_END;
	}
	if (e->escape) {
		key_in_escape(e, c);
	} else if (c == '\r' || c == '\n') {
		leave(e);
		remember(e);
		return EDIT_LINE;
	} else if (c == KEY('C')) {
		leave(e);
		edit_next(e);
		edit_show(e);
		return EDIT_MORE;
	} else {
		key_in_line(e, c);
	}
	draw(e);
	return EDIT_MORE;
}

void edit_next(struct edit *e)
{
	set_line(e, "");
	e->back = 0;
}
