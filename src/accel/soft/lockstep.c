// SPDX-License-Identifier: GPL-2.0-or-later
#include "accel/soft/lockstep.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "accel/soft/jit.h"
#include "accel/soft/mmu_int.h"
#include "base/log.h"

#define PAGES	   16 /* that a stretch may write to */
#define ACCESSES   (3 * JIT_INSNS)
#define ACCESS_MAX 64
#define FLAGS_DEAD 64 /* instructions looked at */
#define SLOWER	   64 /* how many times than without lockstep */

struct access {
	uint64_t rip, lin;
	uint8_t *host, *copy; /* in RAM; what generated code used */
	bool write;
	uint8_t size, old[ACCESS_MAX];
};

/* What a stretch may change, but memory. */
struct state {
	uint64_t gpr[18], rip, rflags, kernel_gs_base;
	uint8_t mmu_index, shadow;
	struct x86_segment seg[X86_NSEG];
	struct soft_fpu fpu;
};

struct soft_lockstep {
	bool before, faulted, strings; /* there were string instructions */
	struct soft_event event;       /* generated code's */
	jmp_buf raise;		       /* the run loop's */
	struct state start, translated, interpreted;
	const uint8_t *code; /* of the page at @code_lin, where the stretch begins */
	_Atomic uint32_t *code_word;
	uint32_t code_value;
	uint64_t code_lin;
	unsigned int n_insns, n_writes;	     /* the interpreter's */
	struct x86_insn insn[JIT_INSNS + 2]; /* one too many, and one that faults */
	uint64_t at[JIT_INSNS + 2];
	const struct soft_op *op,
		*op_end; /* the interpreter's next, if it goes on at op_rip; or NULL */
	uint64_t op_rip;
	unsigned int n_access, n_pages;
	struct access access[ACCESSES];
	uint8_t *page[PAGES]; /* of RAM */
	_Alignas(PAGE_SIZE) uint8_t copy[PAGES][PAGE_SIZE];
	uint64_t stretches, insns, excused;
	char what[120]; /* the first difference */
};

struct soft_lockstep *soft_lockstep_new(void)
{
	struct soft_lockstep *l = aligned_alloc(PAGE_SIZE, sizeof(*l));

	if (l)
		memset(l, 0, sizeof(*l));
	return l;
}

void soft_lockstep_free(struct soft_lockstep *l)
{
	if (l)
		log_info("soft",
			"lockstep: %" PRIu64 " instructions in %" PRIu64
			" stretches compared, %" PRIu64 " not comparable",
			l->insns, l->stretches, l->excused);
	free(l);
}

bool soft_lockstep_twice(const struct x86_insn *i)
{
	return i->op != X86_OP_RDTSC && i->op != X86_OP_RDTSCP && i->op != X86_OP_SYSCALL &&
	       i->op != X86_OP_SYSRET;
}

/* -------- state -------- */
static void take(struct soft_vcpu *v, struct state *s)
{
	soft_fpu_sync(v);
	memcpy(s->gpr, v->gpr, sizeof(s->gpr));
	s->rip = v->rip;
	s->rflags = v->rflags;
	s->kernel_gs_base = v->kernel_gs_base;
	s->mmu_index = v->mmu_index;
	s->shadow = v->shadow;
	memcpy(s->seg, v->seg, sizeof(s->seg));
	s->fpu = v->fpu;
}

static void give(struct soft_vcpu *v, const struct state *s)
{
	memcpy(v->gpr, s->gpr, sizeof(s->gpr));
	v->rip = s->rip;
	v->rflags = s->rflags;
	v->kernel_gs_base = s->kernel_gs_base;
	v->mmu_index = s->mmu_index;
	v->shadow = s->shadow;
	memcpy(v->seg, s->seg, sizeof(s->seg));
	v->fpu = s->fpu;
}

/* -------- generated code's accesses -------- */
const uint8_t *soft_lockstep_stop(struct soft_vcpu *v, bool before)
{
	v->jit->lockstep->before = before;
	return NULL;
}

