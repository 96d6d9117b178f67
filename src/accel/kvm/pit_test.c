// SPDX-License-Identifier: GPL-2.0-or-later
/* The PIT that is made when a guest first needs it. */
#include <pthread.h>
#include "accel/kvm/guest_testing.h"
#include "x86/pit.h"

static bool kernel_has_it(const struct guest *g)
{
	return to_kvm_vm(g->vm)->has_pit;
}

static struct guest *pit_guest(void)
{
	return guest_new_chips(MODE_REAL, ACCEL_IRQCHIP_FULL, true);
}

GUEST(nothing16, 16, "mov $1, %al\n out %al, $0x80\n out %al, $0x99\n hlt");
/* Channel 0 in mode 2 with 1193; says so in between. */
GUEST(program16, 16,
	"mov $0x34, %al\n out %al, $0x43\n out %al, $0x80\n"
	"mov $0xa9, %al\n out %al, $0x40\n out %al, $0x80\n"
	"mov $0x04, %al\n out %al, $0x40\n out %al, $0x99\n hlt");
/* Channel 2 in mode 0 as for calibration: until its output rises. */
GUEST(poll16, 16,
	"mov $0, %al\n out %al, $0x61\n"
	"mov $0xb0, %al\n out %al, $0x43\n"
	"mov $0, %al\n out %al, $0x42\n mov $2, %al\n out %al, $0x42\n"
	"mov $1, %al\n out %al, $0x61\n"
	"1: in $0x61, %al\n test $0x20, %al\n jz 1b\n"
	"out %al, $0x99\n hlt");
/* A word, and a string of three, of the control port: it cannot be read. */
GUEST(wide16, 16,
	"mov $-1, %ax\n in $0x43, %ax\n out %ax, $0x80\n"
	"cld\n xor %ax, %ax\n mov %ax, %es\n mov $0x9000, %di\n mov $0x43, %dx\n mov $3, %cx\n"
	"rep insb\n out %al, $0x99\n hlt");

static void untouched(void **state)
{
	struct guest *g = pit_guest();
	struct x86_chips_state s;

	GUEST_LOAD(g, nothing16);
	guest_expect_port(g, 0x80, 1, true);
	guest_expect_done(g);
	assert_int_equal(kvm_accel.chips_get(g->vm, &s), 0);
	assert_true(x86_pit_is_reset(&s.pit));
	assert_int_equal(kvm_accel.chips_set(g->vm, &s), 0);
	assert_false(kernel_has_it(g));
	guest_free(g);
}

/* The accesses are the engine's: the machine sees none of them. */
static void programmed(void **state)
{
	struct guest *g = pit_guest();
	struct x86_chips_state s;

	GUEST_LOAD(g, program16);
	guest_expect_port(g, 0x80, 1, true);
	assert_false(kernel_has_it(g));
	guest_expect_port(g, 0x80, 1, true);
	assert_false(kernel_has_it(g));
	guest_expect_done(g);
	assert_true(kernel_has_it(g));
	assert_int_equal(kvm_accel.chips_get(g->vm, &s), 0);
	assert_int_equal(s.pit.channel[0].mode, 2);
	assert_int_equal(s.pit.channel[0].count, 1193);
	assert_int_equal(s.pit.channel[0].rw_mode, 3);
	assert_int_equal(s.pit.channel[1].mode, X86_PIT_MODE_NONE);
	guest_free(g);
}

static void polled(void **state)
{
	struct guest *g = pit_guest();

	GUEST_LOAD(g, poll16);
	guest_expect_done(g);
	assert_true(kernel_has_it(g));
	assert_true(g->e.port.data[0] & 0x20);
	guest_free(g);
}

static void wide(void **state)
{
	struct guest *g = pit_guest();

	memset(g->ram->host + 0x9000, 0xee, 4);
	GUEST_LOAD(g, wide16);
	guest_expect_port(g, 0x80, 2, true);
	assert_int_equal(g->e.port.data[0], 0);
	assert_int_equal(g->e.port.data[1], 0);
	guest_expect_done(g);
	assert_memory_equal(g->ram->host + 0x9000, "\0\0\0\xee", 4);
	guest_free(g);
}

/* Half programmed, saved, loaded elsewhere, and gone on with there. */
static void saved_half_way(void **state)
{
	struct guest *g = pit_guest(), *h = pit_guest();
	struct x86_chips_state s;

	GUEST_LOAD(g, program16);
	guest_expect_port(g, 0x80, 1, true);
	guest_expect_port(g, 0x80, 1, true);
	assert_int_equal(kvm_accel.chips_get(g->vm, &s), 0);
	assert_int_equal(kvm_accel.vcpu_get(g->vcpu, &h->s, X86_STATE_ALL), 0);
	memcpy(h->ram->host, g->ram->host, G_RAM);
	guest_free(g);
	assert_int_equal(kvm_accel.chips_set(h->vm, &s), 0);
	assert_false(kernel_has_it(h));
	assert_int_equal(kvm_accel.vcpu_set(h->vcpu, &h->s, X86_STATE_ALL), 0);
	guest_expect_done(h);
	assert_true(kernel_has_it(h));
	assert_int_equal(kvm_accel.chips_get(h->vm, &s), 0);
	assert_int_equal(s.pit.channel[0].count, 1193);
	guest_free(h);
}

