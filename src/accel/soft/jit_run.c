// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_run - generated code: how it is entered and left, and what it calls (with jit_link.c).
 *
 * In generated code GS is the vCPU. Guest registers are in the host's of the same number, but for rSP, which is in
 * r11, r9 and r10, which are in r14 and r15, and r11, r14 and r15, which are in the frame on the host's stack
 * (enum jit_frame); host r9 and r10 are scratch. The six status flags are the host's (or in v->g.flags2, for a
 * while); all else of RFLAGS stays in v->rflags. The host's DF is 0 and its stack the one that soft_jit_run() had.
 *
 * A stub that calls C stores all that first: C code finds the vCPU as the interpreter would leave it.
 * It returns where to go on, or NULL to leave. It may raise: what lies on the stack is dropped by the
 * longjmp.
 */
#include "accel/soft/jit_run.h"
#include "accel/soft/lockstep.h"
#include "accel/soft/native_int.h"
#include <asm/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static __thread struct soft_vcpu *current;

/* -------- flags: the CPU's as LAHF and SETO give them -------- */
void jit_flags_take(struct soft_vcpu *v, const struct jit_site *s)
{
	uint16_t f = s->flags_saved ? v->g.flags2 : v->g.flags;

	v->rflags = (v->rflags & ~(uint64_t)X86_FLAGS_STATUS) | (f >> 8 & X86_FLAGS_STATUS & 0xff) |
		    (f & 1 ? X86_FLAG_OF : 0);
}

static void flags_give(struct soft_vcpu *v)
{
	v->g.flags = v->g.flags2 = (uint16_t)(v->rflags << 8 | !!(v->rflags & X86_FLAG_OF));
}

/* -------- going on -------- */
/* Nothing but the next instruction is due. */
static bool quiet(const struct soft_vcpu *v)
{
	return !atomic_load_explicit(&v->poll, memory_order_relaxed) && !v->has_event &&
	       !v->halted && !v->leaving && !v->yield && !v->shadow && !v->pending_dr6 &&
	       !v->nmi_wanted && !(v->irq_wanted && v->rflags & X86_FLAG_IF) &&
	       !(v->rflags & X86_FLAG_TF) && !(v->dr[7] & 0xff) && !v->debugged;
}

/* From here on soft_notify() ends generated code: it writes g.id_poll after v->poll, and here it is the
 * other way round. */
static bool attentive(struct soft_vcpu *v)
{
	if (__builtin_expect(
		    atomic_load_explicit(&v->g.id_poll, memory_order_relaxed) != v->g.id, 0))
		atomic_store(&v->g.id_poll, v->g.id);
	return quiet(v);
}

static uint64_t code_linear(const struct soft_vcpu *v)
{
	return v->code == X86_CODE_64 ? v->rip : (uint32_t)(v->rip + v->seg[X86_CS].base);
}

/* As who has its address in r9 enters the block at v->rip. */
const uint8_t *jit_enter_block(struct soft_vcpu *v, const uint8_t *host)
{
	/* The next instruction clears it, or faults, and then the handler's frame has it. */
	v->rflags &= ~(uint64_t)X86_FLAG_RF;
	v->g.r9 = code_linear(v) + v->g.id;
	v->g.vec_was = false;
	flags_give(v);
	return host;
}

/* What generated code would find in its table. NULL: nothing. */
static const void *jump_known(struct soft_vcpu *v, uint64_t lin)
{
	uint64_t tag = lin + v->g.id;

	if (v->jit->stale || !(v->jit->mode & JIT_MODE_FLAT) || !tag ||
		soft_goto_at(v, lin)->tag != tag)
		return NULL;
	return soft_goto_at(v, lin)->host;
}

