// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_share - accesses to memory around what one register holds: looked up once.
 *
 * Much code goes to several fields of a structure, or of the stack's frame, one after the other. Accesses of
 * a block by the same register (which constants may be added to in between: PUSH does) are a group.
 * The first one looks up all that the group will touch; where that lies in one page the
 * distance from linear to host addresses is the same for the others, and all that they do is add it.
 * The distance is where the first one found the page: the stack's (F_STACK_DELTA), the group's region's
 * (jit_region.c), or, looked up in the TLB, in the frame (F_DELTA).
 *
 * Where it does not lie in one page, or not all of it may be accessed, the rest of the block is another
 * one, which looks up each for itself: JIT_MODE_APART.
 *
 * Between two accesses of a group C code may be called (for another access, say). When it has dropped anything
 * that was remembered, it does not return into the block: j->epoch.
 */
#include "accel/soft/jit_tr.h"
#include "accel/soft/native_int.h"

#define SPAN_MAX 512 /* bytes of a group */

/* -------- what an instruction does -------- */
/* Is it known which registers it changes? (note_changes()) Otherwise it ends all groups. */
static bool plain(const struct x86_insn *i)
{
	switch (i->op) {
	case X86_OP_ADD ... X86_OP_NOT:
	case X86_OP_IMUL:
	case X86_OP_ROL ... X86_OP_BSWAP:
	case X86_OP_MOV ... X86_OP_LEA:
	case X86_OP_PUSH:
	case X86_OP_POP:
	case X86_OP_SETCC:
	case X86_OP_CMOVCC:
	case X86_OP_NOP:
	case X86_OP_JCC:
	case X86_OP_JMP:
	case X86_OP_CALL:
	case X86_OP_RET:
		return true;
	case X86_OP_MUL:
	case X86_OP_IMUL1:
	case X86_OP_DIV:
	case X86_OP_IDIV:
	case X86_OP_CBW:
	case X86_OP_CWD:
	case X86_OP_LEAVE:
		return true;
	default:
		return i->cls == X86_CLASS_GPR || i->cls == X86_CLASS_X87 ||
		       i->cls == X86_CLASS_SSE || i->cls == X86_CLASS_AVX;
	}
}

/* Its memory operand, if the address is a register and a constant. */
static const struct x86_operand *operand_of(const struct jit_tr *t, const struct x86_insn *i)
{
	if (!(i->flags & X86_I_MODRM) || i->modrm >= 0xc0 || i->index != X86_REG_NONE ||
		i->base >= 16 || i->seg >= X86_FS || i->addrsize != jit_slot_size(t) ||
		(i->seg == X86_CS && !t->wide))
		return NULL;
	/* The second is pushed, or is elsewhere: a bit by its number. */
	if (i->op == X86_OP_PUSH || i->op == X86_OP_POP || (i->op >= X86_OP_BT && i->op <= X86_OP_BTC))
		return NULL;
	for (unsigned int n = 0; n < i->n_operands; n++)
		if (i->operand[n].kind == X86_OPND_MEM && !i->operand[n].implicit)
			return i->operand[n].access && i->operand[n].size &&
					       i->operand[n].size <= 32
				       ? &i->operand[n]
				       : NULL;
	return NULL;
}

/* -------- groups -------- */
struct search {
	struct jit_tr *t;
	int32_t adj[16];       /* what was added to the register since it was changed otherwise */
	uint8_t group[16][2];  /* 1 + that of its reads, of its writes */
};

static void join(struct jit_share *g, struct jit_member *m, int32_t at, unsigned int size)
{
	g->lo = MIN(g->lo, at);
	g->hi = MAX(g->hi, at + (int32_t)size);
	g->n++;
	m->size = (uint8_t)size;
	m->at = at;
}

static bool fits(const struct jit_share *g, int32_t at, unsigned int size)
{
	return MAX(g->hi, at + (int32_t)size) - MIN(g->lo, at) <= SPAN_MAX;
}

