// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_miss - what is found a little further than generated code looks, without C code.
 *
 * The small TLB (jit_tlb.c) has one place for pages 4 MiB apart, and a kernel's data and those of each CPU
 * may well lie so, or a program's stack and its heap. What has to leave a place is kept, as that place's victim; who does not find an
 * access's page looks there first, and if it is there the two change places. A victim is good in the set that it
 * comes from, and as long as nothing has been dropped from any: v->g.drops.
 *
 * Then it looks into the big TLB, which finds another place for each of them; only one of MISSES is entered into
 * the small one, which takes as long as all the others. The conditions are those of jit_l1_fill(), but that a page
 * with code is C code's business.
 *
 * The stack pointer may be in another page than it was, and that one the small TLB knows. The kernel's level has two stacks in use all the time: a system call comes in on the task's and leaves by
 * the one that its entry code has, an interrupt and the next task's are others. Generated code remembers one
 * page for each level. Who does not find it there, the first access of a group by the stack pointer
 * (jit_share.c) or one of a block that has no group, looks here before C code does: what jit_stack_fill() asks for, and what it
 * does. Nothing that was looked up by another page is still in use there.
 */
#include "accel/soft/jit_tr.h"

#define L1(member)     ((int32_t)offsetof(struct jit_l1, member))
#define SITE(member)   ((int32_t)offsetof(struct jit_site, member))
#define STACK(member)  ((int32_t)offsetof(struct soft_stack_page, member))
#define ENTRY(member)  ((int32_t)offsetof(struct soft_tlb_entry, member))
#define VICTIM(member) ((int32_t)offsetof(struct jit_victim, member))
#define GROUP(member)  ((int32_t)(sizeof(struct jit_site) + offsetof(struct jit_share_site, member)))
#define VICTIM_SHIFT   6
#define MISSES	       8
#define JA	       0x0f87u
#define JAE	       0x0f83u
#define JNE	       0x0f85u

/* cmp byte [r10 + off], 0 */
static void is_zero(struct jit_buf *b, int32_t off)
{
	j_rm(b, false, 0x80, 7, R_10, off);
	jb(b, 0);
}

/* -------- victims -------- */
/* r9 is the address, r10 the site: rax becomes the victim of the small TLB's entry, which is at rcx then. Returns
 * the jumps of who does not find the page there, allowed. r10 is lost. */
static void find_victim(struct jit_buf *b, const struct soft_jit *j, bool group, uint8_t *jne[4])
{
	_Static_assert(sizeof(struct jit_victim) == 1u << VICTIM_SHIFT, "shift");
	JCODE(b, "\x48\xb9"); /* mov rcx, imm64 */
	j64(b, (uintptr_t)j->victim);
	j_rr(b, false, OP_LOAD, R_AX, R_9);
	JCODE(b, "\xc1\xe8"); /* shr eax, */
	jb(b, 12 - VICTIM_SHIFT);
	jb(b, 0x25); /* and eax, */
	j32(b, (JIT_L1_SIZE - 1) << VICTIM_SHIFT);
	j_rr(b, true, 0x03, R_AX, R_CX); /* add */
	j_rm(b, true, OP_LOAD, R_CX, R_SP, F_L1);
	j_rm(b, true, 0x3b, R_CX, R_AX, VICTIM(set)); /* cmp */
	jne[0] = j_ahead(b, JNE);
	j_gs_load(b, R_CX, V_OFF(g.drops));
	j_rm(b, true, 0x3b, R_CX, R_AX, VICTIM(drops)); /* cmp */
	jne[1] = j_ahead(b, JNE);
	_Static_assert(offsetof(struct jit_victim, e.tag) == 0, ""); /* mov rcx, [rax + r10 * 8] */
	j_rm(b, false, 0x0fb6, R_10, R_10, group ? GROUP(write) : SITE(access)); /* movzx */
	JCODE(b, "\x4a\x8b\x0c\xd0");
	j_rr(b, true, 0x33, R_CX, R_9); /* xor */
	JCODE(b, "\x48\x81\xf9");	/* cmp rcx, */
	j32(b, JIT_PAGE);
	jne[2] = j_ahead(b, JAE);
	j_gs_load(b, R_10, V_OFF(g.site));
	j_rm(b, false, group ? 0x0fb7 : 0x0fb6, R_10, R_10, group ? GROUP(span) : SITE(size));
	j_rr(b, false, 0x03, R_10, R_CX); /* add */
	JCODE(b, "\x41\x81\xfa");	  /* cmp r10d, */
	j32(b, JIT_PAGE);
	jne[3] = j_ahead(b, JA);
}

