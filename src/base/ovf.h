// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ovf - arithmetic on untrusted numbers. Each returns true when the result does NOT fit (as
 * __builtin_*_overflow does), so the idiom is `if (ovf_add(a, b, &sum)) return -EINVAL;`.
 */
#ifndef BASE_OVF_H
#define BASE_OVF_H

#include <stdbool.h>
#include <stdint.h>

#define ovf_add(a, b, out) __builtin_add_overflow(a, b, out)
#define ovf_sub(a, b, out) __builtin_sub_overflow(a, b, out)
#define ovf_mul(a, b, out) __builtin_mul_overflow(a, b, out)

/* True when [off, off + len) lies inside an object of @size bytes. Cannot overflow. */
static inline bool range_fits(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

/* True when [a, a+alen) and [b, b+blen) share a byte; ends beyond 2^64 are cut there. */
static inline bool range_overlaps(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
	if (!alen || !blen)
		return false;
	return a < b ? alen > b - a : blen > a - b;
}

#endif
