// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * file_sync - making a file's writes durable: flushes, and writes that are done only then.
 *
 * Linux remembers for an open file whether a write has been lost since it last told so. Any fdatasync takes
 * this and forgets it, and so does a write with O_DSYNC or RWF_DSYNC, whatever range it is for. Of two at once one may take the
 * error, and the other, which covers the lost write just as well, may return 0, and even return first. The page itself
 * counts as clean after that: another fdatasync would not write it again. So
 *
 * 1. there is one fdatasync on a file at a time, and no other call that takes errors;
 * 2. when it fails all that wait fail too, and all that come after: nobody knows what was lost.
 *
 * Who comes while one runs waits for the next one, which serves all that wait then; or is served by this
 * one, if nothing that it wants was written after that had begun. The first one begins when its loop has gone through all that
 * has ended meanwhile, so that writes that are done together share it, too; that loop then goes on with the next ones.
 */
#include <errno.h>
#include "block/block_int.h"

static void sync_done(struct loop_io *io, int64_t res);

void block_sync_init(struct block_sync *s)
{
	mutex_init(&s->lock);
	list_init(&s->batch);
	list_init(&s->next);
}

void block_sync_fini(struct block_sync *s)
{
	mutex_fini(&s->lock);
}

/* On the loop that has set @running. */
static void sync_start(void *opaque)
{
	struct block_file *f = opaque;
	struct block_sync *s = &f->sync;

	mutex_lock(&s->lock);
	s->gen = atomic_load(&f->write_gen);
	mutex_unlock(&s->lock);
	s->retries = 0;
	s->io = (struct loop_io){
		.kind = LOOP_IO_FDATASYNC, .fd = f->fd, .done = sync_done, .opaque = f
	};
	loop_io_submit(s->loop, &s->io);
}

static void move_all(struct list *from, struct list *to)
{
	while (!list_empty(from)) {
		struct list *n = from->next;

		list_del(n);
		list_add_tail(to, n);
	}
}

void block_file_sync(struct block_file *f, struct block_req *r)
{
	struct block_sync *s = &f->sync;
	bool start = false, waits;
	struct loop *l = r->loop;
	int error;

	mutex_lock(&s->lock);
	error = s->error;
	waits = !error && s->done_gen < r->progress;
	if (waits) {
		r->io.opaque = f;
		if (!s->running) {
			s->running = start = true;
			s->loop = l;
			s->gen = UINT64_MAX; /* not begun: who comes is served */
		}
		list_add_tail(s->gen >= r->progress ? &s->batch : &s->next, &r->wait);
	}
	mutex_unlock(&s->lock);
	if (start) {
		loop_defer_init(&s->start, sync_start, f);
		loop_post(l, &s->start);
	}
	if (!waits)
		block_file_synced(f, r, error);
}

static void told(void *opaque)
{
	struct block_req *r = opaque;

	block_file_synced(r->io.opaque, r, r->hop_res);
}

/* Requests of another loop end there. The file may be gone when the last one has ended. */
static void tell(struct block_file *f, struct loop *l, struct list *ended, int res)
{
	struct block_req *r;

	while ((r = list_first(ended, struct block_req, wait))) {
		list_del(&r->wait);
		if (r->loop == l) {
			block_file_synced(f, r, res);
			continue;
		}
		r->hop_res = res;
		loop_defer_init(&r->hop, told, r);
		loop_post(r->loop, &r->hop);
	}
}

static void sync_done(struct loop_io *io, int64_t res)
{
	struct block_file *f = io->opaque;
	struct block_sync *s = &f->sync;
	struct loop *l = io->loop;
	struct list ended = LIST_INIT(ended);
	bool again;

	/* No file system returns these where it has looked for lost writes. */
	if ((res == -EINTR || res == -EAGAIN) && s->retries++ < BLOCK_RETRIES_MAX) {
		loop_io_submit(l, io);
		return;
	}
	mutex_lock(&s->lock);
	move_all(&s->batch, &ended);
	if (res < 0) {
		s->error = (int)res;
		move_all(&s->next, &ended);
	} else {
		s->done_gen = s->gen;
	}
	move_all(&s->next, &s->batch);
	s->running = again = !list_empty(&s->batch);
	if (again)
		s->gen = UINT64_MAX;
	mutex_unlock(&s->lock);
	if (again)
		sync_start(f);
	tell(f, l, &ended, (int)res);
}
