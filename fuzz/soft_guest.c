// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The software CPU with a guest that may be anything: the input chooses mode, tables and registers,
 * spoils some of the state, and fills memory. One or two vCPUs run it by turns, interrupts come in; its
 * last bit decides whether it is translated. (Generated code is not instrumented and does not count: a
 * thread ends its loops.)
 * Nothing may crash, hang or leak; and a state that was taken out must be accepted again.
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "accel/soft/soft_int.h"
#include "base/log.h"
#include "base/types.h"
#include "base/wire.h"
#include "core/vcpu.h"
#include "fuzz/input.h"
#include "mem/ram.h"
#include "x86/cpuid.h"

#define RAM_SIZE (256 * KIB)
#define CODE	 0x1000u
#define IDT	 0x8000u
#define GDT	 0x9000u
#define TSS	 0xa000u
#define STACK	 0x10000u
#define TABLES	 0x20000u /* long mode and PAE: PML4, PDPT, PD, PT; without PAE: PD, PT */
#define ROUNDS	 4
#define STEPS	 200
#define TURNS	 2000

enum mode { REAL, PROT32, PROT16, LONG64, LONG32, VM86, MODES };

/* -------- the machine that there is not -------- */
static struct fuzz_input *io_input; /* what registers read as */

static void io_mem(struct soft_vcpu *v, uint64_t gpa, void *data, unsigned int size, bool write)
{
	uint64_t x = fuzz_take(io_input, 1) * 0x0101010101010101ull;

	assert(size >= 1 && size <= 8 && gpa >= RAM_SIZE);
	if (!write)
		memcpy(data, &x, size);
}
static void io_port(struct soft_vcpu *v, uint16_t port, void *data, unsigned int size, bool write)
{
	assert(size == 1 || size == 2 || size == 4);
	if (!write)
		memset(data, (int)fuzz_take(io_input, 1), size);
}
static const struct soft_io io = { .mem = io_mem, .port = io_port };

/* -------- who ends loops -------- */
static pthread_mutex_t watched_lock = PTHREAD_MUTEX_INITIALIZER;
static struct soft_vcpu *watched; /* in generated code */
static unsigned int watched_turn;

static void *watch(void *arg)
{
	const struct timespec ms = { 0, 1000000 };
	unsigned int seen = 0;

	for (;;) {
		nanosleep(&ms, NULL);
		pthread_mutex_lock(&watched_lock);
		if (watched && watched_turn == seen)
			soft_notify(watched, SOFT_POLL_KICK);
		seen = watched_turn;
		pthread_mutex_unlock(&watched_lock);
	}
	return arg;
}

static void watch_set(struct soft_vcpu *v)
{
	static bool started;
	pthread_t thread;

	if (!started && (pthread_create(&thread, NULL, watch, NULL) || pthread_detach(thread)))
		abort();
	started = true;
	pthread_mutex_lock(&watched_lock);
	watched = v;
	watched_turn++;
	pthread_mutex_unlock(&watched_lock);
}

struct vm {
	struct accel_vm *vm;
	struct accel_vcpu *vcpu[2];
	struct vcpu core[2];
	unsigned int n;
	struct ram_block *ram;
	struct as_range range;
};

static void make(struct vm *m, unsigned int n, bool translate)
{
	const struct accel *a = &soft_accel;
	struct accel_vm_config c = {
		.max_vcpus = 2, .max_apic_id = 1, .irqchip = ACCEL_IRQCHIP_SPLIT
	};
	struct ram_config rc = { .name = "fuzz", .size = RAM_SIZE, .host_node = -1 };
	static struct x86_cpuid cpuid;
	static bool have_cpuid;
	struct error err = ERROR_INIT;
	bool ok;

	*m = (struct vm){ .n = n };
	m->ram = ram_block_new(&rc, &err);
	m->vm = a->vm_new(NULL, &c, &err);
	assert(m->ram && m->vm);
	to_soft_vm(m->vm)->io = &io;
	to_soft_vm(m->vm)->jit = translate;
	m->range = (struct as_range){
		.start = 0, .size = RAM_SIZE, .kind = AS_RAM, .host = m->ram->host, .ram = m->ram
	};
	ok = a->ram_add(m->vm, &m->range) == 0;
	if (!have_cpuid)
		ok = ok && a->cpuid_supported(m->vm, &cpuid, &err);
	have_cpuid = true;
	for (unsigned int i = 0; i < n; i++) {
		m->core[i].index = m->core[i].apic_id = i;
		m->vcpu[i] = a->vcpu_new(m->vm, &m->core[i], &err);
		ok = ok && m->vcpu[i] && a->vcpu_set_cpuid(m->vcpu[i], &cpuid, &err);
	}
	assert(ok);
}

static void unmake(struct vm *m)
{
	for (unsigned int i = 0; i < m->n; i++)
		soft_accel.vcpu_free(m->vcpu[i]);
	soft_accel.ram_del(m->vm, &m->range);
	soft_accel.vm_free(m->vm);
	ram_block_unref(m->ram);
}

