// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stdio - standard input and output, shared with whoever started us.
 *
 * 1. The terminal is raw while a VM runs and is always put back: by chardev_close(), at exit, and
 *    on signals that would end the process, unless somebody else handles those.
 * 2. O_NONBLOCK belongs to the open file, which the shell and other programs of a pipeline share.
 *    So terminals and pipes are opened anew through /proc for ourselves; sockets have MSG_DONTWAIT;
 *    files do not block. Only where opening anew fails is the flag set on the shared file, and put
 *    back like the terminal.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>
#include "chardev/chardev_int.h"

#define ESCAPE_CHAR 0x1d /* Ctrl-] */

static const int fatal_signals[] = {
	SIGSEGV,
	SIGBUS,
	SIGILL,
	SIGFPE,
	SIGABRT,
	SIGQUIT,
	SIGINT,
	SIGTERM,
	SIGHUP,
};

/* What has to be put back; read by the signal handler, so it is written before it is announced. */
static struct {
	_Atomic bool raw_on, flags_on[2];
	struct termios saved, raw;
	int flags[2];
} shared;

static struct chardev *owner; /* main thread; at most one */
static void (*escape_fn)(void *opaque);
static void *escape_opaque;

/* Somebody else has the terminal now; setting its modes would stop us (SIGTTOU). */
static bool in_background(void)
{
	pid_t foreground = tcgetpgrp(STDIN_FILENO);

	return foreground >= 0 && foreground != getpgrp();
}

/* Async-signal-safe. */
static void restore(void)
{
	if (atomic_exchange(&shared.raw_on, false) && !in_background())
		tcsetattr(STDIN_FILENO, TCSANOW, &shared.saved);
	for (int i = 0; i < 2; i++) {
		if (atomic_exchange(&shared.flags_on[i], false))
			fcntl(i, F_SETFL, shared.flags[i]);
	}
}

static void on_fatal(int sig)
{
	restore();
	/* SA_RESETHAND has put the default back: the signal now does what it is meant to. */
	raise(sig);
}

static void catch_fatal(void)
{
	static bool done;
	struct sigaction sa, old;

	if (done)
		return;
	done = true;
	atexit(restore);
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_fatal;
	sa.sa_flags = SA_RESETHAND | SA_NODEFER | SA_ONSTACK;
	for (size_t i = 0; i < ARRAY_SIZE(fatal_signals); i++) {
		if (!sigaction(fatal_signals[i], NULL, &old) && old.sa_handler == SIG_DFL)
			sigaction(fatal_signals[i], &sa, NULL);
	}
}

static bool terminal_raw(struct chardev *c, struct error *err)
{
	if (!isatty(STDIN_FILENO))
		return true;
	if (tcgetattr(STDIN_FILENO, &shared.saved) < 0)
		return error_set_errno(
			err, errno, "chardev '%s': cannot read terminal modes", c->id);
	shared.raw = shared.saved;
	shared.raw.c_iflag &= ~(
		tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	/* Output processing stays: our own messages share the terminal. */
	shared.raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
	shared.raw.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
	shared.raw.c_cflag |= CS8;
	shared.raw.c_cc[VMIN] = 1;
	shared.raw.c_cc[VTIME] = 0;
	catch_fatal();
	atomic_store(&shared.raw_on, true);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &shared.raw) < 0) {
		atomic_store(&shared.raw_on, false);
		return error_set_errno(
			err, errno, "chardev '%s': cannot set terminal modes", c->id);
	}
	return true;
}

void chardev_stdio_restore(void)
{
	restore();
}

void chardev_stdio_resume(void)
{
	if (atomic_load(&shared.raw_on) && !in_background())
		tcsetattr(STDIN_FILENO, TCSANOW, &shared.raw);
}

/* A descriptor of our own for standard descriptor @std (0 or 1), never blocking; -1: it is closed. */
static int open_anew(int std, bool *sock)
{
	const char *path = std ? "/proc/self/fd/1" : "/proc/self/fd/0";
	struct stat st;
	int fd = -1;

	if (fstat(std, &st) < 0)
		return -1;
	*sock = S_ISSOCK(st.st_mode);
	if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode))
		fd = open(path, (std ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (!*sock && !S_ISREG(st.st_mode)) {
		shared.flags[std] = fcntl(std, F_GETFL);
		if (shared.flags[std] >= 0 && !(shared.flags[std] & O_NONBLOCK)) {
			catch_fatal();
			atomic_store(&shared.flags_on[std], true);
			fcntl(std, F_SETFL, shared.flags[std] | O_NONBLOCK);
		}
	}
	return fcntl(std, F_DUPFD_CLOEXEC, 3);
}

/* The two descriptors, kept for closing: the generic part forgets them when they fail. */
struct stdio {
	int in, out;
};

static bool stdio_open(struct chardev *c, const char *arg, struct error *err)
{
	struct stdio *s;

	if (arg)
		return error_usage(err, "chardev '%s': stdio takes no argument", c->id);
	if (owner)
		return error_usage(
			err, "chardev '%s': stdio is already used by '%s'", c->id, owner->id);
	s = malloc(sizeof(*s));
	if (!s)
		return error_set(err, "chardev '%s': out of memory", c->id);
	if (!terminal_raw(c, err)) {
		free(s);
		return false;
	}
	c->filename = strdup("stdio");
	c->data = s;
	c->in_fd = s->in = open_anew(STDIN_FILENO, &c->in_sock);
	c->out_fd = s->out = open_anew(STDOUT_FILENO, &c->out_sock);
	atomic_store(&c->open, true);
	owner = c;
	return true;
}

static void stdio_close(struct chardev *c)
{
	struct stdio *s = c->data;

	restore();
	if (s->in >= 0)
		close(s->in);
	if (s->out >= 0)
		close(s->out);
	free(s);
	owner = NULL;
}

static size_t stdio_filter(struct chardev *c, uint8_t *p, size_t n)
{
	size_t left = 0;

	if (!escape_fn || !atomic_load(&shared.raw_on))
		return n;
	for (size_t i = 0; i < n; i++) {
		if (p[i] == ESCAPE_CHAR)
			escape_fn(escape_opaque);
		else
			p[left++] = p[i];
	}
	return left;
}

void chardev_stdio_set_escape(void (*escape)(void *opaque), void *opaque)
{
	escape_fn = escape;
	escape_opaque = opaque;
}

const struct chardev_kind chardev_stdio = {
	.name = "stdio",
	.open = stdio_open,
	.close = stdio_close,
	.filter = stdio_filter,
};
