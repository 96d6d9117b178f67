// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What all back ends share: the watches of their descriptors, rate limits, capture, link state.
 *
 * 1. A queue's descriptor is watched for what somebody waits for: a frame (rx_on), room (tx_blocked). A
 *    queue that waits for tokens isn't watched; its timer goes on.
 * 2. Limits are the network's (limit.c); each of its queues has a share.
 * 3. What a queue's frames need is the queue's own and belongs to its loop: watch, limits, counters. Of the
 *    device they read the link (atomic) and what is fixed while a NIC is attached; a capture has a lock.
 * 4. While the carrier is down nobody sends or receives by the kind. So a network can be closed under a NIC that
 *    moves frames (net_cut()): the carrier goes for good, and a call to each queue's loop, which ends its watches,
 *    returns when that is between two frames and has seen it.
 */
#include "net/net.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/removal.h"
#include "base/types.h"
#include "net/net_int.h"

#define BURST_MIN     65536 /* bytes: a frame with segments to be made */
#define BURST_MIN_PKT 8

static const struct net_kind *const kinds[] = { &net_none_kind, &net_user_kind, &net_tap_kind,
	&net_socket_kind };

/* -------- limits -------- */

static void rx_tokens(void *opaque)
{
	struct net_queue *q = opaque;

	q->rx_waits = false;
	net_queue_update(q);
	if (q->rx_on && q->dev->front.readable)
		q->dev->front.readable(q->dev->front.opaque, (unsigned int)(q - q->dev->queue));
}

static void tx_tokens(void *opaque)
{
	struct net_queue *q = opaque;

	q->tx_waits = false;
	if (q->dev->front.writable)
		q->dev->front.writable(q->dev->front.opaque, (unsigned int)(q - q->dev->queue));
}

/* -------- watches -------- */

void net_queue_update(struct net_queue *q)
{
	unsigned int want = (q->rx_on && !q->rx_waits ? LOOP_IN : 0) |
			    (q->tx_blocked ? LOOP_OUT : 0);
	struct net_dev *d = q->dev;

	if (!q->loop)
		return;
	if (!want || q->fd < 0 || q->watch.fd != q->fd) {
		loop_fd_del(&q->watch);
		q->watch.fd = q->fd;
	}
	if (!want || q->fd < 0)
		return;
	if (q->watch.loop ? loop_fd_modify(&q->watch, want) < 0
			  : (q->watch.events = want, loop_fd_add(q->loop, &q->watch) < 0))
		log_debug("net", "%s: cannot watch", d->id);
}

static void queue_event(void *opaque, unsigned int events)
{
	struct net_queue *q = opaque;
	struct net_dev *d = q->dev;
	unsigned int n = (unsigned int)(q - d->queue);

	if (events & LOOP_HUP && d->connected && d->kind->hangup) {
		d->kind->hangup(d, n);
		return;
	}
	if (events & LOOP_OUT && q->tx_blocked && (!d->kind->flush || d->kind->flush(d, n))) {
		q->tx_blocked = false;
		net_queue_update(q);
		if (d->front.writable)
			d->front.writable(d->front.opaque, n);
	}
	if (events & (LOOP_IN | LOOP_HUP) && q->rx_on && d->front.readable)
		d->front.readable(d->front.opaque, n);
}

static void tell_link(void *opaque)
{
	struct net_dev *d = opaque;

	if (d->front.link)
		d->front.link(d->front.opaque, net_link(d));
}

void net_set_carrier(struct net_dev *d, bool up)
{
	bool before = net_link(d);

	d->carrier = up;
	if (net_link(d) != before && d->loop)
		loop_post(d->loop, &d->link_defer);
}

void net_tell_peer(struct net_dev *d, int conn)
{
	char addr[NET_ADDR_TEXT_MAX];

	if (!d->watcher)
		return;
	if (conn >= 0)
		net_addr_of_peer(conn, addr);
	d->watcher(d->watcher_opaque, d->id, conn >= 0 ? addr : NULL);
}

