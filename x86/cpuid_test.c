/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* CPU models over made-up hosts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "x86/cpuid.h"

#define VENDOR_AMD   0x68747541
#define VENDOR_INTEL 0x756e6547

static struct x86_cpuid host, out;
static char buf[256];

static struct x86_cpuid_leaf *put(
	uint32_t f, uint32_t i, bool indexed, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	struct x86_cpuid_leaf *l = &host.leaf[host.n++];

	*l = (struct x86_cpuid_leaf){ f, i, indexed, a, b, c, d };
	return l;
}

/* A host that has every feature bit there is. */
static void make_host(bool amd)
{
	memset(&host, 0, sizeof(host));
	if (amd)
		put(0, 0, false, 0x10, VENDOR_AMD, 0x444d4163, 0x69746e65);
	else
		put(0, 0, false, 0x1f, VENDOR_INTEL, 0x6c65746e, 0x49656e69);
	put(1, 0, false, amd ? 0x00a20f10 : 0x000906ea, 0, ~0u, ~0u);
	if (!amd) {
		put(4, 0, true, 0x121, 0x1c0003f, 0x3f, 0);
		put(4, 1, true, 0x122, 0x1c0003f, 0x3f, 0);
		put(4, 2, true, 0x143, 0x0c0003f, 0x3ff, 0);
		put(4, 3, true, 0x163, 0x3c0003f, 0x2fff, 6);
		put(4, 4, true, 0, 0, 0, 0);
	}
	put(6, 0, false, 4, 0, 0, 0);
	put(7, 0, true, 2, ~0u, ~0u, ~0u);
	put(7, 1, true, ~0u, 0, 0, ~0u);
	put(0xa, 0, false, 0x08300802, 0, 0, 0x603);
	put(0xd, 0, true, 0x602e7, 576, 0x2b00, 0);
	put(0xd, 1, true, 0x1f, 0, 0, 0);
	put(0xd, 2, true, 256, 576, 0, 0);
	put(0xd, 5, true, 64, 1088, 0, 0);
	put(0xd, 6, true, 512, 1152, 0, 0);
	put(0xd, 7, true, 1024, 1664, 0, 0);
	put(0xd, 9, true, 8, 2688, 0, 0);
	put(0xd, 18, true, 8192, 2816, 6, 0);
	put(0x40000000, 0, false, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d);
	put(0x40000001, 0, false, ~0u, 0, 0, ~0u);
	put(0x80000000, 0, false, 0x80000021, 0, 0, 0);
	put(0x80000001, 0, false, 0x00a20f10, 0, ~0u, ~0u);
	for (uint32_t f = 0x80000002; f <= 0x80000004; f++)
		put(f, 0, false, 0x41414141, 0x41414141, 0x41414141, 0x41414141);
	put(0x80000006, 0, false, 1, 2, 3, 4);
	put(0x80000007, 0, false, 0, 0, 0, 0x100);
	put(0x80000008, 0, false, 0x3030, ~0u, 0, 0);
	if (amd) {
		put(0x8000000a, 0, false, 1, 8, 0, 0xff);
		put(0x8000001d, 0, true, 0x121, 0x1c0003f, 0x3f, 0);
		put(0x8000001d, 3, true, 0, 0, 0, 0);
		put(0x80000021, 0, false, ~0u, 0, ~0u, 0);
	}
}

static struct x86_cpu_model_request request(const char *model)
{
	return (struct x86_cpu_model_request){
		.model = model,
		.topology = { 1, 1, 1 },
		.tsc_khz = 2500000,
		.hypervisor_leaf = true,
	};
}

static void build(const struct x86_cpu_model_request *r, uint32_t apic_id)
{
	const char *e = x86_cpuid_build(r, &host, apic_id, &out, buf, sizeof(buf));

	if (e)
		fail_msg("%s", e);
	/* No leaf twice. */
	for (uint32_t i = 0; i < out.n; i++)
		for (uint32_t k = 0; k < i; k++)
			assert_false(out.leaf[i].function == out.leaf[k].function &&
				     out.leaf[i].index == out.leaf[k].index);
}

