// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * limits - leaky buckets in front of a disk.
 *
 * 1. A bucket fills with what is done and leaks at the limit's rate; while it is fuller than its size, requests
 *    wait. The size is a tenth of a second's rate, or where bursts are allowed what a burst may bring; a burst
 *    of several seconds has a second bucket, which leaks at the burst's rate, so that it is no faster.
 * 2. The buckets belong to a group, which any number of disks may share; they are under the group's lock, a leaf.
 * 3. What waits belongs to the loop that it came on: a list for reads and one for writes, and a timer for when
 *    the first may go. A loop's pointer to the group is that loop's own; main changes it there (loop_call).
 * 4. Requests that wait are in flight. Who waits for those to end says block_hurry().
 */
#include "block/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "block/block_int.h"

#define LIMIT_MAX    1000000000000000ull
#define BURST_TENTHS 10
#define NAME_MAX_LEN 63
#define WAIT_MAX_NS  (NS_PER_SEC * 10) /* then it is looked at again: limits may be tiny */

struct bucket {
	double level, burst_level;
};

struct block_group {
	struct list node; /* among all groups; main */
	uint32_t users;	  /* main */
	/* Changed by main under the lock; so main reads without it. */
	struct block_limits limits;
	struct mutex lock;
	struct bucket bucket[BLOCK_LIMITS];
	int64_t at_ns; /* the levels are those of then */
};

static struct list groups = LIST_INIT(groups); /* main */

#define LIMIT(i, name, what)                                                                \
	FIELD_SIZE(struct block_limits, of[i].rate, name, .max = LIMIT_MAX,                 \
		.doc = what " a second; 0: no limit"),                                      \
		FIELD_SIZE(struct block_limits, of[i].burst, name "-max", .max = LIMIT_MAX, \
			.doc = "in a burst so many a second"),                              \
		FIELD_U64(struct block_limits, of[i].burst_seconds, name "-max-length",     \
			.dflt = "1", .min = 1, .max = UINT32_MAX, .doc = "seconds of a burst")

static const struct field block_limits_fields[] = {
	LIMIT(BLOCK_BPS, "bps-total", "bytes"),
	LIMIT(BLOCK_BPS_READ, "bps-read", "bytes read"),
	LIMIT(BLOCK_BPS_WRITE, "bps-write", "bytes written"),
	LIMIT(BLOCK_IOPS, "iops-total", "requests"),
	LIMIT(BLOCK_IOPS_READ, "iops-read", "reads"),
	LIMIT(BLOCK_IOPS_WRITE, "iops-write", "writes"),
	FIELD_SIZE(struct block_limits, request_size, "iops-size", .max = LIMIT_MAX,
		.doc = "a longer request counts as several; 0: as one"),
	FIELD_STR(struct block_limits, group, "group", .max = NAME_MAX_LEN,
		.doc = "disks of one group share its limits; default: the disk's own"),
};
const struct field_table block_limits_table = FIELD_TABLE(
	"throttling", struct block_limits, block_limits_fields);

/* -------- are they possible? -------- */

static bool any_rate(const struct block_limits *l, int first, int n)
{
	for (int i = first; i < first + n; i++) {
		if (l->of[i].rate || l->of[i].burst)
			return true;
	}
	return false;
}

static uint64_t seconds_of(const struct block_limit *l)
{
	return l->burst_seconds ?: 1;
}

static bool check_one(const struct block_limit *l, struct error *err)
{
	if (l->rate > LIMIT_MAX || l->burst > LIMIT_MAX)
		return error_usage(err, "a limit is at most %llu", LIMIT_MAX);
	if (l->burst && !l->rate)
		return error_usage(err, "a burst needs a limit (bps, iops) beside it");
	if (l->burst && l->burst < l->rate)
		return error_usage(err, "a burst is not less than its limit");
	if (seconds_of(l) > UINT32_MAX)
		return error_usage(err, "a burst lasts at most %u seconds", UINT32_MAX);
	if (seconds_of(l) > 1 && !l->burst)
		return error_usage(err, "the length of a burst needs a burst (max)");
	if (seconds_of(l) > LIMIT_MAX / MAX(l->burst, 1u))
		return error_usage(err, "so long a burst is no limit");
	return true;
}

