// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lockstep - generated code and the interpreter side by side: `--accel soft,lockstep=on`. For finding
 * the translator's mistakes in real guests; some ten times slower than the interpreter.
 *
 * A stretch is what generated code does from one entry on, as it always does it: blocks that are linked, calls of
 * C code, groups, regions, strings; until it leaves, or comes to what may be done once only (devices, time,
 * control registers). Meanwhile the vCPU has a TLB of its own that leads to copies of pages, so nothing
 * outside of it changes. The interpreter then has copies of what these pages were in the
 * beginning, and carries out instructions from the same registers on until it has the same
 * registers, flags and memory. If it never does, the run ends with a report (VCPU_EXIT_ERROR): what other
 * threads write meanwhile is in neither's copies, so there is no excuse. Then the interpreter carries out
 * as many instructions for real; if others have written to memory meanwhile that is another way, and the
 * right one.
 *
 * Who walks page tables would look into real memory, where what the stretch has written is not: so
 * after the first write a walk ends it, and so does code on a page that it has written to. What has been
 * looked up is forgotten at the end of each.
 *
 * vCPUs take turns, a slice each (soft_lockstep_turn()): while one of them is at it the others stand
 * still. A stretch and its copies are the vCPU's thread's.
 */
#ifndef ACCEL_SOFT_LOCKSTEP_H
#define ACCEL_SOFT_LOCKSTEP_H

#include "accel/soft/soft_int.h"

struct soft_lockstep;
struct soft_turns;

struct soft_lockstep *soft_lockstep_new(void) MUST_USE; /* NULL: no memory */
void soft_lockstep_free(struct soft_lockstep *l);
/* In place of entering generated code. */
bool soft_lockstep_run(struct soft_vcpu *v);
/* May generated code do it, or gives it another result each time? */
bool soft_lockstep_twice(const struct x86_insn *i);

/* -------- during a stretch -------- */
/* Generated code would have the interpreter carry @o out: may it, does it change the vCPU and memory only? If
 * not the stretch ends before it. */
bool soft_lockstep_private(struct soft_vcpu *v, const struct soft_op *o);
/* Registers of a device, a walk of page tables: maybe the stretch ends before the instruction, and this does
 * not return, as if it had raised. Outside of a stretch nothing happens. */
void soft_lockstep_outside(struct soft_vcpu *v);
void soft_lockstep_walk(struct soft_vcpu *v);
/* Entry @e of the stretch's TLB becomes the page of @real with its copy's address. Maybe likewise. */
void soft_lockstep_enter(struct soft_vcpu *v, struct soft_tlb_entry *e,
	const struct soft_tlb_entry *real, enum soft_access access);
/* Entry @e of generated code's TLB leads to a copy. */
void soft_lockstep_note(struct soft_vcpu *v, struct jit_l1 *e);

/* -------- turns -------- */
struct soft_turns *soft_turns_new(void) MUST_USE; /* NULL: no memory */
void soft_turns_free(struct soft_turns *t);
/* Wait for this vCPU's turn; let the next one have its. NULL: there are none. */
void soft_turn_begin(struct soft_turns *t);
void soft_turn_end(struct soft_turns *t);

#endif
