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

/* Let the loop run for so long or, on a busy host, longer; what was due by then has come. */
static void pass(struct rig *r, int ms)
{
	int64_t end = clock_mono_ns() + ms * NS_PER_MS, left;

	while ((left = end - clock_mono_ns()) > 0)
		loop_run_once(r->loop, (int)(left / NS_PER_MS) + 1);
	loop_run_once(r->loop, 0);
}

/* Until there were so many rises: a busy host may take its time, and then makes one rise of several. */
static void wait_rises(struct rig *r, unsigned int n)
{
	int64_t end = clock_mono_ns() + 60 * NS_PER_SEC;

	while (rig_rises[0] < n && clock_mono_ns() < end)
		loop_run_once(r->loop, 100);
	assert_true(rig_rises[0] >= n);
}

/* Times the loop is woken in so many milliseconds. */
static bool quiet(struct rig *r)
{
	loop_run_once(r->loop, 0);
	return r->dev && rig_rises[0] == 0;
}

static void ticks(void **state)
{
	int64_t start;
	struct rig r;

	rig_init(&r);
	rig_add(&r, &i8254_type, NULL);
	rig_run(&r);
	pass(&r, 3);
	assert_true(quiet(&r));
	start = clock_mono_ns();
	program(&r, 2, 5966); /* 5 ms */
	wait_rises(&r, 10);
	/* The host may be late, never early. */
	assert_true(rig_rises[0] <= (clock_mono_ns() - start) / (5 * NS_PER_MS) + 1);
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
	wait_rises(&r, 2);
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
	wait_rises(&r, 2);
	machine_pause(r.m);
	before = rig_rises[0];
	pass(&r, 10);
	assert_int_equal(rig_rises[0], before);
	rig_run(&r);
	wait_rises(&r, before + 1);
	rig_fini(&r);
}

static void port_61(void **state)
{
	int64_t start;
	uint8_t at_once;
	struct rig r;

	rig_init(&r);
	rig_add(&r, &i8254_type, NULL);
	rig_run(&r);
	/* As in calibration: channel 2 by its gate, 2 ms. Again when the host took the CPU away for as long. */
	do {
		start = clock_mono_ns();
		outb(&r, 0x61, 0);
		outb(&r, 0x43, 0xb0);
		outb(&r, 0x42, 0x52);
		outb(&r, 0x42, 0x09);
		outb(&r, 0x61, 1);
		at_once = inb(&r, 0x61);
	} while (clock_mono_ns() - start >= 3 * NS_PER_MS / 2);
	assert_int_equal(at_once & 0x21, 1);
	pass(&r, 4);
	assert_int_equal(inb(&r, 0x61) & 0x21, 0x21);
	assert_int_equal(rig_rises[0], 0);
	rig_fini(&r);
}

static void saved(void **state)
{
	int64_t start;
	struct rig r;

	rig_init(&r);
	rig_add(&r, &i8254_type, NULL);
	rig_run(&r);
	outb(&r, 0x61, 2);
	do {
		start = clock_mono_ns();
		program(&r, 2, 11932); /* 0x2e9c, 10 ms */
		outb(&r, 0x43, 0x00);
	} while (clock_mono_ns() - start >= 3 * NS_PER_MS);
	machine_pause(r.m);
	rig_save_load(&r);
	rig_run(&r);
	assert_int_equal(inb(&r, 0x61) & 3, 2);
	(void)inb(&r, 0x40);
	assert_in_range(inb(&r, 0x40), 0x20, 0x2e); /* latched at first */
	rig_rises[0] = 0;
	wait_rises(&r, 1);
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
