// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * file_io - how a request on a file is carried out: a small state machine per request, all of whose
 * state is in the request. Most requests are one READV or WRITEV on the caller's iovecs; the rest:
 *
 * 1. Short transfers, more than IOV_MAX iovecs and more than STEP_MAX bytes go on from a cursor
 *    (iov_idx, iov_off). A step uses the caller's array where whole elements fit and `part` where
 *    an element must be cut, so nothing is copied or allocated.
 * 2. Requests that O_DIRECT cannot take as they lie go through a bounce slot in chunks; writes that
 *    cover a unit of rmw_align partly read it first.
 * 3. Because of 2, modifying requests that share a unit are serialised (`active`, `waiting`) when
 *    the unit is larger than a sector: otherwise two writes to neighbouring sectors lose one.
 * 4. snapshot=on is a bitmap of units that live in the overlay. Reads are cut where the bitmap
 *    changes; writes go to the overlay in whole units (2 makes them whole) and set bits when done.
 * 5. A flush covers the writes that were done before it was submitted (write_gen). Flushes and writes that
 *    have to be durable share calls of fdatasync: file_sync.c.
 * 6. A request is carried out on the loop that it came on, and uses of the file only what is fixed or atomic; one
 *    that may need a slot, a list or the worker goes over to the home loop for that and comes back when it is
 *    done. A write raises write_gen before it is told as done, so a flush that the guest asks for
 *    after that, on whichever loop, sees it.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include "base/ovf.h"
#include "block/block_int.h"

/* Bytes one system call is asked to move; the kernel's limit is a little below 2 GiB. */
#define STEP_MAX   (1ull << 30)
#define ZERO_CHUNK 65536u
#define ZERO_IOVS  16u

enum stage {
	ST_RW,	   /* the caller's iovecs */
	ST_BREAD,  /* into the bounce slot */
	ST_BWRITE, /* from it */
	ST_PUNCH,  /* zeroes by FALLOC_FL_PUNCH_HOLE */
	ST_RANGE,  /* zeroes by FALLOC_FL_ZERO_RANGE */
	ST_ZWRITE, /* zeroes by writing them */
	ST_DISCARD,
};

/* Never written; untouched pages of it cost nothing. */
static _Alignas(4096) uint8_t zeroes[ZERO_CHUNK];
#define Z4                                                                      \
	{ zeroes, ZERO_CHUNK }, { zeroes, ZERO_CHUNK }, { zeroes, ZERO_CHUNK }, \
	{                                                                       \
		zeroes, ZERO_CHUNK                                              \
	}
static const struct iovec zero_iov[ZERO_IOVS] = { Z4, Z4, Z4, Z4 };

static void io_done(struct loop_io *io, int64_t res);
static void begin(struct block_file *f, struct block_req *r);
static void chunk_begin(struct block_file *f, struct block_req *r);
static void zero_begin(struct block_file *f, struct block_req *r, enum stage first);
static void discard_next(struct block_file *f);

static struct block_req *io_req(struct loop_io *io)
{
	return CONTAINER_OF(io, struct block_req, io);
}

static bool modifies(const struct block_req *r)
{
	return r->op == BLOCK_WRITE || r->op == BLOCK_WRITE_ZEROES || r->op == BLOCK_DISCARD;
}

/* -------- serialising (point 3) -------- */

static bool conflict(
	const struct block_file *f, const struct block_req *a, const struct block_req *b)
{
	uint64_t mask = ~(uint64_t)(f->rmw_align - 1), up = f->rmw_align - 1;

	return (a->offset & mask) < ((b->offset + b->len + up) & mask) &&
	       (b->offset & mask) < ((a->offset + a->len + up) & mask);
}

static bool conflicts_in(const struct block_file *f, const struct list *head,
	const struct block_req *r, const struct block_req *stop)
{
	struct block_req *it;

	list_for_each (it, head, node) {
		if (it == stop)
			break;
		if (conflict(f, it, r))
			return true;
	}
	return false;
}

/* Start what no longer has to wait, in order; begin() may end requests and come back here. */
static void start_waiting(struct block_file *f)
{
	struct block_req *r;

	if (f->starting)
		return; /* the outer call goes on */
	f->starting = true;
again:
	list_for_each (r, &f->waiting, node) {
		if (conflicts_in(f, &f->active, r, NULL) || conflicts_in(f, &f->waiting, r, r))
			continue;
		list_del(&r->node);
		list_add_tail(&f->active, &r->node);
		begin(f, r);
		goto again;
	}
	f->starting = false;
}

