// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit - the blocks of a vCPU's generated code: found, made, dropped.
 *
 * A block begins at an offset of a page of RAM and does not depend on where that is mapped: so it serves
 * all address spaces. It goes straight on to blocks of the same page only (which is mapped where it is);
 * whatever else goes by linear address through a table (v->go), whose entries are
 * good in one context: what v->g.id stands for (address space, privilege, mode, and that no translation
 * of code was dropped since). System code mostly lies on global pages, which are the same in all
 * address spaces: as long as no other was found, all share one id.
 *
 * The tag of an entry, whose index is the low bits of the address, is address + id. As the ids have fewer bits
 * than the index, nothing but the same address and id gives the same sum. What generated code adds is
 * v->g.id_poll, which is the id, or SOFT_ID_POLL when somebody wants the vCPU's attention: no entry has that.
 *
 * A page's blocks are good while its word of code is what it was. Who writes to the page (any vCPU,
 * any device) tells all vCPUs. A dropped block's first instruction becomes a call of a stub, which leads
 * to its successor. Code is only ever added; when there is no room all blocks go.
 */
#include "accel/soft/jit.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "accel/soft/native_int.h"
#include "accel/soft/lockstep.h"
#include "accel/soft/perf.h"
#include "base/log.h"

#define IDS_MAX 0x7fff

/* -------- context -------- */
static bool seg_plain(const struct soft_vcpu *v)
{
	const uint8_t all = BIT(X86_ES) | BIT(X86_SS) | BIT(X86_DS);

	return (v->seg_flat & all) == all &&
	       (v->seg_zero & (all | BIT(X86_CS))) == (all | BIT(X86_CS)) && !v->cs_limited &&
	       v->stack_size == 4;
}

/* Which of the vector and x87 instructions may run. */
static uint32_t fpu_mode(const struct soft_vcpu *v)
{
	uint32_t m = 0;

	if (!(v->cr0 & X86_CR0_TS)) {
		if (!(v->cr0 & X86_CR0_EM))
			m |= JIT_MODE_X87 | (v->cr4 & X86_CR4_OSFXSR ? JIT_MODE_SSE : 0);
		if (v->cr4 & X86_CR4_OSXSAVE && (v->xcr0 & NATIVE_XCR0_AVX) == NATIVE_XCR0_AVX)
			m |= JIT_MODE_AVX;
	}
	if (!v->fpu.mx_resident && (v->fpu.mxcsr & NATIVE_MXCSR_MASKS) != NATIVE_MXCSR_MASKS)
		m |= JIT_MODE_FPEXC;
	return m;
}

static bool upper_halves(const struct soft_vcpu *v)
{
	uint64_t all = 0;

	for (unsigned int r = 0; r < 8; r++)
		all |= v->gpr[r];
	return all >> 32;
}

uint32_t jit_mode(const struct soft_vcpu *v)
{
	uint32_t m = v->code;

	if (soft_real_mode(v) || soft_vm86(v))
		return m;
	if (v->code == X86_CODE_64 || (v->code == X86_CODE_32 && seg_plain(v)))
		m |= JIT_MODE_FLAT;
	if (v->code == X86_CODE_64 || v->seg_flat & BIT(X86_FS))
		m |= JIT_MODE_FS;
	if (v->code == X86_CODE_64 || v->seg_flat & BIT(X86_GS))
		m |= JIT_MODE_GS;
	if (v->code == X86_CODE_32 && !upper_halves(v))
		m |= JIT_MODE_CLEAN;
	return m | fpu_mode(v);
}

static bool code_shared(const struct soft_vcpu *v)
{
	return v->mmu_index != SOFT_MMU_USER && v->jit->local_gen != v->fetch_gen;
}

/* What v->g.id stands for. */
static uint64_t context_key(const struct soft_vcpu *v)
{
	return code_shared(v) ? soft_fetch_key_global(v) : soft_fetch_key(v);
}

/* The same on the other side, of level 3 or not. */
static uint64_t other_key(const struct soft_vcpu *v)
{
	uint64_t key = soft_fetch_key(v) ^ SOFT_KEY_USER;

	if (v->mmu_index == SOFT_MMU_USER && v->jit->local_gen != v->fetch_gen)
		key &= SOFT_KEY_GLOBAL;
	return key;
}

/* The context at hand is its side's, and the other side's is still what it was, or not known. */
static void note_sides(struct soft_vcpu *v)
{
	bool user = v->mmu_index == SOFT_MMU_USER;
	struct soft_context *other = &v->g.side[!user];

	v->g.side[user] = (struct soft_context){ v->g.key, v->g.id };
	if (other->id && other->key != other_key(v))
		other->id = 0;
}

