/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Sources: Intel SDM volume 2 (instruction pages, Opcode Map), AMD APM volumes 3 to 5.
 *
 * The rows are the macro X86_ROWS, which is expanded three times: to find where an opcode's rows
 * begin (enum), as rows, and as the index by opcode. All is constant data without an address in it.
 */
#include "x86/decode_table.h"

/* -------- operands -------- */
/* OPND(name, method, size as register, size as memory, argument). Names follow the opcode maps'
 * (E: ModRM.rm, G: ModRM.reg ...); small letters or bytes tell the size. */
/* clang-format off */
#define OPNDS(OPND) \
	OPND(None, NONE, 0, 0, 0) \
	/* general registers and memory */ \
	OPND(Eb, E, 1, 1, 0) OPND(Ew, E, 2, 2, 0) OPND(Ed, E, 4, 4, 0) OPND(Ev, E, V, V, 0) \
	OPND(Ez, E, Z, Z, 0) OPND(Ey, E, Y, Y, 0) \
	OPND(EvMw, E, V, 2, 0) OPND(EdMb, E, 4, 1, 0) OPND(EdMw, E, 4, 2, 0) OPND(EyMw, E, Y, 2, 0) \
	OPND(Mn, E, 0, 0, 0) OPND(Mb, E, 1, 1, 0) OPND(Mw, E, 2, 2, 0) OPND(Md, E, 4, 4, 0) \
	OPND(Mq, E, 8, 8, 0) OPND(Mt, E, 10, 10, 0) OPND(Mo, E, 16, 16, 0) OPND(Mx, E, X, X, 0) \
	OPND(Mv, E, V, V, 0) OPND(My, E, Y, Y, 0) OPND(Mp, E, P, P, 0) OPND(Ma, E, A, A, 0) \
	OPND(Ms, E, S, S, 0) OPND(Mc, E, C, C, 0) OPND(Mfx, E, 512, 512, 0) \
	OPND(Menv, E, ENV, ENV, 0) OPND(Msave, E, SAVE, SAVE, 0) OPND(Mqq, E, 32, 32, 0) \
	OPND(Gb, G, 1, 1, 0) OPND(Gw, G, 2, 2, 0) OPND(Gd, G, 4, 4, 0) OPND(Gv, G, V, V, 0) \
	OPND(Gy, G, Y, Y, 0) OPND(Ry, E, Y, Y, 0) OPND(Rv, E, V, V, 0) OPND(Rd, E, 4, 4, 0) \
	OPND(Zb, Z, 1, 1, 0) OPND(Zv, Z, V, V, 0) OPND(By, B, Y, Y, 0) \
	OPND(AL, GPR, 1, 1, 0) OPND(AX, GPR, 2, 2, 0) OPND(rAX, GPR, V, V, 0) OPND(eAX, GPR, Z, Z, 0) \
	OPND(CL, GPR, 1, 1, 1) OPND(DX, GPR, 2, 2, 2) OPND(rDX, GPR, Y, Y, 2) \
	/* immediates and addresses in the instruction */ \
	OPND(Ib, IMM, 1, 1, 0) OPND(Iw, IMM, 2, 2, 0) OPND(Iv, IMM, V, V, 0) OPND(Ib2, IMM2, 1, 1, 0) \
	OPND(SIbb, SIMM, 1, 1, 0) OPND(SIb, SIMM, V, 1, 0) OPND(SIz, SIMM, V, Z, 0) \
	OPND(One, ONE, 1, 1, 0) OPND(Jb, REL, V, 1, 0) OPND(Jz, REL, V, Z, 0) OPND(Ap, FAR, P, P, 0) \
	OPND(Ob, MOFFS, 1, 1, 0) OPND(Ov, MOFFS, V, V, 0) \
	/* strings: [rSI], ES:[rDI]; XLAT's table; MASKMOVQ's destination */ \
	OPND(Xb, SRC, 1, 1, 6) OPND(Xv, SRC, V, V, 6) OPND(Xz, SRC, Z, Z, 6) \
	OPND(Yb, DST, 1, 1, 7) OPND(Yv, DST, V, V, 7) OPND(Yz, DST, Z, Z, 7) \
	OPND(AtBXb, AT, 1, 1, 3) OPND(AtDIq, AT, 8, 8, 7) OPND(AtDIo, AT, 16, 16, 7) \
	/* segment, control, debug registers */ \
	OPND(Sw, SREG, 2, 2, 0) OPND(ES, SEG, 2, 2, 0) OPND(CS, SEG, 2, 2, 1) OPND(SS, SEG, 2, 2, 2) \
	OPND(DS, SEG, 2, 2, 3) OPND(FS, SEG, 2, 2, 4) OPND(GS, SEG, 2, 2, 5) \
	OPND(Cy, CR, V, V, 0) OPND(Dy, DR, V, V, 0) \
	/* x87 and MMX */ \
	OPND(ST, ST0, 10, 10, 0) OPND(STi, ST, 10, 10, 0) \
	OPND(Pq, P, 8, 8, 0) OPND(Qq, Q, 8, 8, 0) OPND(Qd, Q, 8, 4, 0) \
	/* vectors: a register is 16 or 32 bytes, memory what is read of it */ \
	OPND(Vo, V, 16, 16, 0) OPND(Vx, V, X, X, 0) OPND(Vqq, V, 32, 32, 0) \
	OPND(Ho, H, 16, 16, 0) OPND(Hx, H, X, X, 0) OPND(Hqq, H, 32, 32, 0) \
	OPND(Lo, L, 16, 16, 0) OPND(Lx, L, X, X, 0) OPND(XMM0, VEC, 16, 16, 0) \
	OPND(Wo, W, 16, 16, 0) OPND(Wx, W, X, X, 0) OPND(Wqq, W, 32, 32, 0) OPND(Wb, W, 16, 1, 0) \
	OPND(Ww, W, 16, 2, 0) OPND(Wd, W, 16, 4, 0) OPND(Wq, W, 16, 8, 0) OPND(Wxh, W, 16, XH, 0) \
	OPND(Wxq, W, 16, XQ, 0) OPND(Wxe, W, 16, XE, 0) OPND(Wqx, W, X, XH, 0)

