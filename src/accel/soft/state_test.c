// SPDX-License-Identifier: GPL-2.0-or-later
/* State there and back, what is refused, INIT and SIPI. */
#include <errno.h>
#include "accel/soft/sys_testing.h"

static uint64_t seed = 1;

static uint64_t random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint64_t random_canonical(void)
{
	return (uint64_t)((int64_t)(random64() << 16) >> 16);
}

static struct x86_segment random_segment(void)
{
	struct x86_segment s = { random_canonical(), random64(), 0, random64() };

	s.attr = random64() & 0xd0ff & ~(X86_ATTR_L | X86_ATTR_P);
	s.attr |= random64() & 1 ? X86_ATTR_P : X86_ATTR_UNUSABLE;
	return s;
}

/* Any state that a CPU can be in. */
static void make_valid(struct x86_cpu_state *s, bool long_mode)
{
	memset(s, 0, sizeof(*s));
	for (int i = 0; i < 16; i++)
		s->gpr[i] = random64();
	s->rip = long_mode ? random_canonical() : (uint32_t)random64();
	s->rflags = (random64() & X86_FLAGS_ALL & ~(uint64_t)X86_FLAG_VM) | X86_FLAG_1;
	for (int i = 0; i < X86_NSEG; i++)
		s->seg[i] = random_segment();
	s->tr = random_segment();
	s->ldtr = random_segment();
	s->seg[X86_CS].attr &= ~(X86_ATTR_DB | X86_ATTR_UNUSABLE);
	s->seg[X86_CS].attr |= X86_ATTR_P | (long_mode ? X86_ATTR_L : X86_ATTR_DB);
	s->gdtr = (struct x86_dtable){ random_canonical(), random64() };
	s->idtr = (struct x86_dtable){ random_canonical(), random64() };
	s->cr0 = X86_CR0_ET | X86_CR0_PE | (random64() & (X86_CR0_TS | X86_CR0_WP)) |
		 (long_mode ? X86_CR0_PG : 0);
	s->cr2 = random64();
	s->cr3 = random64() & (long_mode ? 0xfffffff000 : 0xfffff000);
	s->cr4 = random64() & (X86_CR4_PGE | X86_CR4_SMAP | X86_CR4_OSFXSR);
	s->cr8 = random64() & 15;
	if (long_mode) {
		s->cr4 |= X86_CR4_PAE | (random64() & X86_CR4_PCIDE);
		s->efer = X86_EFER_LME | X86_EFER_LMA | (random64() & X86_EFER_NXE);
	}
	s->apic_base = 0xfee00000 | X86_APIC_BASE_ENABLE;
	for (int i = 0; i < 4; i++)
		s->dr[i] = random64();
	s->dr[6] = X86_DR6_FIXED | (random64() & 0xe00f);
	s->dr[7] = X86_DR7_FIXED | (random64() & 0xffff23ff);
	s->xcr0 = random64() & 1 ? 7 : 3;
	for (size_t i = 0; i < sizeof(s->xsave); i++)
		s->xsave[i] = random64();
	for (size_t i = 0; i < sizeof(s->lapic); i++)
		s->lapic[i] = random64();
	s->events.interrupt_shadow = random64() & 3;
	s->events.nmi_pending = random64() & 1;
	s->events.nmi_masked = random64() & 1;
	s->events.sipi_vector = random64() & 0xff;
	s->mp_state = random64() % 5;
	if (random64() & 1) {
		s->events.interrupt_injected = 1;
		s->events.interrupt_nr = random64();
		if (s->events.interrupt_nr == X86_EXC_NMI)
			s->events.interrupt_nr = 0x30;
	} else if (random64() & 1) {
		s->events.exception_pending = s->events.exception_has_error = 1;
		s->events.exception_nr = X86_EXC_PF;
		s->events.exception_error = random64() & 0x3f;
		s->events.exception_has_payload = 1;
		s->events.exception_payload = random64();
	}
}