bool jit_synced(struct soft_vcpu *v)
{
	const struct soft_jit *j = v->jit;

	return !j->stale && v->g.key == context_key(v) && j->mode == jit_mode(v) &&
	       j->l1_at == v->ctx && v->l1 == v->l1_of[v->mmu_index];
}

/* An entry that was never used is 0. Where an id makes 0 of an address it must lead somewhere. */
static void no_entry(struct soft_vcpu *v, uint32_t at)
{
	if (!soft_goto_at(v, at)->tag)
		soft_goto_at(v, at)->host = v->jit->stub.stray;
}

/* What code has of contexts: their numbers begin anew. */
static void forget_ids_in_code(struct soft_jit *j)
{
	const uint32_t none = JIT_FAR_NONE;
	const uint64_t never = 0;

	for (uint32_t n = 0; n < j->n_fars; n++)
		exec_mem_patch(&j->code, j->code.rx + j->far[n], (const uint8_t *)&none, 4);
	j->n_fars = 0;
	for (uint32_t b = 0; b < j->n_blocks; b++)
		if (j->block[b].span)
			exec_mem_patch(&j->code, j->code.rx + j->block[b].span,
				(const uint8_t *)&never, sizeof(never));
}

static void forget_ids(struct soft_vcpu *v)
{
	struct soft_jit *j = v->jit;

	forget_ids_in_code(j);
	memset(v->go, 0, sizeof(v->go));
	no_entry(v, 0); /* for SOFT_ID_POLL */
	memset(v->g.side, 0, sizeof(v->g.side));
	memset(j->id, 0, sizeof(j->id));
	j->ids = 0;
}

static uint32_t id_of(struct soft_vcpu *v, uint64_t key)
{
	struct soft_jit *j = v->jit;
	struct jit_id *set = j->id[(key ^ (uint64_t)j->mode << 40) * 0x9e3779b97f4a7c15ull >>
				   (64 - JIT_ID_BITS)],
		      *d;

	for (d = set; d < set + JIT_ID_WAYS; d++)
		if (d->key == key && d->mode == j->mode && d->id)
			return d->id;
	d = set + j->ids % JIT_ID_WAYS;
	*d = (struct jit_id){ key, j->mode, ++j->ids };
	no_entry(v, -d->id);
	return d->id;
}

void jit_sync(struct soft_vcpu *v)
{
	struct soft_jit *j = v->jit;
	uint32_t mode = jit_mode(v);
	uint64_t key;

	if (j->l1_at != v->ctx) {
		jit_l1_select(v);
		j->local_gen = UINT64_MAX; /* maybe it does without */
	}
	jit_l1_use(v);
	key = context_key(v);
	if (v->g.key != key || j->mode != mode) {
		v->g.key = key;
		if (j->mode != mode)
			memset(v->g.side, 0, sizeof(v->g.side));
		j->mode = mode;
		if (j->ids == IDS_MAX)
			forget_ids(v);
		v->g.id = id_of(v, key);
		/* Told to look up meanwhile: attentive() sees it in v->poll. */
		atomic_store(&v->g.id_poll, v->g.id);
	}
	note_sides(v);
}

/* -------- all blocks -------- */
void soft_jit_reset(struct soft_vcpu *v)
{
	struct soft_jit *j = v->jit;

	if (!j)
		return;
	jit_regions_reset(j);
	memset(j->hot, 0, sizeof(j->hot));
	j->stale = false;
	j->generation++;
	j->count.resets++;
	j->n_blocks = j->n_pages = j->n_faults = j->n_fars = j->n_lost = 0;
	j->code.used = j->stubs_end;
	j->cold = JIT_COLD;
	memset(j->hash, 0xff, sizeof(j->hash));
	memset(j->page_hash, 0xff, sizeof(j->page_hash));
	memset(j->op, 0, sizeof(j->op));
	if (j->give_back)
		soft_jit_give_back(j);
	forget_ids(v);
	v->g.key = 0;
	j->local_gen = UINT64_MAX;
}

/* -------- code that was written to -------- */
static struct mutex code_lock = MUTEX_INIT;	    /* docs/locking.md: soft.code_lock */
static struct soft_jit *jits GUARDED_BY(code_lock); /* of all vCPUs of all VMs */

static void jits_add(struct soft_jit *j)
{
	mutex_lock(&code_lock);
	j->next = jits;
	jits = j;
	atomic_store(&ram_code_hook, soft_jit_code_written);
	mutex_unlock(&code_lock);
}

