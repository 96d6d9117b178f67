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

void loop_eventfd_signal(struct loop *l, int fd)
{
	l->ops->signal(l, fd);
}

void loop_flush(struct loop *l)
{
	assert(loop_in_thread(l));
	l->ops->flush(l);
}

void loop_signal_now(struct loop *l, int fd)
{
	const uint64_t one = 1;

	/* Refused only when the counter is at its limit: then a kick is pending anyway. */
	(void)!write(fd, &one, sizeof(one));
}

static ssize_t io_do(struct loop_io *io)
{
	switch (io->kind) {
	case LOOP_IO_READV:
		return preadv(io->fd, io->iov, io->n_iov, (off_t)io->offset);
	case LOOP_IO_WRITEV:
		return pwritev2(
			io->fd, io->iov, io->n_iov, (off_t)io->offset, io->fua ? RWF_DSYNC : 0);
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
