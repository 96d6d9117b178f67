// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * run - the loop of a soft vCPU.
 *
 * It works in slices of at most SLICE instructions. Inside a slice the thread is in a read section of
 * the address maps, and an instruction may leave by soft_raise(), which comes back here and leaves an
 * event to be delivered. Between slices it looks at everything else: requests of others (v->poll),
 * timers, sleep.
 *
 * The order of what happens between two instructions is the SDM's (Priority Among Concurrent Events):
 * the event of the last one, debug traps, NMI, interrupt, breakpoints, then the next instruction.
 * That is turn(). It runs whole blocks where nothing can come between their instructions, otherwise
 * (TF, breakpoints, an interrupt shadow) a single one.
 */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include "accel/soft/jit.h"
#include "accel/soft/lockstep.h"
#include "accel/soft/mmu.h"
#include "accel/soft/pv.h"
#include "accel/soft/soft_int.h"
#include "base/clock.h"

#define SLICE	      4096
#define DR7_ENABLES   0xffu
/* So many PAUSEs with so few instructions from one to the next are a loop that waits. */
#define JIT_TURN      16 /* what a turn of generated code counts as */
#define SPINS	      64
#define SPIN_DISTANCE 32

/* -------- leaving an instruction -------- */

_Noreturn void soft_raise_event(struct soft_vcpu *v, const struct soft_event *e)
{
	v->event = *e;
	v->has_event = true;
	_longjmp(v->raise, 1);
}

_Noreturn void soft_raise_error(struct soft_vcpu *v, uint8_t vector, uint32_t error)
{
	struct soft_event e = { .vector = vector, .has_error = true, .error = error };

	soft_raise_event(v, &e);
}

_Noreturn void soft_raise(struct soft_vcpu *v, uint8_t vector)
{
	struct soft_event e = { .vector = vector };

	soft_raise_event(v, &e);
}

/* -------- what follows from the state -------- */

static bool seg_is_flat(const struct soft_vcpu *v, enum x86_seg s)
{
	uint32_t a = v->seg[s].attr;

	/* Data, expand-up, writable. */
	return !(a & X86_ATTR_UNUSABLE) && (a & X86_ATTR_P) && (a & 0x1e) == 0x12 &&
	       v->seg[s].limit == UINT32_MAX;
}

void soft_seg_changed(struct soft_vcpu *v, enum x86_seg s)
{
	uint8_t bit = 1u << s;

	v->seg_flat = (v->seg_flat & ~bit) | (seg_is_flat(v, s) ? bit : 0);
	v->seg_zero = (v->seg_zero & ~bit) | (v->seg[s].base ? 0 : bit);
}

static uint8_t privilege(const struct soft_vcpu *v)
{
	if (soft_real_mode(v))
		return 0;
	return soft_vm86(v) ? 3 : X86_ATTR_DPL(v->seg[X86_SS].attr);
}

static void derive(struct soft_vcpu *v)
{
	const struct x86_segment *cs = &v->seg[X86_CS];
	bool l = soft_long_mode(v) && (cs->attr & X86_ATTR_L);

	v->cpl = privilege(v);
	v->code = l ? X86_CODE_64 : cs->attr & X86_ATTR_DB ? X86_CODE_32 : X86_CODE_16;
	v->addr_wrap = !l;
	v->stack_size = l ? 8 : v->seg[X86_SS].attr & X86_ATTR_DB ? 4 : 2;
	v->cs_limited = !l && cs->limit != UINT32_MAX;
	if (v->cpl == 3)
		v->mmu_index = SOFT_MMU_USER;
	else if ((v->cr4 & X86_CR4_SMAP) && !(v->rflags & X86_FLAG_AC))
		v->mmu_index = SOFT_MMU_KERNEL;
	else
		v->mmu_index = SOFT_MMU_KERNEL_AC;
	soft_mmu_mode_changed(v);
	v->stop = true;
}

void soft_mode_changed(struct soft_vcpu *v)
{
	for (int s = 0; s < X86_NSEG; s++)
		soft_seg_changed(v, s);
	derive(v);
}

