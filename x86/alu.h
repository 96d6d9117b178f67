/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * alu - arithmetic of general registers with all flags, done by the host's own ALU: what the manual
 * leaves undefined comes out as on a real CPU.
 *
 * Everywhere: @size is 1, 2, 4 or 8 bytes (mostly a constant: one instruction remains); what lies
 * above it in operands is ignored; a result is zero-extended. *@fl is RFLAGS, of which the status
 * flags are replaced. Flags leave the CPU by LAHF and SETO and enter it by SAHF and an addition that
 * overflows or not: POPF would cost ten times as much.
 */
#ifndef X86_ALU_H
#define X86_ALU_H

#include "x86/env.h"
#include "x86/regs.h"

#define X86_ALU static inline __attribute__((always_inline, unused))

/* Status flags in AX as they lie in RFLAGS, into the CPU and out of it. */
#define X86_ALU_IN  "rolw $8, %%ax\n\taddb $0x78, %%al\n\tsahf\n\t"
#define X86_ALU_OUT "\n\tlahf\n\tseto %%al\n\tshlb $3, %%al\n\trolw $8, %%ax"

X86_ALU uint32_t x86_alu_ax(uint64_t fl)
{
	return (uint32_t)fl & X86_FLAGS_STATUS;
}

X86_ALU uint64_t x86_alu_merge(uint64_t fl, uint32_t ax)
{
	return (fl & ~(uint64_t)X86_FLAGS_STATUS) | (ax & X86_FLAGS_STATUS);
}

X86_ALU uint64_t x86_zext(unsigned int size, uint64_t a)
{
	return size == 1 ? (uint8_t)a : size == 2 ? (uint16_t)a : size == 4 ? (uint32_t)a : a;
}

X86_ALU uint64_t x86_sext(unsigned int size, uint64_t a)
{
	return size == 1   ? (uint64_t)(int8_t)a
	       : size == 2 ? (uint64_t)(int16_t)a
	       : size == 4 ? (uint64_t)(int32_t)a
			   : a;
}

/* What makes a new value of an operand, with another one @b or without. */
typedef uint64_t x86_alu_fn(unsigned int size, uint64_t a, uint64_t b, uint64_t *fl);

/* x86_alu_NAME() out of X86_ASM_NAME(suffix, operand modifier), an asm statement. */
#define X86_ALU_FN(name)                                                                         \
	X86_ALU uint64_t x86_alu_##name(unsigned int size, uint64_t a, uint64_t b, uint64_t *fl) \
	{                                                                                        \
		uint32_t ax = x86_alu_ax(*fl);                                                   \
                                                                                                 \
		switch (size) {                                                                  \
		case 1:                                                                          \
			X86_ASM_##name("b", "%b");                                               \
			break;                                                                   \
		case 2:                                                                          \
			X86_ASM_##name("w", "%w");                                               \
			break;                                                                   \
		case 4:                                                                          \
			X86_ASM_##name("l", "%k");                                               \
			break;                                                                   \
		default:                                                                         \
			X86_ASM_##name("q", "%q");                                               \
			break;                                                                   \
		}                                                                                \
		*fl = x86_alu_merge(*fl, ax);                                                    \
		return x86_zext(size, a);                                                        \
	}

/* Flags depend on the operands alone. */
#define X86_ASM_BINARY(insn, s, m) \
	asm(insn s " " m "[b], " m "[a]" X86_ALU_OUT : [a] "+r"(a), "=&a"(ax) : [b] "r"(b) : "cc")
#define X86_ASM_add(s, m) X86_ASM_BINARY("add", s, m)
#define X86_ASM_sub(s, m) X86_ASM_BINARY("sub", s, m)
#define X86_ASM_and(s, m) X86_ASM_BINARY("and", s, m)
#define X86_ASM_or(s, m)  X86_ASM_BINARY("or", s, m)
#define X86_ASM_xor(s, m) X86_ASM_BINARY("xor", s, m)
X86_ALU_FN(add)
X86_ALU_FN(sub)
X86_ALU_FN(and)
X86_ALU_FN(or)
X86_ALU_FN(xor)

