// SPDX-License-Identifier: GPL-2.0-or-later
/* Socket addresses as users write them: of the network, or a path. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "base/sock_file.h"
#include "base/sock_inet.h"
#include "base/str.h"
#include "net/net_int.h"

static bool unix_addr(
	const char *path, struct sockaddr_storage *out, socklen_t *len, struct error *err)
{
	*len = sizeof(struct sockaddr_un);
	return sock_address((struct sockaddr_un *)out, path, err);
}

bool net_addr_parse(
	const char *text, struct sockaddr_storage *out, socklen_t *len, struct error *err)
{
	struct error why = ERROR_INIT;
	struct sock_inet inet;
	const char *path;

	memset(out, 0, sizeof(*out));
	if (str_has_prefix(text, "unix:", &path))
		return unix_addr(path, out, len, err);
	if (str_has_prefix(text, "tcp:", &path) || str_has_prefix(text, "udp:", &path))
		text = path;
	if (!sock_inet_parse(&inet, text, 1, &why))
		return error_usage(err,
			"bad address '%s': ADDR:PORT with a numeric address, [ADDR6]:PORT or "
			"unix:PATH is wanted",
			text);
	*out = inet.a;
	*len = inet.len;
	return true;
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
	socklen_t len = sizeof(a);
	AUTO(str) inet = STR_INIT;

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
	if (sock_inet_text(&a, &inet))
		snprintf(text, NET_ADDR_TEXT_MAX, "%s", str_cstr(&inet));
	else
		unix_text((const struct sockaddr_un *)&a, len, text);
}
