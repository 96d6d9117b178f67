// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop - an event loop: descriptors, timers, deferred calls and asynchronous I/O, on one thread.
 *
 * Two ways to wait: epoll, or (LOOP_URING, where the kernel allows it) one io_uring that carries
 * descriptor polls and file I/O alike, so that a completion costs no extra system call. The rest
 * of the program cannot tell which. All timers of a loop share one timerfd.
 *
 * Everything here is called on the loop's own thread, except loop_post(), loop_call(), loop_stop()
 * and loop_event_kick(), which any thread may call. A loop belongs to the thread that made it until
 * another one runs it. Callbacks run with no lock held. A callback may remove any watch, timer or
 * itself, and may free the object that holds them after removing them; it does not run the loop.
 *
 * A loop with nothing to do sleeps in one system call and has no wake-ups of its own.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "base/cleanup.h"
#include "base/error.h"
#include "base/list.h"
#include "base/thread.h"

struct loop;

enum loop_flag {
	LOOP_URING = 1 << 0, /* use io_uring when the kernel allows it; quietly epoll otherwise */
	LOOP_NO_URING = 1 << 1, /* tests: never */
};

/* A new loop, run by whoever calls loop_run(). NULL and @err when descriptors run out. */
struct loop *loop_new(const char *name, unsigned int flags, struct error *err) MUST_USE;
/* On the loop's thread. Watches are removed and timers disarmed; requests in flight are waited for
 * and their done() runs, as do deferred calls that are queued. NULL is fine. */
void loop_free(struct loop *l);
DEFINE_AUTO_PTR(loop, struct loop, loop_free)
/* Run until loop_stop(). The calling thread becomes the loop's thread and stays so: an io_uring
 * takes requests from one thread only. */
void loop_run(struct loop *l);
/* Handle what is ready (waiting at most @timeout_ms, -1: for ever, 0: not at all); for tests and tools. */
void loop_run_once(struct loop *l, int timeout_ms);
/* loop_run() returns after the callbacks at hand; when it is not running, its next call returns at
 * once. */
void loop_stop(struct loop *l);
bool loop_in_thread(const struct loop *l);
bool loop_has_uring(const struct loop *l);
const char *loop_name(const struct loop *l);
/* The kernel's number of its thread, which is asked for it: loop_call()'s rules. */
pid_t loop_tid(struct loop *l);
/* How many count on the loop to stay. The loop does nothing with it; all on one thread, main. */
void loop_use(struct loop *l);
void loop_unuse(struct loop *l);
bool loop_is_used(const struct loop *l);

/* Start a thread named @name with @role that runs a new loop until loop_thread_stop(). It blocks all
 * signals. The loop is the new thread's from here on. */
struct loop *loop_thread_start(
	const char *name, enum thread_role role, unsigned int flags, struct error *err) MUST_USE;
/* Stop, join and free, as loop_free() does. From any other thread. */
void loop_thread_stop(struct loop *l);

/* On the loop's thread: @bytes have gone through it, of a stream that may as well go in large portions. While there
 * are many, on a host with one CPU, a thread of loop_thread_start() does not take it from others when it
 * wakes up. For what is moved in turns; costs an addition. */
void loop_moved(struct loop *l, uint64_t bytes);

/* -------- descriptors -------- */
enum loop_events {
	LOOP_IN = 1 << 0,
	LOOP_OUT = 1 << 1,
	LOOP_HUP = 1 << 2, /* error or hang-up: always reported */
};

struct loop_fd {
	void (*cb)(void *opaque, unsigned int events);
	void *opaque;
	int fd;		     /* borrowed: the owner closes it after loop_fd_del */
	unsigned int events; /* wanted */
	struct loop *loop;   /* NULL: not added */
	/* private to loop */
	struct list node; /* among those to be armed before the next wait */
	uint32_t slot;
	bool armed;
	bool edge; /* told of each kick once; the descriptor is never read */
};

/* Prepare a watch on the caller's storage; cannot fail. */
void loop_fd_init(struct loop_fd *w, int fd, unsigned int events,
	void (*cb)(void *opaque, unsigned int events), void *opaque);
/* Level-triggered: the callback runs as long as the condition holds. 0, or -ENOMEM, -EBADF, -EPERM
 * (a file that cannot be waited for: it is always ready), -EBUSY (is added). */
int loop_fd_add(struct loop *l, struct loop_fd *w) MUST_USE;
int loop_fd_modify(struct loop_fd *w, unsigned int events) MUST_USE;
/* Nothing happens when it is not added. */
void loop_fd_del(struct loop_fd *w);

/* An eventfd that others kick (ioeventfd, another thread). The callback runs at least once after
 * every kick, once for any number of kicks at a time, and perhaps once after loop_event_add (so no
 * kick is lost that came before or between two loops). Nobody reads the eventfd: its counter only
 * grows, which saves a system call a kick. */
