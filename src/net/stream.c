// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stream - frames over a byte stream to one peer: a big-endian length of 32 bits before each, as QEMU's
 * `socket` and `stream` networks have it, so that VMs of both can talk. As a server it takes one peer at
 * a time and the next when that one has gone; as a client it may try again when the peer has gone.
 *
 * Connections come on the home loop while a NIC is attached and wait in the kernel otherwise. Frames of a batch
 * go together, as many as a call takes. One of which only a part could be sent is kept (here the copy is forced)
 * and goes first when there is room.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/types.h"
#include "net/net_int.h"
#include "sandbox/connector.h"

/* Whoever comes and goes all the time is let in at most so often: each time the guest and QMP's clients are told. */
#define PEER_PAUSE_NS (100 * NS_PER_MS)

/* Frames on their way, each behind its length. */
struct gathered {
	struct iovec iov[UIO_MAXIOV];
	int n;
	be32 len[NET_BATCH];
};

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
	int64_t since_ns; /* when the last peer came */
	struct net_frames in;
	bool drained; /* the last read took all that there was */
	uint8_t *out; /* owned: the rest of a frame, 4 + NET_FRAME_MAX */
	size_t out_off, out_len;
	struct gathered gathered;
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
	s->in.bad = s->drained = false;
	s->dev->queue[0].fd = fd;
	s->dev->queue[0].tx_blocked = false;
	if (s->dev->loop)
		net_queue_update(&s->dev->queue[0]);
	listen_watch(s, false);
	net_set_carrier(s->dev, true);
	s->since_ns = clock_mono_ns();
	net_tell_peer(s->dev, fd);
}

static void try_again(struct net_stream *s)
{
	if (s->listener >= 0)
		loop_timer_arm(&s->retry, s->since_ns + PEER_PAUSE_NS);
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
	if (s->conn >= 0) {
		close(s->conn);
		net_tell_peer(s->dev, -1);
	}
	s->conn = -1;
	s->connecting = false;
	net_set_carrier(s->dev, false);
	try_again(s);
}

static void retry(void *opaque)
{
	struct net_stream *s = opaque;

	if (s->listener >= 0) {
		listen_watch(s, true);
		return;
	}
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
	if (s->conn < 0 && (s->listener >= 0 || s->connector))
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

static size_t bytes_of(const struct net_packet *p)
{
	return p->len && p->len <= NET_FRAME_MAX ? sizeof(be32) + p->len : 0;
}

/* Of @n packets as many as one call takes, at least one. Returns how many; there may be nothing to
 * send in them. */
static int gather(struct gathered *g, const struct net_packet *p, int n)
{
	int i;

	g->n = 0;
	for (i = 0; i < n && i < NET_BATCH; i++) {
		if (!bytes_of(&p[i]))
			continue;
		if (g->n + 1 + p[i].n > UIO_MAXIOV)
			break;
		g->len[i] = be32_of(p[i].len);
		g->iov[g->n++] = (struct iovec){ &g->len[i], sizeof(g->len[i]) };
		memcpy(g->iov + g->n, p[i].iov, (size_t)p[i].n * sizeof(*g->iov));
		g->n += p[i].n;
	}
	return i;
}

/* Of @n gathered packets @done bytes have gone. How many packets that is, with one of which a part
 * has: its rest is kept. */
static int gone(struct net_stream *s, const struct net_packet *p, int n, size_t done)
{
	int i;

	for (i = 0; i < n && done >= bytes_of(&p[i]); i++)
		done -= bytes_of(&p[i]);
	if (i == n || !done)
		return i;
	p[i].iov[-1] = (struct iovec){ &s->gathered.len[i], sizeof(s->gathered.len[i]) };
	keep_rest(s, p[i].iov - 1, p[i].n + 1, done);
	return i + 1;
}

/* How many of @n gathered packets have gone, or are lost. */
static int send_gathered(struct net_stream *s, struct net_packet *p, int n)
{
	struct msghdr m = { .msg_iov = s->gathered.iov, .msg_iovlen = (size_t)s->gathered.n };
	ssize_t r = 0;

	if (m.msg_iovlen) {
		do {
			r = sendmsg(s->conn, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
		} while (r < 0 && errno == EINTR);
	}
	if (r >= 0 || errno == EAGAIN || errno == ENOBUFS)
		return gone(s, p, n, r > 0 ? (size_t)r : 0);
	for (int i = 0; i < n; i++)
		p[i].lost = p[i].len;
	return n;
}

static int stream_send(struct net_dev *d, unsigned int q, struct net_packet *p, int n)
{
	struct net_stream *s = d->data;
	int sent = 0, taken, k;

	for (int i = 0; i < n; i++)
		p[i].lost = p[i].len > NET_FRAME_MAX;
	while (sent < n) {
		if (s->out_len && !flush_out(s))
			return sent;
		k = gather(&s->gathered, p + sent, n - sent);
		taken = send_gathered(s, p + sent, k);
		sent += taken;
		if (taken < k && !s->out_len)
			return sent;
	}
	if (s->out_len) { /* whose rest must not wait for another frame */
		d->queue[0].tx_blocked = true;
		net_queue_update(&d->queue[0]);
	}
	return n;
}

/* -------- receiving -------- */

/* More bytes into the buffer. 1, or -EAGAIN, -EPIPE. After a read that came short there is nothing
 * more, as a rule; if there is, readable() comes again at once. */
static int fill(struct net_stream *s)
{
	bool drained = s->drained;
	uint8_t *at;
	size_t room;
	ssize_t r;

	s->drained = false;
	if (s->conn < 0 || drained)
		return -EAGAIN;
	room = net_frames_room(&s->in, &at);
	do {
		r = recv(s->conn, at, room, MSG_DONTWAIT);
	} while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (r <= 0)
		return -EPIPE;
	s->in.len += (size_t)r;
	s->drained = (size_t)r < room;
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
