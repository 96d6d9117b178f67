// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/log.h"
#include "base/removal.h"

struct listen_sock {
	int fd; /* owned */
	struct sockaddr_un addr;
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

static bool set_address(struct sockaddr_un *a, const char *path, struct error *err)
{
	size_t len = strlen(path);

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!len || len >= sizeof(a->sun_path))
		return error_usage(err, "socket path '%s': 1 to %zu bytes are wanted", path,
			sizeof(a->sun_path) - 1);
	memcpy(a->sun_path, path, len + 1);
	return true;
}

static int try_connect(const struct sockaddr_un *a, int flags)
{
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int listen_connect(const char *path)
{
	struct sockaddr_un a;
	struct error err;

	return set_address(&a, path, &err) ? try_connect(&a, 0) : -ENAMETOOLONG;
}

/* Something is in the way: remove it if it is a socket on which nobody listens. */
static bool replace_stale(const struct sockaddr_un *a, struct error *err)
{
	struct stat st;
	int r;

	if (lstat(a->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return error_set(
			err, "'%s' exists and is not a socket: remove it first", a->sun_path);
	r = try_connect(a, SOCK_NONBLOCK);
	if (r >= 0)
		close(r);
	if (r != -ECONNREFUSED)
		return error_set(err, "another process listens on '%s'", a->sun_path);
	return !unlink(a->sun_path) ||
	       error_set_errno(err, errno, "cannot replace '%s'", a->sun_path);
}

static bool start(struct listen_sock *s, struct error *err)
{
	const struct sockaddr *a = (const struct sockaddr *)&s->addr;
	const char *path = s->addr.sun_path;
	int r;

	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* bind gives the file the mode of the socket: never open to others, not for an instant. */
	if (s->fd < 0 || fchmod(s->fd, 0600) < 0)
		return error_set_errno(err, errno, "cannot make a socket");
	r = bind(s->fd, a, sizeof(s->addr));
	if (r < 0 && errno == EADDRINUSE) {
		if (!replace_stale(&s->addr, err))
			return false;
		r = bind(s->fd, a, sizeof(s->addr));
	}
	if (r < 0)
		return error_set_errno(err, errno, "cannot listen on '%s'", path);
	s->file = removal_expect(path);
	return !listen(s->fd, 16) || error_set_errno(err, errno, "cannot listen on '%s'", path);
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
	if (!set_address(&s->addr, path, err) || !start(s, err)) {
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
