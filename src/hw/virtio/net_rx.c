// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-net, reception: frames are read from the back end straight into the driver's buffers.
 *
 * 1. How long a frame will be is not known before it is read. So chains are popped until there is room for
 *    the longest that may come; what a frame did not need stays for the next one, and is given back
 *    (vq_unpop) at the end of the turn. No chain is out between turns.
 *    Popping some forty buffers for a frame of sixty bytes costs more than all else, so after a run of short frames there is
 *    room for a short one only; a long one then lies in the room and behind it, and is copied together, once.
 * 2. When the driver has not given that much, the frame is read into a buffer of ours and copied as soon as
 *    there is room for it; a driver whose whole ring is too small for it loses it.
 * 3. A frame over several buffers becomes visible at once (vq_push_all): its driver may be polling.
 * 4. Kicks are off (q->quiet) while there are buffers. Only a queue that has run out arms them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/trace.h"
#include "hw/virtio/net_int.h"

#define TURN_FRAMES 256
#define JUMBO_MAX   9234u /* without segmentation offload: the longest frame of a jumbo network */
#define SHORT_MAX   1518u /* fits into one buffer of Linux's driver */
#define SHORT_RUN   8

enum outcome { RX_GOT, RX_NONE, RX_NO_ROOM, RX_BROKEN };

bool rx_queue_make(struct rx_queue *r)
{
	r->chain = calloc(VQ_SIZE_MAX, sizeof(*r->chain));
	r->iov = calloc(RX_IOVS, sizeof(*r->iov));
	r->into = calloc(RX_IOVS, sizeof(*r->into));
	r->bounce = malloc(NET_FRAME_MAX);
	return r->chain && r->iov && r->into && r->bounce;
}

void rx_queue_free(struct rx_queue *r)
{
	free(r->chain);
	free(r->iov);
	free(r->into);
	free(r->bounce);
}

/* -------- room -------- */

static void compact(struct rx_queue *r)
{
	memmove(r->chain, r->chain + r->first, r->n * sizeof(*r->chain));
	memmove(r->iov, r->iov + r->iov_first, r->iov_n * sizeof(*r->iov));
	for (uint32_t i = 0; i < r->n; i++)
		r->chain[i].iov -= r->iov_first;
	r->first = r->iov_first = 0;
}

/* Pop one more chain. RX_GOT, RX_NO_ROOM: there is none, RX_BROKEN. */
static enum outcome room_more(struct virtio_net *s, struct rx_queue *r, struct virtqueue *q)
{
	struct vq_chain *c;
	int rc;

	if (r->first + r->n >= VQ_SIZE_MAX || r->iov_first + r->iov_n + VQ_IOV_MAX > RX_IOVS)
		compact(r);
	c = &r->chain[r->first + r->n];
	c->iov = r->iov + r->iov_first + r->iov_n;
	rc = vq_pop(q, c, VQ_IOV_MAX);
	if (!rc)
		return RX_NO_ROOM;
	if (rc < 0 || c->n_out || c->in_len < sizeof(struct vnet_hdr)) {
		virtio_break(&s->v,
			rc < 0 ? "queue %u is damaged"
			       : "queue %u: a buffer that a packet cannot use",
			q->index);
		return RX_BROKEN;
	}
	r->n++;
	r->iov_n += (uint32_t)c->n_in;
	r->bytes += c->in_len;
	return RX_GOT;
}

/* Have room for @need bytes: in one chain, or with mergeable buffers in as many as it takes. */
static enum outcome room_make(
	struct virtio_net *s, struct rx_queue *r, struct virtqueue *q, uint64_t need)
{
	bool merge = virtio_has(&s->v, F_MRG_RXBUF);

	while (merge ? r->bytes < need : !r->n) {
		enum outcome o = r->iov_n < NET_IOV_MAX - 2 ? room_more(s, r, q) : RX_NO_ROOM;

		if (o != RX_GOT)
			return o;
	}
	return RX_GOT;
}

/* The turn is over: what is left goes back, newest first. */
static void room_return(struct rx_queue *r, struct virtqueue *q)
{
	while (r->n)
		vq_unpop(q, &r->chain[r->first + --r->n]);
	r->first = r->iov_first = r->iov_n = 0;
	r->bytes = 0;
}

/* -------- a frame into the room -------- */

/* The iovecs of the room without the first @skip bytes, into ->into[1..]. Returns how many. */
static int room_iov(struct virtio_net *s, struct rx_queue *r, size_t skip)
{
	uint32_t count = virtio_has(&s->v, F_MRG_RXBUF) ? r->iov_n
							: (uint32_t)r->chain[r->first].n_in;
	int n = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct iovec v = r->iov[r->iov_first + i];
		size_t cut = MIN(skip, v.iov_len);

		skip -= cut;
		if (v.iov_len > cut)
			r->into[1 + n++] = (struct iovec){ (uint8_t *)v.iov_base + cut,
				v.iov_len - cut };
	}
	return n;
}

/* Bytes for a frame. */
static uint64_t room_bytes(const struct virtio_net *s, const struct rx_queue *r)
{
	uint64_t all = virtio_has(&s->v, F_MRG_RXBUF) ? r->bytes : r->chain[r->first].in_len;

	return all - sizeof(struct vnet_hdr);
}

