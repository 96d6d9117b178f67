// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * machine - the machine that tests and fuzzers put devices into: RAM at 0, a host bridge, an engine of
 * the caller's choice, no CPUs and no board. For tests only, of every module that may use all this
 * (layers.txt). Lives on the thread that makes it.
 */
#ifndef TESTING_MACHINE_H
#define TESTING_MACHINE_H

#include "core/machine.h"
#include "hw/pci/pci.h"
#include "mem/ram.h"

struct test_machine {
	struct loop *loop; /* owned, if it made it */
	bool own_loop;
	struct machine *m; /* owned; what is added to it goes with it */
	struct ram_block *ram;
	struct as_region region;
	struct pci_host *host; /* the machine's; NULL: no PCI */
};

struct test_machine_config {
	const struct accel *accel;
	uint64_t ram;			   /* bytes */
	struct loop *loop;		   /* borrowed; NULL: a new one */
	uint32_t max_vcpus;		   /* 0: 1 */
	const struct pci_host_config *pci; /* borrowed for the call; NULL: no PCI */
};

/* A struct pci_host_config's members for one bus: the windows are where the PC has them. */
#define TEST_PCI                                                                           \
	.ecam_base = 0xe0000000, .ecam_buses = 1, .mmio32_base = 0xc0000000,               \
	.mmio32_size = 0x20000000, .mmio64_base = 0x100000000, .mmio64_size = 0x100000000, \
	.io_base = 0x1000, .io_size = 0xf000, .intx_gsi = { 16, 17, 18, 19 }, .assign = true

/* False: @err, and @t is as after test_machine_fini(). */
bool test_machine_init(
	struct test_machine *t, const struct test_machine_config *c, struct error *err) MUST_USE;
/* Devices and back ends that the machine owns go, too. A zeroed one is fine. */
void test_machine_fini(struct test_machine *t);

#endif
