/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Random instructions emulated and on the host's CPU: registers, flags and memory must be the same,
 * also when every access says at first that its answer is not there yet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/mman.h>
#include "x86/emulate.h"
#include "x86/host_testing.h"
#include "x86/regs.h"

#define ARENA 16384u

static uint8_t *arena, *code;
static uint64_t gpr[16];
static uint8_t ymm[16][32];
static struct x86_segment seg[X86_NSEG];
static struct x86_emulate e;
static struct x86_insn insn;

/* Accesses done for the value of e.progress, in order. */
static struct access {
	char kind;
	uint64_t at;
	unsigned int n;
	uint8_t data[64];
} accesses[8];
static unsigned int n_accesses, cursor;
static uint64_t accesses_progress;
static bool slow;
static uint8_t port_value;
static unsigned int port_calls, port_units;
static uint8_t port_data[256];

static enum x86_emulate_result fault(uint64_t linear)
{
	e.fault.vector = X86_EXC_PF;
	e.fault.has_error = true;
	e.fault.address = linear;
	return X86_EMULATE_FAULT;
}

static void perform(struct access *a)
{
	if (a->kind == 'r')
		memcpy(a->data, (void *)a->at, a->n);
	else if (a->kind == 'w')
		memcpy((void *)a->at, a->data, a->n);
	else if (a->kind == 'i')
		memset(a->data, ++port_value, a->n);
	else
		memcpy(port_data + port_units, a->data, a->n);
}

/* One access, which may have been made before. */
static enum x86_emulate_result access_one(char kind, uint64_t at, void *data, unsigned int n)
{
	struct access *a = &accesses[cursor];

	if (accesses_progress != e.progress) {
		accesses_progress = e.progress;
		n_accesses = cursor = 0;
		a = accesses;
	}
	if (cursor++ < n_accesses) {
		assert_int_equal(a->kind, kind);
		assert_int_equal(a->at, at);
		assert_int_equal(a->n, n);
		if (kind == 'w' || kind == 'o')
			assert_memory_equal(a->data, data, n);
	} else {
		assert_true(cursor <= 8);
		n_accesses = cursor;
		*a = (struct access){ .kind = kind, .at = at, .n = n };
		memcpy(a->data, data, kind == 'w' || kind == 'o' ? n : 0);
		perform(a);
		if (slow)
			return X86_EMULATE_AGAIN;
	}
	if (kind == 'r' || kind == 'i')
		memcpy(data, a->data, n);
	return X86_EMULATE_DONE;
}

static bool inside(uint64_t linear, unsigned int n)
{
	uint64_t off = linear - (uintptr_t)arena;

	return off < ARENA && n <= ARENA - off;
}

static enum x86_emulate_result on_read(
	struct x86_emulate *x, uint64_t linear, void *buf, unsigned int n)
{
	return inside(linear, n) ? access_one('r', linear, buf, n) : fault(linear);
}

static enum x86_emulate_result on_write(
	struct x86_emulate *x, uint64_t linear, const void *buf, unsigned int n)
{
	uint8_t copy[64];

	if (!inside(linear, n))
		return fault(linear);
	memcpy(copy, buf, n);
	return access_one('w', linear, copy, n);
}

static enum x86_emulate_result on_check(struct x86_emulate *x, uint64_t linear, unsigned int n)
{
	return inside(linear, n) ? X86_EMULATE_DONE : fault(linear);
}

static enum x86_emulate_result on_in(
	struct x86_emulate *x, uint16_t port, void *buf, unsigned int size, unsigned int count)
{
	port_calls++;
	return access_one('i', port, buf, size * count);
}

static enum x86_emulate_result on_out(struct x86_emulate *x, uint16_t port, const void *buf,
	unsigned int size, unsigned int count)
{
	enum x86_emulate_result r;
	uint8_t copy[64];

	port_calls++;
	memcpy(copy, buf, size * count);
	r = access_one('o', port, copy, size * count);
	if (r == X86_EMULATE_DONE)
		port_units += size * count;
	return r;
}

static void on_vec_get(struct x86_emulate *x, unsigned int reg, uint8_t value[32])
{
	memcpy(value, ymm[reg], 32);
}

static void on_vec_set(struct x86_emulate *x, unsigned int reg, const uint8_t value[32])
{
	memcpy(ymm[reg], value, 32);
}

