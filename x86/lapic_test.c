/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "x86/lapic.h"

#define MASKED	(1u << 16)
#define PERIOD	(1u << 17)
#define DEADLN	(2u << 17)
#define ENABLED 0x1ff
#define EN	(1u << 11)
#define EXTD	(1u << 10)
#define DIV_1	0xb
#define BASE	0xfee00000ull
#define ALL	(X86_LAPIC_HAS_X2APIC | X86_LAPIC_HAS_DEADLINE)

static struct x86_lapic l;

static struct x86_lapic_effect put(uint32_t reg, uint32_t value)
{
	return x86_lapic_write(&l, reg, value, 1000);
}

static uint32_t take(uint32_t reg)
{
	return x86_lapic_read(&l, reg, 1000);
}

static void fresh(uint32_t id)
{
	memset(&l, 0xa5, sizeof(l));
	l.features = ALL;
	x86_lapic_power_on(&l, id, false);
}

/* xAPIC, enabled by software. */
static void ready(uint32_t id)
{
	fresh(id);
	put(X86_LAPIC_SVR, ENABLED);
}

static void to_x2apic(void)
{
	assert_true(x86_lapic_set_base(&l, BASE | EN | EXTD, 48));
}

static bool wrmsr(uint32_t reg, uint64_t value)
{
	return !x86_lapic_msr_write(&l, reg / 16, value, 1000).fault;
}

static bool rdmsr(uint32_t reg, uint64_t *value)
{
	return x86_lapic_msr_read(&l, reg / 16, value, 1000);
}

static void power_on(void **state)
{
	struct x86_cpu_state s;

	for (int bsp = 0; bsp < 2; bsp++) {
		memset(&l, 0, sizeof(l));
		l.features = ALL;
		x86_lapic_power_on(&l, 3, bsp);
		x86_cpu_state_reset(&s, 3, bsp);
		assert_memory_equal(l.regs, s.lapic, X86_LAPIC_SIZE);
		assert_int_equal(l.apic_base, s.apic_base);
		/* The same page put in is the same APIC. */
		x86_lapic_set(&l, s.lapic, 5);
		assert_memory_equal(l.regs, s.lapic, X86_LAPIC_SIZE);
	}
	assert_int_equal(take(X86_LAPIC_VER), 0x50014);
	l.features |= X86_LAPIC_HAS_EOI_SUPPRESSION;
	assert_int_equal(take(X86_LAPIC_VER), 0x1050014);
}

static void registers(void **state)
{
	static const struct {
		uint32_t reg, bits;
	} t[] = { { X86_LAPIC_TPR, 0xff }, { X86_LAPIC_LDR, 0xff000000 }, { X86_LAPIC_SVR, 0x3ff },
		{ X86_LAPIC_ICR2, 0xff000000 }, { X86_LAPIC_LVTT, 0x710ff & ~0x1000 },
		{ X86_LAPIC_LVT_THERMAL, 0x107ff }, { X86_LAPIC_LVT_PERF, 0x107ff },
		{ X86_LAPIC_LVT0, 0x1a7ff }, { X86_LAPIC_LVT1, 0x1a7ff },
		{ X86_LAPIC_LVT_ERROR, 0x100ff }, { X86_LAPIC_TDCR, 0xb },
		{ X86_LAPIC_ID, 0xff000000 } };

	ready(1);
	for (unsigned int i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		put(t[i].reg, 0xffffffff);
		assert_int_equal(take(t[i].reg), t[i].bits);
	}
	put(X86_LAPIC_DFR, 0);
	assert_int_equal(take(X86_LAPIC_DFR), 0x0fffffff);
	/* Read-only ones stay. */
	put(X86_LAPIC_VER, 0);
	put(X86_LAPIC_PPR, 0x55);
	put(X86_LAPIC_IRR, 0xffffffff);
	put(X86_LAPIC_TMCCT, 1);
	assert_int_equal(take(X86_LAPIC_VER), 0x50014);
	assert_int_equal(take(X86_LAPIC_PPR), 0xff);
	assert_int_equal(take(X86_LAPIC_IRR), 0);
	assert_int_equal(take(X86_LAPIC_EOI), 0);
	/* Without the feature there is no TSC-deadline mode. */
	l.features = 0;
	put(X86_LAPIC_LVTT, 0xffffffff);
	assert_int_equal(take(X86_LAPIC_LVTT), 0x300ff);
}