static void jits_del(struct soft_jit *j)
{
	mutex_lock(&code_lock);
	for (struct soft_jit **p = &jits; *p; p = &(*p)->next)
		if (*p == j) {
			*p = j->next;
			break;
		}
	mutex_unlock(&code_lock);
}

void soft_jit_code_written(_Atomic uint32_t *word)
{
	mutex_lock(&code_lock);
	for (struct soft_jit *j = jits; j; j = j->next) {
		if (j->n_inbox < JIT_INBOX)
			j->inbox[j->n_inbox] = word;
		j->n_inbox = MIN(j->n_inbox + 1, JIT_INBOX + 1);
		soft_notify(j->owner, SOFT_POLL_CODE);
	}
	mutex_unlock(&code_lock);
}

static void *map(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		-1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Memory for code, with the stubs. */
static bool new_code(struct soft_vcpu *v, struct error *err)
{
	size_t data = ALIGN_UP(sizeof(struct jit_data), (size_t)0x1000);
	struct soft_perf *perf = v->vm->perf;
	struct soft_jit *j = v->jit;

	if (perf ? !exec_mem_init_anonymous(&j->code, JIT_CODE_SIZE, data, err)
		 : !exec_mem_init(&j->code, JIT_CODE_SIZE, data, true, err))
		return false;
	jit_make_stubs(j);
	if (perf)
		soft_perf_code(perf, "lodge:stubs", j->code.rx, j->stubs_end);
	return true;
}

bool soft_jit_new(struct soft_vcpu *v, struct error *err)
{
	struct soft_jit *j = map(sizeof(*j));

	if (!j) {
		error_set_errno(err, ENOMEM, "soft: memory for the translator");
		return false;
	}
	j->owner = v;
	j->bmi2 = soft_host_has_bmi2();
	soft_fault_hook = jit_fault_at;
	v->jit = j;
	if (v->vm->lockstep) {
		j->lockstep = soft_lockstep_new();
		if (!j->lockstep) {
			error_set_errno(err, ENOMEM, "soft: lockstep");
			goto fail;
		}
	}
	j->block = map(JIT_BLOCKS * sizeof(*j->block));
	j->page = map(JIT_BLOCKS * sizeof(*j->page));
	j->far = map(JIT_FARS * sizeof(*j->far));
	j->fault = map(JIT_FAULTS * sizeof(*j->fault));
	if (!j->block || !j->page || !j->far || !j->fault) {
		error_set_errno(err, ENOMEM, "soft: memory for the translator");
		goto fail;
	}
	if (!new_code(v, err))
		goto fail;
	jit_res_init(v);
	soft_jit_reset(v);
	jit_l1_init(v);
	jits_add(j);
	return true;
fail:
	soft_jit_free(v);
	return false;
}

void soft_jit_free(struct soft_vcpu *v)
{
	struct soft_jit *j = v->jit;

	if (!j)
		return;
	soft_lockstep_free(j->lockstep);
	jits_del(j);
	exec_mem_fini(&j->code);
	if (j->block)
		munmap(j->block, JIT_BLOCKS * sizeof(*j->block));
	if (j->page)
		munmap(j->page, JIT_BLOCKS * sizeof(*j->page));
	if (j->far)
		munmap(j->far, JIT_FARS * sizeof(*j->far));
	if (j->fault)
		munmap(j->fault, JIT_FAULTS * sizeof(*j->fault));
	munmap(j, sizeof(*j));
	v->jit = NULL;
}

/* -------- pages -------- */
static uint32_t page_slot(const _Atomic uint32_t *word)
{
	return ((uintptr_t)word >> 2) * 0x9e3779b97f4a7c15ull >> (64 - JIT_PAGE_BITS);
}

static uint32_t page_find(const struct soft_jit *j, const _Atomic uint32_t *word)
{
	uint32_t p = j->page_hash[page_slot(word)];

	while (p != JIT_NONE && j->page[p].word != word)
		p = j->page[p].next_hash;
	return p;
}

static void patch(
	struct soft_jit *j, uint32_t at, unsigned int op, const uint8_t *to, uint32_t after)
{
	const uint8_t *rx = j->code.rx + at;
	uint8_t code[JIT_DEAD_SIZE] = { (uint8_t)op };
	int32_t d = (int32_t)(to - (rx + 5));

	memcpy(code + 1, &d, 4);
	memcpy(code + 5, &after, 4);
	exec_mem_patch(&j->code, rx, code, sizeof(code));
}

/* A block that is no more: who comes by linear address is to look again; who comes straight goes on to
 * its successor. Flags are elsewhere in the two. */
static void block_kill(struct soft_jit *j, uint32_t b)
{
	struct jit_block *bl = &j->block[b];

	patch(j, bl->ind, 0xe9, j->stub.stray, 0);
	patch(j, bl->page_entry, 0xe8, j->stub.stale_saved, b);
	patch(j, bl->entry, 0xe8, j->stub.stale, b);
	if (bl->have_entry != bl->entry)
		patch(j, bl->have_entry, 0xe8, j->stub.stale, b);
	bl->dead = true;
	j->count.dropped++;
}

static uint32_t block_slot(uint32_t page, uint32_t off)
{
	return (page << 12 | off) * 0x9e3779b1u >> (32 - JIT_HASH_BITS);
}

static void unhash(struct soft_jit *j, uint32_t b)
{
	uint32_t *p = &j->hash[block_slot(j->block[b].page, j->block[b].off)];

	while (*p != b)
		p = &j->block[*p].next_hash;
	*p = j->block[b].next_hash;
}

void jit_block_drop(struct soft_jit *j, uint32_t b)
{
	if (j->block[b].dead)
		return;
	unhash(j, b);
	block_kill(j, b);
}

static void page_drop(struct soft_jit *j, uint32_t p)
{
	for (uint32_t b = j->page[p].first; b != JIT_NONE; b = j->block[b].next_page)
		jit_block_drop(j, b);
	for (uint32_t b = j->page[p].first2; b != JIT_NONE; b = j->block[b].next_page2)
		jit_block_drop(j, b);
	j->page[p].first = j->page[p].first2 = JIT_NONE;
}

/* The page of @word, its blocks those of the bytes that are there now. */
static uint32_t page_get(struct soft_jit *j, _Atomic uint32_t *word, const uint8_t *host)
{
	uint32_t value = atomic_load_explicit(word, memory_order_acquire), p = page_find(j, word);

	if (p == JIT_NONE) {
		if (j->n_pages == JIT_BLOCKS)
			return JIT_NONE;
		p = j->n_pages++;
		j->page[p] = (struct jit_page){ .word = word,
			.value = value,
			.first = JIT_NONE,
			.first2 = JIT_NONE,
			.next_hash = j->page_hash[page_slot(word)],
			.host = host };
		j->page_hash[page_slot(word)] = p;
	}
	if (j->page[p].value != value) {
		page_drop(j, p);
		j->page[p].value = value;
	}
	return p;
}

/* -------- what was written to, dropped -------- */
void soft_jit_serve_code(struct soft_vcpu *v)
{
	struct soft_jit *j = v->jit;
	_Atomic uint32_t *word[JIT_INBOX];
	uint32_t n;

	if (!j)
		return;
	mutex_lock(&code_lock);
	n = j->n_inbox;
	memcpy(word, j->inbox, MIN(n, JIT_INBOX) * sizeof(word[0]));
	j->n_inbox = 0;
	mutex_unlock(&code_lock);
	if (n > JIT_INBOX) {
		soft_jit_reset(v);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t p = page_find(j, word[i]);

		if (p != JIT_NONE)
			page_drop(j, p);
	}
}

/* -------- blocks -------- */
/* What blocks of the context at hand depend on: regions of accesses belong to a privilege. */
static uint32_t block_mode(const struct soft_vcpu *v)
{
	return v->jit->mode | (v->mmu_index == SOFT_MMU_USER ? JIT_MODE_USER : 0);
}

/* For perf(1): both parts of it, of which the other begins at @cold. */
static void name_block(struct soft_vcpu *v, uint32_t b, size_t cold)
{
	const struct soft_jit *j = v->jit;
	const struct jit_block *bl = &j->block[b];
	uint64_t lin = v->g.page + bl->off;

	soft_perf_block(v->vm->perf, v, lin, j->code.rx + bl->ind, j->code.used - bl->ind);
	if (j->cold > cold)
		soft_perf_block(v->vm->perf, v, lin, j->code.rx + cold, j->cold - cold);
}

static uint32_t block_new(struct soft_vcpu *v, uint32_t page, uint32_t off, uint32_t apart)
{
	struct soft_jit *j = v->jit;
	uint32_t b = j->n_blocks, slot = block_slot(page, off);
	size_t cold = j->cold;

	j->block[b] = (struct jit_block){ .page = page,
		.off = off,
		.mode = block_mode(v) | apart,
		.next_hash = j->hash[slot],
		.next_page = j->page[page].first,
		.page2 = JIT_NONE };
	if (!jit_translate(v, b))
		return JIT_NONE;
	j->n_blocks++;
	j->hash[slot] = b;
	j->page[page].first = b;
	if (j->block[b].page2 != JIT_NONE) {
		j->block[b].next_page2 = j->page[j->block[b].page2].first2;
		j->page[j->block[b].page2].first2 = b;
	}
	j->count.blocks++;
	if (v->vm->perf)
		name_block(v, b, cold);
	return b;
}

static uint32_t block_find(struct soft_vcpu *v, uint32_t page, uint32_t off, uint32_t apart)
{
	struct soft_jit *j = v->jit;
	uint32_t b = j->hash[block_slot(page, off)], mode = block_mode(v) | apart;

	while (b != JIT_NONE &&
		(j->block[b].page != page || j->block[b].off != off || j->block[b].mode != mode))
		b = j->block[b].next_hash;
	return b;
}

static bool has_room(const struct soft_jit *j)
{
	return j->n_blocks < JIT_BLOCKS && JIT_COLD - j->code.used >= JIT_ROOM &&
	       j->code.size - j->cold >= JIT_ROOM && j->n_faults + JIT_FAULT_MAX <= JIT_FAULTS;
}

/* False: it was written to meanwhile, its blocks are no more. */
static bool as_it_was(struct soft_jit *j, uint32_t page)
{
	if (atomic_load(j->page[page].word) == j->page[page].value)
		return true;
	page_drop(j, page);
	return false;
}

/* Bytes of code at @lin, NULL: none that could be translated. */
static const uint8_t *fetch(struct soft_vcpu *v, uint64_t lin, _Atomic uint32_t **word)
{
	uint64_t gpa;
	const uint8_t *p = soft_fetch_some(v, lin, &gpa, word);

	/* Written to meanwhile: nobody would tell of the next write. */
	if (!p || !(atomic_load(*word) & 1))
		return NULL;
	if (code_shared(v) && !soft_fetch_global(v, lin))
		v->jit->local_gen = v->fetch_gen;
	return p;
}

uint32_t jit_next_page(struct soft_vcpu *v)
{
	uint64_t lin = v->g.page + 0x1000;
	_Atomic uint32_t *word;
	const uint8_t *p;

	if (v->addr_wrap)
		lin = (uint32_t)lin;
	p = fetch(v, lin, &word);
	return p ? page_get(v->jit, word, p) : JIT_NONE;
}

static uint32_t find(struct soft_vcpu *v, uint64_t lin, uint32_t apart)
{
	struct soft_jit *j = v->jit;
	uint32_t page, b;
	_Atomic uint32_t *word;
	const uint8_t *p;

	j->count.finds++;
	if (v->mmu_slow)
		return JIT_NONE;
	if (j->stale)
		soft_jit_reset(v);
	jit_sync(v);
	v->g.page = lin & ~0xfffull;
	if (!(j->mode & JIT_MODE_FLAT))
		return JIT_NONE;
	p = fetch(v, lin, &word);
	if (!p)
		return JIT_NONE;
	jit_sync(v); /* that, and the walk may have swept the TLB's contexts */
	page = page_get(j, word, p - (lin & 0xfff));
	b = page == JIT_NONE ? JIT_NONE : block_find(v, page, lin & 0xfff, apart);
	if (b == JIT_NONE) {
		j->count.misses++;
		if (page == JIT_NONE || !has_room(j)) {
			soft_jit_reset(v);
			jit_sync(v);
			page = page_get(j, word, p - (lin & 0xfff));
		}
		b = block_new(v, page, lin & 0xfff, apart);
		if (b == JIT_NONE)
			return b;
		jit_sync(v);
		/* A writer that came in between has told, but maybe before there was the page. */
		if (!as_it_was(j, page) ||
			(j->block[b].page2 != JIT_NONE && !as_it_was(j, j->block[b].page2)))
			return JIT_NONE;
	}
	return b;
}

uint32_t jit_find(struct soft_vcpu *v, uint64_t lin)
{
	const struct soft_jit *j = v->jit;
	uint32_t b = find(v, lin, 0);

	if (b != JIT_NONE)
		*soft_goto_at(
			v, lin) = (struct soft_goto){ lin + v->g.id, j->code.rx + j->block[b].ind };
	return b;
}

uint32_t jit_find_apart(struct soft_vcpu *v, uint64_t lin)
{
	return find(v, lin, JIT_MODE_APART);
}
