// SPDX-License-Identifier: GPL-2.0-or-later
/* qmp_fd - descriptors that clients have passed: by name (getfd), and in numbered sets (add-fd). */
#include "control/qmp_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "control/qmp_int.h"

/* -------- by name -------- */

static struct named_fd *named_find(struct qmp *q, const char *name)
{
	struct named_fd *n;

	vec_for_each (n, &q->named_fds) {
		if (!strcmp(n->name, name))
			return n;
	}
	return NULL;
}

static void named_remove(struct qmp *q, struct named_fd *n)
{
	free(n->name);
	vec_remove(&q->named_fds, (size_t)(n - q->named_fds.data));
}

bool qmp_fd_name(struct qmp *q, const char *name, int fd, struct error *err)
{
	struct named_fd *n = named_find(q, name);
	AUTO_FD int mine = fd;
	char *copy;

	if (n) {
		close(n->fd);
		n->fd = TAKE_FD(mine);
		return true;
	}
	if (q->named_fds.len >= QMP_NAMED_FDS_MAX)
		return error_set(
			err, "%u descriptors are held: closefd some first", QMP_NAMED_FDS_MAX);
	copy = strdup(name);
	if (!copy || !vec_push(&q->named_fds, ((struct named_fd){ copy, mine }))) {
		free(copy);
		return error_set(err, "out of memory");
	}
	mine = -1;
	return true;
}

int qmp_named_fd_take(struct qmp *q, const char *name, struct error *err)
{
	struct named_fd *n = named_find(q, name);
	int fd;

	if (!n) {
		error_set(err, "no descriptor is named '%s' (getfd names one)", name);
		return -1;
	}
	fd = n->fd;
	named_remove(q, n);
	return fd;
}

/* -------- sets -------- */

static bool set_exists(const struct qmp *q, uint64_t set)
{
	struct fdset_fd *f;

	vec_for_each (f, &q->fdsets) {
		if (f->set == set)
			return true;
	}
	return false;
}

bool qmp_fdset_add(struct qmp *q, int64_t *set, const char *opaque, int fd, struct error *err)
{
	AUTO_FREE char *copy = opaque ? strdup(opaque) : NULL;
	AUTO_FD int mine = fd;

	if (q->fdsets.len >= QMP_NAMED_FDS_MAX)
		return error_set(
			err, "%u descriptors are held: remove-fd some first", QMP_NAMED_FDS_MAX);
	for (uint64_t free_set = 0; *set < 0; free_set++) {
		if (!set_exists(q, free_set))
			*set = (int64_t)free_set;
	}
	if ((opaque && !copy) ||
		!vec_push(&q->fdsets, ((struct fdset_fd){ (uint64_t)*set, mine, copy })))
		return error_set(err, "out of memory");
	mine = -1;
	copy = NULL;
	return true;
}

bool qmp_fdset_remove(struct qmp *q, uint64_t set, int64_t fd)
{
	bool any = false;

	for (size_t i = q->fdsets.len; i-- > 0;) {
		struct fdset_fd *f = &q->fdsets.data[i];

		if (f->set != set || (fd >= 0 && f->fd != fd))
			continue;
		close(f->fd);
		free(f->opaque);
		vec_remove(&q->fdsets, i);
		any = true;
	}
	return any;
}

int qmp_fdset_dup(struct qmp *q, uint64_t set, int flags, struct error *err)
{
	struct fdset_fd *f;

	vec_for_each (f, &q->fdsets) {
		int have = f->set == set ? fcntl(f->fd, F_GETFL) : -1, fd;

		if (have < 0 || (have & O_ACCMODE) != (flags & O_ACCMODE))
			continue;
		fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			error_set_errno(err, errno, "fdset %llu", (unsigned long long)set);
		return fd;
	}
	error_set(err, "fdset %llu holds no descriptor that is open for %s",
		(unsigned long long)set,
		(flags & O_ACCMODE) == O_RDONLY	  ? "reading only"
		: (flags & O_ACCMODE) == O_WRONLY ? "writing only"
						  : "reading and writing");
	return -1;
}

size_t qmp_fdset_at(struct qmp *q, size_t i, uint64_t *set, int *fd, const char **opaque)
{
	if (i < q->fdsets.len) {
		*set = q->fdsets.data[i].set;
		*fd = q->fdsets.data[i].fd;
		*opaque = q->fdsets.data[i].opaque;
	}
	return q->fdsets.len;
}

void fds_fini(struct qmp *q)
{
	struct named_fd *n;
	struct fdset_fd *f;

	vec_for_each (n, &q->named_fds) {
		close(n->fd);
		free(n->name);
	}
	vec_for_each (f, &q->fdsets) {
		close(f->fd);
		free(f->opaque);
	}
	vec_fini(&q->named_fds);
	vec_fini(&q->fdsets);
}
