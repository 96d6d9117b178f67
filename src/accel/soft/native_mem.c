// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * native_mem - vector instructions that touch memory element by element, and only some of the elements:
 * gathers, VMASKMOV and VPMASKMOV, MASKMOVQ and MASKMOVDQU. In C, because each element may fault, and
 * one that is masked off must not.
 */
#include <string.h>
#include "accel/soft/mmu.h"
#include "accel/soft/native_int.h"

static uint64_t wrap(const struct x86_insn *i, uint64_t a)
{
	return i->addrsize == 8 ? a : i->addrsize == 4 ? (uint32_t)a : (uint16_t)a;
}

/* Bit n: the highest bit of element @n of the register is set. */
static uint32_t mask_bits(const uint8_t *reg, unsigned int size, unsigned int n)
{
	uint32_t m = 0;

	for (unsigned int k = 0; k < n; k++)
		m |= (uint32_t)(reg[size * (k + 1) - 1] >> 7) << k;
	return m;
}

/* Host address of all @n bytes if that is easy, limits included. */
static uint8_t *whole(struct soft_vcpu *v, const struct x86_insn *i, uint64_t ea, unsigned int n,
	enum soft_access access, uint64_t *lin)
{
	if (v->code != X86_CODE_64 && !(v->seg_flat >> i->seg & 1))
		return NULL;
	*lin = soft_linear(v, i->seg, ea, n, access);
	return soft_tlb_host(v, *lin, n, access, v->mmu_index);
}

/* -------- masked moves -------- */
static void masked_load(struct soft_vcpu *v, const struct x86_insn *i, uint8_t *out,
	unsigned int size, unsigned int n, uint32_t mask)
{
	uint64_t ea = soft_ea(v, i), lin;
	const uint8_t *host = whole(v, i, ea, size * n, SOFT_READ, &lin);

	for (unsigned int k = 0; k < n; k++) {
		if (!(mask >> k & 1))
			continue;
		if (host)
			memcpy(out + size * k, host + size * k, size);
		else /* bytes: alignment is not checked */
			soft_load_bytes(v, i->seg, wrap(i, ea + size * k), out + size * k, size);
	}
}

static void masked_store(struct soft_vcpu *v, const struct x86_insn *i, const uint8_t *from,
	unsigned int size, unsigned int n, uint32_t mask)
{
	uint64_t ea = soft_ea(v, i), lin = 0;
	uint8_t *host = whole(v, i, ea, size * n, SOFT_WRITE, &lin);

	for (unsigned int k = 0; !host && k < n; k++)
		if (mask >> k & 1)
			soft_probe(
				v, i->seg, wrap(i, ea + size * k), size, SOFT_WRITE, v->mmu_index);
	for (unsigned int k = 0; k < n; k++) {
		if (!(mask >> k & 1))
			continue;
		if (host)
			memcpy(host + size * k, from + size * k, size);
		else
			soft_store_bytes(v, i->seg, wrap(i, ea + size * k), from + size * k, size);
	}
	if (host && mask)
		soft_stored(v, lin, n * size, v->mmu_index);
}

static unsigned int vmask_size(const struct x86_insn *i)
{
	if (i->opcode & 0x80) /* VPMASKMOV */
		return i->vex_w ? 8 : 4;
	return i->opcode & 1 ? 8 : 4; /* VMASKMOVPD, VMASKMOVPS */
}

static void vmask_load(struct soft_vcpu *v, const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	unsigned int size = vmask_size(i), n = (i->vex_l ? 32 : 16) / size;
	uint8_t out[32] = { 0 };

	native_check_avx(v);
	masked_load(v, i, out, size, n, mask_bits(v->fpu.ymm[i->vex_v & 15], size, n));
	memcpy(v->fpu.ymm[i->operand[0].reg & 15], out, sizeof(out));
}

static void vmask_store(struct soft_vcpu *v, const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	unsigned int size = vmask_size(i), n = (i->vex_l ? 32 : 16) / size;
	unsigned int reg = (i->modrm >> 3 & 7) | (i->rex & 4) << 1;

	native_check_avx(v);
	masked_store(v, i, v->fpu.ymm[reg], size, n, mask_bits(v->fpu.ymm[i->vex_v & 15], size, n));
}

/* MASKMOV's operand as a whole has limit and alignment. A page of it faults if a byte of it is stored,
 * AMD's CPUs touch it in any case (the SDM allows that). */
static void mask_probe(struct soft_vcpu *v, const struct x86_insn *i, unsigned int n, uint32_t mask)
{
	uint64_t ea = soft_ea(v, i), lin = soft_linear(v, i->seg, ea, n, SOFT_WRITE);
	unsigned int first = MIN(n, 0x1000 - (lin & 0xfff));

	native_check_alignment(v, lin, 8);
	if (v->amd || mask & ((1u << first) - 1))
		soft_probe(v, i->seg, ea, first, SOFT_WRITE, v->mmu_index);
	if (first < n && (v->amd || mask >> first))
		soft_probe(v, i->seg, wrap(i, ea + first), n - first, SOFT_WRITE, v->mmu_index);
}

