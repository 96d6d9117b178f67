// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "base/types.h"
#include "base/wire.h"
#include "machine/x86/tables.h"

#define BASE 0xf0000ull

static struct smbios_config config(void)
{
	return (struct smbios_config){ .manufacturer = "Lodge",
		.product = "PC",
		.version = "1",
		.serial = "",
		.uuid = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
		.ram_size = 64 * GIB,
		.sockets = 2,
		.cores = 4,
		.threads = 2 };
}

/* The @n-th string of a structure. */
static const char *string_of(const uint8_t *p, uint8_t n)
{
	const char *s = (const char *)p + p[1];

	while (--n)
		s += strlen(s) + 1;
	return s;
}

static void test_structures(void **state)
{
	struct smbios_config c = config();
	struct error err = ERROR_INIT;
	AUTO(str) out = STR_INIT;
	uint32_t seen[128] = { 0 };
	const uint8_t *p, *end;
	uint8_t sum = 0;

	assert_true(smbios_build(&c, BASE, &out, &err));
	p = (const uint8_t *)out.s;
	assert_memory_equal(p, "_SM3_", 5);
	for (int i = 0; i < 24; i++)
		sum += p[i];
	assert_int_equal(sum, 0);
	assert_int_equal(rd_le64(p + 16), BASE + 32);
	assert_int_equal(rd_le32(p + 12), out.len - 32);
	end = p + out.len;
	for (p += 32; p < end;) {
		assert_true(p[1] >= 4 && p[0] < 128);
		seen[p[0]]++;
		if (p[0] == 1) {
			assert_string_equal(string_of(p, p[5]), "PC");
			assert_memory_equal(p + 8, "\x03\x02\x01\x00\x05\x04\x07\x06\x08", 9);
			assert_int_equal(p[7], 0); /* an empty string is none */
		}
		if (p[0] == 17)
			assert_int_equal(rd_le32(p + 28), 64 * 1024);
		if (p[0] == 4)
			assert_int_equal(rd_le16(p + 46), 8);
		p += p[1];
		while (p[0] || p[1])
			p++;
		p += 2;
	}
	assert_ptr_equal(p, end);
	assert_int_equal(seen[4], 2);
	assert_int_equal(seen[127], 1);
	assert_int_equal(seen[0] + seen[1] + seen[3] + seen[16] + seen[17] + seen[19], 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
