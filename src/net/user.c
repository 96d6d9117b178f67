// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user - a network behind the host's own sockets (NAT by libslirp), which needs no privileges. TCP/IP code
 * that reads a guest's frames is not for this process: it runs in lodge-net-user, a helper that has put
 * everything but sockets away from itself (helper/confine.c). Two sockets join us: frames, one a message with
 * its virtio header; and control, where we ask in words and get `ok` or the reason.
 *
 * The helper ends when its control socket does. When it ends before us, the guest sees the link go down.
 *
 * A confined process starts no helpers. For networks that QMP is to make later some can wait, confined
 * themselves, from the start on (net_user_prepare()). Such a one is used up by the first guest: when its network goes
 * before a NIC was there, or was not made after all, it waits again.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/types.h"
#include "config.h"
#include "net/helper/protocol.h"
#include "net/net_int.h"

#define HELPER	       "lodge-net-user"
#define ANSWER_WAIT_MS 5000
#define DATA_BUFFER    (4 << 20)
#define STALE_MAX      16

struct user {
	int data; /* owned, until the network has it; -1 */
	int ctl;  /* owned; main, and set_offloads on the home loop: a message is one send(2) */
	pid_t pid;
	int pidfd;   /* owned; kill(2) might reach others and is closed to a confined process; -1 */
	bool waited; /* it is one of net_user_prepare()'s */
	bool used; /* a NIC was attached: written on the home loop, read when that has been detached */
};

static struct user *spare[NET_USER_SPARE_MAX]; /* main's; helpers that nobody has yet, from 0 on */
static unsigned int n_spare;

/* -------- asking -------- */

/* Wait for a message; how long it is, or -1. */
static ssize_t receive(struct user *u, char *text, size_t size, struct error *err)
{
	struct pollfd p = { .fd = u->ctl, .events = POLLIN };
	ssize_t n = -1;

	if (poll(&p, 1, ANSWER_WAIT_MS) != 1)
		error_set(err, "%s does not answer", HELPER);
	else if ((n = recv(u->ctl, text, size, MSG_DONTWAIT)) <= 0)
		error_set(err, "%s has ended", HELPER);
	return n > 0 ? n : -1;
}

/* Wait for an answer: true for `ok`. */
static bool answer(struct user *u, struct error *err)
{
	char text[NET_USER_TEXT_MAX + 1];
	ssize_t n = receive(u, text, sizeof(text) - 1, err);

	if (n < 0)
		return false;
	text[n] = 0;
	if (!strcmp(text, "ok"))
		return true;
	error_set(err, "%s", strlen(text) > 2 ? text + 2 : "it says nothing");
	if (text[0] == '0' + ERROR_USAGE)
		err->kind = ERROR_USAGE;
	else if (text[0] == '0' + ERROR_NOT_FOUND)
		err->kind = ERROR_NOT_FOUND;
	return false;
}

/* Answers that came too late, or that nobody asked for, must not be taken for the next one. */
static void forget_answers(struct user *u)
{
	char text[NET_USER_TEXT_MAX];

	for (int i = 0; i < STALE_MAX; i++) {
		if (recv(u->ctl, text, sizeof(text), MSG_DONTWAIT) <= 0)
			break;
	}
}

