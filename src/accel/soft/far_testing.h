// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * far_testing - a vCPU with descriptor tables in a flat memory of 1 MB, for the tests of transfers.
 * Memory functions and the run loop's are plain stand-ins, weak: they count only while the test links
 * nothing else. Linear addresses are memory's, modulo its size; one page can be made to fault.
 */
#ifndef ACCEL_SOFT_FAR_TESTING_H
#define ACCEL_SOFT_FAR_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "accel/soft/far.h"
#include "accel/soft/mmu.h"

#define WEAK	 __attribute__((weak))
#define MEM_SIZE (1u << 20)

/* Where things are. */
enum {
	GDT = 0x1000,
	IDT = 0x2000,
	TSS = 0x3000,
	LDT = 0x4000,
	TSS_B = 0x5000,
	CODE = 0x10000, /* linear; the offset in flat segments */
	STACK_0 = 0x20000,
	STACK_1 = 0x24000,
	STACK_3 = 0x28000,
	IST_1 = 0x2c008, /* not aligned to 16 */
	STACK_B = 0x30000,
	DATA = 0x34000,
};

enum {
	CODE32_0 = 0x08,
	DATA_0 = 0x10,
	CODE64_0 = 0x18,
	CODE32_3 = 0x23,
	DATA_3 = 0x2b,
	CODE64_3 = 0x33,
	CONFORMING_0 = 0x38,
	TSS_SEL = 0x40,
	LDT_SEL = 0x50,
	DATA16_0 = 0x60, /* B clear, limit 0xffff */
	ABSENT_DATA_0 = 0x68,
	ABSENT_CODE_0 = 0x70,
	CODE16_0 = 0x78, /* limit 0xffff */
	GATE = 0x80,	 /* 16 bytes */
	TASK_GATE = 0x90,
	TSS_B_SEL = 0xa0,
	READONLY_3 = 0xa8,
	CODE32_1 = 0xb1,
	DATA_1 = 0xb9,
	DATA16_3 = 0xc3,
	BAD_CODE_0 = 0xc8, /* L and D */
	GDT_END = 0xd0,
};

static uint8_t mem[MEM_SIZE];
static struct soft_vcpu vcpu, *const v = &vcpu;
static struct soft_tlb_entry no_tlb[SOFT_MMU_INDEXES][SOFT_TLB_SIZE];
static uint64_t fault_page; /* linear, page-aligned; 0: none */
static bool fault_writes;   /* only writes fault */

/* -------- stand-ins -------- */

WEAK _Noreturn void soft_raise_event(struct soft_vcpu *vc, const struct soft_event *e)
{
	vc->event = *e;
	longjmp(vc->raise, 1);
}

WEAK _Noreturn void soft_raise_error(struct soft_vcpu *vc, uint8_t vector, uint32_t error)
{
	struct soft_event e = { .vector = vector, .has_error = true, .error = error };

	soft_raise_event(vc, &e);
}

WEAK _Noreturn void soft_raise(struct soft_vcpu *vc, uint8_t vector)
{
	struct soft_event e = { .vector = vector };

	soft_raise_event(vc, &e);
}

WEAK void soft_seg_changed(struct soft_vcpu *vc, enum x86_seg seg)
{
}

WEAK void soft_mode_changed(struct soft_vcpu *vc)
{
	uint32_t cs = vc->seg[X86_CS].attr;
	bool l = soft_long_mode(vc) && (cs & X86_ATTR_L);

	vc->cpl = soft_real_mode(vc) ? 0 : soft_vm86(vc) ? 3 : X86_ATTR_DPL(vc->seg[X86_SS].attr);
	vc->code = l ? X86_CODE_64 : cs & X86_ATTR_DB ? X86_CODE_32 : X86_CODE_16;
	vc->stack_size = l ? 8 : vc->seg[X86_SS].attr & X86_ATTR_DB ? 4 : 2;
	vc->mmu_index = vc->cpl == 3 ? SOFT_MMU_USER : SOFT_MMU_KERNEL;
	vc->stop = true;
}

WEAK void soft_level_changed(struct soft_vcpu *vc)
{
	soft_mode_changed(vc);
}

