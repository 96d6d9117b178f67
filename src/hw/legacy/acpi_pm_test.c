// SPDX-License-Identifier: GPL-2.0-or-later
/* acpi-pm on a machine without a PCI host: what a guest may write and what resets. */
#include "base/testing.h"

#include "core/io.h"
#include "core/machine.h"
#include "hw/legacy/legacy.h"

extern const struct device_type acpi_pm_type;

const struct accel *const accel_table[] = { NULL };
const struct device_type *const device_type_table[] = { &acpi_pm_type, NULL };

static struct loop *loop;
static struct machine *m;

static int setup(void **state)
{
	struct error err = ERROR_INIT;

	loop = loop_new("main", 0, &err);
	m = loop ? machine_new("test", loop, &err) : NULL;
	return m && device_create(m, "acpi-pm", NULL, &err) ? 0 : -1;
}

static int teardown(void **state)
{
	machine_free(m);
	loop_free(loop);
	return 0;
}

static void put(uint16_t port, uint32_t value, unsigned int size)
{
	io_access_port(m, port, &value, size, true);
}

static uint32_t get(uint16_t port, unsigned int size)
{
	uint32_t value = 0;

	io_access_port(m, port, &value, size, false);
	return value;
}

static void test_reset_register(void **state)
{
	put(ACPI_RESET_PORT, 2, 1);
	assert_int_equal(m->pending, 0);
	put(ACPI_RESET_PORT, 6, 1);
	assert_int_equal(m->pending, 1u << MACHINE_RESET);
	assert_int_equal(get(ACPI_RESET_PORT, 1), 2);
}

/* A search for PCI: address dwords, of which the second byte is a device's number. */
static void test_pci_search(void **state)
{
	for (uint32_t device = 0; device < 32; device++) {
		put(0xcf8, 0x80000000 | device << 11, 4);
		assert_int_equal(get(0xcfc, 4), 0xffffffff);
	}
	put(0xcf8, 0xffff, 2);
	assert_int_equal(get(0xcf8, 4), 0xffffffff);
	assert_int_equal(m->pending, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reset_register, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pci_search, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
