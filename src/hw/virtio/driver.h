// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * driver - a small virtio driver for unit tests of devices: finds the device through configuration
 * space, negotiates, sets up split rings in guest memory, adds chains and waits for them; MSI-X
 * vector q + 1 is queue q's. Tests only; after hw/testing.h.
 */
#ifndef HW_VIRTIO_DRIVER_H
#define HW_VIRTIO_DRIVER_H

#include "base/clock.h"
#include "base/wire.h"
#include "hw/virtio/virtio.h"

#define DRV_QUEUES 64
#define DRV_SIZE   64	       /* descriptors a ring */
#define DRV_RINGS  0x100000ull /* guest memory for rings: 16 KiB a queue */
#define DRV_HEAP   0x200000ull /* and from here for buffers */

struct drv_buf {
	uint64_t addr;
	uint32_t len;
};

struct drv {
	struct test_machine *f;
	struct virtio_device *v;
	uint64_t bar;
	uint64_t features;
	struct {
		uint16_t avail, used_seen;
		uint16_t free[DRV_SIZE], n_free, chain_len[DRV_SIZE];
		uint16_t next[DRV_SIZE];
	} q[DRV_QUEUES];
};

static inline uint8_t *drv_mem(struct drv *d, uint64_t addr)
{
	return d->f->ram->host + addr;
}

static inline uint64_t drv_read(struct drv *d, uint64_t off, unsigned int size)
{
	uint8_t b[8] = { 0 };

	io_access_mem(d->f->m, d->bar + off, b, size, false);
	return rd_le(b, size);
}

static inline void drv_write(struct drv *d, uint64_t off, uint64_t value, unsigned int size)
{
	uint8_t b[8];

	wr_le(b, size, value);
	io_access_mem(d->f->m, d->bar + off, b, size, true);
}

static inline uint8_t drv_status(struct drv *d)
{
	return (uint8_t)drv_read(d, 0x14, 1);
}

static inline uint64_t drv_config(struct drv *d, uint32_t off, unsigned int size)
{
	return drv_read(d, 0x100 + off, size);
}

static inline uint64_t drv_offered(struct drv *d)
{
	uint64_t f;

	drv_write(d, 0, 0, 4);
	f = drv_read(d, 4, 4);
	drv_write(d, 0, 1, 4);
	return f | drv_read(d, 4, 4) << 32;
}

/* Let main's loop run for a moment; other loops run by themselves. */
static inline void drv_breathe(struct drv *d)
{
	loop_run_once(d->f->loop, 1);
}

