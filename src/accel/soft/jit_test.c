// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What becomes of translated code when the world around it changes. (Whether it does what its instructions
 * say is tests/cpu/difftest's business.)
 */
#include "accel/soft/jit_testing.h"

#define LIN  0x40000000ull
#define CODE DATA /* guest-physical */

static int setup_jit(void **state)
{
	jit_test_begin(state);
	for (uint64_t i = 0; i < 64; i++)
		map(e, LIN + 0x1000 * i, CODE + 0x1000 * i, W);
	return 0;
}

/* Run from @lin to a HLT, which programs must not; what is in eax then. */
static uint32_t run_from(uint64_t lin)
{
	struct soft_event ev = { .vector = 255 };

	v->rip = lin;
	v->halted = false;
	v->mp_state = X86_MP_RUNNABLE;
	v->gpr[X86_RAX] = 0;
	for (int i = 0; i < 1000 && !v->halted && ev.vector == 255; i++)
		soft_vcpu_turns(v, 100000, v->cpl ? &ev : NULL);
	assert_true(v->halted || ev.vector == X86_EXC_GP);
	assert_true(v->jit->count.blocks > 0);
	return (uint32_t)v->gpr[X86_RAX];
}

static void device_writes_code(void **state)
{
	static const uint8_t one[] = { 0xb8, 1, 0, 0, 0, 0xf4 }; /* mov eax, 1; hlt */
	static const uint8_t call[] = { 0xe8, 0xfb, 0x0f, 0, 0, 0xf4 };
	static const uint8_t two[] = { 0xb8, 2, 0, 0, 0, 0xc3 },
			     three[] = { 0xb8, 3, 0, 0, 0, 0xc3 };

	put_at(CODE, one, sizeof(one));
	assert_int_equal(run_from(LIN), 1);
	/* By linear address: to the next page and back. */
	put_at(CODE, call, sizeof(call));
	put_at(CODE + 0x1000, two, sizeof(two));
	v->gpr[X86_RSP] = LIN + 0x20000;
	assert_int_equal(run_from(LIN), 2);
	for (int i = 0; i < 100; i++) {
		put_at(CODE + 0x1000, i & 1 ? two : three, sizeof(two));
		assert_int_equal(run_from(LIN), i & 1 ? 2 : 3);
	}
	/* More at once than are remembered. */
	for (uint64_t i = 2; i < 60; i++) {
		put_at(CODE + 0x1000 * i, one, sizeof(one));
		assert_int_equal(run_from(LIN + 0x1000 * i), 1);
	}
	for (int n = 0; n < 3; n++)
		for (uint64_t i = 2; i < 60; i++) {
			uint8_t code[] = { 0xb8, (uint8_t)(n + i), 0, 0, 0, 0xf4 };

			put_at(CODE + 0x1000 * i, code, sizeof(code));
		}
	for (uint64_t i = 2; i < 60; i++)
		assert_int_equal(run_from(LIN + 0x1000 * i), 2 + i);
}

static void over_a_page_end(void **state)
{
	static const uint8_t head[] = { 0xb8, 0x11, 0x22 }; /* mov eax, 0x....2211 */
	static const uint8_t a[] = { 0x33, 0x44, 0xf4 }, b[] = { 0x55, 0x66, 0xf4 };
	static const uint8_t c[] = { 0x77, 0x88, 0xf4 };
	uint64_t start = LIN + 0xffd, next = LIN + 0x1000;

	put_at(CODE + 0xffd, head, sizeof(head));
	put_at(CODE + 0x1000, a, sizeof(a));
	put_at(CODE + 0x5000, b, sizeof(b));
	for (int i = 0; i < 10; i++) {
		assert_int_equal(run_from(start), 0x44332211);
		map(e, next, CODE + 0x5000, W);
		fine(v, soft_tlb_flush_page(v, next));
		assert_int_equal(run_from(start), 0x66552211);
		map(e, next, CODE + 0x1000, W);
		fine(v, soft_tlb_flush_page(v, next));
	}
	assert_int_equal(run_from(start), 0x44332211);
	put_at(CODE + 0x1000, c, sizeof(c));
	assert_true(run_from(start) == 0x88772211);
}

