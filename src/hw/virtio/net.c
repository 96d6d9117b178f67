// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-net (virtio 1.2, 5.1): a network card with one or more pairs of queues and a control queue.
 *
 * The way of a frame out: the driver kicks a queue; on its lane's loop its chains are popped, up to a batch, the
 * virtio header of each is read once and judged, and the rest goes to the back end as iovecs over guest memory,
 * a batch in one call. What the back end does not take goes back into the ring until it says `writable`. A
 * frame is gone when net_send() returns, so nothing is ever in flight. The way in is net_rx.c's. Each pair of
 * queues has a lane, as far as there are loops; the control queue is the home loop's, and changes what the pairs
 * look at while they stand still.
 *
 * Features offered depend on the back end: checksums and segments are left to it if it can make them, and
 * taken from it if it can leave them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "base/log.h"
#include "base/trace.h"
#include "hw/virtio/net_int.h"

/* Device configuration (5.1.4). */
struct config_space {
	uint8_t mac[6];
	le16 status, max_virtqueue_pairs, mtu;
};
#define STATUS_OFF offsetof(struct config_space, status)

/* -------- transmission -------- */

/* The frame behind a popped chain's header. False: not a frame that may go; it is dropped. */
static bool tx_prepare(struct virtio_net *s, struct vq_chain *c, struct net_packet *p)
{
	size_t skip = sizeof(p->hdr);
	uint8_t gso;

	p->len = 0;
	if (c->out_len < skip + NET_FRAME_MIN || c->out_len > skip + NET_FRAME_MAX)
		return false;
	vq_chain_read(c, 0, &p->hdr, sizeof(p->hdr));
	p->iov = c->iov;
	p->n = c->n_out;
	for (; skip >= p->iov->iov_len; p->iov++, p->n--)
		skip -= p->iov->iov_len;
	p->iov->iov_base = (uint8_t *)p->iov->iov_base + skip;
	p->iov->iov_len -= skip;
	if (p->n > NET_IOV_MAX)
		return false;
	p->hdr.num_buffers = le16_of(0);
	p->len = (uint32_t)(c->out_len - sizeof(p->hdr));
	gso = p->hdr.gso_type & (uint8_t)~VNET_GSO_ECN;
	return (!(p->hdr.flags & VNET_F_NEEDS_CSUM) || virtio_has(&s->v, F_CSUM)) &&
	       (!(p->hdr.gso_type & VNET_GSO_ECN) || virtio_has(&s->v, F_HOST_ECN)) &&
	       (gso == VNET_GSO_NONE || (gso == VNET_GSO_TCPV4 && virtio_has(&s->v, F_HOST_TSO4)) ||
		       (gso == VNET_GSO_TCPV6 && virtio_has(&s->v, F_HOST_TSO6)));
}

/* Pop up to a batch. How many, or -EPROTO. */
static int tx_pop(struct virtio_net *s, struct tx_queue *t, struct virtqueue *q)
{
	uint32_t used = 0;
	int n = 0, r = 1;

	while (n < NET_BATCH && used + 1 + VQ_IOV_MAX <= TX_IOVS) {
		struct vq_chain *c = &t->chain[n];

		c->iov = t->iov + used + 1; /* one before it for the back end */
		r = vq_pop(q, c, VQ_IOV_MAX);
		if (r <= 0)
			break;
		used += 1 + (uint32_t)(c->n_out + c->n_in);
		if (!tx_prepare(s, c, &t->packet[n]))
			t->packet[n].len = 0;
		n++;
	}
	return r < 0 ? r : n;
}

static void tx_turn(struct virtio_net *s, unsigned int pair)
{
	struct virtqueue *q = &s->v.vq[2 * pair + 1];
	struct tx_queue *t = &s->pair[pair].tx;
	uint64_t moved = 0;
	int n, sent, r = 0;

	rx_forget(s, pair); /* before there are answers */
	do {
		n = tx_pop(s, t, q);
		sent = n > 0 ? net_send(s->net, pair, t->packet, n) : 0;
		TRACE3(virtio_net, tx, q->index, n, sent);
		for (int i = 0; i < sent && !r; i++) {
			moved += t->packet[i].len;
			r = vq_push(q, &t->chain[i], 0);
		}
		for (int i = n; i > sent && !r; i--)
			vq_unpop(q, &t->chain[i - 1]);
	} while (n > 0 && sent == n && !r);
	if (n < 0 || r < 0)
		virtio_break(&s->v, "queue %u is damaged", q->index);
	loop_moved(pair_loop(s, pair), moved);
	virtio_notify(&s->v, q);
}

