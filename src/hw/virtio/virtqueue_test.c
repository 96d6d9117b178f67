// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Both rings against a driver written independently, in plain byte stores as the specification's
 * tables read; then against drivers that lie.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/ovf.h"
#include "base/wire.h"
#include "hw/virtio/virtqueue.h"
#include "mem/testing.h"

/*
 * 0x00000 RAM a: rings in its first 32 KiB    0x40000 ROM, 4 KiB
 * 0x20000 RAM b, adjacent                     0x50000 a device's registers, 4 KiB
 */
#define BLOCK	0x20000u
#define BUFFERS 0x8000u
#define ROM	0x40000u
#define DEVICE	0x50000u
#define DESC	0x1000u
#define AVAIL	0x3000u
#define USED	0x4000u
#define QMAX	64u
#define MAXSEG	24

struct env {
	struct as as;
	struct ram_block *a, *b, *rom;
	struct as_region ra, rb, rrom, rdev;
	struct virtqueue q;
	struct iovec iov[VQ_IOV_MAX];
};

static int setup(void **state)
{
	struct env *e = calloc(1, sizeof(*e));
	struct error err = ERROR_INIT;

	assert_true(as_init(&e->as, "test", 1ull << 40, &err));
	e->a = test_ram(BLOCK);
	e->b = test_ram(BLOCK);
	e->rom = test_ram(0x1000);
	e->ra = (struct as_region){ .name = "a", .kind = AS_RAM, .ram = e->a };
	e->rb = (struct as_region){ .name = "b", .kind = AS_RAM, .ram = e->b };
	e->rrom = (struct as_region){ .name = "rom", .kind = AS_ROM, .ram = e->rom };
	e->rdev = (struct as_region){ .name = "dev", .kind = AS_IO };
	assert_int_equal(as_add(&e->as, &e->ra, 0, BLOCK), 0);
	assert_int_equal(as_add(&e->as, &e->rb, BLOCK, BLOCK), 0);
	assert_int_equal(as_add(&e->as, &e->rrom, ROM, 0x1000), 0);
	assert_int_equal(as_add(&e->as, &e->rdev, DEVICE, 0x1000), 0);
	vq_init(&e->q, &e->as, 0, QMAX);
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	struct env *e = *state;

	vq_fini(&e->q);
	as_fini(&e->as);
	ram_block_unref(e->a);
	ram_block_unref(e->b);
	ram_block_unref(e->rom);
	free(e);
	return 0;
}

/* Guest memory byte by byte. */
static uint8_t *at(struct env *e, uint64_t addr)
{
	assert_true(addr < 2 * BLOCK);
	return addr < BLOCK ? e->a->host + addr : e->b->host + (addr - BLOCK);
}

static void put(struct env *e, uint64_t addr, unsigned int size, uint64_t v)
{
	for (unsigned int i = 0; i < size; i++)
		*at(e, addr + i) = (uint8_t)(v >> 8 * i);
}

static uint64_t get(struct env *e, uint64_t addr, unsigned int size)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < size; i++)
		v |= (uint64_t)*at(e, addr + i) << 8 * i;
	return v;
}

static uint64_t gpa_of(struct env *e, const void *host)
{
	const uint8_t *p = host;

	if (p >= e->a->host && p < e->a->host + BLOCK)
		return (uint64_t)(p - e->a->host);
	assert_true(p >= e->b->host && p < e->b->host + BLOCK);
	return BLOCK + (uint64_t)(p - e->b->host);
}

/* -------- the driver -------- */

struct seg {
	uint64_t addr;
	uint32_t len;
	bool write;
};

struct req {
	bool busy;
	struct seg seg[MAXSEG];
	int n_seg, n_slots; /* slots of the ring */
	uint16_t slots[MAXSEG];
	uint64_t table; /* 0: direct */
	bool popped;
	uint32_t seq; /* order of pushes */
	uint32_t written;
};

struct drv {
	struct env *e;
	bool packed, event, indirect;
	uint16_t size;
	struct req req[QMAX];	      /* by head (split) or buffer id (packed) */
	bool slot_used[QMAX];	      /* split */
	uint16_t avail_idx, used_idx; /* split */
	uint32_t put_pos, get_pos;    /* packed: places ever passed; lap = pos / size */
	uint16_t free_slots;
	uint32_t sent, seq_pushed, seq_got;
};

static uint32_t rnd(uint32_t n)
{
	return (uint32_t)random() % n;
}

static void make_segs(struct drv *d, struct req *r, int max)
{
	int n = 1 + (int)rnd((uint32_t)max), n_out = (int)rnd((uint32_t)n + 1);

	r->n_seg = n;
	for (int i = 0; i < n; i++) {
		struct seg *s = &r->seg[i];

		s->len = rnd(8) ? rnd(700) : rnd(4) ? 0 : 5000;
		s->addr = BUFFERS + rnd(2 * BLOCK - BUFFERS - 0x2000);
		if (!rnd(4)) /* over the edge of two blocks */
			s->addr = BLOCK - rnd(100);
		s->write = i >= n_out;
	}
}

