// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
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

static void *look_around(void *arg)
{
	sigset_t *mask = arg;
	size_t size = 0;
	pthread_attr_t attr;

	pthread_sigmask(SIG_SETMASK, NULL, mask);
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstacksize(&attr, &size);
	pthread_attr_destroy(&attr);
	return (void *)size;
}

static void test_create(void **state)
{
	sigset_t mask;
	pthread_t t;
	void *size;

	assert_int_equal(thread_create(&t, false, sched_getcpu(), look_around, &mask), 0);
	pthread_join(t, &size);
	assert_true(sigismember(&mask, SIGUSR1) == 1 && sigismember(&mask, SIGTERM) == 1);
	assert_in_range((size_t)size, THREAD_STACK_SIZE / 2, 4 * THREAD_STACK_SIZE);
	assert_int_equal(thread_create(&t, false, CPU_SETSIZE - 1, look_around, &mask), -EINVAL);
	assert_int_equal(thread_create(&t, false, CPU_SETSIZE, look_around, &mask), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_roles_and_guard),
		cmocka_unit_test(test_create),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
