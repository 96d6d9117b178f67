// SPDX-License-Identifier: GPL-2.0-or-later
/* Accesses that the small TLB does not know and the big one does; the stack pointer on other pages by turns. */
#include "accel/soft/jit_testing.h"

#define LIN  0x40000000ull
#define FAR  0x400000ull /* as far apart as two pages for which the small TLB has one place */
#define CODE DATA	 /* guest-physical */
#define PAGE 0x1000ull
#define MANY 1000u

static int setup_jit(void **state)
{
	jit_test_begin(state);
	for (uint64_t i = 0; i < 8; i++)
		map(e, LIN + PAGE * i, CODE + PAGE * i, W);
	map(e, LIN + PAGE + FAR, CODE + 8 * PAGE, W);
	return 0;
}

static uint8_t *host(uint64_t page)
{
	return e->ram->host + CODE + PAGE * page;
}

static void put(uint64_t page, const void *bytes, size_t n)
{
	put_at(CODE + PAGE * page, bytes, n);
}

static uint32_t run_from(uint64_t lin)
{
	v->rip = lin;
	v->halted = false;
	v->mp_state = X86_MP_RUNNABLE;
	for (int i = 0; i < 1000 && !v->halted; i++)
		soft_vcpu_turns(v, 100000, NULL);
	assert_true(v->halted);
	return (uint32_t)v->gpr[X86_RAX];
}

/* Run from LIN to a page fault; its address. */
static uint64_t run_to_fault(void)
{
	struct soft_event event;

	v->rip = LIN;
	v->halted = false;
	v->mp_state = X86_MP_RUNNABLE;
	do
		soft_vcpu_turns(v, 1000, &event);
	while (event.vector == 255 && !v->halted);
	assert_int_equal(event.vector, X86_EXC_PF);
	return event.cr2;
}

/* mov eax, [rbx]; mov [rcx], eax; add dword [rbx], 3; mov edx, [rcx]; hlt */
static const uint8_t from_to[] = { 0x8b, 0x03, 0x89, 0x01, 0x83, 0x03, 0x03, 0x8b, 0x11, 0xf4 };

static void apart(void **state)
{
	uint32_t x = 7;

	put(0, from_to, sizeof(from_to));
	for (unsigned int hot = 0; hot < 2; hot++) {
		v->jit->hot_all = hot;
		soft_jit_reset(v);
		v->jit->count.slows = 0;
		for (unsigned int i = 0; i < MANY; i++) {
			uint64_t off = i * 8 % (PAGE - 8), at = i & 1 ? FAR : 0;

			memcpy(host(i & 1 ? 8 : 1) + off, &x, 4);
			v->gpr[X86_RBX] = LIN + PAGE + at + off;
			v->gpr[X86_RCX] = LIN + PAGE + (FAR - at) + off;
			assert_int_equal(run_from(LIN), x);
			assert_int_equal(v->gpr[X86_RDX], x);
			assert_memory_equal(host(i & 1 ? 1 : 8) + off, &x, 4);
			x += 3;
			assert_memory_equal(host(i & 1 ? 8 : 1) + off, &x, 4);
		}
		assert_true(v->jit->count.slows < MANY);
	}
}

/* Over the end of a page that the big TLB knows. */
static void over_the_end(void **state)
{
	put(0, from_to, sizeof(from_to));
	map(e, LIN + 2 * PAGE + FAR, CODE + 9 * PAGE, W);
	for (unsigned int i = 0; i < MANY; i++) {
		uint64_t off = PAGE - 1 - i % 6;

		memset(host(1), 0, 2 * PAGE);
		memset(host(8), 0, 2 * PAGE);
		memcpy(host(1) + off, &i, 4);
		v->gpr[X86_RBX] = LIN + PAGE + off;
		v->gpr[X86_RCX] = LIN + PAGE + FAR + off;
		assert_int_equal(run_from(LIN), i);
		assert_memory_equal(host(8) + off, &i, 4);
	}
}

/* What is written that way may be code, and may be read-only or gone. */
static void code_there(void **state)
{
	static const uint8_t give[] = { 0xb8, 0, 0, 0, 0, 0xf4 }; /* mov eax, 0; hlt */

	put(0, from_to, sizeof(from_to));
	put(8, give, sizeof(give));
	v->gpr[X86_RBX] = LIN + PAGE;
	v->gpr[X86_RCX] = LIN + PAGE + FAR + 1;
	for (unsigned int i = 0; i < MANY; i++) {
		memcpy(host(1), &i, 4);
		assert_int_equal(run_from(LIN), i);
		if (i % 3)
			assert_int_equal(run_from(LIN + PAGE + FAR), i);
	}
}

static void gone_there(void **state)
{
	put(0, from_to, sizeof(from_to));
	for (unsigned int i = 0; i < MANY; i++) {
		v->gpr[X86_RBX] = LIN + PAGE;
		v->gpr[X86_RCX] = LIN + PAGE + FAR;
		memcpy(host(1), &i, 4);
		assert_int_equal(run_from(LIN), i);
		if (i % 50)
			continue;
		map(e, LIN + PAGE + FAR, CODE + 8 * PAGE, 0);
		fine(v, soft_tlb_flush_page(v, LIN + PAGE + FAR));
		assert_int_equal(run_to_fault(), LIN + PAGE + FAR);
		assert_int_equal(v->rip, LIN + 2);
		map(e, LIN + PAGE + FAR, CODE + 8 * PAGE, W);
	}
}

