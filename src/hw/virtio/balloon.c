// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-balloon (virtio 1.2, 5.5): memory that the guest does not use goes back to the host.
 *
 * Three ways: pages that the driver puts into the balloon because the host wants them (inflate); free
 * pages that the driver reports of its own accord; and statistics, from which somebody outside may
 * judge what to want.
 *
 * 1. A page given back reads as zeroes when the guest next touches it; nothing else happens to it, so
 *    the guest may use a page of the balloon at any time (we do not offer MUST_TELL_HOST) and taking
 *    pages out is no work here.
 * 2. Only whole pages of the host's are given back. Where these are larger than 4 KiB, pieces of one
 *    are collected until it is whole; a piece of another one drops what was collected.
 * 3. A driver that fills free pages with a pattern (PAGE_POISON) must find it there (5.5.6.7.2).
 *    Zeroes are the only pattern that we can give, so with another one reports are answered without
 *    giving anything back.
 * 4. The newest statistics buffer is kept until the next statistics are wanted. It is no request in
 *    flight: when the device is quiesced the buffer goes back into the ring and is taken again later.
 * 5. Queue numbers: the standard counts the queue of free-page hints, which we do not offer, and older
 *    drivers do not. Both are understood, for queues 3 and 4 are the same here, as is 2 for a driver
 *    without statistics.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/wire.h"
#include "core/notice.h"
#include "hw/virtio/balloon.h"
#include "hw/virtio/virtio.h"
#include "mem/gmem.h"

enum { Q_INFLATE, Q_DEFLATE, Q_STATS, Q_REPORT, Q_REPORT_2, QUEUES };

#define F_STATS_VQ	 1
#define F_DEFLATE_ON_OOM 2
#define F_PAGE_POISON	 4
#define F_REPORTING	 5

#define PAGE_SHIFT 12
#define PAGE	   4096u
/* Pages of one request: Linux sends 256. More would hold the loop for too long. */
#define PFNS_MAX   16384u
#define PFNS_PIECE 256u

struct config_space {
	le32 num_pages;
	le32 actual;
	le32 free_page_hint_cmd_id;
	le32 poison_val;
};
#define OFF_ACTUAL offsetof(struct config_space, actual)
#define OFF_POISON offsetof(struct config_space, poison_val)

struct stat_entry {
	le16 tag;
	le64 value;
} __attribute__((packed));
_Static_assert(sizeof(struct stat_entry) == 10, "virtio 1.2, 5.5.6.3");

const char *const balloon_stat_names[BALLOON_STATS] = {
	"stat-swap-in",
	"stat-swap-out",
	"stat-major-faults",
	"stat-minor-faults",
	"stat-free-memory",
	"stat-total-memory",
	"stat-available-memory",
	"stat-disk-caches",
	"stat-htlb-pgalloc",
	"stat-htlb-pgfail",
};

struct balloon_config {
	struct virtio_config virtio;
	bool deflate_on_oom, reporting, poison;
	uint32_t interval; /* s */
};

/* A run of pages that go back together. */
struct run {
	uint64_t first, end; /* pages; equal: empty */
};

struct balloon {
	struct virtio_device v; /* first */
	struct balloon_config cfg;
	struct iovec *iov; /* owned: chains are popped into it */
	int max_iov;
	/* Under dev.lock from here. */
	uint32_t num_pages, actual, poison_val; /* saved */
	struct vq_chain held;			/* point 4; its iov is ->held_iov */
	struct iovec *held_iov;			/* owned */
	bool holds;
	struct balloon_stats stats;
	struct gmem_partial partial; /* point 2 */
	uint32_t interval;	     /* s */
	/* Home loop. */
	struct loop_timer timer;
	struct loop_defer rearm;
};

static struct balloon *balloon_of(struct device *d)
{
	return CONTAINER_OF(d, struct balloon, v.pci.dev);
}

static struct as *memory(struct balloon *b)
{
	return &b->v.pci.dev.machine->mem;
}

/* -------- configuration -------- */

