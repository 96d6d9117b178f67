// SPDX-License-Identifier: GPL-2.0-or-later
/* query-pci - the functions on the bus, as the guest has set them up. */
#include <string.h>
#include "control/qmp.h"
#include "core/machine.h"
#include "hw/pci/pci.h"

/* -------- the tables -------- */

static const char *const region_names[] = { "io", "memory", NULL };
enum { REGION_IO, REGION_MEMORY };

struct memory {
	bool prefetch, mem64;
};
struct region {
	int64_t bar, address, size;
	int type;
	union {
		struct memory memory;
	} u;
};
struct class
{
	char *desc;
	int64_t class;
};
struct id {
	int64_t device, vendor, subsystem, subvendor;
};
struct range {
	int64_t base, limit;
};
struct bus_info {
	int64_t number, secondary, subordinate;
	struct range io, memory, prefetchable;
};
struct function;
struct bridge {
	struct bus_info bus;
	struct {
		struct function *items;
		size_t len;
	} devices;
};
struct function {
	int64_t bus, slot, function, irq, irq_pin;
	struct class class;
	struct id id;
	char *qdev_id;
	struct {
		struct region *items;
		size_t len;
	} regions;
	struct bridge bridge; /* all zero: it is none */
};
struct bus {
	int64_t bus;
	struct {
		struct function *items;
		size_t len;
	} devices;
};
struct buses {
	struct {
		struct bus *items;
		size_t len;
	} buses;
};

static const struct field memory_fields[] = {
	FIELD_BOOL(struct memory, prefetch, "prefetch"),
	FIELD_BOOL(struct memory, mem64, "mem_type_64", .doc = "a 64-bit address"),
};
static const struct field_table memory = FIELD_TABLE("memory", struct memory, memory_fields);
static const struct field_table *const region_arms[] = { NULL, &memory };
static const struct field region_fields[] = {
	FIELD_I64(struct region, bar, "bar"),
	FIELD_ENUM(struct region, type, "type", region_names),
	FIELD_I64(struct region, address, "address", .doc = "-1: none"),
	FIELD_I64(struct region, size, "size"),
	FIELD_UNION(struct region, u, "", type, region_arms),
};
static const struct field_table region = FIELD_TABLE(
	"PciMemoryRegion", struct region, region_fields);
static const struct field class_fields[] = {
	FIELD_STR(struct class, desc, "desc"),
	FIELD_I64(struct class, class, "class"),
};
static const struct field_table class = FIELD_TABLE("PciDeviceClass", struct class, class_fields);
static const struct field id_fields[] = {
	FIELD_I64(struct id, device, "device"),
	FIELD_I64(struct id, vendor, "vendor"),
	FIELD_I64(struct id, subsystem, "subsystem"),
	FIELD_I64(struct id, subvendor, "subsystem-vendor"),
};
static const struct field_table id = FIELD_TABLE("PciDeviceId", struct id, id_fields);
static const struct field range_fields[] = {
	FIELD_I64(struct range, base, "base"),
	FIELD_I64(struct range, limit, "limit"),
};
static const struct field_table range = FIELD_TABLE("PciMemoryRange", struct range, range_fields);
static const struct field bus_info_fields[] = {
	FIELD_I64(struct bus_info, number, "number"),
	FIELD_I64(struct bus_info, secondary, "secondary"),
	FIELD_I64(struct bus_info, subordinate, "subordinate"),
	FIELD_STRUCT(struct bus_info, io, "io_range", &range, .doc = "always 0: there is none"),
	FIELD_STRUCT(struct bus_info, memory, "memory_range", &range),
	FIELD_STRUCT(struct bus_info, prefetchable, "prefetchable_range", &range,
		.doc = "always 0: there is none"),
};
static const struct field_table bus_info = FIELD_TABLE(
	"PciBusInfo", struct bus_info, bus_info_fields);
#define FUNCTION_FIELDS                                                                        \
	FIELD_I64(struct function, bus, "bus"), FIELD_I64(struct function, slot, "slot"),      \
		FIELD_I64(struct function, function, "function"),                              \
		FIELD_STRUCT(struct function, class, "class_info", &class),                    \
		FIELD_STRUCT(struct function, id, "id", &id),                                  \
		FIELD_I64(struct function, irq, "irq"),                                        \
		FIELD_I64(struct function, irq_pin, "irq_pin"),                                \
		FIELD_STR(struct function, qdev_id, "qdev_id", .flags = FF_GIVEN, .dflt = ""), \
		FIELD_LIST(                                                                    \
			struct function, regions, "regions", FT_STRUCT, PCI_BARS, .sub = &region)
