// SPDX-License-Identifier: GPL-2.0-or-later
/* tlb - contexts and flushes of a soft vCPU's TLB, and having the other vCPUs stand still: mmu_int.h. */
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include "accel/soft/jit.h"
#include "accel/soft/mmu_int.h"
#include "accel/soft/window.h"
#include "core/machine.h"

#define PAGES_2M (0x200000u / PAGE_SIZE)

/* So that soft_stored() can always look, whatever it was called for. */
static _Atomic uint32_t no_code[RAM_CODE_WORDS];

static void entry_drop(struct soft_tlb_entry *e)
{
	e->tag[SOFT_READ] = e->tag[SOFT_WRITE] = e->tag[SOFT_FETCH] = SOFT_TLB_NONE;
	e->global = 0;
}

/* All of them as one array. */
static struct soft_tlb_entry *tlb_first(struct soft_mmu *m)
{
	return (struct soft_tlb_entry *)(void *)m->tlb;
}

bool soft_mmu_new(struct soft_vcpu *v)
{
	struct soft_mmu *m = NULL;
	struct soft_tlb_entry *e;

	if (posix_memalign((void **)&m, PAGE_SIZE, sizeof(*m)))
		return false;
	memset(m, 0, sizeof(*m));
	for (e = tlb_first(m); e < tlb_first(m) + SOFT_MMU_INDEXES * SOFT_TLB_SIZE; e++) {
		entry_drop(e);
		e->page = SOFT_TLB_NONE;
		e->code = no_code;
	}
	m->next_ctx = CTX_FIRST;
	m->global = m->fetched_round = 1;
	v->mmu = m;
	v->tlb = m->tlb;
	soft_tlb_flush(v, true);
	return true;
}

void soft_mmu_free(struct soft_vcpu *v)
{
	if (v->mmu)
		soft_windows_free(v->mmu->windows);
	free(v->mmu);
	v->mmu = NULL;
	v->tlb = NULL;
}

static bool entry_is_global(const struct soft_mmu *m, const struct soft_tlb_entry *e)
{
	return e->global == m->global; /* which is never 0 */
}

static void entry_tag(struct soft_tlb_entry *e, uint64_t ctx)
{
	for (int a = 0; a < 3; a++)
		if (e->tag[a] != SOFT_TLB_NONE)
			e->tag[a] = e->page | ctx;
}

bool tlb_adopt_global(struct soft_mmu *m, struct soft_tlb_entry *e, uint64_t page)
{
	if (e->page != page || !entry_is_global(m, e))
		return false;
	entry_tag(e, m->ctx);
	return true;
}

/* -------- sets of pages -------- */
#define ROUND_BITS 16
#define ALL	   (UINT64_MAX << ROUND_BITS) /* a page that stands for all of them */

static page_set *set_of(page_set *sets, uint32_t n, uint64_t page)
{
	return &sets[page * 0x9e3779b97f4a7c15ull >> 32 & (n - 1)];
}

static void set_add(page_set *set, uint64_t page, uint16_t round)
{
	uint64_t *way = *set, e = page << ROUND_BITS | round;

	for (unsigned int i = 0; i < PAGE_WAYS; i++) {
		if (way[i] == e || way[i] == (ALL | round))
			return;
		if ((uint16_t)way[i] != round) {
			way[i] = e;
			return;
		}
	}
	way[0] = ALL | round;
}

/* A set that is full stands for all pages, and cannot forget one. */
static void set_remove(page_set *set, uint64_t page, uint16_t round)
{
	uint64_t *way = *set;

	for (unsigned int i = 0; i < PAGE_WAYS; i++)
		if (way[i] == (page << ROUND_BITS | round))
			way[i] = 0;
}

static bool set_has(const page_set *set, uint64_t page, uint16_t round)
{
	const uint64_t *way = *set;

	for (unsigned int i = 0; i < PAGE_WAYS; i++)
		if (way[i] == (page << ROUND_BITS | round) || way[i] == (ALL | round))
			return true;
	return false;
}

/* More was added to the set than it can tell. */
static bool set_is_full(const page_set *set, uint16_t round)
{
	return (*set)[0] == (ALL | round);
}

/* -------- where code was fetched from -------- */
static uint64_t fetched_page(uint64_t lin, bool global)
{
	return lin >> 12 << 1 | global;
}

void tlb_note_fetch(struct soft_mmu *m, uint64_t lin, bool global)
{
	uint64_t page = fetched_page(lin, global);

	set_add(set_of(m->fetched, FETCHED_SETS, page), page, m->fetched_round);
}

static bool fetched(struct soft_mmu *m, uint64_t lin, bool global)
{
	uint64_t page = fetched_page(lin, global);

	return set_has(set_of(m->fetched, FETCHED_SETS, page), page, m->fetched_round);
}

