// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * listen - a Unix socket that serves many clients: made 0600 in the file system (a dead one in its
 * place is replaced, a live one is not), or inherited. Only the process's own user and root may
 * connect. Lives on one loop.
 */
#ifndef CONTROL_LISTEN_H
#define CONTROL_LISTEN_H

#include "base/error.h"
#include "loop/loop.h"

struct listen_sock;

/* @accepted is called with each new connection, non-blocking; it owns @fd. */
struct listen_sock *listen_unix(struct loop *l, const char *path,
	void (*accepted)(void *opaque, int fd), void *opaque, struct error *err) MUST_USE;
/* A listening descriptor of somebody else's; taken over, also on failure. */
struct listen_sock *listen_fd(struct loop *l, int fd, void (*accepted)(void *opaque, int fd),
	void *opaque, struct error *err) MUST_USE;
/* Removes the socket file if it is still ours. NULL is fine. */
void listen_free(struct listen_sock *s);
/* From now on, all users but ourselves are seen as @uid, root too (in a user namespace): such a client is
 * allowed where only root could pass the mode of the socket's file. */
void listen_set_unknown_uid(uid_t uid);

#endif
