// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * event - delivery of exceptions and interrupts, and the instructions that raise them.
 *
 * Source: SDM, volume 3, Interrupt and Exception Handling and 8086 Emulation; AMD APM, volume 2,
 * Exceptions and Interrupts.
 *
 * Delivery may raise at every step up to its commit, and until then nothing but memory below a stack's
 * pointer has changed. The run loop then comes again with the new exception while v->in_event tells
 * that the one in v->delivering was on its way: combine() makes a double fault or a shutdown of the two.
 */
#include "accel/soft/far.h"
#include "accel/soft/mmu.h"

#define IDT_ERROR(vector) ((uint32_t)(vector)*8 + 2)
#define TSS_IO_BASE	  0x66
#define TSS_REDIRECTION	  32 /* bytes, before the I/O permission bitmap */

/* -------- which event -------- */

enum severity { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT };

static enum severity severity(const struct soft_event *e)
{
	if (e->kind != SOFT_EVENT_FAULT)
		return BENIGN;
	switch (e->vector) {
	case X86_EXC_DE:
	case X86_EXC_TS:
	case X86_EXC_NP:
	case X86_EXC_SS:
	case X86_EXC_GP:
		return CONTRIBUTORY;
	case X86_EXC_PF:
		return PAGE_FAULT;
	case X86_EXC_DF:
		return DOUBLE_FAULT;
	default:
		return BENIGN;
	}
}

/* What @second makes of the event that was being delivered: SDM, Interrupt 8 - Double Fault
 * Exception. False: the CPU shuts down. */
static bool combine(
	const struct soft_event *first, const struct soft_event *second, struct soft_event *out)
{
	enum severity a = severity(first), b = severity(second);

	*out = *second;
	if (a == BENIGN || b == BENIGN)
		return true;
	if (a == DOUBLE_FAULT)
		return false;
	if (a == CONTRIBUTORY && b == PAGE_FAULT)
		return true;
	*out = (struct soft_event){ .vector = X86_EXC_DF, .has_error = true };
	return true;
}

/* Where the event's handler returns to. */
uint64_t soft_return_rip(const struct soft_vcpu *v, const struct soft_event *e)
{
	bool after = e->kind == SOFT_EVENT_SOFT_INT || e->kind == SOFT_EVENT_INT1;

	return after ? v->gpr[X86_REG_RIP] : v->rip;
}

/* The flags it returns with: RF keeps an instruction that faulted from hitting its breakpoint again.
 * (Not if it is the breakpoint that faulted: the handler decides.) */
uint64_t soft_return_flags(const struct soft_vcpu *v, const struct soft_event *e)
{
	bool breakpoint = e->vector == X86_EXC_DB && !(e->dr6 & X86_DR6_BD);
	bool fault = e->kind == SOFT_EVENT_FAULT && e->vector != X86_EXC_DF && !breakpoint;

	return v->rflags | (fault ? X86_FLAG_RF : 0);
}

/* -------- frames -------- */

/* A handler's address and level, and the stack that its frame goes to. */
struct entry {
	struct soft_desc code;
	struct soft_stack stack;
	uint64_t rip;
	uint8_t cpl;
	uint8_t size;	   /* of what is pushed */
	bool masks;	   /* clears IF */
	bool pushes_stack; /* SS:rSP too */
};

static void push_frame(struct soft_vcpu *v, const struct soft_event *e, struct entry *n)
{
	struct soft_stack *s = &n->stack;
	uint64_t sp = v->gpr[X86_RSP];

	if (soft_vm86(v)) {
		soft_stack_push(v, s, n->size, v->seg[X86_GS].selector);
		soft_stack_push(v, s, n->size, v->seg[X86_FS].selector);
		soft_stack_push(v, s, n->size, v->seg[X86_DS].selector);
		soft_stack_push(v, s, n->size, v->seg[X86_ES].selector);
	}
	if (n->pushes_stack) {
		soft_stack_push(v, s, n->size, v->seg[X86_SS].selector);
		soft_stack_push(v, s, n->size, sp);
	}
	soft_stack_push(v, s, n->size, soft_return_flags(v, e));
	soft_stack_push(v, s, n->size, v->seg[X86_CS].selector);
	soft_stack_push(v, s, n->size, soft_return_rip(v, e));
	if (e->has_error)
		soft_stack_push(v, s, n->size, e->error);
}

static uint32_t frame_bytes(
	const struct soft_vcpu *v, const struct soft_event *e, const struct entry *n)
{
	unsigned int words = 3 + e->has_error;

	if (n->pushes_stack)
		words += 2;
	if (soft_vm86(v))
		words += 4;
	return words * n->size;
}

