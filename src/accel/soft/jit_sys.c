// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_sys - system instructions as host code: flags of the system's, segment bases, time, control
 * registers that are read.
 *
 * What is not allowed, or does more than usual, is the interpreter's: then nothing has changed yet. Code
 * is translated in protected mode without VM86 only, so level 0 may do all of this.
 *
 * STI's interrupt shadow: interrupts are noticed at polls only, which are parts of branches and come after
 * them. So the instruction after STI, in the same block, is carried out before any interrupt. Where generated
 * code is left before it all the same, since its memory is not where it was, there is a shadow from there on
 * (JIT_FIRST_STI). An interrupt that waits already is the interpreter's business.
 */
#include "accel/soft/jit_tr.h"

#define SEG(n, member)                                             \
	(V_OFF(seg) + (int32_t)((n) * sizeof(struct x86_segment) + \
				offsetof(struct x86_segment, member)))
#define OP_MOVZX16 0x0fb7u
#define JNE	   0x0f85u
#define JE	   0x0f84u

/* -------- writing -------- */
/* An operation (ModRM's reg field) between a dword of the vCPU and an immediate. */
static void op_dword(struct jit_tr *t, unsigned int op, int32_t off, uint32_t imm)
{
	j_gs(&t->b, false, op == 0xf6 ? 0xf7 : 0x81, op == 0xf6 ? 0 : op, off);
	j32(&t->b, imm);
}
#define OR	1
#define AND	4
#define CMP	7
#define TEST_OP 0xf6

static void cmp_byte(struct jit_tr *t, int32_t off, uint8_t imm)
{
	j_gs(&t->b, false, 0x80, CMP, off);
	jb(&t->b, imm);
}

/* The flags may be changed from here on. */
static void flags_free(struct jit_tr *t, unsigned int k)
{
	if (t->live[k] && !t->flags_saved)
		jit_save_flags(t);
}

static void need_level0(struct jit_tr *t, unsigned int k)
{
	flags_free(t, k);
	cmp_byte(t, V_OFF(cpl), 0);
	jit_miss(t, k, JNE);
}

static void need_cr4(struct jit_tr *t, unsigned int k, uint32_t bits)
{
	op_dword(t, TEST_OP, V_OFF(cr4), bits);
	jit_miss(t, k, JE);
}

static void set_flag(struct jit_tr *t, uint32_t flag, bool on)
{
	op_dword(t, on ? OR : AND, V_OFF(rflags), on ? flag : ~flag);
}

/* The 32 or 64 bits at @off to general register @g. */
static void load_gpr(struct jit_tr *t, unsigned int g, bool w, int32_t off)
{
	unsigned int reg = jit_pinned(g) ? jit_host_of(g) : R_10;

	j_gs(&t->b, w, OP_LOAD, reg, off);
	jit_reg_out(t, g, R_10);
}

/* -------- flags -------- */
static bool emit_if(struct jit_tr *t, unsigned int k, bool on)
{
	if (on && k + 1 >= t->n) /* there must be one for the shadow */
		return false;
	need_level0(t, k);
	if (on) {
		op_dword(t, CMP, V_OFF(poll), 0);
		jit_miss(t, k, JNE);
		cmp_byte(t, V_OFF(irq_wanted), 0);
		jit_miss(t, k, JNE);
		cmp_byte(t, V_OFF(nmi_wanted), 0);
		jit_miss(t, k, JNE);
	}
	set_flag(t, X86_FLAG_IF, on);
	return true;
}

static bool emit_df(struct jit_tr *t, unsigned int k, bool on)
{
	flags_free(t, k);
	set_flag(t, X86_FLAG_DF, on);
	return true;
}

/* With SMAP it decides which set of TLB entries is looked at. */
static bool emit_ac(struct jit_tr *t, unsigned int k, bool on)
{
	enum soft_mmu_index index = on ? SOFT_MMU_KERNEL_AC : SOFT_MMU_KERNEL;
	uint8_t *no_smap;

	need_level0(t, k);
	set_flag(t, X86_FLAG_AC, on);
	op_dword(t, TEST_OP, V_OFF(cr4), X86_CR4_SMAP);
	no_smap = j_ahead8(&t->b, 0x74);
	j_gs(&t->b, false, 0xc6, 0, V_OFF(mmu_index)); /* mov byte */
	jb(&t->b, index);
	j_gs_load(&t->b, R_9, V_OFF(l1_of[0]) + 8 * index);
	j_gs_store(&t->b, R_9, V_OFF(l1));
	j_rm(&t->b, true, OP_STORE, R_9, R_SP, F_L1);
	j_here8(&t->b, no_smap);
	return true;
}

