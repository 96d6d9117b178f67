// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * difftest - random instructions on the real CPU and on the software engine, compared.
 *
 * gen.c makes tests (a function of the seed and the test's number alone, so that any can be made
 * again), native.c runs batches of them in a child process, soft.c runs the same on a soft_vcpu,
 * compare.c judges. program.c makes those of many instructions. Both sides have the same linear
 * addresses: two pages of code, two more that can be written to, and data pages some of which are
 * read-only or missing. A test runs until an exception: it ends in INT3s.
 */
#ifndef TESTS_CPU_DIFFTEST_H
#define TESTS_CPU_DIFFTEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/types.h"
#include "x86/decode.h"
#include "x86/regs.h"

/* -------- what is where -------- */
#define PAGE	   4096u
#define CODE	   0x10000000u /* CODE_PAGES pages, read and execute; INT3 all over */
#define CODE_PAGES 2u
#define CODE_W	   0x10010000u /* as many, which may be written to: for code that changes itself */
#define DATA	   0x20000000u
#define LOW	   0x8000u /* for 16-bit addresses; not there when the host refuses to map it */

/* The data pages: page i of struct image is at linear image_page[i].at. */
enum { IMAGE_PAGES = 7, IMAGE_SIZE = IMAGE_PAGES * 4096 };
struct image_page {
	uint32_t at;
	bool writable, low;
};
extern const struct image_page image_page[IMAGE_PAGES];
#define DATA_SPAN (6 * PAGE) /* of it, page 4 is missing and page 3 read-only */

/* Valid FXSAVE and XSAVE areas in the data, for the instructions that restore. */
#define AREA_FX	     (DATA + 0x400)
#define AREA_XSAVE   (DATA + 0x800)
#define AREA_COMPACT (DATA + 0x1400)
/* Frames for IRET and far returns: of qwords, dwords, words. */
#define AREA_FRAMES  (DATA + 0x1c00)

/* -------- segments, as Linux has them and as difftest puts them into the LDT -------- */
#define SEL_CODE32 0x23
#define SEL_DATA   0x2b
#define SEL_CODE64 0x33
#define LDT_SEL(i) (uint16_t)((i) << 3 | 7)
struct ldt_entry {
	uint32_t base, limit; /* in bytes or pages */
	uint8_t contents;     /* 0 data, 1 expand-down, 2 code */
	bool is32, pages, readonly, missing;
};
enum { LDT_CODE16, LDT_DATA16, LDT_SMALL, LDT_DOWN, LDT_RO, LDT_MISSING, LDT_CODE32, LDT_COUNT };
extern const struct ldt_entry ldt_entry[LDT_COUNT];

/* -------- tests -------- */
struct state {
	uint64_t gpr[16], rip, rflags, fs_base, gs_base;
	uint16_t sel[X86_NSEG];
	uint8_t fx[512] __attribute__((aligned(16))); /* x87, MXCSR, XMM as FXSAVE64 has them */
	uint8_t ymmh[16][16];
};

#define TEST_CODE 224
#define MAX_INSNS 64
#define MAX_STEPS 300 /* of the software engine; natively two ticks of a timer */
struct test {
	struct state in;
	uint8_t mode; /* enum x86_code */
	bool program; /* program.c's: branches lead to instructions only, and loops end */
	uint8_t n_insns;
	uint16_t row[MAX_INSNS]; /* ROW_NONE: not an instruction */
	uint16_t off[MAX_INSNS + 1];
	uint16_t code_len;
	uint8_t code[TEST_CODE];
};
#define ROW_NONE 0xffff
/* Where its code begins in the code pages, CODE_W's after CODE's. */
static inline uint32_t code_offset(const struct test *t)
{
	uint32_t at = (uint32_t)(t->in.rip + (t->mode == X86_CODE_16 ? CODE : 0));

	return at < CODE_W ? at - CODE : at - CODE_W + CODE_PAGES * PAGE;
}

enum { END_NONE = 255, /* out of steps or time */ END_SYSCALL = 254, END_DIED = 253 };
struct outcome {
	struct state out;
	uint8_t vector; /* or END_* */
	bool has_error, has_cr2;
	uint32_t error;
	uint64_t cr2;
	uint32_t first_line, n_lines; /* of struct batch.line */
};

struct line {
	uint16_t at; /* offset in the image / 64 */
	uint8_t data[64];
};

#define BATCH 256
#define LINES 8192
struct batch {
	uint64_t first; /* number of the first test */
	uint32_t n;
	struct test test[BATCH];
	uint8_t image[IMAGE_SIZE] __attribute__((aligned(64))); /* before each test */
	/* Results. Lines that a test changed, in order. */
	struct outcome outcome[BATCH];
	uint32_t n_lines;
	struct line line[LINES];
};

extern uint64_t difftest_number; /* of the test at hand */

/* -------- gen.c -------- */
struct gen_row {
	const char *left_out; /* reason, or NULL */
	uint32_t found[3];    /* templates by mode */
	uint64_t tested[3], differences;
};
extern struct gen_row *gen_rows;	      /* x86_rows() of them */
bool gen_init(const bool *feature, bool low); /* feature[X86_FEAT_COUNT] */
/* Only rows whose text contains @text or whose number it is. False: none. */
bool gen_only_rows(const char *text);
void gen_batch(uint64_t seed, uint64_t first, uint32_t n, struct batch *b);
uint64_t segment_base(const struct state *s, enum x86_seg seg, enum x86_code mode);
const char *gen_op_left_out(const struct x86_insn *i);
/* Does its EDX:EAX say which state components it is about? */
bool gen_takes_mask(const struct x86_insn *i);

/* -------- native.c -------- */
struct native;
struct native *native_new(void); /* NULL: this host cannot; reason printed */
void native_free(struct native *n);
/* The two batches that the child sees. Fill one while it runs the other. */
struct batch *native_batch(struct native *n, int which);
void native_start(struct native *n, int which);
void native_wait(struct native *n, int which);
bool native_low(const struct native *n);
uint32_t native_tsc_aux(const struct native *n);
uint64_t native_deaths(const struct native *n);

/* -------- soft.c -------- */
struct soft_side;
struct soft_side *soft_side_new(const struct native *n, bool *feature);
void soft_side_free(struct soft_side *s);
/* From here on: generated code, or the interpreter. */
void soft_side_translate(struct soft_side *s, bool on);
/* Outcome of b->test[i]; changed lines go to @lines (image order), at most LINES. */
void soft_side_image(struct soft_side *s, const uint8_t *image);
void soft_side_run(struct soft_side *s, const struct batch *b, uint32_t i, struct outcome *o,
	struct line *lines);

/* -------- compare.c -------- */
extern uint64_t compare_ignored; /* tests of which nothing was compared */
/* False: they differ; then everything is printed. */
bool compare(const struct batch *b, uint32_t i, const struct outcome *soft,
	const struct line *soft_lines, uint64_t seed, bool always_print, bool translated);

#endif
