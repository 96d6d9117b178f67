// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lockstep: what is translated rightly goes by, what it does is done once; mistakes, put into generated code by hand,
 * are found.
 */
#include "accel/soft/lockstep.h"
#include "accel/soft/jit.h"
#include "accel/soft/mmu_testing.h"
#include "base/wire.h"

#define LIN   0x40000000ull
#define STACK (LIN + 0x20010) /* frames lie over a page's end */

static struct env *e;
static struct soft_vcpu *v;

static int setup_lockstep(void **state)
{
	setup(state);
	e = *state;
	e->vm->lockstep = true;
	v = new_jit_vcpu(e);
	atomic_store(&e->vm->n_vcpus, 1);
	for (uint64_t i = 0; i < 64; i++)
		map(e, LIN + 0x1000 * i, DATA + 0x1000 * i, W);
	v->gpr[X86_RSP] = STACK;
	return 0;
}

static uint8_t *at(uint64_t lin)
{
	return e->ram->host + DATA + (lin - LIN);
}

static void put(uint64_t lin, const void *bytes, size_t n)
{
	memcpy(at(lin), bytes, n);
	ram_dirty_mark(e->ram, (uint64_t)(at(lin) - e->ram->host), n);
}

/* Run from LIN to a HLT. False: there was a difference. */
static bool run(void)
{
	v->rip = LIN;
	v->halted = false;
	v->leaving = false;
	v->mp_state = X86_MP_RUNNABLE;
	for (int i = 0; i < 1000 && !v->halted && !v->leaving; i++)
		soft_vcpu_turns(v, 100000, NULL);
	if (v->leaving)
		assert_int_equal(v->exit.kind, VCPU_EXIT_ERROR);
	else
		assert_true(v->halted);
	return !v->leaving;
}

/* The bytes @from, which are once in generated code, become @to. */
static void spoil(const void *from, const void *to, size_t n)
{
	struct soft_jit *j = v->jit;
	unsigned int found = 0;

	for (size_t i = j->stubs_end; i + n <= j->code.used; i++) {
		if (memcmp(j->code.rw + i, from, n) != 0)
			continue;
		memcpy(j->code.rw + i, to, n);
		found++;
	}
	assert_int_equal(found, 1);
}

static void a_register(void **state)
{
	put(LIN, "\xb8\x78\x56\x34\x12\xf4", 6); /* mov eax, 0x12345678; hlt */
	assert_true(run());
	assert_int_equal(v->gpr[X86_RAX], 0x12345678);
	spoil("\x78\x56\x34\x12", "\x79\x56\x34\x12", 4);
	assert_false(run());
	assert_non_null(strstr(v->exit.error.text, "0x12345678"));
}

/* mov dword [rbx], 0x12345678; mov eax, [rbx + 8]; hlt */
static const uint8_t store[] = { 0xc7, 3, 0x78, 0x56, 0x34, 0x12, 0x8b, 0x43, 8, 0xf4 };

static void memory(void **state)
{
	put(LIN, store, sizeof(store));
	v->gpr[X86_RBX] = LIN + 0x5000;
	put(LIN + 0x5008, "\1\2\3\4", 4);
	assert_true(run());
	assert_memory_equal(at(LIN + 0x5000), "\x78\x56\x34\x12", 4);
	assert_int_equal(v->gpr[X86_RAX], 0x04030201);
	spoil("\x78\x56\x34\x12", "\x78\x56\x34\x13", 4);
	assert_false(run());
	assert_non_null(strstr(v->exit.error.text, "0x40005003"));
	assert_memory_equal(at(LIN + 0x5000), "\x78\x56\x34\x12", 4);
}

/* A store that is left out, in a page that generated code does not touch otherwise. */
static void left_out(void **state)
{
	struct soft_jit *j = v->jit;
	uint8_t nop[] = { 0x0f, 0x1f, 0x44, 0, 0 };
	const uint8_t *next;
	uint64_t entry;

	put(LIN, "\xc7\x03\x78\x56\x34\x12\xf4", 7);
	v->gpr[X86_RBX] = LIN + 0x5000;
	assert_true(run());
	/* Over the look-up and the store, to what calls the interpreter for HLT. */
	next = memmem(
		j->code.rw + j->stubs_end, j->code.used - j->stubs_end, "\x78\x56\x34\x12", 4);
	assert_non_null(next);
	entry = j->block[0].entry;
	assert_int_equal(j->block[0].off, 0);
	nop[0] = 0xe9;
	wr_le32(nop + 1, (uint32_t)(next + 4 - (j->code.rw + entry + 5)));
	memcpy(j->code.rw + entry, nop, sizeof(nop));
	*at(LIN + 0x5000) = 0;
	assert_false(run());
	assert_non_null(strstr(v->exit.error.text, "0x40005000"));
}

