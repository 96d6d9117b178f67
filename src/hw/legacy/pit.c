// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pit - the i8254 timer and port 0x61, where the engine has none. The chip itself is x86/pit; here
 * are its ports, its interrupt (GSI 0) and the host's timer.
 *
 * The host's timer is armed for the next rise of channel 0's output, and only while an interrupt chip
 * would hear it: an idle guest that has better timers causes no wake-ups, whatever it left in here.
 *
 * SPEC: ticks that come while the interrupt is masked are gone (an 8259A would remember one), as are
 * those that the host was too late for. More than 10,000 a second are not made.
 */
#include "base/clock.h"
#include "base/types.h"
#include "core/cpu_fields.h"
#include "core/device.h"
#include "core/io.h"
#include "core/irq.h"
#include "core/machine.h"
#include "hw/legacy/timer.h"
#include "x86/pit.h"

#define PIT_GSI	   0
#define PIT_MIN_NS (100 * NS_PER_US)

struct pit {
	struct device dev;
	struct x86_pit_state s;	    /* under dev.lock; times are of the machine's clock */
	struct x86_pit_state saved; /* times are relative to the moment of saving */
	int64_t due, last;	    /* the rise that the timer is armed for; the last tick */
	bool stopped;		    /* quiesced */
	struct io_region io, port_b;
	struct irq_source irq;
	struct dev_timer timer;
};

static int64_t now_ns(const struct pit *p)
{
	return machine_clock_ns(p->dev.machine);
}

/* The timer follows from the state and from whether anybody listens. */
static void update(struct pit *p)
{
	int64_t now = now_ns(p);

	p->due = X86_PIT_NEVER;
	if (!p->stopped && irq_open(&p->irq))
		p->due = x86_pit_next_rise(&p->s, 0, now);
	if (p->due != X86_PIT_NEVER)
		p->due = MAX(p->due, p->last + PIT_MIN_NS);
	dev_timer_set(&p->timer,
		p->due == X86_PIT_NEVER ? DEV_TIMER_OFF : clock_mono_ns() + (p->due - now));
}

static void on_timer(struct device *d)
{
	struct pit *p = CONTAINER_OF(d, struct pit, dev);
	int64_t now = now_ns(p);

	if (!p->stopped && p->due <= now) {
		p->last = now;
		irq_pulse(&p->irq);
	}
	update(p);
}

/* On a vCPU's thread: the interrupt was unmasked. */
static void on_opened(void *opaque)
{
	struct pit *p = opaque;

	mutex_lock(&p->dev.lock);
	update(p);
	mutex_unlock(&p->dev.lock);
}

static uint64_t pit_read(void *opaque, uint64_t off, unsigned int size)
{
	struct pit *p = opaque;

	return x86_pit_read(&p->s, (uint16_t)(X86_PIT_PORT + off), now_ns(p));
}

static void pit_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct pit *p = opaque;

	x86_pit_write(&p->s, (uint16_t)(X86_PIT_PORT + off), (uint8_t)value, now_ns(p));
	update(p);
}

static uint64_t port_b_read(void *opaque, uint64_t off, unsigned int size)
{
	struct pit *p = opaque;

	return x86_pit_read(&p->s, X86_PIT_PORT_B, now_ns(p));
}

static void port_b_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct pit *p = opaque;

	x86_pit_write(&p->s, X86_PIT_PORT_B, (uint8_t)value, now_ns(p));
}

static const struct io_ops pit_ops = { pit_read, pit_write, 1, 1 };
static const struct io_ops port_b_ops = { port_b_read, port_b_write, 1, 1 };

static void pit_reset(struct device *d)
{
	struct pit *p = CONTAINER_OF(d, struct pit, dev);

	mutex_lock(&d->lock);
	x86_pit_reset(&p->s);
	update(p);
	mutex_unlock(&d->lock);
}

static void set_stopped(struct device *d, bool stopped)
{
	struct pit *p = CONTAINER_OF(d, struct pit, dev);

	mutex_lock(&d->lock);
	p->stopped = stopped;
	update(p);
	mutex_unlock(&d->lock);
}

static void pit_quiesce(struct device *d)
{
	set_stopped(d, true);
}

static void pit_resume(struct device *d)
{
	set_stopped(d, false);
}

static bool pit_realize(struct device *d, struct error *err)
{
	struct pit *p = CONTAINER_OF(d, struct pit, dev);
	int rc;

	irq_source_init(&p->irq, d->machine, PIT_GSI);
	dev_timer_init(&p->timer, d, on_timer);
	x86_pit_reset(&p->s);
	io_region_init(&p->io, "pit", &pit_ops, p, &d->lock);
	io_region_init(&p->port_b, "port-61", &port_b_ops, p, &d->lock);
	rc = io_region_map(d->machine, &p->io, true, X86_PIT_PORT, X86_PIT_PORTS);
	if (!rc) {
		rc = io_region_map(d->machine, &p->port_b, true, X86_PIT_PORT_B, 1);
		if (rc)
			io_region_unmap(&p->io);
	}
	if (rc) {
		dev_timer_fini(&p->timer);
		return error_set_errno(err, rc, "cannot take ports 0x40-0x43 and 0x61");
	}
	d->machine->irqs.opened_opaque = p;
	d->machine->irqs.opened = on_opened;
	return true;
}

static void pit_unrealize(struct device *d)
{
	struct pit *p = CONTAINER_OF(d, struct pit, dev);

	d->machine->irqs.opened = NULL;
	io_region_unmap(&p->port_b);
	io_region_unmap(&p->io);
	dev_timer_fini(&p->timer);
}

/* The clock is another one where it is loaded. The reset state has no times. */
static void pit_pre_save(struct device *d)
{
	struct pit *p = CONTAINER_OF(d, struct pit, dev);

	mutex_lock(&d->lock);
	p->saved = p->s;
	if (!x86_pit_is_reset(&p->s))
		x86_pit_shift(&p->saved, -now_ns(p));
	mutex_unlock(&d->lock);
}

static bool pit_post_load(struct device *d, struct error *err)
{
	struct pit *p = CONTAINER_OF(d, struct pit, dev);

	mutex_lock(&d->lock);
	p->s = p->saved;
	x86_pit_sanitize(&p->s, 0);
	if (!x86_pit_is_reset(&p->s))
		x86_pit_shift(&p->s, now_ns(p));
	update(p);
	mutex_unlock(&d->lock);
	return true;
}

const struct device_type i8254_type = {
	.name = "i8254",
	.doc = "interval timer and speaker port, where the engine has none",
	.bus = BUS_SYSTEM,
	.flags = DEVICE_SINGLE | DEVICE_TICKS,
	.size = sizeof(struct pit),
	.state = &pit_state_fields,
	.state_off = offsetof(struct pit, saved),
	.realize = pit_realize,
	.unrealize = pit_unrealize,
	.reset = pit_reset,
	.quiesce = pit_quiesce,
	.resume = pit_resume,
	.pre_save = pit_pre_save,
	.post_load = pit_post_load,
};
