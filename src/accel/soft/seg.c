// SPDX-License-Identifier: GPL-2.0-or-later
/* seg - descriptor tables in guest memory, loads of segment registers, stacks of inner levels. */
#include "accel/soft/far.h"
#include "accel/soft/mmu.h"

#define DESC_TYPE_BYTE 5

/* -------- descriptors -------- */

_Noreturn void soft_raise_sel(struct soft_vcpu *v, uint8_t vector, uint16_t selector)
{
	soft_raise_error(v, vector, (selector & ~3u) | soft_ext(v));
}

/* Does the table of @selector have @n bytes for it, and where? */
static bool desc_place(struct soft_vcpu *v, uint16_t selector, unsigned int n, uint64_t *lin)
{
	uint32_t off = selector & ~7u, limit = v->gdtr.limit;
	uint64_t base = v->gdtr.base;

	if (selector & X86_SEL_TI) {
		if (v->ldtr.attr & X86_ATTR_UNUSABLE)
			return false;
		base = v->ldtr.base;
		limit = v->ldtr.limit;
	}
	if (off + n - 1 > limit)
		return false;
	*lin = soft_sys_lin(v, base, off);
	return true;
}

bool soft_desc_find(struct soft_vcpu *v, uint16_t selector, struct soft_desc *d)
{
	if (!desc_place(v, selector, 8, &d->lin))
		return false;
	d->lo = soft_load_sys(v, d->lin, 8);
	x86_desc_segment(d->lo, 0, selector, &d->seg);
	return true;
}

void soft_desc_get(struct soft_vcpu *v, uint16_t selector, uint8_t vector, struct soft_desc *d)
{
	if (!soft_desc_find(v, selector, d))
		soft_raise_sel(v, vector, selector);
}

uint64_t soft_desc_upper(struct soft_vcpu *v, const struct soft_desc *d)
{
	uint64_t lin, hi;

	if (!soft_long_mode(v))
		return 0;
	if (!desc_place(v, d->seg.selector, 16, &lin))
		soft_raise_sel(v, X86_EXC_GP, d->seg.selector);
	hi = soft_load_sys(v, lin + 8, 8);
	if (x86_desc_upper_type(hi))
		soft_raise_sel(v, X86_EXC_GP, d->seg.selector);
	return hi & UINT32_MAX;
}

uint8_t soft_desc_update(struct soft_vcpu *v, uint64_t desc_lin, uint8_t clear, uint8_t set)
{
	uint64_t lin = soft_sys_lin(v, desc_lin, DESC_TYPE_BYTE);
	uint8_t *p = soft_tlb_host(v, lin, 1, SOFT_WRITE, SOFT_MMU_KERNEL), old;

	if (!p) {
		soft_exclusive_begin(v);
		old = soft_load_sys(v, lin, 1);
		soft_store_sys(v, lin, 1, (old & ~clear) | set);
		soft_exclusive_end(v);
		return old;
	}
	if (clear)
		old = __atomic_fetch_and(p, (uint8_t)~clear, __ATOMIC_SEQ_CST);
	else
		old = __atomic_fetch_or(p, set, __ATOMIC_SEQ_CST);
	soft_stored(v, lin, 1, SOFT_MMU_KERNEL);
	return old;
}

void soft_desc_accessed(struct soft_vcpu *v, struct soft_desc *d)
{
	if (!(d->seg.attr & X86_TYPE_ACCESSED))
		soft_desc_update(v, d->lin, 0, X86_TYPE_ACCESSED);
	d->seg.attr |= X86_TYPE_ACCESSED;
}

/* -------- segment registers -------- */

/* Data of a real-mode segment: the limit and the default size stay what they were ("unreal mode");
 * rights become those of writable data, of CS too. */
void soft_seg_load_real(struct soft_vcpu *v, enum x86_seg seg, uint16_t selector)
{
	struct x86_segment *s = &v->seg[seg];

	if (soft_vm86(v)) {
		x86_seg_vm86(selector, s);
		return;
	}
	if (s->attr & X86_ATTR_UNUSABLE)
		s->limit = 0xffff;
	s->attr = (s->attr & (X86_ATTR_DB | X86_ATTR_G | X86_ATTR_AVL)) | 0x93;
	s->base = (uint32_t)selector << 4;
	s->selector = selector;
}

static void load_null(struct soft_vcpu *v, enum x86_seg seg, uint16_t selector)
{
	if (seg == X86_SS && (v->code != X86_CODE_64 || v->cpl == 3 || selector != v->cpl))
		soft_raise_sel(v, X86_EXC_GP, 0);
	x86_seg_null(selector, seg == X86_SS ? v->cpl : 0, &v->seg[seg]);
}

static void load_descriptor(struct soft_vcpu *v, enum x86_seg seg, uint16_t selector)
{
	struct soft_desc d;
	uint8_t vector;

	soft_desc_get(v, selector, X86_EXC_GP, &d);
	vector = seg == X86_SS ? x86_check_stack(&d.seg, v->cpl) : x86_check_data(&d.seg, v->cpl);
	soft_raise_sel_if(v, vector, selector);
	soft_desc_accessed(v, &d);
	v->seg[seg] = d.seg;
}

void soft_seg_load(struct soft_vcpu *v, enum x86_seg seg, uint16_t selector)
{
	if (soft_no_descriptors(v))
		soft_seg_load_real(v, seg, selector);
	else if (X86_SEL_NULL(selector))
		load_null(v, seg, selector);
	else
		load_descriptor(v, seg, selector);
	if (seg == X86_SS)
		soft_mode_changed(v);
	else
		soft_seg_changed(v, seg);
}

/*
 * The base stays: in 64-bit mode it is what counts of GS, and system programs expect it. Any null
 * selector becomes 0, its RPL with it.
 */
