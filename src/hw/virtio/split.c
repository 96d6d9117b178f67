// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * split - the split ring (virtio 1.2, 2.7).
 *
 * Three arrays in guest memory. The driver writes descriptors, puts the head of each chain into the
 * available ring, then raises avail->idx; the device answers in the used ring and raises used->idx.
 * Both indices run freely modulo 2^16; an entry's place is index modulo queue size.
 *
 *   avail: le16 flags, le16 idx, le16 ring[size], le16 used_event
 *   used:  le16 flags, le16 idx, { le32 id, le32 len } ring[size], le16 avail_event
 *
 * Ordering. (1) avail->idx is loaded with acquire: pairs with the driver's write barrier between
 * ring entry and index. (2) used->idx is stored with release: pairs with the driver's read barrier
 * after it. (3) A full fence stands between our store of used->idx and the load of the driver's
 * used_event or flags, and one between our store of avail_event or flags and the load of
 * avail->idx: each pairs with the driver's full barrier between its own store and load, so that at
 * least one side sees the other and no notification is lost.
 *
 * Invariant: avail_seen - last_avail <= size (checked when avail->idx is read).
 */
#include "hw/virtio/virtqueue_int.h"

#define AVAIL_FLAGS 0
#define AVAIL_IDX   2
#define AVAIL_RING  4
#define USED_FLAGS  0
#define USED_IDX    2
#define USED_RING   4

#define AVAIL_F_NO_INTERRUPT 1u
#define USED_F_NO_NOTIFY     1u

static uint8_t *avail_slot(const struct virtqueue *q, uint16_t idx)
{
	return q->avail_area.host + AVAIL_RING + 2u * (idx & (q->size - 1u));
}

/* used_event and avail_event stand behind the rings. */
static uint8_t *used_event(const struct virtqueue *q)
{
	return q->avail_area.host + AVAIL_RING + 2u * q->size;
}

static uint32_t avail_event_off(const struct virtqueue *q)
{
	return USED_RING + 8u * q->size;
}

/* How many chains are available; -EPROTO when the driver's index jumped. */
static int avail_count(struct virtqueue *q)
{
	uint16_t n = q->avail_seen - q->last_avail;

	if (n)
		return n;
	q->avail_seen = gmem_load_acquire_le16(q->avail_area.host + AVAIL_IDX); /* (1) */
	n = q->avail_seen - q->last_avail;
	if (n > q->size) {
		q->avail_seen = q->last_avail;
		return -EPROTO;
	}
	return n;
}

/* All buffers of an indirect table; a chain longer than the table loops. */
static int collect_indirect(struct vq_walk *w, const struct vq_desc *head)
{
	struct vq_table t;
	struct vq_desc d;
	uint32_t i = 0;
	int rc = vq_table_open(w, head->addr, head->len, &t);

	for (uint32_t left = t.n; !rc && left; left--) {
		rc = vq_table_read(w->as, &t, i, &d);
		if (!rc && (d.half12 & VQ_DESC_INDIRECT))
			rc = -EPROTO;
		if (!rc)
			rc = vq_walk_add(w, d.addr, d.len, d.half12 & VQ_DESC_WRITE);
		if (rc || !(d.half12 & VQ_DESC_NEXT))
			return rc;
		i = d.half14;
		if (i >= t.n)
			return -EPROTO;
	}
	return -EPROTO; /* longer than allowed: a loop */
}

int split_pop(struct virtqueue *q, struct vq_walk *w)
{
	struct vq_chain *c = w->c;
	struct vq_desc d;
	uint16_t i, head;
	int rc = avail_count(q);

	if (rc <= 0)
		return rc;
	i = head = gmem_load_le16(avail_slot(q, q->last_avail));
	for (uint16_t left = q->size; left && i < q->size; left--, i = d.half14) {
		d = vq_desc_load(q->desc_area.host + VQ_DESC_SIZE * i);
		c->n_desc++;
		if (d.half12 & VQ_DESC_INDIRECT) {
			if (!q->indirect || (d.half12 & VQ_DESC_NEXT))
				return -EPROTO;
			rc = collect_indirect(w, &d);
		} else {
			rc = vq_walk_add(w, d.addr, d.len, d.half12 & VQ_DESC_WRITE);
		}
		if (rc < 0)
			return rc;
		if (d.half12 & VQ_DESC_NEXT)
			continue;
		c->head = head;
		q->last_avail++;
		return 1;
	}
	return -EPROTO; /* an index outside the table, or a loop */
}

static void put_used(struct virtqueue *q, uint16_t at, uint16_t head, uint32_t written)
{
	uint32_t off = USED_RING + 8u * (at & (q->size - 1u));
	uint8_t *p = q->used_area.host + off;

	gmem_store_le32(p, head);
	gmem_store_le32(p + 4, written);
	vq_area_dirty(&q->used_area, off, 8);
}

static void publish_used(struct virtqueue *q, uint16_t n)
{
	q->used_idx += n;
	gmem_store_release_le16(q->used_area.host + USED_IDX, q->used_idx); /* (2) */
	vq_area_dirty(&q->used_area, USED_IDX, 2);
	vq_count_unsignalled(q, n);
}

void split_push(struct virtqueue *q, uint16_t head, uint32_t written)
{
	put_used(q, q->used_idx, head, written);
	publish_used(q, 1);
}

void split_push_all(struct virtqueue *q, const struct vq_chain *c, const uint32_t *written, int n)
{
	for (int i = 0; i < n; i++)
		put_used(q, (uint16_t)(q->used_idx + i), c[i].head, written[i]);
	publish_used(q, (uint16_t)n);
}

bool split_empty(struct virtqueue *q)
{
	return avail_count(q) == 0;
}

void split_set_notify(struct virtqueue *q, bool on)
{
	uint32_t off = q->event_idx ? avail_event_off(q) : USED_FLAGS;

	if (q->event_idx) {
		/* Off needs no write: the event stays behind the driver's index. */
		if (!on)
			return;
		gmem_store_le16(q->used_area.host + off, q->last_avail);
	} else {
		gmem_store_le16(q->used_area.host + off, on ? 0 : USED_F_NO_NOTIFY);
	}
	vq_area_dirty(&q->used_area, off, 2);
	if (on)
		atomic_thread_fence(memory_order_seq_cst); /* (3) */
}

bool split_should_signal(struct virtqueue *q, uint32_t n_used)
{
	atomic_thread_fence(memory_order_seq_cst); /* (3) */
	if (!q->event_idx)
		return !(gmem_load_le16(q->avail_area.host + AVAIL_FLAGS) & AVAIL_F_NO_INTERRUPT);
	if (n_used > UINT16_MAX)
		return true;
	return vq_event_passed(gmem_load_le16(used_event(q)), q->used_idx, q->used_idx - n_used);
}
