// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * board - the PC: memory map, CPUs, interrupt chips, the classic devices, PCI host, tables, and
 * direct kernel boot. Turns a board_config into a machine that can be run. Each part is there only
 * when it is named or needed.
 *
 * Memory map: RAM from 0 to at most 3 GiB and from 4 GiB on; between: 32-bit PCI window, ECAM, the
 * interrupt chips. The last 128 KiB below 1 MiB hold the ACPI and SMBIOS tables.
 */
#ifndef MACHINE_X86_BOARD_H
#define MACHINE_X86_BOARD_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "core/machine.h"
#include "x86/cpuid.h"

#define BOARD_CPUS_MAX	255
#define BOARD_NODES_MAX 16
#define BOARD_RAM_MIN	(1ull << 20)
#define BOARD_RAM_MAX	(4ull << 40)

struct board_node {
	uint64_t memory; /* bytes */
	uint32_t first_cpu, n_cpus;
};

struct board_config {
	uint32_t cpus;
	struct x86_topology topology;
	const char *cpu_model;	 /* "host" */
	const char *cpu_flags;	 /* "+aes,-avx" or NULL */
	const int *pin;		 /* host CPU of each vCPU, or NULL */
	uint64_t memory;	 /* bytes, a multiple of 1 MiB */
	const char *memory_file; /* NULL: anonymous */
	bool hugepages, prealloc;
	uint32_t n_nodes; /* 0: no NUMA */
	struct board_node node[BOARD_NODES_MAX];
	const char *kernel, *initrd, *cmdline; /* kernel NULL is refused until there is firmware */
	bool pci;			       /* a PCI host bridge */
	uint32_t pci_ports;		       /* root ports that will be made, at most 31 */
	bool keyboard;			       /* tell the guest of the PS/2 controller */
	bool rtc;			       /* tell the guest of the RTC */
	uint32_t n_serial;		       /* COM1.. with the back ends of these ids */
	const char *serial[4];
	uint8_t uuid[16];
	int irqchip; /* enum accel_irqchip */
	const struct accel *accel;
	const void *accel_options;
};

/* Make RAM, engine, chips, tables and board devices in @m, load the kernel, and leave the vCPUs
 * parked. PCI devices are created after board_init() and before board_start(). What @c points at
 * must live as long as the machine. Freed by machine_free(). */
bool board_init(struct machine *m, const struct board_config *c, struct error *err) MUST_USE;
/* The rest that needs all devices: tables, vCPUs. Then machine_resume(). */
bool board_start(struct machine *m, struct error *err) MUST_USE;

#endif
