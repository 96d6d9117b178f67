// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * acpi - the machine's ACPI tables.
 *
 * Kept small on purpose: each object is work for the guest's interpreter, and each register told
 * to it may be read, an exit each. So: no SMI command port (the machine is always in ACPI mode,
 * nothing to switch and to poll), no _STA where "present" is the default, no methods that touch
 * registers.
 *
 * Source: ACPI 6.5; PCI Firmware Specification 3.3 (MCFG, _OSC).
 */
#include <stdio.h>
#include <string.h>
#include "base/types.h"
#include "base/wire.h"
#include "hw/legacy/legacy.h"
#include "machine/x86/aml.h"
#include "machine/x86/tables.h"

#define TABLES_MAX  8
#define HEADER_SIZE 36
#define X2APIC_FROM 255 /* ids that do not fit the xAPIC's entries */

struct acpi {
	const struct tables_config *c;
	struct str *out;
	uint64_t base;
	uint64_t table[TABLES_MAX]; /* what the XSDT lists */
	uint32_t n;
	uint64_t facs, dsdt;
};

static void put8(struct str *s, uint8_t v)
{
	str_append_char(s, (char)v);
}

static void put_le(struct str *s, uint64_t v, unsigned int size)
{
	for (; size; size--, v >>= 8)
		put8(s, (uint8_t)v);
}

static void put_zero(struct str *s, size_t n)
{
	while (n--)
		put8(s, 0);
}

/* Pad so that the next byte's guest-physical address is a multiple of @align. */
static void align_to(struct acpi *a, uint64_t align)
{
	uint64_t at = a->base + a->out->len;

	put_zero(a->out, ALIGN_UP(at, align) - at);
}

static uint8_t checksum(const struct str *s, size_t pos, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += (uint8_t)s->s[pos + i];
	return (uint8_t)-sum;
}

static size_t table_begin(struct acpi *a, const char *signature, uint8_t revision)
{
	align_to(a, 16);
	size_t pos = a->out->len;

	str_append(a->out, signature);
	put_le(a->out, 0, 4); /* length: by table_end */
	put8(a->out, revision);
	put8(a->out, 0);
	str_append_mem(a->out, a->c->oem_id, 6);
	str_append_mem(a->out, "LODGE PC", 8);
	put_le(a->out, 1, 4);
	str_append_mem(a->out, "LDGE", 4);
	put_le(a->out, 1, 4);
	return pos;
}

/* Length and checksum. Returns the table's address. */
static uint64_t table_end(struct acpi *a, size_t pos)
{
	struct str *s = a->out;

	if (s->failed)
		return 0;
	wr_le32(s->s + pos + 4, (uint32_t)(s->len - pos));
	s->s[pos + 9] = (char)checksum(s, pos, s->len - pos);
	return a->base + pos;
}

static void table_end_listed(struct acpi *a, size_t pos)
{
	a->table[a->n++] = table_end(a, pos);
}

/* ---------------------------------------------------------------- DSDT */

static void dsdt_prt(struct acpi *a)
{
	const struct tables_config *c = a->c;
	uint32_t slots = c->pci_slots ? c->pci_slots : UINT32_MAX;
	uint8_t n = (uint8_t)(4 * __builtin_popcount(slots));
	struct str *s = a->out;

	aml_name(s, "_PRT");
	size_t prt = aml_package_begin(s, n);

	for (uint32_t slot = 0; slot < 32; slot++) {
		for (uint32_t pin = 0; (slots & BIT(slot)) && pin < 4; pin++) {
			size_t e = aml_package_begin(s, 4);

			aml_int(s, slot << 16 | 0xffff);
			aml_int(s, pin);
			aml_int(s, 0); /* a GSI, not a link device */
			aml_int(s, c->intx_gsi[(slot + pin) % 4]);
			aml_end(s, e);
		}
	}
	aml_end(s, prt);
}

#define NOTIFY_DEVICE_CHECK  1
#define NOTIFY_EJECT_REQUEST 3

