/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * removal - files that the process has made and unlinks when it ends (sockets, its pid file, its
 * directory): noted where they are made, so that the sandbox leaves their removal open. They are
 * reached through descriptors of their directories, so no path need lead there any more. Main only.
 */
#ifndef BASE_REMOVAL_H
#define BASE_REMOVAL_H

#include <stdbool.h>
#include <stddef.h>

struct removal;

/* A directory of such files, once for all of them. The sandbox may put another descriptor of the same
 * directory in the place of ->fd. */
struct removal_dir {
	int fd;	       /* O_PATH, owned */
	char *path;    /* as it was given */
	bool files;    /* files will be removed from it, */
	bool folders;  /* empty directories */
	size_t in_use; /* removals that are noted */
};

/* Note what is at @path now, a file or an empty directory. NULL: it will stay (nothing is there, or out
 * of memory or descriptors). */
struct removal *removal_expect(const char *path);
/* Remove it, if it is still the one that was there, and forget it. NULL is fine. */
void removal_do(struct removal *r);

/* It is still the one that was there, ours, and its mode lets nobody else write (or connect). */
bool removal_is_private(const struct removal *r);

/* The @i-th directory of what is noted, or NULL: there are no more. */
struct removal_dir *removal_dir(size_t i);

#endif