/* No bridge stands behind a root port. */
static const struct field behind_fields[] = { FUNCTION_FIELDS };
static const struct field_table behind = FIELD_TABLE(
	"PciDeviceInfo", struct function, behind_fields);
static const struct field bridge_fields[] = {
	FIELD_STRUCT(struct bridge, bus, "bus", &bus_info),
	FIELD_LIST(struct bridge, devices, "devices", FT_STRUCT, 256, .sub = &behind,
		.flags = FF_OMIT_ZERO),
};
static const struct field_table bridge = FIELD_TABLE("PciBridgeInfo", struct bridge, bridge_fields);
static const struct field function_fields[] = {
	FUNCTION_FIELDS,
	FIELD_STRUCT(struct function, bridge, "pci_bridge", &bridge, .flags = FF_OMIT_ZERO,
		.doc = "of a root port: what is behind it"),
};
static const struct field_table function = FIELD_TABLE(
	"PciDeviceInfo", struct function, function_fields);
static const struct field bus_fields[] = {
	FIELD_I64(struct bus, bus, "bus"),
	FIELD_LIST(struct bus, devices, "devices", FT_STRUCT, 256, .sub = &function),
};
static const struct field_table bus = FIELD_TABLE("PciInfo", struct bus, bus_fields);
static const struct field buses_fields[] = {
	FIELD_LIST(struct buses, buses, "buses", FT_STRUCT, 256, .sub = &bus),
};
static const struct field_table buses = FIELD_TABLE("query-pci", struct buses, buses_fields);

/* -------- the functions -------- */

static const char *class_name(uint32_t code)
{
	switch (code) {
	case 0x0100:
		return "SCSI controller";
	case 0x0200:
		return "Ethernet controller";
	case 0x0600:
		return "Host bridge";
	case 0x0604:
		return "PCI bridge";
	case 0x0780:
		return "Communication controller";
	default:
		return NULL;
	}
}

static bool add_regions(struct function *f, const struct pci_device *d, struct error *err)
{
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *b = &d->bar[i];
		struct region *r;

		if (!b->size)
			continue;
		r = fields_list_add(&function, f, "regions", err);
		if (!r)
			return false;
		r->bar = b->index;
		r->type = b->io ? REGION_IO : REGION_MEMORY;
		r->address = (int64_t)b->mapped_at; /* PCI_UNMAPPED is -1 */
		r->size = (int64_t)b->size;
		if (!b->io)
			r->u.memory = (struct memory){ b->prefetch, b->mem64 };
	}
	return true;
}

/* Under the device's lock: the guest may be moving its BARs. */
static bool fill(struct function *f, const struct pci_device *d, struct error *err)
{
	uint32_t code = d->info.class_code >> 8;

	f->slot = d->devfn >> 3;
	f->function = d->devfn & 7;
	f->class.class = code;
	f->id = (struct id){ d->info.device, d->info.vendor, d->info.subdevice, d->info.subvendor };
	f->irq = d->config[PCI_INTERRUPT_LINE];
	f->irq_pin = d->config[PCI_INTERRUPT_PIN];
	if (class_name(code) && !qmp_set_text(&f->class.desc, class_name(code), err))
		return false;
	return qmp_set_text(&f->qdev_id, d->dev.id ?: "", err) && add_regions(f, d, err);
}

static bool fill_locked(struct function *f, struct pci_device *d, struct error *err)
{
	bool ok;

	mutex_lock(&d->dev.lock);
	ok = fill(f, d, err);
	mutex_unlock(&d->dev.lock);
	return ok;
}

/* What is behind @d, if it is a root port. */
static bool fill_bridge(struct function *f, struct pci_device *d, struct error *err)
{
	struct pci_port_info i;
	struct function *child;

	if (!pci_port_get_info(d, &i))
		return true;
	f->bridge.bus = (struct bus_info){ .secondary = i.secondary,
		.subordinate = i.subordinate,
		.memory = { i.base, i.limit } };
	if (!i.child)
		return true;
	child = fields_list_add(&bridge, &f->bridge, "devices", err);
	if (!child)
		return false;
	child->bus = i.secondary;
	return fill_locked(child, i.child, err);
}

static bool query_pci(struct qmp_call *c, struct error *err)
{
	struct pci_device *d = NULL;
	struct bus *b;

	if (!c->m->pci)
		return true;
	b = fields_list_add(&buses, c->ret, "buses", err);
	while (b && (d = pci_next(c->m->pci, d))) {
		struct function *f = fields_list_add(&bus, b, "devices", err);

		if (!f || !fill_locked(f, d, err) || !fill_bridge(f, d, err))
			return false;
	}
	return b;
}

const struct qmp_command query_pci_cmd = {
	.name = "query-pci",
	.doc = "the functions on the PCI bus",
	.ret = &buses,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = query_pci,
};
