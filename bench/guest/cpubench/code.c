// SPDX-License-Identifier: GPL-2.0-or-later
/* Code that is made or changed while it runs. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>

#include "cpubench.h"

#define CODE_SIZE 65536u

static uint8_t *code;

static void code_setup(unsigned long n)
{
	(void)n;
	code = mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (code == MAP_FAILED)
		die("mmap");
	memset(code, 0xc3, CODE_SIZE);
}

/* Puts a little-endian 32-bit number where code is. */
static uint8_t *put32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

/* ---- a function whose constant is changed before each call ---- */

static uint64_t self_modifying_run(unsigned long n)
{
	/* mov eax, 0; add rax, rdi; rol rax, 7; ret */
	static const uint8_t function[] = { 0xb8, 0, 0, 0, 0, 0x48, 0x01, 0xf8, 0x48, 0xc1, 0xc0, 7,
		0xc3 };
	uint64_t (*call)(uint64_t) = (uint64_t(*)(uint64_t))code;
	uint64_t x = 0;

	memcpy(code, function, sizeof(function));
	for (unsigned long i = 0; i < n; i++) {
		put32(code + 1, (uint32_t)i * 2654435761u);
		__asm__ volatile("" : : : "memory");
		x = call(x);
	}
	return x;
}

/* ---- a compiler in small: 64 functions of loops, made anew, each run some hundred times ---- */

#define FUNCTIONS     64u
#define FUNCTION_SIZE 256u
#define CALLS	      200

static const uint8_t jit_head[] = {
	0x48, 0x89, 0xf8, /* mov rax, rdi */
	0x48, 0x89, 0xf9, /* mov rcx, rdi */
	0xba, 16, 0, 0, 0 /* mov edx, 16 */
};
static const uint8_t jit_ops[][4] = {
	{ 0x48, 0x89, 0xc1, 0x90 }, /* mov rcx, rax; nop */
	{ 0x48, 0x01, 0xc8, 0x90 }, /* add rax, rcx; nop */
	{ 0x48, 0xc1, 0xc8, 11 },   /* ror rax, 11 */
	{ 0x48, 0x0f, 0xaf, 0xc1 }, /* imul rax, rcx */
	{ 0x48, 0x31, 0xd0, 0x90 }, /* xor rax, rdx; nop */
	{ 0x48, 0xff, 0xc1, 0x90 }, /* inc rcx; nop */
	{ 0x48, 0x35 },		    /* xor rax, imm32 */
};
#define JIT_OPS (sizeof(jit_ops) / sizeof(jit_ops[0]))
static const uint8_t jit_tail[] = { 0xff, 0xca, 0x0f, 0x85 }; /* dec edx; jnz loop */

static uint8_t *put(uint8_t *at, const void *bytes, size_t size)
{
	memcpy(at, bytes, size);
	return at + size;
}

/* uint64_t f(uint64_t x): sixteen turns of a loop over random operations on rax and rcx. */
static void emit(uint8_t *at, uint64_t *seed)
{
	uint8_t *loop = at = put(at, jit_head, sizeof(jit_head));

	for (int i = 0; i < 12; i++) {
		size_t pick = (next_random(seed) >> 33) % JIT_OPS;

		if (pick == JIT_OPS - 1)
			at = put32(put(at, jit_ops[pick], 2), (uint32_t)*seed);
		else
			at = put(at, jit_ops[pick], 4);
	}
	at = put(at, jit_tail, sizeof(jit_tail));
	at = put32(at, (uint32_t)(loop - (at + 4)));
	*at = 0xc3;
}

static uint64_t jit_run(unsigned long n)
{
	uint64_t seed = 5040, x = 1;

	for (unsigned long i = 0; i < n; i++) {
		for (unsigned int f = 0; f < FUNCTIONS; f++)
			emit(code + f * FUNCTION_SIZE, &seed);
		__asm__ volatile("" : : : "memory");
		for (unsigned int c = 0; c < CALLS; c++)
			for (unsigned int f = 0; f < FUNCTIONS; f++)
				x = ((uint64_t(*)(uint64_t))(code + f * FUNCTION_SIZE))(x + c);
	}
	return x;
}

const struct bench code_benches[] = {
	{ "self-modifying", "code", 1, 0, 250000, code_setup, self_modifying_run },
	{ "jit", "code", 1, 0, 400, code_setup, jit_run },
	{ 0 },
};
