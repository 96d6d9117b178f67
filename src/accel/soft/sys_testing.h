// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sys_testing - a vCPU by hand for the tests of system instructions and state, and stand-ins for the
 * rest of the engine: memory is flat (segments, paging and rights do nothing), chips are a register.
 */
#ifndef ACCEL_SOFT_SYS_TESTING_H
#define ACCEL_SOFT_SYS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "accel/soft/mmu.h"
#include "accel/soft/soft_int.h"

#define T_MEM  0x10000u
#define T_NONE (-1) /* no exception */

static struct {
	uint8_t mem[T_MEM];
	uint64_t apic_base, cr8, kvmclock, deadline;
	uint8_t lapic[X86_LAPIC_SIZE];
	uint8_t xsave[X86_XSAVE_MAX];
	bool pdptes_bad, fpu_bad;
	unsigned int flushes, page_flushes, watch, cr3_loads, inits;
	bool flushed_global, kept;
	uint64_t flushed_page;
	uint16_t port;
	unsigned int port_size;
	bool port_write;
	uint32_t port_data;
} t;

static struct soft_vm t_vm;
static struct soft_vcpu *t_vcpus;

static inline struct soft_vcpu *t_vcpu(void)
{
	struct soft_vcpu *v = NULL;

	memset(&t, 0, sizeof(t));
	t.apic_base = 0xfee00000 | X86_APIC_BASE_ENABLE | X86_APIC_BASE_BSP;
	assert_int_equal(posix_memalign((void **)&v, 64, sizeof(*v)), 0);
	memset(v, 0, sizeof(*v));
	v->tlb = malloc(SOFT_MMU_INDEXES * sizeof(*v->tlb));
	assert_non_null(v->tlb);
	memset(v->tlb, 0xff, SOFT_MMU_INDEXES * sizeof(*v->tlb));
	v->vm = &t_vm;
	t_vm.vcpus = &t_vcpus;
	t_vm.n_vcpus = 1;
	t_vcpus = v;
	mutex_init(&t_vm.chips_lock);
	v->rflags = X86_FLAG_1;
	soft_vcpu_allow_all(v);
	return v;
}

static inline void t_free(struct soft_vcpu *v)
{
	free(v->cpuid);
	free(v->tlb);
	free(v);
}

/* Modes: CPL is SS's. */
static inline void t_mode(struct soft_vcpu *v, unsigned int bits, unsigned int cpl)
{
	uint32_t attr = X86_ATTR_P | X86_ATTR_S | 3 | cpl << 5;

	for (int i = 0; i < X86_NSEG; i++)
		v->seg[i] = (struct x86_segment){ .limit = UINT32_MAX,
			.attr = attr | X86_ATTR_DB | X86_ATTR_G,
			.selector = 0x10 | cpl };
	v->seg[X86_CS].attr = attr | 0xb | X86_ATTR_G | (bits == 64 ? X86_ATTR_L : 0) |
			      (bits == 32 ? X86_ATTR_DB : 0);
	v->cr0 = X86_CR0_ET | (bits == 16 ? 0 : X86_CR0_PE) | (bits == 64 ? X86_CR0_PG : 0);
	v->cr4 = bits == 64 ? X86_CR4_PAE : 0;
	v->efer = bits == 64 ? X86_EFER_LME | X86_EFER_LMA : 0;
	v->tr = (struct x86_segment){ .base = 0x4000, .limit = 0x67, .attr = X86_ATTR_P | 11 };
	soft_mode_changed(v);
}

/* Carry one instruction out: its exception or T_NONE. */
static inline int t_exec(struct soft_vcpu *v, const void *bytes, size_t n)
{
	struct soft_op o = { 0 };

	assert_int_equal(x86_decode(bytes, n, v->code, &o.i), X86_DECODE_OK);
	assert_int_equal(o.i.len, n);
	o.fn = soft_sys_fn(v, &o);
	assert_non_null(o.fn);
	v->rip = 0x1000;
	v->gpr[X86_REG_RIP] = v->rip + n;
	v->stop = false;
	v->has_event = false;
	if (_setjmp(v->raise))
		return v->event.vector;
	o.fn(v, &o);
	return T_NONE;
}
#define T(v, bytes) t_exec(v, bytes, sizeof(bytes) - 1)

/* -------- run.c's -------- */
_Noreturn void soft_raise_event(struct soft_vcpu *v, const struct soft_event *e)
{
	v->event = *e;
	_longjmp(v->raise, 1);
}

_Noreturn void soft_raise_error(struct soft_vcpu *v, uint8_t vector, uint32_t error)
{
	soft_raise_event(
		v, &(struct soft_event){ .vector = vector, .has_error = true, .error = error });
}

_Noreturn void soft_raise(struct soft_vcpu *v, uint8_t vector)
{
	soft_raise_event(v, &(struct soft_event){ .vector = vector });
}

void soft_seg_changed(struct soft_vcpu *v, enum x86_seg s)
{
}

void soft_mode_changed(struct soft_vcpu *v)
{
	uint32_t cs = v->seg[X86_CS].attr;
	bool l = soft_long_mode(v) && cs & X86_ATTR_L;

	v->cpl = soft_real_mode(v) ? 0 : soft_vm86(v) ? 3 : X86_ATTR_DPL(v->seg[X86_SS].attr);
	v->code = l ? X86_CODE_64 : cs & X86_ATTR_DB ? X86_CODE_32 : X86_CODE_16;
	v->seg_flat = 0x3f;
	v->stop = true;
}

/* -------- mmu.c's -------- */
uint64_t soft_seg_check(struct soft_vcpu *v, enum x86_seg seg, uint64_t off, unsigned int size,
	enum soft_access access)
{
	return (uint32_t)(off + v->seg[seg].base);
}

