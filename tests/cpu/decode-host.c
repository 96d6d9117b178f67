// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * decode-host random SEED COUNT [16|32|64]   random bytes, biased towards instructions (SEED 0: a new one)
 * decode-host all 16|32|64                   each opcode and ModRM byte with each prefix: minutes
 * decode-host bytes 16|32|64 HEX...          these
 *
 * x86/decode.h against the CPU this runs on: which byte strings are instructions, and how long are
 * they? An instruction's bytes are put before the end of a page, behind which there is none, and are
 * executed once with the trap flag set. A fault of fetching behind the end tells that the CPU wants
 * more bytes; an invalid opcode that there is no such instruction; all else that the bytes were an
 * instruction (faults of its operands are the normal case: no register holds an address). A try begins
 * and ends in a signal handler, by changing the context that it returns to.
 *
 * Status: 0 no difference, 1 differences, 77 cannot run here (it takes an AMD CPU that has all the
 * decoder has).
 */
#include <asm/ldt.h>
#include <cpuid.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include "x86/decode.h"
#include "decode-random.h"

#define PAGE		4096ul
#define CODE32		0x20000000ul
#define CODE64		0x100000000000ul
#define SHOWN		60
#define HWCAP2_FSGSBASE 2
#define TRAP_UD		6
#define TRAP_GP		13
#define TRAP_PF		14
#define PF_FETCH	16

enum outcome { FETCH, INVALID, DONE };

static ucontext_t home; /* where the handler goes after a try */
static volatile bool trying;
static volatile int trap;
static volatile uint64_t fault_error, fault_address, fault_rip;
static enum x86_code code;
static uint64_t start; /* linear address of the instruction */
static uint8_t *page32, *page64;
static uint64_t fs_base;

/* -------- one execution -------- */
static void set_registers(greg_t *g)
{
	static const uint64_t cs[] = { 7, 0x23, 0x33 }; /* 16: the LDT's first, then Linux's own */
	uint64_t v = code == X86_CODE_64 ? 0x5a5a000077770000u : 0x77770000u;

	for (int i = REG_R8; i <= REG_RSP; i++)
		g[i] = (greg_t)(v + 0x1111u * (unsigned int)(i + 1));
	g[REG_RIP] = (greg_t)(code == X86_CODE_16 ? start - CODE32 : start);
	g[REG_CSGSFS] = (greg_t)(0x2bull << 48 | cs[code]); /* SS, CS */
	g[REG_EFL] = 0x302;				    /* TF, IF */
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
	ucontext_t *c = context;

	/* The instruction may have loaded FS, which threads need. (GS nobody needs.) */
	__asm__ volatile("wrfsbase %0" : : "r"(fs_base));
	if (signal == SIGUSR1) {
		memcpy(home.uc_mcontext.gregs, c->uc_mcontext.gregs, sizeof(gregset_t));
		set_registers(c->uc_mcontext.gregs);
		trying = true;
		return;
	}
	if (!trying) {
		static const char text[] = "decode-host: crashed\n";

		(void)!write(2, text, sizeof(text) - 1);
		_exit(2);
	}
	trying = false;
	trap = (int)c->uc_mcontext.gregs[REG_TRAPNO];
	fault_error = (uint64_t)c->uc_mcontext.gregs[REG_ERR];
	fault_address = (uint64_t)c->uc_mcontext.gregs[REG_CR2];
	fault_rip = (uint64_t)c->uc_mcontext.gregs[REG_RIP];
	memcpy(c->uc_mcontext.gregs, home.uc_mcontext.gregs, sizeof(gregset_t));
}

static enum outcome execute(const uint8_t *bytes, size_t n)
{
	uint8_t *page = code == X86_CODE_64 ? page64 : page32;

	memcpy(page + PAGE - n, bytes, n);
	start = (uint64_t)(uintptr_t)page + PAGE - n;
	raise(SIGUSR1);
	if (trap == TRAP_UD)
		return INVALID;
	/* (STR and the like are emulated by Linux without a trap behind them: then the fault is the next
	 * instruction's.) */
	if (trap == TRAP_PF && (fault_error & PF_FETCH) && fault_address == start + n &&
		fault_rip == (code == X86_CODE_16 ? start - CODE32 : start))
		return FETCH;
	return DONE;
}

