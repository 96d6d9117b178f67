// SPDX-License-Identifier: GPL-2.0-or-later
/* A vCPU's state there and back, part by part, and what a guest sees of it. */
#include "accel/kvm/guest_testing.h"
#include "base/clock.h"

#define STAR	       0xc0000081
#define LSTAR	       0xc0000082
#define KERNEL_GS_BASE 0xc0000102
#define TSC	       0x10
#define TSC_DEADLINE   0x6e0

static int set(struct guest *g, const struct x86_cpu_state *s, unsigned int parts)
{
	return kvm_accel.vcpu_set(g->vcpu, s, parts);
}

static int get(struct guest *g, struct x86_cpu_state *s, unsigned int parts)
{
	memset(s, 0x5a, sizeof(*s));
	return kvm_accel.vcpu_get(g->vcpu, s, parts);
}

static void registers(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct x86_cpu_state s;

	for (int i = 0; i < 16; i++)
		g->s.gpr[i] = 0x0101010101010101ull * (i + 1);
	g->s.rip = 0x123456789a;
	g->s.rflags = 0x246;
	assert_int_equal(set(g, &g->s, X86_STATE_REGS), 0);
	assert_int_equal(get(g, &s, X86_STATE_REGS), 0);
	assert_memory_equal(s.gpr, g->s.gpr, sizeof(s.gpr));
	assert_int_equal(s.rip, g->s.rip);
	assert_int_equal(s.rflags, g->s.rflags);
	guest_free(g);
}

static void segments(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct x86_cpu_state s;

	g->s.seg[X86_FS].base = 0xffff888812345678;
	g->s.seg[X86_GS].base = 0x7fffdeadb000;
	g->s.seg[X86_ES].attr |= X86_ATTR_AVL;
	g->s.ldtr = (struct x86_segment){ .attr = X86_ATTR_UNUSABLE | 2 };
	g->s.gdtr = (struct x86_dtable){ .base = 0xfffffe0000001000, .limit = 0x7f };
	g->s.cr2 = 0xdead0000;
	g->s.cr8 = 9;
	assert_int_equal(set(g, &g->s, X86_STATE_SREGS), 0);
	assert_int_equal(get(g, &s, X86_STATE_SREGS), 0);
	for (int i = 0; i < X86_NSEG; i++) {
		assert_int_equal(s.seg[i].base, g->s.seg[i].base);
		assert_int_equal(s.seg[i].selector, g->s.seg[i].selector);
		assert_int_equal(s.seg[i].limit, g->s.seg[i].limit);
		assert_int_equal(s.seg[i].attr, g->s.seg[i].attr);
	}
	assert_true(s.ldtr.attr & X86_ATTR_UNUSABLE || !(s.ldtr.attr & X86_ATTR_P));
	assert_int_equal(s.gdtr.base, g->s.gdtr.base);
	assert_int_equal(s.idtr.limit, g->s.idtr.limit);
	assert_int_equal(s.cr0, g->s.cr0);
	assert_int_equal(s.cr2, g->s.cr2);
	assert_int_equal(s.cr3, g->s.cr3);
	assert_int_equal(s.cr4, g->s.cr4);
	assert_int_equal(s.cr8, g->s.cr8);
	assert_int_equal(s.efer, g->s.efer);
	assert_int_equal(s.apic_base, g->s.apic_base);
	/* What no CPU can be in is refused: long mode without paging's PAE. */
	g->s.cr4 = 0;
	assert_int_equal(set(g, &g->s, X86_STATE_SREGS), -EINVAL);
	guest_free(g);
}

