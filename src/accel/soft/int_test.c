// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random instructions carried out by int_*.c and by the host's CPU: registers, flags and memory must
 * be the same. The guest's memory is an arena at the host's own addresses, so that the very same
 * bytes can run in both. What the memory functions would do is done here, so nothing of mmu.c is
 * needed: pages of the arena are in the TLB or not, at random.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/mman.h>
#include "accel/soft/int.h"
#include "x86/host_testing.h"

#define PAGES 6
#define ARENA (PAGES * 4096u)

void soft_spin(struct soft_vcpu *v)
{
}

static uint8_t *arena, *code;
static struct soft_vcpu *v;
static struct soft_vm vm;
static _Atomic uint32_t code_word[2];
static unsigned int code_writes;
/* -------- in place of run.c, mmu.c, sys.c -------- */
_Noreturn void soft_raise_error(struct soft_vcpu *cpu, uint8_t vector, uint32_t error)
{
	cpu->event = (struct soft_event){ .vector = vector, .has_error = true, .error = error };
	longjmp(cpu->raise, 1);
}

_Noreturn void soft_raise(struct soft_vcpu *cpu, uint8_t vector)
{
	cpu->event = (struct soft_event){ .vector = vector };
	longjmp(cpu->raise, 1);
}

void soft_mode_changed(struct soft_vcpu *cpu)
{
	cpu->stop = true;
}

static uint8_t *host(struct soft_vcpu *cpu, uint64_t lin, unsigned int n)
{
	uint64_t off = lin - (uintptr_t)arena;

	if (off >= ARENA || n > ARENA - off)
		soft_raise_error(cpu, X86_EXC_PF, 0);
	return arena + off;
}

uint64_t soft_seg_check(struct soft_vcpu *cpu, enum x86_seg seg, uint64_t off, unsigned int size,
	enum soft_access access)
{
	if (off > cpu->seg[seg].limit || size - 1 > cpu->seg[seg].limit - off)
		soft_raise_error(cpu, seg == X86_SS ? X86_EXC_SS : X86_EXC_GP, 0);
	return (uint32_t)(off + cpu->seg[seg].base);
}

uint64_t soft_load_slow(
	struct soft_vcpu *cpu, enum x86_seg seg, uint64_t lin, unsigned int size, int index)
{
	uint64_t value = 0;

	memcpy(&value, host(cpu, lin, size), size);
	return value;
}

void soft_store_slow(struct soft_vcpu *cpu, enum x86_seg seg, uint64_t lin, unsigned int size,
	uint64_t value, int index)
{
	memcpy(host(cpu, lin, size), &value, size);
}

void soft_code_written(struct soft_vcpu *cpu, _Atomic uint32_t *word)
{
	code_writes++;
}

void soft_probe(struct soft_vcpu *cpu, enum x86_seg seg, uint64_t off, unsigned int n,
	enum soft_access access, int index)
{
	host(cpu, soft_linear(cpu, seg, off, n, access), n);
}

void *soft_rmw_begin(struct soft_vcpu *cpu, enum x86_seg seg, uint64_t off, unsigned int size)
{
	uint64_t lin = soft_linear(cpu, seg, off, size, SOFT_WRITE);

	host(cpu, lin, size);
	return soft_tlb_host(cpu, lin, size, SOFT_WRITE, cpu->mmu_index);
}

uint64_t soft_rmw_load(struct soft_vcpu *cpu, enum x86_seg seg, uint64_t off, unsigned int size)
{
	return soft_load_slow(cpu, seg, soft_linear(cpu, seg, off, size, SOFT_WRITE), size, 0);
}

void soft_exclusive_begin(struct soft_vcpu *cpu)
{
	assert_false(cpu->exclusive);
	cpu->exclusive = true;
}

void soft_exclusive_end(struct soft_vcpu *cpu)
{
	assert_true(cpu->exclusive);
	cpu->exclusive = false;
}

unsigned int soft_span(struct soft_vcpu *cpu, enum x86_seg seg, uint64_t off, unsigned int size,
	bool down, enum soft_access access, void **p)
{
	uint64_t lin = soft_linear(cpu, seg, off, size, access);

	host(cpu, lin, size);
	*p = soft_tlb_host(cpu, lin, size, access, cpu->mmu_index);
	if (!*p)
		return 0;
	return down ? (lin & 0xfff) + size : 0x1000 - (lin & 0xfff);
}

static uint16_t last_port;
static unsigned int port_accesses;

void soft_check_io(struct soft_vcpu *cpu, uint16_t port, unsigned int size)
{
	if (port == 0xdead)
		soft_gp(cpu, 0);
}

