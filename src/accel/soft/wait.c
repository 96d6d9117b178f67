// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wait - a vCPU that has nothing to do sleeps, and is woken.
 *
 * Whoever wants something sets a bit of v->poll and then looks at v->waiting; the sleeper sets v->waiting and
 * then looks at v->poll; all seq_cst. One of the two sees the other. v->waiting is the futex: who finds it set
 * takes it back, so that one of several makes the system call, and maybe later, when it has given up the lock
 * that the vCPU wants first (soft_ask(), soft_wake()). A sleeper that has not got into the kernel yet finds
 * it taken back there, and one that is woken for nothing, by who was late, sets it again.
 *
 * vCPUs that take turns wait for each other for a few microseconds, less than the CPU time that it costs the
 * host to put one to sleep and wake it. So a sleeper looks at v->poll for a while first, if that has paid
 * lately: v->look.luck counts for and against. Without luck it is tried anew when it has slept for a short
 * time only, and seldom when that is in vain. An idle guest sleeps for long, and never looks.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "accel/soft/soft_int.h"
#include "base/clock.h"

#define LOOK_NS	  50000	 /* as long as it takes to wake somebody on a busy host who then wakes us */
#define CHEAP_NS  10000	 /* about what a sleep costs */
#define SHORT_NS  150000 /* a sleep with its waking up */
#define LUCK_MOST 16
#define LUCK_NEW  3 /* after a try */
#define BAD_LUCK  4 /* looked for nothing */
#define SKIP_MOST 255

bool soft_ask(struct soft_vcpu *v, uint32_t poll)
{
	atomic_fetch_or(&v->poll, poll);
	atomic_store(&v->g.id_poll, SOFT_ID_POLL);
	return atomic_load(&v->waiting) && atomic_exchange(&v->waiting, 0);
}

void soft_wake(struct soft_vcpu *v)
{
	syscall(SYS_futex, &v->waiting, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void soft_notify(struct soft_vcpu *v, uint32_t poll)
{
	if (soft_ask(v, poll))
		soft_wake(v);
}

/* False: it is @until, of CLOCK_MONOTONIC. */
static bool futex_wait(struct soft_vcpu *v, const struct timespec *until)
{
	return !syscall(SYS_futex, &v->waiting, FUTEX_WAIT_BITSET_PRIVATE, 1, until, NULL,
		       FUTEX_BITSET_MATCH_ANY) ||
	       errno != ETIMEDOUT;
}

/* -------- looking before sleeping -------- */
static bool pays(struct soft_vcpu *v)
{
	if (v->pv.no_poll) /* the guest does so itself */
		return false;
	if (v->look.luck > 0)
		return true;
	if (!v->look.was_short)
		return false;
	if (!v->look.skip)
		return true;
	v->look.skip--;
	return false;
}

/* It was looked for @ns. */
static void learn(struct soft_vcpu *v, uint64_t ns, bool found)
{
	int luck = v->look.luck;

	if (ns <= CHEAP_NS)
		luck = MIN(luck + 1, LUCK_MOST);
	else if (found)
		luck = luck ? luck - 1 : LUCK_NEW;
	else
		luck = MAX(luck - BAD_LUCK, 0);
	v->look.luck = (int8_t)luck;
	if (luck == LUCK_MOST)
		v->look.skipped = 0;
	if (luck)
		return;
	v->look.skipped = (uint8_t)MIN(2 * v->look.skipped + 1, SKIP_MOST);
	v->look.skip = v->look.skipped;
}

/* True: there is something in v->poll. */
static bool look(struct soft_vcpu *v, uint64_t since)
{
	uint64_t most = soft_ns_to_tsc(LOOK_NS), passed;
	bool found;

	do {
		__builtin_ia32_pause();
		found = atomic_load(&v->poll);
		passed = soft_host_tsc() - since;
	} while (!found && passed < most);
	learn(v, soft_tsc_to_length(passed), found);
	return found;
}

/* -------- sleeping -------- */
void soft_sleep(struct soft_vcpu *v, int64_t until_ns)
{
	int64_t ns = MAX(until_ns, 0);
	struct timespec until = { .tv_sec = ns / NS_PER_SEC, .tv_nsec = ns % NS_PER_SEC };
	uint64_t since = soft_host_tsc();
	bool in_time = true;

	if (pays(v) && until_ns - clock_mono_ns() > LOOK_NS && look(v, since))
		return;
	while (in_time) {
		atomic_store(&v->waiting, 1);
		if (atomic_load(&v->poll))
			break;
		in_time = futex_wait(v, until_ns == INT64_MAX ? NULL : &until);
	}
	atomic_store(&v->waiting, 0);
	v->look.was_short = soft_tsc_to_length(soft_host_tsc() - since) < SHORT_NS;
}