/* The victim at rax and the entry that it was in change places. r9 becomes the host's address. */
static void exchange(struct jit_buf *b)
{
	j_rr(b, false, OP_LOAD, R_CX, R_9);
	JCODE(b, "\xc1\xe9"); /* shr ecx, */
	jb(b, 12 - JIT_L1_SHIFT);
	JCODE(b, "\x81\xe1"); /* and ecx, */
	j32(b, (JIT_L1_SIZE - 1) << JIT_L1_SHIFT);
	j_rm(b, true, 0x03, R_CX, R_SP, F_L1); /* add */
	JCODE(b, "\x41\x51");		       /* push r9 */
	for (int32_t at = 0; at < (int32_t)sizeof(struct jit_l1); at += 8) {
		j_rm(b, true, OP_LOAD, R_9, R_AX, at);
		j_rm(b, true, OP_LOAD, R_10, R_CX, at);
		j_rm(b, true, OP_STORE, R_9, R_CX, at);
		j_rm(b, true, OP_STORE, R_10, R_AX, at);
	}
	JCODE(b, "\x41\x59");			   /* pop r9 */
	j_rm(b, true, 0x03, R_9, R_CX, L1(delta)); /* add */
}

/* -------- accesses -------- */
/* rax: the entry of the big TLB that the address in r9 is to be in. rcx is lost. */
static void find_big(struct jit_buf *b)
{
	_Static_assert(sizeof(struct soft_tlb_entry) == 64 && SOFT_TLB_BITS == 10, "shifts");
	j_mov(b, R_AX, R_9);
	JCODE(b, "\x48\xc1\xe8\x0c");		      /* shr rax, 12 */
	JCODE(b, "\x89\xc1\x48\xc1\xe8\x0a\x31\xc8"); /* mov ecx, eax; shr rax, 10; xor eax, ecx */
	JCODE(b, "\x25");			      /* and eax, */
	j32(b, SOFT_TLB_SIZE - 1);
	JCODE(b, "\xc1\xe0\x06");			/* shl eax, 6 */
	j_gs(b, false, 0x0fb6, R_CX, V_OFF(mmu_index)); /* movzx */
	JCODE(b, "\xc1\xe1\x10");			/* shl ecx, 16 */
	j_rr(b, true, 0x03, R_AX, R_CX);		/* add */
	j_gs(b, true, 0x03, R_AX, V_OFF(tlb));		/* add */
}

/* Is it, with all of the access, and may that be? r10 is the site, and lost. */
static unsigned int compare(struct jit_buf *b, uint8_t *miss[3])
{
	uint8_t *read;

	j_mov(b, R_CX, R_9);
	JCODE(b, "\x48\x81\xe1"); /* and rcx, */
	j32(b, ~(JIT_PAGE - 1u));
	j_gs(b, true, 0x0b, R_CX, V_OFF(ctx));		  /* or */
	j_rm(b, false, 0x0fb6, R_10, R_10, SITE(access)); /* movzx */
	_Static_assert(
		offsetof(struct soft_tlb_entry, tag) == 0, ""); /* cmp rcx, [rax + r10 * 8] */
	JCODE(b, "\x4a\x3b\x0c\xd0");
	miss[0] = j_ahead(b, JNE);
	JCODE(b, "\x41\x83\xfa"); /* cmp r10d, */
	jb(b, SOFT_WRITE);
	read = j_ahead8(b, 0x75);
	j_rm(b, true, OP_LOAD, R_CX, R_AX, ENTRY(code));
	JCODE(b, "\xf6\x01\x01"); /* test byte [rcx], 1 */
	miss[1] = j_ahead(b, JNE);
	j_here8(b, read);
	j_gs_load(b, R_10, V_OFF(g.site));
	j_rm(b, false, 0x0fb6, R_10, R_10, SITE(size)); /* movzx */
	j_rr(b, false, OP_LOAD, R_CX, R_9);
	JCODE(b, "\x81\xe1"); /* and ecx, */
	j32(b, JIT_PAGE - 1);
	j_rr(b, false, 0x03, R_CX, R_10); /* add */
	JCODE(b, "\x81\xf9");		  /* cmp ecx, */
	j32(b, JIT_PAGE);
	miss[2] = j_ahead(b, 0x0f87);
	return 3;
}

