/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * emulate_string - MOVS CMPS STOS LODS SCAS INS OUTS. Unit by unit, except that INS and OUTS hand
 * their device several units at once where they are neighbours in a page.
 */
#include "x86/emulate_int.h"

#define BATCH 64 /* bytes of port data at once */
#define PAGE  4096

struct string {
	unsigned int size, addrsize;
	bool down, ends; /* ends: a comparison that ends the repetition */
	uint64_t si, di;
	uint64_t left; /* units, at least 1 */
	uint64_t most; /* units the next step may do */
	uint64_t done; /* units of the last step */
};

typedef enum x86_emulate_result string_step(struct x86_emulate *e, struct string *s);

static enum x86_emulate_result movs(struct x86_emulate *e, struct string *s)
{
	uint64_t a;

	EMULATE_TRY(x86_emulate_load(e, e->insn->seg, s->si, s->size, &a));
	return x86_emulate_store(e, X86_ES, s->di, s->size, a);
}

static enum x86_emulate_result stos(struct x86_emulate *e, struct string *s)
{
	return x86_emulate_store(e, X86_ES, s->di, s->size, e->gpr[X86_RAX]);
}

static enum x86_emulate_result lods(struct x86_emulate *e, struct string *s)
{
	uint64_t a;

	EMULATE_TRY(x86_emulate_load(e, e->insn->seg, s->si, s->size, &a));
	x86_emulate_set_gpr(e->gpr, X86_RAX, s->size, a);
	return X86_EMULATE_DONE;
}

static void compare(struct x86_emulate *e, struct string *s, uint64_t a, uint64_t b)
{
	x86_alu_cmp(s->size, a, b, &e->rflags);
	s->ends = !(e->rflags & X86_FLAG_ZF) == (e->insn->rep == 0xf3);
}

static enum x86_emulate_result cmps(struct x86_emulate *e, struct string *s)
{
	uint64_t a, b;

	EMULATE_TRY(x86_emulate_load(e, e->insn->seg, s->si, s->size, &a));
	EMULATE_TRY(x86_emulate_load(e, X86_ES, s->di, s->size, &b));
	compare(e, s, a, b);
	return X86_EMULATE_DONE;
}

static enum x86_emulate_result scas(struct x86_emulate *e, struct string *s)
{
	uint64_t b;

	EMULATE_TRY(x86_emulate_load(e, X86_ES, s->di, s->size, &b));
	compare(e, s, e->gpr[X86_RAX], b);
	return X86_EMULATE_DONE;
}

/* How many units from @off on go to the port at once, and the linear address of the first. Several
 * only upwards, in one page, and where the address does not wrap and the segment has them all. */
static enum x86_emulate_result neighbours(struct x86_emulate *e, struct string *s, enum x86_seg seg,
	uint64_t off, bool write, uint64_t *linear)
{
	uint64_t n = s->left < s->most ? s->left : s->most, room;

	s->done = 1;
	EMULATE_TRY(x86_emulate_linear(e, seg, off, s->size, write, linear));
	if (s->down)
		return X86_EMULATE_DONE;
	if (n > BATCH / s->size)
		n = BATCH / s->size;
	room = PAGE - (*linear & (PAGE - 1));
	if (n > room / s->size)
		n = room / s->size;
	room = x86_zext(s->addrsize, ~0ull) - off; /* bytes behind the first */
	if (room < BATCH || n < 2)
		return X86_EMULATE_DONE;
	if (x86_emulate_linear(e, seg, off, (unsigned int)n * s->size, write, linear) ==
		X86_EMULATE_DONE)
		s->done = n;
	return X86_EMULATE_DONE;
}

static enum x86_emulate_result ins(struct x86_emulate *e, struct string *s)
{
	uint8_t data[BATCH];
	unsigned int bytes;
	uint64_t linear;

	EMULATE_TRY(neighbours(e, s, X86_ES, s->di, true, &linear));
	bytes = (unsigned int)s->done * s->size;
	EMULATE_TRY(e->ops->check_write(e, linear, bytes));
	EMULATE_TRY(e->ops->port_in(
		e, (uint16_t)e->gpr[X86_RDX], data, s->size, (unsigned int)s->done));
	return e->ops->write(e, linear, data, bytes);
}

