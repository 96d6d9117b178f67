// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nic - what the control plane asks of a network card (virtio-net-pci): its network, which frames its guest wants. On main.
 * That the guest wants others is told by NOTICE_NIC_RX_FILTER_CHANGED, once until somebody has asked.
 */
#ifndef HW_VIRTIO_NIC_H
#define HW_VIRTIO_NIC_H

#include <stdbool.h>
#include <stdint.h>

struct device;
struct net_dev;

#define NIC_MACS_MAX  64u
#define NIC_VLANS_MAX 4096u

enum nic_wants { NIC_SOME, NIC_NONE, NIC_ALL };

struct nic_rx_filter {
	bool promisc, broadcast;
	enum nic_wants unicast, multicast,
		vlan; /* NIC_SOME: what is in the tables, and its own address */
	bool uni_overflow, multi_overflow; /* more addresses than the table holds: all */
	uint8_t mac[6];
	uint16_t n_uni, n_multi;
	uint8_t uni[NIC_MACS_MAX][6], multi[NIC_MACS_MAX][6];
	uint8_t vlans[NIC_VLANS_MAX / 8]; /* bitmap */
};

bool nic_is(const struct device *d);
/* What its frames come from and go to; a network that was taken away (net_is_cut()) is only this card's. */
struct net_dev *nic_network(struct device *d);
void nic_get_rx_filter(struct device *d, struct nic_rx_filter *out);

#endif
