// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_direct - memory operands that the host's CPU reaches by the guest's own register.
 *
 * What is looked up for such an operand is the distance from linear to host addresses, which r9 becomes (or r10, where
 * r9 has that of a group around it), and the operand is [r9 + register + constant]. So nothing that leads to the data waits for the comparison, or
 * for what was added to the address: a chain of pointers through a region (jit_region.c) is as fast as on
 * the CPU itself. It takes one register alone, which the host has in one of its own.
 *
 * Addresses of 32-bit code are 32 bits, and the host's CPU does not cut the sum off there. So such code does it
 * only where its registers are known to be no wider (JIT_MODE_CLEAN), and with small constants; the sum of
 * 64 bits is what is compared, and what it is compared with is never beyond 32 bits: a sum that wraps around
 * is not found, and is looked up as what it is. A group of accesses (jit_share.c) compares its lowest address
 * alone: neither that nor the registers meanwhile come near to where sums wrap (jit_wraps_not()).
 */
#include "accel/soft/jit_tr.h"

#define DISP_MAX 0x1000 /* of 32-bit code */

bool jit_direct_ok(const struct jit_tr *t, unsigned int base, int64_t disp)
{
	/* An access is in the page, and so is the register by this; what is looked up is by twice as much. */
	_Static_assert(2 * DISP_MAX <= JIT_WRAP, "");
	if (base >= 16 || !jit_pinned(base))
		return false;
	if (t->wide)
		return jit_fits32(disp);
	return t->clean && disp <= DISP_MAX && disp >= -DISP_MAX;
}

/* The register that alone gives the address of @i's operand, or X86_REG_NONE. */
static unsigned int register_of(const struct jit_tr *t, const struct x86_insn *i)
{
	bool alone = i->flags & X86_I_MODRM && i->modrm < 0xc0 && i->index == X86_REG_NONE &&
		     i->seg < X86_FS && i->addrsize == jit_slot_size(t);

	return alone && jit_direct_ok(t, i->base, i->disp) ? i->base : X86_REG_NONE;
}

/* -------- the small TLB -------- */
#define L1(member) ((int32_t)offsetof(struct jit_l1, member))

static void index_of(struct jit_tr *t, const struct jit_direct *d)
{
	struct jit_buf *b = &t->b;
	unsigned int from = d->base;

	if (d->disp) {
		j_lea(b, false, R_10, d->base, d->disp);
		from = R_10;
	}
	jit_l1_index(b, t->j->bmi2, from);
}

uint8_t *jit_direct_probe(
	struct jit_tr *t, const struct jit_direct *d, unsigned int span, enum soft_access access)
{
	struct jit_buf *b = &t->b;
	int32_t tag = L1(tag) + 8 * (int32_t)access;
	uint8_t *ja;

	index_of(t, d);
	if (d->disp) {
		j_rm(b, true, 0x03, R_10, R_SP, F_L1); /* add */
		j_lea(b, true, R_9, d->base, d->disp);
		j_rm(b, true, 0x33, R_9, R_10, tag); /* xor */
	} else {
		/* The shortest way from the register to the distance: not even this addition. */
		j_rm(b, true, OP_LOAD, R_9, R_SP, F_L1);
		jit_rm(t, true, OP_LOAD, R_9, &(struct jit_mem){ R_9, R_10, tag });
		j_rr(b, true, 0x33, R_9, d->base);
	}
	JCODE(b, "\x49\x81\xf9"); /* cmp r9, */
	j32(b, JIT_PAGE - span);
	ja = j_ahead(b, 0x0f87);
	if (d->disp) {
		j_rm(b, true, OP_LOAD, R_9, R_10, L1(delta));
	} else {
		j_rm(b, true, OP_LOAD, R_9, R_SP, F_L1);
		jit_rm(t, true, OP_LOAD, R_9, &(struct jit_mem){ R_9, R_10, L1(delta) });
	}
	return ja;
}

/* -------- operands -------- */
bool jit_direct_operand(struct jit_tr *t, unsigned int k, unsigned int size,
	enum soft_access access, const struct jit_share *in_r9, struct jit_mem *m)
{
	unsigned int base = register_of(t, &t->insn[k]), to = R_9;
	struct jit_direct d;
	struct jit_slow *s;
	uint32_t region;
	bool has;

	if (!t->hot || !jit_has_any_form(&t->insn[k]) || base == X86_REG_NONE || base == R_SP)
		return false;
	has = jit_region_for(t, k, size, access, &region);
	if (!has && !t->wide) /* the TLB may have the addresses of 64-bit code, too */
		return false;
	d = (struct jit_direct){
		.there = true, .base = (uint8_t)jit_host_of(base), .disp = (int32_t)t->insn[k].disp
	};
	if (t->live[k] && !t->flags_saved)
		jit_save_flags(t);
	s = jit_slow_at(t, k, size, access);
	s->direct = d;
	s->region = has ? region : 0;
	s->how = has ? JIT_REGION : JIT_PROBE;
	if (has && !jit_region_is_pair(t, region) && jit_share_keeps(t, k, in_r9)) {
		s->kept = in_r9->how;
		s->kept_region = in_r9->region;
		t->in_r9 = in_r9;
		t->r9_kept = true;
		to = R_10;
	}
	s->ja = has ? jit_region_direct(t, region, &d, to) : jit_direct_probe(t, &d, size, access);
	s->retry = t->b.p;
	*m = (struct jit_mem){ (uint8_t)to, d.base, d.disp };
	return true;
}

void jit_direct_linear(struct jit_tr *t, const struct jit_direct *d)
{
	j_lea(&t->b, t->wide, R_9, d->base, d->disp);
}

void jit_direct_found(struct jit_tr *t, const struct jit_slow *s, const uint8_t *to)
{
	j_lea(&t->b, true, R_10, s->direct.base, s->direct.disp);
	j_rr(&t->b, true, 0x2b, R_9, R_10); /* sub */
	if (s->kept) {
		j_mov(&t->b, R_10, R_9);
		jit_share_load_kept(t, s);
	}
	j_to(&t->b, 0xe9, to + t->b.to_rx);
}

uint8_t *jit_direct_wraps(struct jit_tr *t, const struct jit_direct *d)
{
	struct jit_buf *b = &t->b;

	j_lea(b, true, R_9, d->base, d->disp);
	j_lea(b, true, R_10, R_9, -(int32_t)JIT_WRAP);
	JCODE(b, "\x49\xc1\xea\x0d\x49\x81\xfa"); /* shr r10, 13; cmp r10, */
	_Static_assert(JIT_WRAP == 1 << 13, "");
	j32(b, (1u << (32 - 13)) - 2);
	return j_ahead(b, 0x0f83);
}
