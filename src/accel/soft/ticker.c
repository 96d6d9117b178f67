// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ticker - has vCPUs that are in guest code look up.
 *
 * Generated code looks at v->poll and at nothing else, so somebody must tell it that time has passed: for
 * the APIC's timers, and so that it leaves its section of the address map now and then. One thread a VM
 * does, each millisecond or when a timer is due, while a vCPU is in guest code; otherwise it sleeps, and
 * who enters guest code wakes it. Where a tick is dear, for Lodge runs in an emulated machine itself, ticks
 * are rarer: they cost the vCPU as much again, and left it no time to run.
 */
#include <errno.h>
#include <stdlib.h>
#include "accel/soft/soft_int.h"
#include "base/clock.h"

#define TICK_NS	     NS_PER_MS
#define TICK_MOST_NS (8 * NS_PER_MS)
#define TICK_SHARE   64 /* of the time, at most, for this thread: then ticks are rarer */
#define TICK_LOOKS   16 /* ticks from one look at its time to the next */
/* Ticks without a vCPU in guest code before it sleeps. Many where vCPUs come and go all the time, for whoever
 * finds it asleep pays a system call; one where it slept for long, for an idle guest's ticks are wake-ups of
 * the host's. */
#define IDLE_OFTEN   20
#define IDLE_SELDOM  1
#define SELDOM_NS    2000000

struct soft_ticker {
	struct soft_vm *vm;
	pthread_t thread;
	struct mutex lock; /* docs/locking.md: soft.ticker_lock */
	pthread_cond_t cond;
	bool stop MEMBER_GUARDED_BY(lock);
	_Atomic bool asleep;
};

/* Have those in guest code look up whose time has come, or all; is there any, and until when may
 * the next look wait? At most for @*wait_ns. */
static bool tick(struct soft_vm *vm, bool all, int64_t *wait_ns)
{
	uint32_t n = atomic_load(&vm->n_vcpus);
	uint64_t now = soft_host_tsc(), least = soft_ns_to_tsc((uint64_t)*wait_ns);
	bool any = false;

	mutex_lock(&vm->vcpus_lock);
	for (uint32_t i = 0; i < n; i++) {
		struct soft_vcpu *v = vm->vcpus[i];
		uint64_t due;

		if (!v || !atomic_load(&v->in_guest))
			continue;
		any = true;
		due = atomic_load_explicit(&v->timer_tsc, memory_order_relaxed);
		if (all || due <= now)
			soft_notify(v, SOFT_POLL_TIMER);
		else
			least = MIN(least, due - now);
	}
	mutex_unlock(&vm->vcpus_lock);
	*wait_ns = (int64_t)soft_tsc_to_length(least);
	return any;
}

/* The time between ticks after TICK_LOOKS of them that took @cpu_ns of this thread's time together. */
static int64_t tick_period(int64_t cpu_ns)
{
	int64_t period = cpu_ns / TICK_LOOKS * TICK_SHARE;

	return MIN(MAX(period, TICK_NS), TICK_MOST_NS);
}

static void *ticker_main(void *opaque)
{
	struct soft_ticker *t = opaque;
	unsigned int idle = 0, most = IDLE_OFTEN, looks = 0;
	int64_t last = 0, wait, period = TICK_NS, cpu = 0;

	thread_enter(ROLE_WORKER, "ticker");
	mutex_lock(&t->lock);
	while (!t->stop) {
		int64_t now = clock_mono_ns(), until;
		struct timespec ts;

		if (idle >= most) {
			atomic_store(&t->asleep, true);
			/* A vCPU that entered just now has not seen that. */
			wait = period;
			if (!tick(t->vm, false, &wait) && !t->stop)
				pthread_cond_wait(&t->cond, &t->lock.m);
			atomic_store(&t->asleep, false);
			most = clock_mono_ns() - now > SELDOM_NS ? IDLE_SELDOM : IDLE_OFTEN;
			idle = 0;
			continue;
		}
		mutex_unlock(&t->lock);
		wait = period;
		if (tick(t->vm, now - last >= period, &wait))
			idle = 0;
		else
			idle++;
		if (now - last >= period)
			last = now;
		if (++looks == TICK_LOOKS) {
			int64_t cpu_now = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);

			period = tick_period(cpu_now - cpu);
			cpu = cpu_now;
			looks = 0;
		}
		mutex_lock(&t->lock);
		until = now + MAX(wait, 50000);
		ts = (struct timespec){ until / NS_PER_SEC, until % NS_PER_SEC };
		if (!t->stop)
			pthread_cond_timedwait(&t->cond, &t->lock.m, &ts);
	}
	mutex_unlock(&t->lock);
	return NULL;
}

bool soft_ticker_start(struct soft_vm *vm, struct error *err)
{
	struct soft_ticker *t = calloc(1, sizeof(*t));
	pthread_condattr_t attr;
	int r;

	if (!t)
		return error_set_errno(err, ENOMEM, "soft");
	t->vm = vm;
	mutex_init(&t->lock);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->cond, &attr);
	pthread_condattr_destroy(&attr);
	vm->ticker = t;
	r = -thread_create(&t->thread, false, -1, ticker_main, t);
	if (!r)
		return true;
	error_set_errno(err, r, "soft: cannot start a thread");
	pthread_cond_destroy(&t->cond);
	mutex_fini(&t->lock);
	free(t);
	vm->ticker = NULL;
	return false;
}

void soft_ticker_stop(struct soft_vm *vm)
{
	struct soft_ticker *t = vm->ticker;

	if (!t)
		return;
	mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_signal(&t->cond);
	mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	pthread_cond_destroy(&t->cond);
	mutex_fini(&t->lock);
	free(t);
	vm->ticker = NULL;
}

void soft_ticker_wake(struct soft_vm *vm)
{
	struct soft_ticker *t = vm->ticker;

	if (__builtin_expect(!atomic_load(&t->asleep), 1))
		return;
	mutex_lock(&t->lock);
	pthread_cond_signal(&t->cond);
	mutex_unlock(&t->lock);
}
