// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/removal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/vec.h"

struct removal {
	struct removal_dir *dir;
	char *name; /* in it */
	dev_t dev;
	ino_t ino;
	bool folder;
};

static VEC(struct removal_dir *) dirs;

static struct removal_dir *new_dir(const char *path)
{
	struct removal_dir *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->path = strdup(path);
	d->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (d->path && d->fd >= 0 && vec_push(&dirs, d))
		return d;
	if (d->fd >= 0)
		close(d->fd);
	free(d->path);
	free(d);
	return NULL;
}

static struct removal_dir *find_dir(const char *path)
{
	struct removal_dir **d;

	vec_for_each (d, &dirs) {
		if (!strcmp((*d)->path, path))
			return *d;
	}
	return new_dir(path);
}

static void put_dir(struct removal_dir *d)
{
	if (!d || d->in_use)
		return;
	for (size_t i = 0; i < dirs.len; i++) {
		if (dirs.data[i] == d) {
			vec_remove(&dirs, i);
			break;
		}
	}
	if (!dirs.len)
		vec_fini(&dirs);
	close(d->fd);
	free(d->path);
	free(d);
}

static struct removal *note(struct removal_dir *dir, const char *name)
{
	struct removal *r = calloc(1, sizeof(*r));
	struct stat st;

	if (r && !fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) && (r->name = strdup(name))) {
		r->dir = dir;
		r->dev = st.st_dev;
		r->ino = st.st_ino;
		r->folder = S_ISDIR(st.st_mode);
		return r;
	}
	free(r);
	return NULL;
}

struct removal *removal_expect(const char *path)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *parent = !slash		 ? strdup(".")
				 : slash == path ? strdup("/")
						 : strndup(path, (size_t)(slash - path));
	struct removal_dir *dir = parent ? find_dir(parent) : NULL;
	struct removal *r = dir ? note(dir, slash ? slash + 1 : path) : NULL;

	if (!r) {
		put_dir(dir);
		return NULL;
	}
	dir->in_use++;
	dir->files |= !r->folder;
	dir->folders |= r->folder;
	return r;
}

static bool is_there(const struct removal *r, struct stat *st)
{
	return !fstatat(r->dir->fd, r->name, st, AT_SYMLINK_NOFOLLOW) && st->st_dev == r->dev &&
	       st->st_ino == r->ino;
}

bool removal_is_private(const struct removal *r)
{
	struct stat st;

	return r && is_there(r, &st) && st.st_uid == geteuid() && !(st.st_mode & 022);
}

void removal_do(struct removal *r)
{
	struct stat st;

	if (!r)
		return;
	if (is_there(r, &st))
		(void)!unlinkat(r->dir->fd, r->name, r->folder ? AT_REMOVEDIR : 0);
	r->dir->in_use--;
	put_dir(r->dir);
	free(r->name);
	free(r);
}

struct removal_dir *removal_dir(size_t i)
{
	return i < dirs.len ? dirs.data[i] : NULL;
}
