// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct role role_main, role_vcpu, role_io, role_worker;

static __thread enum thread_role current_role;
static __thread bool is_confined, made_confined;

static void (*_Atomic confinement)(enum thread_role role, bool inherited);

struct start {
	void *(*fn)(void *);
	void *arg;
	bool confined;	      /* whoever makes the thread is: a thread inherits that */
	struct start *next;   /* in olds */
	_Atomic int tid;      /* since thread_enter() */
	_Atomic bool is_done; /* it has confined itself */
};

/* The threads that were made by unconfined ones: all must be confined when thread_confine_all() returns. */
static struct mutex olds_lock = MUTEX_INIT;
static struct start *olds GUARDED_BY(olds_lock);
static sem_t olds_changed; /* main waits in thread_confine_all() */
static __thread struct start *own;

static void olds_add(struct start *s)
{
	mutex_lock(&olds_lock);
	s->next = olds;
	olds = s;
	mutex_unlock(&olds_lock);
}

static void olds_remove(struct start *s)
{
	struct start **p;

	mutex_lock(&olds_lock);
	for (p = &olds; *p != s; p = &(*p)->next)
		;
	*p = s->next;
	mutex_unlock(&olds_lock);
	sem_post(&olds_changed);
}

static void *begin(void *opaque)
{
	struct start *s = opaque;
	void *result;

	made_confined = s->confined;
	own = s;
	result = s->fn(s->arg);
	own = NULL;
	if (!s->confined)
		olds_remove(s);
	free(s);
	return result;
}

/* True: there are none that are not confined yet. @signal: tell them. */
static bool olds_are_done(bool signal)
{
	bool done = true;

	mutex_lock(&olds_lock);
	for (struct start *s = olds; s; s = s->next) {
		int tid = atomic_load(&s->tid);

		done &= atomic_load(&s->is_done);
		if (signal && tid && syscall(SYS_tgkill, getpid(), tid, SIGSYS) < 0)
			abort();
	}
	mutex_unlock(&olds_lock);
	return done;
}

void thread_confine_all(void)
{
	bool done = olds_are_done(true);

	while (!done) {
		sem_wait(&olds_changed);
		done = olds_are_done(false);
	}
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
	*s = (struct start){ .fn = fn, .arg = arg, .confined = is_confined };
	if (!s->confined)
		olds_add(s);
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
	if (rc) {
		if (!s->confined)
			olds_remove(s);
		free(s);
	}
	pthread_attr_destroy(&attr);
	return -rc;
}

void thread_enter(enum thread_role role, const char *name)
{
	char comm[16] = "";

	current_role = role;
	memcpy(comm, name, strnlen(name, sizeof(comm) - 1));
	prctl(PR_SET_NAME, comm, 0, 0, 0);
	/* Pairs with thread_confine_all(): either it sees the number, or we see what is set. */
	if (own)
		atomic_store(&own->tid, (int)syscall(SYS_gettid));
	thread_confine();
}

void thread_set_confinement(void (*fn)(enum thread_role role, bool inherited))
{
	is_confined = true;
	sem_init(&olds_changed, 0, 0);
	atomic_store(&confinement, fn);
}

bool thread_is_confined(void)
{
	return is_confined;
}

void thread_confine(void)
{
	void (*fn)(enum thread_role role, bool inherited) = atomic_load(&confinement);

	if (!fn || is_confined)
		return;
	is_confined = true;
	fn(current_role, made_confined);
	if (!own || made_confined)
		return;
	atomic_store(&own->is_done, true);
	sem_post(&olds_changed);
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
