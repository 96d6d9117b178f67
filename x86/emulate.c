/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "x86/emulate_int.h"

typedef enum x86_emulate_result emulate_fn(struct x86_emulate *e);

/* -------- memory -------- */
enum x86_emulate_result x86_emulate_raise(struct x86_emulate *e, uint8_t vector)
{
	e->fault.vector = vector;
	e->fault.has_error = vector == X86_EXC_GP || vector == X86_EXC_SS;
	e->fault.error = 0;
	return X86_EMULATE_FAULT;
}

static bool canonical(const struct x86_emulate *e, uint64_t a)
{
	unsigned int shift = 64 - e->linear_bits;

	return (uint64_t)((int64_t)(a << shift) >> shift) == a;
}

/* Type and limit, outside of 64-bit mode (SDM, Limit Checking, Type Checking). */
static bool segment_allows(const struct x86_emulate *e, const struct x86_segment *s, uint64_t off,
	unsigned int n, bool write)
{
	uint32_t type = e->real_mode ? 2 : X86_ATTR_TYPE(s->attr), top;
	bool code = type & 8;

	if (s->attr & X86_ATTR_UNUSABLE && !e->real_mode)
		return false;
	/* Bit 1: data can be written, code can be read. */
	if (write ? code || !(type & 2) : code && !(type & 2))
		return false;
	if (code || !(type & 4))
		return off <= s->limit && n - 1 <= s->limit - off;
	/* expand-down: all above the limit */
	top = s->attr & X86_ATTR_DB ? 0xffffffff : 0xffff;
	return off > s->limit && off <= top && n - 1 <= top - off;
}

enum x86_emulate_result x86_emulate_linear(struct x86_emulate *e, enum x86_seg seg, uint64_t off,
	unsigned int n, bool write, uint64_t *linear)
{
	const struct x86_segment *s = &e->seg[seg];
	bool ok;

	if (e->insn->code == X86_CODE_64) {
		*linear = seg >= X86_FS ? off + s->base : off;
		ok = canonical(e, *linear) && canonical(e, *linear + n - 1);
	} else {
		*linear = (uint32_t)(off + s->base);
		ok = segment_allows(e, s, off, n, write);
	}
	if (!ok)
		return x86_emulate_raise(e, seg == X86_SS ? X86_EXC_SS : X86_EXC_GP);
	return X86_EMULATE_DONE;
}

enum x86_emulate_result x86_emulate_load(
	struct x86_emulate *e, enum x86_seg seg, uint64_t off, unsigned int size, uint64_t *value)
{
	uint64_t linear, v = 0; /* little-endian, as the host is */

	EMULATE_TRY(x86_emulate_linear(e, seg, off, size, false, &linear));
	EMULATE_TRY(e->ops->read(e, linear, &v, size));
	*value = v;
	return X86_EMULATE_DONE;
}

enum x86_emulate_result x86_emulate_store(
	struct x86_emulate *e, enum x86_seg seg, uint64_t off, unsigned int size, uint64_t value)
{
	uint64_t linear;

	EMULATE_TRY(x86_emulate_linear(e, seg, off, size, true, &linear));
	return e->ops->write(e, linear, &value, size);
}

/* -------- operands -------- */
void x86_emulate_set_gpr(uint64_t *gpr, unsigned int reg, unsigned int size, uint64_t value)
{
	uint64_t *r = &gpr[reg & 15];

	if (size == 8)
		*r = value;
	else if (size == 4)
		*r = (uint32_t)value;
	else if (size == 2)
		*r = (*r & ~0xffffull) | (uint16_t)value;
	else
		*r = (*r & ~0xffull) | (uint8_t)value;
}

static uint64_t address_part(const struct x86_emulate *e, unsigned int reg)
{
	if (reg < 16)
		return e->gpr[reg];
	return reg == X86_REG_RIP ? e->rip + e->insn->len : 0;
}

static uint64_t ea(const struct x86_emulate *e)
{
	const struct x86_insn *i = e->insn;
	uint64_t a = address_part(e, i->base) + (address_part(e, i->index) << i->scale);

	return x86_zext(i->addrsize, a + (uint64_t)i->disp);
}

static enum x86_emulate_result get(
	struct x86_emulate *e, const struct x86_operand *p, unsigned int size, uint64_t *value)
{
	switch (p->kind) {
	case X86_OPND_GPR:
		*value = x86_zext(size, e->gpr[p->reg & 15]);
		return X86_EMULATE_DONE;
	case X86_OPND_GPR_H:
		*value = (uint8_t)(e->gpr[p->reg & 3] >> 8);
		return X86_EMULATE_DONE;
	case X86_OPND_MEM:
		return x86_emulate_load(e, e->insn->seg, ea(e), size, value);
	case X86_OPND_IMM:
		*value = e->insn->imm;
		return X86_EMULATE_DONE;
	case X86_OPND_ONE:
		*value = 1;
		return X86_EMULATE_DONE;
	default:
		return X86_EMULATE_UNHANDLED;
	}
}

