// SPDX-License-Identifier: GPL-2.0-or-later
/* qmp - the server: its sockets and clients. */
#include "control/qmp.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fdset.h"
#include "base/log.h"
#include "control/qmp_int.h"

const struct qmp_info *qmp_get_info(const struct qmp *q)
{
	return q->info;
}

static int fdset_dup(void *opaque, uint64_t set, int flags, struct error *err)
{
	return qmp_fdset_dup(opaque, set, flags, err);
}

struct qmp *qmp_new(struct machine *m, const struct qmp_info *info, struct error *err)
{
	struct qmp *q = calloc(1, sizeof(*q));

	assert(thread_is(ROLE_MAIN));
	if (!q) {
		error_set(err, "out of memory");
		return NULL;
	}
	q->m = m;
	q->info = info;
	list_init(&q->clients);
	events_init(q);
	fdset_provide(fdset_dup, q);
	return q;
}

void qmp_free(struct qmp *q)
{
	struct listen_sock **l;

	if (!q)
		return;
	events_fini(q);
	if (q->keys)
		q->keys_free(q->keys);
	while (!list_empty(&q->clients)) {
		struct qmp_client *c = list_first(&q->clients, struct qmp_client, node);

		client_drain(c);
		client_free(c);
	}
	vec_for_each (l, &q->listeners)
		listen_free(*l);
	vec_fini(&q->listeners);
	fdset_provide(NULL, NULL);
	fds_fini(q);
	free(q);
}

bool qmp_serve(struct qmp *q, int fd, bool readonly, struct error *err)
{
	return client_new(q, fd, readonly, err);
}

static void accept_client(struct qmp *q, int fd, bool readonly)
{
	struct error err = ERROR_INIT;

	if (!client_new(q, fd, readonly, &err))
		log_warn("qmp", "a client was refused: %s", err.msg);
}

static void accepted(void *opaque, int fd)
{
	accept_client(opaque, fd, false);
}

static void accepted_readonly(void *opaque, int fd)
{
	accept_client(opaque, fd, true);
}

/* An inherited descriptor: a socket that listens, or one that is connected. */
static bool open_fd(
	struct qmp *q, const char *text, bool readonly, struct listen_sock **out, struct error *err)
{
	socklen_t len = sizeof(int);
	int listening;
	uint64_t n;

	if (!str_parse_u64(text, &n) || n > INT32_MAX)
		return error_usage(err, "'fd:%s': a descriptor's number is wanted", text);
	if (getsockopt((int)n, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0)
		return error_usage(err, "'fd:%s': %s", text, strerror(errno));
	if (!listening) {
		fcntl((int)n, F_SETFD, FD_CLOEXEC);
		return qmp_serve(q, (int)n, readonly, err);
	}
	*out = listen_fd(q->m->main_loop, (int)n, readonly ? accepted_readonly : accepted, q, err);
	return *out;
}

bool qmp_listen(struct qmp *q, const char *address, bool readonly, struct error *err)
{
	struct listen_sock *l = NULL;
	const char *rest;
	bool ok = true;

	if (!vec_reserve(&q->listeners, 1))
		return error_set(err, "out of memory");
	if (str_has_prefix(address, "unix:", &rest))
		l = listen_unix(
			q->m->main_loop, rest, readonly ? accepted_readonly : accepted, q, err);
	else if (str_has_prefix(address, "fd:", &rest))
		ok = open_fd(q, rest, readonly, &l, err);
	else
		return error_usage(err, "'%s': unix:PATH or fd:NUMBER is wanted", address);
	if (l)
		q->listeners.data[q->listeners.len++] = l;
	return l || (ok && !str_has_prefix(address, "unix:", &rest));
}
