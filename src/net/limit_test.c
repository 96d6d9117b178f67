// SPDX-License-Identifier: GPL-2.0-or-later
/* Token buckets: the rate is kept by one queue and by several together, each has its turn, time is no matter. */
#include <pthread.h>
#include "base/clock.h"
#include "base/testing.h"
#include "base/types.h"
#include "net/limit.h"

#define RATE 1000000u
#define MIN_ 65536u

/* A queue with always something to send; when it may again. */
struct sender {
	struct net_share share;
	int64_t next, size;
	uint64_t sent;
};

/* Until @end. Those who wait for the same moment come in their order, which must not matter. */
static void run(struct net_bucket *b, struct sender *s, int n, int64_t now, int64_t end)
{
	while (now < end) {
		int64_t next = end;

		for (int i = 0; i < n; i++) {
			while (s[i].next <= now &&
				(s[i].next = now + net_share_wait(b, &s[i].share, now)) <= now) {
				s[i].share.tokens -= s[i].size;
				s[i].sent += (uint64_t)s[i].size;
			}
			next = MIN(next, s[i].next);
		}
		now = next;
	}
}

static void assert_about(uint64_t got, uint64_t wanted, uint64_t slack)
{
	if (got + slack < wanted || got > wanted + slack)
		fail_msg("%lu, not %lu", got, wanted);
}

static void test_one_of_many_has_all(void **state)
{
	struct net_bucket b;
	struct sender s[4] = { { .size = 1500 } };

	net_bucket_init(&b, RATE, MIN_, 5);
	run(&b, s, 1, 5, 5 + 10 * NS_PER_SEC);
	assert_about(s[0].sent, 10 * RATE + RATE / 10, RATE / 50);
}

static void test_together_no_more(void **state)
{
	struct net_bucket b;
	struct sender s[4] = { { .size = 64 }, { .size = 1500 }, { .size = 65550 },
		{ .size = 1500 } };
	uint64_t sum = 0;

	net_bucket_init(&b, RATE, MIN_, 0);
	run(&b, s, 4, 0, 20 * NS_PER_SEC);
	for (int i = 0; i < 4; i++)
		sum += s[i].sent;
	assert_about(sum, 20 * RATE + RATE / 10, RATE / 5);
	/* Pieces are handed out in turn. */
	for (int i = 0; i < 4; i++)
		assert_about(s[i].sent, sum / 4, RATE / 5);
}

static void test_frames(void **state)
{
	struct net_bucket b;
	struct sender s[2] = { { .size = 1 }, { .size = 1 } };

	net_bucket_init(&b, 50, 8, 0);
	run(&b, s, 2, 0, 10 * NS_PER_SEC);
	assert_about(s[0].sent + s[1].sent, 508, 3);
	assert_about(s[0].sent, s[1].sent, 10); /* the first had the burst */
}

static void test_pause_is_a_burst(void **state)
{
	struct net_bucket b;
	struct sender s[2] = { { .size = 1500 }, { .size = 1500 } };
	uint64_t before;

	net_bucket_init(&b, RATE, MIN_, 0);
	run(&b, s, 2, 0, NS_PER_SEC);
	before = s[0].sent + s[1].sent;
	run(&b, s, 2, 1000000 * NS_PER_SEC, 1000000 * NS_PER_SEC + 1);
	assert_about(s[0].sent + s[1].sent - before, RATE / 10, RATE / 50);
	/* A clock that goes back gives nothing. */
	before = s[0].sent + s[1].sent;
	run(&b, s, 2, 5 * NS_PER_SEC, 6 * NS_PER_SEC);
	assert_about(s[0].sent + s[1].sent, before, RATE / 50);
}

static void test_no_limit(void **state)
{
	struct net_bucket b;
	struct net_share s = { -5, INT64_MAX };

	net_bucket_init(&b, 0, MIN_, 0);
	assert_int_equal(net_share_wait(&b, &s, 1), 0);
	net_bucket_init(&b, UINT64_MAX, MIN_, 0);
	s = (struct net_share){ 0 };
	assert_int_equal(net_share_wait(&b, &s, INT64_MAX), 0);
	assert_true(s.tokens > 0);
}

struct hammer {
	struct net_bucket *b;
	_Atomic int64_t *clock;
	uint64_t sent;
};

static void *hammer(void *opaque)
{
	struct hammer *h = opaque;
	struct net_share s = { 0 };
	int64_t now;

	while ((now = atomic_fetch_add(h->clock, 1000)) < NS_PER_SEC) {
		if (net_share_wait(h->b, &s, now))
			continue;
		s.tokens -= 100;
		h->sent += 100;
	}
	return NULL;
}

/* Threads share one bucket; the clock is theirs, so that a busy host does not matter. */
static void test_threads(void **state)
{
	_Atomic int64_t clock = 0;
	struct net_bucket b;
	struct hammer h[4] = { 0 };
	pthread_t t[4];
	uint64_t sum = 0;

	net_bucket_init(&b, RATE * 50, MIN_, 0);
	for (int i = 0; i < 4; i++) {
		h[i] = (struct hammer){ &b, &clock, 0 };
		assert_int_equal(pthread_create(&t[i], NULL, hammer, &h[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		sum += h[i].sent;
	}
	/* A thread that loses the CPU with a piece in its hand loses no more than that. */
	assert_true(sum <= RATE * 55 + 5 * (uint64_t)b.piece);
	assert_true(sum >= RATE * 25);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_of_many_has_all),
		cmocka_unit_test(test_together_no_more),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_pause_is_a_burst),
		cmocka_unit_test(test_no_limit),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
