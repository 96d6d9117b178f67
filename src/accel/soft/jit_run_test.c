// SPDX-License-Identifier: GPL-2.0-or-later
/* Generated code is left between STI and the instruction that it holds interrupts back for. */
#include "accel/soft/jit_testing.h"

#define LIN   0x40000000ull
#define STACK (LIN + 0x10000)
#define PAGE  0x1000ull

static int setup_jit(void **state)
{
	jit_test_begin(state);
	for (uint64_t i = 0; i < 32; i++)
		map(e, LIN + PAGE * i, DATA + PAGE * i, W | X86_PTE_D);
	return 0;
}

/* One stretch of generated code, during which somebody comes to want the vCPU. */
static void run_until_left(uint64_t sp)
{
	const uint8_t *where;

	v->rip = LIN;
	v->gpr[X86_RSP] = sp;
	v->gpr[X86_RBX] = sp;
	v->rflags = X86_FLAG_1;
	v->shadow = 0;
	v->halted = v->yield = false;
	where = jit_begin(v);
	assert_non_null(where);
	v->yield = true;
	jit_enter(v, where);
	assert_true(v->rflags & X86_FLAG_IF);
	v->yield = false;
}

/* @code begins with an instruction of a byte, and STI. */
static void shadow_of(const uint8_t *code, size_t n, bool hot)
{
	unsigned int held = 0;

	v->jit->hot_all = hot;
	soft_jit_reset(v);
	memcpy(e->ram->host + DATA, code, n);
	ram_dirty_mark(e->ram, DATA, n);
	soft_jit_serve_code(v);
	atomic_store(&v->poll, 0);
	for (unsigned int i = 0; i < 64; i++) {
		jit_l1_clear(v);
		run_until_left(STACK + PAGE * (i % 8) + 0x800);
		if (v->rip == LIN + 2) {
			assert_int_equal(v->shadow, 2);
			held++;
		}
		/* Every other time where an access is in two pages. */
		run_until_left(STACK + PAGE * (i % 8) - (i & 1 ? 4 : 0));
		if (v->rip == LIN + 2) {
			assert_int_equal(v->shadow, 2);
			held++;
		}
	}
	assert_true(held > 0);
}

static void left_behind_sti(void **state)
{
	/* nop; sti; ret */
	static const uint8_t ret[] = { 0x90, 0xfb, 0xc3 };
	/* nop; sti; pop rax; pop rcx; hlt */
	static const uint8_t pops[] = { 0x90, 0xfb, 0x58, 0x59, 0xf4 };

	for (unsigned int hot = 0; hot < 2; hot++) {
		shadow_of(ret, sizeof(ret), hot);
		shadow_of(pops, sizeof(pops), hot);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(left_behind_sti, setup_jit, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
