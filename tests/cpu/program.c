// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of many instructions, for what goes wrong between them: flags that live across accesses, branches
 * of all kinds, loops, faults amid it all. Mostly general registers, which is what the translator
 * knows; each memory operand mostly has a MOV of its base register before it, so that it hits.
 *
 * Branches lead forwards to the beginning of an item (an instruction with its MOVs, or a branch with
 * what it needs), to an INT3 of either page, or nowhere; a counted loop leads back. Some programs write
 * to their own immediates and opcodes, just before these come or for the next time in the loop.
 */
#include <string.h>
#include "gen_int.h"

#define FIXUPS 8

struct fixup { /* a branch whose target comes later */
	uint16_t at;
	uint8_t size;
	bool absolute;
};

struct program {
	struct test *t;
	const struct batch *b;
	bool wide;
	uint32_t n_fixups;
	struct fixup fixup[FIXUPS];
	uint64_t changeable; /* linear address of an ADD's ModRM byte and immediate; 0: none yet */
	uint32_t address_at; /* offset of the address in the last change */
};

static uint64_t here(const struct program *p)
{
	return p->t->in.rip + p->t->code_len;
}

/* False: there is no room. */
static bool put(struct program *p, const uint8_t *bytes, uint32_t n)
{
	struct test *t = p->t;
	struct x86_insn i;

	if (t->n_insns == MAX_INSNS || t->code_len + n > TEST_CODE - 2 * X86_INSN_MAX)
		return false;
	memcpy(t->code + t->code_len, bytes, n);
	t->row[t->n_insns] = x86_decode(bytes, n, (enum x86_code)t->mode, &i) == X86_DECODE_OK
				     ? i.row
				     : ROW_NONE;
	t->off[t->n_insns++] = t->code_len;
	t->code_len = (uint16_t)(t->code_len + n);
	t->off[t->n_insns] = t->code_len;
	return true;
}

static uint32_t put_number(uint8_t *p, uint64_t x, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		p[i] = (uint8_t)(x >> 8 * i);
	return n;
}

static bool put_mov(struct program *p, uint32_t reg, uint64_t value)
{
	uint8_t code[10];
	uint32_t n = 0;
	bool w = p->wide && value >> 32;

	if (w || reg > 7)
		code[n++] = (uint8_t)(0x40 | w << 3 | reg >> 3);
	code[n++] = (uint8_t)(0xb8 | (reg & 7));
	n += put_number(code + n, value, w ? 8 : 4);
	return put(p, code, n);
}

/* -------- operands -------- */
static void put_disp(const struct x86_insn *i, uint8_t *code, uint64_t v)
{
	put_number(code + i->disp_off, v, i->disp_size);
}

static bool aim_registers(struct program *p, struct x86_insn *i, uint64_t off)
{
	uint64_t index = 0;

	off -= (uint64_t)i->disp;
	if (i->base == X86_REG_NONE)
		return put_mov(p, i->index, off >> i->scale);
	if (i->base == i->index)
		return put_mov(p, i->base, off / (1 + (1u << i->scale)));
	if (i->index != X86_REG_NONE) {
		index = gen_one_in(8) ? gen_integer() : gen_below(256);
		if (!p->wide)
			index = (uint32_t)index;
		if (!put_mov(p, i->index, index))
			return false;
	}
	return put_mov(p, i->base, off - (index << i->scale));
}

/* MOVs for the memory operand, or a displacement put into @code. */
static bool aim(struct program *p, struct x86_insn *i, uint8_t *code, uint32_t size)
{
	uint64_t off = gen_target(size, i->flags & X86_I_ALIGN) -
		       segment_base(&p->t->in, (enum x86_seg)i->seg, (enum x86_code)p->t->mode);

	if (i->base == X86_REG_NONE && i->index == X86_REG_NONE) {
		if (i->disp_size == 4)
			put_disp(i, code, off);
		return true;
	}
	if (i->base == X86_REG_RIP) {
		put_disp(i, code, off - here(p) - i->len);
		return true;
	}
	return gen_one_in(6) || aim_registers(p, i, off);
}

