// SPDX-License-Identifier: GPL-2.0-or-later
/* RAM that comes and goes, the dirty log under writers, and vCPUs that stand still for another. */
#include <sched.h>
#include <unistd.h>
#include "accel/soft/mmu_testing.h"

#define LIN 0x7f0000000000ull
#define DS  X86_DS

static void come_and_go(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;
	struct ram_block *b = new_block(0x10000);
	struct as_range r = range_of(b, 0x8000000, 0x1000, 0x8000, AS_RAM);
	struct soft_slot s;

	map(e, LIN, 0x8001000, W);
	for (int i = 0; i < 3; i++) {
		assert_false(soft_slot_find(e->vm, 0x8000000, &s));
		assert_int_equal(soft_ram_add(&e->vm->base, &r), 0);
		assert_true(soft_slot_find(e->vm, 0x8007fff, &s));
		assert_true(s.gpa == 0x8000000 && s.size == 0x8000 && s.host == b->host + 0x1000);
		assert_false(soft_slot_find(e->vm, 0x8008000, &s));
		assert_true(soft_mmu_slice(v));
		assert_false(soft_mmu_slice(v));
		fine(v, soft_store(v, DS, LIN + 8, 8, 5 + i));
		assert_int_equal(b->host[0x2008], 5 + i);
		soft_ram_del(&e->vm->base, &r);
		soft_mmu_slice(v);
		io_count = 0;
		fine(v, soft_store(v, DS, LIN + 8, 8, 77));
		assert_true(io_count == 1 && io_gpa == 0x8001008);
		assert_int_equal(b->host[0x2008], 5 + i);
	}
	ram_block_unref(b);
}

/* -------- dirty log -------- */

#define PAGES (RAM_SIZE / 0x1000)
#define WORDS (PAGES / 64)

static bool taken(struct ram_block *b, uint64_t gpa)
{
	uint64_t w[WORDS];

	ram_dirty_take(b, 0, w, b->size / 0x1000 / 64);
	return w[gpa >> 12 >> 6] >> (gpa >> 12 & 63) & 1;
}

static void sync_log(struct env *e)
{
	assert_int_equal(soft_dirty_sync(&e->vm->base), 0);
}

static void dirty_log(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;
	struct error err = ERROR_INIT;
	uint64_t *pte = map(e, LIN, DATA, W);
	uint64_t table = ((uint64_t)((uint8_t *)pte - e->ram->host)) & ~0xfffull;

	map(e, LIN + 0x1000, DATA + 0x1000, W);
	assert_true(ram_dirty_start(e->ram, &err));
	fine(v, soft_store(v, DS, LIN, 8, 1)); /* a tag from before */
	assert_int_equal(soft_dirty_log(&e->vm->base, true), 0);
	assert_int_equal(soft_dirty_log(&e->vm->base, true), 0);
	for (int i = 0; i < 3; i++) {
		soft_mmu_slice(v); /* a vCPU does not run without */
		fine(v, soft_load(v, DS, LIN, 8));
		sync_log(e);
		assert_false(taken(e->ram, DATA));
		soft_mmu_slice(v);
		fine(v, soft_load(v, DS, LIN, 8));
		fine(v, soft_store(v, DS, LIN, 8, 1));
		fine(v, soft_store(v, DS, LIN, 8, 1));
		sync_log(e);
		assert_true(taken(e->ram, DATA));
	}
	/* Over a page's end, and the CPU's own writes to page tables. */
	pte[1] &= ~(X86_PTE_A | X86_PTE_D);
	soft_mmu_slice(v);
	soft_tlb_flush(v, true);
	fine(v, soft_store(v, DS, LIN + 0xfff, 2, 1));
	sync_log(e);
	{
		uint64_t w[WORDS];

		ram_dirty_take(e->ram, 0, w, WORDS);
		assert_int_equal(w[DATA >> 12 >> 6] >> (DATA >> 12 & 63) & 3, 3);
		assert_true(w[0] >> (table >> 12) & 1);
	}
	assert_int_equal(soft_dirty_log(&e->vm->base, false), 0);
	fine(v, soft_store(v, DS, LIN, 8, 1));
	sync_log(e);
	assert_false(taken(e->ram, DATA));
	ram_dirty_stop(e->ram);
}