void soft_port(struct soft_vcpu *cpu, uint16_t port, void *data, unsigned int size, bool write)
{
	last_port = port;
	port_accesses++;
	if (!write)
		memset(data, (int)port_accesses, size);
}

/* -------- one instruction on the interpreter -------- */
static bool run_soft(const struct soft_op *o)
{
	volatile int n;

	v->rip = (uintptr_t)code;
	for (n = 0; n < 100000; n++) {
		v->gpr[X86_REG_RIP] = v->rip + o->i.len;
		v->stop = false;
		if (setjmp(v->raise)) {
			v->exclusive = false;
			return false;
		}
		o->fn(v, o);
		if (v->gpr[X86_REG_RIP] != v->rip)
			return true;
		assert_true(v->stop);
	}
	fail_msg("endless repetition");
	return false;
}

/* Enter the arena's pages into the TLB, each with chance @percent. */
static void fill_tlb(unsigned int percent)
{
	for (unsigned int i = 0; i < SOFT_TLB_SIZE; i++)
		memset(v->tlb[0][i].tag, 0xff, sizeof(v->tlb[0][i].tag));
	for (unsigned int i = 0; i < PAGES; i++) {
		uint64_t lin = (uintptr_t)arena + i * 4096;
		struct soft_tlb_entry *e = soft_tlb_at(v, 0, lin);

		e->addend = 0;
		e->code = code_word;
		if (rnd() % 100 < percent)
			for (int a = 0; a < 3; a++)
				e->tag[a] = lin;
	}
}

static int setup(void **state)
{
	const int rwx = PROT_READ | PROT_WRITE | PROT_EXEC;
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT;

	arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, flags, -1, 0);
	code = mmap(NULL, 4096, rwx, flags, -1, 0);
	v = calloc(1, sizeof(*v));
	assert_non_null(v);
	v->tlb = calloc(1, sizeof(*v->tlb));
	assert_non_null(v->tlb);
	assert_ptr_not_equal(arena, MAP_FAILED);
	assert_ptr_not_equal(code, MAP_FAILED);
	v->vm = &vm;
	v->code = X86_CODE_64;
	v->stack_size = 8;
	v->seg_flat = 0x3f;
	return 0;
}

static int teardown(void **state)
{
	free(v->tlb);
	free(v);
	munmap(arena, ARENA);
	munmap(code, 4096);
	return 0;
}

/* -------- random instructions -------- */
static uint64_t random_value(void)
{
	switch (rnd() % 6) {
	case 0:
	case 1:
		return (uintptr_t)arena + ARENA / 2 + (int64_t)(rnd() % 512) - 256;
	case 2:
		return rnd() % 70;
	case 3:
		return -(rnd() % 70);
	case 4:
		return 1ull << rnd() % 64;
	default:
		return rnd();
	}
}

/* May the host execute it? Its memory operand must be in the arena. */
static bool runs_on_host(const struct x86_insn *i)
{
	for (unsigned int n = 0; n < i->n_operands; n++)
		if (i->operand[n].kind == X86_OPND_MEM && i->base == X86_REG_RIP)
			return false;
	if (i->flags & X86_I_BRANCH || i->seg >= X86_FS)
		return false;
	return i->op != X86_OP_PUSHF && i->op != X86_OP_POPF;
}

/* The order is what a divisor of the wrong size cannot be mistaken in: computed in 128 bits. */
static bool quotient_fits(const struct x86_insn *i, const uint64_t *gpr, uint64_t src)
{
	unsigned int size = i->operand[i->operand[0].implicit].size, bits = 8 * size;
	uint64_t lo = x86_zext(size == 1 ? 2 : size, gpr[X86_RAX]),
		 hi = x86_zext(size, gpr[X86_RDX]);
	unsigned __int128 n = size == 1 ? lo : (unsigned __int128)hi << bits | lo;
	__int128 sn, d = (int64_t)x86_sext(size, src), q;

	if (!x86_zext(size, src))
		return false;
	if (i->op == X86_OP_DIV)
		return !(n / x86_zext(size, src) >> bits);
	sn = (__int128)(n << (128 - 2 * bits)) >> (128 - 2 * bits);
	if (d == -1)
		return size < 8 ? -sn >> (bits - 1) == 0 || -sn >> (bits - 1) == -1
				: sn >= -(__int128)INT64_MAX && sn <= (__int128)INT64_MAX + 1;
	q = sn / d;
	return q >> (bits - 1) == 0 || q >> (bits - 1) == -1;
}

