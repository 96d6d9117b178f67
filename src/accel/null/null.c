// SPDX-License-Identifier: GPL-2.0-or-later
#include "accel/null/null.h"

#include <errno.h>
#include <stdlib.h>
#include "base/thread.h"
#include "core/irq.h"
#include "core/machine.h"
#include "core/vcpu.h"

struct null_vm {
	struct accel_vm base;
	struct mutex lock; /* everything below and the vCPUs' scripts */
	pthread_cond_t cond;
	bool level[IRQ_GSI_PINS];
	uint64_t rises[IRQ_GSI_PINS];
	uint64_t msi_count, msi_addr;
	uint32_t msi_data;
	uint64_t clock_ns;
	struct x86_chips_state chips;
};

struct null_vcpu {
	struct accel_vcpu base;
	struct vcpu_exit script[NULL_SCRIPT_MAX];
	uint32_t head, tail;
	bool kicked, idle;
	struct x86_cpu_state state;
};

static struct null_vm *vm_of(struct accel_vm *vm)
{
	return CONTAINER_OF(vm, struct null_vm, base);
}

static struct null_vcpu *vcpu_of(struct accel_vcpu *v)
{
	return CONTAINER_OF(v, struct null_vcpu, base);
}

static struct accel_vm *null_vm_new(
	struct machine *m, const struct accel_vm_config *c, struct error *err)
{
	struct null_vm *n = calloc(1, sizeof(*n));

	if (!n) {
		error_set(err, "out of memory");
		return NULL;
	}
	n->base.accel = &null_accel;
	n->base.machine = m;
	mutex_init(&n->lock);
	pthread_cond_init(&n->cond, NULL);
	return &n->base;
}

static void null_vm_free(struct accel_vm *vm)
{
	struct null_vm *n = vm_of(vm);

	mutex_fini(&n->lock);
	pthread_cond_destroy(&n->cond);
	free(n);
}

static int null_ram_add(struct accel_vm *vm, const struct as_range *r)
{
	return 0;
}

static void null_ram_del(struct accel_vm *vm, const struct as_range *r)
{
}

static int null_irq_set(struct accel_vm *vm, uint32_t gsi, bool level)
{
	struct null_vm *n = vm_of(vm);

	GUARD(&n->lock);
	if (level && !n->level[gsi])
		n->rises[gsi]++;
	n->level[gsi] = level;
	return 0;
}

static int null_msi_send(struct accel_vm *vm, uint64_t addr, uint32_t data)
{
	struct null_vm *n = vm_of(vm);

	GUARD(&n->lock);
	n->msi_count++;
	n->msi_addr = addr;
	n->msi_data = data;
	return 0;
}

static bool null_cpuid_supported(struct accel_vm *vm, struct x86_cpuid *out, struct error *err)
{
	out->n = 0;
	return true;
}

static int null_clock_get(struct accel_vm *vm, uint64_t *ns)
{
	*ns = vm_of(vm)->clock_ns;
	return 0;
}

static int null_clock_set(struct accel_vm *vm, uint64_t ns)
{
	vm_of(vm)->clock_ns = ns;
	return 0;
}

static int null_chips_get(struct accel_vm *vm, struct x86_chips_state *out)
{
	*out = vm_of(vm)->chips;
	return 0;
}

static int null_chips_set(struct accel_vm *vm, const struct x86_chips_state *in)
{
	vm_of(vm)->chips = *in;
	return 0;
}

static struct accel_vcpu *null_vcpu_new(struct accel_vm *vm, struct vcpu *v, struct error *err)
{
	struct null_vcpu *n = calloc(1, sizeof(*n));

	if (!n) {
		error_set(err, "out of memory");
		return NULL;
	}
	n->base.vm = vm;
	n->base.vcpu = v;
	return &n->base;
}

static void null_vcpu_free(struct accel_vcpu *v)
{
	free(vcpu_of(v));
}

static bool null_vcpu_set_cpuid(struct accel_vcpu *v, const struct x86_cpuid *c, struct error *err)
{
	return true;
}

