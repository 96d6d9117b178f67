/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * connector - a process that connects to one address whenever it is asked to, and hands the connection over: for
 * back ends that connect anew while a VM runs, which may not make sockets itself. It is a copy of our process made
 * before guest memory is, knows nothing but the address, and is confined itself.
 *
 * Made and freed on main; the rest on any one thread.
 */
#ifndef SANDBOX_CONNECTOR_H
#define SANDBOX_CONNECTOR_H

#include <sys/socket.h>
#include "base/error.h"

struct connector;

/* NULL: in a confined process, too, as it makes none. */
struct connector *connector_new(
	const struct sockaddr *addr, socklen_t len, struct error *err) MUST_USE;
void connector_free(struct connector *c);
/* Becomes readable when connector_take() has something to tell. */
int connector_fd(const struct connector *c);
/* Connect, please. Nothing happens while an answer is awaited. 0 or -errno: the process is gone. */
int connector_ask(struct connector *c);
/* A connected stream socket, non-blocking, the caller's; -EAGAIN: not yet; or why there is none
 * (connect(2)), which ends what was asked; -EPIPE: the process is gone. */
int connector_take(struct connector *c);

#endif
