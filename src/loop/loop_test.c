// SPDX-License-Identifier: GPL-2.0-or-later
/* Descriptors, events, timers and deferred calls, on both back ends. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fault.h"
#include "loop/testing.h"

/* A pass that handles what is ready; nothing may be ready for @quiet_ms. */
static void settle(struct loop *l)
{
	for (int i = 0; i < 5; i++)
		loop_run_once(l, 0);
}

struct seen {
	struct loop *l;
	struct loop_fd w;
	int n;
	unsigned int events;
	bool del, drain;
	struct loop_fd *kill; /* removed and freed by the callback */
};

static void seen_cb(void *opaque, unsigned int events)
{
	struct seen *s = opaque;
	char c;

	s->n++;
	s->events = events;
	if (s->drain)
		assert_int_equal(read(s->w.fd, &c, 1), 1);
	if (s->kill) {
		loop_fd_del(s->kill);
		free(CONTAINER_OF(s->kill, struct seen, w));
		s->kill = NULL;
	}
	if (s->del) {
		loop_fd_del(&s->w);
		memset(&s->w, 0x5a, sizeof(s->w)); /* as good as freed */
	}
}

static void seen_init(struct seen *s, struct loop *l, int fd, unsigned int events)
{
	memset(s, 0, sizeof(*s));
	s->l = l;
	loop_fd_init(&s->w, fd, events, seen_cb, s);
	assert_int_equal(loop_fd_add(l, &s->w), 0);
}

/* -------- descriptors -------- */

static void test_level_triggered(void **state)
{
	struct loop *l = test_loop(state);
	struct seen s;
	int p[2];
	char c = 'x';

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	seen_init(&s, l, p[0], LOOP_IN);
	settle(l);
	assert_int_equal(s.n, 0);
	assert_int_equal(write(p[1], "abc", 3), 3);
	for (int i = 1; i <= 4; i++) { /* told until it is read */
		loop_run_once(l, 1000);
		assert_int_equal(s.n, i);
		assert_int_equal(s.events, LOOP_IN);
	}
	s.drain = true; /* a byte a callback: told for each byte that is left */
	for (int i = 5; i <= 7; i++) {
		loop_run_once(l, 1000);
		assert_int_equal(s.n, i);
	}
	settle(l);
	assert_int_equal(s.n, 7);
	assert_int_equal(write(p[1], &c, 1), 1);
	loop_run_once(l, 1000);
	assert_int_equal(s.n, 8);
	loop_fd_del(&s.w);
	loop_fd_del(&s.w);
	assert_int_equal(write(p[1], &c, 1), 1);
	settle(l);
	assert_int_equal(s.n, 8);
	close(p[0]);
	close(p[1]);
	loop_free(l);
}