static void put_desc(
	struct drv *d, uint64_t at_addr, const struct seg *s, uint16_t h12, uint16_t h14)
{
	put(d->e, at_addr, 8, s->addr);
	put(d->e, at_addr + 8, 4, s->len);
	put(d->e, at_addr + 12, 2, h12);
	put(d->e, at_addr + 14, 2, h14);
}

/* An indirect table at r->table; split tables are linked in a random order. */
static void put_table(struct drv *d, struct req *r)
{
	uint16_t order[MAXSEG];

	for (int i = 0; i < r->n_seg; i++)
		order[i] = (uint16_t)i;
	for (int i = r->n_seg - 1; i > 1 && !d->packed; i--) {
		int k = 1 + (int)rnd((uint32_t)i);
		uint16_t t = order[i];

		order[i] = order[k];
		order[k] = t;
	}
	for (int i = 0; i < r->n_seg; i++) {
		bool last = i == r->n_seg - 1;
		uint16_t flags = r->seg[i].write ? 2 : 0;

		if (d->packed)
			put_desc(d, r->table + 16u * (unsigned int)i, &r->seg[i],
				(uint16_t)random(), flags | (rnd(2) ? 1 : 0));
		else
			put_desc(d, r->table + 16u * order[i], &r->seg[i], flags | !last,
				last ? (uint16_t)random() : order[i + 1]);
	}
}

static void split_send(struct drv *d, struct req *r, const struct seg *seg, int n, bool ind)
{
	uint16_t s = 0;

	for (int i = 0; i < n; i++) {
		while (d->slot_used[s])
			s++;
		d->slot_used[s] = true;
		r->slots[i] = s;
	}
	for (int i = 0; i < n; i++) {
		bool last = i == n - 1;

		put_desc(d, DESC + 16u * r->slots[i], &seg[i],
			(uint16_t)((last ? 0 : 1) | (seg[i].write ? 2 : 0) | (ind && last ? 4 : 0)),
			last ? 0 : r->slots[i + 1]);
	}
	/* The request is known by its head. */
	if (r != &d->req[r->slots[0]]) {
		d->req[r->slots[0]] = *r;
		r->busy = false;
	}
	put(d->e, AVAIL + 4 + 2 * (d->avail_idx % d->size), 2, d->req[r->slots[0]].slots[0]);
	put(d->e, AVAIL + 2, 2, ++d->avail_idx);
}

static void packed_send(struct drv *d, struct req *r, const struct seg *seg, int n, bool ind)
{
	uint16_t id = (uint16_t)(r - d->req);

	for (int i = n - 1; i >= 0; i--) { /* head last */
		uint32_t pos = d->put_pos + (uint32_t)i;
		bool wrap = pos / d->size % 2 == 0, last = i == n - 1;
		uint16_t flags = (uint16_t)((last ? 0 : 1) | (seg[i].write ? 2 : 0) |
					    (ind && last ? 4 : 0) | (wrap ? 1 << 7 : 1 << 15));

		put_desc(d, DESC + 16 * (pos % d->size), &seg[i], last ? id : (uint16_t)random(),
			flags);
	}
	d->put_pos += (uint32_t)n;
}

/* Send one random request if there is room. */
static bool drv_send(struct drv *d)
{
	struct seg ring[MAXSEG];
	struct req *r = NULL;
	bool ind = d->indirect && rnd(2);
	int n;

	for (unsigned int i = 0; i < d->size && !r; i++) {
		if (!d->req[i].busy)
			r = &d->req[i];
	}
	if (!r || !d->free_slots)
		return false;
	memset(r, 0, sizeof(*r));
	make_segs(d, r, ind ? MAXSEG : MIN(MAXSEG, d->free_slots));
	r->busy = true;
	n = r->n_seg;
	memcpy(ring, r->seg, sizeof(ring));
	if (ind) {
		r->table = BUFFERS + rnd(2 * BLOCK - BUFFERS - 0x2000);
		if (!rnd(4))
			r->table = BLOCK - 8 - rnd(64);
		else if (rnd(2))
			r->table &= ~15ull;
		/* Tables may land on one another's or on buffers that the test fills only when it
		 * has popped: keep one sent request at a time where tables are used. */
		put_table(d, r);
		/* WRITE on the table's descriptor means nothing. */
		ring[0] = (struct seg){ r->table, 16u * (unsigned int)r->n_seg, rnd(2) };
		n = 1;
	}
	r->n_slots = n;
	d->free_slots -= (uint16_t)n;
	d->sent++;
	if (d->packed)
		packed_send(d, r, ring, n, ind);
	else
		split_send(d, r, ring, n, ind);
	return true;
}

