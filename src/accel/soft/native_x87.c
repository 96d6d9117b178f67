// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * native_x87 - the x87's environment (FNSTENV, FLDENV, FNSAVE, FRSTOR) in its four formats, FNINIT and
 * FWAIT. The rest of the x87 runs in stubs.
 */
#include <string.h>
#include "accel/soft/mmu.h"
#include "accel/soft/native_int.h"

/* As FNSTENV and FNSAVE lay it out: 7 words or 7 double words, then FNSAVE's registers. */
#define ENV_MAX	 28
#define SAVE_MAX (ENV_MAX + 80)

/* Two bits a register, by number and not by place in the stack. */
enum { TAG_VALID, TAG_ZERO, TAG_SPECIAL, TAG_EMPTY };

static const uint8_t *st_at(const struct soft_fpu *f, unsigned int i)
{
	return f->fx + 32 + 16 * i;
}

static unsigned int top_of(const struct soft_fpu *f)
{
	return native_get16(f->fx + 2) >> 11 & 7;
}

/* The image's registers are by their place in the stack: with the top they move. */
static void set_fsw(struct soft_fpu *f, uint16_t fsw)
{
	unsigned int by = (fsw >> 11) - top_of(f);
	uint8_t st[8][16];

	for (unsigned int i = 0; i < 8; i++)
		memcpy(st[i], st_at(f, (i + by) & 7), 16);
	memcpy(f->fx + 32, st, sizeof(st));
	native_put16(f->fx + 2, fsw);
}

static unsigned int tag_of(const uint8_t *st)
{
	uint64_t mantissa = native_get64(st);
	unsigned int exponent = native_get16(st + 8) & 0x7fff;

	if (exponent == 0x7fff)
		return TAG_SPECIAL;
	if (!exponent)
		return mantissa ? TAG_SPECIAL : TAG_ZERO;
	return mantissa >> 63 ? TAG_VALID : TAG_SPECIAL;
}

static uint16_t full_tags(const struct soft_fpu *f)
{
	unsigned int top = top_of(f), tags = 0;

	for (unsigned int r = 0; r < 8; r++) {
		unsigned int tag = TAG_EMPTY;

		if (f->fx[4] >> r & 1)
			tag = tag_of(st_at(f, (r - top) & 7));
		tags |= tag << 2 * r;
	}
	return tags;
}

static uint8_t short_tags(uint16_t tags)
{
	unsigned int out = 0;

	for (unsigned int r = 0; r < 8; r++)
		if ((tags >> 2 * r & 3) != TAG_EMPTY)
			out |= 1u << r;
	return out;
}

/* -------- environment -------- */
static bool real_format(const struct soft_vcpu *v)
{
	return soft_real_mode(v) || soft_vm86(v);
}

/* Word @n of the environment. */
static void put_word(uint8_t *env, bool wide, unsigned int n, uint32_t x)
{
	if (wide)
		native_put32(env + 4 * n, x);
	else
		native_put16(env + 2 * n, x);
}

static uint32_t get_word(const uint8_t *env, bool wide, unsigned int n)
{
	return wide ? native_get32(env + 4 * n) : native_get16(env + 2 * n);
}

/* Pointers as linear addresses: bits 16 and up lie above FOP's place. */
static void put_real_pointers(const struct soft_fpu *f, uint8_t *env, bool wide)
{
	uint32_t ip = f->fip + ((uint32_t)f->fcs << 4), dp = f->fdp + ((uint32_t)f->fds << 4);

	put_word(env, wide, 3, ip & 0xffff);
	put_word(env, wide, 4, (ip >> 16) << 12 | f->fop);
	put_word(env, wide, 5, dp & 0xffff);
	put_word(env, wide, 6, (dp >> 16) << 12);
}

static void put_protected_pointers(const struct soft_fpu *f, uint8_t *env, bool wide)
{
	put_word(env, wide, 3, f->fip);
	put_word(env, wide, 4, wide ? f->fcs | (uint32_t)f->fop << 16 : f->fcs);
	put_word(env, wide, 5, f->fdp);
	put_word(env, wide, 6, wide ? f->fds | 0xffff0000u : f->fds);
}

static void put_env(const struct soft_vcpu *v, uint8_t *env, bool wide)
{
	const struct soft_fpu *f = &v->fpu;
	uint32_t high = 0xffff0000u; /* unused halves, as CPUs fill them */

	put_word(env, wide, 0, native_get16(f->fx) | high);
	put_word(env, wide, 1, native_get16(f->fx + 2) | high);
	put_word(env, wide, 2, full_tags(f) | high);
	if (real_format(v))
		put_real_pointers(f, env, wide);
	else
		put_protected_pointers(f, env, wide);
}

