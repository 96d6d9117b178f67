// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/x86/aml.h"

#include <assert.h>
#include <string.h>
#include "base/types.h"
#include "base/wire.h"

enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_WORD = 0x0b,
	OP_DWORD = 0x0c,
	OP_STRING = 0x0d,
	OP_QWORD = 0x0e,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_METHOD = 0x14,
	OP_DUAL_NAME = 0x2e,
	OP_MULTI_NAME = 0x2f,
	OP_EXT = 0x5b,
	OP_ROOT = 0x5c,
	OP_PARENT = 0x5e,
	OP_LOCAL0 = 0x60,
	OP_ARG0 = 0x68,
	OP_STORE = 0x70,
	OP_AND = 0x7b,
	OP_NOTIFY = 0x86,
	OP_IF = 0xa0,
	OP_RETURN = 0xa4,
	EXT_REGION = 0x80,
	EXT_FIELD = 0x81,
	EXT_DEVICE = 0x82,
};

static void put8(struct str *s, uint8_t v)
{
	str_append_char(s, (char)v);
}

static void put_le(struct str *s, uint64_t v, unsigned int size)
{
	for (; size; size--, v >>= 8)
		put8(s, (uint8_t)v);
}

/* Open @n bytes at @pos. */
static void insert(struct str *s, size_t pos, const uint8_t *p, size_t n)
{
	size_t tail = s->len - pos;

	str_append_mem(s, p, n);
	if (s->failed)
		return;
	memmove(s->s + pos + n, s->s + pos, tail);
	memcpy(s->s + pos, p, n);
}

static void name_string(struct str *s, const char *name)
{
	assert(strlen(name) == (name[0] == '\\' ? 5 : 4));
	str_append(s, name);
}

/* PkgLength counts itself: one byte up to 63, otherwise a nibble and 1..3 bytes. */
void aml_end(struct str *s, size_t pos)
{
	uint64_t len = s->len - pos;
	uint8_t b[4];
	unsigned int n;

	if (s->failed)
		return;
	if (len + 1 < BIT(6)) {
		b[0] = (uint8_t)(len + 1);
		n = 1;
	} else {
		n = len + 2 < BIT(12) ? 2 : len + 3 < BIT(20) ? 3 : 4;
		len += n;
		assert(len < BIT(28));
		b[0] = (uint8_t)((n - 1) << 6 | (len & 0xf));
		for (unsigned int i = 1; i < n; i++)
			b[i] = (uint8_t)(len >> (4 + 8 * (i - 1)));
	}
	insert(s, pos, b, n);
}

size_t aml_scope_begin(struct str *s, const char *name)
{
	put8(s, OP_SCOPE);
	size_t pos = s->len;

	name_string(s, name);
	return pos;
}

size_t aml_device_begin(struct str *s, const char *name)
{
	put8(s, OP_EXT);
	put8(s, EXT_DEVICE);
	size_t pos = s->len;

	name_string(s, name);
	return pos;
}

size_t aml_method_begin(struct str *s, const char *name, uint8_t args)
{
	put8(s, OP_METHOD);
	size_t pos = s->len;

	name_string(s, name);
	put8(s, args);
	return pos;
}

size_t aml_package_begin(struct str *s, uint8_t n)
{
	put8(s, OP_PACKAGE);
	size_t pos = s->len;

	put8(s, n);
	return pos;
}

size_t aml_buffer_begin(struct str *s)
{
	put8(s, OP_BUFFER);
	return s->len;
}

void aml_buffer_end(struct str *s, size_t pos)
{
	uint8_t size[3] = { OP_WORD };

	assert(s->len - pos <= UINT16_MAX);
	wr_le16(size + 1, (uint16_t)(s->len - pos));
	insert(s, pos, size, sizeof(size));
	aml_end(s, pos);
}

void aml_name(struct str *s, const char *name)
{
	put8(s, OP_NAME);
	name_string(s, name);
}

void aml_int(struct str *s, uint64_t v)
{
	if (v <= 1) {
		put8(s, v ? OP_ONE : OP_ZERO);
	} else if (v <= UINT8_MAX) {
		put8(s, OP_BYTE);
		put_le(s, v, 1);
	} else if (v <= UINT16_MAX) {
		put8(s, OP_WORD);
		put_le(s, v, 2);
	} else if (v <= UINT32_MAX) {
		put8(s, OP_DWORD);
		put_le(s, v, 4);
	} else {
		put8(s, OP_QWORD);
		put_le(s, v, 8);
	}
}

void aml_string(struct str *s, const char *text)
{
	put8(s, OP_STRING);
	str_append_mem(s, text, strlen(text) + 1);
}

void aml_name_int(struct str *s, const char *name, uint64_t v)
{
	aml_name(s, name);
	aml_int(s, v);
}

void aml_name_string(struct str *s, const char *name, const char *text)
{
	aml_name(s, name);
	aml_string(s, text);
}

static uint32_t hex_digit(char c)
{
	return (uint32_t)(c >= 'A' ? c - 'A' + 10 : c - '0');
}

void aml_name_eisaid(struct str *s, const char *name, const char *id)
{
	uint32_t v = 0;

	assert(strlen(id) == 7);
	for (int i = 0; i < 3; i++) /* three letters of five bits */
		v = v << 5 | (uint32_t)(id[i] - '@');
	for (int i = 3; i < 7; i++)
		v = v << 4 | hex_digit(id[i]);
	aml_name(s, name);
	put8(s, OP_DWORD);
	put_le(s, be32toh(htole32(v)), 4); /* stored with the most significant byte first */
}

