// SPDX-License-Identifier: GPL-2.0-or-later
/* int_stack - PUSH, POP and their relatives, ENTER, LEAVE. rSP changes when nothing can fault. */
#include "accel/soft/int.h"

INT_INLINE uint64_t sp_of(const struct soft_vcpu *v)
{
	return v->gpr[X86_RSP] & int_sp_mask(v);
}

/* -------- PUSH -------- */
static void push_reg64(struct soft_vcpu *v, const struct soft_op *o)
{
	int_push64(v, v->gpr[o->i.operand[0].reg]);
}

static void push_reg(struct soft_vcpu *v, const struct soft_op *o)
{
	int_push(v, o->i.opsize, v->gpr[o->i.operand[0].reg]);
}

static void push_imm(struct soft_vcpu *v, const struct soft_op *o)
{
	int_push(v, o->i.opsize, o->i.imm);
}

static void push_mem(struct soft_vcpu *v, const struct soft_op *o)
{
	int_push(v, o->i.opsize, int_load(v, &o->i, o->i.opsize, false));
}

/* -------- POP -------- */
static void pop_reg64(struct soft_vcpu *v, const struct soft_op *o)
{
	uint64_t sp = v->gpr[X86_RSP], value;

	value = soft_load_lin(v, X86_SS, sp, 8, v->mmu_index);
	v->gpr[X86_RSP] = sp + 8;
	v->gpr[o->i.operand[0].reg] = value;
}

static void pop_reg(struct soft_vcpu *v, const struct soft_op *o)
{
	unsigned int size = o->i.opsize;
	uint64_t value = soft_load(v, X86_SS, sp_of(v), size);

	v->gpr[X86_RSP] = int_sp_merge(v, v->gpr[X86_RSP] + size);
	int_set_gpr(v, o->i.operand[0].reg, size, value);
}

/* The address is computed with rSP as it is after. */
static void pop_mem(struct soft_vcpu *v, const struct soft_op *o)
{
	unsigned int size = o->i.opsize;
	uint64_t value = soft_load(v, X86_SS, sp_of(v), size), old = v->gpr[X86_RSP], ea;
	uint64_t new = int_sp_merge(v, old + size);

	v->gpr[X86_RSP] = new;
	ea = soft_ea(v, &o->i);
	v->gpr[X86_RSP] = old;
	soft_store(v, o->i.seg, ea, size, value);
	v->gpr[X86_RSP] = new;
}

/* -------- PUSHA, POPA -------- */
static void pusha(struct soft_vcpu *v, const struct soft_op *o)
{
	unsigned int size = o->i.opsize;
	uint64_t sp = sp_of(v);

	for (unsigned int n = 0; n < 8; n++) {
		sp = (sp - size) & int_sp_mask(v);
		soft_store(v, X86_SS, sp, size, v->gpr[n]);
	}
	v->gpr[X86_RSP] = int_sp_merge(v, sp);
}

static void popa(struct soft_vcpu *v, const struct soft_op *o)
{
	unsigned int size = o->i.opsize;
	uint64_t sp = sp_of(v), value[8];

	for (unsigned int n = 0; n < 8; n++) {
		value[7 - n] = soft_load(v, X86_SS, sp, size);
		sp = (sp + size) & int_sp_mask(v);
	}
	for (unsigned int n = 0; n < 8; n++)
		if (n != X86_RSP)
			int_set_gpr(v, n, size, value[n]);
	v->gpr[X86_RSP] = int_sp_merge(v, sp);
}

/* -------- PUSHF, POPF -------- */
/* In virtual-8086 mode with IOPL below 3 only the 16-bit forms work, and only with CR4.VME: on VIF
 * in place of IF. Else #GP. */
static bool flags_virtual(struct soft_vcpu *v, unsigned int size)
{
	if (!soft_vm86(v) || (v->rflags & X86_FLAG_IOPL) == X86_FLAG_IOPL)
		return false;
	if (!(v->cr4 & X86_CR4_VME) || size != 2)
		soft_gp(v, 0);
	return true;
}

static void pushf(struct soft_vcpu *v, const struct soft_op *o)
{
	uint64_t fl = v->rflags & ~(uint64_t)(X86_FLAG_VM | X86_FLAG_RF);

	if (flags_virtual(v, o->i.opsize)) {
		fl = (fl & ~(uint64_t)X86_FLAG_IF) | X86_FLAG_IOPL;
		if (fl & X86_FLAG_VIF)
			fl |= X86_FLAG_IF;
	}
	int_push(v, o->i.opsize, fl);
}

