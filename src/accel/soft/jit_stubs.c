// SPDX-License-Identifier: GPL-2.0-or-later
/* jit_stubs - what lies between generated code and C code: jit_run.c has what is where. */
#include "accel/soft/jit_run.h"

static const uint8_t pinned[] = { R_CX, R_DX, R_BX, R_BP, R_SI, R_DI, R_8, R_9, R_10, R_12, R_13 };
static const uint8_t callee_saved[] = { R_BX, R_BP, R_12, R_13, R_14, R_15 };

static void push_pop(struct jit_buf *b, unsigned int op, unsigned int reg)
{
	if (reg & 8)
		jb(b, 0x41);
	jb(b, op + (reg & 7));
}

/* What has its place in the frame (enum jit_frame), and in the vCPU. */
static const struct {
	int32_t at, of;
	bool load_only;
} framed[] = {
	{ F_R11, V_OFF(gpr[R_11]), false },
	{ F_R14, V_OFF(gpr[R_14]), false },
	{ F_R15, V_OFF(gpr[R_15]), false },
	{ F_PAGE, V_OFF(g.page), false },
	{ F_L1, V_OFF(l1), true },
	{ F_ID, V_OFF(g.id), true },
	{ F_STACK_TAG, V_OFF(g.stack.tag), true },
	{ F_STACK_DELTA, V_OFF(g.stack.delta), true },
	{ F_DELTA, V_OFF(g.delta[0]), false },
	{ F_DELTA + 8, V_OFF(g.delta[1]), false },
};

static void save_all(struct jit_buf *b)
{
	j_gs_store(b, R_AX, V_OFF(gpr[R_AX]));
	JCODE(b, "\x9f\x0f\x90\xc0"); /* lahf; seto al */
	JCODE(b, "\x65\x66");
	jb(b, OP_STORE);
	JCODE(b, "\x04\x25");
	j32(b, V_OFF(g.flags)); /* mov gs:[flags], ax */
	for (unsigned int i = 0; i < sizeof(pinned); i++)
		j_gs_store(b, jit_host_of(pinned[i]), V_OFF(gpr) + 8 * pinned[i]);
	j_gs_store(b, R_11, V_OFF(gpr[R_SP]));
	for (unsigned int i = 0; i < ARRAY_SIZE(framed); i++) {
		if (framed[i].load_only)
			continue;
		j_rm(b, true, OP_LOAD, R_AX, R_SP, framed[i].at);
		j_gs_store(b, R_AX, framed[i].of);
	}
}

/* Go on at the address in rax. */
static void load_all_and_go(struct jit_buf *b, const struct jit_stubs *s)
{
	uint8_t *over;

	j_gs_byte(b, 7, V_OFF(g.vec_was), 0); /* cmp */
	over = j_ahead8(b, 0x74);
	push_pop(b, 0x50, R_AX);
	j_to(b, 0xe8, s->vec_load);
	push_pop(b, 0x58, R_AX);
	j_here8(b, over);
	j_gs(b, false, 0x0fb6, R_CX, V_OFF(fpu.resident)); /* movzx */
	j_gs_index(b, true, OP_LOAD, R_CX, R_CX, V_OFF(g.x87_to));
	j_gs_store(b, R_CX, V_OFF(g.ensure) + 8 * JIT_X87);
	j_gs_store(b, R_AX, V_OFF(g.target));
	for (unsigned int i = 0; i < ARRAY_SIZE(framed); i++) {
		j_gs_load(b, R_AX, framed[i].of);
		j_rm(b, true, OP_STORE, R_AX, R_SP, framed[i].at);
	}
	j_gs(b, false, 0x0fb7, R_AX, V_OFF(g.flags)); /* movzx eax, word */
	JCODE(b, "\x04\x7f\x9e");		      /* add al, 0x7f; sahf */
	for (unsigned int i = 0; i < sizeof(pinned); i++)
		j_gs_load(b, jit_host_of(pinned[i]), V_OFF(gpr) + 8 * pinned[i]);
	j_gs_load(b, R_11, V_OFF(gpr[R_SP]));
	j_gs_load(b, R_AX, V_OFF(gpr[R_AX]));
	j_gs_load(b, R_9, V_OFF(g.r9));
	j_gs(b, false, 0xff, 4, V_OFF(g.target)); /* jmp */
}

