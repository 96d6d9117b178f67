// SPDX-License-Identifier: GPL-2.0-or-later
/* The host's counter, the guest's TSC, kvmclock: read as a guest reads it. */
#include "accel/soft/chips_testing.h"
#include "mem/ram.h"

#define PAGE(i) (0x1000ull + 64 * (i))
#define WALL	0x2000ull
#define SYSTEM	0x4b564d01u
#define ENABLE	1ull

struct system_time {
	uint32_t version, pad;
	uint64_t tsc_timestamp, system_time;
	uint32_t mul;
	int8_t shift;
	uint8_t flags, pad2[2];
};

static struct chips_vm t;
static struct ram_block *ram;
static struct as_range range;

static void up(uint32_t n)
{
	struct ram_config c = { .name = "clock", .size = 0x10000, .host_node = -1 };
	struct error err = ERROR_INIT;

	t = chips_new(n);
	ram = ram_block_new(&c, &err);
	assert_non_null(ram);
	range = (struct as_range){ .size = c.size, .kind = AS_RAM, .host = ram->host, .ram = ram };
	assert_int_equal(soft_accel.ram_add(&t.vm->base, &range), 0);
}

static void down(void)
{
	soft_accel.ram_del(&t.vm->base, &range);
	chips_free(&t);
	ram_block_unref(ram);
}

static void clock_msr(struct soft_vcpu *v, uint32_t index, uint64_t value)
{
	uint64_t again = 0;

	assert_true(soft_kvmclock_msr(v, index, &value, true));
	assert_true(soft_kvmclock_msr(v, index, &again, false));
	assert_true(again == value);
}

static struct system_time page(uint64_t gpa)
{
	struct system_time s;

	memcpy(&s, ram->host + gpa, sizeof(s));
	assert_int_equal(s.version & 1, 0);
	return s;
}

/* As the guest computes it. */
static uint64_t guest_ns(struct soft_vcpu *v, uint64_t gpa)
{
	struct system_time s = page(gpa);
	uint64_t delta = soft_tsc_read(v) - s.tsc_timestamp;

	delta = s.shift < 0 ? delta >> -s.shift : delta << s.shift;
	return s.system_time + (uint64_t)((unsigned __int128)delta * s.mul >> 32);
}

static void is_close(int64_t a, int64_t b, int64_t by)
{
	if (llabs(a - b) > by)
		fail_msg("%lld and %lld are %lld apart", (long long)a, (long long)b,
			(long long)llabs(a - b));
}

static void sleep_ms(int ms)
{
	struct timespec ts = { .tv_nsec = ms * NS_PER_MS };

	nanosleep(&ts, NULL);
}

/* Both at the same time: again, if this thread stood still between. */
static void look_at_both(uint64_t *tsc, int64_t *ns)
{
	int64_t before;

	do {
		before = clock_mono_ns();
		*tsc = soft_host_tsc();
		*ns = clock_mono_ns();
	} while (*ns - before > 50000);
}

/* How far the guest's clock is from the host's. */
static int64_t guest_offset(struct soft_vcpu *v, uint64_t at)
{
	int64_t before, offset;

	do {
		before = clock_mono_ns();
		offset = clock_mono_ns() - (int64_t)guest_ns(v, at);
	} while (clock_mono_ns() - before > 500000);
	return offset;
}

/* The frequency is right to a thousandth; a wrong unit or factor would be far off. */
static void frequency(void **state)
{
	uint32_t khz = soft_tsc_khz();
	uint64_t tsc, tsc2;
	int64_t ns, ns2;

	assert_true(khz >= 1000);
	look_at_both(&tsc, &ns);
	sleep_ms(30);
	look_at_both(&tsc2, &ns2);
	tsc = tsc2 - tsc;
	ns = ns2 - ns;
	is_close(soft_tsc_to_length(tsc), ns, ns / 1000 + 200000);
	is_close(soft_ns_to_tsc(ns), tsc, tsc / 1000 + khz / 5);
	is_close(soft_tsc_to_length(1000ull * khz), NS_PER_SEC, 10);
	is_close(soft_ns_to_tsc(NS_PER_SEC), 1000ull * khz, 10);
	/* A year. */
	is_close(soft_tsc_to_length(31536000000ull * khz), 31536000ll * NS_PER_SEC, 1000000000);
	assert_true(soft_ns_to_tsc(UINT64_MAX) > UINT64_MAX / 2 || khz < 1000000);
	assert_true(soft_tsc_to_length(UINT64_MAX) > INT64_MAX / 10);
}