static void maskmovdqu(struct soft_vcpu *v, const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	unsigned int data = (i->modrm >> 3 & 7) | (i->rex & 4) << 1;
	unsigned int mask = (i->modrm & 7) | (i->rex & 1) << 3;
	uint32_t bits;

	if (i->vex)
		native_check_avx(v);
	else
		native_check_sse(v);
	bits = mask_bits(v->fpu.ymm[mask], 1, 16);
	mask_probe(v, i, 16, bits);
	masked_store(v, i, v->fpu.ymm[data], 1, 16, bits);
}

/* MMX register @n in the image, whose registers are by their place in the stack. */
static const uint8_t *mmx_at(const struct soft_fpu *f, unsigned int n)
{
	unsigned int top = native_get16(f->fx + 2) >> 11 & 7;

	return f->fx + 32 + 16 * ((n - top) & 7);
}

/* What every MMX instruction does: all registers valid, top of stack 0. */
static void to_mmx(struct soft_fpu *f)
{
	uint8_t st[8][16];

	for (unsigned int r = 0; r < 8; r++)
		memcpy(st[r], mmx_at(f, r), 16);
	memcpy(f->fx + 32, st, sizeof(st));
	native_put16(f->fx + 2, native_get16(f->fx + 2) & ~(7u << 11));
	f->fx[4] = 0xff;
}

static void maskmovq(struct soft_vcpu *v, const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	struct soft_fpu *f = &v->fpu;
	uint32_t bits;

	if (v->cr0 & X86_CR0_EM)
		soft_ud(v);
	native_check_x87(v);
	soft_fpu_sync(v);
	if (native_fpu_pending(v))
		soft_raise(v, X86_EXC_MF);
	to_mmx(f); /* even if it faults */
	bits = mask_bits(mmx_at(f, i->modrm & 7), 1, 8);
	mask_probe(v, i, 8, bits);
	masked_store(v, i, mmx_at(f, i->modrm >> 3 & 7), 1, 8, bits);
}

/* -------- gathers -------- */
struct gather {
	unsigned int dst, mask, index; /* registers */
	unsigned int size, isize, n;   /* bytes of an element, of an index; elements */
};

static struct gather gather_of(const struct x86_insn *i)
{
	struct gather g = { .mask = i->vex_v & 15, .index = i->index & 15 };
	unsigned int bytes = i->vex_l ? 32 : 16;

	g.dst = (i->modrm >> 3 & 7) | (i->rex & 4) << 1;
	g.size = i->vex_w ? 8 : 4;
	g.isize = i->opcode & 1 ? 8 : 4;
	g.n = bytes / MAX(g.size, g.isize);
	return g;
}

static uint64_t gather_address(
	const struct soft_vcpu *v, const struct x86_insn *i, const struct gather *g, unsigned int k)
{
	const uint8_t *p = v->fpu.ymm[g->index] + g->isize * k;
	uint64_t index = g->isize == 8 ? native_get64(p) : (uint64_t)(int32_t)native_get32(p);

	return wrap(i, v->gpr[i->base] + (index << i->scale) + (uint64_t)i->disp);
}

/* An element that is loaded clears its part of the mask: after a fault the instruction goes on where it
 * was. */
static void gather(struct soft_vcpu *v, const struct soft_op *o)
{
	const struct x86_insn *i = &o->i;
	struct gather g = gather_of(i);
	uint8_t *dst = v->fpu.ymm[g.dst], *mask = v->fpu.ymm[g.mask];

	native_check_avx(v);
	if (g.dst == g.mask || g.dst == g.index || g.mask == g.index)
		soft_ud(v);
	for (unsigned int k = 0; k < g.n; k++) {
		if (mask[g.size * (k + 1) - 1] & 0x80)
			soft_load_bytes(
				v, i->seg, gather_address(v, i, &g, k), dst + g.size * k, g.size);
		memset(mask + g.size * k, 0, g.size);
	}
	memset(mask, 0, 32);
	memset(dst + g.size * g.n, 0, 32 - g.size * g.n);
}

soft_fn *native_mem_fn(const struct x86_insn *i)
{
	if (i->map == 1 && i->opcode == 0xf7)
		return i->cls == X86_CLASS_MMX ? maskmovq : maskmovdqu;
	if (!i->vex || i->map != 2 || i->cls != X86_CLASS_AVX)
		return NULL;
	switch (i->opcode) {
	case 0x2c:
	case 0x2d:
	case 0x8c:
		return vmask_load;
	case 0x2e:
	case 0x2f:
	case 0x8e:
		return vmask_store;
	case 0x90:
	case 0x91:
	case 0x92:
	case 0x93:
		return gather;
	default:
		return NULL;
	}
}
