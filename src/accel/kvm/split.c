// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * split - kernel-irqchip=split: the local APICs are the kernel's, the I/O APIC is ours. The machine
 * does not see the difference: pins, state and end-of-interrupt stay on this side of the engine's
 * boundary.
 *
 * A pin that is not masked also has a message route, which is how KVM knows the level-triggered
 * vectors whose end of interrupt it has to report (KVM_EXIT_IOAPIC_EOI).
 */
#include <errno.h>
#include <string.h>
#include "accel/kvm/kvm_int.h"
#include "core/irq.h"

_Static_assert(IRQ_GSI_PINS == X86_IOAPIC_PINS, "pins");

uint32_t kvm_split_routes(struct kvm_vm *vm, struct kvm_irq_routing_entry *e)
{
	uint32_t n = 0, data;
	uint64_t addr;

	vm->routed = 0;
	for (uint32_t i = 0; i < X86_IOAPIC_PINS; i++) {
		if (!x86_ioapic_message(&vm->ioapic, i, &addr, &data))
			continue;
		vm->routed |= 1u << i;
		e[n++] = (struct kvm_irq_routing_entry){
			.gsi = i,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi = { .address_lo = addr, .address_hi = addr >> 32, .data = data },
		};
	}
	return n;
}

/* Carry out what the I/O APIC wants: routes first, so that KVM reports the end of what is sent. */
static int apply(struct kvm_vm *vm, struct x86_ioapic_effect f) REQUIRES(vm->routes_lock)
{
	uint32_t open = 0, data;
	uint64_t addr;
	int r = 0;

	for (uint32_t i = 0; i < X86_IOAPIC_PINS; i++)
		if (f.changed >> i & 1 && x86_ioapic_message(&vm->ioapic, i, &addr, &data))
			open |= 1u << i;
	/* A guest sets up masked entries by the dozen: they have no route to change. */
	if (f.changed & (open | vm->routed))
		r = kvm_routes_put(vm);
	for (uint32_t i = 0; i < X86_IOAPIC_PINS; i++) {
		if (!(f.fire >> i & 1) || !x86_ioapic_message(&vm->ioapic, i, &addr, &data))
			continue;
		r = kvm_msi_send(&vm->base, addr, data) ?: r;
	}
	return r;
}

int kvm_split_irq_set(struct kvm_vm *vm, uint32_t gsi, bool level)
{
	int r;

	if (gsi >= X86_IOAPIC_PINS)
		return -EINVAL;
	/* As with the kernel's chips: GSI 0 takes the place of GSI 2, which is nobody's. */
	if (gsi == KVM_TIMER_PIN)
		return 0;
	mutex_lock(&vm->routes_lock);
	r = apply(vm, x86_ioapic_set(&vm->ioapic, gsi ?: KVM_TIMER_PIN, level));
	mutex_unlock(&vm->routes_lock);
	return r;
}

int kvm_split_set(struct kvm_vm *vm, const struct x86_ioapic_state *in)
{
	int r;

	mutex_lock(&vm->routes_lock);
	vm->ioapic = *in;
	vm->ioapic.irr &= (1u << X86_IOAPIC_PINS) - 1;
	r = kvm_routes_put(vm);
	mutex_unlock(&vm->routes_lock);
	return r;
}

/* Registers are 32 bits wide and 16 bytes apart; of a wider access the rest is nothing. */
static void registers(struct kvm_vm *vm, struct vcpu_exit *exit) REQUIRES(vm->routes_lock)
{
	uint32_t off = exit->mem.addr - X86_IOAPIC_BASE, v = 0;

	if (exit->mem.write) {
		memcpy(&v, exit->mem.data, MIN(exit->mem.size, sizeof(v)));
		apply(vm, x86_ioapic_write(&vm->ioapic, off, v));
	} else {
		v = x86_ioapic_read(&vm->ioapic, off);
		memset(exit->mem.data, 0, exit->mem.size);
		memcpy(exit->mem.data, &v, MIN(exit->mem.size, sizeof(v)));
	}
}

bool kvm_split_exit(struct kvm_vm *vm, struct vcpu_exit *exit)
{
	if (exit->kind != VCPU_EXIT_EOI &&
		(exit->kind != VCPU_EXIT_MEM || exit->mem.addr < X86_IOAPIC_BASE ||
			exit->mem.addr - X86_IOAPIC_BASE >= X86_IOAPIC_SIZE))
		return false;
	mutex_lock(&vm->routes_lock);
	if (exit->kind == VCPU_EXIT_EOI)
		apply(vm, x86_ioapic_eoi(&vm->ioapic, exit->eoi.vector));
	else
		registers(vm, exit);
	mutex_unlock(&vm->routes_lock);
	exit->kind = VCPU_EXIT_NONE;
	return true;
}
