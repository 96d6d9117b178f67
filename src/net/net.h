// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * net - network back ends as the NICs see them: a net_dev takes and gives Ethernet frames as iovecs,
 * with the header of virtio (virtio 1.2, 5.1.6) that says which checksums and segments are still to
 * be made. It knows no guests; any NIC goes with any back end.
 *
 * A net_dev is opened and closed on main, or cut off a NIC that goes on without it. A NIC attaches it to its home loop, and each queue to a loop, which
 * may be another one: a queue's frames move on its loop's thread only. Directions are the guest's: `rx` is
 * towards it, `tx` comes from it.
 *
 * There is no queue here: rx is pulled (the NIC asks for a frame when its driver has room, so it is
 * read straight into the guest's memory), and a tx frame that cannot go now is not taken.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "base/error.h"
#include "base/field.h"
#include "base/str.h"
#include "base/wire.h"
#include "loop/loop.h"

/* The longest frame with segments still to be made: 64 KiB of IP, Ethernet's header, VLAN tags. */
#define NET_FRAME_MAX  65568u
#define NET_FRAME_MIN  14u
#define NET_QUEUES_MAX 16u
/* Most frames in one net_send(). */
#define NET_BATCH      64

/* virtio 1.2, 5.1.6. */
struct vnet_hdr {
	uint8_t flags, gso_type;
	le16 hdr_len, gso_size, csum_start, csum_offset;
	le16 num_buffers; /* the NIC's business */
};
_Static_assert(sizeof(struct vnet_hdr) == 12, "virtio 1.2, 5.1.6");
#define VNET_F_NEEDS_CSUM 1
#define VNET_F_DATA_VALID 2
#define VNET_GSO_NONE	  0
#define VNET_GSO_TCPV4	  1
#define VNET_GSO_UDP	  3
#define VNET_GSO_TCPV6	  4
#define VNET_GSO_ECN	  0x80

/* What a side can take from the other, so that the sender need not do it. */
enum net_offload {
	NET_CSUM = 1 << 0, /* frames whose checksum is not made yet */
	NET_TSO4 = 1 << 1, /* TCP segments to be made; these want NET_CSUM */
	NET_TSO6 = 1 << 2,
	NET_ECN = 1 << 3,
};

/* -------- configuration -------- */

enum net_type { NET_NONE, NET_USER, NET_TAP, NET_SOCKET };

struct net_list {
	char **items;
	size_t len;
};

struct net_user_config {
	char *net, *host, *dhcpstart, *dns, *hostname, *domain;
	char *net6, *host6, *dns6;
	bool restricted, ipv4, ipv6;
	struct net_list forward, search;
};

struct net_tap_config {
	char *ifname, *fds, *vhostfds; /* "3" or "3:4" */
	bool vnet, vhost;
};

struct net_socket_config {
	char *listen, *connect, *mcast, *udp, *local, *dgram, *peer;
	int64_t fd; /* -1: none */
	uint32_t reconnect;
};

/* `--net` keys that concern the back end. */
struct net_config {
	int type; /* enum net_type */
	char *id, *capture;
	uint32_t queues;
	uint64_t rx_rate, tx_rate; /* bytes a second, 0: no limit */
	uint32_t rx_pps, tx_pps;   /* frames a second */
	union {
		struct net_user_config user;
		struct net_tap_config tap;
		struct net_socket_config socket;
	} u;
};
extern const struct field_table net_config_table;
extern const struct field_table *const net_config_arms[]; /* by enum net_type; NULL: no keys */
/* Is @key one of a back end's (of any type)? Others of `--net` are the NIC's. */
bool net_config_has(const char *key);

/* -------- life -------- */

struct net_dev;

/* Descriptors that @c names are the network's from here on, but a failure leaves them open.
 * Main; @main_loop is where a back end's control lives (connections come there before it is attached). */
struct net_dev *net_open(
	const struct net_config *c, struct loop *main_loop, struct error *err) MUST_USE;
/* Main; no NIC is attached. NULL is fine. */
void net_close(struct net_dev *d);
/* Main; a NIC is attached, and may be moving frames. The network is closed as by net_close(); what is left of @d is the
 * NIC's until net_drop(): a link that is down for good, of which it is told. */
void net_cut(struct net_dev *d);
/* Have so many processes wait, confined, for user networks that net_open() is to make in a confined process
 * later, each once: those that were refused, or closed before a NIC was attached, do not count. Main, before it confines
 * itself. net_user_forget() ends those that are left. */
#define NET_USER_SPARE_MAX 16
bool net_user_prepare(unsigned int n, struct error *err) MUST_USE;
void net_user_forget(void);
/* What a NIC sends it receives again, by the same queue; for tests. */
struct net_dev *net_open_test(struct error *err) MUST_USE;
/* Pretend that it has vhost-net descriptors, for each queue one; they stay the caller's. */
void net_test_vhost(struct net_dev *d, const int *fds, uint64_t features);

const char *net_id(const struct net_dev *d);
const char *net_type_name(const struct net_dev *d); /* "user", ... */
uint32_t net_queues(const struct net_dev *d);
/* NET_*: what the NIC may leave to be done in what it sends. */
unsigned int net_offloads(const struct net_dev *d);
/* Up: nobody has taken the link down and the other side is there. Home loop, or main when detached. */
bool net_link(const struct net_dev *d);
bool net_has_front(const struct net_dev *d);

/* Run-time control, on main: pull the plug or put it back. */
void net_set_link(struct net_dev *d, bool up);
/* The same for the NIC itself, which takes a saved state: it is not told. */
void net_load_link(struct net_dev *d, bool up);
/* Has nobody pulled the plug, or cut it off? Main. */
bool net_plugged(const struct net_dev *d);
/* Did net_cut() take the network away? Main. */
bool net_is_cut(const struct net_dev *d);
/* A port of the host that leads to the guest, `tcp:[ADDR]:PORT:[GUESTADDR:]GUESTPORT` (udp: too);
 * remove takes `tcp:[ADDR]:PORT`. False: also when the back end has no such thing. */
bool net_forward_add(struct net_dev *d, const char *spec, struct error *err) MUST_USE;
bool net_forward_remove(struct net_dev *d, const char *spec, struct error *err) MUST_USE;
/* Does it forward ports? */
bool net_forwards(const struct net_dev *d);
/* Main. Forwarded ports and connections, a table for people. False: also when it has none. */
bool net_describe(struct net_dev *d, struct str *out, struct error *err) MUST_USE;

/* Main; no NIC is attached yet. From here on @peer hears who is at the other end of a byte stream: that one has come, with
 * its address as --net has them (`ADDR:PORT`, `[ADDR6]:PORT`, `unix:PATH`, PATH being the one that was listened at), or
 * that it has gone by itself (@addr is NULL). One that is there already is told of at once. Comes on main or the home
 * loop, as often as peers like, but at most some ten times a second. */
void net_watch_peer(struct net_dev *d, void (*peer)(void *opaque, const char *id, const char *addr),
	void *opaque);

/* -------- counters -------- */

enum net_direction { NET_RX, NET_TX, NET_DIRECTIONS };

/* Since the network was made. Frames and bytes are those that came from the other side (NET_RX) or were taken from
 * the NIC; dropped ones are among them. */
struct net_counts {
	uint64_t frames, bytes, dropped;
};
struct net_stats {
	struct net_counts of[NET_DIRECTIONS];
};
/* Main. False: the host's kernel moves the frames, and its counters cannot be read. */
bool net_get_stats(const struct net_dev *d, struct net_stats *out);
/* Queue's loop: the guest does not get the frame that net_recv() gave. */
void net_rx_dropped(struct net_dev *d, unsigned int queue);

/* -------- the NIC's side -------- */

/* Callbacks come with no lock held, on the queue's loop; link on the home loop. When link(false) has returned, the NIC
 * does not use what net_get_vhost() gave it until link(true): it may be closed. */
struct net_front {
	void (*readable)(void *opaque, unsigned int queue); /* net_recv() is worth a try */
	void (*writable)(void *opaque, unsigned int queue); /* after a short net_send() */
	void (*link)(void *opaque, bool up);
	void *opaque;
};

/* One NIC at a time. Main; the loops run or are main's. Queue i is worked on by @loops[i], those from @n on and
 * the link by @loops[0], the home loop. Reception starts with net_rx_enable(). */
bool net_attach(struct net_dev *d, struct loop *const *loops, uint32_t n, const struct net_front *f,
	struct error *err) MUST_USE;
void net_detach(struct net_dev *d);
/* Main, the last that a NIC says to a network that it was attached to: frees what net_cut() left. */
void net_drop(struct net_dev *d);

/* A frame to be sent. */
struct net_packet {
	struct vnet_hdr hdr;
	struct iovec *iov; /* the frame; iov[-1] is free for the back end's header */
	int n;		   /* at most NET_IOV_MAX */
	uint32_t len;	   /* sum of iov; 0: skip it */
	bool lost;	   /* net_send(): it was taken, but did not go */
};
#define NET_IOV_MAX 1022 /* and a header are as many as the kernel takes */

/* Queue's loop. How many of @p were taken (sent, or dropped as a wire drops); fewer than @n: writable()
 * comes when there is room again. */
int net_send(struct net_dev *d, unsigned int queue, struct net_packet *p, int n);
/* Queue's loop. The next frame into @iov (iov[-1] is free too), what does not fit is cut off. Its length in
 * bytes, or -EAGAIN: none now, readable() tells when (if enabled). @h is filled. While the link is down what has
 * come is lost. */
ssize_t net_recv(
	struct net_dev *d, unsigned int queue, struct vnet_hdr *h, struct iovec *iov, int n);
/* Queue's loop. Off: no readable() any more, frames wait in the back end. */
void net_rx_enable(struct net_dev *d, unsigned int queue, bool on);
/* Home loop or, when it is not running a callback of this device, main. What the NIC takes (NET_*). */
void net_set_guest_offloads(struct net_dev *d, unsigned int offloads);
/* The same: how many of the queues are in use; the other side spreads frames over these. At first 1. */
void net_set_pairs(struct net_dev *d, uint32_t pairs);

/* The host's kernel can move a queue pair's frames itself (vhost-net), past all that is above. */
struct net_vhost {
	int fd;		   /* borrowed; vhost-net's, owned by this process (VHOST_SET_OWNER) */
	int backend;	   /* borrowed; where frames come from and go to */
	uint64_t features; /* VHOST_GET_FEATURES */
	bool vnet;	   /* the back end's frames begin with a struct vnet_hdr */
};
/* False: it cannot, or nobody wanted it. */
bool net_get_vhost(const struct net_dev *d, unsigned int queue, struct net_vhost *out);

#endif