void soft_level_changed(struct soft_vcpu *v)
{
	soft_seg_changed(v, X86_CS);
	soft_seg_changed(v, X86_SS);
	derive(v);
}

/* -------- instructions -------- */

/* How many of a block's first @n instructions lie within CS's limit. */
static unsigned int within_limit(struct soft_vcpu *v, const struct soft_block *b, unsigned int n)
{
	uint64_t end = v->rip;

	for (unsigned int i = 0; i < n; i++) {
		end += b->op[i].i.len;
		if (end - 1 > v->seg[X86_CS].limit) {
			if (i == 0)
				soft_gp(v, 0);
			return i;
		}
	}
	return n;
}

/* The first @max instructions of the block at hand, or fewer. Where the next instruction is stays in a
 * register: through memory it would be what each instruction waits for. Only a block's last one is a
 * branch, and a string instruction that comes again sets stop. */
static void run_block(struct soft_vcpu *v, unsigned int max)
{
	const struct soft_block *b = soft_block_get(v);
	unsigned int n = b->n < max ? b->n : max;
	const struct soft_op *o = b->op, *end;
	uint64_t next = v->rip;

	if (v->cs_limited)
		n = within_limit(v, b, n);
	v->stop = false;
	for (end = o + n; o < end;) {
		v->rip = next;
		next += o->i.len;
		v->gpr[X86_REG_RIP] = next;
		o->fn(v, o);
		o++;
		if (__builtin_expect(v->stop, 0))
			break;
	}
	v->rip = v->gpr[X86_REG_RIP];
	v->budget -= o - b->op;
}

void soft_step(struct soft_vcpu *v)
{
	uint8_t shadow = v->shadow;

	v->shadow = 0;
	v->rflags &= ~(uint64_t)X86_FLAG_RF;
	run_block(v, 1);
	v->shadow &= ~shadow;
}

void soft_step_op(struct soft_vcpu *v, const struct soft_op *o)
{
	uint8_t shadow = v->shadow;

	v->shadow = 0;
	v->rflags &= ~(uint64_t)X86_FLAG_RF;
	v->stop = false;
	v->gpr[X86_REG_RIP] = v->rip + o->i.len;
	o->fn(v, o);
	v->rip = v->gpr[X86_REG_RIP];
	v->budget--;
	v->shadow &= ~shadow;
}

static void run_blocks(struct soft_vcpu *v)
{
	if (v->translating) {
		if (soft_jit_run(v)) {
			v->budget -= JIT_TURN;
		} else {
			v->count.loop++;
			run_block(v, 1);
		}
		return;
	}
	do {
		run_block(v, v->budget < SOFT_BLOCK_MAX ? v->budget : SOFT_BLOCK_MAX);
	} while (
		!v->stop && v->budget > 0 && !atomic_load_explicit(&v->poll, memory_order_relaxed));
}

/* DR6's bits for the code breakpoints at the instruction. */
static uint64_t code_breakpoints(const struct soft_vcpu *v)
{
	uint64_t lin = soft_code_linear(v), hits = 0;

	for (unsigned int i = 0; i < 4; i++) {
		bool on = v->dr[7] >> (2 * i) & 3;

		if (on && !(v->dr[7] >> (16 + 4 * i) & 3) && v->dr[i] == lin)
			hits |= 1u << i;
	}
	return hits;
}

/* To the debugger: before an instruction, or after one. */
static void leave_for_debugger(struct soft_vcpu *v, uint64_t points)
{
	v->exit = (struct vcpu_exit){ .kind = VCPU_EXIT_DEBUG,
		.debug = { .pc = v->rip, .points = points } };
	v->leaving = true;
	v->debug_hits = 0;
}

static uint64_t debugger_breakpoints(const struct soft_vcpu *v)
{
	uint64_t hits = 0, lin = soft_code_linear(v);

	for (uint32_t i = 0; i < v->debug.n; i++) {
		const struct accel_debug_point *p = &v->debug.point[i];

		if (p->kind == ACCEL_DEBUG_EXEC && p->addr == lin)
			hits |= 1ull << i;
	}
	return hits;
}

