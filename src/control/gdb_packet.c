// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * gdb_packet - framing of gdb's remote protocol (gdb manual, Remote Protocol, Overview):
 * $text#checksum, a + or - for each packet until that is turned off, 0x03 for an interrupt.
 */
#include <string.h>
#include "control/gdb_int.h"

int gdb_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int gdb_from_hex(const char *text, size_t len, uint8_t *out, size_t max)
{
	size_t n = len / 2;

	if (len % 2 || n > max)
		return -1;
	for (size_t i = 0; i < n; i++) {
		int hi = gdb_hex_digit(text[2 * i]), lo = gdb_hex_digit(text[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -1;
		out[i] = hi << 4 | lo;
	}
	return (int)n;
}

void gdb_to_hex(struct str *out, const void *bytes, size_t n)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < n; i++) {
		str_append_char(out, "0123456789abcdef"[b[i] >> 4]);
		str_append_char(out, "0123456789abcdef"[b[i] & 15]);
	}
}

bool gdb_hex_number(const char **p, uint64_t *out)
{
	uint64_t v = 0;
	int digits = 0, d;

	while ((d = gdb_hex_digit(**p)) >= 0 && digits < 16) {
		v = v << 4 | d;
		digits++;
		++*p;
	}
	*out = v;
	return digits > 0;
}

void gdb_put_packet(struct gdb *g, const char *text, size_t len)
{
	uint8_t sum = 0;

	str_append_char(&g->out, '$');
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (strchr("#$}*", c) && c) {
			str_append_char(&g->out, '}');
			sum += '}';
			c ^= 0x20;
		}
		str_append_char(&g->out, c);
		sum += (uint8_t)c;
	}
	str_appendf(&g->out, "#%02x", sum);
}

void gdb_put(struct gdb *g, const char *text)
{
	gdb_put_packet(g, text, strlen(text));
}

void gdb_put_str(struct gdb *g, struct str *s)
{
	const char *text = str_cstr(s);

	gdb_put_packet(g, text, s->len);
}

static void drop_input(struct gdb *g, size_t n)
{
	memmove(g->in, g->in + n, g->in_len - n);
	g->in_len -= n;
}

/* The text of the packet at the start of the input, whose # is at @end, unescaped. */
static int unwrap(struct gdb *g, size_t end, char *text)
{
	uint8_t sum = 0;
	int n = 0;

	for (size_t i = 1; i < end; i++) {
		sum += (uint8_t)g->in[i];
		if (g->in[i] == '}' && i + 1 < end) {
			i++;
			sum += (uint8_t)g->in[i];
			text[n++] = g->in[i] ^ 0x20;
		} else {
			text[n++] = g->in[i];
		}
	}
	text[n] = '\0';
	if (!g->no_ack) {
		int hi = gdb_hex_digit(g->in[end + 1]), lo = gdb_hex_digit(g->in[end + 2]);
		bool good = hi >= 0 && lo >= 0 && (hi << 4 | lo) == sum;

		str_append_char(&g->out, good ? '+' : '-');
		if (!good)
			n = -1;
	}
	drop_input(g, end + 3);
	return n;
}

int gdb_take_packet(struct gdb *g, char *text, bool *interrupt)
{
	while (g->in_len) {
		const char *hash;
		size_t end;
		int n;

		if (g->in[0] != '$') {
			*interrupt |= g->in[0] == 3;
			drop_input(g, 1); /* acknowledgements, and noise */
			continue;
		}
		hash = memchr(g->in, '#', g->in_len);
		if (!hash && g->in_len > GDB_PACKET_MAX + 1)
			return -2;
		end = hash ? (size_t)(hash - g->in) : 0;
		if (!hash || g->in_len < end + 3)
			return -1;
		if (end > GDB_PACKET_MAX)
			return -2;
		n = unwrap(g, end, text);
		if (n >= 0)
			return n;
	}
	return -1;
}
