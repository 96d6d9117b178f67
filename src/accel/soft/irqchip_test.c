// SPDX-License-Identifier: GPL-2.0-or-later
/* Interrupts of all kinds between two or three vCPUs, the I/O APIC and the PICs; register accesses. */
#include <errno.h>
#include <pthread.h>
#include "accel/soft/chips_testing.h"

#define IOAPIC	0xfec00000ull
#define LEVEL	(1u << 15)
#define MASKED	(1u << 16)
#define LOGICAL (1u << 11)
#define EXTINT	(X86_DM_EXTINT << 8)
#define NMI	(X86_DM_NMI << 8)

static struct chips_vm t;

static void up(uint32_t n)
{
	t = chips_new(n);
	for (uint32_t i = 0; i < n; i++)
		apic_write(t.v[i], X86_LAPIC_SVR, APIC_ON);
}

static void down(void)
{
	chips_free(&t);
}

static void eoi(struct soft_vcpu *v)
{
	apic_write(v, X86_LAPIC_EOI, 0);
}

static void ipi(uint32_t from, uint32_t dest, uint32_t icr)
{
	apic_write(t.v[from], X86_LAPIC_ICR2, dest << 24);
	apic_write(t.v[from], X86_LAPIC_ICR, icr);
}

static void to_x2apic(struct soft_vcpu *v)
{
	assert_true(msr_write(v, X86_MSR_APIC_BASE, msr_read(v, X86_MSR_APIC_BASE) | 1u << 10));
}

/* -------- IPIs -------- */

static void fixed_ipis(void **state)
{
	up(3);
	ipi(0, 1, 0x41);
	assert_int_equal(take(t.v[1]), 0x41);
	assert_int_equal(take(t.v[0]), -1);
	assert_int_equal(take(t.v[2]), -1);
	eoi(t.v[1]);
	ipi(0, 0xff, 0x42);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(take(t.v[i]), 0x42);
		eoi(t.v[i]);
	}
	ipi(1, 0, 1u << 18 | 0x43); /* self */
	ipi(1, 0, 2u << 18 | 0x53); /* all */
	ipi(1, 0, 3u << 18 | 0x63); /* others */
	assert_int_equal(take(t.v[0]), 0x63);
	assert_int_equal(take(t.v[2]), 0x63);
	assert_int_equal(take(t.v[1]), 0x53);
	eoi(t.v[1]);
	assert_int_equal(take(t.v[1]), 0x43);
	assert_int_equal(take(t.v[0]), -1); /* its priority is that of 0x63 */
	assert_int_equal(polled(t.v[0]), 0);
	eoi(t.v[0]);
	assert_int_equal(take(t.v[0]), 0x53);
	/* Nobody of that name; not enabled. */
	ipi(0, 77, 0x41);
	apic_write(t.v[2], X86_LAPIC_SVR, 0xff);
	eoi(t.v[2]);
	assert_int_equal(take(t.v[2]), 0x53);
	eoi(t.v[2]);
	ipi(0, 2, 0x91);
	assert_int_equal(take(t.v[2]), -1);
	down();
}

static void own_ipi_stops_the_block(void **state)
{
	up(1);
	t.v[0]->stop = false;
	ipi(0, 0, 0x41);
	assert_true(t.v[0]->stop);
	assert_int_equal(take(t.v[0]), 0x41);
	t.v[0]->stop = false;
	eoi(t.v[0]);
	assert_false(t.v[0]->stop);
	down();
}

