// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * serial - a 16550A UART on the ISA bus.
 *
 * The line is infinitely fast: a byte written leaves at once, from the vCPU thread, and a burst of
 * input ends the moment the back end has handed it over. So the transmitter is empty again after
 * each write (unless the back end is full), and the receiver's time-out (four silent character
 * times) is due as soon as a burst ends below the trigger level. No timer is needed.
 *
 * Invariants, under the device's lock:
 *  1. LSR's DR, error and THRE/TEMT bits are derived from the FIFOs, never stored, except OE.
 *  2. The interrupt line is high exactly while iir_pending() finds a source. A write to THR lets it
 *     fall and rise again: ISA lines are edge-triggered, the guest waits for that edge.
 *  3. The room told to the back end never exceeds what the receive FIFO can take.
 *
 * Source: National Semiconductor PC16550D, data sheet. Deviation: interrupts are not gated by
 * MCR's OUT2 (SPEC: that gate is on the adapter card, and guests that only know emulators rely on
 * its absence).
 */
#include <stdio.h>
#include <string.h>
#include "base/trace.h"
#include "base/types.h"
#include "chardev/chardev.h"
#include "core/device.h"
#include "core/io.h"
#include "core/irq.h"
#include "core/machine.h"
#include "hw/legacy/legacy.h"

#define FIFO_SIZE 16

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR, N_REGS };

#define IER_RX	 0x01
#define IER_THR	 0x02
#define IER_LSR	 0x04
#define IER_MSR	 0x08
#define IER_MASK 0x0f

#define IIR_NONE    0x01
#define IIR_MSR	    0x00
#define IIR_THR	    0x02
#define IIR_RX	    0x04
#define IIR_LSR	    0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFO    0xc0

#define FCR_ENABLE 0x01
#define FCR_CLR_RX 0x02
#define FCR_CLR_TX 0x04
#define FCR_KEEP   0xc9 /* bits that are kept: enable, DMA mode, trigger level */

#define LCR_BREAK 0x40
#define LCR_DLAB  0x80

#define MCR_DTR	 0x01
#define MCR_RTS	 0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define MCR_MASK 0x1f

#define LSR_DR	 0x01
#define LSR_OE	 0x02
#define LSR_BI	 0x10
#define LSR_ERR	 0x1e
#define LSR_THRE 0x20
#define LSR_TEMT 0x40
#define LSR_FIFO 0x80

#define MSR_CTS	  0x10
#define MSR_DSR	  0x20
#define MSR_RI	  0x40
#define MSR_DCD	  0x80
#define MSR_TERI  0x04
#define MSR_DELTA 0x0f

struct serial_config {
	uint8_t index;
	uint16_t iobase; /* 0: by index */
	uint8_t irq;	 /* 0: by index */
	char *chardev;	 /* owned; NULL: nothing is connected */
};

struct serial_state {
	uint16_t divisor;
	uint8_t ier, fcr, lcr, mcr, msr, scr;
	uint8_t lsr_oe;	  /* LSR_OE or 0 */
	bool thr_pending; /* THR-empty interrupt not yet acknowledged */
	bool rx_timeout;  /* a burst ended below the trigger level */
	uint8_t rx[FIFO_SIZE],
		rx_err[FIFO_SIZE]; /* bytes and their LSR error bits; [0] is oldest */
	uint8_t rx_len;
	uint8_t tx[FIFO_SIZE]; /* waiting for the back end */
	uint8_t tx_len;
};

struct serial {
	struct device dev;
	struct serial_config config;
	struct serial_state s; /* under dev.lock */
	struct io_region io;
	struct irq_source irq;
	struct chardev *chr; /* borrowed from the machine; NULL: none */
	size_t room;	     /* last told to the back end */
	bool quiet;	     /* between quiesce and resume: under dev.lock */
};