/* Give the driver @len bytes that are in the room, with @h before them (point 3). */
static enum outcome room_push(struct virtio_net *s, struct rx_queue *r, struct virtqueue *q,
	struct vnet_hdr *h, uint32_t len)
{
	struct vq_chain *c = &r->chain[r->first];
	uint32_t written[NET_IOV_MAX], left = len + (uint32_t)sizeof(*h), n = 0;

	do {
		written[n] = (uint32_t)MIN(c[n].in_len, left);
		left -= written[n];
		r->iov_first += (uint32_t)c[n].n_in;
		r->iov_n -= (uint32_t)c[n].n_in;
		r->bytes -= c[n].in_len;
		n++;
	} while (left);
	r->moved += len;
	h->num_buffers = le16_of((uint16_t)n);
	vq_chain_write(c, 0, h, sizeof(*h));
	r->first += n;
	r->n -= n;
	TRACE3(virtio_net, rx, q->index, len, n);
	if (vq_push_all(q, c, written, (int)n) == 0)
		return RX_GOT;
	virtio_break(&s->v, "queue %u is damaged", q->index);
	return RX_BROKEN;
}

/* May the driver be given this frame? */
static bool header_allowed(const struct virtio_net *s, struct vnet_hdr *h)
{
	uint8_t gso = h->gso_type & (uint8_t)~VNET_GSO_ECN;

	if (!(s->offloads & NET_CSUM)) {
		if (h->flags & VNET_F_NEEDS_CSUM)
			return false;
		h->flags = 0;
	}
	if (h->gso_type & VNET_GSO_ECN && !(s->offloads & NET_ECN))
		return false;
	return gso == VNET_GSO_NONE || (gso == VNET_GSO_TCPV4 && s->offloads & NET_TSO4) ||
	       (gso == VNET_GSO_TCPV6 && s->offloads & NET_TSO6);
}

static uint32_t longest(const struct virtio_net *s)
{
	return s->offloads & (NET_TSO4 | NET_TSO6) ? NET_FRAME_MAX : JUMBO_MAX;
}

/* Is there room for a short frame only? */
static bool expects_short(const struct virtio_net *s, const struct rx_queue *r)
{
	return r->short_run >= SHORT_RUN && virtio_has(&s->v, F_MRG_RXBUF);
}

static void count_short(struct rx_queue *r, size_t len)
{
	if (len > SHORT_MAX)
		r->short_run = 0;
	else if (r->short_run < SHORT_RUN)
		r->short_run++;
}

/* -------- with a copy (point 2) -------- */

/* Nothing of the room was used in the end; its bytes were. */
static void room_spoiled(struct virtio_net *s, struct rx_queue *r, uint64_t len)
{
	len += sizeof(struct vnet_hdr);
	for (uint32_t i = 0; i < r->n && len; i++) {
		const struct vq_chain *c = &r->chain[r->first + i];

		vq_mark_written(&s->v.pci.dev.machine->mem, c, len);
		len -= MIN(len, c->in_len);
	}
}

static enum outcome bounce_deliver(struct virtio_net *s, struct rx_queue *r, struct virtqueue *q)
{
	uint32_t len = r->bounced, done = 0;
	enum outcome o = room_make(s, r, q, len + sizeof(struct vnet_hdr));
	int n;

	if (o == RX_NO_ROOM && r->n < q->size && r->iov_n < NET_IOV_MAX - 2)
		return o;
	r->bounced = 0;
	if (o != RX_GOT || len > room_bytes(s, r)) {
		net_rx_dropped(s->net, q->index / 2u);
		return o == RX_BROKEN ? o : RX_GOT; /* will never fit: lost */
	}
	n = room_iov(s, r, sizeof(struct vnet_hdr));
	for (int i = 0; i < n && done < len; i++) {
		size_t take = MIN(r->into[1 + i].iov_len, len - done);

		memcpy(r->into[1 + i].iov_base, r->bounce + done, take);
		done += (uint32_t)take;
	}
	return room_push(s, r, q, &r->hdr, len);
}

static enum outcome bounce_receive(
	struct virtio_net *s, struct rx_queue *r, struct virtqueue *q, unsigned int pair)
{
	ssize_t len;

	r->into[1] = (struct iovec){ r->bounce, NET_FRAME_MAX };
	len = net_recv(s->net, pair, &r->hdr, r->into + 1, 1);
	if (len < 0)
		return RX_NONE;
	if (!rx_wanted(s, r->bounce, (size_t)len) || !header_allowed(s, &r->hdr))
		return RX_GOT;
	count_short(r, (size_t)len);
	r->bounced = (uint32_t)len;
	return bounce_deliver(s, r, q);
}

/* The @len bytes of a frame that lies in the room and behind it, in ->bounce. Some were written to
 * the driver's memory all the same. */
static void bounce_together(
	struct virtio_net *s, struct rx_queue *r, int n, uint64_t room, uint64_t len)
{
	size_t done = 0;

