// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * int_branch - near branches, BOUND. They write gpr[X86_REG_RIP], which until then is the address of
 * the next instruction. A target outside of the code segment faults in the branch, before anything
 * else has changed.
 */
#include "accel/soft/int.h"

/* 64-bit mode. The instruction's own address is canonical: most targets are not far from it. */
INT_INLINE void check64(struct soft_vcpu *v, uint64_t target)
{
	if (__builtin_expect((target ^ v->rip) >> 46 != 0, 0) && !soft_canonical(v, target))
		soft_gp(v, 0);
}

INT_INLINE bool reachable(const struct soft_vcpu *v, const struct x86_insn *i, uint64_t target)
{
	if (i->code == X86_CODE_64)
		return (target ^ v->rip) >> 46 == 0 || soft_canonical(v, target);
	return target <= v->seg[X86_CS].limit;
}

/* The target, cut to the operand size, if one may go there. */
INT_INLINE uint64_t check(struct soft_vcpu *v, const struct x86_insn *i, uint64_t target)
{
	target = x86_zext(i->opsize, target);
	if (__builtin_expect(!reachable(v, i, target), 0))
		soft_gp(v, 0);
	return target;
}

INT_INLINE uint64_t relative(struct soft_vcpu *v, const struct x86_insn *i)
{
	return check(v, i, v->gpr[X86_REG_RIP] + i->imm);
}

