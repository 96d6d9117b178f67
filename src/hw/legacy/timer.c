// SPDX-License-Identifier: GPL-2.0-or-later
#include "hw/legacy/timer.h"

#include "base/clock.h"

static void apply(struct dev_timer *t)
{
	if (t->want_ns == DEV_TIMER_OFF)
		loop_timer_disarm(&t->timer);
	else
		loop_timer_arm(&t->timer, t->want_ns);
}

static void on_defer(void *opaque)
{
	struct dev_timer *t = opaque;

	mutex_lock(&t->dev->lock);
	apply(t);
	mutex_unlock(&t->dev->lock);
}

static void on_timer(void *opaque)
{
	struct dev_timer *t = opaque;

	mutex_lock(&t->dev->lock);
	/* A handler may have changed its mind meanwhile; its post comes later. */
	if (t->want_ns <= clock_mono_ns()) {
		t->want_ns = DEV_TIMER_OFF;
		t->cb(t->dev);
	}
	apply(t);
	mutex_unlock(&t->dev->lock);
}

void dev_timer_init(struct dev_timer *t, struct device *d, void (*cb)(struct device *d))
{
	t->dev = d;
	t->cb = cb;
	t->want_ns = DEV_TIMER_OFF;
	loop_timer_init(&t->timer, d->home, on_timer, t);
	loop_defer_init(&t->defer, on_defer, t);
}

void dev_timer_fini(struct dev_timer *t)
{
	loop_defer_cancel(t->dev->home, &t->defer);
	loop_timer_fini(&t->timer);
}

void dev_timer_set(struct dev_timer *t, int64_t deadline_ns)
{
	if (t->want_ns == deadline_ns)
		return;
	t->want_ns = deadline_ns;
	loop_post(t->dev->home, &t->defer);
}