#define DRV_UNTIL(d, cond)                                        \
	do {                                                      \
		int64_t end_ = clock_mono_ns() + 10 * NS_PER_SEC; \
		while (!(cond)) {                                 \
			drv_breathe(d);                           \
			if (clock_mono_ns() > end_)               \
				fail_msg("timed out: %s", #cond); \
		}                                                 \
	} while (0)

static inline void drv_nothing(void *opaque)
{
}

/* Until the device's loops have ended what they are at: an interrupt follows its used entry. */
static inline void drv_settle(struct drv *d)
{
	for (uint32_t i = 0; i < d->v->n_lanes; i++)
		loop_call(d->v->loops[i], drv_nothing, NULL);
}

static inline uint64_t drv_ring(unsigned int q)
{
	return DRV_RINGS + q * 0x4000ull;
}
#define DRV_AVAIL 0x1000
#define DRV_USED  0x2000

static inline void drv_queue_setup(struct drv *d, unsigned int q)
{
	uint64_t ring = drv_ring(q);

	memset(drv_mem(d, ring), 0, 0x4000);
	memset(&d->q[q], 0, sizeof(d->q[q]));
	for (uint16_t i = 0; i < DRV_SIZE; i++)
		d->q[q].free[d->q[q].n_free++] = i;
	drv_write(d, 0x16, q, 2);
	drv_write(d, 0x18, DRV_SIZE, 2);
	drv_write(d, 0x1a, q + 1, 2);
	drv_write(d, 0x20, ring, 8);
	drv_write(d, 0x28, ring + DRV_AVAIL, 8);
	drv_write(d, 0x30, ring + DRV_USED, 8);
	drv_write(d, 0x1c, 1, 2);
}

static inline void drv_reset(struct drv *d)
{
	drv_write(d, 0x14, 0, 1);
	DRV_UNTIL(d, drv_status(d) == 0);
}

/* Reset and start with those of @want that are offered (VERSION_1 always). */
static inline void drv_start(struct drv *d, uint64_t want)
{
	unsigned int n;

	drv_reset(d);
	drv_write(d, 0x14, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER, 1);
	d->features = drv_offered(d) & (want | BIT_ULL(VIRTIO_F_VERSION_1));
	for (unsigned int i = 0; i < 2; i++) {
		drv_write(d, 8, i, 4);
		drv_write(d, 12, d->features >> 32 * i & UINT32_MAX, 4);
	}
	drv_write(d, 0x14, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK, 1);
	assert_true(drv_status(d) & VIRTIO_S_FEATURES_OK);
	n = (unsigned int)drv_read(d, 0x12, 2);
	for (unsigned int q = 0; q < n && q < DRV_QUEUES; q++)
		drv_queue_setup(d, q);
	drv_write(d, 0x14, 15, 1);
	assert_int_equal(drv_status(d), 15);
}

/* Find the device, give it decoding, bus mastering and MSI-X. */
static inline void drv_probe(struct drv *d, struct test_machine *f, struct device *dev)
{
	struct pci_device *p = (struct pci_device *)dev;
	uint8_t cap;

	memset(d, 0, sizeof(*d));
	d->f = f;
	d->v = (struct virtio_device *)dev;
	pci_config_write(f->host, 0, p->devfn, 4, 6, 2);
	d->bar = pci_config_read(f->host, 0, p->devfn, 0x10, 4) & ~15u;
	d->bar |= (uint64_t)pci_config_read(f->host, 0, p->devfn, 0x14, 4) << 32;
	cap = (uint8_t)pci_config_read(f->host, 0, p->devfn, 0x34, 1);
	while (cap && pci_config_read(f->host, 0, p->devfn, cap, 1) != 0x11)
		cap = (uint8_t)pci_config_read(f->host, 0, p->devfn, cap + 1u, 1);
	assert_true(cap);
	for (uint32_t i = 0; i < p->msix.n; i++) {
		drv_write(d, 0x2000 + i * 16, 0xfee00000, 4);
		drv_write(d, 0x2004 + i * 16, 0, 4);
		drv_write(d, 0x2008 + i * 16, i, 4);
		drv_write(d, 0x200c + i * 16, 0, 4);
	}
	pci_config_write(f->host, 0, p->devfn, cap + 2u, 0x8000, 2);
}

static inline void drv_desc(uint8_t *at, const struct drv_buf *b, bool write, bool next, uint16_t n)
{
	wr_le64(at, b->addr);
	wr_le32(at + 8, b->len);
	wr_le16(at + 12, (uint16_t)(write * 2 + next));
	wr_le16(at + 14, n);
}

/* Put a chain into the ring: @n_out buffers to read, then @n_in to write. Returns its head. With
 * @table (guest memory) as an indirect descriptor. */
static inline uint16_t drv_add(
	struct drv *d, unsigned int q, const struct drv_buf *b, int n_out, int n_in, uint64_t table)
{
	uint8_t *ring = drv_mem(d, drv_ring(q));
	int n = n_out + n_in;
	uint16_t head, at;

	assert_true(d->q[q].n_free >= (table ? 1 : n));
	head = at = d->q[q].free[--d->q[q].n_free];
	d->q[q].chain_len[head] = (uint16_t)(table ? 1 : n);
	if (table) {
		for (int i = 0; i < n; i++)
			drv_desc(drv_mem(d, table) + i * 16, &b[i], i >= n_out, i < n - 1,
				(uint16_t)(i + 1));
		wr_le64(ring + head * 16, table);
		wr_le32(ring + head * 16 + 8, (uint32_t)n * 16);
		wr_le16(ring + head * 16 + 12, 4);
	}
	for (int i = 0; !table && i < n; i++) {
		uint16_t next = i < n - 1 ? d->q[q].free[--d->q[q].n_free] : 0;

		drv_desc(ring + at * 16, &b[i], i >= n_out, i < n - 1, next);
		d->q[q].next[at] = next;
		at = next;
	}
	wr_le16(ring + DRV_AVAIL + 4 + d->q[q].avail % DRV_SIZE * 2, head);
	d->q[q].avail++;
	__atomic_store_n((uint16_t *)(ring + DRV_AVAIL + 2), d->q[q].avail, __ATOMIC_SEQ_CST);
	return head;
}

static inline void drv_kick(struct drv *d, unsigned int q)
{
	drv_write(d, 0x1000 + q * 4, q, 2);
}

/* Take a used chain: its head, or -1. @len: bytes that the device says it has written. */
static inline int drv_used(struct drv *d, unsigned int q, uint32_t *len)
{
	uint8_t *used = drv_mem(d, drv_ring(q) + DRV_USED);
	uint16_t idx = __atomic_load_n((uint16_t *)(used + 2), __ATOMIC_SEQ_CST), head, at;

	if (idx == d->q[q].used_seen)
		return -1;
	head = (uint16_t)rd_le32(used + 4 + d->q[q].used_seen % DRV_SIZE * 8);
	if (len)
		*len = rd_le32(used + 8 + d->q[q].used_seen % DRV_SIZE * 8);
	d->q[q].used_seen++;
	assert_true(head < DRV_SIZE);
	at = head;
	for (uint16_t i = 0; i < d->q[q].chain_len[head]; i++) {
		uint16_t next = d->q[q].next[at];

		d->q[q].free[d->q[q].n_free++] = at;
		at = next;
	}
	return head;
}

/* Kick and wait for the next used chain. */
static inline int drv_wait(struct drv *d, unsigned int q, uint32_t *len)
{
	int head = -1;

	DRV_UNTIL(d, (head = drv_used(d, q, len)) >= 0);
	return head;
}

#endif
