// SPDX-License-Identifier: GPL-2.0-or-later
/* ACPI tables: structure and checksums here; contents by iasl where it is installed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/types.h"
#include "base/wire.h"
#include "machine/x86/tables.h"

#define BASE 0xe0000ull

static struct tables_config config(uint32_t n_cpus)
{
	static uint32_t ids[600], nodes[600];
	struct tables_config c = { .n_cpus = n_cpus,
		.apic_ids = ids,
		.lapic_base = 0xfee00000,
		.ioapic_base = 0xfec00000,
		.ecam_base = 0xe0000000,
		.ecam_buses = 1,
		.mmio32_base = 0xc0000000,
		.mmio32_size = 0x20000000,
		.mmio64_base = 8 * GIB,
		.mmio64_size = 32 * GIB,
		.io_base = 0x1000,
		.io_size = 0xf000,
		.intx_gsi = { 16, 17, 18, 19 },
		.have_i8042 = true,
		.have_rtc = true,
		.have_pit_pic = true,
		.n_slots = 2,
		.slot = { { 0, 1 << 3, 1 }, { 7, 5 << 3 | 2, 40 } },
		.n_serial = 2,
		.serial = { { 0x3f8, 4 }, { 0x2f8, 3 } },
		.have_fw_cfg = true,
		.have_pvpanic = true,
		.pvpanic_port = 0x505,
		.have_power_button = true,
		.oem_id = "LODGE ",
		.cpu_node = nodes,
		.n_nodes = 2 };

	for (uint32_t i = 0; i < n_cpus; i++) {
		ids[i] = i;
		nodes[i] = i % 2;
	}
	c.node[0] = (struct tables_node){ 0, 3 * GIB, 4 * GIB, 1 * GIB };
	c.node[1] = (struct tables_node){ .mem2_start = 5 * GIB, .mem2_size = 4 * GIB };
	return c;
}

static uint8_t sum(const uint8_t *p, size_t n)
{
	uint8_t s = 0;

	while (n--)
		s += *p++;
	return s;
}

/* The table at guest-physical @addr, checked. */
static const uint8_t *table_at(const struct str *s, uint64_t addr, uint32_t *len)
{
	const uint8_t *p;

	assert_in_range(addr, BASE, BASE + s->len - 36);
	p = (const uint8_t *)s->s + (addr - BASE);
	*len = rd_le32(p + 4);
	assert_true(*len >= 36 && *len <= BASE + s->len - addr);
	assert_int_equal(sum(p, *len), 0);
	return p;
}

static const uint8_t *find(const struct str *s, const char *signature, uint32_t *len)
{
	const uint8_t *rsdp = (const uint8_t *)s->s, *xsdt, *t;
	uint32_t n;

	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(sum(rsdp, 36), 0);
	xsdt = table_at(s, rd_le64(rsdp + 24), &n);
	assert_memory_equal(xsdt, "XSDT", 4);
	assert_memory_equal(table_at(s, rd_le32(rsdp + 16), len), "RSDT", 4);
	assert_int_equal((n - 36) / 8, (*len - 36) / 4);
	for (uint32_t off = 36; off < n; off += 8) {
		t = table_at(s, rd_le64(xsdt + off), len);
		if (!memcmp(t, signature, 4))
			return t;
	}
	return NULL;
}

static void build(const struct tables_config *c, struct str *s)
{
	struct error err = ERROR_INIT;

	assert_true(acpi_build(c, BASE, s, &err));
}

static void test_fadt(void **state)
{
	AUTO(str) s = STR_INIT;
	struct tables_config c = config(2);
	const uint8_t *p, *facs;
	uint32_t len;

	build(&c, &s);
	p = find(&s, "FACP", &len);
	assert_int_equal(len, 276);
	assert_int_equal(rd_le32(p + 36) % 64, 0);
	facs = (const uint8_t *)s.s + (rd_le32(p + 36) - BASE);
	assert_memory_equal(facs, "FACS", 4);
	assert_memory_equal(table_at(&s, rd_le64(p + 140), &len), "DSDT", 4);
	assert_int_equal(rd_le32(p + 40), rd_le64(p + 140));
	assert_int_equal(rd_le32(p + 48), 0); /* always in ACPI mode */
	assert_int_equal(rd_le16(p + 46), 9);
	assert_int_equal(rd_le32(p + 76), 0x608);
	assert_int_equal(rd_le64(p + 120), 0xcf9);
	assert_int_equal(p[128], 6);
	assert_int_equal(rd_le16(p + 109), 0x17);
	c.have_i8042 = c.have_rtc = false;
	c.no_pm_timer = c.have_vga = true;
	c.n_serial = 0;
	build(&c, &s);
	p = find(&s, "FACP", &len);
	assert_int_equal(rd_le16(p + 109), 0x30);
	assert_int_equal(rd_le32(p + 76), 0);
	assert_int_equal(p[91], 0);
}