static const struct x86_cpuid_leaf *leaf(uint32_t f, uint32_t i)
{
	const struct x86_cpuid_leaf *l = x86_cpuid_find(&out, f, i);

	assert_non_null(l);
	return l;
}

static void refused(const struct x86_cpu_model_request *r, const char *words)
{
	const char *e = x86_cpuid_build(r, &host, 0, &out, buf, sizeof(buf));

	assert_non_null(e);
	if (!strstr(e, words))
		fail_msg("'%s' has no '%s'", e, words);
}

static bool bit(uint32_t v, int n)
{
	return v >> n & 1;
}

static void v2_is_small(void **state)
{
	struct x86_cpu_model_request r = request("x86-64-v2");

	make_host(false);
	build(&r, 0);
	assert_true(bit(leaf(1, 0)->ecx, 20));	/* sse4_2 */
	assert_true(bit(leaf(1, 0)->ecx, 13));	/* cx16 */
	assert_false(bit(leaf(1, 0)->ecx, 28)); /* avx */
	assert_false(bit(leaf(1, 0)->ecx, 26)); /* xsave */
	assert_false(bit(leaf(7, 0)->ebx, 5));	/* avx2 */
	assert_null(x86_cpuid_find(&out, 0xd, 0));
	assert_true(bit(leaf(0x80000001, 0)->edx, 29)); /* lm */
	assert_true(bit(leaf(1, 0)->ecx, 31));		/* hypervisor */
	assert_int_equal(leaf(1, 0)->eax, 0x000206c2);
	assert_int_equal(leaf(0x80000002, 0)->eax, 0x67646f4c); /* "Lodg" */
}

static void v3_has_avx2_only(void **state)
{
	struct x86_cpu_model_request r = request("x86-64-v3");

	make_host(true);
	build(&r, 0);
	assert_true(bit(leaf(7, 0)->ebx, 5));
	assert_false(bit(leaf(7, 0)->ebx, 16));
	assert_int_equal(leaf(0xd, 0)->eax, 7);
	assert_int_equal(leaf(0xd, 0)->ecx, 832);
	assert_int_equal(leaf(0xd, 2)->ebx, 576);
	assert_null(x86_cpuid_find(&out, 0xd, 5));
	assert_true(bit(leaf(0xd, 1)->eax, 0));	 /* xsaveopt */
	assert_false(bit(leaf(0xd, 1)->eax, 3)); /* xsaves */
	assert_int_equal(leaf(1, 0)->eax, 0x00830f10);
	assert_int_equal(leaf(0x80000001, 0)->eax, 0x00830f10);
	assert_int_equal(leaf(0, 0)->ebx, VENDOR_AMD);
}

/* The same model on two hosts is the same CPU, apart from what the host's caches are. */
static void models_are_the_same_elsewhere(void **state)
{
	struct x86_cpu_model_request r = request("x86-64-v3");
	struct x86_cpuid first;

	make_host(true);
	build(&r, 0);
	first = out;
	for (uint32_t i = 0; i < host.n; i++) {
		if (host.leaf[i].function == 1)
			host.leaf[i].eax = 0x00b40f40;
		if (host.leaf[i].function >= 0x80000002 && host.leaf[i].function <= 0x80000004)
			host.leaf[i].eax = 0x42424242;
	}
	build(&r, 0);
	assert_int_equal(out.n, first.n);
	assert_memory_equal(&out, &first, sizeof(out));
}

