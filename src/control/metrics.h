// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * metrics - counters of a machine as Prometheus' text, over HTTP on a Unix socket: whoever connects and
 * asks for anything gets them all (`curl --unix-socket PATH http://vm/metrics`). On main; nothing is
 * counted for it that is not counted anyway, and nothing is done until somebody asks.
 */
#ifndef CONTROL_METRICS_H
#define CONTROL_METRICS_H

#include <stdint.h>
#include "base/error.h"

struct machine;
struct metrics;

/* Serve at socket @path. @memory: bytes of guest memory. */
struct metrics *metrics_new(
	struct machine *m, uint64_t memory, const char *path, struct error *err) MUST_USE;
/* Before machine_free(). NULL is fine. */
void metrics_free(struct metrics *s);

#endif
