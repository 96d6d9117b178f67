// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program's pages are side by side in a second mapping (window.h): generated code does there what it would do to the
 * frames themselves, whatever becomes of page tables, contexts and memory meanwhile.
 */
#include "accel/soft/jit_testing.h"
#include "accel/soft/window.h"

#define CODE   DATA
#define LIN    0x40000000ull /* the program */
#define LIST   0x40010000ull /* 16 pages: pairs of addresses */
#define PAGES  0x7ffff4ull   /* number of the first page of data, 12 before the end of a window */
#define N      24u
#define FRAMES 32u
#define FRAME  (CODE + 0x100000ull)
#define TOP2   0x3f0000ull
#define TOP3   0x340000ull /* 64 more */
#define STEPS  4000u

/* Adds the counter to a word, and another word to eax, at addresses that a list has, until the counter is 0. */
static const uint8_t program[] = {
	0x48, 0x8b, 0x1e,	/* again: mov rbx, [rsi] */
	0x48, 0x8b, 0x7e, 0x08, /* mov rdi, [rsi + 8] */
	0x48, 0x83, 0xc6, 0x10, /* add rsi, 16 */
	0x01, 0x0b,		/* add [rbx], ecx */
	0x33, 0x07,		/* xor eax, [rdi] */
	0xff, 0xc9, 0x75, 0xed, /* dec ecx; jnz again */
	0xf4,			/* hlt: #GP */
};

/* Two address spaces; what each page of theirs is. */
struct space {
	uint64_t top;
	unsigned int frame[N];
	bool readonly[N];
};

static struct space space[2];
static uint32_t model[FRAMES][1024], step_write[STEPS], step_read[STEPS];
static uint64_t rnd, start;

static uint64_t page_lin(unsigned int i)
{
	return (PAGES + i) << 12;
}

static void map_page(struct space *s, unsigned int i)
{
	map_in(e, s->top, page_lin(i), FRAME + 0x1000ull * s->frame[i],
		U | (s->readonly[i] ? 0 : W));
}

static int setup_windows(void **state)
{
	jit_test_begin(state);
	v->jit->hot_all = true;
	rnd = 77;
	start = LIN;
	put_at(CODE, program, sizeof(program));
	for (unsigned int k = 0; k < 2; k++) {
		struct space *s = &space[k];

		s->top = k ? TOP2 : TOP;
		map_in(e, s->top, LIN, CODE, U);
		for (unsigned int i = 0; i < 16; i++)
			map_in(e, s->top, LIST + 0x1000ull * i, CODE + 0x10000 + 0x1000ull * i, U);
		for (unsigned int i = 0; i < N; i++) {
			s->frame[i] = FRAMES - 1 - i; /* never the next one behind */
			s->readonly[i] = false;
			map_page(s, i);
		}
	}
	memset(model, 0, sizeof(model));
	set_cpl(v, 3);
	return 0;
}

static void list_make(unsigned int steps, unsigned int pages)
{
	uint64_t *list = (uint64_t *)(void *)(e->ram->host + CODE + 0x10000);

	for (unsigned int i = 0; i < steps; i++) {
		step_write[i] = (uint32_t)(test_random(&rnd) % (pages * 1024));
		step_read[i] = (uint32_t)(test_random(&rnd) % (pages * 1024));
		list[2 * i] = page_lin(step_write[i] / 1024) + step_write[i] % 1024 * 4;
		list[2 * i + 1] = page_lin(step_read[i] / 1024) + step_read[i] % 1024 * 4;
	}
}

/* What the program would do in @s; *@fault: how many steps are left when it writes to a page that it must not. */
static uint32_t expect(const struct space *s, unsigned int steps, uint32_t *fault)
{
	uint32_t a = 0;

	*fault = 0;
	for (unsigned int i = 0; i < steps; i++) {
		uint32_t w = step_write[i], r = step_read[i];

		if (s->readonly[w / 1024]) {
			*fault = steps - i;
			return a;
		}
		model[s->frame[w / 1024]][w % 1024] += steps - i;
		a ^= model[s->frame[r / 1024]][r % 1024];
	}
	return a;
}

