// SPDX-License-Identifier: GPL-2.0-or-later
/* Root ports and what comes and goes behind them, as a guest and as the control plane see it. */
#include "core/device.h"

extern const struct device_type pci_host_type, virtio_rng_type, pcie_root_port_type,
	pci_hotplug_type, acpi_pm_type;
#define TEST_DEVICE_TYPES \
	&pci_host_type, &virtio_rng_type, &pcie_root_port_type, &pci_hotplug_type, &acpi_pm_type,
#include "hw/testing.h"

#include "hw/legacy/legacy.h"
#include "hw/pci/hotplug.h"

#define PORT_1	  8u /* devfn of the first port */
#define CHILD_BAR 0xdfe00000ull
#define VIRTIO_ID 0x10441af4u
#define NOTHING	  0xffffffffu
#define GPE_BIT	  (1u << PCI_HOTPLUG_GPE)

static struct test_machine *f;

static struct device *make(const char *type, const char *options)
{
	struct error err = ERROR_INIT;
	struct device *d = device_create(f->m, type, options, &err);

	if (!d)
		fail_msg("%s", err.msg);
	return d;
}

static int setup(void **state)
{
	struct pci_host_config c = test_pci;

	c.ecam_buses = 3;
	c.n_ports = 2;
	f = fixture_new(&c);
	make("acpi-pm", NULL);
	make("acpi-pci-hotplug", NULL);
	make("pcie-root-port", "id=rp1,port=7");
	make("pcie-root-port", "id=rp2,slot=40,addr=5");
	return 0;
}

static int teardown(void **state)
{
	fixture_free(f);
	return 0;
}

/* The machine is on and has been reset; its devices are as at run time. */
static void power_on(void)
{
	struct device *d;

	list_for_each (d, &f->m->devices, node) {
		if (d->type->reset)
			d->type->reset(d);
	}
	f->m->state = RUN_RUNNING;
}

static void power_off(void)
{
	f->m->state = RUN_PAUSED; /* no vCPU is to be stopped */
}

static uint32_t port_in(uint16_t port)
{
	uint8_t b[4] = { 0 };

	io_access_port(f->m, port, b, 4, false);
	return rd_le32(b);
}

static void port_out(uint16_t port, uint32_t v)
{
	uint8_t b[4];

	wr_le32(b, v);
	io_access_port(f->m, port, b, 4, true);
}

static uint32_t reg(uint16_t off)
{
	return port_in(PCI_HOTPLUG_PORT + off);
}

static void set_reg(uint16_t off, uint32_t v)
{
	port_out(PCI_HOTPLUG_PORT + off, v);
}

static uint32_t mem(uint64_t addr)
{
	uint8_t b[4];

	io_access_mem(f->m, addr, b, 4, false);
	return rd_le32(b);
}

/* As a guest does: the bridge first, then the device. */
static void enable(uint8_t bus)
{
	pci_config_write(f->host, bus, 0, PCI_COMMAND, 6, 2);
}

static bool gpe(void)
{
	bool set = port_in(ACPI_PM_GPE0) & GPE_BIT;

	port_out(ACPI_PM_GPE0, GPE_BIT | (uint32_t)GPE_BIT << 16);
	return set;
}

static struct device *find(const char *id)
{
	struct device *d;

	list_for_each (d, &f->m->devices, node) {
		if (d->id && !strcmp(d->id, id))
			return d;
	}
	return NULL;
}

static struct device *add(const char *options)
{
	struct error err = ERROR_INIT;
	struct device *d = pci_hotplug_add(f->m, "virtio-rng-pci", options, &err);

	if (!d)
		fail_msg("%s", err.msg);
	return d;
}

static void add_fails(const char *type, const char *options, const char *why)
{
	struct error err = ERROR_INIT;

	assert_null(pci_hotplug_add(f->m, type, options, &err));
	assert_contains(err.msg, why);
}

