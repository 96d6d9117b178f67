// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_string - MOVS STOS LODS CMPS SCAS as host code.
 *
 * Alone they are an access or two. Repeated MOVS, STOS, CMPS and SCAS call a stub: as many units as lie
 * within a page of either operand go at once, by the host's own instruction, for which overlapping operands
 * are what they are for the guest's. After each such chunk the registers are as after that many
 * iterations, so whatever comes then (a fault, an interrupt) finds the state that the architecture wants.
 *
 * The status flags are in v->g.flags2 meanwhile, if somebody wants them; those of CMPS and SCAS come back in
 * the CPU.
 *
 * What the stubs leave to the interpreter: downwards, a unit over a page's end, pages that the TLB does not
 * get (code, devices). So each chunk is of pages that have the right tag at its beginning.
 */
#include "accel/soft/jit_tr.h"

#define JA  0x0f87u
#define JE  0x0f84u
#define JNE 0x0f85u

#define REPNE 0xf2

enum { MOVS, STOS, CMPS, SCAS };
static const struct string_kind {
	uint8_t opcode; /* of bytes */
	bool si, di;
	uint8_t di_access; /* enum soft_access */
	bool compares;
} kinds[] = {
	[MOVS] = { 0xa4, true, true, SOFT_WRITE, false },
	[STOS] = { 0xaa, false, true, SOFT_WRITE, false },
	[CMPS] = { 0xa6, true, true, SOFT_READ, true },
	[SCAS] = { 0xae, false, true, SOFT_READ, true },
};

/* -------- the stubs of the repeated ones -------- */
static const uint8_t *rx_of(const struct jit_buf *b)
{
	return b->p + b->to_rx;
}

static void push_pop(struct jit_buf *b, unsigned int op, unsigned int reg)
{
	if (reg & 8)
		jb(b, 0x41);
	jb(b, op + (reg & 7));
}
#define PUSH 0x50
#define POP  0x58

static const uint8_t kept[] = { R_10, R_DX, R_BX, R_BP };

static void put_kept(struct jit_buf *b)
{
	for (unsigned int i = sizeof(kept); i--;)
		push_pop(b, POP, kept[i]);
}

/* @to becomes how many bytes there are from @reg to its page's end. */
static void put_room(struct jit_buf *b, unsigned int to, unsigned int reg)
{
	j_rr(b, false, OP_LOAD, to, reg);
	j_rr(b, false, 0x81, 1, to); /* or */
	j32(b, ~(uint32_t)(JIT_PAGE - 1));
	j_rr(b, false, 0xf7, 3, to); /* neg */
}

/* edx becomes the chunk's units. Returns the jump that is taken if there are none. */
static uint8_t *put_units(
	struct jit_buf *b, const struct string_kind *kind, unsigned int log, bool wide)
{
	uint8_t *none = NULL;

	put_room(b, R_DX, R_DI);
	if (kind->si) {
		put_room(b, R_BX, R_SI);
		j_rr(b, false, 0x3b, R_BX, R_DX);   /* cmp */
		j_rr(b, false, 0x0f42, R_DX, R_BX); /* cmovb */
	}
	if (log) {
		j_rr(b, false, 0xc1, 5, R_DX); /* shr */
		jb(b, log);
		none = j_ahead(b, JE);
	}
	j_rr(b, wide, 0x3b, R_DX, R_CX);   /* cmp */
	j_rr(b, wide, 0x0f47, R_DX, R_CX); /* cmova */
	return none;
}

/* r9 becomes the host's address of guest register @reg. Returns the jump that is taken if that is not known. */
static uint8_t *put_look(struct jit_buf *b, unsigned int reg, bool wide, unsigned int access)
{
	uint8_t *ja;

	j_rr(b, wide, OP_LOAD, R_9, reg);
	j_rr(b, false, OP_LOAD, R_BX, R_9);
	j_rr(b, false, 0xc1, 5, R_BX); /* shr */
	jb(b, 12 - JIT_L1_SHIFT);
	j_rr(b, false, 0x81, 4, R_BX); /* and */
	j32(b, (JIT_L1_SIZE - 1) << JIT_L1_SHIFT);
	j_rm(b, true, 0x03, R_BX, R_SP, 8 * (1 + (int32_t)sizeof(kept)) + F_L1); /* add */
	j_rm(b, true, 0x33, R_9, R_BX, 8 * (int32_t)access);			 /* xor */
	JCODE(b, "\x49\x81\xf9");						 /* cmp r9, */
	j32(b, JIT_PAGE - 1);
	ja = j_ahead(b, JA);
	j_rm(b, true, 0x03, R_9, R_BX, (int32_t)offsetof(struct jit_l1, host));
	return ja;
}

