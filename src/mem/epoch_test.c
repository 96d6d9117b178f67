// SPDX-License-Identifier: GPL-2.0-or-later
/* Readers against writers, under TSan and ASan: nothing is freed that a reader holds. */
#include <errno.h>
#include <sched.h>
#include <unistd.h>
#include "base/testing.h"
#include "mem/gmem.h"
#include "mem/testing.h"

#define READERS 3
#define MOVES	3000

struct env {
	struct as as;
	struct as_region ram, bar[2];
	_Atomic bool stop;
	_Atomic uint64_t found;
};

static void env_init(struct env *e)
{
	struct error err = ERROR_INIT;
	struct ram_block *b = test_ram(0x10000);

	memset(e, 0, sizeof(*e));
	assert_true(as_init(&e->as, "test", 1ull << 32, &err));
	e->ram = (struct as_region){ .name = "ram", .kind = AS_RAM, .ram = b };
	assert_int_equal(as_add(&e->as, &e->ram, 0, 0x10000), 0);
	ram_block_unref(b);
	for (int i = 0; i < 2; i++)
		e->bar[i] = (struct as_region){
			.name = "bar", .kind = AS_IO, .priority = 10, .io = &e->bar[i]
		};
}

static void *reader(void *p)
{
	struct env *e = p;
	uint64_t addr = 0;

	while (!atomic_load(&e->stop)) {
		const struct as_range *r;

		as_read_begin();
		r = as_find(&e->as, addr);
		if (r && (addr < r->start || addr - r->start >= r->size))
			abort();
		if (r && r->kind == AS_RAM)
			(void)*(volatile uint8_t *)(r->host + (addr - r->start));
		atomic_fetch_add_explicit(&e->found, r != NULL, memory_order_relaxed);
		as_read_end();
		addr = (addr + 0x1234) % 0x20000;
	}
	return NULL;
}

/* Threads that read once and end: records come and go. */
static void *brief_reader(void *p)
{
	struct env *e = p;

	as_read_begin();
	(void)as_find(&e->as, 0x100);
	as_read_end();
	return NULL;
}

static void *writer(void *p)
{
	struct env *e = p;
	struct as_region *r = &e->bar[1];

	for (int i = 0; i < MOVES / 4; i++) {
		if (as_add(&e->as, r, (uint64_t)(i % 8) * 0x4000, 0x2000) != 0)
			abort();
		as_del(&e->as, r);
	}
	return NULL;
}

static void test_moves_against_readers(void **state)
{
	pthread_t t[READERS], w, brief;
	struct env e;

	env_init(&e);
	for (int i = 0; i < READERS; i++)
		pthread_create(&t[i], NULL, reader, &e);
	while (!atomic_load(&e.found)) /* on a busy host all would be over before one begins */
		usleep(100);
	pthread_create(&w, NULL, writer, &e);
	assert_int_equal(as_add(&e.as, &e.bar[0], 0x4000, 0x1000), 0);
	for (int i = 0; i < MOVES; i++) {
		assert_int_equal(as_move(&e.as, &e.bar[0], (uint64_t)(i % 16) * 0x1000), 0);
		if (i % 100 == 0) {
			pthread_create(&brief, NULL, brief_reader, &e);
			pthread_join(brief, NULL);
		}
		if (i % 500 == 0)
			as_synchronize();
	}
	pthread_join(w, NULL);
	atomic_store(&e.stop, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(t[i], NULL);
	assert_true(e.found > 0);
	as_fini(&e.as);
}

/* as_synchronize() waits: what a handler uses may be freed after it. */
struct handler {
	struct env *e;
	_Atomic int inside;
	int *thing; /* freed by the main thread */
};

static void *handler_thread(void *p)
{
	struct handler *h = p;
	const struct as_range *r;

	as_read_begin();
	r = as_find(&h->e->as, 0x4000);
	if (!r || r->kind != AS_IO)
		abort();
	atomic_store(&h->inside, 1);
	usleep(20000);
	*h->thing = 5; /* ASan or TSan tells when it is freed under us */
	as_read_end();
	return NULL;
}

static void test_synchronize_waits(void **state)
{
	struct handler h = { 0 };
	struct env e;
	pthread_t t;

	env_init(&e);
	h.e = &e;
	h.thing = malloc(sizeof(int));
	assert_int_equal(as_add(&e.as, &e.bar[0], 0x4000, 0x1000), 0);
	pthread_create(&t, NULL, handler_thread, &h);
	while (!atomic_load(&h.inside))
		usleep(100);
	as_del(&e.as, &e.bar[0]);
	as_synchronize();
	assert_int_equal(*h.thing, 5);
	free(h.thing);
	pthread_join(t, NULL);
	as_fini(&e.as);
}

/* RAM that is unplugged goes away when the last reader has left. */
static void test_unplugged_ram_is_released(void **state)
{
	struct ram_block *b = test_ram(4096);
	struct as_region r = { .name = "dimm", .kind = AS_RAM, .ram = b };
	struct env e;

	env_init(&e);
	assert_int_equal(as_add(&e.as, &r, 0x100000, 4096), 0);
	as_del(&e.as, &r);
	as_synchronize();
	assert_int_equal(atomic_load(&b->refs), 1);
	ram_block_unref(b);
	as_fini(&e.as);
}

/* -------- the dirty log while others write -------- */

struct dirty {
	struct env *e;
	_Atomic bool stop;
	_Atomic uint64_t writes;
};

static void *dirty_writer(void *p)
{
	struct dirty *d = p;
	uint64_t i = 0;

	while (!atomic_load(&d->stop)) {
		if (gmem_fill(&d->e->as, GPA(0x8000 + i++ % 16), 1, 1) != 0)
			abort();
		atomic_store(&d->writes, i);
	}
	return NULL;
}

/* Of two writes that end from now on, one has also begun. */
static void wait_for_a_write(struct dirty *d)
{
	uint64_t n = atomic_load(&d->writes);

	while (atomic_load(&d->writes) < n + 2)
		sched_yield();
}

static void test_dirty_start_stop_against_writers(void **state)
{
	struct error err = ERROR_INIT;
	struct dirty d = { 0 };
	struct env e;
	pthread_t t;
	uint64_t w, seen = 0;

	env_init(&e);
	d.e = &e;
	pthread_create(&t, NULL, dirty_writer, &d);
	for (int i = 0; i < 200; i++) {
		assert_true(ram_dirty_start(e.ram.ram, &err));
		if (i % 20 == 0)
			wait_for_a_write(&d);
		for (int k = 0; k < 20; k++) {
			ram_dirty_take(e.ram.ram, 0, &w, 1);
			seen |= w;
		}
		ram_dirty_stop(e.ram.ram);
	}
	atomic_store(&d.stop, true);
	pthread_join(t, NULL);
	assert_int_equal(seen, 0x100);
	as_fini(&e.as);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moves_against_readers),
		cmocka_unit_test(test_synchronize_waits),
		cmocka_unit_test(test_unplugged_ram_is_released),
		cmocka_unit_test(test_dirty_start_stop_against_writers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