static void add(struct search *s, unsigned int k, enum jit_slot slot, unsigned int reg, int64_t disp,
	unsigned int size, bool write)
{
	struct jit_tr *t = s->t;
	struct jit_member *m = &t->member[k][slot];
	int64_t at = s->adj[reg] + disp;
	uint8_t *to = &s->group[reg][write && reg != R_SP];

	if (at != (int32_t)at || at > INT32_MAX / 2 || at < INT32_MIN / 2)
		return;
	/* What may be written may be read. */
	if (!write && s->group[reg][1] && fits(&t->share[s->group[reg][1] - 1], (int32_t)at, size))
		to = &s->group[reg][1];
	if (!*to || !fits(&t->share[*to - 1], (int32_t)at, size)) {
		t->share[t->n_share++] = (struct jit_share){ .reg = (uint8_t)reg,
			.write = write,
			.lo = (int32_t)at,
			.hi = (int32_t)at };
		*to = (uint8_t)t->n_share;
	}
	m->group = *to;
	m->adj = s->adj[reg];
	join(&t->share[*to - 1], m, (int32_t)at, size);
}

static void forget(struct search *s, unsigned int reg)
{
	s->adj[reg] = 0;
	s->group[reg][0] = s->group[reg][1] = 0;
}

/* Does @i add a constant to register @reg, all of it? */
static bool adds(const struct jit_tr *t, const struct x86_insn *i, unsigned int reg, int64_t *by)
{
	const struct x86_operand *p = i->operand;

	if (p[0].size != jit_slot_size(t) || p[0].kind != X86_OPND_GPR || p[0].reg != reg)
		return false;
	switch (i->op) {
	case X86_OP_ADD:
	case X86_OP_SUB:
		*by = i->op == X86_OP_ADD ? (int32_t)i->imm : -(int64_t)(int32_t)i->imm;
		return p[1].kind == X86_OPND_IMM;
	case X86_OP_INC:
	case X86_OP_DEC:
		*by = i->op == X86_OP_INC ? 1 : -1;
		return true;
	case X86_OP_LEA:
		*by = i->disp;
		return i->base == reg && i->index == X86_REG_NONE &&
		       i->addrsize == jit_slot_size(t) && jit_fits32(i->disp);
	default:
		return false;
	}
}

static void move(struct search *s, unsigned int reg, int64_t by)
{
	int64_t adj = s->adj[reg] + by;

	if (adj > INT32_MAX / 4 || adj < INT32_MIN / 4)
		forget(s, reg);
	else
		s->adj[reg] = (int32_t)adj;
}

/* What does not stand in the operands. */
static void note_implied(struct search *s, const struct x86_insn *i)
{
	struct native_gpr u[NATIVE_GPRS];
	unsigned int n;

	if (i->op == X86_OP_LEAVE) {
		forget(s, R_SP);
		forget(s, R_BP);
	} else if (i->cls == X86_CLASS_SSE || i->cls == X86_CLASS_AVX) {
		n = native_gprs(i, u);
		for (unsigned int a = 0; a < n; a++)
			if (u[a].write)
				forget(s, u[a].guest & 15);
	} else if (i->cls != X86_CLASS_INT || (i->op >= X86_OP_MUL && i->op <= X86_OP_IDIV) ||
		   i->op == X86_OP_CBW || i->op == X86_OP_CWD) {
		forget(s, R_AX);
		forget(s, R_DX);
	}
}

static void note_changes(struct search *s, const struct x86_insn *i)
{
	int64_t by;

	note_implied(s, i);
	for (unsigned int n = 0; n < i->n_operands; n++) {
		const struct x86_operand *p = &i->operand[n];

		if ((p->kind != X86_OPND_GPR && p->kind != X86_OPND_GPR_H) ||
			!(p->access & X86_ACC_W) || p->reg >= 16)
			continue;
		if (adds(s->t, i, p->reg, &by))
			move(s, p->reg, by);
		else
			forget(s, p->reg);
	}
}

