// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * No flush and no durable write may be told as done when something that was written before is lost. The kernel
 * tells a lost write to one of the fdatasync that run at once: by a model of that, which is all that our fdatasync()
 * here is, and by the kernel itself, on a disk that has less room than it says.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>
#include "base/testing.h"
#include "block/block_int.h"

const struct block_format *const block_format_table[] = { &raw_format, NULL };

#define LANES 4u

/* -------- the model: lost writes, of which an open file has told the first @seen -------- */

static _Atomic uint32_t lost, seen, calls, at_once, most_at_once, writes_left;
static void *_Atomic victim; /* what was written, and lost */
static _Atomic bool held;    /* calls wait for one of @go each */
static sem_t go;

static void nap(uint32_t us)
{
	nanosleep(&(struct timespec){ .tv_nsec = us * 1000l }, NULL);
}

/* The library's own for the code under test, where there is no io_uring. */
int fdatasync(int fd)
{
	uint32_t n = atomic_fetch_add(&at_once, 1) + 1, was;
	unsigned int random = (unsigned int)fd + n + atomic_fetch_add(&calls, 1);
	int r = 0;

	if (n > most_at_once)
		most_at_once = n;
	if (held)
		sem_wait(&go);
	nap((uint32_t)rand_r(&random) % 200);
	was = atomic_exchange(&seen, lost);
	if (was < seen)
		r = -1;
	nap((uint32_t)rand_r(&random) % 200);
	atomic_fetch_sub(&at_once, 1);
	errno = EIO;
	return r;
}

/* Likewise. One write is lost, from which on the file says so, once. */
ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
	ssize_t done = pwrite(fd, iov->iov_base, iov->iov_len, at);

	assert_int_equal(n, 1);
	if (atomic_fetch_sub(&writes_left, 1) == 1) {
		victim = iov->iov_base;
		lost++;
	}
	return done;
}

static void model_init(uint32_t lost_write)
{
	lost = seen = calls = most_at_once = 0;
	victim = NULL;
	writes_left = lost_write;
}

/* -------- a disk with several loops -------- */

static char path[PATH_MAX];

struct bed {
	struct block_dev *b;
	struct loop *loop[LANES];
};

static void bed_open(struct bed *e, unsigned int loop_flags)
{
	struct block_config c = { .file = path, .id = (char *)(uintptr_t) "d0" };
	struct error err = ERROR_INIT;

	e->b = block_open(&c, &err);
	if (!e->b)
		fail_msg("%s", err.msg);
	for (uint32_t i = 0; i < LANES; i++) {
		e->loop[i] = loop_thread_start("lane", ROLE_IO, loop_flags, &err);
		assert_non_null(e->loop[i]);
	}
	assert_true(block_attach(e->b, e->loop, LANES, &err));
}

static void bed_close(struct bed *e)
{
	block_detach(e->b);
	for (uint32_t i = 0; i < LANES; i++)
		loop_thread_stop(e->loop[i]);
	block_close(e->b);
}

