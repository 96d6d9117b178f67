// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-net, the control queue (virtio 1.2, 5.1.6.5): which frames the guest wants, its address, queues in
 * use, offloads. A command is a header of two bytes and its data, which we read, and a status byte, which we
 * write; in any layout of descriptors. Everything else wrong with it is told in the status. Where several
 * loops move frames they stand still meanwhile (virtio_class.exclusive).
 *
 * SPEC: without CTRL_RX negotiated the guest gets all frames, as from other devices.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/trace.h"
#include "base/types.h"
#include "core/notice.h"
#include "hw/virtio/net_int.h"

enum { CLASS_RX, CLASS_MAC, CLASS_VLAN, CLASS_ANNOUNCE, CLASS_MQ, CLASS_OFFLOADS };
enum { RX_PROMISC, RX_ALLMULTI, RX_ALLUNI, RX_NOMULTI, RX_NOUNI, RX_NOBCAST };
enum { MAC_TABLE_SET, MAC_ADDR_SET };
enum { VLAN_ADD, VLAN_DEL };
#define ANNOUNCE_ACK 0
#define MQ_PAIRS_SET 0
#define OFFLOADS_SET 0

/* -------- the filter -------- */

static bool in_table(const uint8_t *table, uint32_t n, const uint8_t *mac)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!memcmp(table + i * 6, mac, 6))
			return true;
	}
	return false;
}

static bool wanted_mac(const struct virtio_net *s, const uint8_t *mac)
{
	static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	const struct rx_filter *f = &s->filter;

	if (f->promisc)
		return true;
	if (!memcmp(mac, broadcast, 6))
		return !f->nobcast;
	if (mac[0] & 1)
		return !f->nomulti &&
		       (f->allmulti || f->multi_overflow || in_table(f->multi, f->n_multi, mac));
	return !f->nouni && (f->alluni || f->uni_overflow || !memcmp(mac, s->mac, 6) ||
				    in_table(f->uni, f->n_uni, mac));
}

bool rx_wanted(const struct virtio_net *s, const uint8_t *head, size_t n)
{
	uint16_t vlan;

	if (n < NET_FRAME_MIN)
		return false;
	if (virtio_has(&s->v, F_CTRL_VLAN) && n >= 16 && rd_be16(head + 12) == 0x8100) {
		vlan = rd_be16(head + 14) & (VLANS_MAX - 1);
		if (!(s->filter.vlans[vlan / 8] >> vlan % 8 & 1))
			return false;
	}
	return wanted_mac(s, head);
}

void ctrl_reset(struct virtio_net *s)
{
	memset(&s->filter, 0, sizeof(s->filter));
	s->filter.promisc = true;
	memcpy(s->mac, s->cfg.mac, 6);
	memcpy(s->v.config, s->mac, 6);
	s->pairs = 1;
	s->offloads = 0;
	s->status &= (uint16_t)~S_ANNOUNCE;
}

/* -------- who looks at the filter from outside -------- */

/* The guest wants other frames now. Once, until somebody has asked what it wants: a driver may do this all day. */
static bool filter_changed(struct virtio_net *s)
{
	const struct device *d = &s->v.pci.dev;
	struct notice n = { .kind = NOTICE_NIC_RX_FILTER_CHANGED, .device = d };

	if (s->filter_told)
		return true;
	s->filter_told = true;
	snprintf(n.id, sizeof(n.id), "%s", d->id ?: "");
	machine_notice(d->machine, &n);
	return true;
}

bool nic_is(const struct device *d)
{
	return d->type == &virtio_net_pci_type && d->realized;
}

struct net_dev *nic_network(struct device *d)
{
	return CONTAINER_OF(d, struct virtio_net, v.pci.dev)->net;
}

static enum nic_wants wants(bool none, bool all)
{
	return none ? NIC_NONE : all ? NIC_ALL : NIC_SOME;
}

