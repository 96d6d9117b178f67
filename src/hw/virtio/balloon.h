// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * balloon - what the control plane asks of a machine's balloon (virtio-balloon-pci): how much memory
 * the guest should keep, how much it has, what it says of its memory. All on main. That the guest changed
 * what it has is told by NOTICE_BALLOON_CHANGE.
 */
#ifndef HW_VIRTIO_BALLOON_H
#define HW_VIRTIO_BALLOON_H

#include <stdbool.h>
#include <stdint.h>

struct device;
struct machine;

#define BALLOON_STATS 10
/* Names of the statistics, by their tags (virtio 1.2, 5.5.6.4), as QEMU's clients know them. */
extern const char *const balloon_stat_names[BALLOON_STATS];
#define BALLOON_NO_VALUE UINT64_MAX /* the guest has not told */

struct balloon_stats {
	uint64_t value[BALLOON_STATS]; /* BALLOON_NO_VALUE where unknown */
	int64_t last_update;	       /* seconds since 1970; 0: never */
};

/* The machine's balloon or NULL. */
struct device *balloon_find(struct machine *m);
/* Bytes that the guest should have; more than it was given counts as all. */
void balloon_set_target(struct device *d, uint64_t bytes);
/* Bytes that the guest has: all of its memory without what it put into the balloon. */
uint64_t balloon_get_actual(struct device *d);
/* False: the guest's driver has no statistics. */
bool balloon_get_stats(struct device *d, struct balloon_stats *out);
/* Ask the guest for statistics each so many seconds, at most BALLOON_INTERVAL_MAX; 0: never. */
#define BALLOON_INTERVAL_MAX 0x7fffffffu
void balloon_set_interval(struct device *d, uint32_t seconds);
uint32_t balloon_get_interval(struct device *d);

#endif
