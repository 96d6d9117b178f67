// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Judges. All is compared; what may differ, and why, stands in ignored() and nowhere else.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include "accel/soft/jit.h"
#include "base/wire.h"
#include "difftest.h"

static const char gpr_name[16][4] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8",
	"r9", "r10", "r11", "r12", "r13", "r14", "r15" };
static const char seg_name[X86_NSEG][3] = { "es", "cs", "ss", "ds", "fs", "gs" };

uint64_t compare_ignored;

/* Where Linux puts a position-independent program, its libraries and its stack. */
#define CHILD_START 0x550000000000ull
#define CHILD_END   0x800000000000ull

/* What a comparison leaves out. */
struct ignored {
	bool all;
	bool x87_pointers;
	bool x87;	 /* stack and status word */
	bool mxcsr_mask; /* a byte of memory */
	bool memory;
	bool fault;	  /* both have one: which and where */
	bool cr2_present; /* bit 0 of a page fault's error code */
	uint64_t rsp_mask;
	uint64_t flags;
	uint64_t gpr_mask;
};

static bool is_fault(const struct outcome *o)
{
	return o->vector == X86_EXC_PF || o->vector == X86_EXC_GP || o->vector == X86_EXC_SS ||
	       o->vector == X86_EXC_AC;
}

/* Bit 17 of MXCSR, AMD's misaligned SSE mode, which guests are not offered. */
static bool misaligned_mode(const struct outcome *n)
{
	return rd_le32(n->out.fx + 24) & 1 << 17;
}

/* XRSTOR of an area that says it has components that the host's XCR0 may have and the guest's has not. It
 * is the test's first instruction. */
static bool has_more_state(const struct batch *b, const struct test *t, const struct x86_insn *i)
{
	uint64_t at = i->base < 16 ? t->in.gpr[i->base] : 0;

	if (i->base == X86_REG_RIP)
		at = t->in.rip + i->len;
	at += (i->index < 16 ? t->in.gpr[i->index] << i->scale : 0) + (uint64_t)i->disp;
	at = i->addrsize == 2 ? (uint16_t)at : i->addrsize == 4 ? (uint32_t)at : at;
	at += segment_base(&t->in, (enum x86_seg)i->seg, (enum x86_code)t->mode);
	at = (t->mode == X86_CODE_64 ? at : (uint32_t)at) - DATA + 512;
	return i->op == X86_OP_XRSTOR && at <= 3 * PAGE - 16 &&
	       (rd_le64(b->image + at) | rd_le64(b->image + at + 8)) & 0xf8;
}

/* Flags that are undefined after it, where C code computes them. */
static uint64_t undefined_flags(const struct test *t, const struct x86_insn *i)
{
	switch (i->op) {
	case X86_OP_AAA:
	case X86_OP_AAS:
		return X86_FLAG_OF | X86_FLAG_SF | X86_FLAG_ZF | X86_FLAG_PF;
	case X86_OP_AAM:
	case X86_OP_AAD:
		return X86_FLAG_OF | X86_FLAG_AF | X86_FLAG_CF;
	case X86_OP_DAA:
	case X86_OP_DAS:
		return X86_FLAG_OF;
	default:
		/* A jump may lead to one of those. */
		return t->mode != X86_CODE_64 && (i->flags & X86_I_BRANCH) ? X86_FLAGS_STATUS : 0;
	}
}

/* Instructions with large operands: which part is touched first is the CPU's own business, and whether
 * some of it has been written when a fault comes. */
static void ignored_of_areas(struct ignored *g, const struct batch *b, const struct test *t,
	const struct x86_insn *i, const struct outcome *n, const struct outcome *s)
{
	bool both = is_fault(n) && is_fault(s);

	switch (i->op) {
	case X86_OP_XSAVE:
	case X86_OP_XSAVEOPT:
	case X86_OP_XSAVEC:
	case X86_OP_XRSTOR:
		if (is_fault(n) && !is_fault(s)) /* nothing is asked for */
			g->all = true;
		__attribute__((fallthrough));
	case X86_OP_FXSAVE:
	case X86_OP_FXRSTOR:
	case X86_OP_LDMXCSR:
		g->mxcsr_mask = true;
		if (s->vector == X86_EXC_GP && (misaligned_mode(n) || has_more_state(b, t, i)))
			g->all = true;
		break;
	case X86_OP_FNSTENV:
	case X86_OP_FLDENV:
	case X86_OP_FNSAVE:
	case X86_OP_FRSTOR:
	case X86_OP_FBSTP:
	case X86_OP_FBLD:
		break;
	case X86_OP_FLD:
	case X86_OP_FSTP:
		if (i->operand[0].size != 10)
			return;
		break;
	default:
		return;
	}
	g->fault |= both;
	g->memory |= both;
}

