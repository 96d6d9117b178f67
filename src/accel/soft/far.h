// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * far - what segment loads, far transfers, events and task switches share: descriptors in guest
 * memory, stacks that are not v->seg[X86_SS] yet, and how CS and SS change.
 *
 * All of them read and check first, then push, then change the vCPU. What may have been written when
 * one raises is what may be written again: accessed bits, and memory below a stack's pointer.
 */
#ifndef ACCEL_SOFT_FAR_H
#define ACCEL_SOFT_FAR_H

#include "accel/soft/soft_int.h"
#include "x86/seg.h"

/* -------- descriptors: seg.c -------- */

struct soft_desc {
	uint64_t lin; /* where it is */
	uint64_t lo;
	struct x86_segment seg;
};

/* Raise @vector with @selector as error code, and EXT if an event from outside is being delivered. */
_Noreturn void soft_raise_sel(struct soft_vcpu *v, uint8_t vector, uint16_t selector);
/* Nothing if @vector is 0. */
static inline void soft_raise_sel_if(struct soft_vcpu *v, uint8_t vector, uint16_t selector)
{
	if (vector)
		soft_raise_sel(v, vector, selector);
}
/* EXT bit of the error codes of what is raised now. */
static inline uint32_t soft_ext(const struct soft_vcpu *v)
{
	return v->in_event && v->delivering.kind != SOFT_EVENT_SOFT_INT;
}

/* Descriptor of @selector, which is not null. False: beyond its table. May raise #PF. */
bool soft_desc_find(struct soft_vcpu *v, uint16_t selector, struct soft_desc *d);
/* Likewise; beyond its table: raises @vector. */
void soft_desc_get(struct soft_vcpu *v, uint16_t selector, uint8_t vector, struct soft_desc *d);
/* A system descriptor in long mode has 16 bytes: the upper eight. Raises #GP beyond the table or with
 * a type that is not 0. 0 in legacy modes. */
uint64_t soft_desc_upper(struct soft_vcpu *v, const struct soft_desc *d);
/* Set a code or data descriptor's accessed bit, in memory and in @d->seg. */
void soft_desc_accessed(struct soft_vcpu *v, struct soft_desc *d);
/* Atomically change bits of a descriptor's type byte; returns what it was. With neither: raise what a
 * change would. */
uint8_t soft_desc_update(struct soft_vcpu *v, uint64_t desc_lin, uint8_t clear, uint8_t set);
/* Linear address in a table of the system's. */
static inline uint64_t soft_sys_lin(const struct soft_vcpu *v, uint64_t base, uint32_t off)
{
	return soft_long_mode(v) ? base + off : (uint32_t)(base + off);
}

/* Load a segment register as in real or VM86 mode. */
void soft_seg_load_real(struct soft_vcpu *v, enum x86_seg seg, uint16_t selector);
/* CPL has grown to v->cpl: clear the data segments that it may not use. */
void soft_seg_leave_inner(struct soft_vcpu *v);
static inline bool soft_no_descriptors(const struct soft_vcpu *v)
{
	return soft_real_mode(v) || soft_vm86(v);
}

/* -------- stacks: seg.c -------- */

/* A stack to push on; the vCPU's own registers stay until soft_stack_commit(). */
struct soft_stack {
	struct x86_segment ss;
	uint64_t sp;
	uint8_t width;	/* 2, 4, 8: of the stack pointer */
	uint8_t index;	/* enum soft_mmu_index */
	uint32_t error; /* of #SS */
};

/* The current one, at the current level. */
void soft_stack_here(struct soft_vcpu *v, struct soft_stack *s);
/* That of level @cpl (below v->cpl, or with @ist any), out of the TSS. */
void soft_stack_inner(struct soft_vcpu *v, uint8_t cpl, uint8_t ist, struct soft_stack *s);
/* Raise #SS if @n bytes cannot be pushed. */
void soft_stack_room(struct soft_vcpu *v, const struct soft_stack *s, uint32_t n);
void soft_stack_push(struct soft_vcpu *v, struct soft_stack *s, unsigned int size, uint64_t value);
static inline uint64_t soft_width_mask(uint8_t width)
{
	return width == 8 ? UINT64_MAX : width == 4 ? UINT32_MAX : 0xffff;
}
/* What is @off bytes above the top of the current stack. */
uint64_t soft_stack_peek(struct soft_vcpu *v, uint32_t off, unsigned int size);
/* Set rSP of a stack that is @width wide. */
void soft_set_sp(struct soft_vcpu *v, uint8_t width, uint64_t value);

/* -------- code -------- */

/* Raise #GP if @rip cannot be reached in @cs. */
void soft_check_rip(struct soft_vcpu *v, const struct x86_segment *cs, uint64_t rip);
/* Change registers that a repeated transfer could not restore. soft_mode_changed() is the caller's. */
static inline void soft_set_cs(struct soft_vcpu *v, const struct x86_segment *cs, uint8_t cpl)
{
	v->seg[X86_CS] = *cs;
	v->seg[X86_CS].selector = (cs->selector & ~3u) | cpl;
}
static inline void soft_set_flags(struct soft_vcpu *v, uint64_t value, uint64_t mask)
{
	v->rflags = (v->rflags & ~mask) | (value & mask) | X86_FLAG_1;
}
/* The instruction's far pointer operand, its offset being of @size bytes: returns the selector. */
uint16_t soft_load_far(
	struct soft_vcpu *v, const struct x86_insn *i, unsigned int size, uint64_t *offset);
/* Return to another level, or with a stack segment anyway (IRET in 64-bit mode). */
struct soft_return {
	struct x86_segment cs; /* checked; RPL of its selector is the new CPL */
	uint64_t rip, sp, flags;
	uint64_t mask; /* of flags that change */
	uint16_t ss;
};
void soft_return_outer(struct soft_vcpu *v, const struct soft_return *r);

/* Where an event's handler returns to, and the flags it returns with: event.c */
uint64_t soft_return_rip(const struct soft_vcpu *v, const struct soft_event *e);
uint64_t soft_return_flags(const struct soft_vcpu *v, const struct soft_event *e);

/* Instructions that other files have. */
soft_fn soft_iret;			     /* iret.c */
soft_fn *soft_seg_fn(struct soft_op *o);     /* seg_insn.c */
soft_fn *soft_syscall_fn(struct soft_op *o); /* syscall.c */
/* INT n, INT3, INT1, INTO: event.c */
soft_fn soft_int_n, soft_int3, soft_int1, soft_into;

#endif
