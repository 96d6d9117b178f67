// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sys_cr - control registers and debug registers (SDM, MOV - Move to/from Control Registers, MOV -
 * Move to/from Debug Registers, Control Registers; APM, System-Control Registers).
 */
#include "accel/soft/sys_int.h"
#include "base/types.h"

#define CR0_MASK                                                                       \
	(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | X86_CR0_NE | \
		X86_CR0_WP | X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | X86_CR0_PG)
/* Changes of these under PAE paging load the PDPTEs (SDM, PDPTE Registers). */
#define CR0_LOADS_PDPTES (X86_CR0_CD | X86_CR0_NW | X86_CR0_PG)
#define CR4_LOADS_PDPTES (X86_CR4_PAE | X86_CR4_PGE | X86_CR4_PSE | X86_CR4_SMEP)
/* ... and these decide what a translation is. */
#define CR0_TRANSLATES	 (X86_CR0_PE | X86_CR0_WP | X86_CR0_PG)
#define CR4_TRANSLATES                                                                          \
	(X86_CR4_PAE | X86_CR4_PGE | X86_CR4_PSE | X86_CR4_LA57 | X86_CR4_SMEP | X86_CR4_SMAP | \
		X86_CR4_PKE | X86_CR4_PKS | X86_CR4_PCIDE)
#define CR3_NO_FLUSH (1ull << 63)
#define CR3_PCID     0xfffull
#define DR6_WRITABLE (0xfull | X86_DR6_BD | X86_DR6_BS | X86_DR6_BT)
#define DR7_WRITABLE 0xffff23ffull

/* -------- CR0, CR3, CR4 -------- */

/* The PDPTEs under @cr3 when that is the right thing for a CPU with these; #GP when they are not
 * valid, with all as it was. */
static void load_pdptes(struct soft_vcpu *v, uint64_t cr3)
{
	uint64_t old = v->cr3;

	v->cr3 = cr3;
	if (soft_mmu_load_pdptes(v))
		return;
	v->cr3 = old;
	soft_gp(v, 0);
}

static void paging_on(struct soft_vcpu *v)
{
	if (v->efer & X86_EFER_LME) {
		if (!(v->cr4 & X86_CR4_PAE) || v->seg[X86_CS].attr & X86_ATTR_L)
			soft_gp(v, 0);
		v->efer |= X86_EFER_LMA;
	} else if (v->cr4 & X86_CR4_PAE) {
		load_pdptes(v, v->cr3);
	}
}

static void paging_off(struct soft_vcpu *v)
{
	if (v->code == X86_CODE_64 || v->cr4 & X86_CR4_PCIDE)
		soft_gp(v, 0);
	v->efer &= ~(uint64_t)X86_EFER_LMA;
}

void soft_set_cr0(struct soft_vcpu *v, uint64_t value)
{
	uint64_t changed;

	if (value >> 32)
		soft_gp(v, 0);
	value = (value & CR0_MASK) | X86_CR0_ET;
	if ((value & X86_CR0_PG && !(value & X86_CR0_PE)) ||
		(value & X86_CR0_NW && !(value & X86_CR0_CD)))
		soft_gp(v, 0);
	changed = v->cr0 ^ value;
	if (changed & value & X86_CR0_PG)
		paging_on(v);
	else if (changed & X86_CR0_PG)
		paging_off(v);
	else if (changed & CR0_LOADS_PDPTES && value & X86_CR0_PG && v->cr4 & X86_CR4_PAE &&
		 !soft_long_mode(v))
		load_pdptes(v, v->cr3);
	v->cr0 = value;
	if (changed & CR0_TRANSLATES)
		soft_tlb_flush(v, true);
	if (changed)
		soft_mode_changed(v);
	v->stop = true;
}

void soft_set_cr3(struct soft_vcpu *v, uint64_t value)
{
	bool keep = false;

	if (soft_long_mode(v)) {
		if (v->cr4 & X86_CR4_PCIDE) {
			keep = value & CR3_NO_FLUSH;
			value &= ~CR3_NO_FLUSH;
		}
		if (value >> v->phys_bits)
			soft_gp(v, 0);
	} else {
		value = (uint32_t)value;
		if (v->cr0 & X86_CR0_PG && v->cr4 & X86_CR4_PAE)
			load_pdptes(v, value);
	}
	v->cr3 = value;
	soft_mmu_cr3(v, keep);
	v->stop = true;
}

static void check_cr4(struct soft_vcpu *v, uint64_t value)
{
	uint64_t changed = v->cr4 ^ value;

	if (value & ~v->cr4_allowed)
		soft_gp(v, 0);
	if (soft_long_mode(v) && (!(value & X86_CR4_PAE) || changed & X86_CR4_LA57))
		soft_gp(v, 0);
	if (changed & value & X86_CR4_PCIDE && (!soft_long_mode(v) || v->cr3 & CR3_PCID))
		soft_gp(v, 0);
}

void soft_set_cr4(struct soft_vcpu *v, uint64_t value)
{
	uint64_t changed = v->cr4 ^ value;

	check_cr4(v, value);
	if (changed & CR4_LOADS_PDPTES && v->cr0 & X86_CR0_PG && value & X86_CR4_PAE &&
		!soft_long_mode(v))
		load_pdptes(v, v->cr3);
	v->cr4 = value;
	if (changed & CR4_TRANSLATES)
		soft_tlb_flush(v, true);
	if (changed)
		soft_mode_changed(v);
	v->stop = true;
}