static uint8_t *reach(struct soft_vcpu *vc, enum x86_seg seg, uint64_t lin, bool write)
{
	struct soft_event pf = { .vector = X86_EXC_PF, .has_error = true, .cr2 = lin };

	if (!soft_canonical(vc, lin))
		soft_raise_error(vc, seg == X86_SS ? X86_EXC_SS : X86_EXC_GP, 0);
	if (fault_page && (lin & ~0xfffull) == fault_page && (write || !fault_writes)) {
		pf.error = write ? X86_PF_W : 0;
		soft_raise_event(vc, &pf);
	}
	return mem + lin % MEM_SIZE;
}

WEAK uint64_t soft_load_slow(
	struct soft_vcpu *vc, enum x86_seg seg, uint64_t lin, unsigned int size, int index)
{
	uint64_t value = 0;

	memcpy(&value, reach(vc, seg, lin, false), size);
	return value;
}

WEAK void soft_store_slow(struct soft_vcpu *vc, enum x86_seg seg, uint64_t lin, unsigned int size,
	uint64_t value, int index)
{
	memcpy(reach(vc, seg, lin, true), &value, size);
}

WEAK uint64_t soft_seg_check(struct soft_vcpu *vc, enum x86_seg seg, uint64_t off,
	unsigned int size, enum soft_access access)
{
	if (!x86_seg_holds(&vc->seg[seg], off, size))
		soft_raise_error(vc, seg == X86_SS ? X86_EXC_SS : X86_EXC_GP, 0);
	return (uint32_t)(vc->seg[seg].base + off);
}

WEAK void soft_exclusive_begin(struct soft_vcpu *vc)
{
}

WEAK void soft_exclusive_end(struct soft_vcpu *vc)
{
}

WEAK void soft_code_written(struct soft_vcpu *vc, _Atomic uint32_t *code)
{
}

WEAK void soft_watch_changed(struct soft_vcpu *vc)
{
}

WEAK void soft_set_cr3(struct soft_vcpu *vc, uint64_t value)
{
	vc->cr3 = value;
}

/* -------- memory -------- */

static inline void put(uint32_t at, unsigned int size, uint64_t value)
{
	memcpy(mem + at, &value, size);
}

static inline uint64_t get(uint32_t at, unsigned int size)
{
	uint64_t value = 0;

	memcpy(&value, mem + at, size);
	return value;
}

static inline uint64_t descriptor(uint32_t base, uint32_t limit, uint32_t attr)
{
	if (attr & X86_ATTR_G)
		limit >>= 12;
	return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)attr << 40 |
	       (uint64_t)(limit & 0xf0000) << 32 | (uint64_t)(base & 0xff000000) << 32;
}

static inline void gdt_set(uint16_t selector, uint32_t base, uint32_t limit, uint32_t attr)
{
	put(GDT + (selector & ~7u), 8, descriptor(base, limit, attr));
}

static inline uint64_t gate_of(uint16_t selector, uint64_t offset, uint8_t type, uint8_t low)
{
	return (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)low << 32 |
	       (uint64_t)type << 40 | (offset & 0xffff0000) << 32;
}

/* @type: the descriptor's byte 5 (type, DPL, P); @low: byte 4. In long mode 16 bytes. */
static inline void gate_set(
	uint32_t at, uint16_t selector, uint64_t offset, uint8_t type, uint8_t low)
{
	put(at, 8, gate_of(selector, offset, type, low));
	if (soft_long_mode(v))
		put(at + 8, 8, offset >> 32);
}

static inline void idt_set(
	uint8_t vector, uint16_t selector, uint64_t offset, uint8_t type, uint8_t ist)
{
	gate_set(IDT + vector * (soft_long_mode(v) ? 16 : 8), selector, offset, type, ist);
}

/* -------- the vCPU -------- */

