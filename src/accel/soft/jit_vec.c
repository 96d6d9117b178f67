// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_vec - SSE and AVX instructions in generated code: what the interpreter runs in stubs
 * (native_emit.c), with guest vector registers in the host's of the same number (jit_res.c), general
 * registers where generated code has them, and [r9] as memory operand.
 *
 * Operands that must be aligned are not checked: where they are not the host's CPU faults, and the
 * interpreter raises what the guest is to get.
 */
#include "accel/soft/jit_tr.h"
#include "accel/soft/native_int.h"

/* May @i, of class SSE or AVX, run, and without raising #XM? */
static bool may_run(const struct jit_tr *t, const struct x86_insn *i)
{
	uint32_t mode = t->j->mode;

	if (!(mode & (i->cls == X86_CLASS_SSE ? JIT_MODE_SSE : JIT_MODE_AVX)))
		return false;
	return !(i->flags & X86_I_FPEXC && mode & JIT_MODE_FPEXC);
}

uint8_t jit_needs(const struct jit_tr *t, const struct x86_insn *i)
{
	return (i->cls == X86_CLASS_SSE || i->cls == X86_CLASS_AVX) && may_run(t, i) ? JIT_RES_VEC
										     : 0;
}

void jit_ensure(struct jit_tr *t, uint8_t needs)
{
	needs &= (uint8_t)~t->have;
	for (int r = 0; r < 2; r++)
		if (needs & BIT(r))
			j_gs(&t->b, false, 0xff, 2, V_OFF(g.ensure) + 8 * r); /* call */
	t->have |= needs;
}

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

static bool emit_operation(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	const struct x86_operand *m = native_mem(i);
	struct native_form f = native_form_of(i);
	struct native_gpr u[NATIVE_GPRS];
	unsigned int n = native_gprs(i, u);
	struct native_code c = { .n = 0 };

	jit_ensure(t, JIT_RES_VEC);
	if (m) {
		jit_ea(t, k);
		jit_access(t, k, m->size, m->access & X86_ACC_W ? SOFT_WRITE : SOFT_READ);
		f.rm = R_9;
	}
	jit_flags_before(t, k);
	for (unsigned int a = 0; a < n; a++)
		gpr_in(t, &f, &u[a]);
	native_encode(&c, i, &f);
	t->last = t->b.p;
	jbytes(&t->b, (const char *)c.b, c.n);
	for (unsigned int a = 0; a < n; a++)
		gpr_out(t, &u[a]);
	return !(m && i->flags & X86_I_ALIGN) || jit_may_fault(t, k, t->last);
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

bool jit_emit_vec(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];
	const struct x86_operand *m = native_mem(i);

	if (i->op == X86_OP_VZEROUPPER || i->op == X86_OP_VZEROALL)
		return emit_zero(t, k);
	if (i->cls == X86_CLASS_FPST || !may_run(t, i) || native_mem_fn(i))
		return false;
	if (native_needs_64(i) && !t->wide)
		return false;
	if (native_has_mem(i) && (!m || !m->size || m->size > 64 || !jit_ea_possible(t, i)))
		return false;
	return emit_operation(t, k);
}