static enum x86_emulate_result put(
	struct x86_emulate *e, const struct x86_operand *p, unsigned int size, uint64_t value)
{
	uint64_t *r;

	switch (p->kind) {
	case X86_OPND_GPR:
		x86_emulate_set_gpr(e->gpr, p->reg, size, value);
		return X86_EMULATE_DONE;
	case X86_OPND_GPR_H:
		r = &e->gpr[p->reg & 3];
		*r = (*r & ~0xff00ull) | (uint64_t)(uint8_t)value << 8;
		return X86_EMULATE_DONE;
	case X86_OPND_MEM:
		return x86_emulate_store(e, e->insn->seg, ea(e), size, value);
	default:
		return X86_EMULATE_UNHANDLED;
	}
}

#define DST(e)	(&(e)->insn->operand[0])
#define SRC(e)	(&(e)->insn->operand[1])
#define SIZE(e) ((e)->insn->operand[0].size)

/* -------- moves -------- */
static enum x86_emulate_result mov(struct x86_emulate *e)
{
	uint64_t a;

	EMULATE_TRY(get(e, SRC(e), SIZE(e), &a));
	return put(e, DST(e), SIZE(e), a);
}

static enum x86_emulate_result movx(struct x86_emulate *e)
{
	unsigned int size = e->insn->op == X86_OP_MOVSXD ? 4 : SRC(e)->size;
	uint64_t a;

	EMULATE_TRY(get(e, SRC(e), size, &a));
	return put(e, DST(e), SIZE(e), e->insn->op == X86_OP_MOVZX ? a : x86_sext(size, a));
}

static enum x86_emulate_result movbe(struct x86_emulate *e)
{
	unsigned int size = e->insn->opsize;
	uint64_t a;

	EMULATE_TRY(get(e, SRC(e), size, &a));
	return put(e, DST(e), size, __builtin_bswap64(a) >> (64 - 8 * size));
}

static enum x86_emulate_result setcc(struct x86_emulate *e)
{
	return put(e, DST(e), 1, x86_cond(e->insn->opcode & 0xf, e->rflags));
}

static enum x86_emulate_result cmovcc(struct x86_emulate *e)
{
	uint64_t a;

	EMULATE_TRY(get(e, SRC(e), SIZE(e), &a));
	if (!x86_cond(e->insn->opcode & 0xf, e->rflags))
		EMULATE_TRY(get(e, DST(e), SIZE(e), &a));
	return put(e, DST(e), SIZE(e), a);
}

/* -------- arithmetic -------- */
static x86_alu_fn *const alu_fns[] = {
	[X86_OP_ADD] = x86_alu_add,
	[X86_OP_OR] = x86_alu_or,
	[X86_OP_ADC] = x86_alu_adc,
	[X86_OP_SBB] = x86_alu_sbb,
	[X86_OP_AND] = x86_alu_and,
	[X86_OP_SUB] = x86_alu_sub,
	[X86_OP_XOR] = x86_alu_xor,
	[X86_OP_CMP] = x86_alu_cmp,
	[X86_OP_TEST] = x86_alu_test,
	[X86_OP_INC] = x86_alu_inc,
	[X86_OP_DEC] = x86_alu_dec,
	[X86_OP_NEG] = x86_alu_neg,
	[X86_OP_NOT] = x86_alu_not,
	[X86_OP_ROL] = x86_alu_rol,
	[X86_OP_ROR] = x86_alu_ror,
	[X86_OP_RCL] = x86_alu_rcl,
	[X86_OP_RCR] = x86_alu_rcr,
	[X86_OP_SHL] = x86_alu_shl,
	[X86_OP_SHR] = x86_alu_shr,
	[X86_OP_SAR] = x86_alu_sar,
	[X86_OP_BT] = x86_alu_bt,
	[X86_OP_BTS] = x86_alu_bts,
	[X86_OP_BTR] = x86_alu_btr,
	[X86_OP_BTC] = x86_alu_btc,
};

/* One or two operands, of which the first becomes the result. */
static enum x86_emulate_result arithmetic(struct x86_emulate *e)
{
	const struct x86_insn *i = e->insn;
	uint64_t a, b = 0, fl = e->rflags;