/* Stack and target may both be bad. AMD's far calls push in the new mode, and may have done so when they
 * fault; far returns that are not allowed may have looked for SS:ESP, and RETF n carries into ESP's
 * upper half. */
static void ignored_of_transfers(struct ignored *g, const struct test *t, const struct x86_insn *i,
	const struct outcome *n, const struct outcome *s)
{
	bool both = is_fault(n) && is_fault(s);

	/* AMD's CPUs read a 32-bit offset under REX.W, Intel's a 64-bit one. The engine does the latter
	 * for all: kvm-unit-tests' emulator wants it, and no program can want the former. */
	g->all |= (i->op == X86_OP_CALLF || i->op == X86_OP_JMPF) && i->opsize == 8;
	switch (i->op) {
	case X86_OP_CALLF:
		g->memory |= both;
		/* One may have got further, even to a fault at its target. */
		g->all |= is_fault(n) != is_fault(s) || (both && n->out.rip != s->out.rip);
		break;
	case X86_OP_RETF:
		if (t->mode != X86_CODE_64)
			g->rsp_mask = 0xffff;
		break;
	case X86_OP_CALL:
	case X86_OP_IRET:
		break;
	default:
		return;
	}
	g->fault |= both;
}

/* Other peculiarities of AMD's CPUs. */
static void ignored_by_op(struct ignored *g, const struct test *t, const struct x86_insn *i,
	const struct outcome *n, const struct outcome *s)
{
	bool both = is_fault(n) && is_fault(s);

	switch (i->op) {
	case X86_OP_SGDT:
	case X86_OP_SIDT:
	case X86_OP_SLDT:
	case X86_OP_SMSW:
	case X86_OP_STR:
		/* Left out, but a jump may find them: Linux carries them out where UMIP forbids them. */
		g->all = true;
		break;
	case X86_OP_MASKMOVQ:
	case X86_OP_MASKMOVDQU:
		/* They have changed to MMX state when the store faults, and fault for bytes that are
		 * masked off, at their own address. */
		if (is_fault(n) && (n->vector != s->vector || n->out.rip != s->out.rip))
			g->all = true;
		g->x87 |= both && i->op == X86_OP_MASKMOVQ;
		g->fault |= both;
		break;
	case X86_OP_MOVSXD:
		g->all |= i->has_66 && is_fault(n); /* they read four bytes */
		break;
	case X86_OP_POPA: /* writes the registers one by one */
		if (both)
			g->gpr_mask = 0;
		break;
	case X86_OP_CMPS: /* which operand is first depends */
		g->fault |= both;
		break;
	case X86_OP_ENTER: /* touches what rSP will be */
		g->all |= n->vector == X86_EXC_AC;
		break;
	case X86_OP_SHA1MSG1:
	case X86_OP_SHA1MSG2:
	case X86_OP_SHA1NEXTE:
	case X86_OP_SHA1RNDS4:
	case X86_OP_SHA256MSG1:
	case X86_OP_SHA256MSG2:
	case X86_OP_SHA256RNDS2: /* need no alignment */
		g->all |= s->vector == X86_EXC_GP;
		break;
	case X86_OP_PINSRD:
	case X86_OP_PEXTRD: /* no VPINSRQ and VPEXTRQ in 32-bit code; Intel's ignore W */
		g->all |= i->vex_w && t->mode != X86_CODE_64;
		break;
	case X86_OP_UD0:
	case X86_OP_UD1: /* have no ModRM byte, so it need not be there */
		g->all |= s->vector == X86_EXC_PF && s->error & X86_PF_I;
		break;
	}
	/* Gathers may trap between elements. */
	g->all |= (i->flags & X86_I_VSIB) && n->vector == X86_EXC_DB;
	/* FS or GS with an offset that is not canonical: #GP. */
	if (i->seg >= X86_FS && t->mode == X86_CODE_64 && n->vector == X86_EXC_GP)
		g->fault |= both;
}

