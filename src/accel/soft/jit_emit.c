// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_emit - a block of guest instructions as host code.
 *
 * Host and guest are of one architecture: an instruction on general registers is the same with other
 * register numbers, its memory operand [r9] after the address was looked up. What has no translation is
 * a call of the interpreter for that one instruction.
 *
 * Looking an address up changes the status flags. Where the guest's are still needed (jit_flags.c; after
 * the last instruction of a block all are) they go to v->g.flags2 before the first look-up and come back
 * before somebody reads them. Who enters a block by its linear address leaves them there, too: most
 * blocks do not want them. Flags that nobody reads any more are not kept: a fault then shows those of
 * the look-up. SPEC: that is the one imprecision of faults. (The same when a store makes another
 * instruction, which does read flags, of one that follows in its block.)
 *
 * An access comes before anything its instruction changes, so that it can fault, be carried out by the
 * interpreter, or be tried again.
 */
#include "accel/soft/jit_tr.h"
#include "accel/soft/lockstep.h"
#include <stdlib.h>

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

static void call(struct jit_tr *t, const uint8_t *stub)
{
	j_to(&t->b, 0xe8, stub);
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
static bool fits32(int64_t x)
{
	return x == (int32_t)x;
}

void jit_lea_page(struct jit_tr *t, unsigned int reg, int64_t off)
{
	j_rm(&t->b, true, OP_LOAD, reg, R_SP, F_PAGE);
	while (!fits32(off)) {
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
		if (w && fits32(i->disp)) {
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

/* Of an address that the stack pointer gave: mostly in the page of the last one. @operand: it may well
 * be in another one, which is no reason to take that for the stack's page. */
static void stack_access(
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

static void forget_entries(struct jit_tr *t)
{
	for (unsigned int n = 0; n < JIT_ENTRIES; n++)
		t->entry_of[n] = X86_REG_NONE;
}

/* After @k: what it has changed is not remembered. */
static void note_changes(struct jit_tr *t, unsigned int k)
{
	for (unsigned int n = 0; n < JIT_ENTRIES; n++)
		if (!leaves_alone(&t->insn[k], t->entry_of[n]))
			t->entry_of[n] = X86_REG_NONE;
}

/* The linear address in r9 becomes the host's. r10 is lost. */
void jit_access(struct jit_tr *t, unsigned int k, unsigned int size, enum soft_access access)
{
	struct jit_slow *s;
	unsigned int n = 0;

	if (t->insn[k].base == R_SP && t->insn[k].seg < X86_FS && t->insn[k].flags & X86_I_MODRM) {
		stack_access(t, k, size, access, true);
		return;
	}
	if (t->live[k] && !t->flags_saved)
		jit_save_flags(t);
	s = slow_at(t, k, size, access);
	while (n < JIT_ENTRIES && !(by_register(t, k) && t->entry_of[n] == t->insn[k].base))
		n++;
	if (n < JIT_ENTRIES) {
		s->how = JIT_AGAIN;
		s->entry = (uint8_t)n;
		j_rm(&t->b, true, OP_LOAD, R_10, R_SP, F_ENTRY + 8 * (int32_t)n);
		s->ja = compare(t, size, access);
	} else {
		s->ja = probe(t, size, access);
		if (by_register(t, k) && comes_again(t, k)) {
			n = t->next_entry++ % JIT_ENTRIES;
			t->entry_of[n] = t->insn[k].base;
			j_rm(&t->b, true, OP_STORE, R_10, R_SP, F_ENTRY + 8 * (int32_t)n);
		}
	}
	add_host(t, access);
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

static void emit_slow(struct jit_tr *t, const struct jit_slow *w)
{
	struct jit_site s = jit_site_of(t, w->insn);
	uint8_t *at, *ja = w->ja;

	if (w->how == JIT_AGAIN || w->how == JIT_BY_SP) {
		j_here(&t->b, ja);
		ja = emit_probe_after_all(t, w);
	}
	j_here(&t->b, ja);
	if (w->how == JIT_STACK)
		j_rm(&t->b, true, 0x33, R_9, R_SP, F_STACK_TAG);
	else
		j_rm(&t->b, true, 0x33, R_9, R_10, 8 * (w->access == SOFT_WRITE));
	call(t, w->how == JIT_STACK ? t->j->stub.slow_stack : t->j->stub.slow);
	at = t->b.p;
	s.retry = (int32_t)(w->retry - at);
	s.next = t->end[w->insn] ? (int32_t)(t->end[w->insn] - at) : 0;
	s.size = w->size;
	s.access = w->access;
	s.first = first_of(&t->insn[w->insn]);
	s.flags_saved = w->flags_saved;
	jit_put_site(t, &s);
}

/* -------- one instruction of general registers, as it is -------- */
/* How ModRM's fields are used: the operands that they name, -1: none. */
struct fields {
	int8_t rm, reg, vvvv;
};

static bool is_byte_reg(const struct x86_operand *p)
{
	return p->kind == X86_OPND_GPR && p->size == 1 && p->reg >= 4 && p->reg < 8;
}

/* Is what was in the register of account? Of those that write it some do not always. */
static bool needs_load(const struct x86_insn *i, const struct x86_operand *p)
{
	return p->access & X86_ACC_R || p->size < 4 || i->op == X86_OP_CMOVCC ||
	       i->op == X86_OP_BSF || i->op == X86_OP_BSR;
}

static uint32_t opcode_of(const struct x86_insn *i)
{
	static const uint32_t map[4] = { 0, 0x0f00, 0x0f3800, 0x0f3a00 };

	/* 32-bit code has two of 80. */
	if (!i->map && i->opcode == 0x82)
		return 0x80;
	return map[i->map & 3] | i->opcode;
}

static void emit_imm(struct jit_tr *t, const struct x86_insn *i)
{
	for (unsigned int n = 0; n < i->imm_size; n++)
		jb(&t->b, (uint8_t)(i->imm >> 8 * n));
}

static bool mandatory_rep(const struct x86_insn *i)
{
	return i->op == X86_OP_LZCNT || i->op == X86_OP_TZCNT || i->op == X86_OP_POPCNT ||
	       i->op == X86_OP_CRC32 || i->op == X86_OP_ADOX;
}

static bool has_66(const struct x86_insn *i)
{
	if (i->op == X86_OP_ADCX)
		return true;
	if (i->op == X86_OP_ADOX)
		return false;
	if (i->op == X86_OP_CRC32)
		return i->operand[1].size == 2;
	return i->cls == X86_CLASS_GPR ? i->operand[0].size == 2 : i->opsize == 2;
}

static void emit_legacy(
	struct jit_tr *t, const struct x86_insn *i, unsigned int reg, unsigned int rm, bool mem)
{
	struct jit_buf *b = &t->b;
	bool force = false, high = false, w = i->opsize == 8;
	uint32_t op = opcode_of(i);

	for (int n = 0; n < i->n_operands; n++) {
		force |= is_byte_reg(&i->operand[n]);
		high |= i->operand[n].kind == X86_OPND_GPR_H;
	}
	if (i->cls == X86_CLASS_GPR)
		w = i->operand[0].size == 8;
	t->last = b->p;
	if (i->lock)
		jb(b, 0xf0);
	if (has_66(i))
		jb(b, 0x66);
	if (mandatory_rep(i))
		jb(b, i->op == X86_OP_CRC32 ? 0xf2 : 0xf3);
	if (mem && high) {
		j_opcode(b, op);
		j_modrm_mem(b, reg, R_DI, 0);
	} else if (mem) {
		j_rex(b, w, reg, 0, R_9, force);
		j_opcode(b, op);
		j_modrm_mem(b, reg, R_9, 0);
	} else {
		j_rex(b, w, reg, 0, rm, force);
		j_opcode(b, op);
		jb(b, 0xc0 | (reg & 7) << 3 | (rm & 7));
	}
	emit_imm(t, i);
}

/* AH to BH and memory: the address is where no REX prefix is needed, for a moment. */
static void emit_high_mem(struct jit_tr *t, const struct x86_insn *i, unsigned int reg)
{
	j_mov(&t->b, R_10, R_DI);
	j_mov(&t->b, R_DI, R_9);
	emit_legacy(t, i, reg, 0, true);
	j_mov(&t->b, R_DI, R_10);
}

static void emit_vex(struct jit_tr *t, const struct x86_insn *i, unsigned int reg, unsigned int rm,
	unsigned int vvvv, bool mem)
{
	struct jit_buf *b = &t->b;
	unsigned int pp = i->rep == 0xf3 ? 2 : i->rep == 0xf2 ? 3 : i->has_66 ? 1 : 0;

	jb(b, 0xc4);
	jb(b, (reg & 8 ? 0 : 0x80) | 0x40 | ((mem ? R_9 : rm) & 8 ? 0 : 0x20) | i->map);
	jb(b, (i->operand[0].size == 8) << 7 | (~vvvv & 15) << 3 | pp);
	jb(b, i->opcode);
	if (mem)
		j_modrm_mem(b, reg, R_9, 0);
	else
		jb(b, 0xc0 | (reg & 7) << 3 | (rm & 7));
	emit_imm(t, i);
}

/* AH to BH can be named only where no REX prefix is. */
static bool high_ok(const struct x86_insn *i)
{
	bool high = false, rex = i->opsize == 8 || i->vex;

	for (int n = 0; n < i->n_operands; n++) {
		const struct x86_operand *p = &i->operand[n];

		high |= p->kind == X86_OPND_GPR_H;
		rex |= is_byte_reg(p) || (p->kind == X86_OPND_GPR && !p->implicit &&
						 (jit_host_of(p->reg) >= 8 || !jit_pinned(p->reg)));
	}
	return !high || !rex;
}

static void move(struct jit_tr *t, unsigned int to, unsigned int from)
{
	if (jit_pinned(to) && jit_pinned(from))
		j_mov(&t->b, jit_host_of(to), jit_host_of(from));
	else if (jit_pinned(to))
		j_rm(&t->b, true, OP_LOAD, jit_host_of(to), R_SP, 8 * (int32_t)(from - R_9));
	else
		jit_reg_out(t, to, jit_reg_in(t, from, R_10));
}

static bool plain(struct jit_tr *t, unsigned int k, const struct fields *f)
{
	const struct x86_insn *i = &t->insn[k];
	const struct x86_operand *m = f->rm >= 0 ? &i->operand[f->rm] : NULL;
	const struct x86_operand *r = f->reg >= 0 ? &i->operand[f->reg] : NULL;
	const struct x86_operand *v = f->vvvv >= 0 ? &i->operand[f->vvvv] : NULL;
	bool mem = m && m->kind == X86_OPND_MEM;
	unsigned int reg = i->modrm >> 3 & 7, rm = 0, vvvv = 0;

	if (!high_ok(i) || (mem && !jit_ea_possible(t, i)))
		return false;
	if (v && !jit_pinned(v->reg) && (mem || !jit_pinned(m->reg)))
		return false;
	if (mem) {
		jit_ea(t, k);
		jit_access(t, k, m->size, m->access & X86_ACC_W ? SOFT_WRITE : SOFT_READ);
	}
	jit_flags_before(t, k);
	if (m && !mem && i->op == X86_OP_MOV && r && m->size == 8) {
		move(t, m->access & X86_ACC_W ? m->reg : r->reg,
			m->access & X86_ACC_W ? r->reg : m->reg);
		return true;
	}
	if (m && !mem) {
		rm = needs_load(i, m) ? jit_reg_in(t, m->reg, R_9)
				      : (jit_pinned(m->reg) ? jit_host_of(m->reg) : R_9);
		rm += m->kind == X86_OPND_GPR_H ? 4 : 0;
	}
	if (v)
		vvvv = jit_reg_in(t, v->reg, R_9);
	if (r) {
		reg = needs_load(i, r) ? jit_reg_in(t, r->reg, R_10)
				       : (jit_pinned(r->reg) ? jit_host_of(r->reg) : R_10);
		reg += r->kind == X86_OPND_GPR_H ? 4 : 0;
	}
	if (i->vex)
		emit_vex(t, i, reg, rm, vvvv, mem);
	else if (mem && r && r->kind == X86_OPND_GPR_H)
		emit_high_mem(t, i, reg);
	else
		emit_legacy(t, i, reg, rm, mem);
	/* Where two are written and are the same, the last counts: XADD's sum, MULX's upper half. */
	if (v && v->access & X86_ACC_W)
		jit_reg_out(t, v->reg, R_9);
	if (r && r->access & X86_ACC_W && i->op == X86_OP_XADD)
		jit_reg_out(t, r->reg, R_10);
	if (m && !mem && m->access & X86_ACC_W)
		jit_reg_out(t, m->reg, R_9);
	if (r && r->access & X86_ACC_W && i->op != X86_OP_XADD)
		jit_reg_out(t, r->reg, R_10);
	return true;
}

/* -------- the stack -------- */
static unsigned int slot_size(const struct jit_tr *t)
{
	return t->wide ? 8 : 4;
}

static bool stack_ok(const struct jit_tr *t, const struct x86_insn *i)
{
	return i->opsize == slot_size(t);
}

/* r9 becomes the host's address of the slot that a push fills. */
static void push_slot(struct jit_tr *t, unsigned int k)
{
	unsigned int n = slot_size(t);

	j_lea(&t->b, t->wide, R_9, R_11, -(int32_t)n);
	stack_access(t, k, n, SOFT_WRITE, false);
}

static void move_sp(struct jit_tr *t, int32_t by)
{
	j_lea(&t->b, t->wide, R_11, R_11, by);
}

static bool emit_push(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	const struct x86_operand *p = &i->operand[0];
	unsigned int n = slot_size(t), reg;

	if (!stack_ok(t, i))
		return false;
	if (p->kind == X86_OPND_MEM)
		return jit_push_mem(t, k);
	push_slot(t, k);
	if (p->kind == X86_OPND_IMM) {
		j_rex(&t->b, t->wide, 0, 0, R_9, false);
		jb(&t->b, 0xc7);
		j_modrm_mem(&t->b, 0, R_9, 0);
		j32(&t->b, (uint32_t)i->imm);
	} else {
		reg = jit_reg_in(t, p->reg, R_10);
		j_rm(&t->b, t->wide, OP_STORE, reg, R_9, 0);
	}
	move_sp(t, -(int32_t)n);
	return true;
}

static void stack_top(struct jit_tr *t, unsigned int k)
{
	if (t->wide)
		j_mov(&t->b, R_9, R_11);
	else
		j_rr(&t->b, false, OP_LOAD, R_9, R_11);
	stack_access(t, k, slot_size(t), SOFT_READ, false);
}

static bool emit_pop(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	const struct x86_operand *p = &i->operand[0];
	unsigned int reg;

	if (!stack_ok(t, i) || p->kind == X86_OPND_MEM)
		return false;
	stack_top(t, k);
	move_sp(t, (int32_t)slot_size(t));
	reg = jit_pinned(p->reg) ? jit_host_of(p->reg) : R_10;
	j_rm(&t->b, t->wide, OP_LOAD, reg, R_9, 0);
	jit_reg_out(t, p->reg, R_10);
	return true;
}

static bool emit_leave(struct jit_tr *t, unsigned int k)
{
	if (!stack_ok(t, &t->insn[k]))
		return false;
	j_rr(&t->b, t->wide, OP_LOAD, R_9, R_BP);
	jit_access(t, k, slot_size(t), SOFT_READ);
	j_lea(&t->b, t->wide, R_11, R_BP, (int32_t)slot_size(t));
	j_rm(&t->b, t->wide, OP_LOAD, R_BP, R_9, 0);
	return true;
}

/* -------- branches -------- */
/* Somewhere else's code when something is not as it should be: the instruction is interpreted. */
static struct jit_miss *miss_at(struct jit_tr *t, unsigned int k, uint32_t jcc)
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
	miss_at(t, k, jcc)->back = true;
}

/* r10 becomes the index of the address in r9 in the table, in units of eight bytes. */
static void goto_index(struct jit_tr *t)
{
	j_lea_index(&t->b, false, R_10, R_9, R_9, 0, 0);
	JCODE(&t->b, "\x41\x81\xe2"); /* and r10d, */
	j32(&t->b, 2 * (SOFT_GOTOS - 1));
}

/* The address in r9 with the entry that it leads to, whose index r10 becomes; r9 what the block there
 * wants. */
static struct jit_miss *compare_goto(struct jit_tr *t, unsigned int k)
{
	goto_index(t);
	j_gs(&t->b, true, 0x03, R_9, V_OFF(g.id_poll));		    /* add */
	j_gs_index(&t->b, true, 0x3b, R_9, R_10, V_OFF(go[0].tag)); /* cmp */
	return miss_at(t, k, 0x0f85);
}

/* Find where the linear address in r9 leads, for jump_host(); flags go to memory. If that is not known, or
 * somebody wants the vCPU's attention, the interpreter carries @k out, which must not have changed
 * anything. */
static struct jit_miss *lookup(struct jit_tr *t, unsigned int k)
{
	if (t->live[k] && !t->flags_saved)
		jit_save_flags(t);
	return compare_goto(t, k);
}

void jit_may_fault(struct jit_tr *t, unsigned int k, const uint8_t *at)
{
	t->fault[t->n_fault++] = (struct jit_tr_fault){ at, (uint8_t)k, t->flags_saved };
}

/* Room for all that a block may have. */
static bool faults_room(struct soft_jit *j)
{
	uint32_t max = j->faults_max ? 2 * j->faults_max : 256;
	struct jit_fault *p;

	if (j->n_faults + JIT_FAULT_MAX <= j->faults_max)
		return true;
	p = realloc(j->fault, max * sizeof(*p));
	if (!p)
		return false;
	j->fault = p;
	j->faults_max = max;
	return true;
}

static void emit_fault(struct jit_tr *t, const struct jit_tr_fault *f)
{
	struct soft_jit *j = t->j;
	struct jit_site s = jit_site_of(t, f->insn);

	s.flags_saved = f->flags_saved;
	j->fault[j->n_faults++] = (struct jit_fault){ (uint32_t)(f->at - j->code.rw),
		(uint32_t)(jit_put_site(t, &s) - j->code.rw) };
}

static void jump_host(struct jit_tr *t)
{
	j_gs_index(&t->b, false, 0xff, 4, R_10, V_OFF(go[0].host));
}

/* To offset @off of this page, which another block has. */
static void emit_link(struct jit_tr *t, int64_t off)
{
	struct jit_site s = { .block = t->block, .off = (uint16_t)off, .have = t->have };

	call(t, t->j->stub.link);
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
		m = miss_at(t, k, 0x0f85);
		m->go = true;
		m->off = (uint16_t)off;
		return;
	}
	j_mov(&t->b, R_10, R_CX);
	j_gs(&t->b, false, OP_LOAD, R_CX, V_OFF(poll));
	none = j_ahead8(&t->b, 0xe3); /* jrcxz */
	j_mov(&t->b, R_CX, R_10);
	call(t, t->j->stub.go);
	jit_put_site(t, &s);
	j_here8(&t->b, none);
	j_mov(&t->b, R_CX, R_10);
}

/* Instruction @k branches to offset @target of the page, or beyond it. @dead: nobody there reads flags. */
static void emit_branch(struct jit_tr *t, unsigned int k, int64_t target, bool dead)
{
	if (target >= 0 && target < JIT_PAGE) {
		if (!dead)
			jit_restore_flags(t);
		if (target <= t->off[k])
			emit_poll(t, k, target, !dead);
		emit_link(t, target);
		return;
	}
	jit_lea_page(t, R_9, target);
	lookup(t, k);
	jump_host(t);
}

static int64_t target_of(const struct jit_tr *t, unsigned int k)
{
	return (int64_t)t->off[k] + t->insn[k].len + (int64_t)t->insn[k].imm;
}

static bool branch_ok(const struct jit_tr *t, const struct x86_insn *i)
{
	return i->opsize == slot_size(t);
}

static bool emit_jcc(struct jit_tr *t, unsigned int k)
{
	if (!branch_ok(t, &t->insn[k]))
		return false;
	jit_restore_flags(t);
	t->side[t->n_side++] = (struct jit_side){ j_ahead(&t->b, 0x0f80 | (t->insn[k].opcode & 15)),
		target_of(t, k), (uint8_t)k, t->have };
	return true;
}

/* The target of an indirect branch to r9. */
static bool emit_where_to(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	const struct x86_operand *p = &i->operand[0];

	if (p->kind == X86_OPND_MEM) {
		if (!jit_ea_possible(t, i))
			return false;
		jit_ea(t, k);
		jit_access(t, k, slot_size(t), SOFT_READ);
		j_rm(&t->b, t->wide, OP_LOAD, R_9, R_9, 0);
	} else if (jit_pinned(p->reg)) {
		j_rr(&t->b, t->wide, OP_LOAD, R_9, jit_host_of(p->reg));
	} else {
		j_rm(&t->b, t->wide, OP_LOAD, R_9, R_SP, 8 * (p->reg - R_9));
	}
	return true;
}

static bool emit_jmp(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];

	if (!branch_ok(t, i))
		return false;
	if (i->operand[0].kind == X86_OPND_REL) {
		emit_branch(t, k, target_of(t, k), t->dead[k]);
	} else {
		if (!emit_where_to(t, k))
			return false;
		lookup(t, k);
		jump_host(t);
	}
	t->ended = true;
	return true;
}

/* Push the address of the next instruction. */
static void push_next(struct jit_tr *t, unsigned int k)
{
	push_slot(t, k);
	jit_lea_page(t, R_10, t->off[k] + t->insn[k].len);
	j_rm(&t->b, t->wide, OP_STORE, R_10, R_9, 0);
	move_sp(t, -(int32_t)slot_size(t));
}

static bool emit_call(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	bool direct = i->operand[0].kind == X86_OPND_REL;
	int64_t target = target_of(t, k);

	if (!branch_ok(t, i))
		return false;
	t->ended = true;
	if (direct && target >= 0 && target < JIT_PAGE) {
		push_next(t, k);
		emit_branch(t, k, target, t->dead[k]);
		return true;
	}
	if (direct) {
		push_next(t, k);
		jit_lea_page(t, R_9, target);
		/* The interpreter does all of it again: what was pushed is pushed once more. SPEC: it should not
		 * be pushed where the branch leads beyond the canonical addresses. */
		lookup(t, k)->undo_push = true;
	} else {
		if (!emit_where_to(t, k))
			return false;
		j_gs_store(&t->b, R_9, V_OFF(g.goal));
		lookup(t, k);
		push_next(t, k);
		j_gs_load(&t->b, R_9, V_OFF(g.goal));
		goto_index(t);
		j_rm(&t->b, true, 0x03, R_9, R_SP, F_ID);
	}
	jump_host(t);
	return true;
}

static bool emit_ret(struct jit_tr *t, unsigned int k)
{
	if (!branch_ok(t, &t->insn[k]))
		return false;
	stack_top(t, k);
	j_rm(&t->b, t->wide, OP_LOAD, R_9, R_9, 0);
	lookup(t, k);
	move_sp(t, (int32_t)slot_size(t) + (uint16_t)t->insn[k].imm);
	jump_host(t);
	t->ended = true;
	return true;
}

/* -------- other forms -------- */
/* MOV of an immediate to a register, by its opcode. */
static bool emit_mov_imm(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	const struct x86_operand *p = &i->operand[0];
	unsigned int reg = jit_pinned(p->reg) ? jit_host_of(p->reg) : R_10;

	if (p->size < 4) {
		if (!high_ok(i))
			return false;
		reg = jit_reg_in(t, p->reg, R_10) + (p->kind == X86_OPND_GPR_H ? 4 : 0);
	}
	if (p->size == 2)
		jb(&t->b, 0x66);
	j_rex(&t->b, p->size == 8, 0, 0, reg, is_byte_reg(p));
	jb(&t->b, (p->size == 1 ? 0xb0 : 0xb8) | (reg & 7));
	for (unsigned int n = 0; n < p->size; n++)
		jb(&t->b, (uint8_t)(i->imm >> 8 * n));
	jit_reg_out(t, p->reg, R_10);
	return true;
}

/* Forms whose register is implied or in the opcode, as those with ModRM: an operation between rAX and an
 * immediate, MOV between rAX and an address, XCHG with rAX, BSWAP, INC and DEC of 32-bit code. */
static bool as_modrm(struct x86_insn *i)
{
	unsigned int op = i->opcode;

	if (i->map || i->flags & X86_I_MODRM)
		return false;
	if (op < 0x40 && (op & 7) >= 4 && (op & 7) <= 5) {
		i->modrm = (uint8_t)(op & 0x38);
		i->opcode = op & 1 ? 0x81 : 0x80;
	} else if (op >= 0x40 && op <= 0x4f) {
		i->modrm = (uint8_t)(op & 8);
		i->opcode = 0xff;
	} else if (op == 0xa8 || op == 0xa9) {
		i->modrm = 0;
		i->opcode = op & 1 ? 0xf7 : 0xf6;
	} else if (op >= 0xa0 && op <= 0xa3) {
		i->modrm = 0;
		i->opcode = (uint8_t)(op < 0xa2 ? 0x8a | (op & 1) : 0x88 | (op & 1));
		i->imm_size = 0;
	} else {
		return false;
	}
	i->flags |= X86_I_MODRM;
	return true;
}

static bool emit_bswap(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	unsigned int reg;

	if (i->opsize == 2)
		return false;
	reg = jit_reg_in(t, i->operand[0].reg, R_10);
	j_rex(&t->b, i->opsize == 8, 0, 0, reg, false);
	jb(&t->b, 0x0f);
	jb(&t->b, 0xc8 | (reg & 7));
	jit_reg_out(t, i->operand[0].reg, R_10);
	return true;
}

/* XCHG of two registers, in either encoding. */
static bool emit_xchg_regs(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	unsigned int a, c;

	if (i->opsize < 4 || i->operand[0].size < 4)
		return false;
	a = jit_reg_in(t, i->operand[0].reg, R_9);
	c = jit_reg_in(t, i->operand[1].reg, R_10);
	if (i->operand[0].reg == i->operand[1].reg)
		c = a;
	j_rr(&t->b, i->opsize == 8, 0x87, a, c);
	jit_reg_out(t, i->operand[0].reg, R_9);
	if (c != a)
		jit_reg_out(t, i->operand[1].reg, R_10);
	return true;
}

static bool emit_lea(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	const struct x86_operand *p = &i->operand[0];

	if (i->addrsize == 2 || i->opsize == 2 || (i->addrsize == 8 && !t->wide))
		return false;
	jit_ea_only(t, k);
	if (jit_pinned(p->reg))
		j_rr(&t->b, i->opsize == 8, OP_LOAD, jit_host_of(p->reg), R_9);
	else {
		if (i->opsize == 4)
			j_rr(&t->b, false, OP_LOAD, R_9, R_9);
		j_rm(&t->b, true, OP_STORE, R_9, R_SP, 8 * (p->reg - R_9));
	}
	return true;
}

/* -------- what an instruction's ModRM fields name -------- */
/* Of two registers, is rm the first? */
static bool rm_first(const struct x86_insn *i)
{
	unsigned int op = i->opcode;

	if (!i->map)
		return op < 0x40 ? !(op & 2) : op >= 0x84 && op <= 0x89;
	if (i->map != 1)
		return false;
	return (op >= 0xa3 && op <= 0xad) || op == 0xb0 || op == 0xb1 || op == 0xb3 || op == 0xbb ||
	       op == 0xc0 || op == 0xc1;
}

static struct fields fields_of(const struct x86_insn *i)
{
	struct fields f = { -1, -1, -1 };
	int8_t at[4];
	int n = 0;

	for (int k = 0; k < i->n_operands; k++) {
		const struct x86_operand *p = &i->operand[k];

		if (!p->implicit && (p->kind == X86_OPND_GPR || p->kind == X86_OPND_GPR_H ||
					    p->kind == X86_OPND_MEM))
			at[n++] = (int8_t)k;
	}
	switch (i->op) {
	case X86_OP_BLSI:
	case X86_OP_BLSMSK:
	case X86_OP_BLSR:
		return (struct fields){ at[1], -1, at[0] };
	case X86_OP_BEXTR:
	case X86_OP_BZHI:
	case X86_OP_SARX:
	case X86_OP_SHLX:
	case X86_OP_SHRX:
		return (struct fields){ at[1], at[0], at[2] };
	case X86_OP_ANDN:
	case X86_OP_MULX:
	case X86_OP_PDEP:
	case X86_OP_PEXT:
		return (struct fields){ at[2], at[0], at[1] };
	default:
		break;
	}
	if (n == 1)
		f.rm = at[0];
	if (n == 2) {
		bool first = i->operand[at[0]].kind == X86_OPND_MEM ||
			     (i->operand[at[1]].kind != X86_OPND_MEM && rm_first(i));

		f.rm = at[!first];
		f.reg = at[first];
	}
	return f;
}

/* -------- each instruction -------- */
/* A division that faults does so in the CPU: the signal's handler finds the site by the address. */
static bool emit_div(struct jit_tr *t, unsigned int k)
{
	struct fields f = fields_of(&t->insn[k]);

	if (t->insn[k].operand[f.rm].kind == X86_OPND_GPR_H || !plain(t, k, &f))
		return false;
	jit_may_fault(t, k, t->last);
	return true;
}

/* An instruction without operands that names its registers by itself. */
static bool emit_bare(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];

	jit_flags_before(t, k);
	if (i->opsize == 2)
		jb(&t->b, 0x66);
	j_rex(&t->b, i->opsize == 8, 0, 0, 0, false);
	jb(&t->b, i->opcode);
	return true;
}

static bool emit_fence(struct jit_tr *t, unsigned int k)
{
	JCODE(&t->b, "\x0f\xae");
	jb(&t->b, t->insn[k].op == X86_OP_LFENCE   ? 0xe8
		  : t->insn[k].op == X86_OP_MFENCE ? 0xf0
						   : 0xf8);
	return true;
}

static bool emit_fields(struct jit_tr *t, unsigned int k)
{
	struct x86_insn *i = &t->insn[k];
	struct fields f;

	if (!(i->flags & X86_I_MODRM) && !as_modrm(i))
		return false;
	f = fields_of(i);
	return plain(t, k, &f);
}

static bool emit_bit(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];

	/* A register as the number of a bit in memory reaches beyond the operand. */
	if (i->operand[0].kind == X86_OPND_MEM && i->operand[1].kind != X86_OPND_IMM)
		return jit_bit_mem(t, k);
	return emit_fields(t, k);
}

static bool emit_int(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];

	switch (i->op) {
	case X86_OP_ADD ... X86_OP_IMUL:
	case X86_OP_ROL ... X86_OP_SHRD:
	case X86_OP_BSF:
	case X86_OP_BSR:
	case X86_OP_XADD:
	case X86_OP_CMPXCHG:
	case X86_OP_CMPXCHG8B:
	case X86_OP_MOVZX ... X86_OP_MOVNTI:
	case X86_OP_SETCC:
	case X86_OP_CMOVCC:
	case X86_OP_LZCNT ... X86_OP_SHRX:
		return emit_fields(t, k);
	case X86_OP_DIV:
	case X86_OP_IDIV:
		return emit_div(t, k);
	case X86_OP_BT ... X86_OP_BTC:
		return emit_bit(t, k);
	case X86_OP_BSWAP:
		return emit_bswap(t, k);
	case X86_OP_XCHG:
		if (i->operand[0].kind != X86_OPND_MEM && i->operand[0].size >= 4)
			return emit_xchg_regs(t, k);
		return emit_fields(t, k);
	case X86_OP_MOV:
		if (!i->map && i->opcode >= 0xb0 && i->opcode <= 0xbf)
			return emit_mov_imm(t, k);
		return emit_fields(t, k);
	case X86_OP_LEA:
		return emit_lea(t, k);
	case X86_OP_PUSH:
		return emit_push(t, k);
	case X86_OP_POP:
		return emit_pop(t, k);
	case X86_OP_LEAVE:
		return emit_leave(t, k);
	case X86_OP_CBW:
	case X86_OP_CWD:
	case X86_OP_LAHF:
	case X86_OP_SAHF:
	case X86_OP_CLC:
	case X86_OP_STC:
	case X86_OP_CMC:
		return emit_bare(t, k);
	case X86_OP_NOP:
	case X86_OP_PREFETCH:
		return true;
	case X86_OP_LFENCE:
	case X86_OP_MFENCE:
	case X86_OP_SFENCE:
		return emit_fence(t, k);
	case X86_OP_JCC:
		return emit_jcc(t, k);
	case X86_OP_JMP:
		return emit_jmp(t, k);
	case X86_OP_CALL:
		return emit_call(t, k);
	case X86_OP_RET:
		return emit_ret(t, k);
	default:
		return jit_emit_sys(t, k);
	}
}

