// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * walk - see walk.h.
 *
 * Accessed and dirty bits: an entry that names a table gets its A when the walk goes through it, be the
 * end a fault or not (the SDM lets the CPU do so, and real ones do); the entry that maps the page gets
 * A, and for a write D, in the same step, only when the access is allowed. Each is set by a
 * compare-and-swap of the entry that was judged: so no bit is ever set in an entry that meanwhile
 * says something else.
 */
#include "x86/regs.h"
#include "x86/walk.h"

#define ADDR_MASK 0x000ffffffffff000ull

/* So often an entry may change between its read and its swap before the walk ends as a fault. Only a
 * guest whose other CPUs write this entry without pause gets there, and it may see any of the
 * entry's values, also one that is not present. */
#define TRIES 64

enum outcome { DONE, FAULT, CHANGED };

static uint64_t bits(unsigned int hi, unsigned int lo)
{
	return hi < lo ? 0 : (~0ull >> (63 - hi)) & (~0ull << lo);
}

/* -------- modes -------- */

static void init_32(struct x86_paging *p, uint64_t cr4, unsigned int maxphyaddr)
{
	unsigned int high = maxphyaddr < 32 ? 32 : maxphyaddr > 40 ? 40 : maxphyaddr;

	p->levels = 2;
	p->entry_size = 4;
	p->large = cr4 & X86_CR4_PSE ? 2 : 1;
	/* PSE-36: bits 13-20 are the address' bits 32-39. */
	p->reserved_leaf[2] = bits(21, 13 + high - 32);
}

static void init_64(struct x86_paging *p, unsigned int maxphyaddr, unsigned int features)
{
	uint64_t all = bits(51, maxphyaddr) | (p->nxe ? 0 : X86_PTE_NX);

	if (p->pae)
		all |= bits(62, 52);
	p->entry_size = 8;
	p->large = features & X86_PAGING_1G && p->levels >= 4 ? 3 : 2;
	for (int i = 1; i <= X86_PAGING_LEVELS; i++) {
		p->reserved[i] = all | (i > 2 ? X86_PTE_PS : 0);
		if (i > 2 && features & X86_PAGING_AMD)
			p->reserved[i] |= X86_PTE_G;
		p->reserved_leaf[i] = all;
	}
	p->reserved_leaf[2] |= bits(20, 13);
	p->reserved_leaf[3] |= bits(29, 13);
}

void x86_paging_init(struct x86_paging *p, uint64_t cr0, uint64_t cr4, uint64_t efer,
	unsigned int maxphyaddr, unsigned int features)
{
	bool lma = efer & X86_EFER_LMA;

	memset(p, 0, sizeof(*p));
	if (!(cr0 & X86_CR0_PG))
		return;
	p->wp = cr0 & X86_CR0_WP;
	p->pge = cr4 & X86_CR4_PGE;
	p->smep = cr4 & X86_CR4_SMEP;
	p->smap = cr4 & X86_CR4_SMAP;
	p->pke = lma && cr4 & X86_CR4_PKE;
	p->pks = lma && cr4 & X86_CR4_PKS;
	p->nxe = efer & X86_EFER_NXE && cr4 & X86_CR4_PAE;
	p->fetch_bit = p->smep || p->nxe;
	p->pae = !lma && cr4 & X86_CR4_PAE;
	if (!(cr4 & X86_CR4_PAE)) {
		init_32(p, cr4, maxphyaddr);
		return;
	}
	p->levels = p->pae ? 2 : cr4 & X86_CR4_LA57 ? 5 : 4;
	init_64(p, maxphyaddr, features);
}

bool x86_pdptes_valid(const uint64_t pdpte[4], unsigned int maxphyaddr)
{
	/* SPEC: bit 5 is reserved too (SDM, PDPTE Registers). A CPU that pages for another hypervisor
	 * walks PDPTEs like any other table and sets their A bit, so guests come here with it. */
	uint64_t reserved = bits(63, maxphyaddr) | bits(8, 6) | bits(2, 1);

	for (int i = 0; i < 4; i++)
		if (pdpte[i] & X86_PTE_P && pdpte[i] & reserved)
			return false;
	return true;
}

/* -------- rights -------- */

/* Rights to data that the page's protection key takes away. */
static unsigned int key_denies(const struct x86_paging *p, uint64_t rights, bool user)
{
	bool user_page = rights & X86_PTE_U;
	uint32_t key = (user_page ? p->pkru : p->pkrs) >> (2 * X86_PTE_KEY(rights));

	if (!(user_page ? p->pke : p->pks))
		return 0;
	if (key & 1)
		return X86_WALK_R | X86_WALK_W;
	return key & 2 && (user || p->wp) ? X86_WALK_W : 0;
}

/* @rights: the entry that maps the page, with U and W cleared and NX set where a table above has it
 * so. @denied: what the key alone took. */