/* Two faults of one access: their order. */
static bool order_of_faults(const struct test *t, const struct outcome *n, const struct outcome *s)
{
	bool near_4g = s->has_cr2 && t->mode != X86_CODE_64 &&
		       (s->cr2 >= 0xffffffc0 || s->cr2 < 0x40);
	bool wraps = near_4g || (s->vector == X86_EXC_AC && t->mode != X86_CODE_64);

	/* Alignment comes first on AMD's CPUs. */
	if (n->vector == X86_EXC_AC && (s->vector == X86_EXC_PF || s->vector == X86_EXC_SS))
		return true;
	if (n->vector == X86_EXC_GP && s->vector == X86_EXC_SS && t->mode != X86_CODE_64)
		return true;
	/* An access over the end of a segment of 4 GiB: implementation-specific (SDM, Limit Checking). */
	return (n->vector == X86_EXC_GP || n->vector == X86_EXC_SS) && wraps;
}

/* Is LOCK among the prefixes? */
static bool locked(const uint8_t *p)
{
	for (unsigned int i = 0; i < X86_INSN_MAX; i++) {
		if (p[i] == 0xf0)
			return true;
		if (p[i] != 0x66 && p[i] != 0x67 && (p[i] & ~0x18) != 0x26 && (p[i] & ~1) != 0x64 &&
			(p[i] & ~1) != 0xf2)
			return false;
	}
	return false;
}

/* How much of an invalid instruction is fetched, and whether its operand is touched, before it is #UD. */
static bool order_of_invalid(const struct test *t, const struct outcome *n, const struct outcome *s)
{
	bool fetch_n = n->vector == X86_EXC_PF && n->error & X86_PF_I;
	bool fetch_s = s->vector == X86_EXC_PF && s->error & X86_PF_I;

	if (s->vector == X86_EXC_UD && fetch_n)
		return true;
	if (t->row[t->n_insns - 1] != ROW_NONE)
		return false;
	/* AMD's CPUs do not mind LOCK VERW. */
	if (s->vector == X86_EXC_UD && locked(t->code + t->off[t->n_insns - 1]) &&
		n->out.rip != s->out.rip)
		return true;
	return (n->vector == X86_EXC_UD && fetch_s) || (s->vector == X86_EXC_UD && is_fault(n));
}

/* A jump may lead anywhere, also to what is left out or needs its mask prepared. */
static bool jumps_to_left_out(const struct test *t)
{
	struct x86_insn i;
	bool jumps = false;

	for (uint32_t k = 0; k < t->n_insns; k++)
		jumps |= x86_decode(t->code + t->off[k], X86_INSN_MAX, (enum x86_code)t->mode,
				 &i) == X86_DECODE_OK &&
			 (i.flags & X86_I_BRANCH);
	for (uint32_t k = 1; jumps && k < t->code_len; k++)
		if (x86_decode(t->code + k, MIN(TEST_CODE - k, X86_INSN_MAX),
			    (enum x86_code)t->mode, &i) == X86_DECODE_OK &&
			(gen_takes_mask(&i) || gen_op_left_out(&i)))
			return true;
	return false;
}

static void ignored_at(struct ignored *g, const struct batch *b, const struct test *t, uint32_t at,
	const struct outcome *n, const struct outcome *s)
{
	struct x86_insn i;

	if (x86_decode(t->code + at, MIN(TEST_CODE - at, X86_INSN_MAX), (enum x86_code)t->mode,
		    &i) != X86_DECODE_OK)
		return;
	if (!t->program)
		g->flags |= undefined_flags(t, &i);
	ignored_of_areas(g, b, t, &i, n, s);
	ignored_of_transfers(g, t, &i, n, s);
	ignored_by_op(g, t, &i, n, s);
}

