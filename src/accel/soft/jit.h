// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit - the translator: blocks of guest instructions as host code (docs/soft.md).
 *
 * jit.c finds blocks and drops them; jit_run.c, with jit_link.c and jit_stubs.c, is how generated code is entered and left and
 * what it calls; jit_block.c translates a block (jit_tr.h), jit_flags.c tells which flags instructions use;
 * jit_tlb.c is the TLB that generated code looks into.
 *
 * A vCPU has its own blocks and its own memory for code: nothing here is shared, nothing is locked but
 * the list of pages whose code others have written to (soft_jit_code_written()).
 */
#ifndef ACCEL_SOFT_JIT_H
#define ACCEL_SOFT_JIT_H

#include "accel/soft/exec_mem.h"
#include "accel/soft/jit_asm.h"
#include "accel/soft/mmu.h"
#include "accel/soft/soft_int.h"

#define JIT_CODE_SIZE (64u << 20)
#define JIT_COLD      (40u << 20) /* of it: from here on lies what seldom runs */
#define JIT_BLOCKS    (1u << 18)  /* at most */
#define JIT_FARS      (1u << 20)
#define JIT_FAULTS    (1u << 20)
#define JIT_HASH_BITS 17
#define JIT_PAGE_BITS 14
#define JIT_INSNS     48 /* of a block */
#define JIT_FAULT_MAX (2 * JIT_INSNS)
#define JIT_ROOM      (64u << 10) /* code that one block takes at most */
#define JIT_OP_BITS   9
#define JIT_INBOX     64
#define JIT_ID_BITS   6
#define JIT_ID_WAYS   4
#define JIT_NONE      UINT32_MAX /* no block, no page */

/* -------- the TLB of generated code -------- */
#define JIT_L1_BITS 10
#define JIT_L1_SIZE (1u << JIT_L1_BITS)
#define JIT_L1_SETS 8 /* address spaces that keep theirs */
/* For SOFT_READ and SOFT_WRITE each. What may not be has a tag that is no address and whose index is
 * another one's: no address that leads to the entry is in it. */
struct jit_l1 {
	uint64_t tag[2]; /* the linear page */
	uint8_t *host;	 /* the page's first byte */
	uint64_t delta;	 /* from linear to host addresses */
};
#define JIT_L1_SHIFT 5 /* log2 of its size */

/* What was in an entry before: jit_miss.c. */
struct jit_victim {
	struct jit_l1 e;
	const struct jit_l1 *set; /* that it belongs to; NULL: none */
	uint64_t drops;		  /* v->g.drops as it was */
	uint64_t pad[2];
};

/* v->g.x87_last: offset in the page, FOP, and that there is one. */
#define JIT_LAST_FOP   12
#define JIT_LAST_OFF   0xfffu
#define JIT_LAST_THERE BIT(31)

/* What generated code keeps in the host's registers from its first use on: by bit, and as index of
 * v->g.ensure. */
enum jit_res { JIT_VEC, JIT_X87 };
#define JIT_RES_VEC BIT(JIT_VEC)
#define JIT_RES_X87 BIT(JIT_X87)

/* -------- blocks -------- */
/* A block depends on these besides its bytes. */
#define JIT_MODE_CODE  3u     /* enum x86_code */
#define JIT_MODE_FLAT  BIT(2) /* segments do not matter but FS and GS; else nothing is translated */
#define JIT_MODE_FS    BIT(3) /* FS has no limit, GS */
#define JIT_MODE_GS    BIT(4)
#define JIT_MODE_SSE   BIT(5) /* may run */
#define JIT_MODE_AVX   BIT(6)
#define JIT_MODE_X87   BIT(7)
#define JIT_MODE_FPEXC BIT(8)  /* MXCSR has unmasked exceptions */
#define JIT_MODE_USER  BIT(9)  /* of blocks only: accesses are the user's */
#define JIT_MODE_APART BIT(10) /* the same: no group of accesses is looked up at once */
#define JIT_MODE_CLEAN \
	BIT(11) /* of 32-bit code: the registers' upper halves are 0, and remain so */

#define JIT_DEAD_SIZE 9 /* of what takes the place of its first instructions when it is gone */

