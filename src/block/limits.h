// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * limits - how much a disk, or a group of disks, may do in a second: bytes and requests; of reads, of writes or
 * of both. Names and meaning are those of QEMU's throttling groups (docs/throttle.txt): what is above a limit
 * waits, in its order, reads apart from writes.
 */
#ifndef BLOCK_LIMITS_H
#define BLOCK_LIMITS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/field.h"

struct block_dev;

enum block_limit_kind {
	BLOCK_BPS,
	BLOCK_BPS_READ,
	BLOCK_BPS_WRITE,
	BLOCK_IOPS,
	BLOCK_IOPS_READ,
	BLOCK_IOPS_WRITE,
	BLOCK_LIMITS
};

struct block_limit {
	uint64_t rate; /* bytes or requests a second; 0: no limit */
	/* In a burst that much a second, for so many seconds; 0: no bursts beyond a tenth of a second's */
	uint64_t burst, burst_seconds;
};

/* `--disk throttling.KEY=`. */
struct block_limits {
	struct block_limit of[BLOCK_LIMITS];
	uint64_t request_size; /* a longer request counts as several; 0: as one */
	char *group;	       /* disks of a group share the limits; NULL: the disk's own */
};
extern const struct field_table block_limits_table;

/* Are they possible together? */
bool block_limits_check(const struct block_limits *l, struct error *err) MUST_USE;
/* From now on, for the disk's whole group. With no rate at all: the disk leaves its group and has no limits. Main. */
bool block_set_limits(
	struct block_dev *b, const struct block_limits *l, struct error *err) MUST_USE;
/* Main. NULL: there are none. ->group is its name. */
const struct block_limits *block_get_limits(const struct block_dev *b);
/* While on, nothing waits and what waits goes on: so that requests in flight come to their end. Main. */
void block_hurry(struct block_dev *b, bool on);
/* What waits now goes on at once. Any thread; the disk stays attached. */
void block_hurry_once(struct block_dev *b);

#endif