static void fpu(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct x86_cpu_state s;
	uint64_t bv;

	assert_int_equal(get(g, &g->s, X86_STATE_FPU), 0);
	for (int i = 0; i < 16 * 16; i++)
		g->s.xsave[160 + i] = i * 5 + 1; /* xmm0..15 */
	g->s.xsave[24] = 0x80;			 /* mxcsr 0x1f80 with DAZ off */
	g->s.xsave[25] = 0x3f;			 /* flush to zero mask bits changed */
	memcpy(&bv, g->s.xsave + 512, 8);
	bv |= 3;
	if (__builtin_cpu_supports("avx")) {
		bv |= 4;
		for (int i = 0; i < 16 * 16; i++)
			g->s.xsave[576 + i] = 255 - i;
		g->s.xcr0 = 7;
	}
	memcpy(g->s.xsave + 512, &bv, 8);
	assert_int_equal(set(g, &g->s, X86_STATE_FPU), 0);
	assert_int_equal(get(g, &s, X86_STATE_FPU), 0);
	assert_int_equal(s.xcr0, g->s.xcr0);
	assert_memory_equal(s.xsave + 160, g->s.xsave + 160, 256);
	assert_memory_equal(s.xsave + 24, g->s.xsave + 24, 4);
	if (g->s.xcr0 & 4)
		assert_memory_equal(s.xsave + 576, g->s.xsave + 576, 256);
	/* Reserved MXCSR bits are refused. */
	g->s.xsave[27] = 0xff;
	assert_int_equal(set(g, &g->s, X86_STATE_FPU), -EINVAL);
	guest_free(g);
}

static void debug(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct x86_cpu_state s;

	for (int i = 0; i < 4; i++)
		g->s.dr[i] = 0x1000 * (i + 1);
	g->s.dr[6] = 0xffff0ff1;
	g->s.dr[7] = 0x455;
	assert_int_equal(set(g, &g->s, X86_STATE_DEBUG), 0);
	assert_int_equal(get(g, &s, X86_STATE_DEBUG), 0);
	assert_memory_equal(s.dr, g->s.dr, sizeof(s.dr));
	guest_free(g);
}

static uint64_t msr(const struct x86_cpu_state *s, uint32_t index)
{
	for (uint32_t i = 0; i < s->n_msrs; i++)
		if (s->msr[i].index == index)
			return s->msr[i].value;
	fail_msg("no MSR %x", index);
	return 0;
}

static void msrs(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct x86_cpu_state s;

	g->s.n_msrs = 0;
	x86_cpu_state_set_msr(&g->s, STAR, 0x0023001000000000);
	x86_cpu_state_set_msr(&g->s, LSTAR, 0xffffffff81000000);
	x86_cpu_state_set_msr(&g->s, KERNEL_GS_BASE, 0xffff888000000000);
	x86_cpu_state_set_msr(&g->s, 0x277, 0x0407050600070106);
	x86_cpu_state_set_msr(&g->s, 0x2ff, 0xc06); /* MTRRs */
	x86_cpu_state_set_msr(&g->s, 0x250, 0x0606060606060606);
	x86_cpu_state_set_msr(&g->s, 0x7777, 0); /* does not exist, holds nothing */
	assert_int_equal(set(g, &g->s, X86_STATE_MSRS), 0);
	assert_int_equal(get(g, &s, X86_STATE_MSRS), 0);
	print_message("%u MSRs are state\n", s.n_msrs);
	for (uint32_t i = 0; i < g->s.n_msrs - 1; i++)
		assert_int_equal(msr(&s, g->s.msr[i].index), g->s.msr[i].value);
	assert_true(msr(&s, TSC) > 0);
	/* What was read can be written back. */
	assert_int_equal(set(g, &s, X86_STATE_MSRS), 0);
	/* A value for one that does not exist would be lost. */
	x86_cpu_state_set_msr(&g->s, 0x7777, 1);
	assert_int_equal(set(g, &g->s, X86_STATE_MSRS), -EINVAL);
	g->s.n_msrs = X86_MSR_MAX + 1;
	assert_int_equal(set(g, &g->s, X86_STATE_MSRS), -EINVAL);
	guest_free(g);
}

static void events(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct x86_cpu_state s;

	/* A page fault that is pending with its address as payload, an NMI behind it. */
	g->s.events = (struct x86_events){ .exception_pending = 1,
		.exception_nr = 14,
		.exception_has_error = 1,
		.exception_error = 2,
		.exception_has_payload = 1,
		.exception_payload = 0x123000,
		.nmi_pending = 1,
		.interrupt_shadow = 1 };
	assert_int_equal(set(g, &g->s, X86_STATE_EVENTS), 0);
	assert_int_equal(get(g, &s, X86_STATE_EVENTS), 0);
	assert_int_equal(s.events.exception_pending, 1);
	assert_int_equal(s.events.exception_nr, 14);
	assert_int_equal(s.events.exception_error, 2);
	assert_int_equal(s.events.exception_has_payload, 1);
	assert_int_equal(s.events.exception_payload, 0x123000);
	assert_int_equal(s.events.nmi_pending, 1);
	/* AMD's hardware does not tell STI's shadow from MOV SS's. */
	assert_int_equal(s.events.interrupt_shadow & 1, 1);
	guest_free(g);
}

