// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * netdev_add - a network as QEMU's clients describe it, put into the keys of --net. A confined machine makes no
 * sockets: then a network is a descriptor that came by getfd.
 *
 * QEMU's `stream` and `dgram` are `socket` here. A network's own keys that QEMU does not have are the same in both.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/types.h"
#include "control/hostfwd.h"
#include "control/qmp.h"
#include "control/socket_addr.h"
#include "machine/netdev.h"

#define STRINGS_MAX 256

static const char *const type_names[] = { "user", "tap", "socket", "stream", "dgram", NULL };
enum { TYPE_USER, TYPE_TAP, TYPE_SOCKET, TYPE_STREAM, TYPE_DGRAM };
static const char *const addr_names[] = { "inet", "unix", "fd", NULL };
enum { ADDR_INET, ADDR_UNIX, ADDR_FD };

/* -------- arguments -------- */

struct string {
	char *str;
};
struct strings {
	struct string *items;
	size_t len;
};
static const struct field string_fields[] = {
	FIELD_STR(struct string, str, "str", .flags = FF_GIVEN),
};
static const struct field_table string = FIELD_TABLE("String", struct string, string_fields);

struct inet {
	char *host, *port;
};
struct addr {
	int type;
	union {
		struct inet inet;
		struct socket_addr_unix unix_path;
		struct string fd;
	} u;
};
static const struct field inet_fields[] = {
	FIELD_STR(struct inet, host, "host", .flags = FF_GIVEN, .doc = "a numeric address"),
	FIELD_STR(struct inet, port, "port", .flags = FF_GIVEN),
};
static const struct field_table inet = FIELD_TABLE("inet", struct inet, inet_fields);
static const struct field_table *const addr_arms[] = { &inet, &socket_addr_unix_table, &string };
static const struct field addr_fields[] = {
	FIELD_ENUM(struct addr, type, "type", addr_names, .flags = FF_GIVEN),
	FIELD_UNION(struct addr, u, "", type, addr_arms),
};
static const struct field_table addr = FIELD_TABLE("SocketAddress", struct addr, addr_fields);

struct user {
	char *net, *ip, *host, *dhcpstart, *dns, *hostname, *domainname, *domain;
	char *prefix6, *host6, *dns6, *net6, *forward;
	int64_t bits6;
	bool restricted, ipv4, ipv6;
	struct strings hostfwd, dnssearch;
};
#define U struct user
static const struct field user_fields[] = {
	FIELD_BOOL(U, restricted, "restrict", .doc = "the guest reaches nothing but DHCP"),
	FIELD_BOOL(U, ipv4, "ipv4", .dflt = "on", .doc = "IPv4"),
	FIELD_BOOL(U, ipv6, "ipv6", .dflt = "on", .doc = "IPv6"),
	FIELD_STR(U, net, "net", .doc = "IPv4 network, ADDR/BITS"),
	FIELD_STR(U, ip, "ip", .doc = "the same"),
	FIELD_STR(U, host, "host", .doc = "the host's IPv4 address in it"),
	FIELD_STR(U, dhcpstart, "dhcpstart", .doc = "the first guest's IPv4 address"),
	FIELD_STR(U, dns, "dns", .doc = "IPv4 address of the DNS server"),
	FIELD_STR(U, prefix6, "ipv6-prefix", .doc = "IPv6 network"),
	FIELD_I64(U, bits6, "ipv6-prefixlen", .dflt = "64", .doc = "only 64"),
	FIELD_STR(U, host6, "ipv6-host", .doc = "the host's IPv6 address in it"),
	FIELD_STR(U, dns6, "ipv6-dns", .doc = "IPv6 address of the DNS server"),
	FIELD_STR(U, hostname, "hostname", .doc = "host name that DHCP tells the guest"),
	FIELD_STR(U, domainname, "domainname", .doc = "domain name that DHCP tells the guest"),
	FIELD_LIST(U, dnssearch, "dnssearch", FT_STRUCT, STRINGS_MAX, .sub = &string,
		.doc = "domains in which DHCP has the guest look for names"),
	FIELD_LIST(U, hostfwd, "hostfwd", FT_STRUCT, STRINGS_MAX, .sub = &string,
		.doc = "[tcp|udp]:[ADDR]:PORT-[GUESTADDR]:GUESTPORT, a port of the host that "
		       "leads to the guest"),
	FIELD_STR(U, forward, "forward", .doc = "one as --net has it"),
	FIELD_STR(U, net6, "net6", .doc = "IPv6 network as --net has it"),
	FIELD_STR(U, domain, "domain", .doc = "domainname as --net has it"),
};
#undef U
static const struct field_table user = FIELD_TABLE("user", struct user, user_fields);

