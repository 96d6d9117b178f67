// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fpu - x87, SSE and AVX state of a soft vCPU, and its saved forms.
 */
#ifndef ACCEL_SOFT_FPU_H
#define ACCEL_SOFT_FPU_H

#include <stdbool.h>
#include <stdint.h>

struct soft_vcpu;

struct soft_fpu {
	_Alignas(64) uint8_t ymm[16][32]; /* XMM is the lower half */
	/* x87 and MMX as FXSAVE64 puts them into the first 160 bytes (FCW, FSW, FTW, FOP, FIP, FDP,
	 * MXCSR, MXCSR_MASK, ST0-7); the XMM part is not used: ymm[] is. */
	_Alignas(64) uint8_t fx[512];
	uint32_t mxcsr;
};

/* The x87 registers may be in the host's while the vCPU runs: put them into the state. */
void soft_fpu_sync(struct soft_vcpu *v);
void soft_fpu_reset(struct soft_fpu *f);
/* To and from the standard (not compacted) XSAVE area of struct x86_cpu_state, X86_XSAVE_MAX bytes;
 * XSTATE_BV tells what is in it. set: false when the area is not valid (reserved MXCSR bits, unknown
 * components); then nothing has changed. PKRU is component 9. */
void soft_fpu_get(const struct soft_vcpu *v, uint8_t *area);
bool soft_fpu_set(struct soft_vcpu *v, const uint8_t *area);

#endif