static const struct field config_fields[] = {
	FIELD_U8(struct serial_config, index, "index", .max = 3, .dflt = "0",
		.doc = "COM port number, 0..3; decides iobase and irq"),
	FIELD_U16(struct serial_config, iobase, "iobase", .max = 0xfff8,
		.doc = "first of eight ports; 0: by index"),
	FIELD_U8(struct serial_config, irq, "irq", .max = 15, .doc = "interrupt; 0: by index"),
	FIELD_STR(struct serial_config, chardev, "chardev", .flags = FF_FIRST,
		.doc = "id of the character device behind it"),
};
static const struct field_table config_table = FIELD_TABLE(
	"isa-serial", struct serial_config, config_fields);

static const struct field state_fields[] = {
	FIELD_U16(struct serial_state, divisor, "divisor", .tag = 1),
	FIELD_U8(struct serial_state, ier, "ier", .tag = 2, .max = IER_MASK),
	FIELD_U8(struct serial_state, fcr, "fcr", .tag = 3),
	FIELD_U8(struct serial_state, lcr, "lcr", .tag = 4),
	FIELD_U8(struct serial_state, mcr, "mcr", .tag = 5, .max = MCR_MASK),
	FIELD_U8(struct serial_state, msr, "msr", .tag = 6),
	FIELD_U8(struct serial_state, scr, "scr", .tag = 7),
	FIELD_U8(struct serial_state, lsr_oe, "overrun", .tag = 8, .max = LSR_OE),
	FIELD_BOOL(struct serial_state, thr_pending, "thr-pending", .tag = 9),
	FIELD_BOOL(struct serial_state, rx_timeout, "rx-timeout", .tag = 10),
	FIELD_BYTES(struct serial_state, rx, "rx", .tag = 11),
	FIELD_BYTES(struct serial_state, rx_err, "rx-errors", .tag = 12),
	FIELD_U8(struct serial_state, rx_len, "rx-len", .tag = 13, .max = FIFO_SIZE),
	FIELD_BYTES(struct serial_state, tx, "tx", .tag = 14),
	FIELD_U8(struct serial_state, tx_len, "tx-len", .tag = 15, .max = FIFO_SIZE),
};
static const struct field_table state_table = FIELD_TABLE(
	"isa-serial", struct serial_state, state_fields);

static bool fifo_on(const struct serial_state *s)
{
	return s->fcr & FCR_ENABLE;
}

static unsigned int rx_trigger(const struct serial_state *s)
{
	static const uint8_t levels[4] = { 1, 4, 8, 14 };

	return fifo_on(s) ? levels[s->fcr >> 6] : 1;
}

static uint8_t lsr_value(const struct serial_state *s)
{
	uint8_t v = s->lsr_oe;

	if (s->rx_len)
		v |= LSR_DR | s->rx_err[0];
	if (!s->tx_len)
		v |= LSR_THRE | LSR_TEMT;
	for (unsigned int i = 0; fifo_on(s) && i < s->rx_len; i++)
		if (s->rx_err[i])
			v |= LSR_FIFO;
	return v;
}

/* The highest-priority source that is enabled, as IIR tells it. */
static uint8_t iir_pending(const struct serial_state *s)
{
	if ((s->ier & IER_LSR) && (lsr_value(s) & LSR_ERR))
		return IIR_LSR;
	if ((s->ier & IER_RX) && s->rx_len >= rx_trigger(s))
		return IIR_RX;
	if ((s->ier & IER_RX) && s->rx_timeout && s->rx_len)
		return IIR_TIMEOUT;
	if ((s->ier & IER_THR) && s->thr_pending)
		return IIR_THR;
	if ((s->ier & IER_MSR) && (s->msr & MSR_DELTA))
		return IIR_MSR;
	return IIR_NONE;
}

static void update_irq(struct serial *u)
{
	irq_set(&u->irq, iir_pending(&u->s) != IIR_NONE);
}

/* Tell the back end how much input fits. Asked again only once the guest has read everything, so
 * that reading 16 bytes costs one call; until then the back end counts down what it has. */
static void update_room(struct serial *u)
{
	const struct serial_state *s = &u->s;
	size_t room = u->quiet || s->mcr & MCR_LOOP ? 0 : fifo_on(s) ? FIFO_SIZE : 1;

	if (s->rx_len && room)
		return;
	if (u->chr && room != u->room) {
		u->room = room;
		chardev_set_room(u->chr, room);
	}
}

