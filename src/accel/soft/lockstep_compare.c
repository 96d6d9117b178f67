// SPDX-License-Identifier: GPL-2.0-or-later
/* lockstep_compare - are the two the same, and what is told if not: lockstep.h. */
#include <inttypes.h>
#include "accel/soft/lockstep_int.h"
#include "base/log.h"

#define FLAGS_DEAD 64 /* instructions looked at */

/* -------- flags that nobody reads any more -------- */
/* Of those in @left, from offset @off of a page on, which is at @page with the bytes behind it. The same rule as
 * the translator's, found another way. */
static uint64_t dead_from(
	const uint8_t *page, enum x86_code code, uint64_t off, uint64_t left, int branches)
{
	for (int n = 0; n < FLAGS_DEAD && left; n++) {
		struct x86_insn i;
		struct jit_flags f;

		if (off >= PAGE_SIZE ||
			x86_decode(page + off, LOCKSTEP_CODE - off, code, &i) != X86_DECODE_OK)
			return 0;
		f = jit_flags_of(&i);
		off += i.len;
		if (i.flags & X86_I_BRANCH) {
			uint64_t to = off + i.imm, here = left;

			if (!branches || i.operand[0].kind != X86_OPND_REL ||
				i.opsize != (code == X86_CODE_64 ? 8 : 4))
				return 0;
			if (i.op == X86_OP_JMP || i.op == X86_OP_CALL)
				return dead_from(page, code, to, left, branches - 1);
			here &= ~(uint64_t)f.reads;
			return i.op == X86_OP_JCC
				       ? dead_from(page, code, to, here, branches - 1) &
						 dead_from(page, code, off, here, branches - 1)
				       : 0;
		}
		left &= ~(uint64_t)f.reads;
		if (f.writes & left)
			return (f.writes & left) |
			       dead_from(page, code, off, left & ~(uint64_t)f.writes, branches);
	}
	return 0;
}

static bool only_dead_flags(struct soft_vcpu *v, uint64_t flags)
{
	uint64_t page = soft_code_linear(v) & ~PAGE_OFF;
	const uint8_t *at = soft_peek(v, page), *next = soft_peek(v, page + PAGE_SIZE);
	uint8_t *code = v->jit->lockstep->code;

	if (!at || flags & ~(uint64_t)X86_FLAGS_STATUS)
		return false;
	memcpy(code, at, PAGE_SIZE);
	if (next)
		memcpy(code + PAGE_SIZE, next, X86_INSN_MAX);
	else
		memset(code + PAGE_SIZE, 0xff, X86_INSN_MAX); /* no instruction */
	return dead_from(code, (enum x86_code)v->code, soft_code_linear(v) - page, flags, 8) ==
	       flags;
}

/* -------- comparing -------- */
static const char gpr_name[16][4] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8",
	"r9", "r10", "r11", "r12", "r13", "r14", "r15" };
static const char seg_name[X86_NSEG][3] = { [X86_ES] = "es",
	[X86_CS] = "cs",
	[X86_SS] = "ss",
	[X86_DS] = "ds",
	[X86_FS] = "fs",
	[X86_GS] = "gs" };

static void compare_u64(struct soft_lockstep *l, const char *name, uint64_t t, uint64_t i)
{
	if (t != i)
		DIFFER(l, "%s is %#" PRIx64 " translated, %#" PRIx64 " interpreted", name, t, i);
}

static void compare_fpu(struct soft_lockstep *l, const struct soft_fpu *t, const struct soft_fpu *i)
{
	for (int n = 0; n < 16; n++)
		if (memcmp(t->ymm[n], i->ymm[n], 32))
			DIFFER(l, "ymm%d differs", n);
	compare_u64(l, "mxcsr", t->mxcsr, i->mxcsr);
	if (memcmp(t->fx, i->fx, 5) || memcmp(t->fx + 32, i->fx + 32, 128))
		DIFFER(l, "x87 state differs");
	compare_u64(l, "fip", t->fip, i->fip);
	compare_u64(l, "fdp", t->fdp, i->fdp);
	compare_u64(l, "fop", t->fop, i->fop);
}

