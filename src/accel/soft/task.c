// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * task - hardware task switches, by JMP, CALL, IRET or through a task gate; legacy mode only.
 *
 * Source: SDM, volume 3, Task Management. The switch has three parts. prepare() reads the new task's
 * TSS and raises in the old task. store() writes the old TSS, the link and the busy bits; it may still
 * raise, and all it wrote may be written again. From take() on the vCPU is in the new task: what
 * load_segments() raises is the new task's fault, with the registers that are not loaded yet unusable.
 */
#include "accel/soft/far.h"
#include "accel/soft/mmu.h"

#define DR7_LOCAL   0x155u /* L0-L3, LE */
#define TSS_LINK    0
#define TSS32_CR3   0x1c
#define TSS32_LIMIT 0x67
#define TSS16_LIMIT 0x2b
#define TSS32_TRAP  0x64
#define TSS32_LDT   0x60
#define TSS16_LDT   0x2a
#define TSS32_BIT   8 /* of the descriptor's type */
#define TSS32_FIRST 0x20
#define TSS16_FIRST 0x0e

struct task {
	struct soft_desc d;
	bool wide; /* 32-bit TSS */
	uint32_t cr3, eip, eflags;
	uint32_t gpr[8];
	uint16_t seg[X86_NSEG];
	uint16_t ldt;
	bool trap;
};

/* -------- the old task -------- */

static uint64_t tss_lin(const struct x86_segment *tss, uint32_t off)
{
	return (uint32_t)(tss->base + off);
}

static void read_tss(struct soft_vcpu *v, struct task *t)
{
	const struct x86_segment *tss = &t->d.seg;
	unsigned int size = t->wide ? 4 : 2, n_seg = t->wide ? 6 : 4;
	uint32_t off = t->wide ? TSS32_FIRST : TSS16_FIRST;

	t->eip = soft_load_sys(v, tss_lin(tss, off), size);
	t->eflags = soft_load_sys(v, tss_lin(tss, off += size), size);
	for (unsigned int i = 0; i < 8; i++)
		t->gpr[i] = soft_load_sys(v, tss_lin(tss, off += size), size);
	for (unsigned int i = 0; i < n_seg; i++)
		t->seg[i] = soft_load_sys(v, tss_lin(tss, off += size), 2);
	if (!t->wide) {
		t->ldt = soft_load_sys(v, tss_lin(tss, TSS16_LDT), 2);
		return;
	}
	t->cr3 = soft_load_sys(v, tss_lin(tss, TSS32_CR3), 4);
	t->ldt = soft_load_sys(v, tss_lin(tss, TSS32_LDT), 2);
	t->trap = soft_load_sys(v, tss_lin(tss, TSS32_TRAP), 2) & 1;
}

static void prepare(
	struct soft_vcpu *v, uint16_t selector, enum soft_task_reason reason, struct task *t)
{
	bool back = reason == SOFT_TASK_IRET;
	uint8_t wrong = back ? X86_EXC_TS : X86_EXC_GP, type;

	if (X86_SEL_NULL(selector) || (selector & X86_SEL_TI))
		soft_raise_sel(v, wrong, selector);
	soft_desc_get(v, selector, wrong, &t->d);
	type = x86_attr_system(t->d.seg.attr);
	if ((type & ~TSS32_BIT) != (back ? X86_DESC_TSS16_BUSY : X86_DESC_TSS16))
		soft_raise_sel(v, wrong, selector);
	if (!(t->d.seg.attr & X86_ATTR_P))
		soft_raise_sel(v, X86_EXC_NP, selector);
	t->wide = type & TSS32_BIT;
	if (t->d.seg.limit < (t->wide ? TSS32_LIMIT : TSS16_LIMIT))
		soft_raise_sel(v, X86_EXC_TS, selector);
	read_tss(v, t);
}

static void save(struct soft_vcpu *v, uint32_t eip, uint32_t eflags)
{
	const struct x86_segment *tss = &v->tr;
	bool wide = X86_ATTR_TYPE(tss->attr) & TSS32_BIT;
	unsigned int size = wide ? 4 : 2, n_seg = wide ? 6 : 4;
	uint32_t off = wide ? TSS32_FIRST : TSS16_FIRST;

	if (tss->limit < (wide ? TSS32_LIMIT : TSS16_LIMIT))
		soft_raise_sel(v, X86_EXC_TS, tss->selector);
	soft_store_sys(v, tss_lin(tss, off), size, eip);
	soft_store_sys(v, tss_lin(tss, off += size), size, eflags);
	for (unsigned int i = 0; i < 8; i++)
		soft_store_sys(v, tss_lin(tss, off += size), size, v->gpr[i]);
	for (unsigned int i = 0; i < n_seg; i++)
		soft_store_sys(v, tss_lin(tss, off += size), 2, v->seg[i].selector);
}

