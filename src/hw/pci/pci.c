// SPDX-License-Identifier: GPL-2.0-or-later
/* pci - a function: header, capabilities, BARs, INTx, reset, saved state. */
#include <assert.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "base/ovf.h"
#include "base/stream.h"
#include "base/wire.h"
#include "hw/pci/pci_int.h"

#define COMMAND_WRITABLE \
	(PCI_COMMAND_IO | PCI_COMMAND_MEM | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_OFF)

static uint16_t command(const struct pci_device *d)
{
	return rd_le16(d->config + PCI_COMMAND);
}

bool pci_bus_master(const struct pci_device *d)
{
	return command(d) & PCI_COMMAND_MASTER && (!d->port || atomic_load(&d->port->master));
}

static void hold(struct pci_device *d, bool on)
{
	if (d->hold)
		d->hold(d, on);
}

static void fill_header(struct pci_device *d)
{
	const struct pci_info *i = &d->info;
	uint8_t *c = d->config;

	wr_le16(c + PCI_VENDOR_ID, i->vendor);
	wr_le16(c + PCI_DEVICE_ID, i->device);
	c[PCI_REVISION] = i->revision;
	c[PCI_CLASS] = (uint8_t)i->class_code;
	wr_le16(c + PCI_CLASS + 1, (uint16_t)(i->class_code >> 8));
	wr_le16(c + PCI_SUBVENDOR, i->subvendor);
	wr_le16(c + PCI_SUBDEVICE, i->subdevice);
	c[PCI_INTERRUPT_PIN] = i->no_intx ? 0 : 1;
	wr_le16(d->wmask + PCI_COMMAND, COMMAND_WRITABLE);
	d->wmask[PCI_INTERRUPT_LINE] = 0xff;
}

/* Bus numbers are the guest's business: behind a port, the port's address and one's own. */
static void set_place(struct pci_device *d)
{
	uint8_t port = d->port ? d->port->pci.devfn : 0;

	if (d->port)
		snprintf(d->dev.place, sizeof(d->dev.place), "PCI 00:%02x.%x/%02x.%x", port >> 3,
			port & 7, d->devfn >> 3, d->devfn & 7);
	else
		snprintf(d->dev.place, sizeof(d->dev.place), "PCI 00:%02x.%x", d->devfn >> 3,
			d->devfn & 7);
}

bool pci_device_init(
	struct pci_device *d, const struct pci_info *info, const char *addr, struct error *err)
{
	struct pci_host *h = d->dev.machine->pci;

	if (!h)
		return error_set(err, "the machine has no PCI bus (--machine pci=on makes one)");
	d->info = *info;
	d->port = NULL;
	d->next_cap = 0x40;
	d->last_cap = 0;
	memset(d->config, 0, sizeof(d->config));
	memset(d->wmask, 0, sizeof(d->wmask));
	memset(d->w1cmask, 0, sizeof(d->w1cmask));
	for (uint8_t i = 0; i < PCI_BARS; i++)
		d->bar[i] = (struct pci_bar){
			.dev = d, .mapped_at = PCI_UNMAPPED, .assigned = PCI_UNMAPPED
		};
	fill_header(d);
	if (!pci_host_attach(h, d, addr, err))
		return false;
	set_place(d);
	if (!info->no_intx)
		irq_source_init(&d->intx, d->dev.machine,
			h->config.intx_gsi[((d->port ? d->port->pci.devfn : d->devfn) >> 3) & 3]);
	return true;
}

void pci_device_fini(struct pci_device *d)
{
	if (!d->host)
		return;
	pci_host_detach(d->host, d);
	for (int i = 0; i < PCI_BARS; i++) {
		if (d->bar[i].mapped_at != PCI_UNMAPPED)
			io_region_unmap(&d->bar[i].region);
		d->bar[i].mapped_at = PCI_UNMAPPED;
	}
	as_synchronize();
	irq_set(&d->intx, false);
	pci_msix_fini(d);
	free(d->saved.msix.items);
	d->saved.msix.items = NULL;
	d->saved.msix.len = 0;
	d->host = NULL;
}

uint8_t pci_add_cap(struct pci_device *d, uint8_t id, uint8_t len)
{
	uint8_t at = (uint8_t)d->next_cap;

	assert(len >= 2 && d->next_cap + len <= PCI_CONFIG_SIZE);
	d->config[at] = id;
	d->config[d->last_cap ? d->last_cap + 1 : PCI_CAP_PTR] = at;
	d->config[PCI_STATUS] |= PCI_STATUS_CAPS;
	d->last_cap = at;
	d->next_cap = ALIGN_UP((uint16_t)(at + len), (uint16_t)4);
	return at;
}

/* -------- BARs -------- */

static uint64_t bar_read(void *opaque, uint64_t off, unsigned int size)
{
	struct pci_bar *b = opaque;
	uint64_t v;

	if (pci_msix_read(b->dev, b->index, off, size, &v))
		return v;
	return b->ops && b->ops->read ? b->ops->read(b->opaque, off, size) : 0;
}

