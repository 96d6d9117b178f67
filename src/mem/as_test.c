// SPDX-License-Identifier: GPL-2.0-or-later
/* Flattening against a byte map, errors and undoing, listeners. */
#include <errno.h>
#include "base/fault.h"
#include "base/testing.h"
#include "mem/gmem.h"
#include "mem/mem_int.h"
#include "mem/testing.h"

#define LIMIT	256u
#define REGIONS 12u

static void init(struct as *as, uint64_t limit)
{
	struct error err = ERROR_INIT;

	assert_true(as_init(as, "test", limit, &err));
}

/* -------- a plain model: the winner of every address -------- */

struct model {
	struct as as;
	struct as_region r[REGIONS];
	struct ram_block *ram;
	/* what the listener was told: owner of every address */
	struct as_listener l;
	const struct as_region *told[LIMIT];
	int fail_in; /* the listener's n-th addition from now fails; -1: none */
};

static const struct as_region *model_winner(struct model *m, uint64_t addr)
{
	const struct as_region *best = NULL;

	for (uint32_t i = 0; i < REGIONS; i++) {
		const struct as_region *r = &m->r[i];

		if (!r->mapped || addr < r->start || addr - r->start >= r->size)
			continue;
		if (!best || r->priority > best->priority ||
			(r->priority == best->priority && r->seq > best->seq))
			best = r;
	}
	return best;
}

static void model_removed(struct as_listener *l, const struct as_range *r)
{
	struct model *m = CONTAINER_OF(l, struct model, l);

	for (uint64_t a = r->start; a < r->start + r->size; a++) {
		assert_ptr_equal(m->told[a], r->region);
		m->told[a] = NULL;
	}
}

static int model_added(struct as_listener *l, const struct as_range *r)
{
	struct model *m = CONTAINER_OF(l, struct model, l);

	if (m->fail_in >= 0 && m->fail_in-- == 0)
		return -ENOSPC;
	for (uint64_t a = r->start; a < r->start + r->size; a++) {
		assert_null(m->told[a]); /* never overlaps */
		m->told[a] = r->region;
	}
	return 0;
}

static void model_check_piece(const struct as_range *p, uint64_t a)
{
	const struct as_region *r = p->region;

	assert_true(a >= p->start && a - p->start < p->size);
	assert_int_equal(p->kind, r->kind);
	assert_int_equal(p->off, p->start - r->start);
	if (r->kind == AS_IO) {
		assert_ptr_equal(p->io, r->io);
		assert_null(p->host);
	} else {
		assert_ptr_equal(p->ram, r->ram);
		assert_ptr_equal(p->host, r->ram->host + r->ram_off + p->off);
		assert_int_equal(p->ram_off, r->ram_off + p->off);
	}
}

static void model_check(struct model *m, bool listener_too)
{
	const struct as_snapshot *s = m->as.current;

	for (uint32_t i = 1; i < s->n; i++) { /* sorted, and as large as can be */
		assert_true(s->r[i - 1].start + s->r[i - 1].size <= s->r[i].start);
		assert_true(s->r[i - 1].region != s->r[i].region ||
			    s->r[i - 1].start + s->r[i - 1].size < s->r[i].start);
	}
	as_read_begin();
	for (uint64_t a = 0; a < LIMIT; a++) {
		const struct as_region *want = model_winner(m, a);
		const struct as_range *p = as_find(&m->as, a);

		assert_ptr_equal(p ? p->region : NULL, want);
		if (p)
			model_check_piece(p, a);
		if (listener_too)
			assert_ptr_equal(m->told[a], want);
	}
	assert_null(as_find(&m->as, LIMIT));
	assert_null(as_find(&m->as, UINT64_MAX));
	as_read_end();
}

static void model_init(struct model *m)
{
	memset(m, 0, sizeof(*m));
	init(&m->as, LIMIT);
	m->ram = test_ram(4096);
	m->l.removed = model_removed;
	m->l.added = model_added;
	m->fail_in = -1;
	for (uint32_t i = 0; i < REGIONS; i++) {
		struct as_region *r = &m->r[i];

		r->name = "r";
		r->kind = AS_RAM + i % 3;
		r->priority = (int)(i % 4) - 2;
		r->io = r;
		r->ram = m->ram;
		r->ram_off = i;
	}
	assert_int_equal(as_listener_add(&m->as, &m->l), 0);
}

