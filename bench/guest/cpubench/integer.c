// SPDX-License-Identifier: GPL-2.0-or-later
/* Integer work: registers, calls, sorting, hashing, an interpreter. */
#include <stdlib.h>
#include <string.h>

#include "cpubench.h"

/* ---- registers alone ---- */

static uint64_t regalu_run(unsigned long n)
{
	uint64_t a = 1, b = 2, c = 3, d = 4;

	for (unsigned long i = 0; i < n; i++) {
		a = a * 0x5851f42d4c957f2dull + i;
		b = (b << 13 | b >> 51) ^ a;
		c += b + (a >> 17);
		d = d * 25 - (c ^ b);
		a += d % (c | 1);
	}
	return a ^ b ^ c ^ d;
}

/* ---- calls ---- */

__attribute__((noinline)) static uint64_t fib(unsigned int n)
{
	uint64_t a, b;

	if (n < 2)
		return n;
	a = fib(n - 1);
	b = fib(n - 2);
	__asm__("" : "+r"(a), "+r"(b)); /* neither call becomes a loop */
	return a + b;
}

static uint64_t fib_run(unsigned long n)
{
	uint64_t sum = 0;

	for (unsigned long i = 0; i < n; i++)
		sum = mix(sum, fib(27));
	return sum;
}

#define TARGET(name, how)                                          \
	__attribute__((noinline)) static uint64_t name(uint64_t x) \
	{                                                          \
		return how;                                        \
	}
TARGET(target_0, x + 0x1234567)
TARGET(target_1, x ^ x >> 9)
TARGET(target_2, x * 5 + 1)
TARGET(target_3, x - (x << 3))
TARGET(target_4, ~x + 77)
TARGET(target_5, (x << 21 | x >> 43))
TARGET(target_6, x ^ 0xdeadbeef)
TARGET(target_7, x + (x >> 5))

static uint64_t indirect_run(unsigned long n)
{
	static uint64_t (*const targets[])(uint64_t) = { target_0, target_1, target_2, target_3,
		target_4, target_5, target_6, target_7 };
	uint64_t x = 42;

	/* A pattern of 64 calls that predictors learn, then one that they do not. */
	for (unsigned long i = 0; i < n; i++) {
		for (unsigned int j = 0; j < 64; j++)
			x = targets[(j * 5 ^ j >> 3) & 7](x);
		for (unsigned int j = 0; j < 8; j++)
			x = targets[x >> 7 & 7](x);
	}
	return x;
}

/* ---- sorting ---- */

#define SORT_COUNT 50000

static uint64_t *numbers;

