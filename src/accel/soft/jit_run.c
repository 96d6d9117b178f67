// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_run - generated code: how it is entered and left, and what it calls.
 *
 * In generated code GS is the vCPU. Guest registers are in the host's of the same number, except rSP,
 * which is in r11, and r9 to r11, which stay in v->gpr; host r9 and r10 are scratch. The six status
 * flags are the host's (or in v->g.flags2, for a while); all else of RFLAGS stays in v->rflags. The host's
 * DF is 0 and its stack the one that soft_jit_run() had.
 *
 * A stub that calls C stores all that first: C code finds the vCPU as the interpreter would leave it.
 * It returns where to go on, or NULL to leave. It may raise: what lies on the stack is dropped by the
 * longjmp.
 */
#include "accel/soft/jit.h"
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
	       !(v->rflags & (X86_FLAG_TF | X86_FLAG_RF)) && !(v->dr[7] & 0xff) && !v->debugged;
}

static const uint8_t *code_at(const struct soft_jit *j, uint32_t off)
{
	return j->code.rx + off;
}

static uint64_t code_linear(const struct soft_vcpu *v)
{
	return v->code == X86_CODE_64 ? v->rip : (uint32_t)(v->rip + v->seg[X86_CS].base);
}

/* As who has its address in r9 enters it. */
static const uint8_t *enter_block(struct soft_vcpu *v, uint32_t b)
{
	v->g.r9 = code_linear(v);
	v->g.vec_was = false;
	flags_give(v);
	return code_at(v->jit, v->jit->block[b].ind);
}

/* The block at v->rip. */
static const uint8_t *go_on(struct soft_vcpu *v)
{
	uint32_t b;

	v->stop = false;
	if (!quiet(v))
		return NULL;
	b = jit_find(v, code_linear(v));
	if (b == JIT_NONE)
		return NULL;
	return enter_block(v, b);
}

/* -------- what stubs call -------- */
static struct soft_op *op_at(struct soft_vcpu *v, const struct jit_site *s)
{
	struct soft_jit *j = v->jit;
	const struct jit_page *p = &j->page[j->block[s->block].page];
	uint32_t h = (uint32_t)(((uintptr_t)p->word + 0x9e37u * s->off) * 0x9e3779b1u) >>
		     (32 - JIT_OP_BITS);
	struct jit_op_slot *o = &j->op[h];

	if (o->word != p->word || o->value != p->value || o->off != s->off || o->code != v->code) {
		o->word = NULL; /* what follows may raise */
		if (!soft_decode_op(v, p->host + s->off, 0x1000 - s->off, &o->op))
			return NULL;
		*o = (struct jit_op_slot){ p->word, p->value, s->off, v->code, o->op };
	}
	return &o->op;
}

/* The interpreter carries out the instruction of the site. */
static const uint8_t *interpret(struct soft_vcpu *v, const struct jit_site *s)
{
	struct soft_op *o = op_at(v, s);
	uint64_t next;

	v->jit->count.interps++;
	if (!o) /* its bytes have changed meanwhile */
		return NULL;
	next = v->rip + o->i.len;
	v->gpr[X86_REG_RIP] = next;
	v->stop = false;
	o->fn(v, o);
	v->rip = v->gpr[X86_REG_RIP];
	if (v->rip != next || o->i.len != s->len || !s->next || v->stop || !quiet(v) ||
		!jit_synced(v))
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
	v->g.vec_was = false; /* what comes next does not count on them */
	return interpret(v, s);
}

static bool something_first(const struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	return (s->first & JIT_FIRST_ALIGN && lin & (s->size - 1u)) ||
	       (s->first & JIT_FIRST_X87 && native_fpu_pending(v));
}

