// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_access - what an instruction's translation begins with: its place, its flags, its registers, the
 * address of its memory operand and the look-up of that.
 *
 * An access comes before anything its instruction changes, so that it can fault, be carried out by the
 * interpreter, or be tried again.
 */
#include "accel/soft/jit_tr.h"

/* -------- sites -------- */
struct jit_site jit_site_of(const struct jit_tr *t, unsigned int k)
{
	return (struct jit_site){ .block = t->block,
		.off = t->off[k],
		.len = t->insn[k].len,
		.flags_saved = t->flags_saved };
}

uint8_t *jit_put_site(struct jit_tr *t, const struct jit_site *s)
{
	uint8_t *at = t->b.p;

	jbytes(&t->b, (const char *)s, sizeof(*s));
	return at;
}

/* -------- flags -------- */
void jit_save_flags(struct jit_tr *t)
{
	struct jit_buf *b = &t->b;

	j_mov(b, R_10, R_AX);
	JCODE(b, "\x9f\x0f\x90\xc0\x65\x66\x89\x04\x25"); /* lahf; seto al; mov gs:.., ax */
	j32(b, V_OFF(g.flags2));
	j_mov(b, R_AX, R_10);
	t->flags_saved = true;
}

void jit_restore_flags(struct jit_tr *t)
{
	struct jit_buf *b = &t->b;

	if (!t->flags_saved)
		return;
	j_mov(b, R_10, R_AX);
	j_gs(b, false, 0x0fb7, R_AX, V_OFF(g.flags2));
	JCODE(b, "\x04\x7f\x9e"); /* add al, 0x7f; sahf */
	j_mov(b, R_AX, R_10);
	t->flags_saved = false;
}

bool jit_needs_flags(const struct jit_tr *t, unsigned int k)
{
	struct jit_flags f = jit_flags_of(&t->insn[k]);

	return f.reads || (f.writes && f.writes != JIT_ALL_FLAGS && t->live[k]);
}

/* Before the instruction itself: the flags that it reads or lets through are the CPU's. */
void jit_flags_before(struct jit_tr *t, unsigned int k)
{
	if (jit_needs_flags(t, k))
		jit_restore_flags(t);
	else if (jit_flags_of(&t->insn[k]).writes) /* and those that it does not are dead */
		t->flags_saved = false;
}

/* -------- registers -------- */
/* The host register of guest register @g for reading: its own, or @scratch, loaded. */
unsigned int jit_reg_in(struct jit_tr *t, unsigned int g, unsigned int scratch)
{
	if (jit_pinned(g))
		return jit_host_of(g);
	j_rm(&t->b, true, OP_LOAD, scratch, R_SP, jit_frame_of(g));
	return scratch;
}

void jit_reg_out(struct jit_tr *t, unsigned int g, unsigned int scratch)
{
	if (!jit_pinned(g))
		j_rm(&t->b, true, OP_STORE, scratch, R_SP, jit_frame_of(g));
}

/* -------- addresses -------- */
void jit_lea_page(struct jit_tr *t, unsigned int reg, int64_t off)
{
	j_rm(&t->b, true, OP_LOAD, reg, R_SP, F_PAGE);
	while (!jit_fits32(off)) {
		j_lea(&t->b, true, reg, reg, off < 0 ? INT32_MIN : INT32_MAX);
		off -= off < 0 ? INT32_MIN : INT32_MAX;
	}
	j_lea(&t->b, t->wide, reg, reg, (int32_t)off);
}

static void add_segment(struct jit_tr *t, const struct x86_insn *i)
{
	if (i->seg < X86_FS)
		return;
	j_gs_load(&t->b, R_10,
		V_OFF(seg) + (int32_t)(i->seg * sizeof(struct x86_segment) +
				       offsetof(struct x86_segment, base)));
	j_lea_index(&t->b, t->wide, R_9, R_9, R_10, 0, 0);
}

bool jit_ea_possible(const struct jit_tr *t, const struct x86_insn *i)
{
	if (i->addrsize == 2 || (i->addrsize == 8 && !t->wide))
		return false;
	/* Not to be written to, and maybe not to be read. */
	if (i->seg == X86_CS && !t->wide)
		return false;
	if (i->seg == X86_FS)
		return t->j->mode & JIT_MODE_FS;
	if (i->seg == X86_GS)
		return t->j->mode & JIT_MODE_GS;
	return true;
}