static void host_keeps_what_is_known(void **state)
{
	struct x86_cpu_model_request r = request("host");

	make_host(false);
	build(&r, 0);
	assert_int_equal(leaf(1, 0)->eax, 0x000906ea);
	assert_int_equal(leaf(0x80000002, 0)->eax, 0x41414141);
	assert_true(bit(leaf(7, 0)->ebx, 16));	    /* avx512f */
	assert_int_equal(leaf(0xd, 0)->eax, 0x2e7); /* no AMX */
	assert_int_equal(leaf(0xd, 0)->ecx, 2696);
	assert_false(bit(leaf(7, 0)->edx, 24));	   /* amx_tile */
	assert_false(bit(leaf(1, 0)->ecx, 3));	   /* monitor */
	assert_false(bit(leaf(1, 0)->ecx, 5));	   /* vmx */
	assert_false(bit(leaf(7, 0)->ecx, 16));	   /* la57: max only */
	assert_false(bit(leaf(7, 0)->ecx, 31));	   /* pks: max only */
	assert_false(bit(leaf(7, 0)->ebx, 2));	   /* sgx */
	assert_null(x86_cpuid_find(&out, 0xa, 0)); /* PMU */
	r.model = "max";
	build(&r, 0);
	assert_true(bit(leaf(7, 0)->ecx, 16));
	assert_false(bit(leaf(1, 0)->ecx, 5));
}

static void flags_on_and_off(void **state)
{
	struct x86_cpu_model_request r = request("x86-64-v3");

	make_host(true);
	r.plus[0] = "svm";
	r.plus[1] = "sha_ni";
	r.minus[0] = "avx";
	build(&r, 0);
	assert_true(bit(leaf(0x80000001, 0)->ecx, 2));
	assert_int_equal(leaf(0x8000000a, 0)->ebx, 8);
	assert_true(bit(leaf(7, 0)->ebx, 29));
	/* avx takes along what needs it. */
	assert_false(bit(leaf(1, 0)->ecx, 28));
	assert_false(bit(leaf(7, 0)->ebx, 5));
	assert_false(bit(leaf(1, 0)->ecx, 12));
	assert_int_equal(leaf(0xd, 0)->eax, 3);
	assert_int_equal(leaf(0xd, 0)->ecx, 576);
	r.plus[0] = NULL;
	build(&r, 0);
	assert_null(x86_cpuid_find(&out, 0x8000000a, 0));
	/* Each of these is good for something without the other. */
	r.plus[0] = "invpcid";
	r.plus[1] = NULL;
	r.minus[0] = "pcid";
	build(&r, 0);
	assert_true(bit(leaf(7, 0)->ebx, 10));
	assert_false(bit(leaf(1, 0)->ecx, 17));
}

static void what_a_model_lacks(void **state)
{
	struct x86_cpu_model_request v2 = request("x86-64-v2"), v3 = request("x86-64-v3");
	static struct x86_cpuid small, large, third;

	make_host(false);
	build(&v2, 0);
	small = out;
	build(&v3, 0);
	large = out;
	v3.minus[0] = "fma";
	build(&v3, 0);
	third = out;
	assert_null(x86_cpuid_lacks(&large, &large, buf, sizeof(buf)));
	assert_null(x86_cpuid_lacks(&large, &small, buf, sizeof(buf)));
	assert_string_equal(x86_cpuid_lacks(&third, &large, buf, sizeof(buf)), "fma");
	assert_non_null(strstr(x86_cpuid_lacks(&small, &large, buf, sizeof(buf)), "avx2"));
	/* The engine has it all, so that it alone does not refuse. */
	assert_null(x86_cpuid_missing(&large, &host, &small, buf, sizeof(buf)));
}

