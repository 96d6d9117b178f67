// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * int_string - MOVS CMPS STOS LODS SCAS INS OUTS, alone and repeated.
 *
 * A repeated one is done in chunks: as many units as lie in one page (of both operands) and in RAM go
 * at once, through host addresses; else one unit goes through soft_load and soft_store. After each
 * chunk the registers are as after that many iterations, so a fault in the next leaves the state that
 * the architecture wants. One call does a bounded amount, then lets the run loop have a look and come
 * back: rIP then stays at the instruction.
 */
#include "accel/soft/int.h"

/* Bytes or, off RAM, units of one call. */
#define BUDGET	     16384
#define BUDGET_UNITS 64
#define PAGE	     4096
/* Fewer units are not worth looking for spans. */
#define MIN_UNITS    3

struct string {
	const struct x86_insn *i;
	unsigned int size, addrsize;
	bool down;
	bool fast;	 /* units may go in chunks */
	bool chunk;	 /* out: the last step was one */
	uint64_t left;	 /* units to do, at least 1 */
	uint64_t mask;	 /* of addresses */
	uint64_t si, di; /* of the next unit */
	uint16_t port;
};

/* One chunk of at most s->left units: does it and tells how many. */
typedef uint64_t step_fn(struct soft_vcpu *v, struct string *s);

/* How many of the next units from @off on can be reached at *@host; 0: none. */
static uint64_t span(struct soft_vcpu *v, const struct string *s, enum x86_seg seg, uint64_t off,
	enum soft_access access, void **host)
{
	uint64_t n = soft_span(v, seg, off, s->size, s->down, access, host) / s->size;
	uint64_t last = s->mask - off; /* bytes behind the first before the address wraps */

	if (s->down)
		return MIN(n, off / s->size + 1);
	if (last < PAGE)
		n = MIN(n, (last + 1) / s->size);
	return n;
}

/* @n units, all in one page. */
static void stored(struct soft_vcpu *v, const struct string *s, uint64_t n)
{
	uint64_t first = s->down ? s->di - (n - 1) * s->size : s->di;

	soft_stored(v, soft_linear(v, X86_ES, first, s->size, SOFT_WRITE),
		(unsigned int)(n * s->size), v->mmu_index);
}

/* -------- MOVS -------- */
/* Unit by unit as the CPU does: what overlaps is repeated. @step: bytes from one to the next. */
static void copy_units(uint8_t *d, const uint8_t *s, uint64_t n, unsigned int size, int64_t step)
{
	for (; n; n--, d += step, s += step)
		soft_host_store(d, size, soft_host_load(s, size));
}

static void copy(uint8_t *d, const uint8_t *s, uint64_t n, unsigned int size, bool down)
{
	uint64_t bytes = n * size, behind = down ? (uint64_t)(s - d) : (uint64_t)(d - s);

	if (behind - 1 < bytes - 1) {
		copy_units(d, s, n, size, down ? -(int64_t)size : size);
		return;
	}
	if (down) {
		d -= bytes - size;
		s -= bytes - size;
	}
	memmove(d, s, bytes);
}

static uint64_t movs_step(struct soft_vcpu *v, struct string *s)
{
	void *src, *dst;
	uint64_t n = 0, k;

	if (s->fast && (n = span(v, s, s->i->seg, s->si, SOFT_READ, &src)) > 1 &&
		(k = span(v, s, X86_ES, s->di, SOFT_WRITE, &dst)) > 1) {
		n = MIN(MIN(n, k), s->left);
		copy(dst, src, n, s->size, s->down);
		stored(v, s, n);
		s->chunk = true;
		return n;
	}
	soft_store(v, X86_ES, s->di, s->size, soft_load(v, s->i->seg, s->si, s->size));
	return 1;
}

