// SPDX-License-Identifier: GPL-2.0-or-later
/* The machine's run control, vCPU threads, dispatch and interrupts, driven by played-back exits. */
#include "base/testing.h"

#include <unistd.h>
#include "accel/null/null.h"
#include "base/clock.h"
#include "base/wire.h"
#include "core/io.h"
#include "core/machine.h"
#include "core/vcpu.h"

/* core refers to the generated tables; this program has none of their contents. */
const struct accel *const accel_table[] = { NULL };
const struct device_type *const device_type_table[] = { NULL };

struct fixture {
	struct loop *loop;
	struct machine *m;
	int resets, vcpu_resets;
};

static void count_vcpu_reset(struct machine *m, struct vcpu *v)
{
	struct fixture *f = m->board_data;

	__atomic_add_fetch(&f->vcpu_resets, 1, __ATOMIC_SEQ_CST);
}

static bool count_reset(struct machine *m, struct error *err)
{
	struct fixture *f = m->board_data;

	f->resets++;
	return true;
}

static const struct board_ops board = { .vcpu_reset = count_vcpu_reset, .reset = count_reset };

static struct fixture *setup(uint32_t cpus)
{
	static struct fixture f;
	struct accel_vm_config c = { .max_vcpus = cpus };
	struct error err = ERROR_INIT;

	memset(&f, 0, sizeof(f));
	f.loop = loop_new("main", 0, &err);
	assert_non_null(f.loop);
	f.m = machine_new("test", f.loop, &err);
	assert_non_null(f.m);
	f.m->board = &board;
	f.m->board_data = &f;
	assert_true(machine_set_accel(f.m, &null_accel, &c, &err));
	assert_true(machine_add_vcpus(f.m, cpus, &err));
	assert_true(machine_init_vcpus(f.m, &err));
	return &f;
}

static void teardown(struct fixture *f)
{
	machine_free(f->m);
	loop_free(f->loop);
}

static uint64_t reg_value;
static unsigned int reg_sizes[16], reg_calls;

static uint64_t reg_read(void *opaque, uint64_t off, unsigned int size)
{
	reg_sizes[reg_calls++ % 16] = size;
	return reg_value >> (8 * off);
}

static void reg_write(void *opaque, uint64_t off, uint64_t v, unsigned int size)
{
	reg_sizes[reg_calls++ % 16] = size;
	wr_le((uint8_t *)&reg_value + off, size, v);
}

