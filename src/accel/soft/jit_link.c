// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_link - what generated code calls to go on elsewhere, and what becomes of such a call: a jump, as long as that
 * is right.
 */
#include "accel/soft/jit_run.h"

/* The call of a stub at @at becomes a jump to offset @entry of the code. */
static void jump_from(struct soft_jit *j, const uint8_t *at, uint32_t entry)
{
	int32_t d = (int32_t)(jit_code_at(j, entry) - (at + 5));
	uint8_t code[5] = { 0xe9 };

	memcpy(code + 1, &d, 4);
	exec_mem_patch(&j->code, at, code, sizeof(code));
}

/* The same of a conditional jump, whose 32 bits are at @at. */
static void branch_to(struct soft_jit *j, const uint8_t *at, uint32_t entry)
{
	int32_t d = (int32_t)(jit_code_at(j, entry) - (at + 4));

	exec_mem_patch(&j->code, at, (const uint8_t *)&d, sizeof(d));
}

/* To offset @s->off of the page, and henceforth straight to there. */
static const uint8_t *link_to(struct soft_vcpu *v, const struct jit_site *s, bool apart)
{
	struct soft_jit *j = v->jit;
	uint32_t generation = j->generation, from = s->block, b;

	jit_at_site(v, s);
	b = jit_find_here(v, apart);
	if (b == JIT_NONE) {
		jit_cast_shadow(v, s);
		return jit_leave(v);
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
	return jit_enter_block(v, jit_code_at(j, j->block[b].ind));
}

const uint8_t *jit_on_link(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	return link_to(v, s, false);
}

const uint8_t *jit_on_link_apart(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
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
		.target = jit_code_at(j, j->block[b].page_entry),
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

const uint8_t *jit_on_far_link(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	struct soft_jit *j = v->jit;
	uint32_t generation = j->generation, from = s->block, b;
	uint64_t page = v->g.page;

	jit_at_site(v, s);
	v->rip = page + (uint64_t)(int64_t)s->retry;
	if (v->addr_wrap)
		v->rip = (uint32_t)v->rip;
	b = jit_find_here(v, false);
	if (b == JIT_NONE)
		return NULL;
	if (j->generation == generation && !j->block[from].dead)
		link_far(v, s, page, b);
	return jit_enter_block(v, jit_code_at(j, j->block[b].ind));
}

/* Is the page behind the one that it was when the block was made? Then it need not be asked again as long
 * as nothing changes. */
const uint8_t *jit_on_span(struct soft_vcpu *v, const struct jit_site *s, uint64_t lin)
{
	struct soft_jit *j = v->jit;
	uint64_t here = jit_span_word(v);

	jit_at_site(v, s);
	j->count.spans++;
	if (jit_next_page(v) != j->block[s->block].page2 || j->block[s->block].dead ||
		!jit_synced(v))
		return jit_interpret_anew(v);
	exec_mem_patch(&j->code, (const uint8_t *)(s + 1), (const uint8_t *)&here, sizeof(here));
	return (const uint8_t *)s + s->retry;
}

/* An empty entry of the table was hit, by an address and a context that add up to what it has; or one that
 * leads to a block that is no more. */
const uint8_t *jit_on_stray(struct soft_vcpu *v, const void *nothing, uint64_t lin)
{
	static const struct jit_site saved = { .flags_saved = 1 };

	jit_flags_take(v, &saved);
	v->jit->count.strays++;
	v->rip = lin - v->g.id;
	soft_goto_at(v, v->rip)->tag = 0;
	return jit_go_on(v);
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
	jit_at_site(v, &s);
	b = jit_find_here(v, j->block[old].mode & JIT_MODE_APART);
	if (b == JIT_NONE)
		return jit_leave(v);
	if (j->generation == generation && j->block[b].page == j->block[old].page &&
		j->block[b].off == j->block[old].off && j->block[b].mode == j->block[old].mode)
		jump_from(j, after_call - 5,
			flags_saved ? j->block[b].page_entry : j->block[b].entry);
	return jit_enter_block(v, jit_code_at(j, j->block[b].ind));
}

const uint8_t *jit_on_stale(struct soft_vcpu *v, const uint8_t *after_call, uint64_t lin)
{
	return go_to_heir(v, after_call, false);
}

const uint8_t *jit_on_stale_saved(struct soft_vcpu *v, const uint8_t *after_call, uint64_t lin)
{
	return go_to_heir(v, after_call, true);
}
