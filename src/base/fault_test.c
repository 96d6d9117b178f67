// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/fault.h"

#include <errno.h>
#include <pthread.h>
#include "base/testing.h"

/* Compilers know malloc() too well: they remove calls and assume that errno stays. */
static void *(*volatile allocate)(size_t) = malloc;
static void *volatile sink;

static void *allocate_all(void *unused)
{
	free(allocate(1));
	return NULL;
}

static void test_nth(void **state)
{
	void *p[3];

	fault_alloc_after(2);
	for (int i = 0; i < 3; i++) {
		errno = 0;
		p[i] = allocate(8);
		assert_int_equal(errno, i == 1 ? ENOMEM : 0);
	}
	fault_stop();
	assert_non_null(p[0]);
	assert_null(p[1]);
	assert_non_null(p[2]);
	assert_true(fault_hit());
	assert_int_equal(fault_count(), 3);
	free(p[0]);
	free(p[2]);
}

static void test_every_function(void **state)
{
	void *q;
	char *s;

	fault_alloc_after(1);
	assert_null(sink = calloc(1, 1));
	fault_alloc_after(1);
	assert_null(sink = realloc(NULL, 1000));
	fault_alloc_after(1);
	assert_null(sink = reallocarray(NULL, 10, 10));
	fault_alloc_after(1);
	assert_null(sink = aligned_alloc(64, 64));
	fault_alloc_after(1);
	assert_int_equal(posix_memalign(&q, 64, 64), ENOMEM);
	fault_alloc_after(1);
	assert_null(sink = strdup("x"));
	fault_alloc_after(1);
	assert_null(sink = strndup("x", 1));
	fault_alloc_after(1);
	assert_int_equal(asprintf(&s, "%d", 1), -1);
	fault_stop();
}

/* Another thread is left alone and does not count. */
static void test_threads(void **state)
{
	pthread_t t;

	fault_alloc_after(1);
	pthread_create(&t, NULL, allocate_all, NULL);
	pthread_join(t, NULL);
	assert_false(fault_hit());
	assert_int_equal(fault_count(), 0);
	fault_stop();
}

static void test_sweep(void **state)
{
	struct fault_sweep sweep = FAULT_SWEEP_INIT;
	unsigned int runs = 0, whole = 0;

	while (fault_sweep(&sweep)) {
		char *a = allocate(1);
		char *b = a ? allocate(1) : NULL;
		char *c = b ? allocate(1) : NULL;

		runs++;
		whole += c != NULL;
		free(a);
		free(b);
		free(c);
	}
	assert_int_equal(runs, 4);
	assert_int_equal(whole, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nth),
		cmocka_unit_test(test_every_function),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_sweep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
