// SPDX-License-Identifier: GPL-2.0-or-later
/* Asynchronous file I/O on both back ends: data, errors, short counts, many at once, ending. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "loop/testing.h"

#define SIZE 65536u

struct env {
	struct loop *l;
	int fd;
	uint8_t content[SIZE];
};

static int setup(void **state)
{
	struct env *e = calloc(1, sizeof(*e));

	e->l = test_loop(state);
	e->fd = memfd_create("test", MFD_CLOEXEC);
	for (uint32_t i = 0; i < SIZE; i++)
		e->content[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(pwrite(e->fd, e->content, SIZE, 0), SIZE);
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	struct env *e = *state;

	loop_free(e->l);
	if (e->fd >= 0)
		close(e->fd);
	free(e);
	return 0;
}

struct req {
	struct loop_io io;
	struct iovec iov[4];
	int done;
	int64_t res;
	int *total;
};

static void req_done(struct loop_io *io, int64_t res)
{
	struct req *r = io->opaque;

	r->done++;
	r->res = res;
	if (r->total)
		++*r->total;
}

static void req_init(struct req *r, enum loop_io_kind kind, int fd, uint64_t offset)
{
	memset(r, 0, sizeof(*r));
	r->io.kind = kind;
	r->io.fd = fd;
	r->io.offset = offset;
	r->io.iov = r->iov;
	r->io.done = req_done;
	r->io.opaque = r;
}

static void req_buf(struct req *r, void *p, size_t n)
{
	r->iov[r->io.n_iov].iov_base = p;
	r->iov[r->io.n_iov++].iov_len = n;
}

static int64_t run(struct env *e, struct req *r)
{
	loop_io_submit(e->l, &r->io);
	assert_int_equal(r->done, 0); /* never from within the submission */
	while (!r->done)
		loop_run_once(e->l, 5000);
	assert_int_equal(r->done, 1);
	return r->res;
}

static void test_read_write(void **state)
{
	struct env *e = *state;
	uint8_t a[1000], b[3000], c[96];
	struct req r;

	req_init(&r, LOOP_IO_READV, e->fd, 100);
	req_buf(&r, a, sizeof(a));
	assert_int_equal(run(e, &r), 1000);
	assert_memory_equal(a, e->content + 100, 1000);

	req_init(&r, LOOP_IO_READV, e->fd, 4000);
	req_buf(&r, a, sizeof(a));
	req_buf(&r, b, sizeof(b));
	req_buf(&r, c, sizeof(c));
	assert_int_equal(run(e, &r), 4096);
	assert_memory_equal(a, e->content + 4000, 1000);
	assert_memory_equal(b, e->content + 5000, 3000);
	assert_memory_equal(c, e->content + 8000, 96);

	for (int n = 1; n < 4; n++) {
		req_init(&r, LOOP_IO_WRITEV, e->fd, 512);
		memset(a, n, sizeof(a));
		for (int i = 0; i < n; i++)
			req_buf(&r, a, 256);
		assert_int_equal(run(e, &r), 256 * n);
		assert_int_equal(pread(e->fd, b, 1024, 511), 1024);
		assert_int_equal(b[0], e->content[511]);
		for (int i = 0; i < 256 * n; i++)
			assert_int_equal(b[1 + i], n);
	}
	req_init(&r, LOOP_IO_FDATASYNC, e->fd, 0);
	assert_int_equal(run(e, &r), 0);
}

static void test_short_and_errors(void **state)
{
	struct env *e = *state;
	uint8_t buf[1000];
	struct req r;
	int p[2];

	req_init(&r, LOOP_IO_READV, e->fd, SIZE - 10);
	req_buf(&r, buf, sizeof(buf));
	assert_int_equal(run(e, &r), 10);
	req_init(&r, LOOP_IO_READV, e->fd, SIZE + 10);
	req_buf(&r, buf, sizeof(buf));
	assert_int_equal(run(e, &r), 0);
	req_init(&r, LOOP_IO_READV, -1, 0);
	req_buf(&r, buf, sizeof(buf));
	assert_int_equal(run(e, &r), -EBADF);
	req_init(&r, LOOP_IO_READV, e->fd, 0);
	req_buf(&r, (void *)16, sizeof(buf));
	assert_int_equal(run(e, &r), -EFAULT);
	req_init(&r, LOOP_IO_FALLOCATE, e->fd, 0);
	r.io.falloc_mode = FALLOC_FL_PUNCH_HOLE; /* without KEEP_SIZE */
	r.io.len = 4096;
	assert_int_equal(run(e, &r), -EOPNOTSUPP);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	req_init(&r, LOOP_IO_FDATASYNC, p[0], 0);
	assert_int_equal(run(e, &r), -EINVAL);
	close(p[0]);
	close(p[1]);
}