/* The effective address to @to, or 32 bits of it; no flags change. r10 is lost, and r9. */
void jit_ea_to(struct jit_tr *t, unsigned int k, unsigned int to, bool w)
{
	const struct x86_insn *i = &t->insn[k];
	unsigned int base, index;

	if (i->base == X86_REG_RIP) {
		jit_lea_page(t, to, (int64_t)t->off[k] + i->len + i->disp);
		if (!w)
			j_rr(&t->b, false, OP_LOAD, to, to);
		return;
	}
	if (i->base == X86_REG_NONE && i->index == X86_REG_NONE) {
		if (w && jit_fits32(i->disp)) {
			j_rr(&t->b, true, 0xc7, 0, to);
			j32(&t->b, (uint32_t)i->disp);
		} else {
			j_rex(&t->b, w, 0, 0, to, false);
			jb(&t->b, 0xb8 | (to & 7));
			if (w)
				j64(&t->b, (uint64_t)i->disp);
			else
				j32(&t->b, (uint32_t)i->disp);
		}
		return;
	}
	if (i->base == X86_REG_NONE) {
		index = jit_reg_in(t, i->index, R_10);
		j_lea_scaled(&t->b, w, to, index, i->scale, (int32_t)i->disp);
		return;
	}
	base = jit_reg_in(t, i->base, R_9);
	if (i->index != X86_REG_NONE) {
		index = jit_reg_in(t, i->index, R_10);
		j_lea_index(&t->b, w, to, base, index, i->scale, (int32_t)i->disp);
	} else if (i->disp || !w) {
		j_lea(&t->b, w, to, base, (int32_t)i->disp);
	} else if (base != to) {
		j_mov(&t->b, to, base);
	}
}

void jit_ea_only(struct jit_tr *t, unsigned int k)
{
	jit_ea_to(t, k, R_9, t->insn[k].addrsize == 8);
}

void jit_ea(struct jit_tr *t, unsigned int k)
{
	jit_ea_only(t, k);
	add_segment(t, &t->insn[k]);
}

void jit_l1_index(struct jit_buf *b, bool bmi2, unsigned int from)
{
	if (bmi2) { /* rorx r10d, from, */
		JCODE(b, "\xc4");
		jb(b, from & 8 ? 0x43 : 0x63);
		JCODE(b, "\x7b\xf0");
		jb(b, 0xd0 | (from & 7));
		jb(b, 12 - JIT_L1_SHIFT);
	} else {
		if (from != R_10)
			j_rr(b, false, OP_LOAD, R_10, from);
		JCODE(b, "\x41\xc1\xea"); /* shr r10d, */
		jb(b, 12 - JIT_L1_SHIFT);
	}
	JCODE(b, "\x41\x81\xe2"); /* and r10d, */
	j32(b, (JIT_L1_SIZE - 1) << JIT_L1_SHIFT);
}

void jit_l1_entry(struct jit_buf *b, bool bmi2)
{
	jit_l1_index(b, bmi2, R_9);
	j_rm(b, true, 0x03, R_10, R_SP, F_L1); /* add */
}

#define L1(member) ((int32_t)offsetof(struct jit_l1, member))

/* An access that has no region although its code is hot waits for its address: chains of pointers do. There
 * the way from address to data does not wait for the comparison. */
uint8_t *jit_probe(struct jit_tr *t, unsigned int size, enum soft_access access)
{
	struct jit_buf *b = &t->b;
	uint8_t *ja;

	if (t->hot)
		j_rm(b, true, OP_STORE, R_9, R_SP, F_LIN);
	jit_l1_entry(&t->b, t->j->bmi2);
	if (t->hot) {
		j_rm(b, true, 0x03, R_9, R_10, L1(delta)); /* add */
		j_rm(b, true, OP_LOAD, R_10, R_10, L1(tag) + 8 * (int32_t)access);
		j_rm(b, true, 0x33, R_10, R_SP, F_LIN); /* xor */
		JCODE(b, "\x49\x81\xfa");		/* cmp r10, */
	} else {
		j_rm(b, true, 0x33, R_9, R_10, L1(tag) + 8 * (int32_t)access); /* xor */
		JCODE(b, "\x49\x81\xf9");				       /* cmp r9, */
	}
	j32(b, JIT_PAGE - size);
	ja = j_ahead(b, 0x0f87);
	if (!t->hot)
		j_rm(b, true, 0x03, R_9, R_10, L1(host)); /* add */
	return ja;
}

void jit_probed_address(struct jit_tr *t, enum soft_access access)
{
	if (t->hot)
		j_rm(&t->b, true, OP_LOAD, R_9, R_SP, F_LIN);
	else
		j_rm(&t->b, true, 0x33, R_9, R_10, L1(tag) + 8 * (int32_t)access); /* xor */
}

