// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * irq - interrupt chips in the kernel, message routes, irqfd and ioeventfd.
 *
 * Full: PIC, I/O APIC and local APICs are KVM's; GSI n is pin n of the I/O APIC and, below 16,
 * line n of the PICs; but GSI 0, the PIT's, is pin 2 of the I/O APIC, as on every PC (and as the
 * MADT tells), which is not what KVM sets up itself. Split: only the local APICs
 * are; I/O APIC and PICs are ours (split.c), and the PIT is a device of the board's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "accel/kvm/kvm_int.h"
#include "base/clock.h"
#include "core/irq.h"

#define PIC_LINES 16

int kvm_irq_set(struct accel_vm *vm, uint32_t gsi, bool level)
{
	struct kvm_irq_level l = { .irq = gsi, .level = level };
	int r;

	if (to_kvm_vm(vm)->split)
		return kvm_split_irq_set(to_kvm_vm(vm), gsi, level);
	r = kvm_ioctl(to_kvm_vm(vm)->fd, KVM_IRQ_LINE, &l);
	return r < 0 ? r : 0;
}

int kvm_msi_send(struct accel_vm *vm, uint64_t addr, uint32_t data)
{
	struct kvm_msi m = { .address_lo = addr, .address_hi = addr >> 32, .data = data };
	int r = kvm_ioctl(to_kvm_vm(vm)->fd, KVM_SIGNAL_MSI, &m);

	/* Positive: delivered; 0: the guest has blocked it, which is no error of ours. */
	return r < 0 ? r : 0;
}

/* KVM_SET_GSI_ROUTING replaces everything, so the pins are told again each time. */
static uint32_t route_pins(struct kvm_irq_routing_entry *e)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < PIC_LINES; i++)
		e[n++] = (struct kvm_irq_routing_entry){
			.gsi = i,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = i < 8 ? KVM_IRQCHIP_PIC_MASTER
							: KVM_IRQCHIP_PIC_SLAVE,
				.pin = i % 8 },
		};
	for (uint32_t i = 0; i < IRQ_GSI_PINS; i++) {
		if (i == KVM_TIMER_PIN)
			continue;
		e[n++] = (struct kvm_irq_routing_entry){
			.gsi = i,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = i ?: KVM_TIMER_PIN },
		};
	}
	return n;
}

int kvm_routes_put(struct kvm_vm *vm)
{
	struct kvm_irq_routing *t = vm->routes;
	uint32_t n = vm->n_messages;
	int r;

	n += vm->split ? kvm_split_routes(vm, t->entries + n) : route_pins(t->entries + n);
	t->nr = n;
	t->flags = 0;
	r = kvm_ioctl(vm->fd, KVM_SET_GSI_ROUTING, t);
	if (r < 0)
		return r;
	vm->pins_told = true;
	return 0;
}

/* Room for all there can ever be, made once; untouched pages of it cost nothing. */
static bool routes_alloc(struct kvm_vm *vm)
{
	if (!vm->routes)
		vm->routes = malloc(sizeof(*vm->routes) + (IRQ_GSI_MAX + PIC_LINES + IRQ_GSI_PINS) *
								  sizeof(vm->routes->entries[0]));
	return vm->routes;
}

int kvm_routes_pins(struct kvm_vm *vm)
{
	int r = 0;

	mutex_lock(&vm->routes_lock);
	/* A table that was told has had them all along. */
	if (!vm->pins_told)
		r = routes_alloc(vm) ? kvm_routes_put(vm) : -ENOMEM;
	mutex_unlock(&vm->routes_lock);
	return r;
}

