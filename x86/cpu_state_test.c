/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "x86/cpu_state.h"

static void power_on(void **state)
{
	struct x86_cpu_state *s = malloc(sizeof(*s));
	uint32_t v;

	x86_cpu_state_reset(s, 0, true);
	assert_int_equal(s->seg[X86_CS].base + s->rip, 0xfffffff0);
	assert_int_equal(s->rflags, 2);
	assert_int_equal(s->cr0, 0x60000010);
	assert_int_equal(s->apic_base, 0xfee00900);
	assert_int_equal(s->mp_state, X86_MP_RUNNABLE);
	memcpy(&v, s->lapic + 0x350, 4);
	assert_int_equal(v, 0x700);
	x86_cpu_state_reset(s, 5, false);
	assert_int_equal(s->apic_base, 0xfee00800);
	assert_int_equal(s->mp_state, X86_MP_UNINITIALIZED);
	memcpy(&v, s->lapic + 0x20, 4);
	assert_int_equal(v, 5u << 24);
	free(s);
}

static void msrs(void **state)
{
	struct x86_cpu_state *s = malloc(sizeof(*s));
	uint32_t n;

	x86_cpu_state_reset(s, 0, true);
	n = s->n_msrs;
	assert_true(x86_cpu_state_set_msr(s, 0x277, 0x1234));
	assert_int_equal(s->n_msrs, n);
	assert_int_equal(x86_msr_reset_value(0x277), 0x0007040600070406);
	assert_int_equal(x86_msr_reset_value(0x999), 0);
	for (uint32_t i = n; i < X86_MSR_MAX; i++)
		assert_true(x86_cpu_state_set_msr(s, 0x10000 + i, i));
	assert_false(x86_cpu_state_set_msr(s, 0x99999, 1));
	assert_true(x86_cpu_state_set_msr(s, 0x10000 + n, 7));
	assert_int_equal(s->n_msrs, X86_MSR_MAX);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(power_on),
		cmocka_unit_test(msrs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
