// SPDX-License-Identifier: GPL-2.0-or-later
/* The small ones: pvpanic, debug exit, debug console, kvm-unit-tests' device. */
#include "hw/legacy/legacy_testing.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "chardev/chardev.h"

extern const struct device_type pvpanic_type, isa_debug_exit_type, isa_debugcon_type,
	pc_testdev_type;

static struct rig rig;

static int setup(void **state)
{
	rig_init(&rig);
	return 0;
}

static int teardown(void **state)
{
	rig_fini(&rig);
	return 0;
}

static void test_pvpanic(void **state)
{
	rig_add(&rig, &pvpanic_type, "events=1");
	assert_int_equal(inb(&rig, 0x505), 1);
	outb(&rig, 0x505, 2); /* not on offer */
	assert_false(rig_event(&rig, MACHINE_PANIC));
	outb(&rig, 0x505, 1);
	assert_true(rig_event(&rig, MACHINE_PANIC));
}

static void test_debug_exit(void **state)
{
	rig_add(&rig, &isa_debug_exit_type, "iobase=0xf4,iosize=4");
	assert_int_equal(inb(&rig, 0xf4), 0);
	rig_out(&rig, 0xf4, 0x10, 4);
	assert_true(rig_event(&rig, MACHINE_DEBUG_EXIT));
	assert_int_equal(atomic_load(&rig.m->pending_code), 0x21);
	rig_out(&rig, 0xf4, 0xffffffff, 4);
	assert_int_equal(atomic_load(&rig.m->pending_code), 0xff);
}

static void test_debugcon(void **state)
{
	char path[] = "/tmp/lodge-debugcon-XXXXXX", spec[64], text[8] = "";
	int fd = mkstemp(path);
	struct error err = ERROR_INIT;
	struct chardev *c;

	snprintf(spec, sizeof(spec), "file:%s", path);
	c = chardev_open(spec, "text", rig.loop, &err);
	assert_non_null(c);
	assert_true(machine_backend_add(rig.m, BACKEND_CHARDEV, "text", c, &err));
	rig_add(&rig, &isa_debugcon_type, "text,iobase=0x402,readback=0x55");
	assert_int_equal(inb(&rig, 0x402), 0x55);
	outb(&rig, 0x402, 'o');
	outb(&rig, 0x402, 'k');
	device_free(rig.dev);
	rig.dev = NULL;
	chardev_close(c);
	assert_int_equal(pread(fd, text, sizeof(text), 0), 2);
	assert_string_equal(text, "ok");
	close(fd);
	unlink(path);
}

static void test_debugcon_alone(void **state)
{
	rig_add(&rig, &isa_debugcon_type, NULL);
	outb(&rig, 0xe9, 'x');
	assert_int_equal(inb(&rig, 0xe9), 0xe9);
}

static void test_testdev(void **state)
{
	uint8_t b[8];

	rig_add(&rig, &pc_testdev_type, NULL);
	rig_out(&rig, 0xe0, 0x12345678, 4);
	assert_int_equal(inb(&rig, 0xe1), 0x56);
	rig_out(&rig, 0xe2, 0xabcd, 2);
	assert_int_equal(rig_in(&rig, 0xe0, 4), 0xabcd5678);
	assert_int_equal(rig_in(&rig, 0xe8, 4), 0xabcd5678);
	outb(&rig, 0x2000 + 5, 1);
	assert_true(rig_level[5]);
	assert_int_equal(rig_rises[5], 1);
	outb(&rig, 0x2000 + 5, 0);
	assert_false(rig_level[5]);
	outb(&rig, 0x2017, 1);
	assert_true(rig_level[23]);
	wr_le64(b, 0x1122334455667788);
	io_access_mem(rig.m, 0xff000008, b, 8, true);
	io_access_mem(rig.m, 0xff00000a, b, 2, false);
	assert_int_equal(rd_le16(b), 0x5566);
	rig.t.ram->host[0x3000] = 7;
	rig_out(&rig, 0xe4, 0x3000, 4);
	assert_int_equal(rig.t.ram->host[0x3000], 7);
	rig.t.ram->host[0x3000] = 8;	    /* writable again */
	rig_out(&rig, 0xe4, 0xfffff000, 4); /* no RAM */
	rig_save_load(&rig);
	assert_int_equal(rig_in(&rig, 0xe0, 4), 0xabcd5678);
	rig.dev->type->reset(rig.dev);
	assert_false(rig_level[23]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pvpanic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_debug_exit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_debugcon, setup, teardown),
		cmocka_unit_test_setup_teardown(test_debugcon_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_testdev, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
