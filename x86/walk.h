/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * walk - the page walk: linear address in, guest-physical address or #PF error code out. All four
 * forms of paging (SDM, Paging; APM, Page Translation and Protection), accessed and dirty bits set
 * as the CPU does it.
 *
 * Pure but for the callbacks that read an entry and compare-and-swap it. The caller has seen to
 * it that the address is canonical, or 32 bits wide. Any thread.
 */
#ifndef X86_WALK_H
#define X86_WALK_H

#include "x86/env.h"

#define X86_PTE_P	  (1ull << 0)
#define X86_PTE_W	  (1ull << 1)
#define X86_PTE_U	  (1ull << 2)
#define X86_PTE_A	  (1ull << 5)
#define X86_PTE_D	  (1ull << 6)
#define X86_PTE_PS	  (1ull << 7)
#define X86_PTE_G	  (1ull << 8)
#define X86_PTE_NX	  (1ull << 63)
#define X86_PTE_KEY(e)	  ((e) >> 59 & 15)
#define X86_PAGING_LEVELS 5

/* What the CPU model says about paging. */
#define X86_PAGING_1G (1u << 0) /* 1 GiB pages */
#define X86_PAGING_AMD \
	(1u << 1) /* bit 8 of entries that name a table is reserved in the upper levels */

/* A paging mode, from the registers; x86_paging_init() fills it, cr3, pdpte and the keys' rights may be
 * changed afterwards. */
struct x86_paging {
	uint64_t cr3;
	uint64_t pdpte[4];   /* PAE: as loaded with CR3, checked by x86_pdptes_valid() */
	uint32_t pkru, pkrs; /* what protection keys allow on user's pages, on supervisor's */
	uint8_t levels;	     /* 0: paging is off; of PAE 2, for the first is @pdpte */
	uint8_t entry_size;  /* 4, 8 */
	uint8_t large;	     /* highest level that may map a page */
	bool pae;	     /* legacy PAE */
	bool wp, nxe, pge, smep, smap, pke, pks;
	bool fetch_bit; /* error codes tell fetches apart */
	/* By level, 1 for the page table: reserved bits of an entry that names a table, or maps a page. */
	uint64_t reserved[X86_PAGING_LEVELS + 1], reserved_leaf[X86_PAGING_LEVELS + 1];
};

void x86_paging_init(struct x86_paging *p, uint64_t cr0, uint64_t cr4, uint64_t efer,
	unsigned int maxphyaddr, unsigned int features);
/* No reserved bit is set in the present ones of @pdpte. */
bool x86_pdptes_valid(const uint64_t pdpte[4], unsigned int maxphyaddr);

struct x86_walk_mem {
	/* The entry of @size (4, 8) bytes, aligned, at @gpa, read at once. Where no memory is: all ones. */
	uint64_t (*read)(void *opaque, uint64_t gpa, unsigned int size);
	/* Replace @old by @now in one locked step; false: it is @old no more. */
	bool (*cas)(void *opaque, uint64_t gpa, unsigned int size, uint64_t old, uint64_t now);
};

/* Kinds of access, and of access rights. */
#define X86_WALK_R    (1u << 0)
#define X86_WALK_W    (1u << 1)
#define X86_WALK_X    (1u << 2)
#define X86_WALK_USER (1u << 3) /* at CPL 3 and not the CPU's own access */
#define X86_WALK_AC   (1u << 4) /* supervisor, EFLAGS.AC is set and the access explicit: no SMAP */
#define X86_WALK_PEEK (1u << 5) /* no rights are checked, no bits set: a debugger */

struct x86_walk {
	uint64_t gpa;	 /* of the address itself */
	uint64_t entry;	 /* that maps the page, with the bits that were set */
	uint8_t shift;	 /* page size: 12, 21, 22, 30 */
	uint8_t allowed; /* X86_WALK_R, W, X at this privilege, SMAP and keys included */
	bool global;	 /* and CR4.PGE */
	bool dirty;	 /* D is set: a write needs no walk any more */
	uint32_t error;	 /* of a failed walk: #PF's error code */
};

/* Translate @lin for one access @how: one of R, W, X and modifiers. False: #PF with @out->error. */
bool x86_walk(const struct x86_paging *p, const struct x86_walk_mem *mem, void *opaque,
	uint64_t lin, unsigned int how, struct x86_walk *out);

#endif
