// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vhost - descriptors of vhost-net for the queues of a tap interface: opened here, or passed to us. The device
 * that has the rings does the rest (hw/virtio/vhost.c). A host that has no vhost-net is told of and done
 * without: the same frames move, at a higher price.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/log.h"
#include "base/types.h"
#include "net/net_int.h"

#define VHOST_NET	"/dev/vhost-net"
#define F_VERSION_1_BIT 32

bool net_parse_fds(const char *text, const char *key, uint32_t n, int *fds, struct error *err)
{
	const char *p = text;

	for (uint32_t i = 0; i < n; i++) {
		char *end;
		long fd = strtol(p, &end, 10);

		if (end == p || fd < 0 || fd > INT32_MAX || *end != (i + 1 < n ? ':' : 0))
			return error_usage(err,
				"%s=%s: %u descriptors are wanted (queues=%u), as 5:6", key, text,
				n, n);
		if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
			return error_set_errno(err, errno, "%s=%ld", key, fd);
		fds[i] = (int)fd;
		p = end + 1;
	}
	return true;
}

/* -------- counters -------- */

/* The interface's, as the host sees it: what it has received the guest has sent. */
static const char *const counter_names[NET_DIRECTIONS][3] = {
	{ "tx_packets", "tx_bytes", "tx_dropped" },
	{ "rx_packets", "rx_bytes", "rx_dropped" },
};

struct net_interface {
	int fd[NET_DIRECTIONS][3]; /* owned; -1: cannot be read */
	struct net_stats start;
};

static bool read_number(int fd, uint64_t *out)
{
	char text[32];
	ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = 0;
	*out = strtoull(text, NULL, 10);
	return true;
}

static bool read_counters(const struct net_interface *f, struct net_stats *out)
{
	for (int k = 0; k < NET_DIRECTIONS; k++) {
		struct net_counts *c = &out->of[k];

		if (!read_number(f->fd[k][0], &c->frames) || !read_number(f->fd[k][1], &c->bytes) ||
			!read_number(f->fd[k][2], &c->dropped))
			return false;
	}
	return true;
}

/* A confined VM opens no paths: they are opened now. Where they are not there nobody counts. */
static void open_counters(struct net_dev *d)
{
	struct net_interface *f = calloc(1, sizeof(*f));
	struct ifreq ifr = { 0 };
	char path[100];

	if (!f || ioctl(d->queue[0].fd, TUNGETIFF, &ifr) < 0) {
		free(f);
		return;
	}
	d->interface = f;
	for (int k = 0; k < NET_DIRECTIONS; k++) {
		for (int i = 0; i < 3; i++) {
			snprintf(path, sizeof(path), "/sys/class/net/%.15s/statistics/%s",
				ifr.ifr_name, counter_names[k][i]);
			f->fd[k][i] = open(path, O_RDONLY | O_CLOEXEC);
		}
	}
	read_counters(f, &f->start);
}

bool net_vhost_stats(const struct net_dev *d, struct net_stats *out)
{
	const struct net_interface *f = d->interface;

	if (!f || !read_counters(f, out))
		return false;
	for (int k = 0; k < NET_DIRECTIONS; k++) {
		out->of[k].frames -= f->start.of[k].frames;
		out->of[k].bytes -= f->start.of[k].bytes;
		out->of[k].dropped -= f->start.of[k].dropped;
	}
	return true;
}

static void close_counters(struct net_dev *d)
{
	for (int k = 0; d->interface && k < NET_DIRECTIONS; k++) {
		for (int i = 0; i < 3; i++) {
			if (d->interface->fd[k][i] >= 0)
				close(d->interface->fd[k][i]);
		}
	}
	free(d->interface);
	d->interface = NULL;
}

/* -------- descriptors -------- */

/* Make @fd ours and learn what it can; it must speak virtio 1. */
static bool take(struct net_dev *d, int fd, struct error *err)
{
	uint64_t features;

	if (ioctl(fd, VHOST_GET_FEATURES, &features) < 0)
		return error_set_errno(err, errno, "VHOST_GET_FEATURES");
	if (!(features >> F_VERSION_1_BIT & 1))
		return error_set(err, "this kernel's vhost-net is older than virtio 1");
	if (ioctl(fd, VHOST_SET_OWNER) < 0)
		return error_set_errno(err, errno, "VHOST_SET_OWNER");
	d->vhost_features = features;
	return true;
}

static bool open_one(struct net_dev *d, struct net_queue *q, struct error *err)
{
	q->vhost_fd = open(VHOST_NET, O_RDWR | O_CLOEXEC);
	if (q->vhost_fd < 0)
		return error_set_errno(err, errno, "cannot open " VHOST_NET);
	return take(d, q->vhost_fd, err);
}

static void close_all(struct net_dev *d)
{
	for (uint32_t i = 0; i < d->n_queues; i++) {
		if (d->queue[i].vhost_fd >= 0)
			close(d->queue[i].vhost_fd);
		d->queue[i].vhost_fd = -1;
	}
}

/* What was passed is meant: there a fault is an error. */
static bool take_passed(struct net_dev *d, const char *text, struct error *err)
{
	int fds[NET_QUEUES_MAX];

	if (!net_parse_fds(text, "vhostfd", d->n_queues, fds, err))
		return false;
	for (uint32_t i = 0; i < d->n_queues; i++) {
		if (!take(d, fds[i], err))
			return error_prefix(err, "vhostfd=%d", fds[i]);
	}
	for (uint32_t i = 0; i < d->n_queues; i++)
		d->queue[i].vhost_fd = fds[i];
	open_counters(d);
	return true;
}

bool net_vhost_check(const struct net_config *config, struct error *err)
{
	const struct net_tap_config *c = &config->u.tap;

	if (c->vhostfds && !c->vhost)
		return error_usage(err, "vhostfd= goes with vhost=on");
	if (c->vhost && (config->capture || config->rx_rate || config->tx_rate || config->rx_pps ||
				config->tx_pps))
		return error_usage(err, "with vhost=on lodge sees no frames: capture= and limits "
					"of rates want vhost=off");
	return true;
}

bool net_vhost_open(struct net_dev *d, const struct net_tap_config *c, struct error *err)
{
	struct error why = ERROR_INIT;

	if (!c->vhost)
		return true;
	if (c->vhostfds)
		return take_passed(d, c->vhostfds, err);
	for (uint32_t i = 0; i < d->n_queues; i++) {
		if (open_one(d, &d->queue[i], &why))
			continue;
		close_all(d);
		log_warn("net",
			"network '%s': no vhost, frames go through lodge itself: %s (modprobe "
			"vhost_net, "
			"and the user must be allowed to open " VHOST_NET ", or vhostfd=)",
			d->id, why.msg);
		return true;
	}
	open_counters(d);
	return true;
}

void net_vhost_close(struct net_dev *d)
{
	close_counters(d);
	if (!d->borrowed)
		close_all(d);
}

bool net_get_vhost(const struct net_dev *d, unsigned int queue, struct net_vhost *out)
{
	const struct net_queue *q = &d->queue[queue];

	if (queue >= d->n_queues || q->vhost_fd < 0)
		return false;
	*out = (struct net_vhost){ q->vhost_fd, q->fd, d->vhost_features, d->vnet };
	return true;
}

void net_test_vhost(struct net_dev *d, const int *fds, uint64_t features)
{
	for (uint32_t i = 0; i < d->n_queues; i++)
		d->queue[i].vhost_fd = fds[i];
	d->vhost_features = features;
}
