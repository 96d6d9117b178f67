// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * far - far JMP, CALL and RET, with all that the selector may lead to: code, a call gate, a task.
 *
 * Source: SDM, volume 2, CALL, JMP, RET; volume 3, Protection.
 *
 * SPEC: a JMP or CALL with REX.W takes a 64-bit offset from memory, as Intel's CPUs do. AMD's take 32
 * bits, so no program that runs there has a use for the prefix; but what is made for any x86-64, and
 * for virtual machines, which all do as Intel, may have one (kvm-unit-tests).
 */
#include "accel/soft/far.h"
#include "accel/soft/mmu.h"

#define MAX_PARAMS 31

uint16_t soft_load_far(
	struct soft_vcpu *v, const struct x86_insn *i, unsigned int size, uint64_t *offset)
{
	uint64_t ea = soft_ea(v, i);

	*offset = soft_load(v, i->seg, ea, size);
	return soft_load(v, i->seg, (ea + size) & soft_width_mask(i->addrsize), 2);
}

/* What a transfer to code needs to know. */
struct target {
	struct soft_desc d;
	uint64_t rip;
	uint8_t size; /* of what a CALL pushes */
	bool call;
};

static void go(struct soft_vcpu *v, const struct x86_segment *cs, uint8_t cpl, uint64_t rip)
{
	soft_set_cs(v, cs, cpl);
	v->gpr[X86_REG_RIP] = rip;
	soft_mode_changed(v);
}

static void push_return(struct soft_vcpu *v, struct soft_stack *s, uint8_t size)
{
	soft_stack_push(v, s, size, v->seg[X86_CS].selector);
	soft_stack_push(v, s, size, v->gpr[X86_REG_RIP]);
}

/* To code whose descriptor was checked, CPL stays. */
static void same_level(struct soft_vcpu *v, struct target *t)
{
	struct soft_stack s;

	soft_stack_here(v, &s);
	if (t->call)
		soft_stack_room(v, &s, 2 * t->size);
	soft_check_rip(v, &t->d.seg, t->rip);
	soft_desc_accessed(v, &t->d);
	if (t->call) {
		push_return(v, &s, t->size);
		soft_set_sp(v, s.width, s.sp);
	}
	go(v, &t->d.seg, v->cpl, t->rip);
}

/* Through a call gate to an inner level. */
static void inner_level(struct soft_vcpu *v, struct target *t, const struct x86_gate *g)
{
	uint8_t cpl = X86_ATTR_DPL(t->d.seg.attr), size = t->size;
	unsigned int n = soft_long_mode(v) ? 0 : g->params;
	uint32_t params[MAX_PARAMS];
	struct soft_stack s;

	soft_stack_inner(v, cpl, 0, &s);
	soft_stack_room(v, &s, (4 + n) * size);
	soft_check_rip(v, &t->d.seg, t->rip);
	for (unsigned int i = 0; i < n; i++)
		params[i] = soft_stack_peek(v, i * size, size);
	soft_desc_accessed(v, &t->d);
	soft_stack_push(v, &s, size, v->seg[X86_SS].selector);
	soft_stack_push(v, &s, size, v->gpr[X86_RSP]);
	while (n)
		soft_stack_push(v, &s, size, params[--n]);
	push_return(v, &s, size);
	v->seg[X86_SS] = s.ss;
	v->gpr[X86_RSP] = s.sp;
	go(v, &t->d.seg, cpl, t->rip);
}

/* May CPL use the gate or TSS whose selector and DPL these are? */
static void check_gate_dpl(struct soft_vcpu *v, uint16_t selector, uint8_t dpl)
{
	if (dpl < v->cpl || dpl < X86_SEL_RPL(selector))
		soft_raise_sel(v, X86_EXC_GP, selector);
}