/* -------- queues -------- */

/* Where the control queue is depends on MQ (5.1.2). */
static bool is_control(struct virtio_device *v, unsigned int q)
{
	struct virtio_net *s = net_of(v);

	return s->cfg.ctrl_vq && q == (virtio_has(v, F_MQ) ? 2 * s->max_pairs : 2);
}

static unsigned int net_lane(struct virtio_device *v, unsigned int q)
{
	return q / 2 < net_of(v)->max_pairs ? q / 2 : 0;
}

static void net_handle_queue(struct virtio_device *v, unsigned int q)
{
	struct virtio_net *s = net_of(v);

	if (is_control(v, q)) {
		if (virtio_has(v, F_CTRL_VQ))
			ctrl_turn(s, &v->vq[q]);
	} else if (q / 2 < s->max_pairs) {
		if (q & 1)
			tx_turn(s, q / 2);
		else
			rx_turn(s, q / 2);
	}
}

static void on_readable(void *opaque, unsigned int pair)
{
	struct virtio_net *s = opaque;
	struct mutex *lock = virtio_lane(&s->v, 2 * pair)->lock;

	mutex_lock(lock);
	rx_turn(s, pair);
	mutex_unlock(lock);
}

static void on_writable(void *opaque, unsigned int pair)
{
	struct virtio_net *s = opaque;

	virtio_kick(&s->v, 2 * pair + 1);
}

static void net_changed(struct virtio_device *v)
{
	struct virtio_net *s = net_of(v);

	if (s->vhost)
		net_apply_later(s);
}

static void on_link(void *opaque, bool up)
{
	struct virtio_net *s = opaque;

	mutex_lock(&s->v.pci.dev.lock);
	s->status &= (uint16_t)~S_LINK_UP;
	s->status |= up ? S_LINK_UP : 0;
	wr_le16(s->v.config + STATUS_OFF, s->status);
	virtio_config_changed(&s->v);
	net_vhost_halt(s); /* at once: its descriptors may be closed next */
	net_changed(&s->v);
	for (unsigned int i = 0; i < s->max_pairs; i++) {
		virtio_kick(&s->v, 2 * i);
		virtio_kick(&s->v, 2 * i + 1);
	}
	mutex_unlock(&s->v.pci.dev.lock);
}

/* -------- features and state -------- */

static uint64_t features_wanted(struct virtio_device *v)
{
	struct virtio_net *s = net_of(v);
	const struct net_nic_config *c = &s->cfg;
	unsigned int o = net_offloads(s->net);
	uint64_t f = BIT_ULL(F_MAC);

	if (o & NET_CSUM && c->csum) {
		f |= BIT_ULL(F_CSUM);
		if (c->tso)
			f |= (o & NET_TSO4 ? BIT_ULL(F_HOST_TSO4) : 0) |
			     (o & NET_TSO6 ? BIT_ULL(F_HOST_TSO6) : 0) |
			     (o & NET_ECN ? BIT_ULL(F_HOST_ECN) : 0);
	}
	if (o & NET_CSUM && c->guest_csum) {
		f |= BIT_ULL(F_GUEST_CSUM);
		if (c->guest_tso)
			f |= (o & NET_TSO4 ? BIT_ULL(F_GUEST_TSO4) : 0) |
			     (o & NET_TSO6 ? BIT_ULL(F_GUEST_TSO6) : 0) |
			     (o & NET_ECN ? BIT_ULL(F_GUEST_ECN) : 0);
	}
	f |= c->mrg_rxbuf ? BIT_ULL(F_MRG_RXBUF) : 0;
	f |= c->status ? BIT_ULL(F_STATUS) : 0;
	f |= c->mtu ? BIT_ULL(F_MTU) : 0;
	if (!c->ctrl_vq)
		return f;
	f |= BIT_ULL(F_CTRL_VQ) | BIT_ULL(F_CTRL_RX) | BIT_ULL(F_CTRL_VLAN) |
	     BIT_ULL(F_CTRL_RX_EXTRA) | BIT_ULL(F_CTRL_MAC_ADDR);
	f |= c->status ? BIT_ULL(F_GUEST_ANNOUNCE) : 0;
	f |= f & BIT_ULL(F_GUEST_CSUM) ? BIT_ULL(F_CTRL_GUEST_OFFLOADS) : 0;
	return f | (s->max_pairs > 1 ? BIT_ULL(F_MQ) : 0);
}

