// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hotplug - the registers through which a guest learns that a PCI device came or shall go, and by which
 * it lets one go. The board makes this device when there are root ports.
 *
 * 1. A device that came is seen by the guest from before the event; one that went is seen no more from
 *    within the write that ejects it. Its end comes later, on main: nothing on a vCPU's thread waits.
 * 2. A guest may eject what nobody asked for; then it goes too, as its user took it out. But not a device
 *    that it has not set up yet: that was meant for the one before it in the same port, which the guest was
 *    asked for twice, and answers twice, the second time when the next one is in there already. (A guest
 *    carries out what it is told one after the other: when it knows the new one, it is through with the old.)
 * 3. A reset takes out what was asked for: the guest that would have answered is gone.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/wire.h"
#include "core/notice.h"
#include "hw/legacy/legacy.h"
#include "hw/pci/hotplug.h"
#include "hw/pci/pci_int.h"

#define VENDOR_VIRTIO 0x1af4

struct hotplug {
	struct device dev;
	struct io_region io;
	struct loop_defer defer;
	_Atomic uint32_t ejected; /* until main has freed them */
	/* Under dev.lock, saved: bits by port's index. */
	uint32_t in, out;
	uint32_t leaving; /* asked for and still there; filled when saved */
};

extern const struct device_type pci_hotplug_type;

static struct device *find_type(struct machine *m, const char *name)
{
	struct device *d;

	list_for_each (d, &m->devices, node) {
		if (!strcmp(d->type->name, name))
			return d;
	}
	return NULL;
}

static struct pci_port *port_at(struct hotplug *h, unsigned int i)
{
	struct pci_host *host = h->dev.machine->pci;

	return host ? atomic_load_explicit(&host->port[i], memory_order_acquire) : NULL;
}

/* -------- registers -------- */

/* On main. Whoever listens hears of the device while it lives, and asks nothing before it has gone. */
static void device_end(struct device *d)
{
	struct notice n = { .kind = NOTICE_DEVICE_DELETED, .device = d };
	uint16_t vendor = d->type->bus == BUS_PCI
				  ? CONTAINER_OF(d, struct pci_device, dev)->info.vendor
				  : 0;

	/* Its virtio part is a device of its own, as QEMU's clients see it. */
	n.flag = true;
	if (vendor == VENDOR_VIRTIO)
		machine_notice(d->machine, &n);
	n.flag = false;
	if (d->id)
		strncpy(n.id, d->id, sizeof(n.id) - 1);
	machine_notice(d->machine, &n);
	device_free(d);
}

/* On main: point 1. */
static void eject(void *opaque)
{
	struct hotplug *h = opaque;
	uint32_t bits = atomic_exchange(&h->ejected, 0);

	for (unsigned int i = 0; i < PCI_PORTS_MAX; i++) {
		struct pci_port *p = bits >> i & 1 ? port_at(h, i) : NULL;

		if (p && p->child)
			device_end(&p->child->dev);
	}
}

/* Is it this device that the guest means? Point 2. */
static bool is_meant(const struct pci_port *p)
{
	return p->known || p->leaving;
}

/* Any thread. */
static void let_go(struct hotplug *h, uint32_t bits)
{
	uint32_t some = 0;

	for (unsigned int i = 0; i < PCI_PORTS_MAX; i++) {
		struct pci_port *p = bits >> i & 1 ? port_at(h, i) : NULL;

		if (!p || !atomic_load(&p->seen) || !is_meant(p))
			continue;
		pci_port_hide(p);
		some |= 1u << i;
	}
	if (!some)
		return;
	atomic_fetch_or(&h->ejected, some);
	loop_post(h->dev.machine->main_loop, &h->defer);
}

static uint64_t hotplug_read(void *opaque, uint64_t off, unsigned int size)
{
	struct hotplug *h = opaque;

	return off == PCI_HOTPLUG_IN ? h->in : off == PCI_HOTPLUG_OUT ? h->out : 0;
}

static void hotplug_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct hotplug *h = opaque;

	if (off == PCI_HOTPLUG_IN)
		h->in &= ~(uint32_t)value;
	else if (off == PCI_HOTPLUG_OUT)
		h->out &= ~(uint32_t)value;
	else if (off == PCI_HOTPLUG_EJECT)
		let_go(h, (uint32_t)value);
}

static const struct io_ops ops = {
	.read = hotplug_read, .write = hotplug_write, .min_size = 4, .max_size = 4
};

/* Main. */
static void tell(struct hotplug *h, uint32_t in, uint32_t out)
{
	struct device *pm = find_type(h->dev.machine, "acpi-pm");

	mutex_lock(&h->dev.lock);
	/* What goes is no news any more, and what has come anew need not go. */
	h->in = (h->in & ~out) | in;
	h->out = (h->out & ~in) | out;
	mutex_unlock(&h->dev.lock);
	if (pm)
		acpi_pm_raise_gpe(pm, PCI_HOTPLUG_GPE);
}

/* -------- main's side -------- */

struct device *pci_hotplug_add(
	struct machine *m, const char *type, const char *options, struct error *err)
{
	const struct device_type *t = device_type_find(type);
	struct device *d, *hot = find_type(m, "acpi-pci-hotplug");
	struct pci_device *pd;

