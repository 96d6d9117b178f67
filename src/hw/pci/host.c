// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * host - the host bridge: the way of a configuration access (ECAM, ports 0xcf8/0xcfc) to its
 * function, the slots of the root bus, the address windows. Function 00.0 looks like the Q35 memory
 * controller hub, by which firmware recognises the chipset.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/ovf.h"
#include "base/trace.h"
#include "base/wire.h"
#include "hw/pci/pci_int.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA    0xcfc

#define ADDRESS_ENABLE 0x80000000u
#define ADDRESS_BITS   0x80fffffcu

/* Reset control (Intel ICH9 data sheet, RST_CNT): the byte inside the address register's dword. */
#define RESET_CPU  0x04u
#define RESET_KEEP 0x0au

/* MCH registers. */
#define MCH_PCIEXBAR 0x60

/* -------- configuration accesses -------- */

static struct pci_device *lookup(struct pci_host *h, uint8_t bus, uint8_t devfn)
{
	/* Acquire: pairs with the release in pci_host_attach. */
	return bus ? pci_port_lookup(h, bus, devfn)
		   : atomic_load_explicit(&h->slot[devfn], memory_order_acquire);
}

uint32_t pci_config_read(
	struct pci_host *h, uint8_t bus, uint8_t devfn, uint16_t off, unsigned int size)
{
	uint32_t v = UINT32_MAX;
	struct pci_device *d;

	as_read_begin(); /* keeps the function there */
	d = lookup(h, bus, devfn);
	if (d && range_fits(off, size, PCI_CONFIG_SIZE)) {
		mutex_lock(&d->dev.lock);
		v = pci_device_config_read(d, off, size);
		mutex_unlock(&d->dev.lock);
	}
	as_read_end();
	TRACE4(pci, config_read, devfn, off, size, v);
	return size < 4 ? v & ((1u << 8 * size) - 1) : v;
}

void pci_config_write(struct pci_host *h, uint8_t bus, uint8_t devfn, uint16_t off, uint32_t value,
	unsigned int size)
{
	struct pci_device *d;

	TRACE4(pci, config_write, devfn, off, size, value);
	as_read_begin();
	d = lookup(h, bus, devfn);
	if (d && range_fits(off, size, PCI_CONFIG_SIZE)) {
		mutex_lock(&d->dev.lock);
		pci_device_config_write(d, off, value, size);
		mutex_unlock(&d->dev.lock);
		if (pci_is_port(d))
			pci_port_written(d);
	}
	as_read_end();
}

/* ECAM: bus << 20 | devfn << 12 | register. */
static uint64_t ecam_read(void *opaque, uint64_t off, unsigned int size)
{
	return pci_config_read(
		opaque, (uint8_t)(off >> 20), (uint8_t)(off >> 12), off & 0xfff, size);
}

static void ecam_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	pci_config_write(opaque, (uint8_t)(off >> 20), (uint8_t)(off >> 12), off & 0xfff,
		(uint32_t)value, size);
}

static const struct io_ops ecam_ops = {
	.read = ecam_read, .write = ecam_write, .min_size = 1, .max_size = 4
};

/* Only a whole dword is the address register; Linux's probe writes a byte to 0xcfb and expects that
 * it does nothing. The byte at 0xcf9 is the reset control register. */
static uint64_t address_read(void *opaque, uint64_t off, unsigned int size)
{
	struct pci_host *h = opaque;

	if (size == 4)
		return atomic_load_explicit(&h->address, memory_order_relaxed);
	if (off == 1 && size == 1)
		return atomic_load_explicit(&h->reset_control, memory_order_relaxed);
	return UINT64_MAX;
}

static void address_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct pci_host *h = opaque;

	if (size == 4) {
		/* Relaxed: vCPUs that share the register share a lock of their own. */
		atomic_store_explicit(&h->address, value & ADDRESS_BITS, memory_order_relaxed);
	} else if (off == 1 && size == 1) {
		atomic_store_explicit(
			&h->reset_control, (uint8_t)(value & RESET_KEEP), memory_order_relaxed);
		if (value & RESET_CPU)
			machine_event(h->bridge.dev.machine, MACHINE_RESET, 0);
	}
}

static const struct io_ops address_ops = {
	.read = address_read, .write = address_write, .min_size = 1, .max_size = 4
};

