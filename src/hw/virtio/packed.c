// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * packed - the packed ring (virtio 1.2, 2.8).
 *
 * One array of descriptors that both sides walk in a circle, each with a wrap counter that starts
 * at 1 and flips at the array's end. A descriptor is available when its AVAIL bit equals our wrap
 * counter and its USED bit doesn't; the device writes a used descriptor over the first place of the
 * oldest chain not yet answered and makes both bits equal to its own used wrap counter. A chain
 * lies in consecutive places; its last descriptor carries the buffer id.
 *
 *   descriptor: le64 addr, le32 len, le16 id, le16 flags
 *   driver and device area: le16 position | wrap << 15, le16 flags
 *
 * Ordering. (1) The head's flags are loaded with acquire: pairs with the driver's write barrier
 * before it stores them, last of the whole chain. (2) Our flags are stored with release: pairs with
 * the driver's read barrier after it has seen them. (3) Full fences as in split.c.
 *
 * Positions here are `place | wrap << 15`. Invariant: the descriptors that are out (desc_out) plus
 * those of a new chain are at most size, so we never overwrite one that isn't answered.
 */
#include "hw/virtio/virtqueue_int.h"

#define DESC_LEN   8
#define DESC_ID	   12
#define DESC_FLAGS 14

#define F_AVAIL (1u << 7)
#define F_USED	(1u << 15)

#define EVENT_POS   0
#define EVENT_FLAGS 2

enum event_flags { EVENT_ENABLE = 0, EVENT_DISABLE = 1, EVENT_DESC = 2 };

#define WRAP 0x8000u

static uint16_t place(uint16_t pos)
{
	return pos & (WRAP - 1);
}

/* @n <= size places further. */
static uint16_t pos_add(const struct virtqueue *q, uint16_t pos, uint16_t n)
{
	uint32_t p = place(pos) + n;

	if (p >= q->size)
		return (uint16_t)((p - q->size) | (~pos & WRAP));
	return (uint16_t)(p | (pos & WRAP));
}

static uint16_t pos_sub(const struct virtqueue *q, uint16_t pos, uint16_t n)
{
	uint16_t p = place(pos);

	if (p < n)
		return (uint16_t)((p + q->size - n) | (~pos & WRAP));
	return (uint16_t)((p - n) | (pos & WRAP));
}

static bool is_avail(uint16_t flags, uint16_t pos)
{
	bool wrap = pos & WRAP;

	return !!(flags & F_AVAIL) == wrap && !!(flags & F_USED) != wrap;
}

static uint8_t *desc_at(const struct virtqueue *q, uint16_t pos)
{
	return q->desc_area.host + VQ_DESC_SIZE * place(pos);
}

bool packed_empty(const struct virtqueue *q)
{
	uint16_t pos = q->last_avail;

	return !is_avail(gmem_load_acquire_le16(desc_at(q, pos) + DESC_FLAGS), pos); /* (1) */
}

/* All descriptors of a table, one after the other; only WRITE means something in their flags. */
static int collect_indirect(struct vq_walk *w, const struct vq_desc *head)
{
	struct vq_table t;
	struct vq_desc d;
	int rc = vq_table_open(w, head->addr, head->len, &t);

	for (uint32_t i = 0; !rc && i < t.n; i++) {
		rc = vq_table_read(w->as, &t, i, &d);
		if (!rc && (d.half14 & VQ_DESC_INDIRECT))
			rc = -EPROTO;
		if (!rc)
			rc = vq_walk_add(w, d.addr, d.len, d.half14 & VQ_DESC_WRITE);
	}
	return rc;
}

