// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stream - the kinds that stand on a stream socket: `unix` (a path), `tcp` (an address), `fd` (a socket that
 * somebody else has made). As a server it takes one client at a time (others wait) and the next when that
 * one has left. To a path nobody but the owner may connect; a socket file left behind by a process
 * that is gone is replaced, a live one is not.
 *
 * How an end is noticed:
 *
 * 1. A client that sends no more (`printf .. | nc`) may still read. That it goes away altogether must be
 *    noticed without being told of the half-close over and over: an io_uring poll cannot be asked for the
 *    one without the other, an epoll can, and it can be watched itself. That is end_watch: first for the
 *    half-close, then for the hang-up.
 * 2. Of a unix socket's end we are told as a hang-up. TCP only says that the peer sends no more, and whether
 *    it still reads shows when something is sent. So he who sends no more makes way for the next
 *    client, and the kernel asks now and then whether he is there at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/field.h"
#include "base/sock_file.h"
#include "base/sock_inet.h"
#include "base/str.h"
#include "chardev/chardev_int.h"

/* A host that does not answer holds up the start, or the loop, for no longer. */
#define CONNECT_WAIT_MS 5000

/* What follows the address. */
struct options {
	bool server, wait, nowait, nodelay, ipv4, ipv6;
	uint16_t to;
};

struct stream {
	struct chardev *c;
	char *where; /* owned: `unix:PATH`, `tcp:ADDR:PORT`; where we listen, or have connected to */
	struct options o;
	bool only_fin;	      /* point 2: the peer's last word is that it sends no more */
	int fd;		      /* owned: listening, or -1 */
	int client;	      /* owned: the connection, or -1 */
	bool leaving;	      /* the client sends no more, and that may be all we are told */
	struct removal *file; /* of the socket that we made */
	struct loop_fd watch; /* of fd */
	int end_fd;	      /* owned: an epoll that has the client alone; -1: none */
	struct loop_fd end_watch;
};

/* -------- names -------- */

/* False: an address of a kind that has no name here. */
static bool put_address(const struct sockaddr_storage *a, const char *scheme, struct str *out)
{
	if (a->ss_family == AF_UNIX) {
		str_appendf(out, "unix:%.*s", (int)sizeof(((struct sockaddr_un *)0)->sun_path),
			((const struct sockaddr_un *)a)->sun_path);
		return true;
	}
	str_append(out, a->ss_family == AF_INET || a->ss_family == AF_INET6 ? scheme : "");
	return sock_inet_text(a, out);
}

typedef int (*name_fn)(int fd, struct sockaddr *a, socklen_t *len);

/* getsockname() or getpeername() of @fd, as text. */
static bool put_end(name_fn of, int fd, const char *scheme, struct str *out)
{
	struct sockaddr_storage a = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(a);

	return of(fd, (struct sockaddr *)&a, &len) == 0 && put_address(&a, scheme, out);
}

/* As QEMU writes it: disconnected:unix:PATH,server=on; tcp:ADDR:PORT <-> ADDR:PORT, ours and the peer's. */
static void set_filename(struct stream *s)
{
	const char *server = s->o.server ? ",server=on" : "";
	AUTO(str) name = STR_INIT;

	if (s->client < 0) {
		str_appendf(&name, "disconnected:%s%s", s->where, server);
	} else if (s->only_fin && put_end(getsockname, s->client, "tcp:", &name)) {
		str_appendf(&name, "%s <-> ", server);
		put_end(getpeername, s->client, "", &name);
	} else {
		str_appendf(&name, "%s%s", s->where, server);
	}
	free(s->c->filename);
	s->c->filename = str_take(&name);
}

/* -------- a client comes and goes -------- */

/* Take new clients only while there is none, or none but one that is about to go. */
static void listen_update(struct stream *s)
{
	bool want = s->fd >= 0 && (s->client < 0 || s->c->hup || s->leaving);

	if (s->watch.loop && !want) {
		loop_fd_del(&s->watch);
	} else if (!s->watch.loop && want) {
		s->watch.fd = s->fd;
		if (loop_fd_add(s->c->loop, &s->watch) < 0)
			return; /* out of memory: no further clients, nothing worse */
	}
}

