// SPDX-License-Identifier: GPL-2.0-or-later
/* virtio_testing - drivers for tests, an honest one and a hostile one. */
#include "hw/virtio/virtio_testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/random.h"
#include "base/wire.h"
#include "mem/gmem.h"

/* struct virtio_pci_common_cfg, as the specification lists it. */
#define C_DEVICE_FEATURE_SELECT 0x00
#define C_DEVICE_FEATURE	0x04
#define C_DRIVER_FEATURE_SELECT 0x08
#define C_DRIVER_FEATURE	0x0c
#define C_NUM_QUEUES		0x12
#define C_STATUS		0x14
#define C_QUEUE_SELECT		0x16
#define C_QUEUE_SIZE		0x18
#define C_QUEUE_ENABLE		0x1c
#define C_QUEUE_NOTIFY_OFF	0x1e
#define C_QUEUE_DESC		0x20
#define C_QUEUE_DRIVER		0x28
#define C_QUEUE_DEVICE		0x30

#define PATIENCE_NS (10 * NS_PER_SEC)

/* Guest RAM of the arena is shared with the device's thread: acquire and release, so that a race that
 * ThreadSanitizer finds is the device's. NULL: not in it, or not aligned. */
static uint8_t *shared(struct vt_driver *t, uint64_t addr, unsigned int size)
{
	if (addr < t->ram || addr - t->ram > t->ram_size - size || addr & (size - 1))
		return NULL;
	return t->ram_host + (addr - t->ram);
}

uint64_t vt_read(struct vt_driver *t, uint64_t addr, unsigned int size)
{
	uint8_t *p = shared(t, addr, size), b[8] = { 0 };

	if (p) {
		switch (size) {
		case 1:
			return __atomic_load_n(p, __ATOMIC_ACQUIRE);
		case 2:
			return le16toh(__atomic_load_n((uint16_t *)p, __ATOMIC_ACQUIRE));
		case 4:
			return le32toh(__atomic_load_n((uint32_t *)p, __ATOMIC_ACQUIRE));
		case 8:
			return le64toh(__atomic_load_n((uint64_t *)p, __ATOMIC_ACQUIRE));
		}
	}
	io_access_mem(t->m, addr, b, size, false);
	return rd_le64(b);
}

void vt_write(struct vt_driver *t, uint64_t addr, unsigned int size, uint64_t value)
{
	uint8_t *p = shared(t, addr, size), b[8];

	if (p) {
		switch (size) {
		case 1:
			__atomic_store_n(p, (uint8_t)value, __ATOMIC_RELEASE);
			return;
		case 2:
			__atomic_store_n((uint16_t *)p, htole16((uint16_t)value), __ATOMIC_RELEASE);
			return;
		case 4:
			__atomic_store_n((uint32_t *)p, htole32((uint32_t)value), __ATOMIC_RELEASE);
			return;
		case 8:
			__atomic_store_n((uint64_t *)p, htole64(value), __ATOMIC_RELEASE);
			return;
		}
	}
	wr_le64(b, value);
	io_access_mem(t->m, addr, b, size, true);
}

uint64_t vt_alloc(struct vt_driver *t, uint64_t len, uint64_t align)
{
	uint64_t at = ALIGN_UP(t->used_ram, align);

	if (at + len > t->ram_size)
		return 0;
	t->used_ram = at + len;
	if (gmem_fill(&t->m->mem, GPA(t->ram + at), 0, len) < 0)
		return 0;
	return t->ram + at;
}

/* -------- finding the device -------- */

