// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fpu - where the guest's x87, MMX and vector state is, and its saved forms.
 *
 * FIP, FDP, FOP and the selectors are kept in software (native.c): the host's are those of the stubs.
 * SPEC: they are always saved and restored, as Intel's CPUs do it (AMD's: only while an exception is
 * pending), and the selectors are kept also where newer CPUs store zeros.
 */
#include "accel/soft/fpu.h"

#include <assert.h>
#include <string.h>
#include "accel/soft/mmu.h"
#include "accel/soft/native_int.h"
#include "x86/cpuid.h"

#define FCW_INIT     0x37f
#define FSW_ES	     0x80u
#define FSW_B	     0x8000u
#define FSW_EXC	     0x3fu
#define MXCSR_MASK   0xffffu
/* Exceptions after which a store of the x87 unmasked has not stored: invalid, denormal, overflow,
 * underflow. (Inexact has.) */
#define FSW_NO_STORE 0x1bu

uint32_t native_mxcsr_mask(void)
{
	return MXCSR_MASK;
}

/* -------- to and from the host's registers -------- */
#define ALL_XMM                                                                                  \
	"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
		"xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

void native_fpu_load(struct soft_vcpu *v)
{
	/* FXRSTOR takes MXCSR too: give it the one that is there. */
	native_put32(v->fpu.fx + XS_MXCSR, native_host_mxcsr());
	__asm__ volatile("fxrstor64 %0" : : "m"(v->fpu.fx) : "memory", ALL_XMM);
	v->fpu.resident = true;
}

void native_mxcsr_load(struct soft_vcpu *v)
{
	native_set_host_mxcsr(v->fpu.mxcsr);
	v->fpu.mx_resident = true;
}

void soft_fpu_sync(struct soft_vcpu *v)
{
	if (v->fpu.resident) {
		/* FNINIT also takes a pending exception and MMX's tags out of C code's way. */
		__asm__ volatile("fxsave64 %0\n\tfninit" : "=m"(v->fpu.fx) : : "memory");
		v->fpu.resident = false;
	}
	if (v->fpu.mx_resident) {
		v->fpu.mxcsr = native_host_mxcsr();
		native_set_host_mxcsr(NATIVE_MXCSR_DEFAULT);
		v->fpu.mx_resident = false;
	}
}

static uint16_t host_fsw(void)
{
	uint16_t x;

	__asm__ volatile("fnstsw %0" : "=a"(x) : : "memory");
	return x;
}

bool native_fpu_pending(const struct soft_vcpu *v)
{
	return (v->fpu.resident ? host_fsw() : native_get16(v->fpu.fx + 2)) & FSW_ES;
}

bool native_fpu_suppressed(void)
{
	uint16_t fcw;

	__asm__ volatile("fnstcw %0" : "=m"(fcw) : : "memory");
	return host_fsw() & ~fcw & FSW_NO_STORE;
}

/* -------- the x87's image -------- */
uint16_t native_fsw(uint16_t fsw, uint16_t fcw)
{
	fsw &= ~(FSW_ES | FSW_B);
	return fsw & ~fcw & FSW_EXC ? fsw | FSW_ES | FSW_B : fsw;
}

void native_fpu_init(struct soft_fpu *f)
{
	memset(f->fx, 0, NATIVE_X87_IMAGE);
	native_put16(f->fx, FCW_INIT);
	f->fip = f->fdp = 0;
	f->fcs = f->fds = f->fop = 0;
}

void native_x87_get(const struct soft_fpu *f, uint8_t *image, bool wide)
{
	memcpy(image, f->fx, NATIVE_X87_IMAGE);
	native_put16(image + 6, f->fop);
	if (wide) {
		native_put64(image + 8, f->fip);
		native_put64(image + 16, f->fdp);
	} else {
		native_put32(image + 8, f->fip);
		native_put32(image + 12, f->fcs);
		native_put32(image + 16, f->fdp);
		native_put32(image + 20, f->fds);
	}
}

