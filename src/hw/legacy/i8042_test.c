// SPDX-License-Identifier: GPL-2.0-or-later
#include "hw/legacy/legacy_testing.h"

#include "hw/legacy/i8042.h"

extern const struct device_type i8042_type;

static struct rig rig;

static int setup(void **state)
{
	rig_init(&rig);
	rig_add(&rig, &i8042_type, NULL);
	return 0;
}

static int teardown(void **state)
{
	rig_fini(&rig);
	return 0;
}

static uint8_t status(void)
{
	return inb(&rig, 0x64);
}

static void command(uint8_t v)
{
	outb(&rig, 0x64, v);
}

static void data(uint8_t v)
{
	outb(&rig, 0x60, v);
}

/* The next byte, which must be there, from the mouse or not. */
static uint8_t take(bool aux)
{
	uint8_t s = status();

	assert_int_equal(s & 0x21, aux ? 0x21 : 0x01);
	assert_true(rig_level[aux ? 12 : 1]);
	assert_false(rig_level[aux ? 1 : 12]);
	return inb(&rig, 0x60);
}

static void assert_empty(void)
{
	assert_int_equal(status() & 0x01, 0);
	assert_false(rig_level[1]);
	assert_false(rig_level[12]);
}

/* What Linux's driver does to find it. */
static void test_linux_probe(void **state)
{
	assert_int_equal(status(), 0x14);
	command(0x20);
	assert_int_equal(status() & 0x0b, 0x09);
	assert_int_equal(take(false), 0x47);
	command(0x60);
	data(0x44);
	assert_int_equal(status() & 0x08, 0);
	command(0xaa);
	assert_int_equal(inb(&rig, 0x60), 0x55);
	command(0xd3); /* aux loop */
	data(0xa5);
	assert_int_equal(status() & 0x21, 0x21);
	assert_false(rig_level[12]); /* interrupts are off */
	assert_int_equal(inb(&rig, 0x60), 0xa5);
	command(0xa7);
	command(0x20);
	assert_int_equal(inb(&rig, 0x60), 0x64);
	command(0xa9);
	assert_int_equal(inb(&rig, 0x60), 0);
	command(0xa8);
	command(0xab);
	assert_int_equal(inb(&rig, 0x60), 0);
	assert_empty();
}

static void test_keyboard(void **state)
{
	command(0x60);
	data(0x03); /* no translation */
	data(0xff);
	assert_int_equal(take(false), 0xfa);
	assert_int_equal(take(false), 0xaa);
	data(0xf2);
	assert_int_equal(take(false), 0xfa);
	assert_int_equal(take(false), 0xab);
	assert_int_equal(take(false), 0x83);
	data(0xed);
	assert_int_equal(take(false), 0xfa);
	data(0x07);
	assert_int_equal(take(false), 0xfa);
	data(0xf0);
	assert_int_equal(take(false), 0xfa);
	data(0x00);
	assert_int_equal(take(false), 0xfa);
	assert_int_equal(take(false), 0x02);
	data(0xee);
	assert_int_equal(take(false), 0xee);
	data(0xfe); /* again, please */
	assert_int_equal(take(false), 0xee);
	data(0x42);
	assert_int_equal(take(false), 0xfe);
	assert_empty();
}

static void test_keys(void **state)
{
	static const uint8_t keys[] = { 0x1c, 0xf0, 0x1c, 0xe0, 0xf0, 0x75 };
	uint8_t many[64] = { 0 };

	assert_true(i8042_put_keys(rig.dev, keys, sizeof(keys)));
	assert_int_equal(
		take(false), 0x1e); /* translated: A pressed, released, cursor up released */
	assert_int_equal(take(false), 0x9e);
	assert_int_equal(take(false), 0xe0);
	assert_int_equal(take(false), 0xc8);
	assert_empty();
	command(0x60);
	data(0x03);
	assert_true(i8042_put_keys(rig.dev, keys, 3));
	assert_int_equal(take(false), 0x1c);
	assert_int_equal(take(false), 0xf0);
	assert_int_equal(take(false), 0x1c);
	assert_false(i8042_put_keys(rig.dev, many, sizeof(many)));
	command(0xad); /* clock held low: bytes wait */
	assert_true(i8042_put_keys(rig.dev, keys, 1));
	assert_empty();
	command(0xae);
	assert_int_equal(take(false), 0x1c);
	data(0xf5);
	assert_int_equal(take(false), 0xfa);
	assert_false(i8042_put_keys(rig.dev, keys, 1));
}

static void to_mouse(uint8_t v)
{
	command(0xd4);
	data(v);
}

static void test_mouse(void **state)
{
	static const uint8_t knock[] = { 200, 100, 80 };

	assert_false(i8042_put_mouse(rig.dev, 1, 1, 0, 0));
	to_mouse(0xff);
	assert_int_equal(take(true), 0xfa);
	assert_int_equal(take(true), 0xaa);
	assert_int_equal(take(true), 0x00);
	for (int i = 0; i < 3; i++) {
		to_mouse(0xf3);
		assert_int_equal(take(true), 0xfa);
		to_mouse(knock[i]);
		assert_int_equal(take(true), 0xfa);
	}
	to_mouse(0xf2);
	assert_int_equal(take(true), 0xfa);
	assert_int_equal(take(true), 0x03); /* a wheel mouse */
	to_mouse(0xe9);
	assert_int_equal(take(true), 0xfa);
	assert_int_equal(take(true), 0x00);
	assert_int_equal(take(true), 0x02);
	assert_int_equal(take(true), 80);
	to_mouse(0xf4);
	assert_int_equal(take(true), 0xfa);
	assert_true(i8042_put_mouse(rig.dev, 5, -3, 1, 1));
	assert_int_equal(take(true), 0x29);
	assert_int_equal(take(true), 5);
	assert_int_equal(take(true), 0xfd);
	assert_int_equal(take(true), 1);
	to_mouse(0xe1);
	assert_int_equal(take(true), 0xfe);
	assert_empty();
}

static void test_reset_lines(void **state)
{
	command(0xfe);
	assert_true(rig_event(&rig, MACHINE_RESET));
	command(0xff); /* pulses nothing */
	assert_false(rig_event(&rig, MACHINE_RESET));
	command(0xd1);
	data(0xdf);
	assert_false(rig_event(&rig, MACHINE_RESET));
	command(0xd1);
	data(0xde);
	assert_true(rig_event(&rig, MACHINE_RESET));
	outb(&rig, 0x92, 0x02);
	assert_false(rig_event(&rig, MACHINE_RESET));
	outb(&rig, 0x92, 0x03);
	assert_true(rig_event(&rig, MACHINE_RESET));
}

static void test_a20(void **state)
{
	assert_int_equal(inb(&rig, 0x92) & 2, 2);
	command(0xdd);
	assert_int_equal(inb(&rig, 0x92) & 2, 0);
	command(0xd0);
	assert_int_equal(take(false) & 2, 0);
	outb(&rig, 0x92, 2);
	command(0xd0);
	assert_int_equal(take(false) & 2, 2);
}

static void test_state(void **state)
{
	static const uint8_t keys[] = { 0x1c, 0x32 };

	assert_true(i8042_put_keys(rig.dev, keys, 2));
	rig_save_load(&rig);
	assert_int_equal(take(false), 0x1e);
	assert_int_equal(take(false), 0x30);
	assert_empty();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_linux_probe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keyboard, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mouse, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a20, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