static void bad_requests(void **state)
{
	struct x86_cpu_model_request r = request("486");

	make_host(true);
	refused(&r, "unknown model '486' (base, x86-64-v2");
	r = request("host");
	r.plus[0] = "turbo";
	refused(&r, "unknown flag 'turbo'");
	r = request("host");
	r.minus[0] = "turbo";
	refused(&r, "unknown flag 'turbo'");
	r = request("x86-64-v3");
	r.plus[0] = "vaes";
	r.minus[0] = "avx";
	refused(&r, "flag 'vaes' needs 'avx'");
	r = request("host");
	r.plus[0] = r.minus[0] = "avx";
	refused(&r, "both asked for and refused");
	r = request("host");
	r.plus[0] = "ht";
	refused(&r, "follows from the topology");
	r = request("host");
	r.topology.cores = 0;
	refused(&r, "topology");
	for (uint32_t i = 0; i < host.n; i++)
		if (host.leaf[i].function == 7)
			host.leaf[i].ebx = 0;
	r = request("x86-64-v3");
	refused(&r, "x86-64-v3 needs 'bmi1', which this host does not offer");
	r = request("x86-64-v2");
	build(&r, 0);
	r.plus[0] = "avx2";
	refused(&r, "flag 'avx2' is not offered");
	memset(&host, 0, sizeof(host));
	r = request("host");
	refused(&r, "no CPU at all");
	/* A small buffer cuts, an empty one is never written. */
	r = request("486");
	assert_string_equal(x86_cpuid_build(&r, &host, 0, &out, buf, 8), "unknown");
	assert_non_null(x86_cpuid_build(&r, &host, 0, &out, NULL, 0));
}

