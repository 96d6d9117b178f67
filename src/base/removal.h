// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * removal - paths that the process will unlink when it ends (sockets that it made, its pid file): noted
 * where they are made, so that the sandbox leaves their removal open. Main only.
 */
#ifndef BASE_REMOVAL_H
#define BASE_REMOVAL_H

#include <stddef.h>

/* Out of memory is silent: the file stays behind then. */
void removal_expect(const char *path);
/* The @i-th path noted, or NULL: there are no more. */
const char *removal_path(size_t i);

#endif