static int null_vcpu_run(struct accel_vcpu *v, struct vcpu_exit *exit)
{
	struct null_vcpu *n = vcpu_of(v);
	struct null_vm *vm = vm_of(v->vm);

	GUARD(&vm->lock);
	while (!n->kicked && n->head == n->tail) {
		n->idle = true;
		pthread_cond_broadcast(&vm->cond);
		pthread_cond_wait(&vm->cond, &vm->lock.m);
	}
	n->idle = false;
	if (n->kicked) {
		n->kicked = false;
		exit->kind = VCPU_EXIT_NONE;
		return 0;
	}
	*exit = n->script[n->head++ % NULL_SCRIPT_MAX];
	return 0;
}

static void null_vcpu_kick(struct accel_vcpu *v)
{
	struct null_vm *vm = vm_of(v->vm);

	GUARD(&vm->lock);
	vcpu_of(v)->kicked = true;
	pthread_cond_broadcast(&vm->cond);
}

static int null_vcpu_get(struct accel_vcpu *v, struct x86_cpu_state *s, unsigned int parts)
{
	*s = vcpu_of(v)->state;
	return 0;
}

static int null_vcpu_set(struct accel_vcpu *v, const struct x86_cpu_state *s, unsigned int parts)
{
	vcpu_of(v)->state = *s;
	return 0;
}

static int null_vcpu_nmi(struct accel_vcpu *v)
{
	return 0;
}

const struct accel null_accel = {
	.name = "null",
	.doc = "plays back exits; for tests",
	.vm_new = null_vm_new,
	.vm_free = null_vm_free,
	.ram_add = null_ram_add,
	.ram_del = null_ram_del,
	.irq_set = null_irq_set,
	.msi_send = null_msi_send,
	.cpuid_supported = null_cpuid_supported,
	.chips_get = null_chips_get,
	.chips_set = null_chips_set,
	.clock_get = null_clock_get,
	.clock_set = null_clock_set,
	.vcpu_new = null_vcpu_new,
	.vcpu_free = null_vcpu_free,
	.vcpu_set_cpuid = null_vcpu_set_cpuid,
	.vcpu_run = null_vcpu_run,
	.vcpu_kick = null_vcpu_kick,
	.vcpu_get = null_vcpu_get,
	.vcpu_set = null_vcpu_set,
	.vcpu_nmi = null_vcpu_nmi,
};

bool null_push_exit(struct accel_vm *vm, uint32_t index, const struct vcpu_exit *e)
{
	struct null_vcpu *n = vcpu_of(vm->machine->vcpus[index].accel);
	struct null_vm *nvm = vm_of(vm);

	GUARD(&nvm->lock);
	if (n->tail - n->head == NULL_SCRIPT_MAX)
		return false;
	n->script[n->tail++ % NULL_SCRIPT_MAX] = *e;
	n->idle = false;
	pthread_cond_broadcast(&nvm->cond);
	return true;
}

void null_wait_idle(struct accel_vm *vm, uint32_t index)
{
	struct null_vcpu *n = vcpu_of(vm->machine->vcpus[index].accel);
	struct null_vm *nvm = vm_of(vm);

	GUARD(&nvm->lock);
	while (!n->idle || n->head != n->tail)
		pthread_cond_wait(&nvm->cond, &nvm->lock.m);
}

bool null_irq_level(struct accel_vm *vm, uint32_t gsi)
{
	GUARD(&vm_of(vm)->lock);
	return vm_of(vm)->level[gsi];
}

uint64_t null_irq_rises(struct accel_vm *vm, uint32_t gsi)
{
	GUARD(&vm_of(vm)->lock);
	return vm_of(vm)->rises[gsi];
}

uint64_t null_msi_count(struct accel_vm *vm, uint64_t *addr, uint32_t *data)
{
	struct null_vm *n = vm_of(vm);

	GUARD(&n->lock);
	if (addr)
		*addr = n->msi_addr;
	if (data)
		*data = n->msi_data;
	return n->msi_count;
}