/* One instruction, with all that can come of it: breakpoint, single step, end of a shadow. */
static void run_one(struct soft_vcpu *v)
{
	bool step = v->rflags & X86_FLAG_TF;
	uint8_t shadow = v->shadow;
	uint64_t hits = v->debugged ? debugger_breakpoints(v) : 0;

	if (hits) {
		leave_for_debugger(v, hits);
		return;
	}
	if ((v->dr[7] & DR7_ENABLES) && !(v->rflags & X86_FLAG_RF)) {
		hits = code_breakpoints(v);
		if (hits) {
			struct soft_event e = { .vector = X86_EXC_DB, .dr6 = hits };

			soft_raise_event(v, &e);
		}
	}
	v->shadow = 0;
	v->rflags &= ~(uint64_t)X86_FLAG_RF;
	v->syscall_tf = true;
	run_block(v, 1);
	/* Of several in a row the first casts a shadow: a chain of them must not hold interrupts for ever. */
	v->shadow &= ~shadow;
	/* SYSCALL tells by syscall_tf whether the flags it leaves still have TF. There is no trap after
	 * MOV SS: the next instruction's comes. */
	if (step && v->syscall_tf && !(v->shadow & 1))
		v->pending_dr6 |= X86_DR6_BS;
	v->stop = true;
}

static bool needs_care(const struct soft_vcpu *v)
{
	return v->shadow || (v->rflags & X86_FLAG_TF) || (v->dr[7] & DR7_ENABLES) || v->debugged;
}

/* -------- events -------- */

static void shut_down(struct soft_vcpu *v)
{
	v->shutdown = true;
	v->in_event = false;
	v->exit.kind = VCPU_EXIT_SHUTDOWN;
	v->leaving = true;
}

static void deliver(struct soft_vcpu *v, const struct soft_event *event)
{
	struct soft_event e = *event;

	if (e.kind == SOFT_EVENT_EXTERNAL)
		++*(e.vector == X86_EXC_NMI ? &v->count.nmis : &v->count.interrupts);
	else
		++*(e.vector == X86_EXC_PF ? &v->count.page_faults : &v->count.exceptions);
	v->has_event = false;
	v->halted = false;
	v->mp_state = X86_MP_RUNNABLE;
	v->stop = true;
	if (!soft_event_deliver(v, &e))
		shut_down(v);
}

/* A debug trap, an NMI or an interrupt that is due now. True: it was delivered. */
static bool take_pending(struct soft_vcpu *v)
{
	struct soft_event e = { .kind = SOFT_EVENT_EXTERNAL };
	int vector;

	/* Held back behind MOV SS, as are NMIs. */
	if (v->shadow & 1)
		return false;
	if (v->pending_dr6) {
		e = (struct soft_event){
			.vector = X86_EXC_DB, .kind = SOFT_EVENT_TRAP, .dr6 = v->pending_dr6
		};
		v->pending_dr6 = 0;
		deliver(v, &e);
		return true;
	}
	if (v->debug.step)
		return false;
	if (v->nmi_wanted && !v->nmi_masked && !v->shadow) {
		v->nmi_wanted--;
		v->nmi_masked = true;
		e.vector = X86_EXC_NMI;
		deliver(v, &e);
		return true;
	}
	if (!v->irq_wanted || v->shadow || !(v->rflags & X86_FLAG_IF))
		return false;
	vector = soft_irq_ack(v);
	if (vector < 0) {
		v->irq_wanted = false;
		return false;
	}
	e.vector = vector;
	deliver(v, &e);
	return true;
}

static void turn(struct soft_vcpu *v)
{
	if (v->has_event) {
		struct soft_event e = v->event;

		deliver(v, &e);
	} else if (take_pending(v) || v->halted) {
		return;
	} else if (needs_care(v)) {
		run_one(v);
	} else {
		/* The next instruction clears it, or faults, and then the handler's frame has it. */
		v->rflags &= ~(uint64_t)X86_FLAG_RF;
		run_blocks(v);
	}
}

static void turn_debugged(struct soft_vcpu *v)
{
	turn(v);
	if (!v->leaving && !v->has_event && (v->debug.step || v->debug_hits))
		leave_for_debugger(v, v->debug_hits);
}

