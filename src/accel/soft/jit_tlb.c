// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_tlb - the small TLB that generated code looks into.
 *
 * Its tags are whole linear pages, so an XOR and one comparison tell hit, right and page end. There is a
 * set of entries for each address space (context of the big TLB, mmu_int.h) and privilege, a few
 * address spaces at a time: going back to one finds what it had. It holds nothing that the big TLB might
 * not hold, and whoever drops something there drops it here.
 *
 * A page whose stores somebody wants to hear of (code, the dirty log, breakpoints) has no write tag.
 */
#include "accel/soft/jit.h"
#include "accel/soft/lockstep.h"
#include "accel/soft/mmu_int.h"

#define MANY ((void *)1)

/* Entry @e, which is number @at of its set, allows no @access. */
static void entry_deny(
	const struct soft_jit *j, struct jit_l1 *e, uint32_t at, enum soft_access access)
{
	e->tag[access] = (j->no_stack.tag & ~((JIT_L1_SIZE - 1ull) << 12)) | (uint64_t)(at ^ 1)
										     << 12;
}

static void entry_drop(const struct soft_jit *j, struct jit_l1 *e, uint32_t at)
{
	entry_deny(j, e, at, SOFT_READ);
	entry_deny(j, e, at, SOFT_WRITE);
}

/* Whether anything was entered into the set. */
static bool *used_of(struct soft_jit *j, const struct jit_l1 *set)
{
	return &j->l1_used[0][0] + (set - j->l1[0][0]) / JIT_L1_SIZE;
}

static void set_clear(struct soft_jit *j, uint32_t set, uint32_t index)
{
	struct jit_l1 *e = j->l1[set][index];

	if (!j->l1_used[set][index])
		return;
	j->l1_used[set][index] = false;
	for (uint32_t i = 0; i < JIT_L1_SIZE; i++)
		entry_drop(j, &e[i], i);
}

/* Nothing of what was entered is remembered elsewhere. */
static void no_stacks(struct soft_vcpu *v, bool writes_only)
{
	struct soft_jit *j = v->jit;

	jit_regions_clear(j, writes_only);
	v->g.stack = j->no_stack;
	for (uint32_t s = 0; s < JIT_L1_SETS; s++)
		j->stack[s][0] = j->stack[s][1] = j->no_stack;
}

void jit_l1_clear(struct soft_vcpu *v)
{
	struct soft_jit *j = v->jit;

	if (!j)
		return;
	no_stacks(v, false);
	for (uint32_t s = 0; s < JIT_L1_SETS; s++)
		for (uint32_t i = 0; i < SOFT_MMU_INDEXES; i++)
			set_clear(j, s, i);
}

void jit_l1_forget(struct soft_vcpu *v)
{
	jit_l1_clear(v);
	if (!v->jit)
		return;
	memset(v->jit->l1_ctx, 0, sizeof(v->jit->l1_ctx));
	v->jit->l1_at = 0;
}

void jit_l1_select(struct soft_vcpu *v)
{
	struct soft_jit *j = v->jit;
	uint32_t s;

	for (s = 0; s < JIT_L1_SETS && j->l1_ctx[s] != v->ctx; s++)
		;
	if (s == JIT_L1_SETS) {
		s = j->l1_next++ % JIT_L1_SETS;
		for (uint32_t i = 0; i < SOFT_MMU_INDEXES; i++)
			set_clear(j, s, i);
		j->stack[s][0] = j->stack[s][1] = j->no_stack;
		if (v->g.stack_at >= j->stack[s] && v->g.stack_at < j->stack[s + 1])
			v->g.stack = j->no_stack;
		j->l1_ctx[s] = v->ctx;
	}
	for (uint32_t i = 0; i < SOFT_MMU_INDEXES; i++)
		v->l1_of[i] = j->l1[s][i];
	j->l1_at = v->ctx;
	jit_regions_clear(j, false);
}

