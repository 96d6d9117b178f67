// SPDX-License-Identifier: GPL-2.0-or-later
#include "net/helper/forward.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include "base/str.h"

#define WORD_MAX 64

/* The next word up to a colon ([...] may hold colons); *@p goes behind it. False: too long, or not closed. */
static bool next_word(const char **p, char word[WORD_MAX])
{
	const char *from = *p, *end;
	bool bracket = *from == '[';

	if (bracket)
		from++;
	end = bracket ? strchr(from, ']') : from + strcspn(from, ":");
	if (!end || end - from >= WORD_MAX || (bracket && end[1] && end[1] != ':'))
		return false;
	memcpy(word, from, (size_t)(end - from));
	word[end - from] = 0;
	end += bracket;
	*p = *end ? end + 1 : end;
	return true;
}

static bool set_addr(struct sockaddr_storage *s, const char *addr, const char *port, socklen_t *len)
{
	struct sockaddr_in *in = (struct sockaddr_in *)s;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)s;
	uint64_t n;

	memset(s, 0, sizeof(*s));
	if (!str_parse_u64(port, &n) || !n || n > 65535)
		return false;
	if (inet_pton(AF_INET, addr, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)n);
		*len = sizeof(*in);
		return true;
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((uint16_t)n);
	*len = sizeof(*in6);
	return inet_pton(AF_INET6, addr, &in6->sin6_addr) == 1;
}

static bool parse(const char *text, bool host_only, struct forward *f)
{
	char host[WORD_MAX], port[WORD_MAX], a[WORD_MAX], b[WORD_MAX];
	const char *p = text;
	socklen_t len;

	f->udp = str_has_prefix(text, "udp:", &p);
	if (!f->udp && !str_has_prefix(text, "tcp:", &p))
		return false;
	if (!next_word(&p, host) || !next_word(&p, port) ||
		!set_addr(&f->host, *host ? host : "127.0.0.1", port, &f->len))
		return false;
	if (!*p)
		return host_only;
	if (!next_word(&p, a))
		return false;
	if (!*p) /* a port alone */
		return f->host.ss_family == AF_INET && set_addr(&f->guest, "0.0.0.0", a, &len);
	return next_word(&p, b) && !*p && set_addr(&f->guest, a, b, &len) && len == f->len;
}

bool forward_parse(const char *text, bool host_only, struct forward *f, struct error *err)
{
	memset(f, 0, sizeof(*f));
	return parse(text, host_only, f) ||
	       error_usage(err,
		       "bad forward '%s': tcp:[ADDR]:PORT:[GUESTADDR:]GUESTPORT or udp:... is "
		       "wanted, with "
		       "numeric addresses of one kind, IPv6 in brackets and with its GUESTADDR",
		       text);
}
