// SPDX-License-Identifier: GPL-2.0-or-later
/* Segment registers, far transfers, SYSCALL and its kin, task switches. */
#include "accel/soft/far_testing.h"

/* -------- segment registers -------- */

static int mov_seg(enum x86_seg seg, uint16_t selector)
{
	struct soft_op o = op(X86_OP_MOV_TO_SEG, 4);

	o.i.operand[0] = (struct x86_operand){ .kind = X86_OPND_SEG, .reg = seg };
	o.i.operand[1] = (struct x86_operand){ .kind = X86_OPND_GPR, .reg = X86_RAX };
	v->gpr[X86_RAX] = 0xffff0000 | selector;
	return carry_out(&o);
}

static void mov_to_seg(void **state)
{
	rig_protected(3);
	assert_int_equal(mov_seg(X86_DS, DATA_3), NO_EVENT);
	assert_int_equal(v->seg[X86_DS].attr, 0xc0f3);
	assert_int_equal(v->seg[X86_DS].limit, UINT32_MAX);
	assert_int_equal(get(GDT + (DATA_3 & ~7) + 5, 1), 0xf3);
	assert_raises(mov_seg(X86_DS, DATA_0), X86_EXC_GP, DATA_0);
	assert_raises(mov_seg(X86_DS, DATA_0 | 3), X86_EXC_GP, DATA_0);
	assert_raises(mov_seg(X86_DS, GDT_END), X86_EXC_GP, GDT_END);
	assert_raises(mov_seg(X86_DS, 7), X86_EXC_GP, 4); /* no LDT */
	assert_int_equal(mov_seg(X86_CS, CODE32_3), X86_EXC_UD);
	assert_int_equal(v->shadow, 0);
	assert_int_equal(mov_seg(X86_FS, 3), NO_EVENT);
	assert_int_equal(v->seg[X86_FS].selector, 3);
	assert_true(v->seg[X86_FS].attr & X86_ATTR_UNUSABLE);
	assert_raises(mov_seg(X86_SS, 0), X86_EXC_GP, 0);
	assert_raises(mov_seg(X86_SS, READONLY_3 | 3), X86_EXC_GP, READONLY_3);
	assert_int_equal(mov_seg(X86_SS, DATA16_3), NO_EVENT);
	assert_int_equal(v->shadow, 1);
	assert_int_equal(v->stack_size, 2);
	assert_true(v->stop);
	rig_protected(0);
	assert_raises(mov_seg(X86_ES, ABSENT_DATA_0), X86_EXC_NP, ABSENT_DATA_0);
	assert_raises(mov_seg(X86_SS, ABSENT_DATA_0), X86_EXC_SS, ABSENT_DATA_0);
	/* Out of the LDT. */
	v->ldtr = (struct x86_segment){ .base = LDT, .limit = 0xf, .attr = 0x82 };
	put(LDT + 8, 8, descriptor(0x1234, 0xffff, 0xf2));
	assert_int_equal(mov_seg(X86_ES, 0xf), NO_EVENT);
	assert_int_equal(v->seg[X86_ES].base, 0x1234);
	assert_raises(mov_seg(X86_ES, 0x17), X86_EXC_GP, 0x14);
	/* The accessed bit's page is read-only: nothing was loaded. */
	fault_page = LDT;
	fault_writes = true;
	put(LDT + 8, 8, descriptor(0x4321, 0xffff, 0xf2));
	assert_int_equal(mov_seg(X86_ES, 0xf), X86_EXC_PF);
	assert_int_equal(v->seg[X86_ES].base, 0x1234);
}

static void mov_to_seg_other_modes(void **state)
{
	rig_reset();
	v->seg[X86_DS].limit = UINT32_MAX; /* unreal */
	assert_int_equal(mov_seg(X86_DS, 0x1234), NO_EVENT);
	assert_int_equal(v->seg[X86_DS].base, 0x12340);
	assert_int_equal(v->seg[X86_DS].limit, UINT32_MAX);
	x86_seg_null(0, 0, &v->seg[X86_ES]);
	assert_int_equal(mov_seg(X86_ES, 2), NO_EVENT);
	assert_int_equal(v->seg[X86_ES].limit, 0xffff);
	assert_int_equal(v->seg[X86_ES].attr, 0x93);
	rig_vm86(0);
	assert_int_equal(mov_seg(X86_SS, 0xffff), NO_EVENT);
	assert_int_equal(v->seg[X86_SS].base, 0xffff0);
	assert_int_equal(v->seg[X86_SS].attr, 0xf3);
	assert_int_equal(v->shadow, 1);
	rig_long(0);
	v->seg[X86_GS].base = 0x123456789000;
	assert_int_equal(mov_seg(X86_GS, 0), NO_EVENT);
	assert_int_equal(v->seg[X86_GS].base, 0);
	assert_int_equal(mov_seg(X86_SS, 0), NO_EVENT);
	assert_int_equal(v->cpl, 0);
	assert_raises(mov_seg(X86_SS, 3), X86_EXC_GP, 0);
	rig_long(3);
	assert_raises(mov_seg(X86_SS, 3), X86_EXC_GP, 0);
}

static void push_pop_and_read(void **state)
{
	struct soft_op o = op(X86_OP_PUSH_SEG, 4);

	rig_protected(3);
	o.i.operand[0] = (struct x86_operand){ .kind = X86_OPND_SEG, .reg = X86_DS };
	put(STACK_3 - 4, 4, UINT32_MAX);
	assert_int_equal(carry_out(&o), NO_EVENT);
	assert_int_equal(v->gpr[X86_RSP], STACK_3 - 4);
	assert_int_equal(stacked(0, 4), DATA_3);
	o.i.op = X86_OP_POP_SEG;
	o.i.operand[0].reg = X86_SS;
	assert_int_equal(carry_out(&o), NO_EVENT);
	assert_int_equal(v->gpr[X86_RSP], STACK_3);
	assert_int_equal(v->shadow, 1);
	put(STACK_3, 4, DATA_0);
	assert_raises(carry_out(&o), X86_EXC_GP, DATA_0);
	assert_int_equal(v->gpr[X86_RSP], STACK_3);
	o = op(X86_OP_MOV_FROM_SEG, 4);
	o.i.operand[0] = (struct x86_operand){ .kind = X86_OPND_GPR, .reg = X86_RBX };
	o.i.operand[1] = (struct x86_operand){ .kind = X86_OPND_SEG, .reg = X86_CS };
	v->gpr[X86_RBX] = UINT64_MAX;
	assert_int_equal(carry_out(&o), NO_EVENT);
	assert_int_equal(v->gpr[X86_RBX], CODE32_3);
	v->gpr[X86_RBX] = UINT64_MAX;
	o.i.opsize = 2;
	assert_int_equal(carry_out(&o), NO_EVENT);
	assert_true(v->gpr[X86_RBX] == 0xffffffffffff0000 + CODE32_3);
	o.i.operand[0].kind = X86_OPND_MEM;
	o.i.opsize = 4;
	o.i.disp = DATA;
	put(DATA, 4, UINT32_MAX);
	assert_int_equal(carry_out(&o), NO_EVENT);
	assert_int_equal(get(DATA, 4), 0xffff0000 + CODE32_3);
}

