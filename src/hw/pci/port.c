// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * port - a PCI Express root port: a bridge from the root bus to a bus of its own with one slot, whose
 * device may come and go while the guest runs (hotplug.c).
 *
 * It passes on configuration accesses for the bus number that the guest gave it, and memory. SPEC: no
 * I/O and no prefetchable window (both optional in PCI-to-PCI Bridge Architecture 1.2, 3.2.5), no
 * secondary bus reset, no interrupt of its own. The slot says nothing of being hot-pluggable, for the
 * guest is told through ACPI: there a removal takes no five seconds, and a guest that boots need not
 * talk to a controller for each port.
 *
 * Bus number and memory window are there after a reset already, as firmware would have left them.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/ovf.h"
#include "base/wire.h"
#include "hw/pci/hotplug.h"
#include "hw/pci/pci_int.h"

/* Type 1 header. */
#define PRIMARY	       0x18
#define SECONDARY      0x19
#define SUBORDINATE    0x1a
#define MEMORY_BASE    0x20
#define MEMORY_LIMIT   0x22
#define BRIDGE_CONTROL 0x3e
#define TYPE_BRIDGE    1

/* PCI Express capability (PCI Express Base 4.0, 7.5.3). */
#define EXP_LEN		   60
#define EXP_FLAGS	   2
#define EXP_DEVICE_CAP	   4
#define EXP_DEVICE_CONTROL 8
#define EXP_LINK_CAP	   12
#define EXP_LINK_STATUS	   18
#define EXP_SLOT_CAP	   20
#define EXP_SLOT_STATUS	   26
#define FLAGS_ROOT_PORT	   (2 | 4 << 4 | 1 << 8) /* version 2, root port, has a slot */
#define DEVICE_ROLE_ERRORS (1u << 15)
#define LINK_X1_2_5GT	   0x11u
#define SLOT_NUMBER_SHIFT  19
#define SLOT_OCCUPIED	   0x40u

#define SLOT_MAX 0x1fff

static const struct pci_info port_info = {
	.vendor = 0x1b36, /* the port that QEMU's guests know */
	.device = 0x000c,
	.class_code = 0x060400,
	.no_intx = true,
};

extern const struct device_type pcie_root_port_type;

bool pci_is_port(const struct pci_device *d)
{
	return d->dev.type == &pcie_root_port_type;
}

static struct pci_port *port_of(struct device *d)
{
	return CONTAINER_OF(d, struct pci_port, pci.dev);
}

uint64_t pci_port_window(const struct pci_host *h, unsigned int index)
{
	return h->config.mmio32_base + h->config.mmio32_size - (index + 1) * PCI_PORT_WINDOW;
}

/* -------- what lies behind -------- */

struct pci_port *pci_port_find(struct pci_host *h, const char *id)
{
	for (unsigned int i = 0; i < PCI_PORTS_MAX; i++) {
		struct pci_port *p = atomic_load(&h->port[i]);

		if (p && p->pci.dev.id && !strcmp(p->pci.dev.id, id))
			return p;
	}
	return NULL;
}

struct pci_device *pci_port_lookup(struct pci_host *h, uint8_t bus, uint8_t devfn)
{
	for (unsigned int i = 0; i < h->config.n_ports && devfn == 0; i++) {
		struct pci_port *p = atomic_load_explicit(&h->port[i], memory_order_acquire);

		if (p && atomic_load_explicit(&p->bus, memory_order_relaxed) == bus)
			return atomic_load_explicit(&p->seen, memory_order_acquire);
	}
	return NULL;
}

bool pci_port_decodes(const struct pci_port *p, const struct pci_bar *b, uint64_t addr)
{
	uint64_t w = atomic_load(&p->window), base = w >> 32, end = (uint32_t)w;

	return !b->io && addr >= base && range_fits(addr - base, b->size, end - base);
}

/* Main. */
static void show_presence(struct pci_port *p)
{
	uint8_t *status = p->pci.config + p->exp_cap + EXP_SLOT_STATUS;

	mutex_lock(&p->pci.dev.lock);
	*status = (uint8_t)(p->child ? *status | SLOT_OCCUPIED : *status & ~SLOT_OCCUPIED);
	mutex_unlock(&p->pci.dev.lock);
}