static inline void build_gdt(void)
{
	gdt_set(CODE32_0, 0, UINT32_MAX, 0xc09a);
	gdt_set(DATA_0, 0, UINT32_MAX, 0xc092);
	gdt_set(CODE64_0, 0, UINT32_MAX, 0xa09a);
	gdt_set(CODE32_3, 0, UINT32_MAX, 0xc0fa);
	gdt_set(DATA_3, 0, UINT32_MAX, 0xc0f2);
	gdt_set(CODE64_3, 0, UINT32_MAX, 0xa0fa);
	gdt_set(CONFORMING_0, 0, UINT32_MAX, 0xc09e);
	gdt_set(TSS_SEL, TSS, 0x67, 0x8b);
	gdt_set(LDT_SEL, LDT, 0xff, 0x82);
	gdt_set(DATA16_0, 0x20000, 0xffff, 0x92);
	gdt_set(ABSENT_DATA_0, 0, UINT32_MAX, 0xc012);
	gdt_set(ABSENT_CODE_0, 0, UINT32_MAX, 0xc01a);
	gdt_set(CODE16_0, 0x10000, 0xffff, 0x9a);
	gdt_set(TSS_B_SEL, TSS_B, 0x67, 0x89);
	gdt_set(READONLY_3, 0, UINT32_MAX, 0xc0f0);
	gdt_set(CODE32_1, 0, UINT32_MAX, 0xc0ba);
	gdt_set(DATA_1, 0, UINT32_MAX, 0xc0b2);
	gdt_set(DATA16_3, 0x20000, 0xffff, 0xf2);
	gdt_set(BAD_CODE_0, 0, UINT32_MAX, 0xe09a);
	put(GDT + TASK_GATE, 8, gate_of(TSS_B_SEL, 0, 0xe5, 0));
}

static inline void seg_set(enum x86_seg seg, uint16_t selector)
{
	x86_desc_segment(get(GDT + (selector & ~7u), 8), 0, selector, &v->seg[seg]);
	v->seg[seg].attr |= X86_TYPE_ACCESSED;
}

/* In real mode. */
static inline void rig_reset(void)
{
	memset(mem, 0, sizeof(mem));
	memset(v, 0, sizeof(*v));
	memset(no_tlb, 0xff, sizeof(no_tlb));
	fault_page = 0;
	fault_writes = false;
	v->tlb = no_tlb;
	v->amd = true;
	v->rflags = X86_FLAG_1;
	for (int i = 0; i < X86_NSEG; i++)
		v->seg[i] = (struct x86_segment){ .limit = 0xffff, .attr = 0x93 };
	x86_seg_null(0, 0, &v->ldtr);
	v->idtr.limit = 0x3ff;
	v->gpr[X86_RSP] = 0xfff0;
	v->rip = 0x100;
	v->gpr[X86_REG_RIP] = 0x102;
	soft_mode_changed(v);
}

/* In protected mode at level @cpl, flat. */
static inline void rig_protected(unsigned int cpl)
{
	rig_reset();
	build_gdt();
	v->cr0 = X86_CR0_PE;
	v->gdtr = (struct x86_dtable){ .base = GDT, .limit = GDT_END - 1 };
	v->idtr = (struct x86_dtable){ .base = IDT, .limit = 0x7ff };
	v->tr = (struct x86_segment){
		.base = TSS, .limit = 0x67, .attr = 0x8b, .selector = TSS_SEL
	};
	put(TSS + 4, 4, STACK_0);
	put(TSS + 8, 2, DATA_0);
	put(TSS + 12, 4, STACK_1);
	put(TSS + 16, 2, DATA_1);
	seg_set(X86_CS, cpl == 3 ? CODE32_3 : CODE32_0);
	seg_set(X86_SS, cpl == 3 ? DATA_3 : DATA_0);
	seg_set(X86_DS, cpl == 3 ? DATA_3 : DATA_0);
	seg_set(X86_ES, DATA_3);
	x86_seg_null(0, 0, &v->seg[X86_FS]);
	x86_seg_null(0, 0, &v->seg[X86_GS]);
	v->gpr[X86_RSP] = cpl == 3 ? STACK_3 : STACK_0 - 0x100;
	v->rip = CODE;
	v->gpr[X86_REG_RIP] = CODE + 2;
	soft_mode_changed(v);
}

