// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * udp - datagrams to one peer and from it, as many as there are: nobody comes or goes. What is written at once
 * is a datagram, so a serial port's are of one byte. A peer that is not there is no error: what was sent is
 * lost, as any datagram may be. `udp:[ADDR]:PORT[@[ADDR]:PORT]`: the peer, and where we receive; without the
 * latter only who has heard from us knows our port.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/sock_inet.h"
#include "base/str.h"
#include "chardev/chardev_int.h"

/* What a reader, QEMU's among them, can be expected to take at once. */
#define UDP_SEND_MAX 4096u
/* The longest that there can be. */
#define UDP_RECV_MAX 65536u

struct udp {
	int fd; /* owned */
	/* Loop's thread: of the datagram at hand, which the front end has no room for as a whole. */
	size_t at, len;
	uint8_t buf[UDP_RECV_MAX];
};

/* An error may be that of the datagram before, which nobody took: then this one was not sent. */
static ssize_t udp_send(struct chardev *c, const uint8_t *p, size_t n)
{
	n = MIN(n, UDP_SEND_MAX);
	for (int i = 0; i < 2; i++) {
		if (send(c->out_fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			break;
		if (errno == EAGAIN)
			return -EAGAIN;
	}
	return (ssize_t)n;
}

/* Errors and empty ones are passed over: if there is more the loop calls again. */
static ssize_t udp_recv(struct chardev *c, uint8_t *p, size_t n)
{
	struct udp *u = c->data;

	if (u->at == u->len) {
		ssize_t r = recv(u->fd, u->buf, sizeof(u->buf), MSG_DONTWAIT);

		if (r <= 0)
			return -EAGAIN;
		u->at = 0;
		u->len = (size_t)r;
	}
	n = MIN(n, u->len - u->at);
	memcpy(p, u->buf + u->at, n);
	u->at += n;
	c->in_more = u->at < u->len;
	return (ssize_t)n;
}

/* `[ADDR]:PORT` behind the '@'. Without an address: any of ours, of the peer's family. */
static bool parse_local(
	struct sock_inet *local, const char *text, const struct sock_inet *peer, struct error *err)
{
	const char *any = peer->a.ss_family == AF_INET ? "0.0.0.0" : "[::]";
	AUTO_FREE char *whole = str_printf("%s%s", *text == ':' ? any : "", text);

	if (!whole)
		return error_set(err, "out of memory");
	if (!sock_inet_parse(local, whole, 0, err))
		return false;
	return local->a.ss_family == peer->a.ss_family ||
	       error_usage(err,
		       "'%s' is of another kind than the peer's address: both must be of "
		       "IPv4, or both of IPv6",
		       text);
}

static int make_socket(const char *arg, struct error *err)
{
	const char *at = arg ? strchr(arg, '@') : NULL;
	AUTO_FREE char *first = arg ? strndup(arg, at ? (size_t)(at - arg) : strlen(arg)) : NULL;
	struct sock_inet peer, local;
	AUTO_FD int fd = -1;

	if (!first || !*first) {
		error_usage(err, "an address, udp:[ADDR]:PORT[@[ADDR]:PORT], is wanted");
		return -1;
	}
	if (!sock_inet_parse(&peer, first, 1, err) ||
		(at && !parse_local(&local, at + 1, &peer, err)))
		return -1;
	fd = sock_new(peer.a.ss_family, SOCK_DGRAM | SOCK_NONBLOCK, err);
	if (fd < 0 || (at && !sock_inet_bind(fd, &local, err)))
		return -1;
	if (connect(fd, (const struct sockaddr *)&peer.a, peer.len) == 0)
		return TAKE_FD(fd);
	error_set_errno(err, errno, "there is no way to '%s'", first);
	return -1;
}

static bool udp_open(struct chardev *c, const char *arg, struct error *err)
{
	struct udp *u = malloc(sizeof(*u));

	if (!u)
		return error_set(err, "chardev '%s': out of memory", c->id);
	u->at = u->len = 0;
	u->fd = make_socket(arg, err);
	if (u->fd < 0) {
		free(u);
		return error_prefix(err, "chardev '%s'", c->id);
	}
	c->data = u;
	c->in_fd = c->out_fd = u->fd;
	c->filename = strdup("udp");
	atomic_store(&c->open, true);
	return true;
}

static void udp_close(struct chardev *c)
{
	struct udp *u = c->data;

	close(u->fd);
	free(u);
}

const struct chardev_kind chardev_udp = {
	.name = "udp",
	.open = udp_open,
	.close = udp_close,
	.send = udp_send,
	.recv = udp_recv,
};