static const struct x86_emulate_ops ops = { on_read, on_write, on_check, on_in, on_out, on_vec_get,
	on_vec_set };

static void reset(enum x86_code mode)
{
	memset(gpr, 0, sizeof(gpr));
	for (int s = 0; s < X86_NSEG; s++)
		seg[s] = (struct x86_segment){ .limit = UINT32_MAX, .attr = 0xc093 };
	e = (struct x86_emulate){ .insn = &insn,
		.ops = &ops,
		.gpr = gpr,
		.seg = seg,
		.rip = (uintptr_t)code,
		.rflags = 2,
		.stack_size = mode == X86_CODE_64   ? 8
			      : mode == X86_CODE_32 ? 4
						    : 2,
		.linear_bits = 48,
		.max_units = 1000 };
	n_accesses = cursor = 0;
	accesses_progress = 0;
	slow = false;
	port_calls = port_units = 0;
}

static void decode(enum x86_code mode, const char *bytes, unsigned int n)
{
	memcpy(code, bytes, n);
	assert_int_equal(x86_decode(code, n, mode, &insn), X86_DECODE_OK);
	assert_int_equal(insn.len, n);
}
#define DECODE(mode, bytes) decode(mode, bytes, sizeof(bytes) - 1)

static enum x86_emulate_result run(void)
{
	enum x86_emulate_result r;

	cursor = 0;
	r = x86_emulate(&e);
	if (r != X86_EMULATE_AGAIN)
		n_accesses = 0;
	return r;
}

/* Until it is more than AGAIN. */
static enum x86_emulate_result run_all(void)
{
	enum x86_emulate_result r;

	do
		r = run();
	while (r == X86_EMULATE_AGAIN);
	return r;
}

static int setup(void **state)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT;

	arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, flags, -1, 0);
	code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1, 0);
	return arena == MAP_FAILED || code == MAP_FAILED;
}

static int teardown(void **state)
{
	munmap(arena, ARENA);
	munmap(code, 4096);
	return 0;
}

/* -------- against the host -------- */
static uint64_t random_value(void)
{
	switch (rnd() % 5) {
	case 0:
	case 1:
		return (uintptr_t)arena + ARENA / 2 + (int64_t)(rnd() % 512) - 256;
	case 2:
		return rnd() % 70;
	case 3:
		return -(rnd() % 70);
	default:
		return rnd();
	}
}

static bool has_memory(void)
{
	for (unsigned int n = 0; n < insn.n_operands; n++)
		if (insn.operand[n].kind == X86_OPND_MEM)
			return insn.base != X86_REG_RIP && insn.seg < X86_FS;
	return insn.op == X86_OP_PUSH || insn.op == X86_OP_POP;
}

static bool try_one(void)
{
	static uint8_t initial[ARENA], emulated[ARENA];
	uint64_t before[16], flags = 0x202 | (rnd() & (X86_FLAGS_STATUS | X86_FLAG_DF));
	enum x86_emulate_result r;

	reset(X86_CODE_64);
	slow = rnd() % 2;
	for (int n = 0; n < 16; n++)
		gpr[n] = random_value();
	if (insn.flags & X86_I_STRING) {
		gpr[X86_RCX] = rnd() % 40;
		gpr[X86_RSI] = (uintptr_t)arena + ARENA / 2 + rnd() % 64;
		gpr[X86_RDI] = (uintptr_t)arena + ARENA / 2 + rnd() % 64;
	}
	if (rnd() % 2)
		gpr[X86_RSP] = (uintptr_t)arena + ARENA / 2 + rnd() % 4096;
	memcpy(before, gpr, sizeof(before));
	memcpy(initial, arena, ARENA);
	e.rflags = flags;
	e.max_units = 1 + rnd() % 30;
	r = run_all();
	if (r != X86_EMULATE_DONE) {
		memcpy(arena, initial, ARENA);
		if (!(insn.flags & X86_I_STRING))
			assert_memory_equal(before, gpr, sizeof(before));
		return false;
	}
	assert_int_equal(e.rip, (uintptr_t)code + insn.len);
	memcpy(emulated, arena, ARENA);
	memcpy(arena, initial, ARENA);
	memcpy(test_gpr, before, sizeof(test_gpr));
	test_flags = flags;
	run_host(code, insn.len);
	if (memcmp(test_gpr, gpr, sizeof(gpr)) || test_flags != e.rflags)
		fail_msg("%s: flags %lx, host %lx", x86_op_name(insn.op), e.rflags, test_flags);
	assert_memory_equal(arena, emulated, ARENA);
	return true;
}

