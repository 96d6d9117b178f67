// SPDX-License-Identifier: GPL-2.0-or-later
/* What the engine offers on this host, the models made of it, and CPUID as a guest sees it. */
#include <cpuid.h>
#include "accel/soft/sys_testing.h"

static struct x86_cpuid offer, model;
static char buf[256];

static const char *build(const char *name, const char *plus, uint32_t threads)
{
	struct x86_cpu_model_request r = {
		.model = name,
		.plus = { plus },
		.topology = { 1, 2, threads },
		.tsc_khz = 2500000,
		.hypervisor_leaf = true,
	};

	return x86_cpuid_build(&r, &offer, 1, &model, buf, sizeof(buf));
}

static void get_offer(void)
{
	struct error err = ERROR_INIT;

	assert_true(soft_cpuid_supported(NULL, &offer, &err));
	assert_true(offer.n < X86_CPUID_MAX - 10);
}

static bool host_is_v3(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
	       __builtin_cpu_supports("fma");
}

static void models_build(void **state)
{
	static const char *const names[] = { "x86-64-v2", "x86-64-v3", "host", "max" };
	struct soft_vcpu *v = t_vcpu();
	struct error err = ERROR_INIT;

	get_offer();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *problem = build(names[i], NULL, 2);

		if (i == 1 && !host_is_v3())
			continue;
		if (problem)
			fail_msg("%s: %s", names[i], problem);
		if (!soft_vcpu_set_cpuid(&v->base, &model, &err))
			fail_msg("%s: %s", names[i], err.msg);
		assert_true(soft_has(v, X86_FEAT_SSE4_2) && soft_has(v, X86_FEAT_CX16));
		assert_int_equal(soft_has(v, X86_FEAT_AVX2), i > 0 && host_is_v3());
		assert_false(soft_has(v, X86_FEAT_VMX) || soft_has(v, X86_FEAT_SVM));
		assert_true(v->cr4_allowed & X86_CR4_SMEP && v->cr4_allowed & X86_CR4_PCIDE);
		assert_int_equal(!!(v->cr4_allowed & X86_CR4_LA57), i == 3);
		assert_int_equal(!!(v->cr4_allowed & X86_CR4_PKE), i >= 2);
		assert_true(v->efer_allowed & X86_EFER_LME);
		assert_true(v->phys_bits >= 36 && v->phys_bits <= 46);
	}
	/* What needs state that is not there. */
	assert_null(x86_cpuid_find(&model, 0xd, 5));
	assert_non_null(build("max", "avx512f", 1));
	assert_non_null(build("max", "svm", 1));
	assert_non_null(build("max", "vmx", 1));
	t_free(v);
}

/* Hosts that have less. */
static void needs_the_host(void **state)
{
	struct soft_vcpu *v = t_vcpu();
	struct error err = ERROR_INIT;

	get_offer();
	assert_null(build("host", NULL, 1));
	for (uint32_t i = 0; i < model.n; i++)
		if (model.leaf[i].function == 7 && model.leaf[i].index == 0)
			model.leaf[i].ebx |= 1u << 29; /* sha_ni */
	if (!(x86_cpuid_find(&offer, 7, 0)->ebx >> 29 & 1)) {
		assert_false(soft_vcpu_set_cpuid(&v->base, &model, &err));
		assert_null(v->cpuid);
	}
	for (uint32_t i = 0; i < offer.n; i++)
		if (offer.leaf[i].function == 7 && offer.leaf[i].index == 0)
			offer.leaf[i].ebx &= ~(1u << 5); /* no AVX2 */
	assert_non_null(build("x86-64-v3", NULL, 1));
	assert_non_null(strstr(buf, "avx2"));
	assert_null(build("x86-64-v2", NULL, 1));
	assert_null(build("host", NULL, 1));
	t_free(v);
}

static void hypervisor(void **state)
{
	const struct x86_cpuid_leaf *l;

	get_offer();
	assert_null(build("host", NULL, 1));
	l = x86_cpuid_find(&model, 0x40000000, 0);
	assert_non_null(l);
	assert_memory_equal(&l->ebx, "KVMKVMKVM\0\0", 12);
	l = x86_cpuid_find(&model, 0x40000001, 0);
	assert_non_null(l);
	assert_int_equal(l->eax, 0x01007efb);
	l = x86_cpuid_find(&model, 0x40000010, 0);
	assert_non_null(l);
	assert_int_equal(l->eax, 2500000);
}

static void dynamic_bits(void **state)
{
	struct soft_vcpu *v = t_vcpu();
	struct error err = ERROR_INIT;
	uint32_t l[4];

	get_offer();
	assert_null(build("max", NULL, 1));
	assert_true(soft_vcpu_set_cpuid(&v->base, &model, &err));
	soft_cpuid(v, 1, 0, l);
	assert_int_equal(l[1] >> 24, 1); /* APIC id */
	assert_true(l[3] & 1 << 9);
	assert_false(l[2] & 1 << 27);
	v->cr4 = X86_CR4_OSXSAVE | X86_CR4_PKE;
	t.apic_base = 0xfee00000;
	soft_cpuid(v, 1, 0, l);
	assert_false(l[3] & 1 << 9);
	assert_true(l[2] & 1 << 27);
	soft_cpuid(v, 7, 0, l);
	assert_true(l[2] & 1 << 4);
	v->xcr0 = 3;
	soft_cpuid(v, 0xd, 0, l);
	assert_int_equal(l[1], 576);
	assert_int_equal(l[2], soft_xsave_offset(9) + 8);
	v->xcr0 = 7;
	soft_cpuid(v, 0xd, 0, l);
	assert_int_equal(l[1], 576 + 256);
	v->xcr0 = 0x207;
	soft_cpuid(v, 0xd, 0, l);
	assert_int_equal(l[1], soft_xsave_offset(9) + 8);
	soft_cpuid(v, 0xd, 1, l);
	assert_int_equal(l[1], 576 + 256 + 8);
	soft_cpuid(v, 0x80000008, 0, l);
	assert_int_equal(l[0] >> 8 & 0xff, 57);
	t_free(v);
}

static void out_of_range(void **state)
{
	static const uint32_t none[4];
	struct soft_vcpu *v = t_vcpu();
	struct error err = ERROR_INIT;
	uint32_t l[4], last[4];

	get_offer();
	assert_null(build("host", NULL, 2));
	assert_true(soft_vcpu_set_cpuid(&v->base, &model, &err));
	v->amd = true;
	soft_cpuid(v, 0x12345, 0, l);
	assert_memory_equal(l, none, 16);
	v->amd = false;
	soft_cpuid(v, x86_cpuid_find(&model, 0, 0)->eax, 0, last);
	soft_cpuid(v, 0x12345, 0, l);
	assert_memory_equal(l, last, 16);
	soft_cpuid(v, 0x8fffffff, 0, l);
	assert_memory_equal(l, last, 16);
	soft_cpuid(v, 5, 0, l); /* inside the range */
	assert_memory_equal(l, none, 16);
	soft_cpuid(v, 0xb, 7, l);
	assert_int_equal(l[2], 7);
	assert_int_equal(l[3], 1);
	t_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(models_build),
		cmocka_unit_test(needs_the_host),
		cmocka_unit_test(hypervisor),
		cmocka_unit_test(dynamic_bits),
		cmocka_unit_test(out_of_range),
	};

	return cmocka_run_group_tests_name("soft CPUID", tests, NULL, NULL);
}
