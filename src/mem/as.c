// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * as - writers' side of an address space: regions, flattening, telling the listeners, publishing.
 *
 * A change is made in this order, under the space's lock:
 *   1. a new snapshot is flattened from the regions as they will be (the only step that allocates);
 *   2. listeners are told of the difference; an error takes back what they were told;
 *   3. the snapshot is published, and the old one retired.
 * Until 3 nothing is visible to readers, so undoing is forgetting.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/cleanup.h"
#include "base/ovf.h"
#include "mem/mem_int.h"

/* -------- snapshots -------- */

static struct as_snapshot *snapshot_new(uint32_t cap)
{
	struct as_snapshot *s = malloc(sizeof(*s) + cap * sizeof(s->r[0]));

	if (!s)
		return NULL;
	s->next = NULL;
	s->retired_epoch = 0;
	s->n = 0;
	s->cap = cap;
	return s;
}

void as_snapshot_free(struct as_snapshot *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->n; i++)
		ram_block_unref(s->r[i].ram);
	free(s);
}

/* Pieces that @n regions can make at most: 2n boundaries have 2n - 1 gaps. Before snapshot_join()
 * the two ends of what changed are boundaries too. */
static uint32_t pieces_max(uint32_t n)
{
	return 2 * n + 2;
}

/* Index of the first piece that ends above @addr. */
static uint32_t snapshot_search(const struct as_snapshot *s, uint64_t addr)
{
	uint32_t lo = 0, hi = s->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (s->r[mid].start + s->r[mid].size <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void snapshot_insert(struct as_snapshot *s, uint32_t at, const struct as_region *r,
	uint64_t start, uint64_t size)
{
	struct as_range *p = &s->r[at];

	assert(s->n < s->cap);
	memmove(p + 1, p, (s->n - at) * sizeof(*p));
	s->n++;
	*p = (struct as_range){
		.start = start,
		.size = size,
		.off = start - r->start,
		.kind = r->kind,
		.io = r->io,
		.region = r,
	};
	if (r->kind != AS_IO) {
		p->ram = ram_block_ref(r->ram);
		p->ram_off = r->ram_off + p->off;
		p->host = r->ram->host + p->ram_off;
	}
}

/* Append a piece, or the part of it from @start that is @size long. */
static void snapshot_append(
	struct as_snapshot *s, const struct as_range *r, uint64_t start, uint64_t size)
{
	struct as_range *p = &s->r[s->n++];

	assert(s->n <= s->cap);
	*p = *r;
	p->start = start;
	p->size = size;
	p->off += start - r->start;
	if (p->ram) {
		ram_block_ref(p->ram);
		p->ram_off += start - r->start;
		p->host += start - r->start;
	}
}

/* Put @r, as far as it lies in [lo, hi), wherever nothing lies yet: regions come in the order in
 * which they win. */
static void snapshot_fill(
	struct as_snapshot *s, const struct as_region *r, uint64_t lo, uint64_t hi)
{
	uint64_t at = MAX(r->start, lo), end = MIN(r->start + r->size, hi);
	uint32_t i;

	if (at >= end)
		return;
	i = snapshot_search(s, at);
	while (at < end) {
		uint64_t stop = i < s->n ? MIN(s->r[i].start, end) : end;

		if (stop > at) {
			snapshot_insert(s, i, r, at, stop - at);
			i++;
		}
		if (i >= s->n)
			break;
		at = s->r[i].start + s->r[i].size;
		i++;
	}
}

/* Append pieces @from .. @to - 1 of @old as they are. */
static void snapshot_copy(
	struct as_snapshot *s, const struct as_snapshot *old, uint32_t from, uint32_t to)
{
	if (from >= to)
		return;
	assert(to - from <= s->cap - s->n);
	memcpy(&s->r[s->n], &old->r[from], (to - from) * sizeof(s->r[0]));
	s->n += to - from;
	for (; from < to; from++) {
		if (old->r[from].ram)
			ram_block_ref(old->r[from].ram);
	}
}

/* Join neighbours from piece @from on that belong together: pieces are as large as they can be. */
static void snapshot_join(struct as_snapshot *s, uint32_t from)
{
	uint32_t n = from;

	for (uint32_t i = from + 1; i < s->n; i++) {
		struct as_range *last = &s->r[n], *r = &s->r[i];

		if (last->region == r->region && last->start + last->size == r->start) {
			last->size += r->size;
			ram_block_unref(r->ram); /* @last holds one */
		} else if (++n != i) {
			s->r[n] = *r;
		}
	}
	s->n = MIN(s->n, n + 1);
}

/* What the regions make, where only [lo, hi) differs from @old: the rest is copied. A machine has
 * dozens of regions that never overlap; making them one by one should not cost their square. */
static void flatten(struct as *as, const struct as_snapshot *old, struct as_snapshot *s,
	uint64_t lo, uint64_t hi) REQUIRES(as->lock)
{
	uint32_t first = snapshot_search(old, lo), last = snapshot_search(old, hi);
	const struct as_range *p = &old->r[first];
	struct as_region *r;

	snapshot_copy(s, old, 0, first);
	if (first < old->n && p->start < lo)
		snapshot_append(s, p, p->start, lo - p->start);
	list_for_each (r, &as->regions, node)
		snapshot_fill(s, r, lo, hi);
	if (last < old->n) {
		uint64_t start = MAX(old->r[last].start, hi);

		p = &old->r[last];
		snapshot_append(s, p, start, p->size - (start - p->start));
	}
	snapshot_join(s, first ? first - 1 : 0);
	snapshot_copy(s, old, last + 1, old->n);
}

/* -------- listeners -------- */

static bool range_same(const struct as_range *a, const struct as_range *b)
{
	return a->start == b->start && a->size == b->size && a->off == b->off &&
	       a->kind == b->kind && a->ram == b->ram && a->ram_off == b->ram_off &&
	       a->io == b->io && a->region == b->region;
}

/* Next piece of @s from *@i on that @other does not have just so; NULL at the end. Both sorted:
 * *@j follows along. */
static const struct as_range *diff_next(
	const struct as_snapshot *s, const struct as_snapshot *other, uint32_t *i, uint32_t *j)
{
	while (*i < s->n) {
		const struct as_range *r = &s->r[(*i)++];

		while (*j < other->n && other->r[*j].start < r->start)
			(*j)++;
		if (*j == other->n || !range_same(r, &other->r[*j]))
			return r;
	}
	return NULL;
}

/* Tell @l that @from has become @to. -errno: it refused *@failed, and knows those before it. */
static int listener_change(struct as_listener *l, const struct as_snapshot *from,
	const struct as_snapshot *to, const struct as_range **failed)
{
	uint32_t i = 0, j = 0;
	const struct as_range *r;

	while ((r = diff_next(from, to, &i, &j)))
		l->removed(l, r);
	i = j = 0;
	while ((r = diff_next(to, from, &i, &j))) {
		int rc = l->added(l, r);

		if (rc < 0) {
			*failed = r;
			return rc;
		}
	}
	return 0;
}

/* Take back a change; with @failed only the additions before it were made. */
static void listener_undo(struct as_listener *l, const struct as_snapshot *from,
	const struct as_snapshot *to, const struct as_range *failed)
{
	uint32_t i = 0, j = 0;
	const struct as_range *r;

	while ((r = diff_next(to, from, &i, &j)) && r != failed)
		l->removed(l, r);
	i = j = 0;
	while ((r = diff_next(from, to, &i, &j)))
		(void)!l->added(l, r); /* see as.h: goes on without that piece */
}

/* Like listener_change for a change that cannot be refused. */
static void listener_force(
	struct as_listener *l, const struct as_snapshot *from, const struct as_snapshot *to)
{
	uint32_t i = 0, j = 0;
	const struct as_range *r;

	while ((r = diff_next(from, to, &i, &j)))
		l->removed(l, r);
	i = j = 0;
	while ((r = diff_next(to, from, &i, &j)))
		(void)!l->added(l, r);
}

static int tell_listeners(struct as *as, const struct as_snapshot *from,
	const struct as_snapshot *to) REQUIRES(as->lock)
{
	const struct as_range *failed = NULL;
	struct as_listener *l, *u;
	int rc = 0;

	list_for_each (l, &as->listeners, node) {
		rc = listener_change(l, from, to, &failed);
		if (rc < 0)
			break;
	}
	if (rc == 0)
		return 0;
	listener_undo(l, from, to, failed);
	list_for_each (u, &as->listeners, node) {
		if (u == l)
			break;
		listener_undo(u, from, to, NULL);
	}
	return rc;
}

int as_listener_add(struct as *as, struct as_listener *l)
{
	static const struct as_snapshot empty;
	const struct as_range *failed = NULL;
	struct as_snapshot *now;
	int rc;

	mutex_lock(&as->lock);
	now = atomic_load_explicit(&as->current, memory_order_relaxed);
	rc = listener_change(l, &empty, now, &failed);
	if (rc < 0)
		listener_undo(l, &empty, now, failed);
	else
		list_add_tail(&as->listeners, &l->node);
	mutex_unlock(&as->lock);
	return rc;
}

void as_settle(struct as *as)
{
	mutex_lock(&as->lock);
	mutex_unlock(&as->lock);
}

void as_listener_del(struct as *as, struct as_listener *l)
{
	mutex_lock(&as->lock);
	list_del(&l->node);
	mutex_unlock(&as->lock);
}

/* -------- regions -------- */

static void region_link(struct as *as, struct as_region *r) REQUIRES(as->lock)
{
	struct as_region *it;
	struct list *before = &as->regions;

	/* Higher priority first; among equals the later added, which has the higher number. */
	list_for_each (it, &as->regions, node) {
		if (it->priority < r->priority ||
			(it->priority == r->priority && it->seq < r->seq)) {
			before = &it->node;
			break;
		}
	}
	list_insert_between(&r->node, before->prev, before);
	as->n_regions++;
}

static void region_unlink(struct as *as, struct as_region *r) REQUIRES(as->lock)
{
	list_del(&r->node);
	as->n_regions--;
}

/* Make @s (flattened) the truth. */
static void publish(struct as *as, struct as_snapshot *s) REQUIRES(as->lock)
{
	/* Pairs with the load in as_find(): see mem_int.h. */
	struct as_snapshot *old = atomic_exchange_explicit(&as->current, s, memory_order_seq_cst);

	/* Before the old one may be freed: who keeps pointers into it looks here first. */
	atomic_fetch_add_explicit(&as->version, 1, memory_order_seq_cst);
	epoch_retire(old);
}

/* The regions are as they shall be, and differ from what is published only in [lo, hi): flatten,
 * tell, publish. -errno: the caller restores them. */
static int commit(struct as *as, uint64_t lo, uint64_t hi) REQUIRES(as->lock)
{
	struct as_snapshot *old = atomic_load_explicit(&as->current, memory_order_relaxed);
	struct as_snapshot *s = snapshot_new(pieces_max(as->n_regions));
	int rc;

	if (!s)
		return -ENOMEM;
	flatten(as, old, s, lo, hi);
	rc = tell_listeners(as, old, s);
	if (rc < 0) {
		as_snapshot_free(s);
		return rc;
	}
	publish(as, s);
	return 0;
}

/* A snapshot for as_del, which cannot fail: malloc's, else the reserve, else patience. */
static struct as_snapshot *snapshot_nofail(struct as *as, uint32_t cap) REQUIRES(as->lock)
{
	struct as_snapshot *s = snapshot_new(cap);
	struct timespec ms = { .tv_nsec = 1000000 };

	if (!s && as->reserve && as->reserve->cap >= cap)
		return TAKE(as->reserve);
	while (!s) {
		nanosleep(&ms, NULL);
		s = snapshot_new(cap);
	}
	return s;
}

static void commit_del(struct as *as, uint64_t lo, uint64_t hi) REQUIRES(as->lock)
{
	struct as_snapshot *s = snapshot_nofail(as, pieces_max(as->n_regions));
	struct as_snapshot *old = atomic_load_explicit(&as->current, memory_order_relaxed);
	struct as_listener *l;

	flatten(as, old, s, lo, hi);
	list_for_each (l, &as->listeners, node)
		listener_force(l, old, s);
	publish(as, s);
}

/* Room in the reserve for the deletions to come. Grows in steps: as_add runs often at start-up. */
static int reserve_grow(struct as *as) REQUIRES(as->lock)
{
	uint32_t cap = pieces_max(as->n_regions);
	struct as_snapshot *s;

	if (as->reserve && as->reserve->cap >= cap)
		return 0;
	s = snapshot_new(2 * cap);
	if (!s)
		return -ENOMEM;
	free(as->reserve);
	as->reserve = s;
	return 0;
}

static bool region_fits(
	const struct as *as, const struct as_region *r, uint64_t start, uint64_t size)
{
	if (!size || !range_fits(start, size, as->limit))
		return false;
	if (r->kind == AS_IO)
		return true;
	return r->ram && range_fits(r->ram_off, size, r->ram->size);
}

static int region_add(struct as *as, struct as_region *r) REQUIRES(as->lock)
{
	int rc;

	if (as->n_regions >= AS_REGIONS_MAX)
		return -ENOSPC;
	rc = reserve_grow(as);
	if (rc < 0)
		return rc;
	r->seq = ++as->seq;
	region_link(as, r);
	rc = commit(as, r->start, r->start + r->size);
	if (rc < 0)
		region_unlink(as, r);
	return rc;
}

int as_add(struct as *as, struct as_region *r, uint64_t start, uint64_t size)
{
	int rc = 0;

	assert(r->kind == AS_RAM || r->kind == AS_ROM || r->kind == AS_IO);
	if (!region_fits(as, r, start, size))
		return -EINVAL;
	mutex_lock(&as->lock);
	if (r->mapped) {
		rc = -EBUSY;
		goto out;
	}
	r->start = start;
	r->size = size;
	rc = region_add(as, r);
	if (rc == 0) {
		r->mapped = true;
		if (r->kind != AS_IO)
			ram_block_ref(r->ram);
	}
out:
	mutex_unlock(&as->lock);
	return rc;
}

void as_del(struct as *as, struct as_region *r)
{
	mutex_lock(&as->lock);
	if (r->mapped) {
		region_unlink(as, r);
		commit_del(as, r->start, r->start + r->size);
		r->mapped = false;
		if (r->kind != AS_IO)
			ram_block_unref(r->ram);
	}
	mutex_unlock(&as->lock);
}

int as_move(struct as *as, struct as_region *r, uint64_t start)
{
	uint64_t was;
	int rc = 0;

	mutex_lock(&as->lock);
	if (!r->mapped) {
		rc = -ENOENT;
	} else if (!region_fits(as, r, start, r->size)) {
		rc = -EINVAL;
	} else if (start != r->start) {
		was = r->start;
		r->start = start;
		rc = commit(as, MIN(was, start), MAX(was, start) + r->size);
		if (rc < 0)
			r->start = was;
	}
	mutex_unlock(&as->lock);
	return rc;
}

bool as_init(struct as *as, const char *name, uint64_t limit, struct error *err)
{
	struct as_snapshot *s = snapshot_new(0);

	memset(as, 0, sizeof(*as));
	mutex_init(&as->lock);
	list_init(&as->regions);
	list_init(&as->listeners);
	as->name = name;
	as->limit = limit;
	atomic_init(&as->current, s);
	if (!s)
		return error_set(err, "address space '%s': out of memory", name);
	return true;
}

void as_fini(struct as *as) NO_THREAD_SAFETY
{
	struct as_snapshot *s;
	struct as_region *r, *tmp;

	if (!as->name) /* never initialised */
		return;
	list_for_each_safe (r, tmp, &as->regions, node) {
		list_del(&r->node);
		r->mapped = false;
		if (r->kind != AS_IO)
			ram_block_unref(r->ram);
	}
	s = atomic_exchange_explicit(&as->current, NULL, memory_order_seq_cst);
	if (s)
		epoch_retire(s);
	free(as->reserve);
	as->reserve = NULL;
	mutex_fini(&as->lock);
	as->name = NULL;
}

/* -------- readers -------- */

const struct as_range *as_find(struct as *as, uint64_t addr)
{
	/* Where this thread found something last, in any snapshot of any space: only a guess, held
	 * against the snapshot at hand. Rings and buffers lie in one piece, so it mostly hits. */
	static _Thread_local uint32_t hint;
	const struct as_snapshot *s = atomic_load_explicit(&as->current, memory_order_seq_cst);
	uint32_t i = hint;

	if (i < s->n && addr - s->r[i].start < s->r[i].size)
		return &s->r[i];
	i = snapshot_search(s, addr);
	if (i == s->n || addr < s->r[i].start)
		return NULL;
	hint = i;
	return &s->r[i];
}