static void config_fill(struct balloon *b)
{
	struct config_space c = {
		.num_pages = le32_of(b->num_pages),
		.actual = le32_of(b->actual),
		.poison_val = le32_of(b->poison_val),
	};

	memcpy(b->v.config, &c, sizeof(c));
}

/* All memory that the guest was given. */
static uint64_t memory_size(struct machine *m)
{
	const struct as_snapshot *s;
	uint64_t sum = 0;

	as_read_begin();
	s = atomic_load(&m->mem.current);
	for (uint32_t i = 0; i < s->n; i++)
		sum += s->r[i].kind == AS_RAM ? s->r[i].size : 0;
	as_read_end();
	return sum;
}

/* Without what is in the balloon; a guest may tell anything. */
static uint64_t actual_bytes(const struct balloon *b)
{
	uint64_t all = memory_size(b->v.pci.dev.machine);

	return all - MIN((uint64_t)b->actual << PAGE_SHIFT, all);
}

static void tell(struct balloon *b)
{
	struct notice n = { .kind = NOTICE_BALLOON_CHANGE,
		.device = &b->v.pci.dev,
		.value = (int64_t)actual_bytes(b) };

	machine_notice(b->v.pci.dev.machine, &n);
}

static void set_actual(struct balloon *b, uint32_t pages)
{
	bool news = b->actual != pages;

	b->actual = pages;
	config_fill(b);
	if (news)
		tell(b);
}

static void balloon_config_write(
	struct virtio_device *v, uint32_t off, const void *data, unsigned int size)
{
	struct balloon *b = CONTAINER_OF(v, struct balloon, v);

	if (off == OFF_ACTUAL && size == 4) {
		set_actual(b, (uint32_t)rd_le(data, 4));
	} else if (off == OFF_POISON && size == 4 && virtio_has(v, F_PAGE_POISON)) {
		b->poison_val = (uint32_t)rd_le(data, 4);
		config_fill(b);
	}
}

/* -------- inflate -------- */

static void run_give(struct balloon *b, struct run *r)
{
	if (r->end > r->first)
		gmem_discard(memory(b), GPA(r->first << PAGE_SHIFT),
			(r->end - r->first) << PAGE_SHIFT, &b->partial);
	r->first = r->end = 0;
}

/* Drivers hand out pages upwards or downwards. */
static void run_add(struct balloon *b, struct run *r, uint64_t pfn)
{
	if (r->end > r->first && pfn == r->end) {
		r->end++;
	} else if (r->end > r->first && pfn + 1 == r->first) {
		r->first--;
	} else {
		run_give(b, r);
		*r = (struct run){ pfn, pfn + 1 };
	}
}

static void inflate(struct balloon *b, const struct vq_chain *c)
{
	le32 pfn[PFNS_PIECE];
	struct run r = { 0 };
	uint64_t off = 0;
	size_t n;

	while ((n = vq_chain_read(c, off, pfn, sizeof(pfn)) / sizeof(pfn[0]))) {
		for (size_t i = 0; i < n; i++)
			run_add(b, &r, le32_get(pfn[i]));
		off += n * sizeof(pfn[0]);
	}
	run_give(b, &r);
}

/* -------- free pages -------- */

static void report(struct balloon *b, const struct vq_chain *c)
{
	if (virtio_has(&b->v, F_PAGE_POISON) && b->poison_val)
		return; /* point 3 */
	for (int i = c->n_out; i < c->n_out + c->n_in; i++)
		gmem_discard_host(memory(b), c->iov[i].iov_base, c->iov[i].iov_len);
}

/* -------- statistics -------- */

static void stats_clear(struct balloon *b)
{
	for (int i = 0; i < BALLOON_STATS; i++)
		b->stats.value[i] = BALLOON_NO_VALUE;
	b->stats.last_update = 0;
}

static void stats_read(struct balloon *b, const struct vq_chain *c)
{
	struct stat_entry e;

	stats_clear(b);
	/* A driver may send more than we know, but a page of them is enough. */
	for (uint64_t off = 0; off < PAGE; off += sizeof(e)) {
		if (vq_chain_read(c, off, &e, sizeof(e)) != sizeof(e))
			break;
		if (le16_get(e.tag) < BALLOON_STATS)
			b->stats.value[le16_get(e.tag)] = le64_get(e.value);
	}
	b->stats.last_update = (int64_t)time(NULL);
}

