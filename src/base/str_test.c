// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/str.h"

#include "base/fault.h"
#include "base/testing.h"
#include "base/types.h"

static void test_append(void **state)
{
	AUTO(str) s = STR_INIT;

	assert_string_equal(str_cstr(&s), "");
	str_append(&s, "ab");
	str_appendf(&s, "%d-%s", 7, "x");
	str_append_mem(&s, "\0z", 2);
	assert_int_equal(s.len, 7);
	assert_memory_equal(s.s, "ab7-x\0z", 8);
	str_clear(&s);
	assert_string_equal(str_cstr(&s), "");
	assert_int_equal(s.len, 0);
}

static void test_growth(void **state)
{
	AUTO(str) s = STR_INIT;

	for (int i = 0; i < 5000; i++)
		str_appendf(&s, "%d,", i);
	assert_int_equal(s.len, strlen(s.s));
	assert_memory_equal(s.s, "0,1,2,", 6);
	assert_string_equal(s.s + s.len - 10, "4998,4999,");
	/* Longer than the formatter's buffer on the stack. */
	str_clear(&s);
	str_appendf(&s, "%0300d", 1);
	assert_int_equal(s.len, 300);
	assert_string_equal(s.s + 297, "001");
}

static void test_take(void **state)
{
	struct str s = STR_INIT;
	char *p = str_take(&s);

	assert_string_equal(p, "");
	free(p);
	str_append(&s, "abc");
	p = str_take(&s);
	assert_string_equal(p, "abc");
	assert_null(s.s);
	assert_int_equal(s.len, 0);
	free(p);
	p = str_printf("%s/%d", "a", 1);
	assert_string_equal(p, "a/1");
	free(p);
}

/* A failed append keeps what was there and makes the rest no-ops. */
static void test_out_of_memory(void **state)
{
	struct str s = STR_INIT;

	str_append(&s, "keep");
	fault_alloc_after(1);
	for (int i = 0; i < 100; i++)
		str_append(&s, "0123456789");
	fault_stop();
	assert_true(s.failed);
	assert_memory_equal(str_cstr(&s), "keep0123456789", 14);
	assert_int_equal(s.len, strlen(s.s));
	assert_null(str_take(&s));
	assert_false(s.failed);
	assert_null(s.s);
	fault_alloc_after(1);
	assert_null(str_printf("x"));
	fault_stop();
	s.len = SIZE_MAX - 10; /* a length that cannot be */
	str_append_mem(&s, NULL, 100);
	assert_true(s.failed);
	s.len = 0;
	str_fini(&s);
}

static void test_parse_u64(void **state)
{
	static const char *const bad[] = { "", " 1", "1 ", "-1", "+1", "0x", "x", "1a", "0xg",
		"18446744073709551616", "0x10000000000000000", "99999999999999999999999", "1.5",
		"1K" };
	uint64_t v = 5;

	assert_true(str_parse_u64("0", &v) && v == 0);
	assert_true(str_parse_u64("18446744073709551615", &v) && v == UINT64_MAX);
	assert_true(str_parse_u64("0xFFFFffffffffffff", &v) && v == UINT64_MAX);
	assert_true(str_parse_u64("010", &v) && v == 10);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(str_parse_u64(bad[i], &v));
	assert_int_equal(v, 10);
}

static void test_parse_size(void **state)
{
	static const char *const bad[] = { "", "K", "1KB", "1 K", "1KK", "-1K", "16384P", "1E",
		"18446744073709551615K", "0xK", "1.5G" };
	uint64_t v = 5;

	assert_true(str_parse_size("512M", &v) && v == 512 * MIB);
	assert_true(str_parse_size("1k", &v) && v == 1024);
	assert_true(str_parse_size("0x10K", &v) && v == 16384);
	assert_true(str_parse_size("3", &v) && v == 3);
	assert_true(str_parse_size("2T", &v) && v == 2048 * GIB);
	assert_true(str_parse_size("16383P", &v) && v == 16383ull << 50);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(str_parse_size(bad[i], &v));
}

static void test_format_size(void **state)
{
	uint64_t seed = 42, back;
	char buf[32];

	assert_string_equal(str_format_size(0, buf, sizeof(buf)), "0");
	assert_string_equal(str_format_size(1023, buf, sizeof(buf)), "1023");
	assert_string_equal(str_format_size(1024, buf, sizeof(buf)), "1K");
	assert_string_equal(str_format_size(512 * MIB, buf, sizeof(buf)), "512M");
	assert_string_equal(str_format_size(1536 * MIB, buf, sizeof(buf)), "1536M");
	assert_string_equal(str_format_size(UINT64_MAX, buf, sizeof(buf)), "18446744073709551615");
	assert_string_equal(str_format_size(1ull << 63, buf, sizeof(buf)), "8192P");
	for (int i = 0; i < 1000; i++) {
		uint64_t v = test_random(&seed) << (test_random(&seed) % 64);

		assert_true(str_parse_size(str_format_size(v, buf, sizeof(buf)), &back));
		assert_true(back == v);
	}
}

static void test_prefix(void **state)
{
	const char *rest = NULL;

	assert_true(str_has_prefix("file:/x", "file:", &rest));
	assert_string_equal(rest, "/x");
	assert_false(str_has_prefix("fil", "file", &rest));
	assert_string_equal(rest, "/x");
	assert_true(str_has_prefix("a", "", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_parse_u64),
		cmocka_unit_test(test_parse_size),
		cmocka_unit_test(test_format_size),
		cmocka_unit_test(test_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