/* The number that stands for a context comes again when all have been given out. */
static void over_a_page_end_ids(void **state)
{
	static const uint8_t head[] = { 0xb8, 0x11, 0x22 };
	static const uint8_t a[] = { 0x33, 0x44, 0xf4 }, b[] = { 0x55, 0x66, 0xf4 };
	uint64_t start = LIN + 0xffd;
	uint32_t ids;

	put_at(CODE + 0xffd, head, sizeof(head));
	put_at(CODE + 0x1000, a, sizeof(a));
	put_at(CODE + 0x5000, b, sizeof(b));
	assert_int_equal(run_from(start), 0x44332211);
	ids = v->jit->ids;
	map(e, LIN + 0x1000, CODE + 0x5000, W);
	v->jit->ids = 0x7fff;
	fine(v, soft_tlb_flush(v, true));
	assert_int_equal(run_from(start), 0x66552211);
	assert_int_equal(v->jit->ids, ids);
	/* The page before and a number that is as much larger. */
	map(e, LIN - 0x1000, CODE, W);
	map(e, LIN, CODE + 0x1000, W);
	v->jit->ids = 0x1000;
	fine(v, soft_tlb_flush(v, true));
	assert_int_equal(run_from(start - 0x1000), 0x44332211);
	assert_int_equal(v->jit->ids, 0x1000 + ids);
}

/* A long chain of blocks: add eax, 1; jmp to the next, every second one in another page. */
static void put_chain(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		uint64_t at = (i & 31) * 0x1000 + (i >> 5) * 16;
		uint64_t to = ((i + 1) & 31) * 0x1000 + ((i + 1) >> 5) * 16;
		uint8_t code[] = { 0x83, 0xc0, 0x01, 0xe9, 0, 0, 0, 0 };
		int32_t d = (int32_t)(to - (at + sizeof(code)));

		memcpy(code + 4, &d, 4);
		if (i + 1 == n)
			code[3] = 0xf4;
		put_at(CODE + at, code, sizeof(code));
	}
}

static void no_room(void **state)
{
	unsigned int n = 32 * 200;

	put_chain(n);
	v->jit->code.size = JIT_COLD + JIT_ROOM + 0x10000;
	for (int i = 0; i < 5; i++)
		assert_int_equal(run_from(LIN), n);
	assert_true(v->jit->count.resets > 10);
}

static void no_more_contexts(void **state)
{
	put_chain(64);
	for (int i = 0; i < 70000; i++) {
		soft_tlb_flush(v, i & 1);
		assert_int_equal(run_from(LIN), 64);
	}
}

/* Nothing of an address space is left when its tables change. */
static void data_moves(void **state)
{
	/* mov eax, [rbx]; add eax, [rbx + 4]; mov [rbx + 8], eax; hlt */
	static const uint8_t code[] = { 0x8b, 0x03, 0x03, 0x43, 0x04, 0x89, 0x43, 0x08, 0xf4 };
	uint64_t data = LIN + 0x30000;
	uint32_t *page[2];

	put_at(CODE, code, sizeof(code));
	for (unsigned int k = 0; k < 2; k++) {
		page[k] = (uint32_t *)(void *)(e->ram->host + CODE + 0x20000 + 0x1000 * k);
		page[k][0] = 100 + k;
		page[k][1] = 1000;
	}
	v->gpr[X86_RBX] = data;
	for (unsigned int i = 0; i < 1000; i++) {
		if (i == 500) {
			v->jit->hot_all = true;
			soft_jit_reset(v);
		}
		map(e, data, CODE + 0x20000 + 0x1000 * (i & 1), W);
		fine(v, soft_tlb_flush_page(v, data));
		page[i & 1][1] = i;
		assert_int_equal(run_from(LIN), 100 + (i & 1) + i);
		assert_int_equal(page[i & 1][2], 100 + (i & 1) + i);
	}
}

/* ---- code that runs often: its accesses keep to where the last one was ---- */

#define CHASE 0x10000u