static void end_stop(struct stream *s)
{
	if (s->end_watch.loop)
		loop_fd_del(&s->end_watch);
	if (s->end_fd >= 0)
		close(s->end_fd);
	s->end_fd = -1;
}

/* Have end_watch tell of @events of @fd's, and of its hang-up. False: nothing will. */
static bool end_start(struct stream *s, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events };

	end_stop(s);
	s->end_fd = epoll_create1(EPOLL_CLOEXEC);
	s->end_watch.fd = s->end_fd;
	if (s->end_fd >= 0 && epoll_ctl(s->end_fd, EPOLL_CTL_ADD, fd, &ev) == 0 &&
		loop_fd_add(s->c->loop, &s->end_watch) == 0)
		return true;
	end_stop(s);
	return false;
}

static void stream_hangup(struct chardev *c)
{
	struct stream *s = c->data;

	end_stop(s);
	chardev_disconnect(c);
	if (s->client >= 0)
		close(s->client);
	s->client = -1;
	s->leaving = false;
	set_filename(s);
	listen_update(s);
}

/* The client sends no more, and if it was TCP that has said so we may never hear of it again: when both sides
 * are silent nothing is sent. Asked after ten seconds, the kernel of one that has gone says so as soon
 * as it has forgotten about it, in a minute. */
static void client_leaves(struct stream *s)
{
	int on = 1, seconds = 10;

	if (!s->only_fin)
		return;
	setsockopt(s->client, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds));
	setsockopt(s->client, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof(seconds));
	setsockopt(s->client, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	s->leaving = true;
	listen_update(s);
}

static void stream_end(void *opaque, unsigned int events)
{
	struct stream *s = opaque;
	struct epoll_event ev = { .events = 0 };

	if (epoll_wait(s->end_fd, &ev, 1, 0) != 1)
		return;
	if (s->c->in_ended) {
		stream_hangup(s->c);
	} else if (ev.events & (EPOLLHUP | EPOLLERR)) {
		end_stop(s);
		chardev_hung_up(s->c);
	} else {
		client_leaves(s);
		s->c->in_fin = true;
		if (end_start(s, s->client, 0))
			chardev_update(s->c);
		else
			stream_hangup(s->c);
	}
}

/* @fd is the connection from now on. False, it is still the caller's: memory or descriptors ran out. */
static bool client_start(struct stream *s, int fd)
{
	int on = 1;

	if (!end_start(s, fd, EPOLLRDHUP))
		return false;
	s->client = fd;
	s->leaving = false;
	if (s->o.nodelay)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	set_filename(s);
	listen_update(s);
	chardev_connect(s->c, fd, true);
	return true;
}

static void stream_accept(void *opaque, unsigned int events)
{
	struct stream *s = opaque;
	int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (s->client >= 0)
		stream_hangup(s->c);
	if (!client_start(s, fd))
		close(fd);
}

static void stream_lingers(struct chardev *c)
{
	listen_update(c->data);
}

static void stream_cut(struct chardev *c)
{
	struct stream *s = c->data;

	if (s->client >= 0)
		shutdown(s->client, SHUT_RDWR);
}

static void stream_input_end(struct chardev *c)
{
	struct stream *s = c->data;

	client_leaves(s);
	if (!end_start(s, s->client, 0))
		stream_hangup(c);
}

/* -------- options -------- */

#define O      struct options
#define SERVER FIELD_BOOL(O, server, "server", .doc = "listen, not connect")
#define WAIT                                                                        \
	FIELD_BOOL(O, wait, "wait", .doc = "only off: nothing waits for a client"), \
		FIELD_BOOL(O, nowait, "nowait", .doc = "wait=off")
