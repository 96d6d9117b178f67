// SPDX-License-Identifier: GPL-2.0-or-later
/* Changes of the level in generated code, held against the interpreter. */
#include "accel/soft/jit.h"
#include "accel/soft/mmu_testing.h"

#define KERNEL 0x40000000ull
#define USER   0x50000000ull
#define STACKS 0x10000 /* from either: a page of stack */

static struct env *e;
static struct soft_vcpu *jit, *plain;

static struct soft_vcpu *make(bool translate, uint32_t index)
{
	struct soft_vcpu *v;

	e->vm->jit = translate;
	v = new_vcpu(e, index);
	assert_true(!v->jit == !translate);
	atomic_store(&v->poll, 0);
	return v;
}

static int setup_levels(void **state)
{
	setup(state);
	e = *state;
	jit = make(true, 1);
	plain = make(false, 2);
	map(e, KERNEL, DATA, W | G);
	map(e, KERNEL + STACKS, DATA + 0x1000, W | G);
	map(e, USER, DATA + 0x2000, W | U);
	map(e, USER + STACKS, DATA + 0x3000, W | U | X86_PTE_NX);
	return 0;
}

static void put(uint64_t gpa, const void *bytes, size_t n)
{
	memcpy(e->ram->host + gpa, bytes, n);
	ram_dirty_mark(e->ram, gpa, n);
}

/* What a run begins with. */
struct start {
	uint64_t rbx, r14, r15; /* rounds; flags that level 0 changes; bits of the return address */
	uint64_t rflags, sfmask, star;
	uint64_t cr4, cr3;
	bool amd, no_sce, irq;
};

static void begin(struct soft_vcpu *v, const struct start *s)
{
	memset(v->gpr, 0, sizeof(v->gpr));
	v->cr4 = X86_CR4_PAE | X86_CR4_PGE | s->cr4;
	v->cr3 = s->cr3 ?: TOP;
	v->efer = X86_EFER_LMA | X86_EFER_LME | X86_EFER_NXE | (s->no_sce ? 0 : X86_EFER_SCE);
	v->amd = s->amd;
	v->star = s->star;
	v->lstar = KERNEL;
	v->sfmask = s->sfmask;
	v->rflags = s->rflags | X86_FLAG_1;
	v->irq_wanted = s->irq;
	v->gpr[X86_RBX] = s->rbx;
	v->gpr[X86_R14] = s->r14;
	v->gpr[X86_R15] = s->r15;
	v->gpr[X86_RSP] = USER + STACKS + 0xf00;
	v->gpr[X86_R12] = KERNEL + STACKS + 0xf00;
	v->rip = USER;
	v->halted = false;
	v->mp_state = X86_MP_RUNNABLE;
	v->shadow = 0;
	v->pending_dr6 = 0;
	set_cpl(v, 3);
	soft_tlb_flush(v, true);
	memset(e->ram->host + DATA + 0x1000, 0, 0x1000);
	memset(e->ram->host + DATA + 0x3000, 0, 0x1000);
}

static const uint8_t user[] = {
	0x05, 0x77, 0x66, 0x55, 0xb4, /* add eax, */
	0x50, 0x5a,		      /* push rax; pop rdx */
	0x0f, 0x05,		      /* syscall */
	0x4d, 0x31, 0xd8,	      /* xor r8, r11 */
	0x49, 0xc1, 0xc0, 0x07,	      /* rol r8, 7 */
	0x49, 0x01, 0xc9,	      /* add r9, rcx */
	0xeb, 0xeb,		      /* jmp to the beginning */
};
static const uint8_t kernel[] = {
	0x4c, 0x87, 0xe4,	/* xchg r12, rsp */
	0x51, 0x41, 0x53,	/* push rcx; push r11 */
	0x9c, 0x5a,		/* pushf; pop rdx */
	0x49, 0x31, 0xd0,	/* xor r8, rdx */
	0x41, 0x5b, 0x59,	/* pop r11; pop rcx */
	0x4d, 0x31, 0xf3,	/* xor r11, r14 */
	0x4c, 0x09, 0xf9,	/* or rcx, r15 */
	0xff, 0xcb, 0x74, 0x06, /* dec ebx; jz over the return */
	0x4c, 0x87, 0xe4,	/* xchg r12, rsp */
	0x48, 0x0f, 0x07,	/* sysretq */
	0xf4,			/* hlt */
};

/* Until it halts or something is raised. */
static struct soft_event run(struct soft_vcpu *v, const struct start *s)
{
	struct soft_event ev = { .vector = 255 };

	begin(v, s);
	for (int i = 0; i < 100000 && !v->halted && ev.vector == 255; i++) {
		if (v->jit)
			soft_vcpu_turns(v, 1000, &ev);
		else
			soft_vcpu_steps(v, 1000, &ev);
	}
	return ev;
}

static void same(const struct start *s)
{
	struct soft_event a = run(jit, s), b = run(plain, s);

	assert_int_equal(a.vector, b.vector);
	assert_int_equal(a.error, b.error);
	if (a.vector == X86_EXC_PF)
		assert_int_equal(a.cr2, b.cr2);
	for (int i = 0; i < 16; i++)
		assert_int_equal(jit->gpr[i], plain->gpr[i]);
	assert_int_equal(jit->rip, plain->rip);
	assert_int_equal(jit->rflags, plain->rflags);
	assert_int_equal(jit->halted, plain->halted);
	assert_int_equal(jit->irq_wanted, plain->irq_wanted);
	assert_int_equal(jit->pending_dr6, plain->pending_dr6);
	for (int i = 0; i < X86_NSEG; i++) {
		assert_int_equal(jit->seg[i].base, plain->seg[i].base);
		assert_int_equal(jit->seg[i].limit, plain->seg[i].limit);
		assert_int_equal(jit->seg[i].attr, plain->seg[i].attr);
		assert_int_equal(jit->seg[i].selector, plain->seg[i].selector);
	}
	assert_int_equal(jit->cpl, plain->cpl);
	assert_int_equal(jit->mmu_index, plain->mmu_index);
	assert_int_equal(jit->seg_flat, plain->seg_flat);
	assert_int_equal(jit->seg_zero, plain->seg_zero);
}

