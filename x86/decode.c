/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Sources: Intel SDM volume 2, Instruction Format; AMD APM volume 3, Instruction Encoding.
 *
 * Bytes are taken one after the other through fetch*(), which return 0 once the bytes end and note
 * that; whoever draws a conclusion from them looks at that note first. So an instruction's result
 * never depends on bytes behind it.
 *
 * SPEC: where Intel and AMD differ this is AMD's: 66 makes near branches 16 bits wide in 64-bit code
 * too, and LOCK MOV CR0 reaches CR8.
 */
#include "x86/decode_table.h"

struct decoder {
	const uint8_t *start, *p, *end;
	const struct x86_opcode *opcode;
	struct x86_insn *i;
	uint32_t key;
	bool truncated;	  /* the bytes end before the instruction does */
	bool invalid;	  /* an operand does not exist */
	bool has_vvvv;	  /* all four bits count, in 32-bit code too */
	uint8_t seg;	  /* overriding segment + 1, or 0 */
	uint8_t place_hi; /* VEX: byte of the map in the index */
	uint8_t x, b, r;  /* REX bits as 8 or 0 */
	uint8_t opsize_index, rm_is_mem;
};

/* -------- bytes -------- */
static inline uint8_t fetch1(struct decoder *d)
{
	if (__builtin_expect(d->p == d->end, 0)) {
		d->truncated = true;
		return 0;
	}
	return *d->p++;
}

/* @size bytes: 1, 2, 4 or 8, zero-extended. */
static uint64_t fetch(struct decoder *d, unsigned int size)
{
	uint64_t v = 0;

	if (d->end - d->p < size) {
		d->truncated = true;
		d->p = d->end;
		return 0;
	}
	memcpy(&v, d->p, size);
	d->p += size;
	return v;
}

static int64_t sign_extend(uint64_t v, unsigned int size)
{
	int shift = 64 - 8 * size;

	return (int64_t)(v << shift) >> shift;
}

/* -------- prefixes and opcode -------- */
/* Takes a prefix; false: @c is none. */
static bool prefix(struct decoder *d, uint8_t c, bool code64)
{
	struct x86_insn *i = d->i;

	switch (c) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
		if (!code64)
			d->seg = (c >> 3 & 3) + 1;
		break;
	case 0x64:
	case 0x65:
		d->seg = (c & 7) + 1;
		break;
	case 0x66:
		i->has_66 = 1;
		break;
	case 0x67:
		i->addrsize = 1;
		break;
	case 0xf0:
		i->lock = 1;
		break;
	case 0xf2:
	case 0xf3:
		i->rep = c;
		break;
	default:
		if (!code64 || (c & 0xf0) != 0x40)
			return false;
		i->rex = c;
		return true;
	}
	i->rex = 0; /* REX counts directly before the opcode only */
	return true;
}

/* C4, C5 has been read. False: it is LDS or LES. */
static bool vex(struct decoder *d, uint8_t first)
{
	struct x86_insn *i = d->i;
	uint8_t c, pp;

	if (i->code != X86_CODE_64) {
		if (d->p == d->end) {
			d->truncated = true;
			return true;
		}
		if (*d->p < 0xc0)
			return false;
	}
	d->invalid = i->rex || i->has_66 || i->rep || i->lock;
	c = fetch1(d);
	i->vex = first;
	i->rex = 0x40 | (~c >> 5 & 4);
	d->place_hi = X86_MAPS + 1;
	if (first == 0xc4) {
		i->rex |= ~c >> 5 & 3;
		d->place_hi = X86_MAPS + (c & 0x1f);
		d->invalid |= !(c & 0x1f) || (c & 0x1f) >= X86_MAPS;
		c = fetch1(d);
		i->rex |= c >> 4 & 8;
		i->vex_w = c >> 7;
	}
	i->vex_v = ~c >> 3 & 0xf;
	i->vex_l = c >> 2 & 1;
	d->has_vvvv = i->vex_v != 0;
	if (i->code != X86_CODE_64)
		i->rex = 0;
	pp = c & 3;
	i->has_66 = pp == 1;
	i->rep = pp == 2 ? 0xf3 : pp == 3 ? 0xf2 : 0;
	return true;
}