static void far_pointers(void **state)
{
	struct soft_op o = op(X86_OP_LFS, 4);

	o.i.operand[0] = (struct x86_operand){ .kind = X86_OPND_GPR, .reg = X86_RBX };
	o.i.operand[1] = (struct x86_operand){ .kind = X86_OPND_MEM };
	o.i.disp = DATA;
	rig_protected(3);
	put(DATA, 4, 0x12345678);
	put(DATA + 4, 2, DATA_0);
	v->gpr[X86_RBX] = 1;
	assert_raises(carry_out(&o), X86_EXC_GP, DATA_0);
	assert_int_equal(v->gpr[X86_RBX], 1);
	put(DATA + 4, 2, DATA_3);
	assert_int_equal(carry_out(&o), NO_EVENT);
	assert_int_equal(v->gpr[X86_RBX], 0x12345678);
	assert_int_equal(v->seg[X86_FS].selector, DATA_3);
	o.i.op = X86_OP_LSS;
	assert_int_equal(carry_out(&o), NO_EVENT);
	assert_int_equal(v->shadow, 0);
	/* With REX.W an AMD's offset has 32 bits, an Intel's 64. */
	rig_long(3);
	o.i.opsize = 8;
	put(DATA, 4, 0x12345678);
	put(DATA + 4, 2, DATA_3);
	assert_int_equal(carry_out(&o), NO_EVENT);
	assert_int_equal(v->gpr[X86_RBX], 0x12345678);
	v->amd = false;
	put(DATA, 8, 0xfedc123456789abc);
	put(DATA + 8, 2, DATA_3);
	assert_int_equal(carry_out(&o), NO_EVENT);
	assert_true(v->gpr[X86_RBX] == 0xfedc123456789abc);
}

/* -------- looking at descriptors -------- */

static bool zf_of(enum x86_op id, uint8_t opsize, uint16_t selector)
{
	struct soft_op o = op(id, opsize);
	bool two = id == X86_OP_LAR || id == X86_OP_LSL || id == X86_OP_ARPL;

	o.i.operand[0] = (struct x86_operand){ .kind = X86_OPND_GPR, .reg = X86_RBX };
	o.i.operand[two] = (struct x86_operand){ .kind = X86_OPND_GPR, .reg = X86_RCX };
	v->gpr[X86_RCX] = selector;
	v->rflags ^= X86_FLAG_ZF;
	assert_int_equal(carry_out(&o), NO_EVENT);
	return v->rflags & X86_FLAG_ZF;
}

static void lar_lsl(void **state)
{
	rig_protected(3);
	assert_true(zf_of(X86_OP_LAR, 4, DATA_3));
	assert_int_equal(v->gpr[X86_RBX], 0xcff200);
	assert_true(zf_of(X86_OP_LSL, 4, DATA_3));
	assert_int_equal(v->gpr[X86_RBX], UINT32_MAX);
	v->gpr[X86_RBX] = 0x11112222;
	assert_false(zf_of(X86_OP_LAR, 4, DATA_0));
	assert_false(zf_of(X86_OP_LAR, 4, 0));
	assert_false(zf_of(X86_OP_LSL, 4, GDT_END));
	assert_int_equal(v->gpr[X86_RBX], 0x11112222);
	assert_true(zf_of(X86_OP_LAR, 2, DATA_3));
	assert_int_equal(v->gpr[X86_RBX], 0x1111f200);
	assert_true(zf_of(X86_OP_LAR, 4, CONFORMING_0));
	rig_protected(0);
	assert_true(zf_of(X86_OP_LSL, 4, TSS_SEL));
	assert_int_equal(v->gpr[X86_RBX], 0x67);
	assert_true(zf_of(X86_OP_LAR, 4, TASK_GATE));
	assert_false(zf_of(X86_OP_LSL, 4, TASK_GATE));
	rig_long(0);
	assert_false(zf_of(X86_OP_LAR, 4, TASK_GATE));
	assert_true(zf_of(X86_OP_LAR, 8, TSS_SEL));
	rig_reset();
	assert_int_equal(run_op(X86_OP_LAR, 4), X86_EXC_UD);
	rig_vm86(3);
	assert_int_equal(run_op(X86_OP_LSL, 4), X86_EXC_UD);
	assert_int_equal(run_op(X86_OP_VERR, 4), X86_EXC_UD);
	assert_int_equal(run_op(X86_OP_ARPL, 4), X86_EXC_UD);
}

static void ver_arpl(void **state)
{
	struct soft_op o = op(X86_OP_VERR, 4);

	o.i.operand[0] = (struct x86_operand){ .kind = X86_OPND_GPR, .reg = X86_RCX };
	rig_protected(3);
	v->gpr[X86_RCX] = READONLY_3;
	assert_int_equal(carry_out(&o), NO_EVENT);
	assert_true(v->rflags & X86_FLAG_ZF);
	o.i.op = X86_OP_VERW;
	assert_int_equal(carry_out(&o), NO_EVENT);
	assert_false(v->rflags & X86_FLAG_ZF);
	v->gpr[X86_RCX] = DATA_3;
	assert_int_equal(carry_out(&o), NO_EVENT);
	assert_true(v->rflags & X86_FLAG_ZF);
	v->gpr[X86_RBX] = 0x55551231;
	assert_true(zf_of(X86_OP_ARPL, 2, 3));
	assert_int_equal(v->gpr[X86_RBX], 0x55551233);
	assert_false(zf_of(X86_OP_ARPL, 2, 2));
	o = op(X86_OP_ARPL, 2);
	o.i.operand[0] = (struct x86_operand){ .kind = X86_OPND_MEM };
	o.i.operand[1] = (struct x86_operand){ .kind = X86_OPND_GPR, .reg = X86_RCX };
	o.i.disp = DATA;
	assert_int_equal(carry_out(&o), NO_EVENT);
	assert_int_equal(get(DATA, 2), 2);
}

/* -------- LDTR and TR -------- */

static int load_system(enum x86_op id, uint16_t selector)
{
	struct soft_op o = op(id, 2);

	o.i.operand[0] = (struct x86_operand){ .kind = X86_OPND_GPR, .reg = X86_RAX };
	v->gpr[X86_RAX] = selector;
	return carry_out(&o);
}

