/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Encodings checked by hand against the manuals, in all three code sizes; then what must hold for all
 * rows. tests/cpu compares with another decoder and with the CPU itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "x86/decode.h"
#include "x86/decode_table.h"

/*
 * An instruction as text: name, operands as KIND.SIZE:ACCESS, those not encoded in parentheses.
 * Registers by number: r0 general, h0 AH, v0 vector, m0 MMX, st0, s0 segment, cr0, dr0; [seg base +
 * index*scale + displacement], #immediate, ->displacement of a branch.
 */
static void put_mem(const struct x86_insn *i, const struct x86_operand *o, char *s)
{
	static const char segs[][3] = { "es", "cs", "ss", "ds", "fs", "gs" };
	unsigned int base = o->implicit ? o->reg : i->base;
	int n = sprintf(s, "[%s",
		segs[o->implicit && o->reg == X86_RDI && i->flags & X86_I_STRING ? X86_ES
										 : i->seg]);

	if (base == X86_REG_RIP)
		n += sprintf(s + n, " rip");
	else if (base != X86_REG_NONE)
		n += sprintf(s + n, " r%d", base);
	if (i->index != X86_REG_NONE)
		n += sprintf(s + n, " %s%d*%d", i->flags & X86_I_VSIB ? "v" : "r", i->index,
			1 << i->scale);
	if (i->disp)
		n += sprintf(s + n, " %lld", (long long)i->disp);
	strcpy(s + n, "]");
}

static void put_operand(const struct x86_insn *i, const struct x86_operand *o, char *s)
{
	static const char *const kinds[] = {
		[X86_OPND_GPR] = "r",
		[X86_OPND_GPR_H] = "h",
		[X86_OPND_SEG] = "s",
		[X86_OPND_CR] = "cr",
		[X86_OPND_DR] = "dr",
		[X86_OPND_ST] = "st",
		[X86_OPND_MMX] = "m",
		[X86_OPND_VEC] = "v",
	};

	switch (o->kind) {
	case X86_OPND_MEM:
		put_mem(i, o, s);
		break;
	case X86_OPND_IMM:
		sprintf(s, "#%llx", (unsigned long long)i->imm);
		break;
	case X86_OPND_IMM2:
		sprintf(s, "#%x", i->imm2);
		break;
	case X86_OPND_REL:
		sprintf(s, "->%lld", (long long)i->imm);
		break;
	case X86_OPND_FAR:
		sprintf(s, "%x:%llx", i->imm2, (unsigned long long)i->imm);
		break;
	case X86_OPND_ONE:
		sprintf(s, "1");
		break;
	default:
		sprintf(s, "%s%d", kinds[o->kind], o->reg);
	}
	sprintf(s + strlen(s), ".%d%s%s", o->size, o->access ? ":" : "",
		o->access == 3	 ? "rw"
		: o->access == 2 ? "w"
		: o->access	 ? "r"
				 : "");
}

static void put_insn(const struct x86_insn *i, char *s)
{
	char one[80];

	strcpy(s, x86_op_name(i->op));
	for (int n = 0; n < i->n_operands; n++) {
		put_operand(i, &i->operand[n], one);
		sprintf(s + strlen(s), i->operand[n].implicit ? " (%s)" : " %s", one);
	}
}

static size_t bytes_of(const char *hex, uint8_t *out)
{
	size_t n = 0;
	char *end;

	while (*hex) {
		out[n++] = (uint8_t)strtoul(hex, &end, 16);
		hex = end;
		while (*hex == ' ')
			hex++;
	}
	return n;
}

