// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * int_decimal - AAA AAS AAM AAD DAA DAS: there is nothing on a 64-bit host to run them. Flags that
 * the manual leaves undefined: as CPUs that are still in use give them.
 */
#include "accel/soft/int.h"

static uint8_t al(const struct soft_vcpu *v)
{
	return (uint8_t)v->gpr[X86_RAX];
}

/* SF, ZF, PF of @value; AF, CF as told; OF clear. */
static void set_flags(struct soft_vcpu *v, uint8_t value, bool af, bool cf)
{
	uint64_t fl = v->rflags;

	x86_alu_test(1, value, value, &fl);
	fl &= ~(uint64_t)(X86_FLAG_AF | X86_FLAG_CF);
	v->rflags = fl | (af ? X86_FLAG_AF : 0) | (cf ? X86_FLAG_CF : 0);
}

static void aaa(struct soft_vcpu *v, const struct soft_op *o)
{
	bool adjust = (al(v) & 0xf) > 9 || v->rflags & X86_FLAG_AF;
	uint16_t ax = (uint16_t)(v->gpr[X86_RAX] + (adjust ? 0x106 : 0));

	int_set_gpr(v, X86_RAX, 2, ax & 0xff0f);
	set_flags(v, al(v), adjust, adjust);
}

static void aas(struct soft_vcpu *v, const struct soft_op *o)
{
	bool adjust = (al(v) & 0xf) > 9 || v->rflags & X86_FLAG_AF;
	uint16_t ax = (uint16_t)(v->gpr[X86_RAX] - (adjust ? 0x106 : 0));

	int_set_gpr(v, X86_RAX, 2, ax & 0xff0f);
	set_flags(v, al(v), adjust, adjust);
}

static void aam(struct soft_vcpu *v, const struct soft_op *o)
{
	uint8_t base = (uint8_t)o->i.imm, a = al(v);

	if (!base)
		soft_raise(v, X86_EXC_DE);
	int_set_gpr(v, X86_RAX, 2, (uint64_t)(a / base) << 8 | a % base);
	set_flags(v, al(v), false, false);
}

static void aad(struct soft_vcpu *v, const struct soft_op *o)
{
	uint16_t ax = (uint16_t)v->gpr[X86_RAX];

	int_set_gpr(v, X86_RAX, 2, (uint8_t)(ax + (ax >> 8) * (uint8_t)o->i.imm));
	set_flags(v, al(v), false, false);
}

static void daa(struct soft_vcpu *v, const struct soft_op *o)
{
	uint8_t old = al(v), a = old;
	bool af = (old & 0xf) > 9 || v->rflags & X86_FLAG_AF;
	bool cf = old > 0x99 || v->rflags & X86_FLAG_CF;

	a = (uint8_t)(a + (af ? 6 : 0) + (cf ? 0x60 : 0));
	int_set_gpr(v, X86_RAX, 1, a);
	set_flags(v, a, af, cf);
}

static void das(struct soft_vcpu *v, const struct soft_op *o)
{
	uint8_t old = al(v), a = old;
	bool af = (old & 0xf) > 9 || v->rflags & X86_FLAG_AF;
	bool high = old > 0x99 || v->rflags & X86_FLAG_CF;
	bool cf = high || (af && old < 6);

	a = (uint8_t)(a - (af ? 6 : 0) - (high ? 0x60 : 0));
	int_set_gpr(v, X86_RAX, 1, a);
	set_flags(v, a, af, cf);
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