/* A block that comes while the log is on; a slot that goes takes nothing with it. */
static void dirty_slots(void **state)
{
	struct env *e = *state;
	struct soft_vcpu *v = e->v;
	struct error err = ERROR_INIT;
	struct ram_block *b = new_block(64 * 0x1000);
	struct as_range r = range_of(b, 0x8000000, 0x2000, 0x8000, AS_RAM);

	map(e, LIN, 0x8001000, W);
	assert_int_equal(soft_dirty_log(&e->vm->base, true), 0);
	assert_true(ram_dirty_start(b, &err));
	assert_int_equal(soft_ram_add(&e->vm->base, &r), 0);
	soft_mmu_slice(v);
	fine(v, soft_store(v, DS, LIN, 8, 1));
	soft_ram_del(&e->vm->base, &r);
	fine(v, soft_store(v, DS, LIN, 8, 2)); /* the slice is not over yet */
	sync_log(e);
	assert_true(taken(b, 0x3000));
	soft_dirty_log(&e->vm->base, false);
	ram_block_unref(b);
}

/* -------- vCPUs in threads -------- */

struct runner {
	struct soft_vcpu *v;
	void (*step)(struct runner *r);
	pthread_t thread;
	uint64_t seed, arg;
	_Atomic uint64_t steps;
	uint64_t stop_after;
};

static _Atomic bool stop_all;
static _Atomic int to_start; /* they begin together */

/* As the run loop does it. */
static void *run(void *arg)
{
	struct runner *r = arg;
	struct soft_vcpu *v = r->v;

	atomic_fetch_sub(&to_start, 1);
	while (atomic_load(&to_start) > 0)
		sched_yield();
	while (!atomic_load(&stop_all) && r->steps < r->stop_after) {
		uint32_t p = atomic_exchange(&v->poll, 0);

		if (p & SOFT_POLL_FLUSH)
			soft_mmu_serve_flush(v);
		atomic_store(&v->in_guest, true);
		as_read_begin();
		soft_mmu_slice(v);
		for (int i = 0; i < 1000 && !atomic_load(&v->poll); i++) {
			if (r->steps >= r->stop_after)
				break;
			r->step(r);
			r->steps++;
		}
		as_read_end();
		atomic_store(&v->in_guest, false);
	}
	return NULL;
}

static void start(
	struct runner *r, struct soft_vcpu *v, void (*step)(struct runner *), uint64_t stop_after)
{
	r->v = v;
	r->step = step;
	r->seed = 1 + v->index;
	r->stop_after = stop_after;
	atomic_store(&stop_all, false);
	assert_int_equal(pthread_create(&r->thread, NULL, run, r), 0);
}

#define WRITTEN 1024u /* pages */

/* To one page for a while, and then not for a long time: a write that was missed stays missed. */
static void write_somewhere(struct runner *r)
{
	uint64_t x = test_random(&r->seed);
	uint64_t at = LIN + (r->steps >> 12) % WRITTEN * 0x1000 + (x & 0xfff);

	if (x >> 60 == 0)
		soft_load(r->v, DS, at, 8);
	else
		soft_store(r->v, DS, at, 8, x);
}

struct copier {
	struct ram_block *ram;
	uint8_t *copy;
	_Atomic bool stop;
};

/* Copies what the log tells, as a migration does. */
static void copy_dirty(struct copier *c)
{
	uint64_t w[WORDS];

	ram_dirty_take(c->ram, 0, w, WORDS);
	for (uint64_t p = 0; p < PAGES; p++)
		if (w[p / 64] >> (p % 64) & 1)
			memcpy(c->copy + p * 0x1000, c->ram->host + p * 0x1000, 0x1000);
}

static void *copier_run(void *arg)
{
	struct copier *c = arg;

	while (!atomic_load(&c->stop))
		copy_dirty(c);
	return NULL;
}

/* Writers, syncs and a copier at once; at the end the copy must be the original. */
static void dirty_threads(void **state)
{
	struct env *e = *state;
	struct error err = ERROR_INIT;
	struct runner r[2] = { 0 };
	struct copier c = { .ram = e->ram, .copy = malloc(RAM_SIZE) };
	struct timespec pause = { .tv_nsec = 100000 };
	pthread_t t;

	for (uint64_t at = 0; at < (WRITTEN + 1) * 0x1000; at += 0x1000)
		map(e, LIN + at, DATA + at, W);
	assert_true(ram_dirty_start(e->ram, &err));
	atomic_store(&to_start, 2);
	start(&r[0], e->v, write_somewhere, UINT64_MAX);
	start(&r[1], new_vcpu(e, 1), write_somewhere, UINT64_MAX);
	assert_int_equal(soft_dirty_log(&e->vm->base, true), 0);
	memcpy(c.copy, e->ram->host, RAM_SIZE);
	assert_int_equal(pthread_create(&t, NULL, copier_run, &c), 0);
	/* On a busy host the writers come to work late. */
	for (int i = 0; i < 300 || r[0].steps <= 10000 || r[1].steps <= 10000; i++) {
		sync_log(e);
		nanosleep(&pause, NULL);
	}
	atomic_store(&stop_all, true);
	pthread_join(r[0].thread, NULL);
	pthread_join(r[1].thread, NULL);
	atomic_store(&c.stop, true);
	pthread_join(t, NULL);
	sync_log(e);
	copy_dirty(&c);
	assert_memory_equal(c.copy, e->ram->host, RAM_SIZE);
	free(c.copy);
}