static uint64_t data_read(void *opaque, uint64_t off, unsigned int size)
{
	struct pci_host *h = opaque;
	uint32_t a = atomic_load_explicit(&h->address, memory_order_relaxed);

	if (!(a & ADDRESS_ENABLE))
		return UINT64_MAX;
	return pci_config_read(
		h, (uint8_t)(a >> 16), (uint8_t)(a >> 8), (uint16_t)((a & 0xfc) + off), size);
}

static void data_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct pci_host *h = opaque;
	uint32_t a = atomic_load_explicit(&h->address, memory_order_relaxed);

	if (a & ADDRESS_ENABLE)
		pci_config_write(h, (uint8_t)(a >> 16), (uint8_t)(a >> 8),
			(uint16_t)((a & 0xfc) + off), (uint32_t)value, size);
}

static const struct io_ops data_ops = {
	.read = data_read, .write = data_write, .min_size = 1, .max_size = 4
};

/* -------- slots -------- */

struct pci_device *pci_next(struct pci_host *h, struct pci_device *prev)
{
	for (unsigned int i = prev ? prev->devfn + 1u : 0; i < ARRAY_SIZE(h->slot); i++) {
		struct pci_device *d = atomic_load_explicit(&h->slot[i], memory_order_relaxed);

		if (d)
			return d;
	}
	return NULL;
}

/* "SLOT[.FN]", hexadecimal. */
static bool parse_addr(const char *addr, uint8_t *devfn, struct error *err)
{
	char *end;
	unsigned long slot = strtoul(addr, &end, 16), fn = 0;
	bool ok = end != addr && slot < PCI_SLOTS && addr[0] != '-' && addr[0] != '+';

	if (ok && *end == '.') {
		ok = end[1] >= '0' && end[1] <= '7';
		fn = (unsigned long)(end[1] - '0');
		end += ok ? 2 : 0;
	}
	if (!ok || *end)
		return error_usage(err,
			"addr '%s' is no PCI address: SLOT[.FN], hexadecimal, 0.0 to 1f.7", addr);
	*devfn = (uint8_t)(slot << 3 | fn);
	return true;
}

static bool slot_empty(const struct pci_host *h, unsigned int slot)
{
	for (unsigned int fn = 0; fn < 8; fn++) {
		if (atomic_load_explicit(&h->slot[slot << 3 | fn], memory_order_relaxed))
			return false;
	}
	return true;
}

static bool next_free(struct pci_host *h, uint8_t *devfn, struct error *err)
{
	/* Slot 0 is the bridge's, seen or not: addresses do not depend on it. */
	for (unsigned int slot = 1; slot < PCI_SLOTS; slot++) {
		if (slot_empty(h, slot)) {
			*devfn = (uint8_t)(slot << 3);
			return true;
		}
	}
	return error_set(err, "all %u PCI slots are taken", PCI_SLOTS);
}

/* Function 0 tells whether there are others. */
static void update_multifunction(struct pci_host *h, uint8_t devfn)
{
	struct pci_device *first = atomic_load_explicit(
		&h->slot[devfn & 0xf8], memory_order_relaxed);
	bool multi = false;

	for (unsigned int fn = 1; fn < 8; fn++)
		multi |= atomic_load_explicit(
				 &h->slot[(devfn & 0xf8) | fn], memory_order_relaxed) != NULL;
	if (!first)
		return;
	mutex_lock(&first->dev.lock);
	first->config[PCI_HEADER_TYPE] &= (uint8_t)~PCI_MULTIFUNCTION;
	first->config[PCI_HEADER_TYPE] |= multi ? PCI_MULTIFUNCTION : 0;
	mutex_unlock(&first->dev.lock);
}

bool pci_bus_is_root(const char *bus)
{
	/* As QEMU's users call it. */
	return !bus || !strcmp(bus, "pcie.0") || !strcmp(bus, "pci.0");
}

static bool attach_to_port(
	struct pci_host *h, struct pci_device *d, const char *addr, struct error *err)
{
	struct pci_port *p = pci_port_find(h, d->dev.bus);

	if (!p)
		return error_usage(err,
			"Bus '%s' not found (pcie.0, or the id of a pcie-root-port)", d->dev.bus);
	return pci_port_attach(p, d, addr, err);
}