/* Those that only compare: @a is returned as it was. */
#define X86_ASM_COMPARE(insn, s, m) \
	asm(insn s " " m "[b], " m "[a]" X86_ALU_OUT : "=&a"(ax) : [a] "r"(a), [b] "r"(b) : "cc")
#define X86_ASM_cmp(s, m)  X86_ASM_COMPARE("cmp", s, m)
#define X86_ASM_test(s, m) X86_ASM_COMPARE("test", s, m)
X86_ALU_FN(cmp)
X86_ALU_FN(test)

/* CF comes in: from bit 0 of RFLAGS. */
#define X86_ASM_CARRY(insn, s, m)                                        \
	asm("btl $0, %k[f]\n\t" insn s " " m "[b], " m "[a]" X86_ALU_OUT \
		: [a] "+r"(a), "=&a"(ax)                                 \
		: [b] "r"(b), [f] "r"(*fl)                               \
		: "cc")
#define X86_ASM_adc(s, m) X86_ASM_CARRY("adc", s, m)
#define X86_ASM_sbb(s, m) X86_ASM_CARRY("sbb", s, m)
X86_ALU_FN(adc)
X86_ALU_FN(sbb)

/* One operand; INC and DEC leave CF as it was. */
#define X86_ASM_UNARY(insn, s, m)                              \
	asm("btl $0, %k[f]\n\t" insn s " " m "[a]" X86_ALU_OUT \
		: [a] "+r"(a), "=&a"(ax)                       \
		: [f] "r"(*fl)                                 \
		: "cc")
#define X86_ASM_inc(s, m) X86_ASM_UNARY("inc", s, m)
#define X86_ASM_dec(s, m) X86_ASM_UNARY("dec", s, m)
#define X86_ASM_neg(s, m) X86_ASM_UNARY("neg", s, m)
X86_ALU_FN(inc)
X86_ALU_FN(dec)
X86_ALU_FN(neg)

X86_ALU uint64_t x86_alu_not(unsigned int size, uint64_t a, uint64_t b, uint64_t *fl)
{
	return x86_zext(size, ~a);
}

/* By a count in CL. Some flags, or all with a count of 0, stay: so all of them come in. */
#define X86_ASM_SHIFT(insn, s, m)                           \
	asm(X86_ALU_IN insn s " %%cl, " m "[a]" X86_ALU_OUT \
		: [a] "+r"(a), "+&a"(ax)                    \
		: "c"(b)                                    \
		: "cc")
#define X86_ASM_rol(s, m) X86_ASM_SHIFT("rol", s, m)
#define X86_ASM_ror(s, m) X86_ASM_SHIFT("ror", s, m)
#define X86_ASM_rcl(s, m) X86_ASM_SHIFT("rcl", s, m)
#define X86_ASM_rcr(s, m) X86_ASM_SHIFT("rcr", s, m)
#define X86_ASM_shl(s, m) X86_ASM_SHIFT("shl", s, m)
#define X86_ASM_shr(s, m) X86_ASM_SHIFT("shr", s, m)
#define X86_ASM_sar(s, m) X86_ASM_SHIFT("sar", s, m)
X86_ALU_FN(rol)
X86_ALU_FN(ror)
X86_ALU_FN(rcl)
X86_ALU_FN(rcr)
X86_ALU_FN(shl)
X86_ALU_FN(shr)
X86_ALU_FN(sar)

/* Likewise without a byte form. */
#define X86_ALU_WORDS(name)                                                                      \
	X86_ALU uint64_t x86_alu_##name(unsigned int size, uint64_t a, uint64_t b, uint64_t *fl) \
	{                                                                                        \
		uint32_t ax = x86_alu_ax(*fl);                                                   \
                                                                                                 \
		if (size == 2)                                                                   \
			X86_ASM_##name("w", "%w");                                               \
		else if (size == 4)                                                              \
			X86_ASM_##name("l", "%k");                                               \
		else                                                                             \
			X86_ASM_##name("q", "%q");                                               \
		*fl = x86_alu_merge(*fl, ax);                                                    \
		return x86_zext(size, a);                                                        \
	}