static bool aim_string(struct program *p, const struct x86_insn *i)
{
	uint32_t size = i->operand[0].size ? i->operand[0].size : 1;

	uint64_t from = gen_target(size, false);

	return put_mov(p, X86_RSI, from) && put_mov(p, X86_RDI, gen_string_to(from, size)) &&
	       (!i->rep || put_mov(p, X86_RCX, gen_string_count()));
}

static bool put_stack(struct program *p, uint32_t reg)
{
	return put_mov(
		p, reg, gen_one_in(8) ? gen_target(8, false) : DATA + 64 + 8 * gen_below(1024));
}

/* What the instruction at @code wants to find, put before it. */
static bool prepare(struct program *p, struct x86_insn *i, uint8_t *code)
{
	if (i->flags & X86_I_STRING)
		return aim_string(p, i);
	switch (i->op) {
	case X86_OP_DIV:
	case X86_OP_IDIV:
		if (!gen_one_in(4) && !put_mov(p, X86_RDX, gen_below(2)))
			return false;
		break;
	case X86_OP_PUSH:
	case X86_OP_POP:
	case X86_OP_PUSHF:
		if (gen_one_in(2) && !put_stack(p, X86_RSP))
			return false;
		break;
	case X86_OP_LEAVE:
		if (!gen_one_in(4) && !put_stack(p, X86_RBP))
			return false;
		break;
	}
	for (uint32_t k = 0; k < i->n_operands; k++)
		if (i->operand[k].kind == X86_OPND_MEM && !i->operand[k].implicit)
			return aim(p, i, code, i->operand[k].size);
	return true;
}

/* -------- instructions -------- */
static bool is_plain(const struct x86_insn *i)
{
	if (i->cls == X86_CLASS_GPR)
		return true;
	if (i->cls != X86_CLASS_INT || i->operand[0].kind == X86_OPND_SEG)
		return false;
	switch (i->op) {
	case X86_OP_ADD ... X86_OP_IMUL:
	case X86_OP_ROL ... X86_OP_SHRD:
	case X86_OP_BSF:
	case X86_OP_BSR:
	case X86_OP_XADD:
	case X86_OP_CMPXCHG:
	case X86_OP_CMPXCHG8B:
	case X86_OP_CMPXCHG16B:
	case X86_OP_MOVZX ... X86_OP_MOVNTI:
	case X86_OP_SETCC:
	case X86_OP_CMOVCC:
	case X86_OP_DIV:
	case X86_OP_IDIV:
	case X86_OP_BT ... X86_OP_BTC:
	case X86_OP_BSWAP:
	case X86_OP_XCHG:
	case X86_OP_MOV:
	case X86_OP_LEA:
	case X86_OP_PUSH:
	case X86_OP_POP:
	case X86_OP_LEAVE:
	case X86_OP_CBW:
	case X86_OP_CWD:
	case X86_OP_LAHF:
	case X86_OP_SAHF:
	case X86_OP_CLC:
	case X86_OP_STC:
	case X86_OP_CMC:
	case X86_OP_CLD:
	case X86_OP_STD:
	case X86_OP_PUSHF:
	case X86_OP_NOP:
	case X86_OP_LFENCE:
	case X86_OP_MFENCE:
	case X86_OP_SFENCE:
		return true;
	default:
		return i->flags & X86_I_STRING;
	}
}

static bool is_vector(const struct x86_insn *i)
{
	return i->cls != X86_CLASS_INT && i->cls != X86_CLASS_GPR && i->cls != X86_CLASS_FPST &&
	       !gen_alone(i) && !(i->flags & X86_I_VSIB) && i->op != X86_OP_MASKMOVQ &&
	       i->op != X86_OP_MASKMOVDQU;
}

