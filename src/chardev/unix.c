// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * unix - a stream socket in the file system. As a server it takes one client at a time (others
 * wait) and the next when that one has left; nobody but the owner may connect. A socket file left
 * behind by a process that is gone is replaced, a live one is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/field.h"
#include "base/sock_file.h"
#include "base/str.h"
#include "chardev/chardev_int.h"

struct unix_sock {
	struct chardev *c;
	char *path; /* owned */
	bool server;
	int fd;		      /* owned: listening, or -1 */
	int client;	      /* owned: the connection, or -1 */
	struct removal *file; /* of the socket that we made */
	struct loop_fd watch; /* of fd */
	int end_fd;	      /* owned: tells when a half-closed client is gone; -1: none */
	struct loop_fd end_watch;
};

/* Take new clients only while there is none, or only the unread input of one. */
static void listen_update(struct unix_sock *s)
{
	bool want = s->fd >= 0 && (s->client < 0 || s->c->hup);

	if (s->watch.loop && !want) {
		loop_fd_del(&s->watch);
	} else if (!s->watch.loop && want) {
		s->watch.fd = s->fd;
		if (loop_fd_add(s->c->loop, &s->watch) < 0)
			return; /* out of memory: no further clients, nothing worse */
	}
}

static void end_stop(struct unix_sock *s)
{
	if (s->end_watch.loop)
		loop_fd_del(&s->end_watch);
	if (s->end_fd >= 0)
		close(s->end_fd);
	s->end_fd = -1;
}

static void unix_hangup(struct chardev *c)
{
	struct unix_sock *s = c->data;

	end_stop(s);
	chardev_disconnect(c);
	if (s->client >= 0)
		close(s->client);
	s->client = -1;
	listen_update(s);
}

static void unix_accept(void *opaque, unsigned int events)
{
	struct unix_sock *s = opaque;
	int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (s->client >= 0)
		unix_hangup(s->c);
	s->client = fd;
	listen_update(s);
	chardev_connect(s->c, fd, true);
}

static void unix_lingers(struct chardev *c)
{
	listen_update(c->data);
}

static void unix_cut(struct chardev *c)
{
	struct unix_sock *s = c->data;

	if (s->client >= 0)
		shutdown(s->client, SHUT_RDWR);
}

static void unix_gone(void *opaque, unsigned int events)
{
	struct unix_sock *s = opaque;

	unix_hangup(s->c);
}

/*
 * The client sends no more (`printf .. | nc -U`), but may still read. That it goes away altogether
 * must be noticed without being told of the half-close over and over: an io_uring poll cannot be
 * asked for the one without the other, an epoll can, and it can be watched itself.
 */
static void unix_input_end(struct chardev *c)
{
	struct unix_sock *s = c->data;
	struct epoll_event ev = { .events = 0 };

	s->end_fd = epoll_create1(EPOLL_CLOEXEC);
	s->end_watch.fd = s->end_fd;
	if (s->end_fd < 0 || epoll_ctl(s->end_fd, EPOLL_CTL_ADD, s->client, &ev) < 0 ||
		loop_fd_add(c->loop, &s->end_watch) < 0)
		unix_hangup(c);
}

static void unix_close(struct chardev *c)
{
	struct unix_sock *s = c->data;

	end_stop(s);
	if (s->watch.loop)
		loop_fd_del(&s->watch);
	if (s->client >= 0)
		close(s->client);
	if (s->fd >= 0)
		close(s->fd);
	removal_do(s->file);
	free(s->path);
	free(s);
}

static bool server_start(struct unix_sock *s, struct error *err)
{
	s->fd = sock_file_make(&s->file, s->path, SOCK_STREAM | SOCK_NONBLOCK, 1, err);
	if (s->fd < 0)
		return error_prefix(err, "chardev '%s'", s->c->id);
	listen_update(s);
	return true;
}

static bool client_start(struct unix_sock *s, struct error *err)
{
	int r = sock_connect(s->path, SOCK_NONBLOCK);

	if (r < 0)
		return error_set_errno(
			err, r, "chardev '%s': cannot connect to '%s'", s->c->id, s->path);
	s->client = r;
	chardev_connect(s->c, r, true);
	return true;
}

/* `PATH[,server]`, `,,` in the path is a comma. */
static bool parse(struct unix_sock *s, const char *arg, struct error *err)
{
	const char *cursor = arg;
	struct sockaddr_un a;
	AUTO(str) tok = STR_INIT;

	if (!arg || !fields_next_token(&cursor, &tok) || !tok.len)
		return error_usage(
			err, "chardev '%s': unix needs a path: unix:PATH[,server]", s->c->id);
	if (!sock_address(&a, str_cstr(&tok), err))
		return error_prefix(err, "chardev '%s'", s->c->id);
	s->path = strdup(a.sun_path);
	if (!s->path)
		return error_set(err, "chardev '%s': out of memory", s->c->id);
	while (fields_next_token(&cursor, &tok)) {
		const char *t = str_cstr(&tok);

		if (!strcmp(t, "server") || !strcmp(t, "server=on"))
			s->server = true;
		else if (!strcmp(t, "server=off"))
			s->server = false;
		else
			return error_usage(err, "chardev '%s': unknown option '%s': only 'server'",
				s->c->id, t);
	}
	return true;
}

static bool unix_open(struct chardev *c, const char *arg, struct error *err)
{
	struct unix_sock *s = calloc(1, sizeof(*s));

	if (!s)
		return error_set(err, "chardev '%s': out of memory", c->id);
	s->c = c;
	s->fd = s->client = s->end_fd = -1;
	loop_fd_init(&s->end_watch, -1, LOOP_IN, unix_gone, s);
	loop_fd_init(&s->watch, -1, LOOP_IN, unix_accept, s);
	c->data = s;
	if (!parse(s, arg, err) || !(s->server ? server_start(s, err) : client_start(s, err))) {
		unix_close(c);
		return false;
	}
	c->filename = str_printf("unix:%s%s", s->path, s->server ? ",server" : "");
	return true;
}

const struct chardev_kind chardev_unix = {
	.name = "unix",
	.open = unix_open,
	.close = unix_close,
	.input_end = unix_input_end,
	.hangup = unix_hangup,
	.lingers = unix_lingers,
	.cut = unix_cut,
};