static void error_status(void **state)
{
	ready(0);
	put(X86_LAPIC_LVT_ERROR, 0xfe);
	assert_int_equal(take(0x40), 0);
	assert_int_equal(x86_lapic_pending(&l), 0xfe);
	assert_int_equal(take(X86_LAPIC_ESR), 0); /* not before it is written */
	put(X86_LAPIC_ESR, 0x1234);
	assert_int_equal(take(X86_LAPIC_ESR), 0x80);
	put(X86_LAPIC_ESR, 0);
	assert_int_equal(take(X86_LAPIC_ESR), 0);
	put(X86_LAPIC_SELF_IPI, 0x40); /* not in xAPIC mode */
	assert_false(put(X86_LAPIC_ICR, 15).send);
	assert_false(x86_lapic_accept(&l, 3, false));
	take(0xff0);
	put(0x2f0, 0);
	put(X86_LAPIC_ESR, 0);
	assert_int_equal(take(X86_LAPIC_ESR), 0xe0);
	/* A bad vector of its own: no endless errors. */
	put(X86_LAPIC_LVT_ERROR, 2);
	assert_false(x86_lapic_accept(&l, 3, false));
	put(X86_LAPIC_ESR, 0);
	assert_int_equal(take(X86_LAPIC_ESR), 0x40);
	assert_int_equal(x86_lapic_ack(&l), 0xfe);
	assert_int_equal(x86_lapic_pending(&l), -1);
}

static void priorities(void **state)
{
	ready(0);
	assert_int_equal(x86_lapic_pending(&l), -1);
	assert_int_equal(x86_lapic_ack(&l), -1);
	assert_true(x86_lapic_accept(&l, 0x41, false));
	assert_true(x86_lapic_accept(&l, 0x41, false));
	assert_true(x86_lapic_accept(&l, 0x52, false));
	assert_int_equal(take(X86_LAPIC_IRR + 0x20), 1u << 18 | 1u << 1);
	assert_int_equal(x86_lapic_ack(&l), 0x52);
	assert_int_equal(x86_lapic_ppr(&l), 0x50);
	/* Lower, the same class, higher. */
	assert_int_equal(x86_lapic_pending(&l), -1);
	x86_lapic_accept(&l, 0x5f, false);
	assert_int_equal(x86_lapic_pending(&l), -1);
	x86_lapic_accept(&l, 0x60, false);
	assert_int_equal(x86_lapic_ack(&l), 0x60);
	put(X86_LAPIC_EOI, 0);
	assert_int_equal(x86_lapic_ppr(&l), 0x50);
	put(X86_LAPIC_EOI, 77);
	assert_int_equal(x86_lapic_ack(&l), 0x5f);
	put(X86_LAPIC_EOI, 0);
	put(X86_LAPIC_EOI, 0); /* none left: nothing happens */
	/* The task priority. */
	put(X86_LAPIC_TPR, 0x45);
	assert_int_equal(x86_lapic_ppr(&l), 0x45);
	assert_int_equal(x86_lapic_pending(&l), -1);
	assert_int_equal(x86_lapic_cr8(&l), 4);
	x86_lapic_set_cr8(&l, 3);
	assert_int_equal(take(X86_LAPIC_TPR), 0x30);
	assert_int_equal(x86_lapic_ack(&l), 0x41);
	assert_int_equal(take(X86_LAPIC_PPR), 0x40);
	put(X86_LAPIC_TPR, 0x48);
	assert_int_equal(take(X86_LAPIC_PPR), 0x48); /* equal classes: the TPR's */
	x86_lapic_accept(&l, 0xff, false);
	x86_lapic_accept(&l, 0x10, false);
	assert_int_equal(x86_lapic_ack(&l), 0xff);
	put(X86_LAPIC_EOI, 0);
	put(X86_LAPIC_EOI, 0);
	put(X86_LAPIC_TPR, 0);
	assert_int_equal(x86_lapic_ack(&l), 0x10);
}

static void levels(void **state)
{
	struct x86_lapic_effect f;

	ready(0);
	x86_lapic_accept(&l, 0x41, true);
	assert_int_equal(take(X86_LAPIC_TMR + 0x20), 2);
	assert_int_equal(x86_lapic_ack(&l), 0x41);
	f = put(X86_LAPIC_EOI, 0);
	assert_true(f.eoi);
	assert_int_equal(f.eoi_vector, 0x41);
	x86_lapic_accept(&l, 0x41, false);
	assert_int_equal(take(X86_LAPIC_TMR + 0x20), 0);
	x86_lapic_ack(&l);
	assert_false(put(X86_LAPIC_EOI, 0).eoi);
	/* The broadcast can be suppressed, where there is that. */
	l.features |= X86_LAPIC_HAS_EOI_SUPPRESSION;
	put(X86_LAPIC_SVR, 0x1000 | ENABLED);
	x86_lapic_accept(&l, 0x41, true);
	x86_lapic_ack(&l);
	assert_false(put(X86_LAPIC_EOI, 0).eoi);
}