static void put_instruction(struct jit_buf *b, unsigned int opcode, unsigned int log)
{
	if (log == 1)
		jb(b, 0x66);
	j_rex(b, log == 3, 0, 0, 0, false);
	jb(b, opcode | (log > 0));
}

/* The chunk of edx units: the host's addresses are in rbp and r9, the guest's are there meanwhile, rCX in
 * r10. What CMPS and SCAS do to the flags stays. */
static void put_chunk(struct jit_buf *b, const struct string_kind *kind, unsigned int rep,
	unsigned int log, bool wide)
{
	j_rr(b, wide, OP_LOAD, R_10, R_CX);
	j_rr(b, false, OP_LOAD, R_CX, R_DX);
	if (kind->si)
		j_rr(b, true, 0x87, R_SI, R_BP); /* xchg */
	j_rr(b, true, 0x87, R_DI, R_9);
	jb(b, rep);
	put_instruction(b, kind->opcode, log);
	if (kind->compares) {		      /* rdx -= rcx, but no flags change */
		j_rr(b, true, 0xf7, 2, R_CX); /* not */
		j_lea_index(b, true, R_DX, R_DX, R_CX, 0, 1);
	}
	if (kind->si)
		j_lea_index(b, wide, R_SI, R_BP, R_DX, log, 0);
	j_lea_index(b, wide, R_DI, R_9, R_DX, log, 0);
	j_rr(b, true, 0xf7, 2, R_DX);
	j_lea_index(b, wide, R_CX, R_10, R_DX, 0, 1);
}

/* The flags of a chunk that is not the last. */
static void put_flags2(struct jit_buf *b)
{
	j_mov(b, R_10, R_AX);
	JCODE(b, "\x9f\x0f\x90\xc0\x65\x66\x89\x04\x25"); /* lahf; seto al; mov gs:.., ax */
	j32(b, V_OFF(g.flags2));
	j_mov(b, R_AX, R_10);
}

/* Called with the site in r10, and rCX not 0. */
static const uint8_t *make_stub(struct jit_buf *b, const struct jit_stubs *s,
	const struct string_kind *kind, unsigned int rep, unsigned int log, bool wide)
{
	const uint8_t *start = rx_of(b), *again;
	uint8_t *miss[2], *unknown[2] = { NULL, NULL }, *done[2] = { NULL, NULL };

	for (unsigned int i = 0; i < sizeof(kept); i++)
		push_pop(b, PUSH, kept[i]);
	j_gs(b, false, 0xf7, 0, V_OFF(rflags)); /* test dword */
	j32(b, X86_FLAG_DF);
	miss[0] = j_ahead(b, JNE);
	again = rx_of(b);
	miss[1] = put_units(b, kind, log, wide);
	if (kind->si) {
		unknown[0] = put_look(b, R_SI, wide, SOFT_READ);
		j_mov(b, R_BP, R_9);
	}
	unknown[1] = put_look(b, R_DI, wide, kind->di_access);
	put_chunk(b, kind, rep, log, wide);
	if (kind->compares)
		done[0] = j_ahead8(b, rep == REPNE ? 0x74 : 0x75);
	done[1] = j_ahead8(b, 0xe3); /* jrcxz */
	if (kind->compares)
		put_flags2(b);
	j_gs_load(b, R_10, V_OFF(g.id_poll));
	j_rm(b, true, 0x3b, R_10, R_SP, 8 * (1 + (int32_t)sizeof(kept)) + F_ID); /* cmp */
	j_to(b, JE, again);
	/* Somebody wants the vCPU's attention, or the interpreter must do it. */
	j_here(b, miss[0]);
	if (miss[1])
		j_here(b, miss[1]);
	put_kept(b);
	j_lea(b, true, R_SP, R_SP, 8);
	j_to(b, 0xe9, s->miss);
	if (unknown[0])
		j_here(b, unknown[0]);
	j_here(b, unknown[1]);
	put_kept(b);
	j_lea(b, true, R_SP, R_SP, 8);
	j_to(b, 0xe9, s->string_slow);
	if (done[0])
		j_here8(b, done[0]);
	j_here8(b, done[1]);
	put_kept(b);
	jb(b, 0xc3);
	return start;
}