static unsigned int allowed(
	const struct x86_paging *p, uint64_t rights, unsigned int how, unsigned int *denied)
{
	bool user = how & X86_WALK_USER, user_page = rights & X86_PTE_U;
	unsigned int all = X86_WALK_R | X86_WALK_W | X86_WALK_X;

	*denied = key_denies(p, rights, user);
	if (user && !user_page)
		return 0;
	if (!(rights & X86_PTE_W) && (user || p->wp))
		all &= ~X86_WALK_W;
	if (p->nxe && rights & X86_PTE_NX)
		all &= ~X86_WALK_X;
	if (!user && user_page && p->smep)
		all &= ~X86_WALK_X;
	if (!user && user_page && p->smap && !(how & X86_WALK_AC))
		all &= X86_WALK_X;
	return all & ~*denied;
}

static enum outcome fault(
	const struct x86_paging *p, unsigned int how, uint32_t error, struct x86_walk *out)
{
	if (how & X86_WALK_W)
		error |= X86_PF_W;
	if (how & X86_WALK_USER)
		error |= X86_PF_U;
	if (how & X86_WALK_X && p->fetch_bit)
		error |= X86_PF_I;
	out->error = error;
	return FAULT;
}

/* -------- the walk -------- */

/* An entry on the way, and where it lies. */
struct step {
	uint64_t gpa, entry, rights;
	int level;
	unsigned int shift;
};

/* Down to the entry that maps the page. */
static inline enum outcome descend(const struct x86_paging *p, const struct x86_walk_mem *mem,
	void *opaque, uint64_t lin, unsigned int how, struct step *s, struct x86_walk *out)
{
	unsigned int per = p->entry_size == 4 ? 10 : 9;
	uint64_t table = p->cr3 & (p->entry_size == 4 ? 0xfffff000u : ADDR_MASK), e, now;

	if (p->pae) {
		e = p->pdpte[lin >> 30 & 3];
		if (!(e & X86_PTE_P))
			return fault(p, how, 0, out);
		table = e & ADDR_MASK;
	}
	s->rights = X86_PTE_U | X86_PTE_W;
	for (s->level = p->levels;; s->level--) {
		s->shift = 12 + per * (unsigned int)(s->level - 1);
		s->gpa = table + (lin >> s->shift & ((1u << per) - 1)) * p->entry_size;
		s->entry = e = mem->read(opaque, s->gpa, p->entry_size);
		if (!(e & X86_PTE_P))
			return fault(p, how, 0, out);
		s->rights = (s->rights & e & (X86_PTE_U | X86_PTE_W)) |
			    ((s->rights | e) & X86_PTE_NX) | (e & bits(62, 59));
		if (s->level == 1 || (e & X86_PTE_PS && s->level <= p->large))
			break;
		if (e & p->reserved[s->level])
			return fault(p, how, X86_PF_P | X86_PF_RSVD, out);
		now = e | X86_PTE_A;
		if (now != e && !(how & X86_WALK_PEEK) &&
			!mem->cas(opaque, s->gpa, p->entry_size, e, now))
			return CHANGED;
		table = e & (p->entry_size == 4 ? 0xfffff000u : ADDR_MASK);
	}
	if (e & p->reserved_leaf[s->level])
		return fault(p, how, X86_PF_P | X86_PF_RSVD, out);
	return DONE;
}

static inline uint64_t page_address(const struct x86_paging *p, const struct step *s)
{
	uint64_t e = s->entry, in_page = (1ull << s->shift) - 1;

	if (p->entry_size == 4 && s->level == 2)
		return (e & 0xffc00000u) | (e >> 13 & 0xff) << 32;
	return e & (p->entry_size == 4 ? 0xfffff000u : ADDR_MASK) & ~in_page;
}

static inline enum outcome walk_once(const struct x86_paging *p, const struct x86_walk_mem *mem,
	void *opaque, uint64_t lin, unsigned int how, struct x86_walk *out)
{
	struct step s;
	enum outcome r = descend(p, mem, opaque, lin, how, &s, out);
	unsigned int denied;
	uint64_t now;

	if (r != DONE)
		return r;
	out->allowed = allowed(p, s.rights, how, &denied);
	if (!(how & X86_WALK_PEEK)) {
		if (!(out->allowed & how))
			return fault(p, how, X86_PF_P | (denied & how ? X86_PF_PK : 0), out);
		now = s.entry | X86_PTE_A | (how & X86_WALK_W ? X86_PTE_D : 0);
		if (now != s.entry && !mem->cas(opaque, s.gpa, p->entry_size, s.entry, now))
			return CHANGED;
		s.entry = now;
	}
	out->entry = s.entry;
	out->gpa = page_address(p, &s) | (lin & ((1ull << s.shift) - 1));
	out->shift = s.shift;
	out->global = p->pge && s.entry & X86_PTE_G;
	out->dirty = s.entry & X86_PTE_D;
	return DONE;
}

bool x86_walk(const struct x86_paging *p, const struct x86_walk_mem *mem, void *opaque,
	uint64_t lin, unsigned int how, struct x86_walk *out)
{
	if (!p->levels) {
		*out = (struct x86_walk){
			.gpa = lin,
			.shift = 12,
			.allowed = X86_WALK_R | X86_WALK_W | X86_WALK_X,
			.dirty = true,
		};
		return true;
	}
	for (int i = 0; i < TRIES; i++) {
		enum outcome r = walk_once(p, mem, opaque, lin, how, out);

		if (r != CHANGED)
			return r == DONE;
	}
	fault(p, how, 0, out);
	return false;
}
