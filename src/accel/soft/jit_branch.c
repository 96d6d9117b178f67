// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_branch - branches as host code, and whatever else leaves the straight way.
 *
 * Within its page a branch is a call of a stub, which makes a jump to the other block of it (a link).
 * Beyond the page, and where it is indirect, the linear address is looked up in a table (jit.c).
 * Interrupts are noticed at backward branches and by that look-up.
 */
#include "accel/soft/jit_tr.h"

/* -------- branches -------- */
/* Somewhere else's code when something is not as it should be: the instruction is interpreted. */
struct jit_miss *jit_miss_at(struct jit_tr *t, unsigned int k, uint32_t jcc)
{
	struct jit_miss *m = &t->miss[t->n_miss++];

	*m = (struct jit_miss){ .jcc = j_ahead(&t->b, jcc),
		.insn = (uint8_t)k,
		.flags_saved = t->flags_saved,
		.have = t->have };
	return m;
}

void jit_miss(struct jit_tr *t, unsigned int k, uint32_t jcc)
{
	jit_miss_at(t, k, jcc)->back = true;
}

void j_goto_index(struct jit_buf *b)
{
	j_lea_index(b, false, R_10, R_9, R_9, 0, 0);
	JCODE(b, "\x41\x81\xe2"); /* and r10d, */
	j32(b, 2 * (SOFT_GOTOS - 1));
}

/* The address in r9 with the entry that it leads to, whose index r10 becomes; r9 what the block there
 * wants. */
static void compare_goto(struct jit_buf *b)
{
	j_goto_index(b);
	j_gs(b, true, 0x03, R_9, V_OFF(g.id_poll));		/* add */
	j_gs_index(b, true, 0x3b, R_9, R_10, V_OFF(go[0].tag)); /* cmp */
}

struct jit_miss *jit_compare_goto(struct jit_tr *t, unsigned int k)
{
	compare_goto(&t->b);
	return jit_miss_at(t, k, 0x0f85);
}

/* Find where the linear address in r9 leads, for jit_jump_host(); flags go to memory. If that is not known or
 * somebody wants the vCPU's attention, the interpreter carries @k out, which must not have changed
 * anything. With @lost r10 becomes where to jump to, by way of that if so. */
static struct jit_miss *lookup(struct jit_tr *t, unsigned int k, uint64_t *lost)
{
	struct jit_miss *m;

	if (t->live[k] && !t->flags_saved)
		jit_save_flags(t);
	if (!lost)
		return jit_compare_goto(t, k);
	compare_goto(&t->b);
	j_gs_index(&t->b, true, OP_LOAD, R_10, R_10, V_OFF(go[0].host));
	j_data(&t->b, 0x0f45, R_10, lost); /* cmovne */
	m = &t->miss[t->n_miss++];
	*m = (struct jit_miss){ .lost = lost, .insn = (uint8_t)k, .flags_saved = t->flags_saved };
	return m;
}

void jit_may_fault(struct jit_tr *t, unsigned int k, const uint8_t *at)
{
	t->fault[t->n_fault++] = (struct jit_tr_fault){ at, (uint8_t)k, t->flags_saved };
}

void jit_emit_fault(struct jit_tr *t, const struct jit_tr_fault *f)
{
	struct soft_jit *j = t->j;
	struct jit_site s = jit_site_of(t, f->insn);

	s.flags_saved = f->flags_saved;
	j->fault[j->n_faults++] = (struct jit_fault){ (uint32_t)(f->at - j->code.rw),
		(uint32_t)(jit_put_site(t, &s) - j->code.rw) };
}

void jit_jump_host(struct jit_tr *t)
{
	j_gs_index(&t->b, false, 0xff, 4, R_10, V_OFF(go[0].host));
}

/* Go where the linear address in r9 leads; rSP moves by @pop.
 * The host's CPU foresees an indirect branch by the branches before it, the less of them the better. So hot
 * code has none to tell whether the table knows the target: the comparison chooses where the one branch goes. */
static void go_to(struct jit_tr *t, unsigned int k, int32_t pop)
{
	bool chooses = t->hot && t->j->n_lost < JIT_LOST;
	struct jit_buf *b = &t->b;
	struct jit_miss *m;

	m = lookup(t, k, chooses ? &jit_data(t->j)->lost[t->j->n_lost++] : NULL);
	if (pop)
		jit_move_sp(t, pop);
	if (!chooses) {
		jit_jump_host(t);
		return;
	}
	m->undo_sp = -pop;
	JCODE(b, "\x41\xff\xe2"); /* jmp r10 */
}