static void triple_fault_pending(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct x86_cpu_state s;

	if (kvm_ioctl_val(to_kvm_vm(g->vm)->fd, KVM_CHECK_EXTENSION,
		    KVM_CAP_X86_TRIPLE_FAULT_EVENT) <= 0) {
		guest_free(g);
		skip();
	}
	g->s.events = (struct x86_events){ .triple_fault_pending = 1 };
	assert_int_equal(set(g, &g->s, X86_STATE_EVENTS), 0);
	assert_int_equal(get(g, &s, X86_STATE_EVENTS), 0);
	assert_int_equal(s.events.triple_fault_pending, 1);
	guest_free(g);
}

static void mp_state(void **state)
{
	static const int states[] = { X86_MP_HALTED, X86_MP_UNINITIALIZED, X86_MP_RUNNABLE };
	struct guest *g = guest_new(MODE_LONG);
	struct x86_cpu_state s;

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		g->s.mp_state = states[i];
		assert_int_equal(set(g, &g->s, X86_STATE_MP), 0);
		assert_int_equal(get(g, &s, X86_STATE_MP), 0);
		assert_int_equal(s.mp_state, states[i]);
	}
	g->s.mp_state = 77;
	assert_int_equal(set(g, &g->s, X86_STATE_MP), -EINVAL);
	guest_free(g);
}

static uint32_t apic_reg(const struct x86_cpu_state *s, unsigned int reg)
{
	uint32_t v;

	memcpy(&v, s->lapic + reg, 4);
	return v;
}

static void lapic(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct x86_cpu_state s;
	uint32_t v = 0x1ff;

	assert_int_equal(set(g, &g->s, X86_STATE_LAPIC), 0);
	assert_int_equal(get(g, &s, X86_STATE_LAPIC), 0);
	assert_int_equal(apic_reg(&s, 0x20), 0);
	memcpy(g->s.lapic + 0xf0, &v, 4); /* enabled */
	v = 0x300000;
	memcpy(g->s.lapic + 0x320, &v, 4);
	assert_int_equal(set(g, &g->s, X86_STATE_LAPIC), 0);
	assert_int_equal(get(g, &s, X86_STATE_LAPIC), 0);
	assert_int_equal(apic_reg(&s, 0xf0), 0x1ff);
	guest_free(g);
}

/* x2APIC: the ID register is the whole id, whatever format KVM keeps it in. */
static void x2apic_id(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct error err = ERROR_INIT;
	struct kvm_vcpu *ap = kvm_vcpu_make(to_kvm_vm(g->vm), 5, &err);
	struct x86_cpuid *c = calloc(1, sizeof(*c));
	struct x86_cpu_state s;

	assert_non_null(ap);
	assert_true(kvm_accel.cpuid_supported(g->vm, c, &err));
	assert_true(kvm_accel.vcpu_set_cpuid(&ap->base, c, &err));
	free(c);
	x86_cpu_state_reset(&s, 5, false);
	s.apic_base |= 1 << 10;
	assert_int_equal(kvm_accel.vcpu_set(&ap->base, &s, X86_STATE_SREGS), 0);
	assert_int_equal(kvm_accel.vcpu_get(&ap->base, &s, X86_STATE_SREGS | X86_STATE_LAPIC), 0);
	assert_int_equal(apic_reg(&s, 0x20), 5);
	assert_int_equal(kvm_accel.vcpu_set(&ap->base, &s, X86_STATE_SREGS | X86_STATE_LAPIC), 0);
	memset(&s, 0, sizeof(s));
	assert_int_equal(kvm_accel.vcpu_get(&ap->base, &s, X86_STATE_SREGS | X86_STATE_LAPIC), 0);
	assert_int_equal(apic_reg(&s, 0x20), 5);
	kvm_vcpu_free(&ap->base);
	guest_free(g);
}

/* The state of one VM's vCPU, whole, into another VM's; what it ran goes on there. */
GUEST(count64, 64, "1: inc %rbx\n mov %ebx, %eax\n out %eax, $0x42\n jmp 1b");