static void call_gate(struct soft_vcpu *v, const struct soft_desc *d, bool call)
{
	bool long_mode = soft_long_mode(v);
	uint16_t selector = d->seg.selector;
	struct target t = { .call = call };
	struct x86_gate g;

	x86_desc_gate(d->lo, soft_desc_upper(v, d), long_mode, &g);
	check_gate_dpl(v, selector, g.dpl);
	if (!g.present)
		soft_raise_sel(v, X86_EXC_NP, selector);
	if (X86_SEL_NULL(g.selector))
		soft_gp(v, 0);
	soft_desc_get(v, g.selector, X86_EXC_GP, &t.d);
	soft_raise_sel_if(v, x86_check_code_gate(&t.d.seg, v->cpl, !call, long_mode), g.selector);
	t.rip = g.offset;
	t.size = long_mode ? 8 : g.type == X86_DESC_CALL32 ? 4 : 2;
	if (call && x86_code_level(&t.d.seg, v->cpl) < v->cpl)
		inner_level(v, &t, &g);
	else
		same_level(v, &t);
}

/* A gate or a TSS. */
static void to_system(struct soft_vcpu *v, const struct soft_desc *d, bool call)
{
	uint16_t selector = d->seg.selector;
	uint8_t type = x86_attr_system(d->seg.attr);
	struct x86_gate g;

	if (type == X86_DESC_CALL32 || (type == X86_DESC_CALL16 && !soft_long_mode(v))) {
		call_gate(v, d, call);
		return;
	}
	if (soft_long_mode(v) ||
		(type != X86_DESC_TASK && type != X86_DESC_TSS16 && type != X86_DESC_TSS32))
		soft_raise_sel(v, X86_EXC_GP, selector);
	check_gate_dpl(v, selector, X86_ATTR_DPL(d->seg.attr));
	if (!(d->seg.attr & X86_ATTR_P))
		soft_raise_sel(v, X86_EXC_NP, selector);
	if (type == X86_DESC_TASK) {
		x86_desc_gate(d->lo, 0, false, &g);
		selector = g.selector;
	}
	soft_task_switch(v, selector, call ? SOFT_TASK_CALL : SOFT_TASK_JMP, false, 0);
}

static void far_real(struct soft_vcpu *v, uint16_t selector, struct target *t)
{
	struct soft_stack s;

	soft_stack_here(v, &s);
	if (t->call)
		soft_stack_room(v, &s, 2 * t->size);
	if (t->rip > v->seg[X86_CS].limit)
		soft_gp(v, 0);
	if (t->call) {
		push_return(v, &s, t->size);
		soft_set_sp(v, s.width, s.sp);
	}
	soft_seg_load_real(v, X86_CS, selector);
	v->gpr[X86_REG_RIP] = t->rip;
	soft_mode_changed(v);
}

static void far_transfer(struct soft_vcpu *v, const struct x86_insn *i, bool call)
{
	struct target t = { .size = i->opsize, .call = call };
	uint16_t selector;

	if (i->operand[0].kind == X86_OPND_MEM) {
		selector = soft_load_far(v, i, i->opsize, &t.rip);
	} else {
		selector = i->imm2;
		t.rip = i->imm & soft_width_mask(i->opsize);
	}
	if (soft_no_descriptors(v)) {
		far_real(v, selector, &t);
		return;
	}
	if (X86_SEL_NULL(selector))
		soft_gp(v, 0);
	soft_desc_get(v, selector, X86_EXC_GP, &t.d);
	if (!(t.d.seg.attr & X86_ATTR_S)) {
		to_system(v, &t.d, call);
		return;
	}
	soft_raise_sel_if(v, x86_check_code_direct(&t.d.seg, v->cpl, soft_long_mode(v)), selector);
	same_level(v, &t);
}

static void jmp_far(struct soft_vcpu *v, const struct soft_op *o)
{
	far_transfer(v, &o->i, false);
}

static void call_far(struct soft_vcpu *v, const struct soft_op *o)
{
	far_transfer(v, &o->i, true);
}

/* -------- RET -------- */

/* A null SS is a stack in 64-bit mode, but not in user mode. */
static void outer_stack(
	struct soft_vcpu *v, const struct x86_segment *cs, uint16_t selector, struct soft_desc *d)
{
	uint8_t cpl = X86_SEL_RPL(cs->selector);
	bool code64 = soft_long_mode(v) && (cs->attr & X86_ATTR_L);