/* Up to the opcode; sets i->map, i->opcode, d->opcode. */
static void opcode(struct decoder *d)
{
	struct x86_insn *i = d->i;
	bool code64 = i->code == X86_CODE_64;
	unsigned int place;
	uint8_t c;

	do
		c = fetch1(d);
	while (prefix(d, c, code64));
	if ((c & 0xfe) == 0xc4 && vex(d, c)) {
		if (d->truncated || d->invalid)
			return;
		c = fetch1(d);
		i->map = d->place_hi - X86_MAPS;
		place = d->place_hi * 256 + c;
	} else {
		if (c == 0x0f) {
			c = fetch1(d);
			i->map = 1;
			if (c == 0x38 || c == 0x3a) {
				i->map = c == 0x38 ? 2 : 3;
				c = fetch1(d);
			}
		}
		place = i->map * 256 + c;
	}
	i->opcode = c;
	i->opcode_off = d->p - d->start - 1;
	d->opcode = &x86_opcodes[place];
}

static void modrm(struct decoder *d)
{
	struct x86_insn *i = d->i;

	if (i->map == 0 && (i->opcode & 0xf8) == 0xd8) {
		/* x87: the whole ModRM byte tells what it is. */
		i->modrm = fetch1(d);
		d->opcode = &x86_opcodes[X86_X87_PLACE + (i->opcode & 7) * 128 +
					 (i->modrm < 0xc0 ? i->modrm >> 3 & 7 : i->modrm & 0x7f)];
	} else if (d->opcode->modrm) {
		i->modrm = fetch1(d);
	} else {
		return;
	}
	i->modrm_off = d->p - d->start - 1;
	i->flags = X86_I_MODRM;
}

/* -------- the row -------- */
static void make_key(struct decoder *d)
{
	const struct x86_insn *i = d->i;
	uint32_t key = i->modrm;

	if (i->rep)
		key |= (i->rep == 0xf3 ? 2u : 3u) << KEY_PP_SHIFT;
	else
		key |= (uint32_t)i->has_66 << KEY_PP_SHIFT;
	if (i->modrm >= 0xc0)
		key |= KEY_MOD3;
	if (i->code == X86_CODE_64)
		key |= KEY_CODE64;
	if (i->rex & 8)
		key |= KEY_W64;
	if (i->vex_w | (i->rex & 8))
		key |= KEY_W;
	if (i->vex_l)
		key |= KEY_L;
	if (d->has_vvvv)
		key |= KEY_VVVV;
	if (i->rex & 1)
		key |= KEY_REX_B;
	d->key = key;
}

static const struct x86_row *find_row(const struct decoder *d)
{
	const struct x86_row *r = &x86_table[d->opcode->first];

	for (unsigned int n = d->opcode->count; n; n--, r++)
		if (((d->key ^ (uint32_t)r->match) & r->match >> 32) == 0)
			return r;
	return NULL;
}

static void set_opsize(struct decoder *d, uint32_t flags)
{
	static const uint8_t index[] = { [2] = 0, [4] = 1, [8] = 2 };
	struct x86_insn *i = d->i;
	bool code64 = i->code == X86_CODE_64;
	unsigned int size = (i->code == X86_CODE_16) != i->has_66 ? 2 : 4;

	if (flags & ROW_NO66)
		size = 4;
	if (d->key & KEY_W64)
		size = 8;
	if (code64 && (flags & ROW_D64) && !i->has_66)
		size = 8;
	if (code64 && (flags & ROW_F64))
		size = 8;
	if (flags & ROW_NATIVE)
		size = code64 ? 8 : 4;
	i->opsize = size;
	d->opsize_index = index[size];
}

/* -------- memory operand -------- */
static void displacement(struct decoder *d, unsigned int size)
{
	struct x86_insn *i = d->i;

	i->disp_off = d->p - d->start;
	i->disp_size = size;
	i->disp = sign_extend(fetch(d, size), size);
}

static void address16(struct decoder *d)
{
	static const uint8_t base[] = { X86_RBX, X86_RBX, X86_RBP, X86_RBP, X86_RSI, X86_RDI,
		X86_RBP, X86_RBX };
	static const uint8_t index[] = { X86_RSI, X86_RDI, X86_RSI, X86_RDI, X86_REG_NONE,
		X86_REG_NONE, X86_REG_NONE, X86_REG_NONE };
	struct x86_insn *i = d->i;
	unsigned int mod = i->modrm >> 6, rm = i->modrm & 7;

	if (mod == 0 && rm == 6) {
		displacement(d, 2);
		return;
	}
	i->base = base[rm];
	i->index = index[rm];
	if (i->base == X86_RBP)
		i->seg = X86_SS;
	if (mod)
		displacement(d, mod);
}

