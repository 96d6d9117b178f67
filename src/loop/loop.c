// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop - the part that both back ends share: making and ending a loop, its round, deferred calls,
 * watches, events and threads.
 *
 * Waking a sleeping loop. Posts go on a lock-free stack; kicking costs a system call, so it is done
 * only when the loop sleeps:
 *     poster: push, then read `sleeping`;  loop: set `sleeping`, then look at the stack.
 * All four are seq_cst, so at least one of the two sees the other. Whoever takes `sleeping` back to
 * false kicks: one kick for any number of posts.
 */
#include <assert.h>
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/trace.h"
#include "loop/loop_int.h"

#define NO_SLOT	  UINT32_MAX
/* In user_data of an io_uring a slot has 29 bits. */
#define SLOTS_MAX (1u << 20)

static _Thread_local char self; /* its address names a thread */
static const char nobody;	/* owner of a loop whose thread has not begun */

/* -------- slots -------- */

static int slots_grow(struct loop *l)
{
	uint32_t n = l->n_slots ? l->n_slots * 2 : 16;
	struct loop_slot *s;

	if (n > SLOTS_MAX)
		return -ENOMEM;
	s = realloc(l->slots, n * sizeof(*s));
	if (!s)
		return -ENOMEM;
	for (uint32_t i = l->n_slots; i < n; i++)
		s[i] = (struct loop_slot){ .next_free = i + 1 < n ? i + 1 : NO_SLOT };
	l->free_slot = l->n_slots;
	l->slots = s;
	l->n_slots = n;
	return 0;
}

int loop_slot_get(struct loop *l, struct loop_fd *w)
{
	if (l->free_slot == NO_SLOT && slots_grow(l) < 0)
		return -ENOMEM;
	w->slot = l->free_slot;
	l->free_slot = l->slots[w->slot].next_free;
	l->slots[w->slot].w = w;
	return 0;
}

void loop_slot_put(struct loop *l, uint32_t slot)
{
	struct loop_slot *s = &l->slots[slot];

	s->w = NULL;
	s->gen++;
	s->next_free = l->free_slot;
	l->free_slot = slot;
}

struct loop_fd *loop_slot_watch(struct loop *l, uint32_t slot, uint32_t gen)
{
	if (slot >= l->n_slots || l->slots[slot].gen != gen)
		return NULL;
	return l->slots[slot].w;
}

/* -------- watches -------- */

void loop_fd_init(struct loop_fd *w, int fd, unsigned int events,
	void (*cb)(void *opaque, unsigned int events), void *opaque)
{
	*w = (struct loop_fd){ .cb = cb, .opaque = opaque, .fd = fd, .events = events };
	list_init(&w->node);
}

int loop_fd_add(struct loop *l, struct loop_fd *w)
{
	int rc;

	assert(loop_in_thread(l));
	if (w->loop)
		return -EBUSY;
	rc = loop_slot_get(l, w);
	if (rc < 0)
		return rc;
	rc = l->ops->fd_add(l, w);
	if (rc < 0) {
		loop_slot_put(l, w->slot);
		return rc;
	}
	w->loop = l;
	return 0;
}

int loop_fd_modify(struct loop_fd *w, unsigned int events)
{
	unsigned int was = w->events;
	int rc;

	if (!w->loop || events == was) {
		w->events = events;
		return 0;
	}
	assert(loop_in_thread(w->loop));
	w->events = events;
	rc = w->loop->ops->fd_modify(w->loop, w);
	if (rc < 0)
		w->events = was;
	return rc;
}

void loop_fd_del(struct loop_fd *w)
{
	struct loop *l = w->loop;

	if (!l)
		return;
	assert(loop_in_thread(l));
	l->ops->fd_del(l, w);
	w->loop = NULL;
}

/* -------- events -------- */

static void event_ready(void *opaque, unsigned int events)
{
	struct loop_event *e = opaque;

	e->cb(e->opaque);
}

