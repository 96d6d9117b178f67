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

/* Before the instruction itself: the flags that it reads or lets through are the CPU's. */
void jit_flags_before(struct jit_tr *t, unsigned int k)
{
	struct jit_flags f = jit_flags_of(&t->insn[k]);

	if (f.reads || (f.writes && f.writes != JIT_ALL_FLAGS && t->live[k]))
		jit_restore_flags(t);
	else if (f.writes) /* and those that it does not are dead */
		t->flags_saved = false;
}

/* -------- registers -------- */
/* The host register of guest register @g for reading: its own, or @scratch, loaded. */
unsigned int jit_reg_in(struct jit_tr *t, unsigned int g, unsigned int scratch)
{
	if (jit_pinned(g))
		return jit_host_of(g);
	j_rm(&t->b, true, OP_LOAD, scratch, R_SP, 8 * (int32_t)(g - R_9));
	return scratch;
}

void jit_reg_out(struct jit_tr *t, unsigned int g, unsigned int scratch)
{
	if (!jit_pinned(g))
		j_rm(&t->b, true, OP_STORE, scratch, R_SP, 8 * (int32_t)(g - R_9));
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

/* The effective address to r9; no flags change. r10 is lost. */
void jit_ea_only(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	bool w = i->addrsize == 8;
	unsigned int base, index;

	if (i->base == X86_REG_RIP) {
		jit_lea_page(t, R_9, (int64_t)t->off[k] + i->len + i->disp);
		if (!w)
			j_rr(&t->b, false, OP_LOAD, R_9, R_9);
		return;
	}
	if (i->base == X86_REG_NONE && i->index == X86_REG_NONE) {
		if (w && jit_fits32(i->disp)) {
			jb(&t->b, 0x49);
			jb(&t->b, 0xc7);
			jb(&t->b, 0xc1);
			j32(&t->b, (uint32_t)i->disp);
		} else if (w) {
			jb(&t->b, 0x49);
			jb(&t->b, 0xb9);
			j64(&t->b, (uint64_t)i->disp);
		} else {
			jb(&t->b, 0x41);
			jb(&t->b, 0xb9);
			j32(&t->b, (uint32_t)i->disp);
		}
		return;
	}
	if (i->base == X86_REG_NONE) {
		index = jit_reg_in(t, i->index, R_10);
		j_lea_scaled(&t->b, w, R_9, index, i->scale, (int32_t)i->disp);
		return;
	}
	base = jit_reg_in(t, i->base, R_9);
	if (i->index != X86_REG_NONE) {
		index = jit_reg_in(t, i->index, R_10);
		j_lea_index(&t->b, w, R_9, base, index, i->scale, (int32_t)i->disp);
	} else if (i->disp || !w) {
		j_lea(&t->b, w, R_9, base, (int32_t)i->disp);
	} else if (base != R_9) {
		j_mov(&t->b, R_9, base);
	}
}

void jit_ea(struct jit_tr *t, unsigned int k)
{
	jit_ea_only(t, k);
	add_segment(t, &t->insn[k]);
}

/* The address in r9 with the tag of the entry in r10, the size with the page's end. */
static uint8_t *compare(struct jit_tr *t, unsigned int size, enum soft_access access)
{
	j_rm(&t->b, true, 0x33, R_9, R_10, 8 * (int32_t)(access == SOFT_WRITE)); /* xor */
	JCODE(&t->b, "\x49\x81\xf9");						 /* cmp r9, */
	j32(&t->b, JIT_PAGE - size);
	return j_ahead(&t->b, 0x0f87);
}

/* Look the linear address in r9 up: r9 becomes the offset in the page, r10 the entry. Returns the jump
 * that is taken when the page is not there; then r9 XOR the entry's tag is the address. */
static uint8_t *probe(struct jit_tr *t, unsigned int size, enum soft_access access)
{
	struct jit_buf *b = &t->b;

	if (t->j->bmi2) {
		JCODE(b, "\xc4\x43\x7b\xf0\xd1"); /* rorx r10d, r9d, */
		jb(b, 12 - JIT_L1_SHIFT);
	} else {
		j_rr(b, false, OP_LOAD, R_10, R_9);
		JCODE(b, "\x41\xc1\xea"); /* shr r10d, */
		jb(b, 12 - JIT_L1_SHIFT);
	}
	JCODE(b, "\x41\x81\xe2"); /* and r10d, */
	j32(b, (JIT_L1_SIZE - 1) << JIT_L1_SHIFT);
	j_rm(b, true, 0x03, R_10, R_SP, F_L1); /* add */
	return compare(t, size, access);
}

static void add_host(struct jit_tr *t, unsigned int access)
{
	j_rm(&t->b, true, 0x03, R_9, R_10, /* add */
		(int32_t)offsetof(struct jit_l1, host) + 8 * (int32_t)(access == SOFT_WRITE));
}

static struct jit_slow *slow_at(
	struct jit_tr *t, unsigned int k, unsigned int size, enum soft_access access)
{
	struct jit_slow *s = &t->slow[t->n_slow++];

	*s = (struct jit_slow){ .insn = (uint8_t)k,
		.size = (uint8_t)size,
		.access = access,
		.flags_saved = t->flags_saved };
	return s;
}

void jit_stack_access(
	struct jit_tr *t, unsigned int k, unsigned int size, enum soft_access access, bool operand)
{
	struct jit_buf *b = &t->b;
	struct jit_slow *s;

	if (t->live[k] && !t->flags_saved)
		jit_save_flags(t);
	s = slow_at(t, k, size, access);
	s->how = operand ? JIT_BY_SP : JIT_STACK;
	j_rm(b, true, 0x33, R_9, R_SP, F_STACK_TAG); /* xor */
	JCODE(b, "\x49\x81\xf9");		     /* cmp r9, */
	j32(b, JIT_PAGE - size);
	s->ja = j_ahead(b, 0x0f87);
	j_rm(b, true, 0x03, R_9, R_SP, F_STACK_HOST); /* add */
	s->retry = b->p;
}

/* -------- the stack -------- */
/* r9 becomes the host's address of the slot that a push fills. */
void jit_push_slot(struct jit_tr *t, unsigned int k)
{
	unsigned int n = jit_slot_size(t);

	j_lea(&t->b, t->wide, R_9, R_11, -(int32_t)n);
	jit_stack_access(t, k, n, SOFT_WRITE, false);
}

void jit_move_sp(struct jit_tr *t, int32_t by)
{
	j_lea(&t->b, t->wide, R_11, R_11, by);
}

void jit_stack_top(struct jit_tr *t, unsigned int k)
{
	if (t->wide)
		j_mov(&t->b, R_9, R_11);
	else
		j_rr(&t->b, false, OP_LOAD, R_9, R_11);
	jit_stack_access(t, k, jit_slot_size(t), SOFT_READ, false);
}

/* -------- addresses by one register, again -------- */
/* The entry that an access by a register found is remembered (F_ENTRY) where the block has another access
 * by it before it changes: that looks into the same entry first. What is remembered is an entry of the
 * set at hand whose tag is compared again, or, after C code was called, one that has nothing. */
static bool by_register(const struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];

	return i->flags & X86_I_MODRM && i->modrm < 0xc0 && i->index == X86_REG_NONE &&
	       i->base < 16 && i->base != R_SP && i->seg < X86_FS;
}