int kvm_routes_set(struct accel_vm *avm, const struct accel_msi *routes, uint32_t n)
{
	struct kvm_vm *vm = to_kvm_vm(avm);
	int r = -ENOMEM;

	if (n > IRQ_GSI_MAX)
		return -ENOSPC;
	for (uint32_t i = 0; i < n; i++)
		if (routes[i].gsi >= IRQ_GSI_MAX || routes[i].gsi < IRQ_GSI_PINS)
			return -EINVAL;
	mutex_lock(&vm->routes_lock);
	if (routes_alloc(vm)) {
		for (uint32_t i = 0; i < n; i++)
			vm->routes->entries[i] = (struct kvm_irq_routing_entry){
				.gsi = routes[i].gsi,
				.type = KVM_IRQ_ROUTING_MSI,
				.u.msi = { .address_lo = routes[i].addr,
					.address_hi = routes[i].addr >> 32,
					.data = routes[i].data },
			};
		vm->n_messages = n;
		r = kvm_routes_put(vm);
	}
	mutex_unlock(&vm->routes_lock);
	return r;
}

static bool full_chips_new(struct kvm_vm *vm, const struct accel_vm_config *c, struct error *err)
{
	int r = kvm_ioctl_val(vm->fd, KVM_CREATE_IRQCHIP, 0);

	if (r < 0)
		return error_set_errno(err, r, "kvm: cannot create the interrupt chips");
	vm->pit_wanted = c->pit;
	return true;
}

bool kvm_chips_new(struct kvm_vm *vm, const struct accel_vm_config *c, struct error *err)
{
	uint64_t ident = KVM_IDENTITY_ADDR;
	int r;

	if (!kvm_host_is_amd()) {
		/* Both fail only on hosts that do without. */
		kvm_ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &ident);
		kvm_ioctl_val(vm->fd, KVM_SET_TSS_ADDR, KVM_TSS_ADDR);
	}
	if (c->max_apic_id >= 255) {
		r = kvm_enable_cap(vm->fd, KVM_CAP_X2APIC_API,
			KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);
		if (r < 0)
			return error_set_errno(err, r, "kvm: no APIC ids above 254 on this host");
		vm->apic_id32 = true;
	}
	if (!vm->split)
		return full_chips_new(vm, c, err);
	r = kvm_enable_cap(vm->fd, KVM_CAP_SPLIT_IRQCHIP, IRQ_GSI_PINS);
	if (r < 0)
		return error_set_errno(err, r, "kvm: irqchip=split is not supported on this host");
	kvm_split_init(vm);
	return routes_alloc(vm) || error_set_errno(err, ENOMEM, "kvm");
}

int kvm_irqfd_set(struct accel_vm *vm, uint32_t gsi, int eventfd, bool add)
{
	struct kvm_irqfd f = {
		.fd = eventfd,
		.gsi = gsi,
		.flags = add ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
	};
	int r = kvm_ioctl(to_kvm_vm(vm)->fd, KVM_IRQFD, &f);

	return r < 0 ? r : 0;
}