/* Why generated code is left, or not entered. */
static uint64_t *cause(struct soft_vcpu *v)
{
	uint32_t poll = atomic_load_explicit(&v->poll, memory_order_relaxed);
	struct jit_counters *c = &v->jit->count;

	if (poll)
		return poll & SOFT_POLL_CODE	? &c->left_code
		       : poll & SOFT_POLL_IRQ	? &c->left_irq
		       : poll & SOFT_POLL_TIMER ? &c->left_timer
		       : poll & SOFT_POLL_FLUSH ? &c->left_flush
						: &c->left_other;
	if (v->halted)
		return &c->left_halt;
	if (v->irq_wanted && v->rflags & X86_FLAG_IF)
		return &c->left_window;
	if (v->shadow || v->rflags & X86_FLAG_TF || v->dr[7] & 0xff || v->debugged)
		return &c->left_step;
	return quiet(v) ? &c->left_none : &c->left_rest;
}

const uint8_t *jit_leave(struct soft_vcpu *v)
{
	++*cause(v);
	return NULL;
}

/* The block at v->rip. */
const uint8_t *jit_go_on(struct soft_vcpu *v)
{
	uint64_t lin = code_linear(v);
	const uint8_t *host;
	uint32_t b;

	v->stop = false;
	if (!quiet(v) || v->mmu_slow)
		return jit_leave(v);
	jit_sync(v);
	host = jump_known(v, lin);
	if (!host) {
		b = jit_find(v, lin);
		if (b == JIT_NONE)
			return jit_leave(v);
		host = jit_code_at(v->jit, v->jit->block[b].ind);
	}
	if (!attentive(v))
		return jit_leave(v);
	return jit_enter_block(v, host);
}

/* The block at v->rip, maybe that of JIT_MODE_APART, if nothing else is due; or JIT_NONE. */
uint32_t jit_find_here(struct soft_vcpu *v, bool apart)
{
	uint32_t b;

	v->stop = false;
	if (!quiet(v))
		return JIT_NONE;
	b = apart ? jit_find_apart(v, code_linear(v)) : jit_find(v, code_linear(v));
	return b != JIT_NONE && attentive(v) ? b : JIT_NONE;
}

/* -------- what stubs call -------- */
/* The instruction at @off of a page, which may end in @p2. */
static bool decode_at(struct soft_vcpu *v, const struct jit_page *p, const struct jit_page *p2,
	uint32_t off, struct soft_op *op)
{
	uint8_t both[2 * X86_INSN_MAX];
	uint32_t n = 0x1000 - off;

	ram_code_take(p->word, ram_code_lines(off, MIN(n, X86_INSN_MAX)));
	if (n >= X86_INSN_MAX || !p2)
		return soft_decode_op(v, p->host + off, n, op);
	ram_code_take(p2->word, ram_code_lines(0, X86_INSN_MAX));
	memcpy(both, p->host + off, n);
	memcpy(both + n, p2->host, X86_INSN_MAX);
	return soft_decode_op(v, both, n + X86_INSN_MAX, op);
}

static struct soft_op *op_at(struct soft_vcpu *v, const struct jit_site *s)
{
	struct soft_jit *j = v->jit;
	const struct jit_block *b = &j->block[s->block];
	const struct jit_page *p = &j->page[b->page];
	const struct jit_page *p2 = b->page2 == JIT_NONE ? NULL : &j->page[b->page2];
	uint32_t h = (uint32_t)(((uintptr_t)p->word + 0x9e37u * s->off) * 0x9e3779b1u) >>
		     (32 - JIT_OP_BITS);
	uint32_t value2 = p2 ? p2->value : 0;
	struct jit_op_slot *o = &j->op[h];

	if (o->word == p->word && o->value == p->value && o->off == s->off && o->code == v->code &&
		o->page2 == b->page2 && o->value2 == value2)
		return &o->op;
	o->word = NULL; /* what follows may raise */
	if (!decode_at(v, p, p2, s->off, &o->op))
		return NULL;
	o->value = p->value;
	o->off = s->off;
	o->code = v->code;
	o->page2 = b->page2;
	o->value2 = value2;
	o->word = p->word;
	return &o->op;
}

/* The interpreter carries @o out; returns where it ends if nothing is done about that. */
static uint64_t carry_out(struct soft_vcpu *v, const struct soft_op *o)
{
	uint64_t next = v->rip + o->i.len;

	v->jit->count.interps++;
	v->jit->interp_op[o->i.op]++;
	v->gpr[X86_REG_RIP] = next;
	v->stop = false;
	o->fn(v, o);
	v->rip = v->gpr[X86_REG_RIP];
	return next;
}

