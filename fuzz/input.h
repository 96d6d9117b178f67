// SPDX-License-Identifier: GPL-2.0-or-later
/* input - a fuzzer's bytes, taken one after another. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/types.h"
#include "base/wire.h"

struct fuzz_input {
	const uint8_t *p;
	size_t len;
};

/* The next bytes as a little-endian number; 0 where the input has ended. */
static inline uint64_t fuzz_take(struct fuzz_input *in, unsigned int size)
{
	uint8_t b[8] = { 0 };
	size_t n = MIN(size, in->len);

	if (n)
		memcpy(b, in->p, n);
	in->p += n;
	in->len -= n;
	return rd_le64(b);
}

#endif
