// SPDX-License-Identifier: GPL-2.0-or-later
/* Loops and threads: posts from many, calls, kicks, stopping, worker pools. For TSan and ASan. */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "loop/testing.h"
#include "loop/worker.h"

static struct loop *start(void **state)
{
	struct error err = ERROR_INIT;
	struct loop *l = loop_thread_start("test-io", ROLE_IO, *(unsigned int *)*state, &err);

	assert_non_null(l);
	return l;
}

/* -------- posts -------- */

#define POSTERS 3
#define DEFERS	16
#define ROUNDS	4000

/* Each defer counts what was asked of it before its run: no post may be lost. */
struct job {
	struct loop_defer d;
	_Atomic uint32_t asked;
	uint32_t seen, runs; /* on the loop */
};

struct poster {
	struct loop *l;
	struct job *jobs;
	unsigned int seed;
};

static void job_cb(void *opaque)
{
	struct job *j = opaque;

	j->seen = atomic_load_explicit(&j->asked, memory_order_relaxed);
	j->runs++;
}

static void *poster(void *opaque)
{
	struct poster *p = opaque;

	for (int i = 0; i < ROUNDS; i++) {
		struct job *j = &p->jobs[rand_r(&p->seed) % DEFERS];

		atomic_fetch_add_explicit(&j->asked, 1, memory_order_relaxed);
		loop_post(p->l, &j->d);
		if (i % 512 == 0)
			usleep(100); /* let it fall asleep */
	}
	return NULL;
}

static void test_posts_from_many(void **state)
{
	struct loop *l = start(state);
	static struct job jobs[DEFERS];
	struct poster p[POSTERS];
	pthread_t t[POSTERS];

	memset(jobs, 0, sizeof(jobs));
	for (int i = 0; i < DEFERS; i++)
		loop_defer_init(&jobs[i].d, job_cb, &jobs[i]);
	for (int i = 0; i < POSTERS; i++) {
		p[i] = (struct poster){ .l = l, .jobs = jobs, .seed = (unsigned int)i };
		pthread_create(&t[i], NULL, poster, &p[i]);
	}
	for (int i = 0; i < POSTERS; i++)
		pthread_join(t[i], NULL);
	loop_thread_stop(l); /* what is queued still runs */
	for (int i = 0; i < DEFERS; i++) {
		assert_int_equal(jobs[i].seen, jobs[i].asked);
		assert_in_range(jobs[i].runs, 1, jobs[i].asked);
	}
}

/* -------- calls -------- */

struct sum {
	struct loop *l;
	int n; /* on the loop only */
};

static void add_one(void *opaque)
{
	struct sum *s = opaque;

	assert_true(loop_in_thread(s->l));
	s->n++;
}

static void nested_call(void *opaque)
{
	struct sum *s = opaque;

	loop_call(s->l, add_one, s); /* runs at once */
}

static void *caller(void *opaque)
{
	struct sum *s = opaque;

	for (int i = 0; i < 300; i++)
		loop_call(s->l, i % 2 ? add_one : nested_call, s);
	return NULL;
}

static void test_calls(void **state)
{
	struct sum s = { .l = start(state) };
	pthread_t t[2];

	assert_false(loop_in_thread(s.l));
	loop_call(s.l, add_one, &s); /* maybe before its thread has begun */
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, caller, &s);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	loop_thread_stop(s.l);
	assert_int_equal(s.n, 601);
}

static void test_start_stop_races(void **state)
{
	for (int i = 0; i < 60; i++) {
		struct loop *l = start(state);
		struct sum s = { .l = l };

		if (i % 3 == 0)
			usleep(200);
		if (i % 2)
			loop_call(l, add_one, &s);
		loop_thread_stop(l);
		assert_int_equal(s.n, i % 2);
	}
	loop_thread_stop(NULL);
}

static void *stopper(void *opaque)
{
	loop_stop(opaque);
	return NULL;
}

static void test_stop_from_many(void **state)
{
	struct error err = ERROR_INIT;
	struct loop *l = loop_new("test", *(unsigned int *)*state, &err);
	pthread_t t[2];

	for (int i = 0; i < 50; i++) {
		for (int k = 0; k < 2; k++)
			pthread_create(&t[k], NULL, stopper, l);
		loop_run(l);
		for (int k = 0; k < 2; k++)
			pthread_join(t[k], NULL);
	}
	loop_free(l);
}