static void test_hup_and_eof(void **state)
{
	struct loop *l = test_loop(state);
	struct seen s, none;
	int p[2], sv[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	seen_init(&s, l, p[0], LOOP_IN);
	seen_init(&none, l, p[1], 0); /* nothing wanted: hang-up is told all the same */
	none.del = true;
	close(p[0]);
	loop_fd_del(&s.w); /* after the close: wrong order, but harmless */
	for (int i = 0; i < 10 && !none.n; i++)
		loop_run_once(l, 100);
	assert_int_equal(none.n, 1);
	assert_int_equal(none.events, LOOP_HUP);
	close(p[1]);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	seen_init(&s, l, sv[0], LOOP_IN);
	assert_int_equal(shutdown(sv[1], SHUT_WR), 0); /* end of file: readable */
	loop_run_once(l, 1000);
	assert_true(s.events & LOOP_IN);
	close(sv[1]);
	loop_run_once(l, 1000);
	loop_run_once(l, 1000);
	assert_int_equal(s.events, LOOP_IN | LOOP_HUP);
	loop_fd_del(&s.w);
	close(sv[0]);
	loop_free(l);
}

static void test_modify(void **state)
{
	struct loop *l = test_loop(state);
	struct seen s;
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	seen_init(&s, l, sv[0], LOOP_IN);
	settle(l);
	assert_int_equal(s.n, 0);
	assert_int_equal(loop_fd_modify(&s.w, LOOP_IN | LOOP_OUT), 0);
	loop_run_once(l, 1000);
	assert_int_equal(s.events, LOOP_OUT);
	assert_int_equal(loop_fd_modify(&s.w, LOOP_IN), 0);
	s.n = 0;
	settle(l);
	assert_int_equal(s.n, 0);
	for (int i = 0; i < 300; i++) { /* more than the submission queue takes, in one round */
		assert_int_equal(loop_fd_modify(&s.w, LOOP_OUT), 0);
		assert_int_equal(loop_fd_modify(&s.w, 0), 0);
	}
	settle(l);
	assert_int_equal(s.n, 0);
	assert_int_equal(write(sv[1], "x", 1), 1);
	settle(l);
	assert_int_equal(s.n, 0);
	assert_int_equal(loop_fd_modify(&s.w, LOOP_IN), 0);
	loop_run_once(l, 1000);
	assert_int_equal(s.n, 1);
	close(sv[0]);
	close(sv[1]);
	loop_fd_del(&s.w);
	loop_free(l);
}

static void test_refused(void **state)
{
	struct loop *l = test_loop(state);
	struct loop_fd w;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), reg = open("/proc/self/exe", O_RDONLY);

	loop_fd_init(&w, -1, LOOP_IN, seen_cb, NULL);
	assert_int_equal(loop_fd_add(l, &w), -EBADF);
	loop_fd_init(&w, reg, LOOP_IN, seen_cb, NULL);
	assert_int_equal(loop_fd_add(l, &w), -EPERM);
	assert_null(w.loop);
	loop_fd_del(&w);
	close(reg);
	close(fd);
	loop_free(l);
}

static void test_twice_is_busy(void **state)
{
	struct loop *l = test_loop(state);
	struct seen s;
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	seen_init(&s, l, p[0], LOOP_IN);
	assert_int_equal(loop_fd_add(l, &s.w), -EBUSY);
	loop_free(l); /* with the watch in it */
	loop_fd_del(&s.w);
	close(p[0]);
	close(p[1]);
}

/* Two are ready in one batch; whichever comes first removes and frees the other. */
static void test_callback_frees_other(void **state)
{
	struct loop *l = test_loop(state);
	struct seen *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	seen_init(a, l, p[0], LOOP_IN);
	seen_init(b, l, fcntl(p[0], F_DUPFD_CLOEXEC, 0), LOOP_IN);
	a->kill = &b->w;
	settle(l);
	assert_int_equal(write(p[1], "x", 1), 1);
	loop_run_once(l, 1000);
	settle(l);
	assert_true(a->n >= 1);
	loop_fd_del(&a->w);
	free(a);
	settle(l);
	close(p[0]);
	close(p[1]);
	loop_free(l);
}

static void test_callback_removes_itself(void **state)
{
	struct loop *l = test_loop(state);
	struct seen s;
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	seen_init(&s, l, p[0], LOOP_IN);
	s.del = true;
	assert_int_equal(write(p[1], "x", 1), 1);
	loop_run_once(l, 1000);
	settle(l);
	assert_int_equal(s.n, 1);
	close(p[0]);
	close(p[1]);
	loop_free(l);
}

#define MANY 400

static void test_many_descriptors(void **state)
{
	struct loop *l = test_loop(state);
	static struct seen s[MANY];
	static int p[MANY][2];

	for (int i = 0; i < MANY; i++) {
		assert_int_equal(pipe2(p[i], O_CLOEXEC), 0);
		seen_init(&s[i], l, p[i][0], LOOP_IN);
		s[i].drain = true;
	}
	settle(l);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i += 1 + round)
			assert_int_equal(write(p[i][1], "x", 1), 1);
		for (int i = 0; i < 40; i++)
			loop_run_once(l, 0);
	}
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(s[i].n, 1 + (i % 2 == 0) + (i % 3 == 0));
		if (i % 2)
			loop_fd_del(&s[i].w); /* the others are left to loop_free() */
	}
	settle(l);
	loop_free(l);
	for (int i = 0; i < MANY; i++) {
		loop_fd_del(&s[i].w);
		close(p[i][0]);
		close(p[i][1]);
	}
}

