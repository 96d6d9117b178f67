// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-blk as a driver sees it: random requests in any layout against a plain copy of the disk,
 * every request type and its errors, the write cache, reset, stop and save with requests in
 * flight, drivers that break the rules.
 */
#include "core/device.h"

extern const struct device_type pci_host_type, virtio_blk_pci_type;
#define TEST_DEVICE_TYPES &pci_host_type, &virtio_blk_pci_type,
#include "hw/testing.h"

#include "base/log.h"
#include "block/block.h"
#include "hw/virtio/driver.h"
#include "hw/virtio/virtio_int.h"

#define SECTORS	       4096u /* 2 MiB */
#define F_RO	       BIT_ULL(5)
#define F_FLUSH	       BIT_ULL(9)
#define F_CONFIG_WCE   BIT_ULL(11)
#define F_MQ	       BIT_ULL(12)
#define F_DISCARD      BIT_ULL(13)
#define F_WRITE_ZEROES BIT_ULL(14)
#define ALL_FEATURES \
	(UINT32_MAX & ~BIT_ULL(VIRTIO_F_EVENT_IDX)) /* rings of drv.h: split, no event index */

struct env {
	struct test_machine *f;
	struct block_dev *disk;
	struct device *dev;
	struct drv d;
};

static void env_open(struct env *e, const char *options)
{
	struct error err = ERROR_INIT;

	e->f = fixture_new(&test_pci);
	e->disk = block_open_test(SECTORS * 512, &err);
	assert_true(machine_backend_add(e->f->m, BACKEND_BLOCK, "d0", e->disk, &err));
	e->dev = device_create(e->f->m, "virtio-blk-pci", options, &err);
	if (!e->dev)
		fail_msg("%s", err.msg);
	e->dev->type->reset(e->dev); /* gives BARs their addresses */
	drv_probe(&e->d, e->f, e->dev);
}

static void env_close(struct env *e)
{
	device_free(e->dev);
	block_close(e->disk);
	fixture_free(e->f);
}

/* -------- one simple request: header at HEAP, data after it, status at the end -------- */

#define HDR    DRV_HEAP
#define STATUS (DRV_HEAP + 0x100)
#define DATA   (DRV_HEAP + 0x1000)

static void header(struct env *e, uint64_t at, uint32_t type, uint64_t sector)
{
	wr_le32(drv_mem(&e->d, at), type);
	wr_le32(drv_mem(&e->d, at) + 4, 0);
	wr_le64(drv_mem(&e->d, at) + 8, sector);
}

/* Type IN or GET_ID: @len bytes come to DATA; others: @len bytes go from there. Returns the status. */
static int request(struct env *e, uint32_t type, uint64_t sector, uint32_t len)
{
	bool in = type == 0 || type == 8;
	struct drv_buf b[3] = { { HDR, 16 } };
	int n = 1;

	header(e, HDR, type, sector);
	*drv_mem(&e->d, STATUS) = 0xee;
	if (len)
		b[n++] = (struct drv_buf){ DATA, len };
	b[n++] = (struct drv_buf){ STATUS, 1 };
	drv_add(&e->d, 0, b, in ? 1 : n - 1, in ? n - 1 : 1, 0);
	drv_kick(&e->d, 0);
	drv_wait(&e->d, 0, NULL);
	return *drv_mem(&e->d, STATUS);
}

static int range_request(struct env *e, uint32_t type, uint64_t sector, uint32_t n, uint32_t flags)
{
	wr_le64(drv_mem(&e->d, DATA), sector);
	wr_le32(drv_mem(&e->d, DATA) + 8, n);
	wr_le32(drv_mem(&e->d, DATA) + 12, flags);
	return request(e, type, 0, 16);
}