/* The interpreter carries it out. */
static void emit_interp(struct jit_tr *t, unsigned int k)
{
	struct jit_site s = jit_site_of(t, k);

	if (!(t->insn[k].flags & X86_I_BRANCH))
		s.next = sizeof(s);
	else
		t->ended = true;
	call(t, t->j->stub.interp);
	jit_put_site(t, &s);
	t->flags_saved = false;
	t->have = 0;
}

static bool emit_known(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];

	if (i->feature != X86_FEAT_NONE && !soft_has(t->v, i->feature))
		return false;
	if (t->j->lockstep && !soft_lockstep_twice(i))
		return false;
	switch (i->cls) {
	case X86_CLASS_INT:
	case X86_CLASS_GPR:
		return emit_int(t, k);
	default:
		return jit_emit_vec(t, k);
	}
}

static void emit_insn(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	struct x86_insn copy = *i;
	uint8_t *start = t->b.p;
	unsigned int n_slow = t->n_slow, n_fault = t->n_fault, n_miss = t->n_miss;
	unsigned int n_side = t->n_side, n_group = t->n_group, next = t->next;
	uint8_t have = t->have;
	bool flags_saved = t->flags_saved;

	if (emit_known(t, k)) {
		note_changes(t, k);
		if (!t->ended)
			t->end[k] = t->b.p;
		return;
	}
	t->insn[k] = copy;
	t->b.p = start;
	t->n_slow = n_slow;
	t->n_fault = n_fault;
	t->n_miss = n_miss;
	t->n_side = n_side;
	t->n_group = n_group;
	t->next = next;
	t->flags_saved = flags_saved;
	t->have = have;
	forget_entries(t);
	emit_interp(t, k);
}

