// SPDX-License-Identifier: GPL-2.0-or-later
#include "accel/soft/lockstep.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "accel/soft/jit.h"
#include "accel/soft/mmu_int.h"
#include "base/log.h"

#define PAGES	   128	/* that a stretch may touch */
#define NOTES	   1024 /* entries of generated code's TLB that it may fill */
#define SHADOW_STI 2
#define LAST	   48 /* instructions that a report has */
#define FLAGS_DEAD 64 /* instructions looked at */
#define CODE_SIZE  (PAGE_SIZE + X86_INSN_MAX)
#define SLOWER	   64 /* how many times than without lockstep */
/* The interpreter gives up after so many instructions for each cycle of the host's that generated code took. */
#define PER_CYCLE  4
#define AT_LEAST   20000

/* What a stretch may change, but memory. */
struct state {
	uint64_t gpr[18], rip, rflags, kernel_gs_base;
	uint8_t shadow;
	bool nmi_masked;
	struct x86_segment seg[X86_NSEG];
	struct soft_fpu fpu;
};

enum who { TRANSLATED, INTERPRETED };

/* Pages of RAM as one of the two sees them. */
struct copies {
	unsigned int n;
	const uint8_t *page[PAGES];
	uint64_t lin[PAGES]; /* one of its linear addresses */
	bool written[PAGES]; /* or about to be */
	_Alignas(PAGE_SIZE) uint8_t data[PAGES][PAGE_SIZE];
};

struct soft_lockstep {
	struct soft_tlb_entry tlb[SOFT_MMU_INDEXES][SOFT_TLB_SIZE];
	bool inside; /* of a stretch, @who's turn */
	enum who who;
	bool stopped; /* it has ended before an instruction */
	bool once;    /* which is to be carried out once */
	bool faulted; /* at which it has raised ->event */
	struct soft_event event;
	jmp_buf raise; /* the run loop's */
	struct state start, translated;
	uint64_t cycles; /* that generated code took */
	struct copies by[2];
	uint8_t was[PAGES][PAGE_SIZE]; /* of those that generated code has written to */
	unsigned int n_tlb, n_l1;
	struct soft_tlb_entry *in_tlb[SOFT_MMU_INDEXES * SOFT_TLB_SIZE]; /* those with ->noted */
	struct jit_l1 *in_l1[NOTES];
	/* The interpreter's next instruction, if it goes on at op_rip; or NULL. */
	const struct soft_op *op, *op_end;
	uint64_t op_rip;
	uint64_t n_insns, last[LAST];
	/* Of the interpreter's registers at the right instruction those that were most like generated code's; how
	 * many were, and one. */
	unsigned int same;
	uint64_t nearest[16];
	uint64_t stretches, insns, others;
	uint8_t code[CODE_SIZE]; /* that is looked at: a page and one instruction */
	char what[140];		 /* the first difference */
};

/* -------- making it -------- */
struct soft_lockstep *soft_lockstep_new(void)
{
	static _Atomic uint32_t no_code[RAM_CODE_WORDS];
	struct soft_lockstep *l = aligned_alloc(PAGE_SIZE, ALIGN_UP(sizeof(*l), (size_t)PAGE_SIZE));

	if (!l)
		return NULL;
	memset(l, 0, sizeof(*l));
	for (unsigned int i = 0; i < SOFT_MMU_INDEXES; i++)
		for (unsigned int k = 0; k < SOFT_TLB_SIZE; k++)
			l->tlb[i][k] = (struct soft_tlb_entry){
				.tag = { SOFT_TLB_NONE, SOFT_TLB_NONE, SOFT_TLB_NONE },
				.page = SOFT_TLB_NONE,
				.code = no_code
			};
	return l;
}

void soft_lockstep_free(struct soft_lockstep *l)
{
	if (l)
		log_info("soft",
			"lockstep: %" PRIu64 " instructions in %" PRIu64
			" stretches compared; %" PRIu64 " went another way for real",
			l->insns, l->stretches, l->others);
	free(l);
}

