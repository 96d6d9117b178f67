// SPDX-License-Identifier: GPL-2.0-or-later
/* int_move - MOV and its relatives, LEA, CMOVcc, XLAT. */
#include "accel/soft/int.h"

INT_INLINE void mov(
	struct soft_vcpu *v, const struct soft_op *o, unsigned int size, enum int_form form)
{
	const struct x86_insn *i = &o->i;
	bool flat = INT_IS_FLAT(form);
	uint64_t b = INT_IS_IMM(form)			? i->imm
		     : form == INT_RM || form == INT_RF ? int_load(v, i, size, flat)
							: int_get(v, &i->operand[1], size);

	if (INT_TO_MEM(form))
		int_store(v, i, size, flat, b);
	else
		int_set(v, &i->operand[0], size, b);
}

#define MOV(form, size)                                                               \
	static void mov_##form##_##size(struct soft_vcpu *v, const struct soft_op *o) \
	{                                                                             \
		mov(v, o, size, INT_##form);                                          \
	}
INT_SIZES(MOV, RR)
INT_SIZES(MOV, RM)
INT_SIZES(MOV, RF)
INT_SIZES(MOV, MR)
INT_SIZES(MOV, FR)
INT_SIZES(MOV, RI)
INT_SIZES(MOV, MI)
INT_SIZES(MOV, FI)

#define MOV_AT(form, size) mov_##form##_##size,
#define MOV_ROW(form)	   [INT_##form] = { INT_SIZES(MOV_AT, form) }
static soft_fn *const movs[INT_FORMS][4] = {
	MOV_ROW(RR),
	MOV_ROW(RM),
	MOV_ROW(RF),
	MOV_ROW(MR),
	MOV_ROW(FR),
	MOV_ROW(RI),
	MOV_ROW(MI),
	MOV_ROW(FI),
};

/* MOVZX, MOVSX, MOVSXD from @size bytes; the destination has any. */
INT_INLINE void movx(struct soft_vcpu *v, const struct soft_op *o, unsigned int size,
	enum int_form form, bool sign)
{
	const struct x86_insn *i = &o->i;
	uint64_t b = form == INT_RR ? int_get(v, &i->operand[1], size)
				    : int_load(v, i, size, INT_IS_FLAT(form));

	if (sign)
		b = x86_sext(size, b);
	if (i->operand[0].size == 2)
		int_set(v, &i->operand[0], 2, b);
	else
		v->gpr[i->operand[0].reg] = i->operand[0].size == 4 ? (uint32_t)b : b;
}

#define MOVX(name, sign, form, size)                                                     \
	static void name##_##form##_##size(struct soft_vcpu *v, const struct soft_op *o) \
	{                                                                                \
		movx(v, o, size, INT_##form, sign);                                      \
	}
#define MOVX_ALL(name, sign)    \
	MOVX(name, sign, RR, 1) \
	MOVX(name, sign, RM, 1) \
	MOVX(name, sign, RF, 1) \
	MOVX(name, sign, RR, 2) \
	MOVX(name, sign, RM, 2) \
	MOVX(name, sign, RF, 2) \
	MOVX(name, sign, RR, 4) \
	MOVX(name, sign, RM, 4) \
	MOVX(name, sign, RF, 4)
MOVX_ALL(movzx, false)
MOVX_ALL(movsx, true)

#define MOVX_ROW(name, form) \
	[INT_##form] = { name##_##form##_1, name##_##form##_2, name##_##form##_4 }
static soft_fn *const movxs[2][INT_FORMS][4] = {
	{ MOVX_ROW(movzx, RR), MOVX_ROW(movzx, RM), MOVX_ROW(movzx, RF) },
	{ MOVX_ROW(movsx, RR), MOVX_ROW(movsx, RM), MOVX_ROW(movsx, RF) },
};

static void movbe(struct soft_vcpu *v, const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	unsigned int size = i->opsize;
	uint64_t a;

	if (i->operand[0].kind == X86_OPND_MEM) {
		a = __builtin_bswap64(v->gpr[i->operand[1].reg]) >> (64 - 8 * size);
		soft_store(v, i->seg, soft_ea(v, i), size, a);
		return;
	}
	a = soft_load(v, i->seg, soft_ea(v, i), size);
	int_set(v, &i->operand[0], size, __builtin_bswap64(a) >> (64 - 8 * size));
}

static void lea(struct soft_vcpu *v, const struct soft_op *o)
{
	int_set(v, &o->i.operand[0], o->i.opsize, soft_ea(v, &o->i));
}

static void lea_4(struct soft_vcpu *v, const struct soft_op *o) /* 64-bit addresses */
{
	v->gpr[o->i.operand[0].reg] = (uint32_t)int_ea(v, &o->i, true);
}

static void lea_8(struct soft_vcpu *v, const struct soft_op *o)
{
	v->gpr[o->i.operand[0].reg] = int_ea(v, &o->i, true);
}

/* Memory is read, and the upper half of a 32-bit destination cleared, whatever the condition is. */
static void cmov_any(struct soft_vcpu *v, const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	unsigned int size = i->opsize;
	uint64_t b = i->operand[1].kind == X86_OPND_MEM ? soft_load(v, i->seg, soft_ea(v, i), size)
							: int_get(v, &i->operand[1], size);

	if (!x86_cond(i->opcode & 0xf, v->rflags))
		b = int_get(v, &i->operand[0], size);
	int_set(v, &i->operand[0], size, b);
}

#define CMOV(cc)                                                                 \
	static void cmov_4_##cc(struct soft_vcpu *v, const struct soft_op *o)    \
	{                                                                        \
		const struct x86_operand *p = o->i.operand;                      \
		bool take = x86_cond(0x##cc, v->rflags);                         \
                                                                                 \
		v->gpr[p[0].reg] = (uint32_t)v->gpr[take ? p[1].reg : p[0].reg]; \
	}                                                                        \
	static void cmov_8_##cc(struct soft_vcpu *v, const struct soft_op *o)    \
	{                                                                        \
		const struct x86_operand *p = o->i.operand;                      \
		bool take = x86_cond(0x##cc, v->rflags);                         \
                                                                                 \
		v->gpr[p[0].reg] = v->gpr[take ? p[1].reg : p[0].reg];           \
	}
INT_CONDITIONS(CMOV)

#define CMOV_4_AT(cc) cmov_4_##cc,
#define CMOV_8_AT(cc) cmov_8_##cc,
static soft_fn *const cmovs[2][16] = {
	{ INT_CONDITIONS(CMOV_4_AT) },
	{ INT_CONDITIONS(CMOV_8_AT) },
};

static void xlat(struct soft_vcpu *v, const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	uint64_t ea = x86_zext(i->addrsize, v->gpr[X86_RBX] + (uint8_t)v->gpr[X86_RAX]);

	int_set_gpr(v, X86_RAX, 1, soft_load(v, i->seg, ea, 1));
}

static soft_fn *lea_fn(const struct x86_insn *i)
{
	if (i->addrsize != 8 || i->opsize == 2)
		return lea;
	return i->opsize == 8 ? lea_8 : lea_4;
}

static soft_fn *cmov_fn(const struct x86_insn *i)
{
	if (i->operand[1].kind == X86_OPND_MEM || i->opsize == 2)
		return cmov_any;
	return cmovs[i->opsize == 8][i->opcode & 0xf];
}

static soft_fn *movx_fn(const struct x86_insn *i, enum int_form form, unsigned int size)
{
	return form < INT_FORMS ? movxs[i->op != X86_OP_MOVZX][form][INT_SIZE_AT(size)] : NULL;
}

soft_fn *int_move_fn(const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	enum int_form form = int_form_of(i);

	switch (i->op) {
	case X86_OP_MOV:
	case X86_OP_MOVNTI:
		return form < INT_FORMS ? movs[form][INT_SIZE_AT(i->operand[0].size)] : NULL;
	case X86_OP_MOVZX:
	case X86_OP_MOVSX:
		return movx_fn(i, form, i->operand[1].size);
	case X86_OP_MOVSXD: /* reads four bytes for a 16-bit destination too */
		return movx_fn(i, form, 4);
	case X86_OP_MOVBE:
		return movbe;
	case X86_OP_LEA:
		return lea_fn(i);
	case X86_OP_CMOVCC:
		return cmov_fn(i);
	default:
		return xlat;
	}
}