#define X86_ASM_WORDS(insn, s, m)                               \
	asm(X86_ALU_IN insn s " " m "[b], " m "[a]" X86_ALU_OUT \
		: [a] "+r"(a), "+&a"(ax)                        \
		: [b] "r"(b)                                    \
		: "cc")
/* Bit number @b modulo the operand's width. */
#define X86_ASM_bt(s, m)   X86_ASM_WORDS("bt", s, m)
#define X86_ASM_bts(s, m)  X86_ASM_WORDS("bts", s, m)
#define X86_ASM_btr(s, m)  X86_ASM_WORDS("btr", s, m)
#define X86_ASM_btc(s, m)  X86_ASM_WORDS("btc", s, m)
#define X86_ASM_imul(s, m) X86_ASM_WORDS("imul", s, m) /* two operands */
X86_ALU_WORDS(bt)
X86_ALU_WORDS(bts)
X86_ALU_WORDS(btr)
X86_ALU_WORDS(btc)
X86_ALU_WORDS(imul)

/* BSF and BSR of @b; @a is the destination as it was, all 64 bits, and so is the result: what is
 * left of it when @b is 0 (the upper half too) is up to the CPU. */
#define X86_ALU_SCAN(name)                                                                       \
	X86_ALU uint64_t x86_alu_##name(unsigned int size, uint64_t a, uint64_t b, uint64_t *fl) \
	{                                                                                        \
		uint32_t ax = x86_alu_ax(*fl);                                                   \
                                                                                                 \
		if (size == 2)                                                                   \
			X86_ASM_WORDS(#name, "w", "%w");                                         \
		else if (size == 4)                                                              \
			X86_ASM_WORDS(#name, "l", "%k");                                         \
		else                                                                             \
			X86_ASM_WORDS(#name, "q", "%q");                                         \
		*fl = x86_alu_merge(*fl, ax);                                                    \
		return a;                                                                        \
	}
X86_ALU_SCAN(bsf)
X86_ALU_SCAN(bsr)

/* SHLD and SHRD: @a shifted by @count, bits of @b coming in. */
#define X86_ASM_DOUBLE(insn, s, m)                                    \
	asm(X86_ALU_IN insn s " %%cl, " m "[b], " m "[a]" X86_ALU_OUT \
		: [a] "+r"(a), "+&a"(ax)                              \
		: [b] "r"(b), "c"(count)                              \
		: "cc")
#define X86_ALU_DOUBLE(name)                                                                 \
	X86_ALU uint64_t x86_alu_##name(                                                     \
		unsigned int size, uint64_t a, uint64_t b, unsigned int count, uint64_t *fl) \
	{                                                                                    \
		uint32_t ax = x86_alu_ax(*fl);                                               \
                                                                                             \
		if (size == 2)                                                               \
			X86_ASM_DOUBLE(#name, "w", "%w");                                    \
		else if (size == 4)                                                          \
			X86_ASM_DOUBLE(#name, "l", "%k");                                    \
		else                                                                         \
			X86_ASM_DOUBLE(#name, "q", "%q");                                    \
		*fl = x86_alu_merge(*fl, ax);                                                \
		return x86_zext(size, a);                                                    \
	}
X86_ALU_DOUBLE(shld)
X86_ALU_DOUBLE(shrd)

X86_ALU uint64_t x86_alu_bswap(unsigned int size, uint64_t a)
{
	if (size == 8)
		return __builtin_bswap64(a);
	if (size == 4)
		return __builtin_bswap32((uint32_t)a);
	/* BSWAP of 16 bits is undefined: as the CPU does it. */
	asm(".byte 0x66, 0x0f, 0xc8" : "+a"(a)); /* bswap %ax */
	return (uint16_t)a;
}

/* MUL, IMUL, DIV, IDIV on rDX:rAX, of size 1 on AX, which is then in *@lo. */
#define X86_ASM_WIDE(insn, s, m)                                \
	asm(X86_ALU_IN "movq %[lo], %%rax\n\t" insn s " " m     \
		       "[src]\n\tmovq %%rax, %[lo]" X86_ALU_OUT \
		: [lo] "+&r"(*lo), "+&d"(*hi), "+&a"(ax)        \
		: [src] "r"(src)                                \
		: "cc")
#define X86_ALU_WIDE(name)                                                                 \
	X86_ALU void x86_alu_wide_##name(                                                  \
		unsigned int size, uint64_t *lo, uint64_t *hi, uint64_t src, uint64_t *fl) \
	{                                                                                  \
		uint32_t ax = x86_alu_ax(*fl);                                             \
                                                                                           \
		if (size == 1)                                                             \
			X86_ASM_WIDE(#name, "b", "%b");                                    \
		else if (size == 2)                                                        \
			X86_ASM_WIDE(#name, "w", "%w");                                    \
		else if (size == 4)                                                        \
			X86_ASM_WIDE(#name, "l", "%k");                                    \
		else                                                                       \
			X86_ASM_WIDE(#name, "q", "%q");                                    \
		*fl = x86_alu_merge(*fl, ax);                                              \
		*lo = x86_zext(size == 1 ? 2 : size, *lo);                                 \
		*hi = x86_zext(size, *hi);                                                 \
	}
X86_ALU_WIDE(mul)
X86_ALU_WIDE(imul)
X86_ALU_WIDE(div)  /* only what x86_div_ok() has allowed */
X86_ALU_WIDE(idiv) /* only what x86_idiv_ok() has allowed */

/* Does the quotient fit? If not: #DE. Operands as of x86_alu_wide_div(). */
X86_ALU bool x86_div_ok(unsigned int size, uint64_t lo, uint64_t hi, uint64_t src)
{
	if (size == 1)
		return (uint8_t)(lo >> 8) < (uint8_t)src;
	return x86_zext(size, hi) < x86_zext(size, src);
}

X86_ALU bool x86_idiv_ok(unsigned int size, uint64_t lo, uint64_t hi, uint64_t src)
{
	uint64_t q, r;
	bool minus = false;

	if (size == 1) {
		hi = (uint64_t)(int8_t)(lo >> 8);
		lo = x86_sext(1, lo);
	} else if (size < 8) { /* sign-extended, all is below 2^63 */
		hi = x86_sext(size, hi);
		lo = x86_sext(size, lo);
	}
	src = x86_sext(size, src);
	if (src + 1 > 1 && hi == ((int64_t)lo < 0 ? ~0ull : 0))
		return true; /* the dividend has the divisor's width, which is neither 0 nor -1 */
	/* On absolute values: of the dividend, 2 * size bytes, in hi:lo; then in hi:lo of 128 bits. */
	if (size < 8) {
		unsigned int bits = 8 * size;

		lo = (hi << bits) | x86_zext(size, lo);
		hi = (int64_t)lo < 0 ? ~0ull : 0;
	}
	if ((int64_t)hi < 0) {
		minus = true;
		lo = -lo;
		hi = ~hi + !lo;
	}
	if ((int64_t)src < 0) {
		minus = !minus;
		src = -src;
	}
	if (hi >= src)
		return false;
	asm("divq %[src]" : "=a"(q), "=d"(r) : "0"(lo), "1"(hi), [src] "r"(src) : "cc");
	return q <= (~0ull >> (65 - 8 * size)) + minus;
}

/* Condition @cc (the opcode's low four bits). */
X86_ALU bool x86_cond(unsigned int cc, uint64_t fl)
{
	uint64_t r;

	switch (cc >> 1 & 7) {
	case 0:
		r = fl & X86_FLAG_OF;
		break;
	case 1:
		r = fl & X86_FLAG_CF;
		break;
	case 2:
		r = fl & X86_FLAG_ZF;
		break;
	case 3:
		r = fl & (X86_FLAG_CF | X86_FLAG_ZF);
		break;
	case 4:
		r = fl & X86_FLAG_SF;
		break;
	case 5:
		r = fl & X86_FLAG_PF;
		break;
	case 6:
		r = (fl ^ fl >> 4) & X86_FLAG_SF;
		break;
	default:
		r = ((fl ^ fl >> 4) & X86_FLAG_SF) | (fl & X86_FLAG_ZF);
		break;
	}
	return (r != 0) != (cc & 1);
}

#endif
