// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_emit - a guest instruction as host code.
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
 */
#include "accel/soft/jit_tr.h"
#include "accel/soft/lockstep.h"

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

/* @mem: the memory operand; NULL: register @rm. */
static void emit_legacy(struct jit_tr *t, const struct x86_insn *i, unsigned int reg,
	unsigned int rm, const struct jit_mem *mem)
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
		j_rex(b, w, reg, mem->index == R_SP ? 0 : mem->index, mem->base, force);
		j_opcode(b, op);
		j_modrm_index(b, reg, mem->base, mem->index, mem->disp);
	} else {
		j_rex(b, w, reg, 0, rm, force);
		j_opcode(b, op);
		jb(b, 0xc0 | (reg & 7) << 3 | (rm & 7));
	}
	emit_imm(t, i);
}

/* AH to BH and memory: the address is where no REX prefix is needed, for a moment. */
static void emit_high_mem(
	struct jit_tr *t, const struct x86_insn *i, unsigned int reg, struct jit_mem *mem)
{
	jit_mem_plain(t, mem);
	j_mov(&t->b, R_10, R_DI);
	j_mov(&t->b, R_DI, R_9);
	emit_legacy(t, i, reg, 0, mem);
	j_mov(&t->b, R_DI, R_10);
}

static void emit_vex(struct jit_tr *t, const struct x86_insn *i, unsigned int reg, unsigned int rm,
	unsigned int vvvv, const struct jit_mem *mem)
{
	struct jit_buf *b = &t->b;
	unsigned int pp = i->rep == 0xf3 ? 2 : i->rep == 0xf2 ? 3 : i->has_66 ? 1 : 0;

	jb(b, 0xc4);
	jb(b, (reg & 8 ? 0 : 0x80) | (mem && mem->index & 8 ? 0 : 0x40) |
			((mem ? mem->base : rm) & 8 ? 0 : 0x20) | i->map);
	jb(b, (i->operand[0].size == 8) << 7 | (~vvvv & 15) << 3 | pp);
	jb(b, i->opcode);
	if (mem)
		j_modrm_index(b, reg, mem->base, mem->index, mem->disp);
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

/* MOV of 64 bits, or 32. */
static void move(struct jit_tr *t, unsigned int to, unsigned int from, bool w)
{
	unsigned int reg = jit_pinned(to) ? jit_host_of(to) : R_10;

	if (w && !jit_pinned(to) && jit_pinned(from))
		reg = jit_host_of(from);
	else if (jit_pinned(from))
		j_rr(&t->b, w, OP_LOAD, reg, jit_host_of(from));
	else
		j_rm(&t->b, w, OP_LOAD, reg, R_SP, jit_frame_of(from));
	jit_reg_out(t, to, reg);
}

/* -------- r11, r14 and r15 where they lie -------- */
/* May what ModRM's rm names be memory as well? A bit's number would reach beyond that. */
static bool rm_may_be_mem(const struct x86_insn *i)
{
	switch (i->op) {
	case X86_OP_ADD ... X86_OP_NOT:
	case X86_OP_IMUL:
	case X86_OP_MOV ... X86_OP_MOVSXD:
	case X86_OP_CMOVCC:
		break;
	default:
		return false;
	}
	for (int n = 0; n < i->n_operands; n++)
		if (i->operand[n].kind == X86_OPND_GPR_H || i->operand[n].implicit)
			return false;
	return !i->lock && !i->vex;
}

/* The same instruction with the roles of rm and reg exchanged; false: there is none. */
static bool exchange(struct x86_insn *i, struct fields *f)
{
	int8_t rm = f->rm;

	if (i->map || f->reg < 0)
		return false;
	if ((i->opcode < 0x40 && (i->opcode & 7) < 4) || (i->opcode >= 0x88 && i->opcode <= 0x8b))
		i->opcode ^= 2;
	else if (i->opcode != 0x84 && i->opcode != 0x85) /* TEST */
		return false;
	f->rm = f->reg;
	f->reg = rm;
	return true;
}

/* A register that is not in the host's is an operand in memory, in the frame, where that saves
 * loading and storing it. What is written there must be all of it: it is loaded whole, and the CPU forwards
 * no store of a part. */
static bool in_frame(struct jit_tr *t, const struct x86_insn *i, const struct fields *fields)
{
	struct fields f = *fields;
	struct x86_insn copy = *i;
	const struct x86_operand *m, *r;
	struct jit_mem at = { R_SP, R_SP, 0 };
	unsigned int reg = i->modrm >> 3 & 7;

	if (!rm_may_be_mem(i))
		return false;
	if (jit_pinned(i->operand[f.rm].reg) &&
		(f.reg < 0 || jit_pinned(i->operand[f.reg].reg) || !exchange(&copy, &f)))
		return false;
	m = &copy.operand[f.rm];
	r = f.reg >= 0 ? &copy.operand[f.reg] : NULL;
	if (m->access & X86_ACC_W && (m->size != 8 || (r && r->access & X86_ACC_W)))
		return false;
	if (r && !jit_pinned(r->reg))
		reg = needs_load(i, r) ? jit_reg_in(t, r->reg, R_10) : R_10;
	else if (r)
		reg = jit_host_of(r->reg);
	at.disp = jit_frame_of(m->reg);
	emit_legacy(t, &copy, reg, 0, &at);
	if (r && r->access & X86_ACC_W)
		jit_reg_out(t, r->reg, R_10);
	return true;
}

static bool plain(struct jit_tr *t, unsigned int k, const struct fields *f)
{
	const struct x86_insn *i = &t->insn[k];
	const struct x86_operand *m = f->rm >= 0 ? &i->operand[f->rm] : NULL;
	const struct x86_operand *r = f->reg >= 0 ? &i->operand[f->reg] : NULL;
	const struct x86_operand *v = f->vvvv >= 0 ? &i->operand[f->vvvv] : NULL;
	bool mem = m && m->kind == X86_OPND_MEM;
	unsigned int reg = i->modrm >> 3 & 7, rm = 0, vvvv = 0, scratch = R_9;
	struct jit_mem at;

	if (!high_ok(i) || (mem && !jit_ea_possible(t, i)))
		return false;
	if (v && !jit_pinned(v->reg) && (mem || !jit_pinned(m->reg)))
		return false;
	if (mem)
		jit_operand(t, k, m->size, m->access & X86_ACC_W ? SOFT_WRITE : SOFT_READ, &at);
	/* Without an access nothing loses r9, but where two registers are to be loaded. */
	if (!mem && !v && (!r || jit_pinned(r->reg)))
		scratch = R_10;
	t->r9_kept |= !mem && (scratch != R_9 || (!v && m && jit_pinned(m->reg)));
	jit_flags_before(t, k);
	if (m && !mem && i->op == X86_OP_MOV && r && m->size >= 4) {
		move(t, m->access & X86_ACC_W ? m->reg : r->reg,
			m->access & X86_ACC_W ? r->reg : m->reg, m->size == 8);
		return true;
	}
	if (m && !mem && in_frame(t, i, f))
		return true;
	if (m && !mem) {
		rm = needs_load(i, m) ? jit_reg_in(t, m->reg, scratch)
				      : (jit_pinned(m->reg) ? jit_host_of(m->reg) : scratch);
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
		emit_vex(t, i, reg, rm, vvvv, mem ? &at : NULL);
	else if (mem && r && r->kind == X86_OPND_GPR_H)
		emit_high_mem(t, i, reg, &at);
	else
		emit_legacy(t, i, reg, rm, mem ? &at : NULL);
	/* Where two are written and are the same, the last counts: XADD's sum, MULX's upper half. */
	if (v && v->access & X86_ACC_W)
		jit_reg_out(t, v->reg, R_9);
	if (r && r->access & X86_ACC_W && i->op == X86_OP_XADD)
		jit_reg_out(t, r->reg, R_10);
	if (m && !mem && m->access & X86_ACC_W)
		jit_reg_out(t, m->reg, scratch);
	if (r && r->access & X86_ACC_W && i->op != X86_OP_XADD)
		jit_reg_out(t, r->reg, R_10);
	return true;
}

/* -------- the stack -------- */
static bool stack_ok(const struct jit_tr *t, const struct x86_insn *i)
{
	return i->opsize == jit_slot_size(t);
}

static bool emit_push(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	const struct x86_operand *p = &i->operand[0];
	unsigned int n = jit_slot_size(t), reg;
	struct jit_mem m;

	if (!stack_ok(t, i))
		return false;
	if (p->kind == X86_OPND_MEM)
		return jit_push_mem(t, k);
	jit_push_slot(t, k, &m);
	if (p->kind == X86_OPND_IMM) {
		jit_rm(t, t->wide, 0xc7, 0, &m);
		j32(&t->b, (uint32_t)i->imm);
	} else {
		reg = jit_reg_in(t, p->reg, R_10);
		jit_rm(t, t->wide, OP_STORE, reg, &m);
	}
	jit_move_sp(t, -(int32_t)n);
	return true;
}

static bool emit_pop(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	const struct x86_operand *p = &i->operand[0];
	unsigned int reg;
	struct jit_mem m;

	if (!stack_ok(t, i) || p->kind == X86_OPND_MEM)
		return false;
	jit_stack_top(t, k, &m);
	reg = jit_pinned(p->reg) ? jit_host_of(p->reg) : R_10;
	if (reg == R_11) {
		jit_rm(t, t->wide, OP_LOAD, R_11, &m);
		return true;
	}
	jit_rm(t, t->wide, OP_LOAD, reg, &m);
	jit_move_sp(t, (int32_t)jit_slot_size(t));
	jit_reg_out(t, p->reg, R_10);
	return true;
}

static bool emit_leave(struct jit_tr *t, unsigned int k)
{
	struct jit_mem m = { R_9, R_SP, 0 };

	if (!stack_ok(t, &t->insn[k]))
		return false;
	if (!jit_share_operand(t, k, JIT_OPERAND, jit_slot_size(t), SOFT_READ, &m)) {
		j_rr(&t->b, t->wide, OP_LOAD, R_9, R_BP);
		jit_access(t, k, jit_slot_size(t), SOFT_READ);
	}
	j_lea(&t->b, t->wide, R_11, R_BP, (int32_t)jit_slot_size(t));
	jit_rm(t, t->wide, OP_LOAD, R_BP, &m);
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
	if (jit_pinned(p->reg) && i->opsize <= i->addrsize) {
		jit_ea_to(t, k, jit_host_of(p->reg), i->opsize == 8);
		return true;
	}
	jit_ea_only(t, k);
	if (jit_pinned(p->reg))
		j_rr(&t->b, i->opsize == 8, OP_LOAD, jit_host_of(p->reg), R_9);
	else {
		if (i->opsize == 4)
			j_rr(&t->b, false, OP_LOAD, R_9, R_9);
		j_rm(&t->b, true, OP_STORE, R_9, R_SP, jit_frame_of(p->reg));
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
		return jit_emit_jcc(t, k);
	case X86_OP_JMP:
		return jit_emit_jmp(t, k);
	case X86_OP_CALL:
		return jit_emit_call(t, k);
	case X86_OP_RET:
		return jit_emit_ret(t, k);
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
	jit_call_stub(t, t->j->stub.interp);
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

void jit_emit_insn(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	struct x86_insn copy = *i;
	uint8_t *start = t->b.p;
	unsigned int n_slow = t->n_slow, n_fault = t->n_fault, n_miss = t->n_miss;
	unsigned int n_side = t->n_side;
	uint8_t have = t->have;
	bool flags_saved = t->flags_saved;

	if (emit_known(t, k)) {
		jit_region_note(t, k);
		jit_share_note(t, k);
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
	t->flags_saved = flags_saved;
	t->have = have;
	jit_share_forget(t);
	jit_region_forget(t);
	emit_interp(t, k);
}
