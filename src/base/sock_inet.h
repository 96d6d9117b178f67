// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sock_inet - sockets of the network, and their addresses as users write them. Numeric only: lodge is linked
 * statically, and a resolver is not to be had that way. IPv4 and IPv6 alike.
 */
#ifndef BASE_SOCK_INET_H
#define BASE_SOCK_INET_H

#include <stdint.h>
#include <sys/socket.h>
#include "base/error.h"
#include "base/str.h"

/* An address with a port, ready for bind() and connect(). */
struct sock_inet {
	struct sockaddr_storage a;
	socklen_t len;
};

/* @host numeric, without brackets; "" and "localhost" are 127.0.0.1. False, a usage error: it is no address. */
bool sock_inet_set(
	struct sock_inet *s, const char *host, uint16_t port, struct error *err) MUST_USE;
/* `ADDR:PORT`, `[ADDR6]:PORT` or `:PORT` (127.0.0.1). @min_port: 1, or 0 where that stands for any free one. */
bool sock_inet_parse(
	struct sock_inet *s, const char *text, uint16_t min_port, struct error *err) MUST_USE;
uint16_t sock_inet_port(const struct sock_inet *s);
void sock_inet_set_port(struct sock_inet *s, uint16_t port);
/* Append `ADDR:PORT`, IPv6 in brackets. False, nothing is appended: the address is of another family. */
bool sock_inet_text(const struct sockaddr_storage *a, struct str *out);

/* socket(2), close-on-exec. -1: @err says what helps where it is the confinement that forbids it. */
int sock_new(int family, int type, struct error *err) MUST_USE;
/* Bind @fd. What is in use is asked for again for a while (patience.h). The error names the address. */
bool sock_inet_bind(int fd, const struct sock_inet *s, struct error *err) MUST_USE;
/* A stream socket, not blocking and close-on-exec, that listens there for one client at a time; @only6: an IPv6
 * one takes no IPv4 clients. The descriptor, the caller's, or -1. */
int sock_inet_listen(const struct sock_inet *s, bool only6, struct error *err) MUST_USE;
/* A connected stream socket, not blocking and close-on-exec, or -1; who does not answer within @timeout_ms is
 * not there. */
int sock_inet_connect(const struct sock_inet *s, int timeout_ms, struct error *err) MUST_USE;

#endif
