// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * native_fpst - instructions that save, restore or clear whole state: FXSAVE, the XSAVE family, LDMXCSR,
 * VZEROUPPER. Sources: SDM, Managing State Using the XSAVE Feature Set; FXSAVE; FXRSTOR.
 *
 * All in C on the synced state. A component counts as in use when it is not in its initial state, so the
 * init optimisation is exact; the modified optimisation is not made (no CPU must).
 */
#include <string.h>
#include "accel/soft/mmu.h"
#include "accel/soft/native_int.h"
#include "x86/cpuid.h"

#define HEADER_SIZE 64
#define XCOMP_BV    8 /* in the header */
#define COMPACTED   (1ull << 63)
#define AVX_SIZE    256
#define PKRU_SIZE   8
#define AREA_MAX    4096

/* The area in guest memory: directly, if it is RAM in one page. */
struct area {
	struct soft_vcpu *v;
	uint8_t *host; /* or NULL */
	uint64_t off, lin;
	enum x86_seg seg;
	bool wide; /* REX.W: 64-bit FIP and FDP */
};

static void area_at(
	struct area *a, struct soft_vcpu *v, const struct soft_op *o, unsigned int align)
{
	*a = (struct area){ .v = v, .off = soft_ea(v, &o->i), .seg = o->i.seg };
	a->wide = o->i.code == X86_CODE_64 && o->i.rex & 8;
	a->lin = soft_linear(v, a->seg, a->off, 1, SOFT_READ);
	if (align == 16) /* FXSAVE, FXRSTOR */
		native_check_alignment(v, a->lin, 4);
	if (a->lin & (align - 1))
		soft_gp(v, 0);
}

/* Raise what accesses to the first @n bytes would. */
static void area_probe(struct area *a, unsigned int n, enum soft_access access)
{
	soft_linear(a->v, a->seg, a->off, n, access); /* the segment's limit */
	a->host = soft_tlb_host(a->v, a->lin, n, access, a->v->mmu_index);
	if (!a->host && access == SOFT_WRITE)
		soft_probe(a->v, a->seg, a->off, n, access, a->v->mmu_index);
}

/* Pieces after area_probe(). */
static void put(const struct area *a, unsigned int at, const void *p, unsigned int n)
{
	if (a->host)
		memcpy(a->host + at, p, n);
	else
		soft_store_bytes(a->v, a->seg, a->off + at, p, n);
}

static void get(const struct area *a, unsigned int at, void *p, unsigned int n)
{
	if (a->host)
		memcpy(p, a->host + at, n);
	else
		soft_load_bytes(a->v, a->seg, a->off + at, p, n);
}

static void put_done(const struct area *a)
{
	if (a->host)
		soft_stored(a->v, a->lin, 0, a->v->mmu_index);
}

/* Vector registers that the code can name. */
static unsigned int n_regs(const struct soft_vcpu *v)
{
	return v->code == X86_CODE_64 ? 16 : 8;
}

static void put_halves(const struct area *a, unsigned int at, unsigned int half)
{
	uint8_t buf[16 * 16];
	unsigned int n = n_regs(a->v);

	for (unsigned int i = 0; i < n; i++)
		memcpy(buf + 16 * i, a->v->fpu.ymm[i] + 16 * half, 16);
	put(a, at, buf, 16 * n);
}

static void set_halves(struct soft_vcpu *v, unsigned int half, const uint8_t *from)
{
	for (unsigned int i = 0; i < n_regs(v); i++) {
		if (from)
			memcpy(v->fpu.ymm[i] + 16 * half, from + 16 * i, 16);
		else
			memset(v->fpu.ymm[i] + 16 * half, 0, 16);
	}
}

