// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One device's saved state from an enemy, and a guest that uses the device then. The first byte chooses the type, the
 * second how many bytes at the end are a program of accesses; what is between is the state. What was
 * loaded must be able to save and load again, and to be reset.
 */
#include "accel/null/null.h"
#include "base/field_fuzz.h"
#include "base/log.h"
#include "block/block.h"
#include "chardev/chardev.h"
#include "core/device.h"
#include "core/io.h"
#include "fuzz/input.h"
#include "net/net.h"
#include "testing/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Append only: the corpus has their numbers. */
static const struct {
	const char *type, *options;
} kinds[] = {
	{ "virtio-net-pci", "netdev=test,notify=mmio" },
	{ "virtio-blk-pci", "drive=test,notify=mmio" },
	{ "virtio-console-pci", "console=test,notify=mmio" },
	{ "virtio-balloon-pci", "notify=mmio" },
	{ "virtio-rng-pci", "notify=mmio" },
	{ "pcie-root-port", "id=port" },
	{ "acpi-pci-hotplug", "" },
	{ "i6300esb", "" },
	{ "i8254", "" },
	{ "isa-serial", "chardev=test" },
	{ "mc146818-rtc", "" },
	{ "acpi-pm", "" },
};

static struct machine *m;
static struct loop *loop;
static struct device *devices[ARRAY_SIZE(kinds)];

static void make(void)
{
	static struct pci_host_config pci = { TEST_PCI };
	static struct test_machine t;
	struct test_machine_config c = { .accel = &null_accel, .ram = MIB, .pci = &pci };
	struct error err = ERROR_INIT;

	pci.ecam_buses = 2;
	pci.n_ports = 1;
	log_level = LOG_ERR;
	FUZZ_CHECK(test_machine_init(&t, &c, &err));
	m = t.m;
	loop = t.loop;
	FUZZ_CHECK(machine_backend_add(m, BACKEND_CHARDEV, "test",
			   chardev_open("null", "test", t.loop, &err), &err) &&
		   machine_backend_add(
			   m, BACKEND_BLOCK, "test", block_open_test(64 * KIB, &err), &err) &&
		   machine_backend_add(m, BACKEND_NET, "test", net_open_test(&err), &err));
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		devices[i] = device_create(m, kinds[i].type, kinds[i].options, &err);
		FUZZ_CHECK(devices[i]);
		if (devices[i]->type->reset)
			devices[i]->type->reset(devices[i]);
	}
}

static void quiesce(struct device *d)
{
	if (d->type->quiesce)
		d->type->quiesce(d);
}

static void resume(struct device *d)
{
	if (d->type->resume)
		d->type->resume(d);
}

/* Registers wherever the state has put them: ports, the devices' configuration space, what their BARs say. */
static void step(struct fuzz_input *in)
{
	static const uint16_t ports[] = { 0x40, 0x43, 0x60, 0x70, 0x71, 0x3f8, 0x600, 0x608,
		0xae00 };
	uint8_t op = (uint8_t)fuzz_take(in, 1), b[8];
	uint64_t off = fuzz_take(in, 2), value = fuzz_take(in, op & 8 ? 1 : 4);
	uint64_t config = 0xe0000000 + (uint64_t)(off >> 12) * 0x8000, bar;

	wr_le64(b, value);
	switch (op & 3) {
	case 0:
		io_access_port(m, ports[off % ARRAY_SIZE(ports)] + (off >> 12), b,
			1u << (op >> 6) % 3, op & 4);
		break;
	case 1:
		io_access_mem(m, config + (off & 0xffc), b, 4, op & 4);
		break;
	default:
		io_access_mem(m, config + 0x10 + (op >> 4) % 6 * 4, b, 8, false);
		bar = rd_le64(b);
		bar = (bar & 6) == 4 ? bar & ~0xfull : (uint32_t)bar & ~0xfu;
		wr_le64(b, value);
		io_access_mem(
			m, bar + (off & 0xfff) + ((op & 2) && (op & 1) ? 0x1000 : 0), b, 4, op & 4);
		break;
	}
}

static void use(struct fuzz_input *in)
{
	while (in->len)
		step(in);
	for (int i = 0; i < 4; i++)
		loop_run_once(loop, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	AUTO(str) again = STR_INIT;
	struct device *d;
	size_t program;

	if (size < 2)
		return 0;
	if (!m)
		make();
	d = devices[data[0] % ARRAY_SIZE(kinds)];
	program = MIN((size_t)data[1], size - 2);
	quiesce(d);
	if (device_load(d, data + 2, size - 2 - program, &err)) {
		struct fuzz_input in = { data + size - program, program };

		resume(d);
		use(&in);
		quiesce(d);
		FUZZ_CHECK(device_save(d, &again, &err));
		if (!device_load(d, again.s, again.len, &err))
			fuzz_check_error(&err); /* its rings may have gone meanwhile */
	} else {
		fuzz_check_error(&err);
	}
	if (d->type->reset)
		d->type->reset(d);
	resume(d);
	return 0;
}