int soft_vcpu_debug(struct accel_vcpu *av, const struct accel_debug *d)
{
	struct soft_vcpu *v = to_soft_vcpu(av);

	v->debug = *d;
	v->debugged = d->n || d->step;
	v->debug_hits = 0;
	soft_watch_changed(v);
	return 0;
}

int soft_vcpu_translate(struct accel_vcpu *av, uint64_t linear, uint64_t *gpa)
{
	struct soft_vcpu *v = to_soft_vcpu(av);
	bool found;

	as_read_begin();
	found = soft_translate(v, linear, gpa);
	as_read_end();
	return found ? 0 : -EFAULT;
}

/* -------- slices -------- */

void soft_spin(struct soft_vcpu *v)
{
	bool again = v->spun_at - v->budget <= SPIN_DISTANCE;

	v->stop = true;
	v->spun_at = v->budget;
	v->spins = again ? v->spins + 1 : 0;
	if (v->spins < SPINS)
		return;
	v->spins = 0;
	v->yield = true;
}

static void slice_begin(struct soft_vcpu *v)
{
	/* seq_cst: who waits for the vCPU to leave guest code sees this or is seen by the poll that
	 * follows. */
	atomic_store(&v->in_guest, true);
	if (v->vm->ticker)
		soft_ticker_wake(v->vm);
	as_read_begin();
	soft_mmu_slice(v);
}

static void slice_end(struct soft_vcpu *v)
{
	as_read_end();
	atomic_store(&v->in_guest, false);
}

/* Is there what ends a HLT? Between slices soft_irq_pending() has set irq_wanted. */
static bool wakes(const struct soft_vcpu *v)
{
	return v->has_event || v->pending_dr6 || (v->nmi_wanted && !v->nmi_masked) ||
	       (v->irq_wanted && (v->rflags & X86_FLAG_IF));
}

static bool may_go_on(const struct soft_vcpu *v)
{
	return v->budget > 0 && (!v->halted || wakes(v)) && !v->leaving && !v->yield &&
	       !atomic_load_explicit(&v->poll, memory_order_relaxed);
}

static void slice(struct soft_vcpu *v)
{
	v->translating = v->jit;
	v->count.slices++;
	soft_turn_begin(v->vm->turns);
	slice_begin(v);
	v->budget = SLICE;
	if (_setjmp(v->raise)) {
		/* An endless run of faulting instructions is work like any other. */
		v->budget--;
		if (v->exclusive)
			soft_exclusive_end(v);
	}
	while (may_go_on(v))
		v->debugged ? turn_debugged(v) : turn(v);
	v->instructions += SLICE - v->budget;
	slice_end(v);
	soft_turn_end(v->vm->turns);
	/* What is waited for may be another vCPU's, and that one may wait for this processor. */
	if (v->yield)
		sched_yield();
	v->yield = false;
}

/* -------- sleep and requests -------- */

void soft_nmi(struct soft_vcpu *v)
{
	atomic_fetch_add(&v->nmis, 1);
	soft_notify(v, SOFT_POLL_NMI);
}

static void sleep_until(struct soft_vcpu *v, int64_t deadline_ns)
{
	int64_t began = v->pv.steal ? clock_mono_ns() : 0;

	soft_sleep(v, deadline_ns);
	if (began)
		v->pv.slept += clock_mono_ns() - began;
}

static bool runnable(struct soft_vcpu *v)
{
	if (v->shutdown)
		return false;
	if (v->mp_state != X86_MP_RUNNABLE && v->mp_state != X86_MP_HALTED)
		return false; /* waits for SIPI */
	if (!v->halted)
		return true;
	v->irq_wanted = soft_irq_pending(v);
	return wakes(v);
}

/* One is held while another is at work; if none is, it begins with the first. */
static void take_nmis(struct soft_vcpu *v)
{
	uint32_t n = atomic_exchange(&v->nmis, 0), most = v->nmi_masked ? 1 : 2;

	v->nmi_wanted = n > most - MIN(v->nmi_wanted, most) ? most : v->nmi_wanted + n;
}