#define COUNT	  500u
#define COUNT_FEW 20u /* where the host is so busy that each waits long for the others */

static void exclusive_add(struct soft_vcpu *v, uint64_t at)
{
	uint64_t n;

	soft_exclusive_begin(v);
	n = soft_rmw_load(v, DS, at, 8);
	sched_yield(); /* whoever can will disturb */
	soft_store(v, DS, at, 8, n + 1);
	soft_exclusive_end(v);
}

/* A counter over a page's end, and one that another vCPU counts up by locked instructions. */
static void count_up(struct runner *r)
{
	struct soft_vcpu *v = r->v;
	uint64_t at = LIN + 0x100;
	void *host;

	if (v->index < 2) {
		exclusive_add(v, LIN + 0xffb);
		exclusive_add(v, at);
		return;
	}
	host = soft_rmw_begin(v, DS, at, 8);
	__atomic_add_fetch((uint64_t *)host, 1, __ATOMIC_SEQ_CST);
	soft_rmw_end(v, DS, at, 8);
}

static bool counted(struct runner *r, uint64_t n)
{
	return r[0].steps >= n && r[1].steps >= n && r[2].steps > 100;
}

static void exclusive(void **state)
{
	struct env *e = *state;
	struct runner r[3] = { 0 };
	uint64_t n;

	map(e, LIN, DATA, W);
	map(e, LIN + 0x1000, DATA + 0x1000, W);
	new_vcpu(e, 1);
	new_vcpu(e, 2);
	atomic_store(&to_start, 3);
	for (int i = 0; i < 3; i++)
		start(&r[i], e->vm->vcpus[i], count_up, i < 2 ? COUNT : UINT64_MAX);
	for (int ms = 0; !counted(r, ms < 20000 ? COUNT : COUNT_FEW); ms++)
		usleep(1000);
	atomic_store(&stop_all, true);
	for (int i = 0; i < 3; i++)
		pthread_join(r[i].thread, NULL);
	memcpy(&n, e->ram->host + DATA + 0xffb, 8);
	assert_int_equal(n, r[0].steps + r[1].steps);
	memcpy(&n, e->ram->host + DATA + 0x100, 8);
	assert_int_equal(n, r[0].steps + r[1].steps + r[2].steps);
}

/* Code that one vCPU patches while another decodes it: a decoder that keeps what it has read has an
 * old word, or the new bytes. */
#define CODE (LIN + 0x200)
struct decoded {
	uint64_t bytes;
	uint32_t word;
};
static _Atomic uint64_t patches;

static void patch(struct runner *r)
{
	uint64_t n = r->steps + 1;

	soft_store(r->v, DS, CODE, 8, n);
	/* From here on nobody may take what he has from before for good. */
	atomic_store(&patches, n);
	if (n % 64 == 0)
		sched_yield();
}

static void decode(struct runner *r)
{
	static struct decoded d;
	_Atomic uint32_t *code;
	uint64_t gpa, done = atomic_load(&patches), have;
	const uint8_t *p = soft_fetch(r->v, CODE, &gpa, &code);
	uint32_t word = atomic_load(code);

	if (word & 1 && word == d.word) {
		have = d.bytes;
	} else {
		have = soft_host_load(p, 8);
		d = (struct decoded){ have, word };
	}
	if (have < done)
		fail();
}

static void decoder_and_writer(void **state)
{
	struct env *e = *state;
	struct runner r[2] = { 0 };

	map(e, LIN, DATA, W);
	atomic_store(&patches, 0);
	new_vcpu(e, 1);
	atomic_store(&to_start, 2);
	start(&r[0], e->v, decode, 20000);
	start(&r[1], e->vm->vcpus[1], patch, UINT64_MAX);
	pthread_join(r[0].thread, NULL);
	atomic_store(&stop_all, true);
	pthread_join(r[1].thread, NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(come_and_go),
		T(dirty_log),
		T(dirty_slots),
		T(dirty_threads),
		T(exclusive),
		T(decoder_and_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
