/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "x86/ioapic.h"

#define LEVEL  (1u << 15)
#define MASKED (1u << 16)

static struct x86_ioapic_state s;

static struct x86_ioapic_effect put(uint8_t index, uint32_t value)
{
	x86_ioapic_write(&s, 0, index);
	return x86_ioapic_write(&s, 0x10, value);
}

static uint32_t take(uint8_t index)
{
	x86_ioapic_write(&s, 0, index);
	return x86_ioapic_read(&s, 0x10);
}

static void registers(void **state)
{
	x86_ioapic_reset(&s);
	assert_int_equal(take(1), 0x170011);
	put(0, 0xff000000);
	assert_int_equal(take(0), 0x0f000000);
	for (uint32_t i = 0; i < 24; i++)
		assert_int_equal(take(0x10 + 2 * i), MASKED);
	assert_int_equal(put(0x12, 0x00015041).changed, 2); /* read-only bits given */
	assert_int_equal(take(0x12), 0x00010041);
	assert_int_equal(put(0x12, 0x00010041).changed, 0);
	put(0x13, 0x03000000);
	assert_int_equal(take(0x13), 0x03000000);
	assert_int_equal(take(0x40), 0);
	assert_int_equal(put(0xff, 1).fire, 0);
	assert_int_equal(x86_ioapic_read(&s, 0x20), 0);
}

static void edge(void **state)
{
	x86_ioapic_reset(&s);
	/* Masked: lost for good. */
	assert_int_equal(x86_ioapic_set(&s, 4, true).fire, 0);
	assert_int_equal(put(0x18, 0x41).fire, 0);
	assert_int_equal(x86_ioapic_set(&s, 4, true).fire, 0); /* no rise */
	assert_int_equal(x86_ioapic_set(&s, 4, false).fire, 0);
	assert_int_equal(x86_ioapic_set(&s, 4, true).fire, 1 << 4);
	assert_int_equal(x86_ioapic_eoi(&s, 0x41).fire, 0);
}

static void level(void **state)
{
	x86_ioapic_reset(&s);
	assert_int_equal(x86_ioapic_set(&s, 10, true).fire, 0);
	/* Unmasking a high input sends it. */
	assert_int_equal(put(0x24, LEVEL | 0x50).fire, 1 << 10);
	assert_int_equal(take(0x24), LEVEL | 0x50 | 1 << 14);
	/* Not twice before the end of interrupt. */
	assert_int_equal(x86_ioapic_set(&s, 10, true).fire, 0);
	assert_int_equal(x86_ioapic_eoi(&s, 0x51).fire, 0);
	assert_int_equal(x86_ioapic_eoi(&s, 0x50).fire, 1 << 10);
	assert_int_equal(x86_ioapic_set(&s, 10, false).fire, 0);
	assert_int_equal(x86_ioapic_eoi(&s, 0x50).fire, 0);
	assert_int_equal(take(0x24), LEVEL | 0x50);
	assert_int_equal(x86_ioapic_set(&s, 10, true).fire, 1 << 10);
	/* Masked meanwhile: the end of interrupt does not send, unmasking does. */
	put(0x24, MASKED | LEVEL | 0x50);
	assert_int_equal(x86_ioapic_eoi(&s, 0x50).fire, 0);
	assert_int_equal(put(0x24, LEVEL | 0x50).fire, 1 << 10);
	/* To edge and back: no longer under way. */
	put(0x24, 0x50);
	assert_int_equal(take(0x24), 0x50);
}

static void messages(void **state)
{
	uint64_t addr;
	uint32_t data;

	x86_ioapic_reset(&s);
	assert_false(x86_ioapic_message(&s, 3, &addr, &data));
	put(0x16, LEVEL | 1 << 11 | 1 << 8 | 0x61);
	put(0x17, 0x05000000);
	assert_true(x86_ioapic_message(&s, 3, &addr, &data));
	assert_int_equal(addr, 0xfee0500c);
	assert_int_equal(data, 0xc161);
	put(0x16, 0x61);
	assert_true(x86_ioapic_message(&s, 3, &addr, &data));
	assert_int_equal(addr, 0xfee05000);
	assert_int_equal(data, 0x61);
	put(0x16, 7 << 8);
	assert_false(x86_ioapic_message(&s, 3, &addr, &data));
	assert_int_equal(x86_ioapic_set(&s, 3, true).fire, 0);
}

/* Whatever a guest writes: indices stay inside, only messages that exist are sent. */
static void anything(void **state)
{
	uint32_t seed = 1;

	x86_ioapic_reset(&s);
	for (int i = 0; i < 200000; i++) {
		struct x86_ioapic_effect f;
		uint64_t addr;
		uint32_t data, r;

		seed = seed * 1664525 + 1013904223;
		r = seed >> 8;
		if (r & 1)
			f = x86_ioapic_write(&s, r & 2 ? 0 : 0x10, seed * 2654435761u);
		else if (r & 2)
			f = x86_ioapic_set(&s, (r >> 2) % 24, r >> 10 & 1);
		else
			f = x86_ioapic_eoi(&s, r >> 2);
		for (uint32_t p = 0; p < 32; p++)
			if (f.fire >> p & 1)
				assert_true(p < 24 && x86_ioapic_message(&s, p, &addr, &data));
		x86_ioapic_read(&s, 0x10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers),
		cmocka_unit_test(edge),
		cmocka_unit_test(level),
		cmocka_unit_test(messages),
		cmocka_unit_test(anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