/* Nothing raises from here on. */
static void commit(struct soft_vcpu *v, const struct entry *n)
{
	uint64_t clear = X86_FLAG_TF | X86_FLAG_NT | X86_FLAG_RF | X86_FLAG_VM;
	bool vm86 = soft_vm86(v);

	if (vm86) {
		x86_seg_null(0, 0, &v->seg[X86_ES]);
		x86_seg_null(0, 0, &v->seg[X86_DS]);
		x86_seg_null(0, 0, &v->seg[X86_FS]);
		x86_seg_null(0, 0, &v->seg[X86_GS]);
	}
	v->rflags &= ~(clear | (n->masks ? X86_FLAG_IF : 0));
	v->seg[X86_SS] = n->stack.ss;
	v->gpr[X86_RSP] = n->stack.sp;
	soft_set_cs(v, &n->code.seg, n->cpl);
	v->rip = n->rip;
	if (vm86)
		soft_mode_changed(v);
	else
		soft_level_changed(v);
}

/* -------- protected and long mode -------- */

static void read_gate(struct soft_vcpu *v, const struct soft_event *e, struct x86_gate *g)
{
	bool long_mode = soft_long_mode(v);
	uint32_t size = long_mode ? 16 : 8, off = e->vector * size;
	uint32_t error = IDT_ERROR(e->vector) | soft_ext(v);
	uint64_t lo, hi = 0;
	uint32_t good = 1u << X86_DESC_INT32 | 1u << X86_DESC_TRAP32;

	if (off + size - 1 > v->idtr.limit)
		soft_gp(v, error);
	lo = soft_load_sys(v, soft_sys_lin(v, v->idtr.base, off), 8);
	if (long_mode)
		hi = soft_load_sys(v, soft_sys_lin(v, v->idtr.base, off + 8), 8);
	else
		good |= 1u << X86_DESC_TASK | 1u << X86_DESC_INT16 | 1u << X86_DESC_TRAP16;
	x86_desc_gate(lo, hi & UINT32_MAX, long_mode, g);
	if (g->type >= 16 || !(good >> g->type & 1) ||
		(e->kind == SOFT_EVENT_SOFT_INT && g->dpl < v->cpl))
		soft_gp(v, error);
	if (!g->present)
		soft_raise_error(v, X86_EXC_NP, error);
}

static void find_handler(struct soft_vcpu *v, const struct x86_gate *g, struct entry *n)
{
	bool long_mode = soft_long_mode(v);
	uint8_t vector;

	if (X86_SEL_NULL(g->selector))
		soft_gp(v, soft_ext(v));
	soft_desc_get(v, g->selector, X86_EXC_GP, &n->code);
	vector = x86_check_code_gate(&n->code.seg, v->cpl, false, long_mode);
	soft_raise_sel_if(v, vector, g->selector);
	n->cpl = x86_code_level(&n->code.seg, v->cpl);
	/* Out of VM86 only to level 0. */
	if (soft_vm86(v) && n->cpl)
		soft_raise_sel(v, X86_EXC_GP, g->selector);
	n->rip = g->offset;
	n->masks = g->type == X86_DESC_INT16 || g->type == X86_DESC_INT32;
	n->size = long_mode ? 8 : g->type >= X86_DESC_INT32 ? 4 : 2;
	n->pushes_stack = long_mode || n->cpl < v->cpl;
}

static void find_stack(struct soft_vcpu *v, const struct x86_gate *g, struct entry *n)
{
	if (n->cpl < v->cpl || g->ist)
		soft_stack_inner(v, n->cpl, g->ist, &n->stack);
	else
		soft_stack_here(v, &n->stack);
	if (soft_long_mode(v)) {
		n->stack.width = 8;
		n->stack.sp &= ~0xfull;
	}
}

static void deliver_protected(struct soft_vcpu *v, const struct soft_event *e)
{
	struct x86_gate g;
	struct entry n;

	read_gate(v, e, &g);
	if (g.type == X86_DESC_TASK) {
		soft_task_switch(v, g.selector, SOFT_TASK_GATE, e->has_error, e->error);
		return;
	}
	find_handler(v, &g, &n);
	find_stack(v, &g, &n);
	soft_stack_room(v, &n.stack, frame_bytes(v, e, &n));
	soft_check_rip(v, &n.code.seg, n.rip);
	soft_desc_accessed(v, &n.code);
	push_frame(v, e, &n);
	commit(v, &n);
}

/* -------- real mode, and what VM86 with VME does like it -------- */

/* The handler at @ivt (selector and offset); @flags is the image to push. */
static void enter_8086(
	struct soft_vcpu *v, uint32_t ivt, uint64_t flags, uint64_t rip, uint64_t clear)
{
	struct soft_stack s;

	soft_stack_here(v, &s);
	soft_stack_room(v, &s, 6);
	if ((ivt & 0xffff) > v->seg[X86_CS].limit)
		soft_gp(v, 0);
	soft_stack_push(v, &s, 2, flags);
	soft_stack_push(v, &s, 2, v->seg[X86_CS].selector);
	soft_stack_push(v, &s, 2, rip);
	soft_set_sp(v, s.width, s.sp);
	v->rflags &= ~clear;
	soft_seg_load_real(v, X86_CS, ivt >> 16);
	v->gpr[X86_REG_RIP] = ivt & 0xffff;
	soft_mode_changed(v);
}

