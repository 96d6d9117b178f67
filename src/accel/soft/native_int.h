// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * native_int - what the files of native.c share: instructions that the host's own x87, vector and BMI
 * units carry out.
 *
 * A stub is a few host instructions made for one guest instruction when it is decoded: load the guest's
 * registers that it names, the instruction itself, store what it wrote, return 0. A general register of
 * the instruction's becomes r8, r9 or r10, its memory operand [rsi], and nothing else of the guest's
 * bytes gets into it but opcode, vector register numbers and immediate, which the decoder's table
 * allowed: a guest never chooses a host address. A stub has no stack frame: when the host raises an
 * exception in it, the signal handler lets it return with the exception's number and nothing of the guest
 * has changed (but MXCSR's flags, or the x87 state as the CPU left it).
 */
#ifndef ACCEL_SOFT_NATIVE_INT_H
#define ACCEL_SOFT_NATIVE_INT_H

#include <stddef.h>
#include "accel/soft/mmu.h"
#include "accel/soft/soft_int.h"

/* @mem: the memory operand's host address, or anything if there is none. Returns 0 or NATIVE_TRAP + the
 * host exception's number. */
typedef uint32_t native_stub(struct soft_vcpu *v, void *mem, const struct soft_op *o);
#define NATIVE_TRAP 0x100u

#define NATIVE_STUB_MAX 192
struct native_code {
	uint8_t b[NATIVE_STUB_MAX];
	unsigned int n;
};

/* ---- native_emit.c ---- */
/* The stub of @i to @c. False: not an instruction for stubs. */
bool native_emit(const struct x86_insn *i, struct native_code *c);
/* Host registers of general registers that the fields reg, rm and vvvv name, in stubs. */
enum { NATIVE_REG = 8, NATIVE_RM, NATIVE_VVVV };
/* An instruction of the vector, x87 or BMI units, ready to be encoded: host registers by field, and
 * with @mem rm is the register that has the memory operand's address (its low bits not 4 or 5). */
struct native_form {
	uint8_t reg, rm, vvvv;
	bool mem, w;
	int32_t disp; /* from there */
};
struct native_form native_form_of(const struct x86_insn *i);
void native_encode(struct native_code *c, const struct x86_insn *i, const struct native_form *f);
/* Which host register a general register of the instruction's is in. Operands that name the same
 * register are the same register, whatever field: but they may be in two host registers. */
struct native_gpr {
	uint8_t host, guest;
	bool write, high;
};
#define NATIVE_GPRS 6
unsigned int native_gprs(const struct x86_insn *i, struct native_gpr *u);
/* The memory operand that it accesses, or NULL. */
static inline const struct x86_operand *native_mem(const struct x86_insn *i)
{
	for (int k = 0; k < i->n_operands; k++)
		if (i->operand[k].kind == X86_OPND_MEM && i->operand[k].access)
			return &i->operand[k];
	return NULL;
}
/* With W these have eight bytes of a general register, which only 64-bit code has: here W is not
 * ignored as elsewhere. */
static inline bool native_needs_64(const struct x86_insn *i)
{
	return i->vex && i->map == 3 && (i->opcode == 0x16 || i->opcode == 0x22) && i->vex_w;
}
/* 0: no flags; 1: writes all six; 2: reads some, or leaves some as they are. */
int native_flags_use(const struct x86_insn *i);
static inline bool native_has_mem(const struct x86_insn *i)
{
	return i->flags & X86_I_MODRM && i->modrm < 0xc0;
}

/* ---- native.c ---- */
/* Raise what trap @status of a stub means to the guest. */
_Noreturn void native_trap(struct soft_vcpu *v, const struct soft_op *o, uint32_t status);
/* Raise what keeps SSE, VEX-encoded vector, x87 instructions from running: #UD, #NM. */
static inline void native_check_sse(struct soft_vcpu *v)
{
	if (__builtin_expect(!(v->cr4 & X86_CR4_OSFXSR) || v->cr0 & (X86_CR0_EM | X86_CR0_TS), 0)) {
		if (!(v->cr4 & X86_CR4_OSFXSR) || v->cr0 & X86_CR0_EM)
			soft_ud(v);
		soft_raise(v, X86_EXC_NM);
	}
}

static inline bool native_vex_mode(const struct soft_vcpu *v)
{
	return v->code == X86_CODE_64 || (v->cr0 & X86_CR0_PE && !soft_vm86(v));
}

#define NATIVE_XCR0_AVX 6u /* SSE and AVX state */
static inline void native_check_avx(struct soft_vcpu *v)
{
	if (__builtin_expect((v->xcr0 & NATIVE_XCR0_AVX) != NATIVE_XCR0_AVX ||
				     !(v->cr4 & X86_CR4_OSXSAVE) || !native_vex_mode(v),
		    0))
		soft_ud(v);
	if (__builtin_expect(v->cr0 & X86_CR0_TS, 0))
		soft_raise(v, X86_EXC_NM);
}

static inline void native_check_x87(struct soft_vcpu *v)
{
	if (__builtin_expect(v->cr0 & (X86_CR0_EM | X86_CR0_TS), 0))
		soft_raise(v, X86_EXC_NM);
}

/* Alignment checks (#AC); the TLB then answers nothing inline, so slow paths look. @align: 0 is none. */
static inline bool native_checks_alignment(const struct soft_vcpu *v)
{
	return v->cpl == 3 && v->cr0 & X86_CR0_AM && v->rflags & X86_FLAG_AC;
}

static inline void native_check_alignment(struct soft_vcpu *v, uint64_t lin, unsigned int align)
{
	if (native_checks_alignment(v) && lin & (align - 1) &&
		(v->code != X86_CODE_64 || soft_canonical(v, lin)))
		soft_raise_error(v, X86_EXC_AC, 0);
}

/* ---- native_mem.c: instructions that touch memory element by element ---- */
soft_fn *native_mem_fn(const struct x86_insn *i);

/* ---- native_x87.c: x87 environment, FWAIT ---- */
soft_fn *native_x87_fn(const struct x86_insn *i);

/* ---- fpu.c ---- */
/* MXCSR bits that may be set. */
uint32_t native_mxcsr_mask(void);
/* Put the guest's x87 and MMX state into the host's registers. */
void native_fpu_load(struct soft_vcpu *v);
/* MXCSR, of which all exceptions are masked, likewise. */
void native_mxcsr_load(struct soft_vcpu *v);
/* Did the store that has just run not take place, because of an unmasked exception? x87 is resident. */
bool native_fpu_suppressed(void);
/* Is an unmasked x87 exception pending? */
bool native_fpu_pending(const struct soft_vcpu *v);
/* x87 state as after FNINIT; it must not be resident. */
void native_fpu_init(struct soft_fpu *f);
/* FXSAVE's first 160 bytes and back, but MXCSR and its mask; x87 must not be resident. @wide: 64-bit
 * pointers (REX.W). */
#define NATIVE_X87_IMAGE 160
void native_x87_get(const struct soft_fpu *f, uint8_t *image, bool wide);
void native_x87_set(struct soft_fpu *f, const uint8_t *image, bool wide);
/* FSW with ES and B as the exception flags and FCW's masks make them. */
uint16_t native_fsw(uint16_t fsw, uint16_t fcw);
/* Where PKRU lies in the standard XSAVE area that the guest's CPUID describes. */
unsigned int native_pkru_offset(const struct soft_vcpu *v);
bool native_ymm_zero(const struct soft_fpu *f, unsigned int half);

/* XSAVE area. */
#define XS_X87	    1u
#define XS_SSE	    2u
#define XS_AVX	    4u
#define XS_PKRU	    (1u << 9)
#define XS_ALL	    (XS_X87 | XS_SSE | XS_AVX | XS_PKRU)
#define XS_MXCSR    24
#define XS_XMM	    160
#define XS_HEADER   512
#define XS_EXTENDED 576 /* in the compacted format, the first component; in both, AVX */

static inline uint16_t native_get16(const uint8_t *p)
{
	return p[0] | p[1] << 8;
}
static inline uint32_t native_get32(const uint8_t *p)
{
	return native_get16(p) | (uint32_t)native_get16(p + 2) << 16;
}
static inline uint64_t native_get64(const uint8_t *p)
{
	return native_get32(p) | (uint64_t)native_get32(p + 4) << 32;
}
static inline void native_put16(uint8_t *p, uint16_t x)
{
	p[0] = x;
	p[1] = x >> 8;
}
static inline void native_put32(uint8_t *p, uint32_t x)
{
	native_put16(p, x);
	native_put16(p + 2, x >> 16);
}
static inline void native_put64(uint8_t *p, uint64_t x)
{
	native_put32(p, x);
	native_put32(p + 4, x >> 32);
}

/* ---- native_fpst.c: FXSAVE, XSAVE and their kin ---- */
soft_fn *native_fpst_fn(const struct x86_insn *i);

static inline uint32_t native_host_mxcsr(void)
{
	uint32_t x;

	__asm__ volatile("stmxcsr %0" : "=m"(x) : : "memory");
	return x;
}
static inline void native_set_host_mxcsr(uint32_t x)
{
	__asm__ volatile("ldmxcsr %0" : : "m"(x) : "memory");
}
#define NATIVE_MXCSR_DEFAULT 0x1f80u /* also that of C code */
#define NATIVE_MXCSR_MASKS   0x1f80u

#endif
