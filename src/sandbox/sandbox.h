// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sandbox - what is left to the process of a VM when its guest starts: no new privileges, no
 * capabilities, no paths but those it was given (Landlock, an empty mount namespace), no network, and
 * for each kind of thread the system calls of src/sandbox/calls (seccomp). docs/sandbox.md.
 *
 * Everything is a thread's own in Linux: sandbox_enter() confines main and all threads that there are;
 * those made afterwards confine themselves in thread_enter().
 *
 * A call that a thread may not make ends the VM, with a line that names thread and call.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/error.h"
#include "base/str.h"

/* What may still be done with a path. */
enum sandbox_access {
	SANDBOX_READ,  /* the file, or all that is beneath the folder */
	SANDBOX_WRITE, /* the same, and write, create, remove */
};

/* The rules of a process: made by sandbox_new(), used up by sandbox_enter(). Main. */
struct sandbox;

/* At the process's start, while it has one thread: who is not root goes into a user namespace (unless
 * @namespaces is false or the host refuses). NULL and ERROR_FAILED when this program or this kernel cannot
 * confine a VM: the message says what is missing, and `--sandbox off`. */
struct sandbox *sandbox_new(bool namespaces, struct error *err) MUST_USE;
/* Other users cannot be told from each other and from root since sandbox_new(): they all have this uid. -1:
 * they can. */
uid_t sandbox_unknown_uid(const struct sandbox *s);
void sandbox_free(struct sandbox *s);
/* Error: the path is not there. */
bool sandbox_allow(struct sandbox *s, const char *path, enum sandbox_access access,
	struct error *err) MUST_USE;
/* Sockets in the directory of @path can still be reached by their names, also if they come later. Process-wide,
 * before sandbox_enter(); nothing if there is no such directory. Main. False: no memory. */
bool sandbox_reach(const char *path) MUST_USE;
/* Confine main and, later, all others. What is noted in base/removal.h can still be removed. @on_violation, which must be async-signal-safe, runs before the
 * process ends for a call that was not allowed; NULL: nothing. Frees nothing. */
bool sandbox_enter(struct sandbox *s, void (*on_violation)(void), struct error *err) MUST_USE;

/* For `lodge info`: what this host and build have, in words. True: a VM can be confined. */
bool sandbox_describe(struct str *out);

#endif