void soft_seg_leave_inner(struct soft_vcpu *v)
{
	static const enum x86_seg data[] = { X86_ES, X86_DS, X86_FS, X86_GS };

	for (unsigned int i = 0; i < ARRAY_SIZE(data); i++) {
		struct x86_segment *s = &v->seg[data[i]];

		if (X86_SEL_NULL(s->selector))
			s->selector = 0;
		if (!x86_seg_out_of_reach(s, v->cpl))
			continue;
		s->selector = 0;
		s->attr = X86_ATTR_UNUSABLE;
		soft_seg_changed(v, data[i]);
	}
}

/* -------- stacks -------- */

void soft_stack_here(struct soft_vcpu *v, struct soft_stack *s)
{
	s->ss = v->seg[X86_SS];
	s->sp = v->gpr[X86_RSP];
	s->width = v->stack_size;
	s->index = v->mmu_index;
	s->error = soft_ext(v);
}

static uint64_t tss_load(struct soft_vcpu *v, uint32_t off, unsigned int size)
{
	if (off + size - 1 > v->tr.limit)
		soft_raise_sel(v, X86_EXC_TS, v->tr.selector);
	return soft_load_sys(v, soft_sys_lin(v, v->tr.base, off), size);
}

/* SS:ESP of level @cpl in a legacy TSS. */
static void inner_legacy(struct soft_vcpu *v, uint8_t cpl, struct soft_stack *s)
{
	struct soft_desc d;
	uint16_t selector;
	uint8_t vector;

	if (X86_ATTR_TYPE(v->tr.attr) & 8) {
		/* One look at the limit for both: nothing is read that is half there. */
		selector = tss_load(v, cpl * 8 + 8, 2);
		s->sp = tss_load(v, cpl * 8 + 4, 4);
	} else {
		selector = tss_load(v, cpl * 4 + 4, 2);
		s->sp = tss_load(v, cpl * 4 + 2, 2);
	}
	if (X86_SEL_NULL(selector))
		soft_raise_sel(v, X86_EXC_TS, 0);
	soft_desc_get(v, selector, X86_EXC_TS, &d);
	vector = x86_check_stack(&d.seg, cpl);
	soft_raise_sel_if(v, vector == X86_EXC_GP ? X86_EXC_TS : vector, selector);
	soft_desc_accessed(v, &d);
	s->ss = d.seg;
	s->width = d.seg.attr & X86_ATTR_DB ? 4 : 2;
	s->error = (selector & ~3u) | soft_ext(v);
}

void soft_stack_inner(struct soft_vcpu *v, uint8_t cpl, uint8_t ist, struct soft_stack *s)
{
	s->index = cpl == 3 ? SOFT_MMU_USER : SOFT_MMU_KERNEL;
	if (!soft_long_mode(v)) {
		inner_legacy(v, cpl, s);
		return;
	}
	s->sp = tss_load(v, ist ? 0x1c + ist * 8 : 4 + cpl * 8, 8);
	s->width = 8;
	s->error = soft_ext(v);
	if (!soft_canonical(v, s->sp))
		soft_raise_error(v, X86_EXC_SS, s->error);
	if (cpl < v->cpl)
		x86_seg_null(cpl, cpl, &s->ss);
	else
		s->ss = v->seg[X86_SS];
}

static uint64_t stack_place(
	struct soft_vcpu *v, const struct soft_stack *s, uint64_t sp, uint32_t n)
{
	if (s->width == 8) {
		if (!soft_canonical(v, sp) || !soft_canonical(v, sp + n - 1))
			soft_raise_error(v, X86_EXC_SS, s->error);
		return sp;
	}
	if (!x86_seg_holds(&s->ss, sp, n))
		soft_raise_error(v, X86_EXC_SS, s->error);
	return (uint32_t)(s->ss.base + sp);
}

/* The pointer may wrap between two pushes, but none may lie across its segment's end: with a frame of
 * equal pieces the one look at the whole and at the pieces differ only for a pointer that wraps. */
void soft_stack_room(struct soft_vcpu *v, const struct soft_stack *s, uint32_t n)
{
	uint64_t mask = soft_width_mask(s->width), sp = s->sp & mask;

	if (sp && sp < n)
		return; /* wraps: soft_stack_push() looks at each */
	stack_place(v, s, (sp - n) & mask, n);
}

void soft_stack_push(struct soft_vcpu *v, struct soft_stack *s, unsigned int size, uint64_t value)
{
	uint64_t mask = soft_width_mask(s->width), sp = (s->sp - size) & mask;

	soft_store_lin(v, X86_SS, stack_place(v, s, sp, size), size, value, s->index);
	s->sp = s->width == 2 ? (s->sp & ~mask) | sp : sp;
}

uint64_t soft_stack_peek(struct soft_vcpu *v, uint32_t off, unsigned int size)
{
	uint64_t sp = (v->gpr[X86_RSP] + off) & soft_width_mask(v->stack_size);

	return soft_load(v, X86_SS, sp, size);
}

void soft_set_sp(struct soft_vcpu *v, uint8_t width, uint64_t value)
{
	if (width == 2)
		value = (v->gpr[X86_RSP] & 0xffff0000) | (value & 0xffff);
	else if (width == 4)
		value = (uint32_t)value;
	v->gpr[X86_RSP] = value;
}

/* -------- code -------- */

void soft_check_rip(struct soft_vcpu *v, const struct x86_segment *cs, uint64_t rip)
{
	bool ok = soft_long_mode(v) && (cs->attr & X86_ATTR_L) ? soft_canonical(v, rip)
							       : rip <= cs->limit;

	if (!ok)
		soft_raise_error(v, X86_EXC_GP, soft_ext(v));
}