static const struct field unix_fields[] = { SERVER, WAIT };
static const struct field fd_fields[] = { SERVER, WAIT };
static const struct field tcp_fields[] = {
	SERVER,
	WAIT,
	FIELD_BOOL(O, nodelay, "nodelay", .doc = "send what is small at once, too"),
	FIELD_U16(O, to, "to", .doc = "a server's port may be any up to this one"),
	FIELD_BOOL(O, ipv4, "ipv4", .dflt = "on", .doc = "IPv4 is allowed"),
	FIELD_BOOL(O, ipv6, "ipv6", .dflt = "on", .doc = "IPv6 is allowed"),
};
static const struct field_table unix_options = FIELD_TABLE("unix", struct options, unix_fields);
static const struct field_table fd_options = FIELD_TABLE("fd", struct options, fd_fields);
static const struct field_table tcp_options = FIELD_TABLE("tcp", struct options, tcp_fields);
#undef O

/* `ADDRESS[,OPTION]...`, `,,` is a comma: the address goes to @address. */
static bool parse(
	struct stream *s, const char *arg, const char *want, struct str *address, struct error *err)
{
	const struct field_table *t = s->c->kind->options;
	const char *cursor = arg;

	if (!arg || !fields_next_token(&cursor, address) || !address->len)
		return error_usage(err, "%s is wanted", want);
	if (address->failed)
		return error_set(err, "out of memory");
	if (!fields_init(t, &s->o, err) || !fields_parse(t, &s->o, cursor, err))
		return false;
	return !s->o.wait ||
	       error_usage(err, "wait: only off is possible: nothing waits for a client");
}

/* @fd, a server's or a connection, is ours from here on, unless memory or descriptors run out. */
static bool begin(struct stream *s, char *where, int fd, struct error *err)
{
	s->where = where;
	if (where && s->o.server)
		s->fd = fd;
	return where && (s->o.server || client_start(s, fd))
		       ? true
		       : error_set(err, "out of memory or descriptors");
}

/* -------- unix -------- */

static bool unix_start(struct stream *s, const char *arg, struct error *err)
{
	AUTO(str) path = STR_INIT;
	struct sockaddr_un a;
	AUTO_FD int fd = -1;

	if (!parse(s, arg, "a path, unix:PATH[,server],", &path, err) ||
		!sock_address(&a, str_cstr(&path), err))
		return false;
	fd = s->o.server ? sock_file_make(&s->file, a.sun_path, SOCK_STREAM | SOCK_NONBLOCK, 1, err)
			 : sock_connect(a.sun_path, SOCK_NONBLOCK);
	if (fd < 0 && !s->o.server)
		error_set_errno(err, fd, "cannot connect to '%s'", a.sun_path);
	if (fd < 0)
		return false;
	return begin(s, str_printf("unix:%s", a.sun_path), fd, err) && TAKE_FD(fd) >= 0;
}

/* -------- tcp -------- */

static bool check_inet(const struct options *o, const struct sock_inet *a, struct error *err)
{
	bool is6 = a->a.ss_family == AF_INET6;

	if (is6 ? !o->ipv6 : !o->ipv4)
		return error_usage(
			err, "the address is of IPv%d, and ipv%d=off", is6 ? 6 : 4, is6 ? 6 : 4);
	if (o->to && !o->server)
		return error_usage(err, "to=%u: a server's ports are meant (server=on)", o->to);
	return !o->to || o->to >= sock_inet_port(a) ||
	       error_usage(err, "to=%u is below the port", o->to);
}

/* At the first port that is free. */
static int listen_range(const struct options *o, struct sock_inet a, struct error *err)
{
	uint32_t port = sock_inet_port(&a), last = MAX(port, o->to);
	int fd;

	for (;; port++) {
		sock_inet_set_port(&a, (uint16_t)port);
		fd = sock_inet_listen(&a, !o->ipv4, err);
		if (fd >= 0 || port == last)
			return fd;
	}
}