static void test_identity(void **state)
{
	struct env e;
	uint64_t f;

	env_open(&e, "drive=d0,num-queues=3,serial=S123");
	f = drv_offered(&e.d);
	assert_true(
		f & F_MQ && f & F_FLUSH && f & F_CONFIG_WCE && f & F_DISCARD && f & F_WRITE_ZEROES);
	assert_false(f & F_RO);
	assert_int_equal(drv_config(&e.d, 0, 8), SECTORS);
	assert_int_equal(drv_config(&e.d, 12, 4), 254);
	assert_int_equal(drv_config(&e.d, 20, 4), 512);
	assert_int_equal(drv_config(&e.d, 32, 1), 1);
	assert_int_equal(drv_config(&e.d, 34, 2), 3);
	drv_start(&e.d, ALL_FEATURES);
	memset(drv_mem(&e.d, DATA), 0xff, 32);
	assert_int_equal(request(&e, 8, 0, 20), 0);
	assert_memory_equal(drv_mem(&e.d, DATA), "S123\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff", 21);
	assert_int_equal(request(&e, 8, 0, 2), 0); /* a short buffer */
	assert_int_equal(request(&e, 8, 0, 64), 0);
	env_close(&e);
	/* Exactly 20 characters. */
	env_open(&e, "drive=d0,serial=12345678901234567890");
	assert_int_equal(drv_config(&e.d, 34, 2), 1);
	drv_start(&e.d, ALL_FEATURES);
	assert_int_equal(request(&e, 8, 0, 20), 0);
	assert_memory_equal(drv_mem(&e.d, DATA), "12345678901234567890", 20);
	env_close(&e);
}

static void test_types(void **state)
{
	struct env e;
	uint8_t *p;

	env_open(&e, "drive=d0");
	drv_start(&e.d, ALL_FEATURES);
	p = drv_mem(&e.d, DATA);
	memset(p, 0x5a, 4096);
	assert_int_equal(request(&e, 1, 8, 4096), 0);
	memset(p, 0, 4096);
	assert_int_equal(request(&e, 0, 8, 4096), 0);
	assert_int_equal(p[0], 0x5a);
	assert_int_equal(p[4095], 0x5a);
	assert_int_equal(request(&e, 4, 0, 0), 0);
	/* Nothing at all is a request too. */
	assert_int_equal(request(&e, 0, 0, 0), 0);
	/* Unknown types. */
	assert_int_equal(request(&e, 2, 0, 512), 2);
	assert_int_equal(request(&e, 10, 0, 0), 2);
	assert_int_equal(request(&e, 14, 0, 16), 2);
	assert_int_equal(request(&e, 0xffffffff, 0, 512), 2);
	/* Beyond the end, overflowing, not whole sectors. */
	assert_int_equal(request(&e, 0, SECTORS, 512), 1);
	assert_int_equal(request(&e, 1, SECTORS - 7, 4096), 1);
	assert_int_equal(request(&e, 0, UINT64_MAX, 512), 1);
	assert_int_equal(request(&e, 1, UINT64_MAX / 512 + 1, 512), 1);
	assert_int_equal(request(&e, 1, UINT64_MAX / 512, 512), 1);
	assert_int_equal(request(&e, 0, 0, 511), 1);
	assert_int_equal(request(&e, 1, 0, 513), 1);
	/* Zeroes. */
	assert_int_equal(range_request(&e, 13, 9, 2, 0), 0);
	assert_int_equal(request(&e, 0, 8, 4096), 0);
	assert_int_equal(p[511], 0x5a);
	assert_int_equal(p[512], 0);
	assert_int_equal(p[1535], 0);
	assert_int_equal(p[1536], 0x5a);
	assert_int_equal(range_request(&e, 13, 9, 2, 1), 0);
	assert_int_equal(range_request(&e, 13, 9, 2, 2), 2);
	assert_int_equal(range_request(&e, 13, SECTORS - 1, 2, 0), 1);
	assert_int_equal(range_request(&e, 13, UINT64_MAX / 512, 1, 0), 1);
	assert_int_equal(range_request(&e, 13, 0, UINT32_MAX, 0), 1);
	assert_int_equal(range_request(&e, 13, 0, 0, 0), 0);
	/* Discard. */
	assert_int_equal(range_request(&e, 11, 8, 8, 0), 0);
	assert_int_equal(range_request(&e, 11, 8, 8, 1), 2);
	assert_int_equal(range_request(&e, 11, SECTORS, 8, 0), 1);
	assert_int_equal(request(&e, 11, 0, 15), 1);
	assert_int_equal(request(&e, 11, 0, 32), 1); /* more ranges than we take */
	assert_int_equal(request(&e, 11, 0, 0), 1);
	assert_int_equal(drv_status(&e.d), 15);
	/* Not negotiated. */
	drv_start(&e.d, 0);
	assert_int_equal(range_request(&e, 13, 9, 2, 0), 2);
	assert_int_equal(range_request(&e, 11, 9, 2, 0), 2);
	assert_int_equal(request(&e, 0, 8, 512), 0);
	env_close(&e);
}