bool pci_host_attach(struct pci_host *h, struct pci_device *d, const char *addr, struct error *err)
{
	uint8_t devfn = 0;

	if (!pci_bus_is_root(d->dev.bus))
		return attach_to_port(h, d, addr, err);
	if (d->dev.machine->state != RUN_PRELAUNCH)
		return error_set(err, "Bus 'pcie.0' does not support hotplugging (give bus=ID of a "
				      "pcie-root-port)");

	if (d != &h->bridge && !(addr ? parse_addr(addr, &devfn, err) : next_free(h, &devfn, err)))
		return false;
	if (d != &h->bridge && devfn == 0)
		return error_usage(err, "addr '%s': slot 0 function 0 is the host bridge's", addr);
	if (atomic_load_explicit(&h->slot[devfn], memory_order_relaxed))
		return error_usage(err, "addr '%s': that PCI slot is taken by %s", addr,
			device_name(&h->slot[devfn]->dev));
	d->devfn = devfn;
	d->host = h;
	if (d == &h->bridge && h->config.no_bridge)
		return true;
	atomic_store_explicit(&h->slot[devfn], d, memory_order_release);
	update_multifunction(h, devfn);
	return true;
}

void pci_host_detach(struct pci_host *h, struct pci_device *d)
{
	if (d->port) {
		pci_port_detach(d->port, d);
		as_synchronize();
		return;
	}
	if (h->slot[d->devfn] == d)
		atomic_store_explicit(&h->slot[d->devfn], NULL, memory_order_release);
	update_multifunction(h, d->devfn);
	as_synchronize();
}

/* -------- windows -------- */

struct window {
	uint64_t base, size;
};

static struct window window_of(const struct pci_host *h, const struct pci_bar *b)
{
	const struct pci_host_config *c = &h->config;
	const struct pci_port *p = b->dev->port;

	if (p)
		return b->io ? (struct window){ 0 }
			     : (struct window){ pci_port_window(h, p->index), PCI_PORT_WINDOW };

	if (b->io)
		return (struct window){ c->io_base, c->io_size };
	if (b->mem64 && b->prefetch && c->mmio64_size)
		return (struct window){ c->mmio64_base, c->mmio64_size };
	/* The upper end is the ports'. */
	return (struct window){ c->mmio32_base, c->mmio32_size - c->n_ports * PCI_PORT_WINDOW };
}

static bool inside(uint64_t base, uint64_t win_size, uint64_t addr, uint64_t size)
{
	return addr >= base && range_fits(addr - base, size, win_size);
}

bool pci_host_decodes(const struct pci_host *h, const struct pci_bar *b, uint64_t addr)
{
	const struct pci_host_config *c = &h->config;

	if (b->dev->port)
		return pci_port_decodes(b->dev->port, b, addr);
	if (b->io)
		return inside(c->io_base, c->io_size, addr, b->size);
	return inside(c->mmio32_base, c->mmio32_size, addr, b->size) ||
	       inside(c->mmio64_base, c->mmio64_size, addr, b->size);
}

/* The assigned BAR of another function that stands in the way of [addr, addr + size). */
static const struct pci_bar *obstacle(
	struct pci_host *h, const struct pci_bar *b, uint64_t addr, uint64_t size)
{
	struct pci_device *d = NULL;

	/* Behind a port there is only one function. */
	while ((d = b->dev->port ? (d ? NULL : b->dev) : pci_next(h, d))) {
		for (int i = 0; i < PCI_BARS; i++) {
			const struct pci_bar *o = &d->bar[i];

			if (o != b && o->size && o->io == b->io && o->assigned != PCI_UNMAPPED &&
				range_overlaps(addr, size, o->assigned, o->size))
				return o;
		}
	}
	return NULL;
}

uint64_t pci_host_alloc(struct pci_host *h, const struct pci_bar *b)
{
	struct window w = window_of(h, b);
	uint64_t addr = ALIGN_UP(w.base, b->size);
	const struct pci_bar *o;

	while (inside(w.base, w.size, addr, b->size)) {
		o = obstacle(h, b, addr, b->size);
		if (!o)
			return addr;
		addr = ALIGN_UP(o->assigned + o->size, b->size);
	}
	return PCI_UNMAPPED;
}

/* -------- the bridge -------- */

static const struct pci_info bridge_info = {
	.vendor = 0x8086,
	.device = 0x29c0,
	.subvendor = 0x1af4,
	.subdevice = 0x1100,
	.class_code = 0x060000,
	.revision = 2,
	.no_intx = true,
};

/* SPEC: the register knows lengths of 64, 128 and 256 MiB; fewer buses show as 64 MiB. Read-only:
 * the board decides where ECAM is. */
