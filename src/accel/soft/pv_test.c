// SPDX-License-Identifier: GPL-2.0-or-later
/* KVM's paravirtual MSRs: a guest that KVM has saved goes on here, and back. */
#include <unistd.h>
#include "accel/soft/pv.h"
#include "accel/soft/soft_testing.h"
#include "accel/soft/mmu.h"

#define PAGE   (G_DATA + 0x40) /* 64 bytes, aligned */
#define VECTOR 0xf3

/* What KVM gives of a Linux guest that uses all of it. */
static const struct x86_msr saved[] = {
	{ MSR_KVM_ASYNC_PF, PAGE | 9 },
	{ MSR_KVM_STEAL_TIME, (PAGE + 0x40) | 1 },
	{ MSR_KVM_PV_EOI, (PAGE + 0x84) | 1 },
	{ MSR_KVM_POLL_CONTROL, 0 },
	{ MSR_KVM_ASYNC_PF_INT, VECTOR },
	{ MSR_KVM_ASYNC_PF_ACK, 0 },
};

/* clang-format off */
GUEST(pv_guest, 64,
	"mov $0x1b, %ecx; rdmsr; or $0xc00, %eax; wrmsr\n" /* x2APIC, on */
	"mov $0x80f, %ecx; mov $0x1ff, %eax; xor %edx, %edx; wrmsr\n"
	"xor %eax, %eax; out %al, $0x99\n"
	"sti\n"
	"1: pause; jmp 1b\n"
	"pv_ready:\n"
	"mov 0x30044, %eax; movl $0, 0x30044\n" /* the token, taken */
	"mov %eax, 0x30008; incq 0x30010\n"
	"mov $0x4b564d07, %ecx; mov $1, %eax; xor %edx, %edx; wrmsr\n"
	"mov $0x80b, %ecx; xor %eax, %eax; wrmsr\n"
	"out %al, $0x98; iretq\n");
/* clang-format on */
extern const uint8_t pv_ready[];

static struct guest *new_guest(void)
{
	struct guest *g = soft_guest_new(MODE_LONG);

	guest_gate(g, VECTOR, G_CODE + (pv_ready - pv_guest));
	GUEST_LOAD(g, pv_guest);
	guest_run(g);
	assert_int_equal(g->e.kind, VCPU_EXIT_PORT);
	assert_int_equal(g->e.port.port, 0x99);
	return g;
}

