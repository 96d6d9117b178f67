// SPDX-License-Identifier: GPL-2.0-or-later
/* `lodge qmp NAME COMMAND [KEY=VALUE]...`: one command; without a command a shell of such lines. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/map.h"
#include "cli/cli.h"
#include "cli/edit.h"
#include "cli/remote.h"
#include "control/qmp.h"
#include "control/qmp_manual.h"
#include "control/rundir.h"

/* A value is JSON where it is JSON, else a text: size=5, on=true, name=x, list=[1,2]. */
static void put_value(const char *text, struct str *out)
{
	AUTO(json_doc) doc = JSON_DOC_INIT;
	struct error err;

	if (*text && json_parse(&doc, text, strlen(text), &err))
		str_append(out, text);
	else
		json_quote(text, out);
}

/* Arguments may be dotted into objects, as qmp-shell's: backend.type=pty. They come in groups. */
static bool put_arguments(char **words, size_t n, size_t depth, struct str *out, struct error *err)
{
	const char *sep = "";

	str_append(out, "{");
	for (size_t i = 0; i < n; i++) {
		const char *key = words[i] + depth, *eq = strchr(key, '=');
		const char *dot = memchr(key, '.', eq ? (size_t)(eq - key) : strlen(key));
		AUTO_FREE char *name = strndup(key, (size_t)((dot ?: eq ?: key) - key));
		size_t len = name ? strlen(name) : 0, group = 1;

		if (!eq || !len)
			return error_usage(err, "'%s': KEY=VALUE is wanted", words[i]);
		str_append(out, sep);
		json_quote(name, out);
		str_append(out, ": ");
		sep = ", ";
		if (!dot) {
			put_value(eq + 1, out);
			continue;
		}
		while (i + group < n && !strncmp(words[i + group], words[i], depth + len + 1))
			group++;
		if (!put_arguments(words + i, group, depth + len + 1, out, err))
			return false;
		i += group - 1;
	}
	str_append(out, "}");
	return true;
}

static bool make_request(char **words, size_t n, struct str *out, struct error *err)
{
	str_append(out, "{\"execute\": ");
	json_quote(words[0], out);
	if (n > 1) {
		str_append(out, ", \"arguments\": ");
		if (!put_arguments(words + 1, n - 1, 0, out, err))
			return false;
	}
	str_append(out, "}");
	return !out->failed || error_set(err, "out of memory");
}

static int one_command(const char *name, char **words, size_t n)
{
	struct error err = ERROR_INIT;
	AUTO(remote) r = REMOTE_INIT;
	AUTO(str) request = STR_INIT;
	AUTO(str) reply = STR_INIT;
	AUTO(str) result = STR_INIT;

	if (!make_request(words, n, &request, &err) ||
		!remote_open(&r, name, RUNDIR_CONTROL, &err) ||
		!remote_ask(&r, str_cstr(&request), &reply, NULL, &err) ||
		!remote_result(&reply, &result, &err))
		return cli_fail(&err);
	printf("%s\n", str_cstr(&result));
	return EXIT_STATUS_OK;
}

/* -------- the shell -------- */

static void print_line(const char *line)
{
	printf("%s\n", line);
}

#define WORDS_MAX 64

static bool shell_line(struct remote *r, char *line, struct error *err)
{
	char *words[WORDS_MAX], *save = NULL;
	AUTO(str) request = STR_INIT;
	AUTO(str) reply = STR_INIT;
	size_t n = 0;

	line[strcspn(line, "\n")] = 0;
	if (line[strspn(line, " \t")] == '{') {
		str_append(&request, line);
	} else {
		for (char *w = strtok_r(line, " \t", &save); w && n < WORDS_MAX;
			w = strtok_r(NULL, " \t", &save))
			words[n++] = w;
		if (!n)
			return true;
		if (!make_request(words, n, &request, err)) {
			cli_fail(err);
			return true;
		}
	}
	if (!remote_ask(r, str_cstr(&request), &reply, print_line, err))
		return false;
	print_line(str_cstr(&reply));
	return true;
}