#define SPACE_SYSTEM_IO 1
#define FIELD_DWORD	3 /* dword accesses, no lock, preserve */

void aml_region_io(struct str *s, const char *name, uint16_t port, uint8_t len)
{
	put8(s, OP_EXT);
	put8(s, EXT_REGION);
	name_string(s, name);
	put8(s, SPACE_SYSTEM_IO);
	aml_int(s, port);
	aml_int(s, len);
}

void aml_fields32(struct str *s, const char *region, const char *const *names, unsigned int n)
{
	size_t pos;

	put8(s, OP_EXT);
	put8(s, EXT_FIELD);
	pos = s->len;
	name_string(s, region);
	put8(s, FIELD_DWORD);
	for (unsigned int i = 0; i < n; i++) {
		name_string(s, names[i]);
		put8(s, 32); /* bits, as a package length */
	}
	aml_end(s, pos);
}

void aml_load_local(struct str *s, uint8_t n, const char *name)
{
	put8(s, OP_STORE);
	name_string(s, name);
	put8(s, OP_LOCAL0 + n);
}

void aml_store_local(struct str *s, const char *name, uint8_t n)
{
	put8(s, OP_STORE);
	put8(s, OP_LOCAL0 + n);
	name_string(s, name);
}

void aml_store_int(struct str *s, const char *name, uint64_t v)
{
	put8(s, OP_STORE);
	aml_int(s, v);
	name_string(s, name);
}

size_t aml_if_local_begin(struct str *s, uint8_t n, uint32_t mask)
{
	put8(s, OP_IF);
	size_t pos = s->len;

	put8(s, OP_AND);
	put8(s, OP_LOCAL0 + n);
	aml_int(s, mask);
	put8(s, OP_ZERO); /* the result is not stored */
	return pos;
}

void aml_notify(struct str *s, const char *dev, const char *child, uint8_t v)
{
	put8(s, OP_NOTIFY);
	put8(s, OP_PARENT);
	put8(s, OP_DUAL_NAME);
	name_string(s, dev);
	name_string(s, child);
	aml_int(s, v);
}

void aml_call(struct str *s, const char *scope, const char *dev, const char *method)
{
	put8(s, OP_ROOT);
	put8(s, OP_MULTI_NAME);
	put8(s, 3);
	name_string(s, scope);
	name_string(s, dev);
	name_string(s, method);
}

void aml_return_arg(struct str *s, uint8_t n)
{
	put8(s, OP_RETURN);
	put8(s, OP_ARG0 + n);
}

/* ---------------------------------------------------------------- resources */

enum { RES_IRQ = 0x22, RES_IO = 0x47, RES_END = 0x79, RES_MEM32_FIXED = 0x86 };
enum { RES_DWORD = 0x87, RES_WORD = 0x88, RES_QWORD = 0x8a };
enum { SPACE_MEM, SPACE_IO, SPACE_BUS };

#define WINDOW_FIXED   0x0c /* produced, both ends fixed */
#define MEM_READ_WRITE 0x01
#define MEM_CACHEABLE  0x02
#define IO_WHOLE_RANGE 0x03

size_t aml_crs_begin(struct str *s)
{
	aml_name(s, "_CRS");
	return aml_buffer_begin(s);
}

void aml_crs_end(struct str *s, size_t pos)
{
	put8(s, RES_END);
	put8(s, 0); /* checksum: 0 is taken for right */
	aml_buffer_end(s, pos);
}

void aml_res_io(struct str *s, uint16_t port, uint8_t len)
{
	put8(s, RES_IO);
	put8(s, 1); /* decodes 16 bits */
	put_le(s, port, 2);
	put_le(s, port, 2);
	put8(s, 1);
	put8(s, len);
}

void aml_res_irq(struct str *s, uint8_t irq)
{
	put8(s, RES_IRQ);
	put_le(s, BIT(irq), 2);
}

void aml_res_mem32(struct str *s, uint32_t base, uint32_t len)
{
	put8(s, RES_MEM32_FIXED);
	put_le(s, 9, 2);
	put8(s, MEM_READ_WRITE);
	put_le(s, base, 4);
	put_le(s, len, 4);
}

/* An address space descriptor with fields of @size bytes. */
static void window(struct str *s, uint8_t tag, uint8_t space, uint8_t flags, uint64_t base,
	uint64_t len, unsigned int size)
{
	put8(s, tag);
	put_le(s, 3 + 5 * size, 2);
	put8(s, space);
	put8(s, WINDOW_FIXED);
	put8(s, flags);
	put_le(s, 0, size); /* granularity */
	put_le(s, base, size);
	put_le(s, base + len - 1, size);
	put_le(s, 0, size); /* translation */
	put_le(s, len, size);
}

void aml_res_bus(struct str *s, uint16_t first, uint16_t count)
{
	window(s, RES_WORD, SPACE_BUS, 0, first, count, 2);
}

void aml_res_window_io(struct str *s, uint16_t base, uint16_t len)
{
	window(s, RES_WORD, SPACE_IO, IO_WHOLE_RANGE, base, len, 2);
}

void aml_res_window_mem(struct str *s, uint64_t base, uint64_t len)
{
	/* Not "prefetchable": Linux would refuse 64-bit BARs that are not. */
	if (base + len - 1 > UINT32_MAX)
		window(s, RES_QWORD, SPACE_MEM, MEM_READ_WRITE | MEM_CACHEABLE, base, len, 8);
	else
		window(s, RES_DWORD, SPACE_MEM, MEM_READ_WRITE, base, len, 4);
}