/* The first range of at least 1 MiB of RAM; its first 64 KiB are left alone. */
static bool find_ram(struct vt_driver *t)
{
	const struct as_snapshot *s;
	struct ram_block *b;
	uint64_t off;

	as_read_begin();
	s = atomic_load_explicit(&t->m->mem.current, memory_order_seq_cst);
	for (uint32_t i = 0; i < s->n && !t->ram_size; i++) {
		if (s->r[i].kind != AS_RAM || s->r[i].size < MIB)
			continue;
		t->ram = s->r[i].start + 64 * KIB;
		t->ram_size = MIN(s->r[i].size, 8 * MIB) - 64 * KIB;
	}
	as_read_end();
	if (!t->ram_size)
		return false;
	t->ram_host = gmem_map(&t->m->mem, GPA(t->ram), t->ram_size, true, &b, &off);
	if (t->ram_host)
		ram_block_unref(b); /* the machine holds it as long as this driver lives */
	return t->ram_host;
}

static uint32_t config(struct vt_driver *t, uint16_t off, unsigned int size)
{
	return pci_config_read(t->v->pci.host, 0, t->v->pci.devfn, off, size);
}

static void config_set(struct vt_driver *t, uint16_t off, unsigned int size, uint32_t v)
{
	pci_config_write(t->v->pci.host, 0, t->v->pci.devfn, off, v, size);
}

/* Address of BAR @bar, which is placed if it isn't. */
static uint64_t bar_address(struct vt_driver *t, uint8_t bar, bool *io)
{
	uint16_t reg = PCI_BAR0 + 4 * bar;
	const struct pci_bar *b = &t->v->pci.bar[bar];
	uint32_t low = config(t, reg, 4);
	uint64_t addr;

	*io = low & 1;
	addr = low & ~(*io ? 3u : 15u);
	if (!*io && low & 4)
		addr |= (uint64_t)config(t, reg + 4, 4) << 32;
	if (!addr && b->assigned != PCI_UNMAPPED) {
		addr = b->assigned;
		config_set(t, reg, 4, (uint32_t)addr);
		if (!*io && low & 4)
			config_set(t, reg + 4, 4, (uint32_t)(addr >> 32));
	}
	return addr;
}

static void take_cap(struct vt_driver *t, uint8_t cap)
{
	uint8_t type = (uint8_t)config(t, cap + 3, 1), bar = (uint8_t)config(t, cap + 4, 1);
	bool io = false;
	uint64_t addr;

	if (bar >= PCI_BARS || type == 5)
		return;
	addr = bar_address(t, bar, &io) + config(t, cap + 8, 4);
	switch (type) {
	case 1:
		t->common = addr;
		break;
	case 2:
		t->notify = addr;
		t->notify_pio = io;
		t->notify_step = config(t, cap + 16, 4);
		break;
	case 3:
		t->isr = addr;
		break;
	case 4:
		t->device = addr;
		break;
	}
}

bool vt_attach(struct vt_driver *t, struct virtio_device *v)
{
	memset(t, 0, sizeof(*t));
	t->v = v;
	t->m = v->pci.dev.machine;
	for (uint8_t cap = (uint8_t)config(t, PCI_CAP_PTR, 1), n = 0; cap && n < 48; n++) {
		if (config(t, cap, 1) == PCI_CAP_ID_VENDOR)
			take_cap(t, cap);
		cap = (uint8_t)config(t, cap + 1, 1);
	}
	config_set(t, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEM | PCI_COMMAND_MASTER);
	if (!t->common || !t->isr || !t->notify || !find_ram(t))
		return false;
	t->n_queues = (uint16_t)vt_read(t, t->common + C_NUM_QUEUES, 2);
	return t->n_queues <= VIRTIO_QUEUES_MAX;
}

/* -------- the loop -------- */

static void nothing(void *opaque)
{
}

/* All loops; what the others have posted to the home loop, and it to them. */
static void come_round(struct virtio_device *v)
{
	for (uint32_t i = v->n_lanes; i > 0; i--)
		loop_call(v->loops[i - 1], nothing, NULL);
	for (uint32_t i = 1; i < v->n_lanes; i++)
		loop_call(v->loops[i], nothing, NULL);
}