static void tsc(void **state)
{
	uint64_t a, b, sec;
	int64_t offset;

	up(2);
	sec = 1000ull * soft_tsc_khz();
	/* From 0 at the VM's start, the same on all. */
	a = soft_tsc_read(t.v[0]);
	b = soft_tsc_read(t.v[1]);
	assert_true(a <= b && b < 10 * sec);
	assert_true(t.v[0]->tsc_offset == t.v[1]->tsc_offset);
	/* One after the other: the same again. */
	soft_tsc_write(t.v[0], 1000 * sec);
	assert_true(soft_tsc_read(t.v[0]) - 1000 * sec < sec);
	assert_true(t.v[0]->tsc_offset != t.v[1]->tsc_offset);
	sleep_ms(2);
	soft_tsc_write(t.v[1], 1000 * sec);
	assert_true(t.v[0]->tsc_offset == t.v[1]->tsc_offset);
	/* By the same CPU, or far off: just that. */
	soft_tsc_write(t.v[1], 5 * sec);
	assert_true(soft_tsc_read(t.v[1]) - 5 * sec < sec / 2);
	sleep_ms(2);
	soft_tsc_write(t.v[1], 5 * sec);
	offset = t.v[1]->tsc_offset;
	assert_true(soft_tsc_read(t.v[1]) - 5 * sec < sec / 2);
	soft_tsc_write(t.v[0], 9 * sec);
	assert_true(t.v[0]->tsc_offset != offset);
	soft_tsc_offset_set(t.v[0], offset);
	assert_true(t.v[0]->tsc_offset == offset);
	soft_tsc_write(t.v[0], UINT64_MAX - 5);
	soft_tsc_write(t.v[1], 0);
	assert_true(t.v[0]->tsc_offset == t.v[1]->tsc_offset);
	down();
}

static void to_ns(void **state)
{
	int64_t now, then;

	up(1);
	now = clock_mono_ns();
	then = soft_tsc_to_ns(t.v[0], soft_tsc_read(t.v[0]) + soft_tsc_khz());
	is_close(then, now + NS_PER_MS, 20 * NS_PER_MS);
	assert_true(then > now);
	then = soft_tsc_to_ns(t.v[0], 0);
	assert_true(then >= now && then <= clock_mono_ns());
	assert_true(soft_tsc_to_ns(t.v[0], UINT64_MAX) > now + 1000 * NS_PER_SEC);
	down();
}

static void kvmclock(void **state)
{
	int64_t offset, offset2;
	uint64_t ns;

	up(2);
	for (int i = 0; i < 2; i++)
		clock_msr(t.v[i], SYSTEM, PAGE(i) | ENABLE);
	offset = guest_offset(t.v[0], PAGE(0));
	assert_int_equal(page(PAGE(0)).flags, 1);
	sleep_ms(30);
	offset2 = guest_offset(t.v[0], PAGE(0));
	is_close(offset, offset2, 1000000);
	for (int i = 0; i < 10; i++) {
		uint64_t a = guest_ns(t.v[0], PAGE(0)), b = guest_ns(t.v[1], PAGE(1));

		assert_true(a <= b);
		assert_int_equal(soft_clock_get(&t.vm->base, &ns), 0);
		assert_true(b <= ns);
		assert_true(ns <= guest_ns(t.v[0], PAGE(0)));
	}
	/* The old number is the same register. */
	assert_true(soft_kvmclock_msr(t.v[0], 0x12, &ns, false));
	assert_true(ns == (PAGE(0) | ENABLE));
	assert_false(soft_kvmclock_msr(t.v[0], 0x13, &ns, false));
	down();
}

/* A paused VM's clock is put back to where it stood. */
static void paused(void **state)
{
	uint64_t ns, again;
	uint32_t version;
	int64_t set;

	up(2);
	for (int i = 0; i < 2; i++)
		clock_msr(t.v[i], SYSTEM, PAGE(i) | ENABLE);
	assert_int_equal(soft_clock_get(&t.vm->base, &ns), 0);
	version = page(PAGE(1)).version;
	sleep_ms(20);
	do {
		set = clock_mono_ns();
		assert_int_equal(soft_clock_set(&t.vm->base, ns), 0);
		again = guest_ns(t.v[1], PAGE(1));
	} while (clock_mono_ns() - set > 5 * NS_PER_MS);
	assert_true(again >= ns);
	is_close(again, ns, 15 * NS_PER_MS);
	assert_true(page(PAGE(1)).version > version);
	assert_int_equal(soft_clock_set(&t.vm->base, 7000 * NS_PER_SEC), 0);
	is_close(guest_ns(t.v[0], PAGE(0)), 7000 * NS_PER_SEC, NS_PER_SEC);
	/* Any value. */
	assert_int_equal(soft_clock_set(&t.vm->base, UINT64_MAX), 0);
	assert_int_equal(soft_clock_get(&t.vm->base, &ns), 0);
	down();
}

