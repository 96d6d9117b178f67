// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_tr - what the files that translate blocks share (jit_emit.c has the rules).
 *
 * A function emit_X(t, k) translates instruction @k of the block or returns false; then what it wrote is
 * dropped and the instruction is a call of the interpreter. Host r9 and r10 are free between
 * instructions, and nothing else is.
 */
#ifndef ACCEL_SOFT_JIT_TR_H
#define ACCEL_SOFT_JIT_TR_H

#include "accel/soft/jit.h"

#define JIT_ALL_FLAGS X86_FLAGS_STATUS
#define JIT_PAGE      0x1000
#define JIT_SLOW_MAX  (2 * JIT_INSNS)
#define JIT_SIDE_MAX  (JIT_INSNS + 1)

enum jit_way {	    /* what an access tries first */
	JIT_PROBE,  /* the TLB */
	JIT_SHARED, /* what its group has (jit_share.c) */
	JIT_REGION, /* the site's region */
	JIT_BY_SP,  /* the stack's page, but it is just an operand by the stack pointer */
	JIT_STACK,  /* the stack's page */
	JIT_STRING, /* a stub does; @ja: where its site's place is wanted */
};

/* Can its memory operand have any form? Those of vectors and x87 are [r9 + constant]. */
static inline bool jit_has_any_form(const struct x86_insn *i)
{
	return i->cls == X86_CLASS_INT || i->cls == X86_CLASS_GPR;
}

/* A register and a constant, which r9 becomes the distance for that is to be added: jit_direct.c. */
struct jit_direct {
	bool there;
	uint8_t base; /* host register */
	int32_t disp;
};

struct jit_slow { /* an access that the TLB does not know */
	uint8_t *ja, *retry;
	uint8_t insn, size, access;
	uint8_t how; /* enum jit_way */
	bool flags_saved;
	uint8_t have;		  /* JIT_STRING, JIT_SHARED: JIT_RES_* */
	uint32_t region;	  /* JIT_REGION: which */
	struct jit_direct direct; /* at @retry r9 is the distance */
	uint8_t kept; /* enum jit_share_how: r10 is it, and r9 this one's, to be had there (of @kept_region) */
	uint32_t kept_region;
	/* JIT_SHARED: */
	uint8_t *done;
	const struct jit_share *share;
	uint8_t shared_by; /* enum jit_share_how */
	uint16_t rel;	   /* from the group's lowest address */
};

/* -------- jit_share.c: accesses that are looked up at once -------- */
enum jit_slot {	     /* of an instruction's accesses */
	JIT_OPERAND, /* that ModRM names */
	JIT_IMPLIED, /* on the stack */
	JIT_SLOTS
};

enum jit_share_how { /* where the distance to the host's addresses is */
	JIT_SHARE_NOT_YET,
	JIT_SHARE_STACK,  /* F_STACK_DELTA */
	JIT_SHARE_REGION, /* of the group */
	JIT_SHARE_FRAME,  /* F_DELTA */
};

struct jit_share {	/* a group */
	int32_t lo, hi; /* from what the register was at first */
	uint32_t region;
	uint8_t base, index, scale; /* X86_REG_* */
	uint8_t how, slot;
	uint8_t n; /* accesses */
	bool write;
	bool needs_delta; /* r9 alone does not do */
	bool direct;	  /* jit_direct.c */
};

struct jit_member {
	int32_t at, adj; /* its address and the register, from what that was at first */
	uint8_t group;	 /* 1 + which; 0: none */
	uint8_t size;
};

/* A memory operand in host code: [base + index + disp]. */
struct jit_mem {
	uint8_t base, index; /* index R_SP: none */
	int32_t disp;
};

struct jit_side { /* a conditional branch that is taken */
	uint8_t *jcc;
	int64_t target; /* offset in the page, maybe beyond it */
	uint8_t insn, have;
};

struct jit_tr_fault { /* an instruction at which the host's CPU may fault */
	const uint8_t *at;
	uint8_t insn;
	bool flags_saved;
};