void jit_probed_delta(struct jit_tr *t)
{
	if (t->hot) {
		j_mov(&t->b, R_10, R_9);
		j_rm(&t->b, true, 0x2b, R_10, R_SP, F_LIN); /* sub */
	} else {
		j_rm(&t->b, true, OP_LOAD, R_10, R_10, L1(delta));
	}
}

struct jit_slow *jit_slow_at(
	struct jit_tr *t, unsigned int k, unsigned int size, enum soft_access access)
{
	struct jit_slow *s = &t->slow[t->n_slow++];

	*s = (struct jit_slow){ .insn = (uint8_t)k,
		.size = (uint8_t)size,
		.access = access,
		.flags_saved = t->flags_saved };
	return s;
}

uint8_t *jit_stack_compare(struct jit_tr *t, unsigned int size)
{
	struct jit_buf *b = &t->b;
	uint8_t *ja;

	j_mov(b, R_10, R_9);
	j_rm(b, true, 0x33, R_10, R_SP, F_STACK_TAG); /* xor */
	JCODE(b, "\x49\x81\xfa");		      /* cmp r10, */
	j32(b, JIT_PAGE - size);
	ja = j_ahead(b, 0x0f87);
	j_rm(b, true, 0x03, R_9, R_SP, F_STACK_DELTA); /* add */
	return ja;
}

void jit_stack_access(
	struct jit_tr *t, unsigned int k, unsigned int size, enum soft_access access, bool operand)
{
	struct jit_slow *s;

	if (t->live[k] && !t->flags_saved)
		jit_save_flags(t);
	s = jit_slow_at(t, k, size, access);
	/* Another page would not do for a group that has found this one; and where a frame is over a page's
	 * end it would be by turns. */
	s->how = operand || t->apart || jit_share_has_stack(t) ? JIT_BY_SP : JIT_STACK;
	s->ja = jit_stack_compare(t, size);
	s->retry = t->b.p;
}

/* -------- the stack -------- */
void jit_push_slot(struct jit_tr *t, unsigned int k, struct jit_mem *m)
{
	unsigned int n = jit_slot_size(t);

	if (jit_share_operand(t, k, JIT_IMPLIED, n, SOFT_WRITE, m))
		return;
	*m = (struct jit_mem){ R_9, R_SP, 0 };
	j_lea(&t->b, t->wide, R_9, R_11, -(int32_t)n);
	jit_stack_access(t, k, n, SOFT_WRITE, false);
}

void jit_move_sp(struct jit_tr *t, int32_t by)
{
	j_lea(&t->b, t->wide, R_11, R_11, by);
}

void jit_stack_top(struct jit_tr *t, unsigned int k, struct jit_mem *m)
{
	if (jit_share_operand(t, k, JIT_IMPLIED, jit_slot_size(t), SOFT_READ, m))
		return;
	*m = (struct jit_mem){ R_9, R_SP, 0 };
	if (t->wide)
		j_mov(&t->b, R_9, R_11);
	else
		j_rr(&t->b, false, OP_LOAD, R_9, R_11);
	jit_stack_access(t, k, jit_slot_size(t), SOFT_READ, false);
}

/* -------- operands -------- */
/* The linear address in r9 becomes the host's. r10 is lost. */
void jit_access(struct jit_tr *t, unsigned int k, unsigned int size, enum soft_access access)
{
	struct jit_slow *s;

	if (t->insn[k].base == R_SP && t->insn[k].seg < X86_FS && t->insn[k].flags & X86_I_MODRM) {
		jit_stack_access(t, k, size, access, true);
		return;
	}
	if (t->live[k] && !t->flags_saved)
		jit_save_flags(t);
	s = jit_slow_at(t, k, size, access);
	if (t->hot && jit_region_for(t, k, size, access, &s->region)) {
		s->how = JIT_REGION;
		s->ja = jit_region_check(t, s->region);
	} else {
		s->ja = jit_probe(t, size, access);
	}
	s->retry = t->b.p;
}

void jit_operand(struct jit_tr *t, unsigned int k, unsigned int size, enum soft_access access,
	struct jit_mem *m)
{
	const struct jit_share *in_r9 = t->in_r9;

	if (jit_share_operand(t, k, JIT_OPERAND, size, access, m) ||
		jit_direct_operand(t, k, size, access, in_r9, m))
		return;
	*m = (struct jit_mem){ R_9, R_SP, 0 };
	jit_ea(t, k);
	jit_access(t, k, size, access);
}