	if (!t || !(t->flags & DEVICE_USER)) {
		error_usage(err, "'%s' is not a valid device model name", type);
		return NULL;
	}
	if (m->state != RUN_PRELAUNCH && (t->bus != BUS_PCI || !hot)) {
		error_usage(err,
			t->bus != BUS_PCI ? "Device '%s' does not support hotplugging"
					  : "Bus 'pcie.0' does not support hotplugging: "
					    "no root port for %s (start with --device "
					    "pcie-root-port,id=...)",
			type);
		return NULL;
	}
	d = device_create(m, type, options, err);
	if (!d || m->state == RUN_PRELAUNCH)
		return d;
	if (t->reset)
		t->reset(d);
	if (m->quiesced && t->quiesce)
		t->quiesce(d);
	pd = CONTAINER_OF(d, struct pci_device, dev);
	pci_port_show(pd->port);
	tell(CONTAINER_OF(hot, struct hotplug, dev), 1u << pd->port->index, 0);
	return d;
}

bool pci_hotplug_del(struct device *d, struct error *err)
{
	struct device *hot = find_type(d->machine, "acpi-pci-hotplug");
	struct pci_port *p;

	if (!(d->type->flags & DEVICE_USER))
		return error_usage(err, "Device '%s' is the board's own", device_name(d));
	if (d->machine->state == RUN_PRELAUNCH) {
		if (d->type->bus == BUS_PCI && pci_is_port((struct pci_device *)d) &&
			CONTAINER_OF(d, struct pci_port, pci.dev)->child)
			return error_usage(err, "Bus '%s' is not empty", d->id);
		device_end(d);
		return true;
	}
	p = d->type->bus == BUS_PCI ? CONTAINER_OF(d, struct pci_device, dev)->port : NULL;
	if (!p || !hot)
		return error_usage(err,
			d->type->bus == BUS_PCI ? "Bus 'pcie.0' does not support hotplugging: "
						  "'%s' cannot be taken out"
						: "Device '%s' does not support hotplugging",
			device_name(d));
	if (!atomic_load(&p->seen)) /* it has let go already */
		return true;
	p->leaving = true;
	/* Also when it was asked before: an operating system that was not up yet never saw it. */
	tell(CONTAINER_OF(hot, struct hotplug, dev), 0, 1u << p->index);
	return true;
}

unsigned int pci_hotplug_slots(struct machine *m, struct pci_slot_info *out, unsigned int max)
{
	struct pci_host *host = m->pci;
	unsigned int n = 0;

	for (unsigned int i = 0; host && i < PCI_PORTS_MAX && n < max; i++) {
		const struct pci_port *p = atomic_load(&host->port[i]);

		if (p)
			out[n++] = (struct pci_slot_info){ (uint8_t)i, p->pci.devfn, p->cfg.slot };
	}
	return n;
}

/* -------- life -------- */

static uint32_t leaving(struct hotplug *h)
{
	uint32_t bits = 0;

	for (unsigned int i = 0; i < PCI_PORTS_MAX; i++) {
		const struct pci_port *p = port_at(h, i);

		bits |= p && p->child && p->leaving ? 1u << i : 0;
	}
	return bits;
}

static void hotplug_reset(struct device *d)
{
	struct hotplug *h = CONTAINER_OF(d, struct hotplug, dev);

	mutex_lock(&d->lock);
	h->in = h->out = 0;
	mutex_unlock(&d->lock);
	let_go(h, leaving(h)); /* point 3 */
}

static bool hotplug_realize(struct device *d, struct error *err)
{
	struct hotplug *h = CONTAINER_OF(d, struct hotplug, dev);

	loop_defer_init(&h->defer, eject, h);
	io_region_init(&h->io, "pci-hotplug", &ops, h, &d->lock);
	return io_region_take_ports(d->machine, &h->io, PCI_HOTPLUG_PORT, PCI_HOTPLUG_SIZE, err);
}

static void hotplug_unrealize(struct device *d)
{
	struct hotplug *h = CONTAINER_OF(d, struct hotplug, dev);

	io_region_unmap(&h->io);
	as_synchronize();
	loop_defer_cancel(d->machine->main_loop, &h->defer);
}

static void hotplug_pre_save(struct device *d)
{
	struct hotplug *h = CONTAINER_OF(d, struct hotplug, dev);

	h->leaving = leaving(h);
}

static bool hotplug_post_load(struct device *d, struct error *err)
{
	struct hotplug *h = CONTAINER_OF(d, struct hotplug, dev);

	for (unsigned int i = 0; i < PCI_PORTS_MAX; i++) {
		struct pci_port *p = port_at(h, i);

		if (p)
			p->leaving = p->child && h->leaving >> i & 1;
	}
	return true;
}

static const struct field state_fields[] = {
	FIELD_U32(struct hotplug, in, "in", .tag = 1),
	FIELD_U32(struct hotplug, out, "out", .tag = 2),
	FIELD_U32(struct hotplug, leaving, "leaving", .tag = 3),
};
static const struct field_table state_table = FIELD_TABLE(
	"acpi-pci-hotplug", struct hotplug, state_fields);

const struct device_type pci_hotplug_type = {
	.name = "acpi-pci-hotplug",
	.doc = "tells the guest of PCI devices that come and go",
	.bus = BUS_SYSTEM,
	.flags = DEVICE_SINGLE,
	.size = sizeof(struct hotplug),
	.state = &state_table,
	.realize = hotplug_realize,
	.unrealize = hotplug_unrealize,
	.reset = hotplug_reset,
	.pre_save = hotplug_pre_save,
	.post_load = hotplug_post_load,
};