/* An access that the small TLB does not know. */
static const uint8_t *on_slow(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	uint8_t *host;

	at_site(v, s);
	v->gpr[X86_REG_RIP] = v->rip + s->len;
	host = something_first(v, s, lin) ? NULL : jit_l1_fill(v, lin, s->size, s->access);
	if (!host)
		return interpret(v, s);
	v->g.r9 = (uintptr_t)host;
	return (const uint8_t *)s + s->retry;
}

/* To offset @s->off of the page, whatever is there; or something else is due. */
static const uint8_t *on_go(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	at_site(v, s);
	return go_on(v);
}

/* The same, and henceforth straight to there. */
static const uint8_t *on_link(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	struct soft_jit *j = v->jit;
	uint32_t generation = j->generation, from = s->block, b;
	uint8_t *at = (uint8_t *)(uintptr_t)s - 5, code[5] = { 0xe9 };
	int32_t d;

	at_site(v, s);
	v->stop = false;
	if (!quiet(v))
		return NULL;
	b = jit_find(v, code_linear(v));
	if (b == JIT_NONE)
		return NULL;
	if (j->generation == generation && !j->block[from].dead &&
		j->block[from].page == j->block[b].page) {
		const struct jit_block *to = &j->block[b];
		uint32_t entry = to->needs & ~s->have ? to->entry : to->have_entry;

		d = (int32_t)(code_at(j, entry) - (at + 5));
		memcpy(code + 1, &d, 4);
		exec_mem_patch(&j->code, at, code, 5);
		j->count.links++;
	}
	return enter_block(v, b);
}

/* A block that is no more was jumped to: go to what is there now, and so will the next who comes. */
static const uint8_t *on_stale(struct soft_vcpu *v, const uint8_t *after_call, uint64_t lin)
{
	struct soft_jit *j = v->jit;
	uint32_t generation = j->generation, old, b;
	uint8_t *at = (uint8_t *)(uintptr_t)after_call - 5, code[5] = { 0xe9 };
	struct jit_site s = { 0 };
	int32_t d;

	memcpy(&old, after_call, 4);
	s.off = (uint16_t)j->block[old].off;
	at_site(v, &s);
	v->stop = false;
	if (!quiet(v))
		return NULL;
	b = jit_find(v, code_linear(v));
	if (b == JIT_NONE)
		return NULL;
	if (j->generation == generation && j->block[b].page == j->block[old].page &&
		j->block[b].off == j->block[old].off && j->block[b].mode == j->block[old].mode) {
		d = (int32_t)(code_at(j, j->block[b].entry) - (at + 5));
		memcpy(code + 1, &d, 4);
		exec_mem_patch(&j->code, at, code, 5);
	}
	return enter_block(v, b);
}

/* -------- stubs -------- */
static const uint8_t pinned[] = { R_CX, R_DX, R_BX, R_BP, R_SI, R_DI, R_8, R_12, R_13, R_14, R_15 };
static const uint8_t callee_saved[] = { R_BX, R_BP, R_12, R_13, R_14, R_15 };

static void push_pop(struct jit_buf *b, unsigned int op, unsigned int reg)
{
	if (reg & 8)
		jb(b, 0x41);
	jb(b, op + (reg & 7));
}

