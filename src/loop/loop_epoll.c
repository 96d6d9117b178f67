// SPDX-License-Identifier: GPL-2.0-or-later
/* loop_epoll - waiting by epoll. An event carries its watch's slot and generation. */
#include <errno.h>
#include "loop/loop_int.h"

static uint32_t to_epoll(const struct loop_fd *w)
{
	return (w->events & LOOP_IN ? EPOLLIN : 0) | (w->events & LOOP_OUT ? EPOLLOUT : 0) |
	       (w->edge ? EPOLLET : 0);
}

static unsigned int from_epoll(uint32_t events)
{
	return (events & EPOLLIN ? LOOP_IN : 0) | (events & EPOLLOUT ? LOOP_OUT : 0) |
	       (events & (EPOLLERR | EPOLLHUP) ? LOOP_HUP : 0);
}

static int init(struct loop *l)
{
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return l->epoll_fd < 0 ? -errno : 0;
}

static void fini(struct loop *l)
{
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
	l->epoll_fd = -1;
}

static void nothing(struct loop *l)
{
}

static int control(struct loop *l, struct loop_fd *w, int op)
{
	struct epoll_event e = {
		.events = to_epoll(w),
		.data.u64 = (uint64_t)l->slots[w->slot].gen << 32 | w->slot,
	};

	return epoll_ctl(l->epoll_fd, op, w->fd, &e) < 0 ? -errno : 0;
}

static int fd_add(struct loop *l, struct loop_fd *w)
{
	return control(l, w, EPOLL_CTL_ADD);
}

static int fd_modify(struct loop *l, struct loop_fd *w)
{
	return control(l, w, EPOLL_CTL_MOD);
}

static void fd_del(struct loop *l, struct loop_fd *w)
{
	(void)control(l, w, EPOLL_CTL_DEL);
	loop_slot_put(l, w->slot);
}

static void wait(struct loop *l, int timeout_ms)
{
	l->n_events = epoll_wait(l->epoll_fd, l->events, EPOLL_BATCH, timeout_ms);
}

static void dispatch(struct loop *l)
{
	for (int i = 0; i < l->n_events; i++) {
		uint64_t id = l->events[i].data.u64;
		struct loop_fd *w = loop_slot_watch(l, (uint32_t)id, id >> 32);
		unsigned int events;

		if (!w)
			continue;
		/* An earlier callback of this batch may have changed what is wanted. */
		events = from_epoll(l->events[i].events) & (w->events | LOOP_HUP);
		if (events)
			w->cb(w->opaque, events);
	}
	l->n_events = 0;
}

const struct loop_ops loop_epoll_ops = {
	.init = init,
	.fini = fini,
	.enter = nothing,
	.leave = nothing,
	.fd_add = fd_add,
	.fd_modify = fd_modify,
	.fd_del = fd_del,
	.wait = wait,
	.dispatch = dispatch,
	.io_submit = loop_io_by_worker,
};
