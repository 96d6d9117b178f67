// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Instructions that the host's units carry out, against the same bytes run by the host itself. Guest
 * linear addresses are host addresses here, so the same registers serve both. Memory management is a
 * fake: some buffers, everything else faults.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>
#include "accel/soft/exec_mem.h"
#include "accel/soft/mmu.h"
#include "accel/soft/native_int.h"
#include "base/log.h"
#include "x86/cpuid.h"

/* -------- a machine of one CPU -------- */
#define RAM_SIZE 0x4000 /* guest RAM; unmapped pages before and behind */

static struct soft_vcpu *cpu;
static uint8_t *ram;
static bool writable = true, use_tlb;
static _Atomic uint32_t code_word[2];

void soft_raise_error(struct soft_vcpu *v, uint8_t vector, uint32_t error)
{
	v->event = (struct soft_event){ .vector = vector, .has_error = true, .error = error };
	longjmp(v->raise, 1);
}

void soft_raise(struct soft_vcpu *v, uint8_t vector)
{
	v->event = (struct soft_event){ .vector = vector };
	longjmp(v->raise, 1);
}

uint64_t soft_seg_check(struct soft_vcpu *v, enum x86_seg seg, uint64_t off, unsigned int size,
	enum soft_access access)
{
	return (uint32_t)(off + v->seg[seg].base);
}

void soft_code_written(struct soft_vcpu *v, _Atomic uint32_t *code)
{
}

void soft_tlb_flush(struct soft_vcpu *v, bool global)
{
}

static void check(struct soft_vcpu *v, uint64_t lin, unsigned int n, enum soft_access access)
{
	if (lin < (uintptr_t)ram || lin + n > (uintptr_t)ram + RAM_SIZE ||
		(access == SOFT_WRITE && !writable)) {
		v->cr2 = lin < (uintptr_t)ram ? lin : MAX(lin, (uintptr_t)ram + RAM_SIZE);
		soft_raise_error(v, X86_EXC_PF, access == SOFT_WRITE ? X86_PF_W : 0);
	}
}

uint64_t soft_load_slow(
	struct soft_vcpu *v, enum x86_seg seg, uint64_t lin, unsigned int size, int index)
{
	uint64_t x = 0;

	check(v, lin, size, SOFT_READ);
	memcpy(&x, (void *)(uintptr_t)lin, size);
	return x;
}

void soft_store_slow(struct soft_vcpu *v, enum x86_seg seg, uint64_t lin, unsigned int size,
	uint64_t value, int index)
{
	check(v, lin, size, SOFT_WRITE);
	memcpy((void *)(uintptr_t)lin, &value, size);
}

void soft_load_bytes(struct soft_vcpu *v, enum x86_seg seg, uint64_t off, void *buf, unsigned int n)
{
	uint64_t lin = soft_linear(v, seg, off, n, SOFT_READ);

	check(v, lin, n, SOFT_READ);
	memcpy(buf, (void *)(uintptr_t)lin, n);
}

void soft_store_bytes(
	struct soft_vcpu *v, enum x86_seg seg, uint64_t off, const void *buf, unsigned int n)
{
	uint64_t lin = soft_linear(v, seg, off, n, SOFT_WRITE);

	check(v, lin, n, SOFT_WRITE);
	memcpy((void *)(uintptr_t)lin, buf, n);
}

void soft_probe(struct soft_vcpu *v, enum x86_seg seg, uint64_t off, unsigned int n,
	enum soft_access access, int index)
{
	check(v, soft_linear(v, seg, off, n, access), n, access);
}

static void set_tlb(bool on)
{
	use_tlb = on;
	for (unsigned int i = 0; i < SOFT_TLB_SIZE; i++)
		memset(cpu->tlb[SOFT_MMU_KERNEL][i].tag, 0xff, sizeof(cpu->tlb[0][0].tag));
	for (uint64_t a = (uintptr_t)ram; on && a < (uintptr_t)ram + RAM_SIZE; a += 0x1000) {
		struct soft_tlb_entry *e = soft_tlb_at(cpu, SOFT_MMU_KERNEL, a);

		*e = (struct soft_tlb_entry){ .tag = { a, a, a }, .code = code_word };
	}
}

static void reset(void)
{
	struct error err = ERROR_INIT;

	assert_true(soft_native_init(&err)); /* cmocka has its own handlers in each test */
	soft_fpu_sync(cpu);
	soft_fpu_reset(&cpu->fpu);
	cpu->code = X86_CODE_64;
	cpu->cr0 = X86_CR0_PE | X86_CR0_NE | X86_CR0_MP;
	cpu->cr4 = X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_OSXSAVE;
	cpu->efer = X86_EFER_LMA;
	cpu->xcr0 = cpu->xcr0_allowed = XS_X87 | XS_SSE | XS_AVX;
	cpu->seg_flat = 0xff;
	cpu->mmu_index = SOFT_MMU_KERNEL;
	cpu->rflags = X86_FLAG_1;
	cpu->cpl = 0;
	cpu->pkru = 0;
	memset(cpu->feature, 0xff, sizeof(cpu->feature));
	memset(cpu->seg, 0, sizeof(cpu->seg));
	writable = true;
	set_tlb(true);
}

