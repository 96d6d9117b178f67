// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * i8042 - PS/2 controller with a keyboard and a mouse, port A (fast A20 and reset) included.
 *
 * Two devices and the controller itself feed one output buffer byte; each has a queue here. The
 * byte in the buffer raises IRQ 1 or 12 until it is read, then the next moves up. A20 is only
 * remembered: no engine wraps addresses at 1 MiB.
 *
 * Power-on state is what a BIOS leaves behind (interrupts on, translation on), because direct boot
 * has none.
 *
 * Source: IBM Personal System/2 Hardware Interface Technical Reference, Keyboard and Auxiliary
 * Device Controller; Intel 8042 UPI.
 */
#include <string.h>
#include "base/types.h"
#include "core/device.h"
#include "core/io.h"
#include "core/irq.h"
#include "core/machine.h"
#include "hw/legacy/i8042.h"
#include "hw/legacy/i8042_int.h"

#define DATA_PORT    0x60
#define COMMAND_PORT 0x64
#define PORT_A	     0x92
#define IRQ_KBD	     1
#define IRQ_AUX	     12

#define ST_OBF	   0x01
#define ST_SYS	   0x04
#define ST_COMMAND 0x08 /* the last write was a command */
#define ST_UNLOCK  0x10
#define ST_AUX	   0x20 /* the byte in the buffer is the mouse's */

#define CTR_KBD_INT 0x01
#define CTR_AUX_INT 0x02
#define CTR_SYS	    0x04
#define CTR_KBD_OFF 0x10
#define CTR_AUX_OFF 0x20
#define CTR_XLATE   0x40
#define CTR_DEFAULT (CTR_KBD_INT | CTR_AUX_INT | CTR_SYS | CTR_XLATE)

#define OUT_NO_RESET 0x01
#define OUT_A20	     0x02

#define PORT_A_RESET 0x01
#define PORT_A_A20   0x02

enum { SRC_NONE, SRC_CTL, SRC_CTL_AUX, SRC_KBD, SRC_AUX }; /* whose byte is in the buffer */

struct i8042 {
	struct device dev;
	struct i8042_state s; /* under dev.lock */
	struct io_region data_io, command_io, port_a_io;
	struct irq_source irq_kbd, irq_aux;
};

static const struct field queue_fields[] = {
	FIELD_BYTES(struct queue, b, "bytes", .tag = 1),
	FIELD_U8(struct queue, len, "len", .tag = 2, .max = QUEUE),
};
static const struct field_table queue_table = FIELD_TABLE("queue", struct queue, queue_fields);

static const struct field state_fields[] = {
	FIELD_U8(struct i8042_state, ctr, "ctr", .tag = 1),
	FIELD_U8(struct i8042_state, outport, "outport", .tag = 2),
	FIELD_U8(struct i8042_state, last_write_command, "last-write-command", .tag = 3, .max = 1),
	FIELD_U8(struct i8042_state, data, "data", .tag = 4),
	FIELD_U8(struct i8042_state, source, "source", .tag = 5, .max = SRC_AUX),
	FIELD_U8(struct i8042_state, pending, "pending", .tag = 6),
	FIELD_STRUCT(struct i8042_state, ctl, "controller", &queue_table, .tag = 7),
	FIELD_STRUCT(struct i8042_state, kbd, "keyboard", &queue_table, .tag = 8),
	FIELD_STRUCT(struct i8042_state, aux, "mouse", &queue_table, .tag = 9),
	FIELD_U8(struct i8042_state, ctl_aux, "controller-as-mouse", .tag = 10, .max = 1),
	FIELD_U8(struct i8042_state, kbd_pending, "keyboard-pending", .tag = 11),
	FIELD_U8(struct i8042_state, kbd_enabled, "keyboard-enabled", .tag = 12, .max = 1),
	FIELD_U8(struct i8042_state, kbd_set, "scan-code-set", .dflt = "2", .tag = 13, .min = 1,
		.max = 3),
	FIELD_U8(struct i8042_state, kbd_break, "break-prefix", .tag = 14, .max = 1),
	FIELD_U8(struct i8042_state, kbd_last, "keyboard-last", .tag = 15),
	FIELD_U8(struct i8042_state, aux_pending, "mouse-pending", .tag = 16),
	FIELD_U8(struct i8042_state, aux_enabled, "mouse-enabled", .tag = 17, .max = 1),
	FIELD_U8(struct i8042_state, aux_remote, "mouse-remote", .tag = 18, .max = 1),
	FIELD_U8(struct i8042_state, aux_scale, "mouse-scale", .tag = 19, .max = 1),
	FIELD_U8(struct i8042_state, aux_resolution, "mouse-resolution", .tag = 20),
	FIELD_U8(struct i8042_state, aux_rate, "mouse-rate", .tag = 21),
	FIELD_U8(struct i8042_state, aux_id, "mouse-id", .tag = 22, .max = 3),
	FIELD_U8(struct i8042_state, aux_knock, "mouse-knock", .tag = 23, .max = 2),
	FIELD_U8(struct i8042_state, aux_buttons, "mouse-buttons", .tag = 24, .max = 7),
};
static const struct field_table state_table = FIELD_TABLE(
	"i8042", struct i8042_state, state_fields);

