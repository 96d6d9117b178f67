// SPDX-License-Identifier: GPL-2.0-or-later
/* Operands by a register and a distance: 32-bit code where its addresses wrap around, registers that are wider. */
#include "accel/soft/jit_testing.h"

#define LIN   0x40000000ull
#define CODE  DATA /* guest-physical */
#define PAGE  0x1000ull
#define LAST  0xfffff000ull  /* of what 32-bit code reaches */
#define AFTER 0x100000000ull /* what only 64-bit code does */

static int setup_jit(void **state)
{
	jit_test_begin(state);
	for (uint64_t i = 0; i < 16; i++)
		map(e, LIN + PAGE * i, CODE + PAGE * i, W);
	for (uint64_t i = 0; i < 32; i++) { /* around both ends */
		map(e, PAGE * i, CODE + 0x100000 + PAGE * i, W);
		map(e, LAST - PAGE * i, CODE + 0x200000 - PAGE * i, W);
		map(e, AFTER + PAGE * i, CODE + 0x300000 + PAGE * i, W);
		map(e, 0 - PAGE * (i + 1), CODE + 0x400000 - PAGE * i, W);
	}
	return 0;
}

static void put(const void *bytes, size_t n)
{
	put_at(CODE, bytes, n);
}

/* Code of 32 bits, or 64. */
static void code_size(bool wide)
{
	for (int i = 0; i < X86_NSEG; i++)
		v->seg[i] = (struct x86_segment){ .limit = UINT32_MAX, .attr = 0xc093 };
	set_cpl(v, 0);
	if (!wide) {
		v->seg[X86_CS].attr = 0xc09b;
		soft_mode_changed(v);
	}
}

/* What 32-bit code finds at @lin. */
static uint8_t *byte_at(uint32_t lin)
{
	bool low = lin < LAST / 2;

	return e->ram->host + CODE + (low ? 0x100000 : 0x200000) + lin - (low ? 0 : LAST);
}

static uint32_t dword_at(uint32_t lin)
{
	uint32_t x = 0;

	for (uint32_t i = 4; i--;)
		x = x << 8 | *byte_at(lin + i);
	return x;
}

static void set_dword(uint32_t lin, uint32_t x)
{
	for (uint32_t i = 0; i < 4; i++)
		*byte_at(lin + i) = (uint8_t)(x >> 8 * i);
}

static void run(void)
{
	v->rip = LIN;
	v->halted = false;
	v->mp_state = X86_MP_RUNNABLE;
	for (int i = 0; i < 100 && !v->halted; i++)
		soft_vcpu_turns(v, 1000, NULL);
	assert_true(v->halted);
}

/* push ebx; mov eax, [ebx]; add eax, [ebx + 4]; add [ebx + 8], eax; add ebx, 16; mov ecx, [ebx - 4]; push ecx;
 * mov edx, [esi - 16]; pop edi; pop ebp; hlt */
static const uint8_t fields[] = { 0x53, 0x8b, 0x03, 0x03, 0x43, 0x04, 0x01, 0x43, 0x08, 0x83, 0xc3,
	0x10, 0x8b, 0x4b, 0xfc, 0x51, 0x8b, 0x56, 0xf0, 0x5f, 0x5d, 0xf4 };

/* Fields at @at, a stack below @sp; @upper: what the registers have in their upper halves. */
static void run_fields(uint32_t at, uint32_t sp, uint64_t upper)
{
	for (uint32_t i = 0; i < 16; i += 4)
		set_dword(at + i, 1000 * i + 77);
	v->gpr[X86_RBX] = upper | at;
	v->gpr[X86_RSI] = upper | (uint32_t)(at + 16);
	v->gpr[X86_RSP] = upper | sp;
	run();
	assert_int_equal(v->gpr[X86_RAX], 4000 + 2 * 77);
	assert_int_equal(dword_at(at + 8), 12000 + 3 * 77);
	assert_int_equal(v->gpr[X86_RBX], (uint32_t)(at + 16));
	assert_int_equal(v->gpr[X86_RCX], 12077);
	assert_int_equal(v->gpr[X86_RDX], 77);
	assert_int_equal(v->gpr[X86_RDI], 12077);
	assert_int_equal(v->gpr[X86_RBP], at);
	assert_int_equal((uint32_t)v->gpr[X86_RSP], sp);
	assert_int_equal(dword_at(sp - 4), at);
}