/* To offset @off of this page, which another block has. */
void jit_emit_link(struct jit_tr *t, int64_t off, const uint8_t *jcc)
{
	struct jit_site s = { .block = t->block, .off = (uint16_t)off, .have = t->have };

	jit_call_stub(t, t->j->stub.link);
	s.next = jcc ? (int32_t)(jcc - t->b.p) : 0;
	jit_put_site(t, &s);
}

/* Is there somebody who wants the vCPU's attention? Then it is at @off. */
static void emit_poll(struct jit_tr *t, unsigned int k, int64_t off, bool keep_flags)
{
	struct jit_site s = { .block = t->block, .off = (uint16_t)off };
	struct jit_miss *m;
	uint8_t *none;

	if (!keep_flags) {
		j_gs(&t->b, false, 0x83, 7, V_OFF(poll)); /* cmp dword, 0 */
		jb(&t->b, 0);
		m = jit_miss_at(t, k, 0x0f85);
		m->go = true;
		m->off = (uint16_t)off;
		return;
	}
	j_mov(&t->b, R_10, R_CX);
	j_gs(&t->b, false, OP_LOAD, R_CX, V_OFF(poll));
	none = j_ahead8(&t->b, 0xe3); /* jrcxz */
	j_mov(&t->b, R_CX, R_10);
	jit_call_stub(t, t->j->stub.go);
	jit_put_site(t, &s);
	j_here8(&t->b, none);
	j_mov(&t->b, R_CX, R_10);
}

/* -------- straight to another page -------- */
/* The page that the block lies in, its target's and the context are constants in the code, put there
 * when it is first come upon and again when they are others (on_far_link()). So nothing is looked up, which
 * matters to code with many branches: they would fill the table's place in the host's caches. The context stands
 * for what is mapped where, and it is another one when somebody wants the vCPU's attention.
 *
 * Contexts of programs change often: each time all would be put in again. So theirs look into the table when
 * they find another one, and only one in JIT_FAR_MISSES of these gets new constants. */
#define FAR_JNE 0x0f85u

unsigned int jit_put_far(
	uint8_t *code, const uint8_t *rx, const struct jit_far *f, uint8_t **page, uint8_t *jne[2])
{
	struct jit_buf buf = { code, rx - code }, *b = &buf;

	if (f->any) {
		JCODE(b, "\x49\xba"); /* mov r10, imm64 */
		*page = b->p;
		j64(b, f->page);
		j_rm(b, true, 0x39, R_10, R_SP, F_PAGE); /* cmp */
	} else {
		j_rm(b, f->wide, 0x81, 7, R_SP, F_PAGE); /* cmp */
		*page = b->p;
		j32(b, (uint32_t)f->page);
	}
	jne[0] = j_ahead(b, FAR_JNE);
	j_gs(b, false, 0x81, 7, V_OFF(g.id_poll)); /* cmp dword */
	j32(b, (uint32_t)f->id);
	jne[1] = j_ahead(b, FAR_JNE);
	if (f->any) {
		JCODE(b, "\x4d\x8d\x92"); /* lea r10, [r10 + ..] */
		j32(b, (uint32_t)(f->to - f->page));
		j_rm(b, true, OP_STORE, R_10, R_SP, F_PAGE);
	} else {
		j_rm(b, f->wide, 0xc7, 0, R_SP, F_PAGE); /* mov */
		j32(b, (uint32_t)f->to);
	}
	j_to(b, 0xe9, f->target);
	return (unsigned int)(b->p - code);
}

/* Are both pages' addresses constants of 32 bits, where the block lies now? There it will mostly be found. */
static bool far_fits32(const struct jit_tr *t, int64_t target)
{
	uint64_t page = t->v->g.page;

	return !t->wide ||
	       (jit_fits32((int64_t)page) && jit_fits32((int64_t)(page + (uint64_t)target)));
}

bool jit_far_ok(const struct jit_tr *t, int64_t target)
{
	return jit_fits32(target);
}