static uint8_t *copy_of(struct soft_lockstep *l, uint8_t *page, bool make)
{
	for (unsigned int i = 0; i < l->n_pages; i++)
		if (l->page[i] == page)
			return l->copy[i];
	if (!make || l->n_pages == PAGES)
		return NULL;
	l->page[l->n_pages] = page;
	memcpy(l->copy[l->n_pages], page, PAGE_SIZE);
	return l->copy[l->n_pages++];
}

uint8_t *soft_lockstep_access(struct soft_vcpu *v, uint8_t *host, uint64_t lin, unsigned int size,
	enum soft_access access)
{
	struct soft_lockstep *l = v->jit->lockstep;
	uint8_t *page = host - (lin & PAGE_OFF), *copy;
	struct access *a = &l->access[l->n_access];

	if (l->n_access == ACCESSES || size > ACCESS_MAX)
		return NULL;
	copy = copy_of(l, page, access == SOFT_WRITE);
	if (access == SOFT_WRITE && !copy)
		return NULL;
	copy = copy ? copy + (lin & PAGE_OFF) : host;
	*a = (struct access){ .rip = v->rip,
		.lin = lin,
		.host = host,
		.copy = copy,
		.write = access == SOFT_WRITE,
		.size = (uint8_t)size };
	memcpy(a->old, access == SOFT_WRITE ? copy : host, size);
	l->n_access++;
	return copy;
}

/* What the instruction at hand has done already is not done. */
static void forget_begun(struct soft_lockstep *l, uint64_t rip)
{
	while (l->n_access && l->access[l->n_access - 1].rip == rip) {
		const struct access *a = &l->access[--l->n_access];

		if (a->write)
			memcpy(a->copy, a->old, a->size);
	}
}

/* -------- flags that nobody reads any more -------- */
/* Of those in @left, from @lin on. The same rule as the translator's, found another way. */
static uint64_t dead_from(const struct soft_lockstep *l, enum x86_code code, uint64_t lin,
	uint64_t left, int branches)
{
	for (int n = 0; n < FLAGS_DEAD && left; n++) {
		uint64_t off = lin - l->code_lin;
		struct x86_insn i;
		struct jit_flags f;

		if (off >= PAGE_SIZE ||
			x86_decode(l->code + off, PAGE_SIZE - off, code, &i) != X86_DECODE_OK)
			return 0;
		f = jit_flags_of(&i);
		lin += i.len;
		if (i.flags & X86_I_BRANCH) {
			uint64_t to = lin + i.imm, here = left;

			if (!branches || i.operand[0].kind != X86_OPND_REL ||
				i.opsize != (code == X86_CODE_64 ? 8 : 4))
				return 0;
			if (i.op == X86_OP_JMP || i.op == X86_OP_CALL)
				return dead_from(l, code, to, left, branches - 1);
			here &= ~(uint64_t)f.reads;
			return i.op == X86_OP_JCC
				       ? dead_from(l, code, to, here, branches - 1) &
						 dead_from(l, code, lin, here, branches - 1)
				       : 0;
		}
		left &= ~(uint64_t)f.reads;
		if (f.writes & left)
			return (f.writes & left) |
			       dead_from(l, code, lin, left & ~(uint64_t)f.writes, branches);
	}
	return 0;
}

/* -------- comparing -------- */
#define DIFFER(l, ...)                                                       \
	do {                                                                 \
		if (!(l)->what[0])                                           \
			snprintf((l)->what, sizeof((l)->what), __VA_ARGS__); \
	} while (0)

static const char gpr_name[16][4] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8",
	"r9", "r10", "r11", "r12", "r13", "r14", "r15" };

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