/* -------- what cannot be tried -------- */
static bool skipped(const struct x86_insn *i)
{
	switch (i->op) {
	/* system calls, and what the hypervisor below looks at */
	case X86_OP_SYSCALL:
	case X86_OP_SYSENTER:
	case X86_OP_INT:
	case X86_OP_VMCALL:
	case X86_OP_VMMCALL:
	/* invalid by mode, privilege or on purpose */
	case X86_OP_SYSRET:
	case X86_OP_SYSEXIT:
	case X86_OP_RSM:
	case X86_OP_CLAC:
	case X86_OP_STAC:
	case X86_OP_MONITOR:
	case X86_OP_MWAIT:
	case X86_OP_RDPKRU:
	case X86_OP_WRPKRU:
	case X86_OP_UD0:
	case X86_OP_UD1:
	case X86_OP_UD2:
		return true;
	}
	return false;
}

/* -------- comparison -------- */
static unsigned long n_same, n_invalid, n_other, n_wrong;

/* What follows the prefixes. */
static const uint8_t *opcode_of(const uint8_t *p)
{
	while (memchr("\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3", *p, 11) ||
		(code == X86_CODE_64 && (*p & 0xf0) == 0x40))
		p++;
	return p;
}

/* AVX-512's instructions on mask registers. */
static bool is_opmask(const uint8_t *p)
{
	uint8_t map = p[0] == 0xc5 ? 1 : p[1] & 0x1f, o = p[0] == 0xc5 ? p[2] : p[3];

	if (map == 1)
		return (o >= 0x41 && o <= 0x4b) || (o >= 0x90 && o <= 0x93) || o == 0x98 ||
		       o == 0x99;
	return map == 3 && o >= 0x30 && o <= 0x33;
}

/* Instructions of this CPU that have no rows, and what cannot be tried. */
static bool is_other(const uint8_t *bytes)
{
	const uint8_t *p = opcode_of(bytes);

	if (p[0] == 0x62) /* EVEX (BOUND is tested from its row) */
		return code == X86_CODE_64 || p[1] >= 0xc0;
	if (p[0] == 0xc4 || p[0] == 0xc5)
		/* SPEC: Zen 4 takes VPERMQ and VPERMPD with VEX.W clear, too. */
		return is_opmask(p) ||
		       (p[0] == 0xc4 && (p[1] & 0x1f) == 3 && p[3] <= 1 && !(p[2] & 0x80));
	if (p[0] != 0x0f)
		return false;
	switch (p[1]) {
	case 0x00: /* LOCK VERW: Zen 4 does not mind */
		return memchr(bytes, 0xf0, (size_t)(p - bytes)) && (p[2] & 0x38) == 0x28;
	case 0x01: /* MONITORX, CLZERO, RDPRU, VMRUN ... */
		return p[2] >= 0xc0;
	}
	return false;
}

static void show(const uint8_t *bytes, size_t n, const char *what, const struct x86_insn *i)
{
	static const int bits[] = { 16, 32, 64 };
	char text[128] = "no instruction";

	if (++n_wrong > SHOWN)
		return;
	if (i)
		x86_row_text(i->row, text, sizeof(text));
	printf("%s: %d:", what, bits[code]);
	for (size_t k = 0; k < n; k++)
		printf(" %02x", bytes[k]);
	printf("\n    here: %s\n", text);
}

/* The CPU knows how long some are that are none (XOP's, C7 /7), and that they would be too long comes
 * first. Then they are invalid with a prefix less. */
static bool is_too_long(const uint8_t *bytes)
{
	const uint8_t *end = opcode_of(bytes);
	uint8_t copy[X86_INSN_MAX];

	for (const uint8_t *p = bytes; p < end; p++) {
		size_t n = (size_t)(p - bytes);

		memcpy(copy, bytes, n);
		memcpy(copy + n, p + 1, X86_INSN_MAX - n);
		execute(copy, X86_INSN_MAX);
		if (trap == TRAP_UD)
			return true;
	}
	return false;
}