static void sib(struct decoder *d, bool vsib)
{
	struct x86_insn *i = d->i;
	unsigned int c = fetch1(d), mod = i->modrm >> 6;
	unsigned int index = (c >> 3 & 7) | d->x;

	i->scale = c >> 6;
	if (index != X86_RSP || vsib)
		i->index = index;
	else
		i->scale = 0;
	if ((c & 7) != 5 || mod)
		i->base = (c & 7) | d->b;
}

static void address(struct decoder *d, bool vsib)
{
	struct x86_insn *i = d->i;
	unsigned int mod = i->modrm >> 6, rm = i->modrm & 7;

	if (rm == 4)
		sib(d, vsib);
	else if (mod || rm != 5)
		i->base = rm | d->b;
	else if (i->code == X86_CODE_64)
		i->base = X86_REG_RIP;
	d->invalid |= vsib && rm != 4;
	if (i->base == X86_RSP || i->base == X86_RBP)
		i->seg = X86_SS;
	if (mod == 1)
		displacement(d, 1);
	else if (mod == 2 || i->base == X86_REG_NONE || i->base == X86_REG_RIP)
		displacement(d, 4);
}

static void memory(struct decoder *d, uint32_t flags)
{
	struct x86_insn *i = d->i;
	bool vsib = flags & X86_I_VSIB;

	d->rm_is_mem = 1;
	if (i->addrsize == 2) {
		d->invalid |= vsib;
		address16(d);
	} else {
		address(d, vsib);
	}
}

/* -------- operands -------- */
static const uint16_t sizes[SZ_COUNT][3][2] = {
#define ALL(n)                      \
	{                           \
		{ n, n }, { n, n }, \
		{                   \
			n, n        \
		}                   \
	}
#define BY_OPSIZE(a, b, c)          \
	{                           \
		{ a, a }, { b, b }, \
		{                   \
			c, c        \
		}                   \
	}
#define BY_L(a, b)                  \
	{                           \
		{ a, b }, { a, b }, \
		{                   \
			a, b        \
		}                   \
	}
	[SZ_1] = ALL(1),
	[SZ_2] = ALL(2),
	[SZ_4] = ALL(4),
	[SZ_6] = ALL(6),
	[SZ_8] = ALL(8),
	[SZ_10] = ALL(10),
	[SZ_16] = ALL(16),
	[SZ_32] = ALL(32),
	[SZ_512] = ALL(512),
	[SZ_V] = BY_OPSIZE(2, 4, 8),
	[SZ_Z] = BY_OPSIZE(2, 4, 4),
	[SZ_Y] = BY_OPSIZE(4, 4, 8),
	[SZ_P] = BY_OPSIZE(4, 6, 10),
	[SZ_A] = BY_OPSIZE(4, 8, 0),
	[SZ_S] = BY_OPSIZE(6, 6, 10),
	[SZ_C] = BY_OPSIZE(8, 8, 16),
	[SZ_ENV] = BY_OPSIZE(14, 28, 28),
	[SZ_SAVE] = BY_OPSIZE(94, 108, 108),
	[SZ_X] = BY_L(16, 32),
	[SZ_XH] = BY_L(8, 16),
	[SZ_XQ] = BY_L(4, 8),
	[SZ_XE] = BY_L(2, 4),
#undef ALL
#undef BY_OPSIZE
#undef BY_L
};

static void set_gpr(const struct decoder *d, struct x86_operand *o, unsigned int reg)
{
	o->kind = X86_OPND_GPR;
	o->reg = reg;
	if (o->size == 1 && reg >= 4 && !d->i->rex) {
		o->kind = X86_OPND_GPR_H;
		o->reg = reg - 4;
	}
}

/* ModRM.rm as a register of @kind or as memory. */
static void set_rm(struct decoder *d, struct x86_operand *o, enum x86_operand_kind kind,
	const struct x86_opnd *spec)
{
	if (d->rm_is_mem) {
		o->kind = X86_OPND_MEM;
		o->size = sizes[spec->mem][d->opsize_index][d->i->vex_l];
		return;
	}
	o->kind = kind;
	o->reg = d->i->modrm & 7;
	if (kind == X86_OPND_VEC)
		o->reg |= d->b;
	else if (kind == X86_OPND_GPR)
		set_gpr(d, o, o->reg | d->b);
}

static void set_imm(struct decoder *d, struct x86_operand *o, enum x86_operand_kind kind,
	unsigned int size, bool sign)
{
	struct x86_insn *i = d->i;

	o->kind = kind;
	i->imm_off = d->p - d->start;
	i->imm_size = size;
	i->imm = fetch(d, size);
	if (sign)
		i->imm = (uint64_t)sign_extend(i->imm, size);
}