/* ---------------------------------------------------------------- queues and output buffer */

static uint8_t queue_take(struct queue *q)
{
	uint8_t v = q->b[0];

	memmove(q->b, q->b + 1, --q->len);
	return v;
}

/* Scan code set 2 to set 1, as the controller translates; higher codes pass but for two. */
static const uint8_t xlate_table[128] = { 0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64,
	0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59, 0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a,
	0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b, 0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04,
	0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d, 0x69, 0x31, 0x30, 0x23, 0x22, 0x15,
	0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f, 0x6b, 0x33, 0x25, 0x17, 0x18,
	0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61, 0x6d, 0x73, 0x28, 0x74,
	0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76, 0x55, 0x56, 0x77,
	0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f, 0x52, 0x53,
	0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54 };

static uint8_t xlate(uint8_t v)
{
	return v < 128 ? xlate_table[v] : v == 0x83 ? 0x41 : v == 0x84 ? 0x54 : v;
}

/* Of the two codes that 0x41 and 0x54 may come from, those of F7 and of Alt with Print. */
uint8_t i8042_set2_of(uint8_t set1)
{
	for (unsigned int v = 0x84; v > 0; v--) {
		if (xlate((uint8_t)v) == set1)
			return (uint8_t)v;
	}
	return 0;
}

/* The keyboard's next byte as the host sees it. False: it was a prefix and is swallowed. */
static bool take_keyboard(struct i8042_state *s)
{
	uint8_t v = queue_take(&s->kbd);

	s->kbd_last = v;
	if (!(s->ctr & CTR_XLATE)) {
		s->data = v;
		return true;
	}
	if (v == 0xf0) {
		s->kbd_break = 1;
		return false;
	}
	s->data = xlate(v) | (s->kbd_break ? 0x80 : 0);
	s->kbd_break = 0;
	return true;
}

/* Fill the output buffer if it is empty; the interrupt lines follow from it. */
static void update(struct i8042 *k)
{
	struct i8042_state *s = &k->s;

	if (s->source == SRC_NONE && s->ctl.len) {
		s->data = queue_take(&s->ctl);
		s->source = s->ctl_aux ? SRC_CTL_AUX : SRC_CTL;
	}
	while (s->source == SRC_NONE && s->kbd.len && !(s->ctr & CTR_KBD_OFF))
		if (take_keyboard(s))
			s->source = SRC_KBD;
	if (s->source == SRC_NONE && s->aux.len && !(s->ctr & CTR_AUX_OFF)) {
		s->data = queue_take(&s->aux);
		s->source = SRC_AUX;
	}
	irq_set(&k->irq_kbd,
		(s->source == SRC_KBD || s->source == SRC_CTL) && (s->ctr & CTR_KBD_INT));
	irq_set(&k->irq_aux,
		(s->source == SRC_AUX || s->source == SRC_CTL_AUX) && (s->ctr & CTR_AUX_INT));
}

/* The controller's own answer; it goes before the devices' bytes. */
static void answer(struct i8042_state *s, uint8_t v, bool as_aux)
{
	s->ctl.len = 0;
	s->ctl_aux = as_aux;
	queue_put(&s->ctl, v);
}

/* ---------------------------------------------------------------- input */