/* Does @k leave register @g alone, for certain? */
static bool leaves_alone(const struct x86_insn *i, unsigned int g)
{
	switch (i->op) {
	case X86_OP_ADD ... X86_OP_NOT:
	case X86_OP_IMUL:
	case X86_OP_ROL ... X86_OP_BSR:
	case X86_OP_MOV ... X86_OP_LEA:
	case X86_OP_PUSH:
	case X86_OP_POP:
	case X86_OP_SETCC:
	case X86_OP_CMOVCC:
	case X86_OP_JCC:
	case X86_OP_NOP:
		break;
	default:
		return false;
	}
	for (unsigned int n = 0; n < i->n_operands; n++)
		if ((i->operand[n].kind == X86_OPND_GPR || i->operand[n].kind == X86_OPND_GPR_H) &&
			i->operand[n].access & X86_ACC_W && i->operand[n].reg == g)
			return false;
	return true;
}

static bool comes_again(const struct jit_tr *t, unsigned int k)
{
	unsigned int base = t->insn[k].base;

	for (unsigned int n = k; n + 1 < t->n && n < k + 8; n++) {
		if (!leaves_alone(&t->insn[n], base))
			return false;
		if (by_register(t, n + 1) && t->insn[n + 1].base == base &&
			t->insn[n + 1].op != X86_OP_LEA)
			return true;
	}
	return false;
}

void jit_forget_entries(struct jit_tr *t)
{
	for (unsigned int n = 0; n < JIT_ENTRIES; n++)
		t->entry_of[n] = X86_REG_NONE;
}