static void test_fallocate(void **state)
{
	struct env *e = *state;
	uint8_t buf[8192];
	struct req r;
	struct stat st;

	req_init(&r, LOOP_IO_FALLOCATE, e->fd, 4096);
	r.io.falloc_mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	r.io.len = 4096;
	assert_int_equal(run(e, &r), 0);
	assert_int_equal(pread(e->fd, buf, 8192, 0), 8192);
	assert_memory_equal(buf, e->content, 4096);
	for (int i = 4096; i < 8192; i++)
		assert_int_equal(buf[i], 0);
	req_init(&r, LOOP_IO_FALLOCATE, e->fd, SIZE);
	r.io.len = SIZE;
	assert_int_equal(run(e, &r), 0);
	assert_int_equal(fstat(e->fd, &st), 0);
	assert_int_equal(st.st_size, 2 * SIZE);
}

#define MANY 1000

/* More than submission and completion queue hold, all from one place. */
static void test_many(void **state)
{
	struct env *e = *state;
	static struct req r[MANY];
	static uint8_t buf[MANY][64];
	int total = 0;

	for (int round = 0; round < 3; round++) {
		total = 0;
		for (int i = 0; i < MANY; i++) {
			req_init(&r[i], LOOP_IO_READV, e->fd, (uint64_t)i * 60);
			req_buf(&r[i], buf[i], 64);
			r[i].total = &total;
			loop_io_submit(e->l, &r[i].io);
		}
		while (total < MANY)
			loop_run_once(e->l, 5000);
		for (int i = 0; i < MANY; i++) {
			assert_int_equal(r[i].done, 1);
			assert_int_equal(r[i].res, 64);
			assert_memory_equal(buf[i], e->content + i * 60, 64);
		}
	}
}

/* A request whose end submits the next, as a queue does. */
struct chain {
	struct req r;
	struct env *e;
	int left;
	uint8_t buf[512];
};

static void chain_done(struct loop_io *io, int64_t res)
{
	struct chain *c = io->opaque;

	assert_int_equal(res, 512);
	assert_memory_equal(c->buf, c->e->content + io->offset, 512);
	if (--c->left) {
		io->offset = (io->offset + 1234) % (SIZE - 512);
		loop_io_submit(c->e->l, io);
	}
}

static void test_chains(void **state)
{
	static struct chain c[8];
	struct env *e = *state;
	bool more;

	for (int i = 0; i < 8; i++) {
		req_init(&c[i].r, LOOP_IO_READV, e->fd, (uint64_t)i * 512);
		req_buf(&c[i].r, c[i].buf, 512);
		c[i].e = e;
		c[i].left = 50;
		c[i].r.io.done = chain_done;
		c[i].r.io.opaque = &c[i];
		loop_io_submit(e->l, &c[i].r.io);
	}
	do {
		loop_run_once(e->l, 5000);
		more = false;
		for (int i = 0; i < 8; i++)
			more |= c[i].left > 0;
	} while (more);
}

/* loop_free() waits for what is in flight. */
static void test_free_in_flight(void **state)
{
	struct env *e = *state;
	static struct req r[200];
	static uint8_t buf[200][64];
	int total = 0;

	for (int i = 0; i < 200; i++) {
		req_init(&r[i], i % 10 ? LOOP_IO_READV : LOOP_IO_FDATASYNC, e->fd, 0);
		if (i % 10)
			req_buf(&r[i], buf[i], 64);
		r[i].total = &total;
		loop_io_submit(e->l, &r[i].io);
		if (i == 100)
			loop_run_once(e->l, 0);
	}
	loop_free(e->l);
	e->l = NULL;
	assert_int_equal(total, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH_WITH(test_read_write, setup, teardown),
		BOTH_WITH(test_short_and_errors, setup, teardown),
		BOTH_WITH(test_fallocate, setup, teardown),
		BOTH_WITH(test_many, setup, teardown),
		BOTH_WITH(test_chains, setup, teardown),
		BOTH_WITH(test_free_in_flight, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