void jit_emit_far(struct jit_tr *t, unsigned int k, int64_t target)
{
	struct jit_miss *m = &t->miss[t->n_miss++];
	struct jit_far f = { .page = JIT_FAR_NONE,
		.to = JIT_FAR_NONE,
		.target = t->j->code.rx,
		.wide = t->wide,
		.any = !far_fits32(t, target) };
	uint8_t *jne[2], *page, *start;

	if (!t->flags_saved)
		jit_save_flags(t);
	start = t->b.p;
	t->b.p += jit_put_far(start, start + t->b.to_rx, &f, &page, jne);
	*m = (struct jit_miss){ .jcc = jne[0],
		.jcc2 = jne[1],
		.insn = (uint8_t)k,
		.flags_saved = true,
		.far = true,
		.far_any = f.any,
		.target = (int32_t)target,
		.start = start };
}

/* The constants are others. */
static void emit_far_miss(struct jit_tr *t, const struct jit_miss *m, struct jit_site *s)
{
	struct jit_buf *b = &t->b;
	uint8_t *unknown = NULL, *enough = NULL;

	j_here(b, m->jcc2);
	s->size = t->v->mmu_index == SOFT_MMU_USER;
	if (s->size) {
		jit_lea_page(t, R_9, m->target);
		compare_goto(b);
		unknown = j_ahead8(b, 0x75);
		j_gs(b, false, 0x83, 5, V_OFF(g.far_left)); /* sub dword, 1 */
		jb(b, 1);
		enough = j_ahead8(b, 0x78);
		jit_jump_host(t);
		j_here8(b, unknown);
		j_here8(b, enough);
	}
	jit_call_stub(t, t->j->stub.far_link);
	s->retry = m->target;
	s->next = (int32_t)(m->start - b->p);
	s->access = m->far_any;
	jit_put_site(t, s);
}

/* What is not as it should be, and what becomes of it. */
void jit_emit_miss(struct jit_tr *t, const struct jit_miss *m)
{
	struct jit_site s = jit_site_of(t, m->insn);

	if (m->lost)
		*m->lost = (uintptr_t)(t->b.p + t->b.to_rx);
	else
		j_here(&t->b, m->jcc);
	if (m->undo_sp)
		jit_move_sp(t, m->undo_sp);
	s.flags_saved = m->flags_saved;
	if (m->go)
		s.off = m->off;
	if (m->far) {
		emit_far_miss(t, m, &s);
		return;
	}
	jit_call_stub(t, m->go ? t->j->stub.go : t->j->stub.interp);
	if (m->back && t->end[m->insn]) {
		s.next = (int32_t)(t->end[m->insn] - t->b.p);
		s.have = m->have;
	}
	jit_put_site(t, &s);
}

/* Instruction @k branches to offset @target of the page, or beyond it. @dead: nobody there reads flags. */
void jit_emit_branch(struct jit_tr *t, unsigned int k, int64_t target, bool dead)
{
	if (target >= 0 && target < JIT_PAGE) {
		if (!dead)
			jit_restore_flags(t);
		if (target <= t->off[k])
			emit_poll(t, k, target, !dead);
		jit_emit_link(t, target, NULL);
		return;
	}
	if (jit_far_ok(t, target)) {
		jit_emit_far(t, k, target);
		return;
	}
	jit_lea_page(t, R_9, target);
	go_to(t, k, 0);
}

void jit_emit_side(struct jit_tr *t, const struct jit_side *s)
{
	t->flags_saved = false;
	t->have = s->have;
	j_here(&t->b, s->jcc);
	/* Nothing to do on the way: it will go there by itself. */
	if (s->target > t->off[s->insn] && s->target < JIT_PAGE)
		jit_emit_link(t, s->target, s->jcc);
	else
		jit_emit_branch(t, s->insn, s->target, t->dead[s->insn]);
}

int64_t jit_target_of(const struct jit_tr *t, unsigned int k)
{
	return (int64_t)t->off[k] + t->insn[k].len + (int64_t)t->insn[k].imm;
}

bool jit_branch_ok(const struct jit_tr *t, const struct x86_insn *i)
{
	return i->opsize == jit_slot_size(t);
}

