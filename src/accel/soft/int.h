// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * int - what the files int_*.c share: operands of general instructions.
 *
 * Each file has always-inlined bodies with the operand size and form as constants, and small
 * functions made of them by macros: those are what soft_int_fn() gives to an instruction.
 */
#ifndef ACCEL_SOFT_INT_H
#define ACCEL_SOFT_INT_H

#include "accel/soft/mmu.h"
#include "accel/soft/soft_int.h"
#include "x86/alu.h"

#define INT_INLINE static inline __attribute__((always_inline, unused))

/* Which function of its own carries the instruction out: one of these a file, for its ops. */
soft_fn *int_alu_fn(const struct soft_op *o);
soft_fn *int_atomic_fn(const struct soft_op *o); /* XCHG XADD CMPXCHG*, and all with LOCK */
soft_fn *int_bit_fn(const struct soft_op *o);
soft_fn *int_branch_fn(const struct soft_op *o);
soft_fn *int_decimal_fn(const struct soft_op *o);
soft_fn *int_flag_fn(const struct soft_op *o);
soft_fn *int_move_fn(const struct soft_op *o);
soft_fn *int_muldiv_fn(const struct soft_op *o);
soft_fn *int_shift_fn(const struct soft_op *o);
soft_fn *int_stack_fn(const struct soft_op *o);
soft_fn *int_string_fn(const struct soft_op *o);

/* Destination and source: Register, Memory, Flat memory (see int_flat()), Immediate. */
enum int_form {
	INT_RR,
	INT_RM,
	INT_RF,
	INT_MR,
	INT_FR,
	INT_RI,
	INT_MI,
	INT_FI,
	INT_FORMS,
};

/* Constant-folded: does @form access memory, in the flat way, as its destination? */
#define INT_IS_FLAT(form) ((form) == INT_RF || (form) == INT_FR || (form) == INT_FI)
#define INT_TO_MEM(form) \
	((form) == INT_MR || (form) == INT_FR || (form) == INT_MI || (form) == INT_FI)
#define INT_IS_IMM(form) ((form) == INT_RI || (form) == INT_MI || (form) == INT_FI)

/* Use: F(args, 1) F(args, 2) F(args, 4) F(args, 8) */
#define INT_SIZES(F, ...) F(__VA_ARGS__, 1) F(__VA_ARGS__, 2) F(__VA_ARGS__, 4) F(__VA_ARGS__, 8)
/* Use: F(0) to F(f) */
#define INT_CONDITIONS(F) \
	F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(a) F(b) F(c) F(d) F(e) F(f)
/* Place of a size in a table of four. */
#define INT_SIZE_AT(size) ((size) == 8 ? 3 : (size) == 4 ? 2 : (size) == 2 ? 1 : 0)

/* The memory operand is in 64-bit mode, with 64-bit addresses and no segment base: its effective
 * address is the linear one. */
INT_INLINE bool int_flat(const struct x86_insn *i)
{
	return i->code == X86_CODE_64 && i->addrsize == 8 && i->seg < X86_FS;
}

INT_INLINE bool int_is_reg(const struct x86_operand *p)
{
	return p->kind == X86_OPND_GPR || p->kind == X86_OPND_GPR_H;
}

/* The form of the first two operands; INT_FORMS: none of them. */
INT_INLINE enum int_form int_form_of(const struct x86_insn *i)
{
	const struct x86_operand *d = &i->operand[0], *s = &i->operand[1];
	bool flat = int_flat(i);

	if (int_is_reg(d)) {
		if (int_is_reg(s))
			return INT_RR;
		if (s->kind == X86_OPND_MEM)
			return flat ? INT_RF : INT_RM;
		return s->kind == X86_OPND_IMM ? INT_RI : INT_FORMS;
	}
	if (d->kind != X86_OPND_MEM)
		return INT_FORMS;
	if (int_is_reg(s))
		return flat ? INT_FR : INT_MR;
	return s->kind != X86_OPND_IMM ? INT_FORMS : flat ? INT_FI : INT_MI;
}

/* -------- registers -------- */
INT_INLINE uint64_t int_get(
	const struct soft_vcpu *v, const struct x86_operand *p, unsigned int size)
{
	uint64_t r = v->gpr[p->reg];

	if (size == 1)
		return (uint8_t)(r >> (p->kind == X86_OPND_GPR_H) * 8);
	return x86_zext(size, r);
}

/* Whole registers are written, so that a read of the whole does not wait for the store. */
INT_INLINE void int_set(
	struct soft_vcpu *v, const struct x86_operand *p, unsigned int size, uint64_t value)
{
	uint64_t *r = &v->gpr[p->reg];
	unsigned int shift;

	switch (size) {
	case 1:
		shift = (p->kind == X86_OPND_GPR_H) * 8;
		*r = (*r & ~(0xffull << shift)) | (uint64_t)(uint8_t)value << shift;
		break;
	case 2:
		*r = (*r & ~0xffffull) | (uint16_t)value;
		break;
	case 4:
		*r = (uint32_t)value;
		break;
	default:
		*r = value;
	}
}

/* Bits of register @reg as an operation of @size changes them. */
INT_INLINE void int_set_gpr(
	struct soft_vcpu *v, unsigned int reg, unsigned int size, uint64_t value)
{
	struct x86_operand p = { .kind = X86_OPND_GPR, .reg = (uint8_t)reg };

	int_set(v, &p, size, value);
}