/* -------- kicks -------- */

struct kicked {
	struct loop *l;
	struct loop_event e;
	_Atomic uint32_t sent;
	uint32_t seen;
	_Atomic uint32_t acked;
	sem_t sem;
};

static void kicked_cb(void *opaque)
{
	struct kicked *k = opaque;

	k->seen = atomic_load(&k->sent);
	atomic_store(&k->acked, k->seen);
}

static void kicked_add(void *opaque)
{
	struct kicked *k = opaque;

	assert_int_equal(loop_event_add(k->l, &k->e), 0);
}

static void kicked_del(void *opaque)
{
	struct kicked *k = opaque;

	loop_event_del(&k->e);
}

/* No kick is lost, be the loop asleep or awake. */
static void test_kicks(void **state)
{
	struct kicked k = { .l = start(state) };
	int64_t until;

	assert_int_equal(loop_event_init(&k.e, kicked_cb, &k), 0);
	loop_call(k.l, kicked_add, &k);
	for (int i = 0; i < 3000; i++) {
		atomic_fetch_add(&k.sent, 1);
		loop_event_kick(&k.e);
		if (i % 3 == 0) {
			until = clock_mono_ns() + 10 * NS_PER_SEC;
			while (atomic_load(&k.acked) != atomic_load(&k.sent))
				assert_true(clock_mono_ns() < until);
		}
		if (i % 500 == 100) { /* meanwhile not watched */
			loop_call(k.l, kicked_del, &k);
			atomic_fetch_add(&k.sent, 1);
			loop_event_kick(&k.e);
			loop_call(k.l, kicked_add, &k);
		}
	}
	loop_call(k.l, kicked_del, &k);
	loop_event_fini(&k.e);
	loop_thread_stop(k.l);
	assert_int_equal(k.seen, k.sent);
}

/* -------- idle -------- */

struct idle {
	struct loop *l;
	struct loop_timer t;
	long switches;
	bool disarmed, late; /* it fired before it could be disarmed: a busy host */
};

static void idle_fired(void *opaque)
{
	struct idle *d = opaque;

	assert_false(d->disarmed);
	d->late = true;
}

static void idle_arm(void *opaque)
{
	struct idle *d = opaque;

	loop_timer_init(&d->t, d->l, idle_fired, d);
	loop_timer_arm(&d->t, clock_mono_ns() + 150 * NS_PER_MS);
}

static void idle_count(void *opaque)
{
	struct idle *d = opaque;
	struct rusage u;

	assert_int_equal(getrusage(RUSAGE_THREAD, &u), 0);
	d->switches = u.ru_nvcsw - d->switches;
	loop_timer_disarm(&d->t);
	d->disarmed = true;
}

/* A timer that was set and disarmed wakes the loop at most once, and an idle loop nothing does. */
static void test_idle_has_no_wakeups(void **state)
{
	struct loop *l = start(state);
	struct idle d;

	do {
		d = (struct idle){ .l = l };
		loop_call(d.l, idle_arm, &d);
		usleep(1000); /* asleep: the timerfd is set */
		loop_call(d.l, idle_count, &d);
	} while (d.late);
	usleep(300000);
	loop_call(d.l, idle_count, &d);
	assert_in_range(d.switches, 1, 3); /* the timerfd, and the call that asks */
	loop_thread_stop(d.l);
}

/* -------- file I/O on a loop thread that ends -------- */

struct flight {
	struct loop *l;
	struct loop_io io[50];
	struct iovec iov;
	char buf[64];
	int fd, done;
};

static void flight_done(struct loop_io *io, int64_t res)
{
	struct flight *f = io->opaque;

	assert_int_equal(res, 64);
	f->done++;
}

static void flight_submit(void *opaque)
{
	struct flight *f = opaque;

	for (int i = 0; i < 50; i++) {
		f->io[i] = (struct loop_io){ .kind = LOOP_IO_WRITEV,
			.fd = f->fd,
			.iov = &f->iov,
			.n_iov = 1,
			.offset = (uint64_t)i * 64,
			.done = flight_done,
			.opaque = f };
		loop_io_submit(f->l, &f->io[i]);
	}
}