void nic_get_rx_filter(struct device *d, struct nic_rx_filter *out)
{
	struct virtio_net *s = CONTAINER_OF(d, struct virtio_net, v.pci.dev);
	static const uint8_t no_vlans[sizeof(s->filter.vlans)];
	const struct rx_filter *f = &s->filter;

	mutex_lock(&d->lock);
	*out = (struct nic_rx_filter){
		.promisc = f->promisc,
		.broadcast = !f->nobcast,
		.unicast = wants(f->nouni, f->alluni),
		.multicast = wants(f->nomulti, f->allmulti),
		.vlan = !virtio_has(&s->v, F_CTRL_VLAN)			? NIC_ALL
			: !memcmp(f->vlans, no_vlans, sizeof(no_vlans)) ? NIC_NONE
									: NIC_SOME,
		.uni_overflow = f->uni_overflow,
		.multi_overflow = f->multi_overflow,
		.n_uni = f->n_uni,
		.n_multi = f->n_multi,
	};
	memcpy(out->mac, s->mac, sizeof(out->mac));
	memcpy(out->uni, f->uni, sizeof(out->uni));
	memcpy(out->multi, f->multi, sizeof(out->multi));
	memcpy(out->vlans, f->vlans, sizeof(out->vlans));
	s->filter_told = false;
	mutex_unlock(&d->lock);
}

/* -------- commands: true is OK -------- */

static bool ctrl_rx(struct virtio_net *s, uint8_t command, const struct vq_chain *c)
{
	struct rx_filter *f = &s->filter;
	bool *flag[] = { &f->promisc, &f->allmulti, &f->alluni, &f->nomulti, &f->nouni,
		&f->nobcast };
	uint8_t on;

	if (!virtio_has(&s->v, command < RX_ALLUNI ? F_CTRL_RX : F_CTRL_RX_EXTRA) ||
		command >= ARRAY_SIZE(flag) || vq_chain_read(c, 2, &on, 1) != 1)
		return false;
	*flag[command] = on;
	return filter_changed(s);
}

/* One table at *@off: le32 entries, then addresses. Too many: *@overflow, all pass. */
static bool read_macs(
	const struct vq_chain *c, uint64_t *off, uint8_t *table, uint16_t *n, bool *overflow)
{
	uint8_t count[4];
	uint64_t bytes;

	if (vq_chain_read(c, *off, count, 4) != 4)
		return false;
	*off += 4;
	bytes = (uint64_t)rd_le32(count) * 6;
	if (bytes > c->out_len - *off)
		return false;
	*overflow = rd_le32(count) > MACS_MAX;
	*n = (uint16_t)(*overflow ? 0 : rd_le32(count));
	vq_chain_read(c, *off, table, *n * 6u);
	*off += bytes;
	return true;
}

static bool mac_table_set(struct virtio_net *s, const struct vq_chain *c)
{
	struct rx_filter f = s->filter;
	uint64_t off = 2;

	if (!read_macs(c, &off, f.uni, &f.n_uni, &f.uni_overflow) ||
		!read_macs(c, &off, f.multi, &f.n_multi, &f.multi_overflow))
		return false;
	s->filter = f;
	return true;
}

static bool ctrl_mac(struct virtio_net *s, uint8_t command, const struct vq_chain *c)
{
	uint8_t mac[6];

	if (command == MAC_TABLE_SET && virtio_has(&s->v, F_CTRL_RX))
		return mac_table_set(s, c) && filter_changed(s);
	if (command != MAC_ADDR_SET || !virtio_has(&s->v, F_CTRL_MAC_ADDR) ||
		vq_chain_read(c, 2, mac, 6) != 6)
		return false;
	memcpy(s->mac, mac, 6);
	memcpy(s->v.config, mac, 6);
	return filter_changed(s);
}

static bool ctrl_vlan(struct virtio_net *s, uint8_t command, const struct vq_chain *c)
{
	uint8_t id[2];
	uint16_t vlan;

	if (!virtio_has(&s->v, F_CTRL_VLAN) || command > VLAN_DEL ||
		vq_chain_read(c, 2, id, 2) != 2)
		return false;
	vlan = rd_le16(id);
	if (vlan >= VLANS_MAX)
		return false;
	if (command == VLAN_ADD)
		s->filter.vlans[vlan / 8] |= (uint8_t)BIT(vlan % 8);
	else
		s->filter.vlans[vlan / 8] &= (uint8_t)~BIT(vlan % 8);
	return filter_changed(s);
}

static bool ctrl_announce(struct virtio_net *s, uint8_t command)
{
	if (command != ANNOUNCE_ACK || !virtio_has(&s->v, F_GUEST_ANNOUNCE))
		return false;
	s->status &= (uint16_t)~S_ANNOUNCE;
	wr_le16(s->v.config + 6, s->status);
	return true;
}

