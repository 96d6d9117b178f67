// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_vec - x87, MMX, SSE and AVX instructions in generated code: what the interpreter runs in stubs
 * (native_emit.c), with guest registers in the host's of the same number (jit_res.c), general
 * registers where generated code has them, and [r9] as memory operand.
 *
 * Operands that must be aligned are not checked, pending x87 exceptions neither: the host's CPU faults,
 * and the interpreter raises what the guest is to get.
 */
#include "accel/soft/jit_tr.h"
#include "accel/soft/native_int.h"

/* -------- what must be there -------- */
static bool uses_vec(const struct x86_insn *i)
{
	for (int k = 0; k < i->n_operands; k++)
		if (i->operand[k].kind == X86_OPND_VEC)
			return true;
	return i->flags & X86_I_FPEXC; /* MXCSR comes with them */
}

/* JIT_MODE_* without which @i raises. */
static uint32_t modes_of(const struct x86_insn *i)
{
	switch (i->cls) {
	case X86_CLASS_X87:
		return JIT_MODE_X87;
	case X86_CLASS_MMX:
		return JIT_MODE_X87 | (uses_vec(i) ? JIT_MODE_SSE : 0);
	case X86_CLASS_SSE:
		return JIT_MODE_SSE;
	default:
		return JIT_MODE_AVX;
	}
}

/* May it run, and without raising #XM? */
static bool may_run(const struct jit_tr *t, const struct x86_insn *i)
{
	if (modes_of(i) & ~t->j->mode)
		return false;
	return !(i->flags & X86_I_FPEXC && t->j->mode & JIT_MODE_FPEXC);
}

uint8_t jit_needs(const struct jit_tr *t, const struct x86_insn *i)
{
	switch (i->cls) {
	case X86_CLASS_X87:
		return may_run(t, i) ? JIT_RES_X87 : 0;
	case X86_CLASS_MMX:
		return may_run(t, i) ? JIT_RES_X87 | (uses_vec(i) ? JIT_RES_VEC : 0) : 0;
	case X86_CLASS_SSE:
	case X86_CLASS_AVX:
		return may_run(t, i) ? JIT_RES_VEC : 0;
	default:
		return 0;
	}
}

void jit_ensure(struct jit_tr *t, uint8_t needs)
{
	needs &= (uint8_t)~t->have;
	for (int r = 0; r < 2; r++)
		if (needs & BIT(r))
			j_gs(&t->b, false, 0xff, 2, V_OFF(g.ensure) + 8 * r); /* call */
	t->have |= needs;
}

/* -------- an instruction -------- */
/* The general register that a field names, if one does: the host's register that it is in. r10 when the
 * guest's is in memory. */
static void gpr_in(struct jit_tr *t, struct native_form *f, const struct native_gpr *u)
{
	unsigned int host;

	if (u->host < NATIVE_REG) /* implied: the host's is the same */
		return;
	if (!u->write)
		host = jit_reg_in(t, u->guest, R_10);
	else
		host = jit_pinned(u->guest) ? jit_host_of(u->guest) : R_10;
	if (u->host == NATIVE_REG)
		f->reg = (uint8_t)host;
	else
		f->rm = (uint8_t)host;
}

static void gpr_out(struct jit_tr *t, const struct native_gpr *u)
{
	if (u->host >= NATIVE_REG && u->write)
		jit_reg_out(t, u->guest, R_10);
}

static bool may_fault(const struct x86_insn *i, bool mem)
{
	if (i->cls == X86_CLASS_X87 || i->cls == X86_CLASS_MMX)
		return !(i->flags & X86_I_X87_NOWAIT);
	return mem && i->flags & X86_I_ALIGN;
}

static bool is_noted(const struct x86_insn *i)
{
	return i->cls == X86_CLASS_X87 && !(i->flags & X86_I_X87_CTRL);
}

/* Once in a block, and before the operand is looked up: where the interpreter carries the instruction out instead
 * the next one of the block relies on it. */
static void note_x87_page(struct jit_tr *t)
{
	if (t->x87_page)
		return;
	j_rm(&t->b, true, OP_LOAD, R_10, R_SP, F_PAGE);
	j_gs_store(&t->b, R_10, V_OFF(g.x87_page));
	t->x87_page = true;
}

