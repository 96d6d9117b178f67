// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop_uring - waiting by one io_uring: an io_uring_enter(2) hands over everything that the last
 * callbacks queued (reads, writes, polls) and waits for what comes next.
 *
 * Descriptors. A level-triggered watch is a one-shot poll that is queued again before the next wait:
 * the kernel looks at the descriptor when the poll is armed, so a condition that still holds is told
 * again, and it costs an entry in a submission that happens anyway. (A multishot poll is told of
 * changes only; to keep the level one would have to ask poll(2) after each callback.) An edge watch,
 * which is an eventfd or a timerfd that is never read, is a multishot poll: armed once.
 *
 * Removing. The poll is cancelled with the next submission; until then and after it, its events are
 * known by their generation. The kernel holds the file, not the number, so the owner may close it.
 * IORING_OP_POLL_REMOVE would fail (EALREADY) for one whose event it is about to tell, and leave a multishot poll
 * armed for ever: each event of the file would wake us, whoever it is for then.
 *
 * Full queues. No room to submit: what is queued is submitted at once. If the kernel takes nothing
 * (-EAGAIN, -EBUSY) it waits in a list for the next round. No room for completions: the kernel
 * keeps them (IORING_FEAT_NODROP) and gives them out with the next wait.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include "loop/loop_int.h"

/* In user_data: what a completion belongs to. A request is its address (tag 0). */
enum tag { TAG_IO, TAG_POLL, TAG_NONE, TAG_MASK = 7 };

static uint64_t poll_id(const struct loop *l, uint32_t slot)
{
	return (uint64_t)l->slots[slot].gen << 32 | (uint64_t)slot << 3 | TAG_POLL;
}

/* What a ring takes, for good: requests of it pass by seccomp, so somebody who took over the process
 * could open files or sockets with it. A kernel without this (before 5.10) gives no ring at all. */
static int restrict_ring(struct loop *l)
{
	static const uint8_t ops[] = { IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL, IORING_OP_READ,
		IORING_OP_READV, IORING_OP_WRITE, IORING_OP_WRITEV, IORING_OP_FSYNC,
		IORING_OP_FALLOCATE };
	static const uint8_t calls[] = { IORING_REGISTER_ENABLE_RINGS, IORING_REGISTER_RING_FDS,
		IORING_UNREGISTER_RING_FDS };
	struct io_uring_restriction r[ARRAY_SIZE(ops) + ARRAY_SIZE(calls) + 1] = { 0 };
	unsigned int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++, n++) {
		r[n].opcode = IORING_RESTRICTION_SQE_OP;
		r[n].sqe_op = ops[i];
	}
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++, n++) {
		r[n].opcode = IORING_RESTRICTION_REGISTER_OP;
		r[n].register_op = calls[i];
	}
	r[n].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	r[n++].sqe_flags = IOSQE_CQE_SKIP_SUCCESS;
	return io_uring_register_restrictions(&l->ring, r, n);
}

static bool setup(struct loop *l, unsigned int flags)
{
	const unsigned int need = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP;
	struct io_uring_params p = { .flags = flags | IORING_SETUP_R_DISABLED };

	if (io_uring_queue_init_params(URING_ENTRIES, &l->ring, &p) < 0)
		return false;
	if ((p.features & need) == need && restrict_ring(l) == 0)
		return true;
	io_uring_queue_exit(&l->ring);
	return false;
}

static int init(struct loop *l)
{
	/* Completions are worked out when we wait, on our thread, with no interrupt of it
	 * (Linux 6.1); the thread is bound when it enables the ring. */
	if (setup(l, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			     IORING_SETUP_SUBMIT_ALL))
		return 0;
	return setup(l, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL) || setup(l, 0)
		       ? 0
		       : -ENOSYS;
}

static void fini(struct loop *l)
{
	io_uring_queue_exit(&l->ring);
}

static void enter(struct loop *l)
{
	if (!l->ring_enabled) {
		int rc = io_uring_enable_rings(&l->ring);

		assert(rc == 0);
		l->ring_enabled = true;
	}
	(void)!io_uring_register_ring_fd(&l->ring); /* spares a look-up a call; Linux 5.18 */
}

