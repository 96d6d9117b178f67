/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * landlock - rules on paths and the network that a process gives itself (Linux,
 * Documentation/userspace-api/landlock.rst); private to sandbox/. All functions: a value >= 0, or
 * -errno.
 */
#ifndef SANDBOX_LANDLOCK_H
#define SANDBOX_LANDLOCK_H

#include <stdint.h>
#include "sandbox/sandbox.h"

/* The version of the interface; -ENOSYS, -EOPNOTSUPP: none. */
int landlock_abi(void);
/* A descriptor of rules that allow nothing of what this kernel can forbid; TCP is not meant unless @tcp. */
int landlock_new(bool tcp);
/* Connect by TCP to @port, of any host. */
int landlock_allow_connect(int ruleset, uint16_t port);
int landlock_allow(int ruleset, const char *path, enum sandbox_access access);
/* Remove files or empty folders in the folder @dir, a descriptor; what is beneath it is meant, too. */
int landlock_allow_removal(int ruleset, int dir, bool files, bool folders);
/* The calling thread, which must have no_new_privs, and those that it makes. */
int landlock_restrict(int ruleset);

#endif