void net_watch_peer(struct net_dev *d, void (*peer)(void *opaque, const char *id, const char *addr),
	void *opaque)
{
	assert(!d->loop);
	d->watcher = peer;
	d->watcher_opaque = opaque;
	if (d->kind == &net_stream_kind && d->queue[0].fd >= 0)
		net_tell_peer(d, d->queue[0].fd);
}

/* -------- frames -------- */

/* How many of @p may go now; those that may not are waited for. */
static int tx_allowed(struct net_queue *q, const struct net_packet *p, int n)
{
	for (int i = 0; i < n; i++) {
		int64_t wait = net_limit_wait(&q->dev->limit[NET_TX], &q->tx);

		if (wait) {
			q->tx_waits = true;
			loop_timer_arm(&q->tx_timer, clock_mono_ns() + wait);
			return i;
		}
		net_limit_take(&q->tx, p[i].len);
	}
	return n;
}

static void tx_give_back(struct net_queue *q, const struct net_packet *p, int from, int to)
{
	for (int i = from; i < to; i++)
		net_limit_give_back(&q->tx, p[i].len);
}

static void send_lost(struct net_queue *q, struct net_packet *p, int n)
{
	for (int i = 0; i < n; i++)
		p[i].lost = true;
	net_count_sent(q, p, n);
}

int net_send(struct net_dev *d, unsigned int queue, struct net_packet *p, int n)
{
	struct net_queue *q = &d->queue[queue];
	int allowed = n, sent;

	if (!net_link(d)) {
		send_lost(q, p, n);
		return n;
	}
	if (q->tx_blocked || q->tx_waits)
		return 0;
	if (d->limited)
		allowed = tx_allowed(q, p, n);
	for (int i = 0; i < allowed; i++)
		p[i].lost = false;
	sent = allowed ? d->kind->send(d, queue, p, allowed) : 0;
	net_count_sent(q, p, sent);
	for (int i = 0; d->capture && i < sent; i++) {
		if (p[i].len)
			net_capture_frame(d->capture, p[i].iov, p[i].n, p[i].len);
	}
	if (sent < allowed) {
		if (d->limited)
			tx_give_back(q, p, sent, allowed);
		q->tx_blocked = true;
		net_queue_update(q);
	}
	return sent;
}

static ssize_t rx_next(
	struct net_dev *d, unsigned int queue, struct vnet_hdr *h, struct iovec *iov, int n)
{
	ssize_t r = d->kind->recv(d, queue, h, iov, n);

	if (r == -EPIPE && d->connected && d->kind->hangup)
		d->kind->hangup(d, queue);
	if (r < 0)
		return -EAGAIN;
	net_count_received(&d->queue[queue], (size_t)r);
	return r;
}

/* What comes by a wire that is pulled out is lost. If it waited, the descriptor would be readable all the time, and
 * the guest would get old frames with the plug. */
static void rx_lose(struct net_dev *d, unsigned int queue)
{
	uint8_t head[64];
	struct vnet_hdr h;

	for (int i = 0; d->carrier && i < NET_BATCH; i++) {
		struct iovec iov[2] = { { NULL, 0 }, { head, sizeof(head) } };

		if (rx_next(d, queue, &h, iov + 1, 1) < 0)
			break;
		net_rx_dropped(d, queue);
	}
}

ssize_t net_recv(
	struct net_dev *d, unsigned int queue, struct vnet_hdr *h, struct iovec *iov, int n)
{
	struct net_queue *q = &d->queue[queue];
	int64_t wait;
	ssize_t r;

	if (q->rx_waits)
		return -EAGAIN;
	if (!net_link(d)) {
		rx_lose(d, queue);
		return -EAGAIN;
	}
	wait = d->limited ? net_limit_wait(&d->limit[NET_RX], &q->rx) : 0;
	if (wait) {
		q->rx_waits = true;
		net_queue_update(q);
		loop_timer_arm(&q->rx_timer, clock_mono_ns() + wait);
		return -EAGAIN;
	}
	r = rx_next(d, queue, h, iov, n);
	if (r < 0)
		return r;
	if (d->limited)
		net_limit_take(&q->rx, (size_t)r);
	if (d->capture)
		net_capture_frame(d->capture, iov, n, (size_t)r);
	return r;
}

