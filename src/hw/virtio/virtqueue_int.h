// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtqueue_int - what the two ring layouts share: collecting a chain's buffers, indirect tables,
 * dirty marking. Private to virtqueue.c, split.c and packed.c.
 */
#ifndef HW_VIRTIO_VIRTQUEUE_INT_H
#define HW_VIRTIO_VIRTQUEUE_INT_H

#include <errno.h>
#include "hw/virtio/virtqueue.h"
#include "mem/gmem.h"

/* Descriptor flags (virtio 1.2, 2.7.5 and 2.8.1). */
#define VQ_DESC_NEXT	 1u
#define VQ_DESC_WRITE	 2u
#define VQ_DESC_INDIRECT 4u
#define VQ_DESC_SIZE	 16u

/* A descriptor of either layout. The last two fields swap places in a packed ring. */
struct vq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t half12, half14; /* split: flags, next. packed: id, flags */
};

/* A chain being collected. */
struct vq_walk {
	struct as *as;
	struct vq_chain *c;
	int n, max;		     /* iovecs used and allowed */
	const struct as_range *near; /* where the last buffer was; inside vq_pop's read section */
	bool writing; /* a writable descriptor was seen: no readable one may follow */
};

/* An indirect table: @host when it lies in one piece and is aligned, otherwise read by copies. */
struct vq_table {
	const uint8_t *host;
	uint64_t addr;
	uint32_t n; /* descriptors */
};

/* Read a descriptor exactly once. @p is 8-byte aligned. */
static inline struct vq_desc vq_desc_load(const void *p)
{
	uint64_t word = gmem_load_le64((const uint8_t *)p + 8);

	return (struct vq_desc){
		.addr = gmem_load_le64(p),
		.len = (uint32_t)word,
		.half12 = (uint16_t)(word >> 32),
		.half14 = (uint16_t)(word >> 48),
	};
}

/* Add a buffer to the chain. 0 or -EPROTO. */
static inline __attribute__((always_inline)) int vq_walk_add(
	struct vq_walk *w, uint64_t addr, uint32_t len, bool write)
{
	struct vq_chain *c = w->c;
	int before = w->n;

	if (!write && w->writing)
		return -EPROTO;
	w->writing = write;
	if (!len)
		return 0; /* legal, and nothing to do */
	if (c->out_len + c->in_len + len > UINT32_MAX)
		return -EPROTO;
	if (gmem_iov_near(w->as, &w->near, GPA(addr), len, write, c->iov, &w->n, w->max) < 0)
		return -EPROTO;
	if (write) {
		c->n_in += w->n - before;
		c->in_len += len;
	} else {
		c->n_out += w->n - before;
		c->out_len += len;
	}
	return 0;
}

/* The table that an INDIRECT descriptor names: 1..VQ_SIZE_MAX descriptors. 0 or -EPROTO.
 * SPEC: 2.7.5.3.1 allows a driver no more descriptors in it than the queue has; Linux goes beyond
 * that, so the queue's size is not enforced here. */
int vq_table_open(struct vq_walk *w, uint64_t addr, uint32_t len, struct vq_table *t);
/* Its descriptor @i < t->n. 0 or -EPROTO. */
int vq_table_copy(struct as *as, const struct vq_table *t, uint32_t i, struct vq_desc *d);
static inline int vq_table_read(
	struct as *as, const struct vq_table *t, uint32_t i, struct vq_desc *d)
{
	if (!t->host)
		return vq_table_copy(as, t, i, d);
	*d = vq_desc_load(t->host + VQ_DESC_SIZE * (size_t)i);
	return 0;
}

/* After a store of @len bytes at @off of a ring area. */
static inline void vq_area_dirty(const struct vq_area *a, uint64_t off, uint64_t len)
{
	if (__builtin_expect(ram_dirty_wanted(a->ram), 0))
		ram_dirty_mark(a->ram, a->off + off, len);
}

/* Has the step from @old to @new passed @event? (virtio 1.2, 2.7.10; all modulo 2^16.) */
static inline bool vq_event_passed(uint16_t event, uint16_t new_idx, uint16_t old_idx)
{
	return (uint16_t)(new_idx - event - 1) < (uint16_t)(new_idx - old_idx);
}

static inline void vq_count_unsignalled(struct virtqueue *q, uint32_t n)
{
	q->unsignalled = MIN(q->unsignalled + n, UINT16_MAX + 1u);
}

int split_pop(struct virtqueue *q, struct vq_walk *w);
void split_push(struct virtqueue *q, uint16_t head, uint32_t written);
void split_push_all(struct virtqueue *q, const struct vq_chain *c, const uint32_t *written, int n);
bool split_empty(struct virtqueue *q);
void split_set_notify(struct virtqueue *q, bool on);
bool split_should_signal(struct virtqueue *q, uint32_t n_used);

int packed_pop(struct virtqueue *q, struct vq_walk *w);
void packed_push(struct virtqueue *q, const struct vq_chain *c, uint32_t written);
void packed_push_all(struct virtqueue *q, const struct vq_chain *c, const uint32_t *written, int n);
void packed_unpop(struct virtqueue *q, uint16_t n_desc);
bool packed_empty(const struct virtqueue *q);
void packed_set_notify(struct virtqueue *q, bool on);
bool packed_should_signal(struct virtqueue *q, uint32_t n_used);

#endif