void native_x87_set(struct soft_fpu *f, const uint8_t *image, bool wide)
{
	uint16_t fcw = (native_get16(image) & 0x1f7f) | 0x40; /* the rest is as it always is */

	memcpy(f->fx, image, NATIVE_X87_IMAGE);
	native_put16(f->fx, fcw);
	native_put16(f->fx + 2, native_fsw(native_get16(image + 2), fcw));
	f->fop = native_get16(image + 6) & 0x7ff;
	if (wide) {
		f->fip = native_get64(image + 8);
		f->fdp = native_get64(image + 16);
		f->fcs = f->fds = 0;
	} else {
		f->fip = native_get32(image + 8);
		f->fcs = native_get16(image + 12);
		f->fdp = native_get32(image + 16);
		f->fds = native_get16(image + 20);
	}
}

/* -------- whole state -------- */
void soft_fpu_reset(struct soft_fpu *f)
{
	memset(f, 0, sizeof(*f));
	native_fpu_init(f);
	f->mxcsr = NATIVE_MXCSR_DEFAULT;
}

bool native_ymm_zero(const struct soft_fpu *f, unsigned int half)
{
	uint64_t any = 0, x[2];

	for (int i = 0; i < 16; i++) {
		memcpy(x, f->ymm[i] + 16 * half, 16);
		any |= x[0] | x[1];
	}
	return !any;
}

static bool x87_is_initial(const struct soft_fpu *f)
{
	struct soft_fpu init;

	native_fpu_init(&init);
	return !memcmp(f->fx, init.fx, XS_MXCSR) && !memcmp(f->fx + 32, init.fx + 32, 128) &&
	       !(f->fip | f->fdp | f->fcs | f->fds | f->fop);
}

uint64_t soft_fpu_xinuse(struct soft_vcpu *v)
{
	uint64_t in_use = 0;

	soft_fpu_sync(v);
	if (!x87_is_initial(&v->fpu))
		in_use |= XS_X87;
	if (!native_ymm_zero(&v->fpu, 0))
		in_use |= XS_SSE;
	if (!native_ymm_zero(&v->fpu, 1))
		in_use |= XS_AVX;
	if (v->pkru)
		in_use |= XS_PKRU;
	return in_use;
}

unsigned int native_pkru_offset(const struct soft_vcpu *v)
{
	const struct x86_cpuid_leaf *l = v->cpuid ? x86_cpuid_find(v->cpuid, 0xd, 9) : NULL;

	return l && l->eax && l->ebx >= XS_EXTENDED && l->ebx <= X86_XSAVE_MAX - 8 ? l->ebx : 0xa80;
}

void soft_fpu_get(const struct soft_vcpu *v, uint8_t *area)
{
	const struct soft_fpu *f = &v->fpu;
	uint64_t has = XS_X87 | XS_SSE;

	assert(!f->resident && !f->mx_resident);
	memset(area, 0, X86_XSAVE_MAX);
	native_x87_get(f, area, true);
	native_put32(area + XS_MXCSR, f->mxcsr);
	native_put32(area + XS_MXCSR + 4, MXCSR_MASK);
	for (int i = 0; i < 16; i++) {
		memcpy(area + XS_XMM + 16 * i, f->ymm[i], 16);
		memcpy(area + XS_EXTENDED + 16 * i, f->ymm[i] + 16, 16);
	}
	/* What is in its initial state is left out: another engine may not know of it. */
	if (!native_ymm_zero(f, 1))
		has |= XS_AVX;
	if (v->pkru) {
		has |= XS_PKRU;
		native_put32(area + native_pkru_offset(v), v->pkru);
	}
	native_put64(area + XS_HEADER, has);
}

bool soft_fpu_set(struct soft_vcpu *v, const uint8_t *area)
{
	struct soft_fpu *f = &v->fpu;
	uint64_t has = native_get64(area + XS_HEADER);
	uint32_t mxcsr = native_get32(area + XS_MXCSR);

	if (has & ~(uint64_t)XS_ALL || native_get64(area + XS_HEADER + 8) || mxcsr & ~MXCSR_MASK)
		return false;
	soft_fpu_sync(v);
	if (has & XS_X87)
		native_x87_set(f, area, true);
	else
		native_fpu_init(f);
	f->mxcsr = mxcsr;
	for (int i = 0; i < 16; i++) {
		memset(f->ymm[i], 0, 32);
		if (has & XS_SSE)
			memcpy(f->ymm[i], area + XS_XMM + 16 * i, 16);
		if (has & XS_AVX)
			memcpy(f->ymm[i] + 16, area + XS_EXTENDED + 16 * i, 16);
	}
	v->pkru = has & XS_PKRU ? native_get32(area + native_pkru_offset(v)) : 0;
	return true;
}
