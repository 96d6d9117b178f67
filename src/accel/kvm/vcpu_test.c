// SPDX-License-Identifier: GPL-2.0-or-later
/* vCPUs: kicks of which none is lost, many vCPUs, start-up of application processors. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include "accel/kvm/guest_testing.h"
#include "base/clock.h"

#define KICKS 10000

/* Runs for ever without an exit. */
GUEST(spin64, 64, "1: pause\n jmp 1b");
/* Exits as often as it can. */
GUEST(exits64, 64, "1: out %al, $0x77\n jmp 1b");
/* Sleeps: woken by nothing. */
GUEST(halts64, 64, "1: hlt\n jmp 1b");

/* A kick that comes before the run. */
static void kick_before(void **state)
{
	struct guest *g = guest_new(MODE_LONG);

	GUEST_LOAD(g, spin64);
	for (int i = 0; i < 100; i++) {
		kvm_accel.vcpu_kick(g->vcpu);
		guest_run(g);
		assert_int_equal(g->e.kind, VCPU_EXIT_NONE);
	}
	guest_free(g);
}

/* Several kicks are one return; a kick does not undo an access that is under way. */
static void kick_in_an_access(void **state)
{
	struct guest *g = guest_new(MODE_LONG);

	GUEST_LOAD(g, exits64);
	guest_expect_port(g, 0x77, 1, true);
	kvm_accel.vcpu_kick(g->vcpu);
	kvm_accel.vcpu_kick(g->vcpu);
	guest_run(g);
	assert_int_equal(g->e.kind, VCPU_EXIT_NONE);
	guest_run(g);
	assert_int_equal(g->e.kind, VCPU_EXIT_PORT);
	guest_free(g);
}

/*
 * The protocol of core: a request is posted, then the vCPU is kicked; the vCPU looks for requests
 * after every return and answers. The kicker waits for the answer, so a lost kick is a hang, which
 * the watchdog below turns into a failure.
 */
struct race {
	struct guest *g;
	const uint8_t *code, *end;
	_Atomic uint32_t posted, answered;
	_Atomic bool ready, quit;
};

static void *race_vcpu(void *arg)
{
	struct race *r = arg;

	r->g = guest_new(MODE_LONG);
	guest_load(r->g, r->code, r->end);
	atomic_store(&r->ready, true);
	while (!atomic_load(&r->quit)) {
		guest_run(r->g);
		atomic_store(&r->answered, atomic_load(&r->posted));
	}
	return NULL;
}

static void race(const uint8_t *code, const uint8_t *code_end)
{
	struct race r = { .code = code, .end = code_end };
	int64_t end = clock_mono_ns() + 20 * NS_PER_SEC;
	uint32_t i;
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, race_vcpu, &r), 0);
	while (!atomic_load(&r.ready))
		usleep(100);
	for (i = 1; i <= KICKS && clock_mono_ns() < end; i++) {
		int64_t deadline = clock_mono_ns() + 30 * NS_PER_SEC;

		for (volatile uint32_t d = 0; d < i % 64 * 8; d++)
			;
		atomic_store(&r.posted, i);
		kvm_accel.vcpu_kick(r.g->vcpu);
		for (uint32_t n = 0; atomic_load(&r.answered) < i; n++) {
			/* On one CPU the vCPU has it: give way. */
			if (n > 1000)
				usleep(20);
			if (clock_mono_ns() > deadline)
				fail_msg("kick %u was lost", i);
		}
	}
	if (i <= KICKS)
		print_message("%u kicks only: a slow machine\n", i - 1);
	atomic_store(&r.quit, true);
	kvm_accel.vcpu_kick(r.g->vcpu);
	pthread_join(t, NULL);
	guest_free(r.g);
}

static void kick_race_spinning(void **state)
{
	race(spin64, spin64_end);
}

static void kick_race_exiting(void **state)
{
	race(exits64, exits64_end);
}

static void kick_race_halted(void **state)
{
	race(halts64, halts64_end);
}

/* -------- many, and their start -------- */

static void many_vcpus(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct error err = ERROR_INIT;
	struct kvm_vcpu *v[64] = { to_kvm_vcpu(g->vcpu) };

	for (uint32_t i = 1; i < 64; i++) {
		v[i] = kvm_vcpu_make(to_kvm_vm(g->vm), i, &err);
		if (!v[i])
			fail_msg("%s", err.msg);
	}
	/* The same id again is refused, with words. */
	assert_null(kvm_vcpu_make(to_kvm_vm(g->vm), 5, &err));
	assert_non_null(strstr(err.msg, "APIC id 5"));
	for (uint32_t i = 1; i < 64; i++)
		kvm_accel.vcpu_free(&v[i]->base);
	guest_free(g);
}

