// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory that goes back to the host: what reads as zeroes, what stays, who is told. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/testing.h"
#include "mem/gmem.h"

#define PAGE  4096ull
#define PAGES 64u

struct env {
	struct as as;
	struct ram_block *b;
	struct as_region low, high, dev;
};

/* Pages 0-31 at 0, 32-63 at 1 MiB; a device over half of page 5. All bytes are 0x55. */
static void open_env(struct env *e, bool share)
{
	struct ram_config c = {
		.name = "test", .size = PAGES * PAGE, .share = share, .host_node = -1
	};
	struct error err = ERROR_INIT;

	memset(e, 0, sizeof(*e));
	assert_true(as_init(&e->as, "test", 1ull << 40, &err));
	e->b = ram_block_new(&c, &err);
	assert_non_null(e->b);
	e->low = (struct as_region){ .name = "low", .kind = AS_RAM, .ram = e->b };
	e->high = (struct as_region){
		.name = "high", .kind = AS_RAM, .ram = e->b, .ram_off = 32 * PAGE
	};
	e->dev = (struct as_region){ .name = "dev", .kind = AS_IO, .priority = 10 };
	assert_int_equal(as_add(&e->as, &e->low, 0, 32 * PAGE), 0);
	assert_int_equal(as_add(&e->as, &e->high, MIB, 32 * PAGE), 0);
	assert_int_equal(as_add(&e->as, &e->dev, 5 * PAGE + 2048, 2048), 0);
	memset(e->b->host, 0x55, PAGES * PAGE);
}

static void close_env(struct env *e)
{
	as_fini(&e->as);
	ram_block_unref(e->b);
}

/* Is page @i all zeroes? It is one or the other. */
static bool gone(struct env *e, unsigned int i)
{
	const uint8_t *p = e->b->host + i * PAGE;

	for (unsigned int k = 1; k < PAGE; k++)
		assert_int_equal(p[k], p[0]);
	assert_true(p[0] == 0 || p[0] == 0x55);
	return p[0] == 0;
}

static unsigned int count_gone(struct env *e)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < PAGES; i++)
		n += gone(e, i);
	return n;
}

static unsigned int resident(struct env *e)
{
	unsigned char in[PAGES];
	unsigned int n = 0;

	assert_int_equal(mincore(e->b->host, PAGES * PAGE, in), 0);
	for (unsigned int i = 0; i < PAGES; i++)
		n += in[i] & 1;
	return n;
}

static void check_discard(bool share)
{
	struct gmem_partial p = { 0 };
	struct env e;

	open_env(&e, share);
	gmem_discard(&e.as, GPA(MIB + 3 * PAGE), 2 * PAGE, &p);
	assert_int_equal(resident(&e), PAGES - 2); /* given back, not written with zeroes */
	assert_true(gone(&e, 35) && gone(&e, 36));
	assert_int_equal(count_gone(&e), 2);
	/* Over the end of what is there, not aligned, nowhere, more than there can be. */
	gmem_discard(&e.as, GPA(31 * PAGE), 4 * PAGE, &p);
	assert_true(gone(&e, 31));
	gmem_discard(&e.as, GPA(7 * PAGE + 1), PAGE, &p);
	gmem_discard(&e.as, GPA(7 * PAGE), PAGE - 1, &p);
	gmem_discard(&e.as, GPA(40 * MIB), PAGE, &p);
	gmem_discard(&e.as, GPA(UINT64_MAX - PAGE + 1), PAGE, &p);
	assert_int_equal(count_gone(&e), 3);
	/* From a host's address: only whole pages; the two regions are one there. */
	gmem_discard_host(&e.as, e.b->host + 30 * PAGE + 1, 4 * PAGE);
	assert_true(!gone(&e, 30) && gone(&e, 32) && gone(&e, 33) && !gone(&e, 34));
	gmem_discard_host(&e.as, e.b->host + 40 * PAGE + 5, PAGE);
	gmem_discard_host(&e.as, e.b->host + 63 * PAGE, 2 * PAGE);
	gmem_discard_host(&e.as, &e, sizeof(e));
	assert_int_equal(count_gone(&e), 5);
	close_env(&e);
}

