// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lockstep_int - what lockstep.c (who runs when), lockstep_pages.c (copies of pages) and lockstep_compare.c
 * (comparing, telling) share.
 */
#ifndef ACCEL_SOFT_LOCKSTEP_INT_H
#define ACCEL_SOFT_LOCKSTEP_INT_H

#include <stdio.h>
#include "accel/soft/jit.h"
#include "accel/soft/lockstep.h"
#include "accel/soft/mmu_int.h"

#define LOCKSTEP_PAGES 128  /* that a stretch may touch */
#define LOCKSTEP_NOTES 1024 /* entries of generated code's TLB that it may fill */
#define LOCKSTEP_LAST  48   /* instructions that a report has */
#define LOCKSTEP_CODE  (PAGE_SIZE + X86_INSN_MAX)

/* What a stretch may change, but memory. */
struct state {
	uint64_t gpr[18], rip, rflags, kernel_gs_base;
	uint8_t shadow;
	bool nmi_masked;
	struct x86_segment seg[X86_NSEG];
	struct soft_fpu fpu;
};

enum who { TRANSLATED, INTERPRETED };

/* Pages of RAM as one of the two sees them. */
struct copies {
	unsigned int n;
	const uint8_t *page[LOCKSTEP_PAGES];
	uint64_t lin[LOCKSTEP_PAGES]; /* one of its linear addresses */
	bool written[LOCKSTEP_PAGES]; /* or about to be */
	_Alignas(PAGE_SIZE) uint8_t data[LOCKSTEP_PAGES][PAGE_SIZE];
};

struct soft_lockstep {
	struct soft_tlb_entry tlb[SOFT_MMU_INDEXES][SOFT_TLB_SIZE];
	bool inside; /* of a stretch, @who's turn */
	enum who who;
	bool stopped; /* it has ended before an instruction */
	bool once;    /* which is to be carried out once */
	bool faulted; /* at which it has raised ->event */
	struct soft_event event;
	jmp_buf raise; /* the run loop's */
	struct state start, translated;
	uint64_t cycles; /* that generated code took */
	struct copies by[2];
	uint8_t was[LOCKSTEP_PAGES][PAGE_SIZE]; /* of those that generated code has written to */
	unsigned int n_tlb, n_l1;
	struct soft_tlb_entry *in_tlb[SOFT_MMU_INDEXES * SOFT_TLB_SIZE]; /* those with ->noted */
	struct jit_l1 *in_l1[LOCKSTEP_NOTES];
	/* The interpreter's next instruction, if it goes on at op_rip; or NULL. */
	const struct soft_op *op, *op_end;
	uint64_t op_rip;
	uint64_t n_insns, last[LOCKSTEP_LAST];
	/* Of the interpreter's registers at the right instruction those that were most like generated code's; how
	 * many were, and one. */
	unsigned int same;
	uint64_t nearest[16];
	uint64_t stretches, insns, others;
	uint8_t code[LOCKSTEP_CODE]; /* that is looked at: a page and one instruction */
	char what[140];		     /* the first difference */
};

/* The first difference is the one that is told. */
#define DIFFER(l, ...)                                                       \
	do {                                                                 \
		if (!(l)->what[0])                                           \
			snprintf((l)->what, sizeof((l)->what), __VA_ARGS__); \
	} while (0)

/* -------- lockstep_pages.c -------- */
/* @who's turn, with copies of what memory is, or, the interpreter's, was. */
void lockstep_copies_begin(struct soft_vcpu *v, enum who who);
void lockstep_copies_end(struct soft_vcpu *v);
/* The number of the page's copy, c->n: there is none. */
unsigned int lockstep_copy_find(const struct copies *c, const uint8_t *page);

/* -------- lockstep_compare.c -------- */
/* Is what the interpreter has come to what generated code has come to? */
bool lockstep_arrived(struct soft_vcpu *v);
/* It never is: DIFFER() by what was nearest to it. */
void lockstep_tell_nearest(struct soft_lockstep *l);
/* To the log, and the vCPU ends. */
void lockstep_report(struct soft_vcpu *v);

#endif
