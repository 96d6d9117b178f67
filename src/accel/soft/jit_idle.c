// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_idle - an idle guest's translations go. A system that boots runs through more code than it ever will
 * again: 20 MiB and more of the host's memory for each vCPU. When a vCPU has hardly run for a while, all is
 * dropped and what the guest still does is translated anew, which is little; so little that it is not dropped
 * again. Only looked at when the vCPU falls asleep: one that runs is not idle, and who sleeps on has been
 * looked at.
 */
#include <sys/mman.h>
#include <time.h>
#include "accel/soft/jit.h"
#include "accel/soft/soft_int.h"
#include "base/clock.h"

#define KEEP	(4 * MIB)	 /* of translated code: not worth the work */
#define SPAN_NS (5 * NS_PER_SEC) /* that is looked at as a whole */
#define BUSY	50		 /* a vCPU is, that has run for a 50th of it */

void soft_jit_idle(struct soft_vcpu *v)
{
	struct soft_jit *j = v->jit;
	int64_t now, cpu, ran, span;

	if (!j || j->code.used - j->stubs_end + j->cold - JIT_COLD < KEEP)
		return;
	now = clock_mono_ns();
	span = now - j->idle_from;
	if (j->idle_from && span < SPAN_NS)
		return;
	cpu = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
	ran = cpu - j->idle_cpu;
	if (j->idle_from && ran < span / BUSY)
		j->stale = j->give_back = true;
	j->idle_from = now;
	j->idle_cpu = cpu;
}

void soft_jit_give_back(struct soft_jit *j)
{
	size_t used = ALIGN_UP(j->code.used, (size_t)4096);

	/* Advice: what stays is only memory. The arrays are what soft_jit_new() made: zeroes. */
	j->give_back = false;
	(void)!madvise(j->code.rw + used, j->code.size - used, MADV_REMOVE);
	(void)!madvise(j->block, JIT_BLOCKS * sizeof(*j->block), MADV_DONTNEED);
	(void)!madvise(j->page, JIT_BLOCKS * sizeof(*j->page), MADV_DONTNEED);
	(void)!madvise(j->fault, JIT_FAULTS * sizeof(*j->fault), MADV_DONTNEED);
}