struct jit_miss { /* something that is not as it should be: the instruction is interpreted */
	uint8_t *jcc;
	uint8_t insn;
	bool flags_saved;
	int32_t undo_sp; /* what rSP is to be moved by first */
	uint64_t *lost;	 /* not @jcc: where this has its address, in struct jit_data; or NULL */
	bool go;	 /* rather: go on at @off of the page, or behind it */
	uint16_t off;
	bool far; /* rather: go on at @target from the page's beginning, see jit_put_far() at @start */
	bool far_any;
	uint8_t *jcc2; /* then: the other jump */
	int32_t target;
	uint8_t *start;
	bool back;    /* then go on with the next instruction */
	uint8_t have; /* JIT_RES_* there */
};
#define JIT_MISS_MAX (6 * JIT_INSNS)

struct jit_tr {
	struct jit_buf b;
	struct soft_vcpu *v;
	struct soft_jit *j;
	uint32_t block;
	const uint8_t *host, *host2; /* the page's bytes; the next one's, if it matters */
	uint32_t start;		     /* offset in the page */
	bool wide;		     /* 64-bit code */
	bool clean;		     /* JIT_MODE_CLEAN */
	bool ended;
	bool flags_saved; /* they are in v->g.flags2 */
	uint8_t have;	  /* JIT_RES_* */
	bool x87_page;	  /* v->g.x87_page is this one */
	uint8_t *last;	  /* the last copied instruction */
	bool spans;	  /* its only instruction ends in the next page */
	uint8_t *span_word, *span_jne, *span_back;
	bool end_dead; /* nobody reads flags behind the last instruction */
	bool hot;      /* its sites have regions */
	bool apart;    /* each access is looked up for itself */
	unsigned int n_share, next_delta;
	const struct jit_share *in_r9; /* r9 is the host's address of its lowest; or NULL */
	bool delta_in_r9;	       /* rather: the distance */
	bool r9_kept; /* by the instruction at hand, which has r10 for its own access */
	/* The block's first access is a group's: code behind its look-up, what is there, and where the group's
	 * register is still the same. */
	uint8_t *looked_up;
	uint8_t looked_up_have;
	uint32_t region_of
		[16][2][2]
		[2]; /* 1 + that of accesses by a register alone, 0: none; writes? wide? pair? */
	unsigned int n, n_slow, n_side, n_miss, n_fault;
	/* -- from here on not cleared -- */
	struct jit_miss miss[JIT_MISS_MAX];
	struct jit_slow slow[JIT_SLOW_MAX];
	struct jit_side side[JIT_SIDE_MAX];
	struct jit_tr_fault fault[JIT_FAULT_MAX];
	struct jit_share share[JIT_SLOTS * JIT_INSNS];
	struct jit_member member[JIT_INSNS][JIT_SLOTS];
	uint16_t off[JIT_INSNS + 1];
	uint16_t live[JIT_INSNS]; /* flags that must be kept before the instruction */
	bool dead[JIT_INSNS];	  /* nobody reads flags where it branches to */
	bool same[JIT_INSNS];	  /* behind it the first access would be the same group's again */
	uint8_t *end[JIT_INSNS];  /* code after it; NULL: it does not go on there */
	struct x86_insn insn[JIT_INSNS];
};

/* -------- jit_access.c -------- */
static inline void jit_call_stub(struct jit_tr *t, const uint8_t *stub)
{
	j_to(&t->b, 0xe8, stub);
}
static inline bool jit_fits32(int64_t x)
{
	return x == (int32_t)x;
}
/* A site of instruction @k; @put: here, and where that is. */
struct jit_site jit_site_of(const struct jit_tr *t, unsigned int k);
uint8_t *jit_put_site(struct jit_tr *t, const struct jit_site *s);
/* The guest's status flags to memory and back. r10 is lost. */
void jit_save_flags(struct jit_tr *t);
void jit_restore_flags(struct jit_tr *t);
/* Before the instruction itself is written: the flags that it reads or lets through are the CPU's. */
void jit_flags_before(struct jit_tr *t, unsigned int k);
/* Does it read flags, or let some through? Then that restores them, and r10 may be lost. */
bool jit_needs_flags(const struct jit_tr *t, unsigned int k);
/* The host register of guest register @g for reading: its own, or @scratch, loaded; after @scratch
 * was written in its place: stored. */