/* A byte arrives in the receiver. */
static void rx_push(struct serial_state *s, uint8_t byte, uint8_t error)
{
	if (s->rx_len >= (fifo_on(s) ? FIFO_SIZE : 1)) {
		s->lsr_oe = LSR_OE;
		if (fifo_on(s))
			return; /* lost in the shift register */
		s->rx_len = 0;
	}
	s->rx[s->rx_len] = byte;
	s->rx_err[s->rx_len] = error;
	s->rx_len++;
}

static uint8_t rx_pop(struct serial *u)
{
	struct serial_state *s = &u->s;
	uint8_t byte = s->rx[0];

	if (!s->rx_len)
		return byte; /* the register keeps its last value */
	if (--s->rx_len) {
		memmove(s->rx, s->rx + 1, s->rx_len);
		memmove(s->rx_err, s->rx_err + 1, s->rx_len);
	} else {
		s->rx_timeout = false;
		update_room(u);
	}
	return byte;
}

static void transmit(struct serial *u, uint8_t byte)
{
	struct serial_state *s = &u->s;

	if (s->mcr & MCR_LOOP) {
		rx_push(s, byte, 0);
		s->rx_timeout = true;
	} else if (u->chr) {
		if (!s->tx_len && chardev_write(u->chr, &byte, 1) == 1)
			return;
		/* The back end is full. A guest that doesn't wait for THRE loses bytes. */
		if (s->tx_len < (fifo_on(s) ? FIFO_SIZE : 1))
			s->tx[s->tx_len++] = byte;
	}
}

static void write_thr(struct serial *u, uint8_t byte)
{
	struct serial_state *s = &u->s;

	if (s->thr_pending) {
		s->thr_pending = false;
		update_irq(u);
	}
	transmit(u, byte);
	s->thr_pending = !s->tx_len;
	update_irq(u);
}

static void write_ier(struct serial *u, uint8_t v)
{
	struct serial_state *s = &u->s;

	v &= IER_MASK;
	if ((v & ~s->ier & IER_THR) && !s->tx_len)
		s->thr_pending = true;
	s->ier = v;
	update_irq(u);
}

static void write_fcr(struct serial *u, uint8_t v)
{
	struct serial_state *s = &u->s;

	/* Switching the FIFOs on or off empties them. */
	if ((v ^ s->fcr) & FCR_ENABLE)
		v |= FCR_CLR_RX | FCR_CLR_TX;
	else if (!(v & FCR_ENABLE))
		return;
	s->fcr = v & FCR_ENABLE ? v & FCR_KEEP : 0;
	if (v & FCR_CLR_RX) {
		s->rx_len = 0;
		s->rx_timeout = false;
	}
	if (v & FCR_CLR_TX) {
		s->tx_len = 0;
		s->thr_pending = true;
	}
	update_room(u);
	update_irq(u);
}

static void write_lcr(struct serial *u, uint8_t v)
{
	struct serial_state *s = &u->s;

	if ((v & ~s->lcr & LCR_BREAK) && (s->mcr & MCR_LOOP)) {
		rx_push(s, 0, LSR_BI);
		s->rx_timeout = true;
	}
	s->lcr = v;
	update_irq(u);
}