/* -------- STOS -------- */
static void fill(uint8_t *d, uint64_t n, unsigned int size, uint64_t value)
{
	if (x86_zext(size, value) == x86_zext(size, (uint8_t)value * 0x0101010101010101ull)) {
		memset(d, (uint8_t)value, n * size);
		return;
	}
	for (; n; n--, d += size)
		soft_host_store(d, size, value);
}

static uint64_t stos_step(struct soft_vcpu *v, struct string *s)
{
	void *dst;
	uint64_t n = 0;

	if (s->fast && (n = span(v, s, X86_ES, s->di, SOFT_WRITE, &dst)) > 1) {
		n = MIN(n, s->left);
		fill((uint8_t *)dst - (s->down ? (n - 1) * s->size : 0), n, s->size,
			v->gpr[X86_RAX]);
		stored(v, s, n);
		s->chunk = true;
		return n;
	}
	soft_store(v, X86_ES, s->di, s->size, v->gpr[X86_RAX]);
	return 1;
}

/* -------- LODS -------- */
static uint64_t lods_step(struct soft_vcpu *v, struct string *s)
{
	int_set_gpr(v, X86_RAX, s->size, soft_load(v, s->i->seg, s->si, s->size));
	return 1;
}

/* -------- CMPS, SCAS -------- */
/* Compare two values; flags; false when the repetition ends here. */
static bool compare(struct soft_vcpu *v, const struct string *s, uint64_t a, uint64_t b)
{
	x86_alu_cmp(s->size, a, b, &v->rflags);
	return !(v->rflags & X86_FLAG_ZF) == (s->i->rep == 0xf2);
}

static uint64_t word(const uint8_t *p)
{
	return soft_host_load(p, 8);
}

/* Units of @a and @b, @n of them upwards, that are equal for sure; never the last. */
static uint64_t equal_units(const uint8_t *a, const uint8_t *b, uint64_t n, unsigned int size)
{
	uint64_t bytes = (n - 1) * size, at = 0;

	while (at + 8 <= bytes && word(a + at) == word(b + at))
		at += 8;
	return at / size;
}

/* The fault seen when there are two is that of AMD's CPUs: the destination's, but the source's in
 * REPE CMPSB. */
static bool cmps_unit(struct soft_vcpu *v, const struct string *s)
{
	uint64_t a = 0, b;

	if (s->i->rep == 0xf3 && s->size == 1)
		a = soft_load(v, s->i->seg, s->si, 1);
	b = soft_load(v, X86_ES, s->di, s->size);
	if (s->i->rep != 0xf3 || s->size != 1)
		a = soft_load(v, s->i->seg, s->si, s->size);
	return compare(v, s, a, b);
}

static uint64_t cmps_step(struct soft_vcpu *v, struct string *s)
{
	const int64_t step = s->down ? -(int64_t)s->size : s->size;
	void *src, *dst;
	uint64_t n = 0, k = 0;

	/* soft_span() may raise: not for the wrong one. */
	if (s->fast && s->i->rep == 0xf3 && s->size == 1) {
		if ((n = span(v, s, s->i->seg, s->si, SOFT_READ, &src)) > 1)
			k = span(v, s, X86_ES, s->di, SOFT_READ, &dst);
	} else if (s->fast && (n = span(v, s, X86_ES, s->di, SOFT_READ, &dst)) > 1) {
		k = span(v, s, s->i->seg, s->si, SOFT_READ, &src);
	}
	if (k < 2) {
		if (!cmps_unit(v, s))
			s->left = 1;
		return 1;
	}
	s->chunk = true;
	n = MIN(MIN(n, k), s->left);
	k = s->i->rep == 0xf3 && !s->down ? equal_units(src, dst, n, s->size) : 0;
	while (k < n) {
		const uint8_t *x = (uint8_t *)src + (int64_t)k * step;
		const uint8_t *y = (uint8_t *)dst + (int64_t)k * step;

		k++;
		if (!compare(v, s, soft_host_load(x, s->size), soft_host_load(y, s->size))) {
			s->left = k;
			break;
		}
	}
	return k;
}

