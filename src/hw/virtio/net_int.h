// SPDX-License-Identifier: GPL-2.0-or-later
/* net_int - what the parts of virtio-net share: net.c (device, transmission), net_rx.c (reception),
 * net_ctrl.c (control queue, filters). What concerns a pair is under its lane's lock on that lane's loop
 * (virtio.h); the rest under dev.lock on the home loop, unless said otherwise. */
#ifndef HW_VIRTIO_NET_INT_H
#define HW_VIRTIO_NET_INT_H

#include "hw/virtio/nic.h"
#include "hw/virtio/virtio.h"
#include "net/net.h"

#define MACS_MAX  NIC_MACS_MAX
#define VLANS_MAX NIC_VLANS_MAX

/* Features (virtio 1.2, 5.1.3). */
#define F_CSUM		      0
#define F_GUEST_CSUM	      1
#define F_CTRL_GUEST_OFFLOADS 2
#define F_MTU		      3
#define F_MAC		      5
#define F_GUEST_TSO4	      7
#define F_GUEST_TSO6	      8
#define F_GUEST_ECN	      9
#define F_GUEST_UFO	      10
#define F_HOST_TSO4	      11
#define F_HOST_TSO6	      12
#define F_HOST_ECN	      13
#define F_MRG_RXBUF	      15
#define F_STATUS	      16
#define F_CTRL_VQ	      17
#define F_CTRL_RX	      18
#define F_CTRL_VLAN	      19
#define F_CTRL_RX_EXTRA	      20
#define F_GUEST_ANNOUNCE      21
#define F_MQ		      22
#define F_CTRL_MAC_ADDR	      23

#define S_LINK_UP  1
#define S_ANNOUNCE 2

/* Room for a packet that the driver has given: chains that are popped for the time of a turn. */
struct rx_queue {
	struct vq_chain *chain; /* owned, VQ_SIZE_MAX */
	struct iovec *iov;	/* owned, RX_IOVS: the chains', one after the other */
	uint32_t first, n;	/* chains that are out: first .. first + n - 1 */
	uint32_t iov_first, iov_n;
	uint64_t bytes;	     /* in all of them */
	uint32_t short_run;  /* so many frames were short, one after the other */
	uint8_t *bounce;     /* owned, NET_FRAME_MAX: a frame that has come but has no room yet */
	uint32_t bounced;    /* its length; 0: none */
	struct vnet_hdr hdr; /* its header */
	struct iovec *into;  /* owned, RX_IOVS: what one read goes to */
	uint32_t moved;	     /* bytes given to the driver in this turn */
};

/* Transmission: one batch. */
struct tx_queue {
	struct vq_chain *chain; /* owned, NET_BATCH */
	struct net_packet *packet;
	struct iovec *iov; /* owned, TX_IOVS */
};

/* A pair of queues. */
struct net_pair {
	struct virtio_net *s;
	struct rx_queue rx;
	struct tx_queue tx;
	struct loop_defer apply; /* on the lane's loop */
	bool stale;	   /* what waits in the back end was for the driver before the reset */
	uint8_t apart[64]; /* the next pair may be another loop's */
};

struct net_nic_config {
	struct virtio_config virtio;
	char *netdev;
	uint8_t mac[6];
	uint16_t mtu, host_mtu;
	uint32_t vectors;
	bool csum, tso, guest_csum, guest_tso, mrg_rxbuf, ctrl_vq, mq, status;
};

/* Which frames the guest wants (5.1.6.5.1, 5.1.6.5.2, 5.1.6.5.3). Saved. Changed with all lanes held. */
struct rx_filter {
	bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
	bool uni_overflow, multi_overflow; /* more addresses than the table holds: all */
	uint16_t n_uni, n_multi;
	uint8_t uni[MACS_MAX * 6], multi[MACS_MAX * 6];
	uint8_t vlans[VLANS_MAX / 8];
};

struct virtio_net {
	struct virtio_device v; /* first */
	struct net_nic_config cfg;
	struct net_dev *net; /* borrowed; it may be cut off, never exchanged */
	uint32_t max_pairs;
	struct net_pair *pair;	/* owned, max_pairs */
	struct iovec *ctrl_iov; /* owned, VQ_IOV_MAX: a command's */
	struct loop_defer apply;
	bool loaded;	  /* the link may not be what the driver saw: tell it when all goes on */
	bool filter_told; /* its change, and nobody has asked since. dev.lock */
	struct net_vhosts *vhost; /* owned; NULL: all frames go through us */
	/* Saved. Changed with all lanes held, but status: dev.lock. */
	struct rx_filter filter;
	uint8_t mac[6];
	uint16_t pairs;	   /* in use */
	uint16_t status;   /* S_* */
	uint32_t offloads; /* NET_*: what the driver takes */
	bool unplugged;	   /* the user has pulled the plug; filled when saved */
};

#define RX_IOVS (NET_IOV_MAX + VQ_IOV_MAX + 8)
#define TX_IOVS (4 * VQ_IOV_MAX)

static inline struct virtio_net *net_of(struct virtio_device *v)
{
	return CONTAINER_OF(v, struct virtio_net, v);
}

static inline struct loop *pair_loop(const struct virtio_net *s, unsigned int pair)
{
	return virtio_lane(&s->v, 2 * pair)->loop;
}

bool rx_queue_make(struct rx_queue *r) MUST_USE;
void rx_queue_free(struct rx_queue *r);
/* Receive what there is and fits, from the queue's turn or when the back end says so. */
void rx_turn(struct virtio_net *s, unsigned int pair);
/* Drop what has waited since before a reset. Under the lane's lock, on its loop. */
void rx_forget(struct virtio_net *s, unsigned int pair);
/* Does the guest want the frame that begins with the @n bytes at @head (18 are enough)? */
bool rx_wanted(const struct virtio_net *s, const uint8_t *head, size_t n);

void ctrl_turn(struct virtio_net *s, struct virtqueue *q);
void ctrl_reset(struct virtio_net *s);
/* Offloads that the negotiated features allow. */
uint32_t net_feature_offloads(const struct virtio_net *s);
/* Have the back end told of offloads and queues in use, on the home loop. Any thread, under dev.lock. */
void net_apply_later(struct virtio_net *s);
extern const struct field_table rx_filter_state;
extern const struct device_type virtio_net_pci_type;

/* -------- net_vhost.c -------- */
/* Main, when s->net and the home loop are known, before virtio_init(): may the kernel move the frames? */
bool net_vhost_choose(struct virtio_net *s, struct error *err) MUST_USE;
/* Main, after virtio_init(). */
bool net_vhost_make(struct virtio_net *s, struct error *err) MUST_USE;
/* Main, when all is made: from here on net_apply_later() may be called. */
void net_vhost_listen(struct virtio_net *s);
/* Main; nothing runs. net_apply_later() is called no more. */
void net_vhost_free(struct virtio_net *s);
/* Features that the kernel cannot serve. */
uint64_t net_vhost_lacks(const struct virtio_net *s);
/* Bring the pairs that the kernel moves in line with the device's state: first end what must not run any more,
 * then start what may. */
void net_vhost_halt(struct virtio_net *s);
void net_vhost_run(struct virtio_net *s);
bool net_vhost_runs(const struct virtio_net *s, unsigned int pair);

#endif
