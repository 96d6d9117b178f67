// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_level - SYSCALL and SYSRET without leaving generated code (syscall.c is what they do).
 *
 * From 64-bit code to 64-bit code the translator's mode (JIT_MODE_*) stays, and what changes with the level is
 * at hand: the id of the other level's context (v->g.side, which jit_sync() keeps), its small TLB and its
 * stack's page. Whatever is not as usual the interpreter does: then nothing has changed yet.
 *
 * Who wants the vCPU's attention writes v->poll and then id_poll (soft_notify()): here it is the other way
 * round, with XCHG as the barrier.
 */
#include "accel/soft/jit_tr.h"

#define SEG(n, member)                                             \
	(V_OFF(seg) + (int32_t)((n) * sizeof(struct x86_segment) + \
				offsetof(struct x86_segment, member)))
#define OP_MOVZX16 0x0fb7u
#define OP_XCHG	   0x87u
#define JNE	   0x0f85u
#define JE	   0x0f84u

#define ATTR_CODE64 0xa09bu /* syscall.c's */
#define ATTR_DATA   0xc093u
#define DPL3	    (3u << 5)

/* -------- where they are -------- */
/* An operation (ModRM's reg field: 1 or, 4 and, 7 cmp) on a dword of the vCPU; test. */
static void op_dword(struct jit_buf *b, unsigned int op, int32_t off, uint32_t imm)
{
	j_gs(b, false, 0x81, op, off);
	j32(b, imm);
}

static void test_dword(struct jit_buf *b, int32_t off, uint32_t imm)
{
	j_gs(b, false, 0xf7, 0, off);
	j32(b, imm);
}

/* What both ask for: the other level's context is known, no x87 instruction's CS is to be noted yet. */
static void need_usual(struct jit_tr *t, unsigned int k, bool user)
{
	struct jit_buf *b = &t->b;

	if (!t->flags_saved)
		jit_save_flags(t);
	test_dword(b, V_OFF(efer), X86_EFER_SCE);
	jit_miss(t, k, JE);
	op_dword(b, 7, V_OFF(g.side[0].id) + (user ? (int32_t)sizeof(struct soft_context) : 0), 0);
	jit_miss(t, k, JE);
	op_dword(b, 7, V_OFF(g.x87_last), 0);
	jit_miss(t, k, JNE);
}

bool jit_emit_syscall(struct jit_tr *t, unsigned int k)
{
	if (!t->wide)
		return false;
	need_usual(t, k, false);
	jit_lea_page(t, R_9, t->off[k] + t->insn[k].len);
	j_to(&t->b, 0xe9, t->j->stub.syscall);
	t->ended = true;
	return true;
}

/* TF traps, AC may mean alignment checks; an interrupt that waits for IF comes first. */
bool jit_emit_sysret(struct jit_tr *t, unsigned int k)
{
	struct jit_buf *b = &t->b;

	if (!t->wide || t->insn[k].opsize != 8)
		return false;
	need_usual(t, k, true);
	j_gs_byte(b, 7, V_OFF(cpl), 0);
	jit_miss(t, k, JNE);
	j_gs_byte(b, 7, V_OFF(irq_wanted), 0);
	jit_miss(t, k, JNE);
	j_rm(b, false, 0xf7, 0, R_SP, F_R11); /* test dword */
	j32(b, X86_FLAG_TF | X86_FLAG_AC);
	jit_miss(t, k, JNE);
	j_mov(b, R_10, R_CX);
	JCODE(b, "\x49\xc1\xe2\x10\x49\xc1\xfa\x10"); /* shl r10, 16; sar r10, 16 */
	JCODE(b, "\x49\x39\xca");		      /* cmp r10, rcx */
	jit_miss(t, k, JNE);
	j_to(b, 0xe9, t->j->stub.sysret);
	t->ended = true;
	return true;
}

/* -------- what is the same for all of them -------- */
/* mov gs:[off], r10w */
static void store16(struct jit_buf *b, int32_t off)
{
	JCODE(b, "\x65\x66\x44\x89\x14\x25");
	j32(b, (uint32_t)off);
}

static void set_base0(struct jit_buf *b, enum x86_seg seg)
{
	j_gs(b, true, 0xc7, 0, SEG(seg, base));
	j32(b, 0);
	j_gs_byte(b, 1, V_OFF(seg_zero), BIT(seg));
}