unsigned int jit_reg_in(struct jit_tr *t, unsigned int g, unsigned int scratch);
void jit_reg_out(struct jit_tr *t, unsigned int g, unsigned int scratch);
/* Can the address of the memory operand be computed? */
bool jit_ea_possible(const struct jit_tr *t, const struct x86_insn *i);
/* The linear address of @k's memory operand to r9. No flags change. r10 is lost. */
void jit_ea(struct jit_tr *t, unsigned int k);
/* The linear address in r9 becomes the host's of @size bytes. r10 is lost, flags too unless kept. If the
 * access cannot be made straight the whole instruction is interpreted: nothing may have changed yet. */
void jit_access(struct jit_tr *t, unsigned int k, unsigned int size, enum soft_access access);
/* Linear address of offset @off from the beginning of the block's page. */
void jit_lea_page(struct jit_tr *t, unsigned int reg, int64_t off);
/* Find @k's memory operand of @size bytes, as jit_ea() and jit_access() do. @m: it, good until r9, r10 or a
 * register that it names are changed. */
void jit_operand(struct jit_tr *t, unsigned int k, unsigned int size, enum soft_access access,
	struct jit_mem *m);
/* It becomes [r9]; [r9 + m->disp]. No flags change. */
void jit_mem_plain(struct jit_tr *t, struct jit_mem *m);
void jit_mem_base(struct jit_tr *t, struct jit_mem *m);
/* reg, operand @m */
void jit_rm(struct jit_tr *t, bool w, uint32_t op, unsigned int reg, const struct jit_mem *m);
/* An access that is not found, for the caller to say more. */
struct jit_slow *jit_slow_at(
	struct jit_tr *t, unsigned int k, unsigned int size, enum soft_access access);
/* r10 becomes the small TLB's entry that the address in r9 is to be in. @bmi2: does the host have it? The flags are lost. */
void jit_l1_entry(struct jit_buf *b, bool bmi2);
/* r10 becomes what leads there from the small TLB's beginning, of register @from. */
void jit_l1_index(struct jit_buf *b, bool bmi2, unsigned int from);
/* Look the linear address in r9 up: it becomes the host's. r10 is lost. Returns the jump that is taken when
 * it is not there; from there jit_probed_address() has the address in r9 again. */
uint8_t *jit_probe(struct jit_tr *t, unsigned int size, enum soft_access access);
void jit_probed_address(struct jit_tr *t, enum soft_access access);
/* Right after jit_probe(): r10 becomes the distance from linear to host addresses. */
void jit_probed_delta(struct jit_tr *t);
/* The same with the stack's page; then r9 is as it was. */
uint8_t *jit_stack_compare(struct jit_tr *t, unsigned int size);
/* r9 becomes the host's address of @size bytes at the linear address in it, which the stack pointer gave:
 * mostly in the page of the last one. @operand: it may well be in another one, which is no reason to take
 * that for the stack's page. */
void jit_stack_access(
	struct jit_tr *t, unsigned int k, unsigned int size, enum soft_access access, bool operand);
static inline unsigned int jit_slot_size(const struct jit_tr *t)
{
	return t->wide ? 8 : 4;
}
/* The slot that a push fills; the top of the stack. r10 is lost, the flags may be. */
void jit_push_slot(struct jit_tr *t, unsigned int k, struct jit_mem *m);
void jit_stack_top(struct jit_tr *t, unsigned int k, struct jit_mem *m);
void jit_move_sp(struct jit_tr *t, int32_t by);
/* JIT_FIRST_* */
uint8_t jit_first_of(const struct jit_tr *t, unsigned int k);
/* What an access that was not found comes to. */
void jit_emit_slow(struct jit_tr *t, const struct jit_slow *w);

