// SPDX-License-Identifier: GPL-2.0-or-later
/* window - a second mapping of a program's pages, side by side: window.h. */
#include "accel/soft/window.h"
#include <stdlib.h>
#include <sys/mman.h>
#include "accel/soft/jit.h"
#include "accel/soft/mmu_int.h"
#include "base/clock.h"

#define CHUNK_BITS    26 /* of linear addresses, which are mapped as one */
#define CHUNK_SIZE    (1ull << CHUNK_BITS)
#define CHUNK_PAGES   (CHUNK_SIZE / PAGE_SIZE)
#define SETS	      8u /* a power of 2 */
#define WAYS	      4u
#define CHUNKS	      (SETS * WAYS)
#define AROUND	      16 /* pages on either side that are mapped at a time */
/* Each page may be a mapping of its own, of which the host allows a process 65530. */
#define PAGES_MAX     4096u
#define PAGES_ALL_MAX 32768u
/* Pages that found no room until all is begun anew, and how often at most. */
#define REFUSALS      256u
#define RESET_EVERY   (2 * NS_PER_SEC)
/* Pages that are others by now until a chunk is begun anew, and how often one is. */
#define CHANGES	      8u
#define EVICT_EVERY   (50 * NS_PER_MS)

struct chunk {
	uint64_t start; /* linear */
	uint64_t root;	/* whose: where the page tables are */
	uint8_t **host; /* owned: of each page, where it is in RAM; NULL: not mapped. NULL: free */
	uint8_t *at;	/* of the first page */
	uint64_t used;	/* when a walk came here last: ->walks then */
	uint32_t pages, changes;
};

struct soft_windows {
	uint8_t *reserved; /* CHUNKS * CHUNK_SIZE; NULL: this host, or this RAM, does without */
	uint32_t pages, refused;
	uint64_t walks;	   /* that came to any chunk */
	struct chunk *old; /* is to make room; NULL: none, or all */
	bool crowded;	   /* room is to be made from ->next_ns on */
	int64_t next_ns;
	struct chunk chunk[CHUNKS]; /* WAYS of each set, one after the other */
};

/* A program keeps its page tables, whichever PCID the guest gives it this time. */
static uint64_t root_of(const struct soft_vcpu *v)
{
	return v->cr3 >> 12;
}

static struct chunk *set_at(struct soft_windows *w, uint64_t lin, uint64_t root)
{
	uint64_t key = lin >> CHUNK_BITS ^ root << 20;

	return &w->chunk[(key * 0x9e3779b97f4a7c15ull >> 32 & (SETS - 1)) * WAYS];
}

static struct chunk *chunk_find(struct soft_windows *w, uint64_t lin, uint64_t root)
{
	struct chunk *set = set_at(w, lin, root);

	for (struct chunk *c = set; c < set + WAYS; c++)
		if ((c->start ^ lin) < CHUNK_SIZE && c->root == root && c->host)
			return c;
	return NULL;
}

uint8_t *soft_window_host(const struct soft_vcpu *v, uint64_t page, uint8_t *host)
{
	struct soft_windows *w = v->mmu->windows;
	uint64_t i = page % CHUNK_SIZE / PAGE_SIZE;
	struct chunk *c;

	if (__builtin_expect(!w, 1))
		return host;
	c = chunk_find(w, page, root_of(v));
	if (!c)
		return host;
	c->used = ++w->walks;
	return c->host[i] == host ? c->at + i * PAGE_SIZE : host;
}

uint8_t *soft_window_frame(const struct soft_vcpu *v, uint8_t *host)
{
	const struct soft_windows *w = v->mmu->windows;
	uint64_t off;

	if (__builtin_expect(!w || !w->reserved, 1))
		return host;
	off = (uintptr_t)host - (uintptr_t)w->reserved;
	return off < CHUNKS * CHUNK_SIZE
		       ? w->chunk[off / CHUNK_SIZE].host[off % CHUNK_SIZE / PAGE_SIZE]
		       : host;
}

/* -------- life -------- */
static struct soft_windows *windows_new(void)
{
	struct soft_windows *w = calloc(1, sizeof(*w));
	void *p;

	if (!w)
		return NULL;
	p = mmap(NULL, CHUNKS * CHUNK_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		-1, 0);
	w->reserved = p == MAP_FAILED ? NULL : p;
	for (uint32_t i = 0; w->reserved && i < CHUNKS; i++)
		w->chunk[i].at = w->reserved + i * CHUNK_SIZE;
	return w;
}

static void chunk_forget(struct soft_windows *w, struct chunk *c)
{
	w->pages -= c->pages;
	free(c->host);
	c->host = NULL;
	c->pages = c->changes = 0;
}

static void chunks_forget(struct soft_windows *w)
{
	for (uint32_t i = 0; i < CHUNKS; i++)
		chunk_forget(w, &w->chunk[i]);
}

/* It is of no use here; nothing leads there, nor will. */
static void give_up(struct soft_windows *w)
{
	chunks_forget(w);
	if (w->reserved)
		munmap(w->reserved, CHUNKS * CHUNK_SIZE);
	w->reserved = NULL;
}

static void unmap(struct soft_windows *w, uint8_t *at, uint64_t size)
{
	if (mmap(at, size, PROT_NONE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		    0) == MAP_FAILED)
		give_up(w);
}

void soft_windows_free(struct soft_windows *w)
{
	if (!w)
		return;
	give_up(w);
	free(w);
}

bool soft_window_wants_room(const struct soft_vcpu *v)
{
	const struct soft_windows *w = v->mmu->windows;

	return __builtin_expect(w && w->crowded, 0) && clock_mono_ns() >= w->next_ns;
}

