// SPDX-License-Identifier: GPL-2.0-or-later
/* seg_insn - instructions on segment registers, LDTR, TR, and those that look at descriptors. */
#include "accel/soft/far.h"
#include "accel/soft/mmu.h"

/* -------- operands -------- */

static uint16_t load16(struct soft_vcpu *v, const struct x86_insn *i, const struct x86_operand *o)
{
	return o->kind == X86_OPND_MEM ? soft_load(v, i->seg, soft_ea(v, i), 2) : v->gpr[o->reg];
}

static void set_gpr(struct soft_vcpu *v, uint8_t reg, uint8_t size, uint64_t value)
{
	if (size == 2)
		v->gpr[reg] = (v->gpr[reg] & ~0xffffull) | (uint16_t)value;
	else
		v->gpr[reg] = size == 4 ? (uint32_t)value : value;
}

/* A selector to a register of the operand's size, or to 16 bits of memory. */
static void store_selector(struct soft_vcpu *v, const struct x86_insn *i, uint16_t selector)
{
	if (i->operand[0].kind == X86_OPND_MEM)
		soft_store(v, i->seg, soft_ea(v, i), 2, selector);
	else
		set_gpr(v, i->operand[0].reg, i->opsize, selector);
}

static void set_zf(struct soft_vcpu *v, bool on)
{
	v->rflags = (v->rflags & ~(uint64_t)X86_FLAG_ZF) | (on ? X86_FLAG_ZF : 0);
}

/* -------- segment registers -------- */

/* SS was loaded by MOV or POP: the next instruction comes before any interrupt or trap. */
static void shadow(struct soft_vcpu *v)
{
	v->shadow |= 1;
	v->stop = true;
}

static void mov_to_seg(struct soft_vcpu *v, const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	uint8_t seg = i->operand[0].reg;

	if (seg == X86_CS || seg >= X86_NSEG)
		soft_ud(v);
	soft_seg_load(v, seg, load16(v, i, &i->operand[1]));
	if (seg == X86_SS)
		shadow(v);
}

static void mov_from_seg(struct soft_vcpu *v, const struct soft_op *o)
{
	uint8_t seg = o->i.operand[1].reg;

	if (seg >= X86_NSEG)
		soft_ud(v);
	store_selector(v, &o->i, v->seg[seg].selector);
}

static void push_seg(struct soft_vcpu *v, const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	uint64_t sp = (v->gpr[X86_RSP] - i->opsize) & soft_width_mask(v->stack_size);

	soft_store(v, X86_SS, sp, i->opsize, v->seg[i->operand[0].reg].selector);
	soft_set_sp(v, v->stack_size, sp);
}

static void pop_seg(struct soft_vcpu *v, const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	uint8_t width = v->stack_size, seg = i->operand[0].reg;
	uint16_t selector = soft_stack_peek(v, 0, i->opsize);

	soft_seg_load(v, seg, selector);
	soft_set_sp(v, width, v->gpr[X86_RSP] + i->opsize);
	if (seg == X86_SS)
		shadow(v);
}

/* LDS and the like. */
static void load_far(struct soft_vcpu *v, const struct soft_op *o, enum x86_seg seg)
{
	const struct x86_insn *i = &o->i;
	/* AMD's CPUs know no 64-bit offsets. */
	unsigned int size = i->opsize == 8 && v->amd ? 4 : i->opsize;
	uint64_t offset;
	uint16_t selector = soft_load_far(v, i, size, &offset);

	soft_seg_load(v, seg, selector);
	set_gpr(v, i->operand[0].reg, i->opsize, offset);
}

static void lds(struct soft_vcpu *v, const struct soft_op *o)
{
	load_far(v, o, X86_DS);
}
static void les(struct soft_vcpu *v, const struct soft_op *o)
{
	load_far(v, o, X86_ES);
}
static void lfs(struct soft_vcpu *v, const struct soft_op *o)
{
	load_far(v, o, X86_FS);
}
static void lgs(struct soft_vcpu *v, const struct soft_op *o)
{
	load_far(v, o, X86_GS);
}
static void lss(struct soft_vcpu *v, const struct soft_op *o)
{
	load_far(v, o, X86_SS);
}

/* -------- what a selector may be used for -------- */

typedef bool verdict_fn(const struct x86_segment *d, uint8_t cpl, bool long_mode);

/* The descriptor of the selector in operand @n if @valid likes it; else ZF is cleared. */
static bool look(struct soft_vcpu *v, const struct x86_insn *i, int n, verdict_fn *valid,
	struct soft_desc *d)
{
	uint16_t selector;

	if (soft_no_descriptors(v))
		soft_ud(v);
	selector = load16(v, i, &i->operand[n]);
	if (!X86_SEL_NULL(selector) && soft_desc_find(v, selector, d) &&
		valid(&d->seg, v->cpl, soft_long_mode(v)))
		return true;
	set_zf(v, false);
	return false;
}

static bool verr_verdict(const struct x86_segment *d, uint8_t cpl, bool long_mode)
{
	return x86_verr_valid(d, cpl);
}

static bool verw_verdict(const struct x86_segment *d, uint8_t cpl, bool long_mode)
{
	return x86_verw_valid(d, cpl);
}

static void lar(struct soft_vcpu *v, const struct soft_op *o)
{
	struct soft_desc d;

	if (!look(v, &o->i, 1, x86_lar_valid, &d))
		return;
	set_gpr(v, o->i.operand[0].reg, o->i.opsize, d.lo >> 32 & 0xffff00);
	set_zf(v, true);
}