/* The modem's lines: always there, except in loopback, where our own outputs come back. */
static uint8_t modem_lines(const struct serial_state *s)
{
	if (!(s->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (s->mcr & MCR_RTS ? MSR_CTS : 0) | (s->mcr & MCR_DTR ? MSR_DSR : 0) |
	       (s->mcr & MCR_OUT1 ? MSR_RI : 0) | (s->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void write_mcr(struct serial *u, uint8_t v)
{
	struct serial_state *s = &u->s;
	uint8_t old = s->msr, now, delta;

	s->mcr = v & MCR_MASK;
	now = modem_lines(s);
	/* Bits 4-7 changed give bits 0-3; the ring indicator counts only when it ends. */
	delta = (uint8_t)((old ^ now) >> 4) & MSR_DELTA;
	if (now & MSR_RI)
		delta &= ~MSR_TERI;
	s->msr = now | (old & MSR_DELTA) | delta;
	update_room(u);
	update_irq(u);
}

static void serial_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct serial *u = opaque;
	struct serial_state *s = &u->s;
	uint8_t v = (uint8_t)value;

	TRACE2(serial, write, off, v);
	if ((s->lcr & LCR_DLAB) && off <= REG_IER) {
		s->divisor = off == REG_DATA ? (s->divisor & 0xff00) | v
					     : (s->divisor & 0x00ff) | (uint16_t)(v << 8);
		return;
	}
	switch (off) {
	case REG_DATA:
		write_thr(u, v);
		break;
	case REG_IER:
		write_ier(u, v);
		break;
	case REG_IIR_FCR:
		write_fcr(u, v);
		break;
	case REG_LCR:
		write_lcr(u, v);
		break;
	case REG_MCR:
		write_mcr(u, v);
		break;
	case REG_SCR:
		s->scr = v;
		break;
	default: /* LSR and MSR: factory test only */
		break;
	}
}

static uint8_t read_iir(struct serial *u)
{
	struct serial_state *s = &u->s;
	uint8_t v = iir_pending(s);

	/* Being told of it acknowledges the THR-empty interrupt, and only it. */
	if (v == IIR_THR) {
		s->thr_pending = false;
		update_irq(u);
	}
	return v | (fifo_on(s) ? IIR_FIFO : 0);
}

static uint8_t read_lsr(struct serial *u)
{
	struct serial_state *s = &u->s;
	uint8_t v = lsr_value(s);

	if (v & LSR_ERR) {
		s->lsr_oe = 0;
		s->rx_err[0] = 0;
		update_irq(u);
	}
	return v;
}

static uint8_t read_msr(struct serial *u)
{
	uint8_t v = u->s.msr;

	if (v & MSR_DELTA) {
		u->s.msr &= ~MSR_DELTA;
		update_irq(u);
	}
	return v;
}

static uint64_t serial_read(void *opaque, uint64_t off, unsigned int size)
{
	struct serial *u = opaque;
	struct serial_state *s = &u->s;
	uint8_t v;

	if ((s->lcr & LCR_DLAB) && off <= REG_IER)
		return off == REG_DATA ? s->divisor & 0xff : s->divisor >> 8;
	switch (off) {
	case REG_DATA:
		v = rx_pop(u);
		update_irq(u);
		return v;
	case REG_IER:
		return s->ier;
	case REG_IIR_FCR:
		return read_iir(u);
	case REG_LCR:
		return s->lcr;
	case REG_MCR:
		return s->mcr;
	case REG_LSR:
		return read_lsr(u);
	case REG_MSR:
		return read_msr(u);
	default:
		return s->scr;
	}
}

static const struct io_ops serial_ops = {
	.read = serial_read,
	.write = serial_write,
	.min_size = 1,
	.max_size = 1,
};

/* ---------------------------------------------------------------- back end, on the home loop */

static void on_receive(void *opaque, const uint8_t *p, size_t n)
{
	struct serial *u = opaque;

	mutex_lock(&u->dev.lock);
	u->room -= MIN(u->room, n);
	if (!(u->s.mcr & MCR_LOOP)) { /* loopback cuts the wire */
		for (size_t i = 0; i < n; i++)
			rx_push(&u->s, p[i], 0);
		u->s.rx_timeout = true;
		update_irq(u);
	}
	mutex_unlock(&u->dev.lock);
}

static void on_writable(void *opaque)
{
	struct serial *u = opaque;
	struct serial_state *s = &u->s;

	mutex_lock(&u->dev.lock);
	if (!u->chr)
		s->tx_len = 0; /* state saved where there was a back end */
	if (s->tx_len) {
		size_t n = chardev_write(u->chr, s->tx, s->tx_len);

		s->tx_len -= (uint8_t)n;
		memmove(s->tx, s->tx + n, s->tx_len);
		if (!s->tx_len)
			s->thr_pending = true;
		update_irq(u);
	}
	mutex_unlock(&u->dev.lock);
}

/* ---------------------------------------------------------------- device */

static void serial_reset(struct device *d)
{
	struct serial *u = CONTAINER_OF(d, struct serial, dev);

	mutex_lock(&d->lock);
	memset(&u->s, 0, sizeof(u->s));
	u->s.divisor = 12; /* 9600 baud */
	u->s.mcr = MCR_OUT2;
	u->s.msr = modem_lines(&u->s);
	update_room(u);
	update_irq(u);
	mutex_unlock(&d->lock);
}

static bool serial_realize(struct device *d, struct error *err)
{
	static const struct {
		uint16_t port;
		uint8_t irq;
	} com[4] = { { 0x3f8, 4 }, { 0x2f8, 3 }, { 0x3e8, 4 }, { 0x2e8, 3 } };
	struct serial *u = CONTAINER_OF(d, struct serial, dev);
	const struct serial_config *c = &u->config;
	uint16_t port = c->iobase ? c->iobase : com[c->index].port;
	struct chardev_front front = {
		.receive = on_receive, .writable = on_writable, .opaque = u
	};

	if (c->chardev) {
		u->chr = machine_backend(d->machine, BACKEND_CHARDEV, c->chardev, err);
		if (!u->chr)
			return false;
	}
	irq_source_init(&u->irq, d->machine, c->irq ? c->irq : com[c->index].irq);
	io_region_init(&u->io, "serial", &serial_ops, u, &d->lock);
	if (!io_region_take_ports(d->machine, &u->io, port, N_REGS, err))
		return false;
	if (u->chr)
		chardev_set_front(u->chr, &front);
	snprintf(d->place, sizeof(d->place), "port %#x, IRQ %u", port, u->irq.gsi);
	serial_reset(d);
	return true;
}

static void serial_unrealize(struct device *d)
{
	struct serial *u = CONTAINER_OF(d, struct serial, dev);

	if (u->chr)
		chardev_set_front(u->chr, NULL);
	io_region_unmap(&u->io);
	irq_set(&u->irq, false);
}

/* Input stays where it is while the machine stands still: what came between a saved state and its end, or
 * before one is loaded, would be lost in a FIFO that nobody reads. */
static void set_quiet(struct device *d, bool quiet)
{
	struct serial *u = CONTAINER_OF(d, struct serial, dev);

	mutex_lock(&d->lock);
	u->quiet = quiet;
	update_room(u);
	mutex_unlock(&d->lock);
}

static void serial_quiesce(struct device *d)
{
	set_quiet(d, true);
}

static void serial_resume(struct device *d)
{
	set_quiet(d, false);
}

static bool serial_post_load(struct device *d, struct error *err)
{
	struct serial *u = CONTAINER_OF(d, struct serial, dev);
	struct serial_state *s = &u->s;

	for (unsigned int i = 0; i < FIFO_SIZE; i++)
		if (s->rx_err[i] & ~LSR_ERR)
			return error_set(err, "isa-serial: impossible receive error bits");
	if (!fifo_on(s) && (s->rx_len > 1 || s->tx_len > 1))
		return error_set(err, "isa-serial: FIFO contents without a FIFO");
	mutex_lock(&d->lock);
	update_room(u);
	update_irq(u);
	mutex_unlock(&d->lock);
	on_writable(u);
	return true;
}

const struct device_type isa_serial_type = {
	.name = "isa-serial",
	.doc = "16550A serial port",
	.bus = BUS_SYSTEM,
	.flags = DEVICE_USER,
	.size = sizeof(struct serial),
	.config = &config_table,
	.config_off = offsetof(struct serial, config),
	.state = &state_table,
	.state_off = offsetof(struct serial, s),
	.realize = serial_realize,
	.unrealize = serial_unrealize,
	.reset = serial_reset,
	.quiesce = serial_quiesce,
	.resume = serial_resume,
	.post_load = serial_post_load,
	.test_options = "chardev=test",
};
