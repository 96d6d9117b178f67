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
#include "hw/pci/pci_int.h"
#include "mem/gmem.h"
#include "testing/machine.h"

#define TEST_RAM (16 * MIB)

const struct accel *const accel_table[] = { NULL };
const struct device_type *const device_type_table[] = { TEST_DEVICE_TYPES NULL };

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

static const struct pci_host_config test_pci = { TEST_PCI };

static struct test_machine *fixture_new(const struct pci_host_config *pci)
{
	struct test_machine *f = calloc(1, sizeof(*f));
	struct test_machine_config c = { .accel = &test_accel, .ram = TEST_RAM, .pci = pci };
	struct error err = ERROR_INIT;

	assert_non_null(f);
	memset(test_irq_level, 0, sizeof(test_irq_level));
	memset(test_irq_rises, 0, sizeof(test_irq_rises));
	test_msis = 0;
	if (!test_machine_init(f, &c, &err))
		fail_msg("%s", err.msg);
	return f;
}

static void fixture_free(struct test_machine *f)
{
	test_machine_fini(f);
	free(f);
}

#endif
