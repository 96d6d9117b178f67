// SPDX-License-Identifier: GPL-2.0-or-later
/* decode-random - random bytes that are often instructions, for the decoder's tests. */
#ifndef DECODE_RANDOM_H
#define DECODE_RANDOM_H

#include <stdint.h>
#include "x86/decode.h"

static uint64_t rng;

static void random_seed(uint64_t seed)
{
	rng = seed * 0x9e3779b97f4a7c15u + 88172645463325252u;
}

static uint32_t random32(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 20);
}

static unsigned int random_vex(uint8_t *p)
{
	uint32_t r = random32();

	if (r & 1) {
		p[0] = 0xc5;
		p[1] = (uint8_t)(r >> 8);
		return 2;
	}
	p[0] = 0xc4;
	p[1] = (uint8_t)((r >> 8 & 0xe0) | (1 + (r >> 4) % 3));
	p[2] = (uint8_t)(r >> 16);
	return 3;
}

static void random_bytes(uint8_t *p, enum x86_code code)
{
	static const uint8_t prefixes[] = { 0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x36, 0x3e, 0x26,
		0x64, 0x65 };
	unsigned int n = 0, kind = random32() % 8;

	for (unsigned int i = 0; i < 32; i++)
		p[i] = (uint8_t)random32();
	for (unsigned int i = random32() % 8; i > 4; i--)
		p[n++] = prefixes[random32() % sizeof(prefixes)];
	if (kind < 2) {
		n += random_vex(p + n);
	} else {
		if (code == X86_CODE_64 && random32() % 2)
			p[n++] = 0x40 | (random32() & 15);
		if (kind > 3)
			p[n++] = 0x0f;
		if (kind > 6)
			p[n++] = random32() & 1 ? 0x38 : 0x3a;
	}
	/* Every second vvvv is none. */
	if (kind < 2 && random32() % 2)
		p[n - 1] |= 0x78;
}

#endif