void vt_run(struct vt_driver *t)
{
	struct loop *home = t->v->pci.dev.home;

	if (loop_in_thread(home)) {
		for (int i = 0; i < 8; i++)
			loop_run_once(home, 0);
		return;
	}
	/* The kick may still be on its way to the thread, the completion to a worker's. */
	come_round(t->v);
	usleep(20);
	come_round(t->v);
	loop_run_once(t->m->main_loop, 0);
}

/* -------- status -------- */

uint8_t vt_status(struct vt_driver *t)
{
	return (uint8_t)vt_read(t, t->common + C_STATUS, 1);
}

static void set_status(struct vt_driver *t, uint8_t bits)
{
	vt_write(t, t->common + C_STATUS, 1, vt_status(t) | bits);
}

bool vt_reset(struct vt_driver *t)
{
	int64_t end = clock_mono_ns() + PATIENCE_NS;

	vt_write(t, t->common + C_STATUS, 1, 0);
	while (vt_status(t)) {
		if (clock_mono_ns() > end)
			return false;
		vt_run(t);
	}
	memset(t->q, 0, sizeof(t->q));
	t->used_ram = 0;
	return true;
}

static uint64_t offered(struct vt_driver *t)
{
	uint64_t f;

	vt_write(t, t->common + C_DEVICE_FEATURE_SELECT, 4, 0);
	f = vt_read(t, t->common + C_DEVICE_FEATURE, 4);
	vt_write(t, t->common + C_DEVICE_FEATURE_SELECT, 4, 1);
	return f | vt_read(t, t->common + C_DEVICE_FEATURE, 4) << 32;
}

static void accept_features(struct vt_driver *t, uint64_t f)
{
	vt_write(t, t->common + C_DRIVER_FEATURE_SELECT, 4, 0);
	vt_write(t, t->common + C_DRIVER_FEATURE, 4, (uint32_t)f);
	vt_write(t, t->common + C_DRIVER_FEATURE_SELECT, 4, 1);
	vt_write(t, t->common + C_DRIVER_FEATURE, 4, f >> 32);
}

bool vt_init(struct vt_driver *t, uint64_t want)
{
	if (!vt_reset(t))
		return false;
	set_status(t, VIRTIO_S_ACKNOWLEDGE);
	set_status(t, VIRTIO_S_DRIVER);
	t->features = (offered(t) & want) | BIT_ULL(VIRTIO_F_VERSION_1);
	accept_features(t, t->features);
	set_status(t, VIRTIO_S_FEATURES_OK);
	return vt_status(t) & VIRTIO_S_FEATURES_OK;
}

void vt_start(struct vt_driver *t)
{
	set_status(t, VIRTIO_S_DRIVER_OK);
}

/* -------- rings -------- */

static bool is_packed(const struct vt_driver *t)
{
	return t->features & BIT_ULL(VIRTIO_F_RING_PACKED);
}

static void place_ring(struct vt_driver *t, uint16_t index, const struct vt_queue *q)
{
	vt_write(t, t->common + C_QUEUE_SELECT, 2, index);
	vt_write(t, t->common + C_QUEUE_SIZE, 2, q->size);
	vt_write(t, t->common + C_QUEUE_DESC, 8, q->desc);
	vt_write(t, t->common + C_QUEUE_DRIVER, 4, (uint32_t)q->avail);
	vt_write(t, t->common + C_QUEUE_DRIVER + 4, 4, q->avail >> 32);
	vt_write(t, t->common + C_QUEUE_DEVICE, 8, q->used);
	vt_write(t, t->common + C_QUEUE_ENABLE, 2, 1);
}

