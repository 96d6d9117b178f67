// SPDX-License-Identifier: GPL-2.0-or-later
#include "hw/legacy/legacy_testing.h"

#include <stdio.h>
#include "hw/legacy/fw_cfg.h"

extern const struct device_type fw_cfg_type;

#define CONTROL 0x1000 /* where the DMA descriptor lies */
#define BUFFER	0x2000

static struct rig rig;

static int setup(void **state)
{
	struct error err = ERROR_INIT;

	rig_init(&rig);
	rig_add(&rig, &fw_cfg_type, NULL);
	assert_non_null(rig.m->fw_cfg);
	assert_true(fw_cfg_add_file(rig.m->fw_cfg, "etc/one", "hello", 5, &err));
	assert_true(fw_cfg_add_file(rig.m->fw_cfg, "opt/two", "", 0, &err));
	assert_true(fw_cfg_add_item(rig.m->fw_cfg, 0x8001, "arch", 4, &err));
	return 0;
}

static int teardown(void **state)
{
	rig_fini(&rig);
	return 0;
}

static void select_key(uint16_t key)
{
	rig_out(&rig, 0x510, key, 2);
}

static void read_bytes(char *p, size_t n)
{
	while (n--)
		*p++ = (char)inb(&rig, 0x511);
}

static void test_ports(void **state)
{
	char b[72] = "";

	select_key(0);
	read_bytes(b, 6);
	assert_memory_equal(b, "QEMU\0\0", 6);
	select_key(1);
	read_bytes(b, 4);
	assert_int_equal(rd_le32(b), 3);
	select_key(3);
	read_bytes(b, 8);
	assert_int_equal(rd_le64(b), 1 * MIB);
	select_key(5);
	read_bytes(b, 2);
	assert_int_equal(rd_le16(b), 0);
	select_key(0x19);
	read_bytes(b, 68);
	assert_int_equal(rd_be32(b), 2);
	assert_int_equal(rd_be32(b + 4), 5);
	assert_int_equal(rd_be16(b + 8), 0x20);
	assert_string_equal(b + 12, "etc/one");
	select_key(0x20);
	read_bytes(b, 6);
	assert_memory_equal(b, "hello", 6);
	select_key(0x4020); /* the write bit is no part of the key */
	read_bytes(b, 5);
	assert_memory_equal(b, "hello", 5);
	select_key(0x8001);
	read_bytes(b, 4);
	assert_memory_equal(b, "arch", 4);
	select_key(0x1234);
	read_bytes(b, 2);
	assert_memory_equal(b, "\0\0", 2);
}

/* Run a DMA; returns the control word that comes back. */
static uint32_t dma(uint32_t control, uint32_t len, uint64_t addr)
{
	uint8_t c[16];

	wr_be32(c, control);
	wr_be32(c + 4, len);
	wr_be64(c + 8, addr);
	assert_int_equal(gmem_write(&rig.m->mem, GPA(CONTROL), c, sizeof(c)), 0);
	rig_out(&rig, 0x514, 0, 4);
	rig_out(&rig, 0x518, htobe32(CONTROL), 4);
	assert_int_equal(gmem_read(&rig.m->mem, GPA(CONTROL), c, 4), 0);
	return rd_be32(c);
}

static void test_dma(void **state)
{
	char b[16];

	assert_int_equal(rig_in(&rig, 0x514, 4), htobe32(0x51454d55)); /* "QEMU" */
	assert_int_equal(rig_in(&rig, 0x518, 4), htobe32(0x20434647)); /* " CFG" */
	memset(rig.t.ram->host + BUFFER, 0xee, 16);
	assert_int_equal(dma(0x0020000a, 3, BUFFER), 0);     /* select, read */
	assert_int_equal(dma(0x00000002, 4, BUFFER + 3), 0); /* on; zeros behind the end */
	assert_int_equal(gmem_read(&rig.m->mem, GPA(BUFFER), b, 8), 0);
	assert_memory_equal(b, "hello\0\0\xee", 8);
	assert_int_equal(dma(0x0020000c, 2, 0), 0); /* select, skip */
	assert_int_equal(dma(0x00000002, 1, BUFFER), 0);
	assert_int_equal(rig.t.ram->host[BUFFER], 'l');
	assert_int_equal(dma(0x00000010, 1, BUFFER), 1);     /* nothing can be written */
	assert_int_equal(dma(0x0020000a, 5, 0xfff00000), 1); /* no RAM there */
	assert_int_equal(dma(0x0020000a, 5, UINT64_MAX - 1), 1);
	assert_int_equal(dma(0x0020000a, UINT32_MAX, BUFFER), 1);
	assert_int_equal(dma(0x0000000c, UINT32_MAX, 0), 0);
	assert_int_equal(dma(0x00000004, UINT32_MAX, 0), 0); /* the offset does not wrap */
	assert_int_equal(dma(0x00000002, 1, BUFFER), 0);
	assert_int_equal(rig.t.ram->host[BUFFER], 0);
	/* A descriptor outside RAM. */
	rig_out(&rig, 0x514, 0xffffffff, 4);
	rig_out(&rig, 0x518, 0xf0ffffff, 4);
}

static void test_limits(void **state)
{
	struct error err = ERROR_INIT;
	char name[80];
	int n = 0;

	assert_false(fw_cfg_add_file(rig.m->fw_cfg, "etc/one", "x", 1, &err));
	memset(name, 'n', 56);
	name[56] = 0;
	assert_false(fw_cfg_add_file(rig.m->fw_cfg, name, "x", 1, &err));
	name[55] = 0;
	assert_true(fw_cfg_add_file(rig.m->fw_cfg, name, "x", 1, &err));
	do {
		snprintf(name, sizeof(name), "file%d", n++);
	} while (fw_cfg_add_file(rig.m->fw_cfg, name, "x", 1, &err) && n < 1000);
	assert_true(n < 1000);
}

static void test_state(void **state)
{
	select_key(0x20);
	inb(&rig, 0x511);
	rig_save_load(&rig);
	assert_int_equal(inb(&rig, 0x511), 'e');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dma, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