static void bar_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct pci_bar *b = opaque;

	hold(b->dev, true);
	if (!pci_msix_write(b->dev, b->index, off, size, value) && b->ops && b->ops->write)
		b->ops->write(b->opaque, off, value, size);
	hold(b->dev, false);
}

bool pci_add_bar(struct pci_device *d, uint8_t index, uint64_t size, bool io, bool mem64,
	bool prefetch, const char *name, const struct io_ops *ops, void *opaque, struct error *err)
{
	struct pci_bar *b = &d->bar[index];
	uint32_t flags = io ? 1 : (mem64 ? 4 : 0) | (prefetch ? 8 : 0);
	uint8_t reg = PCI_BAR0 + 4 * index;

	assert(index + mem64 < PCI_BARS && !b->size && !(size & (size - 1)) && !(io && mem64));
	assert(io ? size >= 4 && size <= 256 : size >= 16);
	assert(mem64 || size <= 1u << 31);
	*b = (struct pci_bar){ .size = size,
		.io = io,
		.mem64 = mem64,
		.prefetch = prefetch,
		.index = index,
		.dev = d,
		.mapped_at = PCI_UNMAPPED,
		.ops = ops,
		.opaque = opaque };
	b->wrapped = (struct io_ops){ .read = bar_read,
		.write = bar_write,
		.min_size = ops ? ops->min_size : 1,
		.max_size = ops ? ops->max_size : 8 };
	io_region_init(&b->region, name, &b->wrapped, b, &d->dev.lock);
	b->assigned = pci_host_alloc(d->host, b);
	if (d->host->config.assign && b->assigned == PCI_UNMAPPED)
		return error_set(err, "no room for %llu bytes in the PCI %s window",
			(unsigned long long)size, io ? "I/O port" : "memory");
	wr_le32(d->config + reg, flags);
	wr_le32(d->wmask + reg, (uint32_t) ~(size - 1));
	if (mem64)
		wr_le32(d->wmask + reg + 4, (uint32_t)(~(size - 1) >> 32));
	return true;
}

/* The address in the registers, or PCI_UNMAPPED when nothing is to be decoded there. */
static uint64_t bar_target(const struct pci_device *d, const struct pci_bar *b)
{
	const uint8_t *reg = d->config + PCI_BAR0 + 4 * b->index;
	uint64_t addr;

	if (!(command(d) & (b->io ? PCI_COMMAND_IO : PCI_COMMAND_MEM)))
		return PCI_UNMAPPED;
	addr = (b->mem64 ? rd_le64(reg) : rd_le32(reg)) & ~(b->size - 1);
	return pci_host_decodes(d->host, b, addr) ? addr : PCI_UNMAPPED;
}

/* Make the mapping what the registers say. A guest may write anything: what cannot be mapped is not
 * decoded. */
static void bar_update(struct pci_device *d, struct pci_bar *b)
{
	uint64_t to = bar_target(d, b);
	int rc = 0;

	if (!b->size || to == b->mapped_at)
		return;
	if (to == PCI_UNMAPPED)
		io_region_unmap(&b->region);
	else if (b->mapped_at == PCI_UNMAPPED)
		rc = io_region_map(d->dev.machine, &b->region, b->io, to, b->size);
	else
		rc = io_region_move(&b->region, to);
	if (rc < 0) {
		log_guest("pci", "%s: BAR %u cannot be mapped at 0x%llx: %s", device_name(&d->dev),
			b->index, (unsigned long long)to, strerror(-rc));
		if (b->mapped_at != PCI_UNMAPPED)
			io_region_unmap(&b->region);
		to = PCI_UNMAPPED;
	}
	b->mapped_at = to;
}

void pci_bars_update(struct pci_device *d)
{
	for (int i = 0; i < PCI_BARS; i++)
		bar_update(d, &d->bar[i]);
}

/* -------- interrupts -------- */

/* The pin: not used while MSI-X is on (PCI 3.0, 6.8.3.3). */
void pci_intx_update(struct pci_device *d)
{
	if (d->intx_level)
		d->config[PCI_STATUS] |= PCI_STATUS_INTX;
	else
		d->config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTX;
	irq_set(&d->intx,
		d->intx_level && !d->msix.enabled && !(command(d) & PCI_COMMAND_INTX_OFF));
}

void pci_intx_set(struct pci_device *d, bool level)
{
	if (d->intx_level == level)
		return;
	d->intx_level = level;
	pci_intx_update(d);
}

/* -------- configuration accesses -------- */

uint32_t pci_device_config_read(struct pci_device *d, uint16_t off, unsigned int size)
{
	if (d->config_read)
		d->config_read(d, off, size);
	return (uint32_t)rd_le(d->config + off, size);
}