static bool ask_bytes(struct user *u, const char *text, size_t len, struct error *err)
{
	forget_answers(u);
	/* A helper that reads nothing any more must not hold us. */
	return send(u->ctl, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 ||
	       error_set_errno(err, errno, "%s does not listen", HELPER);
}

static bool ask(struct user *u, const char *text, struct error *err)
{
	return ask_bytes(u, text, strlen(text), err);
}

static bool user_forward(struct net_dev *d, const char *spec, bool add, struct error *err)
{
	struct user *u = d->data;
	/* A running machine must not wait for a port. */
	const char *word = !add ? "unforward" : d->connected ? "forward-now" : "forward";
	AUTO_FREE char *text = str_printf("%s %s", word, spec);

	if (!text || strlen(text) > NET_USER_TEXT_MAX)
		return error_usage(err, "bad forward '%.40s...': too long", spec);
	return ask(u, text, err) && answer(u, err);
}

static bool user_describe(struct net_dev *d, struct str *out, struct error *err)
{
	AUTO_FREE char *text = malloc(NET_USER_DESCRIPTION_MAX);
	struct user *u = d->data;
	ssize_t n;

	if (!text)
		return error_set(err, "out of memory");
	if (!ask(u, "describe", err))
		return false;
	n = receive(u, text, NET_USER_DESCRIPTION_MAX, err);
	if (n < 0)
		return false;
	str_append_mem(out, text, (size_t)n);
	return true;
}

static void user_set_offloads(struct net_dev *d, unsigned int offloads)
{
	struct user *u = d->data;
	char text[32];

	snprintf(text, sizeof(text), "offloads %u", offloads);
	if (send(u->ctl, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("net", "%s: offloads: %s", d->id, strerror(errno));
}

/* -------- starting -------- */

/* Beside our own program, or where it was installed to. NULL: nowhere. */
static char *find_helper(void)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash, *path;

	self[MAX(n, 0)] = 0;
	slash = strrchr(self, '/');
	if (slash) {
		path = str_printf("%.*s/%s", (int)(slash - self), self, HELPER);
		if (path && !access(path, X_OK))
			return path;
		free(path);
	}
	path = str_printf("%s/%s", LODGE_LIBEXECDIR, HELPER);
	if (path && !access(path, X_OK))
		return path;
	free(path);
	return NULL;
}

static bool spawn(
	struct user *u, const char *path, char **argv, int data, int ctl, struct error *err)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none;
	int r;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	/* Not the terminal's any more: Ctrl-C is a question to the guest, not the network's end. */
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attr, &none);
	r = posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0)
		    ?: posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0)
		    ?: posix_spawn_file_actions_adddup2(&fa, data, NET_USER_DATA_FD)
		    ?: posix_spawn_file_actions_adddup2(&fa, ctl, NET_USER_CTL_FD);
	/* A process that goes to the background says so of its stderr: who waits for its end must not
	 * wait for us. */
	if (!r && fcntl(STDERR_FILENO, F_GETFD) & FD_CLOEXEC)
		r = posix_spawn_file_actions_addopen(&fa, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (!r)
		r = posix_spawn(&u->pid, path, &fa, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&attr);
	if (!r) {
		u->pidfd = (int)syscall(SYS_pidfd_open, u->pid, 0);
		return true;
	}
	u->pid = 0;
	return error_set_errno(err, r, "cannot start '%s'", path);
}