/* -------- a block -------- */
/* Instructions up to a branch that is always taken, the end of the page or of what a block may have. */
static bool decode_block(struct jit_tr *t, const uint8_t *p)
{
	uint32_t off = t->start, end = t->spans ? JIT_PAGE + X86_INSN_MAX : JIT_PAGE;
	unsigned int jccs = 0;

	while (t->n < JIT_INSNS && off < JIT_PAGE) {
		struct x86_insn *i = &t->insn[t->n];
		enum x86_decode_result r = x86_decode(
			p + off, end - off, t->wide ? X86_CODE_64 : X86_CODE_32, i);

		if (r == X86_DECODE_MORE || (r != X86_DECODE_OK && (t->n || t->spans)))
			break;
		if (r != X86_DECODE_OK) /* the interpreter knows what to raise */
			*i = (struct x86_insn){ .len = 1, .flags = X86_I_BRANCH, .op = X86_OP_UD2 };
		t->off[t->n++] = (uint16_t)off;
		off += i->len;
		if (i->flags & X86_I_BRANCH && (i->op != X86_OP_JCC || ++jccs == 4))
			break;
	}
	t->off[t->n] = (uint16_t)off;
	return t->n > 0;
}

/* The block's first instruction ends in the next page: get that, too. May raise its page fault. */
static bool decode_span(struct jit_tr *t, struct jit_block *bl, uint8_t *copy)
{
	bl->page2 = jit_next_page(t->v);
	if (bl->page2 == JIT_NONE)
		return false;
	memcpy(copy + JIT_PAGE, t->j->page[bl->page2].host, X86_INSN_MAX);
	t->spans = true;
	return decode_block(t, copy);
}

