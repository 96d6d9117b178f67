// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qmp_client - a connection: bytes and descriptors in, lines out. While more than QMP_OUT_BUSY bytes
 * wait for a client its commands wait too, but for those that it wants out of band; events go on, and
 * when QMP_OUT_MAX bytes wait the client is cut off: it never misses an event without noticing.
 */
#include "control/qmp_int.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/log.h"

static size_t waiting(const struct qmp_client *c)
{
	return c->out.len - c->out_off;
}

/* Its commands wait until it has read. */
static bool is_jammed(const struct qmp_client *c)
{
	return waiting(c) > QMP_OUT_BUSY;
}

/* May the next request be looked at? */
static bool takes_requests(const struct qmp_client *c)
{
	return !is_jammed(c) || (c->oob && c->n_queued < QMP_QUEUE_MAX);
}

static void close_fds(struct qmp_client *c)
{
	while (c->next_fd < c->n_fds)
		close(c->fds[c->next_fd++]);
	c->next_fd = c->n_fds = 0;
}

int qmp_client_take_fd(struct qmp_client *c)
{
	return c->next_fd < c->n_fds ? c->fds[c->next_fd++] : -1;
}

void client_free(struct qmp_client *c)
{
	close_fds(c);
	if (c->watch.loop)
		loop_fd_del(&c->watch);
	loop_timer_fini(&c->timer);
	list_del(&c->node);
	c->q->n_clients--;
	frame_fini(&c->frame);
	str_fini(&c->in);
	str_fini(&c->out);
	for (unsigned int i = 0; i < c->n_queued; i++)
		str_fini(&c->queue[i]);
	close(c->fd);
	free(c);
}

/* -------- out -------- */

static void flush(struct qmp_client *c)
{
	while (!c->dead && waiting(c)) {
		ssize_t n = send(
			c->fd, c->out.s + c->out_off, waiting(c), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			c->dead = errno != EAGAIN;
			return;
		}
		c->out_off += (size_t)n;
	}
	str_clear(&c->out);
	c->out_off = 0;
}

/* What is sent already takes no place. */
static void compact(struct qmp_client *c)
{
	if (c->out_off < QMP_OUT_BUSY)
		return;
	memmove(c->out.s, c->out.s + c->out_off, waiting(c));
	c->out.len = waiting(c);
	c->out.s[c->out.len] = 0;
	c->out_off = 0;
}

static void update(struct qmp_client *c)
{
	unsigned int want = waiting(c) ? LOOP_OUT : 0;

	if (!c->eof && c->in_off == c->in.len && takes_requests(c))
		want |= LOOP_IN;
	if (!c->dead && want != c->watch.events && loop_fd_modify(&c->watch, want))
		c->dead = true;
}

void client_send(struct qmp_client *c, struct str *line)
{
	str_append(line, "\r\n");
	if (c->dead)
		return;
	compact(c);
	str_append_mem(&c->out, str_cstr(line), line->len);
	if (line->failed || c->out.failed) {
		log_err("qmp", "out of memory: a client is cut off");
		c->dead = true;
		return;
	}
	flush(c);
	if (waiting(c) > QMP_OUT_MAX) {
		log_warn("qmp", "a client that does not read is cut off");
		c->dead = true;
	}
	if (!c->busy)
		update(c);
}

void client_drain(struct qmp_client *c)
{
	struct pollfd p = { c->fd, POLLOUT, 0 };
	int64_t end = clock_mono_ns() + 100000000;

	for (flush(c); !c->dead && waiting(c) && clock_mono_ns() < end; flush(c))
		poll(&p, 1, 10);
}

/* -------- in -------- */

static bool answered(const struct qmp_client *c)
{
	return c->eof && c->in_off == c->in.len && !c->n_queued && !waiting(c);
}

static void request(struct qmp_client *c)
{
	struct str *text = &c->frame.text;

	if (is_jammed(c) && !dispatch_is_oob(str_cstr(text), text->len)) {
		c->queue[c->n_queued++] = *text;
		*text = (struct str)STR_INIT;
	} else {
		dispatch(c, str_cstr(text), text->len);
	}
	frame_reset(&c->frame);
}

