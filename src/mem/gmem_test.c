// SPDX-License-Identifier: GPL-2.0-or-later
/* Guest memory access over a map with RAM, ROM, a device and holes, held against a plain copy. */
#include <errno.h>
#include "base/testing.h"
#include "mem/gmem.h"
#include "mem/testing.h"

/*
 * 0x0000 RAM a (12 KiB)   0x1800-0x1fff covered by a device
 * 0x3000 RAM b (4 KiB)    another block, adjacent
 * 0x4000 ROM (4 KiB)
 * 0x5000 hole
 */
#define TOP 0x6000u

struct env {
	struct as as;
	struct ram_block *a, *b, *rom;
	struct as_region ra, rb, rrom, rdev;
};

static int setup(void **state)
{
	struct env *e = calloc(1, sizeof(*e));
	struct error err = ERROR_INIT;

	assert_true(as_init(&e->as, "test", 1ull << 40, &err));
	e->a = test_ram(0x3000);
	e->b = test_ram(0x1000);
	e->rom = test_ram(0x1000);
	e->ra = (struct as_region){ .name = "a", .kind = AS_RAM, .ram = e->a };
	e->rb = (struct as_region){ .name = "b", .kind = AS_RAM, .ram = e->b };
	e->rrom = (struct as_region){ .name = "rom", .kind = AS_ROM, .ram = e->rom };
	e->rdev = (struct as_region){ .name = "dev", .kind = AS_IO, .priority = 10 };
	assert_int_equal(as_add(&e->as, &e->ra, 0, 0x3000), 0);
	assert_int_equal(as_add(&e->as, &e->rb, 0x3000, 0x1000), 0);
	assert_int_equal(as_add(&e->as, &e->rrom, 0x4000, 0x1000), 0);
	assert_int_equal(as_add(&e->as, &e->rdev, 0x1800, 0x800), 0);
	for (uint32_t i = 0; i < 0x3000; i++)
		e->a->host[i] = rand();
	for (uint32_t i = 0; i < 0x1000; i++) {
		e->b->host[i] = rand();
		e->rom->host[i] = rand();
	}
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	struct env *e = *state;

	as_fini(&e->as);
	ram_block_unref(e->a);
	ram_block_unref(e->b);
	ram_block_unref(e->rom);
	free(e);
	return 0;
}

/* Where the byte at @addr lies; NULL: no memory. */
static uint8_t *byte_at(struct env *e, uint64_t addr, bool write)
{
	if (addr < 0x1800 || (addr >= 0x2000 && addr < 0x3000))
		return e->a->host + addr;
	if (addr >= 0x3000 && addr < 0x4000)
		return e->b->host + (addr - 0x3000);
	if (addr >= 0x4000 && addr < 0x5000 && !write)
		return e->rom->host + (addr - 0x4000);
	return NULL;
}

static bool all_memory(struct env *e, uint64_t addr, uint64_t len, bool write)
{
	for (uint64_t i = 0; i < len; i++) {
		if (!byte_at(e, addr + i, write))
			return false;
	}
	return true;
}

static void test_copies_random(void **state)
{
	struct env *e = *state;
	uint8_t buf[0x3000];

	srand(3);
	for (int round = 0; round < 4000; round++) {
		uint64_t addr = rand() % TOP, len = rand() % (rand() % 2 ? 64 : 0x3000);
		int want = all_memory(e, addr, len, false) ? 0 : -EFAULT;
		int want_w = all_memory(e, addr, len, true) ? 0 : -EFAULT;

		assert_int_equal(gmem_read(&e->as, GPA(addr), buf, len), want);
		for (uint64_t i = 0; !want && i < len; i++)
			assert_int_equal(buf[i], *byte_at(e, addr + i, false));
		for (uint64_t i = 0; i < len; i++)
			buf[i] = rand();
		if (rand() % 2) {
			assert_int_equal(gmem_write(&e->as, GPA(addr), buf, len), want_w);
		} else {
			memset(buf, round & 0xff, sizeof(buf));
			assert_int_equal(gmem_fill(&e->as, GPA(addr), round & 0xff, len), want_w);
		}
		for (uint64_t i = 0; !want_w && i < len; i++)
			assert_int_equal(buf[i], *byte_at(e, addr + i, true));
	}
}