static void test_anonymous(void **state)
{
	check_discard(false);
}

static void test_shared(void **state)
{
	check_discard(true);
}

/* The half page that a device covers, and all that shares its piece of the map, stays. */
static void test_covered(void **state)
{
	struct gmem_partial p = { 0 };
	struct env e;

	open_env(&e, false);
	gmem_discard(&e.as, GPA(5 * PAGE), PAGE, &p);
	assert_false(gone(&e, 5));
	gmem_discard(&e.as, GPA(6 * PAGE), PAGE, &p);
	assert_true(gone(&e, 6));
	close_env(&e);
}

/* A host whose pages are of 16 KiB: pieces are collected, one page's at a time. */
static void test_large_pages(void **state)
{
	struct gmem_partial p = { 0 };
	struct env e;

	open_env(&e, false);
	e.b->page_size = 4 * PAGE;
	gmem_discard(&e.as, GPA(9 * PAGE), PAGE, &p);
	gmem_discard(&e.as, GPA(9 * PAGE), PAGE, &p);
	gmem_discard(&e.as, GPA(10 * PAGE), 2 * PAGE, &p);
	assert_int_equal(count_gone(&e), 0);
	gmem_discard(&e.as, GPA(8 * PAGE), PAGE, &p);
	assert_int_equal(count_gone(&e), 4);
	assert_true(gone(&e, 8) && gone(&e, 11));
	/* Another page between drops what was collected. */
	gmem_discard(&e.as, GPA(16 * PAGE), 3 * PAGE, &p);
	gmem_discard(&e.as, GPA(20 * PAGE), PAGE, &p);
	gmem_discard(&e.as, GPA(19 * PAGE), PAGE, &p);
	assert_int_equal(count_gone(&e), 4);
	/* Whole ones, with pieces at both ends. */
	gmem_discard(&e.as, GPA(MIB + 3 * PAGE), 10 * PAGE, &p);
	assert_int_equal(count_gone(&e), 12);
	assert_true(gone(&e, 36) && gone(&e, 43) && !gone(&e, 35) && !gone(&e, 44));
	gmem_discard_host(&e.as, e.b->host + 49 * PAGE, 10 * PAGE);
	assert_int_equal(count_gone(&e), 16);
	assert_true(gone(&e, 52) && gone(&e, 55));
	close_env(&e);
}

static void test_told(void **state)
{
	struct gmem_partial p = { 0 };
	struct error err = ERROR_INIT;
	_Atomic uint32_t *code;
	uint64_t dirty[1];
	struct env e;

	open_env(&e, false);
	assert_true(ram_dirty_start(e.b, &err));
	code = ram_code_words(e.b);
	assert_non_null(code);
	for (unsigned int i = 0; i < PAGES; i++)
		code[RAM_CODE_WORDS * i] |= 1;
	gmem_discard(&e.as, GPA(10 * PAGE), 2 * PAGE, &p);
	ram_dirty_take(e.b, 0, dirty, 1);
	assert_int_equal(dirty[0], 3ull << 10);
	for (unsigned int i = 0; i < PAGES; i++)
		assert_int_equal(code[RAM_CODE_WORDS * i], i == 10 || i == 11 ? 2 : 1);
	close_env(&e);
}

static void test_refused(void **state)
{
	struct env e;

	open_env(&e, false);
	assert_int_equal(ram_discard(e.b, 0, (PAGES + 1) * PAGE), -EINVAL);
	assert_int_equal(ram_discard(e.b, UINT64_MAX, 2), -EINVAL);
	e.b->readonly = true;
	assert_int_equal(ram_discard(e.b, 0, PAGE), -EINVAL);
	e.b->readonly = false;
	assert_int_equal(ram_discard(e.b, 100, PAGE), 0); /* no whole page */
	assert_int_equal(count_gone(&e), 0);
	assert_int_equal(ram_discard(e.b, 0, PAGES * PAGE), 0);
	assert_int_equal(count_gone(&e), PAGES);
	close_env(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_anonymous),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_covered),
		cmocka_unit_test(test_large_pages),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
