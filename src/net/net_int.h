// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * net_int - what the kinds of back ends (user.c, tap.c, socket.c, stream.c) share with net.c: a
 * descriptor a queue with its watch, link state. net.c does limits, capture and callbacks.
 */
#ifndef NET_NET_INT_H
#define NET_NET_INT_H

#include <sys/socket.h>
#include "base/sock_file.h"
#include "net/limit.h"
#include "net/net.h"

struct net_kind {
	const char *name;
	/* Main. Opens; sets queue fds. On failure close() follows. */
	bool (*open)(struct net_dev *d, const struct net_config *c, struct error *err);
	void (*close)(struct net_dev *d);
	/* Home loop; may be NULL. */
	void (*attached)(struct net_dev *d);
	void (*detaching)(struct net_dev *d);
	/* As net_send() and net_recv(), several queues at once. */
	int (*send)(struct net_dev *d, unsigned int q, struct net_packet *p, int n);
	ssize_t (*recv)(
		struct net_dev *d, unsigned int q, struct vnet_hdr *h, struct iovec *iov, int n);
	/* Home loop: the descriptor has hung up or can be written. May be NULL. */
	void (*hangup)(struct net_dev *d, unsigned int q);
	/* Home loop: the descriptor can be written, before writable() is called. May be NULL. False: not yet. */
	bool (*flush)(struct net_dev *d, unsigned int q);
	void (*set_offloads)(struct net_dev *d, unsigned int offloads);
	void (*set_pairs)(struct net_dev *d, uint32_t pairs);
	bool (*forward)(struct net_dev *d, const char *spec, bool add, struct error *err);
	/* Its connections, for people. May be NULL. */
	bool (*describe)(struct net_dev *d, struct str *out, struct error *err);
};

/* Written on the queue's loop, read on main. */
struct net_counters {
	_Atomic uint64_t frames, bytes, dropped;
};

struct net_queue {
	struct net_dev *dev;
	struct loop *loop;	 /* borrowed; NULL: not attached */
	int fd;			 /* owned by the kind; -1: none */
	int tx_fd;		 /* packet.c's: where to send; owned by the kind; -1: fd */
	int vhost_fd;		 /* owned by vhost.c; -1: none */
	bool rx_on;		 /* the NIC wants readable() */
	bool tx_blocked;	 /* the NIC waits for writable() */
	bool rx_waits, tx_waits; /* for tokens */
	struct loop_fd watch;
	struct loop_timer rx_timer, tx_timer;
	struct net_limit_share rx, tx;
	struct net_counters counters[NET_DIRECTIONS];
	uint8_t apart[64]; /* the next one may be another loop's */
};

struct net_capture;

struct net_dev {
	char *id; /* owned */
	const struct net_kind *kind;
	void *data;		       /* the kind's own */
	struct loop *main_loop, *loop; /* borrowed; loop: the home loop; NULL: not attached */
	uint32_t n_queues;
	struct net_queue queue[NET_QUEUES_MAX];
	unsigned int offloads;
	bool vnet; /* frames on the descriptors begin with a struct vnet_hdr */
	/* Link is both. Changed on the home loop, or main when detached; read by any queue. */
	_Atomic bool admin, carrier;
	bool limited;
	bool cut; /* net_cut() has closed it. Main */
	struct net_limit limit[NET_DIRECTIONS];
	bool borrowed; /* close no descriptor that somebody passed: opening has failed */
	uint64_t vhost_features;
	struct net_interface *interface; /* owned; counters of vhost's, NULL: none */
	struct net_front front;
	void (*watcher)(
		void *opaque, const char *id, const char *addr); /* of the peer; NULL: none */
	void *watcher_opaque;
	struct loop_defer link_defer;
	struct net_capture *capture; /* owned; NULL: none */
	struct removal *file;	     /* of our unix socket; goes when it is closed */
	/* packet.c's message sockets. */
	bool connected; /* an end of file or an error ends it */
	bool own_known;
	struct sockaddr_storage own; /* messages from here are our own */
	struct sockaddr_storage peer;
	socklen_t own_len, peer_len; /* peer_len 0: connected */
};