/* -------- the end of a request -------- */

static void bounce_release(struct block_file *f, struct block_req *r)
{
	struct block_req *next = list_first(&f->bounce_wait, struct block_req, wait);

	f->bounce_free |= BIT((uint32_t)(r->bounce - f->bounce) / BOUNCE_SIZE);
	r->bounce = NULL;
	if (next) {
		list_del(&next->wait);
		chunk_begin(f, next);
	}
}

static void finish(struct block_file *f, struct block_req *r, int res)
{
	if (modifies(r) && !r->counted)
		atomic_fetch_add(&f->write_gen, 1);
	if (r->special) {
		if (r->bounce)
			bounce_release(f, r);
		if (r->tracked) {
			r->tracked = false;
			list_del(&r->node);
			start_waiting(f);
		}
	}
	block_req_end(r, res);
}

static bool want_fua(const struct block_file *f, const struct block_req *r)
{
	return !f->unsafe && r->op != BLOCK_DISCARD &&
	       (r->fua || f->cache_through ||
		       atomic_load_explicit(&f->guest_through, memory_order_relaxed));
}

static void submit_io(
	struct block_file *f, struct block_req *r, enum stage stage, enum loop_io_kind kind, int fd)
{
	r->stage = stage;
	r->io.kind = kind;
	r->io.fd = fd;
	r->io.done = io_done;
	r->io.opaque = f;
	loop_io_submit(r->loop, &r->io);
}

/* All bytes are written: make them durable if that is wanted now; the guest may have turned its write
 * cache off meanwhile. */
static void written(struct block_file *f, struct block_req *r)
{
	if (!want_fua(f, r)) {
		finish(f, r, 0);
		return;
	}
	r->progress = atomic_fetch_add(&f->write_gen, 1) + 1;
	r->counted = true;
	block_file_sync(f, r);
}

void block_file_synced(struct block_file *f, struct block_req *r, int res)
{
	finish(f, r, res);
}

/* -------- overlay (point 4) -------- */

static bool in_overlay(const struct block_file *f, uint64_t unit)
{
	return f->overlay_map[unit / 64] >> (unit % 64) & 1;
}

static void overlay_mark(struct block_file *f, uint64_t off, uint64_t len)
{
	if (f->overlay_fd < 0)
		return;
	for (uint64_t u = off / OVERLAY_UNIT; u * OVERLAY_UNIT < off + len; u++)
		f->overlay_map[u / 64] |= BIT_ULL(u % 64);
}

/* Where bytes from @pos are to be read; cuts *@len to what lies there in one run. */
static int read_fd(const struct block_file *f, uint64_t pos, uint64_t *len)
{
	uint64_t unit = pos / OVERLAY_UNIT, end;
	bool over;

	if (f->overlay_fd < 0)
		return f->fd;
	over = in_overlay(f, unit);
	for (end = (unit + 1) * OVERLAY_UNIT; end - pos < *len; end += OVERLAY_UNIT) {
		if (in_overlay(f, ++unit) != over)
			break;
	}
	*len = MIN(*len, end - pos);
	return over ? f->overlay_fd : f->fd;
}

static int write_fd(const struct block_file *f)
{
	return f->overlay_fd >= 0 ? f->overlay_fd : f->fd;
}

/* -------- the cursor over the caller's iovecs (point 1) -------- */

static void cursor_advance(struct block_req *r, uint64_t n)
{
	r->progress += n;
	while (n && r->iov_idx < (uint32_t)r->n_iov) {
		uint64_t left = r->iov[r->iov_idx].iov_len - r->iov_off;

		if (n < left) {
			r->iov_off += n;
			return;
		}
		n -= left;
		r->iov_idx++;
		r->iov_off = 0;
	}
}

/* Set up r->io for at most @max bytes from the cursor: false when the iovecs are at their end. */
static bool cursor_io(struct block_req *r, uint64_t max)
{
	const struct iovec *v = r->iov + r->iov_idx;
	uint64_t sum = 0;
	int n = 0, left = r->n_iov - (int)r->iov_idx;

	while (left && !v->iov_len) { /* empty elements */
		v++, left--, r->iov_idx++;
		r->iov_off = 0;
	}
	if (!left)
		return false;
	if (r->iov_off || v->iov_len > max) {
		r->part.iov_base = (uint8_t *)v->iov_base + r->iov_off;
		r->part.iov_len = MIN(v->iov_len - r->iov_off, max);
		r->io.iov = &r->part;
		r->io.n_iov = 1;
		return true;
	}
	while (n < left && n < IOV_MAX && v[n].iov_len <= max - sum)
		sum += v[n++].iov_len;
	r->io.iov = v;
	r->io.n_iov = n;
	return true;
}