static void run(const struct space *s, unsigned int steps)
{
	struct soft_event ev = { .vector = 255 };
	uint32_t fault, want = expect(s, steps, &fault);

	v->rip = start;
	v->gpr[X86_RAX] = 0;
	v->gpr[X86_RCX] = steps;
	v->gpr[X86_RSI] = LIST;
	for (int i = 0; i < 100 && ev.vector == 255; i++)
		soft_vcpu_turns(v, 1000, &ev);
	assert_int_equal(ev.vector, fault ? X86_EXC_PF : X86_EXC_GP);
	assert_int_equal((uint32_t)v->gpr[X86_RCX], fault);
	assert_int_equal((uint32_t)v->gpr[X86_RAX], want);
	assert_memory_equal(e->ram->host + FRAME, model, sizeof(model));
	v->has_event = false;
}

static bool in_window(unsigned int i)
{
	uint64_t page = page_lin(i);
	const struct soft_tlb_entry *t = soft_tlb_at(v, SOFT_MMU_USER, page);

	return t->page == page && (t->addend + page) - (uintptr_t)e->ram->host >= RAM_SIZE;
}

/* Sites that go between pages need neither pairs nor the TLB. */
static void one_region_for_all(void **state)
{
	list_make(STEPS, 8);
	for (int i = 0; i < 5; i++)
		run(&space[0], STEPS);
	for (unsigned int i = 0; i < 8; i++) {
		assert_true(in_window(i));
		assert_true(i == 0 || soft_tlb_at(v, SOFT_MMU_USER, page_lin(i))->addend ==
					      soft_tlb_at(v, SOFT_MMU_USER, page_lin(0))->addend);
	}
	assert_int_equal(v->jit->n_paired, 0);
	assert_int_equal(v->jit->n_given_up, 0);
	/* It is found again when all is forgotten but the window. */
	soft_tlb_flush(v, true);
	run(&space[0], STEPS);
	assert_true(in_window(3));
	soft_window_reset(v);
	soft_tlb_flush(v, true);
	run(&space[0], 10);
	assert_false(in_window(3));
}

/* Has the mapping at @p that flag in /proc/self/smaps? */
static bool has_flag(uintptr_t p, const char *flag)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long from, to;
	bool here = false, has = false;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = p >= from && p < to;
		else if (here && !strncmp(line, "VmFlags:", 8))
			has = strstr(line, flag);
	}
	fclose(f);
	return has;
}

/* In no core dump, and in no child: like RAM itself. */
static void is_kept_to_itself(void **state)
{
	uintptr_t at;

	list_make(STEPS, 4);
	run(&space[0], STEPS);
	at = soft_tlb_at(v, SOFT_MMU_USER, page_lin(0))->addend + page_lin(0);
	assert_true(in_window(0));
	assert_true(has_flag(at, " dd") && has_flag(at, " dc"));
	assert_true(has_flag((uintptr_t)e->ram->host, " dd"));
	assert_true(has_flag((uintptr_t)e->ram->host, " dc"));
	assert_false(has_flag((uintptr_t)&at, " dd") || has_flag((uintptr_t)&at, " dc"));
}

static void frame_changes(unsigned int f)
{
	uint8_t *host = e->ram->host + FRAME + 0x1000ull * f;

	if (test_random(&rnd) & 1) {
		assert_int_equal(ram_discard(e->ram, FRAME + 0x1000ull * f, 0x1000), 0);
		memset(model[f], 0, 0x1000);
	} else {
		model[f][5] = (uint32_t)test_random(&rnd);
		memcpy(host + 20, &model[f][5], 4);
	}
}