/* @text NULL: no instruction. */
static const struct {
	int bits;
	const char *hex, *text;
} cases[] = {
	/* ModRM, SIB, displacements */
	{ 64, "01 c8", "add r0.4:rw r1.4:r" },
	{ 64, "48 01 48 fc", "add [ds r0 -4].8:rw r1.8:r" },
	{ 64, "4d 03 84 8d 78 56 34 12", "add r8.8:rw [ds r13 r1*4 305419896].8:r" },
	{ 64, "03 44 24 08", "add r0.4:rw [ss r4 8].4:r" },
	{ 64, "03 45 00", "add r0.4:rw [ss r5].4:r" },
	{ 64, "41 03 45 00", "add r0.4:rw [ds r13].4:r" },
	{ 64, "43 03 04 24", "add r0.4:rw [ds r12 r12*1].4:r" },
	{ 64, "03 05 00 00 00 80", "add r0.4:rw [ds rip -2147483648].4:r" },
	{ 64, "67 03 05 10 00 00 00", "add r0.4:rw [ds rip 16].4:r" },
	{ 64, "03 04 25 00 00 00 80", "add r0.4:rw [ds -2147483648].4:r" },
	{ 64, "03 04 6d 04 00 00 00", "add r0.4:rw [ds r5*2 4].4:r" },
	{ 32, "03 05 10 00 00 00", "add r0.4:rw [ds 16].4:r" },
	{ 32, "67 03 42 fe", "add r0.4:rw [ss r5 r6*1 -2].4:r" },
	{ 16, "03 07", "add r0.2:rw [ds r3].2:r" },
	{ 16, "03 00", "add r0.2:rw [ds r3 r6*1].2:r" },
	{ 16, "03 46 00", "add r0.2:rw [ss r5].2:r" },
	{ 16, "03 06 34 12", "add r0.2:rw [ds 4660].2:r" },
	{ 16, "66 67 03 04 24", "add r0.4:rw [ss r4].4:r" },
	{ 32, "66 03 04 24", "add r0.2:rw [ss r4].2:r" },
	/* segments */
	{ 64, "64 8b 00", "mov r0.4:w [fs r0].4:r" },
	{ 64, "64 2e 8b 00", "mov r0.4:w [fs r0].4:r" },
	{ 64, "2e 8b 00", "mov r0.4:w [ds r0].4:r" },
	{ 32, "64 2e 8b 00", "mov r0.4:w [cs r0].4:r" },
	{ 32, "36 8b 00", "mov r0.4:w [ss r0].4:r" },
	/* byte registers */
	{ 64, "88 e1", "mov r1.1:w h0.1:r" },
	{ 64, "40 88 e1", "mov r1.1:w r4.1:r" },
	{ 64, "48 66 88 e1", "mov r1.1:w h0.1:r" },
	{ 64, "b7 80", "mov h3.1:w #80.1:r" },
	{ 64, "41 b7 80", "mov r15.1:w #80.1:r" },
	{ 64, "f6 d4", "not h0.1:rw" },
	/* immediates */
	{ 64, "48 83 c0 ff", "add r0.8:rw #ffffffffffffffff.8:r" },
	{ 64, "48 81 c0 00 00 00 80", "add r0.8:rw #ffffffff80000000.8:r" },
	{ 64, "66 81 c0 00 80", "add r0.2:rw #ffffffffffff8000.2:r" },
	{ 64, "04 80", "add (r0.1:rw) #ffffffffffffff80.1:r" },
	{ 64, "48 b8 88 77 66 55 44 33 22 11", "mov r0.8:w #1122334455667788.8:r" },
	{ 64, "b8 00 00 00 80", "mov r0.4:w #80000000.4:r" },
	{ 64, "48 c7 c0 00 00 00 80", "mov r0.8:w #ffffffff80000000.8:r" },
	{ 64, "c1 e0 ff", "shl r0.4:rw #ff.1:r" },
	{ 64, "c1 f0 01", "shl r0.4:rw #1.1:r" },
	{ 64, "d1 f0", "shl r0.4:rw 1.1:r" },
	{ 64, "d3 38", "sar [ds r0].4:rw (r1.1:r)" },
	{ 64, "f7 c8 01 00 00 00", "test r0.4:r #1.4:r" },
	{ 64, "6b c3 80", "imul r0.4:w r3.4:r #ffffffffffffff80.4:r" },
	{ 64, "c8 00 ff 1f", "enter #ff00.2:r #1f.1:r" },
	{ 64, "6a 80", "push #ffffffffffffff80.8:r" },
	{ 16, "68 00 80", "push #ffffffffffff8000.2:r" },
	{ 64, "cd 80", "int #80.1:r" },
	{ 64, "c2 f0 ff", "ret #fff0.2:r" },
	{ 32, "9a 78 56 34 12 10 00", "call far 10:12345678.6:r" },
	{ 16, "ea 34 12 10 00", "jmp far 10:1234.4:r" },
	{ 64, "a1 88 77 66 55 44 33 22 11", "mov (r0.4:w) [ds 1234605616436508552].4:r" },
	{ 64, "67 a0 00 00 00 80", "mov (r0.1:w) [ds 2147483648].1:r" },
	{ 16, "64 a3 00 80", "mov [fs 32768].2:w (r0.2:r)" },
	/* stack and branches */
	{ 64, "50", "push r0.8:r" },
	{ 64, "66 50", "push r0.2:r" },
	{ 64, "41 57", "push r15.8:r" },
	{ 64, "8f 00", "pop [ds r0].8:w" },
	{ 64, "ff 30", "push [ds r0].8:r" },
	{ 64, "0f a8", "push (s5.2:r)" },
	{ 64, "ff d0", "call r0.8:r" },
	{ 64, "66 ff e0", "jmp r0.2:r" },
	{ 64, "48 ff 28", "jmp far [ds r0].10:r" },
	{ 64, "ff 18", "call far [ds r0].6:r" },
	{ 64, "eb fe", "jmp ->-2.8:r" },
	{ 64, "e8 00 00 00 80", "call ->-2147483648.8:r" },
	{ 64, "66 e9 00 80", "jmp ->-32768.2:r" },
	{ 16, "0f 84 fd ff", "jcc ->-3.2:r" },
	{ 16, "66 0f 84 fd ff ff ff", "jcc ->-3.4:r" },
	{ 64, "67 e3 10", "jcxz ->16.8:r" },
	/* strings */
	{ 64, "f3 48 a5", "movs ([es r7].8:w) ([ds r6].8:r)" },
	{ 64, "64 a6", "cmps ([fs r6].1:r) ([es r7].1:r)" },
	{ 32, "2e ab", "stos ([es r7].4:w) (r0.4:r)" },
	{ 32, "2e ac", "lods (r0.1:w) ([cs r6].1:r)" },
	{ 64, "48 6d", "ins ([es r7].4:w) (r2.2:r)" },
	{ 64, "65 d7", "xlat (r0.1:rw) ([gs r3].1:r)" },
	/* exchange and its alias */
	{ 64, "90", "nop" },
	{ 64, "f3 90", "pause" },
	{ 64, "41 90", "xchg r8.4:rw (r0.4:rw)" },
	{ 64, "f3 41 90", "xchg r8.4:rw (r0.4:rw)" },
	{ 64, "48 95", "xchg r5.8:rw (r0.8:rw)" },
	/* 64-bit code has, or has not */
	{ 64, "48 63 c8", "movsxd r1.8:w r0.4:r" },
	{ 64, "63 08", "movsxd r1.4:w [ds r0].4:r" },
	{ 32, "63 08", "arpl [ds r0].2:rw r1.2:r" },
	{ 32, "40", "inc r0.4:rw" },
	{ 32, "d6", "salc" },
	{ 64, "d6", NULL },
	{ 64, "06", NULL },
	{ 64, "0e", NULL },
	{ 64, "27", NULL },
	{ 64, "60", NULL },
	{ 64, "ce", NULL },
	{ 64, "d4 0a", NULL },
	{ 64, "9a 00 00 00 00 00 00", NULL },
	{ 32, "82 c0 01", "add r0.1:rw #1.1:r" },
	{ 64, "82 c0 01", NULL },
	{ 32, "62 08", "bound r1.4:r [ds r0].8:r" },
	{ 32, "62 c8", NULL },
	{ 32, "c4 08", "les r1.4:w [ds r0].6:r" },
	{ 32, "c5 08", "lds r1.4:w [ds r0].6:r" },
	{ 64, "0f 01 f8", "swapgs" },
	{ 32, "0f 01 f8", NULL },
	/* segment, control, debug registers, tables */
	{ 64, "8c d8", "mov r0.4:w s3.2:r" },
	{ 64, "48 8c 18", "mov [ds r0].2:w s3.2:r" },
	{ 64, "8e d8", "mov s3.2:w r0.2:r" },
	{ 64, "8e c8", NULL },
	{ 64, "8c f0", NULL },
	{ 64, "0f 20 d8", "mov r0.8:w cr3.8:r" },
	{ 32, "0f 22 00", "mov cr0.4:w r0.4:r" },
	{ 64, "44 0f 22 c1", "mov cr8.8:w r1.8:r" },
	{ 32, "f0 0f 22 c1", "mov cr8.4:w r1.4:r" },
	{ 32, "f0 0f 22 d9", NULL },
	{ 64, "0f 22 c8", NULL },
	{ 64, "0f 23 f8", "mov dr7.8:w r0.8:r" },
	{ 64, "44 0f 23 f8", NULL },
	{ 64, "0f 01 10", "lgdt [ds r0].10:r" },
	{ 32, "0f 01 18", "lidt [ds r0].6:r" },
	{ 64, "0f 01 20", "smsw [ds r0].2:w" },
	{ 64, "0f 01 e0", "smsw r0.4:w" },
	{ 64, "0f 00 d8", "ltr r0.2:r" },
	{ 64, "0f 02 c1", "lar r0.4:w r1.4:r" },
	{ 64, "0f c7 08", "cmpxchg8b [ds r0].8:rw" },
	{ 64, "48 0f c7 08", "cmpxchg16b [ds r0].16:rw" },
	{ 64, "0f c7 c8", NULL },
	{ 64, "48 0f ae 00", "fxsave [ds r0].512:w" },
	{ 64, "48 0f ae 20", "xsave [ds r0].0:rw" },
	{ 64, "0f ae e8", "lfence" },
	{ 64, "66 0f ae 38", "clflushopt [ds r0].1" },
	{ 64, "f3 48 0f ae c0", "rdfsbase r0.8:w" },
	{ 32, "f3 0f ae c0", NULL },
	{ 64, "f3 0f c7 f8", "rdpid r0.8:w" },
	{ 64, "66 0f c7 f0", "rdrand r0.2:w" },
	{ 64, "66 0f 38 82 08", "invpcid r1.8:r [ds r0].16:r" },
	{ 64, "f3 0f 1e fa", "nop r2.4" },
	{ 64, "0f 18 08", "prefetch [ds r0].1" },
	{ 64, "0f 0b", "ud2" },
	{ 64, "0f b9 00", "ud1 r0.4 [ds r0].4" },
	{ 64, "0f ff c0", "ud0 r0.4 r0.4" },
	{ 64, "f1", "int1" },
	{ 64, "0f 04", NULL },
	/* LOCK */
	{ 64, "f0 01 08", "add [ds r0].4:rw r1.4:r" },
	{ 64, "f0 01 c8", NULL },
	{ 64, "f0 03 08", NULL },
	{ 64, "f0 39 08", NULL },
	{ 64, "f0 87 08", "xchg [ds r0].4:rw r1.4:rw" },
	{ 64, "f0 0f ba 28 07", "bts [ds r0].4:rw #7.1:r" },
	{ 64, "f0 0f ba 20 07", NULL },
	{ 64, "f0 89 08", NULL },
	{ 64, "f0 90", NULL },
	/* groups with holes */
	{ 64, "c6 08 00", NULL },
	{ 64, "c7 f8 00 00 00 00", NULL },
	{ 64, "8f c8 00", NULL },
	{ 64, "fe d0", NULL },
	{ 64, "ff f8", NULL },
	{ 64, "ff d8", NULL },
	{ 64, "8d c0", NULL },
	{ 64, "62 f1 7c 48 10 06", NULL },
	{ 64, "0f 0f c1 9e", NULL },
	/* mandatory prefixes of general-purpose instructions */
	{ 64, "f3 0f b8 c1", "popcnt r0.4:w r1.4:r" },
	{ 64, "66 f3 48 0f b8 c1", "popcnt r0.8:w r1.8:r" },
	{ 64, "66 f3 0f b8 c1", "popcnt r0.2:w r1.2:r" },
	{ 64, "0f b8 c1", NULL },
	{ 64, "0f bc c1", "bsf r0.4:rw r1.4:r" },
	{ 64, "f2 0f bc c1", "bsf r0.4:rw r1.4:r" },
	{ 64, "f3 0f bc c1", "tzcnt r0.4:w r1.4:r" },
	{ 64, "0f 38 f0 08", "movbe r1.4:w [ds r0].4:r" },
	{ 64, "66 0f 38 f1 08", "movbe [ds r0].2:w r1.2:r" },
	{ 64, "0f 38 f0 c8", NULL },
	{ 64, "f2 0f 38 f0 c8", "crc32 r1.4:rw r0.1:r" },
	{ 64, "66 f2 0f 38 f1 c8", "crc32 r1.4:rw r0.2:r" },
	{ 64, "f2 48 0f 38 f1 c8", "crc32 r1.8:rw r0.8:r" },
	{ 64, "66 0f 38 f6 c8", "adcx r1.4:rw r0.4:r" },
	{ 64, "66 f3 48 0f 38 f6 c8", "adox r1.8:rw r0.8:r" },
	/* VEX, general registers */
	{ 64, "c4 e2 f0 f2 03", "andn r0.8:w r1.8:r [ds r3].8:r" },
	{ 64, "c4 e2 f4 f2 03", NULL },
	{ 64, "c4 c2 78 f7 c1", "bextr r0.4:w r9.4:r r0.4:r" },
	{ 64, "c4 e2 73 f6 c3", "mulx r0.4:w r1.4:w r3.4:r (r2.4:r)" },
	{ 64, "c4 e3 fb f0 c1 07", "rorx r0.8:w r1.8:r #7.1:r" },
	{ 64, "c4 e3 f3 f0 c1 07", NULL },
	{ 32, "c4 e2 f0 f2 03", "andn r0.4:w r1.4:r [ds r3].4:r" },
	{ 64, "c4 e2 78 f3 c8", "blsr r0.4:w r0.4:r" },
	{ 64, "66 c4 e2 70 f2 03", NULL },
	{ 64, "40 c4 e2 70 f2 03", NULL },
	{ 64, "f0 c4 e2 70 f2 03", NULL },
	{ 64, "40 2e c4 e2 70 f2 03", "andn r0.4:w r1.4:r [ds r3].4:r" },
	{ 64, "c4 e0 70 f2 03", NULL },
	{ 64, "c4 e4 70 f2 03", NULL },
	/* x87 */
	{ 64, "d8 00", "fadd [ds r0].4:r" },
	{ 64, "d8 c3", "fadd (st0.10:rw) st3.10:r" },
	{ 64, "dc c3", "fadd st3.10:rw (st0.10:r)" },
	{ 64, "dc e3", "fsubr st3.10:rw (st0.10:r)" },
	{ 64, "de eb", "fsubp st3.10:rw (st0.10:r)" },
	{ 64, "db 28", "fld [ds r0].10:r" },
	{ 64, "d9 28", "fldcw [ds r0].2:r" },
	{ 64, "d9 20", "fldenv [ds r0].28:r" },
	{ 16, "d9 24", "fldenv [ds r6].14:r" },
	{ 32, "66 dd 30", "fnsave [ds r0].94:w" },
	{ 64, "df e0", "fnstsw (r0.2:w)" },
	{ 64, "df c1", "ffreep st1.10:w" },
	{ 64, "d9 d0", "fnop" },
	{ 64, "d9 d1", NULL },
	{ 64, "d9 08", NULL },
	{ 64, "da e8", NULL },
	{ 64, "db e3", "fninit" },
	{ 64, "9b", "fwait" },
	/* MMX, SSE */
	{ 64, "0f 6f c1", "movq m0.8:w m1.8:r" },
	{ 64, "4d 0f 6f c1", "movq m0.8:w m1.8:r" },
	{ 64, "0f 60 00", "punpcklbw m0.8:rw [ds r0].4:r" },
	{ 64, "66 0f 6f 00", "movdqa v0.16:w [ds r0].16:r" },
	{ 64, "66 45 0f ef c9", "pxor v9.16:rw v9.16:r" },
	{ 64, "f3 0f 10 00", "movss v0.16:w [ds r0].4:r" },
	{ 64, "f3 0f 10 c1", "movss v0.16:rw v1.16:r" },
	{ 64, "66 f2 0f 10 00", "movsd v0.16:w [ds r0].8:r" },
	{ 64, "f3 0f 6e c1", NULL },
	{ 64, "66 48 0f 6e c1", "movd v0.16:w r1.8:r" },
	{ 64, "66 0f 7e 08", "movd [ds r0].4:w v1.16:r" },
	{ 64, "f3 48 0f 2a c1", "cvtsi2ss v0.16:rw r1.8:r" },
	{ 64, "f2 0f 2d 00", "cvtsd2si r0.4:w [ds r0].8:r" },
	{ 64, "66 0f 38 10 08", "pblendvb v1.16:rw [ds r0].16:r (v0.16:r)" },
	{ 64, "66 0f 3a 14 08 01", "pextrb [ds r0].1:w v1.16:r #1.1:r" },
	{ 64, "66 0f 3a 14 c8 01", "pextrb r0.4:w v1.16:r #1.1:r" },
	{ 64, "66 0f f7 ca", "maskmovdqu ([ds r7].16:w) v1.16:r v2.16:r" },
	{ 64, "66 0f 78 c0 01 02", "extrq v0.16:rw #1.1:r #2.1:r" },
	{ 64, "f2 0f 78 c1 01 02", "insertq v0.16:rw v1.16:r #1.1:r #2.1:r" },
	{ 64, "0f 38 cb c1", "sha256rnds2 v0.16:rw v1.16:r (v0.16:r)" },
	{ 64, "66 0f 71 00 01", NULL },
	{ 64, "0f c4 c8 01", "pinsrw m1.8:rw r0.4:r #1.1:r" },
	/* AVX */
	{ 64, "c5 f9 6f 00", "movdqa v0.16:w [ds r0].16:r" },
	{ 64, "c5 fd 6f 00", "movdqa v0.32:w [ds r0].32:r" },
	{ 64, "c5 f5 6f 00", NULL },
	{ 64, "c4 41 35 fe c2", "paddd v8.32:w v9.32:r v10.32:r" },
	{ 64, "c5 f2 58 00", "addss v0.16:w v1.16:r [ds r0].4:r" },
	{ 64, "c5 f6 58 00", "addss v0.16:w v1.16:r [ds r0].4:r" },
	{ 64, "c5 fc 5a 00", "cvtps2pd v0.32:w [ds r0].16:r" },
	{ 64, "c5 fd 5a c1", "cvtpd2ps v0.16:w v1.32:r" },
	{ 64, "c4 e3 75 4a c2 30", "blendvps v0.32:w v1.32:r v2.32:r v3.32:r" },
	{ 64, "c4 e2 75 98 c2", "vfmadd132ps v0.32:rw v1.32:r v2.32:r" },
	{ 64, "c4 e2 f1 99 c2", "vfmadd132sd v0.16:rw v1.16:r v2.16:r" },
	{ 64, "c4 e2 71 90 04 a3", "vpgatherdd v0.16:rw [ds r3 v4*4].4:r v1.16:rw" },
	{ 64, "c4 e2 71 90 04 83", NULL }, /* index is the destination */
	{ 64, "c4 e2 79 90 04 a3", NULL }, /* mask is the destination */
	{ 64, "c4 e2 71 90 03", NULL },	   /* no SIB byte */
	{ 64, "c4 e2 f5 93 04 a3", "vgatherqpd v0.32:rw [ds r3 v4*4].8:r v1.32:rw" },
	{ 64, "c4 e2 75 91 04 a3", "vpgatherqd v0.16:rw [ds r3 v4*4].4:r v1.16:rw" },
	{ 64, "c5 f8 77", "vzeroupper" },
	{ 64, "c5 fc 77", "vzeroall" },
	{ 64, "c4 e3 fd 00 c1 1b", "vpermq v0.32:w v1.32:r #1b.1:r" },
	{ 64, "c4 e3 f9 00 c1 1b", NULL },
	{ 64, "c4 e3 f9 16 c8 01", "pextrd r0.8:w v1.16:r #1.1:r" },
	{ 32, "c4 e3 f9 16 c8 01", NULL },
	{ 32, "c5 f1 fe c2", "paddd v0.16:w v1.16:r v2.16:r" },
	{ 64, "c5 fa e6 00", "cvtdq2pd v0.16:w [ds r0].8:r" },
	{ 64, "c4 e2 7d 13 00", "vcvtph2ps v0.32:w [ds r0].16:r" },
	{ 64, "c4 e3 79 1d 08 00", "vcvtps2ph [ds r0].8:w v1.16:r #0.1:r" },
	{ 64, "c4 e2 75 dc c2", "aesenc v0.32:w v1.32:r v2.32:r" },
	{ 64, "c4 e2 75 8e 03", "vpmaskmovd [ds r3].32:w v1.32:r v0.32:r" },
};

