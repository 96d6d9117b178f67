/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "x86/pit.h"

/* A time in the middle of clock @n after the counter was loaded at 0. */
static int64_t at(uint64_t n)
{
	return (int64_t)((n * 2 + 1) * 500000000 / X86_PIT_HZ);
}

/* Control word for channel @ch in @mode, both bytes; then the count. */
static void program(struct x86_pit_state *s, int ch, int mode, bool bcd, uint16_t n, int64_t now)
{
	x86_pit_write(s, 0x43, (uint8_t)(ch << 6 | 0x30 | mode << 1 | bcd), now);
	x86_pit_write(s, (uint16_t)(0x40 + ch), (uint8_t)n, now);
	x86_pit_write(s, (uint16_t)(0x40 + ch), (uint8_t)(n >> 8), now);
}

static uint16_t counter(struct x86_pit_state *s, int ch, int64_t now)
{
	uint8_t low;

	x86_pit_write(s, 0x43, (uint8_t)(ch << 6), now); /* latch */
	low = x86_pit_read(s, (uint16_t)(0x40 + ch), now + 1000000);
	return (uint16_t)(low | x86_pit_read(s, (uint16_t)(0x40 + ch), now + 2000000) << 8);
}

static uint8_t status(struct x86_pit_state *s, int ch, int64_t now)
{
	x86_pit_write(s, 0x43, (uint8_t)(0xe0 | 2 << ch), now);
	return x86_pit_read(s, (uint16_t)(0x40 + ch), now);
}

static void power_on(void **state)
{
	struct x86_pit_state s;

	x86_pit_reset(&s);
	assert_true(x86_pit_is_reset(&s));
	assert_true(x86_pit_settled(&s));
	for (unsigned int ch = 0; ch < 3; ch++)
		assert_int_equal(x86_pit_next_rise(&s, ch, 5), X86_PIT_NEVER);
	/* Looking changes nothing that counts. */
	x86_pit_read(&s, 0x61, 0);
	x86_pit_read(&s, 0x43, 0);
	assert_true(x86_pit_is_reset(&s));
	x86_pit_write(&s, 0x61, 3, 0);
	assert_false(x86_pit_is_reset(&s));
	assert_int_equal(x86_pit_read(&s, 0x61, 0) & 0xf, 3);
}

static void mode_0(void **state)
{
	struct x86_pit_state s;

	x86_pit_reset(&s);
	program(&s, 0, 0, false, 1000, 0);
	assert_int_equal(counter(&s, 0, at(0)), 1000);
	assert_int_equal(counter(&s, 0, at(999)), 1);
	assert_false(x86_pit_out(&s, 0, at(999)));
	assert_true(x86_pit_out(&s, 0, at(1000)));
	assert_int_equal(counter(&s, 0, at(1001)), 0xffff);
	assert_true(x86_pit_out(&s, 0, at(123456)));
	/* The rise is at the very nanosecond. */
	assert_false(x86_pit_out(&s, 0, x86_pit_next_rise(&s, 0, 0) - 1));
	assert_true(x86_pit_out(&s, 0, x86_pit_next_rise(&s, 0, 0)));
	assert_int_equal(x86_pit_next_rise(&s, 0, at(1000)), X86_PIT_NEVER);
	/* The first byte of a new count stops it, the second starts it. */
	x86_pit_write(&s, 0x40, 0, at(2000));
	assert_false(x86_pit_settled(&s));
	assert_false(x86_pit_out(&s, 0, at(2000)));
	assert_int_equal(x86_pit_next_rise(&s, 0, at(2000)), X86_PIT_NEVER);
	x86_pit_write(&s, 0x40, 0, at(3000));
	assert_true(x86_pit_settled(&s));
	assert_false(x86_pit_out(&s, 0, at(3000 + 65535)));
	assert_true(x86_pit_out(&s, 0, at(3000 + 65536) + 100));
}

