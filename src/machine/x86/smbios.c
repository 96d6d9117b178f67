// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * smbios - what machine this is, for `dmidecode` and inventory tools.
 * Source: DMTF DSP0134, System Management BIOS Reference Specification 3.2.
 */
#include <stdio.h>
#include <string.h>
#include "base/types.h"
#include "base/wire.h"
#include "machine/x86/tables.h"

#define ENTRY_SIZE  24
#define STRINGS_MAX 8

/* Handles: the type in the high byte. */
#define HANDLE(type, n) ((uint16_t)((type) << 8 | (n)))

struct smbios {
	struct str *out;
	const char *string[STRINGS_MAX]; /* of the structure being written */
	uint8_t n_strings;
};

/* A string's number in its structure; 0: none. */
static uint8_t text(struct smbios *b, const char *s)
{
	if (!s || !s[0] || b->n_strings == STRINGS_MAX)
		return 0;
	b->string[b->n_strings++] = s;
	return b->n_strings;
}

/* Append the formatted part @p of @len bytes (header included), then its strings. */
static void put(struct smbios *b, uint8_t *p, uint8_t len, uint8_t type, uint16_t handle)
{
	p[0] = type;
	p[1] = len;
	wr_le16(p + 2, handle);
	str_append_mem(b->out, p, len);
	for (uint8_t i = 0; i < b->n_strings; i++)
		str_append_mem(b->out, b->string[i], strlen(b->string[i]) + 1);
	str_append_mem(b->out, "\0", b->n_strings ? 1 : 2);
	b->n_strings = 0;
}

static void put_bios(struct smbios *b, const struct smbios_config *c)
{
	uint8_t p[24] = { 0 };

	p[4] = text(b, c->manufacturer);
	p[5] = text(b, c->version);
	wr_le16(p + 6, 0xe000); /* segment: what a BIOS would take */
	p[8] = text(b, "11/20/2026");
	wr_le64(p + 10, BIT_ULL(3)); /* characteristics: not given */
	p[19] = 0x14;		     /* extension 2: virtual machine, targeted content */
	p[20] = p[21] = p[22] = p[23] = 0xff;
	put(b, p, sizeof(p), 0, HANDLE(0, 0));
}

static void put_system(struct smbios *b, const struct smbios_config *c)
{
	uint8_t p[27] = { 0 };

	p[4] = text(b, c->manufacturer);
	p[5] = text(b, c->product);
	p[6] = text(b, c->version);
	p[7] = text(b, c->serial);
	/* The first three fields are little-endian on the wire. */
	wr_le32(p + 8, rd_be32(c->uuid));
	wr_le16(p + 12, rd_be16(c->uuid + 4));
	wr_le16(p + 14, rd_be16(c->uuid + 6));
	memcpy(p + 16, c->uuid + 8, 8);
	p[24] = 6; /* woken by the power switch */
	p[25] = text(b, c->sku);
	p[26] = text(b, c->family);
	put(b, p, sizeof(p), 1, HANDLE(1, 0));
}

static void put_chassis(struct smbios *b, const struct smbios_config *c)
{
	uint8_t p[22] = { 0 };

	p[4] = text(b, c->manufacturer);
	p[5] = 1; /* other */
	p[6] = text(b, c->version);
	p[7] = text(b, c->serial);
	p[9] = p[10] = p[11] = 3; /* states: safe */
	p[12] = 2;		  /* security: unknown */
	put(b, p, sizeof(p), 3, HANDLE(3, 0));
}

static void put_processor(struct smbios *b, const struct smbios_config *c, uint32_t socket)
{
	uint32_t threads = c->cores * c->threads;
	uint8_t p[48] = { 0 };
	char name[24];

	snprintf(name, sizeof(name), "CPU %u", socket);
	p[4] = text(b, name);
	p[5] = 3; /* central processor */
	p[6] = 1; /* family: other */
	p[7] = text(b, c->manufacturer);
	p[24] = 0x41; /* populated, enabled */
	p[25] = 1;
	wr_le16(p + 26, 0xffff); /* no cache information */
	wr_le16(p + 28, 0xffff);
	wr_le16(p + 30, 0xffff);
	p[35] = p[36] = (uint8_t)MIN(c->cores, 0xff);
	p[37] = (uint8_t)MIN(threads, 0xff);
	wr_le16(p + 38, 0x04); /* 64-bit */
	wr_le16(p + 40, 1);
	wr_le16(p + 42, (uint16_t)c->cores);
	wr_le16(p + 44, (uint16_t)c->cores);
	wr_le16(p + 46, (uint16_t)threads);
	put(b, p, sizeof(p), 4, HANDLE(4, socket));
}