/* Is the next page the one that was there then? A word in the code has its context and address as they
 * were when it was looked at last. */
static void emit_span(struct jit_tr *t)
{
	struct jit_buf *b = &t->b;

	if (t->live[0])
		jit_save_flags(t);
	j_rm(b, true, OP_LOAD, R_10, R_SP, F_PAGE);
	JCODE(b, "\x49\xc1\xe2"); /* shl r10, */
	jb(b, JIT_SPAN_SHIFT);
	j_rm(b, true, 0x03, R_10, R_SP, F_ID);
	JCODE(b, "\x4c\x3b\x15"); /* cmp r10, [rip + ..] */
	t->span_word = b->p;
	j32(b, 0);
	t->span_jne = j_ahead(b, 0x0f85);
	t->span_back = b->p;
}

static void emit_span_miss(struct jit_tr *t)
{
	struct jit_site s = jit_site_of(t, 0);

	j_here(&t->b, t->span_jne);
	s.flags_saved = t->live[0] != 0;
	call(t, t->j->stub.span);
	s.retry = (int32_t)(t->span_back - t->b.p);
	jit_put_site(t, &s);
	j_here(&t->b, t->span_word);
	t->j->block[t->block].span = (uint32_t)(t->b.p - t->j->code.rw);
	j64(&t->b, 0);
}

