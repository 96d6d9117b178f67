// SPDX-License-Identifier: GPL-2.0-or-later
#include "hw/legacy/civil.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

static void check(int64_t t)
{
	struct civil c = civil_from_seconds(t);
	time_t libc = t;
	struct tm tm;

	gmtime_r(&libc, &tm);
	assert_int_equal(c.year, tm.tm_year + 1900);
	assert_int_equal(c.month, tm.tm_mon + 1);
	assert_int_equal(c.day, tm.tm_mday);
	assert_int_equal(c.hour, tm.tm_hour);
	assert_int_equal(c.minute, tm.tm_min);
	assert_int_equal(c.second, tm.tm_sec);
	assert_int_equal(c.weekday, tm.tm_wday);
	assert_int_equal(civil_to_seconds(&c), t);
}

/* Days up to the year 9999, at its first and last second. */
static void as_libc(void **state)
{
	for (int64_t day = 0; day < 2932896; day += 5) {
		check(day * 86400);
		check(day * 86400 + 86399 - day % 997);
	}
}

static void nonsense_is_carried_over(void **state)
{
	srand(1);
	for (int i = 0; i < 200000; i++) {
		struct civil c = { rand() % 17000, rand() % 167 - 1, rand() % 167, rand() % 190,
			rand() % 167, rand() % 167 };
		struct tm tm = { .tm_year = c.year - 1900,
			.tm_mon = c.month - 1,
			.tm_mday = c.day,
			.tm_hour = c.hour,
			.tm_min = c.minute,
			.tm_sec = c.second };

		assert_int_equal(civil_to_seconds(&c), timegm(&tm));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_libc),
		cmocka_unit_test(nonsense_is_carried_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
