// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * irqchip - the interrupt chips of the soft engine: I/O APIC, PICs, and what goes from them and between
 * CPUs to the local APICs (lapic.c). The chips themselves are pure state (x86/lapic.h, ioapic.h, pic.h);
 * here are their wires, under one lock: chips_lock.
 *
 * As in the kvm engine's split.c: GSI n is pin n of the I/O APIC and, below 16, line n of the PICs;
 * but GSI 0, the PIT's, is pin 2. The PICs' output is LINT0 of the CPU with APIC id 0.
 * SPEC: ExtINT through a pin of the I/O APIC is not there; there is no SMM, so SMIs go nowhere.
 *
 * What a vCPU would take is in its irq_ready, kept in step by irqchip_update() after every change of its
 * APIC or of the PICs' output: the run loop asks for it without a lock. Whenever it becomes another
 * one the vCPU is notified.
 *
 * Messages are delivered while the lock is held, one after the other: what one thread sends arrives in
 * order. No delivery sends another message.
 */
#include <errno.h>
#include <string.h>
#include "accel/soft/irqchip_int.h"
#include "core/irq.h"

#define TIMER_PIN      2
#define READY_EXTINT   (1u << 8)
#define PV_IPI_REFUSED (1u << 11 | 3u << 18) /* logical, shorthand */
#define KVM_EINVAL     22

_Static_assert(IRQ_GSI_PINS == X86_IOAPIC_PINS, "pins");

/* -------- what a vCPU would take -------- */

static bool is_on_pics(const struct soft_vcpu *v)
{
	return v->apic_id == 0;
}

/* Does an interrupt of the PICs reach the CPU? With its APIC disabled it is on their wire itself. */
static bool hears_pics(const struct soft_vcpu *v)
{
	return is_on_pics(v) &&
	       (x86_lapic_mode(&v->lapic) == X86_LAPIC_OFF ||
		       x86_lapic_lvt_mode(&v->lapic, X86_LAPIC_LVT0) == X86_DM_EXTINT);
}

/* As soft_notify(); but who is woken wants the lock at once, so it is woken when that has been given up. */
static void notify(struct soft_vm *vm, struct soft_vcpu *v, uint32_t poll) REQUIRES(vm->chips_lock)
{
	if (!soft_ask(v, poll))
		return;
	if (vm->to_wake)
		soft_wake(v);
	else
		vm->to_wake = v;
}

void irqchip_unlock(struct soft_vm *vm) NO_THREAD_SAFETY
{
	struct soft_vcpu *v = vm->to_wake;

	vm->to_wake = NULL;
	mutex_unlock(&vm->chips_lock);
	if (v)
		soft_wake(v);
}

void irqchip_update(struct soft_vm *vm, struct soft_vcpu *v)
{
	uint32_t was = atomic_load_explicit(&v->irq_ready, memory_order_relaxed), ready;
	int vector = x86_lapic_pending(&v->lapic);

	ready = vector < 0 ? 0 : vector;
	if (vm->pic_out && hears_pics(v))
		ready |= READY_EXTINT;
	if (ready == was)
		return;
	atomic_store(&v->irq_ready, ready);
	if (ready)
		notify(vm, v, SOFT_POLL_IRQ);
}

void irqchip_look_up(struct soft_vcpu *v)
{
	if (atomic_load_explicit(&v->poll, memory_order_relaxed))
		v->stop = true;
}

bool soft_irq_pending(struct soft_vcpu *v)
{
	return atomic_load(&v->irq_ready);
}

static void pic_changed(struct soft_vm *vm) REQUIRES(vm->chips_lock);

int soft_irq_ack(struct soft_vcpu *v)
{
	struct soft_vm *vm = v->vm;
	int vector;

	if (!atomic_load(&v->irq_ready))
		return -1;
	mutex_lock(&vm->chips_lock);
	if (vm->pic_out && hears_pics(v)) {
		vector = x86_pic_ack(vm->pic);
		pic_changed(vm);
	} else {
		vector = x86_lapic_ack(&v->lapic);
	}
	irqchip_update(vm, v);
	irqchip_unlock(vm);
	return vector;
}

