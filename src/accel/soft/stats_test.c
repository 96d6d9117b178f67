// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of what was counted: sums, columns, more vCPUs than one table has. */
#include "accel/soft/jit.h"
#include "accel/soft/mmu_testing.h"
#include "base/str.h"

static int setup_jit(void **state)
{
	setup(state);
	((struct env *)*state)->vm->jit = true;
	return 0;
}

/* The numbers of the @nth row that begins with @text; how many. */
static unsigned int row_of(struct str *s, const char *text, unsigned int nth, uint64_t out[16])
{
	const char *p = str_cstr(s);
	unsigned int n = 0;
	char *end;

	for (; *p; p = strchr(p, '\n') + 1)
		if (!strncmp(p, text, strlen(text)) && !nth--)
			break;
	if (!*p)
		return 0;
	for (p += 52; *p != '\n'; p = end)
		out[n++] = strtoull(p, &end, 10);
	return n;
}

static void sums_and_columns(void **state)
{
	struct env *e = *state;
	AUTO(str) s = STR_INIT;
	uint64_t n[16];

	for (uint32_t i = 1; i < 4; i++) {
		struct soft_vcpu *v = new_vcpu(e, i);

		v->count.page_faults = 10 * i;
		v->jit->count.blocks = 100 * i;
		v->jit->count.guest_bytes = 1000;
		v->jit->count.host_bytes = 4250;
		v->jit->interp_op[X86_OP_CPUID] = 5;
		for (unsigned int op = X86_OP_ADD; op < X86_OP_ADD + 30; op++)
			v->jit->interp_op[op] = 1;
	}
	soft_stats(e->vm, &s);
	assert_int_equal(row_of(&s, "page faults", 0, n), 5);
	assert_true(n[0] == 60 && n[1] == 0 && n[2] == 10 && n[3] == 20 && n[4] == 30);
	assert_int_equal(row_of(&s, "blocks translated", 0, n), 5);
	assert_true(n[0] == 600 && n[4] == 300);
	assert_non_null(strstr(str_cstr(&s), " 4.25\n"));
	/* Twenty of them, the most frequent first. */
	assert_int_equal(row_of(&s, "  interpreted: ", 0, n), 5);
	assert_true(n[0] == 15 && n[1] == 0 && n[2] == 5);
	assert_non_null(strstr(str_cstr(&s), x86_op_name(X86_OP_CPUID)));
	assert_int_equal(row_of(&s, "  interpreted: ", 19, n), 5);
	assert_int_equal(row_of(&s, "  interpreted: ", 20, n), 0);
	assert_int_equal(row_of(&s, "NMIs", 0, n), 0);
}

/* What one vCPU has done: one column. */
static void one_cpu(void **state)
{
	struct env *e = *state;
	AUTO(str) s = STR_INIT;
	uint64_t n[16];

	e->v->count.flushes = 0;
	fine(e->v, soft_tlb_flush(e->v, true));
	fine(e->v, soft_tlb_flush_page(e->v, 0x1000));
	soft_stats(e->vm, &s);
	assert_int_equal(row_of(&s, "TLB flushes: one page", 0, n), 1);
	assert_true(n[0] == 1);
	assert_int_equal(row_of(&s, "TLB flushes: all", 0, n), 1);
	assert_true(n[0] == 1);
	assert_null(strstr(str_cstr(&s), "host bytes for a guest byte"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sums_and_columns, setup_jit, teardown),
		cmocka_unit_test_setup_teardown(one_cpu, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