/* PUSH, POP, CALL, RET of the stack's width. */
static void stack(struct search *s, unsigned int k, const struct x86_insn *i)
{
	int32_t n = (int32_t)jit_slot_size(s->t);

	if (i->opsize != n) {
		forget(s, R_SP);
	} else if (i->op == X86_OP_PUSH || i->op == X86_OP_CALL) {
		if (i->op == X86_OP_CALL || i->operand[0].kind != X86_OPND_MEM)
			add(s, k, JIT_IMPLIED, R_SP, -n, (unsigned int)n, true);
		move(s, R_SP, -n);
	} else {
		add(s, k, JIT_IMPLIED, R_SP, 0, (unsigned int)n, false);
		move(s, R_SP, n);
	}
}

void jit_share_find(struct jit_tr *t)
{
	struct search s = { .t = t };

	memset(t->member, 0, t->n * sizeof(t->member[0]));
	if (t->apart || t->j->lockstep || t->n < 2)
		return;
	for (unsigned int k = 0; k < t->n; k++) {
		const struct x86_insn *i = &t->insn[k];
		const struct x86_operand *m;

		if (!plain(i)) {
			memset(s.adj, 0, sizeof(s.adj));
			memset(s.group, 0, sizeof(s.group));
			continue;
		}
		m = operand_of(t, i);
		if (m)
			add(&s, k, JIT_OPERAND, i->base, i->disp, m->size, m->access & X86_ACC_W);
		if (i->op == X86_OP_LEAVE && i->opsize == jit_slot_size(t))
			add(&s, k, JIT_OPERAND, R_BP, 0, jit_slot_size(t), false);
		if (i->op == X86_OP_PUSH || i->op == X86_OP_POP || i->op == X86_OP_CALL ||
			i->op == X86_OP_RET)
			stack(&s, k, i);
		note_changes(&s, i);
	}
}

/* -------- the first access of a group -------- */
void jit_share_forget(struct jit_tr *t)
{
	for (unsigned int n = 0; n < t->n_share; n++)
		t->share[n].how = JIT_SHARE_NOT_YET;
}

/* The distance that the group has found. */
static void load_delta(struct jit_tr *t, const struct jit_share *g, unsigned int to)
{
	if (g->how == JIT_SHARE_REGION)
		jit_region_delta(t, g->region, to);
	else
		j_rm(&t->b, true, OP_LOAD, to, R_SP,
			g->how == JIT_SHARE_STACK ? F_STACK_DELTA : F_DELTA + 8 * g->slot);
}

/* The lowest address of the group, by what the register holds at @m, to @to. */
static void lowest(struct jit_tr *t, const struct jit_share *g, const struct jit_member *m,
	unsigned int to)
{
	j_lea(&t->b, t->wide, to, jit_reg_in(t, g->reg, to), g->lo - m->adj);
}

/* The address in r9 was looked up in the TLB and is the host's: how far that is goes into the frame. */
static void store_delta(struct jit_tr *t, struct jit_share *g, const struct jit_member *m)
{
	struct jit_buf *b = &t->b;

	g->slot = t->next_delta++ % JIT_DELTAS;
	for (unsigned int n = 0; n < t->n_share; n++)
		if (&t->share[n] != g && t->share[n].how == JIT_SHARE_FRAME &&
			t->share[n].slot == g->slot)
			t->share[n].how = JIT_SHARE_NOT_YET;
	lowest(t, g, m, R_10);
	JCODE(b, "\x49\xf7\xda"); /* neg r10 */
	j_rr(b, true, 0x03, R_10, R_9);
	j_rm(b, true, OP_STORE, R_10, R_SP, F_DELTA + 8 * g->slot);
}

static void look_up(struct jit_tr *t, unsigned int k, struct jit_share *g,
	const struct jit_member *m, enum soft_access access)
{
	unsigned int span = (unsigned int)(g->hi - g->lo);
	struct jit_slow *s;

	if (t->live[k] && !t->flags_saved)
		jit_save_flags(t);
	s = jit_slow_at(t, k, m->size, access);
	s->share = g;
	s->rel = (uint16_t)(m->at - g->lo);
	s->have = t->have;
	s->retry = t->b.p;
	lowest(t, g, m, R_9);
	if (g->reg == R_SP) {
		g->how = JIT_SHARE_STACK;
		s->ja = jit_stack_compare(t, span);
	} else if (t->hot && jit_region_for_span(t, k, span, &s->region)) {
		g->how = JIT_SHARE_REGION;
		g->region = s->region;
		s->ja = jit_region_check(t, s->region);
	} else {
		g->how = JIT_SHARE_FRAME;
		s->ja = jit_probe(t, span, g->write ? SOFT_WRITE : SOFT_READ);
		store_delta(t, g, m);
	}
	s->done = t->b.p;
	s->how = JIT_SHARED;
	s->shared_by = g->how;
}