/* A closed descriptor's number is used again while the old watch is being removed. */
static void test_number_reused(void **state)
{
	struct loop *l = test_loop(state);

	for (int i = 0; i < 300; i++) {
		struct seen s;
		int p[2];

		assert_int_equal(pipe2(p, O_CLOEXEC), 0);
		seen_init(&s, l, p[0], LOOP_IN);
		if (i % 3)
			loop_run_once(l, 0);
		if (i % 2)
			assert_int_equal(write(p[1], "x", 1), 1);
		if (i % 5 == 0) {
			loop_run_once(l, 0);
			loop_run_once(l, 0);
			assert_true(s.n == 0 || i % 2);
		}
		loop_fd_del(&s.w);
		close(p[0]);
		close(p[1]);
	}
	loop_free(l);
}

/* -------- events -------- */

struct counter {
	int n;
	struct loop *l;
	struct loop_event *del;
};

static void count_cb(void *opaque)
{
	struct counter *c = opaque;

	c->n++;
	if (c->del) {
		loop_event_fini(c->del);
		free(c->del);
		c->del = NULL;
	}
}

static void test_event(void **state)
{
	struct loop *l = test_loop(state);
	struct counter c = { 0 };
	struct loop_event e;

	assert_int_equal(loop_event_init(&e, count_cb, &c), 0);
	assert_int_equal(loop_event_add(l, &e), 0);
	settle(l);
	assert_int_equal(c.n, 0);
	for (int i = 1; i < 10; i++) {
		for (int k = 0; k < i; k++)
			loop_event_kick(&e);
		settle(l);
		assert_in_range(c.n, 1, i); /* io_uring may tell each kick */
		c.n = 0;
		settle(l);
		assert_int_equal(c.n, 0);
	}
	loop_event_del(&e);
	loop_event_kick(&e);
	settle(l);
	assert_int_equal(c.n, 0);
	assert_int_equal(loop_event_add(l, &e), 0); /* the kick meanwhile is not lost */
	settle(l);
	assert_int_equal(c.n, 1);
	loop_event_fini(&e);
	loop_event_fini(&e);
	loop_free(l);
}

static void test_event_frees_itself(void **state)
{
	struct loop *l = test_loop(state);
	struct counter c = { .del = malloc(sizeof(struct loop_event)) };

	assert_int_equal(loop_event_init(c.del, count_cb, &c), 0);
	assert_int_equal(loop_event_add(l, c.del), 0);
	loop_event_kick(c.del);
	loop_event_kick(c.del);
	settle(l);
	assert_int_equal(c.n, 1);
	loop_free(l);
}

static void test_event_between_loops(void **state)
{
	struct loop *a = test_loop(state), *b = test_loop(state);
	struct counter c = { 0 };
	struct loop_event e;

	assert_int_equal(loop_event_init(&e, count_cb, &c), 0);
	for (int i = 0; i < 20; i++) {
		struct loop *l = i % 2 ? a : b;

		assert_int_equal(loop_event_add(l, &e), 0);
		settle(l);
		c.n = 0;
		loop_event_kick(&e);
		loop_run_once(l, 1000);
		assert_int_equal(c.n, 1);
		loop_event_del(&e);
	}
	loop_event_fini(&e);
	loop_free(a);
	loop_free(b);
}

static uint64_t eventfd_value(int fd)
{
	uint64_t v = 0;

	return read(fd, &v, sizeof(v)) == sizeof(v) ? v : 0;
}

