// SPDX-License-Identifier: GPL-2.0-or-later
/* Locked instructions, and what two threads do to each other. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "cpubench.h"

/* What one thread works on; threads that share nothing have a line each. */
struct counters {
	_Atomic uint64_t sum, other;
	_Atomic uint32_t bits;
} __attribute__((aligned(128)));

static struct counters counters[2];

static void count(struct counters *c, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		uint64_t seen = atomic_load(&c->other);

		atomic_fetch_add(&c->sum, i);
		while (!atomic_compare_exchange_weak(&c->other, &seen, seen + 3))
			;
		atomic_fetch_or(&c->bits, 1u << (i & 31));
	}
}

static uint64_t counted(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < 2; i++)
		sum = mix(mix(mix(sum, counters[i].sum), counters[i].other), counters[i].bits);
	return sum;
}

static uint64_t atomics_run(unsigned long n)
{
	count(&counters[0], n);
	return counted();
}

/* ---- two threads, the second one made by pthread_create ---- */

struct job {
	uint64_t (*run)(struct job *);
	unsigned long n;
	uint64_t result;
};

static void *run_job(void *arg)
{
	struct job *j = arg;

	j->result = j->run(j);
	return NULL;
}

static uint64_t run_two(
	uint64_t (*first)(struct job *), uint64_t (*second)(struct job *), unsigned long n)
{
	struct job a = { first, n, 0 }, b = { second, n, 0 };
	pthread_t thread;

	if (pthread_create(&thread, NULL, run_job, &b))
		die("pthread_create");
	run_job(&a);
	pthread_join(thread, NULL);
	return mix(mix(0, a.result), b.result);
}

static uint64_t count_shared(struct job *j)
{
	count(&counters[0], j->n);
	return 0;
}

static uint64_t contended_run(unsigned long n)
{
	run_two(count_shared, count_shared, n);
	return counted();
}

static uint64_t coremix_job(struct job *j)
{
	return coremix_run(j->n);
}

static uint64_t coremix_two_run(unsigned long n)
{
	return run_two(coremix_job, coremix_job, n);
}

/* ---- unmapping while another thread runs: each one interrupts the other CPU ---- */

static uint64_t unmap_job(struct job *j)
{
	uint64_t sum = 0;

	for (unsigned long i = 0; i < j->n; i++) {
		uint8_t *p = mmap(
			NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			die("mmap");
		p[i & 8191] = (uint8_t)i;
		sum += p[i & 8191];
		munmap(p, 8192);
	}
	return sum;
}

static uint64_t unmap_two_run(unsigned long n)
{
	return run_two(unmap_job, unmap_job, n);
}

/* ---- a lock that has to be waited for: futexes, wake-ups ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;
static unsigned int turn;

static uint64_t take_turns(struct job *j, unsigned int me)
{
	uint64_t sum = 0;

	for (unsigned long i = 0; i < j->n; i++) {
		pthread_mutex_lock(&lock);
		while ((turn & 1) != me)
			pthread_cond_wait(&turn_changed, &lock);
		sum = mix(sum, turn++);
		pthread_cond_signal(&turn_changed);
		pthread_mutex_unlock(&lock);
	}
	return sum;
}

static uint64_t even_turns(struct job *j)
{
	return take_turns(j, 0);
}

static uint64_t odd_turns(struct job *j)
{
	return take_turns(j, 1);
}

static uint64_t turns_run(unsigned long n)
{
	return run_two(even_turns, odd_turns, n);
}

const struct bench thread_benches[] = {
	{ "atomics", "atomics", 1, 0, 150000000, NULL, atomics_run },
	{ "2-contended", "atomics", 2, 0, 25000000, NULL, contended_run },
	{ "2-coremix", "integer", 2, 0, 30000, NULL, coremix_two_run },
	{ "2-unmap", "system", 2, 0, 5000, NULL, unmap_two_run },
	{ "2-turns", "system", 2, 0, 20000, NULL, turns_run },
	{ 0 },
};
