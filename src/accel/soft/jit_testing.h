// SPDX-License-Identifier: GPL-2.0-or-later
/* jit_testing - what the translator's tests share: a vCPU with generated code, and programs of a few bytes for it. */
#ifndef ACCEL_SOFT_JIT_TESTING_H
#define ACCEL_SOFT_JIT_TESTING_H

#include "accel/soft/jit.h"
#include "accel/soft/mmu_testing.h"

static struct env *e;
static struct soft_vcpu *v;

static inline void jit_test_begin(void **state)
{
	setup(state);
	e = *state;
	v = new_jit_vcpu(e);
}

/* @bytes are at guest-physical @gpa now, and whatever was translated from there is not. */
static inline void put_at(uint64_t gpa, const void *bytes, size_t n)
{
	memcpy(e->ram->host + gpa, bytes, n);
	ram_dirty_mark(e->ram, gpa, n);
}

#endif