static void round_trip(void **state)
{
	struct x86_cpu_state *s = malloc(2 * sizeof(*s)), *got = s + 1;
	struct soft_vcpu *v = t_vcpu();

	for (int i = 0; i < 2000; i++) {
		make_valid(s, i & 1);
		assert_int_equal(soft_vcpu_set(&v->base, s, X86_STATE_ALL), 0);
		memset(got, 0x5a, sizeof(*got));
		assert_int_equal(soft_vcpu_get(&v->base, got, X86_STATE_ALL), 0);
		assert_memory_equal(got->gpr, s->gpr, sizeof(s->gpr));
		assert_int_equal(got->rip, s->rip);
		assert_int_equal(got->rflags, s->rflags);
		for (int k = 0; k < X86_NSEG; k++) {
			assert_int_equal(got->seg[k].base, s->seg[k].base);
			assert_int_equal(got->seg[k].limit, s->seg[k].limit);
			assert_int_equal(got->seg[k].attr, s->seg[k].attr);
			assert_int_equal(got->seg[k].selector, s->seg[k].selector);
		}
		assert_int_equal(got->tr.base, s->tr.base);
		assert_int_equal(got->ldtr.attr, s->ldtr.attr);
		assert_int_equal(got->gdtr.base, s->gdtr.base);
		assert_int_equal(got->idtr.limit, s->idtr.limit);
		assert_int_equal(got->cr0, s->cr0);
		assert_int_equal(got->cr2, s->cr2);
		assert_int_equal(got->cr3, s->cr3);
		assert_int_equal(got->cr4, s->cr4);
		assert_int_equal(got->cr8, s->cr8);
		assert_int_equal(got->efer, s->efer);
		assert_int_equal(got->apic_base, s->apic_base);
		assert_memory_equal(got->dr, s->dr, sizeof(s->dr));
		assert_int_equal(got->xcr0, s->xcr0);
		assert_memory_equal(got->xsave, s->xsave, sizeof(s->xsave));
		assert_memory_equal(got->lapic, s->lapic, sizeof(s->lapic));
		assert_memory_equal(&got->events, &s->events, sizeof(s->events));
		assert_int_equal(got->mp_state, s->mp_state);
	}
	free(s);
	t_free(v);
}

static void power_on(void **state)
{
	struct x86_cpu_state *s = malloc(2 * sizeof(*s)), *got = s + 1;
	struct soft_vcpu *v = t_vcpu();

	x86_cpu_state_reset(s, 0, true);
	assert_int_equal(soft_vcpu_set(&v->base, s, X86_STATE_ALL), 0);
	assert_int_equal(soft_vcpu_get(&v->base, got, X86_STATE_ALL), 0);
	assert_int_equal(got->rip, 0xfff0);
	assert_int_equal(got->cr0, 0x60000010);
	assert_int_equal(got->seg[X86_CS].base, 0xffff0000);
	for (uint32_t i = 0; i < got->n_msrs; i++)
		if (got->msr[i].index != X86_MSR_TSC)
			assert_int_equal(got->msr[i].value, x86_msr_reset_value(got->msr[i].index));
	/* What was read can be written back, */
	assert_int_equal(soft_vcpu_set(&v->base, got, X86_STATE_ALL), 0);
	/* also where a guest has loaded a 64-bit code segment outside long mode. */
	v->seg[X86_CS].attr |= X86_ATTR_L;
	assert_int_equal(soft_vcpu_get(&v->base, got, X86_STATE_ALL), 0);
	assert_int_equal(soft_vcpu_set(&v->base, got, X86_STATE_ALL), 0);
	free(s);
	t_free(v);
}

static struct x86_cpu_state bad;
static struct soft_vcpu *bad_vcpu;

static void refused(unsigned int part)
{
	assert_int_equal(soft_vcpu_set(&bad_vcpu->base, &bad, part), -EINVAL);
	make_valid(&bad, true);
}