static void test_readonly(void **state)
{
	struct error err = ERROR_INIT;
	struct env e;

	env_open(&e, "drive=d0");
	device_free(e.dev);
	((struct block_info *)(uintptr_t)block_get_info(e.disk))->readonly = true;
	e.dev = device_create(e.f->m, "virtio-blk-pci", "drive=d0", &err);
	assert_non_null(e.dev);
	e.dev->type->reset(e.dev);
	drv_probe(&e.d, e.f, e.dev);
	assert_true(drv_offered(&e.d) & F_RO);
	drv_start(&e.d, ALL_FEATURES);
	assert_int_equal(request(&e, 0, 0, 512), 0);
	assert_int_equal(request(&e, 1, 0, 512), 1);
	assert_int_equal(request(&e, 4, 0, 0), 0);
	env_close(&e);
}

static void test_write_cache(void **state)
{
	struct env e;

	env_open(&e, "drive=d0");
	drv_start(&e.d, ALL_FEATURES);
	assert_int_equal(request(&e, 1, 0, 512), 0);
	for (int i = 0; i < 20; i++) {
		drv_write(&e.d, 0x100 + 32, i & 1, 1);
		assert_int_equal(drv_config(&e.d, 32, 1), i & 1);
		assert_int_equal(request(&e, 1, 0, 512), 0);
	}
	/* Other fields are read-only; odd sizes do nothing. */
	drv_write(&e.d, 0x100, 5, 4);
	drv_write(&e.d, 0x100 + 32, 0xffff, 2);
	assert_int_equal(drv_config(&e.d, 0, 8), SECTORS);
	assert_int_equal(drv_config(&e.d, 32, 1), 1);
	drv_write(&e.d, 0x100 + 32, 0, 1);
	drv_start(&e.d, 0); /* no flush, no WCE: write-through */
	assert_int_equal(drv_config(&e.d, 32, 1), 1);
	drv_write(&e.d, 0x100 + 32, 0, 1);
	assert_int_equal(drv_config(&e.d, 32, 1), 1); /* not negotiated */
	assert_int_equal(request(&e, 1, 0, 512), 0);
	env_close(&e);
	env_open(&e, "drive=d0,write-cache=off");
	drv_start(&e.d, ALL_FEATURES);
	assert_int_equal(drv_config(&e.d, 32, 1), 0);
	env_close(&e);
}

/* -------- random requests in any layout -------- */

struct model_req {
	uint64_t mem; /* guest memory: 256 KiB of its own */
	uint64_t sector, status;
	uint32_t len;
	bool write;
	uint8_t *data;
	int head;
};

/* Scatter @len bytes of a contiguous area at @addr over @max descriptors at most. */
static int scatter(uint64_t *rnd, struct drv_buf *b, int max, uint64_t addr, uint32_t len)
{
	int n = 0;

	while (len) {
		uint32_t piece = 1 + (uint32_t)(test_random(rnd) % len);

		if (n == max - 1)
			piece = len;
		b[n++] = (struct drv_buf){ addr, piece };
		addr += piece;
		len -= piece;
	}
	return n;
}

static void model_add(struct env *e, uint64_t *rnd, unsigned int q, struct model_req *r)
{
	struct drv_buf b[40];
	bool indirect = test_random(rnd) % 2;
	int max = indirect ? 16 : 2, out, in;
	uint64_t hdr = r->mem + 64, data = hdr + 16, status = data + r->len;

	/* In memory: header, data, status in one run, so that any cut is possible. */
	header(e, hdr, r->write, r->sector);
	r->status = status;
	*drv_mem(&e->d, status) = 0xee;
	if (r->write) {
		memcpy(drv_mem(&e->d, data), r->data, r->len);
		out = scatter(rnd, b, max, hdr, 16 + r->len);
		in = scatter(rnd, b + out, 1, status, 1);
	} else {
		memset(drv_mem(&e->d, data), 0xdd, r->len);
		out = scatter(rnd, b, max, hdr, 16);
		in = scatter(rnd, b + out, max, data, r->len + 1);
	}
	r->head = drv_add(&e->d, q, b, out, in, indirect ? r->mem + 0x30000 : 0);
}

