// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_run - generated code: how it is entered and left, and what it calls.
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
#include "accel/soft/jit.h"
#include "accel/soft/lockstep.h"
#include "accel/soft/native_int.h"
#include <asm/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static __thread struct soft_vcpu *current;

/* -------- flags: the CPU's as LAHF and SETO give them -------- */
static void flags_take(struct soft_vcpu *v, const struct jit_site *s)
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

static const uint8_t *code_at(const struct soft_jit *j, uint32_t off)
{
	return j->code.rx + off;
}

static uint64_t code_linear(const struct soft_vcpu *v)
{
	return v->code == X86_CODE_64 ? v->rip : (uint32_t)(v->rip + v->seg[X86_CS].base);
}

/* As who has its address in r9 enters the block at v->rip. */
static const uint8_t *enter_block(struct soft_vcpu *v, const uint8_t *host)
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

static const uint8_t *leave(struct soft_vcpu *v)
{
	++*cause(v);
	return NULL;
}

/* The block at v->rip. */
static const uint8_t *go_on(struct soft_vcpu *v)
{
	uint64_t lin = code_linear(v);
	const uint8_t *host;
	uint32_t b;

	v->stop = false;
	if (!quiet(v) || v->mmu_slow)
		return leave(v);
	jit_sync(v);
	host = jump_known(v, lin);
	if (!host) {
		b = jit_find(v, lin);
		if (b == JIT_NONE)
			return leave(v);
		host = code_at(v->jit, v->jit->block[b].ind);
	}
	if (!attentive(v))
		return leave(v);
	return enter_block(v, host);
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
static const uint8_t *interpret_anew(struct soft_vcpu *v)
{
	const struct soft_op *o = &soft_block_get(v)->op[0];

	if (v->jit->lockstep && !soft_lockstep_private(v, o))
		return NULL;
	carry_out(v, o);
	return go_on(v);
}

/* The interpreter carries out the instruction of the site. */
static const uint8_t *interpret(struct soft_vcpu *v, const struct jit_site *s)
{
	const struct soft_op *o;
	uint64_t next;
	uint32_t epoch = v->jit->epoch;

	o = op_at(v, s);
	if (!o) /* its bytes have changed meanwhile */
		return interpret_anew(v);
	if (v->jit->lockstep && !soft_lockstep_private(v, o))
		return NULL;
	next = carry_out(v, o);
	if (v->rip != next || o->i.len != s->len || !s->next || v->stop || !quiet(v) ||
		!jit_synced(v) || v->jit->epoch != epoch)
		return go_on(v);
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

static void at_site(struct soft_vcpu *v, const struct jit_site *s)
{
	flags_take(v, s);
	v->rip = v->g.page + s->off;
	if (v->addr_wrap)
		v->rip = (uint32_t)v->rip;
	if (v->g.x87_last)
		x87_take(v);
}

static const uint8_t *on_interp(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	at_site(v, s);
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
static void cast_shadow(struct soft_vcpu *v, const struct jit_site *s)
{
	if (s->first & JIT_FIRST_STI)
		v->shadow |= SOFT_SHADOW_STI;
}

/* The instruction of the site again, which has changed nothing yet. */
static const uint8_t *do_again(struct soft_vcpu *v, const struct jit_site *s)
{
	cast_shadow(v, s);
	return go_on(v);
}

/* An access that the small TLB does not know. */
static const uint8_t *on_slow(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	uint32_t epoch = v->jit->epoch;
	uint8_t *host;

	at_site(v, s);
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
static const uint8_t *on_slow_stack(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	const uint8_t *to = on_slow(v, s, lin);
	uint32_t epoch = v->jit->epoch;

	if (to == (const uint8_t *)s + s->retry)
		jit_stack_fill(v, lin);
	return v->jit->epoch == epoch ? to : do_again(v, s);
}

/* The pages of a string instruction that the small TLB does not know. */
static const uint8_t *on_string(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	at_site(v, s);
	v->jit->count.slows++;
	v->gpr[X86_REG_RIP] = v->rip + s->len;
	if (!jit_string_fill(v, s))
		return interpret(v, s);
	return (const uint8_t *)s + s->retry;
}

/* The same, of a page that is not in the site's region, again. */
static const uint8_t *on_again(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	const uint8_t *to = on_slow(v, s, lin);

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

	at_site(v, s);
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

static const uint8_t *on_share(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	return share_again(v, s, lin, false);
}

static const uint8_t *on_share_again(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	return share_again(v, s, lin, true);
}

/* To offset @s->off of the page, whatever is there; or something else is due. */
static const uint8_t *on_go(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	at_site(v, s);
	return go_on(v);
}

/* The block at v->rip, maybe that of JIT_MODE_APART, if nothing else is due; or JIT_NONE. */
static uint32_t find_here(struct soft_vcpu *v, bool apart)
{
	uint32_t b;

	v->stop = false;
	if (!quiet(v))
		return JIT_NONE;
	b = apart ? jit_find_apart(v, code_linear(v)) : jit_find(v, code_linear(v));
	return b != JIT_NONE && attentive(v) ? b : JIT_NONE;
}

/* The call of a stub at @at becomes a jump to offset @entry of the code. */
static void jump_from(struct soft_jit *j, const uint8_t *at, uint32_t entry)
{
	int32_t d = (int32_t)(code_at(j, entry) - (at + 5));
	uint8_t code[5] = { 0xe9 };

	memcpy(code + 1, &d, 4);
	exec_mem_patch(&j->code, at, code, sizeof(code));
}

/* The same of a conditional jump, whose 32 bits are at @at. */
static void branch_to(struct soft_jit *j, const uint8_t *at, uint32_t entry)
{
	int32_t d = (int32_t)(code_at(j, entry) - (at + 4));

	exec_mem_patch(&j->code, at, (const uint8_t *)&d, sizeof(d));
}

/* The same, and henceforth straight to there. */
static const uint8_t *link_to(struct soft_vcpu *v, const struct jit_site *s, bool apart)
{
	struct soft_jit *j = v->jit;
	uint32_t generation = j->generation, from = s->block, b;

	at_site(v, s);
	b = find_here(v, apart);
	if (b == JIT_NONE) {
		cast_shadow(v, s);
		return leave(v);
	}
	if (j->generation == generation && !j->block[from].dead &&
		j->block[from].page == j->block[b].page) {
		const struct jit_block *to = &j->block[b];
		uint32_t entry = to->needs & ~s->have ? to->entry : to->have_entry;

		jump_from(j, (const uint8_t *)s - 5, entry);
		if (s->next)
			branch_to(j, (const uint8_t *)s + s->next, entry);
		j->count.links++;
	}
	return enter_block(v, code_at(j, j->block[b].ind));
}

static const uint8_t *on_link(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	return link_to(v, s, false);
}

static const uint8_t *on_link_apart(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	return link_to(v, s, true);
}

/* The lower half of a page's address at offset @at of the code: is it one, and noted? */
static bool far_is_linked(const struct soft_jit *j, uint32_t at)
{
	uint32_t page;

	memcpy(&page, j->code.rw + at, 4);
	return page != JIT_FAR_NONE;
}

/* That at offset @at will be one. */
static bool note_far(struct soft_jit *j, uint32_t at)
{
	if (far_is_linked(j, at))
		return true;
	if (j->n_fars == JIT_FARS) {
		j->stale = true; /* begin again */
		return false;
	}
	j->far[j->n_fars++] = at;
	return true;
}

/* Whoever looks into the table, too, is not linked anew each time. */
static bool is_far_due(struct soft_vcpu *v, const struct jit_site *s, uint32_t at)
{
	if (!s->size || !far_is_linked(v->jit, at))
		return true;
	if (v->g.far_left >= 0)
		return false;
	v->g.far_left = JIT_FAR_MISSES;
	return true;
}

/* Straight to another page henceforth, from this one, in this context. */
static void link_far(struct soft_vcpu *v, const struct jit_site *s, uint64_t page, uint32_t b)
{
	struct soft_jit *j = v->jit;
	const uint8_t *at = (const uint8_t *)s + s->next;
	const struct jit_far f = { .page = page,
		.id = v->g.id,
		.to = v->g.page,
		.target = code_at(j, j->block[b].page_entry),
		.wide = v->code == X86_CODE_64,
		.any = s->access };
	uint8_t code[JIT_FAR_MAX], *here, *jne[2];
	unsigned int n = jit_put_far(code, at, &f, &here, jne);
	uint32_t off = (uint32_t)(at - j->code.rx), page_off = off + (uint32_t)(here - code);

	if (f.wide && !f.any &&
		((uint64_t)(int32_t)f.page != f.page || (uint64_t)(int32_t)f.to != f.to))
		return;
	if (!is_far_due(v, s, page_off) || !note_far(j, page_off))
		return;
	/* Where the two jumps lead stays. */
	for (int i = 0; i < 2; i++)
		memcpy(jne[i], j->code.rw + off + (jne[i] - code), 4);
	exec_mem_patch(&j->code, at, code, n);
}

static const uint8_t *on_far_link(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	struct soft_jit *j = v->jit;
	uint32_t generation = j->generation, from = s->block, b;
	uint64_t page = v->g.page;

	at_site(v, s);
	v->rip = page + (uint64_t)(int64_t)s->retry;
	if (v->addr_wrap)
		v->rip = (uint32_t)v->rip;
	b = find_here(v, false);
	if (b == JIT_NONE)
		return NULL;
	if (j->generation == generation && !j->block[from].dead)
		link_far(v, s, page, b);
	return enter_block(v, code_at(j, j->block[b].ind));
}

/* Is the page behind the one that it was when the block was made? Then it need not be asked again as long
 * as nothing changes. */
static const uint8_t *on_span(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	struct soft_jit *j = v->jit;
	uint64_t here = jit_span_word(v);

	at_site(v, s);
	j->count.spans++;
	if (jit_next_page(v) != j->block[s->block].page2 || j->block[s->block].dead ||
		!jit_synced(v))
		return interpret_anew(v);
	exec_mem_patch(&j->code, (const uint8_t *)(s + 1), (const uint8_t *)&here, sizeof(here));
	return (const uint8_t *)s + s->retry;
}

/* An empty entry of the table was hit, by an address and a context that add up to what it has; or one that
 * leads to a block that is no more. */
static const uint8_t *on_stray(struct soft_vcpu *v, const void *nothing, uint64_t lin)
{
	static const struct jit_site saved = { .flags_saved = 1 };

	flags_take(v, &saved);
	v->jit->count.strays++;
	v->rip = lin - v->g.id;
	soft_goto_at(v, v->rip)->tag = 0;
	return go_on(v);
}

/* A block that is no more was jumped to: go to what is there now, and so will the next who comes. */
static const uint8_t *go_to_heir(struct soft_vcpu *v, const uint8_t *after_call, bool flags_saved)
{
	struct soft_jit *j = v->jit;
	uint32_t generation = j->generation, old, b;
	struct jit_site s = { .flags_saved = flags_saved };

	memcpy(&old, after_call, 4);
	j->count.stales++;
	s.off = (uint16_t)j->block[old].off;
	at_site(v, &s);
	b = find_here(v, j->block[old].mode & JIT_MODE_APART);
	if (b == JIT_NONE)
		return leave(v);
	if (j->generation == generation && j->block[b].page == j->block[old].page &&
		j->block[b].off == j->block[old].off && j->block[b].mode == j->block[old].mode)
		jump_from(j, after_call - 5,
			flags_saved ? j->block[b].page_entry : j->block[b].entry);
	return enter_block(v, code_at(j, j->block[b].ind));
}

static const uint8_t *on_stale(struct soft_vcpu *v, const uint8_t *after_call, uint64_t lin)
{
	return go_to_heir(v, after_call, false);
}

static const uint8_t *on_stale_saved(struct soft_vcpu *v, const uint8_t *after_call, uint64_t lin)
{
	return go_to_heir(v, after_call, true);
}

/* -------- stubs -------- */
static const uint8_t pinned[] = { R_CX, R_DX, R_BX, R_BP, R_SI, R_DI, R_8, R_9, R_10, R_12, R_13 };
static const uint8_t callee_saved[] = { R_BX, R_BP, R_12, R_13, R_14, R_15 };

static void push_pop(struct jit_buf *b, unsigned int op, unsigned int reg)
{
	if (reg & 8)
		jb(b, 0x41);
	jb(b, op + (reg & 7));
}

/* What has its place in the frame (enum jit_frame), and in the vCPU. */
static const struct {
	int32_t at, of;
	bool load_only;
} framed[] = {
	{ F_R11, V_OFF(gpr[R_11]), false },
	{ F_R14, V_OFF(gpr[R_14]), false },
	{ F_R15, V_OFF(gpr[R_15]), false },
	{ F_PAGE, V_OFF(g.page), false },
	{ F_L1, V_OFF(l1), true },
	{ F_ID, V_OFF(g.id), true },
	{ F_STACK_TAG, V_OFF(g.stack.tag), true },
	{ F_STACK_DELTA, V_OFF(g.stack.delta), true },
	{ F_DELTA, V_OFF(g.delta[0]), false },
	{ F_DELTA + 8, V_OFF(g.delta[1]), false },
};

static void save_all(struct jit_buf *b)
{
	j_gs_store(b, R_AX, V_OFF(gpr[R_AX]));
	JCODE(b, "\x9f\x0f\x90\xc0"); /* lahf; seto al */
	JCODE(b, "\x65\x66");
	jb(b, OP_STORE);
	JCODE(b, "\x04\x25");
	j32(b, V_OFF(g.flags)); /* mov gs:[flags], ax */
	for (unsigned int i = 0; i < sizeof(pinned); i++)
		j_gs_store(b, jit_host_of(pinned[i]), V_OFF(gpr) + 8 * pinned[i]);
	j_gs_store(b, R_11, V_OFF(gpr[R_SP]));
	for (unsigned int i = 0; i < ARRAY_SIZE(framed); i++) {
		if (framed[i].load_only)
			continue;
		j_rm(b, true, OP_LOAD, R_AX, R_SP, framed[i].at);
		j_gs_store(b, R_AX, framed[i].of);
	}
}

/* Go on at the address in rax. */
static void load_all_and_go(struct jit_buf *b, const struct jit_stubs *s)
{
	uint8_t *over;

	j_gs_byte(b, 7, V_OFF(g.vec_was), 0); /* cmp */
	over = j_ahead8(b, 0x74);
	push_pop(b, 0x50, R_AX);
	j_to(b, 0xe8, s->vec_load);
	push_pop(b, 0x58, R_AX);
	j_here8(b, over);
	j_gs(b, false, 0x0fb6, R_CX, V_OFF(fpu.resident)); /* movzx */
	j_gs_index(b, true, OP_LOAD, R_CX, R_CX, V_OFF(g.x87_to));
	j_gs_store(b, R_CX, V_OFF(g.ensure) + 8 * JIT_X87);
	j_gs_store(b, R_AX, V_OFF(g.target));
	for (unsigned int i = 0; i < ARRAY_SIZE(framed); i++) {
		j_gs_load(b, R_AX, framed[i].of);
		j_rm(b, true, OP_STORE, R_AX, R_SP, framed[i].at);
	}
	j_gs(b, false, 0x0fb7, R_AX, V_OFF(g.flags)); /* movzx eax, word */
	JCODE(b, "\x04\x7f\x9e");		      /* add al, 0x7f; sahf */
	for (unsigned int i = 0; i < sizeof(pinned); i++)
		j_gs_load(b, jit_host_of(pinned[i]), V_OFF(gpr) + 8 * pinned[i]);
	j_gs_load(b, R_11, V_OFF(gpr[R_SP]));
	j_gs_load(b, R_AX, V_OFF(gpr[R_AX]));
	j_gs_load(b, R_9, V_OFF(g.r9));
	j_gs(b, false, 0xff, 4, V_OFF(g.target)); /* jmp */
}

static const uint8_t *rx_of(struct jit_buf *b)
{
	return b->p + b->to_rx;
}

/* A stub that calls @fn with the vCPU, what follows the call of the stub, and r9. @popped: that is in
 * r10 already. */
static const uint8_t *make_call(
	struct jit_buf *b, const void *fn, const struct jit_stubs *s, const uint8_t **popped)
{
	const uint8_t *start = rx_of(b);
	uint8_t *over;

	push_pop(b, 0x58, R_10);
	if (popped)
		*popped = rx_of(b);
	save_all(b);
	j_gs_byte(b, 0, V_OFF(g.vec_was), 0); /* mov */
	j_gs_byte(b, 7, V_OFF(g.vec), 0);
	over = j_ahead8(b, 0x74);
	j_to(b, 0xe8, s->vec_store);
	j_here8(b, over);
	j_gs_load(b, R_DI, V_OFF(g.self));
	j_mov(b, R_SI, R_10);
	j_mov(b, R_DX, R_9);
	JCODE(b, "\x48\xb8"); /* mov rax, imm64 */
	j64(b, (uintptr_t)fn);
	JCODE(b, "\xff\xd0\x48\x85\xc0"); /* call rax; test rax, rax */
	j_to(b, 0x0f84, s->leave);	  /* jz */
	j_to(b, 0xe9, s->load);
	return start;
}

void jit_make_stubs(struct soft_jit *j)
{
	struct jit_buf b = { j->code.rw, j->code.rx - j->code.rw };
	struct jit_stubs *s = &j->stub;

	jit_make_res_stubs(&b, s);
	s->leave = rx_of(&b);
	JCODE(&b, "\x48\x83\xc4"); /* add rsp, */
	jb(&b, F_SIZE);
	for (unsigned int i = sizeof(callee_saved); i--;)
		push_pop(&b, 0x58, callee_saved[i]);
	jb(&b, 0xc3);
	/* void enter(where) */
	s->enter = rx_of(&b);
	for (unsigned int i = 0; i < sizeof(callee_saved); i++)
		push_pop(&b, 0x50, callee_saved[i]);
	JCODE(&b, "\x48\x83\xec"); /* sub rsp, */
	jb(&b, F_SIZE);
	j_mov(&b, R_AX, R_DI);
	s->load = rx_of(&b);
	load_all_and_go(&b, s);
	s->slow = make_call(&b, on_slow, s, &s->slow_popped);
	if (!j->lockstep)
		jit_make_slow_stub(&b, j);
	make_call(&b, on_again, s, &s->again_popped);
	s->share = make_call(&b, on_share, s, &s->share_popped);
	if (!j->lockstep)
		jit_make_share_stub(&b, j);
	make_call(&b, on_slow_stack, s, &s->slow_stack_popped);
	jit_make_stack_stubs(&b, s);
	make_call(&b, on_share_again, s, &s->share_again_popped);
	s->interp = make_call(&b, on_interp, s, &s->miss);
	s->go = make_call(&b, on_go, s, NULL);
	s->link = make_call(&b, on_link, s, NULL);
	s->link_apart = make_call(&b, on_link_apart, s, NULL);
	s->far_link = make_call(&b, on_far_link, s, NULL);
	s->stale_saved = make_call(&b, on_stale_saved, s, NULL);
	s->span = make_call(&b, on_span, s, NULL);
	s->stale = make_call(&b, on_stale, s, NULL);
	jit_make_region_stubs(&b, j);
	make_call(&b, on_stray, s, &s->stray);
	make_call(&b, on_string, s, &s->string_slow);
	jit_make_string_stubs(&b, s);
	jit_make_level_stubs(&b, s);
	j->stubs_end = ALIGN_UP((size_t)(b.p - j->code.rw), (size_t)64);
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
	return go_on(v);
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