static bool ctrl_mq(struct virtio_net *s, uint8_t command, const struct vq_chain *c)
{
	uint8_t pairs[2];
	uint16_t n;

	if (command != MQ_PAIRS_SET || !virtio_has(&s->v, F_MQ) ||
		vq_chain_read(c, 2, pairs, 2) != 2)
		return false;
	n = rd_le16(pairs);
	if (n < 1 || n > s->max_pairs)
		return false;
	s->pairs = n;
	net_apply_later(s);
	return true;
}

static bool ctrl_offloads(struct virtio_net *s, uint8_t command, const struct vq_chain *c)
{
	uint32_t may = net_feature_offloads(s), want;
	uint8_t bits[8];
	uint64_t o;

	if (command != OFFLOADS_SET || !virtio_has(&s->v, F_CTRL_GUEST_OFFLOADS) ||
		vq_chain_read(c, 2, bits, 8) != 8)
		return false;
	o = rd_le64(bits);
	if (o & ~(BIT_ULL(F_GUEST_CSUM) | BIT_ULL(F_GUEST_TSO4) | BIT_ULL(F_GUEST_TSO6) |
			BIT_ULL(F_GUEST_ECN)))
		return false;
	want = (o >> F_GUEST_CSUM & 1 ? NET_CSUM : 0) | (o >> F_GUEST_TSO4 & 1 ? NET_TSO4 : 0) |
	       (o >> F_GUEST_TSO6 & 1 ? NET_TSO6 : 0) | (o >> F_GUEST_ECN & 1 ? NET_ECN : 0);
	if (want & ~may)
		return false;
	s->offloads = want;
	net_apply_later(s);
	return true;
}

static bool command(struct virtio_net *s, const struct vq_chain *c)
{
	uint8_t head[2];

	if (vq_chain_read(c, 0, head, 2) != 2)
		return false;
	TRACE2(virtio_net, control, head[0], head[1]);
	switch (head[0]) {
	case CLASS_RX:
		return ctrl_rx(s, head[1], c);
	case CLASS_MAC:
		return ctrl_mac(s, head[1], c);
	case CLASS_VLAN:
		return ctrl_vlan(s, head[1], c);
	case CLASS_ANNOUNCE:
		return ctrl_announce(s, head[1]);
	case CLASS_MQ:
		return ctrl_mq(s, head[1], c);
	case CLASS_OFFLOADS:
		return ctrl_offloads(s, head[1], c);
	default:
		return false;
	}
}

void ctrl_turn(struct virtio_net *s, struct virtqueue *q)
{
	struct vq_chain c = { .iov = s->ctrl_iov };
	int r;

	while ((r = vq_pop(q, &c, VQ_IOV_MAX)) > 0) {
		uint8_t status;

		if (c.in_len < 1) {
			virtio_break(&s->v, "control command without room for a status");
			return;
		}
		status = command(s, &c) ? 0 : 1;
		vq_chain_write(&c, 0, &status, 1);
		r = vq_push(q, &c, 1);
		if (r < 0)
			break;
	}
	if (r < 0)
		virtio_break(&s->v, "queue %u is damaged", q->index);
	virtio_notify(&s->v, q);
}

static const struct field filter_fields[] = {
	FIELD_BOOL(struct rx_filter, promisc, "promisc", .tag = 1),
	FIELD_BOOL(struct rx_filter, allmulti, "allmulti", .tag = 2),
	FIELD_BOOL(struct rx_filter, alluni, "alluni", .tag = 3),
	FIELD_BOOL(struct rx_filter, nomulti, "nomulti", .tag = 4),
	FIELD_BOOL(struct rx_filter, nouni, "nouni", .tag = 5),
	FIELD_BOOL(struct rx_filter, nobcast, "nobcast", .tag = 6),
	FIELD_BOOL(struct rx_filter, uni_overflow, "uni-overflow", .tag = 7),
	FIELD_BOOL(struct rx_filter, multi_overflow, "multi-overflow", .tag = 8),
	FIELD_U16(struct rx_filter, n_uni, "n-uni", .tag = 9, .max = MACS_MAX),
	FIELD_U16(struct rx_filter, n_multi, "n-multi", .tag = 10, .max = MACS_MAX),
	FIELD_BYTES(struct rx_filter, uni, "uni", .tag = 11),
	FIELD_BYTES(struct rx_filter, multi, "multi", .tag = 12),
	FIELD_BYTES(struct rx_filter, vlans, "vlans", .tag = 13),
};
const struct field_table rx_filter_state = FIELD_TABLE(
	"virtio-net-filter", struct rx_filter, filter_fields);