static void compare_invalid(const uint8_t *bytes, enum x86_decode_result result)
{
	if (is_other(bytes)) {
		n_other++;
		return;
	}
	execute(bytes, X86_INSN_MAX);
	if (trap == (result == X86_DECODE_INVALID ? TRAP_UD : TRAP_GP))
		n_invalid++;
	else if (trap == TRAP_GP && is_too_long(bytes))
		n_other++;
	else
		show(bytes, X86_INSN_MAX, "valid on the CPU", NULL);
}

static void compare(const uint8_t *bytes)
{
	struct x86_insn i;
	enum x86_decode_result result = x86_decode(bytes, X86_INSN_MAX, code, &i);
	enum outcome outcome;

	if (result != X86_DECODE_OK) {
		compare_invalid(bytes, result);
		return;
	}
	if (skipped(&i)) {
		n_other++;
		return;
	}
	outcome = execute(bytes, i.len);
	if (outcome == INVALID)
		show(bytes, i.len, "invalid on the CPU", &i);
	else if (outcome == FETCH)
		show(bytes, i.len, "longer on the CPU", &i);
	else if (i.len > 1 && execute(bytes, i.len - 1u) == DONE)
		show(bytes, i.len, "shorter on the CPU", &i);
	else
		n_same++;
}

static enum x86_code code_of(int bits)
{
	return bits == 16 ? X86_CODE_16 : bits == 32 ? X86_CODE_32 : X86_CODE_64;
}

