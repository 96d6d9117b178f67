// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/patience.h"
#include "base/removal.h"
#include "base/types.h"

#define LOCK	 "lock"
#define NAME_LEN 63
#define TRIES	 16 /* another process may remove what we are about to take */

struct rundir {
	char *path;			 /* owned */
	int lock;			 /* owned, locked */
	bool used;			 /* the directory was there: something may be left in it */
	struct removal *lock_file, *dir; /* what rundir_release() removes */
};

bool rundir_name_possible(const char *name)
{
	if (!*name || *name == '.' || *name == '-' || strlen(name) > NAME_LEN)
		return false;
	for (; *name; name++) {
		if (*name == '/' || (unsigned char)*name <= ' ' || *name == 0x7f)
			return false;
	}
	return true;
}

/* A directory that is there, is ours and nobody else's. */
static bool is_private(const char *path, struct error *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return error_set_errno(err, errno, "'%s'", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 022)
		return error_set(err,
			"'%s' is not a directory of ours alone: remove it, or set "
			"XDG_RUNTIME_DIR to a directory of your own",
			path);
	return true;
}

static bool make_private(const char *path, struct error *err)
{
	if (!mkdir(path, 0700))
		return true;
	return errno == EEXIST ? is_private(path, err)
			       : error_set_errno(err, errno, "cannot make '%s'", path);
}

bool rundir_base(struct str *out, struct error *err)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	struct error why = ERROR_INIT;
	size_t start = out->len;

	/* Another user's (sudo keeps it) is none. */
	if (xdg && *xdg == '/' && is_private(xdg, &why))
		str_appendf(out, "%s/lodge", xdg);
	else if (!geteuid())
		str_append(out, "/run/lodge");
	else
		str_appendf(out, "/tmp/lodge-%u", (unsigned int)geteuid());
	if (out->failed)
		return error_set(err, "out of memory");
	return make_private(str_cstr(out) + start, err);
}

static int open_lock(const char *dir, int flags)
{
	AUTO_FREE char *path = str_printf("%s/" LOCK, dir);

	if (!path)
		return -ENOMEM;
	flags = open(path, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	return flags < 0 ? -errno : flags;
}

/* The lock file that we hold is still the one in the directory. */
static bool is_current(const char *dir, int lock)
{
	AUTO_FREE char *path = str_printf("%s/" LOCK, dir);
	struct stat a, b;

	return path && !fstat(lock, &a) && !lstat(path, &b) && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* 0: @lock is ours now (@take) or could be; else who asks comes too late. The lock is the open file's,
 * so it is gone when the process is; asking (F_OFD_GETLK) does not take it for an instant. */
static int try_lock(int lock, bool take)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (take)
		return fcntl(lock, F_OFD_SETLK, &l);
	return fcntl(lock, F_OFD_GETLK, &l) < 0 || l.l_type == F_UNLCK ? 0 : -1;
}

static pid_t read_pid(int lock)
{
	char text[24] = "";

	if (pread(lock, text, sizeof(text) - 1, 0) < 0)
		return 0;
	return (pid_t)strtol(text, NULL, 10);
}

static void remove_files(const char *dir)
{
	static const char *const files[] = { RUNDIR_CONTROL, RUNDIR_MONITOR, RUNDIR_METRICS,
		RUNDIR_CONSOLE };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		AUTO_FREE char *path = str_printf("%s/%s", dir, files[i]);

		if (path)
			unlink(path);
	}
}

/* Where the sandbox is, no path leads there any more. */
static void expect_removal(struct rundir *r)
{
	AUTO_FREE char *lock = str_printf("%s/" LOCK, r->path);

	if (lock)
		r->lock_file = removal_expect(lock);
	r->dir = removal_expect(r->path);
}

/* 1: taken, 0: try again, -1 and @err; -2: the same, but it is somebody's, perhaps for an instant. */
static int try_claim(struct rundir *r, const char *name, struct error *err)
{
	struct stat st;

	r->used = mkdir(r->path, 0700) < 0;
	if (r->used && errno != EEXIST && errno != ENOENT) {
		error_set_errno(err, errno,
			"cannot make '%s' (XDG_RUNTIME_DIR can name a directory that can be "
			"written)",
			r->path);
		return -1;
	}
	if (r->used && !make_private(r->path, err))
		return access(r->path, F_OK) < 0 ? 0 : -1;
	r->lock = open_lock(r->path, O_CREAT);
	if (r->lock == -ENOENT)
		return 0;
	if (r->lock < 0) {
		error_set_errno(err, r->lock, "cannot make '%s/" LOCK "'", r->path);
		return -1;
	}
	if (fstat(r->lock, &st) < 0 || !S_ISREG(st.st_mode)) {
		error_set(err, "'%s/" LOCK "' is not a regular file: remove it", r->path);
		return -1;
	}
	if (try_lock(r->lock, true)) {
		error_set(err,
			"a virtual machine named '%s' runs already (process %d): choose "
			"another --name",
			name, (int)read_pid(r->lock));
		return -2;
	}
	if (is_current(r->path, r->lock))
		return 1;
	close(r->lock);
	r->lock = -1;
	return 0;
}

