// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * int_atomic - instructions with LOCK, XCHG, XADD and CMPXCHG*.
 *
 * LOCK is kept with one vCPU too: guests use locked instructions as fences against devices, whose
 * threads run beside the vCPU's.
 */
#include "accel/soft/int.h"

/* ADD to NOT on memory, with LOCK. */
INT_INLINE void locked(
	struct soft_vcpu *v, const struct soft_op *o, unsigned int size, x86_alu_fn *fn)
{
	const struct x86_insn *i = &o->i;
	const struct x86_operand *s = &i->operand[1];
	uint64_t b = int_is_reg(s) ? int_get(v, s, size) : i->imm;

	int_rmw_locked(v, i->seg, soft_ea(v, i), size, fn, b);
}

#define LOCKED(name, size)                                                             \
	static void lock_##name##_##size(struct soft_vcpu *v, const struct soft_op *o) \
	{                                                                              \
		locked(v, o, size, x86_alu_##name);                                    \
	}
INT_SIZES(LOCKED, add)
INT_SIZES(LOCKED, or)
INT_SIZES(LOCKED, adc)
INT_SIZES(LOCKED, sbb)
INT_SIZES(LOCKED, and)
INT_SIZES(LOCKED, sub)
INT_SIZES(LOCKED, xor)
INT_SIZES(LOCKED, inc)
INT_SIZES(LOCKED, dec)
INT_SIZES(LOCKED, neg)
INT_SIZES(LOCKED, not )

#define LOCKED_AT(name, size) lock_##name##_##size,
#define LOCKED_ROW(name)                   \
	{                                  \
		INT_SIZES(LOCKED_AT, name) \
	}
static soft_fn *const lockeds[X86_OP_NOT + 1][4] = {
	[X86_OP_ADD] = LOCKED_ROW(add),
	[X86_OP_OR] = LOCKED_ROW(or),
	[X86_OP_ADC] = LOCKED_ROW(adc),
	[X86_OP_SBB] = LOCKED_ROW(sbb),
	[X86_OP_AND] = LOCKED_ROW(and),
	[X86_OP_SUB] = LOCKED_ROW(sub),
	[X86_OP_XOR] = LOCKED_ROW(xor),
	[X86_OP_INC] = LOCKED_ROW(inc),
	[X86_OP_DEC] = LOCKED_ROW(dec),
	[X86_OP_NEG] = LOCKED_ROW(neg),
	[X86_OP_NOT] = LOCKED_ROW(not ),
};

/* -------- XCHG -------- */
INT_INLINE void xchg_reg(struct soft_vcpu *v, const struct soft_op *o, unsigned int size)
{
	const struct x86_operand *p = o->i.operand;
	uint64_t a = int_get(v, &p[0], size), b = int_get(v, &p[1], size);

	int_set(v, &p[0], size, b);
	int_set(v, &p[1], size, a);
}

static uint64_t host_xchg(void *p, unsigned int size, uint64_t value)
{
#define XCHG_ASM(s, m) \
	asm volatile("xchg" s " " m "[a], (%[p])" : [a] "+r"(value) : [p] "r"(p) : "memory")
	switch (size) {
	case 1:
		XCHG_ASM("b", "%b");
		break;
	case 2:
		XCHG_ASM("w", "%w");
		break;
	case 4:
		XCHG_ASM("l", "%k");
		break;
	default:
		XCHG_ASM("q", "%q");
	}
#undef XCHG_ASM
	return value;
}

INT_INLINE void xchg_mem(struct soft_vcpu *v, const struct soft_op *o, unsigned int size)
{
	const struct x86_insn *i = &o->i;
	const struct x86_operand *r = &i->operand[i->operand[0].kind == X86_OPND_MEM];
	uint64_t ea = soft_ea(v, i), old, value = int_get(v, r, size);
	void *p = soft_rmw_begin(v, i->seg, ea, size);

	if (__builtin_expect(p != NULL, 1)) {
		old = host_xchg(p, size, value);
		soft_rmw_end(v, i->seg, ea, size);
	} else {
		soft_exclusive_begin(v);
		old = soft_rmw_load(v, i->seg, ea, size);
		soft_store(v, i->seg, ea, size, value);
		soft_exclusive_end(v);
	}
	int_set(v, r, size, old);
}

/* -------- XADD -------- */
INT_INLINE void xadd_reg(struct soft_vcpu *v, const struct soft_op *o, unsigned int size)
{
	const struct x86_operand *p = o->i.operand;
	uint64_t a = int_get(v, &p[0], size), b = int_get(v, &p[1], size);

	int_set(v, &p[1], size, a);
	int_set(v, &p[0], size, x86_alu_add(size, a, b, &v->rflags));
}

INT_INLINE void xadd_mem(struct soft_vcpu *v, const struct soft_op *o, unsigned int size)
{
	const struct x86_insn *i = &o->i;
	uint64_t ea = soft_ea(v, i), old, b = int_get(v, &i->operand[1], size);

	old = i->lock ? int_rmw_locked(v, i->seg, ea, size, x86_alu_add, b)
		      : int_rmw(v, i->seg, ea, size, false, x86_alu_add, b);
	int_set(v, &i->operand[1], size, old);
}

/* -------- CMPXCHG -------- */
/* Whole registers, as the CPU leaves them: which upper halves are cleared is its choice. */
INT_INLINE void cmpxchg_reg(struct soft_vcpu *v, const struct soft_op *o, unsigned int size)
{
	const struct x86_operand *p = o->i.operand;
	uint64_t a, src = int_get(v, &p[1], size);

	if (size == 1) {
		a = int_get(v, &p[0], 1);
		x86_alu_cmp(1, v->gpr[X86_RAX], a, &v->rflags);
		if (v->rflags & X86_FLAG_ZF)
			int_set(v, &p[0], 1, src);
		else
			int_set_gpr(v, X86_RAX, 1, a);
		return;
	}
	x86_alu_cmp(size, v->gpr[X86_RAX], v->gpr[p[0].reg], &v->rflags);
	a = v->gpr[p[0].reg];
#define CMPXCHG_ASM(s, m)                            \
	asm("cmpxchg" s " " m "[src], " m "[a]"      \
		: [a] "+r"(a), "+a"(v->gpr[X86_RAX]) \
		: [src] "r"(src)                     \
		: "cc")
	if (p[0].reg == X86_RAX) { /* equal: the same register is compared and set */
		int_set_gpr(v, X86_RAX, size, src);
		return;
	}
	if (size == 2)
		CMPXCHG_ASM("w", "%w");
	else if (size == 4)
		CMPXCHG_ASM("l", "%k");
	else
		CMPXCHG_ASM("q", "%q");
#undef CMPXCHG_ASM
	v->gpr[p[0].reg] = a;
}

/* Memory is written in any case. */
INT_INLINE void cmpxchg_plain(struct soft_vcpu *v, const struct soft_op *o, unsigned int size)
{
	const struct x86_insn *i = &o->i;
	uint64_t ea = soft_ea(v, i), src = int_get(v, &i->operand[1], size), old, fl = v->rflags;

	old = soft_rmw_load(v, i->seg, ea, size);
	x86_alu_cmp(size, v->gpr[X86_RAX], old, &fl);
	soft_store(v, i->seg, ea, size, fl & X86_FLAG_ZF ? src : old);
	if (!(fl & X86_FLAG_ZF))
		int_set_gpr(v, X86_RAX, size, old);
	v->rflags = fl;
}

INT_INLINE void cmpxchg_mem(struct soft_vcpu *v, const struct soft_op *o, unsigned int size)
{
	const struct x86_insn *i = &o->i;
	uint64_t ea = soft_ea(v, i), rax = v->gpr[X86_RAX];
	void *p = soft_rmw_begin(v, i->seg, ea, size);

	if (__builtin_expect(!p, 0)) {
		if (!i->lock) {
			cmpxchg_plain(v, o, size);
			return;
		}
		soft_exclusive_begin(v);
		cmpxchg_plain(v, o, size);
		soft_exclusive_end(v);
		return;
	}
	int_cas(p, size, &rax, int_get(v, &i->operand[1], size));
	x86_alu_cmp(size, v->gpr[X86_RAX], rax, &v->rflags);
	v->gpr[X86_RAX] = rax;
	soft_rmw_end(v, i->seg, ea, size);
}

#define SWAPS(name, size)                                                         \
	static void name##_r_##size(struct soft_vcpu *v, const struct soft_op *o) \
	{                                                                         \
		name##_reg(v, o, size);                                           \
	}                                                                         \
	static void name##_m_##size(struct soft_vcpu *v, const struct soft_op *o) \
	{                                                                         \
		name##_mem(v, o, size);                                           \
	}
INT_SIZES(SWAPS, xchg)
INT_SIZES(SWAPS, xadd)
INT_SIZES(SWAPS, cmpxchg)

#define SWAPS_R(name, size) name##_r_##size,
#define SWAPS_M(name, size) name##_m_##size,
#define SWAPS_ROW(name)                          \
	{                                        \
		{ INT_SIZES(SWAPS_R, name) },    \
		{                                \
			INT_SIZES(SWAPS_M, name) \
		}                                \
	}
static soft_fn *const swaps[][2][4] = {
	/* [op][mem][size] */
	[X86_OP_XADD - X86_OP_XADD] = SWAPS_ROW(xadd),
	[X86_OP_CMPXCHG - X86_OP_XADD] = SWAPS_ROW(cmpxchg),
	[X86_OP_XCHG - X86_OP_XADD] = SWAPS_ROW(xchg),
};

/* -------- CMPXCHG8B, CMPXCHG16B -------- */
static void set_zf(struct soft_vcpu *v, bool zf)
{
	v->rflags = (v->rflags & ~(uint64_t)X86_FLAG_ZF) | (zf ? X86_FLAG_ZF : 0);
}

/* Parts @lo and @hi of @size bytes each are in memory, @same tells if they were what was expected. */
static void pair_done(struct soft_vcpu *v, unsigned int size, bool same, uint64_t lo, uint64_t hi)
{
	set_zf(v, same);
	if (!same) {
		int_set_gpr(v, X86_RAX, size, lo);
		int_set_gpr(v, X86_RDX, size, hi);
	}
}

/* Through registers, or over the end of a page. */
static void pair_slow(struct soft_vcpu *v, const struct x86_insn *i, uint64_t ea, unsigned int size)
{
	uint64_t lo, hi;
	bool same;

	soft_exclusive_begin(v);
	soft_probe(v, i->seg, ea, 2 * size, SOFT_WRITE, v->mmu_index);
	lo = soft_rmw_load(v, i->seg, ea, 8);
	hi = size == 4 ? lo >> 32 : soft_rmw_load(v, i->seg, ea + 8, 8);
	lo = x86_zext(size, lo);
	same = lo == x86_zext(size, v->gpr[X86_RAX]) && hi == x86_zext(size, v->gpr[X86_RDX]);
	if (size == 4) {
		uint64_t value = v->gpr[X86_RCX] << 32 | (uint32_t)v->gpr[X86_RBX];

		soft_store(v, i->seg, ea, 8, same ? value : hi << 32 | lo);
	} else {
		soft_store(v, i->seg, ea, 8, same ? v->gpr[X86_RBX] : lo);
		soft_store(v, i->seg, ea + 8, 8, same ? v->gpr[X86_RCX] : hi);
	}
	soft_exclusive_end(v);
	pair_done(v, size, same, lo, hi);
}

static void cmpxchg8b(struct soft_vcpu *v, const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	uint64_t ea = soft_ea(v, i), a = v->gpr[X86_RAX], d = v->gpr[X86_RDX];
	void *p = soft_rmw_begin(v, i->seg, ea, 8);
	bool same;

	if (!p) {
		pair_slow(v, i, ea, 4);
		return;
	}
	asm volatile("lock cmpxchg8b (%[p])"
		     : "=@ccz"(same), "+a"(a), "+d"(d)
		     : [p] "r"(p), "b"(v->gpr[X86_RBX]), "c"(v->gpr[X86_RCX])
		     : "memory");
	soft_rmw_end(v, i->seg, ea, 8);
	pair_done(v, 4, same, a, d);
}

static void cmpxchg16b(struct soft_vcpu *v, const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	uint64_t ea = soft_ea(v, i), a = v->gpr[X86_RAX], d = v->gpr[X86_RDX];
	bool same;
	void *p;

	if (soft_linear(v, i->seg, ea, 16, SOFT_WRITE) & 15)
		soft_gp(v, 0);
	p = soft_rmw_begin(v, i->seg, ea, 16);
	if (!p) {
		pair_slow(v, i, ea, 8);
		return;
	}
	asm volatile("lock cmpxchg16b (%[p])"
		     : "=@ccz"(same), "+a"(a), "+d"(d)
		     : [p] "r"(p), "b"(v->gpr[X86_RBX]), "c"(v->gpr[X86_RCX])
		     : "memory");
	soft_rmw_end(v, i->seg, ea, 16);
	pair_done(v, 8, same, a, d);
}

soft_fn *int_atomic_fn(const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	unsigned int at = INT_SIZE_AT(i->operand[0].size);
	bool mem = i->operand[0].kind == X86_OPND_MEM || i->operand[1].kind == X86_OPND_MEM;

	if (i->op <= X86_OP_NOT)
		return lockeds[i->op][at];
	if (i->op >= X86_OP_BT && i->op <= X86_OP_BTC)
		return int_bit_fn(o);
	switch (i->op) {
	case X86_OP_XADD:
	case X86_OP_CMPXCHG:
	case X86_OP_XCHG:
		return swaps[i->op - X86_OP_XADD][mem][at];
	case X86_OP_CMPXCHG8B:
		return cmpxchg8b;
	case X86_OP_CMPXCHG16B:
		return cmpxchg16b;
	default:
		return NULL;
	}
}