struct jit_block {
	uint32_t page, off; /* where it begins */
	uint32_t mode;
	uint32_t entry;	     /* offset in the code: for who has cs_page right */
	uint32_t ind;	     /* for who has the linear address in r9 */
	uint32_t page_entry; /* for who has v->g.page right and the flags in v->g.flags2 */
	uint32_t have_entry; /* for who has what it needs: JIT_RES_* */
	uint8_t needs;
	uint32_t next_hash, next_page; /* JIT_NONE: the last */
	/* Its only instruction ends in another page, which is this one: JIT_NONE if there is none. */
	uint32_t page2, next_page2;
	uint32_t span; /* then: offset in the code of what jit_span_word() is compared with; or 0 */
	bool dead;
};

/* A page that has blocks. */
struct jit_page {
	_Atomic uint32_t *word; /* ram.h */
	uint32_t value;		/* of it: blocks are good as long as it is the same */
	uint32_t first;		/* block */
	uint32_t first2;	/* block that ends in it */
	uint32_t next_hash;
	const uint8_t *host;
};

/* What may be due before a page fault of the operand: then the interpreter sorts it out. */
#define JIT_FIRST_ALIGN 1u /* #GP: the operand is not aligned to its size */
#define JIT_FIRST_X87	2u /* a pending x87 exception */
#define JIT_FIRST_STI	4u /* STI comes before it: no interrupt, whoever goes on elsewhere */

/* What follows a call of generated code into a stub. Unaligned. */
struct jit_site {
	/* From here to: the access again; the next instruction, 0: none. Of stub far_link: the target's
	 * offset from the page's beginning; where what jit_put_far() puts begins. ->access: its @any; ->size:
	 * it has looked into the table, too. Of stub link: @next: the 32 bits of the conditional jump that comes here and
	 * may as well go there itself; 0: none. */
	int32_t retry, next;
	uint32_t block;
	uint16_t off;	/* in the page: of the instruction; of stubs go and link: the target's */
	uint8_t len;	/* of the instruction */
	uint8_t size;	/* of the access */
	uint8_t access; /* enum soft_access; JIT_STRING_* */
	uint8_t flags_saved; /* the status flags are in ->flags2, not in the CPU */
	uint8_t first;	     /* JIT_FIRST_* */
	uint8_t have;	     /* JIT_RES_*: what is certain to be in the host's registers */
} __attribute__((packed));

/* What follows that of the first access of a group (jit_share.c). The jump to the block that does
 * without follows. Unaligned. */
struct jit_share_site {
	uint16_t rel;  /* from the group's lowest address to the access */
	uint16_t span; /* bytes from there on that the group touches */
	uint8_t stack; /* the stack's page is meant */
	uint8_t write; /* may all of it be written to? */
} __attribute__((packed));

/* -------- the regions of access sites: jit_region.c -------- */
#define JIT_REGIONS	  (1u << 18) /* at most; sites without one look into the TLB */
#define JIT_REGION_LOG	  4096	     /* of reads, of writes, that hold something at a time */
#define JIT_REGION_STUBS  6	     /* 1 to 32 bytes */
#define JIT_GIVEN_UP_BITS 12

/* What generated code uses; all 0 in the beginning. */
struct jit_region {
	uint64_t base;	/* linear; of a pair: minus that */
	uint64_t limit; /* an access may begin so far behind; 0: nowhere */
	uint8_t *host;	/* of the base */
	uint64_t delta; /* from linear to host addresses */
};
struct jit_region_state {
	uint64_t mask;	/* 0: on trial, it holds nothing; else all ones */
	int32_t left;	/* misses until jit_region_again() */
	uint32_t same;	/* of those in the same page as the one before */
	uint32_t drops; /* g.drops when it was last widened */
	uint8_t tries, level;
	bool pair;	     /* the next region is its other half */
	uint64_t page_limit; /* of one page */
};
struct jit_regions {
	struct jit_region region[JIT_REGIONS];
	struct jit_region_state state[JIT_REGIONS];
	struct jit_region_log {
		uint64_t n;
		struct jit_region *filled[JIT_REGION_LOG];
	} log[2]; /* reads, writes */
};

/* What generated code has beside it. */
#define JIT_LOST (1u << 16)
struct jit_data {
	struct jit_regions regions;
	/* Where indirect branches of hot code go on whose target the table does not have: jit_branch.c. */
	uint64_t lost[JIT_LOST];
};

struct jit_op_slot {
	_Atomic uint32_t *word;
	uint32_t value, off, code;
	uint32_t page2, value2; /* likewise of the page that it ends in: 0 and 0 for none */
	struct soft_op op;
};

