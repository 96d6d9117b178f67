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
 *
 * A device with several queues may have them worked on by several loops side by side: see struct
 * virtio_lane. Then "dev.lock" above means the lock of the queue's lane, and what all lanes look at is
 * changed only while they stand still (virtio_hold).
 */
#ifndef HW_VIRTIO_VIRTIO_H
#define HW_VIRTIO_VIRTIO_H

#include "hw/pci/pci.h"
#include "hw/virtio/virtqueue.h"

#define VIRTIO_QUEUES_MAX 64
#define VIRTIO_LANES_MAX  16u
#define VIRTIO_NO_VECTOR  0xffff
/* Chains a queue may pop in one turn of its loop, so that other devices there get theirs. */
#define VIRTIO_BUDGET	  256

/* Feature bits of the transport (virtio 1.2, 6). */
#define VIRTIO_F_INDIRECT_DESC	   28
#define VIRTIO_F_EVENT_IDX	   29
#define VIRTIO_F_VERSION_1	   32
#define VIRTIO_F_ACCESS_PLATFORM   33
#define VIRTIO_F_RING_PACKED	   34
#define VIRTIO_F_IN_ORDER	   35
#define VIRTIO_F_ORDER_PLATFORM	   36
#define VIRTIO_F_NOTIFICATION_DATA 38
#define VIRTIO_F_RING_RESET	   40

/* Device status bits (virtio 1.2, 2.1). */
#define VIRTIO_S_ACKNOWLEDGE 1
#define VIRTIO_S_DRIVER	     2
#define VIRTIO_S_DRIVER_OK   4
#define VIRTIO_S_FEATURES_OK 8
#define VIRTIO_S_NEEDS_RESET 64
#define VIRTIO_S_FAILED	     128

struct virtio_device;

struct virtio_class {
	uint16_t device_id;   /* virtio 1.2, 5: 1 net, 2 blk, 3 console, 4 rng */
	uint32_t pci_class;   /* 24-bit class code */
	uint32_t config_size; /* bytes of device-specific configuration; <= 256 without hooks */
	/* Device features offered (the transport adds its own). Called once, at init. */
	uint64_t (*features)(struct virtio_device *v);
	/* Guest's choice is final (FEATURES_OK is being set): false refuses it. */
	bool (*features_ok)(struct virtio_device *v, uint64_t features);
	/* Device-specific configuration; @off + @size <= config_size. Fill v->config instead where a
	 * plain copy serves; write NULL: read-only. */
	void (*config_read)(struct virtio_device *v, uint32_t off, void *data, unsigned int size);
	void (*config_write)(
		struct virtio_device *v, uint32_t off, const void *data, unsigned int size);
	/* Driver said DRIVER_OK: queues are live. */
	void (*start)(struct virtio_device *v);
	/* Kick on queue @q: on its lane's loop under the lane's lock, the driver's kicks turned off meanwhile.
	 * Pop until vq_pop gives 0 (it ends a turn of the loop after VIRTIO_BUDGET chains, and this
	 * is called again), or leave chains for which there is no room: then nobody calls again until
	 * the next kick or virtio_kick(). */
	void (*handle_queue)(struct virtio_device *v, unsigned int q);
	/* Guest's or system reset, dev.lock and all lanes held: drop state; the queues are dead already. Requests in
	 * flight may still complete: remember ->generation in a request; when it is another one at
	 * completion, call virtio_request_done and nothing else. */
	void (*reset)(struct virtio_device *v);
	/* Optional: whether a queue is live, or where its interrupts go, may have changed. Any thread, under
	 * dev.lock. */
	void (*changed)(struct virtio_device *v);
	/* Optional, for several lanes: queues with the same number are worked on by one loop. */
	unsigned int (*lane)(struct virtio_device *v, unsigned int q);
	/* Optional: is queue @q one whose turns change what all lanes look at? Those run on the home loop
	 * under dev.lock while all lanes stand still. Asked under the queue's lane's lock. */
	bool (*exclusive)(struct virtio_device *v, unsigned int q);
};

/*
 * What one loop works on: some of the queues. Lane 0 is the home loop's and its lock is dev.lock, and most
 * devices have no other.
 *
 * A lane's lock guards what its queues' turns change: rings, requests. What belongs to the device (features,
 * status, where queues are, MSI-X, filters) is read under dev.lock or any lane's lock, and changed under
 * dev.lock with all lanes held (virtio_hold); so a turn takes no lock that another loop's turns take. A lane
 * that has something to say to the device asks the home loop to come round.
 */
