// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lodge-net-user - the user network of one network card: libslirp between the guest's frames and the host's
 * sockets. Started by lodge (net/user.c) with two sockets; ends with the control socket. One thread.
 *
 * Frames for the guest go straight into the socket. When that is full they wait here, and as long as any do the
 * outside is not listened to: so TCP's own windows hold the senders back, and nothing grows.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/str.h"
#include "base/types.h"
#include "base/vec.h"
#include "net/helper/confine.h"
#include "net/helper/forward.h"
#include "net/helper/frames.h"
#include "net/helper/options.h"
#include "net/helper/protocol.h"

#define BATCH	    16
#define FRAME_ROOM  (sizeof(struct vnet_hdr) + NET_FRAME_MAX)
#define WAITING_MAX (8u << 20) /* bytes of frames that the guest has not fetched */

struct timer {
	struct timer *next;
	SlirpTimerCb cb;
	void *opaque;
	int64_t at_ms; /* -1: not armed */
};

struct waiting {
	struct waiting *next;
	size_t len;
	uint8_t data[];
};

struct helper {
	Slirp *slirp; /* NULL: not told yet what it is to be */
	unsigned int offloads;
	VEC(struct pollfd) poll;
	struct timer *timers;
	struct waiting *first, **last;
	size_t waiting;
	bool used;   /* frames have come */
	uint8_t *in; /* BATCH frames */
	uint8_t out[FRAME_ROOM];
};

/* -------- to the guest -------- */