/* As syscall.c's flat(); the selector is in r10w. */
static void set_flat(struct jit_buf *b, enum x86_seg seg, uint32_t attr)
{
	set_base0(b, seg);
	j_gs_imm(b, SEG(seg, limit), UINT32_MAX);
	j_gs_imm(b, SEG(seg, attr), attr);
	store16(b, SEG(seg, selector));
	if (seg == X86_CS) /* code is not what v->seg_flat is about */
		j_gs_byte(b, 4, V_OFF(seg_flat), 0xff & ~BIT(seg));
	else
		j_gs_byte(b, 1, V_OFF(seg_flat), BIT(seg));
}

/* All of RFLAGS to r9: the status flags are in v->g.flags2. */
static void flags_to_r9(struct jit_buf *b)
{
	j_gs(b, false, OP_MOVZX16, R_9, V_OFF(g.flags2)); /* what LAHF gave above what SETO gave */
	JCODE(b, "\x45\x0f\xb6\xd1");			  /* movzx r10d, r9b */
	JCODE(b, "\x41\xc1\xe9\x08");			  /* shr r9d, 8 */
	JCODE(b, "\x41\xc1\xe2\x0b");			  /* shl r10d, 11: OF */
	JCODE(b, "\x45\x09\xd1");			  /* or r9d, r10d */
	JCODE(b, "\x41\x81\xe1");			  /* and r9d, */
	j32(b, X86_FLAGS_STATUS);
	j_gs_load(b, R_10, V_OFF(rflags));
	JCODE(b, "\x49\x81\xe2"); /* and r10, */
	j32(b, ~(uint32_t)(X86_FLAGS_STATUS | X86_FLAG_RF));
	JCODE(b, "\x4d\x09\xd1"); /* or r9, r10 */
}

/* RFLAGS become r9, with bit 1. */
static void flags_from_r9(struct jit_buf *b)
{
	JCODE(b, "\x49\x83\xc9\x02"); /* or r9, 2 */
	j_gs_store(b, R_9, V_OFF(rflags));
	JCODE(b, "\x45\x89\xca");     /* mov r10d, r9d */
	JCODE(b, "\x41\xc1\xe2\x08"); /* shl r10d, 8 */
	JCODE(b, "\x41\xc1\xe9\x0b"); /* shr r9d, 11 */
	JCODE(b, "\x41\x83\xe1\x01"); /* and r9d, 1 */
	JCODE(b, "\x45\x09\xca");     /* or r10d, r9d */
	store16(b, V_OFF(g.flags2));
}

static void use_l1(struct jit_buf *b, enum soft_mmu_index index)
{
	j_gs_byte(b, 0, V_OFF(mmu_index), index);
	j_gs_load(b, R_10, V_OFF(l1_of[0]) + 8 * index);
}

/* Accesses are the level's from here on. */
static void switch_memory(struct jit_buf *b, bool user)
{
	uint8_t *no_smap, *ac;

	j_gs_byte(b, 0, V_OFF(cpl), user ? 3 : 0);
	if (user) {
		use_l1(b, SOFT_MMU_USER);
	} else {
		use_l1(b, SOFT_MMU_KERNEL_AC);
		test_dword(b, V_OFF(cr4), X86_CR4_SMAP);
		no_smap = j_ahead8(b, 0x74);
		test_dword(b, V_OFF(rflags), X86_FLAG_AC);
		ac = j_ahead8(b, 0x75);
		use_l1(b, SOFT_MMU_KERNEL);
		j_here8(b, no_smap);
		j_here8(b, ac);
	}
	j_gs_store(b, R_10, V_OFF(l1));
	j_rm(b, true, OP_STORE, R_10, R_SP, F_L1);
	/* The two levels' pages lie side by side. */
	j_gs_load(b, R_10, V_OFF(g.stack_at));
	JCODE(b, "\x49\x83"); /* or, and r10, */
	jb(b, user ? 0xca : 0xe2);
	jb(b, user ? sizeof(struct soft_stack_page) : 0xff & ~(int)sizeof(struct soft_stack_page));
	j_gs_store(b, R_10, V_OFF(g.stack_at));
	j_rm(b, true, OP_LOAD, R_9, R_10, offsetof(struct soft_stack_page, tag));
	j_gs_store(b, R_9, V_OFF(g.stack.tag));
	j_rm(b, true, OP_STORE, R_9, R_SP, F_STACK_TAG);
	j_rm(b, true, OP_LOAD, R_9, R_10, offsetof(struct soft_stack_page, delta));
	j_gs_store(b, R_9, V_OFF(g.stack.delta));
	j_rm(b, true, OP_STORE, R_9, R_SP, F_STACK_DELTA);
}

