// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory slots: RAM, ROM, trimming, reuse, and the dirty log. */
#include "accel/kvm/guest_testing.h"

#define PAGE 4096ull

static struct ram_block *block(uint64_t size)
{
	struct ram_config c = { .name = "more", .size = size, .host_node = -1 };
	struct error err = ERROR_INIT;
	struct ram_block *b = ram_block_new(&c, &err);

	assert_non_null(b);
	return b;
}

static struct as_range range(struct ram_block *b, uint64_t start, uint64_t off, uint64_t size)
{
	return (struct as_range){ .start = start,
		.size = size,
		.kind = AS_RAM,
		.host = b->host + off,
		.ram = b,
		.ram_off = off };
}

/* Writes at rsi, reads it back to port 0x77. */
GUEST(poke64, 64, "1: mov %al, (%rsi)\n mov (%rsi), %al\n out %al, $0x77\n jmp 1b");

static void poke(struct guest *g, uint64_t addr, uint8_t value)
{
	g->s.gpr[X86_RSI] = addr;
	g->s.gpr[X86_RAX] = value;
	GUEST_LOAD(g, poke64);
}

static void come_and_go(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct ram_block *b = block(2 * MIB);
	struct as_range r = range(b, 0x10000000, 0, 2 * MIB);

	for (int i = 0; i < 3; i++) {
		assert_int_equal(kvm_accel.ram_add(g->vm, &r), 0);
		poke(g, 0x10000123, 0x40 + i);
		guest_expect_port(g, 0x77, 1, true);
		assert_int_equal(b->host[0x123], 0x40 + i);
		kvm_accel.ram_del(g->vm, &r);
		poke(g, 0x10000123, 0x99);
		assert_int_equal(guest_next(g), VCPU_EXIT_MEM);
		assert_int_equal(b->host[0x123], 0x40 + i);
	}
	/* Twice the same place is refused, and nothing is left behind. */
	assert_int_equal(kvm_accel.ram_add(g->vm, &r), 0);
	assert_int_equal(kvm_accel.ram_add(g->vm, &r), -EEXIST);
	kvm_accel.ram_del(g->vm, &r);
	assert_int_equal(kvm_accel.ram_add(g->vm, &r), 0);
	/* Slot numbers are used again. */
	assert_true(to_kvm_vm(g->vm)->slots.len <= 3);
	guest_free(g);
	ram_block_unref(b);
}

static void rom(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct ram_block *b = block(64 * KIB);
	struct as_range r = range(b, 0x10000000, 0, 64 * KIB);

	r.kind = AS_ROM;
	b->host[5] = 0x33;
	assert_int_equal(kvm_accel.ram_add(g->vm, &r), 0);
	poke(g, 0x10000005, 0x44);
	assert_int_equal(guest_next(g), VCPU_EXIT_MEM); /* the write is the machine's */
	assert_true(g->e.mem.write);
	guest_expect_port(g, 0x77, 1, true);
	assert_int_equal(g->e.port.data[0], 0x33); /* the read is not */
	assert_int_equal(b->host[5], 0x33);
	guest_free(g);
	ram_block_unref(b);
}

/* Part of a page is nobody's to map: it reaches the machine. */
static void trimmed(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct ram_block *b = block(64 * KIB);
	struct as_range r = range(b, 0x10000000, 0, 2 * PAGE + 512);
	struct as_range tiny = range(b, 0x10010200, 0x200, 256);
	struct as_range skewed = range(b, 0x10020000, 0x100, 2 * PAGE);
	struct as_range io = { .start = 0x10030000, .size = PAGE, .kind = AS_IO };
	struct as_range top = range(b, UINT64_MAX - PAGE + 1, 0, PAGE);

	assert_int_equal(kvm_accel.ram_add(g->vm, &r), 0);
	assert_int_equal(kvm_accel.ram_add(g->vm, &tiny), 0);
	assert_int_equal(kvm_accel.ram_add(g->vm, &skewed), 0);
	assert_int_equal(kvm_accel.ram_add(g->vm, &io), 0);
	assert_int_equal(kvm_accel.ram_add(g->vm, &top), 0);
	assert_int_equal(to_kvm_vm(g->vm)->slots.len, 2);
	poke(g, 0x10001fff, 1);
	guest_expect_port(g, 0x77, 1, true);
	poke(g, 0x10002000, 1);
	assert_int_equal(guest_next(g), VCPU_EXIT_MEM);
	kvm_accel.ram_del(g->vm, &tiny);
	kvm_accel.ram_del(g->vm, &r);
	poke(g, 0x10001fff, 1);
	assert_int_equal(guest_next(g), VCPU_EXIT_MEM);
	guest_free(g);
	ram_block_unref(b);
}

