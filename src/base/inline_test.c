// SPDX-License-Identifier: GPL-2.0-or-later
/* inline_test - what is in headers only: list, wire, ovf, types, clock, cleanup. */
#include <fcntl.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/ovf.h"
#include "base/testing.h"
#include "base/trace.h"
#include "base/types.h"
#include "base/wire.h"

struct item {
	int n;
	struct list node;
};

static int list_digits(const struct list *head)
{
	struct item *it;
	int n = 0;

	list_for_each (it, head, node)
		n = n * 10 + it->n;
	return n;
}

static void test_list(void **state)
{
	struct item items[4] = { { .n = 1 }, { .n = 2 }, { .n = 3 }, { .n = 4 } }, *it, *tmp;
	struct list head = LIST_INIT(head);

	assert_true(list_empty(&head));
	assert_null(list_first(&head, struct item, node));
	assert_int_equal(list_digits(&head), 0);
	list_add_tail(&head, &items[1].node);
	list_add_tail(&head, &items[2].node);
	list_add_head(&head, &items[0].node);
	list_add_tail(&head, &items[3].node);
	assert_int_equal(list_digits(&head), 1234);
	assert_ptr_equal(list_first(&head, struct item, node), &items[0]);
	list_del(&items[1].node);
	list_del(&items[1].node); /* does nothing */
	assert_int_equal(list_digits(&head), 134);
	list_for_each_safe (it, tmp, &head, node) {
		list_del(&it->node);
		memset(&it->node, 0, sizeof(it->node));
	}
	assert_true(list_empty(&head));
}

static void test_wire(void **state)
{
	uint8_t b[9] = { 0 };

	wr_le32(b + 1, 0x12345678);
	assert_memory_equal(b, "\0\x78\x56\x34\x12", 5);
	assert_int_equal(rd_le32(b + 1), 0x12345678);
	assert_int_equal(rd_be32(b + 1), 0x78563412);
	assert_int_equal(rd_le16(b + 1), 0x5678);
	wr_be64(b + 1, 0x0102030405060708ull);
	assert_memory_equal(b + 1, "\1\2\3\4\5\6\7\10", 8);
	assert_int_equal(rd_le64(b + 1), 0x0807060504030201ull);
	assert_int_equal(be16_get(be16_of(0xabcd)), 0xabcd);
	assert_int_equal(le16_of(0x1234).raw, htole16(0x1234));
	for (unsigned int size = 1; size <= 8; size *= 2) {
		memset(b, 0xee, sizeof(b));
		wr_le(b + 1, size, 0x8877665544332211ull);
		assert_int_equal(b[0], 0xee);
		assert_int_equal(b[size], 0x11 * size);
		if (size < 8)
			assert_int_equal(b[size + 1], 0xee);
		assert_int_equal(rd_le(b + 1, size),
			0x8877665544332211ull & (UINT64_MAX >> (64 - 8 * size)));
	}
}

static void test_ovf(void **state)
{
	uint32_t r32;
	uint64_t r;

	assert_false(ovf_add(1u, 2u, &r32));
	assert_true(ovf_add(UINT32_MAX, 1u, &r32));
	assert_true(ovf_sub(1u, 2u, &r32));
	assert_true(ovf_mul(1ull << 32, 1ull << 32, &r));
	assert_true(ovf_add(0x100000000ull, 0, &r32)); /* into a narrower one */
	assert_true(range_fits(0, 0, 0));
	assert_true(range_fits(5, 5, 10));
	assert_false(range_fits(5, 6, 10));
	assert_false(range_fits(11, 0, 10));
	assert_false(range_fits(UINT64_MAX, 2, 10));
	assert_true(range_overlaps(0, 10, 9, 1));
	assert_false(range_overlaps(0, 10, 10, 1));
	assert_false(range_overlaps(5, 0, 0, 10));
	assert_true(range_overlaps(UINT64_MAX - 1, 100, UINT64_MAX, 1));
	assert_false(range_overlaps(UINT64_MAX - 1, 100, 0, 2));
}

static void test_types(void **state)
{
	struct item it;
	struct list *node = &it.node;

	assert_ptr_equal(CONTAINER_OF(node, struct item, node), &it);
	assert_int_equal(ALIGN_UP(4097ull, 4096), 8192);
	assert_int_equal(ALIGN_DOWN(0xfffffffffffull, 4096), 0xffffffff000ull);
	assert_int_equal(GPA(5).v, 5);
	assert_int_equal(BIT_ULL(63), 1ull << 63);
	assert_int_equal(ARRAY_SIZE("abc"), 4);
}

static void test_clock(void **state)
{
	int64_t a = clock_mono_ns(), b = clock_mono_ns();

	assert_true(a > 0 && b >= a);
	assert_true(clock_wall_ns() > 1500000000ll * NS_PER_SEC);
	TRACE0(base, none);
	TRACE2(base, two, a, b);
}

static int cleaned;

static void clean(int *p)
{
	cleaned += *p;
}
DEFINE_AUTO(counted, int, clean)

static char *hand_out(void)
{
	AUTO_FREE char *p = strdup("x");

	return TAKE(p);
}

static int scope_fd(int *number)
{
	AUTO_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	AUTO_FD int none = -1;
	AUTO(counted) five = 5;

	*number = fd;
	return five + none + 1;
}

static void test_cleanup(void **state)
{
	char *p = hand_out();
	int fd;

	assert_string_equal(p, "x");
	free(p);
	assert_int_equal(scope_fd(&fd), 5);
	assert_int_equal(cleaned, 5);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	fd = 7;
	assert_int_equal(TAKE_FD(fd), 7);
	assert_int_equal(fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_wire),
		cmocka_unit_test(test_ovf),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_cleanup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