/* -------- jit_direct.c -------- */
/* May the host's CPU add guest register @base, @disp and a distance by itself? */
bool jit_direct_ok(const struct jit_tr *t, unsigned int base, int64_t disp);
/* As jit_operand(), if it is one for that. r9 is the distance; or r10, if r9 can be kept as @in_r9 (or NULL) has it. */
bool jit_direct_operand(struct jit_tr *t, unsigned int k, unsigned int size,
	enum soft_access access, const struct jit_share *in_r9, struct jit_mem *m) MUST_USE;
/* r9 becomes the distance for @span bytes there by the small TLB: 64-bit code. r10 is lost. The jump is taken if it
 * is not there. */
uint8_t *jit_direct_probe(
	struct jit_tr *t, const struct jit_direct *d, unsigned int span, enum soft_access access);
/* r9 becomes the linear address. */
void jit_direct_linear(struct jit_tr *t, const struct jit_direct *d);
/* The host's address in r9 becomes the distance of @s; to @to. */
void jit_direct_found(struct jit_tr *t, const struct jit_slow *s, const uint8_t *to);
/* The same as jit_direct_linear(), of 32-bit code. The jump is taken if addresses or registers around there may
 * wrap around. r10 is lost. */
uint8_t *jit_direct_wraps(struct jit_tr *t, const struct jit_direct *d);

/* -------- jit_share.c -------- */
/* Which accesses of the block are groups. */
void jit_share_find(struct jit_tr *t);
/* No group has been looked up: the next of each is. */
void jit_share_forget(struct jit_tr *t);
/* Is there a group of the stack's, which would not do with another page of the stack in between? */
bool jit_share_has_stack(const struct jit_tr *t);
/* After @k: what host registers hold. */
void jit_share_note(struct jit_tr *t, unsigned int k);
/* May @k have r10 for its own access, since r9 is wanted as @g has it? */
bool jit_share_keeps(const struct jit_tr *t, unsigned int k, const struct jit_share *g);
/* r9 becomes the distance that @s has kept there. No flags change. */
void jit_share_load_kept(struct jit_tr *t, const struct jit_slow *s);
/* Branch @k goes back to the block's beginning: on behind its first access, if what that has found still holds. False:
 * nothing was written. The caller has asked whether somebody wants the vCPU's attention. */
bool jit_share_loop(struct jit_tr *t, unsigned int k);
/* If access @slot of @k is one of a group: as jit_operand(). */
bool jit_share_operand(struct jit_tr *t, unsigned int k, enum jit_slot slot, unsigned int size,
	enum soft_access access, struct jit_mem *m) MUST_USE;
void jit_emit_share_slow(struct jit_tr *t, const struct jit_slow *w);

/* -------- jit_region.c -------- */
/* A region for accesses of @span bytes around the address of @k's. False: there is none. */
bool jit_region_for_span(struct jit_tr *t, unsigned int k, unsigned int span, uint32_t *n) MUST_USE;
/* @to becomes the distance from linear to host addresses in a region. */
void jit_region_delta(struct jit_tr *t, uint32_t region, unsigned int to);
/* A group's was not found. Returns the jump with the host's address in r9 that jit_direct_found() is to take; or NULL:
 * there is none. */
uint8_t *jit_region_share_missed(struct jit_tr *t, const struct jit_slow *w);
/* The region that an access of @k is to have, to @n. False: there is none for it. */
bool jit_region_for(
	struct jit_tr *t, unsigned int k, unsigned int size, enum soft_access access, uint32_t *n);
/* The linear address in r9 becomes the host's if it is in the region; else the jump is taken that is
 * returned, for jit_region_missed(), after which the site is to follow. */
uint8_t *jit_region_check(struct jit_tr *t, uint32_t region);
void jit_region_missed(struct jit_tr *t, const struct jit_slow *w);
/* The same for jit_direct.c: @to, r9 or r10, becomes the distance for @d. Not r10 of a pair. */
uint8_t *jit_region_direct(
	struct jit_tr *t, uint32_t region, const struct jit_direct *d, unsigned int to);