/* A pair of which the second end is the helper's, above the numbers that it will have there. */
static bool make_pair(int fd[2], struct error *err)
{
	int size = DATA_BUFFER, high;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
		return error_set_errno(err, errno, "socketpair");
	high = fcntl(fd[1], F_DUPFD_CLOEXEC, 16);
	if (high < 0)
		return error_set_errno(err, errno, "descriptors");
	close(fd[1]);
	fd[1] = high;
	for (int i = 0; i < 2; i++) {
		if (setsockopt(fd[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
			setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	}
	return true;
}

static void user_free(struct user *u)
{
	if (!u)
		return;
	if (u->data >= 0)
		close(u->data);
	if (u->ctl >= 0)
		close(u->ctl);
	if (u->pid) { /* it would end by itself, but perhaps not at once */
		(void)!syscall(SYS_pidfd_send_signal, u->pidfd, SIGKILL, NULL, 0);
		waitpid(u->pid, NULL, 0);
		if (u->pidfd >= 0)
			close(u->pidfd);
	}
	free(u);
}

/* A helper that has confined itself, and waits to be told what network it is; or NULL. */
static struct user *start_helper(struct error *err)
{
	AUTO_FREE char *path = find_helper();
	char *argv[] = { (char *)(uintptr_t)HELPER, (char *)(uintptr_t)NET_USER_ARGUMENT, NULL };
	int data[2] = { -1, -1 }, ctl[2] = { -1, -1 };
	struct user *u;
	bool ok;

	if (!path) {
		error_set(err,
			"'user' needs the program %s beside lodge or in %s: build with libslirp "
			"(Debian: libslirp-dev; meson setup -Dslirp=enabled)",
			HELPER, LODGE_LIBEXECDIR);
		return NULL;
	}
	u = malloc(sizeof(*u));
	if (!u) {
		error_set(err, "out of memory");
		return NULL;
	}
	*u = (struct user){ .data = -1, .ctl = -1, .pidfd = -1 };
	ok = make_pair(data, err) && make_pair(ctl, err) &&
	     spawn(u, path, argv, data[1], ctl[1], err);
	u->data = data[0];
	u->ctl = ctl[0];
	if (data[1] >= 0)
		close(data[1]);
	if (ctl[1] >= 0)
		close(ctl[1]);
	if (ok && answer(u, err))
		return u;
	user_free(u);
	return NULL;
}

bool net_user_prepare(unsigned int n, struct error *err)
{
	while (n_spare < MIN(n, NET_USER_SPARE_MAX)) {
		spare[n_spare] = start_helper(err);
		if (!spare[n_spare])
			return false;
		spare[n_spare++]->waited = true;
	}
	return true;
}

void net_user_forget(void)
{
	while (n_spare)
		user_free(spare[--n_spare]);
}

static struct user *take_helper(struct error *err)
{
	if (!thread_is_confined())
		return start_helper(err);
	if (n_spare)
		return spare[--n_spare];
	error_set(err, "its frames are a process's of its own, which a confined machine cannot "
		       "start: give it at the start, or have processes wait (--sandbox "
		       "on,user-networks=N), or --sandbox off");
	return NULL;
}

/* What the network is to be. */
static bool tell(struct user *u, const struct net_user_config *c, struct error *err)
{
	const struct {
		const char *key, *value;
	} option[] = { { "net", c->net }, { "net6", c->net6 }, { "host", c->host },
		{ "host6", c->host6 }, { "dhcpstart", c->dhcpstart }, { "dns", c->dns },
		{ "dns6", c->dns6 }, { "hostname", c->hostname }, { "domain", c->domain },
		{ "restrict", c->restricted ? "on" : "off" }, { "ipv4", c->ipv4 ? "on" : "off" },
		{ "ipv6", c->ipv6 ? "on" : "off" } };
	AUTO(str) s = STR_INIT;

	str_append_mem(&s, "start", sizeof("start"));
	for (size_t i = 0; i < ARRAY_SIZE(option); i++) {
		str_appendf(&s, "%s=%s", option[i].key, option[i].value ?: "");
		str_append_char(&s, 0);
	}
	str_append(&s, "dnssearch=");
	for (size_t i = 0; i < c->search.len; i++)
		str_appendf(&s, "%s%s", i ? " " : "", c->search.items[i]);
	str_append_char(&s, 0);
	if (s.failed)
		return error_set(err, "out of memory");
	if (s.len > NET_USER_START_MAX)
		return error_usage(err, "its options are longer than %d bytes", NET_USER_START_MAX);
	return ask_bytes(u, s.s, s.len, err) && answer(u, err);
}

static bool user_open(struct net_dev *d, const struct net_config *config, struct error *err)
{
	const struct net_user_config *c = &config->u.user;
	struct user *u;

	if (!c->ipv4 && !c->ipv6)
		return error_usage(err, "ipv4=off and ipv6=off leave nothing");
	d->data = u = take_helper(err);
	if (!u)
		return false;
	d->queue[0].fd = u->data;
	u->data = -1;
	if (!tell(u, c, err))
		return false;
	for (size_t i = 0; i < c->forward.len; i++) {
		if (!user_forward(d, c->forward.items[i], true, err))
			return false;
	}
	d->vnet = d->connected = true;
	d->offloads = NET_CSUM | NET_TSO4 | NET_TSO6;
	return true;
}

/* False: it is of no use any more. Frames that libslirp has sent by itself (router advertisements) are not for the
 * next network. */
static bool wait_again(struct user *u)
{
	struct error err = ERROR_INIT;
	char text[NET_USER_TEXT_MAX + 1] = "", frame;
	ssize_t n;

	if (!ask(u, "stop", &err))
		return false;
	for (int i = 0; i < STALE_MAX && strcmp(text, NET_USER_STOPPED); i++) {
		n = receive(u, text, sizeof(text) - 1, &err);
		if (n < 0)
			return false;
		text[n] = 0;
	}
	do {
		n = recv(u->data, &frame, sizeof(frame), MSG_DONTWAIT);
	} while (n > 0);
	return n < 0 && errno == EAGAIN && !strcmp(text, NET_USER_STOPPED);
}

static void user_close(struct net_dev *d)
{
	struct user *u = d->data;

	if (!u)
		return;
	u->data = d->queue[0].fd;
	if (u->waited && !u->used && u->data >= 0 && wait_again(u))
		spare[n_spare++] = u;
	else
		user_free(u);
}

static void user_attached(struct net_dev *d)
{
	((struct user *)d->data)->used = true;
}

static void user_hangup(struct net_dev *d, unsigned int q)
{
	struct user *u = d->data;

	if (d->queue[0].fd < 0)
		return;
	log_write(LOG_ERR, "net",
		"network '%s': %s (process %d) has ended; the guest sees the link down", d->id,
		HELPER, (int)u->pid);
	close(d->queue[0].fd);
	d->queue[0].fd = -1;
	net_queue_update(&d->queue[0]);
	net_set_carrier(d, false);
}

const struct net_kind net_user_kind = {
	.name = "user",
	.open = user_open,
	.close = user_close,
	.attached = user_attached,
	.send = net_message_send,
	.recv = net_message_recv,
	.hangup = user_hangup,
	.set_offloads = user_set_offloads,
	.forward = user_forward,
	.describe = user_describe,
};