bool vt_queue_init(struct vt_driver *t, uint16_t index, uint16_t size)
{
	struct vt_queue *q = &t->q[index];
	uint16_t max;

	vt_write(t, t->common + C_QUEUE_SELECT, 2, index);
	max = (uint16_t)MIN(vt_read(t, t->common + C_QUEUE_SIZE, 2), (uint64_t)VT_SIZE_MAX);
	memset(q, 0, sizeof(*q));
	q->size = q->free = size ? size : max;
	if (!max || q->size > max)
		return false;
	q->desc = vt_alloc(t, 16u * q->size, 16);
	q->avail = vt_alloc(t, 6 + 2u * q->size, 4);
	q->used = vt_alloc(t, 6 + 8u * q->size, 4);
	place_ring(t, index, q);
	return q->used && vt_read(t, t->common + C_QUEUE_ENABLE, 2) == 1;
}

static void put_desc(
	struct vt_driver *t, uint64_t at, const struct vt_buf *b, uint16_t h12, uint16_t h14)
{
	vt_write(t, at, 8, b->addr);
	vt_write(t, at + 8, 4, b->len);
	vt_write(t, at + 12, 2, h12);
	vt_write(t, at + 14, 2, h14);
}

static uint16_t desc_flags(const struct vt_buf *b, bool last, bool indirect)
{
	return (uint16_t)((last ? 0 : 1) | (b->write ? 2 : 0) | (indirect ? 4 : 0));
}

static int send_split(
	struct vt_driver *t, struct vt_queue *q, const struct vt_buf *b, int n, bool ind)
{
	uint16_t slot[VT_SIZE_MAX], s = 0;

	for (int i = 0; i < n; i++, s++) {
		while (q->taken[s])
			s++;
		q->taken[s] = true;
		slot[i] = s;
	}
	for (int i = 0; i < n; i++)
		put_desc(t, q->desc + 16u * slot[i], &b[i], desc_flags(&b[i], i == n - 1, ind),
			i == n - 1 ? 0 : slot[i + 1]);
	q->slots[slot[0]] = (uint16_t)n;
	vt_write(t, q->avail + 4 + 2 * (q->put % q->size), 2, slot[0]);
	vt_write(t, q->avail + 2, 2, ++q->put & 0xffff);
	return slot[0];
}

static int send_packed(
	struct vt_driver *t, struct vt_queue *q, const struct vt_buf *b, int n, bool ind)
{
	uint16_t id = 0;

	while (q->slots[id])
		id++;
	for (int i = n - 1; i >= 0; i--) {
		uint32_t place = q->put + (uint32_t)i;
		uint16_t avail = place / q->size % 2 ? 1 << 15 : 1 << 7;

		put_desc(t, q->desc + 16 * (place % q->size), &b[i], id,
			desc_flags(&b[i], i == n - 1, ind) | avail);
	}
	q->slots[id] = (uint16_t)n;
	q->put += (uint32_t)n;
	return id;
}

int vt_send(struct vt_driver *t, uint16_t index, const struct vt_buf *b, int n, bool indirect)
{
	struct vt_queue *q = &t->q[index];
	struct vt_buf table = { .len = 16u * (uint32_t)n };
	int need = indirect ? 1 : n;

	if (need > q->free)
		return -1;
	if (indirect) {
		table.addr = vt_alloc(t, table.len, 16);
		if (!table.addr)
			return -1;
		for (int i = 0; i < n; i++) {
			uint16_t flags = desc_flags(&b[i], i == n - 1, false);

			put_desc(t, table.addr + 16u * (uint32_t)i, &b[i], is_packed(t) ? 0 : flags,
				is_packed(t) ? flags & 2 : (uint16_t)(i + 1));
		}
		b = &table;
	}
	q->free -= (uint16_t)need;
	return is_packed(t) ? send_packed(t, q, b, need, indirect)
			    : send_split(t, q, b, need, indirect);
}

void vt_kick(struct vt_driver *t, uint16_t q)
{
	uint8_t b[2];
	uint64_t off;

	vt_write(t, t->common + C_QUEUE_SELECT, 2, q);
	off = vt_read(t, t->common + C_QUEUE_NOTIFY_OFF, 2) * t->notify_step;
	wr_le16(b, q);
	if (t->notify_pio)
		io_access_port(t->m, (uint16_t)(t->notify + off), b, 2, true);
	else
		io_access_mem(t->m, t->notify + off, b, 2, true);
}

