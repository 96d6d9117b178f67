// SPDX-License-Identifier: GPL-2.0-or-later
/* The disk as its device sees it: checks, accounting, the way into the format. */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/ovf.h"
#include "block/block_int.h"

#define REQUEST_ALIGN 512u

static const char *const cache_names[] = { "writeback", "none", "writethrough", "unsafe", NULL };
static const char *const discard_names[] = { "ignore", "unmap", "off", "on", NULL };
static const char *const detect_names[] = { "off", "on", "unmap", NULL };

static const struct field block_config_fields[] = {
	FIELD_STR(struct block_config, file, "file", .flags = FF_FIRST | FF_REQUIRED,
		.doc = "image file or host block device"),
	FIELD_STR(struct block_config, format, "format", .doc = "raw; never guessed"),
	FIELD_STR(struct block_config, id, "id", .doc = "name of the disk"),
	FIELD_BOOL(struct block_config, readonly, "readonly", .dflt = "off",
		.doc = "the guest cannot write; several VMs may share the image"),
	FIELD_BOOL(struct block_config, snapshot, "snapshot", .dflt = "off",
		.doc = "writes go to a temporary file that vanishes with the VM"),
	FIELD_ENUM(struct block_config, cache, "cache", cache_names, .dflt = "writeback",
		.doc = "host page cache: used, none (O_DIRECT), every write durable, flushes "
		       "ignored"),
	FIELD_ENUM(struct block_config, discard, "discard", discard_names, .dflt = "ignore",
		.doc = "give space back that the guest discards"),
	FIELD_ENUM(struct block_config, detect_zeroes, "detect-zeroes", detect_names, .dflt = "off",
		.doc = "turn writes of zeroes into write-zeroes requests"),
	FIELD_STRUCT(struct block_config, limits, "throttling", &block_limits_table,
		.doc = "how much it may do a second"),
};
const struct field_table block_config_table = FIELD_TABLE(
	"disk", struct block_config, block_config_fields);

struct block_dev *block_dev_new(const char *id, struct error *err)
{
	struct block_dev *b = calloc(1, sizeof(*b));

	if (!b || !(b->id = strdup(id))) {
		free(b);
		error_set(err, "out of memory");
		return NULL;
	}
	return b;
}

void block_dev_fill_info(struct block_dev *b)
{
	const struct block_file *f = b->file;

	b->info = (struct block_info){
		.size = f->size,
		.logical_block = f->logical,
		.physical_block = f->physical,
		.request_align = REQUEST_ALIGN,
		.opt_io = f->opt_io,
		.readonly = f->readonly,
		.can_discard = f->discard && !f->readonly,
		.can_write_zeroes = !f->readonly,
		.rotational = f->rotational,
	};
}

void block_close(struct block_dev *b)
{
	if (!b)
		return;
	assert(!block_in_flight(b));
	block_limits_close(b);
	if (b->format && b->format->close)
		b->format->close(b);
	block_file_close(b->file);
	free(b->id);
	free(b);
}

const struct block_info *block_get_info(const struct block_dev *b)
{
	return &b->info;
}

const char *block_id(const struct block_dev *b)
{
	return b->id;
}

uint32_t block_in_flight(const struct block_dev *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < BLOCK_LANES_MAX; i++)
		n += atomic_load_explicit(&b->lane[i].in_flight, memory_order_relaxed);
	return n;
}

void block_set_writethrough(struct block_dev *b, bool on)
{
	atomic_store_explicit(&b->file->guest_through, on, memory_order_relaxed);
}

/* An overlay's map, and writes that must not overlap, are looked at by each request. */
uint32_t block_max_lanes(const struct block_dev *b)
{
	const struct block_file *f = b->file;

	return f->overlay_fd >= 0 || f->rmw_align > REQUEST_ALIGN ? 1 : BLOCK_LANES_MAX;
}