/* -------- memory -------- */
INT_INLINE uint64_t int_ea(const struct soft_vcpu *v, const struct x86_insn *i, bool flat)
{
	if (flat)
		return v->gpr[i->base] + (v->gpr[i->index] << i->scale) + (uint64_t)i->disp;
	return soft_ea(v, i);
}

INT_INLINE uint64_t int_linear(struct soft_vcpu *v, enum x86_seg seg, uint64_t ea,
	unsigned int size, bool flat, enum soft_access access)
{
	return flat ? ea : soft_linear(v, seg, ea, size, access);
}

INT_INLINE uint64_t int_load(
	struct soft_vcpu *v, const struct x86_insn *i, unsigned int size, bool flat)
{
	uint64_t lin = int_linear(v, i->seg, int_ea(v, i, flat), size, flat, SOFT_READ);

	return soft_load_lin(v, i->seg, lin, size, v->mmu_index);
}

INT_INLINE void int_store(
	struct soft_vcpu *v, const struct x86_insn *i, unsigned int size, bool flat, uint64_t value)
{
	uint64_t lin = int_linear(v, i->seg, int_ea(v, i, flat), size, flat, SOFT_WRITE);

	soft_store_lin(v, i->seg, lin, size, value, v->mmu_index);
}

/* The value at @ea becomes @fn of it and @b, not atomically. Flags change when nothing can fault
 * any more. Returns what was there. */
INT_INLINE uint64_t int_rmw(struct soft_vcpu *v, enum x86_seg seg, uint64_t ea, unsigned int size,
	bool flat, x86_alu_fn *fn, uint64_t b)
{
	uint64_t lin = int_linear(v, seg, ea, size, flat, SOFT_WRITE);
	void *p = soft_tlb_host(v, lin, size, SOFT_WRITE, v->mmu_index);
	uint64_t old, value, fl = v->rflags;

	old = __builtin_expect(p != NULL, 1) ? soft_host_load(p, size)
					     : soft_rmw_load(v, seg, ea, size);
	value = fn(size, old, b, &fl);
	if (__builtin_expect(p != NULL, 1)) {
		soft_host_store(p, size, value);
		soft_stored(v, lin, size, v->mmu_index);
	} else {
		soft_store(v, seg, ea, size, value);
	}
	v->rflags = fl;
	return old;
}

/* If *@p, of @size, is *@old it becomes @value; if not, *@old becomes what is there. The asm takes
 * addresses that are not aligned, unlike the compilers' atomics. */
INT_INLINE bool int_cas(void *p, unsigned int size, uint64_t *old, uint64_t value)
{
	bool ok;

#define INT_CAS(s, m)                                         \
	asm volatile("lock cmpxchg" s " " m "[value], (%[p])" \
		     : "=@ccz"(ok), "+a"(*old)                \
		     : [p] "r"(p), [value] "r"(value)         \
		     : "memory")
	switch (size) {
	case 1:
		INT_CAS("b", "%b");
		break;
	case 2:
		INT_CAS("w", "%w");
		break;
	case 4:
		INT_CAS("l", "%k");
		break;
	default:
		INT_CAS("q", "%q");
	}
#undef INT_CAS
	return ok;
}

/* As int_rmw(), atomically. */
INT_INLINE uint64_t int_rmw_locked(struct soft_vcpu *v, enum x86_seg seg, uint64_t ea,
	unsigned int size, x86_alu_fn *fn, uint64_t b)
{
	void *p = soft_rmw_begin(v, seg, ea, size);
	uint64_t old, value, fl;

	if (__builtin_expect(!p, 0)) {
		soft_exclusive_begin(v);
		fl = v->rflags;
		old = soft_rmw_load(v, seg, ea, size);
		soft_store(v, seg, ea, size, fn(size, old, b, &fl));
		soft_exclusive_end(v);
		v->rflags = fl;
		return old;
	}
	old = soft_host_load(p, size);
	do {
		fl = v->rflags;
		value = fn(size, old, b, &fl);
	} while (!int_cas(p, size, &old, value));
	v->rflags = fl;
	soft_rmw_end(v, seg, ea, size);
	return x86_zext(size, old);
}

/* -------- stack -------- */
INT_INLINE uint64_t int_sp_mask(const struct soft_vcpu *v)
{
	return v->stack_size == 8 ? ~0ull : v->stack_size == 4 ? 0xffffffffull : 0xffffull;
}

/* The whole of rSP after an operation has made @sp of as much of it as the stack uses. */
INT_INLINE uint64_t int_sp_merge(const struct soft_vcpu *v, uint64_t sp)
{
	return v->stack_size == 2   ? (v->gpr[X86_RSP] & ~0xffffull) | (uint16_t)sp
	       : v->stack_size == 4 ? (uint32_t)sp
				    : sp;
}

INT_INLINE void int_push(struct soft_vcpu *v, unsigned int size, uint64_t value)
{
	uint64_t sp = (v->gpr[X86_RSP] - size) & int_sp_mask(v);

	soft_store(v, X86_SS, sp, size, value);
	v->gpr[X86_RSP] = int_sp_merge(v, sp);
}

/* 64-bit mode. */
INT_INLINE void int_push64(struct soft_vcpu *v, uint64_t value)
{
	uint64_t sp = v->gpr[X86_RSP] - 8;

	soft_store_lin(v, X86_SS, sp, 8, value, v->mmu_index);
	v->gpr[X86_RSP] = sp;
}

#endif