static void model_check(struct env *e, struct model_req *r, uint8_t *ref)
{
	uint64_t data = r->status - r->len;

	assert_int_equal(*drv_mem(&e->d, r->status), 0);
	if (r->write)
		memcpy(ref + r->sector * 512, r->data, r->len);
	else
		assert_memory_equal(drv_mem(&e->d, data), ref + r->sector * 512, r->len);
}

static void model_batch(struct env *e, uint64_t *rnd, struct model_req *reqs, uint8_t *ref)
{
	unsigned int q = (unsigned int)(test_random(rnd) % 2);
	int n = 1 + (int)(test_random(rnd) % 12), left = n;
	uint32_t msis = test_msis;

	for (int i = 0; i < n; i++) {
		struct model_req *r = &reqs[i];

		/* A twelfth of the disk each: no overlaps. */
		r->len = 512 *
			 (1 + (uint32_t)(test_random(rnd) % (test_random(rnd) % 2 ? 8 : 300)));
		r->sector = (uint64_t)i * (SECTORS / 12) +
			    test_random(rnd) % (SECTORS / 12 - r->len / 512);
		r->write = test_random(rnd) % 2;
		for (uint32_t k = 0; r->write && k < r->len; k += 8)
			wr_le64(r->data + k, test_random(rnd));
		model_add(e, rnd, q, r);
	}
	drv_kick(&e->d, q);
	while (left) {
		uint32_t len;
		int head = drv_wait(&e->d, q, &len), i;

		for (i = 0; i < n && reqs[i].head != head; i++)
			;
		assert_true(i < n);
		assert_int_equal(len, reqs[i].write ? 1 : reqs[i].len + 1);
		model_check(e, &reqs[i], ref);
		reqs[i].head = -1;
		left--;
	}
	DRV_UNTIL(&e->d, test_msis > msis);
	drv_settle(&e->d); /* none of this batch's is counted as the next one's */
	assert_true(test_msis - msis <= (uint32_t)n);
}

static void test_model(void **state)
{
	static uint8_t ref[SECTORS * 512];
	struct model_req reqs[12];
	uint64_t rnd = 42;
	struct env e;

	env_open(&e, "drive=d0,num-queues=2,queue-size=64");
	drv_start(&e.d, ALL_FEATURES);
	for (int i = 0; i < 12; i++) {
		reqs[i] = (struct model_req){ .mem = DRV_HEAP + (uint64_t)i * 0x40000,
			.data = malloc(300 * 512),
			.head = -1 };
	}
	for (int i = 0; i < 400; i++)
		model_batch(&e, &rnd, reqs, ref);
	for (int i = 0; i < 12; i++)
		free(reqs[i].data);
	env_close(&e);
}

/* Many completions in a round of the loop: few interrupts. */
static void test_batching(void **state)
{
	struct drv_buf b[3];
	struct env e;
	uint32_t before;

	env_open(&e, "drive=d0");
	drv_start(&e.d, ALL_FEATURES);
	before = test_msis;
	for (int round = 0; round < 50; round++) {
		for (uint64_t i = 0; i < 16; i++) {
			header(&e, HDR + i * 32, 8, 0);
			b[0] = (struct drv_buf){ HDR + i * 32, 16 };
			b[1] = (struct drv_buf){ DATA + i * 512, 512 };
			b[2] = (struct drv_buf){ STATUS + 0x500 + i, 1 };
			drv_add(&e.d, 0, b, 1, 2, 0);
		}
		drv_kick(&e.d, 0);
		for (int i = 0; i < 16; i++)
			drv_wait(&e.d, 0, NULL);
	}
	/* Requests that are done at once: one decision, and without event index one interrupt, a kick. */
	assert_true(test_msis - before <= 60);
	env_close(&e);
}

/* -------- stop, save, reset, unplug with requests in flight -------- */

static void add_many(struct env *e, int n, bool write)
{
	for (uint64_t i = 0; i < (uint64_t)n; i++) {
		struct drv_buf b[3] = { { HDR + i * 32, 16 }, { DATA + i * 0x10000, 0x10000 },
			{ STATUS + 0x500 + i, 1 } };

		header(e, HDR + i * 32, write, i * 128);
		*drv_mem(&e->d, STATUS + 0x500 + i) = 0xee;
		memset(drv_mem(&e->d, DATA + i * 0x10000), (int)i + 1, 0x10000);
		drv_add(&e->d, 0, b, write ? 2 : 1, write ? 1 : 2, 0);
	}
	drv_kick(&e->d, 0);
}

