// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * soft - the engine's table of operations, and the making of VMs and vCPUs.
 */
#include "accel/soft/soft_int.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "accel/soft/jit.h"
#include "accel/soft/lockstep.h"
#include "accel/soft/mmu.h"
#include "accel/soft/perf.h"
#include "core/vcpu.h"

#define SOFT_VCPUS_MAX 255

struct soft_config {
	bool jit, lockstep, stats;
	int perf; /* enum soft_perf_kind */
	char *perf_symbols;
};

static const char *const perf_names[] = { "off", "map", "jitdump", NULL };

static const struct field soft_config_fields[] = {
	FIELD_BOOL(struct soft_config, jit, "jit", .dflt = "on",
		.doc = "translate guest code to host code; off: interpret it"),
	FIELD_BOOL(struct soft_config, lockstep, "lockstep", .dflt = "off",
		.doc = "do everything twice, translated and interpreted, and stop at a difference"),
	FIELD_BOOL(struct soft_config, stats, "stats", .dflt = "off",
		.doc = "at the end tell what was counted; SIGUSR1 tells at any time"),
	FIELD_ENUM(struct soft_config, perf, "perf", perf_names, .dflt = "off",
		.doc = "name guest code for perf(1): /tmp/perf-PID.map, or ./jit-PID.dump"),
	FIELD_STR(struct soft_config, perf_symbols, "perf-symbols",
		.doc = "the guest's kallsyms, System.map or ELF file for that"),
};

static const struct field_table soft_config_table = FIELD_TABLE(
	"soft", struct soft_config, soft_config_fields);

static bool soft_probe_engine(const void *options, struct str *report)
{
	struct error err = ERROR_INIT;

	if (!soft_native_init(&err)) {
		str_appendf(report, "%s", err.msg);
		return false;
	}
	str_appendf(report, "a CPU in software, works on any x86-64 host");
	return true;
}

static void soft_vm_free(struct accel_vm *avm)
{
	struct soft_vm *vm;

	if (!avm)
		return;
	vm = to_soft_vm(avm);
	soft_ticker_stop(vm);
	soft_memory_fini(vm);
	soft_perf_free(vm->perf);
	soft_turns_free(vm->turns);
	free(vm->vcpus);
	mutex_fini(&vm->vcpus_lock);
	mutex_fini(&vm->chips_lock);
	mutex_fini(&vm->slots_lock);
	mutex_fini(&vm->exclusive_lock);
	free(vm);
}

static bool options_fit(const struct soft_config *c, struct error *err)
{
	if (c->lockstep && !c->jit)
		return error_usage(err, "soft: lockstep=on goes with jit=on");
	if (c->perf && !c->jit)
		return error_usage(err, "soft: perf=%s goes with jit=on", perf_names[c->perf]);
	if (c->perf_symbols && !c->perf)
		return error_usage(err, "soft: perf-symbols goes with perf=map or perf=jitdump");
	return true;
}

static struct accel_vm *soft_vm_new(
	struct machine *m, const struct accel_vm_config *c, struct error *err)
{
	const struct soft_config *config = c->options;
	struct soft_vm *vm;

	if (c->max_vcpus > SOFT_VCPUS_MAX) {
		error_usage(err, "soft: %u vCPUs asked for, at most %u are possible", c->max_vcpus,
			SOFT_VCPUS_MAX);
		return NULL;
	}
	if (config && !options_fit(config, err))
		return NULL;
	if (!soft_native_init(err)) {
		error_prefix(err, "soft");
		return NULL;
	}
	vm = calloc(1, sizeof(*vm));
	if (vm)
		vm->vcpus = calloc(c->max_vcpus, sizeof(*vm->vcpus));
	if (!vm || !vm->vcpus) {
		free(vm);
		error_set_errno(err, ENOMEM, "soft");
		return NULL;
	}
	vm->base.accel = &soft_accel;
	vm->base.machine = m;
	/* The interrupt chips are the engine's but for the PIT, which is a device like others. */
	vm->base.irqchip = ACCEL_IRQCHIP_SPLIT;
	vm->base.tsc_khz = soft_tsc_khz();
	vm->max_vcpus = c->max_vcpus;
	vm->io = &soft_machine_io;
	mutex_init(&vm->vcpus_lock);
	mutex_init(&vm->chips_lock);
	mutex_init(&vm->slots_lock);
	mutex_init(&vm->exclusive_lock);
	soft_chips_init(vm);
	vm->jit = m && (!config || config->jit);
	vm->lockstep = config && config->lockstep;
	if (vm->lockstep) {
		vm->turns = soft_turns_new();
		if (!vm->turns) {
			error_set_errno(err, ENOMEM, "soft: lockstep");
			soft_vm_free(&vm->base);
			return NULL;
		}
	}
	vm->stats = config && config->stats;
	if (config && config->perf)
		vm->perf = soft_perf_new(config->perf, config->perf_symbols, NULL, err);
	if ((config && config->perf && !vm->perf) || (vm->jit && !soft_ticker_start(vm, err))) {
		soft_vm_free(&vm->base);
		return NULL;
	}
	return &vm->base;
}