static void show(const struct x86_insn *i, const uint64_t *before, uint64_t flags)
{
	print_error("%s opsize %u:", x86_op_name(i->op), i->opsize);
	for (int n = 0; n < i->len; n++)
		print_error(" %02x", code[n]);
	print_error("\nflags before %lx, soft %lx, host %lx\n", flags, v->rflags, test_flags);
	for (int n = 0; n < 16; n++)
		print_error(
			"r%d before %lx soft %lx host %lx\n", n, before[n], v->gpr[n], test_gpr[n]);
}

static uint8_t initial[ARENA], by_soft[ARENA];

/* Returns whether it ran on both. */
static bool try_one(const struct soft_op *o)
{
	uint64_t before[16], flags = 0x202 | (rnd() & (X86_FLAGS_STATUS | X86_FLAG_DF));

	for (int n = 0; n < 16; n++)
		before[n] = v->gpr[n] = random_value();
	if (o->i.flags & X86_I_STRING) {
		before[X86_RCX] = v->gpr[X86_RCX] = rnd() % (rnd() % 8 ? 40 : 1200);
		for (int n = X86_RSI; n <= X86_RDI; n++)
			before[n] = v->gpr[n] = (uintptr_t)arena + ARENA / 2 +
						(int64_t)(rnd() % 64) - 32 +
						(rnd() % 8 ? 0 : rnd() % 4096);
		if (rnd() % 2)
			memset(arena + ARENA / 2 - 600, 0x55, 1200);
	}
	if ((o->i.op >= X86_OP_PUSH && o->i.op <= X86_OP_LEAVE) || rnd() % 2)
		before[X86_RSP] = v->gpr[X86_RSP] = (uintptr_t)arena + ARENA / 2 + rnd() % 4096;
	if (o->i.op == X86_OP_LEAVE || o->i.op == X86_OP_ENTER)
		before[X86_RBP] = v->gpr[X86_RBP] = (uintptr_t)arena + ARENA / 2 + rnd() % 512;
	v->rflags = flags;
	memcpy(initial, arena, ARENA);
	if (!run_soft(o)) {
		/* Nothing that is not a string may have changed anything. */
		if (!(o->i.flags & X86_I_STRING) && o->i.op != X86_OP_ENTER)
			assert_memory_equal(initial, arena, ARENA);
		if (!(o->i.flags & X86_I_STRING))
			assert_memory_equal(before, v->gpr, sizeof(before));
		memcpy(arena, initial, ARENA);
		if (v->event.vector == X86_EXC_DE) {
			const struct x86_operand *p = &o->i.operand[0];
			uint64_t src = p->kind == X86_OPND_MEM
					       ? soft_load(v, o->i.seg, soft_ea(v, &o->i), p->size)
					       : int_get(v, p, p->size);

			assert_false(quotient_fits(&o->i, v->gpr, src));
		}
		return false;
	}
	memcpy(by_soft, arena, ARENA);
	memcpy(arena, initial, ARENA);
	memcpy(test_gpr, before, sizeof(test_gpr));
	test_flags = flags;
	run_host(code, o->i.len);
	if (memcmp(test_gpr, v->gpr, sizeof(test_gpr)) || test_flags != v->rflags ||
		memcmp(arena, by_soft, ARENA)) {
		show(&o->i, before, flags);
		for (unsigned int n = 0; n < ARENA; n++)
			if (arena[n] != by_soft[n])
				print_error("[%x] soft %x host %x\n", n, by_soft[n], arena[n]);
		fail();
	}
	return true;
}

static void same_as_host(void **state)
{
	unsigned int ran = 0, seen[X86_OP_COUNT] = { 0 };

	for (unsigned int n = 0; n < 400000; n++) {
		struct soft_op o = { 0 };

		if (n % 64 == 0)
			fill_tlb(n % 256 ? 100 : 50);
		random_bytes(code);
		if (x86_decode(code, 15, X86_CODE_64, &o.i) != X86_DECODE_OK || !runs_on_host(&o.i))
			continue;
		o.fn = soft_int_fn(v, &o);
		if (!o.fn || o.i.op == X86_OP_CMPXCHG16B)
			continue;
		for (int k = 0; k < 3; k++) {
			bool ok = try_one(&o);

			ran += ok;
			seen[o.i.op] += ok;
		}
	}
	print_message("%u instructions\n", ran);
	for (unsigned int op = X86_OP_ADD; op <= X86_OP_SCAS; op++)
		if (!seen[op])
			print_message("none: %s\n", x86_op_name(op));
	assert_true(ran > 300000);
}

/* -------- decimal instructions: 32-bit code on the host, if its kernel has a segment for that -------- */
extern uint64_t test_entry32;
uint64_t test_entry32;
void test_run_32(void);
void test_back_32(void);

