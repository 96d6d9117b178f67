// SPDX-License-Identifier: GPL-2.0-or-later
/* The keys of `--net` that concern the back end. */
#include "base/types.h"
#include "net/net_int.h"

#define FORWARDS_MAX 256
#define SEARCH_MAX   32

static const char *const type_names[] = { "none", "user", "tap", "socket", NULL };

#define U struct net_user_config
static const struct field user_fields[] = {
	FIELD_LIST(U, forward, "forward", FT_STR, FORWARDS_MAX,
		.doc = "tcp:[ADDR]:PORT:[GUESTADDR:]GUESTPORT, or udp: - a port of the host that "
		       "leads to "
		       "the guest; ADDR is 127.0.0.1 unless given"),
	FIELD_BOOL(U, restricted, "restrict",
		.doc = "the guest reaches nothing but the built-in DHCP; forwarded ports still "
		       "work"),
	FIELD_BOOL(U, ipv4, "ipv4", .dflt = "on", .doc = "IPv4"),
	FIELD_BOOL(U, ipv6, "ipv6", .dflt = "on", .doc = "IPv6"),
	FIELD_STR(U, net, "net", .dflt = "10.0.2.0/24",
		.doc = "IPv4 network: host .2, DNS .3, guests from .15 on"),
	FIELD_STR(U, net6, "net6", .dflt = "fec0::/64", .doc = "IPv6 network: host ::2, DNS ::3"),
	FIELD_STR(U, host, "host", .doc = "the host's IPv4 address in it"),
	FIELD_STR(U, dhcpstart, "dhcpstart", .doc = "the first guest's IPv4 address"),
	FIELD_STR(U, host6, "host6", .doc = "the host's IPv6 address"),
	FIELD_STR(U, dns6, "dns6", .doc = "IPv6 address at which the guest finds the DNS server"),
	FIELD_STR(U, dns, "dns", .doc = "IPv4 address at which the guest finds the DNS server"),
	FIELD_STR(U, hostname, "hostname", .max = 32, .doc = "host name that DHCP tells the guest"),
	FIELD_STR(U, domain, "domain", .max = 255, .doc = "domain name that DHCP tells the guest"),
	FIELD_LIST(U, search, "dnssearch", FT_STR, SEARCH_MAX,
		.doc = "domain in which DHCP has the guest look for names"),
};
#undef U
static const struct field_table user_table = FIELD_TABLE(
	"user", struct net_user_config, user_fields);

#define T struct net_tap_config
static const struct field tap_fields[] = {
	FIELD_STR(T, ifname, "ifname", .max = 15,
		.doc = "tap interface: one that exists and is ours, or with CAP_NET_ADMIN a new "
		       "one"),
	FIELD_STR(T, fds, "fd", .doc = "open tap descriptors instead, N or one a queue as N:N"),
	FIELD_BOOL(T, vnet, "vnet-header", .dflt = "on",
		.doc = "leave checksums and segments to the other side"),
	FIELD_BOOL(T, vhost, "vhost",
		.doc = "have the host's kernel move the frames (vhost-net), where it can"),
	FIELD_STR(T, vhostfds, "vhostfd",
		.doc = "vhost=on: open descriptors of /dev/vhost-net, N or one a queue as N:N"),
};
#undef T
static const struct field_table tap_table = FIELD_TABLE("tap", struct net_tap_config, tap_fields);

#define S struct net_socket_config
static const struct field socket_fields[] = {
	FIELD_STR(S, listen, "listen",
		.doc = "ADDR:PORT or unix:PATH: wait for one peer at a time (a stream as QEMU's)"),
	FIELD_STR(S, connect, "connect", .doc = "ADDR:PORT or unix:PATH of such a peer"),
	FIELD_U32(S, reconnect, "reconnect", .max = 3600,
		.doc = "connect: try again every so many seconds; 0: end with an error, or stay "
		       "unplugged"),
	FIELD_STR(S, mcast, "mcast", .doc = "ADDR:PORT of a UDP multicast group: a hub of VMs"),
	FIELD_STR(S, udp, "udp", .doc = "ADDR:PORT to send datagrams to"),
	FIELD_STR(S, local, "localaddr",
		.doc = "udp: ADDR:PORT to receive at; mcast: address of the interface to use"),
	FIELD_STR(S, dgram, "dgram", .doc = "unix:PATH to receive datagrams at"),
	FIELD_STR(S, peer, "peer", .doc = "dgram: unix:PATH to send to"),
	FIELD_I64(S, fd, "fd", .min = (uint64_t)-1, .max = INT32_MAX, .dflt = "-1",
		.doc = "an open, connected socket instead (stream, datagrams or packets)"),
};
#undef S
static const struct field_table socket_table = FIELD_TABLE(
	"socket", struct net_socket_config, socket_fields);

const struct field_table *const net_config_arms[4] = { NULL, &user_table, &tap_table,
	&socket_table };

#define C struct net_config
static const struct field net_fields[] = {
	FIELD_ENUM(C, type, "type", type_names, .flags = FF_FIRST, .dflt = "none",
		.doc = "what is behind the network card"),
	FIELD_STR(C, id, "id", .max = 63, .doc = "name of this network"),
	FIELD_U32(C, queues, "queues", .min = 1, .max = NET_QUEUES_MAX, .dflt = "1",
		.doc = "pairs of queues (tap only)"),
	FIELD_STR(C, capture, "capture",
		.doc = "write all frames to this file, for tcpdump and Wireshark"),
	FIELD_SIZE(C, rx_rate, "rx-rate", .doc = "most bytes a second to the guest"),
	FIELD_SIZE(C, tx_rate, "tx-rate", .doc = "most bytes a second from the guest"),
	FIELD_U32(C, rx_pps, "rx-pps", .doc = "most frames a second to the guest"),
	FIELD_U32(C, tx_pps, "tx-pps", .doc = "most frames a second from the guest"),
	FIELD_UNION(C, u, "", type, net_config_arms),
};
#undef C
const struct field_table net_config_table = FIELD_TABLE("--net", struct net_config, net_fields);

bool net_config_has(const char *key)
{
	bool has = *key && fields_find(&net_config_table, key);

	for (size_t i = 0; !has && i < ARRAY_SIZE(net_config_arms); i++)
		has = net_config_arms[i] && fields_find(net_config_arms[i], key);
	return has;
}