struct tap {
	char *ifname, *fd, *fds, *vhostfd, *vhostfds, *script, *downscript;
	bool vnet, vnet_header, vhost, vhostforce;
	uint32_t queues;
};
#define T struct tap
static const struct field tap_fields[] = {
	FIELD_STR(T, ifname, "ifname", .doc = "the interface"),
	FIELD_STR(T, fd, "fd", .doc = "an open descriptor (of getfd) instead"),
	FIELD_STR(T, fds, "fds", .doc = "one a queue, as NAME:NAME"),
	FIELD_STR(T, script, "script", .doc = "only `no`: lodge runs none"),
	FIELD_STR(T, downscript, "downscript", .doc = "only `no`"),
	FIELD_BOOL(T, vnet, "vnet_hdr", .dflt = "on",
		.doc = "leave checksums and segments to the other side"),
	FIELD_BOOL(T, vnet_header, "vnet-header", .dflt = "on", .doc = "the same"),
	FIELD_BOOL(T, vhost, "vhost", .doc = "have the host's kernel move the frames"),
	FIELD_BOOL(T, vhostforce, "vhostforce", .doc = "the same"),
	FIELD_STR(T, vhostfd, "vhostfd", .doc = "an open descriptor of /dev/vhost-net"),
	FIELD_STR(T, vhostfds, "vhostfds", .doc = "one a queue, as NAME:NAME"),
	FIELD_U32(T, queues, "queues", .max = NET_QUEUES_MAX, .doc = "pairs of queues"),
};
#undef T
static const struct field_table tap = FIELD_TABLE("tap", struct tap, tap_fields);

struct socket {
	char *fd, *listen, *connect, *mcast, *localaddr, *udp, *dgram, *peer;
	uint32_t reconnect;
};
#define S struct socket
static const struct field socket_fields[] = {
	FIELD_STR(S, fd, "fd", .doc = "an open, connected socket (of getfd)"),
	FIELD_STR(S, listen, "listen", .doc = "[ADDR]:PORT or unix:PATH"),
	FIELD_STR(S, connect, "connect", .doc = "ADDR:PORT or unix:PATH"),
	FIELD_U32(S, reconnect, "reconnect", .max = 3600, .doc = "try again every so many seconds"),
	FIELD_STR(S, mcast, "mcast", .doc = "ADDR:PORT of a multicast group"),
	FIELD_STR(S, udp, "udp", .doc = "ADDR:PORT to send to"),
	FIELD_STR(S, localaddr, "localaddr", .doc = "ADDR:PORT to receive at"),
	FIELD_STR(S, dgram, "dgram", .doc = "unix:PATH to receive at"),
	FIELD_STR(S, peer, "peer", .doc = "unix:PATH to send to"),
};
#undef S
static const struct field_table socket_table = FIELD_TABLE("socket", struct socket, socket_fields);

struct stream {
	struct addr addr;
	bool server;
};
static const struct field stream_fields[] = {
	FIELD_STRUCT(struct stream, addr, "addr", &addr, .flags = FF_GIVEN,
		.doc = "where it listens, or connects to"),
	FIELD_BOOL(struct stream, server, "server", .doc = "listen"),
};
static const struct field_table stream = FIELD_TABLE("stream", struct stream, stream_fields);

struct dgram {
	struct addr local, remote;
};
static const struct field dgram_fields[] = {
	FIELD_STRUCT(struct dgram, local, "local", &addr, .doc = "where it receives"),
	FIELD_STRUCT(struct dgram, remote, "remote", &addr, .doc = "where it sends, or the group"),
};
static const struct field_table dgram = FIELD_TABLE("dgram", struct dgram, dgram_fields);

struct args {
	char *id, *capture;
	int type;
	uint64_t rx_rate, tx_rate;
	uint32_t rx_pps, tx_pps;
	union {
		struct user user;
		struct tap tap;
		struct socket socket;
		struct stream stream;
		struct dgram dgram;
	} u;
};
static const struct field_table *const arms[] = { &user, &tap, &socket_table, &stream, &dgram };
#define A struct args
static const struct field fields[] = {
	FIELD_STR(A, id, "id", .flags = FF_GIVEN, .max = 63, .doc = "its id"),
	FIELD_ENUM(A, type, "type", type_names, .flags = FF_GIVEN, .doc = "what it is"),
	FIELD_STR(A, capture, "capture", .doc = "write all frames to this file"),
	FIELD_SIZE(A, rx_rate, "rx-rate", .doc = "most bytes a second to the guest"),
	FIELD_SIZE(A, tx_rate, "tx-rate", .doc = "most bytes a second from the guest"),
	FIELD_U32(A, rx_pps, "rx-pps", .doc = "most frames a second to the guest"),
	FIELD_U32(A, tx_pps, "tx-pps", .doc = "most frames a second from the guest"),
	FIELD_UNION(A, u, "", type, arms),
};
#undef A
static const struct field_table args = FIELD_TABLE("netdev_add", struct args, fields);