static void test_dispatch_sizes(void **state)
{
	static const struct io_ops byte_ops = {
		.read = reg_read, .write = reg_write, .max_size = 1
	};
	static const struct io_ops dword_ops = { reg_read, reg_write, 4, 4 };
	struct fixture *f = setup(1);
	struct io_region r;
	uint8_t b[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	reg_calls = 0;
	io_region_init(&r, "bytes", &byte_ops, NULL, NULL);
	assert_int_equal(io_region_map(f->m, &r, true, 0x100, 8), 0);
	io_access_port(f->m, 0x100, b, 4, true);
	assert_int_equal(reg_calls, 4);
	assert_int_equal(reg_value, 0x04030201);
	/* Half of it lies beyond the region: that half reads as ones. */
	reg_value = 0;
	io_access_port(f->m, 0x106, b, 4, false);
	assert_int_equal(rd_le(b, 4), 0xffff0000);
	io_region_unmap(&r);
	io_access_port(f->m, 0x100, b, 4, false);
	assert_int_equal(rd_le(b, 4), 0xffffffff);

	io_region_init(&r, "dwords", &dword_ops, NULL, NULL);
	assert_int_equal(io_region_map(f->m, &r, false, 0x1000, 8), 0);
	reg_value = 0x8877665544332211;
	reg_calls = 0;
	io_access_mem(f->m, 0x1002, b, 1, false);
	assert_int_equal(reg_sizes[0], 4); /* the handler sees only what it declared */
	assert_int_equal(b[0], 0x33);
	io_access_mem(f->m, 0x1000, b, 8, false);
	assert_int_equal(rd_le(b, 8), 0x8877665544332211);
	io_region_unmap(&r);
	teardown(f);
}

static int kicks;

static void count_kick(void *opaque)
{
	kicks++;
}

static void test_doorbell(void **state)
{
	static const struct io_ops ops = { .read = reg_read, .write = reg_write, .max_size = 4 };
	struct fixture *f = setup(1);
	struct io_region r;
	struct loop_event ev;
	struct io_event e = { .off = 4, .size = 2, .match = true, .data = 3, .event = &ev };
	uint8_t b[4] = { 3 };

	kicks = 0;
	reg_calls = 0;
	assert_int_equal(loop_event_init(&ev, count_kick, NULL), 0);
	assert_int_equal(loop_event_add(f->loop, &ev), 0);
	io_region_init(&r, "bell", &ops, NULL, NULL);
	io_event_add(&r, &e);
	assert_int_equal(io_region_map(f->m, &r, false, 0x2000, 16), 0);
	io_access_mem(f->m, 0x2004, b, 2, true);
	assert_int_equal(reg_calls, 0);
	loop_run_once(f->loop, 1000);
	assert_int_equal(kicks, 1);
	b[0] = 4; /* other data, other size: the handler's */
	io_access_mem(f->m, 0x2004, b, 2, true);
	b[0] = 3;
	io_access_mem(f->m, 0x2004, b, 4, true);
	assert_int_equal(reg_calls, 2);
	io_region_unmap(&r);
	io_event_del(&r, &e);
	loop_event_del(&ev);
	loop_event_fini(&ev);
	teardown(f);
}

static void test_shared_line(void **state)
{
	struct fixture *f = setup(1);
	struct irq_source a, b;

	irq_source_init(&a, f->m, 10);
	irq_source_init(&b, f->m, 10);
	irq_set(&a, true);
	irq_set(&b, true);
	irq_set(&b, true);
	irq_set(&a, false);
	assert_true(null_irq_level(f->m->vm, 10));
	irq_set(&b, false);
	assert_false(null_irq_level(f->m->vm, 10));
	assert_int_equal(null_irq_rises(f->m->vm, 10), 1);
	irq_pulse(&a);
	assert_int_equal(null_irq_rises(f->m->vm, 10), 2);
	teardown(f);
}

static void test_msi_without_routes(void **state)
{
	struct fixture *f = setup(1);
	struct msi_vector v;
	uint64_t addr;
	uint32_t data;

	msi_vector_init(&v, f->m);
	msi_vector_fire(&v, NULL); /* not programmed: nothing */
	assert_int_equal(null_msi_count(f->m->vm, NULL, NULL), 0);
	assert_int_equal(msi_vector_set(&v, 0xfee01000, 0x41), 0);
	msi_vector_fire(&v, NULL);
	assert_int_equal(null_msi_count(f->m->vm, &addr, &data), 1);
	assert_int_equal(addr, 0xfee01000);
	assert_int_equal(data, 0x41);
	msi_vector_clear(&v);
	msi_vector_fire(&v, NULL);
	assert_int_equal(null_msi_count(f->m->vm, NULL, NULL), 1);
	msi_vector_fini(&v);
	teardown(f);
}

static void test_pause_resume_many(void **state)
{
	struct fixture *f = setup(4);
	struct error err = ERROR_INIT;

	for (int i = 0; i < 200; i++) {
		assert_true(machine_resume(f->m, &err));
		assert_int_equal(f->m->state, RUN_RUNNING);
		machine_pause(f->m);
		for (int c = 0; c < 4; c++)
			assert_true(f->m->vcpus[c].parked);
	}
	/* On a busy host each stop may have come before its go was seen: let them run for once. */
	assert_true(machine_resume(f->m, &err));
	for (int i = 0; i < 10000 && __atomic_load_n(&f->vcpu_resets, __ATOMIC_SEQ_CST) < 4; i++)
		usleep(1000);
	machine_pause(f->m);
	assert_int_equal(f->resets, 1); /* the power-on one */
	assert_int_equal(f->vcpu_resets, 4);
	teardown(f);
}

static void play(struct fixture *f, const struct vcpu_exit *e)
{
	assert_true(null_push_exit(f->m->vm, 0, e));
	loop_run(f->loop);
}

static void test_power_off(void **state)
{
	struct fixture *f = setup(2);
	struct error err = ERROR_INIT;

	assert_true(machine_resume(f->m, &err));
	machine_event(f->m, MACHINE_POWEROFF, 0);
	loop_run(f->loop);
	assert_int_equal(f->m->state, RUN_SHUTDOWN);
	assert_int_equal(f->m->end, MACHINE_POWEROFF);
	assert_false(machine_resume(f->m, &err));
	assert_contains(err.msg, "guest power-off");
	teardown(f);
}

static void test_triple_fault_resets(void **state)
{
	struct vcpu_exit e = { .kind = VCPU_EXIT_SHUTDOWN };
	struct fixture *f = setup(2);
	struct error err = ERROR_INIT;
	int64_t deadline = clock_mono_ns() + 10 * NS_PER_SEC;

	assert_true(machine_resume(f->m, &err));
	assert_true(null_push_exit(f->m->vm, 0, &e));
	while (f->resets < 2 && clock_mono_ns() < deadline)
		loop_run_once(f->loop, 100);
	assert_int_equal(f->resets, 2);
	assert_int_equal(f->m->state, RUN_RUNNING);
	f->m->no_reboot = true;
	play(f, &e);
	assert_int_equal(f->m->state, RUN_SHUTDOWN);
	assert_int_equal(f->m->end, MACHINE_TRIPLE_FAULT);
	teardown(f);
}

static void test_engine_error_ends(void **state)
{
	struct vcpu_exit e = { .kind = VCPU_EXIT_ERROR,
		.error = { .insn = { 0xcc }, .insn_len = 1, .text = "made up" } };
	struct fixture *f = setup(1);
	struct error err = ERROR_INIT;

	assert_true(machine_resume(f->m, &err));
	play(f, &e);
	assert_int_equal(f->m->end, MACHINE_ERROR);
	teardown(f);
}

static void test_string_port_io(void **state)
{
	static const struct io_ops ops = { .read = reg_read, .write = reg_write, .max_size = 2 };
	uint8_t data[6] = { 1, 0, 2, 0, 3, 0 };
	struct vcpu_exit e = { .kind = VCPU_EXIT_PORT,
		.port = { .port = 0x200, .size = 2, .write = true, .count = 3, .data = data } };
	struct fixture *f = setup(1);
	struct error err = ERROR_INIT;
	struct io_region r;

	reg_calls = 0;
	io_region_init(&r, "string", &ops, NULL, NULL);
	assert_int_equal(io_region_map(f->m, &r, true, 0x200, 2), 0);
	assert_true(machine_resume(f->m, &err));
	assert_true(null_push_exit(f->m->vm, 0, &e));
	null_wait_idle(f->m->vm, 0);
	assert_int_equal(reg_calls, 3);
	machine_pause(f->m);
	io_region_unmap(&r);
	teardown(f);
}

static void test_save_load_cpu(void **state)
{
	struct fixture *f = setup(2);
	struct error err = ERROR_INIT;
	AUTO(str) first = STR_INIT;
	AUTO(str) second = STR_INIT;
	struct x86_cpu_state s = { .rip = 0x1234, .n_msrs = 1, .msr = { { 0x10, 99 } } };

	s.seg[X86_CS].base = 0xffff0000;
	assert_true(machine_resume(f->m, &err));
	machine_pause(f->m);
	null_accel.vcpu_set(f->m->vcpus[1].accel, &s, X86_STATE_ALL);
	assert_true(machine_save_devices(f->m, &first, &err));
	s.rip = 0;
	null_accel.vcpu_set(f->m->vcpus[1].accel, &s, X86_STATE_ALL);
	assert_true(machine_load_devices(f->m, first.s, first.len, &err));
	assert_true(machine_save_devices(f->m, &second, &err));
	assert_int_equal(first.len, second.len);
	assert_memory_equal(first.s, second.s, first.len);
	/* Every truncation is refused or a whole number of records; nothing crashes. */
	for (size_t n = 0; n < first.len; n += 7) {
		err.kind = ERROR_NONE;
		if (!machine_load_devices(f->m, first.s, n, &err))
			assert_true(err.kind != ERROR_NONE);
	}
	teardown(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dispatch_sizes),
		cmocka_unit_test(test_doorbell),
		cmocka_unit_test(test_shared_line),
		cmocka_unit_test(test_msi_without_routes),
		cmocka_unit_test(test_pause_resume_many),
		cmocka_unit_test(test_power_off),
		cmocka_unit_test(test_triple_fault_resets),
		cmocka_unit_test(test_engine_error_ends),
		cmocka_unit_test(test_string_port_io),
		cmocka_unit_test(test_save_load_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
