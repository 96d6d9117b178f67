// SPDX-License-Identifier: GPL-2.0-or-later
/* Networks that come and go in a machine, with and without a network card. */
#include "core/device.h"

extern const struct device_type pci_host_type, virtio_net_pci_type;
#define TEST_DEVICE_TYPES &pci_host_type, &virtio_net_pci_type,
#include "hw/testing.h"

#include "hw/virtio/nic.h"
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

/* A network that a card uses goes, the card stays; one of that name that comes later is not the card's. */
static void test_del_in_use(void **state)
{
	struct test_machine *f = fixture_new(&test_pci);
	struct error err = ERROR_INIT;
	struct net_dev *a = add(f->m, "none,id=a", &err), *again;
	struct device *d = device_create(f->m, "virtio-net-pci", "netdev=a", &err), *other;

	assert_true(a && d);
	assert_true(machine_net_del(f->m, "a", &err));
	assert_true(nic_network(d) == a && net_is_cut(a));
	assert_null(machine_net(f->m, "a", &err));
	again = add(f->m, "none,id=a", &err);
	assert_true(again && nic_network(d) == a && !net_has_front(again));
	other = device_create(f->m, "virtio-net-pci", "netdev=a", &err);
	assert_ptr_equal(nic_network(other), again);
	device_free(d);
	assert_true(machine_net_del(f->m, "a", &err));
	/* The other one goes with the machine, without its network. */
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_and_del),
		cmocka_unit_test(test_del_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
