// SPDX-License-Identifier: GPL-2.0-or-later
#include "net/helper/options.h"

#include <arpa/inet.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "base/types.h"

#define SEARCH_MAX 32

struct options {
	char *net, *net6, *host, *host6, *dhcpstart, *dns, *dns6, *hostname, *domain, *search;
	bool restricted, ipv4, ipv6;
};

static void read_options(char *text, struct options *o)
{
	const struct {
		const char *key;
		char **text;
		bool *flag;
	} known[] = {
		{ "net=", &o->net, NULL },
		{ "net6=", &o->net6, NULL },
		{ "host=", &o->host, NULL },
		{ "host6=", &o->host6, NULL },
		{ "dhcpstart=", &o->dhcpstart, NULL },
		{ "dns=", &o->dns, NULL },
		{ "dns6=", &o->dns6, NULL },
		{ "dnssearch=", &o->search, NULL },
		{ "hostname=", &o->hostname, NULL },
		{ "domain=", &o->domain, NULL },
		{ "restrict=", NULL, &o->restricted },
		{ "ipv4=", NULL, &o->ipv4 },
		{ "ipv6=", NULL, &o->ipv6 },
	};

	for (; *text; text += strlen(text) + 1) {
		for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
			const char *v;

			if (!str_has_prefix(text, known[i].key, &v))
				continue;
			if (known[i].flag)
				*known[i].flag = !strcmp(v, "on");
			else
				*known[i].text = *v ? text + (v - text) : NULL;
		}
	}
}

/* "10.0.2.0/24": split off the length of the prefix. */
static bool prefix_length(char *text, uint64_t min, uint64_t max, uint64_t *bits)
{
	char *slash = strchr(text, '/');

	if (!slash || !str_parse_u64(slash + 1, bits) || *bits < min || *bits > max)
		return false;
	*slash = 0;
	return true;
}

/* The address @text, if there is one, to @out: one of the IPv4 network's. */
static bool put_in_network(const SlirpConfig *c, const char *key, const char *text,
	struct in_addr *out, const struct options *o, struct error *err)
{
	uint32_t host_bits = ~c->vnetmask.s_addr, own;

	if (!text)
		return true;
	if (inet_pton(AF_INET, text, out) != 1)
		out->s_addr = 0;
	own = out->s_addr & host_bits;
	if ((out->s_addr & c->vnetmask.s_addr) == c->vnetwork.s_addr && own && own != host_bits)
		return true;
	return error_usage(
		err, "bad value '%s' for '%s': an address in net=%s is wanted", text, key, o->net);
}

static bool put_in_network6(const SlirpConfig *c, const char *key, const char *text,
	struct in6_addr *out, const struct options *o, struct error *err)
{
	if (!text || (inet_pton(AF_INET6, text, out) == 1 && !memcmp(out, &c->vprefix_addr6, 8)))
		return true;
	return error_usage(err, "bad value '%s' for '%s': an address in net6=%s is wanted", text,
		key, o->net6);
}

static bool config_ipv4(SlirpConfig *c, struct options *o, struct error *err)
{
	AUTO_FREE char *text = o->net ? strdup(o->net) : NULL;
	uint64_t bits;
	uint32_t net;

	if (!text || !prefix_length(text, 8, 27, &bits) ||
		inet_pton(AF_INET, text, &c->vnetwork) != 1)
		return error_usage(err,
			"bad value '%s' for 'net': ADDR/BITS is wanted, BITS 8 to 27",
			o->net ?: "");
	c->vnetmask.s_addr = htonl(UINT32_MAX << (32 - bits));
	c->vnetwork.s_addr &= c->vnetmask.s_addr;
	net = ntohl(c->vnetwork.s_addr);
	c->vhost.s_addr = htonl(net + 2);
	c->vnameserver.s_addr = htonl(net + 3);
	c->vdhcp_start.s_addr = htonl(net + 15);
	if (!put_in_network(c, "host", o->host, &c->vhost, o, err) ||
		!put_in_network(c, "dns", o->dns, &c->vnameserver, o, err) ||
		!put_in_network(c, "dhcpstart", o->dhcpstart, &c->vdhcp_start, o, err))
		return false;
	if (c->vhost.s_addr == c->vnameserver.s_addr)
		return error_usage(err,
			"bad value '%s' for 'dns': the host has that address (host=, or .2)",
			o->dns ?: ".3");
	/* libslirp gives 16 addresses from there on. */
	if (c->vdhcp_start.s_addr == c->vhost.s_addr ||
		c->vdhcp_start.s_addr == c->vnameserver.s_addr)
		return error_usage(err,
			"bad value '%s' for 'dhcpstart': the host or the DNS server has that "
			"address",
			o->dhcpstart ?: ".15");
	return true;
}

static bool config_ipv6(SlirpConfig *c, struct options *o, struct error *err)
{
	AUTO_FREE char *text = o->net6 ? strdup(o->net6) : NULL;
	uint64_t bits;

	if (!text || !prefix_length(text, 64, 64, &bits) ||
		inet_pton(AF_INET6, text, &c->vprefix_addr6) != 1)
		return error_usage(err,
			"bad value '%s' for 'net6': PREFIX/64 is wanted, as fec0::/64",
			o->net6 ?: "");
	memset(c->vprefix_addr6.s6_addr + 8, 0, 8);
	c->vprefix_len = 64;
	c->vhost6 = c->vnameserver6 = c->vprefix_addr6;
	c->vhost6.s6_addr[15] = 2;
	c->vnameserver6.s6_addr[15] = 3;
	if (!put_in_network6(c, "host6", o->host6, &c->vhost6, o, err) ||
		!put_in_network6(c, "dns6", o->dns6, &c->vnameserver6, o, err))
		return false;
	return memcmp(&c->vhost6, &c->vnameserver6, 16) ||
	       error_usage(err, "bad value '%s' for 'dns6': the host has that address",
		       o->dns6 ?: "::3");
}

/* Words with blanks between; what is more than @out takes is left away. */
static void split(char *text, const char *out[SEARCH_MAX + 1])
{
	char *rest = text;

	for (int i = 0; rest && i < SEARCH_MAX; i++)
		out[i] = strsep(&rest, " ");
}

bool options_read(char *text, SlirpConfig *c, struct error *err)
{
	static const char *search[SEARCH_MAX + 1];
	struct options o = { 0 };

	read_options(text, &o);
	c->restricted = o.restricted;
	c->in_enabled = o.ipv4;
	c->in6_enabled = o.ipv6;
	c->vhostname = o.hostname;
	c->vdomainname = o.domain;
	split(o.search, search);
	c->vdnssearch = o.search ? search : NULL;
	return config_ipv4(c, &o, err) && config_ipv6(c, &o, err);
}