static void topology(void **state)
{
	struct x86_cpu_model_request r = request("host");

	make_host(true);
	r.topology = (struct x86_topology){ 2, 3, 2 };
	/* Ids of 3 cores take 2 bits, of 2 threads 1. */
	assert_int_equal(x86_apic_id(&r.topology, 0), 0);
	assert_int_equal(x86_apic_id(&r.topology, 1), 1);
	assert_int_equal(x86_apic_id(&r.topology, 5), 5);
	assert_int_equal(x86_apic_id(&r.topology, 6), 8);
	assert_int_equal(x86_apic_id(&r.topology, 11), 13);
	build(&r, 13);
	assert_int_equal(leaf(1, 0)->ebx >> 24, 13);
	assert_int_equal(leaf(1, 0)->ebx >> 16 & 0xff, 8);
	assert_true(bit(leaf(1, 0)->edx, 28));
	assert_int_equal(leaf(0xb, 0)->eax, 1);
	assert_int_equal(leaf(0xb, 0)->ebx, 2);
	assert_int_equal(leaf(0xb, 1)->eax, 3);
	assert_int_equal(leaf(0xb, 1)->ebx, 6);
	assert_int_equal(leaf(0xb, 2)->ebx, 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(leaf(0xb, i)->edx, 13);
	assert_int_equal(leaf(0x80000008, 0)->ecx, 5 | 3 << 12);
	assert_int_equal(leaf(0x8000001e, 0)->eax, 13);
	assert_int_equal(leaf(0x8000001e, 0)->ebx, 2 | 1 << 8);
	assert_int_equal(leaf(0x8000001e, 0)->ecx, 1);
	assert_true(bit(leaf(0x80000001, 0)->ecx, 1));

	/* A host without the leaf: the threads are told of all the same. */
	for (uint32_t i = 0; i < host.n; i++) {
		if (host.leaf[i].function == 0x80000001)
			host.leaf[i].ecx &= ~(1u << 22);
	}
	build(&r, 13);
	assert_true(bit(leaf(0x80000001, 0)->ecx, 22));
	assert_int_equal(leaf(0x8000001e, 0)->ebx, 2 | 1 << 8);

	make_host(false);
	build(&r, 0);
	assert_int_equal(leaf(4, 0)->eax >> 14 & 0xfff, 1);
	assert_int_equal(leaf(4, 3)->eax >> 14 & 0xfff, 7);
	assert_int_equal(leaf(4, 3)->eax >> 26, 3);
	r.topology = (struct x86_topology){ 1, 1, 1 };
	build(&r, 0);
	assert_false(bit(leaf(1, 0)->edx, 28));
	r.topology = (struct x86_topology){ 1, 4096, 1 };
	build(&r, 4095);
	assert_int_equal(leaf(1, 0)->ebx >> 16 & 0xff, 255);
}

static void frequency_and_hypervisor(void **state)
{
	struct x86_cpu_model_request r = request("host");

	make_host(false);
	build(&r, 0);
	assert_int_equal(leaf(0, 0)->eax, 0x16);
	assert_int_equal((uint64_t)leaf(0x15, 0)->ecx * leaf(0x15, 0)->ebx / leaf(0x15, 0)->eax,
		2500000000ull);
	assert_int_equal(leaf(0x16, 0)->eax, 2500);
	assert_int_equal(leaf(0x40000000, 0)->eax, 0x40000010);
	assert_int_equal(leaf(0x40000010, 0)->eax, 2500000);
	assert_true(bit(leaf(0x40000001, 0)->eax, 24));
	assert_false(bit(leaf(0x40000001, 0)->eax, 17)); /* migration control */
	assert_int_equal(leaf(0x40000001, 0)->edx, 0);
	r.tsc_khz = 0;
	build(&r, 0);
	assert_int_equal(leaf(0, 0)->eax, 0xd);
	assert_null(x86_cpuid_find(&out, 0x15, 0));
	assert_int_equal(leaf(0x40000000, 0)->eax, 0x40000001);
	r.hypervisor_leaf = false;
	build(&r, 0);
	make_host(true);
	r.tsc_khz = 2500000;
	build(&r, 0);
	assert_int_equal(leaf(0, 0)->eax, 0xd);
	assert_null(x86_cpuid_find(&out, 0x15, 0));
	assert_null(x86_cpuid_find(&out, 0x40000000, 0));
}

static void base_has_what_is_asked_for(void **state)
{
	struct x86_cpu_model_request r = request("base");
	unsigned int n = 0, avx = 0, xsave = 0;

	make_host(true);
	build(&r, 0);
	for (unsigned int i = 0; x86_cpuid_flag_name(i); i++) {
		n += x86_cpuid_has(&out, i);
		assert_false(x86_cpuid_model_needs(0, i));
		if (!strcmp(x86_cpuid_flag_name(i), "avx"))
			avx = i;
		if (!strcmp(x86_cpuid_flag_name(i), "xsave"))
			xsave = i;
	}
	assert_int_equal(n, 0);
	assert_true(x86_cpuid_model_needs(2, avx));
	assert_false(x86_cpuid_model_needs(1, avx));
	r.plus[0] = "avx";
	r.plus[1] = "xsave";
	build(&r, 0);
	assert_true(x86_cpuid_has(&out, avx));
	assert_true(x86_cpuid_has(&out, xsave));
}

static void tables_are_sound(void **state)
{
	for (unsigned int i = 0; x86_cpuid_flag_name(i); i++)
		for (unsigned int k = 0; k < i; k++)
			assert_string_not_equal(x86_cpuid_flag_name(i), x86_cpuid_flag_name(k));
	assert_string_equal(x86_cpuid_model_name(4), "max");
	assert_null(x86_cpuid_model_name(5));
	/* Every flag can be switched off, and asked for on a host that has all. */
	for (unsigned int i = 0; x86_cpuid_flag_name(i); i++) {
		struct x86_cpu_model_request r = request("max");
		const char *n = x86_cpuid_flag_name(i);

		make_host(true);
		r.minus[0] = n;
		build(&r, 0);
		r.minus[0] = NULL;
		r.plus[0] = n;
		if (strcmp(n, "ht") && strcmp(n, "cmp_legacy"))
			build(&r, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v2_is_small),
		cmocka_unit_test(v3_has_avx2_only),
		cmocka_unit_test(models_are_the_same_elsewhere),
		cmocka_unit_test(host_keeps_what_is_known),
		cmocka_unit_test(flags_on_and_off),
		cmocka_unit_test(what_a_model_lacks),
		cmocka_unit_test(bad_requests),
		cmocka_unit_test(topology),
		cmocka_unit_test(frequency_and_hypervisor),
		cmocka_unit_test(base_has_what_is_asked_for),
		cmocka_unit_test(tables_are_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