static void fetch_changed(struct soft_vcpu *v)
{
	struct soft_mmu *m = v->mmu;

	v->fetch_gen++;
	if (++m->fetched_round)
		return;
	memset(m->fetched, 0, sizeof(m->fetched));
	m->fetched_round = 1;
}

/* -------- contexts -------- */
/* The numbers of contexts have run out: nothing but global pages is left, and all are free again. */
static void sweep(struct soft_vcpu *v)
{
	struct soft_mmu *m = v->mmu;
	struct soft_tlb_entry *e;

	fetch_changed(v);
	jit_l1_forget(v);
	for (e = tlb_first(m); e < tlb_first(m) + SOFT_MMU_INDEXES * SOFT_TLB_SIZE; e++) {
		if (entry_is_global(m, e))
			entry_tag(e, CTX_OLD);
		else
			entry_drop(e);
	}
	memset(m->pcid_ctx, 0, sizeof(m->pcid_ctx));
	m->next_ctx = CTX_FIRST;
}

static uint16_t new_context(struct soft_vcpu *v)
{
	if (v->mmu->next_ctx > CTX_LAST)
		sweep(v);
	return v->mmu->next_ctx++;
}

static uint32_t current_pcid(const struct soft_vcpu *v)
{
	return v->cr4 & X86_CR4_PCIDE ? v->cr3 & (PCIDS - 1) : 0;
}

/* Into the context of the PCID at hand; @fresh: one that knows nothing. */
static void enter_context(struct soft_vcpu *v, bool fresh)
{
	struct soft_mmu *m = v->mmu;
	uint32_t pcid = current_pcid(v);

	if (fresh || !m->pcid_ctx[pcid]) {
		uint16_t ctx = new_context(v); /* may clear pcid_ctx */

		m->pcid_ctx[pcid] = ctx;
	}
	m->pcids_used |= pcid != 0;
	m->ctx = m->pcid_ctx[pcid];
	v->ctx = m->check_align ? CTX_SLOW : m->ctx;
}

static void drop_global(struct soft_vcpu *v)
{
	struct soft_mmu *m = v->mmu;
	struct soft_tlb_entry *e;

	fetch_changed(v);
	jit_l1_clear(v);
	if (++m->global)
		return;
	for (e = tlb_first(m); e < tlb_first(m) + SOFT_MMU_INDEXES * SOFT_TLB_SIZE; e++)
		entry_drop(e);
	m->global = 1;
}

/* -------- flushes -------- */

void soft_tlb_flush(struct soft_vcpu *v, bool global)
{
	struct soft_mmu *m = v->mmu;

	v->count.flushes++;
	mmu_paging_changed(v);
	if (m->pcids_used)
		memset(m->pcid_ctx, 0, sizeof(m->pcid_ctx));
	m->pcid_ctx[0] = 0;
	m->pcids_used = false;
	if (global) {
		drop_global(v);
		memset(m->large, 0, sizeof(m->large));
	}
	enter_context(v, true);
}

void soft_tlb_flush_pcid(struct soft_vcpu *v, uint16_t pcid, bool global)
{
	struct soft_mmu *m = v->mmu;

	v->count.flushes++;
	pcid &= PCIDS - 1;
	m->pcid_ctx[pcid] = 0;
	if (global)
		drop_global(v);
	enter_context(v, false);
}

void soft_mmu_cr3(struct soft_vcpu *v, bool keep)
{
	struct soft_mmu *m = v->mmu;

	v->count.flushes += !keep;
	m->paging.cr3 = v->cr3;
	memcpy(m->paging.pdpte, v->pdpte, sizeof(v->pdpte));
	enter_context(v, !keep);
}

static void drop_if_near(struct soft_tlb_entry *e, uint64_t lin, unsigned int shift)
{
	if ((e->page ^ lin) >> shift == 0)
		entry_drop(e);
}

void tlb_drop_page(struct soft_vcpu *v, uint64_t lin)
{
	jit_l1_drop_page(v, lin);
	for (int i = 0; i < SOFT_MMU_INDEXES; i++)
		drop_if_near(soft_tlb_at(v, i, lin), lin, 12);
}

static uint64_t large_page(uint64_t lin, unsigned int shift)
{
	return lin >> shift << 1 | (shift > 21);
}

void tlb_note_large(struct soft_mmu *m, uint64_t lin, unsigned int shift)
{
	uint64_t page = large_page(lin, shift = shift == 21 ? 21 : 30);

	set_add(set_of(m->large, LARGE_SETS, page), page, 1);
}

static bool is_large(struct soft_mmu *m, uint64_t lin, unsigned int shift)
{
	uint64_t page = large_page(lin, shift);

	return set_has(set_of(m->large, LARGE_SETS, page), page, 1);
}