/* -------- FXSAVE, FXRSTOR -------- */
static void fxsave(struct soft_vcpu *v, const struct soft_op *o)
{
	uint8_t image[NATIVE_X87_IMAGE];
	struct area a;

	if (v->cr0 & (X86_CR0_EM | X86_CR0_TS))
		soft_raise(v, X86_EXC_NM);
	soft_fpu_sync(v);
	area_at(&a, v, o, 16);
	area_probe(&a, 512, SOFT_WRITE);
	native_x87_get(&v->fpu, image, a.wide);
	native_put32(image + XS_MXCSR, v->fpu.mxcsr);
	native_put32(image + XS_MXCSR + 4, native_mxcsr_mask());
	put(&a, 0, image, sizeof(image));
	put_halves(&a, XS_XMM, 0);
	put_done(&a);
}

static void fxrstor(struct soft_vcpu *v, const struct soft_op *o)
{
	uint8_t image[512];
	uint32_t mxcsr;
	struct area a;

	if (v->cr0 & (X86_CR0_EM | X86_CR0_TS))
		soft_raise(v, X86_EXC_NM);
	soft_fpu_sync(v);
	area_at(&a, v, o, 16);
	area_probe(&a, 512, SOFT_READ);
	get(&a, 0, image, sizeof(image));
	mxcsr = native_get32(image + XS_MXCSR);
	if (mxcsr & ~native_mxcsr_mask())
		soft_gp(v, 0);
	native_x87_set(&v->fpu, image, a.wide);
	v->fpu.mxcsr = mxcsr;
	set_halves(v, 0, image + XS_XMM);
}

/* -------- XSAVE -------- */
/* Where component @bit (AVX or PKRU) lies in the format that has the components of @compact, 0: the
 * standard one. */
static unsigned int place_of(const struct soft_vcpu *v, unsigned int bit, uint64_t compact)
{
	if (bit == XS_AVX)
		return XS_EXTENDED;
	if (compact)
		return XS_EXTENDED + (compact & XS_AVX ? AVX_SIZE : 0);
	return native_pkru_offset(v);
}

static unsigned int area_size(const struct soft_vcpu *v, uint64_t parts, uint64_t compact)
{
	unsigned int n = XS_EXTENDED;

	if (parts & XS_AVX)
		n = XS_EXTENDED + AVX_SIZE;
	if (parts & XS_PKRU)
		n = MAX(n, place_of(v, XS_PKRU, compact) + PKRU_SIZE);
	return n;
}

static uint64_t begin_xsave(struct soft_vcpu *v, const struct soft_op *o, struct area *a)
{
	uint64_t mask = (uint32_t)v->gpr[X86_RAX] | v->gpr[X86_RDX] << 32;

	if (!(v->cr4 & X86_CR4_OSXSAVE))
		soft_ud(v);
	if (v->cr0 & X86_CR0_TS)
		soft_raise(v, X86_EXC_NM);
	if ((o->i.op == X86_OP_XSAVES || o->i.op == X86_OP_XRSTORS) && v->cpl)
		soft_gp(v, 0);
	soft_fpu_sync(v);
	area_at(a, v, o, 64);
	return mask & v->xcr0 & XS_ALL;
}

/* The data of @parts. */
static void put_parts(const struct area *a, uint64_t parts, uint64_t compact)
{
	struct soft_vcpu *v = a->v;

	if (parts & XS_X87) {
		uint8_t image[NATIVE_X87_IMAGE];

		native_x87_get(&v->fpu, image, a->wide);
		put(a, 0, image, XS_MXCSR);
		put(a, 32, image + 32, sizeof(image) - 32);
	}
	if (parts & XS_SSE)
		put_halves(a, XS_XMM, 0);
	if (parts & XS_AVX)
		put_halves(a, XS_EXTENDED, 1);
	if (parts & XS_PKRU) {
		uint64_t pkru = v->pkru;

		put(a, place_of(v, XS_PKRU, compact), &pkru, PKRU_SIZE);
	}
}

static void put_mxcsr(const struct area *a)
{
	uint32_t x[2] = { a->v->fpu.mxcsr, native_mxcsr_mask() };

	put(a, XS_MXCSR, x, sizeof(x));
}

