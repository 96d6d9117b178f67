// SPDX-License-Identifier: GPL-2.0-or-later
/* Delivery of exceptions and interrupts, and the way back by IRET. */
#include "accel/soft/far_testing.h"

#define HANDLER 0x12000
#define INT32	0x8e
#define TRAP32	0x8f
#define INT16	0x86
#define ALL_32	(3u << 5)

static const struct soft_event gp = { .vector = X86_EXC_GP, .has_error = true, .error = 0x1234 };

static void real_mode(void **state)
{
	rig_reset();
	put(0x21 * 4, 4, 0x1000abcd);
	v->rflags |= X86_FLAG_IF | X86_FLAG_TF | X86_FLAG_CF | X86_FLAG_AC;
	v->seg[X86_CS].selector = 0x55;
	v->halted = true;
	v->shadow = 1;
	assert_true(deliver_vector(0x21, SOFT_EVENT_SOFT_INT));
	assert_int_equal(v->rip, 0xabcd);
	assert_int_equal(v->seg[X86_CS].selector, 0x1000);
	assert_int_equal(v->seg[X86_CS].base, 0x10000);
	assert_int_equal(v->gpr[X86_RSP], 0xffea);
	assert_int_equal(stacked(0, 2), 0x102);
	assert_int_equal(stacked(1, 2), 0x55);
	assert_int_equal(stacked(2, 2), 0x303);
	assert_int_equal(v->rflags, X86_FLAG_1 | X86_FLAG_CF);
	assert_false(v->halted);
	assert_false(v->in_event);
	assert_int_equal(v->shadow, 0);
	/* And back. */
	assert_int_equal(run_op(X86_OP_IRET, 2), NO_EVENT);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x102);
	assert_int_equal(v->seg[X86_CS].base, 0x550);
	assert_int_equal(v->rflags, 0x303);
	assert_int_equal(v->gpr[X86_RSP], 0xfff0);
}

static void real_mode_faults(void **state)
{
	/* No error code; the instruction itself is returned to. */
	rig_reset();
	put(13 * 4, 4, 0x20000010);
	assert_true(deliver(&gp));
	assert_int_equal(v->rip, 0x10);
	assert_int_equal(stacked(0, 2), 0x100);
	assert_int_equal(v->gpr[X86_RSP], 0xffea);
	/* Beyond the table: #GP, that too: #DF, that too: shutdown. */
	v->idtr.limit = 0x7f;
	put(13 * 4, 4, 0x20000010);
	assert_true(deliver_vector(0x20, SOFT_EVENT_EXTERNAL));
	assert_int_equal(v->rip, 0x10);
	v->idtr.limit = 3;
	assert_false(deliver_vector(0x20, SOFT_EVENT_EXTERNAL));
	assert_false(v->in_event);
	/* A stack pointer of 1: #SS, as does its delivery. */
	rig_reset();
	v->gpr[X86_RSP] = 1;
	assert_false(deliver_vector(0x20, SOFT_EVENT_EXTERNAL));
	/* 0 wraps. */
	v->gpr[X86_RSP] = 0;
	assert_true(deliver_vector(0x20, SOFT_EVENT_EXTERNAL));
	assert_int_equal(v->gpr[X86_RSP], 0xfffa);
}

static void same_level(void **state)
{
	rig_protected(0);
	idt_set(13, CODE32_0, HANDLER, INT32, 0);
	v->rflags |= X86_FLAG_IF | X86_FLAG_NT | X86_FLAG_ZF | X86_FLAG_TF;
	assert_true(deliver(&gp));
	assert_int_equal(v->rip, HANDLER);
	assert_int_equal(stacked(0, 4), 0x1234);
	assert_int_equal(stacked(1, 4), CODE);
	assert_int_equal(stacked(2, 4), CODE32_0);
	assert_int_equal(stacked(3, 4),
		X86_FLAG_1 | X86_FLAG_IF | X86_FLAG_NT | X86_FLAG_ZF | X86_FLAG_TF | X86_FLAG_RF);
	assert_int_equal(v->gpr[X86_RSP], STACK_0 - 0x100 - 16);
	assert_int_equal(v->rflags, X86_FLAG_1 | X86_FLAG_ZF);
	/* The accessed bit was set in the table. */
	assert_int_equal(get(GDT + CODE32_0 + 5, 1), 0x9b);
	/* A trap gate leaves IF; a trap or an interrupt pushes no RF. */
	rig_protected(0);
	idt_set(0x20, CODE32_0, HANDLER, TRAP32, 0);
	v->rflags |= X86_FLAG_IF;
	assert_true(deliver_vector(0x20, SOFT_EVENT_EXTERNAL));
	assert_int_equal(v->rflags, X86_FLAG_1 | X86_FLAG_IF);
	assert_int_equal(stacked(2, 4), X86_FLAG_1 | X86_FLAG_IF);
	/* A 16-bit gate pushes words and has a 16-bit offset. */
	rig_protected(0);
	idt_set(13, CODE32_0, 0xffff1234, INT16, 0);
	assert_true(deliver(&gp));
	assert_int_equal(v->rip, 0x1234);
	assert_int_equal(v->gpr[X86_RSP], STACK_0 - 0x100 - 8);
	assert_int_equal(stacked(0, 2), 0x1234);
}