/* -------- into the keys of --net -------- */

/* What is being made. Descriptors that came by getfd are ours to close when the network is not made. */
struct making {
	struct qmp_call *c;
	struct net_config n;
	int fd[2 * NET_QUEUES_MAX];
	size_t n_fds;
};

static bool set(struct making *m, const char *key, const char *value, struct error *err)
{
	return !value || fields_set(&net_config_table, &m->n, key, value, err);
}

static bool set_bool(struct making *m, const char *key, bool on, struct error *err)
{
	return set(m, key, on ? "on" : "off", err);
}

static bool set_number(struct making *m, const char *key, uint64_t value, struct error *err)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return !value || set(m, key, text, err);
}

static bool set_print(struct making *m, const char *key, struct error *err, const char *fmt, ...)
	PRINTF(4, 5);
static bool set_print(struct making *m, const char *key, struct error *err, const char *fmt, ...)
{
	AUTO(str) s = STR_INIT;
	va_list ap;

	va_start(ap, fmt);
	str_vappendf(&s, fmt, ap);
	va_end(ap);
	return s.failed ? error_set(err, "out of memory") : set(m, key, str_cstr(&s), err);
}

/* @name, to the next colon or the end, is the name that getfd gave a descriptor, or the number of one that was
 * open at the start; its number goes to @out. */
static bool put_fd(
	struct making *m, const char *name, size_t len, struct str *out, struct error *err)
{
	AUTO_FREE char *copy = strndup(name, len);
	int fd;

	if (!copy || m->n_fds == ARRAY_SIZE(m->fd))
		return error_set(err, copy ? "too many descriptors" : "out of memory");
	if (copy[0] >= '0' && copy[0] <= '9') {
		str_append(out, copy);
		return true;
	}
	fd = qmp_named_fd_take(m->c->q, copy, err);
	if (fd < 0)
		return false;
	m->fd[m->n_fds++] = fd;
	str_appendf(out, "%d", fd);
	return true;
}

/* One or more of them with colons between. How many they are: *@n, if wanted. */
static bool put_fds(
	struct making *m, const char *key, const char *text, uint32_t *n, struct error *err)
{
	AUTO(str) numbers = STR_INIT;
	uint32_t count = 1;

	for (; text; count++) {
		size_t len = strcspn(text, ":");

		if (!put_fd(m, text, len, &numbers, err))
			return false;
		if (!text[len])
			break;
		str_append(&numbers, ":");
		text += len + 1;
	}
	if (n)
		*n = count;
	return numbers.failed ? error_set(err, "out of memory")
			      : set(m, key, text ? str_cstr(&numbers) : NULL, err);
}

static bool put_user(struct making *m, const struct user *a, struct error *err)
{
	if (a->bits6 != 64)
		return error_usage(err, "Parameter 'ipv6-prefixlen' expects 64");
	if (!set(m, "net", a->net ?: a->ip, err) || !set(m, "host", a->host, err) ||
		!set(m, "dhcpstart", a->dhcpstart, err) || !set(m, "dns", a->dns, err) ||
		!set(m, "host6", a->host6, err) || !set(m, "dns6", a->dns6, err) ||
		!set(m, "net6", a->net6, err) || !set(m, "hostname", a->hostname, err) ||
		!set(m, "domain", a->domainname ?: a->domain, err) ||
		!set(m, "forward", a->forward, err) ||
		!set_bool(m, "restrict", a->restricted, err) ||
		!set_bool(m, "ipv4", a->ipv4, err) || !set_bool(m, "ipv6", a->ipv6, err) ||
		(a->prefix6 && !set_print(m, "net6", err, "%s/64", a->prefix6)))
		return false;
	for (size_t i = 0; i < a->dnssearch.len; i++) {
		if (!set(m, "dnssearch", a->dnssearch.items[i].str, err))
			return false;
	}
	for (size_t i = 0; i < a->hostfwd.len; i++) {
		AUTO_FREE char *spec = hostfwd_spec(a->hostfwd.items[i].str, true, err);

		if (!spec || !set(m, "forward", spec, err))
			return false;
	}
	return true;
}

static bool is_no(const char *script)
{
	return !script || !*script || !strcmp(script, "no");
}

static bool put_tap(struct making *m, const struct tap *a, struct error *err)
{
	const char *fds = a->fds ?: a->fd, *vhostfds = a->vhostfds ?: a->vhostfd;
	uint32_t queues = a->queues;

	if (!is_no(a->script) || !is_no(a->downscript))
		return error_usage(err,
			"Parameter '%s' expects 'no': lodge runs no scripts; set the interface up "
			"yourself",
			is_no(a->script) ? "downscript" : "script");
	/* As with QEMU there are as many queues as descriptors. */
	return put_fds(m, "fd", fds, queues || !fds ? NULL : &queues, err) &&
	       put_fds(m, "vhostfd", vhostfds, NULL, err) && set(m, "ifname", a->ifname, err) &&
	       set_bool(m, "vnet-header", a->vnet && a->vnet_header, err) &&
	       set_bool(m, "vhost", a->vhost || a->vhostforce, err) &&
	       set_number(m, "queues", queues, err);
}