static void check_part(struct env *e, const struct req *r, bool write, const struct iovec *v, int n,
	uint64_t total)
{
	uint64_t want = 0, off = 0;
	int i = 0;

	for (int k = 0; k < r->n_seg; k++) {
		if (r->seg[k].write != write)
			continue;
		want += r->seg[k].len;
		for (uint64_t done = 0; done < r->seg[k].len;) {
			uint64_t len;

			assert_true(i < n);
			len = MIN(r->seg[k].len - done, v[i].iov_len - off);
			assert_true(len > 0);
			assert_int_equal(
				gpa_of(e, (uint8_t *)v[i].iov_base + off), r->seg[k].addr + done);
			done += len;
			off += len;
			if (off == v[i].iov_len) {
				i++;
				off = 0;
			}
		}
	}
	assert_int_equal(i, n);
	assert_int_equal(total, want);
}

static void dev_pop(struct drv *d, struct vq_chain *c)
{
	struct req *r;

	assert_int_equal(vq_pop(&d->e->q, c, VQ_IOV_MAX), 1);
	assert_true(c->head < d->size);
	r = &d->req[c->head];
	assert_true(r->busy && !r->popped);
	r->popped = true;
	assert_int_equal(c->n_desc, r->n_slots);
	check_part(d->e, r, false, c->iov, c->n_out, c->out_len);
	check_part(d->e, r, true, c->iov + c->n_out, c->n_in, c->in_len);
}

static void drv_free(struct drv *d, struct req *r)
{
	for (int i = 0; i < r->n_slots && !d->packed; i++)
		d->slot_used[r->slots[i]] = false;
	d->free_slots += (uint16_t)r->n_slots;
	r->busy = false;
}

/* Collect one answer; false: none. */
static bool drv_get(struct drv *d)
{
	struct req *r;
	uint32_t id, len;

	if (d->packed) {
		uint64_t p = DESC + 16 * (d->get_pos % d->size);
		uint16_t flags = (uint16_t)get(d->e, p + 14, 2);
		bool wrap = d->get_pos / d->size % 2 == 0;

		if ((flags >> 7 & 1) != wrap || (flags >> 15 & 1) != wrap)
			return false;
		id = (uint32_t)get(d->e, p + 12, 2);
		len = (uint32_t)get(d->e, p + 8, 4);
	} else {
		uint64_t p = USED + 4 + 8 * (d->used_idx % d->size);

		if (get(d->e, USED + 2, 2) == d->used_idx)
			return false;
		id = (uint32_t)get(d->e, p, 4);
		len = (uint32_t)get(d->e, p + 4, 4);
		d->used_idx++;
	}
	assert_true(id < d->size);
	r = &d->req[id];
	assert_true(r->busy && r->popped);
	assert_int_equal(r->seq, d->seq_got++);
	assert_int_equal(len, r->written);
	d->get_pos += (uint32_t)r->n_slots;
	drv_free(d, r);
	return true;
}

static void drv_init(struct drv *d, struct env *e, uint16_t size, bool packed, bool event)
{
	*d = (struct drv){ .e = e,
		.packed = packed,
		.event = event,
		.size = size,
		.indirect = true,
		.free_slots = size };
	memset(e->a->host, 0, BUFFERS);
	vq_reset(&e->q);
	e->q.size = size;
	e->q.packed = packed;
	e->q.event_idx = event;
	e->q.indirect = true;
	e->q.desc = DESC;
	e->q.avail = AVAIL;
	e->q.used = USED;
	assert_int_equal(vq_enable(&e->q), 0);
}

/* Requests overlap in memory on purpose, but tables must survive until they are popped: so each is
 * popped right after it was sent. Answers come late and out of order. */
static void run_random(struct env *e, uint16_t size, bool packed, bool event, int rounds)
{
	struct vq_chain out[QMAX];
	unsigned int n_out = 0;
	struct drv *d = calloc(1, sizeof(*d));

	drv_init(d, e, size, packed, event);
	for (int i = 0; i < rounds; i++) {
		if (rnd(2) && drv_send(d)) {
			struct vq_chain c = { .iov = e->iov };

			assert_false(vq_empty(&e->q));
			dev_pop(d, &c);
			if (!rnd(8)) {
				vq_unpop(&e->q, &c);
				d->req[c.head].popped = false;
				dev_pop(d, &c);
			}
			out[n_out++] = c;
			c.head = 0xffff;
			assert_int_equal(vq_pop(&e->q, &c, VQ_IOV_MAX), 0);
		}
		if (!rnd(4) && n_out) { /* several that become visible together */
			unsigned int n = 1 + rnd(n_out), from = n_out - n;
			uint32_t written[QMAX];

			for (unsigned int k = 0; k < n; k++) {
				struct vq_chain *c = &out[from + k];
				struct req *r = &d->req[c->head];

				r->seq = d->seq_pushed++;
				r->written = c->in_len ? rnd((uint32_t)c->in_len + 1) : 0;
				written[k] = r->written;
			}
			assert_int_equal(vq_push_all(&e->q, out + from, written, (int)n), 0);
			n_out = from;
		}
		if (rnd(2) && n_out) {
			unsigned int k = rnd(n_out);
			struct vq_chain *c = &out[k];
			struct req *r = &d->req[c->head];

			r->seq = d->seq_pushed++;
			r->written = c->in_len ? rnd((uint32_t)c->in_len + 1) : 0;
			assert_int_equal(vq_push(&e->q, c, r->written), 0);
			out[k] = out[--n_out];
		}
		if (!rnd(3))
			while (drv_get(d))
				;
		assert_int_equal(e->q.in_flight, n_out);
	}
	assert_true(d->sent > (uint32_t)rounds / 8);
	free(d);
}