static void put_memory(struct smbios *b, const struct smbios_config *c)
{
	uint64_t mib = c->ram_size / MIB;
	uint8_t array[23] = { 0 }, dev[40] = { 0 }, map[31] = { 0 };

	array[4] = 1; /* other */
	array[5] = 3; /* system memory */
	array[6] = 6; /* multi-bit ECC: what the host has is not ours to tell */
	wr_le32(array + 7, 0x80000000);
	wr_le16(array + 11, 0xfffe); /* no error handle */
	wr_le16(array + 13, 1);
	wr_le64(array + 15, c->ram_size);
	put(b, array, sizeof(array), 16, HANDLE(16, 0));

	wr_le16(dev + 4, HANDLE(16, 0));
	wr_le16(dev + 6, 0xfffe);
	wr_le16(dev + 8, 0xffff);
	wr_le16(dev + 10, 0xffff);
	/* 15 bits of MiB, or the marker and 31 bits in the extended field. */
	wr_le16(dev + 12, mib < 0x7fff ? (uint16_t)mib : 0x7fff);
	dev[14] = 9; /* DIMM */
	dev[16] = text(b, "DIMM 0");
	dev[18] = 7; /* RAM */
	wr_le16(dev + 19, 2);
	dev[23] = text(b, c->manufacturer);
	wr_le32(dev + 28, mib < 0x7fff ? 0 : (uint32_t)MIN(mib, 0x7fffffff));
	put(b, dev, sizeof(dev), 17, HANDLE(17, 0));

	wr_le32(map + 4, UINT32_MAX); /* see the extended addresses */
	wr_le32(map + 8, UINT32_MAX);
	wr_le16(map + 12, HANDLE(16, 0));
	map[14] = 1;
	wr_le64(map + 23, c->ram_size - 1);
	put(b, map, sizeof(map), 19, HANDLE(19, 0));
}

static void put_rest(struct smbios *b)
{
	uint8_t boot[11] = { 0 }, end[4] = { 0 };

	put(b, boot, sizeof(boot), 32, HANDLE(32, 0)); /* no errors detected */
	put(b, end, sizeof(end), 127, HANDLE(127, 0));
}

static void fill_entry(struct str *out, uint64_t base)
{
	uint8_t p[ENTRY_SIZE] = "_SM3_", sum = 0;

	p[6] = ENTRY_SIZE;
	p[7] = 3; /* version 3.2.0 */
	p[8] = 2;
	p[10] = 1; /* entry point revision */
	wr_le32(p + 12, (uint32_t)(out->len - ALIGN_UP(ENTRY_SIZE, 16)));
	wr_le64(p + 16, base + ALIGN_UP(ENTRY_SIZE, 16));
	for (size_t i = 0; i < sizeof(p); i++)
		sum += p[i];
	p[5] = (uint8_t)-sum;
	memcpy(out->s, p, sizeof(p));
}

bool smbios_build(const struct smbios_config *c, uint64_t base, struct str *out, struct error *err)
{
	static const uint8_t room[ALIGN_UP(ENTRY_SIZE, 16)];
	struct smbios b = { .out = out };

	str_clear(out);
	str_append_mem(out, room, sizeof(room));
	put_bios(&b, c);
	put_system(&b, c);
	put_chassis(&b, c);
	for (uint32_t i = 0; i < MIN(c->sockets, 255); i++)
		put_processor(&b, c, i);
	put_memory(&b, c);
	put_rest(&b);
	if (out->failed)
		return error_set(err, "SMBIOS: out of memory");
	fill_entry(out, base);
	return true;
}