/* -------- memory as a kernel would have it -------- */
static void put64(struct vm *m, uint64_t at, uint64_t x)
{
	wr_le64(m->ram->host + at, x);
}

static void make_descriptors(struct vm *m, bool long_mode)
{
	static const uint64_t gdt[] = { 0, 0x00cf9b000000ffff, 0x00cf93000000ffff,
		0x00af9b000000ffff, 0x008f9b000000ffff, 0x008f93000000ffff, 0x00cffb000000ffff,
		0x00cff3000000ffff, 0x00affb000000ffff,
		0x00008b0000000067 | (uint64_t)TSS << 16 /* 0x48, busy */, 0,
		0x0000890000000067 | (uint64_t)(TSS + 0x100) << 16 /* 0x58 */, 0,
		0x0000850000480000 /* task gate */, 0x0000ec0000080000 | CODE /* call gate */ };

	for (unsigned int i = 0; i < ARRAY_SIZE(gdt); i++)
		put64(m, GDT + 8 * i, gdt[i]);
	for (unsigned int i = 0; i < 64; i++) {
		uint64_t type = i % 5 == 0 ? 0x8f : i % 7 == 0 ? 0xee : 0x8e;
		uint64_t sel = long_mode ? 0x18 : 8, at = CODE + 0x40 + 4 * i;

		put64(m, IDT + (long_mode ? 16 : 8) * i,
			at | sel << 16 | (i == 9 ? 0x85ull : type) << 40);
	}
	for (unsigned int i = 0; i < 3; i++) { /* SP0-2, as both kinds of TSS have them */
		put64(m, TSS + 4 + 8 * i, long_mode ? STACK : STACK | 0x10ull << 32);
		put64(m, TSS + 0x104 + 8 * i, STACK - 0x1000);
	}
}

static void make_paging(struct vm *m, bool pae, bool long_mode)
{
	uint64_t pd = long_mode ? TABLES + 0x2000
		      : pae	? TABLES + 0x1000
				: TABLES,
		 pt = pd + 0x1000;

	if (long_mode)
		put64(m, TABLES, (TABLES + 0x1000) | 7);
	if (pae) {
		put64(m, pd - 0x1000, pd | (long_mode ? 7 : 1));
		put64(m, pd, pt | 7);
		put64(m, pd + 8, 0x200087);
		put64(m, pd + 16, 0x87 | 1 << 12);
		for (uint64_t i = 0; i < 512; i++)
			put64(m, pt + 8 * i, i << 12 | 7);
		return;
	}
	put64(m, pd, pt | 7);
	for (uint64_t i = 0; i < 1024; i++)
		wr_le32(m->ram->host + pt + 4 * i, (uint32_t)(i << 12 | 7));
}

static struct x86_segment seg(uint16_t selector, uint32_t attr, uint64_t base, uint32_t limit)
{
	return (struct x86_segment){ base, limit, attr | X86_ATTR_P, selector };
}

static void make_segments(struct x86_cpu_state *s, enum mode mode, bool user)
{
	const uint32_t code = X86_ATTR_S | 0xb, data = X86_ATTR_S | 3, dpl3 = user ? 3 << 5 : 0;
	uint32_t g = X86_ATTR_G, db = X86_ATTR_DB;

	for (int i = 0; i < X86_NSEG; i++)
		s->seg[i] = mode == REAL || mode == VM86
				    ? seg(0, data | (mode == VM86 ? 3 << 5 : 0), 0, 0xffff)
			    : mode == PROT16
				    ? seg(0x28, data | g | dpl3, 0, UINT32_MAX)
				    : seg(user ? 0x3b : 0x10, data | g | db | dpl3, 0, UINT32_MAX);
	if (mode == PROT32 || mode == LONG32)
		s->seg[X86_CS] = seg(user ? 0x33 : 8, code | g | db | dpl3, 0, UINT32_MAX);
	else if (mode == LONG64)
		s->seg[X86_CS] = seg(
			user ? 0x43 : 0x18, code | g | X86_ATTR_L | dpl3, 0, UINT32_MAX);
	else if (mode == PROT16)
		s->seg[X86_CS] = seg(0x20, code | g | dpl3, 0, UINT32_MAX);
	s->tr = seg(0x48, 0xb, TSS, 0x67);
	s->ldtr = seg(0, 2, GDT + 0x40, 0x3f);
	s->gdtr = (struct x86_dtable){ .base = GDT, .limit = 0x7f };
	s->idtr = (struct x86_dtable){ .base = mode == REAL ? 0 : IDT, .limit = 0x3ff };
}

