// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * gdb_regs - the registers as gdb numbers them, and their description for it (gdb manual, Target
 * Descriptions, i386 Features): core, SSE, segment bases, and control registers of our own.
 */
#include <string.h>
#include "base/wire.h"
#include "control/gdb_int.h"

#define FX_FCW	 0
#define FX_FSW	 2
#define FX_FTW	 4
#define FX_FOP	 6
#define FX_FIP	 8
#define FX_FDP	 16
#define FX_MXCSR 24
#define FX_ST	 32
#define FX_XMM	 160

enum reg_kind {
	REG_GPR,
	REG_RIP,
	REG_FLAGS,
	REG_SEG,
	REG_ST,
	REG_FCTRL,
	REG_XMM,
	REG_MXCSR,
	REG_BASE,
	REG_CONTROL
};

/* gdb's order is not the encoding's. */
static const uint8_t gpr_order[] = { X86_RAX, X86_RBX, X86_RCX, X86_RDX, X86_RSI, X86_RDI, X86_RBP,
	X86_RSP, X86_R8, X86_R9, X86_R10, X86_R11, X86_R12, X86_R13, X86_R14, X86_R15 };
static const uint8_t seg_order[] = { X86_CS, X86_SS, X86_DS, X86_ES, X86_FS, X86_GS };

/* Runs of registers of one kind and size. */
static const struct run {
	uint8_t kind, n, size;
} runs[] = {
	{ REG_GPR, 16, 8 },
	{ REG_RIP, 1, 8 },
	{ REG_FLAGS, 1, 4 },
	{ REG_SEG, 6, 4 },
	{ REG_ST, 8, 10 },
	{ REG_FCTRL, 8, 4 },
	{ REG_XMM, 16, 16 },
	{ REG_MXCSR, 1, 4 },
	{ REG_BASE, 2, 8 },
	{ REG_CONTROL, 6, 8 },
};

const char gdb_target_xml[] =
	"<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
	"<architecture>i386:x86-64</architecture>"
	"<feature name=\"org.gnu.gdb.i386.core\">"
	"<flags id=\"eflags_bits\" size=\"4\">"
	"<field name=\"CF\" start=\"0\" end=\"0\"/><field name=\"PF\" start=\"2\" end=\"2\"/>"
	"<field name=\"AF\" start=\"4\" end=\"4\"/><field name=\"ZF\" start=\"6\" end=\"6\"/>"
	"<field name=\"SF\" start=\"7\" end=\"7\"/><field name=\"TF\" start=\"8\" end=\"8\"/>"
	"<field name=\"IF\" start=\"9\" end=\"9\"/><field name=\"DF\" start=\"10\" end=\"10\"/>"
	"<field name=\"OF\" start=\"11\" end=\"11\"/><field name=\"NT\" start=\"14\" end=\"14\"/>"
	"<field name=\"RF\" start=\"16\" end=\"16\"/><field name=\"VM\" start=\"17\" end=\"17\"/>"
	"<field name=\"AC\" start=\"18\" end=\"18\"/><field name=\"ID\" start=\"21\" end=\"21\"/>"
	"</flags>"
#define R(name, bits, type) "<reg name=\"" name "\" bitsize=\"" bits "\" type=\"" type "\"/>"
	R("rax", "64", "int64") R("rbx", "64", "int64") R("rcx", "64", "int64") R(
		"rdx", "64", "int64") R("rsi", "64", "int64") R("rdi", "64", "int64") R("rbp", "64",
		"data_ptr") R("rsp", "64", "data_ptr") R("r8", "64", "int64") R("r9", "64",
		"int64") R("r10", "64", "int64") R("r11", "64", "int64") R("r12", "64",
		"int64") R("r13", "64", "int64") R("r14", "64", "int64") R("r15", "64",
		"int64") R("rip", "64", "code_ptr") R("eflags", "32", "eflags_bits") R("cs", "32",
		"int32") R("ss", "32", "int32") R("ds", "32", "int32") R("es", "32",
		"int32") R("fs", "32", "int32") R("gs", "32", "int32") R("st0", "80",
		"i387_ext") R("st1", "80", "i387_ext") R("st2", "80", "i387_ext") R("st3", "80",
		"i387_ext") R("st4", "80", "i387_ext") R("st5", "80", "i387_ext") R("st6", "80",
		"i387_ext") R("st7", "80", "i387_ext")
#define F(name) "<reg name=\"" name "\" bitsize=\"32\" type=\"int\" group=\"float\"/>"
		F("fctrl") F("fstat") F("ftag") F("fiseg") F("fioff") F("foseg") F("fooff")
			F("fop") "</feature><feature name=\"org.gnu.gdb.i386.sse\">"
				 "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
				 "<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
				 "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>"
				 "<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
				 "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>"
				 "<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
				 "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/>"
				 "<field name=\"v2_double\" type=\"v2d\"/><field name=\"v16_int8\" "
				 "type=\"v16i8\"/>"
				 "<field name=\"v8_int16\" type=\"v8i16\"/><field "
				 "name=\"v4_int32\" type=\"v4i32\"/>"
				 "<field name=\"v2_int64\" type=\"v2i64\"/><field name=\"uint128\" "
				 "type=\"uint128\"/></union>"