/* Give the buffer back: the driver fills it anew. */
static void stats_return(struct balloon *b)
{
	struct virtqueue *q = &b->v.vq[Q_STATS];

	if (!b->holds)
		return;
	b->holds = false;
	if (vq_push(q, &b->held, 0) < 0)
		virtio_break(&b->v, "queue %u is damaged", q->index);
	virtio_notify(&b->v, q);
}

static void stats_hold(struct balloon *b, const struct vq_chain *c)
{
	stats_read(b, c);
	stats_return(b); /* a driver that sends two */
	memcpy(b->held_iov, c->iov, (size_t)(c->n_out + c->n_in) * sizeof(*c->iov));
	b->held = *c;
	b->held.iov = b->held_iov;
	b->holds = true;
}

static void arm(struct balloon *b)
{
	if (b->interval)
		loop_timer_arm(&b->timer, clock_mono_ns() + (int64_t)b->interval * NS_PER_SEC);
	else
		loop_timer_disarm(&b->timer);
}

/* On the home loop: statistics are wanted, now or after another while. */
static void timer_fired(void *opaque)
{
	struct balloon *b = opaque;

	mutex_lock(&b->v.pci.dev.lock);
	if (!b->v.quiesced)
		stats_return(b);
	arm(b);
	mutex_unlock(&b->v.pci.dev.lock);
}

/* The interval was changed. */
static void rearm(void *opaque)
{
	struct balloon *b = opaque;

	mutex_lock(&b->v.pci.dev.lock);
	arm(b);
	mutex_unlock(&b->v.pci.dev.lock);
}

/* -------- queues -------- */

/* False: such a chain breaks the device. */
static bool take(struct balloon *b, unsigned int q, const struct vq_chain *c)
{
	switch (q) {
	case Q_INFLATE:
	case Q_DEFLATE:
		if (c->out_len > PFNS_MAX * sizeof(le32))
			return false;
		if (q == Q_INFLATE)
			inflate(b, c);
		return true;
	case Q_STATS:
		if (virtio_has(&b->v, F_STATS_VQ)) {
			stats_hold(b, c);
			return true;
		}
		break;
	}
	if (!virtio_has(&b->v, F_REPORTING)) /* point 5 */
		return false;
	report(b, c);
	return true;
}

static void balloon_queue(struct virtio_device *v, unsigned int q)
{
	struct balloon *b = CONTAINER_OF(v, struct balloon, v);
	struct vq_chain c = { .iov = b->iov };
	int rc;

	while ((rc = vq_pop(&v->vq[q], &c, b->max_iov)) > 0) {
		if (!take(b, q, &c)) {
			virtio_break(v, "queue %u: a request that cannot be", q);
			return;
		}
		if (b->holds && q == Q_STATS)
			continue;
		if (vq_push(&v->vq[q], &c, 0) < 0) {
			rc = -1;
			break;
		}
	}
	if (rc < 0)
		virtio_break(v, "queue %u is damaged", q);
	virtio_notify(v, &v->vq[q]);
}

static uint64_t balloon_features(struct virtio_device *v)
{
	struct balloon *b = CONTAINER_OF(v, struct balloon, v);

	return BIT_ULL(F_STATS_VQ) | (b->cfg.deflate_on_oom ? BIT_ULL(F_DEFLATE_ON_OOM) : 0) |
	       (b->cfg.poison ? BIT_ULL(F_PAGE_POISON) : 0) |
	       (b->cfg.reporting ? BIT_ULL(F_REPORTING) : 0);
}

/* The driver starts anew: all memory is its own, the target stays. */
static void balloon_class_reset(struct virtio_device *v)
{
	struct balloon *b = CONTAINER_OF(v, struct balloon, v);

	b->holds = false;
	b->poison_val = 0;
	b->partial = (struct gmem_partial){ 0 };
	stats_clear(b);
	set_actual(b, 0);
}

