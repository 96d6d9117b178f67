// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vhost - rings that the host's kernel works on (Linux' /dev/vhost-*): the driver's kicks go to it by the
 * doorbells' eventfds, its interrupts to the guest by those of the message routes, and it reads and writes the
 * guest's memory by our addresses. What is behind the rings is the caller's business.
 *
 * All on the device's home loop under dev.lock, unless said otherwise; it is the device's only lane's. A struct vhost that runs counts as a
 * request in flight, so a reset or a quiesce ends when it has been stopped.
 */
#ifndef HW_VIRTIO_VHOST_H
#define HW_VIRTIO_VHOST_H

#include <linux/vhost.h>
#include "hw/virtio/virtio.h"

#define VHOST_RINGS_MAX	  2
#define VHOST_REGIONS_MAX 64 /* as many as the kernel takes unless told otherwise */

/* The guest's memory as the kernel is told of it. One a device. */
struct vhost_mem {
	struct virtio_device *v; /* borrowed */
	struct loop_defer changed;
	struct as_listener listener;
	bool listening;
	struct vhost_memory *table;		  /* owned, VHOST_REGIONS_MAX */
	struct ram_block *ram[VHOST_REGIONS_MAX]; /* counted: by region of the table */
};

/* Main. */
bool vhost_mem_init(struct vhost_mem *m, struct virtio_device *v, struct error *err) MUST_USE;
/* Main. From here on @changed(v) runs on the home loop without the lock when the address map is another one. */
void vhost_mem_listen(struct vhost_mem *m, void (*changed)(void *opaque));
/* Main; nothing runs. Takes a zeroed struct. */
void vhost_mem_fini(struct vhost_mem *m);
/* Make the table that of the current map; *@differs. Blocks of the old table are kept in *@old until the kernel
 * has the new one: vhost_mem_drop(). 0; -E2BIG: too many pieces; -EBUSY: somebody must be told of each write
 * (a dirty log, an engine that keeps decoded code), which the kernel does not do. */
int vhost_mem_read(struct vhost_mem *m, bool *differs, struct vhost_mem *old) MUST_USE;
void vhost_mem_drop(struct vhost_mem *old);

struct vhost_ring {
	struct vhost *h;
	struct virtqueue *q;
	struct loop_event call, err; /* call: where no message route can be written to directly */
	bool made;		     /* these two are */
	uint16_t lent;		     /* vector whose route is; VIRTIO_NO_VECTOR: none */
};

struct vhost {
	struct virtio_device *v;
	int fd; /* borrowed; has an owner */
	unsigned int n;
	struct vhost_ring ring[VHOST_RINGS_MAX];
	bool running;
	uint32_t generation; /* v's at the start */
};

/* Main. Rings of @h are @v's queues @first .. @first + @n - 1. */
bool vhost_init(struct vhost *h, struct virtio_device *v, int fd, unsigned int first,
	unsigned int n, struct error *err) MUST_USE;
/* Main, not running. Takes a zeroed struct. */
void vhost_fini(struct vhost *h);
/* Hand the rings over. @features is told to the kernel. 0; or -errno, then nothing has happened. The caller
 * sets the kernel's back end next, and calls vhost_go(); or vhost_stop() when that fails. */
int vhost_start(struct vhost *h, uint64_t features, const struct vhost_mem *m) MUST_USE;
void vhost_go(struct vhost *h);
/* The kernel's back end has been taken away: have the rings back. */
void vhost_stop(struct vhost *h);
/* Where the queues' interrupts go may have changed. */
void vhost_update_calls(struct vhost *h);
int vhost_set_memory(struct vhost *h, const struct vhost_mem *m) MUST_USE;

/* ioctl() with errno in its result; another one for tests. */
extern int (*vhost_ioctl)(int fd, unsigned long request, void *arg);

#endif
