/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * namespaces - a mount namespace with nothing in it, a network namespace without a network; private to
 * sandbox/. Root makes them as it is, others in a user namespace of their own, where
 * they are who they were.
 *
 * A namespace is a thread's own in Linux: main makes them, threads that are older than they join; later
 * ones have them from their makers.
 */
#ifndef SANDBOX_NAMESPACES_H
#define SANDBOX_NAMESPACES_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

/* In a user namespace all users but oneself are this one (so it cannot be told from strangers there). */
#define UID_UNKNOWN 65534

/* A path that stays. */
struct kept_path {
	char *given, *real; /* owned; absolute */
};

/* Whoever has no capability at all goes into a user namespace, to have there what namespaces_make()
 * wants. The process is single-threaded. 0; -EPERM and others: not here, and nothing has changed. */
int namespaces_user(void);
/* Start with what takes long; namespaces_make() goes on with it, namespaces_forget() drops it. */
void namespaces_begin(void);
void namespaces_forget(void);
/* namespaces_user() has done so. */
bool namespaces_have_user(void);
/* Make the namespaces, put @keep into the new root, and the directories of base/removal.h out of it. Main,
 * before capabilities are dropped. False: an error. That a host does not let us have some or all of them
 * is none: namespaces_made() tells. */
bool namespaces_make(const struct kept_path *keep, size_t n, struct error *err) MUST_USE;
/* An older thread: 0 or -errno. */
int namespaces_join(void);
/* In words, or NULL: none. */
const char *namespaces_made(void);
/* Can this user have them on this host? In a child, nothing changes here. */
bool namespaces_possible(void);

#endif
