// SPDX-License-Identifier: GPL-2.0-or-later
/* Years are counted from a 1 March of a year that 400 divides: leap days come last. */
#include "hw/legacy/civil.h"

#define DAY	     86400
#define DAYS_400Y    146097
#define DAYS_TO_1970 719468 /* from 1 March of year 0 */

/* Days from 1 March to the 1st of the month that is @m months later, 0 to 11. */
static int days_before(int m)
{
	return (153 * m + 2) / 5;
}

static int64_t divide(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

struct civil civil_from_seconds(int64_t t)
{
	int days = (int)(t / DAY), rest = (int)(t % DAY), era, year, month;
	struct civil c = { .hour = rest / 3600, .minute = rest / 60 % 60, .second = rest % 60 };

	c.weekday = (days + 4) % 7; /* a Thursday */
	days += DAYS_TO_1970;
	era = days / DAYS_400Y;
	days %= DAYS_400Y;
	year = (days - days / 1460 + days / 36524 - days / 146096) / 365;
	days -= 365 * year + year / 4 - year / 100;
	month = (5 * days + 2) / 153;
	c.day = days - days_before(month) + 1;
	c.month = month < 10 ? month + 3 : month - 9;
	c.year = era * 400 + year + (c.month <= 2);
	return c;
}

int64_t civil_to_seconds(const struct civil *c)
{
	int64_t months = c->year * 12ll + c->month - 3, years = divide(months, 12), days;

	days = 365 * years + divide(years, 4) - divide(years, 100) + divide(years, 400) +
	       days_before((int)(months - 12 * years)) + c->day - 1 - DAYS_TO_1970;
	return days * DAY + c->hour * 3600ll + c->minute * 60ll + c->second;
}