/* -------- messages -------- */

/* True: it was taken. */
static bool deliver_to(struct soft_vm *vm, struct soft_vcpu *v, const struct x86_lapic_msg *m)
	REQUIRES(vm->chips_lock)
{
	bool taken = true;

	switch (m->mode) {
	case X86_DM_FIXED:
	case X86_DM_LOWEST:
		taken = x86_lapic_accept(&v->lapic, m->vector, m->level);
		if (taken && m->mode == X86_DM_LOWEST)
			v->lapic.arbitration++;
		irqchip_update(vm, v);
		break;
	case X86_DM_NMI:
		soft_nmi(v);
		break;
	case X86_DM_INIT:
		/* A start-up message before it is void. */
		atomic_fetch_and(&v->poll, ~(uint32_t)SOFT_POLL_SIPI);
		notify(vm, v, SOFT_POLL_INIT);
		break;
	case X86_DM_SIPI:
		v->sipi_vector = m->vector;
		notify(vm, v, SOFT_POLL_SIPI);
		break;
	default: /* SMI, ExtINT, reserved */
		taken = false;
	}
	return taken;
}

static bool deliver_lowest(struct soft_vm *vm, const struct x86_lapic_msg *m,
	const struct soft_vcpu *from) REQUIRES(vm->chips_lock)
{
	uint32_t n = atomic_load_explicit(&vm->n_vcpus, memory_order_relaxed);
	struct soft_vcpu *best = NULL;

	for (uint32_t i = 0; i < n; i++) {
		struct soft_vcpu *v = vm->vcpus[i];

		if (!v || !x86_lapic_enabled(&v->lapic) ||
			!x86_lapic_matches(&v->lapic, m, from ? &from->lapic : NULL))
			continue;
		if (!best || x86_lapic_prefer(&v->lapic, &best->lapic))
			best = v;
	}
	return best && deliver_to(vm, best, m);
}

/* The vCPU that a message names by its APIC id, when that is its index too, as is usual. */
static struct soft_vcpu *likely_target(struct soft_vm *vm, const struct x86_lapic_msg *m,
	struct soft_vcpu *from) REQUIRES(vm->chips_lock)
{
	uint32_t n = atomic_load_explicit(&vm->n_vcpus, memory_order_relaxed);
	struct soft_vcpu *v;

	if (m->shorthand == X86_SH_SELF)
		return from;
	if (m->shorthand != X86_SH_NONE || m->logical || m->dest >= n || m->dest >= 0xff ||
		vm->ids_changed)
		return NULL;
	v = vm->vcpus[m->dest];
	return v && x86_lapic_matches(&v->lapic, m, NULL) ? v : NULL;
}

bool irqchip_deliver(struct soft_vm *vm, const struct x86_lapic_msg *m, struct soft_vcpu *from)
{
	uint32_t n = atomic_load_explicit(&vm->n_vcpus, memory_order_relaxed);
	struct soft_vcpu *v = likely_target(vm, m, from);
	bool taken = false;

	if (m->deassert)
		return false;
	if (v)
		return deliver_to(vm, v, m);
	if (m->mode == X86_DM_LOWEST)
		return deliver_lowest(vm, m, from);
	for (uint32_t i = 0; i < n; i++) {
		v = vm->vcpus[i];
		if (v && x86_lapic_matches(&v->lapic, m, from ? &from->lapic : NULL))
			taken |= deliver_to(vm, v, m);
	}
	return taken;
}

int soft_msi_send(struct accel_vm *avm, uint64_t addr, uint32_t data)
{
	struct soft_vm *vm = to_soft_vm(avm);
	struct x86_lapic_msg m;

	/* What no APIC takes is lost, as on the bus. */
	if (!x86_lapic_msi(addr, data, &m))
		return 0;
	mutex_lock(&vm->chips_lock);
	irqchip_deliver(vm, &m, NULL);
	irqchip_unlock(vm);
	return 0;
}