static void test_madt(void **state)
{
	AUTO(str) s = STR_INIT;
	struct tables_config c = config(300);
	uint32_t len, n[16] = { 0 }, id = 0;
	const uint8_t *p;

	build(&c, &s);
	p = find(&s, "APIC", &len);
	for (uint32_t off = 44; off < len; off += p[off + 1]) {
		assert_in_range(p[off], 0, 15);
		assert_true(p[off + 1] >= 2 && p[off + 1] <= len - off);
		n[p[off]]++;
		if (p[off] == 0)
			assert_int_equal(p[off + 3], id++);
		if (p[off] == 9)
			assert_int_equal(rd_le32(p + off + 4), id++);
	}
	assert_int_equal(n[0], 255);
	assert_int_equal(n[9], 45);
	assert_int_equal(n[1], 1);
	assert_int_equal(n[2], 2);
	assert_int_equal(n[10], 1);
}

static void test_numa(void **state)
{
	AUTO(str) s = STR_INIT;
	struct tables_config c = config(4);
	const uint8_t *p;
	uint32_t len, n[3] = { 0 };

	c.distance[0][1] = 17;
	build(&c, &s);
	p = find(&s, "SLIT", &len);
	assert_int_equal(len, 36 + 8 + 4);
	assert_memory_equal(p + 44, "\x0a\x11\x14\x0a", 4);
	p = find(&s, "SRAT", &len);
	for (uint32_t off = 48; off < len; off += p[off + 1])
		n[p[off]]++;
	assert_int_equal(n[0], 4);
	assert_int_equal(n[1], 3); /* an empty piece is not told */
	c.n_nodes = 0;
	build(&c, &s);
	assert_null(find(&s, "SRAT", &len));
	assert_non_null(find(&s, "MCFG", &len));
}

static void test_no_pci(void **state)
{
	AUTO(str) s = STR_INIT;
	struct tables_config c = config(1);
	uint32_t len;

	c.ecam_base = 0;
	build(&c, &s);
	assert_null(find(&s, "MCFG", &len));
	c.n_nodes = TABLES_NODES_MAX + 1;
	struct error err = ERROR_INIT;

	assert_false(acpi_build(&c, BASE, &s, &err));
}

/* ---------------------------------------------------------------- iasl */

static char dir[] = "/tmp/lodge-acpi-XXXXXX";

static void write_table(const char *name, const uint8_t *p, uint32_t len)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.dat", dir, name);
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, len, f), len);
	fclose(f);
}

static char *read_text(const char *name)
{
	char path[128], *text = calloc(1, 1 << 20);
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "rb");
	assert_non_null(f);
	assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
	fclose(f);
	return text;
}

static void PRINTF(1, 2) run(const char *format, ...)
{
	char cmd[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(cmd, sizeof(cmd), format, ap);
	va_end(ap);
	if (system(cmd))
		fail_msg("failed: %s", cmd);
}

static void assert_text(const char *text, const char *want)
{
	if (!strstr(text, want))
		fail_msg("'%s' is missing", want);
}

/* Disassemble, look for what a system would read, and compile again without a complaint. */
static void test_iasl(void **state)
{
	static const char *const tables[] = { "FACP", "APIC", "MCFG", "SRAT", "SLIT" };
	static const char *const wants[] = { "Device (PCI0)", "EisaId (\"PNP0A08\")", "Name (_S5",
		"Device (COM1)", "EisaId (\"PNP0501\")", "Device (C003)", "\"ACPI0007\"",
		"Device (KBD)", "\"QEMU0002\"", "\"QEMU0001\"",
		"0x0505,             // Range Minimum", "0x0000000200000000, // Range Minimum",
		"0xC0000000,         // Range Minimum", "0xE0000000,         // Address Base",
		"0x001FFFFF", "Return (Arg3)", "Device (RP07)", "Name (_ADR, 0x00050002)",
		"Name (_SUN, 0x28)", "Method (_EJ0, 1", "HPEJ = 0x80", "Method (_E01, 0",
		"\\_SB.PCI0.HPEV ()", "Notify (^RP07.S000, 0x03)", "Notify (^RP00.S000, One)" };
	AUTO(str) s = STR_INIT;
	struct tables_config c = config(4);
	const uint8_t *p;
	uint32_t len;
	char *text;

	if (system("iasl -v >/dev/null 2>&1")) {
		print_message("iasl is not installed (acpica-tools): skipped\n");
		skip();
	}
	assert_non_null(mkdtemp(dir));
	build(&c, &s);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		p = find(&s, tables[i], &len);
		write_table(tables[i], p, len);
		run("cd %s && iasl -d %s.dat >%s.log 2>&1", dir, tables[i], tables[i]);
		char name[32];

		snprintf(name, sizeof(name), "%s.log", tables[i]);
		text = read_text(name);
		if (strstr(text, "arning") || strstr(text, "rror"))
			fail_msg("iasl about %s: %s", tables[i], text);
		free(text);
	}
	p = table_at(&s, rd_le64(find(&s, "FACP", &len) + 140), &len);
	write_table("DSDT", p, len);
	run("cd %s && iasl -d DSDT.dat >/dev/null 2>&1", dir);
	text = read_text("DSDT.dsl");
	for (size_t i = 0; i < ARRAY_SIZE(wants); i++)
		assert_text(text, wants[i]);
	free(text);
	run("cd %s && iasl DSDT.dsl >DSDT.log 2>&1", dir);
	text = read_text("DSDT.log");
	assert_text(text, "0 Errors, 0 Warnings");
	free(text);
	run("rm -r %s", dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fadt),
		cmocka_unit_test(test_madt),
		cmocka_unit_test(test_numa),
		cmocka_unit_test(test_no_pci),
		cmocka_unit_test(test_iasl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