/* After @k: what it has changed is not remembered. */
void jit_note_changes(struct jit_tr *t, unsigned int k)
{
	for (unsigned int n = 0; n < JIT_ENTRIES; n++)
		if (!leaves_alone(&t->insn[k], t->entry_of[n]))
			t->entry_of[n] = X86_REG_NONE;
}

/* Is what the last access by the same register found remembered? Look there, or remember what is found. */
static void probe_again(struct jit_tr *t, unsigned int k, struct jit_slow *s)
{
	unsigned int n = 0;

	while (n < JIT_ENTRIES && !(by_register(t, k) && t->entry_of[n] == t->insn[k].base))
		n++;
	if (n < JIT_ENTRIES) {
		s->how = JIT_AGAIN;
		s->entry = (uint8_t)n;
		j_rm(&t->b, true, OP_LOAD, R_10, R_SP, F_ENTRY + 8 * (int32_t)n);
		s->ja = compare(t, s->size, s->access);
	} else {
		s->ja = probe(t, s->size, s->access);
		if (by_register(t, k) && comes_again(t, k)) {
			n = t->next_entry++ % JIT_ENTRIES;
			t->entry_of[n] = t->insn[k].base;
			j_rm(&t->b, true, OP_STORE, R_10, R_SP, F_ENTRY + 8 * (int32_t)n);
		}
	}
	add_host(t, s->access);
}

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
	s = slow_at(t, k, size, access);
	if (t->hot && jit_region_for(t, k, size, access, &s->region)) {
		s->how = JIT_REGION;
		s->ja = jit_region_check(t, s->region);
	} else {
		probe_again(t, k, s);
	}
	s->retry = t->b.p;
}

uint8_t *jit_access_or(struct jit_tr *t, unsigned int k, unsigned int size, enum soft_access access)
{
	uint8_t *ja;

	if (t->live[k] && !t->flags_saved)
		jit_save_flags(t);
	ja = probe(t, size, access);
	add_host(t, access);
	return ja;
}

static uint8_t first_of(const struct x86_insn *i)
{
	bool x87 = i->cls == X86_CLASS_X87 || i->cls == X86_CLASS_MMX;

	return (i->flags & X86_I_ALIGN ? JIT_FIRST_ALIGN : 0) |
	       (x87 && !(i->flags & X86_I_X87_NOWAIT) ? JIT_FIRST_X87 : 0);
}

/* The short cut did not lead there: look it up. */
static uint8_t *emit_probe_after_all(struct jit_tr *t, const struct jit_slow *w)
{
	uint8_t *ja;

	j_here(&t->b, w->ja);
	if (w->how == JIT_AGAIN)
		j_rm(&t->b, true, 0x33, R_9, R_10, 8 * (w->access == SOFT_WRITE));
	else
		j_rm(&t->b, true, 0x33, R_9, R_SP, F_STACK_TAG);
	ja = probe(t, w->size, w->access);
	if (w->how == JIT_AGAIN)
		j_rm(&t->b, true, OP_STORE, R_10, R_SP, F_ENTRY + 8 * w->entry);
	add_host(t, w->access);
	j_to(&t->b, 0xe9, w->retry + t->b.to_rx);
	return ja;
}

/* Up to the site. */
static void emit_not_found(struct jit_tr *t, const struct jit_slow *w)
{
	uint8_t *ja = w->ja;

	if (w->how == JIT_REGION) {
		jit_region_missed(t, w);
		return;
	}
	if (w->how == JIT_AGAIN || w->how == JIT_BY_SP)
		ja = emit_probe_after_all(t, w);
	j_here(&t->b, ja);
	if (w->how == JIT_STACK)
		j_rm(&t->b, true, 0x33, R_9, R_SP, F_STACK_TAG);
	else
		j_rm(&t->b, true, 0x33, R_9, R_10, 8 * (w->access == SOFT_WRITE));
	jit_call_stub(t, w->how == JIT_STACK ? t->j->stub.slow_stack : t->j->stub.slow);
}

void jit_emit_slow(struct jit_tr *t, const struct jit_slow *w)
{
	struct jit_site s = jit_site_of(t, w->insn);
	uint8_t *at;

	if (w->how == JIT_STRING)
		j_here(&t->b, w->ja);
	else
		emit_not_found(t, w);
	at = t->b.p;
	s.retry = (int32_t)(w->retry - at);
	s.next = t->end[w->insn] ? (int32_t)(t->end[w->insn] - at) : 0;
	s.size = w->size;
	s.access = w->access;
	s.first = first_of(&t->insn[w->insn]);
	s.flags_saved = w->flags_saved;
	s.have = w->have;
	jit_put_site(t, &s);
}