static void put_saved(struct guest *g)
{
	assert_int_equal(g->accel->vcpu_get(g->vcpu, &g->s, X86_STATE_ALL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(saved); i++)
		assert_true(x86_cpu_state_set_msr(&g->s, saved[i].index, saved[i].value));
	assert_int_equal(g->accel->vcpu_set(g->vcpu, &g->s, X86_STATE_ALL), 0);
}

static uint64_t msr_of(const struct x86_cpu_state *s, uint32_t index)
{
	for (uint32_t i = 0; i < s->n_msrs; i++)
		if (s->msr[i].index == index)
			return s->msr[i].value;
	fail_msg("MSR %#x is not in the state", index);
	return 0;
}

static void there_and_back(void **state)
{
	struct guest *g = new_guest();

	put_saved(g);
	assert_int_equal(g->accel->vcpu_get(g->vcpu, &g->s, X86_STATE_ALL), 0);
	for (size_t i = 0; i + 1 < ARRAY_SIZE(saved); i++)
		assert_int_equal(msr_of(&g->s, saved[i].index), saved[i].value);
	guest_free(g);
}

/* Tasks that wait for a page are all woken, by the guest's vector; once, and only after the guest has
 * taken what was told before. */
static void waiting_tasks(void **state)
{
	struct guest *g = new_guest();

	put_saved(g);
	guest_run(g);
	assert_int_equal(g->e.kind, VCPU_EXIT_PORT);
	assert_int_equal(g->e.port.port, 0x98);
	assert_int_equal((uint32_t)guest_get64(g, G_DATA + 8), UINT32_MAX);
	assert_int_equal(guest_get64(g, G_DATA + 0x10), 1);
	assert_false(soft_of(g)->pv.apf_wake);
	/* One that is not taken yet. */
	guest_put64(g, PAGE, 0x1234ull << 32);
	put_saved(g);
	soft_irq_self(soft_of(g), VECTOR);
	guest_run(g);
	assert_int_equal((uint32_t)guest_get64(g, G_DATA + 8), 0x1234);
	guest_run(g);
	assert_int_equal((uint32_t)guest_get64(g, G_DATA + 8), UINT32_MAX);
	assert_int_equal(guest_get64(g, G_DATA + 0x10), 3);
	guest_free(g);
}

/* The page says that the CPU was not running and that its TLB is to be flushed. */
static void preempted(void **state)
{
	struct guest *g = new_guest();
	struct soft_vcpu *v = soft_of(g);
	uint64_t flushes;

	guest_put64(g, PAGE + 0x40 + 16, 3);
	put_saved(g);
	flushes = v->count.flushes;
	guest_run(g);
	assert_int_equal(guest_get64(g, PAGE + 0x40 + 16) & 0xff, 0);
	assert_true(v->count.flushes > flushes);
	guest_free(g);
}

static void stolen_time(void **state)
{
	struct guest *g = new_guest();
	struct soft_vcpu *v = soft_of(g);
	uint64_t steal;

	guest_put64(g, PAGE + 0x40, 1000);
	guest_put64(g, PAGE + 0x48, 7); /* version: another one was interrupted */
	put_saved(g);
	soft_pv_enter(v);
	usleep(30000);
	soft_pv_account(v);
	steal = guest_get64(g, PAGE + 0x40);
	assert_in_range(steal, 1000 + 25000000ull, 1000 + 60000000000ull);
	assert_int_equal(guest_get64(g, PAGE + 0x48), 10);
	/* Asleep in HLT nothing is stolen. */
	soft_pv_enter(v);
	usleep(30000);
	v->pv.slept += 60ull * 1000000000;
	soft_pv_account(v);
	assert_int_equal(guest_get64(g, PAGE + 0x40), steal);
	/* Nor from who has not asked. */
	assert_true(soft_pv_write(v, MSR_KVM_STEAL_TIME, PAGE + 0x40, false));
	soft_pv_enter(v);
	usleep(15000);
	soft_pv_account(v);
	assert_int_equal(guest_get64(g, PAGE + 0x40), steal);
	guest_free(g);
}

static void values_are_checked(void **state)
{
	static const struct x86_msr bad[] = {
		{ MSR_KVM_ASYNC_PF, 0x10 },
		{ MSR_KVM_ASYNC_PF, 0x20 },
		{ MSR_KVM_STEAL_TIME, 0x20 },
		{ MSR_KVM_STEAL_TIME, 2 },
		{ MSR_KVM_PV_EOI, 2 },
		{ MSR_KVM_POLL_CONTROL, 2 },
		{ MSR_KVM_ASYNC_PF_INT, 0x100 },
	};
	struct guest *g = soft_guest_new(MODE_LONG);
	struct soft_vcpu *v = soft_of(g);
	struct x86_cpuid none = { .n = 0 };
	struct error err = ERROR_INIT;
	uint64_t x;

	assert_true(soft_msr_read(v, MSR_KVM_POLL_CONTROL, &x));
	assert_int_equal(x, 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (soft_msr_write(v, bad[i].index, bad[i].value))
			fail_msg("MSR %#x takes %#llx", bad[i].index,
				(unsigned long long)bad[i].value);
	/* Pages where there is no memory. */
	for (uint64_t at = ~0ull << 6; at; at <<= 6) {
		assert_true(soft_msr_write(v, MSR_KVM_STEAL_TIME, at | 1));
		assert_true(soft_msr_restore(v, MSR_KVM_ASYNC_PF, at | 9));
		soft_pv_enter(v);
		v->pv.since -= 1000000000;
		soft_pv_account(v);
		assert_true(soft_msr_write(v, MSR_KVM_ASYNC_PF_ACK, 1));
	}
	/* What CPUID does not announce is not there. */
	assert_true(g->accel->vcpu_set_cpuid(g->vcpu, &none, &err));
	for (uint32_t m = MSR_KVM_ASYNC_PF; m <= MSR_KVM_ASYNC_PF_ACK; m++)
		assert_false(soft_msr_read(v, m, &x) || soft_msr_write(v, m, 0));
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(waiting_tasks),
		cmocka_unit_test(preempted),
		cmocka_unit_test(stolen_time),
		cmocka_unit_test(values_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
