// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_res - guest registers that generated code has in the host's while it uses them.
 *
 * Vector registers: from the first instruction that needs them until C code is called. Who needs them
 * calls what v->g.ensure[JIT_VEC] points to: nothing, or what loads them (and MXCSR, unless it has
 * unmasked exceptions: then generated code has no instructions that look at it). Before C code is called they
 * go back to v->fpu; when it returns into the middle of a block, which counts on them, they are loaded
 * again.
 *
 * x87 and MMX registers: they stay where they are (fpu.h) also while C code runs. Who needs them calls
 * v->g.ensure[JIT_X87]. Only an instruction that has no translation takes them back to v->fpu, so
 * nobody counts on them after one.
 */
#include "accel/soft/jit.h"
#include "accel/soft/native_int.h"

#define YMM(n) (V_OFF(fpu.ymm) + 32 * (int32_t)(n))

/* VMOVUPS (MOVUPS without AVX) and the like: register @reg and gs:[off]. @l: 256 bits. */
static void vec_gs(
	struct jit_buf *b, bool avx, bool l, unsigned int op, unsigned int reg, int32_t off)
{
	jb(b, 0x65);
	if (avx) {
		unsigned int vvvv = op == 0x56 ? reg : 0; /* VORPS to the same register */

		jb(b, 0xc5);
		jb(b, (reg & 8 ? 0 : 0x80) | (~vvvv & 15) << 3 | l << 2);
	} else {
		j_rex(b, false, reg, 0, 0, false);
		jb(b, 0x0f);
	}
	jb(b, op);
	jb(b, 0x04 | (reg & 7) << 3);
	jb(b, 0x25);
	j32(b, (uint32_t)off);
}

static void all_vec(struct jit_buf *b, bool avx, bool l, unsigned int op)
{
	for (unsigned int n = 0; n < 16; n++)
		vec_gs(b, avx, l, op, n, YMM(n));
}

/* lea rax, [rip + what leads to @rx]; mov gs:[ensure], rax */
static void set_ensure(struct jit_buf *b, enum jit_res r, const void *rx)
{
	JCODE(b, "\x48\x8d\x05");
	j32(b, (uint32_t)((const uint8_t *)rx - (b->p + b->to_rx + 4)));
	j_gs_store(b, R_AX, V_OFF(g.ensure) + 8 * r);
}

/* Where the upper halves are all zero they are not loaded: on some CPUs SSE instructions take longer
 * while they are in use. */
static void load_ymm(struct jit_buf *b)
{
	uint8_t *low, *over;

	for (unsigned int n = 0; n < 16; n++)
		vec_gs(b, true, false, n < 2 ? 0x10 : 0x56, n & 1, YMM(n) + 16);
	JCODE(b, "\xc5\xf8\x56\xc1"	  /* vorps xmm0, xmm0, xmm1 */
		 "\xc4\xe2\x79\x17\xc0"); /* vptest xmm0, xmm0 */
	low = j_ahead(b, 0x0f84);
	all_vec(b, true, true, 0x10);
	over = j_ahead(b, 0xe9);
	j_here(b, low);
	all_vec(b, true, false, 0x10);
	j_here(b, over);
}

static void load_mxcsr(struct jit_buf *b)
{
	uint8_t *there, *unmasked;

	j_gs_byte(b, 7, V_OFF(fpu.mx_resident), 0);
	there = j_ahead8(b, 0x75);
	j_gs(b, false, OP_LOAD, R_AX, V_OFF(fpu.mxcsr));
	JCODE(b, "\xf7\xd0\xa9"); /* not eax; test eax, */
	j32(b, NATIVE_MXCSR_MASKS);
	unmasked = j_ahead8(b, 0x75);
	j_gs(b, false, 0x0fae, 2, V_OFF(fpu.mxcsr)); /* ldmxcsr */
	j_gs_byte(b, 0, V_OFF(fpu.mx_resident), 1);
	j_here8(b, there);
	j_here8(b, unmasked);
}

/* rax and the flags are kept in between; returns. */
static void begin_keeping(struct jit_buf *b)
{
	j_gs_store(b, R_AX, V_OFF(g.save));
	JCODE(b, "\x9f\x0f\x90\xc0\x50"); /* lahf; seto al; push rax */
}

static void end_keeping(struct jit_buf *b)
{
	JCODE(b, "\x58\x04\x7f\x9e"); /* pop rax; add al, 0x7f; sahf */
	j_gs_load(b, R_AX, V_OFF(g.save));
	jb(b, 0xc3);
}

/* What native_fpu_load() does; vector registers are lost. */
static const uint8_t *make_x87_load(struct jit_buf *b)
{
	const uint8_t *start = b->p + b->to_rx;

	j_gs(b, false, 0x0fae, 3, V_OFF(fpu.fx) + XS_MXCSR); /* stmxcsr */
	j_gs(b, true, 0x0fae, 1, V_OFF(fpu.fx));	     /* fxrstor64 */
	j_gs_byte(b, 0, V_OFF(fpu.resident), 1);
	jb(b, 0xc3);
	return start;
}

static void make_x87_stub(struct jit_buf *b, struct jit_stubs *s)
{
	const uint8_t *load = make_x87_load(b);
	uint8_t *none, *over;

	s->ensure_x87 = b->p + b->to_rx;
	begin_keeping(b);
	j_gs_byte(b, 7, V_OFF(g.vec), 0);
	none = j_ahead8(b, 0x74);
	j_to(b, 0xe8, s->vec_store);
	j_to(b, 0xe8, load);
	j_to(b, 0xe8, s->vec_load);
	over = j_ahead8(b, 0xeb);
	j_here8(b, none);
	j_to(b, 0xe8, load);
	j_here8(b, over);
	set_ensure(b, JIT_X87, s->ensured);
	end_keeping(b);
}

void jit_make_res_stubs(struct jit_buf *b, struct jit_stubs *s)
{
	bool avx = soft_host_has_avx();

	s->ensured = b->p + b->to_rx;
	jb(b, 0xc3);
	s->vec_load = b->p + b->to_rx;
	if (avx)
		load_ymm(b);
	else
		all_vec(b, false, false, 0x10);
	load_mxcsr(b);
	j_gs_byte(b, 0, V_OFF(g.vec), 1);
	set_ensure(b, JIT_VEC, s->ensured);
	jb(b, 0xc3);
	s->ensure_vec = b->p + b->to_rx;
	begin_keeping(b);
	j_to(b, 0xe8, s->vec_load);
	end_keeping(b);
	s->vec_store = b->p + b->to_rx;
	all_vec(b, avx, avx, 0x11);
	if (avx)
		JCODE(b, "\xc5\xf8\x77"); /* vzeroupper: for SSE in C code */
	j_gs_byte(b, 0, V_OFF(g.vec), 0);
	j_gs_byte(b, 0, V_OFF(g.vec_was), 1);
	set_ensure(b, JIT_VEC, s->ensure_vec);
	jb(b, 0xc3);
	make_x87_stub(b, s);
}

void jit_res_init(struct soft_vcpu *v)
{
	const struct jit_stubs *s = &v->jit->stub;

	v->g.vec = v->g.vec_was = false;
	v->g.ensure[JIT_VEC] = s->ensure_vec;
	v->g.x87_to[0] = s->ensure_x87;
	v->g.x87_to[1] = s->ensured;
}
