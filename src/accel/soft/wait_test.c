// SPDX-License-Identifier: GPL-2.0-or-later
/* How vCPUs fall asleep and are woken: no request is lost, none ends a sleep that it was not made in. */
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include "accel/soft/chips_testing.h"

#define ROUNDS 20000

static struct chips_vm t;

static void up(void)
{
	t = chips_new(2);
}

static void down(void)
{
	chips_free(&t);
}

static bool taken(struct soft_vcpu *v, uint32_t bit)
{
	return atomic_exchange(&v->poll, 0) & bit;
}

static void wait_for(struct soft_vcpu *v, uint32_t bit)
{
	/* Should one get lost this takes a minute, not for ever. */
	int64_t end = clock_mono_ns() + 60 * NS_PER_SEC;

	while (!taken(v, bit)) {
		soft_sleep(v, end);
		assert_true(clock_mono_ns() < end);
	}
}

/* Something between no time at all and longer than a vCPU looks before it sleeps. */
static void dally(unsigned int i)
{
	struct timespec ts = { .tv_nsec = 20000 * (i % 8) };

	if (i % 16 == 0)
		nanosleep(&ts, NULL);
	for (volatile unsigned int n = i * 2654435761u >> 22; n; n--)
		;
}

static void ask(struct soft_vcpu *v, bool late)
{
	if (!late) {
		soft_notify(v, SOFT_POLL_IRQ);
		return;
	}
	if (!soft_ask(v, SOFT_POLL_IRQ))
		return;
	dally(v->index);
	soft_wake(v);
}

static void *other(void *opaque)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		wait_for(t.v[1], SOFT_POLL_IRQ);
		dally(i);
		ask(t.v[0], i & 1);
	}
	return NULL;
}

static void turns(void **state)
{
	pthread_t thread;

	up();
	pthread_create(&thread, NULL, other, NULL);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		dally(i * 7);
		ask(t.v[1], i & 2);
		wait_for(t.v[0], SOFT_POLL_IRQ);
	}
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&t.v[0]->waiting), 0);
	down();
}

/* Several who want something at once: each bit comes. */
static void *asker(void *opaque)
{
	uint32_t bit = (uint32_t)(uintptr_t)opaque;

	for (unsigned int i = 0; i < ROUNDS / 4; i++) {
		dally(i + bit);
		soft_notify(t.v[0], bit);
		while (atomic_load(&t.v[0]->poll) & bit)
			sched_yield();
	}
	return NULL;
}

static void many(void **state)
{
	const uint32_t bits[3] = { SOFT_POLL_IRQ, SOFT_POLL_KICK, SOFT_POLL_TIMER };
	unsigned int seen[3] = { 0 };
	pthread_t thread[3];
	int64_t end;

	up();
	end = clock_mono_ns() + 60 * NS_PER_SEC;
	for (int i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, asker, (void *)(uintptr_t)bits[i]);
	while (seen[0] + seen[1] + seen[2] < 3 * (ROUNDS / 4)) {
		uint32_t p;

		soft_sleep(t.v[0], end);
		assert_true(clock_mono_ns() < end);
		p = atomic_exchange(&t.v[0]->poll, 0);
		for (int i = 0; i < 3; i++)
			seen[i] += !!(p & bits[i]);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(seen[i], ROUNDS / 4);
	}
	down();
}

static void timeouts(void **state)
{
	struct soft_vcpu *v;
	int64_t now;

	up();
	v = t.v[0];
	for (int i = 0; i < 8; i++) { /* with luck as without */
		v->look.luck = i & 1 ? 16 : 0;
		now = clock_mono_ns();
		soft_sleep(v, now + 3 * NS_PER_MS);
		assert_true(clock_mono_ns() >= now + 3 * NS_PER_MS);
	}
	soft_sleep(v, clock_mono_ns() - 5);
	soft_sleep(v, 0);
	soft_sleep(v, -7);
	assert_false(soft_ask(v, SOFT_POLL_KICK));
	soft_sleep(v, INT64_MAX);
	assert_true(taken(v, SOFT_POLL_KICK));
	down();
}

/* Who was asked in an earlier sleep and is woken in this one sleeps on. */
static void *late_waker(void *opaque)
{
	for (int i = 0; i < 50; i++) {
		struct timespec ts = { .tv_nsec = 100000 };

		nanosleep(&ts, NULL);
		atomic_exchange(&t.v[0]->waiting, 0);
		soft_wake(t.v[0]);
	}
	return NULL;
}

static void woken_for_nothing(void **state)
{
	pthread_t thread;
	int64_t until;

	up();
	pthread_create(&thread, NULL, late_waker, NULL);
	until = clock_mono_ns() + 20 * NS_PER_MS;
	soft_sleep(t.v[0], until);
	assert_true(clock_mono_ns() >= until);
	pthread_join(thread, NULL);
	down();
}

/* Short ones teach that it pays; but not who has a guest that looks itself. */
static void *quick(void *opaque)
{
	for (int i = 0; i < 2000; i++) {
		while (atomic_load(&t.v[0]->poll))
			;
		soft_notify(t.v[0], SOFT_POLL_IRQ);
	}
	return NULL;
}

static void looks(void **state)
{
	pthread_t thread;

	for (int no_poll = 0; no_poll < 2; no_poll++) {
		up();
		t.v[0]->look.luck = 8;
		t.v[0]->pv.no_poll = no_poll;
		pthread_create(&thread, NULL, quick, NULL);
		for (int i = 0; i < 2000; i++)
			wait_for(t.v[0], SOFT_POLL_IRQ);
		pthread_join(thread, NULL);
		if (no_poll)
			assert_int_equal(t.v[0]->look.luck, 8);
		down();
	}
}

/* Long sleeps teach that looking is in vain. */
static void idle(void **state)
{
	struct soft_vcpu *v;

	up();
	v = t.v[0];
	v->look.luck = 16;
	for (int i = 0; i < 6; i++)
		soft_sleep(v, clock_mono_ns() + NS_PER_MS);
	assert_int_equal(v->look.luck, 0);
	assert_false(v->look.was_short);
	down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(turns),
		cmocka_unit_test(many),
		cmocka_unit_test(timeouts),
		cmocka_unit_test(woken_for_nothing),
		cmocka_unit_test(looks),
		cmocka_unit_test(idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