static const uint8_t *rx_of(struct jit_buf *b)
{
	return b->p + b->to_rx;
}

/* A stub that calls @fn with the vCPU, what follows the call of the stub, and r9. @popped: that is in
 * r10 already. */
static const uint8_t *make_call(
	struct jit_buf *b, const void *fn, const struct jit_stubs *s, const uint8_t **popped)
{
	const uint8_t *start = rx_of(b);
	uint8_t *over;

	push_pop(b, 0x58, R_10);
	if (popped)
		*popped = rx_of(b);
	save_all(b);
	j_gs_byte(b, 0, V_OFF(g.vec_was), 0); /* mov */
	j_gs_byte(b, 7, V_OFF(g.vec), 0);
	over = j_ahead8(b, 0x74);
	j_to(b, 0xe8, s->vec_store);
	j_here8(b, over);
	j_gs_load(b, R_DI, V_OFF(g.self));
	j_mov(b, R_SI, R_10);
	j_mov(b, R_DX, R_9);
	JCODE(b, "\x48\xb8"); /* mov rax, imm64 */
	j64(b, (uintptr_t)fn);
	JCODE(b, "\xff\xd0\x48\x85\xc0"); /* call rax; test rax, rax */
	j_to(b, 0x0f84, s->leave);	  /* jz */
	j_to(b, 0xe9, s->load);
	return start;
}

void jit_make_stubs(struct soft_jit *j)
{
	struct jit_buf b = { j->code.rw, j->code.rx - j->code.rw };
	struct jit_stubs *s = &j->stub;

	jit_make_res_stubs(&b, s);
	s->leave = rx_of(&b);
	JCODE(&b, "\x48\x83\xc4"); /* add rsp, */
	jb(&b, F_SIZE);
	for (unsigned int i = sizeof(callee_saved); i--;)
		push_pop(&b, 0x58, callee_saved[i]);
	jb(&b, 0xc3);
	/* void enter(where) */
	s->enter = rx_of(&b);
	for (unsigned int i = 0; i < sizeof(callee_saved); i++)
		push_pop(&b, 0x50, callee_saved[i]);
	JCODE(&b, "\x48\x83\xec"); /* sub rsp, */
	jb(&b, F_SIZE);
	j_mov(&b, R_AX, R_DI);
	s->load = rx_of(&b);
	load_all_and_go(&b, s);
	s->slow = make_call(&b, jit_on_slow, s, &s->slow_popped);
	if (!j->lockstep)
		jit_make_slow_stub(&b, j);
	make_call(&b, jit_on_again, s, &s->again_popped);
	s->share = make_call(&b, jit_on_share, s, &s->share_popped);
	if (!j->lockstep)
		jit_make_share_stub(&b, j);
	make_call(&b, jit_on_slow_stack, s, &s->slow_stack_popped);
	jit_make_stack_stubs(&b, s);
	make_call(&b, jit_on_share_again, s, &s->share_again_popped);
	s->interp = make_call(&b, jit_on_interp, s, &s->miss);
	s->go = make_call(&b, jit_on_go, s, NULL);
	s->link = make_call(&b, jit_on_link, s, NULL);
	s->link_apart = make_call(&b, jit_on_link_apart, s, NULL);
	s->far_link = make_call(&b, jit_on_far_link, s, NULL);
	s->stale_saved = make_call(&b, jit_on_stale_saved, s, NULL);
	s->span = make_call(&b, jit_on_span, s, NULL);
	s->stale = make_call(&b, jit_on_stale, s, NULL);
	jit_make_region_stubs(&b, j);
	make_call(&b, jit_on_stray, s, &s->stray);
	make_call(&b, jit_on_string, s, &s->string_slow);
	jit_make_string_stubs(&b, s);
	jit_make_level_stubs(&b, s);
	j->stubs_end = ALIGN_UP((size_t)(b.p - j->code.rw), (size_t)64);
}
