// SPDX-License-Identifier: GPL-2.0-or-later
#include "accel/soft/lockstep.h"
#include <inttypes.h>
#include <stdlib.h>
#include "accel/soft/lockstep_int.h"
#include "base/log.h"

#define SLOWER	  64 /* how many times than without lockstep */
/* The interpreter gives up after so many instructions for each cycle of the host's that generated code took. */
#define PER_CYCLE 16
#define AT_LEAST  20000

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
	l->last[l->n_insns++ % LOCKSTEP_LAST] = v->rip;
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

	while (!lockstep_arrived(v)) {
		if (l->n_insns == most || v->halted) {
			lockstep_tell_nearest(l);
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
		lockstep_tell_nearest(l);
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
	l->last[l->n_insns % LOCKSTEP_LAST] = v->rip;
	soft_step(v);
	DIFFER(l, "exception %u (%#x) translated, none interpreted", event->vector, event->error);
}

/* False: they differ, and it is told. */
static bool compare(struct soft_vcpu *v)
{
	struct soft_lockstep *l = v->jit->lockstep;
	bool stopped = l->stopped, once = l->once, faulted = l->faulted;

	interpret_begin(v);
	lockstep_copies_begin(v, INTERPRETED);
	l->once = once;
	if (_setjmp(v->raise))
		followed_to_event(v);
	else
		follow(v);
	if (!l->what[0] && faulted)
		fault_too(v, &l->event);
	lockstep_copies_end(v);
	l->stopped = stopped;
	l->once = once;
	l->faulted = faulted;
	l->stretches++;
	l->insns += l->n_insns;
	if (!l->what[0])
		return true;
	lockstep_report(v);
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
	lockstep_copies_begin(v, TRANSLATED);
	if (_setjmp(v->raise)) {
		l->faulted = !l->stopped;
		l->event = v->event;
		v->has_event = false;
	} else {
		jit_enter(v, where);
	}
	lockstep_copies_end(v);
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