/* Are the flags written before anybody reads them, from @off of the page on? */
static bool flags_dead_at(const struct jit_tr *t, const uint8_t *p, int64_t off)
{
	uint16_t left = JIT_ALL_FLAGS;

	for (int n = 0; n < 6 && off >= 0 && off < JIT_PAGE; n++) {
		struct x86_insn i;
		struct jit_flags f;

		if (x86_decode(p + off, (size_t)(JIT_PAGE - off),
			    t->wide ? X86_CODE_64 : X86_CODE_32, &i) != X86_DECODE_OK)
			return false;
		f = jit_flags_of(&i);
		if (f.reads & left)
			return false;
		left &= (uint16_t)~f.writes;
		if (!left)
			return true;
		if (i.flags & X86_I_BRANCH)
			return false;
		off += i.len;
	}
	return false;
}

/* Where branch @k leads. With another operand size that is elsewhere. */
static bool flags_dead_behind(const struct jit_tr *t, const uint8_t *p, unsigned int k)
{
	return branch_ok(t, &t->insn[k]) && flags_dead_at(t, p, target_of(t, k));
}

static void find_live(struct jit_tr *t, const uint8_t *p)
{
	uint16_t live = JIT_ALL_FLAGS;
	const struct x86_insn *last = &t->insn[t->n - 1];

	if (last->op == X86_OP_JCC || !(last->flags & X86_I_BRANCH))
		t->end_dead = flags_dead_at(t, p, t->off[t->n]);
	if (t->end_dead)
		live = 0;
	for (unsigned int k = t->n; k-- > 0;) {
		const struct x86_insn *i = &t->insn[k];
		struct jit_flags f = jit_flags_of(i);

		if ((i->op == X86_OP_JCC || i->op == X86_OP_JMP || i->op == X86_OP_CALL) &&
			i->operand[0].kind == X86_OPND_REL)
			t->dead[k] = flags_dead_behind(t, p, k);
		if (i->op == X86_OP_JCC && !t->dead[k])
			live = JIT_ALL_FLAGS;
		if (i->op != X86_OP_JCC && t->dead[k])
			live = f.reads = 0;
		live = f.reads | (live & (uint16_t)~f.writes);
		t->live[k] = live;
	}
}