static void test_stop_with_io_in_flight(void **state)
{
	static struct flight f;

	for (int i = 0; i < 20; i++) {
		f.l = start(state);
		f.done = 0;
		f.iov.iov_base = f.buf;
		f.iov.iov_len = sizeof(f.buf);
		f.fd = memfd_create("test", MFD_CLOEXEC);
		loop_call(f.l, flight_submit, &f);
		loop_thread_stop(f.l);
		assert_int_equal(f.done, 50);
		close(f.fd);
	}
}

/* -------- signals stay with main -------- */

static _Atomic int signals;
static pthread_t main_thread;

static void on_signal(int sig)
{
	if (!pthread_equal(pthread_self(), main_thread))
		abort();
	atomic_fetch_add(&signals, 1);
}

static void test_signals_go_to_main(void **state)
{
	struct loop *l = start(state);
	struct sum s = { .l = l };

	main_thread = pthread_self();
	signal(SIGUSR1, on_signal);
	for (int i = 0; i < 20; i++) {
		kill(getpid(), SIGUSR1);
		loop_call(l, add_one, &s);
	}
	assert_true(atomic_load(&signals) > 0);
	signal(SIGUSR1, SIG_DFL);
	loop_thread_stop(l);
}

/* -------- worker pools -------- */

#define JOBS 400

struct work {
	struct worker_job job;
	struct loop *l;
	int worked, done, *left;
};

static _Atomic int at_once, most_at_once;

static void work_fn(void *opaque)
{
	struct work *w = opaque;
	int n = atomic_fetch_add(&at_once, 1) + 1, m = atomic_load(&most_at_once);

	while (n > m && !atomic_compare_exchange_weak(&most_at_once, &m, n))
		;
	assert_false(loop_in_thread(w->l));
	if (rand() % 16 == 0)
		usleep(300);
	w->worked++;
	atomic_fetch_sub(&at_once, 1);
}

static void work_done(void *opaque)
{
	struct work *w = opaque;

	assert_true(loop_in_thread(w->l));
	assert_int_equal(w->worked, ++w->done);
	--*w->left;
}

static void work_init(struct work *w, struct loop *l, int *left)
{
	*w = (struct work){ .l = l, .left = left };
	w->job.work = work_fn;
	w->job.done = work_done;
	w->job.opaque = w;
}

static void test_worker_pool(void **state)
{
	static struct work w[JOBS];
	struct error err = ERROR_INIT;
	struct worker_pool *p = worker_pool_new("test-work", 4, &err);
	struct loop *l = loop_new("test", *(unsigned int *)*state, &err);
	int left = 0;

	assert_non_null(p);
	atomic_store(&most_at_once, 0);
	for (int i = 0; i < JOBS; i++)
		work_init(&w[i], l, &left);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < JOBS; i++) {
			left++;
			worker_submit(p, l, &w[i].job);
			if (i % 50 == 0)
				loop_run_once(l, 0);
		}
		while (left)
			loop_run_once(l, 5000);
	}
	assert_in_range(atomic_load(&most_at_once), 1, 4);
	for (int i = 0; i < JOBS; i++)
		assert_int_equal(w[i].done, 3);
	left = JOBS; /* freed with jobs queued: they run, and their done() reaches the loop */
	for (int i = 0; i < JOBS; i++)
		worker_submit(p, l, &w[i].job);
	worker_pool_free(p);
	loop_run_once(l, 0);
	assert_int_equal(left, 0);
	loop_free(l);
	worker_pool_free(NULL);
	worker_pool_free(worker_pool_new("unused", WORKER_THREADS_MAX, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_posts_from_many),
		BOTH(test_calls),
		BOTH(test_start_stop_races),
		BOTH(test_stop_from_many),
		BOTH(test_kicks),
		BOTH(test_idle_has_no_wakeups),
		BOTH(test_stop_with_io_in_flight),
		BOTH(test_signals_go_to_main),
		BOTH(test_worker_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