static void serve_poll(struct soft_vcpu *v)
{
	uint32_t p = atomic_exchange(&v->poll, 0);

	if (p & SOFT_POLL_FLUSH)
		soft_mmu_serve_flush(v);
	if (p & SOFT_POLL_CODE)
		soft_jit_serve_code(v);
	if (p & SOFT_POLL_INIT) {
		v->shutdown = false;
		soft_vcpu_init_signal(v);
	}
	if (p & SOFT_POLL_SIPI)
		soft_vcpu_sipi(v, v->sipi_vector);
	if (p & SOFT_POLL_NMI)
		take_nmis(v);
	if (p & SOFT_POLL_IRQ)
		v->irq_wanted = true;
	if (p & SOFT_POLL_UNHALT) {
		v->unhalted = !v->halted;
		if (v->halted)
			v->mp_state = X86_MP_RUNNABLE;
		v->halted = false;
	}
	if (p & SOFT_POLL_KICK) {
		v->leaving = true;
		v->exit.kind = VCPU_EXIT_NONE;
	}
}

/* -------- the engine's operations -------- */

int soft_vcpu_run(struct accel_vcpu *av, struct vcpu_exit *exit)
{
	struct soft_vcpu *v = to_soft_vcpu(av);

	soft_native_thread();
	soft_pv_enter(v);
	v->leaving = v->shutdown;
	v->exit.kind = v->shutdown ? VCPU_EXIT_SHUTDOWN : VCPU_EXIT_NONE;
	for (;;) {
		if (atomic_load(&v->poll))
			serve_poll(v);
		if (v->leaving)
			break;
		soft_timer_run(v);
		soft_pv_account(v);
		if (runnable(v)) {
			slice(v);
		} else {
			v->count.halts += v->halted;
			soft_fpu_sync(v);
			soft_jit_idle(v);
			sleep_until(v, soft_timer_next(v));
		}
	}
	soft_fpu_sync(v);
	*exit = v->exit;
	return 0;
}

void soft_vcpu_kick(struct accel_vcpu *v)
{
	soft_notify(to_soft_vcpu(v), SOFT_POLL_KICK);
}

int soft_vcpu_nmi(struct accel_vcpu *v)
{
	soft_nmi(to_soft_vcpu(v));
	return 0;
}

/* True: go on. What has asked for attention is not forgotten, but for written code. */
static bool serve_steps(struct soft_vcpu *v)
{
	if (v->translating && atomic_load(&v->poll) & SOFT_POLL_CODE) {
		atomic_fetch_and(&v->poll, ~(uint32_t)SOFT_POLL_CODE);
		soft_jit_serve_code(v);
	}
	return !(atomic_load(&v->poll) & (v->translating ? UINT32_MAX : SOFT_POLL_FLUSH));
}

static uint64_t steps(struct soft_vcpu *v, uint64_t n, struct soft_event *event)
{
	if (event)
		event->vector = 255;
	if (n > INT_MAX)
		n = INT_MAX;
	soft_native_thread();
	v->leaving = false;
	v->budget = n;
	slice_begin(v);
	if (_setjmp(v->raise)) {
		if (v->exclusive)
			soft_exclusive_end(v);
		if (!event || v->in_event)
			v->budget--;
	}
	while (v->budget > 0 && !v->halted && !v->leaving) {
		if (v->has_event && event && !v->in_event) {
			*event = v->event;
			v->has_event = false;
			break;
		}
		if (v->pending_dr6 && event && !(v->shadow & 1)) {
			*event = (struct soft_event){
				.vector = X86_EXC_DB, .kind = SOFT_EVENT_TRAP, .dr6 = v->pending_dr6
			};
			v->pending_dr6 = 0;
			break;
		}
		turn(v);
		if (!serve_steps(v))
			break;
	}
	slice_end(v);
	soft_fpu_sync(v);
	return n - v->budget;
}

uint64_t soft_vcpu_steps(struct soft_vcpu *v, uint64_t n, struct soft_event *event)
{
	v->translating = false;
	return steps(v, n, event);
}

uint64_t soft_vcpu_turns(struct soft_vcpu *v, uint64_t n, struct soft_event *event)
{
	v->translating = v->jit;
	return steps(v, n, event);
}