static void lsl(struct soft_vcpu *v, const struct soft_op *o)
{
	struct soft_desc d;

	if (!look(v, &o->i, 1, x86_lsl_valid, &d))
		return;
	set_gpr(v, o->i.operand[0].reg, o->i.opsize, d.seg.limit);
	set_zf(v, true);
}

static void verr(struct soft_vcpu *v, const struct soft_op *o)
{
	struct soft_desc d;

	if (look(v, &o->i, 0, verr_verdict, &d))
		set_zf(v, true);
}

static void verw(struct soft_vcpu *v, const struct soft_op *o)
{
	struct soft_desc d;

	if (look(v, &o->i, 0, verw_verdict, &d))
		set_zf(v, true);
}

static void arpl(struct soft_vcpu *v, const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	const struct x86_operand *dst = &i->operand[0];
	uint16_t old, rpl = v->gpr[i->operand[1].reg] & 3;
	bool raise;

	if (soft_no_descriptors(v))
		soft_ud(v);
	old = load16(v, i, dst);
	raise = (old & 3) < rpl;
	if (raise && dst->kind == X86_OPND_MEM)
		soft_store(v, i->seg, soft_ea(v, i), 2, (old & ~3u) | rpl);
	else if (raise)
		set_gpr(v, dst->reg, 2, (old & ~3u) | rpl);
	set_zf(v, raise);
}

/* -------- LDTR and TR -------- */

static uint16_t system_selector(struct soft_vcpu *v, const struct x86_insn *i)
{
	if (soft_no_descriptors(v))
		soft_ud(v);
	if (v->cpl)
		soft_gp(v, 0);
	return load16(v, i, &i->operand[0]);
}

/* A system segment in the GDT, all 16 bytes of it in long mode. */
static void system_desc(struct soft_vcpu *v, uint16_t selector, uint32_t types, struct soft_desc *d)
{
	uint64_t hi;
	uint8_t type;

	if (selector & X86_SEL_TI)
		soft_raise_sel(v, X86_EXC_GP, selector);
	soft_desc_get(v, selector, X86_EXC_GP, d);
	type = x86_attr_system(d->seg.attr);
	if (type >= 16 || !(types >> type & 1))
		soft_raise_sel(v, X86_EXC_GP, selector);
	hi = soft_desc_upper(v, d);
	if (!(d->seg.attr & X86_ATTR_P))
		soft_raise_sel(v, X86_EXC_NP, selector);
	x86_desc_segment(d->lo, hi, selector, &d->seg);
	if (soft_long_mode(v) && !soft_canonical_base(v, d->seg.base))
		soft_raise_sel(v, X86_EXC_GP, selector);
}

static void lldt(struct soft_vcpu *v, const struct soft_op *o)
{
	uint16_t selector = system_selector(v, &o->i);
	struct soft_desc d;

	if (X86_SEL_NULL(selector)) {
		x86_seg_null(selector, 0, &v->ldtr);
		return;
	}
	system_desc(v, selector, 1u << X86_DESC_LDT, &d);
	v->ldtr = d.seg;
}

static void ltr(struct soft_vcpu *v, const struct soft_op *o)
{
	uint16_t selector = system_selector(v, &o->i);
	struct soft_desc d;
	uint32_t types = 1u << X86_DESC_TSS32;

	if (!soft_long_mode(v))
		types |= 1u << X86_DESC_TSS16;
	if (X86_SEL_NULL(selector))
		soft_gp(v, 0);
	system_desc(v, selector, types, &d);
	/* Another CPU may have been first. */
	if (soft_desc_update(v, d.lin, 0, X86_TYPE_BUSY) & X86_TYPE_BUSY)
		soft_raise_sel(v, X86_EXC_GP, selector);
	v->tr = d.seg;
	v->tr.attr |= X86_TYPE_BUSY;
}

static void store_system(struct soft_vcpu *v, const struct x86_insn *i, uint16_t selector)
{
	if (soft_no_descriptors(v))
		soft_ud(v);
	if ((v->cr4 & X86_CR4_UMIP) && v->cpl)
		soft_gp(v, 0);
	store_selector(v, i, selector);
}

static void sldt(struct soft_vcpu *v, const struct soft_op *o)
{
	store_system(v, &o->i, v->ldtr.selector);
}

static void str(struct soft_vcpu *v, const struct soft_op *o)
{
	store_system(v, &o->i, v->tr.selector);
}

soft_fn *soft_seg_fn(struct soft_op *o)
{
	switch (o->i.op) {
	case X86_OP_MOV_TO_SEG:
		return mov_to_seg;
	case X86_OP_MOV_FROM_SEG:
		return mov_from_seg;
	case X86_OP_PUSH_SEG:
		return push_seg;
	case X86_OP_POP_SEG:
		return pop_seg;
	case X86_OP_LDS:
		return lds;
	case X86_OP_LES:
		return les;
	case X86_OP_LFS:
		return lfs;
	case X86_OP_LGS:
		return lgs;
	case X86_OP_LSS:
		return lss;
	case X86_OP_LAR:
		return lar;
	case X86_OP_LSL:
		return lsl;
	case X86_OP_VERR:
		return verr;
	case X86_OP_VERW:
		return verw;
	case X86_OP_ARPL:
		return arpl;
	case X86_OP_LLDT:
		return lldt;
	case X86_OP_LTR:
		return ltr;
	case X86_OP_SLDT:
		return sldt;
	case X86_OP_STR:
		return str;
	default:
		return NULL;
	}
}