static void load_target(struct jit_buf *b, bool user)
{
	if (user)
		j_mov(b, R_9, R_CX);
	else
		j_gs_load(b, R_9, V_OFF(lstar));
}

/* The context is the level's; go to rCX or LSTAR. */
static void switch_context(struct jit_buf *b, const struct jit_stubs *s, bool user)
{
	int32_t side = V_OFF(g.side[0]) + (user ? (int32_t)sizeof(struct soft_context) : 0);
	uint8_t *poll, *unknown;

	j_gs_load(b, R_10, side + (int32_t)offsetof(struct soft_context, key));
	j_gs_store(b, R_10, V_OFF(g.key));
	j_gs_load(b, R_10, side + (int32_t)offsetof(struct soft_context, id));
	j_gs_store(b, R_10, V_OFF(g.id));
	j_rm(b, true, OP_STORE, R_10, R_SP, F_ID);
	j_gs(b, true, OP_XCHG, R_10, V_OFF(g.id_poll));
	op_dword(b, 7, V_OFF(poll), 0);
	poll = j_ahead(b, JNE);
	load_target(b, user);
	j_goto_index(b);
	j_gs(b, true, 0x03, R_9, V_OFF(g.id_poll));		/* add */
	j_gs_index(b, true, 0x3b, R_9, R_10, V_OFF(go[0].tag)); /* cmp */
	unknown = j_ahead(b, JNE);
	j_gs_index(b, false, 0xff, 4, R_10, V_OFF(go[0].host)); /* jmp */
	j_here(b, poll);
	j_here(b, unknown);
	load_target(b, user);
	j_rm(b, true, 0x03, R_9, R_SP, F_ID); /* add */
	j_to(b, 0xe9, s->stray);
}

/* -------- the two -------- */
/* The next instruction's address is in r9. */
static void make_syscall(struct jit_buf *b, struct jit_stubs *s)
{
	s->syscall = b->p + b->to_rx;
	j_mov(b, R_CX, R_9);
	flags_to_r9(b);
	j_rm(b, true, OP_STORE, R_9, R_SP, F_R11);
	j_gs_load(b, R_10, V_OFF(sfmask));
	JCODE(b, "\x49\xf7\xd2\x4d\x21\xd1"); /* not r10; and r9, r10 */
	flags_from_r9(b);
	j_gs(b, false, OP_LOAD, R_10, V_OFF(star) + 4);
	JCODE(b, "\x41\x81\xe2"); /* and r10d, */
	j32(b, 0xfffc);
	set_flat(b, X86_CS, ATTR_CODE64);
	JCODE(b, "\x41\x83\xc2\x08"); /* add r10d, 8 */
	set_flat(b, X86_SS, ATTR_DATA);
	switch_memory(b, false);
	switch_context(b, s, false);
}

static void make_sysret(struct jit_buf *b, struct jit_stubs *s)
{
	uint8_t *amd, *over;

	s->sysret = b->p + b->to_rx;
	j_rm(b, true, OP_LOAD, R_9, R_SP, F_R11);
	JCODE(b, "\x49\x81\xe1"); /* and r9, */
	j32(b, X86_FLAGS_ALL & ~(X86_FLAG_RF | X86_FLAG_VM));
	flags_from_r9(b);
	j_gs(b, false, OP_MOVZX16, R_10, V_OFF(star) + 6);
	JCODE(b, "\x41\x83\xc2\x10\x41\x83\xca\x03"); /* add r10d, 16; or r10d, 3 */
	set_flat(b, X86_CS, ATTR_CODE64 | DPL3);
	j_gs(b, false, OP_MOVZX16, R_10, V_OFF(star) + 6);
	JCODE(b, "\x41\x83\xc2\x08\x41\x83\xca\x03"); /* add r10d, 8; or r10d, 3 */
	j_gs_byte(b, 7, V_OFF(amd), 0);
	amd = j_ahead8(b, 0x75);
	set_flat(b, X86_SS, ATTR_DATA | DPL3);
	over = j_ahead8(b, 0xeb);
	j_here8(b, amd);
	store16(b, SEG(X86_SS, selector));
	op_dword(b, 1, SEG(X86_SS, attr), DPL3);
	j_here8(b, over);
	switch_memory(b, true);
	switch_context(b, s, true);
}

void jit_make_level_stubs(struct jit_buf *b, struct jit_stubs *s)
{
	_Static_assert(sizeof(struct soft_stack_page) == 16, "");
	make_syscall(b, s);
	make_sysret(b, s);
}