void soft_mov_from_cr(struct soft_vcpu *v, const struct soft_op *o)
{
	uint64_t value;

	soft_need_cpl0(v);
	switch (o->i.operand[1].reg) {
	case 0:
		value = v->cr0;
		break;
	case 2:
		value = v->cr2;
		break;
	case 3:
		value = v->cr3;
		break;
	case 4:
		value = v->cr4;
		break;
	case 8:
		value = soft_cr8_get(v);
		break;
	default:
		soft_ud(v);
	}
	soft_put_gpr(v, o->i.operand[0].reg, v->code == X86_CODE_64 ? 8 : 4, value);
}

void soft_mov_to_cr(struct soft_vcpu *v, const struct soft_op *o)
{
	uint64_t value = v->gpr[o->i.operand[1].reg];

	soft_need_cpl0(v);
	if (v->code != X86_CODE_64)
		value = (uint32_t)value;
	switch (o->i.operand[0].reg) {
	case 0:
		soft_set_cr0(v, value);
		break;
	case 2:
		v->cr2 = value;
		break;
	case 3:
		soft_set_cr3(v, value);
		break;
	case 4:
		soft_set_cr4(v, value);
		break;
	case 8:
		if (value > 15)
			soft_gp(v, 0);
		soft_cr8_set(v, value);
		v->stop = true; /* an interrupt may be above it now */
		break;
	default:
		soft_ud(v);
	}
}

void soft_clts(struct soft_vcpu *v, const struct soft_op *o)
{
	soft_need_cpl0(v);
	v->cr0 &= ~(uint64_t)X86_CR0_TS;
	soft_mode_changed(v);
}

void soft_lmsw(struct soft_vcpu *v, const struct soft_op *o)
{
	const struct x86_operand *s = &o->i.operand[0];
	uint64_t value;

	soft_need_cpl0(v);
	value = s->kind == X86_OPND_MEM ? soft_load(v, o->i.seg, soft_ea(v, &o->i), 2)
					: v->gpr[s->reg];
	/* It sets PE and does not clear it. */
	soft_set_cr0(
		v, (v->cr0 & ~(uint64_t)(X86_CR0_MP | X86_CR0_EM | X86_CR0_TS)) | (value & 0xf));
}

void soft_smsw(struct soft_vcpu *v, const struct soft_op *o)
{
	const struct x86_operand *d = &o->i.operand[0];

	if (v->cpl && v->cr4 & X86_CR4_UMIP)
		soft_gp(v, 0);
	if (d->kind == X86_OPND_MEM)
		soft_store(v, o->i.seg, soft_ea(v, &o->i), 2, (uint16_t)v->cr0);
	else
		soft_put_gpr(v, d->reg, o->i.opsize, v->cr0);
}

/* -------- debug registers -------- */

/* The register that an instruction names, after all checks. */
static unsigned int debug_register(struct soft_vcpu *v, unsigned int n)
{
	struct soft_event e = { .vector = X86_EXC_DB, .kind = SOFT_EVENT_FAULT, .dr6 = X86_DR6_BD };

	if (n > 7 || ((n == 4 || n == 5) && v->cr4 & X86_CR4_DE))
		soft_ud(v);
	soft_need_cpl0(v);
	if (v->dr[7] & X86_DR7_GD) {
		/* Cleared so that the handler can use them. */
		v->dr[7] &= ~(uint64_t)X86_DR7_GD;
		soft_raise_event(v, &e);
	}
	return n == 4 || n == 5 ? n + 2 : n;
}

void soft_mov_from_dr(struct soft_vcpu *v, const struct soft_op *o)
{
	unsigned int n = debug_register(v, o->i.operand[1].reg);

	soft_put_gpr(v, o->i.operand[0].reg, v->code == X86_CODE_64 ? 8 : 4, v->dr[n]);
}

void soft_mov_to_dr(struct soft_vcpu *v, const struct soft_op *o)
{
	unsigned int n = debug_register(v, o->i.operand[0].reg);
	uint64_t value = v->gpr[o->i.operand[1].reg];

	if (v->code != X86_CODE_64)
		value = (uint32_t)value;
	if (n >= 6 && value >> 32)
		soft_gp(v, 0);
	if (n == 6)
		v->dr[6] = (value & DR6_WRITABLE) | X86_DR6_FIXED;
	else if (n == 7)
		v->dr[7] = (value & DR7_WRITABLE) | X86_DR7_FIXED;
	else
		v->dr[n] = value;
	if (n != 6)
		soft_watch_changed(v);
	v->stop = true;
}

/* -------- XCR0 -------- */

void soft_xgetbv(struct soft_vcpu *v, const struct soft_op *o)
{
	uint32_t index = v->gpr[X86_RCX], l[4];

	if (!(v->cr4 & X86_CR4_OSXSAVE))
		soft_ud(v);
	if (index == 0) {
		soft_put_pair(v, v->xcr0);
		return;
	}
	soft_cpuid(v, 0xd, 1, l);
	if (index != 1 || !(l[0] & BIT(2)))
		soft_gp(v, 0);
	soft_put_pair(v, v->xcr0 & soft_fpu_xinuse(v));
}

void soft_xsetbv(struct soft_vcpu *v, const struct soft_op *o)
{
	uint64_t value = soft_get_pair(v);

	if (!(v->cr4 & X86_CR4_OSXSAVE))
		soft_ud(v);
	soft_need_cpl0(v);
	if ((uint32_t)v->gpr[X86_RCX] || value & ~v->xcr0_allowed || !(value & 1) ||
		(value & BIT(2) && !(value & BIT(1))))
		soft_gp(v, 0);
	v->xcr0 = value;
	soft_mode_changed(v);
}