static enum x86_code code_of(int bits)
{
	return bits == 16 ? X86_CODE_16 : bits == 32 ? X86_CODE_32 : X86_CODE_64;
}

static void test_cases(void **state)
{
	bool ok = true;

	for (size_t k = 0; k < sizeof(cases) / sizeof(*cases); k++) {
		uint8_t bytes[16];
		size_t n = bytes_of(cases[k].hex, bytes);
		struct x86_insn i;
		char text[256] = "(invalid)";
		enum x86_decode_result r = x86_decode(bytes, n, code_of(cases[k].bits), &i);
		const char *want = cases[k].text ? cases[k].text : "(invalid)";

		if (r == X86_DECODE_OK)
			put_insn(&i, text);
		else if (r != X86_DECODE_INVALID)
			strcpy(text, "(more)");
		if (strcmp(text, want) || (r == X86_DECODE_OK && i.len != n)) {
			print_error("%d: %s is '%s', not '%s'\n", cases[k].bits, cases[k].hex, text,
				want);
			ok = false;
		}
	}
	assert_true(ok);
}

static struct x86_insn decoded(const char *hex, int bits)
{
	uint8_t bytes[16];
	struct x86_insn i;
	size_t n = bytes_of(hex, bytes);

	assert_int_equal(x86_decode(bytes, n, code_of(bits), &i), X86_DECODE_OK);
	assert_int_equal(i.len, n);
	return i;
}