/* Bytes before the first @value of @n, at most all but one. */
static uint64_t bytes_before(const uint8_t *p, uint8_t value, uint64_t n)
{
	const uint8_t *found = memchr(p, value, n - 1);

	return found ? (uint64_t)(found - p) : n - 1;
}

static uint64_t scas_step(struct soft_vcpu *v, struct string *s)
{
	const int64_t step = s->down ? -(int64_t)s->size : s->size;
	void *dst;
	uint64_t n = 0, k = 0, rax = v->gpr[X86_RAX];

	if (s->fast)
		n = span(v, s, X86_ES, s->di, SOFT_READ, &dst);
	if (n < 2) {
		if (!compare(v, s, rax, soft_load(v, X86_ES, s->di, s->size)))
			s->left = 1;
		return 1;
	}
	s->chunk = true;
	n = MIN(n, s->left);
	if (s->i->rep == 0xf2 && s->size == 1 && !s->down)
		k = bytes_before(dst, (uint8_t)rax, n);
	while (k < n) {
		const uint8_t *p = (uint8_t *)dst + (int64_t)k * step;

		k++;
		if (!compare(v, s, rax, soft_host_load(p, s->size))) {
			s->left = k;
			break;
		}
	}
	return k;
}

/* -------- INS, OUTS -------- */
static uint64_t ins_step(struct soft_vcpu *v, struct string *s)
{
	uint64_t value = 0;

	soft_probe(v, X86_ES, s->di, s->size, SOFT_WRITE, v->mmu_index);
	soft_port(v, s->port, &value, s->size, false);
	soft_store(v, X86_ES, s->di, s->size, value);
	return 1;
}

static uint64_t outs_step(struct soft_vcpu *v, struct string *s)
{
	uint64_t value = soft_load(v, s->i->seg, s->si, s->size);

	soft_port(v, s->port, &value, s->size, true);
	return 1;
}

/* -------- the loop -------- */
#define USES_SI 1
#define USES_DI 2

static const struct {
	step_fn *step;
	unsigned int uses;
} strings[] = {
	[X86_OP_MOVS - X86_OP_MOVS] = { movs_step, USES_SI | USES_DI },
	[X86_OP_CMPS - X86_OP_MOVS] = { cmps_step, USES_SI | USES_DI },
	[X86_OP_STOS - X86_OP_MOVS] = { stos_step, USES_DI },
	[X86_OP_LODS - X86_OP_MOVS] = { lods_step, USES_SI },
	[X86_OP_SCAS - X86_OP_MOVS] = { scas_step, USES_DI },
	[X86_OP_INS - X86_OP_MOVS] = { ins_step, USES_DI },
	[X86_OP_OUTS - X86_OP_MOVS] = { outs_step, USES_SI },
};

/* Size of a unit: of the memory operand. */
static unsigned int unit(const struct x86_insn *i)
{
	for (unsigned int n = 0; n < i->n_operands; n++)
		if (i->operand[n].kind == X86_OPND_MEM)
			return i->operand[n].size;
	return 1;
}

static void string_init(struct soft_vcpu *v, struct string *s, const struct x86_insn *i)
{
	s->i = i;
	s->size = unit(i);
	s->addrsize = i->addrsize;
	s->mask = x86_zext(i->addrsize, UINT64_MAX);
	s->down = v->rflags & X86_FLAG_DF;
	s->si = v->gpr[X86_RSI] & s->mask;
	s->di = v->gpr[X86_RDI] & s->mask;
	s->fast = false;
	s->left = 1;
	if (i->op == X86_OP_INS || i->op == X86_OP_OUTS) {
		s->port = (uint16_t)v->gpr[X86_RDX];
		s->size = MIN(s->size, 4);
		soft_check_io(v, s->port, s->size);
	}
}

