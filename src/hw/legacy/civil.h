/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * civil - seconds since 1970 and dates in UTC; private to legacy/. libc's gmtime_r() and timegm() do the same, but read the
 * host's time zone first: files, which cost at a VM's start and are out of reach once it runs.
 */
#ifndef HW_LEGACY_CIVIL_H
#define HW_LEGACY_CIVIL_H

#include <stdint.h>

struct civil {
	int year, month, day; /* 2026, 1 to 12, 1 to 31 */
	int hour, minute, second;
	int weekday; /* 0: Sunday */
};

/* @t from 0 to the end of year 9999. */
struct civil civil_from_seconds(int64_t t);
/* Whatever the members but weekday are: what is too much for one is carried over to the next, as mktime() does. */
int64_t civil_to_seconds(const struct civil *c);

#endif