static void test_fields(void **state)
{
	struct x86_insn i = decoded("66 2e f3 4c 0f bd 84 88 11 22 33 44", 64);

	assert_int_equal(i.opcode_off, 5);
	assert_int_equal(i.modrm_off, 6);
	assert_int_equal(i.disp_off, 8);
	assert_int_equal(i.disp_size, 4);
	assert_int_equal(i.imm_off, 0);
	assert_int_equal(i.opsize, 8);
	assert_int_equal(i.rex, 0x4c);
	assert_int_equal(i.rep, 0xf3);
	assert_int_equal(i.has_66, 1);
	assert_int_equal(i.map, 1);
	assert_int_equal(i.opcode, 0xbd);
	i = decoded("67 81 40 08 11 22 33 44", 32);
	assert_int_equal(i.addrsize, 2);
	assert_int_equal(i.imm_off, 4);
	assert_int_equal(i.imm_size, 4);
	i = decoded("c4 e2 d5 90 1c 23", 64);
	assert_int_equal(i.vex, 0xc4);
	assert_int_equal(i.vex_l, 1);
	assert_int_equal(i.vex_w, 1);
	assert_int_equal(i.vex_v, 5);
	assert_int_equal(i.map, 2);
	assert_int_equal(i.flags, X86_I_MODRM | X86_I_VSIB);
	assert_int_equal(decoded("f0 0f b1 08", 64).lock, 1);
	assert_int_equal(decoded("66 0f 58 00", 64).flags, X86_I_MODRM | X86_I_ALIGN | X86_I_FPEXC);
	assert_int_equal(decoded("c5 f9 58 00", 64).flags, X86_I_MODRM | X86_I_FPEXC);
	assert_int_equal(decoded("66 0f 3a 63 00 00", 64).flags, X86_I_MODRM);
	assert_int_equal(decoded("c5 fd 6f 00", 64).flags, X86_I_MODRM | X86_I_ALIGN);
	assert_int_equal(decoded("f3 0f 6f 00", 64).flags, X86_I_MODRM);
	assert_int_equal(
		decoded("db e2", 64).flags, X86_I_MODRM | X86_I_X87_CTRL | X86_I_X87_NOWAIT);
}