static void lldt_ltr(void **state)
{
	rig_protected(0);
	assert_int_equal(load_system(X86_OP_LLDT, LDT_SEL), NO_EVENT);
	assert_int_equal(v->ldtr.base, LDT);
	assert_int_equal(load_system(X86_OP_SLDT, 0), NO_EVENT);
	assert_int_equal(v->gpr[X86_RAX], LDT_SEL);
	assert_int_equal(load_system(X86_OP_LLDT, 3), NO_EVENT);
	assert_true(v->ldtr.attr & X86_ATTR_UNUSABLE);
	assert_raises(load_system(X86_OP_LLDT, LDT_SEL | 4), X86_EXC_GP, LDT_SEL | 4);
	assert_raises(load_system(X86_OP_LLDT, TSS_SEL), X86_EXC_GP, TSS_SEL);
	assert_raises(load_system(X86_OP_LLDT, DATA_0), X86_EXC_GP, DATA_0);
	assert_raises(load_system(X86_OP_LTR, 0), X86_EXC_GP, 0);
	assert_raises(load_system(X86_OP_LTR, TSS_SEL), X86_EXC_GP, TSS_SEL); /* busy */
	assert_int_equal(load_system(X86_OP_LTR, TSS_B_SEL), NO_EVENT);
	assert_int_equal(v->tr.base, TSS_B);
	assert_int_equal(v->tr.attr, 0x8b);
	assert_int_equal(get(GDT + TSS_B_SEL + 5, 1), 0x8b);
	gdt_set(TSS_B_SEL, TSS_B, 0x67, 9);
	assert_raises(load_system(X86_OP_LTR, TSS_B_SEL), X86_EXC_NP, TSS_B_SEL);
	rig_protected(3);
	assert_raises(load_system(X86_OP_LTR, TSS_B_SEL), X86_EXC_GP, 0);
	assert_int_equal(load_system(X86_OP_STR, 0), NO_EVENT);
	v->cr4 |= X86_CR4_UMIP;
	assert_raises(load_system(X86_OP_STR, 0), X86_EXC_GP, 0);
	rig_reset();
	assert_int_equal(load_system(X86_OP_LLDT, 0), X86_EXC_UD);
	assert_int_equal(load_system(X86_OP_STR, 0), X86_EXC_UD);
	/* 16 bytes in long mode. */
	rig_long(0);
	assert_int_equal(load_system(X86_OP_LLDT, LDT_SEL), NO_EVENT);
	assert_true(v->ldtr.base == 0xffff800000000000 + LDT);
	put(GDT + LDT_SEL + 8, 8, 0x8000);
	assert_raises(load_system(X86_OP_LLDT, LDT_SEL), X86_EXC_GP, LDT_SEL);
	put(GDT + LDT_SEL + 8, 8, 0x100000000000);
	assert_raises(load_system(X86_OP_LLDT, LDT_SEL), X86_EXC_GP, LDT_SEL);
	v->gdtr.limit = LDT_SEL + 7;
	assert_raises(load_system(X86_OP_LLDT, LDT_SEL), X86_EXC_GP, LDT_SEL);
}

/* -------- far JMP, CALL, RET -------- */

static void far_in_real_mode(void **state)
{
	rig_reset();
	v->seg[X86_CS].attr = 0x9b;
	assert_int_equal(run_far(X86_OP_CALLF, 2, 0x2000, 0x300), NO_EVENT);
	assert_int_equal(v->seg[X86_CS].base, 0x20000);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x300);
	assert_int_equal(stacked(0, 2), 0x102);
	assert_int_equal(stacked(1, 2), 0);
	assert_int_equal(v->gpr[X86_RSP], 0xffec);
	assert_raises(run_far(X86_OP_JMPF, 4, 0x2000, 0x10000), X86_EXC_GP, 0);
	assert_int_equal(run_op(X86_OP_RETF, 2), NO_EVENT);
	assert_int_equal(v->seg[X86_CS].base, 0);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x102);
	assert_int_equal(v->gpr[X86_RSP], 0xfff0);
	/* The stack wraps between pushes, and must not inside one. */
	v->gpr[X86_RSP] = 2;
	assert_int_equal(run_far(X86_OP_CALLF, 2, 0x2000, 0x300), NO_EVENT);
	assert_int_equal(v->gpr[X86_RSP], 0xfffe);
	v->gpr[X86_RSP] = 1;
	assert_raises(run_far(X86_OP_CALLF, 2, 0x2000, 0x300), X86_EXC_SS, 0);
}

static void far_direct(void **state)
{
	struct soft_op o = op(X86_OP_RETF, 4);

	rig_protected(3);
	assert_int_equal(run_far(X86_OP_CALLF, 4, CODE32_3, 0x12345), NO_EVENT);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x12345);
	assert_int_equal(stacked(0, 4), CODE + 2);
	assert_int_equal(stacked(1, 4), CODE32_3);
	o.i.operand[0].kind = X86_OPND_IMM;
	o.i.imm = 0x10;
	assert_int_equal(carry_out(&o), NO_EVENT);
	assert_int_equal(v->gpr[X86_RSP], STACK_3 + 0x10);
	assert_int_equal(run_far(X86_OP_JMPF, 4, CONFORMING_0, 0x12345), NO_EVENT);
	assert_int_equal(v->cpl, 3);
	assert_int_equal(v->seg[X86_CS].selector, CONFORMING_0 | 3);
	assert_int_equal(run_far(X86_OP_JMPF, 4, CODE32_3 & ~3, 0x12345), NO_EVENT);
	assert_int_equal(v->seg[X86_CS].selector, CODE32_3);
	assert_raises(run_far(X86_OP_JMPF, 4, CODE32_0, 0), X86_EXC_GP, CODE32_0);
	assert_raises(run_far(X86_OP_JMPF, 4, 3, 0), X86_EXC_GP, 0);
	assert_raises(run_far(X86_OP_JMPF, 4, DATA_3, 0), X86_EXC_GP, DATA_3 & ~3);
	assert_raises(run_far(X86_OP_JMPF, 4, GDT_END, 0), X86_EXC_GP, GDT_END);
	assert_raises(run_far(X86_OP_CALLF, 4, TSS_B_SEL, 0), X86_EXC_GP, TSS_B_SEL);
	rig_protected(0);
	assert_raises(run_far(X86_OP_JMPF, 4, ABSENT_CODE_0, 0), X86_EXC_NP, ABSENT_CODE_0);
	assert_raises(run_far(X86_OP_JMPF, 4, CODE16_0, 0x10000), X86_EXC_GP, 0);
	assert_raises(run_far(X86_OP_JMPF, 4, LDT_SEL, 0), X86_EXC_GP, LDT_SEL);
	assert_raises(run_far(X86_OP_CALLF, 4, CODE32_3, 0), X86_EXC_GP, CODE32_3 & ~3);
	assert_int_equal(run_far(X86_OP_JMPF, 4, CODE16_0, 0xffff), NO_EVENT);
	assert_int_equal(v->code, X86_CODE_16);
}

