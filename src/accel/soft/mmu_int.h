// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mmu_int - what mmu.c (translation, accesses) and tlb.c (contexts, flushes) share. The vCPU's own
 * thread, or main while it is stopped, except what is _Atomic.
 *
 * Contexts. The low 12 bits of a tag are the number of a context: one address space in one mode. A
 * flush takes a new number, so it costs nothing, and what the old one left is never found again. With
 * PCIDs each has its number, so a CR3 write finds what it had. When the numbers run out all entries
 * are swept once and they begin again.
 *
 * Global pages belong to all contexts, but the inline check knows one number only. An entry of a
 * global page holds the generation of global pages; the slow path finds it by its page and that
 * generation and puts the number of the context at hand into its tags, which costs no walk.
 *
 * Large pages are entered in 4 KiB pieces. Two bitmaps (hashed, so they may say yes too often, until
 * the next flush of everything) tell INVLPG where pieces may be.
 */
#ifndef ACCEL_SOFT_MMU_INT_H
#define ACCEL_SOFT_MMU_INT_H

#include "accel/soft/mmu.h"
#include "x86/walk.h"

#define PAGE_SIZE 0x1000u
#define PAGE_OFF  0xfffull

#define CTX_FIRST 1u
#define CTX_LAST  0xffdu
/* v->ctx where nothing may be found inline (alignment checks); in no tag. 0xfff is in
 * SOFT_TLB_NONE. */
#define CTX_SLOW  0xffeu
#define CTX_OLD	  0u /* of swept entries of global pages: never v->ctx, in tags only */
#define PCIDS	  4096u

/* Numbers of pages, hashed. A set that is full is taken for all of its hash. */
#define PAGE_WAYS    4
#define LARGE_SETS   1024u
#define FETCHED_SETS 2048u
typedef uint64_t page_set[PAGE_WAYS];

/* Whole pages of RAM or ROM that lie in one piece. */
struct piece {
	uint64_t start, size; /* guest-physical; size 0: none */
	uint8_t *host;
	struct ram_block *ram;	/* borrowed from the address map's snapshot */
	uint64_t ram_page;	/* of @start */
	_Atomic uint32_t *code; /* word of @start */
	bool readonly;
};

/* Data breakpoint of the guest's or of the debugger. */
struct watch {
	uint64_t lin, len;
	bool read;	/* reads hit it, too */
	uint64_t dr6;	/* bit for pending_dr6, or */
	uint64_t debug; /* bit for debug_hits */
};
#define WATCHES_MAX (4 + ACCEL_DEBUG_POINTS)

struct soft_mmu {
	_Alignas(64) struct soft_tlb_entry tlb[SOFT_MMU_INDEXES][SOFT_TLB_SIZE];
	struct x86_paging paging;
	uint64_t ctx; /* the context at hand: CTX_FIRST to CTX_LAST */
	uint32_t next_ctx;
	uint32_t global; /* generation, never 0 */
	bool check_align;
	bool pcids_used;
	/* Registers that @paging was made from. */
	uint64_t cr0, cr4, efer;
	struct piece data, table; /* where the last page, the last page table was */
	uint32_t n_watches;
	struct watch watch[WATCHES_MAX];
	/* Requests to drop write tags: asked and done. Pairs: see soft_mmu_drop_writes(). */
	_Atomic uint32_t drop_asked, drop_done;
	bool exclusive_locked;
	/* Large pages by size, bit 0: of 1 GiB; linear pages that code was fetched from since
	 * v->fetch_gen changed, bit 0: global ones. Others may be dropped without a change of it. */
	page_set large[LARGE_SETS], fetched[FETCHED_SETS];
	uint16_t fetched_round;	  /* never 0; what is in ->fetched with another one is forgotten */
	uint16_t pcid_ctx[PCIDS]; /* 0: none */
	struct soft_windows *windows; /* owned; NULL: nothing was mapped yet */
};

/* mmu.c */
void mmu_paging_changed(struct soft_vcpu *v);

/* tlb.c */
/* Code is fetched from the page of @lin, which is global or not. */
void tlb_note_fetch(struct soft_mmu *m, uint64_t lin, bool global);
/* Has the address map changed since the TLB was filled? Then flush. */
bool tlb_check_map(struct soft_vcpu *v);
void tlb_drop_page(struct soft_vcpu *v, uint64_t lin);
void tlb_note_large(struct soft_mmu *m, uint64_t lin, unsigned int shift);
/* Make the entry of global page @page good for the context at hand; false: it is none. */
bool tlb_adopt_global(struct soft_mmu *m, struct soft_tlb_entry *e, uint64_t page);

/* Any thread but a vCPU's: have every vCPU drop its write tags, and wait until it has, or is not in
 * guest code. */
void soft_mmu_drop_writes(struct soft_vm *vm);
/* Ask every other vCPU to, before it goes on in guest code; does not wait. */
void soft_mmu_ask_drop_writes(struct soft_vcpu *v);

#endif