static void set_far(struct decoder *d, struct x86_operand *o)
{
	set_imm(d, o, X86_OPND_FAR, d->i->opsize, false);
	d->i->imm2 = (uint16_t)fetch(d, 2);
}

static void set_moffs(struct decoder *d, struct x86_operand *o)
{
	struct x86_insn *i = d->i;

	o->kind = X86_OPND_MEM;
	i->disp_off = d->p - d->start;
	i->disp_size = i->addrsize;
	i->disp = (int64_t)fetch(d, i->addrsize);
}

/* An operand not in ModRM: [@reg]. The instruction's base is the source's if it has one. */
static void set_at(struct decoder *d, struct x86_operand *o, unsigned int reg)
{
	o->kind = X86_OPND_MEM;
	o->reg = reg;
	o->implicit = 1;
	d->i->base = reg;
}

static void set_dst(struct decoder *d, struct x86_operand *o)
{
	bool has_src = d->i->base == X86_RSI;

	set_at(d, o, X86_RDI);
	if (has_src)
		d->i->base = X86_RSI;
	else if (d->i->op != X86_OP_MOVS)
		d->i->seg = X86_ES;
}

static void set_sreg(struct decoder *d, struct x86_operand *o)
{
	o->kind = X86_OPND_SEG;
	o->reg = d->i->modrm >> 3 & 7;
	d->invalid |= o->reg >= X86_NSEG || (o->reg == X86_CS && (o->access & X86_ACC_W));
}

static void set_cr(struct decoder *d, struct x86_operand *o)
{
	o->kind = X86_OPND_CR;
	o->reg = (d->i->modrm >> 3 & 7) | d->r;
	if (d->i->lock) {
		d->invalid |= o->reg != 0;
		o->reg |= 8;
	}
	d->invalid |= !(1u << o->reg & 0x11d);
}

static void set_fixed(
	struct x86_operand *o, enum x86_operand_kind kind, unsigned int reg, bool implicit)
{
	o->kind = kind;
	o->reg = reg;
	o->implicit = implicit;
}

static void operand_vec(struct decoder *d, struct x86_operand *o, const struct x86_opnd *spec)
{
	struct x86_insn *i = d->i;

	switch (spec->method) {
	case OPM_ST:
		set_fixed(o, X86_OPND_ST, i->modrm & 7, false);
		break;
	case OPM_ST0:
		set_fixed(o, X86_OPND_ST, 0, true);
		break;
	case OPM_P:
		set_fixed(o, X86_OPND_MMX, i->modrm >> 3 & 7, false);
		break;
	case OPM_Q:
		set_rm(d, o, X86_OPND_MMX, spec);
		break;
	case OPM_V:
		set_fixed(o, X86_OPND_VEC, (i->modrm >> 3 & 7) | d->r, false);
		break;
	case OPM_W:
		set_rm(d, o, X86_OPND_VEC, spec);
		break;
	case OPM_H:
		set_fixed(o, X86_OPND_VEC, i->vex_v, false);
		break;
	case OPM_L:
		set_imm(d, o, X86_OPND_VEC, 1, false);
		if (i->code != X86_CODE_64) /* as if the bit were not there */
			i->imm &= 0x7f;
		o->reg = i->imm >> 4;
		break;
	case OPM_VEC:
		set_fixed(o, X86_OPND_VEC, spec->arg, true);
		break;
	}
}