/* mov rbx, [rbx]; mov [rdx], ebx; dec ecx; jnz; mov eax, [rdx]; hlt: through @pages pages by turns. */
static void chase(unsigned int pages, unsigned int count, unsigned int stays)
{
	static const uint8_t code[] = { 0x48, 0x8b, 0x1b, 0x89, 0x1a, 0xff, 0xc9, 0x75, 0xf7, 0x8b,
		0x02, 0xf4 };
	uint64_t data = LIN + CHASE, n = 0;

	put_at(CODE, code, sizeof(code));
	for (unsigned int i = 0; i < pages * stays; i++) {
		unsigned int next = (i + 1) % (pages * stays);
		uint64_t to = data + next / stays * 0x1000 + next % stays * 8;
		uint64_t at = CODE + CHASE + (15 - i / stays) * 0x1000 + i % stays * 8;

		/* Not in one piece. */
		map(e, data + i / stays * 0x1000, at & ~0xfffull, W);
		memcpy(e->ram->host + at, &to, 8);
	}
	v->gpr[X86_RBX] = data;
	v->gpr[X86_RDX] = data + 0x1f008;
	v->gpr[X86_RCX] = count;
	n = count % (pages * stays);
	assert_int_equal(run_from(LIN), (uint32_t)(data + n / stays * 0x1000 + n % stays * 8));
}

static void sites_keep_to_regions(void **state)
{
	v->jit->hot_all = true;
	chase(1, 1000, 4);
	assert_int_equal(v->jit->n_regions, 2); /* those by RDX are a group */
	chase(8, 100000, 400);			/* to the next page now and then */
	assert_int_equal(v->jit->n_given_up, 0);
	chase(9, 100000, 1); /* with each access: that site, and no other, does without */
	assert_int_equal(v->jit->n_given_up, 1);
	chase(16, 1000, 7);
}

/* By turns in two pages: a pair. What it remembers of either goes when that page does. */
static void two_pages_by_turns(void **state)
{
	uint64_t data = LIN + CHASE, other = CODE + 0x38000, page;

	v->jit->hot_all = true;
	chase(2, 100000, 2);
	assert_int_equal(v->jit->n_paired, 1);
	for (unsigned int i = 0; i < 100; i++) {
		page = data + (i & 1) * 0x1000;
		chase(2, 1000 + i, 2);
		memcpy(e->ram->host + other, &page, 8);
		map(e, page, other, W);
		fine(v, soft_tlb_flush_page(v, page));
		v->gpr[X86_RBX] = page;
		v->gpr[X86_RCX] = 10;
		assert_int_equal(run_from(LIN), (uint32_t)page);
		map(e, page, CODE + CHASE + 0xf000 - (i & 1) * 0x1000, W);
		if (i & 2)
			fine(v, soft_tlb_flush_page(v, page));
		else
			soft_tlb_flush(v, i & 4);
	}
	assert_int_equal(v->jit->n_paired, 1);
	assert_int_equal(v->jit->n_given_up, 0);
	chase(6, 100000, 2); /* more pages, some of them of one kind: that is no pair */
	assert_int_equal(v->jit->n_given_up, 1);
}

static void regions_go_with_translations(void **state)
{
	uint64_t data = LIN + CHASE, other = CODE + 0x38000;

	v->jit->hot_all = true;
	for (unsigned int i = 0; i < 100; i++) {
		chase(1, 10, 3);
		/* The same page elsewhere, where the pointers lead in another circle. */
		memcpy(e->ram->host + other, &(uint64_t){ data }, 8);
		map(e, data, other, W);
		fine(v, soft_tlb_flush_page(v, data));
		v->gpr[X86_RBX] = data;
		v->gpr[X86_RCX] = 10;
		assert_int_equal(run_from(LIN), (uint32_t)data);
		map(e, data, CODE + CHASE + 0xf000, W);
		soft_tlb_flush(v, i & 1);
	}
}

