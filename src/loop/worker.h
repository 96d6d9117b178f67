// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * worker - a pool of threads for work that blocks: file I/O where io_uring is missing, compression,
 * host calls with no asynchronous form. Threads start when there is work, end after being idle for
 * 10 s; an unused pool has none.
 */
#ifndef LOOP_WORKER_H
#define LOOP_WORKER_H

#include "loop/loop.h"

struct worker_pool;

#define WORKER_THREADS_MAX 64

/* A pool of at most @max_threads (1..WORKER_THREADS_MAX) threads called @name. */
struct worker_pool *worker_pool_new(
	const char *name, unsigned int max_threads, struct error *err) MUST_USE;
/* Waits for running jobs; queued ones still run. Their done() is posted to their loops, which must
 * outlive the pool. NULL is fine. */
void worker_pool_free(struct worker_pool *p);
/* Wait until no thread has a job, nor is on its way out of the loop_post() of one: a loop that jobs were done for
 * may end after this, where the pool lives on. Nobody submits meanwhile. */
void worker_pool_settle(struct worker_pool *p);
/* Queue @job, which lives until its done() runs. From any thread. Cannot fail: when no thread can
 * be made, the work is done by the caller. */
void worker_submit(struct worker_pool *p, struct loop *done_loop, struct worker_job *job);

#endif