static void fill_pciexbar(struct pci_host *h)
{
	const struct pci_host_config *c = &h->config;
	uint64_t len = c->ecam_buses > 128 ? 0 : c->ecam_buses > 64 ? 1 : 2;

	if (c->ecam_buses)
		wr_le64(h->bridge.config + MCH_PCIEXBAR,
			(c->ecam_base & 0xffc000000ull) | len << 1 | 1);
}

static bool map_ports(struct pci_host *h, struct error *err)
{
	struct machine *m = h->bridge.dev.machine;
	int rc;

	/* The lock is each function's own. Higher priority than the reset register of the power
	 * management block, which would cut the dword in pieces. */
	io_region_init(&h->address_port, "pci-address", &address_ops, h, NULL);
	io_region_init(&h->data_port, "pci-data", &data_ops, h, NULL);
	h->address_port.as.priority = 1;
	if (h->config.no_ports)
		return true;
	rc = io_region_map(m, &h->address_port, true, PORT_ADDRESS, 4)
		     ?: io_region_map(m, &h->data_port, true, PORT_DATA, 4);
	return rc == 0 || error_set_errno(err, rc, "PCI ports cannot be mapped");
}

static bool host_realize(struct device *dev, struct error *err)
{
	struct pci_host *h = (struct pci_host *)dev;
	struct machine *m = dev->machine;
	int rc = 0;

	m->pci = h;
	io_region_init(&h->ecam, "pci-ecam", &ecam_ops, h, NULL);
	if (!pci_device_init(&h->bridge, &bridge_info, NULL, err))
		return false;
	fill_pciexbar(h);
	if (h->config.ecam_buses)
		rc = io_region_map(m, &h->ecam, false, h->config.ecam_base,
			(uint64_t)h->config.ecam_buses * MIB);
	if (rc == 0 && map_ports(h, err))
		return true;
	if (rc)
		error_set_errno(err, rc, "PCI configuration space cannot be mapped");
	dev->type->unrealize(dev);
	return false;
}

static void host_unrealize(struct device *dev)
{
	struct pci_host *h = (struct pci_host *)dev;

	io_region_unmap(&h->ecam);
	io_region_unmap(&h->address_port);
	io_region_unmap(&h->data_port);
	pci_device_fini(&h->bridge);
	dev->machine->pci = NULL;
}

static void host_reset(struct device *dev)
{
	struct pci_host *h = (struct pci_host *)dev;

	pci_device_reset(&h->bridge);
	h->address = 0;
	h->reset_control = 0;
}

static void host_pre_save(struct device *dev)
{
	struct pci_host *h = (struct pci_host *)dev;

	pci_pre_save(&h->bridge);
	h->saved_address = h->address;
	h->saved_reset_control = h->reset_control;
}

static bool host_post_load(struct device *dev, struct error *err)
{
	struct pci_host *h = (struct pci_host *)dev;

	h->address = h->saved_address & ADDRESS_BITS;
	h->reset_control = h->saved_reset_control & RESET_KEEP;
	return pci_post_load(&h->bridge, err);
}

static const struct field host_fields[] = {
	FIELD_STRUCT(struct pci_host, bridge, "bridge", &pci_device_state, .tag = 1),
	FIELD_U32(struct pci_host, saved_address, "address", .tag = 2),
	FIELD_U8(struct pci_host, saved_reset_control, "reset-control", .tag = 3),
};
static const struct field_table host_state = FIELD_TABLE("pci-host", struct pci_host, host_fields);

const struct device_type pci_host_type = {
	.name = "pci-host",
	.doc = "PCI host bridge of the Q35 kind",
	.bus = BUS_SYSTEM,
	/* The board makes it: it needs the address windows. */
	.flags = DEVICE_SINGLE | DEVICE_NO_TEST,
	.size = sizeof(struct pci_host),
	.state = &host_state,
	.realize = host_realize,
	.unrealize = host_unrealize,
	.reset = host_reset,
	.pre_save = host_pre_save,
	.post_load = host_post_load,
};

struct pci_host *pci_host_new(struct machine *m, const struct pci_host_config *c, struct error *err)
{
	struct device *d = device_new(m, &pci_host_type, NULL, err);

	assert(c->ecam_buses <= 256 && !(c->ecam_base & (MIB - 1)));
	if (!d)
		return NULL;
	((struct pci_host *)d)->config = *c;
	if (!device_realize(d, err)) {
		device_free(d);
		return NULL;
	}
	return (struct pci_host *)d;
}

const struct pci_host_config *pci_host_get_config(const struct pci_host *h)
{
	return &h->config;
}