/* Copy @n bytes between the bounce memory @p and the cursor, advancing it. @p NULL: zero-fill. */
static void cursor_copy(struct block_req *r, uint8_t *p, uint64_t n, bool to_caller)
{
	while (n && r->iov_idx < (uint32_t)r->n_iov) {
		const struct iovec *v = r->iov + r->iov_idx;
		uint8_t *q = (uint8_t *)v->iov_base + r->iov_off;
		uint64_t len = MIN(n, v->iov_len - r->iov_off);

		if (!p)
			memset(q, 0, len);
		else if (to_caller)
			memcpy(q, p, len);
		else
			memcpy(p, q, len);
		if (p)
			p += len;
		n -= len;
		if (len)
			cursor_advance(r, len);
		else
			r->iov_idx++, r->iov_off = 0;
	}
}

/* -------- plain transfers -------- */

static void rw_step(struct block_file *f, struct block_req *r)
{
	uint64_t left = MIN(r->len - r->progress, STEP_MAX);
	bool write = r->op != BLOCK_READ;
	int fd = write ? write_fd(f) : read_fd(f, r->offset + r->progress, &left);

	if (!cursor_io(r, left)) {
		finish(f, r, -EINVAL); /* the caller's iovecs are shorter than its length */
		return;
	}
	r->io.offset = r->offset + r->progress;
	submit_io(f, r, ST_RW, write ? LOOP_IO_WRITEV : LOOP_IO_READV, fd);
}

static uint64_t io_bytes(const struct loop_io *io)
{
	uint64_t n = 0;

	for (int i = 0; i < io->n_iov; i++)
		n += io->iov[i].iov_len;
	return n;
}

static void rw_done(struct block_file *f, struct block_req *r, uint64_t n)
{
	if (!n && r->op == BLOCK_READ) {
		/* The file has become shorter than it was: the rest reads as zeroes. */
		cursor_copy(r, NULL, io_bytes(&r->io), true);
	} else if (!n) {
		finish(f, r, -EIO);
		return;
	} else {
		cursor_advance(r, n);
	}
	if (r->progress < r->len) {
		rw_step(f, r);
	} else if (r->op == BLOCK_READ) {
		finish(f, r, 0);
	} else {
		overlay_mark(f, r->offset, r->len);
		written(f, r);
	}
}

/* -------- bounce (point 2) -------- */

/* The chunk at the cursor: [a0, a1) in whole units, of which [pos, pos + n) is the request's. */
struct chunk {
	uint64_t a0, a1, pos, n;
};

static struct chunk chunk_at(const struct block_file *f, const struct block_req *r)
{
	uint64_t unit = r->op == BLOCK_READ ? f->dio_align : f->rmw_align, end = r->offset + r->len;
	struct chunk c = { .pos = r->offset + r->progress };

	c.a0 = ALIGN_DOWN(c.pos, unit);
	c.a1 = MIN(ALIGN_UP(end, unit), ALIGN_UP(f->size, (uint64_t)f->dio_align));
	c.a1 = MIN(c.a1, c.a0 + BOUNCE_SIZE);
	c.n = MIN(end, c.a1) - c.pos;
	return c;
}

static void bounce_io(struct block_file *f, struct block_req *r, enum stage stage)
{
	struct chunk c = chunk_at(f, r);
	uint64_t pos = c.a0 + r->bounce_done, len = c.a1 - pos;
	int fd = stage == ST_BREAD ? read_fd(f, pos, &len) : write_fd(f);

	r->part = (struct iovec){ r->bounce + r->bounce_done, len };
	r->io.iov = &r->part;
	r->io.n_iov = 1;
	r->io.offset = pos;
	submit_io(f, r, stage, stage == ST_BREAD ? LOOP_IO_READV : LOOP_IO_WRITEV, fd);
}

