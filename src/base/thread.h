// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * thread - locks and thread roles, with clang's capability attributes so that CI proves who may
 * call what (-Wthread-safety; no-ops under gcc).
 *
 * Roles: main (device tree, control), vcpu (guest mode, register accesses), io (a device's home
 * loop), worker (blocking work). A function that cares says REQUIRES(role_main) etc. and, where a
 * mistake would be silent, calls thread_assert_role().
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* GUARDED_BY works for variables only: in C, clang looks a struct member's lock up before the members
 * are known. A member says MEMBER_GUARDED_BY(its sibling), which is for the reader alone; functions
 * that are called with the lock held say REQUIRES(s->lock), which is checked. */
#define MEMBER_GUARDED_BY(lock)

#if defined(__clang__)
#define CAPABILITY(x)	  __attribute__((capability(x)))
#define SCOPED_CAPABILITY __attribute__((scoped_lockable))
#define GUARDED_BY(x)	  __attribute__((guarded_by(x)))
#define REQUIRES(...)	  __attribute__((requires_capability(__VA_ARGS__)))
#define EXCLUDES(...)	  __attribute__((locks_excluded(__VA_ARGS__)))
#define ACQUIRE(...)	  __attribute__((acquire_capability(__VA_ARGS__)))
#define RELEASE(...)	  __attribute__((release_capability(__VA_ARGS__)))
#define ASSERT_CAP(...)	  __attribute__((assert_capability(__VA_ARGS__)))
#define NO_THREAD_SAFETY  __attribute__((no_thread_safety_analysis))
#else
#define CAPABILITY(x)
#define SCOPED_CAPABILITY
#define GUARDED_BY(x)
#define REQUIRES(...)
#define EXCLUDES(...)
#define ACQUIRE(...)
#define RELEASE(...)
#define ASSERT_CAP(...)
#define NO_THREAD_SAFETY
#endif

/* A mutex. Every one has a card in docs/locking.md. init cannot fail. */
struct CAPABILITY("mutex") mutex {
	pthread_mutex_t m;
};

#define MUTEX_INIT                             \
	{                                      \
		.m = PTHREAD_MUTEX_INITIALIZER \
	}

static inline void mutex_init(struct mutex *m)
{
	pthread_mutex_init(&m->m, NULL);
}

static inline void mutex_fini(struct mutex *m)
{
	pthread_mutex_destroy(&m->m);
}

static inline void mutex_lock(struct mutex *m) ACQUIRE(m) NO_THREAD_SAFETY
{
	pthread_mutex_lock(&m->m);
}

static inline void mutex_unlock(struct mutex *m) RELEASE(m) NO_THREAD_SAFETY
{
	pthread_mutex_unlock(&m->m);
}

/* GUARD(&lock); holds the lock to the end of the scope. clang's analysis does not follow the
 * cleanup attribute, so functions that use GUARD on annotated data take NO_THREAD_SAFETY or lock
 * by hand. */
struct mutex_guard {
	struct mutex *m;
};

static inline void mutex_guard_release(struct mutex_guard *g) NO_THREAD_SAFETY
{
	mutex_unlock(g->m);
}

static inline struct mutex_guard mutex_guard_take(struct mutex *m) NO_THREAD_SAFETY
{
	mutex_lock(m);
	return (struct mutex_guard){ m };
}

#define GUARD_NAME2(line) guard_##line
#define GUARD_NAME(line)  GUARD_NAME2(line)
#define GUARD(m)                                                                             \
	__attribute__((cleanup(mutex_guard_release), unused)) struct mutex_guard GUARD_NAME( \
		__LINE__) = mutex_guard_take(m)

enum thread_role {
	ROLE_NONE = 0, /* a thread that has not said: tools, tests */
	ROLE_MAIN,
	ROLE_VCPU,
	ROLE_IO,
	ROLE_WORKER,
};

/* Capability tokens for the annotations; they hold no state. */
struct CAPABILITY("role") role {
	char unused;
};
extern struct role role_main, role_vcpu, role_io, role_worker;

/* Create a thread with all signals blocked but SIGSYS (what may interrupt it, it lets through itself) and a stack
 * of THREAD_STACK_SIZE bytes, on host CPU @host_cpu only (-1: any). 0 or -errno; -EINVAL: there is no
 * such host CPU. */
#define THREAD_STACK_SIZE (256 * 1024)
int thread_create(pthread_t *t, bool detached, int host_cpu, void *(*fn)(void *), void *arg);
/* Declare the calling thread's role and its name for top(1) (at most 15 characters are kept); it is
 * confined from here on, if that is set. */
void thread_enter(enum thread_role role, const char *name);
/* How threads give up rights (sandbox/): set by main, once, when it has done so itself. @inherited: the
 * thread was made by one that had, and so has what is not particular to its role. */
void thread_set_confinement(void (*fn)(enum thread_role role, bool inherited));
/* The calling thread gives up its rights, unless it has or nothing is set. Async-signal-safe. */
void thread_confine(void);
/* Those that have begun before it was set do so, wherever they are: they get a SIGSYS, which all let through,
 * by tgkill(2); its handler calls thread_confine(). When it returns all have. Main. */
void thread_confine_all(void);
bool thread_is_confined(void);
enum thread_role thread_role(void);
/* True when the thread is @role or has declared none (tests, tools). For assert(). */
bool thread_is(enum thread_role role);
void thread_assert_main(void) ASSERT_CAP(role_main);

#endif
