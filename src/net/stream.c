// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stream - frames over a byte stream to one peer: a big-endian length of 32 bits before each, as QEMU's
 * `socket` and `stream` networks have it, so that VMs of both can talk. As a server it takes one peer at
 * a time and the next when that one has gone; as a client it may try again when the peer has gone.
 *
 * Connections come on the home loop while a NIC is attached and wait in the kernel otherwise. A frame of which
 * only a part could be sent is kept (here the copy is forced) and goes first when there is room.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/types.h"
#include "net/net_int.h"
#include "sandbox/connector.h"

struct net_stream {
	struct net_dev *dev;
	int listener; /* owned, or -1 */
	/* An epoll descriptor that watches the listener, owned, or -1. What the loop watches: its io_uring, which
	 * may outlive a process that was killed by seconds, would keep the listener's address. */
	int gate;
	int conn; /* owned, or -1: what the queue's fd is */
	struct connector
		*connector; /* owned; NULL: a server, or a client that connects only once */
	bool connecting;    /* the connector was asked */
	uint32_t reconnect_s;
	struct loop_fd watch; /* of the listener, or of the connector */
	struct loop_timer retry;
	struct net_frames in;
	uint8_t *out; /* owned: the rest of a frame, 4 + NET_FRAME_MAX */
	size_t out_off, out_len;
};

/* -------- frames -------- */

size_t net_frames_room(struct net_frames *f, uint8_t **at)
{
	if (f->head && (!f->len || f->head + f->len > NET_FRAMES_SIZE / 2)) {
		memmove(f->buf, f->buf + f->head, f->len);
		f->head = 0;
	}
	*at = f->buf + f->head + f->len;
	return NET_FRAMES_SIZE - f->head - f->len;
}

const uint8_t *net_frames_next(struct net_frames *f, size_t *len)
{
	const uint8_t *p = f->buf + f->head;
	uint32_t n;

	if (f->bad || f->len < 4)
		return NULL;
	n = rd_be32(p);
	if (!n || n > NET_FRAME_MAX) {
		f->bad = true;
		return NULL;
	}
	if (f->len - 4 < n)
		return NULL;
	f->head += 4 + n;
	f->len -= 4 + n;
	*len = n;
	return p + 4;
}

/* -------- connections -------- */

static void listen_watch(struct net_stream *s, bool on)
{
	loop_fd_del(&s->watch);
	if (!on || !s->dev->loop)
		return;
	s->watch.fd = s->connecting ? connector_fd(s->connector) : s->gate;
	s->watch.events = s->connecting ? LOOP_OUT : LOOP_IN;
	if (s->watch.fd >= 0 && loop_fd_add(s->dev->loop, &s->watch) < 0)
		log_debug("net", "%s: cannot watch", s->dev->id);
}

static void use_conn(struct net_stream *s, int fd)
{
	int on = 1;

	s->conn = fd;
	s->connecting = false;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* a unix socket refuses: fine */
	s->in.head = s->in.len = s->out_len = 0;
	s->in.bad = false;
	s->dev->queue[0].fd = fd;
	s->dev->queue[0].tx_blocked = false;
	if (s->dev->loop)
		net_queue_update(&s->dev->queue[0]);
	listen_watch(s, false);
	net_set_carrier(s->dev, true);
}

static void try_again(struct net_stream *s)
{
	if (s->listener >= 0)
		listen_watch(s, true);
	else if (s->connector && s->dev->loop)
		loop_timer_arm(&s->retry, clock_mono_ns() + (int64_t)s->reconnect_s * NS_PER_SEC);
}

static void drop_conn(struct net_stream *s)
{
	struct net_queue *q = &s->dev->queue[0];

	loop_fd_del(&s->watch);
	q->fd = -1;
	q->tx_blocked = false;
	net_queue_update(q);
	if (s->conn >= 0)
		close(s->conn);
	s->conn = -1;
	s->connecting = false;
	net_set_carrier(s->dev, false);
	try_again(s);
}

static void retry(void *opaque)
{
	struct net_stream *s = opaque;

	s->connecting = !connector_ask(s->connector);
	if (s->connecting)
		listen_watch(s, true);
	else
		try_again(s);
}

static void connector_ready(struct net_stream *s)
{
	int fd = connector_take(s->connector);

	if (fd >= 0)
		use_conn(s, fd);
	else if (fd != -EAGAIN)
		drop_conn(s);
}

static void conn_ready(void *opaque, unsigned int events)
{
	struct net_stream *s = opaque;
	int fd;

	if (s->connecting) {
		connector_ready(s);
		return;
	}
	fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		use_conn(s, fd);
}

static bool make_gate(struct net_stream *s, struct error *err)
{
	struct epoll_event e = { .events = EPOLLIN };

	s->gate = epoll_create1(EPOLL_CLOEXEC);
	return (s->gate >= 0 && !epoll_ctl(s->gate, EPOLL_CTL_ADD, s->listener, &e)) ||
	       error_set_errno(err, errno, "cannot watch the socket");
}

bool net_stream_open(struct net_dev *d, int listener, int conn, const struct sockaddr_storage *addr,
	socklen_t len, uint32_t reconnect_s, struct error *err)
{
	struct net_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return error_set(err, "out of memory");
	*s = (struct net_stream){
		.dev = d, .listener = listener, .gate = -1, .conn = -1, .reconnect_s = reconnect_s
	};
	d->data = s;
	d->kind = &net_stream_kind;
	loop_fd_init(&s->watch, -1, LOOP_IN, conn_ready, s);
	s->in.buf = malloc(NET_FRAMES_SIZE);
	s->out = malloc(4 + NET_FRAME_MAX);
	if (!s->in.buf || !s->out)
		return error_set(err, "out of memory");
	if (reconnect_s) {
		s->connector = connector_new((const struct sockaddr *)addr, len, err);
		if (!s->connector)
			return false;
	}
	if (listener >= 0 && !make_gate(s, err))
		return false;
	d->carrier = false;
	d->connected = true;
	if (conn >= 0)
		use_conn(s, conn);
	return true;
}