static void what_runs_often_is_hot(void **state)
{
	uint64_t blocks;

	chase(1, 1000, 4);
	assert_int_equal(v->jit->n_regions, 0);
	v->rip = LIN;
	for (unsigned int i = 0; i < 10; i++) {
		v->jit->hot_tsc = 0;
		fine(v, jit_hot_look(v));
	}
	assert_true(jit_is_hot(v->jit, 0, 0));
	assert_false(jit_is_hot(v->jit, 0, 0x800));
	blocks = v->jit->count.blocks;
	chase(1, 1000, 5);
	assert_true(v->jit->count.blocks > blocks);
	assert_in_range(v->jit->n_regions, 3, 9);
}

/* Two accesses by one register, the second to where the first one's entry says that nothing may be written:
 * that must not be taken for an address. */
static void read_here_write_there(void **state)
{
	/* mov eax, [rbx]; mov [rbx + ...], eax; hlt */
	uint8_t code[] = { 0x8b, 0x03, 0x89, 0x83, 0, 0, 0, 0, 0xf4 };
	uint64_t data = LIN + 0x30000;
	uint32_t *page = (uint32_t *)(void *)(e->ram->host + CODE + 0x30000);

	map(e, data, CODE + 0x30000, 0);
	fine(v, soft_tlb_flush_page(v, data));
	page[0] = 0x1234;
	for (uint64_t there = 0; there < 0x400000; there += 0x1000) {
		int32_t d = (int32_t)(there + 8 - data);

		memcpy(code + 4, &d, 4);
		put_at(CODE, code, sizeof(code));
		for (int i = 0; i < 3; i++) {
			struct soft_event event = { 0 };

			v->rip = LIN;
			v->gpr[X86_RBX] = data;
			soft_vcpu_turns(v, 100000, &event);
			assert_int_equal(event.vector, X86_EXC_PF);
			assert_int_equal(event.cr2, there + 8);
			assert_int_equal(page[2], 0);
		}
	}
}

/* 64-bit code, or 32-bit code with flat segments, of a level. */
static void code_size(bool wide, unsigned int cpl)
{
	for (int i = 0; i < X86_NSEG; i++)
		v->seg[i] = (struct x86_segment){ .limit = UINT32_MAX, .attr = 0xc093 | cpl << 5 };
	set_cpl(v, cpl);
	if (!wide) {
		v->seg[X86_CS].attr = 0xc09b | cpl << 5;
		soft_mode_changed(v);
	}
}

/* Two pages of code that lead to each other: the same page leads to what lies behind it where it is. */
static void straight_to_other_pages(void **state)
{
	static const uint8_t a[] = { 0xf9, 0xe9, 0xfa, 0x0f, 0, 0 }; /* stc; jmp to the next page */
	/* adc eax, 0; dec ecx; jnz back; hlt */
	uint8_t c[] = { 0x83, 0xd0, 0, 0xff, 0xc9, 0x0f, 0x85, 0xf5, 0xef, 0xff, 0xff, 0xf4 };
	static const uint64_t at[] = { LIN, LIN + 0x100000, 0x7fffd000, 0x7ffff000,
		0xffffffff90000000, 0xfffffffffffff000, 0xffffffff7ffff000, 0x7fff12345000 };
	uint64_t n = 0;

	put_at(CODE, a, sizeof(a));
	put_at(CODE + 0x1000, c, sizeof(c));
	c[2] = 1;
	put_at(CODE + 0x2000, c, sizeof(c));
	for (unsigned int i = 0; i < ARRAY_SIZE(at); i++) {
		map(e, at[i], CODE, W | G | U);
		map(e, at[i] + 0x1000, CODE + (i & 1 ? 0x2000 : 0x1000), W | G | U);
	}
	for (int k = 0; k < 800; k++) {
		unsigned int i = (unsigned int)(k * k / 3) % ARRAY_SIZE(at);
		bool wide = at[i] >> 32 || k & 8;

		code_size(wide, k & 4 ? 3 : 0);
		v->gpr[X86_RCX] = 100;
		assert_int_equal(run_from(at[i]), i & 1 ? 200 : 100);
	}
	n = v->jit->interp_op[X86_OP_JMP];
	assert_true(n < 800);
	/* What lies behind changes. */
	for (int k = 0; k < 100; k++) {
		code_size(true, k < 50 ? 0 : 3);
		map(e, LIN + 0x1000, CODE + (k & 1 ? 0x2000 : 0x1000), W | G | U);
		fine(v, soft_tlb_flush_page(v, LIN + 0x1000));
		v->gpr[X86_RCX] = 100;
		assert_int_equal(run_from(LIN), k & 1 ? 200 : 100);
	}
	/* Its code changes. */
	for (int k = 0; k < 100; k++) {
		code_size(true, k < 50 ? 0 : 3);
		c[2] = (uint8_t)k;
		put_at(CODE + 0x2000, c, sizeof(c));
		v->gpr[X86_RCX] = 100;
		assert_int_equal(run_from(LIN), 100 * (k + 1));
	}
}