	if (i->n_operands > 1)
		EMULATE_TRY(get(e, SRC(e), SRC(e)->size == 1 ? 1 : SIZE(e), &b));
	EMULATE_TRY(get(e, DST(e), SIZE(e), &a));
	a = alu_fns[i->op](SIZE(e), a, b, &fl);
	if (DST(e)->access & X86_ACC_W)
		EMULATE_TRY(put(e, DST(e), SIZE(e), a));
	e->rflags = fl;
	return X86_EMULATE_DONE;
}

/* BT and its relatives: out of a register the bit's number may lead beyond the operand. */
static enum x86_emulate_result bit(struct x86_emulate *e)
{
	const struct x86_insn *i = e->insn;
	unsigned int size = SIZE(e);
	uint64_t a, b, off, fl = e->rflags;

	if (DST(e)->kind != X86_OPND_MEM || SRC(e)->kind == X86_OPND_IMM)
		return arithmetic(e);
	EMULATE_TRY(get(e, SRC(e), size, &b));
	b = x86_sext(size, b);
	off = (uint64_t)((int64_t)b >> (size == 8 ? 6 : size == 4 ? 5 : 4)) * size;
	off = x86_zext(i->addrsize, ea(e) + off);
	EMULATE_TRY(x86_emulate_load(e, i->seg, off, size, &a));
	a = alu_fns[i->op](size, a, b, &fl);
	if (i->op != X86_OP_BT)
		EMULATE_TRY(x86_emulate_store(e, i->seg, off, size, a));
	e->rflags = fl;
	return X86_EMULATE_DONE;
}

/* -------- exchanges: memory, if any, is written before registers change -------- */
static enum x86_emulate_result xchg(struct x86_emulate *e)
{
	const struct x86_operand *m = DST(e), *r = SRC(e);
	uint64_t a, b;

	EMULATE_TRY(get(e, m, SIZE(e), &a));
	EMULATE_TRY(get(e, r, SIZE(e), &b));
	EMULATE_TRY(put(e, m, SIZE(e), b));
	return put(e, r, SIZE(e), a);
}

static enum x86_emulate_result xadd(struct x86_emulate *e)
{
	const struct x86_operand *m = DST(e), *r = SRC(e);
	uint64_t a, b, sum, fl = e->rflags;

	EMULATE_TRY(get(e, m, SIZE(e), &a));
	EMULATE_TRY(get(e, r, SIZE(e), &b));
	sum = x86_alu_add(SIZE(e), a, b, &fl);
	if (m->kind == X86_OPND_MEM)
		EMULATE_TRY(put(e, m, SIZE(e), sum));
	EMULATE_TRY(put(e, r, SIZE(e), a));
	if (m->kind != X86_OPND_MEM)
		EMULATE_TRY(put(e, m, SIZE(e), sum));
	e->rflags = fl;
	return X86_EMULATE_DONE;
}

static enum x86_emulate_result cmpxchg(struct x86_emulate *e)
{
	uint64_t old, src, fl = e->rflags;

	if (DST(e)->kind != X86_OPND_MEM)
		return X86_EMULATE_UNHANDLED;
	EMULATE_TRY(get(e, DST(e), SIZE(e), &old));
	EMULATE_TRY(get(e, SRC(e), SIZE(e), &src));
	x86_alu_cmp(SIZE(e), e->gpr[X86_RAX], old, &fl);
	EMULATE_TRY(put(e, DST(e), SIZE(e), fl & X86_FLAG_ZF ? src : old));
	if (!(fl & X86_FLAG_ZF))
		x86_emulate_set_gpr(e->gpr, X86_RAX, SIZE(e), old);
	e->rflags = fl;
	return X86_EMULATE_DONE;
}

/* -------- stack -------- */
static enum x86_emulate_result push(struct x86_emulate *e)
{
	unsigned int size = e->insn->opsize;
	uint64_t a, sp = x86_zext(e->stack_size, e->gpr[X86_RSP] - size);

	EMULATE_TRY(get(e, DST(e), size, &a));
	EMULATE_TRY(x86_emulate_store(e, X86_SS, sp, size, a));
	x86_emulate_set_gpr(e->gpr, X86_RSP, e->stack_size, sp);
	return X86_EMULATE_DONE;
}

/* The destination's address is computed with rSP as it is after, and rSP itself may be it. */
static enum x86_emulate_result pop(struct x86_emulate *e)
{
	unsigned int size = e->insn->opsize;
	uint64_t a, old = e->gpr[X86_RSP];
	enum x86_emulate_result r;

	EMULATE_TRY(x86_emulate_load(e, X86_SS, x86_zext(e->stack_size, old), size, &a));
	x86_emulate_set_gpr(e->gpr, X86_RSP, e->stack_size, old + size);
	r = put(e, DST(e), size, a);
	if (r != X86_EMULATE_DONE)
		e->gpr[X86_RSP] = old;
	return r;
}

