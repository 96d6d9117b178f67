// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * channel - where a stream goes or comes from. A file is written under another name in the same
 * directory and gets its own only when it is whole and durable: until then the old one is untouched,
 * whatever happens.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "migrate/migrate_int.h"

static void channel_init(struct channel *c)
{
	*c = (struct channel){ .fd = -1, .listen_fd = -1 };
}

void channel_close(struct channel *c)
{
	if (c->fd >= 0)
		close(c->fd);
	if (c->listen_fd >= 0)
		close(c->listen_fd);
	removal_do(c->listen_file);
	if (c->tmp_path && !c->nameless)
		unlink(c->tmp_path);
	free(c->path);
	free(c->tmp_path);
	channel_init(c);
}

/* -------- files -------- */

/* The directory that @path is in, as text of the caller's. */
static char *directory_of(const char *path)
{
	char *dir = strdup(path), *slash = dir ? strrchr(dir, '/') : NULL;

	if (slash)
		slash[slash == dir] = 0;
	else if (dir)
		strcpy(dir, ".");
	return dir;
}

/* A file without a name vanishes with us. -1: not here; it gets its name by way of /proc. */
static int open_nameless(const char *path)
{
	AUTO_FREE char *dir = directory_of(path);

	if (!dir || access("/proc/self/fd", X_OK))
		return -1;
	return open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
}

static bool give_name(struct channel *c, struct error *err)
{
	char own[48];

	if (!c->nameless)
		return true;
	snprintf(own, sizeof(own), "/proc/self/fd/%d", c->fd);
	for (int tries = 0; tries < 100; tries++) {
		char *x = c->tmp_path + strlen(c->tmp_path) - 6;

		snprintf(x, 7, "%06x", (unsigned int)((uint32_t)clock_mono_ns() & 0xffffff));
		if (!linkat(AT_FDCWD, own, AT_FDCWD, c->tmp_path, AT_SYMLINK_FOLLOW)) {
			c->nameless = false;
			return true;
		}
		if (errno != EEXIST)
			break;
	}
	return error_set_errno(err, errno, "cannot give '%s' its name", c->path);
}

static bool file_create(struct channel *c, const char *path, struct error *err)
{
	struct stat st;

	/* A device or a FIFO has no old contents to keep, and cannot be renamed over. */
	if (!stat(path, &st) && !S_ISREG(st.st_mode)) {
		c->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		if (c->fd < 0 && errno == ENXIO)
			return error_set(err, "nobody reads from '%s'", path);
		return c->fd >= 0 || error_set_errno(err, errno, "cannot open '%s'", path);
	}
	c->path = realpath(path, NULL) ?: strdup(path); /* through a link, to the file itself */
	c->tmp_path = c->path ? str_printf("%s.XXXXXX", c->path) : NULL;
	if (!c->tmp_path)
		return error_set(err, "out of memory");
	c->fd = open_nameless(c->path);
	if (c->fd >= 0) {
		c->file = c->nameless = true;
		return true;
	}
	c->fd = mkostemp(c->tmp_path, O_CLOEXEC);
	if (c->fd < 0) {
		int e = errno;

		free(c->tmp_path);
		c->tmp_path = NULL;
		return error_set_errno(err, e, "cannot make a file beside '%s'", path);
	}
	c->file = true;
	return true;
}

