// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/vec.h"

#include "base/fault.h"
#include "base/testing.h"

static void test_push_remove(void **state)
{
	VEC(uint16_t) v = { 0 };
	uint16_t *it, n = 0;

	vec_for_each (it, &v)
		fail();
	for (uint16_t i = 0; i < 1000; i++)
		assert_true(vec_push(&v, i));
	vec_remove(&v, 0);
	vec_remove(&v, 998); /* the last */
	vec_remove(&v, 1);
	assert_int_equal(v.len, 997);
	assert_int_equal(v.data[0], 1);
	assert_int_equal(v.data[1], 3);
	assert_int_equal(v.data[996], 998);
	vec_for_each (it, &v)
		n++;
	assert_int_equal(n, 997);
	vec_clear(&v);
	assert_int_equal(v.len, 0);
	vec_fini(&v);
	assert_null(v.data);
	assert_int_equal(v.cap, 0);
}

static void test_limits(void **state)
{
	VEC(uint64_t) v = { 0 };

	assert_true(vec_push(&v, 1));
	assert_false(vec_reserve(&v, SIZE_MAX));
	assert_false(vec_reserve(&v, SIZE_MAX / 8));
	fault_alloc_after(1);
	assert_false(vec_reserve(&v, 1000));
	fault_stop();
	assert_int_equal(v.len, 1);
	assert_int_equal(v.data[0], 1);
	assert_true(vec_reserve(&v, 1000));
	assert_true(v.cap >= 1001);
	vec_fini(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_push_remove),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
