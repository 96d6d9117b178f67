// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What becomes of translated code when the world around it changes. (Whether it does what its instructions
 * say is tests/cpu/difftest's business.)
 */
#include "accel/soft/jit.h"
#include "accel/soft/mmu_testing.h"

#define LIN  0x40000000ull
#define CODE DATA /* guest-physical */

static struct env *e;
static struct soft_vcpu *v;

static int setup_jit(void **state)
{
	setup(state);
	e = *state;
	e->vm->jit = true;
	v = new_vcpu(e, 1);
	assert_non_null(v->jit);
	atomic_store(&v->poll, 0); /* the timer, the interrupt chips: nobody looks here */
	for (uint64_t i = 0; i < 64; i++)
		map(e, LIN + 0x1000 * i, CODE + 0x1000 * i, W);
	return 0;
}

static void put(uint64_t gpa, const void *bytes, size_t n)
{
	memcpy(e->ram->host + gpa, bytes, n);
	ram_dirty_mark(e->ram, gpa, n);
}

/* Run from @lin to a HLT; what is in eax then. */
static uint32_t run_from(uint64_t lin)
{
	v->rip = lin;
	v->halted = false;
	v->mp_state = X86_MP_RUNNABLE;
	v->gpr[X86_RAX] = 0;
	for (int i = 0; i < 1000 && !v->halted; i++)
		soft_vcpu_turns(v, 100000, NULL);
	assert_true(v->halted);
	assert_true(v->jit->count.blocks > 0);
	return (uint32_t)v->gpr[X86_RAX];
}

static void device_writes_code(void **state)
{
	static const uint8_t one[] = { 0xb8, 1, 0, 0, 0, 0xf4 }; /* mov eax, 1; hlt */
	static const uint8_t call[] = { 0xe8, 0xfb, 0x0f, 0, 0, 0xf4 };
	static const uint8_t two[] = { 0xb8, 2, 0, 0, 0, 0xc3 },
			     three[] = { 0xb8, 3, 0, 0, 0, 0xc3 };

	put(CODE, one, sizeof(one));
	assert_int_equal(run_from(LIN), 1);
	/* By linear address: to the next page and back. */
	put(CODE, call, sizeof(call));
	put(CODE + 0x1000, two, sizeof(two));
	v->gpr[X86_RSP] = LIN + 0x20000;
	assert_int_equal(run_from(LIN), 2);
	for (int i = 0; i < 100; i++) {
		put(CODE + 0x1000, i & 1 ? two : three, sizeof(two));
		assert_int_equal(run_from(LIN), i & 1 ? 2 : 3);
	}
	/* More at once than are remembered. */
	for (uint64_t i = 2; i < 60; i++) {
		put(CODE + 0x1000 * i, one, sizeof(one));
		assert_int_equal(run_from(LIN + 0x1000 * i), 1);
	}
	for (int n = 0; n < 3; n++)
		for (uint64_t i = 2; i < 60; i++) {
			uint8_t code[] = { 0xb8, (uint8_t)(n + i), 0, 0, 0, 0xf4 };

			put(CODE + 0x1000 * i, code, sizeof(code));
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

	put(CODE + 0xffd, head, sizeof(head));
	put(CODE + 0x1000, a, sizeof(a));
	put(CODE + 0x5000, b, sizeof(b));
	for (int i = 0; i < 10; i++) {
		assert_int_equal(run_from(start), 0x44332211);
		map(e, next, CODE + 0x5000, W);
		fine(v, soft_tlb_flush_page(v, next));
		assert_int_equal(run_from(start), 0x66552211);
		map(e, next, CODE + 0x1000, W);
		fine(v, soft_tlb_flush_page(v, next));
	}
	assert_int_equal(run_from(start), 0x44332211);
	put(CODE + 0x1000, c, sizeof(c));
	assert_true(run_from(start) == 0x88772211);
}

/* The number that stands for a context comes again when all have been given out. */
static void over_a_page_end_ids(void **state)
{
	static const uint8_t head[] = { 0xb8, 0x11, 0x22 };
	static const uint8_t a[] = { 0x33, 0x44, 0xf4 }, b[] = { 0x55, 0x66, 0xf4 };
	uint64_t start = LIN + 0xffd;
	uint32_t ids;

	put(CODE + 0xffd, head, sizeof(head));
	put(CODE + 0x1000, a, sizeof(a));
	put(CODE + 0x5000, b, sizeof(b));
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
		put(CODE + at, code, sizeof(code));
	}
}

static void no_room(void **state)
{
	unsigned int n = 32 * 200;

	put_chain(n);
	v->jit->code.size = v->jit->stubs_end + JIT_ROOM + 0x10000;
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

	put(CODE, code, sizeof(code));
	for (unsigned int k = 0; k < 2; k++) {
		page[k] = (uint32_t *)(void *)(e->ram->host + CODE + 0x20000 + 0x1000 * k);
		page[k][0] = 100 + k;
		page[k][1] = 1000;
	}
	v->gpr[X86_RBX] = data;
	for (unsigned int i = 0; i < 1000; i++) {
		map(e, data, CODE + 0x20000 + 0x1000 * (i & 1), W);
		fine(v, soft_tlb_flush_page(v, data));
		page[i & 1][1] = i;
		assert_int_equal(run_from(LIN), 100 + (i & 1) + i);
		assert_int_equal(page[i & 1][2], 100 + (i & 1) + i);
	}
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
		put(CODE, code, sizeof(code));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(device_writes_code, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(over_a_page_end, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(over_a_page_end_ids, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(no_room, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(no_more_contexts, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(data_moves, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(read_here_write_there, setup_jit, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