static void leave(struct loop *l)
{
	/* On the thread that registered it: the number means something else to others. */
	if (l->ring.enter_ring_fd != l->ring.ring_fd)
		(void)!io_uring_unregister_ring_fd(&l->ring);
}

/* An entry, or NULL when the kernel takes no more now. */
static inline struct io_uring_sqe *get_sqe(struct loop *l)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&l->ring);

	if (__builtin_expect(!sqe && l->ring_enabled, 0)) {
		(void)io_uring_submit(&l->ring);
		sqe = io_uring_get_sqe(&l->ring);
	}
	return sqe;
}

/* -------- descriptors -------- */

static bool arm(struct loop *l, struct loop_fd *w)
{
	struct io_uring_sqe *sqe = get_sqe(l);
	unsigned int mask = (w->events & LOOP_IN ? POLLIN : 0) |
			    (w->events & LOOP_OUT ? POLLOUT : 0);

	if (!sqe)
		return false;
	if (w->edge)
		io_uring_prep_poll_multishot(sqe, w->fd, mask);
	else
		io_uring_prep_poll_add(sqe, w->fd, mask);
	sqe->user_data = poll_id(l, w->slot);
	w->armed = true;
	return true;
}

static bool cancel(struct loop *l, uint32_t slot)
{
	struct io_uring_sqe *sqe = get_sqe(l);

	if (!sqe)
		return false;
	io_uring_prep_cancel64(sqe, poll_id(l, slot), 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = TAG_NONE;
	return true;
}

static int fd_add(struct loop *l, struct loop_fd *w)
{
	struct stat st;

	/* epoll's answers, which io_uring would give later. */
	if (fstat(w->fd, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
		return -EPERM;
	w->armed = false;
	list_add_tail(&l->to_arm, &w->node);
	return 0;
}

/* No room for the cancellation now: keep the slot, so that its name stays unique, until there is. */
static void remove_later(struct loop *l, uint32_t slot)
{
	l->slots[slot].w = NULL;
	l->slots[slot].removing = true;
	l->n_removing++;
}

static void fd_del(struct loop *l, struct loop_fd *w)
{
	list_del(&w->node);
	if (!w->armed || cancel(l, w->slot))
		loop_slot_put(l, w->slot);
	else
		remove_later(l, w->slot);
}

static int fd_modify(struct loop *l, struct loop_fd *w)
{
	uint32_t was = w->slot;
	int rc;

	if (!w->armed)
		return 0; /* armed before the next wait with what is wanted then */
	rc = loop_slot_get(l, w);
	if (rc < 0)
		return rc;
	if (cancel(l, was))
		loop_slot_put(l, was);
	else
		remove_later(l, was);
	w->armed = false;
	list_add_tail(&l->to_arm, &w->node);
	return 0;
}

/* -------- requests -------- */

static void prep_io(struct io_uring_sqe *sqe, struct loop_io *io)
{
	switch (io->kind) {
	case LOOP_IO_READV:
		if (io->n_iov == 1)
			io_uring_prep_read(sqe, io->fd, io->iov->iov_base,
				(unsigned int)MIN(io->iov->iov_len, INT32_MAX), io->offset);
		else
			io_uring_prep_readv(sqe, io->fd, io->iov, io->n_iov, io->offset);
		break;
	case LOOP_IO_WRITEV:
		if (io->n_iov == 1)
			io_uring_prep_write(sqe, io->fd, io->iov->iov_base,
				(unsigned int)MIN(io->iov->iov_len, INT32_MAX), io->offset);
		else
			io_uring_prep_writev(sqe, io->fd, io->iov, io->n_iov, io->offset);
		break;
	case LOOP_IO_FDATASYNC:
		io_uring_prep_fsync(sqe, io->fd, IORING_FSYNC_DATASYNC);
		break;
	case LOOP_IO_FALLOCATE:
		io_uring_prep_fallocate(
			sqe, io->fd, io->falloc_mode, (off_t)io->offset, (off_t)io->len);
		break;
	}
	sqe->user_data = (uintptr_t)io;
}

static void io_submit(struct loop *l, struct loop_io *io)
{
	struct io_uring_sqe *sqe = l->backlog ? NULL : get_sqe(l);

	if (sqe) {
		prep_io(sqe, io);
		return;
	}
	io->next = NULL;
	*l->backlog_tail = io;
	l->backlog_tail = &io->next;
}

/* -------- waiting -------- */

static bool prepare_removals(struct loop *l)
{
	for (uint32_t i = 0; l->n_removing && i < l->n_slots; i++) {
		if (!l->slots[i].removing)
			continue;
		if (!cancel(l, i))
			return false;
		l->slots[i].removing = false;
		l->n_removing--;
		loop_slot_put(l, i);
	}
	return true;
}

static bool prepare_polls(struct loop *l)
{
	struct loop_fd *w;

	while ((w = list_first(&l->to_arm, struct loop_fd, node))) {
		if (!arm(l, w))
			return false;
		list_del(&w->node);
	}
	return true;
}

static bool prepare_backlog(struct loop *l)
{
	while (l->backlog) {
		struct io_uring_sqe *sqe = get_sqe(l);
		struct loop_io *io = l->backlog;

		if (!sqe)
			return false;
		l->backlog = io->next;
		if (!l->backlog)
			l->backlog_tail = &l->backlog;
		prep_io(sqe, io);
	}
	return true;
}

static void wait(struct loop *l, int timeout_ms)
{
	struct __kernel_timespec ts = {
		.tv_sec = timeout_ms / 1000,
		.tv_nsec = timeout_ms % 1000 * 1000000ll,
	};
	struct io_uring_cqe *cqe;

	/* In this order: a removal's slot may be in use again. What finds no room goes with the
	 * next round. Errors of the wait (a signal, time-out, want of memory) mean a round more. */
	if (!prepare_removals(l) || !prepare_polls(l) || !prepare_backlog(l))
		timeout_ms = 0;
	if (timeout_ms < 0)
		(void)io_uring_submit_and_wait(&l->ring, 1);
	else if (timeout_ms == 0)
		(void)io_uring_submit_and_get_events(&l->ring);
	else
		(void)io_uring_submit_and_wait_timeout(&l->ring, &cqe, 1, &ts, NULL);
}

static void poll_done(struct loop *l, uint64_t id, int res, uint32_t flags)
{
	struct loop_fd *w = loop_slot_watch(l, (uint32_t)id >> 3, id >> 32);
	unsigned int events = LOOP_HUP;

	if (!w)
		return;
	if (!(flags & IORING_CQE_F_MORE)) {
		w->armed = false;
		list_add_tail(&l->to_arm, &w->node);
	}
	if (res >= 0)
		events = (res & POLLIN ? LOOP_IN : 0) | (res & POLLOUT ? LOOP_OUT : 0) |
			 (res & (POLLERR | POLLHUP) ? LOOP_HUP : 0);
	events &= w->events | LOOP_HUP;
	if (events)
		w->cb(w->opaque, events);
}

static void dispatch(struct loop *l)
{
	/* Only what is there now: callbacks may submit, which may complete at once. */
	for (unsigned int n = io_uring_cq_ready(&l->ring); n; n--) {
		unsigned int head = *l->ring.cq.khead;
		const struct io_uring_cqe *c = &l->ring.cq.cqes[head & l->ring.cq.ring_mask];
		uint64_t id = c->user_data;
		uint32_t flags = c->flags;
		int res = c->res;

		io_uring_cq_advance(&l->ring, 1); /* before the callback, which may want room */
		switch (id & TAG_MASK) {
		case TAG_IO:
			loop_io_complete(l, (struct loop_io *)(uintptr_t)id, res);
			break;
		case TAG_POLL:
			poll_done(l, id, res, flags);
			break;
		default:
			break;
		}
	}
}

const struct loop_ops loop_uring_ops = {
	.init = init,
	.fini = fini,
	.enter = enter,
	.leave = leave,
	.fd_add = fd_add,
	.fd_modify = fd_modify,
	.fd_del = fd_del,
	.wait = wait,
	.dispatch = dispatch,
	.io_submit = io_submit,
};