int kvm_ioeventfd_set(struct accel_vm *vm, bool pio, uint64_t addr, uint8_t size, bool match,
	uint64_t data, int eventfd, bool add)
{
	struct kvm_ioeventfd e = {
		.datamatch = match ? data : 0,
		.addr = addr,
		.len = size, /* 0: any length */
		.fd = eventfd,
		.flags = (pio ? KVM_IOEVENTFD_FLAG_PIO : 0) |
			 (match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0) |
			 (add ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
	};
	int r = kvm_ioctl(to_kvm_vm(vm)->fd, KVM_IOEVENTFD, &e);

	return r < 0 ? r : 0;
}

static void pic_from_kvm(struct x86_pic_state *o, const struct kvm_pic_state *k)
{
	*o = (struct x86_pic_state){
		.last_irr = k->last_irr,
		.irr = k->irr,
		.imr = k->imr,
		.isr = k->isr,
		.priority_add = k->priority_add,
		.irq_base = k->irq_base,
		.read_reg_select = k->read_reg_select,
		.poll = k->poll,
		.special_mask = k->special_mask,
		.init_state = k->init_state,
		.auto_eoi = k->auto_eoi,
		.rotate_on_auto_eoi = k->rotate_on_auto_eoi,
		.special_fully_nested_mode = k->special_fully_nested_mode,
		.init4 = k->init4,
		.elcr = k->elcr,
		.elcr_mask = k->elcr_mask,
	};
}

static void pic_to_kvm(struct kvm_pic_state *k, const struct x86_pic_state *s)
{
	*k = (struct kvm_pic_state){
		.last_irr = s->last_irr,
		.irr = s->irr,
		.imr = s->imr,
		.isr = s->isr,
		.priority_add = s->priority_add,
		.irq_base = s->irq_base,
		.read_reg_select = s->read_reg_select,
		.poll = s->poll,
		.special_mask = s->special_mask,
		.init_state = s->init_state,
		.auto_eoi = s->auto_eoi,
		.rotate_on_auto_eoi = s->rotate_on_auto_eoi,
		.special_fully_nested_mode = s->special_fully_nested_mode,
		.init4 = s->init4,
		.elcr = s->elcr,
		.elcr_mask = s->elcr_mask,
	};
}

static int irqchip_get(struct kvm_vm *vm, struct x86_chips_state *out)
{
	struct kvm_irqchip c = { .chip_id = KVM_IRQCHIP_PIC_MASTER };
	int r;

	for (int i = 0; i < 2; i++) {
		c.chip_id = i ? KVM_IRQCHIP_PIC_SLAVE : KVM_IRQCHIP_PIC_MASTER;
		r = kvm_ioctl(vm->fd, KVM_GET_IRQCHIP, &c);
		if (r < 0)
			return r;
		pic_from_kvm(&out->pic[i], &c.chip.pic);
	}
	c.chip_id = KVM_IRQCHIP_IOAPIC;
	r = kvm_ioctl(vm->fd, KVM_GET_IRQCHIP, &c);
	if (r < 0)
		return r;
	out->ioapic.base_address = c.chip.ioapic.base_address;
	out->ioapic.ioregsel = c.chip.ioapic.ioregsel;
	out->ioapic.id = c.chip.ioapic.id;
	out->ioapic.irr = c.chip.ioapic.irr;
	for (int i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
		out->ioapic.redirtbl[i] = c.chip.ioapic.redirtbl[i].bits;
	return 0;
}

static int irqchip_set(struct kvm_vm *vm, const struct x86_chips_state *in)
{
	struct kvm_irqchip c;
	int r;

	for (int i = 0; i < 2; i++) {
		memset(&c, 0, sizeof(c));
		c.chip_id = i ? KVM_IRQCHIP_PIC_SLAVE : KVM_IRQCHIP_PIC_MASTER;
		pic_to_kvm(&c.chip.pic, &in->pic[i]);
		r = kvm_ioctl(vm->fd, KVM_SET_IRQCHIP, &c);
		if (r < 0)
			return r;
	}
	memset(&c, 0, sizeof(c));
	c.chip_id = KVM_IRQCHIP_IOAPIC;
	c.chip.ioapic.base_address = in->ioapic.base_address;
	c.chip.ioapic.ioregsel = in->ioapic.ioregsel;
	c.chip.ioapic.id = in->ioapic.id;
	c.chip.ioapic.irr = in->ioapic.irr;
	for (int i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
		c.chip.ioapic.redirtbl[i].bits = in->ioapic.redirtbl[i];
	r = kvm_ioctl(vm->fd, KVM_SET_IRQCHIP, &c);
	return r < 0 ? r : 0;
}

int kvm_chips_get(struct accel_vm *avm, struct x86_chips_state *out)
{
	struct kvm_vm *vm = to_kvm_vm(avm);
	int r;

	memset(out, 0, sizeof(*out));
	if (!vm->split) {
		r = irqchip_get(vm, out);
		if (r < 0)
			return r;
	} else {
		kvm_split_get(vm, out);
	}
	r = kvm_clock_get(avm, &out->clock_ns);
	return r < 0 ? r : kvm_pit_get(vm, &out->pit, (int64_t)out->clock_ns - clock_mono_ns());
}

int kvm_chips_set(struct accel_vm *avm, const struct x86_chips_state *in)
{
	struct kvm_vm *vm = to_kvm_vm(avm);
	int r;

	r = vm->split ? kvm_split_set(vm, in) : irqchip_set(vm, in);
	if (r < 0)
		return r;
	r = kvm_pit_set(vm, &in->pit, (int64_t)in->clock_ns - clock_mono_ns());
	if (r < 0)
		return r;
	return kvm_clock_set(avm, in->clock_ns);
}
