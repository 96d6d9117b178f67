// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of MSRs. */
#include "accel/soft/sys_testing.h"

static void set(struct soft_vcpu *v, uint32_t index, uint64_t value)
{
	uint64_t got;

	if (!soft_msr_write(v, index, value))
		fail_msg("MSR %#x refuses %#llx", index, (unsigned long long)value);
	assert_true(soft_msr_read(v, index, &got));
	assert_int_equal(got, value);
}

static void state_round_trip(void **state)
{
	uint64_t before[X86_MSR_MAX], value;
	struct soft_vcpu *v = t_vcpu();
	uint32_t index[X86_MSR_MAX], n = 0;

	for (; soft_msr_state(v, n, &index[n]); n++) {
		/* Different in each, and valid in all of them. */
		uint64_t x = index[n] == X86_MSR_PAT		      ? 0x0007040600070406
			     : index[n] == X86_MSR_XSS		      ? 0
			     : index[n] == 0x2ff		      ? 0xc06
			     : index[n] == 0xc001011f		      ? 4
			     : index[n] < 0x200			      ? n & 3
			     : index[n] - 0x4b564d02 < 5	      ? n & 1
			     : index[n] < 0x210 && (index[n] & 1)     ? 0x800 | n << 12
			     : index[n] < 0x210			      ? 6 | n << 12
			     : index[n] >= 0x250 && index[n] <= 0x26f ? 0x0606060600000000 | (n & 1)
								      : n * 0x10001;

		assert_true(n < X86_MSR_MAX - 1);
		if (!soft_msr_restore(v, index[n], x))
			fail_msg("MSR %#x refuses %#llx", index[n], (unsigned long long)x);
		assert_true(soft_msr_read(v, index[n], &value));
		assert_int_equal(value, x);
	}
	print_message("%u MSRs are state\n", n);
	assert_true(n > 40);
	for (uint32_t i = 0; i < n; i++) {
		assert_true(soft_msr_read(v, index[i], &before[i]));
		for (uint32_t k = 0; k < i; k++)
			assert_int_not_equal(index[i], index[k]);
	}
	for (uint32_t i = 0; i < n; i++)
		assert_true(soft_msr_restore(v, index[i], before[i]));
	for (uint32_t i = 0; i < n; i++) {
		assert_true(soft_msr_read(v, index[i], &value));
		assert_int_equal(value, before[i]);
	}
	t_free(v);
}

static void values_are_checked(void **state)
{
	struct soft_vcpu *v = t_vcpu();

	v->cr4_allowed &= ~(uint64_t)X86_CR4_LA57;
	set(v, X86_MSR_LSTAR, 0xffffffff81000000);
	assert_false(soft_msr_write(v, X86_MSR_LSTAR, 0x0000900000000000));
	assert_false(soft_msr_write(v, X86_MSR_KERNEL_GS_BASE, 1ull << 63));
	assert_false(soft_msr_write(v, X86_MSR_SYSENTER_EIP, 1ull << 60));
	v->cr4_allowed |= X86_CR4_LA57; /* whether it is on does not count */
	set(v, X86_MSR_LSTAR, 0x0000900000000000);
	set(v, X86_MSR_STAR, 0x0023001000000000);
	set(v, X86_MSR_PAT, 0x0407050600070106);
	assert_false(soft_msr_write(v, X86_MSR_PAT, 0x0407050600070102));
	set(v, 0x200, 0x12345006);
	assert_false(soft_msr_write(v, 0x200, 0x12345002));
	assert_false(soft_msr_write(v, 0x200, 1ull << 40 | 6));
	assert_false(soft_msr_write(v, 0x201, 0x400));
	set(v, 0x201, 0xfffff00800);
	assert_false(soft_msr_write(v, 0xc001011f, 1));
	assert_false(soft_msr_write(v, 0x250, 0x0606060606060607));
	assert_false(soft_msr_write(v, 0x2ff, 0x1000));
	assert_false(soft_msr_write(v, 0xfe, 0x508));
	assert_false(soft_msr_write(v, X86_MSR_XSS, 1));
	set(v, 0x400, ~0ull);
	assert_false(soft_msr_write(v, 0x400, 1));
	assert_false(soft_msr_write(v, 0x401, 1));
	set(v, 0x47f, 1);
	assert_true(soft_msr_write(v, 0x49, 1));
	assert_false(soft_msr_write(v, 0x49, 2));
	/* There is none of these. */
	for (uint32_t i = 0x12340000; i < 0x12340003; i++) {
		uint64_t x;

		assert_false(soft_msr_read(v, i, &x));
		assert_false(soft_msr_write(v, i, 0));
		assert_false(soft_msr_restore(v, i, 0));
	}
	t_free(v);
}

