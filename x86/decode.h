/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * decode - the x86 instruction decoder: bytes in, struct x86_insn out. Table-driven (one row an
 * encoding, decode_table.c), complete for x86-64-v3 with AES, PCLMULQDQ, SHA and the system
 * instructions, in 16-, 32- and 64-bit code. An allow-list: what has no row is no instruction.
 *
 * It looks at bytes only: privilege, CPU features, mode restrictions other than 64-bit or not, and
 * faults of operands are the executor's. Freestanding, no state, any thread.
 */
#ifndef X86_DECODE_H
#define X86_DECODE_H

#include "x86/cpu_state.h"

#define X86_INSN_MAX 15

/* Default operand and address size of the code segment. */
enum x86_code { X86_CODE_16, X86_CODE_32, X86_CODE_64 };

/* What an instruction does, by mnemonic: the list is decode_ops.h. */
enum x86_op {
	X86_OP_NONE,
#define X86_OP(id, name) X86_OP_##id,
#include "x86/decode_ops.h"
#undef X86_OP
	X86_OP_COUNT
};

/* Who executes it, and what must be enabled for it. */
enum x86_class {
	X86_CLASS_INT,	/* general registers and memory only, and system instructions: by op */
	X86_CLASS_GPR,	/* arithmetic on general registers beyond the 386's (BMI, ADX, LZCNT,
			   POPCNT, CRC32 ...), some VEX-encoded: no vector state needed */
	X86_CLASS_X87,	/* x87, FWAIT too: CR0.EM, CR0.TS */
	X86_CLASS_MMX,	/* MMX registers (also those SSE instructions that use them) */
	X86_CLASS_SSE,	/* legacy encodings on XMM: CR0.EM, CR0.TS, CR4.OSFXSR */
	X86_CLASS_AVX,	/* VEX encodings on XMM and YMM: CR4.OSXSAVE, XCR0 */
	X86_CLASS_FPST, /* FXSAVE, XSAVE family, LDMXCSR ...: whole or control state, by op */
};

/* The CPUID feature that brings the encoding; NONE: every x86-64. */
enum x86_feature {
	X86_FEAT_NONE,
	X86_FEAT_MMX,
	X86_FEAT_SSE,
	X86_FEAT_SSE2,
	X86_FEAT_SSE3,
	X86_FEAT_SSSE3,
	X86_FEAT_SSE4_1,
	X86_FEAT_SSE4_2,
	X86_FEAT_SSE4A,
	X86_FEAT_POPCNT,
	X86_FEAT_LZCNT, /* without it the encoding is BSR's */
	X86_FEAT_BMI1,	/* TZCNT too, which is BSF's without it */
	X86_FEAT_BMI2,
	X86_FEAT_ADX,
	X86_FEAT_MOVBE,
	X86_FEAT_AES,
	X86_FEAT_PCLMUL,
	X86_FEAT_SHA,
	X86_FEAT_AVX,
	X86_FEAT_AVX2,
	X86_FEAT_FMA,
	X86_FEAT_F16C,
	X86_FEAT_VAES,
	X86_FEAT_VPCLMUL,
	X86_FEAT_GFNI,
	X86_FEAT_FXSR,
	X86_FEAT_XSAVE,
	X86_FEAT_XSAVEOPT,
	X86_FEAT_XSAVEC,
	X86_FEAT_XSAVES,
	X86_FEAT_CX8,
	X86_FEAT_CX16,
	X86_FEAT_RDTSCP,
	X86_FEAT_RDRAND,
	X86_FEAT_RDSEED,
	X86_FEAT_RDPID,
	X86_FEAT_FSGSBASE,
	X86_FEAT_INVPCID,
	X86_FEAT_SMAP,
	X86_FEAT_PKU,
	X86_FEAT_CLFLUSHOPT,
	X86_FEAT_CLWB,
	X86_FEAT_MONITOR,
	X86_FEAT_SYSCALL,
	X86_FEAT_PREFETCHW,
	X86_FEAT_VMX, /* never offered by soft: these raise #UD */
	X86_FEAT_SVM,
	X86_FEAT_COUNT
};

enum x86_operand_kind {
	X86_OPND_NONE,
	X86_OPND_GPR,	/* reg 0-15 */
	X86_OPND_GPR_H, /* AH CH DH BH: reg is 0-3, the register whose bits 8-15 it is */
	X86_OPND_MEM,	/* base, index, scale, disp, seg of the instruction; moffs (base and index
			   none); implicit: [reg], the insn's base being the source's where there
			   are two; ES:[rdi] of strings whatever the insn's seg is */
	X86_OPND_IMM,	/* insn->imm, sign- or zero-extended as the instruction wants */
	X86_OPND_IMM2,	/* insn->imm2: ENTER's second, EXTRQ's */
	X86_OPND_REL, /* branch displacement: insn->imm, sign-extended, from the next instruction */
	X86_OPND_FAR, /* insn->imm2:insn->imm */
	X86_OPND_SEG, /* enum x86_seg */
	X86_OPND_CR,
	X86_OPND_DR,
	X86_OPND_ST, /* reg 0-7 */
	X86_OPND_MMX,
	X86_OPND_VEC, /* XMM or YMM by size */
	X86_OPND_ONE, /* the constant 1 of D0, D1 */
};