bool block_attach(struct block_dev *b, struct loop *const *loops, uint32_t n, struct error *err)
{
	assert(n >= 1 && n <= block_max_lanes(b));
	if (b->loop)
		return error_usage(err, "disk '%s' is already used by another device", b->id);
	for (uint32_t i = 0; i < n; i++)
		b->lane[i].loop = loops[i];
	b->n_lanes = n;
	b->loop = b->file->loop = loops[0];
	block_limits_attach(b);
	return true;
}

void block_detach(struct block_dev *b)
{
	assert(!block_in_flight(b));
	block_limits_detach(b);
	if (b->file->pool)
		worker_pool_settle(b->file->pool); /* the loops may end now */
	b->loop = b->file->loop = NULL;
	b->user = NULL;
	b->n_lanes = 0;
}

bool block_is_attached(const struct block_dev *b)
{
	return b->loop;
}

/* 0, or why the request cannot be. */
static int check(const struct block_dev *b, const struct block_req *r)
{
	if (r->op == BLOCK_FLUSH)
		return 0;
	if (r->op != BLOCK_READ && b->info.readonly)
		return -EROFS;
	if ((r->offset | r->len) & (REQUEST_ALIGN - 1))
		return -EINVAL;
	return range_fits(r->offset, r->len, b->info.size) ? 0 : -EIO;
}

/* -------- accounting -------- */

static enum block_stat stat_of(enum block_op op)
{
	static const enum block_stat stats[] = {
		[BLOCK_READ] = BLOCK_STAT_READ,
		[BLOCK_WRITE] = BLOCK_STAT_WRITE,
		[BLOCK_FLUSH] = BLOCK_STAT_FLUSH,
		[BLOCK_DISCARD] = BLOCK_STAT_DISCARD,
		[BLOCK_WRITE_ZEROES] = BLOCK_STAT_WRITE,
	};

	return stats[op];
}

/* One thread writes: no locked instruction is needed. */
static void add(_Atomic uint64_t *n, uint64_t what)
{
	atomic_store_explicit(
		n, atomic_load_explicit(n, memory_order_relaxed) + what, memory_order_relaxed);
}

void block_account(struct block_dev *b, const struct block_req *r, int res)
{
	struct block_lane *l = &b->lane[r->lane];
	enum block_stat s = stat_of(r->op);
	int64_t now = clock_mono_ns();

	atomic_store_explicit(&l->last_ns, now, memory_order_relaxed);
	if (res < 0) {
		add(&l->failed[s], 1);
		return;
	}
	add(&l->ops[s], 1);
	add(&l->bytes[s], r->op == BLOCK_FLUSH ? 0 : r->len);
	add(&l->ns[s], (uint64_t)(now - r->start_ns));
	if (s == BLOCK_STAT_WRITE && r->offset + r->len > l->write_end)
		atomic_store_explicit(&l->write_end, r->offset + r->len, memory_order_relaxed);
}

static void count_in_flight(struct block_lane *l, uint32_t by)
{
	uint32_t n = atomic_load_explicit(&l->in_flight, memory_order_relaxed);

	atomic_store_explicit(&l->in_flight, n + by, memory_order_relaxed);
}

/* On the loop that it came on. */
static void end_here(struct block_req *r, int res)
{
	if (r->dev) {
		count_in_flight(&r->dev->lane[r->lane], (uint32_t)-1);
		block_account(r->dev, r, res);
	}
	r->done(r, res);
}

static void hopped_back(void *opaque)
{
	struct block_req *r = opaque;

	end_here(r, r->hop_res);
}

void block_req_end(struct block_req *r, int res)
{
	if (!r->hopped) {
		end_here(r, res);
		return;
	}
	r->hopped = false;
	r->hop_res = res;
	loop_defer_init(&r->hop, hopped_back, r);
	loop_post(r->dev->lane[r->lane].loop, &r->hop);
}