void pci_device_config_write(struct pci_device *d, uint16_t off, uint32_t value, unsigned int size)
{
	hold(d, true);
	if (d->port)
		d->port->known = true;
	for (unsigned int i = 0; i < size; i++) {
		uint8_t v = (uint8_t)(value >> 8 * i), *c = &d->config[off + i];

		*c = (uint8_t)((*c & ~d->wmask[off + i]) | (v & d->wmask[off + i]));
		*c &= (uint8_t) ~(v & d->w1cmask[off + i]);
	}
	if (range_overlaps(off, size, PCI_COMMAND, 2)) {
		pci_bars_update(d);
		pci_intx_update(d);
	} else if (range_overlaps(off, size, PCI_BAR0, 4 * PCI_BARS)) {
		pci_bars_update(d);
	} else if (d->msix.cap && range_overlaps(off, size, d->msix.cap + 2u, 2)) {
		pci_msix_control_written(d);
	}
	if (d->config_write)
		d->config_write(d, off, value, size);
	hold(d, false);
}

/* -------- reset -------- */

static void bar_assign(struct pci_device *d, const struct pci_bar *b)
{
	uint8_t *reg = d->config + PCI_BAR0 + 4 * b->index;

	if (!b->size || b->assigned == PCI_UNMAPPED)
		return;
	wr_le32(reg, rd_le32(reg) | (uint32_t)b->assigned);
	if (b->mem64)
		wr_le32(reg + 4, (uint32_t)(b->assigned >> 32));
}

void pci_device_reset(struct pci_device *d)
{
	mutex_lock(&d->dev.lock);
	hold(d, true);
	for (int i = 0; i < PCI_CONFIG_SIZE; i++)
		d->config[i] &= (uint8_t) ~(d->wmask[i] | d->w1cmask[i]);
	d->intx_level = false;
	pci_intx_update(d);
	pci_msix_reset(d);
	if (d->host->config.assign) {
		for (int i = 0; i < PCI_BARS; i++)
			bar_assign(d, &d->bar[i]);
		if (!d->info.no_intx)
			d->config[PCI_INTERRUPT_LINE] = (uint8_t)d->intx.gsi;
	}
	pci_bars_update(d);
	hold(d, false);
	mutex_unlock(&d->dev.lock);
}

/* -------- saved state -------- */

static const struct field saved_fields[] = {
	FIELD_BYTES(struct pci_saved, config, "config", .tag = 1),
	FIELD_BOOL(struct pci_saved, intx_level, "intx", .tag = 2),
	FIELD_LIST(struct pci_saved, msix, "msix", FT_STRUCT, PCI_MSIX_MAX,
		.sub = &pci_msix_entry_state, .tag = 3),
};
static const struct field_table saved_table = FIELD_TABLE(
	"pci-config", struct pci_saved, saved_fields);
static const struct field device_fields[] = {
	FIELD_STRUCT(struct pci_device, saved, "config", &saved_table, .tag = 1),
};
const struct field_table pci_device_state = FIELD_TABLE(
	"pci-device", struct pci_device, device_fields);

void pci_pre_save(struct pci_device *d)
{
	memcpy(d->saved.config, d->config, sizeof(d->config));
	d->saved.intx_level = d->intx_level;
	pci_msix_save(d);
}

/* Bits the guest cannot write must be what this device has, or it is another device's state. */
static bool config_fits(const struct pci_device *d, struct error *err)
{
	for (unsigned int i = 0; i < PCI_CONFIG_SIZE; i++) {
		uint8_t fixed = (uint8_t) ~(d->wmask[i] | d->w1cmask[i]);

		if (i == PCI_STATUS)
			fixed &= (uint8_t)~PCI_STATUS_INTX;
		if ((d->saved.config[i] ^ d->config[i]) & fixed)
			return error_set(err,
				"saved state is of a different device (PCI configuration, byte "
				"0x%x)",
				i);
	}
	return true;
}

static bool load(struct pci_device *d, struct error *err)
{
	if (!pci_msix_load(d, err))
		return false;
	for (unsigned int i = 0; i < PCI_CONFIG_SIZE; i++) {
		uint8_t own = (uint8_t) ~(d->wmask[i] | d->w1cmask[i]);

		d->config[i] = (uint8_t)((d->config[i] & own) | (d->saved.config[i] & ~own));
	}
	d->intx_level = d->saved.intx_level && !d->info.no_intx;
	d->msix.enabled = d->msix.masked = false;
	pci_msix_control_written(d);
	pci_bars_update(d);
	pci_intx_update(d);
	return true;
}

bool pci_post_load(struct pci_device *d, struct error *err)
{
	bool ok;

	if (!config_fits(d, err))
		return false;
	mutex_lock(&d->dev.lock);
	hold(d, true);
	ok = load(d, err);
	hold(d, false);
	mutex_unlock(&d->dev.lock);
	return ok;
}