void soft_irq_self(struct soft_vcpu *v, uint8_t vector)
{
	struct x86_lapic_msg m = { .vector = vector, .mode = X86_DM_FIXED };

	mutex_lock(&v->vm->chips_lock);
	deliver_to(v->vm, v, &m);
	irqchip_unlock(v->vm);
	irqchip_look_up(v);
}

int64_t soft_pv_ipi(struct soft_vcpu *from, const uint64_t bits[2], unsigned int width,
	uint64_t first, uint64_t icr)
{
	struct soft_vm *vm = from->vm;
	struct x86_lapic_msg m = { .vector = icr, .mode = icr >> 8 & 7 };
	int64_t sent = 0;

	if (icr & PV_IPI_REFUSED || (m.mode != X86_DM_FIXED && m.mode != X86_DM_NMI))
		return -KVM_EINVAL;
	mutex_lock(&vm->chips_lock);
	for (uint32_t i = 0; i < atomic_load_explicit(&vm->n_vcpus, memory_order_relaxed); i++) {
		struct soft_vcpu *v = vm->vcpus[i];
		uint64_t n;

		if (!v || v->apic_id < first || v->apic_id - first >= 2 * width)
			continue;
		n = v->apic_id - first;
		if (bits[n / width] >> (n % width) & 1 &&
			x86_lapic_mode(&v->lapic) != X86_LAPIC_OFF)
			sent += deliver_to(vm, v, &m);
	}
	irqchip_unlock(vm);
	irqchip_look_up(from);
	return sent;
}

/* -------- I/O APIC -------- */

void irqchip_ioapic_apply(struct soft_vm *vm, struct x86_ioapic_effect f)
{
	for (uint32_t pins = f.fire; pins; pins &= pins - 1) {
		uint32_t pin = __builtin_ctz(pins), data;
		struct x86_lapic_msg m;
		uint64_t addr;

		if (!x86_ioapic_message(&vm->ioapic, pin, &addr, &data) ||
			!x86_lapic_msi(addr, data, &m))
			continue;
		/* A level that nobody took is not under way: no end of interrupt will come. */
		if (!irqchip_deliver(vm, &m, NULL))
			vm->ioapic.redirtbl[pin] &= ~X86_IOAPIC_REMOTE_IRR;
	}
}

static bool is_open(struct soft_vm *vm, uint32_t gsi) REQUIRES(vm->chips_lock)
{
	uint64_t addr;
	uint32_t data;

	return x86_ioapic_message(&vm->ioapic, gsi ?: TIMER_PIN, &addr, &data) ||
	       (gsi < X86_PIC_LINES && x86_pic_open(vm->pic, gsi));
}

bool soft_irq_open(struct accel_vm *avm, uint32_t gsi)
{
	struct soft_vm *vm = to_soft_vm(avm);
	bool open;

	mutex_lock(&vm->chips_lock);
	open = is_open(vm, gsi);
	irqchip_unlock(vm);
	return open;
}

uint32_t soft_ioapic_read(struct soft_vm *vm, uint32_t off)
{
	uint32_t value;

	mutex_lock(&vm->chips_lock);
	value = x86_ioapic_read(&vm->ioapic, off);
	irqchip_unlock(vm);
	return value;
}

/* The timer's edges may be heard from now on. The lock is not held. */
static void tell_opened(struct soft_vm *vm, bool was_open, bool open)
{
	if (open && !was_open && vm->base.machine)
		irq_opened(vm->base.machine);
}

void soft_ioapic_write(struct soft_vm *vm, uint32_t off, uint32_t value)
{
	bool was_open, open;

	mutex_lock(&vm->chips_lock);
	was_open = is_open(vm, 0);
	irqchip_ioapic_apply(vm, x86_ioapic_write(&vm->ioapic, off, value));
	open = is_open(vm, 0);
	irqchip_unlock(vm);
	tell_opened(vm, was_open, open);
}

/* -------- PICs -------- */

static struct soft_vcpu *cpu_on_pics(struct soft_vm *vm) REQUIRES(vm->chips_lock)
{
	uint32_t n = atomic_load_explicit(&vm->n_vcpus, memory_order_relaxed);

	for (uint32_t i = 0; i < n; i++)
		if (vm->vcpus[i] && is_on_pics(vm->vcpus[i]))
			return vm->vcpus[i];
	return NULL;
}