static void slot_name(const struct pci_slot_info *slot, char *name, size_t size)
{
	snprintf(name, size, "RP%02X", slot->index);
}

/* A root port, and what may be in its slot. */
static void dsdt_slot(struct str *s, const struct pci_slot_info *slot)
{
	size_t port, dev, method;
	char name[8];

	slot_name(slot, name, sizeof(name));
	port = aml_device_begin(s, name);
	aml_name_int(s, "_ADR", (uint32_t)(slot->devfn >> 3) << 16 | (slot->devfn & 7));
	dev = aml_device_begin(s, "S000");
	aml_name_int(s, "_ADR", 0);
	aml_name_int(s, "_SUN", slot->number);
	method = aml_method_begin(s, "_EJ0", 1);
	aml_store_int(s, "HPEJ", BIT(slot->index));
	aml_end(s, method);
	aml_end(s, dev);
	aml_end(s, port);
}

/* One register's bits: read, taken back, passed on. */
static void dsdt_slot_events(struct acpi *a, const char *reg, uint8_t local, uint8_t value)
{
	struct str *s = a->out;

	aml_load_local(s, local, reg);
	aml_store_local(s, reg, local);
	for (uint32_t i = 0; i < a->c->n_slots; i++) {
		const struct pci_slot_info *slot = &a->c->slot[i];
		size_t then = aml_if_local_begin(s, local, BIT(slot->index));
		char name[8];

		slot_name(slot, name, sizeof(name));
		aml_notify(s, name, "S000", value);
		aml_end(s, then);
	}
}

/* Slots whose devices come and go: hw/pci/hotplug.h. */
static void dsdt_slots(struct acpi *a)
{
	static const char *const regs[] = { "HPIN", "HPOU", "HPEJ" };
	struct str *s = a->out;
	size_t method;

	aml_region_io(s, "HPRG", PCI_HOTPLUG_PORT, PCI_HOTPLUG_SIZE);
	aml_fields32(s, "HPRG", regs, ARRAY_SIZE(regs));
	for (uint32_t i = 0; i < a->c->n_slots; i++)
		dsdt_slot(s, &a->c->slot[i]);
	method = aml_method_begin(s, "HPEV", 0);
	dsdt_slot_events(a, "HPIN", 0, NOTIFY_DEVICE_CHECK);
	dsdt_slot_events(a, "HPOU", 1, NOTIFY_EJECT_REQUEST);
	aml_end(s, method);
}

static void dsdt_pci(struct acpi *a)
{
	const struct tables_config *c = a->c;
	struct str *s = a->out;
	size_t dev = aml_device_begin(s, "PCI0"), crs, osc;

	aml_name_eisaid(s, "_HID", "PNP0A08");
	aml_name_eisaid(s, "_CID", "PNP0A03");
	aml_name_int(s, "_UID", 0);
	crs = aml_crs_begin(s);
	aml_res_bus(s, 0, (uint16_t)c->ecam_buses);
	aml_res_io(s, 0xcf8, 8);
	if (c->io_size)
		aml_res_window_io(s, c->io_base, c->io_size);
	if (c->mmio32_size)
		aml_res_window_mem(s, c->mmio32_base, c->mmio32_size);
	if (c->mmio64_size)
		aml_res_window_mem(s, c->mmio64_base, c->mmio64_size);
	aml_crs_end(s, crs);
	/* Whatever control of PCIe features the system asks for, it gets. */
	osc = aml_method_begin(s, "_OSC", 4);
	aml_return_arg(s, 3);
	aml_end(s, osc);
	dsdt_prt(a);
	if (c->n_slots)
		dsdt_slots(a);
	aml_end(s, dev);
}

