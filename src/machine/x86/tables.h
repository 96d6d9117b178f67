// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tables - ACPI and SMBIOS tables as bytes. Pure functions of a description of the machine: no
 * device, no guest memory; the board copies the result into RAM or hands it to firmware.
 */
#ifndef MACHINE_X86_TABLES_H
#define MACHINE_X86_TABLES_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/str.h"
#include "hw/pci/hotplug.h"
#include "hw/pci/pci.h"

#define TABLES_NODES_MAX 16

struct tables_node {
	uint64_t mem_start, mem_size; /* a node may have two pieces (around the PCI hole) */
	uint64_t mem2_start, mem2_size;
};

struct tables_config {
	uint32_t n_cpus;
	const uint32_t *apic_ids; /* n_cpus */
	const uint32_t *cpu_node; /* n_cpus, or NULL: no NUMA */
	uint32_t n_nodes;
	struct tables_node node[TABLES_NODES_MAX];
	uint8_t distance[TABLES_NODES_MAX][TABLES_NODES_MAX]; /* 0: default 10 / 20 */
	uint64_t lapic_base, ioapic_base;
	uint8_t ioapic_id;
	uint64_t ecam_base; /* 0: no PCI */
	uint32_t ecam_buses;
	uint64_t mmio32_base, mmio32_size, mmio64_base, mmio64_size;
	uint16_t io_base, io_size;
	uint32_t intx_gsi[4]; /* slot s pin p -> intx_gsi[(s + p) % 4] */
	uint32_t n_slots;     /* of root ports, where devices come and go */
	struct pci_slot_info slot[PCI_PORTS_MAX];
	uint32_t pci_slots; /* slots that _PRT lists, a bit each; 0: all 32 */
	bool have_i8042;    /* keyboard is advertised */
	bool have_vga;	    /* false: the system need not look for one */
	bool no_pm_timer;   /* it costs Linux 4.5 ms and some 30 exits to check it */
	bool have_rtc;
	bool have_pit_pic; /* MADT PCAT_COMPAT */
	uint32_t n_serial;
	struct {
		uint16_t port; /* 0: that one is not there */
		uint8_t irq;
	} serial[4];
	bool have_fw_cfg, have_pvpanic;
	uint16_t pvpanic_port;
	bool have_power_button;
	const char *oem_id; /* "LODGE " */
};

/* All tables as one relocatable image for guest-physical address @base (16-byte aligned): RSDP
 * first, then XSDT, FADT, FACS, DSDT, MADT, MCFG, SRAT/SLIT. Checksums are right. */
bool acpi_build(
	const struct tables_config *c, uint64_t base, struct str *out, struct error *err) MUST_USE;

struct smbios_config {
	const char *manufacturer, *product, *version, *serial, *sku, *family;
	uint8_t uuid[16];
	uint64_t ram_size;
	uint32_t sockets, cores, threads;
};
/* SMBIOS 3 entry point followed by the structures, for guest-physical @base. */
bool smbios_build(
	const struct smbios_config *c, uint64_t base, struct str *out, struct error *err) MUST_USE;

#endif
