// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * debug - two ports for software under test: one ends the machine with a status, one takes text.
 */
#include <stddef.h>
#include "base/log.h"
#include "base/types.h"
#include "chardev/chardev.h"
#include "core/device.h"
#include "core/io.h"
#include "core/machine.h"

/* ---------------------------------------------------------------- isa-debug-exit */

struct exit_config {
	uint16_t iobase;
	uint8_t iosize;
};

struct debug_exit {
	struct device dev;
	struct exit_config config;
	struct io_region io;
};

static const struct field exit_fields[] = {
	FIELD_U16(struct exit_config, iobase, "iobase", .dflt = "0x501", .doc = "first port"),
	FIELD_U8(struct exit_config, iosize, "iosize", .dflt = "2", .min = 1, .max = 8,
		.doc = "how many ports"),
};
static const struct field_table exit_table = FIELD_TABLE(
	"isa-debug-exit", struct exit_config, exit_fields);

static uint64_t exit_read(void *opaque, uint64_t off, unsigned int size)
{
	return 0;
}

/* Exit statuses are a byte, and odd, so that none looks like success. */
static void exit_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct debug_exit *x = opaque;

	machine_event(x->dev.machine, MACHINE_DEBUG_EXIT, (int)((value << 1 | 1) & 0xff));
}

static const struct io_ops exit_ops = { exit_read, exit_write, 1, 4 };

static bool exit_realize(struct device *d, struct error *err)
{
	struct debug_exit *x = CONTAINER_OF(d, struct debug_exit, dev);

	io_region_init(&x->io, "debug-exit", &exit_ops, x, NULL);
	return io_region_take_ports(d->machine, &x->io, x->config.iobase, x->config.iosize, err);
}

static void exit_unrealize(struct device *d)
{
	io_region_unmap(&CONTAINER_OF(d, struct debug_exit, dev)->io);
}

const struct device_type isa_debug_exit_type = {
	.name = "isa-debug-exit",
	.doc = "a write of N ends the VM with exit status (N << 1) | 1",
	.bus = BUS_SYSTEM,
	.flags = DEVICE_USER,
	.size = sizeof(struct debug_exit),
	.config = &exit_table,
	.config_off = offsetof(struct debug_exit, config),
	.realize = exit_realize,
	.unrealize = exit_unrealize,
	.stateless = "a write ends the machine",
};

/* ---------------------------------------------------------------- isa-debugcon */

struct con_config {
	uint16_t iobase;
	uint8_t readback;
	char *chardev; /* owned; NULL: lines go to the debug log */
};

struct debugcon {
	struct device dev;
	struct con_config config;
	struct io_region io;
	struct chardev *chr; /* borrowed from the machine */
	char line[120];	     /* under dev.lock */
	size_t len;
};

static const struct field con_fields[] = {
	FIELD_STR(struct con_config, chardev, "chardev", .flags = FF_FIRST,
		.doc = "id of the character device that takes the text; without one it goes to the "
		       "debug log"),
	FIELD_U16(struct con_config, iobase, "iobase", .dflt = "0xe9", .doc = "its port"),
	FIELD_U8(struct con_config, readback, "readback", .dflt = "0xe9",
		.doc = "what a read gives: how software finds it"),
};
static const struct field_table con_table = FIELD_TABLE(
	"isa-debugcon", struct con_config, con_fields);

static uint64_t con_read(void *opaque, uint64_t off, unsigned int size)
{
	const struct debugcon *c = opaque;

	return c->config.readback;
}

/* Asked for twice, by --device and --log debug: so not rate-limited, but made harmless. */
static void log_byte(struct debugcon *c, uint8_t byte)
{
	if (byte != '\n')
		c->line[c->len++] = byte >= ' ' && byte < 0x7f ? (char)byte : '.';
	if (byte != '\n' && c->len < sizeof(c->line))
		return;
	log_debug("debugcon", "%.*s", (int)c->len, c->line);
	c->len = 0;
}

static void con_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct debugcon *c = opaque;
	uint8_t byte = (uint8_t)value;

	/* Debug text that the back end has no room for is lost: there is no way to say "wait". */
	if (c->chr)
		chardev_write(c->chr, &byte, 1);
	else
		log_byte(c, byte);
}

static const struct io_ops con_ops = { con_read, con_write, 1, 1 };

static bool con_realize(struct device *d, struct error *err)
{
	struct debugcon *c = CONTAINER_OF(d, struct debugcon, dev);
	static const struct chardev_front front = { 0 };

	if (c->config.chardev) {
		c->chr = machine_backend(d->machine, BACKEND_CHARDEV, c->config.chardev, err);
		if (!c->chr)
			return false;
	}
	io_region_init(&c->io, "debugcon", &con_ops, c, &d->lock);
	if (!io_region_take_ports(d->machine, &c->io, c->config.iobase, 1, err))
		return false;
	if (c->chr)
		chardev_set_front(c->chr, &front);
	return true;
}

static void con_unrealize(struct device *d)
{
	struct debugcon *c = CONTAINER_OF(d, struct debugcon, dev);

	io_region_unmap(&c->io);
	if (c->chr)
		chardev_set_front(c->chr, NULL);
}

const struct device_type isa_debugcon_type = {
	.name = "isa-debugcon",
	.doc = "a port whose bytes go to a character device",
	.bus = BUS_SYSTEM,
	.flags = DEVICE_USER,
	.size = sizeof(struct debugcon),
	.config = &con_table,
	.config_off = offsetof(struct debugcon, config),
	.realize = con_realize,
	.unrealize = con_unrealize,
	.stateless = "bytes go straight through, but for a line half told to the log",
	.test_options = "chardev=test",
};
