// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop_timer - a loop's timers: a pairing heap through the timers themselves, and one timerfd.
 *
 * The timerfd is set lazily: only before a wait, and only when a timer is due earlier than it is
 * set to. A time-out that is armed and disarmed for every request thus costs no system call, and at
 * most one needless wake-up when the old deadline passes.
 */
#include <assert.h>
#include <errno.h>
#include <sys/timerfd.h>
#include "base/clock.h"
#include "loop/loop_int.h"

#define NOT_SET INT64_MAX

static bool earlier(const struct loop_timer *a, const struct loop_timer *b)
{
	return a->deadline_ns != b->deadline_ns ? a->deadline_ns < b->deadline_ns : a->seq < b->seq;
}

/* Join two heaps; either may be NULL. Roots have no siblings. */
static struct loop_timer *heap_join(struct loop_timer *a, struct loop_timer *b)
{
	struct loop_timer *t;

	if (!a || !b)
		return a ? a : b;
	if (earlier(b, a)) {
		t = a;
		a = b;
		b = t;
	}
	b->next = a->child;
	if (b->next)
		b->next->prev = b;
	b->prev = a;
	a->child = b;
	return a;
}

static struct loop_timer *heap_detach(struct loop_timer *t)
{
	t->next = t->prev = NULL;
	return t;
}

/* One heap of a list of siblings: join them in pairs, then the pairs from the last to the first. */
static struct loop_timer *heap_join_list(struct loop_timer *first)
{
	struct loop_timer *pairs = NULL, *root = NULL;

	while (first) {
		struct loop_timer *a = first, *b = a->next, *pair;

		first = b ? b->next : NULL;
		pair = heap_join(heap_detach(a), b ? heap_detach(b) : NULL);
		pair->next = pairs;
		pairs = pair;
	}
	while (pairs) {
		struct loop_timer *next = pairs->next;

		root = heap_join(root, heap_detach(pairs));
		pairs = next;
	}
	return root;
}

static void heap_insert(struct loop *l, struct loop_timer *t)
{
	t->child = NULL;
	l->timers = heap_join(l->timers, heap_detach(t));
	t->armed = true;
}

static void heap_remove(struct loop *l, struct loop_timer *t)
{
	struct loop_timer *rest = heap_join_list(t->child);

	if (t == l->timers) {
		l->timers = rest;
	} else {
		if (t->prev->child == t)
			t->prev->child = t->next;
		else
			t->prev->next = t->next;
		if (t->next)
			t->next->prev = t->prev;
		l->timers = heap_join(l->timers, rest);
	}
	t->child = t->next = t->prev = NULL;
	t->armed = false;
}

void loop_timer_init(struct loop_timer *t, struct loop *l, void (*cb)(void *opaque), void *opaque)
{
	*t = (struct loop_timer){ .cb = cb, .opaque = opaque, .loop = l };
}

void loop_timer_arm(struct loop_timer *t, int64_t deadline_ns)
{
	struct loop *l = t->loop;

	assert(loop_in_thread(l));
	if (t->armed)
		heap_remove(l, t);
	t->deadline_ns = deadline_ns;
	t->seq = l->timer_seq++;
	heap_insert(l, t);
}

void loop_timer_disarm(struct loop_timer *t)
{
	if (!t->armed)
		return;
	assert(loop_in_thread(t->loop));
	heap_remove(t->loop, t);
}

bool loop_timer_armed(const struct loop_timer *t)
{
	return t->armed;
}

void loop_timer_fini(struct loop_timer *t)
{
	loop_timer_disarm(t);
}

void loop_timers_prepare(struct loop *l)
{
	struct itimerspec its = { .it_value.tv_nsec = 1 };
	int64_t ns;
	int rc;

	if (!l->timers || l->timers->deadline_ns >= l->timer_set_ns)
		return;
	ns = l->timers->deadline_ns;
	if (ns > 0) { /* zero would disarm, and less is an error: both mean the past */
		its.it_value.tv_sec = ns / NS_PER_SEC;
		its.it_value.tv_nsec = ns % NS_PER_SEC;
	}
	rc = timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &its, NULL);
	assert(rc == 0);
	l->timer_set_ns = ns;
}

void loop_timers_run(struct loop *l)
{
	uint64_t end = l->timer_seq;
	int64_t now;

	if (!l->timer_fired)
		return;
	l->timer_fired = false;
	l->timer_set_ns = NOT_SET;
	if (!l->timers)
		return;
	now = clock_mono_ns();
	/* What is armed by these callbacks waits for the next round: timers that re-arm themselves
	 * in the past do not starve the descriptors. */
	while (l->timers && l->timers->deadline_ns <= now && l->timers->seq < end) {
		struct loop_timer *t = l->timers;

		heap_remove(l, t);
		t->cb(t->opaque);
	}
}

/* The descriptor is not read: setting it anew clears it, and only its firing is told. */
static void timer_ready(void *opaque, unsigned int events)
{
	struct loop *l = opaque;

	l->timer_fired = true;
}

int loop_timers_init(struct loop *l)
{
	l->timer_set_ns = NOT_SET;
	l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->timer_fd < 0)
		return -errno;
	loop_fd_init(&l->timer_watch, l->timer_fd, LOOP_IN, timer_ready, l);
	l->timer_watch.edge = true;
	return loop_fd_add(l, &l->timer_watch);
}

void loop_timers_fini(struct loop *l)
{
	while (l->timers)
		heap_remove(l, l->timers);
}