/* -------- set-up -------- */
static uint8_t *code_page(uint64_t at)
{
	uint8_t *p = mmap((void *)(uintptr_t)at, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* An AMD CPU with all of the decoder's instructions. */
static bool cpu_fits(void)
{
	unsigned int a, b, c, d;

	__cpuid(0, a, b, c, d);
	if (b != signature_AMD_ebx || a < 7)
		return false;
	__cpuid(1, a, b, c, d);
	if (~c & (bit_FMA | bit_MOVBE | bit_POPCNT | bit_AES | bit_PCLMUL | bit_F16C | bit_RDRND))
		return false;
	__cpuid_count(7, 0, a, b, c, d);
	if (~b & (bit_AVX2 | bit_BMI | bit_BMI2 | bit_ADX | bit_SHA | bit_RDSEED | bit_CLWB |
			 bit_CLFLUSHOPT | bit_FSGSBASE) ||
		~c & (bit_VAES | bit_VPCLMULQDQ | bit_GFNI | bit_RDPID))
		return false;
	__cpuid_count(13, 1, a, b, c, d);
	if (~a & (bit_XSAVEOPT | bit_XSAVEC | bit_XSAVES))
		return false;
	__cpuid(0x80000001, a, b, c, d);
	return c & bit_SSE4a && c & bit_LZCNT;
}

static bool set_up(void)
{
	static const int signals[] = { SIGUSR1, SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE };
	static uint8_t stack[65536];
	stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	struct user_desc code16 = { .base_addr = CODE32, .limit = 0xffff, .contents = 2 };

	if (!cpu_fits() || !(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE))
		return false;
	__asm__("rdfsbase %0" : "=r"(fs_base));
	page32 = code_page(CODE32);
	page64 = code_page(CODE64);
	action.sa_sigaction = on_signal;
	if (!page32 || !page64 || sigaltstack(&alt, NULL) ||
		syscall(SYS_modify_ldt, 1, &code16, sizeof(code16)))
		return false;
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		if (sigaction(signals[i], &action, NULL))
			return false;
	return true;
}

/* -------- which bytes -------- */
static void compare_random(unsigned long seed, unsigned long count, int bits)
{
	if (!seed)
		seed = (unsigned long)getpid() * 2654435761u + (unsigned long)time(NULL);
	printf("seed %lu\n", seed);
	random_seed(seed);
	for (unsigned long n = 0; n < count; n++) {
		uint8_t bytes[32];

		code = bits ? code_of(bits) : (enum x86_code)(n % 3);
		random_bytes(bytes, code);
		compare(bytes);
	}
}

/* Each opcode of a legacy map with each ModRM byte, after these prefixes. */
static void compare_map(const char *prefixes, const char *map)
{
	uint8_t bytes[32];
	size_t n = strlen(prefixes), m = strlen(map);

	for (unsigned int i = 0; i < 0x10000; i++) {
		memset(bytes, 0x11, sizeof(bytes));
		memcpy(bytes, prefixes, n);
		memcpy(bytes + n, map, m);
		bytes[n + m] = (uint8_t)(i >> 8);
		bytes[n + m + 1] = (uint8_t)i;
		compare(bytes);
	}
}

static void compare_vex(void)
{
	static const uint8_t modrm[] = { 0x00, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38, 0x04, 0xc1,
		0xca, 0xd3, 0xdc, 0xe5, 0xee, 0xf7, 0xf8 };
	static const uint8_t vvvv[] = { 0x78, 0x70, 0x48, 0x38 };

	/* bits 0-7 opcode, 8-10 pp and L, 11 W, 12-13 map */
	for (unsigned int i = 0; i < 1 << 14; i++)
		for (unsigned int v = 0; v < 4; v++)
			for (size_t k = 0; k < sizeof(modrm); k++) {
				uint8_t bytes[32] = { 0xc4, (uint8_t)(0xe0 | i >> 12),
					(uint8_t)((i >> 8 & 7) | (i >> 4 & 0x80) | vvvv[v]),
					(uint8_t)i, modrm[k], 0x11, 0x22, 0x33, 0x44, 0x55 };

				compare(bytes);
			}
}

static void compare_all(void)
{
	static const char *const prefixes[] = { "", "\x66", "\xf2", "\xf3", "\x66\xf2", "\x66\xf3",
		"\xf0" };
	static const char *const maps[] = { "", "\x0f", "\x0f\x38", "\x0f\x3a" };
	static const char *const rex[] = { "", "\x48", "\x41" };

	for (size_t p = 0; p < sizeof(prefixes) / sizeof(*prefixes); p++)
		for (size_t r = 0; r < (code == X86_CODE_64 ? 3 : 1); r++)
			for (size_t m = 0; m < 4; m++) {
				char both[8];

				snprintf(both, sizeof(both), "%s%s", prefixes[p], rex[r]);
				compare_map(both, maps[m]);
			}
	compare_vex();
}

static int usage(void)
{
	fprintf(stderr, "usage: decode-host random SEED COUNT [16|32|64]\n"
			"       decode-host all 16|32|64\n"
			"       decode-host bytes 16|32|64 HEX...\n");
	return 2;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return usage();
	if (!set_up()) {
		printf("cannot run here\n");
		return 77;
	}
	if (!strcmp(argv[1], "random") && argc > 3) {
		compare_random(strtoul(argv[2], NULL, 0), strtoul(argv[3], NULL, 0),
			argc > 4 ? atoi(argv[4]) : 0);
	} else if (!strcmp(argv[1], "all")) {
		code = code_of(atoi(argv[2]));
		compare_all();
	} else if (!strcmp(argv[1], "bytes")) {
		uint8_t bytes[32] = { 0 };

		code = code_of(atoi(argv[2]));
		for (int i = 3; i < argc && i < 18; i++)
			bytes[i - 3] = (uint8_t)strtoul(argv[i], NULL, 16);
		compare(bytes);
		printf("%d\n", execute(bytes, (size_t)(argc - 3 > 15 ? 15 : argc - 3)));
		printf("trap %d, error %llx\n", trap, (unsigned long long)fault_error);
	} else {
		return usage();
	}
	printf("same %lu, invalid for both %lu, not tried %lu, different %lu\n", n_same, n_invalid,
		n_other, n_wrong);
	return n_wrong != 0;
}