static void vcpu_publish(struct soft_vcpu *v, struct soft_vcpu *value)
{
	struct soft_vm *vm = v->vm;

	mutex_lock(&vm->vcpus_lock);
	mutex_lock(&vm->chips_lock);
	vm->vcpus[v->index] = value;
	if (value && vm->n_vcpus <= v->index)
		atomic_store(&vm->n_vcpus, v->index + 1);
	mutex_unlock(&vm->chips_lock);
	mutex_unlock(&vm->vcpus_lock);
}

static void soft_vcpu_free(struct accel_vcpu *av)
{
	struct soft_vcpu *v;

	if (!av)
		return;
	v = to_soft_vcpu(av);
	if (v->vm->vcpus[v->index] == v)
		vcpu_publish(v, NULL);
	soft_jit_free(v);
	soft_blocks_free(v);
	soft_mmu_free(v);
	free(v->cpuid);
	munmap(v, sizeof(*v));
}

static void power_on(struct soft_vcpu *v)
{
	struct x86_cpu_state *s = calloc(1, sizeof(*s));

	if (!s)
		return; /* all zero: it will not run, and core puts its state in before it does */
	x86_cpu_state_reset(s, v->apic_id, v->index == 0);
	soft_vcpu_set(&v->base, s, X86_STATE_ALL);
	free(s);
}

struct soft_vcpu *soft_vcpu_make(
	struct soft_vm *vm, struct vcpu *vcpu, uint32_t index, uint32_t apic_id, struct error *err)
{
	struct soft_vcpu *v;

	if (index >= vm->max_vcpus) {
		error_set(err, "soft: vCPU %u is one too many", index);
		return NULL;
	}
	/* Most of it is tables for the translator, which are not touched all over. */
	v = mmap(NULL, sizeof(*v), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (v == MAP_FAILED) {
		error_set_errno(err, ENOMEM, "soft");
		return NULL;
	}
	v->base.vm = &vm->base;
	v->base.vcpu = vcpu;
	v->vm = vm;
	v->index = index;
	v->apic_id = apic_id;
	v->rflags = X86_FLAG_1;
	if (!soft_mmu_new(v) || !soft_blocks_new(v)) {
		error_set_errno(err, ENOMEM, "soft: vCPU %u", index);
		soft_vcpu_free(&v->base);
		return NULL;
	}
	if (vm->jit && !soft_jit_new(v, err)) {
		soft_vcpu_free(&v->base);
		return NULL;
	}
	soft_lapic_init(v);
	vcpu_publish(v, v);
	power_on(v);
	return v;
}

static struct accel_vcpu *soft_vcpu_new(struct accel_vm *vm, struct vcpu *vcpu, struct error *err)
{
	struct soft_vcpu *v = soft_vcpu_make(to_soft_vm(vm), vcpu, vcpu->index, vcpu->apic_id, err);

	return v ? &v->base : NULL;
}

static bool soft_report(struct accel_vm *avm, bool asked, struct str *out)
{
	struct soft_vm *vm = to_soft_vm(avm);

	if (!asked && !vm->stats)
		return false;
	soft_stats(vm, out);
	return true;
}

const struct accel soft_accel = {
	.name = "soft",
	.doc = "a CPU in software, for hosts without virtualization hardware",
	.aliases_ram = true,
	.config = &soft_config_table,
	.probe = soft_probe_engine,
	.vm_new = soft_vm_new,
	.vm_free = soft_vm_free,
	.ram_add = soft_ram_add,
	.ram_del = soft_ram_del,
	.dirty_log = soft_dirty_log,
	.dirty_sync = soft_dirty_sync,
	.irq_set = soft_irq_set,
	.msi_send = soft_msi_send,
	.irq_open = soft_irq_open,
	.cpuid_supported = soft_cpuid_supported,
	.chips_get = soft_chips_get,
	.chips_set = soft_chips_set,
	.clock_get = soft_clock_get,
	.clock_set = soft_clock_set,
	.report = soft_report,
	.vcpu_new = soft_vcpu_new,
	.vcpu_free = soft_vcpu_free,
	.vcpu_set_cpuid = soft_vcpu_set_cpuid,
	.vcpu_run = soft_vcpu_run,
	.vcpu_kick = soft_vcpu_kick,
	.vcpu_get = soft_vcpu_get,
	.vcpu_set = soft_vcpu_set,
	.vcpu_nmi = soft_vcpu_nmi,
	.vcpu_stalled = soft_vcpu_stalled,
	.vcpu_debug = soft_vcpu_debug,
	.vcpu_translate = soft_vcpu_translate,
};