/* Whether so many large pages were seen that nobody knows whether @lin is in one of them. */
static bool may_be_large(struct soft_mmu *m, uint64_t lin)
{
	for (unsigned int shift = 21; shift <= 30; shift += 9)
		if (set_is_full(set_of(m->large, LARGE_SETS, large_page(lin, shift)), 1))
			return true;
	return false;
}

/* All pieces of a large page. Those of 2 MiB lie in one half of the table. Then none is left, so it is no
 * longer known as large: a kernel that has split it goes on with its small pages. */
static void drop_pieces(struct soft_vcpu *v, uint64_t lin, unsigned int shift)
{
	unsigned int n = shift == 21 ? PAGES_2M : SOFT_TLB_SIZE;
	uint64_t first = lin & ~((1ull << shift) - 1), page = large_page(lin, shift);

	set_remove(set_of(v->mmu->large, LARGE_SETS, page), page, 1);

	jit_l1_clear(v);
	for (int i = 0; i < SOFT_MMU_INDEXES; i++)
		for (unsigned int k = 0; k < n; k++)
			drop_if_near(
				soft_tlb_at(v, i, first + (uint64_t)k * PAGE_SIZE), lin, shift);
}

void soft_tlb_flush_page(struct soft_vcpu *v, uint64_t lin)
{
	struct soft_mmu *m = v->mmu;
	bool code, here;

	v->count.flush_pages++;
	if (!soft_long_mode(v))
		lin = (uint32_t)lin;
	/* Once and for all large pages: programs come and go, and theirs would add up until no INVLPG were quick. */
	if (may_be_large(m, lin)) {
		soft_tlb_flush(v, true);
		return;
	}
	code = fetched(m, lin, true);
	here = fetched(m, lin, false);
	tlb_drop_page(v, lin);
	if (is_large(m, lin, 21)) {
		drop_pieces(v, lin, 21);
		code = true;
	}
	/* Pages of 4 MiB too: a few more go than must. */
	if (is_large(m, lin, 30)) {
		drop_pieces(v, lin, 30);
		code = true;
	}
	if (code)
		fetch_changed(v);
	else if (here) /* what other contexts fetched there stays */
		enter_context(v, true);
}

/* Registers whose change makes other rights or other tables of what is in the TLB. */
#define CR0_BITS (X86_CR0_PG | X86_CR0_WP)
#define CR4_BITS                                                                                 \
	(X86_CR4_PSE | X86_CR4_PAE | X86_CR4_PGE | X86_CR4_LA57 | X86_CR4_PCIDE | X86_CR4_SMEP | \
		X86_CR4_SMAP | X86_CR4_PKE | X86_CR4_PKS)
#define EFER_BITS (X86_EFER_NXE | X86_EFER_LMA)

void soft_mmu_mode_changed(struct soft_vcpu *v)
{
	struct soft_mmu *m = v->mmu;

	m->check_align = v->cpl == 3 && v->cr0 & X86_CR0_AM && v->rflags & X86_FLAG_AC;
	v->ctx = m->check_align ? CTX_SLOW : m->ctx;
	v->mmu_slow = m->check_align;
	if (((v->cr0 ^ m->cr0) & CR0_BITS) || ((v->cr4 ^ m->cr4) & CR4_BITS) ||
		((v->efer ^ m->efer) & EFER_BITS))
		soft_tlb_flush(v, true);
}

/* -------- between slices -------- */

static uint64_t map_version(struct soft_vm *vm)
{
	return vm->base.machine ? atomic_load(&vm->base.machine->mem.version)
				: atomic_load(&vm->slots_version);
}

bool tlb_check_map(struct soft_vcpu *v)
{
	uint64_t now = map_version(v->vm);

	if (__builtin_expect(now == v->map_version, 1))
		return false;
	v->map_version = now;
	v->mmu->data.size = v->mmu->table.size = 0;
	soft_window_reset(v);
	if (v->jit)
		v->jit->stale = true;
	soft_tlb_flush(v, true);
	return true;
}

void soft_mmu_serve_flush(struct soft_vcpu *v)
{
	struct soft_mmu *m = v->mmu;
	uint32_t asked = atomic_load(&m->drop_asked);
	struct soft_tlb_entry *e;

	if (asked == atomic_load_explicit(&m->drop_done, memory_order_relaxed))
		return;
	for (e = tlb_first(m); e < tlb_first(m) + SOFT_MMU_INDEXES * SOFT_TLB_SIZE; e++)
		e->tag[SOFT_WRITE] = SOFT_TLB_NONE;
	jit_l1_drop_writes(v, NULL);
	/* Whoever sees this sees what this vCPU wrote by the old tags. */
	atomic_store(&m->drop_done, asked);
}

