// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_asm - writing host instructions.
 *
 * Registers are numbers as in encodings. `w` is REX.W: 64-bit operands. Memory is [base + disp], or of
 * the vCPU: gs:[offset in struct soft_vcpu]. No prefix but REX and GS is put by itself.
 */
#ifndef ACCEL_SOFT_JIT_ASM_H
#define ACCEL_SOFT_JIT_ASM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	R_AX,
	R_CX,
	R_DX,
	R_BX,
	R_SP,
	R_BP,
	R_SI,
	R_DI,
	R_8,
	R_9,
	R_10,
	R_11,
	R_12,
	R_13,
	R_14,
	R_15
};

#define V_OFF(member) ((int32_t)offsetof(struct soft_vcpu, member))

/* What lies at the host's stack pointer while generated code runs: what is used most, because the CPU
 * forwards stores to loads there almost for nothing, and because it is short. */
#define JIT_DELTAS 2
enum jit_frame {
	F_R11 = 0, /* guest r11, r14, r15 */
	F_R14 = 8,
	F_R15 = 16,
	F_L1 = 24,	  /* v->l1 */
	F_PAGE = 32,	  /* v->g.page */
	F_ID = 40,	  /* v->g.id */
	F_STACK_TAG = 48, /* v->g.stack */
	F_STACK_DELTA = 56,
	F_DELTA = 64, /* JIT_DELTAS of them: jit_share.c */
	F_LIN = 80,   /* the address that is being looked up */
	F_SIZE = 88,  /* aligned with what is pushed */
};

/* The guest's general registers: is @g in a host register, and in which? Three are not, since the host's r9 and r10
 * are scratch and its rsp is ours. They are those that compilers take last: of the registers that a function need not
 * save r11, of the others r14 and r15. */
static inline bool jit_pinned(unsigned int g)
{
	return g < R_14 && g != R_11;
}
static inline unsigned int jit_host_of(unsigned int g)
{
	return g == R_SP ? R_11 : g == R_9 || g == R_10 ? g + 5 : g;
}
/* Where in the frame the others are. */
static inline int32_t jit_frame_of(unsigned int g)
{
	return g == R_11 ? F_R11 : F_R14 + 8 * (int32_t)(g - R_14);
}

struct jit_buf {
	uint8_t *p;	 /* where the next byte goes, in the writable mapping */
	ptrdiff_t to_rx; /* what leads from there to where it is executed */
};

static inline void jb(struct jit_buf *b, unsigned int x)
{
	*b->p++ = (uint8_t)x;
}
static inline void j16(struct jit_buf *b, uint32_t x)
{
	memcpy(b->p, &x, 2);
	b->p += 2;
}
static inline void j32(struct jit_buf *b, uint32_t x)
{
	memcpy(b->p, &x, 4);
	b->p += 4;
}
static inline void j64(struct jit_buf *b, uint64_t x)
{
	memcpy(b->p, &x, 8);
	b->p += 8;
}
static inline void jbytes(struct jit_buf *b, const char *s, size_t n)
{
	memcpy(b->p, s, n);
	b->p += n;
}
#define JCODE(b, s) jbytes(b, s, sizeof(s) - 1)

static inline void j_rex(struct jit_buf *b, bool w, unsigned int reg, unsigned int index,
	unsigned int base, bool force)
{
	unsigned int r = w << 3 | (reg & 8) >> 1 | (index & 8) >> 2 | (base & 8) >> 3;

	if (r || force)
		jb(b, 0x40 | r);
}

/* Opcode of one or two bytes (0x0fXX), of three (0x0f38XX). */
static inline void j_opcode(struct jit_buf *b, uint32_t op)
{
	if (op > 0xffff)
		jb(b, op >> 16);
	if (op > 0xff)
		jb(b, op >> 8);
	jb(b, op);
}