uint64_t soft_load_slow(
	struct soft_vcpu *v, enum x86_seg seg, uint64_t lin, unsigned int size, int index)
{
	uint64_t x = 0;

	assert_true(lin <= T_MEM - size);
	memcpy(&x, t.mem + lin, size);
	return x;
}

void soft_store_slow(struct soft_vcpu *v, enum x86_seg seg, uint64_t lin, unsigned int size,
	uint64_t value, int index)
{
	assert_true(lin <= T_MEM - size);
	memcpy(t.mem + lin, &value, size);
}

void soft_load_bytes(struct soft_vcpu *v, enum x86_seg seg, uint64_t off, void *buf, unsigned int n)
{
	assert_true(off <= T_MEM - n);
	memcpy(buf, t.mem + off, n);
}

void soft_store_bytes(
	struct soft_vcpu *v, enum x86_seg seg, uint64_t off, const void *buf, unsigned int n)
{
	assert_true(off <= T_MEM - n);
	memcpy(t.mem + off, buf, n);
}

void soft_code_written(struct soft_vcpu *v, _Atomic uint32_t *code)
{
}

void soft_tlb_flush(struct soft_vcpu *v, bool global)
{
	t.flushes++;
	t.flushed_global = global;
}

void soft_tlb_flush_page(struct soft_vcpu *v, uint64_t lin)
{
	t.page_flushes++;
	t.flushed_page = lin;
}

void soft_tlb_flush_pcid(struct soft_vcpu *v, uint16_t pcid, bool global)
{
	t.flushes++;
	t.flushed_global = global;
}

void soft_mmu_cr3(struct soft_vcpu *v, bool keep)
{
	t.cr3_loads++;
	t.kept = keep;
}

bool soft_mmu_load_pdptes(struct soft_vcpu *v)
{
	if (t.pdptes_bad)
		return false;
	for (int i = 0; i < 4; i++)
		v->pdpte[i] = v->cr3 + i;
	return true;
}

void soft_watch_changed(struct soft_vcpu *v)
{
	t.watch++;
}

/* -------- fpu.c's -------- */
void soft_fpu_get(const struct soft_vcpu *v, uint8_t *area)
{
	memcpy(area, t.xsave, sizeof(t.xsave));
}

bool soft_fpu_set(struct soft_vcpu *v, const uint8_t *area)
{
	if (!t.fpu_bad)
		memcpy(t.xsave, area, sizeof(t.xsave));
	return !t.fpu_bad;
}

uint64_t soft_fpu_xinuse(struct soft_vcpu *v)
{
	return 3;
}

/* -------- of the chips and clocks -------- */
uint64_t soft_apic_base(const struct soft_vcpu *v)
{
	return t.apic_base;
}

void soft_apic_base_restore(struct soft_vcpu *v, uint64_t value)
{
	t.apic_base = value;
}

bool soft_slot_find(struct soft_vm *vm, uint64_t gpa, struct soft_slot *out)
{
	return false;
}

void soft_irq_self(struct soft_vcpu *v, uint8_t vector)
{
}

int64_t soft_pv_ipi(struct soft_vcpu *from, const uint64_t bits[2], unsigned int width,
	uint64_t first, uint64_t icr)
{
	return -1;
}

uint64_t soft_cr8_get(struct soft_vcpu *v)
{
	return t.cr8;
}

void soft_cr8_set(struct soft_vcpu *v, uint64_t value)
{
	t.cr8 = value;
}

bool soft_apic_msr(struct soft_vcpu *v, uint32_t index, uint64_t *value, bool write)
{
	uint64_t *r = index == X86_MSR_APIC_BASE ? &t.apic_base : &t.deadline;

	if (index >= X86_MSR_X2APIC && index <= X86_MSR_X2APIC + 0xff)
		return false;
	if (write)
		*r = *value;
	else
		*value = *r;
	return true;
}

bool soft_kvmclock_msr(struct soft_vcpu *v, uint32_t index, uint64_t *value, bool write)
{
	if (write)
		t.kvmclock = *value;
	else
		*value = t.kvmclock;
	return true;
}

void soft_lapic_features(struct soft_vcpu *v)
{
}

void soft_lapic_init_signal(struct soft_vcpu *v)
{
	t.inits++;
}

void soft_lapic_get(struct soft_vcpu *v, uint8_t page[X86_LAPIC_SIZE])
{
	memcpy(page, t.lapic, X86_LAPIC_SIZE);
}

void soft_lapic_set(struct soft_vcpu *v, const uint8_t page[X86_LAPIC_SIZE])
{
	memcpy(t.lapic, page, X86_LAPIC_SIZE);
}

#define T_HOST_TSC 0x123456789abcull
uint64_t soft_tsc_read(struct soft_vcpu *v)
{
	return T_HOST_TSC + v->tsc_offset;
}

void soft_tsc_write(struct soft_vcpu *v, uint64_t value)
{
	v->tsc_offset = value - T_HOST_TSC;
}

void soft_tsc_offset_set(struct soft_vcpu *v, int64_t offset)
{
	v->tsc_offset = offset;
}

void soft_notify(struct soft_vcpu *v, uint32_t poll)
{
	atomic_fetch_or(&v->poll, poll);
}

void soft_port(struct soft_vcpu *v, uint16_t port, void *data, unsigned int size, bool write)
{
	t.port = port;
	t.port_size = size;
	t.port_write = write;
	if (write)
		memcpy(&t.port_data, data, size);
	else
		memcpy(data, &t.port_data, size);
}

#endif