int loop_event_init(struct loop_event *e, void (*cb)(void *opaque), void *opaque)
{
	*e = (struct loop_event){ .cb = cb, .opaque = opaque };
	e->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop_fd_init(&e->watch, e->fd, LOOP_IN, event_ready, e);
	e->watch.edge = true;
	return e->fd < 0 ? -errno : 0;
}

void loop_event_fini(struct loop_event *e)
{
	loop_event_del(e);
	if (e->fd >= 0)
		close(e->fd);
	e->fd = -1;
}

int loop_event_add(struct loop *l, struct loop_event *e)
{
	return loop_fd_add(l, &e->watch);
}

void loop_event_del(struct loop_event *e)
{
	loop_fd_del(&e->watch);
}

void loop_event_kick(struct loop_event *e)
{
	const uint64_t one = 1;

	/* Refused only when the counter is at its limit: then a kick is pending anyway. */
	(void)!write(e->fd, &one, sizeof(one));
}

/* -------- deferred calls -------- */

void loop_defer_init(struct loop_defer *d, void (*cb)(void *opaque), void *opaque)
{
	d->cb = cb;
	d->opaque = opaque;
	atomic_init(&d->next, NULL);
	atomic_init(&d->queued, false);
}

static void wake(struct loop *l)
{
	if (atomic_load_explicit(&l->sleeping, memory_order_seq_cst) &&
		atomic_exchange_explicit(&l->sleeping, false, memory_order_seq_cst))
		loop_event_kick(&l->wake);
}