static void qsort_setup(unsigned long n)
{
	(void)n;
	numbers = get_memory(SORT_COUNT * sizeof(*numbers));
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t qsort_run(unsigned long n)
{
	uint64_t seed = 4711, sum = 0;

	for (unsigned long i = 0; i < n; i++) {
		for (int j = 0; j < SORT_COUNT; j++)
			numbers[j] = next_random(&seed);
		qsort(numbers, SORT_COUNT, sizeof(*numbers), compare);
		for (int j = 0; j < SORT_COUNT; j += 100)
			sum = mix(sum, numbers[j]);
	}
	return sum;
}

/* ---- SHA-256 in C ---- */

const uint32_t sha256_k[64] = {
	0x428a2f98,
	0x71374491,
	0xb5c0fbcf,
	0xe9b5dba5,
	0x3956c25b,
	0x59f111f1,
	0x923f82a4,
	0xab1c5ed5,
	0xd807aa98,
	0x12835b01,
	0x243185be,
	0x550c7dc3,
	0x72be5d74,
	0x80deb1fe,
	0x9bdc06a7,
	0xc19bf174,
	0xe49b69c1,
	0xefbe4786,
	0x0fc19dc6,
	0x240ca1cc,
	0x2de92c6f,
	0x4a7484aa,
	0x5cb0a9dc,
	0x76f988da,
	0x983e5152,
	0xa831c66d,
	0xb00327c8,
	0xbf597fc7,
	0xc6e00bf3,
	0xd5a79147,
	0x06ca6351,
	0x14292967,
	0x27b70a85,
	0x2e1b2138,
	0x4d2c6dfc,
	0x53380d13,
	0x650a7354,
	0x766a0abb,
	0x81c2c92e,
	0x92722c85,
	0xa2bfe8a1,
	0xa81a664b,
	0xc24b8b70,
	0xc76c51a3,
	0xd192e819,
	0xd6990624,
	0xf40e3585,
	0x106aa070,
	0x19a4c116,
	0x1e376c08,
	0x2748774c,
	0x34b0bcb5,
	0x391c0cb3,
	0x4ed8aa4a,
	0x5b9cca4f,
	0x682e6ff3,
	0x748f82ee,
	0x78a5636f,
	0x84c87814,
	0x8cc70208,
	0x90befffa,
	0xa4506ceb,
	0xbef9a3f7,
	0xc67178f2,
};

static uint32_t ror(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

static void sha256_schedule(uint32_t w[64], const uint8_t *data)
{
	for (int i = 0; i < 16; i++) {
		memcpy(&w[i], data + 4 * i, 4);
		w[i] = __builtin_bswap32(w[i]);
	}
	for (int i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + w[i - 7] + (ror(a, 7) ^ ror(a, 18) ^ a >> 3) +
		       (ror(b, 17) ^ ror(b, 19) ^ b >> 10);
	}
}

#define ROUND(a, b, c, d, e, f, g, h, i)                                                        \
	do {                                                                                    \
		uint32_t t = h + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) + ((e & f) ^ (~e & g)) + \
			     sha256_k[i] + w[i];                                                \
		d += t;                                                                         \
		h = t + (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));  \
	} while (0)

