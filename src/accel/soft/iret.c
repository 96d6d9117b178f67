// SPDX-License-Identifier: GPL-2.0-or-later
/* iret - return from an event: SDM, volume 2, IRET/IRETD/IRETQ; AMD APM, volume 3, IRET. */
#include "accel/soft/far.h"
#include "accel/soft/mmu.h"

#define FLAGS_16   0x7fd5u /* all of the lower half, without bit 1 */
#define FLAGS_USER (X86_FLAGS_STATUS | X86_FLAG_TF | X86_FLAG_DF | X86_FLAG_NT)
#define FLAGS_WIDE (X86_FLAG_RF | X86_FLAG_AC | X86_FLAG_ID)
#define FLAGS_V86  (X86_FLAG_VM | X86_FLAG_VIF | X86_FLAG_VIP)

/* What IRET pops. */
struct frame {
	uint64_t rip, flags;
	uint16_t cs;
	uint8_t size;
};

static void pop_frame(struct soft_vcpu *v, uint8_t size, struct frame *f)
{
	f->size = size;
	f->rip = soft_stack_peek(v, 0, size);
	f->cs = soft_stack_peek(v, size, size);
	f->flags = soft_stack_peek(v, 2 * size, size);
}

/* The end of every IRET that succeeds: NMIs may come again. */
static void done(struct soft_vcpu *v)
{
	v->nmi_masked = false;
	soft_mode_changed(v);
}

/* -------- real and VM86 mode -------- */

static void iret_real(struct soft_vcpu *v, const struct frame *f, uint64_t mask)
{
	if (f->rip > v->seg[X86_CS].limit)
		soft_gp(v, 0);
	soft_set_sp(v, v->stack_size, v->gpr[X86_RSP] + 3 * f->size);
	soft_seg_load_real(v, X86_CS, f->cs);
	v->gpr[X86_REG_RIP] = f->rip;
	soft_set_flags(v, f->flags, mask);
	done(v);
}

static void iret_vm86(struct soft_vcpu *v, uint8_t size)
{
	uint64_t keep = X86_FLAG_IOPL;
	struct frame f;

	if ((v->rflags & X86_FLAG_IOPL) != X86_FLAG_IOPL) {
		if (!(v->cr4 & X86_CR4_VME) || size != 2)
			soft_gp(v, 0);
		keep |= X86_FLAG_IF;
	}
	pop_frame(v, size, &f);
	if (!(keep & X86_FLAG_IF)) {
		iret_real(v, &f, (size == 2 ? FLAGS_16 : FLAGS_16 | FLAGS_WIDE) & ~keep);
		return;
	}
	/* VME: the program's IF is VIF. */
	if ((f.flags & X86_FLAG_TF) || ((f.flags & X86_FLAG_IF) && (v->rflags & X86_FLAG_VIP)))
		soft_gp(v, 0);
	if (f.flags & X86_FLAG_IF)
		f.flags |= X86_FLAG_VIF;
	iret_real(v, &f, (FLAGS_16 & ~keep) | X86_FLAG_VIF);
}

/* -------- protected mode -------- */

static void iret_task(struct soft_vcpu *v)
{
	uint16_t link;

	if (soft_long_mode(v))
		soft_gp(v, 0);
	link = soft_load_sys(v, soft_sys_lin(v, v->tr.base, 0), 2);
	soft_task_switch(v, link, SOFT_TASK_IRET, false, 0);
	v->nmi_masked = false;
}

/* From level 0, with VM in the flags: ESP, SS, ES, DS, FS, GS follow. */
static void iret_to_vm86(struct soft_vcpu *v, const struct frame *f)
{
	static const enum x86_seg order[] = { X86_SS, X86_ES, X86_DS, X86_FS, X86_GS };
	uint16_t selector[ARRAY_SIZE(order)];
	uint32_t sp = soft_stack_peek(v, 12, 4);

	for (unsigned int i = 0; i < ARRAY_SIZE(order); i++)
		selector[i] = soft_stack_peek(v, 16 + 4 * i, 4);
	if (f->rip > 0xffff)
		soft_gp(v, 0);
	soft_set_flags(v, f->flags, X86_FLAGS_ALL);
	for (unsigned int i = 0; i < ARRAY_SIZE(order); i++)
		x86_seg_vm86(selector[i], &v->seg[order[i]]);
	x86_seg_vm86(f->cs, &v->seg[X86_CS]);
	v->gpr[X86_RSP] = sp;
	v->gpr[X86_REG_RIP] = f->rip;
	done(v);
}

/* Flags that IRET may change, by the level that it is carried out at. */
static uint64_t flags_mask(const struct soft_vcpu *v, uint8_t size)
{
	uint64_t mask = FLAGS_USER;

	if (size != 2)
		mask |= FLAGS_WIDE;
	if (v->cpl <= (v->rflags & X86_FLAG_IOPL) >> 12)
		mask |= X86_FLAG_IF;
	if (v->cpl == 0)
		mask |= X86_FLAG_IOPL | (size != 2 ? X86_FLAG_VIF | X86_FLAG_VIP : 0);
	return mask;
}

static void iret_same(struct soft_vcpu *v, const struct frame *f, struct soft_desc *d)
{
	soft_check_rip(v, &d->seg, f->rip);
	soft_desc_accessed(v, d);
	soft_set_sp(v, v->stack_size, v->gpr[X86_RSP] + 3 * f->size);
	soft_set_cs(v, &d->seg, v->cpl);
	v->gpr[X86_REG_RIP] = f->rip;
	soft_set_flags(v, f->flags, flags_mask(v, f->size));
	v->nmi_masked = false;
	soft_level_changed(v);
}

static void iret_protected(struct soft_vcpu *v, uint8_t size)
{
	struct soft_return r;
	struct soft_desc d;
	struct frame f;

	pop_frame(v, size, &f);
	if (!soft_long_mode(v) && size == 4 && (f.flags & X86_FLAG_VM) && v->cpl == 0) {
		iret_to_vm86(v, &f);
		return;
	}
	if (X86_SEL_NULL(f.cs))
		soft_gp(v, 0);
	soft_desc_get(v, f.cs, X86_EXC_GP, &d);
	soft_raise_sel_if(v, x86_check_code_return(&d.seg, v->cpl, soft_long_mode(v)), f.cs);
	if (X86_SEL_RPL(f.cs) == v->cpl && v->code != X86_CODE_64) {
		iret_same(v, &f, &d);
		return;
	}
	r.rip = f.rip;
	r.flags = f.flags;
	r.mask = flags_mask(v, size);
	r.sp = soft_stack_peek(v, 3 * size, size);
	r.ss = soft_stack_peek(v, 4 * size, size);
	soft_desc_accessed(v, &d);
	r.cs = d.seg;
	soft_return_outer(v, &r);
	v->nmi_masked = false;
}

void soft_iret(struct soft_vcpu *v, const struct soft_op *o)
{
	uint8_t size = o->i.opsize;
	struct frame f;

	if (soft_real_mode(v)) {
		pop_frame(v, size, &f);
		iret_real(v, &f, size == 2 ? FLAGS_16 : FLAGS_16 | FLAGS_WIDE);
	} else if (soft_vm86(v)) {
		iret_vm86(v, size);
	} else if (v->rflags & X86_FLAG_NT) {
		iret_task(v);
	} else {
		iret_protected(v, size);
	}
}
