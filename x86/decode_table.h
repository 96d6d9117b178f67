/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * decode_table - what decode.c and decode_table.c share: the shape of a row.
 *
 * An opcode's rows are tried in order; the first whose condition holds is the instruction. The
 * condition is one compare: everything that selects among rows is a bit of a 32-bit key (prefix,
 * mode, the ModRM byte, VEX.L ...), of which the row wants some to have certain values.
 */
#ifndef X86_DECODE_TABLE_H
#define X86_DECODE_TABLE_H

#include "x86/decode.h"

/* The key. */
#define KEY_MODRM    0xffu /* bits 0-7; 0 where the opcode has none */
#define KEY_PP_SHIFT 8	   /* 0 none, 1 66, 2 F3, 3 F2: F3 and F2 hide 66 */
#define KEY_PP	     (3u << KEY_PP_SHIFT)
#define KEY_MOD3     (1u << 10) /* ModRM names a register */
#define KEY_CODE64   (1u << 11)
#define KEY_L	     (1u << 12) /* VEX.L */
#define KEY_W	     (1u << 13) /* REX.W, VEX.W */
#define KEY_W64	     (1u << 14) /* the same, in 64-bit code only: it is ignored elsewhere */
#define KEY_VVVV     (1u << 15) /* VEX.vvvv is not 1111 */
#define KEY_REX_B    (1u << 16)

/* Above X86_I_*: how the decoder treats the row. */
#define ROW_D64	   (1u << 16) /* 64-bit code: operand size is 8, or 2 with 66 */
#define ROW_NATIVE (1u << 17) /* operand size is 8 in 64-bit code, 4 elsewhere */
#define ROW_F64	   (1u << 18) /* 64-bit code: operand size is 8 whatever the prefixes are */
#define ROW_NO66   (1u << 19) /* operand size is 8 with W, 4 without: 66 has another meaning */
#define ROW_MOD3   (1u << 20) /* ModRM.mod is taken for 3 */
#define ROW_CR8	   (1u << 21) /* LOCK is allowed and makes CR0 CR8 */
#define ROW_FLAGS  0xffffu

struct x86_row {
	uint64_t match; /* bits 63-32: mask, 31-0: value */
	uint32_t flags; /* X86_I_*, ROW_* */
	uint16_t op;
	uint8_t cls, feature;
	uint16_t operand[4]; /* bits 0-7: place in x86_opnds[], 8-9: X86_ACC_* */
};

/* How an operand is found. */
enum opnd_method {
	OPM_NONE,
	OPM_E,	  /* ModRM.rm: general register or memory */
	OPM_G,	  /* ModRM.reg: general register */
	OPM_Z,	  /* low three bits of the opcode: general register */
	OPM_B,	  /* VEX.vvvv: general register */
	OPM_GPR,  /* general register @arg */
	OPM_IMM,  /* zero-extended */
	OPM_SIMM, /* sign-extended to 64 bits */
	OPM_IMM2, /* byte, second immediate */
	OPM_REL,
	OPM_FAR,
	OPM_MOFFS,
	OPM_SRC, /* [rSI] */
	OPM_DST, /* ES:[rDI] */
	OPM_AT,	 /* [@arg], with the instruction's segment */
	OPM_ONE,
	OPM_SREG, /* ModRM.reg */
	OPM_SEG,  /* segment register @arg */
	OPM_CR,
	OPM_DR,
	OPM_ST, /* ModRM.rm */
	OPM_ST0,
	OPM_P,	 /* ModRM.reg: MMX register */
	OPM_Q,	 /* ModRM.rm: MMX register or memory */
	OPM_V,	 /* ModRM.reg: vector register */
	OPM_W,	 /* ModRM.rm: vector register or memory */
	OPM_H,	 /* VEX.vvvv: vector register */
	OPM_L,	 /* immediate's bits 4-7: vector register */
	OPM_VEC, /* vector register @arg */
};

/* Sizes that depend on operand size or VEX.L. */
enum opnd_size {
	SZ_0,
	SZ_1,
	SZ_2,
	SZ_4,
	SZ_6,
	SZ_8,
	SZ_10,
	SZ_16,
	SZ_32,
	SZ_512,
	SZ_V,	/* operand size */
	SZ_Z,	/* operand size, at most 4 */
	SZ_Y,	/* operand size, at least 4 */
	SZ_P,	/* far pointer */
	SZ_A,	/* BOUND's pair */
	SZ_S,	/* descriptor table register: 6, in 64-bit code 10 (operand size 8) */
	SZ_C,	/* CMPXCHG8B, CMPXCHG16B */
	SZ_ENV, /* x87 environment */
	SZ_SAVE,
	SZ_X,  /* XMM or YMM by VEX.L */
	SZ_XH, /* half, a quarter, an eighth of it */
	SZ_XQ,
	SZ_XE,
	SZ_COUNT,
};

struct x86_opnd {
	uint8_t method;	  /* enum opnd_method */
	uint8_t reg, mem; /* enum opnd_size when it is a register (or immediate), when memory */
	uint8_t arg;
};

/* Opcode to rows; @modrm: it has a ModRM byte. Places: X86_MAP_*, VEX maps behind; the x87 opcodes'
 * second bytes: the reg field of memory forms, 0x40 + the lower six bits of register forms. */
struct x86_opcode {
	uint16_t first;
	uint8_t count, modrm;
};

#define X86_MAPS      4
#define X86_X87_PLACE (2 * X86_MAPS * 256)
#define X86_PLACES    (X86_X87_PLACE + 8 * 128)

extern const struct x86_row x86_table[];
extern const struct x86_opcode x86_opcodes[X86_PLACES];
extern const struct x86_opnd x86_opnds[];
extern const char x86_opnd_names[][6];
extern const unsigned int x86_n_rows;

#endif