static void stalled(void **state)
{
	up(1);
	assert_int_equal(soft_vcpu_stalled(&t.v[0]->base), 0); /* nobody to tell */
	clock_msr(t.v[0], SYSTEM, PAGE(0) | ENABLE);
	assert_int_equal(page(PAGE(0)).flags, 1);
	assert_int_equal(soft_vcpu_stalled(&t.v[0]->base), 0);
	assert_int_equal(page(PAGE(0)).flags, 3);
	/* Until the guest has seen it. */
	assert_int_equal(soft_clock_set(&t.vm->base, 5), 0);
	assert_int_equal(page(PAGE(0)).flags, 3);
	ram->host[PAGE(0) + 29] = 1;
	assert_int_equal(soft_clock_set(&t.vm->base, 5), 0);
	assert_int_equal(page(PAGE(0)).flags, 1);
	down();
}

/* CPUs whose TSCs differ: each page is right for its own. */
static void apart(void **state)
{
	up(2);
	for (int i = 0; i < 2; i++)
		clock_msr(t.v[i], SYSTEM, PAGE(i) | ENABLE);
	soft_tsc_write(t.v[1], 123456789012345ull);
	for (int i = 0; i < 2; i++)
		assert_int_equal(page(PAGE(i)).flags, 0);
	is_close(guest_ns(t.v[0], PAGE(0)), guest_ns(t.v[1], PAGE(1)), 100 * NS_PER_MS);
	soft_tsc_write(t.v[0], 123456789012345ull);
	for (int i = 0; i < 2; i++)
		assert_int_equal(page(PAGE(i)).flags, 1);
	is_close(guest_ns(t.v[0], PAGE(0)), guest_ns(t.v[1], PAGE(1)), 100 * NS_PER_MS);
	down();
}

static void wall_clock(void **state)
{
	uint32_t w[3];
	int64_t wall;

	up(1);
	clock_msr(t.v[0], SYSTEM, PAGE(0) | ENABLE);
	clock_msr(t.v[0], 0x4b564d00, WALL);
	memcpy(w, ram->host + WALL, sizeof(w));
	assert_true(w[0] && !(w[0] & 1));
	assert_true(w[2] < NS_PER_SEC);
	wall = w[1] * NS_PER_SEC + w[2] + (int64_t)guest_ns(t.v[0], PAGE(0));
	is_close(wall, clock_wall_ns(), 200 * NS_PER_MS);
	clock_msr(t.v[0], 0x11, 0);
	down();
}

/* Where there is no RAM, at its end, an odd version, off. */
static void hostile(void **state)
{
	static const uint64_t gpas[] = { 0xfff0, 0xffe4, 0x10000, 0xfee00000, 0x7ffffffffffffffc,
		0xfffffffffffffffe, 2 };
	uint32_t odd = 0xffffffff;

	up(1);
	for (unsigned int i = 0; i < sizeof(gpas) / sizeof(gpas[0]); i++) {
		clock_msr(t.v[0], SYSTEM, gpas[i] | ENABLE);
		clock_msr(t.v[0], 0x4b564d00, gpas[i]);
		assert_int_equal(soft_clock_set(&t.vm->base, 1), 0);
		soft_vcpu_stalled(&t.v[0]->base);
	}
	memcpy(ram->host + PAGE(0), &odd, 4);
	clock_msr(t.v[0], SYSTEM, PAGE(0) | ENABLE);
	page(PAGE(0));
	memset(ram->host, 0, 0x10000);
	clock_msr(t.v[0], SYSTEM, PAGE(0));
	assert_int_equal(soft_clock_set(&t.vm->base, 1), 0);
	assert_int_equal(page(PAGE(0)).version, 0);
	down();
}

/* Half a second that the guest is not to have seen. */
static void lost(void **state)
{
	uint64_t half = 500ull * soft_tsc_khz(), tsc, ns;

	up(1);
	soft_tsc_write(t.v[0], 1000 * half);
	clock_msr(t.v[0], SYSTEM, PAGE(0) | ENABLE);
	sleep_ms(500);
	tsc = soft_tsc_read(t.v[0]);
	ns = guest_ns(t.v[0], PAGE(0));
	soft_clock_lose(t.v[0]->vm, half);
	assert_true(soft_tsc_read(t.v[0]) < tsc);
	assert_true(guest_ns(t.v[0], PAGE(0)) < ns);
	/* The page is the same when it is written again, and what the host says agrees. */
	clock_msr(t.v[0], SYSTEM, PAGE(0) | ENABLE);
	assert_true(guest_ns(t.v[0], PAGE(0)) < ns);
	assert_int_equal(soft_clock_get(&t.vm->base, &tsc), 0);
	is_close(tsc, guest_ns(t.v[0], PAGE(0)), NS_PER_SEC / 20);
	down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frequency),
		cmocka_unit_test(tsc),
		cmocka_unit_test(to_ns),
		cmocka_unit_test(kvmclock),
		cmocka_unit_test(paused),
		cmocka_unit_test(stalled),
		cmocka_unit_test(apart),
		cmocka_unit_test(wall_clock),
		cmocka_unit_test(lost),
		cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
