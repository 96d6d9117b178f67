// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lapic - the local APICs of the soft engine: registers, MSRs, timer. Under chips_lock, as irqchip.c says.
 *
 * timer_tsc says when to look at the timer, in soft_host_tsc()'s time, so that the run loop's
 * look is one comparison. Only then the time that counts is read: CLOCK_MONOTONIC, or the guest's TSC
 * for its deadline.
 */
#include "accel/soft/irqchip_int.h"
#include "base/clock.h"

#define CPUID_X2APIC   (1u << 21) /* leaf 1, ECX */
#define CPUID_DEADLINE (1u << 24)
#define PHYS_BITS      52 /* of a CPU without a CPUID, as tests have them */

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
	irqchip_update(vm, v);
	irqchip_unlock(vm);
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
	irqchip_unlock(vm);
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
		irqchip_ioapic_apply(vm, x86_ioapic_eoi(&vm->ioapic, f->eoi_vector));
	if (f->send)
		irqchip_deliver(vm, &f->msg, v);
	if (f->timer) {
		expire(v);
		soft_timer_rearm(v);
	}
	irqchip_update(vm, v);
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
	irqchip_update(vm, v);
	irqchip_unlock(vm);
	irqchip_look_up(v);
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
	irqchip_unlock(vm);
	irqchip_look_up(v);
}

static bool x2apic_msr(struct soft_vm *vm, struct soft_vcpu *v, uint32_t n, uint64_t *value,
	bool write) REQUIRES(vm->chips_lock)
{
	int64_t now = time_for(v, n * 16);
	struct x86_lapic_effect f;

	if (!write) {
		bool ok = x86_lapic_msr_read(&v->lapic, n, value, now);

		irqchip_update(vm, v);
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
	irqchip_unlock(vm);
	irqchip_look_up(v);
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
	irqchip_update(vm, v);
	irqchip_unlock(vm);
	irqchip_look_up(v);
}

/* -------- life, state -------- */

void soft_lapic_init(struct soft_vcpu *v)
{
	struct soft_vm *vm = v->vm;

	mutex_lock(&vm->chips_lock);
	cpu_features(v);
	x86_lapic_power_on(&v->lapic, v->apic_id, v->index == 0);
	soft_clock_vcpu(v);
	soft_timer_rearm(v);
	irqchip_update(vm, v);
	irqchip_unlock(vm);
}

void soft_lapic_init_signal(struct soft_vcpu *v)
{
	struct soft_vm *vm = v->vm;

	mutex_lock(&vm->chips_lock);
	x86_lapic_init_signal(&v->lapic);
	soft_timer_rearm(v);
	irqchip_update(vm, v);
	irqchip_unlock(vm);
}

void soft_lapic_features(struct soft_vcpu *v)
{
	mutex_lock(&v->vm->chips_lock);
	cpu_features(v);
	irqchip_unlock(v->vm);
}

void soft_apic_base_restore(struct soft_vcpu *v, uint64_t value)
{
	struct soft_vm *vm = v->vm;

	mutex_lock(&vm->chips_lock);
	x86_lapic_restore_base(&v->lapic, value);
	soft_timer_rearm(v);
	irqchip_update(vm, v);
	irqchip_unlock(vm);
}

void soft_lapic_get(struct soft_vcpu *v, uint8_t page[X86_LAPIC_SIZE])
{
	struct soft_vm *vm = v->vm;

	mutex_lock(&vm->chips_lock);
	expire(v);
	x86_lapic_get(&v->lapic, page, clock_mono_ns());
	soft_timer_rearm(v);
	irqchip_update(vm, v);
	irqchip_unlock(vm);
}

void soft_lapic_set(struct soft_vcpu *v, const uint8_t page[X86_LAPIC_SIZE])
{
	struct soft_vm *vm = v->vm;

	mutex_lock(&vm->chips_lock);
	x86_lapic_set(&v->lapic, page, clock_mono_ns());
	id_changed(vm, v);
	soft_timer_rearm(v);
	irqchip_update(vm, v);
	irqchip_unlock(vm);
}