static void test_reset_in_flight(void **state)
{
	struct env e;

	env_open(&e, "drive=d0");
	for (int i = 0; i < 100; i++) {
		drv_start(&e.d, ALL_FEATURES);
		add_many(&e, 16, i & 1);
		for (int k = 0; k < i % 5; k++)
			drv_breathe(&e.d);
		drv_reset(&e.d);
		assert_int_equal(virtio_in_flight(e.d.v), 0);
		/* The memory is the driver's again: nothing writes there any more. */
		memset(drv_mem(&e.d, DATA), 0x77, 0x100000);
		drv_breathe(&e.d);
		for (uint32_t k = 0; k < 0x100000; k += 512)
			assert_int_equal(*drv_mem(&e.d, DATA + k), 0x77);
	}
	drv_start(&e.d, ALL_FEATURES);
	assert_int_equal(request(&e, 0, 0, 512), 0);
	env_close(&e);
}

static void test_quiesce_save(void **state)
{
	struct env e;

	env_open(&e, "drive=d0");
	drv_start(&e.d, ALL_FEATURES);
	drv_write(&e.d, 0x100 + 32, 0, 1);
	for (int i = 0; i < 50; i++) {
		AUTO(str) saved = STR_INIT;
		struct error err = ERROR_INIT;

		add_many(&e, 16, true);
		e.dev->type->quiesce(e.dev);
		assert_int_equal(virtio_in_flight(e.d.v), 0);
		assert_int_equal(block_in_flight(e.disk), 0);
		assert_true(device_save(e.dev, &saved, &err));
		if (i % 2) {
			drv_write(&e.d, 0x14, 0, 1);
			if (!device_load(e.dev, saved.s, saved.len, &err))
				fail_msg("%s", err.msg);
			assert_int_equal(drv_config(&e.d, 32, 1), 0);
		}
		e.dev->type->resume(e.dev);
		for (int k = 0; k < 16; k++)
			drv_wait(&e.d, 0, NULL);
		for (int k = 0; k < 16; k++)
			assert_int_equal(*drv_mem(&e.d, STATUS + 0x500 + (uint64_t)k), 0);
	}
	env_close(&e);
}

static void test_load_other_disk(void **state)
{
	AUTO(str) saved = STR_INIT;
	struct error err = ERROR_INIT;
	struct env e, f;

	env_open(&e, "drive=d0");
	e.dev->type->quiesce(e.dev);
	assert_true(device_save(e.dev, &saved, &err));
	env_close(&e);
	env_open(&f, "drive=d0");
	device_free(f.dev);
	block_close(f.disk);
	f.disk = block_open_test(512, &err);
	assert_true(machine_backend_add(f.f->m, BACKEND_BLOCK, "d1", f.disk, &err));
	f.dev = device_create(f.f->m, "virtio-blk-pci", "drive=d1", &err);
	f.dev->type->quiesce(f.dev);
	assert_false(device_load(f.dev, saved.s, saved.len, &err));
	assert_contains(err.msg, "4096");
	env_close(&f);
}

static void test_unplug(void **state)
{
	for (int i = 0; i < 20; i++) {
		struct env e;

		env_open(&e, i & 1 ? "drive=d0,iothread=other" : "drive=d0");
		drv_start(&e.d, ALL_FEATURES);
		add_many(&e, 16, true);
		drv_write(&e.d, 0x100 + 32, 0, 1);
		env_close(&e);
	}
}

/* -------- a loop a queue -------- */

#define LOOPS	  4
#define LOOP_REQS 8
#define LOOP_LEN  0x2000u

static uint64_t loop_data(unsigned int q, unsigned int i)
{
	return DATA + q * 0x20000ull + i * 0x4000ull;
}

