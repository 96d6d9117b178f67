/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "x86/regs.h"
#include "x86/seg.h"

static struct x86_segment seg(uint32_t attr, uint16_t selector)
{
	return (struct x86_segment){ .limit = 0xffff, .attr = attr, .selector = selector };
}

static void descriptors(void **state)
{
	struct x86_segment s;

	x86_desc_segment(0x12cf9b345678abcdull, 0, 8, &s);
	assert_int_equal(s.base, 0x12345678);
	assert_int_equal(s.limit, 0xfabcdfff);
	assert_int_equal(s.attr, 0xc09b);
	assert_int_equal(s.selector, 8);
	x86_desc_segment(0x00009a000000ffffull, 0, 0x10, &s);
	assert_int_equal(s.limit, 0xffff);
	assert_int_equal(s.attr, 0x9a);
	x86_desc_segment(0x1200893456780067ull, 0xffff8000, 0x40, &s);
	assert_true(s.base == 0xffff800012345678ull);
	assert_int_equal(s.limit, 0x67);
}

static void gates(void **state)
{
	struct x86_gate g;

	x86_desc_gate(0x1234ee0500085678ull, 0, false, &g);
	assert_int_equal(g.type, X86_DESC_INT32);
	assert_int_equal(g.dpl, 3);
	assert_true(g.present);
	assert_int_equal(g.selector, 8);
	assert_int_equal(g.params, 5);
	assert_int_equal(g.ist, 0);
	assert_int_equal(g.offset, 0x12345678);
	x86_desc_gate(0x1234ee0500085678ull, 0xffffffff, true, &g);
	assert_int_equal(g.ist, 5);
	assert_true(g.offset == 0xffffffff12345678ull);
	/* A 16-bit gate's upper word is not part of the offset. */
	x86_desc_gate(0x1234060000085678ull, 0, false, &g);
	assert_int_equal(g.offset, 0x5678);
	assert_false(g.present);
	x86_desc_gate(0x00009a0000085678ull, 0, false, &g);
	assert_true(g.type >= 16);
}

static void limits(void **state)
{
	struct x86_segment s = seg(0x93, 0);

	assert_true(x86_seg_holds(&s, 0xfffc, 4));
	assert_false(x86_seg_holds(&s, 0xfffd, 4));
	assert_false(x86_seg_holds(&s, 0xfffffffe, 4));
	s.limit = UINT32_MAX;
	assert_true(x86_seg_holds(&s, 0xfffffffc, 4));
	assert_false(x86_seg_holds(&s, 0xfffffffd, 4));
	s = seg(0x97, 0); /* expand-down */
	s.limit = 0xfff;
	assert_false(x86_seg_holds(&s, 0xfff, 1));
	assert_true(x86_seg_holds(&s, 0x1000, 4));
	assert_true(x86_seg_holds(&s, 0xffff, 1));
	assert_false(x86_seg_holds(&s, 0xffff, 2));
	s.attr |= X86_ATTR_DB;
	assert_true(x86_seg_holds(&s, 0xffff, 2));
	x86_seg_null(0, 3, &s);
	assert_false(x86_seg_holds(&s, 0, 1));
	assert_int_equal(X86_ATTR_DPL(s.attr), 3);
}

struct check {
	uint32_t attr;
	uint16_t selector;
	uint8_t cpl, want;
};

static void data(void **state)
{
	static const struct check c[] = {
		{ 0xf3, 3, 3, 0 },
		{ 0x93, 0, 0, 0 },
		{ 0x93, 3, 0, X86_EXC_GP }, /* RPL counts */
		{ 0x93, 0, 3, X86_EXC_GP },
		{ 0x9f, 3, 3, 0 },	    /* conforming, readable */
		{ 0x9c, 3, 3, X86_EXC_GP }, /* not readable */
		{ 0x9b, 0, 0, 0 },
		{ 0x9b, 3, 3, X86_EXC_GP },
		{ 0x13, 0, 0, X86_EXC_NP },
		{ 0x13, 3, 0, X86_EXC_GP }, /* before presence */
		{ 0x82, 0, 0, X86_EXC_GP },
	};

	for (unsigned int i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct x86_segment s = seg(c[i].attr, c[i].selector);

		assert_int_equal(x86_check_data(&s, c[i].cpl), c[i].want);
	}
}

static void stack(void **state)
{
	static const struct check c[] = {
		{ 0x93, 0, 0, 0 },
		{ 0xf3, 3, 3, 0 },
		{ 0xf3, 0, 3, X86_EXC_GP },
		{ 0xf3, 3, 0, X86_EXC_GP },
		{ 0xf3, 0, 0, X86_EXC_GP },
		{ 0x91, 0, 0, X86_EXC_GP },
		{ 0x9b, 0, 0, X86_EXC_GP },
		{ 0x13, 0, 0, X86_EXC_SS },
		{ 0x97, 0, 0, 0 },
	};

	for (unsigned int i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct x86_segment s = seg(c[i].attr, c[i].selector);

		assert_int_equal(x86_check_stack(&s, c[i].cpl), c[i].want);
	}
}

