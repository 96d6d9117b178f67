// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qmp_frame - finds the end of each JSON value in a stream. Only brackets and strings are looked at:
 * whether it is JSON the parser says, on the whole text. Every byte is seen once, so a peer that
 * sends a request byte by byte costs no more than one that sends it whole.
 *
 * After something that cannot be the beginning of a value the rest of the line is skipped: one error
 * for one mistake, and no guess where the next request begins.
 */
#include "control/qmp_int.h"

#include <string.h>

bool frame_empty(const struct frame *f)
{
	return !f->text.len && !f->skip;
}

void frame_reset(struct frame *f)
{
	struct str text = f->text;

	str_clear(&text);
	text.failed = false;
	*f = (struct frame){ .text = text };
}

void frame_fini(struct frame *f)
{
	str_fini(&f->text);
	frame_reset(f);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static enum frame_result bad(struct frame *f, const char *what)
{
	frame_reset(f);
	f->what = what;
	f->skip = true;
	return FRAME_BAD;
}

static enum frame_result whole(struct frame *f)
{
	f->scalar = false;
	if (f->text.failed)
		return bad(f, "out of memory");
	return FRAME_WHOLE;
}

/* A byte inside a string. What QEMU takes beyond JSON (single quotes, \') becomes JSON's. */
static enum frame_result in_string(struct frame *f, char c)
{
	if ((unsigned char)c < 0x20)
		return bad(f, "a control character in a string");
	if (f->escaped) {
		f->escaped = false;
		if (c != '\'')
			str_append_char(&f->text, '\\');
		str_append_char(&f->text, c);
		return FRAME_MORE;
	}
	if (c == '\\') {
		f->escaped = true; /* appended with what follows */
		return FRAME_MORE;
	}
	if (c == f->quote) {
		f->quote = 0;
		str_append_char(&f->text, '"');
		return f->depth ? FRAME_MORE : whole(f);
	}
	if (c == '"')
		str_append_char(&f->text, '\\');
	str_append_char(&f->text, c);
	return FRAME_MORE;
}

static enum frame_result open_bracket(struct frame *f, char c)
{
	if (f->depth == JSON_DEPTH_MAX)
		return bad(f, "nested too deeply");
	f->objects = f->objects << 1 | (c == '{');
	f->depth++;
	str_append_char(&f->text, c);
	return FRAME_MORE;
}

static enum frame_result close_bracket(struct frame *f, char c)
{
	if (!f->depth || (f->objects & 1) != (c == '}'))
		return bad(f, c == '}' ? "a '}' too many" : "a ']' too many");
	f->objects >>= 1;
	str_append_char(&f->text, c);
	return --f->depth ? FRAME_MORE : whole(f);
}

/* A byte outside strings. *@again: it does not belong to the value that ended before it. */
static enum frame_result outside(struct frame *f, char c, bool *again)
{
	bool blank = is_blank(c);

	if (f->scalar && (blank || strchr("{}[],:\"'", c))) {
		*again = !blank;
		return whole(f);
	}
	if (blank) {
		if (f->text.len)
			str_append_char(&f->text, ' ');
		return FRAME_MORE;
	}
	if ((unsigned char)c < 0x20 || (unsigned char)c >= 0x7f)
		return bad(f, "a stray byte");
	if (c == '{' || c == '[')
		return open_bracket(f, c);
	if (c == '}' || c == ']')
		return close_bracket(f, c);
	if (!f->depth && (c == ',' || c == ':'))
		return bad(f, "a value is wanted");
	if (c == '"' || c == '\'')
		f->quote = c;
	else if (!f->depth)
		f->scalar = true;
	str_append_char(&f->text, f->quote ? '"' : c);
	return FRAME_MORE;
}

size_t frame_take(struct frame *f, const char *p, size_t n, enum frame_result *out)
{
	size_t i = 0;

	*out = FRAME_MORE;
	if (f->text.len == 0)
		f->text.failed = false;
	while (i < n && *out == FRAME_MORE) {
		char c = p[i++];
		bool again = false;

		if (f->skip) {
			f->skip = c != '\n';
			continue;
		}
		*out = f->quote ? in_string(f, c) : outside(f, c, &again);
		i -= again;
		if (*out == FRAME_BAD)
			f->skip = c != '\n';
		if (*out == FRAME_MORE && f->text.len > JSON_TEXT_MAX)
			*out = bad(f, "the request is longer than 1 MiB");
	}
	return i;
}