static void hostile(void **state)
{
	struct soft_vcpu *v = bad_vcpu = t_vcpu();

	make_valid(&bad, true);
	bad.cr4 &= ~(uint64_t)X86_CR4_PAE;
	refused(X86_STATE_SREGS);
	bad.cr4 |= 1u << 13;
	refused(X86_STATE_SREGS);
	bad.cr0 &= ~(uint64_t)X86_CR0_PE;
	refused(X86_STATE_SREGS);
	bad.efer &= ~(uint64_t)X86_EFER_LMA;
	refused(X86_STATE_SREGS);
	bad.efer |= X86_EFER_SVME;
	refused(X86_STATE_SREGS);
	bad.cr3 |= 1ull << 50;
	refused(X86_STATE_SREGS);
	bad.seg[X86_CS].attr |= X86_ATTR_DB;
	refused(X86_STATE_SREGS);
	assert_int_equal(v->cr0, 0); /* nothing has changed */
	bad.xcr0 = 5;
	refused(X86_STATE_FPU);
	bad.xcr0 = 0xe7;
	refused(X86_STATE_FPU);
	t.fpu_bad = true;
	refused(X86_STATE_FPU);
	bad.dr[7] |= 1ull << 32;
	refused(X86_STATE_DEBUG);
	x86_cpu_state_set_msr(&bad, 0x7777, 1);
	refused(X86_STATE_MSRS);
	x86_cpu_state_set_msr(&bad, X86_MSR_LSTAR, 1ull << 60);
	refused(X86_STATE_MSRS);
	bad.n_msrs = X86_MSR_MAX + 1;
	refused(X86_STATE_MSRS);
	bad.events = (struct x86_events){ .exception_pending = 1, .exception_nr = 32 };
	refused(X86_STATE_EVENTS);
	bad.events = (struct x86_events){ .smm = 1 };
	refused(X86_STATE_EVENTS);
	bad.mp_state = 5;
	refused(X86_STATE_MP);
	bad.mp_state = -1;
	refused(X86_STATE_MP);
	/* One that does not exist and holds nothing; stray bits. */
	x86_cpu_state_set_msr(&bad, 0x7777, 0);
	bad.rflags = ~0ull;
	bad.tr.base = 1ull << 60 | 0x1000;
	t.fpu_bad = false;
	assert_int_equal(soft_vcpu_set(&v->base, &bad, X86_STATE_ALL), 0);
	assert_int_equal(v->rflags, (X86_FLAGS_ALL | X86_FLAG_1) & ~X86_FLAG_VM);
	assert_int_equal(v->tr.base, 0x1000);
	t_free(v);
}

/* Any bytes at all must be survived. */
static void garbage(void **state)
{
	struct x86_cpu_state *s = malloc(sizeof(*s));
	struct soft_vcpu *v = t_vcpu();

	for (int i = 0; i < 3000; i++) {
		for (size_t k = 0; k < sizeof(*s) / 8; k++)
			((uint64_t *)s)[k] = random64() & random64();
		s->n_msrs = random64() % (X86_MSR_MAX + 2);
		soft_vcpu_set(&v->base, s, 1u << (i & 7));
	}
	free(s);
	t_free(v);
}

static void events(void **state)
{
	struct x86_cpu_state *s = calloc(1, sizeof(*s));
	struct soft_vcpu *v = t_vcpu();

	s->events = (struct x86_events){
		.exception_pending = 1,
		.exception_nr = X86_EXC_DB,
		.exception_has_payload = 1,
		.exception_payload = X86_DR6_BS,
	};
	assert_int_equal(soft_vcpu_set(&v->base, s, X86_STATE_EVENTS), 0);
	assert_true(v->has_event);
	assert_int_equal(v->event.kind, SOFT_EVENT_TRAP);
	assert_int_equal(v->event.dr6, X86_DR6_BS);
	/* An injected page fault has its address in CR2 already. */
	v->cr2 = 0x1234;
	s->events = (struct x86_events){ .exception_injected = 1,
		.exception_nr = X86_EXC_PF,
		.exception_has_error = 1,
		.exception_error = 2 };
	assert_int_equal(soft_vcpu_set(&v->base, s, X86_STATE_EVENTS), 0);
	assert_int_equal(v->event.cr2, 0x1234);
	assert_int_equal(v->event.error, 2);
	/* INT n and INT3 come again by themselves. */
	s->events = (struct x86_events){ .exception_injected = 1, .exception_nr = X86_EXC_BP };
	assert_int_equal(soft_vcpu_set(&v->base, s, X86_STATE_EVENTS), 0);
	assert_false(v->has_event);
	s->events = (struct x86_events){
		.interrupt_injected = 1, .interrupt_soft = 1, .interrupt_nr = 0x80
	};
	assert_int_equal(soft_vcpu_set(&v->base, s, X86_STATE_EVENTS), 0);
	assert_false(v->has_event);
	/* An NMI on its way is as good as one that waits. */
	s->events = (struct x86_events){ .nmi_injected = 1, .nmi_masked = 1 };
	assert_int_equal(soft_vcpu_set(&v->base, s, X86_STATE_EVENTS), 0);
	assert_true(v->nmi_wanted);
	assert_false(v->nmi_masked);
	s->events = (struct x86_events){ .triple_fault_pending = 1 };
	assert_int_equal(soft_vcpu_set(&v->base, s, X86_STATE_EVENTS), 0);
	assert_true(v->shutdown);
	/* A trap that has not been taken yet. */
	s->events = (struct x86_events){ 0 };
	assert_int_equal(soft_vcpu_set(&v->base, s, X86_STATE_EVENTS), 0);
	v->pending_dr6 = 2;
	assert_int_equal(soft_vcpu_get(&v->base, s, X86_STATE_EVENTS), 0);
	assert_int_equal(s->events.exception_pending, 1);
	assert_int_equal(s->events.exception_payload, 2);
	free(s);
	t_free(v);
}