void loop_post(struct loop *l, struct loop_defer *d)
{
	struct loop_defer *head;

	/* Pairs with the exchange in posts_run(): when it is still queued, that run sees what we
	 * did before. */
	if (atomic_exchange_explicit(&d->queued, true, memory_order_acq_rel))
		return;
	head = atomic_load_explicit(&l->posts, memory_order_relaxed);
	do {
		atomic_store_explicit(&d->next, head, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(
		&l->posts, &head, d, memory_order_seq_cst, memory_order_relaxed));
	wake(l);
}

static struct loop_defer *defer_next(struct loop_defer *d)
{
	return atomic_load_explicit(&d->next, memory_order_relaxed);
}

static void defer_set_next(struct loop_defer *d, struct loop_defer *next)
{
	atomic_store_explicit(&d->next, next, memory_order_relaxed);
}

/* Move what was posted behind `later`, in the order of posting (the stack is the reverse). */
static void posts_take(struct loop *l)
{
	struct loop_defer *d = NULL, *next, *rev = NULL, **tail = &l->later;

	/* The stack is mostly empty: look before taking the cache line for writing. */
	if (atomic_load_explicit(&l->posts, memory_order_relaxed))
		d = atomic_exchange_explicit(&l->posts, NULL, memory_order_acquire);
	if (!d)
		return;
	for (; d; d = next) {
		next = defer_next(d);
		defer_set_next(d, rev);
		rev = d;
	}
	if (!*tail) {
		*tail = rev;
		return;
	}
	for (d = *tail; defer_next(d); d = defer_next(d))
		;
	defer_set_next(d, rev);
}

/* Run what has been posted until now; what is posted meanwhile waits for the next round. */
static void posts_run(struct loop *l)
{
	struct loop_defer *d;

	posts_take(l);
	l->ready = l->later;
	l->later = NULL;
	while ((d = l->ready)) {
		l->ready = defer_next(d); /* a post may reuse it from the next line on */
		atomic_exchange_explicit(&d->queued, false, memory_order_acq_rel);
		d->cb(d->opaque);
	}
}

static bool posts_pending(struct loop *l)
{
	return l->later || atomic_load_explicit(&l->posts, memory_order_seq_cst);
}

static bool defer_unlink(struct loop_defer **list, struct loop_defer *d)
{
	struct loop_defer *it = *list;

	if (it == d) {
		*list = defer_next(d);
		return true;
	}
	for (; it; it = defer_next(it)) {
		if (defer_next(it) == d) {
			defer_set_next(it, defer_next(d));
			return true;
		}
	}
	return false;
}

void loop_defer_cancel(struct loop *l, struct loop_defer *d)
{
	assert(loop_in_thread(l));
	if (!atomic_load_explicit(&d->queued, memory_order_acquire))
		return;
	posts_take(l);
	if (defer_unlink(&l->ready, d) || defer_unlink(&l->later, d))
		atomic_exchange_explicit(&d->queued, false, memory_order_acq_rel);
}

struct call {
	struct loop_defer defer;
	struct loop *loop;
	void (*fn)(void *opaque);
	void *opaque;
	sem_t done;
};

static void call_run(void *opaque)
{
	struct call *c = opaque;

	c->fn(c->opaque);
	loop_flush(c->loop); /* the caller may close what was signalled */
	sem_post(&c->done);
}

void loop_call(struct loop *l, void (*fn)(void *opaque), void *opaque)
{
	struct call c = { .loop = l, .fn = fn, .opaque = opaque };

	if (loop_in_thread(l)) {
		fn(opaque);
		return;
	}
	loop_defer_init(&c.defer, call_run, &c);
	sem_init(&c.done, 0, 0);
	loop_post(l, &c.defer);
	while (sem_wait(&c.done) < 0) /* a signal */
		;
	sem_destroy(&c.done);
}

/* -------- the round -------- */

static void claim(struct loop *l)
{
	atomic_store_explicit(&l->owner, &self, memory_order_release);
	if (!l->entered) {
		l->entered = true;
		l->ops->enter(l);
	}
}

static void round_once(struct loop *l, int timeout_ms)
{
	assert(!l->running); /* a callback runs the loop */
	l->running = true;
	loop_timers_prepare(l);
	if (l->n_signals)
		loop_flush(l);
	if (timeout_ms != 0) {
		atomic_store_explicit(&l->sleeping, true, memory_order_seq_cst);
		if (posts_pending(l) || atomic_load_explicit(&l->stop, memory_order_seq_cst))
			timeout_ms = 0;
	}
	TRACE1(loop, sleep, l->name);
	l->ops->wait(l, timeout_ms);
	TRACE1(loop, wake, l->name);
	atomic_store_explicit(&l->sleeping, false, memory_order_relaxed);
	l->ops->dispatch(l);
	loop_timers_run(l);
	posts_run(l);
	l->running = false;
}

void loop_run(struct loop *l)
{
	claim(l);
	while (!atomic_load_explicit(&l->stop, memory_order_acquire))
		round_once(l, -1);
	atomic_store_explicit(&l->stop, false, memory_order_relaxed);
}

void loop_run_once(struct loop *l, int timeout_ms)
{
	claim(l);
	round_once(l, timeout_ms);
}

void loop_stop(struct loop *l)
{
	atomic_store_explicit(&l->stop, true, memory_order_seq_cst);
	wake(l);
}

bool loop_in_thread(const struct loop *l)
{
	return atomic_load_explicit(&l->owner, memory_order_acquire) == &self;
}

bool loop_has_uring(const struct loop *l)
{
	return l->ops == &loop_uring_ops;
}

const char *loop_name(const struct loop *l)
{
	return l->name;
}

static void tell_tid(void *opaque)
{
	*(pid_t *)opaque = gettid();
}

pid_t loop_tid(struct loop *l)
{
	pid_t tid;

	loop_call(l, tell_tid, &tid);
	return tid;
}

void loop_use(struct loop *l)
{
	l->users++;
}

void loop_unuse(struct loop *l)
{
	assert(l->users);
	l->users--;
}

bool loop_is_used(const struct loop *l)
{
	return l->users;
}

/* -------- making and ending -------- */

static void wake_ready(void *opaque)
{
	/* What the kick was for is on the stack. */
}

static int backend_init(struct loop *l, unsigned int flags)
{
	if ((flags & LOOP_URING) && !(flags & LOOP_NO_URING)) {
		l->ops = &loop_uring_ops;
		if (l->ops->init(l) == 0)
			return 0;
	}
	l->ops = &loop_epoll_ops;
	return l->ops->init(l);
}

static int loop_init(struct loop *l, unsigned int flags)
{
	int rc;

	l->epoll_fd = l->timer_fd = l->wake.fd = -1;
	l->free_slot = NO_SLOT;
	l->backlog_tail = &l->backlog;
	list_init(&l->to_arm);
	loop_bulk_init(l);
	atomic_init(&l->owner, &self);
	rc = backend_init(l, flags);
	if (rc < 0) {
		l->ops = NULL;
		return rc;
	}
	rc = loop_event_init(&l->wake, wake_ready, l);
	if (rc == 0)
		rc = loop_event_add(l, &l->wake);
	if (rc == 0)
		rc = loop_timers_init(l);
	return rc;
}

/* Close what is open; nothing is in flight. */
static void destroy(struct loop *l)
{
	if (l->ops)
		l->ops->fini(l);
	if (l->wake.fd >= 0)
		close(l->wake.fd);
	if (l->timer_fd >= 0)
		close(l->timer_fd);
	free(l->slots);
	free(l->name);
	free(l);
}

struct loop *loop_new(const char *name, unsigned int flags, struct error *err)
{
	struct loop *l = calloc(1, sizeof(*l));
	int rc;

	if (l)
		l->name = strdup(name);
	if (!l || !l->name) {
		free(l);
		error_set(err, "event loop '%s': out of memory", name);
		return NULL;
	}
	rc = loop_init(l, flags);
	if (rc < 0) {
		destroy(l);
		error_set_errno(err, rc, "event loop '%s'", name);
		return NULL;
	}
	return l;
}

static void drop_watches(struct loop *l)
{
	for (uint32_t i = 0; i < l->n_slots; i++) {
		struct loop_fd *w = l->slots[i].w;

		if (w && w != &l->wake.watch && w != &l->timer_watch)
			loop_fd_del(w);
	}
}

/* On the loop's thread, last of all: nothing may come any more, and what is under way ends. */
static void quiesce(struct loop *l)
{
	claim(l);
	do {
		drop_watches(l);
		loop_timers_fini(l);
		posts_run(l);
		if (l->in_flight)
			round_once(l, -1);
	} while (l->in_flight || posts_pending(l));
	loop_flush(l);
	worker_pool_free(l->pool); /* the threads may still be leaving loop_post() */
	l->pool = NULL;
	drop_watches(l);
	loop_timers_fini(l);
	l->ops->leave(l);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	assert(!l->threaded && !l->running);
	quiesce(l);
	destroy(l);
}

/* -------- threads -------- */

static void *loop_thread(void *opaque)
{
	struct loop *l = opaque;

	thread_enter(l->role, l->name);
	loop_run(l);
	quiesce(l);
	return NULL;
}

struct loop *loop_thread_start(
	const char *name, enum thread_role role, unsigned int flags, struct error *err)
{
	struct loop *l = loop_new(name, flags, err);
	int rc;

	if (!l)
		return NULL;
	l->role = role;
	/* Not ours from here on: a loop_call() that comes before the thread has begun must wait. */
	atomic_store_explicit(&l->owner, &nobody, memory_order_release);
	rc = thread_create(&l->thread, false, -1, loop_thread, l);
	if (rc < 0) {
		error_set_errno(err, rc, "event loop '%s': cannot start its thread", name);
		loop_free(l);
		return NULL;
	}
	l->threaded = true;
	return l;
}

void loop_thread_stop(struct loop *l)
{
	if (!l)
		return;
	assert(l->threaded && !loop_in_thread(l));
	loop_stop(l);
	pthread_join(l->thread, NULL);
	destroy(l);
}