static void test_random_rings(void **state)
{
	static const uint16_t packed_sizes[] = { 1, 2, 3, 7, 33, 64 },
			      split_sizes[] = { 1, 2, 4, 32, 64 };

	srandom(1);
	for (unsigned int i = 0; i < ARRAY_SIZE(split_sizes); i++)
		run_random(*state, split_sizes[i], false, i & 1, 20000);
	/* 2^16 and more requests: the indices wrap. */
	run_random(*state, 8, false, true, 300000);
	for (unsigned int i = 0; i < ARRAY_SIZE(packed_sizes); i++)
		run_random(*state, packed_sizes[i], true, i & 1, 20000);
}

/* -------- notifications -------- */

/* The driver asks for an interrupt when used entry (split) or place (packed) number @n, counted
 * from the start, is used. */
static void want_at(struct drv *d, uint32_t n)
{
	if (d->packed) {
		put(d->e, AVAIL, 2, n % d->size | (n / d->size % 2 == 0 ? 0x8000 : 0));
		put(d->e, AVAIL + 2, 2, 2);
	} else {
		put(d->e, AVAIL + 4 + 2 * d->size, 2, n & 0xffff);
	}
}

static void run_signals(struct env *e, uint16_t size, bool packed)
{
	struct drv *d = calloc(1, sizeof(*d));
	uint32_t used = 0;

	drv_init(d, e, size, packed, true);
	for (int i = 0; i < 20000; i++) {
		/* The driver can only name what isn't used yet, or what has just been. */
		uint32_t event = used + rnd(size + 2u), before = used;
		int n = (int)rnd(size);

		if (event && !rnd(4))
			event--;
		want_at(d, event);
		while (n-- > 0 && drv_send(d)) {
			struct vq_chain c = { .iov = e->iov };

			dev_pop(d, &c);
			d->req[c.head].seq = d->seq_pushed++;
			used += packed ? c.n_desc : 1;
			assert_int_equal(vq_push(&e->q, &c, 0), 0);
			if (used - before >= size)
				break;
		}
		if (used - before < size)
			assert_int_equal(vq_should_signal(&e->q), event >= before && event < used);
		else
			vq_should_signal(&e->q);
		assert_false(vq_should_signal(&e->q));
		while (drv_get(d))
			;
	}
	free(d);
}

static void test_signals(void **state)
{
	srandom(2);
	run_signals(*state, 8, false);
	run_signals(*state, 64, false);
	run_signals(*state, 8, true);
	run_signals(*state, 7, true);
	run_signals(*state, 64, true);
}

static void send_pop_push(struct drv *d)
{
	struct vq_chain c = { .iov = d->e->iov };

	assert_true(drv_send(d));
	dev_pop(d, &c);
	d->req[c.head].seq = d->seq_pushed++;
	assert_int_equal(vq_push(&d->e->q, &c, 0), 0);
	assert_true(drv_get(d));
}

/* Suppression by flags, both directions. */
static void run_flags(struct env *e, bool packed)
{
	struct drv *d = calloc(1, sizeof(*d));

	drv_init(d, e, 8, packed, false);
	assert_false(vq_should_signal(&e->q)); /* nothing used */
	send_pop_push(d);
	assert_true(vq_should_signal(&e->q));
	put(e, AVAIL + (packed ? 2 : 0), 2, 1);
	send_pop_push(d);
	assert_false(vq_should_signal(&e->q));
	put(e, AVAIL + (packed ? 2 : 0), 2, 0);
	assert_false(vq_should_signal(&e->q)); /* was decided */
	send_pop_push(d);
	assert_true(vq_should_signal(&e->q));

	assert_false(vq_set_notify(&e->q, false));
	assert_int_equal(get(e, USED + (packed ? 2 : 0), 2), 1);
	assert_true(drv_send(d));
	assert_true(vq_set_notify(&e->q, true));
	assert_int_equal(get(e, USED + (packed ? 2 : 0), 2), 0);
	free(d);
}

static void test_flags(void **state)
{
	srandom(3);
	run_flags(*state, false);
	run_flags(*state, true);
}

/* avail_event follows our position, in both rings. */
static void test_avail_event(void **state)
{
	struct env *e = *state;
	struct drv *d = calloc(1, sizeof(*d));

	srandom(4);
	drv_init(d, e, 8, false, true);
	for (int i = 0; i < 20; i++) {
		send_pop_push(d);
		assert_false(vq_set_notify(&e->q, true));
		assert_int_equal(get(e, USED + 4 + 8 * 8, 2), d->avail_idx);
	}
	drv_init(d, e, 5, true, true);
	for (int i = 0; i < 20; i++) {
		send_pop_push(d);
		assert_false(vq_set_notify(&e->q, false));
		assert_int_equal(get(e, USED + 2, 2), 1);
		assert_false(vq_set_notify(&e->q, true));
		assert_int_equal(get(e, USED + 2, 2), 2);
		assert_int_equal(
			get(e, USED, 2), d->put_pos % 5 | (d->put_pos / 5 % 2 == 0 ? 0x8000 : 0));
	}
	free(d);
}