void jit_mem_base(struct jit_tr *t, struct jit_mem *m)
{
	if (m->index != R_SP) {
		j_lea_index(&t->b, true, R_9, m->base, m->index, 0, 0);
		t->in_r9 = NULL;
	}
	*m = (struct jit_mem){ R_9, R_SP, m->disp };
}

void jit_mem_plain(struct jit_tr *t, struct jit_mem *m)
{
	jit_mem_base(t, m);
	if (m->disp)
		j_lea(&t->b, true, R_9, R_9, m->disp);
	m->disp = 0;
}

void jit_rm(struct jit_tr *t, bool w, uint32_t op, unsigned int reg, const struct jit_mem *m)
{
	j_rex(&t->b, w, reg, m->index == R_SP ? 0 : m->index, m->base, false);
	j_opcode(&t->b, op);
	j_modrm_index(&t->b, reg, m->base, m->index, m->disp);
}

uint8_t jit_first_of(const struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	bool x87 = i->cls == X86_CLASS_X87 || i->cls == X86_CLASS_MMX;

	return (k && t->insn[k - 1].op == X86_OP_STI ? JIT_FIRST_STI : 0) |
	       (i->flags & X86_I_ALIGN ? JIT_FIRST_ALIGN : 0) |
	       (x87 && !(i->flags & X86_I_X87_NOWAIT) ? JIT_FIRST_X87 : 0);
}

/* The short cut did not lead there: look it up. */
static uint8_t *emit_probe_after_all(struct jit_tr *t, const struct jit_slow *w)
{
	uint8_t *ja;

	j_here(&t->b, w->ja);
	ja = jit_probe(t, w->size, w->access);
	j_to(&t->b, 0xe9, w->retry + t->b.to_rx);
	return ja;
}

/* Up to the site. Returns the jump that emit_wraps() is to take, or NULL. */
static uint8_t *emit_not_found(struct jit_tr *t, const struct jit_slow *w)
{
	static const struct jit_direct lin = { .base = R_9 };
	uint8_t *ja = w->ja, *wraps = NULL;

	if (w->how == JIT_REGION) {
		jit_region_missed(t, w);
		return NULL;
	}
	if (w->how == JIT_BY_SP)
		ja = emit_probe_after_all(t, w);
	j_here(&t->b, ja);
	if (w->direct.there)
		jit_direct_linear(t, &w->direct);
	else if (w->how != JIT_STACK)
		jit_probed_address(t, w->access);
	if (w->how == JIT_STACK) {
		if (!t->wide)
			wraps = jit_direct_wraps(t, &lin);
		jit_call_stub(t, t->j->stub.slow_stack);
		j_to(&t->b, 0xe9, w->retry + t->b.to_rx);
	} else {
		jit_call_stub(t, t->j->stub.slow);
	}
	return wraps;
}

/* Where addresses wrap around: it is the access that it is, and no page that is remembered. */
static void emit_wraps(struct jit_tr *t, const uint8_t *site)
{
	JCODE(&t->b, "\x4c\x8d\x15"); /* lea r10, [rip + */
	j32(&t->b, (uint32_t)(site - (t->b.p + 4)));
	j_to(&t->b, 0xe9, t->j->stub.slow_popped);
}

void jit_emit_slow(struct jit_tr *t, const struct jit_slow *w)
{
	struct jit_site s = jit_site_of(t, w->insn);
	uint8_t *at, *end = t->end[w->insn], *wraps = NULL;

	if (w->how == JIT_SHARED) {
		jit_emit_share_slow(t, w);
		return;
	}
	if (w->kept && end) { /* who comes back behind the instruction has lost r9, too */
		at = t->b.p;
		jit_share_load_kept(t, w);
		j_to(&t->b, 0xe9, end + t->b.to_rx);
		end = at;
	}
	if (w->how == JIT_STRING)
		j_here(&t->b, w->ja);
	else
		wraps = emit_not_found(t, w);
	at = t->b.p;
	s.retry = w->direct.there ? (int32_t)sizeof(s) : (int32_t)(w->retry - at);
	s.next = end ? (int32_t)(end - at) : 0;
	s.size = w->size;
	s.access = w->access;
	s.first = jit_first_of(t, w->insn);
	s.flags_saved = w->flags_saved;
	s.have = w->have;
	jit_put_site(t, &s);
	if (wraps) {
		j_here(&t->b, wraps);
		emit_wraps(t, at);
	}
	if (w->direct.there)
		jit_direct_found(t, w, w->retry);
}