static void far_indirect(void **state)
{
	struct soft_op o = op(X86_OP_JMPF, 4);

	rig_protected(0);
	o.i.operand[0].kind = X86_OPND_MEM;
	o.i.disp = DATA;
	put(DATA, 4, 0x12345);
	put(DATA + 4, 2, CODE32_0);
	assert_int_equal(carry_out(&o), NO_EVENT);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x12345);
	fault_page = DATA;
	assert_int_equal(carry_out(&o), X86_EXC_PF);
}

/* A stack whose upper page is there and whose lower is not: the call has not happened. */
static void call_that_faults(void **state)
{
	rig_protected(0);
	v->gpr[X86_RSP] = STACK_0 + 4;
	fault_page = STACK_0 - 0x1000;
	assert_int_equal(run_far(X86_OP_CALLF, 4, CODE32_0, 0x12345), X86_EXC_PF);
	assert_int_equal(v->gpr[X86_RSP], STACK_0 + 4);
	assert_int_equal(v->gpr[X86_REG_RIP], CODE + 2);
	fault_page = 0;
	assert_int_equal(run_far(X86_OP_CALLF, 4, CODE32_0, 0x12345), NO_EVENT);
	assert_int_equal(stacked(0, 4), CODE + 2);
}

static void outer_return(void **state)
{
	struct soft_op o = op(X86_OP_RETF, 4);

	o.i.operand[0].kind = X86_OPND_IMM;
	o.i.imm = 8;
	rig_protected(0);
	uint32_t sp = v->gpr[X86_RSP];

	put(sp, 4, 0x12345);
	put(sp + 4, 4, CODE32_3);
	put(sp + 16, 4, STACK_3);
	put(sp + 20, 4, DATA_0);
	assert_raises(carry_out(&o), X86_EXC_GP, DATA_0);
	put(sp + 20, 4, DATA_3);
	x86_seg_null(3, 0, &v->seg[X86_GS]);
	v->seg[X86_GS].base = 0x1000;
	assert_int_equal(carry_out(&o), NO_EVENT);
	assert_int_equal(v->cpl, 3);
	assert_int_equal(v->gpr[X86_RSP], STACK_3 + 8);
	assert_true(v->seg[X86_DS].attr & X86_ATTR_UNUSABLE);
	assert_int_equal(v->seg[X86_ES].selector, DATA_3);
	assert_int_equal(v->seg[X86_GS].selector, 0);
	assert_int_equal(v->seg[X86_GS].base, 0x1000);
	/* Not inwards. */
	put(STACK_3 + 8, 4, 0x12345);
	put(STACK_3 + 12, 4, CODE32_0);
	assert_raises(carry_out(&o), X86_EXC_GP, CODE32_0);
}

/* -------- call gates -------- */

static void gate_inner(void **state)
{
	rig_protected(3);
	gate_set(GDT + GATE, CODE32_0, 0x12345, 0xec, 2);
	put(STACK_3, 4, 0x11111111);
	put(STACK_3 + 4, 4, 0x22222222);
	assert_int_equal(run_far(X86_OP_CALLF, 4, GATE, 0x999), NO_EVENT);
	assert_int_equal(v->cpl, 0);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x12345);
	assert_int_equal(v->gpr[X86_RSP], STACK_0 - 24);
	assert_int_equal(stacked(0, 4), CODE + 2);
	assert_int_equal(stacked(1, 4), CODE32_3);
	assert_int_equal(stacked(2, 4), 0x11111111);
	assert_int_equal(stacked(3, 4), 0x22222222);
	assert_int_equal(stacked(4, 4), STACK_3);
	assert_int_equal(stacked(5, 4), DATA_3);
	struct soft_op o = op(X86_OP_RETF, 4);

	o.i.operand[0].kind = X86_OPND_IMM;
	o.i.imm = 8;
	assert_int_equal(carry_out(&o), NO_EVENT);
	assert_int_equal(v->gpr[X86_RSP], STACK_3 + 8);
	assert_int_equal(v->cpl, 3);
	/* 16-bit gate. */
	rig_protected(3);
	gate_set(GDT + GATE, CODE32_0, 0xffff1234, 0xe4, 31);
	for (int i = 0; i < 31; i++)
		put(STACK_3 + 2 * i, 2, 100 + i);
	assert_int_equal(run_far(X86_OP_CALLF, 4, GATE, 0), NO_EVENT);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x1234);
	assert_int_equal(v->gpr[X86_RSP], STACK_0 - 70);
	for (int i = 0; i < 31; i++)
		assert_int_equal(stacked(2 + i, 2), 100 + i);
}

static void gate_same(void **state)
{
	rig_protected(0);
	gate_set(GDT + GATE, CODE32_0, 0x12345, 0x8c, 5);
	assert_int_equal(run_far(X86_OP_CALLF, 2, GATE, 0), NO_EVENT);
	assert_int_equal(v->gpr[X86_RSP], STACK_0 - 0x108);
	assert_int_equal(run_far(X86_OP_JMPF, 2, GATE, 0), NO_EVENT);
	assert_int_equal(v->gpr[X86_RSP], STACK_0 - 0x108);
	rig_protected(3);
	gate_set(GDT + GATE, CONFORMING_0, 0x12345, 0xec, 5);
	assert_int_equal(run_far(X86_OP_JMPF, 4, GATE | 3, 0), NO_EVENT);
	assert_int_equal(v->cpl, 3);
}