/* -------- dirty log -------- */

static bool is_dirty(struct ram_block *b, uint64_t page)
{
	uint64_t w;

	ram_dirty_take(b, 0, &w, 1);
	return w >> page & 1;
}

static void run_dirty(struct env *e, bool packed)
{
	struct drv *d = calloc(1, sizeof(*d));
	struct vq_chain c = { .iov = e->iov };
	struct error err = ERROR_INIT;
	struct seg s[2] = { { BLOCK - 0x2000, 0x4000, true }, { 0x9000, 1, true } };
	uint64_t wa, wb;

	drv_init(d, e, 8, packed, false);
	assert_true(ram_dirty_start(e->a, &err) && ram_dirty_start(e->b, &err));
	d->req[0].busy = true;
	if (packed)
		packed_send(d, &d->req[0], s, 2, false);
	else
		split_send(d, &d->req[0], s, 2, false);
	assert_int_equal(vq_pop(&e->q, &c, VQ_IOV_MAX), 1);
	ram_dirty_take(e->a, 0, &wa, 1);
	assert_int_equal(wa, 0);
	assert_int_equal(vq_push(&e->q, &c, 0x2001), 0);
	ram_dirty_take(e->a, 0, &wa, 1);
	ram_dirty_take(e->b, 0, &wb, 1);
	assert_int_equal(wa, 3ull << 30 | 1ull << (packed ? DESC >> 12 : USED >> 12));
	assert_int_equal(wb, 1);
	assert_false(vq_set_notify(&e->q, false));
	assert_true(is_dirty(e->a, USED >> 12));
	ram_dirty_stop(e->a);
	ram_dirty_stop(e->b);
	free(d);
}

static void test_dirty(void **state)
{
	run_dirty(*state, false);
	run_dirty(*state, true);
}

/* Words of decoded code are bumped by what a device brought, also when the queue is gone since. */
static void test_code_words(void **state)
{
	struct env *e = *state;
	struct drv *d = calloc(1, sizeof(*d));
	struct vq_chain c = { .iov = e->iov };
	struct seg s = { 0x8000, 0x2000, true };
	_Atomic uint32_t *code = ram_code_words(e->a);

	assert_non_null(code);
	drv_init(d, e, 8, false, false);
	d->req[0].busy = true;
	split_send(d, &d->req[0], &s, 1, false);
	assert_int_equal(vq_pop(&e->q, &c, VQ_IOV_MAX), 1);
	code[RAM_CODE_WORDS * 7] = code[RAM_CODE_WORDS * 8] = code[RAM_CODE_WORDS * 9] =
		code[RAM_CODE_WORDS * (USED >> 12)] = 1;
	assert_int_equal(vq_push(&e->q, &c, 0x1000), 0);
	assert_true(code[RAM_CODE_WORDS * 7] == 1 && code[RAM_CODE_WORDS * 8] == 2 &&
		    code[RAM_CODE_WORDS * 9] == 1 && code[RAM_CODE_WORDS * (USED >> 12)] == 2);
	vq_reset(&e->q);
	assert_int_equal(vq_push(&e->q, &c, 0x2000), -EPROTO);
	assert_true(code[RAM_CODE_WORDS * 7] == 1 && code[RAM_CODE_WORDS * 8] == 2 &&
		    code[RAM_CODE_WORDS * 9] == 2);
	free(d);
}

/* -------- copies -------- */

static void test_copies(void **state)
{
	uint8_t a[3] = { 1, 2, 3 }, b[5] = { 4, 5, 6, 7, 8 }, w1[2], w2[4], buf[16];
	struct iovec iov[] = { { a, 3 }, { b, 5 }, { w1, 2 }, { w2, 4 } };
	struct vq_chain c = { .iov = iov, .n_out = 2, .n_in = 2, .out_len = 8, .in_len = 6 };

	assert_int_equal(vq_chain_read(&c, 0, buf, 16), 8);
	for (int i = 0; i < 8; i++)
		assert_int_equal(buf[i], i + 1);
	assert_int_equal(vq_chain_read(&c, 4, buf, 2), 2);
	assert_int_equal(buf[0], 5);
	assert_int_equal(vq_chain_read(&c, 8, buf, 2), 0);
	assert_int_equal(vq_chain_read(&c, UINT64_MAX, buf, 2), 0);
	assert_int_equal(vq_chain_write(&c, 1, "abcdefgh", 8), 5);
	assert_int_equal(w1[1], 'a');
	assert_memory_equal(w2, "bcde", 4);
	assert_int_equal(vq_chain_write(&c, 6, "a", 1), 0);
}

/* -------- hostile drivers -------- */