static bool take_packed(struct vt_driver *t, struct vt_queue *q, uint32_t *id, uint32_t *len)
{
	uint64_t d = q->desc + 16 * (q->got % q->size);
	uint16_t flags = (uint16_t)vt_read(t, d + 14, 2), bits = flags & (1u << 15 | 1u << 7);

	if (bits != (q->got / q->size % 2 ? 0 : (1u << 15 | 1u << 7)))
		return false;
	*id = (uint32_t)vt_read(t, d + 12, 2);
	*len = (uint32_t)vt_read(t, d + 8, 4);
	q->got += *id < VT_SIZE_MAX ? q->slots[*id] : 0;
	return true;
}

static bool take_split(struct vt_driver *t, struct vt_queue *q, uint32_t *id, uint32_t *len)
{
	uint64_t e = q->used + 4 + 8 * (q->got % q->size);

	if (vt_read(t, q->used + 2, 2) == (q->got & 0xffff))
		return false;
	*id = (uint32_t)vt_read(t, e, 4);
	*len = (uint32_t)vt_read(t, e + 4, 4);
	q->got++;
	return true;
}

bool vt_take(struct vt_driver *t, uint16_t index, uint32_t *id, uint32_t *len)
{
	struct vt_queue *q = &t->q[index];

	if (!q->size || !(is_packed(t) ? take_packed(t, q, id, len) : take_split(t, q, id, len)))
		return false;
	if (*id >= VT_SIZE_MAX || !q->slots[*id])
		return false; /* the device invented it */
	for (uint32_t s = *id, n = q->slots[*id]; n && !is_packed(t); n--) {
		q->taken[s] = false;
		s = (uint32_t)vt_read(t, q->desc + 16 * s + 14, 2);
	}
	q->free += q->slots[*id];
	q->slots[*id] = 0;
	return true;
}

int64_t vt_call(struct vt_driver *t, uint16_t q, const struct vt_buf *b, int n)
{
	int64_t end = clock_mono_ns() + PATIENCE_NS;
	int sent = vt_send(t, q, b, n, false);
	uint32_t id, len;

	if (sent < 0)
		return -1;
	vt_kick(t, q);
	while (!vt_take(t, q, &id, &len)) {
		if (clock_mono_ns() > end || vt_status(t) & VIRTIO_S_NEEDS_RESET)
			return -1;
		vt_run(t);
	}
	return id == (uint32_t)sent ? len : -1;
}

/* -------- the hostile driver -------- */

struct hostile {
	struct vt_driver *t;
	uint64_t seed;
	uint64_t start; /* for the message */
};

static uint64_t rnd(struct hostile *h, uint64_t n)
{
	return test_random(&h->seed) % n;
}

static void check(struct hostile *h, bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "virtio_hostile_test: %s, seed 0x%llx: %s\n",
		device_name(&h->t->v->pci.dev), (unsigned long long)h->start, what);
	abort();
}

/* Mostly RAM, so that the device gets somewhere before it finds the fault. */
static uint64_t odd_address(struct hostile *h)
{
	struct vt_driver *t = h->t;

	switch (rnd(h, 16)) {
	case 0:
		return t->common + rnd(h, 0x4000);
	case 1:
		return UINT64_MAX - rnd(h, 64);
	case 2:
		return test_random(&h->seed);
	case 3:
		return t->ram + t->ram_size + 64 * KIB - rnd(h, 64);
	default:
		return t->ram + rnd(h, t->ram_size - 0x10000);
	}
}