static void straight_to_other_pages_ids(void **state)
{
	static const uint8_t a[] = { 0xe9, 0xfb, 0x0f, 0, 0 }; /* jmp to the next page */
	static const uint8_t b[] = { 0x83, 0xc0, 1, 0xf4 }, c[] = { 0x83, 0xc0, 2, 0xf4 };
	uint32_t ids;

	put_at(CODE, a, sizeof(a));
	put_at(CODE + 0x1000, b, sizeof(b));
	put_at(CODE + 0x2000, c, sizeof(c));
	for (int i = 0; i < 3; i++)
		assert_int_equal(run_from(LIN), 1);
	ids = v->jit->ids;
	map(e, LIN + 0x1000, CODE + 0x2000, W);
	v->jit->ids = 0x7fff;
	fine(v, soft_tlb_flush(v, true));
	for (int i = 0; i < 3; i++)
		assert_int_equal(run_from(LIN), 2);
	assert_int_equal(v->jit->ids, ids);
}

/* A loop through two pages is left when somebody wants something. */
static void loop_is_polled(void **state)
{
	static const uint8_t a[] = { 0xe9, 0xfb, 0x0f, 0, 0 },
			     b[] = { 0xe9, 0xfb, 0xef, 0xff, 0xff };

	put_at(CODE, a, sizeof(a));
	put_at(CODE + 0x1000, b, sizeof(b));
	v->rip = LIN;
	for (int i = 0; i < 100; i++) {
		soft_notify(v, SOFT_POLL_NMI);
		soft_vcpu_turns(v, 100000, NULL);
		atomic_store(&v->poll, 0);
	}
}

/* The vCPU's own store. */
static void store(uint64_t off, unsigned int size, uint64_t value)
{
	fine(v, soft_store(v, X86_DS, LIN + off, size, value));
}

/* Stores beside code leave it alone, from the page's second change on. */
static void data_beside_code(void **state)
{
	/* mov eax, [rbx]; inc eax; mov [rbx], eax; dec ecx; jnz back; hlt */
	static const uint8_t code[] = { 0x8b, 0x03, 0xff, 0xc0, 0x89, 0x03, 0xff, 0xc9, 0x75, 0xf6,
		0xf4 };
	uint64_t dropped;

	put_at(CODE, code, sizeof(code));
	for (unsigned int i = 0; i < 50; i++) {
		uint64_t at = 0x80 * (i % 31 + 1) + 4 * i % 0x7c;

		store(at, 4, 0);
		dropped = v->jit->count.dropped;
		v->gpr[X86_RBX] = LIN + at;
		v->gpr[X86_RCX] = 1000;
		assert_int_equal(run_from(LIN), 1000);
		assert_in_range(v->jit->count.dropped - dropped, 0, 6);
	}
}

/* What a block has looked at beyond itself counts as its bytes: where it branches to, flags were dead. */
static void code_elsewhere_changes(void **state)
{
	/* stc; mov edx, [rbx]; jmp 0x800 */
	static const uint8_t a[] = { 0xf9, 0x8b, 0x13, 0xe9, 0xf8, 0x07, 0, 0 };
	/* cmp ecx, ecx; adc eax, 0; hlt */
	static const uint8_t b[] = { 0x39, 0xc9, 0x83, 0xd0, 0, 0xf4 };

	put_at(CODE, a, sizeof(a));
	put_at(CODE + 0x800, b, sizeof(b));
	v->gpr[X86_RBX] = LIN + 0x30000;
	for (int i = 0; i < 20; i++) {
		store(0x800, 2, 0xc939);
		assert_int_equal(run_from(LIN), 0);
		store(0x800, 2, 0x9090);
		assert_int_equal(run_from(LIN), 1);
	}
}