	room_spoiled(s, r, room);
	memmove(r->bounce + room, r->bounce, len - room);
	for (int i = 0; i < n; i++) {
		memcpy(r->bounce + done, r->into[1 + i].iov_base, r->into[1 + i].iov_len);
		done += r->into[1 + i].iov_len;
	}
}

/* -------- straight -------- */

/* The first bytes of a frame that was read: enough for the filter. */
static size_t head_of(const struct rx_queue *r, int n, size_t len, uint8_t *head, size_t size)
{
	size_t got = 0;

	for (int i = 0; i <= n && got < MIN(size, len); i++) {
		size_t take = MIN(MIN(r->into[1 + i].iov_len, size - got), len - got);

		memcpy(head + got, r->into[1 + i].iov_base, take);
		got += take;
	}
	return got;
}

static enum outcome receive(
	struct virtio_net *s, struct rx_queue *r, struct virtqueue *q, unsigned int pair)
{
	int n = room_iov(s, r, sizeof(struct vnet_hdr));
	uint64_t room = room_bytes(s, r);
	bool more, wanted;
	struct vnet_hdr h;
	uint8_t head[18];
	ssize_t len;

	/* Behind the room: what is too long shows itself. */
	r->into[1 + n] = (struct iovec){ r->bounce, NET_FRAME_MAX };
	len = net_recv(s->net, pair, &h, r->into + 1, n + 1);
	if (len < 0)
		return RX_NONE;
	more = expects_short(s, r) && (uint64_t)len <= longest(s);
	count_short(r, (size_t)len);
	wanted = rx_wanted(s, head, head_of(r, n, (size_t)len, head, sizeof(head))) &&
		 header_allowed(s, &h);
	if (wanted && (uint64_t)len <= room)
		return room_push(s, r, q, &h, (uint32_t)len);
	if (wanted && more) {
		bounce_together(s, r, n, room, (uint64_t)len);
		r->hdr = h;
		r->bounced = (uint32_t)len;
		return bounce_deliver(s, r, q);
	}
	if ((uint64_t)len > room)
		net_rx_dropped(s->net, pair);
	room_spoiled(s, r, (uint64_t)len);
	return RX_GOT;
}

static enum outcome rx_one(
	struct virtio_net *s, struct rx_queue *r, struct virtqueue *q, unsigned int pair)
{
	enum outcome o;

	if (r->bounced)
		return bounce_deliver(s, r, q);
	o = room_make(
		s, r, q, (expects_short(s, r) ? SHORT_MAX : longest(s)) + sizeof(struct vnet_hdr));
	if (o == RX_GOT && r->iov_n < NET_IOV_MAX - 2)
		return receive(s, r, q, pair);
	/* A driver that has given nothing at all: leave the frame where it is. */
	if (o != RX_BROKEN && r->n)
		return bounce_receive(s, r, q, pair);
	return o;
}

/* A card without a driver hears nothing: frames that waited for one would be old, and a peer must not be held
 * back by a guest that is just booting. False: there may be more. */
static bool rx_drop(struct virtio_net *s, unsigned int pair)
{
	struct rx_queue *r = &s->pair[pair].rx;
	struct vnet_hdr h;

	for (int i = 0; i < TURN_FRAMES; i++) {
		r->into[1] = (struct iovec){ r->bounce, NET_FRAME_MAX };
		if (net_recv(s->net, pair, &h, r->into + 1, 1) < 0)
			return true;
		net_rx_dropped(s->net, pair);
	}
	return false;
}

void rx_forget(struct virtio_net *s, unsigned int pair)
{
	struct net_pair *p = &s->pair[pair];

	if (p->stale)
		p->stale = !net_vhost_runs(s, pair) && !rx_drop(s, pair);
}

void rx_turn(struct virtio_net *s, unsigned int pair)
{
	struct virtqueue *q = &s->v.vq[2 * pair];
	struct rx_queue *r = &s->pair[pair].rx;
	enum outcome o = RX_BROKEN;
	int left = TURN_FRAMES;

	if (!s->v.started && !s->v.quiesced) {
		rx_drop(s, pair);
		return;
	}
	rx_forget(s, pair);
	if (s->pair[pair].stale) /* a flood: the back end says again that it is readable */
		return;
	if (pair >= s->pairs) { /* its queue may be the control queue */
		net_rx_enable(s->net, pair, false);
		return;
	}
	r->moved = 0;
	/* Armed while all chains are out, so that it is the next buffer that brings the kick. */
	while (virtio_queue_live(&s->v, q) && left--) {
		o = rx_one(s, r, q, pair);
		if (o == RX_NONE || o == RX_BROKEN || (o == RX_NO_ROOM && !vq_set_notify(q, true)))
			break;
	}
	room_return(r, q);
	loop_moved(pair_loop(s, pair), r->moved);
	virtio_notify(&s->v, q);
	q->quiet = true;
	if (o != RX_NO_ROOM)
		vq_set_notify(q, false);
	net_rx_enable(s->net, pair, o == RX_NONE || o == RX_GOT);
	if (left < 0 && virtio_queue_live(&s->v, q))
		virtio_kick(&s->v, q->index);
}
