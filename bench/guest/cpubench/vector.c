// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Floating point and vectors. Only operations whose results IEEE 754 lays down to the last bit:
 * every right CPU gets the same checksum.
 */
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "cpubench.h"

#define BUFFER 65536

static uint8_t *in, *out;

static void buffer_setup(unsigned long n)
{
	uint64_t seed = 1618;

	(void)n;
	in = get_memory(BUFFER);
	out = get_memory(BUFFER);
	for (size_t i = 0; i < BUFFER / 8; i++)
		((uint64_t *)in)[i] = next_random(&seed);
}

static uint64_t sse_copy_run(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		for (size_t at = 0; at < BUFFER / 2; at += 64) {
			const uint8_t *s = in + at + (i & 63);
			__m128i a = _mm_loadu_si128((const __m128i *)s);
			__m128i b = _mm_loadu_si128((const __m128i *)(s + 16));
			__m128i c = _mm_loadu_si128((const __m128i *)(s + 32));
			__m128i d = _mm_loadu_si128((const __m128i *)(s + 48));

			_mm_store_si128((__m128i *)(out + at), a);
			_mm_store_si128((__m128i *)(out + at + 16), b);
			_mm_store_si128((__m128i *)(out + at + 32), c);
			_mm_store_si128((__m128i *)(out + at + 48), d);
		}
	return mix_memory(out, BUFFER / 2);
}

/* ---- matrices of floats, four at a time ---- */

#define SIDE 64

typedef float v4f __attribute__((vector_size(16), may_alias));

static uint64_t float_matrix_run(unsigned long n)
{
	static __attribute__((aligned(16))) float a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];
	uint64_t sum = 0;

	for (int i = 0; i < SIDE * SIDE; i++) {
		a[i / SIDE][i % SIDE] = (float)(i * 37 % 101) / 100;
		b[i / SIDE][i % SIDE] = (float)(i * 53 % 103) / 64;
	}
	for (unsigned long round = 0; round < n; round++) {
		for (int i = 0; i < SIDE; i++)
			for (int j = 0; j < SIDE; j += 4) {
				v4f dot = { 0 };

				for (int k = 0; k < SIDE; k++)
					dot += a[i][k] * *(const v4f *)&b[k][j];
				*(v4f *)&c[i][j] = dot;
			}
		a[round % SIDE][round / SIDE % SIDE] = c[round % 61 % SIDE][round % 59] / 128;
		sum = mix(sum, mix_memory(c[round % SIDE], sizeof(c[0])));
	}
	return sum;
}

/* ---- doubles one by one: a logistic map, a series, roots ---- */

static uint64_t double_run(unsigned long n)
{
	double x = 0.4, series = 0, root = 1;
	double parts[3];

	for (unsigned long i = 0; i < n; i++) {
		x = 3.9 * x * (1 - x);
		series += (i & 1 ? -1.0 : 1.0) / (double)(2 * i + 1);
		root = sqrt(root + x * 2);
		if (x < 0.5)
			root += series;
	}
	parts[0] = x;
	parts[1] = series;
	parts[2] = root;
	return mix_memory(parts, sizeof(parts));
}

/* ---- five bodies ---- */

#define BODIES 5

struct body {
	double at[3], speed[3], mass;
};

static void move(struct body *bodies, double dt)
{
	for (int i = 0; i < BODIES; i++)
		for (int j = i + 1; j < BODIES; j++) {
			struct body *a = &bodies[i], *b = &bodies[j];
			double d[3], square = 0, pull;

			for (int k = 0; k < 3; k++) {
				d[k] = a->at[k] - b->at[k];
				square += d[k] * d[k];
			}
			pull = dt / (square * sqrt(square));
			for (int k = 0; k < 3; k++) {
				a->speed[k] -= d[k] * b->mass * pull;
				b->speed[k] += d[k] * a->mass * pull;
			}
		}
	for (int i = 0; i < BODIES; i++)
		for (int k = 0; k < 3; k++)
			bodies[i].at[k] += dt * bodies[i].speed[k];
}

