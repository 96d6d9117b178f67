// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * gen_int - what gen.c and program.c share. All numbers come from the test's own sequence.
 */
#ifndef TESTS_CPU_GEN_INT_H
#define TESTS_CPU_GEN_INT_H

#include "difftest.h"

uint64_t gen_r64(void);
uint32_t gen_below(uint32_t n);
static inline bool gen_one_in(uint32_t n)
{
	return gen_below(n) == 0;
}
uint64_t gen_integer(void);
/* A place for @size bytes in the data: mostly plain, sometimes at an edge. */
uint64_t gen_target(uint32_t size, bool aligned);
/* Where a string instruction of units of @size writes to that reads at @from; how many of them. */
uint64_t gen_string_to(uint64_t from, uint32_t size);
uint64_t gen_string_count(void);
/* Of the data at @at, as the test will find it. */
uint64_t gen_peek(const struct batch *b, uint64_t at, uint32_t size);
/* One instruction of a row that @fits chooses at @p: its length; 0: there is none. */
uint32_t gen_insn_of(
	enum x86_code mode, bool (*fits)(const struct x86_insn *i), uint8_t *p, struct x86_insn *i);
/* Comes first in a test if at all. */
bool gen_alone(const struct x86_insn *i);

/* program.c: a test of many instructions; mode, state and place of the code are set. */
void program_make(struct test *t, const struct batch *b);

#endif