/* The pages that 64-bit code alone reaches are in the TLB, and its stack's page is one of them. */
static void visit_beyond(uint64_t page)
{
	/* mov rax, [rbx]; mov [rbx], rax; push rax; pop rax; push rcx; pop rcx; hlt */
	static const uint8_t visit[] = { 0x48, 0x8b, 0x03, 0x48, 0x89, 0x03, 0x50, 0x58, 0x51, 0x59,
		0xf4 };

	code_size(true);
	put(visit, sizeof(visit));
	v->gpr[X86_RBX] = page + 8;
	v->gpr[X86_RSP] = page + 0x800;
	run();
	code_size(false);
	put(fields, sizeof(fields));
}

static void around_the_ends(uint64_t upper)
{
	visit_beyond(AFTER);
	for (uint32_t at = 0xffffffd0; at != 0x30; at++)
		run_fields(at, 0x18800, upper);
	for (uint32_t sp = 0xffffffe0; sp != 0x20; sp++)
		run_fields(0x19000, sp, upper);
	visit_beyond(0 - PAGE);
	for (uint32_t at = 0xffffffd0; at != 0x30; at++)
		run_fields(at, 0x18800, upper);
	/* Where they do not wrap around any longer, and are the same page's. */
	for (uint32_t at = 0x1ff0; at != 0x2010; at++)
		run_fields(at, at + 0x800, upper);
	for (uint32_t at = 0xffffdff0; at != 0xffffe010; at++)
		run_fields(at, at + 0x800, upper);
}

static void addresses_wrap_around(void **state)
{
	for (unsigned int hot = 0; hot < 2; hot++) {
		v->jit->hot_all = hot;
		soft_jit_reset(v);
		around_the_ends(0);
		assert_true(v->jit->mode & JIT_MODE_CLEAN);
		assert_true(v->jit->count.shares > 0);
	}
}

/* Whatever 64-bit code has left in the registers that 32-bit code does not see is not part of addresses. */
static void wider_registers(void **state)
{
	for (unsigned int hot = 0; hot < 2; hot++) {
		v->jit->hot_all = hot;
		soft_jit_reset(v);
		around_the_ends(0x123456ull << 32);
		around_the_ends(1ull << 32);
		run_fields(0x18000, 0x18800, ~0ull << 32);
		run_fields(0x18000, 0x18800, 0);
	}
}

/* A region of 32-bit code does not grow to where its addresses end, nor beyond. */
static void regions_end(void **state)
{
	/* mov eax, [ebx + 0x20]; hlt */
	static const uint8_t load[] = { 0x8b, 0x43, 0x20, 0xf4 };

	v->jit->hot_all = true;
	visit_beyond(AFTER);
	put(load, sizeof(load));
	for (unsigned int round = 0; round < 40; round++)
		for (uint32_t page = 0; page < 32; page++) {
			uint32_t at = round & 1 ? (uint32_t)(LAST - 0x1f000) + 0x1000 * page
						: 0x1000 * page;

			set_dword(at + 0x20, at + round);
			v->gpr[X86_RBX] = at;
			run();
			assert_int_equal(v->gpr[X86_RAX], at + round);
		}
	for (uint32_t at = 0xffffff00; at != 0x40; at += 4) {
		set_dword(at + 0x20, ~at);
		v->gpr[X86_RBX] = at;
		run();
		assert_int_equal(v->gpr[X86_RAX], ~at);
	}
}

/* -------- r9 from one access to the next, and around a loop -------- */
#define WALK  0x50000000ull /* pages that lie in RAM the other way round */
#define STACK 0x60000000ull
#define PAGES 24u

/* again: mov rsi, [rsp]; mov eax, [rdi]; add rdi, [rsp + 16]; add [rsp + 8], eax; xor edx, [rsi]; add r11d, eax;
 * add qword [rsp], 12; cmp [rsp + 24], rdi; jne again; mov r14d, r11d; hlt */
static const uint8_t walk[] = { 0x48, 0x8b, 0x34, 0x24, 0x8b, 0x07, 0x48, 0x03, 0x7c, 0x24, 0x10,
	0x01, 0x44, 0x24, 0x08, 0x33, 0x16, 0x41, 0x01, 0xc3, 0x48, 0x83, 0x04, 0x24, 0x0c, 0x48,
	0x39, 0x7c, 0x24, 0x18, 0x75, 0xe0, 0x45, 0x89, 0xde, 0xf4 };

static uint8_t *walk_byte(uint64_t lin)
{
	uint64_t i = (lin - WALK) / PAGE;

	return e->ram->host + CODE + 0x500000 + (PAGES - 1 - i) * PAGE + lin % PAGE;
}

static uint32_t walk_dword(uint64_t lin)
{
	uint32_t x = 0;

	for (unsigned int i = 4; i--;)
		x = x << 8 | *walk_byte(lin + i);
	return x;
}