/* 40 times: call f; add [r12], 1 by way of the stack. f: push rbx; sub rsp, 0x28; fields of a frame; ret. */
static const uint8_t frames[] = {
	0xb9, 40, 0, 0, 0,		    /* mov ecx, 40 */
	0xe8, 0x0f, 0, 0, 0,		    /* again: call f */
	0x49, 0x83, 0x04, 0x24, 1,	    /* add qword [r12], 1 */
	0x48, 0x83, 0xec, 8,		    /* sub rsp, 8 */
	0x83, 0xe9, 1,			    /* sub ecx, 1 */
	0x75, 0xed,			    /* jnz again */
	0xf4,				    /* f: */
	0x53, 0x48, 0x83, 0xec, 0x28,	    /* push rbx; sub rsp, 0x28 */
	0x48, 0x89, 0x4c, 0x24, 8,	    /* mov [rsp + 8], rcx */
	0x48, 0x89, 0x44, 0x24, 0x18,	    /* mov [rsp + 0x18], rax */
	0x48, 0x03, 0x44, 0x24, 8,	    /* add rax, [rsp + 8] */
	0x48, 0x83, 0xc4, 0x28, 0x5b, 0xc3, /* add rsp, 0x28; pop rbx; ret */
};

static void frames_over_pages(void **state)
{
	put(LIN, frames, sizeof(frames));
	v->gpr[X86_R12] = LIN + 0x6ff8;
	assert_true(run());
	assert_int_equal(v->gpr[X86_RAX], 40 * 41 / 2);
	assert_int_equal(*at(LIN + 0x6ff8), 40); /* once, not twice */
	assert_true(v->gpr[X86_RSP] == STACK - 40 * 8);
}

/* A copy over many pages; the stretch ends where pages must be walked for, in the middle of the instruction. */
static void strings(void **state)
{
	put(LIN, "\xf3\xa4\xf4", 3); /* rep movsb; hlt */
	for (uint64_t i = 0; i < 0x8000; i++)
		*at(LIN + 0x10000 + i) = (uint8_t)(i * 7 + i / 256);
	for (int n = 0; n < 2; n++) {
		v->gpr[X86_RSI] = LIN + 0x10011;
		v->gpr[X86_RDI] = LIN + 0x18123;
		v->gpr[X86_RCX] = 0x7000;
		assert_true(run());
		assert_int_equal(v->gpr[X86_RCX], 0);
		assert_memory_equal(at(LIN + 0x18123), at(LIN + 0x10011), 0x7000);
	}
}

/* Writes code to a page and goes there: what it runs is what it has written. */
static void writes_code(void **state)
{
	/* mov dword [rbx], 0x..; jmp rbx: there add eax, N; hlt */
	uint8_t code[] = { 0xc7, 3, 0x83, 0xc0, 0, 0xf4, 0xff, 0xe3 };

	v->gpr[X86_RBX] = LIN + 0x9000;
	for (uint8_t n = 1; n < 20; n++) {
		code[4] = n;
		put(LIN, code, sizeof(code));
		v->gpr[X86_RAX] = 100;
		assert_true(run());
		assert_int_equal(v->gpr[X86_RAX], 100 + n);
	}
}

/* A page is mapped by a store to the page table, and used at once. */
static void maps_a_page(void **state)
{
	/* mov [rbx], rcx; mov [rdx], rcx; add dword [rdx + 8], 5; hlt */
	static const uint8_t code[] = { 0x48, 0x89, 0x0b, 0x48, 0x89, 0x0a, 0x83, 0x42, 8, 5,
		0xf4 };
	uint64_t table = LIN + 0x3f000, none = LIN + 63 * 0x1000;
	uint64_t *pte = NULL;

	put(LIN, code, sizeof(code));
	/* The page table itself, as a page of data. */
	for (uint64_t gpa = TOP; gpa < RAM_SIZE; gpa += 8)
		if ((*(uint64_t *)(void *)(e->ram->host + gpa) & ~0xfffull) == DATA + 63 * 0x1000)
			pte = (uint64_t *)(void *)(e->ram->host + gpa);
	assert_non_null(pte);
	map(e, LIN + 0x100000, (uint64_t)((uint8_t *)pte - e->ram->host) & ~0xfffull, W);
	v->gpr[X86_RBX] = LIN + 0x100000 + ((uint64_t)((uint8_t *)pte - e->ram->host) & 0xfff);
	v->gpr[X86_RCX] = *pte;
	v->gpr[X86_RDX] = none;
	*pte = 0;
	fine(v, soft_tlb_flush(v, true));
	assert_true(run());
	assert_int_equal(*at(table + 8), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_register, setup_lockstep, teardown),
		cmocka_unit_test_setup_teardown(memory, setup_lockstep, teardown),
		cmocka_unit_test_setup_teardown(left_out, setup_lockstep, teardown),
		cmocka_unit_test_setup_teardown(frames_over_pages, setup_lockstep, teardown),
		cmocka_unit_test_setup_teardown(strings, setup_lockstep, teardown),
		cmocka_unit_test_setup_teardown(writes_code, setup_lockstep, teardown),
		cmocka_unit_test_setup_teardown(maps_a_page, setup_lockstep, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