static void save_all(struct jit_buf *b)
{
	j_gs_store(b, R_AX, V_OFF(gpr[R_AX]));
	JCODE(b, "\x9f\x0f\x90\xc0"); /* lahf; seto al */
	JCODE(b, "\x65\x66");
	jb(b, OP_STORE);
	JCODE(b, "\x04\x25");
	j32(b, V_OFF(g.flags)); /* mov gs:[flags], ax */
	for (unsigned int i = 0; i < sizeof(pinned); i++)
		j_gs_store(b, pinned[i], V_OFF(gpr) + 8 * pinned[i]);
	j_gs_store(b, R_11, V_OFF(gpr[R_SP]));
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
	j_gs(b, false, 0x0fb7, R_AX, V_OFF(g.flags)); /* movzx eax, word */
	JCODE(b, "\x04\x7f\x9e");		      /* add al, 0x7f; sahf */
	for (unsigned int i = 0; i < sizeof(pinned); i++)
		j_gs_load(b, pinned[i], V_OFF(gpr) + 8 * pinned[i]);
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

/* Where to a linear address in r9 goes, without touching flags: r10 is its index in the tables.
 * Otherwise, and if something is due, the site that is told by the instruction after the call is
 * interpreted: 0f 1f 80 and its distance. */
static const uint8_t *make_lookup(struct jit_buf *b, const uint8_t *interp_popped)
{
	const uint8_t *start = rx_of(b);
	uint8_t *quiet, *hit, *miss;

	j_gs_store(b, R_CX, V_OFF(g.save));
	j_gs(b, false, OP_LOAD, R_CX, V_OFF(poll));
	quiet = j_ahead8(b, 0xe3); /* jrcxz */
	miss = j_ahead8(b, 0xeb);
	j_here8(b, quiet);
	j_gs_load(b, R_CX, V_OFF(g.id));
	j_rr(b, false, 0x0fb7, R_10, R_9); /* movzx r10d, r9w */
	j_gs_index(b, true, OP_LOAD, R_10, R_10, V_OFF(jump_tag));
	j_lea_index(b, true, R_CX, R_CX, R_9, 0, 0);
	j_lea_index(b, true, R_CX, R_CX, R_10, 0, 0);
	hit = j_ahead8(b, 0xe3);
	j_here8(b, miss);
	j_gs_load(b, R_CX, V_OFF(g.save));
	push_pop(b, 0x58, R_10);
	/* r10 += the distance; r9 is of no use any more */
	j_rm(b, true, 0x63, R_9, R_10, 3); /* movsxd r9, [r10 + 3] */
	j_lea_index(b, true, R_10, R_10, R_9, 0, 0);
	j_to(b, 0xe9, interp_popped);
	j_here8(b, hit);
	j_gs_load(b, R_CX, V_OFF(g.save));
	j_rr(b, false, 0x0fb7, R_10, R_9);
	jb(b, 0xc3);
	return start;
}

void jit_make_stubs(struct soft_jit *j)
{
	struct jit_buf b = { j->code.rw, j->code.rx - j->code.rw };
	struct jit_stubs *s = &j->stub;
	const uint8_t *interp_popped, *go_popped;

	jit_make_res_stubs(&b, s);
	s->leave = rx_of(&b);
	JCODE(&b, "\x48\x83\xc4\x08"); /* add rsp, 8 */
	for (unsigned int i = sizeof(callee_saved); i--;)
		push_pop(&b, 0x58, callee_saved[i]);
	jb(&b, 0xc3);
	/* void enter(where) */
	s->enter = rx_of(&b);
	for (unsigned int i = 0; i < sizeof(callee_saved); i++)
		push_pop(&b, 0x50, callee_saved[i]);
	JCODE(&b, "\x48\x83\xec\x08\x48\x89\xf8"); /* sub rsp, 8; mov rax, rdi */
	s->load = rx_of(&b);
	load_all_and_go(&b, s);
	s->slow = make_call(&b, on_slow, s, NULL);
	s->interp = make_call(&b, on_interp, s, &interp_popped);
	s->miss = interp_popped;
	s->go = make_call(&b, on_go, s, &go_popped);
	s->link = make_call(&b, on_link, s, NULL);
	s->stale = make_call(&b, on_stale, s, NULL);
	s->lookup = make_lookup(&b, interp_popped);
	s->lookup_go = make_lookup(&b, go_popped);
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

bool soft_jit_run(struct soft_vcpu *v)
{
	const uint8_t *where;

	v->stop = false;
	set_current(v);
	where = go_on(v);
	if (!where)
		return false;
	((void (*)(const uint8_t *))(uintptr_t)v->jit->stub.enter)(where);
	v->stop = true;
	return true;
}