static void test_registers(void **state)
{
	uint8_t cap;

	power_on();
	assert_int_equal(pci_config_read(f->host, 0, PORT_1, 0, 4), 0x000c1b36);
	assert_int_equal(pci_config_read(f->host, 0, PORT_1, 0x0a, 2), 0x0604);
	assert_int_equal(pci_config_read(f->host, 0, PORT_1, PCI_HEADER_TYPE, 1), 1);
	assert_int_equal(pci_config_read(f->host, 0, PORT_1, 0x18, 4), 0x00010100);
	assert_int_equal(pci_config_read(f->host, 0, PORT_1, 0x20, 4), 0xdff0dfe0);
	assert_int_equal(pci_config_read(f->host, 0, 0x28, 0x20, 4), 0xdfd0dfc0);
	/* No I/O, no prefetchable window: read-only zeroes. */
	pci_config_write(f->host, 0, PORT_1, 0x1c, 0xffff, 2);
	pci_config_write(f->host, 0, PORT_1, 0x24, 0xffffffff, 4);
	assert_int_equal(pci_config_read(f->host, 0, PORT_1, 0x1c, 2), 0);
	assert_int_equal(pci_config_read(f->host, 0, PORT_1, 0x24, 4), 0);
	cap = (uint8_t)pci_config_read(f->host, 0, PORT_1, PCI_CAP_PTR, 1);
	assert_int_equal(pci_config_read(f->host, 0, PORT_1, cap, 4), 0x01420010);
	assert_int_equal(pci_config_read(f->host, 0, PORT_1, cap + 12u, 4) >> 24, 7);
	assert_int_equal(pci_config_read(f->host, 0, PORT_1, cap + 20u, 4) >> 19, 1);
	assert_int_equal(pci_config_read(f->host, 0, 0x28, cap + 20u, 4) >> 19, 40);
	assert_int_equal(pci_config_read(f->host, 0, PORT_1, cap + 26u, 2), 0);
	power_off();
}

/* There from the start. */
static void test_cold(void **state)
{
	struct error err = ERROR_INIT;

	make("virtio-rng-pci", "bus=rp1,id=a");
	power_on();
	assert_int_equal(pci_config_read(f->host, 1, 0, 0, 4), VIRTIO_ID);
	assert_int_equal(pci_config_read(f->host, 1, 1, 0, 4), NOTHING);
	assert_int_equal(pci_config_read(f->host, 2, 0, 0, 4), NOTHING);
	assert_int_equal(pci_config_read(f->host, 3, 0, 0, 4), NOTHING);
	assert_int_equal(pci_config_read(f->host, 0, PORT_1, 0x40 + 26, 2), 0x40);
	assert_int_equal(pci_config_read(f->host, 1, 0, 0x10, 4), CHILD_BAR | 4);
	/* Behind a bridge that is off nothing is decoded, whichever comes on first. */
	enable(1);
	assert_int_equal(mem(CHILD_BAR + 0x12), NOTHING);
	enable(0); /* the bridge of the host: nothing of ours */
	pci_config_write(f->host, 0, PORT_1, PCI_COMMAND, 6, 2);
	assert_int_equal(mem(CHILD_BAR + 0x10), 0x0001ffff);
	pci_config_write(f->host, 0, PORT_1, 0x20, 0xdfc0, 2);
	pci_config_write(f->host, 0, PORT_1, 0x22, 0xdfc0, 2);
	assert_int_equal(mem(CHILD_BAR + 0x10), NOTHING);
	pci_config_write(f->host, 1, 0, 0x10, 0xdfc00000, 4);
	assert_int_equal(mem(0xdfc00010), 0x0001ffff);
	/* The guest numbers buses as it likes. */
	pci_config_write(f->host, 0, PORT_1, 0x19, 2, 1);
	assert_int_equal(pci_config_read(f->host, 1, 0, 0, 4), NOTHING);
	assert_int_equal(pci_config_read(f->host, 2, 0, 0, 4), VIRTIO_ID);
	/* And what cannot be: over ECAM, base after limit, a window of the last MiB. */
	pci_config_write(f->host, 0, PORT_1, 0x20, 0xfff0fff0, 4);
	pci_config_write(f->host, 2, 0, 0x10, 0xfff00000, 4);
	assert_int_equal(mem(0xfff00010), NOTHING);
	pci_config_write(f->host, 0, PORT_1, 0x20, 0x0000dfe0, 4);
	assert_int_equal(mem(CHILD_BAR + 0x10), NOTHING);
	power_off();
	f->m->state = RUN_PRELAUNCH;
	assert_null(device_create(f->m, "virtio-rng-pci", "bus=rp1", &err));
	assert_contains(err.msg, "already occupied by a");
	assert_null(device_create(f->m, "virtio-rng-pci", "bus=rp2,addr=1", &err));
	assert_contains(err.msg, "only slot 0");
	assert_null(device_create(f->m, "virtio-rng-pci", "bus=nope", &err));
	assert_contains(err.msg, "Bus 'nope' not found");
	assert_null(device_create(f->m, "virtio-rng-pci", "bus=rp2,notify=pio", &err));
	assert_contains(err.msg, "no I/O ports");
	assert_null(device_create(f->m, "pcie-root-port", "bus=rp2,id=x", &err));
	assert_null(device_create(f->m, "pcie-root-port", "id=rp3", &err));
	assert_contains(err.msg, "2 root ports");
	assert_null(device_create(f->m, "acpi-pm", "bus=rp2", &err));
	/* Without a guest there is nobody to ask. */
	assert_false(pci_hotplug_del(find("rp1"), &err));
	assert_contains(err.msg, "not empty");
	assert_true(pci_hotplug_del(find("a"), &err));
	assert_true(pci_hotplug_del(find("rp1"), &err));
	make("pcie-root-port", "id=again");
}

