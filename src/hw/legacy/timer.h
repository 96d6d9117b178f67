// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * timer - a device's timer that register handlers may set. Handlers run on vCPU threads under the
 * device's lock; loop timers belong to the loop's thread. This carries the wish across. The
 * callback runs on the device's home loop with the device's lock held. A timer that is off costs
 * nothing.
 */
#ifndef HW_LEGACY_TIMER_H
#define HW_LEGACY_TIMER_H

#include <stdint.h>
#include "core/device.h"
#include "loop/loop.h"

#define DEV_TIMER_OFF INT64_MAX

struct dev_timer {
	struct device *dev;	      /* borrowed */
	void (*cb)(struct device *d); /* device lock held */
	int64_t want_ns; /* CLOCK_MONOTONIC or DEV_TIMER_OFF; under the device's lock */
	struct loop_timer timer;
	struct loop_defer defer;
};

/* From realize and unrealize, on main. */
void dev_timer_init(struct dev_timer *t, struct device *d, void (*cb)(struct device *d));
void dev_timer_fini(struct dev_timer *t);
/* Fire once at @deadline_ns (DEV_TIMER_OFF: never). Device lock held; any thread. */
void dev_timer_set(struct dev_timer *t, int64_t deadline_ns);

#endif