void jit_l1_use(struct soft_vcpu *v)
{
	struct soft_jit *j = v->jit;
	uint64_t set = (uint64_t)(v->l1_of[0] - j->l1[0][0]) / JIT_L1_SIZE / SOFT_MMU_INDEXES;
	struct soft_stack_page *stack = &j->stack[set][v->mmu_index == SOFT_MMU_USER];

	v->l1 = v->l1_of[v->mmu_index];
	if (v->code != X86_CODE_64 && !jit_wraps_not(stack->tag))
		*stack = j->no_stack; /* 64-bit code has left it */
	else if (v->g.stack_at == stack)
		return;
	v->g.stack_at = stack;
	v->g.stack = *stack;
}

/* Is the page of @lin, which was just entered, good for any code of its privilege? With SMAP the kernel's must
 * be good without RFLAGS.AC, too: generated CLAC keeps what was remembered. */
static bool for_all_of_privilege(struct soft_vcpu *v, uint64_t lin, unsigned int tag)
{
	const struct soft_tlb_entry *kernel = soft_tlb_at(v, SOFT_MMU_KERNEL, lin);

	return !(v->cr4 & X86_CR4_SMAP) || v->mmu_index != SOFT_MMU_KERNEL_AC ||
	       kernel->tag[tag] == ((lin & ~PAGE_OFF) | v->ctx);
}

void jit_l1_drop_entries(struct soft_vcpu *v, struct jit_l1 *const *e, unsigned int n)
{
	struct soft_jit *j = v->jit;

	no_stacks(v, false);
	for (unsigned int k = 0; k < n; k++)
		entry_drop(j, e[k], (uint32_t)((e[k] - j->l1[0][0]) % JIT_L1_SIZE));
}

/* -------- the page that the stack pointer is in -------- */
bool jit_l1_has(const struct soft_vcpu *v, uint64_t lin, unsigned int size, enum soft_access access)
{
	const struct jit_l1 *e = &v->l1[lin >> 12 & (JIT_L1_SIZE - 1)];

	return (lin ^ e->tag[access]) <= PAGE_SIZE - size;
}

void jit_stack_fill(struct soft_vcpu *v, uint64_t lin)
{
	const struct jit_l1 *e = &v->l1[lin >> 12 & (JIT_L1_SIZE - 1)];
	uint64_t page = lin & ~PAGE_OFF;

	if (!for_all_of_privilege(v, lin, SOFT_READ) || !for_all_of_privilege(v, lin, SOFT_WRITE))
		return;
	if (e->tag[SOFT_READ] != page || e->tag[SOFT_WRITE] != page || v->g.stack.tag == page)
		return;
	if (v->code != X86_CODE_64 && !jit_wraps_not(page))
		return;
	*v->g.stack_at = v->g.stack = (struct soft_stack_page){ page, e->delta };
	v->jit->epoch++;
}

void jit_l1_init(struct soft_vcpu *v)
{
	struct soft_jit *j = v->jit;

	/* No address that a guest would come upon: not canonical, and there is memory behind it. */
	j->no_stack.tag = ((uint64_t)(uintptr_t)j * 0x9e3779b97f4a7c15ull & ~PAGE_OFF) >> 2 |
			  1ull << 62;
	j->no_stack.tag &= ~PAGE_OFF;
	j->no_stack.delta = (uintptr_t)j->no_page - j->no_stack.tag;
	v->g.stack_at = &j->stack[0][0];
	no_stacks(v, false);
	memset(j->l1_used, 1, sizeof(j->l1_used));
	jit_l1_clear(v);
}

void jit_l1_drop_page(struct soft_vcpu *v, uint64_t lin)
{
	struct soft_jit *j = v->jit;
	uint32_t at = lin >> 12 & (JIT_L1_SIZE - 1);

	if (!j)
		return;
	no_stacks(v, false);
	for (uint32_t s = 0; s < JIT_L1_SETS; s++)
		for (uint32_t i = 0; i < SOFT_MMU_INDEXES; i++)
			entry_drop(j, &j->l1[s][i][at], at);
}

static struct jit_written *written_slot(struct soft_jit *j, const _Atomic uint32_t *code)
{
	return &j->l1_written[((uintptr_t)code >> 2) * 0x9e3779b97f4a7c15ull >> 52];
}