static void conforming_handler(void **state)
{
	rig_protected(3);
	idt_set(13, CONFORMING_0, HANDLER, INT32, 0);
	assert_true(deliver(&gp));
	assert_int_equal(v->cpl, 3);
	assert_int_equal(v->seg[X86_CS].selector, CONFORMING_0 | 3);
	assert_int_equal(v->gpr[X86_RSP], STACK_3 - 16);
}

static void inner_level(void **state)
{
	rig_protected(3);
	idt_set(13, CODE32_0, HANDLER, INT32, 0);
	v->rflags |= X86_FLAG_IF;
	assert_true(deliver(&gp));
	assert_int_equal(v->cpl, 0);
	assert_int_equal(v->seg[X86_CS].selector, CODE32_0);
	assert_int_equal(v->seg[X86_SS].selector, DATA_0);
	assert_int_equal(v->gpr[X86_RSP], STACK_0 - 24);
	assert_int_equal(stacked(0, 4), 0x1234);
	assert_int_equal(stacked(1, 4), CODE);
	assert_int_equal(stacked(2, 4), CODE32_3);
	assert_int_equal(stacked(4, 4), STACK_3);
	assert_int_equal(stacked(5, 4), DATA_3);
	/* Data segments stay, and those that only level 0 may use are cleared on the way back. */
	seg_set(X86_FS, DATA_0);
	v->gpr[X86_RSP] += 4;
	assert_int_equal(run_op(X86_OP_IRET, 4), NO_EVENT);
	assert_int_equal(v->cpl, 3);
	assert_int_equal(v->gpr[X86_RSP], STACK_3);
	assert_int_equal(v->gpr[X86_REG_RIP], CODE);
	assert_int_equal(v->seg[X86_FS].selector, 0);
	assert_true(v->seg[X86_FS].attr & X86_ATTR_UNUSABLE);
	assert_int_equal(v->seg[X86_DS].selector, DATA_3);
	assert_int_equal(v->rflags, X86_FLAG_1 | X86_FLAG_IF | X86_FLAG_RF);
	/* To level 1, 16-bit TSS. */
	rig_protected(3);
	v->tr.attr = 0x83;
	put(TSS + 6, 2, 0x7000);
	put(TSS + 8, 2, DATA_1);
	idt_set(13, CODE32_1 & ~3, HANDLER, INT32, 0);
	assert_true(deliver(&gp));
	assert_int_equal(v->cpl, 1);
	assert_int_equal(v->seg[X86_CS].selector, CODE32_1);
	assert_int_equal(v->gpr[X86_RSP], 0x7000 - 24);
}

static void gate_faults(void **state)
{
	struct soft_event e = { .vector = 0x20, .kind = SOFT_EVENT_EXTERNAL };
	struct soft_event n = { .vector = 0x20, .kind = SOFT_EVENT_SOFT_INT };
	uint32_t error = 0x20 * 8 + 2;

	rig_protected(3);
	assert_raises(deliver_raises(&e), X86_EXC_GP, error + 1); /* no gate */
	assert_raises(deliver_raises(&n), X86_EXC_GP, error);
	idt_set(0x20, CODE32_0, HANDLER, 0x0e, 0);
	assert_raises(deliver_raises(&e), X86_EXC_NP, error + 1);
	assert_raises(deliver_raises(&n), X86_EXC_GP, error); /* DPL first */
	idt_set(0x20, CODE32_0, HANDLER, 0x6e, 0);
	assert_raises(deliver_raises(&n), X86_EXC_NP, error);
	idt_set(0x20, CODE32_0, HANDLER, 0x8c, 0); /* a call gate */
	assert_raises(deliver_raises(&e), X86_EXC_GP, error + 1);
	idt_set(0x20, CODE32_0, HANDLER, 0xee, 0);
	v->idtr.limit = 0x106;
	assert_raises(deliver_raises(&n), X86_EXC_GP, error);
	v->idtr.limit = 0x107;
	assert_int_equal(deliver_raises(&n), NO_EVENT);
}

static void code_faults(void **state)
{
	struct soft_event e = { .vector = 0x20, .kind = SOFT_EVENT_EXTERNAL };
	struct soft_event n = { .vector = 0x20, .kind = SOFT_EVENT_SOFT_INT };

	rig_protected(3);
	idt_set(0x20, 3, HANDLER, 0xee, 0);
	assert_raises(deliver_raises(&e), X86_EXC_GP, 1);
	assert_raises(deliver_raises(&n), X86_EXC_GP, 0);
	idt_set(0x20, GDT_END + 3, HANDLER, 0xee, 0);
	assert_raises(deliver_raises(&e), X86_EXC_GP, GDT_END + 1);
	idt_set(0x20, DATA_3, HANDLER, 0xee, 0);
	assert_raises(deliver_raises(&n), X86_EXC_GP, DATA_3 & ~3);
	idt_set(0x20, 4, HANDLER, 0xee, 0); /* LDT: there is none */
	assert_raises(deliver_raises(&n), X86_EXC_GP, 4);
	idt_set(0x20, ABSENT_CODE_0, HANDLER, 0xee, 0);
	assert_raises(deliver_raises(&e), X86_EXC_NP, ABSENT_CODE_0 + 1);
	idt_set(0x20, CODE16_0, 0x10000, 0xee, 0);
	assert_raises(deliver_raises(&e), X86_EXC_GP, 1); /* beyond the limit */
	rig_protected(0);
	idt_set(0x20, CODE32_3, HANDLER, 0xee, 0);
	assert_raises(deliver_raises(&e), X86_EXC_GP, (CODE32_3 & ~3) + 1);
}