/* The instruction at v->rip, whatever the block thinks that is. */
const uint8_t *jit_interpret_anew(struct soft_vcpu *v)
{
	const struct soft_op *o = &soft_block_get(v)->op[0];

	if (v->jit->lockstep && !soft_lockstep_private(v, o))
		return NULL;
	carry_out(v, o);
	return jit_go_on(v);
}

/* The interpreter carries out the instruction of the site. */
static const uint8_t *interpret(struct soft_vcpu *v, const struct jit_site *s)
{
	const struct soft_op *o;
	uint64_t next;
	uint32_t epoch = v->jit->epoch;

	o = op_at(v, s);
	if (!o) /* its bytes have changed meanwhile */
		return jit_interpret_anew(v);
	if (v->jit->lockstep && !soft_lockstep_private(v, o))
		return NULL;
	next = carry_out(v, o);
	if (v->rip != next || o->i.len != s->len || !s->next || v->stop || !quiet(v) ||
		!jit_synced(v) || v->jit->epoch != epoch)
		return jit_go_on(v);
	flags_give(v);
	return (const uint8_t *)s + s->next;
}

/* What generated code has put down about the last x87 instruction: into its place. */
static void x87_take(struct soft_vcpu *v)
{
	uint32_t last = v->g.x87_last;

	v->fpu.fip = v->g.x87_page + (last & JIT_LAST_OFF);
	if (v->addr_wrap)
		v->fpu.fip = (uint32_t)v->fpu.fip;
	v->fpu.fcs = v->seg[X86_CS].selector;
	v->fpu.fop = last >> JIT_LAST_FOP & 0x7ff;
	if (v->g.x87_seg)
		v->fpu.fds = v->seg[v->g.x87_seg - 1].selector;
	v->g.x87_last = 0;
	v->g.x87_seg = 0;
}

void jit_at_site(struct soft_vcpu *v, const struct jit_site *s)
{
	jit_flags_take(v, s);
	v->rip = v->g.page + s->off;
	if (v->addr_wrap)
		v->rip = (uint32_t)v->rip;
	if (v->g.x87_last)
		x87_take(v);
}

const uint8_t *jit_on_interp(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	jit_at_site(v, s);
	if (!(s->have & JIT_RES_VEC))
		v->g.vec_was = false; /* what comes next does not count on them */
	return interpret(v, s);
}

static bool something_first(const struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	return (s->first & JIT_FIRST_ALIGN && lin & (s->size - 1u)) ||
	       (s->first & JIT_FIRST_X87 && native_fpu_pending(v));
}

/* STI's shadow, for who leaves before the instruction of the site: in generated code there is none. */
void jit_cast_shadow(struct soft_vcpu *v, const struct jit_site *s)
{
	if (s->first & JIT_FIRST_STI)
		v->shadow |= SOFT_SHADOW_STI;
}

/* The instruction of the site again, which has changed nothing yet. */
static const uint8_t *do_again(struct soft_vcpu *v, const struct jit_site *s)
{
	jit_cast_shadow(v, s);
	return jit_go_on(v);
}

/* An access that the small TLB does not know. */
const uint8_t *jit_on_slow(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	uint32_t epoch = v->jit->epoch;
	uint8_t *host;

	jit_at_site(v, s);
	v->jit->count.slows++;
	v->gpr[X86_REG_RIP] = v->rip + s->len;
	host = something_first(v, s, lin) ? NULL : jit_l1_fill(v, lin, s->size, s->access);
	if (!host)
		return interpret(v, s);
	if (v->jit->epoch != epoch)
		return do_again(v, s);
	v->g.r9 = (uintptr_t)host;
	return (const uint8_t *)s + s->retry;
}

/* The same of an access by the stack pointer. */
const uint8_t *jit_on_slow_stack(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	const uint8_t *to = jit_on_slow(v, s, lin);
	uint32_t epoch = v->jit->epoch;

	if (to == (const uint8_t *)s + s->retry)
		jit_stack_fill(v, lin);
	return v->jit->epoch == epoch ? to : do_again(v, s);
}

