// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio_pci - the registers of virtio over PCI (virtio 1.2, 4.1), modern interface only.
 *
 * BAR 0 is 16 KiB of memory: configuration structures, doorbells, MSI-X table and PBA in a page
 * each, so that a guest may hand the doorbells to its own user space. A doorbell is a register of
 * its own for each queue, of any size: KVM then needs not decode the instruction. Where a port
 * write is cheaper, all queues share one port in BAR 2 and are told apart by the value written.
 *
 * A guest's walk over the capabilities costs an exit each, so there are no more than needed; MSI-X
 * comes first because Linux looks for it most.
 */
#include <assert.h>
#include <string.h>
#include "base/ovf.h"
#include "base/wire.h"
#include "hw/virtio/virtio_int.h"

#define BAR_SIZE    0x4000u
#define COMMON	    0x0000u
#define COMMON_SIZE 0x40u
#define ISR	    0x0080u
#define DEVICE	    0x0100u
#define DEVICE_END  0x1000u
#define NOTIFY	    0x1000u
#define NOTIFY_STEP 4u
#define MSIX_TABLE  0x2000u
#define MSIX_PBA    0x3000u

#define PIO_BAR	 2
#define PIO_SIZE 4u

enum cap_type { CAP_COMMON = 1, CAP_NOTIFY, CAP_ISR, CAP_DEVICE, CAP_PCI_CFG };
#define CAP_LEN	     16
#define CAP_LEN_MORE 20 /* with notify_off_multiplier or pci_cfg_data */

/* struct virtio_pci_common_cfg */
enum common {
	DEVICE_FEATURE_SELECT = 0x00,
	DEVICE_FEATURE = 0x04,
	DRIVER_FEATURE_SELECT = 0x08,
	DRIVER_FEATURE = 0x0c,
	CONFIG_MSIX_VECTOR = 0x10,
	NUM_QUEUES = 0x12,
	DEVICE_STATUS = 0x14,
	CONFIG_GENERATION = 0x15,
	QUEUE_SELECT = 0x16,
	QUEUE_SIZE = 0x18,
	QUEUE_MSIX_VECTOR = 0x1a,
	QUEUE_ENABLE = 0x1c,
	QUEUE_NOTIFY_OFF = 0x1e,
	QUEUE_DESC = 0x20,
	QUEUE_DRIVER = 0x28,
	QUEUE_DEVICE = 0x30,
};

static struct virtqueue *selected(struct virtio_device *v)
{
	return v->queue_select < v->n_queues ? &v->vq[v->queue_select] : NULL;
}

/* -------- common configuration -------- */

static uint32_t feature_word(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> 32 * select) : 0;
}

/* The registers as bytes, so that a read may have any size and place. */
static void common_image(struct virtio_device *v, uint8_t image[COMMON_SIZE])
{
	const struct virtqueue *q = selected(v);

	memset(image, 0, COMMON_SIZE);
	wr_le32(image + DEVICE_FEATURE_SELECT, v->feature_select[0]);
	wr_le32(image + DEVICE_FEATURE, feature_word(v->host_features, v->feature_select[0]));
	wr_le32(image + DRIVER_FEATURE_SELECT, v->feature_select[1]);
	wr_le32(image + DRIVER_FEATURE, feature_word(v->guest_features, v->feature_select[1]));
	wr_le16(image + CONFIG_MSIX_VECTOR, v->msix_config);
	wr_le16(image + NUM_QUEUES, (uint16_t)v->n_queues);
	image[DEVICE_STATUS] = v->status;
	image[CONFIG_GENERATION] = v->config_generation;
	wr_le16(image + QUEUE_SELECT, v->queue_select);
	if (!q)
		return; /* size 0: no such queue */
	wr_le16(image + QUEUE_SIZE, q->size);
	wr_le16(image + QUEUE_MSIX_VECTOR, q->msix_vector);
	wr_le16(image + QUEUE_ENABLE, q->ready);
	wr_le16(image + QUEUE_NOTIFY_OFF, v->pio_notify ? 0 : q->index);
	wr_le64(image + QUEUE_DESC, q->desc);
	wr_le64(image + QUEUE_DRIVER, q->avail);
	wr_le64(image + QUEUE_DEVICE, q->used);
}

static uint16_t vector_or_none(const struct virtio_device *v, uint64_t vector)
{
	return vector < v->pci.msix.n ? (uint16_t)vector : VIRTIO_NO_VECTOR;
}

/* An address register: 8 bytes, or 4 bytes of one half. */
static void write_address(uint64_t *reg, uint64_t off, uint64_t value, unsigned int size)
{
	uint8_t image[8];

	if (size < 4)
		return;
	wr_le64(image, *reg);
	wr_le(image + (off & 7), size, value);
	*reg = rd_le64(image);
}