static void sha256_rounds(uint32_t state[8], const uint32_t w[64])
{
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
	uint32_t e = state[4], f = state[5], g = state[6], h = state[7];

	for (int i = 0; i < 64; i += 8) {
		ROUND(a, b, c, d, e, f, g, h, i);
		ROUND(h, a, b, c, d, e, f, g, i + 1);
		ROUND(g, h, a, b, c, d, e, f, i + 2);
		ROUND(f, g, h, a, b, c, d, e, i + 3);
		ROUND(e, f, g, h, a, b, c, d, i + 4);
		ROUND(d, e, f, g, h, a, b, c, i + 5);
		ROUND(c, d, e, f, g, h, a, b, i + 6);
		ROUND(b, c, d, e, f, g, h, a, i + 7);
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
	state[5] += f;
	state[6] += g;
	state[7] += h;
}

void sha256_blocks(uint32_t state[8], const uint8_t *data, size_t blocks)
{
	for (; blocks; blocks--, data += 64) {
		uint32_t w[64];

		sha256_schedule(w, data);
		sha256_rounds(state, w);
	}
}

static uint64_t sha256_run(unsigned long n)
{
	static uint8_t data[4096];
	uint32_t state[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	for (unsigned long i = 0; i < n; i++) {
		sha256_blocks(state, data, sizeof(data) / 64);
		memcpy(data + (i & 63) * 64, state, sizeof(state));
	}
	return mix_memory(state, sizeof(state));
}

/* ---- a hash table, open addressing, 4 MiB ---- */

#define SLOTS (1u << 18)

struct slot {
	uint64_t key; /* 0: free */
	uint64_t value;
};

static struct slot *slots;

static void hash_setup(unsigned long n)
{
	(void)n;
	slots = get_memory(SLOTS * sizeof(*slots));
}

static struct slot *hash_find(uint64_t key)
{
	uint64_t i = mix(0, key) & (SLOTS - 1);

	while (slots[i].key && slots[i].key != key)
		i = (i + 1) & (SLOTS - 1);
	return &slots[i];
}

static uint64_t hash_run(unsigned long n)
{
	uint64_t seed = 99, sum = 0;

	for (unsigned long i = 0; i < n; i++) {
		uint64_t key = 1 + next_random(&seed) % (SLOTS / 2);
		struct slot *s = hash_find(key);

		sum += s->value;
		s->key = key;
		s->value += i;
		sum ^= hash_find(key * 7 % (SLOTS / 2) + 1)->value;
	}
	return sum;
}

/* ---- a bytecode interpreter: counts primes below a bound by trial division ---- */

enum op { OP_SET, OP_MOVE, OP_ADD, OP_MUL, OP_MOD, OP_JLT, OP_JZ, OP_JMP, OP_PUT, OP_GET, OP_END };

struct code {
	uint8_t op, a, b, c;
	int32_t imm;
};

enum reg { N, D, T, COUNT, LIMIT, ONE, ZERO, TWO };

static const struct code program[] = { { OP_SET, COUNT, 0, 0, 0 }, { OP_SET, ONE, 0, 0, 1 },
	{ OP_SET, ZERO, 0, 0, 0 }, { OP_SET, TWO, 0, 0, 2 }, { OP_MOVE, N, TWO, 0, 0 },
	/* 5: next n */
	{ OP_JLT, 0, N, LIMIT, 7 }, { OP_END, 0, 0, 0, 0 }, { OP_MOVE, D, TWO, 0, 0 },
	/* 8: next d */
	{ OP_MUL, T, D, D, 0 }, { OP_JLT, 0, N, T, 14 }, { OP_MOD, T, N, D, 0 },
	{ OP_JZ, 0, T, 0, 16 }, { OP_ADD, D, D, ONE, 0 }, { OP_JMP, 0, 0, 0, 8 },
	/* 14: a prime */
	{ OP_ADD, COUNT, COUNT, ONE, 0 }, { OP_PUT, N, COUNT, 0, 0 },
	/* 16: done with n */
	{ OP_GET, T, COUNT, 0, 0 }, { OP_ADD, N, N, ONE, 0 }, { OP_JMP, 0, 0, 0, 5 } };

__attribute__((noinline)) static int64_t interpret(const struct code *pc, int64_t limit)
{
	static const void *const labels[] = { &&set, &&move, &&add, &&mul, &&mod, &&jlt, &&jz,
		&&jmp, &&put, &&get, &&end };
	const struct code *base = pc;
	int64_t r[8] = { 0 }, array[256] = { 0 };

#define NEXT goto *labels[(++pc)->op]
#define JUMP goto *labels[(pc = base + pc->imm)->op]
	r[LIMIT] = limit;
	goto *labels[pc->op];
set:
	r[pc->a] = pc->imm;
	NEXT;
move:
	r[pc->a] = r[pc->b];
	NEXT;
add:
	r[pc->a] = r[pc->b] + r[pc->c];
	NEXT;
mul:
	r[pc->a] = r[pc->b] * r[pc->c];
	NEXT;
mod:
	r[pc->a] = (int32_t)r[pc->b] % (int32_t)r[pc->c];
	NEXT;
jlt:
	if (r[pc->b] < r[pc->c])
		JUMP;
	NEXT;
jz:
	if (!r[pc->b])
		JUMP;
	NEXT;
jmp:
	JUMP;
put:
	array[r[pc->b] & 255] += r[pc->a];
	NEXT;
get:
	r[pc->a] = array[r[pc->b] & 255];
	NEXT;
end:
	return r[COUNT] + array[17];
}

static uint64_t bytecode_run(unsigned long n)
{
	volatile int64_t limit = 20000; /* no copy of the interpreter for just this program */
	uint64_t sum = 0;

	for (unsigned long i = 0; i < n; i++)
		sum = mix(sum, (uint64_t)interpret(program, limit));
	return sum;
}

const struct bench integer_benches[] = {
	{ "regalu", "registers", 1, 0, 200000000, NULL, regalu_run },
	{ "coremix", "integer", 1, 0, 60000, NULL, coremix_run },
	{ "qsort", "integer", 1, 0, 80, qsort_setup, qsort_run },
	{ "fib", "integer", 1, 0, 200, NULL, fib_run },
	{ "indirect", "integer", 1, 0, 2000000, NULL, indirect_run },
	{ "sha256", "integer", 1, 0, 30000, NULL, sha256_run },
	{ "hash", "integer", 1, 0, 8000000, hash_setup, hash_run },
	{ "bytecode", "integer", 1, 0, 120, NULL, bytecode_run },
	{ 0 },
};
