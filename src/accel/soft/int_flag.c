// SPDX-License-Identifier: GPL-2.0-or-later
/* int_flag - flags by themselves, SETcc, and sign extension into rAX and rDX. */
#include "accel/soft/int.h"

static void clc(struct soft_vcpu *v, const struct soft_op *o)
{
	v->rflags &= ~(uint64_t)X86_FLAG_CF;
}

static void stc(struct soft_vcpu *v, const struct soft_op *o)
{
	v->rflags |= X86_FLAG_CF;
}

static void cmc(struct soft_vcpu *v, const struct soft_op *o)
{
	v->rflags ^= X86_FLAG_CF;
}

static void cld(struct soft_vcpu *v, const struct soft_op *o)
{
	v->rflags &= ~(uint64_t)X86_FLAG_DF;
}

static void std(struct soft_vcpu *v, const struct soft_op *o)
{
	v->rflags |= X86_FLAG_DF;
}

static void lahf(struct soft_vcpu *v, const struct soft_op *o)
{
	v->gpr[X86_RAX] = (v->gpr[X86_RAX] & ~0xff00ull) | (v->rflags & 0xff) << 8;
}

static void sahf(struct soft_vcpu *v, const struct soft_op *o)
{
	uint64_t mask = X86_FLAGS_STATUS & 0xff;

	v->rflags = (v->rflags & ~mask) | (v->gpr[X86_RAX] >> 8 & mask);
}

static void salc(struct soft_vcpu *v, const struct soft_op *o)
{
	int_set_gpr(v, X86_RAX, 1, v->rflags & X86_FLAG_CF ? 0xff : 0);
}

static void cbw(struct soft_vcpu *v, const struct soft_op *o)
{
	unsigned int size = o->i.opsize;

	int_set_gpr(v, X86_RAX, size, x86_sext(size / 2, v->gpr[X86_RAX]));
}

static void cwd(struct soft_vcpu *v, const struct soft_op *o)
{
	unsigned int size = o->i.opsize;
	bool minus = (int64_t)x86_sext(size, v->gpr[X86_RAX]) < 0;

	int_set_gpr(v, X86_RDX, size, minus ? UINT64_MAX : 0);
}

static soft_fn *const fns[] = {
	[X86_OP_CBW - X86_OP_CBW] = cbw,
	[X86_OP_CWD - X86_OP_CBW] = cwd,
	[X86_OP_LAHF - X86_OP_CBW] = lahf,
	[X86_OP_SAHF - X86_OP_CBW] = sahf,
	[X86_OP_CLC - X86_OP_CBW] = clc,
	[X86_OP_STC - X86_OP_CBW] = stc,
	[X86_OP_CMC - X86_OP_CBW] = cmc,
	[X86_OP_CLD - X86_OP_CBW] = cld,
	[X86_OP_STD - X86_OP_CBW] = std,
	[X86_OP_SALC - X86_OP_CBW] = salc,
};

#define SETCC(cc)                                                             \
	static void set_##cc(struct soft_vcpu *v, const struct soft_op *o)    \
	{                                                                     \
		int_set(v, &o->i.operand[0], 1, x86_cond(0x##cc, v->rflags)); \
	}
INT_CONDITIONS(SETCC)

#define SETCC_AT(cc) set_##cc,
static soft_fn *const setccs[16] = { INT_CONDITIONS(SETCC_AT) };

static void setcc_mem(struct soft_vcpu *v, const struct soft_op *o)
{
	int_store(v, &o->i, 1, false, x86_cond(o->i.opcode & 0xf, v->rflags));
}

soft_fn *int_flag_fn(const struct soft_op *o)
{
	if (o->i.op != X86_OP_SETCC)
		return fns[o->i.op - X86_OP_CBW];
	return int_is_reg(&o->i.operand[0]) ? setccs[o->i.opcode & 0xf] : setcc_mem;
}