static bool put_insn(struct program *p)
{
	uint8_t code[X86_INSN_MAX];
	struct x86_insn i;
	enum x86_code mode = (enum x86_code)p->t->mode;
	uint32_t len = gen_insn_of(mode, gen_one_in(5) ? is_vector : is_plain, code, &i);

	return len && (gen_one_in(16) || prepare(p, &i, code)) && put(p, code, len);
}

#define NO_INDEX 4u

/* The same with [@base + disp] as memory operand, or with an index, too; the registers are those of these numbers
 * or eight more, as the instruction's prefixes have it. */
static bool put_near(struct program *p, const uint8_t *code, const struct x86_insn *i,
	uint32_t base, uint32_t index)
{
	bool sib = base == X86_RSP || index != NO_INDEX, far = gen_one_in(6);
	uint8_t near[X86_INSN_MAX + 8];
	struct x86_insn was;
	uint32_t n = i->modrm_off;

	memcpy(near, code, n);
	near[n++] = (uint8_t)((far ? 0x80 : 0x40) | (sib ? 4 : base) | (i->modrm & 0x38));
	if (sib)
		near[n++] = (uint8_t)(gen_below(4) << 6 | index << 3 | base);
	n += far ? put_number(near + n, gen_below(1400) - 700u, 4)
		 : put_number(near + n, gen_below(128) - 64u, 1);
	if (n + i->imm_size > X86_INSN_MAX)
		return true;
	if (i->imm_size)
		memcpy(near + n, code + i->imm_off, i->imm_size);
	n += i->imm_size;
	if (x86_decode(near, n, (enum x86_code)p->t->mode, &was) != X86_DECODE_OK ||
		was.row != i->row)
		return true;
	return put(p, near, was.len);
}

/* Vector instructions around one address. */
static bool put_neighbours(struct program *p)
{
	uint32_t most = 2 + gen_below(4);
	uint64_t at = gen_target(128, false);
	uint8_t code[X86_INSN_MAX];
	struct x86_insn i;
	bool ok = put_mov(p, X86_RBX, at) && (!p->wide || put_mov(p, X86_R11, at));

	for (uint32_t n = 0; ok && n < most; n++) {
		uint32_t len = gen_insn_of((enum x86_code)p->t->mode, is_vector, code, &i);

		if (len && i.modrm_off && i.modrm < 0xc0 && i.seg < X86_FS && i.addrsize > 2)
			ok = put_near(p, code, &i, X86_RBX, NO_INDEX);
		else
			ok = len && put(p, code, len);
	}
	return ok;
}

/* -------- groups of accesses -------- */
/* An address for what lies around it: mostly near the end of a page. */
static uint64_t frame_at(void)
{
	uint64_t end = DATA + PAGE * (1 + gen_below(DATA_SPAN / PAGE));

	return gen_one_in(3) ? gen_target(64, false) & ~7ull : end + 8 * (gen_below(40) - 20ull);
}

static bool put_frame_register(struct program *p, uint32_t reg, uint64_t value)
{
	return put_mov(p, reg, value) && (!p->wide || put_mov(p, reg + 8, value));
}

/* add, sub reg, imm8; lea reg, [reg + disp8]; a PUSH or POP of another register, if it is rSP. */
static bool put_frame_move(struct program *p, uint32_t reg)
{
	uint32_t n = 0, kind = gen_below(reg == X86_RSP ? 6 : 3), other = gen_below(4);
	uint8_t code[8];

	if (kind > 2) {
		code[n++] = (uint8_t)((gen_one_in(2) ? 0x50 : 0x58) | other);
		return put(p, code, n);
	}
	if (p->wide)
		code[n++] = 0x48;
	code[n++] = kind == 2 ? 0x8d : 0x83;
	code[n++] = (uint8_t)(kind == 2 ? 0x40 | reg << 3 | reg
					: (kind ? 0xe8 : 0xc0) | reg);
	if (kind == 2 && reg == X86_RSP)
		code[n++] = 0x24;
	code[n++] = (uint8_t)(8 * (gen_below(16) - 8));
	return put(p, code, n);
}