/* XSAVE, XSAVEOPT: the standard format. */
static void xsave(struct soft_vcpu *v, const struct soft_op *o)
{
	struct area a;
	uint64_t parts = begin_xsave(v, o, &a), in_use = soft_fpu_xinuse(v) & parts, has;

	area_probe(&a, area_size(v, parts, 0), SOFT_WRITE);
	get(&a, XS_HEADER, &has, sizeof(has));
	has = (has & ~parts) | in_use;
	put_parts(&a, o->i.op == X86_OP_XSAVEOPT ? in_use : parts, 0);
	if (parts & (XS_SSE | XS_AVX))
		put_mxcsr(&a);
	put(&a, XS_HEADER, &has, sizeof(has));
	put_done(&a);
}

/* XSAVEC, XSAVES: the compacted format. */
static void xsavec(struct soft_vcpu *v, const struct soft_op *o)
{
	struct area a;
	uint64_t parts = begin_xsave(v, o, &a), in_use = soft_fpu_xinuse(v);
	uint64_t header[2];

	if (v->fpu.mxcsr != NATIVE_MXCSR_DEFAULT)
		in_use |= XS_SSE;
	in_use &= parts;
	header[0] = in_use;
	header[1] = parts | COMPACTED;
	area_probe(&a, area_size(v, parts, header[1]), SOFT_WRITE);
	put_parts(&a, in_use, header[1]);
	if (in_use & XS_SSE)
		put_mxcsr(&a);
	put(&a, XS_HEADER, header, sizeof(header));
	put_done(&a);
}

/* -------- XRSTOR -------- */
/* The header's rules; which of @parts get what is in the area rather than their initial state. */
static uint64_t check_header(struct soft_vcpu *v, const struct soft_op *o, const uint8_t *header)
{
	uint64_t has = native_get64(header), compact = native_get64(header + XCOMP_BV);
	unsigned int zero_from = compact & COMPACTED ? 16 : 8;

	for (unsigned int i = zero_from; i < (compact & COMPACTED ? HEADER_SIZE : 24); i++)
		if (header[i])
			soft_gp(v, 0);
	if (compact & COMPACTED) {
		if (compact & ~COMPACTED & ~v->xcr0 || has & ~compact)
			soft_gp(v, 0);
	} else if (o->i.op == X86_OP_XRSTORS || has & ~v->xcr0) {
		soft_gp(v, 0);
	}
	return has;
}

struct restored {
	uint8_t legacy[512];
	uint8_t avx[AVX_SIZE];
	uint64_t pkru;
	uint32_t mxcsr;
	bool set_mxcsr;
};

/* All that may fault. */
static void get_parts(
	struct area *a, struct restored *r, uint64_t parts, uint64_t has, uint64_t compact)
{
	uint64_t data = parts & has;

	if (data & (XS_X87 | XS_SSE) || parts & (XS_SSE | XS_AVX))
		get(a, 0, r->legacy, sizeof(r->legacy));
	if (data & XS_AVX)
		get(a, XS_EXTENDED, r->avx, 16 * n_regs(a->v));
	if (data & XS_PKRU)
		get(a, place_of(a->v, XS_PKRU, compact), &r->pkru, PKRU_SIZE);
	/* The standard format always has MXCSR, the compacted one as part of SSE. */
	r->set_mxcsr = parts & (compact ? XS_SSE : XS_SSE | XS_AVX);
	r->mxcsr = native_get32(r->legacy + XS_MXCSR);
	if (compact && !(has & XS_SSE))
		r->mxcsr = NATIVE_MXCSR_DEFAULT;
	if (r->set_mxcsr && r->mxcsr & ~native_mxcsr_mask())
		soft_gp(a->v, 0);
}