static void model_fini(struct model *m)
{
	as_fini(&m->as);
	as_synchronize();
	assert_int_equal(m->ram->refs, 1); /* regions and snapshots have let go */
	ram_block_unref(m->ram);
}

static void model_step(struct model *m)
{
	struct as_region *r = &m->r[rand() % REGIONS];
	uint64_t start = rand() % (LIMIT + 8), size = rand() % 80;
	bool fits = size && start <= LIMIT && size <= LIMIT - start;
	int rc, want = fits ? 0 : -EINVAL;

	if (rand() % 8 == 0)
		m->fail_in = rand() % 4;
	if (!r->mapped) {
		rc = as_add(&m->as, r, start, size);
		assert_int_equal(r->mapped, rc == 0);
	} else if (rand() % 3) {
		want = start <= LIMIT && r->size <= LIMIT - start ? 0 : -EINVAL;
		rc = as_move(&m->as, r, start);
		assert_true(rc != 0 || r->start == start);
	} else {
		m->fail_in = -1; /* a deletion's additions cannot be refused */
		as_del(&m->as, r);
		rc = want = 0;
	}
	/* The additions of a change that is undone count too: fail_in may have hit there. */
	assert_true(rc == want || (want == 0 && rc == -ENOSPC));
	if (rc == -ENOSPC)
		assert_int_equal(m->fail_in, -1);
	m->fail_in = -1;
}

static void test_random_against_byte_map(void **state)
{
	struct model m;

	srand(20261120);
	for (int round = 0; round < 20; round++) {
		model_init(&m);
		for (int step = 0; step < 150; step++) {
			model_step(&m);
			model_check(&m, true);
		}
		model_fini(&m);
	}
}

/* -------- single properties -------- */

static void test_bad_arguments(void **state)
{
	struct as as;
	struct as_region io = { .name = "io", .kind = AS_IO },
			 ram = { .name = "ram", .kind = AS_RAM };
	struct ram_block *b = test_ram(8192);

	init(&as, 0x10000);
	assert_int_equal(as_add(&as, &io, 0, 0), -EINVAL);
	assert_int_equal(as_add(&as, &io, 0x10000, 1), -EINVAL);
	assert_int_equal(as_add(&as, &io, 0xffff, 2), -EINVAL);
	assert_int_equal(as_add(&as, &io, UINT64_MAX, 2), -EINVAL);
	assert_int_equal(as_add(&as, &io, 0, 0x10000), 0);
	assert_int_equal(as_add(&as, &io, 0, 1), -EBUSY);
	assert_int_equal(as_move(&as, &io, 1), -EINVAL);
	assert_int_equal(as_add(&as, &ram, 0, 4096), -EINVAL); /* no block */
	ram.ram = b;
	ram.ram_off = 4096;
	assert_int_equal(as_add(&as, &ram, 0, 4097), -EINVAL); /* beyond the block */
	assert_int_equal(as_move(&as, &ram, 0), -ENOENT);
	as_del(&as, &ram); /* is not mapped: nothing */
	as_fini(&as);
	assert_false(io.mapped);
	as_fini(&as); /* twice is fine */
	ram_block_unref(b);
}

static void test_many_regions(void **state)
{
	static struct as_region r[AS_REGIONS_MAX + 1];
	struct as as;

	init(&as, UINT64_MAX);
	for (uint32_t i = 0; i < AS_REGIONS_MAX; i++) {
		r[i] = (struct as_region){ .name = "r", .kind = AS_IO, .io = &r[i] };
		assert_int_equal(as_add(&as, &r[i], (uint64_t)i * 3, 2), 0);
	}
	as_read_begin();
	for (uint32_t i = 0; i < AS_REGIONS_MAX; i++) {
		assert_ptr_equal(as_find(&as, (uint64_t)i * 3 + 1)->io, &r[i]);
		assert_null(as_find(&as, (uint64_t)i * 3 + 2));
	}
	as_read_end();
	as_fini(&as);
}

