// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * irqchip - the interrupt chips of the soft engine: local APICs, I/O APIC, PICs. The chips themselves
 * are pure state (x86/lapic.h, ioapic.h, pic.h); here are their wires, under one lock: chips_lock.
 *
 * As in the kvm engine's split.c: GSI n is pin n of the I/O APIC and, below 16, line n of the PICs;
 * but GSI 0, the PIT's, is pin 2. The PICs' output is LINT0 of the CPU with APIC id 0.
 * SPEC: ExtINT through a pin of the I/O APIC is not there; there is no SMM, so SMIs go nowhere.
 *
 * What a vCPU would take is in its irq_ready, kept in step by update() after every change of its
 * APIC or of the PICs' output: the run loop asks for it without a lock. Whenever it becomes another
 * one the vCPU is notified.
 *
 * Likewise timer_tsc: when to look at the timer, in soft_host_tsc()'s time, so that the run loop's
 * look is one comparison. Only then the time that counts is read: CLOCK_MONOTONIC, or the guest's TSC
 * for its deadline.
 *
 * Messages are delivered while the lock is held, one after the other: what one thread sends arrives in
 * order. No delivery sends another message.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include "accel/soft/soft_int.h"
#include "base/clock.h"
#include "core/irq.h"

#define TIMER_PIN      2
#define READY_EXTINT   (1u << 8)
#define CPUID_X2APIC   (1u << 21) /* leaf 1, ECX */
#define CPUID_DEADLINE (1u << 24)
#define PV_IPI_REFUSED (1u << 11 | 3u << 18) /* logical, shorthand */
#define KVM_EINVAL     22
#define PHYS_BITS      52 /* of a CPU without a CPUID, as tests have them */

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

static void update(struct soft_vm *vm, struct soft_vcpu *v) REQUIRES(vm->chips_lock)
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
		soft_notify(v, SOFT_POLL_IRQ);
}

/* The CPU has done something to its own APIC: what comes of it comes before the next instruction. */
static void look_up(struct soft_vcpu *v)
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
	update(vm, v);
	mutex_unlock(&vm->chips_lock);
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
		update(vm, v);
		break;
	case X86_DM_NMI:
		soft_nmi(v);
		break;
	case X86_DM_INIT:
		/* A start-up message before it is void. */
		atomic_fetch_and(&v->poll, ~(uint32_t)SOFT_POLL_SIPI);
		soft_notify(v, SOFT_POLL_INIT);
		break;
	case X86_DM_SIPI:
		v->sipi_vector = m->vector;
		soft_notify(v, SOFT_POLL_SIPI);
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

/* @from: the sender of an IPI, or NULL. True: somebody took it. */
static bool deliver(struct soft_vm *vm, const struct x86_lapic_msg *m, struct soft_vcpu *from)
	REQUIRES(vm->chips_lock)
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
	deliver(vm, &m, NULL);
	mutex_unlock(&vm->chips_lock);
	return 0;
}

void soft_irq_self(struct soft_vcpu *v, uint8_t vector)
{
	struct x86_lapic_msg m = { .vector = vector, .mode = X86_DM_FIXED };

	mutex_lock(&v->vm->chips_lock);
	deliver_to(v->vm, v, &m);
	mutex_unlock(&v->vm->chips_lock);
	look_up(v);
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
	mutex_unlock(&vm->chips_lock);
	look_up(from);
	return sent;
}

/* -------- I/O APIC -------- */