/* What POPF of @size may change at this privilege. */
static uint64_t popf_mask(const struct soft_vcpu *v, unsigned int size)
{
	uint64_t mask = X86_FLAGS_STATUS | X86_FLAG_TF | X86_FLAG_DF | X86_FLAG_NT | X86_FLAG_RF |
			X86_FLAG_AC | X86_FLAG_ID;

	if (v->cpl == 0)
		mask |= X86_FLAG_IOPL;
	if (v->cpl <= (v->rflags & X86_FLAG_IOPL) >> 12)
		mask |= X86_FLAG_IF;
	return size == 2 ? mask & 0xffff : mask;
}

static void popf(struct soft_vcpu *v, const struct soft_op *o)
{
	unsigned int size = o->i.opsize;
	bool virtual = flags_virtual(v, size);
	uint64_t value = soft_load(v, X86_SS, sp_of(v), size), mask = popf_mask(v, size), old;

	if (virtual) {
		if (value & X86_FLAG_TF || (value & X86_FLAG_IF && v->rflags & X86_FLAG_VIP))
			soft_gp(v, 0);
		mask = (mask & ~(uint64_t)X86_FLAG_IF) | X86_FLAG_VIF;
		if (value & X86_FLAG_IF)
			value |= X86_FLAG_VIF;
	}
	value &= ~(uint64_t)X86_FLAG_RF;
	v->gpr[X86_RSP] = int_sp_merge(v, v->gpr[X86_RSP] + size);
	old = v->rflags;
	v->rflags = (old & ~mask) | (value & mask);
	old ^= v->rflags;
	if (old & X86_FLAG_AC)
		soft_mode_changed(v);
	if (old & (X86_FLAG_IF | X86_FLAG_TF | X86_FLAG_VIF))
		v->stop = true;
}

/* -------- ENTER, LEAVE -------- */
static void enter(struct soft_vcpu *v, const struct soft_op *o)
{
	unsigned int size = o->i.opsize, level = o->i.imm2 & 31;
	uint64_t mask = int_sp_mask(v), sp = (sp_of(v) - size) & mask, bp = v->gpr[X86_RBP];
	uint64_t frame = sp;

	soft_store(v, X86_SS, sp, size, bp);
	for (unsigned int n = 1; n < level; n++) {
		uint64_t value;

		bp -= size;
		value = soft_load(v, X86_SS, bp & mask, size);
		sp = (sp - size) & mask;
		soft_store(v, X86_SS, sp, size, value);
	}
	if (level) {
		sp = (sp - size) & mask;
		soft_store(v, X86_SS, sp, size, int_sp_merge(v, frame));
	}
	sp = (sp - (uint16_t)o->i.imm) & mask;
	soft_probe(v, X86_SS, sp, size, SOFT_WRITE, v->mmu_index);
	int_set_gpr(v, X86_RBP, size, int_sp_merge(v, frame));
	v->gpr[X86_RSP] = int_sp_merge(v, sp);
}

static void leave(struct soft_vcpu *v, const struct soft_op *o)
{
	unsigned int size = o->i.opsize;
	uint64_t bp = v->gpr[X86_RBP] & int_sp_mask(v), value;

	value = soft_load(v, X86_SS, bp, size);
	v->gpr[X86_RSP] = int_sp_merge(v, bp + size);
	int_set_gpr(v, X86_RBP, size, value);
}

static soft_fn *const fns[] = {
	[X86_OP_PUSHA - X86_OP_PUSH] = pusha,
	[X86_OP_POPA - X86_OP_PUSH] = popa,
	[X86_OP_PUSHF - X86_OP_PUSH] = pushf,
	[X86_OP_POPF - X86_OP_PUSH] = popf,
	[X86_OP_ENTER - X86_OP_PUSH] = enter,
	[X86_OP_LEAVE - X86_OP_PUSH] = leave,
};

soft_fn *int_stack_fn(const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	bool wide = i->code == X86_CODE_64 && i->opsize == 8;

	if (i->op == X86_OP_POP)
		return i->operand[0].kind == X86_OPND_MEM ? pop_mem : wide ? pop_reg64 : pop_reg;
	if (i->op != X86_OP_PUSH)
		return fns[i->op - X86_OP_PUSH];
	if (i->operand[0].kind == X86_OPND_MEM)
		return push_mem;
	if (i->operand[0].kind == X86_OPND_IMM)
		return push_imm;
	return wide ? push_reg64 : push_reg;
}
