// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/sock_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/patience.h"
#include "base/sock_inet.h"

bool sock_address(struct sockaddr_un *a, const char *path, struct error *err)
{
	size_t len = strlen(path);

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!len)
		return error_usage(err, "the path of a socket is wanted");
	if (len >= sizeof(a->sun_path))
		return error_usage(err, "socket path is longer than %zu bytes: '%s'",
			sizeof(a->sun_path) - 1, path);
	memcpy(a->sun_path, path, len + 1);
	return true;
}

static int connect_as(const struct sockaddr_un *a, int type)
{
	AUTO_FD int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int sock_connect(const char *path, int flags)
{
	struct sockaddr_un a;
	struct error err;

	return sock_address(&a, path, &err) ? connect_as(&a, SOCK_STREAM | flags) : -ENAMETOOLONG;
}

/*
 * Is a process behind the file? Asked by a datagram socket, which no server notices: a stream's says
 * EPROTOTYPE, if it listens already or not, a datagram's lets it connect, or EPERM if it talks with
 * one peer alone; ECONNREFUSED is nobody. For a debugger's server, or a VM that waits to be loaded, a
 * client that comes and goes would mean something.
 */
static int probe(const struct sockaddr_un *a)
{
	int r = connect_as(a, SOCK_DGRAM | SOCK_NONBLOCK);

	if (r >= 0)
		close(r);
	return r >= 0 || r == -EPROTOTYPE || r == -EPERM ? 0 : r;
}

/* Something is in the way: remove it if it is a socket that no process has any more. */
static bool remove_stale(const struct sockaddr_un *a, struct error *err)
{
	const char *path = a->sun_path;
	struct stat st;
	int r;

	if (lstat(path, &st) < 0)
		return error_set_errno(err, errno, "'%s'", path);
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, "'%s' exists and is not a socket: remove it first", path);
	for (unsigned int waited = 0; !(r = probe(a)) && patience_wait(&waited);)
		;
	if (!r)
		return error_set(err, "another process listens on '%s'", path);
	if (r != -ECONNREFUSED && r != -ENOENT)
		return error_set_errno(err, r, "'%s' exists and cannot be replaced", path);
	return !unlink(path) || errno == ENOENT ||
	       error_set_errno(err, errno, "cannot replace '%s'", path);
}

static bool bind_at(int fd, const struct sockaddr_un *a, struct error *err)
{
	const struct sockaddr *sa = (const struct sockaddr *)a;
	int r;

	/* bind gives the file the mode of the socket: never open to others, not for an instant. */
	if (fchmod(fd, 0600) < 0)
		return error_set_errno(err, errno, "cannot make a socket");
	r = bind(fd, sa, sizeof(*a));
	if (r < 0 && errno == EADDRINUSE) {
		if (!remove_stale(a, err))
			return false;
		r = bind(fd, sa, sizeof(*a));
	}
	return r == 0 || error_set_errno(err, errno, "cannot listen on '%s'", a->sun_path);
}

int sock_file_make(
	struct removal **file, const char *path, int type, int backlog, struct error *err)
{
	struct sockaddr_un a;
	AUTO_FD int fd = -1;

	*file = NULL;
	if (!sock_address(&a, path, err))
		return -1;
	fd = sock_new(AF_UNIX, type, err);
	if (fd < 0 || !bind_at(fd, &a, err))
		return -1;
	*file = removal_expect(path);
	if ((type & ~SOCK_NONBLOCK) != SOCK_DGRAM && listen(fd, backlog) < 0) {
		error_set_errno(err, errno, "cannot listen on '%s'", path);
		removal_do(TAKE(*file));
		return -1;
	}
	return TAKE_FD(fd);
}