static void make_state(struct vm *m, struct x86_cpu_state *s, enum mode mode, struct fuzz_input *in)
{
	uint8_t flags = (uint8_t)fuzz_take(in, 1);
	bool long_mode = mode == LONG64 || mode == LONG32, user = (flags & 1) || mode == VM86;
	bool paging = long_mode || (mode != REAL && (flags & 2)), pae = long_mode || (flags & 4);

	x86_cpu_state_reset(s, 0, true);
	make_segments(s, mode, user);
	make_descriptors(m, long_mode);
	s->rip = CODE;
	s->rflags = 2 | (flags & 8 ? X86_FLAG_IF : 0) | (flags & 16 ? X86_FLAG_TF : 0) |
		    (flags & 32 ? X86_FLAG_IOPL : 0) | (mode == VM86 ? X86_FLAG_VM : 0);
	if (flags & 64)
		s->idtr.limit = 0;
	s->cr0 = X86_CR0_ET | (mode == REAL ? 0 : X86_CR0_PE | X86_CR0_NE | X86_CR0_MP) |
		 (paging ? X86_CR0_PG | X86_CR0_WP | X86_CR0_AM : 0);
	s->cr4 = X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_OSXSAVE | X86_CR4_PSE | X86_CR4_PGE |
		 X86_CR4_VME | (pae ? X86_CR4_PAE : 0);
	s->efer = X86_EFER_SCE | X86_EFER_NXE | (long_mode ? X86_EFER_LME | X86_EFER_LMA : 0);
	s->xcr0 = 7;
	s->cr3 = TABLES;
	if (paging)
		make_paging(m, pae, long_mode);
	for (int i = 0; i < 16; i++)
		s->gpr[i] = flags & 128 ? fuzz_take(in, 3) : 0x100u * i;
	s->gpr[X86_RSP] = STACK;
}

/* Spoil some bytes of the state. */
static void spoil(struct x86_cpu_state *s, struct fuzz_input *in)
{
	unsigned int n = fuzz_take(in, 1) & 15;

	for (unsigned int i = 0; i < n; i++) {
		size_t at = fuzz_take(in, 2) % sizeof(*s);

		((uint8_t *)s)[at] ^= (uint8_t)fuzz_take(in, 1);
	}
}

/* Stretches of memory: where, how long, what. The first is the code. */
static void fill(struct vm *m, struct fuzz_input *in, unsigned int stretches)
{
	uint64_t at = CODE, n = 64;

	for (unsigned int i = 0; i <= stretches && in->len; i++) {
		for (uint64_t k = 0; k < n && in->len; k++)
			m->ram->host[(at + k) % RAM_SIZE] = (uint8_t)fuzz_take(in, 1);
		at = fuzz_take(in, 3);
		n = fuzz_take(in, 1);
	}
}

/* -------- running it -------- */
static void disturb(struct vm *m, struct soft_vcpu *v, uint8_t how)
{
	struct vcpu_exit e;

	if (how & 1)
		soft_notify(v, SOFT_POLL_NMI);
	if (how & 2)
		soft_msi_send(m->vm, 0xfee00000 | (how & 0x10) << 8, how | 0x20);
	if (how & 4)
		soft_irq_set(m->vm, how >> 4, how & 8);
	if (how & 0x20)
		soft_notify(v, SOFT_POLL_FLUSH);
	if (how == 0xff)
		soft_notify(v, SOFT_POLL_INIT);
	/* Serves the requests and leaves at once. */
	soft_vcpu_kick(&v->base);
	soft_vcpu_run(&v->base, &e);
}

static void run(struct vm *m, struct fuzz_input *in)
{
	io_input = in;
	for (unsigned int round = 0; round < ROUNDS; round++)
		for (unsigned int i = 0; i < m->n; i++) {
			struct soft_vcpu *v = to_soft_vcpu(m->vcpu[i]);

			if (v->jit) {
				watch_set(v);
				soft_vcpu_turns(v, TURNS, NULL);
				watch_set(NULL);
			} else {
				soft_vcpu_steps(v, STEPS, NULL);
			}
			disturb(m, v, (uint8_t)fuzz_take(in, 1));
		}
}

static void round_trip(struct vm *m, struct x86_cpu_state *s)
{
	for (unsigned int i = 0; i < m->n; i++) {
		int r = soft_accel.vcpu_get(m->vcpu[i], s, X86_STATE_ALL);

		assert(r == 0);
		r = soft_accel.vcpu_set(m->vcpu[i], s, X86_STATE_ALL);
		assert(r == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct x86_cpu_state *s = calloc(1, sizeof(*s));
	uint8_t shape = (uint8_t)fuzz_take(&in, 1);
	struct vm m;
	bool ok = true;

	if (!s)
		abort();
	log_level = LOG_ERR; /* a spoiled state is refused with a warning */
	make(&m, shape & 0x80 ? 2 : 1, size && data[size - 1] & 1);
	make_state(&m, s, (enum mode)((shape & 7) % MODES), &in);
	spoil(s, &in);
	for (unsigned int i = 0; i < m.n; i++) {
		s->rip += 0x20 * i;
		s->gpr[X86_RSP] -= 0x800 * i;
		ok = ok && soft_accel.vcpu_set(m.vcpu[i], s, X86_STATE_ALL) == 0;
	}
	if (ok) {
		fill(&m, &in, shape >> 3 & 15);
		run(&m, &in);
		round_trip(&m, s);
	}
	unmake(&m);
	free(s);
	return 0;
}