static void test_length(void **state)
{
	uint8_t bytes[20];
	struct x86_insn i;

	memset(bytes, 0x66, sizeof(bytes));
	assert_int_equal(x86_decode(bytes, 20, X86_CODE_64, &i), X86_DECODE_TOO_LONG);
	assert_int_equal(x86_decode(bytes, 15, X86_CODE_64, &i), X86_DECODE_TOO_LONG);
	assert_int_equal(x86_decode(bytes, 14, X86_CODE_64, &i), X86_DECODE_MORE);
	assert_int_equal(x86_decode(bytes, 0, X86_CODE_64, &i), X86_DECODE_MORE);
	bytes[14] = 0x90;
	assert_int_equal(x86_decode(bytes, 20, X86_CODE_64, &i), X86_DECODE_OK);
	assert_int_equal(i.len, 15);
	bytes[14] = 0x04;
	assert_int_equal(x86_decode(bytes, 20, X86_CODE_64, &i), X86_DECODE_TOO_LONG);
}

/* Each row is whole, and some bytes lead to it: no row hides another. */
static void test_rows(void **state)
{
	char text[128];

	assert_true(x86_rows() > 1000);
	for (unsigned int n = 0; n < x86_rows(); n++) {
		const struct x86_row *r = &x86_table[n];

		assert_true(x86_row_text(n, text, sizeof(text)) < sizeof(text));
		assert_true(r->op && r->op < X86_OP_COUNT && r->feature < X86_FEAT_COUNT);
		assert_int_equal((uint32_t)r->match & ~(uint32_t)(r->match >> 32), 0);
	}
	assert_int_equal(x86_row_text(x86_rows(), text, sizeof(text)), 0);
	for (unsigned int k = 0; k < X86_PLACES; k++) {
		const struct x86_row *r = &x86_table[x86_opcodes[k].first];

		for (int b = 1; b < x86_opcodes[k].count; b++)
			for (int a = 0; a < b; a++)
				/* all that a wants, b wants: b could never be found */
				assert_false((r[a].match >> 32 & ~(r[b].match >> 32)) == 0 &&
					     (((uint32_t)r[a].match ^ (uint32_t)r[b].match) &
						     r[a].match >> 32) == 0);
	}
}

static void test_text(void **state)
{
	struct x86_insn i = decoded("66 0f 38 f1 08", 64);
	char text[64], small[8];

	x86_row_text(i.row, text, sizeof(text));
	assert_string_equal(text, "0f 38 f1 /r movbe Mv, Gv");
	assert_int_equal(x86_row_text(i.row, small, sizeof(small)), strlen(text));
	assert_string_equal(small, "0f 38 f");
	assert_int_equal(x86_row_text(i.row, NULL, 0), strlen(text));
	assert_string_equal(x86_op_name(X86_OP_ADD), "add");
	assert_string_equal(x86_op_name(X86_OP_COUNT), "(none)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