static const struct virtio_class balloon_class = {
	.device_id = 5,
	.pci_class = 0x00ff00,
	.config_size = sizeof(struct config_space),
	.features = balloon_features,
	.config_write = balloon_config_write,
	.handle_queue = balloon_queue,
	.reset = balloon_class_reset,
};

/* -------- the control plane's side -------- */

extern const struct device_type virtio_balloon_type;

struct device *balloon_find(struct machine *m)
{
	struct device *d;

	list_for_each (d, &m->devices, node) {
		if (d->type == &virtio_balloon_type && d->realized)
			return d;
	}
	return NULL;
}

void balloon_set_target(struct device *d, uint64_t bytes)
{
	struct balloon *b = balloon_of(d);
	uint64_t all = memory_size(d->machine);
	uint64_t pages = bytes < all ? (all - bytes) >> PAGE_SHIFT : 0;

	mutex_lock(&d->lock);
	b->num_pages = (uint32_t)MIN(pages, UINT32_MAX);
	config_fill(b);
	virtio_config_changed(&b->v);
	mutex_unlock(&d->lock);
}

uint64_t balloon_get_actual(struct device *d)
{
	uint64_t out;

	mutex_lock(&d->lock);
	out = actual_bytes(balloon_of(d));
	mutex_unlock(&d->lock);
	return out;
}

bool balloon_get_stats(struct device *d, struct balloon_stats *out)
{
	struct balloon *b = balloon_of(d);
	bool has;

	mutex_lock(&d->lock);
	has = b->v.started && virtio_has(&b->v, F_STATS_VQ);
	*out = b->stats;
	mutex_unlock(&d->lock);
	return has;
}

void balloon_set_interval(struct device *d, uint32_t seconds)
{
	struct balloon *b = balloon_of(d);

	assert(seconds <= BALLOON_INTERVAL_MAX);
	mutex_lock(&d->lock);
	b->interval = seconds;
	mutex_unlock(&d->lock);
	loop_post(d->home, &b->rearm);
}

uint32_t balloon_get_interval(struct device *d)
{
	return balloon_of(d)->interval; /* main's */
}

static bool get_stats(struct device *d, struct str *json, struct error *err)
{
	struct balloon_stats s;

	balloon_get_stats(d, &s);
	str_append(json, "{\"stats\": {");
	for (int i = 0; i < BALLOON_STATS; i++)
		str_appendf(json, "%s\"%s\": %llu", i ? ", " : "", balloon_stat_names[i],
			(unsigned long long)s.value[i]);
	str_appendf(json, "}, \"last-update\": %lld}", (long long)s.last_update);
	return true;
}

static bool get_interval(struct device *d, struct str *json, struct error *err)
{
	str_appendf(json, "%u", balloon_get_interval(d));
	return true;
}

static bool set_interval(struct device *d, const char *value, struct error *err)
{
	char *end;
	long long v = strtoll(value, &end, 10);

	if (end == value || *end || v < 0 || v > BALLOON_INTERVAL_MAX)
		return error_usage(err,
			"guest-stats-polling-interval '%s': seconds from 0 to %u are wanted", value,
			BALLOON_INTERVAL_MAX);
	balloon_set_interval(d, (uint32_t)v);
	return true;
}

static const struct device_property balloon_properties[] = {
	{ "guest-stats", "guest statistics", get_stats, NULL },
	{ "guest-stats-polling-interval", "int", get_interval, set_interval },
	{ .name = NULL },
};

/* -------- life -------- */

static void timer_make(void *opaque)
{
	struct balloon *b = opaque;

	loop_timer_init(&b->timer, b->v.pci.dev.home, timer_fired, b);
	if (b->interval)
		arm(b);
}

static void timer_end(void *opaque)
{
	struct balloon *b = opaque;

	loop_defer_cancel(b->v.pci.dev.home, &b->rearm);
	loop_timer_fini(&b->timer);
}

static void balloon_end(struct balloon *b)
{
	loop_call(b->v.pci.dev.home, timer_end, b);
	free(b->iov);
	free(b->held_iov);
	b->iov = b->held_iov = NULL;
}