static void code(void **state)
{
	struct x86_segment s = seg(0x9b, 0);

	/* Direct. */
	assert_int_equal(x86_check_code_direct(&s, 0, false), 0);
	assert_int_equal(x86_check_code_direct(&s, 3, false), X86_EXC_GP);
	s = seg(0x9b, 3);
	assert_int_equal(x86_check_code_direct(&s, 0, false), X86_EXC_GP);
	s = seg(0x9f, 3);
	assert_int_equal(x86_check_code_direct(&s, 3, false), 0);
	s = seg(0xff, 3);
	assert_int_equal(x86_check_code_direct(&s, 0, false), X86_EXC_GP);
	s = seg(0x1b, 0);
	assert_int_equal(x86_check_code_direct(&s, 0, false), X86_EXC_NP);
	s = seg(0x93, 0);
	assert_int_equal(x86_check_code_direct(&s, 0, false), X86_EXC_GP);
	s = seg(0x609b, 0);
	assert_int_equal(x86_check_code_direct(&s, 0, false), 0);
	assert_int_equal(x86_check_code_direct(&s, 0, true), X86_EXC_GP);
	/* Through a gate. */
	s = seg(0x9b, 0);
	assert_int_equal(x86_check_code_gate(&s, 3, false, false), 0);
	assert_int_equal(x86_check_code_gate(&s, 3, true, false), X86_EXC_GP);
	assert_int_equal(x86_check_code_gate(&s, 0, true, false), 0);
	assert_int_equal(x86_check_code_gate(&s, 0, true, true), X86_EXC_GP);
	assert_int_equal(x86_code_level(&s, 3), 0);
	s = seg(0x209b, 0);
	assert_int_equal(x86_check_code_gate(&s, 3, false, true), 0);
	s = seg(0x9f, 0);
	assert_int_equal(x86_check_code_gate(&s, 3, true, false), 0);
	assert_int_equal(x86_code_level(&s, 3), 3);
	s = seg(0xfb, 0);
	assert_int_equal(x86_check_code_gate(&s, 0, false, false), X86_EXC_GP);
	/* Back. */
	s = seg(0xfb, 3);
	assert_int_equal(x86_check_code_return(&s, 0, false), 0);
	s = seg(0xfb, 0);
	assert_int_equal(x86_check_code_return(&s, 0, false), X86_EXC_GP);
	s = seg(0x9b, 0);
	assert_int_equal(x86_check_code_return(&s, 3, false), X86_EXC_GP);
	s = seg(0x9f, 3);
	assert_int_equal(x86_check_code_return(&s, 0, false), 0);
	s = seg(0xdf, 0);
	assert_int_equal(x86_check_code_return(&s, 0, false), X86_EXC_GP);
	s = seg(0x7b, 3);
	assert_int_equal(x86_check_code_return(&s, 3, false), X86_EXC_NP);
}

static void reach(void **state)
{
	struct x86_segment s = seg(0x93, 0);

	assert_true(x86_seg_out_of_reach(&s, 3));
	assert_false(x86_seg_out_of_reach(&s, 0));
	s = seg(0x9f, 0);
	assert_false(x86_seg_out_of_reach(&s, 3));
	x86_seg_null(0, 0, &s);
	assert_false(x86_seg_out_of_reach(&s, 3));
}

static void looks(void **state)
{
	/* Types that LAR, LSL tell, legacy and long. */
	static const uint16_t lar[2] = { 0x1a3e, 0x1a04 }, lsl[2] = { 0x0a0e, 0x0a04 };
	struct x86_segment s;

	for (unsigned int type = 0; type < 16; type++) {
		s = seg(0x80 | type, 0);
		for (int l = 0; l < 2; l++) {
			assert_int_equal(x86_lar_valid(&s, 0, l), lar[l] >> type & 1);
			assert_int_equal(x86_lsl_valid(&s, 0, l), lsl[l] >> type & 1);
			assert_false(x86_lar_valid(&s, 1, l));
		}
		assert_false(x86_verr_valid(&s, 0));
		assert_false(x86_verw_valid(&s, 0));
		s = seg(0xf0 | type, 3);
		assert_true(x86_lar_valid(&s, 3, true));
		assert_true(x86_lsl_valid(&s, 3, true));
		assert_int_equal(x86_verr_valid(&s, 3), type < 8 || (type & 2));
		assert_int_equal(x86_verw_valid(&s, 3), type < 8 && (type & 2));
	}
	s = seg(0x93, 0);
	assert_false(x86_verr_valid(&s, 3));
	s = seg(0x9f, 3);
	assert_true(x86_verr_valid(&s, 3));
	assert_true(x86_lar_valid(&s, 3, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors),
		cmocka_unit_test(gates),
		cmocka_unit_test(limits),
		cmocka_unit_test(data),
		cmocka_unit_test(stack),
		cmocka_unit_test(code),
		cmocka_unit_test(reach),
		cmocka_unit_test(looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
