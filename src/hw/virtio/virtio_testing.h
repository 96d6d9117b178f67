// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio_testing - a virtio driver for tests: it finds a device's structures through its PCI
 * capabilities, negotiates, sets up split or packed rings in guest RAM and uses the device through
 * its registers only, as a guest would. And one that lies: virtio_hostile_test().
 *
 * Not part of the program: linked where a test or fuzzer refers to it. Called on main with no vCPU
 * running; the device's home loop may be main's or a thread's.
 */
#ifndef HW_VIRTIO_VIRTIO_TESTING_H
#define HW_VIRTIO_VIRTIO_TESTING_H

#include "hw/virtio/virtio.h"

#define VT_SIZE_MAX 256

struct vt_buf {
	uint64_t addr;
	uint32_t len;
	bool write;
};

struct vt_queue {
	uint16_t size;		    /* 0: not set up */
	uint64_t desc, avail, used; /* guest-physical */
	uint32_t put, got;	    /* split: entries, packed: places, passed since the start */
	uint16_t free;
	uint16_t slots[VT_SIZE_MAX]; /* of the chain with this head or id, 0: not out */
	bool taken[VT_SIZE_MAX];     /* split: descriptor is in use */
};

struct vt_driver {
	struct virtio_device *v;
	struct machine *m;
	uint64_t common, isr, device, notify; /* addresses; device 0: none */
	uint32_t notify_step;
	bool notify_pio;
	uint64_t features;
	uint64_t ram, ram_size, used_ram; /* arena for rings and buffers */
	uint8_t *ram_host;
	uint16_t n_queues;
	struct vt_queue q[VIRTIO_QUEUES_MAX];
};

/* Find the structures, place and enable the BARs. False: no RAM, or a structure is missing. */
bool vt_attach(struct vt_driver *t, struct virtio_device *v);
/* Registers and guest memory, little-endian. @size 1, 2, 4, 8. */
uint64_t vt_read(struct vt_driver *t, uint64_t addr, unsigned int size);
void vt_write(struct vt_driver *t, uint64_t addr, unsigned int size, uint64_t value);
/* Guest RAM of the arena, zeroed. 0: used up. */
uint64_t vt_alloc(struct vt_driver *t, uint64_t len, uint64_t align);
/* Reset, waiting until the device says 0. False: it doesn't within 10 s. Forgets rings and arena. */
bool vt_reset(struct vt_driver *t);
/* Reset, then up to FEATURES_OK with the features of @want that are offered, and VERSION_1. */
bool vt_init(struct vt_driver *t, uint64_t want);
/* Set up queue @q with @size entries (at most VT_SIZE_MAX; 0: the device's maximum). */
bool vt_queue_init(struct vt_driver *t, uint16_t q, uint16_t size);
/* DRIVER_OK. */
void vt_start(struct vt_driver *t);
/* Make a chain of @n buffers available, in an indirect table when @indirect. Its id, -1: no room. */
int vt_send(struct vt_driver *t, uint16_t q, const struct vt_buf *b, int n, bool indirect);
void vt_kick(struct vt_driver *t, uint16_t q);
/* Take an answer: its id and length. False: there is none. */
bool vt_take(struct vt_driver *t, uint16_t q, uint32_t *id, uint32_t *len);
/* Let the device's loop do what there is to do now. */
void vt_run(struct vt_driver *t);
/* Send one chain and wait for its answer (at most 10 s). Its length, or -1. */
int64_t vt_call(struct vt_driver *t, uint16_t q, const struct vt_buf *b, int n);
uint8_t vt_status(struct vt_driver *t);

/* Drive @v with random features, rings, descriptors and register accesses: whatever comes, it must
 * answer a reset and then negotiate again. Aborts with a message when it doesn't. @seed not 0. */
void virtio_hostile_test(struct virtio_device *v, uint64_t seed);

#endif
