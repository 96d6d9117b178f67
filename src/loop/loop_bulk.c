// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop_bulk - a loop's thread lets others finish while much goes through it, on a host of one CPU.
 *
 * A thread that has had little CPU time takes the CPU from the guest when it wakes up. With one CPU that means a kick,
 * a turn and an interrupt for each frame of a stream, though the guest was about to send many, or to answer many
 * with one acknowledgement. As a batch job (SCHED_BATCH) the thread begins when the guest waits, or at the
 * scheduler's next tick, and finds them together. That is no good for a single frame that somebody
 * waits for, so it is a batch job only while there is bulk: BULK_BYTES within BULK_NS begin it, less than that in
 * CHECK_NS ends it.
 */
#include <sched.h>
#include "base/clock.h"
#include "loop/loop_int.h"

#define BULK_BYTES (128u << 10)
#define BULK_NS	   2000000
#define CHECK_NS   5000000
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

static void check(void *opaque)
{
	struct loop *l = opaque;
	struct loop_bulk *b = &l->bulk;

	b->on = b->bytes >= BULK_BYTES;
	b->bytes = 0;
	if (b->on)
		loop_timer_arm(&b->timer, clock_mono_ns() + CHECK_NS);
	else
		set_policy(SCHED_OTHER);
}

void loop_bulk_init(struct loop *l)
{
	loop_timer_init(&l->bulk.timer, l, check, l);
}

static void consider(struct loop_bulk *b)
{
	int64_t now = clock_mono_ns();
	bool fast = now - b->since_ns <= BULK_NS;

	b->bytes = 0;
	b->since_ns = now;
	if (!fast || !may_wait(b, now) || !set_policy(SCHED_BATCH))
		return;
	b->on = true;
	loop_timer_arm(&b->timer, now + CHECK_NS);
}

void loop_moved(struct loop *l, uint64_t bytes)
{
	struct loop_bulk *b = &l->bulk;

	b->bytes += bytes;
	if (b->bytes >= BULK_BYTES && !b->on && l->threaded)
		consider(b);
}