/* -------- what may be done twice -------- */
bool soft_lockstep_twice(const struct x86_insn *i)
{
	return i->op != X86_OP_RDTSC && i->op != X86_OP_RDTSCP;
}

/* Instructions of the class INT behind the plain ones that change the vCPU and memory only, of what is in
 * struct state. */
static bool is_private(const struct soft_vcpu *v, enum x86_op op)
{
	switch (op) {
	case X86_OP_ADD ... X86_OP_SCAS:
	case X86_OP_LFENCE ... X86_OP_SFENCE:
	case X86_OP_PREFETCH:
	case X86_OP_MOV_TO_SEG ... X86_OP_ARPL:
	case X86_OP_SLDT ... X86_OP_SYSEXIT:
	case X86_OP_MOV_FROM_CR:
	case X86_OP_SMSW:
	case X86_OP_SGDT:
	case X86_OP_SIDT:
	case X86_OP_CLI ... X86_OP_WRGSBASE:
	case X86_OP_RDPKRU:
	case X86_OP_RDPID:
		return true;
	case X86_OP_IRET: /* no task switch */
		return !(v->rflags & X86_FLAG_NT);
	default:
		return false;
	}
}

bool soft_lockstep_private(struct soft_vcpu *v, const struct soft_op *o)
{
	bool is = o->i.cls == X86_CLASS_INT ? is_private(v, (enum x86_op)o->i.op)
					    : o->i.cls != X86_CLASS_FPST;

	v->jit->lockstep->once = !is;
	return is;
}

/* -------- state -------- */
static void take(struct soft_vcpu *v, struct state *s)
{
	soft_fpu_sync(v);
	memcpy(s->gpr, v->gpr, sizeof(s->gpr));
	s->rip = v->rip;
	s->rflags = v->rflags;
	s->kernel_gs_base = v->kernel_gs_base;
	s->shadow = v->shadow;
	s->nmi_masked = v->nmi_masked;
	memcpy(s->seg, v->seg, sizeof(s->seg));
	s->fpu = v->fpu;
}

static void give(struct soft_vcpu *v, const struct state *s)
{
	soft_fpu_sync(v);
	memcpy(v->gpr, s->gpr, sizeof(s->gpr));
	v->rip = s->rip;
	v->rflags = s->rflags;
	v->kernel_gs_base = s->kernel_gs_base;
	v->shadow = s->shadow;
	v->nmi_masked = s->nmi_masked;
	memcpy(v->seg, s->seg, sizeof(s->seg));
	v->fpu = s->fpu;
	soft_mode_changed(v);
}

/* -------- copies of pages -------- */
static bool inside(const struct soft_vcpu *v)
{
	return v->jit && v->jit->lockstep && v->jit->lockstep->inside;
}

static _Noreturn void stop_here(struct soft_vcpu *v)
{
	v->jit->lockstep->stopped = true;
	_longjmp(v->raise, 1);
}

void soft_lockstep_outside(struct soft_vcpu *v)
{
	if (!inside(v))
		return;
	v->jit->lockstep->once = true;
	stop_here(v);
}

static bool has_written(const struct copies *c)
{
	for (unsigned int n = 0; n < c->n; n++)
		if (c->written[n])
			return true;
	return false;
}

/* The interpreter finds what generated code has found, whatever it wrote after that. */
void soft_lockstep_walk(struct soft_vcpu *v)
{
	const struct soft_lockstep *l = v->jit->lockstep;

	if (l->who == TRANSLATED && has_written(&l->by[TRANSLATED]))
		stop_here(v);
}

static unsigned int copy_find(const struct copies *c, const uint8_t *page)
{
	unsigned int n = 0;

	while (n < c->n && c->page[n] != page)
		n++;
	return n;
}

/* What the page was in the beginning. */
static const uint8_t *as_it_was(const struct soft_lockstep *l, const uint8_t *page)
{
	const struct copies *c = &l->by[TRANSLATED];
	unsigned int n = copy_find(c, page);

	return n == c->n ? page : c->written[n] ? l->was[n] : c->data[n];
}

