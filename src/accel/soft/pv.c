// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pv - what KVM tells its guests through memory beside the clock (Linux,
 * Documentation/virt/kvm/x86/msr.rst), so that a guest which began under KVM finds it here and the other
 * way round.
 *
 * Steal time: how long the vCPU wanted to run and did not. The same page says whether it is not
 * running: never here; but one that was saved under KVM may say so, and then other CPUs leave their
 * TLB flushes there for when it runs.
 *
 * Asynchronous page faults: no page of the guest is ever away, so nothing is reported. But a guest
 * that was saved under KVM may have tasks that wait for pages: all are woken when it goes on here.
 *
 * EOI without an exit: the bit that allows it is never set, which is always right.
 */
#include <string.h>
#include <time.h>
#include "accel/soft/mmu.h"
#include "accel/soft/pv.h"
#include "accel/soft/soft_int.h"
#include "base/clock.h"
#include "core/machine.h"
#include "mem/gmem.h"

#define ENABLED		1ull
#define APF_INTERRUPT	BIT_ULL(3) /* a page that is there is told by one */
#define APF_NESTED	BIT_ULL(2)
#define APF_RESERVED	0x30ull
#define APF_ALL		UINT32_MAX /* wakes all */
#define STEAL_RESERVED	0x3eull
#define PAGE_MASK_64	(~0x3full)
#define VCPU_FLUSH_TLB	BIT(1)
#define STEAL_PERIOD_NS (10 * NS_PER_MS)

struct steal_page {
	uint64_t steal;
	uint32_t version, flags;
	uint8_t preempted, pad[47];
};
struct apf_page {
	uint32_t flags, token;
	uint8_t pad[56];
};
_Static_assert(sizeof(struct steal_page) == 64 && sizeof(struct apf_page) == 64, "KVM's pages");

/* -------- guest memory -------- */
struct mapped {
	void *p;
	struct ram_block *ram;
	uint64_t off;
};

static bool map64(struct soft_vm *vm, uint64_t gpa, struct mapped *m)
{
	struct soft_slot s;

	gpa &= PAGE_MASK_64;
	if (vm->base.machine) {
		m->p = gmem_map(&vm->base.machine->mem, (gpa_t){ gpa }, 64, true, &m->ram, &m->off);
		return m->p;
	}
	if (!soft_slot_find(vm, gpa, &s) || s.readonly || s.size - (gpa - s.gpa) < 64)
		return false;
	m->ram = ram_block_ref(s.ram);
	m->off = s.ram_off + (gpa - s.gpa);
	m->p = s.host + (gpa - s.gpa);
	return true;
}

static void unmap64(struct mapped *m)
{
	ram_dirty_mark(m->ram, m->off, 64);
	ram_block_unref(m->ram);
}

/* -------- steal time -------- */
static void steal_begin(struct soft_vcpu *v)
{
	v->pv.since = clock_mono_ns();
	v->pv.cpu = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
	v->pv.slept = 0;
}

static void steal_add(struct soft_vcpu *v, uint64_t ns)
{
	struct steal_page *s;
	struct mapped m;
	uint32_t version;

	if (!map64(v->vm, v->pv.steal, &m))
		return;
	s = m.p;
	version = __atomic_load_n(&s->version, __ATOMIC_RELAXED);
	version += 1 + (version & 1);
	__atomic_store_n(&s->version, version, __ATOMIC_RELAXED);
	/* After the odd version, and before the even one. */
	__atomic_store_n(
		&s->steal, __atomic_load_n(&s->steal, __ATOMIC_RELAXED) + ns, __ATOMIC_RELEASE);
	__atomic_store_n(&s->version, version + 1, __ATOMIC_RELEASE);
	unmap64(&m);
}

void soft_pv_account(struct soft_vcpu *v)
{
	int64_t now, lost;

	if (!(v->pv.steal & ENABLED))
		return;
	now = clock_mono_ns();
	if (now - v->pv.since < STEAL_PERIOD_NS)
		return;
	lost = now - v->pv.since - v->pv.slept -
	       (clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - v->pv.cpu);
	if (lost > 0)
		steal_add(v, (uint64_t)lost);
	steal_begin(v);
}