asm(".text\n.globl test_run_32\n.type test_run_32, @function\ntest_run_32:\n"
    "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
    "mov %rsp, test_rsp(%rip)\n"
    "mov $0x2b, %eax\n mov %eax, %ds\n"
    "pushq $0x23\n pushq test_entry32(%rip)\n lretq\n"
    ".globl test_back_32\ntest_back_32:\n"
    "mov test_rsp(%rip), %rsp\n"
    "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
    "ret\n.size test_run_32, .-test_run_32\n");

static bool host_has_32(void)
{
	uint32_t access = 0;
	bool ok;

	asm("lar %[sel], %[access]" : "=@ccz"(ok), [access] "+r"(access) : [sel] "r"(0x23));
	return ok && (access >> 20 & 6) == 4; /* D, not L */
}

static bool host_is_amd(void)
{
	uint32_t a = 0, b, c = 0, d;

	asm("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c == 0x444d4163;
}

/* Code that loads flags and EAX, runs @insn, stores both: at the start of the code page, with its data
 * at 0x800 and a stack below that. */
static void make_32(const uint8_t *insn, unsigned int n)
{
	uint32_t data = (uint32_t)(uintptr_t)code + 0x800, back;
	uint64_t target = (uintptr_t)test_back_32;
	uint8_t *p = code;

#define PUT(...)                                             \
	do {                                                 \
		const uint8_t put_bytes[] = { __VA_ARGS__ }; \
		memcpy(p, put_bytes, sizeof(put_bytes));     \
		p += sizeof(put_bytes);                      \
	} while (0)
#define PUT32(x) PUT((uint8_t)(x), (uint8_t)((x) >> 8), (uint8_t)((x) >> 16), (uint8_t)((x) >> 24))
	PUT(0xbc); /* mov esp */
	PUT32(data - 0x100);
	PUT(0xff, 0x35); /* push [flags] */
	PUT32(data + 4);
	PUT(0x9d, 0xa1); /* popf; mov eax, [data] */
	PUT32(data);
	memcpy(p, insn, n);
	p += n;
	PUT(0xa3); /* mov [data], eax */
	PUT32(data);
	PUT(0x9c, 0x8f, 0x05); /* pushf; pop [flags] */
	PUT32(data + 4);
	PUT(0xea); /* jmp 33:64-bit code */
	back = (uint32_t)(uintptr_t)p + 6;
	PUT32(back);
	PUT(0x33, 0, 0xff, 0x25, 0, 0, 0, 0); /* jmp *0(%rip) */
	memcpy(p, &target, 8);
	test_entry32 = (uintptr_t)code;
}

static void decimal_one(const struct soft_op *o, uint32_t ax, uint64_t flags, uint64_t defined)
{
	uint32_t *data = (uint32_t *)(code + 0x800);

	data[0] = 0x12340000 | ax;
	data[1] = (uint32_t)flags;
	test_run_32();
	v->gpr[X86_RAX] = 0x12340000 | ax;
	v->rflags = flags;
	assert_true(run_soft(o));
	if (v->gpr[X86_RAX] != data[0] || ((v->rflags ^ data[1]) & defined))
		fail_msg("%s of %x, flags %lx: %lx %lx, host %x %x", x86_op_name(o->i.op), ax,
			flags, v->gpr[X86_RAX], v->rflags, data[0], data[1]);
}

static void decimals(void **state)
{
	static const struct {
		uint8_t bytes[2], n;
		uint64_t defined;
	} insns[] = {
		{ { 0x37 }, 1, X86_FLAG_AF | X86_FLAG_CF },
		{ { 0x3f }, 1, X86_FLAG_AF | X86_FLAG_CF },
		{ { 0x27 }, 1, X86_FLAGS_STATUS & ~X86_FLAG_OF },
		{ { 0x2f }, 1, X86_FLAGS_STATUS & ~X86_FLAG_OF },
		{ { 0xd4, 10 }, 2, X86_FLAG_SF | X86_FLAG_ZF | X86_FLAG_PF },
		{ { 0xd4, 7 }, 2, X86_FLAG_SF | X86_FLAG_ZF | X86_FLAG_PF },
		{ { 0xd5, 10 }, 2, X86_FLAG_SF | X86_FLAG_ZF | X86_FLAG_PF },
		{ { 0xd5, 255 }, 2, X86_FLAG_SF | X86_FLAG_ZF | X86_FLAG_PF },
	};

	if (!host_has_32())
		skip();
	for (unsigned int n = 0; n < ARRAY_SIZE(insns); n++) {
		struct soft_op o = { 0 };
		uint64_t defined = host_is_amd() ? X86_FLAGS_STATUS : insns[n].defined;

		assert_int_equal(
			x86_decode(insns[n].bytes, insns[n].n, X86_CODE_32, &o.i), X86_DECODE_OK);
		o.fn = soft_int_fn(v, &o);
		make_32(insns[n].bytes, insns[n].n);
		for (uint32_t ax = 0; ax < 0x10000; ax += ax < 0x1000 ? 1 : 17)
			for (unsigned int f = 0; f < 4; f++)
				decimal_one(&o, ax,
					0x202 | (f & 1) | (f & 2) << 3 |
						(rnd() & 0xc4 & X86_FLAGS_STATUS),
					defined);
	}
}

/* -------- what the host cannot run for us -------- */
static struct soft_op decode(enum x86_code mode, const char *bytes, unsigned int n)
{
	struct soft_op o = { 0 };

	memcpy(code, bytes, n);
	assert_int_equal(x86_decode(code, n, mode, &o.i), X86_DECODE_OK);
	assert_int_equal(o.i.len, n);
	o.fn = soft_int_fn(v, &o);
	assert_non_null(o.fn);
	return o;
}
#define OP(mode, bytes) decode(mode, bytes, sizeof(bytes) - 1)

static void set_mode(enum x86_code mode, unsigned int stack_size, uint64_t rip)
{
	v->code = mode;
	v->stack_size = stack_size;
	v->seg[X86_CS].limit = mode == X86_CODE_16 ? 0xffff : UINT32_MAX;
	v->rip = rip;
	v->cpl = 0;
	v->cr4 = 0;
	v->amd = false;
	v->rflags = X86_FLAG_1;
	memset(v->gpr, 0, sizeof(v->gpr));
}

/* One call of the function. Returns the exception's vector, -1 for none. */
static int step(const struct soft_op *o)
{
	v->gpr[X86_REG_RIP] = v->rip + o->i.len;
	v->stop = false;
	if (setjmp(v->raise)) {
		v->exclusive = false;
		return v->event.vector;
	}
	o->fn(v, o);
	return -1;
}

static void branches(void **state)
{
	struct soft_op o = OP(X86_CODE_64, "\x0f\x84\xf6\xff\xff\xff"); /* jz -10 */

	set_mode(X86_CODE_64, 8, 0x1000);
	assert_int_equal(step(&o), -1);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x1006);
	v->rflags |= X86_FLAG_ZF;
	assert_int_equal(step(&o), -1);
	assert_int_equal(v->gpr[X86_REG_RIP], 0xffc);
	/* Out of what is canonical, up and down. */
	v->rip = 0x7fffffffffff;
	o = OP(X86_CODE_64, "\xeb\x10");
	assert_int_equal(step(&o), X86_EXC_GP);
	v->rip = 0xffff800000000000;
	o = OP(X86_CODE_64, "\xeb\x80");
	assert_int_equal(step(&o), X86_EXC_GP);
	/* 16 bits wrap; beyond the limit it is a fault, before rCX changes. */
	set_mode(X86_CODE_16, 2, 0xfff0);
	v->gpr[X86_RCX] = 0x10002;
	o = OP(X86_CODE_16, "\xe2\x20"); /* loop */
	assert_int_equal(step(&o), -1);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x12);
	assert_int_equal(v->gpr[X86_RCX], 0x10001);
	assert_int_equal(step(&o), -1);
	assert_int_equal(v->gpr[X86_REG_RIP], 0xfff2);
	assert_int_equal(v->gpr[X86_RCX], 0x10000);
	v->seg[X86_CS].limit = 0x10;
	assert_int_equal(step(&o), X86_EXC_GP);
	assert_int_equal(v->gpr[X86_RCX], 0x10000);
	v->gpr[X86_RCX] = 0;
	o = OP(X86_CODE_16, "\xe3\x70"); /* jcxz */
	assert_int_equal(step(&o), X86_EXC_GP);
}