static void test_come_and_go(void **state)
{
	struct error err = ERROR_INIT;
	struct device *d;

	power_on();
	gpe();
	add_fails("virtio-rng-pci", "id=a", "Bus 'pcie.0' does not support hotplugging");
	add_fails("virtio-rng-pci", "id=a,bus=nope", "Bus 'nope' not found");
	add_fails("nonsense", "id=a,bus=rp1", "not a valid device model name");
	add_fails("acpi-pm", "", "not a valid device model name");
	assert_int_equal(reg(PCI_HOTPLUG_IN), 0);
	for (int i = 0; i < 50; i++) {
		d = add("bus=rp1,id=a");
		assert_int_equal(d->instance, 0);
		assert_true(gpe());
		assert_int_equal(reg(PCI_HOTPLUG_IN), 1);
		set_reg(PCI_HOTPLUG_IN, 1);
		assert_int_equal(reg(PCI_HOTPLUG_IN), 0);
		assert_int_equal(pci_config_read(f->host, 1, 0, 0, 4), VIRTIO_ID);
		pci_config_write(f->host, 0, PORT_1, PCI_COMMAND, 6, 2);
		enable(1);
		assert_int_equal(mem(CHILD_BAR + 0x10), 0x0001ffff);
		add_fails("virtio-rng-pci", "bus=rp1", "already occupied");
		/* Asked twice: told twice. It stays until the guest lets it go. */
		for (int k = 0; k < 2; k++) {
			assert_true(pci_hotplug_del(d, &err));
			assert_true(gpe());
			assert_int_equal(reg(PCI_HOTPLUG_OUT), 1);
			set_reg(PCI_HOTPLUG_OUT, 1);
			loop_run_once(f->loop, 0);
		}
		assert_int_equal(pci_config_read(f->host, 1, 0, 0, 4), VIRTIO_ID);
		set_reg(PCI_HOTPLUG_EJECT, 1);
		assert_int_equal(pci_config_read(f->host, 1, 0, 0, 4), NOTHING);
		set_reg(PCI_HOTPLUG_EJECT, 0xffffffff); /* nothing is there */
		loop_run_once(f->loop, 0);
		assert_null(find("a"));
		assert_int_equal(mem(CHILD_BAR + 0x10), NOTHING);
		assert_int_equal(pci_config_read(f->host, 0, PORT_1, 0x40 + 26, 2), 0);
	}
	assert_false(pci_hotplug_del(find("rp1"), &err));
	power_off();
}