static void mode_0_gate(void **state)
{
	struct x86_pit_state s;

	x86_pit_reset(&s);
	program(&s, 2, 0, false, 1000, 0);
	/* The gate is low: it does not count. */
	assert_int_equal(counter(&s, 2, at(500)), 1000);
	assert_int_equal(x86_pit_next_rise(&s, 2, at(500)), X86_PIT_NEVER);
	x86_pit_write(&s, 0x61, 1, at(2000));
	assert_int_equal(counter(&s, 2, at(2400) + 100), 600);
	x86_pit_write(&s, 0x61, 0, at(2400) + 100);
	assert_int_equal(counter(&s, 2, at(9000)), 600);
	x86_pit_write(&s, 0x61, 1, at(9000));
	assert_int_equal(x86_pit_read(&s, 0x61, at(9599)) & 0x21, 1);
	assert_int_equal(x86_pit_read(&s, 0x61, at(9601)) & 0x21, 0x21);
}

static void mode_1(void **state)
{
	struct x86_pit_state s;

	x86_pit_reset(&s);
	program(&s, 2, 1, false, 100, 0);
	assert_true(x86_pit_settled(&s));
	assert_true(x86_pit_out(&s, 2, at(50)));
	x86_pit_write(&s, 0x61, 1, at(1000));
	assert_false(x86_pit_out(&s, 2, at(1050)));
	/* A new count waits for the trigger; the gate's fall does nothing. */
	x86_pit_write(&s, 0x42, 200, at(1050));
	x86_pit_write(&s, 0x42, 0, at(1050));
	assert_int_equal(status(&s, 2, at(1050)) & 0x40, 0x40);
	x86_pit_write(&s, 0x61, 0, at(1060));
	assert_false(x86_pit_out(&s, 2, at(1099)));
	assert_true(x86_pit_out(&s, 2, at(1101)));
	x86_pit_write(&s, 0x61, 1, at(2000));
	assert_false(x86_pit_out(&s, 2, at(2199)));
	assert_true(x86_pit_out(&s, 2, at(2201)));
	/* Triggered again before the end: from the beginning. */
	x86_pit_write(&s, 0x61, 0, at(3000));
	x86_pit_write(&s, 0x61, 1, at(3000));
	x86_pit_write(&s, 0x61, 0, at(3100));
	x86_pit_write(&s, 0x61, 1, at(3150));
	assert_false(x86_pit_out(&s, 2, at(3349)));
	assert_true(x86_pit_out(&s, 2, at(3351)));
}

static void mode_2(void **state)
{
	struct x86_pit_state s;

	x86_pit_reset(&s);
	program(&s, 0, 2, false, 100, 0);
	assert_int_equal(counter(&s, 0, at(0)), 100);
	assert_int_equal(counter(&s, 0, at(99)), 1);
	assert_int_equal(counter(&s, 0, at(100)), 100);
	assert_true(x86_pit_out(&s, 0, at(98)));
	assert_false(x86_pit_out(&s, 0, at(99)));
	assert_true(x86_pit_out(&s, 0, at(100)));
	for (int64_t t = 0, i = 1; i < 50; i++) {
		int64_t next = x86_pit_next_rise(&s, 0, t);

		assert_true(next > t && next > at(i * 100 - 1) && next <= at(i * 100));
		t = next;
	}
	/* A new count takes over at the period's end. */
	x86_pit_write(&s, 0x40, 50, at(1030));
	x86_pit_write(&s, 0x40, 0, at(1030));
	assert_int_equal(status(&s, 0, at(1030)), 0x80 | 0x40 | 0x30 | 4);
	assert_int_equal(counter(&s, 0, at(1090)), 10);
	assert_int_equal(counter(&s, 0, at(1101)), 49);
	assert_int_equal(status(&s, 0, at(1101)), 0x80 | 0x30 | 4);
	assert_int_equal(counter(&s, 0, at(1155)), 45);
	/* 6 is mode 2 too. */
	program(&s, 0, 6, false, 100, 0);
	assert_int_equal(s.channel[0].mode, 2);
}