/* Repeated MOVS, STOS, CMPS, SCAS: the ->access of their sites. */
#define JIT_STRINGS	    4
#define JIT_STRING_KIND	    3u
#define JIT_STRING_SI_FIRST 4u

struct jit_stubs {
	const uint8_t *enter, *slow, *slow_stack, *interp, *go, *link, *far_link, *stale,
		*stale_saved, *miss, *stray, *span;
	const uint8_t *leave, *load, *syscall, *sysret;
	const uint8_t *region[2][2][JIT_REGION_STUBS]; /* pair? writes? by log2 of the size */
	const uint8_t *region_share[2];		       /* writes? */
	const uint8_t *share, *share_stack, *link_apart;
	const uint8_t *slow_popped, *again_popped, *share_popped, *share_again_popped,
		*slow_stack_popped;
	const uint8_t *string[JIT_STRINGS][2][4][2]; /* REPNE? log2 of the size, 64-bit code? */
	const uint8_t *string_slow;
	const uint8_t *vec_store, *vec_load; /* clobber rax and flags */
	const void *ensured, *ensure_vec, *ensure_x87;
};

struct soft_lockstep;

struct soft_jit {
	struct soft_lockstep *lockstep; /* owned; NULL: off */
	struct exec_mem code;		/* ->used: up to JIT_COLD */
	size_t stubs_end, cold;		/* offset of what is free from JIT_COLD on */
	struct jit_stubs stub;
	uint32_t generation; /* changes when all blocks go */
	bool bmi2;	     /* the host has RORX */
	bool stale;	     /* the address map has changed: they must */
	bool give_back;	     /* with them, the memory that they have */
	int64_t idle_from,
		idle_cpu; /* jit_idle.c: since when, and the thread's CPU time then; 0: never */
	uint32_t mode;
	uint64_t
		local_gen; /* v->fetch_gen when system code was found on a page that is not global */
	uint32_t ids;	   /* given out so far */
	struct jit_id {
		uint64_t key;
		uint32_t mode, id;
	} id[1u << JIT_ID_BITS][JIT_ID_WAYS];
	uint32_t n_blocks, n_pages;
	struct jit_block *block; /* owned mappings: JIT_BLOCKS */
	struct jit_page *page;
	uint32_t hash[1u << JIT_HASH_BITS], page_hash[1u << JIT_PAGE_BITS];
	struct jit_op_slot op[1u << JIT_OP_BITS];
	struct jit_l1 l1[JIT_L1_SETS][SOFT_MMU_INDEXES][JIT_L1_SIZE];
	bool l1_used[JIT_L1_SETS][SOFT_MMU_INDEXES];
	_Alignas(64) struct jit_victim victim[JIT_L1_SIZE]; /* by place */
	/* Pages that have write tags, by hash: which, and in which entry; several of either: jit_tlb.c's MANY. */
	struct jit_written {
		const _Atomic uint32_t *code; /* the page's word; NULL: none */
		struct jit_l1 *entry;
	} l1_written[4096];
	uint32_t n_regions; /* that sites have */
	uint32_t n_lost;
	/* jit_region.c */
	uint32_t given_up[1u << JIT_GIVEN_UP_BITS], paired[1u << JIT_GIVEN_UP_BITS];
	/* What the vCPU was found at: by pieces of code, hashed. */
	struct jit_hot {
		uint32_t page, piece;
		uint8_t found;
		bool hot;
	} hot[256];
	uint64_t hot_tsc; /* when it was looked last */
	unsigned int hot_looks;
	bool hot_all;		      /* everything is: for tests */
	uint64_t l1_ctx[JIT_L1_SETS]; /* whose it is; 0: nobody's */
	uint64_t l1_at;		      /* v->l1_of is this one's */
	uint32_t l1_next;
	/* The page of the stack, of each address space: the kernel's, the user's; v->g.stack is that of
	 * *v->g.stack_at. */
	_Alignas(32) struct soft_stack_page stack[JIT_L1_SETS][2];
	struct soft_stack_page no_stack;
	uint32_t epoch;		 /* changes when something that was remembered is dropped */
	uint8_t no_page[0x1000]; /* where an empty one leads */
	/* Under soft.code_lock (jit.c): pages that were written to, for soft_jit_serve_code(). */
	struct soft_jit *next;
	struct soft_vcpu *owner;
	uint32_t n_inbox; /* > JIT_INBOX: too many to tell */
	_Atomic uint32_t *inbox[JIT_INBOX];
	/* Straight branches to other pages: where the code has the page that they are good for. */
	uint32_t n_fars;
	uint32_t *far; /* owned mapping: JIT_FARS */
	/* Instructions that the host's CPU may fault at: sorted by address. */
	uint32_t n_faults;
	struct jit_fault {
		uint32_t at, site;	  /* offsets in the code */
	} * fault;			  /* owned mapping: JIT_FAULTS */
	uint64_t interp_op[X86_OP_COUNT]; /* instructions that the interpreter carried out */
	struct jit_counters count;
	uint64_t n_given_up, n_paired; /* sites that look into the TLB again; that have pairs */
};