static void logical_and_lowest(void **state)
{
	int got[3] = { 0 };

	up(3);
	for (int i = 0; i < 3; i++)
		apic_write(t.v[i], X86_LAPIC_LDR, 1u << (24 + i));
	ipi(0, 6, LOGICAL | 0x41);
	assert_int_equal(take(t.v[0]), -1);
	assert_int_equal(take(t.v[1]), 0x41);
	assert_int_equal(take(t.v[2]), 0x41);
	eoi(t.v[1]);
	eoi(t.v[2]);
	/* Goes round among equals. */
	for (int k = 0; k < 6; k++) {
		ipi(0, 7, LOGICAL | X86_DM_LOWEST << 8 | 0x41);
		for (int i = 0; i < 3; i++)
			if (soft_irq_pending(t.v[i])) {
				assert_int_equal(take(t.v[i]), 0x41);
				eoi(t.v[i]);
				got[i]++;
			}
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(got[i], 2);
	/* Not to one that is busy, nor to one that is disabled. */
	soft_cr8_set(t.v[0], 5);
	apic_write(t.v[1], X86_LAPIC_SVR, 0xff);
	for (int k = 0; k < 3; k++) {
		ipi(0, 7, LOGICAL | X86_DM_LOWEST << 8 | 0x61);
		assert_int_equal(take(t.v[2]), 0x61);
		eoi(t.v[2]);
	}
	down();
}

static void start_up(void **state)
{
	up(3);
	ipi(0, 0, 3u << 18 | 0xc500); /* INIT, all others */
	assert_int_equal(polled(t.v[0]), 0);
	assert_int_equal(polled(t.v[1]), SOFT_POLL_INIT);
	ipi(0, 0, 3u << 18 | 0x8500); /* level de-assert: nothing */
	assert_int_equal(polled(t.v[2]), SOFT_POLL_INIT);
	assert_int_equal(polled(t.v[1]), 0);
	ipi(0, 2, 0x4600 | 0x9a);
	assert_int_equal(polled(t.v[2]), SOFT_POLL_SIPI);
	assert_int_equal(t.v[2]->sipi_vector, 0x9a);
	/* A new INIT takes an old SIPI away. */
	ipi(0, 1, 0x4600 | 0x9a);
	ipi(0, 1, 0x4500);
	assert_int_equal(polled(t.v[1]), SOFT_POLL_INIT);
	ipi(0, 1, NMI);
	assert_int_equal(polled(t.v[1]), SOFT_POLL_NMI);
	ipi(0, 1, X86_DM_SMI << 8);
	assert_int_equal(polled(t.v[1]), 0);
	/* With its APIC disabled a CPU hears nothing. */
	assert_true(msr_write(t.v[1], X86_MSR_APIC_BASE, APIC_PAGE));
	ipi(0, 1, 0x4500);
	ipi(0, 0xff, NMI);
	assert_int_equal(polled(t.v[1]), 0);
	assert_int_equal(polled(t.v[2]), SOFT_POLL_NMI);
	down();
}

static void init_signal(void **state)
{
	up(2);
	to_x2apic(t.v[1]);
	ipi(0, 1, 0x41);
	soft_lapic_init_signal(t.v[1]);
	assert_int_equal(take(t.v[1]), -1);
	assert_int_equal(msr_read(t.v[1], X86_MSR_X2APIC + 2), 1);
	assert_int_equal(msr_read(t.v[1], X86_MSR_X2APIC + 0xf), 0xff);
	down();
}

static void x2apic(void **state)
{
	uint64_t v;

	up(3);
	assert_false(msr_write(t.v[0], X86_MSR_X2APIC + 0x3f, 0x41));
	assert_false(soft_apic_msr(t.v[0], X86_MSR_X2APIC + 2, &v, false));
	for (int i = 0; i < 3; i++)
		to_x2apic(t.v[i]);
	assert_int_equal(apic_read(t.v[0], X86_LAPIC_VER), 0xffffffff);
	assert_true(msr_write(t.v[0], X86_MSR_X2APIC + 0x30, 2ull << 32 | 0x41));
	assert_int_equal(take(t.v[2]), 0x41);
	assert_true(msr_write(t.v[2], X86_MSR_X2APIC + 0xb, 0));
	assert_true(msr_write(t.v[0], X86_MSR_X2APIC + 0x30, 6ull << 32 | LOGICAL | 0x42));
	assert_int_equal(take(t.v[0]), -1);
	assert_int_equal(take(t.v[1]), 0x42);
	assert_int_equal(take(t.v[2]), 0x42);
	assert_true(msr_write(t.v[0], X86_MSR_X2APIC + 0x3f, 0x51));
	assert_int_equal(take(t.v[0]), 0x51);
	assert_true(msr_write(t.v[0], X86_MSR_X2APIC + 0x30, 0xffffffffull << 32 | 0x61));
	for (int i = 0; i < 3; i++)
		assert_int_equal(take(t.v[i]), 0x61);
	assert_false(msr_write(t.v[0], X86_MSR_X2APIC + 0xb, 1));
	assert_false(msr_write(t.v[0], X86_MSR_APIC_BASE, 1ull << 52));
	assert_false(soft_apic_msr(t.v[0], 0x7ff, &v, false));
	down();
}

/* Ids that the guest has written: two CPUs may have the same. */
static void aliases(void **state)
{
	up(3);
	apic_write(t.v[2], X86_LAPIC_ID, 1 << 24);
	ipi(0, 1, 0x41);
	assert_int_equal(take(t.v[1]), 0x41);
	assert_int_equal(take(t.v[2]), 0x41);
	ipi(0, 2, 0x51);
	for (int i = 0; i < 3; i++)
		assert_int_equal(take(t.v[i]), -1);
	down();
}

static void nmis_are_counted(void **state)
{
	up(2);
	for (int i = 0; i < 3; i++)
		ipi(0, 1, NMI);
	assert_int_equal(polled(t.v[1]), SOFT_POLL_NMI);
	assert_int_equal(atomic_load(&t.v[1]->nmis), 3);
	down();
}

static void pv_ipis(void **state)
{
	const uint64_t all[2] = { UINT64_MAX, UINT64_MAX }, second[2] = { 2, 0 },
		       high[2] = { 0, 1 };

	up(3);
	assert_int_equal(soft_pv_ipi(t.v[0], all, 64, 0, 0x41), 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(take(t.v[i]), 0x41);
		eoi(t.v[i]);
	}
	assert_int_equal(soft_pv_ipi(t.v[0], second, 64, 1, 0x41), 1);
	assert_int_equal(take(t.v[2]), 0x41);
	assert_int_equal(soft_pv_ipi(t.v[0], second, 64, 0, NMI), 1);
	assert_int_equal(polled(t.v[1]), SOFT_POLL_NMI);
	/* None there; bad ones. */
	assert_int_equal(soft_pv_ipi(t.v[0], high, 32, 0, 0x41), 0);
	assert_int_equal(soft_pv_ipi(t.v[0], all, 64, UINT64_MAX, 0x41), 0);
	assert_int_equal(soft_pv_ipi(t.v[0], all, 64, 0, 0), 0);
	assert_int_equal(soft_pv_ipi(t.v[0], all, 64, 0, LOGICAL | 0x41), -22);
	assert_int_equal(soft_pv_ipi(t.v[0], all, 64, 0, 1u << 18 | 0x41), -22);
	assert_int_equal(soft_pv_ipi(t.v[0], all, 64, 0, 0x541), -22);
	down();
}

static void task_priority(void **state)
{
	up(1);
	soft_cr8_set(t.v[0], 4);
	assert_int_equal(soft_cr8_get(t.v[0]), 4);
	assert_int_equal(apic_read(t.v[0], X86_LAPIC_TPR), 0x40);
	ipi(0, 0, 0x4f);
	assert_false(soft_irq_pending(t.v[0]));
	assert_int_equal(polled(t.v[0]), 0);
	soft_cr8_set(t.v[0], 3);
	assert_int_equal(take(t.v[0]), 0x4f);
	down();
}

/* -------- messages, I/O APIC -------- */

static void put_pin(uint32_t pin, uint64_t entry)
{
	uint32_t index = 0x10 + 2 * pin, lo = entry, hi = entry >> 32;

	for (int i = 1; i >= 0; i--) {
		uint32_t at = index + i;

		soft_mmio(t.v[0], IOAPIC, &at, 4, true);
		soft_mmio(t.v[0], IOAPIC + 0x10, i ? &hi : &lo, 4, true);
	}
}

static uint32_t get_pin(uint32_t pin)
{
	uint32_t at = 0x10 + 2 * pin, value;

	soft_mmio(t.v[0], IOAPIC, &at, 4, true);
	soft_mmio(t.v[0], IOAPIC + 0x10, &value, 4, false);
	return value;
}

static void irq(uint32_t gsi, bool level)
{
	assert_int_equal(soft_irq_set(&t.vm->base, gsi, level), 0);
}

static void messages(void **state)
{
	up(2);
	assert_int_equal(soft_msi_send(&t.vm->base, 0xfee01000, 0x41), 0);
	assert_int_equal(take(t.v[1]), 0x41);
	assert_int_equal(soft_msi_send(&t.vm->base, 0xfee00000, NMI), 0);
	assert_int_equal(polled(t.v[0]), SOFT_POLL_NMI);
	assert_int_equal(soft_msi_send(&t.vm->base, 0x1000, 0x41), 0);
	assert_int_equal(soft_msi_send(&t.vm->base, 0xfee09000, 0x41), 0);
	assert_int_equal(soft_msi_send(&t.vm->base, 0xfee01000, 0x05), 0);
	assert_int_equal(take(t.v[1]), -1);
	down();
}

static void edges(void **state)
{
	up(2);
	assert_false(soft_irq_open(&t.vm->base, 4));
	put_pin(4, 1ull << 56 | 0x44);
	assert_true(soft_irq_open(&t.vm->base, 4));
	irq(4, true);
	irq(4, true);
	assert_int_equal(take(t.v[1]), 0x44);
	eoi(t.v[1]);
	assert_int_equal(take(t.v[1]), -1);
	irq(4, false);
	irq(4, true);
	assert_int_equal(take(t.v[1]), 0x44);
	/* GSI 0 is pin 2, and GSI 2 is nobody's. */
	put_pin(2, 0x42);
	assert_true(soft_irq_open(&t.vm->base, 0));
	irq(2, true);
	assert_int_equal(take(t.v[0]), -1);
	irq(0, true);
	assert_int_equal(take(t.v[0]), 0x42);
	assert_int_equal(soft_irq_set(&t.vm->base, 24, true), -EINVAL);
	down();
}

static void levels(void **state)
{
	up(2);
	put_pin(10, 1ull << 56 | LEVEL | 0x4a);
	irq(10, true);
	assert_true(get_pin(10) & 1u << 14);
	assert_int_equal(take(t.v[1]), 0x4a);
	/* Still high at the end of interrupt: once more. */
	eoi(t.v[1]);
	assert_int_equal(take(t.v[1]), 0x4a);
	irq(10, false);
	irq(10, true);
	irq(10, false);
	eoi(t.v[1]);
	assert_false(get_pin(10) & 1u << 14);
	assert_int_equal(take(t.v[1]), -1);
	/* x2APIC's end of interrupt is as good. */
	to_x2apic(t.v[1]);
	irq(10, true);
	assert_int_equal(take(t.v[1]), 0x4a);
	assert_true(msr_write(t.v[1], X86_MSR_X2APIC + 0xb, 0));
	assert_int_equal(take(t.v[1]), 0x4a);
	irq(10, false);
	assert_true(msr_write(t.v[1], X86_MSR_X2APIC + 0xb, 0));
	/* Nobody took it: it is not under way, and comes when somebody is there. */
	put_pin(10, 9ull << 56 | LEVEL | 0x4a);
	irq(10, true);
	assert_false(get_pin(10) & 1u << 14);
	put_pin(10, 0ull << 56 | LEVEL | 0x4a);
	assert_int_equal(take(t.v[0]), 0x4a);
	down();
}

/* -------- PICs -------- */

static void port(uint16_t p, uint8_t value)
{
	soft_port(t.v[0], p, &value, 1, true);
}

static void pics_up(void)
{
	static const uint8_t init[][2] = { { 0x20, 0x11 }, { 0x21, 0x20 }, { 0x21, 4 }, { 0x21, 1 },
		{ 0xa0, 0x11 }, { 0xa1, 0x28 }, { 0xa1, 2 }, { 0xa1, 1 }, { 0x21, 0 },
		{ 0xa1, 0 } };

	for (unsigned int i = 0; i < 10; i++)
		port(init[i][0], init[i][1]);
}

static void pic_interrupts(void **state)
{
	t = chips_new(2); /* as at power-on: LINT0 of the boot CPU is ExtINT */
	pics_up();
	irq(5, true);
	assert_int_equal(take(t.v[1]), -1);
	assert_int_equal(take(t.v[0]), 0x25);
	assert_int_equal(take(t.v[0]), -1);
	irq(5, false);
	irq(6, true);
	irq(12, true); /* through line 2, which is above 5; 6 is below */
	assert_int_equal(take(t.v[0]), 0x2c);
	port(0xa0, 0x20);
	port(0x20, 0x20);
	irq(12, false);
	assert_int_equal(take(t.v[0]), -1);
	port(0x20, 0x20);
	assert_int_equal(take(t.v[0]), 0x26);
	port(0x20, 0x20);
	irq(6, false);
	/* Before those of the APIC; not held back by the task priority. */
	apic_write(t.v[0], X86_LAPIC_SVR, APIC_ON);
	soft_cr8_set(t.v[0], 15);
	ipi(0, 0, 0xf1);
	irq(5, true);
	assert_int_equal(take(t.v[0]), 0x25);
	assert_int_equal(take(t.v[0]), -1);
	soft_cr8_set(t.v[0], 0);
	assert_int_equal(take(t.v[0]), 0xf1);
	irq(5, false);
	port(0x20, 0x20);
	/* LINT0 masked. */
	apic_write(t.v[0], X86_LAPIC_LVT0, MASKED | EXTINT);
	irq(5, true);
	assert_int_equal(take(t.v[0]), -1);
	apic_write(t.v[0], X86_LAPIC_LVT0, EXTINT);
	assert_int_equal(take(t.v[0]), 0x25);
	irq(5, false);
	port(0x20, 0x20);
	down();
}

/* A request that is taken back before the CPU looks. */
static void pic_withdrawn(void **state)
{
	t = chips_new(1);
	pics_up();
	irq(5, true);
	assert_true(soft_irq_pending(t.v[0]));
	port(0x21, 0xff);
	assert_int_equal(soft_irq_ack(t.v[0]), -1);
	port(0x21, 0);
	assert_int_equal(take(t.v[0]), 0x25);
	down();
}

static void pic_through_lint0(void **state)
{
	up(1);
	pics_up();
	apic_write(t.v[0], X86_LAPIC_LVT0, 0x77); /* fixed */
	irq(5, true);
	assert_int_equal(take(t.v[0]), 0x77);
	assert_int_equal(take(t.v[0]), -1);
	irq(5, false);
	port(0x20, 0x0c); /* poll: acknowledges */
	port(0x20, 0x20);
	apic_write(t.v[0], X86_LAPIC_LVT0, NMI);
	port(0x21, 0xff);
	polled(t.v[0]);
	port(0x21, 0);
	irq(6, true);
	assert_true(polled(t.v[0]) & SOFT_POLL_NMI);
	/* The APIC disabled: the wire is the CPU's own. */
	assert_true(msr_write(t.v[0], X86_MSR_APIC_BASE, APIC_PAGE));
	assert_true(soft_irq_pending(t.v[0]));
	assert_int_equal(soft_irq_ack(t.v[0]) & 0xf8, 0x20);
	down();
}

static void opened(void **state)
{
	t = chips_new(1);
	assert_false(soft_irq_open(&t.vm->base, 0));
	pics_up();
	assert_true(soft_irq_open(&t.vm->base, 0));
	port(0x21, 1);
	assert_false(soft_irq_open(&t.vm->base, 0));
	down();
}

/* -------- accesses -------- */

static void widths(void **state)
{
	uint8_t b[8];
	uint64_t q;

	up(1);
	soft_mmio(t.v[0], APIC_PAGE + X86_LAPIC_VER, b, 1, false);
	assert_int_equal(b[0], 0x14);
	soft_mmio(t.v[0], APIC_PAGE + X86_LAPIC_VER + 2, b, 1, false);
	assert_int_equal(b[0], 0x05);
	soft_mmio(t.v[0], APIC_PAGE + X86_LAPIC_VER, &q, 8, false);
	assert_true(q == 0x50014);
	memset(b, 0x55, sizeof(b));
	soft_mmio(t.v[0], APIC_PAGE + X86_LAPIC_VER + 3, b, 4, false);
	assert_int_equal(b[1] | b[2] | b[3], 0);
	soft_mmio(t.v[0], APIC_PAGE + X86_LAPIC_VER + 8, b, 2, false);
	assert_int_equal(b[0] | b[1], 0);
	/* Writes: 32 bits, aligned. */
	q = 0x30;
	soft_mmio(t.v[0], APIC_PAGE + X86_LAPIC_TPR, &q, 1, true);
	soft_mmio(t.v[0], APIC_PAGE + X86_LAPIC_TPR, &q, 8, true);
	soft_mmio(t.v[0], APIC_PAGE + X86_LAPIC_TPR + 4, &q, 4, true);
	assert_int_equal(soft_cr8_get(t.v[0]), 0);
	soft_mmio(t.v[0], APIC_PAGE + X86_LAPIC_TPR, &q, 4, true);
	assert_int_equal(soft_cr8_get(t.v[0]), 3);
	/* The last bytes of the pages. */
	for (unsigned int size = 1; size <= 8; size++) {
		soft_mmio(t.v[0], APIC_PAGE + 0x1000 - size, b, size, false);
		soft_mmio(t.v[0], APIC_PAGE + 0xfff, b, size, false);
		soft_mmio(t.v[0], APIC_PAGE + 0xfff, b, size, true);
		soft_mmio(t.v[0], IOAPIC + 0xfff, b, size, false);
		soft_mmio(t.v[0], IOAPIC + 0xfff, b, size, true);
	}
	soft_mmio(t.v[0], IOAPIC, &q, 8, true);
	soft_mmio(t.v[0], IOAPIC, &q, 8, false);
	assert_true(q == 0x30);
	/* Nobody's. */
	soft_mmio(t.v[0], 0x12345678, &q, 8, false);
	assert_true(q == UINT64_MAX);
	soft_port(t.v[0], 0x80, &q, 2, false);
	assert_int_equal(q & 0xffff, 0xffff);
	/* Two ports at once: mask, and nothing beside it. */
	q = 0x5520;
	soft_port(t.v[0], 0x20, &q, 2, true);
	soft_port(t.v[0], 0x20, &q, 4, false);
	assert_true((q & 0xffffff00) == 0xffff5500);
	down();
}

static void moved(void **state)
{
	uint32_t v;

	up(1);
	assert_true(msr_write(t.v[0], X86_MSR_APIC_BASE, 0xfed40800));
	soft_mmio(t.v[0], 0xfed40030, &v, 4, false);
	assert_int_equal(v, 0x50014);
	assert_int_equal(apic_read(t.v[0], X86_LAPIC_VER), 0xffffffff);
	down();
}

/* -------- timer -------- */

static void wait_for_timer(struct soft_vcpu *v)
{
	int64_t next = soft_timer_next(v), now = clock_mono_ns();

	assert_true(next < now + NS_PER_SEC);
	while (clock_mono_ns() < next)
		;
	/* The TSC may be a moment behind. */
	for (int i = 0; i < 1000000 && !soft_irq_pending(v); i++) {
		soft_timer_run(v);
		if (!soft_irq_pending(v))
			soft_timer_next(v);
	}
}

static void counts(void **state)
{
	int64_t start;

	up(1);
	assert_true(soft_timer_next(t.v[0]) == INT64_MAX);
	apic_write(t.v[0], X86_LAPIC_TDCR, 0xb);
	apic_write(t.v[0], X86_LAPIC_LVTT, 0x40);
	start = clock_mono_ns();
	apic_write(t.v[0], X86_LAPIC_TMICT, 3000000);
	soft_timer_run(t.v[0]);
	assert_false(soft_irq_pending(t.v[0]));
	wait_for_timer(t.v[0]);
	assert_int_equal(take(t.v[0]), 0x40);
	assert_true(clock_mono_ns() >= start + 3000000);
	eoi(t.v[0]);
	assert_int_equal(apic_read(t.v[0], X86_LAPIC_TMCCT), 0);
	assert_true(soft_timer_next(t.v[0]) == INT64_MAX);
	/* Found by the run loop, without soft_timer_next(). */
	apic_write(t.v[0], X86_LAPIC_TMICT, 1000000);
	while (!soft_irq_pending(t.v[0]) && clock_mono_ns() < start + 20 * NS_PER_SEC)
		soft_timer_run(t.v[0]);
	assert_int_equal(take(t.v[0]), 0x40);
	down();
}

static void periodic(void **state)
{
	int64_t start;
	int n = 0;

	up(1);
	apic_write(t.v[0], X86_LAPIC_TDCR, 0xb);
	apic_write(t.v[0], X86_LAPIC_LVTT, 1u << 17 | 0x40);
	apic_write(t.v[0], X86_LAPIC_TMICT, 500000);
	for (; n < 5; n++) {
		wait_for_timer(t.v[0]);
		assert_int_equal(take(t.v[0]), 0x40);
		eoi(t.v[0]);
	}
	/* One nanosecond: not more interrupts than the least period allows. */
	apic_write(t.v[0], X86_LAPIC_TMICT, 1);
	start = clock_mono_ns();
	for (n = 0; clock_mono_ns() < start + 5000000;) {
		soft_timer_run(t.v[0]);
		if (take(t.v[0]) >= 0) {
			n++;
			eoi(t.v[0]);
		}
	}
	assert_in_range(n, 1, (clock_mono_ns() - start) / X86_LAPIC_MIN_PERIOD_NS + 2);
	/* Nobody takes it: the sleep is no shorter for that. */
	soft_timer_run(t.v[0]);
	assert_true(soft_timer_next(t.v[0]) > start);
	down();
}

static void deadlines(void **state)
{
	uint64_t ms = soft_tsc_khz(), at;

	up(1);
	apic_write(t.v[0], X86_LAPIC_LVTT, 2u << 17 | 0x40);
	/* Past: at once. */
	assert_true(msr_write(t.v[0], X86_MSR_TSC_DEADLINE, soft_tsc_read(t.v[0])));
	assert_int_equal(take(t.v[0]), 0x40);
	eoi(t.v[0]);
	assert_int_equal(msr_read(t.v[0], X86_MSR_TSC_DEADLINE), 0);
	at = soft_tsc_read(t.v[0]) + 2 * ms;
	assert_true(msr_write(t.v[0], X86_MSR_TSC_DEADLINE, at));
	assert_true(msr_read(t.v[0], X86_MSR_TSC_DEADLINE) == at);
	wait_for_timer(t.v[0]);
	assert_true(soft_tsc_read(t.v[0]) >= at);
	assert_int_equal(take(t.v[0]), 0x40);
	eoi(t.v[0]);
	/* The counter jumps over it. */
	assert_true(msr_write(t.v[0], X86_MSR_TSC_DEADLINE, soft_tsc_read(t.v[0]) + 100000 * ms));
	soft_timer_run(t.v[0]);
	assert_int_equal(take(t.v[0]), -1);
	soft_tsc_write(t.v[0], soft_tsc_read(t.v[0]) + 200000 * ms);
	soft_timer_run(t.v[0]);
	assert_int_equal(take(t.v[0]), 0x40);
	eoi(t.v[0]);
	/* The furthest. */
	assert_true(msr_write(t.v[0], X86_MSR_TSC_DEADLINE, UINT64_MAX));
	soft_timer_run(t.v[0]);
	assert_int_equal(take(t.v[0]), -1);
	assert_true(soft_timer_next(t.v[0]) > clock_mono_ns() + 1000 * NS_PER_SEC);
	assert_true(msr_write(t.v[0], X86_MSR_TSC_DEADLINE, 0));
	assert_true(soft_timer_next(t.v[0]) == INT64_MAX);
	down();
}

/* -------- saved state -------- */

static void saved(void **state)
{
	struct x86_chips_state s = { 0 }, again;
	uint8_t page[X86_LAPIC_SIZE];

	up(2);
	put_pin(10, 1ull << 56 | LEVEL | 0x4a);
	pics_up();
	irq(10, true);
	ipi(0, 1, 0x31);
	assert_int_equal(soft_chips_get(&t.vm->base, &s), 0);
	soft_lapic_get(t.v[1], page);
	down();
	up(2);
	assert_int_equal(soft_chips_set(&t.vm->base, &s), 0);
	soft_lapic_set(t.v[1], page);
	assert_int_equal(soft_chips_get(&t.vm->base, &again), 0);
	again.clock_ns = s.clock_ns;
	assert_memory_equal(&s, &again, sizeof(s));
	assert_int_equal(take(t.v[1]), 0x4a);
	irq(10, false);
	eoi(t.v[1]);
	assert_int_equal(take(t.v[1]), 0x31);
	assert_int_equal(get_pin(10), LEVEL | 0x4a);
	/* Anything at all. */
	memset(&s, 0xff, sizeof(s));
	memset(page, 0xff, sizeof(page));
	assert_int_equal(soft_chips_set(&t.vm->base, &s), 0);
	for (int i = 0; i < 2; i++) {
		soft_lapic_set(t.v[i], page);
		for (int k = 0; k < 600; k++)
			soft_irq_ack(t.v[i]);
	}
	down();
}

/* -------- threads -------- */

#define ROUNDS 3000

static void *sender(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		soft_msi_send(&t.vm->base, 0xfee01000, 0x41);
		irq(10, true);
		irq(10, false);
	}
	return NULL;
}

