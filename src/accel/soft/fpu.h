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
	/* x87 and MMX while not @resident: FCW, FSW, FTW (abridged) and ST0-7 as FXSAVE64 lays them
	 * out. What else FXSAVE has is kept in the members below and put there by soft_fpu_get(). */
	_Alignas(64) uint8_t fx[512];
	_Alignas(64) uint8_t buf[64]; /* a memory operand that is no piece of RAM in one page */
	uint32_t mxcsr;		      /* while not @mx_resident */
	/* Address, opcode and operand of the last x87 instruction that was no control instruction. */
	uint64_t fip, fdp;
	uint16_t fcs, fds, fop;
	bool resident;	  /* x87 and MMX state is in the host's registers */
	bool mx_resident; /* the host's MXCSR is the guest's */
};

/*
 * A vCPU's thread keeps the guest's x87 and MMX registers and MXCSR in the host's from the first
 * instruction that needs them until soft_fpu_sync(), because moving them costs more than the instruction.
 * In between no C code on that thread may use long double, or mind which rounding mode float and double
 * have (integer code in vector registers is fine). So: sync when leaving soft_vcpu_run() and
 * soft_vcpu_steps(), and at the end of each slice.
 */
void soft_fpu_sync(struct soft_vcpu *v);

/* State as FNINIT and zeroed vector registers leave it. The vCPU is not running. */
void soft_fpu_reset(struct soft_fpu *f);
/* XINUSE (as XGETBV with ECX = 1 tells): bit n is set when component n is not in its initial state. */
uint64_t soft_fpu_xinuse(struct soft_vcpu *v);
/* To and from the standard (not compacted) XSAVE area of struct x86_cpu_state, X86_XSAVE_MAX bytes;
 * XSTATE_BV tells what is in it. set: false when the area is not valid (reserved MXCSR bits, unknown
 * components); then nothing has changed. PKRU is component 9. */
void soft_fpu_get(const struct soft_vcpu *v, uint8_t *area); /* synced */
bool soft_fpu_set(struct soft_vcpu *v, const uint8_t *area);

#endif