static void operand(struct decoder *d, struct x86_operand *o, const struct x86_opnd *spec)
{
	struct x86_insn *i = d->i;

	switch (spec->method) {
	case OPM_E:
		set_rm(d, o, X86_OPND_GPR, spec);
		break;
	case OPM_G:
		set_gpr(d, o, (i->modrm >> 3 & 7) | d->r);
		break;
	case OPM_Z:
		set_gpr(d, o, (i->opcode & 7) | d->b);
		break;
	case OPM_B:
		set_gpr(d, o, i->vex_v);
		break;
	case OPM_GPR:
		set_fixed(o, X86_OPND_GPR, spec->arg, true);
		break;
	case OPM_IMM:
	case OPM_SIMM:
		set_imm(d, o, X86_OPND_IMM, sizes[spec->mem][d->opsize_index][0],
			spec->method == OPM_SIMM);
		break;
	case OPM_IMM2:
		o->kind = X86_OPND_IMM2;
		i->imm2 = fetch1(d);
		break;
	case OPM_REL:
		set_imm(d, o, X86_OPND_REL, sizes[spec->mem][d->opsize_index][0], true);
		break;
	case OPM_FAR:
		set_far(d, o);
		break;
	case OPM_MOFFS:
		set_moffs(d, o);
		break;
	case OPM_SRC:
	case OPM_AT:
		set_at(d, o, spec->arg);
		break;
	case OPM_DST:
		set_dst(d, o);
		break;
	case OPM_ONE:
		o->kind = X86_OPND_ONE;
		break;
	case OPM_SREG:
		set_sreg(d, o);
		break;
	case OPM_SEG:
		set_fixed(o, X86_OPND_SEG, spec->arg, true);
		break;
	case OPM_CR:
		set_cr(d, o);
		break;
	case OPM_DR:
		set_fixed(o, X86_OPND_DR, (i->modrm >> 3 & 7) | d->r, false);
		d->invalid |= o->reg >= 8;
		break;
	default:
		operand_vec(d, o, spec);
	}
}

static void operands(struct decoder *d, const struct x86_row *row)
{
	struct x86_insn *i = d->i;
	unsigned int n;

	for (n = 0; n < 4 && row->operand[n]; n++) {
		const struct x86_opnd *spec = &x86_opnds[row->operand[n] & 0xff];
		struct x86_operand *o = &i->operand[n];

		o->access = row->operand[n] >> 8;
		o->size = sizes[spec->reg][d->opsize_index][i->vex_l];
		operand(d, o, spec);
	}
	i->n_operands = n;
}

/* -------- all together -------- */
/* A gather's destination, index and mask must be three registers. */
static bool gather_invalid(const struct x86_insn *i)
{
	unsigned int dst = i->operand[0].reg;

	return dst == i->index || dst == i->vex_v || i->index == i->vex_v;
}

static enum x86_decode_result row(struct decoder *d, const struct x86_row *r)
{
	struct x86_insn *i = d->i;

	i->row = r - x86_table;
	i->op = r->op;
	i->cls = r->cls;
	i->feature = r->feature;
	i->flags |= r->flags & ROW_FLAGS;
	d->r = i->rex << 1 & 8;
	d->x = i->rex << 2 & 8;
	d->b = i->rex << 3 & 8;
	set_opsize(d, r->flags);
	if ((i->flags & X86_I_MODRM) && i->modrm < 0xc0 && !(r->flags & ROW_MOD3))
		memory(d, r->flags);
	if (d->seg)
		i->seg = d->seg - 1;
	operands(d, r);
	if (d->truncated)
		return X86_DECODE_MORE;
	if (d->invalid)
		return X86_DECODE_INVALID;
	if (i->lock && !(r->flags & ROW_CR8) &&
		(!(r->flags & X86_I_LOCK_OK) || i->operand[0].kind != X86_OPND_MEM))
		return X86_DECODE_INVALID;
	if ((r->flags & X86_I_VSIB) && gather_invalid(i))
		return X86_DECODE_INVALID;
	return X86_DECODE_OK;
}

static enum x86_decode_result decode(struct decoder *d)
{
	static const uint8_t addrsize[3][2] = { { 2, 4 }, { 4, 2 }, { 8, 4 } };
	const struct x86_row *r;

	opcode(d);
	if (d->truncated)
		return X86_DECODE_MORE;
	if (d->invalid)
		return X86_DECODE_INVALID;
	modrm(d);
	if (d->truncated)
		return X86_DECODE_MORE;
	make_key(d);
	/* As a register only three bits count; whether there is one is asked of all four. */
	if (d->i->code != X86_CODE_64)
		d->i->vex_v &= 7;
	r = find_row(d);
	if (!r)
		return X86_DECODE_INVALID;
	d->i->addrsize = addrsize[d->i->code][d->i->addrsize];
	return row(d, r);
}

enum x86_decode_result x86_decode(
	const uint8_t *p, size_t n, enum x86_code code, struct x86_insn *out)
{
	size_t max = n < X86_INSN_MAX ? n : X86_INSN_MAX;
	struct decoder d = { .start = p, .p = p, .end = p + max, .i = out };
	enum x86_decode_result result;

	*out = (struct x86_insn){
		.code = code, .base = X86_REG_NONE, .index = X86_REG_NONE, .seg = X86_DS
	};
	result = decode(&d);
	out->len = d.p - p;
	return result == X86_DECODE_MORE && n >= X86_INSN_MAX ? X86_DECODE_TOO_LONG : result;
}