static void test_ends_of_the_world(void **state)
{
	struct env *e = *state;
	struct iovec iov[4];
	uint8_t buf[16];
	int n = 0;

	assert_int_equal(gmem_read(&e->as, GPA(UINT64_MAX), buf, 16), -EFAULT);
	assert_int_equal(gmem_write(&e->as, GPA(UINT64_MAX - 7), buf, 16), -EFAULT);
	assert_int_equal(gmem_fill(&e->as, GPA(0), 0, UINT64_MAX), -EFAULT);
	assert_int_equal(gmem_iov(&e->as, GPA(0x2fff), UINT64_MAX, false, iov, &n, 4), -EFAULT);
	assert_int_equal(n, 0);
	assert_int_equal(gmem_read(&e->as, GPA(UINT64_MAX), buf, 0), 0);
	gmem_mark_dirty(&e->as, GPA(UINT64_MAX), UINT64_MAX);
}

static void test_iov_random(void **state)
{
	struct env *e = *state;
	struct iovec iov[8];

	srand(4);
	for (int round = 0; round < 4000; round++) {
		uint64_t addr = rand() % TOP, len = rand() % 0x3000, at = addr;
		bool write = rand() % 2;
		int n = rand() % 3, was = n, rc;

		rc = gmem_iov(&e->as, GPA(addr), len, write, iov, &n, 8);
		if (!all_memory(e, addr, len, write)) {
			assert_int_equal(rc, -EFAULT);
			assert_int_equal(n, was);
			continue;
		}
		assert_int_equal(rc, 0);
		for (int k = was; k < n; k++) {
			for (size_t i = 0; i < iov[k].iov_len; i++, at++)
				assert_ptr_equal(
					(uint8_t *)iov[k].iov_base + i, byte_at(e, at, write));
		}
		assert_int_equal(at, addr + len);
	}
}

static void test_iov_limit(void **state)
{
	struct env *e = *state;
	struct iovec iov[4];
	int n = 3;

	assert_int_equal(gmem_iov(&e->as, GPA(0x2000), 0x2000, true, iov, &n, 4), -E2BIG);
	assert_int_equal(n, 3);
	assert_int_equal(gmem_iov(&e->as, GPA(0x2000), 0x1000, true, iov, &n, 4), 0);
	assert_int_equal(n, 4);
	assert_int_equal(gmem_iov(&e->as, GPA(0x2000), 1, true, iov, &n, 4), -E2BIG);
	assert_int_equal(gmem_iov(&e->as, GPA(0x2000), 0, true, iov, &n, 4), 0);
	assert_int_equal(n, 4);
}

/* Pieces of one block that only an overlay's neighbour split are one iovec. */
static void test_iov_merges(void **state)
{
	struct env *e = *state;
	struct as_region alias = {
		.name = "alias", .kind = AS_RAM, .priority = 1, .ram = e->a, .ram_off = 0x400
	};
	struct iovec iov[4];
	int n = 0;

	assert_int_equal(as_add(&e->as, &alias, 0x400, 0x400), 0);
	assert_int_equal(gmem_iov(&e->as, GPA(0), 0x1800, true, iov, &n, 4), 0);
	assert_int_equal(n, 1);
	assert_int_equal(iov[0].iov_len, 0x1800);
	as_del(&e->as, &alias);
}

static void test_read_str(void **state)
{
	struct env *e = *state;
	char buf[32];

	assert_int_equal(gmem_write(&e->as, GPA(0x2ffd), "hello", 6), 0); /* spans blocks */
	assert_int_equal(gmem_read_str(&e->as, GPA(0x2ffd), buf, sizeof(buf)), 0);
	assert_string_equal(buf, "hello");
	assert_int_equal(gmem_read_str(&e->as, GPA(0x2ffd), buf, 6), 0);
	assert_int_equal(gmem_read_str(&e->as, GPA(0x2ffd), buf, 5), -E2BIG);
	assert_int_equal(gmem_read_str(&e->as, GPA(0x2ffd), buf, 0), -E2BIG);
	assert_int_equal(gmem_write(&e->as, GPA(0x17fd), "xyz", 3), 0); /* runs into the device */
	assert_int_equal(gmem_read_str(&e->as, GPA(0x17fd), buf, sizeof(buf)), -EFAULT);
	assert_int_equal(gmem_write(&e->as, GPA(0x17fc), "xyz", 4), 0); /* ends just before it */
	assert_int_equal(gmem_read_str(&e->as, GPA(0x17fc), buf, sizeof(buf)), 0);
}

