// SPDX-License-Identifier: GPL-2.0-or-later
/* int_bit - BT BTS BTR BTC, BSF, BSR, BSWAP. */
#include "accel/soft/int.h"

/* Effective address of the operand's unit that has bit @*bit, a signed number that may lead far away
 * from the operand when it is out of a register. */
INT_INLINE uint64_t bit_ea(
	const struct soft_vcpu *v, const struct x86_insn *i, unsigned int size, uint64_t *bit)
{
	uint64_t ea = soft_ea(v, i), units;

	if (i->operand[1].kind == X86_OPND_IMM) {
		*bit = i->imm;
		return ea;
	}
	*bit = x86_sext(size, v->gpr[i->operand[1].reg]);
	units = (uint64_t)((int64_t)*bit >> (size == 8 ? 6 : size == 4 ? 5 : 4));
	ea += units * size;
	return i->addrsize == 8 ? ea : i->addrsize == 4 ? (uint32_t)ea : (uint16_t)ea;
}

INT_INLINE void bit_reg(
	struct soft_vcpu *v, const struct soft_op *o, unsigned int size, x86_alu_fn *fn, bool write)
{
	const struct x86_insn *i = &o->i;
	uint64_t fl = v->rflags, b, a = int_get(v, &i->operand[0], size);

	b = i->operand[1].kind == X86_OPND_IMM ? i->imm : v->gpr[i->operand[1].reg];
	a = fn(size, a, b, &fl);
	v->rflags = fl;
	if (write)
		int_set(v, &i->operand[0], size, a);
}

INT_INLINE void bit_mem(
	struct soft_vcpu *v, const struct soft_op *o, unsigned int size, x86_alu_fn *fn, bool write)
{
	const struct x86_insn *i = &o->i;
	uint64_t bit, ea = bit_ea(v, i, size, &bit), a;

	if (i->lock) {
		int_rmw_locked(v, i->seg, ea, size, fn, bit);
	} else if (write) {
		int_rmw(v, i->seg, ea, size, false, fn, bit);
	} else {
		a = soft_load(v, i->seg, ea, size);
		fn(size, a, bit, &v->rflags);
	}
}

#define BIT_FN(name, write, size)                                                 \
	static void name##_r_##size(struct soft_vcpu *v, const struct soft_op *o) \
	{                                                                         \
		bit_reg(v, o, size, x86_alu_##name, write);                       \
	}                                                                         \
	static void name##_m_##size(struct soft_vcpu *v, const struct soft_op *o) \
	{                                                                         \
		bit_mem(v, o, size, x86_alu_##name, write);                       \
	}
#define BIT_ALL(name, write) BIT_FN(name, write, 2) BIT_FN(name, write, 4) BIT_FN(name, write, 8)
BIT_ALL(bt, false)
BIT_ALL(bts, true)
BIT_ALL(btr, true)
BIT_ALL(btc, true)

#define BIT_ROW(name)                                            \
	{                                                        \
		{ NULL, name##_r_2, name##_r_4, name##_r_8 },    \
		{                                                \
			NULL, name##_m_2, name##_m_4, name##_m_8 \
		}                                                \
	}
static soft_fn *const bits[][2][4] = {
	/* [op][mem][size] */
	[X86_OP_BT - X86_OP_BT] = BIT_ROW(bt),
	[X86_OP_BTS - X86_OP_BT] = BIT_ROW(bts),
	[X86_OP_BTR - X86_OP_BT] = BIT_ROW(btr),
	[X86_OP_BTC - X86_OP_BT] = BIT_ROW(btc),
};

INT_INLINE void scan(
	struct soft_vcpu *v, const struct soft_op *o, unsigned int size, x86_alu_fn *fn)
{
	const struct x86_insn *i = &o->i;
	uint64_t *r = &v->gpr[i->operand[0].reg], fl;
	uint64_t b = i->operand[1].kind == X86_OPND_MEM ? int_load(v, i, size, false)
							: int_get(v, &i->operand[1], size);

	fl = v->rflags;
	*r = fn(size, *r, b, &fl);
	v->rflags = fl;
}

#define SCAN(name, size)                                                        \
	static void name##_##size(struct soft_vcpu *v, const struct soft_op *o) \
	{                                                                       \
		scan(v, o, size, x86_alu_##name);                               \
	}
SCAN(bsf, 2)
SCAN(bsf, 4)
SCAN(bsf, 8)
SCAN(bsr, 2)
SCAN(bsr, 4)
SCAN(bsr, 8)

#define SWAP(size)                                                             \
	static void bswap_##size(struct soft_vcpu *v, const struct soft_op *o) \
	{                                                                      \
		const struct x86_operand *p = &o->i.operand[0];                \
                                                                               \
		int_set(v, p, size, x86_alu_bswap(size, v->gpr[p->reg]));      \
	}
SWAP(2)
SWAP(4)
SWAP(8)

static soft_fn *const others[][4] = {
	[X86_OP_BSF - X86_OP_BSF] = { NULL, bsf_2, bsf_4, bsf_8 },
	[X86_OP_BSR - X86_OP_BSF] = { NULL, bsr_2, bsr_4, bsr_8 },
	[X86_OP_BSWAP - X86_OP_BSF] = { NULL, bswap_2, bswap_4, bswap_8 },
};

soft_fn *int_bit_fn(const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	unsigned int at = INT_SIZE_AT(i->opsize);

	if (i->op >= X86_OP_BSF)
		return others[i->op - X86_OP_BSF][at];
	return bits[i->op - X86_OP_BT][i->operand[0].kind == X86_OPND_MEM][at];
}