#define F_NEXT	1
#define F_WRITE 2
#define F_IND	4

struct bad {
	const char *what;
	struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags, next;
	} desc[4]; /* at DESC; head 0 */
	int table; /* that many of them are at 0x9000 instead, the first @ring ones in the ring */
	int ring;
};

#define TAB 0x9000ull

static const struct bad bads[] = {
	{ "next outside", { { BUFFERS, 4, F_NEXT, 8 } } },
	{ "next far outside", { { BUFFERS, 4, F_NEXT, 0xffff } } },
	{ "loop to itself", { { BUFFERS, 4, F_NEXT, 0 } } },
	{ "loop of two", { { BUFFERS, 4, F_NEXT, 1 }, { BUFFERS, 4, F_NEXT, 0 } } },
	{ "loop of empty ones", { { BUFFERS, 0, F_NEXT, 1 }, { BUFFERS, 0, F_NEXT, 0 } } },
	{ "readable after writable",
		{ { BUFFERS, 4, F_NEXT | F_WRITE, 1 }, { BUFFERS, 4, 0, 0 } } },
	{ "empty readable after empty writable",
		{ { BUFFERS, 0, F_NEXT | F_WRITE, 1 }, { BUFFERS, 0, 0, 0 } } },
	{ "outside RAM", { { 1ull << 39, 4, 0, 0 } } },
	{ "beyond the space", { { UINT64_MAX - 1, 4, 0, 0 } } },
	{ "wraps", { { UINT64_MAX - 1, UINT32_MAX, 0, 0 } } },
	{ "end of RAM", { { ROM + 0xffe, 4, 0, 0 } } },
	{ "into a device", { { DEVICE, 4, 0, 0 } } },
	{ "writes ROM", { { ROM, 4, F_WRITE, 0 } } },
	{ "huge", { { BUFFERS, UINT32_MAX, 0, 0 } } },
	{ "NEXT with INDIRECT", { { TAB, 16, F_IND | F_NEXT, 1 }, { BUFFERS, 4, 0, 0 } }, 1, 1 },
	{ "table of odd length", { { TAB, 17, F_IND, 0 }, { BUFFERS, 4, 0, 0 } }, 1, 1 },
	{ "empty table", { { TAB, 0, F_IND, 0 }, { BUFFERS, 4, 0, 0 } }, 1, 1 },
	{ "table outside RAM", { { 1ull << 39, 16, F_IND, 0 } } },
	{ "table in a device", { { DEVICE, 16, F_IND, 0 } } },
	{ "table ends outside RAM", { { ROM + 0xff0, 32, F_IND, 0 } } },
	{ "huge table", { { TAB, UINT32_MAX & ~15u, F_IND, 0 } } },
	{ "nested", { { TAB, 16, F_IND, 0 }, { TAB, 16, F_IND, 0 } }, 1, 1 },
	{ "table's next outside", { { TAB, 16, F_IND, 0 }, { BUFFERS, 4, F_NEXT, 1 } }, 1, 1 },
	{ "loop in a table",
		{ { TAB, 32, F_IND, 0 }, { BUFFERS, 0, F_NEXT, 1 }, { BUFFERS, 0, F_NEXT, 0 } }, 2,
		1 },
	{ "readable after writable over a table",
		{ { BUFFERS, 4, F_NEXT | F_WRITE, 1 }, { TAB, 16, F_IND, 0 },
			{ BUFFERS, 4, 0, 0 } },
		1, 2 },
};

static void test_hostile_split(void **state)
{
	struct env *e = *state;
	struct drv *d = calloc(1, sizeof(*d));

	for (unsigned int i = 0; i < ARRAY_SIZE(bads); i++) {
		const struct bad *b = &bads[i];
		struct vq_chain c = { .iov = e->iov };

		drv_init(d, e, 8, false, i & 1);
		memset(at(e, TAB), 0, 0x1000);
		for (int k = 0; k < 4; k++) {
			uint64_t p = DESC + 16u * (unsigned int)k;
			struct seg s = { b->desc[k].addr, b->desc[k].len, false };

			if (b->table && k >= b->ring)
				p = TAB + 16u * (unsigned int)(k - b->ring);
			put_desc(d, p, &s, b->desc[k].flags, b->desc[k].next);
		}
		put(e, AVAIL + 2, 2, 1);
		if (vq_pop(&e->q, &c, VQ_IOV_MAX) != -EPROTO)
			fail_msg("split: %s: accepted", b->what);
	}
	free(d);
}