static void something_changes(unsigned int *now)
{
	struct space *s = &space[*now];
	unsigned int i = (unsigned int)(test_random(&rnd) % N);

	switch (test_random(&rnd) % 8) {
	case 0:
		s->frame[i] = (unsigned int)(test_random(&rnd) % FRAMES);
		break;
	case 1:
		s->readonly[i] = !s->readonly[i];
		break;
	case 2:
		s->readonly[i] = false;
		break;
	case 3:
		frame_changes(s->frame[i]);
		break;
	case 4:
		soft_window_reset(v);
		soft_tlb_flush(v, true);
		break;
	case 5:
		soft_tlb_flush(v, test_random(&rnd) & 1);
		break;
	default:
		*now ^= 1;
		v->cr3 = space[*now].top;
		soft_mmu_cr3(v, false);
		return;
	}
	map_page(s, i);
	fine(v, soft_tlb_flush_page(v, page_lin(i)));
}

static void world_changes(void **state)
{
	unsigned int now = 0, seen = 0;

	for (unsigned int i = 0; i < 3000; i++) {
		unsigned int steps = 20 + (unsigned int)(test_random(&rnd) % 400);

		if (i % 16 == 0)
			list_make(STEPS, 1 + i % N);
		run(&space[now], steps);
		soft_window_add(v, page_lin((unsigned int)(test_random(&rnd) % N)));
		seen += in_window(0);
		something_changes(&now);
	}
	assert_in_range(seen, 300, 3000);
}

static void fill_room(uint32_t pages, uint32_t want)
{
	static const uint64_t far = 0x100000000ull;

	for (uint32_t i = 0; i < pages; i++) {
		uint64_t lin = far + 0x2000ull * i;

		map(e, lin, FRAME + 0x1000ull * (i % FRAMES), U | W);
		fine(v, soft_load_lin(v, X86_DS, lin, 4, SOFT_MMU_USER));
		assert_int_equal(soft_window_add(v, lin), i < want);
	}
}

/* A page table that has changed without a flush: the small TLB may have the old page, but never the new one with the
 * old one's rights. */
static void rights_go_with_the_frame(void **state)
{
	const struct jit_l1 *l;
	struct soft_tlb_entry *t = soft_tlb_at(v, SOFT_MMU_USER, page_lin(0));
	uint8_t *old = e->ram->host + FRAME + 0x1000ull * space[0].frame[0];

	list_make(STEPS, 1);
	run(&space[0], 10);
	l = &v->l1[page_lin(0) >> 12 & (JIT_L1_SIZE - 1)];
	assert_true(l->tag[SOFT_WRITE] == page_lin(0) && l->host == old);
	space[0].frame[0] = 3;
	space[0].readonly[0] = true;
	map_page(&space[0], 0);
	t->page = SOFT_TLB_NONE; /* another page has had its place */
	t->tag[SOFT_READ] = t->tag[SOFT_WRITE] = t->tag[SOFT_FETCH] = SOFT_TLB_NONE;
	fine(v, soft_load_lin(v, X86_DS, page_lin(0), 4, SOFT_MMU_USER));
	assert_true(soft_window_add(v, page_lin(0)) && in_window(0));
	assert_true(l->tag[SOFT_WRITE] != page_lin(0) || soft_window_frame(v, l->host) == old);
}

/* Code of a page in a window is found when that is no more. */
static void code_in_a_window(void **state)
{
	list_make(STEPS, 1);
	for (unsigned int i = 0; i < 20; i++) {
		soft_jit_reset(v);
		put_at(CODE + 0x40 * i, program, sizeof(program));
		fine(v, soft_load_lin(v, X86_DS, LIN, 4, SOFT_MMU_USER));
		if (i) {
			soft_window_add(v, LIN);
			assert_true(soft_tlb_at(v, SOFT_MMU_USER, LIN)->addend + LIN -
					    (uintptr_t)e->ram->host >=
				    RAM_SIZE);
		}
		run(&space[0], 20);
		soft_window_reset(v);
		soft_tlb_flush(v, true);
		start = LIN + 0x40 * i;
		run(&space[0], 20);
		start = LIN;
	}
}