static void calls(void **state)
{
	uint64_t sp = (uintptr_t)arena + 64, value;
	struct soft_op o = OP(X86_CODE_64, "\xe8\x00\x01\x00\x00");

	set_mode(X86_CODE_64, 8, 0x1000);
	fill_tlb(100);
	v->gpr[X86_RSP] = sp;
	assert_int_equal(step(&o), -1);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x1105);
	assert_int_equal(v->gpr[X86_RSP], sp - 8);
	memcpy(&value, arena + 56, 8);
	assert_int_equal(value, 0x1005);
	o = OP(X86_CODE_64, "\xc2\x10\x00"); /* ret 16 */
	assert_int_equal(step(&o), -1);
	assert_int_equal(v->gpr[X86_REG_RIP], 0x1005);
	assert_int_equal(v->gpr[X86_RSP], sp + 16);
	/* call rsp-relative uses rSP as it was; a bad target leaves rSP and the stack alone */
	value = 0x800000000000;
	memcpy(arena + 64, &value, 8);
	memset(arena + 56, 0x77, 8);
	v->gpr[X86_RSP] = sp;
	o = OP(X86_CODE_64, "\xff\x14\x24");
	assert_int_equal(step(&o), X86_EXC_GP);
	assert_int_equal(v->gpr[X86_RSP], sp);
	assert_int_equal(arena[60], 0x77);
	o = OP(X86_CODE_64, "\xc3");
	assert_int_equal(step(&o), X86_EXC_GP);
	assert_int_equal(v->gpr[X86_RSP], sp);
}