/* The slot holds what surrounds the caller's bytes: put those in and write. */
static void chunk_write(struct block_file *f, struct block_req *r)
{
	struct chunk c = chunk_at(f, r);
	uint64_t iov_off = r->iov_off, progress = r->progress;
	uint32_t iov_idx = r->iov_idx;

	if (r->act == BLOCK_WRITE_ZEROES) {
		memset(r->bounce + (c.pos - c.a0), 0, c.n);
	} else {
		cursor_copy(r, r->bounce + (c.pos - c.a0), c.n, false);
		/* The cursor moves on only when the chunk has been written. */
		r->iov_off = iov_off;
		r->iov_idx = iov_idx;
		r->progress = progress;
	}
	r->bounce_done = 0;
	bounce_io(f, r, ST_BWRITE);
}

static void chunk_begin(struct block_file *f, struct block_req *r)
{
	struct chunk c = chunk_at(f, r);

	if (!r->bounce) {
		if (!f->bounce_free) {
			list_add_tail(&f->bounce_wait, &r->wait);
			return;
		}
		r->bounce = f->bounce + (size_t)__builtin_ctz(f->bounce_free) * BOUNCE_SIZE;
		f->bounce_free &= f->bounce_free - 1;
	}
	r->bounce_done = 0;
	if (r->op != BLOCK_READ && c.pos == c.a0 && c.pos + c.n == c.a1)
		chunk_write(f, r);
	else
		bounce_io(f, r, ST_BREAD);
}

/* A chunk is through: go on or end. */
static void chunk_next(struct block_file *f, struct block_req *r)
{
	if (r->progress < r->len)
		chunk_begin(f, r);
	else if (r->op == BLOCK_READ)
		finish(f, r, 0);
	else
		written(f, r);
}

static void bounce_read_done(struct block_file *f, struct block_req *r, uint64_t n)
{
	struct chunk c = chunk_at(f, r);

	if (!n) {
		memset(r->part.iov_base, 0, r->part.iov_len);
		n = r->part.iov_len;
	}
	r->bounce_done += n;
	/* O_DIRECT goes on from an aligned place only: the file's last, short block ends a read. */
	if (f->direct && (r->bounce_done & (f->dio_align - 1)) && r->bounce_done < c.a1 - c.a0) {
		memset(r->bounce + r->bounce_done, 0, c.a1 - c.a0 - r->bounce_done);
		r->bounce_done = c.a1 - c.a0;
	}
	if (r->bounce_done < c.a1 - c.a0) {
		bounce_io(f, r, ST_BREAD);
	} else if (r->op == BLOCK_READ) {
		cursor_copy(r, r->bounce + (c.pos - c.a0), c.n, true);
		chunk_next(f, r);
	} else {
		chunk_write(f, r);
	}
}

static void bounce_write_done(struct block_file *f, struct block_req *r, uint64_t n)
{
	struct chunk c = chunk_at(f, r);

	if (!n) {
		finish(f, r, -EIO);
		return;
	}
	r->bounce_done += n;
	if (r->bounce_done < c.a1 - c.a0) {
		bounce_io(f, r, ST_BWRITE);
		return;
	}
	overlay_mark(f, c.a0, c.a1 - c.a0);
	if (r->act == BLOCK_WRITE_ZEROES)
		r->progress += c.n;
	else
		cursor_advance(r, c.n);
	chunk_next(f, r);
}

/* Can the request go to the kernel as it is? */
static bool as_is(const struct block_file *f, const struct block_req *r)
{
	uint32_t unit = r->op == BLOCK_READ ? f->dio_align : f->rmw_align;

	if ((r->offset | r->len) & (unit - 1))
		return false;
	for (int i = 0; f->direct && r->act != BLOCK_WRITE_ZEROES && i < r->n_iov; i++) {
		if (((uintptr_t)r->iov[i].iov_base & (f->mem_align - 1)) ||
			(r->iov[i].iov_len & (f->dio_align - 1)))
			return false;
	}
	return true;
}

/* -------- zeroes and discards -------- */

static void fallocate_io(struct block_file *f, struct block_req *r, enum stage stage, int mode)
{
	r->io.falloc_mode = mode | FALLOC_FL_KEEP_SIZE;
	r->io.offset = r->offset;
	r->io.len = r->len;
	submit_io(f, r, stage, LOOP_IO_FALLOCATE, write_fd(f));
}

static void zwrite_step(struct block_file *f, struct block_req *r)
{
	uint64_t left = r->len - r->progress;

	if (left >= ZERO_CHUNK) {
		r->io.iov = zero_iov;
		r->io.n_iov = (int)MIN(left / ZERO_CHUNK, ZERO_IOVS);
	} else {
		r->part = (struct iovec){ zeroes, left };
		r->io.iov = &r->part;
		r->io.n_iov = 1;
	}
	r->io.offset = r->offset + r->progress;
	submit_io(f, r, ST_ZWRITE, LOOP_IO_WRITEV, write_fd(f));
}