static void gate_faults(void **state)
{
	rig_protected(3);
	gate_set(GDT + GATE, CODE32_0, 0x12345, 0x8c, 0);
	assert_raises(run_far(X86_OP_CALLF, 4, GATE, 0), X86_EXC_GP, GATE);
	gate_set(GDT + GATE, CODE32_0, 0x12345, 0x6c, 0);
	assert_raises(run_far(X86_OP_CALLF, 4, GATE, 0), X86_EXC_NP, GATE);
	gate_set(GDT + GATE, CODE32_0, 0x12345, 0xec, 0);
	assert_raises(run_far(X86_OP_JMPF, 4, GATE, 0), X86_EXC_GP, CODE32_0);
	gate_set(GDT + GATE, 0, 0x12345, 0xec, 0);
	assert_raises(run_far(X86_OP_CALLF, 4, GATE, 0), X86_EXC_GP, 0);
	gate_set(GDT + GATE, DATA_3, 0x12345, 0xec, 0);
	assert_raises(run_far(X86_OP_CALLF, 4, GATE, 0), X86_EXC_GP, DATA_3 & ~3);
	gate_set(GDT + GATE, ABSENT_CODE_0, 0x12345, 0xec, 0);
	assert_raises(run_far(X86_OP_CALLF, 4, GATE, 0), X86_EXC_NP, ABSENT_CODE_0);
	gate_set(GDT + GATE, CODE16_0, 0x10000, 0xec, 0);
	assert_raises(run_far(X86_OP_CALLF, 4, GATE, 0), X86_EXC_GP, 0);
	gate_set(GDT + GATE, CODE32_0, 0x12345, 0xec, 0);
	put(TSS + 8, 2, ABSENT_DATA_0);
	assert_raises(run_far(X86_OP_CALLF, 4, GATE, 0), X86_EXC_SS, ABSENT_DATA_0);
	put(TSS + 8, 2, 0);
	assert_raises(run_far(X86_OP_CALLF, 4, GATE, 0), X86_EXC_TS, 0);
	put(TSS + 8, 2, DATA16_0);
	put(TSS + 4, 4, 15);
	assert_raises(run_far(X86_OP_CALLF, 4, GATE, 0), X86_EXC_SS, DATA16_0);
	assert_int_equal(v->cpl, 3);
}

static void gate_long(void **state)
{
	rig_long(3);
	gate_set(GDT + GATE, CODE64_0, 0xffff800000012345, 0xec, 3);
	assert_int_equal(run_far(X86_OP_CALLF, 4, GATE, 0), NO_EVENT);
	assert_int_equal(v->cpl, 0);
	assert_true(v->gpr[X86_REG_RIP] == 0xffff800000012345);
	assert_true(v->gpr[X86_RSP] == 0xffff800000000000 + STACK_0 - 32);
	assert_int_equal(stacked(0, 8), CODE + 2);
	assert_int_equal(stacked(1, 8), CODE64_3);
	assert_int_equal(stacked(2, 8), STACK_3);
	assert_int_equal(stacked(3, 8), DATA_3);
	assert_int_equal(v->seg[X86_SS].selector, 0);
	assert_int_equal(run_op(X86_OP_RETF, 8), NO_EVENT);
	assert_int_equal(v->cpl, 3);
	assert_int_equal(v->gpr[X86_RSP], STACK_3);
	gate_set(GDT + GATE, CODE32_0, 0x12345, 0xec, 3);
	assert_raises(run_far(X86_OP_CALLF, 4, GATE, 0), X86_EXC_GP, CODE32_0);
	gate_set(GDT + GATE, CODE64_0, 0x800000000000, 0xec, 0);
	assert_raises(run_far(X86_OP_CALLF, 4, GATE, 0), X86_EXC_GP, 0);
	gate_set(GDT + GATE, CODE64_0, 0x12345, 0xec, 0);
	put(GDT + GATE + 12, 4, 0x100); /* the upper half's type */
	assert_raises(run_far(X86_OP_CALLF, 4, GATE, 0), X86_EXC_GP, GATE);
	gate_set(GDT + GATE, CODE64_0, 0x12345, 0xe4, 0); /* 16-bit gates are none */
	assert_raises(run_far(X86_OP_CALLF, 4, GATE, 0), X86_EXC_GP, GATE);
	assert_raises(run_far(X86_OP_CALLF, 4, TASK_GATE, 0), X86_EXC_GP, TASK_GATE);
	assert_raises(run_far(X86_OP_CALLF, 4, TSS_SEL, 0), X86_EXC_GP, TSS_SEL);
}

static void long_and_compat(void **state)
{
	struct soft_op o = op(X86_OP_JMPF, 8);

	rig_long(0);
	assert_raises(run_far(X86_OP_JMPF, 4, BAD_CODE_0, 0), X86_EXC_GP, BAD_CODE_0);
	assert_int_equal(run_far(X86_OP_JMPF, 4, CODE32_0, 0x12345), NO_EVENT);
	assert_int_equal(v->code, X86_CODE_32);
	assert_int_equal(run_far(X86_OP_CALLF, 4, CODE64_0, 0x54321), NO_EVENT);
	assert_int_equal(v->code, X86_CODE_64);
	assert_int_equal(v->gpr[X86_RSP], STACK_0 - 0x108);
	assert_int_equal(run_op(X86_OP_RETF, 4), NO_EVENT);
	assert_int_equal(v->code, X86_CODE_32);
	assert_int_equal(run_far(X86_OP_JMPF, 4, CODE64_0, 0x54321), NO_EVENT);
	/* m16:64, whoever the vendor is. */
	o.i.operand[0].kind = X86_OPND_MEM;
	o.i.disp = DATA;
	put(DATA, 8, 0x800000000000);
	put(DATA + 8, 2, CODE64_0);
	assert_raises(carry_out(&o), X86_EXC_GP, 0);
	put(DATA, 8, 0xffff800000000000);
	assert_int_equal(carry_out(&o), NO_EVENT);
	assert_true(v->gpr[X86_REG_RIP] == 0xffff800000000000);
}

/* -------- SYSCALL and its kin -------- */

static void syscall_long(void **state)
{
	rig_long(3);
	v->star = 0x0023001000000000ull;
	v->lstar = 0xffff800000001000;
	v->cstar = 0xffff800000002000;
	v->sfmask = X86_FLAG_IF | X86_FLAG_TF;
	v->rflags |= X86_FLAG_IF | X86_FLAG_TF | X86_FLAG_CF | X86_FLAG_RF;
	v->syscall_tf = true;
	assert_int_equal(run_op(X86_OP_SYSCALL, 4), NO_EVENT);
	assert_int_equal(v->cpl, 0);
	assert_true(v->gpr[X86_REG_RIP] == 0xffff800000001000);
	assert_int_equal(v->gpr[X86_RCX], CODE + 2);
	assert_int_equal(v->gpr[X86_R11], 0x303);
	assert_int_equal(v->rflags, 3);
	assert_false(v->syscall_tf);
	assert_int_equal(v->seg[X86_CS].selector, 0x10);
	assert_int_equal(v->seg[X86_SS].selector, 0x18);
	/* On AMD SS keeps its attributes, null ones too, but is of level 3. */
	x86_seg_null(0, 0, &v->seg[X86_SS]);
	assert_int_equal(run_op(X86_OP_SYSRET, 8), NO_EVENT);
	assert_int_equal(v->cpl, 3);
	assert_int_equal(v->seg[X86_CS].selector, 0x33);
	assert_int_equal(v->seg[X86_SS].selector, 0x2b);
	assert_true(v->seg[X86_SS].attr & X86_ATTR_UNUSABLE);
	assert_int_equal(v->rflags, 0x303);
	assert_int_equal(v->pending_dr6, X86_DR6_BS);
	assert_raises(run_op(X86_OP_SYSRET, 8), X86_EXC_GP, 0);
	assert_int_equal(run_op(X86_OP_SYSCALL, 4), NO_EVENT);
	assert_int_equal(run_op(X86_OP_SYSRET, 4), NO_EVENT);
	assert_int_equal(v->code, X86_CODE_32);
	assert_int_equal(v->seg[X86_CS].selector, 0x23);
	assert_int_equal(run_op(X86_OP_SYSCALL, 4), NO_EVENT);
	assert_true(v->gpr[X86_REG_RIP] == 0xffff800000002000);
	v->gpr[X86_RCX] = 0x800000000000;
	v->amd = false;
	assert_raises(run_op(X86_OP_SYSRET, 8), X86_EXC_GP, 0);
	v->amd = true;
	assert_int_equal(run_op(X86_OP_SYSRET, 8), NO_EVENT);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x800000000000);
	v->efer &= ~X86_EFER_SCE;
	assert_int_equal(run_op(X86_OP_SYSCALL, 4), X86_EXC_UD);
	assert_int_equal(run_op(X86_OP_SYSRET, 4), X86_EXC_UD);
}

