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

#define PAGES 6
#define ARENA (PAGES * 4096u)

static uint8_t *arena, *code;
static struct soft_vcpu *v;
static struct soft_vm vm;
static _Atomic uint32_t code_word;
static unsigned int code_writes;
static uint64_t seed = 1;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1dull;
}

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

/* -------- the host's CPU -------- */
/* Used by the assembler below. */
extern uint64_t test_gpr[16], test_flags, test_code, test_rsp;
uint64_t test_gpr[16], test_flags, test_code, test_rsp;
void test_run_host(void);
void test_back(void);

asm(".text\n.globl test_run_host\n.type test_run_host, @function\ntest_run_host:\n"
    "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
    "mov %rsp, test_rsp(%rip)\n"
    "pushq test_flags(%rip)\n popfq\n"
    "mov test_gpr+0(%rip), %rax\n mov test_gpr+8(%rip), %rcx\n"
    "mov test_gpr+16(%rip), %rdx\n mov test_gpr+24(%rip), %rbx\n"
    "mov test_gpr+32(%rip), %rsp\n mov test_gpr+40(%rip), %rbp\n"
    "mov test_gpr+48(%rip), %rsi\n mov test_gpr+56(%rip), %rdi\n"
    "mov test_gpr+64(%rip), %r8\n mov test_gpr+72(%rip), %r9\n"
    "mov test_gpr+80(%rip), %r10\n mov test_gpr+88(%rip), %r11\n"
    "mov test_gpr+96(%rip), %r12\n mov test_gpr+104(%rip), %r13\n"
    "mov test_gpr+112(%rip), %r14\n mov test_gpr+120(%rip), %r15\n"
    "jmp *test_code(%rip)\n"
    ".globl test_back\ntest_back:\n"
    "mov %rax, test_gpr+0(%rip)\n mov %rcx, test_gpr+8(%rip)\n"
    "mov %rdx, test_gpr+16(%rip)\n mov %rbx, test_gpr+24(%rip)\n"
    "mov %rsp, test_gpr+32(%rip)\n mov %rbp, test_gpr+40(%rip)\n"
    "mov %rsi, test_gpr+48(%rip)\n mov %rdi, test_gpr+56(%rip)\n"
    "mov %r8, test_gpr+64(%rip)\n mov %r9, test_gpr+72(%rip)\n"
    "mov %r10, test_gpr+80(%rip)\n mov %r11, test_gpr+88(%rip)\n"
    "mov %r12, test_gpr+96(%rip)\n mov %r13, test_gpr+104(%rip)\n"
    "mov %r14, test_gpr+112(%rip)\n mov %r15, test_gpr+120(%rip)\n"
    "mov test_rsp(%rip), %rsp\n"
    "pushfq\n popq test_flags(%rip)\n cld\n"
    "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
    "ret\n.size test_run_host, .-test_run_host\n");

/* The instruction's bytes are at the start of the code page already. */
static void run_host(unsigned int len)
{
	uintptr_t back = (uintptr_t)test_back;
	uint8_t *p = code + len;
	static const uint8_t jump[] = { 0xff, 0x25, 0, 0, 0, 0 }; /* jmp *0(%rip) */

	test_code = (uintptr_t)code;
	memcpy(p, jump, sizeof(jump));
	memcpy(p + sizeof(jump), &back, 8);
	test_run_host();
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
		e->code = &code_word;
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

/* Opcodes to draw from: 0x100 + second byte of 0F. */
static const uint16_t opcodes[] = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x08, 0x09, 0x0a, 0x0b,
	0x0c, 0x0d, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x20,
	0x21, 0x22, 0x23, 0x28, 0x29, 0x2a, 0x2b, 0x30, 0x31, 0x32, 0x33, 0x38, 0x39, 0x3a, 0x3b,
	0x3c, 0x3d, 0x50, 0x54, 0x57, 0x58, 0x5c, 0x5f, 0x63, 0x68, 0x69, 0x6a, 0x6b, 0x80, 0x81,
	0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8d, 0x8f, 0x91, 0x95, 0x98, 0x99,
	0x9e, 0x9f, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0xb0,
	0xb4, 0xb8, 0xbf, 0xc0, 0xc1, 0xc6, 0xc7, 0xc8, 0xc9, 0xd0, 0xd1, 0xd2, 0xd3, 0xd7, 0xf5,
	0xf6, 0xf7, 0xf8, 0xf9, 0xfc, 0xfd, 0xfe, 0xff, 0x140, 0x143, 0x144, 0x145, 0x146, 0x147,
	0x14a, 0x14c, 0x14d, 0x14e, 0x14f, 0x190, 0x192, 0x194, 0x196, 0x198, 0x19a, 0x19c, 0x19f,
	0x1a3, 0x1a4, 0x1a5, 0x1ab, 0x1ac, 0x1ad, 0x1af, 0x1b0, 0x1b1, 0x1b3, 0x1b6, 0x1b7, 0x1ba,
	0x1bb, 0x1bc, 0x1bd, 0x1be, 0x1bf, 0x1c0, 0x1c1, 0x1c3, 0x1c7, 0x1c8, 0x1cf };

static void random_bytes(uint8_t *p)
{
	uint16_t op = opcodes[rnd() % ARRAY_SIZE(opcodes)];

	if (rnd() % 4 == 0)
		*p++ = 0x66;
	if (rnd() % 16 == 0)
		*p++ = 0x67;
	if (rnd() % 8 == 0)
		*p++ = 0xf0;
	if (((op >= 0xa4 && op < 0xa8) || (op >= 0xaa && op < 0xb0)) && rnd() % 4)
		*p++ = 0xf2 + rnd() % 2;
	if (rnd() % 2)
		*p++ = 0x40 + rnd() % 16;
	if (op >= 0x100)
		*p++ = 0x0f;
	*p++ = (uint8_t)op;
	for (int i = 0; i < 12; i++)
		*p++ = (uint8_t)rnd();
	if (rnd() % 2) /* near the registers' values */
		memset(p - 11 + rnd() % 2, 0, 4);
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
	run_host(o->i.len);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_host),
		cmocka_unit_test(decimals),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
