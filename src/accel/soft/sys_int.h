// SPDX-License-Identifier: GPL-2.0-or-later
/* sys_int - what the files of the system instructions share. */
#ifndef ACCEL_SOFT_SYS_INT_H
#define ACCEL_SOFT_SYS_INT_H

#include "accel/soft/mmu.h"
#include "accel/soft/soft_int.h"

/* #GP(0) unless CPL is 0 (in virtual-8086 mode it is 3). */
static inline void soft_need_cpl0(struct soft_vcpu *v)
{
	if (v->cpl)
		soft_gp(v, 0);
}

/* A general register that an instruction writes @size bytes of: 4 clear the upper half. */
static inline void soft_put_gpr(
	struct soft_vcpu *v, unsigned int reg, unsigned int size, uint64_t value)
{
	uint64_t *r = &v->gpr[reg];

	if (size == 8)
		*r = value;
	else if (size == 4)
		*r = (uint32_t)value;
	else if (size == 2)
		*r = (*r & ~0xffffull) | (uint16_t)value;
	else
		*r = (*r & ~0xffull) | (uint8_t)value;
}

/* EDX:EAX */
static inline void soft_put_pair(struct soft_vcpu *v, uint64_t value)
{
	v->gpr[X86_RAX] = (uint32_t)value;
	v->gpr[X86_RDX] = value >> 32;
}
static inline uint64_t soft_get_pair(const struct soft_vcpu *v)
{
	return v->gpr[X86_RDX] << 32 | (uint32_t)v->gpr[X86_RAX];
}

/* sys_cr.c */
soft_fn soft_mov_from_cr, soft_mov_to_cr, soft_mov_from_dr, soft_mov_to_dr, soft_lmsw, soft_smsw,
	soft_clts, soft_xgetbv, soft_xsetbv;
/* sys_misc.c */
soft_fn soft_lgdt, soft_lidt, soft_sgdt, soft_sidt, soft_invlpg, soft_invpcid, soft_rdrand,
	soft_rdseed, soft_hypercall, soft_in, soft_out;

#endif