/* A guest that translates: functions are added to the page, and made anew, between calls. */
static void code_is_added(void **state)
{
	static const uint8_t call[] = { 0xff, 0xd3, 0xf4 }; /* call rbx; hlt */
	uint64_t blocks, anew = 0;

	put_at(CODE, call, sizeof(call));
	v->gpr[X86_RSP] = LIN + 0x20000;
	for (unsigned int i = 0; i < 2000; i++) {
		uint64_t at = 16 + 16 * (i * 7 % 250);

		store(at, 1, 0xb8); /* mov eax, i; ret */
		store(at + 1, 4, i);
		store(at + 5, 1, 0xc3);
		v->gpr[X86_RBX] = LIN + at;
		assert_int_equal(run_from(LIN), i);
		assert_int_equal(run_from(LIN), i);
	}
	/* Over the page's end, in the next one. */
	put_at(CODE + 0xffe, "\xb8\x01", 2);
	put_at(CODE + 0x1000, "\0\0\0\xf4", 4);
	for (unsigned int i = 0; i < 50; i++) {
		store(0x1002, 1, i);
		assert_int_equal(run_from(LIN + 0xffe), 1 + (i << 24));
		run_from(LIN + 0xffe); /* the first time a poll waits, and it is interpreted */
		blocks = v->jit->count.blocks;
		store(0x1100 + 4 * i, 4, i);
		assert_int_equal(run_from(LIN + 0xffe), 1 + (i << 24));
		anew += v->jit->count.blocks != blocks;
	}
	assert_in_range(anew, 0, 2); /* the first, and one in SOFT_CODE_MISSES */
}

/* What the interpreter has decoded for generated code is decoded, too. */
static void interpreted_in_between(void **state)
{
	/* enter 16, 0; leave; mov eax, 1; hlt: the first has no translation */
	static const uint8_t code[] = { 0xc8, 16, 0, 0, 0xc9, 0xb8, 1, 0, 0, 0, 0xf4 };

	v->gpr[X86_RSP] = LIN + 0x20000;
	put_at(CODE + 0x100, code, sizeof(code));
	for (unsigned int i = 0; i < 50; i++) {
		uint64_t sp = v->gpr[X86_RSP];

		store(0x101, 1, 8 + 8 * i);
		assert_int_equal(run_from(LIN + 0x100), 1);
		assert_int_equal(v->gpr[X86_RSP], sp);
		assert_int_equal(run_from(LIN + 0x100), 1);
		assert_true(v->jit->interp_op[X86_OP_ENTER] > i);
	}
}

/* ---- accesses that are looked up at once ---- */

/* push rbx; mov eax, [rbx]; add eax, [rbx + 4]; mov [rbx + 8], eax; add [rbx + 12], eax; push rbx; pop rcx;
 * pop rdx; xor ecx, ecx; mov edi, [rbx + rcx * 4]; add edi, [rbx + rcx * 4 + 4]; hlt */
static const uint8_t fields[] = { 0x53, 0x8b, 0x03, 0x03, 0x43, 0x04, 0x89, 0x43, 0x08, 0x01, 0x43,
	0x0c, 0x53, 0x59, 0x5a, 0x31, 0xc9, 0x8b, 0x3c, 0x8b, 0x03, 0x7c, 0x8b, 0x04, 0xf4 };

/* Two linear pages that do not lie side by side: the dword at @at. */
static void *of_two_pages(uint64_t at)
{
	return e->ram->host + CODE + (at & 0x1000 ? 0x24000 : 0x20000) + (at & 0xfff);
}

static uint32_t get32(uint64_t at)
{
	uint8_t b[4];
	uint32_t x;

	for (unsigned int i = 0; i < 4; i++)
		b[i] = *(uint8_t *)of_two_pages(at + i);
	memcpy(&x, b, 4);
	return x;
}

