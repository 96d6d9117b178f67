/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of cpubench share: a row is a piece of fixed work with a checksum of what it
 * worked out, the same on every CPU that is right.
 */
#ifndef CPUBENCH_H
#define CPUBENCH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What a row wants of the CPU: bits of bench.needs. */
#define NEEDS_AVX2 1u
#define NEEDS_AES  2u /* and PCLMULQDQ */

struct bench {
	const char *name;
	const char *class;		/* a key of bench/cpu's table of aims */
	unsigned int cpus;		/* not worth while with fewer */
	unsigned int needs;		/* NEEDS_ */
	unsigned long work;		/* n of a run of 100 % */
	void (*setup)(unsigned long n); /* not measured; may be NULL */
	uint64_t (*run)(unsigned long n);
};

/* Each ends with a row without name. */
extern const struct bench integer_benches[], app_benches[], memory_benches[], vector_benches[],
	system_benches[], code_benches[], thread_benches[];

/* A remark for the table about how a row was done; NULL when there is none. */
extern const char *bench_note;

__attribute__((noreturn)) void die(const char *what);
void *get_memory(size_t size); /* zeroed, touched, small pages; never NULL */

uint64_t coremix_run(unsigned long n);
/* SHA-256's compression of BLOCKS blocks of 64 bytes. */
void sha256_blocks(uint32_t state[8], const uint8_t *data, size_t blocks);
extern const uint32_t sha256_k[64];

static inline uint64_t mix(uint64_t sum, uint64_t value)
{
	sum = (sum ^ value) * 0x9e3779b97f4a7c15ull;
	return sum ^ sum >> 32;
}

static inline uint64_t next_random(uint64_t *seed) /* xorshift */
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	return *seed ^= *seed << 17;
}

/* A sum over memory of whatever type; its length is a multiple of 8. */
static inline uint64_t mix_memory(const void *memory, size_t size)
{
	const uint8_t *p = memory;
	uint64_t sum = size, value;

	for (size_t i = 0; i < size; i += 8) {
		memcpy(&value, p + i, 8);
		sum = mix(sum, value);
	}
	return sum;
}

#endif