static bool tcp_start(struct stream *s, const char *arg, struct error *err)
{
	AUTO(str) text = STR_INIT, where = STR_INIT;
	struct sock_inet a;
	AUTO_FD int fd = -1;

	/* A server's port 0 is any free one. */
	if (!parse(s, arg, "an address, tcp:ADDR:PORT[,server],", &text, err) ||
		!sock_inet_parse(&a, str_cstr(&text), !s->o.server, err) ||
		!check_inet(&s->o, &a, err))
		return false;
	s->only_fin = true;
	fd = s->o.server ? listen_range(&s->o, a, err)
			 : sock_inet_connect(&a, CONNECT_WAIT_MS, err);
	if (fd < 0)
		return false;
	put_end(s->o.server ? getsockname : getpeername, fd, "tcp:", &where);
	return begin(s, str_take(&where), fd, err) && TAKE_FD(fd) >= 0;
}

/* -------- fd -------- */

static bool check_socket(int fd, bool server, int *family, struct error *err)
{
	int type = 0, listens = 0;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_DOMAIN, family, &len) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0)
		return error_usage(err, "descriptor %d: %s", fd, strerror(errno));
	if (type != SOCK_STREAM)
		return error_usage(err, "descriptor %d is no stream socket", fd);
	if (server && !listens)
		return error_usage(
			err, "descriptor %d does not listen: listen() first, or server=off", fd);
	return server || !listens ||
	       error_usage(err, "descriptor %d listens: server=on is wanted", fd);
}

/* The descriptor is ours from the moment when all is well. */
static bool fd_start(struct stream *s, const char *arg, struct error *err)
{
	AUTO(str) text = STR_INIT, where = STR_INIT;
	uint64_t n;
	int family = AF_UNSPEC, fd;

	if (!parse(s, arg, "a descriptor's number, fd:N[,server],", &text, err))
		return false;
	if (!str_parse_u64(str_cstr(&text), &n) || n > INT32_MAX)
		return error_usage(err, "'%s' is no descriptor's number", str_cstr(&text));
	fd = (int)n;
	if (!check_socket(fd, s->o.server, &family, err))
		return false;
	s->only_fin = family == AF_INET || family == AF_INET6;
	if (!put_end(s->o.server ? getsockname : getpeername, fd, "tcp:", &where)) {
		str_clear(&where);
		str_appendf(&where, "fd:%d", fd);
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	/* Of a server's, as a client may be gone before it is taken. */
	if (s->o.server)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return begin(s, str_take(&where), fd, err);
}

/* -------- the kinds -------- */

static void stream_close(struct chardev *c)
{
	struct stream *s = c->data;

	end_stop(s);
	if (s->watch.loop)
		loop_fd_del(&s->watch);
	if (s->client >= 0)
		close(s->client);
	if (s->fd >= 0)
		close(s->fd);
	removal_do(s->file);
	free(s->where);
	free(s);
}

static bool stream_open(struct chardev *c, const char *arg,
	bool (*start)(struct stream *s, const char *arg, struct error *err), struct error *err)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (!s)
		return error_set(err, "chardev '%s': out of memory", c->id);
	s->c = c;
	s->fd = s->client = s->end_fd = -1;
	loop_fd_init(&s->end_watch, -1, LOOP_IN, stream_end, s);
	loop_fd_init(&s->watch, -1, LOOP_IN, stream_accept, s);
	c->data = s;
	if (!start(s, arg, err)) {
		stream_close(c);
		return error_prefix(err, "chardev '%s'", c->id);
	}
	set_filename(s);
	listen_update(s);
	return true;
}

static bool unix_open(struct chardev *c, const char *arg, struct error *err)
{
	return stream_open(c, arg, unix_start, err);
}

static bool tcp_open(struct chardev *c, const char *arg, struct error *err)
{
	return stream_open(c, arg, tcp_start, err);
}

static bool fd_open(struct chardev *c, const char *arg, struct error *err)
{
	return stream_open(c, arg, fd_start, err);
}

#define STREAM_KIND(word)                                                                      \
	{                                                                                      \
		.name = #word, .options = &word##_options, .open = word##_open,                \
		.close = stream_close, .input_end = stream_input_end, .hangup = stream_hangup, \
		.lingers = stream_lingers, .cut = stream_cut,                                  \
	}

const struct chardev_kind chardev_unix = STREAM_KIND(unix);
const struct chardev_kind chardev_tcp = STREAM_KIND(tcp);
const struct chardev_kind chardev_fd = STREAM_KIND(fd);