static uint64_t net_features(struct virtio_device *v)
{
	return features_wanted(v) & ~net_vhost_lacks(net_of(v));
}

/* What needs what (5.1.3.1). */
static bool net_features_ok(struct virtio_device *v, uint64_t f)
{
	static const uint8_t needs[][2] = {
		{ F_GUEST_TSO4, F_GUEST_CSUM },
		{ F_GUEST_TSO6, F_GUEST_CSUM },
		{ F_HOST_TSO4, F_CSUM },
		{ F_HOST_TSO6, F_CSUM },
		{ F_CTRL_RX, F_CTRL_VQ },
		{ F_CTRL_RX_EXTRA, F_CTRL_VQ },
		{ F_CTRL_VLAN, F_CTRL_VQ },
		{ F_CTRL_MAC_ADDR, F_CTRL_VQ },
		{ F_GUEST_ANNOUNCE, F_CTRL_VQ },
		{ F_CTRL_GUEST_OFFLOADS, F_CTRL_VQ },
		{ F_MQ, F_CTRL_VQ },
	};

	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		if (f >> needs[i][0] & 1 && !(f >> needs[i][1] & 1))
			return false;
	}
	return true;
}

uint32_t net_feature_offloads(const struct virtio_net *s)
{
	const struct virtio_device *v = &s->v;

	return (virtio_has(v, F_GUEST_CSUM) ? NET_CSUM : 0) |
	       (virtio_has(v, F_GUEST_TSO4) ? NET_TSO4 : 0) |
	       (virtio_has(v, F_GUEST_TSO6) ? NET_TSO6 : 0) |
	       (virtio_has(v, F_GUEST_ECN) ? NET_ECN : 0);
}

/* On the pair's loop: are its frames to be read? */
static void pair_apply(void *opaque)
{
	struct net_pair *p = opaque;
	struct virtio_net *s = p->s;
	unsigned int i = (unsigned int)(p - s->pair);
	struct mutex *lock = virtio_lane(&s->v, 2 * i)->lock;
	bool ours;

	mutex_lock(lock);
	ours = i < s->pairs && !s->v.quiesced && !net_vhost_runs(s, i);
	if (!s->v.quiesced)
		rx_forget(s, i);
	net_rx_enable(s->net, i, ours);
	if (ours)
		virtio_kick(&s->v, 2 * i);
	mutex_unlock(lock);
}

static void apply(void *opaque)
{
	struct virtio_net *s = opaque;
	struct loop *home = s->v.pci.dev.home;

	mutex_lock(&s->v.pci.dev.lock);
	net_vhost_halt(s);
	net_set_guest_offloads(s->net, s->offloads);
	net_set_pairs(s->net, s->pairs);
	net_vhost_run(s);
	mutex_unlock(&s->v.pci.dev.lock);
	for (unsigned int i = 0; i < s->max_pairs; i++) {
		if (pair_loop(s, i) == home)
			pair_apply(&s->pair[i]);
		else
			loop_post(pair_loop(s, i), &s->pair[i].apply);
	}
}

void net_apply_later(struct virtio_net *s)
{
	loop_post(s->v.pci.dev.home, &s->apply);
}

static void net_start(struct virtio_device *v)
{
	struct virtio_net *s = net_of(v);

	s->offloads = net_feature_offloads(s);
	net_apply_later(s);
}

static void net_class_reset(struct virtio_device *v)
{
	struct virtio_net *s = net_of(v);

	ctrl_reset(s);
	wr_le16(v->config + STATUS_OFF, s->status);
	for (uint32_t i = 0; i < s->max_pairs; i++) {
		s->pair[i].rx.bounced = 0;
		s->pair[i].stale = true;
	}
	net_apply_later(s);
}

