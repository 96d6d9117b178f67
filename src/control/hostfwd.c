// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/hostfwd.h"

#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"

#define ALL_ADDRESSES "0.0.0.0"

/* The length of an address, brackets and all, that ends before ':'; -1: none does. */
static ptrdiff_t address_length(const char *text)
{
	const char *end = text[0] == '[' ? strchr(text, ']') : text;

	if (!end || (text[0] == '[' && end[1] != ':'))
		return -1;
	end += strcspn(end, ":");
	return *end ? end - text : -1;
}

static bool refuse(const char *text, const char *what, struct error *err)
{
	return error_usage(err,
		"Invalid host forwarding rule '%.100s' (%s; "
		"[tcp|udp]:[ADDR]:PORT-[GUESTADDR]:GUESTPORT is wanted)",
		text, what);
}

/* `[tcp|udp]:[ADDR]:PORT`, where PORT ends at @end; *@p goes there. */
static bool put_host(
	const char *text, const char *end, const char **p, struct str *out, struct error *err)
{
	const char *addr, *port;
	ptrdiff_t n;

	if (!str_has_prefix(text, "tcp:", &addr) && !str_has_prefix(text, "udp:", &addr) &&
		!str_has_prefix(text, ":", &addr))
		return refuse(text, "Bad protocol name", err);
	n = address_length(addr);
	if (n < 0)
		return refuse(text, "Bad host address", err);
	port = addr + n + 1;
	*p = port + strcspn(port, end);
	if (*p == port)
		return refuse(text, "Bad host port", err);
	str_appendf(out, "%s:", text[0] == 'u' ? "udp" : "tcp");
	str_append_mem(out, n ? addr : ALL_ADDRESSES, n ? (size_t)n : strlen(ALL_ADDRESSES));
	str_append(out, ":");
	str_append_mem(out, port, (size_t)(*p - port));
	return true;
}

char *hostfwd_spec(const char *text, bool guest, struct error *err)
{
	AUTO(str) out = STR_INIT;
	const char *p = text;
	ptrdiff_t n;

	if (!put_host(text, guest ? "-" : "", &p, &out, err))
		return NULL;
	if (guest) {
		n = *p ? address_length(p + 1) : -1;
		if (n < 0 || !p[1 + n + 1]) {
			refuse(text, *p ? "Bad guest address or port" : "Bad host port separator",
				err);
			return NULL;
		}
		str_append(&out, n ? "" : p + 1); /* a port alone: the first guest's */
		if (n)
			str_appendf(&out, ":%s", p + 1);
	}
	if (out.failed) {
		error_set(err, "out of memory");
		return NULL;
	}
	return str_take(&out);
}