static bool put_frame_access(struct program *p, uint32_t reg, uint32_t index)
{
	uint8_t code[X86_INSN_MAX];
	struct x86_insn i;
	uint32_t len = 0;

	for (int tries = 0; tries < 8; tries++) {
		len = gen_insn_of((enum x86_code)p->t->mode,
			gen_one_in(4) ? is_vector : is_plain, code, &i);
		if (len && i.modrm_off && i.modrm < 0xc0 && i.seg < X86_FS && i.addrsize > 2)
			return put_near(p, code, &i, reg, gen_one_in(4) ? index : NO_INDEX);
	}
	return len && put(p, code, len);
}

/* Instructions around what one register holds, as functions use their frames and structures; that lies over a
 * page's end, or in a page that must not be written to, and moves in between. */
static bool put_frame(struct program *p)
{
	static const uint8_t regs[] = { X86_RSP, X86_RSP, X86_RBP, X86_RBX, X86_RSI };
	uint32_t reg = regs[gen_below(ARRAY_SIZE(regs))], most = 3 + gen_below(6);
	uint32_t index = gen_one_in(2) ? X86_RCX : NO_INDEX;
	bool ok = put_frame_register(p, reg, frame_at());

	if (ok && index != NO_INDEX)
		ok = put_frame_register(p, index, gen_below(64));
	for (uint32_t n = 0; ok && n < most; n++) {
		if (gen_one_in(4))
			ok = put_frame_move(p, reg);
		else if (gen_one_in(8))
			ok = put_insn(p);
		else
			ok = put_frame_access(p, reg, index);
	}
	return ok;
}

/* -------- branches -------- */
/* The field of @size bytes at the end of what was put last leads to a later item. */
static void later(struct program *p, uint32_t size, bool absolute, uint32_t before_end)
{
	struct test *t = p->t;

	p->fixup[p->n_fixups++] = (struct fixup){ (uint16_t)(t->code_len - size - before_end),
		(uint8_t)size, absolute };
}

/* Where no later item is meant: an INT3 of either page, or nowhere. */
static uint64_t elsewhere(const struct program *p)
{
	uint64_t end = p->t->in.rip + TEST_CODE - CODE, at;

	if (gen_one_in(6))
		return gen_integer();
	do
		at = gen_below(CODE_PAGES * PAGE);
	while (at + 16 > p->t->in.rip - CODE && at < end);
	return CODE + at;
}

/* JMP, Jcc, CALL to a later item, or elsewhere. */
static bool put_relative(struct program *p)
{
	uint8_t code[6] = { 0 };
	uint32_t n = 0, size = 4;
	uint64_t to;

	switch (gen_below(6)) {
	case 0:
		code[n++] = 0xe9;
		break;
	case 1:
		code[n++] = 0xe8;
		break;
	case 2:
		code[n++] = 0xeb;
		size = 1;
		break;
	case 3:
		code[n++] = 0x0f;
		code[n++] = (uint8_t)(0x80 | gen_below(16));
		break;
	default:
		code[n++] = (uint8_t)(0x70 | gen_below(16));
		size = 1;
	}
	if (size == 1 || !gen_one_in(8)) {
		if (!put(p, code, n + size))
			return false;
		later(p, size, false, 0);
		return true;
	}
	to = elsewhere(p);
	put_number(code + n, to - (here(p) + n + size), size);
	return put(p, code, n + size);
}

