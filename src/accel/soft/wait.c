// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wait - a vCPU that has nothing to do sleeps, and is woken.
 *
 * Whoever wants something sets a bit of v->poll and then looks at v->waiting; the sleeper sets v->waiting and
 * then looks at v->poll; all seq_cst. One of the two sees the other. v->waiting is the futex: who finds it set
 * takes it back, so that one of several makes the system call, and maybe later, when it has given up the lock
 * that the vCPU wants first (soft_ask(), soft_wake()). A sleeper that has not got into the kernel yet finds
 * it taken back there, and one that is woken for nothing, by who was late, sets it again.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "accel/soft/soft_int.h"
#include "base/clock.h"

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

void soft_sleep(struct soft_vcpu *v, int64_t until_ns)
{
	int64_t ns = MAX(until_ns, 0);
	struct timespec until = { .tv_sec = ns / NS_PER_SEC, .tv_nsec = ns % NS_PER_SEC };
	bool in_time = true;

	while (in_time) {
		atomic_store(&v->waiting, 1);
		if (atomic_load(&v->poll))
			break;
		in_time = futex_wait(v, until_ns == INT64_MAX ? NULL : &until);
	}
	atomic_store(&v->waiting, 0);
}