struct virtio_lane {
	struct virtio_device *v;
	struct loop *loop;  /* borrowed; no two lanes have the same */
	struct mutex *lock; /* lane 0: dev.lock; others: ->own */
	struct mutex own;
	pthread_cond_t idle; /* in_flight fell to 0 */
	uint32_t in_flight;  /* requests popped and not yet done */
	bool failed; /* the driver broke the protocol: ->why, of which the home loop will hear */
	struct loop_defer attention; /* on the home loop */
	char why[160];
	uint8_t apart[64]; /* from what other threads write to */
};

/* One a queue: where the driver's kick arrives. */
struct virtio_doorbell {
	struct virtio_device *v;
	uint16_t index;
	struct virtio_lane *lane; /* the queue's */
	struct io_event event;
	struct loop_event kick;	   /* on the lane's loop */
	struct loop_defer forward; /* of an exclusive queue's turn, to the home loop */
};

/* What is saved, filled by virtio_pre_save(). */
struct virtio_queue_saved {
	uint64_t desc, avail, used;
	uint16_t size, msix_vector, last_avail, used_idx;
	bool ready;
};
struct virtio_saved {
	uint64_t guest_features;
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select, msix_config;
	uint8_t status, config_generation, isr;
	bool broken;
	struct {
		struct virtio_queue_saved *items;
		size_t len;
	} queues;
};

struct virtio_device {
	struct pci_device pci; /* first */
	const struct virtio_class *vclass;
	uint64_t host_features, guest_features;
	uint32_t feature_select[2]; /* device's, driver's */
	uint8_t status;
	uint8_t config_generation;
	_Atomic uint8_t isr;
	uint16_t queue_select;
	uint16_t msix_config;
	uint32_t n_queues;
	struct virtqueue *vq;		      /* owned, n_queues */
	uint8_t config[256];		      /* device-specific configuration, little-endian */
	uint32_t n_lanes;		      /* 0: not chosen yet */
	struct loop *loops[VIRTIO_LANES_MAX]; /* borrowed: theirs */
	struct virtio_lane *lanes;	      /* owned, n_lanes */
	uint32_t held;			   /* virtio_hold() less virtio_let_go(); under dev.lock */
	bool resetting;			   /* status 0 was written, requests still in flight */
	bool broken;			   /* needs reset: queues are dead until then */
	uint32_t generation;		   /* raised by each reset: late completions compare it */
	bool quiesced;			   /* kicks are ignored until resume */
	bool started;			   /* DRIVER_OK */
	bool pio_notify;		   /* doorbell in BAR 2 instead of BAR 0 */
	uint8_t cfg_cap;		   /* offset of the PCI configuration access capability */
	struct virtio_doorbell *doorbells; /* owned, n_queues */
	struct virtio_saved saved;
};

/* Options that every virtio device has; put FIELD_STRUCT(..., "", ...)? no: VIRTIO_FIELDS(s, m)
 * expands to the fields of an embedded struct virtio_config member. */
struct virtio_config {
	char *addr; /* PCI address, "SLOT[.FN]" */
	bool packed, event_idx, indirect;
	int notify;	     /* enum: auto, mmio, pio */
	int no_legacy;	     /* what it says is so: these devices are modern ones */
	uint32_t queue_size; /* 2..1024, power of two for split */
	char *iothread;
};
extern const char *const virtio_notify_names[], *const virtio_no_legacy_names[];
#define VIRTIO_FIELDS(s, m)                                                                        \
	FIELD_STR(s, m.addr, "addr", .doc = "PCI address SLOT[.FN], hexadecimal"),                 \
		FIELD_BOOL(s, m.packed, "packed", .dflt = "on", .doc = "offer packed rings"),      \
		FIELD_BOOL(s, m.event_idx, "event_idx", .dflt = "on", .doc = "offer event index"), \
		FIELD_BOOL(s, m.indirect, "indirect_desc", .dflt = "on",                           \
			.doc = "offer indirect descriptors"),                                      \
		FIELD_ENUM(s, m.notify, "notify", virtio_notify_names, .dflt = "auto",             \
			.doc = "doorbell: memory or port write, or what the engine does faster"),  \
		FIELD_ENUM(s, m.no_legacy, "disable-legacy", virtio_no_legacy_names,               \
			.dflt = "auto",                                                            \
			.doc = "no interface from before virtio 1: there is none"),                \
		FIELD_U32(s, m.queue_size, "queue-size", .min = 2, .max = 1024, .dflt = "256",     \
			.doc = "descriptors a queue, a power of two"),                             \
		FIELD_STR(s, m.iothread, "iothread",                                               \
			.doc = "thread by name that works on the queues; NAME:NAME...: several, "  \
			       "where a device can use them; default: shared ones")