/* The directory's entry is durable when the directory is. */
static int sync_directory(const char *path)
{
	AUTO_FREE char *dir = directory_of(path);
	AUTO_FD int fd = -1;

	if (!dir)
		return -ENOMEM;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

bool channel_commit(struct channel *c, struct error *err)
{
	int rc;

	if (!c->file) {
		if (!c->socket && fsync(c->fd) < 0 && errno != EINVAL && errno != EROFS)
			return error_set_errno(err, errno, "the stream cannot be made durable");
		return true;
	}
	if (fsync(c->fd) < 0)
		return error_set_errno(err, errno, "'%s' cannot be made durable", c->path);
	if (!give_name(c, err))
		return false;
	if (rename(c->tmp_path, c->path) < 0)
		return error_set_errno(
			err, errno, "cannot rename '%s' to '%s'", c->tmp_path, c->path);
	free(c->tmp_path);
	c->tmp_path = NULL;
	rc = sync_directory(c->path);
	return !rc ||
	       error_set_errno(err, rc, "the directory of '%s' cannot be made durable", c->path);
}

struct migrate_file {
	struct channel ch;
};

struct migrate_file *migrate_file_new(const char *path, struct error *err)
{
	struct migrate_file *f = malloc(sizeof(*f));

	if (!f) {
		error_set(err, "out of memory");
		return NULL;
	}
	channel_init(&f->ch);
	if (file_create(&f->ch, path, err))
		return f;
	migrate_file_free(f);
	return NULL;
}

int migrate_file_fd(const struct migrate_file *f)
{
	return f->ch.fd;
}

bool migrate_file_commit(struct migrate_file *f, struct error *err)
{
	return channel_commit(&f->ch, err);
}

void migrate_file_free(struct migrate_file *f)
{
	if (f)
		channel_close(&f->ch);
	free(f);
}

/* -------- sockets and descriptors -------- */

static bool unix_connect(struct channel *c, const char *path, struct error *err)
{
	struct sockaddr_un a;

	if (!sock_address(&a, path, err))
		return false;
	c->socket = true;
	/* Not one that makes us wait for a server which takes nobody in. */
	c->fd = sock_connect(path, SOCK_NONBLOCK);
	if (c->fd == -EAGAIN)
		return error_set(err, "unix:%s takes no more connections: others wait there", path);
	return c->fd >= 0 || error_set_errno(err, c->fd, "cannot connect to unix:%s", path);
}

static bool unix_listen(struct channel *c, const char *path, struct error *err)
{
	c->socket = true;
	c->listen_fd = sock_file_make(&c->listen_file, path, SOCK_STREAM, 1, err);
	return c->listen_fd >= 0;
}

static bool fd_open(struct channel *c, const char *text, struct error *err)
{
	struct stat st;
	uint64_t n;

	if (!str_parse_u64(text, &n) || n > INT32_MAX || fstat((int)n, &st) < 0)
		return error_usage(err, "fd:%s: is no open descriptor", text);
	if (n <= STDERR_FILENO)
		return error_usage(err, "fd:%s: is a standard descriptor", text);
	c->fd = (int)n; /* ours from now on */
	(void)!fcntl(c->fd, F_SETFD, FD_CLOEXEC);
	c->socket = S_ISSOCK(st.st_mode);
	return true;
}

/* What has another scheme is a mistake, what has none is a path. */
static bool is_path(const char *uri, const char **path)
{
	if (str_has_prefix(uri, "file:", path))
		return true;
	*path = uri;
	/* Any other word is a protocol that we do not know, not the name of a file to be made here. */
	return uri[0] == '/' || uri[0] == '.';
}

static bool bad_uri(const char *uri, struct error *err)
{
	const char *rest;

	if (str_has_prefix(uri, "exec:", &rest))
		return error_usage(err,
			"'%.60s': no program is started: start it yourself, and pass the end of a "
			"pipe "
			"(getfd, then fd:NAME)",
			uri);
	if (str_has_prefix(uri, "tcp:", &rest) || str_has_prefix(uri, "rdma:", &rest))
		return error_usage(err,
			"'%.60s': no network is used: connect a unix:PATH through ssh or socat, or "
			"pass "
			"a connection (getfd, then fd:NAME)",
			uri);
	return error_usage(err,
		"Parameter 'uri' expects a valid migration protocol, not '%.60s': file:PATH, "
		"unix:PATH, fd:N",
		uri);
}

bool channel_open_save(struct channel *c, const char *uri, struct error *err)
{
	const char *rest;
	bool ok;

	channel_init(c);
	if (str_has_prefix(uri, "unix:", &rest))
		ok = unix_connect(c, rest, err);
	else if (str_has_prefix(uri, "fd:", &rest))
		ok = fd_open(c, rest, err);
	else if (is_path(uri, &rest) && *rest)
		ok = file_create(c, rest, err);
	else
		ok = bad_uri(uri, err);
	if (!ok)
		channel_close(c);
	return ok;
}

bool channel_open_load(struct channel *c, const char *uri, struct error *err)
{
	const char *rest;
	bool ok;

	channel_init(c);
	if (str_has_prefix(uri, "unix:", &rest)) {
		ok = unix_listen(c, rest, err);
	} else if (str_has_prefix(uri, "fd:", &rest)) {
		ok = fd_open(c, rest, err);
	} else if (is_path(uri, &rest) && *rest) {
		/* A FIFO waits for its writer in the job, not here on main. */
		c->fd = open(rest, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		ok = c->fd >= 0 || error_set_errno(err, errno, "cannot open '%s'", rest);
		if (ok)
			(void)!posix_fadvise(c->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	} else {
		ok = bad_uri(uri, err);
	}
	if (!ok)
		channel_close(c);
	return ok;
}
