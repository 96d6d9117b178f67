// SPDX-License-Identifier: GPL-2.0-or-later
/* virtio-balloon as a driver sees it, and as the control plane does. */
#include "core/device.h"

extern const struct device_type pci_host_type, virtio_balloon_type;
#define TEST_DEVICE_TYPES &pci_host_type, &virtio_balloon_type,
#include "hw/testing.h"

#include "core/notice.h"
#include "hw/virtio/balloon.h"
#include "hw/virtio/driver.h"

#define F_STATS	    BIT_ULL(1)
#define F_OOM	    BIT_ULL(2)
#define F_POISON    BIT_ULL(4)
#define F_REPORTING BIT_ULL(5)
#define ALL	    (F_STATS | F_OOM | F_POISON | F_REPORTING)
#define PFNS	    DRV_HEAP
#define STATS	    (DRV_HEAP + 0x10000)
#define FREE	    (8 * MIB) /* pages that may go */

enum { Q_INFLATE, Q_DEFLATE, Q_STATS, Q_REPORT, Q_REPORT_2 };

struct env {
	struct test_machine *f;
	struct device *dev;
	struct drv d;
	uint64_t told;
	unsigned int times;
	struct notice_listener listener;
};

static void told(struct notice_listener *l, const struct notice *n)
{
	struct env *e = CONTAINER_OF(l, struct env, listener);

	assert_int_equal(n->kind, NOTICE_BALLOON_CHANGE);
	assert_ptr_equal(n->device, e->dev);
	e->told = (uint64_t)n->value;
	e->times++;
}

static void env_open(struct env *e, const char *options, uint64_t want)
{
	struct error err = ERROR_INIT;

	memset(e, 0, sizeof(*e));
	e->f = fixture_new(&test_pci);
	e->dev = device_create(e->f->m, "virtio-balloon-pci", options, &err);
	if (!e->dev)
		fail_msg("%s", err.msg);
	e->dev->type->reset(e->dev);
	e->listener.notice = told;
	atomic_store(&e->f->m->notice, &e->listener);
	memset(e->f->ram->host + FREE, 0x55, 4 * MIB);
	drv_probe(&e->d, e->f, e->dev);
	drv_start(&e->d, want);
	drv_write(&e->d, 0x10, 0, 2); /* the vector of configuration changes */
}

static void env_close(struct env *e)
{
	atomic_store(&e->f->m->notice, NULL);
	device_free(e->dev);
	fixture_free(e->f);
}

static bool gone(struct env *e, uint64_t addr)
{
	return e->f->ram->host[addr] == 0;
}

/* Puts pages of 4 KiB, from @addr on, into the balloon; @step may go down. */
static void fill(struct env *e, unsigned int q, uint64_t addr, unsigned int n, int step)
{
	struct drv_buf b = { PFNS, 4 * n };

	for (unsigned int i = 0; i < n; i++, addr += (uint64_t)(step * 4096))
		wr_le32(drv_mem(&e->d, PFNS + 4 * i), (uint32_t)(addr >> 12));
	drv_add(&e->d, q, &b, 1, 0, 0);
	drv_kick(&e->d, q);
	drv_wait(&e->d, q, NULL);
}