/* Try from @first on: punching a hole, zeroing the range, writing zeroes. */
static void zero_begin(struct block_file *f, struct block_req *r, enum stage first)
{
	bool whole = as_is(f, r);
	/* In an overlay only whole units can be marked; block devices want whole sectors. */
	bool falloc = whole || (f->overlay_fd < 0 && !f->blkdev);
	/* An overlay is ours alone: holes in it need nobody's leave. */
	bool unmap = f->overlay_fd >= 0 || (r->may_unmap && f->discard);

	if (first <= ST_PUNCH && falloc && unmap && !f->no_punch) {
		fallocate_io(f, r, ST_PUNCH, FALLOC_FL_PUNCH_HOLE);
	} else if (first <= ST_RANGE && falloc && !f->no_zero_range) {
		fallocate_io(f, r, ST_RANGE, FALLOC_FL_ZERO_RANGE);
	} else if (whole) {
		zwrite_step(f, r);
	} else {
		chunk_begin(f, r);
	}
}

static bool unsupported(int64_t res)
{
	return res == -EOPNOTSUPP || res == -ENOSYS || res == -ENODEV || res == -EINVAL;
}

/* A fallocate of zero_begin's has come back. */
static void zero_done(struct block_file *f, struct block_req *r, int64_t res)
{
	if (unsupported(res)) {
		_Atomic bool *flag = r->stage == ST_PUNCH ? &f->no_punch : &f->no_zero_range;

		/* EINVAL may be about this range only. */
		if (res != -EINVAL)
			*flag = true;
		zero_begin(f, r, (enum stage)(r->stage + 1));
	} else if (res < 0) {
		finish(f, r, (int)res);
	} else {
		overlay_mark(f, r->offset, r->len);
		written(f, r);
	}
}

static void zwrite_done(struct block_file *f, struct block_req *r, uint64_t n)
{
	if (!n) {
		finish(f, r, -EIO);
		return;
	}
	r->progress += n;
	if (r->progress < r->len) {
		zwrite_step(f, r);
		return;
	}
	overlay_mark(f, r->offset, r->len);
	written(f, r);
}

/* BLKDISCARD has no asynchronous form here: one at a time on a worker thread. */
static void discard_work(void *opaque)
{
	struct block_file *f = opaque;
	uint64_t range[2] = { f->job_req->offset, f->job_req->len };

	f->job_res = ioctl(f->fd, BLKDISCARD, range) < 0 ? -errno : 0;
}

static void discard_worked(void *opaque)
{
	struct block_file *f = opaque;
	struct block_req *r = TAKE(f->job_req);
	int res = unsupported(f->job_res) ? 0 : f->job_res;

	discard_next(f);
	finish(f, r, res);
}

static void discard_next(struct block_file *f)
{
	struct block_req *r = list_first(&f->job_wait, struct block_req, wait);

	if (f->job_req || !r)
		return;
	list_del(&r->wait);
	f->job_req = r;
	f->job.work = discard_work;
	f->job.done = discard_worked;
	f->job.opaque = f;
	worker_submit(f->pool, f->loop, &f->job);
}

static void discard_begin(struct block_file *f, struct block_req *r)
{
	if (!f->discard || f->overlay_fd >= 0 || f->no_punch) {
		finish(f, r, 0); /* a hint: nothing has to happen */
	} else if (f->blkdev) {
		list_add_tail(&f->job_wait, &r->wait);
		discard_next(f);
	} else {
		fallocate_io(f, r, ST_DISCARD, FALLOC_FL_PUNCH_HOLE);
	}
}

static void discard_done(struct block_file *f, struct block_req *r, int64_t res)
{
	if (res == -EOPNOTSUPP || res == -ENOSYS)
		f->no_punch = true;
	finish(f, r, unsupported(res) ? 0 : (int)res);
}

/* -------- flush (point 5) -------- */

static void flush_begin(struct block_file *f, struct block_req *r)
{
	if (f->unsafe || f->readonly) {
		finish(f, r, 0);
		return;
	}
	r->progress = atomic_load(&f->write_gen);
	block_file_sync(f, r);
}

/* -------- dispatch -------- */

static void begin_write(struct block_file *f, struct block_req *r)
{
	if (r->special && !as_is(f, r)) {
		chunk_begin(f, r);
		return;
	}
	rw_step(f, r);
}

