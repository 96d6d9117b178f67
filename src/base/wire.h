// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wire - integers with a byte order. le16..be64 are one-member structs, so that a value in wire
 * order cannot be used as a number by mistake. They have the alignment of the integer; for bytes
 * at any alignment use the rd_/wr_ functions.
 */
#ifndef BASE_WIRE_H
#define BASE_WIRE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define WIRE_TYPE(name, bits, to_host, from_host)               \
	typedef struct {                                        \
		uint##bits##_t raw;                             \
	} name;                                                 \
	static inline uint##bits##_t name##_get(name x)         \
	{                                                       \
		return to_host(x.raw);                          \
	}                                                       \
	static inline name name##_of(uint##bits##_t x)          \
	{                                                       \
		return (name){ from_host(x) };                  \
	}                                                       \
	static inline uint##bits##_t rd_##name(const void *p)   \
	{                                                       \
		uint##bits##_t x;                               \
		memcpy(&x, p, sizeof(x));                       \
		return to_host(x);                              \
	}                                                       \
	static inline void wr_##name(void *p, uint##bits##_t x) \
	{                                                       \
		x = from_host(x);                               \
		memcpy(p, &x, sizeof(x));                       \
	}

WIRE_TYPE(le16, 16, le16toh, htole16)
WIRE_TYPE(le32, 32, le32toh, htole32)
WIRE_TYPE(le64, 64, le64toh, htole64)
WIRE_TYPE(be16, 16, be16toh, htobe16)
WIRE_TYPE(be32, 32, be32toh, htobe32)
WIRE_TYPE(be64, 64, be64toh, htobe64)

#undef WIRE_TYPE

/* Little-endian read and write of 1, 2, 4 or 8 bytes at any alignment (register files). */
static inline uint64_t rd_le(const void *p, unsigned int size)
{
	uint64_t x = 0;

	memcpy(&x, p, size);
	return le64toh(x);
}

static inline void wr_le(void *p, unsigned int size, uint64_t x)
{
	x = htole64(x);
	memcpy(p, &x, size);
}

#endif