static void deliver_real(struct soft_vcpu *v, const struct soft_event *e)
{
	uint32_t off = e->vector * 4;

	if (off + 3 > v->idtr.limit)
		soft_gp(v, IDT_ERROR(e->vector));
	enter_8086(v, soft_load_sys(v, (uint32_t)(v->idtr.base + off), 4), v->rflags,
		soft_return_rip(v, e), X86_FLAG_IF | X86_FLAG_TF | X86_FLAG_RF | X86_FLAG_AC);
	v->rip = v->gpr[X86_REG_RIP];
}

/* -------- all -------- */

/* What is visible of an exception before its handler runs. */
static void note(struct soft_vcpu *v, const struct soft_event *e)
{
	bool hardware = e->kind == SOFT_EVENT_FAULT || e->kind == SOFT_EVENT_TRAP;

	if (hardware && e->vector == X86_EXC_PF)
		v->cr2 = e->cr2;
	if (e->vector != X86_EXC_DB || e->kind == SOFT_EVENT_SOFT_INT)
		return;
	/* A data breakpoint that MOV SS held back comes with it. Bits 0 to 3 tell of this event alone,
	 * the others collect. */
	if (hardware || v->pending_dr6)
		v->dr[6] = (v->dr[6] & ~0xfull) | e->dr6 | v->pending_dr6;
	v->pending_dr6 = 0;
	v->dr[7] &= ~X86_DR7_GD;
}

bool soft_event_deliver(struct soft_vcpu *v, const struct soft_event *e)
{
	struct soft_event now = *e;

	note(v, &now);
	if (v->in_event && !combine(&v->delivering, e, &now)) {
		v->in_event = false;
		return false;
	}
	v->delivering = now;
	v->in_event = true;
	if (soft_real_mode(v))
		deliver_real(v, &now);
	else
		deliver_protected(v, &now);
	v->in_event = false;
	v->shadow = 0;
	v->halted = false;
	return true;
}

/* -------- instructions -------- */

static _Noreturn void soft_interrupt(struct soft_vcpu *v, uint8_t vector)
{
	struct soft_event e = { .vector = vector, .kind = SOFT_EVENT_SOFT_INT };

	soft_raise_event(v, &e);
}

/* VME: does the TSS leave INT @vector to the 8086 program's own handler? */
static bool redirected(struct soft_vcpu *v, uint8_t vector)
{
	uint32_t off;

	if (TSS_IO_BASE + 1 > v->tr.limit)
		soft_gp(v, 0);
	off = soft_load_sys(v, soft_sys_lin(v, v->tr.base, TSS_IO_BASE), 2);
	off = off - TSS_REDIRECTION + vector / 8;
	if (off > v->tr.limit)
		soft_gp(v, 0);
	return !(soft_load_sys(v, soft_sys_lin(v, v->tr.base, off), 1) >> (vector % 8) & 1);
}

/* The interrupt table at linear 0 is the program's memory: read at its level. With IOPL below 3 the
 * interrupt flag that the program sees and changes is VIF. */
static void int_8086(struct soft_vcpu *v, uint8_t vector)
{
	uint32_t ivt = soft_load_lin(v, X86_DS, vector * 4, 4, v->mmu_index);
	uint64_t flags = v->rflags, clear = X86_FLAG_TF | X86_FLAG_IF;

	if ((flags & X86_FLAG_IOPL) != X86_FLAG_IOPL) {
		clear = X86_FLAG_TF | X86_FLAG_VIF;
		flags |= X86_FLAG_IOPL | X86_FLAG_IF;
		if (!(flags & X86_FLAG_VIF))
			flags &= ~(uint64_t)X86_FLAG_IF;
	}
	enter_8086(v, ivt, flags, v->gpr[X86_REG_RIP], clear);
}

void soft_int_n(struct soft_vcpu *v, const struct soft_op *o)
{
	uint8_t vector = o->i.imm;

	if (!soft_real_mode(v) && soft_vm86(v)) {
		if ((v->cr4 & X86_CR4_VME) && redirected(v, vector)) {
			int_8086(v, vector);
			return;
		}
		if ((v->rflags & X86_FLAG_IOPL) != X86_FLAG_IOPL)
			soft_gp(v, 0);
	}
	soft_interrupt(v, vector);
}

void soft_int3(struct soft_vcpu *v, const struct soft_op *o)
{
	soft_interrupt(v, X86_EXC_BP);
}

void soft_int1(struct soft_vcpu *v, const struct soft_op *o)
{
	struct soft_event e = { .vector = X86_EXC_DB, .kind = SOFT_EVENT_INT1 };

	soft_raise_event(v, &e);
}

void soft_into(struct soft_vcpu *v, const struct soft_op *o)
{
	if (v->rflags & X86_FLAG_OF)
		soft_interrupt(v, X86_EXC_OF);
}
