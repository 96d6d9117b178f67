// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/thread.h"

#include <sys/prctl.h>
#include "base/testing.h"

static struct mutex lock = MUTEX_INIT;
static unsigned int counter;

static void *count(void *unused)
{
	char name[16];

	if (!thread_is(ROLE_MAIN) || !thread_is(ROLE_IO))
		return (void *)__LINE__; /* a thread that has not said may do all */
	thread_enter(ROLE_IO, "a-name-of-more-than-15-bytes");
	prctl(PR_GET_NAME, name);
	if (strcmp(name, "a-name-of-more-") != 0)
		return (void *)__LINE__;
	if (thread_role() != ROLE_IO || !thread_is(ROLE_IO) || thread_is(ROLE_MAIN))
		return (void *)__LINE__;
	for (int i = 0; i < 100000; i++) {
		GUARD(&lock);
		counter++;
	}
	return NULL;
}

static void test_roles_and_guard(void **state)
{
	pthread_t t[4];
	void *complaint;

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, count, NULL);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &complaint);
		assert_null(complaint);
	}
	assert_int_equal(counter, 400000);
	assert_int_equal(thread_role(), ROLE_NONE);
	thread_assert_main();
	thread_enter(ROLE_MAIN, "test");
	thread_assert_main();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_roles_and_guard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