static void software_disable(void **state)
{
	ready(0);
	put(X86_LAPIC_LVT0, 0x700);
	put(X86_LAPIC_LVTT, 0x40);
	assert_int_equal(x86_lapic_lvt_mode(&l, X86_LAPIC_LVT0), X86_DM_EXTINT);
	x86_lapic_accept(&l, 0x41, false);
	put(X86_LAPIC_SVR, 0xff);
	assert_int_equal(take(X86_LAPIC_LVT0), 0x700 | MASKED);
	assert_int_equal(take(X86_LAPIC_LVTT), 0x40 | MASKED);
	put(X86_LAPIC_LVT0, 0x700);
	assert_int_equal(x86_lapic_lvt_mode(&l, X86_LAPIC_LVT0), -1);
	/* What is pending stays; nothing new comes. */
	assert_false(x86_lapic_accept(&l, 0x51, false));
	assert_int_equal(x86_lapic_ack(&l), 0x41);
	put(X86_LAPIC_SVR, ENABLED);
	assert_int_equal(take(X86_LAPIC_LVT0), 0x700 | MASKED);
}

static void ipis(void **state)
{
	struct x86_lapic_effect f;

	ready(0);
	put(X86_LAPIC_ICR2, 0x05ffffff);
	f = put(X86_LAPIC_ICR, 0x1000 | 0x4000 | 0x41);
	assert_true(f.send);
	assert_int_equal(f.msg.dest, 5);
	assert_int_equal(f.msg.vector, 0x41);
	assert_int_equal(f.msg.mode, X86_DM_FIXED);
	assert_false(f.msg.logical || f.msg.wide || f.msg.level || f.msg.deassert);
	assert_int_equal(take(X86_LAPIC_ICR), 0x4041); /* never busy */
	f = put(X86_LAPIC_ICR, 0xc0800 | X86_DM_LOWEST << 8 | 0x30);
	assert_int_equal(f.msg.shorthand, X86_SH_OTHERS);
	assert_int_equal(f.msg.mode, X86_DM_LOWEST);
	assert_true(f.msg.logical);
	assert_true(put(X86_LAPIC_ICR, X86_DM_NMI << 8).send);
	assert_true(put(X86_LAPIC_ICR, X86_DM_INIT << 8).send);
	assert_true(put(X86_LAPIC_ICR, 0xc500).send);
	assert_false(put(X86_LAPIC_ICR, 0x8500).send); /* INIT level de-assert */
	f = put(X86_LAPIC_ICR, X86_DM_SIPI << 8 | 0x08);
	assert_true(f.send);
	assert_int_equal(f.msg.vector, 8);
	assert_false(put(X86_LAPIC_ICR, 0x341).send);
	assert_false(put(X86_LAPIC_ICR, 0x741).send);
}

static bool matches(struct x86_lapic_msg m)
{
	return x86_lapic_matches(&l, &m, NULL);
}