static void same_as_host(void **state)
{
	unsigned int ran = 0;

	for (unsigned int n = 0; n < 300000; n++) {
		random_bytes(code);
		if (x86_decode(code, 15, X86_CODE_64, &insn) != X86_DECODE_OK || !has_memory() ||
			insn.flags & X86_I_BRANCH)
			continue;
		ran += try_one();
	}
	print_message("%u instructions\n", ran);
	assert_true(ran > 20000);
}

/* -------- segments -------- */
static void segments(void **state)
{
	DECODE(X86_CODE_32, "\x89\x03"); /* mov [ebx], eax */
	reset(X86_CODE_32);
	gpr[X86_RBX] = 0x10;
	seg[X86_DS].base = (uintptr_t)arena;
	seg[X86_DS].limit = 0x13;
	gpr[X86_RAX] = 0x12345678;
	assert_int_equal(run(), X86_EMULATE_DONE);
	assert_int_equal(arena[0x13], 0x12);
	gpr[X86_RBX] = 0x11; /* reaches over the limit */
	assert_int_equal(run(), X86_EMULATE_FAULT);
	assert_int_equal(e.fault.vector, X86_EXC_GP);
	gpr[X86_RBX] = 0x10;
	seg[X86_DS].attr = 0xc091; /* read-only */
	assert_int_equal(run(), X86_EMULATE_FAULT);
	seg[X86_DS].attr = 0xc09b; /* code */
	assert_int_equal(run(), X86_EMULATE_FAULT);
	e.real_mode = true; /* no types there */
	assert_int_equal(run(), X86_EMULATE_DONE);
	e.real_mode = false;
	seg[X86_DS].attr = 0xc097; /* expand-down: what is above the limit */
	assert_int_equal(run(), X86_EMULATE_FAULT);
	gpr[X86_RBX] = 0x14;
	assert_int_equal(run(), X86_EMULATE_DONE);
	seg[X86_DS].attr = X86_ATTR_UNUSABLE | 0xc093;
	assert_int_equal(run(), X86_EMULATE_FAULT);
	DECODE(X86_CODE_32, "\x89\x45\x00"); /* mov [ebp], eax */
	seg[X86_SS].limit = 3;
	gpr[X86_RBP] = 1;
	assert_int_equal(run(), X86_EMULATE_FAULT);
	assert_int_equal(e.fault.vector, X86_EXC_SS);
	DECODE(X86_CODE_64, "\x89\x03"); /* not canonical */
	reset(X86_CODE_64);
	gpr[X86_RBX] = 0x7ffffffffffe;
	assert_int_equal(run(), X86_EMULATE_FAULT);
	assert_int_equal(e.fault.vector, X86_EXC_GP);
	e.linear_bits = 57;
	assert_int_equal(run(), X86_EMULATE_FAULT);
	assert_int_equal(e.fault.vector, X86_EXC_PF);
	assert_int_equal(e.rip, (uintptr_t)code);
	DECODE(X86_CODE_64, "\x65\x8b\x04\x25\x08\x00\x00\x00"); /* mov eax, gs:[8] */
	seg[X86_GS].base = (uintptr_t)arena;
	memcpy(arena + 8, "\1\2\3\4", 4);
	assert_int_equal(run(), X86_EMULATE_DONE);
	assert_int_equal(gpr[X86_RAX], 0x04030201);
}

