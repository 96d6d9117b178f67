// SPDX-License-Identifier: GPL-2.0-or-later
/* CRC-32C (Castagnoli; RFC 3720, B.4), by the CPU's instruction where there is one. */
#include <string.h>
#include "migrate/migrate_int.h"

#define POLYNOMIAL 0x82f63b78u /* reflected */

static uint32_t table[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool in_hardware;

static void prepare(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ POLYNOMIAL : c >> 1;
		table[i] = c;
	}
	in_hardware = __builtin_cpu_supports("sse4.2");
}

static uint32_t by_table(uint32_t c, const uint8_t *p, size_t len)
{
	while (len--)
		c = c >> 8 ^ table[(c ^ *p++) & 0xff];
	return c;
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(
	uint32_t crc, const uint8_t *p, size_t len)
{
	uint64_t c = crc;

	for (; len >= 8; len -= 8, p += 8) {
		uint64_t v;

		memcpy(&v, p, 8);
		c = __builtin_ia32_crc32di(c, v);
	}
	while (len--)
		c = __builtin_ia32_crc32qi((uint32_t)c, *p++);
	return (uint32_t)c;
}

/* @crc: 0, or the CRC of what came before. */
uint32_t crc32c(uint32_t crc, const void *p, size_t len)
{
	pthread_once(&once, prepare);
	return ~(in_hardware ? by_instruction : by_table)(~crc, p, len);
}
