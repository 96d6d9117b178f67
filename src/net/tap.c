// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tap - a network interface of the host. By name (one that exists and that we may use, or, with
 * CAP_NET_ADMIN, a new one that vanishes with us) or as open descriptors from whoever has the privilege. One
 * descriptor a queue. With the kernel's vnet header checksums and segments are left to whom they concern:
 * a frame between two guests on a bridge is never cut or summed up at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/patience.h"
#include "base/log.h"
#include "base/str.h"
#include "base/types.h"
#include "net/net_int.h"

#define ALL_OFFLOADS (NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN)

static unsigned int kernel_offloads(unsigned int o)
{
	if (!(o & NET_CSUM))
		return 0; /* the kernel wants it with all others */
	return TUN_F_CSUM | (o & NET_TSO4 ? TUN_F_TSO4 : 0) | (o & NET_TSO6 ? TUN_F_TSO6 : 0) |
	       (o & NET_ECN && o & (NET_TSO4 | NET_TSO6) ? TUN_F_TSO_ECN : 0);
}

static void tap_set_offloads(struct net_dev *d, unsigned int offloads)
{
	for (uint32_t i = 0; d->vnet && i < d->n_queues; i++) {
		if (ioctl(d->queue[i].fd, TUNSETOFFLOAD, (unsigned long)kernel_offloads(offloads)) <
			0)
			log_debug("net", "%s: TUNSETOFFLOAD: %s", d->id, strerror(errno));
	}
}

/* What the descriptor is; our header's size and byte order. */
static bool setup_fd(struct net_dev *d, unsigned int q, int fd, bool want_vnet, struct error *err)
{
	int size = sizeof(struct vnet_hdr), little = 1;
	struct ifreq ifr = { 0 };
	bool vnet;

	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return error_set_errno(err, errno, "descriptor %d is not a tap interface", fd);
	if (!(ifr.ifr_flags & IFF_TAP) || !(ifr.ifr_flags & IFF_NO_PI))
		return error_set(
			err, "descriptor %d: must be opened with IFF_TAP and IFF_NO_PI", fd);
	vnet = ifr.ifr_flags & IFF_VNET_HDR;
	if (vnet && (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0 || ioctl(fd, TUNSETVNETLE, &little) < 0))
		return error_set_errno(err, errno, "descriptor %d: no virtio 1 header", fd);
	if (q && vnet != d->vnet)
		return error_set(err, "all descriptors must have IFF_VNET_HDR, or none");
	d->vnet = vnet;
	d->offloads = vnet && want_vnet ? ALL_OFFLOADS : 0;
	return true;
}

static int new_queue(const char *name, bool multi, bool vnet, char *made, struct error *err)
{
	AUTO_FD int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	struct ifreq ifr = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (vnet ? IFF_VNET_HDR : 0) |
						  (multi ? IFF_MULTI_QUEUE : 0)) };
	int r;

	if (fd < 0) {
		error_set_errno(err, errno, "cannot open /dev/net/tun");
		return -1;
	}
	snprintf(ifr.ifr_name, IFNAMSIZ, "%s", name);
	for (unsigned int waited = 0; (r = ioctl(fd, TUNSETIFF, &ifr)) < 0 && errno == EBUSY;) {
		if (!patience_wait(&waited)) {
			errno = EBUSY;
			break;
		}
	}
	if (r < 0) {
		error_set_errno(err, errno,
			"cannot have the tap interface '%s' (a user without CAP_NET_ADMIN needs "
			"one made "
			"by `ip tuntap add NAME mode tap user USER%s`, or fd=)",
			name, multi ? " multi_queue" : "");
		return -1;
	}
	memcpy(made, ifr.ifr_name, IFNAMSIZ);
	return TAKE_FD(fd);
}

static bool open_name(struct net_dev *d, const struct net_tap_config *c, struct error *err)
{
	char name[IFNAMSIZ + 1] = { 0 };

	snprintf(name, sizeof(name), "%s", c->ifname ?: "tap%d");
	for (uint32_t i = 0; i < d->n_queues; i++) {
		int fd = new_queue(name, d->n_queues > 1, c->vnet, name, err);

		d->queue[i].fd = fd;
		if (fd < 0 || !setup_fd(d, i, fd, c->vnet, err))
			return false;
	}
	log_info("net", "%s is the interface %s", d->id, name);
	return true;
}