static void destinations(void **state)
{
	struct x86_lapic other = { 0 };

	ready(5);
	assert_true(matches((struct x86_lapic_msg){ .dest = 5 }));
	assert_false(matches((struct x86_lapic_msg){ .dest = 4 }));
	assert_true(matches((struct x86_lapic_msg){ .dest = 0xff }));
	assert_false(matches((struct x86_lapic_msg){ .dest = 0xff, .wide = true }));
	assert_true(matches((struct x86_lapic_msg){ .dest = 0xffffffff, .wide = true }));
	assert_true(matches((struct x86_lapic_msg){ .dest = 5, .wide = true }));
	/* Flat. */
	put(X86_LAPIC_LDR, 0x12000000);
	assert_true(matches((struct x86_lapic_msg){ .dest = 0x02, .logical = true }));
	assert_true(matches((struct x86_lapic_msg){ .dest = 0x30, .logical = true }));
	assert_false(matches((struct x86_lapic_msg){ .dest = 0x05, .logical = true }));
	assert_true(matches((struct x86_lapic_msg){ .dest = 0xff, .logical = true }));
	/* Clusters. */
	put(X86_LAPIC_DFR, 0);
	assert_true(matches((struct x86_lapic_msg){ .dest = 0x13, .logical = true }));
	assert_false(matches((struct x86_lapic_msg){ .dest = 0x11, .logical = true }));
	assert_false(matches((struct x86_lapic_msg){ .dest = 0x22, .logical = true }));
	assert_true(matches((struct x86_lapic_msg){ .dest = 0xff, .logical = true }));
	/* Shorthands. */
	for (int self = 0; self < 2; self++) {
		struct x86_lapic *from = self ? &l : &other;
		struct x86_lapic_msg m = { .shorthand = X86_SH_SELF };

		assert_int_equal(x86_lapic_matches(&l, &m, from), self);
		m.shorthand = X86_SH_OTHERS;
		assert_int_equal(x86_lapic_matches(&l, &m, from), !self);
		m.shorthand = X86_SH_ALL;
		assert_true(x86_lapic_matches(&l, &m, from));
	}
	assert_true(x86_lapic_set_base(&l, BASE, 48));
	assert_false(matches((struct x86_lapic_msg){ .dest = 0xff }));
	/* x2APIC: LDR comes from the id. */
	fresh(0x123);
	to_x2apic();
	assert_int_equal(x86_lapic_get32(&l, X86_LAPIC_LDR), 0x120008);
	assert_true(matches((struct x86_lapic_msg){ .dest = 0x123, .wide = true }));
	assert_false(matches((struct x86_lapic_msg){ .dest = 0x23 }));
	assert_true(matches((struct x86_lapic_msg){ .dest = 0xff }));
	assert_false(matches((struct x86_lapic_msg){ .dest = 0xff, .wide = true }));
	assert_true(matches((struct x86_lapic_msg){ .dest = 0x1200ff, .wide = 1, .logical = 1 }));
	assert_false(matches((struct x86_lapic_msg){ .dest = 0x1200f7, .wide = 1, .logical = 1 }));
	assert_false(matches((struct x86_lapic_msg){ .dest = 0x1100ff, .wide = 1, .logical = 1 }));
	assert_true(matches((struct x86_lapic_msg){ .dest = ~0u, .wide = 1, .logical = 1 }));
}

static void preference(void **state)
{
	struct x86_lapic other;

	ready(0);
	other = l;
	other.arbitration++;
	assert_true(x86_lapic_prefer(&l, &other));
	assert_false(x86_lapic_prefer(&other, &l));
	put(X86_LAPIC_TPR, 0x20);
	assert_true(x86_lapic_prefer(&other, &l));
}

static void msi(void **state)
{
	struct x86_lapic_msg m;

	assert_true(x86_lapic_msi(0xfee05000, 0x4041, &m));
	assert_int_equal(m.dest, 5);
	assert_int_equal(m.vector, 0x41);
	assert_false(m.logical || m.wide || m.level || m.deassert);
	assert_int_equal(m.mode, X86_DM_FIXED);
	assert_true(x86_lapic_msi(0xfee0300c, 0xc141, &m));
	assert_true(m.logical && m.level && !m.deassert);
	assert_int_equal(m.mode, X86_DM_LOWEST);
	assert_true(x86_lapic_msi(0xfee03008, 0x41, &m));
	assert_int_equal(m.mode, X86_DM_LOWEST);
	assert_true(x86_lapic_msi(0xfee03000, 0x8041, &m));
	assert_true(m.deassert);
	assert_true(x86_lapic_msi(0x00000100fee23000ull, 0x41, &m));
	assert_int_equal(m.dest, 0x123);
	assert_true(m.wide);
	assert_false(x86_lapic_msi(0xfed03000, 0x41, &m));
	assert_false(x86_lapic_msi(0x1fee03000ull, 0x41, &m));
}

static bool base(uint64_t value)
{
	return x86_lapic_set_base(&l, value, 40);
}