static void compare_segments(
	struct soft_lockstep *l, const struct x86_segment *t, const struct x86_segment *i)
{
	for (unsigned int n = 0; n < X86_NSEG; n++)
		if (t[n].selector != i[n].selector || t[n].base != i[n].base ||
			t[n].limit != i[n].limit || t[n].attr != i[n].attr)
			DIFFER(l,
				"%s is %#x (%#" PRIx64 " %#x %#x) translated, %#x (%#" PRIx64
				" %#x %#x) interpreted",
				seg_name[n], t[n].selector, t[n].base, t[n].limit, t[n].attr,
				i[n].selector, i[n].base, i[n].limit, i[n].attr);
}

/* With what the vCPU has now. */
static void compare_registers(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;
	const struct state *t = &l->translated;
	/* RF is cleared by whichever instruction comes next, or before it. */
	uint64_t flags = (t->rflags ^ v->rflags) & ~(uint64_t)X86_FLAG_RF;

	soft_fpu_sync(v);
	for (int n = 0; n < 16; n++)
		compare_u64(l, gpr_name[n], t->gpr[n], v->gpr[n]);
	compare_u64(l, "rip", t->rip, v->rip);
	if (flags && !only_dead_flags(v, flags))
		compare_u64(l, "rflags", t->rflags, v->rflags);
	compare_segments(l, t->seg, v->seg);
	compare_u64(l, "kernel gs base", t->kernel_gs_base, v->kernel_gs_base);
	/* Generated code does without STI's: it does not look between STI and what follows. */
	compare_u64(l, "shadow", t->shadow | (v->shadow & SOFT_SHADOW_STI), v->shadow);
	compare_u64(l, "nmi_masked", t->nmi_masked, v->nmi_masked);
	compare_fpu(l, &t->fpu, &v->fpu);
}

/* A direct CALL that the interpreter is to carry out has pushed its return address already. */
static bool pushed_already(struct soft_vcpu *v, uint64_t lin)
{
	const struct soft_lockstep *l = v->jit->lockstep;
	unsigned int size = v->code == X86_CODE_64 ? 8 : 4;
	uint64_t sp = size == 8 ? v->gpr[X86_RSP] : (uint32_t)v->gpr[X86_RSP], at;
	const uint8_t *code;
	struct x86_insn i;

	at = soft_code_linear(v);
	code = lin - (sp - size) < size && l->once ? soft_peek(v, at) : NULL;
	return code &&
	       x86_decode(code, MIN(X86_INSN_MAX, PAGE_SIZE - (at & PAGE_OFF)),
		       (enum x86_code)v->code, &i) == X86_DECODE_OK &&
	       i.op == X86_OP_CALL;
}

static void compare_page(
	struct soft_vcpu *v, uint64_t lin, const uint8_t *was, const uint8_t *t, const uint8_t *i)
{
	struct soft_lockstep *l = v->jit->lockstep;

	if (!memcmp(t, i, PAGE_SIZE))
		return;
	for (unsigned int k = 0; k < PAGE_SIZE; k++)
		if (t[k] != i[k] && !pushed_already(v, lin + k)) {
			DIFFER(l,
				"byte at %#" PRIx64 " was %#x, is %#x translated, %#x interpreted",
				lin + k, was[k], t[k], i[k]);
			return;
		}
}

static void compare_memory(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;
	const struct copies *t = &l->by[TRANSLATED], *i = &l->by[INTERPRETED];
	unsigned int k;

	for (unsigned int n = 0; n < t->n; n++) {
		const uint8_t *was = t->written[n] ? l->was[n] : t->data[n];

		k = lockstep_copy_find(i, t->page[n]);
		compare_page(v, t->lin[n], was, t->data[n], k < i->n ? i->data[k] : was);
	}
	for (unsigned int n = 0; n < i->n; n++)
		if (i->written[n] && lockstep_copy_find(t, i->page[n]) == t->n)
			compare_page(v, i->lin[n], i->page[n], i->page[n], i->data[n]);
}

/* It is at the same instruction: if it never has the same registers, this is what is told. */
static void note_near(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;
	unsigned int same = 1;

	for (int n = 0; n < 16; n++)
		same += v->gpr[n] == l->translated.gpr[n];
	if (same <= l->same)
		return;
	l->same = same;
	memcpy(l->nearest, v->gpr, sizeof(l->nearest));
}

