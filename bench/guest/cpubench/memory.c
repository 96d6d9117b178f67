// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory: chases of pointers, libc's copies, REP MOVSB. */
#include <string.h>

#include "cpubench.h"

/* ---- chases: a random cycle through SIZE bytes, one pointer in each cache line ---- */

struct line {
	struct line *next;
	uint64_t value[7];
};

static struct line *lines;

static void chase_setup(size_t size)
{
	size_t count = size / sizeof(*lines);
	uint64_t seed = 271828;

	lines = get_memory(size);
	for (size_t i = 0; i < count; i++) {
		lines[i].next = &lines[i];
		lines[i].value[0] = i;
	}
	for (size_t i = count - 1; i; i--) { /* Sattolo: one cycle through all */
		size_t j = next_random(&seed) % i;
		struct line *t = lines[i].next;

		lines[i].next = lines[j].next;
		lines[j].next = t;
	}
}

static void chase_16k_setup(unsigned long n)
{
	(void)n;
	chase_setup(16 << 10);
}

static void chase_4m_setup(unsigned long n)
{
	(void)n;
	chase_setup(4 << 20);
}

static void chase_64m_setup(unsigned long n)
{
	(void)n;
	chase_setup(64 << 20);
}

static uint64_t chase_run(unsigned long n)
{
	const struct line *l = lines;

	for (unsigned long i = 0; i < n; i++)
		l = l->next;
	return mix(0, l->value[0]);
}

/* ---- copies ---- */

#define COPY_MAX (256u << 10)
#define PAGE	 4096u

static uint8_t *from, *to;
/* The compiler shall not lay out copies itself. */
static void *(*volatile copy)(void *, const void *, size_t) = memcpy;
static void *(*volatile set)(void *, int, size_t) = memset;

static void copy_setup(unsigned long n)
{
	uint64_t seed = 31415;

	(void)n;
	from = get_memory(COPY_MAX);
	/* Far from `from` modulo a page and modulo the size of any emulator's TLB. */
	to = (uint8_t *)get_memory(COPY_MAX + 64 * PAGE) + 37 * PAGE + PAGE / 2;
	for (size_t i = 0; i < COPY_MAX / 8; i++)
		((uint64_t *)from)[i] = next_random(&seed);
}

static uint64_t copies(unsigned long n, size_t size)
{
	for (unsigned long i = 0; i < n; i++) {
		if (!(i & 15)) /* not each time: a load behind a narrower store waits */
			from[i * 61 & (size - 1)] ^= (uint8_t)i;
		copy(to + (i & 31), from, size);
	}
	return mix_memory(to, size);
}

static uint64_t memcpy_4k_run(unsigned long n)
{
	return copies(n, 4096);
}

static uint64_t memcpy_256k_run(unsigned long n)
{
	return copies(n, COPY_MAX);
}

static uint64_t memset_4k_run(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		set(to + (i & 31), (int)i, 4096 - (i & 7));
	return mix_memory(to, 4096);
}

static uint64_t memset_256k_run(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		set(to + (i & 31), (int)i, COPY_MAX - (i & 7));
	return mix_memory(to, COPY_MAX);
}

static uint64_t movsb_run(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		void *d = to + (i & 31);
		const void *s = from + (i & 63);
		size_t count = 16384;

		__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(count) : : "memory");
	}
	return mix_memory(to, 16384);
}

const struct bench memory_benches[] = {
	{ "chase-16k", "chase", 1, 0, 399999999, chase_16k_setup, chase_run },
	{ "chase-4m", "chase", 1, 0, 11999999, chase_4m_setup, chase_run },
	{ "chase-64m", "chase", 1, 0, 7999999, chase_64m_setup, chase_run },
	{ "memcpy-4k", "copies", 1, 0, 4000000, copy_setup, memcpy_4k_run },
	{ "memcpy-256k", "copies", 1, 0, 8000, copy_setup, memcpy_256k_run },
	{ "memset-4k", "copies", 1, 0, 800000, copy_setup, memset_4k_run },
	{ "memset-256k", "copies", 1, 0, 10000, copy_setup, memset_256k_run },
	{ "rep-movsb", "copies", 1, 0, 150000, copy_setup, movsb_run },
	{ 0 },
};