static void give_all_back(struct jit_buf *b)
{
	j_gs_load(b, R_CX, V_OFF(g.save_cx));
	j_gs_load(b, R_AX, V_OFF(g.save));
}

/* To where site g.site has the access again. */
static void again(struct jit_buf *b)
{
	j_gs_load(b, R_10, V_OFF(g.site));
	j_rm(b, true, 0x63, R_AX, R_10, SITE(retry)); /* movsxd */
	j_rr(b, true, 0x03, R_10, R_AX);	      /* add */
	give_all_back(b);
	JCODE(b, "\x41\xff\xe2"); /* jmp r10 */
}

/* From the victim, or behind this. r10, rax and rcx are saved, and lost. */
static void try_victim(struct jit_buf *b, const struct soft_jit *j, bool group)
{
	uint8_t *jne[4];

	j_gs_store(b, R_10, V_OFF(g.site));
	j_gs_store(b, R_AX, V_OFF(g.save));
	j_gs_store(b, R_CX, V_OFF(g.save_cx));
	find_victim(b, j, group, jne);
	exchange(b);
	again(b);
	for (unsigned int n = 0; n < ARRAY_SIZE(jne); n++)
		j_here(b, jne[n]);
}

void jit_make_slow_stub(struct jit_buf *b, struct soft_jit *j)
{
	struct jit_stubs *s = &j->stub;
	const uint8_t *slow = s->slow_popped;
	uint8_t *miss[3], *fill;
	unsigned int n;

	s->slow = b->p + b->to_rx;
	JCODE(b, "\x41\x5a"); /* pop r10 */
	s->slow_popped = b->p + b->to_rx;
	is_zero(b, SITE(first));
	j_to(b, JNE, slow);
	try_victim(b, j, false);
	j_gs(b, false, 0x83, 5, V_OFF(g.misses)); /* sub */
	jb(b, 1);
	fill = j_ahead(b, 0x0f88); /* js */
	j_gs_load(b, R_10, V_OFF(g.site));
	find_big(b);
	n = compare(b, miss);
	j_rm(b, true, 0x03, R_9, R_AX, ENTRY(addend)); /* add */
	again(b);
	while (n)
		j_here(b, miss[--n]);
	j_here(b, fill);
	give_all_back(b);
	j_gs_load(b, R_10, V_OFF(g.site));
	j_gs_imm(b, V_OFF(g.misses), MISSES - 1);
	j_to(b, 0xe9, slow);
}

void jit_make_share_stub(struct jit_buf *b, struct soft_jit *j)
{
	struct jit_stubs *s = &j->stub;
	const uint8_t *slow = s->share_popped;

	s->share = b->p + b->to_rx;
	JCODE(b, "\x41\x5a"); /* pop r10 */
	s->share_popped = b->p + b->to_rx;
	is_zero(b, SITE(first));
	j_to(b, JNE, slow);
	is_zero(b, GROUP(stack));
	j_to(b, JNE, slow);
	try_victim(b, j, true);
	give_all_back(b);
	j_gs_load(b, R_10, V_OFF(g.site));
	j_to(b, 0xe9, slow);
}

/* -------- the stack's page -------- */
/* Called: all is 8 bytes further up in the frame, and behind the call's site is a jump to where it goes on. */
#define CALLED	 8
#define JMP_SIZE 5

