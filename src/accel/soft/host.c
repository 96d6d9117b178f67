// SPDX-License-Identifier: GPL-2.0-or-later
/* host - the CPU that all this runs on. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* secure_getenv */
#endif
#include <cpuid.h>
#include <stdlib.h>
#include <string.h>
#include "accel/soft/soft_int.h"

enum reg { EAX, EBX, ECX, EDX };

/* For tests: as if the host had less than it has. LODGE_TEST_HOST_WITHOUT=avx:bmi2 */
static const struct less {
	const char *name;
	uint32_t leaf;
	uint8_t reg;
	uint32_t bits;
} lesses[] = {
	{ "avx", 1, ECX, BIT(12) | BIT(28) | BIT(29) }, /* fma avx f16c */
	{ "avx", 7, EBX, BIT(5) },			/* avx2 */
	{ "avx", 7, ECX, BIT(8) | BIT(9) | BIT(10) },	/* gfni vaes vpclmulqdq */
	{ "avx2", 7, EBX, BIT(5) }, { "bmi1", 7, EBX, BIT(3) }, { "bmi2", 7, EBX, BIT(8) },
	{ "sse4", 1, ECX, BIT(9) | BIT(19) | BIT(20) | BIT(22) | BIT(23) }, /* ssse3 ... popcnt */
};

static bool word_in(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (; *list; list += strcspn(list, ":"), list += *list == ':')
		if (!strncmp(list, word, n) && (!list[n] || list[n] == ':'))
			return true;
	return false;
}

void soft_host_cpuid(uint32_t leaf, uint32_t index, uint32_t out[4])
{
	const char *without = secure_getenv("LODGE_TEST_HOST_WITHOUT");

	memset(out, 0, 4 * sizeof(out[0]));
	if (leaf <= (uint32_t)__get_cpuid_max(leaf & 0x80000000, NULL))
		__cpuid_count(leaf, index, out[EAX], out[EBX], out[ECX], out[EDX]);
	for (size_t i = 0; without && i < ARRAY_SIZE(lesses); i++)
		if (lesses[i].leaf == leaf && !index && word_in(without, lesses[i].name))
			out[lesses[i].reg] &= ~lesses[i].bits;
}

static bool has(uint32_t leaf, enum reg reg, uint32_t bit)
{
	uint32_t r[4];

	soft_host_cpuid(leaf, 0, r);
	return r[reg] & bit;
}

bool soft_host_has_avx(void)
{
	return __builtin_cpu_supports("avx") && has(1, ECX, BIT(28));
}

bool soft_host_has_bmi2(void)
{
	return __builtin_cpu_supports("bmi2") && has(7, EBX, BIT(8));
}