static void make_file(void)
{
	int fd;

	snprintf(path, sizeof(path), "./sync-test-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, MIB), 0);
	close(fd);
}

/* A request from another thread. */
struct call {
	struct bed *e;
	struct block_req r;
	struct iovec iov;
	sem_t done;
	int res;
};

static void call_done(struct block_req *r, int res)
{
	struct call *c = r->opaque;

	c->res = res;
	sem_post(&c->done);
}

static void call_start(void *opaque)
{
	struct call *c = opaque;

	block_submit(c->e->b, &c->r);
}

static void submit(struct call *c, struct bed *e, uint32_t lane, enum block_op op, uint64_t off,
	void *p, uint64_t len)
{
	c->e = e;
	c->iov = (struct iovec){ p, len };
	c->r = (struct block_req){ .op = op,
		.offset = off,
		.len = len,
		.iov = &c->iov,
		.n_iov = 1,
		.lane = (uint8_t)lane,
		.done = call_done,
		.opaque = c };
	sem_init(&c->done, 0, 0);
	loop_call(e->loop[lane], call_start, c);
}

static int wait_call(struct call *c)
{
	while (sem_wait(&c->done) < 0)
		;
	sem_destroy(&c->done);
	return c->res;
}

/* -------- several at once -------- */

/* The lost write has been told as done. */
static _Atomic bool gone;

struct lane {
	struct bed *e;
	struct block_req r;
	struct iovec iov;
	uint8_t data[512];
	uint32_t n, left, wrong;
	unsigned int seed;
	bool failed, must_fail; /* it is asked for after that */
	sem_t done;
};

static void lane_next(void *opaque);

static void lane_done(struct block_req *r, int res)
{
	struct lane *l = r->opaque;
	bool told = r->op == BLOCK_FLUSH || r->fua;

	l->wrong += told && l->must_fail && !res;
	l->wrong += r->fua && victim == l->data && !res;
	/* And nothing comes back to life. */
	l->wrong += told && l->failed && !res;
	l->failed |= told && res;
	if (r->op == BLOCK_WRITE && victim == l->data)
		gone = true;
	if (--l->left)
		lane_next(l);
	else
		sem_post(&l->done);
}

static void lane_next(void *opaque)
{
	struct lane *l = opaque;
	uint32_t what = (uint32_t)rand_r(&l->seed) % 8;

	l->must_fail = gone;
	l->iov = (struct iovec){ l->data, sizeof(l->data) };
	l->r = (struct block_req){ .op = what < 4 ? BLOCK_FLUSH : BLOCK_WRITE,
		.fua = what == 4,
		.offset = 512 * l->n,
		.len = 512,
		.iov = &l->iov,
		.n_iov = 1,
		.lane = (uint8_t)l->n,
		.done = lane_done,
		.opaque = l };
	block_submit(l->e->b, &l->r);
}

static void test_lost(void **state)
{
	uint32_t wrong = 0, failed = 0;

	for (uint32_t round = 0; round < 60; round++) {
		struct lane lanes[LANES] = { 0 };
		struct bed e;

		model_init(1 + round % 40);
		gone = false;
		make_file();
		bed_open(&e, LOOP_NO_URING);
		for (uint32_t i = 0; i < LANES; i++) {
			lanes[i].e = &e;
			lanes[i].n = i;
			lanes[i].left = 30;
			lanes[i].seed = round * LANES + i;
			sem_init(&lanes[i].done, 0, 0);
			loop_call(e.loop[i], lane_next, &lanes[i]);
		}
		for (uint32_t i = 0; i < LANES; i++) {
			while (sem_wait(&lanes[i].done) < 0)
				;
			sem_destroy(&lanes[i].done);
			wrong += lanes[i].wrong;
			failed += lanes[i].failed;
		}
		assert_int_equal(most_at_once, 1);
		bed_close(&e);
		unlink(path);
	}
	assert_int_equal(wrong, 0);
	assert_true(failed > 60);
}

/* -------- sharing -------- */

static void wait_calls(uint32_t n)
{
	while (calls < n)
		nap(100);
}

static void test_shared(void **state)
{
	static uint8_t data[512];
	struct call first, joins, write, next[LANES], durable;
	struct bed e;

	model_init(0);
	make_file();
	bed_open(&e, LOOP_NO_URING);
	held = true;
	submit(&first, &e, 1, BLOCK_FLUSH, 0, NULL, 0);
	wait_calls(1);
	/* Nothing was written since that began: the same serves. */
	submit(&joins, &e, 2, BLOCK_FLUSH, 0, NULL, 0);
	/* Something was: it does not. One for all that wait meanwhile. */
	submit(&write, &e, 3, BLOCK_WRITE, 0, data, 512);
	assert_int_equal(wait_call(&write), 0);
	block_set_writethrough(e.b, true);
	submit(&durable, &e, 0, BLOCK_WRITE, 512, data, 512);
	for (uint32_t i = 0; i < LANES; i++)
		submit(&next[i], &e, i, BLOCK_FLUSH, 0, NULL, 0);
	nap(50000); /* the durable write is written, and waits */
	assert_int_equal(calls, 1);
	sem_post(&go);
	assert_int_equal(wait_call(&first), 0);
	assert_int_equal(wait_call(&joins), 0);
	wait_calls(2);
	assert_int_not_equal(sem_trywait(&durable.done), 0);
	assert_int_not_equal(sem_trywait(&next[2].done), 0);
	lost++;
	sem_post(&go);
	/* It fails for all that it was for. */
	assert_int_equal(wait_call(&durable), -EIO);
	for (uint32_t i = 0; i < LANES; i++)
		assert_int_equal(wait_call(&next[i]), -EIO);
	/* And for good, without another call. */
	submit(&first, &e, 3, BLOCK_FLUSH, 0, NULL, 0);
	assert_int_equal(wait_call(&first), -EIO);
	submit(&durable, &e, 1, BLOCK_WRITE, 512, data, 512);
	assert_int_equal(wait_call(&durable), -EIO);
	assert_int_equal(calls, 2);
	held = false;
	bed_close(&e);
	unlink(path);
}

/* -------- the kernel's own: needs root -------- */

/* A loop device of 8 MiB on a file system of 1 MiB: what is written is taken, and lost. */
static int make_short_disk(char *dir)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), n = -1, fd = -1, file = -1;

	if (control >= 0 && !mount("none", dir, "tmpfs", 0, "size=1m")) {
		snprintf(path, sizeof(path), "%s/file", dir);
		file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		n = ioctl(control, LOOP_CTL_GET_FREE);
		snprintf(path, sizeof(path), "/dev/loop%d", n);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (ftruncate(file, 8 * MIB) < 0 || n < 0 || fd < 0 ||
			ioctl(fd, LOOP_SET_FD, file) < 0)
			n = -1;
		if (n < 0)
			umount(dir);
	}
	if (fd >= 0)
		close(fd);
	if (file >= 0)
		close(file);
	if (control >= 0)
		close(control);
	return n;
}

static void drop_short_disk(char *dir)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	ioctl(fd, LOOP_CLR_FD);
	close(fd);
	umount(dir);
}

static void short_disk_round(unsigned int loop_flags, uint8_t *data)
{
	struct call write, c[LANES];
	struct bed e;

	bed_open(&e, loop_flags);
	submit(&write, &e, 0, BLOCK_WRITE, 0, data, 4 * MIB);
	assert_int_equal(wait_call(&write), 0);
	for (uint32_t i = 0; i < LANES; i++)
		submit(&c[i], &e, i, BLOCK_FLUSH, 0, NULL, 0);
	for (uint32_t i = 0; i < LANES; i++)
		assert_int_equal(wait_call(&c[i]), -EIO);
	submit(&c[0], &e, 0, BLOCK_FLUSH, 0, NULL, 0);
	assert_int_equal(wait_call(&c[0]), -EIO);
	bed_close(&e);
}

static void test_kernel(void **state)
{
	uint8_t *data = malloc(4 * MIB);

	memset(data, 0x55, 4 * MIB);
	for (int i = 0; i < 8; i++) {
		char dir[] = "/tmp/lodge-short-XXXXXX";

		assert_non_null(mkdtemp(dir));
		if (make_short_disk(dir) < 0) {
			rmdir(dir);
			free(data);
			skip();
		}
		short_disk_round(LOOP_URING, data);
		drop_short_disk(dir);
		rmdir(dir);
	}
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_kernel),
	};

	sem_init(&go, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
