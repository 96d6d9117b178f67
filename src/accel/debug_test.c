// SPDX-License-Identifier: GPL-2.0-or-later
/* A debugger's points, steps and addresses, on each engine that can run a guest here. */
#include "accel/kvm/guest_testing.h"
#include "accel/soft/soft_testing.h"

/* clang-format off */
GUEST(debug_guest, 64,
	"mov $0x30000, %ebx\n"
	"debug_first: movq $1, (%rbx)\n"
	"mov 8(%rbx), %rax\n"
	"debug_second: mov %rax, 16(%rbx)\n"
	"nop\n"
	"out %al, $0x99\n");
/* clang-format on */
extern const uint8_t debug_first[], debug_second[];

#define AT(label) (G_CODE + (uint64_t)((label)-debug_guest))

static void set(struct guest *g, const struct accel_debug *d)
{
	assert_int_equal(g->accel->vcpu_debug(g->vcpu, d), 0);
}

static uint64_t expect_debug(struct guest *g, uint64_t points)
{
	assert_int_equal(guest_next(g), VCPU_EXIT_DEBUG);
	assert_int_equal(g->e.debug.points, points);
	return g->e.debug.pc;
}

/* From the first instruction to the second. */
static void one_step(struct guest *g)
{
	GUEST_LOAD(g, debug_guest);
	set(g, &(struct accel_debug){ .step = true });
	assert_int_equal(expect_debug(g, 0), AT(debug_first));
	set(g, &(struct accel_debug){ 0 });
	guest_expect_done(g);
}

static void points_and_steps(struct guest *g)
{
	struct accel_debug d = { .n = 2,
		.point = { { .addr = AT(debug_second), .len = 1, .kind = ACCEL_DEBUG_EXEC },
			{ .addr = AT(debug_first), .len = 1, .kind = ACCEL_DEBUG_EXEC } } };
	uint64_t rip;

	guest_put64(g, G_DATA, 0);
	guest_put64(g, G_DATA + 8, 7);
	GUEST_LOAD(g, debug_guest);
	set(g, &d);
	assert_int_equal(expect_debug(g, 2), AT(debug_first));
	assert_int_equal(guest_get64(g, G_DATA), 0);
	/* One step over it, then on to the other. */
	set(g, &(struct accel_debug){ .step = true });
	rip = expect_debug(g, 0);
	assert_in_range(rip, AT(debug_first) + 1, AT(debug_second) - 1);
	assert_int_equal(guest_get64(g, G_DATA), 1);
	set(g, &d);
	assert_int_equal(expect_debug(g, 1), AT(debug_second));
	set(g, &(struct accel_debug){ 0 });
	guest_expect_done(g);
	assert_int_equal(guest_get64(g, G_DATA + 16), 7);
}

static void watchpoints(struct guest *g)
{
	struct accel_debug d = { .n = 2,
		.point = { { .addr = G_DATA + 8, .len = 8, .kind = ACCEL_DEBUG_ACCESS },
			{ .addr = G_DATA + 16, .len = 8, .kind = ACCEL_DEBUG_WRITE } } };

	guest_put64(g, G_DATA + 16, 0);
	GUEST_LOAD(g, debug_guest);
	set(g, &d);
	assert_int_equal(expect_debug(g, 1), AT(debug_second)); /* after the access */
	expect_debug(g, 2);
	assert_int_equal(guest_get64(g, G_DATA + 16), 7);
	set(g, &(struct accel_debug){ 0 });
	guest_expect_done(g);
}

static void translation(struct guest *g)
{
	uint64_t gpa = 0;

	assert_int_equal(g->accel->vcpu_translate(g->vcpu, G_DATA + 5, &gpa), 0);
	assert_int_equal(gpa, G_DATA + 5);
	assert_int_equal(g->accel->vcpu_translate(g->vcpu, 1ull << 40, &gpa), -EFAULT);
}

static void soft(void **state)
{
	struct guest *g = soft_guest_new(MODE_LONG);

	one_step(g);
	points_and_steps(g);
	watchpoints(g);
	translation(g);
	guest_free(g);
}

/* Not the points: where this can run, in the lab, the emulated CPU does not arm the debug registers of a
 * guest's guest. */
static void kvm(void **state)
{
	struct accel_debug many = { .n = 5 };
	struct str report = STR_INIT;
	bool usable = kvm_accel.probe(NULL, &report);
	struct guest *g;

	/* Without hardware beneath there are no debug registers. tests/lab/handover runs this too. */
	if (!usable)
		print_message("kvm: %s\n", str_cstr(&report));
	str_fini(&report);
	if (!usable)
		skip(); /* does not come back */
	g = guest_new(MODE_LONG);
	for (int i = 0; i < 5; i++)
		many.point[i] = (struct accel_debug_point){ .addr = 0x1000 * i, .len = 1 };
	assert_int_equal(g->accel->vcpu_debug(g->vcpu, &many), -ENOSPC);
	one_step(g);
	translation(g);
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(soft), cmocka_unit_test(kvm) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
