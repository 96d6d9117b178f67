// SPDX-License-Identifier: GPL-2.0-or-later
/* Networks that come and go in a machine, with and without a network card. */
#include "core/device.h"

extern const struct device_type pci_host_type, virtio_net_pci_type;
#define TEST_DEVICE_TYPES &pci_host_type, &virtio_net_pci_type,
#include "hw/testing.h"

#include "machine/netdev.h"

static struct net_dev *add(struct machine *m, const char *options, struct error *err)
{
	struct net_config c;
	struct net_dev *d = NULL;

	if (fields_init(&net_config_table, &c, err) &&
		fields_parse(&net_config_table, &c, options, err))
		d = machine_net_add(m, &c, err);
	fields_fini(&net_config_table, &c);
	return d;
}

static void test_add_and_del(void **state)
{
	struct test_machine *f = fixture_new(&test_pci);
	struct error err = ERROR_INIT;
	struct net_dev *a = add(f->m, "none,id=a", &err);
	struct device *d;

	assert_non_null(a);
	assert_ptr_equal(machine_net(f->m, "a", &err), a);
	assert_null(add(f->m, "none,id=a", &err));
	assert_contains(err.msg, "twice");
	assert_non_null(add(f->m, "none,id=b", &err));
	d = device_create(f->m, "virtio-net-pci", "netdev=a", &err);
	assert_non_null(d);
	assert_false(machine_net_del(f->m, "a", &err));
	assert_contains(err.msg, "used by a network card");
	net_set_link(a, false);
	assert_false(net_link(a));
	device_free(d);
	assert_true(machine_net_del(f->m, "a", &err));
	assert_false(machine_net_del(f->m, "a", &err));
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_non_null(add(f->m, "none,id=a", &err));
	/* What is left is closed with the machine: AddressSanitizer would tell. */
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_and_del),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
