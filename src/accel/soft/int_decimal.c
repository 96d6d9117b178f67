// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * int_decimal - AAA AAS AAM AAD DAA DAS: a 64-bit CPU does not have them. Each is an addition or
 * subtraction of a correction, whose flags are also those that the manual leaves undefined (so seen
 * on AMD's Zen 4, all of them).
 */
#include "accel/soft/int.h"

static uint8_t al(const struct soft_vcpu *v)
{
	return (uint8_t)v->gpr[X86_RAX];
}

static bool low_digit_wrong(const struct soft_vcpu *v)
{
	return (al(v) & 0xf) > 9 || v->rflags & X86_FLAG_AF;
}

static void set_carries(struct soft_vcpu *v, bool af, bool cf)
{
	v->rflags &= ~(uint64_t)(X86_FLAG_AF | X86_FLAG_CF);
	v->rflags |= (af ? X86_FLAG_AF : 0) | (cf ? X86_FLAG_CF : 0);
}

INT_INLINE void ascii_adjust(struct soft_vcpu *v, x86_alu_fn *fn)
{
	bool adjust = low_digit_wrong(v);
	uint64_t ax = fn(2, v->gpr[X86_RAX], adjust ? 0x106 : 0, &v->rflags);

	int_set_gpr(v, X86_RAX, 2, ax & 0xff0f);
	set_carries(v, adjust, adjust);
}

static void aaa(struct soft_vcpu *v, const struct soft_op *o)
{
	ascii_adjust(v, x86_alu_add);
}

static void aas(struct soft_vcpu *v, const struct soft_op *o)
{
	ascii_adjust(v, x86_alu_sub);
}

static void aam(struct soft_vcpu *v, const struct soft_op *o)
{
	uint8_t base = (uint8_t)o->i.imm, a = al(v);

	if (!base)
		soft_raise(v, X86_EXC_DE);
	int_set_gpr(v, X86_RAX, 2, (uint64_t)(a / base) << 8 | a % base);
	x86_alu_or(1, a % base, 0, &v->rflags);
}

static void aad(struct soft_vcpu *v, const struct soft_op *o)
{
	uint64_t high = (v->gpr[X86_RAX] >> 8 & 0xff) * (uint8_t)o->i.imm;

	int_set_gpr(v, X86_RAX, 2, x86_alu_add(1, al(v), high, &v->rflags));
}

INT_INLINE void decimal_adjust(struct soft_vcpu *v, x86_alu_fn *fn, bool subtract)
{
	uint8_t old = al(v);
	bool low = low_digit_wrong(v), high = old > 0x99 || v->rflags & X86_FLAG_CF;

	int_set_gpr(v, X86_RAX, 1, fn(1, old, (low ? 6 : 0) + (high ? 0x60 : 0), &v->rflags));
	set_carries(v, low, high || (subtract && low && old < 6));
}

static void daa(struct soft_vcpu *v, const struct soft_op *o)
{
	decimal_adjust(v, x86_alu_add, false);
}

static void das(struct soft_vcpu *v, const struct soft_op *o)
{
	decimal_adjust(v, x86_alu_sub, true);
}

soft_fn *int_decimal_fn(const struct soft_op *o)
{
	switch (o->i.op) {
	case X86_OP_AAA:
		return aaa;
	case X86_OP_AAS:
		return aas;
	case X86_OP_AAM:
		return aam;
	case X86_OP_AAD:
		return aad;
	case X86_OP_DAA:
		return daa;
	default:
		return das;
	}
}
