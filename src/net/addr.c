// SPDX-License-Identifier: GPL-2.0-or-later
/* Socket addresses as users write them. Numeric only: lodge is linked statically, and a resolver is
 * not to be had that way. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "base/sock_file.h"
#include "base/str.h"
#include "base/types.h"
#include "net/net_int.h"

static bool unix_addr(
	const char *path, struct sockaddr_storage *out, socklen_t *len, struct error *err)
{
	*len = sizeof(struct sockaddr_un);
	return sock_address((struct sockaddr_un *)out, path, err);
}

static bool inet_addr_parse(
	const char *host, uint16_t port, struct sockaddr_storage *out, socklen_t *len)
{
	struct sockaddr_in *in = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	if (!*host || !strcmp(host, "localhost"))
		host = "127.0.0.1";
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		*len = sizeof(*in);
		return true;
	}
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		*len = sizeof(*in6);
		return true;
	}
	return false;
}

bool net_addr_parse(
	const char *text, struct sockaddr_storage *out, socklen_t *len, struct error *err)
{
	const char *colon = strrchr(text, ':'), *path;
	char host[64];
	uint64_t port;
	size_t n;

	memset(out, 0, sizeof(*out));
	if (str_has_prefix(text, "unix:", &path))
		return unix_addr(path, out, len, err);
	if (str_has_prefix(text, "tcp:", &path) || str_has_prefix(text, "udp:", &path))
		text = path;
	n = colon && colon >= text ? (size_t)(colon - text) : sizeof(host);
	if (n < sizeof(host) && str_parse_u64(colon + 1, &port) && port && port <= 65535) {
		memcpy(host, text, n);
		host[n] = 0;
		if (host[0] == '[' && host[n - 1] == ']') {
			host[n - 1] = 0;
			memmove(host, host + 1, n - 1);
		}
		if (inet_addr_parse(host, (uint16_t)port, out, len))
			return true;
	}
	return error_usage(err,
		"bad address '%s': ADDR:PORT with a numeric address, [ADDR6]:PORT or unix:PATH is "
		"wanted",
		text);
}

static void unix_text(const struct sockaddr_un *a, socklen_t len, char text[NET_ADDR_TEXT_MAX])
{
	size_t max = len > offsetof(struct sockaddr_un, sun_path)
			     ? len - offsetof(struct sockaddr_un, sun_path)
			     : 0;

	snprintf(text, NET_ADDR_TEXT_MAX, "unix:%.*s", (int)strnlen(a->sun_path, max), a->sun_path);
}

void net_addr_of_peer(int fd, char text[NET_ADDR_TEXT_MAX])
{
	struct sockaddr_storage a = { 0 };
	const struct sockaddr_in *in = (const struct sockaddr_in *)&a;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a;
	socklen_t len = sizeof(a);
	char host[INET6_ADDRSTRLEN] = "";

	if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		len = 0;
	if (a.ss_family == AF_UNIX)
		unix_text((const struct sockaddr_un *)&a, len, text);
	if (a.ss_family == AF_UNIX && strcmp(text, "unix:"))
		return;
	memset(&a, 0, sizeof(a));
	len = sizeof(a);
	if (getpeername(fd, (struct sockaddr *)&a, &len) < 0)
		len = 0;
	if (a.ss_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(text, NET_ADDR_TEXT_MAX, "%s:%u", host, ntohs(in->sin_port));
	} else if (a.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(text, NET_ADDR_TEXT_MAX, "[%s]:%u", host, ntohs(in6->sin6_port));
	} else {
		unix_text((const struct sockaddr_un *)&a, len, text);
	}
}