/* Write to (or read from) a place of its own by each request of each queue, and a flush after them. */
static void loops_add(struct env *e, bool write, uint8_t value)
{
	for (unsigned int q = 0; q < LOOPS; q++) {
		for (unsigned int i = 0; i <= LOOP_REQS; i++) {
			uint64_t n = q * 16 + i, at = HDR + n * 32, sector = (q * 8 + i) * 16;
			struct drv_buf b[3] = { { at, 16 }, { loop_data(q, i), LOOP_LEN },
				{ STATUS + 0x900 + n, 1 } };

			*drv_mem(&e->d, b[2].addr) = 0xee;
			if (i == LOOP_REQS) {
				header(e, at, 4, 0);
				b[1] = b[2];
				drv_add(&e->d, q, b, 1, 1, 0);
				continue;
			}
			header(e, at, write, sector);
			memset(drv_mem(&e->d, b[1].addr), write ? (int)(value + n) : 0, LOOP_LEN);
			drv_add(&e->d, q, b, write ? 2 : 1, write ? 1 : 2, 0);
		}
		drv_kick(&e->d, q);
	}
}

static void loops_wait(struct env *e)
{
	for (unsigned int q = LOOPS; q > 0; q--) {
		for (unsigned int i = 0; i <= LOOP_REQS; i++) {
			int head = drv_wait(&e->d, q - 1, NULL);

			assert_true(head >= 0);
		}
		for (unsigned int i = 0; i <= LOOP_REQS; i++)
			assert_int_equal(*drv_mem(&e->d, STATUS + 0x900 + (q - 1) * 16 + i), 0);
	}
}

static void test_loops(void **state)
{
	struct block_stats stats;
	struct drv_buf bad;
	struct env e;

	env_open(&e, "drive=d0,num-queues=4,iothread=a:b:c:d");
	assert_int_equal(e.d.v->n_lanes, LOOPS);
	for (unsigned int round = 0; round < 40; round++) {
		drv_start(&e.d, ALL_FEATURES);
		loops_add(&e, true, (uint8_t)round);
		if (round % 3 == 1) {
			e.dev->type->quiesce(e.dev);
			assert_int_equal(virtio_in_flight(e.d.v), 0);
			e.dev->type->resume(e.dev);
		}
		drv_write(&e.d, 0x100 + 32, round & 1, 1); /* the cache off and on meanwhile */
		loops_wait(&e);
		loops_add(&e, false, 0);
		loops_wait(&e);
		for (unsigned int q = 0; q < LOOPS; q++) {
			for (unsigned int i = 0; i < LOOP_REQS; i++)
				assert_int_equal(*drv_mem(&e.d, loop_data(q, i) + LOOP_LEN - 1),
					(uint8_t)(round + q * 16 + i));
		}
		/* A reset that all queues' requests in flight hold up. */
		loops_add(&e, true, 1);
		drv_reset(&e.d);
		assert_int_equal(virtio_in_flight(e.d.v), 0);
		memset(drv_mem(&e.d, DATA), 0x77, 0x80000);
		drv_breathe(&e.d);
		for (uint32_t k = 0; k < 0x80000; k += 512)
			assert_int_equal(*drv_mem(&e.d, DATA + k), 0x77);
	}
	block_get_stats(e.disk, &stats);
	assert_true(stats.of[BLOCK_STAT_READ].ops >= 40 * LOOPS * LOOP_REQS);
	assert_true(stats.of[BLOCK_STAT_WRITE].bytes >= 40ull * LOOPS * LOOP_REQS * LOOP_LEN);
	/* A queue of another loop is broken, and so the device, with requests in flight on the others. */
	drv_start(&e.d, ALL_FEATURES);
	loops_add(&e, true, 1);
	bad = (struct drv_buf){ HDR, 15 };
	drv_add(&e.d, 3, &bad, 1, 0, 0);
	drv_kick(&e.d, 3);
	DRV_UNTIL(&e.d, drv_status(&e.d) & VIRTIO_S_NEEDS_RESET);
	drv_start(&e.d, ALL_FEATURES);
	loops_add(&e, true, 1);
	loops_wait(&e);
	loops_add(&e, true, 1);
	env_close(&e);
}

/* -------- bad drivers -------- */

static void test_short_header(void **state)
{
	struct env e;

	env_open(&e, "drive=d0");
	for (int i = 0; i < 4; i++) {
		struct drv_buf b[2] = { { HDR, i & 1 ? 16 : 15 }, { STATUS, 1 } };

		drv_start(&e.d, ALL_FEATURES);
		header(&e, HDR, 0, 0);
		if (i < 2)
			drv_add(&e.d, 0, b, 1, i == 0, 0);
		else
			drv_add(&e.d, 0, b + 1, 0, 1, 0);
		drv_kick(&e.d, 0);
		DRV_UNTIL(&e.d, drv_status(&e.d) & VIRTIO_S_NEEDS_RESET);
	}
	drv_start(&e.d, ALL_FEATURES);
	assert_int_equal(request(&e, 0, 0, 512), 0);
	env_close(&e);
}