bool jit_share_operand(struct jit_tr *t, unsigned int k, enum jit_slot slot, unsigned int size,
	enum soft_access access, struct jit_mem *mem)
{
	const struct jit_member *m = &t->member[k][slot];
	struct jit_share *g = m->group ? &t->share[m->group - 1] : NULL;
	struct jit_buf *b = &t->b;
	int32_t disp;

	if (!g || g->n < 2 || m->size != size || (access == SOFT_WRITE && g->reg != R_SP && !g->write))
		return false;
	*mem = (struct jit_mem){ R_9, R_SP, 0 };
	if (!g->how) {
		look_up(t, k, g, m, access);
		mem->disp = m->at - g->lo;
		return true;
	}
	disp = m->at - m->adj;
	if (!t->wide) {
		j_lea(b, false, R_9, g->reg == R_SP ? R_11 : g->reg, disp);
		load_delta(t, g, R_10);
		j_lea_index(b, true, R_9, R_9, R_10, 0, 0);
		return true;
	}
	load_delta(t, g, R_9);
	mem->disp = disp;
	if (jit_pinned(g->reg)) {
		mem->index = (uint8_t)jit_host_of(g->reg);
	} else {
		j_lea_index(b, true, R_9, R_9, jit_reg_in(t, g->reg, R_10), 0, 0);
	}
	return true;
}

/* -------- when that does not lead there -------- */
/* All of it is in the page, or it is no wonder: r9 is the lowest address. */
static uint8_t *not_in_a_page(struct jit_tr *t, const struct jit_slow *w)
{
	struct jit_buf *b = &t->b;

	j_rr(b, false, OP_LOAD, R_10, R_9);
	JCODE(b, "\x41\x81\xe2"); /* and r10d, */
	j32(b, JIT_PAGE - 1);
	JCODE(b, "\x41\x81\xfa"); /* cmp r10d, */
	j32(b, JIT_PAGE - (uint32_t)(w->share->hi - w->share->lo));
	return j_ahead(b, 0x0f87);
}

static void put_share_site(struct jit_tr *t, const struct jit_slow *w)
{
	struct jit_share_site s = { .rel = w->rel,
		.span = (uint16_t)(w->share->hi - w->share->lo),
		.write = w->share->write,
		.stack = w->shared_by == JIT_SHARE_STACK };

	jbytes(&t->b, (const char *)&s, sizeof(s));
}

void jit_emit_share_slow(struct jit_tr *t, const struct jit_slow *w)
{
	struct jit_site s = jit_site_of(t, w->insn);
	bool region = w->shared_by == JIT_SHARE_REGION;
	uint8_t *at, *apart = NULL;

	s.size = w->size;
	s.access = w->access;
	s.first = jit_first_of(&t->insn[w->insn]);
	s.flags_saved = w->flags_saved;
	if (region) {
		jit_region_share_missed(t, w);
	} else {
		j_here(&t->b, w->ja);
		if (w->shared_by == JIT_SHARE_FRAME)
			j_rm(&t->b, true, 0x33, R_9, R_10, 8 * w->share->write); /* xor */
		apart = not_in_a_page(t, w);
		jit_call_stub(t, t->j->stub.share);
	}
	at = t->b.p;
	s.retry = (int32_t)(w->retry - at);
	s.next = sizeof(struct jit_site) + sizeof(struct jit_share_site);
	jit_put_site(t, &s);
	put_share_site(t, w);
	if (apart)
		j_here(&t->b, apart);
	t->flags_saved = w->flags_saved;
	jit_restore_flags(t);
	s = (struct jit_site){ .block = t->block, .off = t->off[w->insn], .have = w->have };
	jit_call_stub(t, t->j->stub.link_apart);
	jit_put_site(t, &s);
}