static void there_and_back(void **state)
{
	static const uint64_t flags[] = { 0, X86_FLAGS_STATUS, X86_FLAG_IF, X86_FLAG_DF,
		X86_FLAG_NT, X86_FLAG_AC, X86_FLAG_ID | X86_FLAG_IF, X86_FLAG_RF | X86_FLAG_VM,
		X86_FLAG_IOPL };
	static const uint64_t masks[] = { 0, X86_FLAGS_ALL, X86_FLAG_IF, X86_FLAGS_STATUS,
		0x47700 };
	struct start s = { .rbx = 300 };

	put(DATA, kernel, sizeof(kernel));
	put(DATA + 0x2000, user, sizeof(user));
	for (unsigned int i = 0; i < ARRAY_SIZE(flags) * ARRAY_SIZE(masks) * 4; i++) {
		s.r14 = flags[i % ARRAY_SIZE(flags)];
		s.sfmask = masks[i / ARRAY_SIZE(flags) % ARRAY_SIZE(masks)];
		s.rflags = i & 1 ? X86_FLAG_IF : X86_FLAG_AC | X86_FLAG_OF;
		s.star = 0x23001000000000ull + i * 0x80003ull * 0x100000000ull;
		s.cr4 = i & 2 ? X86_CR4_SMAP : 0;
		s.amd = i / (ARRAY_SIZE(flags) * ARRAY_SIZE(masks)) & 1;
		s.irq = i / (ARRAY_SIZE(flags) * ARRAY_SIZE(masks)) & 2;
		same(&s);
		assert_true(jit->halted);
	}
	/* The interpreter hardly ever had to. */
	assert_true(
		jit->jit->interp_op[X86_OP_SYSCALL] < 40 * ARRAY_SIZE(flags) * ARRAY_SIZE(masks));
}

static void mostly_translated(void **state)
{
	struct start s = { .rbx = 10000, .sfmask = X86_FLAG_IF, .rflags = X86_FLAG_IF };

	put(DATA, kernel, sizeof(kernel));
	put(DATA + 0x2000, user, sizeof(user));
	same(&s);
	assert_true(jit->jit->interp_op[X86_OP_SYSCALL] < 10);
	assert_true(jit->jit->interp_op[X86_OP_SYSRET] < 10);
}

static void raised(void **state)
{
	uint64_t top5 = e->next_table;
	struct start s = { .rbx = 100, .sfmask = X86_FLAG_IF | X86_FLAG_TF };

	put(DATA, kernel, sizeof(kernel));
	put(DATA + 0x2000, user, sizeof(user));
	e->next_table += 0x1000;
	*entry_at(e, top5) = TOP | P | W | U;
	for (unsigned int amd = 0; amd < 2; amd++) {
		s.amd = amd;
		s.no_sce = true;
		same(&s); /* #UD */
		s.no_sce = false;
		s.r14 = X86_FLAG_TF;
		same(&s); /* #DB after SYSRET */
		s.r14 = 0;
		for (int bit = 16; bit < 64; bit++) {
			s.r15 = 1ull << bit; /* nothing is there, or not even an address */
			same(&s);
			s.cr4 = X86_CR4_LA57;
			s.cr3 = top5;
			same(&s);
			s.cr4 = s.cr3 = 0;
		}
		s.r15 = 0;
	}
}

/* Who wants attention while the level changes gets it. */
static void polled(void **state)
{
	struct start s = { .rbx = 1000000000, .sfmask = X86_FLAG_IF, .rflags = X86_FLAG_IF };
	struct soft_event ev;

	put(DATA, kernel, sizeof(kernel));
	put(DATA + 0x2000, user, sizeof(user));
	begin(jit, &s);
	for (int i = 0; i < 1000; i++) {
		soft_notify(jit, SOFT_POLL_NMI);
		soft_vcpu_turns(jit, 1000000, &ev); /* comes back, or the test does not end */
		assert_false(jit->halted);
		atomic_store(&jit->poll, 0);
	}
}

/* Level 3's code is another page's from one time to the next. */
static void remapped(void **state)
{
	uint8_t other[sizeof(user)];
	struct start s = { .rbx = 50, .sfmask = X86_FLAG_IF };
	uint64_t r8 = 0;

	memcpy(other, user, sizeof(user));
	other[1] ^= 0x10;
	put(DATA, kernel, sizeof(kernel));
	put(DATA + 0x2000, user, sizeof(user));
	put(DATA + 0x4000, other, sizeof(other));
	for (int i = 0; i < 100; i++) {
		map(e, USER, DATA + (i & 1 ? 0x4000 : 0x2000), W | U);
		same(&s);
		assert_int_not_equal(jit->gpr[X86_RAX], r8);
		r8 = jit->gpr[X86_RAX];
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(there_and_back, setup_levels, teardown),
		cmocka_unit_test_setup_teardown(mostly_translated, setup_levels, teardown),
		cmocka_unit_test_setup_teardown(raised, setup_levels, teardown),
		cmocka_unit_test_setup_teardown(polled, setup_levels, teardown),
		cmocka_unit_test_setup_teardown(remapped, setup_levels, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