/* Through a register, memory, the stack: MOV of the address first. */
static bool put_indirect(struct program *p)
{
	uint8_t code[8];
	uint32_t reg = gen_below(p->wide ? 16 : 8), n = 0, pushes = 1;
	uint64_t to = elsewhere(p), at = gen_target(8, false);
	bool is_call = gen_one_in(2), known = gen_one_in(4);

	if (reg == X86_RSP)
		reg = X86_RBX;
	if (gen_one_in(4) && !put_stack(p, X86_RSP))
		return false;
	if (!put_mov(p, reg, known ? to : 0x10000000))
		return false;
	if (!known)
		later(p, 4, true, 0);
	if (reg > 7)
		code[n++] = 0x41;
	switch (gen_below(3)) {
	case 0: /* jmp, call reg */
		code[n++] = 0xff;
		code[n++] = (uint8_t)((is_call ? 0xd0 : 0xe0) | (reg & 7));
		return put(p, code, n);
	case 1: /* push reg; ret, ret n */
		code[n++] = (uint8_t)(0x50 | (reg & 7));
		if (!put(p, code, n))
			return false;
		if (is_call)
			return put(p, (const uint8_t *)"\xc3", 1);
		code[0] = 0xc2;
		put_number(code + 1, 8 * gen_below(8), 2);
		return put(p, code, 3);
	default: /* mov [at], reg; jmp, call [at] */
		n = 0;
		if (p->wide)
			code[n++] = (uint8_t)(0x48 | (reg >> 3) << 2);
		code[n++] = 0x89;
		code[n++] = (uint8_t)((reg & 7) << 3 | (p->wide ? 4 : 5));
		if (p->wide)
			code[n++] = 0x25;
		n += put_number(code + n, (uint32_t)at, 4);
		if (!put(p, code, n))
			return false;
		n = 0;
		code[n++] = 0xff;
		code[n++] = (uint8_t)((is_call ? 0x10 : 0x20) | (p->wide ? 4 : 5));
		if (p->wide)
			code[n++] = 0x25;
		n += put_number(code + n, (uint32_t)at, 4);
		return pushes && put(p, code, n);
	}
}

/* -------- code that changes itself -------- */
/* ADC and SBB are not among them: whether flags are kept for the next instruction is decided when it is
 * translated, as it is then. */
static uint32_t random_operation(void)
{
	static const uint8_t op[] = { 0, 1, 4, 5, 6, 7 };

	return op[gen_below(ARRAY_SIZE(op))];
}

/* An operation between a register and an immediate: 81 /r id. */
static bool put_changeable(struct program *p)
{
	uint8_t code[7];
	uint32_t reg = gen_below(p->wide ? 16 : 8), n = 0;

	if (reg > 7)
		code[n++] = 0x41;
	code[n++] = 0x81;
	code[n++] = (uint8_t)(0xc0 | random_operation() << 3 | (reg & 7));
	p->changeable = here(p) + n - 1;
	n += put_number(code + n, gen_r64(), 4);
	return put(p, code, n);
}

/* ADD of a random number to some of its immediate, or a MOV to the ModRM byte. @at: that byte. */
static bool put_change(struct program *p, uint64_t at)
{
	static const uint8_t op[] = { 0x80, 0x81, 0xc7, 0xc6 };
	uint8_t code[16];
	uint32_t kind = gen_below(ARRAY_SIZE(op)), n = 0;
	bool byte = !(op[kind] & 1);

	if (kind < 2 && gen_one_in(4))
		code[n++] = 0xf0;
	code[n++] = op[kind];
	code[n++] = p->wide ? 0x04 : 0x05;
	if (p->wide)
		code[n++] = 0x25;
	p->address_at = p->t->code_len + n;
	n += put_number(code + n, op[kind] == 0xc6 ? at : at + 1 + (byte ? gen_below(4) : 0), 4);
	n += put_number(code + n,
		op[kind] == 0xc6 ? 0xc0 | random_operation() << 3 | gen_below(8) : gen_r64(),
		byte ? 1 : 4);
	return put(p, code, n);
}

