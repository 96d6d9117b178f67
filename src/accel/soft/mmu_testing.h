// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mmu_testing - a soft VM without a machine whose vCPUs access memory from C: 16 MiB of RAM at 0, a ROM,
 * registers above. The vCPUs are in 64-bit mode with page tables made by map().
 */
#ifndef ACCEL_SOFT_MMU_TESTING_H
#define ACCEL_SOFT_MMU_TESTING_H

#include "accel/soft/mmu_int.h"
#include "base/testing.h"

#define RAM_SIZE (16 * MIB)
#define ROM	 0x2000000ull /* 8 KiB */
#define REGS	 0x3000000ull /* where nothing is: registers */
#define TOP	 0x1000ull    /* top page table; the others come behind it */
#define DATA	 0x400000ull  /* guest-physical pages of the tests */

#define P  X86_PTE_P
#define W  X86_PTE_W
#define U  X86_PTE_U
#define PS X86_PTE_PS
#define G  X86_PTE_G

struct env {
	struct soft_vm *vm;
	struct soft_vcpu *v;
	struct ram_block *ram, *rom;
	uint64_t next_table;
};

/* The last register access. */
static uint64_t io_gpa, io_value;
static unsigned int io_size, io_count;
static bool io_write;

static inline void test_mem(
	struct soft_vcpu *v, uint64_t gpa, void *data, unsigned int size, bool write)
{
	assert_true(size >= 1 && size <= 8);
	io_count++;
	io_gpa = gpa;
	io_size = size;
	io_write = write;
	if (write) {
		io_value = 0;
		memcpy(&io_value, data, size);
	} else {
		for (unsigned int i = 0; i < size; i++)
			((uint8_t *)data)[i] = (uint8_t)(gpa + i);
	}
}

static const struct soft_io test_io = { .mem = test_mem };

static inline struct ram_block *new_block(uint64_t size)
{
	struct ram_config c = { .name = "test", .size = size, .share = true, .host_node = -1 };
	struct error err = ERROR_INIT;
	struct ram_block *b = ram_block_new(&c, &err);

	assert_non_null(b);
	return b;
}

static inline struct as_range range_of(
	struct ram_block *b, uint64_t start, uint64_t off, uint64_t size, enum as_kind kind)
{
	return (struct as_range){ .start = start,
		.size = size,
		.kind = kind,
		.host = b->host + off,
		.ram = b,
		.ram_off = off };
}

static inline void ram_add(
	struct env *e, struct ram_block *b, uint64_t start, uint64_t off, uint64_t size, bool rom)
{
	struct as_range r = range_of(b, start, off, size, rom ? AS_ROM : AS_RAM);

	assert_int_equal(soft_ram_add(&e->vm->base, &r), 0);
}

static inline uint64_t *entry_at(struct env *e, uint64_t gpa)
{
	return (uint64_t *)(void *)(e->ram->host + gpa);
}

/* Map the page of @lin: @bits on top of the address; PS: 2 MiB. Tables allow everything. */
static inline uint64_t *map_in(
	struct env *e, uint64_t top, uint64_t lin, uint64_t gpa, uint64_t bits)
{
	uint64_t table = top, *p;
	int last = bits & PS ? 21 : 12;

	for (int shift = 39; shift > last; shift -= 9) {
		p = entry_at(e, table + 8 * (lin >> shift & 511));
		if (!(*p & P)) {
			*p = e->next_table | P | W | U;
			e->next_table += 0x1000;
		}
		table = *p & 0xffffffffff000ull;
	}
	p = entry_at(e, table + 8 * (lin >> last & 511));
	*p = gpa | bits | P;
	return p;
}

static inline uint64_t *map(struct env *e, uint64_t lin, uint64_t gpa, uint64_t bits)
{
	return map_in(e, TOP, lin, gpa, bits);
}