struct loop_event {
	void (*cb)(void *opaque);
	void *opaque;
	int fd; /* owned: made by loop_event_init, closed by loop_event_fini; non-blocking */
	struct loop_fd watch; /* private */
};
/* 0, or -EMFILE, -ENFILE, -ENOMEM. */
int loop_event_init(struct loop_event *e, void (*cb)(void *opaque), void *opaque) MUST_USE;
void loop_event_fini(struct loop_event *e);
int loop_event_add(struct loop *l, struct loop_event *e) MUST_USE;
void loop_event_del(struct loop_event *e);
/* Kick from any thread. */
void loop_event_kick(struct loop_event *e);

/* -------- timers -------- */
struct loop_timer {
	void (*cb)(void *opaque);
	void *opaque;
	struct loop *loop;
	int64_t deadline_ns; /* CLOCK_MONOTONIC; valid while armed */
	/* private: a pairing heap, which needs no memory of its own */
	struct loop_timer *child, *next, *prev; /* prev: left sibling, or parent of a first child */
	uint64_t seq;
	bool armed;
};
void loop_timer_init(struct loop_timer *t, struct loop *l, void (*cb)(void *opaque), void *opaque);
/* Fire once at @deadline_ns (CLOCK_MONOTONIC), never earlier; re-arms if armed. When it is in the
 * past, as soon as the loop comes round. Timers fire in the order of their deadlines, equal ones in
 * the order of arming. Cannot fail. */
void loop_timer_arm(struct loop_timer *t, int64_t deadline_ns);
void loop_timer_disarm(struct loop_timer *t);
bool loop_timer_armed(const struct loop_timer *t);
/* Undo init (disarms). */
void loop_timer_fini(struct loop_timer *t);

/* -------- deferred calls -------- */
struct loop_defer {
	void (*cb)(void *opaque);
	void *opaque;
	struct loop_defer *_Atomic next; /* private */
	_Atomic bool queued;
};
void loop_defer_init(struct loop_defer *d, void (*cb)(void *opaque), void *opaque);
/* Run @d on the loop's thread, soon; from any thread. Posting it again before it ran does nothing:
 * one run follows every post. @d must live until it has run or loop_defer_cancel() returned. */
void loop_post(struct loop *l, struct loop_defer *d);
/* On the loop's thread: forget a queued call. */
void loop_defer_cancel(struct loop *l, struct loop_defer *d);
/* Run @fn(@opaque) on the loop's thread and wait until it is done. Called on that thread: runs at
 * once. The loop must be running, or be about to. Signals that were put off have been written when it
 * returns (loop_flush()). Only main may wait for an io loop, never the reverse, and vCPU threads never wait. */
void loop_call(struct loop *l, void (*fn)(void *opaque), void *opaque);

/* A job for a pool of threads: see worker.h. On the caller's storage. */
struct worker_job {
	void (*work)(void *opaque); /* on a worker thread */
	void (*done)(void *opaque); /* on the loop's thread, after work() */
	void *opaque;
	/* private */
	struct loop *loop;
	struct list node;
	struct loop_defer defer;
};

/* -------- asynchronous file I/O -------- */
enum loop_io_kind {
	LOOP_IO_READV,
	LOOP_IO_WRITEV,
	LOOP_IO_FDATASYNC,
	LOOP_IO_FALLOCATE, /* ->falloc_mode over [offset, offset + len) */
};

/* One request on the caller's storage: fill the first part, submit, keep it and the iovecs alive
 * until done() runs (on the loop's thread). */
struct loop_io {
	enum loop_io_kind kind;
	int fd;
	const struct iovec *iov;
	int n_iov;
	int falloc_mode;
	uint64_t offset; /* bytes */
	uint64_t len;	 /* bytes; FALLOCATE only */
	void (*done)(struct loop_io *io,
		int64_t res); /* bytes or 0, or -errno; short counts are possible */
	void *opaque;
	/* private */
	struct loop_io *next;
	struct loop *loop;
	int64_t res;
	struct worker_job job;
};
/* Queue; with io_uring it reaches the kernel at the latest when the loop next waits (all that were
 * queued in one callback go in one system call), otherwise a worker thread does it. Cannot fail:
 * errors come through done(). */
void loop_io_submit(struct loop *l, struct loop_io *io);
/* Write 1 to eventfd @fd (irqfd) before the loop waits next, once for any number of calls until then:
 * requests that end together make one interrupt. @fd stays open until the loop has waited, or
 * loop_flush() or a loop_call() to it has returned: the number may mean a disk by then. */
void loop_eventfd_signal(struct loop *l, int fd);
/* Write what is put off now, on the loop's thread: before such a descriptor is closed. */
void loop_flush(struct loop *l);

#endif