static void store(struct soft_vcpu *v, enum soft_task_reason reason, struct task *t)
{
	bool nests = reason == SOFT_TASK_CALL || reason == SOFT_TASK_GATE;
	uint32_t eflags = v->rflags, eip = v->gpr[X86_REG_RIP];
	uint64_t old = 0;

	if (v->in_event) {
		eip = soft_return_rip(v, &v->delivering);
		eflags = soft_return_flags(v, &v->delivering);
	}
	if (reason == SOFT_TASK_IRET)
		eflags &= ~X86_FLAG_NT;
	save(v, eip, eflags);
	if (nests) {
		soft_store_sys(v, tss_lin(&t->d.seg, TSS_LINK), 2, v->tr.selector);
	} else if ((v->tr.selector | 7u) <= v->gdtr.limit) {
		old = soft_sys_lin(v, v->gdtr.base, v->tr.selector & ~7u);
		soft_desc_update(v, old, 0, 0);
	}
	if (reason != SOFT_TASK_IRET)
		soft_desc_update(v, t->d.lin, 0, X86_TYPE_BUSY);
	if (old)
		soft_desc_update(v, old, X86_TYPE_BUSY, 0);
	t->d.seg.attr |= X86_TYPE_BUSY;
}

/* -------- the new task -------- */

static void take(struct soft_vcpu *v, const struct task *t)
{
	bool vm86;

	v->tr = t->d.seg;
	v->cr0 |= X86_CR0_TS;
	v->dr[7] &= ~(uint64_t)DR7_LOCAL;
	v->rflags = (t->eflags & X86_FLAGS_ALL) | X86_FLAG_1;
	vm86 = soft_vm86(v);
	for (unsigned int i = 0; i < 8; i++)
		v->gpr[i] = t->gpr[i];
	for (unsigned int i = 0; i < X86_NSEG; i++) {
		if (vm86)
			x86_seg_vm86(t->seg[i], &v->seg[i]);
		else
			x86_seg_null(t->seg[i], 0, &v->seg[i]);
	}
	if (!vm86)
		v->seg[X86_SS].attr |= X86_SEL_RPL(t->seg[X86_CS]) << 5;
	x86_seg_null(t->ldt, 0, &v->ldtr);
	v->gpr[X86_REG_RIP] = v->rip = t->eip;
	soft_mode_changed(v);
	soft_watch_changed(v);
	if (t->wide && (v->cr0 & X86_CR0_PG))
		soft_set_cr3(v, t->cr3);
}

static void load_ldt(struct soft_vcpu *v, uint16_t selector)
{
	struct soft_desc d;

	if (X86_SEL_NULL(selector))
		return;
	if (selector & X86_SEL_TI)
		soft_raise_sel(v, X86_EXC_TS, selector);
	soft_desc_get(v, selector, X86_EXC_TS, &d);
	if (x86_attr_system(d.seg.attr) != X86_DESC_LDT || !(d.seg.attr & X86_ATTR_P))
		soft_raise_sel(v, X86_EXC_TS, selector);
	v->ldtr = d.seg;
}

/* Load one segment register; what would be #GP is #TS here. */
static void load_segment(struct soft_vcpu *v, enum x86_seg seg, uint16_t selector)
{
	bool needed = seg == X86_CS || seg == X86_SS;
	struct soft_desc d;
	uint8_t vector;

	if (X86_SEL_NULL(selector)) {
		if (needed)
			soft_raise_sel(v, X86_EXC_TS, selector);
		return;
	}
	soft_desc_get(v, selector, X86_EXC_TS, &d);
	if (seg == X86_CS)
		vector = x86_check_code_return(&d.seg, v->cpl, false);
	else if (seg == X86_SS)
		vector = x86_check_stack(&d.seg, v->cpl);
	else
		vector = x86_check_data(&d.seg, v->cpl);
	soft_raise_sel_if(v, vector == X86_EXC_GP ? X86_EXC_TS : vector, selector);
	soft_desc_accessed(v, &d);
	v->seg[seg] = d.seg;
	if (needed)
		soft_mode_changed(v);
	else
		soft_seg_changed(v, seg);
}

static void load_segments(struct soft_vcpu *v, const struct task *t)
{
	static const enum x86_seg order[] = { X86_CS, X86_SS, X86_ES, X86_DS, X86_FS, X86_GS };

	load_ldt(v, t->ldt);
	if (soft_vm86(v))
		return;
	for (unsigned int i = 0; i < ARRAY_SIZE(order); i++)
		load_segment(v, order[i], t->seg[order[i]]);
}

static void push_error(struct soft_vcpu *v, const struct task *t, uint32_t error)
{
	unsigned int size = t->wide ? 4 : 2;
	struct soft_stack s;

	soft_stack_here(v, &s);
	soft_stack_push(v, &s, size, error);
	v->gpr[X86_RSP] = s.sp;
}

void soft_task_switch(struct soft_vcpu *v, uint16_t tss_selector, enum soft_task_reason reason,
	bool has_error, uint32_t error)
{
	struct task t = { 0 };

	prepare(v, tss_selector, reason, &t);
	store(v, reason, &t);
	/* IRET to the task that it comes from, or TSSs that overlap: what was just saved counts. */
	read_tss(v, &t);
	if (reason == SOFT_TASK_CALL || reason == SOFT_TASK_GATE)
		t.eflags |= X86_FLAG_NT;
	take(v, &t);
	if (t.trap)
		v->pending_dr6 |= X86_DR6_BT;
	load_segments(v, &t);
	if (has_error)
		push_error(v, &t, error);
	soft_check_rip(v, &v->seg[X86_CS], v->rip);
}