static enum x86_emulate_result outs(struct x86_emulate *e, struct string *s)
{
	uint8_t data[BATCH];
	uint64_t linear;

	EMULATE_TRY(neighbours(e, s, e->insn->seg, s->si, false, &linear));
	EMULATE_TRY(e->ops->read(e, linear, data, (unsigned int)s->done * s->size));
	return e->ops->port_out(e, (uint16_t)e->gpr[X86_RDX], data, s->size, (unsigned int)s->done);
}

#define USES_SI 1
#define USES_DI 2

static string_step *const steps[] = {
	[X86_OP_MOVS - X86_OP_MOVS] = movs,
	[X86_OP_CMPS - X86_OP_MOVS] = cmps,
	[X86_OP_STOS - X86_OP_MOVS] = stos,
	[X86_OP_LODS - X86_OP_MOVS] = lods,
	[X86_OP_SCAS - X86_OP_MOVS] = scas,
	[X86_OP_INS - X86_OP_MOVS] = ins,
	[X86_OP_OUTS - X86_OP_MOVS] = outs,
};

static const uint8_t uses[] = {
	[X86_OP_MOVS - X86_OP_MOVS] = USES_SI | USES_DI,
	[X86_OP_CMPS - X86_OP_MOVS] = USES_SI | USES_DI,
	[X86_OP_STOS - X86_OP_MOVS] = USES_DI,
	[X86_OP_LODS - X86_OP_MOVS] = USES_SI,
	[X86_OP_SCAS - X86_OP_MOVS] = USES_DI,
	[X86_OP_INS - X86_OP_MOVS] = USES_DI,
	[X86_OP_OUTS - X86_OP_MOVS] = USES_SI,
};

/* Size of a unit: of the memory operand. */
static unsigned int unit(const struct x86_insn *i)
{
	for (unsigned int n = 0; n < i->n_operands; n++)
		if (i->operand[n].kind == X86_OPND_MEM)
			return i->operand[n].size;
	return 1;
}

/* Registers after the last step. */
static void advance(struct x86_emulate *e, struct string *s)
{
	uint64_t bytes = s->done * s->size;
	unsigned int u = uses[e->insn->op - X86_OP_MOVS];

	e->progress += s->done;
	if (s->down)
		bytes = -bytes;
	if (u & USES_SI) {
		s->si = x86_zext(s->addrsize, s->si + bytes);
		x86_emulate_set_gpr(e->gpr, X86_RSI, s->addrsize, s->si);
	}
	if (u & USES_DI) {
		s->di = x86_zext(s->addrsize, s->di + bytes);
		x86_emulate_set_gpr(e->gpr, X86_RDI, s->addrsize, s->di);
	}
	if (e->insn->rep) {
		s->left -= s->done;
		x86_emulate_set_gpr(e->gpr, X86_RCX, s->addrsize, s->left);
	}
}

enum x86_emulate_result x86_emulate_string(struct x86_emulate *e)
{
	const struct x86_insn *i = e->insn;
	string_step *step = steps[i->op - X86_OP_MOVS];
	struct string s = {
		.size = unit(i),
		.addrsize = i->addrsize,
		.down = e->rflags & X86_FLAG_DF,
		.si = x86_zext(i->addrsize, e->gpr[X86_RSI]),
		.di = x86_zext(i->addrsize, e->gpr[X86_RDI]),
		.left = i->rep ? x86_zext(i->addrsize, e->gpr[X86_RCX]) : 1,
		.most = e->max_units ? e->max_units : 1,
		.done = 1,
	};

	if ((i->op == X86_OP_INS || i->op == X86_OP_OUTS) && s.size > 4)
		s.size = 4;
	while (s.left) {
		EMULATE_TRY(step(e, &s));
		advance(e, &s);
		if (!i->rep || s.ends)
			break;
		s.most -= s.done;
		if (s.left && !s.most)
			return X86_EMULATE_AGAIN;
	}
	return X86_EMULATE_DONE;
}