static void emit_end(struct jit_tr *t)
{
	struct jit_miss *m;

	if (t->off[t->n] < JIT_PAGE) {
		if (!t->end_dead)
			jit_restore_flags(t);
		emit_link(t, t->off[t->n]);
		return;
	}
	if (!t->end_dead && !t->flags_saved)
		jit_save_flags(t);
	jit_lea_page(t, R_9, t->off[t->n]);
	m = compare_goto(t, t->n - 1);
	m->go = true;
	m->off = t->off[t->n];
	jump_host(t);
}

/* What is not as it should be, and what becomes of it. */
static void emit_miss(struct jit_tr *t, const struct jit_miss *m)
{
	struct jit_site s = jit_site_of(t, m->insn);

	j_here(&t->b, m->jcc);
	if (m->undo_push)
		move_sp(t, (int32_t)slot_size(t));
	s.flags_saved = m->flags_saved;
	if (m->go)
		s.off = m->off;
	call(t, m->go ? t->j->stub.go : t->j->stub.interp);
	if (m->back && t->end[m->insn]) {
		s.next = (int32_t)(t->end[m->insn] - t->b.p);
		s.have = m->have;
	}
	jit_put_site(t, &s);
}

static void emit_rest(struct jit_tr *t)
{
	if (!t->ended)
		emit_end(t);
	for (unsigned int n = 0; n < t->n_side; n++) {
		t->flags_saved = false;
		t->have = t->side[n].have;
		j_here(&t->b, t->side[n].jcc);
		emit_branch(t, t->side[n].insn, t->side[n].target, t->dead[t->side[n].insn]);
	}
	for (unsigned int n = 0; n < t->n_group; n++)
		jit_emit_apart(t, &t->group[n]);
	for (unsigned int n = 0; n < t->n_slow; n++)
		emit_slow(t, &t->slow[n]);
	if (t->spans)
		emit_span_miss(t);
	for (unsigned int n = 0; n < t->n_miss; n++)
		emit_miss(t, &t->miss[n]);
	for (unsigned int n = 0; n < t->n_fault; n++)
		emit_fault(t, &t->fault[n]);
}