/* With SMAP lifted not all of the kernel's code may use what is found: C code sees to that. Returns its jump. */
static uint8_t *not_lifted(struct jit_buf *b)
{
	uint8_t *over, *slow;

	j_gs_byte(b, 7, V_OFF(mmu_index), SOFT_MMU_KERNEL_AC);
	over = j_ahead8(b, 0x75);
	j_gs(b, false, 0xf7, 0, V_OFF(cr4)); /* test */
	j32(b, X86_CR4_SMAP);
	slow = j_ahead(b, JNE);
	j_here8(b, over);
	return slow;
}

/* The access by the address in r9: is it all in its page? Who calls has seen to that for a group. */
static uint8_t *in_page(struct jit_buf *b)
{
	j_rm(b, true, OP_LOAD, R_10, R_SP, 0);
	j_rm(b, false, 0x0fb6, R_10, R_10, JMP_SIZE + SITE(size)); /* movzx */
	j_lea_index(b, true, R_10, R_10, R_9, 0, -1);
	j_rr(b, true, 0x33, R_10, R_9); /* xor */
	JCODE(b, "\x49\x81\xfa");	/* cmp r10, */
	j32(b, JIT_PAGE);
	return j_ahead(b, 0x0f83);
}

/* r10: the entry of the address in r9, which goes to v->g.save; r9: its page. Returns the jumps of who does not
 * find it. */
static void find(struct jit_buf *b, uint8_t *jne[2])
{
	j_gs_store(b, R_9, V_OFF(g.save));
	j_rr(b, false, OP_LOAD, R_10, R_9);
	JCODE(b, "\x41\xc1\xea"); /* shr r10d, */
	jb(b, 12 - JIT_L1_SHIFT);
	JCODE(b, "\x41\x81\xe2"); /* and r10d, */
	j32(b, (JIT_L1_SIZE - 1) << JIT_L1_SHIFT);
	j_rm(b, true, 0x03, R_10, R_SP, CALLED + F_L1); /* add */
	JCODE(b, "\x49\x81\xe1");			/* and r9, */
	j32(b, ~(JIT_PAGE - 1u));
	for (int a = SOFT_READ; a <= SOFT_WRITE; a++) {
		j_rm(b, true, 0x3b, R_9, R_10, L1(tag) + 8 * a); /* cmp */
		jne[a] = j_ahead(b, JNE);
	}
}

/* r9 becomes the host's address. */
static void remember(struct jit_buf *b)
{
	j_rm(b, true, OP_LOAD, R_10, R_10, L1(delta));
	j_gs_store(b, R_9, V_OFF(g.stack.tag));
	j_rm(b, true, OP_STORE, R_9, R_SP, CALLED + F_STACK_TAG);
	j_gs_store(b, R_10, V_OFF(g.stack.delta));
	j_rm(b, true, OP_STORE, R_10, R_SP, CALLED + F_STACK_DELTA);
	j_gs_load(b, R_9, V_OFF(g.stack_at));
	j_rm(b, true, OP_STORE, R_10, R_9, STACK(delta));
	j_rm(b, true, OP_LOAD, R_10, R_SP, CALLED + F_STACK_TAG);
	j_rm(b, true, OP_STORE, R_10, R_9, STACK(tag));
	j_gs_load(b, R_9, V_OFF(g.save));
	j_rm(b, true, 0x03, R_9, R_SP, CALLED + F_STACK_DELTA); /* add */
}

static const uint8_t *make_stack_stub(struct jit_buf *b, const uint8_t *slow, bool group)
{
	const uint8_t *start = b->p + b->to_rx;
	uint8_t *lifted = not_lifted(b), *ja = group ? NULL : in_page(b), *jne[2];

	find(b, jne);
	remember(b);
	jb(b, 0xc3); /* ret */
	j_here(b, jne[0]);
	j_here(b, jne[1]);
	j_gs_load(b, R_9, V_OFF(g.save));
	j_here(b, lifted);
	if (ja)
		j_here(b, ja);
	JCODE(b, "\x41\x5a"); /* pop r10 */
	j_lea(b, true, R_10, R_10, JMP_SIZE);
	j_to(b, 0xe9, slow);
	return start;
}

void jit_make_stack_stubs(struct jit_buf *b, struct jit_stubs *s)
{
	s->share_stack = make_stack_stub(b, s->share_popped, true);
	s->slow_stack = make_stack_stub(b, s->slow_stack_popped, false);
}