/* The output rose, and LINT0 is not ExtINT: SPEC: the entry's trigger mode and polarity are ignored,
 * it is an edge. */
static void lint0_rise(struct soft_vm *vm, struct soft_vcpu *v) REQUIRES(vm->chips_lock)
{
	struct x86_lapic_msg m = { .mode = x86_lapic_lvt_mode(&v->lapic, X86_LAPIC_LVT0),
		.vector = x86_lapic_get32(&v->lapic, X86_LAPIC_LVT0) };

	if (x86_lapic_mode(&v->lapic) != X86_LAPIC_OFF &&
		(m.mode == X86_DM_FIXED || m.mode == X86_DM_NMI || m.mode == X86_DM_INIT))
		deliver_to(vm, v, &m);
}

/* After the PICs' state has changed: their output. */
static void pic_changed(struct soft_vm *vm)
{
	bool out = x86_pic_output(vm->pic);
	struct soft_vcpu *v;

	if (out == vm->pic_out)
		return;
	vm->pic_out = out;
	v = cpu_on_pics(vm);
	if (!v)
		return;
	if (out && !hears_pics(v))
		lint0_rise(vm, v);
	irqchip_update(vm, v);
}

uint8_t soft_pic_read(struct soft_vm *vm, uint16_t port)
{
	uint8_t value;

	mutex_lock(&vm->chips_lock);
	value = x86_pic_read(vm->pic, port);
	pic_changed(vm);
	irqchip_unlock(vm);
	return value;
}

void soft_pic_write(struct soft_vm *vm, uint16_t port, uint8_t value)
{
	bool was_open, open;

	mutex_lock(&vm->chips_lock);
	was_open = is_open(vm, 0);
	x86_pic_write(vm->pic, port, value);
	pic_changed(vm);
	open = is_open(vm, 0);
	irqchip_unlock(vm);
	tell_opened(vm, was_open, open);
}

/* -------- pins -------- */

int soft_irq_set(struct accel_vm *avm, uint32_t gsi, bool level)
{
	struct soft_vm *vm = to_soft_vm(avm);

	if (gsi >= X86_IOAPIC_PINS)
		return -EINVAL;
	if (gsi == TIMER_PIN) /* GSI 0 takes its place, and on the PICs it is the cascade */
		return 0;
	mutex_lock(&vm->chips_lock);
	irqchip_ioapic_apply(vm, x86_ioapic_set(&vm->ioapic, gsi ?: TIMER_PIN, level));
	if (gsi < X86_PIC_LINES) {
		x86_pic_set(vm->pic, gsi, level);
		pic_changed(vm);
	}
	irqchip_unlock(vm);
	return 0;
}

/* -------- life, state -------- */

void soft_chips_init(struct soft_vm *vm)
{
	x86_ioapic_reset(&vm->ioapic);
	x86_pic_reset(vm->pic);
	vm->pic_out = false;
	soft_clock_init(vm);
}

int soft_chips_get(struct accel_vm *avm, struct x86_chips_state *out)
{
	struct soft_vm *vm = to_soft_vm(avm);

	memset(out, 0, sizeof(*out)); /* the PIT is a device of the board's */
	mutex_lock(&vm->chips_lock);
	out->ioapic = vm->ioapic;
	memcpy(out->pic, vm->pic, sizeof(out->pic));
	irqchip_unlock(vm);
	return soft_clock_get(avm, &out->clock_ns);
}

int soft_chips_set(struct accel_vm *avm, const struct x86_chips_state *in)
{
	struct soft_vm *vm = to_soft_vm(avm);

	mutex_lock(&vm->chips_lock);
	vm->ioapic = in->ioapic;
	vm->ioapic.irr &= (1u << X86_IOAPIC_PINS) - 1;
	vm->ioapic.ioregsel &= 0xff;
	memcpy(vm->pic, in->pic, sizeof(vm->pic));
	x86_pic_sanitize(vm->pic);
	pic_changed(vm);
	irqchip_unlock(vm);
	return soft_clock_set(avm, in->clock_ns);
}
