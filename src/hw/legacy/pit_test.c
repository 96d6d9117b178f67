// SPDX-License-Identifier: GPL-2.0-or-later
#include "hw/legacy/legacy_testing.h"

#include "base/clock.h"

extern const struct device_type i8254_type;

/* Channel 0 in @mode. */
static void program(struct rig *r, int mode, uint16_t n)
{
	outb(r, 0x43, 0x30 | mode << 1);
	outb(r, 0x40, (uint8_t)n);
	outb(r, 0x40, n >> 8);
}

/* Let the loop run for so long. */
static void pass(struct rig *r, int ms)
{
	int64_t end = clock_mono_ns() + ms * NS_PER_MS, left;

	while ((left = end - clock_mono_ns()) > 0)
		loop_run_once(r->loop, (int)(left / NS_PER_MS) + 1);
}

/* Times the loop is woken in so many milliseconds. */
static bool quiet(struct rig *r)
{
	loop_run_once(r->loop, 0);
	return r->dev && rig_rises[0] == 0;
}

static void ticks(void **state)
{
	struct rig r;

	rig_init(&r);
	rig_add(&r, &i8254_type, NULL);
	rig_run(&r);
	pass(&r, 3);
	assert_true(quiet(&r));
	program(&r, 2, 5966); /* 5 ms */
	pass(&r, 52);
	/* The host may be late, never early. */
	assert_in_range(rig_rises[0], 2, 11);
	/* A terminal count comes once. */
	program(&r, 0, 1193);
	rig_rises[0] = 0;
	pass(&r, 10);
	assert_int_equal(rig_rises[0], 1);
	rig_fini(&r);
}

static void masked(void **state)
{
	struct rig r;

	rig_init(&r);
	rig_add(&r, &i8254_type, NULL);
	rig_run(&r);
	rig_masked = true;
	program(&r, 2, 1193);
	pass(&r, 10);
	assert_true(quiet(&r));
	rig_masked = false;
	irq_opened(r.m);
	/* A busy host may take its time, and then makes one rise of several. */
	for (int i = 0; i < 100 && rig_rises[0] < 2; i++)
		pass(&r, 20);
	assert_true(rig_rises[0] > 1);
	rig_fini(&r);
}

static void paused(void **state)
{
	struct rig r;
	uint32_t before;

	rig_init(&r);
	rig_add(&r, &i8254_type, NULL);
	rig_run(&r);
	program(&r, 2, 1193);
	pass(&r, 10);
	assert_true(rig_rises[0] > 1);
	machine_pause(r.m);
	before = rig_rises[0];
	pass(&r, 10);
	assert_int_equal(rig_rises[0], before);
	rig_run(&r);
	pass(&r, 10);
	assert_true(rig_rises[0] > before);
	rig_fini(&r);
}

static void port_61(void **state)
{
	struct rig r;

	rig_init(&r);
	rig_add(&r, &i8254_type, NULL);
	rig_run(&r);
	/* As in calibration: channel 2 by its gate, 2 ms. */
	outb(&r, 0x61, 0);
	outb(&r, 0x43, 0xb0);
	outb(&r, 0x42, 0x52);
	outb(&r, 0x42, 0x09);
	outb(&r, 0x61, 1);
	assert_int_equal(inb(&r, 0x61) & 0x21, 1);
	pass(&r, 4);
	assert_int_equal(inb(&r, 0x61) & 0x21, 0x21);
	assert_int_equal(rig_rises[0], 0);
	rig_fini(&r);
}

static void saved(void **state)
{
	struct rig r;

	rig_init(&r);
	rig_add(&r, &i8254_type, NULL);
	rig_run(&r);
	program(&r, 2, 11932);
	outb(&r, 0x61, 2);
	outb(&r, 0x43, 0x00);
	machine_pause(r.m);
	rig_save_load(&r);
	rig_run(&r);
	assert_int_equal(inb(&r, 0x61) & 3, 2);
	(void)inb(&r, 0x40);
	assert_in_range(inb(&r, 0x40), 0x20, 0x2e); /* latched at first */
	pass(&r, 30);
	assert_true(rig_rises[0] > 0);
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ticks),
		cmocka_unit_test(masked),
		cmocka_unit_test(paused),
		cmocka_unit_test(port_61),
		cmocka_unit_test(saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
