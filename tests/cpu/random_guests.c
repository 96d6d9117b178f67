// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * random-guests - fuzz/soft_guest.c with random guests. Their code is instructions as the decoder
 * knows them rather than random bytes, so that they get somewhere.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/random.h"
#include "base/types.h"
#include "x86/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t rnd;

static uint64_t r64(void)
{
	return test_random(&rnd) * 0x2545f4914f6cdd1dull;
}

/* An instruction at @p; random bytes rarely are one, most tries find one soon. */
static size_t put_insn(uint8_t *p, enum x86_code code)
{
	static const uint8_t start[] = { 0x0f, 0x0f, 0x0f, 0x66, 0xf2, 0xf3, 0x48, 0xc5, 0xc4,
		0xd8 };
	struct x86_insn i;

	for (int tries = 0; tries < 8; tries++) {
		for (int k = 0; k < X86_INSN_MAX; k++)
			p[k] = (uint8_t)(r64() >> 17 & (r64() & 2 ? 0xff : 0x07));
		if (r64() >> 20 & 1)
			p[0] = start[(r64() >> 24) % ARRAY_SIZE(start)];
		if (r64() >> 20 & 1)
			p[1] = 0x0f;
		if (x86_decode(p, X86_INSN_MAX, code, &i) == X86_DECODE_OK)
			return i.len;
	}
	return 1;
}

static size_t make(uint8_t *p, size_t max)
{
	static const enum x86_code code_of[8] = { X86_CODE_16, X86_CODE_32, X86_CODE_16,
		X86_CODE_64, X86_CODE_32, X86_CODE_16, X86_CODE_16, X86_CODE_32 };
	uint8_t *at = p, *end;
	uint8_t mode = (uint8_t)(r64() >> 30), flags = (uint8_t)(r64() >> 30);

	*at++ = mode;
	*at++ = flags;
	if (flags & 128)
		for (int i = 0; i < 48; i++)
			*at++ = (uint8_t)(r64() >> 30);
	*at++ = r64() >> 33 & 3 ? 0 : (uint8_t)(r64() >> 30); /* spoiled bytes of the state */
	end = at + 64;
	while (at < end)
		at += put_insn(at, code_of[(mode & 7) % 6]);
	for (at = end; at < p + max; at++)
		*at = (uint8_t)(r64() >> 30);
	return max;
}

/* Inputs for libFuzzer to begin with. */
static void write_input(const char *dir, uint64_t seed, const uint8_t *p, size_t n)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%016" PRIx64, dir, seed);
	f = fopen(path, "wb");
	if (f && fwrite(p, 1, n, f) == n)
		fclose(f);
}

int main(int argc, char **argv)
{
	static const struct option list[] = { { "seed", 1, NULL, 's' }, { "seconds", 1, NULL, 't' },
		{ "count", 1, NULL, 'c' }, { "write", 1, NULL, 'w' }, { 0 } };
	uint64_t seed = (uint64_t)time(NULL), n = 0, count = UINT64_MAX;
	const char *dir = NULL;
	int64_t end, seconds = 10;
	uint8_t input[256];
	int c;

	while ((c = getopt_long(argc, argv, "", list, NULL)) != -1) {
		if (c == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (c == 't')
			seconds = atoi(optarg);
		else if (c == 'c')
			count = strtoull(optarg, NULL, 0);
		else if (c == 'w')
			dir = optarg;
		else
			return 2;
	}
	printf("random-guests: --seed %" PRIu64 " (each guest is a seed of its own)\n", seed);
	fflush(stdout);
	end = clock_mono_ns() + seconds * NS_PER_SEC;
	for (; n < count && clock_mono_ns() < end; n++) {
		size_t size;

		rnd = (seed + n) * 0x9e3779b97f4a7c15ull | 1;
		size = make(input, sizeof(input));
		if (dir)
			write_input(dir, seed + n, input, size);
		if (!(n % 1000) && getenv("RANDOM_GUESTS_VERBOSE"))
			fprintf(stderr, "%" PRIu64 "\n", seed + n);
		LLVMFuzzerTestOneInput(input, size);
	}
	printf("random-guests: %" PRIu64 " guests\n", n);
	return 0;
}
