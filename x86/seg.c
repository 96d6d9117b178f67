/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "x86/seg.h"
#include "x86/regs.h"

#define ATTR_MASK 0xf0ffu /* of the descriptor's bytes 5-6: those that are no limit */
#define VM86_ATTR 0xf3u	  /* present, DPL 3, writable data, accessed */

void x86_desc_segment(uint64_t lo, uint64_t hi, uint16_t selector, struct x86_segment *out)
{
	uint32_t limit = (lo & 0xffff) | (lo >> 32 & 0xf0000);

	out->attr = lo >> 40 & ATTR_MASK;
	out->limit = out->attr & X86_ATTR_G ? limit << 12 | 0xfff : limit;
	out->base = (lo >> 16 & 0xffffff) | (lo >> 32 & 0xff000000) | hi << 32;
	out->selector = selector;
}

void x86_desc_gate(uint64_t lo, uint64_t hi, bool long_mode, struct x86_gate *out)
{
	uint8_t type = lo >> 40 & 0x1f;
	bool narrow = !long_mode && (type == X86_DESC_CALL16 || type == X86_DESC_INT16 ||
					    type == X86_DESC_TRAP16);

	out->type = type;
	out->dpl = lo >> 45 & 3;
	out->present = lo >> 47 & 1;
	out->selector = lo >> 16;
	out->params = lo >> 32 & 0x1f;
	out->ist = long_mode ? lo >> 32 & 7 : 0;
	out->offset = (lo & 0xffff) | (narrow ? 0 : lo >> 32 & 0xffff0000) | hi << 32;
}

void x86_seg_vm86(uint16_t selector, struct x86_segment *out)
{
	out->base = (uint32_t)selector << 4;
	out->limit = 0xffff;
	out->attr = VM86_ATTR;
	out->selector = selector;
}

void x86_seg_null(uint16_t selector, uint8_t dpl, struct x86_segment *out)
{
	out->base = 0;
	out->limit = 0;
	out->attr = X86_ATTR_UNUSABLE | (uint32_t)dpl << 5;
	out->selector = selector;
}

bool x86_seg_holds(const struct x86_segment *s, uint32_t off, uint32_t n)
{
	uint32_t last = off + (n - 1);

	if ((s->attr & X86_ATTR_UNUSABLE) || last < off)
		return false;
	if (x86_attr_data(s->attr) && (s->attr & X86_TYPE_DC))
		return off > s->limit && (s->attr & X86_ATTR_DB || last <= 0xffff);
	return last <= s->limit;
}

static uint8_t dpl(const struct x86_segment *d)
{
	return X86_ATTR_DPL(d->attr);
}

static bool within_reach(const struct x86_segment *d, uint8_t cpl)
{
	return x86_attr_conforming(d->attr) ||
	       (dpl(d) >= cpl && dpl(d) >= X86_SEL_RPL(d->selector));
}

uint8_t x86_check_data(const struct x86_segment *d, uint8_t cpl)
{
	if (!x86_attr_readable(d->attr) || !within_reach(d, cpl))
		return X86_EXC_GP;
	return d->attr & X86_ATTR_P ? 0 : X86_EXC_NP;
}

uint8_t x86_check_stack(const struct x86_segment *d, uint8_t cpl)
{
	if (X86_SEL_RPL(d->selector) != cpl || dpl(d) != cpl || !x86_attr_writable(d->attr))
		return X86_EXC_GP;
	return d->attr & X86_ATTR_P ? 0 : X86_EXC_SS;
}

static uint8_t check_code(const struct x86_segment *d, bool allowed, bool long_mode)
{
	uint32_t both = X86_ATTR_L | X86_ATTR_DB;

	if (!x86_attr_code(d->attr) || !allowed || (long_mode && (d->attr & both) == both))
		return X86_EXC_GP;
	return d->attr & X86_ATTR_P ? 0 : X86_EXC_NP;
}

uint8_t x86_check_code_direct(const struct x86_segment *d, uint8_t cpl, bool long_mode)
{
	bool allowed = x86_attr_conforming(d->attr)
			       ? dpl(d) <= cpl
			       : dpl(d) == cpl && X86_SEL_RPL(d->selector) <= cpl;

	return check_code(d, allowed, long_mode);
}

uint8_t x86_check_code_gate(const struct x86_segment *d, uint8_t cpl, bool jmp, bool long_mode)
{
	bool allowed = jmp && !x86_attr_conforming(d->attr) ? dpl(d) == cpl : dpl(d) <= cpl;

	if (long_mode && !(d->attr & X86_ATTR_L))
		return X86_EXC_GP;
	return check_code(d, allowed, long_mode);
}

uint8_t x86_check_code_return(const struct x86_segment *d, uint8_t cpl, bool long_mode)
{
	uint8_t rpl = X86_SEL_RPL(d->selector);
	bool allowed = x86_attr_conforming(d->attr) ? dpl(d) <= rpl : dpl(d) == rpl;

	return check_code(d, allowed && rpl >= cpl, long_mode);
}

uint8_t x86_code_level(const struct x86_segment *d, uint8_t cpl)
{
	return x86_attr_conforming(d->attr) ? cpl : dpl(d);
}

bool x86_seg_out_of_reach(const struct x86_segment *s, uint8_t cpl)
{
	return !(s->attr & X86_ATTR_UNUSABLE) && !x86_attr_conforming(s->attr) && dpl(s) < cpl;
}

/* Bit n: system type n is told by LAR, LSL. */
#define LAR_LEGACY (1u << 1 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 9 | 1u << 11 | 1u << 12)
#define LAR_LONG   (1u << 2 | 1u << 9 | 1u << 11 | 1u << 12)
#define LSL_LEGACY (1u << 1 | 1u << 2 | 1u << 3 | 1u << 9 | 1u << 11)
#define LSL_LONG   (1u << 2 | 1u << 9 | 1u << 11)

static bool told(const struct x86_segment *d, uint8_t cpl, uint32_t types)
{
	if (!within_reach(d, cpl))
		return false;
	return (d->attr & X86_ATTR_S) || (types >> X86_ATTR_TYPE(d->attr) & 1);
}

bool x86_lar_valid(const struct x86_segment *d, uint8_t cpl, bool long_mode)
{
	return told(d, cpl, long_mode ? LAR_LONG : LAR_LEGACY);
}

bool x86_lsl_valid(const struct x86_segment *d, uint8_t cpl, bool long_mode)
{
	return told(d, cpl, long_mode ? LSL_LONG : LSL_LEGACY);
}

bool x86_verr_valid(const struct x86_segment *d, uint8_t cpl)
{
	return x86_attr_readable(d->attr) && within_reach(d, cpl);
}

bool x86_verw_valid(const struct x86_segment *d, uint8_t cpl)
{
	return x86_attr_writable(d->attr) && within_reach(d, cpl);
}