static void too_many_vcpus(void **state)
{
	struct accel_vm_config c = { .max_vcpus = 1000000, .max_apic_id = 1 };
	struct error err = ERROR_INIT;

	assert_null(kvm_accel.vm_new(NULL, &c, &err));
	assert_non_null(strstr(err.msg, "1000000 vCPUs"));
	assert_int_equal(err.kind, ERROR_USAGE);
}

static void wide_apic_ids(void **state)
{
	struct accel_vm_config c = { .max_vcpus = 2, .max_apic_id = 300 };
	struct error err = ERROR_INIT;
	struct accel_vm *vm = kvm_accel.vm_new(NULL, &c, &err);
	struct kvm_vcpu *v;

	assert_non_null(vm);
	v = kvm_vcpu_make(to_kvm_vm(vm), 300, &err);
	if (!v)
		fail_msg("%s", err.msg);
	kvm_accel.vcpu_free(&v->base);
	kvm_accel.vm_free(vm);
}

/* The boot processor starts another one by INIT and SIPI; that one's answer comes from its own
 * thread, which waited in guest mode until then, and can be kicked out of waiting. */
GUEST(bsp64, 64,
	"mov $0xfee00000, %ebx\n"
	"movl $0x1ff, 0xf0(%rbx)\n"
	"movl $0x01000000, 0x310(%rbx)\n movl $0x4500, 0x300(%rbx)\n"
	"out %al, $0x77\n"
	"movl $0x01000000, 0x310(%rbx)\n movl $0x4609, 0x300(%rbx)\n" /* page 9 */
	"out %al, $0x99\n hlt");
GUEST(ap16, 16, "mov $0xab, %al\n out %al, $0x78\n 1: hlt\n jmp 1b");

struct ap {
	struct guest *g;
	struct kvm_vcpu *v;
	_Atomic bool ready, started, quit;
	_Atomic uint32_t nones;
	struct vcpu_exit e;
};

static void *ap_thread(void *arg)
{
	struct ap *a = arg;
	struct error err = ERROR_INIT;

	a->v = kvm_vcpu_make(to_kvm_vm(a->g->vm), 1, &err);
	atomic_store(&a->ready, true);
	while (a->v && !atomic_load(&a->quit)) {
		if (kvm_accel.vcpu_run(&a->v->base, &a->e) < 0)
			break;
		if (a->e.kind == VCPU_EXIT_PORT && a->e.port.port == 0x78)
			atomic_store(&a->started, a->e.port.data[0] == 0xab);
		if (a->e.kind == VCPU_EXIT_NONE)
			atomic_fetch_add(&a->nones, 1);
	}
	return NULL;
}

static void wait_for(_Atomic bool *flag)
{
	for (int i = 0; i < 20000 && !atomic_load(flag); i++)
		usleep(1000);
	assert_true(atomic_load(flag));
}

static void starts_another(void **state)
{
	struct ap a = { .g = guest_new(MODE_LONG) };
	struct x86_cpu_state s;
	pthread_t t;

	guest_put64(a.g, G_PDPT + 24, 0x15000 | 7);
	guest_put64(a.g, 0x15000 + 8 * 503, 0xfee00000 | 0x97);
	memcpy(a.g->ram->host + 0x9000, ap16, ap16_end - ap16);
	GUEST_LOAD(a.g, bsp64);
	assert_int_equal(pthread_create(&t, NULL, ap_thread, &a), 0);
	wait_for(&a.ready);
	assert_non_null(a.v);
	/* Waiting, it can be kicked. */
	kvm_accel.vcpu_kick(&a.v->base);
	for (int i = 0; i < 20000 && !atomic_load(&a.nones); i++)
		usleep(1000);
	assert_true(atomic_load(&a.nones) > 0);
	assert_false(atomic_load(&a.started));
	guest_expect_port(a.g, 0x77, 1, true);
	guest_expect_done(a.g);
	wait_for(&a.started);
	atomic_store(&a.quit, true);
	kvm_accel.vcpu_kick(&a.v->base);
	pthread_join(t, NULL);
	assert_int_equal(kvm_accel.vcpu_get(&a.v->base, &s, X86_STATE_ALL), 0);
	assert_int_equal(s.seg[X86_CS].base, 0x9000);
	assert_in_range(s.mp_state, X86_MP_RUNNABLE, X86_MP_SIPI_RECEIVED);
	kvm_accel.vcpu_free(&a.v->base);
	guest_free(a.g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kick_before),
		cmocka_unit_test(kick_in_an_access),
		cmocka_unit_test(kick_race_spinning),
		cmocka_unit_test(kick_race_exiting),
		cmocka_unit_test(kick_race_halted),
		cmocka_unit_test(many_vcpus),
		cmocka_unit_test(too_many_vcpus),
		cmocka_unit_test(wide_apic_ids),
		cmocka_unit_test(starts_another),
	};

	return guest_testing_skip() ?: cmocka_run_group_tests(tests, NULL, NULL);
}