bool pci_port_attach(struct pci_port *p, struct pci_device *d, const char *addr, struct error *err)
{
	const char *id = p->pci.dev.id;

	if (addr && strcmp(addr, "0") && strcmp(addr, "0.0") && strcmp(addr, "0x0"))
		return error_usage(err, "addr '%s': bus '%s' has only slot 0", addr, id);
	if (pci_is_port(d))
		return error_usage(
			err, "a pcie-root-port is on the root bus only, not on '%s'", id);
	if (p->child)
		return error_usage(err,
			"PCI: slot 0 function 0 already occupied by %s, on bus '%s'",
			device_name(&p->child->dev), id);
	p->child = d;
	p->known = d->dev.machine->state == RUN_PRELAUNCH;
	d->port = p;
	d->host = p->pci.host;
	d->devfn = 0;
	if (d->dev.machine->state == RUN_PRELAUNCH)
		pci_port_show(p);
	show_presence(p);
	return true;
}

void pci_port_show(struct pci_port *p)
{
	atomic_store_explicit(&p->seen, p->child, memory_order_release);
}

void pci_port_hide(struct pci_port *p)
{
	atomic_store_explicit(&p->seen, NULL, memory_order_release);
}

void pci_port_detach(struct pci_port *p, struct pci_device *d)
{
	pci_port_hide(p);
	p->child = NULL;
	p->leaving = false;
	show_presence(p);
}

/* -------- registers -------- */

static void update(struct pci_port *p)
{
	const uint8_t *c = p->pci.config;
	uint16_t command = rd_le16(c + PCI_COMMAND);
	uint64_t base = (uint64_t)(rd_le16(c + MEMORY_BASE) & 0xfff0) << 16;
	uint64_t end = ((uint64_t)(rd_le16(c + MEMORY_LIMIT) & 0xfff0) << 16) + MIB;

	/* The last MiB below 4 GiB is never a window: its end would not fit, and there is no room. */
	if (!(command & PCI_COMMAND_MEM) || end <= base || end > UINT32_MAX)
		base = end = 0;
	atomic_store(&p->window, base << 32 | end);
	atomic_store(&p->bus, c[SECONDARY]);
	atomic_store(&p->master, command & PCI_COMMAND_MASTER);
}

/* Under the port's lock; the child's part comes without it, in pci_port_written(). */
static void port_config_write(struct pci_device *d, uint16_t off, uint32_t value, unsigned int size)
{
	update(CONTAINER_OF(d, struct pci_port, pci));
}

void pci_port_written(struct pci_device *d)
{
	struct pci_port *p = CONTAINER_OF(d, struct pci_port, pci);
	struct pci_device *child = atomic_load_explicit(&p->seen, memory_order_acquire);

	if (!child)
		return;
	mutex_lock(&child->dev.lock);
	pci_bars_update(child);
	/* Bus mastering may have come on. */
	if (child->config_write)
		child->config_write(child, PCI_COMMAND, rd_le16(child->config + PCI_COMMAND), 2);
	mutex_unlock(&child->dev.lock);
}

static void fill_registers(struct pci_port *p)
{
	uint8_t *c = p->pci.config, *w = p->pci.wmask, *e;

	c[PCI_HEADER_TYPE] = TYPE_BRIDGE;
	w[PRIMARY] = w[SECONDARY] = w[SUBORDINATE] = 0xff;
	wr_le16(w + MEMORY_BASE, 0xfff0);
	wr_le16(w + MEMORY_LIMIT, 0xfff0);
	wr_le16(w + BRIDGE_CONTROL, 0x0003); /* answers to errors, of which there are none */
	p->exp_cap = pci_add_cap(&p->pci, PCI_CAP_ID_EXP, EXP_LEN);
	e = c + p->exp_cap;
	wr_le16(e + EXP_FLAGS, FLAGS_ROOT_PORT);
	wr_le32(e + EXP_DEVICE_CAP, DEVICE_ROLE_ERRORS);
	wr_le16(w + p->exp_cap + EXP_DEVICE_CONTROL, 0x000f);
	wr_le32(e + EXP_LINK_CAP, LINK_X1_2_5GT | (uint32_t)p->cfg.port << 24);
	wr_le16(e + EXP_LINK_STATUS, LINK_X1_2_5GT);
	wr_le32(e + EXP_SLOT_CAP, p->cfg.slot << SLOT_NUMBER_SHIFT);
}

/* -------- life -------- */

static bool take_index(struct pci_port *p, struct error *err)
{
	struct pci_host *h = p->pci.host;

	for (unsigned int i = 0; i < h->config.n_ports; i++) {
		if (atomic_load(&h->port[i]))
			continue;
		p->index = i;
		if (!p->cfg.slot)
			p->cfg.slot = i + 1;
		atomic_store_explicit(&h->port[i], p, memory_order_release);
		return true;
	}
	return error_set(err,
		"the machine was made for %u root ports; more must be asked for when it starts",
		h->config.n_ports);
}