int packed_pop(struct virtqueue *q, struct vq_walk *w)
{
	struct vq_chain *c = w->c;
	uint16_t pos = q->last_avail, left = q->size - q->desc_out;
	struct vq_desc d;
	int rc;

	/* vq_pop() has seen the head's flags through packed_empty(): (1). */
	for (; left; left--) {
		d = vq_desc_load(desc_at(q, pos));
		/* The driver publishes a chain's followers before its head. */
		if (!is_avail(d.half14, pos))
			return -EPROTO;
		pos = pos_add(q, pos, 1);
		c->n_desc++;
		if (d.half14 & VQ_DESC_INDIRECT) {
			if (!q->indirect || (d.half14 & VQ_DESC_NEXT))
				return -EPROTO;
			rc = collect_indirect(w, &d);
		} else {
			rc = vq_walk_add(w, d.addr, d.len, d.half14 & VQ_DESC_WRITE);
		}
		if (rc < 0)
			return rc;
		if (d.half14 & VQ_DESC_NEXT)
			continue;
		c->head = d.half12;
		q->last_avail = pos;
		q->desc_out += c->n_desc;
		return 1;
	}
	return -EPROTO; /* more than the ring holds */
}

/* The used descriptor of @c at @pos: the store of its flags shows it to the driver. */
static void put_used(struct virtqueue *q, uint16_t pos, const struct vq_chain *c, uint32_t written)
{
	uint8_t *p = desc_at(q, pos);
	uint16_t flags = pos & WRAP ? F_AVAIL | F_USED : 0;

	gmem_store_le32(p + DESC_LEN, written);
	gmem_store_le16(p + DESC_ID, c->head);
	if (written)
		flags |= VQ_DESC_WRITE;
	gmem_store_release_le16(p + DESC_FLAGS, flags); /* (2) */
	vq_area_dirty(&q->desc_area, VQ_DESC_SIZE * place(pos), VQ_DESC_SIZE);
}

static void account_used(struct virtqueue *q, const struct vq_chain *c)
{
	q->used_idx = pos_add(q, q->used_idx, c->n_desc);
	q->desc_out -= c->n_desc;
	vq_count_unsignalled(q, c->n_desc);
}

void packed_push(struct virtqueue *q, const struct vq_chain *c, uint32_t written)
{
	put_used(q, q->used_idx, c, written);
	account_used(q, c);
}

/* The first one last: the driver looks at the used descriptors in their order. */
void packed_push_all(struct virtqueue *q, const struct vq_chain *c, const uint32_t *written, int n)
{
	uint16_t first = q->used_idx;

	account_used(q, &c[0]);
	for (int i = 1; i < n; i++) {
		put_used(q, q->used_idx, &c[i], written[i]);
		account_used(q, &c[i]);
	}
	put_used(q, first, &c[0], written[0]);
}

void packed_unpop(struct virtqueue *q, uint16_t n_desc)
{
	q->last_avail = pos_sub(q, q->last_avail, n_desc);
	q->desc_out -= n_desc;
}

void packed_set_notify(struct virtqueue *q, bool on)
{
	uint8_t *p = q->used_area.host;
	uint16_t flags = EVENT_DISABLE;

	if (on) {
		flags = EVENT_ENABLE;
		if (q->event_idx) {
			/* Release on the flags below: the driver reads flags, then the position. */
			gmem_store_le16(p + EVENT_POS, q->last_avail);
			flags = EVENT_DESC;
		}
	}
	gmem_store_release_le16(p + EVENT_FLAGS, flags);
	vq_area_dirty(&q->used_area, 0, 4);
	if (on)
		atomic_thread_fence(memory_order_seq_cst); /* (3) */
}

bool packed_should_signal(struct virtqueue *q, uint32_t n_used)
{
	const uint8_t *p = q->avail_area.host;
	uint16_t flags, event, now = place(q->used_idx);

	atomic_thread_fence(memory_order_seq_cst); /* (3) */
	/* Acquire: the driver stores the position first, then the flags that say it is valid. */
	flags = gmem_load_acquire_le16(p + EVENT_FLAGS) & 3;
	if (flags == EVENT_DISABLE)
		return false;
	if (flags != EVENT_DESC || !q->event_idx || n_used >= q->size)
		return true;
	event = gmem_load_le16(p + EVENT_POS);
	/* Make places of the previous lap negative, so that the comparison is the split ring's. */
	if ((event ^ q->used_idx) & WRAP)
		return vq_event_passed((uint16_t)(place(event) - q->size), now, now - n_used);
	return vq_event_passed(place(event), now, now - n_used);
}