/* Push the @n bytes that wait in v->g.goal. */
static void push_goal(struct jit_tr *t, unsigned int k, unsigned int n)
{
	struct jit_buf *b = &t->b;

	j_lea(b, t->wide, R_9, R_11, -(int32_t)n);
	jit_access(t, k, n, SOFT_WRITE);
	j_gs_load(b, R_10, V_OFF(g.goal));
	j_rm(b, t->wide, OP_STORE, R_10, R_9, 0);
	j_lea(b, t->wide, R_11, R_11, -(int32_t)n);
}

static bool emit_pushf(struct jit_tr *t, unsigned int k)
{
	unsigned int n = t->wide ? 8 : 4;
	struct jit_buf *b = &t->b;

	if (t->insn[k].opsize != n)
		return false;
	if (!t->flags_saved)
		jit_save_flags(t);
	j_gs(b, false, OP_MOVZX16, R_9, V_OFF(g.flags2)); /* what LAHF gave above what SETO gave */
	JCODE(b, "\x45\x0f\xb6\xd1");			  /* movzx r10d, r9b */
	JCODE(b, "\x41\xc1\xe9\x08");			  /* shr r9d, 8 */
	JCODE(b, "\x41\xc1\xe2\x0b");			  /* shl r10d, 11: OF */
	JCODE(b, "\x45\x09\xd1");			  /* or r9d, r10d */
	j_gs_load(b, R_10, V_OFF(rflags));
	JCODE(b, "\x49\x81\xe2"); /* and r10, */
	j32(b, ~(uint32_t)(X86_FLAGS_STATUS | X86_FLAG_VM | X86_FLAG_RF));
	JCODE(b, "\x4d\x09\xd1"); /* or r9, r10 */
	j_gs_store(b, R_9, V_OFF(g.goal));
	push_goal(t, k, n);
	return true;
}

/* -------- the stack -------- */
bool jit_push_mem(struct jit_tr *t, unsigned int k)
{
	unsigned int n = t->wide ? 8 : 4;
	struct jit_buf *b = &t->b;

	if (!jit_ea_possible(t, &t->insn[k]))
		return false;
	jit_ea(t, k);
	jit_access(t, k, n, SOFT_READ);
	j_rm(b, t->wide, OP_LOAD, R_10, R_9, 0);
	j_gs_store(b, R_10, V_OFF(g.goal));
	push_goal(t, k, n);
	return true;
}

/* -------- segments -------- */
/* Whether the base is 0 counts for other segments only: v->seg_zero. */
static bool emit_swapgs(struct jit_tr *t, unsigned int k)
{
	if (!t->wide)
		return false;
	need_level0(t, k);
	j_gs_load(&t->b, R_9, SEG(X86_GS, base));
	j_gs_load(&t->b, R_10, V_OFF(kernel_gs_base));
	j_gs_store(&t->b, R_9, V_OFF(kernel_gs_base));
	j_gs_store(&t->b, R_10, SEG(X86_GS, base));
	return true;
}

static bool emit_rdbase(struct jit_tr *t, unsigned int k, enum x86_seg seg)
{
	const struct x86_insn *i = &t->insn[k];

	if (!t->wide)
		return false;
	flags_free(t, k);
	need_cr4(t, k, X86_CR4_FSGSBASE);
	load_gpr(t, i->operand[0].reg, i->opsize == 8, SEG(seg, base));
	return true;
}

static bool emit_wrbase(struct jit_tr *t, unsigned int k, enum x86_seg seg)
{
	const struct x86_insn *i = &t->insn[k];
	struct jit_buf *b = &t->b;

	if (!t->wide)
		return false;
	flags_free(t, k);
	need_cr4(t, k, X86_CR4_FSGSBASE);
	j_rr(b, i->opsize == 8, OP_LOAD, R_9, jit_reg_in(t, i->operand[0].reg, R_9));
	if (i->opsize == 8) { /* what is canonical in 57 bits only the interpreter may judge */
		j_mov(b, R_10, R_9);
		JCODE(b, "\x49\xc1\xe2\x10\x49\xc1\xfa\x10"); /* shl r10, 16; sar r10, 16 */
		JCODE(b, "\x4d\x39\xca");		      /* cmp r10, r9 */
		jit_miss(t, k, JNE);
	}
	j_gs_store(b, R_9, SEG(seg, base));
	return true;
}