static void stack_faults(void **state)
{
	struct soft_event e = { .vector = 0x20, .kind = SOFT_EVENT_EXTERNAL };
	struct soft_event n = { .vector = 0x20, .kind = SOFT_EVENT_SOFT_INT };

	rig_protected(3);
	idt_set(0x20, CODE32_0, HANDLER, 0xee, 0);
	v->tr.limit = 8;
	assert_raises(deliver_raises(&e), X86_EXC_TS, TSS_SEL + 1);
	v->tr.limit = 0x67;
	put(TSS + 8, 2, 0);
	assert_raises(deliver_raises(&e), X86_EXC_TS, 1);
	assert_raises(deliver_raises(&n), X86_EXC_TS, 0);
	put(TSS + 8, 2, GDT_END);
	assert_raises(deliver_raises(&e), X86_EXC_TS, GDT_END + 1);
	put(TSS + 8, 2, DATA_3);
	assert_raises(deliver_raises(&n), X86_EXC_TS, DATA_3 & ~3);
	put(TSS + 8, 2, DATA_0 | 1);
	assert_raises(deliver_raises(&n), X86_EXC_TS, DATA_0);
	put(TSS + 8, 2, ABSENT_DATA_0);
	assert_raises(deliver_raises(&n), X86_EXC_SS, ABSENT_DATA_0);
	put(TSS + 8, 2, DATA16_0);
	put(TSS + 4, 4, 0x12);
	assert_raises(deliver_raises(&n), X86_EXC_SS, DATA16_0);
	assert_raises(deliver_raises(&e), X86_EXC_SS, DATA16_0 + 1);
	put(TSS + 4, 4, 0x14);
	assert_int_equal(deliver_raises(&n), NO_EVENT);
	/* The state is that of before when a push faults; so is the second attempt's. */
	rig_protected(3);
	idt_set(0x20, CODE32_0, HANDLER, 0xee, 0);
	idt_set(14, CODE32_0, HANDLER + 1, 0xee, 0);
	put(TSS + 4, 4, STACK_0 + 12);
	fault_page = STACK_0 - 0x1000;
	fault_writes = true;
	assert_int_equal(deliver_raises(&e), X86_EXC_PF);
	assert_int_equal(v->cpl, 3);
	assert_int_equal(v->gpr[X86_RSP], STACK_3);
	assert_int_equal(v->rip, CODE);
	assert_int_equal(v->event.cr2, STACK_0 - 4);
	/* At the same level: no selector. */
	rig_protected(0);
	idt_set(0x20, CODE32_0, HANDLER, 0xee, 0);
	seg_set(X86_SS, DATA16_0);
	v->gpr[X86_RSP] = 6;
	soft_mode_changed(v);
	assert_raises(deliver_raises(&e), X86_EXC_SS, 1);
	assert_raises(deliver_raises(&n), X86_EXC_SS, 0);
}

static void page_fault(void **state)
{
	struct soft_event e = {
		.vector = X86_EXC_PF, .has_error = true, .error = 6, .cr2 = 0xdead000
	};

	rig_protected(3);
	idt_set(14, CODE32_0, HANDLER, INT32, 0);
	assert_true(deliver(&e));
	assert_int_equal(v->cr2, 0xdead000);
	assert_int_equal(stacked(0, 4), 6);
	/* INT 14 is no page fault: no error code, CR2 stays. */
	rig_protected(0);
	idt_set(14, CODE32_0, HANDLER, INT32, 0);
	v->cr2 = 5;
	assert_true(deliver_vector(14, SOFT_EVENT_SOFT_INT));
	assert_int_equal(v->cr2, 5);
	assert_int_equal(stacked(0, 4), CODE + 2);
}