/* A loop's end: mostly it goes back. So that lies in the straight way, and is one jump instead of two. */
static bool emit_loop(struct jit_tr *t, unsigned int k)
{
	int64_t target = jit_target_of(t, k);
	uint8_t *on;

	if (target < 0 || target > t->off[k] || !t->dead[k])
		return false;
	on = j_ahead(&t->b, 0x0f80 | ((t->insn[k].opcode & 15) ^ 1));
	emit_poll(t, k, target, false);
	if (!jit_share_loop(t, k))
		jit_emit_link(t, target, NULL);
	j_here(&t->b, on);
	return true;
}

bool jit_emit_jcc(struct jit_tr *t, unsigned int k)
{
	if (!jit_branch_ok(t, &t->insn[k]))
		return false;
	jit_restore_flags(t);
	t->r9_kept = true;
	if (emit_loop(t, k))
		return true;
	t->side[t->n_side++] = (struct jit_side){ j_ahead(&t->b, 0x0f80 | (t->insn[k].opcode & 15)),
		jit_target_of(t, k), (uint8_t)k, t->have };
	return true;
}

/* The target of an indirect branch to r9. */
static bool emit_where_to(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	const struct x86_operand *p = &i->operand[0];
	struct jit_mem m;

	if (p->kind == X86_OPND_MEM) {
		if (!jit_ea_possible(t, i))
			return false;
		jit_operand(t, k, jit_slot_size(t), SOFT_READ, &m);
		jit_rm(t, t->wide, OP_LOAD, R_9, &m);
	} else if (jit_pinned(p->reg)) {
		j_rr(&t->b, t->wide, OP_LOAD, R_9, jit_host_of(p->reg));
	} else {
		j_rm(&t->b, t->wide, OP_LOAD, R_9, R_SP, jit_frame_of(p->reg));
	}
	return true;
}

bool jit_emit_jmp(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];

	if (!jit_branch_ok(t, i))
		return false;
	if (i->operand[0].kind == X86_OPND_REL) {
		jit_emit_branch(t, k, jit_target_of(t, k), t->dead[k]);
	} else {
		if (!emit_where_to(t, k))
			return false;
		go_to(t, k, 0);
	}
	t->ended = true;
	return true;
}

/* Push the address of the next instruction. */
static void push_next(struct jit_tr *t, unsigned int k)
{
	struct jit_mem m;

	jit_push_slot(t, k, &m);
	jit_lea_page(t, R_10, t->off[k] + t->insn[k].len);
	jit_rm(t, t->wide, OP_STORE, R_10, &m);
	jit_move_sp(t, -(int32_t)jit_slot_size(t));
}

/* The same, and go where the linear address in r9 leads. */
static void push_and_go(struct jit_tr *t, unsigned int k)
{
	struct jit_buf *b = &t->b;

	lookup(t, k, NULL);
	j_gs_index(b, true, OP_LOAD, R_10, R_10, V_OFF(go[0].host));
	j_gs_store(b, R_9, V_OFF(g.goal));
	j_gs_store(b, R_10, V_OFF(g.called));
	push_next(t, k);
	j_gs_load(b, R_9, V_OFF(g.goal));
	j_gs(b, false, 0xff, 4, V_OFF(g.called)); /* jmp */
}

bool jit_emit_call(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	bool direct = i->operand[0].kind == X86_OPND_REL;
	int64_t target = jit_target_of(t, k);

	if (!jit_branch_ok(t, i))
		return false;
	t->ended = true;
	if (direct && target >= 0 && target < JIT_PAGE) {
		push_next(t, k);
		jit_emit_branch(t, k, target, t->dead[k]);
		return true;
	}
	if (direct && jit_far_ok(t, target)) {
		push_next(t, k);
		jit_emit_far(t, k, target);
		return true;
	}
	if (direct)
		jit_lea_page(t, R_9, target);
	else if (!emit_where_to(t, k))
		return false;
	push_and_go(t, k);
	return true;
}

bool jit_emit_ret(struct jit_tr *t, unsigned int k)
{
	struct jit_mem m;

	if (!jit_branch_ok(t, &t->insn[k]))
		return false;
	jit_stack_top(t, k, &m);
	jit_rm(t, t->wide, OP_LOAD, R_9, &m);
	go_to(t, k, (int32_t)jit_slot_size(t) + (uint16_t)t->insn[k].imm);
	t->ended = true;
	return true;
}
