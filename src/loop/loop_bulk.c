// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop_bulk - a loop's thread lets others finish while much goes through it, on a host of one CPU.
 *
 * A thread that has had little CPU time takes the CPU from the guest when it wakes up. With one CPU that means a kick,
 * a turn and an interrupt for each frame of a stream, though the guest was about to send many, or to answer many
 * with one acknowledgement. As a batch job (SCHED_BATCH) the thread begins when the guest waits, or at the
 * scheduler's next tick, and finds them together. That is no good for a single frame that somebody
 * waits for, so it is a batch job only while there is bulk: BULK_BYTES within BULK_NS begin it, less than that in
 * CHECK_NS ends it. And it is no good when the guest computes as well and never waits: then a tick (4 ms) goes by for
 * each turn and the stream is slow. Turns that are TURN_NS apart and more show that, and for REST_NS it is not tried again.
 */
#include <sched.h>
#include "base/clock.h"
#include "loop/loop_int.h"

#define BULK_BYTES (128u << 10)
#define BULK_NS	   2000000
#define CHECK_NS   5000000
#define TURN_NS	   500000
#define REST_NS	   100000000
#define ASK_NS	   1000000000 /* somebody may give us another CPU meanwhile */

/* A thread that this one makes begins as an ordinary one. (Nobody may take that flag back without a privilege.) */
static bool set_policy(int policy)
{
	const struct sched_param p = { 0 };

	return sched_setscheduler(0, policy | SCHED_RESET_ON_FORK, &p) == 0;
}

/* One CPU, and nobody has chosen how the thread is to be scheduled. */
static bool may_wait(struct loop_bulk *b, int64_t now)
{
	cpu_set_t set;

	if (b->asked_ns && now - b->asked_ns < ASK_NS)
		return b->may;
	b->asked_ns = now;
	b->may = sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) == 1 &&
		 (sched_getscheduler(0) & ~SCHED_RESET_ON_FORK) == SCHED_OTHER;
	return b->may;
}

static void begin(struct loop_bulk *b, int64_t now)
{
	b->bytes = 0;
	b->turns = 0;
	b->since_ns = b->last_ns = now;
}

static void check(void *opaque)
{
	struct loop *l = opaque;
	struct loop_bulk *b = &l->bulk;
	int64_t now = clock_mono_ns();
	bool rare = b->last_ns - b->since_ns > b->turns * TURN_NS;

	b->on = b->bytes >= BULK_BYTES && !rare;
	if (b->on)
		loop_timer_arm(&b->timer, now + CHECK_NS);
	else
		set_policy(SCHED_OTHER);
	if (rare)
		b->rest_ns = now + REST_NS;
	begin(b, now);
}

void loop_bulk_init(struct loop *l)
{
	loop_timer_init(&l->bulk.timer, l, check, l);
}

static void consider(struct loop_bulk *b)
{
	int64_t now = clock_mono_ns();
	bool fast = now - b->since_ns <= BULK_NS;

	begin(b, now);
	if (!fast || now < b->rest_ns || !may_wait(b, now) || !set_policy(SCHED_BATCH))
		return;
	b->on = true;
	loop_timer_arm(&b->timer, now + CHECK_NS);
}

void loop_moved(struct loop *l, uint64_t bytes)
{
	struct loop_bulk *b = &l->bulk;

	if (!bytes)
		return;
	b->bytes += bytes;
	b->turns++;
	if (b->on)
		b->last_ns = clock_mono_ns();
	else if (b->bytes >= BULK_BYTES && l->threaded)
		consider(b);
}