static const struct virtio_class net_class = {
	.device_id = 1,
	.pci_class = 0x020000, /* Ethernet controller */
	.config_size = sizeof(struct config_space),
	.features = net_features,
	.features_ok = net_features_ok,
	.start = net_start,
	.handle_queue = net_handle_queue,
	.reset = net_class_reset,
	.changed = net_changed,
	.lane = net_lane,
	.exclusive = is_control,
};

/* -------- life -------- */

static void arrays_free(struct virtio_net *s)
{
	for (uint32_t i = 0; s->pair && i < s->max_pairs; i++) {
		struct net_pair *p = &s->pair[i];

		rx_queue_free(&p->rx);
		free(p->tx.chain);
		free(p->tx.packet);
		free(p->tx.iov);
	}
	free(s->pair);
	free(s->ctrl_iov);
	s->pair = NULL;
	s->ctrl_iov = NULL;
}

static bool pair_make(struct virtio_net *s, struct net_pair *p)
{
	p->s = s;
	loop_defer_init(&p->apply, pair_apply, p);
	p->tx.chain = calloc(NET_BATCH, sizeof(*p->tx.chain));
	p->tx.packet = calloc(NET_BATCH, sizeof(*p->tx.packet));
	p->tx.iov = calloc(TX_IOVS, sizeof(*p->tx.iov));
	return p->tx.chain && p->tx.packet && p->tx.iov && rx_queue_make(&p->rx);
}

static bool arrays_make(struct virtio_net *s, struct error *err)
{
	bool ok;

	s->pair = calloc(s->max_pairs, sizeof(*s->pair));
	s->ctrl_iov = calloc(VQ_IOV_MAX, sizeof(*s->ctrl_iov));
	ok = s->pair && s->ctrl_iov;
	for (uint32_t i = 0; ok && i < s->max_pairs; i++)
		ok = pair_make(s, &s->pair[i]);
	return ok || error_set(err, "out of memory for %u pairs of queues", s->max_pairs);
}

/* The guest's address: given, or of our own choice. */
static bool choose_mac(struct virtio_net *s, struct error *err)
{
	static const uint8_t none[6], prefix[3] = { 0x52, 0x54, 0x00 };
	uint8_t *mac = s->cfg.mac;

	if (mac[0] & 1)
		return error_usage(err, "mac: %02x:.. is a multicast address", mac[0]);
	if (memcmp(mac, none, 6))
		return true;
	memcpy(mac, prefix, 3);
	return getrandom(mac + 3, 3, 0) == 3 || error_set_errno(err, errno, "no random address");
}

static bool net_prepare(struct virtio_net *s, struct error *err)
{
	struct device *d = &s->v.pci.dev;
	uint32_t vectors;

	s->net = machine_backend(d->machine, BACKEND_NET, s->cfg.netdev, err);
	if (!s->net || !choose_mac(s, err))
		return false;
	if (!s->cfg.mtu)
		s->cfg.mtu = s->cfg.host_mtu;
	if (s->cfg.mtu && s->cfg.mtu < 68)
		return error_usage(err, "mtu=%u: 68 to 65535 are possible", s->cfg.mtu);
	s->max_pairs = s->cfg.mq && s->cfg.ctrl_vq ? net_queues(s->net) : 1;
	vectors = 2 * s->max_pairs + s->cfg.ctrl_vq + 1;
	if (s->cfg.vectors && s->cfg.vectors < vectors)
		return error_usage(err,
			"vectors=%u: this card has %u, one a queue and one more; leave it out",
			s->cfg.vectors, vectors);
	loop_defer_init(&s->apply, apply, s);
	/* Where the kernel moves the frames our loops have nothing to do side by side. */
	return net_vhost_choose(s, err) &&
	       virtio_choose_loops(&s->v, &s->cfg.virtio, s->vhost ? 1 : s->max_pairs, err) &&
	       arrays_make(s, err);
}

static void config_fill(struct virtio_net *s)
{
	struct config_space c = {
		.max_virtqueue_pairs = le16_of((uint16_t)s->max_pairs),
		.mtu = le16_of(s->cfg.mtu),
	};

	memcpy(s->v.config, &c, sizeof(c));
	s->status = net_link(s->net) ? S_LINK_UP : 0;
	ctrl_reset(s);
	wr_le16(s->v.config + STATUS_OFF, s->status);
}