/* The event of hotplug: whoever had it sent set a bit in the registers. */
static void dsdt_hotplug_event(struct acpi *a)
{
	size_t scope = aml_scope_begin(a->out, "\\_GPE"), method;
	char name[8];

	snprintf(name, sizeof(name), "_E%02X", PCI_HOTPLUG_GPE);
	method = aml_method_begin(a->out, name, 0);
	aml_call(a->out, "_SB_", "PCI0", "HPEV");
	aml_end(a->out, method);
	aml_end(a->out, scope);
}

/* What is decoded by the board itself. */
static void dsdt_board(struct acpi *a)
{
	struct str *s = a->out;
	size_t dev = aml_device_begin(s, "MBRD"), crs;

	aml_name_eisaid(s, "_HID", "PNP0C02");
	crs = aml_crs_begin(s);
	aml_res_io(s, ACPI_PM_BASE, 12);
	aml_res_io(s, ACPI_PM_GPE0, 4);
	if (a->c->n_slots)
		aml_res_io(s, PCI_HOTPLUG_PORT, PCI_HOTPLUG_SIZE);
	if (a->c->ecam_base) /* below 4 GiB: Linux believes MCFG only when this is reserved */
		aml_res_mem32(s, (uint32_t)a->c->ecam_base, (uint32_t)(a->c->ecam_buses * MIB));
	aml_crs_end(s, crs);
	aml_end(s, dev);
}

/* A device with ports, and an interrupt unless @irq is 0. */
static void dsdt_isa(struct str *s, const char *name, const char *pnp_id, uint32_t uid,
	uint16_t port, uint8_t len, uint16_t port2, uint8_t irq)
{
	size_t dev = aml_device_begin(s, name), crs;

	if (str_has_prefix(pnp_id, "PNP", NULL))
		aml_name_eisaid(s, "_HID", pnp_id);
	else
		aml_name_string(s, "_HID", pnp_id);
	if (uid)
		aml_name_int(s, "_UID", uid);
	crs = aml_crs_begin(s);
	if (port)
		aml_res_io(s, port, len);
	if (port2)
		aml_res_io(s, port2, len);
	if (irq)
		aml_res_irq(s, irq);
	aml_crs_end(s, crs);
	aml_end(s, dev);
}

static void dsdt_legacy(struct acpi *a)
{
	const struct tables_config *c = a->c;
	struct str *s = a->out;

	for (uint32_t i = 0; i < c->n_serial; i++) {
		char name[8];

		snprintf(name, sizeof(name), "COM%u", (i + 1) % 10);
		if (c->serial[i].port)
			dsdt_isa(s, name, "PNP0501", i + 1, c->serial[i].port, 8, 0,
				c->serial[i].irq);
	}
	if (c->have_rtc)
		dsdt_isa(s, "RTC_", "PNP0B00", 0, 0x70, 2, 0, 8);
	if (c->have_i8042) {
		dsdt_isa(s, "KBD_", "PNP0303", 0, 0x60, 1, 0x64, 1);
		dsdt_isa(s, "MOU_", "PNP0F13", 0, 0, 0, 0, 12);
	}
	if (c->have_fw_cfg)
		dsdt_isa(s, "FWCF", "QEMU0002", 0, 0x510, 12, 0, 0);
	if (c->have_pvpanic)
		dsdt_isa(s, "PEVT", "QEMU0001", 0, c->pvpanic_port, 1, 0, 0);
}

static void dsdt_cpus(struct acpi *a)
{
	for (uint32_t i = 0; i < a->c->n_cpus; i++) {
		char name[8];

		snprintf(name, sizeof(name), "C%03X", i & 0xfff);
		size_t dev = aml_device_begin(a->out, name);

		aml_name_string(a->out, "_HID", "ACPI0007");
		aml_name_int(a->out, "_UID", i);
		aml_end(a->out, dev);
	}
}