/* What the block needs it has from its beginning on: then who has it goes on behind that. */
static void emit_entry(struct jit_tr *t, struct jit_block *bl)
{
	bl->needs = 0;
	for (unsigned int k = 0; k < t->n; k++)
		bl->needs |= jit_needs(t, &t->insn[k]);
	bl->entry = bl->have_entry = (uint32_t)(t->b.p - t->j->code.rw);
	if (!bl->needs)
		return;
	jit_ensure(t, bl->needs);
	while (t->b.p - t->j->code.rw < bl->entry + JIT_DEAD_SIZE)
		jb(&t->b, 0x90);
	bl->have_entry = (uint32_t)(t->b.p - t->j->code.rw);
}

bool jit_translate(struct soft_vcpu *v, uint32_t block)
{
	struct soft_jit *j = v->jit;
	struct jit_block *bl = &j->block[block];
	uint8_t copy[JIT_PAGE + X86_INSN_MAX];
	struct jit_tr tr, *t = &tr;
	uint8_t *start = j->code.rw + j->code.used;

	/* Others may write to it: what is decoded twice must be the same. */
	memcpy(copy, j->page[bl->page].host, JIT_PAGE);
	memset(t, 0, offsetof(struct jit_tr, miss));
	memset(t->end, 0, sizeof(t->end));
	memset(t->dead, 0, sizeof(t->dead));
	t->b = (struct jit_buf){ start, j->code.rx - j->code.rw };
	t->v = v;
	t->j = j;
	t->block = block;
	t->start = bl->off;
	t->wide = v->code == X86_CODE_64;
	if (!faults_room(j) || (!decode_block(t, copy) && !decode_span(t, bl, copy)))
		return false;
	find_live(t, copy);
	bl->ind = (uint32_t)(t->b.p - j->code.rw);
	j_lea(&t->b, true, R_10, R_9, -(int32_t)bl->off);
	j_rm(&t->b, true, 0x2b, R_10, R_SP, F_ID); /* sub */
	j_rm(&t->b, true, OP_STORE, R_10, R_SP, F_PAGE);
	t->flags_saved = t->live[0];
	jit_restore_flags(t);
	emit_entry(t, bl);
	forget_entries(t);
	if (t->spans)
		emit_span(t);
	for (unsigned int k = 0; k < t->n && !t->ended; k = MAX(k + 1, t->next))
		emit_insn(t, k);
	emit_rest(t);
	j->count.guest_bytes += t->off[t->n] - t->start;
	j->count.host_bytes += (uint64_t)(t->b.p - start);
	j->code.used = ALIGN_UP((size_t)(t->b.p - j->code.rw), (size_t)16);
	return true;
}
