// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * exec_mem - memory for code that is made at run time. One file in memory, mapped twice: what is written through
 * one mapping is executed through the other, and no page is ever writable and executable. Handed out from
 * bottom to top, never back; the host gives a page when it is first written, so the size is a limit and
 * costs nothing.
 */
#ifndef ACCEL_SOFT_EXEC_MEM_H
#define ACCEL_SOFT_EXEC_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define EXEC_MEM_ALIGN 16

struct exec_mem {
	uint8_t *rw, *rx; /* owned mappings of the same @size bytes, or NULL */
	uint8_t *data;	  /* right behind @rx: @data_size bytes of 0 that code may write to */
	size_t size, data_size, used;
};

/* @size and @data_size (maybe 0) bytes, in whole pages; @huge: in huge ones, if the host lets us have such. */
bool exec_mem_init(
	struct exec_mem *m, size_t size, size_t data_size, bool huge, struct error *err) MUST_USE;
/* The same without a name: to perf(1) it is anonymous memory, of which it asks /tmp/perf-PID.map. */
bool exec_mem_init_anonymous(
	struct exec_mem *m, size_t size, size_t data_size, struct error *err) MUST_USE;
void exec_mem_fini(struct exec_mem *m);
/* A copy of @code to execute, EXEC_MEM_ALIGN-aligned, or NULL: no room. Calls must not overlap. */
const uint8_t *exec_mem_add(struct exec_mem *m, const uint8_t *code, size_t n);
/* Write @n bytes over what exec_mem_add() gave. No thread may be executing it. */
void exec_mem_patch(struct exec_mem *m, const uint8_t *at, const uint8_t *code, size_t n);

static inline bool exec_mem_has(const struct exec_mem *m, uintptr_t addr)
{
	return addr - (uintptr_t)m->rx < m->size;
}

#endif