/* Registers after @n units. */
static void advance(struct soft_vcpu *v, struct string *s, unsigned int uses, uint64_t n)
{
	uint64_t bytes = s->down ? -(n * s->size) : n * s->size;

	if (uses & USES_SI) {
		s->si = (s->si + bytes) & s->mask;
		int_set_gpr(v, X86_RSI, s->addrsize, s->si);
	}
	if (uses & USES_DI) {
		s->di = (s->di + bytes) & s->mask;
		int_set_gpr(v, X86_RDI, s->addrsize, s->di);
	}
}

INT_INLINE void once(struct soft_vcpu *v, const struct soft_op *o, step_fn *step, unsigned int uses)
{
	struct string s;

	string_init(v, &s, &o->i);
	step(v, &s);
	advance(v, &s, uses, 1);
}

/* Should the run loop have a look between two units? */
INT_INLINE bool interrupted(struct soft_vcpu *v)
{
	return v->stop || v->pending_dr6 || v->debug_hits ||
	       atomic_load_explicit(&v->poll, memory_order_relaxed) != 0;
}

/* Every unit is an instruction of its own for the single-step trap. */
static void repeat(struct soft_vcpu *v, const struct soft_op *o)
{
	step_fn *step = strings[o->i.op - X86_OP_MOVS].step;
	unsigned int uses = strings[o->i.op - X86_OP_MOVS].uses;
	bool single = v->rflags & X86_FLAG_TF || v->debug.step;
	int64_t budget = BUDGET;
	struct string s;
	uint64_t n;

	string_init(v, &s, &o->i); /* whether the port may be used is asked even if none is */
	n = x86_zext(o->i.addrsize, v->gpr[X86_RCX]);
	if (!n)
		return;
	s.left = n;
	for (;;) {
		uint64_t count = s.left;

		s.fast = !single && s.left >= MIN_UNITS;
		s.chunk = false;
		n = step(v, &s);
		advance(v, &s, uses, n);
		int_set_gpr(v, X86_RCX, s.addrsize, count - n);
		s.left -= n; /* 0 when a comparison has ended it, too */
		if (!s.left)
			return;
		budget -= s.chunk ? (int64_t)(n * s.size) : BUDGET / BUDGET_UNITS;
		if (single || budget <= 0 || interrupted(v) || v->vm->lockstep)
			break;
	}
	v->gpr[X86_REG_RIP] = v->rip;
	v->stop = true; /* the next instruction of the block is not the next to run */
}

static void movs(struct soft_vcpu *v, const struct soft_op *o)
{
	once(v, o, movs_step, USES_SI | USES_DI);
}

static void cmps(struct soft_vcpu *v, const struct soft_op *o)
{
	once(v, o, cmps_step, USES_SI | USES_DI);
}

static void stos(struct soft_vcpu *v, const struct soft_op *o)
{
	once(v, o, stos_step, USES_DI);
}

static void lods(struct soft_vcpu *v, const struct soft_op *o)
{
	once(v, o, lods_step, USES_SI);
}

static void scas(struct soft_vcpu *v, const struct soft_op *o)
{
	once(v, o, scas_step, USES_DI);
}

static void ins(struct soft_vcpu *v, const struct soft_op *o)
{
	once(v, o, ins_step, USES_DI);
}

static void outs(struct soft_vcpu *v, const struct soft_op *o)
{
	once(v, o, outs_step, USES_SI);
}

soft_fn *int_string_fn(const struct soft_op *o)
{
	static soft_fn *const fns[] = {
		[X86_OP_MOVS - X86_OP_MOVS] = movs,
		[X86_OP_CMPS - X86_OP_MOVS] = cmps,
		[X86_OP_STOS - X86_OP_MOVS] = stos,
		[X86_OP_LODS - X86_OP_MOVS] = lods,
		[X86_OP_SCAS - X86_OP_MOVS] = scas,
		[X86_OP_INS - X86_OP_MOVS] = ins,
		[X86_OP_OUTS - X86_OP_MOVS] = outs,
	};

	return o->i.rep ? repeat : fns[o->i.op - X86_OP_MOVS];
}
