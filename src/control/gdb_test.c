// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "control/gdb_int.h"

static void feed(struct gdb *g, const char *bytes, size_t n)
{
	assert_true(g->in_len + n <= sizeof(g->in));
	memcpy(g->in + g->in_len, bytes, n);
	g->in_len += n;
}

static struct gdb *new_gdb(void)
{
	struct gdb *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	str_init(&g->out);
	return g;
}

static void free_gdb(struct gdb *g)
{
	str_fini(&g->out);
	free(g);
}

static void packets_are_framed(void **state)
{
	struct gdb *g = new_gdb();
	char text[GDB_PACKET_MAX + 1];
	bool interrupt = false;

	gdb_put_packet(g, "OK", 2);
	assert_string_equal(str_cstr(&g->out), "$OK#9a");
	str_clear(&g->out);
	gdb_put_packet(g, "a}b", 3);
	assert_string_equal(str_cstr(&g->out), "$a}]b#9d");
	str_clear(&g->out);

	feed(g, "+$qC#b4", 7);
	assert_int_equal(gdb_take_packet(g, text, &interrupt), 2);
	assert_string_equal(text, "qC");
	assert_string_equal(str_cstr(&g->out), "+");
	assert_int_equal(gdb_take_packet(g, text, &interrupt), -1);
	assert_false(interrupt);
	free_gdb(g);
}

static void broken_packets_are_refused(void **state)
{
	struct gdb *g = new_gdb();
	char text[GDB_PACKET_MAX + 1], *much = malloc(GDB_PACKET_MAX + 8);
	bool interrupt = false;

	/* In pieces, with a wrong checksum, behind an interrupt. */
	feed(g, "\003$g#", 4);
	assert_int_equal(gdb_take_packet(g, text, &interrupt), -1);
	assert_true(interrupt);
	feed(g, "00", 2);
	assert_int_equal(gdb_take_packet(g, text, &interrupt), -1);
	assert_string_equal(str_cstr(&g->out), "-");
	assert_int_equal(g->in_len, 0);
	/* One that never ends. */
	assert_non_null(much);
	memset(much, 'x', GDB_PACKET_MAX + 8);
	much[0] = '$';
	feed(g, much, GDB_PACKET_MAX + 8);
	assert_int_equal(gdb_take_packet(g, text, &interrupt), -2);
	free(much);
	free_gdb(g);
}

static void escapes_are_taken_back(void **state)
{
	struct gdb *g = new_gdb();
	char text[GDB_PACKET_MAX + 1];
	bool interrupt = false;

	g->no_ack = true;
	feed(g, "$X}\003}]#00", 9);
	assert_int_equal(gdb_take_packet(g, text, &interrupt), 3);
	assert_memory_equal(text, "X#}", 3);
	assert_false(interrupt);
	free_gdb(g);
}

static void hexadecimal(void **state)
{
	const char *p = "1fF,";
	AUTO(str) s = STR_INIT;
	uint8_t b[2];
	uint64_t n;

	assert_true(gdb_hex_number(&p, &n));
	assert_int_equal(n, 0x1ff);
	assert_int_equal(*p, ',');
	assert_false(gdb_hex_number(&p, &n));
	assert_int_equal(gdb_from_hex("00Ff", 4, b, 2), 2);
	assert_int_equal(b[1], 0xff);
	assert_int_equal(gdb_from_hex("00f", 3, b, 2), -1);
	assert_int_equal(gdb_from_hex("0g", 2, b, 2), -1);
	assert_int_equal(gdb_from_hex("000000", 6, b, 2), -1);
	gdb_to_hex(&s, b, 2);
	assert_string_equal(str_cstr(&s), "00ff");
}

/* Each register is described, can be read, and what was written to it is read again. */
static void registers(void **state)
{
	struct x86_cpu_state *s = calloc(1, sizeof(*s));
	unsigned int described = 0;

	assert_non_null(s);
	for (const char *p = gdb_target_xml; (p = strstr(p, "<reg name=")); p++)
		described++;
	assert_int_equal(described, gdb_regs());
	for (unsigned int i = 0; i < gdb_regs(); i++) {
		uint8_t in[GDB_REG_MAX], out[GDB_REG_MAX] = { 0 };
		unsigned int n;
		bool fixed = (i >= 18 && i < 24) || (i >= 34 && i < 40); /* selectors, FPU's rest */

		for (unsigned int k = 0; k < sizeof(in); k++)
			in[k] = i == 34 ? 0 : i + k + 1;
		n = gdb_reg_set(s, i, in, sizeof(in));
		assert_in_range(n, 4, GDB_REG_MAX);
		assert_int_equal(gdb_reg_get(s, i, out), n);
		if (fixed)
			continue;
		/* FCW and FSW are 16 bits wide. */
		assert_memory_equal(in, out, i == 32 || i == 33 ? 2 : n);
		assert_int_equal(gdb_reg_set(s, i, in, n - 1), 0);
	}
	assert_int_equal(gdb_reg_get(s, gdb_regs(), (uint8_t[GDB_REG_MAX]){ 0 }), 0);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_are_framed),
		cmocka_unit_test(broken_packets_are_refused),
		cmocka_unit_test(escapes_are_taken_back),
		cmocka_unit_test(hexadecimal),
		cmocka_unit_test(registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
