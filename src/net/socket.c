// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * socket - VMs joined by sockets of the host: a stream to one peer (stream.c), datagrams to one peer, or
 * a UDP multicast group. No privileges.
 *
 * Multicast: we send from a socket of our own, so that our frames, which the group sends back to us, are
 * known by their source. A guest that hears its own IPv6 duplicate address probe gives its address up.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/sock_file.h"
#include "base/sock_inet.h"
#include "base/str.h"
#include "base/types.h"
#include "net/net_int.h"
#include "sandbox/sandbox.h"

/* A datagram socket. -1: err says why. */
static int new_socket(int family, struct error *err)
{
	return sock_new(family, SOCK_DGRAM | SOCK_NONBLOCK, err);
}

/* Bind to a network's address, which others may have, too: those of a group do. */
static bool bind_shared(int fd, const struct sockaddr_storage *a, socklen_t len, struct error *err)
{
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return sock_inet_bind(fd, &(struct sock_inet){ *a, len }, err);
}

/* A Unix socket of ours: only the owner may connect; a file that nobody has any more is replaced. */
static int make_unix(
	struct net_dev *d, const struct sockaddr_storage *a, int type, struct error *err)
{
	const char *path = ((const struct sockaddr_un *)a)->sun_path;

	return sock_file_make(&d->file, path, type | SOCK_NONBLOCK, 1, err);
}

/* -------- streams -------- */

static bool open_listen(struct net_dev *d, const char *text, struct error *err)
{
	struct sockaddr_storage a;
	socklen_t len;
	AUTO_FD int fd = -1;

	if (!net_addr_parse(text, &a, &len, err))
		return false;
	if (a.ss_family == AF_UNIX) {
		fd = make_unix(d, &a, SOCK_STREAM, err);
		return fd >= 0 && net_stream_open(d, TAKE_FD(fd), -1, NULL, 0, 0, err);
	}
	fd = sock_inet_listen(&(struct sock_inet){ a, len }, false, err);
	return fd >= 0 && net_stream_open(d, TAKE_FD(fd), -1, NULL, 0, 0, err);
}

static bool open_connect(struct net_dev *d, const struct net_socket_config *c, struct error *err)
{
	struct sockaddr_storage a;
	socklen_t len;
	AUTO_FD int fd = -1;

	if (!net_addr_parse(c->connect, &a, &len, err))
		return false;
	if (c->reconnect)
		return net_stream_open(d, -1, -1, &a, len, c->reconnect, err);
	fd = sock_new(a.ss_family, SOCK_STREAM, err);
	if (fd < 0)
		return false;
	if (connect(fd, (struct sockaddr *)&a, len) < 0)
		return error_set_errno(err, errno,
			"cannot connect to '%s' (reconnect=1 waits for the other side)",
			c->connect);
	return net_stream_open(d, -1, TAKE_FD(fd), NULL, 0, 0, err);
}

/* -------- datagrams -------- */

static bool is_multicast(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET &&
	       IN_MULTICAST(ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr));
}

static bool join_group(
	int rx, int tx, const struct sockaddr_in *group, struct in_addr via, struct error *err)
{
	struct ip_mreq m = { .imr_multiaddr = group->sin_addr, .imr_interface = via };
	int on = 1;

	if (setsockopt(rx, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)) < 0 ||
		setsockopt(tx, IPPROTO_IP, IP_MULTICAST_LOOP, &on, sizeof(on)) < 0 ||
		(via.s_addr && setsockopt(tx, IPPROTO_IP, IP_MULTICAST_IF, &via, sizeof(via)) < 0))
		return error_set_errno(err, errno,
			"cannot join the group (is there a route for multicast? localaddr= names "
			"an "
			"interface by its address)");
	return true;
}

static bool open_mcast(struct net_dev *d, const struct net_socket_config *c, struct error *err)
{
	struct sockaddr_in *group = (struct sockaddr_in *)&d->peer;
	struct in_addr via = { 0 };
	struct sockaddr_storage local;
	AUTO_FREE char *with_port = NULL;
	socklen_t len;

	if (!net_addr_parse(c->mcast, &d->peer, &d->peer_len, err))
		return false;
	if (!is_multicast(&d->peer))
		return error_usage(err,
			"mcast=%s: an IPv4 multicast address is wanted, as 230.0.0.1:1234",
			c->mcast);
	if (c->local) {
		with_port = str_printf("%s:1", c->local);
		if (!with_port || !net_addr_parse(with_port, &local, &len, err) ||
			local.ss_family != AF_INET)
			return error_usage(
				err, "localaddr=%s: an IPv4 address is wanted", c->local);
		via = ((struct sockaddr_in *)&local)->sin_addr;
	}
	d->queue[0].fd = new_socket(AF_INET, err);
	if (d->queue[0].fd < 0 || (d->queue[0].tx_fd = new_socket(AF_INET, err)) < 0)
		return false;
	return bind_shared(d->queue[0].fd, &d->peer, d->peer_len, err) &&
	       join_group(d->queue[0].fd, d->queue[0].tx_fd, group, via, err);
}