/* What was kept of a page that lies elsewhere by now is not used. */
static void moved(void **state)
{
	uint64_t other = 1;

	put(0, from_to, sizeof(from_to));
	for (unsigned int i = 0; i < MANY; i++) {
		uint64_t page = 8 + i / 5 % 3;
		uint32_t x = i * 11, y = i * 11 + 3;

		map(e, LIN + PAGE + FAR, CODE + page * PAGE, W);
		fine(v, soft_tlb_flush_page(v, LIN + PAGE + FAR));
		if (i % 3 == 0) {
			other ^= 4;
			map(e, LIN + PAGE, CODE + other * PAGE, W);
			fine(v, soft_tlb_flush(v, true));
		}
		for (unsigned int k = 0; k < 4; k++) {
			bool back = k & 1;

			memcpy(host(back ? page : other), &x, 4);
			v->gpr[X86_RBX] = LIN + PAGE + (back ? FAR : 0);
			v->gpr[X86_RCX] = LIN + PAGE + (back ? 0 : FAR);
			assert_int_equal(run_from(LIN), x);
			assert_memory_equal(host(back ? other : page), &x, 4);
			assert_memory_equal(host(back ? page : other), &y, 4);
		}
	}
}

/* push rbx; push rcx; pop rdx; pop rdi; mov eax, edx; hlt: a group of the stack's */
static const uint8_t by_stack[] = { 0x53, 0x51, 0x5a, 0x5f, 0x89, 0xd0, 0xf4 };

static void stacks(void **state)
{
	static const uint64_t top[] = { 2 * PAGE + 0x800, 3 * PAGE + 0x28, 2 * PAGE + 0x100,
		4 * PAGE };

	put(0, by_stack, sizeof(by_stack));
	for (unsigned int i = 0; i < MANY; i++) {
		uint64_t sp = LIN + top[i % ARRAY_SIZE(top)], x[2] = { i * 5, i * 9 };

		if (i == MANY / 2)
			v->jit->count.shares = v->jit->count.slows = 0;
		v->gpr[X86_RSP] = sp;
		v->gpr[X86_RBX] = x[1];
		v->gpr[X86_RCX] = x[0];
		assert_int_equal(run_from(LIN), x[0]);
		assert_int_equal(v->gpr[X86_RDI], x[1]);
		assert_int_equal(v->gpr[X86_RSP], sp);
		assert_memory_equal(host(0) + (sp - LIN - 16), x, 16);
	}
	assert_int_equal(v->jit->count.shares + v->jit->count.slows, 0);
}

/* One of them may not be written to any more: it is not the stack's page, then. */
static void stack_gone(void **state)
{
	stacks(state);
	map(e, LIN + 2 * PAGE, CODE + 2 * PAGE, 0);
	fine(v, soft_tlb_flush_page(v, LIN + 2 * PAGE));
	for (unsigned int i = 0; i < 10; i++) {
		v->gpr[X86_RSP] = LIN + 4 * PAGE;
		run_from(LIN);
		v->gpr[X86_RSP] = LIN + 2 * PAGE + 0x800;
		assert_int_equal(run_to_fault(), LIN + 2 * PAGE + 0x7f8);
		assert_int_equal(v->rip, LIN);
	}
}

/* call f; hlt. f: push rbp; mov ebp, edi; mov eax, edi; push rbx; sub rsp, 8; cmp edi, 1; jbe end;
 * lea edi, [rdi - 1]; call f; lea edi, [rbp - 2]; mov rbx, rax; call f; add rax, rbx;
 * end: add rsp, 8; pop rbx; pop rbp; ret */
static const uint8_t fib[] = { 0xe8, 1, 0, 0, 0, 0xf4, 0x55, 0x89, 0xfd, 0x89, 0xf8, 0x53, 0x48,
	0x83, 0xec, 8, 0x83, 0xff, 1, 0x76, 0x16, 0x8d, 0x7f, 0xff, 0xe8, 0xe9, 0xff, 0xff, 0xff,
	0x8d, 0x7d, 0xfe, 0x48, 0x89, 0xc3, 0xe8, 0xde, 0xff, 0xff, 0xff, 0x48, 0x01, 0xd8, 0x48,
	0x83, 0xc4, 8, 0x5b, 0x5d, 0xc3 };

/* Calls and returns lead over a page's end all the time: no C code is called for that. */
static void frames_over_the_end(void **state)
{
	map(e, LIN + 3 * PAGE, CODE + 9 * PAGE, W);
	put(0, fib, sizeof(fib));
	for (unsigned int hot = 0; hot < 2; hot++) {
		v->jit->hot_all = hot;
		soft_jit_reset(v);
		v->gpr[X86_RSP] = LIN + 3 * PAGE;
		v->gpr[X86_RDI] = 10;
		assert_int_equal(run_from(LIN), 55);
		for (uint64_t sp = 0; sp < 0x200; sp += 4) {
			bool aligned = sp % 8 == 0;

			v->jit->count.shares = v->jit->count.slows = 0;
			v->gpr[X86_RSP] = LIN + 3 * PAGE + sp;
			v->gpr[X86_RDI] = 10;
			assert_int_equal(run_from(LIN), 55);
			assert_int_equal(v->gpr[X86_RSP], LIN + 3 * PAGE + sp);
			if (aligned)
				assert_in_range(v->jit->count.shares + v->jit->count.slows, 0, 8);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(apart, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(over_the_end, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(code_there, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(gone_there, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(moved, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(stacks, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(stack_gone, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(frames_over_the_end, setup_jit, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