static void take_one(struct qmp_client *c)
{
	enum frame_result r;

	c->in_off += frame_take(&c->frame, c->in.s + c->in_off, c->in.len - c->in_off, &r);
	if (r == FRAME_WHOLE)
		request(c);
	else if (r == FRAME_BAD)
		dispatch_error(c, "GenericError", c->frame.what);
}

static void take_queued(struct qmp_client *c)
{
	struct str text = c->queue[0];

	memmove(c->queue, c->queue + 1, --c->n_queued * sizeof(text));
	dispatch(c, str_cstr(&text), text.len);
	str_fini(&text);
}

static void take_all(struct qmp_client *c)
{
	while (!c->dead) {
		if (c->n_queued && !is_jammed(c))
			take_queued(c);
		else if (c->in_off < c->in.len && takes_requests(c))
			take_one(c);
		else
			return;
	}
}

/* Carry out what has come, as far as the client reads the replies. */
static void work(struct qmp_client *c)
{
	c->busy = true;
	flush(c);
	take_all(c);
	if (c->in_off == c->in.len) {
		str_clear(&c->in);
		c->in_off = 0;
	}
	c->busy = false;
	if (frame_empty(&c->frame) || c->in.len)
		loop_timer_disarm(&c->timer);
	else if (!loop_timer_armed(&c->timer))
		loop_timer_arm(&c->timer, clock_mono_ns() + QMP_REQUEST_NS);
	if (c->dead || answered(c))
		client_free(c);
	else
		update(c);
}

static void take_fds(struct qmp_client *c, struct msghdr *m)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		unsigned int n = (unsigned int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		close_fds(c); /* those of the last message were not wanted */
		c->n_fds = MIN(n, QMP_FDS_MAX);
		memcpy(c->fds, CMSG_DATA(h), c->n_fds * sizeof(int));
	}
}

static void receive(struct qmp_client *c)
{
	static char buf[QMP_IN_CHUNK]; /* main's */
	union {
		char space[CMSG_SPACE(QMP_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0) {
		c->dead = errno != EAGAIN && errno != EINTR;
		return;
	}
	take_fds(c, &m);
	c->eof = !n;
	str_append_mem(&c->in, buf, (size_t)n);
	c->dead |= c->in.failed;
}

static void ready(void *opaque, unsigned int events)
{
	struct qmp_client *c = opaque;

	if (c->watch.events & LOOP_IN)
		receive(c);
	else if (events & LOOP_HUP)
		c->dead = true; /* nobody is there to read what waits */
	work(c);
}

static void too_slow(void *opaque)
{
	struct qmp_client *c = opaque;

	frame_reset(&c->frame);
	c->frame.lex = LEX_SKIP;
	c->busy = true;
	dispatch_error(c, "GenericError", "the request is not complete after 60 s and is dropped");
	c->busy = false;
	if (c->dead)
		client_free(c);
	else
		update(c);
}

struct qmp_client *client_new(struct qmp *q, int fd, bool readonly, struct error *err)
{
	AUTO(str) hello = STR_INIT;
	struct qmp_client *c = q->n_clients < QMP_CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
	int rc;

	if (!c) {
		close(fd);
		error_set(err, "no more than %u clients", QMP_CLIENTS_MAX);
		return NULL;
	}
	c->q = q;
	c->fd = fd;
	c->readonly = readonly;
	loop_timer_init(&c->timer, q->m->main_loop, too_slow, c);
	loop_fd_init(&c->watch, fd, LOOP_IN, ready, c);
	list_add_tail(&q->clients, &c->node);
	q->n_clients++;
	rc = loop_fd_add(q->m->main_loop, &c->watch);
	if (rc) {
		client_free(c);
		error_set_errno(err, rc, "cannot wait for a client");
		return NULL;
	}
	qmp_greeting(&hello);
	client_send(c, &hello);
	return c;
}
