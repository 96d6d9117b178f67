// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio - virtio 1.2 devices over PCI (modern interface only).
 *
 * A device is a struct virtio_class (what it is) and an instance that starts with a struct
 * virtio_device. The transport handles the PCI capabilities, feature negotiation, queue set-up,
 * status, notifications and interrupts; the device handles its configuration space and its queues.
 *
 * Threads: register accesses come on vCPU threads under dev.lock. Queue handlers run on the home
 * loop with dev.lock held, so device code needs no lock of its own. Requests in flight are counted;
 * a guest's reset completes (status reads 0) only when none is left, so that no late DMA hits
 * memory the guest has reused.
 */
#ifndef HW_VIRTIO_VIRTIO_H
#define HW_VIRTIO_VIRTIO_H

#include "hw/pci/pci.h"
#include "hw/virtio/virtqueue.h"

#define VIRTIO_QUEUES_MAX 64

/* Feature bits of the transport (virtio 1.2, 6). */
#define VIRTIO_F_INDIRECT_DESC 28
#define VIRTIO_F_EVENT_IDX     29
#define VIRTIO_F_VERSION_1     32
#define VIRTIO_F_ACCESS_PLATFORM 33
#define VIRTIO_F_RING_PACKED   34
#define VIRTIO_F_IN_ORDER      35
#define VIRTIO_F_ORDER_PLATFORM 36
#define VIRTIO_F_NOTIFICATION_DATA 38
#define VIRTIO_F_RING_RESET    40

/* Device status bits (virtio 1.2, 2.1). */
#define VIRTIO_S_ACKNOWLEDGE 1
#define VIRTIO_S_DRIVER      2
#define VIRTIO_S_DRIVER_OK   4
#define VIRTIO_S_FEATURES_OK 8
#define VIRTIO_S_NEEDS_RESET 64
#define VIRTIO_S_FAILED      128

struct virtio_device;

struct virtio_class {
	uint16_t device_id;      /* virtio 1.2, 5: 1 net, 2 blk, 3 console, 4 rng */
	uint32_t pci_class;      /* 24-bit class code */
	uint32_t config_size;    /* bytes of device-specific configuration */
	/* Device features offered (the transport adds its own). Called once, at init. */
	uint64_t (*features)(struct virtio_device *v);
	/* Guest's choice is final (FEATURES_OK is being set): false refuses it. */
	bool (*features_ok)(struct virtio_device *v, uint64_t features);
	/* Device-specific configuration; @off + @size <= config_size. Fill v->config instead where a
	 * plain copy serves; write NULL: read-only. */
	void (*config_read)(struct virtio_device *v, uint32_t off, void *data, unsigned int size);
	void (*config_write)(struct virtio_device *v, uint32_t off, const void *data, unsigned int size);
	/* Driver said DRIVER_OK: queues are live. */
	void (*start)(struct virtio_device *v);
	/* Kick on queue @q: on the home loop, dev.lock held. */
	void (*handle_queue)(struct virtio_device *v, unsigned int q);
	/* Guest's or system reset: drop state; requests in flight may still complete (their
	 * completions must call virtio_request_done and nothing else: see virtio_generation). */
	void (*reset)(struct virtio_device *v);
};

struct virtio_device {
	struct pci_device pci;   /* first */
	const struct virtio_class *vclass;
	uint64_t host_features, guest_features;
	uint32_t feature_select[2];
	uint8_t status;
	uint8_t config_generation;
	uint8_t isr;
	uint16_t queue_select;
	uint16_t msix_config;
	uint32_t n_queues;
	struct virtqueue *vq;    /* owned, n_queues */
	uint8_t config[256];     /* device-specific configuration, little-endian */
	uint32_t in_flight;      /* requests popped and not yet done; under dev.lock */
	bool resetting;          /* status 0 was written, requests still in flight */
	bool broken;             /* needs reset: queues are dead until then */
	uint32_t generation;     /* raised by each reset: late completions compare it */
	/* notify: one doorbell a queue */
	struct io_event *events; /* owned, n_queues */
	struct loop_event *kicks; /* owned, n_queues */
	bool started;
};

/* Options that every virtio device has; put FIELD_STRUCT(..., "", ...)? no: VIRTIO_FIELDS(s, m)
 * expands to the fields of an embedded struct virtio_config member. */
struct virtio_config {
	char *addr;              /* PCI address, "SLOT[.FN]" */
	bool packed, event_idx, indirect;
	int notify;              /* enum: auto, mmio, pio */
	uint32_t queue_size;     /* 2..1024, power of two for split */
	char *iothread;
};
extern const char *const virtio_notify_names[];
#define VIRTIO_FIELDS(s, m)                                                                        \
	FIELD_STR(s, m.addr, "addr", .doc = "PCI address SLOT[.FN], hexadecimal"),                \
	FIELD_BOOL(s, m.packed, "packed", .dflt = "on", .doc = "offer packed rings"),             \
	FIELD_BOOL(s, m.event_idx, "event_idx", .dflt = "on", .doc = "offer event index"),        \
	FIELD_BOOL(s, m.indirect, "indirect_desc", .dflt = "on", .doc = "offer indirect descriptors"), \
	FIELD_ENUM(s, m.notify, "notify", virtio_notify_names, .dflt = "auto",                    \
		.doc = "doorbell: memory or port write, or what the engine does faster"),          \
	FIELD_U32(s, m.queue_size, "queue-size", .min = 2, .max = 1024, .dflt = "256",            \
		.doc = "descriptors a queue, a power of two"),                                      \
	FIELD_STR(s, m.iothread, "iothread", .doc = "home loop by name; default: a shared one")

/* From realize: PCI function, capabilities, queues, doorbells on dev.home (set it before). */
bool virtio_init(struct virtio_device *v, const struct virtio_class *c, const struct virtio_config *cfg,
	uint32_t n_queues, struct error *err) MUST_USE;
void virtio_fini(struct virtio_device *v);
/* The device_type hooks of a virtio device; a device's own hooks call these. */
void virtio_reset(struct device *d);
void virtio_quiesce(struct device *d);
void virtio_resume(struct device *d);
void virtio_pre_save(struct device *d);
bool virtio_post_load(struct device *d, struct error *err);
extern const struct field_table virtio_device_state; /* for FIELD_STRUCT in the device's table */

static inline bool virtio_has(const struct virtio_device *v, unsigned int feature)
{
	return v->guest_features >> feature & 1;
}

/* Tell the guest that the device's configuration changed. Under dev.lock. */
void virtio_config_changed(struct virtio_device *v);
/* Queue @q's interrupt, if the driver wants one (event index, flags). Under dev.lock, home loop. */
void virtio_notify(struct virtio_device *v, struct virtqueue *q);
/* The guest broke the protocol: dead until reset, NEEDS_RESET shown, one rate-limited log line. */
void virtio_break(struct virtio_device *v, const char *fmt, ...) PRINTF(2, 3);
/* A request was popped / is done (also when its completion came after a reset). */
void virtio_request_begin(struct virtio_device *v);
void virtio_request_done(struct virtio_device *v);

#endif
