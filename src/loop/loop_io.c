// SPDX-License-Identifier: GPL-2.0-or-later
/* loop_io - file I/O: the entry points, and the fallback on worker threads. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include "loop/loop_int.h"

void loop_io_submit(struct loop *l, struct loop_io *io)
{
	assert(loop_in_thread(l));
	io->loop = l;
	l->in_flight++;
	l->ops->io_submit(l, io);
}

/* Not a request to io_uring: that costs some 1,000 instructions, write(2) 600. */
void loop_flush(struct loop *l)
{
	const uint64_t one = 1;

	assert(loop_in_thread(l));
	/* Refused only when the counter is at its limit: then a signal is pending anyway. */
	for (uint32_t i = 0; i < l->n_signals; i++)
		(void)!write(l->signals[i], &one, sizeof(one));
	l->n_signals = 0;
}

void loop_eventfd_signal(struct loop *l, int fd)
{
	for (uint32_t i = 0; i < l->n_signals; i++) {
		if (l->signals[i] == fd)
			return;
	}
	if (l->n_signals == SIGNALS_MAX)
		loop_flush(l);
	l->signals[l->n_signals++] = fd;
}

static ssize_t io_do(struct loop_io *io)
{
	switch (io->kind) {
	case LOOP_IO_READV:
		return preadv(io->fd, io->iov, io->n_iov, (off_t)io->offset);
	case LOOP_IO_WRITEV:
		return pwritev(io->fd, io->iov, io->n_iov, (off_t)io->offset);
	case LOOP_IO_FDATASYNC:
		return fdatasync(io->fd);
	case LOOP_IO_FALLOCATE:
		return fallocate(io->fd, io->falloc_mode, (off_t)io->offset, (off_t)io->len);
	}
	errno = EINVAL;
	return -1;
}

static void io_work(void *opaque)
{
	struct loop_io *io = opaque;
	ssize_t n;

	do {
		n = io_do(io);
	} while (n < 0 && errno == EINTR);
	io->res = n < 0 ? -errno : n;
}

static void io_done(void *opaque)
{
	struct loop_io *io = opaque;

	loop_io_complete(io->loop, io, io->res);
}

void loop_io_by_worker(struct loop *l, struct loop_io *io)
{
	struct error err = ERROR_INIT;

	io->job = (struct worker_job){ .work = io_work, .done = io_done, .opaque = io };
	if (!l->pool)
		l->pool = worker_pool_new(l->name, IO_THREADS, &err);
	if (l->pool) {
		worker_submit(l->pool, l, &io->job);
		return;
	}
	io_work(io); /* no memory: slowly, but it is done */
	loop_defer_init(&io->job.defer, io_done, io);
	loop_post(l, &io->job.defer);
}
