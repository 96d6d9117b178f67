// SPDX-License-Identifier: GPL-2.0-or-later
/* virtqueue - what both ring layouts have in common; split.c and packed.c have the rest. */
#include "hw/virtio/virtqueue.h"

#include <assert.h>
#include <string.h>
#include "base/trace.h"
#include "hw/virtio/virtqueue_int.h"

void vq_init(struct virtqueue *q, struct as *as, uint16_t index, uint16_t max_size)
{
	assert(max_size >= 1 && max_size <= VQ_SIZE_MAX);
	memset(q, 0, sizeof(*q));
	q->as = as;
	q->index = index;
	q->max_size = max_size;
	vq_reset(q);
}

static void area_unmap(struct vq_area *a)
{
	ram_block_unref(a->ram);
	*a = (struct vq_area){ .host = NULL };
}

static void unmap_all(struct virtqueue *q)
{
	q->ready = false;
	area_unmap(&q->desc_area);
	area_unmap(&q->avail_area);
	area_unmap(&q->used_area);
}

void vq_fini(struct virtqueue *q)
{
	unmap_all(q);
}

void vq_reset(struct virtqueue *q)
{
	unmap_all(q);
	q->size = q->max_size;
	q->packed = q->event_idx = q->indirect = false;
	q->desc = q->avail = q->used = 0;
	q->msix_vector = 0xffff;
	q->last_avail = q->used_idx = q->avail_seen = 0;
	q->unsignalled = q->in_flight = q->desc_out = 0;
	q->notify_on = true;
	q->quiet = q->lent = false;
	q->budget = UINT32_MAX;
}

static int area_map(struct virtqueue *q, struct vq_area *a, uint64_t addr, uint32_t align,
	uint64_t len, bool write)
{
	if (addr & (align - 1))
		return -EINVAL;
	a->host = gmem_map(q->as, GPA(addr), len, write, &a->ram, &a->off);
	return a->host ? 0 : -EFAULT;
}

static int map_split(struct virtqueue *q)
{
	uint32_t event = q->event_idx ? 2 : 0;

	if (q->size & (q->size - 1))
		return -EINVAL;
	return area_map(q, &q->desc_area, q->desc, 16, VQ_DESC_SIZE * q->size, false)
		       ?: area_map(q, &q->avail_area, q->avail, 2, 4 + 2u * q->size + event, false)
		       ?: area_map(q, &q->used_area, q->used, 4, 4 + 8u * q->size + event, true);
}

static int map_packed(struct virtqueue *q)
{
	return area_map(q, &q->desc_area, q->desc, 16, VQ_DESC_SIZE * q->size, true)
		       ?: area_map(q, &q->avail_area, q->avail, 4, 4, false)
		       ?: area_map(q, &q->used_area, q->used, 4, 4, true);
}

static int map_all(struct virtqueue *q)
{
	int rc = -EINVAL;

	unmap_all(q);
	if (q->size && q->size <= q->max_size)
		rc = q->packed ? map_packed(q) : map_split(q);
	if (rc < 0)
		unmap_all(q);
	else
		q->ready = true;
	return rc;
}

int vq_enable(struct virtqueue *q)
{
	/* Both wrap counters of a packed ring start at 1. */
	q->last_avail = q->used_idx = q->avail_seen = q->packed ? 0x8000 : 0;
	q->unsignalled = q->in_flight = q->desc_out = 0;
	q->notify_on = true;
	return map_all(q);
}

int vq_restore(struct virtqueue *q)
{
	/* Nothing is out, so both sides stand at the same place. */
	if (q->last_avail != q->used_idx)
		return -EINVAL;
	if (q->packed && (q->last_avail & 0x7fff) >= q->size)
		return -EINVAL;
	q->avail_seen = q->last_avail;
	q->unsignalled = q->in_flight = q->desc_out = 0;
	q->notify_on = true;
	return map_all(q);
}

int vq_pop(struct virtqueue *q, struct vq_chain *c, int max)
{
	struct vq_walk w = { .as = q->as, .c = c, .max = max };
	int rc;

	if (!q->ready || !q->budget)
		return 0;
	q->drained = vq_empty(q) && !(q->notify_on && q->event_idx && vq_set_notify(q, true));
	if (q->drained)
		return 0;
	/* A driver cannot have more buffers out than it has descriptors. */
	if (q->in_flight >= q->size)
		return -EPROTO;
	c->n_desc = 0;
	c->n_out = c->n_in = 0;
	c->out_len = c->in_len = 0;
	as_read_begin(); /* one section for all look-ups */
	rc = q->packed ? packed_pop(q, &w) : split_pop(q, &w);
	as_read_end();
	if (rc > 0) {
		q->in_flight++;
		q->budget -= q->budget != UINT32_MAX;
		TRACE3(virtio, pop, q->index, c->head, c->n_desc);
	}
	return rc;
}

/* The chain holds no guest addresses, and the guest may have rewritten its descriptors: find the
 * blocks by host address. */
__attribute__((noinline)) void vq_mark_written(
	struct as *as, const struct vq_chain *c, uint64_t len)
{
	const struct iovec *v = c->iov + c->n_out;
	const struct as_snapshot *s;

	as_read_begin();
	s = atomic_load_explicit(&as->current, memory_order_seq_cst);
	for (int i = 0; i < c->n_in && len; i++) {
		const uint8_t *p = v[i].iov_base, *end = p + MIN(v[i].iov_len, len);

		len -= (uint64_t)(end - p);
		for (uint32_t k = 0; k < s->n; k++) {
			const struct as_range *r = &s->r[k];
			const uint8_t *from = MAX(p, (const uint8_t *)r->host);
			const uint8_t *to = r->host ? MIN(end, r->host + r->size) : from;

			if (from < to)
				ram_dirty_mark(r->ram, r->ram_off + (uint64_t)(from - r->host),
					(uint64_t)(to - from));
		}
	}
	as_read_end();
}