void net_rx_enable(struct net_dev *d, unsigned int queue, bool on)
{
	struct net_queue *q = &d->queue[queue];

	if (q->rx_on == on)
		return;
	q->rx_on = on;
	net_queue_update(q);
}

void net_set_guest_offloads(struct net_dev *d, unsigned int offloads)
{
	if (d->kind->set_offloads)
		d->kind->set_offloads(d, offloads);
}

void net_set_pairs(struct net_dev *d, uint32_t pairs)
{
	if (d->kind->set_pairs)
		d->kind->set_pairs(d, pairs);
}

/* -------- a NIC comes and goes -------- */

static void queue_attach(void *opaque)
{
	struct net_queue *q = opaque;

	loop_timer_init(&q->rx_timer, q->loop, rx_tokens, q);
	loop_timer_init(&q->tx_timer, q->loop, tx_tokens, q);
}

static void queue_detach(void *opaque)
{
	struct net_queue *q = opaque;

	loop_fd_del(&q->watch);
	loop_timer_fini(&q->rx_timer);
	loop_timer_fini(&q->tx_timer);
	q->rx_on = q->tx_blocked = q->rx_waits = q->tx_waits = false;
	q->loop = NULL;
}

static void home_attach(void *opaque)
{
	struct net_dev *d = opaque;

	if (d->kind->attached)
		d->kind->attached(d);
}

/* With the queues that are the home loop's: in one go, since the kind's end may concern their watches. */
static void home_detach(struct net_dev *d)
{
	if (d->kind->detaching)
		d->kind->detaching(d);
	for (uint32_t i = 0; i < d->n_queues; i++) {
		if (d->queue[i].loop == d->loop)
			queue_detach(&d->queue[i]);
	}
}

static void last_detach(void *opaque)
{
	struct net_dev *d = opaque;

	home_detach(d);
	loop_defer_cancel(d->loop, &d->link_defer);
}

static void others_detach(struct net_dev *d)
{
	for (uint32_t i = 0; i < d->n_queues; i++) {
		if (d->queue[i].loop && d->queue[i].loop != d->loop)
			loop_call(d->queue[i].loop, queue_detach, &d->queue[i]);
	}
}

bool net_attach(struct net_dev *d, struct loop *const *loops, uint32_t n, const struct net_front *f,
	struct error *err)
{
	if (d->front.opaque)
		return error_usage(err, "network '%s' is already used by another device", d->id);
	d->front = *f;
	d->loop = loops[0];
	for (uint32_t i = 0; i < d->n_queues; i++) {
		struct net_queue *q = &d->queue[i];

		q->loop = i < n ? loops[i] : d->loop;
		loop_call(q->loop, queue_attach, q);
	}
	loop_call(d->loop, home_attach, d);
	return true;
}

void net_detach(struct net_dev *d)
{
	if (!d->loop)
		return;
	if (!d->cut) {
		others_detach(d);
		loop_call(d->loop, last_detach, d);
	}
	memset(&d->front, 0, sizeof(d->front));
	d->loop = NULL;
}

bool net_has_front(const struct net_dev *d)
{
	return d->front.opaque;
}

/* -------- control -------- */

const char *net_id(const struct net_dev *d)
{
	return d->id;
}

const char *net_type_name(const struct net_dev *d)
{
	return d->kind->name;
}

uint32_t net_queues(const struct net_dev *d)
{
	return d->n_queues;
}

unsigned int net_offloads(const struct net_dev *d)
{
	return d->offloads;
}

bool net_link(const struct net_dev *d)
{
	return d->admin && d->carrier;
}

bool net_plugged(const struct net_dev *d)
{
	return d->admin && !d->cut;
}

bool net_is_cut(const struct net_dev *d)
{
	return d->cut;
}

