// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * testing - a machine for the unit tests of PCI and virtio devices: 16 MiB of RAM at 0, a host
 * bridge, and an engine that runs nothing but counts the interrupts. Tests only; include once in a
 * program, after defining device_type_table's contents as TEST_DEVICE_TYPES.
 */
#ifndef HW_TESTING_H
#define HW_TESTING_H

#include "base/testing.h"

#include <unistd.h>

#include "core/io.h"
#include "core/machine.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_int.h"
#include "mem/gmem.h"

#define TEST_RAM (16 * MIB)

const struct accel *const accel_table[] = { NULL };
const struct device_type *const device_type_table[] = { TEST_DEVICE_TYPES NULL };

struct fixture {
	struct loop *loop;
	struct machine *m;
	struct ram_block *ram;
	struct as_region region;
	struct pci_host *host;
};

/* What the engine has seen; msi_send and irq_set may come from any thread. */
static bool test_irq_level[IRQ_GSI_PINS];
static uint32_t test_irq_rises[IRQ_GSI_PINS];
static _Atomic uint32_t test_msis;
static _Atomic uint64_t test_msi_addr;
static _Atomic uint32_t test_msi_data;

static struct accel_vm *test_vm_new(
	struct machine *m, const struct accel_vm_config *c, struct error *err)
{
	struct accel_vm *vm = calloc(1, sizeof(*vm));

	assert_non_null(vm);
	vm->accel = m->accel;
	vm->machine = m;
	return vm;
}

static void test_vm_free(struct accel_vm *vm)
{
	free(vm);
}

static int test_ram_add(struct accel_vm *vm, const struct as_range *r)
{
	return 0;
}

static void test_ram_del(struct accel_vm *vm, const struct as_range *r)
{
}

static int test_irq_set(struct accel_vm *vm, uint32_t gsi, bool level)
{
	test_irq_rises[gsi] += level && !test_irq_level[gsi];
	test_irq_level[gsi] = level;
	return 0;
}

static int test_msi_send(struct accel_vm *vm, uint64_t addr, uint32_t data)
{
	test_msi_addr = addr;
	test_msi_data = data;
	test_msis++;
	return 0;
}

#ifdef TEST_IRQFDS
/* Message routes with irqfds, of which only who is joined is known: nobody reads the eventfds. */
static int test_irqfds[IRQ_GSI_MAX]; /* 0: none */

static int test_routes_set(struct accel_vm *vm, const struct accel_msi *routes, uint32_t n)
{
	return 0;
}

static int test_irqfd(struct accel_vm *vm, uint32_t gsi, int eventfd, bool add)
{
	assert_int_equal(test_irqfds[gsi], add ? 0 : eventfd);
	test_irqfds[gsi] = add ? eventfd : 0;
	return 0;
}

static inline bool test_irqfd_joined(int gsi)
{
	return test_irqfds[gsi];
}

/* The interrupts that came so far, as the engine would take them. */
static inline bool test_irqfd_take(int gsi)
{
	uint64_t count;

	return read(test_irqfds[gsi], &count, sizeof(count)) > 0;
}
#endif

static const struct accel test_accel = {
	.name = "test",
	.vm_new = test_vm_new,
	.vm_free = test_vm_free,
	.ram_add = test_ram_add,
	.ram_del = test_ram_del,
	.irq_set = test_irq_set,
	.msi_send = test_msi_send,
#ifdef TEST_IRQFDS
	.routes_set = test_routes_set,
	.irqfd = test_irqfd,
#endif
};

static const struct pci_host_config test_pci = {
	.ecam_base = 0xe0000000,
	.ecam_buses = 1,
	.mmio32_base = 0xc0000000,
	.mmio32_size = 0x20000000,
	.mmio64_base = 0x100000000,
	.mmio64_size = 0x100000000,
	.io_base = 0x1000,
	.io_size = 0xf000,
	.intx_gsi = { 16, 17, 18, 19 },
	.assign = true,
};

static struct fixture *fixture_new(const struct pci_host_config *pci)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct ram_config rc = { .name = "ram", .size = TEST_RAM, .host_node = -1 };
	struct accel_vm_config vc = { .max_vcpus = 1 };
	struct error err = ERROR_INIT;

	assert_non_null(f);
	memset(test_irq_level, 0, sizeof(test_irq_level));
	memset(test_irq_rises, 0, sizeof(test_irq_rises));
	test_msis = 0;
	f->loop = loop_new("main", 0, &err);
	f->ram = ram_block_new(&rc, &err);
	assert_true(f->loop && f->ram);
	f->m = machine_new("test", f->loop, &err);
	assert_non_null(f->m);
	assert_true(machine_set_accel(f->m, &test_accel, &vc, &err));
	f->region =
		(struct as_region){ .name = "ram", .kind = AS_RAM, .priority = -10, .ram = f->ram };
	assert_int_equal(as_add(&f->m->mem, &f->region, 0, TEST_RAM), 0);
	f->host = pci_host_new(f->m, pci, &err);
	if (!f->host)
		fail_msg("%s", err.msg);
	return f;
}

static void fixture_free(struct fixture *f)
{
	machine_free(f->m);
	loop_free(f->loop);
	ram_block_unref(f->ram);
	free(f);
}

#endif
