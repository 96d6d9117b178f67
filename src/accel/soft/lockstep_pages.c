// SPDX-License-Identifier: GPL-2.0-or-later
/* lockstep_pages - copies of pages for those who are held against one another: lockstep.h. */
#include "accel/soft/lockstep_int.h"

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

unsigned int lockstep_copy_find(const struct copies *c, const uint8_t *page)
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
	unsigned int n = lockstep_copy_find(c, page);

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
	unsigned int n = lockstep_copy_find(c, page);

	if (n == c->n) {
		if (n == LOCKSTEP_PAGES)
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
	unsigned int n = lockstep_copy_find(c, page);

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

	if (l->n_l1 == LOCKSTEP_NOTES)
		stop_here(v);
	l->in_l1[l->n_l1++] = e;
}

void lockstep_copies_begin(struct soft_vcpu *v, enum who who)
{
	struct soft_lockstep *l = v->jit->lockstep;

	l->who = who;
	l->by[who].n = 0;
	l->n_tlb = l->n_l1 = 0;
	l->stopped = l->once = l->faulted = false;
	l->inside = true;
	v->tlb = l->tlb;
}

void lockstep_copies_end(struct soft_vcpu *v)
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