static inline void j_rr(struct jit_buf *b, bool w, uint32_t op, unsigned int reg, unsigned int rm)
{
	j_rex(b, w, reg, 0, rm, false);
	j_opcode(b, op);
	jb(b, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static inline void j_modrm_mem(struct jit_buf *b, unsigned int reg, unsigned int base, int32_t disp)
{
	unsigned int mod = disp == 0 && (base & 7) != 5 ? 0 : disp == (int8_t)disp ? 0x40 : 0x80;

	jb(b, mod | (reg & 7) << 3 | (base & 7));
	if ((base & 7) == 4)
		jb(b, 0x24);
	if (mod == 0x40)
		jb(b, disp);
	else if (mod)
		j32(b, disp);
}

/* [base + index + disp]; index R_SP: none */
static inline void j_modrm_index(
	struct jit_buf *b, unsigned int reg, unsigned int base, unsigned int index, int32_t disp)
{
	unsigned int mod = disp == 0 && (base & 7) != 5 ? 0 : disp == (int8_t)disp ? 0x40 : 0x80;

	if (index == R_SP) {
		j_modrm_mem(b, reg, base, disp);
		return;
	}
	jb(b, mod | (reg & 7) << 3 | 4);
	jb(b, (index & 7) << 3 | (base & 7));
	if (mod == 0x40)
		jb(b, disp);
	else if (mod)
		j32(b, disp);
}

static inline void j_rm(
	struct jit_buf *b, bool w, uint32_t op, unsigned int reg, unsigned int base, int32_t disp)
{
	j_rex(b, w, reg, 0, base, false);
	j_opcode(b, op);
	j_modrm_mem(b, reg, base, disp);
}

/* reg, gs:[off] */
static inline void j_gs(struct jit_buf *b, bool w, uint32_t op, unsigned int reg, int32_t off)
{
	jb(b, 0x65);
	j_rex(b, w, reg, 0, 0, false);
	j_opcode(b, op);
	jb(b, 0x04 | (reg & 7) << 3);
	jb(b, 0x25);
	j32(b, off);
}

/* Byte gs:[off] and an immediate. mov for @op 0, else of opcode 80's group: 7 is cmp. */
static inline void j_gs_byte(struct jit_buf *b, unsigned int op, int32_t off, unsigned int imm)
{
	jb(b, 0x65);
	jb(b, op ? 0x80 : 0xc6);
	jb(b, 0x04 | op << 3);
	jb(b, 0x25);
	j32(b, (uint32_t)off);
	jb(b, imm);
}

/* mov dword gs:[off], imm */
static inline void j_gs_imm(struct jit_buf *b, int32_t off, uint32_t imm)
{
	JCODE(b, "\x65\xc7\x04\x25");
	j32(b, (uint32_t)off);
	j32(b, imm);
}

/* reg, gs:[index * 8 + off] */
static inline void j_gs_index(
	struct jit_buf *b, bool w, uint32_t op, unsigned int reg, unsigned int index, int32_t off)
{
	jb(b, 0x65);
	j_rex(b, w, reg, index, 0, false);
	j_opcode(b, op);
	jb(b, 0x04 | (reg & 7) << 3);
	jb(b, 0xc0 | (index & 7) << 3 | 5);
	j32(b, off);
}

#define OP_LOAD	 0x8b
#define OP_STORE 0x89
#define OP_LEA	 0x8d

static inline void j_gs_load(struct jit_buf *b, unsigned int reg, int32_t off)
{
	j_gs(b, true, OP_LOAD, reg, off);
}
static inline void j_gs_store(struct jit_buf *b, unsigned int reg, int32_t off)
{
	j_gs(b, true, OP_STORE, reg, off);
}
static inline void j_mov(struct jit_buf *b, unsigned int to, unsigned int from)
{
	j_rr(b, true, OP_LOAD, to, from);
}
/* lea to, [base + disp] of 64 bits, or 32 */
static inline void j_lea(
	struct jit_buf *b, bool w, unsigned int to, unsigned int base, int32_t disp)
{
	j_rm(b, w, OP_LEA, to, base, disp);
}
/* lea to, [base + (index << scale) + disp]; index is not R_SP */
static inline void j_lea_index(struct jit_buf *b, bool w, unsigned int to, unsigned int base,
	unsigned int index, unsigned int scale, int32_t disp)
{
	unsigned int mod = disp == 0 && (base & 7) != 5 ? 0 : disp == (int8_t)disp ? 0x40 : 0x80;

	j_rex(b, w, to, index, base, false);
	jb(b, OP_LEA);
	jb(b, mod | (to & 7) << 3 | 4);
	jb(b, scale << 6 | (index & 7) << 3 | (base & 7));
	if (mod == 0x40)
		jb(b, disp);
	else if (mod)
		j32(b, disp);
}
/* lea to, [(index << scale) + disp] */
static inline void j_lea_scaled(struct jit_buf *b, bool w, unsigned int to, unsigned int index,
	unsigned int scale, int32_t disp)
{
	j_rex(b, w, to, index, 0, false);
	jb(b, OP_LEA);
	jb(b, (to & 7) << 3 | 4);
	jb(b, scale << 6 | (index & 7) << 3 | 5);
	j32(b, disp);
}

/* A jump or call to code at @rx; op 0xe8, 0xe9, or 0x0f80 and on. */
static inline void j_to(struct jit_buf *b, uint32_t op, const uint8_t *rx)
{
	j_opcode(b, op);
	j32(b, (uint32_t)(rx - (b->p + b->to_rx + 4)));
}
/* One whose target comes later: where its 32 bits are, for j_here(). */
static inline uint8_t *j_ahead(struct jit_buf *b, uint32_t op)
{
	j_opcode(b, op);
	j32(b, 0);
	return b->p - 4;
}
static inline void j_here(struct jit_buf *b, uint8_t *ahead)
{
	int32_t d = (int32_t)(b->p - (ahead + 4));

	memcpy(ahead, &d, 4);
}
/* The same in one byte. */
static inline uint8_t *j_ahead8(struct jit_buf *b, unsigned int op)
{
	jb(b, op);
	jb(b, 0);
	return b->p - 1;
}
static inline void j_here8(struct jit_buf *b, uint8_t *ahead)
{
	*ahead = (uint8_t)(b->p - (ahead + 1));
}

/* reg, [rip + what leads to @data] */
static inline void j_data(struct jit_buf *b, uint32_t op, unsigned int reg, const void *data)
{
	j_rex(b, true, reg, 0, 0, false);
	j_opcode(b, op);
	jb(b, (reg & 7) << 3 | 5);
	j32(b, (uint32_t)((const uint8_t *)data - (b->p + b->to_rx + 4)));
}

#endif
