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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(addresses_wrap_around, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(wider_registers, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(regions_end, setup_jit, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
