// SPDX-License-Identifier: GPL-2.0-or-later
/* White box: what the io_uring back end does when the kernel takes no more for a while. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/testing.h"
#include "loop/loop_int.h"

#define N 8

struct env {
	struct loop *l;
	struct loop_fd w[N];
	int p[N][2], seen[N];
};

static void seen_cb(void *opaque, unsigned int events)
{
	++*(int *)opaque;
}

static void count_cb(void *opaque)
{
	++*(int *)opaque;
}

static int setup(void **state)
{
	struct env *e = calloc(1, sizeof(*e));
	struct error err = ERROR_INIT;

	e->l = loop_new("test", LOOP_URING, &err);
	assert_non_null(e->l);
	for (int i = 0; i < N; i++) {
		assert_int_equal(pipe2(e->p[i], O_CLOEXEC), 0);
		loop_fd_init(&e->w[i], e->p[i][0], LOOP_IN, seen_cb, &e->seen[i]);
		assert_int_equal(loop_fd_add(e->l, &e->w[i]), 0);
	}
	loop_run_once(e->l, 0);
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	struct env *e = *state;

	loop_free(e->l);
	for (int i = 0; i < N; i++) {
		close(e->p[i][0]);
		close(e->p[i][1]);
	}
	free(e);
	return 0;
}

/* The submission queue is full and cannot be emptied. */
static void jam(struct loop *l)
{
	struct io_uring_sqe *sqe;

	while ((sqe = io_uring_get_sqe(&l->ring))) {
		io_uring_prep_nop(sqe);
		sqe->user_data = 2; /* nobody's */
	}
	l->ring_enabled = false;
}

static void unjam(struct loop *l)
{
	l->ring_enabled = true;
}

static void settle(struct loop *l)
{
	for (int i = 0; i < 5; i++)
		loop_run_once(l, 0);
}

static void test_remove_when_full(void **state)
{
	struct env *e = *state;
	struct loop_fd again;
	int n = 0;

	if (!loop_has_uring(e->l))
		skip();
	jam(e->l);
	loop_fd_del(&e->w[0]);
	loop_fd_del(&e->w[1]);
	assert_int_equal(e->l->n_removing, 2);
	loop_fd_init(&again, e->p[0][0], LOOP_IN, seen_cb, &n); /* same descriptor, other slot */
	assert_int_equal(loop_fd_add(e->l, &again), 0);
	for (int i = 0; i < N; i++)
		assert_int_equal(write(e->p[i][1], "x", 1), 1);
	unjam(e->l);
	loop_run_once(e->l, -1); /* does not sleep: there is more to hand over */
	settle(e->l);
	assert_int_equal(e->l->n_removing, 0);
	assert_int_equal(e->seen[0] + e->seen[1], 0);
	assert_true(n > 0 && e->seen[2] > 0 && e->seen[N - 1] > 0);
	loop_fd_del(&again);
}

static void test_modify_when_full(void **state)
{
	struct env *e = *state;
	int was[N];

	if (!loop_has_uring(e->l))
		skip();
	for (int i = 0; i < N; i++)
		assert_int_equal(write(e->p[i][1], "x", 1), 1);
	settle(e->l);
	jam(e->l);
	for (int i = 0; i < N / 2; i++)
		assert_int_equal(loop_fd_modify(&e->w[i], 0), 0);
	memcpy(was, e->seen, sizeof(was));
	unjam(e->l);
	settle(e->l);
	settle(e->l);
	for (int i = 0; i < N; i++)
		assert_int_equal(e->seen[i] > was[i], i >= N / 2);
	for (int i = 0; i < N / 2; i++)
		assert_int_equal(loop_fd_modify(&e->w[i], LOOP_IN), 0);
	settle(e->l);
	for (int i = 0; i < N; i++)
		assert_true(e->seen[i] > was[i]);
}

static int n_done;

static void io_done(struct loop_io *io, int64_t res)
{
	assert_int_equal(res, 4);
	n_done++;
}

static void test_io_when_full(void **state)
{
	struct env *e = *state;
	static struct loop_io io[300];
	char text[] = "abcd";
	struct iovec iov = { text, 4 };
	int fd = memfd_create("test", MFD_CLOEXEC);

	if (!loop_has_uring(e->l))
		skip();
	n_done = 0;
	jam(e->l);
	for (int i = 0; i < 300; i++) {
		io[i] = (struct loop_io){ .kind = LOOP_IO_WRITEV,
			.fd = fd,
			.iov = &iov,
			.n_iov = 1,
			.offset = (uint64_t)i * 4,
			.done = io_done };
		loop_io_submit(e->l, &io[i]);
	}
	assert_int_equal(e->l->in_flight, 300);
	unjam(e->l);
	while (n_done < 300)
		loop_run_once(e->l, 1000);
	assert_int_equal(e->l->in_flight, 0);
	assert_null(e->l->backlog);
	assert_int_equal(lseek(fd, 0, SEEK_END), 1200);
	close(fd);
}

/* A watch whose event the kernel has seen, and nobody has been told yet, goes all the same: its descriptor wakes
 * the loop no more. */
static void test_remove_with_event_pending(void **state)
{
	struct env *e = *state;
	struct loop_event event;
	int n = 0;

	assert_int_equal(loop_event_init(&event, count_cb, &n), 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(loop_event_add(e->l, &event), 0);
		settle(e->l);
		n = 0;
		loop_event_kick(&event);
		loop_event_del(&event);
		settle(e->l);
		loop_event_kick(&event);
		io_uring_get_events(&e->l->ring);
		assert_int_equal(io_uring_cq_ready(&e->l->ring), 0);
		assert_int_equal(n, 0);
	}
	loop_event_fini(&event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_remove_when_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_modify_when_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_io_when_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove_with_event_pending, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
