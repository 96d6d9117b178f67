// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "base/removal.h"
#include "base/sock_file.h"

struct listen_sock {
	int fd;		      /* owned */
	struct removal *file; /* of the socket, if we made it */
	struct loop_fd watch;
	void (*accepted)(void *opaque, int fd);
	void *opaque;
};

/* Main only. */
static uid_t unknown_uid = (uid_t)-1;

void listen_set_unknown_uid(uid_t uid)
{
	unknown_uid = uid;
}

static bool peer_allowed(const struct listen_sock *s, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	if (peer.uid == unknown_uid)
		return removal_is_private(s->file);
	return peer.uid == geteuid() || peer.uid == 0;
}

static void ready(void *opaque, unsigned int events)
{
	struct listen_sock *s = opaque;
	int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		/* Out of descriptors: the client would wake us for ever. It waits; so do we. */
		if (errno == EMFILE || errno == ENFILE) {
			log_warn("control", "no descriptor is left for a client");
			usleep(1000);
		}
		return;
	}
	if (peer_allowed(s, fd)) {
		s->accepted(s->opaque, fd);
		return;
	}
	log_warn("control", "a client of another user was refused");
	close(fd);
}

static struct listen_sock *sock_new(
	void (*accepted)(void *opaque, int fd), void *opaque, struct error *err)
{
	struct listen_sock *s = calloc(1, sizeof(*s));

	if (!s) {
		error_set(err, "out of memory");
		return NULL;
	}
	s->fd = -1;
	s->accepted = accepted;
	s->opaque = opaque;
	loop_fd_init(&s->watch, -1, LOOP_IN, ready, s);
	return s;
}

static struct listen_sock *watch(struct listen_sock *s, struct loop *l, struct error *err)
{
	int rc;

	s->watch.fd = s->fd;
	rc = loop_fd_add(l, &s->watch);
	if (!rc)
		return s;
	error_set_errno(err, rc, "cannot wait for clients");
	listen_free(s);
	return NULL;
}

struct listen_sock *listen_unix(struct loop *l, const char *path,
	void (*accepted)(void *opaque, int fd), void *opaque, struct error *err)
{
	struct listen_sock *s = sock_new(accepted, opaque, err);

	if (!s)
		return NULL;
	s->fd = sock_file_make(&s->file, path, SOCK_STREAM | SOCK_NONBLOCK, 16, err);
	if (s->fd < 0) {
		listen_free(s);
		return NULL;
	}
	return watch(s, l, err);
}

struct listen_sock *listen_fd(struct loop *l, int fd, void (*accepted)(void *opaque, int fd),
	void *opaque, struct error *err)
{
	struct listen_sock *s = sock_new(accepted, opaque, err);

	if (!s) {
		close(fd);
		return NULL;
	}
	s->fd = fd;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return watch(s, l, err);
}

void listen_free(struct listen_sock *s)
{
	if (!s)
		return;
	if (s->watch.loop)
		loop_fd_del(&s->watch);
	if (s->fd >= 0)
		close(s->fd);
	removal_do(s->file);
	free(s);
}