static void *other_cpu(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		ipi(0, 1, 0x51);
		soft_timer_run(t.v[0]);
	}
	return NULL;
}

/* What is pending is never forgotten: whoever looks after a notification finds it. */
static void threads(void **state)
{
	struct soft_vcpu *v;
	pthread_t thread[2];
	int seen[256] = { 0 };

	up(2);
	v = t.v[1];
	put_pin(10, 1ull << 56 | LEVEL | 0x61);
	pthread_create(&thread[0], NULL, sender, NULL);
	pthread_create(&thread[1], NULL, other_cpu, NULL);
	for (int i = 0; i < ROUNDS; i++) {
		int vector = polled(v) & SOFT_POLL_IRQ ? soft_irq_ack(v) : -1;

		if (vector >= 0) {
			seen[vector]++;
			eoi(v);
		}
	}
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
	for (int vector; (vector = soft_irq_ack(v)) >= 0;) {
		seen[vector]++;
		eoi(v);
	}
	assert_true(seen[0x41] && seen[0x51] && seen[0x61]);
	assert_int_equal(get_pin(10), LEVEL | 0x61);
	down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fixed_ipis),
		cmocka_unit_test(own_ipi_stops_the_block),
		cmocka_unit_test(logical_and_lowest),
		cmocka_unit_test(start_up),
		cmocka_unit_test(init_signal),
		cmocka_unit_test(x2apic),
		cmocka_unit_test(aliases),
		cmocka_unit_test(nmis_are_counted),
		cmocka_unit_test(pv_ipis),
		cmocka_unit_test(task_priority),
		cmocka_unit_test(messages),
		cmocka_unit_test(edges),
		cmocka_unit_test(levels),
		cmocka_unit_test(pic_interrupts),
		cmocka_unit_test(pic_withdrawn),
		cmocka_unit_test(pic_through_lint0),
		cmocka_unit_test(opened),
		cmocka_unit_test(widths),
		cmocka_unit_test(moved),
		cmocka_unit_test(counts),
		cmocka_unit_test(periodic),
		cmocka_unit_test(deadlines),
		cmocka_unit_test(saved),
		cmocka_unit_test(threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