/* -------- Jcc -------- */
#define JCC(cc)                                                              \
	static void jcc64_##cc(struct soft_vcpu *v, const struct soft_op *o) \
	{                                                                    \
		uint64_t target;                                             \
                                                                             \
		if (!x86_cond(0x##cc, v->rflags))                            \
			return;                                              \
		target = v->gpr[X86_REG_RIP] + o->i.imm;                     \
		check64(v, target);                                          \
		v->gpr[X86_REG_RIP] = target;                                \
	}                                                                    \
	static void jcc_##cc(struct soft_vcpu *v, const struct soft_op *o)   \
	{                                                                    \
		if (x86_cond(0x##cc, v->rflags))                             \
			v->gpr[X86_REG_RIP] = relative(v, &o->i);            \
	}
INT_CONDITIONS(JCC)

#define JCC64_AT(cc) jcc64_##cc,
#define JCC_AT(cc)   jcc_##cc,
static soft_fn *const jccs[2][16] = {
	{ INT_CONDITIONS(JCC_AT) },
	{ INT_CONDITIONS(JCC64_AT) },
};

/* -------- JMP, CALL, RET -------- */
static void jmp64(struct soft_vcpu *v, const struct soft_op *o)
{
	uint64_t target = v->gpr[X86_REG_RIP] + o->i.imm;

	check64(v, target);
	v->gpr[X86_REG_RIP] = target;
}

static void jmp(struct soft_vcpu *v, const struct soft_op *o)
{
	v->gpr[X86_REG_RIP] = relative(v, &o->i);
}

/* Target of an indirect branch. */
INT_INLINE uint64_t where_to(struct soft_vcpu *v, const struct x86_insn *i)
{
	const struct x86_operand *p = &i->operand[0];

	return p->kind == X86_OPND_MEM ? soft_load(v, i->seg, soft_ea(v, i), i->opsize)
				       : v->gpr[p->reg];
}

static void jmp_to(struct soft_vcpu *v, const struct soft_op *o)
{
	v->gpr[X86_REG_RIP] = check(v, &o->i, where_to(v, &o->i));
}

/* When neither the target nor the stack is good AMD's CPUs report the stack. */
INT_INLINE void call_near(struct soft_vcpu *v, const struct x86_insn *i, uint64_t target)
{
	uint64_t next = v->gpr[X86_REG_RIP];

	target = x86_zext(i->opsize, target);
	if (__builtin_expect(!reachable(v, i, target), 0)) {
		if (v->amd)
			soft_probe(v, X86_SS, (v->gpr[X86_RSP] - i->opsize) & int_sp_mask(v),
				i->opsize, SOFT_WRITE, v->mmu_index);
		soft_gp(v, 0);
	}
	int_push(v, i->opsize, next);
	v->gpr[X86_REG_RIP] = target;
}

static void call64(struct soft_vcpu *v, const struct soft_op *o)
{
	uint64_t next = v->gpr[X86_REG_RIP], target = next + o->i.imm;

	if (__builtin_expect((target ^ v->rip) >> 46 != 0, 0)) {
		call_near(v, &o->i, target);
		return;
	}
	int_push64(v, next);
	v->gpr[X86_REG_RIP] = target;
}

static void call(struct soft_vcpu *v, const struct soft_op *o)
{
	call_near(v, &o->i, v->gpr[X86_REG_RIP] + o->i.imm);
}

static void call_to(struct soft_vcpu *v, const struct soft_op *o)
{
	call_near(v, &o->i, where_to(v, &o->i));
}

static void ret64(struct soft_vcpu *v, const struct soft_op *o)
{
	uint64_t sp = v->gpr[X86_RSP];
	uint64_t target = soft_load_lin(v, X86_SS, sp, 8, v->mmu_index);

	check64(v, target);
	v->gpr[X86_RSP] = sp + 8 + (uint16_t)o->i.imm;
	v->gpr[X86_REG_RIP] = target;
}

static void ret(struct soft_vcpu *v, const struct soft_op *o)
{
	uint64_t sp = v->gpr[X86_RSP];
	uint64_t target = soft_load(v, X86_SS, sp & int_sp_mask(v), o->i.opsize);

	target = check(v, &o->i, target);
	v->gpr[X86_RSP] = int_sp_merge(v, sp + o->i.opsize + (uint16_t)o->i.imm);
	v->gpr[X86_REG_RIP] = target;
}

/* -------- LOOP, JCXZ -------- */
/* AMD's CPUs take REPE and REPNE before LOOPcc for its condition. */
static bool loops_on_zf(const struct soft_vcpu *v, const struct x86_insn *i)
{
	return v->amd && i->rep ? i->rep == 0xf3 : i->op == X86_OP_LOOPE;
}

static void loop(struct soft_vcpu *v, const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	uint64_t count = x86_zext(i->addrsize, v->gpr[X86_RCX] - 1), next = v->gpr[X86_REG_RIP];
	bool zf = v->rflags & X86_FLAG_ZF;

	if (count && (i->op == X86_OP_LOOP || zf == loops_on_zf(v, i)))
		next = relative(v, i);
	int_set_gpr(v, X86_RCX, i->addrsize, count);
	v->gpr[X86_REG_RIP] = next;
}

static void jcxz(struct soft_vcpu *v, const struct soft_op *o)
{
	if (!x86_zext(o->i.addrsize, v->gpr[X86_RCX]))
		v->gpr[X86_REG_RIP] = relative(v, &o->i);
}

/* -------- BOUND -------- */
static void bound(struct soft_vcpu *v, const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	unsigned int size = i->opsize;
	uint64_t ea = soft_ea(v, i);
	int64_t index = (int64_t)x86_sext(size, v->gpr[i->operand[0].reg]), low, high;

	low = (int64_t)x86_sext(size, soft_load(v, i->seg, ea, size));
	high = (int64_t)x86_sext(
		size, soft_load(v, i->seg, x86_zext(i->addrsize, ea + size), size));
	if (index < low || index > high)
		soft_raise(v, X86_EXC_BR);
}

static soft_fn *near_fn(const struct x86_insn *i)
{
	bool wide = i->code == X86_CODE_64 && i->opsize == 8;
	bool relative = i->operand[0].kind == X86_OPND_REL;

	switch (i->op) {
	case X86_OP_JMP:
		return !relative ? jmp_to : wide ? jmp64 : jmp;
	case X86_OP_CALL:
		return !relative ? call_to : wide ? call64 : call;
	default:
		return wide ? ret64 : ret;
	}
}

soft_fn *int_branch_fn(const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;

	switch (i->op) {
	case X86_OP_JCC:
		return jccs[i->code == X86_CODE_64 && i->opsize == 8][i->opcode & 0xf];
	case X86_OP_JMP:
	case X86_OP_CALL:
	case X86_OP_RET:
		return near_fn(i);
	case X86_OP_JCXZ:
		return jcxz;
	case X86_OP_BOUND:
		return bound;
	default:
		return loop;
	}
}
