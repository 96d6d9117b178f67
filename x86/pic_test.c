/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "x86/pic.h"

/* As a PC's firmware does it: vectors 0x20 and 0x28; @icw4 1: 8086 mode only. */
static void init(struct x86_pic_state *s, uint8_t icw4)
{
	x86_pic_reset(s);
	for (int i = 0; i < 2; i++) {
		uint16_t port = i ? 0xa0 : 0x20;

		x86_pic_write(s, port, 0x11);
		x86_pic_write(s, port + 1, i ? 0x28 : 0x20);
		x86_pic_write(s, port + 1, i ? 2 : 4);
		x86_pic_write(s, port + 1, icw4);
	}
}

static void pulse(struct x86_pic_state *s, unsigned int line)
{
	x86_pic_set(s, line, true);
	x86_pic_set(s, line, false);
}

static void ports(void **state)
{
	static const uint16_t good[] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1 };
	unsigned int n = 0;

	for (uint32_t p = 0; p < 0x10000; p++)
		n += x86_pic_has_port((uint16_t)p);
	assert_int_equal(n, 6);
	for (int i = 0; i < 6; i++)
		assert_true(x86_pic_has_port(good[i]));
}

static void power_on(void **state)
{
	struct x86_pic_state s[2];

	x86_pic_reset(s);
	for (unsigned int i = 0; i < 16; i++)
		pulse(s, i);
	assert_false(x86_pic_output(s));
}

static void edges(void **state)
{
	struct x86_pic_state s[2];

	init(s, 1);
	assert_false(x86_pic_output(s));
	x86_pic_set(s, 4, true);
	assert_true(x86_pic_output(s));
	assert_int_equal(x86_pic_ack(s), 0x24);
	assert_false(x86_pic_output(s));
	x86_pic_write(s, 0x20, 0x20);
	assert_false(x86_pic_output(s)); /* still high: no new edge */
	x86_pic_set(s, 4, true);
	assert_false(x86_pic_output(s));
	x86_pic_set(s, 4, false);
	x86_pic_set(s, 4, true);
	assert_int_equal(x86_pic_ack(s), 0x24);
}

static void levels(void **state)
{
	struct x86_pic_state s[2];

	init(s, 1);
	x86_pic_write(s, 0x4d0, 0xff);
	x86_pic_write(s, 0x4d1, 0xff);
	assert_int_equal(x86_pic_read(s, 0x4d0), 0xf8);
	assert_int_equal(x86_pic_read(s, 0x4d1), 0xde);
	x86_pic_set(s, 5, true);
	assert_int_equal(x86_pic_ack(s), 0x25);
	x86_pic_write(s, 0x20, 0x20);
	assert_true(x86_pic_output(s)); /* still high: again */
	x86_pic_set(s, 5, false);
	assert_false(x86_pic_output(s));
	/* Becoming a level line, what is high counts. */
	x86_pic_write(s, 0x4d0, 0);
	x86_pic_set(s, 6, true);
	assert_int_equal(x86_pic_ack(s), 0x26);
	x86_pic_write(s, 0x20, 0x66);
	x86_pic_write(s, 0x4d0, 0x40);
	assert_int_equal(x86_pic_ack(s), 0x26);
}

static void slave(void **state)
{
	struct x86_pic_state s[2];

	init(s, 1);
	pulse(s, 10);
	pulse(s, 12);
	assert_int_equal(x86_pic_read(s, 0x20), 1 << 2);
	assert_int_equal(x86_pic_ack(s), 0x2a);
	assert_int_equal(s[0].isr, 1 << 2);
	assert_int_equal(s[1].isr, 1 << 2);
	x86_pic_write(s, 0xa0, 0x20);
	assert_false(x86_pic_output(s)); /* the master still serves it */
	x86_pic_write(s, 0x20, 0x20);
	assert_int_equal(x86_pic_ack(s), 0x2c);
	/* The cascade's own input is nobody's. */
	x86_pic_set(s, 2, true);
	assert_int_equal(s[0].irr, 0);
	assert_true(x86_pic_open(s, 12));
	x86_pic_write(s, 0x21, 4);
	assert_false(x86_pic_open(s, 12));
	assert_true(x86_pic_open(s, 0));
}

static void nesting(void **state)
{
	struct x86_pic_state s[2];

	init(s, 1);
	pulse(s, 4);
	assert_int_equal(x86_pic_ack(s), 0x24);
	pulse(s, 5);
	assert_false(x86_pic_output(s));
	pulse(s, 1);
	assert_int_equal(x86_pic_ack(s), 0x21);
	x86_pic_write(s, 0x20, 0x0b); /* read ISR */
	assert_int_equal(x86_pic_read(s, 0x20), 0x12);
	x86_pic_write(s, 0x20, 0x20); /* the best first */
	assert_int_equal(x86_pic_read(s, 0x20), 0x10);
	x86_pic_write(s, 0x20, 0x64); /* specific */
	assert_int_equal(x86_pic_read(s, 0x20), 0);
	x86_pic_write(s, 0x20, 0x0a);
	assert_int_equal(x86_pic_read(s, 0x20), 0x20);
	assert_int_equal(x86_pic_ack(s), 0x25);
}

/* Special fully nested: a better line of the slave may interrupt a worse one's service. */
static void special_nesting(void **state)
{
	struct x86_pic_state s[2];

	init(s, 0x11);
	pulse(s, 12);
	assert_int_equal(x86_pic_ack(s), 0x2c);
	pulse(s, 9);
	assert_int_equal(x86_pic_ack(s), 0x29);
	init(s, 1);
	pulse(s, 12);
	assert_int_equal(x86_pic_ack(s), 0x2c);
	pulse(s, 9);
	assert_false(x86_pic_output(s));
}

