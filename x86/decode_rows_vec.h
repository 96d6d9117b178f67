/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * decode_rows_vec - rows of x87, MMX, SSE and AVX: macros ROWS_X87 and ROWS_V1 to ROWS_V3 by map, legacy
 * and VEX. Only for decode_table.c, which explains the columns.
 */
/* clang-format off */
#define MMX(on, op, feature, flags, ...) ROW(on, op, MMX, feature, NO66 | flags, __VA_ARGS__)
#define SSE(on, op, feature, flags, ...) ROW(on, op, SSE, feature, NO66 | flags, __VA_ARGS__)
#define AVX(on, op, feature, flags, ...) ROW(on, op, AVX, feature, NO66 | flags, __VA_ARGS__)
/* Integer: AVX on 128 bits, AVX2 on 256. */
#define AVXI(on, op, flags, ...) \
	AVX(on | L0, op, AVX, flags, __VA_ARGS__) AVX(on | L1, op, AVX2, flags, __VA_ARGS__)

/* -------- x87 -------- */
#define X87(op, flags, ...) ROW(ANY, op, X87, NONE, flags, __VA_ARGS__)
#define CTRL   X86_I_X87_CTRL
#define NOWAIT (X86_I_X87_CTRL | X86_I_X87_NOWAIT)
#define X87_MEM(map, i, m) \
	OPM(map, 00, 00, X87(F##i##ADD, 0, m + R)) OPM(map, 01, 01, X87(F##i##MUL, 0, m + R)) \
	OPM(map, 02, 02, X87(F##i##COM, 0, m + R)) OPM(map, 03, 03, X87(F##i##COMP, 0, m + R)) \
	OPM(map, 04, 04, X87(F##i##SUB, 0, m + R)) OPM(map, 05, 05, X87(F##i##SUBR, 0, m + R)) \
	OPM(map, 06, 06, X87(F##i##DIV, 0, m + R)) OPM(map, 07, 07, X87(F##i##DIVR, 0, m + R))
#define ROWS_X87 \
	X87_MEM(D8, , Md) \
	OPM(D8, 40, 47, X87(FADD, 0, ST + RW, STi + R)) OPM(D8, 48, 4f, X87(FMUL, 0, ST + RW, STi + R)) \
	OPM(D8, 50, 57, X87(FCOM, 0, STi + R)) OPM(D8, 58, 5f, X87(FCOMP, 0, STi + R)) \
	OPM(D8, 60, 67, X87(FSUB, 0, ST + RW, STi + R)) OPM(D8, 68, 6f, X87(FSUBR, 0, ST + RW, STi + R)) \
	OPM(D8, 70, 77, X87(FDIV, 0, ST + RW, STi + R)) OPM(D8, 78, 7f, X87(FDIVR, 0, ST + RW, STi + R)) \
	OPM(D9, 00, 00, X87(FLD, 0, Md + R)) OPM(D9, 02, 02, X87(FST, 0, Md + W)) \
	OPM(D9, 03, 03, X87(FSTP, 0, Md + W)) OPM(D9, 04, 04, X87(FLDENV, CTRL, Menv + R)) \
	OPM(D9, 05, 05, X87(FLDCW, CTRL, Mw + R)) OPM(D9, 06, 06, X87(FNSTENV, NOWAIT, Menv + W)) \
	OPM(D9, 07, 07, X87(FNSTCW, NOWAIT, Mw + W)) \
	OPM(D9, 40, 47, X87(FLD, 0, STi + R)) OPM(D9, 48, 4f, X87(FXCH, 0, STi + RW)) \
	OPM(D9, 50, 50, X87(FNOP, 0)) OPM(D9, 58, 5f, X87(FSTP, 0, STi + W)) \
	OPM(D9, 60, 60, X87(FCHS, 0)) OPM(D9, 61, 61, X87(FABS, 0)) OPM(D9, 64, 64, X87(FTST, 0)) \
	OPM(D9, 65, 65, X87(FXAM, 0)) OPM(D9, 68, 68, X87(FLD1, 0)) OPM(D9, 69, 69, X87(FLDL2T, 0)) \
	OPM(D9, 6a, 6a, X87(FLDL2E, 0)) OPM(D9, 6b, 6b, X87(FLDPI, 0)) OPM(D9, 6c, 6c, X87(FLDLG2, 0)) \
	OPM(D9, 6d, 6d, X87(FLDLN2, 0)) OPM(D9, 6e, 6e, X87(FLDZ, 0)) OPM(D9, 70, 70, X87(F2XM1, 0)) \
	OPM(D9, 71, 71, X87(FYL2X, 0)) OPM(D9, 72, 72, X87(FPTAN, 0)) OPM(D9, 73, 73, X87(FPATAN, 0)) \
	OPM(D9, 74, 74, X87(FXTRACT, 0)) OPM(D9, 75, 75, X87(FPREM1, 0)) OPM(D9, 76, 76, X87(FDECSTP, 0)) \
	OPM(D9, 77, 77, X87(FINCSTP, 0)) OPM(D9, 78, 78, X87(FPREM, 0)) OPM(D9, 79, 79, X87(FYL2XP1, 0)) \
	OPM(D9, 7a, 7a, X87(FSQRT, 0)) OPM(D9, 7b, 7b, X87(FSINCOS, 0)) OPM(D9, 7c, 7c, X87(FRNDINT, 0)) \
	OPM(D9, 7d, 7d, X87(FSCALE, 0)) OPM(D9, 7e, 7e, X87(FSIN, 0)) OPM(D9, 7f, 7f, X87(FCOS, 0)) \
	X87_MEM(DA, I, Md) \
	OPM(DA, 40, 47, X87(FCMOVB, 0, ST + RW, STi + R)) OPM(DA, 48, 4f, X87(FCMOVE, 0, ST + RW, STi + R)) \
	OPM(DA, 50, 57, X87(FCMOVBE, 0, ST + RW, STi + R)) \
	OPM(DA, 58, 5f, X87(FCMOVU, 0, ST + RW, STi + R)) OPM(DA, 69, 69, X87(FUCOMPP, 0)) \
	OPM(DB, 00, 00, X87(FILD, 0, Md + R)) OPM(DB, 01, 01, ROW(ANY, FISTTP, X87, SSE3, 0, Md + W)) \
	OPM(DB, 02, 02, X87(FIST, 0, Md + W)) OPM(DB, 03, 03, X87(FISTP, 0, Md + W)) \
	OPM(DB, 05, 05, X87(FLD, 0, Mt + R)) OPM(DB, 07, 07, X87(FSTP, 0, Mt + W)) \
	OPM(DB, 40, 47, X87(FCMOVNB, 0, ST + RW, STi + R)) \
	OPM(DB, 48, 4f, X87(FCMOVNE, 0, ST + RW, STi + R)) \
	OPM(DB, 50, 57, X87(FCMOVNBE, 0, ST + RW, STi + R)) \
	OPM(DB, 58, 5f, X87(FCMOVNU, 0, ST + RW, STi + R)) \
	OPM(DB, 60, 60, X87(FNENI, NOWAIT)) OPM(DB, 61, 61, X87(FNDISI, NOWAIT)) \
	OPM(DB, 62, 62, X87(FNCLEX, NOWAIT)) OPM(DB, 63, 63, X87(FNINIT, NOWAIT)) \
	OPM(DB, 64, 64, X87(FNSETPM, NOWAIT)) \
	OPM(DB, 68, 6f, X87(FUCOMI, 0, ST + R, STi + R)) OPM(DB, 70, 77, X87(FCOMI, 0, ST + R, STi + R)) \
	X87_MEM(DC, , Mq) \
	OPM(DC, 40, 47, X87(FADD, 0, STi + RW, ST + R)) OPM(DC, 48, 4f, X87(FMUL, 0, STi + RW, ST + R)) \
	OPM(DC, 50, 57, X87(FCOM, 0, STi + R)) OPM(DC, 58, 5f, X87(FCOMP, 0, STi + R)) \
	OPM(DC, 60, 67, X87(FSUBR, 0, STi + RW, ST + R)) OPM(DC, 68, 6f, X87(FSUB, 0, STi + RW, ST + R)) \
	OPM(DC, 70, 77, X87(FDIVR, 0, STi + RW, ST + R)) OPM(DC, 78, 7f, X87(FDIV, 0, STi + RW, ST + R)) \
	OPM(DD, 00, 00, X87(FLD, 0, Mq + R)) OPM(DD, 01, 01, ROW(ANY, FISTTP, X87, SSE3, 0, Mq + W)) \
	OPM(DD, 02, 02, X87(FST, 0, Mq + W)) OPM(DD, 03, 03, X87(FSTP, 0, Mq + W)) \
	OPM(DD, 04, 04, X87(FRSTOR, CTRL, Msave + R)) OPM(DD, 06, 06, X87(FNSAVE, NOWAIT, Msave + W)) \
	OPM(DD, 07, 07, X87(FNSTSW, NOWAIT, Mw + W)) \
	OPM(DD, 40, 47, X87(FFREE, 0, STi + W)) OPM(DD, 48, 4f, X87(FXCH, 0, STi + RW)) \
	OPM(DD, 50, 57, X87(FST, 0, STi + W)) OPM(DD, 58, 5f, X87(FSTP, 0, STi + W)) \
	OPM(DD, 60, 67, X87(FUCOM, 0, STi + R)) OPM(DD, 68, 6f, X87(FUCOMP, 0, STi + R)) \
	X87_MEM(DE, I, Mw) \
	OPM(DE, 40, 47, X87(FADDP, 0, STi + RW, ST + R)) OPM(DE, 48, 4f, X87(FMULP, 0, STi + RW, ST + R)) \
	OPM(DE, 50, 57, X87(FCOMP, 0, STi + R)) OPM(DE, 59, 59, X87(FCOMPP, 0)) \
	OPM(DE, 60, 67, X87(FSUBRP, 0, STi + RW, ST + R)) OPM(DE, 68, 6f, X87(FSUBP, 0, STi + RW, ST + R)) \
	OPM(DE, 70, 77, X87(FDIVRP, 0, STi + RW, ST + R)) OPM(DE, 78, 7f, X87(FDIVP, 0, STi + RW, ST + R)) \
	OPM(DF, 00, 00, X87(FILD, 0, Mw + R)) OPM(DF, 01, 01, ROW(ANY, FISTTP, X87, SSE3, 0, Mw + W)) \
	OPM(DF, 02, 02, X87(FIST, 0, Mw + W)) OPM(DF, 03, 03, X87(FISTP, 0, Mw + W)) \
	OPM(DF, 04, 04, X87(FBLD, 0, Mt + R)) OPM(DF, 05, 05, X87(FILD, 0, Mq + R)) \
	OPM(DF, 06, 06, X87(FBSTP, 0, Mt + W)) OPM(DF, 07, 07, X87(FISTP, 0, Mq + W)) \
	OPM(DF, 40, 47, X87(FFREEP, 0, STi + W)) OPM(DF, 48, 4f, X87(FXCH, 0, STi + RW)) \
	OPM(DF, 50, 57, X87(FSTP, 0, STi + W)) OPM(DF, 58, 5f, X87(FSTP, 0, STi + W)) \
	OPM(DF, 60, 60, X87(FNSTSW, NOWAIT, AX + W)) \
	OPM(DF, 68, 6f, X87(FUCOMIP, 0, ST + R, STi + R)) OPM(DF, 70, 77, X87(FCOMIP, 0, ST + R, STi + R))

/* -------- shapes that repeat -------- */
/* PS, PD, SS, SD. v: VEX has a second source; else SS and SD have one all the same. */
#define FLOAT4(code, op, fpx) \
	OPM(1, code, code, SSE(NP, op##PS, SSE, ALIGN | fpx, Vo + RW, Wo + R) \
		SSE(P66, op##PD, SSE2, ALIGN | fpx, Vo + RW, Wo + R) \
		SSE(PF3, op##SS, SSE, fpx, Vo + RW, Wd + R) SSE(PF2, op##SD, SSE2, fpx, Vo + RW, Wq + R)) \
	OPM(V1, code, code, AVX(NP, op##PS, AVX, fpx, Vx + W, Hx + R, Wx + R) \
		AVX(P66, op##PD, AVX, fpx, Vx + W, Hx + R, Wx + R) \
		AVX(PF3, op##SS, AVX, fpx, Vo + W, Ho + R, Wd + R) \
		AVX(PF2, op##SD, AVX, fpx, Vo + W, Ho + R, Wq + R))
/* PS and PD with two sources. */
#define FLOAT2(code, op) \
	OPM(1, code, code, SSE(NP, op##PS, SSE, ALIGN, Vo + RW, Wo + R) \
		SSE(P66, op##PD, SSE2, ALIGN, Vo + RW, Wo + R)) \
	OPM(V1, code, code, AVX(NP, op##PS, AVX, 0, Vx + W, Hx + R, Wx + R) \
		AVX(P66, op##PD, AVX, 0, Vx + W, Hx + R, Wx + R))
/* PS and SS, estimates. */
#define FLOAT_EST(code, op) \
	OPM(1, code, code, SSE(NP, op##PS, SSE, ALIGN, Vo + W, Wo + R) \
		SSE(PF3, op##SS, SSE, 0, Vo + RW, Wd + R)) \
	OPM(V1, code, code, AVX(NP | NOV, op##PS, AVX, 0, Vx + W, Wx + R) \
		AVX(PF3, op##SS, AVX, 0, Vo + W, Ho + R, Wd + R))
/* 66 for PD, F2 for PS. */
#define FLOAT_H(code, op) \
	OPM(1, code, code, SSE(P66, op##PD, SSE3, ALIGN | FPX, Vo + RW, Wo + R) \
		SSE(PF2, op##PS, SSE3, ALIGN | FPX, Vo + RW, Wo + R)) \
	OPM(V1, code, code, AVX(P66, op##PD, AVX, FPX, Vx + W, Hx + R, Wx + R) \
		AVX(PF2, op##PS, AVX, FPX, Vx + W, Hx + R, Wx + R))
/* Integer, with MMX form: @mmx, @sse are the features. */
#define INT_MMX(map, code, op, mmx, sse) INT_MMX2(map, code, op, mmx, sse, Qq)
#define INT_MMX2(map, code, op, mmx, sse, q) \
	OPM(map, code, code, MMX(NP, op, mmx, 0, Pq + RW, q + R) \
		SSE(P66, op, sse, ALIGN, Vo + RW, Wo + R)) \
	OPM(V##map, code, code, AVXI(P66, op, 0, Vx + W, Hx + R, Wx + R))
/* Without. */
#define INT_SSE(map, code, op, sse) \
	OPM(map, code, code, SSE(P66, op, sse, ALIGN, Vo + RW, Wo + R)) \
	OPM(V##map, code, code, AVXI(P66, op, 0, Vx + W, Hx + R, Wx + R))
/* Shift by a register's or memory's 128 bits. */
#define SHIFT(code, op) \
	OPM(1, code, code, MMX(NP, op, MMX, 0, Pq + RW, Qq + R) SSE(P66, op, SSE2, ALIGN, Vo + RW, Wo + R)) \
	OPM(V1, code, code, AVXI(P66, op, 0, Vx + W, Hx + R, Wo + R))
#define SHIFT_IMM(n, op) \
	MMX(NP | REG | N(n), op, MMX, 0, Qq + RW, Ib + R) SSE(P66 | REG | N(n), op, SSE2, 0, Wo + RW, Ib + R)
#define VSHIFT_IMM(n, op) AVXI(P66 | REG | N(n), op, 0, Hx + W, Wx + R, Ib + R)
/* One source. */
#define UNARY(map, code, op, sse) \
	OPM(map, code, code, SSE(P66, op, sse, ALIGN, Vo + W, Wo + R)) \
	OPM(V##map, code, code, AVXI(P66 | NOV, op, 0, Vx + W, Wx + R))
#define UNARY_MMX(map, code, op, sse) \
	OPM(map, code, code, MMX(NP, op, sse, 0, Pq + W, Qq + R) SSE(P66, op, sse, ALIGN, Vo + W, Wo + R)) \
	OPM(V##map, code, code, AVXI(P66 | NOV, op, 0, Vx + W, Wx + R))
/* One source, narrower in memory. */
#define WIDEN(code, op, w, vw) \
	OPM(2, code, code, SSE(P66, op, SSE4_1, 0, Vo + W, w + R)) \
	OPM(V2, code, code, AVXI(P66 | NOV, op, 0, Vx + W, vw + R))
#define SSE_AVX_IMM(code, op, fpx) \
	OPM(3, code, code, SSE(P66, op, SSE4_1, ALIGN | fpx, Vo + RW, Wo + R, Ib + R)) \
	OPM(V3, code, code, AVX(P66, op, AVX, fpx, Vx + W, Hx + R, Wx + R, Ib + R))
#define STRING_CMP(code, op) \
	OPM(3, code, code, SSE(P66, op, SSE4_2, 0, Vo + R, Wo + R, Ib + R)) \
	OPM(V3, code, code, AVX(P66 | L0 | NOV, op, AVX, 0, Vo + R, Wo + R, Ib + R))
#define AESOP(code, op) \
	OPM(2, code, code, SSE(P66, op, AES, ALIGN, Vo + RW, Wo + R)) \
	OPM(V2, code, code, AVX(P66 | L0, op, AES, 0, Vx + W, Hx + R, Wx + R) \
		AVX(P66 | L1, op, VAES, 0, Vx + W, Hx + R, Wx + R))
#define SHAOP(code, op) OPM(2, code, code, SSE(NP, op, SHA, ALIGN, Vo + RW, Wo + R))
#define FMA_P(code, op) \
	OPM(V2, code, code, AVX(P66 | W0, op##PS, FMA, FPX, Vx + RW, Hx + R, Wx + R) \
		AVX(P66 | W1, op##PD, FMA, FPX, Vx + RW, Hx + R, Wx + R))
#define FMA_S(code, op) \
	OPM(V2, code, code, AVX(P66 | W0, op##SS, FMA, FPX, Vo + RW, Ho + R, Wd + R) \
		AVX(P66 | W1, op##SD, FMA, FPX, Vo + RW, Ho + R, Wq + R))
#define FMA_FORM(form, a, b, c, d, e, f, g, h, i, j) \
	FMA_P(a, VFMADDSUB##form) FMA_P(b, VFMSUBADD##form) FMA_P(c, VFMADD##form) FMA_S(d, VFMADD##form) \
	FMA_P(e, VFMSUB##form) FMA_S(f, VFMSUB##form) FMA_P(g, VFNMADD##form) FMA_S(h, VFNMADD##form) \
	FMA_P(i, VFNMSUB##form) FMA_S(j, VFNMSUB##form)
#define GATHER X86_I_VSIB
#define V_(on, op, feature, flags, ...) AVX(P66 | on, op, feature, flags, __VA_ARGS__)

/* -------- 0F -------- */
#define ROWS_V1 \
	OPM(1, 10, 10, SSE(NP, MOVUPS, SSE, 0, Vo + W, Wo + R) SSE(P66, MOVUPD, SSE2, 0, Vo + W, Wo + R) \
		SSE(PF3 | MEM, MOVSS, SSE, 0, Vo + W, Wd + R) SSE(PF3 | REG, MOVSS, SSE, 0, Vo + RW, Wd + R) \
		SSE(PF2 | MEM, MOVSD, SSE2, 0, Vo + W, Wq + R) SSE(PF2 | REG, MOVSD, SSE2, 0, Vo + RW, Wq + R)) \
	OPM(V1, 10, 10, AVX(NP | NOV, MOVUPS, AVX, 0, Vx + W, Wx + R) \
		AVX(P66 | NOV, MOVUPD, AVX, 0, Vx + W, Wx + R) \
		AVX(PF3 | MEM | NOV, MOVSS, AVX, 0, Vo + W, Wd + R) \
		AVX(PF3 | REG, MOVSS, AVX, 0, Vo + W, Ho + R, Wd + R) \
		AVX(PF2 | MEM | NOV, MOVSD, AVX, 0, Vo + W, Wq + R) \
		AVX(PF2 | REG, MOVSD, AVX, 0, Vo + W, Ho + R, Wq + R)) \
	OPM(1, 11, 11, SSE(NP, MOVUPS, SSE, 0, Wo + W, Vo + R) SSE(P66, MOVUPD, SSE2, 0, Wo + W, Vo + R) \
		SSE(PF3 | MEM, MOVSS, SSE, 0, Wd + W, Vo + R) SSE(PF3 | REG, MOVSS, SSE, 0, Wd + RW, Vo + R) \
		SSE(PF2 | MEM, MOVSD, SSE2, 0, Wq + W, Vo + R) SSE(PF2 | REG, MOVSD, SSE2, 0, Wq + RW, Vo + R)) \
	OPM(V1, 11, 11, AVX(NP | NOV, MOVUPS, AVX, 0, Wx + W, Vx + R) \
		AVX(P66 | NOV, MOVUPD, AVX, 0, Wx + W, Vx + R) \
		AVX(PF3 | MEM | NOV, MOVSS, AVX, 0, Wd + W, Vo + R) \
		AVX(PF3 | REG, MOVSS, AVX, 0, Wd + W, Ho + R, Vo + R) \
		AVX(PF2 | MEM | NOV, MOVSD, AVX, 0, Wq + W, Vo + R) \
		AVX(PF2 | REG, MOVSD, AVX, 0, Wq + W, Ho + R, Vo + R)) \
	OPM(1, 12, 12, SSE(NP | MEM, MOVLPS, SSE, 0, Vo + RW, Mq + R) \
		SSE(NP | REG, MOVHLPS, SSE, 0, Vo + RW, Wo + R) SSE(P66 | MEM, MOVLPD, SSE2, 0, Vo + RW, Mq + R) \
		SSE(PF3, MOVSLDUP, SSE3, ALIGN, Vo + W, Wo + R) SSE(PF2, MOVDDUP, SSE3, 0, Vo + W, Wq + R)) \
	OPM(V1, 12, 12, AVX(NP | MEM | L0, MOVLPS, AVX, 0, Vo + W, Ho + R, Mq + R) \
		AVX(NP | REG | L0, MOVHLPS, AVX, 0, Vo + W, Ho + R, Wo + R) \
		AVX(P66 | MEM | L0, MOVLPD, AVX, 0, Vo + W, Ho + R, Mq + R) \
		AVX(PF3 | NOV, MOVSLDUP, AVX, 0, Vx + W, Wx + R) \
		AVX(PF2 | L0 | NOV, MOVDDUP, AVX, 0, Vo + W, Wq + R) \
		AVX(PF2 | L1 | NOV, MOVDDUP, AVX, 0, Vqq + W, Wqq + R)) \
	OPM(1, 13, 13, SSE(NP | MEM, MOVLPS, SSE, 0, Mq + W, Vo + R) \
		SSE(P66 | MEM, MOVLPD, SSE2, 0, Mq + W, Vo + R)) \
	OPM(V1, 13, 13, AVX(NP | MEM | L0 | NOV, MOVLPS, AVX, 0, Mq + W, Vo + R) \
		AVX(P66 | MEM | L0 | NOV, MOVLPD, AVX, 0, Mq + W, Vo + R)) \
	FLOAT2(14, UNPCKL) FLOAT2(15, UNPCKH) \
	OPM(1, 16, 16, SSE(NP | MEM, MOVHPS, SSE, 0, Vo + RW, Mq + R) \
		SSE(NP | REG, MOVLHPS, SSE, 0, Vo + RW, Wo + R) SSE(P66 | MEM, MOVHPD, SSE2, 0, Vo + RW, Mq + R) \
		SSE(PF3, MOVSHDUP, SSE3, ALIGN, Vo + W, Wo + R)) \
	OPM(V1, 16, 16, AVX(NP | MEM | L0, MOVHPS, AVX, 0, Vo + W, Ho + R, Mq + R) \
		AVX(NP | REG | L0, MOVLHPS, AVX, 0, Vo + W, Ho + R, Wo + R) \
		AVX(P66 | MEM | L0, MOVHPD, AVX, 0, Vo + W, Ho + R, Mq + R) \
		AVX(PF3 | NOV, MOVSHDUP, AVX, 0, Vx + W, Wx + R)) \
	OPM(1, 17, 17, SSE(NP | MEM, MOVHPS, SSE, 0, Mq + W, Vo + R) \
		SSE(P66 | MEM, MOVHPD, SSE2, 0, Mq + W, Vo + R)) \
	OPM(V1, 17, 17, AVX(NP | MEM | L0 | NOV, MOVHPS, AVX, 0, Mq + W, Vo + R) \
		AVX(P66 | MEM | L0 | NOV, MOVHPD, AVX, 0, Mq + W, Vo + R)) \
	OPM(1, 28, 28, SSE(NP, MOVAPS, SSE, ALIGN, Vo + W, Wo + R) \
		SSE(P66, MOVAPD, SSE2, ALIGN, Vo + W, Wo + R)) \
	OPM(V1, 28, 28, AVX(NP | NOV, MOVAPS, AVX, ALIGN, Vx + W, Wx + R) \
		AVX(P66 | NOV, MOVAPD, AVX, ALIGN, Vx + W, Wx + R)) \
	OPM(1, 29, 29, SSE(NP, MOVAPS, SSE, ALIGN, Wo + W, Vo + R) \
		SSE(P66, MOVAPD, SSE2, ALIGN, Wo + W, Vo + R)) \
	OPM(V1, 29, 29, AVX(NP | NOV, MOVAPS, AVX, ALIGN, Wx + W, Vx + R) \
		AVX(P66 | NOV, MOVAPD, AVX, ALIGN, Wx + W, Vx + R)) \
	OPM(1, 2a, 2a, MMX(NP, CVTPI2PS, SSE, FPX, Vo + RW, Qq + R) MMX(P66, CVTPI2PD, SSE2, 0, Vo + W, Qq + R) \
		SSE(PF3, CVTSI2SS, SSE, FPX, Vo + RW, Ey + R) SSE(PF2, CVTSI2SD, SSE2, FPX, Vo + RW, Ey + R)) \
	OPM(V1, 2a, 2a, AVX(PF3, CVTSI2SS, AVX, FPX, Vo + W, Ho + R, Ey + R) \
		AVX(PF2, CVTSI2SD, AVX, FPX, Vo + W, Ho + R, Ey + R)) \
	OPM(1, 2b, 2b, SSE(NP | MEM, MOVNTPS, SSE, ALIGN, Mo + W, Vo + R) \
		SSE(P66 | MEM, MOVNTPD, SSE2, ALIGN, Mo + W, Vo + R) \
		SSE(PF3 | MEM, MOVNTSS, SSE4A, 0, Md + W, Vo + R) SSE(PF2 | MEM, MOVNTSD, SSE4A, 0, Mq + W, Vo + R)) \
	OPM(V1, 2b, 2b, AVX(NP | MEM | NOV, MOVNTPS, AVX, ALIGN, Mx + W, Vx + R) \
		AVX(P66 | MEM | NOV, MOVNTPD, AVX, ALIGN, Mx + W, Vx + R)) \
	OPM(1, 2c, 2c, MMX(NP, CVTTPS2PI, SSE, FPX, Pq + W, Wq + R) \
		MMX(P66, CVTTPD2PI, SSE2, FPX | ALIGN, Pq + W, Wo + R) \
		SSE(PF3, CVTTSS2SI, SSE, FPX, Gy + W, Wd + R) SSE(PF2, CVTTSD2SI, SSE2, FPX, Gy + W, Wq + R)) \
	OPM(V1, 2c, 2c, AVX(PF3 | NOV, CVTTSS2SI, AVX, FPX, Gy + W, Wd + R) \
		AVX(PF2 | NOV, CVTTSD2SI, AVX, FPX, Gy + W, Wq + R)) \
	OPM(1, 2d, 2d, MMX(NP, CVTPS2PI, SSE, FPX, Pq + W, Wq + R) \
		MMX(P66, CVTPD2PI, SSE2, FPX | ALIGN, Pq + W, Wo + R) \
		SSE(PF3, CVTSS2SI, SSE, FPX, Gy + W, Wd + R) SSE(PF2, CVTSD2SI, SSE2, FPX, Gy + W, Wq + R)) \
	OPM(V1, 2d, 2d, AVX(PF3 | NOV, CVTSS2SI, AVX, FPX, Gy + W, Wd + R) \
		AVX(PF2 | NOV, CVTSD2SI, AVX, FPX, Gy + W, Wq + R)) \
	OPM(1, 2e, 2e, SSE(NP, UCOMISS, SSE, FPX, Vo + R, Wd + R) SSE(P66, UCOMISD, SSE2, FPX, Vo + R, Wq + R)) \
	OPM(V1, 2e, 2e, AVX(NP | NOV, UCOMISS, AVX, FPX, Vo + R, Wd + R) \
		AVX(P66 | NOV, UCOMISD, AVX, FPX, Vo + R, Wq + R)) \
	OPM(1, 2f, 2f, SSE(NP, COMISS, SSE, FPX, Vo + R, Wd + R) SSE(P66, COMISD, SSE2, FPX, Vo + R, Wq + R)) \
	OPM(V1, 2f, 2f, AVX(NP | NOV, COMISS, AVX, FPX, Vo + R, Wd + R) \
		AVX(P66 | NOV, COMISD, AVX, FPX, Vo + R, Wq + R)) \
	OPM(1, 50, 50, SSE(NP | REG, MOVMSKPS, SSE, 0, Gd + W, Wo + R) \
		SSE(P66 | REG, MOVMSKPD, SSE2, 0, Gd + W, Wo + R)) \
	OPM(V1, 50, 50, AVX(NP | REG | NOV, MOVMSKPS, AVX, 0, Gd + W, Wx + R) \
		AVX(P66 | REG | NOV, MOVMSKPD, AVX, 0, Gd + W, Wx + R)) \
	OPM(1, 51, 51, SSE(NP, SQRTPS, SSE, ALIGN | FPX, Vo + W, Wo + R) \
		SSE(P66, SQRTPD, SSE2, ALIGN | FPX, Vo + W, Wo + R) SSE(PF3, SQRTSS, SSE, FPX, Vo + RW, Wd + R) \
		SSE(PF2, SQRTSD, SSE2, FPX, Vo + RW, Wq + R)) \
	OPM(V1, 51, 51, AVX(NP | NOV, SQRTPS, AVX, FPX, Vx + W, Wx + R) \
		AVX(P66 | NOV, SQRTPD, AVX, FPX, Vx + W, Wx + R) \
		AVX(PF3, SQRTSS, AVX, FPX, Vo + W, Ho + R, Wd + R) \
		AVX(PF2, SQRTSD, AVX, FPX, Vo + W, Ho + R, Wq + R)) \
	FLOAT_EST(52, RSQRT) FLOAT_EST(53, RCP) \
	FLOAT2(54, AND) FLOAT2(55, ANDN) FLOAT2(56, OR) FLOAT2(57, XOR) FLOAT4(58, ADD, FPX) \
	FLOAT4(59, MUL, FPX) \
	OPM(1, 5a, 5a, SSE(NP, CVTPS2PD, SSE2, FPX, Vo + W, Wq + R) \
		SSE(P66, CVTPD2PS, SSE2, ALIGN | FPX, Vo + W, Wo + R) \
		SSE(PF3, CVTSS2SD, SSE2, FPX, Vo + RW, Wd + R) SSE(PF2, CVTSD2SS, SSE2, FPX, Vo + RW, Wq + R)) \
	OPM(V1, 5a, 5a, AVX(NP | NOV, CVTPS2PD, AVX, FPX, Vx + W, Wxh + R) \
		AVX(P66 | NOV, CVTPD2PS, AVX, FPX, Vo + W, Wx + R) \
		AVX(PF3, CVTSS2SD, AVX, FPX, Vo + W, Ho + R, Wd + R) \
		AVX(PF2, CVTSD2SS, AVX, FPX, Vo + W, Ho + R, Wq + R)) \
	OPM(1, 5b, 5b, SSE(NP, CVTDQ2PS, SSE2, ALIGN | FPX, Vo + W, Wo + R) \
		SSE(P66, CVTPS2DQ, SSE2, ALIGN | FPX, Vo + W, Wo + R) \
		SSE(PF3, CVTTPS2DQ, SSE2, ALIGN | FPX, Vo + W, Wo + R)) \
	OPM(V1, 5b, 5b, AVX(NP | NOV, CVTDQ2PS, AVX, FPX, Vx + W, Wx + R) \
		AVX(P66 | NOV, CVTPS2DQ, AVX, FPX, Vx + W, Wx + R) \
		AVX(PF3 | NOV, CVTTPS2DQ, AVX, FPX, Vx + W, Wx + R)) \
	FLOAT4(5c, SUB, FPX) FLOAT4(5d, MIN, FPX) FLOAT4(5e, DIV, FPX) FLOAT4(5f, MAX, FPX) \
	INT_MMX2(1, 60, PUNPCKLBW, MMX, SSE2, Qd) INT_MMX2(1, 61, PUNPCKLWD, MMX, SSE2, Qd) \
	INT_MMX2(1, 62, PUNPCKLDQ, MMX, SSE2, Qd) INT_MMX(1, 63, PACKSSWB, MMX, SSE2) \
	INT_MMX(1, 64, PCMPGTB, MMX, SSE2) INT_MMX(1, 65, PCMPGTW, MMX, SSE2) \
	INT_MMX(1, 66, PCMPGTD, MMX, SSE2) INT_MMX(1, 67, PACKUSWB, MMX, SSE2) \
	INT_MMX(1, 68, PUNPCKHBW, MMX, SSE2) INT_MMX(1, 69, PUNPCKHWD, MMX, SSE2) \
	INT_MMX(1, 6a, PUNPCKHDQ, MMX, SSE2) INT_MMX(1, 6b, PACKSSDW, MMX, SSE2) \
	INT_SSE(1, 6c, PUNPCKLQDQ, SSE2) INT_SSE(1, 6d, PUNPCKHQDQ, SSE2) \
	OPM(1, 6e, 6e, MMX(NP, MOVD, MMX, 0, Pq + W, Ey + R) SSE(P66, MOVD, SSE2, 0, Vo + W, Ey + R)) \
	OPM(V1, 6e, 6e, AVX(P66 | L0 | NOV, MOVD, AVX, 0, Vo + W, Ey + R)) \
	OPM(1, 6f, 6f, MMX(NP, MOVQ, MMX, 0, Pq + W, Qq + R) SSE(P66, MOVDQA, SSE2, ALIGN, Vo + W, Wo + R) \
		SSE(PF3, MOVDQU, SSE2, 0, Vo + W, Wo + R)) \
	OPM(V1, 6f, 6f, AVX(P66 | NOV, MOVDQA, AVX, ALIGN, Vx + W, Wx + R) \
		AVX(PF3 | NOV, MOVDQU, AVX, 0, Vx + W, Wx + R)) \
	OPM(1, 70, 70, MMX(NP, PSHUFW, SSE, 0, Pq + W, Qq + R, Ib + R) \
		SSE(P66, PSHUFD, SSE2, ALIGN, Vo + W, Wo + R, Ib + R) \
		SSE(PF3, PSHUFHW, SSE2, ALIGN, Vo + W, Wo + R, Ib + R) \
		SSE(PF2, PSHUFLW, SSE2, ALIGN, Vo + W, Wo + R, Ib + R)) \
	OPM(V1, 70, 70, AVXI(P66 | NOV, PSHUFD, 0, Vx + W, Wx + R, Ib + R) \
		AVXI(PF3 | NOV, PSHUFHW, 0, Vx + W, Wx + R, Ib + R) \
		AVXI(PF2 | NOV, PSHUFLW, 0, Vx + W, Wx + R, Ib + R)) \
	OPM(1, 71, 71, SHIFT_IMM(2, PSRLW) SHIFT_IMM(4, PSRAW) SHIFT_IMM(6, PSLLW)) \
	OPM(V1, 71, 71, VSHIFT_IMM(2, PSRLW) VSHIFT_IMM(4, PSRAW) VSHIFT_IMM(6, PSLLW)) \
	OPM(1, 72, 72, SHIFT_IMM(2, PSRLD) SHIFT_IMM(4, PSRAD) SHIFT_IMM(6, PSLLD)) \
	OPM(V1, 72, 72, VSHIFT_IMM(2, PSRLD) VSHIFT_IMM(4, PSRAD) VSHIFT_IMM(6, PSLLD)) \
	OPM(1, 73, 73, SHIFT_IMM(2, PSRLQ) SHIFT_IMM(6, PSLLQ) \
		SSE(P66 | REG | N(3), PSRLDQ, SSE2, 0, Wo + RW, Ib + R) \
		SSE(P66 | REG | N(7), PSLLDQ, SSE2, 0, Wo + RW, Ib + R)) \
	OPM(V1, 73, 73, VSHIFT_IMM(2, PSRLQ) VSHIFT_IMM(6, PSLLQ) VSHIFT_IMM(3, PSRLDQ) VSHIFT_IMM(7, PSLLDQ)) \
	INT_MMX(1, 74, PCMPEQB, MMX, SSE2) INT_MMX(1, 75, PCMPEQW, MMX, SSE2) \
	INT_MMX(1, 76, PCMPEQD, MMX, SSE2) \
	OP(1, 77, 77, MMX(NP, EMMS, MMX, 0)) \
	OP(V1, 77, 77, STATE(NP | L0 | NOV, VZEROUPPER, AVX, 0) STATE(NP | L1 | NOV, VZEROALL, AVX, 0)) \
	OPM(1, 78, 78, SSE(P66 | REG | N(0), EXTRQ, SSE4A, 0, Wo + RW, Ib + R, Ib2 + R) \
		SSE(PF2 | REG, INSERTQ, SSE4A, 0, Vo + RW, Wo + R, Ib + R, Ib2 + R)) \
	OPM(1, 79, 79, SSE(P66 | REG, EXTRQ, SSE4A, 0, Vo + RW, Wo + R) \
		SSE(PF2 | REG, INSERTQ, SSE4A, 0, Vo + RW, Wo + R)) \
	FLOAT_H(7c, HADD) FLOAT_H(7d, HSUB) \
	OPM(1, 7e, 7e, MMX(NP, MOVD, MMX, 0, Ey + W, Pq + R) SSE(P66, MOVD, SSE2, 0, Ey + W, Vo + R) \
		SSE(PF3, MOVQ, SSE2, 0, Vo + W, Wq + R)) \
	OPM(V1, 7e, 7e, AVX(P66 | L0 | NOV, MOVD, AVX, 0, Ey + W, Vo + R) \
		AVX(PF3 | L0 | NOV, MOVQ, AVX, 0, Vo + W, Wq + R)) \
	OPM(1, 7f, 7f, MMX(NP, MOVQ, MMX, 0, Qq + W, Pq + R) SSE(P66, MOVDQA, SSE2, ALIGN, Wo + W, Vo + R) \
		SSE(PF3, MOVDQU, SSE2, 0, Wo + W, Vo + R)) \
	OPM(V1, 7f, 7f, AVX(P66 | NOV, MOVDQA, AVX, ALIGN, Wx + W, Vx + R) \
		AVX(PF3 | NOV, MOVDQU, AVX, 0, Wx + W, Vx + R)) \
	OPM(V1, ae, ae, STATE(NP | MEM | L0 | NOV | N(2), LDMXCSR, AVX, 0, Md + R) \
		STATE(NP | MEM | L0 | NOV | N(3), STMXCSR, AVX, 0, Md + W)) \
	OPM(1, c2, c2, SSE(NP, CMPPS, SSE, ALIGN | FPX, Vo + RW, Wo + R, Ib + R) \
		SSE(P66, CMPPD, SSE2, ALIGN | FPX, Vo + RW, Wo + R, Ib + R) \
		SSE(PF3, CMPSS, SSE, FPX, Vo + RW, Wd + R, Ib + R) SSE(PF2, CMPSD, SSE2, FPX, Vo + RW, Wq + R, Ib + R)) \
	OPM(V1, c2, c2, AVX(NP, CMPPS, AVX, FPX, Vx + W, Hx + R, Wx + R, Ib + R) \
		AVX(P66, CMPPD, AVX, FPX, Vx + W, Hx + R, Wx + R, Ib + R) \
		AVX(PF3, CMPSS, AVX, FPX, Vo + W, Ho + R, Wd + R, Ib + R) \
		AVX(PF2, CMPSD, AVX, FPX, Vo + W, Ho + R, Wq + R, Ib + R)) \
	OPM(1, c4, c4, MMX(NP, PINSRW, SSE, 0, Pq + RW, EdMw + R, Ib + R) \
		SSE(P66, PINSRW, SSE2, 0, Vo + RW, EdMw + R, Ib + R)) \
	OPM(V1, c4, c4, AVX(P66 | L0, PINSRW, AVX, 0, Vo + W, Ho + R, EdMw + R, Ib + R)) \
	OPM(1, c5, c5, MMX(NP | REG, PEXTRW, SSE, 0, Gd + W, Qq + R, Ib + R) \
		SSE(P66 | REG, PEXTRW, SSE2, 0, Gd + W, Wo + R, Ib + R)) \
	OPM(V1, c5, c5, AVX(P66 | REG | L0 | NOV, PEXTRW, AVX, 0, Gd + W, Wo + R, Ib + R)) \
	OPM(1, c6, c6, SSE(NP, SHUFPS, SSE, ALIGN, Vo + RW, Wo + R, Ib + R) \
		SSE(P66, SHUFPD, SSE2, ALIGN, Vo + RW, Wo + R, Ib + R)) \
	OPM(V1, c6, c6, AVX(NP, SHUFPS, AVX, 0, Vx + W, Hx + R, Wx + R, Ib + R) \
		AVX(P66, SHUFPD, AVX, 0, Vx + W, Hx + R, Wx + R, Ib + R)) \
	FLOAT_H(d0, ADDSUB) SHIFT(d1, PSRLW) SHIFT(d2, PSRLD) SHIFT(d3, PSRLQ) \
	INT_MMX(1, d4, PADDQ, SSE2, SSE2) INT_MMX(1, d5, PMULLW, MMX, SSE2) \
	OPM(1, d6, d6, SSE(P66, MOVQ, SSE2, 0, Wq + W, Vo + R) MMX(PF3 | REG, MOVQ2DQ, SSE2, 0, Vo + W, Qq + R) \
		MMX(PF2 | REG, MOVDQ2Q, SSE2, 0, Pq + W, Wo + R)) \
	OPM(V1, d6, d6, AVX(P66 | L0 | NOV, MOVQ, AVX, 0, Wq + W, Vo + R)) \
	OPM(1, d7, d7, MMX(NP | REG, PMOVMSKB, SSE, 0, Gd + W, Qq + R) \
		SSE(P66 | REG, PMOVMSKB, SSE2, 0, Gd + W, Wo + R)) \
	OPM(V1, d7, d7, AVXI(P66 | REG | NOV, PMOVMSKB, 0, Gd + W, Wx + R)) \
	INT_MMX(1, d8, PSUBUSB, MMX, SSE2) INT_MMX(1, d9, PSUBUSW, MMX, SSE2) \
	INT_MMX(1, da, PMINUB, SSE, SSE2) INT_MMX(1, db, PAND, MMX, SSE2) \
	INT_MMX(1, dc, PADDUSB, MMX, SSE2) INT_MMX(1, dd, PADDUSW, MMX, SSE2) \
	INT_MMX(1, de, PMAXUB, SSE, SSE2) INT_MMX(1, df, PANDN, MMX, SSE2) \
	INT_MMX(1, e0, PAVGB, SSE, SSE2) SHIFT(e1, PSRAW) SHIFT(e2, PSRAD) \
	INT_MMX(1, e3, PAVGW, SSE, SSE2) INT_MMX(1, e4, PMULHUW, SSE, SSE2) \
	INT_MMX(1, e5, PMULHW, MMX, SSE2) \
	OPM(1, e6, e6, SSE(P66, CVTTPD2DQ, SSE2, ALIGN | FPX, Vo + W, Wo + R) \
		SSE(PF3, CVTDQ2PD, SSE2, 0, Vo + W, Wq + R) SSE(PF2, CVTPD2DQ, SSE2, ALIGN | FPX, Vo + W, Wo + R)) \
	OPM(V1, e6, e6, AVX(P66 | NOV, CVTTPD2DQ, AVX, FPX, Vo + W, Wx + R) \
		AVX(PF3 | NOV, CVTDQ2PD, AVX, 0, Vx + W, Wxh + R) \
		AVX(PF2 | NOV, CVTPD2DQ, AVX, FPX, Vo + W, Wx + R)) \
	OPM(1, e7, e7, MMX(NP | MEM, MOVNTQ, SSE, 0, Mq + W, Pq + R) \
		SSE(P66 | MEM, MOVNTDQ, SSE2, ALIGN, Mo + W, Vo + R)) \
	OPM(V1, e7, e7, AVX(P66 | MEM | NOV, MOVNTDQ, AVX, ALIGN, Mx + W, Vx + R)) \
	INT_MMX(1, e8, PSUBSB, MMX, SSE2) INT_MMX(1, e9, PSUBSW, MMX, SSE2) \
	INT_MMX(1, ea, PMINSW, SSE, SSE2) INT_MMX(1, eb, POR, MMX, SSE2) \
	INT_MMX(1, ec, PADDSB, MMX, SSE2) INT_MMX(1, ed, PADDSW, MMX, SSE2) \
	INT_MMX(1, ee, PMAXSW, SSE, SSE2) INT_MMX(1, ef, PXOR, MMX, SSE2) \
	OPM(1, f0, f0, SSE(PF2 | MEM, LDDQU, SSE3, 0, Vo + W, Mo + R)) \
	OPM(V1, f0, f0, AVX(PF2 | MEM | NOV, LDDQU, AVX, 0, Vx + W, Mx + R)) \
	SHIFT(f1, PSLLW) SHIFT(f2, PSLLD) SHIFT(f3, PSLLQ) INT_MMX(1, f4, PMULUDQ, SSE2, SSE2) \
	INT_MMX(1, f5, PMADDWD, MMX, SSE2) INT_MMX(1, f6, PSADBW, SSE, SSE2) \
	OPM(1, f7, f7, MMX(NP | REG, MASKMOVQ, SSE, 0, AtDIq + W, Pq + R, Qq + R) \
		SSE(P66 | REG, MASKMOVDQU, SSE2, 0, AtDIo + W, Vo + R, Wo + R)) \
	OPM(V1, f7, f7, AVX(P66 | REG | L0 | NOV, MASKMOVDQU, AVX, 0, AtDIo + W, Vo + R, Wo + R)) \
	INT_MMX(1, f8, PSUBB, MMX, SSE2) INT_MMX(1, f9, PSUBW, MMX, SSE2) \
	INT_MMX(1, fa, PSUBD, MMX, SSE2) INT_MMX(1, fb, PSUBQ, SSE2, SSE2) \
	INT_MMX(1, fc, PADDB, MMX, SSE2) INT_MMX(1, fd, PADDW, MMX, SSE2) \
	INT_MMX(1, fe, PADDD, MMX, SSE2)

/* -------- 0F 38 -------- */
#define ROWS_V2 \
	INT_MMX(2, 00, PSHUFB, SSSE3, SSSE3) INT_MMX(2, 01, PHADDW, SSSE3, SSSE3) \
	INT_MMX(2, 02, PHADDD, SSSE3, SSSE3) INT_MMX(2, 03, PHADDSW, SSSE3, SSSE3) \
	INT_MMX(2, 04, PMADDUBSW, SSSE3, SSSE3) INT_MMX(2, 05, PHSUBW, SSSE3, SSSE3) \
	INT_MMX(2, 06, PHSUBD, SSSE3, SSSE3) INT_MMX(2, 07, PHSUBSW, SSSE3, SSSE3) \
	INT_MMX(2, 08, PSIGNB, SSSE3, SSSE3) INT_MMX(2, 09, PSIGNW, SSSE3, SSSE3) \
	INT_MMX(2, 0a, PSIGND, SSSE3, SSSE3) INT_MMX(2, 0b, PMULHRSW, SSSE3, SSSE3) \
	OPM(V2, 0c, 0c, V_(W0, VPERMILPS, AVX, 0, Vx + W, Hx + R, Wx + R)) \
	OPM(V2, 0d, 0d, V_(W0, VPERMILPD, AVX, 0, Vx + W, Hx + R, Wx + R)) \
	OPM(V2, 0e, 0e, V_(W0 | NOV, VTESTPS, AVX, 0, Vx + R, Wx + R)) \
	OPM(V2, 0f, 0f, V_(W0 | NOV, VTESTPD, AVX, 0, Vx + R, Wx + R)) \
	OPM(2, 10, 10, SSE(P66, PBLENDVB, SSE4_1, ALIGN, Vo + RW, Wo + R, XMM0 + R)) \
	OPM(V2, 13, 13, V_(W0 | NOV, VCVTPH2PS, F16C, FPX, Vx + W, Wxh + R)) \
	OPM(2, 14, 14, SSE(P66, BLENDVPS, SSE4_1, ALIGN, Vo + RW, Wo + R, XMM0 + R)) \
	OPM(2, 15, 15, SSE(P66, BLENDVPD, SSE4_1, ALIGN, Vo + RW, Wo + R, XMM0 + R)) \
	OPM(V2, 16, 16, V_(W0 | L1, VPERMPS, AVX2, 0, Vqq + W, Hqq + R, Wqq + R)) \
	OPM(2, 17, 17, SSE(P66, PTEST, SSE4_1, ALIGN, Vo + R, Wo + R)) \
	OPM(V2, 17, 17, V_(NOV, PTEST, AVX, 0, Vx + R, Wx + R)) \
	OPM(V2, 18, 18, V_(W0 | MEM | NOV, VBROADCASTSS, AVX, 0, Vx + W, Wd + R) \
		V_(W0 | REG | NOV, VBROADCASTSS, AVX2, 0, Vx + W, Wd + R)) \
	OPM(V2, 19, 19, V_(W0 | L1 | MEM | NOV, VBROADCASTSD, AVX, 0, Vqq + W, Wq + R) \
		V_(W0 | L1 | REG | NOV, VBROADCASTSD, AVX2, 0, Vqq + W, Wq + R)) \
	OPM(V2, 1a, 1a, V_(W0 | L1 | MEM | NOV, VBROADCASTF128, AVX, 0, Vqq + W, Mo + R)) \
	UNARY_MMX(2, 1c, PABSB, SSSE3) UNARY_MMX(2, 1d, PABSW, SSSE3) UNARY_MMX(2, 1e, PABSD, SSSE3) \
	WIDEN(20, PMOVSXBW, Wq, Wxh) WIDEN(21, PMOVSXBD, Wd, Wxq) WIDEN(22, PMOVSXBQ, Ww, Wxe) \
	WIDEN(23, PMOVSXWD, Wq, Wxh) WIDEN(24, PMOVSXWQ, Wd, Wxq) WIDEN(25, PMOVSXDQ, Wq, Wxh) \
	INT_SSE(2, 28, PMULDQ, SSE4_1) INT_SSE(2, 29, PCMPEQQ, SSE4_1) \
	OPM(2, 2a, 2a, SSE(P66 | MEM, MOVNTDQA, SSE4_1, ALIGN, Vo + W, Mo + R)) \
	OPM(V2, 2a, 2a, AVXI(P66 | MEM | NOV, MOVNTDQA, ALIGN, Vx + W, Mx + R)) \
	INT_SSE(2, 2b, PACKUSDW, SSE4_1) \
	OPM(V2, 2c, 2c, V_(W0 | MEM, VMASKMOVPS, AVX, 0, Vx + W, Hx + R, Mx + R)) \
	OPM(V2, 2d, 2d, V_(W0 | MEM, VMASKMOVPD, AVX, 0, Vx + W, Hx + R, Mx + R)) \
	OPM(V2, 2e, 2e, V_(W0 | MEM, VMASKMOVPS, AVX, 0, Mx + W, Hx + R, Vx + R)) \
	OPM(V2, 2f, 2f, V_(W0 | MEM, VMASKMOVPD, AVX, 0, Mx + W, Hx + R, Vx + R)) \
	WIDEN(30, PMOVZXBW, Wq, Wxh) WIDEN(31, PMOVZXBD, Wd, Wxq) WIDEN(32, PMOVZXBQ, Ww, Wxe) \
	WIDEN(33, PMOVZXWD, Wq, Wxh) WIDEN(34, PMOVZXWQ, Wd, Wxq) WIDEN(35, PMOVZXDQ, Wq, Wxh) \
	OPM(V2, 36, 36, V_(W0 | L1, VPERMD, AVX2, 0, Vqq + W, Hqq + R, Wqq + R)) \
	INT_SSE(2, 37, PCMPGTQ, SSE4_2) INT_SSE(2, 38, PMINSB, SSE4_1) INT_SSE(2, 39, PMINSD, SSE4_1) \
	INT_SSE(2, 3a, PMINUW, SSE4_1) INT_SSE(2, 3b, PMINUD, SSE4_1) INT_SSE(2, 3c, PMAXSB, SSE4_1) \
	INT_SSE(2, 3d, PMAXSD, SSE4_1) INT_SSE(2, 3e, PMAXUW, SSE4_1) INT_SSE(2, 3f, PMAXUD, SSE4_1) \
	INT_SSE(2, 40, PMULLD, SSE4_1) \
	OPM(2, 41, 41, SSE(P66, PHMINPOSUW, SSE4_1, ALIGN, Vo + W, Wo + R)) \
	OPM(V2, 41, 41, V_(L0 | NOV, PHMINPOSUW, AVX, 0, Vo + W, Wo + R)) \
	OPM(V2, 45, 45, V_(W0, VPSRLVD, AVX2, 0, Vx + W, Hx + R, Wx + R) \
		V_(W1, VPSRLVQ, AVX2, 0, Vx + W, Hx + R, Wx + R)) \
	OPM(V2, 46, 46, V_(W0, VPSRAVD, AVX2, 0, Vx + W, Hx + R, Wx + R)) \
	OPM(V2, 47, 47, V_(W0, VPSLLVD, AVX2, 0, Vx + W, Hx + R, Wx + R) \
		V_(W1, VPSLLVQ, AVX2, 0, Vx + W, Hx + R, Wx + R)) \
	OPM(V2, 58, 58, V_(W0 | NOV, VPBROADCASTD, AVX2, 0, Vx + W, Wd + R)) \
	OPM(V2, 59, 59, V_(W0 | NOV, VPBROADCASTQ, AVX2, 0, Vx + W, Wq + R)) \
	OPM(V2, 5a, 5a, V_(W0 | L1 | MEM | NOV, VBROADCASTI128, AVX2, 0, Vqq + W, Mo + R)) \
	OPM(V2, 78, 78, V_(W0 | NOV, VPBROADCASTB, AVX2, 0, Vx + W, Wb + R)) \
	OPM(V2, 79, 79, V_(W0 | NOV, VPBROADCASTW, AVX2, 0, Vx + W, Ww + R)) \
	OPM(V2, 8c, 8c, V_(W0 | MEM, VPMASKMOVD, AVX2, 0, Vx + W, Hx + R, Mx + R) \
		V_(W1 | MEM, VPMASKMOVQ, AVX2, 0, Vx + W, Hx + R, Mx + R)) \
	OPM(V2, 8e, 8e, V_(W0 | MEM, VPMASKMOVD, AVX2, 0, Mx + W, Hx + R, Vx + R) \
		V_(W1 | MEM, VPMASKMOVQ, AVX2, 0, Mx + W, Hx + R, Vx + R)) \
	OPM(V2, 90, 90, V_(W0 | MEM, VPGATHERDD, AVX2, GATHER, Vx + RW, Md + R, Hx + RW) \
		V_(W1 | MEM, VPGATHERDQ, AVX2, GATHER, Vx + RW, Mq + R, Hx + RW)) \
	OPM(V2, 91, 91, V_(W0 | MEM, VPGATHERQD, AVX2, GATHER, Vo + RW, Md + R, Ho + RW) \
		V_(W1 | MEM, VPGATHERQQ, AVX2, GATHER, Vx + RW, Mq + R, Hx + RW)) \
	OPM(V2, 92, 92, V_(W0 | MEM, VGATHERDPS, AVX2, GATHER, Vx + RW, Md + R, Hx + RW) \
		V_(W1 | MEM, VGATHERDPD, AVX2, GATHER, Vx + RW, Mq + R, Hx + RW)) \
	OPM(V2, 93, 93, V_(W0 | MEM, VGATHERQPS, AVX2, GATHER, Vo + RW, Md + R, Ho + RW) \
		V_(W1 | MEM, VGATHERQPD, AVX2, GATHER, Vx + RW, Mq + R, Hx + RW)) \
	FMA_FORM(132, 96, 97, 98, 99, 9a, 9b, 9c, 9d, 9e, 9f) \
	FMA_FORM(213, a6, a7, a8, a9, aa, ab, ac, ad, ae, af) \
	FMA_FORM(231, b6, b7, b8, b9, ba, bb, bc, bd, be, bf) \
	SHAOP(c8, SHA1NEXTE) SHAOP(c9, SHA1MSG1) SHAOP(ca, SHA1MSG2) \
	OPM(2, cb, cb, SSE(NP, SHA256RNDS2, SHA, ALIGN, Vo + RW, Wo + R, XMM0 + R)) \
	SHAOP(cc, SHA256MSG1) SHAOP(cd, SHA256MSG2) \
	OPM(2, cf, cf, SSE(P66, GF2P8MULB, GFNI, ALIGN, Vo + RW, Wo + R)) \
	OPM(V2, cf, cf, V_(W0, GF2P8MULB, GFNI, 0, Vx + W, Hx + R, Wx + R)) \
	OPM(2, db, db, SSE(P66, AESIMC, AES, ALIGN, Vo + W, Wo + R)) \
	OPM(V2, db, db, V_(L0 | NOV, AESIMC, AES, 0, Vo + W, Wo + R)) \
	AESOP(dc, AESENC) AESOP(dd, AESENCLAST) AESOP(de, AESDEC) AESOP(df, AESDECLAST)

/* -------- 0F 3A -------- */
#define ROWS_V3 \
	OPM(V3, 00, 00, V_(W1 | L1 | NOV, VPERMQ, AVX2, 0, Vqq + W, Wqq + R, Ib + R)) \
	OPM(V3, 01, 01, V_(W1 | L1 | NOV, VPERMPD, AVX2, 0, Vqq + W, Wqq + R, Ib + R)) \
	OPM(V3, 02, 02, V_(W0, VPBLENDD, AVX2, 0, Vx + W, Hx + R, Wx + R, Ib + R)) \
	OPM(V3, 04, 04, V_(W0 | NOV, VPERMILPS, AVX, 0, Vx + W, Wx + R, Ib + R)) \
	OPM(V3, 05, 05, V_(W0 | NOV, VPERMILPD, AVX, 0, Vx + W, Wx + R, Ib + R)) \
	OPM(V3, 06, 06, V_(W0 | L1, VPERM2F128, AVX, 0, Vqq + W, Hqq + R, Wqq + R, Ib + R)) \
	OPM(3, 08, 08, SSE(P66, ROUNDPS, SSE4_1, ALIGN | FPX, Vo + W, Wo + R, Ib + R)) \
	OPM(V3, 08, 08, V_(NOV, ROUNDPS, AVX, FPX, Vx + W, Wx + R, Ib + R)) \
	OPM(3, 09, 09, SSE(P66, ROUNDPD, SSE4_1, ALIGN | FPX, Vo + W, Wo + R, Ib + R)) \
	OPM(V3, 09, 09, V_(NOV, ROUNDPD, AVX, FPX, Vx + W, Wx + R, Ib + R)) \
	OPM(3, 0a, 0a, SSE(P66, ROUNDSS, SSE4_1, FPX, Vo + RW, Wd + R, Ib + R)) \
	OPM(V3, 0a, 0a, V_(ANY, ROUNDSS, AVX, FPX, Vo + W, Ho + R, Wd + R, Ib + R)) \
	OPM(3, 0b, 0b, SSE(P66, ROUNDSD, SSE4_1, FPX, Vo + RW, Wq + R, Ib + R)) \
	OPM(V3, 0b, 0b, V_(ANY, ROUNDSD, AVX, FPX, Vo + W, Ho + R, Wq + R, Ib + R)) \
	SSE_AVX_IMM(0c, BLENDPS, 0) SSE_AVX_IMM(0d, BLENDPD, 0) \
	OPM(3, 0e, 0e, SSE(P66, PBLENDW, SSE4_1, ALIGN, Vo + RW, Wo + R, Ib + R)) \
	OPM(V3, 0e, 0e, AVXI(P66, PBLENDW, 0, Vx + W, Hx + R, Wx + R, Ib + R)) \
	OPM(3, 0f, 0f, MMX(NP, PALIGNR, SSSE3, 0, Pq + RW, Qq + R, Ib + R) \
		SSE(P66, PALIGNR, SSSE3, ALIGN, Vo + RW, Wo + R, Ib + R)) \
	OPM(V3, 0f, 0f, AVXI(P66, PALIGNR, 0, Vx + W, Hx + R, Wx + R, Ib + R)) \
	OPM(3, 14, 14, SSE(P66, PEXTRB, SSE4_1, 0, EdMb + W, Vo + R, Ib + R)) \
	OPM(V3, 14, 14, V_(L0 | NOV, PEXTRB, AVX, 0, EdMb + W, Vo + R, Ib + R)) \
	OPM(3, 15, 15, SSE(P66, PEXTRW, SSE4_1, 0, EdMw + W, Vo + R, Ib + R)) \
	OPM(V3, 15, 15, V_(L0 | NOV, PEXTRW, AVX, 0, EdMw + W, Vo + R, Ib + R)) \
	OPM(3, 16, 16, SSE(P66, PEXTRD, SSE4_1, 0, Ey + W, Vo + R, Ib + R)) \
	OPM(V3, 16, 16, V_(W0 | L0 | NOV, PEXTRD, AVX, 0, Ey + W, Vo + R, Ib + R) \
		V_(Q1 | L0 | NOV, PEXTRD, AVX, 0, Ey + W, Vo + R, Ib + R)) \
	OPM(3, 17, 17, SSE(P66, EXTRACTPS, SSE4_1, 0, Ed + W, Vo + R, Ib + R)) \
	OPM(V3, 17, 17, V_(L0 | NOV, EXTRACTPS, AVX, 0, Ed + W, Vo + R, Ib + R)) \
	OPM(V3, 18, 18, V_(W0 | L1, VINSERTF128, AVX, 0, Vqq + W, Hqq + R, Wo + R, Ib + R)) \
	OPM(V3, 19, 19, V_(W0 | L1 | NOV, VEXTRACTF128, AVX, 0, Wo + W, Vqq + R, Ib + R)) \
	OPM(V3, 1d, 1d, V_(W0 | NOV, VCVTPS2PH, F16C, FPX, Wxh + W, Vx + R, Ib + R)) \
	OPM(3, 20, 20, SSE(P66, PINSRB, SSE4_1, 0, Vo + RW, EdMb + R, Ib + R)) \
	OPM(V3, 20, 20, V_(L0, PINSRB, AVX, 0, Vo + W, Ho + R, EdMb + R, Ib + R)) \
	OPM(3, 21, 21, SSE(P66, INSERTPS, SSE4_1, 0, Vo + RW, Wd + R, Ib + R)) \
	OPM(V3, 21, 21, V_(L0, INSERTPS, AVX, 0, Vo + W, Ho + R, Wd + R, Ib + R)) \
	OPM(3, 22, 22, SSE(P66, PINSRD, SSE4_1, 0, Vo + RW, Ey + R, Ib + R)) \
	OPM(V3, 22, 22, V_(W0 | L0, PINSRD, AVX, 0, Vo + W, Ho + R, Ey + R, Ib + R) \
		V_(Q1 | L0, PINSRD, AVX, 0, Vo + W, Ho + R, Ey + R, Ib + R)) \
	OPM(V3, 38, 38, V_(W0 | L1, VINSERTI128, AVX2, 0, Vqq + W, Hqq + R, Wo + R, Ib + R)) \
	OPM(V3, 39, 39, V_(W0 | L1 | NOV, VEXTRACTI128, AVX2, 0, Wo + W, Vqq + R, Ib + R)) \
	SSE_AVX_IMM(40, DPPS, FPX) \
	OPM(3, 41, 41, SSE(P66, DPPD, SSE4_1, ALIGN | FPX, Vo + RW, Wo + R, Ib + R)) \
	OPM(V3, 41, 41, V_(L0, DPPD, AVX, FPX, Vo + W, Ho + R, Wo + R, Ib + R)) \
	OPM(3, 42, 42, SSE(P66, MPSADBW, SSE4_1, ALIGN, Vo + RW, Wo + R, Ib + R)) \
	OPM(V3, 42, 42, AVXI(P66, MPSADBW, 0, Vx + W, Hx + R, Wx + R, Ib + R)) \
	OPM(3, 44, 44, SSE(P66, PCLMULQDQ, PCLMUL, ALIGN, Vo + RW, Wo + R, Ib + R)) \
	OPM(V3, 44, 44, V_(L0, PCLMULQDQ, PCLMUL, 0, Vx + W, Hx + R, Wx + R, Ib + R) \
		V_(L1, PCLMULQDQ, VPCLMUL, 0, Vx + W, Hx + R, Wx + R, Ib + R)) \
	OPM(V3, 46, 46, V_(W0 | L1, VPERM2I128, AVX2, 0, Vqq + W, Hqq + R, Wqq + R, Ib + R)) \
	OPM(V3, 4a, 4a, V_(W0, BLENDVPS, AVX, 0, Vx + W, Hx + R, Wx + R, Lx + R)) \
	OPM(V3, 4b, 4b, V_(W0, BLENDVPD, AVX, 0, Vx + W, Hx + R, Wx + R, Lx + R)) \
	OPM(V3, 4c, 4c, AVXI(P66 | W0, PBLENDVB, 0, Vx + W, Hx + R, Wx + R, Lx + R)) \
	STRING_CMP(60, PCMPESTRM) STRING_CMP(61, PCMPESTRI) STRING_CMP(62, PCMPISTRM) STRING_CMP(63, PCMPISTRI) \
	OPM(3, cc, cc, SSE(NP, SHA1RNDS4, SHA, ALIGN, Vo + RW, Wo + R, Ib + R)) \
	OPM(3, ce, ce, SSE(P66, GF2P8AFFINEQB, GFNI, ALIGN, Vo + RW, Wo + R, Ib + R)) \
	OPM(V3, ce, ce, V_(W1, GF2P8AFFINEQB, GFNI, 0, Vx + W, Hx + R, Wx + R, Ib + R)) \
	OPM(3, cf, cf, SSE(P66, GF2P8AFFINEINVQB, GFNI, ALIGN, Vo + RW, Wo + R, Ib + R)) \
	OPM(V3, cf, cf, V_(W1, GF2P8AFFINEINVQB, GFNI, 0, Vx + W, Hx + R, Wx + R, Ib + R)) \
	OPM(3, df, df, SSE(P66, AESKEYGENASSIST, AES, ALIGN, Vo + W, Wo + R, Ib + R)) \
	OPM(V3, df, df, V_(L0 | NOV, AESKEYGENASSIST, AES, 0, Vo + W, Wo + R, Ib + R))
/* clang-format on */