static void pae_paging(void **state)
{
	struct x86_cpu_state *s = malloc(sizeof(*s));
	struct soft_vcpu *v = t_vcpu();

	make_valid(s, false);
	s->cr0 |= X86_CR0_PG;
	s->cr4 |= X86_CR4_PAE;
	s->cr3 = 0x5000;
	assert_int_equal(soft_vcpu_set(&v->base, s, X86_STATE_ALL), 0);
	assert_int_equal(v->pdpte[1], 0x5001);
	t.pdptes_bad = true;
	assert_int_equal(soft_vcpu_set(&v->base, s, X86_STATE_ALL), 0);
	assert_int_equal(v->pdpte[1], 0);
	free(s);
	t_free(v);
}

static void init_and_sipi(void **state)
{
	struct x86_cpu_state *s = malloc(sizeof(*s));
	struct soft_vcpu *v = t_vcpu();

	make_valid(s, true);
	s->cr0 |= X86_CR0_CD;
	x86_cpu_state_set_msr(s, X86_MSR_LSTAR, 0x1234);
	assert_int_equal(soft_vcpu_set(&v->base, s, X86_STATE_ALL), 0);
	soft_vcpu_init_signal(v);
	assert_int_equal(v->mp_state, X86_MP_INIT_RECEIVED);
	assert_int_equal(v->cr0, X86_CR0_ET | X86_CR0_CD);
	assert_int_equal(v->efer | v->cr4 | v->cr3, 0);
	assert_int_equal(v->lstar, 0x1234);
	assert_int_equal(v->xcr0, s->xcr0);
	assert_int_equal(t.inits, 1);
	assert_false(v->has_event);
	assert_int_equal(v->code, X86_CODE_16);
	soft_vcpu_sipi(v, 0x9a);
	assert_int_equal(v->mp_state, X86_MP_RUNNABLE);
	assert_int_equal(v->seg[X86_CS].base, 0x9a000);
	assert_int_equal(v->seg[X86_CS].selector, 0x9a00);
	assert_int_equal(v->rip, 0);
	soft_vcpu_sipi(v, 0x55);
	assert_int_equal(v->seg[X86_CS].base, 0x9a000);
	/* The boot processor does not wait. */
	t.apic_base |= X86_APIC_BASE_BSP;
	soft_vcpu_init_signal(v);
	assert_int_equal(v->mp_state, X86_MP_RUNNABLE);
	assert_int_equal(v->rip, 0xfff0);
	free(s);
	t_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(power_on),
		cmocka_unit_test(hostile),
		cmocka_unit_test(garbage),
		cmocka_unit_test(events),
		cmocka_unit_test(pae_paging),
		cmocka_unit_test(init_and_sipi),
	};

	return cmocka_run_group_tests_name("soft state", tests, NULL, NULL);
}