static void debug(void **state)
{
	struct soft_event e = { .vector = X86_EXC_DB, .kind = SOFT_EVENT_TRAP, .dr6 = X86_DR6_BS };

	rig_protected(0);
	idt_set(1, CODE32_0, HANDLER, INT32, 0);
	v->dr[7] = X86_DR7_FIXED | X86_DR7_GD | 1;
	v->dr[6] = X86_DR6_FIXED;
	assert_true(deliver(&e));
	assert_int_equal(v->dr[6], X86_DR6_FIXED | X86_DR6_BS);
	assert_int_equal(v->dr[7], X86_DR7_FIXED | 1);
	assert_int_equal(stacked(2, 4), X86_FLAG_1);
	/* A breakpoint on an instruction is a fault that does not push RF; MOV DR with GD does. */
	rig_protected(0);
	idt_set(1, CODE32_0, HANDLER, INT32, 0);
	e = (struct soft_event){ .vector = X86_EXC_DB, .dr6 = 1 };
	assert_true(deliver(&e));
	assert_int_equal(stacked(2, 4), X86_FLAG_1);
	assert_int_equal(stacked(0, 4), CODE);
	e.dr6 = X86_DR6_BD;
	assert_true(deliver(&e));
	assert_int_equal(stacked(2, 4), X86_FLAG_1 | X86_FLAG_RF);
	/* Bits 0 to 3 are the last event's. */
	v->dr[6] = X86_DR6_FIXED | X86_DR6_BS | 5;
	e.dr6 = 2;
	assert_true(deliver(&e));
	assert_int_equal(v->dr[6], X86_DR6_FIXED | X86_DR6_BS | 2);
	/* INT1 changes none, but what MOV SS held back comes with it. */
	assert_true(deliver_vector(1, SOFT_EVENT_INT1));
	assert_int_equal(v->dr[6], X86_DR6_FIXED | X86_DR6_BS | 2);
	v->pending_dr6 = 8;
	assert_true(deliver_vector(1, SOFT_EVENT_INT1));
	assert_int_equal(v->dr[6], X86_DR6_FIXED | X86_DR6_BS | 8);
	assert_int_equal(v->pending_dr6, 0);
	/* INT1 returns to the next instruction and does not look at the gate's DPL. */
	rig_protected(3);
	idt_set(1, CODE32_0, HANDLER, INT32, 0);
	assert_int_equal(run_op(X86_OP_INT1, 4), X86_EXC_DB);
	e = v->event;
	assert_true(deliver(&e));
	assert_int_equal(stacked(0, 4), CODE + 2);
}

static void software(void **state)
{
	struct soft_op o = op(X86_OP_INT, 4);
	struct soft_event e;

	rig_protected(3);
	o.i.imm = 0x80;
	assert_int_equal(carry_out(&o), 0x80);
	e = v->event;
	assert_int_equal(e.kind, SOFT_EVENT_SOFT_INT);
	idt_set(0x80, CODE32_0, HANDLER, INT32, 0);
	assert_raises(deliver_raises(&e), X86_EXC_GP, 0x80 * 8 + 2);
	idt_set(0x80, CODE32_0, HANDLER, 0xef, 0);
	assert_int_equal(deliver_raises(&e), NO_EVENT);
	assert_int_equal(stacked(0, 4), CODE + 2);
	assert_int_equal(run_op(X86_OP_INT3, 4), X86_EXC_BP);
	assert_int_equal(v->event.kind, SOFT_EVENT_SOFT_INT);
	assert_int_equal(run_op(X86_OP_INTO, 4), NO_EVENT);
	v->rflags |= X86_FLAG_OF;
	assert_int_equal(run_op(X86_OP_INTO, 4), X86_EXC_OF);
	assert_int_equal(v->event.kind, SOFT_EVENT_SOFT_INT);
}

static void double_fault(void **state)
{
	rig_protected(3);
	idt_set(8, CODE32_0, HANDLER, INT32, 0);
	v->rflags |= X86_FLAG_IF;
	/* #GP whose gate is not there. */
	assert_true(deliver(&gp));
	assert_int_equal(deliver_raised, 1);
	assert_int_equal(v->rip, HANDLER);
	assert_int_equal(stacked(0, 4), 0);
	assert_int_equal(stacked(1, 4), CODE);
	assert_false(v->in_event);
	/* An interrupt's is a #GP, not a double fault. */
	rig_protected(3);
	idt_set(13, CODE32_0, HANDLER, INT32, 0);
	assert_true(deliver_vector(0x20, SOFT_EVENT_EXTERNAL));
	assert_int_equal(stacked(0, 4), 0x20 * 8 + 3);
	/* INT 13 is not a #GP. */
	rig_protected(3);
	idt_set(13, CODE32_0, HANDLER, INT32, 0);
	assert_true(deliver_vector(13, SOFT_EVENT_SOFT_INT));
	assert_int_equal(deliver_raised, 1);
	assert_int_equal(stacked(0, 4), 13 * 8 + 2);
	/* #UD is benign. */
	rig_protected(3);
	idt_set(13, CODE32_0, HANDLER, INT32, 0);
	assert_true(deliver_vector(X86_EXC_UD, SOFT_EVENT_FAULT));
	assert_int_equal(stacked(0, 4), X86_EXC_UD * 8 + 3);
}