/* How long to wait for a name that is taken: if its process is gone, until the kernel knows that, too; if not,
 * for rundir_clean(), which takes one for an instant. */
static unsigned int patience_with(int lock)
{
	pid_t pid = lock < 0 ? 0 : read_pid(lock);

	return pid > 0 && kill(pid, 0) < 0 && errno == ESRCH ? 10 * PATIENCE_MS
							     : 2 * PATIENCE_STEP_MS;
}

/* As try_claim(); 0: tried often enough. */
static int claim(struct rundir *r, const char *name, struct error *err)
{
	unsigned int tries = 0, waited = 0;

	for (;;) {
		int got = try_claim(r, name, err);

		if (got == 1 || got == -1 || (got == 0 && ++tries == TRIES) ||
			(got == -2 && !patience_wait_for(&waited, patience_with(r->lock))))
			return got;
		if (r->lock >= 0)
			close(r->lock);
		r->lock = -1;
	}
}

/* Clients must be able to name the sockets in it. */
static bool fits_sockets(const char *dir, struct error *err)
{
	size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof("/" RUNDIR_MONITOR);

	return strlen(dir) <= most || error_usage(err,
					      "'%s' is too long for sockets, by %zu bytes: choose "
					      "a shorter --name, or set "
					      "XDG_RUNTIME_DIR to a shorter path",
					      dir, strlen(dir) - most);
}

struct rundir *rundir_claim(const char *name, struct error *err)
{
	struct rundir *r = calloc(1, sizeof(*r));
	AUTO(str) base = STR_INIT;
	int got = 0;

	if (!r) {
		error_set(err, "out of memory");
		return NULL;
	}
	if (!rundir_base(&base, err)) {
		free(r);
		return NULL;
	}
	r->lock = -1;
	r->path = str_printf("%s/%s", str_cstr(&base), name);
	if (r->path && !fits_sockets(r->path, err)) {
		free(r->path);
		free(r);
		return NULL;
	}
	if (r->path)
		got = claim(r, name, err);
	if (got > 0) {
		if (r->used)
			remove_files(r->path);
		if ((!r->used || !ftruncate(r->lock, 0)) &&
			dprintf(r->lock, "%d\n", (int)getpid()) > 0) {
			expect_removal(r);
			return r;
		}
		error_set_errno(err, errno, "cannot write '%s/" LOCK "'", r->path);
	} else if (!got) {
		error_set(err, "cannot take the name '%s': something keeps removing '%s'", name,
			r->path ?: name);
	}
	if (r->lock >= 0)
		close(r->lock);
	free(r->path);
	free(r);
	return NULL;
}

static void remove_all(const struct rundir *r)
{
	AUTO_FREE char *lock = str_printf("%s/" LOCK, r->path);

	remove_files(r->path);
	if (lock)
		unlink(lock);
	rmdir(r->path);
}

void rundir_release(struct rundir *r)
{
	if (!r)
		return;
	/* The sockets were removed by who had made them. */
	removal_do(r->lock_file);
	removal_do(r->dir);
	close(r->lock); /* last: until here nobody else takes the name */
	free(r->path);
	free(r);
}

char *rundir_file(const struct rundir *r, const char *file)
{
	return str_printf("%s/%s", r->path, file);
}

void rundir_clean(const char *base, const char *name)
{
	struct rundir r = { .path = str_printf("%s/%s", base, name), .lock = -1 };

	if (r.path)
		r.lock = open_lock(r.path, 0);
	if (r.lock >= 0 && !try_lock(r.lock, true) && is_current(r.path, r.lock))
		remove_all(&r);
	if (r.lock >= 0)
		close(r.lock);
	free(r.path);
}

pid_t rundir_pid(const char *base, const char *name, int64_t *since)
{
	AUTO_FREE char *dir = str_printf("%s/%s", base, name);
	AUTO_FD int lock = dir ? open_lock(dir, 0) : -1;
	struct stat st;

	if (lock < 0 || fstat(lock, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	if (!try_lock(lock, false))
		return 0;
	if (since)
		*since = st.st_mtime;
	return read_pid(lock);
}