enum {
#define OPND(name, method, reg, mem, arg) name,
	OPNDS(OPND)
#undef OPND
};

const struct x86_opnd x86_opnds[] = {
#define OPND(name, method, reg, mem, arg) { OPM_##method, SZ_##reg, SZ_##mem, arg },
	OPNDS(OPND)
#undef OPND
};

const char x86_opnd_names[][6] = {
#define OPND(name, method, reg, mem, arg) #name,
	OPNDS(OPND)
#undef OPND
};

/* Access, added to an operand's name. */
#define R (X86_ACC_R << 8)
#define W (X86_ACC_W << 8)
#define RW (R + W)

/* -------- conditions -------- */
#define ON(mask, value) ((uint64_t)(mask) << 32 | (value))
#define ANY   0
#define NP    ON(KEY_PP, 0) /* no 66, F2, F3 */
#define P66   ON(KEY_PP, 1 << KEY_PP_SHIFT)
#define PF3   ON(KEY_PP, 2 << KEY_PP_SHIFT)
#define PF2   ON(KEY_PP, 3 << KEY_PP_SHIFT)
#define NREP  ON(2 << KEY_PP_SHIFT, 0) /* no F2, F3; 66 does not matter */
#define M64   ON(KEY_CODE64, KEY_CODE64)
#define M32   ON(KEY_CODE64, 0) /* 16-bit too */
#define MEM   ON(KEY_MOD3, 0)
#define REG   ON(KEY_MOD3, KEY_MOD3)
#define N(n)  ON(0x38, (n) << 3) /* ModRM.reg, the maps' /n */
#define RM(n) ON(0x07, n)
#define RR(b) ON(0xff | KEY_MOD3, 0x##b | KEY_MOD3) /* this ModRM byte */
#define L0    ON(KEY_L, 0)
#define L1    ON(KEY_L, KEY_L)
#define W0    ON(KEY_W, 0)
#define W1    ON(KEY_W, KEY_W)
#define Q0    ON(KEY_W64, 0)
#define Q1    ON(KEY_W64, KEY_W64)
#define NOV   ON(KEY_VVVV, 0) /* vvvv must be 1111 */
#define NB    ON(KEY_REX_B, 0)

/* -------- flags -------- */
#define LOCK   X86_I_LOCK_OK
#define ALIGN  X86_I_ALIGN
#define FPX    X86_I_FPEXC
#define BR     X86_I_BRANCH
#define STRNG  X86_I_STRING
#define D64    ROW_D64
#define F64    ROW_F64
#define NATIVE ROW_NATIVE
#define NO66   ROW_NO66

/* -------- rows -------- */
/* OP(map, first opcode, last opcode, rows), OPM: with ModRM. ROW(condition, op, class, feature, flags,
 * operands). */
#define I(on, op, flags, ...) ROW(on, op, INT, NONE, flags, __VA_ARGS__)
#define IF(on, op, feature, flags, ...) ROW(on, op, INT, feature, flags, __VA_ARGS__)
#define GPR(on, op, feature, flags, ...) ROW(on, op, GPR, feature, flags, __VA_ARGS__)
#define STATE(on, op, feature, flags, ...) ROW(on, op, FPST, feature, flags, __VA_ARGS__)

