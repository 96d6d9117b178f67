/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * seg - descriptors and protection as pure functions: what a descriptor's bytes mean, and which
 * exception its use gives (SDM, volume 3, Protection; AMD APM, volume 2, Segment-Protection Checks).
 *
 * Checks take the descriptor as a struct x86_segment, whose @selector is the one that it was found by
 * (its RPL counts), and return the exception's vector or 0. The error code is the selector in every
 * case and the caller's business, as are null selectors and table limits. Freestanding, no state.
 */
#ifndef X86_SEG_H
#define X86_SEG_H

#include "x86/cpu_state.h"

/* System descriptors and gates (S clear). */
enum x86_desc_type {
	X86_DESC_TSS16 = 1,
	X86_DESC_LDT = 2,
	X86_DESC_TSS16_BUSY = 3,
	X86_DESC_CALL16 = 4,
	X86_DESC_TASK = 5,
	X86_DESC_INT16 = 6,
	X86_DESC_TRAP16 = 7,
	X86_DESC_TSS32 = 9, /* 64-bit in long mode, as those below */
	X86_DESC_TSS32_BUSY = 11,
	X86_DESC_CALL32 = 12,
	X86_DESC_INT32 = 14,
	X86_DESC_TRAP32 = 15,
};

/* Types of code and data descriptors (S set). */
#define X86_TYPE_ACCESSED (1u << 0)
#define X86_TYPE_RW	  (1u << 1) /* data: writable; code: readable */
#define X86_TYPE_DC	  (1u << 2) /* data: expand-down; code: conforming */
#define X86_TYPE_CODE	  (1u << 3)
#define X86_TYPE_BUSY	  (1u << 1) /* of a TSS */

#define X86_SEL_RPL(s)	((s)&3u)
#define X86_SEL_TI	(1u << 2)
#define X86_SEL_NULL(s) (!((s) & ~3u))

struct x86_gate {
	uint64_t offset;
	uint16_t selector;
	uint8_t type; /* enum x86_desc_type, or any other value; 16 and up: S is set */
	uint8_t dpl;
	uint8_t params; /* of a legacy call gate */
	uint8_t ist;
	bool present;
};

/* @lo: the descriptor's eight bytes; @hi: the next eight of a system descriptor in long mode, else 0. */
void x86_desc_segment(uint64_t lo, uint64_t hi, uint16_t selector, struct x86_segment *out);
void x86_desc_gate(uint64_t lo, uint64_t hi, bool long_mode, struct x86_gate *out);
/* The type field in the upper half of a 16-byte descriptor, which has to be 0. */
static inline uint8_t x86_desc_upper_type(uint64_t hi)
{
	return hi >> 40 & 0x1f;
}
/* Segment register @out as loading @selector makes it in VM86 mode. */
void x86_seg_vm86(uint16_t selector, struct x86_segment *out);
/* As a null selector leaves it. @dpl: for SS, where it is CPL. */
void x86_seg_null(uint16_t selector, uint8_t dpl, struct x86_segment *out);

static inline bool x86_attr_code(uint32_t attr)
{
	return (attr & X86_ATTR_S) && (attr & X86_TYPE_CODE);
}
static inline bool x86_attr_conforming(uint32_t attr)
{
	return x86_attr_code(attr) && (attr & X86_TYPE_DC);
}
static inline bool x86_attr_data(uint32_t attr)
{
	return (attr & X86_ATTR_S) && !(attr & X86_TYPE_CODE);
}
static inline bool x86_attr_writable(uint32_t attr)
{
	return x86_attr_data(attr) && (attr & X86_TYPE_RW);
}
static inline bool x86_attr_readable(uint32_t attr)
{
	return x86_attr_data(attr) || (x86_attr_code(attr) && (attr & X86_TYPE_RW));
}
/* Type of a system descriptor; 16 and up: it is none. */
static inline uint8_t x86_attr_system(uint32_t attr)
{
	return attr & 0x1f;
}

/* Do @n bytes (1 to 64 KB) at @off lie within the segment's limit? Legacy modes: offsets are 32 bits. */
bool x86_seg_holds(const struct x86_segment *s, uint32_t off, uint32_t n);

/* Loading DS, ES, FS, GS; SS: also of an inner stack, where #GP is #TS. */
uint8_t x86_check_data(const struct x86_segment *d, uint8_t cpl);
uint8_t x86_check_stack(const struct x86_segment *d, uint8_t cpl);
/* Code: target of a direct far JMP or CALL; of a gate (@jmp: which must not change the level); of RETF
 * or IRET. @long_mode: L and D may not both be set; through a gate L must be. */
uint8_t x86_check_code_direct(const struct x86_segment *d, uint8_t cpl, bool long_mode);
uint8_t x86_check_code_gate(const struct x86_segment *d, uint8_t cpl, bool jmp, bool long_mode);
uint8_t x86_check_code_return(const struct x86_segment *d, uint8_t cpl, bool long_mode);
/* CPL that a call through a gate to @d leads to. */
uint8_t x86_code_level(const struct x86_segment *d, uint8_t cpl);
/* Must DS, ES, FS or GS be cleared when CPL has become @cpl? */
bool x86_seg_out_of_reach(const struct x86_segment *s, uint8_t cpl);

/* What LAR, LSL, VERR and VERW say of a descriptor. */
bool x86_lar_valid(const struct x86_segment *d, uint8_t cpl, bool long_mode);
bool x86_lsl_valid(const struct x86_segment *d, uint8_t cpl, bool long_mode);
bool x86_verr_valid(const struct x86_segment *d, uint8_t cpl);
bool x86_verw_valid(const struct x86_segment *d, uint8_t cpl);

#endif