static void mode_2_gate(void **state)
{
	struct x86_pit_state s;

	x86_pit_reset(&s);
	x86_pit_write(&s, 0x61, 1, 0);
	program(&s, 2, 2, false, 100, 0);
	x86_pit_write(&s, 0x61, 0, at(99));
	assert_true(x86_pit_out(&s, 2, at(99)));
	assert_int_equal(counter(&s, 2, at(500)), 1);
	x86_pit_write(&s, 0x61, 1, at(600));
	assert_int_equal(counter(&s, 2, at(601) + 100), 99);
}

static void mode_3(void **state)
{
	struct x86_pit_state s;

	x86_pit_reset(&s);
	program(&s, 0, 3, false, 10, 0);
	assert_int_equal(counter(&s, 0, at(0)), 10);
	assert_int_equal(counter(&s, 0, at(4)), 2);
	assert_true(x86_pit_out(&s, 0, at(4)));
	assert_int_equal(counter(&s, 0, at(5)), 10);
	assert_false(x86_pit_out(&s, 0, at(5)));
	assert_false(x86_pit_out(&s, 0, at(9)));
	assert_true(x86_pit_out(&s, 0, at(10)));
	/* Odd: a clock more high than low. */
	program(&s, 0, 3, false, 5, 0);
	assert_int_equal(counter(&s, 0, at(0)), 4);
	assert_int_equal(counter(&s, 0, at(2)), 0);
	assert_true(x86_pit_out(&s, 0, at(2)));
	assert_int_equal(counter(&s, 0, at(3)), 4);
	assert_int_equal(counter(&s, 0, at(4)), 2);
	assert_false(x86_pit_out(&s, 0, at(4)));
	assert_true(x86_pit_out(&s, 0, at(5)));
}

static void strobes(void **state)
{
	struct x86_pit_state s;

	x86_pit_reset(&s);
	program(&s, 0, 4, false, 10, 0);
	assert_true(x86_pit_out(&s, 0, at(9)));
	assert_false(x86_pit_out(&s, 0, at(10)));
	assert_true(x86_pit_out(&s, 0, at(11)));
	assert_true(x86_pit_next_rise(&s, 0, 0) > at(10));
	assert_int_equal(x86_pit_next_rise(&s, 0, at(11)), X86_PIT_NEVER);
	program(&s, 2, 5, false, 10, 0);
	assert_true(x86_pit_out(&s, 2, at(10)));
	x86_pit_write(&s, 0x61, 1, at(100));
	assert_false(x86_pit_out(&s, 2, x86_pit_next_rise(&s, 2, at(100)) - 1));
	assert_true(x86_pit_out(&s, 2, x86_pit_next_rise(&s, 2, at(100))));
}

static void bcd(void **state)
{
	struct x86_pit_state s;

	x86_pit_reset(&s);
	program(&s, 0, 2, true, 0x1000, 0);
	assert_int_equal(counter(&s, 0, at(1)), 0x999);
	assert_int_equal(counter(&s, 0, at(1001)), 0x999);
	program(&s, 0, 0, true, 0, 0);
	assert_int_equal(counter(&s, 0, at(0)), 0);
	assert_int_equal(counter(&s, 0, at(1)), 0x9999);
	assert_false(x86_pit_out(&s, 0, at(9999)));
	assert_true(x86_pit_out(&s, 0, at(10000)));
}