static bool put_socket(struct making *m, const struct socket *a, struct error *err)
{
	return put_fds(m, "fd", a->fd, NULL, err) && set(m, "listen", a->listen, err) &&
	       set(m, "connect", a->connect, err) &&
	       set_number(m, "reconnect", a->reconnect, err) && set(m, "mcast", a->mcast, err) &&
	       set(m, "udp", a->udp, err) && set(m, "localaddr", a->localaddr, err) &&
	       set(m, "dgram", a->dgram, err) && set(m, "peer", a->peer, err);
}

/* An address as --net has it: ADDR:PORT or unix:PATH. */
static bool put_addr(struct making *m, const char *key, const struct addr *a, struct error *err)
{
	if (a->type == ADDR_FD)
		return error_usage(err, "'fd': a descriptor is a connected socket, alone");
	return a->type == ADDR_UNIX
		       ? set_print(m, key, err, "unix:%s", a->u.unix_path.path)
		       : set_print(m, key, err, strchr(a->u.inet.host, ':') ? "[%s]:%s" : "%s:%s",
				 a->u.inet.host, a->u.inet.port);
}

static bool put_stream(struct making *m, const struct stream *a, struct error *err)
{
	if (a->addr.type == ADDR_FD && !a->server)
		return put_fds(m, "fd", a->addr.u.fd.str, NULL, err);
	return put_addr(m, a->server ? "listen" : "connect", &a->addr, err);
}

static bool is_group(const struct addr *a)
{
	unsigned int first;

	return a->type == ADDR_INET && sscanf(a->u.inet.host, "%u.", &first) == 1 && first >= 224 &&
	       first <= 239;
}

static bool put_dgram(struct making *m, const struct dgram *a, struct error *err)
{
	bool local = qmp_given(m->c, "local"), remote = qmp_given(m->c, "remote");

	if (remote && is_group(&a->remote))
		return put_addr(m, "mcast", &a->remote, err) &&
		       (!local || set(m, "localaddr",
					  a->local.type == ADDR_INET ? a->local.u.inet.host : "",
					  err));
	if (!local)
		return error_usage(err, "dgram requires local= parameter");
	if (a->local.type == ADDR_FD && !remote)
		return put_fds(m, "fd", a->local.u.fd.str, NULL, err);
	if (!remote || a->local.type != a->remote.type)
		return error_usage(
			err, "'remote': an address of the same type as 'local' is wanted");
	if (a->local.type == ADDR_UNIX)
		return put_addr(m, "dgram", &a->local, err) && put_addr(m, "peer", &a->remote, err);
	return put_addr(m, "localaddr", &a->local, err) && put_addr(m, "udp", &a->remote, err);
}

static bool put(struct making *m, const struct args *a, struct error *err)
{
	static const char *const types[] = { "user", "tap", "socket", "socket", "socket" };

	if (!qmp_check_id(a->id, err) || !set(m, "type", types[a->type], err) ||
		!set(m, "id", a->id, err) || !set(m, "capture", a->capture, err) ||
		!set_number(m, "rx-rate", a->rx_rate, err) ||
		!set_number(m, "tx-rate", a->tx_rate, err) ||
		!set_number(m, "rx-pps", a->rx_pps, err) ||
		!set_number(m, "tx-pps", a->tx_pps, err))
		return false;
	switch (a->type) {
	case TYPE_USER:
		return put_user(m, &a->u.user, err);
	case TYPE_TAP:
		return put_tap(m, &a->u.tap, err);
	case TYPE_SOCKET:
		return put_socket(m, &a->u.socket, err);
	case TYPE_STREAM:
		return put_stream(m, &a->u.stream, err);
	default:
		return put_dgram(m, &a->u.dgram, err);
	}
}

static bool netdev_add(struct qmp_call *c, struct error *err)
{
	struct making m = { .c = c };
	bool ok = fields_init(&net_config_table, &m.n, err) && put(&m, c->args, err) &&
		  fields_check(&net_config_table, &m.n, err) && machine_net_add(c->m, &m.n, err);

	/* Otherwise they are the network's. */
	for (size_t i = 0; !ok && i < m.n_fds; i++)
		close(m.fd[i]);
	fields_fini(&net_config_table, &m.n);
	return ok;
}

const struct qmp_command netdev_add_cmd = {
	.name = "netdev_add",
	.doc = "make a network for a card",
	.args = &args,
	.run = netdev_add,
};