/* Before virtio_init(): the home loop, and more loops for the other lanes if at most @want > 1 may run side
 * by side: as many as the host has CPUs for, or those that the user names. Main. */
bool virtio_choose_loops(struct virtio_device *v, const struct virtio_config *cfg, uint32_t want,
	struct error *err) MUST_USE;
/* CPUs that this process may use, at least 1. */
uint32_t virtio_host_cpus(void);
/* From realize: PCI function, capabilities, queues, doorbells on the lanes' loops, or where
 * virtio_choose_loops() was not called, on dev.home (set it before). On failure nothing is left. Main. */
bool virtio_init(struct virtio_device *v, const struct virtio_class *c,
	const struct virtio_config *cfg, uint32_t n_queues, struct error *err) MUST_USE;
/* Before virtio_fini(), for a device that has to take back what its hooks have put off: waits for requests in
 * flight and leaves the bus, so that nobody calls hooks any more. Main. */
void virtio_leave(struct virtio_device *v);
/* From unrealize, first: waits for requests in flight (so what they use is freed after this), leaves
 * the bus, frees the queues. Main. */
void virtio_fini(struct virtio_device *v);
/* The device_type hooks of a virtio device; a device's own hooks call these. quiesce waits for
 * virtio_request_done of all; when the home loop is the caller's own, it runs that loop, so devices
 * with asynchronous requests live on an io loop. */
void virtio_reset(struct device *d);
void virtio_quiesce(struct device *d);
void virtio_resume(struct device *d);
void virtio_pre_save(struct device *d);
/* Does not call ->start(): the device's own post_load goes on from here. */
bool virtio_post_load(struct device *d, struct error *err);
extern const struct field_table virtio_device_state; /* for FIELD_STRUCT in the device's table */

static inline bool virtio_has(const struct virtio_device *v, unsigned int feature)
{
	return v->guest_features >> feature & 1;
}

/* Tell the guest that the device's configuration changed. Under dev.lock. */
void virtio_config_changed(struct virtio_device *v);
/* Queue @q's interrupt, if the driver wants one (event index, flags). Under its lane's lock. */
void virtio_notify(struct virtio_device *v, struct virtqueue *q);
/* The same when somebody else, who has pushed, says that the driver wants it. */
void virtio_interrupt(struct virtio_device *v, struct virtqueue *q);
/* May queue @q be worked on now? For a device that works on it outside of handle_queue, on its lane's loop.
 * Under the lane's lock. */
bool virtio_queue_live(const struct virtio_device *v, const struct virtqueue *q);
/* Have handle_queue(@q) called on its lane's loop, soon: there is room again. Any thread. */
void virtio_kick(struct virtio_device *v, unsigned int q);
/* The guest broke the protocol: dead until reset, NEEDS_RESET shown, one rate-limited log line. Its
 * queues are gone: vq_pop gives 0, vq_push an error; on another lane than the home loop's they only
 * are not live any more, until the home loop has come round. Under dev.lock, or on a lane's loop under its
 * lock. */
void virtio_break(struct virtio_device *v, const char *fmt, ...) PRINTF(2, 3);
/* A request was popped from @q (NULL: it is the device's own, on the home loop) / is done (also when its
 * completion came after a reset). Whatever is popped and kept beyond a handle_queue call is such a
 * request. Under the lane's lock. */
void virtio_request_begin(struct virtio_device *v, const struct virtqueue *q);
void virtio_request_done(struct virtio_device *v, const struct virtqueue *q);
/* May a request of @q with that ->generation still be pushed? Under the lane's lock. */
bool virtio_request_valid(
	const struct virtio_device *v, const struct virtqueue *q, uint32_t generation);

/* The lane of queue @q. */
static inline struct virtio_lane *virtio_lane(const struct virtio_device *v, unsigned int q)
{
	return v->doorbells[q].lane;
}

/* Have all lanes but the home loop's stand still, between two turns, until virtio_let_go(). Under dev.lock;
 * nests. */
void virtio_hold(struct virtio_device *v);
void virtio_let_go(struct virtio_device *v);

#endif