static void compare_registers(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;
	const struct state *t = &l->translated, *i = &l->interpreted;
	uint64_t flags = t->rflags ^ i->rflags;

	for (int n = 0; n < 16; n++)
		compare_u64(l, gpr_name[n], t->gpr[n], i->gpr[n]);
	compare_u64(l, "rip", t->rip, i->rip);
	if (flags && !(flags & ~(uint64_t)X86_FLAGS_STATUS))
		flags &= ~dead_from(l, (enum x86_code)v->code, soft_code_linear(v), flags, 8);
	if (flags)
		compare_u64(l, "rflags", t->rflags, i->rflags);
	compare_u64(l, "fs base", t->seg[X86_FS].base, i->seg[X86_FS].base);
	compare_u64(l, "gs base", t->seg[X86_GS].base, i->seg[X86_GS].base);
	compare_u64(l, "kernel gs base", t->kernel_gs_base, i->kernel_gs_base);
	compare_u64(l, "mmu index", t->mmu_index, i->mmu_index);
	compare_fpu(l, &t->fpu, &i->fpu);
}

/* A string instruction writes more than it has looked up. */
static void compare_pages(struct soft_lockstep *l)
{
	for (unsigned int n = 0; n < l->n_pages; n++)
		for (unsigned int k = 0; k < PAGE_SIZE; k++)
			if (l->copy[n][k] != l->page[n][k]) {
				DIFFER(l, "byte %#x of a page is %#x translated, %#x interpreted",
					k, l->copy[n][k], l->page[n][k]);
				return;
			}
}

static void compare_memory(struct soft_lockstep *l)
{
	unsigned int writes = 0;

	for (unsigned int n = 0; n < l->n_access; n++) {
		const struct access *a = &l->access[n];

		if (!a->write)
			continue;
		writes++;
		if (memcmp(a->copy, a->host, a->size))
			DIFFER(l, "%u bytes at %#" PRIx64 " differ, written by %#" PRIx64, a->size,
				a->lin, a->rip);
	}
	if (l->strings)
		compare_pages(l);
	else if (writes != l->n_writes)
		DIFFER(l, "%u stores translated, %u interpreted", writes, l->n_writes);
}

/* Has another thread changed what generated code has read, or the code? */
static bool excused(const struct soft_lockstep *l)
{
	if (atomic_load(l->code_word) != l->code_value)
		return true;
	for (unsigned int n = 0; n < l->n_access; n++) {
		const struct access *a = &l->access[n];
		bool own = false;

		for (unsigned int k = 0; k < l->n_access; k++)
			own |= l->access[k].write && l->access[k].host < a->host + a->size &&
			       a->host < l->access[k].host + l->access[k].size;
		if (!own && memcmp(a->old, a->host, a->size))
			return true;
	}
	return false;
}

/* -------- the report -------- */
static void report_code(const struct soft_lockstep *l)
{
	for (unsigned int n = 0; n < l->n_insns; n++) {
		const struct x86_insn *i = &l->insn[n];
		uint64_t off = l->at[n] - l->code_lin;
		char bytes[3 * X86_INSN_MAX + 1] = "";

		for (unsigned int k = 0; k < i->len && off + k < PAGE_SIZE; k++)
			snprintf(bytes + 3 * k, 4, "%02x ", l->code[off + k]);
		log_err("soft", "  %016" PRIx64 "  %-45s %s", l->at[n], bytes,
			x86_op_name((enum x86_op)i->op));
	}
}