static void faults_in_a_row(void **state)
{
	struct soft_event pf = { .vector = X86_EXC_PF, .has_error = true, .cr2 = 0x1000 };

	/* #GP, then #PF: one after the other. */
	rig_protected(3);
	v->idtr.base = 0x6fa0; /* gate 13 lies across the pages' border, 14 after it */
	put(v->idtr.base + 14 * 8, 8, gate_of(CODE32_0, HANDLER, INT32, 0));
	fault_page = 0x6000;
	put(v->idtr.base + 13 * 8, 8, gate_of(CODE32_0, HANDLER + 1, INT32, 0));
	v->idtr.base = 0x6f90; /* 13 at 6ff8, 14 at 7000 */
	put(0x7000, 8, gate_of(CODE32_0, HANDLER, INT32, 0));
	assert_true(deliver(&gp));
	assert_int_equal(v->rip, HANDLER);
	assert_int_equal(v->cr2, 0x6ff8);
	/* #PF, then #PF: double fault; CR2 is the second's. */
	rig_protected(3);
	v->idtr.base = 0x6fb8; /* 8 at 6ff8, 14 at 7028 */
	put(0x6ff8, 8, gate_of(CODE32_0, HANDLER, INT32, 0));
	fault_page = 0x7000;
	assert_true(deliver(&pf));
	assert_int_equal(v->rip, HANDLER);
	assert_int_equal(v->cr2, 0x7028);
	/* #PF, then #GP: double fault. Nothing there for that: shutdown. */
	rig_protected(3);
	idt_set(8, CODE32_0, HANDLER, INT32, 0);
	assert_true(deliver(&pf));
	assert_int_equal(v->rip, HANDLER);
	idt_set(8, 0, 0, 0, 0);
	assert_false(deliver(&pf));
	assert_int_equal(deliver_raised, 2);
	assert_int_equal(v->rip, HANDLER);
	assert_false(v->in_event);
}

/* -------- VM86 -------- */

static void from_vm86(void **state)
{
	rig_vm86(0);
	idt_set(13, CODE32_0, HANDLER, INT32, 0);
	v->gpr[X86_RSP] = 0x12348000;
	assert_true(deliver(&gp));
	assert_int_equal(v->cpl, 0);
	assert_false(v->rflags & X86_FLAG_VM);
	assert_int_equal(v->gpr[X86_RSP], STACK_0 - 40);
	assert_int_equal(stacked(0, 4), 0x1234);
	assert_int_equal(stacked(1, 4), 0x100);
	assert_int_equal(stacked(2, 4), 0x1000);
	assert_int_equal(stacked(3, 4), X86_FLAG_1 | X86_FLAG_VM | X86_FLAG_IF | X86_FLAG_RF);
	assert_int_equal(stacked(4, 4), 0x12348000);
	assert_int_equal(stacked(5, 4), 0x2000);
	assert_int_equal(stacked(6, 4), 0x3400 + X86_ES);
	assert_int_equal(stacked(7, 4), 0x3400 + X86_DS);
	assert_int_equal(stacked(8, 4), 0x3400 + X86_FS);
	assert_int_equal(stacked(9, 4), 0x3400 + X86_GS);
	for (int i = 0; i < X86_NSEG; i++)
		if (i != X86_CS && i != X86_SS)
			assert_true(v->seg[i].attr & X86_ATTR_UNUSABLE);
	/* And back. */
	v->gpr[X86_RSP] += 4;
	v->nmi_masked = true;
	assert_int_equal(run_op(X86_OP_IRET, 4), NO_EVENT);
	assert_true(soft_vm86(v));
	assert_int_equal(v->cpl, 3);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x100);
	assert_int_equal(v->seg[X86_CS].base, 0x10000);
	assert_int_equal(v->seg[X86_GS].selector, 0x3400 + X86_GS);
	assert_int_equal(v->seg[X86_GS].attr, 0xf3);
	assert_int_equal(v->gpr[X86_RSP], 0x12348000);
	assert_false(v->nmi_masked);
}

static void vm86_handlers(void **state)
{
	struct soft_event n = { .vector = 0x20, .kind = SOFT_EVENT_SOFT_INT };

	/* Only level 0 may handle. */
	rig_vm86(3);
	idt_set(0x20, CODE32_1 & ~3, HANDLER, 0xee, 0);
	assert_raises(deliver_raises(&n), X86_EXC_GP, CODE32_1 & ~3);
	idt_set(0x20, CONFORMING_0, HANDLER, 0xee, 0);
	assert_raises(deliver_raises(&n), X86_EXC_GP, CONFORMING_0);
	/* The gate's DPL has to be 3. */
	idt_set(0x20, CODE32_0, HANDLER, INT32, 0);
	assert_raises(deliver_raises(&n), X86_EXC_GP, 0x20 * 8 + 2);
}

static void vm86_int_and_iret(void **state)
{
	struct soft_op o = op(X86_OP_INT, 2);

	o.i.imm = 0x20;
	rig_vm86(0);
	assert_raises(carry_out(&o), X86_EXC_GP, 0);
	assert_raises(run_op(X86_OP_IRET, 2), X86_EXC_GP, 0);
	assert_int_equal(run_op(X86_OP_INT3, 2), X86_EXC_BP);
	assert_int_equal(v->event.kind, SOFT_EVENT_SOFT_INT);
	rig_vm86(3);
	assert_int_equal(carry_out(&o), 0x20);
	put(0x28000, 2, 0x300);
	put(0x28002, 2, 0x1234);
	put(0x28004, 2, X86_FLAG_CF | X86_FLAG_NT); /* neither IOPL nor VM change */
	assert_int_equal(run_op(X86_OP_IRET, 2), NO_EVENT);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x300);
	assert_int_equal(v->seg[X86_CS].base, 0x12340);
	assert_int_equal(
		v->rflags, X86_FLAG_VM | X86_FLAG_IOPL | X86_FLAG_CF | X86_FLAG_NT | X86_FLAG_1);
}