static void ioapic_apply(struct soft_vm *vm, struct x86_ioapic_effect f) REQUIRES(vm->chips_lock)
{
	for (uint32_t pins = f.fire; pins; pins &= pins - 1) {
		uint32_t pin = __builtin_ctz(pins), data;
		struct x86_lapic_msg m;
		uint64_t addr;

		if (!x86_ioapic_message(&vm->ioapic, pin, &addr, &data) ||
			!x86_lapic_msi(addr, data, &m))
			continue;
		/* A level that nobody took is not under way: no end of interrupt will come. */
		if (!deliver(vm, &m, NULL))
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
	mutex_unlock(&vm->chips_lock);
	return open;
}

uint32_t soft_ioapic_read(struct soft_vm *vm, uint32_t off)
{
	uint32_t value;

	mutex_lock(&vm->chips_lock);
	value = x86_ioapic_read(&vm->ioapic, off);
	mutex_unlock(&vm->chips_lock);
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
	ioapic_apply(vm, x86_ioapic_write(&vm->ioapic, off, value));
	open = is_open(vm, 0);
	mutex_unlock(&vm->chips_lock);
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
	update(vm, v);
}

uint8_t soft_pic_read(struct soft_vm *vm, uint16_t port)
{
	uint8_t value;

	mutex_lock(&vm->chips_lock);
	value = x86_pic_read(vm->pic, port);
	pic_changed(vm);
	mutex_unlock(&vm->chips_lock);
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
	mutex_unlock(&vm->chips_lock);
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
	ioapic_apply(vm, x86_ioapic_set(&vm->ioapic, gsi ?: TIMER_PIN, level));
	if (gsi < X86_PIC_LINES) {
		x86_pic_set(vm->pic, gsi, level);
		pic_changed(vm);
	}
	mutex_unlock(&vm->chips_lock);
	return 0;
}

/* -------- the APIC's timer -------- */

static bool timer_masked(const struct soft_vcpu *v)
{
	return x86_lapic_lvt_mode(&v->lapic, X86_LAPIC_LVTT) < 0;
}

/* When to look: no earlier than something can be due, and not much later. */
static uint64_t timer_due(const struct soft_vcpu *v)
{
	uint64_t deadline = v->lapic.tsc_deadline, now = soft_host_tsc(), left;
	int64_t next = x86_lapic_timer_next(&v->lapic), ns;

	if (deadline && !timer_masked(v)) {
		uint64_t guest = now + (uint64_t)v->tsc_offset;

		left = deadline > guest ? deadline - guest : 0;
	} else if (next != X86_LAPIC_NEVER) {
		ns = next - clock_mono_ns();
		left = ns > 0 ? soft_ns_to_tsc(ns) : 0;
	} else {
		return UINT64_MAX;
	}
	return left < UINT64_MAX - now ? now + left : UINT64_MAX;
}

void soft_timer_rearm(struct soft_vcpu *v)
{
	atomic_store_explicit(&v->timer_tsc, timer_due(v), memory_order_relaxed);
}

static void expire(struct soft_vcpu *v)
{
	x86_lapic_expire(&v->lapic, clock_mono_ns(), soft_tsc_read(v));
}

void soft_timer_run(struct soft_vcpu *v)
{
	uint64_t due = atomic_load_explicit(&v->timer_tsc, memory_order_relaxed);
	struct soft_vm *vm = v->vm;

	if (due == UINT64_MAX || soft_host_tsc() < due)
		return;
	mutex_lock(&vm->chips_lock);
	expire(v);
	soft_timer_rearm(v);
	update(vm, v);
	mutex_unlock(&vm->chips_lock);
}

int64_t soft_timer_next(struct soft_vcpu *v)
{
	struct soft_vm *vm = v->vm;
	int64_t next;

	mutex_lock(&vm->chips_lock);
	next = x86_lapic_timer_next(&v->lapic);
	if (v->lapic.tsc_deadline && !timer_masked(v))
		next = soft_tsc_to_ns(v, v->lapic.tsc_deadline);
	/* Who sleeps until then looks at the clock that counts; the TSC may be a little behind. */
	if (next != INT64_MAX)
		atomic_store_explicit(&v->timer_tsc, 0, memory_order_relaxed);
	mutex_unlock(&vm->chips_lock);
	return next;
}

/* -------- local APIC -------- */

static void cpu_features(struct soft_vcpu *v)
{
	const struct x86_cpuid_leaf *l = v->cpuid ? x86_cpuid_find(v->cpuid, 1, 0) : NULL;
	uint32_t ecx = l ? l->ecx : v->cpuid ? 0 : UINT32_MAX;

	v->lapic.features = (ecx & CPUID_X2APIC ? X86_LAPIC_HAS_X2APIC : 0) |
			    (ecx & CPUID_DEADLINE ? X86_LAPIC_HAS_DEADLINE : 0);
}

static bool is_timer(uint32_t reg)
{
	return reg == X86_LAPIC_LVTT || reg == X86_LAPIC_TMICT || reg == X86_LAPIC_TMCCT ||
	       reg == X86_LAPIC_TDCR;
}

/* Before an access to a register that has to do with time: what is due happens first. */
static int64_t time_for(struct soft_vcpu *v, uint32_t reg)
{
	if (!is_timer(reg))
		return 0;
	expire(v);
	return clock_mono_ns();
}

static void carry_out(struct soft_vm *vm, struct soft_vcpu *v, const struct x86_lapic_effect *f)
	REQUIRES(vm->chips_lock)
{
	if (f->eoi)
		ioapic_apply(vm, x86_ioapic_eoi(&vm->ioapic, f->eoi_vector));
	if (f->send)
		deliver(vm, &f->msg, v);
	if (f->timer) {
		expire(v);
		soft_timer_rearm(v);
	}
	update(vm, v);
}

bool soft_lapic_page(const struct soft_vcpu *v, uint64_t *gpa)
{
	*gpa = v->lapic.apic_base & ~(uint64_t)(X86_LAPIC_PAGE - 1);
	return x86_lapic_mode(&v->lapic) == X86_LAPIC_XAPIC;
}

static void id_changed(struct soft_vm *vm, const struct soft_vcpu *v) REQUIRES(vm->chips_lock)
{
	if (x86_lapic_mode(&v->lapic) != X86_LAPIC_X2APIC &&
		x86_lapic_get32(&v->lapic, X86_LAPIC_ID) != v->apic_id << 24)
		vm->ids_changed = true;
}

uint32_t soft_lapic_read(struct soft_vcpu *v, uint32_t off)
{
	struct soft_vm *vm = v->vm;
	uint32_t value;

	mutex_lock(&vm->chips_lock);
	value = x86_lapic_read(&v->lapic, off, time_for(v, off));
	update(vm, v);
	mutex_unlock(&vm->chips_lock);
	look_up(v);
	return value;
}

void soft_lapic_write(struct soft_vcpu *v, uint32_t off, uint32_t value)
{
	struct soft_vm *vm = v->vm;
	struct x86_lapic_effect f;

	mutex_lock(&vm->chips_lock);
	f = x86_lapic_write(&v->lapic, off, value, time_for(v, off));
	if (off == X86_LAPIC_ID)
		id_changed(vm, v);
	carry_out(vm, v, &f);
	mutex_unlock(&vm->chips_lock);
	look_up(v);
}

static bool x2apic_msr(struct soft_vm *vm, struct soft_vcpu *v, uint32_t n, uint64_t *value,
	bool write) REQUIRES(vm->chips_lock)
{
	int64_t now = time_for(v, n * 16);
	struct x86_lapic_effect f;

	if (!write) {
		bool ok = x86_lapic_msr_read(&v->lapic, n, value, now);

		update(vm, v);
		return ok;
	}
	f = x86_lapic_msr_write(&v->lapic, n, *value, now);
	carry_out(vm, v, &f);
	return !f.fault;
}

static bool base_msr(struct soft_vm *vm, struct soft_vcpu *v, uint64_t *value, bool write)
	REQUIRES(vm->chips_lock)
{
	const struct x86_lapic_effect timer = { .timer = true };

	if (!write) {
		*value = v->lapic.apic_base;
		return true;
	}
	if (!x86_lapic_set_base(&v->lapic, *value, v->phys_bits ?: PHYS_BITS))
		return false;
	carry_out(vm, v, &timer);
	return true;
}

static bool deadline_msr(struct soft_vm *vm, struct soft_vcpu *v, uint64_t *value, bool write)
	REQUIRES(vm->chips_lock)
{
	const struct x86_lapic_effect timer = { .timer = true };

	if (!(v->lapic.features & X86_LAPIC_HAS_DEADLINE))
		return false;
	if (write)
		x86_lapic_set_tsc_deadline(&v->lapic, *value);
	carry_out(vm, v, &timer);
	if (!write)
		*value = x86_lapic_tsc_deadline(&v->lapic);
	return true;
}

bool soft_apic_msr(struct soft_vcpu *v, uint32_t index, uint64_t *value, bool write)
{
	struct soft_vm *vm = v->vm;
	bool ok = false;

	mutex_lock(&vm->chips_lock);
	if (index == X86_MSR_APIC_BASE)
		ok = base_msr(vm, v, value, write);
	else if (index == X86_MSR_TSC_DEADLINE)
		ok = deadline_msr(vm, v, value, write);
	else if (index >= X86_MSR_X2APIC && index <= X86_MSR_X2APIC + 0xff)
		ok = x2apic_msr(vm, v, index - X86_MSR_X2APIC, value, write);
	mutex_unlock(&vm->chips_lock);
	look_up(v);
	return ok;
}

uint64_t soft_apic_base(const struct soft_vcpu *v)
{
	return v->lapic.apic_base;
}

uint64_t soft_cr8_get(struct soft_vcpu *v)
{
	return x86_lapic_cr8(&v->lapic);
}

void soft_cr8_set(struct soft_vcpu *v, uint64_t value)
{
	struct soft_vm *vm = v->vm;

	if (x86_lapic_get32(&v->lapic, X86_LAPIC_TPR) == (value & 0xf) << 4)
		return;
	mutex_lock(&vm->chips_lock);
	x86_lapic_set_cr8(&v->lapic, value);
	update(vm, v);
	mutex_unlock(&vm->chips_lock);
	look_up(v);
}

/* -------- life, state -------- */

void soft_chips_init(struct soft_vm *vm)
{
	x86_ioapic_reset(&vm->ioapic);
	x86_pic_reset(vm->pic);
	vm->pic_out = false;
	soft_clock_init(vm);
}

void soft_lapic_init(struct soft_vcpu *v)
{
	struct soft_vm *vm = v->vm;

	mutex_lock(&vm->chips_lock);
	cpu_features(v);
	x86_lapic_power_on(&v->lapic, v->apic_id, v->index == 0);
	soft_clock_vcpu(v);
	soft_timer_rearm(v);
	update(vm, v);
	mutex_unlock(&vm->chips_lock);
}

void soft_lapic_init_signal(struct soft_vcpu *v)
{
	struct soft_vm *vm = v->vm;

	mutex_lock(&vm->chips_lock);
	x86_lapic_init_signal(&v->lapic);
	soft_timer_rearm(v);
	update(vm, v);
	mutex_unlock(&vm->chips_lock);
}

void soft_lapic_features(struct soft_vcpu *v)
{
	mutex_lock(&v->vm->chips_lock);
	cpu_features(v);
	mutex_unlock(&v->vm->chips_lock);
}

void soft_apic_base_restore(struct soft_vcpu *v, uint64_t value)
{
	struct soft_vm *vm = v->vm;

	mutex_lock(&vm->chips_lock);
	x86_lapic_restore_base(&v->lapic, value);
	soft_timer_rearm(v);
	update(vm, v);
	mutex_unlock(&vm->chips_lock);
}

void soft_lapic_get(struct soft_vcpu *v, uint8_t page[X86_LAPIC_SIZE])
{
	struct soft_vm *vm = v->vm;

	mutex_lock(&vm->chips_lock);
	expire(v);
	x86_lapic_get(&v->lapic, page, clock_mono_ns());
	soft_timer_rearm(v);
	update(vm, v);
	mutex_unlock(&vm->chips_lock);
}

void soft_lapic_set(struct soft_vcpu *v, const uint8_t page[X86_LAPIC_SIZE])
{
	struct soft_vm *vm = v->vm;

	mutex_lock(&vm->chips_lock);
	x86_lapic_set(&v->lapic, page, clock_mono_ns());
	id_changed(vm, v);
	soft_timer_rearm(v);
	update(vm, v);
	mutex_unlock(&vm->chips_lock);
}

int soft_chips_get(struct accel_vm *avm, struct x86_chips_state *out)
{
	struct soft_vm *vm = to_soft_vm(avm);

	memset(out, 0, sizeof(*out)); /* the PIT is a device of the board's */
	mutex_lock(&vm->chips_lock);
	out->ioapic = vm->ioapic;
	memcpy(out->pic, vm->pic, sizeof(out->pic));
	mutex_unlock(&vm->chips_lock);
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
	mutex_unlock(&vm->chips_lock);
	return soft_clock_set(avm, in->clock_ns);
}