bool i8042_put_keys(struct device *d, const uint8_t *p, size_t n)
{
	struct i8042 *k = CONTAINER_OF(d, struct i8042, dev);
	bool ok;

	mutex_lock(&d->lock);
	ok = k->s.kbd_enabled && n <= (size_t)(QUEUE - k->s.kbd.len);
	for (size_t i = 0; ok && i < n; i++)
		queue_put(&k->s.kbd, p[i]);
	update(k);
	mutex_unlock(&d->lock);
	return ok;
}

bool i8042_put_mouse(struct device *d, int dx, int dy, int dz, unsigned int buttons)
{
	struct i8042 *k = CONTAINER_OF(d, struct i8042, dev);
	struct i8042_state *s = &k->s;
	bool ok;

	mutex_lock(&d->lock);
	s->aux_buttons = buttons & 7;
	ok = s->aux_enabled && !s->aux_remote && QUEUE - s->aux.len >= 4;
	if (ok)
		i8042_aux_packet(s, dx, dy, dz);
	update(k);
	mutex_unlock(&d->lock);
	return ok;
}

/* ---------------------------------------------------------------- controller */

static void write_outport(struct i8042 *k, uint8_t v)
{
	if ((k->s.outport & OUT_NO_RESET) && !(v & OUT_NO_RESET))
		machine_event(k->dev.machine, MACHINE_RESET, 0);
	k->s.outport = v | OUT_NO_RESET;
}

static void command(struct i8042 *k, uint8_t v)
{
	struct i8042_state *s = &k->s;

	s->pending = 0;
	switch (v) {
	case 0x20:
		answer(s, s->ctr, false);
		break;
	case 0x60: /* write CTR */
	case 0xd1: /* write output port */
	case 0xd2: /* write keyboard's output buffer */
	case 0xd3: /* write mouse's output buffer */
	case 0xd4: /* write to mouse */
		s->pending = v;
		break;
	case 0xa7:
		s->ctr |= CTR_AUX_OFF;
		break;
	case 0xa8:
		s->ctr &= ~CTR_AUX_OFF;
		break;
	case 0xa9: /* interface tests: passed */
	case 0xab:
		answer(s, 0, false);
		break;
	case 0xaa: /* self test: passed */
		s->ctr |= CTR_SYS;
		answer(s, 0x55, false);
		break;
	case 0xad:
		s->ctr |= CTR_KBD_OFF;
		break;
	case 0xae:
		s->ctr &= ~CTR_KBD_OFF;
		break;
	case 0xc0: /* input port: keyboard not locked */
		answer(s, 0x80, false);
		break;
	case 0xd0:
		answer(s,
			(uint8_t)(s->outport | (s->source == SRC_KBD ? 0x10 : 0) |
				  (s->source == SRC_AUX ? 0x20 : 0)),
			false);
		break;
	case 0xdd:
	case 0xdf:
		s->outport = (uint8_t)(v == 0xdf ? s->outport | OUT_A20 : s->outport & ~OUT_A20);
		break;
	default:
		/* 0xf0-0xff: pulse the low bits that are 0; bit 0 is the reset line. */
		if (v >= 0xf0 && !(v & OUT_NO_RESET))
			machine_event(k->dev.machine, MACHINE_RESET, 0);
		break;
	}
}

static void data(struct i8042 *k, uint8_t v)
{
	struct i8042_state *s = &k->s;
	uint8_t to = s->pending;

	s->pending = 0;
	switch (to) {
	case 0x60:
		s->ctr = v;
		break;
	case 0xd1:
		write_outport(k, v);
		break;
	case 0xd2:
	case 0xd3:
		answer(s, v, to == 0xd3);
		break;
	case 0xd4:
		s->ctr &= ~CTR_AUX_OFF;
		i8042_aux_write(s, v);
		break;
	default:
		s->ctr &= ~CTR_KBD_OFF; /* talking to it switches it on */
		i8042_kbd_write(s, v);
		break;
	}
}

static uint64_t data_read(void *opaque, uint64_t off, unsigned int size)
{
	struct i8042 *k = opaque;
	uint8_t v = k->s.data;

	if (k->s.source != SRC_NONE) {
		k->s.source = SRC_NONE;
		/* The line falls between two bytes: the guest waits for an edge. */
		irq_set(&k->irq_kbd, false);
		irq_set(&k->irq_aux, false);
		update(k);
	}
	return v;
}