/* The pages of a string instruction that the small TLB does not know. */
const uint8_t *jit_on_string(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	jit_at_site(v, s);
	v->jit->count.slows++;
	v->gpr[X86_REG_RIP] = v->rip + s->len;
	if (!jit_string_fill(v, s))
		return interpret(v, s);
	return (const uint8_t *)s + s->retry;
}

/* The same, of a page that is not in the site's region, again. */
const uint8_t *jit_on_again(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	const uint8_t *to = jit_on_slow(v, s, lin);

	if (to == (const uint8_t *)s + s->retry)
		jit_region_again(v, s, lin, s->access);
	return to;
}

/* The first access of a group: what is looked up at once does not lie where it did the last time. */
static const uint8_t *share_again(
	struct soft_vcpu *v, const struct jit_site *s, uint64_t lin, bool region)
{
	const struct jit_share_site *g = (const void *)(s + 1);
	uint32_t epoch = v->jit->epoch;
	enum soft_access access = g->write ? SOFT_WRITE : SOFT_READ;

	jit_at_site(v, s);
	v->jit->count.shares++;
	v->gpr[X86_REG_RIP] = v->rip + s->len;
	flags_give(v);
	if (something_first(v, s, lin + g->rel) ||
		!jit_l1_fill(v, lin + g->rel, s->size, s->access) ||
		!jit_l1_has(v, lin, g->span, access))
		return (const uint8_t *)s + s->next;
	if (v->jit->epoch != epoch)
		return do_again(v, s);
	if (region)
		jit_region_again(v, s, lin, access);
	if (v->jit->block[s->block].dead) /* what the site goes back to may be no more */
		return do_again(v, s);
	if (!g->stack)
		return (const uint8_t *)s + s->retry;
	jit_stack_fill(v, lin);
	return v->g.stack.tag == (lin & ~0xfffull) ? (const uint8_t *)s + s->retry
						   : (const uint8_t *)s + s->next;
}

const uint8_t *jit_on_share(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	return share_again(v, s, lin, false);
}

const uint8_t *jit_on_share_again(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	return share_again(v, s, lin, true);
}

/* To offset @s->off of the page, whatever is there; or something else is due. */
const uint8_t *jit_on_go(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	jit_at_site(v, s);
	return jit_go_on(v);
}

/* -------- host exceptions -------- */
const uint8_t *jit_fault_at(const uint8_t *pc, const uint8_t **site)
{
	const struct soft_jit *j = current ? current->jit : NULL;
	uint32_t at, lo = 0, hi;

	if (!j || !exec_mem_has(&j->code, (uintptr_t)pc))
		return NULL;
	at = (uint32_t)(pc - j->code.rx);
	hi = j->n_faults;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (j->fault[mid].at < at)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == j->n_faults || j->fault[lo].at != at)
		return NULL;
	*site = j->code.rx + j->fault[lo].site;
	current->jit->count.host_faults++;
	return j->stub.miss;
}

/* -------- entry -------- */
static void set_current(struct soft_vcpu *v)
{
	if (current == v && v->g.self == (uintptr_t)v)
		return;
	v->g.self = (uintptr_t)v;
	syscall(SYS_arch_prctl, ARCH_SET_GS, v);
	current = v;
}

const uint8_t *jit_begin(struct soft_vcpu *v)
{
	v->stop = false;
	set_current(v);
	return jit_go_on(v);
}

void jit_enter(struct soft_vcpu *v, const uint8_t *where)
{
	((void (*)(const uint8_t *))(uintptr_t)v->jit->stub.enter)(where);
}

bool soft_jit_run(struct soft_vcpu *v)
{
	const uint8_t *where;

	if (quiet(v) && !v->mmu_slow)
		jit_hot_look(v);
	if (v->jit->lockstep)
		return soft_lockstep_run(v);
	where = jit_begin(v);
	if (!where)
		return false;
	v->jit->count.entries++;
	jit_enter(v, where);
	v->stop = true;
	return true;
}