static void get_env(struct soft_vcpu *v, const uint8_t *env, bool wide)
{
	struct soft_fpu *f = &v->fpu;
	uint16_t fcw = (get_word(env, wide, 0) & 0x1f7f) | 0x40;
	uint32_t w4 = get_word(env, wide, 4), w6 = get_word(env, wide, 6);

	native_put16(f->fx, fcw);
	set_fsw(f, native_fsw(get_word(env, wide, 1), fcw));
	f->fx[4] = short_tags(get_word(env, wide, 2));
	f->fip = get_word(env, wide, 3);
	f->fdp = get_word(env, wide, 5);
	if (real_format(v)) {
		f->fip = (f->fip & 0xffff) | (w4 >> 12 & 0xffff) << 16;
		f->fdp = (f->fdp & 0xffff) | (w6 >> 12 & 0xffff) << 16;
		f->fop = w4 & 0x7ff;
		f->fcs = f->fds = 0;
	} else {
		f->fcs = w4;
		f->fds = w6;
		f->fop = wide ? w4 >> 16 & 0x7ff : 0;
	}
}

/* -------- instructions -------- */
static void begin(struct soft_vcpu *v)
{
	native_check_x87(v);
	soft_fpu_sync(v);
}

static void init(struct soft_fpu *f)
{
	native_put16(f->fx, 0x37f);
	set_fsw(f, 0);
	f->fx[4] = 0; /* all empty; what is in them stays */
	f->fip = f->fdp = 0;
	f->fcs = f->fds = f->fop = 0;
}

static bool wide_env(const struct soft_op *o)
{
	return o->i.opsize != 2;
}

/* Memory operand: words or double words. */
static uint64_t env_ea(
	struct soft_vcpu *v, const struct soft_op *o, unsigned int n, enum soft_access access)
{
	uint64_t ea = soft_ea(v, &o->i);

	native_check_alignment(v, soft_linear(v, o->i.seg, ea, n, access), wide_env(o) ? 4 : 2);
	return ea;
}

static void fnstenv(struct soft_vcpu *v, const struct soft_op *o)
{
	unsigned int n = wide_env(o) ? 28 : 14;
	uint8_t env[ENV_MAX];
	uint16_t fcw;

	begin(v);
	put_env(v, env, wide_env(o));
	soft_store_bytes(v, o->i.seg, env_ea(v, o, n, SOFT_WRITE), env, n);
	fcw = native_get16(v->fpu.fx) | 0x3f;
	native_put16(v->fpu.fx, fcw);
	native_put16(v->fpu.fx + 2, native_fsw(native_get16(v->fpu.fx + 2), fcw));
}

static void fnsave(struct soft_vcpu *v, const struct soft_op *o)
{
	unsigned int n = wide_env(o) ? 28 : 14;
	uint8_t save[SAVE_MAX];

	begin(v);
	put_env(v, save, wide_env(o));
	for (unsigned int i = 0; i < 8; i++)
		memcpy(save + n + 10 * i, st_at(&v->fpu, i), 10);
	soft_store_bytes(v, o->i.seg, env_ea(v, o, n + 80, SOFT_WRITE), save, n + 80);
	init(&v->fpu);
}

static void fldenv(struct soft_vcpu *v, const struct soft_op *o)
{
	unsigned int n = wide_env(o) ? 28 : 14;
	uint8_t env[ENV_MAX];

	begin(v);
	if (native_fpu_pending(v))
		soft_raise(v, X86_EXC_MF);
	soft_load_bytes(v, o->i.seg, env_ea(v, o, n, SOFT_READ), env, n);
	get_env(v, env, wide_env(o));
}

static void frstor(struct soft_vcpu *v, const struct soft_op *o)
{
	unsigned int n = wide_env(o) ? 28 : 14;
	uint8_t save[SAVE_MAX];

	begin(v);
	if (native_fpu_pending(v))
		soft_raise(v, X86_EXC_MF);
	soft_load_bytes(v, o->i.seg, env_ea(v, o, n + 80, SOFT_READ), save, n + 80);
	get_env(v, save, wide_env(o));
	for (unsigned int i = 0; i < 8; i++)
		memcpy(v->fpu.fx + 32 + 16 * i, save + n + 10 * i, 10);
}

static void fninit(struct soft_vcpu *v, const struct soft_op *o)
{
	begin(v);
	init(&v->fpu);
}

static void fwait(struct soft_vcpu *v, const struct soft_op *o)
{
	if ((v->cr0 & (X86_CR0_MP | X86_CR0_TS)) == (X86_CR0_MP | X86_CR0_TS))
		soft_raise(v, X86_EXC_NM);
	if (native_fpu_pending(v))
		soft_raise(v, X86_EXC_MF);
}

soft_fn *native_x87_fn(const struct x86_insn *i)
{
	if (i->cls != X86_CLASS_X87)
		return NULL;
	if (i->opcode == 0x9b)
		return fwait;
	if (i->opcode == 0xdb && i->modrm == 0xe3)
		return fninit;
	if (!native_has_mem(i))
		return NULL;
	if (i->opcode == 0xd9 && (i->modrm >> 3 & 7) == 4)
		return fldenv;
	if (i->opcode == 0xd9 && (i->modrm >> 3 & 7) == 6)
		return fnstenv;
	if (i->opcode == 0xdd && (i->modrm >> 3 & 7) == 4)
		return frstor;
	if (i->opcode == 0xdd && (i->modrm >> 3 & 7) == 6)
		return fnsave;
	return NULL;
}