struct link_call {
	struct net_dev *d;
	bool up, quiet;
};

static void link_call(void *opaque)
{
	struct link_call *c = opaque;
	bool before = net_link(c->d);

	c->d->admin = c->up;
	if (net_link(c->d) != before && !c->quiet)
		tell_link(c->d);
}

static void change_link(struct net_dev *d, bool up, bool quiet)
{
	struct link_call c = { d, up, quiet };

	if (d->loop)
		loop_call(d->loop, link_call, &c);
	else
		link_call(&c);
}

void net_set_link(struct net_dev *d, bool up)
{
	change_link(d, up, false);
}

void net_load_link(struct net_dev *d, bool up)
{
	change_link(d, up, true);
}

static bool forward(struct net_dev *d, const char *spec, bool add, struct error *err)
{
	if (!d->kind->forward)
		return error_usage(err,
			"network '%s' is '%s', which forwards no ports: only 'user' does", d->id,
			d->kind->name);
	return d->kind->forward(d, spec, add, err) || error_prefix(err, "network '%s'", d->id);
}

bool net_forward_add(struct net_dev *d, const char *spec, struct error *err)
{
	return forward(d, spec, true, err);
}

bool net_forward_remove(struct net_dev *d, const char *spec, struct error *err)
{
	return forward(d, spec, false, err);
}

bool net_forwards(const struct net_dev *d)
{
	return d->kind->forward;
}

bool net_describe(struct net_dev *d, struct str *out, struct error *err)
{
	if (!d->kind->describe)
		return error_usage(err, "network '%s' is '%s', which has no connections", d->id,
			d->kind->name);
	return d->kind->describe(d, out, err) || error_prefix(err, "network '%s'", d->id);
}

/* -------- open and close -------- */

static struct net_dev *dev_new(const char *id, uint32_t queues, struct error *err)
{
	struct net_dev *d = calloc(1, sizeof(*d));

	if (d)
		d->id = strdup(id);
	if (!d || !d->id) {
		error_set(err, "network '%s': out of memory", id);
		free(d);
		return NULL;
	}
	d->n_queues = queues;
	d->admin = d->carrier = true;
	loop_defer_init(&d->link_defer, tell_link, d);
	for (uint32_t i = 0; i < NET_QUEUES_MAX; i++) {
		d->queue[i].dev = d;
		d->queue[i].fd = d->queue[i].tx_fd = -1;
		d->queue[i].vhost_fd = -1;
		loop_fd_init(&d->queue[i].watch, -1, LOOP_IN, queue_event, &d->queue[i]);
	}
	return d;
}

static void set_limits(struct net_dev *d, const struct net_config *c)
{
	struct net_limit *rx = &d->limit[NET_RX], *tx = &d->limit[NET_TX];
	int64_t now = clock_mono_ns();

	d->limited = c->rx_rate || c->tx_rate || c->rx_pps || c->tx_pps;
	net_bucket_init(&rx->bytes, c->rx_rate, BURST_MIN, now);
	net_bucket_init(&tx->bytes, c->tx_rate, BURST_MIN, now);
	net_bucket_init(&rx->frames, c->rx_pps, BURST_MIN_PKT, now);
	net_bucket_init(&tx->frames, c->tx_pps, BURST_MIN_PKT, now);
}

static bool open_kind(struct net_dev *d, const struct net_config *c, struct error *err)
{
	d->kind = kinds[c->type];
	if (c->queues > 1 && c->type != NET_TAP)
		return error_usage(err, "queues=%u: only 'tap' has more than one", c->queues);
	if (!d->kind->open(d, c, err))
		return false;
	if (c->capture && !(d->capture = net_capture_open(c->capture, err)))
		return false;
	set_limits(d, c);
	return true;
}

struct net_dev *net_open(const struct net_config *c, struct loop *main_loop, struct error *err)
{
	struct net_dev *d = dev_new(c->id ?: "net", MAX(c->queues, 1u), err);