static void test_inflate(void **state)
{
	struct env e;

	env_open(&e, "", ALL);
	assert_int_equal(balloon_get_actual(e.dev), TEST_RAM);
	balloon_set_target(e.dev, TEST_RAM - 3 * 4096);
	assert_int_equal(drv_config(&e.d, 0, 4), 3);
	assert_true(test_msis > 0); /* configuration changed */
	fill(&e, Q_INFLATE, FREE + 4096, 2, 1);
	fill(&e, Q_INFLATE, FREE + 9 * 4096, 3, -1);
	assert_true(!gone(&e, FREE) && gone(&e, FREE + 4096) && gone(&e, FREE + 2 * 4096));
	assert_true(!gone(&e, FREE + 3 * 4096) && !gone(&e, FREE + 6 * 4096));
	assert_true(gone(&e, FREE + 7 * 4096) && gone(&e, FREE + 9 * 4096));
	drv_write(&e.d, 0x104, 5, 4);
	assert_int_equal(e.times, 1);
	assert_int_equal(e.told, TEST_RAM - 5 * 4096);
	assert_int_equal(balloon_get_actual(e.dev), e.told);
	/* Taking pages out does nothing to them. */
	fill(&e, Q_DEFLATE, FREE, 1, 1);
	assert_false(gone(&e, FREE));
	/* Pages that are no memory. */
	fill(&e, Q_INFLATE, 0xfffff000, 2, 1);
	fill(&e, Q_INFLATE, 0xffffffff000, 2, -1);
	assert_int_equal(drv_status(&e.d), 15);
	/* More than all is all; a guest may say that it gave more than it has. */
	balloon_set_target(e.dev, UINT64_MAX);
	assert_int_equal(drv_config(&e.d, 0, 4), 0);
	drv_write(&e.d, 0x104, UINT32_MAX, 4);
	assert_int_equal(balloon_get_actual(e.dev), 0);
	/* Reset: the target stays, the pages are the guest's. */
	balloon_set_target(e.dev, TEST_RAM / 2);
	drv_reset(&e.d);
	assert_int_equal(drv_config(&e.d, 0, 4), TEST_RAM / 2 / 4096);
	assert_int_equal(balloon_get_actual(e.dev), TEST_RAM);
	env_close(&e);
}

static void report(struct env *e, unsigned int q, uint64_t addr, uint32_t len)
{
	struct drv_buf b[2] = { { addr, len }, { addr + MIB, len } };

	drv_add(&e->d, q, b, 0, 2, 0);
	drv_kick(&e->d, q);
	drv_wait(&e->d, q, NULL);
}

/* Queue 3 and 4 both: drivers do not agree on the number. */
static void test_reporting(void **state)
{
	struct env e;

	env_open(&e, "", ALL);
	report(&e, Q_REPORT, FREE, 0x10000);
	assert_true(gone(&e, FREE) && gone(&e, FREE + 0xffff) && !gone(&e, FREE + 0x10000));
	assert_true(gone(&e, FREE + MIB) && !gone(&e, FREE + MIB + 0x10000));
	report(&e, Q_REPORT_2, FREE + 0x20800, 0x2000);
	assert_true(!gone(&e, FREE + 0x20800) && gone(&e, FREE + 0x21000));
	assert_false(gone(&e, FREE + 0x22000));
	assert_int_equal(drv_status(&e.d), 15);
	/* A driver that has no statistics counts on. */
	drv_start(&e.d, F_REPORTING);
	report(&e, Q_STATS, FREE + 0x40000, 0x1000);
	assert_true(gone(&e, FREE + 0x40000));
	env_close(&e);
}

static void test_poison(void **state)
{
	struct env e;

	env_open(&e, "", ALL);
	drv_write(&e.d, 0x10c, 0xaaaaaaaa, 4);
	assert_int_equal(drv_config(&e.d, 12, 4), 0xaaaaaaaa);
	report(&e, Q_REPORT, FREE, 0x10000);
	assert_false(gone(&e, FREE));
	drv_write(&e.d, 0x10c, 0, 4);
	report(&e, Q_REPORT, FREE, 0x10000);
	assert_true(gone(&e, FREE));
	/* Not negotiated: the register is not there to be written. */
	drv_start(&e.d, F_REPORTING | F_STATS);
	drv_write(&e.d, 0x10c, 7, 4);
	assert_int_equal(drv_config(&e.d, 12, 4), 0);
	env_close(&e);
}

static void put_stat(struct env *e, int i, uint16_t tag, uint64_t value)
{
	wr_le16(drv_mem(&e->d, STATS + 10 * i), tag);
	wr_le64(drv_mem(&e->d, STATS + 10 * i + 2), value);
}

static void send_stats(struct env *e, int n)
{
	struct drv_buf b = { STATS, (uint32_t)n * 10 };

	drv_add(&e->d, Q_STATS, &b, 1, 0, 0);
	drv_kick(&e->d, Q_STATS);
}

