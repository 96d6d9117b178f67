// SPDX-License-Identifier: GPL-2.0-or-later
#include "hw/legacy/legacy_testing.h"

#include <time.h>
#include "base/clock.h"
#include "base/wire.h"

extern const struct device_type rtc_type;

#define IRQ 8

static struct rig rig;

static int setup(void **state)
{
	rig_init(&rig);
	rig_add(&rig, &rtc_type, NULL);
	return 0;
}

static int teardown(void **state)
{
	rig_fini(&rig);
	return 0;
}

static uint8_t rd(uint8_t reg)
{
	outb(&rig, 0x70, reg);
	return inb(&rig, 0x71);
}

static void wr(uint8_t reg, uint8_t v)
{
	outb(&rig, 0x70, reg);
	outb(&rig, 0x71, v);
}

static int bcd(uint8_t v)
{
	return (v >> 4) * 10 + (v & 0xf);
}

/* The guest's time as Linux reads it; anew, if this thread stood still and it changed meanwhile. */
static time_t guest_time(void)
{
	struct tm tm;

	do {
		while (rd(10) & 0x80)
			;
		tm = (struct tm){ .tm_sec = bcd(rd(0)),
			.tm_min = bcd(rd(2)),
			.tm_hour = bcd(rd(4)),
			.tm_mday = bcd(rd(7)),
			.tm_mon = bcd(rd(8)) - 1,
			.tm_year = bcd(rd(9)) + bcd(rd(0x32)) * 100 - 1900 };
	} while (bcd(rd(0)) != tm.tm_sec);
	return timegm(&tm);
}

/* 13:37:58 on 31 December 2099. */
static void set_some_time(void)
{
	wr(11, 0x82); /* SET */
	wr(0, 0x58);
	wr(2, 0x37);
	wr(4, 0x13);
	wr(6, 0x05);
	wr(7, 0x31);
	wr(8, 0x12);
	wr(9, 0x99);
	wr(0x32, 0x20);
	assert_int_equal(rd(0), 0x58); /* stands still */
	wr(11, 0x02);
}

#define SOME_TIME 4102407478ll

static void test_host_time(void **state)
{
	time_t now = time(NULL), t = guest_time();

	assert_true(t >= now && t <= time(NULL) + 1);
	assert_int_equal(rd(13), 0x80);
	assert_int_equal(rd(11), 0x02);
	assert_int_equal(rd(10) & 0x7f, 0x26);
	assert_int_equal(inb(&rig, 0x70), 0xff);
	outb(&rig, 0x70, 0x8d); /* NMIs masked: the same register */
	assert_int_equal(inb(&rig, 0x71), 0x80);
}

/* The guest's clock shows @want, and what has passed since @start_ns. */
static void assert_time(time_t want, int64_t start_ns)
{
	time_t t = guest_time();

	assert_true(t >= want && t <= want + 2 + (clock_mono_ns() - start_ns) / NS_PER_SEC);
}

static void test_set_time(void **state)
{
	int64_t start = clock_mono_ns();

	set_some_time();
	assert_time(SOME_TIME, start);
	rig.dev->type->reset(rig.dev); /* the battery keeps it */
	assert_time(SOME_TIME, start);
	rig_save_load(&rig);
	assert_time(SOME_TIME, start);
	wr(4, 0x20); /* one register while it runs */
	assert_time(SOME_TIME + 7 * 3600, start);
}

/* A saved time that cannot be is refused, and nothing of it stays, not even over a reset. */
static void test_bad_time(void **state)
{
	struct error err = ERROR_INIT;
	AUTO(str) s = STR_INIT;
	uint64_t from;
	uint32_t found = 0;
	time_t t;

	set_some_time();
	from = (uint64_t)((SOME_TIME - 60) * NS_PER_SEC - clock_wall_ns());
	assert_true(device_save(rig.dev, &s, &err));
	for (size_t i = 0; i + 8 <= s.len; i++) {
		if (rd_le64(s.s + i) - from < 120 * NS_PER_SEC) {
			wr_le64(s.s + i, INT64_MAX);
			found++;
		}
	}
	assert_int_equal(found, 1);
	assert_false(device_load(rig.dev, s.s, s.len, &err));
	assert_non_null(strstr(err.msg, "impossible time"));
	rig.dev->type->reset(rig.dev);
	t = guest_time();
	assert_true(t >= time(NULL) - 60 && t <= time(NULL) + 2);
	rig_save_load(&rig);
}

static void test_formats(void **state)
{
	set_some_time();
	wr(11, 0x06); /* binary, 24 hours */
	assert_int_equal(rd(4), 13);
	assert_int_equal(rd(9), 99);
	wr(11, 0x00); /* BCD, 12 hours */
	assert_int_equal(rd(4), 0x81);
	wr(11, 0x04);
	assert_int_equal(rd(4), 0x81);
	wr(11, 0x80);
	wr(4, 0x12); /* midnight */
	wr(11, 0x02);
	assert_int_equal(rd(4), 0);
}