	if (!d)
		return NULL;
	d->main_loop = main_loop;
	if (open_kind(d, c, err))
		return d;
	error_prefix(err, "network '%s'", d->id);
	d->borrowed = (c->type == NET_TAP && c->u.tap.fds) ||
		      (c->type == NET_SOCKET && c->u.socket.fd >= 0);
	net_close(d);
	return NULL;
}

static void close_kind(struct net_dev *d, const struct net_kind *kind)
{
	if (kind && kind->close)
		kind->close(d);
	removal_do(d->file);
	net_capture_close(d->capture);
}

static void dev_free(struct net_dev *d)
{
	free(d->id);
	free(d);
}

void net_close(struct net_dev *d)
{
	if (!d)
		return;
	assert(!d->loop);
	close_kind(d, d->kind);
	dev_free(d);
}

/* -------- the network goes, the NIC stays -------- */

/* Nothing brings the carrier back. */
static void cut_carrier(void *opaque)
{
	struct net_dev *d = opaque;

	d->carrier = false;
	home_detach(d);
}

/* No queue is amid a frame any more; what the home loop does besides (offloads, pairs) goes nowhere from here on. The
 * NIC may have heard of it already, or of another change before. */
static void cut_kind(void *opaque)
{
	struct net_dev *d = opaque;

	d->kind = &net_none_kind;
	loop_defer_cancel(d->loop, &d->link_defer);
	tell_link(d);
}

void net_cut(struct net_dev *d)
{
	const struct net_kind *kind = d->kind;

	assert(d->loop && !d->cut);
	loop_call(d->loop, cut_carrier, d);
	others_detach(d);
	loop_call(d->loop, cut_kind, d);
	d->cut = true;
	close_kind(d, kind);
}

void net_drop(struct net_dev *d)
{
	if (d->cut)
		dev_free(d);
}

/* -------- none, and the tests' -------- */

static bool none_open(struct net_dev *d, const struct net_config *c, struct error *err)
{
	d->carrier = false;
	return true;
}

static int none_send(struct net_dev *d, unsigned int q, struct net_packet *p, int n)
{
	return n;
}

static ssize_t none_recv(
	struct net_dev *d, unsigned int q, struct vnet_hdr *h, struct iovec *iov, int n)
{
	return -EAGAIN;
}

const struct net_kind net_none_kind = {
	.name = "none",
	.open = none_open,
	.send = none_send,
	.recv = none_recv,
};

static bool test_open(struct net_dev *d, struct error *err)
{
	int fd[2], size = 1 << 20;

	for (uint32_t i = 0; i < d->n_queues; i++) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0)
			return error_set_errno(err, errno, "socketpair");
		setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		d->queue[i].fd = fd[0];
		d->queue[i].tx_fd = fd[1];
	}
	d->vnet = true;
	d->offloads = NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN;
	return true;
}

/* What does not go now is dropped: the descriptor that is watched is the other one. */
static int test_send(struct net_dev *d, unsigned int q, struct net_packet *p, int n)
{
	for (int i = net_message_send(d, q, p, n); i < n; i++)
		p[i].lost = true;
	return n;
}

static ssize_t test_recv(
	struct net_dev *d, unsigned int q, struct vnet_hdr *h, struct iovec *iov, int n)
{
	return net_message_recv(d, q, h, iov, n);
}

static void test_close(struct net_dev *d)
{
	for (uint32_t i = 0; i < d->n_queues; i++) {
		if (d->queue[i].fd >= 0)
			close(d->queue[i].fd);
		if (d->queue[i].tx_fd >= 0)
			close(d->queue[i].tx_fd);
	}
}

struct net_dev *net_open_test(struct error *err)
{
	static const struct net_kind kind = {
		.name = "test",
		.close = test_close,
		.send = test_send,
		.recv = test_recv,
	};
	struct net_dev *d = dev_new("test", 2, err);

	if (!d)
		return NULL;
	d->kind = &kind;
	if (test_open(d, err))
		return d;
	net_close(d);
	return NULL;
}