/* Rings full of noise. Nothing is promised but that we live and that a reset helps. */
#ifndef __SANITIZE_THREAD__
static void test_noise(void **state)
{
	uint64_t rnd = 7;
	struct env e;

	env_open(&e, "drive=d0,num-queues=2");
	for (int i = 0; i < 400; i++) {
		unsigned int q = i & 1;
		uint8_t *ring;

		drv_start(&e.d, ALL_FEATURES);
		ring = drv_mem(&e.d, drv_ring(q));
		for (int k = 0; k < DRV_SIZE; k++) {
			uint8_t *at = ring + k * 16;
			uint64_t r = test_random(&rnd);

			wr_le64(at, r % 8 ? DRV_HEAP + r % 0x20000 : r);
			wr_le32(at + 8,
				r >> 40 & 1 ? (uint32_t)(r >> 32) : (uint32_t)(r >> 32) % 70000);
			wr_le16(at + 12, (uint16_t)(test_random(&rnd) % (r & 1024 ? 4 : 8)));
			wr_le16(at + 14, (uint16_t)(r >> 11 & (r & 2048 ? 63 : 127)));
			wr_le16(ring + DRV_AVAIL + 4 + k * 2, (uint16_t)(test_random(&rnd) % 66));
		}
		for (uint64_t k = 0; k < 0x20000; k += 16)
			header(&e, DRV_HEAP + k, (uint32_t)(test_random(&rnd) % 15),
				test_random(&rnd) % (SECTORS + 10));
		wr_le16(ring + DRV_AVAIL + 2, (uint16_t)(test_random(&rnd) % (i % 4 ? 64 : 65536)));
		drv_kick(&e.d, q);
		if (i % 3)
			drv_breathe(&e.d);
	}
	drv_start(&e.d, ALL_FEATURES);
	assert_int_equal(request(&e, 0, 0, 512), 0);
	env_close(&e);
}

#endif

/* -------- options -------- */

static void expect_error(struct env *e, const char *options, const char *part)
{
	struct error err = ERROR_INIT;

	assert_null(device_create(e->f->m, "virtio-blk-pci", options, &err));
	assert_contains(err.msg, part);
}

static void test_options(void **state)
{
	struct env e;

	env_open(&e, "drive=d0,logical_block_size=4096,physical_block_size=8192");
	assert_int_equal(drv_config(&e.d, 20, 4), 4096);
	assert_int_equal(drv_config(&e.d, 24, 1), 1);
	expect_error(&e, "drive=d0", "already used");
	expect_error(&e, "drive=nosuch", "nosuch");
	expect_error(&e, NULL, "drive");
	device_free(e.dev);
	e.dev = NULL;
	expect_error(&e, "drive=d0,serial=123456789012345678901", "longer than 20");
	expect_error(&e, "drive=d0,num-queues=65", "num-queues");
	expect_error(&e, "drive=d0,queue-size=100", "power of two");
	expect_error(&e, "drive=d0,logical_block_size=513", "power of two");
	expect_error(&e, "drive=d0,physical_block_size=256", "power of two");
	/* After all that the disk is still free. */
	e.dev = device_create(e.f->m, "virtio-blk-pci", "drive=d0,queue-size=2,num-queues=63",
		&(struct error){ 0 });
	assert_non_null(e.dev);
	env_close(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_readonly),
		cmocka_unit_test(test_write_cache),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_batching),
		cmocka_unit_test(test_reset_in_flight),
		cmocka_unit_test(test_loops),
		cmocka_unit_test(test_quiesce_save),
		cmocka_unit_test(test_load_other_disk),
		cmocka_unit_test(test_unplug),
		cmocka_unit_test(test_short_header),
#ifndef __SANITIZE_THREAD__ /* scribbles over memory that the device reads, as guests may */
		cmocka_unit_test(test_noise),
#endif
		cmocka_unit_test(test_options),
	};

	log_level = LOG_ERR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