/* Show what comes by itself until there is something to be read. False: the VM is gone. */
static bool wait_input(struct remote *r, struct edit *e, struct error *err)
{
	struct pollfd p[2] = { { 0, POLLIN, 0 }, { r->fd, POLLIN, 0 } };
	AUTO(str) line = STR_INIT;

	for (;;) {
		while (remote_line(r, &line)) {
			if (e)
				edit_hide(e);
			print_line(str_cstr(&line));
		}
		fflush(stdout);
		if (e)
			edit_show(e);
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents && !remote_receive(r, err))
			return false;
		if (p[0].revents && !p[1].revents)
			return true;
	}
}

/* The commands; behind one, its arguments. */
static void candidates(const char *line, struct edit_words *out)
{
	const char *word = strrchr(line, ' ');
	AUTO_FREE char *name = strndup(line, strcspn(line, " "));
	const struct qmp_command *c = word && name ? qmp_command_find(name) : NULL;
	AUTO(str) text = STR_INIT;

	word = word ? word + 1 : line;
	for (const struct qmp_command *const *k = qmp_command_table; word == line && *k; k++) {
		str_clear(&text);
		str_appendf(&text, "%s ", (*k)->name);
		if (!strncmp((*k)->name, word, strlen(word)))
			edit_words_add(out, str_cstr(&text));
	}
	for (size_t i = 0; c && c->args && i < c->args->n_fields; i++) {
		const char *key = c->args->fields[i].name;

		str_clear(&text);
		str_appendf(&text, "%s=", key);
		if (*key && !strncmp(key, word, strlen(word)))
			edit_words_add(out, str_cstr(&text));
	}
}

static int shell_edited(struct remote *r, struct edit *e)
{
	struct error err = ERROR_INIT;

	fprintf(stderr, "COMMAND [KEY=VALUE]... or JSON; Tab completes; Ctrl-D ends\n");
	for (;;) {
		enum edit_result got;

		if (!wait_input(r, e, &err))
			return cli_fail(&err);
		got = edit_input(e);
		if (got == EDIT_END)
			return EXIT_STATUS_OK;
		if (got != EDIT_LINE)
			continue;
		if (e->line.len && !shell_line(r, e->line.s, &err))
			return cli_fail(&err);
		edit_next(e);
	}
}

static int shell_plain(struct remote *r)
{
	struct error err = ERROR_INIT;
	AUTO_FREE char *line = NULL;
	size_t cap = 0;

	setvbuf(stdin, NULL, _IONBF, 0); /* what poll() has not seen is in no buffer */
	for (;;) {
		if (!wait_input(r, NULL, &err))
			return cli_fail(&err);
		if (getline(&line, &cap, stdin) < 0)
			return EXIT_STATUS_OK;
		if (!shell_line(r, line, &err))
			return cli_fail(&err);
	}
}

static int shell(const char *name)
{
	struct error err = ERROR_INIT;
	AUTO(remote) r = REMOTE_INIT;
	struct edit e;
	int status;

	if (!remote_open(&r, name, RUNDIR_CONTROL, &err))
		return cli_fail(&err);
	if (edit_init(&e, "(qmp) ", candidates))
		status = shell_edited(&r, &e);
	else
		status = shell_plain(&r);
	edit_fini(&e);
	return status;
}

static int run(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--help")) {
		printf("usage: lodge qmp NAME [COMMAND [KEY=VALUE]...]\n\n"
		       "One command of QEMU's machine protocol, or a shell of them. A value is "
		       "JSON\n"
		       "where it is JSON, else a text; a key with dots goes into objects.\n"
		       "`lodge qmp --manual` prints all commands and events.\n");
		return EXIT_STATUS_OK;
	}
	if (argc == 2 && !strcmp(argv[1], "--manual")) {
		AUTO(str) manual = STR_INIT;

		qmp_manual(&manual);
		fputs(str_cstr(&manual), stdout);
		return EXIT_STATUS_OK;
	}
	if (argc < 2) {
		fprintf(stderr, "lodge: qmp wants a name (lodge ps lists the names)\n");
		return EXIT_STATUS_USAGE;
	}
	return argc > 2 ? one_command(argv[1], argv + 2, (size_t)argc - 2) : shell(argv[1]);
}

const struct command qmp_command_line = {
	.name = "qmp",
	.args = "NAME [COMMAND [KEY=VALUE]...]",
	.doc = "a command of the machine protocol, or a shell",
	.run = run,
};