bool block_limits_check(const struct block_limits *l, struct error *err)
{
	for (int i = 0; i < BLOCK_LIMITS; i++) {
		if (!check_one(&l->of[i], err))
			return false;
	}
	if ((any_rate(l, BLOCK_BPS, 1) && any_rate(l, BLOCK_BPS_READ, 2)) ||
		(any_rate(l, BLOCK_IOPS, 1) && any_rate(l, BLOCK_IOPS_READ, 2)))
		return error_usage(
			err, "a limit of all and one of reads or writes exclude each other");
	if (l->request_size && !any_rate(l, BLOCK_IOPS, 3))
		return error_usage(
			err, "the size of a request (iops-size) needs a limit of requests");
	return true;
}

/* -------- buckets -------- */

static void leak(struct block_group *g, int64_t now)
{
	double seconds = (double)(now - g->at_ns) / (double)NS_PER_SEC;

	g->at_ns = now;
	for (int i = 0; i < BLOCK_LIMITS; i++) {
		const struct block_limit *l = &g->limits.of[i];
		struct bucket *b = &g->bucket[i];

		b->level = MAX(b->level - (double)l->rate * seconds, 0.0);
		b->burst_level = MAX(b->burst_level - (double)l->burst * seconds, 0.0);
	}
}

/* Nanoseconds until a bucket that leaks at @rate is down to @size; 0: it is. */
static int64_t wait_of(double level, double size, uint64_t rate)
{
	double ns = (level - size) / (double)rate * (double)NS_PER_SEC;

	return level <= size ? 0 : ns >= (double)WAIT_MAX_NS ? WAIT_MAX_NS : (int64_t)ns + 1;
}

static int64_t bucket_wait(const struct block_group *g, int i)
{
	const struct block_limit *l = &g->limits.of[i];
	const struct bucket *b = &g->bucket[i];
	int64_t ns;

	if (!l->rate)
		return 0;
	if (!l->burst)
		return wait_of(b->level, (double)l->rate / BURST_TENTHS, l->rate);
	ns = wait_of(b->level, (double)l->burst * (double)seconds_of(l), l->rate);
	if (seconds_of(l) > 1)
		ns = MAX(ns, wait_of(b->burst_level, (double)l->burst / BURST_TENTHS, l->burst));
	return ns;
}

/* Those that a read or a write falls into. */
static bool concerns(int kind, bool write)
{
	return kind == BLOCK_BPS || kind == BLOCK_IOPS ||
	       (kind == BLOCK_BPS_WRITE || kind == BLOCK_IOPS_WRITE) == write;
}

static void account(struct block_group *g, const struct block_req *r, bool write)
{
	uint64_t size = g->limits.request_size;
	uint64_t requests = size ? MAX((r->len + size - 1) / size, 1u) : 1;

	for (int i = 0; i < BLOCK_LIMITS; i++) {
		double n = i < BLOCK_IOPS ? (double)r->len : (double)requests;

		if (!concerns(i, write))
			continue;
		g->bucket[i].level += n;
		g->bucket[i].burst_level += n;
	}
}

/* 0: it may go, and is counted; else nanoseconds until it may be asked again. */
static int64_t ask(struct block_group *g, const struct block_req *r, bool write)
{
	int64_t ns = 0;

	mutex_lock(&g->lock);
	leak(g, clock_mono_ns());
	for (int i = 0; i < BLOCK_LIMITS; i++) {
		if (concerns(i, write))
			ns = MAX(ns, bucket_wait(g, i));
	}
	if (!ns)
		account(g, r, write);
	mutex_unlock(&g->lock);
	return ns;
}

/* -------- what waits: on its loop -------- */

static void go_on(struct block_lane *l, bool all)
{
	int64_t next = 0;

	for (int write = 0; write < 2; write++) {
		struct block_req *r;

		while ((r = list_first(&l->waiting[write], struct block_req, node))) {
			int64_t ns = all || !l->group ? 0 : ask(l->group, r, write);

			if (ns) {
				next = next ? MIN(next, ns) : ns;
				break;
			}
			list_del(&r->node);
			r->dev->format->submit(r->dev, r);
		}
	}
	if (next)
		loop_timer_arm(&l->timer, clock_mono_ns() + next);
	else
		loop_timer_disarm(&l->timer);
}

static void timer_fired(void *opaque)
{
	go_on(opaque, false);
}

static void rush(void *opaque)
{
	go_on(opaque, true);
}