void jit_make_string_stubs(struct jit_buf *b, struct jit_stubs *s)
{
	for (unsigned int k = 0; k < JIT_STRINGS; k++)
		for (unsigned int ne = 0; ne < 2; ne++)
			for (unsigned int log = 0; log < 4; log++)
				for (unsigned int wide = 0; wide < 2; wide++)
					s->string[k][ne][log][wide] = make_stub(
						b, s, &kinds[k], ne ? REPNE : 0xf3, log, wide);
}

/* -------- what the TLB does not know -------- */
static bool known(const struct soft_vcpu *v, uint64_t lin, enum soft_access access)
{
	return v->l1[lin >> 12 & (JIT_L1_SIZE - 1)].tag[access] == (lin & ~0xfffull);
}

bool jit_string_fill(struct soft_vcpu *v, const struct jit_site *s)
{
	const struct string_kind *kind = &kinds[s->access & JIT_STRING_KIND];
	uint64_t mask = v->code == X86_CODE_64 ? UINT64_MAX : UINT32_MAX;
	uint64_t si = v->gpr[X86_RSI] & mask, di = v->gpr[X86_RDI] & mask;
	bool si_first = s->access & JIT_STRING_SI_FIRST;

	for (int n = 0; n < 2; n++) {
		if (!n == si_first ? !kind->si : !kind->di)
			continue;
		if (!(!n == si_first ? jit_l1_fill(v, si, s->size, SOFT_READ)
				     : jit_l1_fill(v, di, s->size, kind->di_access)))
			return false;
	}
	/* The one may have taken the other's place. */
	return (!kind->si || known(v, si, SOFT_READ)) && known(v, di, kind->di_access);
}

/* -------- translating -------- */
/* The unit's size. */
static unsigned int unit(const struct x86_insn *i)
{
	for (unsigned int n = 0; n < i->n_operands; n++)
		if (i->operand[n].kind == X86_OPND_MEM)
			return i->operand[n].size;
	return 0;
}

/* The source comes first where the interpreter has it so. */
static bool si_first(const struct x86_insn *i, unsigned int size)
{
	return i->op != X86_OP_CMPS || (i->rep == 0xf3 && size == 1);
}

static bool emit_repeated(struct jit_tr *t, unsigned int k, unsigned int kind, unsigned int size)
{
	const struct x86_insn *i = &t->insn[k];
	bool ne = kinds[kind].compares && i->rep == REPNE;
	struct jit_buf *b = &t->b;
	struct jit_slow *s;
	uint8_t *none, *over;

	if (t->live[k] && !t->flags_saved)
		jit_save_flags(t);
	s = &t->slow[t->n_slow++];
	*s = (struct jit_slow){ .insn = (uint8_t)k,
		.size = (uint8_t)size,
		.how = JIT_STRING,
		.access = (uint8_t)(kind | (si_first(i, size) ? JIT_STRING_SI_FIRST : 0)),
		.flags_saved = t->flags_saved || kinds[kind].compares,
		.have = t->have };
	if (!t->wide)
		jb(b, 0x67);
	none = j_ahead8(b, 0xe3); /* jecxz, jrcxz */
	s->retry = b->p;
	JCODE(b, "\x4c\x8d\x15"); /* lea r10, [rip + ..] */
	s->ja = b->p;
	j32(b, 0);
	jit_call_stub(t, t->j->stub.string[kind][ne][__builtin_ctz(size)][t->wide]);
	if (kinds[kind].compares && t->live[k]) { /* nothing done leaves the flags alone */
		over = j_ahead8(b, 0xeb);
		j_here8(b, none);
		jit_restore_flags(t);
		none = over;
	}
	if (kinds[kind].compares)
		t->flags_saved = false;
	j_here8(b, none);
	return true;
}

