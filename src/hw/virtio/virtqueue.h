// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtqueue - split and packed rings (virtio 1.2, 2.7 and 2.8), device side, behind one API.
 *
 * The ring lives in guest memory and is hostile: each descriptor is read once into a local; chains
 * are bounded by the queue's size and by total length; indices are checked at use. A broken ring
 * gives -EPROTO and the device goes to needs-reset. Buffers come out as iovecs over guest RAM:
 * first the readable ones, then the writable ones.
 *
 * Owner: the device, under its lock, on its home loop.
 */
#ifndef HW_VIRTIO_VIRTQUEUE_H
#define HW_VIRTIO_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "base/types.h"
#include "mem/as.h"

#define VQ_SIZE_MAX 1024
/* Most iovecs a chain may need: guests use seg_max + 2; one descriptor may span RAM blocks. */
#define VQ_IOV_MAX  (VQ_SIZE_MAX + 8)

struct virtqueue {
	struct as *as;          /* borrowed */
	uint16_t index;         /* queue number */
	uint16_t size;          /* as the driver set it; <= max_size */
	uint16_t max_size;
	bool packed, event_idx, indirect;
	bool ready;             /* queue_enable */
	uint64_t desc, avail, used; /* guest-physical, as programmed */
	uint16_t msix_vector;   /* 0xffff: none */
	/* Live ring. */
	uint8_t *desc_host, *avail_host, *used_host; /* mapped while ready */
	struct ram_block *desc_ram, *avail_ram, *used_ram;
	uint64_t desc_off, avail_off, used_off;
	uint16_t last_avail, used_idx; /* split: free-running. packed: position | wrap << 15 */
	uint16_t signalled_used;
	bool signalled_valid;
	bool notify_on;
	uint32_t in_flight;     /* popped, not pushed */
	uint16_t *packed_len;   /* packed: descriptors of the chain by buffer id; owned, max_size */
};

/* A popped chain. The caller provides the iovec array. */
struct vq_chain {
	uint16_t head;          /* split: head descriptor; packed: buffer id */
	uint16_t n_desc;
	int n_out, n_in;        /* iovecs the device reads (first in iov), then writes */
	uint64_t out_len, in_len; /* bytes */
	struct iovec *iov;      /* caller's array */
};

bool vq_init(struct virtqueue *q, struct as *as, uint16_t index, uint16_t max_size);
void vq_fini(struct virtqueue *q);
void vq_reset(struct virtqueue *q);
/* The driver enabled the queue: check and map the rings. 0 or -errno (bad address, alignment, size). */
int vq_enable(struct virtqueue *q) MUST_USE;
/* Take the next available chain into @c, whose iov has room for @max entries. 1: got one, 0: ring
 * empty, -EPROTO: broken. */
int vq_pop(struct virtqueue *q, struct vq_chain *c, int max) MUST_USE;
/* Give a chain back with @written bytes written to it. Becomes visible at once. -EPROTO: ring gone. */
int vq_push(struct virtqueue *q, const struct vq_chain *c, uint32_t written) MUST_USE;
/* Undo the newest vq_pop (device has no room): the chain will be popped again. */
void vq_unpop(struct virtqueue *q, const struct vq_chain *c);
bool vq_empty(const struct virtqueue *q);
/* Ask the driver (not) to kick. Returns true when, after enabling, more is already available. */
bool vq_set_notify(struct virtqueue *q, bool on);
/* After pushes: does the driver want an interrupt? Consumes the decision. */
bool vq_should_signal(struct virtqueue *q);
/* Mark guest pages of the chain's writable part dirty, up to @written bytes. Called by vq_push. */

#endif