static void syscall_legacy(void **state)
{
	rig_protected(3);
	v->efer = X86_EFER_SCE;
	v->star = 0x0020000800005678ull;
	v->rflags |= X86_FLAG_IF;
	assert_int_equal(run_op(X86_OP_SYSCALL, 4), NO_EVENT);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x5678);
	assert_int_equal(v->cpl, 0);
	assert_int_equal(v->code, X86_CODE_32);
	assert_int_equal(v->rflags, X86_FLAG_1);
	assert_int_equal(run_op(X86_OP_SYSRET, 4), NO_EVENT);
	assert_int_equal(v->cpl, 3);
	assert_int_equal(v->gpr[X86_REG_RIP], CODE + 2);
	assert_int_equal(v->rflags, X86_FLAG_1 | X86_FLAG_IF);
	v->amd = false;
	assert_int_equal(run_op(X86_OP_SYSCALL, 4), X86_EXC_UD);
}

static void sysenter(void **state)
{
	rig_protected(3);
	assert_raises(run_op(X86_OP_SYSENTER, 4), X86_EXC_GP, 0);
	v->sysenter_cs = 8;
	v->sysenter_eip = 0x1234;
	v->sysenter_esp = 0x5678;
	v->rflags |= X86_FLAG_IF;
	assert_int_equal(run_op(X86_OP_SYSENTER, 4), NO_EVENT);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x1234);
	assert_int_equal(v->gpr[X86_RSP], 0x5678);
	assert_int_equal(v->cpl, 0);
	assert_int_equal(v->seg[X86_SS].selector, 0x10);
	assert_int_equal(v->rflags, X86_FLAG_1);
	v->gpr[X86_RDX] = 0x4321;
	v->gpr[X86_RCX] = 0x8765;
	assert_int_equal(run_op(X86_OP_SYSEXIT, 4), NO_EVENT);
	assert_int_equal(v->cpl, 3);
	assert_int_equal(v->seg[X86_CS].selector, 0x1b);
	assert_int_equal(v->seg[X86_SS].selector, 0x23);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x4321);
	assert_int_equal(v->gpr[X86_RSP], 0x8765);
	assert_raises(run_op(X86_OP_SYSEXIT, 4), X86_EXC_GP, 0);
	rig_reset();
	v->sysenter_cs = 8;
	assert_raises(run_op(X86_OP_SYSENTER, 4), X86_EXC_GP, 0);
	rig_long(0);
	v->sysenter_cs = 8;
	assert_int_equal(run_op(X86_OP_SYSENTER, 4), X86_EXC_UD);
	assert_int_equal(run_op(X86_OP_SYSEXIT, 4), X86_EXC_UD);
	v->amd = false;
	v->sysenter_eip = 0xffff800000001234;
	assert_int_equal(run_op(X86_OP_SYSENTER, 4), NO_EVENT);
	assert_true(v->gpr[X86_REG_RIP] == 0xffff800000001234);
	v->gpr[X86_RDX] = 0x800000000000;
	assert_raises(run_op(X86_OP_SYSEXIT, 8), X86_EXC_GP, 0);
	v->gpr[X86_RDX] = 0x7fffffff0000;
	assert_int_equal(run_op(X86_OP_SYSEXIT, 8), NO_EVENT);
	assert_int_equal(v->seg[X86_CS].selector, 0x2b);
	assert_int_equal(v->code, X86_CODE_64);
	assert_int_equal(run_op(X86_OP_RSM, 4), X86_EXC_UD);
}

/* -------- tasks -------- */

#define EFLAGS_B (X86_FLAG_1 | X86_FLAG_IF)

/* A second task at level @cpl. */
static void build_task(unsigned int cpl)
{
	put(TSS_B + 0x1c, 4, 0x77000);
	put(TSS_B + 0x20, 4, 0x13000);
	put(TSS_B + 0x24, 4, EFLAGS_B);
	for (int i = 0; i < 8; i++)
		put(TSS_B + 0x28 + 4 * i, 4, 0x1000 + i);
	put(TSS_B + 0x28 + 4 * X86_RSP, 4, STACK_B);
	put(TSS_B + 0x48, 2, DATA_3);
	put(TSS_B + 0x4c, 2, cpl ? CODE32_3 : CODE32_0);
	put(TSS_B + 0x50, 2, cpl ? DATA_3 : DATA_0);
	put(TSS_B + 0x54, 2, DATA_3);
	put(TSS_B + 0x58, 2, 0);
	put(TSS_B + 0x5c, 2, DATA_3);
	put(TSS_B + 0x60, 2, LDT_SEL);
}

static uint8_t busy_byte(uint16_t selector)
{
	return get(GDT + selector + 5, 1);
}