/* POPF of @value: what RFLAGS becomes out of @old. */
static uint64_t popf_of(const struct soft_op *o, uint64_t old, uint64_t value)
{
	v->gpr[X86_RSP] = (uintptr_t)arena + 64;
	memcpy(arena + 64, &value, 8);
	v->rflags = old;
	assert_int_equal(step(o), -1);
	assert_int_equal(v->gpr[X86_RSP], (uintptr_t)arena + 64 + o->i.opsize);
	return v->rflags;
}

static void pop_flags(void **state)
{
	const uint64_t all = X86_FLAGS_ALL,
		       system = X86_FLAG_VM | X86_FLAG_VIF | X86_FLAG_VIP | X86_FLAG_RF;
	struct soft_op o = OP(X86_CODE_64, "\x9d"), w = OP(X86_CODE_64, "\x66\x9d");

	set_mode(X86_CODE_64, 8, 0x1000);
	fill_tlb(100);
	assert_int_equal(popf_of(&o, 2, all), 2 | (all & ~system));
	assert_true(v->stop);
	assert_int_equal(popf_of(&o, 2 | X86_FLAG_RF | X86_FLAG_VIF | X86_FLAG_VIP, 0),
		2 | X86_FLAG_VIF | X86_FLAG_VIP);
	assert_int_equal(popf_of(&w, 2 | X86_FLAG_AC, 0x3ffffd), 2 | X86_FLAG_AC | (all & 0xffff));
	v->cpl = 3;
	assert_int_equal(popf_of(&o, 2, all),
		2 | (all & ~system & ~(uint64_t)(X86_FLAG_IOPL | X86_FLAG_IF)));
	assert_int_equal(popf_of(&o, 2 | X86_FLAG_IF | X86_FLAG_IOPL, 0), 2 | X86_FLAG_IOPL);
}

static void flags_in_vm86(void **state)
{
	const uint64_t vm86 = 2 | X86_FLAG_VM;
	struct soft_op pop = OP(X86_CODE_16, "\x9d"), push = OP(X86_CODE_16, "\x9c");
	struct soft_op pop32 = OP(X86_CODE_16, "\x66\x9d");
	uint16_t value;

	set_mode(X86_CODE_16, 4, 0x1000);
	fill_tlb(100);
	v->cpl = 3;
	v->gpr[X86_RSP] = (uintptr_t)arena + 64;
	v->rflags = vm86;
	assert_int_equal(step(&pop), X86_EXC_GP);
	assert_int_equal(step(&push), X86_EXC_GP);
	/* IOPL 3: as at CPL 3 otherwise */
	assert_int_equal(popf_of(&pop, vm86 | X86_FLAG_IOPL, X86_FLAG_IF | X86_FLAG_CF),
		vm86 | X86_FLAG_IOPL | X86_FLAG_IF | X86_FLAG_CF);
	/* VME: VIF stands for IF */
	v->cr4 = X86_CR4_VME;
	assert_int_equal(popf_of(&pop, vm86, X86_FLAG_IF | X86_FLAG_IOPL), vm86 | X86_FLAG_VIF);
	assert_int_equal(popf_of(&pop, vm86 | X86_FLAG_VIF | X86_FLAG_IF, X86_FLAG_CF),
		vm86 | X86_FLAG_IF | X86_FLAG_CF);
	v->gpr[X86_RSP] = (uintptr_t)arena + 64;
	v->rflags = vm86 | X86_FLAG_VIF;
	assert_int_equal(step(&push), -1);
	memcpy(&value, arena + 62, 2);
	assert_int_equal(value, 2 | X86_FLAG_IOPL | X86_FLAG_IF);
	assert_int_equal(step(&pop32), X86_EXC_GP);
	value = X86_FLAG_IF;
	memcpy(arena + 62, &value, 2);
	v->rflags = vm86 | X86_FLAG_VIP;
	assert_int_equal(step(&pop), X86_EXC_GP);
	value = X86_FLAG_TF;
	memcpy(arena + 62, &value, 2);
	v->rflags = vm86;
	assert_int_equal(step(&pop), X86_EXC_GP);
}