static void set_parts(const struct area *a, const struct restored *r, uint64_t parts, uint64_t has)
{
	struct soft_vcpu *v = a->v;

	if (parts & has & XS_X87)
		native_x87_set(&v->fpu, r->legacy, a->wide);
	else if (parts & XS_X87)
		native_fpu_init(&v->fpu);
	if (r->set_mxcsr)
		v->fpu.mxcsr = r->mxcsr;
	if (parts & XS_SSE)
		set_halves(v, 0, has & XS_SSE ? r->legacy + XS_XMM : NULL);
	if (parts & XS_AVX)
		set_halves(v, 1, has & XS_AVX ? r->avx : NULL);
	if (parts & XS_PKRU && v->pkru != (uint32_t)r->pkru) {
		v->pkru = r->pkru;
		soft_tlb_flush(v, true);
	}
}

static void xrstor(struct soft_vcpu *v, const struct soft_op *o)
{
	struct area a;
	uint64_t parts = begin_xsave(v, o, &a), has, compact;
	struct restored r = { .pkru = 0 };
	uint8_t header[HEADER_SIZE];

	area_probe(&a, XS_EXTENDED, SOFT_READ);
	get(&a, XS_HEADER, header, sizeof(header));
	has = check_header(v, o, header);
	compact = native_get64(header + XCOMP_BV);
	area_probe(&a, area_size(v, parts & has, compact), SOFT_READ);
	get_parts(&a, &r, parts, has, compact);
	set_parts(&a, &r, parts, has);
}

/* -------- MXCSR, upper halves -------- */
static void check_sse_or_avx(struct soft_vcpu *v, const struct soft_op *o)
{
	if (o->i.vex)
		native_check_avx(v);
	else
		native_check_sse(v);
}

static uint64_t mxcsr_address(struct soft_vcpu *v, const struct soft_op *o, enum soft_access access)
{
	uint64_t lin = soft_linear(v, o->i.seg, soft_ea(v, &o->i), 4, access);

	native_check_alignment(v, lin, 4);
	return lin;
}

static void ldmxcsr(struct soft_vcpu *v, const struct soft_op *o)
{
	uint32_t x;

	check_sse_or_avx(v, o);
	x = soft_load_lin(v, o->i.seg, mxcsr_address(v, o, SOFT_READ), 4, v->mmu_index);
	if (x & ~native_mxcsr_mask())
		soft_gp(v, 0);
	if (v->fpu.mx_resident) {
		native_set_host_mxcsr(NATIVE_MXCSR_DEFAULT);
		v->fpu.mx_resident = false;
	}
	v->fpu.mxcsr = x;
}

static void stmxcsr(struct soft_vcpu *v, const struct soft_op *o)
{
	check_sse_or_avx(v, o);
	soft_store_lin(v, o->i.seg, mxcsr_address(v, o, SOFT_WRITE), 4,
		v->fpu.mx_resident ? native_host_mxcsr() : v->fpu.mxcsr, v->mmu_index);
}

static void vzeroupper(struct soft_vcpu *v, const struct soft_op *o)
{
	native_check_avx(v);
	set_halves(v, 1, NULL);
}

static void vzeroall(struct soft_vcpu *v, const struct soft_op *o)
{
	native_check_avx(v);
	set_halves(v, 0, NULL);
	set_halves(v, 1, NULL);
}

soft_fn *native_fpst_fn(const struct x86_insn *i)
{
	switch (i->op) {
	case X86_OP_FXSAVE:
		return fxsave;
	case X86_OP_FXRSTOR:
		return fxrstor;
	case X86_OP_XSAVE:
	case X86_OP_XSAVEOPT:
		return xsave;
	case X86_OP_XSAVEC:
	case X86_OP_XSAVES:
		return xsavec;
	case X86_OP_XRSTOR:
	case X86_OP_XRSTORS:
		return xrstor;
	case X86_OP_LDMXCSR:
		return ldmxcsr;
	case X86_OP_STMXCSR:
		return stmxcsr;
	case X86_OP_VZEROUPPER:
		return vzeroupper;
	case X86_OP_VZEROALL:
		return vzeroall;
	default:
		return NULL;
	}
}
