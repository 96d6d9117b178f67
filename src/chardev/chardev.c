// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Buffering, watches and flow control of character devices; the kinds `null` and `file`.
 *
 * 1. A writer (any thread) tries write(2) at once if nothing is buffered, so that a console costs no
 *    wake-up of the loop; what the descriptor does not take goes into the ring, and the loop's
 *    thread sends it when the descriptor can be written.
 * 2. Input is read only for room that the front end has told. The room is taken before the read and
 *    what was not used is given back after it, so that a front end that tells a new room at the
 *    same time never gets more than it has.
 * 3. A hang-up is level-triggered and cannot be masked; while there is no room to read what came
 *    before it, the descriptor isn't watched at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fdset.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "chardev/chardev_int.h"

#define CLOSE_WAIT_MS 1000

/* -------- output -------- */

/* As write(2), never blocks on a socket; -errno. Under the lock. */
static ssize_t out_write(struct chardev *c, const uint8_t *p, size_t n)
{
	ssize_t r;

	if (c->kind->send)
		return c->kind->send(c, p, n);
	do {
		r = c->out_sock ? send(c->out_fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT)
				: write(c->out_fd, p, n);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

/* Write from the caller's memory; returns bytes written, marks a dead descriptor. */
static size_t out_try(struct chardev *c, const uint8_t *p, size_t n)
{
	size_t done = 0;

	while (done < n && !c->out_failed) {
		ssize_t r = out_write(c, p + done, n - done);

		if (r == -EAGAIN)
			break;
		if (r < 0) {
			/* A full file system may have room again later; a broken pipe stays. */
			if (r == -ENOSPC || r == -EDQUOT || r == -EFBIG)
				return n;
			c->out_failed = true;
			break;
		}
		done += (size_t)r;
	}
	return done;
}

/* Append to the ring; returns how many bytes fitted. */
static size_t ring_put(struct chardev *c, const uint8_t *p, size_t n)
{
	size_t tail = (c->out_head + c->out_len) % CHARDEV_OUT_MAX, first;

	n = MIN(n, CHARDEV_OUT_MAX - c->out_len);
	first = MIN(n, CHARDEV_OUT_MAX - tail);
	memcpy(c->out + tail, p, first);
	memcpy(c->out, p + first, n - first);
	c->out_len += n;
	return n;
}

/* Send from the ring what the descriptor takes. */
static void ring_flush(struct chardev *c)
{
	while (c->out_len && c->out_fd >= 0 && !c->out_failed) {
		size_t n = MIN(c->out_len, CHARDEV_OUT_MAX - c->out_head);
		size_t w = out_try(c, c->out + c->out_head, n);

		c->out_head = (c->out_head + w) % CHARDEV_OUT_MAX;
		c->out_len -= w;
		if (w < n)
			break;
	}
}

size_t chardev_write(struct chardev *c, const uint8_t *p, size_t n)
{
	size_t done = 0;
	bool post;

	mutex_lock(&c->lock);
	if (c->out_fd < 0 || c->out_failed) {
		mutex_unlock(&c->lock);
		return n;
	}
	if (!c->out_len)
		done = out_try(c, p, n);
	if (c->out_failed)
		done = n;
	done += ring_put(c, p + done, n - done);
	if (done < n)
		c->want_writable = true;
	post = c->out_len || c->out_failed;
	mutex_unlock(&c->lock);
	if (post)
		loop_post(c->loop, &c->update);
	return done;
}

/* -------- input -------- */

static void input_end(struct chardev *c)
{
	c->in_ended = true;
	if (c->kind->input_end)
		c->kind->input_end(c);
}

/* Give back the room that a read has not used (point 2 above). */
static void room_return(struct chardev *c, size_t taken, size_t used)
{
	size_t now = 0;

	if (atomic_compare_exchange_strong(&c->room, &now, taken - used))
		return;
	while (!atomic_compare_exchange_weak(&c->room, &now, now > used ? now - used : 0))
		;
}

/* As read(2); -errno. */
static ssize_t in_read(struct chardev *c, uint8_t *p, size_t n)
{
	ssize_t r;

	if (c->kind->recv)
		return c->kind->recv(c, p, n);
	do {
		r = c->in_sock ? recv(c->in_fd, p, n, MSG_DONTWAIT) : read(c->in_fd, p, n);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

/* One read. Returns false when there is nothing more to be had now. */
static bool input_once(struct chardev *c)
{
	size_t room = atomic_exchange(&c->room, 0), n;
	uint8_t buf[CHARDEV_IN_MAX];
	ssize_t r;

	if (!room)
		return false;
	n = MIN(room, sizeof(buf));
	r = in_read(c, buf, n);
	if (r <= 0) {
		room_return(c, room, 0);
		if (r == -EAGAIN)
			return false;
		input_end(c);
		return false;
	}
	n = c->kind->filter ? c->kind->filter(c, buf, (size_t)r) : (size_t)r;
	room_return(c, room, n);
	if (n && c->front.receive)
		c->front.receive(c->front.opaque, buf, n);
	return true;
}

/* -------- watches -------- */

static void watch_set(struct chardev *c, struct loop_fd *w, int fd, unsigned int events, bool idle)
{
	int r = 0;

	if (w->loop && (w->fd != fd || (!events && !idle)))
		loop_fd_del(w);
	if (fd < 0 || (!events && !idle))
		return;
	if (w->loop) {
		if (w->events != events)
			r = loop_fd_modify(w, events);
	} else {
		w->fd = fd;
		w->events = events;
		r = loop_fd_add(c->loop, w);
	}
	if (r == -EPERM && w == &c->in_watch) {
		c->in_always = true;
		loop_post(c->loop, &c->update);
	} else if (r < 0)
		log_debug("chardev", "%s: cannot watch: %s", c->id, strerror(-r));
}

static void tell_open(struct chardev *c, bool open)
{
	if (atomic_exchange(&c->open, open) != open && c->front.opened)
		c->front.opened(c->front.opaque, open);
}

void chardev_update(struct chardev *c)
{
	bool room = atomic_load(&c->room), same, idle;
	unsigned int in = room && !c->in_ended ? LOOP_IN : 0, out;
	int in_fd = c->in_always ? -1 : c->in_fd, out_fd;

	mutex_lock(&c->lock);
	out_fd = c->out_fd;
	out = c->out_len && !c->out_failed ? LOOP_OUT : 0;
	mutex_unlock(&c->lock);
	same = in_fd >= 0 && in_fd == out_fd;
	/* A connection is watched for its end even when nothing is wanted of it (but see point 3);
	 * once its input has ended, by the kind. Messages have no end. */
	idle = same && !c->hup && !c->in_ended && !c->in_fin && !c->kind->recv;
	watch_set(c, &c->in_watch, in_fd, in | (same ? out : 0), idle);
	watch_set(c, &c->out_watch, same ? -1 : out_fd, out, false);
}

/* Output fails: the kind decides, otherwise output is dropped from now on. */
static void output_end(struct chardev *c)
{
	if (c->kind->hangup) {
		c->kind->hangup(c);
		return;
	}
	mutex_lock(&c->lock);
	c->out_fd = -1;
	c->out_len = 0;
	c->out_failed = false;
	mutex_unlock(&c->lock);
}

/* Send what is buffered; tell the front end when half of the ring is free again. */
static void output_ready(struct chardev *c)
{
	bool tell, failed;

	mutex_lock(&c->lock);
	ring_flush(c);
	failed = c->out_failed;
	mutex_unlock(&c->lock);
	if (failed)
		output_end(c);
	mutex_lock(&c->lock);
	tell = c->want_writable && c->out_len <= CHARDEV_OUT_MAX / 2;
	if (tell)
		c->want_writable = false;
	mutex_unlock(&c->lock);
	if (tell && c->front.writable)
		c->front.writable(c->front.opaque);
}

/* Has the peer sent what has not been read yet? */
static bool unread(const struct chardev *c)
{
	int n = 0;

	return !ioctl(c->in_fd, FIONREAD, &n) && n > 0;
}

/* The peer has hung up; what it sent before is still wanted, if there is room some time. */
static void hung_up(struct chardev *c, bool more)
{
	if (!more && !c->in_ended && (atomic_load(&c->room) || !unread(c)))
		input_end(c);
	if (c->in_fd < 0)
		return; /* the kind has seen to it */
	if (c->in_ended && c->kind->hangup) {
		c->kind->hangup(c);
	} else if (!c->hup) {
		c->hup = true;
		if (c->kind->lingers)
			c->kind->lingers(c);
	}
}

void chardev_hung_up(struct chardev *c)
{
	bool more = input_once(c);

	if (c->in_fd >= 0)
		hung_up(c, more);
	chardev_update(c);
}

static void on_in(void *opaque, unsigned int events)
{
	struct chardev *c = opaque;
	bool more = false;

	if (events & LOOP_OUT)
		output_ready(c);
	if (c->in_fd >= 0 && (events & (LOOP_IN | LOOP_HUP)))
		more = !c->in_ended && input_once(c);
	/* An error of a message's socket was told, and so taken away, by what was sent or received. */
	if (c->in_fd >= 0 && (events & LOOP_HUP) && !c->kind->recv)
		hung_up(c, more);
	if (c->in_more)
		loop_post(c->loop, &c->update);
	chardev_update(c);
}

static void on_out(void *opaque, unsigned int events)
{
	struct chardev *c = opaque;

	output_ready(c);
	chardev_update(c);
}

/* Something changed on another thread: room, buffered output, a failed write. */
static void on_update(void *opaque)
{
	struct chardev *c = opaque;

	output_ready(c);
	if ((c->in_always || c->hup || c->in_more) && !c->in_ended && c->in_fd >= 0 &&
		input_once(c) && atomic_load(&c->room))
		loop_post(c->loop, &c->update);
	if (c->hup && c->in_ended && c->kind->hangup)
		c->kind->hangup(c);
	chardev_update(c);
}

void chardev_connect(struct chardev *c, int fd, bool sock)
{
	mutex_lock(&c->lock);
	c->out_fd = fd;
	c->out_sock = sock;
	c->out_failed = false;
	c->out_len = c->out_head = 0;
	mutex_unlock(&c->lock);
	c->in_fd = fd;
	c->in_sock = sock;
	c->in_ended = c->hup = c->in_fin = false;
	chardev_update(c);
	tell_open(c, true);
}

void chardev_disconnect(struct chardev *c)
{
	bool waiting;

	mutex_lock(&c->lock);
	c->out_fd = -1;
	c->out_failed = false;
	c->out_len = 0;
	waiting = c->want_writable;
	mutex_unlock(&c->lock);
	/* A writer that waits for room has it now: what it writes is dropped. */
	if (waiting)
		loop_post(c->loop, &c->update);
	c->in_fd = -1;
	c->in_ended = c->hup = c->in_fin = false;
	chardev_update(c);
	tell_open(c, false);
}

/* -------- the simple kinds -------- */

static bool null_open(struct chardev *c, const char *arg, struct error *err)
{
	if (arg)
		return error_usage(err, "chardev '%s': null takes no argument", c->id);
	c->filename = strdup("null");
	atomic_store(&c->open, true);
	return true;
}

static const struct chardev_kind chardev_null = { .name = "null", .open = null_open };

static int file_fd(struct chardev *c, const char *path, int flags, struct error *err)
{
	int fd;

	if (fdset_is_path(path))
		return fdset_open(path, O_WRONLY, err);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags, 0666);
	if (fd < 0)
		error_set_errno(err, errno, "chardev '%s': cannot write to '%s'", c->id, path);
	return fd;
}

static bool open_file(struct chardev *c, const char *arg, int flags, struct error *err)
{
	if (!arg || !*arg)
		return error_usage(err, "chardev '%s': %s needs a path: %s:PATH", c->id,
			c->kind->name, c->kind->name);
	c->out_fd = file_fd(c, arg, flags, err);
	if (c->out_fd < 0)
		return false;
	c->data = (void *)(intptr_t)c->out_fd;
	c->filename = str_printf("file:%s", arg);
	atomic_store(&c->open, true);
	return true;
}

static bool file_open(struct chardev *c, const char *arg, struct error *err)
{
	return open_file(c, arg, O_TRUNC, err);
}

static bool append_open(struct chardev *c, const char *arg, struct error *err)
{
	return open_file(c, arg, O_APPEND, err);
}

static void file_close(struct chardev *c)
{
	close((int)(intptr_t)c->data);
}

static const struct chardev_kind chardev_file = {
	.name = "file",
	.open = file_open,
	.close = file_close,
};

static const struct chardev_kind chardev_append = {
	.name = "append",
	.open = append_open,
	.close = file_close,
};

const struct chardev_kind *const chardev_kinds[] = {
	&chardev_stdio,
	&chardev_null,
	&chardev_pty,
	&chardev_file,
	&chardev_append,
	&chardev_unix,
	&chardev_tcp,
	&chardev_udp,
	&chardev_fd,
	NULL,
};

/* -------- life -------- */

static const struct chardev_kind *kind_find(const char *spec, const char **arg)
{
	size_t n = strcspn(spec, ":");

	for (const struct chardev_kind *const *k = chardev_kinds; *k; k++) {
		if (strlen((*k)->name) == n && !memcmp((*k)->name, spec, n)) {
			*arg = spec[n] ? spec + n + 1 : NULL;
			return *k;
		}
	}
	return NULL;
}

/* A reader that goes away must not end the VM. */
static void ignore_sigpipe(void)
{
	struct sigaction sa;

	if (!sigaction(SIGPIPE, NULL, &sa) && sa.sa_handler == SIG_DFL) {
		sa.sa_handler = SIG_IGN;
		sigaction(SIGPIPE, &sa, NULL);
	}
}

static void chardev_free(struct chardev *c)
{
	mutex_fini(&c->lock);
	free(c->out);
	free(c->id);
	free(c->filename);
	free(c);
}

struct chardev *chardev_open(const char *spec, const char *id, struct loop *l, struct error *err)
{
	struct chardev *c = calloc(1, sizeof(*c));
	const char *arg = NULL;

	if (!c || !(c->id = strdup(id)) || !(c->out = malloc(CHARDEV_OUT_MAX))) {
		if (c)
			free(c->id);
		free(c);
		error_set(err, "chardev '%s': out of memory", id);
		return NULL;
	}
	mutex_init(&c->lock);
	c->loop = l;
	c->in_fd = c->out_fd = -1;
	loop_fd_init(&c->in_watch, -1, 0, on_in, c);
	loop_fd_init(&c->out_watch, -1, 0, on_out, c);
	loop_defer_init(&c->update, on_update, c);
	c->kind = kind_find(spec, &arg);
	if (!c->kind) {
		error_usage(err,
			"chardev '%s': unknown kind '%s': use stdio, null, pty, file:PATH, "
			"append:PATH, unix:PATH[,server], tcp:ADDR:PORT[,server], "
			"udp:ADDR:PORT[@ADDR:PORT] or fd:N[,server]",
			id, spec);
		chardev_free(c);
		return NULL;
	}
	ignore_sigpipe();
	if (!c->kind->open(c, arg, err)) {
		chardev_free(c);
		return NULL;
	}
	return c;
}

/* Bounded: a reader that has stopped reading must not keep us from ending. */
static void flush_wait(struct chardev *c)
{
	int64_t end = clock_mono_ns() + CLOSE_WAIT_MS * NS_PER_MS, left;

	mutex_lock(&c->lock);
	for (;;) {
		struct pollfd p = { .fd = c->out_fd, .events = POLLOUT };

		ring_flush(c);
		left = (end - clock_mono_ns()) / NS_PER_MS;
		if (!c->out_len || c->out_fd < 0 || c->out_failed || left <= 0)
			break;
		poll(&p, 1, (int)left);
	}
	mutex_unlock(&c->lock);
}

void chardev_close(struct chardev *c)
{
	if (!c)
		return;
	flush_wait(c);
	memset(&c->front, 0, sizeof(c->front));
	if (c->in_watch.loop)
		loop_fd_del(&c->in_watch);
	if (c->out_watch.loop)
		loop_fd_del(&c->out_watch);
	loop_defer_cancel(c->loop, &c->update);
	if (c->kind->close)
		c->kind->close(c);
	chardev_free(c);
}

const char *chardev_id(const struct chardev *c)
{
	return c->id;
}

const char *chardev_filename(const struct chardev *c)
{
	return c->filename ? c->filename : c->kind->name;
}

void chardev_set_front(struct chardev *c, const struct chardev_front *f)
{
	if (f)
		c->front = *f;
	else
		memset(&c->front, 0, sizeof(c->front));
	if (!f)
		atomic_store(&c->room, 0);
	loop_post(c->loop, &c->update);
}

bool chardev_has_front(const struct chardev *c)
{
	return c->front.opaque;
}

void chardev_set_room(struct chardev *c, size_t room)
{
	size_t old = atomic_exchange(&c->room, room);

	/* From 0: start reading. To 0: the reader notices by itself when it has nothing to take. */
	if (room && !old)
		loop_post(c->loop, &c->update);
}

bool chardev_size(const struct chardev *c, uint16_t *cols, uint16_t *rows)
{
	struct winsize w = { 0 };
	bool ok = c->kind == &chardev_stdio && c->in_fd >= 0 && !ioctl(c->in_fd, TIOCGWINSZ, &w) &&
		  w.ws_col && w.ws_row;

	*cols = ok ? w.ws_col : 0;
	*rows = ok ? w.ws_row : 0;
	return ok;
}

bool chardev_is_open(const struct chardev *c)
{
	return atomic_load(&c->open);
}

bool chardev_is_socket(const struct chardev *c)
{
	return c->kind->cut;
}

void chardev_break(struct chardev *c)
{
	if (c->kind->cut)
		c->kind->cut(c);
}