/* A fault, the single-step flag and a request of another thread in the middle of repetitions. */
static void repetition(void **state)
{
	struct soft_op o = OP(X86_CODE_64, "\xf3\xa4"), stos = OP(X86_CODE_64, "\xf3\x48\xab");
	uint64_t top = (uintptr_t)arena + ARENA;

	set_mode(X86_CODE_64, 8, 0x1000);
	fill_tlb(100);
	memset(arena, 0x11, ARENA);
	arena[0] = 0x22;
	/* Runs out of the arena: one byte each repeats, so all becomes the first. */
	v->gpr[X86_RSI] = (uintptr_t)arena;
	v->gpr[X86_RDI] = (uintptr_t)arena + 1;
	v->gpr[X86_RCX] = 1 << 20;
	while (step(&o) < 0)
		assert_int_equal(v->gpr[X86_REG_RIP], v->rip);
	assert_int_equal(v->event.vector, X86_EXC_PF);
	assert_int_equal(v->gpr[X86_RDI], top);
	assert_int_equal(v->gpr[X86_RSI], top - 1);
	assert_int_equal(v->gpr[X86_RCX], (1 << 20) - (ARENA - 1));
	for (unsigned int n = 0; n < ARENA; n++)
		assert_int_equal(arena[n], 0x22);
	/* Single steps. */
	v->rflags |= X86_FLAG_TF;
	v->gpr[X86_RDI] = (uintptr_t)arena;
	v->gpr[X86_RCX] = 3;
	for (int n = 2; n >= 0; n--) {
		assert_int_equal(step(&stos), -1);
		assert_int_equal(v->gpr[X86_RCX], n);
		assert_int_equal(v->gpr[X86_REG_RIP], n ? v->rip : v->rip + 3);
		assert_int_equal(v->stop, n != 0);
	}
	v->rflags &= ~(uint64_t)X86_FLAG_TF;
	/* Somebody wants something: at most a page more. */
	v->gpr[X86_RDI] = (uintptr_t)arena + 8;
	v->gpr[X86_RCX] = 2000;
	atomic_store(&v->poll, SOFT_POLL_KICK);
	assert_int_equal(step(&stos), -1);
	assert_int_equal(v->gpr[X86_RCX], 2000 - 511);
	atomic_store(&v->poll, 0);
	/* A store into a page of code is told of. */
	atomic_store(&code_word[0], 1);
	code_writes = 0;
	assert_int_equal(step(&stos), -1);
	assert_true(code_writes > 0);
	atomic_store(&code_word[0], 0);
	/* Nothing to do is nothing at all: the address may be bad. */
	v->gpr[X86_RCX] = v->gpr[X86_RDI] = 0;
	assert_int_equal(step(&stos), -1);
	assert_int_equal(v->gpr[X86_REG_RIP], v->rip + 3);
}

/* 16-bit addresses wrap in the middle; the arena is at the segment's base. */
static void string_wraps(void **state)
{
	struct soft_op o = OP(X86_CODE_16, "\xf3\xaa"); /* rep stosb */

	set_mode(X86_CODE_16, 2, 0x1000);
	fill_tlb(100);
	v->seg_flat = 0;
	v->seg[X86_ES] = (struct x86_segment){ .base = (uintptr_t)arena - 0xf000, .limit = 0xffff };
	memset(arena, 0, ARENA);
	v->gpr[X86_RAX] = 5;
	v->gpr[X86_RDI] = 0xabcd0000 | 0xfffe;
	v->gpr[X86_RCX] = 0x12340002;
	assert_int_equal(step(&o), -1);
	assert_int_equal(v->gpr[X86_RDI], 0xabcd0000);
	assert_int_equal(v->gpr[X86_RCX], 0x12340000);
	assert_int_equal(arena[0xffe], 5);
	assert_int_equal(arena[0xfff], 5);
	assert_int_equal(arena[0x1000], 0);
	/* Byte 0x0000 of the segment is outside of the arena. */
	v->gpr[X86_RDI] = 0xfffe;
	v->gpr[X86_RCX] = 9;
	while (step(&o) < 0)
		;
	assert_int_equal(v->gpr[X86_RCX], 7);
	assert_int_equal(v->gpr[X86_RDI], 0);
	/* Downwards from 1: two bytes, then 0xffff. */
	v->seg[X86_ES].base = (uintptr_t)arena;
	v->seg[X86_ES].limit = 0xfff;
	v->rflags |= X86_FLAG_DF;
	v->gpr[X86_RDI] = 1;
	v->gpr[X86_RCX] = 3;
	while (step(&o) < 0)
		;
	assert_int_equal(v->event.vector, X86_EXC_GP);
	assert_int_equal(v->gpr[X86_RCX], 1);
	assert_int_equal(v->gpr[X86_RDI], 0xffff);
	v->seg_flat = 0x3f;
}