static int setup(void **state)
{
	uint8_t *p = mmap(NULL, RAM_SIZE + 0x2000, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ram = p + 0x1000;
	if (p == MAP_FAILED || mprotect(ram, RAM_SIZE, PROT_READ | PROT_WRITE))
		return -1;
	cpu = aligned_alloc(64, (sizeof(*cpu) + 63) & ~(size_t)63);
	memset(cpu, 0, sizeof(*cpu));
	cpu->tlb = calloc(SOFT_MMU_INDEXES, sizeof(*cpu->tlb));
	reset();
	return 0;
}

static int teardown(void **state)
{
	munmap(ram - 0x1000, RAM_SIZE + 0x2000);
	free(cpu->tlb);
	free(cpu);
	return 0;
}

/* Run the instruction at @p; the exception's vector or -1. */
static struct soft_op op;
static int step_code(const uint8_t *p, size_t n, enum x86_code code)
{
	soft_fn *fn;

	memset(&op, 0, sizeof(op));
	cpu->code = code;
	assert_int_equal(x86_decode(p, n, code, &op.i), X86_DECODE_OK);
	fn = soft_native_fn(cpu, &op);
	assert_non_null(fn);
	cpu->gpr[X86_REG_RIP] = cpu->rip + op.i.len;
	if (setjmp(cpu->raise))
		return cpu->event.vector;
	fn(cpu, &op);
	return -1;
}
#define STEP(bytes)   step_code((const uint8_t *)(bytes), sizeof(bytes) - 1, X86_CODE_64)
#define STEP32(bytes) step_code((const uint8_t *)(bytes), sizeof(bytes) - 1, X86_CODE_32)

/* -------- the host itself -------- */
struct regs {
	_Alignas(64) uint8_t fx[512];
	uint8_t ymm[16][32];
	uint64_t gpr[16], rflags;
	uint32_t default_mxcsr;
};
static struct regs host;
static struct exec_mem host_code;

struct out {
	uint8_t b[1024];
	size_t n;
};

static void put(struct out *o, const char *s, size_t n)
{
	memcpy(o->b + o->n, s, n);
	o->n += n;
}
#define PUT(o, s) put(o, s, sizeof(s) - 1)
static void put_u32(struct out *o, uint32_t x)
{
	put(o, (char *)&x, 4);
}

/* @op of register @reg with [rax + @off]. */
static void put_ref(struct out *o, unsigned int reg, size_t off)
{
	o->b[o->n++] = 0x80 | (reg & 7) << 3;
	put_u32(o, off);
}

static void put_moves(struct out *o, unsigned int gpr_op, unsigned int vec_op)
{
	for (unsigned int i = 0; i < 16; i++) {
		PUT(o, "\xc5");
		o->b[o->n++] = (i & 8 ? 0 : 0x80) | 0x7c;
		o->b[o->n++] = vec_op;
		put_ref(o, i, offsetof(struct regs, ymm) + 32 * i);
	}
	for (unsigned int i = 1; i < 16; i++) {
		if (i == 4)
			continue;
		o->b[o->n++] = 0x48 | (i & 8) >> 1;
		o->b[o->n++] = gpr_op;
		put_ref(o, i, offsetof(struct regs, gpr) + 8 * i);
	}
}

static void put_address(struct out *o, void *p)
{
	uint64_t a = (uintptr_t)p;

	put(o, (char *)&a, 8);
}

/* Run @n bytes at @p with the registers of @host. */
static void run_host(const uint8_t *p, size_t n)
{
	struct out o = { .n = 0 };
	const uint8_t *f;

	PUT(&o, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57\x48\xb8"); /* push ...; mov rax, */
	put_address(&o, &host);
	PUT(&o, "\x48\x0f\xae\x88"); /* fxrstor64 */
	put_u32(&o, offsetof(struct regs, fx));
	PUT(&o, "\xff\xb0"); /* push [rflags]; popfq */
	put_u32(&o, offsetof(struct regs, rflags));
	PUT(&o, "\x9d");
	put_moves(&o, 0x8b, 0x10);
	PUT(&o, "\x48\x8b\x80"); /* mov rax, [rax + gpr[0]] */
	put_u32(&o, offsetof(struct regs, gpr));
	put(&o, (const char *)p, n);
	PUT(&o, "\x48\xa3"); /* mov [gpr[0]], rax */
	put_address(&o, &host.gpr[0]);
	PUT(&o, "\x48\xb8");
	put_address(&o, &host);
	put_moves(&o, 0x89, 0x11);
	PUT(&o, "\x9c\x8f\x80"); /* pushfq; pop [rflags] */
	put_u32(&o, offsetof(struct regs, rflags));
	PUT(&o, "\x48\x0f\xae\x80"); /* fxsave64 */
	put_u32(&o, offsetof(struct regs, fx));
	PUT(&o, "\xdb\xe3\x0f\xae\x90"); /* fninit; ldmxcsr */
	put_u32(&o, offsetof(struct regs, default_mxcsr));
	PUT(&o, "\xfc\xc5\xf8\x77\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3");
	host_code.used = 0;
	f = exec_mem_add(&host_code, o.b, o.n);
	assert_non_null(f);
	((void (*)(void))(uintptr_t)f)();
}

/* -------- instructions -------- */
/* Each: length, bytes. rsi points into RAM (aligned to 32), rbx is small. */
#define LIST(name, ...)                                                                     \
	__asm__(".pushsection .rodata\n" #name ":\n" __VA_ARGS__ ".byte 0\n.popsection\n"); \
	extern const uint8_t name[] __asm__(#name)
#define I(text) ".byte 12f - 11f\n11: " text "\n12:\n"

#include "accel/soft/native_test_insns.h"

static uint64_t seed = 88172645463325252ull;
static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Numbers of interest to floating point. */
static uint64_t number(void)
{
	static const double d[] = { 0, -0.0, 1, -1.5, 3.25e7, 1e-310, 1e300, -7.0e-20, 123456.789 };
	static const float f[] = { 0, 1, -2.5f, 1e-40f, 3e38f, 77.25f, -1e9f };
	uint64_t x;
	float pair[2];

	switch (rnd() % 4) {
	case 0:
		memcpy(&x, &d[rnd() % ARRAY_SIZE(d)], 8);
		return x;
	case 1:
		pair[0] = f[rnd() % ARRAY_SIZE(f)];
		pair[1] = f[rnd() % ARRAY_SIZE(f)];
		memcpy(&x, pair, 8);
		return x;
	case 2:
		return rnd() % 64;
	default:
		return rnd();
	}
}

static void random_state(bool x87)
{
	uint8_t area[X86_XSAVE_MAX] = { 0 };

	for (int i = 0; i < 16; i++) {
		for (int k = 0; k < 4; k++) {
			uint64_t x = number();

			memcpy(cpu->fpu.ymm[i] + 8 * k, &x, 8);
		}
		cpu->gpr[i] = rnd() >> (rnd() % 64);
	}
	for (int i = 0; i < RAM_SIZE / 8; i++)
		((uint64_t *)ram)[i] = number();
	cpu->gpr[X86_RSI] = (uintptr_t)ram + 64 + 32 * (rnd() % 8);
	cpu->gpr[X86_RBX] = rnd() % 64;
	cpu->rflags = X86_FLAG_1 | (rnd() & X86_FLAGS_STATUS);
	cpu->fpu.mxcsr = 0x1f80;
	native_fpu_init(&cpu->fpu);
	if (x87) {
		for (int i = 0; i < 8; i++) {
			uint64_t x = rnd() | 1ull << 63;
			uint16_t e = 0x3fff + rnd() % 40 - 20;

			memcpy(cpu->fpu.fx + 32 + 16 * i, &x, 8);
			memcpy(cpu->fpu.fx + 40 + 16 * i, &e, 2);
		}
		cpu->fpu.fx[4] = 0xff >> rnd() % 4;
		cpu->fpu.fx[3] = (rnd() % 8) << 3;
	}
	native_x87_get(&cpu->fpu, area, true);
	memcpy(host.fx, area, NATIVE_X87_IMAGE);
	native_put32(host.fx + 24, cpu->fpu.mxcsr);
	memcpy(host.ymm, cpu->fpu.ymm, sizeof(host.ymm));
	memcpy(host.gpr, cpu->gpr, sizeof(host.gpr));
	host.rflags = cpu->rflags | X86_FLAG_IF;
	host.default_mxcsr = 0x1f80;
}

static void fail_insn(const uint8_t *p, unsigned int n, const char *what)
{
	fprintf(stderr, "%s differs after", what);
	for (unsigned int i = 0; i < n; i++)
		fprintf(stderr, " %02x", p[i]);
	fprintf(stderr, " (%s)\n", x86_op_name(op.i.op));
	fail();
}

static void compare(const uint8_t *p, unsigned int n, const uint8_t *mem)
{
	soft_fpu_sync(cpu);
	if (memcmp(cpu->fpu.ymm, host.ymm, sizeof(host.ymm)))
		fail_insn(p, n, "vector register");
	for (int i = 0; i < 16; i++)
		if (i != X86_RSP && cpu->gpr[i] != host.gpr[i])
			fail_insn(p, n, "general register");
	if ((cpu->rflags ^ host.rflags) & X86_FLAGS_STATUS)
		fail_insn(p, n, "flag");
	if (cpu->fpu.mxcsr != native_get32(host.fx + 24))
		fail_insn(p, n, "MXCSR");
	if (memcmp(cpu->fpu.fx, host.fx, 5) || memcmp(cpu->fpu.fx + 32, host.fx + 32, 128))
		fail_insn(p, n, "x87 state");
	if (memcmp(ram, mem, RAM_SIZE))
		fail_insn(p, n, "memory");
}

static void one(const uint8_t *p, unsigned int n, bool x87)
{
	static uint8_t before[RAM_SIZE], after[RAM_SIZE];

	for (int i = 0; i < 24; i++) {
		set_tlb(i & 1);
		random_state(x87);
		memcpy(before, ram, RAM_SIZE);
		run_host(p, n);
		memcpy(after, ram, RAM_SIZE);
		memcpy(ram, before, RAM_SIZE);
		if (step_code(p, n, X86_CODE_64) != -1)
			fail_insn(p, n, "exception");
		compare(p, n, after);
	}
	set_tlb(true);
}

static void all(const uint8_t *list, bool x87)
{
	reset();
	for (const uint8_t *p = list; *p; p += 1 + *p)
		one(p + 1, *p, x87);
}

static void general(void **state)
{
	all(list_gpr, false);
}

static void sse(void **state)
{
	all(list_sse, false);
}

static void sse4(void **state)
{
	all(list_sse4, false);
}

static void avx(void **state)
{
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		all(list_avx, false);
}

static void mmx(void **state)
{
	all(list_mmx, true);
}

static void x87(void **state)
{
	all(list_x87, true);
}

/* -------- exceptions -------- */
static void need_enabling(void **state)
{
	reset();
	cpu->cr0 |= X86_CR0_TS;
	assert_int_equal(STEP("\x0f\x58\xc1"), X86_EXC_NM); /* addps */
	assert_int_equal(STEP("\xc5\xf0\x58\xc2"), X86_EXC_NM);
	assert_int_equal(STEP("\xd9\xe8"), X86_EXC_NM);	    /* fld1 */
	assert_int_equal(STEP("\x0f\xfc\xc1"), X86_EXC_NM); /* paddb mm */
	assert_int_equal(STEP("\x9b"), X86_EXC_NM);
	cpu->cr0 &= ~X86_CR0_MP;
	assert_int_equal(STEP("\x9b"), -1);
	reset();
	cpu->cr0 |= X86_CR0_EM;
	assert_int_equal(STEP("\x0f\x58\xc1"), X86_EXC_UD);
	assert_int_equal(STEP("\xd9\xe8"), X86_EXC_NM);
	assert_int_equal(STEP("\x0f\xfc\xc1"), X86_EXC_UD);
	assert_int_equal(STEP("\x9b"), -1);
	reset();
	cpu->cr4 &= ~X86_CR4_OSFXSR;
	assert_int_equal(STEP("\x0f\x58\xc1"), X86_EXC_UD);
	assert_int_equal(STEP("\xc5\xf0\x58\xc2"), -1);
	assert_int_equal(STEP("\x0f\xfc\xc1"), -1);
	reset();
	cpu->xcr0 = XS_X87 | XS_SSE;
	assert_int_equal(STEP("\xc5\xf0\x58\xc2"), X86_EXC_UD);
	reset();
	cpu->cr4 &= ~X86_CR4_OSXSAVE;
	assert_int_equal(STEP("\xc5\xf0\x58\xc2"), X86_EXC_UD);
	assert_int_equal(STEP("\xc4\xe2\x70\xf2\xc2"), -1); /* andn */
	cpu->cr0 &= ~X86_CR0_PE;
	assert_int_equal(STEP32("\xc4\xe2\x70\xf2\xc2"), X86_EXC_UD);
}

static void alignment(void **state)
{
	reset();
	cpu->gpr[X86_RSI] = (uintptr_t)ram + 8;
	assert_int_equal(STEP("\x0f\x28\x06"), X86_EXC_GP); /* movaps */
	assert_int_equal(STEP("\x0f\x10\x06"), -1);	    /* movups */
	assert_int_equal(STEP("\xc5\xf8\x58\x06"), -1);	    /* vaddps */
	assert_int_equal(STEP("\x0f\x58\x06"), X86_EXC_GP); /* addps */
	assert_int_equal(STEP("\xf3\x0f\x58\x06"), -1);	    /* addss */
	cpu->gpr[X86_RSI] = (uintptr_t)ram + 16;
	assert_int_equal(STEP("\xc5\xf8\x28\x06"), -1);
	assert_int_equal(STEP("\xc5\xfc\x28\x06"), X86_EXC_GP); /* vmovaps ymm */
	assert_int_equal(STEP("\x0f\xae\x06"), -1);		/* fxsave */
	cpu->gpr[X86_RSI] = (uintptr_t)ram + 24;
	assert_int_equal(STEP("\x0f\xae\x06"), X86_EXC_GP);
	assert_int_equal(cpu->event.error, 0);
}

/* A fault of the memory operand leaves all as it was. */
static void page_faults(void **state)
{
	struct soft_fpu before;

	reset();
	cpu->gpr[X86_RSI] = (uintptr_t)ram + RAM_SIZE - 8;
	memset(cpu->fpu.ymm, 0x5a, sizeof(cpu->fpu.ymm));
	before = cpu->fpu;
	assert_int_equal(STEP("\x0f\x10\x06"), X86_EXC_PF);
	assert_int_equal(cpu->cr2, (uintptr_t)ram + RAM_SIZE);
	assert_int_equal(STEP("\x0f\x11\x06"), X86_EXC_PF);
	assert_memory_equal(before.ymm, cpu->fpu.ymm, sizeof(before.ymm));
	assert_int_equal(STEP("\xd9\xe8"), -1);		/* fld1 */
	assert_int_equal(STEP("\xdb\x3e"), X86_EXC_PF); /* fstp m80 */
	set_tlb(false);
	writable = false;
	assert_int_equal(STEP("\xdd\x1e"), X86_EXC_PF); /* fstp m64 */
	writable = true;
	assert_int_equal(STEP("\xdd\x1e"), -1);
	assert_true(*(double *)(ram + RAM_SIZE - 8) == 1.0);
	soft_fpu_sync(cpu);
	assert_int_equal(cpu->fpu.fx[4], 0); /* popped once */
}

static void sse_exceptions(void **state)
{
	float x[4] = { 1, 2, 3, 4 }, y[4] = { 0, 1, 1, 1 };

	reset();
	memcpy(cpu->fpu.ymm[0], x, 16);
	memcpy(cpu->fpu.ymm[1], y, 16);
	cpu->fpu.mxcsr = 0x1f80 & ~0x200; /* ZM */
	for (int i = 0; i < 3; i++) {
		cpu->fpu.mxcsr &= ~0x3f;
		assert_int_equal(STEP("\x0f\x5e\xc1"), X86_EXC_XM); /* divps */
		assert_memory_equal(cpu->fpu.ymm[0], x, 16);
		assert_int_equal(cpu->fpu.mxcsr, (0x1f80 & ~0x200) | 4);
		assert_int_equal(native_host_mxcsr(), 0x1f80);
	}
	cpu->cr4 &= ~X86_CR4_OSXMMEXCPT;
	assert_int_equal(STEP("\x0f\x5e\xc1"), X86_EXC_UD);
	cpu->fpu.mxcsr = 0x1f80;
	assert_int_equal(STEP("\x0f\x5e\xc1"), -1);
	soft_fpu_sync(cpu);
	assert_int_equal(cpu->fpu.mxcsr, 0x1f84);
	assert_int_equal(native_host_mxcsr(), 0x1f80);
}

/* MXCSR's rounding mode is the guest's, in registers or not. */
static void rounding(void **state)
{
	double x = 2.5;

	reset();
	memcpy(cpu->fpu.ymm[0], &x, 8);
	for (int i = 0; i < 4; i++) {
		static const unsigned int want[] = { 2, 2, 3, 2 };
		uint32_t mxcsr = 0x1f80 | (uint32_t)i << 13;

		memcpy(ram, &mxcsr, 4);
		cpu->gpr[X86_RSI] = (uintptr_t)ram;
		assert_int_equal(STEP("\x0f\xae\x16"), -1);	/* ldmxcsr */
		assert_int_equal(STEP("\xf2\x0f\x2d\xc0"), -1); /* cvtsd2si eax, xmm0 */
		assert_int_equal(cpu->gpr[X86_RAX], want[i]);
		assert_int_equal(STEP("\x0f\xae\x1e"), -1); /* stmxcsr */
		assert_int_equal(*(uint32_t *)ram, mxcsr | 0x20);
	}
	*(uint32_t *)ram = 0x10000;
	assert_int_equal(STEP("\x0f\xae\x16"), X86_EXC_GP);
}

static void x87_exceptions(void **state)
{
	reset();
	cpu->gpr[X86_RSI] = (uintptr_t)ram;
	*(uint16_t *)ram = 0x37b; /* ZM clear */
	cpu->rip = 0x1000;
	assert_int_equal(STEP("\xd9\x2e"), -1); /* fldcw */
	assert_int_equal(STEP("\xd9\xe8"), -1); /* fld1 */
	assert_int_equal(STEP("\xd9\xee"), -1); /* fldz */
	cpu->rip = 0x1234;
	cpu->seg[X86_CS].selector = 0x10;
	assert_int_equal(STEP("\xde\xf9"), -1); /* fdivp: pending from here on */
	cpu->rip = 0x1236;
	assert_int_equal(STEP("\xd9\xe8"), X86_EXC_MF);
	assert_int_equal(STEP("\x9b"), X86_EXC_MF);
	assert_int_equal(STEP("\x0f\xfc\xc1"), X86_EXC_MF);
	assert_int_equal(STEP("\xdf\xe0"), -1); /* fnstsw ax */
	assert_int_equal(cpu->gpr[X86_RAX] & 0x80bf, 0x8084);
	assert_int_equal(STEP("\xd9\x36"), -1); /* fnstenv */
	assert_int_equal(*(uint32_t *)(ram + 12), 0x1234);
	assert_int_equal(*(uint32_t *)(ram + 16), 0x10 | 0x6f9 << 16);
	assert_int_equal(STEP("\x9b"), -1); /* FNSTENV masks */
	assert_int_equal(STEP("\xdb\xe3"), -1);
	assert_int_equal(STEP("\xd9\xe8"), -1);
}

/* -------- whole state -------- */
static void fill_state(void)
{
	random_state(true);
	cpu->fpu.fip = 0x1122334455667788;
	cpu->fpu.fdp = 0x8877665544332211;
	cpu->fpu.fop = 0x123;
	cpu->fpu.mxcsr = 0x1fa0;
	cpu->gpr[X86_RSI] = (uintptr_t)ram + 0x400;
}

static void clear_state(void)
{
	soft_fpu_sync(cpu);
	soft_fpu_reset(&cpu->fpu);
}

/* @save then @restore brings all back but what the format has not. */
static void round_trip(const char *save, size_t n, const char *restore, size_t m, bool upper)
{
	struct soft_fpu before;

	fill_state();
	memset(ram, 0, RAM_SIZE);
	cpu->gpr[X86_RAX] = UINT32_MAX;
	cpu->gpr[X86_RDX] = UINT32_MAX;
	cpu->xcr0 |= XS_PKRU;
	cpu->pkru = upper ? 0x5a5a5a5a : 0;
	before = cpu->fpu;
	assert_int_equal(step_code((const uint8_t *)save, n, X86_CODE_64), -1);
	clear_state();
	assert_int_equal(step_code((const uint8_t *)restore, m, X86_CODE_64), -1);
	for (int i = 0; i < 16; i++)
		assert_memory_equal(cpu->fpu.ymm[i], before.ymm[i], upper ? 32 : 16);
	assert_memory_equal(cpu->fpu.fx, before.fx, 6);
	assert_memory_equal(cpu->fpu.fx + 32, before.fx + 32, 128);
	assert_int_equal(cpu->fpu.mxcsr, before.mxcsr);
	assert_int_equal(cpu->fpu.fip, before.fip);
	assert_int_equal(cpu->fpu.fdp, before.fdp);
	assert_int_equal(cpu->fpu.fop, before.fop);
	if (upper)
		assert_int_equal(cpu->pkru, 0x5a5a5a5a);
}
#define ROUND_TRIP(save, restore, upper) \
	round_trip(save, sizeof(save) - 1, restore, sizeof(restore) - 1, upper)

#define FXSAVE64   "\x48\x0f\xae\x06"
#define FXRSTOR64  "\x48\x0f\xae\x0e"
#define XSAVE64	   "\x48\x0f\xae\x26"
#define XRSTOR64   "\x48\x0f\xae\x2e"
#define XSAVEOPT64 "\x48\x0f\xae\x36"
#define XSAVEC64   "\x48\x0f\xc7\x26"
#define XSAVES64   "\x48\x0f\xc7\x2e"
#define XRSTORS64  "\x48\x0f\xc7\x1e"

static void save_restore(void **state)
{
	for (int tlb = 0; tlb < 2; tlb++) {
		reset();
		set_tlb(tlb);
		ROUND_TRIP(FXSAVE64, FXRSTOR64, false);
		ROUND_TRIP(XSAVE64, XRSTOR64, true);
		ROUND_TRIP(XSAVEOPT64, XRSTOR64, true);
		ROUND_TRIP(XSAVEC64, XRSTOR64, true);
		ROUND_TRIP(XSAVES64, XRSTORS64, true);
	}
}

static uint64_t *header(unsigned int i)
{
	return (uint64_t *)(ram + 0x400 + XS_HEADER) + i;
}

static void xsave_headers(void **state)
{
	reset();
	fill_state();
	cpu->gpr[X86_RAX] = XS_X87 | XS_SSE;
	cpu->gpr[X86_RDX] = 0;
	memset(ram, 0, RAM_SIZE);
	*header(0) = XS_AVX;
	assert_int_equal(STEP(XSAVE64), -1);
	assert_int_equal(*header(0), XS_X87 | XS_SSE | XS_AVX);
	assert_int_equal(*header(1), 0);
	clear_state();
	cpu->gpr[X86_RAX] = UINT32_MAX;
	assert_int_equal(STEP(XSAVEC64), -1);
	assert_int_equal(*header(0), 0);
	assert_int_equal(*header(1), 1ull << 63 | 7);
	*header(0) = 1 << 3; /* not enabled */
	assert_int_equal(STEP(XRSTOR64), X86_EXC_GP);
	*header(0) = 0;
	*header(3) = 1; /* reserved */
	assert_int_equal(STEP(XRSTOR64), X86_EXC_GP);
	*header(3) = 0;
	fill_state();
	cpu->gpr[X86_RAX] = UINT32_MAX;
	memset(ram, 0, RAM_SIZE);
	*header(1) = 1ull << 63 | 7;
	assert_int_equal(STEP(XRSTOR64), -1); /* all to their initial state */
	assert_int_equal(soft_fpu_xinuse(cpu), 0);
	assert_int_equal(cpu->fpu.mxcsr, 0x1f80);
	*header(1) = 0;
	assert_int_equal(STEP(XRSTORS64), X86_EXC_GP);
	*(uint32_t *)(ram + 0x400 + 24) = 0xffffffff; /* MXCSR */
	assert_int_equal(STEP(XRSTOR64), X86_EXC_GP);
	cpu->gpr[X86_RAX] = XS_X87;
	assert_int_equal(STEP(XRSTOR64), -1);
	cpu->gpr[X86_RSI] += 32;
	assert_int_equal(STEP(XRSTOR64), X86_EXC_GP);
	cpu->cr4 &= ~X86_CR4_OSXSAVE;
	assert_int_equal(STEP(XRSTOR64), X86_EXC_UD);
}

static void state_area(void **state)
{
	static uint8_t area[X86_XSAVE_MAX], again[X86_XSAVE_MAX];

	reset();
	fill_state();
	assert_int_equal(STEP("\xd9\xe8"), -1); /* resident */
	soft_fpu_sync(cpu);
	soft_fpu_get(cpu, area);
	clear_state();
	assert_true(soft_fpu_set(cpu, area));
	soft_fpu_get(cpu, again);
	assert_memory_equal(area, again, sizeof(area));
	native_put32(area + XS_MXCSR, 0x10000);
	assert_false(soft_fpu_set(cpu, area));
	native_put32(area + XS_MXCSR, 0x1f80);
	native_put64(area + XS_HEADER, 1 << 5);
	assert_false(soft_fpu_set(cpu, area));
	native_put64(area + XS_HEADER, 0);
	assert_true(soft_fpu_set(cpu, area));
	assert_int_equal(soft_fpu_xinuse(cpu), 0);
}

/* -------- element by element -------- */
static void gathers(void **state)
{
	uint32_t index[8] = { 0, 4, 8, 12, 16, 20, 24, RAM_SIZE };

	reset();
	for (int i = 0; i < RAM_SIZE / 4; i++)
		((uint32_t *)ram)[i] = i;
	cpu->gpr[X86_RSI] = (uintptr_t)ram;
	memcpy(cpu->fpu.ymm[1], index, 32);
	memset(cpu->fpu.ymm[2], 0xff, 32);
	memset(cpu->fpu.ymm[0], 0x5a, 32);
	/* vpgatherdd ymm0, [rsi + ymm1], ymm2 */
	assert_int_equal(STEP("\xc4\xe2\x6d\x90\x04\x0e"), X86_EXC_PF);
	for (uint32_t i = 0; i < 7; i++) {
		assert_int_equal(native_get32(cpu->fpu.ymm[0] + 4 * i), i);
		assert_int_equal(native_get32(cpu->fpu.ymm[2] + 4 * i), 0);
	}
	assert_int_equal(native_get32(cpu->fpu.ymm[0] + 28), 0x5a5a5a5a);
	assert_int_equal(native_get32(cpu->fpu.ymm[2] + 28), 0xffffffff);
	cpu->gpr[X86_RSI] -= 4;
	assert_int_equal(STEP("\xc4\xe2\x6d\x90\x04\x0e"), -1);
	assert_int_equal(native_get32(cpu->fpu.ymm[0] + 28), RAM_SIZE / 4 - 1);
	assert_int_equal(native_get32(cpu->fpu.ymm[0]), 0);
	assert_int_equal(native_get32(cpu->fpu.ymm[2] + 28), 0);
}

static void masked_moves(void **state)
{
	reset();
	memset(ram, 0x11, RAM_SIZE);
	memset(cpu->fpu.ymm[0], 0x22, 32);
	memset(cpu->fpu.ymm[2], 0, 32);
	memset(cpu->fpu.ymm[2], 0xff, 4);
	cpu->gpr[X86_RSI] = (uintptr_t)ram + RAM_SIZE - 4;
	/* vmaskmovps [rsi], ymm2, ymm0; vmaskmovps ymm3, ymm2, [rsi]: the rest is masked off */
	assert_int_equal(STEP("\xc4\xe2\x6d\x2e\x06"), -1);
	assert_int_equal(*(uint32_t *)(ram + RAM_SIZE - 4), 0x22222222);
	assert_int_equal(STEP("\xc4\xe2\x6d\x2c\x1e"), -1);
	assert_int_equal(native_get64(cpu->fpu.ymm[3]), 0x22222222);
	memset(cpu->fpu.ymm[2] + 4, 0xff, 4);
	assert_int_equal(STEP("\xc4\xe2\x6d\x2e\x06"), X86_EXC_PF);
	assert_int_equal(STEP("\xc4\xe2\x6d\x2c\x1e"), X86_EXC_PF);
	memset(cpu->fpu.ymm[2], 0, 32);
	memset(cpu->fpu.ymm[2] + 15, 0xff, 1);
	cpu->gpr[X86_RDI] = (uintptr_t)ram - 15;
	assert_int_equal(STEP("\x66\x0f\xf7\xc2"), -1); /* maskmovdqu xmm0, xmm2 */
	assert_int_equal(*(uint16_t *)ram, 0x1122);
}

/* -------- our own trouble -------- */
/* RAM that is gone under the TLB's feet (a truncated file): the guest's trouble, not the process's. */
static void host_fault(void **state)
{
	struct soft_tlb_entry *e;
	uint64_t gone = (uintptr_t)ram - 0x1000;

	reset();
	log_level = LOG_ERR;
	memset(cpu->fpu.ymm[0], 0x5a, 32);
	e = soft_tlb_at(cpu, SOFT_MMU_KERNEL, gone);
	*e = (struct soft_tlb_entry){ .tag = { gone, gone, gone }, .code = code_word };
	cpu->gpr[X86_RSI] = gone;
	assert_int_equal(STEP("\x0f\x10\x06"), X86_EXC_UD);
	assert_int_equal(cpu->fpu.ymm[0][0], 0x5a);
	assert_int_equal(STEP("\x0f\x11\x06"), X86_EXC_UD);
}

/* A guest with more different instructions than there is room for. Last: nothing empties it again. */
static void many_stubs(void **state)
{
	uint8_t p[5] = { 0xc5, 0, 0xc6 }; /* vshufps xmm, xmm, xmm, imm8 */
	const void *stub;

	reset();
	for (unsigned int n = 0; n < 1u << 19; n++) {
		p[4] = n;
		p[3] = 0xc0 | (n >> 8 & 0x3f);
		p[1] = 0x80 | (n >> 14 & 15) << 3 | (n >> 18 & 1) << 2;
		memset(&op, 0, sizeof(op));
		assert_int_equal(x86_decode(p, 5, X86_CODE_64, &op.i), X86_DECODE_OK);
		assert_non_null(soft_native_fn(cpu, &op));
	}
	stub = op.stub; /* of all that found no room */
	one((const uint8_t *)"\xc5\xe4\xc6\xcb\x1b", 5, false);
	assert_ptr_equal(op.stub, stub);
	one((const uint8_t *)"\xc4\x41\x74\xc6\xcb\x33", 6, false);
	one((const uint8_t *)"\x66\x0f\x3a\x63\xce\x0d", 6, false);
	sse_exceptions(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(general),
		cmocka_unit_test(sse),
		cmocka_unit_test(sse4),
		cmocka_unit_test(avx),
		cmocka_unit_test(mmx),
		cmocka_unit_test(x87),
		cmocka_unit_test(need_enabling),
		cmocka_unit_test(alignment),
		cmocka_unit_test(page_faults),
		cmocka_unit_test(sse_exceptions),
		cmocka_unit_test(rounding),
		cmocka_unit_test(x87_exceptions),
		cmocka_unit_test(save_restore),
		cmocka_unit_test(xsave_headers),
		cmocka_unit_test(state_area),
		cmocka_unit_test(gathers),
		cmocka_unit_test(masked_moves),
		cmocka_unit_test(host_fault),
		cmocka_unit_test(many_stubs),
	};
	struct error err = ERROR_INIT;

	if (!__builtin_cpu_supports("avx") || !exec_mem_init(&host_code, 4096, 0, false, &err)) {
		printf("needs AVX and executable memory: %s\n", err.msg);
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
