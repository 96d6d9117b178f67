// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * syscall - SYSCALL, SYSRET, SYSENTER, SYSEXIT: transfers to and from level 0 by MSRs, no descriptor
 * is read. Source: AMD APM, volume 3; SDM, volume 2. They differ, the vendor in CPUID decides:
 *
 *		    AMD					Intel
 * SYSCALL, SYSRET  in every mode			#UD outside 64-bit mode
 * SYSRET	    any RIP; SS keeps its attributes	#GP if RIP is not canonical; SS is flat
 * SYSENTER, SYSEXIT #UD in long mode			in every mode
 */
#include "accel/soft/far.h"
#include "accel/soft/mmu.h"

#define ATTR_CODE64  0xa09bu /* present, accessed, granular; DPL to be added */
#define ATTR_CODE32  0xc09bu
#define ATTR_DATA    0xc093u
#define SYSRET_FLAGS (X86_FLAGS_ALL & ~(X86_FLAG_RF | X86_FLAG_VM))

static void flat(struct soft_vcpu *v, enum x86_seg seg, uint16_t selector, uint32_t attr)
{
	uint8_t cpl = X86_SEL_RPL(selector);

	v->seg[seg] = (struct x86_segment){
		.limit = UINT32_MAX, .attr = attr | (uint32_t)cpl << 5, .selector = selector
	};
}

static void need_syscall(struct soft_vcpu *v)
{
	if (!(v->efer & X86_EFER_SCE) || (v->code != X86_CODE_64 && !v->amd))
		soft_ud(v);
}

static void syscall_op(struct soft_vcpu *v, const struct soft_op *o)
{
	uint16_t cs = v->star >> 32 & 0xfffc;
	uint64_t next = v->gpr[X86_REG_RIP];

	need_syscall(v);
	if (soft_long_mode(v)) {
		v->gpr[X86_RCX] = next;
		v->gpr[X86_R11] = v->rflags & ~(uint64_t)X86_FLAG_RF;
		v->gpr[X86_REG_RIP] = v->code == X86_CODE_64 ? v->lstar : v->cstar;
		v->rflags &= ~(v->sfmask | X86_FLAG_RF);
		flat(v, X86_CS, cs, ATTR_CODE64);
	} else {
		v->gpr[X86_RCX] = (uint32_t)next;
		v->gpr[X86_REG_RIP] = (uint32_t)v->star;
		v->rflags &= ~(uint64_t)(X86_FLAG_IF | X86_FLAG_RF | X86_FLAG_VM);
		flat(v, X86_CS, cs, ATTR_CODE32);
	}
	v->rflags |= X86_FLAG_1;
	flat(v, X86_SS, cs + 8, ATTR_DATA);
	v->syscall_tf = v->rflags & X86_FLAG_TF;
	soft_level_changed(v);
}

static void sysret(struct soft_vcpu *v, const struct soft_op *o)
{
	bool wide = v->code == X86_CODE_64 && o->i.opsize == 8;
	uint16_t base = v->star >> 48;
	uint64_t rip = wide ? v->gpr[X86_RCX] : (uint32_t)v->gpr[X86_RCX];

	need_syscall(v);
	if (soft_real_mode(v) || v->cpl || (!v->amd && wide && !soft_canonical(v, rip)))
		soft_gp(v, 0);
	if (v->code == X86_CODE_64)
		soft_set_flags(v, v->gpr[X86_R11], X86_FLAGS_ALL);
	else
		v->rflags |= X86_FLAG_IF;
	v->rflags &= ~(uint64_t)(X86_FLAG_RF | X86_FLAG_VM);
	flat(v, X86_CS, (base + (wide ? 16 : 0)) | 3, wide ? ATTR_CODE64 : ATTR_CODE32);
	if (!v->amd) {
		flat(v, X86_SS, (base + 8) | 3, ATTR_DATA);
	} else {
		v->seg[X86_SS].selector = (base + 8) | 3;
		v->seg[X86_SS].attr |= 3u << 5;
	}
	v->gpr[X86_REG_RIP] = rip;
	/* The single-step trap depends on TF as it is now, as for SYSCALL. */
	v->syscall_tf = false;
	if (v->rflags & X86_FLAG_TF)
		v->pending_dr6 |= X86_DR6_BS;
	soft_level_changed(v);
}

static void need_sysenter(struct soft_vcpu *v)
{
	if (soft_long_mode(v) && v->amd)
		soft_ud(v);
	if (soft_real_mode(v) || X86_SEL_NULL(v->sysenter_cs & 0xffff))
		soft_gp(v, 0);
}

static void sysenter(struct soft_vcpu *v, const struct soft_op *o)
{
	bool long_mode = soft_long_mode(v);
	uint16_t cs = v->sysenter_cs & 0xfffc;

	need_sysenter(v);
	v->rflags &= ~(uint64_t)(X86_FLAG_VM | X86_FLAG_IF | X86_FLAG_RF);
	v->gpr[X86_RSP] = long_mode ? v->sysenter_esp : (uint32_t)v->sysenter_esp;
	v->gpr[X86_REG_RIP] = long_mode ? v->sysenter_eip : (uint32_t)v->sysenter_eip;
	flat(v, X86_CS, cs, long_mode ? ATTR_CODE64 : ATTR_CODE32);
	flat(v, X86_SS, cs + 8, ATTR_DATA);
	soft_level_changed(v);
}

static void sysexit(struct soft_vcpu *v, const struct soft_op *o)
{
	bool wide = o->i.opsize == 8;
	uint16_t cs = v->sysenter_cs;
	uint64_t rip = v->gpr[X86_RDX], sp = v->gpr[X86_RCX];

	if (v->cpl) /* before anything else, as CPUs do it */
		soft_gp(v, 0);
	need_sysenter(v);
	if (wide && !(soft_canonical(v, rip) && soft_canonical(v, sp)))
		soft_gp(v, 0);
	cs += wide ? 32 : 16;
	flat(v, X86_CS, cs | 3, wide ? ATTR_CODE64 : ATTR_CODE32);
	flat(v, X86_SS, (cs + 8) | 3, ATTR_DATA);
	v->gpr[X86_REG_RIP] = wide ? rip : (uint32_t)rip;
	v->gpr[X86_RSP] = wide ? sp : (uint32_t)sp;
	soft_level_changed(v);
}

soft_fn *soft_syscall_fn(struct soft_op *o)
{
	switch (o->i.op) {
	case X86_OP_SYSCALL:
		return syscall_op;
	case X86_OP_SYSRET:
		return sysret;
	case X86_OP_SYSENTER:
		return sysenter;
	case X86_OP_SYSEXIT:
		return sysexit;
	default:
		return NULL;
	}
}