static void ports(void **state)
{
	struct soft_op in = OP(X86_CODE_64, "\xf3\x66\x6d"), out = OP(X86_CODE_64, "\x6e");

	set_mode(X86_CODE_64, 8, 0x1000);
	fill_tlb(100);
	port_accesses = 0;
	v->gpr[X86_RDX] = 0x1f0;
	v->gpr[X86_RDI] = (uintptr_t)arena;
	v->gpr[X86_RCX] = 3;
	assert_int_equal(step(&in), -1);
	assert_int_equal(port_accesses, 3);
	assert_int_equal(last_port, 0x1f0);
	assert_memory_equal(arena, "\1\1\2\2\3\3", 6);
	assert_int_equal(v->gpr[X86_RCX], 0);
	/* Where it cannot be stored nothing is read. */
	v->gpr[X86_RDI] = 0;
	v->gpr[X86_RCX] = 1;
	assert_int_equal(step(&in), X86_EXC_PF);
	assert_int_equal(port_accesses, 3);
	v->gpr[X86_RSI] = (uintptr_t)arena + 1;
	assert_int_equal(step(&out), -1);
	assert_int_equal(v->gpr[X86_RSI], (uintptr_t)arena + 2);
	v->gpr[X86_RDX] = 0xdead; /* not allowed: before memory is looked at */
	v->gpr[X86_RSI] = 0;
	assert_int_equal(step(&out), X86_EXC_GP);
	assert_int_equal(port_accesses, 4);
}

static void pairs(void **state)
{
	struct soft_op o = OP(X86_CODE_64, "\xf0\x48\x0f\xc7\x0f"); /* lock cmpxchg16b [rdi] */
	uint64_t now[2] = { 1, 2 };

	set_mode(X86_CODE_64, 8, 0x1000);
	for (int percent = 100; percent >= 0; percent -= 100) { /* in RAM, then not */
		fill_tlb(percent);
		memcpy(arena, now, sizeof(now));
		v->gpr[X86_RDI] = (uintptr_t)arena;
		v->gpr[X86_RAX] = 1;
		v->gpr[X86_RDX] = 3;
		v->gpr[X86_RBX] = 4;
		v->gpr[X86_RCX] = 5;
		v->rflags = 0x8d7;
		assert_int_equal(step(&o), -1);
		assert_int_equal(v->rflags, 0x897);
		assert_int_equal(v->gpr[X86_RDX], 2);
		assert_memory_equal(arena, now, sizeof(now));
		assert_int_equal(step(&o), -1);
		assert_int_equal(v->rflags, 0x8d7);
		assert_int_equal(arena[0], 4);
		assert_int_equal(arena[8], 5);
		v->gpr[X86_RDI] += 8;
		assert_int_equal(step(&o), X86_EXC_GP);
	}
}

static void bounds(void **state)
{
	struct soft_op o = OP(X86_CODE_32, "\x62\x07"); /* bound eax, [edi] */
	const int32_t limits[2] = { -5, 10 };

	set_mode(X86_CODE_32, 4, 0x1000);
	fill_tlb(100);
	memcpy(arena, limits, sizeof(limits));
	v->gpr[X86_RDI] = (uintptr_t)arena;
	v->gpr[X86_RAX] = 10;
	assert_int_equal(step(&o), -1);
	v->gpr[X86_RAX] = (uint32_t)-5;
	assert_int_equal(step(&o), -1);
	v->gpr[X86_RAX] = (uint32_t)-6;
	assert_int_equal(step(&o), X86_EXC_BR);
	v->gpr[X86_RAX] = 11;
	assert_int_equal(step(&o), X86_EXC_BR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_host),
		cmocka_unit_test(decimals),
		cmocka_unit_test(branches),
		cmocka_unit_test(calls),
		cmocka_unit_test(pop_flags),
		cmocka_unit_test(flags_in_vm86),
		cmocka_unit_test(repetition),
		cmocka_unit_test(string_wraps),
		cmocka_unit_test(ports),
		cmocka_unit_test(pairs),
		cmocka_unit_test(bounds),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