static inline struct jit_data *jit_data(const struct soft_jit *j)
{
	return (struct jit_data *)(void *)j->code.data;
}

/* -------- jit.c -------- */
/* False: there is no memory for code, or the host forbids it. */
bool soft_jit_new(struct soft_vcpu *v, struct error *err) MUST_USE;
void soft_jit_free(struct soft_vcpu *v);
/* All blocks go: the address map has changed, a new CPU model. Not from generated code. */
void soft_jit_reset(struct soft_vcpu *v);
/* The vCPU falls asleep: if it has hardly run for a while, its translations will go. */
void soft_jit_idle(struct soft_vcpu *v);
/* What blocks had, to the host; there are none now. */
void soft_jit_give_back(struct soft_jit *j);
/* SOFT_POLL_CODE was set: drop what others have written to. */
void soft_jit_serve_code(struct soft_vcpu *v);
/* Take up the context: v->cs_id, v->l1, mode. Generated code holds none of it across a call. */
void jit_sync(struct soft_vcpu *v);
bool jit_synced(struct soft_vcpu *v);
/* The block at linear @lin, translated if it is not there: its index. May raise. JIT_NONE: it cannot
 * be translated. */
uint32_t jit_find(struct soft_vcpu *v, uint64_t lin);
/* The same of JIT_MODE_APART. */
uint32_t jit_find_apart(struct soft_vcpu *v, uint64_t lin);
uint32_t jit_mode(const struct soft_vcpu *v);

/* The block is no more: who comes to it finds its successor. */
void jit_block_drop(struct soft_jit *j, uint32_t b);

/* The page behind that of v->g.page, where an instruction ends: its index, or JIT_NONE. May raise. */
uint32_t jit_next_page(struct soft_vcpu *v);

/* What code asks before it goes on into the next page: for which page and in which context that was found to
 * be the right one. The upper bits of a linear address are all the same; never 0 of one that is 0. */
#define JIT_SPAN_SHIFT 7
static inline uint64_t jit_span_word(const struct soft_vcpu *v)
{
	return (v->g.page << JIT_SPAN_SHIFT) + v->g.id;
}

/* -------- jit_run.c -------- */
/* Run generated code from v->rip on. False: there is none for that address, interpret it. May raise. */
bool soft_jit_run(struct soft_vcpu *v);
/* Its parts, for lockstep.c: find the code, NULL: none; run it. */
const uint8_t *jit_begin(struct soft_vcpu *v);
void jit_enter(struct soft_vcpu *v, const uint8_t *where);
/* A host exception at @pc in generated code: where to go on, with *@site for r10; NULL: not ours. */
const uint8_t *jit_fault_at(const uint8_t *pc, const uint8_t **site);

/* -------- jit_stubs.c -------- */
void jit_make_stubs(struct soft_jit *j);

/* -------- jit_level.c -------- */
/* After the others. */
void jit_make_level_stubs(struct jit_buf *b, struct jit_stubs *s);

/* -------- jit_miss.c -------- */
/* In front of stubs slow and share; share_stack and slow_stack: what is called with the linear address in r9 and goes on
 * with the host's, at the jump between the call and the site. */
void jit_make_slow_stub(struct jit_buf *b, struct soft_jit *j);
void jit_make_share_stub(struct jit_buf *b, struct soft_jit *j);
void jit_make_stack_stubs(struct jit_buf *b, struct jit_stubs *s);

/* -------- jit_res.c -------- */
void jit_make_res_stubs(struct jit_buf *b, struct jit_stubs *s);
/* The vector registers are in v->fpu, and generated code knows. */
void jit_res_init(struct soft_vcpu *v);

