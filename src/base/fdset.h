// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fdset - /dev/fdset/N in place of a path: a descriptor of set N, which somebody else has been given (QMP's
 * add-fd). So a confined process can be handed files while it runs. Main only.
 */
#ifndef BASE_FDSET_H
#define BASE_FDSET_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

bool fdset_is_path(const char *path);
/* A duplicate, the caller's, of a descriptor of the set that @path names and that was opened with the access
 * mode of @flags; O_DIRECT is set on it, and so on the set's own, as they are one open file. -1 and @err. */
int fdset_open(const char *path, int flags, struct error *err) MUST_USE;
/* Who keeps the sets: @dup as fdset_open(); NULL: nobody any more. */
void fdset_provide(
	int (*dup)(void *opaque, uint64_t set, int flags, struct error *err), void *opaque);

#endif