static void moves_to_another_vm(void **state)
{
	struct guest *a = guest_new(MODE_LONG), *b = guest_new(MODE_REAL);
	struct x86_cpu_state s, t;

	GUEST_LOAD(a, count64);
	for (uint32_t i = 1; i <= 3; i++) {
		guest_expect_port(a, 0x42, 4, true);
		assert_memory_equal(a->e.port.data, &i, 4);
	}
	assert_int_equal(get(a, &s, X86_STATE_ALL), 0);
	memcpy(b->ram->host, a->ram->host, G_RAM);
	assert_int_equal(set(b, &s, X86_STATE_ALL), 0);
	assert_int_equal(get(b, &t, X86_STATE_ALL & ~X86_STATE_MSRS), 0);
	assert_memory_equal(t.gpr, s.gpr, sizeof(s.gpr));
	assert_int_equal(t.rip, s.rip);
	assert_memory_equal(t.lapic, s.lapic, 0x380);
	for (uint32_t i = 4; i <= 6; i++) {
		guest_expect_port(b, 0x42, 4, true);
		assert_memory_equal(b->e.port.data, &i, 4);
	}
	guest_free(a);
	guest_free(b);
}

/* The access of the last exit is finished before the state is taken: a read's result is in it. */
GUEST(in64, 64, "in $0x42, %al\n out %al, $0x99\n hlt");

static void access_is_finished_first(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct x86_cpu_state s;

	GUEST_LOAD(g, in64);
	guest_expect_port(g, 0x42, 1, false);
	g->e.port.data[0] = 0xab;
	assert_int_equal(get(g, &s, X86_STATE_REGS), 0);
	assert_int_equal(s.gpr[X86_RAX] & 0xff, 0xab);
	assert_int_equal(s.rip, G_CODE + 2);
	guest_expect_done(g);
	assert_int_equal(g->e.port.data[0], 0xab);
	guest_free(g);
}

/* A store over a page's end comes out in two pieces. */
GUEST(two64, 64, "mov $0x1122334455667788, %rax\n mov %rax, 0x3f000ffc\n out %al, $0x99\n hlt");

/* Looking at the state between the pieces loses neither. */
static void pieces_are_kept(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct x86_cpu_state s;

	GUEST_LOAD(g, two64);
	assert_int_equal(guest_next(g), VCPU_EXIT_MEM);
	assert_int_equal(g->e.mem.addr, G_MMIO + 0xffc);
	assert_int_equal(get(g, &s, X86_STATE_REGS), 0);
	assert_int_equal(get(g, &s, X86_STATE_REGS), 0);
	assert_int_equal(guest_next(g), VCPU_EXIT_MEM);
	assert_int_equal(g->e.mem.addr, G_MMIO + 0x1000);
	assert_memory_equal(g->e.mem.data, "\x44\x33\x22\x11", 4);
	guest_expect_done(g);
	guest_free(g);
}

/* A reset between the pieces: nothing of the old instruction goes on in the new state. */
static void reset_inside_an_access(void **state)
{
	struct guest *g = guest_new(MODE_LONG);

	for (int i = 0; i < 2; i++) {
		GUEST_LOAD(g, two64);
		assert_int_equal(guest_next(g), VCPU_EXIT_MEM);
		GUEST_LOAD(g, in64);
		guest_expect_port(g, 0x42, 1, false);
		GUEST_LOAD(g, count64);
		for (uint32_t k = 1; k <= 2; k++) {
			guest_expect_port(g, 0x42, 4, true);
			assert_memory_equal(g->e.port.data, &k, 4);
		}
	}
	guest_free(g);
}

/* Power-on state over one that ran: as after a reset of the machine. */
static void reset(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct x86_cpu_state s;

	GUEST_LOAD(g, count64);
	guest_expect_port(g, 0x42, 4, true);
	x86_cpu_state_reset(&g->s, 0, true);
	assert_int_equal(set(g, &g->s, X86_STATE_ALL), 0);
	assert_int_equal(get(g, &s, X86_STATE_ALL), 0);
	assert_int_equal(s.rip, 0xfff0);
	assert_int_equal(s.seg[X86_CS].base, 0xffff0000);
	assert_int_equal(s.efer, 0);
	assert_int_equal(s.cr0, 0x60000010);
	assert_int_equal(msr(&s, LSTAR), 0);
	assert_int_equal(apic_reg(&s, 0x350), 0x700);
	guest_free(g);
}