/* -------- jit_branch.c -------- */
/* A branch to another page: is this the page at @page, in context @id? Then the page is the one at @to, and
 * its code that at @target. Returns how many bytes are at @code; *@at: where @page is in it, whose lower half
 * JIT_FAR_NONE makes nobody's; *@jne: where those that are taken if not have their 32 bits. */
struct jit_far {
	uint64_t page, id, to;
	const uint8_t *target;
	bool wide; /* 64-bit code; then: */
	bool any;  /* the pages' addresses may be any, else they are 32 bits with sign */
};
#define JIT_FAR_MAX    64
#define JIT_FAR_NONE   1 /* as @page: no page begins there */
#define JIT_FAR_MISSES 64
unsigned int jit_put_far(
	uint8_t *code, const uint8_t *rx, const struct jit_far *f, uint8_t **at, uint8_t *jne[2]);

/* -------- jit_block.c -------- */
/* Translate from offset @off of @page's bytes on, as block @block (filled in). False: nothing can be. */
bool jit_translate(struct soft_vcpu *v, uint32_t block);

/* -------- jit_region.c -------- */
/* No region of any site holds anything any more; of no site that writes. No site has one any more. */
void jit_regions_clear(struct soft_jit *j, bool writes_only);
void jit_regions_reset(struct soft_jit *j);
void jit_make_region_stubs(struct jit_buf *b, struct soft_jit *j);
/* Site @s misses its region by @lin, which the TLB has, and not for the first time. */
void jit_region_again(
	struct soft_vcpu *v, const struct jit_site *s, uint64_t lin, enum soft_access access);

/* -------- jit_string.c -------- */
/* After those of jit_stubs.c. */
void jit_make_string_stubs(struct jit_buf *b, struct jit_stubs *s);
/* The pages that rSI and rDI are in, as far as string instruction @s uses them, to the TLB. False: they are not
 * both there. May raise what the instruction would. */
bool jit_string_fill(struct soft_vcpu *v, const struct jit_site *s);

/* -------- jit_hot.c -------- */
/* Generated code is about to be entered at v->rip: is it often there? May raise. */
void jit_hot_look(struct soft_vcpu *v);
/* Is what begins at @off of the page to have the translation of code that runs often? */
bool jit_is_hot(const struct soft_jit *j, uint32_t page, uint32_t off);

/* -------- jit_flags.c -------- */
/* Status flags that an instruction reads or lets through, and that it certainly writes (all of them:
 * X86_FLAGS_STATUS). */
struct jit_flags {
	uint16_t reads, writes;
};
struct jit_flags jit_flags_of(const struct x86_insn *i);

/* -------- jit_tlb.c -------- */
void jit_l1_clear(struct soft_vcpu *v);
void jit_l1_forget(struct soft_vcpu *v); /* the numbers of contexts begin again */
void jit_l1_init(struct soft_vcpu *v);
/* v->l1_of becomes the address space's at hand. */
void jit_l1_select(struct soft_vcpu *v);
/* v->l1 and v->g.stack become those of the privilege at hand. */
void jit_l1_use(struct soft_vcpu *v);
void jit_l1_drop_page(struct soft_vcpu *v, uint64_t lin);
/* These entries, of any sets, and whatever may have been remembered of them. */
void jit_l1_drop_entries(struct soft_vcpu *v, struct jit_l1 *const *e, unsigned int n);
/* Writes to the page with that word of code, NULL: any, are to be seen again. */
void jit_l1_drop_writes(struct soft_vcpu *v, const _Atomic uint32_t *code);
/* Is the page at linear @page such that addresses of 32-bit code near it do not wrap around? What such code
 * remembers for groups of accesses (the stack's page, regions) is nothing else: jit_direct.c. */
#define JIT_WRAP \
	0x2000ull /* below the last of these is where Linux has the stack of a 32-bit program */
static inline bool jit_wraps_not(uint64_t page)
{
	return page - JIT_WRAP < (1ull << 32) - 2 * JIT_WRAP;
}
/* Is what generated code compares the entry of @lin with such that @size bytes there may be accessed? */
bool jit_l1_has(
	const struct soft_vcpu *v, uint64_t lin, unsigned int size, enum soft_access access);
/* The page of @lin, which was just entered, is the stack's, if it may be read and written. */
void jit_stack_fill(struct soft_vcpu *v, uint64_t lin);
/* Host address of @size bytes at @lin for generated code; NULL: the interpreter must do it. May raise. */
uint8_t *jit_l1_fill(struct soft_vcpu *v, uint64_t lin, unsigned int size, enum soft_access access);

#endif