bool soft_mmu_slice(struct soft_vcpu *v)
{
	struct soft_vm *vm = v->vm;
	struct soft_vcpu *other;

	/* Stand still while another vCPU is exclusive. Pairs with others_stop(): either it sees in_guest,
	 * which the run loop has set before, or this sees it. */
	while (__builtin_expect((other = atomic_load(&vm->exclusive)) && other != v, 0)) {
		atomic_store(&v->in_guest, false);
		mutex_lock(&vm->exclusive_lock);
		mutex_unlock(&vm->exclusive_lock);
		atomic_store(&v->in_guest, true);
	}
	soft_mmu_serve_flush(v);
	if (soft_window_wants_room(v)) {
		soft_window_make_room(v);
		soft_tlb_flush(v, true);
	}
	return tlb_check_map(v);
}

/* -------- other vCPUs -------- */

/* Spin for a moment, then leave the CPU to whom we wait for, then sleep. */
static void wait_step(unsigned int *n)
{
	struct timespec ts = { .tv_nsec = 20000 };

	++*n;
	if (*n < 100)
		__builtin_ia32_pause();
	else if (*n < 120)
		sched_yield();
	else
		nanosleep(&ts, NULL);
}

/* vCPU @i, or NULL. It stays: vCPUs go only when none of them runs, and on main. */
static struct soft_vcpu *vcpu_at(struct soft_vm *vm, uint32_t i)
{
	struct soft_vcpu *v;

	mutex_lock(&vm->vcpus_lock);
	v = vm->vcpus[i];
	mutex_unlock(&vm->vcpus_lock);
	return v;
}

/* Dropping write tags. The request is stored before in_guest is looked at, and the run loop sets
 * in_guest before soft_mmu_slice() looks for requests: so a vCPU that is seen outside drops them
 * before it runs again, asleep, parked or not. */
void soft_mmu_drop_writes(struct soft_vm *vm)
{
	uint32_t n = atomic_load(&vm->n_vcpus);
	struct soft_vcpu *v;
	unsigned int spins = 0;

	for (uint32_t i = 0; i < n; i++) {
		v = vcpu_at(vm, i);
		if (!v)
			continue;
		atomic_fetch_add(&v->mmu->drop_asked, 1);
		if (atomic_load(&v->in_guest))
			soft_notify(v, SOFT_POLL_FLUSH);
	}
	for (uint32_t i = 0; i < n; i++) {
		v = vcpu_at(vm, i);
		while (v && atomic_load(&v->in_guest) &&
			atomic_load(&v->mmu->drop_asked) != atomic_load(&v->mmu->drop_done))
			wait_step(&spins);
	}
}

void soft_mmu_ask_drop_writes(struct soft_vcpu *v)
{
	uint32_t n = atomic_load(&v->vm->n_vcpus);

	for (uint32_t i = 0; i < n; i++) {
		struct soft_vcpu *other = vcpu_at(v->vm, i);

		if (other && other != v)
			atomic_fetch_add(&other->mmu->drop_asked, 1);
	}
}

static void others_stop(struct soft_vcpu *self)
{
	struct soft_vm *vm = self->vm;
	uint32_t n = atomic_load(&vm->n_vcpus);
	unsigned int spins = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct soft_vcpu *v = vcpu_at(vm, i);

		if (!v || v == self || !atomic_load(&v->in_guest))
			continue;
		soft_notify(v, SOFT_POLL_FLUSH);
		while (atomic_load(&v->in_guest))
			wait_step(&spins);
	}
}

/* The others stand still between two instructions, outside of guest code, until the end: so what is
 * done in between is atomic for guest code. Devices go on. */
void soft_exclusive_begin(struct soft_vcpu *v) NO_THREAD_SAFETY
{
	struct soft_vm *vm = v->vm;
	bool inside = atomic_load(&v->in_guest);

	v->exclusive = true;
	if (atomic_load(&vm->n_vcpus) < 2)
		return;
	/* While this one waits for its turn, it stands still itself: it has no host pointer in use. */
	atomic_store(&v->in_guest, false);
	mutex_lock(&vm->exclusive_lock);
	v->mmu->exclusive_locked = true;
	atomic_store(&vm->exclusive, v);
	atomic_store(&v->in_guest, inside);
	soft_mmu_serve_flush(v);
	others_stop(v);
}

void soft_exclusive_end(struct soft_vcpu *v) NO_THREAD_SAFETY
{
	struct soft_vm *vm = v->vm;

	v->exclusive = false;
	if (!v->mmu->exclusive_locked)
		return;
	v->mmu->exclusive_locked = false;
	atomic_store(&vm->exclusive, NULL);
	mutex_unlock(&vm->exclusive_lock);
}
