// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pvpanic - the guest tells that it has crashed. Source: QEMU, docs/specs/pvpanic.
 */
#include "base/log.h"
#include "base/types.h"
#include "core/device.h"
#include "core/io.h"
#include "core/machine.h"

#define PANICKED     BIT(0)
#define CRASH_LOADED BIT(1) /* a crash kernel has been loaded and runs now */

struct pvpanic_config {
	uint16_t ioport;
	uint8_t events;
};

struct pvpanic {
	struct device dev;
	struct pvpanic_config config;
	struct io_region io;
};

static const struct field config_fields[] = {
	FIELD_U16(struct pvpanic_config, ioport, "ioport", .dflt = "0x505", .doc = "its port"),
	FIELD_U8(struct pvpanic_config, events, "events", .dflt = "3", .max = 3,
		.doc = "what the guest may tell: 1 panic, 2 crash kernel, 3 both"),
};
static const struct field_table config_table = FIELD_TABLE(
	"pvpanic", struct pvpanic_config, config_fields);

static uint64_t pvpanic_read(void *opaque, uint64_t off, unsigned int size)
{
	const struct pvpanic *p = opaque;

	return p->config.events;
}

static void pvpanic_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct pvpanic *p = opaque;

	value &= p->config.events;
	if (value & PANICKED)
		machine_event(p->dev.machine, MACHINE_PANIC, 0);
	else if (value & CRASH_LOADED)
		log_guest("pvpanic", "the guest crashed and runs its crash kernel");
}

static const struct io_ops pvpanic_ops = { pvpanic_read, pvpanic_write, 1, 1 };

static bool pvpanic_realize(struct device *d, struct error *err)
{
	struct pvpanic *p = CONTAINER_OF(d, struct pvpanic, dev);

	io_region_init(&p->io, "pvpanic", &pvpanic_ops, p, NULL);
	return io_region_take_ports(d->machine, &p->io, p->config.ioport, 1, err);
}

static void pvpanic_unrealize(struct device *d)
{
	io_region_unmap(&CONTAINER_OF(d, struct pvpanic, dev)->io);
}

const struct device_type pvpanic_type = {
	.name = "pvpanic",
	.doc = "lets the guest tell that it has crashed",
	.bus = BUS_SYSTEM,
	.flags = DEVICE_USER | DEVICE_SINGLE,
	.size = sizeof(struct pvpanic),
	.config = &config_table,
	.config_off = offsetof(struct pvpanic, config),
	.realize = pvpanic_realize,
	.unrealize = pvpanic_unrealize,
	.stateless = "its one register is fixed",
};
