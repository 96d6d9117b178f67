// SPDX-License-Identifier: GPL-2.0-or-later
/* virtio - for fuzz targets that are a virtio device's driver. */
#ifndef FUZZ_VIRTIO_H
#define FUZZ_VIRTIO_H

#include "fuzz/machine.h"
#include "hw/virtio/virtio_testing.h"

/* Whatever state the device is in, it must come out of a reset by its driver and one of the machine; then
 * it is as new. */
static inline void fuzz_virtio_reset(struct vt_driver *t)
{
	struct device *d = &t->v->pci.dev;
	bool ok = vt_reset(t);

	assert(ok);
	d->type->quiesce(d);
	d->type->reset(d);
	d->type->resume(d);
	ok = vt_attach(t, t->v);
	assert(ok);
}

#endif