#define X86_ACC_R 1
#define X86_ACC_W 2

struct x86_operand {
	uint8_t kind; /* enum x86_operand_kind */
	uint8_t reg;
	uint8_t access;	  /* X86_ACC_*: what the instruction does with it; 0: neither (LEA, NOP) */
	uint8_t implicit; /* not encoded: fixed by the opcode (AL, CL, ES:[rDI], XMM0) */
	uint16_t
		size; /* bytes; of far pointers and table operands too (6, 10); 0: none or variable (XSAVE) */
};

/* insn->flags, from the row */
#define X86_I_MODRM	 (1u << 0)
#define X86_I_LOCK_OK	 (1u << 1) /* LOCK allowed when the first operand is memory */
#define X86_I_ALIGN	 (1u << 2) /* memory operand must be aligned to its size, else #GP */
#define X86_I_FPEXC	 (1u << 3) /* may raise #XM (#UD without CR4.OSXMMEXCPT); reads MXCSR */
#define X86_I_BRANCH	 (1u << 4) /* may not go on with the next instruction */
#define X86_I_STRING	 (1u << 5) /* MOVS CMPS STOS LODS SCAS INS OUTS: takes REP */
#define X86_I_VSIB	 (1u << 7) /* gather: index is a vector register */
#define X86_I_X87_CTRL	 (1u << 8) /* x87 control instruction: does not set FIP, FDP, FOP */
#define X86_I_X87_NOWAIT (1u << 9) /* does not report pending x87 exceptions */

#define X86_REG_RIP  16 /* base: address of the next instruction */
#define X86_REG_NONE 17 /* base or index: none; executors keep a zero there */

struct x86_insn {
	uint64_t imm;	  /* first immediate */
	int64_t disp;	  /* displacement, or moffs address */
	uint32_t flags;	  /* X86_I_* */
	uint16_t op;	  /* enum x86_op */
	uint16_t row;	  /* of the table: x86_row_text() */
	uint16_t imm2;	  /* second immediate; selector of a far pointer */
	uint8_t len;	  /* 1-15 */
	uint8_t cls;	  /* enum x86_class */
	uint8_t feature;  /* enum x86_feature */
	uint8_t code;	  /* enum x86_code it was decoded for */
	uint8_t opsize;	  /* 2, 4, 8: effective operand size (of byte instructions too) */
	uint8_t addrsize; /* 2, 4, 8 */
	uint8_t rep;  /* 0, 0xf2 or 0xf3: the last one there, also where it selects the row; of VEX
			     what pp stands for, and so has_66 */
	uint8_t lock; /* there is a LOCK prefix (allowed here: otherwise it is no instruction) */
	uint8_t has_66; /* there is a 0x66 prefix */
	uint8_t seg;	/* enum x86_seg of the memory operand: overridden or default */
	uint8_t rex;	/* the REX byte or 0; of VEX one with its W, R, X, B in 64-bit code */
	uint8_t vex;	/* 0, or 0xc5, 0xc4 */
	uint8_t vex_l;	/* 1: 256 bits */
	uint8_t vex_w;
	uint8_t vex_v; /* vvvv, not inverted */
	uint8_t map;   /* 0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A */
	uint8_t opcode, modrm;
	uint8_t base, index, scale; /* base + (index << scale) + disp; X86_REG_* */
	uint8_t n_operands;
	/* Where in the bytes: 0 when there is none. */
	uint8_t opcode_off, modrm_off, disp_off, disp_size, imm_off, imm_size;
	struct x86_operand operand[4]; /* Intel's order: destination first */
};

enum x86_decode_result {
	X86_DECODE_OK,
	X86_DECODE_MORE,     /* the bytes end before the instruction does */
	X86_DECODE_INVALID,  /* #UD; len is what was looked at */
	X86_DECODE_TOO_LONG, /* over 15 bytes: #GP */
};

/* Decode at @p, of which @n bytes (at most 15 are looked at) may be read. @out is whole for
 * X86_DECODE_OK only. */
enum x86_decode_result x86_decode(
	const uint8_t *p, size_t n, enum x86_code code, struct x86_insn *out);

/* Name of an op in Intel's spelling, lower case ("add"). */
const char *x86_op_name(enum x86_op op);
/* The table's rows, for coverage reports: how many, and row @i as text
 * ("0f 38 f0 /r movbe r16/32/64, m"). */
unsigned int x86_rows(void);
size_t x86_row_text(unsigned int i, char *buf, size_t size);

#endif