/* Watch what is wanted now. Queue's loop. */
void net_queue_update(struct net_queue *q);
/* The other side came or went. Home loop, or main when detached; the NIC is told from the loop. */
void net_set_carrier(struct net_dev *d, bool up);

/* The peer at the other end of @conn has come; @conn -1: it has gone. */
void net_tell_peer(struct net_dev *d, int conn);

/* -------- count.c. Queue's loop -------- */
void net_count_sent(struct net_queue *q, const struct net_packet *p, int n);
void net_count_received(struct net_queue *q, size_t bytes);

/* -------- packet.c: a frame a message -------- */
int net_message_send(struct net_dev *d, unsigned int q, struct net_packet *p, int n);
ssize_t net_message_recv(
	struct net_dev *d, unsigned int q, struct vnet_hdr *h, struct iovec *iov, int n);

/* -------- vhost.c -------- */
bool net_vhost_check(const struct net_config *config, struct error *err) MUST_USE;
/* For a device whose queues are open: vhost= and vhostfd=. A host without it is no error but a warning. */
bool net_vhost_open(struct net_dev *d, const struct net_tap_config *c, struct error *err) MUST_USE;
void net_vhost_close(struct net_dev *d);
bool net_vhost_stats(const struct net_dev *d, struct net_stats *out);

/* @n descriptors "5" or "5:6:7" of the key @key into @fds, close-on-exec from here on. */
bool net_parse_fds(
	const char *text, const char *key, uint32_t n, int *fds, struct error *err) MUST_USE;

/* -------- addr.c -------- */
/* `unix:PATH`, `ADDR:PORT`, `[ADDR6]:PORT`, `:PORT` (127.0.0.1); numeric. False: err says what is wanted. */
bool net_addr_parse(
	const char *text, struct sockaddr_storage *out, socklen_t *len, struct error *err) MUST_USE;
/* Where the connected socket @fd leads to, in that form. A peer of a socket file may call itself what it likes, or
 * nothing: there it is the file. */
#define NET_ADDR_TEXT_MAX 128
void net_addr_of_peer(int fd, char text[NET_ADDR_TEXT_MAX]);

/* -------- capture.c -------- */
struct net_capture *net_capture_open(const char *path, struct error *err) MUST_USE;
void net_capture_close(struct net_capture *c);
/* @len bytes of @iov. Any queue's loop. */
void net_capture_frame(struct net_capture *c, const struct iovec *iov, int n, size_t len);

/* -------- stream.c -------- */
struct net_stream;
/* @listener, or @conn, which is connected, or @addr to connect to and again @reconnect_s seconds after a failure
 * or the connection's end. */
bool net_stream_open(struct net_dev *d, int listener, int conn, const struct sockaddr_storage *addr,
	socklen_t len, uint32_t reconnect_s, struct error *err) MUST_USE;
extern const struct net_kind net_stream_kind;
/* Frames in a byte stream: big-endian length, frame. For tests and the fuzzer: the parser alone. */
struct net_frames {
	uint8_t *buf; /* owned, NET_FRAMES_SIZE */
	size_t head, len;
	bool bad; /* a length that cannot be: the stream is of no use any more */
};
#define NET_FRAMES_SIZE (2 * (4 + NET_FRAME_MAX))
/* Room for bytes to come: compacts. */
size_t net_frames_room(struct net_frames *f, uint8_t **at);
/* The next whole frame; NULL: not yet, or ->bad. It is valid until the next call. */
const uint8_t *net_frames_next(struct net_frames *f, size_t *len);

extern const struct net_kind net_none_kind, net_user_kind, net_tap_kind, net_socket_kind;

#endif
