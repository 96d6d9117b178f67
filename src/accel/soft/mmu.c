// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mmu - translation and the slow paths of memory accesses; TLB entries are made here.
 *
 * An access becomes one or two pages (struct place), each found in the TLB or by a walk, which may
 * raise; only then bytes move. Where no whole page of RAM lies, pieces of at most 8 bytes go to
 * soft_mmio(), as do writes to ROM.
 *
 * What must not be found by the inline check is kept out of the tags: pages with a data breakpoint,
 * writes to pages that are clean (in the guest's page table, or in the dirty log) or ROM; and while
 * alignment is checked, everything (CTX_SLOW). The rest of such an entry is filled in all the same:
 * soft_stored() finds the code word there.
 *
 * Code words and Dekker. A store must not be missed by the decoder, nor the decoder by a store: the
 * writer stores, then looks at bit 0; the decoder sets bit 0, then reads the bytes. Both need a full
 * barrier in between. Stores are many and new pages of code few, so the decoder pays for both:
 * membarrier(2) puts a barrier into every thread that is running. A device's writes have their own in
 * ram_dirty_mark(). With one vCPU the storing thread is the decoding one. Generated code (jit.h) does not
 * look after its stores: a page of code has no write tag in its TLB, and the other vCPUs stop to drop it.
 */
#include <linux/membarrier.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "accel/soft/jit.h"
#include "accel/soft/lockstep.h"
#include "accel/soft/mmu_int.h"
#include "accel/soft/window.h"
#include "core/machine.h"

/* -------- guest-physical pages -------- */

static bool piece_set(struct piece *p, uint64_t start, uint64_t size, uint8_t *host,
	struct ram_block *ram, uint64_t ram_off, bool readonly)
{
	uint64_t first = (start + PAGE_OFF) & ~PAGE_OFF, end = (start + size) & ~PAGE_OFF;
	_Atomic uint32_t *code = atomic_load_explicit(&ram->code, memory_order_acquire);

	/* Pages of the guest must be pages of the block. */
	if (end <= first || ((ram_off ^ start) & PAGE_OFF) || !code)
		return false;
	ram_off += first - start;
	*p = (struct piece){
		.start = first,
		.size = end - first,
		.host = host + (first - start),
		.ram = ram,
		.ram_page = ram_off / PAGE_SIZE,
		.code = code + RAM_CODE_WORDS * (ram_off / PAGE_SIZE),
		.readonly = readonly,
	};
	return true;
}

static bool piece_look_up(struct soft_vcpu *v, uint64_t gpa, struct piece *p)
{
	const struct as_range *r;
	struct soft_slot s;

	if (!v->vm->base.machine)
		return soft_slot_find(v->vm, gpa, &s) &&
		       piece_set(p, s.gpa, s.size, s.host, s.ram, s.ram_off, s.readonly);
	r = as_find(&v->vm->base.machine->mem, gpa);
	return r && (r->kind == AS_RAM || r->kind == AS_ROM) &&
	       piece_set(p, r->start, r->size, r->host, r->ram, r->ram_off, r->kind == AS_ROM);
}

/* The piece that holds the whole page of @gpa, kept in *@near; NULL: there is none. */
static inline const struct piece *find_piece(struct soft_vcpu *v, uint64_t gpa, struct piece *near)
{
	if (__builtin_expect(gpa - near->start < near->size, 1))
		return near;
	if (!piece_look_up(v, gpa, near) || gpa - near->start >= near->size) {
		near->size = 0;
		return NULL;
	}
	return near;
}

static inline _Atomic uint32_t *piece_code(const struct piece *p, uint64_t gpa)
{
	return p->code + RAM_CODE_WORDS * ((gpa - p->start) / PAGE_SIZE);
}

/* May writes to the page go unnoticed from now on? @written: there will be one. */
static bool writes_free(struct soft_vcpu *v, const struct piece *p, uint64_t gpa, bool written)
{
	if (p->readonly)
		return false;
	return !atomic_load_explicit(&v->vm->dirty_on, memory_order_relaxed) ||
	       soft_dirty_page(v->vm, p->ram, p->ram_page + (gpa - p->start) / PAGE_SIZE, written);
}

/* -------- page tables -------- */

static uint64_t table_read(void *opaque, uint64_t gpa, unsigned int size)
{
	struct soft_vcpu *v = opaque;
	const struct piece *p = find_piece(v, gpa, &v->mmu->table);

	if (!p)
		return size == 4 ? UINT32_MAX : UINT64_MAX;
	return soft_host_load(p->host + (gpa - p->start), size);
}

static bool swap(void *host, unsigned int size, uint64_t old, uint64_t now)
{
	uint32_t old32 = (uint32_t)old;

	if (size == 8)
		return __atomic_compare_exchange_n(
			(uint64_t *)host, &old, now, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return __atomic_compare_exchange_n(
		(uint32_t *)host, &old32, (uint32_t)now, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static bool table_cas(void *opaque, uint64_t gpa, unsigned int size, uint64_t old, uint64_t now)
{
	struct soft_vcpu *v = opaque;
	const struct piece *p = find_piece(v, gpa, &v->mmu->table);

	if (!p || !writes_free(v, p, gpa, true))
		return true; /* in ROM: the bits cannot be set, and nothing else becomes of it */
	if (!swap(p->host + (gpa - p->start), size, old, now))
		return false;
	if (atomic_load_explicit(piece_code(p, gpa), memory_order_relaxed) & 1)
		soft_code_stored(v, piece_code(p, gpa), gpa & PAGE_OFF, size);
	return true;
}

static const struct x86_walk_mem table_mem = { table_read, table_cas };

static bool has_1g_pages(const struct soft_vcpu *v)
{
	const struct x86_cpuid_leaf *l = v->cpuid ? x86_cpuid_find(v->cpuid, 0x80000001u, 0) : NULL;

	return !v->cpuid || (l && l->edx >> 26 & 1);
}

static unsigned int phys_bits(const struct soft_vcpu *v)
{
	return v->phys_bits ?: 52;
}

void mmu_paging_changed(struct soft_vcpu *v)
{
	struct soft_mmu *m = v->mmu;

	m->cr0 = v->cr0;
	m->cr4 = v->cr4;
	m->efer = v->efer;
	x86_paging_init(&m->paging, v->cr0, v->cr4, v->efer, phys_bits(v),
		(has_1g_pages(v) ? X86_PAGING_1G : 0) | (v->amd ? X86_PAGING_AMD : 0));
	m->paging.cr3 = v->cr3;
	m->paging.pkru = v->pkru;
	m->paging.pkrs = v->pkrs;
	memcpy(m->paging.pdpte, v->pdpte, sizeof(v->pdpte));
}

bool soft_mmu_load_pdptes(struct soft_vcpu *v)
{
	uint64_t e[4];

	as_read_begin();
	tlb_check_map(v);
	for (unsigned int i = 0; i < 4; i++)
		e[i] = table_read(v, (v->cr3 & 0xffffffe0u) + 8 * i, 8);
	as_read_end();
	if (!x86_pdptes_valid(e, phys_bits(v)))
		return false;
	memcpy(v->pdpte, e, sizeof(e));
	return true;
}

const uint8_t *soft_peek(struct soft_vcpu *v, uint64_t lin)
{
	struct piece p;
	uint64_t gpa;

	if (!soft_translate(v, lin, &gpa) || !piece_look_up(v, gpa, &p) || gpa - p.start >= p.size)
		return NULL;
	return p.host + (gpa - p.start);
}

bool soft_translate(struct soft_vcpu *v, uint64_t lin, uint64_t *gpa)
{
	struct x86_walk w;
	bool ok;

	if (!soft_long_mode(v))
		lin = (uint32_t)lin;
	else if (!soft_canonical(v, lin))
		return false;
	as_read_begin();
	tlb_check_map(v);
	ok = x86_walk(&v->mmu->paging, &table_mem, v, lin, X86_WALK_R | X86_WALK_PEEK, &w);
	as_read_end();
	if (ok)
		*gpa = w.gpa;
	return ok;
}

/* -------- TLB entries -------- */

/* A page as an access finds it. */
struct ref {
	uint8_t *host; /* of the page's first byte; NULL: not RAM, or ROM that would be written */
	uint64_t gpa;
	_Atomic uint32_t *code; /* with @host */
};

static _Noreturn void page_fault(struct soft_vcpu *v, uint64_t lin, uint32_t error)
{
	struct soft_event e = {
		.vector = X86_EXC_PF, .has_error = true, .error = error, .cr2 = lin
	};

	soft_raise_event(v, &e);
}

static bool page_watched(const struct soft_mmu *m, uint64_t page)
{
	for (uint32_t i = 0; i < m->n_watches; i++) {
		const struct watch *w = &m->watch[i];

		if ((w->lin & ~PAGE_OFF) == page || ((w->lin + w->len - 1) & ~PAGE_OFF) == page)
			return true;
	}
	return false;
}

static inline struct ref entry_ref(const struct soft_tlb_entry *e)
{
	return (struct ref){ (uint8_t *)(e->addend + e->page), e->gpa, e->code };
}

static inline struct soft_tlb_entry *entry_at(struct soft_mmu *m, int index, uint64_t lin)
{
	return &m->tlb[index][soft_tlb_place(lin)];
}

/* The page of @lin by a walk, into the TLB. */
static struct ref fill(struct soft_vcpu *v, uint64_t lin, enum soft_access access, int index)
{
	static const uint8_t modifier[SOFT_MMU_INDEXES] = {
		[SOFT_MMU_KERNEL_AC] = X86_WALK_AC, [SOFT_MMU_USER] = X86_WALK_USER
	};
	struct soft_mmu *m = v->mmu;
	struct soft_tlb_entry *e = entry_at(m, index, lin);
	uint64_t page = lin & ~PAGE_OFF, gpa, tag = page | m->ctx;
	const struct piece *p;
	struct x86_walk w;
	uint8_t *host;
	bool data;

	v->count.walks++;
	if (!x86_walk(&m->paging, &table_mem, v, lin, (1u << access) | modifier[index], &w))
		page_fault(v, lin, w.error);
	gpa = w.gpa & ~PAGE_OFF;
	p = find_piece(v, gpa, &m->data);
	if (!p || (p->readonly && access == SOFT_WRITE))
		return (struct ref){ .gpa = gpa };
	data = __builtin_expect(!m->n_watches, 1) || !page_watched(m, page);
	host = p->host + (gpa - p->start);
	if (index == SOFT_MMU_USER)
		host = soft_window_host(v, page, host);
	e->page = page;
	e->gpa = gpa;
	e->addend = (uintptr_t)host - page;
	e->code = piece_code(p, gpa);
	e->global = w.global ? m->global : 0;
	e->tag[SOFT_READ] = data && w.allowed & X86_WALK_R ? tag : SOFT_TLB_NONE;
	e->tag[SOFT_FETCH] = w.allowed & X86_WALK_X ? tag : SOFT_TLB_NONE;
	e->tag[SOFT_WRITE] = SOFT_TLB_NONE;
	if (w.allowed & X86_WALK_W && w.dirty && writes_free(v, p, gpa, access == SOFT_WRITE) &&
		data)
		e->tag[SOFT_WRITE] = tag;
	if (w.shift > 12)
		tlb_note_large(m, lin, w.shift);
	return entry_ref(e);
}

static inline bool known(
	struct soft_mmu *m, struct soft_tlb_entry *e, uint64_t lin, enum soft_access access)
{
	uint64_t tag = (lin & ~PAGE_OFF) | m->ctx;

	return e->tag[access] == tag ||
	       (tlb_adopt_global(m, e, lin & ~PAGE_OFF) && e->tag[access] == tag);
}

/* In lockstep, while memory is not to be written to: the same with the page's copy. */
static __attribute__((noinline)) struct ref find_copy(
	struct soft_vcpu *v, uint64_t lin, enum soft_access access, int index)
{
	struct soft_tlb_entry *e = soft_tlb_at(v, index, lin), *real = entry_at(v->mmu, index, lin);
	struct ref r;

	if (e->tag[access] == ((lin & ~PAGE_OFF) | v->mmu->ctx))
		return entry_ref(e);
	if (known(v->mmu, real, lin, access)) {
		r = entry_ref(real);
	} else {
		soft_lockstep_walk(v);
		r = fill(v, lin, access, index);
	}
	if (!r.host)
		return r;
	soft_lockstep_enter(v, e, real, access);
	return entry_ref(e);
}

static inline struct ref find(struct soft_vcpu *v, uint64_t lin, enum soft_access access, int index)
{
	struct soft_mmu *m = v->mmu;
	struct soft_tlb_entry *e = entry_at(m, index, lin);

	if (__builtin_expect(v->tlb != m->tlb, 0))
		return find_copy(v, lin, access, index);
	return known(m, e, lin, access) ? entry_ref(e) : fill(v, lin, access, index);
}

const struct soft_tlb_entry *soft_tlb_entry_for(
	struct soft_vcpu *v, uint64_t lin, enum soft_access access)
{
	if (!soft_long_mode(v))
		lin = (uint32_t)lin;
	else if (!soft_canonical(v, lin))
		return NULL;
	if (!find(v, lin, access, v->mmu_index).host)
		return NULL;
	return soft_tlb_at(v, v->mmu_index, lin);
}

/* -------- data breakpoints -------- */

static void watch_add(struct soft_vcpu *v, const struct watch *w)
{
	v->mmu->watch[v->mmu->n_watches++] = *w;
	tlb_drop_page(v, w->lin);
	tlb_drop_page(v, w->lin + w->len - 1);
}

void soft_watch_changed(struct soft_vcpu *v)
{
	static const uint8_t length[4] = { 1, 2, 8, 4 };

	v->mmu->n_watches = 0;
	for (unsigned int i = 0; i < 4; i++) {
		unsigned int type = v->dr[7] >> (16 + 4 * i) & 3;
		uint64_t len = length[v->dr[7] >> (18 + 4 * i) & 3];

		if (v->dr[7] >> (2 * i) & 3 && type & 1)
			watch_add(v, &(struct watch){ .lin = v->dr[i] & ~(len - 1),
					     .len = len,
					     .read = type == 3,
					     .dr6 = 1ull << i });
	}
	for (uint32_t i = 0; i < v->debug.n && i < ACCEL_DEBUG_POINTS; i++) {
		const struct accel_debug_point *p = &v->debug.point[i];

		if (p->kind != ACCEL_DEBUG_EXEC && p->len)
			watch_add(v, &(struct watch){ .lin = p->addr,
					     .len = p->len,
					     .read = p->kind == ACCEL_DEBUG_ACCESS,
					     .debug = 1ull << i });
	}
}

/* An access was made: has it hit one? */
static __attribute__((noinline)) void watch_hit(
	struct soft_vcpu *v, uint64_t lin, unsigned int n, enum soft_access access)
{
	const struct soft_mmu *m = v->mmu;

	if (access == SOFT_FETCH)
		return;
	for (uint32_t i = 0; i < m->n_watches; i++) {
		const struct watch *w = &m->watch[i];

		if ((w->lin - lin >= n && lin - w->lin >= w->len) ||
			(access == SOFT_READ && !w->read))
			continue;
		v->pending_dr6 |= w->dr6;
		v->debug_hits |= w->debug;
		v->stop = true;
	}
}

/* -------- code -------- */

void soft_code_written(struct soft_vcpu *v, _Atomic uint32_t *code)
{
	v->count.code_writes++;
	if (ram_code_bump(code))
		soft_jit_code_written(code);
	v->stop = true; /* the block at hand may be of that page */
}

static bool can_membarrier;
static pthread_once_t membarrier_once = PTHREAD_ONCE_INIT;

static void membarrier_register(void)
{
	can_membarrier = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) ==
			 0;
}

/* Stores to the page will be noticed from here on: see the top. */
static void mark_code(struct soft_vcpu *v, _Atomic uint32_t *code)
{
	if (atomic_load_explicit(code, memory_order_acquire) & 1)
		return;
	v->count.code_pages++;
	atomic_fetch_or(code, 1);
	jit_l1_drop_writes(v, code);
	if (atomic_load(&v->vm->n_vcpus) < 2)
		return;
	if (v->jit) {
		/* Generated code does not look after its stores: it must not find the page. The others drop
		 * it before they go on in guest code, where they are not if this one is exclusive. */
		soft_mmu_ask_drop_writes(v);
		if (!v->exclusive) {
			soft_exclusive_begin(v);
			soft_exclusive_end(v);
		}
		return;
	}
	pthread_once(&membarrier_once, membarrier_register);
	if (can_membarrier && syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0)
		return;
	if (!v->exclusive) { /* forbidden here: the others stop and go */
		soft_exclusive_begin(v);
		soft_exclusive_end(v);
	}
}

static inline void ref_written(
	struct soft_vcpu *v, const struct ref *r, unsigned int off, unsigned int n)
{
	atomic_signal_fence(memory_order_seq_cst);
	if (atomic_load_explicit(r->code, memory_order_relaxed) & 1)
		soft_code_stored(v, r->code, off, n);
}

/* -------- segments -------- */

static _Noreturn void raise_seg(struct soft_vcpu *v, enum x86_seg seg)
{
	soft_raise_error(v, seg == X86_SS ? X86_EXC_SS : X86_EXC_GP, 0);
}

/* Last offset of @s, and in *@first the first one. */
static uint64_t seg_last(const struct x86_segment *s, uint64_t *first)
{
	*first = 0;
	if ((s->attr & 0x1c) != 0x14) /* S, data, expand-down */
		return s->limit;
	*first = (uint64_t)s->limit + 1;
	return s->attr & X86_ATTR_DB ? UINT32_MAX : UINT16_MAX;
}

static bool seg_type_ok(const struct soft_vcpu *v, uint32_t attr, enum soft_access access)
{
	bool code = attr & 8, rw = attr & 2;

	if (soft_real_mode(v) || soft_vm86(v))
		return true;
	if (attr & X86_ATTR_UNUSABLE || !(attr & X86_ATTR_P))
		return false;
	return access == SOFT_WRITE ? !code && rw : access == SOFT_READ ? !code || rw : true;
}

uint64_t soft_seg_check(struct soft_vcpu *v, enum x86_seg seg, uint64_t off, unsigned int size,
	enum soft_access access)
{
	const struct x86_segment *s = &v->seg[seg];
	uint64_t first, last = seg_last(s, &first);

	if (v->code == X86_CODE_64)
		return seg >= X86_FS ? off + s->base : off;
	if (!seg_type_ok(v, s->attr, access))
		raise_seg(v, seg);
	/* A segment of 4 GiB has no end to run over: addresses wrap. */
	if (off < first || (off + size - 1 > last && !(first == 0 && last == UINT32_MAX)))
		raise_seg(v, seg);
	return (uint32_t)(off + s->base);
}

/* -------- accesses -------- */

/* @n bytes at @lin, in one or two pages. */
struct place {
	struct ref r[2];
	uint64_t lin;
	unsigned int off, n, first; /* @first bytes lie in r[0], at @off */
};

static uint64_t next_page(const struct soft_vcpu *v, uint64_t lin)
{
	uint64_t next = (lin & ~PAGE_OFF) + PAGE_SIZE;

	/* In compatibility mode the CPU's own accesses may lie above. */
	return v->addr_wrap && !(lin >> 32) ? (uint32_t)next : next;
}

static uint64_t check_linear(struct soft_vcpu *v, enum x86_seg seg, uint64_t lin, unsigned int n)
{
	if (!soft_long_mode(v))
		return (uint32_t)lin;
	if (!soft_canonical(v, lin) || !soft_canonical(v, lin + n - 1))
		raise_seg(v, seg);
	return lin;
}

static void place_find(struct soft_vcpu *v, enum x86_seg seg, uint64_t lin, unsigned int n,
	enum soft_access access, int index, struct place *p)
{
	unsigned int left;

	p->lin = lin = check_linear(v, seg, lin, n);
	p->n = n;
	p->off = lin & PAGE_OFF;
	left = PAGE_SIZE - p->off;
	p->first = MIN(n, left);
	p->r[0] = find(v, lin, access, index);
	if (n > left)
		p->r[1] = find(v, next_page(v, lin), access, index);
}

static void check_align(struct soft_vcpu *v, uint64_t lin, unsigned int size, int index)
{
	if (v->mmu->check_align && index == SOFT_MMU_USER && lin & (size - 1))
		soft_raise_error(v, X86_EXC_AC, 0);
}

/* Register accesses, in pieces that do not cross 8 bytes. */
static void registers(struct soft_vcpu *v, uint64_t gpa, uint8_t *data, unsigned int n, bool write)
{
	for (unsigned int k; n; n -= k, gpa += k, data += k) {
		k = n > 8 ? 8 - (gpa & 7) : n;
		soft_mmio(v, gpa, data, k, write);
	}
}

static void ref_read(
	struct soft_vcpu *v, const struct ref *r, unsigned int off, void *buf, unsigned int n)
{
	if (r->host)
		memcpy(buf, r->host + off, n);
	else
		registers(v, r->gpa + off, buf, n, false);
}

static void ref_write(
	struct soft_vcpu *v, const struct ref *r, unsigned int off, const void *buf, unsigned int n)
{
	uint8_t copy[8];

	if (r->host) {
		memcpy(r->host + off, buf, n);
		ref_written(v, r, off, n);
		return;
	}
	for (unsigned int k; n; n -= k, off += k, buf = (const uint8_t *)buf + k) {
		k = MIN(n, sizeof(copy));
		memcpy(copy, buf, k);
		registers(v, r->gpa + off, copy, k, true);
	}
}

static void place_read(struct soft_vcpu *v, const struct place *p, void *buf)
{
	ref_read(v, &p->r[0], p->off, buf, p->first);
	if (p->first < p->n)
		ref_read(v, &p->r[1], 0, (uint8_t *)buf + p->first, p->n - p->first);
	if (v->mmu->n_watches)
		watch_hit(v, p->lin, p->n, SOFT_READ);
}

static void place_write(struct soft_vcpu *v, const struct place *p, const void *buf)
{
	ref_write(v, &p->r[0], p->off, buf, p->first);
	if (p->first < p->n)
		ref_write(v, &p->r[1], 0, (const uint8_t *)buf + p->first, p->n - p->first);
	if (v->mmu->n_watches)
		watch_hit(v, p->lin, p->n, SOFT_WRITE);
}

static uint64_t load(struct soft_vcpu *v, enum x86_seg seg, uint64_t lin, unsigned int size,
	enum soft_access rights, int index)
{
	struct place p;
	uint64_t value = 0;

	place_find(v, seg, lin, size, rights, index, &p);
	check_align(v, p.lin, size, index);
	if (!p.r[0].host || p.first < size) {
		place_read(v, &p, &value);
		return value;
	}
	value = soft_host_load(p.r[0].host + p.off, size);
	if (v->mmu->n_watches)
		watch_hit(v, p.lin, size, SOFT_READ);
	return value;
}

uint64_t soft_load_slow(
	struct soft_vcpu *v, enum x86_seg seg, uint64_t lin, unsigned int size, int index)
{
	return load(v, seg, lin, size, SOFT_READ, index);
}

void soft_store_slow(struct soft_vcpu *v, enum x86_seg seg, uint64_t lin, unsigned int size,
	uint64_t value, int index)
{
	struct place p;

	place_find(v, seg, lin, size, SOFT_WRITE, index, &p);
	check_align(v, p.lin, size, index);
	if (!p.r[0].host || p.first < size) {
		place_write(v, &p, &value);
		return;
	}
	soft_host_store(p.r[0].host + p.off, size, value);
	ref_written(v, &p.r[0], p.off, size);
	if (v->mmu->n_watches)
		watch_hit(v, p.lin, size, SOFT_WRITE);
}

void soft_load_bytes(struct soft_vcpu *v, enum x86_seg seg, uint64_t off, void *buf, unsigned int n)
{
	uint64_t lin = soft_linear(v, seg, off, n, SOFT_READ);
	void *host = soft_tlb_host(v, lin, n, SOFT_READ, v->mmu_index);
	struct place p;

	if (host) {
		memcpy(buf, host, n);
		return;
	}
	place_find(v, seg, lin, n, SOFT_READ, v->mmu_index, &p);
	place_read(v, &p, buf);
}

void soft_store_bytes(
	struct soft_vcpu *v, enum x86_seg seg, uint64_t off, const void *buf, unsigned int n)
{
	uint64_t lin = soft_linear(v, seg, off, n, SOFT_WRITE);
	void *host = soft_tlb_host(v, lin, n, SOFT_WRITE, v->mmu_index);
	struct place p;

	if (host) {
		memcpy(host, buf, n);
		soft_stored(v, lin, n, v->mmu_index);
		return;
	}
	place_find(v, seg, lin, n, SOFT_WRITE, v->mmu_index, &p);
	place_write(v, &p, buf);
}

void soft_probe(struct soft_vcpu *v, enum x86_seg seg, uint64_t off, unsigned int n,
	enum soft_access access, int index)
{
	uint64_t lin = soft_linear(v, seg, off, n, access);
	struct place p;

	if (!soft_tlb_host(v, lin, n, access, index))
		place_find(v, seg, lin, n, access, index, &p);
}

/* -------- read, modify, write -------- */

void *soft_rmw_begin(struct soft_vcpu *v, enum x86_seg seg, uint64_t off, unsigned int size)
{
	uint64_t lin = soft_linear(v, seg, off, size, SOFT_WRITE);
	void *host = soft_tlb_host(v, lin, size, SOFT_WRITE, v->mmu_index);
	struct ref r;

	if (__builtin_expect(host != NULL, 1))
		return host;
	lin = check_linear(v, seg, lin, size);
	if ((lin & PAGE_OFF) + size > PAGE_SIZE)
		return NULL;
	r = find(v, lin, SOFT_WRITE, v->mmu_index);
	if (size <= 8)
		check_align(v, lin, size, v->mmu_index);
	if (!r.host)
		return NULL;
	if (v->mmu->n_watches)
		watch_hit(v, lin, size, SOFT_WRITE);
	return r.host + (lin & PAGE_OFF);
}

uint64_t soft_rmw_load(struct soft_vcpu *v, enum x86_seg seg, uint64_t off, unsigned int size)
{
	return load(
		v, seg, soft_linear(v, seg, off, size, SOFT_WRITE), size, SOFT_WRITE, v->mmu_index);
}

/* -------- strings -------- */

/* Bytes from @off that the segment's limit lets through, at least the unit that was checked. */
static uint64_t limit_room(
	const struct soft_vcpu *v, enum x86_seg seg, uint64_t off, unsigned int size, bool down)
{
	uint64_t first, last;

	if (v->code == X86_CODE_64)
		return PAGE_SIZE;
	last = seg_last(&v->seg[seg], &first);
	/* As far as offsets go without a wrap. */
	if (down)
		return off - first + size;
	return off + size - 1 > last ? size : last - off + 1;
}

unsigned int soft_span(struct soft_vcpu *v, enum x86_seg seg, uint64_t off, unsigned int size,
	bool down, enum soft_access access, void **host)
{
	uint64_t lin = soft_linear(v, seg, off, size, access), in_page, n;
	void *p = soft_tlb_host(v, lin, size, access, v->mmu_index);
	struct ref r;

	if (__builtin_expect(!p, 0)) {
		lin = check_linear(v, seg, lin, size);
		in_page = lin & PAGE_OFF;
		/* Unaligned where that is checked, or over a page's end: the unit's own business. */
		if (in_page + size > PAGE_SIZE || v->mmu->check_align)
			return 0;
		r = find(v, lin, access, v->mmu_index);
		if (!r.host || (v->mmu->n_watches && page_watched(v->mmu, lin & ~PAGE_OFF)))
			return 0;
		p = r.host + in_page;
	}
	in_page = lin & PAGE_OFF;
	n = down ? in_page + size : PAGE_SIZE - in_page;
	*host = p;
	return MIN(n, limit_room(v, seg, off, size, down)) & ~(size - 1);
}

/* -------- code fetch -------- */

/* RFLAGS.AC is of no account. */
static int fetch_index(const struct soft_vcpu *v)
{
	return v->mmu_index == SOFT_MMU_USER ? SOFT_MMU_USER : SOFT_MMU_KERNEL;
}

const uint8_t *soft_fetch_some(
	struct soft_vcpu *v, uint64_t lin, uint64_t *gpa, _Atomic uint32_t **code)
{
	struct ref r;

	lin = check_linear(v, X86_CS, lin, 1);
	r = find(v, lin, SOFT_FETCH, fetch_index(v));
	if (!r.host)
		return NULL;
	mark_code(v, r.code);
	tlb_note_fetch(v->mmu, lin, soft_fetch_global(v, lin));
	*gpa = r.gpa + (lin & PAGE_OFF);
	*code = r.code;
	/* It may be kept for longer than a window lasts. */
	return soft_window_frame(v, r.host) + (lin & PAGE_OFF);
}

const uint8_t *soft_fetch(struct soft_vcpu *v, uint64_t lin, uint64_t *gpa, _Atomic uint32_t **code)
{
	const uint8_t *p = soft_fetch_some(v, lin, gpa, code);

	if (p)
		ram_code_take(*code, UINT32_MAX);
	return p;
}

uint8_t soft_fetch_byte(struct soft_vcpu *v, uint64_t lin)
{
	struct place p;
	uint8_t b = 0;

	place_find(v, X86_CS, lin, 1, SOFT_FETCH, fetch_index(v), &p);
	ref_read(v, &p.r[0], p.off, &b, 1);
	return b;
}

bool soft_fetch_global(struct soft_vcpu *v, uint64_t lin)
{
	const struct soft_tlb_entry *e = soft_tlb_at(v, fetch_index(v), lin);

	return e->page == (lin & ~PAGE_OFF) && e->global == v->mmu->global;
}
