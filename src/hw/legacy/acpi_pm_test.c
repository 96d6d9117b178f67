// SPDX-License-Identifier: GPL-2.0-or-later
#include "hw/legacy/legacy_testing.h"

#include <time.h>
#include "base/clock.h"
#include "hw/legacy/legacy.h"

extern const struct device_type acpi_pm_type;

static struct rig rig;

static int setup(void **state)
{
	rig_init(&rig);
	rig_add(&rig, &acpi_pm_type, NULL);
	return 0;
}

static int teardown(void **state)
{
	rig_fini(&rig);
	return 0;
}

static uint32_t rd(uint16_t off, unsigned int size)
{
	return rig_in(&rig, ACPI_PM_BASE + off, size);
}

static void wr(uint16_t off, uint32_t v, unsigned int size)
{
	rig_out(&rig, ACPI_PM_BASE + off, v, size);
}

static void test_registers(void **state)
{
	assert_int_equal(rd(0, 4), 0);
	assert_int_equal(rd(4, 2), 1); /* ACPI mode */
	wr(2, 0x0320, 2);
	assert_int_equal(rd(2, 2), 0x0320);
	assert_int_equal(rd(0, 4), 0x03200000);
	wr(3, 0x01, 1);
	assert_int_equal(rd(2, 2), 0x0120);
	assert_int_equal(rd(3, 1), 0x01);
	wr(4, 0x1c02, 2); /* a sleep type without the enable does nothing; SCI_EN stays */
	assert_int_equal(rd(4, 2), 0x1c03);
	assert_false(rig_event(&rig, MACHINE_POWEROFF));
	rig_out(&rig, ACPI_SMI_CMD, 0xf0, 1);
	assert_int_equal(rd(4, 2) & 1, 0);
	rig_out(&rig, ACPI_SMI_CMD, 0xf1, 1);
	assert_int_equal(rd(4, 2) & 1, 1);
	rig_out(&rig, ACPI_PM_GPE0, 0xffff0000, 4);
	assert_int_equal(rig_in(&rig, ACPI_PM_GPE0, 4), 0xffff0000);
}

static void test_power_off(void **state)
{
	wr(4, 0x2400, 2); /* another sleep state */
	assert_false(rig_event(&rig, MACHINE_POWEROFF));
	wr(4, 0x2000, 2);
	assert_true(rig_event(&rig, MACHINE_POWEROFF));
	wr(5, 0x20, 1); /* by byte */
	assert_true(rig_event(&rig, MACHINE_POWEROFF));
}

static void test_power_button(void **state)
{
	assert_false(acpi_pm_power_button(rig.dev)); /* nobody listens */
	wr(2, 0x0100, 2);
	assert_true(acpi_pm_power_button(rig.dev));
	assert_true(rig_level[ACPI_PM_SCI_GSI]);
	assert_int_equal(rd(0, 2), 0x0100);
	wr(0, 0x0001, 2); /* another bit's clear */
	assert_true(rig_level[ACPI_PM_SCI_GSI]);
	rig_save_load(&rig);
	assert_true(rig_level[ACPI_PM_SCI_GSI]);
	wr(0, 0x0100, 2);
	assert_false(rig_level[ACPI_PM_SCI_GSI]);
	assert_int_equal(rd(0, 2), 0);
	rig_out(&rig, ACPI_SMI_CMD, 0xf0, 1);
	assert_false(acpi_pm_power_button(rig.dev));
}

static void test_reset_register(void **state)
{
	rig_out(&rig, ACPI_RESET_PORT, 0x02, 1);
	assert_false(rig_event(&rig, MACHINE_RESET));
	rig_out(&rig, ACPI_RESET_PORT, 0x06, 1);
	assert_true(rig_event(&rig, MACHINE_RESET));
}

static void sleep_ms(long ms)
{
	struct timespec ts = { .tv_nsec = ms * NS_PER_MS };

	nanosleep(&ts, NULL);
}

static void test_timer(void **state)
{
	uint32_t a, b;
	int64_t t;

	assert_int_equal(rd(8, 4), 0); /* the machine does not run yet */
	rig_run(&rig);
	t = clock_mono_ns();
	a = rd(8, 4);
	sleep_ms(20);
	b = rd(8, 4);
	t = clock_mono_ns() - t;
	assert_true(b - a >= 20 * 3579 && b - a <= (uint64_t)t * 3580 / 1000000 + 2);
	wr(8, 0, 4); /* read-only */
	assert_true(rd(8, 4) >= b);
	machine_pause(rig.m);
	a = rd(8, 4);
	sleep_ms(2);
	assert_int_equal(rd(8, 4), a);
	rig_save_load(&rig);
	assert_int_equal(rd(8, 4), a);
	rig_run(&rig);
	sleep_ms(2);
	assert_true(rd(8, 4) > a);
}

/* The status bit comes when the top bit changes: 600 s of guest time, so move the clock. */
static void test_timer_status(void **state)
{
	rig_run(&rig);
	wr(2, 0x0001, 2);
	assert_int_equal(rd(0, 2), 0);
	atomic_fetch_sub(&rig.m->clock_off_ns, 600 * NS_PER_SEC);
	assert_int_equal(rd(0, 2), 1);
	wr(2, 0x0001, 2);
	assert_true(rig_level[ACPI_PM_SCI_GSI]);
	wr(0, 0x0001, 2);
	assert_false(rig_level[ACPI_PM_SCI_GSI]);
	assert_int_equal(rd(0, 2), 0);
	/* Just before the next one the host's timer is what raises it. */
	atomic_fetch_sub(&rig.m->clock_off_ns, 599880000000ll);
	wr(2, 0x0001, 2);
	wr(2, 0x0000, 2);
	wr(2, 0x0001, 2);
	for (int i = 0; i < 200 && !rig_level[ACPI_PM_SCI_GSI]; i++)
		loop_run_once(rig.loop, 10);
	assert_true(rig_level[ACPI_PM_SCI_GSI]);
	machine_pause(rig.m);
}

/* A search for PCI on a machine without it: address dwords, of which the second byte, at the reset
 * register's port, is a device's number. */
static void test_pci_search(void **state)
{
	for (uint32_t device = 0; device < 32; device++) {
		rig_out(&rig, 0xcf8, 0x80000000 | device << 11, 4);
		assert_int_equal(rig_in(&rig, 0xcfc, 4), 0xffffffff);
	}
	rig_out(&rig, 0xcf8, 0xffff, 2);
	assert_int_equal(rig_in(&rig, 0xcf8, 4), 0xffffffff);
	assert_false(rig_event(&rig, MACHINE_RESET));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_power_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_power_button, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_register, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pci_search, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_status, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