void lockstep_tell_nearest(struct soft_lockstep *l)
{
	for (int n = 0; n < 16 && l->same; n++)
		compare_u64(l, gpr_name[n], l->translated.gpr[n], l->nearest[n]);
	DIFFER(l, "the interpreter does not come to %#" PRIx64, l->translated.rip);
}

bool lockstep_arrived(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;

	if (v->rip != l->translated.rip)
		return false;
	if (memcmp(v->gpr, l->translated.gpr, sizeof(l->nearest)) != 0) {
		note_near(v);
		return false;
	}
	l->what[0] = 0;
	compare_registers(v);
	compare_memory(v);
	return !l->what[0];
}

/* -------- the report -------- */
static void report_insn(struct soft_vcpu *v, uint64_t lin)
{
	const uint8_t *p = soft_peek(v, lin);
	char bytes[3 * X86_INSN_MAX + 1] = "";
	struct x86_insn i;

	if (!p || x86_decode(p, MIN(X86_INSN_MAX, PAGE_SIZE - (lin & PAGE_OFF)),
			  (enum x86_code)v->code, &i) != X86_DECODE_OK) {
		log_err("soft", "  %016" PRIx64, lin);
		return;
	}
	for (unsigned int k = 0; k < i.len; k++)
		snprintf(bytes + 3 * k, 4, "%02x ", p[k]);
	log_err("soft", "  %016" PRIx64 "  %-45s %s", lin, bytes, x86_op_name((enum x86_op)i.op));
}

static void report_registers(const struct soft_vcpu *v)
{
	const struct soft_lockstep *l = v->jit->lockstep;
	const struct state *s = &l->start, *t = &l->translated;

	log_err("soft", "  %-6s %16s %16s %16s", "", "before", "translated", "interpreted");
	for (int n = 0; n < 16; n++)
		log_err("soft", "  %-6s %016" PRIx64 " %016" PRIx64 " %016" PRIx64 "%s",
			gpr_name[n], s->gpr[n], t->gpr[n], v->gpr[n],
			t->gpr[n] == v->gpr[n] ? "" : "  <--");
	log_err("soft", "  %-6s %016" PRIx64 " %016" PRIx64 " %016" PRIx64, "rip", s->rip, t->rip,
		v->rip);
	log_err("soft", "  %-6s %016" PRIx64 " %016" PRIx64 " %016" PRIx64, "rflags", s->rflags,
		t->rflags, v->rflags);
	for (int n = 0; n < 16; n++) {
		const uint64_t *x = (const void *)t->fpu.ymm[n], *y = (const void *)v->fpu.ymm[n];

		if (memcmp(x, y, 32))
			log_err("soft",
				"  ymm%-3d translated %016" PRIx64 " %016" PRIx64 " %016" PRIx64
				" %016" PRIx64 ", interpreted %016" PRIx64 " %016" PRIx64
				" %016" PRIx64 " %016" PRIx64,
				n, x[3], x[2], x[1], x[0], y[3], y[2], y[1], y[0]);
	}
}

void lockstep_report(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;
	uint64_t first = l->n_insns > LOCKSTEP_LAST ? l->n_insns - LOCKSTEP_LAST : 0;

	log_err("soft", "lockstep: %s", l->what);
	log_err("soft",
		"  stretch %" PRIu64 "; %" PRIu64 " instructions interpreted, the last of them:",
		l->stretches, l->n_insns);
	for (uint64_t n = first; n < l->n_insns; n++)
		report_insn(v, l->last[n % LOCKSTEP_LAST]);
	log_err("soft", "translated it ends before (%s):",
		l->faulted   ? "fault"
		: l->once    ? "once"
		: l->stopped ? "stop"
			     : "left");
	report_insn(v, l->translated.rip);
	report_registers(v);
	v->exit = (struct vcpu_exit){ .kind = VCPU_EXIT_ERROR };
	snprintf(v->exit.error.text, sizeof(v->exit.error.text), "lockstep: %s", l->what);
	v->leaving = true;
	l->what[0] = 0;
}