static void test_signal(void **state)
{
	struct loop *l = test_loop(state);
	struct counter c = { 0 };
	struct loop_event e;
	int fd[20];

	for (int i = 0; i < 20; i++)
		fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (int i = 0; i < 100; i++)
		loop_eventfd_signal(l, fd[i % 2]);
	assert_int_equal(eventfd_value(fd[0]), 0);
	loop_run_once(l, 0);
	assert_int_equal(eventfd_value(fd[0]), 1); /* once */
	assert_int_equal(eventfd_value(fd[1]), 1);
	for (int i = 0; i < 20; i++) /* more than are put off */
		loop_eventfd_signal(l, fd[i]);
	loop_flush(l);
	loop_flush(l);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(eventfd_value(fd[i]), 1);
		if (i)
			close(fd[i]);
	}
	assert_int_equal(loop_event_init(&e, count_cb, &c), 0);
	assert_int_equal(loop_event_add(l, &e), 0);
	settle(l);
	for (int i = 0; i < 5; i++) { /* its own event */
		c.n = 0;
		loop_eventfd_signal(l, e.fd);
		settle(l);
		assert_int_equal(c.n, 1);
	}
	loop_event_fini(&e);
	loop_eventfd_signal(l, fd[0]);
	loop_free(l);
	assert_int_equal(eventfd_value(fd[0]), 1);
	close(fd[0]);
}

/* -------- timers -------- */

struct tick {
	struct loop_timer t;
	int id;
	int64_t fired_ns;
};

static int order[200], n_order;

static void tick_cb(void *opaque)
{
	struct tick *t = opaque;

	t->fired_ns = clock_mono_ns();
	assert_true(t->fired_ns >= t->t.deadline_ns);
	assert_false(loop_timer_armed(&t->t));
	order[n_order++] = t->id;
}

static void run_until(struct loop *l, int64_t ns)
{
	while (clock_mono_ns() < ns)
		loop_run_once(l, 1);
}

static void test_timers_in_order(void **state)
{
	struct loop *l = test_loop(state);
	int64_t now = clock_mono_ns();
	struct tick t[100];

	srand(1);
	n_order = 0;
	for (int i = 0; i < 100; i++) {
		t[i].id = i;
		loop_timer_init(&t[i].t, l, tick_cb, &t[i]);
		/* every third at one time; some re-armed, some disarmed */
		loop_timer_arm(&t[i].t, now + rand() % 5000000);
		if (i % 4 == 0)
			loop_timer_arm(&t[i].t, now + NS_PER_MS + i % 3 * NS_PER_MS);
		if (i % 7 == 0)
			loop_timer_disarm(&t[i].t);
		assert_int_equal(loop_timer_armed(&t[i].t), i % 7 != 0);
	}
	run_until(l, now + 20 * NS_PER_MS);
	assert_int_equal(n_order, 100 - 15);
	for (int i = 1; i < n_order; i++) {
		struct loop_timer *a = &t[order[i - 1]].t, *b = &t[order[i]].t;

		assert_true(a->deadline_ns <= b->deadline_ns);
		if (a->deadline_ns == b->deadline_ns)
			assert_true(order[i - 1] < order[i]);
	}
	loop_free(l);
	for (int i = 0; i < 100; i++)
		loop_timer_fini(&t[i].t);
}

static void test_timer_random_model(void **state)
{
	struct loop *l = test_loop(state);
	int64_t far = clock_mono_ns() + 1000 * NS_PER_SEC;
	static struct tick t[60];
	bool armed[60] = { false };

	srand(2);
	for (int i = 0; i < 60; i++)
		loop_timer_init(&t[i].t, l, tick_cb, &t[i]);
	for (int step = 0; step < 5000; step++) {
		int i = rand() % 60;

		if (rand() % 3) {
			loop_timer_arm(&t[i].t, far + rand() % 1000);
			armed[i] = true;
		} else {
			loop_timer_disarm(&t[i].t);
			armed[i] = false;
		}
		assert_int_equal(loop_timer_armed(&t[i].t), armed[i]);
	}
	/* All that are left, earlier: they must all be found in the heap. */
	n_order = 0;
	for (int i = 0; i < 60; i++) {
		t[i].id = i;
		if (armed[i])
			loop_timer_arm(&t[i].t, -100 + rand() % 50);
	}
	settle(l);
	for (int i = 0; i < 60; i++)
		assert_int_equal(loop_timer_armed(&t[i].t), false);
	for (int i = 1; i < n_order; i++)
		assert_true(t[order[i - 1]].t.deadline_ns <= t[order[i]].t.deadline_ns);
	loop_free(l);
}