static void write_queue(struct virtio_device *v, uint64_t off, uint64_t value, unsigned int size)
{
	struct virtqueue *q = selected(v);

	if (q && off == QUEUE_MSIX_VECTOR && size == 2) {
		q->msix_vector = vector_or_none(v, value);
		virtio_changed(v);
	}
	if (!q || !virtio_queue_writable(v, q))
		return;
	switch (off & ~7ull) {
	case QUEUE_DESC:
		write_address(&q->desc, off, value, size);
		return;
	case QUEUE_DRIVER:
		write_address(&q->avail, off, value, size);
		return;
	case QUEUE_DEVICE:
		write_address(&q->used, off, value, size);
		return;
	}
	if (off == QUEUE_SIZE && size == 2 && value && value <= q->max_size)
		q->size = (uint16_t)value;
	else if (off == QUEUE_ENABLE && size == 2 && value == 1)
		virtio_queue_enable(v, q);
}

/* Registers take writes of their own size; anything else is ignored. */
static void write_common(struct virtio_device *v, uint64_t off, uint64_t value, unsigned int size)
{
	if (off == DEVICE_STATUS && size == 1)
		virtio_set_status(v, (uint8_t)value);
	if (v->resetting || off == DEVICE_STATUS)
		return;
	if (off == DEVICE_FEATURE_SELECT && size == 4)
		v->feature_select[0] = (uint32_t)value;
	else if (off == DRIVER_FEATURE_SELECT && size == 4)
		v->feature_select[1] = (uint32_t)value;
	else if (off == DRIVER_FEATURE && size == 4)
		virtio_set_driver_features(v, v->feature_select[1], (uint32_t)value);
	else if (off == CONFIG_MSIX_VECTOR && size == 2)
		v->msix_config = vector_or_none(v, value);
	else if (off == QUEUE_SELECT && size == 2)
		v->queue_select = (uint16_t)value;
	else if (off >= QUEUE_SIZE)
		write_queue(v, off, value, size);
}

/* -------- the other structures -------- */

static uint8_t read_isr(struct virtio_device *v)
{
	uint8_t isr = atomic_exchange(&v->isr, 0);

	pci_intx_set(&v->pci, false);
	return isr;
}

/* Bytes beyond the device's configuration read as 0. */
static uint64_t read_device(struct virtio_device *v, uint64_t off, unsigned int size)
{
	uint32_t len = v->vclass->config_size;
	uint8_t data[8] = { 0 };

	if (off >= len)
		return 0;
	size = MIN(size, len - (uint32_t)off);
	if (v->vclass->config_read)
		v->vclass->config_read(v, (uint32_t)off, data, size);
	else
		memcpy(data, v->config + off, size);
	return rd_le64(data);
}

static void write_device(struct virtio_device *v, uint64_t off, uint64_t value, unsigned int size)
{
	uint8_t data[8];

	if (!v->vclass->config_write || v->resetting || v->broken ||
		!range_fits(off, size, v->vclass->config_size))
		return;
	wr_le64(data, value);
	v->vclass->config_write(v, (uint32_t)off, data, size);
}

/* Doorbells that come here are those that no io_event took. */
static void write_notify(struct virtio_device *v, uint64_t off, uint64_t value, unsigned int size)
{
	uint64_t q = off / NOTIFY_STEP;

	if (off % NOTIFY_STEP == 0 && q < v->n_queues)
		virtio_kick(v, (unsigned int)q);
}

static uint64_t bar_read(void *opaque, uint64_t off, unsigned int size)
{
	struct virtio_device *v = opaque;
	uint8_t image[COMMON_SIZE];

	if (off < COMMON + COMMON_SIZE) {
		common_image(v, image);
		return rd_le(image + off, size);
	}
	if (off == ISR)
		return read_isr(v);
	if (off >= DEVICE && off < DEVICE_END)
		return read_device(v, off - DEVICE, size);
	return 0;
}

static void bar_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct virtio_device *v = opaque;

	if (off < COMMON + COMMON_SIZE)
		write_common(v, off, value, size);
	else if (off >= DEVICE && off < DEVICE_END)
		write_device(v, off - DEVICE, value, size);
	else if (off >= NOTIFY && off < MSIX_TABLE)
		write_notify(v, off - NOTIFY, value, size);
}

static const struct io_ops bar_ops = {
	.read = bar_read, .write = bar_write, .min_size = 1, .max_size = 8
};

static void pio_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct virtio_device *v = opaque;

	if (off == 0 && size >= 2 && (value & 0xffff) < v->n_queues)
		virtio_kick(v, value & 0xffff);
}

static const struct io_ops pio_ops = { .write = pio_write, .min_size = 1, .max_size = 4 };

/* -------- PCI configuration access capability (4.1.4.9) -------- */

struct window {
	uint8_t bar;
	uint32_t off, size;
	bool valid;
};

static struct window cfg_window(const struct virtio_device *v)
{
	const uint8_t *c = v->pci.config + v->cfg_cap;
	struct window w = { .bar = c[4], .off = rd_le32(c + 8), .size = rd_le32(c + 12) };
	uint64_t bar_size = w.bar == 0				? MSIX_TABLE
			    : w.bar == PIO_BAR && v->pio_notify ? PIO_SIZE
								: 0;

	w.valid = (w.size == 1 || w.size == 2 || w.size == 4) && !(w.off & (w.size - 1)) &&
		  range_fits(w.off, w.size, bar_size);
	return w;
}