void block_get_stats(const struct block_dev *b, struct block_stats *out)
{
	memset(out, 0, sizeof(*out));
	for (uint32_t k = 0; k < BLOCK_LANES_MAX; k++) {
		const struct block_lane *l = &b->lane[k];

		for (int i = 0; i < BLOCK_STATS; i++) {
			out->of[i].ops += l->ops[i];
			out->of[i].bytes += l->bytes[i];
			out->of[i].ns += l->ns[i];
			out->of[i].failed += l->failed[i];
			out->of[i].invalid += l->invalid[i];
		}
		out->write_end = MAX(out->write_end, l->write_end);
		out->last_ns = MAX(out->last_ns, l->last_ns);
	}
}

const char *block_filename(const struct block_dev *b)
{
	return b->file->path ?: "";
}

uint64_t block_allocated(const struct block_dev *b)
{
	return block_file_allocated(b->file);
}

const char *block_format_name(const struct block_dev *b)
{
	return b->format->name;
}

int block_cache_mode(const struct block_dev *b)
{
	return b->cache;
}

int block_detect_zeroes_mode(const struct block_dev *b)
{
	return b->detect_zeroes;
}

void block_submit(struct block_dev *b, struct block_req *r)
{
	int res = check(b, r);

	assert(b->loop && r->lane < b->n_lanes);
	if (res)
		add(&b->lane[r->lane].invalid[stat_of(r->op)], 1);
	if (res || (!r->len && r->op != BLOCK_FLUSH)) {
		r->done(r, res);
		return;
	}
	r->dev = b;
	r->loop = b->lane[r->lane].loop;
	r->hopped = false;
	r->start_ns = clock_mono_ns();
	count_in_flight(&b->lane[r->lane], 1);
	if (!block_limits_hold(b, r))
		b->format->submit(b, r);
}

/* -------- a VM that is saved -------- */

struct flush_call {
	struct block_dev *b;
	struct block_req req;
	int res; /* 1: not yet */
	struct mutex lock;
	pthread_cond_t cond;
};

static void flush_call_done(struct block_req *r, int res)
{
	struct flush_call *c = r->opaque;

	mutex_lock(&c->lock);
	c->res = res;
	pthread_cond_signal(&c->cond);
	mutex_unlock(&c->lock);
}

static void flush_call_start(void *opaque)
{
	struct flush_call *c = opaque;

	c->req = (struct block_req){ .op = BLOCK_FLUSH, .done = flush_call_done, .opaque = c };
	block_submit(c->b, &c->req);
}

/* When the disk's loop is our own, it is run here. */
static void flush_call_wait(struct flush_call *c)
{
	mutex_lock(&c->lock);
	while (c->res > 0) {
		if (!loop_in_thread(c->b->loop)) {
			pthread_cond_wait(&c->cond, &c->lock.m);
			continue;
		}
		mutex_unlock(&c->lock);
		loop_run_once(c->b->loop, -1);
		mutex_lock(&c->lock);
	}
	mutex_unlock(&c->lock);
}

bool block_flush(struct block_dev *b, struct error *err)
{
	struct flush_call c = { .b = b, .res = 1, .lock = MUTEX_INIT };

	if (!b->loop || b->info.readonly)
		return true;
	pthread_cond_init(&c.cond, NULL);
	loop_call(b->loop, flush_call_start, &c);
	flush_call_wait(&c);
	pthread_cond_destroy(&c.cond);
	return !c.res || error_set_errno(err, c.res, "disk '%s' cannot be flushed", b->id);
}

void block_release(struct block_dev *b)
{
	block_file_unlock(b->file);
}

bool block_acquire(struct block_dev *b, struct error *err)
{
	if (block_file_lock(b->file, err))
		return true;
	block_file_unlock(b->file);
	return error_prefix(err, "disk '%s'", b->id);
}

bool block_is_temporary(const struct block_dev *b)
{
	return b->file->overlay_fd >= 0;
}
