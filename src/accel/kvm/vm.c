// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vm - making and freeing a VM, its clock, and what CPUID leaves KVM can offer.
 *
 * Start-up is counted in ioctls (each costs much when KVM itself runs in a virtual machine): a
 * capability is asked for only where the answer changes what is done, and as late as possible.
 */
#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "accel/kvm/kvm_int.h"
#include "x86/pit.h"

/* What a failed KVM_CREATE_VM means. Always returns false. */
static bool create_error(int dev_fd, const char *path, int r, struct error *err)
{
	int version = kvm_ioctl_val(dev_fd, KVM_GET_API_VERSION, 0);

	if (version < 0)
		return error_set(err, "kvm: %s is not a KVM device", path);
	if (version != KVM_API_VERSION)
		return error_set(err, "kvm: %s speaks API version %d, not %d", path, version,
			KVM_API_VERSION);
	return error_set_errno(err, r, "kvm: cannot create a VM");
}

static bool check_limits(struct kvm_vm *vm, const struct accel_vm_config *c, struct error *err)
{
	int max;

	/* Every KVM takes 64; the question is asked only beyond that. */
	if (c->max_vcpus <= 64)
		return true;
	max = kvm_ioctl_val(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	if (max > 0 && c->max_vcpus > (uint32_t)max)
		return error_usage(
			err, "kvm: %u vCPUs asked for, this host allows %d", c->max_vcpus, max);
	return true;
}

static bool create(struct kvm_vm *vm, const char *path, struct error *err)
{
	int r;

	vm->dev_fd = kvm_open(path, err);
	if (vm->dev_fd < 0)
		return error_prefix(err, "kvm");
	r = kvm_ioctl_val(vm->dev_fd, KVM_CREATE_VM, 0);
	if (r < 0)
		return create_error(vm->dev_fd, path, r, err);
	vm->fd = r;
	r = kvm_ioctl_val(vm->dev_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (r < (int)sizeof(struct kvm_run))
		return error_set(err, "kvm: %s: vCPU mapping of %d bytes is too small", path, r);
	vm->run_size = r;
	/* The VM-wide TSC frequency needs Linux 5.18; 0 (unknown) is allowed. */
	r = kvm_ioctl_val(vm->fd, KVM_GET_TSC_KHZ, 0);
	vm->base.tsc_khz = r > 0 ? r : 0;
	return true;
}

struct accel_vm *kvm_vm_new(struct machine *m, const struct accel_vm_config *c, struct error *err)
{
	const struct kvm_config *opt = c->options;
	struct kvm_vm *vm = calloc(1, sizeof(*vm));

	if (!vm) {
		error_set_errno(err, ENOMEM, "kvm");
		return NULL;
	}
	vm->base.accel = &kvm_accel;
	vm->base.machine = m;
	vm->dev_fd = vm->fd = -1;
	x86_pit_reset(&vm->pit);
	mutex_init(&vm->slots_lock);
	mutex_init(&vm->routes_lock);
	mutex_init(&vm->pit_lock);
	mutex_init(&vm->msrs_lock);
	vm->split = c->irqchip == ACCEL_IRQCHIP_SPLIT;
	vm->base.irqchip = vm->split ? ACCEL_IRQCHIP_SPLIT : ACCEL_IRQCHIP_FULL;
	if (!create(vm, opt && opt->device ? opt->device : KVM_DEVICE_DEFAULT, err) ||
		!check_limits(vm, c, err) || !kvm_chips_new(vm, c, err)) {
		kvm_vm_free(&vm->base);
		return NULL;
	}
	return &vm->base;
}

void kvm_vm_free(struct accel_vm *avm)
{
	struct kvm_vm *vm;

	if (!avm)
		return;
	vm = to_kvm_vm(avm);
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->dev_fd >= 0)
		close(vm->dev_fd);
	kvm_slots_fini(vm);
	free(vm->routes);
	free(vm->msrs);
	mutex_fini(&vm->slots_lock);
	mutex_fini(&vm->routes_lock);
	mutex_fini(&vm->pit_lock);
	mutex_fini(&vm->msrs_lock);
	free(vm);
}

/* The name of the host's CPU, which KVM leaves out: without it /proc/cpuinfo has numbers instead. */
static void name_cpu(struct x86_cpuid *out)
{
	for (uint32_t f = 0x80000002; f <= 0x80000004; f++) {
		struct x86_cpuid_leaf l = { .function = f }, *have = NULL;

		for (uint32_t i = 0; i < out->n && !have; i++)
			have = out->leaf[i].function == f ? &out->leaf[i] : NULL;
		if (!have && out->n == X86_CPUID_MAX)
			return;
		if (!have)
			have = &out->leaf[out->n++];
		if (have->eax | have->ebx | have->ecx | have->edx ||
			!__get_cpuid(f, &l.eax, &l.ebx, &l.ecx, &l.edx))
			continue;
		*have = l;
	}
}

bool kvm_cpuid_query(int dev_fd, struct x86_cpuid *out, struct error *err)
{
	union kvm_cpuid_buf c;
	int r;

	memset(&c.head, 0, sizeof(c.head));
	c.head.nent = X86_CPUID_MAX;
	r = kvm_ioctl(dev_fd, KVM_GET_SUPPORTED_CPUID, &c);
	if (r < 0)
		return error_set_errno(err, r, "kvm: cannot get the supported CPUID leaves");
	out->n = MIN(c.head.nent, X86_CPUID_MAX);
	for (uint32_t i = 0; i < out->n; i++) {
		const struct kvm_cpuid_entry2 *e = &c.head.entries[i];

		out->leaf[i] = (struct x86_cpuid_leaf){
			.function = e->function,
			.index = e->index,
			.indexed = e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			.eax = e->eax,
			.ebx = e->ebx,
			.ecx = e->ecx,
			.edx = e->edx,
		};
		/* KVM leaves it to us to announce the deadline timer: its in-kernel APIC, which
		 * we always use, has it. */
		if (e->function == 1)
			out->leaf[i].ecx |= 1u << 24;
	}
	name_cpu(out);
	return true;
}

bool kvm_cpuid_supported(struct accel_vm *vm, struct x86_cpuid *out, struct error *err)
{
	return kvm_cpuid_query(to_kvm_vm(vm)->dev_fd, out, err);
}

int kvm_clock_get(struct accel_vm *vm, uint64_t *ns)
{
	struct kvm_clock_data d = { 0 };
	int r = kvm_ioctl(to_kvm_vm(vm)->fd, KVM_GET_CLOCK, &d);

	if (r >= 0)
		*ns = d.clock;
	return r < 0 ? r : 0;
}

int kvm_clock_set(struct accel_vm *vm, uint64_t ns)
{
	struct kvm_clock_data d = { .clock = ns };
	int r = kvm_ioctl(to_kvm_vm(vm)->fd, KVM_SET_CLOCK, &d);

	return r < 0 ? r : 0;
}