static void modes(void **state)
{
	fresh(2);
	assert_false(base(BASE | EXTD));
	assert_false(base(BASE | EN | 1));
	assert_false(base(BASE | EN | 1u << 9));
	assert_false(base(BASE | EN | 1ull << 40));
	assert_true(base(0xfffffff000ull | EN));
	assert_true(base(BASE | EN));
	assert_true(base(BASE | EN | EXTD));
	assert_int_equal(x86_lapic_mode(&l), X86_LAPIC_X2APIC);
	assert_true(base(BASE | EN | EXTD));
	assert_false(base(BASE | EN));
	assert_false(base(BASE | EXTD));
	assert_true(base(BASE));
	assert_int_equal(x86_lapic_mode(&l), X86_LAPIC_OFF);
	assert_false(base(BASE | EN | EXTD));
	assert_false(base(BASE | EXTD));
	assert_true(base(BASE | EN));
	l.features = 0;
	assert_false(base(BASE | EN | EXTD));
	l.features = ALL;

	/* What the registers become. */
	put(X86_LAPIC_ID, 0x77000000);
	put(X86_LAPIC_SVR, ENABLED);
	put(X86_LAPIC_LDR, 0x01000000);
	put(X86_LAPIC_TPR, 0x35);
	x86_lapic_accept(&l, 0x50, false);
	to_x2apic();
	assert_int_equal(x86_lapic_get32(&l, X86_LAPIC_ID), 2);
	assert_int_equal(x86_lapic_get32(&l, X86_LAPIC_LDR), 4);
	assert_int_equal(x86_lapic_get32(&l, X86_LAPIC_TPR), 0x35);
	assert_int_equal(x86_lapic_pending(&l), 0x50);
	assert_true(base(BASE));
	assert_int_equal(x86_lapic_pending(&l), -1);
	x86_lapic_set_cr8(&l, 7);
	assert_true(base(BASE | EN));
	assert_int_equal(take(X86_LAPIC_ID), 2 << 24);
	assert_int_equal(take(X86_LAPIC_LDR), 0);
	assert_int_equal(take(X86_LAPIC_SVR), 0xff);
	assert_int_equal(take(X86_LAPIC_TPR), 0x70);
	assert_int_equal(x86_lapic_pending(&l), -1);
	/* INIT keeps the mode. */
	to_x2apic();
	x86_lapic_init_signal(&l);
	assert_int_equal(x86_lapic_mode(&l), X86_LAPIC_X2APIC);
	assert_int_equal(x86_lapic_get32(&l, X86_LAPIC_ID), 2);
	/* A saved state: any. */
	x86_lapic_restore_base(&l, BASE | EXTD | 0x23);
	assert_int_equal(l.apic_base, BASE);
	x86_lapic_restore_base(&l, BASE | EXTD | EN);
	assert_int_equal(x86_lapic_get32(&l, X86_LAPIC_LDR), 4);
	x86_lapic_restore_base(&l, BASE | EN);
	assert_int_equal(take(X86_LAPIC_ID), 2 << 24);
}

/* Which MSRs there are: R, W or both. */
static int rights(uint32_t reg)
{
	switch (reg) {
	case X86_LAPIC_ID:
	case X86_LAPIC_VER:
	case X86_LAPIC_PPR:
	case X86_LAPIC_LDR:
	case X86_LAPIC_TMCCT:
	case 0x100 ... 0x270:
		return 1;
	case X86_LAPIC_EOI:
	case X86_LAPIC_SELF_IPI:
		return 2;
	case X86_LAPIC_TPR:
	case X86_LAPIC_SVR:
	case X86_LAPIC_ESR:
	case X86_LAPIC_ICR:
	case X86_LAPIC_TMICT:
	case X86_LAPIC_TDCR:
	case 0x320 ... 0x370:
		return 3;
	default:
		return 0;
	}
}

static void msrs(void **state)
{
	uint64_t v;

	for (int x2 = 0; x2 < 2; x2++) {
		ready(0);
		if (x2)
			to_x2apic();
		for (uint32_t reg = 0; reg < 0x1000; reg += 16) {
			int r = x2 ? rights(reg) : 0;

			/* Vector 0 to itself is an error of the APIC, not a #GP. */
			assert_int_equal(wrmsr(reg, 0), r >> 1);
			assert_int_equal(rdmsr(reg, &v), r & 1);
			if (!x2 || reg != X86_LAPIC_ICR)
				assert_false(wrmsr(reg, UINT64_MAX));
		}
	}
	put(X86_LAPIC_SVR, ENABLED);
	assert_true(wrmsr(X86_LAPIC_SVR, ENABLED));
	assert_false(wrmsr(X86_LAPIC_TPR, 0x100));
	assert_false(wrmsr(X86_LAPIC_EOI, 1));
	assert_false(wrmsr(X86_LAPIC_ESR, 1));
	assert_false(wrmsr(X86_LAPIC_SELF_IPI, 0x100));
	assert_false(wrmsr(X86_LAPIC_SVR, 0x1000 | ENABLED));
	assert_false(wrmsr(X86_LAPIC_LVTT, 1u << 19));
	assert_false(wrmsr(X86_LAPIC_LVT_ERROR, 0x400));
	assert_false(wrmsr(X86_LAPIC_TDCR, 4));
	assert_false(wrmsr(X86_LAPIC_ICR, 1u << 13 | 0x41));
	assert_false(wrmsr(X86_LAPIC_ICR, 1u << 16 | 0x41));
	assert_false(wrmsr(X86_LAPIC_ICR, 1u << 20 | 0x41));
	assert_true(wrmsr(X86_LAPIC_ICR, 0x1234567800001041ull));
	assert_true(rdmsr(X86_LAPIC_ICR, &v));
	assert_int_equal(v, 0x1234567800000041ull);
	l.features = 0;
	assert_false(wrmsr(X86_LAPIC_LVTT, DEADLN | 0x40));
}