static void many(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	struct ram_block *b = block(PAGE);
	int n = 0, r;

	do {
		struct as_range a = range(b, 0x10000000 + 2 * PAGE * n++, 0, PAGE);

		r = kvm_accel.ram_add(g->vm, &a);
	} while (r == 0 && n < 2 * KVM_SLOTS_LIMIT);
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(n, KVM_SLOTS_LIMIT);
	guest_free(g);
	ram_block_unref(b);
}

static bool dirty(struct ram_block *b, uint64_t off)
{
	uint64_t page = off / PAGE, w;

	ram_dirty_take(b, page & ~63ull, &w, 1);
	/* Put back what was not asked for. */
	if (w & ~(1ull << page % 64)) {
		uint64_t rest = w & ~(1ull << page % 64);

		ram_dirty_merge(b, page & ~63ull, &rest, 1);
	}
	return w >> page % 64 & 1;
}

static void run_once(struct guest *g, uint64_t addr, uint8_t v)
{
	poke(g, addr, v);
	guest_expect_port(g, 0x77, 1, true);
}

static void dirty_log(void **state)
{
	struct guest *g = guest_new(MODE_LONG);
	/* A second block in pieces that do not begin on 64 pages of it. */
	struct ram_block *b = block(2 * MIB);
	struct as_range p1 = range(b, 0x10000000, 0, 160 * PAGE);
	struct as_range p2 = range(b, 0x10000000 + 161 * PAGE, 161 * PAGE, 351 * PAGE);
	struct error err = ERROR_INIT;

	assert_int_equal(kvm_accel.ram_add(g->vm, &p1), 0);
	assert_true(ram_dirty_start(g->ram, &err));
	assert_true(ram_dirty_start(b, &err));
	run_once(g, 0x200000, 1);
	assert_int_equal(kvm_accel.dirty_sync(g->vm), 0);
	assert_false(dirty(g->ram, 0x200000)); /* the log was off */

	assert_int_equal(kvm_accel.dirty_log(g->vm, true), 0);
	assert_int_equal(kvm_accel.ram_add(g->vm, &p2), 0); /* joins the log */
	run_once(g, 0x201000, 1);
	run_once(g, 0x10000000 + 159 * PAGE, 1);
	run_once(g, 0x10000000 + 161 * PAGE, 1);
	run_once(g, 0x10000000 + 511 * PAGE + 4095, 1);
	assert_int_equal(kvm_accel.dirty_sync(g->vm), 0);
	assert_true(dirty(g->ram, 0x201000));
	assert_false(dirty(g->ram, 0x202000));
	assert_true(dirty(b, 159 * PAGE));
	assert_false(dirty(b, 160 * PAGE));
	assert_true(dirty(b, 161 * PAGE));
	assert_false(dirty(b, 162 * PAGE));
	assert_true(dirty(b, 511 * PAGE));
	assert_false(dirty(b, 510 * PAGE));

	/* Told once; and again when written again. */
	assert_int_equal(kvm_accel.dirty_sync(g->vm), 0);
	assert_false(dirty(b, 161 * PAGE));
	run_once(g, 0x10000000 + 161 * PAGE, 2);
	/* Removal does not forget. */
	kvm_accel.ram_del(g->vm, &p2);
	assert_true(dirty(b, 161 * PAGE));

	assert_int_equal(kvm_accel.dirty_log(g->vm, false), 0);
	run_once(g, 0x203000, 1);
	assert_int_equal(kvm_accel.dirty_sync(g->vm), 0);
	assert_false(dirty(g->ram, 0x203000));
	ram_dirty_stop(g->ram);
	ram_dirty_stop(b);
	guest_free(g);
	ram_block_unref(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(come_and_go),
		cmocka_unit_test(rom),
		cmocka_unit_test(trimmed),
		cmocka_unit_test(many),
		cmocka_unit_test(dirty_log),
	};

	return guest_testing_skip() ?: cmocka_run_group_tests(tests, NULL, NULL);
}
