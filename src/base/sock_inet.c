// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/sock_inet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/patience.h"
#include "base/thread.h"

/* -------- addresses -------- */

static struct sockaddr_in *in4(const struct sockaddr_storage *a)
{
	return (struct sockaddr_in *)(uintptr_t)a;
}

static struct sockaddr_in6 *in6(const struct sockaddr_storage *a)
{
	return (struct sockaddr_in6 *)(uintptr_t)a;
}

static const struct sockaddr *any(const struct sock_inet *s)
{
	return (const struct sockaddr *)&s->a;
}

bool sock_inet_set(struct sock_inet *s, const char *host, uint16_t port, struct error *err)
{
	memset(s, 0, sizeof(*s));
	if (!*host || !strcmp(host, "localhost"))
		host = "127.0.0.1";
	if (inet_pton(AF_INET, host, &in4(&s->a)->sin_addr) == 1) {
		s->a.ss_family = AF_INET;
		s->len = sizeof(struct sockaddr_in);
	} else if (inet_pton(AF_INET6, host, &in6(&s->a)->sin6_addr) == 1) {
		s->a.ss_family = AF_INET6;
		s->len = sizeof(struct sockaddr_in6);
	} else {
		return error_usage(err,
			"'%.100s' is no numeric address (names are not looked up: `getent ahosts "
			"NAME` tells a host's)",
			host);
	}
	sock_inet_set_port(s, port);
	return true;
}

bool sock_inet_parse(struct sock_inet *s, const char *text, uint16_t min_port, struct error *err)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;
	char host[64];
	uint64_t port;

	if (!colon || n >= sizeof(host) || !str_parse_u64(colon + 1, &port) || port < min_port ||
		port > UINT16_MAX)
		return error_usage(err,
			"bad address '%.100s': ADDR:PORT with a numeric address, or [ADDR6]:PORT, "
			"is wanted; ports are %u..65535",
			text, min_port);
	memcpy(host, text, n);
	host[n] = 0;
	if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = 0;
		memmove(host, host + 1, n - 1);
	}
	return sock_inet_set(s, host, (uint16_t)port, err) ||
	       error_prefix(err, "bad address '%s'", text);
}

uint16_t sock_inet_port(const struct sock_inet *s)
{
	return ntohs(s->a.ss_family == AF_INET ? in4(&s->a)->sin_port : in6(&s->a)->sin6_port);
}

void sock_inet_set_port(struct sock_inet *s, uint16_t port)
{
	if (s->a.ss_family == AF_INET)
		in4(&s->a)->sin_port = htons(port);
	else
		in6(&s->a)->sin6_port = htons(port);
}

bool sock_inet_text(const struct sockaddr_storage *a, struct str *out)
{
	char host[INET6_ADDRSTRLEN];

	if (a->ss_family == AF_INET && inet_ntop(AF_INET, &in4(a)->sin_addr, host, sizeof(host)))
		str_appendf(out, "%s:%u", host, ntohs(in4(a)->sin_port));
	else if (a->ss_family == AF_INET6 &&
		 inet_ntop(AF_INET6, &in6(a)->sin6_addr, host, sizeof(host)))
		str_appendf(out, "[%s]:%u", host, ntohs(in6(a)->sin6_port));
	else
		return false;
	return true;
}

/* -------- sockets -------- */

int sock_new(int family, int type, struct error *err)
{
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	if (fd < 0 && errno == EACCES && thread_is_confined())
		error_set(err, "a confined machine makes no sockets: pass a descriptor (getfd), "
			       "give it at the start, or --sandbox off");
	else if (fd < 0)
		error_set_errno(err, errno, "cannot make a socket");
	return fd;
}

/* Returns false. */
static bool refused(const struct sock_inet *s, const char *what, const char *remedy, int error,
	struct error *err)
{
	AUTO(str) text = STR_INIT;

	sock_inet_text(&s->a, &text);
	return error_set_errno(err, error, "cannot %s %s%s", what, str_cstr(&text), remedy);
}

static const char *bind_remedy(int error)
{
	if (error == EADDRINUSE)
		return " (another process does: end it, or take another port)";
	return error == EADDRNOTAVAIL ? " (the address is not one of this host's)" : "";
}

bool sock_inet_bind(int fd, const struct sock_inet *s, struct error *err)
{
	unsigned int waited = 0;
	int error;

	do {
		error = bind(fd, any(s), s->len) < 0 ? errno : 0;
	} while (error == EADDRINUSE && patience_wait(&waited));
	return !error || refused(s, "use the address", bind_remedy(error), error, err);
}

int sock_inet_listen(const struct sock_inet *s, bool only6, struct error *err)
{
	AUTO_FD int fd = sock_new(s->a.ss_family, SOCK_STREAM | SOCK_NONBLOCK, err);
	int on = 1;

	if (fd < 0)
		return -1;
	/* Connections of an earlier one may still have the port for a minute. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (only6 && s->a.ss_family == AF_INET6 &&
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) {
		error_set_errno(err, errno, "IPv6 only");
		return -1;
	}
	if (!sock_inet_bind(fd, s, err))
		return -1;
	if (listen(fd, 1) < 0) {
		refused(s, "listen at", bind_remedy(errno), errno, err);
		return -1;
	}
	return TAKE_FD(fd);
}

/* The outcome of a connection that is under way: 0 or an errno. */
static int wait_connected(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int error = 0, r;

	do {
		r = poll(&p, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	if (r <= 0)
		return r ? errno : ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? errno : error;
}

int sock_inet_connect(const struct sock_inet *s, int timeout_ms, struct error *err)
{
	AUTO_FD int fd = sock_new(s->a.ss_family, SOCK_STREAM | SOCK_NONBLOCK, err);
	int error;

	if (fd < 0)
		return -1;
	error = connect(fd, any(s), s->len) < 0 ? errno : 0;
	if (error == EINPROGRESS)
		error = wait_connected(fd, timeout_ms);
	if (!error)
		return TAKE_FD(fd);
	refused(s, "connect to", error == ECONNREFUSED ? " (nobody listens there)" : "", error,
		err);
	return -1;
}