/* -------- ports -------- */
static enum x86_emulate_result in(struct x86_emulate *e)
{
	uint64_t port, a = 0;

	EMULATE_TRY(get(e, SRC(e), SRC(e)->size, &port));
	EMULATE_TRY(e->ops->port_in(e, (uint16_t)port, &a, SIZE(e), 1));
	return put(e, DST(e), SIZE(e), a);
}

static enum x86_emulate_result out(struct x86_emulate *e)
{
	uint64_t port, a;

	EMULATE_TRY(get(e, DST(e), SIZE(e), &port));
	EMULATE_TRY(get(e, SRC(e), SRC(e)->size, &a));
	return e->ops->port_out(e, (uint16_t)port, &a, SRC(e)->size, 1);
}

/* -------- vectors -------- */
/* Whole loads and stores between memory and a vector register. A load clears what is above it: up to
 * bit 127, with VEX to the end. */
static enum x86_emulate_result vector(struct x86_emulate *e)
{
	const struct x86_insn *i = e->insn;
	const struct x86_operand *m = DST(e)->kind == X86_OPND_MEM ? DST(e) : SRC(e);
	const struct x86_operand *r = m == DST(e) ? SRC(e) : DST(e);
	uint8_t value[32], loaded[32] = { 0 };
	uint64_t linear;
	bool write = m == DST(e);

	if (m->kind != X86_OPND_MEM || r->kind != X86_OPND_VEC || i->n_operands != 2 ||
		!e->ops->vec_get || !m->size || m->size > sizeof(value))
		return X86_EMULATE_UNHANDLED;
	EMULATE_TRY(x86_emulate_linear(e, i->seg, ea(e), m->size, write, &linear));
	if (i->flags & X86_I_ALIGN && linear & (m->size - 1))
		return x86_emulate_raise(e, X86_EXC_GP);
	if (write) {
		e->ops->vec_get(e, r->reg & 15, value);
		return e->ops->write(e, linear, value, m->size);
	}
	EMULATE_TRY(e->ops->read(e, linear, loaded, m->size));
	e->ops->vec_get(e, r->reg & 15, value);
	memcpy(value, loaded, i->vex ? 32 : 16);
	e->ops->vec_set(e, r->reg & 15, value);
	return X86_EMULATE_DONE;
}

static emulate_fn *const fns[X86_OP_COUNT] = {
	[X86_OP_ADD... X86_OP_NOT] = arithmetic,
	[X86_OP_ROL... X86_OP_SAR] = arithmetic,
	[X86_OP_BT... X86_OP_BTC] = bit,
	[X86_OP_XADD] = xadd,
	[X86_OP_CMPXCHG] = cmpxchg,
	[X86_OP_XCHG] = xchg,
	[X86_OP_MOV] = mov,
	[X86_OP_MOVNTI] = mov,
	[X86_OP_MOVZX... X86_OP_MOVSXD] = movx,
	[X86_OP_MOVBE] = movbe,
	[X86_OP_PUSH] = push,
	[X86_OP_POP] = pop,
	[X86_OP_SETCC] = setcc,
	[X86_OP_CMOVCC] = cmovcc,
	[X86_OP_IN] = in,
	[X86_OP_OUT] = out,
	[X86_OP_MOVS... X86_OP_OUTS] = x86_emulate_string,
	[X86_OP_MOVUPS] = vector,
	[X86_OP_MOVUPD] = vector,
	[X86_OP_MOVSS] = vector,
	[X86_OP_MOVSD] = vector,
	[X86_OP_MOVAPS] = vector,
	[X86_OP_MOVAPD] = vector,
	[X86_OP_MOVDQA] = vector,
	[X86_OP_MOVDQU] = vector,
	[X86_OP_MOVD] = vector,
	[X86_OP_MOVQ] = vector,
	[X86_OP_MOVNTPS] = vector,
	[X86_OP_MOVNTPD] = vector,
	[X86_OP_MOVNTDQ] = vector,
	[X86_OP_MOVNTDQA] = vector,
	[X86_OP_LDDQU] = vector,
};

enum x86_emulate_result x86_emulate(struct x86_emulate *e)
{
	const struct x86_insn *i = e->insn;

	if (i->op >= X86_OP_COUNT || !fns[i->op])
		return X86_EMULATE_UNHANDLED;
	EMULATE_TRY(fns[i->op](e));
	e->rip += i->len;
	if (i->code != X86_CODE_64)
		e->rip = (uint32_t)e->rip;
	return X86_EMULATE_DONE;
}