static void defers_cancel(void *opaque)
{
	struct virtio_net *s = opaque;

	loop_defer_cancel(s->v.pci.dev.home, &s->apply);
}

static void pair_cancel(void *opaque)
{
	struct net_pair *p = opaque;

	loop_defer_cancel(pair_loop(p->s, (unsigned int)(p - p->s->pair)), &p->apply);
}

/* Nothing is in flight and the network is another one's again. */
static void net_end(struct virtio_net *s)
{
	virtio_leave(&s->v); /* nobody writes registers any more: nothing is put off any more */
	loop_call(s->v.pci.dev.home, defers_cancel, s);
	for (unsigned int i = 0; i < s->max_pairs; i++)
		loop_call(pair_loop(s, i), pair_cancel, &s->pair[i]);
	virtio_fini(&s->v);
	net_vhost_free(s);
	arrays_free(s);
}

static bool attach(struct virtio_net *s, struct error *err)
{
	struct net_front front = { on_readable, on_writable, on_link, s };
	struct loop *loops[NET_QUEUES_MAX];

	for (uint32_t i = 0; i < s->max_pairs; i++)
		loops[i] = pair_loop(s, i);
	return net_attach(s->net, loops, s->max_pairs, &front, err);
}

static bool net_realize(struct device *d, struct error *err)
{
	struct virtio_net *s = CONTAINER_OF(d, struct virtio_net, v.pci.dev);
	uint64_t lacks;

	if (!net_prepare(s, err)) {
		net_vhost_free(s);
		arrays_free(s);
		return false;
	}
	lacks = net_vhost_lacks(s);
	s->cfg.virtio.packed &= !(lacks >> VIRTIO_F_RING_PACKED & 1);
	s->cfg.virtio.event_idx &= !(lacks >> VIRTIO_F_EVENT_IDX & 1);
	s->cfg.virtio.indirect &= !(lacks >> VIRTIO_F_INDIRECT_DESC & 1);
	if (!virtio_init(
		    &s->v, &net_class, &s->cfg.virtio, 2 * s->max_pairs + s->cfg.ctrl_vq, err)) {
		net_vhost_free(s);
		arrays_free(s);
		return false;
	}
	config_fill(s);
	if (net_vhost_make(s, err) && attach(s, err)) {
		net_vhost_listen(s);
		net_apply_later(s);
		return true;
	}
	net_end(s);
	return false;
}

/* Have the rings back before anybody waits for what is in flight. */
static void net_quiesce(struct device *d)
{
	struct virtio_net *s = CONTAINER_OF(d, struct virtio_net, v.pci.dev);

	mutex_lock(&d->lock);
	virtio_hold(&s->v);
	s->v.quiesced = true;
	virtio_let_go(&s->v);
	mutex_unlock(&d->lock);
	loop_call(d->home, apply, s);
	virtio_quiesce(d); /* comes round all loops: the pairs have heard of it */
}

static void net_unrealize(struct device *d)
{
	struct virtio_net *s = CONTAINER_OF(d, struct virtio_net, v.pci.dev);

	net_quiesce(d);
	net_detach(s->net);
	net_end(s);
	net_drop(s->net);
}

/* The link may have changed while nobody was told, and after a load the neighbours should hear of us. */
static void net_resume(struct device *d)
{
	struct virtio_net *s = CONTAINER_OF(d, struct virtio_net, v.pci.dev);

	virtio_resume(d);
	mutex_lock(&d->lock);
	if ((s->loaded && s->v.started) || s->status & S_ANNOUNCE)
		virtio_config_changed(&s->v);
	s->loaded = false;
	mutex_unlock(&d->lock);
	net_apply_later(s);
}

static void net_pre_save(struct device *d)
{
	struct virtio_net *s = CONTAINER_OF(d, struct virtio_net, v.pci.dev);

	virtio_pre_save(d);
	s->unplugged = !net_plugged(s->net);
}