static void stream_close(struct net_dev *d)
{
	struct net_stream *s = d->data;

	if (s->conn >= 0 && !d->borrowed)
		close(s->conn);
	if (s->listener >= 0 && !d->borrowed)
		close(s->listener);
	if (s->gate >= 0)
		close(s->gate);
	connector_free(s->connector);
	free(s->in.buf);
	free(s->out);
	free(s);
}

static void stream_attached(struct net_dev *d)
{
	struct net_stream *s = d->data;

	loop_timer_init(&s->retry, d->loop, retry, s);
	if (s->conn >= 0)
		return;
	if (s->listener >= 0)
		listen_watch(s, true);
	else if (s->connector)
		retry(s);
}

static void stream_detaching(struct net_dev *d)
{
	struct net_stream *s = d->data;

	loop_fd_del(&s->watch);
	loop_timer_fini(&s->retry);
}

static void stream_hangup(struct net_dev *d, unsigned int q)
{
	drop_conn(d->data);
}

/* -------- sending -------- */

static bool flush_out(struct net_stream *s)
{
	while (s->out_len) {
		ssize_t r = send(
			s->conn, s->out + s->out_off, s->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return errno != EAGAIN; /* broken: reading tells */
		s->out_off += (size_t)r;
		s->out_len -= (size_t)r;
	}
	return true;
}

static bool stream_flush(struct net_dev *d, unsigned int q)
{
	return flush_out(d->data);
}

/* Keep what is left of a frame after @done bytes of it, its length included. */
static void keep_rest(struct net_stream *s, const struct iovec *iov, int n, size_t done)
{
	s->out_off = s->out_len = 0;
	for (int i = 0; i < n; i++) {
		size_t skip = MIN(done, iov[i].iov_len), take = iov[i].iov_len - skip;

		done -= skip;
		memcpy(s->out + s->out_len, (const uint8_t *)iov[i].iov_base + skip, take);
		s->out_len += take;
	}
}

/* 1: gone, or lost; 0: no room for a byte of it. */
static int send_one(struct net_stream *s, struct net_packet *p)
{
	be32 len = be32_of(p->len);
	struct iovec *iov = p->iov - 1;
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = (size_t)p->n + 1 };
	ssize_t r;

	p->lost = p->len > NET_FRAME_MAX;
	if (p->lost)
		return 1;
	iov[0] = (struct iovec){ &len, sizeof(len) };
	do {
		r = sendmsg(s->conn, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (r < 0 && errno == EINTR);
	p->lost = r < 0 && errno != EAGAIN && errno != ENOBUFS;
	if (r < 0)
		return p->lost;
	if ((size_t)r < sizeof(len) + p->len)
		keep_rest(s, iov, p->n + 1, (size_t)r);
	return 1;
}

static int stream_send(struct net_dev *d, unsigned int q, struct net_packet *p, int n)
{
	struct net_stream *s = d->data;

	for (int i = 0; i < n; i++) {
		if (s->out_len && !flush_out(s))
			return i;
		if (p[i].len && !send_one(s, &p[i]))
			return i;
	}
	if (s->out_len) { /* whose rest must not wait for another frame */
		d->queue[0].tx_blocked = true;
		net_queue_update(&d->queue[0]);
	}
	return n;
}

/* -------- receiving -------- */

/* More bytes into the buffer. 1, or -EAGAIN, -EPIPE. */
static int fill(struct net_stream *s)
{
	uint8_t *at;
	size_t room = net_frames_room(&s->in, &at);
	ssize_t r;

	if (s->conn < 0)
		return -EAGAIN;
	do {
		r = recv(s->conn, at, room, MSG_DONTWAIT);
	} while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (r <= 0)
		return -EPIPE;
	s->in.len += (size_t)r;
	return 1;
}

static size_t scatter(const uint8_t *p, size_t len, const struct iovec *iov, int n)
{
	size_t done = 0;

	for (int i = 0; i < n && done < len; i++) {
		size_t take = MIN(iov[i].iov_len, len - done);

		memcpy(iov[i].iov_base, p + done, take);
		done += take;
	}
	return done;
}

static ssize_t stream_recv(
	struct net_dev *d, unsigned int q, struct vnet_hdr *h, struct iovec *iov, int n)
{
	struct net_stream *s = d->data;
	const uint8_t *p;
	size_t len;
	int r;

	memset(h, 0, sizeof(*h));
	for (;;) {
		while ((p = net_frames_next(&s->in, &len))) {
			if (len >= NET_FRAME_MIN)
				return (ssize_t)scatter(p, len, iov, n);
		}
		if (s->in.bad) {
			log_guest("net",
				"%s: the peer does not speak QEMU's stream protocol: disconnected",
				d->id);
			return -EPIPE;
		}
		r = fill(s);
		if (r < 0)
			return r;
	}
}

const struct net_kind net_stream_kind = {
	.name = "socket",
	.close = stream_close,
	.attached = stream_attached,
	.detaching = stream_detaching,
	.send = stream_send,
	.recv = stream_recv,
	.hangup = stream_hangup,
	.flush = stream_flush,
};
