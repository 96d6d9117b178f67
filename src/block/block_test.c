// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Disks on files, held against a plain copy in memory on random requests: every cache mode, both
 * back ends of the loop, overlays, misaligned memory; then errors, locks and bad files.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/patience.h"
#include "base/testing.h"
#include "block/block_int.h"
#include "block/testing.h"

/* The generated table is not linked into unit tests. */
const struct block_format *const block_format_table[] = { &raw_format, NULL };

/* For the model: */
#define DISK_SIZE (1536 * KIB + 512) /* its last unit of 4 KiB is not whole */
#define DEPTH	  8
#define REQ_MAX	  (160 * KIB)
#define IOVS_MAX  64

static uint32_t seed;

static uint32_t rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % below;
}

static char path[PATH_MAX];

static void make_file(uint64_t size)
{
	int fd;

	snprintf(path, sizeof(path), "./block-test-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

static struct block_dev *open_config(struct block_config *c, struct error *err)
{
	c->file = path;
	c->id = (char *)(uintptr_t) "d0";
	return block_open(c, err);
}

/* -------- waiting for requests -------- */

struct test_req {
	struct block_req r;
	struct iovec iov[IOVS_MAX];
	uint8_t *mem, *data; /* mem: allocation with room for misalignment */
	int res;
	bool done;
};

static void on_done(struct block_req *r, int res)
{
	struct test_req *t = r->opaque;

	assert_false(t->done);
	t->res = res;
	t->done = true;
}

static void submit(
	struct block_dev *b, struct test_req *t, enum block_op op, uint64_t off, uint64_t len)
{
	t->r.op = op;
	t->r.offset = off;
	t->r.len = len;
	t->r.done = on_done;
	t->r.opaque = t;
	t->done = false;
	block_submit(b, &t->r);
}

static int wait_req(struct loop *l, struct test_req *t)
{
	while (!t->done)
		loop_run_once(l, 1000);
	return t->res;
}

/* One request with one buffer, waited for. */
static int rw(
	struct block_dev *b, struct loop *l, enum block_op op, uint64_t off, void *p, uint64_t len)
{
	struct test_req t = { 0 };

	t.iov[0] = (struct iovec){ p, len };
	t.r.iov = t.iov;
	t.r.n_iov = 1;
	submit(b, &t, op, off, len);
	return wait_req(l, &t);
}

/* -------- the model -------- */

/* Cut [data, data+len) into random pieces. */
static void cut(struct test_req *t, uint64_t len, bool aligned)
{
	int n = 0;
	uint64_t off = 0;

	while (off < len) {
		uint64_t piece = 1 + rnd((uint32_t)len);

		if (aligned)
			piece = ALIGN_UP(piece, 512u);
		if (n == IOVS_MAX - 1 || piece > len - off)
			piece = len - off;
		t->iov[n++] = (struct iovec){ t->data + off, piece };
		off += piece;
	}
	t->r.iov = t->iov;
	t->r.n_iov = n;
}

static bool clashes(const struct test_req *reqs, int n, uint64_t off, uint64_t len)
{
	for (int i = 0; i < n; i++) {
		if (off < reqs[i].r.offset + reqs[i].r.len && reqs[i].r.offset < off + len)
			return true;
	}
	return false;
}

/* Contents that are undefined after a discard: learnt from the first read. */
struct model {
	uint8_t *ref;
	uint8_t *undefined; /* a byte a sector */
};

static void model_write(struct model *m, const struct test_req *t)
{
	if (t->r.op == BLOCK_WRITE)
		memcpy(m->ref + t->r.offset, t->data, t->r.len);
	else if (t->r.op == BLOCK_WRITE_ZEROES)
		memset(m->ref + t->r.offset, 0, t->r.len);
	memset(m->undefined + t->r.offset / 512, t->r.op == BLOCK_DISCARD, t->r.len / 512);
}

static void model_check(struct model *m, const struct test_req *t)
{
	for (uint64_t off = 0; off < t->r.len; off += 512) {
		uint64_t at = t->r.offset + off;

		if (m->undefined[at / 512]) {
			memcpy(m->ref + at, t->data + off, 512);
			m->undefined[at / 512] = 0;
		} else if (memcmp(m->ref + at, t->data + off, 512) != 0) {
			fail_msg("sector at %llu differs", (unsigned long long)at);
		}
	}
}

static void fill(struct test_req *t, uint64_t len)
{
	switch (rnd(4)) {
	case 0:
		memset(t->data, 0, len); /* for detect-zeroes */
		break;
	case 1:
		memset(t->data, 0, len);
		t->data[rnd((uint32_t)len)] = 1;
		break;
	default:
		for (uint64_t i = 0; i < len; i++)
			t->data[i] = (uint8_t)rnd(256);
	}
}

static uint64_t disk_size = DISK_SIZE;

static void model_batch(struct block_dev *b, struct loop *l, struct model *m, struct test_req *reqs)
{
	static const enum block_op ops[] = { BLOCK_READ, BLOCK_READ, BLOCK_WRITE, BLOCK_WRITE,
		BLOCK_WRITE, BLOCK_WRITE_ZEROES, BLOCK_DISCARD };
	int n = 1 + (int)rnd(DEPTH), made = 0;
	struct test_req flush = { 0 };
	bool with_flush = !rnd(8);

	for (int i = 0; i < n; i++) {
		uint64_t len = 512 * (1 + rnd(rnd(2) ? 16 : REQ_MAX / 512));
		uint64_t off = 512 * (uint64_t)rnd((uint32_t)((disk_size - len) / 512 + 1));
		struct test_req *t = &reqs[made];
		enum block_op op = ops[rnd(ARRAY_SIZE(ops))];

		if (rnd(3) == 0) { /* crowd a small place */
			len = 512 * (1 + rnd(9));
			off = 512 * (uint64_t)rnd(64);
		} else if (rnd(16) == 0) { /* the end */
			off = disk_size - len;
		}
		if (clashes(reqs, made, off, len))
			continue;
		t->data = t->mem + (rnd(2) ? 0 : rnd(512));
		fill(t, len);
		cut(t, len, rnd(2));
		t->r.fua = rnd(24) == 0;
		t->r.may_unmap = rnd(2);
		made++;
		submit(b, t, op, off, len);
	}
	if (with_flush)
		submit(b, &flush, BLOCK_FLUSH, 0, 0);
	for (int i = 0; i < made; i++) {
		assert_int_equal(wait_req(l, &reqs[i]), 0);
		if (reqs[i].r.op == BLOCK_READ)
			model_check(m, &reqs[i]);
		else
			model_write(m, &reqs[i]);
	}
	if (with_flush)
		assert_int_equal(wait_req(l, &flush), 0);
	assert_int_equal(block_in_flight(b), 0);
}

static void model_compare_file(const struct model *m)
{
	uint8_t *p = malloc(disk_size);
	int fd = open(path, O_RDONLY);

	assert_int_equal(pread(fd, p, disk_size, 0), disk_size);
	for (uint64_t s = 0; s < disk_size / 512; s++) {
		if (!m->undefined[s])
			assert_memory_equal(p + s * 512, m->ref + s * 512, 512);
	}
	close(fd);
	free(p);
}

/* False when the file system here has no direct I/O. */
static bool model_run(
	struct block_config *c, unsigned int loop_flags, int batches, const char *device)
{
	struct error err = ERROR_INIT;
	struct model m = { calloc(1, disk_size), calloc(1, disk_size / 512) };
	struct test_req *reqs = calloc(DEPTH, sizeof(*reqs));
	struct loop *l = loop_new("test", loop_flags, &err);
	struct block_dev *b;

	assert_non_null(l);
	if (device)
		snprintf(path, sizeof(path), "%s", device);
	else
		make_file(disk_size);
	b = open_config(c, &err);
	if (!b) {
		print_message("skipped: %s\n", err.msg);
		assert_true(c->cache == BLOCK_CACHE_NONE);
		goto out;
	}
	assert_true(block_attach(b, &l, 1, &err));
	for (int i = 0; i < DEPTH; i++)
		reqs[i].mem = aligned_alloc(4096, REQ_MAX + 4096);
	for (int i = 0; i < batches; i++) {
		if (rnd(20) == 0)
			block_set_writethrough(b, rnd(2));
		model_batch(b, l, &m, reqs);
	}
	/* Read all back. */
	for (uint64_t off = 0; off < disk_size; off += 512 * KIB) {
		uint64_t len = MIN(disk_size - off, 512 * KIB);
		uint8_t *p = malloc(len);
		struct test_req t = { .data = p };

		assert_int_equal(rw(b, l, BLOCK_READ, off, p, len), 0);
		t.r.offset = off;
		t.r.len = len;
		model_check(&m, &t);
		free(p);
	}
	block_detach(b);
	block_close(b);
	if (c->snapshot) {
		memset(m.ref, 0, disk_size); /* the file has not been touched */
		memset(m.undefined, 0, disk_size / 512);
	}
	model_compare_file(&m);
	for (int i = 0; i < DEPTH; i++)
		free(reqs[i].mem);
out:
	if (!device)
		unlink(path);
	loop_free(l);
	free(reqs);
	free(m.ref);
	free(m.undefined);
	return b != NULL;
}

static void test_model(void **state)
{
	for (int cache = BLOCK_CACHE_WRITEBACK; cache <= BLOCK_CACHE_UNSAFE; cache++) {
		for (int v = 0; v < 4; v++) {
			struct block_config c = { .cache = cache,
				.snapshot = v == 3,
				.discard = v == 1,
				.detect_zeroes = v % 3 };

			seed = 1 + (uint32_t)(cache * 4 + v);
			model_run(&c, v & 1 ? LOOP_NO_URING : LOOP_URING,
				cache == BLOCK_CACHE_WRITETHROUGH ? 15 : 100, NULL);
			model_run(&c, v & 1 ? LOOP_URING : LOOP_NO_URING,
				cache == BLOCK_CACHE_WRITETHROUGH ? 15 : 100, NULL);
		}
	}
}

/* Units larger than a sector, as on 4Kn disks: forced, for few machines have one. */
static void test_model_4kn(void **state)
{
	for (int i = 0; i < 4; i++) {
		struct block_config c = { .cache = i & 2 ? BLOCK_CACHE_NONE : 0, .discard = 1 };
		struct error err = ERROR_INIT;
		struct model m = { calloc(1, DISK_SIZE), calloc(1, DISK_SIZE / 512) };
		struct test_req *reqs = calloc(DEPTH, sizeof(*reqs));
		struct loop *l = loop_new("test", i & 1 ? LOOP_NO_URING : LOOP_URING, &err);
		struct block_dev *b;

		seed = 77 + (uint32_t)i;
		make_file(DISK_SIZE);
		b = open_config(&c, &err);
		if (!b && i & 2) {
			print_message("skipped: %s\n", err.msg);
			goto next;
		}
		assert_non_null(b);
		if (!b->file->bounce)
			assert_true(block_file_bounce(b->file, &err));
		b->file->rmw_align = 4096;
		if (i & 2)
			b->file->dio_align = 4096;
		assert_true(block_attach(b, &l, 1, &err));
		for (int k = 0; k < DEPTH; k++)
			reqs[k].mem = aligned_alloc(4096, REQ_MAX + 4096);
		for (int k = 0; k < 300; k++)
			model_batch(b, l, &m, reqs);
		block_detach(b);
		block_close(b);
		model_compare_file(&m);
		for (int k = 0; k < DEPTH; k++)
			free(reqs[k].mem);
	next:
		unlink(path);
		loop_free(l);
		free(reqs);
		free(m.ref);
		free(m.undefined);
	}
}

/* -------- a block device -------- */

/* Needs root. With 4 KiB sectors O_DIRECT takes nothing smaller. */
static void test_block_device(void **state)
{
	for (int v = 0; v < 4; v++) {
		struct block_config c = { .cache = v & 1 ? BLOCK_CACHE_NONE : 0, .discard = 1 };
		char file[PATH_MAX], device[32];
		int n;

		disk_size = 1536 * KIB;
		make_file(disk_size);
		memcpy(file, path, sizeof(file));
		n = make_loop_device(path, v & 2 ? 4096 : 512);
		if (n < 0) {
			unlink(file);
			disk_size = DISK_SIZE;
			skip();
		}
		snprintf(device, sizeof(device), "/dev/loop%d", n);
		seed = 99 + (uint32_t)v;
		assert_true(model_run(&c, v & 1 ? LOOP_URING : LOOP_NO_URING, 100, device));
		drop_loop_device(n);
		unlink(file);
		disk_size = DISK_SIZE;
	}
}

/* -------- one disk, one loop -------- */

struct env {
	struct loop *l;
	struct block_dev *b;
	struct error err;
};

static void env_open(struct env *e, struct block_config *c, uint64_t size)
{
	memset(e, 0, sizeof(*e));
	if (size)
		make_file(size);
	e->l = loop_new("test", LOOP_URING, &e->err);
	assert_non_null(e->l);
	e->b = open_config(c, &e->err);
	if (!e->b)
		fail_msg("%s", e->err.msg);
	assert_true(block_attach(e->b, &e->l, 1, &e->err));
}

static void env_close(struct env *e)
{
	block_detach(e->b);
	block_close(e->b);
	loop_free(e->l);
	unlink(path);
}

static void test_checks(void **state)
{
	struct block_config c = { 0 };
	static uint8_t buf[1024];
	struct test_req t = { 0 };
	struct env e;

	env_open(&e, &c, 8192);
	assert_int_equal(block_get_info(e.b)->size, 8192);
	assert_false(block_get_info(e.b)->can_discard);
	assert_int_equal(rw(e.b, e.l, BLOCK_READ, 1, buf, 512), -EINVAL);
	assert_int_equal(rw(e.b, e.l, BLOCK_READ, 0, buf, 100), -EINVAL);
	assert_int_equal(rw(e.b, e.l, BLOCK_READ, 7680, buf, 1024), -EIO);
	assert_int_equal(rw(e.b, e.l, BLOCK_WRITE, 8192, buf, 512), -EIO);
	assert_int_equal(rw(e.b, e.l, BLOCK_READ, ~0ull & ~511ull, buf, 1024), -EIO);
	assert_int_equal(rw(e.b, e.l, BLOCK_READ, 8192, buf, 0), 0);
	/* Iovecs shorter than the length. */
	t.iov[0] = (struct iovec){ buf, 512 };
	t.r.iov = t.iov;
	t.r.n_iov = 1;
	submit(e.b, &t, BLOCK_READ, 0, 1024);
	assert_int_equal(wait_req(e.l, &t), -EINVAL);
	/* A second device. */
	assert_false(block_attach(e.b, &e.l, 1, &e.err));
	/* The file shrinks beneath us: reads give zeroes. */
	assert_int_equal(rw(e.b, e.l, BLOCK_WRITE, 0, memset(buf, 7, 1024), 1024), 0);
	assert_int_equal(truncate(path, 512), 0);
	assert_int_equal(rw(e.b, e.l, BLOCK_READ, 0, buf, 1024), 0);
	assert_int_equal(buf[511], 7);
	assert_int_equal(buf[512], 0);
	env_close(&e);

	c.readonly = true;
	env_open(&e, &c, 8192);
	assert_int_equal(rw(e.b, e.l, BLOCK_WRITE, 0, buf, 512), -EROFS);
	assert_int_equal(rw(e.b, e.l, BLOCK_DISCARD, 0, NULL, 512), -EROFS);
	assert_int_equal(rw(e.b, e.l, BLOCK_WRITE_ZEROES, 0, NULL, 512), -EROFS);
	assert_int_equal(rw(e.b, e.l, BLOCK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(rw(e.b, e.l, BLOCK_READ, 0, buf, 512), 0);
	env_close(&e);
}

/* More iovecs than the kernel takes in one call. */
static void test_many_iovs(void **state)
{
	enum { N = 3000 };
	struct block_config c = { 0 };
	struct iovec *iov = calloc(N, sizeof(*iov));
	uint8_t *p = calloc(N, 512), *back = calloc(N, 512);
	struct test_req t = { 0 };
	struct env e;

	env_open(&e, &c, N * 512);
	for (int i = 0; i < N; i++) {
		memset(p + i * 512, i, 512);
		iov[i] = (struct iovec){ p + i * 512, 512 };
	}
	t.r.iov = iov;
	t.r.n_iov = N;
	submit(e.b, &t, BLOCK_WRITE, 0, N * 512);
	assert_int_equal(wait_req(e.l, &t), 0);
	for (int i = 0; i < N; i++)
		iov[i].iov_base = back + i * 512;
	submit(e.b, &t, BLOCK_READ, 0, N * 512);
	assert_int_equal(wait_req(e.l, &t), 0);
	assert_memory_equal(p, back, N * 512);
	env_close(&e);
	free(iov);
	free(p);
	free(back);
}

/* The guest turns its cache on while a durable write of several steps is under way: a later flush covers it. */
static void test_cache_toggle(void **state)
{
	enum { N = 1500 }; /* two steps */
	struct block_config c = { 0 };
	struct iovec *iov = calloc(N, sizeof(*iov));
	uint8_t *p = calloc(N, 512);
	struct test_req t = { 0 };
	uint64_t gen;
	struct env e;

	env_open(&e, &c, N * 512);
	for (int i = 0; i < N; i++)
		iov[i] = (struct iovec){ p + i * 512, 512 };
	t.r.iov = iov;
	t.r.n_iov = N;
	block_set_writethrough(e.b, true);
	gen = e.b->file->write_gen;
	submit(e.b, &t, BLOCK_WRITE, 0, N * 512);
	block_set_writethrough(e.b, false);
	assert_int_equal(wait_req(e.l, &t), 0);
	assert_true(e.b->file->write_gen > gen);
	assert_int_equal(rw(e.b, e.l, BLOCK_FLUSH, 0, NULL, 0), 0);
	assert_true(e.b->file->sync.done_gen > gen);
	env_close(&e);
	free(iov);
	free(p);
}

/* A transfer above 2 GiB onto a sparse file, from few pages. */
static void test_large(void **state)
{
	enum { PIECE = 32 * 1024 * 1024, N = 67 };
	struct block_config c = { 0 };
	struct iovec iov[N];
	uint8_t *p = calloc(1, PIECE);
	struct test_req t = { 0 };
	struct env e;

	env_open(&e, &c, (uint64_t)PIECE * N);
	for (int i = 0; i < N; i++)
		iov[i] = (struct iovec){ p, PIECE };
	memset(p, 1, PIECE);
	t.r.iov = iov;
	t.r.n_iov = N;
	submit(e.b, &t, BLOCK_READ, 0, (uint64_t)PIECE * N);
	assert_int_equal(wait_req(e.l, &t), 0);
	for (int i = 0; i < PIECE; i += 4096)
		assert_int_equal(p[i], 0);
	env_close(&e);
	free(p);
}

/* -------- errors -------- */

/* The descriptor stops working under way. */
static void break_fd(struct env *e)
{
	int fd = open("/dev/full", O_RDWR);

	assert_true(fd >= 0);
	assert_true(dup2(fd, e->b->file->fd) >= 0);
	close(fd);
}

static void test_errors(void **state)
{
	struct block_config c = { 0 };
	static uint8_t buf[4096];
	struct env e;
	int save;

	env_open(&e, &c, 65536);
	save = dup(e.b->file->fd);
	assert_int_equal(rw(e.b, e.l, BLOCK_WRITE, 0, buf, 4096), 0);
	assert_int_equal(rw(e.b, e.l, BLOCK_FLUSH, 0, NULL, 0), 0);
	break_fd(&e);
	assert_int_equal(rw(e.b, e.l, BLOCK_WRITE, 0, buf, 4096), -ENOSPC);
	/* That write left something to flush, and the flush fails: for good. */
	assert_true(rw(e.b, e.l, BLOCK_FLUSH, 0, NULL, 0) < 0);
	assert_true(dup2(save, e.b->file->fd) >= 0);
	assert_int_equal(rw(e.b, e.l, BLOCK_WRITE, 0, buf, 4096), 0);
	assert_true(rw(e.b, e.l, BLOCK_FLUSH, 0, NULL, 0) < 0);
	assert_int_equal(rw(e.b, e.l, BLOCK_READ, 0, buf, 4096), 0);
	/* Zeroes: fallocate fails as unsupported, then the writes are tried and fail. */
	break_fd(&e);
	assert_true(rw(e.b, e.l, BLOCK_WRITE_ZEROES, 0, NULL, 4096) < 0);
	close(save);
	env_close(&e);
}

/* Zeroes where the host can neither punch nor zero ranges. */
static void test_zero_fallback(void **state)
{
	struct block_config c = { .discard = 1 };
	uint8_t *p = malloc(3 * MIB), *z = calloc(1, 3 * MIB);
	struct env e;

	env_open(&e, &c, 4 * MIB);
	e.b->file->no_punch = e.b->file->no_zero_range = true;
	memset(p, 0x55, 3 * MIB);
	assert_int_equal(rw(e.b, e.l, BLOCK_WRITE, 0, p, 3 * MIB), 0);
	assert_int_equal(rw(e.b, e.l, BLOCK_WRITE_ZEROES, 512, NULL, 2 * MIB + 1024), 0);
	assert_int_equal(rw(e.b, e.l, BLOCK_READ, 0, p, 3 * MIB), 0);
	assert_int_equal(p[511], 0x55);
	assert_memory_equal(p + 512, z, 2 * MIB + 1024);
	assert_int_equal(p[2 * MIB + 1536], 0x55);
	assert_int_equal(rw(e.b, e.l, BLOCK_DISCARD, 0, NULL, 3 * MIB), 0);
	env_close(&e);
	free(p);
	free(z);
}

static void test_discard(void **state)
{
	struct block_config c = { .discard = BLOCK_DISCARD_ON };
	uint8_t *p = malloc(MIB);
	struct stat before, after;
	struct env e;

	env_open(&e, &c, MIB);
	assert_true(block_get_info(e.b)->can_discard);
	memset(p, 0x55, MIB);
	assert_int_equal(rw(e.b, e.l, BLOCK_WRITE, 0, p, MIB), 0);
	assert_int_equal(rw(e.b, e.l, BLOCK_FLUSH, 0, NULL, 0), 0);
	stat(path, &before);
	assert_int_equal(rw(e.b, e.l, BLOCK_DISCARD, 0, NULL, MIB), 0);
	stat(path, &after);
	assert_true(after.st_blocks < before.st_blocks);
	assert_int_equal(after.st_size, MIB);
	env_close(&e);
	free(p);
}

/* A full disk: a small tmpfs; needs root. */
static void test_full_disk(void **state)
{
	struct block_config c = { 0 };
	char dir[] = "/tmp/lodge-full-XXXXXX";
	uint8_t *p = malloc(MIB);
	struct env e;
	bool failed = false;

	assert_non_null(mkdtemp(dir));
	if (mount("none", dir, "tmpfs", 0, "size=1m") < 0) {
		rmdir(dir);
		free(p);
		skip();
	}
	snprintf(path, sizeof(path), "%s/disk", dir);
	close(open(path, O_CREAT | O_RDWR, 0600));
	assert_int_equal(truncate(path, 4 * MIB), 0);
	memset(p, 1, MIB);
	env_open(&e, &c, 0);
	for (int i = 0; i < 4; i++)
		failed |= rw(e.b, e.l, BLOCK_WRITE, (uint64_t)i * MIB, p, MIB) == -ENOSPC;
	assert_true(failed);
	/* What was written can be read, and space that comes back can be used. */
	assert_int_equal(rw(e.b, e.l, BLOCK_READ, 0, p, 4096), 0);
	assert_int_equal(p[0], 1);
	env_close(&e);
	umount(dir);
	rmdir(dir);
	free(p);
}

/* -------- opening -------- */

static void expect_error(struct block_config *c, const char *part)
{
	struct error err = ERROR_INIT;
	struct block_dev *b = open_config(c, &err);

	if (b)
		fail_msg("opened, '%s' was expected", part);
	if (!strstr(err.msg, part) || !strstr(err.msg, "disk 'd0': "))
		fail_msg("'%s' does not say '%s'", err.msg, part);
}

static void test_bad_files(void **state)
{
	struct block_config c = { 0 };
	char good[sizeof(path)];
	struct error err = ERROR_INIT;
	int fd;

	snprintf(path, sizeof(path), "/nonexistent/x.img");
	expect_error(&c, "cannot open '/nonexistent/x.img': No such file or directory");
	snprintf(path, sizeof(path), "/tmp");
	expect_error(&c, "neither a regular file nor a block device");
	snprintf(path, sizeof(path), "/dev/zero");
	expect_error(&c, "neither a regular file nor a block device");
	make_file(1000);
	expect_error(&c, "truncate -s %512");
	assert_int_equal(truncate(path, 0), 0);
	expect_error(&c, "is empty");
	assert_int_equal(truncate(path, 4096), 0);
	c.format = (char *)(uintptr_t) "nonsense";
	expect_error(&c, "unknown image format 'nonsense': there is raw");
	c.format = NULL;
	fd = open(path, O_WRONLY);
	assert_int_equal(write(fd, "QFI\xfb", 4), 4);
	close(fd);
	expect_error(&c, "format=raw");
	c.cache = BLOCK_CACHE_NONE;
	expect_error(&c, "");
	c.cache = 0;
	c.format = (char *)(uintptr_t) "raw";
	block_close(open_config(&c, &err));
	assert_int_equal(err.kind, ERROR_NONE);
	snprintf(good, sizeof(good), "%s", path);
	path[0] = 0;
	expect_error(&(struct block_config){ 0 }, "needs file=PATH");
	unlink(good);
}

static void test_config(void **state)
{
	struct block_config c;
	struct error err = ERROR_INIT;

	assert_true(fields_init(&block_config_table, &c, &err));
	assert_true(fields_parse(&block_config_table, &c,
		"/x,,y,cache=none,discard=unmap,detect-zeroes=on,readonly=on", &err));
	assert_string_equal(c.file, "/x,y");
	assert_int_equal(c.cache, BLOCK_CACHE_NONE);
	assert_int_equal(c.discard & 1, 1);
	assert_true(c.readonly);
	assert_false(fields_parse(&block_config_table, &c, "cache=much", &err));
	fields_fini(&block_config_table, &c);
}

/* -------- locks -------- */

static struct block_dev *open_as(bool readonly, bool snapshot, struct error *err)
{
	struct block_config c = { .readonly = readonly, .snapshot = snapshot };

	return open_config(&c, err);
}

static void test_locks(void **state)
{
	/* who has it; who comes; allowed? */
	static const struct {
		bool ro1, snap1, ro2, snap2, ok;
	} cases[] = {
		{ false, false, false, false, false },
		{ false, false, true, false, false },
		{ true, false, false, false, false },
		{ true, false, true, false, true },
		{ false, true, false, true, true },
		{ false, false, false, true, false },
		{ false, true, false, false, false },
	};

	make_file(4096);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;
		struct block_dev *a = open_as(cases[i].ro1, cases[i].snap1, &err), *b;

		assert_non_null(a);
		b = open_as(cases[i].ro2, cases[i].snap2, &err);
		assert_int_equal(b != NULL, cases[i].ok);
		if (!b) {
			assert_non_null(strstr(err.msg, path));
			assert_non_null(strstr(err.msg, "readonly=on"));
		}
		block_close(a);
		block_close(b);
		/* Locks go with the disk. */
		b = open_as(false, false, &err);
		assert_non_null(b);
		block_close(b);
	}
	unlink(path);
}

static void test_memory_disk(void **state)
{
	struct error err = ERROR_INIT;
	struct loop *l = loop_new("test", LOOP_URING, &err);
	struct block_dev *b = block_open_test(1 * MIB, &err);
	static uint8_t p[4096] = { 1, 2, 3 }, q[4096];

	assert_non_null(b);
	assert_true(block_attach(b, &l, 1, &err));
	assert_int_equal(rw(b, l, BLOCK_WRITE, 4096, p, sizeof(p)), 0);
	assert_int_equal(rw(b, l, BLOCK_READ, 4096, q, sizeof(q)), 0);
	assert_memory_equal(p, q, sizeof(p));
	assert_int_equal(rw(b, l, BLOCK_WRITE_ZEROES, 4096, NULL, 4096), 0);
	assert_int_equal(rw(b, l, BLOCK_READ, 4096, q, sizeof(q)), 0);
	assert_int_equal(q[0], 0);
	assert_int_equal(rw(b, l, BLOCK_FLUSH, 0, NULL, 0), 0);
	block_detach(b);
	block_close(b);
	loop_free(l);
}

/* -------- another size -------- */

struct test_user {
	struct block_user u;
	struct block_dev *b;
	int held, resized;
};

static void user_hold(struct block_user *u)
{
	struct test_user *t = CONTAINER_OF(u, struct test_user, u);

	assert_int_equal(block_in_flight(t->b), 0);
	t->held++;
}

static void user_let_go(struct block_user *u)
{
	CONTAINER_OF(u, struct test_user, u)->held--;
}

static void user_resized(struct block_user *u)
{
	struct test_user *t = CONTAINER_OF(u, struct test_user, u);

	assert_int_equal(t->held, 0);
	t->resized++;
}

static void test_resize(void **state)
{
	struct test_user user = { .u = { user_hold, user_let_go, user_resized } };
	struct block_config c = { 0 };
	static uint8_t buf[512];
	struct stat st;
	struct env e;

	env_open(&e, &c, 8192);
	user.b = e.b;
	assert_false(block_resize(e.b, 4096, &e.err)); /* its device does not know how */
	block_set_user(e.b, &user.u);
	assert_true(block_resize(e.b, 16384, &e.err));
	assert_int_equal(block_get_info(e.b)->size, 16384);
	assert_int_equal(rw(e.b, e.l, BLOCK_WRITE, 15872, buf, 512), 0);
	assert_int_equal(rw(e.b, e.l, BLOCK_WRITE, 16384, buf, 512), -EIO);
	assert_true(block_resize(e.b, 512, &e.err));
	assert_int_equal(rw(e.b, e.l, BLOCK_READ, 512, buf, 512), -EIO);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 512);
	assert_int_equal(user.resized, 2);
	assert_false(block_resize(e.b, 0, &e.err));
	assert_false(block_resize(e.b, 513, &e.err));
	assert_false(block_resize(e.b, 1ull << 63, &e.err));
	assert_int_equal(user.held, 0);
	assert_int_equal(user.resized, 2);
	env_close(&e);
}

static void test_no_resize(void **state)
{
	struct block_config c = { .readonly = true };
	struct env e;

	env_open(&e, &c, 8192);
	assert_false(block_resize(e.b, 16384, &e.err));
	env_close(&e);
	c = (struct block_config){ .snapshot = true };
	env_open(&e, &c, 8192);
	assert_false(block_resize(e.b, 16384, &e.err));
	env_close(&e);
}

/* -------- limits -------- */

/* Milliseconds that @n reads of 512 bytes at once take. */
static int64_t reads_ms(struct env *e, int n)
{
	static struct test_req t[64];
	static uint8_t buf[512];
	int64_t start = clock_mono_ns();

	memset(t, 0, sizeof(t));
	for (int i = 0; i < n; i++) {
		t[i].iov[0] = (struct iovec){ buf, 512 };
		t[i].r.iov = t[i].iov;
		t[i].r.n_iov = 1;
		submit(e->b, &t[i], BLOCK_READ, 0, 512);
	}
	for (int i = 0; i < n; i++)
		assert_int_equal(wait_req(e->l, &t[i]), 0);
	return (clock_mono_ns() - start) / 1000000;
}

static void test_limits(void **state)
{
	struct block_limits l = { .group = NULL };
	struct block_config c = { 0 };
	static uint8_t buf[512];
	struct test_req t = { 0 };
	struct env e;

	env_open(&e, &c, 8192);
	assert_null(block_get_limits(e.b));
	l.of[BLOCK_IOPS].rate = 40; /* 4 go at once, and one more each 25 ms */
	assert_true(block_set_limits(e.b, &l, &e.err));
	assert_string_equal(block_get_limits(e.b)->group, "d0");
	assert_true(reads_ms(&e, 15) >= 240);
	/* Reads are bounded, writes are not. */
	l.of[BLOCK_IOPS].rate = 0;
	l.of[BLOCK_BPS_READ].rate = 5120;
	assert_true(block_set_limits(e.b, &l, &e.err));
	assert_true(reads_ms(&e, 3) >= 90);
	t.iov[0] = (struct iovec){ buf, 512 };
	t.r.iov = t.iov;
	t.r.n_iov = 1;
	submit(e.b, &t, BLOCK_READ, 0, 512);
	for (int i = 0; i < 20; i++)
		assert_int_equal(rw(e.b, e.l, BLOCK_WRITE, 0, buf, 512), 0);
	assert_int_equal(wait_req(e.l, &t), 0);
	/* A burst of two seconds' worth at 10 times the rate. */
	l.of[BLOCK_BPS_READ] = (struct block_limit){ 512, 5120, 1 };
	assert_true(block_set_limits(e.b, &l, &e.err));
	assert_true(reads_ms(&e, 11) < 900);
	/* What waits goes on when the limits go, and when it is told to hurry. */
	l.of[BLOCK_BPS_READ] = (struct block_limit){ 1, 0, 1 };
	assert_true(block_set_limits(e.b, &l, &e.err));
	assert_int_equal(rw(e.b, e.l, BLOCK_READ, 0, buf, 512), 0);
	submit(e.b, &t, BLOCK_READ, 0, 512);
	loop_run_once(e.l, 50);
	assert_false(t.done);
	assert_int_equal(block_in_flight(e.b), 1);
	block_hurry_once(e.b);
	assert_int_equal(wait_req(e.l, &t), 0);
	submit(e.b, &t, BLOCK_READ, 0, 512);
	l.of[BLOCK_BPS_READ].rate = 0;
	assert_true(block_set_limits(e.b, &l, &e.err));
	assert_null(block_get_limits(e.b));
	assert_int_equal(wait_req(e.l, &t), 0);
	env_close(&e);
}

static void test_limits_shared(void **state)
{
	struct block_limits l = { .group = (char *)(uintptr_t) "both" };
	struct block_config c = { .readonly = true };
	struct env a;
	struct block_dev *b;

	env_open(&a, &c, 8192);
	b = open_config(&c, &a.err);
	assert_non_null(b);
	l.of[BLOCK_IOPS].rate = 10;
	assert_true(block_set_limits(a.b, &l, &a.err));
	l.of[BLOCK_IOPS].rate = 20;
	assert_true(block_set_limits(b, &l, &a.err));
	assert_int_equal(block_get_limits(a.b)->of[BLOCK_IOPS].rate, 20);
	block_close(b);
	assert_int_equal(block_get_limits(a.b)->of[BLOCK_IOPS].rate, 20);
	env_close(&a);
}

static void test_limits_impossible(void **state)
{
	static const struct {
		int kind, also;
		struct block_limit limit;
		uint64_t size;
	} bad[] = {
		{ BLOCK_BPS, BLOCK_BPS_READ, { 1, 0, 1 }, 0 },
		{ BLOCK_IOPS_WRITE, BLOCK_IOPS, { 1, 0, 1 }, 0 },
		{ BLOCK_BPS, BLOCK_BPS, { 0, 5, 1 }, 0 },
		{ BLOCK_BPS, BLOCK_BPS, { 10, 5, 1 }, 0 },
		{ BLOCK_BPS, BLOCK_BPS, { 10, 0, 2 }, 0 },
		{ BLOCK_BPS, BLOCK_BPS, { UINT64_MAX, 0, 1 }, 0 },
		{ BLOCK_BPS, BLOCK_BPS, { 10, 1ull << 49, 4096 }, 0 },
		{ BLOCK_BPS, BLOCK_BPS, { 10, 10, UINT64_MAX }, 0 },
		{ BLOCK_BPS, BLOCK_BPS, { 10, 0, 1 }, 512 },
	};
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct block_limits l = { .request_size = bad[i].size };

		l.of[bad[i].kind] = l.of[bad[i].also] = bad[i].limit;
		assert_false(block_limits_check(&l, &err));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resize),
		cmocka_unit_test(test_no_resize),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_limits_shared),
		cmocka_unit_test(test_limits_impossible),
		cmocka_unit_test(test_memory_disk),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_many_iovs),
		cmocka_unit_test(test_cache_toggle),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_zero_fallback),
		cmocka_unit_test(test_discard),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_locks),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_model_4kn),
		cmocka_unit_test(test_block_device),
	};

	patience_ms = 50;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