/* In 64-bit mode at level @cpl. */
static inline void rig_long(unsigned int cpl)
{
	rig_protected(cpl);
	v->cr0 |= X86_CR0_PG;
	v->cr4 = X86_CR4_PAE;
	v->efer = X86_EFER_LME | X86_EFER_LMA | X86_EFER_SCE;
	v->idtr.limit = 0xfff;
	memset(mem + TSS, 0, 0x68);
	put(TSS + 4, 8, 0xffff800000000000 + STACK_0);
	put(TSS + 0x24, 8, IST_1);
	put(GDT + TSS_SEL + 8, 8, 0);
	put(GDT + LDT_SEL + 8, 8, 0xffff8000);
	seg_set(X86_CS, cpl == 3 ? CODE64_3 : CODE64_0);
	soft_mode_changed(v);
}

/* In VM86 mode: CS 0x1000, SS 0x2800. */
static inline void rig_vm86(unsigned int iopl)
{
	rig_protected(0);
	v->rflags |= X86_FLAG_VM | iopl << 12 | X86_FLAG_IF;
	for (int i = 0; i < X86_NSEG; i++)
		x86_seg_vm86(0x3400 + i, &v->seg[i]);
	x86_seg_vm86(0x1000, &v->seg[X86_CS]);
	x86_seg_vm86(0x2000, &v->seg[X86_SS]);
	v->gpr[X86_RSP] = 0x8000;
	v->rip = 0x100;
	v->gpr[X86_REG_RIP] = 0x102;
	soft_mode_changed(v);
}

/* -------- running -------- */

#define NO_EVENT 255

/* Carry @o out. Returns the exception's vector, or NO_EVENT. */
static inline int carry_out(struct soft_op *o)
{
	v->event.vector = NO_EVENT;
	o->fn = soft_far_fn(v, o);
	assert_non_null(o->fn);
	if (!setjmp(v->raise)) {
		o->fn(v, o);
		return NO_EVENT;
	}
	return v->event.vector;
}

static inline struct soft_op op(enum x86_op id, uint8_t opsize)
{
	return (struct soft_op){ .i = { .op = id,
					 .opsize = opsize,
					 .addrsize = 4,
					 .seg = X86_DS,
					 .base = X86_REG_NONE,
					 .index = X86_REG_NONE } };
}

static inline int run_op(enum x86_op id, uint8_t opsize)
{
	struct soft_op o = op(id, opsize);

	return carry_out(&o);
}

static inline int run_far(enum x86_op id, uint8_t opsize, uint16_t selector, uint32_t offset)
{
	struct soft_op o = op(id, opsize);

	o.i.operand[0].kind = X86_OPND_FAR;
	o.i.imm = offset;
	o.i.imm2 = selector;
	return carry_out(&o);
}

/* Deliver as the run loop does, at most four events deep. False: shutdown. @first_only: the event that
 * the first delivery raised is left in v->event. */
static volatile int deliver_raised; /* how many deliveries raised */
static inline bool deliver(const struct soft_event *first)
{
	static struct soft_event e;

	e = *first;
	deliver_raised = 0;
	if (setjmp(v->raise)) {
		e = v->event;
		if (++deliver_raised > 4)
			fail();
	}
	return soft_event_deliver(v, &e);
}

static inline bool deliver_vector(uint8_t vector, enum soft_event_kind kind)
{
	struct soft_event e = { .vector = vector, .kind = kind };

	return deliver(&e);
}

/* What delivery raises first; NO_EVENT: nothing. The error code is in v->event. */
static inline int deliver_raises(const struct soft_event *e)
{
	v->event.vector = NO_EVENT;
	if (setjmp(v->raise)) {
		v->in_event = false;
		return v->event.vector;
	}
	assert_true(soft_event_deliver(v, e));
	return NO_EVENT;
}

/* The current stack's contents, from its top. */
static inline uint64_t stacked(unsigned int i, unsigned int size)
{
	uint64_t sp = v->gpr[X86_RSP];

	if (v->stack_size == 2)
		sp = sp & 0xffff;
	return get((v->seg[X86_SS].base + sp + i * size) % MEM_SIZE, size);
}

#define assert_raises(call, vec, err)                       \
	do {                                                \
		assert_int_equal(call, vec);                \
		assert_int_equal(v->event.has_error, true); \
		assert_int_equal(v->event.error, err);      \
	} while (0)

#endif