static uint32_t odd_length(struct hostile *h)
{
	static const uint32_t len[] = { 0, 1, 4, 8, 15, 16, 17, 64, 512, 513, 4096, 0x10000,
		0x7fffffff, 0x80000000, 0xffffffff };

	return rnd(h, 3) ? len[rnd(h, 11)] : rnd(h, 4) ? (uint32_t)rnd(h, 5000) : len[rnd(h, 15)];
}

static uint16_t odd_flags(struct hostile *h)
{
	uint16_t f = rnd(h, 3) ? (uint16_t)(rnd(h, 2) * 2) : (uint16_t)rnd(h, 8);

	return rnd(h, 3) ? f : f | 1;
}

/* Random bytes, with small numbers (request types, sectors) among them. */
static void scribble(struct hostile *h)
{
	struct vt_driver *t = h->t;
	uint64_t addr = t->ram + rnd(h, t->ram_size - 64);
	uint64_t v = test_random(&h->seed) >> rnd(h, 64);

	for (unsigned int i = 0; i < 8; i++)
		vt_write(t, addr + 8 * i, 8, rnd(h, 2) ? v : rnd(h, 16));
}

/* A chain made of anything; then the ring is told of it, truly or not. */
static void lie(struct hostile *h, uint16_t index)
{
	struct vt_driver *t = h->t;
	struct vt_queue *q = &t->q[index];

	for (uint64_t n = 1 + rnd(h, 4); n; n--) {
		struct vt_buf b = { odd_address(h), odd_length(h), false };
		uint16_t slot = (uint16_t)rnd(h, q->size), flags = odd_flags(h);

		if (is_packed(t)) {
			slot = (uint16_t)(q->put % q->size);
			flags |= q->put++ / q->size % 2 ? 1 << 15 : 1 << 7;
			if (!rnd(h, 10))
				flags ^= rnd(h, 2) ? 1 << 15 : 1 << 7;
			put_desc(
				t, q->desc + 16u * slot, &b, (uint16_t)rnd(h, q->size + 2u), flags);
			continue;
		}
		put_desc(t, q->desc + 16u * slot, &b, flags,
			(uint16_t)rnd(h, q->size + (rnd(h, 8) == 0)));
		vt_write(t, q->avail + 4 + 2 * (q->put % q->size), 2,
			rnd(h, 10) ? slot : rnd(h, 0x10000));
		q->put++;
	}
	if (!is_packed(t))
		vt_write(t, q->avail + 2, 2, (rnd(h, 20) ? q->put : rnd(h, 0x10000)) & 0xffff);
	if (!rnd(h, 8)) /* used_event, or the driver's event structure */
		vt_write(t, q->avail + (is_packed(t) ? 0 : 4 + 2u * q->size), 2, rnd(h, 0x10000));
	if (is_packed(t) && !rnd(h, 8))
		vt_write(t, q->avail + 2, 2, rnd(h, 4));
}

/* A true request of random buffers: it reaches the device's own code. */
static void be_honest(struct hostile *h, uint16_t index)
{
	struct vt_driver *t = h->t;
	struct vt_buf b[6];
	int n = 1 + (int)rnd(h, 6), n_out = (int)rnd(h, (uint64_t)n + 1);

	for (int i = 0; i < n; i++) {
		b[i].addr = t->ram + rnd(h, t->ram_size - 0x2000);
		b[i].len = (uint32_t)(rnd(h, 2) ? 16 : rnd(h, 2) ? 512 * rnd(h, 9) : rnd(h, 64));
		b[i].write = i >= n_out;
		/* Something like a request header: type, ioprio, sector. */
		if (!b[i].write && b[i].len >= 16) {
			vt_write(t, b[i].addr, 8, rnd(h, 20));
			vt_write(t, b[i].addr + 8, 8,
				rnd(h, 4) ? rnd(h, 4096) : test_random(&h->seed));
		}
	}
	if (rnd(h, 4) == 0 && n > 1)
		b[n - 1].len = 1; /* a status byte */
	vt_send(t, index, b, n, rnd(h, 3) == 0);
}