static void note_written(struct soft_jit *j, struct jit_l1 *e, const _Atomic uint32_t *code)
{
	struct jit_written *w = written_slot(j, code);

	if (!w->code)
		*w = (struct jit_written){ code, e };
	if (w->code != code)
		w->code = MANY;
	if (w->entry != e)
		w->entry = MANY;
}

/* A page of code is marked often where a guest writes and runs it by turns: mostly there is one entry that
 * has it, or none. False: maybe there are more. */
static bool drop_written(struct soft_vcpu *v, const _Atomic uint32_t *code)
{
	struct soft_jit *j = v->jit;
	struct jit_written *w = written_slot(j, code);
	struct jit_l1 *e = w->entry;

	if (w->code != code)
		return w->code != MANY;
	w->code = NULL;
	if (e == MANY)
		return false;
	no_stacks(v, true);
	entry_deny(j, e, (uint32_t)((e - j->l1[0][0]) % JIT_L1_SIZE), SOFT_WRITE);
	return true;
}

void jit_l1_drop_writes(struct soft_vcpu *v, const _Atomic uint32_t *code)
{
	struct soft_jit *j = v->jit;

	if (!j || (code && drop_written(v, code)))
		return;
	memset(j->l1_written, 0, sizeof(j->l1_written));
	no_stacks(v, true);
	for (uint32_t s = 0; s < JIT_L1_SETS; s++)
		for (uint32_t i = 0; i < SOFT_MMU_INDEXES; i++) {
			struct jit_l1 *e = j->l1[s][i];

			if (!j->l1_used[s][i])
				continue;
			for (uint32_t k = 0; k < JIT_L1_SIZE; k++)
				entry_deny(j, &e[k], k, SOFT_WRITE);
		}
}

/* May generated code store to a page of code this once? No other vCPU must decode there meanwhile. */
static bool beside_code(
	struct soft_vcpu *v, _Atomic uint32_t *code, uint32_t off, unsigned int size)
{
	return atomic_load_explicit(&v->vm->n_vcpus, memory_order_relaxed) < 2 &&
	       ++v->code_misses % SOFT_CODE_MISSES &&
	       !ram_code_hit(code, ram_code_lines(off, size));
}

static void entry_allow(struct jit_l1 *e, enum soft_access access, uint64_t page, uint8_t *host)
{
	e->tag[access] = page;
	e->host = host;
	e->delta = (uintptr_t)host - page;
}

uint8_t *jit_l1_fill(struct soft_vcpu *v, uint64_t lin, unsigned int size, enum soft_access access)
{
	uint64_t page = lin & ~PAGE_OFF, tag = page | v->ctx;
	struct jit_l1 *set = v->l1, *e;
	const struct soft_tlb_entry *t;
	uint32_t at = lin >> 12 & (JIT_L1_SIZE - 1);
	uint8_t *host;

	if (lin - page + size > PAGE_SIZE || v->mmu_slow)
		return NULL;
	t = soft_tlb_entry_for(v, lin, access);
	if (!t || t->tag[access] != tag)
		return NULL;
	if (access == SOFT_WRITE && atomic_load_explicit(t->code, memory_order_relaxed) & 1)
		return beside_code(v, t->code, lin & PAGE_OFF, size) ? (uint8_t *)(t->addend + lin)
								     : NULL;
	e = &set[at];
	if (v->jit->lockstep)
		soft_lockstep_note(v, e);
	*used_of(v->jit, set) = true;
	host = (uint8_t *)(t->addend + page);
	for (int a = SOFT_READ; a <= SOFT_WRITE; a++)
		if (e->tag[a] == page && e->host != host)
			no_stacks(v, false);
	if (e->tag[SOFT_READ] != page && e->tag[SOFT_WRITE] != page)
		v->jit->victim[at] =
			(struct jit_victim){ .e = *e, .set = set, .drops = v->g.drops };
	entry_drop(v->jit, e, at);
	if (t->tag[SOFT_READ] == tag)
		entry_allow(e, SOFT_READ, page, host);
	if (t->tag[SOFT_WRITE] == tag &&
		!(atomic_load_explicit(t->code, memory_order_relaxed) & 1)) {
		entry_allow(e, SOFT_WRITE, page, host);
		note_written(v->jit, e, t->code);
	}
	v->jit->count.fills++;
	return host + (lin - page);
}
