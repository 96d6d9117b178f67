// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sock_file - Unix sockets that have a name in the file system. A server's is made with mode 0600, takes the
 * place of one whose owner is gone, never of a live one or of another file, and is removed at the end
 * only if it is still the one that was made (removal.h): main only.
 */
#ifndef BASE_SOCK_FILE_H
#define BASE_SOCK_FILE_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include "base/error.h"
#include "base/removal.h"

/* @path as an address. False, a usage error: it is empty, or longer than an address can hold. */
bool sock_address(struct sockaddr_un *a, const char *path, struct error *err) MUST_USE;
/* A socket of @type (SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET, with or without SOCK_NONBLOCK; always
 * close-on-exec) bound at @path, and listening if it can listen, with room for @backlog clients that wait.
 * The descriptor, the caller's, and *@file for removal_do(), after it has closed the socket; -1: @err says
 * why, nothing is left behind. */
int sock_file_make(
	struct removal **file, const char *path, int type, int backlog, struct error *err) MUST_USE;
/* Connect to the stream socket at @path; @flags: SOCK_NONBLOCK or 0. The descriptor (close-on-exec), or -errno. */
int sock_connect(const char *path, int flags);

#endif
