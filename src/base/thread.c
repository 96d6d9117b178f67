// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

struct role role_main, role_vcpu, role_io, role_worker;

static __thread enum thread_role current_role;
static __thread bool is_confined, made_confined;

static void (*_Atomic confinement)(enum thread_role role, bool inherited);

struct start {
	void *(*fn)(void *);
	void *arg;
	bool confined; /* whoever makes the thread is: a thread inherits that */
};

static void *begin(void *opaque)
{
	struct start s = *(struct start *)opaque;

	free(opaque);
	made_confined = s.confined;
	return s.fn(s.arg);
}

int thread_create(pthread_t *t, bool detached, int host_cpu, void *(*fn)(void *), void *arg)
{
	struct start *s = malloc(sizeof(*s));
	pthread_attr_t attr;
	sigset_t all;
	cpu_set_t cpus;
	int rc;

	if (!s)
		return -ENOMEM;
	*s = (struct start){ fn, arg, is_confined };
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK_SIZE);
	sigfillset(&all);
	sigdelset(&all,
		SIGSYS); /* a call that seccomp refuses: blocked, it would end us without a word */
	rc = pthread_attr_setsigmask_np(&attr, &all);
	if (!rc && detached)
		rc = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (!rc && host_cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET(host_cpu, &cpus);
		rc = pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	}
	if (!rc)
		rc = pthread_create(t, &attr, begin, s);
	if (rc)
		free(s);
	pthread_attr_destroy(&attr);
	return -rc;
}

void thread_enter(enum thread_role role, const char *name)
{
	char comm[16] = "";

	current_role = role;
	memcpy(comm, name, strnlen(name, sizeof(comm) - 1));
	prctl(PR_SET_NAME, comm, 0, 0, 0);
	thread_confine();
}

void thread_set_confinement(void (*fn)(enum thread_role role, bool inherited))
{
	is_confined = true;
	atomic_store_explicit(&confinement, fn, memory_order_release);
}

bool thread_is_confined(void)
{
	return is_confined;
}

void thread_confine(void)
{
	void (*fn)(enum thread_role role, bool inherited) = atomic_load_explicit(
		&confinement, memory_order_acquire);

	if (!fn || is_confined)
		return;
	is_confined = true;
	fn(current_role, made_confined);
}

enum thread_role thread_role(void)
{
	return current_role;
}

bool thread_is(enum thread_role role)
{
	return current_role == ROLE_NONE || current_role == role;
}

void thread_assert_main(void)
{
	assert(thread_is(ROLE_MAIN));
}
