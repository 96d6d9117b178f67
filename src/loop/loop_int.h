/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop_int - a loop's inside: what loop.c shares with its two ways to wait; private to loop/.
 *
 * A back end arms watches, waits, and dispatches what came. Each watch has a slot; an event carries
 * slot and generation, so one that arrives after its watch was removed is recognised and dropped,
 * whatever has become of the watch's memory.
 */
#ifndef LOOP_LOOP_INT_H
#define LOOP_LOOP_INT_H

#include <liburing.h>
#include <sys/epoll.h>
#include "loop/worker.h"

#define EPOLL_BATCH   64
#define URING_ENTRIES 128u
#define SIGNALS_MAX   16u
#define IO_THREADS    16u /* of a loop that has no io_uring */

struct loop_slot {
	struct loop_fd *w; /* NULL: free, or removed and the kernel has to be told */
	uint32_t gen;
	uint32_t next_free;
	bool removing; /* uring: the poll is still to be cancelled */
};

struct loop_ops {
	int (*init)(struct loop *l);
	void (*fini)(struct loop *l);
	/* The thread that waits begins and ends. */
	void (*enter)(struct loop *l);
	void (*leave)(struct loop *l);
	/* w->slot is valid. fd_del gives the slot back by loop_slot_put() when it can. */
	int (*fd_add)(struct loop *l, struct loop_fd *w);
	int (*fd_modify)(struct loop *l, struct loop_fd *w);
	void (*fd_del)(struct loop *l, struct loop_fd *w);
	void (*wait)(struct loop *l, int timeout_ms);
	void (*dispatch)(struct loop *l);
	void (*io_submit)(struct loop *l, struct loop_io *io);
};

extern const struct loop_ops loop_epoll_ops, loop_uring_ops;

/* loop_bulk.c */
struct loop_bulk {
	uint64_t bytes; /* moved since ->since_ns */
	int64_t turns;	/* with some */
	int64_t since_ns, last_ns, rest_ns, asked_ns;
	bool may; /* as it was at ->asked_ns */
	bool on;  /* the thread is a batch job; the timer is armed */
	struct loop_timer timer;
};

struct loop {
	const struct loop_ops *ops;
	char *name;
	uint32_t users;		     /* main's */
	_Atomic(const void *) owner; /* address of a variable of the loop's thread */
	bool running;		     /* inside an iteration */
	bool entered;
	bool quiescing; /* being freed: watches are gone, requests are waited for */

	/* deferred calls */
	_Atomic(struct loop_defer *) posts; /* a stack, pushed by any thread */
	struct loop_defer *later;	    /* taken from it, in order of posting */
	struct loop_defer *ready;	    /* being run */
	_Atomic bool sleeping;		    /* a post must kick */
	_Atomic bool stop;
	struct loop_event wake;

	/* timers */
	struct loop_timer *timers; /* root of the heap */
	struct loop_fd timer_watch;
	int timer_fd;
	int64_t timer_set_ns; /* what timer_fd is set to; INT64_MAX: nothing */
	uint64_t timer_seq;
	bool timer_fired;

	/* watches */
	struct loop_slot *slots;
	uint32_t n_slots, free_slot; /* UINT32_MAX: none */
	struct list to_arm;	     /* uring */
	uint32_t n_removing;	     /* uring */

	/* eventfds to signal before the next wait */
	int signals[SIGNALS_MAX];
	uint32_t n_signals;

	/* file I/O */
	uint32_t in_flight;
	struct worker_pool *pool; /* made when first needed */

	struct loop_bulk bulk;

	/* epoll */
	int epoll_fd;
	int n_events;
	struct epoll_event events[EPOLL_BATCH];

	/* uring */
	struct io_uring ring;
	bool ring_enabled;
	struct loop_io *backlog, **backlog_tail; /* no room in the submission queue */

	/* loop_thread_start */
	pthread_t thread;
	enum thread_role role;
	bool threaded;
};

/* A slot for @w, in w->slot; 0 or -ENOMEM. */
int loop_slot_get(struct loop *l, struct loop_fd *w);
void loop_slot_put(struct loop *l, uint32_t slot);
/* The watch that (slot, gen) of an event means; NULL: removed since. */
struct loop_fd *loop_slot_watch(struct loop *l, uint32_t slot, uint32_t gen);
/* A request's end. */
static inline void loop_io_complete(struct loop *l, struct loop_io *io, int64_t res)
{
	l->in_flight--;
	io->done(io, res);
}
/* The thread fallback. */
void loop_io_by_worker(struct loop *l, struct loop_io *io);

void loop_bulk_init(struct loop *l);
int loop_timers_init(struct loop *l);
void loop_timers_fini(struct loop *l);
/* Before waiting: set the timerfd if it is needed earlier than it is set to. */
void loop_timers_prepare(struct loop *l);
/* After waiting. */
void loop_timers_run(struct loop *l);

#endif
