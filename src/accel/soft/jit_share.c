// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_share - accesses to memory around what one register holds: looked up once.
 *
 * Much code goes to several fields of a structure, or of the stack's frame, one after the other. Accesses of
 * a block by the same register (which constants may be added to in between: PUSH does) are a group.
 * The first one looks up all that the group will touch; where that lies in one page the
 * distance from linear to host addresses is the same for the others, and all that they do is add it.
 * The distance is where the first one found the page: the stack's (F_STACK_DELTA), the group's region's
 * (jit_region.c), or, looked up in the TLB, in the frame (F_DELTA). Where nothing
 * comes in between, host register r9 keeps the address itself.
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

/* Its memory operand, if the address is a register, maybe another one, and a constant. */
static const struct x86_operand *operand_of(const struct jit_tr *t, const struct x86_insn *i)
{
	if (!(i->flags & X86_I_MODRM) || i->modrm >= 0xc0 || i->flags & X86_I_VSIB ||
		i->base >= 16 || i->seg >= X86_FS || i->addrsize != jit_slot_size(t) ||
		(i->seg == X86_CS && !t->wide))
		return NULL;
	/* The second is pushed, or is elsewhere: a bit by its number. */
	if (i->op == X86_OP_PUSH || i->op == X86_OP_POP ||
		(i->op >= X86_OP_BT && i->op <= X86_OP_BTC))
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
/* Are such accesses looked for in the stack's page, which may be read and written? */
static bool of_stack(unsigned int base, unsigned int index)
{
	return base == R_SP && index == X86_REG_NONE;
}

#define PLACES 8 /* that are remembered at a time */

/* What the registers of an address hold, and the groups of accesses there. */
struct place {
	uint8_t base, index, scale; /* base X86_REG_NONE: none */
	uint8_t read, write;	    /* 1 + the group; 0: none */
};

struct search {
	struct jit_tr *t;
	int32_t adj[16]; /* what was added to the register since it was changed otherwise */
	struct place place[PLACES];
	unsigned int next;
};

static struct place *place_of(
	struct search *s, unsigned int base, unsigned int index, unsigned int scale)
{
	struct place *p;

	for (unsigned int n = 0; n < PLACES; n++) {
		p = &s->place[n];
		if (p->base == base && p->index == index && p->scale == scale)
			return p;
	}
	p = &s->place[s->next++ % PLACES];
	*p = (struct place){
		.base = (uint8_t)base, .index = (uint8_t)index, .scale = (uint8_t)scale
	};
	return p;
}

bool jit_share_has_stack(const struct jit_tr *t)
{
	for (unsigned int n = 0; n < t->n_share; n++)
		if (t->share[n].n > 1 && of_stack(t->share[n].base, t->share[n].index))
			return true;
	return false;
}

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

static void add(struct search *s, unsigned int k, enum jit_slot slot, struct place *p, int64_t disp,
	unsigned int size, bool write)
{
	struct jit_tr *t = s->t;
	struct jit_member *m = &t->member[k][slot];
	int64_t at = s->adj[p->base] + disp;
	uint8_t *to = write && !of_stack(p->base, p->index) ? &p->write : &p->read;

	if (at > INT32_MAX / 2 || at < INT32_MIN / 2)
		return;
	/* What may be written may be read. */
	if (!write && p->write && fits(&t->share[p->write - 1], (int32_t)at, size))
		to = &p->write;
	if (!*to || !fits(&t->share[*to - 1], (int32_t)at, size)) {
		t->share[t->n_share++] = (struct jit_share){ .base = p->base,
			.index = p->index,
			.scale = p->scale,
			.write = write,
			.lo = (int32_t)at,
			.hi = (int32_t)at };
		*to = (uint8_t)t->n_share;
	}
	m->group = *to;
	m->adj = s->adj[p->base];
	join(&t->share[*to - 1], m, (int32_t)at, size);
}

static void forget(struct search *s, unsigned int reg)
{
	s->adj[reg] = 0;
	for (unsigned int n = 0; n < PLACES; n++)
		if (s->place[n].base == reg || s->place[n].index == reg)
			s->place[n].base = X86_REG_NONE;
}

static void forget_all(struct search *s)
{
	for (unsigned int r = 0; r < 16; r++)
		forget(s, r);
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

	for (unsigned int n = 0; n < PLACES; n++)
		if (s->place[n].index == reg)
			s->place[n].base = X86_REG_NONE;
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
	struct place *p = place_of(s, R_SP, X86_REG_NONE, 0);

	if (i->opsize != n) {
		forget(s, R_SP);
	} else if (i->op == X86_OP_PUSH || i->op == X86_OP_CALL) {
		if (i->op == X86_OP_CALL || i->operand[0].kind != X86_OPND_MEM)
			add(s, k, JIT_IMPLIED, p, -n, (unsigned int)n, true);
		move(s, R_SP, -n);
	} else {
		add(s, k, JIT_IMPLIED, p, 0, (unsigned int)n, false);
		move(s, R_SP, n);
	}
}

/* -------- host register r9 from one access to the next -------- */
/* Are all registers that it names the host's, too? */
static bool only_pinned(const struct x86_insn *i)
{
	for (unsigned int n = 0; n < i->n_operands; n++) {
		const struct x86_operand *p = &i->operand[n];

		if (p->kind == X86_OPND_GPR_H || (p->kind == X86_OPND_GPR && !jit_pinned(p->reg)))
			return false;
	}
	return true;
}

/* Is it the same on the host, but for its memory operand? Then it loses neither r9 nor r10. */
static bool is_itself(const struct x86_insn *i)
{
	switch (i->op) {
	case X86_OP_ADD ... X86_OP_NOT:
	case X86_OP_IMUL:
	case X86_OP_ROL ... X86_OP_SAR:
	case X86_OP_MOV ... X86_OP_MOVSXD:
		return only_pinned(i);
	default:
		return false;
	}
}

/* Does @k leave host register r9 as it has it, or as a group's access has it? */
static bool keeps_r9(const struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	bool stack = i->op == X86_OP_PUSH || i->op == X86_OP_POP;

	if (i->cls == X86_CLASS_SSE || i->cls == X86_CLASS_AVX)
		return !native_has_mem(i) || t->member[k][JIT_OPERAND].group;
	if (!is_itself(i) && !(stack && only_pinned(i)))
		return false;
	for (unsigned int n = 0; n < i->n_operands; n++)
		if (i->operand[n].kind == X86_OPND_MEM && !t->member[k][JIT_OPERAND].group)
			return false;
	return true;
}

/* The group of access @slot of @k, with others: or NULL. */
static struct jit_share *group_of(struct jit_tr *t, unsigned int k, enum jit_slot slot)
{
	unsigned int g = k < t->n ? t->member[k][slot].group : 0;

	return g && t->share[g - 1].n > 1 ? &t->share[g - 1] : NULL;
}

/* Has an indirect CALL put where it leads into r9 when it comes to the stack? */
static bool loses_r9(const struct jit_tr *t, unsigned int k, unsigned int slot)
{
	return slot == JIT_IMPLIED && t->insn[k].op == X86_OP_CALL &&
	       t->insn[k].operand[0].kind != X86_OPND_REL;
}

/* Is r9 to be the group's lowest address at @k, for the next one? */
static bool for_next(struct jit_tr *t, unsigned int k, const struct jit_share *g)
{
	return g->direct || t->insn[k].cls != X86_CLASS_INT || g->index != X86_REG_NONE ||
	       !jit_pinned(g->base) ||
	       (keeps_r9(t, k) && (group_of(t, k + 1, JIT_OPERAND) == g ||
					  group_of(t, k + 1, JIT_IMPLIED) == g));
}

/* An instruction that the host has with a register alone gains nothing, where that is not an addition anyway. */
static bool member_direct(const struct jit_tr *t, unsigned int k, unsigned int slot)
{
	const struct jit_member *m = &t->member[k][slot];

	return jit_direct_ok(t, R_SP, m->adj) && jit_direct_ok(t, R_SP, m->at) &&
	       jit_direct_ok(t, R_SP, m->at - m->adj) &&
	       (!t->wide || jit_has_any_form(&t->insn[k]));
}

/* May the host's CPU add a group's register and constants to its distance, all of them? The TLB may have the
 * addresses of 64-bit code, too: so 32-bit code must have another place to look at. */
static void find_direct(struct jit_tr *t)
{
	for (unsigned int n = 0; n < t->n_share; n++) {
		struct jit_share *g = &t->share[n];

		g->direct = g->index == X86_REG_NONE && jit_direct_ok(t, g->base, 0) &&
			    (t->wide || t->hot || g->base == R_SP);
	}
	for (unsigned int k = 0; k < t->n; k++)
		for (unsigned int slot = 0; slot < JIT_SLOTS; slot++)
			if (t->member[k][slot].group && !member_direct(t, k, slot))
				t->share[t->member[k][slot].group - 1].direct = false;
}

/* Which groups have accesses that do not find r9 as an earlier one left it? */
static void find_needs(struct jit_tr *t)
{
	const struct jit_share *in_r9 = NULL;

	for (unsigned int k = 0; k < t->n; k++) {
		for (unsigned int slot = 0; slot < JIT_SLOTS; slot++) {
			struct jit_share *g = group_of(t, k, slot);

			if (loses_r9(t, k, slot))
				in_r9 = NULL;
			if (!g)
				continue;
			if (g->how && in_r9 != g)
				g->needs_delta = true;
			in_r9 = !g->how || in_r9 == g || for_next(t, k, g) ? g : NULL;
			g->how = JIT_SHARE_FRAME;
		}
		if (!keeps_r9(t, k))
			in_r9 = NULL;
	}
	jit_share_forget(t);
}

/* Would the block's first access, made again, be its group's once more? */
static bool first_again(const struct search *s)
{
	unsigned int group = s->t->member[0][JIT_OPERAND].group;
	const struct jit_share *g = group ? &s->t->share[group - 1] : NULL;

	if (!g || s->t->member[0][JIT_OPERAND].adj || s->adj[g->base])
		return false;
	for (unsigned int n = 0; n < PLACES; n++) {
		const struct place *p = &s->place[n];

		if (p->base == g->base && p->index == g->index && p->scale == g->scale)
			return p->read == group || p->write == group;
	}
	return false;
}

void jit_share_find(struct jit_tr *t)
{
	struct search s = { .t = t };

	for (unsigned int n = 0; n < PLACES; n++)
		s.place[n].base = s.place[n].index = X86_REG_NONE;
	memset(t->member, 0, t->n * sizeof(t->member[0]));
	if (t->apart || t->n < 2)
		return;
	for (unsigned int k = 0; k < t->n; k++) {
		const struct x86_insn *i = &t->insn[k];
		const struct x86_operand *m;

		if (!plain(i)) {
			forget_all(&s);
			continue;
		}
		m = operand_of(t, i);
		if (m)
			add(&s, k, JIT_OPERAND, place_of(&s, i->base, i->index, i->scale), i->disp,
				m->size, m->access & X86_ACC_W);
		if (i->op == X86_OP_LEAVE && i->opsize == jit_slot_size(t))
			add(&s, k, JIT_OPERAND, place_of(&s, R_BP, X86_REG_NONE, 0), 0,
				jit_slot_size(t), false);
		if (i->op == X86_OP_PUSH || i->op == X86_OP_POP || i->op == X86_OP_CALL ||
			i->op == X86_OP_RET)
			stack(&s, k, i);
		note_changes(&s, i);
		if (i->op == X86_OP_JCC)
			t->same[k] = first_again(&s);
	}
	find_direct(t);
	find_needs(t);
}

/* -------- the first access of a group -------- */
void jit_share_forget(struct jit_tr *t)
{
	for (unsigned int n = 0; n < t->n_share; n++)
		t->share[n].how = JIT_SHARE_NOT_YET;
	t->in_r9 = NULL;
	t->r9_kept = false;
	t->looked_up = NULL; /* its code may be none of the block's */
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

/* Of a group whose distance r9 is: the operand. */
static void direct_member(
	const struct jit_share *g, const struct jit_member *m, struct jit_mem *mem)
{
	*mem = (struct jit_mem){ R_9, (uint8_t)jit_host_of(g->base), m->at - m->adj };
}

/* r9 becomes the linear address that the group's registers and @disp give; is added them. r10 is lost. */
static void linear(struct jit_tr *t, const struct jit_share *g, int32_t disp)
{
	unsigned int base = jit_reg_in(t, g->base, R_9);

	if (g->index == X86_REG_NONE)
		j_lea(&t->b, t->wide, R_9, base, disp);
	else
		j_lea_index(
			&t->b, t->wide, R_9, base, jit_reg_in(t, g->index, R_10), g->scale, disp);
}

static void add_registers(struct jit_tr *t, const struct jit_share *g, int32_t disp)
{
	if (g->index != X86_REG_NONE)
		j_lea_index(&t->b, true, R_9, R_9, jit_reg_in(t, g->index, R_10), g->scale, 0);
	j_lea_index(&t->b, true, R_9, R_9, jit_reg_in(t, g->base, R_10), 0, disp);
}

/* The group gets a place in the frame; the one that had it is to be looked up again. */
static void take_slot(struct jit_tr *t, struct jit_share *g)
{
	g->slot = t->next_delta++ % JIT_DELTAS;
	for (unsigned int n = 0; n < t->n_share; n++)
		if (&t->share[n] != g && t->share[n].how == JIT_SHARE_FRAME &&
			t->share[n].slot == g->slot)
			t->share[n].how = JIT_SHARE_NOT_YET;
}

/* The address in r9 was looked up in the TLB and is the host's: how far that is goes into the frame. */
static void store_delta(struct jit_tr *t, struct jit_share *g)
{
	take_slot(t, g);
	jit_probed_delta(t);
	j_rm(&t->b, true, OP_STORE, R_10, R_SP, F_DELTA + 8 * g->slot);
}

/* r9 becomes the distance. */
static void look_up_direct(
	struct jit_tr *t, struct jit_share *g, struct jit_slow *s, const struct jit_member *m)
{
	unsigned int span = (unsigned int)(g->hi - g->lo);
	struct jit_buf *b = &t->b;

	s->direct = (struct jit_direct){
		.there = true, .base = (uint8_t)jit_host_of(g->base), .disp = g->lo - m->adj
	};
	if (g->how == JIT_SHARE_REGION) {
		s->ja = jit_region_direct(t, s->region, &s->direct, R_9);
	} else if (g->how == JIT_SHARE_FRAME) {
		s->ja = jit_direct_probe(t, &s->direct, span, g->write ? SOFT_WRITE : SOFT_READ);
		if (g->needs_delta) {
			take_slot(t, g);
			j_rm(b, true, OP_STORE, R_9, R_SP, F_DELTA + 8 * g->slot);
		}
	} else {
		j_lea(b, true, R_10, s->direct.base, s->direct.disp);
		j_rm(b, true, 0x33, R_10, R_SP, F_STACK_TAG); /* xor */
		JCODE(b, "\x49\x81\xfa");		      /* cmp r10, */
		j32(b, JIT_PAGE - span);
		s->ja = j_ahead(b, 0x0f87);
		j_rm(b, true, OP_LOAD, R_9, R_SP, F_STACK_DELTA);
	}
}

/* r9 becomes the host's address of the lowest. */
static void look_up_lowest(
	struct jit_tr *t, struct jit_share *g, struct jit_slow *s, const struct jit_member *m)
{
	unsigned int span = (unsigned int)(g->hi - g->lo);

	linear(t, g, g->lo - m->adj);
	if (g->how == JIT_SHARE_STACK) {
		s->ja = jit_stack_compare(t, span);
	} else if (g->how == JIT_SHARE_REGION) {
		s->ja = jit_region_check(t, s->region);
	} else {
		s->ja = jit_probe(t, span, g->write ? SOFT_WRITE : SOFT_READ);
		if (g->needs_delta)
			store_delta(t, g);
	}
}

static enum jit_share_how way_of(struct jit_tr *t, unsigned int k, struct jit_share *g)
{
	if (of_stack(g->base, g->index))
		return JIT_SHARE_STACK;
	if (t->hot && jit_region_for_span(t, k, (unsigned int)(g->hi - g->lo), &g->region))
		return JIT_SHARE_REGION;
	if (!t->wide && g->direct) {
		g->direct = false;
		g->needs_delta = true; /* maybe */
	}
	return JIT_SHARE_FRAME;
}

static void look_up(struct jit_tr *t, unsigned int k, struct jit_share *g,
	const struct jit_member *m, enum soft_access access)
{
	struct jit_slow *s;

	if (t->live[k] && !t->flags_saved)
		jit_save_flags(t);
	s = jit_slow_at(t, k, m->size, access);
	s->share = g;
	s->rel = (uint16_t)(m->at - g->lo);
	s->have = t->have;
	s->retry = t->b.p;
	g->how = way_of(t, k, g);
	s->region = g->region;
	if (g->direct)
		look_up_direct(t, g, s, m);
	else
		look_up_lowest(t, g, s, m);
	s->done = t->b.p;
	s->how = JIT_SHARED;
	s->shared_by = g->how;
	t->in_r9 = g;
	t->delta_in_r9 = g->direct;
	if (!k && !t->live[k]) {
		t->looked_up = s->done;
		t->looked_up_have = t->have;
	}
}

/* Of a group that was looked up: where @m is, by the distance. */
static void by_delta(struct jit_tr *t, unsigned int k, const struct jit_share *g,
	const struct jit_member *m, struct jit_mem *mem)
{
	if (g->direct) {
		load_delta(t, g, R_9);
		direct_member(g, m, mem);
		t->in_r9 = g;
		t->delta_in_r9 = true;
		return;
	}
	if (!t->wide) {
		linear(t, g, m->at - m->adj);
		load_delta(t, g, R_10);
		j_lea_index(&t->b, true, R_9, R_9, R_10, 0, 0);
		return;
	}
	load_delta(t, g, R_9);
	if (!for_next(t, k, g)) {
		mem->index = (uint8_t)jit_host_of(g->base);
		mem->disp = m->at - m->adj;
		return;
	}
	add_registers(t, g, g->lo - m->adj);
	mem->disp = m->at - g->lo;
	t->in_r9 = g;
	t->delta_in_r9 = false;
}

/* r9 has what leads to the group's accesses. */
static void by_r9(struct jit_tr *t, unsigned int k, const struct jit_share *g,
	const struct jit_member *m, struct jit_mem *mem)
{
	t->in_r9 = g;
	mem->disp = m->at - g->lo;
	if (!t->delta_in_r9)
		return;
	direct_member(g, m, mem);
	if (jit_has_any_form(&t->insn[k]))
		return;
	/* It has a register alone. */
	j_lea_index(&t->b, true, R_9, R_9, mem->index, 0, g->lo - m->adj);
	*mem = (struct jit_mem){ R_9, R_SP, m->at - g->lo };
	t->delta_in_r9 = false;
}

bool jit_share_operand(struct jit_tr *t, unsigned int k, enum jit_slot slot, unsigned int size,
	enum soft_access access, struct jit_mem *mem)
{
	const struct jit_member *m = &t->member[k][slot];
	struct jit_share *g = group_of(t, k, slot);
	const struct jit_share *in_r9 = t->in_r9;

	t->in_r9 = NULL;
	if (!g || m->size != size ||
		(access == SOFT_WRITE && !of_stack(g->base, g->index) && !g->write))
		return false;
	*mem = (struct jit_mem){ R_9, R_SP, 0 };
	if (in_r9 == g && g->how && !loses_r9(t, k, slot)) {
		by_r9(t, k, g, m, mem);
	} else if (!g->how || (g->how == JIT_SHARE_FRAME && !g->needs_delta)) {
		look_up(t, k, g, m, access);
		by_r9(t, k, g, m, mem);
	} else {
		by_delta(t, k, g, m, mem);
		if (t->in_r9)
			by_r9(t, k, g, m, mem);
	}
	return true;
}

void jit_share_note(struct jit_tr *t, unsigned int k)
{
	if (!keeps_r9(t, k) && !t->r9_kept)
		t->in_r9 = NULL;
	t->r9_kept = false;
}

/* -------- r9 beyond other accesses, and loops -------- */
/* Can its distance be had again at any time? */
static bool stays(const struct jit_share *g)
{
	return g->direct && (g->how == JIT_SHARE_STACK || g->how == JIT_SHARE_REGION);
}

bool jit_share_keeps(const struct jit_tr *t, unsigned int k, const struct jit_share *g)
{
	return g && t->delta_in_r9 && stays(g) && !jit_needs_flags(t, k) && is_itself(&t->insn[k]);
}

void jit_share_load_kept(struct jit_tr *t, const struct jit_slow *s)
{
	const struct jit_share g = { .how = s->kept, .region = s->kept_region };

	load_delta(t, &g, R_9);
}

bool jit_share_loop(struct jit_tr *t, unsigned int k)
{
	const struct jit_share *g = group_of(t, 0, JIT_OPERAND);

	if (!t->looked_up || !t->same[k] || !g || !stays(g) || t->have != t->looked_up_have ||
		jit_target_of(t, k) != (int64_t)t->start)
		return false;
	if (t->in_r9 != g || !t->delta_in_r9)
		load_delta(t, g, R_9);
	j_to(&t->b, 0xe9, t->looked_up + t->b.to_rx);
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

/* Where addresses of 32-bit code wrap around: on to the block that does without. r9, if it is the linear
 * address, remains that. */
static uint8_t *may_wrap(struct jit_tr *t, const struct jit_slow *w)
{
	struct jit_direct lin = { .base = R_9 };

	if (t->wide || !(w->direct.there || w->shared_by == JIT_SHARE_STACK))
		return NULL;
	return jit_direct_wraps(t, w->direct.there ? &w->direct : &lin);
}

/* What is due before an access that faults is C code's business. Returns the jump that jit_direct_found() is to
 * take, or NULL: there is none. */
static uint8_t *emit_call(struct jit_tr *t, const struct jit_slow *w, uint8_t first)
{
	if (w->shared_by != JIT_SHARE_STACK || first) {
		jit_call_stub(t, t->j->stub.share);
		return NULL;
	}
	jit_call_stub(t, t->j->stub.share_stack);
	if (w->direct.there)
		return j_ahead(&t->b, 0xe9);
	j_to(&t->b, 0xe9, w->done + t->b.to_rx);
	return NULL;
}

void jit_emit_share_slow(struct jit_tr *t, const struct jit_slow *w)
{
	struct jit_site s = jit_site_of(t, w->insn);
	bool region = w->shared_by == JIT_SHARE_REGION;
	uint8_t *at, *apart = NULL, *wraps = NULL, *found = NULL;

	s.size = w->size;
	s.access = w->access;
	s.first = jit_first_of(t, w->insn);
	s.flags_saved = w->flags_saved;
	j_here(&t->b, w->ja);
	wraps = may_wrap(t, w);
	if (region) {
		found = jit_region_share_missed(t, w);
	} else {
		if (w->direct.there)
			jit_direct_linear(t, &w->direct);
		else if (w->shared_by == JIT_SHARE_FRAME)
			jit_probed_address(t, w->share->write ? SOFT_WRITE : SOFT_READ);
		apart = not_in_a_page(t, w);
		found = emit_call(t, w, s.first);
	}
	at = t->b.p;
	s.retry = (int32_t)(w->retry - at);
	s.next = sizeof(struct jit_site) + sizeof(struct jit_share_site);
	jit_put_site(t, &s);
	put_share_site(t, w);
	if (apart)
		j_here(&t->b, apart);
	if (wraps)
		j_here(&t->b, wraps);
	t->flags_saved = w->flags_saved;
	jit_restore_flags(t);
	s = (struct jit_site){
		.block = t->block, .off = t->off[w->insn], .first = s.first, .have = w->have
	};
	jit_call_stub(t, t->j->stub.link_apart);
	jit_put_site(t, &s);
	if (found) {
		j_here(&t->b, found);
		jit_direct_found(t, w, w->done);
	}
}
