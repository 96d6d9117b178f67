// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * split - kernel-irqchip=split: the local APICs are the kernel's, I/O APIC and PICs are ours. The
 * machine does not see the difference: pins, state and end-of-interrupt stay on this side of the
 * engine's boundary. Both chips are under routes_lock.
 *
 * A pin that is not masked also has a message route, which is how KVM knows the level-triggered
 * vectors whose end of interrupt it has to report (KVM_EXIT_IOAPIC_EOI).
 *
 * The PICs' output is LINT0 of the CPU with APIC id 0. Their vector is asked for only when that CPU
 * can take it: before KVM_RUN its thread looks at pic_int; with KVM's ready_for_interrupt_injection
 * it acknowledges and gives the vector to KVM_INTERRUPT, without it asks for an exit as soon as there
 * is (request_interrupt_window). Whoever raises pic_int kicks the CPU, so that it looks; pic_int is
 * set before the kick. A guest that masks LINT0 or the PICs, as all do that use the APICs, has no
 * such exits.
 * SPEC: ExtINT through a pin of the I/O APIC is not there. A vector that KVM was given and has not
 * delivered yet is in no saved state: nothing reads it out of KVM.
 */
#include <errno.h>
#include <string.h>
#include "accel/kvm/kvm_int.h"
#include "base/log.h"
#include "core/irq.h"
#include "core/machine.h"

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

void kvm_split_init(struct kvm_vm *vm)
{
	x86_ioapic_reset(&vm->ioapic);
	x86_pic_reset(vm->pic);
}

void kvm_split_vcpu(struct kvm_vcpu *v, uint32_t apic_id, bool make)
{
	mutex_lock(&v->vm->routes_lock);
	if (make && apic_id == 0) {
		v->on_pics = true;
		v->vm->bsp = v;
	} else if (!make && v->vm->bsp == v) {
		v->vm->bsp = NULL;
	}
	mutex_unlock(&v->vm->routes_lock);
}

/* After the PICs' state has changed: their output. */
static void pic_changed(struct kvm_vm *vm) REQUIRES(vm->routes_lock)
{
	bool out = x86_pic_output(vm->pic);

	/* On its own thread the CPU will look anyway. */
	if (!atomic_exchange(&vm->pic_int, out) && out && vm->bsp && vm->bsp->tid != gettid())
		kvm_vcpu_kick(&vm->bsp->base);
}

void kvm_split_extint(struct kvm_vcpu *v)
{
	struct kvm_vm *vm = v->vm;
	struct kvm_interrupt in = { 0 };
	int r = 0;

	if (!v->on_pics)
		return;
	if (atomic_load(&vm->pic_int) && v->run->ready_for_interrupt_injection) {
		mutex_lock(&vm->routes_lock);
		if (x86_pic_output(vm->pic)) {
			in.irq = x86_pic_ack(vm->pic);
			r = kvm_ioctl(v->fd, KVM_INTERRUPT, &in);
		}
		pic_changed(vm);
		mutex_unlock(&vm->routes_lock);
		v->run->ready_for_interrupt_injection = 0;
		if (r < 0)
			log_debug("kvm", "interrupt %u was not taken: %s", in.irq, strerror(-r));
	}
	v->run->request_interrupt_window = atomic_load(&vm->pic_int);
}

static bool is_open(struct kvm_vm *vm, uint32_t gsi) REQUIRES(vm->routes_lock)
{
	uint64_t addr;
	uint32_t data;

	return x86_ioapic_message(&vm->ioapic, gsi ?: KVM_TIMER_PIN, &addr, &data) ||
	       (gsi < X86_PIC_LINES && x86_pic_open(vm->pic, gsi));
}

bool kvm_irq_open(struct accel_vm *avm, uint32_t gsi)
{
	struct kvm_vm *vm = to_kvm_vm(avm);
	bool open;

	if (!vm->split)
		return true;
	mutex_lock(&vm->routes_lock);
	open = is_open(vm, gsi);
	mutex_unlock(&vm->routes_lock);
	return open;
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
	if (gsi < X86_PIC_LINES) {
		x86_pic_set(vm->pic, gsi, level);
		pic_changed(vm);
	}
	mutex_unlock(&vm->routes_lock);
	return r;
}

void kvm_split_get(struct kvm_vm *vm, struct x86_chips_state *out)
{
	mutex_lock(&vm->routes_lock);
	out->ioapic = vm->ioapic;
	memcpy(out->pic, vm->pic, sizeof(out->pic));
	mutex_unlock(&vm->routes_lock);
}

int kvm_split_set(struct kvm_vm *vm, const struct x86_chips_state *in)
{
	int r;

	mutex_lock(&vm->routes_lock);
	vm->ioapic = in->ioapic;
	vm->ioapic.irr &= (1u << X86_IOAPIC_PINS) - 1;
	memcpy(vm->pic, in->pic, sizeof(vm->pic));
	x86_pic_sanitize(vm->pic);
	pic_changed(vm);
	r = kvm_routes_put(vm);
	mutex_unlock(&vm->routes_lock);
	return r;
}

/* Registers are 32 bits wide and 16 bytes apart; of a wider access the rest is nothing. */
static void ioapic_access(struct kvm_vm *vm, struct vcpu_exit *exit) REQUIRES(vm->routes_lock)
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

/* Ports one byte wide, two side by side. */
static void pic_access(struct kvm_vm *vm, struct vcpu_exit *exit) REQUIRES(vm->routes_lock)
{
	uint8_t *p = exit->port.data;

	for (uint32_t i = 0; i < exit->port.count * exit->port.size; i++) {
		uint16_t port = exit->port.port + i % exit->port.size;

		if (!x86_pic_has_port(port)) {
			if (!exit->port.write)
				p[i] = 0xff;
		} else if (exit->port.write) {
			x86_pic_write(vm->pic, port, p[i]);
		} else {
			p[i] = x86_pic_read(vm->pic, port);
		}
	}
	pic_changed(vm);
}

static bool is_ours(const struct vcpu_exit *exit)
{
	switch (exit->kind) {
	case VCPU_EXIT_EOI:
		return true;
	case VCPU_EXIT_PORT:
		return x86_pic_has_port(exit->port.port);
	case VCPU_EXIT_MEM:
		return exit->mem.addr >= X86_IOAPIC_BASE &&
		       exit->mem.addr - X86_IOAPIC_BASE < X86_IOAPIC_SIZE;
	default:
		return false;
	}
}

bool kvm_split_exit(struct kvm_vm *vm, struct vcpu_exit *exit)
{
	bool was_open, open;

	if (!is_ours(exit))
		return false;
	mutex_lock(&vm->routes_lock);
	was_open = is_open(vm, 0);
	if (exit->kind == VCPU_EXIT_EOI)
		apply(vm, x86_ioapic_eoi(&vm->ioapic, exit->eoi.vector));
	else if (exit->kind == VCPU_EXIT_PORT)
		pic_access(vm, exit);
	else
		ioapic_access(vm, exit);
	open = is_open(vm, 0);
	mutex_unlock(&vm->routes_lock);
	if (open && !was_open && vm->base.machine)
		irq_opened(vm->base.machine);
	exit->kind = VCPU_EXIT_NONE;
	return true;
}