static void rearm_cb(void *opaque)
{
	struct tick *t = opaque;

	t->id++;
	loop_timer_arm(&t->t, 0); /* always in the past */
}

static void test_timer_in_past_does_not_starve(void **state)
{
	struct loop *l = test_loop(state);
	struct counter c = { 0 };
	struct loop_event e;
	struct tick t = { 0 };

	loop_timer_init(&t.t, l, rearm_cb, &t);
	loop_timer_arm(&t.t, INT64_MIN);
	assert_int_equal(loop_event_init(&e, count_cb, &c), 0);
	assert_int_equal(loop_event_add(l, &e), 0);
	loop_event_kick(&e);
	for (int i = 0; i < 20; i++)
		loop_run_once(l, 100);
	assert_true(t.id > 5);
	assert_int_equal(c.n, 1);
	loop_timer_fini(&t.t);
	loop_event_fini(&e);
	loop_free(l);
}

struct pair {
	struct loop_timer *self, *other;
	int n;
};

static void free_both_cb(void *opaque)
{
	struct pair *p = opaque;

	p->n++;
	loop_timer_fini(p->other);
	free(p->other);
	free(p->self);
}

static void test_timer_frees_itself_and_other(void **state)
{
	struct loop *l = test_loop(state);
	struct pair p = { malloc(sizeof(struct loop_timer)), malloc(sizeof(struct loop_timer)), 0 };

	loop_timer_init(p.self, l, free_both_cb, &p);
	loop_timer_init(p.other, l, free_both_cb, &p);
	loop_timer_arm(p.self, 1);
	loop_timer_arm(p.other, 2);
	settle(l);
	assert_int_equal(p.n, 1);
	loop_free(l);
}

/* -------- deferred calls -------- */

struct post {
	struct loop_defer d;
	struct loop *l;
	int id, again;
	struct post *cancel;
};

static void post_cb(void *opaque)
{
	struct post *p = opaque;

	order[n_order++] = p->id;
	if (p->again-- > 0)
		loop_post(p->l, &p->d);
	if (p->cancel)
		loop_defer_cancel(p->l, &p->cancel->d);
}

static void post_init(struct post *p, struct loop *l, int id)
{
	*p = (struct post){ .l = l, .id = id };
	loop_defer_init(&p->d, post_cb, p);
}

static void test_posts(void **state)
{
	struct loop *l = test_loop(state);
	struct post p[6];

	for (int i = 0; i < 6; i++)
		post_init(&p[i], l, i);
	n_order = 0;
	for (int i = 0; i < 6; i++) {
		loop_post(l, &p[i].d);
		loop_post(l, &p[i].d); /* still queued: nothing */
	}
	p[0].again = 2;
	p[2].cancel = &p[4];
	loop_defer_cancel(l, &p[1].d);
	loop_defer_cancel(l, &p[1].d);
	loop_run_once(l, 5000); /* does not wait */
	assert_int_equal(n_order, 4);
	assert_memory_equal(order, ((int[]){ 0, 2, 3, 5 }), 4 * sizeof(int));
	loop_run_once(l, 5000);
	loop_run_once(l, 5000);
	assert_int_equal(n_order, 6);
	loop_post(l, &p[4].d); /* cancelled ones can be posted again */
	loop_run_once(l, 5000);
	assert_int_equal(order[6], 4);
	loop_post(l, &p[3].d);
	loop_free(l); /* queued: still runs */
	assert_int_equal(n_order, 8);
}