static uint64_t nbody_run(unsigned long n)
{
	struct body bodies[BODIES] = {
		{ { 0, 0, 0 }, { 0, 0, 0 }, 40 },
		{ { 5, -1, 0.1 }, { 0.6, 2.8, 0.02 }, 0.04 },
		{ { 8, 4, -0.4 }, { -1.0, 1.8, 0.01 }, 0.011 },
		{ { 13, -15, 0.2 }, { 1.1, 0.9, -0.01 }, 0.0017 },
		{ { 15, -26, 0.2 }, { 0.98, 0.6, -0.03 }, 0.002 },
	};

	for (unsigned long i = 0; i < n; i++)
		move(bodies, 0.001);
	return mix_memory(bodies, sizeof(bodies));
}

/* ---- x87: the same kinds of work in 80 bits, with integers in and out ---- */

static uint64_t x87_run(unsigned long n)
{
	volatile long double rate = 3.9L;
	long double x = 0.4L, root = 1, sum = 0, r = rate;
	int64_t whole = 0;

	for (unsigned long i = 0; i < n; i++) {
		x = r * x * (1 - x);
		root = __builtin_sqrtl(root + x);
		sum += x / (root + (long double)(int32_t)i);
		if (x > root)
			sum -= 0.5L;
		if (!(i & 15))
			whole += (int64_t)(sum * 1000);
	}
	return mix((uint64_t)whole, (uint64_t)(int64_t)(x * 0x1p60L)) +
	       (uint64_t)(int64_t)(root * 0x1p40L);
}

/* ---- AVX2: integers, 32 bytes at a time ---- */

__attribute__((target("avx2"))) static uint64_t avx2_run(unsigned long n)
{
	__m256i sum = _mm256_setzero_si256(), factor = _mm256_set1_epi32(0x01000193);
	const __m256i order = _mm256_setr_epi8(3, 1, 0, 2, 7, 4, 5, 6, 11, 10, 9, 8, 12, 15, 13, 14,
		1, 2, 3, 0, 4, 6, 5, 7, 15, 8, 9, 10, 11, 12, 13, 14);
	uint64_t parts[4];

	for (unsigned long i = 0; i < n; i++)
		for (size_t at = 0; at < 16384; at += 32) {
			__m256i v = _mm256_loadu_si256((const __m256i *)(in + at + (i & 31)));
			__m256i w = _mm256_shuffle_epi8(v, order);

			w = _mm256_add_epi32(_mm256_mullo_epi32(w, factor), sum);
			sum = _mm256_xor_si256(sum, _mm256_srli_epi32(w, 3));
			sum = _mm256_add_epi16(sum, _mm256_max_epu8(v, w));
			_mm256_store_si256((__m256i *)(out + at), w);
		}
	_mm256_storeu_si256((__m256i *)parts, sum);
	return mix_memory(parts, sizeof(parts)) + mix_memory(out, 16384);
}

/* ---- AES in counter mode with a carry-less checksum (POLYVAL of RFC 8452) ---- */

__attribute__((target("aes,pclmul,sse4.1"))) static inline __m128i polyval(__m128i a, __m128i b)
{
	const __m128i poly = _mm_set_epi64x((long long)0xc200000000000000ull, 0);
	__m128i low = _mm_clmulepi64_si128(a, b, 0x00), high = _mm_clmulepi64_si128(a, b, 0x11);
	__m128i middle = _mm_xor_si128(
		_mm_clmulepi64_si128(a, b, 0x01), _mm_clmulepi64_si128(a, b, 0x10));

	low = _mm_xor_si128(low, _mm_slli_si128(middle, 8));
	high = _mm_xor_si128(high, _mm_srli_si128(middle, 8));
	for (int i = 0; i < 2; i++)
		low = _mm_xor_si128(
			_mm_shuffle_epi32(low, 0x4e), _mm_clmulepi64_si128(low, poly, 0x10));
	return _mm_xor_si128(high, low);
}

