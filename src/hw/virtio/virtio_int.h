// SPDX-License-Identifier: GPL-2.0-or-later
/* virtio_int - between the device core (virtio.c) and the PCI transport (virtio_pci.c). */
#ifndef HW_VIRTIO_VIRTIO_INT_H
#define HW_VIRTIO_VIRTIO_INT_H

#include "hw/virtio/virtio.h"

#define VIRTIO_ISR_QUEUE  1u
#define VIRTIO_ISR_CONFIG 2u

/* All under dev.lock; what the driver wrote. */
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
