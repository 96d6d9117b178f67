// SPDX-License-Identifier: GPL-2.0-or-later
/* int_shift - rotates, shifts, SHLD and SHRD. The host masks the count as the guest's CPU does. */
#include "accel/soft/int.h"

INT_INLINE void shift(struct soft_vcpu *v, const struct soft_op *o, unsigned int size, bool mem,
	bool cl, x86_alu_fn *fn)
{
	const struct x86_insn *i = &o->i;
	uint64_t a, fl, count = cl ? v->gpr[X86_RCX] : i->imm;

	if (mem) {
		int_rmw(v, i->seg, soft_ea(v, i), size, false, fn, count);
		return;
	}
	fl = v->rflags;
	a = fn(size, int_get(v, &i->operand[0], size), count, &fl);
	v->rflags = fl;
	int_set(v, &i->operand[0], size, a);
}

#define SHIFT(name, form, mem, cl, size)                                                 \
	static void name##_##form##_##size(struct soft_vcpu *v, const struct soft_op *o) \
	{                                                                                \
		shift(v, o, size, mem, cl, x86_alu_##name);                              \
	}
#define SHIFT_ALL(name)                          \
	INT_SIZES(SHIFT, name, ri, false, false) \
	INT_SIZES(SHIFT, name, rc, false, true)  \
	INT_SIZES(SHIFT, name, mi, true, false)  \
	INT_SIZES(SHIFT, name, mc, true, true)
SHIFT_ALL(rol)
SHIFT_ALL(ror)
SHIFT_ALL(rcl)
SHIFT_ALL(rcr)
SHIFT_ALL(shl)
SHIFT_ALL(shr)
SHIFT_ALL(sar)

#define ROW_AT(name, form, size) name##_##form##_##size,
#define ROW(name, form)                       \
	{                                     \
		INT_SIZES(ROW_AT, name, form) \
	}
#define ROWS(name)                                   \
	{                                            \
		{ ROW(name, ri), ROW(name, rc) },    \
		{                                    \
			ROW(name, mi), ROW(name, mc) \
		}                                    \
	}
static soft_fn *const shifts[][2][2][4] = {
	/* [op][mem][cl][size] */
	[X86_OP_ROL - X86_OP_ROL] = ROWS(rol),
	[X86_OP_ROR - X86_OP_ROL] = ROWS(ror),
	[X86_OP_RCL - X86_OP_ROL] = ROWS(rcl),
	[X86_OP_RCR - X86_OP_ROL] = ROWS(rcr),
	[X86_OP_SHL - X86_OP_ROL] = ROWS(shl),
	[X86_OP_SHR - X86_OP_ROL] = ROWS(shr),
	[X86_OP_SAR - X86_OP_ROL] = ROWS(sar),
};

typedef uint64_t double_fn(
	unsigned int size, uint64_t a, uint64_t b, unsigned int count, uint64_t *fl);

INT_INLINE void shift_double(
	struct soft_vcpu *v, const struct soft_op *o, unsigned int size, double_fn *fn)
{
	const struct x86_insn *i = &o->i;
	bool mem = i->operand[0].kind == X86_OPND_MEM;
	uint64_t ea = mem ? soft_ea(v, i) : 0, b = int_get(v, &i->operand[1], size), a, fl;
	unsigned int count = (uint8_t)(i->operand[2].kind == X86_OPND_IMM ? i->imm
									  : v->gpr[X86_RCX]);

	a = mem ? soft_rmw_load(v, i->seg, ea, size) : int_get(v, &i->operand[0], size);
	fl = v->rflags;
	a = fn(size, a, b, count, &fl);
	if (mem)
		soft_store(v, i->seg, ea, size, a);
	else
		int_set(v, &i->operand[0], size, a);
	v->rflags = fl;
}

#define DOUBLE(name, size)                                                      \
	static void name##_##size(struct soft_vcpu *v, const struct soft_op *o) \
	{                                                                       \
		shift_double(v, o, size, x86_alu_##name);                       \
	}
DOUBLE(shld, 2)
DOUBLE(shld, 4)
DOUBLE(shld, 8)
DOUBLE(shrd, 2)
DOUBLE(shrd, 4)
DOUBLE(shrd, 8)

static soft_fn *const doubles[2][4] = {
	{ NULL, shld_2, shld_4, shld_8 },
	{ NULL, shrd_2, shrd_4, shrd_8 },
};

soft_fn *int_shift_fn(const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	unsigned int at = INT_SIZE_AT(i->operand[0].size);
	bool mem = i->operand[0].kind == X86_OPND_MEM;

	if (i->op >= X86_OP_SHLD)
		return doubles[i->op - X86_OP_SHLD][at];
	return shifts[i->op - X86_OP_ROL][mem][int_is_reg(&i->operand[1])][at];
}