static bool cfg_data_touched(const struct virtio_device *v, uint16_t off, unsigned int size)
{
	return v->cfg_cap && range_overlaps(off, size, v->cfg_cap + 16u, 4);
}

static void config_read(struct pci_device *d, uint16_t off, unsigned int size)
{
	struct virtio_device *v = (struct virtio_device *)d;
	struct window w;

	if (!cfg_data_touched(v, off, size))
		return;
	w = cfg_window(v);
	if (w.valid && w.bar == 0)
		wr_le(d->config + v->cfg_cap + 16, w.size, bar_read(v, w.off, w.size));
}

static void hold(struct pci_device *d, bool on)
{
	if (on)
		virtio_hold((struct virtio_device *)d);
	else
		virtio_let_go((struct virtio_device *)d);
}

static void msix_changed(struct pci_device *d)
{
	virtio_changed((struct virtio_device *)d);
}

static void config_write(struct pci_device *d, uint16_t off, uint32_t value, unsigned int size)
{
	struct virtio_device *v = (struct virtio_device *)d;
	struct window w;

	if (range_overlaps(off, size, PCI_COMMAND, 2)) {
		virtio_kick_live(v); /* bus mastering may have come on */
		virtio_changed(v);
	}
	if (!cfg_data_touched(v, off, size))
		return;
	w = cfg_window(v);
	if (!w.valid)
		return;
	value = (uint32_t)rd_le(d->config + v->cfg_cap + 16, w.size);
	if (w.bar == 0)
		bar_write(v, w.off, value, w.size);
	else
		pio_write(v, w.off, value, w.size);
}

/* -------- making it -------- */

static uint8_t add_cap(struct virtio_device *v, enum cap_type type, uint8_t len, uint8_t bar,
	uint32_t off, uint32_t size)
{
	uint8_t at = pci_add_cap(&v->pci, PCI_CAP_ID_VENDOR, len), *c = v->pci.config + at;

	c[2] = len;
	c[3] = type;
	c[4] = bar;
	wr_le32(c + 8, off);
	wr_le32(c + 12, size);
	return at;
}

static void add_caps(struct virtio_device *v)
{
	uint8_t at, *mask;

	add_cap(v, CAP_COMMON, CAP_LEN, 0, COMMON, COMMON_SIZE);
	if (v->pio_notify) {
		add_cap(v, CAP_NOTIFY, CAP_LEN_MORE, PIO_BAR, 0, PIO_SIZE);
	} else {
		at = add_cap(v, CAP_NOTIFY, CAP_LEN_MORE, 0, NOTIFY, NOTIFY_STEP * v->n_queues);
		wr_le32(v->pci.config + at + 16, NOTIFY_STEP);
	}
	add_cap(v, CAP_ISR, CAP_LEN, 0, ISR, 1);
	if (v->vclass->config_size)
		add_cap(v, CAP_DEVICE, CAP_LEN, 0, DEVICE, v->vclass->config_size);
	v->cfg_cap = add_cap(v, CAP_PCI_CFG, CAP_LEN_MORE, 0, 0, 0);
	mask = v->pci.wmask + v->cfg_cap;
	mask[4] = 0xff;
	memset(mask + 8, 0xff, 12);
}

static void add_doorbells(struct virtio_device *v)
{
	struct io_region *r = &v->pci.bar[v->pio_notify ? PIO_BAR : 0].region;

	for (uint32_t i = 0; i < v->n_queues; i++) {
		struct io_event *e = &v->doorbells[i].event;

		if (v->pio_notify) {
			e->size = 2;
			e->match = true;
			e->data = i;
		} else {
			e->off = NOTIFY + NOTIFY_STEP * i;
		}
		io_event_add(r, e);
	}
}

bool virtio_pci_init(struct virtio_device *v, const char *addr, bool pio_notify, struct error *err)
{
	struct pci_info info = {
		.vendor = 0x1af4,
		.device = 0x1040 + v->vclass->device_id,
		.subvendor = 0x1af4,
		.subdevice = 0x1100,
		.class_code = v->vclass->pci_class,
		.revision = 1,
	};

	assert(v->vclass->config_size <= DEVICE_END - DEVICE);
	v->pio_notify = pio_notify;
	if (!pci_device_init(&v->pci, &info, addr, err))
		return false;
	/* 64 bits wide, so that a guest sizes one register pair instead of two BARs. */
	if (!pci_add_bar(&v->pci, 0, BAR_SIZE, false, true, false, "virtio", &bar_ops, v, err) ||
		(pio_notify && !pci_add_bar(&v->pci, PIO_BAR, PIO_SIZE, true, false, false,
				       "virtio-doorbell", &pio_ops, v, err)) ||
		!pci_add_msix(&v->pci, (uint16_t)(v->n_queues + 1), 0, MSIX_TABLE, MSIX_PBA, err))
		return false;
	add_caps(v);
	add_doorbells(v);
	v->pci.config_read = config_read;
	v->pci.config_write = config_write;
	v->pci.msix_changed = msix_changed;
	v->pci.hold = hold;
	return true;
}