static void need_upwards(struct jit_tr *t, unsigned int k)
{
	if (t->live[k] && !t->flags_saved)
		jit_save_flags(t);
	j_gs(&t->b, false, 0xf7, 0, V_OFF(rflags)); /* test dword */
	j32(&t->b, X86_FLAG_DF);
	jit_miss(t, k, JNE);
}

/* r9 becomes the host's address of what @reg points to. */
static void operand(struct jit_tr *t, unsigned int k, unsigned int reg, unsigned int size,
	enum soft_access access)
{
	j_rr(&t->b, t->wide, OP_LOAD, R_9, reg);
	jit_access(t, k, size, access);
}

/* @op, of bytes, of @size bytes between @reg, which is rAX or r10, and [r9]. */
static void put_op(struct jit_tr *t, unsigned int op, unsigned int reg, unsigned int size)
{
	if (size == 2)
		jb(&t->b, 0x66);
	j_rm(&t->b, size == 8, op | (size > 1), reg, R_9, 0);
}

static void forward(struct jit_tr *t, unsigned int reg, unsigned int size)
{
	j_lea(&t->b, t->wide, reg, reg, (int32_t)size);
}

static void emit_cmps(struct jit_tr *t, unsigned int k, unsigned int size)
{
	operand(t, k, R_DI, size, SOFT_READ);
	put_op(t, 0x8a, R_10, size);
	j_gs_store(&t->b, R_10, V_OFF(g.goal));
	operand(t, k, R_SI, size, SOFT_READ);
	j_gs_load(&t->b, R_10, V_OFF(g.goal));
	jit_flags_before(t, k);
	put_op(t, 0x38, R_10, size);
}

static void emit_movs(struct jit_tr *t, unsigned int k, unsigned int size)
{
	operand(t, k, R_SI, size, SOFT_READ);
	put_op(t, 0x8a, R_10, size);
	j_gs_store(&t->b, R_10, V_OFF(g.goal));
	operand(t, k, R_DI, size, SOFT_WRITE);
	j_gs_load(&t->b, R_10, V_OFF(g.goal));
	put_op(t, 0x88, R_10, size);
}

static void emit_alone(struct jit_tr *t, unsigned int k, unsigned int size)
{
	enum x86_op op = t->insn[k].op;

	need_upwards(t, k);
	switch (op) {
	case X86_OP_MOVS:
		emit_movs(t, k, size);
		break;
	case X86_OP_CMPS:
		emit_cmps(t, k, size);
		break;
	case X86_OP_STOS:
		operand(t, k, R_DI, size, SOFT_WRITE);
		put_op(t, 0x88, R_AX, size);
		break;
	case X86_OP_SCAS:
		operand(t, k, R_DI, size, SOFT_READ);
		jit_flags_before(t, k);
		put_op(t, 0x3a, R_AX, size);
		break;
	default:
		operand(t, k, R_SI, size, SOFT_READ);
		put_op(t, 0x8a, R_AX, size);
	}
	if (op == X86_OP_MOVS || op == X86_OP_CMPS || op == X86_OP_LODS)
		forward(t, R_SI, size);
	if (op != X86_OP_LODS)
		forward(t, R_DI, size);
}

bool jit_emit_string(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	unsigned int size = unit(i);
	bool uses_si = i->op != X86_OP_STOS && i->op != X86_OP_SCAS;

	if (!size || i->addrsize != (t->wide ? 8 : 4) ||
		(uses_si && (i->seg >= X86_FS || (i->seg == X86_CS && !t->wide))))
		return false;
	if (!i->rep) {
		emit_alone(t, k, size);
		return true;
	}
	switch (i->op) {
	case X86_OP_MOVS:
		return emit_repeated(t, k, MOVS, size);
	case X86_OP_STOS:
		return emit_repeated(t, k, STOS, size);
	case X86_OP_CMPS:
		return emit_repeated(t, k, CMPS, size);
	case X86_OP_SCAS:
		return emit_repeated(t, k, SCAS, size);
	default:
		return false;
	}
}