/* False: the socket is full. */
static bool send_now(const uint8_t *p, size_t n)
{
	ssize_t r;

	do {
		r = send(NET_USER_DATA_FD, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (r < 0 && errno == EINTR);
	return r >= 0 || (errno != EAGAIN && errno != ENOBUFS);
}

static void send_or_wait(struct helper *h, const uint8_t *p, size_t n)
{
	struct waiting *w;

	if (!h->first && send_now(p, n))
		return;
	if (h->waiting > WAITING_MAX)
		return; /* lost, as on a wire */
	w = malloc(sizeof(*w) + n);
	if (!w)
		return;
	w->next = NULL;
	w->len = n;
	memcpy(w->data, p, n);
	*h->last = w;
	h->last = &w->next;
	h->waiting += n;
}

static void flush_waiting(struct helper *h)
{
	struct waiting *w;

	while ((w = h->first) && send_now(w->data, w->len)) {
		h->first = w->next;
		h->waiting -= w->len;
		if (!h->first)
			h->last = &h->first;
		free(w);
	}
}

static void emit(void *opaque, const struct vnet_hdr *v, const uint8_t *p, size_t n)
{
	struct helper *h = opaque;

	memcpy(h->out, v, sizeof(*v));
	/* A whole frame lies in ->out already. */
	if (p != h->out + sizeof(*v))
		memcpy(h->out + sizeof(*v), p, n);
	send_or_wait(h, h->out, sizeof(*v) + n);
}

static bool is_tcp(const uint8_t *p)
{
	return (rd_be16(p + 12) == 0x0800 && p[23] == IPPROTO_TCP) ||
	       (rd_be16(p + 12) == 0x86dd && p[20] == IPPROTO_TCP);
}

static ssize_t on_send_packet(const void *buf, size_t len, void *opaque)
{
	struct helper *h = opaque;
	uint8_t *p = h->out + sizeof(struct vnet_hdr);

	if (len > NET_FRAME_MAX)
		return -1;
	if (len > 14 + FRAME_MTU && !is_tcp(buf)) { /* pieces are made in ->out: from elsewhere */
		static uint8_t big[NET_FRAME_MAX];

		p = big;
	}
	memcpy(p, buf, len);
	frame_to_guest(p, len, h->offloads, emit, h);
	return (ssize_t)len;
}

/* -------- from the guest -------- */

static bool wants_big(const struct helper *h)
{
	return h->offloads & NET_TSO4 && h->offloads & NET_TSO6;
}

/* False: lodge is gone. */
static bool read_frames(struct helper *h)
{
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	int n;

	for (int i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ h->in + (size_t)i * FRAME_ROOM, FRAME_ROOM };
		m[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	n = recvmmsg(NET_USER_DATA_FD, m, BATCH, MSG_DONTWAIT, NULL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	h->used |= n > 0;
	for (int i = 0; i < n; i++) {
		uint8_t *p = iov[i].iov_base;
		struct vnet_hdr v;

		if (!m[i].msg_len)
			return false;
		if (m[i].msg_len < sizeof(v) || m[i].msg_hdr.msg_flags & MSG_TRUNC)
			continue;
		memcpy(&v, p, sizeof(v));
		p += sizeof(v);
		if (frame_from_guest(&v, p, m[i].msg_len - sizeof(v), wants_big(h)))
			slirp_input(h->slirp, p, (int)(m[i].msg_len - sizeof(v)));
	}
	return n > 0;
}

/* -------- libslirp's wishes -------- */

static int64_t now_ns(void *opaque)
{
	return clock_mono_ns();
}

static void guest_error(const char *msg, void *opaque)
{
}

static void *timer_new(SlirpTimerCb cb, void *cb_opaque, void *opaque)
{
	struct helper *h = opaque;
	struct timer *t = calloc(1, sizeof(*t));

	if (!t)
		abort();
	*t = (struct timer){ .next = h->timers, .cb = cb, .opaque = cb_opaque, .at_ms = -1 };
	h->timers = t;
	return t;
}

static void timer_free(void *timer, void *opaque)
{
	struct helper *h = opaque;
	struct timer **p = &h->timers;

	while (*p && *p != timer)
		p = &(*p)->next;
	if (*p)
		*p = (*p)->next;
	free(timer);
}

static void timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
	((struct timer *)timer)->at_ms = expire_ms;
}

static void poll_fd(int fd, void *opaque)
{
}

static void notify(void *opaque)
{
}

static int add_poll(int fd, int events, void *opaque)
{
	struct helper *h = opaque;
	struct pollfd p = { .fd = fd,
		.events = (short)((events & SLIRP_POLL_IN ? POLLIN : 0) |
				  (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
				  (events & SLIRP_POLL_PRI ? POLLPRI : 0)) };

	return vec_push(&h->poll, p) ? (int)h->poll.len - 1 : -1;
}

static int get_revents(int idx, void *opaque)
{
	struct helper *h = opaque;
	short e = idx >= 0 ? h->poll.data[idx].revents : 0;

	return (e & POLLIN ? SLIRP_POLL_IN : 0) | (e & POLLOUT ? SLIRP_POLL_OUT : 0) |
	       (e & POLLPRI ? SLIRP_POLL_PRI : 0) | (e & POLLERR ? SLIRP_POLL_ERR : 0) |
	       (e & POLLHUP ? SLIRP_POLL_HUP : 0);
}

/* -------- control -------- */

static void answer(const char *text)
{
	if (send(NET_USER_CTL_FD, text, strnlen(text, NET_USER_TEXT_MAX),
		    MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		_exit(1);
}

static void answer_error(const struct error *err)
{
	char text[NET_USER_TEXT_MAX + 1];

	snprintf(text, sizeof(text), "%d %.380s", (int)err->kind, err->msg);
	answer(text);
}

static int add_forward(struct helper *h, const struct forward *f)
{
	const struct sockaddr_in *a = (const struct sockaddr_in *)&f->host,
				 *g = (const struct sockaddr_in *)&f->guest;

	if (f->host.ss_family == AF_INET) /* knows what a guest address of 0 means */
		return slirp_add_hostfwd(h->slirp, f->udp, a->sin_addr, ntohs(a->sin_port),
			g->sin_addr, ntohs(g->sin_port));
	return slirp_add_hostxfwd(h->slirp, (const struct sockaddr *)&f->host, f->len,
		(const struct sockaddr *)&f->guest, f->len,
		SLIRP_HOSTFWD_V6ONLY | (f->udp ? SLIRP_HOSTFWD_UDP : 0));
}

/* When lodge is killed its helper may have the port for some moments more than it: a VM that starts again at
 * once waits for that. Later nobody is kept waiting. */
static int add_forward_patiently(struct helper *h, const struct forward *f)
{
	int r;

	for (int i = 0; (r = add_forward(h, f)) < 0 && errno == EADDRINUSE && !h->used && i < 300;
		i++) {
		poll(NULL, 0, 10);
		errno = EADDRINUSE;
	}
	return r;
}

static bool forward(struct helper *h, const char *spec, bool add, bool patient, struct error *err)
{
	struct forward f;
	int r;

	if (!forward_parse(spec, !add, &f, err))
		return false;
	if (add)
		r = patient ? add_forward_patiently(h, &f) : add_forward(h, &f);
	else
		r = slirp_remove_hostxfwd(
			h->slirp, (struct sockaddr *)&f.host, f.len, f.udp ? SLIRP_HOSTFWD_UDP : 0);
	if (r >= 0)
		return true;
	return add ? error_set_errno(err, errno, "cannot forward '%s'", spec)
		   : error_not_found(err, "there is no forward '%s'", spec);
}

static void describe(struct helper *h)
{
	char *text = slirp_connection_info(h->slirp);

	if (!text || send(NET_USER_CTL_FD, text, strnlen(text, NET_USER_DESCRIPTION_MAX - 1),
			     MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		_exit(1);
	free(text); /* glib's memory is malloc's */
}

/* Nothing is left of the network: libslirp closes its sockets, those that listen too, and frees its timers. */
static void stop(struct helper *h)
{
	struct waiting *w;

	if (h->slirp)
		slirp_cleanup(h->slirp);
	h->slirp = NULL;
	while ((w = h->first)) {
		h->first = w->next;
		free(w);
	}
	h->last = &h->first;
	h->waiting = 0;
	h->offloads = 0;
	h->used = false;
	answer(NET_USER_STOPPED);
}

/* False: lodge is gone. */
static bool control(struct helper *h)
{
	char text[NET_USER_TEXT_MAX + 1];
	struct error err = ERROR_INIT;
	const char *rest;
	ssize_t n = recv(NET_USER_CTL_FD, text, sizeof(text) - 1, MSG_DONTWAIT);
	uint64_t v;
	bool add, now;

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	text[n] = 0;
	if (str_has_prefix(text, "offloads ", &rest)) {
		if (str_parse_u64(rest, &v))
			h->offloads = (unsigned int)v;
		return true;
	}
	if (!strcmp(text, "describe")) {
		describe(h);
		return true;
	}
	if (!strcmp(text, "stop")) {
		stop(h);
		return true;
	}
	now = str_has_prefix(text, "forward-now ", &rest);
	add = now || str_has_prefix(text, "forward ", &rest);
	if (!add && !str_has_prefix(text, "unforward ", &rest))
		return true;
	if (forward(h, rest, add, !now, &err))
		answer("ok");
	else
		answer_error(&err);
	return true;
}

/* -------- starting -------- */

/* Waits for what is to be: strings, the last one empty, there until the next call. NULL: lodge is gone, or has said
 * something else. */
static char *wait_for_start(struct helper *h)
{
	static char text[NET_USER_START_MAX + 2];
	ssize_t n;

	for (;;) {
		do {
			n = recv(NET_USER_CTL_FD, text, NET_USER_START_MAX, 0);
		} while (n < 0 && errno == EINTR);
		if (n <= 0)
			return NULL;
		text[n] = text[n + 1] = 0;
		if (strcmp(text, "stop"))
			return strcmp(text, "start") ? NULL : text + sizeof("start");
		stop(h);
	}
}

static bool start(struct helper *h, char *options, struct error *err)
{
	static const SlirpCb callbacks = {
		.send_packet = on_send_packet,
		.guest_error = guest_error,
		.clock_get_ns = now_ns,
		.timer_new = timer_new,
		.timer_free = timer_free,
		.timer_mod = timer_mod,
		.register_poll_fd = poll_fd,
		.unregister_poll_fd = poll_fd,
		.notify = notify,
	};
	SlirpConfig c = { .version = 1, .if_mtu = 65521, .if_mru = 65521 };

	if (!options_read(options, &c, err))
		return false;
	h->slirp = slirp_new(&c, &callbacks, h);
	return h->slirp || error_set(err, "libslirp does not start");
}

/* -------- the loop -------- */

static void run_timers(struct helper *h, uint32_t *timeout_ms)
{
	int64_t now = clock_mono_ns() / NS_PER_MS;

	for (struct timer *t = h->timers, *next; t; t = next) {
		next = t->next;
		if (t->at_ms >= 0 && t->at_ms <= now) {
			t->at_ms = -1;
			t->cb(t->opaque);
		}
	}
	for (struct timer *t = h->timers; t; t = t->next) {
		if (t->at_ms >= 0)
			*timeout_ms = (uint32_t)MIN((int64_t)*timeout_ms, MAX(t->at_ms - now, 0));
	}
}

/* False: it is over, or the network was stopped. */
static bool round_trip(struct helper *h)
{
	uint32_t timeout = INT32_MAX;
	bool listen = !h->first;
	int r;

	run_timers(h, &timeout);
	h->poll.len = 0;
	if (!vec_push(&h->poll, ((struct pollfd){ .fd = NET_USER_CTL_FD, .events = POLLIN })) ||
		!vec_push(&h->poll, ((struct pollfd){ .fd = NET_USER_DATA_FD,
					    .events = listen ? POLLIN : POLLIN | POLLOUT })))
		return false;
	if (listen)
		slirp_pollfds_fill(h->slirp, &timeout, add_poll, h);
	r = poll(h->poll.data, h->poll.len, timeout >= INT32_MAX ? -1 : (int)timeout);
	if (r < 0 && errno != EINTR)
		return false;
	if (h->poll.data[0].revents && (!control(h) || !h->slirp))
		return false;
	if (h->poll.data[1].revents & POLLOUT)
		flush_waiting(h);
	if (h->poll.data[1].revents & (POLLIN | POLLHUP | POLLERR) && !read_frames(h))
		return false;
	if (listen)
		slirp_pollfds_poll(h->slirp, r < 0, get_revents, h);
	return true;
}

/* One network after the other, until lodge is gone. */
static void serve(struct helper *h)
{
	char *options;

	while (!h->slirp && (options = wait_for_start(h))) {
		struct error err = ERROR_INIT;

		if (!start(h, options, &err)) {
			answer_error(&err);
			continue;
		}
		answer("ok");
		while (round_trip(h))
			;
	}
}

int main(int argc, char **argv)
{
	static struct helper h;
	struct error err = ERROR_INIT;

	if (argc != 2 || strcmp(argv[1], NET_USER_ARGUMENT)) {
		fprintf(stderr,
			"lodge-net-user is a part of lodge, which starts it for --net user\n");
		return 2;
	}
	/* The control socket's end is what counts; this is for when somebody else holds it too. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a warning of glib's to a file is not worth a death */
	h.last = &h.first;
	h.in = malloc(BATCH * FRAME_ROOM);
	if (!(h.in || error_set(&err, "out of memory")) || !confine(&err)) {
		answer_error(&err);
		return 1;
	}
	answer("ok");
	serve(&h);
	return 0;
}