/* A running timer arrives, and a reset turns it off again. */
static void loaded_and_reset(void **state)
{
	struct guest *g = pit_guest();
	struct x86_chips_state s;

	assert_int_equal(kvm_accel.chips_get(g->vm, &s), 0);
	s.pit.channel[0] = (struct x86_pit_channel_state){
		.count = 11932, .rw_mode = 3, .mode = 2, .gate = 1
	};
	assert_int_equal(kvm_accel.chips_set(g->vm, &s), 0);
	assert_true(kernel_has_it(g));
	x86_pit_reset(&s.pit);
	assert_int_equal(kvm_accel.chips_set(g->vm, &s), 0);
	assert_int_equal(kvm_accel.chips_get(g->vm, &s), 0);
	assert_true(x86_pit_is_reset(&s.pit));
	guest_free(g);
}

/* Nothing at all of a PIT, as from a machine without: as little comes of it. */
static void loaded_zero(void **state)
{
	struct guest *g = pit_guest();
	struct x86_chips_state s;

	assert_int_equal(kvm_accel.chips_get(g->vm, &s), 0);
	memset(&s.pit, 0, sizeof(s.pit));
	assert_int_equal(kvm_accel.chips_set(g->vm, &s), 0);
	assert_false(kernel_has_it(g));
	guest_free(g);
}

/* Message routes that were there before stay. */
static void routes_stay(void **state)
{
	struct guest *g = pit_guest();
	struct accel_msi r = { 30, 0xfee00000, 0x41 };

	assert_int_equal(kvm_accel.routes_set(g->vm, &r, 1), 0);
	GUEST_LOAD(g, program16);
	while (!kernel_has_it(g))
		assert_int_equal(guest_next(g), VCPU_EXIT_PORT);
	assert_int_equal(to_kvm_vm(g->vm)->routes->entries[0].gsi, 30);
	assert_true(to_kvm_vm(g->vm)->routes->nr > 1 + IRQ_GSI_PINS);
	guest_free(g);
}

/* -------- several vCPUs at once -------- */

#define RACERS 4
/* Speaker bits written and read back, channel 2 programmed and latched, again and again. */
GUEST(race16, 16,
	"mov $20, %cx\n"
	"1: mov $3, %al\n out %al, $0x61\n in $0x61, %al\n"
	"and $3, %al\n cmp $3, %al\n jne 2f\n"
	"mov $0xb6, %al\n out %al, $0x43\n mov $1, %al\n out %al, $0x42\n out %al, $0x42\n"
	"loop 1b\n mov $1, %al\n out %al, $0x99\n hlt\n"
	"2: mov $2, %al\n out %al, $0x99\n hlt");

struct racer {
	struct guest *g;
	uint32_t id;
	pthread_t thread;
	uint8_t result;
};

static void *race(void *arg)
{
	struct racer *r = arg;
	struct x86_cpu_state *s = calloc(1, sizeof(*s));
	struct error err = ERROR_INIT;
	struct vcpu_exit e;
	struct kvm_vcpu *v = kvm_vcpu_make(to_kvm_vm(r->g->vm), r->id, &err);

	*s = r->g->s;
	if (!v || kvm_accel.vcpu_set(&v->base, s, X86_STATE_REGS | X86_STATE_SREGS | X86_STATE_MP))
		goto out;
	do {
		if (kvm_accel.vcpu_run(&v->base, &e))
			goto out;
	} while (e.kind == VCPU_EXIT_NONE);
	if (e.kind == VCPU_EXIT_PORT && e.port.port == G_DONE)
		r->result = e.port.data[0];
out:
	kvm_accel.vcpu_free(v ? &v->base : NULL);
	free(s);
	return NULL;
}

static void races(void **state)
{
	struct guest *g = pit_guest();
	struct racer r[RACERS];

	GUEST_LOAD(g, race16);
	for (uint32_t i = 0; i < RACERS; i++) {
		r[i] = (struct racer){ .g = g, .id = i + 1 };
		assert_int_equal(pthread_create(&r[i].thread, NULL, race, &r[i]), 0);
	}
	for (int i = 0; i < RACERS; i++) {
		pthread_join(r[i].thread, NULL);
		assert_int_equal(r[i].result, 1);
	}
	assert_true(kernel_has_it(g));
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(untouched),
		cmocka_unit_test(programmed),
		cmocka_unit_test(polled),
		cmocka_unit_test(wide),
		cmocka_unit_test(saved_half_way),
		cmocka_unit_test(loaded_and_reset),
		cmocka_unit_test(loaded_zero),
		cmocka_unit_test(routes_stay),
		cmocka_unit_test(races),
	};

	return guest_testing_skip() ?: cmocka_run_group_tests(tests, NULL, NULL);
}