static void data_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct i8042 *k = opaque;

	k->s.last_write_command = 0;
	data(k, (uint8_t)value);
	update(k);
}

static uint64_t command_read(void *opaque, uint64_t off, unsigned int size)
{
	const struct i8042 *k = opaque;
	const struct i8042_state *s = &k->s;

	return ST_UNLOCK | (s->source != SRC_NONE ? ST_OBF : 0) | (s->ctr & CTR_SYS ? ST_SYS : 0) |
	       (s->last_write_command ? ST_COMMAND : 0) |
	       (s->source == SRC_AUX || s->source == SRC_CTL_AUX ? ST_AUX : 0);
}

static void command_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct i8042 *k = opaque;

	k->s.last_write_command = 1;
	command(k, (uint8_t)value);
	update(k);
}

static uint64_t port_a_read(void *opaque, uint64_t off, unsigned int size)
{
	const struct i8042 *k = opaque;

	return k->s.outport & OUT_A20 ? PORT_A_A20 : 0;
}

static void port_a_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct i8042 *k = opaque;

	if (value & PORT_A_RESET)
		machine_event(k->dev.machine, MACHINE_RESET, 0);
	k->s.outport = (uint8_t)(value & PORT_A_A20 ? k->s.outport | OUT_A20
						    : k->s.outport & ~OUT_A20);
}

static const struct io_ops data_ops = { data_read, data_write, 1, 1 };
static const struct io_ops command_ops = { command_read, command_write, 1, 1 };
static const struct io_ops port_a_ops = { port_a_read, port_a_write, 1, 1 };

/* ---------------------------------------------------------------- device */

static void i8042_reset(struct device *d)
{
	struct i8042 *k = CONTAINER_OF(d, struct i8042, dev);
	struct i8042_state *s = &k->s;

	mutex_lock(&d->lock);
	memset(s, 0, sizeof(*s));
	s->ctr = CTR_DEFAULT;
	s->outport = OUT_NO_RESET | OUT_A20;
	i8042_kbd_defaults(s, true);
	i8042_aux_defaults(s);
	update(k);
	mutex_unlock(&d->lock);
}

static void i8042_unrealize(struct device *d)
{
	struct i8042 *k = CONTAINER_OF(d, struct i8042, dev);

	io_region_unmap(&k->data_io);
	io_region_unmap(&k->command_io);
	io_region_unmap(&k->port_a_io);
	irq_set(&k->irq_kbd, false);
	irq_set(&k->irq_aux, false);
}

static bool map(struct i8042 *k, struct io_region *r, const struct io_ops *ops, uint16_t port,
	struct error *err)
{
	int rc;

	io_region_init(r, "i8042", ops, k, &k->dev.lock);
	rc = io_region_map(k->dev.machine, r, true, port, 1);
	return !rc || error_set_errno(err, rc, "cannot take port 0x%x", port);
}

static bool i8042_realize(struct device *d, struct error *err)
{
	struct i8042 *k = CONTAINER_OF(d, struct i8042, dev);

	irq_source_init(&k->irq_kbd, d->machine, IRQ_KBD);
	irq_source_init(&k->irq_aux, d->machine, IRQ_AUX);
	if (!map(k, &k->data_io, &data_ops, DATA_PORT, err) ||
		!map(k, &k->command_io, &command_ops, COMMAND_PORT, err) ||
		!map(k, &k->port_a_io, &port_a_ops, PORT_A, err)) {
		i8042_unrealize(d);
		return false;
	}
	i8042_reset(d);
	return true;
}

static bool i8042_post_load(struct device *d, struct error *err)
{
	struct i8042 *k = CONTAINER_OF(d, struct i8042, dev);

	mutex_lock(&d->lock);
	k->s.outport |= OUT_NO_RESET;
	update(k);
	mutex_unlock(&d->lock);
	return true;
}

const struct device_type i8042_type = {
	.name = "i8042",
	.doc = "PS/2 keyboard and mouse controller",
	.bus = BUS_SYSTEM,
	.flags = DEVICE_SINGLE,
	.size = sizeof(struct i8042),
	.state = &state_table,
	.state_off = offsetof(struct i8042, s),
	.realize = i8042_realize,
	.unrealize = i8042_unrealize,
	.reset = i8042_reset,
	.post_load = i8042_post_load,
};