/* CR4.VME: INT n goes to the program's own table when the TSS says so. */
static void vm86_redirection(void **state)
{
	struct soft_op o = op(X86_OP_INT, 2);

	o.i.imm = 0x21;
	rig_vm86(0);
	v->cr4 = X86_CR4_VME;
	v->tr.limit = 0x100;
	put(TSS + 0x66, 2, 0x88);
	put(0x21 * 4, 4, 0x50006000);
	v->rflags |= X86_FLAG_VIF;
	assert_int_equal(carry_out(&o), NO_EVENT);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x6000);
	assert_int_equal(v->seg[X86_CS].selector, 0x5000);
	assert_int_equal(v->gpr[X86_RSP], 0x7ffa);
	assert_int_equal(stacked(0, 2), 0x102);
	assert_int_equal(stacked(1, 2), 0x1000);
	assert_int_equal(stacked(2, 2), 0x3202); /* IF is VIF, IOPL 3 */
	assert_int_equal(v->rflags, X86_FLAG_VM | X86_FLAG_IF | X86_FLAG_1);
	/* IRET gives VIF back, with VIP pending it faults. */
	v->rflags |= X86_FLAG_VIP;
	assert_raises(run_op(X86_OP_IRET, 2), X86_EXC_GP, 0);
	assert_raises(run_op(X86_OP_IRET, 4), X86_EXC_GP, 0);
	v->rflags &= ~(uint64_t)X86_FLAG_VIP;
	assert_int_equal(run_op(X86_OP_IRET, 2), NO_EVENT);
	assert_int_equal(v->rflags, X86_FLAG_VM | X86_FLAG_IF | X86_FLAG_VIF | X86_FLAG_1);
	/* The bit set: as without VME. */
	put(TSS + 0x88 - 32 + 0x21 / 8, 1, 1u << (0x21 % 8));
	assert_raises(carry_out(&o), X86_EXC_GP, 0);
	v->rflags |= X86_FLAG_IOPL;
	assert_int_equal(carry_out(&o), 0x21);
	/* A bitmap out of the TSS. */
	put(TSS + 0x66, 2, 8);
	assert_raises(carry_out(&o), X86_EXC_GP, 0);
	put(TSS + 0x66, 2, 0xffff);
	assert_raises(carry_out(&o), X86_EXC_GP, 0);
	v->tr.limit = 0x66;
	assert_raises(carry_out(&o), X86_EXC_GP, 0);
}

/* -------- long mode -------- */

static void long_inner(void **state)
{
	uint64_t sp = 0xffff800000000000 + STACK_0;

	rig_long(3);
	v->gpr[X86_RSP] = STACK_3 - 3;
	idt_set(13, CODE64_0, 0xffff800000000000 + HANDLER, INT32, 0);
	v->rflags |= X86_FLAG_IF | X86_FLAG_TF;
	assert_true(deliver(&gp));
	assert_true(v->rip == 0xffff800000000000 + HANDLER);
	assert_int_equal(v->cpl, 0);
	assert_int_equal(v->code, X86_CODE_64);
	assert_int_equal(v->seg[X86_SS].selector, 0);
	assert_true(v->gpr[X86_RSP] == sp - 48);
	assert_int_equal(stacked(0, 8), 0x1234);
	assert_int_equal(stacked(1, 8), CODE);
	assert_int_equal(stacked(2, 8), CODE64_3);
	assert_int_equal(stacked(3, 8), X86_FLAG_1 | X86_FLAG_IF | X86_FLAG_TF | X86_FLAG_RF);
	assert_int_equal(stacked(4, 8), STACK_3 - 3);
	assert_int_equal(stacked(5, 8), DATA_3);
	assert_int_equal(v->rflags, X86_FLAG_1);
	v->gpr[X86_RSP] += 8;
	seg_set(X86_GS, DATA_0);
	v->seg[X86_GS].base = 0xffff800000005000;
	assert_int_equal(run_op(X86_OP_IRET, 8), NO_EVENT);
	assert_int_equal(v->cpl, 3);
	assert_int_equal(v->seg[X86_GS].selector, 0);
	assert_true(v->seg[X86_GS].base == 0xffff800000005000);
	assert_int_equal(v->gpr[X86_RSP], STACK_3 - 3);
	assert_int_equal(v->gpr[X86_REG_RIP], CODE);
	assert_int_equal(v->seg[X86_SS].selector, DATA_3);
	assert_int_equal(v->rflags, X86_FLAG_1 | X86_FLAG_IF | X86_FLAG_TF | X86_FLAG_RF);
}