/* The plug is as it was; whether somebody is at the cable's other end is the new place's to say. */
static bool net_post_load(struct device *d, struct error *err)
{
	struct virtio_net *s = CONTAINER_OF(d, struct virtio_net, v.pci.dev);
	bool up;

	if (!s->pairs || s->pairs > s->max_pairs)
		return error_set(err, "saved state uses %u pairs of queues, the device has %u",
			s->pairs, s->max_pairs);
	if (!virtio_post_load(d, err))
		return false;
	if (s->offloads & ~net_feature_offloads(s))
		return error_set(err, "saved offloads 0x%x were not negotiated", s->offloads);
	net_load_link(s->net, !s->unplugged);
	up = net_link(s->net);
	s->status = (uint16_t)((up ? S_LINK_UP : 0) |
			       (up && virtio_has(&s->v, F_GUEST_ANNOUNCE) ? S_ANNOUNCE : 0));
	memcpy(s->v.config, s->mac, 6);
	wr_le16(s->v.config + STATUS_OFF, s->status);
	for (uint32_t i = 0; i < s->max_pairs; i++)
		s->pair[i].rx.bounced = 0;
	s->loaded = true;
	return true;
}

#define C struct net_nic_config
static const struct field net_nic_fields[] = {
	FIELD_STR(C, netdev, "netdev", .flags = FF_REQUIRED, .doc = "network by its id"),
	FIELD_MAC(C, mac, "mac", .doc = "address; default: 52:54:00 and random"),
	FIELD_U16(C, mtu, "mtu", .dflt = "0",
		.doc = "longest packet told to the guest; 0: nothing is told"),
	FIELD_U16(C, host_mtu, "host_mtu", .doc = "the same, as QEMU's users know it"),
	FIELD_U32(C, vectors, "vectors", .max = 2048,
		.doc = "MSI-X vectors: at least one a queue and one more; 0: as many as that"),
	FIELD_BOOL(C, csum, "csum", .dflt = "on", .doc = "offer to make checksums"),
	FIELD_BOOL(C, tso, "host_tso", .dflt = "on", .doc = "offer to make segments"),
	FIELD_BOOL(
		C, guest_csum, "guest_csum", .dflt = "on", .doc = "offer frames without checksums"),
	FIELD_BOOL(
		C, guest_tso, "guest_tso", .dflt = "on", .doc = "offer segments joined together"),
	FIELD_BOOL(C, mrg_rxbuf, "mrg_rxbuf", .dflt = "on",
		.doc = "offer to use several buffers a frame"),
	FIELD_BOOL(C, ctrl_vq, "ctrl_vq", .dflt = "on",
		.doc = "offer a control queue (filters, queues)"),
	FIELD_BOOL(C, mq, "mq", .dflt = "on", .doc = "offer all queues of the network"),
	FIELD_BOOL(C, status, "status", .dflt = "on", .doc = "offer the link's state"),
	VIRTIO_FIELDS(C, virtio),
};
#undef C
static const struct field_table net_nic_table = FIELD_TABLE(
	"virtio-net-pci", struct net_nic_config, net_nic_fields);

static const struct field net_state_fields[] = {
	FIELD_STRUCT(struct virtio_net, v, "virtio", &virtio_device_state, .tag = 1),
	FIELD_STRUCT(struct virtio_net, filter, "filter", &rx_filter_state, .tag = 2),
	FIELD_MAC(struct virtio_net, mac, "mac", .tag = 3),
	FIELD_U16(struct virtio_net, pairs, "pairs", .tag = 4, .max = NET_QUEUES_MAX),
	FIELD_U32(struct virtio_net, offloads, "offloads", .tag = 5, .max = 15),
	FIELD_BOOL(struct virtio_net, unplugged, "unplugged", .tag = 6), /* since version 2 */
};
static const struct field_table net_state_table = {
	.name = "virtio-net-pci",
	.struct_size = sizeof(struct virtio_net),
	.version = 2,
	.fields = net_state_fields,
	.n_fields = ARRAY_SIZE(net_state_fields),
};

const struct device_type virtio_net_pci_type = {
	.name = "virtio-net-pci",
	.alias = "virtio-net-pci-non-transitional",
	.doc = "virtio network card",
	.bus = BUS_PCI,
	.flags = DEVICE_USER,
	.size = sizeof(struct virtio_net),
	.config = &net_nic_table,
	.config_off = offsetof(struct virtio_net, cfg),
	.state = &net_state_table,
	.realize = net_realize,
	.unrealize = net_unrealize,
	.reset = virtio_reset,
	.quiesce = net_quiesce,
	.resume = net_resume,
	.pre_save = net_pre_save,
	.post_load = net_post_load,
	.test_options = "netdev=test",
};
