// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-net, frames by the host's kernel (vhost-net): a pair of queues is the kernel's while the driver is
 * ready, the link is up and the machine runs; otherwise it is ours. Registers, control queue and link are always
 * ours, offloads and queues in use are the tap interface's. The kernel filters no addresses and VLANs, which the
 * specification leaves to the device ("best-effort", virtio 1.2, 5.1.6.5.1, 5.1.6.5.3).
 *
 * Where the kernel cannot do it after all, the frames go through us, and one warning says why.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "hw/virtio/net_int.h"
#include "hw/virtio/vhost.h"

/* What the kernel has to do with. */
#define RING_FEATURES                                                            \
	(BIT_ULL(VIRTIO_F_INDIRECT_DESC) | BIT_ULL(VIRTIO_F_EVENT_IDX) |         \
		BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_RING_PACKED) |    \
		BIT_ULL(VIRTIO_F_IN_ORDER) | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) | \
		BIT_ULL(VIRTIO_F_NOTIFICATION_DATA) | BIT_ULL(F_MRG_RXBUF))

struct net_vhosts {
	struct vhost_mem mem;
	struct vhost pair[NET_QUEUES_MAX];
	struct net_vhost back[NET_QUEUES_MAX]; /* descriptors: the network's */
	bool failed;			       /* and said so */
};

static void give_up(struct virtio_net *s, int rc)
{
	log_warn("net", "network '%s': no vhost, frames go through lodge itself: %s",
		net_id(s->net),
		rc == -EBUSY ? "this engine has to see each write to the guest's memory"
			     : strerror(-rc));
}

/* -------- state -------- */

static bool wanted(const struct virtio_net *s, unsigned int pair)
{
	const struct virtio_device *v = &s->v;
	const struct virtqueue *rx = &v->vq[2 * pair], *tx = rx + 1;

	return v->started && !v->quiesced && rx->ready && tx->ready && pci_bus_master(&v->pci) &&
	       pair < s->pairs && net_link(s->net) && !s->vhost->failed;
}

bool net_vhost_runs(const struct virtio_net *s, unsigned int pair)
{
	return s->vhost && s->vhost->pair[pair].running;
}

static int set_backend(struct vhost *h, unsigned int ring, int fd)
{
	struct vhost_vring_file f = { .index = ring, .fd = fd };

	return vhost_ioctl(h->fd, VHOST_NET_SET_BACKEND, &f);
}

/* When the second call returns nothing is in flight any more. */
static void stop(struct vhost *h)
{
	set_backend(h, 0, VHOST_FILE_UNBIND);
	set_backend(h, 1, VHOST_FILE_UNBIND);
	vhost_stop(h);
}

static int start(struct virtio_net *s, unsigned int pair)
{
	struct net_vhosts *n = s->vhost;
	struct vhost *h = &n->pair[pair];
	uint64_t f = s->v.guest_features & n->back[pair].features & RING_FEATURES;
	int rc;

	if (!n->back[pair].vnet)
		f |= BIT_ULL(VHOST_NET_F_VIRTIO_NET_HDR);
	/* Our own reception must not be in the middle of a frame. */
	s->pair[pair].rx.bounced = 0;
	net_rx_enable(s->net, pair, false);
	rc = vhost_start(h, f, &n->mem);
	if (rc)
		return rc;
	rc = set_backend(h, 0, n->back[pair].backend) ?: set_backend(h, 1, n->back[pair].backend);
	if (rc)
		stop(h);
	else
		vhost_go(h);
	return rc;
}

void net_vhost_halt(struct virtio_net *s)
{
	for (unsigned int i = 0; s->vhost && i < s->max_pairs; i++) {
		struct vhost *h = &s->vhost->pair[i];

		if (h->running && (!wanted(s, i) || h->generation != s->v.generation))
			stop(h);
	}
}

static void fail(struct virtio_net *s, int rc)
{
	give_up(s, rc);
	s->vhost->failed = true;
	net_vhost_halt(s);
	for (unsigned int i = 0; i < 2 * s->max_pairs; i++)
		virtio_kick(&s->v, i);
}

/* Those that run are told of another map at once; those that start take it. */
static int refresh_memory(struct virtio_net *s)
{
	struct net_vhosts *n = s->vhost;
	struct vhost_mem old;
	bool differs;
	int rc = vhost_mem_read(&n->mem, &differs, &old);

	for (unsigned int i = 0; !rc && differs && i < s->max_pairs; i++)
		rc = n->pair[i].running ? vhost_set_memory(&n->pair[i], &n->mem) : 0;
	if (rc) {
		for (unsigned int i = 0; i < s->max_pairs; i++) {
			if (n->pair[i].running)
				stop(&n->pair[i]);
		}
	}
	vhost_mem_drop(&old);
	return rc;
}

void net_vhost_run(struct virtio_net *s)
{
	int rc;

	if (!s->vhost || s->vhost->failed)
		return;
	rc = refresh_memory(s);
	for (unsigned int i = 0; !rc && i < s->max_pairs; i++) {
		if (net_vhost_runs(s, i))
			vhost_update_calls(&s->vhost->pair[i]);
		else if (wanted(s, i))
			rc = start(s, i);
	}
	if (rc)
		fail(s, rc);
}

/* -------- life -------- */

static void memory_changed(void *opaque)
{
	net_apply_later(opaque);
}

bool net_vhost_choose(struct virtio_net *s, struct error *err)
{
	struct vhost_mem old;
	struct net_vhosts *n;
	struct net_vhost b;
	bool differs;
	int rc;

	if (!net_get_vhost(s->net, 0, &b))
		return true;
	n = s->vhost = calloc(1, sizeof(*n));
	if (!n || !vhost_mem_init(&n->mem, &s->v, err))
		return n || error_set(err, "out of memory");
	rc = vhost_mem_read(&n->mem, &differs, &old);
	vhost_mem_drop(&old);
	for (uint32_t i = 0; i < s->max_pairs; i++)
		net_get_vhost(s->net, i, &n->back[i]);
	if (!rc)
		return true;
	give_up(s, rc);
	net_vhost_free(s);
	return true;
}

uint64_t net_vhost_lacks(const struct virtio_net *s)
{
	return s->vhost ? RING_FEATURES & ~s->vhost->back[0].features : 0;
}

bool net_vhost_make(struct virtio_net *s, struct error *err)
{
	for (uint32_t i = 0; s->vhost && i < s->max_pairs; i++) {
		if (!vhost_init(&s->vhost->pair[i], &s->v, s->vhost->back[i].fd, 2 * i, 2, err))
			return false;
	}
	return true;
}

void net_vhost_listen(struct virtio_net *s)
{
	if (s->vhost)
		vhost_mem_listen(&s->vhost->mem, memory_changed);
}

void net_vhost_free(struct virtio_net *s)
{
	if (!s->vhost)
		return;
	for (uint32_t i = 0; i < s->max_pairs; i++)
		vhost_fini(&s->vhost->pair[i]);
	vhost_mem_fini(&s->vhost->mem);
	free(s->vhost);
	s->vhost = NULL;
}