static void report_registers(const struct soft_lockstep *l)
{
	const struct state *s = &l->start, *t = &l->translated, *i = &l->interpreted;

	log_err("soft", "  %-6s %16s %16s %16s", "", "before", "translated", "interpreted");
	for (int n = 0; n < 16; n++)
		log_err("soft", "  %-6s %016" PRIx64 " %016" PRIx64 " %016" PRIx64 "%s",
			gpr_name[n], s->gpr[n], t->gpr[n], i->gpr[n],
			t->gpr[n] == i->gpr[n] ? "" : "  <--");
	log_err("soft", "  %-6s %016" PRIx64 " %016" PRIx64 " %016" PRIx64, "rip", s->rip, t->rip,
		i->rip);
	log_err("soft", "  %-6s %016" PRIx64 " %016" PRIx64 " %016" PRIx64, "rflags", s->rflags,
		t->rflags, i->rflags);
	for (int n = 0; n < 16; n++) {
		const uint64_t *x = (const void *)t->fpu.ymm[n], *y = (const void *)i->fpu.ymm[n];

		if (memcmp(x, y, 32))
			log_err("soft",
				"  ymm%-3d translated %016" PRIx64 " %016" PRIx64 " %016" PRIx64
				" %016" PRIx64 ", interpreted %016" PRIx64 " %016" PRIx64
				" %016" PRIx64 " %016" PRIx64,
				n, x[3], x[2], x[1], x[0], y[3], y[2], y[1], y[0]);
	}
}

static void bytes_to_hex(char *out, const uint8_t *p, unsigned int n)
{
	for (unsigned int k = 0; k < n; k++)
		snprintf(out + 2 * k, 3, "%02x", p[k]);
}

static void report_accesses(const struct soft_lockstep *l)
{
	for (unsigned int n = 0; n < l->n_access; n++) {
		const struct access *a = &l->access[n];
		char old[2 * ACCESS_MAX + 1], is[2 * ACCESS_MAX + 1], ram[2 * ACCESS_MAX + 1];

		bytes_to_hex(old, a->old, a->size);
		bytes_to_hex(is, a->copy, a->size);
		bytes_to_hex(ram, a->host, a->size);
		log_err("soft",
			"  %016" PRIx64 " %s %u bytes at %016" PRIx64
			": before %s translated %s interpreted %s",
			a->rip, a->write ? "writes" : "reads", a->size, a->lin, old, is, ram);
	}
}

static void report(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;

	log_err("soft", "lockstep: %s", l->what);
	report_code(l);
	report_registers(l);
	report_accesses(l);
	v->exit = (struct vcpu_exit){ .kind = VCPU_EXIT_ERROR };
	snprintf(v->exit.error.text, sizeof(v->exit.error.text), "lockstep: %s", l->what);
	v->leaving = true;
	l->what[0] = 0;
}

/* -------- the interpreter's turn -------- */
static bool is_store(const struct x86_insn *i)
{
	if (i->op == X86_OP_PUSH || i->op == X86_OP_PUSHF || i->op == X86_OP_CALL)
		return true;
	for (int k = 0; k < i->n_operands; k++)
		if (i->operand[k].kind == X86_OPND_MEM && i->operand[k].access & X86_ACC_W)
			return true;
	return false;
}

static void compare(struct soft_vcpu *v)
{
	take(v, &v->jit->lockstep->interpreted);
	compare_registers(v);
	compare_memory(v->jit->lockstep);
}

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
	const struct x86_insn *i = &o->i;

	l->op_rip = v->rip + i->len;
	l->at[l->n_insns] = v->rip;
	l->insn[l->n_insns++] = *i;
	l->n_writes += is_store(i);
	l->strings |= !!(i->flags & X86_I_STRING);
	soft_step_op(v, o);
	if (v->stop || ++l->op == l->op_end)
		l->op = NULL;
}

static bool interpret_until(struct soft_vcpu *v, uint64_t rip)
{
	struct soft_lockstep *l = v->jit->lockstep;

	do {
		if (l->n_insns > JIT_INSNS)
			return false;
		interpret_one(v);
	} while (v->rip != rip);
	return true;
}

/* The instructions that generated code has carried out. Where it ends by a branch back into the block,
 * the interpreter comes by there before. */