static void x2apic_ipis(void **state)
{
	struct x86_lapic_effect f;

	ready(1);
	to_x2apic();
	f = x86_lapic_msr_write(&l, 0x30, 0x0001234500000841ull, 0);
	assert_true(f.send && f.msg.wide && f.msg.logical);
	assert_int_equal(f.msg.dest, 0x12345);
	f = x86_lapic_msr_write(&l, 0x3f, 0x42, 0);
	assert_true(f.send);
	assert_int_equal(f.msg.shorthand, X86_SH_SELF);
	assert_int_equal(f.msg.vector, 0x42);
	assert_int_equal(f.msg.mode, X86_DM_FIXED);
	assert_false(x86_lapic_msr_write(&l, 0x3f, 7, 0).send);
}

/* -------- timer -------- */

static void timer(uint32_t lvtt, uint32_t tdcr, uint32_t count, int64_t now)
{
	ready(0);
	x86_lapic_write(&l, X86_LAPIC_LVTT, lvtt, now);
	x86_lapic_write(&l, X86_LAPIC_TDCR, tdcr, now);
	assert_true(x86_lapic_write(&l, X86_LAPIC_TMICT, count, now).timer);
}

static uint32_t count_at(int64_t now)
{
	return x86_lapic_read(&l, X86_LAPIC_TMCCT, now);
}

/* Let time pass; was there an interrupt? */
static bool fired_by(int64_t now)
{
	bool fired;

	x86_lapic_expire(&l, now, now);
	fired = x86_lapic_ack(&l) >= 0;
	if (fired)
		x86_lapic_write(&l, X86_LAPIC_EOI, 0, now);
	assert_int_equal(x86_lapic_ack(&l), -1);
	return fired;
}

static void one_shot(void **state)
{
	static const uint32_t div[] = { 2, 4, 8, 16, 32, 64, 128, 1 };

	for (uint32_t i = 0; i < 8; i++) {
		timer(0x40, (i & 3) | (i & 4) << 1, 1000, 50);
		assert_int_equal(x86_lapic_timer_next(&l), 50 + 1000 * div[i]);
		assert_int_equal(count_at(50), 1000);
		assert_int_equal(count_at(50 + 10 * div[i]), 990);
		assert_false(fired_by(49 + 1000 * div[i]));
		assert_int_equal(count_at(49 + 1000 * div[i]), 1);
		assert_true(fired_by(50 + 1000 * div[i]));
		assert_int_equal(count_at(50 + 1000 * div[i]), 0);
		assert_int_equal(x86_lapic_read(&l, X86_LAPIC_TMICT, 0), 1000);
		assert_true(x86_lapic_timer_next(&l) == X86_LAPIC_NEVER);
		assert_false(fired_by(INT64_MAX / 2));
	}
	/* Stopped; masked. */
	timer(0x40, DIV_1, 1000, 50);
	x86_lapic_write(&l, X86_LAPIC_TMICT, 0, 60);
	assert_int_equal(count_at(60), 0);
	assert_true(x86_lapic_timer_next(&l) == X86_LAPIC_NEVER);
	assert_false(fired_by(5000));
	timer(MASKED | 0x40, DIV_1, 1000, 50);
	assert_true(x86_lapic_timer_next(&l) == X86_LAPIC_NEVER);
	assert_int_equal(count_at(150), 900);
	x86_lapic_write(&l, X86_LAPIC_LVTT, 0x40, 5000); /* too late */
	assert_false(fired_by(5000));
	/* The vector is none. */
	timer(3, DIV_1, 1000, 50);
	assert_false(fired_by(5000));
	put(X86_LAPIC_ESR, 0);
	assert_int_equal(take(X86_LAPIC_ESR), 0x40);
	/* The longest. */
	timer(0x40, 0xa, 0xffffffff, 50);
	assert_true(x86_lapic_timer_next(&l) == 50 + 128 * 0xffffffffll);
	assert_int_equal(count_at(50), 0xffffffff);
}