#define X(n) R("xmm" n, "128", "vec128")
	X("0") X("1") X("2") X("3") X("4") X("5") X("6") X("7") X("8") X("9") X("10") X("11")
		X("12") X("13") X("14") X(
			"15") "<reg name=\"mxcsr\" bitsize=\"32\" type=\"int\" "
			      "group=\"vector\"/></feature>"
			      "<feature name=\"org.gnu.gdb.i386.segments\">" R(
				      "fs_base", "64", "int64") R("gs_base", "64",
				      "int64") "</feature><feature name=\"org.lodge.x86.control\">"
#define C(name) "<reg name=\"" name "\" bitsize=\"64\" type=\"int64\" group=\"system\"/>"
	C("cr0") C("cr2") C("cr3") C("cr4") C("cr8") C("efer") "</feature></target>";
#undef R
#undef F
#undef X
#undef C

unsigned int gdb_regs(void)
{
	unsigned int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
		n += runs[i].n;
	return n;
}

static const struct run *find(unsigned int n, unsigned int *index)
{
	for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
		if (n < runs[i].n) {
			*index = n;
			return &runs[i];
		}
		n -= runs[i].n;
	}
	return NULL;
}

static uint64_t *control_reg(struct x86_cpu_state *s, unsigned int i)
{
	uint64_t *regs[] = { &s->cr0, &s->cr2, &s->cr3, &s->cr4, &s->cr8, &s->efer };

	return regs[i];
}

/* The tag word with two bits a register, from FXSAVE's one: what is there is called valid. */
static uint32_t full_tags(const uint8_t *fx)
{
	uint32_t tags = 0;

	for (unsigned int i = 0; i < 8; i++)
		tags |= fx[FX_FTW] >> i & 1 ? 0 : 3u << (2 * i);
	return tags;
}

static uint32_t fctrl_get(const uint8_t *fx, unsigned int i)
{
	switch (i) {
	case 0:
		return rd_le16(fx + FX_FCW);
	case 1:
		return rd_le16(fx + FX_FSW);
	case 2:
		return full_tags(fx);
	case 4:
		return rd_le32(fx + FX_FIP);
	case 6:
		return rd_le32(fx + FX_FDP);
	case 7:
		return rd_le16(fx + FX_FOP);
	default:
		return 0; /* segments: not in the 64-bit image */
	}
}

static void fctrl_set(uint8_t *fx, unsigned int i, uint32_t v)
{
	if (i == 0)
		wr_le16(fx + FX_FCW, v);
	else if (i == 1)
		wr_le16(fx + FX_FSW, v);
	else if (i == 2)
		for (unsigned int r = 0; r < 8; r++) {
			bool empty = (v >> (2 * r) & 3) == 3;

			fx[FX_FTW] = (fx[FX_FTW] & ~(1u << r)) | (empty ? 0 : 1u << r);
		}
}

/* Where the register's bytes lie as they are, or NULL. */
static void *plain(struct x86_cpu_state *s, const struct run *r, unsigned int i)
{
	switch (r->kind) {
	case REG_GPR:
		return &s->gpr[gpr_order[i]];
	case REG_RIP:
		return &s->rip;
	case REG_ST:
		return s->xsave + FX_ST + 16 * i;
	case REG_XMM:
		return s->xsave + FX_XMM + 16 * i;
	case REG_MXCSR:
		return s->xsave + FX_MXCSR;
	case REG_BASE:
		return &s->seg[i ? X86_GS : X86_FS].base;
	case REG_CONTROL:
		return control_reg(s, i);
	case REG_FLAGS:
		return &s->rflags;
	}
	return NULL;
}

unsigned int gdb_reg_get(const struct x86_cpu_state *state, unsigned int n, uint8_t *out)
{
	struct x86_cpu_state *s = (struct x86_cpu_state *)(uintptr_t)state;
	unsigned int i = 0;
	const struct run *r = find(n, &i);
	const void *p = r ? plain(s, r, i) : NULL;

	if (!r)
		return 0;
	if (p)
		memcpy(out, p, r->size);
	else if (r->kind == REG_SEG)
		wr_le32(out, s->seg[seg_order[i]].selector);
	else
		wr_le32(out, fctrl_get(s->xsave, i));
	return r->size;
}

unsigned int gdb_reg_set(struct x86_cpu_state *s, unsigned int n, const uint8_t *in, size_t len)
{
	unsigned int i = 0;
	const struct run *r = find(n, &i);
	void *p = r ? plain(s, r, i) : NULL;

	if (!r || len < r->size)
		return 0;
	if (p)
		memcpy(p, in, r->size);
	else if (r->kind == REG_FCTRL)
		fctrl_set(s->xsave, i, rd_le32(in));
	/* A selector is not changed: the descriptor's other parts would not fit it. */
	return r->size;
}
