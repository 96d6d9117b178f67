// SPDX-License-Identifier: GPL-2.0-or-later
/* `lodge console NAME`: the terminal becomes the VM's first serial port; Ctrl-] leaves. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include "base/json.h"
#include "base/sock_file.h"
#include "base/types.h"
#include "cli/cli.h"
#include "cli/remote.h"
#include "control/rundir.h"

#define ESCAPE 0x1d

static bool find_port(struct remote *r, struct str *filename, struct error *err)
{
	AUTO(str) list = STR_INIT;
	AUTO(json_doc) doc = JSON_DOC_INIT;
	const struct json_token *t, *end;

	if (!remote_command(r, "query-chardev", &list, err) ||
		!json_parse(&doc, str_cstr(&list), list.len, err))
		return false;
	end = doc.tokens + doc.tokens->next;
	for (t = doc.tokens + 1; t < end; t = doc.tokens + t->next) {
		const struct json_token *label = t->type == JSON_OBJECT
							 ? json_member(&doc, t, "label")
							 : NULL;
		const struct json_token *file = label ? json_member(&doc, t, "filename") : NULL;

		if (!file || !json_text_is(&doc, label, "serial0"))
			continue;
		json_text(&doc, file, filename);
		return true;
	}
	return error_set(err, "it has no serial port");
}

/* A descriptor to talk to what query-chardev calls @name. */
static int open_port(const char *name, struct error *err)
{
	static const char tail[] = ",server=on";
	const char *path = name;
	int fd;

	if (str_has_prefix(name, "pty:", &path)) {
		fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (fd < 0)
			error_set_errno(err, errno, "'%s'", path);
		return fd;
	}
	str_has_prefix(name, "disconnected:", &path);
	if (str_has_prefix(path, "unix:", &path) && strlen(path) > strlen(tail) &&
		!strcmp(path + strlen(path) - strlen(tail), tail)) {
		AUTO_FREE char *file = strndup(path, strlen(path) - strlen(tail));

		fd = file ? sock_connect(file, 0) : -ENOMEM;
		if (fd < 0)
			error_set_errno(err, fd, "'%s'", path);
		return fd;
	}
	error_set(err, "its serial port is '%s': give it --serial pty, or unix:PATH,server", name);
	return -1;
}

static bool copy(int from, int to, bool *escaped)
{
	char buf[4096];
	ssize_t n = read(from, buf, sizeof(buf));
	char *esc = n > 0 && escaped ? memchr(buf, ESCAPE, (size_t)n) : NULL;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0)
		return false;
	if (esc) {
		*escaped = true;
		n = esc - buf;
	}
	for (ssize_t done = 0, w; done < n; done += w) {
		w = write(to, buf + done, (size_t)(n - done));
		if (w < 0 && errno != EINTR)
			return false;
		w = MAX(w, 0);
	}
	return true;
}

/* Until Ctrl-], or the VM has gone. Input that ends (a pipe) leaves the output going for a moment. */
static void relay(int fd)
{
	struct pollfd p[2] = { { STDIN_FILENO, POLLIN, 0 }, { fd, POLLIN, 0 } };
	bool escaped = false;

	while (!escaped) {
		int n = poll(p, 2, p[0].fd < 0 ? 1000 : -1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		if (p[1].revents && !copy(fd, STDOUT_FILENO, NULL))
			return;
		if (p[0].revents && !copy(STDIN_FILENO, fd, &escaped))
			p[0].fd = -1;
	}
}

static int attach(const char *name)
{
	struct error err = ERROR_INIT;
	AUTO(remote) r = REMOTE_INIT;
	AUTO(str) filename = STR_INIT;
	struct termios old, raw;
	bool tty = tcgetattr(STDIN_FILENO, &old) == 0;
	AUTO_FD int fd = -1;

	if (!remote_open(&r, name, RUNDIR_MONITOR, &err))
		return cli_fail(&err);
	if (!find_port(&r, &filename, &err) || (fd = open_port(str_cstr(&filename), &err)) < 0) {
		error_prefix(&err, "virtual machine '%s'", name);
		return cli_fail(&err);
	}
	if (tty) {
		fprintf(stderr, "lodge: the console of '%s'; Ctrl-] leaves\n", name);
		raw = old;
		cfmakeraw(&raw);
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	relay(fd);
	if (tty) {
		tcsetattr(STDIN_FILENO, TCSADRAIN, &old);
		fprintf(stderr, "\n");
	}
	return EXIT_STATUS_OK;
}

static int run(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--help")) {
		printf("usage: lodge console NAME\n");
		return EXIT_STATUS_OK;
	}
	if (argc != 2) {
		fprintf(stderr, "lodge: console wants one name (lodge ps lists the names)\n");
		return EXIT_STATUS_USAGE;
	}
	return attach(argv[1]);
}

const struct command console_command = {
	.name = "console",
	.args = "NAME",
	.doc = "the VM's first serial port; Ctrl-] leaves",
	.run = run,
};