static void build_dsdt(struct acpi *a)
{
	struct str *s = a->out;
	size_t t = table_begin(a, "DSDT", 2), scope, pkg;

	scope = aml_scope_begin(s, "\\_SB_");
	dsdt_cpus(a);
	if (a->c->ecam_base)
		dsdt_pci(a);
	dsdt_board(a);
	dsdt_legacy(a);
	aml_end(s, scope);
	if (a->c->ecam_base && a->c->n_slots)
		dsdt_hotplug_event(a);
	aml_name(s, "_S5_");
	pkg = aml_package_begin(s, 2);
	aml_int(s, ACPI_PM_SLP_TYP_S5);
	aml_int(s, ACPI_PM_SLP_TYP_S5);
	aml_end(s, pkg);
	a->dsdt = table_end(a, t);
}

/* ---------------------------------------------------------------- FADT, FACS */

static void build_facs(struct acpi *a)
{
	align_to(a, 64);
	a->facs = a->base + a->out->len;
	str_append(a->out, "FACS");
	put_le(a->out, 64, 4);
	put_zero(a->out, 24);
	put8(a->out, 2); /* version */
	put_zero(a->out, 31);
}

#define BOOT_LEGACY	   BIT(0) /* IAPC_BOOT_ARCH */
#define BOOT_8042	   BIT(1)
#define BOOT_NO_VGA	   BIT(2)
#define BOOT_NO_ASPM	   BIT(4)
#define BOOT_NO_RTC	   BIT(5)
#define FADT_WBINVD	   BIT(0)
#define FADT_PROC_C1	   BIT(2)
#define FADT_NO_PWR	   BIT(4) /* no fixed power button */
#define FADT_NO_SLEEP	   BIT(5)
#define FADT_RTC_NOT_FIXED BIT(6)
#define FADT_TMR_32	   BIT(8)
#define FADT_RESET	   BIT(10)

#define FADT_SIZE 276

/* A generic address in I/O space; @access: 1 byte, 2 word, 3 dword. */
static void put_gas(uint8_t *p, uint16_t port, uint8_t bits, uint8_t access)
{
	p[0] = 1;
	p[1] = bits;
	p[3] = access;
	wr_le64(p + 4, port);
}

/* The fixed registers, in the old and the extended form. */
static void fadt_registers(const struct tables_config *c, uint8_t *p)
{
	wr_le16(p + 46, ACPI_PM_SCI_GSI);
	wr_le32(p + 56, ACPI_PM_BASE);
	wr_le32(p + 64, ACPI_PM_BASE + 4);
	wr_le32(p + 80, ACPI_PM_GPE0);
	p[88] = 4;
	p[89] = 2;
	p[92] = 4;
	put_gas(p + 148, ACPI_PM_BASE, 32, 2);
	put_gas(p + 172, ACPI_PM_BASE + 4, 16, 2);
	put_gas(p + 220, ACPI_PM_GPE0, 32, 1);
	if (!c->no_pm_timer) {
		wr_le32(p + 76, ACPI_PM_BASE + 8);
		p[91] = 4;
		put_gas(p + 208, ACPI_PM_BASE + 8, 32, 3);
	}
	put_gas(p + 116, ACPI_RESET_PORT, 8, 1);
	p[128] = 6;
}

static void build_fadt(struct acpi *a)
{
	const struct tables_config *c = a->c;
	size_t t = table_begin(a, "FACP", 6);
	uint8_t p[FADT_SIZE] = { 0 };

	wr_le32(p + 36, (uint32_t)a->facs);
	wr_le32(p + 40, (uint32_t)a->dsdt);
	p[45] = 1; /* preferred profile: desktop */
	fadt_registers(c, p);
	wr_le16(p + 96, 0xfff);		 /* no C2 */
	wr_le16(p + 98, 0xfff);		 /* no C3 */
	p[108] = c->have_rtc ? 0x32 : 0; /* century byte */
	wr_le16(p + 109, (uint16_t)((c->n_serial ? BOOT_LEGACY : 0) |
				    (c->have_i8042 ? BOOT_8042 | BOOT_LEGACY : 0) |
				    (c->have_vga ? 0 : BOOT_NO_VGA) | BOOT_NO_ASPM |
				    (c->have_rtc ? 0 : BOOT_NO_RTC)));
	wr_le32(p + 112, FADT_WBINVD | FADT_PROC_C1 | (c->have_power_button ? 0 : FADT_NO_PWR) |
				 FADT_NO_SLEEP | FADT_RTC_NOT_FIXED |
				 (c->no_pm_timer ? 0 : FADT_TMR_32) | FADT_RESET);
	p[131] = 5; /* minor version */
	wr_le64(p + 140, a->dsdt);
	memcpy(p + 268, "LODGE   ", 8); /* hypervisor vendor */
	str_append_mem(a->out, p + HEADER_SIZE, FADT_SIZE - HEADER_SIZE);
	table_end_listed(a, t);
}

