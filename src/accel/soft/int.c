// SPDX-License-Identifier: GPL-2.0-or-later
/* int - which function carries out an instruction on general registers and memory. */
#include "accel/soft/int.h"

typedef soft_fn *int_select(const struct soft_op *o);

static void nop(struct soft_vcpu *v, const struct soft_op *o)
{
}

static void spin(struct soft_vcpu *v, const struct soft_op *o)
{
	if (atomic_load_explicit(&v->vm->n_vcpus, memory_order_relaxed) > 1)
		soft_spin(v);
}

/* Fences order what the vCPU's thread does: they are the host's. */
static void mfence(struct soft_vcpu *v, const struct soft_op *o)
{
	asm volatile("mfence" ::: "memory");
}

static void lfence(struct soft_vcpu *v, const struct soft_op *o)
{
	asm volatile("lfence" ::: "memory");
}

static void sfence(struct soft_vcpu *v, const struct soft_op *o)
{
	asm volatile("sfence" ::: "memory");
}

/* There is no cache to flush, but the address must be one that can be read. */
static void clflush(struct soft_vcpu *v, const struct soft_op *o)
{
	soft_probe(v, o->i.seg, soft_ea(v, &o->i), 1, SOFT_READ, v->mmu_index);
}

static soft_fn *misc_fn(const struct soft_op *o)
{
	switch (o->i.op) {
	case X86_OP_PAUSE:
		return spin;
	case X86_OP_MFENCE:
		return mfence;
	case X86_OP_LFENCE:
		return lfence;
	case X86_OP_SFENCE:
		return sfence;
	case X86_OP_CLFLUSH:
	case X86_OP_CLFLUSHOPT:
	case X86_OP_CLWB:
		return clflush;
	default:
		return nop;
	}
}

static int_select *const selects[X86_OP_PREFETCH + 1] = {
	[X86_OP_ADD... X86_OP_NOT] = int_alu_fn,
	[X86_OP_MUL... X86_OP_IDIV] = int_muldiv_fn,
	[X86_OP_ROL... X86_OP_SHRD] = int_shift_fn,
	[X86_OP_BT... X86_OP_BSWAP] = int_bit_fn,
	[X86_OP_XADD... X86_OP_XCHG] = int_atomic_fn,
	[X86_OP_MOV... X86_OP_LEA] = int_move_fn,
	[X86_OP_PUSH... X86_OP_LEAVE] = int_stack_fn,
	[X86_OP_CBW... X86_OP_SALC] = int_flag_fn,
	[X86_OP_AAA... X86_OP_DAS] = int_decimal_fn,
	[X86_OP_SETCC] = int_flag_fn,
	[X86_OP_CMOVCC] = int_move_fn,
	[X86_OP_JCC... X86_OP_JCXZ] = int_branch_fn,
	[X86_OP_XLAT] = int_move_fn,
	[X86_OP_BOUND] = int_branch_fn,
	[X86_OP_NOP... X86_OP_PAUSE] = misc_fn,
	[X86_OP_MOVS... X86_OP_OUTS] = int_string_fn,
	[X86_OP_LFENCE... X86_OP_PREFETCH] = misc_fn,
};

soft_fn *soft_int_fn(struct soft_vcpu *v, struct soft_op *o)
{
	if (o->i.op >= ARRAY_SIZE(selects) || !selects[o->i.op])
		return NULL;
	if (o->i.op >= X86_OP_ROL && o->i.op <= X86_OP_SAR && o->i.operand[1].kind == X86_OPND_ONE)
		o->i.imm = 1; /* then it is as good as an immediate */
	if (o->i.lock)
		return int_atomic_fn(o);
	return selects[o->i.op](o);
}