bool jit_region_is_pair(const struct jit_tr *t, uint32_t region);
/* Which accesses by a register share theirs: none; those that go on to after @k. */
void jit_region_forget(struct jit_tr *t);
void jit_region_note(struct jit_tr *t, unsigned int k);

/* -------- jit_branch.c -------- */
/* The instruction at @at, which changes nothing if the host's CPU faults at it, is then instruction @k
 * interpreted. */
void jit_may_fault(struct jit_tr *t, unsigned int k, const uint8_t *at);
/* If @jcc (0x0f80 and on) jumps, @k is interpreted; nothing must have changed. */
void jit_miss(struct jit_tr *t, unsigned int k, uint32_t jcc);
/* The same for the caller to say more. */
struct jit_miss *jit_miss_at(struct jit_tr *t, unsigned int k, uint32_t jcc);
/* What is not as it should be, and what becomes of it; where the host's CPU may fault. */
void jit_emit_miss(struct jit_tr *t, const struct jit_miss *m);
void jit_emit_fault(struct jit_tr *t, const struct jit_tr_fault *f);
/* Compare the address in r9 with the entry that it leads to, whose index r10 becomes, for jit_jump_host();
 * r9 becomes what the block there wants. The flags are lost. */
struct jit_miss *jit_compare_goto(struct jit_tr *t, unsigned int k);
void jit_jump_host(struct jit_tr *t);
/* r10 becomes the index of the address in r9 in the table, in units of eight bytes. */
void j_goto_index(struct jit_buf *b);
/* To offset @target from the beginning of this page, which is in another one: straight, if that may be. */
bool jit_far_ok(const struct jit_tr *t, int64_t target);
void jit_emit_far(struct jit_tr *t, unsigned int k, int64_t target);
/* To offset @off of this page, which another block has. */
void jit_emit_link(struct jit_tr *t, int64_t off, const uint8_t *jcc);
/* A conditional branch that is taken. */
void jit_emit_side(struct jit_tr *t, const struct jit_side *s);
/* Instruction @k branches to offset @target of the page, or beyond it. @dead: nobody there reads flags. */
void jit_emit_branch(struct jit_tr *t, unsigned int k, int64_t target, bool dead);
/* Where direct branch @k leads, from the page's beginning; if it is not of another width. */
int64_t jit_target_of(const struct jit_tr *t, unsigned int k);
bool jit_branch_ok(const struct jit_tr *t, const struct x86_insn *i);
bool jit_emit_jcc(struct jit_tr *t, unsigned int k);
bool jit_emit_jmp(struct jit_tr *t, unsigned int k);
bool jit_emit_call(struct jit_tr *t, unsigned int k);
bool jit_emit_ret(struct jit_tr *t, unsigned int k);

/* -------- jit_emit.c -------- */
void jit_emit_insn(struct jit_tr *t, unsigned int k);

/* -------- jit_level.c -------- */
bool jit_emit_syscall(struct jit_tr *t, unsigned int k);
bool jit_emit_sysret(struct jit_tr *t, unsigned int k);

/* -------- jit_string.c -------- */
bool jit_emit_string(struct jit_tr *t, unsigned int k);

/* -------- jit_sys.c -------- */
bool jit_emit_sys(struct jit_tr *t, unsigned int k);
/* BT and its like, of memory and a register. */
bool jit_bit_mem(struct jit_tr *t, unsigned int k);
/* PUSH of memory, of the stack's width. */
bool jit_push_mem(struct jit_tr *t, unsigned int k);

/* The effective address, without the segment's base, to r9; to @to. No flags change. r10 is lost, and r9. */
void jit_ea_only(struct jit_tr *t, unsigned int k);
void jit_ea_to(struct jit_tr *t, unsigned int k, unsigned int to, bool w);

/* -------- jit_vec.c: instructions of the classes X87, MMX, SSE and AVX -------- */
bool jit_emit_vec(struct jit_tr *t, unsigned int k);
/* JIT_RES_*: what @i needs if it gets a translation. */
uint8_t jit_needs(const struct jit_tr *t, const struct x86_insn *i);
/* No flags change, no registers. */
void jit_ensure(struct jit_tr *t, uint8_t needs);

#endif