static struct ignored ignored(const struct batch *b, const struct test *t, const struct outcome *n,
	const struct outcome *s)
{
	struct ignored g = { .flags = X86_FLAG_RF, .gpr_mask = UINT64_MAX, .rsp_mask = UINT64_MAX };
	uint64_t at = s->out.rip - t->in.rip;

	/* The child's program, libraries and stack are there, where soft has nothing. */
	g.all = s->vector == X86_EXC_PF && s->has_cr2 && s->cr2 >= CHILD_START &&
		s->cr2 < CHILD_END && (n->vector != X86_EXC_PF || n->cr2 != s->cr2);
	/* Loops, system calls, and what killed the child: nothing to compare with. */
	if (n->vector >= END_DIED || s->vector >= END_DIED)
		g.all = true;
	/* AMD's CPUs do not save them without a pending exception, Intel's do. */
	g.x87_pointers = true;
	/* Linux says "present" for every address of its own. */
	g.cr2_present = n->has_cr2 && n->cr2 >= 0x7ffffffff000;
	/* Upper halves in 16- and 32-bit code: undefined (SDM, Basic Program Execution Registers). */
	if (t->mode != X86_CODE_64 || n->out.sel[X86_CS] != SEL_CODE64)
		g.gpr_mask = UINT32_MAX;
	g.fault = order_of_faults(t, n, s);
	g.all |= order_of_invalid(t, n, s) || (!t->program && jumps_to_left_out(t));
	/* Where a jump has led into the middle of something, or a program has ended. */
	if ((n->out.rip == s->out.rip || t->program) && at < t->code_len)
		ignored_at(&g, b, t, (uint32_t)at, n, s);
	at = n->out.rip - t->in.rip;
	if (t->program && n->out.rip != s->out.rip && at < t->code_len)
		ignored_at(&g, b, t, (uint32_t)at, n, s);
	for (int i = 0; i < t->n_insns && !t->program; i++)
		ignored_at(&g, b, t, t->off[i], n, s);
	/* INT1, also found by jumps: see gen_op_left_out(). */
	if (n->vector == X86_EXC_DB && s->vector == X86_EXC_DB && at - 1 < t->code_len &&
		t->code[at - 1] == 0xf1)
		g.all = true;
	return g;
}

/* The one imprecision of generated code (jit_emit.c): a fault shows others of those status flags that
 * are certainly written, from the instruction on, before anybody reads them. Those of @left. */
static uint64_t dead_from(const struct test *t, int64_t at, uint64_t left, int branches)
{
	for (int n = 0; n < 64 && at >= 0 && at < t->code_len; n++) {
		struct x86_insn i;
		struct jit_flags f;

		if (x86_decode(t->code + at, MIN((size_t)(TEST_CODE - at), X86_INSN_MAX),
			    (enum x86_code)t->mode, &i) != X86_DECODE_OK)
			return 0;
		f = jit_flags_of(&i);
		if (i.op != X86_OP_JMP && i.op != X86_OP_CALL)
			left &= ~(uint64_t)f.reads;
		if (i.flags & X86_I_BRANCH) {
			int64_t to = at + i.len + (int64_t)i.imm;

			if (!branches || i.operand[0].kind != X86_OPND_REL)
				return 0;
			if (i.op == X86_OP_JMP || i.op == X86_OP_CALL)
				return dead_from(t, to, left, branches - 1);
			return i.op == X86_OP_JCC
				       ? dead_from(t, to, left, branches - 1) &
						 dead_from(t, at + i.len, left, branches - 1)
				       : 0;
		}
		/* Those that it writes are settled, the others' fate is what follows. */
		if (f.writes & left)
			return (f.writes & left) |
			       dead_from(t, at + i.len, left & ~(uint64_t)f.writes, branches);
		at += i.len;
	}
	return 0;
}

static uint64_t dead_flags(const struct test *t, const struct outcome *n)
{
	if (n->vector == X86_EXC_BP || n->vector == X86_EXC_DB)
		return 0;
	/* Code that may have changed itself: what stood there at the end is not known here. */
	if (code_offset(t) >= CODE_PAGES * PAGE)
		return X86_FLAGS_STATUS;
	return dead_from(t, (int64_t)(n->out.rip - t->in.rip), X86_FLAGS_STATUS, 8);
}

struct diff {
	char text[4096];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void differ(struct diff *d, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(d->text + d->len, sizeof(d->text) - d->len, fmt, ap);
	va_end(ap);
	if (n > 0 && d->len + (size_t)n < sizeof(d->text))
		d->len += (size_t)n;
}

static void differ_u64(struct diff *d, const char *name, uint64_t n, uint64_t s)
{
	if (n != s)
		differ(d, "  %-8s native %016" PRIx64 "  soft %016" PRIx64 "\n", name, n, s);
}

static void differ_bytes(
	struct diff *d, const char *name, int i, const uint8_t *n, const uint8_t *s, size_t size)
{
	if (!memcmp(n, s, size))
		return;
	differ(d, "  %s%d native ", name, i);
	for (size_t k = size; k-- > 0;)
		differ(d, "%02x", n[k]);
	differ(d, "\n  %*s soft   ", (int)strlen(name) + 1, "");
	for (size_t k = size; k-- > 0;)
		differ(d, "%02x", s[k]);
	differ(d, "\n");
}

static void compare_end(
	struct diff *d, const struct ignored *g, const struct outcome *n, const struct outcome *s)
{
	uint32_t error;

