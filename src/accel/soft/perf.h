// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * perf - tells perf(1) what generated code is: a jitdump file for `perf inject --jit`, or the simpler
 * /tmp/perf-PID.map. Any thread may tell; a record is one write(2).
 */
#ifndef ACCEL_SOFT_PERF_H
#define ACCEL_SOFT_PERF_H

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

struct soft_perf;
struct soft_vcpu;

enum soft_perf_kind { SOFT_PERF_OFF, SOFT_PERF_MAP, SOFT_PERF_JITDUMP };

/* @symbols: a file for ksyms_load(), or NULL. @dir: where the file is made; NULL: the working directory
 * (JITDUMP), /tmp (MAP), where perf(1) looks for it. */
struct soft_perf *soft_perf_new(
	enum soft_perf_kind kind, const char *symbols, const char *dir, struct error *err) MUST_USE;
void soft_perf_free(struct soft_perf *p);
/* The @n bytes at @code are what the vCPU has translated guest code at linear address @lin to. */
void soft_perf_block(struct soft_perf *p, const struct soft_vcpu *v, uint64_t lin,
	const uint8_t *code, size_t n);
/* They are @name. */
void soft_perf_code(struct soft_perf *p, const char *name, const uint8_t *code, size_t n);

#endif
