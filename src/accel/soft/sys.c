// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sys - system instructions (SDM, volume 2). Whether the CPU model has an instruction at all block.c
 * has looked; here are mode, privilege and what it does.
 */
#include "accel/soft/sys_int.h"
#include "base/types.h"

/* -------- interrupts -------- */

/* What CLI and STI may touch: IF, VIF, or nothing (SDM, CLI: Decision Table). */
static uint32_t interrupt_flag(struct soft_vcpu *v)
{
	unsigned int iopl = (v->rflags & X86_FLAG_IOPL) >> 12;

	if (soft_real_mode(v) || v->cpl <= iopl)
		return X86_FLAG_IF;
	if (v->cpl == 3 && v->cr4 & (soft_vm86(v) ? X86_CR4_VME : X86_CR4_PVI))
		return X86_FLAG_VIF;
	soft_gp(v, 0);
}

static void sys_cli(struct soft_vcpu *v, const struct soft_op *o)
{
	v->rflags &= ~(uint64_t)interrupt_flag(v);
}

static void sys_sti(struct soft_vcpu *v, const struct soft_op *o)
{
	uint32_t flag = interrupt_flag(v);

	if (flag == X86_FLAG_VIF && v->rflags & X86_FLAG_VIP)
		soft_gp(v, 0);
	if (flag == X86_FLAG_IF && !(v->rflags & X86_FLAG_IF)) {
		v->shadow = SOFT_SHADOW_STI;
		v->stop = true;
	}
	v->rflags |= flag;
}

static void sys_hlt(struct soft_vcpu *v, const struct soft_op *o)
{
	soft_need_cpl0(v);
	if (v->unhalted) {
		v->unhalted = false;
		return;
	}
	v->halted = true;
	v->mp_state = X86_MP_HALTED;
	v->stop = true;
}

/* -------- identification, MSRs, counters -------- */

static void sys_cpuid(struct soft_vcpu *v, const struct soft_op *o)
{
	uint32_t out[4];

	soft_cpuid(v, v->gpr[X86_RAX], v->gpr[X86_RCX], out);
	v->gpr[X86_RAX] = out[0];
	v->gpr[X86_RBX] = out[1];
	v->gpr[X86_RCX] = out[2];
	v->gpr[X86_RDX] = out[3];
}

static void sys_rdmsr(struct soft_vcpu *v, const struct soft_op *o)
{
	uint64_t value;

	soft_need_cpl0(v);
	if (!soft_msr_read(v, v->gpr[X86_RCX], &value))
		soft_gp(v, 0);
	soft_put_pair(v, value);
}

static void sys_wrmsr(struct soft_vcpu *v, const struct soft_op *o)
{
	soft_need_cpl0(v);
	if (!soft_msr_write(v, v->gpr[X86_RCX], soft_get_pair(v)))
		soft_gp(v, 0);
	v->stop = true;
}

static void need_tsc(struct soft_vcpu *v)
{
	if (v->cpl && v->cr4 & X86_CR4_TSD)
		soft_gp(v, 0);
}

static void sys_rdtsc(struct soft_vcpu *v, const struct soft_op *o)
{
	need_tsc(v);
	soft_put_pair(v, soft_tsc_read(v));
}

static void sys_rdtscp(struct soft_vcpu *v, const struct soft_op *o)
{
	need_tsc(v);
	soft_put_pair(v, soft_tsc_read(v));
	v->gpr[X86_RCX] = (uint32_t)v->tsc_aux;
}

static void sys_rdpid(struct soft_vcpu *v, const struct soft_op *o)
{
	soft_put_gpr(v, o->i.operand[0].reg, v->code == X86_CODE_64 ? 8 : 4, (uint32_t)v->tsc_aux);
}

static void sys_gp(struct soft_vcpu *v, const struct soft_op *o) /* RDPMC: no counters */
{
	soft_gp(v, 0);
}

static void sys_ud(struct soft_vcpu *v, const struct soft_op *o)
{
	soft_ud(v);
}

static void sys_cpl0(struct soft_vcpu *v, const struct soft_op *o) /* caches: nothing to do */
{
	soft_need_cpl0(v);
}

/* -------- bases, access rights -------- */

static void sys_swapgs(struct soft_vcpu *v, const struct soft_op *o)
{
	uint64_t base = v->seg[X86_GS].base;

	if (v->code != X86_CODE_64)
		soft_ud(v);
	soft_need_cpl0(v);
	v->seg[X86_GS].base = v->kernel_gs_base;
	v->kernel_gs_base = base;
	soft_seg_changed(v, X86_GS);
}

static void need_fsgsbase(struct soft_vcpu *v)
{
	if (v->code != X86_CODE_64 || !(v->cr4 & X86_CR4_FSGSBASE))
		soft_ud(v);
}

static void sys_rdbase(struct soft_vcpu *v, const struct soft_op *o)
{
	enum x86_seg s = o->i.op == X86_OP_RDFSBASE ? X86_FS : X86_GS;

	need_fsgsbase(v);
	soft_put_gpr(v, o->i.operand[0].reg, o->i.opsize == 8 ? 8 : 4, v->seg[s].base);
}