static void test_divider(void **state)
{
	int64_t start = clock_mono_ns();
	uint8_t sec, again;

	set_some_time();
	wr(10, 0x76); /* held in reset */
	sec = rd(0);
	assert_int_equal(rd(10), 0x76);
	assert_int_equal(rd(0), sec); /* stands still */
	wr(0, 0x10);
	wr(10, 0x26);
	again = rd(0);
	if (clock_mono_ns() - start < NS_PER_SEC) { /* or nobody knows on a busy host */
		assert_in_range(again, 0x10, 0x12);
		assert_in_range(sec, 0x58, 0x59);
	}
}

/* How long it takes until the interrupt comes. */
static int64_t await_irq(int64_t patience_ns)
{
	int64_t start = clock_mono_ns();

	while (!rig_level[IRQ] && clock_mono_ns() - start < patience_ns)
		loop_run_once(rig.loop, 100);
	assert_true(rig_level[IRQ]);
	return clock_mono_ns() - start;
}

static void test_update_interrupt(void **state)
{
	int tries = 5; /* on a busy host it may be this thread that is late */
	uint8_t flags, again;
	int64_t second;

	wr(11, 0x12);
	while (await_irq(30 * NS_PER_SEC) > 1500 * NS_PER_MS) {
		assert_true(--tries);
		rd(12);
	}
	for (;; await_irq(30 * NS_PER_SEC)) {
		second = clock_wall_ns() / NS_PER_SEC;
		flags = rd(12);
		assert_false(rig_level[IRQ]);
		again = rd(12);
		if (second == clock_wall_ns() / NS_PER_SEC)
			break; /* no other update was between the two */
	}
	assert_int_equal(flags & 0x90, 0x90);
	assert_int_equal(again & 0x80, 0);
}

/* Periodic interrupts that are seen within half a second. */
static unsigned int count_periodic(void)
{
	int64_t t = clock_mono_ns();
	unsigned int n = 0;

	while (clock_mono_ns() - t < NS_PER_SEC / 2) {
		loop_run_once(rig.loop, 5);
		if (rig_level[IRQ]) {
			assert_int_equal(rd(12) & 0xc0, 0xc0);
			n++;
		}
	}
	assert_in_range(n, 0, 34);
	return n;
}

static void test_periodic_interrupt(void **state)
{
	unsigned int n;

	wr(10, 0x2a); /* 64 Hz */
	rd(12);
	wr(11, 0x42);
	/* 32 on an idle host; one that is busy for 10 s may not see half of them. */
	for (int tries = 20; count_periodic() < 16; tries--)
		assert_true(tries);
	wr(11, 0x02);
	rd(12);
	n = rig_rises[IRQ];
	for (int i = 0; i < 10; i++)
		loop_run_once(rig.loop, 10);
	assert_int_equal(rig_rises[IRQ], n);
}

static void test_alarm(void **state)
{
	int64_t start = clock_mono_ns();
	bool high;

	wr(1, 0x00); /* 13:38:00, two seconds from the time */
	wr(3, 0x38);
	wr(5, 0x13);
	rd(12);
	set_some_time();
	wr(11, 0x22);
	high = rig_level[IRQ];
	assert_true(!high || clock_mono_ns() - start > NS_PER_SEC);
	await_irq(30 * NS_PER_SEC);
	assert_true(clock_mono_ns() - start > 900 * NS_PER_MS);
	assert_int_equal(rd(12) & 0xa0, 0xa0);
	/* Every second, by three don't-cares. */
	wr(1, 0xff);
	wr(3, 0xff);
	wr(5, 0xc0);
	await_irq(30 * NS_PER_SEC);
	/* Impossible: never, and no endless search. */
	wr(5, 0x39);
	rd(12);
	assert_false(rig_level[IRQ]);
}

static void test_idle(void **state)
{
	struct rig *r = &rig;
	int64_t t = clock_mono_ns();

	/* No interrupt is wanted: nothing is armed, the loop waits its whole time. */
	loop_run_once(r->loop, 0);
	loop_run_once(r->loop, 300);
	assert_true(clock_mono_ns() - t >= 290 * NS_PER_MS);
}

static void test_cmos(void **state)
{
	assert_int_equal(rd(0x15) | rd(0x16) << 8, 640);
	assert_int_equal(rd(0x17) | rd(0x18) << 8, 0); /* the rig has 1 MiB */
	wr(0x40, 0x77);
	assert_int_equal(rd(0x40), 0x77);
	rig.dev->type->reset(rig.dev);
	assert_int_equal(rd(0x40), 0x77);
	wr(13, 0);
	assert_int_equal(rd(13), 0x80);
}

/* Garbage in every register: whatever time comes of it, nothing breaks. */
static void test_garbage(void **state)
{
	for (int round = 0; round < 256; round++) {
		wr(11, (uint8_t)(round & 1 ? 0x86 : 0x80));
		for (uint8_t i = 0; i < 10; i++)
			wr(i, (uint8_t)(round * 7 + i * 31));
		wr(0x32, (uint8_t)round);
		wr(11, (uint8_t)(round & 1 ? 0x36 : 0x70));
		rd(0);
		rd(9);
		rd(12);
		wr(8, 0);
		loop_run_once(rig.loop, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_host_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_set_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_formats, setup, teardown),
		cmocka_unit_test_setup_teardown(test_divider, setup, teardown),
		cmocka_unit_test_setup_teardown(test_update_interrupt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_periodic_interrupt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alarm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_idle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cmos, setup, teardown),
		cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
