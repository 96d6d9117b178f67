// SPDX-License-Identifier: GPL-2.0-or-later
/* virtio_int - between the device core (virtio.c) and the PCI transport (virtio_pci.c). */
#ifndef HW_VIRTIO_VIRTIO_INT_H
#define HW_VIRTIO_VIRTIO_INT_H

#include "hw/virtio/virtio.h"

#define VIRTIO_ISR_QUEUE  1u
#define VIRTIO_ISR_CONFIG 2u

/* -------- lane.c. Main, unless said otherwise -------- */

/* One lane on the home loop where virtio_choose_loops() was not called; locks. */
bool virtio_lanes_init(struct virtio_device *v, struct error *err) MUST_USE;
void virtio_lanes_fini(struct virtio_device *v);
/* Watch the doorbells. */
bool virtio_lanes_watch(struct virtio_device *v, struct error *err) MUST_USE;
/* No more, and nothing that a lane has put off is left. */
void virtio_lanes_unwatch(struct virtio_device *v);
/* Set ->quiesced, and wait until no request is in flight and no turn is running. */
void virtio_lanes_quiesce(struct virtio_device *v);
/* Requests in flight. All lanes held. */
uint32_t virtio_in_flight(const struct virtio_device *v);
/* Whose code is running here: a lane's loop's, or lane 0 for all others. */
struct virtio_lane *virtio_lane_here(const struct virtio_device *v);

/* What a lane wanted: of virtio_lane.attention, on the home loop. */
void virtio_attention(void *lane);
/* Under dev.lock, all lanes held, nothing in flight: what the driver sees becomes power-on state. */
void virtio_reset_finish(struct virtio_device *v);

/* All under dev.lock with all lanes held; what the driver wrote. */
void virtio_set_status(struct virtio_device *v, uint8_t status);
void virtio_set_driver_features(struct virtio_device *v, unsigned int word, uint32_t value);
void virtio_queue_enable(struct virtio_device *v, struct virtqueue *q);
/* May @q's ring registers be written now? */
bool virtio_queue_writable(const struct virtio_device *v, const struct virtqueue *q);
/* Kick all live queues, when a kick may have been ignored (bus mastering, resume): also those that are
 * empty, since the turn that would have turned the driver's kicks on again may be the one missed. */
void virtio_kick_live(struct virtio_device *v);

/* Tell the device: its class' ->changed(). */
void virtio_changed(struct virtio_device *v);

/* PCI function, BARs, capabilities, doorbell regions; undone by pci_device_fini(). */
bool virtio_pci_init(struct virtio_device *v, const char *addr, bool pio_notify, struct error *err);

#endif