/* A packed chain cannot loop, and its tables have no links: those entries are left out. */
static void test_hostile_packed(void **state)
{
	struct env *e = *state;
	struct drv *d = calloc(1, sizeof(*d));

	for (unsigned int i = 0; i < ARRAY_SIZE(bads); i++) {
		const struct bad *b = &bads[i];
		struct vq_chain c = { .iov = e->iov };

		if (strstr(b->what, "loop") || strstr(b->what, "next"))
			continue;
		drv_init(d, e, 8, true, i & 1);
		memset(at(e, TAB), 0, 0x1000);
		for (int k = 0; k < 4; k++) {
			struct seg s = { b->desc[k].addr, b->desc[k].len, false };
			bool table = b->table && k >= b->ring;
			uint64_t p = table ? TAB + 16u * (unsigned int)(k - b->ring)
					   : DESC + 16u * (unsigned int)k;

			put_desc(d, p, &s, 0, b->desc[k].flags | (table ? 0 : 1 << 7));
		}
		if (vq_pop(&e->q, &c, VQ_IOV_MAX) != -EPROTO)
			fail_msg("packed: %s: accepted", b->what);
	}
	free(d);
}

static void test_hostile_total(void **state)
{
	struct env *e = *state;
	struct drv *d = calloc(1, sizeof(*d));
	struct as_region big = { .name = "big", .kind = AS_RAM };
	struct vq_chain c = { .iov = e->iov };

	/* 2 GiB that nothing touches. */
	big.ram = test_ram(2ull << 30);
	assert_int_equal(as_add(&e->as, &big, 4ull << 30, 2ull << 30), 0);
	for (int packed = 0; packed < 2; packed++) {
		struct seg s[3] = { { 4ull << 30, 1u << 31, false },
			{ 4ull << 30, 1u << 31, false }, { 4ull << 30, 1u << 31, false } };

		drv_init(d, e, 8, packed, false);
		if (packed)
			packed_send(d, &d->req[0], s, 2, false);
		else
			split_send(d, &d->req[0], s, 2, false);
		assert_int_equal(vq_pop(&e->q, &c, VQ_IOV_MAX), -EPROTO);
		s[1].len--;
		drv_init(d, e, 8, packed, false);
		if (packed)
			packed_send(d, &d->req[0], s, 2, false);
		else
			split_send(d, &d->req[0], s, 2, false);
		assert_int_equal(vq_pop(&e->q, &c, VQ_IOV_MAX), 1);
		assert_int_equal(c.out_len, UINT32_MAX);
	}
	as_del(&e->as, &big);
	ram_block_unref(big.ram);
	free(d);
}

/* Too many pieces for the device's array. */
static void test_hostile_pieces(void **state)
{
	struct env *e = *state;
	struct drv *d = calloc(1, sizeof(*d));
	struct seg s[3] = { { BUFFERS, 4, false }, { BUFFERS, 4, false }, { BUFFERS, 4, false } };
	struct vq_chain c = { .iov = e->iov };

	for (int packed = 0; packed < 2; packed++) {
		drv_init(d, e, 8, packed, false);
		if (packed)
			packed_send(d, &d->req[0], s, 3, false);
		else
			split_send(d, &d->req[0], s, 3, false);
		assert_int_equal(vq_pop(&e->q, &c, 2), -EPROTO);
		assert_int_equal(vq_pop(&e->q, &c, 3), 1);
	}
	free(d);
}

static void test_hostile_indices(void **state)
{
	struct env *e = *state;
	struct drv *d = calloc(1, sizeof(*d));
	struct vq_chain c = { .iov = e->iov };

	drv_init(d, e, 8, false, false);
	put(e, AVAIL + 2, 2, 9); /* jumped */
	assert_int_equal(vq_pop(&e->q, &c, VQ_IOV_MAX), -EPROTO);
	put(e, AVAIL + 2, 2, 0xffff); /* went back */
	assert_int_equal(vq_pop(&e->q, &c, VQ_IOV_MAX), -EPROTO);
	put(e, AVAIL + 2, 2, 1);
	put(e, AVAIL + 4, 2, 8); /* head outside */
	assert_int_equal(vq_pop(&e->q, &c, VQ_IOV_MAX), -EPROTO);

	/* The same head again and again: never more than size chains are out. */
	drv_init(d, e, 8, false, false);
	put(e, DESC, 8, BUFFERS);
	put(e, AVAIL + 2, 2, 8);
	for (int i = 0; i < 8; i++)
		assert_int_equal(vq_pop(&e->q, &c, VQ_IOV_MAX), 1);
	put(e, AVAIL + 2, 2, 9);
	assert_int_equal(vq_pop(&e->q, &c, VQ_IOV_MAX), -EPROTO);

	/* Packed: a chain that never ends, followers that are not available, overtaking. */
	drv_init(d, e, 4, true, false);
	for (uint64_t i = 0; i < 4; i++)
		put(e, DESC + 16 * i + 14, 2, 1 << 7 | F_NEXT);
	assert_int_equal(vq_pop(&e->q, &c, VQ_IOV_MAX), -EPROTO);
	put(e, DESC + 16 + 14, 2, 1 << 15);
	assert_int_equal(vq_pop(&e->q, &c, VQ_IOV_MAX), -EPROTO);
	for (uint64_t i = 0; i < 4; i++)
		put(e, DESC + 16 * i + 14, 2, 1 << 7);
	for (int i = 0; i < 4; i++)
		assert_int_equal(vq_pop(&e->q, &c, VQ_IOV_MAX), 1);
	assert_int_equal(vq_pop(&e->q, &c, VQ_IOV_MAX), 0);
	put(e, DESC + 14, 2, 1 << 15); /* the next lap's, though none was answered */
	assert_int_equal(vq_pop(&e->q, &c, VQ_IOV_MAX), -EPROTO);
	free(d);
}