static bool open_fds(struct net_dev *d, const struct net_tap_config *c, struct error *err)
{
	int fds[NET_QUEUES_MAX];

	if (!net_parse_fds(c->fds, "fd", d->n_queues, fds, err))
		return false;
	for (uint32_t i = 0; i < d->n_queues; i++) {
		if (fcntl(fds[i], F_SETFL, O_RDWR | O_NONBLOCK) < 0)
			return error_set_errno(err, errno, "fd=%d", fds[i]);
		d->queue[i].fd = fds[i];
		if (!setup_fd(d, i, fds[i], c->vnet, err))
			return false;
	}
	return true;
}

/* A queue that nobody reads must not get its share of the frames. */
static void tap_set_pairs(struct net_dev *d, uint32_t pairs)
{
	for (uint32_t i = 0; d->n_queues > 1 && i < d->n_queues; i++) {
		struct ifreq ifr = { .ifr_flags = (short)(i < pairs ? IFF_ATTACH_QUEUE
								    : IFF_DETACH_QUEUE) };

		/* EINVAL: it is so already. */
		if (ioctl(d->queue[i].fd, TUNSETQUEUE, &ifr) < 0 && errno != EINVAL)
			log_debug("net", "%s: TUNSETQUEUE: %s", d->id, strerror(errno));
	}
}

static bool tap_open(struct net_dev *d, const struct net_config *config, struct error *err)
{
	const struct net_tap_config *c = &config->u.tap;

	if (c->fds && c->ifname)
		return error_usage(err, "ifname= and fd= exclude each other");
	if (!net_vhost_check(config, err))
		return false;
	if (!(c->fds ? open_fds(d, c, err) : open_name(d, c, err)))
		return false;
	tap_set_offloads(d, 0);
	tap_set_pairs(d, 1);
	return net_vhost_open(d, c, err);
}

static void tap_close(struct net_dev *d)
{
	net_vhost_close(d);
	for (uint32_t i = 0; !d->borrowed && i < d->n_queues; i++) {
		if (d->queue[i].fd >= 0)
			close(d->queue[i].fd);
	}
}

static int tap_send(struct net_dev *d, unsigned int q, struct net_packet *p, int n)
{
	int fd = d->queue[q].fd;

	for (int i = 0; i < n; i++) {
		struct iovec *iov = p[i].iov;
		int k = p[i].n;
		ssize_t r;

		if (!p[i].len)
			continue;
		if (d->vnet) {
			*--iov = (struct iovec){ &p[i].hdr, sizeof(p[i].hdr) };
			k++;
		}
		do {
			r = writev(fd, iov, k);
		} while (r < 0 && errno == EINTR);
		/* Other errors: the frame is not possible or the interface is down. Lost, as on a wire. */
		if (r < 0 && errno == EAGAIN)
			return i;
		p[i].lost = r < 0;
	}
	return n;
}

static ssize_t tap_recv(
	struct net_dev *d, unsigned int q, struct vnet_hdr *h, struct iovec *iov, int n)
{
	size_t skip = d->vnet ? sizeof(*h) : 0;
	ssize_t r;

	if (d->vnet) {
		*--iov = (struct iovec){ h, sizeof(*h) };
		n++;
	} else {
		memset(h, 0, sizeof(*h));
	}
	do {
		r = readv(d->queue[q].fd, iov, n);
	} while (r < 0 && errno == EINTR);
	return r >= (ssize_t)(skip + NET_FRAME_MIN) ? r - (ssize_t)skip : -EAGAIN;
}

const struct net_kind net_tap_kind = {
	.name = "tap",
	.open = tap_open,
	.close = tap_close,
	.send = tap_send,
	.recv = tap_recv,
	.set_offloads = tap_set_offloads,
	.set_pairs = tap_set_pairs,
};