/* More pages than may be mapped: those that come last do without, until all is begun anew. That is not at once again. */
static void no_room(void **state)
{
	list_make(STEPS, 1);
	run(&space[0], 10);
	fill_room(4096 + 255, 4096);
	assert_false(soft_window_wants_room(v));
	fill_room(4096 + 1, 0);
	assert_true(soft_window_wants_room(v));
	list_make(STEPS, 4);
	run(&space[0], STEPS);
	assert_true(in_window(0));
	assert_false(soft_window_wants_room(v));
	fill_room(6000, 4096 - 4 - 16);
	assert_false(soft_window_wants_room(v));
	run(&space[0], STEPS);
	v->cr3 = TOP2;
	soft_mmu_cr3(v, false);
	run(&space[1], STEPS);
	assert_false(in_window(0));
}

/* An address space of its own, whose page tables begin at another place: the first one's, copied. */
static void use_root(unsigned int n)
{
	uint64_t top = TOP3 + 0x1000ull * n;

	memcpy(e->ram->host + top, e->ram->host + TOP, 0x1000);
	v->cr3 = top;
	soft_mmu_cr3(v, false);
}

/* More programs than there is room for: the last one gets what the first has not used for longest, though not all at once; and what
 * the code, which is the same, had got without is no more. */
static void programs_come_and_go(void **state)
{
	unsigned int in = 0;

	list_make(STEPS, 2);
	for (unsigned int n = 0; n < 64; n++) {
		use_root(n);
		run(&space[0], STEPS);
		in += in_window(0) && in_window(1);
	}
	assert_in_range(in, 24, 48);
	assert_true(v->jit->n_paired > 0);
	usleep(60000);
	use_root(63);
	for (int i = 0; i < 20; i++) {
		run(&space[0], STEPS);
		soft_tlb_flush(v, true);
	}
	assert_true(in_window(0) && in_window(1));
}

/* It is the program's, whatever PCID it has. */
static void pcid_is_no_other_program(void **state)
{
	list_make(STEPS, 2);
	v->cr4 |= X86_CR4_PCIDE;
	soft_mmu_mode_changed(v);
	run(&space[0], STEPS);
	assert_true(in_window(0));
	v->cr3 = TOP | 3;
	soft_mmu_cr3(v, false);
	run(&space[0], 10);
	assert_true(in_window(0));
}

/* Pages that become others, as when page tables are another program's by now: they get in, after a while. */
static void pages_that_change(void **state)
{
	list_make(STEPS, 8);
	run(&space[0], STEPS);
	assert_true(in_window(0) && in_window(7));
	for (unsigned int i = 0; i < 8; i++) {
		space[0].frame[i] = (i + 5) % FRAMES;
		map_page(&space[0], i);
	}
	soft_tlb_flush(v, true);
	run(&space[0], 10);
	assert_false(in_window(0) || in_window(7));
	for (int i = 0; i < 5; i++)
		run(&space[0], STEPS);
	assert_true(in_window(0) && in_window(7));
	assert_int_equal(v->jit->n_given_up, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_region_for_all, setup_windows, teardown),
		cmocka_unit_test_setup_teardown(is_kept_to_itself, setup_windows, teardown),
		cmocka_unit_test_setup_teardown(world_changes, setup_windows, teardown),
		cmocka_unit_test_setup_teardown(rights_go_with_the_frame, setup_windows, teardown),
		cmocka_unit_test_setup_teardown(code_in_a_window, setup_windows, teardown),
		cmocka_unit_test_setup_teardown(no_room, setup_windows, teardown),
		cmocka_unit_test_setup_teardown(programs_come_and_go, setup_windows, teardown),
		cmocka_unit_test_setup_teardown(pcid_is_no_other_program, setup_windows, teardown),
		cmocka_unit_test_setup_teardown(pages_that_change, setup_windows, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
