// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/socket_addr.h"

#include <string.h>
#include "base/str.h"

enum { INET, UNIX };
static const char *const type_names[] = { "inet", "unix", NULL };

static const struct field inet_fields[] = {
	FIELD_STR(struct socket_addr_inet, host, "host", .flags = FF_GIVEN,
		.doc = "a numeric address"),
	FIELD_STR(struct socket_addr_inet, port, "port", .flags = FF_GIVEN),
	FIELD_BOOL(struct socket_addr_inet, ipv4, "ipv4", .flags = FF_OMIT_ZERO,
		.doc = "the address is one of IPv4"),
	FIELD_BOOL(struct socket_addr_inet, ipv6, "ipv6", .flags = FF_OMIT_ZERO,
		.doc = "it is one of IPv6"),
};
static const struct field_table inet = FIELD_TABLE("inet", struct socket_addr_inet, inet_fields);
static const struct field unix_fields[] = {
	FIELD_STR(struct socket_addr_unix, path, "path", .flags = FF_GIVEN,
		.doc = "the socket's path"),
};
const struct field_table socket_addr_unix_table = FIELD_TABLE(
	"unix", struct socket_addr_unix, unix_fields);
static const struct field_table *const arms[] = { &inet, &socket_addr_unix_table };
static const struct field fields[] = {
	FIELD_ENUM(struct socket_addr, type, "type", type_names, .flags = FF_GIVEN),
	FIELD_UNION(struct socket_addr, u, "", type, arms),
};
const struct field_table socket_addr_table = FIELD_TABLE(
	"SocketAddress", struct socket_addr, fields);

void socket_addr_cut(char *text, struct socket_addr *out)
{
	char *colon = strrchr(text, ':'), *end;
	const char *path;

	memset(out, 0, sizeof(*out));
	if (str_has_prefix(text, "unix:", &path)) {
		out->type = UNIX;
		out->u.unix_path.path = text + (path - text);
		return;
	}
	out->type = INET;
	out->u.inet.port = colon ? colon + 1 : text + strlen(text);
	if (colon)
		*colon = 0;
	out->u.inet.ipv6 = *text == '[';
	out->u.inet.ipv4 = !out->u.inet.ipv6;
	out->u.inet.host = text + out->u.inet.ipv6;
	end = strchr(text, ']');
	if (end)
		*end = 0;
}
