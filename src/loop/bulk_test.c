// SPDX-License-Identifier: GPL-2.0-or-later
/* Bulk on a host of one CPU: the loop's thread is a batch job as long as there is some, and only where it may be. */
#include <sched.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "loop/testing.h"

#define PATIENCE_NS 20000000000

static struct loop *loop;
static cpu_set_t all;

static void on_one_cpu(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
}

/* The test itself may be run with another policy. */
static void be(void *opaque)
{
	const struct sched_param p = { 0 };

	assert_int_equal(sched_setscheduler(0, *(int *)opaque, &p), 0);
}

static void set_policy(int policy)
{
	loop_call(loop, be, &policy);
}

static void ask(void *opaque)
{
	*(int *)opaque = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
}

static int policy(void)
{
	int p;

	loop_call(loop, ask, &p);
	return p;
}

static int setup(void **state)
{
	struct error err = ERROR_INIT;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	on_one_cpu();
	loop = loop_thread_start("test-io", ROLE_IO, *(unsigned int *)*state, &err);
	assert_non_null(loop);
	set_policy(SCHED_OTHER);
	return 0;
}

static int teardown(void **state)
{
	loop_thread_stop(loop);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	return 0;
}

static void move(void *opaque)
{
	for (int i = 0; i < 8; i++)
		loop_moved(loop, 65536);
}

/* Until the policy is @want; a busy host may take the CPU from us between the portions. False: never. */
static bool move_until(int want)
{
	int64_t end = clock_mono_ns() + PATIENCE_NS;

	do {
		loop_call(loop, move, NULL);
	} while (policy() != want && clock_mono_ns() < end);
	return policy() == want;
}

static bool becomes(int want)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	int64_t end = clock_mono_ns() + PATIENCE_NS;

	while (policy() != want && clock_mono_ns() < end)
		nanosleep(&ms, NULL);
	return policy() == want;
}

static void test_comes_and_goes(void **state)
{
	assert_int_equal(policy(), SCHED_OTHER);
	for (int i = 0; i < 3; i++) {
		assert_true(move_until(SCHED_BATCH));
		assert_true(becomes(SCHED_OTHER));
	}
	assert_true(move_until(SCHED_BATCH)); /* ends so */
}

/* All the time while we move something, for so long. */
static bool lasts(int64_t ns)
{
	int64_t end = clock_mono_ns() + ns;

	while (policy() == SCHED_BATCH && clock_mono_ns() < end)
		loop_call(loop, move, NULL);
	return policy() == SCHED_BATCH;
}

static void test_lasts(void **state)
{
	int64_t end = clock_mono_ns() + PATIENCE_NS;
	bool did;

	do { /* a busy host makes us pause */
		assert_true(move_until(SCHED_BATCH));
		did = lasts(30000000);
	} while (!did && clock_mono_ns() < end);
	assert_true(did);
	assert_true(becomes(SCHED_OTHER));
}

static void portion(void *opaque)
{
	loop_moved(loop, 1 << 20);
}

/* Much, but seldom: as it is when the thread only gets the CPU at a tick. Then it rests. */
static void test_rare_turns(void **state)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	int64_t end = clock_mono_ns() + PATIENCE_NS, before;
	int p;

	assert_true(move_until(SCHED_BATCH));
	do {
		before = clock_mono_ns();
		loop_call(loop, portion, NULL);
		nanosleep(&pause, NULL);
	} while (policy() == SCHED_BATCH && before < end);
	do {
		loop_call(loop, move, NULL);
		p = policy();
		if (clock_mono_ns() < before + 100000000)
			assert_int_equal(p, SCHED_OTHER);
	} while (clock_mono_ns() < before + 100000000);
	assert_true(move_until(SCHED_BATCH));
}

static void little(void *opaque)
{
	loop_moved(loop, 1000);
}

/* 1000 bytes a millisecond are no bulk. */
static void test_little(void **state)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	for (int i = 0; i < 200; i++) {
		loop_call(loop, little, NULL);
		assert_int_equal(policy(), SCHED_OTHER);
		nanosleep(&ms, NULL);
	}
}

static void test_several_cpus(void **state)
{
	if (CPU_COUNT(&all) < 2)
		skip();
	loop_thread_stop(loop);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	loop = loop_thread_start(
		"test-io", ROLE_IO, *(unsigned int *)*state, &(struct error)ERROR_INIT);
	set_policy(SCHED_OTHER);
	for (int i = 0; i < 1000; i++) {
		loop_call(loop, move, NULL);
		assert_int_equal(policy(), SCHED_OTHER);
	}
}

/* What somebody else has chosen stays. */
static void test_policy_of_others(void **state)
{
	set_policy(SCHED_IDLE);
	for (int i = 0; i < 1000; i++) {
		loop_call(loop, move, NULL);
		assert_int_equal(policy(), SCHED_IDLE);
	}
}

/* A loop that is no thread's of its own: whoever runs it may not like it. */
static void test_not_ours(void **state)
{
	struct loop *l = test_loop(state);
	int before = sched_getscheduler(0);

	for (int i = 0; i < 1000; i++)
		loop_moved(l, 1 << 20);
	assert_int_equal(sched_getscheduler(0), before);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH_WITH(test_comes_and_goes, setup, teardown),
		BOTH_WITH(test_lasts, setup, teardown),
		BOTH_WITH(test_rare_turns, setup, teardown),
		BOTH_WITH(test_little, setup, teardown),
		BOTH_WITH(test_several_cpus, setup, teardown),
		BOTH_WITH(test_policy_of_others, setup, teardown),
		BOTH(test_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