__attribute__((target("aes,pclmul,sse4.1"))) static uint64_t aes_run(unsigned long n)
{
	__m128i keys[11], counter = _mm_set_epi64x(0, 1), hash = _mm_setzero_si128();
	const __m128i one = _mm_set_epi64x(0, 1);
	uint64_t parts[2];

	for (int i = 0; i < 11; i++)
		keys[i] = _mm_loadu_si128((const __m128i *)in + i);
	for (unsigned long i = 0; i < n; i++)
		for (size_t at = 0; at < 4096; at += 16) {
			__m128i block = _mm_xor_si128(counter, keys[0]);

			for (int k = 1; k < 10; k++)
				block = _mm_aesenc_si128(block, keys[k]);
			block = _mm_aesenclast_si128(block, keys[10]);
			block = _mm_xor_si128(block, _mm_load_si128((const __m128i *)(in + at)));
			_mm_store_si128((__m128i *)(out + at), block);
			hash = polyval(_mm_xor_si128(hash, block), keys[3]);
			counter = _mm_add_epi64(counter, one);
		}
	_mm_storeu_si128((__m128i *)parts, hash);
	return mix_memory(parts, sizeof(parts)) + mix_memory(out, 4096);
}

/* ---- SHA-256 as libraries do it: the CPU's instructions, or C where it has none ---- */

__attribute__((target("sha,sse4.1"))) static void sha_ni_blocks(
	uint32_t state[8], const uint8_t *data, size_t blocks)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bll, 0x0405060700010203ll);
	/* The instructions want the state as {f, e, b, a} and {h, g, d, c}. */
	__m128i abef = _mm_setr_epi32((int)state[5], (int)state[4], (int)state[1], (int)state[0]);
	__m128i cdgh = _mm_setr_epi32((int)state[7], (int)state[6], (int)state[3], (int)state[2]);
	uint32_t s[8];

	for (; blocks; blocks--, data += 64) {
		__m128i abef_before = abef, cdgh_before = cdgh, w[4];

		for (int i = 0; i < 16; i++) {
			__m128i x;

			if (i < 4) {
				x = _mm_shuffle_epi8(
					_mm_loadu_si128((const __m128i *)data + i), swap);
			} else {
				x = _mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]);
				x = _mm_add_epi32(
					x, _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
				x = _mm_sha256msg2_epu32(x, w[(i + 3) & 3]);
			}
			w[i & 3] = x;
			x = _mm_add_epi32(x, _mm_loadu_si128((const __m128i *)sha256_k + i));
			cdgh = _mm_sha256rnds2_epu32(cdgh, abef, x);
			abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(x, 0x0e));
		}
		abef = _mm_add_epi32(abef, abef_before);
		cdgh = _mm_add_epi32(cdgh, cdgh_before);
	}
	_mm_storeu_si128((__m128i *)s, abef);
	_mm_storeu_si128((__m128i *)s + 1, cdgh);
	memcpy(state, (uint32_t[]){ s[3], s[2], s[7], s[6], s[1], s[0], s[5], s[4] }, 32);
}

static int has_sha(void)
{
	unsigned int a, b = 0, c, d;

	__asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(7), "c"(0));
	return b >> 29 & 1;
}

static uint64_t sha_lib_run(unsigned long n)
{
	void (*blocks)(uint32_t *, const uint8_t *, size_t) = has_sha() ? sha_ni_blocks
									: sha256_blocks;
	uint32_t state[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	bench_note = has_sha() ? "SHA-NI" : "no SHA-NI: in C";
	for (unsigned long i = 0; i < n; i++) {
		blocks(state, in, 4096 / 64);
		memcpy(in + (i & 63) * 64, state, sizeof(state));
	}
	return mix_memory(state, sizeof(state));
}

const struct bench vector_benches[] = {
	{ "sse-copy", "float", 1, 0, 250000, buffer_setup, sse_copy_run },
	{ "float-matrix", "float", 1, 0, 2500, NULL, float_matrix_run },
	{ "double", "float", 1, 0, 80000000, NULL, double_run },
	{ "nbody", "float", 1, 0, 2000000, NULL, nbody_run },
	{ "x87", "float", 1, 0, 12000000, NULL, x87_run },
	{ "avx2", "wide", 1, NEEDS_AVX2, 150000, buffer_setup, avx2_run },
	{ "aes-gcm", "wide", 1, NEEDS_AES, 50000, buffer_setup, aes_run },
	{ "sha-lib", "wide", 1, 0, 80000, buffer_setup, sha_lib_run },
	{ 0 },
};
