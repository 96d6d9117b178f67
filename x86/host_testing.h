/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * host_testing - for tests of interpreters: random instructions of 64-bit code, and the host's CPU to
 * run them on. Included by one file of a program.
 */
#ifndef X86_HOST_TESTING_H
#define X86_HOST_TESTING_H

#include "x86/env.h"

static uint64_t seed = 1;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1dull;
}

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

/* Run the instruction of @len bytes at @code, a page that may be written and executed, with the
 * registers in test_gpr[] and test_flags; then they are what it left. It must not fault or branch. */
static void run_host(uint8_t *code, unsigned int len)
{
	uintptr_t back = (uintptr_t)test_back;
	uint8_t *p = code + len;
	static const uint8_t jump[] = { 0xff, 0x25, 0, 0, 0, 0 }; /* jmp *0(%rip) */

	test_code = (uintptr_t)code;
	memcpy(p, jump, sizeof(jump));
	memcpy(p + sizeof(jump), &back, 8);
	test_run_host();
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
	uint16_t op = opcodes[rnd() % (sizeof(opcodes) / sizeof(opcodes[0]))];

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

#endif