static void put32(uint64_t at, uint32_t x)
{
	for (unsigned int i = 0; i < 4; i++)
		*(uint8_t *)of_two_pages(at + i) = (uint8_t)(x >> 8 * i);
}

/* The fields at @at, the stack's slots at @sp and below. */
static void run_fields(uint64_t at, uint64_t sp)
{
	uint64_t data = LIN + 0x30000;

	for (unsigned int i = 0; i < 4; i++)
		put32(at + 4 * i, 1000 * (i + 1) + (uint32_t)at);
	v->gpr[X86_RBX] = data + at;
	v->gpr[X86_RSP] = data + 0x4000 + sp;
	assert_int_equal(run_from(LIN), 3000 + 2 * at);
	assert_int_equal(get32(at + 8), 3000 + 2 * at);
	assert_int_equal(get32(at + 12), 7000 + 3 * at);
	assert_int_equal(v->gpr[X86_RDX], data + at);
	assert_int_equal(v->gpr[X86_RDI], 3000 + 2 * at);
	assert_int_equal(v->gpr[X86_RSP], data + 0x4000 + sp);
}

static void groups_over_a_page_end(void **state)
{
	uint64_t data = LIN + 0x30000;

	map(e, data, CODE + 0x20000, W);
	map(e, data + 0x1000, CODE + 0x24000, W);
	map(e, data + 0x4000, CODE + 0x28000, W);
	map(e, data + 0x5000, CODE + 0x2c000, W);
	for (unsigned int hot = 0; hot < 2; hot++) {
		v->jit->hot_all = hot;
		soft_jit_reset(v);
		for (unsigned int round = 0; round < 4; round++) {
			/* Its blocks go: also those for what is over a page's end. */
			put_at(CODE, fields, sizeof(fields));
			for (uint64_t at = 0xfd0; at < 0x1010; at++)
				run_fields(at, 0x1000);
			for (uint64_t sp = 0xff0; sp < 0x1020; sp++)
				run_fields(0x100, sp);
		}
		jit_l1_clear(v);
		run_fields(0x100, 0x800);
		assert_true(v->jit->count.shares > 0);
		/* Not looked up one by one where it need not be. */
		run_fields(0x200, 0x800);
		v->jit->count.shares = v->jit->count.slows = 0;
		for (uint64_t at = 0x200; at < 0x300; at++)
			run_fields(at, 0x800);
		assert_int_equal(v->jit->count.shares + v->jit->count.slows, 0);
	}
}

/* Of two x87 instructions the first has its operand over a page's end, so the interpreter carries it out: the second is
 * where it is all the same. */
static void x87_address(void **state)
{
	/* fld dword [rbx]; fld1; mov eax, 7; hlt */
	static const uint8_t code[] = { 0xd9, 0x03, 0xd9, 0xe8, 0xb8, 7, 0, 0, 0, 0xf4 };
	uint64_t data = LIN + 0x10000;

	put_at(CODE, code, sizeof(code));
	for (unsigned int k = 0; k < 2; k++)
		map(e, data + 0x1000 * k, CODE + 0x20000 + 0x1000 * k, W);
	for (unsigned int i = 0; i < 3; i++) {
		v->gpr[X86_RBX] = data + (i == 1 ? 0xffe : 0);
		v->g.x87_page = 0xdead000;
		assert_int_equal(run_from(LIN), 7);
		assert_int_equal(v->fpu.fip, LIN + 2);
		assert_int_equal(v->fpu.fop, 0x1e8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(device_writes_code, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(over_a_page_end, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(over_a_page_end_ids, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(no_room, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(no_more_contexts, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(data_moves, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(sites_keep_to_regions, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(two_pages_by_turns, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(regions_go_with_translations, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(what_runs_often_is_hot, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(read_here_write_there, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(straight_to_other_pages, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(straight_to_other_pages_ids, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(loop_is_polled, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(data_beside_code, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(code_elsewhere_changes, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(code_is_added, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(interpreted_in_between, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(groups_over_a_page_end, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(x87_address, setup_jit, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