static void special_mask(void **state)
{
	struct x86_pic_state s[2];

	init(s, 1);
	pulse(s, 3);
	assert_int_equal(x86_pic_ack(s), 0x23);
	pulse(s, 6);
	assert_false(x86_pic_output(s));
	x86_pic_write(s, 0x21, 1 << 3);
	x86_pic_write(s, 0x20, 0x68);
	assert_int_equal(x86_pic_ack(s), 0x26);
	x86_pic_write(s, 0x20, 0x20); /* not of the masked one */
	assert_int_equal(s[0].isr, 1 << 3);
	x86_pic_write(s, 0x20, 0x48);
	pulse(s, 6);
	assert_false(x86_pic_output(s));
}

static void rotation(void **state)
{
	struct x86_pic_state s[2];

	init(s, 1);
	pulse(s, 3);
	assert_int_equal(x86_pic_ack(s), 0x23);
	x86_pic_write(s, 0x20, 0xa0); /* 3 is the last now, 4 the first */
	pulse(s, 3);
	pulse(s, 4);
	pulse(s, 0);
	assert_int_equal(x86_pic_ack(s), 0x24);
	x86_pic_write(s, 0x20, 0x20);
	assert_int_equal(x86_pic_ack(s), 0x20);
	x86_pic_write(s, 0x20, 0xe0); /* specific: 1 is the first */
	assert_int_equal(s[0].isr, 0);
	assert_int_equal(s[0].priority_add, 1);
	x86_pic_write(s, 0x20, 0xc7); /* 7 the last: as at first */
	assert_int_equal(s[0].priority_add, 0);
}

static void auto_eoi(void **state)
{
	struct x86_pic_state s[2];

	init(s, 3);
	pulse(s, 3);
	pulse(s, 9);
	pulse(s, 10);
	assert_int_equal(x86_pic_ack(s), 0x29);
	assert_int_equal(x86_pic_ack(s), 0x2a);
	assert_int_equal(x86_pic_ack(s), 0x23);
	assert_int_equal(s[0].isr | s[1].isr, 0);
	x86_pic_write(s, 0x20, 0x80);
	pulse(s, 3);
	x86_pic_ack(s);
	assert_int_equal(s[0].priority_add, 4);
	x86_pic_write(s, 0x20, 0);
	pulse(s, 5);
	x86_pic_ack(s);
	assert_int_equal(s[0].priority_add, 4);
}

static void polling(void **state)
{
	struct x86_pic_state s[2];

	init(s, 1);
	x86_pic_write(s, 0x20, 0x0c);
	assert_int_equal(x86_pic_read(s, 0x20) & 0x80, 0);
	pulse(s, 12);
	x86_pic_write(s, 0x20, 0x0c);
	assert_int_equal(x86_pic_read(s, 0x20), 0x82);
	x86_pic_write(s, 0xa0, 0x0c);
	assert_int_equal(x86_pic_read(s, 0xa1), 0x84);
	assert_int_equal(s[1].isr, 1 << 4);
	assert_int_equal(x86_pic_read(s, 0xa1), 0); /* the mask again */
	assert_false(x86_pic_output(s));
}

static void spurious(void **state)
{
	struct x86_pic_state s[2];

	init(s, 1);
	assert_int_equal(x86_pic_ack(s), 0x27);
	assert_int_equal(s[0].isr, 0);
	x86_pic_write(s, 0x4d0, 0x20);
	x86_pic_set(s, 5, true);
	x86_pic_set(s, 5, false);
	assert_int_equal(x86_pic_ack(s), 0x27);
}

static void init_again(void **state)
{
	struct x86_pic_state s[2];

	init(s, 3);
	x86_pic_write(s, 0x21, 0x55);
	pulse(s, 7);
	x86_pic_write(s, 0x20, 0x10); /* without ICW4 */
	assert_int_equal(s[0].imr | s[0].irr, 0);
	x86_pic_write(s, 0x21, 0x47);
	x86_pic_write(s, 0x21, 4);
	x86_pic_write(s, 0x21, 0xaa); /* a mask */
	assert_int_equal(x86_pic_read(s, 0x21), 0xaa);
	assert_int_equal(s[0].auto_eoi, 0);
	assert_int_equal(s[0].irq_base, 0x40);
}

/* Nonsense from a stream and from a guest: what holds always holds. */
static void hostile(void **state)
{
	static const uint16_t port[] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1 };
	struct x86_pic_state s[2];

	srand(1);
	for (int i = 0; i < 20000; i++) {
		for (size_t j = 0; j < sizeof(s); j++)
			((uint8_t *)s)[j] = (uint8_t)rand();
		x86_pic_sanitize(s);
		for (int k = 0; k < 20; k++) {
			bool out;

			x86_pic_write(s, port[rand() % 6], (uint8_t)rand());
			x86_pic_read(s, port[rand() % 6]);
			x86_pic_set(s, rand() % 16, rand() & 1);
			out = x86_pic_output(s);
			if (!out)
				assert_int_equal(x86_pic_ack(s) & 7, 7);
			else
				x86_pic_ack(s);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports),
		cmocka_unit_test(power_on),
		cmocka_unit_test(edges),
		cmocka_unit_test(levels),
		cmocka_unit_test(slave),
		cmocka_unit_test(nesting),
		cmocka_unit_test(special_nesting),
		cmocka_unit_test(special_mask),
		cmocka_unit_test(rotation),
		cmocka_unit_test(auto_eoi),
		cmocka_unit_test(polling),
		cmocka_unit_test(spurious),
		cmocka_unit_test(init_again),
		cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