/* Plugged and taken out again before the guest looked; taken out by the guest itself. */
static void test_order(void **state)
{
	struct error err = ERROR_INIT;

	power_on();
	assert_true(pci_hotplug_del(add("bus=rp2,id=a"), &err));
	assert_int_equal(reg(PCI_HOTPLUG_IN), 0);
	assert_int_equal(reg(PCI_HOTPLUG_OUT), 2);
	set_reg(PCI_HOTPLUG_EJECT, 2);
	loop_run_once(f->loop, 0);
	add("bus=rp2,id=b");
	assert_int_equal(reg(PCI_HOTPLUG_IN), 2);
	assert_int_equal(reg(PCI_HOTPLUG_OUT), 0);
	add("bus=rp1,id=a");
	enable(1);
	enable(2);
	set_reg(PCI_HOTPLUG_EJECT, 3);
	add_fails("virtio-rng-pci", "bus=rp1", "already occupied"); /* not freed yet */
	loop_run_once(f->loop, 0);
	assert_null(find("a"));
	assert_null(find("b"));
	power_off();
}

/* The guest was asked twice for one device, and answers the second time when another one is there. */
static void test_late_answer(void **state)
{
	struct error err = ERROR_INIT;
	struct device *d;

	power_on();
	d = add("bus=rp1,id=a");
	enable(1);
	for (int i = 0; i < 2; i++) {
		assert_true(pci_hotplug_del(d, &err));
		set_reg(PCI_HOTPLUG_OUT, reg(PCI_HOTPLUG_OUT));
	}
	set_reg(PCI_HOTPLUG_EJECT, 1);
	loop_run_once(f->loop, 0);
	assert_null(find("a"));
	d = add("bus=rp1,id=b");
	assert_int_equal(pci_config_read(f->host, 1, 0, 0, 4), VIRTIO_ID);
	set_reg(PCI_HOTPLUG_EJECT, 1);
	loop_run_once(f->loop, 0);
	assert_ptr_equal(find("b"), d);
	assert_int_equal(pci_config_read(f->host, 1, 0, 0, 4), VIRTIO_ID);
	/* One that the guest never looked at goes when it is asked for. */
	assert_true(pci_hotplug_del(d, &err));
	set_reg(PCI_HOTPLUG_EJECT, 1);
	loop_run_once(f->loop, 0);
	assert_null(find("b"));
	power_off();
}

static void test_reset(void **state)
{
	struct error err = ERROR_INIT;

	power_on();
	add("bus=rp1,id=stays");
	assert_true(pci_hotplug_del(add("bus=rp2,id=goes"), &err));
	power_on();
	assert_int_equal(pci_config_read(f->host, 1, 0, 0, 4), VIRTIO_ID);
	assert_int_equal(pci_config_read(f->host, 2, 0, 0, 4), NOTHING);
	loop_run_once(f->loop, 0);
	assert_non_null(find("stays"));
	assert_null(find("goes"));
	assert_int_equal(reg(PCI_HOTPLUG_IN) | reg(PCI_HOTPLUG_OUT), 0);
	power_off();
}

/* A machine ends while the eject is still to be carried out, or was never answered. */
static void test_end(void **state)
{
	struct error err = ERROR_INIT;

	power_on();
	add("bus=rp1,id=a");
	enable(1);
	assert_true(pci_hotplug_del(add("bus=rp2,id=b"), &err));
	set_reg(PCI_HOTPLUG_EJECT, 1);
	power_off();
}

static void test_slots(void **state)
{
	struct pci_slot_info s[4];

	assert_int_equal(pci_hotplug_slots(f->m, s, 4), 2);
	assert_true(s[0].index == 0 && s[0].devfn == PORT_1 && s[0].number == 1);
	assert_true(s[1].index == 1 && s[1].devfn == 5 << 3 && s[1].number == 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cold, setup, teardown),
		cmocka_unit_test_setup_teardown(test_come_and_go, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slots, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
