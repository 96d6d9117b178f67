// SPDX-License-Identifier: GPL-2.0-or-later
/* worker - a pool of threads that come with the work and go when there is none. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "loop/loop_int.h"

#define IDLE_NS (10 * NS_PER_SEC)

struct worker_pool {
	char *name;
	unsigned int max_threads;
	/* the card: docs/locking.md */
	struct mutex lock;
	pthread_cond_t work; /* a job, or the end */
	pthread_cond_t gone; /* a thread has ended, or has nothing to do */
	struct list jobs;
	unsigned int n_threads, n_idle, n_jobs; /* idle: waiting, woken, or just made */
	bool ending;
};

struct worker_pool *worker_pool_new(const char *name, unsigned int max_threads, struct error *err)
{
	struct worker_pool *p = calloc(1, sizeof(*p));
	pthread_condattr_t attr;

	assert(max_threads >= 1 && max_threads <= WORKER_THREADS_MAX);
	if (p)
		p->name = strdup(name);
	if (!p || !p->name) {
		free(p);
		error_set(err, "worker pool '%s': out of memory", name);
		return NULL;
	}
	p->max_threads = max_threads;
	mutex_init(&p->lock);
	list_init(&p->jobs);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->work, &attr);
	pthread_cond_init(&p->gone, &attr);
	pthread_condattr_destroy(&attr);
	return p;
}

static void job_run(struct worker_job *job)
{
	struct loop *loop = job->loop;

	job->work(job->opaque);
	loop_post(loop, &job->defer); /* from here on the job is the loop's */
}

/* Wait for a job. False: idle for so long that the thread ends, or the pool ends. */
static bool wait_job(struct worker_pool *p) REQUIRES(p->lock) NO_THREAD_SAFETY
{
	int64_t until = clock_mono_ns() + IDLE_NS;
	struct timespec ts = { .tv_sec = until / NS_PER_SEC, .tv_nsec = until % NS_PER_SEC };
	int rc = 0;

	p->n_idle++;
	while (list_empty(&p->jobs) && !p->ending && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&p->work, &p->lock.m, &ts);
	p->n_idle--;
	return !list_empty(&p->jobs);
}

static void *worker_thread(void *opaque)
{
	struct worker_pool *p = opaque;

	thread_enter(ROLE_WORKER, p->name);
	mutex_lock(&p->lock);
	p->n_idle--;
	while (!list_empty(&p->jobs) || wait_job(p)) {
		struct worker_job *job = list_first(&p->jobs, struct worker_job, node);

		list_del(&job->node);
		p->n_jobs--;
		mutex_unlock(&p->lock);
		job_run(job);
		mutex_lock(&p->lock);
		if (list_empty(&p->jobs))
			pthread_cond_broadcast(&p->gone);
	}
	p->n_threads--;
	pthread_cond_broadcast(&p->gone);
	mutex_unlock(&p->lock); /* the last touch of the pool */
	return NULL;
}

void worker_submit(struct worker_pool *p, struct loop *done_loop, struct worker_job *job)
{
	pthread_t t;
	bool alone = false;

	job->loop = done_loop;
	loop_defer_init(&job->defer, job->done, job->opaque);
	mutex_lock(&p->lock);
	assert(!p->ending);
	list_add_tail(&p->jobs, &job->node);
	p->n_jobs++;
	/* An idle thread takes one job: so many more jobs, one thread more. */
	if (p->n_jobs > p->n_idle && p->n_threads < p->max_threads) {
		if (thread_create(&t, true, -1, worker_thread, p) == 0) {
			p->n_threads++;
			p->n_idle++;
		} else if (p->n_threads == 0) {
			alone = true;
		}
	}
	if (alone) {
		list_del(&job->node);
		p->n_jobs--;
	} else if (p->n_idle) {
		pthread_cond_signal(&p->work);
	}
	mutex_unlock(&p->lock);
	if (alone)
		job_run(job);
}

void worker_pool_settle(struct worker_pool *p) NO_THREAD_SAFETY
{
	mutex_lock(&p->lock);
	/* A thread counts as idle only from wait_job() on; until then it may be in loop_post(). */
	while (p->n_jobs || p->n_idle < p->n_threads)
		pthread_cond_wait(&p->gone, &p->lock.m);
	mutex_unlock(&p->lock);
}

void worker_pool_free(struct worker_pool *p) NO_THREAD_SAFETY
{
	if (!p)
		return;
	mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_broadcast(&p->work);
	while (p->n_threads)
		pthread_cond_wait(&p->gone, &p->lock.m);
	mutex_unlock(&p->lock);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->gone);
	mutex_fini(&p->lock);
	free(p->name);
	free(p);
}
