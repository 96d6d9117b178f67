// SPDX-License-Identifier: GPL-2.0-or-later
/* The probe: one clear answer, quickly, whatever is there. */
#include "accel/kvm/guest_testing.h"
#include "base/clock.h"
#include "base/str.h"

static void answers(void **state)
{
	AUTO(str) report = STR_INIT;
	int64_t start = clock_mono_ns(), quickest;
	bool ok = kvm_accel.probe(NULL, &report);

	quickest = clock_mono_ns() - start;
	print_message("%s (the probe took %.1f ms)\n", str_cstr(&report), quickest / 1e6);
	assert_true(report.len > 20);
	assert_null(strchr(str_cstr(&report), '\n'));
	/* A machine without virtualization hardware, and an emulated one, are told apart by the
	 * time that a port access takes; here only agreement with itself is asked for. */
	for (int i = 0; i < 5; i++) {
		AUTO(str) again = STR_INIT;

		start = clock_mono_ns();
		assert_int_equal(kvm_accel.probe(NULL, &again), ok);
		quickest = MIN(quickest, clock_mono_ns() - start);
	}
	/* Generous, and the quickest of them: CI machines are busy. */
	assert_true(quickest < 2 * NS_PER_SEC);
}

/* What seems plain is what the test guest finds. */
static void evidence_is_right(void **state)
{
	AUTO(str) why = STR_INIT;
	AUTO(str) report = STR_INIT;

	if (!kvm_accel.evident(NULL, &why)) {
		assert_int_equal(why.len, 0);
		skip();
	}
	print_message("%s\n", str_cstr(&why));
	assert_true(kvm_accel.probe(NULL, &report));
}

static void nothing_is_evident_elsewhere(void **state)
{
	struct kvm_config c = { .device = strdup("/dev/null") };
	AUTO(str) why = STR_INIT;

	assert_false(kvm_accel.evident(&c, &why));
	free(c.device);
}

static void refuses(const char *path, const char *words)
{
	struct kvm_config c = { .device = strdup(path) };
	AUTO(str) report = STR_INIT;

	assert_false(kvm_accel.probe(&c, &report));
	if (!strstr(str_cstr(&report), words))
		fail_msg("%s: %s", path, str_cstr(&report));
	free(c.device);
}

static void bad_devices(void **state)
{
	refuses("/nowhere/kvm", "does not exist: load the module");
	refuses("/dev/null", "is not a KVM device");
	refuses("/", "Is a directory");
}

static void bad_vm_devices(void **state)
{
	struct kvm_config o = { .device = strdup("/dev/null") };
	struct accel_vm_config c = { .max_vcpus = 1, .options = &o };
	struct error err = ERROR_INIT;

	assert_null(kvm_accel.vm_new(NULL, &c, &err));
	assert_string_equal(err.msg, "kvm: /dev/null is not a KVM device");
	free(o.device);
	o.device = strdup("/nowhere/kvm");
	assert_null(kvm_accel.vm_new(NULL, &c, &err));
	assert_true(!strncmp(err.msg, "kvm: /nowhere/kvm does not exist", 32));
	free(o.device);
}

static void options(void **state)
{
	struct kvm_config c;
	struct error err = ERROR_INIT;

	assert_true(fields_init(&kvm_config_table, &c, &err));
	assert_true(fields_parse(&kvm_config_table, &c, "device=/dev/x", &err));
	assert_string_equal(c.device, "/dev/x");
	assert_false(fields_parse(&kvm_config_table, &c, "engine=fast", &err));
	fields_fini(&kvm_config_table, &c);
}

int main(void)
{
	const struct CMUnitTest anywhere[] = {
		cmocka_unit_test(bad_devices),
		cmocka_unit_test(nothing_is_evident_elsewhere),
		cmocka_unit_test(bad_vm_devices),
		cmocka_unit_test(options),
	};
	const struct CMUnitTest with_kvm[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(evidence_is_right),
	};
	int failed = cmocka_run_group_tests(anywhere, NULL, NULL);

	return failed ?: guest_testing_skip() ?: cmocka_run_group_tests(with_kvm, NULL, NULL);
}