static bool balloon_realize(struct device *d, struct error *err)
{
	struct balloon *b = balloon_of(d);

	d->home = machine_io_loop(d->machine, b->cfg.virtio.iothread, err);
	if (!d->home)
		return false;
	b->max_iov = (int)b->cfg.virtio.queue_size + VQ_IOV_MAX - VQ_SIZE_MAX;
	b->iov = calloc((size_t)b->max_iov, sizeof(*b->iov));
	b->held_iov = calloc((size_t)b->max_iov, sizeof(*b->held_iov));
	if (!b->iov || !b->held_iov) {
		free(b->iov);
		free(b->held_iov);
		return error_set(err, "out of memory");
	}
	stats_clear(b);
	b->interval = b->cfg.interval;
	loop_defer_init(&b->rearm, rearm, b);
	loop_call(d->home, timer_make, b);
	if (!virtio_init(&b->v, &balloon_class, &b->cfg.virtio, QUEUES, err)) {
		balloon_end(b);
		return false;
	}
	config_fill(b);
	return true;
}

static void balloon_quiesce(struct device *d)
{
	struct balloon *b = balloon_of(d);

	virtio_quiesce(d);
	mutex_lock(&d->lock);
	if (b->holds)
		vq_unpop(&b->v.vq[Q_STATS], &b->held);
	b->holds = false;
	mutex_unlock(&d->lock);
}

static void balloon_unrealize(struct device *d)
{
	struct balloon *b = balloon_of(d);

	balloon_quiesce(d);
	virtio_fini(&b->v);
	balloon_end(b);
}

static bool balloon_post_load(struct device *d, struct error *err)
{
	struct balloon *b = balloon_of(d);

	if (!virtio_post_load(d, err))
		return false;
	config_fill(b);
	tell(b);
	return true;
}

static const struct field config_fields[] = {
	FIELD_BOOL(struct balloon_config, deflate_on_oom, "deflate-on-oom", .dflt = "off",
		.doc = "the guest may take memory back when it has none left"),
	FIELD_BOOL(struct balloon_config, reporting, "free-page-reporting", .dflt = "on",
		.doc = "memory that the guest frees goes back to the host"),
	FIELD_BOOL(struct balloon_config, poison, "page-poison", .dflt = "on",
		.doc = "learn with what the guest fills free pages"),
	FIELD_U32(struct balloon_config, interval, "guest-stats-polling-interval",
		.max = BALLOON_INTERVAL_MAX, .dflt = "0",
		.doc = "ask the guest for statistics each so many seconds; 0: never"),
	VIRTIO_FIELDS(struct balloon_config, virtio),
};
static const struct field_table config_table = FIELD_TABLE(
	"virtio-balloon-pci", struct balloon_config, config_fields);

static const struct field state_fields[] = {
	FIELD_STRUCT(struct balloon, v, "virtio", &virtio_device_state, .tag = 1),
	FIELD_U32(struct balloon, num_pages, "num-pages", .tag = 2),
	FIELD_U32(struct balloon, actual, "actual", .tag = 3),
	FIELD_U32(struct balloon, poison_val, "poison", .tag = 4),
};
static const struct field_table state_table = FIELD_TABLE(
	"virtio-balloon-pci", struct balloon, state_fields);

const struct device_type virtio_balloon_type = {
	.name = "virtio-balloon-pci",
	.alias = "virtio-balloon-pci-non-transitional",
	.doc = "memory balloon: gives the host what the guest does not use",
	.bus = BUS_PCI,
	.flags = DEVICE_USER | DEVICE_SINGLE,
	.size = sizeof(struct balloon),
	.config = &config_table,
	.config_off = offsetof(struct balloon, cfg),
	.state = &state_table,
	.realize = balloon_realize,
	.unrealize = balloon_unrealize,
	.reset = virtio_reset,
	.quiesce = balloon_quiesce,
	.resume = virtio_resume,
	.pre_save = virtio_pre_save,
	.post_load = balloon_post_load,
	.properties = balloon_properties,
	.test_options = "",
};
