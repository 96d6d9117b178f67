// SPDX-License-Identifier: GPL-2.0-or-later
/* int_alu - ADD to XOR, CMP, TEST, INC, DEC, NEG, NOT. */
#include "accel/soft/int.h"

/* Two operands. @write: the result is kept. */
INT_INLINE void binary(struct soft_vcpu *v, const struct soft_op *o, unsigned int size,
	enum int_form form, x86_alu_fn *fn, bool write)
{
	const struct x86_insn *i = &o->i;
	bool flat = INT_IS_FLAT(form);
	uint64_t a, b, fl;

	b = INT_IS_IMM(form)		       ? i->imm
	    : form == INT_RM || form == INT_RF ? int_load(v, i, size, flat)
					       : int_get(v, &i->operand[1], size);
	if (INT_TO_MEM(form) && write) {
		int_rmw(v, i->seg, int_ea(v, i, flat), size, flat, fn, b);
		return;
	}
	a = INT_TO_MEM(form) ? int_load(v, i, size, flat) : int_get(v, &i->operand[0], size);
	fl = v->rflags;
	a = fn(size, a, b, &fl);
	v->rflags = fl;
	if (write)
		int_set(v, &i->operand[0], size, a);
}

#define BINARY(name, write, form, size)                                                  \
	static void name##_##form##_##size(struct soft_vcpu *v, const struct soft_op *o) \
	{                                                                                \
		binary(v, o, size, INT_##form, x86_alu_##name, write);                   \
	}
#define BINARY_ALL(name, write)            \
	INT_SIZES(BINARY, name, write, RR) \
	INT_SIZES(BINARY, name, write, RM) \
	INT_SIZES(BINARY, name, write, RF) \
	INT_SIZES(BINARY, name, write, MR) \
	INT_SIZES(BINARY, name, write, FR) \
	INT_SIZES(BINARY, name, write, RI) \
	INT_SIZES(BINARY, name, write, MI) \
	INT_SIZES(BINARY, name, write, FI)
BINARY_ALL(add, true)
BINARY_ALL(or, true)
BINARY_ALL(adc, true)
BINARY_ALL(sbb, true)
BINARY_ALL(and, true)
BINARY_ALL(sub, true)
BINARY_ALL(xor, true)
BINARY_ALL(cmp, false)
BINARY_ALL(test, false)

#define ROW_AT(name, form, size) name##_##form##_##size,
#define ROW(name, form)		 [INT_##form] = { INT_SIZES(ROW_AT, name, form) }
#define ROWS(name)                                                                         \
	{                                                                                  \
		ROW(name, RR), ROW(name, RM), ROW(name, RF), ROW(name, MR), ROW(name, FR), \
			ROW(name, RI), ROW(name, MI), ROW(name, FI)                        \
	}
static soft_fn *const binaries[][INT_FORMS][4] = {
	[X86_OP_ADD - X86_OP_ADD] = ROWS(add),
	[X86_OP_OR - X86_OP_ADD] = ROWS(or),
	[X86_OP_ADC - X86_OP_ADD] = ROWS(adc),
	[X86_OP_SBB - X86_OP_ADD] = ROWS(sbb),
	[X86_OP_AND - X86_OP_ADD] = ROWS(and),
	[X86_OP_SUB - X86_OP_ADD] = ROWS(sub),
	[X86_OP_XOR - X86_OP_ADD] = ROWS(xor),
	[X86_OP_CMP - X86_OP_ADD] = ROWS(cmp),
	[X86_OP_TEST - X86_OP_ADD] = ROWS(test),
};

/* One operand, a register or (@form is INT_MR or INT_FR) memory. */
INT_INLINE void unary(struct soft_vcpu *v, const struct soft_op *o, unsigned int size,
	enum int_form form, x86_alu_fn *fn)
{
	const struct x86_insn *i = &o->i;
	bool flat = INT_IS_FLAT(form);
	uint64_t a, fl;

	if (INT_TO_MEM(form)) {
		int_rmw(v, i->seg, int_ea(v, i, flat), size, flat, fn, 0);
		return;
	}
	fl = v->rflags;
	a = fn(size, int_get(v, &i->operand[0], size), 0, &fl);
	v->rflags = fl;
	int_set(v, &i->operand[0], size, a);
}

#define UNARY(name, form, size)                                                          \
	static void name##_##form##_##size(struct soft_vcpu *v, const struct soft_op *o) \
	{                                                                                \
		unary(v, o, size, INT_##form, x86_alu_##name);                           \
	}
#define UNARY_ALL(name)            \
	INT_SIZES(UNARY, name, RR) \
	INT_SIZES(UNARY, name, MR) \
	INT_SIZES(UNARY, name, FR)
UNARY_ALL(inc)
UNARY_ALL(dec)
UNARY_ALL(neg)
UNARY_ALL(not )

#define UNARY_ROWS(name)                                    \
	{                                                   \
		ROW(name, RR), ROW(name, MR), ROW(name, FR) \
	}
static soft_fn *const unaries[][INT_FORMS][4] = {
	[X86_OP_INC - X86_OP_INC] = UNARY_ROWS(inc),
	[X86_OP_DEC - X86_OP_INC] = UNARY_ROWS(dec),
	[X86_OP_NEG - X86_OP_INC] = UNARY_ROWS(neg),
	[X86_OP_NOT - X86_OP_INC] = UNARY_ROWS(not ),
};

soft_fn *int_alu_fn(const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	unsigned int at = INT_SIZE_AT(i->operand[0].size);
	enum int_form form;

	if (i->op >= X86_OP_INC) {
		form = int_is_reg(&i->operand[0]) ? INT_RR : int_flat(i) ? INT_FR : INT_MR;
		return unaries[i->op - X86_OP_INC][form][at];
	}
	form = int_form_of(i);
	return form < INT_FORMS ? binaries[i->op - X86_OP_ADD][form][at] : NULL;
}