static void efer(void **state)
{
	struct soft_vcpu *v = t_vcpu();

	t_mode(v, 32, 0);
	set(v, X86_MSR_EFER, X86_EFER_LME | X86_EFER_NXE | X86_EFER_SCE);
	assert_int_equal(t.flushes, 1);
	assert_false(soft_msr_write(v, X86_MSR_EFER, X86_EFER_SVME));
	assert_false(soft_msr_write(v, X86_MSR_EFER, 2));
	/* LMA is not the guest's to set. */
	assert_true(soft_msr_write(v, X86_MSR_EFER, X86_EFER_LMA));
	assert_int_equal(v->efer, 0);
	t_mode(v, 64, 0);
	assert_false(soft_msr_write(v, X86_MSR_EFER, 0));
	assert_true(soft_msr_write(v, X86_MSR_EFER, X86_EFER_LME | X86_EFER_NXE));
	assert_int_equal(v->efer, X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE);
	t_free(v);
}

static void tsc(void **state)
{
	struct soft_vcpu *v = t_vcpu();
	uint64_t x;

	set(v, X86_MSR_TSC, T_HOST_TSC + 1000);
	assert_true(soft_msr_read(v, X86_MSR_TSC_ADJUST, &x));
	assert_int_equal(x, 1000);
	set(v, X86_MSR_TSC_ADJUST, 1500);
	assert_int_equal(v->tsc_offset, 1500);
	/* A state sets both. */
	assert_true(soft_msr_restore(v, X86_MSR_TSC_ADJUST, 7));
	assert_true(soft_msr_restore(v, X86_MSR_TSC, T_HOST_TSC + 5));
	assert_int_equal(v->tsc_adjust, 7);
	assert_int_equal(v->tsc_offset, 5);
	t_free(v);
}

static void keys(void **state)
{
	struct soft_vcpu *v = t_vcpu();

	t.flushes = 0;
	set(v, X86_MSR_PKRS, 0xfedcba98);
	assert_int_equal(v->pkrs, 0xfedcba98);
	assert_int_equal(t.flushes, 1);
	assert_false(soft_msr_write(v, X86_MSR_PKRS, 1ull << 32));
	t_free(v);
}

static void vendors(void **state)
{
	struct soft_vcpu *v = t_vcpu();
	uint64_t x;

	v->amd = true;
	assert_true(soft_msr_read(v, 0xc0010015, &x));
	assert_int_equal(x, 1 << 24);
	assert_true(soft_msr_write(v, 0xc0010015, 0));
	assert_false(soft_msr_read(v, 0xce, &x));
	assert_true(soft_msr_read(v, 0xc0011029, &x));
	assert_int_equal(x, 2);
	v->amd = false;
	assert_false(soft_msr_read(v, 0xc0010015, &x));
	assert_true(soft_msr_read(v, 0xce, &x));
	/* Linux' RAPL driver reads it where it means none. */
	assert_true(soft_msr_read(v, 0, &x));
	assert_int_equal(x, 0);
	assert_true(soft_msr_read(v, 0x8b, &x));
	assert_int_equal(x, 1ull << 32);
	/* What KVM's list has and we have not is nothing to lose. */
	assert_false(soft_msr_write(v, 0x9e, 0x30000));
	assert_true(soft_msr_restore(v, 0x9e, 0x30000));
	t_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(state_round_trip),
		cmocka_unit_test(values_are_checked),
		cmocka_unit_test(efer),
		cmocka_unit_test(tsc),
		cmocka_unit_test(keys),
		cmocka_unit_test(vendors),
	};

	return cmocka_run_group_tests_name("soft MSRs", tests, NULL, NULL);
}