/* Eight opcodes of one arithmetic operation. */
#define ALU(op, lock, a, b, c, d, e, f) \
	OPM(0, a, a, I(ANY, op, lock, Eb + ALU_##op, Gb + R)) \
	OPM(0, b, b, I(ANY, op, lock, Ev + ALU_##op, Gv + R)) \
	OPM(0, c, c, I(ANY, op, 0, Gb + ALU_##op, Eb + R)) \
	OPM(0, d, d, I(ANY, op, 0, Gv + ALU_##op, Ev + R)) \
	OP(0, e, e, I(ANY, op, 0, AL + ALU_##op, SIbb + R)) \
	OP(0, f, f, I(ANY, op, 0, rAX + ALU_##op, SIz + R))
#define ALU_ADD RW
#define ALU_OR  RW
#define ALU_ADC RW
#define ALU_SBB RW
#define ALU_AND RW
#define ALU_SUB RW
#define ALU_XOR RW
#define ALU_CMP R
#define GROUP1(e, i) \
	I(N(0), ADD, LOCK, e + RW, i + R) I(N(1), OR, LOCK, e + RW, i + R) \
	I(N(2), ADC, LOCK, e + RW, i + R) I(N(3), SBB, LOCK, e + RW, i + R) \
	I(N(4), AND, LOCK, e + RW, i + R) I(N(5), SUB, LOCK, e + RW, i + R) \
	I(N(6), XOR, LOCK, e + RW, i + R) I(N(7), CMP, 0, e + R, i + R)
/* /6 is SHL's alias. */
#define GROUP2(e, i) \
	I(N(0), ROL, 0, e + RW, i + R) I(N(1), ROR, 0, e + RW, i + R) \
	I(N(2), RCL, 0, e + RW, i + R) I(N(3), RCR, 0, e + RW, i + R) \
	I(N(4), SHL, 0, e + RW, i + R) I(N(5), SHR, 0, e + RW, i + R) \
	I(N(6), SHL, 0, e + RW, i + R) I(N(7), SAR, 0, e + RW, i + R)
/* /1 is TEST's alias. */
#define GROUP3(e, i) \
	I(N(0), TEST, 0, e + R, i + R) I(N(1), TEST, 0, e + R, i + R) \
	I(N(2), NOT, LOCK, e + RW) I(N(3), NEG, LOCK, e + RW) I(N(4), MUL, 0, e + R) \
	I(N(5), IMUL1, 0, e + R) I(N(6), DIV, 0, e + R) I(N(7), IDIV, 0, e + R)

/* One byte. */
#define ROWS_0 \
	ALU(ADD, LOCK, 00, 01, 02, 03, 04, 05) ALU(OR, LOCK, 08, 09, 0a, 0b, 0c, 0d) \
	ALU(ADC, LOCK, 10, 11, 12, 13, 14, 15) ALU(SBB, LOCK, 18, 19, 1a, 1b, 1c, 1d) \
	ALU(AND, LOCK, 20, 21, 22, 23, 24, 25) ALU(SUB, LOCK, 28, 29, 2a, 2b, 2c, 2d) \
	ALU(XOR, LOCK, 30, 31, 32, 33, 34, 35) ALU(CMP, 0, 38, 39, 3a, 3b, 3c, 3d) \
	OP(0, 06, 06, I(M32, PUSH_SEG, 0, ES + R)) OP(0, 07, 07, I(M32, POP_SEG, 0, ES + W)) \
	OP(0, 0e, 0e, I(M32, PUSH_SEG, 0, CS + R)) \
	OP(0, 16, 16, I(M32, PUSH_SEG, 0, SS + R)) OP(0, 17, 17, I(M32, POP_SEG, 0, SS + W)) \
	OP(0, 1e, 1e, I(M32, PUSH_SEG, 0, DS + R)) OP(0, 1f, 1f, I(M32, POP_SEG, 0, DS + W)) \
	OP(0, 27, 27, I(M32, DAA, 0)) OP(0, 2f, 2f, I(M32, DAS, 0)) \
	OP(0, 37, 37, I(M32, AAA, 0)) OP(0, 3f, 3f, I(M32, AAS, 0)) \
	OP(0, 40, 47, I(M32, INC, 0, Zv + RW)) OP(0, 48, 4f, I(M32, DEC, 0, Zv + RW)) \
	OP(0, 50, 57, I(ANY, PUSH, D64, Zv + R)) OP(0, 58, 5f, I(ANY, POP, D64, Zv + W)) \
	OP(0, 60, 60, I(M32, PUSHA, 0)) OP(0, 61, 61, I(M32, POPA, 0)) \
	OPM(0, 62, 62, I(M32 | MEM, BOUND, 0, Gv + R, Ma + R)) \
	OPM(0, 63, 63, I(M32, ARPL, 0, Ew + RW, Gw + R) I(M64, MOVSXD, 0, Gv + W, Ez + R)) \
	OP(0, 68, 68, I(ANY, PUSH, D64, SIz + R)) OP(0, 6a, 6a, I(ANY, PUSH, D64, SIb + R)) \
	OPM(0, 69, 69, I(ANY, IMUL, 0, Gv + W, Ev + R, SIz + R)) \
	OPM(0, 6b, 6b, I(ANY, IMUL, 0, Gv + W, Ev + R, SIb + R)) \
	OP(0, 6c, 6c, I(ANY, INS, STRNG, Yb + W, DX + R)) \
	OP(0, 6d, 6d, I(ANY, INS, STRNG, Yz + W, DX + R)) \
	OP(0, 6e, 6e, I(ANY, OUTS, STRNG, DX + R, Xb + R)) \
	OP(0, 6f, 6f, I(ANY, OUTS, STRNG, DX + R, Xz + R)) \
	OP(0, 70, 7f, I(ANY, JCC, D64 | BR, Jb + R)) \
	OPM(0, 80, 80, GROUP1(Eb, SIbb)) OPM(0, 81, 81, GROUP1(Ev, SIz)) OPM(0, 83, 83, GROUP1(Ev, SIb)) \
	OPM(0, 82, 82, \
		I(M32 | N(0), ADD, LOCK, Eb + RW, SIbb + R) I(M32 | N(1), OR, LOCK, Eb + RW, SIbb + R) \
		I(M32 | N(2), ADC, LOCK, Eb + RW, SIbb + R) I(M32 | N(3), SBB, LOCK, Eb + RW, SIbb + R) \
		I(M32 | N(4), AND, LOCK, Eb + RW, SIbb + R) I(M32 | N(5), SUB, LOCK, Eb + RW, SIbb + R) \
		I(M32 | N(6), XOR, LOCK, Eb + RW, SIbb + R) I(M32 | N(7), CMP, 0, Eb + R, SIbb + R)) \
	OPM(0, 84, 84, I(ANY, TEST, 0, Eb + R, Gb + R)) OPM(0, 85, 85, I(ANY, TEST, 0, Ev + R, Gv + R)) \
	OPM(0, 86, 86, I(ANY, XCHG, LOCK, Eb + RW, Gb + RW)) \
	OPM(0, 87, 87, I(ANY, XCHG, LOCK, Ev + RW, Gv + RW)) \
	OPM(0, 88, 88, I(ANY, MOV, 0, Eb + W, Gb + R)) OPM(0, 89, 89, I(ANY, MOV, 0, Ev + W, Gv + R)) \
	OPM(0, 8a, 8a, I(ANY, MOV, 0, Gb + W, Eb + R)) OPM(0, 8b, 8b, I(ANY, MOV, 0, Gv + W, Ev + R)) \
	OPM(0, 8c, 8c, I(ANY, MOV_FROM_SEG, 0, EvMw + W, Sw + R)) \
	OPM(0, 8d, 8d, I(MEM, LEA, 0, Gv + W, Mn)) \
	OPM(0, 8e, 8e, I(ANY, MOV_TO_SEG, 0, Sw + W, Ew + R)) \
	OPM(0, 8f, 8f, I(N(0), POP, D64, Ev + W)) \
	OP(0, 90, 90, I(PF3 | NB, PAUSE, 0) I(NB, NOP, 0) I(ANY, XCHG, 0, Zv + RW, rAX + RW)) \
	OP(0, 91, 97, I(ANY, XCHG, 0, Zv + RW, rAX + RW)) \
	OP(0, 98, 98, I(ANY, CBW, 0)) OP(0, 99, 99, I(ANY, CWD, 0)) \
	OP(0, 9a, 9a, I(M32, CALLF, BR, Ap + R)) \
	OP(0, 9b, 9b, ROW(ANY, FWAIT, X87, NONE, X86_I_X87_CTRL)) \
	OP(0, 9c, 9c, I(ANY, PUSHF, D64)) OP(0, 9d, 9d, I(ANY, POPF, D64)) \
	OP(0, 9e, 9e, I(ANY, SAHF, 0)) OP(0, 9f, 9f, I(ANY, LAHF, 0)) \
	OP(0, a0, a0, I(ANY, MOV, 0, AL + W, Ob + R)) OP(0, a1, a1, I(ANY, MOV, 0, rAX + W, Ov + R)) \
	OP(0, a2, a2, I(ANY, MOV, 0, Ob + W, AL + R)) OP(0, a3, a3, I(ANY, MOV, 0, Ov + W, rAX + R)) \
	OP(0, a4, a4, I(ANY, MOVS, STRNG, Yb + W, Xb + R)) \
	OP(0, a5, a5, I(ANY, MOVS, STRNG, Yv + W, Xv + R)) \
	OP(0, a6, a6, I(ANY, CMPS, STRNG, Xb + R, Yb + R)) \
	OP(0, a7, a7, I(ANY, CMPS, STRNG, Xv + R, Yv + R)) \
	OP(0, a8, a8, I(ANY, TEST, 0, AL + R, SIbb + R)) OP(0, a9, a9, I(ANY, TEST, 0, rAX + R, SIz + R)) \
	OP(0, aa, aa, I(ANY, STOS, STRNG, Yb + W, AL + R)) \
	OP(0, ab, ab, I(ANY, STOS, STRNG, Yv + W, rAX + R)) \
	OP(0, ac, ac, I(ANY, LODS, STRNG, AL + W, Xb + R)) \
	OP(0, ad, ad, I(ANY, LODS, STRNG, rAX + W, Xv + R)) \
	OP(0, ae, ae, I(ANY, SCAS, STRNG, AL + R, Yb + R)) \
	OP(0, af, af, I(ANY, SCAS, STRNG, rAX + R, Yv + R)) \
	OP(0, b0, b7, I(ANY, MOV, 0, Zb + W, Ib + R)) OP(0, b8, bf, I(ANY, MOV, 0, Zv + W, Iv + R)) \
	OPM(0, c0, c0, GROUP2(Eb, Ib)) OPM(0, c1, c1, GROUP2(Ev, Ib)) \
	OP(0, c2, c2, I(ANY, RET, D64 | BR, Iw + R)) OP(0, c3, c3, I(ANY, RET, D64 | BR)) \
	OPM(0, c4, c4, I(M32 | MEM, LES, 0, Gv + W, Mp + R)) \
	OPM(0, c5, c5, I(M32 | MEM, LDS, 0, Gv + W, Mp + R)) \
	OPM(0, c6, c6, I(N(0), MOV, 0, Eb + W, Ib + R)) OPM(0, c7, c7, I(N(0), MOV, 0, Ev + W, SIz + R)) \
	OP(0, c8, c8, I(ANY, ENTER, D64, Iw + R, Ib2 + R)) OP(0, c9, c9, I(ANY, LEAVE, D64)) \
	OP(0, ca, ca, I(ANY, RETF, BR, Iw + R)) OP(0, cb, cb, I(ANY, RETF, BR)) \
	OP(0, cc, cc, I(ANY, INT3, BR)) OP(0, cd, cd, I(ANY, INT, BR, Ib + R)) \
	OP(0, ce, ce, I(M32, INTO, BR)) OP(0, cf, cf, I(ANY, IRET, BR)) \
	OPM(0, d0, d0, GROUP2(Eb, One)) OPM(0, d1, d1, GROUP2(Ev, One)) \
	OPM(0, d2, d2, GROUP2(Eb, CL)) OPM(0, d3, d3, GROUP2(Ev, CL)) \
	OP(0, d4, d4, I(M32, AAM, 0, Ib + R)) OP(0, d5, d5, I(M32, AAD, 0, Ib + R)) \
	OP(0, d6, d6, I(M32, SALC, 0)) OP(0, d7, d7, I(ANY, XLAT, 0, AL + RW, AtBXb + R)) \
	OP(0, e0, e0, I(ANY, LOOPNE, D64 | BR, Jb + R)) OP(0, e1, e1, I(ANY, LOOPE, D64 | BR, Jb + R)) \
	OP(0, e2, e2, I(ANY, LOOP, D64 | BR, Jb + R)) OP(0, e3, e3, I(ANY, JCXZ, D64 | BR, Jb + R)) \
	OP(0, e4, e4, I(ANY, IN, 0, AL + W, Ib + R)) OP(0, e5, e5, I(ANY, IN, 0, eAX + W, Ib + R)) \
	OP(0, e6, e6, I(ANY, OUT, 0, Ib + R, AL + R)) OP(0, e7, e7, I(ANY, OUT, 0, Ib + R, eAX + R)) \
	OP(0, e8, e8, I(ANY, CALL, D64 | BR, Jz + R)) OP(0, e9, e9, I(ANY, JMP, D64 | BR, Jz + R)) \
	OP(0, ea, ea, I(M32, JMPF, BR, Ap + R)) OP(0, eb, eb, I(ANY, JMP, D64 | BR, Jb + R)) \
	OP(0, ec, ec, I(ANY, IN, 0, AL + W, DX + R)) OP(0, ed, ed, I(ANY, IN, 0, eAX + W, DX + R)) \
	OP(0, ee, ee, I(ANY, OUT, 0, DX + R, AL + R)) OP(0, ef, ef, I(ANY, OUT, 0, DX + R, eAX + R)) \
	OP(0, f1, f1, I(ANY, INT1, BR)) OP(0, f4, f4, I(ANY, HLT, BR)) OP(0, f5, f5, I(ANY, CMC, 0)) \
	OPM(0, f6, f6, GROUP3(Eb, SIbb)) OPM(0, f7, f7, GROUP3(Ev, SIz)) \
	OP(0, f8, f8, I(ANY, CLC, 0)) OP(0, f9, f9, I(ANY, STC, 0)) OP(0, fa, fa, I(ANY, CLI, 0)) \
	OP(0, fb, fb, I(ANY, STI, 0)) OP(0, fc, fc, I(ANY, CLD, 0)) OP(0, fd, fd, I(ANY, STD, 0)) \
	OPM(0, fe, fe, I(N(0), INC, LOCK, Eb + RW) I(N(1), DEC, LOCK, Eb + RW)) \
	OPM(0, ff, ff, I(N(0), INC, LOCK, Ev + RW) I(N(1), DEC, LOCK, Ev + RW) \
		I(N(2), CALL, D64 | BR, Ev + R) I(N(3) | MEM, CALLF, BR, Mp + R) \
		I(N(4), JMP, D64 | BR, Ev + R) I(N(5) | MEM, JMPF, BR, Mp + R) I(N(6), PUSH, D64, Ev + R))

/* 0F, without vectors. */
#define ROWS_1 \
	OPM(1, 00, 00, I(N(0), SLDT, 0, EvMw + W) I(N(1), STR, 0, EvMw + W) I(N(2), LLDT, 0, Ew + R) \
		I(N(3), LTR, 0, Ew + R) I(N(4), VERR, 0, Ew + R) I(N(5), VERW, 0, Ew + R)) \
	OPM(1, 01, 01, I(N(0) | MEM, SGDT, F64, Ms + W) I(N(1) | MEM, SIDT, F64, Ms + W) \
		I(N(2) | MEM, LGDT, F64, Ms + R) I(N(3) | MEM, LIDT, F64, Ms + R) \
		I(N(4), SMSW, 0, EvMw + W) I(N(6), LMSW, 0, Ew + R) I(N(7) | MEM, INVLPG, 0, Mb) \
		I(NP | RR(c1), VMCALL, 0) I(RR(d9), VMMCALL, 0) \
		IF(NP | RR(c8), MONITOR, MONITOR, 0) IF(NP | RR(c9), MWAIT, MONITOR, 0) \
		IF(NP | RR(ca), CLAC, SMAP, 0) IF(NP | RR(cb), STAC, SMAP, 0) \
		IF(NP | RR(d0), XGETBV, XSAVE, 0) IF(NP | RR(d1), XSETBV, XSAVE, 0) \
		IF(NP | RR(ee), RDPKRU, PKU, 0) IF(NP | RR(ef), WRPKRU, PKU, 0) \
		I(M64 | RR(f8), SWAPGS, 0) IF(RR(f9), RDTSCP, RDTSCP, 0)) \
	OPM(1, 02, 02, I(ANY, LAR, 0, Gv + W, EvMw + R)) OPM(1, 03, 03, I(ANY, LSL, 0, Gv + W, EvMw + R)) \
	OP(1, 05, 05, IF(ANY, SYSCALL, SYSCALL, BR)) OP(1, 06, 06, I(ANY, CLTS, 0)) \
	OP(1, 07, 07, IF(ANY, SYSRET, SYSCALL, BR)) OP(1, 08, 08, I(ANY, INVD, 0)) \
	OP(1, 09, 09, I(ANY, WBINVD, 0)) OP(1, 0b, 0b, I(ANY, UD2, 0)) \
	OPM(1, 0d, 0d, I(MEM, PREFETCH, 0, Mb)) \
	OPM(1, 18, 18, I(N(0) | MEM, PREFETCH, 0, Mb) I(N(1) | MEM, PREFETCH, 0, Mb) \
		I(N(2) | MEM, PREFETCH, 0, Mb) I(N(3) | MEM, PREFETCH, 0, Mb) I(ANY, NOP, 0, Ev)) \
	OPM(1, 19, 1f, I(ANY, NOP, 0, Ev)) \
	OPM(1, 20, 20, I(ANY, MOV_FROM_CR, NATIVE | ROW_MOD3 | ROW_CR8, Rv + W, Cy + R)) \
	OPM(1, 21, 21, I(ANY, MOV_FROM_DR, NATIVE | ROW_MOD3, Rv + W, Dy + R)) \
	OPM(1, 22, 22, I(ANY, MOV_TO_CR, NATIVE | ROW_MOD3 | ROW_CR8, Cy + W, Rv + R)) \
	OPM(1, 23, 23, I(ANY, MOV_TO_DR, NATIVE | ROW_MOD3, Dy + W, Rv + R)) \
	OP(1, 30, 30, I(ANY, WRMSR, 0)) OP(1, 31, 31, I(ANY, RDTSC, 0)) OP(1, 32, 32, I(ANY, RDMSR, 0)) \
	OP(1, 33, 33, I(ANY, RDPMC, 0)) OP(1, 34, 34, I(ANY, SYSENTER, BR)) \
	OP(1, 35, 35, I(ANY, SYSEXIT, BR)) \
	OPM(1, 40, 4f, I(ANY, CMOVCC, 0, Gv + RW, Ev + R)) \
	OP(1, 80, 8f, I(ANY, JCC, D64 | BR, Jz + R)) OPM(1, 90, 9f, I(ANY, SETCC, 0, Eb + W)) \
	OP(1, a0, a0, I(ANY, PUSH_SEG, D64, FS + R)) OP(1, a1, a1, I(ANY, POP_SEG, D64, FS + W)) \
	OP(1, a2, a2, I(ANY, CPUID, 0)) OPM(1, a3, a3, I(ANY, BT, 0, Ev + R, Gv + R)) \
	OPM(1, a4, a4, I(ANY, SHLD, 0, Ev + RW, Gv + R, Ib + R)) \
	OPM(1, a5, a5, I(ANY, SHLD, 0, Ev + RW, Gv + R, CL + R)) \
	OP(1, a8, a8, I(ANY, PUSH_SEG, D64, GS + R)) OP(1, a9, a9, I(ANY, POP_SEG, D64, GS + W)) \
	OP(1, aa, aa, I(ANY, RSM, BR)) OPM(1, ab, ab, I(ANY, BTS, LOCK, Ev + RW, Gv + R)) \
	OPM(1, ac, ac, I(ANY, SHRD, 0, Ev + RW, Gv + R, Ib + R)) \
	OPM(1, ad, ad, I(ANY, SHRD, 0, Ev + RW, Gv + R, CL + R)) \
	OPM(1, ae, ae, STATE(NP | MEM | N(0), FXSAVE, FXSR, 0, Mfx + W) \
		STATE(NP | MEM | N(1), FXRSTOR, FXSR, 0, Mfx + R) \
		STATE(NP | MEM | N(2), LDMXCSR, SSE, 0, Md + R) STATE(NP | MEM | N(3), STMXCSR, SSE, 0, Md + W) \
		STATE(NP | MEM | N(4), XSAVE, XSAVE, 0, Mn + RW) STATE(NP | MEM | N(5), XRSTOR, XSAVE, 0, Mn + R) \
		STATE(NP | MEM | N(6), XSAVEOPT, XSAVEOPT, 0, Mn + RW) \
		I(NP | MEM | N(7), CLFLUSH, 0, Mb) IF(P66 | MEM | N(7), CLFLUSHOPT, CLFLUSHOPT, 0, Mb) \
		IF(P66 | MEM | N(6), CLWB, CLWB, 0, Mb) I(NP | REG | N(5), LFENCE, 0) \
		I(NP | REG | N(6), MFENCE, 0) I(NP | REG | N(7), SFENCE, 0) \
		IF(M64 | PF3 | REG | N(0), RDFSBASE, FSGSBASE, NO66, Ry + W) \
		IF(M64 | PF3 | REG | N(1), RDGSBASE, FSGSBASE, NO66, Ry + W) \
		IF(M64 | PF3 | REG | N(2), WRFSBASE, FSGSBASE, NO66, Ry + R) \
		IF(M64 | PF3 | REG | N(3), WRGSBASE, FSGSBASE, NO66, Ry + R)) \
	OPM(1, af, af, I(ANY, IMUL, 0, Gv + RW, Ev + R)) \
	OPM(1, b0, b0, I(ANY, CMPXCHG, LOCK, Eb + RW, Gb + R)) \
	OPM(1, b1, b1, I(ANY, CMPXCHG, LOCK, Ev + RW, Gv + R)) \
	OPM(1, b2, b2, I(MEM, LSS, 0, Gv + W, Mp + R)) OPM(1, b3, b3, I(ANY, BTR, LOCK, Ev + RW, Gv + R)) \
	OPM(1, b4, b4, I(MEM, LFS, 0, Gv + W, Mp + R)) OPM(1, b5, b5, I(MEM, LGS, 0, Gv + W, Mp + R)) \
	OPM(1, b6, b6, I(ANY, MOVZX, 0, Gv + W, Eb + R)) OPM(1, b7, b7, I(ANY, MOVZX, 0, Gv + W, Ew + R)) \
	OPM(1, b8, b8, GPR(PF3, POPCNT, POPCNT, 0, Gv + W, Ev + R)) \
	OPM(1, b9, b9, I(ANY, UD1, 0, Gv, Ev)) \
	OPM(1, ba, ba, I(N(4), BT, 0, Ev + R, Ib + R) I(N(5), BTS, LOCK, Ev + RW, Ib + R) \
		I(N(6), BTR, LOCK, Ev + RW, Ib + R) I(N(7), BTC, LOCK, Ev + RW, Ib + R)) \
	OPM(1, bb, bb, I(ANY, BTC, LOCK, Ev + RW, Gv + R)) \
	OPM(1, bc, bc, GPR(PF3, TZCNT, BMI1, 0, Gv + W, Ev + R) I(ANY, BSF, 0, Gv + RW, Ev + R)) \
	OPM(1, bd, bd, GPR(PF3, LZCNT, LZCNT, 0, Gv + W, Ev + R) I(ANY, BSR, 0, Gv + RW, Ev + R)) \
	OPM(1, be, be, I(ANY, MOVSX, 0, Gv + W, Eb + R)) OPM(1, bf, bf, I(ANY, MOVSX, 0, Gv + W, Ew + R)) \
	OPM(1, c0, c0, I(ANY, XADD, LOCK, Eb + RW, Gb + RW)) \
	OPM(1, c1, c1, I(ANY, XADD, LOCK, Ev + RW, Gv + RW)) \
	OPM(1, c3, c3, IF(NP | MEM, MOVNTI, SSE2, 0, My + W, Gy + R)) \
	OPM(1, c7, c7, IF(Q0 | MEM | N(1), CMPXCHG8B, CX8, LOCK, Mc + RW) \
		IF(Q1 | MEM | N(1), CMPXCHG16B, CX16, LOCK | ALIGN, Mc + RW) \
		STATE(NP | MEM | N(3), XRSTORS, XSAVES, 0, Mn + R) STATE(NP | MEM | N(4), XSAVEC, XSAVEC, 0, Mn + W) \
		STATE(NP | MEM | N(5), XSAVES, XSAVES, 0, Mn + RW) \
		IF(NREP | REG | N(6), RDRAND, RDRAND, 0, Rv + W) \
		IF(NREP | REG | N(7), RDSEED, RDSEED, 0, Rv + W) \
		IF(PF3 | REG | N(7), RDPID, RDPID, NATIVE, Rv + W)) \
	OP(1, c8, cf, I(ANY, BSWAP, 0, Zv + RW)) OPM(1, ff, ff, I(ANY, UD0, 0, Gv, Ev))

/* 0F 38 and VEX, general registers. */
#define ROWS_2 \
	OPM(2, 82, 82, IF(P66 | MEM, INVPCID, INVPCID, NATIVE, Gv + R, Mo + R)) \
	OPM(2, f0, f0, GPR(NREP | MEM, MOVBE, MOVBE, 0, Gv + W, Mv + R) \
		GPR(PF2, CRC32, SSE4_2, 0, Gy + RW, Eb + R)) \
	OPM(2, f1, f1, GPR(NREP | MEM, MOVBE, MOVBE, 0, Mv + W, Gv + R) \
		GPR(PF2, CRC32, SSE4_2, 0, Gy + RW, Ev + R)) \
	OPM(2, f6, f6, GPR(P66, ADCX, ADX, NO66, Gy + RW, Ey + R) GPR(PF3, ADOX, ADX, NO66, Gy + RW, Ey + R)) \
	OPM(V2, f2, f2, GPR(NP | L0, ANDN, BMI1, NO66, Gy + W, By + R, Ey + R)) \
	OPM(V2, f3, f3, GPR(NP | L0 | N(1), BLSR, BMI1, NO66, By + W, Ey + R) \
		GPR(NP | L0 | N(2), BLSMSK, BMI1, NO66, By + W, Ey + R) \
		GPR(NP | L0 | N(3), BLSI, BMI1, NO66, By + W, Ey + R)) \
	OPM(V2, f5, f5, GPR(NP | L0, BZHI, BMI2, NO66, Gy + W, Ey + R, By + R) \
		GPR(PF3 | L0, PEXT, BMI2, NO66, Gy + W, By + R, Ey + R) \
		GPR(PF2 | L0, PDEP, BMI2, NO66, Gy + W, By + R, Ey + R)) \
	OPM(V2, f6, f6, GPR(PF2 | L0, MULX, BMI2, NO66, Gy + W, By + W, Ey + R, rDX + R)) \
	OPM(V2, f7, f7, GPR(NP | L0, BEXTR, BMI1, NO66, Gy + W, Ey + R, By + R) \
		GPR(P66 | L0, SHLX, BMI2, NO66, Gy + W, Ey + R, By + R) \
		GPR(PF3 | L0, SARX, BMI2, NO66, Gy + W, Ey + R, By + R) \
		GPR(PF2 | L0, SHRX, BMI2, NO66, Gy + W, Ey + R, By + R)) \
	OPM(V3, f0, f0, GPR(PF2 | L0 | NOV, RORX, BMI2, NO66, Gy + W, Ey + R, Ib + R))

/* clang-format on */
#include "x86/decode_rows_vec.h"
#define X86_ROWS ROWS_0 ROWS_1 ROWS_2 ROWS_X87 ROWS_V1 ROWS_V2 ROWS_V3

/* -------- the three expansions -------- */
#define OPM(map, lo, hi, ...) OP_(map, lo, hi, 1, __VA_ARGS__)
#define OP(map, lo, hi, ...)  OP_(map, lo, hi, 0, __VA_ARGS__)

enum {
#define ROW(...) 0,
#define OP_(map, lo, hi, modrm, ...) \
	FIRST_##map##_##lo,          \
		LAST_##map##_##lo = FIRST_##map##_##lo + sizeof((char[]){ __VA_ARGS__ }) - 1,
	X86_ROWS
#undef OP_
#undef ROW
		ROWS
};

const struct x86_row x86_table[] = {
#define ROW(on, op, cls, feature, flags, ...) \
	{ on, flags, X86_OP_##op, X86_CLASS_##cls, X86_FEAT_##feature, { __VA_ARGS__ } },
#define OP_(map, lo, hi, modrm, ...) __VA_ARGS__
	X86_ROWS
#undef OP_
#undef ROW
};

const unsigned int x86_n_rows = ROWS;

/* Where a map's opcodes begin in the index. */
#define PLACE_0	 0
#define PLACE_1	 0x100
#define PLACE_2	 0x200
#define PLACE_3	 0x300
#define PLACE_V1 0x500
#define PLACE_V2 0x600
#define PLACE_V3 0x700
#define PLACE_D8 X86_X87_PLACE
#define PLACE_D9 (X86_X87_PLACE + 0x80)
#define PLACE_DA (X86_X87_PLACE + 0x100)
#define PLACE_DB (X86_X87_PLACE + 0x180)
#define PLACE_DC (X86_X87_PLACE + 0x200)
#define PLACE_DD (X86_X87_PLACE + 0x280)
#define PLACE_DE (X86_X87_PLACE + 0x300)
#define PLACE_DF (X86_X87_PLACE + 0x380)

const struct x86_opcode x86_opcodes[X86_PLACES] = {
#define OP_(map, lo, hi, modrm, ...)                \
	[PLACE_##map + 0x##lo... PLACE_##map + 0x## \
		hi] = { FIRST_##map##_##lo, LAST_##map##_##lo - FIRST_##map##_##lo + 1, modrm },
	X86_ROWS
#undef OP_
};