static void task_call_and_back(void **state)
{
	rig_protected(0);
	build_task(3);
	v->rflags |= X86_FLAG_CF;
	v->dr[7] = 0x4ff;
	v->gpr[X86_RSI] = 0x5151;
	put(TSS_B + 0x64, 2, 1);
	assert_int_equal(run_far(X86_OP_CALLF, 4, TSS_B_SEL, 0), NO_EVENT);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x13000);
	assert_int_equal(v->gpr[X86_RCX], 0x1001);
	assert_int_equal(v->gpr[X86_RSP], STACK_B);
	assert_int_equal(v->cpl, 3);
	assert_int_equal(v->rflags, EFLAGS_B | X86_FLAG_NT);
	assert_int_equal(v->tr.selector, TSS_B_SEL);
	assert_int_equal(v->tr.attr, 0x8b);
	assert_int_equal(v->ldtr.base, LDT);
	assert_int_equal(v->seg[X86_GS].selector, DATA_3);
	assert_true(v->cr0 & X86_CR0_TS);
	assert_int_equal(v->cr3, 0); /* no paging */
	assert_int_equal(v->dr[7], 0x4aa);
	assert_int_equal(v->pending_dr6, X86_DR6_BT);
	assert_int_equal(busy_byte(TSS_SEL), 0x8b);
	assert_int_equal(busy_byte(TSS_B_SEL), 0x8b);
	assert_int_equal(get(TSS_B, 2), TSS_SEL);
	assert_int_equal(get(TSS + 0x20, 4), CODE + 2);
	assert_int_equal(get(TSS + 0x24, 4), X86_FLAG_1 | X86_FLAG_CF);
	assert_int_equal(get(TSS + 0x40, 4), 0x5151);
	assert_int_equal(get(TSS + 0x4c, 2), CODE32_0);
	/* IRET with NT. */
	v->nmi_masked = true;
	assert_int_equal(run_op(X86_OP_IRET, 4), NO_EVENT);
	assert_int_equal(v->gpr[X86_REG_RIP], CODE + 2);
	assert_int_equal(v->cpl, 0);
	assert_int_equal(v->gpr[X86_RSI], 0x5151);
	assert_int_equal(v->rflags, X86_FLAG_1 | X86_FLAG_CF);
	assert_int_equal(v->tr.selector, TSS_SEL);
	assert_int_equal(busy_byte(TSS_SEL), 0x8b);
	assert_int_equal(busy_byte(TSS_B_SEL), 0x89);
	assert_int_equal(get(TSS_B + 0x24, 4), EFLAGS_B);
	assert_int_equal(get(TSS_B + 0x20, 4), 0x13000);
	assert_false(v->nmi_masked);
}

static void task_jmp(void **state)
{
	rig_protected(0);
	build_task(0);
	v->cr0 |= X86_CR0_PG;
	assert_int_equal(run_far(X86_OP_JMPF, 4, TASK_GATE, 0), NO_EVENT);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x13000);
	assert_int_equal(v->rflags, EFLAGS_B);
	assert_int_equal(v->cr3, 0x77000);
	assert_int_equal(busy_byte(TSS_SEL), 0x89);
	assert_int_equal(busy_byte(TSS_B_SEL), 0x8b);
	assert_int_equal(get(TSS_B, 2), 0);
	assert_int_equal(v->pending_dr6, 0);
}

static void task_16(void **state)
{
	rig_protected(0);
	gdt_set(TSS_B_SEL, TSS_B, 0x2b, 0x81);
	put(TSS_B + 0xe, 2, 0x3000);
	put(TSS_B + 0x10, 2, X86_FLAG_IF);
	for (int i = 0; i < 8; i++)
		put(TSS_B + 0x12 + 2 * i, 2, 0x100 + i);
	put(TSS_B + 0x22, 2, DATA_3);
	put(TSS_B + 0x24, 2, CODE16_0);
	put(TSS_B + 0x26, 2, DATA16_0);
	put(TSS_B + 0x28, 2, DATA_0);
	assert_int_equal(run_far(X86_OP_CALLF, 4, TSS_B_SEL, 0), NO_EVENT);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x3000);
	assert_int_equal(v->seg[X86_CS].base, 0x10000);
	assert_int_equal(v->gpr[X86_RSP], 0x104);
	assert_int_equal(v->gpr[X86_RDI], 0x107);
	assert_int_equal(v->seg[X86_ES].selector, DATA_3);
	assert_int_equal(v->seg[X86_DS].selector, DATA_0);
	assert_int_equal(v->seg[X86_FS].selector, 0);
	assert_int_equal(v->rflags, X86_FLAG_IF | X86_FLAG_NT | X86_FLAG_1);
	v->gpr[X86_RDX] = 0xabcd;
	assert_int_equal(run_op(X86_OP_IRET, 2), NO_EVENT);
	assert_int_equal(v->gpr[X86_REG_RIP], CODE + 2);
	assert_int_equal(get(TSS_B + 0x16, 2), 0xabcd);
	assert_int_equal(get(TSS_B + 0x10, 2), X86_FLAG_IF | X86_FLAG_1);
	assert_int_equal(get(TSS_B + 0x2a, 2), 0);
	assert_int_equal(busy_byte(TSS_B_SEL), 0x81);
}

static void task_to_vm86(void **state)
{
	rig_protected(0);
	build_task(3);
	put(TSS_B + 0x24, 4, EFLAGS_B | X86_FLAG_VM);
	put(TSS_B + 0x20, 4, 0x300);
	assert_int_equal(run_far(X86_OP_JMPF, 4, TSS_B_SEL, 0), NO_EVENT);
	assert_true(soft_vm86(v));
	assert_int_equal(v->cpl, 3);
	assert_int_equal(v->seg[X86_CS].base, CODE32_3 << 4);
	assert_int_equal(v->seg[X86_FS].attr, 0xf3);
}

static void task_by_gate(void **state)
{
	struct soft_event e = { .vector = 8, .has_error = true, .error = 0x55 };

	rig_protected(3);
	build_task(0);
	put(IDT + 8 * 8, 8, gate_of(TSS_B_SEL, 0, 0x85, 0));
	v->rflags |= X86_FLAG_TF;
	assert_true(deliver(&e));
	assert_int_equal(v->rip, 0x13000);
	assert_int_equal(v->cpl, 0);
	assert_int_equal(v->gpr[X86_RSP], STACK_B - 4);
	assert_int_equal(stacked(0, 4), 0x55);
	assert_int_equal(v->rflags, EFLAGS_B | X86_FLAG_NT);
	assert_int_equal(get(TSS + 0x20, 4), CODE); /* a fault's instruction */
	assert_int_equal(get(TSS + 0x24, 4) & X86_FLAG_TF, X86_FLAG_TF);
	assert_false(v->in_event);
	/* INT n: the next instruction. */
	rig_protected(3);
	build_task(3);
	put(IDT + 0x20 * 8, 8, gate_of(TSS_B_SEL, 0, 0xe5, 0));
	assert_true(deliver_vector(0x20, SOFT_EVENT_SOFT_INT));
	assert_int_equal(get(TSS + 0x20, 4), CODE + 2);
	assert_int_equal(v->gpr[X86_RSP], STACK_B);
}