/* -------- ports -------- */
static void ports(void **state)
{
	DECODE(X86_CODE_64, "\xf3\x6e"); /* rep outsb */
	for (int k = 0; k < 2; k++) {
		reset(X86_CODE_64);
		slow = k;
		for (int n = 0; n < 200; n++)
			arena[4000 + n] = (uint8_t)n;
		gpr[X86_RSI] = (uintptr_t)arena + 4000;
		gpr[X86_RCX] = 200;
		gpr[X86_RDX] = 0xffff03f8;
		assert_int_equal(run_all(), X86_EMULATE_DONE);
		assert_memory_equal(port_data, arena + 4000, 200);
		assert_int_equal(gpr[X86_RCX], 0);
		assert_int_equal(gpr[X86_RSI], (uintptr_t)arena + 4200);
		if (!slow) /* 64 bytes to the page's end and 32 more, then 64, 40 */
			assert_int_equal(port_calls, 4);
	}
	/* One unit a call, in the middle of it. */
	reset(X86_CODE_64);
	e.max_units = 1;
	gpr[X86_RSI] = (uintptr_t)arena;
	gpr[X86_RCX] = 2;
	assert_int_equal(run(), X86_EMULATE_AGAIN);
	assert_int_equal(gpr[X86_RCX], 1);
	assert_int_equal(e.rip, (uintptr_t)code);
	assert_int_equal(run(), X86_EMULATE_DONE);
	/* INS does not read the port when there is no place for the data. */
	DECODE(X86_CODE_64, "\xf3\x66\x6d");
	reset(X86_CODE_64);
	port_value = 0;
	gpr[X86_RDI] = (uintptr_t)arena + ARENA - 4;
	gpr[X86_RCX] = 9;
	assert_int_equal(run_all(), X86_EMULATE_FAULT);
	assert_int_equal(gpr[X86_RCX], 9 - 2);
	assert_int_equal(port_calls, 1);
	DECODE(X86_CODE_64, "\xe5\x60"); /* in eax, 60h */
	reset(X86_CODE_64);
	gpr[X86_RAX] = UINT64_MAX;
	assert_int_equal(run(), X86_EMULATE_DONE);
	assert_int_equal(gpr[X86_RAX], port_value * 0x01010101u);
	assert_int_equal(accesses[0].at, 0x60);
	DECODE(X86_CODE_64, "\x66\xef"); /* out dx, ax */
	reset(X86_CODE_64);
	gpr[X86_RDX] = 0x1234;
	gpr[X86_RAX] = 0xabcd;
	assert_int_equal(run(), X86_EMULATE_DONE);
	assert_int_equal(accesses[0].at, 0x1234);
	assert_int_equal(accesses[0].n, 2);
	assert_memory_equal(accesses[0].data, "\xcd\xab", 2);
}

/* -------- vectors -------- */
static void vectors(void **state)
{
	for (int n = 0; n < 64; n++)
		arena[n] = (uint8_t)(n + 1);
	reset(X86_CODE_64);
	gpr[X86_RSI] = (uintptr_t)arena;
	memset(ymm, 0xee, sizeof(ymm));
	DECODE(X86_CODE_64, "\xf3\x0f\x6f\x4e\x01"); /* movdqu xmm1, [rsi+1] */
	assert_int_equal(run(), X86_EMULATE_DONE);
	assert_memory_equal(ymm[1], arena + 1, 16);
	assert_int_equal(ymm[1][16], 0xee);
	reset(X86_CODE_64);
	gpr[X86_RSI] = (uintptr_t)arena + 1;
	DECODE(X86_CODE_64, "\x66\x0f\x6f\x0e"); /* movdqa: not aligned */
	assert_int_equal(run(), X86_EMULATE_FAULT);
	assert_int_equal(e.fault.vector, X86_EXC_GP);
	gpr[X86_RSI]--;
	DECODE(X86_CODE_64, "\xc5\xf9\x6e\x16"); /* vmovd xmm2, [rsi] */
	assert_int_equal(run(), X86_EMULATE_DONE);
	assert_memory_equal(ymm[2], "\1\2\3\4\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_int_equal(ymm[2][31], 0);
	reset(X86_CODE_64);
	gpr[X86_RSI] = (uintptr_t)arena;
	DECODE(X86_CODE_64, "\xc5\xfe\x7f\x4e\x20"); /* vmovdqu [rsi+32], ymm1 */
	assert_int_equal(run(), X86_EMULATE_DONE);
	assert_memory_equal(ymm[1], arena + 32, 32);
	DECODE(X86_CODE_64, "\xf2\x0f\x10\xca"); /* movsd xmm1, xmm2 */
	assert_int_equal(run(), X86_EMULATE_UNHANDLED);
	DECODE(X86_CODE_64, "\x0f\xa2"); /* cpuid */
	assert_int_equal(run(), X86_EMULATE_UNHANDLED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_host),
		cmocka_unit_test(segments),
		cmocka_unit_test(ports),
		cmocka_unit_test(vectors),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