	if (g->fault)
		return;
	error = g->cr2_present ? n->error & ~(n->error ^ s->error) : n->error;

	if (n->vector != s->vector)
		differ(d, "  vector   native %u (error %x)  soft %u (error %x)\n", n->vector,
			n->error, s->vector, s->error);
	else if (s->has_error && (error ^ s->error) & ~(g->cr2_present ? 1u : 0u))
		differ(d, "  error    native %x  soft %x\n", n->error, s->error);
	if (n->vector == s->vector && n->has_cr2)
		differ_u64(d, "cr2", n->cr2, s->cr2);
}

static void compare_integer(struct diff *d, const struct ignored *g, const struct test *t,
	const struct state *n, const struct state *s)
{
	for (int i = 0; i < 16; i++) {
		uint64_t mask = i == X86_RSP ? g->gpr_mask & g->rsp_mask : g->gpr_mask;

		differ_u64(d, gpr_name[i], n->gpr[i] & mask, s->gpr[i] & mask);
	}
	differ_u64(d, "rip", n->rip, s->rip);
	differ_u64(d, "rflags", n->rflags & ~g->flags, s->rflags & ~g->flags);
	/* IRET out of the kernel makes null selectors 0, so natively they have no RPL. */
	for (int i = 0; i < X86_NSEG; i++)
		if (n->sel[i] || s->sel[i] > 3)
			differ_u64(d, seg_name[i], n->sel[i], s->sel[i]);
	if (t->mode == X86_CODE_64) {
		differ_u64(d, "fs base", n->fs_base, s->fs_base);
		differ_u64(d, "gs base", n->gs_base, s->gs_base);
	}
}

static void compare_fpu(
	struct diff *d, const struct ignored *g, const struct state *n, const struct state *s)
{
	if (g->x87)
		goto vectors;
	differ_u64(d, "fcw", rd_le16(n->fx), rd_le16(s->fx));
	differ_u64(d, "fsw", rd_le16(n->fx + 2), rd_le16(s->fx + 2));
	differ_u64(d, "ftw", n->fx[4], s->fx[4]);
	if (!g->x87_pointers) {
		differ_u64(d, "fop", rd_le16(n->fx + 6), rd_le16(s->fx + 6));
		differ_u64(d, "fip", rd_le64(n->fx + 8), rd_le64(s->fx + 8));
		differ_u64(d, "fdp", rd_le64(n->fx + 16), rd_le64(s->fx + 16));
	}
	for (int i = 0; i < 8; i++)
		differ_bytes(d, "st", i, n->fx + 32 + 16 * i, s->fx + 32 + 16 * i, 10);
vectors:
	differ_u64(d, "mxcsr", rd_le32(n->fx + 24), rd_le32(s->fx + 24));
	for (int i = 0; i < 16; i++) {
		differ_bytes(d, "xmm", i, n->fx + 160 + 16 * i, s->fx + 160 + 16 * i, 16);
		differ_bytes(d, "ymmh", i, n->ymmh[i], s->ymmh[i], 16);
	}
}

static uint32_t line_linear(uint32_t at)
{
	return image_page[at / 64].at + at % 64 * 64;
}

/* The line at @at as a run left it. */
static const uint8_t *line_of(const struct batch *b, const struct line *l, uint32_t n, uint32_t at)
{
	for (uint32_t i = 0; i < n; i++)
		if (l[i].at == at)
			return l[i].data;
	return b->image + at * 64;
}

static void compare_memory(struct diff *d, const struct ignored *g, const struct batch *b,
	const struct outcome *n, const struct outcome *s, const struct line *soft_lines)
{
	const struct line *native_lines = b->line + n->first_line;

	if (g->memory)
		return;
	if (n->n_lines == s->n_lines) {
		uint32_t i = 0;

		while (i < n->n_lines && native_lines[i].at == soft_lines[i].at &&
			!memcmp(native_lines[i].data, soft_lines[i].data, 64))
			i++;
		if (i == n->n_lines)
			return;
	}
	for (uint32_t at = 0; at < IMAGE_SIZE / 64; at++) {
		const uint8_t *x = line_of(b, native_lines, n->n_lines, at);
		const uint8_t *y = line_of(b, soft_lines, s->n_lines, at);

		for (int k = 0; k < 64; k++)
			if (x[k] != y[k] && !(g->mxcsr_mask && k % 16 == 14 && (x[k] ^ y[k]) == 2))
				differ(d, "  [%x] was %02x native %02x soft %02x\n",
					line_linear(at) + k, b->image[at * 64 + k], x[k], y[k]);
	}
}

/* -------- printing -------- */
static void print_code(const struct test *t)
{
	static const char *const mode[] = { "16-bit", "32-bit", "64-bit" };
	char text[128];

	printf("  %s code at %" PRIx64 ":\n", mode[t->mode], t->in.rip);
	for (int i = 0; i < t->n_insns; i++) {
		uint32_t from = t->off[i], to = t->off[i + 1];

		if (to > t->code_len)
			to = t->code_len;
		printf("   ");
		for (uint32_t k = from; k < to; k++)
			printf(" %02x", t->code[k]);
		if (t->row[i] == ROW_NONE) {
			printf("   (no instruction)\n");
			continue;
		}
		x86_row_text(t->row[i], text, sizeof(text));
		printf("   row %u: %s\n", t->row[i], text);
	}
}

static void print_state(const char *name, const struct state *s)
{
	printf("  %s:\n   ", name);
	for (int i = 0; i < 16; i++)
		printf(" %-3s %016" PRIx64 "%s", gpr_name[i], s->gpr[i], i % 4 == 3 ? "\n   " : "");
	printf(" rip %016" PRIx64 " rflags %" PRIx64 "\n    ", s->rip, s->rflags);
	for (int i = 0; i < X86_NSEG; i++)
		printf("%s %x  ", seg_name[i], s->sel[i]);
	printf("fs base %" PRIx64 " gs base %" PRIx64 "\n", s->fs_base, s->gs_base);
	printf("    fcw %04x fsw %04x ftw %02x mxcsr %04x\n", rd_le16(s->fx), rd_le16(s->fx + 2),
		s->fx[4], rd_le32(s->fx + 24));
	for (int i = 0; i < 8; i++)
		printf("    st%d %04x:%016" PRIx64 "%s", i, rd_le16(s->fx + 40 + 16 * i),
			rd_le64(s->fx + 32 + 16 * i), i % 4 == 3 ? "\n" : "");
	for (int i = 0; i < 16; i++)
		printf("    ymm%-2d %016" PRIx64 "%016" PRIx64 ":%016" PRIx64 "%016" PRIx64 "%s", i,
			rd_le64(s->ymmh[i] + 8), rd_le64(s->ymmh[i]), rd_le64(s->fx + 168 + 16 * i),
			rd_le64(s->fx + 160 + 16 * i), i % 2 ? "\n" : "");
}

bool compare(const struct batch *b, uint32_t i, const struct outcome *soft,
	const struct line *soft_lines, uint64_t seed, bool always_print, bool translated)
{
	static struct diff d;
	const struct test *t = &b->test[i];
	const struct outcome *native = &b->outcome[i];
	struct ignored g = ignored(b, t, native, soft);

	if (translated)
		g.flags |= dead_flags(t, native);
	compare_ignored += g.all;
	d.len = 0;
	d.text[0] = 0;
	if (!g.all) {
		compare_end(&d, &g, native, soft);
		compare_integer(&d, &g, t, &native->out, &soft->out);
		compare_fpu(&d, &g, &native->out, &soft->out);
		compare_memory(&d, &g, b, native, soft, soft_lines);
	}
	if (!d.len && !always_print)
		return true;
	printf("%s: difftest --seed %" PRIu64 " --engine %s --only %" PRIu64 "\n",
		d.len	? "difference"
		: g.all ? "not comparable"
			: "same",
		seed, translated ? "jit" : "interp", b->first + i);
	print_code(t);
	printf("%s", d.text);
	printf("  ends: native %u error %x cr2 %" PRIx64 ", soft %u error %x cr2 %" PRIx64 "\n",
		native->vector, native->error, native->cr2, soft->vector, soft->error, soft->cr2);
	if (always_print) {
		print_state("before", &t->in);
		print_state("native", &native->out);
		print_state("soft", &soft->out);
	}
	return !d.len;
}