static void long_same_and_ist(void **state)
{
	rig_long(0);
	v->gpr[X86_RSP] = STACK_0 - 0x105;
	idt_set(0x20, CODE64_0, HANDLER, INT32, 0);
	assert_true(deliver_vector(0x20, SOFT_EVENT_EXTERNAL));
	assert_int_equal(v->gpr[X86_RSP], STACK_0 - 0x110 - 40);
	assert_int_equal(v->seg[X86_SS].selector, DATA_0);
	assert_int_equal(stacked(3, 8), STACK_0 - 0x105);
	assert_int_equal(stacked(4, 8), DATA_0);
	assert_int_equal(run_op(X86_OP_IRET, 8), NO_EVENT);
	assert_int_equal(v->gpr[X86_RSP], STACK_0 - 0x105);
	/* With IST, from the same level and from outside. */
	for (unsigned int cpl = 0; cpl <= 3; cpl += 3) {
		rig_long(cpl);
		idt_set(2, CODE64_0, HANDLER, INT32, 1);
		assert_true(deliver_vector(2, SOFT_EVENT_EXTERNAL));
		assert_int_equal(v->gpr[X86_RSP], IST_1 - 8 - 40);
		assert_int_equal(v->seg[X86_SS].selector, cpl ? 0 : DATA_0);
		v->nmi_masked = true;
		assert_int_equal(run_op(X86_OP_IRET, 8), NO_EVENT);
		assert_int_equal(v->cpl, cpl);
		assert_false(v->nmi_masked);
	}
}

static void long_from_compat(void **state)
{
	rig_long(3);
	seg_set(X86_CS, CODE32_3);
	soft_mode_changed(v);
	idt_set(0x80, CODE64_0, HANDLER, 0xee, 0);
	assert_true(deliver_vector(0x80, SOFT_EVENT_SOFT_INT));
	assert_int_equal(v->code, X86_CODE_64);
	assert_int_equal(stacked(1, 8), CODE32_3);
	assert_int_equal(run_op(X86_OP_IRET, 8), NO_EVENT);
	assert_int_equal(v->code, X86_CODE_32);
	assert_int_equal(v->gpr[X86_RSP], STACK_3);
	assert_int_equal(v->stack_size, 4);
}

static void long_faults(void **state)
{
	struct soft_event e = { .vector = 0x20, .kind = SOFT_EVENT_EXTERNAL };
	uint32_t error = 0x20 * 8 + 3;

	rig_long(3);
	idt_set(0x20, CODE64_0, HANDLER, 0x85, 0); /* no task gates */
	assert_raises(deliver_raises(&e), X86_EXC_GP, error);
	idt_set(0x20, CODE64_0, HANDLER, INT16, 0);
	assert_raises(deliver_raises(&e), X86_EXC_GP, error);
	idt_set(0x20, CODE64_0, HANDLER, INT32, 0);
	v->idtr.limit = 0x20e;
	assert_raises(deliver_raises(&e), X86_EXC_GP, error);
	v->idtr.limit = 0xfff;
	idt_set(0x20, CODE32_0, HANDLER, INT32, 0);
	assert_raises(deliver_raises(&e), X86_EXC_GP, CODE32_0 + 1);
	idt_set(0x20, BAD_CODE_0, HANDLER, INT32, 0);
	assert_raises(deliver_raises(&e), X86_EXC_GP, BAD_CODE_0 + 1);
	idt_set(0x20, CODE64_0, 0x800000000000, INT32, 0);
	assert_raises(deliver_raises(&e), X86_EXC_GP, 1);
	idt_set(0x20, CODE64_0, HANDLER, INT32, 2);
	v->tr.limit = 0x32;
	assert_raises(deliver_raises(&e), X86_EXC_TS, TSS_SEL + 1);
	v->tr.limit = 0x67;
	put(TSS + 0x2c, 8, 0x800000000000);
	assert_raises(deliver_raises(&e), X86_EXC_SS, 1);
	put(TSS + 0x2c, 8, 0xffff800000000010); /* the frame reaches out */
	assert_raises(deliver_raises(&e), X86_EXC_SS, 1);
}

/* -------- IRET's faults -------- */

static void frame(
	unsigned int size, uint64_t rip, uint16_t cs, uint64_t flags, uint64_t sp, uint16_t ss)
{
	uint64_t word[] = { rip, cs, flags, sp, ss };

	for (unsigned int i = 0; i < 5; i++)
		put((v->gpr[X86_RSP] + i * size) % MEM_SIZE, size, word[i]);
}

