/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* emulate_int - what emulate.c and emulate_string.c share. */
#ifndef X86_EMULATE_INT_H
#define X86_EMULATE_INT_H

#include "x86/alu.h"
#include "x86/emulate.h"

/* Go on, or return what is not DONE to the caller. */
#define EMULATE_TRY(call)                             \
	do {                                          \
		enum x86_emulate_result try = (call); \
		if (try != X86_EMULATE_DONE)          \
			return try;                   \
	} while (0)

enum x86_emulate_result x86_emulate_raise(struct x86_emulate *e, uint8_t vector);
/* Linear address of @n bytes at seg:off, if the segment allows the access. */
enum x86_emulate_result x86_emulate_linear(struct x86_emulate *e, enum x86_seg seg, uint64_t off,
	unsigned int n, bool write, uint64_t *linear);
/* @size bytes, 1 to 8, as a number. */
enum x86_emulate_result x86_emulate_load(
	struct x86_emulate *e, enum x86_seg seg, uint64_t off, unsigned int size, uint64_t *value);
enum x86_emulate_result x86_emulate_store(
	struct x86_emulate *e, enum x86_seg seg, uint64_t off, unsigned int size, uint64_t value);
/* Bits of register @reg as an operation of @size changes them. */
void x86_emulate_set_gpr(uint64_t *gpr, unsigned int reg, unsigned int size, uint64_t value);
enum x86_emulate_result x86_emulate_string(struct x86_emulate *e);

#endif