static void cpu_models(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct x86_cpuid *sup = calloc(1, sizeof(*sup)), *c = calloc(1, sizeof(*c));
	struct x86_cpu_model_request r = {
		.topology = { 1, 2, 2 }, .hypervisor_leaf = true, .tsc_khz = g->vm->tsc_khz
	};
	struct error err = ERROR_INIT;
	char buf[256];

	assert_true(kvm_accel.cpuid_supported(g->vm, sup, &err));
	for (unsigned int i = 0; x86_cpuid_model_name(i); i++) {
		const char *problem;
		struct kvm_vcpu *v = kvm_vcpu_make(to_kvm_vm(g->vm), 10 + i, &err);

		assert_non_null(v);
		r.model = x86_cpuid_model_name(i);
		problem = x86_cpuid_build(&r, sup, 10 + i, c, buf, sizeof(buf));
		if (problem) {
			print_message("%s: %s\n", r.model, problem);
			assert_null(strstr("host max base", r.model)); /* always possible */
		} else if (!kvm_accel.vcpu_set_cpuid(&v->base, c, &err)) {
			fail_msg("%s: %s", r.model, err.msg);
		}
		kvm_vcpu_free(&v->base);
	}
	print_message("guest TSC: %u kHz\n", g->vm->tsc_khz);
	free(sup);
	free(c);
	guest_free(g);
}

static void clock_stands(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	uint64_t a, b;

	assert_int_equal(kvm_accel.clock_set(g->vm, 5000000000), 0);
	assert_int_equal(kvm_accel.clock_get(g->vm, &a), 0);
	assert_true(a >= 5000000000 && a < 65000000000);
	assert_int_equal(kvm_accel.clock_get(g->vm, &b), 0);
	assert_true(b >= a);
	/* Stood still while paused: put back what it was. */
	assert_int_equal(kvm_accel.clock_set(g->vm, a), 0);
	/* No guest kvmclock: nobody to tell, no error. */
	assert_int_equal(kvm_accel.vcpu_stalled(g->vcpu), 0);
	guest_free(g);
}

/* A guest that uses kvmclock: it sees time, and is told of a pause. */
GUEST(kvmclock64, 64,
	"mov $0x4b564d01, %ecx\n mov $0x30001, %eax\n xor %edx, %edx\n wrmsr\n"
	"out %al, $0x42\n out %al, $0x99\n hlt");

static void kvmclock(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	uint32_t version, mul;

	assert_int_equal(kvm_accel.clock_set(g->vm, 7000000000), 0);
	GUEST_LOAD(g, kvmclock64);
	guest_expect_port(g, 0x42, 1, true);
	memcpy(&version, g->ram->host + G_DATA, 4);
	memcpy(&mul, g->ram->host + G_DATA + 24, 4);
	assert_int_equal(version & 1, 0);
	assert_true(version > 0);
	assert_int_not_equal(mul, 0);
	assert_true(guest_get64(g, G_DATA + 16) >= 7000000000);
	assert_int_equal(kvm_accel.vcpu_stalled(g->vcpu), 0);
	guest_expect_done(g);
	assert_true(g->ram->host[G_DATA + 29] & 2); /* PVCLOCK_GUEST_STOPPED */
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers),
		cmocka_unit_test(segments),
		cmocka_unit_test(fpu),
		cmocka_unit_test(debug),
		cmocka_unit_test(msrs),
		cmocka_unit_test(events),
		cmocka_unit_test(triple_fault_pending),
		cmocka_unit_test(mp_state),
		cmocka_unit_test(lapic),
		cmocka_unit_test(x2apic_id),
		cmocka_unit_test(moves_to_another_vm),
		cmocka_unit_test(access_is_finished_first),
		cmocka_unit_test(pieces_are_kept),
		cmocka_unit_test(reset_inside_an_access),
		cmocka_unit_test(reset),
		cmocka_unit_test(cpu_models),
		cmocka_unit_test(clock_stands),
		cmocka_unit_test(kvmclock),
	};

	return guest_testing_skip() ?: cmocka_run_group_tests(tests, NULL, NULL);
}