/* ---------------------------------------------------------------- MADT */

static void madt_cpu(struct str *s, uint32_t uid, uint32_t apic_id)
{
	if (apic_id < X2APIC_FROM && uid < X2APIC_FROM) {
		put8(s, 0);
		put8(s, 8);
		put8(s, (uint8_t)uid);
		put8(s, (uint8_t)apic_id);
		put_le(s, 1, 4); /* enabled */
	} else {
		put8(s, 9);
		put8(s, 16);
		put_le(s, 0, 2);
		put_le(s, apic_id, 4);
		put_le(s, 1, 4);
		put_le(s, uid, 4);
	}
}

/* An ISA interrupt that is not an edge on the I/O APIC pin of its own number. */
static void madt_override(struct str *s, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	put8(s, 2);
	put8(s, 10);
	put8(s, 0);
	put8(s, irq);
	put_le(s, gsi, 4);
	put_le(s, flags, 2);
}

static void build_madt(struct acpi *a)
{
	const struct tables_config *c = a->c;
	size_t t = table_begin(a, "APIC", 5);
	struct str *s = a->out;
	bool x2apic = false;

	put_le(s, c->lapic_base, 4);
	put_le(s, c->have_pit_pic ? 1 : 0, 4);
	for (uint32_t i = 0; i < c->n_cpus; i++) {
		madt_cpu(s, i, c->apic_ids[i]);
		x2apic |= c->apic_ids[i] >= X2APIC_FROM || i >= X2APIC_FROM;
	}
	put8(s, 1); /* I/O APIC */
	put8(s, 12);
	put8(s, c->ioapic_id);
	put8(s, 0);
	put_le(s, c->ioapic_base, 4);
	put_le(s, 0, 4);
	madt_override(s, 0, 2, 0);
	madt_override(s, ACPI_PM_SCI_GSI, ACPI_PM_SCI_GSI, 0xd); /* level, active high */
	put8(s, 4);						 /* NMI: LINT1 of all CPUs */
	put8(s, 6);
	put8(s, 0xff);
	put_le(s, 0, 2);
	put8(s, 1);
	if (x2apic) {
		put8(s, 10);
		put8(s, 12);
		put_le(s, 0, 2);
		put_le(s, UINT32_MAX, 4);
		put8(s, 1);
		put_zero(s, 3);
	}
	table_end_listed(a, t);
}

/* ---------------------------------------------------------------- MCFG, SRAT, SLIT */

static void build_mcfg(struct acpi *a)
{
	size_t t = table_begin(a, "MCFG", 1);
	struct str *s = a->out;

	put_zero(s, 8);
	put_le(s, a->c->ecam_base, 8);
	put_le(s, 0, 2); /* segment */
	put8(s, 0);
	put8(s, (uint8_t)(a->c->ecam_buses - 1));
	put_zero(s, 4);
	table_end_listed(a, t);
}

static void srat_cpu(struct str *s, uint32_t node, uint32_t apic_id)
{
	if (apic_id < X2APIC_FROM) {
		put8(s, 0);
		put8(s, 16);
		put8(s, (uint8_t)node);
		put8(s, (uint8_t)apic_id);
		put_le(s, 1, 4);
		put_zero(s, 8);
	} else {
		put8(s, 2);
		put8(s, 24);
		put_zero(s, 2);
		put_le(s, node, 4);
		put_le(s, apic_id, 4);
		put_le(s, 1, 4);
		put_zero(s, 8);
	}
}