/* Which source address our frames have is known when one was sent: connect() tells it without sending. */
static bool learn_own(struct net_dev *d, struct error *err)
{
	d->own_len = sizeof(d->own);
	memset(&d->own, 0, sizeof(d->own));
	if (connect(d->queue[0].tx_fd, (struct sockaddr *)&d->peer, d->peer_len) < 0 ||
		getsockname(d->queue[0].tx_fd, (struct sockaddr *)&d->own, &d->own_len) < 0)
		return error_set_errno(err, errno, "no way to the multicast group");
	d->peer_len = 0;
	d->own_known = true;
	return true;
}

static bool open_udp(struct net_dev *d, const struct net_socket_config *c, struct error *err)
{
	struct sockaddr_storage local;
	socklen_t len;

	if (!c->local)
		return error_usage(err, "udp=%s: localaddr=ADDR:PORT is wanted too", c->udp);
	if (!net_addr_parse(c->udp, &d->peer, &d->peer_len, err) ||
		!net_addr_parse(c->local, &local, &len, err))
		return false;
	if (local.ss_family != d->peer.ss_family || local.ss_family == AF_UNIX)
		return error_usage(
			err, "udp= and localaddr= must both be IPv4 or both IPv6 addresses");
	d->queue[0].fd = new_socket(local.ss_family, err);
	return d->queue[0].fd >= 0 && bind_shared(d->queue[0].fd, &local, len, err);
}

static bool open_dgram(struct net_dev *d, const struct net_socket_config *c, struct error *err)
{
	struct sockaddr_storage local;
	socklen_t len;

	if (!c->peer)
		return error_usage(err, "dgram=%s: peer=unix:PATH is wanted too", c->dgram);
	if (!net_addr_parse(c->dgram, &local, &len, err) ||
		!net_addr_parse(c->peer, &d->peer, &d->peer_len, err))
		return false;
	if (local.ss_family != AF_UNIX || d->peer.ss_family != AF_UNIX)
		return error_usage(err, "dgram= and peer= are unix:PATH (udp= is for the network)");
	/* It may come later, and come again. */
	if (!sandbox_reach(((struct sockaddr_un *)&d->peer)->sun_path))
		return error_set(err, "out of memory");
	d->queue[0].tx_fd = new_socket(AF_UNIX, err);
	if (d->queue[0].tx_fd < 0)
		return false;
	d->queue[0].fd = make_unix(d, &local, SOCK_DGRAM, err);
	return d->queue[0].fd >= 0;
}

/* -------- an open socket -------- */

static bool open_fd(struct net_dev *d, int fd, struct error *err)
{
	int type, listening = 0, domain = 0;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0)
		return error_set_errno(err, errno, "fd=%d", fd);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (type == SOCK_STREAM)
		return net_stream_open(
			d, listening ? fd : -1, listening ? -1 : fd, NULL, 0, 0, err);
	d->queue[0].fd = fd;
	d->connected = type == SOCK_SEQPACKET;
	return true;
}

/* -------- the kind -------- */

static bool exactly_one(const struct net_socket_config *c, struct error *err)
{
	int n = !!c->listen + !!c->connect + !!c->mcast + !!c->udp + !!c->dgram + (c->fd >= 0);

	if (n != 1)
		return error_usage(
			err, "one of listen=, connect=, mcast=, udp=, dgram= and fd= is wanted");
	if (c->peer && !c->dgram)
		return error_usage(err, "peer= goes with dgram=");
	if (c->local && !c->udp && !c->mcast)
		return error_usage(err, "localaddr= goes with udp= and mcast=");
	return !c->reconnect || c->connect || error_usage(err, "reconnect= goes with connect=");
}

static bool open_messages(struct net_dev *d, const struct net_socket_config *c, struct error *err)
{
	if (c->mcast)
		return open_mcast(d, c, err) && learn_own(d, err);
	if (c->udp)
		return open_udp(d, c, err);
	if (c->dgram)
		return open_dgram(d, c, err);
	return true;
}

static bool socket_open(struct net_dev *d, const struct net_config *config, struct error *err)
{
	const struct net_socket_config *c = &config->u.socket;
	bool ok;

	if (!exactly_one(c, err))
		return false;
	if (c->listen)
		ok = open_listen(d, c->listen, err);
	else if (c->connect)
		ok = open_connect(d, c, err);
	else if (c->fd >= 0)
		ok = open_fd(d, (int)c->fd, err);
	else
		ok = open_messages(d, c, err);
	return ok;
}

static void socket_close(struct net_dev *d)
{
	if (d->queue[0].fd >= 0 && !d->borrowed)
		close(d->queue[0].fd);
	if (d->queue[0].tx_fd >= 0)
		close(d->queue[0].tx_fd);
}

/* Room in a peer's queue cannot be waited for on the socket that is watched: what does not go is lost,
 * as on a wire. */
static int socket_send(struct net_dev *d, unsigned int q, struct net_packet *p, int n)
{
	int sent = net_message_send(d, q, p, n);

	if (d->queue[0].tx_fd < 0 && !d->peer_len)
		return sent;
	for (; sent < n; sent++)
		p[sent].lost = true;
	return n;
}

static void socket_hangup(struct net_dev *d, unsigned int q)
{
	if (!d->connected)
		return;
	close(d->queue[0].fd);
	d->queue[0].fd = -1;
	net_queue_update(&d->queue[0]);
	net_set_carrier(d, false);
}

const struct net_kind net_socket_kind = {
	.name = "socket",
	.open = socket_open,
	.close = socket_close,
	.send = socket_send,
	.recv = net_message_recv,
	.hangup = socket_hangup,
};
