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

/* One job on the caller's storage. */
struct worker_job {
	void (*work)(void *opaque); /* on a worker thread */
	void (*done)(void *opaque); /* on @loop's thread, after work() */
	void *opaque;
	/* private */
	struct loop *loop;
	struct list node;
	struct loop_defer defer;
};

/* @max_threads 1..64. */
struct worker_pool *worker_pool_new(const char *name, unsigned int max_threads, struct error *err) MUST_USE;
/* Waits for running jobs; queued ones still run. */
void worker_pool_free(struct worker_pool *p);
void worker_submit(struct worker_pool *p, struct loop *done_loop, struct worker_job *job);

#endif
