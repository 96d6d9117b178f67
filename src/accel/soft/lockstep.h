// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lockstep - generated code and the interpreter side by side: `--accel soft,lockstep=on`. For finding
 * the translator's mistakes in real guests; some ten times slower than the interpreter.
 *
 * A stretch is what generated code does from one entry on without the interpreter's help: at most a block.
 * It runs first, and what it writes goes to copies of the pages. Then registers are put back, the
 * interpreter carries out the same instructions for real, and the two results are compared. Instructions that
 * generated code leaves to the interpreter are carried out once, between stretches: so devices, and
 * whatever is never the same twice, are touched by one only.
 *
 * The first difference ends the run with a report (VCPU_EXIT_ERROR). There is none where what generated
 * code read was changed by another thread meanwhile, and for flags that nobody reads any more.
 *
 * One vCPU only: the vCPU's thread owns all of it.
 */
#ifndef ACCEL_SOFT_LOCKSTEP_H
#define ACCEL_SOFT_LOCKSTEP_H

#include "accel/soft/soft_int.h"

struct soft_lockstep;

struct soft_lockstep *soft_lockstep_new(void) MUST_USE; /* NULL: no memory */
void soft_lockstep_free(struct soft_lockstep *l);
/* In place of soft_jit_run(). */
bool soft_lockstep_run(struct soft_vcpu *v);
/* Generated code has come to the end of a stretch, at v->rip; @before: as far as the instruction there,
 * which may have begun. Always NULL: it leaves. */
const uint8_t *soft_lockstep_stop(struct soft_vcpu *v, bool before);
/* Where generated code is to make an access that would go to @host. NULL: it is not to. */
uint8_t *soft_lockstep_access(struct soft_vcpu *v, uint8_t *host, uint64_t lin, unsigned int size,
	enum soft_access access);
/* May generated code do it, or gives it another result each time? */
bool soft_lockstep_twice(const struct x86_insn *i);

#endif
