// SPDX-License-Identifier: GPL-2.0-or-later
/* random - repeatable random numbers for tests, fuzzers and benchmarks. No secret is made of them. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

/* xorshift64: the same numbers in every run from the same seed (never 0). */
static inline uint64_t test_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

#endif