static bool put_self_change(struct program *p)
{
	uint8_t *field;
	uint32_t to;

	if (!p->changeable || gen_one_in(3))
		return put_changeable(p);
	if (gen_one_in(2))
		return put_change(p, p->changeable);
	/* Of the one that follows. */
	if (!put_change(p, 0))
		return false;
	field = p->t->code + p->address_at;
	if (!put_changeable(p))
		return false;
	memcpy(&to, field, 4);
	put_number(field, to + p->changeable, 4);
	return true;
}

/* -------- the whole -------- */
/* An item begins here: some of the branches before it lead to it. */
static void land(struct program *p, bool all)
{
	struct test *t = p->t;
	uint32_t kept = 0;

	for (uint32_t k = 0; k < p->n_fixups; k++) {
		struct fixup f = p->fixup[k];
		uint32_t far = t->code_len - f.at - f.size;

		if (!all && far < 60 && !gen_one_in(2)) {
			p->fixup[kept++] = f;
			continue;
		}
		put_number(t->code + f.at, f.absolute ? here(p) : far, f.size);
	}
	p->n_fixups = kept;
}

/* add dword [counter], -1; jnz: what came since @from again. */
static void put_loop(struct program *p, uint32_t from, uint64_t counter)
{
	uint8_t code[16] = { 0x83 };
	uint32_t n = 1;

	code[n++] = p->wide ? 0x04 : 0x05;
	if (p->wide)
		code[n++] = 0x25;
	n += put_number(code + n, counter, 4);
	code[n++] = 0xff;
	if (!put(p, code, n))
		return;
	code[0] = 0x0f;
	code[1] = 0x85;
	put_number(code + 2, from - (p->t->code_len + 6u), 4);
	put(p, code, 6);
}

static bool put_counter(struct program *p, uint64_t counter)
{
	uint8_t code[16] = { 0xc7 };
	uint32_t n = 1;

	code[n++] = p->wide ? 0x04 : 0x05;
	if (p->wide)
		code[n++] = 0x25;
	n += put_number(code + n, counter, 4);
	n += put_number(code + n, 2 + gen_below(3), 4);
	return put(p, code, n);
}

static void flat_segments(struct test *t)
{
	if (t->mode != X86_CODE_32)
		return;
	for (int i = 0; i < X86_NSEG; i++)
		if (i != X86_CS)
			t->in.sel[i] = SEL_DATA;
	t->in.sel[X86_CS] = SEL_CODE32;
	t->in.gpr[X86_RSP] = DATA + 64 + 8 * gen_below(1024);
}

void program_make(struct test *t, const struct batch *b)
{
	struct program p = { .t = t, .b = b, .wide = t->mode == X86_CODE_64 };
	uint32_t items = 2 + gen_below(12), from = 0;
	uint64_t counter = DATA + 4 * gen_below(PAGE / 4);
	bool loop = gen_one_in(3), changes = gen_one_in(12), ok = true;

	t->program = true;
	if (!gen_one_in(4))
		flat_segments(t);
	if (gen_one_in(8))
		t->in.rip = CODE + PAGE - gen_below(150);
	if (changes)
		t->in.rip = CODE_W + (t->in.rip - CODE) % (2 * PAGE - TEST_CODE);
	if (loop)
		ok = put_counter(&p, counter);
	from = t->code_len;
	for (uint32_t n = 0; ok && n < items; n++) {
		land(&p, false);
		if (changes && gen_one_in(3))
			ok = put_self_change(&p);
		else if (p.n_fixups < FIXUPS && gen_one_in(5))
			/* No code addresses in registers where code can be written to anyhow. */
			ok = !changes && gen_one_in(2) ? put_indirect(&p) : put_relative(&p);
		else
			ok = gen_one_in(16)  ? put_neighbours(&p)
			     : gen_one_in(6) ? put_frame(&p)
					     : put_insn(&p);
	}
	land(&p, true);
	if (loop)
		put_loop(&p, from, counter);
	t->off[t->n_insns] = t->code_len;
}