static void odd_register(struct hostile *h)
{
	struct vt_driver *t = h->t;
	unsigned int size = 1u << rnd(h, 4);
	uint64_t v = test_random(&h->seed) >> rnd(h, 64);
	uint16_t off = (uint16_t)rnd(h, 64);

	switch (rnd(h, 8)) {
	case 0:
		vt_write(t, t->common + off, size, v);
		return;
	case 1:
		vt_read(t, t->common + rnd(h, 0x4000), size);
		return;
	case 2: /* the MSI-X table and whatever else */
		vt_write(t, t->common + rnd(h, 0x4000), size, v);
		return;
	case 3:
		if (t->device)
			vt_write(t, t->device + rnd(h, 64), size, v);
		return;
	case 4:
		size = MIN(size, 4u);
		/* Behind the BARs: those that move away would make the rest of the test idle. */
		config_set(t, (uint16_t)(0x40 + rnd(h, 192)) & ~(size - 1), size, (uint32_t)v);
		return;
	case 5:
		config_set(t, PCI_COMMAND, 2, rnd(h, 4) ? 7 : rnd(h, 0x10000));
		return;
	case 6:
		vt_read(t, t->isr, 1);
		return;
	case 7:
		if (rnd(h, 8) == 0)
			vt_write(t, t->common + C_STATUS, 1, rnd(h, 4) ? 0xf : v);
		return;
	}
}

static void odd_setup(struct hostile *h)
{
	struct vt_driver *t = h->t;

	vt_init(t, rnd(h, 3) ? test_random(&h->seed) | (rnd(h, 2) ? 7ull << 28 : 0) : UINT64_MAX);
	for (uint16_t i = 0; i < t->n_queues; i++) {
		struct vt_queue *q = &t->q[i];

		if (rnd(h, 8))
			vt_queue_init(t, i, rnd(h, 3) ? 0 : (uint16_t)(1u << rnd(h, 8)));
		if (rnd(h, 12) == 0) {
			*q = (struct vt_queue){ .size = (uint16_t)rnd(h, 300),
				.desc = odd_address(h),
				.avail = odd_address(h),
				.used = odd_address(h) };
			place_ring(t, i, q);
			q->size = 0; /* not used further */
		}
	}
	if (rnd(h, 16))
		vt_start(t);
	/* Arena for tables and buffers: everything above the rings. */
}

static void hostile_round(struct hostile *h)
{
	struct vt_driver *t = h->t;
	uint32_t id, len;

	odd_setup(h);
	for (int i = 0; i < 20; i++)
		scribble(h);
	for (int i = 0; i < 60; i++) {
		uint16_t q = (uint16_t)rnd(h, t->n_queues);

		if (!t->q[q].size) {
			odd_register(h);
			continue;
		}
		if (rnd(h, 3))
			be_honest(h, q);
		else if (rnd(h, 4) == 0)
			lie(h, q);
		if (rnd(h, 4))
			vt_kick(t, q);
		if (rnd(h, 2))
			vt_run(t);
		if (rnd(h, 8) == 0)
			odd_register(h);
		while (vt_take(t, q, &id, &len))
			;
	}
	/* The registers may have been turned off meanwhile. */
	config_set(t, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEM | PCI_COMMAND_MASTER);
	check(h, vt_reset(t), "does not come out of a reset");
	check(h, vt_init(t, UINT64_MAX), "does not negotiate after a reset");
	check(h, vt_reset(t), "does not come out of a second reset");
}

void virtio_hostile_test(struct virtio_device *v, uint64_t seed)
{
	struct hostile h = { .seed = seed, .start = seed };

	h.t = calloc(1, sizeof(*h.t));
	check(&h, h.t && vt_attach(h.t, v), "its structures are not to be found");
	for (int i = 0; i < 50; i++)
		hostile_round(&h);
	free(h.t);
}