static void iret_faults(void **state)
{
	rig_protected(0);
	frame(4, CODE, 0, 2, STACK_3, DATA_3);
	assert_raises(run_op(X86_OP_IRET, 4), X86_EXC_GP, 0);
	frame(4, CODE, GDT_END | 3, 2, STACK_3, DATA_3);
	assert_raises(run_op(X86_OP_IRET, 4), X86_EXC_GP, GDT_END);
	frame(4, CODE, DATA_3, 2, STACK_3, DATA_3);
	assert_raises(run_op(X86_OP_IRET, 4), X86_EXC_GP, DATA_3 & ~3);
	frame(4, CODE, CODE32_0 | 3, 2, STACK_3, DATA_3);
	assert_raises(run_op(X86_OP_IRET, 4), X86_EXC_GP, CODE32_0);
	frame(4, CODE, ABSENT_CODE_0, 2, STACK_3, DATA_3);
	assert_raises(run_op(X86_OP_IRET, 4), X86_EXC_NP, ABSENT_CODE_0);
	frame(4, 0x10000, CODE16_0, 2, 0, 0);
	assert_raises(run_op(X86_OP_IRET, 4), X86_EXC_GP, 0);
	frame(4, CODE, CODE32_3, 2, STACK_3, 0);
	assert_raises(run_op(X86_OP_IRET, 4), X86_EXC_GP, 0);
	frame(4, CODE, CODE32_3, 2, STACK_3, DATA_0);
	assert_raises(run_op(X86_OP_IRET, 4), X86_EXC_GP, DATA_0);
	frame(4, CODE, CODE32_3, 2, STACK_3, READONLY_3 | 3);
	assert_raises(run_op(X86_OP_IRET, 4), X86_EXC_GP, READONLY_3);
	gdt_set(DATA_3, 0, UINT32_MAX, 0xc072);
	frame(4, CODE, CODE32_3, 2, STACK_3, DATA_3);
	assert_raises(run_op(X86_OP_IRET, 4), X86_EXC_SS, DATA_3 & ~3);
	rig_protected(3);
	frame(4, CODE, CODE32_0, 2, STACK_3, DATA_3);
	assert_raises(run_op(X86_OP_IRET, 4), X86_EXC_GP, CODE32_0);
	/* 64-bit mode: a null SS below level 3 only, canonical addresses. */
	rig_long(0);
	frame(8, CODE, CODE64_0, 2, STACK_0, 0);
	assert_int_equal(run_op(X86_OP_IRET, 8), NO_EVENT);
	frame(8, CODE, CODE64_3, 2, STACK_3, 3);
	assert_raises(run_op(X86_OP_IRET, 8), X86_EXC_GP, 0);
	frame(8, CODE, CODE32_0, 2, STACK_3, 0);
	assert_raises(run_op(X86_OP_IRET, 8), X86_EXC_GP, 0);
	frame(8, 0x800000000000, CODE64_3, 2, STACK_3, DATA_3);
	assert_raises(run_op(X86_OP_IRET, 8), X86_EXC_GP, 0);
	frame(8, CODE, BAD_CODE_0, 2, STACK_0, DATA_0);
	assert_raises(run_op(X86_OP_IRET, 8), X86_EXC_GP, BAD_CODE_0);
	v->rflags |= X86_FLAG_NT;
	frame(8, CODE, CODE64_3, 2, STACK_3, DATA_3);
	assert_raises(run_op(X86_OP_IRET, 8), X86_EXC_GP, 0);
	assert_int_equal(v->cpl, 0);
}

static void iret_flags(void **state)
{
	/* At level 3 with IOPL 0: neither IF nor IOPL nor VM. */
	rig_protected(3);
	frame(4, CODE, CODE32_3, 0xffffffff, 0, 0);
	assert_int_equal(run_op(X86_OP_IRET, 4), NO_EVENT);
	assert_int_equal(v->rflags, 0x254dd7 | X86_FLAG_1);
	/* 16 bits: the upper half stays. */
	rig_protected(0);
	v->rflags |= X86_FLAG_AC;
	frame(2, 0x1234, CODE32_0, 0xffff, 0, 0);
	assert_int_equal(run_op(X86_OP_IRET, 2), NO_EVENT);
	assert_int_equal(v->rflags, X86_FLAG_AC | 0x7fd7);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x1234);
	assert_int_equal(v->gpr[X86_RSP], STACK_0 - 0x100 + 6);
	/* To a 16-bit stack only SP changes. */
	rig_protected(0);
	frame(4, CODE, CODE32_3, 2, 0x55551234, DATA16_3);
	assert_int_equal(run_op(X86_OP_IRET, 4), NO_EVENT);
	assert_int_equal(v->gpr[X86_RSP], ((STACK_0 - 0x100) & 0xffff0000) | 0x1234);
	assert_int_equal(v->stack_size, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_mode),
		cmocka_unit_test(real_mode_faults),
		cmocka_unit_test(same_level),
		cmocka_unit_test(conforming_handler),
		cmocka_unit_test(inner_level),
		cmocka_unit_test(gate_faults),
		cmocka_unit_test(code_faults),
		cmocka_unit_test(stack_faults),
		cmocka_unit_test(page_fault),
		cmocka_unit_test(debug),
		cmocka_unit_test(software),
		cmocka_unit_test(double_fault),
		cmocka_unit_test(faults_in_a_row),
		cmocka_unit_test(from_vm86),
		cmocka_unit_test(vm86_handlers),
		cmocka_unit_test(vm86_int_and_iret),
		cmocka_unit_test(vm86_redirection),
		cmocka_unit_test(long_inner),
		cmocka_unit_test(long_same_and_ist),
		cmocka_unit_test(long_from_compat),
		cmocka_unit_test(long_faults),
		cmocka_unit_test(iret_faults),
		cmocka_unit_test(iret_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