static void map_walk(void)
{
	for (unsigned int i = 0; i < PAGES; i++)
		map(e, WALK + PAGE * i, CODE + 0x500000 + (PAGES - 1 - i) * PAGE, W);
	for (unsigned int i = 0; i < 4; i++)
		map(e, STACK + PAGE * i, CODE + 0x600000 + (3 - i) * PAGE, W);
	for (uint64_t i = 0; i < PAGES * PAGE; i++)
		*walk_byte(WALK + i) = (uint8_t)(i * 7 ^ i >> 8);
}

static uint8_t *stack_byte(uint64_t lin)
{
	return e->ram->host + CODE + 0x600000 + (3 - (lin - STACK) / PAGE) * PAGE + lin % PAGE;
}

static uint32_t stack_dword(uint64_t lin)
{
	uint32_t x = 0;

	for (unsigned int i = 4; i--;)
		x = x << 8 | *stack_byte(lin + i);
	return x;
}

static void put_stack(uint64_t lin, uint64_t x)
{
	for (unsigned int i = 0; i < 8; i++)
		*stack_byte(lin + i) = (uint8_t)(x >> 8 * i);
}

/* Accesses in other pages and over pages' ends come between those by the stack pointer. */
static void walk_once(uint64_t sp, uint64_t from, uint64_t step, unsigned int n)
{
	uint64_t other = WALK + PAGE + from % 64;
	uint32_t sum = 0, mix = 0;

	for (unsigned int i = 0; i < n; i++) {
		sum += walk_dword(from + step * i);
		mix ^= walk_dword(other + 12 * i);
	}
	put_stack(sp, other);
	put_stack(sp + 8, 0);
	put_stack(sp + 16, step);
	put_stack(sp + 24, from + step * n);
	v->gpr[X86_RSP] = sp;
	v->gpr[X86_RDI] = from;
	v->gpr[X86_RDX] = v->gpr[X86_R11] = 0;
	run();
	assert_int_equal(v->gpr[X86_R14], sum);
	assert_int_equal((uint32_t)v->gpr[X86_RDX], mix);
	assert_int_equal(v->gpr[X86_RSI], other + 12 * (n - 1));
	assert_int_equal(v->gpr[X86_RDI], from + step * n);
	assert_int_equal(stack_dword(sp + 8), sum);
}

static void r9_is_kept(void **state)
{
	uint64_t rnd = 5;

	code_size(true);
	map_walk();
	put(walk, sizeof(walk));
	v->jit->hot_all = true;
	for (unsigned int i = 0; i < 400; i++) {
		uint64_t sp = STACK + PAGE +
			      (i % 3 ? 8 * (test_random(&rnd) % 400) : 4096 - 8 * (i % 5));
		uint64_t step = 1 + test_random(&rnd) % 200;
		unsigned int n = 1 + (unsigned int)(test_random(&rnd) % 300);

		walk_once(sp, WALK + PAGE + test_random(&rnd) % 0x1000, step, n);
		if (i % 8 == 7)
			soft_tlb_flush(v, true);
	}
}

/* again: mov rax, [rsp]; add qword [rsp + 8], 1; add rax, [rsp + 4096]; add qword [rsp + 4104], 1; add rdx, rax;
 * dec ecx; jnz again; hlt */
static const uint8_t two_pages[] = { 0x48, 0x8b, 0x04, 0x24, 0x48, 0x83, 0x44, 0x24, 0x08, 0x01,
	0x48, 0x03, 0x84, 0x24, 0x00, 0x10, 0x00, 0x00, 0x48, 0x83, 0x84, 0x24, 0x08, 0x10, 0x00,
	0x00, 0x01, 0x48, 0x01, 0xc2, 0xff, 0xc9, 0x75, 0xde, 0xf4 };

/* The second group has another page of the stack: then the first one's is not there when the loop begins again. */
static void a_loop_with_two_groups(void **state)
{
	code_size(true);
	map_walk();
	put(two_pages, sizeof(two_pages));
	v->jit->hot_all = true;
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t sp = STACK + 0x800 + 0x10 * i;

		put_stack(sp, 1);
		put_stack(sp + 8, 20);
		put_stack(sp + PAGE, 300);
		put_stack(sp + PAGE + 8, 4000);
		v->gpr[X86_RSP] = sp;
		v->gpr[X86_RCX] = 500;
		v->gpr[X86_RDX] = 0;
		run();
		assert_int_equal(v->gpr[X86_RDX], 500 * 301);
		assert_int_equal(stack_dword(sp + 8), 520);
		assert_int_equal(stack_dword(sp + PAGE + 8), 4500);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(addresses_wrap_around, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(wider_registers, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(regions_end, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(r9_is_kept, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(a_loop_with_two_groups, setup_jit, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