/* The vCPU runs: nobody may leave it anything any more. What was left is done. */
static void not_preempted(struct soft_vcpu *v)
{
	struct mapped m;
	uint8_t was;

	if (!map64(v->vm, v->pv.steal, &m))
		return;
	was = __atomic_exchange_n(&((struct steal_page *)m.p)->preempted, 0, __ATOMIC_SEQ_CST);
	unmap64(&m);
	if (was & VCPU_FLUSH_TLB)
		soft_tlb_flush(v, true);
}

/* -------- asynchronous page faults -------- */
/* If the guest has not taken the last report yet, its acknowledgement has us try again. */
static void wake_all(struct soft_vcpu *v)
{
	const uint64_t both = ENABLED | APF_INTERRUPT;
	struct apf_page *a;
	struct mapped m;
	bool told = false;

	if (!v->pv.apf_wake || (v->pv.apf & both) != both || !map64(v->vm, v->pv.apf, &m))
		return;
	a = m.p;
	if (!__atomic_load_n(&a->token, __ATOMIC_RELAXED)) {
		__atomic_store_n(&a->token, APF_ALL, __ATOMIC_RELEASE);
		told = true;
	}
	unmap64(&m);
	if (told) {
		v->pv.apf_wake = false;
		soft_irq_self(v, v->pv.apf_vector);
	}
}

void soft_pv_enter(struct soft_vcpu *v)
{
	if (v->pv.steal & ENABLED) {
		not_preempted(v);
		steal_begin(v);
	}
	wake_all(v);
}

/* -------- MSRs -------- */
static bool write_apf(struct soft_vcpu *v, uint64_t value, bool restore)
{
	if (value & APF_RESERVED || (value & APF_INTERRUPT && !soft_kvm_feature(v, 14)) ||
		(value & APF_NESTED && !soft_kvm_feature(v, 10)))
		return false;
	v->pv.apf = value;
	v->pv.apf_wake = restore && value & ENABLED;
	return true;
}

static bool write_steal(struct soft_vcpu *v, uint64_t value)
{
	if (value & STEAL_RESERVED)
		return false;
	v->pv.steal = value;
	steal_begin(v);
	return true;
}

bool soft_pv_write(struct soft_vcpu *v, uint32_t index, uint64_t value, bool restore)
{
	switch (index) {
	case MSR_KVM_ASYNC_PF:
		return write_apf(v, value, restore);
	case MSR_KVM_STEAL_TIME:
		return write_steal(v, value);
	case MSR_KVM_PV_EOI:
		if (value & 2)
			return false;
		v->pv.eoi = value;
		return true;
	case MSR_KVM_POLL_CONTROL:
		if (value > 1)
			return false;
		v->pv.no_poll = !value;
		return true;
	case MSR_KVM_ASYNC_PF_INT:
		if (value > 0xff)
			return false;
		v->pv.apf_vector = (uint8_t)value;
		return true;
	case MSR_KVM_ASYNC_PF_ACK:
		if (value & 1)
			wake_all(v);
		return true;
	}
	return false;
}

bool soft_pv_read(struct soft_vcpu *v, uint32_t index, uint64_t *value)
{
	switch (index) {
	case MSR_KVM_ASYNC_PF:
		*value = v->pv.apf;
		return true;
	case MSR_KVM_STEAL_TIME:
		*value = v->pv.steal;
		return true;
	case MSR_KVM_PV_EOI:
		*value = v->pv.eoi;
		return true;
	case MSR_KVM_POLL_CONTROL:
		*value = !v->pv.no_poll;
		return true;
	case MSR_KVM_ASYNC_PF_INT:
		*value = v->pv.apf_vector;
		return true;
	case MSR_KVM_ASYNC_PF_ACK:
		*value = 0;
		return true;
	}
	return false;
}

bool soft_pv_offered(const struct soft_vcpu *v, uint32_t index)
{
	switch (index) {
	case MSR_KVM_ASYNC_PF:
		return soft_kvm_feature(v, 4);
	case MSR_KVM_STEAL_TIME:
		return soft_kvm_feature(v, 5);
	case MSR_KVM_PV_EOI:
		return soft_kvm_feature(v, 6);
	case MSR_KVM_POLL_CONTROL:
		return soft_kvm_feature(v, 12);
	case MSR_KVM_ASYNC_PF_INT:
	case MSR_KVM_ASYNC_PF_ACK:
		return soft_kvm_feature(v, 14);
	}
	return true;
}
