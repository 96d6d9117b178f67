// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/map.h"

#include "base/fault.h"
#include "base/testing.h"

static void *num(uintptr_t n)
{
	return (void *)n;
}

static void test_basics(void **state)
{
	struct map m;

	map_init(&m);
	assert_null(map_get(&m, "a"));
	assert_false(map_has(&m, "a"));
	assert_null(map_del(&m, "a"));
	assert_true(map_set(&m, "a", num(1)));
	assert_true(map_set(&m, "", num(2)));
	assert_true(map_set(&m, "null", NULL));
	assert_ptr_equal(map_get(&m, "a"), num(1));
	assert_ptr_equal(map_get(&m, ""), num(2));
	assert_true(map_has(&m, "null"));
	assert_true(map_set(&m, "a", num(3)));
	assert_ptr_equal(map_del(&m, "a"), num(3));
	assert_false(map_has(&m, "a"));
	assert_int_equal(m.live, 2);
	map_fini(&m);
	map_fini(&m);
}

static void test_order(void **state)
{
	struct map_entry *it;
	struct map m;
	char key[16];
	int n = 0;

	map_init(&m);
	map_for_each (it, &m)
		fail();
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_true(map_set(&m, key, num((uintptr_t)i)));
	}
	for (int i = 0; i < 100; i += 2) {
		snprintf(key, sizeof(key), "k%d", i);
		map_del(&m, key);
	}
	map_set(&m, "k0", num(1000));
	map_for_each (it, &m) {
		assert_ptr_equal(it->value, num(n < 50 ? (uintptr_t)(2 * n + 1) : 1000));
		n++;
	}
	assert_int_equal(n, 51);
	/* An entry may go while one walks. */
	map_for_each (it, &m)
		map_del(&m, it->key);
	assert_int_equal(m.live, 0);
	map_fini(&m);
}

/* Against a plain array. */
static void test_random_use(void **state)
{
	uintptr_t model[200] = { 0 };
	uint64_t seed = 1;
	struct map m;
	char key[16];

	map_init(&m);
	for (uintptr_t i = 1; i < 20000; i++) {
		unsigned int k = (unsigned int)(test_random(&seed) % 200);

		snprintf(key, sizeof(key), "%u", k);
		assert_ptr_equal(map_get(&m, key), num(model[k]));
		if (test_random(&seed) % 3) {
			assert_true(map_set(&m, key, num(i)));
			model[k] = i;
		} else {
			assert_ptr_equal(map_del(&m, key), num(model[k]));
			model[k] = 0;
		}
	}
	assert_true(m.cap <= 512); /* deleted entries were packed away */
	map_fini(&m);
}

static void test_out_of_memory(void **state)
{
	struct fault_sweep sweep = FAULT_SWEEP_INIT;
	char key[16];

	while (fault_sweep(&sweep)) {
		size_t stored = 0;
		struct map m;

		map_init(&m);
		for (int i = 0; i < 20; i++) {
			snprintf(key, sizeof(key), "%d", i);
			if (map_set(&m, key, num(1)))
				stored++;
			else
				assert_false(map_has(&m, key));
		}
		assert_int_equal(stored, fault_hit() ? 19 : 20);
		assert_int_equal(m.live, stored);
		map_fini(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_basics),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_random_use),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