/* r10w to the lower half of the lower half of general register @g. */
static void put16(struct jit_tr *t, unsigned int g)
{
	unsigned int to = jit_reg_in(t, g, R_9);

	jb(&t->b, 0x66);
	j_rr(&t->b, false, OP_LOAD, to, R_10);
	jit_reg_out(t, g, R_9);
}

static bool emit_from_seg(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	unsigned int seg = i->operand[1].reg;

	if (seg >= X86_NSEG)
		return false;
	if (i->operand[0].kind == X86_OPND_MEM) {
		if (!jit_ea_possible(t, i))
			return false;
		jit_ea(t, k);
		jit_access(t, k, 2, SOFT_WRITE);
		j_gs(&t->b, false, OP_MOVZX16, R_10, SEG(seg, selector));
		jb(&t->b, 0x66);
		j_rm(&t->b, false, OP_STORE, R_10, R_9, 0);
		return true;
	}
	j_gs(&t->b, false, OP_MOVZX16, R_10, SEG(seg, selector));
	if (i->opsize == 2) {
		put16(t, i->operand[0].reg);
		return true;
	}
	if (jit_pinned(i->operand[0].reg))
		j_rr(&t->b, false, OP_LOAD, jit_host_of(i->operand[0].reg), R_10);
	jit_reg_out(t, i->operand[0].reg, R_10);
	return true;
}

/* -------- time, protection keys, control registers -------- */
static bool emit_rdtsc(struct jit_tr *t, unsigned int k)
{
	struct jit_buf *b = &t->b;
	uint8_t *level0;

	if (!soft_tsc_is_hosts())
		return false;
	flags_free(t, k);
	cmp_byte(t, V_OFF(cpl), 0);
	level0 = j_ahead8(b, 0x74);
	op_dword(t, TEST_OP, V_OFF(cr4), X86_CR4_TSD);
	jit_miss(t, k, JNE);
	j_here8(b, level0);
	JCODE(b, "\x0f\x31\x48\xc1\xe2\x20\x48\x09\xd0"); /* rdtsc; shl rdx, 32; or rax, rdx */
	j_gs(b, true, 0x03, R_AX, V_OFF(tsc_offset));	  /* add */
	j_mov(b, R_DX, R_AX);
	JCODE(b, "\x48\xc1\xea\x20\x89\xc0"); /* shr rdx, 32; mov eax, eax */
	if (t->insn[k].op == X86_OP_RDTSCP)
		j_gs(b, false, OP_LOAD, R_CX, V_OFF(tsc_aux));
	return true;
}

static bool emit_pkru(struct jit_tr *t, unsigned int k)
{
	struct jit_buf *b = &t->b;
	bool write = t->insn[k].op == X86_OP_WRPKRU;

	flags_free(t, k);
	need_cr4(t, k, X86_CR4_PKE);
	JCODE(b, "\x85\xc9"); /* test ecx, ecx */
	jit_miss(t, k, JNE);
	if (write) {		      /* what it is already */
		JCODE(b, "\x85\xd2"); /* test edx, edx */
		jit_miss(t, k, JNE);
		j_gs(b, false, 0x3b, R_AX, V_OFF(pkru));
		jit_miss(t, k, JNE);
	} else {
		j_gs(b, false, OP_LOAD, R_AX, V_OFF(pkru));
		JCODE(b, "\x31\xd2"); /* xor edx, edx */
	}
	return true;
}

static bool emit_from_cr(struct jit_tr *t, unsigned int k)
{
	static const int32_t where[] = { V_OFF(cr0), 0, V_OFF(cr2), V_OFF(cr3), V_OFF(cr4) };
	unsigned int cr = t->insn[k].operand[1].reg;

	if (!t->wide || cr >= ARRAY_SIZE(where) || !where[cr])
		return false;
	need_level0(t, k);
	load_gpr(t, t->insn[k].operand[0].reg, true, where[cr]);
	return true;
}