static void srat_memory(struct str *s, uint32_t node, uint64_t start, uint64_t size)
{
	if (!size)
		return;
	put8(s, 1);
	put8(s, 40);
	put_le(s, node, 4);
	put_zero(s, 2);
	put_le(s, start, 8);
	put_le(s, size, 8);
	put_zero(s, 4);
	put_le(s, 1, 4);
	put_zero(s, 8);
}

static void build_srat(struct acpi *a)
{
	const struct tables_config *c = a->c;
	size_t t = table_begin(a, "SRAT", 3);

	put_le(a->out, 1, 4);
	put_zero(a->out, 8);
	for (uint32_t i = 0; i < c->n_cpus; i++)
		srat_cpu(a->out, c->cpu_node[i], c->apic_ids[i]);
	for (uint32_t i = 0; i < c->n_nodes; i++) {
		srat_memory(a->out, i, c->node[i].mem_start, c->node[i].mem_size);
		srat_memory(a->out, i, c->node[i].mem2_start, c->node[i].mem2_size);
	}
	table_end_listed(a, t);
}

static void build_slit(struct acpi *a)
{
	const struct tables_config *c = a->c;
	size_t t = table_begin(a, "SLIT", 1);

	put_le(a->out, c->n_nodes, 8);
	for (uint32_t i = 0; i < c->n_nodes; i++) {
		for (uint32_t k = 0; k < c->n_nodes; k++) {
			uint8_t d = c->distance[i][k];

			put8(a->out, d ? d : i == k ? 10 : 20);
		}
	}
	table_end_listed(a, t);
}

/* ---------------------------------------------------------------- roots */

/* RSDT (@size 4, for old software) or XSDT (@size 8). */
static uint64_t build_root(struct acpi *a, const char *signature, unsigned int size)
{
	size_t t = table_begin(a, signature, 1);

	for (uint32_t i = 0; i < a->n; i++)
		put_le(a->out, a->table[i], size);
	return table_end(a, t);
}

#define RSDP_SIZE 36

static void fill_rsdp(struct acpi *a, uint64_t rsdt, uint64_t xsdt)
{
	uint8_t p[RSDP_SIZE] = "RSD PTR ";

	memcpy(p + 9, a->c->oem_id, 6);
	p[15] = 2; /* ACPI 2.0 and later */
	wr_le32(p + 16, (uint32_t)rsdt);
	wr_le32(p + 20, RSDP_SIZE);
	wr_le64(p + 24, xsdt);
	memcpy(a->out->s, p, RSDP_SIZE);
	a->out->s[8] = (char)checksum(a->out, 0, 20); /* the first version's part */
	a->out->s[32] = (char)checksum(a->out, 0, RSDP_SIZE);
}

bool acpi_build(const struct tables_config *c, uint64_t base, struct str *out, struct error *err)
{
	struct acpi a = { .c = c, .out = out, .base = base };
	uint64_t rsdt, xsdt;

	if (c->n_nodes > TABLES_NODES_MAX || c->n_serial > ARRAY_SIZE(c->serial))
		return error_set(err, "ACPI: too many NUMA nodes or serial ports");
	str_clear(out);
	put_zero(out, RSDP_SIZE);
	build_facs(&a);
	build_dsdt(&a);
	build_fadt(&a);
	build_madt(&a);
	if (c->ecam_base)
		build_mcfg(&a);
	if (c->n_nodes && c->cpu_node) {
		build_srat(&a);
		build_slit(&a);
	}
	rsdt = build_root(&a, "RSDT", 4);
	xsdt = build_root(&a, "XSDT", 8);
	if (out->failed)
		return error_set(err, "ACPI: out of memory");
	fill_rsdp(&a, rsdt, xsdt);
	return true;
}