static void test_cancel_random(void **state)
{
	struct loop *l = test_loop(state);
	struct post p[8];
	bool queued[8] = { false };

	srand(5);
	for (int i = 0; i < 8; i++)
		post_init(&p[i], l, i);
	for (int round = 0; round < 500; round++) {
		int want = 0;

		for (int k = rand() % 12; k > 0; k--) {
			int i = rand() % 8;

			queued[i] = rand() % 3 != 0;
			if (queued[i])
				loop_post(l, &p[i].d);
			else
				loop_defer_cancel(l, &p[i].d);
		}
		n_order = 0;
		loop_run_once(l, 0);
		for (int i = 0; i < 8; i++)
			want += queued[i];
		assert_int_equal(n_order, want);
		for (int i = 0; i < n_order; i++) {
			assert_true(queued[order[i]]);
			queued[order[i]] = false;
		}
	}
	loop_free(l);
}

static void stop_cb(void *opaque)
{
	loop_stop(opaque);
}

static void test_run_and_stop(void **state)
{
	struct loop *l = test_loop(state);
	struct loop_defer d;
	struct loop_timer t;

	loop_defer_init(&d, stop_cb, l);
	loop_timer_init(&t, l, stop_cb, l);
	loop_post(l, &d);
	loop_run(l);
	loop_stop(l);
	loop_run(l); /* at once */
	loop_timer_arm(&t, clock_mono_ns() + NS_PER_MS);
	loop_run(l);
	assert_true(loop_in_thread(l));
	assert_string_equal(loop_name(l), "test");
	loop_free(l);
	loop_free(NULL);
}

static void test_out_of_memory(void **state)
{
	struct fault_sweep sweep = FAULT_SWEEP_INIT;

	while (fault_sweep(&sweep)) {
		struct error err = ERROR_INIT;
		struct loop *l = loop_new("test", *(unsigned int *)*state, &err);

		fault_stop();
		if (l)
			loop_free(l);
		else
			assert_true(fault_hit() && strstr(err.msg, "test"));
	}
}

/* The slots are used up after some watches: the next one says so. */
static void test_out_of_slots(void **state)
{
	struct loop *l = test_loop(state);
	static struct loop_event e[100];
	int n = 0, rc = 0;

	fault_alloc_after(1);
	for (; rc == 0 && n < 100; n++) {
		assert_int_equal(loop_event_init(&e[n], count_cb, NULL), 0);
		rc = loop_event_add(l, &e[n]);
	}
	fault_stop();
	assert_int_equal(rc, -ENOMEM);
	assert_int_equal(loop_event_add(l, &e[n - 1]), 0);
	while (n)
		loop_event_fini(&e[--n]);
	loop_free(l);
}

/* A seccomp filter or an administrator forbids io_uring: epoll does it, and nobody is told. */
static void test_uring_forbidden(void **state)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = ARRAY_SIZE(code), .filter = code };
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct error err = ERROR_INIT;
		struct loop *l;

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
			prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
			_exit(77);
		l = loop_new("test", LOOP_URING, &err);
		_exit(l && !loop_has_uring(l) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) != 77)
		assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_backend(void **state)
{
	struct loop *l = test_loop(state);

	if (*(unsigned int *)*state & LOOP_NO_URING)
		assert_false(loop_has_uring(l));
	else if (!loop_has_uring(l))
		print_message("io_uring is not to be had here: epoll was tested twice\n");
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_backend),
		BOTH(test_out_of_memory),
		BOTH(test_out_of_slots),
		cmocka_unit_test(test_uring_forbidden),
		BOTH(test_level_triggered),
		BOTH(test_hup_and_eof),
		BOTH(test_modify),
		BOTH(test_refused),
		BOTH(test_twice_is_busy),
		BOTH(test_callback_frees_other),
		BOTH(test_callback_removes_itself),
		BOTH(test_many_descriptors),
		BOTH(test_number_reused),
		BOTH(test_event),
		BOTH(test_event_frees_itself),
		BOTH(test_event_between_loops),
		BOTH(test_signal),
		BOTH(test_timers_in_order),
		BOTH(test_timer_random_model),
		BOTH(test_timer_in_past_does_not_starve),
		BOTH(test_timer_frees_itself_and_other),
		BOTH(test_posts),
		BOTH(test_cancel_random),
		BOTH(test_run_and_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