static void replay(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;
	uint64_t rip = l->translated.rip;
	bool by_the_way = !l->before && rip > l->start.rip && rip - l->start.rip < PAGE_SIZE;
	char what[sizeof(l->what)];

	if (!(l->before && rip == l->start.rip) && !interpret_until(v, rip)) {
		DIFFER(l, "the interpreter does not come to %#" PRIx64, rip);
		return;
	}
	compare(v);
	if (!by_the_way || !l->what[0])
		return;
	memcpy(what, l->what, sizeof(what));
	l->what[0] = 0;
	if (interpret_until(v, rip))
		compare(v);
	else
		memcpy(l->what, what, sizeof(what));
}

static void check(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;

	l->stretches++;
	l->insns += l->n_insns;
	if (!l->what[0])
		return;
	if (excused(l)) {
		l->excused++;
		l->what[0] = 0;
		return;
	}
	report(v);
}

static bool same_event(const struct soft_event *a, const struct soft_event *b)
{
	return a->vector == b->vector && a->kind == b->kind && a->has_error == b->has_error &&
	       (!a->has_error || a->error == b->error) &&
	       (a->vector != X86_EXC_PF || a->cr2 == b->cr2);
}

static void catch_up(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;

	give(v, &l->start);
	l->n_insns = l->n_writes = 0;
	l->strings = false;
	l->op = NULL;
	if (_setjmp(v->raise)) {
		DIFFER(l, "exception %u at %#" PRIx64 ", which generated code came by",
			v->event.vector, v->rip);
		v->has_event = false;
	} else {
		replay(v);
	}
	memcpy(v->raise, l->raise, sizeof(l->raise));
	check(v);
}

/* Generated code has faulted: so must the interpreter. */
static void fault_too(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;

	if (_setjmp(v->raise)) {
		if (v->exclusive)
			soft_exclusive_end(v);
		if (!same_event(&v->event, &l->event))
			DIFFER(l, "exception %u (%#x) translated, %u (%#x) interpreted",
				l->event.vector, l->event.error, v->event.vector, v->event.error);
	} else {
		l->at[l->n_insns] = v->rip;
		l->insn[l->n_insns++] = soft_block_get(v)->op[0].i;
		soft_step(v);
		DIFFER(l, "exception %u (%#x) translated, none interpreted", l->event.vector,
			l->event.error);
	}
	memcpy(v->raise, l->raise, sizeof(l->raise));
	if (l->what[0] && !excused(l))
		report(v);
	l->what[0] = 0;
}

static bool begin(struct soft_vcpu *v, const uint8_t **where)
{
	struct soft_lockstep *l = v->jit->lockstep;
	uint64_t gpa;

	*where = jit_begin(v);
	if (!*where)
		return false;
	l->code_lin = soft_code_linear(v) & ~PAGE_OFF;
	l->code = soft_fetch(v, l->code_lin, &gpa, &l->code_word);
	if (!l->code)
		return false;
	l->code_value = atomic_load(l->code_word);
	l->n_access = l->n_pages = 0;
	l->before = l->faulted = false;
	take(v, &l->start);
	return true;
}

static void twice(struct soft_vcpu *v, const uint8_t *where)
{
	struct soft_lockstep *l = v->jit->lockstep;

	memcpy(l->raise, v->raise, sizeof(l->raise));
	if (_setjmp(v->raise)) {
		l->before = l->faulted = true;
		l->event = v->event;
		v->has_event = false;
	} else {
		jit_enter(v, where);
	}
	take(v, &l->translated);
	if (l->before)
		forget_begun(l, v->rip);
	catch_up(v);
	if (!v->leaving && l->faulted)
		fault_too(v);
	else if (!v->leaving && l->before)
		soft_step(v);
	v->stop = true;
}

/* Of the time that it takes the guest sees what the instructions take otherwise, or thereabouts. Else it
 * would do nothing but serve its clock's interrupts. */
bool soft_lockstep_run(struct soft_vcpu *v)
{
	uint64_t start = soft_host_tsc(), took;
	const uint8_t *where;

	if (!begin(v, &where))
		return false;
	twice(v, where);
	took = soft_host_tsc() - start;
	soft_clock_lose(v, took - took / SLOWER);
	return true;
}