static bool has_value(struct env *e, int tag, uint64_t value)
{
	struct balloon_stats s;

	assert_true(balloon_get_stats(e->dev, &s));
	return s.value[tag] == value;
}

static void test_stats(void **state)
{
	struct balloon_stats s;
	struct env e;

	env_open(&e, "", ALL);
	assert_true(balloon_get_stats(e.dev, &s));
	assert_int_equal(s.last_update, 0);
	assert_true(s.value[4] == BALLOON_NO_VALUE);
	put_stat(&e, 0, 4, 12345);
	put_stat(&e, 1, 9, 99);
	put_stat(&e, 2, 77, 1); /* unknown */
	send_stats(&e, 3);
	DRV_UNTIL(&e.d, has_value(&e, 4, 12345));
	assert_true(balloon_get_stats(e.dev, &s));
	assert_int_equal(s.value[9], 99);
	assert_true(s.value[0] == BALLOON_NO_VALUE && s.last_update > 0);
	/* Kept until they are wanted. */
	assert_int_equal(drv_used(&e.d, Q_STATS, NULL), -1);
	balloon_set_interval(e.dev, 1);
	assert_int_equal(balloon_get_interval(e.dev), 1);
	drv_wait(&e.d, Q_STATS, NULL);
	balloon_set_interval(e.dev, 0);
	put_stat(&e, 0, 4, 222);
	send_stats(&e, 1);
	DRV_UNTIL(&e.d, has_value(&e, 4, 222));
	/* A pause, or a save: the buffer is still the ring's newest, and is read again. */
	e.dev->type->quiesce(e.dev);
	put_stat(&e, 0, 4, 333);
	e.dev->type->resume(e.dev);
	DRV_UNTIL(&e.d, has_value(&e, 4, 333));
	assert_int_equal(drv_used(&e.d, Q_STATS, NULL), -1);
	/* A second one: the first comes back. */
	put_stat(&e, 0, 4, 444);
	send_stats(&e, 1);
	drv_wait(&e.d, Q_STATS, NULL);
	DRV_UNTIL(&e.d, has_value(&e, 4, 444));
	drv_reset(&e.d);
	assert_false(balloon_get_stats(e.dev, &s));
	assert_int_equal(s.last_update, 0);
	env_close(&e);
}

static void test_options(void **state)
{
	struct error err = ERROR_INIT;
	struct env e;

	env_open(&e, "", 0);
	assert_int_equal(drv_offered(&e.d) & 0xff, F_STATS | F_POISON | F_REPORTING);
	assert_ptr_equal(balloon_find(e.f->m), e.dev);
	assert_null(device_create(e.f->m, "virtio-balloon-pci", "", &err));
	env_close(&e);
	env_open(&e, "deflate-on-oom=on,free-page-reporting=off,page-poison=off", ALL);
	assert_int_equal(drv_offered(&e.d) & 0xff, F_STATS | F_OOM);
	/* What was not negotiated has no queue. */
	struct drv_buf b = { FREE, 4096 };

	drv_add(&e.d, Q_REPORT, &b, 0, 1, 0);
	drv_kick(&e.d, Q_REPORT);
	DRV_UNTIL(&e.d, drv_status(&e.d) & VIRTIO_S_NEEDS_RESET);
	assert_false(gone(&e, FREE));
	env_close(&e);
}

static void test_too_many(void **state)
{
	struct env e;
	struct drv_buf b = { FREE, 16384 * 4 + 4 };

	env_open(&e, "", ALL);
	drv_add(&e.d, Q_INFLATE, &b, 1, 0, 0);
	drv_kick(&e.d, Q_INFLATE);
	DRV_UNTIL(&e.d, drv_status(&e.d) & VIRTIO_S_NEEDS_RESET);
	env_close(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inflate),
		cmocka_unit_test(test_reporting),
		cmocka_unit_test(test_poison),
		cmocka_unit_test(test_stats),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
