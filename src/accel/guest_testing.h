// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest_testing - tiny guests for the engines' tests: a VM with 4 MiB of RAM and one vCPU in real,
 * protected or long mode, whose code is assembled into the test.
 */
#ifndef ACCEL_GUEST_TESTING_H
#define ACCEL_GUEST_TESTING_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/accel.h"
#include "core/irq.h"
#include "core/vcpu.h"

/* Guest-physical layout. */
#define G_RAM	0x400000ull
#define G_CODE	0x8000ull
#define G_PML4	0x10000ull
#define G_PDPT	0x11000ull
#define G_PD	0x12000ull
#define G_GDT	0x13000ull
#define G_IDT	0x14000ull
#define G_STACK 0x20000ull
#define G_DATA	0x30000ull
#define G_MMIO	0x3f000000ull /* no RAM there, mapped in long mode */
#define G_DONE	0x99	      /* a write to this port ends a guest */

/* GUEST(name, 16|32|64, "asm..."): position-independent code in name[], name_len. */
#define GUEST(name, bits, code)                                                               \
	extern const uint8_t name[], name##_end[];                                            \
	__asm__(".pushsection .rodata\n.global " #name "\n.global " #name "_end\n.code" #bits \
		"\n" #name ":\n" code "\n" #name "_end:\n.code64\n.popsection\n")

enum guest_mode { MODE_REAL, MODE_PROTECTED, MODE_LONG };

struct guest {
	const struct accel *accel;
	struct accel_vm *vm;
	struct accel_vcpu *vcpu;
	struct vcpu core; /* what the engine is told of the vCPU: number 0 */
	struct ram_block *ram;
	struct as_range range;
	struct x86_cpu_state s;
	struct vcpu_exit e;
};

static inline void guest_put64(struct guest *g, uint64_t at, uint64_t v)
{
	memcpy(g->ram->host + at, &v, 8);
}

static inline uint64_t guest_get64(struct guest *g, uint64_t at)
{
	uint64_t v;

	memcpy(&v, g->ram->host + at, 8);
	return v;
}

static inline void guest_flat_segments(struct x86_cpu_state *s, bool code64)
{
	struct x86_segment data = { .limit = 0xffffffff,
		.attr = X86_ATTR_P | X86_ATTR_S | X86_ATTR_DB | X86_ATTR_G | 3,
		.selector = 0x10 };

	for (int i = 0; i < X86_NSEG; i++)
		s->seg[i] = data;
	s->seg[X86_CS].attr = X86_ATTR_P | X86_ATTR_S | X86_ATTR_G | 0xb |
			      (code64 ? X86_ATTR_L : X86_ATTR_DB);
	s->seg[X86_CS].selector = 8;
	s->tr = (struct x86_segment){ .limit = 0x67, .attr = X86_ATTR_P | 0xb, .selector = 0x18 };
	s->gdtr = (struct x86_dtable){ .base = G_GDT, .limit = 0x27 };
	s->idtr = (struct x86_dtable){ .base = G_IDT, .limit = 0xfff };
}

static inline void guest_tables(struct guest *g, bool code64)
{
	guest_put64(g, G_GDT + 8, code64 ? 0x00af9b000000ffff : 0x00cf9b000000ffff);
	guest_put64(g, G_GDT + 16, 0x00cf93000000ffff);
	guest_put64(g, G_PML4, G_PDPT | 7);
	guest_put64(g, G_PDPT, G_PD | 7);
	for (uint64_t i = 0; i < 512; i++)
		guest_put64(g, G_PD + 8 * i, i << 21 | 0x87);
}

static inline void guest_mode_set(struct guest *g, enum guest_mode mode)
{
	struct x86_cpu_state *s = &g->s;

	x86_cpu_state_reset(s, 0, true);
	s->rip = G_CODE;
	s->gpr[X86_RSP] = G_STACK;
	if (mode == MODE_REAL) {
		s->seg[X86_CS].base = 0;
		s->seg[X86_CS].selector = 0;
		return;
	}
	guest_flat_segments(s, mode == MODE_LONG);
	guest_tables(g, mode == MODE_LONG);
	s->cr0 = 0x33; /* PE MP ET NE */
	if (mode == MODE_LONG) {
		s->cr0 |= 1u << 31;
		s->cr3 = G_PML4;
		s->cr4 = 0x620;	 /* PAE OSFXSR OSXMMEXCPT */
		s->efer = 0x500; /* LME LMA */
	}
}

/* An interrupt gate to @handler in long mode. */
static inline void guest_gate(struct guest *g, uint8_t vector, uint64_t handler)
{
	guest_put64(g, G_IDT + 16 * vector,
		(handler & 0xffff) | 8 << 16 | 0x8e00ull << 32 | (handler >> 16 & 0xffff) << 48);
	guest_put64(g, G_IDT + 16 * vector + 8, handler >> 32);
}

static inline struct guest *guest_new_on(
	const struct accel *accel, enum guest_mode mode, int irqchip, bool pit)
{
	struct guest *g = calloc(1, sizeof(*g));
	struct accel_vm_config c = {
		.max_vcpus = 64, .max_apic_id = 63, .irqchip = irqchip, .pit = pit
	};
	struct ram_config rc = { .name = "test", .size = G_RAM, .host_node = -1 };
	struct error err = ERROR_INIT;
	struct x86_cpuid *cpuid = calloc(1, sizeof(*cpuid));

	assert_non_null(g);
	assert_non_null(cpuid);
	g->accel = accel;
	g->vm = accel->vm_new(NULL, &c, &err);
	if (!g->vm)
		fail_msg("%s", err.msg);
	g->ram = ram_block_new(&rc, &err);
	if (!g->ram)
		fail_msg("%s", err.msg);
	g->range = (struct as_range){
		.start = 0, .size = G_RAM, .kind = AS_RAM, .host = g->ram->host, .ram = g->ram
	};
	assert_int_equal(accel->ram_add(g->vm, &g->range), 0);
	g->vcpu = accel->vcpu_new(g->vm, &g->core, &err);
	if (!g->vcpu)
		fail_msg("%s", err.msg);
	if (!accel->cpuid_supported(g->vm, cpuid, &err) ||
		!accel->vcpu_set_cpuid(g->vcpu, cpuid, &err))
		fail_msg("%s", err.msg);
	free(cpuid);
	guest_mode_set(g, mode);
	return g;
}

static inline void guest_free(struct guest *g)
{
	g->accel->vcpu_free(g->vcpu);
	g->accel->vm_free(g->vm);
	ram_block_unref(g->ram);
	free(g);
}

/* Put code at G_CODE and the registers as guest_mode_set (and the test since) made them. */
static inline void guest_load(struct guest *g, const uint8_t *code, const uint8_t *end)
{
	memcpy(g->ram->host + G_CODE, code, end - code);
	assert_int_equal(g->accel->vcpu_set(g->vcpu, &g->s, X86_STATE_REGS | X86_STATE_SREGS), 0);
}
#define GUEST_LOAD(g, name) guest_load(g, name, name##_end)

static inline void guest_run(struct guest *g)
{
	int r = g->accel->vcpu_run(g->vcpu, &g->e);

	assert_int_equal(r, 0);
	if (g->e.kind == VCPU_EXIT_ERROR)
		print_message("engine: %s\n", g->e.error.text);
}

/* Run on through exits without meaning; the next that has one. */
static inline enum vcpu_exit_kind guest_next(struct guest *g)
{
	do {
		guest_run(g);
	} while (g->e.kind == VCPU_EXIT_NONE);
	return g->e.kind;
}

static inline void guest_expect_port(struct guest *g, uint16_t port, unsigned int size, bool write)
{
	assert_int_equal(guest_next(g), VCPU_EXIT_PORT);
	assert_int_equal(g->e.port.port, port);
	assert_int_equal(g->e.port.size, size);
	assert_int_equal(g->e.port.write, write);
}

static inline void guest_expect_done(struct guest *g)
{
	guest_expect_port(g, G_DONE, 1, true);
}

#endif