/* Code that is there is not what it will be. */
static void drop_code(struct soft_lockstep *l, const uint8_t *page)
{
	for (unsigned int k = 0; k < l->n_tlb; k++) {
		struct soft_tlb_entry *e = l->in_tlb[k];

		if (e->tag[SOFT_FETCH] != SOFT_TLB_NONE &&
			(const uint8_t *)(e->addend + e->page) == page)
			e->tag[SOFT_FETCH] = SOFT_TLB_NONE;
	}
}

/* The number of the page's copy. */
static unsigned int copy_get(struct soft_vcpu *v, const uint8_t *page, uint64_t lin, bool write)
{
	struct soft_lockstep *l = v->jit->lockstep;
	struct copies *c = &l->by[l->who];
	unsigned int n = copy_find(c, page);

	if (n == c->n) {
		if (n == PAGES)
			stop_here(v);
		c->page[n] = page;
		c->lin[n] = lin;
		c->written[n] = false;
		memcpy(c->data[n], l->who == TRANSLATED ? page : as_it_was(l, page), PAGE_SIZE);
		c->n++;
	}
	if (write && !c->written[n]) {
		if (l->who == TRANSLATED) {
			memcpy(l->was[n], c->data[n], PAGE_SIZE);
			drop_code(l, page);
		}
		c->written[n] = true;
	}
	return n;
}

static bool code_was_written(const struct soft_lockstep *l, const uint8_t *page)
{
	const struct copies *c = &l->by[TRANSLATED];
	unsigned int n = copy_find(c, page);

	return l->who == TRANSLATED && n < c->n && c->written[n];
}

void soft_lockstep_enter(struct soft_vcpu *v, struct soft_tlb_entry *e,
	const struct soft_tlb_entry *real, enum soft_access access)
{
	struct soft_lockstep *l = v->jit->lockstep;
	const uint8_t *page = (const uint8_t *)(real->addend + real->page);
	unsigned int n;

	if (access == SOFT_FETCH && code_was_written(l, page))
		stop_here(v);
	n = access == SOFT_FETCH ? 0 : copy_get(v, page, real->page, access == SOFT_WRITE);
	if (!e->noted)
		l->in_tlb[l->n_tlb++] = e;
	*e = *real;
	e->noted = 1;
	if (access == SOFT_FETCH) {
		e->tag[SOFT_READ] = e->tag[SOFT_WRITE] = SOFT_TLB_NONE;
		return;
	}
	e->tag[SOFT_FETCH] = SOFT_TLB_NONE;
	e->addend = (uintptr_t)l->by[l->who].data[n] - real->page;
	if (!l->by[l->who].written[n])
		e->tag[SOFT_WRITE] = SOFT_TLB_NONE;
}

void soft_lockstep_note(struct soft_vcpu *v, struct jit_l1 *e)
{
	struct soft_lockstep *l = v->jit->lockstep;

	if (l->n_l1 == NOTES)
		stop_here(v);
	l->in_l1[l->n_l1++] = e;
}

static void copies_begin(struct soft_vcpu *v, enum who who)
{
	struct soft_lockstep *l = v->jit->lockstep;

	l->who = who;
	l->by[who].n = 0;
	l->n_tlb = l->n_l1 = 0;
	l->stopped = l->once = l->faulted = false;
	l->inside = true;
	v->tlb = l->tlb;
}

static void copies_end(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;

	v->tlb = v->mmu->tlb;
	l->inside = false;
	for (unsigned int k = 0; k < l->n_tlb; k++) {
		for (unsigned int a = 0; a < 3; a++)
			l->in_tlb[k]->tag[a] = SOFT_TLB_NONE;
		l->in_tlb[k]->noted = 0;
	}
	jit_l1_drop_entries(v, l->in_l1, l->n_l1);
	if (v->exclusive)
		soft_exclusive_end(v);
}

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
			x86_decode(page + off, CODE_SIZE - off, code, &i) != X86_DECODE_OK)
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
#define DIFFER(l, ...)                                                       \
	do {                                                                 \
		if (!(l)->what[0])                                           \
			snprintf((l)->what, sizeof((l)->what), __VA_ARGS__); \
	} while (0)

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
	compare_u64(l, "shadow", t->shadow | (v->shadow & SHADOW_STI), v->shadow);
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

		k = copy_find(i, t->page[n]);
		compare_page(v, t->lin[n], was, t->data[n], k < i->n ? i->data[k] : was);
	}
	for (unsigned int n = 0; n < i->n; n++)
		if (i->written[n] && copy_find(t, i->page[n]) == t->n)
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