static inline void set_cpl(struct soft_vcpu *v, unsigned int cpl)
{
	v->seg[X86_CS].attr = X86_ATTR_P | X86_ATTR_S | X86_ATTR_L | 0xb | cpl << 5;
	v->seg[X86_SS].attr = X86_ATTR_P | X86_ATTR_S | X86_ATTR_DB | 0x3 | cpl << 5;
	soft_mode_changed(v);
}

static inline void long_mode(struct soft_vcpu *v)
{
	v->cr0 = X86_CR0_PG | X86_CR0_PE | X86_CR0_WP;
	v->cr4 = X86_CR4_PAE | X86_CR4_PGE;
	v->efer = X86_EFER_LMA | X86_EFER_LME | X86_EFER_NXE;
	v->cr3 = TOP;
	v->dr[7] = 0;
	soft_tlb_flush(v, true);
	set_cpl(v, 0);
	soft_mmu_slice(v);
}

static inline struct soft_vcpu *new_vcpu(struct env *e, uint32_t index)
{
	struct error err = ERROR_INIT;
	struct soft_vcpu *v = soft_vcpu_make(e->vm, NULL, index, index, &err);

	assert_non_null(v);
	long_mode(v);
	return v;
}

/* One that translates. */
static inline struct soft_vcpu *new_jit_vcpu(struct env *e)
{
	struct soft_vcpu *v;

	e->vm->jit = true;
	v = new_vcpu(e, 1);
	assert_non_null(v->jit);
	atomic_store(&v->poll, 0); /* the timer, the interrupt chips: nobody looks here */
	return v;
}

static int setup(void **state)
{
	struct accel_vm_config c = { .max_vcpus = 4, .irqchip = ACCEL_IRQCHIP_SPLIT };
	struct error err = ERROR_INIT;
	struct env *e = calloc(1, sizeof(*e));
	struct accel_vm *vm = soft_accel.vm_new(NULL, &c, &err);

	assert_non_null(vm);
	e->vm = to_soft_vm(vm);
	e->vm->io = &test_io;
	e->ram = new_block(RAM_SIZE);
	e->rom = new_block(0x2000);
	e->next_table = TOP + 0x1000;
	ram_add(e, e->ram, 0, 0, RAM_SIZE, false);
	ram_add(e, e->rom, ROM, 0, 0x2000, true);
	e->v = new_vcpu(e, 0);
	io_count = 0;
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	struct env *e = *state;

	for (uint32_t i = 0; i < 4; i++)
		if (e->vm->vcpus[i])
			soft_accel.vcpu_free(&e->vm->vcpus[i]->base);
	soft_accel.vm_free(&e->vm->base);
	ram_block_unref(e->ram);
	ram_block_unref(e->rom);
	free(e);
	return 0;
}

#ifndef __clang__
/* No variable changes between setjmp and longjmp; gcc cannot know. */
#pragma GCC diagnostic ignored "-Wclobbered"
#endif

/* @stmt raises nothing. */
#define fine(v, stmt)                                                                  \
	do {                                                                           \
		if (_setjmp((v)->raise))                                               \
			fail_msg("raised %u, error %#x, at %#llx", (v)->event.vector,  \
				(v)->event.error, (unsigned long long)(v)->event.cr2); \
		stmt;                                                                  \
	} while (0)

/* @stmt raises @vec with error code @code. */
#define raises(v, vec, code, stmt)                        \
	do {                                              \
		if (!_setjmp((v)->raise)) {               \
			stmt;                             \
			fail_msg("nothing was raised");   \
		}                                         \
		(v)->has_event = false;                   \
		assert_int_equal((v)->event.vector, vec); \
		assert_true((v)->event.has_error);        \
		assert_int_equal((v)->event.error, code); \
	} while (0)

#define faults(v, code, addr, stmt)                     \
	do {                                            \
		raises(v, X86_EXC_PF, code, stmt);      \
		assert_int_equal((v)->event.cr2, addr); \
	} while (0)

#endif