static void bytes(void **state)
{
	struct x86_pit_state s;

	x86_pit_reset(&s);
	x86_pit_write(&s, 0x43, 0x14, 0); /* low byte only, mode 2 */
	x86_pit_write(&s, 0x40, 0x40, 0);
	assert_int_equal(s.channel[0].count, 0x40);
	assert_int_equal(x86_pit_read(&s, 0x40, at(1)), 0x3f);
	x86_pit_write(&s, 0x43, 0x24, 0); /* high byte only */
	x86_pit_write(&s, 0x40, 0x40, 0);
	assert_int_equal(s.channel[0].count, 0x4000);
	assert_int_equal(x86_pit_read(&s, 0x40, at(1)), 0x3f);
	program(&s, 0, 2, false, 0x1234, 0); /* both, unlatched */
	assert_int_equal(x86_pit_read(&s, 0x40, at(0)), 0x34);
	assert_int_equal(x86_pit_read(&s, 0x40, at(0)), 0x12);
	assert_int_equal(x86_pit_read(&s, 0x40, at(0)), 0x34);
}

static void read_back(void **state)
{
	struct x86_pit_state s;

	x86_pit_reset(&s);
	program(&s, 0, 2, false, 0x1234, 0);
	program(&s, 1, 3, false, 0x2000, 0);
	x86_pit_write(&s, 0x43, 0xc0 | 6, at(0)); /* count and status of 0 and 1 */
	/* What is latched stays so until it is read. */
	x86_pit_write(&s, 0x43, 0xc0 | 6, at(100));
	assert_int_equal(x86_pit_read(&s, 0x40, at(9)), 0x80 | 0x34);
	assert_int_equal(x86_pit_read(&s, 0x40, at(9)), 0x34);
	assert_int_equal(x86_pit_read(&s, 0x40, at(9)), 0x12);
	assert_int_equal(x86_pit_read(&s, 0x41, at(9)), 0x80 | 0x36);
	assert_int_equal(x86_pit_read(&s, 0x41, at(9)), 0x00);
	assert_int_equal(x86_pit_read(&s, 0x41, at(9)), 0x20);
	/* Null count until it is loaded; a control word drops latches. */
	x86_pit_write(&s, 0x43, 0xc0 | 2, at(100));
	x86_pit_write(&s, 0x43, 0x34, 0);
	assert_int_equal(status(&s, 0, 0), 0x80 | 0x40 | 0x34);
	assert_false(x86_pit_settled(&s));
}

static void shift(void **state)
{
	struct x86_pit_state s;
	int64_t next;

	x86_pit_reset(&s);
	program(&s, 0, 2, false, 1000, 77777);
	next = x86_pit_next_rise(&s, 0, 5000000);
	x86_pit_shift(&s, 1234567890);
	assert_int_equal(x86_pit_next_rise(&s, 0, 5000000 + 1234567890), next + 1234567890);
}

/* Nonsense from a stream: no trap (the sanitizers look), and rises lie in the future. */
static void hostile(void **state)
{
	struct x86_pit_state s;

	srand(1);
	for (int i = 0; i < 20000; i++) {
		for (size_t j = 0; j < sizeof(s); j++)
			((uint8_t *)&s)[j] = (uint8_t)rand();
		if (i & 1) /* also such as are nearly right */
			for (int c = 0; c < 3; c++)
				s.channel[c].mode %= 6;
		x86_pit_sanitize(&s, 1000);
		for (int k = 0; k < 20; k++) {
			uint16_t port = k % 5 == 4 ? 0x61 : (uint16_t)(0x40 + k % 5);

			x86_pit_read(&s, port, 1000 + k);
			x86_pit_write(&s, port, (uint8_t)rand(), 1000 + k);
			x86_pit_next_rise(&s, k % 3, 1000 + k);
			x86_pit_out(&s, k % 3, INT64_MAX);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(power_on),
		cmocka_unit_test(mode_0),
		cmocka_unit_test(mode_0_gate),
		cmocka_unit_test(mode_1),
		cmocka_unit_test(mode_2),
		cmocka_unit_test(mode_2_gate),
		cmocka_unit_test(mode_3),
		cmocka_unit_test(strobes),
		cmocka_unit_test(bcd),
		cmocka_unit_test(bytes),
		cmocka_unit_test(read_back),
		cmocka_unit_test(shift),
		cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