/* Where the instruction and its operand were: x87_take() puts it into its place. */
static void note_x87(struct jit_tr *t, unsigned int k, bool mem)
{
	const struct x86_insn *i = &t->insn[k];
	uint32_t fop = (i->opcode & 7u) << 8 | i->modrm;

	if (mem) {
		jit_ea_only(t, k);
		j_gs_store(&t->b, R_9, V_OFF(fpu.fdp));
		j_gs_byte(&t->b, 0, V_OFF(g.x87_seg), i->seg + 1u);
	}
	j_gs_imm(&t->b, V_OFF(g.x87_last), JIT_LAST_THERE | fop << JIT_LAST_FOP | t->off[k]);
}

/* The memory operand is [r9 + @disp]; of x87 @disp is 0. */
static void emit_at(struct jit_tr *t, unsigned int k, int32_t disp)
{
	const struct x86_insn *i = &t->insn[k];
	const struct x86_operand *m = native_mem(i);
	struct native_form f = native_form_of(i);
	struct native_gpr u[NATIVE_GPRS];
	unsigned int n = native_gprs(i, u);
	struct native_code c = { .n = 0 };

	if (m) {
		f.rm = R_9;
		f.disp = disp;
	}
	jit_flags_before(t, k);
	for (unsigned int a = 0; a < n; a++)
		gpr_in(t, &f, &u[a]);
	native_encode(&c, i, &f);
	t->last = t->b.p;
	jbytes(&t->b, (const char *)c.b, c.n);
	for (unsigned int a = 0; a < n; a++)
		gpr_out(t, &u[a]);
	if (may_fault(i, m))
		jit_may_fault(t, k, t->last);
	if (is_noted(i))
		note_x87(t, k, m);
}

static enum soft_access access_of(const struct x86_operand *m)
{
	return m->access & X86_ACC_W ? SOFT_WRITE : SOFT_READ;
}

static void emit_operation(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	const struct x86_operand *m = native_mem(i);
	struct jit_mem at = { R_9, R_SP, 0 };

	jit_ensure(t, jit_needs(t, i));
	if (is_noted(i))
		note_x87_page(t);
	if (m) {
		jit_operand(t, k, m->size, access_of(m), &at);
		if (i->cls == X86_CLASS_SSE || i->cls == X86_CLASS_AVX)
			jit_mem_base(t, &at);
		else
			jit_mem_plain(t, &at);
	}
	emit_at(t, k, at.disp);
}

/* VZEROUPPER, VZEROALL; outside 64-bit code they leave registers 8 to 15 alone. */
static bool emit_zero(struct jit_tr *t, unsigned int k)
{
	if (!t->wide || !(t->j->mode & JIT_MODE_AVX))
		return false;
	jit_ensure(t, JIT_RES_VEC);
	JCODE(&t->b, "\xc5");
	jb(&t->b, t->insn[k].op == X86_OP_VZEROALL ? 0xfc : 0xf8);
	jb(&t->b, 0x77);
	return true;
}

static bool emit_fwait(struct jit_tr *t, unsigned int k)
{
	jit_ensure(t, JIT_RES_X87);
	t->last = t->b.p;
	jb(&t->b, 0x9b);
	jit_may_fault(t, k, t->last);
	return true;
}

static bool possible(const struct jit_tr *t, const struct x86_insn *i)
{
	const struct x86_operand *m = native_mem(i);

	if (native_mem_fn(i) || native_x87_fn(i) || (native_needs_64(i) && !t->wide))
		return false;
	return !native_has_mem(i) || (m && m->size && m->size <= 64 && jit_ea_possible(t, i));
}

bool jit_emit_vec(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];

	if (i->op == X86_OP_VZEROUPPER || i->op == X86_OP_VZEROALL)
		return emit_zero(t, k);
	if (i->cls == X86_CLASS_FPST || !may_run(t, i))
		return false;
	if (i->cls == X86_CLASS_X87 && i->opcode == 0x9b)
		return emit_fwait(t, k);
	if (!possible(t, i))
		return false;
	emit_operation(t, k);
	return true;
}
