// SPDX-License-Identifier: GPL-2.0-or-later
/* chips_testing - a soft VM of some vCPUs without a machine, whose chips are driven by hand. */
#ifndef ACCEL_SOFT_CHIPS_TESTING_H
#define ACCEL_SOFT_CHIPS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "accel/soft/soft_int.h"
#include "base/clock.h"

#define APIC_PAGE 0xfee00000ull
#define APIC_ON	  0x1ff /* SVR: enabled by software */

struct chips_vm {
	struct soft_vm *vm;
	struct soft_vcpu *v[4];
	uint32_t n;
};

static inline struct chips_vm chips_new(uint32_t n)
{
	struct accel_vm_config c = { .max_vcpus = 4, .max_apic_id = 3 };
	struct error err = ERROR_INIT;
	struct chips_vm t = { .n = n };
	struct accel_vm *vm = soft_accel.vm_new(NULL, &c, &err);

	if (!vm)
		fail_msg("%s", err.msg);
	t.vm = to_soft_vm(vm);
	for (uint32_t i = 0; i < n; i++) {
		t.v[i] = soft_vcpu_make(t.vm, NULL, i, i, &err);
		if (!t.v[i])
			fail_msg("%s", err.msg);
		atomic_store(&t.v[i]->poll, 0);
	}
	return t;
}

static inline void chips_free(struct chips_vm *t)
{
	for (uint32_t i = 0; i < t->n; i++)
		soft_accel.vcpu_free(&t->v[i]->base);
	soft_accel.vm_free(&t->vm->base);
}

static inline void apic_write(struct soft_vcpu *v, uint32_t reg, uint32_t value)
{
	soft_mmio(v, APIC_PAGE + reg, &value, 4, true);
}

static inline uint32_t apic_read(struct soft_vcpu *v, uint32_t reg)
{
	uint32_t value;

	soft_mmio(v, APIC_PAGE + reg, &value, 4, false);
	return value;
}

static inline bool msr_write(struct soft_vcpu *v, uint32_t index, uint64_t value)
{
	return soft_apic_msr(v, index, &value, true);
}

static inline uint64_t msr_read(struct soft_vcpu *v, uint32_t index)
{
	uint64_t value = 0;

	assert_true(soft_apic_msr(v, index, &value, false));
	return value;
}

/* What the vCPU was notified of since the last time. */
static inline uint32_t polled(struct soft_vcpu *v)
{
	return atomic_exchange(&v->poll, 0);
}

/* The vector that the vCPU takes now; it was told, and ends it at once. -1: none. */
static inline int take(struct soft_vcpu *v)
{
	int vector;

	if (!soft_irq_pending(v)) {
		assert_int_equal(soft_irq_ack(v), -1);
		return -1;
	}
	assert_true(polled(v) & SOFT_POLL_IRQ);
	vector = soft_irq_ack(v);
	assert_true(vector >= 0);
	return vector;
}

#endif