static void periodic(void **state)
{
	timer(PERIOD | 0x40, DIV_1, 1000000, 0);
	for (int64_t i = 1; i < 10; i++) {
		assert_int_equal(x86_lapic_timer_next(&l), i * 1000000);
		assert_false(fired_by(i * 1000000 - 1));
		assert_true(fired_by(i * 1000000 + 7));
		assert_int_equal(count_at(i * 1000000), 1000000);
		assert_int_equal(count_at(i * 1000000 + 999999), 1);
	}
	/* Late by many: one interrupt, and the beat is kept. */
	assert_true(fired_by(1000000000000500ll));
	assert_false(fired_by(1000000000000500ll));
	assert_true(x86_lapic_timer_next(&l) == 1000000001000000ll);
	x86_lapic_write(&l, X86_LAPIC_TMICT, 0, 1000000000000600ll);
	assert_false(fired_by(INT64_MAX / 2));
}

/* A count of one, without end: bounded work, bounded interrupts. */
static void hostile_period(void **state)
{
	int fired = 0;

	timer(PERIOD | 0x40, DIV_1, 1, 0);
	for (int64_t now = 0; now < 10000000; now += 1000)
		fired += fired_by(now);
	assert_in_range(fired, 90, 102);
	assert_int_equal(count_at(77), 1);
	assert_true(fired_by(INT64_MAX / 2));
}

static void mode_changes(void **state)
{
	const uint32_t n = 0x999999;

	timer(0x40, DIV_1, n, 0);
	/* One-shot becomes periodic under way: goes on, then starts again. */
	x86_lapic_write(&l, X86_LAPIC_LVTT, PERIOD | 0x40, n - 100);
	assert_int_equal(count_at(n - 100), 100);
	assert_true(fired_by(n));
	assert_int_equal(count_at(n), n);
	assert_true(fired_by(2 * n));
	/* And back. */
	x86_lapic_write(&l, X86_LAPIC_LVTT, 0x40, 3ll * n - 50);
	assert_int_equal(count_at(3ll * n - 50), 50);
	assert_false(fired_by(3ll * n - 1));
	assert_true(fired_by(3ll * n));
	assert_int_equal(count_at(3ll * n + 1), 0);
	assert_false(fired_by(9ll * n));
	/* Over: periodic does not start it again. */
	x86_lapic_write(&l, X86_LAPIC_LVTT, PERIOD | 0x40, 9ll * n);
	assert_int_equal(count_at(9ll * n), 0);
	assert_false(fired_by(20ll * n));
	/* The divider under way: the count goes on at another pace. */
	timer(0x40, DIV_1, 1000, 0);
	x86_lapic_write(&l, X86_LAPIC_TDCR, 0, 400);
	assert_int_equal(count_at(400), 600);
	assert_int_equal(x86_lapic_timer_next(&l), 400 + 1200);
	/* To TSC-deadline: nothing is left. */
	x86_lapic_write(&l, X86_LAPIC_LVTT, DEADLN | 0x40, 500);
	assert_int_equal(count_at(500), 0);
	assert_int_equal(x86_lapic_read(&l, X86_LAPIC_TMICT, 0), 0);
	x86_lapic_write(&l, X86_LAPIC_TMICT, 5, 500);
	assert_int_equal(x86_lapic_read(&l, X86_LAPIC_TMICT, 0), 0);
	x86_lapic_set_tsc_deadline(&l, 1000);
	x86_lapic_write(&l, X86_LAPIC_LVTT, PERIOD | 0x40, 500);
	assert_int_equal(x86_lapic_tsc_deadline(&l), 0);
	/* The reserved mode counts nothing. */
	timer(PERIOD | DEADLN | 0x40, DIV_1, 1000, 0);
	assert_true(x86_lapic_timer_next(&l) == X86_LAPIC_NEVER);
	assert_false(fired_by(5000));
}