static void sys_wrbase(struct soft_vcpu *v, const struct soft_op *o)
{
	enum x86_seg s = o->i.op == X86_OP_WRFSBASE ? X86_FS : X86_GS;
	uint64_t base = v->gpr[o->i.operand[0].reg];

	need_fsgsbase(v);
	if (o->i.opsize != 8)
		base = (uint32_t)base;
	if (!soft_canonical_base(v, base))
		soft_gp(v, 0);
	v->seg[s].base = base;
	soft_seg_changed(v, s);
}

static void sys_ac(struct soft_vcpu *v, const struct soft_op *o)
{
	uint64_t old = v->rflags;

	if (v->cpl)
		soft_ud(v);
	if (o->i.op == X86_OP_STAC)
		v->rflags |= X86_FLAG_AC;
	else
		v->rflags &= ~(uint64_t)X86_FLAG_AC;
	if (v->rflags != old)
		soft_mode_changed(v);
}

static void need_pke(struct soft_vcpu *v)
{
	if (!(v->cr4 & X86_CR4_PKE))
		soft_ud(v);
	if ((uint32_t)v->gpr[X86_RCX])
		soft_gp(v, 0);
}

static void sys_rdpkru(struct soft_vcpu *v, const struct soft_op *o)
{
	need_pke(v);
	soft_put_pair(v, v->pkru);
}

static void sys_wrpkru(struct soft_vcpu *v, const struct soft_op *o)
{
	uint32_t value = v->gpr[X86_RAX];

	need_pke(v);
	if ((uint32_t)v->gpr[X86_RDX])
		soft_gp(v, 0);
	if (value == v->pkru)
		return;
	v->pkru = value;
	soft_tlb_flush(v, true); /* its entries know what the keys allowed */
}

/* -------- all of them -------- */

static soft_fn *const fns[X86_OP_COUNT] = {
	[X86_OP_MOV_FROM_CR] = soft_mov_from_cr,
	[X86_OP_MOV_TO_CR] = soft_mov_to_cr,
	[X86_OP_MOV_FROM_DR] = soft_mov_from_dr,
	[X86_OP_MOV_TO_DR] = soft_mov_to_dr,
	[X86_OP_LMSW] = soft_lmsw,
	[X86_OP_SMSW] = soft_smsw,
	[X86_OP_CLTS] = soft_clts,
	[X86_OP_LGDT] = soft_lgdt,
	[X86_OP_LIDT] = soft_lidt,
	[X86_OP_SGDT] = soft_sgdt,
	[X86_OP_SIDT] = soft_sidt,
	[X86_OP_INVLPG] = soft_invlpg,
	[X86_OP_INVPCID] = soft_invpcid,
	[X86_OP_INVD] = sys_cpl0,
	[X86_OP_WBINVD] = sys_cpl0,
	[X86_OP_CPUID] = sys_cpuid,
	[X86_OP_RDMSR] = sys_rdmsr,
	[X86_OP_WRMSR] = sys_wrmsr,
	[X86_OP_RDTSC] = sys_rdtsc,
	[X86_OP_RDTSCP] = sys_rdtscp,
	[X86_OP_RDPMC] = sys_gp,
	[X86_OP_HLT] = sys_hlt,
	[X86_OP_CLI] = sys_cli,
	[X86_OP_STI] = sys_sti,
	[X86_OP_STAC] = sys_ac,
	[X86_OP_CLAC] = sys_ac,
	[X86_OP_SWAPGS] = sys_swapgs,
	[X86_OP_RDFSBASE] = sys_rdbase,
	[X86_OP_RDGSBASE] = sys_rdbase,
	[X86_OP_WRFSBASE] = sys_wrbase,
	[X86_OP_WRGSBASE] = sys_wrbase,
	[X86_OP_IN] = soft_in,
	[X86_OP_OUT] = soft_out,
	[X86_OP_XGETBV] = soft_xgetbv,
	[X86_OP_XSETBV] = soft_xsetbv,
	[X86_OP_MONITOR] = sys_cpl0,
	[X86_OP_MWAIT] = sys_cpl0,
	[X86_OP_RDPKRU] = sys_rdpkru,
	[X86_OP_WRPKRU] = sys_wrpkru,
	[X86_OP_RDRAND] = soft_rdrand,
	[X86_OP_RDSEED] = soft_rdseed,
	[X86_OP_RDPID] = sys_rdpid,
	[X86_OP_VMCALL] = soft_hypercall,
	[X86_OP_VMMCALL] = soft_hypercall,
	[X86_OP_UD0] = sys_ud,
	[X86_OP_UD1] = sys_ud,
	[X86_OP_UD2] = sys_ud,
};

soft_fn *soft_sys_fn(struct soft_vcpu *v, struct soft_op *o)
{
	return o->i.op < X86_OP_COUNT ? fns[o->i.op] : NULL;
}
