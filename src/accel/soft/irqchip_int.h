// SPDX-License-Identifier: GPL-2.0-or-later
/* irqchip_int - what the local APICs (lapic.c) need of the other chips and their wires (irqchip.c). */
#ifndef ACCEL_SOFT_IRQCHIP_INT_H
#define ACCEL_SOFT_IRQCHIP_INT_H

#include "accel/soft/soft_int.h"

/* After a change of @v's APIC or of the PICs' output: keep v->irq_ready in step. */
void irqchip_update(struct soft_vm *vm, struct soft_vcpu *v) REQUIRES(vm->chips_lock);
/* Instead of mutex_unlock(): vCPUs that were told something meanwhile may be asleep. */
void irqchip_unlock(struct soft_vm *vm) RELEASE(vm->chips_lock);
/* The CPU has done something to its own APIC: what comes of it comes before the next instruction. */
void irqchip_look_up(struct soft_vcpu *v);
/* @from: the sender of an IPI, or NULL. True: somebody took it. */
bool irqchip_deliver(struct soft_vm *vm, const struct x86_lapic_msg *m, struct soft_vcpu *from)
	REQUIRES(vm->chips_lock);
/* Messages of the I/O APIC's pins. */
void irqchip_ioapic_apply(struct soft_vm *vm, struct x86_ioapic_effect f) REQUIRES(vm->chips_lock);

#endif