/* -------- bits -------- */
/* The register's lower bits choose the bit, the others the unit of memory. */
bool jit_bit_mem(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	unsigned int n = i->operand[0].size, g = i->operand[1].reg;
	struct jit_buf *b = &t->b;
	bool w = n == 8;

	if (n < 4 || !t->wide || i->addrsize != 8 || !jit_ea_possible(t, i))
		return false;
	flags_free(t, k);
	jit_ea(t, k);
	j_rr(b, true, w ? OP_LOAD : 0x63, R_10, jit_reg_in(t, g, R_10)); /* mov, movsxd */
	JCODE(b, "\x49\xc1\xfa\x03\x49\x83\xe2");			 /* sar r10, 3; and r10, */
	jb(b, -n);
	j_lea_index(b, true, R_9, R_9, R_10, 0, 0);
	jit_access(t, k, n, i->op == X86_OP_BT ? SOFT_READ : SOFT_WRITE);
	j_rr(b, false, OP_LOAD, R_10, jit_reg_in(t, g, R_10));
	JCODE(b, "\x41\x83\xe2"); /* and r10d, */
	jb(b, n * 8 - 1);
	j_gs_store(b, R_10, V_OFF(g.goal));
	jit_flags_before(t, k);
	j_gs_load(b, R_10, V_OFF(g.goal));
	if (i->op == X86_OP_BT) {
		j_rm(b, w, OP_LOAD, R_9, R_9, 0);
		j_rr(b, w, 0x0f00u | i->opcode, R_10, R_9);
		return true;
	}
	if (i->lock)
		jb(b, 0xf0);
	j_rm(b, w, 0x0f00u | i->opcode, R_10, R_9, 0);
	return true;
}

/* -------- 16 bytes at a time -------- */
static bool emit_cmpxchg16b(struct jit_tr *t, unsigned int k)
{
	struct jit_buf *b = &t->b;

	if (!t->wide || !jit_ea_possible(t, &t->insn[k]))
		return false;
	flags_free(t, k);
	jit_ea(t, k);
	JCODE(b, "\x41\xf6\xc1\x0f"); /* test r9b, 15 */
	jit_miss(t, k, JNE);
	jit_access(t, k, 16, SOFT_WRITE);
	jit_flags_before(t, k);
	if (t->insn[k].lock)
		jb(b, 0xf0);
	JCODE(b, "\x49\x0f\xc7\x09"); /* cmpxchg16b [r9] */
	return true;
}

bool jit_emit_sys(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];

	switch (i->op) {
	case X86_OP_CLI:
	case X86_OP_STI:
		return emit_if(t, k, i->op == X86_OP_STI);
	case X86_OP_CLD:
	case X86_OP_STD:
		return emit_df(t, k, i->op == X86_OP_STD);
	case X86_OP_CLAC:
	case X86_OP_STAC:
		return emit_ac(t, k, i->op == X86_OP_STAC);
	case X86_OP_PUSHF:
		return emit_pushf(t, k);
	case X86_OP_SWAPGS:
		return emit_swapgs(t, k);
	case X86_OP_RDFSBASE:
	case X86_OP_RDGSBASE:
		return emit_rdbase(t, k, i->op == X86_OP_RDFSBASE ? X86_FS : X86_GS);
	case X86_OP_WRFSBASE:
	case X86_OP_WRGSBASE:
		return emit_wrbase(t, k, i->op == X86_OP_WRFSBASE ? X86_FS : X86_GS);
	case X86_OP_MOV_FROM_SEG:
		return emit_from_seg(t, k);
	case X86_OP_MOV_FROM_CR:
		return emit_from_cr(t, k);
	case X86_OP_RDTSC:
	case X86_OP_RDTSCP:
		return emit_rdtsc(t, k);
	case X86_OP_RDPID:
		load_gpr(t, i->operand[0].reg, false, V_OFF(tsc_aux));
		return true;
	case X86_OP_RDPKRU:
	case X86_OP_WRPKRU:
		return emit_pkru(t, k);
	case X86_OP_MOVS:
	case X86_OP_STOS:
	case X86_OP_LODS:
	case X86_OP_CMPS:
	case X86_OP_SCAS:
		return jit_emit_string(t, k);
	case X86_OP_CMPXCHG16B:
		return emit_cmpxchg16b(t, k);
	case X86_OP_SYSCALL:
		return jit_emit_syscall(t, k);
	case X86_OP_SYSRET:
		return jit_emit_sysret(t, k);
	default:
		return false;
	}
}