static int count_added, count_removed;

static void count_removed_cb(struct as_listener *l, const struct as_range *r)
{
	count_removed++;
}

static int count_added_cb(struct as_listener *l, const struct as_range *r)
{
	count_added++;
	return 0;
}

/* Only the difference is told: a far region's slot is not torn down. */
static void test_listener_sees_difference_only(void **state)
{
	struct as_listener l = { .removed = count_removed_cb, .added = count_added_cb };
	struct as_region low = { .name = "low", .kind = AS_IO },
			 bar = { .name = "bar", .kind = AS_IO };
	struct as as;

	init(&as, 0x100000);
	assert_int_equal(as_add(&as, &low, 0, 0x1000), 0);
	count_added = count_removed = 0;
	assert_int_equal(as_listener_add(&as, &l), 0);
	assert_int_equal(count_added, 1); /* what was there */
	assert_int_equal(as_add(&as, &bar, 0x8000, 0x1000), 0);
	assert_int_equal(as_move(&as, &bar, 0x9000), 0);
	assert_int_equal(count_added, 3);
	assert_int_equal(count_removed, 1);
	assert_int_equal(as_move(&as, &bar, 0x9000), 0); /* to where it is */
	assert_int_equal(count_added, 3);
	as_listener_del(&as, &l);
	as_del(&as, &bar);
	assert_int_equal(count_removed, 1);
	as_fini(&as);
}

/* A change by a reader that is inside a section, and what it found stays valid. */
static void test_change_inside_section(void **state)
{
	struct ram_block *b = test_ram(4096);
	struct as_region r = { .name = "ram", .kind = AS_RAM, .ram = b };
	const struct as_range *p;
	struct as as;

	init(&as, 0x10000);
	assert_int_equal(as_add(&as, &r, 0, 4096), 0);
	ram_block_unref(b); /* the region's and the snapshot's references hold it */
	as_read_begin();
	as_read_begin();
	p = as_find(&as, 5);
	assert_non_null(p);
	as_del(&as, &r);
	for (int i = 0; i < 10; i++)
		epoch_reclaim();
	as_read_end();
	epoch_reclaim();
	p->host[0] = 1; /* ASan: still mapped, still allocated */
	assert_int_equal(p->start, 0);
	assert_null(as_find(&as, 5));
	as_read_end();
	as_synchronize();
	as_fini(&as);
}

/* Every allocation failing: adding says so and changes nothing, deleting cannot fail. */
static void test_out_of_memory(void **state)
{
	struct fault_sweep sweep = FAULT_SWEEP_INIT;
	struct model m;
	int rc;

	while (fault_sweep(&sweep)) {
		struct error err = ERROR_INIT;
		struct as as;
		bool ok = as_init(&as, "test", 16, &err);

		fault_stop();
		assert_true(ok || fault_hit());
		as_fini(&as);
	}
	model_init(&m);
	assert_int_equal(as_add(&m.as, &m.r[0], 0, 100), 0);
	for (unsigned int n = 1; n < 4; n++) {
		fault_alloc_after(n);
		rc = as_add(&m.as, &m.r[1], 50, 100);
		fault_stop();
		assert_int_equal(rc, fault_hit() ? -ENOMEM : 0);
		model_check(&m, true);
		if (m.r[1].mapped) {
			fault_alloc_after(1);
			as_del(&m.as, &m.r[1]);
			fault_stop();
			assert_true(fault_hit());
			model_check(&m, true);
		}
	}
	assert_int_equal(as_add(&m.as, &m.r[1], 50, 100), 0);
	fault_alloc_after(1);
	assert_int_equal(as_move(&m.as, &m.r[1], 10), -ENOMEM);
	fault_stop();
	model_check(&m, true);
	for (int i = 0; i < 2; i++) { /* one from the reserve, one after a pause */
		fault_alloc_after(1);
		as_del(&m.as, &m.r[i]);
		fault_stop();
		model_check(&m, true);
	}
	model_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_against_byte_map),
		cmocka_unit_test(test_bad_arguments),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_many_regions),
		cmocka_unit_test(test_listener_sees_difference_only),
		cmocka_unit_test(test_change_inside_section),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