static void tell_nearest(struct soft_lockstep *l)
{
	for (int n = 0; n < 16 && l->same; n++)
		compare_u64(l, gpr_name[n], l->translated.gpr[n], l->nearest[n]);
	DIFFER(l, "the interpreter does not come to %#" PRIx64, l->translated.rip);
}

/* Is this what generated code has come to? */
static bool arrived(struct soft_vcpu *v)
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

static void report(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;
	uint64_t first = l->n_insns > LAST ? l->n_insns - LAST : 0;

	log_err("soft", "lockstep: %s", l->what);
	log_err("soft",
		"  stretch %" PRIu64 "; %" PRIu64 " instructions interpreted, the last of them:",
		l->stretches, l->n_insns);
	for (uint64_t n = first; n < l->n_insns; n++)
		report_insn(v, l->last[n % LAST]);
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

/* -------- the interpreter's turns -------- */
/* Mostly it is the one behind the last in the last one's block. */
static const struct soft_op *next_op(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;

	if (!l->op || l->op_rip != v->rip) {
		const struct soft_block *b = soft_block_get(v);

		l->op = b->op;
		l->op_end = b->op + b->n;
	}
	return l->op;
}

static void interpret_one(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;
	const struct soft_op *o = next_op(v);

	l->op_rip = v->rip + o->i.len;
	l->last[l->n_insns++ % LAST] = v->rip;
	soft_step_op(v, o);
	if (v->stop || ++l->op == l->op_end)
		l->op = NULL;
}

static void interpret_begin(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;

	give(v, &l->start);
	l->op = NULL;
	l->n_insns = 0;
	l->same = 0;
	l->what[0] = 0;
}

static bool same_event(const struct soft_event *a, const struct soft_event *b)
{
	return a->vector == b->vector && a->kind == b->kind && a->has_error == b->has_error &&
	       (!a->has_error || a->error == b->error) &&
	       (a->vector != X86_EXC_PF || a->cr2 == b->cr2);
}

/* Until it has come to where generated code has. */
static void follow(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;
	uint64_t most = AT_LEAST + PER_CYCLE * l->cycles;

	while (!arrived(v)) {
		if (l->n_insns == most || v->halted) {
			tell_nearest(l);
			return;
		}
		interpret_one(v);
	}
	l->what[0] = 0;
}

/* The interpreter has raised, or come to what is not private. */
static void followed_to_event(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;

	if (l->same)
		tell_nearest(l);
	if (l->stopped)
		DIFFER(l, "interpreted, it comes to what generated code has not, at %#" PRIx64,
			v->rip);
	else
		DIFFER(l, "exception %u (%#x) at %#" PRIx64 ", which generated code came by",
			v->event.vector, v->event.error, v->rip);
	v->has_event = false;
}

/* Generated code has faulted: so must the interpreter. */
static void fault_too(struct soft_vcpu *v, const struct soft_event *event)
{
	struct soft_lockstep *l = v->jit->lockstep;

	if (_setjmp(v->raise)) {
		if (l->stopped || !same_event(&v->event, event))
			DIFFER(l, "exception %u (%#x) translated, %u (%#x) interpreted",
				event->vector, event->error, v->event.vector, v->event.error);
		v->has_event = false;
		return;
	}
	l->last[l->n_insns % LAST] = v->rip;
	soft_step(v);
	DIFFER(l, "exception %u (%#x) translated, none interpreted", event->vector, event->error);
}

/* False: they differ, and it is told. */
static bool compare(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;
	bool stopped = l->stopped, once = l->once, faulted = l->faulted;

	interpret_begin(v);
	copies_begin(v, INTERPRETED);
	l->once = once;
	if (_setjmp(v->raise))
		followed_to_event(v);
	else
		follow(v);
	if (!l->what[0] && faulted)
		fault_too(v, &l->event);
	copies_end(v);
	l->stopped = stopped;
	l->once = once;
	l->faulted = faulted;
	l->stretches++;
	l->insns += l->n_insns;
	if (!l->what[0])
		return true;
	report(v);
	return false;
}

/* Of the time that it takes the guest sees what the instructions take otherwise, or thereabouts. Else it
 * would do nothing but serve its clock's interrupts. */
static void lose_time(struct soft_vcpu *v, uint64_t start)
{
	uint64_t took = soft_host_tsc() - start;

	soft_clock_lose(v->vm, took - took / SLOWER);
}

/* As many instructions for real, and the one at which it ended if that must be. May raise. */
static void for_real(struct soft_vcpu *v, uint64_t start)
{
	struct soft_lockstep *l = v->jit->lockstep;
	uint64_t n = l->n_insns;

	interpret_begin(v);
	memcpy(v->raise, l->raise, sizeof(l->raise));
	while (l->n_insns < n && !v->halted && !v->leaving)
		interpret_one(v);
	lose_time(v, start);
	if (v->rip != l->translated.rip ||
		memcmp(v->gpr, l->translated.gpr, 16 * sizeof(v->gpr[0])) != 0)
		l->others++;
	else if (l->faulted || l->once || !n)
		soft_step(v);
}

/* -------- generated code's turn -------- */
static void translated(struct soft_vcpu *v, const uint8_t *where)
{
	struct soft_lockstep *l = v->jit->lockstep;
	uint64_t start = soft_host_tsc();

	memcpy(l->raise, v->raise, sizeof(l->raise));
	copies_begin(v, TRANSLATED);
	if (_setjmp(v->raise)) {
		l->faulted = !l->stopped;
		l->event = v->event;
		v->has_event = false;
	} else {
		jit_enter(v, where);
	}
	copies_end(v);
	l->cycles = soft_host_tsc() - start;
	take(v, &l->translated);
}

bool soft_lockstep_run(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;
	uint64_t start = soft_host_tsc();
	int64_t budget = v->budget;
	const uint8_t *where = jit_begin(v);

	if (!where)
		return false;
	v->jit->count.entries++;
	take(v, &l->start);
	translated(v, where);
	if (compare(v)) {
		v->budget = budget;
		for_real(v, start);
	}
	memcpy(v->raise, l->raise, sizeof(l->raise));
	v->budget = budget;
	v->stop = true;
	return true;
}

/* -------- turns -------- */
struct soft_turns {
	struct mutex lock; /* docs/locking.md: soft.turns_lock */
	pthread_cond_t cond;
	uint64_t next MEMBER_GUARDED_BY(lock), now MEMBER_GUARDED_BY(lock);
};

struct soft_turns *soft_turns_new(void)
{
	struct soft_turns *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	mutex_init(&t->lock);
	pthread_cond_init(&t->cond, NULL);
	return t;
}

void soft_turns_free(struct soft_turns *t)
{
	if (!t)
		return;
	pthread_cond_destroy(&t->cond);
	mutex_fini(&t->lock);
	free(t);
}

void soft_turn_begin(struct soft_turns *t)
{
	uint64_t mine;

	if (!t)
		return;
	mutex_lock(&t->lock);
	mine = t->next++;
	while (t->now != mine)
		pthread_cond_wait(&t->cond, &t->lock.m);
	mutex_unlock(&t->lock);
}

void soft_turn_end(struct soft_turns *t)
{
	if (!t)
		return;
	mutex_lock(&t->lock);
	t->now++;
	pthread_cond_broadcast(&t->cond);
	mutex_unlock(&t->lock);
}