bool block_limits_hold(struct block_dev *b, struct block_req *r)
{
	struct block_lane *l = &b->lane[r->lane];
	bool write = r->op == BLOCK_WRITE || r->op == BLOCK_WRITE_ZEROES;
	int64_t ns;

	if (!l->group || !(write || r->op == BLOCK_READ) ||
		atomic_load_explicit(&b->hurry, memory_order_acquire))
		return false;
	if (list_empty(&l->waiting[write])) {
		ns = ask(l->group, r, write);
		if (!ns)
			return false;
		if (!loop_timer_armed(&l->timer) || clock_mono_ns() + ns < l->timer.deadline_ns)
			loop_timer_arm(&l->timer, clock_mono_ns() + ns);
	}
	list_add_tail(&l->waiting[write], &r->node);
	return true;
}

/* -------- groups: main -------- */

static void group_leave(struct block_group *g)
{
	if (!g || --g->users)
		return;
	list_del(&g->node);
	mutex_fini(&g->lock);
	free(g->limits.group);
	free(g);
}

/* One more user of the group @name; NULL: out of memory. */
static struct block_group *group_join(const char *name)
{
	struct block_group *g;

	list_for_each (g, &groups, node) {
		if (!strcmp(g->limits.group, name)) {
			g->users++;
			return g;
		}
	}
	g = calloc(1, sizeof(*g));
	if (!g || !(g->limits.group = strdup(name))) {
		free(g);
		return NULL;
	}
	mutex_init(&g->lock);
	g->users = 1;
	g->at_ns = clock_mono_ns();
	list_add_tail(&groups, &g->node);
	return g;
}

struct adoption {
	struct block_lane *lane;
	struct block_group *group;
};

static void adopt(void *opaque)
{
	struct adoption *a = opaque;

	a->lane->group = a->group;
	go_on(a->lane, false);
}

static void lanes_adopt(struct block_dev *b, struct block_group *g)
{
	for (uint32_t i = 0; i < b->n_lanes; i++) {
		struct adoption a = { &b->lane[i], g };

		loop_call(b->lane[i].loop, adopt, &a);
	}
}

static bool has_group(const struct block_dev *b)
{
	return b->group;
}

bool block_set_limits(struct block_dev *b, const struct block_limits *l, struct error *err)
{
	struct block_group *old = b->group, *g = NULL;
	const char *name = l->group && *l->group ? l->group
			   : has_group(b)	 ? old->limits.group
						 : b->id;

	if (!block_limits_check(l, err))
		return error_prefix(err, "disk '%s'", b->id);
	if (any_rate(l, 0, BLOCK_LIMITS)) {
		g = group_join(name);
		if (!g)
			return error_set(err, "out of memory");
		mutex_lock(&g->lock);
		leak(g, clock_mono_ns());
		memcpy(g->limits.of, l->of, sizeof(l->of));
		g->limits.request_size = l->request_size;
		memset(g->bucket, 0, sizeof(g->bucket));
		mutex_unlock(&g->lock);
	}
	b->group = g;
	lanes_adopt(b, g);
	group_leave(old);
	return true;
}

const struct block_limits *block_get_limits(const struct block_dev *b)
{
	return b->group ? &b->group->limits : NULL;
}

void block_hurry_once(struct block_dev *b)
{
	for (uint32_t i = 0; i < b->n_lanes; i++)
		loop_post(b->lane[i].loop, &b->lane[i].rush);
}

void block_hurry(struct block_dev *b, bool on)
{
	atomic_store_explicit(&b->hurry, on, memory_order_release);
	if (on && b->group)
		block_hurry_once(b);
}

/* -------- the disk's life -------- */

void block_limits_attach(struct block_dev *b)
{
	for (uint32_t i = 0; i < b->n_lanes; i++) {
		struct block_lane *l = &b->lane[i];

		l->group = b->group;
		list_init(&l->waiting[0]);
		list_init(&l->waiting[1]);
		loop_timer_init(&l->timer, l->loop, timer_fired, l);
		loop_defer_init(&l->rush, rush, l);
	}
}

static void forget(void *opaque)
{
	struct block_lane *l = opaque;

	assert(list_empty(&l->waiting[0]) && list_empty(&l->waiting[1]));
	loop_defer_cancel(l->loop, &l->rush);
	loop_timer_fini(&l->timer);
}

void block_limits_detach(struct block_dev *b)
{
	/* Without a group nothing was ever armed or posted that has not run. */
	for (uint32_t i = 0; i < b->n_lanes; i++)
		loop_call(b->lane[i].loop, forget, &b->lane[i]);
}

void block_limits_close(struct block_dev *b)
{
	group_leave(b->group);
	b->group = NULL;
}