static bool slot_is_free(const struct pci_port *p, struct error *err)
{
	const struct pci_host *h = p->pci.host;

	for (unsigned int i = 0; i < PCI_PORTS_MAX; i++) {
		const struct pci_port *o = atomic_load(&h->port[i]);

		if (o && o != p && o->cfg.slot == p->cfg.slot)
			return error_usage(err, "slot %u is the number of another root port's slot",
				p->cfg.slot);
	}
	return true;
}

static void port_unrealize(struct device *d)
{
	struct pci_port *p = port_of(d);
	struct pci_host *h = p->pci.host;

	/* A machine that ends frees the newest first: the child has gone. */
	assert(!p->child);
	if (atomic_load(&h->port[p->index]) == p)
		atomic_store_explicit(&h->port[p->index], NULL, memory_order_release);
	pci_device_fini(&p->pci);
}

static bool port_realize(struct device *d, struct error *err)
{
	struct pci_port *p = port_of(d);

	if (!d->id)
		return error_usage(err, "a root port needs an id, by which devices are put on it");
	p->index = PCI_PORTS_MAX - 1;
	if (!pci_device_init(&p->pci, &port_info, p->cfg.addr, err))
		return false;
	p->pci.config_write = port_config_write;
	if (!take_index(p, err) || !slot_is_free(p, err)) {
		port_unrealize(d);
		return false;
	}
	fill_registers(p);
	return true;
}

static void port_reset(struct device *d)
{
	struct pci_port *p = port_of(d);
	struct pci_host *h = p->pci.host;
	uint64_t base = pci_port_window(h, p->index);
	uint8_t *c = p->pci.config;

	pci_device_reset(&p->pci);
	mutex_lock(&d->lock);
	if (h->config.assign) {
		c[SECONDARY] = c[SUBORDINATE] = (uint8_t)(p->index + 1);
		wr_le16(c + MEMORY_BASE, (uint16_t)(base >> 16));
		wr_le16(c + MEMORY_LIMIT, (uint16_t)((base + PCI_PORT_WINDOW - 1) >> 16 & 0xfff0));
	}
	update(p);
	mutex_unlock(&d->lock);
}

bool pci_port_get_info(struct pci_device *d, struct pci_port_info *out)
{
	const uint8_t *c = d->config;

	if (!pci_is_port(d))
		return false;
	mutex_lock(&d->dev.lock);
	*out = (struct pci_port_info){ .secondary = c[SECONDARY],
		.subordinate = c[SUBORDINATE],
		.base = (rd_le16(c + MEMORY_BASE) & 0xfff0u) << 16,
		.limit = (rd_le16(c + MEMORY_LIMIT) & 0xfff0u) << 16 | 0xfffff,
		.child = atomic_load(&((struct pci_port *)d)->seen) };
	mutex_unlock(&d->dev.lock);
	return true;
}

static void port_pre_save(struct device *d)
{
	pci_pre_save(&port_of(d)->pci);
}

static bool port_post_load(struct device *d, struct error *err)
{
	struct pci_port *p = port_of(d);

	if (!pci_post_load(&p->pci, err))
		return false;
	mutex_lock(&d->lock);
	update(p);
	mutex_unlock(&d->lock);
	pci_port_written(&p->pci);
	return true;
}

static const struct field config_fields[] = {
	FIELD_STR(
		struct pci_port_config, addr, "addr", .doc = "PCI address SLOT[.FN], hexadecimal"),
	FIELD_U32(struct pci_port_config, slot, "slot", .max = SLOT_MAX, .dflt = "0",
		.doc = "number of the slot that the guest sees; 0: the next"),
	FIELD_U8(struct pci_port_config, port, "port", .dflt = "0", .doc = "number of the port"),
};
static const struct field_table config_table = FIELD_TABLE(
	"pcie-root-port", struct pci_port_config, config_fields);

static const struct field state_fields[] = {
	FIELD_STRUCT(struct pci_port, pci, "pci", &pci_device_state, .tag = 1),
};
static const struct field_table state_table = FIELD_TABLE(
	"pcie-root-port", struct pci_port, state_fields);

const struct device_type pcie_root_port_type = {
	.name = "pcie-root-port",
	.doc = "a slot for a PCI device that comes and goes while the guest runs",
	.bus = BUS_PCI,
	.flags = DEVICE_USER | DEVICE_NUMBERED,
	.size = sizeof(struct pci_port),
	.config = &config_table,
	.config_off = offsetof(struct pci_port, cfg),
	.state = &state_table,
	.realize = port_realize,
	.unrealize = port_unrealize,
	.reset = port_reset,
	.pre_save = port_pre_save,
	.post_load = port_post_load,
	.test_options = "id=port",
};
