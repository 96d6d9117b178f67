// SPDX-License-Identifier: GPL-2.0-or-later
/* int_muldiv - MUL, IMUL, DIV, IDIV. */
#include "accel/soft/int.h"

/* The one operand that is written in the instruction. */
INT_INLINE const struct x86_operand *encoded(const struct x86_insn *i)
{
	for (unsigned int n = 0; n < i->n_operands; n++)
		if (!i->operand[n].implicit)
			return &i->operand[n];
	return &i->operand[0];
}

INT_INLINE uint64_t value_of(struct soft_vcpu *v, const struct x86_insn *i,
	const struct x86_operand *p, unsigned int size)
{
	return p->kind == X86_OPND_MEM ? int_load(v, i, size, false) : int_get(v, p, size);
}

/* rDX:rAX, AX for bytes, out of @lo and @hi. */
INT_INLINE void set_wide(struct soft_vcpu *v, unsigned int size, uint64_t lo, uint64_t hi)
{
	if (size == 1) {
		int_set_gpr(v, X86_RAX, 2, lo);
		return;
	}
	int_set_gpr(v, X86_RAX, size, lo);
	int_set_gpr(v, X86_RDX, size, hi);
}

typedef void wide_fn(unsigned int size, uint64_t *lo, uint64_t *hi, uint64_t src, uint64_t *fl);
typedef bool wide_ok(unsigned int size, uint64_t lo, uint64_t hi, uint64_t src);

INT_INLINE bool always_ok(unsigned int size, uint64_t lo, uint64_t hi, uint64_t src)
{
	return true;
}

INT_INLINE void wide(
	struct soft_vcpu *v, const struct soft_op *o, unsigned int size, wide_fn *fn, wide_ok *ok)
{
	uint64_t src = value_of(v, &o->i, encoded(&o->i), size), fl = v->rflags;
	uint64_t lo = v->gpr[X86_RAX], hi = v->gpr[X86_RDX];

	if (!ok(size, lo, hi, src))
		soft_raise(v, X86_EXC_DE);
	fn(size, &lo, &hi, src, &fl);
	v->rflags = fl;
	set_wide(v, size, lo, hi);
}

#define WIDE(name, ok, size)                                                    \
	static void name##_##size(struct soft_vcpu *v, const struct soft_op *o) \
	{                                                                       \
		wide(v, o, size, x86_alu_wide_##name, ok);                      \
	}
INT_SIZES(WIDE, mul, always_ok)
INT_SIZES(WIDE, imul, always_ok)
INT_SIZES(WIDE, div, x86_div_ok)
INT_SIZES(WIDE, idiv, x86_idiv_ok)

#define ROW_AT(name, size) name##_##size,
#define ROW(name)                       \
	{                               \
		INT_SIZES(ROW_AT, name) \
	}
static soft_fn *const wides[][4] = {
	[X86_OP_MUL - X86_OP_MUL] = ROW(mul),
	[X86_OP_IMUL1 - X86_OP_MUL] = ROW(imul),
	[X86_OP_DIV - X86_OP_MUL] = ROW(div),
	[X86_OP_IDIV - X86_OP_MUL] = ROW(idiv),
};

/* IMUL with two and three operands. */
INT_INLINE void imul_to(
	struct soft_vcpu *v, const struct soft_op *o, unsigned int size, bool mem, bool imm)
{
	const struct x86_insn *i = &o->i;
	uint64_t b = mem ? int_load(v, i, size, false) : int_get(v, &i->operand[1], size);
	uint64_t a = imm ? i->imm : int_get(v, &i->operand[0], size), fl = v->rflags;

	a = x86_alu_imul(size, a, b, &fl);
	v->rflags = fl;
	int_set(v, &i->operand[0], size, a);
}

#define IMUL(name, mem, imm, size)                                                     \
	static void imul_##name##_##size(struct soft_vcpu *v, const struct soft_op *o) \
	{                                                                              \
		imul_to(v, o, size, mem, imm);                                         \
	}
#define IMUL_ALL(name, mem, imm) \
	IMUL(name, mem, imm, 2) IMUL(name, mem, imm, 4) IMUL(name, mem, imm, 8)
IMUL_ALL(rr, false, false)
IMUL_ALL(rm, true, false)
IMUL_ALL(rri, false, true)
IMUL_ALL(rmi, true, true)

#define IMUL_ROW(name)                                                  \
	{                                                               \
		NULL, imul_##name##_2, imul_##name##_4, imul_##name##_8 \
	}
static soft_fn *const imuls[2][2][4] = {
	/* [imm][mem] */
	{ IMUL_ROW(rr), IMUL_ROW(rm) },
	{ IMUL_ROW(rri), IMUL_ROW(rmi) },
};

soft_fn *int_muldiv_fn(const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;

	if (i->op == X86_OP_IMUL)
		return imuls[i->operand[2].kind == X86_OPND_IMM][i->operand[1].kind == X86_OPND_MEM]
			    [INT_SIZE_AT(i->opsize)];
	return wides[i->op - X86_OP_MUL][INT_SIZE_AT(encoded(i)->size)];
}