static void test_hostile_rings(void **state)
{
	struct env *e = *state;
	static const struct {
		uint64_t desc, avail, used;
		uint16_t size;
		bool packed;
		int rc;
	} t[] = {
		{ DESC, AVAIL, USED, 64, false, 0 }, { DESC, AVAIL, USED, 0, false, -EINVAL },
		{ DESC, AVAIL, USED, 65, false, -EINVAL },
		{ DESC, AVAIL, USED, 63, false, -EINVAL }, { DESC, AVAIL, USED, 63, true, 0 },
		{ DESC, AVAIL, USED, 0, true, -EINVAL }, { DESC, AVAIL, USED, 65, true, -EINVAL },
		{ DESC + 8, AVAIL, USED, 8, false, -EINVAL },
		{ DESC, AVAIL + 1, USED, 8, false, -EINVAL },
		{ DESC, AVAIL, USED + 2, 8, false, -EINVAL },
		{ DESC + 8, AVAIL, USED, 8, true, -EINVAL },
		{ DESC, AVAIL + 2, USED, 8, true, -EINVAL },
		{ DESC, AVAIL, USED + 2, 8, true, -EINVAL }, { ROM, AVAIL, USED, 8, false, 0 },
		{ ROM, AVAIL, USED, 8, true, -EFAULT }, { DESC, AVAIL, ROM, 8, false, -EFAULT },
		{ DESC, AVAIL, ROM, 8, true, -EFAULT }, { DEVICE, AVAIL, USED, 8, false, -EFAULT },
		{ DESC, DEVICE, USED, 8, false, -EFAULT },
		{ DESC, AVAIL, DEVICE, 8, false, -EFAULT },
		{ BLOCK - 16, AVAIL, USED, 8, false, -EFAULT }, /* over two blocks */
		{ ROM - 64, AVAIL, USED, 8, false, -EFAULT },
		{ DESC, AVAIL, ROM - 64, 8, false, -EFAULT },
		{ UINT64_MAX - 15, AVAIL, USED, 8, false, -EFAULT },
		{ DESC, AVAIL, UINT64_MAX - 3, 8, true, -EFAULT },
		{ 1ull << 50, AVAIL, USED, 8, true, -EFAULT },
		{ DESC, DESC, DESC, 8, false, 0 }, /* on one another: the driver's loss */
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(t); i++) {
		struct vq_chain c = { .iov = e->iov };

		vq_reset(&e->q);
		e->q.packed = t[i].packed;
		e->q.size = t[i].size;
		e->q.desc = t[i].desc;
		e->q.avail = t[i].avail;
		e->q.used = t[i].used;
		if (vq_enable(&e->q) != t[i].rc)
			fail_msg("ring %u", i);
		assert_int_equal(e->q.ready, t[i].rc == 0);
		if (t[i].rc) {
			assert_int_equal(vq_pop(&e->q, &c, 1), 0);
			assert_int_equal(vq_push(&e->q, &c, 0), -EPROTO);
			assert_false(vq_set_notify(&e->q, true));
			assert_false(vq_should_signal(&e->q));
			vq_unpop(&e->q, &c);
		}
	}
	/* Pushing what was never popped. */
	vq_reset(&e->q);
	e->q.desc = DESC;
	e->q.avail = AVAIL;
	e->q.used = USED;
	assert_int_equal(vq_enable(&e->q), 0);
	assert_int_equal(vq_push(&e->q, &(struct vq_chain){ .n_desc = 1 }, 0), -EPROTO);
}

/* Save and go on: at any point between requests. */
static void test_restore(void **state)
{
	struct env *e = *state;
	struct drv *d = calloc(1, sizeof(*d));

	srandom(5);
	for (int packed = 0; packed < 2; packed++) {
		drv_init(d, e, 8, packed, true);
		for (int i = 0; i < 100; i++) {
			uint16_t last = e->q.last_avail, used = e->q.used_idx;

			vq_reset(&e->q);
			e->q.size = 8;
			e->q.packed = packed;
			e->q.event_idx = e->q.indirect = true;
			e->q.desc = DESC;
			e->q.avail = AVAIL;
			e->q.used = USED;
			e->q.last_avail = last;
			e->q.used_idx = used;
			assert_int_equal(vq_restore(&e->q), 0);
			send_pop_push(d);
		}
	}
	e->q.last_avail = 8;
	e->q.used_idx = 8;
	assert_int_equal(vq_restore(&e->q), -EINVAL);
	e->q.last_avail = 7;
	assert_int_equal(vq_restore(&e->q), -EINVAL);
	free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_random_rings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_signals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flags, setup, teardown),
		cmocka_unit_test_setup_teardown(test_avail_event, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dirty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_code_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_split, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_packed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_total, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_indices, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_rings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restore, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