int vq_push(struct virtqueue *q, const struct vq_chain *c, uint32_t written)
{
	if (!q->ready || !q->in_flight || c->n_desc > q->size ||
		(q->packed && c->n_desc > q->desc_out)) {
		vq_mark_written(q->as, c, written);
		return -EPROTO;
	}
	/* The dirty log and the words of decoded code are on for all blocks or for none. */
	if (written && ram_dirty_wanted(q->used_area.ram))
		vq_mark_written(q->as, c, written);
	TRACE3(virtio, push, q->index, c->head, written);
	if (q->packed)
		packed_push(q, c, written);
	else
		split_push(q, c->head, written);
	q->in_flight--;
	return 0;
}

int vq_push_all(struct virtqueue *q, const struct vq_chain *c, const uint32_t *written, int n)
{
	uint32_t descs = 0;

	for (int i = 0; i < n; i++)
		descs += c[i].n_desc;
	if (!q->ready || q->in_flight < (uint32_t)n || (q->packed && descs > q->desc_out)) {
		for (int i = 0; i < n; i++)
			vq_mark_written(q->as, &c[i], written[i]);
		return -EPROTO;
	}
	for (int i = 0; i < n && ram_dirty_wanted(q->used_area.ram); i++)
		vq_mark_written(q->as, &c[i], written[i]);
	TRACE3(virtio, push_all, q->index, c[0].head, n);
	if (q->packed)
		packed_push_all(q, c, written, n);
	else
		split_push_all(q, c, written, n);
	q->in_flight -= (uint32_t)n;
	return 0;
}

void vq_unpop(struct virtqueue *q, const struct vq_chain *c)
{
	if (!q->ready || !q->in_flight)
		return;
	q->in_flight--;
	q->drained =
		false; /* whoever has no room now will come back, also for what comes behind it */
	q->budget += q->budget != UINT32_MAX;
	if (q->packed)
		packed_unpop(q, c->n_desc);
	else
		q->last_avail--;
}

bool vq_empty(struct virtqueue *q)
{
	if (!q->ready)
		return true;
	return q->packed ? packed_empty(q) : split_empty(q);
}

bool vq_set_notify(struct virtqueue *q, bool on)
{
	if (!q->ready || (!on && !q->notify_on))
		return false;
	q->notify_on = on;
	if (q->packed)
		packed_set_notify(q, on);
	else
		split_set_notify(q, on);
	return on && !vq_empty(q);
}

void vq_lend(struct virtqueue *q)
{
	assert(q->ready && !q->in_flight);
	q->lent = true;
}

void vq_take_back(struct virtqueue *q, uint16_t position)
{
	q->lent = q->quiet = false;
	/* What was taken was given back, and what the other one last asked of the driver is not known. */
	q->last_avail = q->used_idx = q->avail_seen = position;
	q->unsignalled = 0;
	q->notify_on = true;
}

bool vq_should_signal(struct virtqueue *q)
{
	uint32_t n = q->unsignalled;

	if (!q->ready || !n)
		return false;
	q->unsignalled = 0;
	return q->packed ? packed_should_signal(q, n) : split_should_signal(q, n);
}

int vq_table_open(struct vq_walk *w, uint64_t addr, uint32_t len, struct vq_table *t)
{
	struct iovec v[2];
	int n = 0;

	*t = (struct vq_table){ .addr = addr, .n = len / VQ_DESC_SIZE };
	if (!len || len % VQ_DESC_SIZE || t->n > VQ_SIZE_MAX)
		return -EPROTO;
	switch (gmem_iov_near(w->as, &w->near, GPA(addr), len, false, v, &n, 2)) {
	case 0:
		if (n == 1 && !((uintptr_t)v[0].iov_base & 7))
			t->host = v[0].iov_base;
		return 0;
	case -E2BIG: /* in many pieces */
		return 0;
	default:
		return -EPROTO;
	}
}

int vq_table_copy(struct as *as, const struct vq_table *t, uint32_t i, struct vq_desc *d)
{
	_Alignas(8) uint8_t copy[VQ_DESC_SIZE];

	if (gmem_read(as, GPA(t->addr + VQ_DESC_SIZE * (uint64_t)i), copy, sizeof(copy)) < 0)
		return -EPROTO;
	*d = vq_desc_load(copy);
	return 0;
}

/* Find byte @off: returns the iovec's number and what is left of @off in it. */
static int seek(const struct iovec *v, int n, uint64_t *off)
{
	int i = 0;

	while (i < n && *off >= v[i].iov_len)
		*off -= v[i++].iov_len;
	return i;
}

size_t vq_chain_read(const struct vq_chain *c, uint64_t off, void *buf, size_t len)
{
	size_t done = 0;

	for (int i = seek(c->iov, c->n_out, &off); i < c->n_out && done < len; i++, off = 0) {
		size_t n = MIN(c->iov[i].iov_len - off, len - done);

		memcpy((uint8_t *)buf + done, (const uint8_t *)c->iov[i].iov_base + off, n);
		done += n;
	}
	return done;
}

size_t vq_chain_write(const struct vq_chain *c, uint64_t off, const void *buf, size_t len)
{
	const struct iovec *v = c->iov + c->n_out;
	size_t done = 0;

	for (int i = seek(v, c->n_in, &off); i < c->n_in && done < len; i++, off = 0) {
		size_t n = MIN(v[i].iov_len - off, len - done);

		memcpy((uint8_t *)v[i].iov_base + off, (const uint8_t *)buf + done, n);
		done += n;
	}
	return done;
}