/* What is wrong is found in the old task. */
static void task_old_faults(void **state)
{
	struct soft_event e = { .vector = 0x20, .kind = SOFT_EVENT_EXTERNAL };

	rig_protected(0);
	build_task(0);
	assert_raises(run_far(X86_OP_CALLF, 4, TSS_SEL, 0), X86_EXC_GP, TSS_SEL); /* busy */
	put(GDT + TASK_GATE, 8, gate_of(TSS_SEL, 0, 0xe5, 0));
	assert_raises(run_far(X86_OP_CALLF, 4, TASK_GATE, 0), X86_EXC_GP, TSS_SEL);
	put(GDT + TASK_GATE, 8, gate_of(TSS_B_SEL | 4, 0, 0xe5, 0));
	assert_raises(run_far(X86_OP_CALLF, 4, TASK_GATE, 0), X86_EXC_GP, TSS_B_SEL | 4);
	put(GDT + TASK_GATE, 8, gate_of(TSS_B_SEL, 0, 0x65, 0));
	assert_raises(run_far(X86_OP_CALLF, 4, TASK_GATE, 0), X86_EXC_NP, TASK_GATE);
	gdt_set(TSS_B_SEL, TSS_B, 0x66, 0x89);
	assert_raises(run_far(X86_OP_JMPF, 4, TSS_B_SEL, 0), X86_EXC_TS, TSS_B_SEL);
	gdt_set(TSS_B_SEL, TSS_B, 0x67, 0x09);
	assert_raises(run_far(X86_OP_JMPF, 4, TSS_B_SEL, 0), X86_EXC_NP, TSS_B_SEL);
	put(IDT + 0x20 * 8, 8, gate_of(TSS_B_SEL, 0, 0xe5, 0));
	assert_raises(deliver_raises(&e), X86_EXC_NP, TSS_B_SEL + 1);
	gdt_set(TSS_B_SEL, TSS_B, 0x67, 0x89);
	fault_page = TSS_B;
	assert_int_equal(run_far(X86_OP_JMPF, 4, TSS_B_SEL, 0), X86_EXC_PF);
	fault_page = TSS;
	assert_int_equal(run_far(X86_OP_JMPF, 4, TSS_B_SEL, 0), X86_EXC_PF);
	fault_page = GDT;
	fault_writes = true;
	assert_int_equal(run_far(X86_OP_JMPF, 4, TSS_B_SEL, 0), X86_EXC_PF);
	fault_page = 0;
	/* IRET to what is not busy. */
	v->rflags |= X86_FLAG_NT;
	put(TSS, 2, TSS_B_SEL);
	assert_raises(run_op(X86_OP_IRET, 4), X86_EXC_TS, TSS_B_SEL);
	put(TSS, 2, 0);
	assert_raises(run_op(X86_OP_IRET, 4), X86_EXC_TS, 0);
	assert_int_equal(v->tr.selector, TSS_SEL);
	assert_int_equal(v->gpr[X86_REG_RIP], CODE + 2);
	assert_int_equal(busy_byte(TSS_SEL), 0x8b);
	assert_int_equal(busy_byte(TSS_B_SEL), 0x89);
}

/* What is wrong is found in the new task. */
static int bad_task(uint32_t off, uint16_t value)
{
	rig_protected(0);
	build_task(3);
	put(TSS_B + off, 2, value);
	return run_far(X86_OP_JMPF, 4, TSS_B_SEL, 0);
}

static void task_new_faults(void **state)
{
	struct soft_event e;

	assert_raises(bad_task(0x60, TSS_SEL), X86_EXC_TS, TSS_SEL);
	assert_int_equal(v->tr.selector, TSS_B_SEL);
	assert_int_equal(v->rip, 0x13000);
	assert_int_equal(v->cpl, 3);
	assert_raises(bad_task(0x60, LDT_SEL | 4), X86_EXC_TS, LDT_SEL | 4);
	assert_raises(bad_task(0x4c, 3), X86_EXC_TS, 0);
	assert_raises(bad_task(0x4c, CODE32_0 | 3), X86_EXC_TS, CODE32_0);
	assert_raises(bad_task(0x4c, DATA_3), X86_EXC_TS, DATA_3 & ~3);
	assert_raises(bad_task(0x50, 0), X86_EXC_TS, 0);
	assert_raises(bad_task(0x50, DATA_0), X86_EXC_TS, DATA_0);
	assert_raises(bad_task(0x54, DATA_0), X86_EXC_TS, DATA_0);
	assert_raises(bad_task(0x5c, GDT_END), X86_EXC_TS, GDT_END);
	rig_protected(0);
	build_task(0);
	put(TSS_B + 0x4c, 2, ABSENT_CODE_0);
	assert_raises(run_far(X86_OP_JMPF, 4, TSS_B_SEL, 0), X86_EXC_NP, ABSENT_CODE_0);
	rig_protected(0);
	build_task(0);
	put(TSS_B + 0x50, 2, ABSENT_DATA_0);
	assert_raises(run_far(X86_OP_JMPF, 4, TSS_B_SEL, 0), X86_EXC_SS, ABSENT_DATA_0);
	rig_protected(0);
	build_task(0);
	put(TSS_B + 0x54, 2, ABSENT_DATA_0);
	assert_raises(run_far(X86_OP_JMPF, 4, TSS_B_SEL, 0), X86_EXC_NP, ABSENT_DATA_0);
	/* The fault is delivered there: CS and SS are the new task's already. */
	idt_set(X86_EXC_NP, CODE32_0, 0x14000, 0x8e, 0);
	e = v->event;
	assert_true(deliver(&e));
	assert_int_equal(v->rip, 0x14000);
	assert_int_equal(v->gpr[X86_RSP], STACK_B - 16);
	assert_int_equal(stacked(1, 4), 0x13000);
	/* EIP beyond CS. */
	rig_protected(0);
	build_task(0);
	put(TSS_B + 0x4c, 2, CODE16_0);
	assert_raises(run_far(X86_OP_JMPF, 4, TSS_B_SEL, 0), X86_EXC_GP, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mov_to_seg),
		cmocka_unit_test(mov_to_seg_other_modes),
		cmocka_unit_test(push_pop_and_read),
		cmocka_unit_test(far_pointers),
		cmocka_unit_test(lar_lsl),
		cmocka_unit_test(ver_arpl),
		cmocka_unit_test(lldt_ltr),
		cmocka_unit_test(far_in_real_mode),
		cmocka_unit_test(far_direct),
		cmocka_unit_test(far_indirect),
		cmocka_unit_test(call_that_faults),
		cmocka_unit_test(outer_return),
		cmocka_unit_test(gate_inner),
		cmocka_unit_test(gate_same),
		cmocka_unit_test(gate_faults),
		cmocka_unit_test(gate_long),
		cmocka_unit_test(long_and_compat),
		cmocka_unit_test(syscall_long),
		cmocka_unit_test(syscall_legacy),
		cmocka_unit_test(sysenter),
		cmocka_unit_test(task_call_and_back),
		cmocka_unit_test(task_jmp),
		cmocka_unit_test(task_16),
		cmocka_unit_test(task_to_vm86),
		cmocka_unit_test(task_by_gate),
		cmocka_unit_test(task_old_faults),
		cmocka_unit_test(task_new_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