	if (X86_SEL_NULL(selector)) {
		if (!code64 || cpl == 3 || X86_SEL_RPL(selector) != cpl)
			soft_raise_sel(v, X86_EXC_GP, selector);
		x86_seg_null(selector, cpl, &d->seg);
		return;
	}
	soft_desc_get(v, selector, X86_EXC_GP, d);
	soft_raise_sel_if(v, x86_check_stack(&d->seg, cpl), selector);
	soft_desc_accessed(v, d);
}

void soft_return_outer(struct soft_vcpu *v, const struct soft_return *r)
{
	uint8_t cpl = X86_SEL_RPL(r->cs.selector);
	bool grows = cpl > v->cpl;
	struct soft_desc d;

	outer_stack(v, &r->cs, r->ss, &d);
	soft_check_rip(v, &r->cs, r->rip);
	v->seg[X86_SS] = d.seg;
	soft_set_cs(v, &r->cs, cpl);
	soft_set_flags(v, r->flags, r->mask);
	v->gpr[X86_REG_RIP] = r->rip;
	soft_level_changed(v);
	/* To a 16-bit stack the upper half of ESP stays the inner one's, as in hardware. */
	soft_set_sp(v, v->stack_size, r->sp);
	if (grows)
		soft_seg_leave_inner(v);
}

static void ret_real(struct soft_vcpu *v, uint8_t size, uint16_t extra)
{
	uint64_t rip = soft_stack_peek(v, 0, size);
	uint16_t selector = soft_stack_peek(v, size, size);

	if (rip > v->seg[X86_CS].limit)
		soft_gp(v, 0);
	soft_set_sp(v, v->stack_size, v->gpr[X86_RSP] + 2 * size + extra);
	soft_seg_load_real(v, X86_CS, selector);
	v->gpr[X86_REG_RIP] = rip;
	soft_mode_changed(v);
}

static void ret_far(struct soft_vcpu *v, const struct soft_op *o)
{
	uint16_t extra = o->i.operand[0].kind == X86_OPND_IMM ? o->i.imm : 0, cs;
	uint8_t size = o->i.opsize;
	struct soft_return r = { 0 };
	struct soft_desc d;

	if (soft_no_descriptors(v)) {
		ret_real(v, size, extra);
		return;
	}
	r.rip = soft_stack_peek(v, 0, size);
	cs = soft_stack_peek(v, size, size);
	if (X86_SEL_NULL(cs))
		soft_gp(v, 0);
	soft_desc_get(v, cs, X86_EXC_GP, &d);
	soft_raise_sel_if(v, x86_check_code_return(&d.seg, v->cpl, soft_long_mode(v)), cs);
	if (X86_SEL_RPL(cs) == v->cpl) {
		soft_check_rip(v, &d.seg, r.rip);
		soft_desc_accessed(v, &d);
		soft_set_sp(v, v->stack_size, v->gpr[X86_RSP] + 2 * size + extra);
		go(v, &d.seg, v->cpl, r.rip);
		return;
	}
	r.sp = soft_stack_peek(v, 2 * size + extra, size) + extra;
	r.ss = soft_stack_peek(v, 3 * size + extra, size);
	soft_desc_accessed(v, &d);
	r.cs = d.seg;
	soft_return_outer(v, &r);
}

static void rsm(struct soft_vcpu *v, const struct soft_op *o)
{
	soft_ud(v); /* there is no system management mode to leave */
}

soft_fn *soft_far_fn(struct soft_vcpu *v, struct soft_op *o)
{
	soft_fn *fn;

	switch (o->i.op) {
	case X86_OP_JMPF:
		return jmp_far;
	case X86_OP_CALLF:
		return call_far;
	case X86_OP_RETF:
		return ret_far;
	case X86_OP_INT:
		return soft_int_n;
	case X86_OP_INT3:
		return soft_int3;
	case X86_OP_INT1:
		return soft_int1;
	case X86_OP_INTO:
		return soft_into;
	case X86_OP_IRET:
		return soft_iret;
	case X86_OP_RSM:
		return rsm;
	default:
		fn = soft_seg_fn(o);
		return fn ? fn : soft_syscall_fn(o);
	}
}
