// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Repeated string instructions in generated code, where the pages they go through are of other kinds. (Whether
 * they do what they say is tests/cpu/difftest's business.)
 */
#include "accel/soft/jit_testing.h"

#define LIN   0x40000000ull
#define PAGES 64
/* Pages so far apart have the same entry of the TLB. */
#define APART (JIT_L1_SIZE * 0x1000ull)

static int setup_jit(void **state)
{
	jit_test_begin(state);
	atomic_store(&e->vm->n_vcpus, 1); /* only one runs */
	for (uint64_t i = 0; i < PAGES; i++) {
		/* Not in one piece. */
		map(e, LIN + 0x1000 * i, DATA + 0x1000 * (i ^ 5), W);
		map(e, LIN + APART + 0x1000 * i, DATA + 0x1000 * (PAGES + (i ^ 3)), W);
	}
	return 0;
}

static uint8_t *at(uint64_t lin)
{
	uint64_t page = (lin - LIN) >> 12;

	page = page < PAGES ? page ^ 5 : PAGES + ((page - JIT_L1_SIZE) ^ 3);
	return e->ram->host + DATA + 0x1000 * page + (lin & 0xfff);
}

static void put(uint64_t lin, const void *bytes, size_t n)
{
	put_at((uint64_t)(at(lin) - e->ram->host), bytes, n);
}

/* Run from @lin to a HLT. */
static void run_from(uint64_t lin)
{
	v->rip = lin;
	v->halted = false;
	v->mp_state = X86_MP_RUNNABLE;
	for (int i = 0; i < 1000 && !v->halted; i++)
		soft_vcpu_turns(v, 100000, NULL);
	assert_true(v->halted);
}

static void copy(uint64_t to, uint64_t from, uint64_t n)
{
	v->gpr[X86_RDI] = to;
	v->gpr[X86_RSI] = from;
	v->gpr[X86_RCX] = n;
	run_from(LIN);
	assert_true(v->gpr[X86_RDI] == to + n && v->gpr[X86_RSI] == from + n);
	assert_int_equal(v->gpr[X86_RCX], 0);
}

static void from_page_to_page(void **state)
{
	const uint64_t from = LIN + 0x2345, to = LIN + 0x20ff0, n = 0x9876;
	uint64_t interpreted = 0;

	put(LIN, "\xf3\xa4\xf4", 3); /* rep movsb; hlt */
	for (int round = 0; round < 4; round++) {
		for (uint64_t i = 0; i < n; i++)
			*at(from + i) = (uint8_t)(i * 7 + i / 251 + (uint64_t)round);
		copy(to, from, n);
		for (uint64_t i = 0; i < n; i++)
			assert_int_equal(*at(to + i), *at(from + i));
		if (round == 1) /* the first times nothing is known */
			interpreted = v->jit->interp_op[X86_OP_MOVS];
	}
	assert_int_equal(v->jit->interp_op[X86_OP_MOVS], interpreted);
}

/* What overlaps is repeated, over pages' ends, too. */
static void onto_itself(void **state)
{
	const uint64_t from = LIN + 0x3ff0, n = 0x2100;

	put(LIN, "\xf3\xa4\xf4", 3);
	for (uint64_t d = 1; d < 40; d += 3) {
		for (uint64_t i = 0; i < d; i++)
			*at(from + i) = (uint8_t)(i + d);
		copy(from + d, from, n);
		for (uint64_t i = 0; i < n; i++)
			assert_int_equal(*at(from + d + i), (uint8_t)(i % d + d));
	}
}

/* Both pages want the same entry of the TLB. */
static void same_entry(void **state)
{
	const uint64_t from = LIN + 0x8100, to = LIN + APART + 0x8000;

	put(LIN, "\xf3\xa4\xf4", 3);
	for (int round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < 0x3000; i++)
			*at(from + i) = (uint8_t)(i * 3 + (uint64_t)round);
		copy(to, from, 0x3000);
		for (uint64_t i = 0; i < 0x3000; i++)
			assert_int_equal(*at(to + i), *at(from + i));
	}
}

/* Much data and, somewhere behind, code: which is not overlooked although data beside code is let alone. */
static void data_and_code(void **state)
{
	const uint64_t page = LIN + 0x10000, code = page + 0x800;
	/* rep stosq; jmp rdx */
	static const uint8_t fill[] = { 0xf3, 0x48, 0xab, 0xff, 0xe2 };

	put(LIN, fill, sizeof(fill));
	put(code, "\xb8\0\0\0\0\xf4\x90\x90", 8); /* mov eax, 0; hlt; nop; nop */
	run_from(code);
	for (uint64_t i = 1; i < 100; i++) {
		v->gpr[X86_RAX] = 0x9090f400000000b8 | i << 8;
		v->gpr[X86_RDI] = page + 8 * (i % 16);
		v->gpr[X86_RCX] = 0x200 - i % 16;
		v->gpr[X86_RDX] = code;
		run_from(LIN);
		assert_int_equal(v->gpr[X86_RAX], i);
		assert_int_equal(v->gpr[X86_RDI], page + 0x1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(from_page_to_page, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(onto_itself, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(same_entry, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(data_and_code, setup_jit, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