static void begin(struct block_file *f, struct block_req *r)
{
	switch (r->act) {
	case BLOCK_READ:
		if (r->special && !as_is(f, r))
			chunk_begin(f, r);
		else
			rw_step(f, r);
		break;
	case BLOCK_WRITE:
		begin_write(f, r);
		break;
	case BLOCK_FLUSH:
		flush_begin(f, r);
		break;
	case BLOCK_DISCARD:
		discard_begin(f, r);
		break;
	case BLOCK_WRITE_ZEROES:
		zero_begin(f, r, ST_PUNCH);
		break;
	}
}

/* A failed step: again after an interruption, otherwise the request's end. */
static void io_failed(struct block_file *f, struct block_req *r, int res)
{
	if ((res == -EINTR || res == -EAGAIN) && r->retries < BLOCK_RETRIES_MAX) {
		r->retries++;
		loop_io_submit(r->loop, &r->io);
		return;
	}
	finish(f, r, res);
}

static void io_done(struct loop_io *io, int64_t res)
{
	struct block_req *r = io_req(io);
	struct block_file *f = io->opaque;

	if (r->stage == ST_PUNCH || r->stage == ST_RANGE || r->stage == ST_DISCARD) {
		if (res == -EINTR || res == -EAGAIN)
			io_failed(f, r, (int)res);
		else if (r->stage == ST_DISCARD)
			discard_done(f, r, res);
		else
			zero_done(f, r, res);
		return;
	}
	if (res < 0) {
		io_failed(f, r, (int)res);
		return;
	}
	switch ((enum stage)r->stage) {
	case ST_RW:
		rw_done(f, r, (uint64_t)res);
		break;
	case ST_BREAD:
		bounce_read_done(f, r, (uint64_t)res);
		break;
	case ST_BWRITE:
		bounce_write_done(f, r, (uint64_t)res);
		break;
	default: /* ST_ZWRITE; the others were above */
		zwrite_done(f, r, (uint64_t)res);
		break;
	}
}

/* All bytes of the iovecs are zero. The guest may change them meanwhile: then it gets either. */
static bool all_zero(const struct block_req *r)
{
	for (int i = 0; i < r->n_iov; i++) {
		const uint8_t *p = r->iov[i].iov_base;
		size_t n = r->iov[i].iov_len, head = MIN(n, 16u);

		if (head && (memcmp(p, zeroes, head) != 0))
			return false;
		for (size_t off = head; off < n; off += ZERO_CHUNK) {
			if (memcmp(p + off, zeroes, MIN(n - off, ZERO_CHUNK)) != 0)
				return false;
		}
	}
	return true;
}

/* May it need what is the home loop's alone (point 6)? */
static bool needs_home(const struct block_file *f, const struct block_req *r)
{
	if (r->act == BLOCK_DISCARD)
		return f->pool;
	return f->bounce && r->act != BLOCK_FLUSH && !as_is(f, r);
}

static void go_home(void *opaque)
{
	struct block_req *r = opaque;

	begin(r->dev->file, r);
}

void block_file_submit(struct block_file *f, struct block_req *r)
{
	r->act = r->op;
	r->progress = r->iov_off = 0;
	r->iov_idx = 0;
	r->retries = 0;
	r->tracked = r->counted = false;
	r->bounce = NULL;
	r->special = f->bounce || f->pool;
	if (!r->dev) {
		r->loop = f->loop;
		r->hopped = false;
	}
	if (r->op == BLOCK_WRITE && f->detect_zeroes && all_zero(r)) {
		r->act = BLOCK_WRITE_ZEROES;
		r->may_unmap = f->detect_zeroes == BLOCK_DETECT_UNMAP;
	}
	if (r->special) {
		list_init(&r->node);
		list_init(&r->wait);
		if (f->rmw_align > 512 && modifies(r)) {
			bool wait = conflicts_in(f, &f->active, r, NULL) ||
				    conflicts_in(f, &f->waiting, r, NULL);

			r->tracked = true;
			list_add_tail(wait ? &f->waiting : &f->active, &r->node);
			if (wait)
				return;
		}
	}
	if (r->dev && r->lane && r->special && needs_home(f, r)) {
		r->hopped = true;
		r->loop = f->loop;
		loop_defer_init(&r->hop, go_home, r);
		loop_post(f->loop, &r->hop);
		return;
	}
	begin(f, r);
}