static void test_map(void **state)
{
	struct env *e = *state;
	struct ram_block *ram = NULL;
	uint64_t off = 0;

	assert_ptr_equal(
		gmem_map(&e->as, GPA(0x2100), 0xf00, true, &ram, &off), e->a->host + 0x2100);
	assert_ptr_equal(ram, e->a);
	assert_int_equal(off, 0x2100);
	ram_block_unref(ram);
	ram = NULL;
	assert_null(gmem_map(&e->as, GPA(0x2100), 0xf01, true, &ram, &off)); /* two blocks */
	assert_null(gmem_map(&e->as, GPA(0x17ff), 2, false, &ram, &off));    /* device */
	assert_null(gmem_map(&e->as, GPA(0x4000), 2, true, &ram, &off));     /* ROM */
	assert_null(gmem_map(&e->as, GPA(0x5000), 2, false, &ram, &off));    /* hole */
	assert_null(gmem_map(&e->as, GPA(0x2100), 0, true, &ram, &off));
	assert_null(ram);
	assert_non_null(gmem_map(&e->as, GPA(0x4000), 2, false, &ram, &off));
	ram_block_unref(ram);
}

static void test_map_outlives_region(void **state)
{
	struct env *e = *state;
	struct ram_block *ram;
	uint64_t off;
	uint8_t *p = gmem_map(&e->as, GPA(0x3000), 4, true, &ram, &off);

	as_del(&e->as, &e->rb);
	ram_block_unref(e->b);
	as_synchronize();
	gmem_store_le16(p, 0x1234);
	assert_int_equal(gmem_load_le16(p), 0x1234);
	assert_int_equal(p[0], 0x34);
	e->b = ram;
}

static void test_dirty(void **state)
{
	struct env *e = *state;
	struct error err = ERROR_INIT;
	uint64_t w;

	assert_true(ram_dirty_start(e->a, &err));
	assert_true(ram_dirty_start(e->b, &err));
	assert_int_equal(gmem_write(&e->as, GPA(0x2fff), "xy", 2), 0);
	ram_dirty_take(e->a, 0, &w, 1);
	assert_int_equal(w, 4);
	ram_dirty_take(e->b, 0, &w, 1);
	assert_int_equal(w, 1);
	assert_int_equal(gmem_fill(&e->as, GPA(0), 0, 1), 0);
	gmem_mark_dirty(&e->as, GPA(0x2000), 0x9000); /* to the ROM and no further */
	ram_dirty_take(e->a, 0, &w, 1);
	assert_int_equal(w, 5);
	ram_dirty_take(e->b, 0, &w, 1);
	assert_int_equal(w, 1);
}

/* Decoded code is told of writes without a dirty log, too. */
static void test_code(void **state)
{
	struct env *e = *state;
	_Atomic uint32_t *a = ram_code_words(e->a), *b = ram_code_words(e->b);

	assert_true(a && b);
	a[0] = a[2 * RAM_CODE_WORDS] = b[0] = 1;
	assert_int_equal(gmem_write(&e->as, GPA(0x2fff), "xy", 2), 0);
	assert_true(a[0] == 1 && a[2 * RAM_CODE_WORDS] == 2 && b[0] == 2);
	assert_int_equal(gmem_fill(&e->as, GPA(0), 0, 1), 0);
	assert_int_equal(a[0], 2);
	a[0] = a[2 * RAM_CODE_WORDS] = 3;
	gmem_mark_dirty(&e->as, GPA(0x2000), 1);
	assert_true(a[0] == 3 && a[2 * RAM_CODE_WORDS] == 4);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_copies_random),
		T(test_ends_of_the_world),
		T(test_iov_random),
		T(test_iov_limit),
		T(test_iov_merges),
		T(test_read_str),
		T(test_map),
		T(test_map_outlives_region),
		T(test_dirty),
		T(test_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
