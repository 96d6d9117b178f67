// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtqueue - split and packed rings (virtio 1.2, 2.7 and 2.8), device side, behind one API.
 *
 * The ring lives in guest memory and is hostile: each descriptor is read once into a local; chains
 * are bounded by the queue's size and by total length; indices are checked at use. A broken ring
 * gives -EPROTO and the device goes to needs-reset. Buffers come out as iovecs over guest RAM:
 * first the readable ones, then the writable ones.
 *
 * What a device may rely on: never more than @size chains are out (popped, not pushed), so a pool
 * of as many requests never runs dry; in_len and out_len together are below 4 GiB.
 *
 * Owner: the device, under the lock of the queue's lane (virtio.h), on that lane's loop.
 */
#ifndef HW_VIRTIO_VIRTQUEUE_H
#define HW_VIRTIO_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "base/types.h"
#include "mem/as.h"

#define VQ_SIZE_MAX 1024
/* Most iovecs a chain may need: guests use seg_max + 2; one descriptor may span RAM blocks. */
#define VQ_IOV_MAX  (VQ_SIZE_MAX + 8)

/* A part of the ring in guest memory: descriptors, driver area, device area. */
struct vq_area {
	uint8_t *host;	       /* NULL: not mapped */
	struct ram_block *ram; /* counted */
	uint64_t off;	       /* of @host in @ram */
};

struct virtqueue {
	struct as *as;	/* borrowed */
	uint16_t index; /* queue number */
	uint16_t size;	/* as the driver set it; <= max_size */
	uint16_t max_size;
	bool packed, event_idx, indirect;
	bool ready;		    /* queue_enable */
	bool lent;		    /* the host's kernel works on the ring (vhost) */
	uint64_t desc, avail, used; /* guest-physical, as programmed */
	uint16_t msix_vector;	    /* 0xffff: none */
	/* Live ring. */
	struct vq_area desc_area, avail_area, used_area; /* mapped while ready */
	uint16_t last_avail, used_idx; /* split: free-running. packed: position | wrap << 15 */
	uint16_t avail_seen;  /* split: the driver's index as last read; chains before it need no
				   look at the (contended) index */
	uint32_t unsignalled; /* split: used entries, packed: used descriptors since the last
				   vq_should_signal(); saturates at UINT16_MAX + 1 */
	bool notify_on;	      /* the driver shall kick when it adds to an empty ring */
	uint32_t budget;      /* chains that may still be popped in this turn of the loop;
				   UINT32_MAX: no limit (outside handle_queue) */
	bool drained;	      /* the newest vq_pop found nothing */
	bool quiet;	    /* set by the device in its turn: it has (not) armed the kick itself */
	uint32_t in_flight; /* chains popped, not pushed */
	uint32_t desc_out;  /* packed: ring descriptors popped, not pushed */
	uint8_t apart[64];  /* the next queue may be another loop's */
};

/* A popped chain. The caller provides the iovec array. */
struct vq_chain {
	uint16_t head;		  /* split: head descriptor; packed: buffer id */
	uint16_t n_desc;	  /* in the ring (an indirect table counts as one) */
	int n_out, n_in;	  /* iovecs the device reads (first in iov), then writes */
	uint64_t out_len, in_len; /* bytes */
	struct iovec *iov;	  /* caller's array */
};

/* @max_size 1..VQ_SIZE_MAX; starts as vq_reset leaves it. Cannot fail, owns nothing yet. */
void vq_init(struct virtqueue *q, struct as *as, uint16_t index, uint16_t max_size);
void vq_fini(struct virtqueue *q);
/* Power-on state: not ready, size @max_size, addresses 0. Chains that are out are forgotten; the
 * device must not push them any more. */
void vq_reset(struct virtqueue *q);
/* The driver enabled the queue (packed, event_idx and indirect are set): check and map the rings.
 * 0, -EINVAL (size, alignment) or -EFAULT (not all in one block of RAM); then it isn't ready. */
int vq_enable(struct virtqueue *q) MUST_USE;
/* After a load: the rings again, at the saved indices. The same errors, and -EINVAL for indices
 * that cannot be. No chain may be out. */
int vq_restore(struct virtqueue *q) MUST_USE;
/* Take the next available chain into @c, whose iov has room for @max entries. 1: got one, 0: ring
 * empty, not ready, or this turn's budget is spent, -EPROTO: broken. When it finds the ring empty
 * while kicks are wanted, it sees to it that the next chain brings one. */
int vq_pop(struct virtqueue *q, struct vq_chain *c, int max) MUST_USE;
/* Give a chain back with @written bytes written to it. Becomes visible at once, and the pages
 * written are marked dirty. -EPROTO: ring gone. */
int vq_push(struct virtqueue *q, const struct vq_chain *c, uint32_t written) MUST_USE;
/* The same for @n >= 1 chains that become visible together: one packet over several buffers. In the order in
 * which they were popped. */
int vq_push_all(
	struct virtqueue *q, const struct vq_chain *c, const uint32_t *written, int n) MUST_USE;
/* Mark the guest's pages behind the first @len bytes of the writable part dirty: for a chain that was
 * written to and will not be pushed. */
void vq_mark_written(struct as *as, const struct vq_chain *c, uint64_t len);
/* Undo the newest vq_pop (device has no room): the chain will be popped again. */
void vq_unpop(struct virtqueue *q, const struct vq_chain *c);
/* Is nothing available? Also true when the queue is not ready. A broken ring isn't empty: vq_pop
 * will tell. Unlike vq_pop it does not arm the kick. */
bool vq_empty(struct virtqueue *q);
/* Ask the driver (not) to kick. Returns true when, after enabling, more is already available. */
bool vq_set_notify(struct virtqueue *q, bool on);
/* Somebody else works on the ring from here on, from q->last_avail; no chain is out. */
void vq_lend(struct virtqueue *q);
/* ... and has done so up to @position. */
void vq_take_back(struct virtqueue *q, uint16_t position);
/* After pushes: does the driver want an interrupt? Consumes the decision. */
bool vq_should_signal(struct virtqueue *q);

/* Copy from the readable part at @off, or into the writable part at @off: at most @len bytes.
 * Returns how many there were. */
size_t vq_chain_read(const struct vq_chain *c, uint64_t off, void *buf, size_t len);
size_t vq_chain_write(const struct vq_chain *c, uint64_t off, const void *buf, size_t len);

#endif