static void made_room(struct soft_windows *w, int64_t every)
{
	w->old = NULL;
	w->crowded = false;
	w->refused = 0;
	w->next_ns = clock_mono_ns() + every;
}

void soft_window_make_room(struct soft_vcpu *v)
{
	struct soft_windows *w = v->mmu->windows;

	if (!w->old) {
		soft_window_reset(v);
		return;
	}
	chunk_forget(w, w->old);
	unmap(w, w->old->at, CHUNK_SIZE);
	made_room(w, EVICT_EVERY);
}

void soft_window_reset(struct soft_vcpu *v)
{
	struct soft_windows *w = v->mmu->windows;

	if (!w || !w->reserved)
		return;
	chunks_forget(w);
	unmap(w, w->reserved, CHUNKS * CHUNK_SIZE);
	made_room(w, RESET_EVERY);
}

/* -------- pages -------- */
/* @c, or all if there is none that is to blame, shall make room. */
static void want_room(struct soft_windows *w, struct chunk *c)
{
	if (w->crowded)
		return;
	w->crowded = true;
	w->old = c;
}

static struct chunk *chunk_for(struct soft_windows *w, uint64_t lin, uint64_t root)
{
	struct chunk *set = set_at(w, lin, root), *c = chunk_find(w, lin, root), *oldest = set;

	if (c)
		return c;
	for (c = set; c < set + WAYS && c->host; c++)
		if (c->used < oldest->used)
			oldest = c;
	if (c == set + WAYS) {
		want_room(w, oldest);
		return NULL;
	}
	c->host = calloc(CHUNK_PAGES, sizeof(*c->host));
	c->start = lin & ~(CHUNK_SIZE - 1);
	c->root = root;
	c->used = ++w->walks;
	return c->host ? c : NULL;
}

/* The entries of the vCPU's TLBs that have @page, which is @frame in RAM, lead to @to. A small TLB that has it elsewhere
 * (as long as the guest has not flushed a translation that it has changed) keeps it, and so the rights go with the frame. */
static void lead(struct soft_vcpu *v, uint64_t page, const uint8_t *frame, uint8_t *to)
{
	struct soft_tlb_entry *e = soft_tlb_at(v, SOFT_MMU_USER, page);
	struct jit_l1 *l = &v->l1[page >> 12 & (JIT_L1_SIZE - 1)];

	e->addend = (uintptr_t)to - page;
	if ((l->tag[SOFT_READ] != page && l->tag[SOFT_WRITE] != page) ||
		soft_window_frame(v, l->host) != frame)
		return;
	l->host = to;
	l->delta = (uintptr_t)to - page;
}

static bool page_map(struct soft_vcpu *v, struct chunk *c, uint64_t page, uint8_t *host)
{
	struct soft_windows *w = v->mmu->windows;
	uint64_t i = page % CHUNK_SIZE / PAGE_SIZE;
	uint8_t *to = c->at + i * PAGE_SIZE;

	/* A size of 0 makes another mapping of the same pages. */
	if (mremap(host, 0, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED)
		return false;
	c->host[i] = host;
	c->pages++;
	w->pages++;
	lead(v, page, host, to);
	return true;
}

static uint32_t room(const struct soft_vcpu *v)
{
	uint32_t n = atomic_load_explicit(&v->vm->n_vcpus, memory_order_relaxed);

	return MIN(PAGES_MAX, PAGES_ALL_MAX / MAX(n, 1u));
}

/* Is @page, which the TLB has, to be found in the window at the end? Counts in *@n what is new. */
static bool page_add(struct soft_vcpu *v, struct chunk *c, uint64_t page, unsigned int *n)
{
	struct soft_windows *w = v->mmu->windows;
	const struct soft_tlb_entry *e = soft_tlb_at(v, SOFT_MMU_USER, page);
	uint64_t i = page % CHUNK_SIZE / PAGE_SIZE;
	uint8_t *host;

	if ((page ^ c->start) >= CHUNK_SIZE || e->tag[SOFT_READ] != (page | v->ctx))
		return false;
	if (e->addend + page == (uintptr_t)c->at + i * PAGE_SIZE)
		return true;
	host = soft_window_frame(v, (uint8_t *)(e->addend + page));
	if (c->host[i] == host) {
		lead(v, page, host, c->at + i * PAGE_SIZE);
	} else if (c->host[i]) {
		if (++c->changes >= CHANGES)
			want_room(w, c);
		return false;
	} else if (w->pages >= room(v) || !page_map(v, c, page, host)) {
		if (++w->refused >= REFUSALS)
			want_room(w, NULL);
		return false;
	}
	++*n;
	return true;
}

bool soft_window_add(struct soft_vcpu *v, uint64_t lin)
{
	uint64_t page = lin & ~PAGE_OFF;
	struct soft_windows *w = v->mmu->windows;
	unsigned int n = 0;
	struct chunk *c;

	if (v->mmu_index != SOFT_MMU_USER || v->jit->lockstep)
		return false;
	if (!w)
		w = v->mmu->windows = windows_new();
	if (!w || !w->reserved)
		return false;
	c = chunk_for(w, page, root_of(v));
	if (!c)
		return false;
	for (unsigned int k = 0; k <= AROUND && page_add(v, c, page + k * PAGE_SIZE, &n); k++)
		;
	for (unsigned int k = 1; k <= AROUND && page_add(v, c, page - k * PAGE_SIZE, &n); k++)
		;
	return n;
}