static void deadline(void **state)
{
	timer(0x40, DIV_1, 0, 0);
	x86_lapic_set_tsc_deadline(&l, 1000);
	assert_int_equal(x86_lapic_tsc_deadline(&l), 0); /* not in that mode */
	x86_lapic_write(&l, X86_LAPIC_LVTT, DEADLN | 0x40, 0);
	x86_lapic_set_tsc_deadline(&l, 1000);
	assert_int_equal(x86_lapic_tsc_deadline(&l), 1000);
	assert_false(fired_by(999));
	assert_true(fired_by(1000));
	assert_int_equal(x86_lapic_tsc_deadline(&l), 0);
	assert_false(fired_by(2000));
	x86_lapic_set_tsc_deadline(&l, 3000);
	x86_lapic_set_tsc_deadline(&l, 0);
	assert_false(fired_by(4000));
	/* Masked: it passes all the same. */
	x86_lapic_set_tsc_deadline(&l, 5000);
	x86_lapic_write(&l, X86_LAPIC_LVTT, MASKED | DEADLN | 0x40, 0);
	assert_false(fired_by(5000));
	assert_int_equal(x86_lapic_tsc_deadline(&l), 0);
	x86_lapic_set_tsc_deadline(&l, UINT64_MAX);
	assert_false(fired_by(INT64_MAX));
}

/* -------- saved state -------- */

static void saved(void **state)
{
	uint8_t page[X86_LAPIC_SIZE], again[X86_LAPIC_SIZE];

	timer(PERIOD | 0x40, DIV_1, 1000000, 0);
	x86_lapic_accept(&l, 0x61, true);
	x86_lapic_accept(&l, 0x71, false);
	x86_lapic_ack(&l);
	x86_lapic_get(&l, page, 2300000);
	fresh(0);
	x86_lapic_set(&l, page, 77000000);
	x86_lapic_get(&l, again, 77000000);
	assert_memory_equal(page, again, sizeof(page));
	assert_int_equal(x86_lapic_timer_next(&l), 77700000);
	assert_int_equal(x86_lapic_ppr(&l), 0x70);
	put(X86_LAPIC_EOI, 0);
	assert_int_equal(x86_lapic_ack(&l), 0x61);
	assert_true(put(X86_LAPIC_EOI, 0).eoi);
	/* x2APIC: the page's id does not count. */
	fresh(7);
	to_x2apic();
	x86_lapic_set(&l, page, 0);
	assert_int_equal(x86_lapic_get32(&l, X86_LAPIC_ID), 7);
	assert_int_equal(x86_lapic_get32(&l, X86_LAPIC_LDR), 0x80);
}

/* Any page: nothing that the APIC could not hold, and nothing breaks. */
static void hostile_pages(void **state)
{
	uint8_t page[X86_LAPIC_SIZE];
	uint64_t seed = 1, v;

	for (int i = 0; i < 2000; i++) {
		for (unsigned int k = 0; k < sizeof(page); k++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			page[k] = i == 0 ? 0xff : seed >> 56;
		}
		fresh(i);
		if (i & 1)
			to_x2apic();
		x86_lapic_set(&l, page, seed >> 8);
		assert_int_equal(x86_lapic_get32(&l, X86_LAPIC_IRR) & 0xffff, 0);
		assert_int_equal(x86_lapic_get32(&l, X86_LAPIC_TDCR) & ~0xbu, 0);
		for (int k = 0; k < 20; k++) {
			int64_t now = (seed >> 8) + k * 1000000ll;

			x86_lapic_expire(&l, now, seed);
			x86_lapic_ack(&l);
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			x86_lapic_write(&l, seed >> 50 & 0xff0, seed >> 20, now);
			x86_lapic_read(&l, seed >> 40 & 0xff0, now);
			x86_lapic_msr_write(&l, seed >> 30 & 0xff, seed >> 20 & 0x710ff, now);
			x86_lapic_msr_read(&l, seed >> 30 & 0xff, &v, now);
			assert_in_range(count_at(now), 0, x86_lapic_get32(&l, X86_LAPIC_TMICT));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(power_on),
		cmocka_unit_test(registers),
		cmocka_unit_test(error_status),
		cmocka_unit_test(priorities),
		cmocka_unit_test(levels),
		cmocka_unit_test(software_disable),
		cmocka_unit_test(ipis),
		cmocka_unit_test(destinations),
		cmocka_unit_test(preference),
		cmocka_unit_test(msi),
		cmocka_unit_test(modes),
		cmocka_unit_test(msrs),
		cmocka_unit_test(x2apic_ipis),
		cmocka_unit_test(one_shot),
		cmocka_unit_test(periodic),
		cmocka_unit_test(hostile_period),
		cmocka_unit_test(mode_changes),
		cmocka_unit_test(deadline),
		cmocka_unit_test(saved),
		cmocka_unit_test(hostile_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
