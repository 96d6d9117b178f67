// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_region - where an access went the last time: the address check of generated code.
 *
 * An access site has a region: linear addresses that lie in one piece in the host's memory and that it
 * may access. To look whether an address lies there is one subtraction, and a comparison that nothing waits
 * for; what leads to the host's address does not depend on the address. So a hit costs next to no
 * latency, where a look-up in the TLB costs a load.
 *
 * Regions lie beside the code. Sites of a block whose address the same register gives share one. Those that
 * hold something are in a log, so whatever changes a translation can clear them (jit_tlb.c).
 *
 * A miss calls a stub, which looks into the TLB and has the page as the region. Now and then it comes here.
 * Where the TLB knows that what lies around is one piece (a kernel's memory, mostly) the region is widened. A
 * site that misses all the same is put on trial: for some accesses its region holds nothing, and
 * they are counted. If too many were in another page than the one before, the block is translated anew
 * and the instruction looks into the TLB at once.
 *
 * Before that, where about every other access was in the page of the one before, it tries a pair: two pages,
 * wherever they are, one with an odd number and one with an even one, between which the address's bit 12
 * chooses, not by a branch: which one is next is hard to tell. A small array that lies across a page's end
 * is two such pages. A pair has the room of two regions, and the first one's limit is both halves'.
 */
#include "accel/soft/jit_tr.h"
#include "accel/soft/window.h"

#define MISSES	 16 /* until C code is called; twice as many after each trial */
#define LEVELS	 8
#define TRIAL	 64  /* accesses */
#define SAME	 58  /* of which so many in the page of the one before are enough */
#define SAME_TWO 22  /* and so many may be by turns in two */
#define WIDE	 256 /* pages on either side at most */
#define TRIES	 4   /* to widen it, or to have one region for a pair, until it is put on trial */
#define CALL_LEN 5

#define REGION(member) ((int32_t)offsetof(struct jit_region, member))
/* From a region's place. */
#define STATE(member)                                        \
	((int32_t)(sizeof(struct jit_region) * JIT_REGIONS + \
		   offsetof(struct jit_region_state, member)))

_Static_assert(sizeof(struct jit_region) == sizeof(struct jit_region_state), "");

static struct jit_regions *regions(const struct soft_jit *j)
{
	return &jit_data(j)->regions;
}

/* -------- clearing -------- */
static void log_clear(struct jit_region_log *log)
{
	for (uint64_t n = 0; n < log->n; n++)
		log->filled[n]->limit = 0;
	log->n = 0;
}

void jit_regions_clear(struct soft_jit *j, bool writes_only)
{
	struct jit_regions *r = regions(j);

	j->epoch++;
	j->owner->g.drops++;
	log_clear(&r->log[SOFT_WRITE]);
	if (!writes_only)
		log_clear(&r->log[SOFT_READ]);
}

void jit_regions_reset(struct soft_jit *j)
{
	jit_regions_clear(j, false);
	j->n_regions = 0;
	memset(j->given_up, 0xff, sizeof(j->given_up));
	memset(j->paired, 0xff, sizeof(j->paired));
}

/* -------- sites -------- */
/* Bytes at the end of a region where no access may begin: the sites that share it are of several sizes. */
static unsigned int tail_of(unsigned int size)
{
	return size > 8 ? 31 : 7;
}

/* The register that gives the address, if one alone does. */
static unsigned int register_of(const struct x86_insn *i)
{
	bool alone = i->flags & X86_I_MODRM && i->modrm < 0xc0 && i->index == X86_REG_NONE &&
		     i->base < 16 && i->seg < X86_FS;

	return alone ? i->base : X86_REG_NONE;
}

void jit_region_forget(struct jit_tr *t)
{
	memset(t->region_of, 0, sizeof(t->region_of));
}

/* After @k: a register that it has loaded leads elsewhere. */
void jit_region_note(struct jit_tr *t, unsigned int k)
{
	const struct x86_insn *i = &t->insn[k];

	if (i->op == X86_OP_ADD || i->op == X86_OP_SUB || i->op == X86_OP_INC ||
		i->op == X86_OP_DEC)
		return;
	for (unsigned int n = 0; n < i->n_operands; n++)
		if (i->operand[n].kind == X86_OPND_GPR && i->operand[n].access & X86_ACC_W &&
			i->operand[n].reg < 16)
			memset(t->region_of[i->operand[n].reg], 0, sizeof(t->region_of[0]));
}

/* Instructions whose sites have given up, or have got a pair, hashed; who is not found there tries again. */
static uint32_t place_key(uint32_t page, uint32_t off)
{
	return page << 12 | off;
}

static uint32_t *place_in(uint32_t table[], uint32_t page, uint32_t off)
{
	return &table[place_key(page, off) * 0x9e3779b1u >> (32 - JIT_GIVEN_UP_BITS)];
}

static bool place_is_in(const struct jit_tr *t, unsigned int k, uint32_t table[])
{
	uint32_t page = t->j->block[t->block].page;

	return *place_in(table, page, t->off[k]) == place_key(page, t->off[k]);
}

static bool given_up(const struct jit_tr *t, unsigned int k)
{
	return place_is_in(t, k, t->j->given_up);
}

static uint32_t region_new(struct soft_jit *j, unsigned int tail)
{
	uint32_t n = j->n_regions++;

	regions(j)->state[n] = (struct jit_region_state){
		.mask = UINT64_MAX, .left = MISSES, .page_limit = JIT_PAGE - tail
	};
	return n;
}

/* Both halves in one of the host's cache lines. */
static uint32_t pair_new(struct soft_jit *j, unsigned int tail)
{
	uint32_t n;

	j->n_regions = ALIGN_UP(j->n_regions, 2u);
	n = region_new(j, tail);
	regions(j)->state[n].pair = true;
	j->n_regions++;
	return n;
}

bool jit_region_for(
	struct jit_tr *t, unsigned int k, unsigned int size, enum soft_access access, uint32_t *n)
{
	unsigned int reg = register_of(&t->insn[k]);
	uint32_t alone = 0, *same = &alone;
	bool pair;

	if (!size || size > 32 || size & (size - 1) || t->j->n_regions > JIT_REGIONS - 3 ||
		given_up(t, k))
		return false;
	pair = place_is_in(t, k, t->j->paired);
	if (reg != X86_REG_NONE)
		same = &t->region_of[reg][access == SOFT_WRITE][size > 8][pair];
	if (!*same && pair)
		*same = 1 + pair_new(t->j, tail_of(size));
	else if (!*same)
		*same = 1 + region_new(t->j, tail_of(size));
	*n = *same - 1;
	return true;
}

bool jit_region_for_span(struct jit_tr *t, unsigned int k, unsigned int span, uint32_t *n)
{
	if (t->j->n_regions > JIT_REGIONS - 3 || given_up(t, k) || place_is_in(t, k, t->j->paired))
		return false;
	*n = region_new(t->j, span - 1);
	return true;
}

/* The carry becomes the bit of the address in @addr that chooses. */
static void put_bit(struct jit_buf *b, unsigned int addr)
{
	j_rr(b, false, 0x0fba, 4, addr); /* bt */
	jb(b, 12);
}

/* @to becomes that member of the two halves. No flags change. */
static void choose(struct jit_buf *b, unsigned int to, const uint64_t *even, const uint64_t *odd)
{
	j_data(b, OP_LOAD, to, even);
	j_data(b, 0x0f42, to, odd); /* cmovc */
}

static uint8_t *pair_check(struct jit_tr *t, const struct jit_region *r)
{
	struct jit_buf *b = &t->b;
	uint8_t *jae;

	put_bit(b, R_9);
	choose(b, R_10, &r[0].base, &r[1].base);
	j_lea_index(b, true, R_10, R_10, R_9, 0, 0);
	j_data(b, 0x3b, R_10, &r[0].limit); /* cmp */
	jae = j_ahead(b, 0x0f83);
	put_bit(b, R_9);
	choose(b, R_10, &r[0].delta, &r[1].delta);
	j_rr(b, true, 0x03, R_9, R_10); /* add */
	return jae;
}

uint8_t *jit_region_check(struct jit_tr *t, uint32_t n)
{
	const struct jit_region *r = &regions(t->j)->region[n];
	uint8_t *jae;

	if (regions(t->j)->state[n].pair)
		return pair_check(t, r);
	j_data(&t->b, 0x2b, R_9, &r->base);  /* sub */
	j_data(&t->b, 0x3b, R_9, &r->limit); /* cmp */
	jae = j_ahead(&t->b, 0x0f83);
	j_data(&t->b, 0x03, R_9, &r->host); /* add */
	return jae;
}

static uint8_t *pair_direct(
	struct jit_tr *t, const struct jit_region *r, const struct jit_direct *d)
{
	struct jit_buf *b = &t->b;
	unsigned int addr = d->base;
	uint8_t *jae;

	if (d->disp) {
		addr = R_9;
		j_lea(b, true, R_9, d->base, d->disp);
	}
	put_bit(b, addr);
	choose(b, R_10, &r[0].base, &r[1].base);
	j_lea_index(b, true, R_10, R_10, addr, 0, 0);
	choose(b, R_9, &r[0].delta, &r[1].delta);
	j_data(b, 0x3b, R_10, &r[0].limit); /* cmp */
	jae = j_ahead(b, 0x0f83);
	return jae;
}

bool jit_region_is_pair(const struct jit_tr *t, uint32_t n)
{
	return regions(t->j)->state[n].pair;
}

uint8_t *jit_region_direct(
	struct jit_tr *t, uint32_t n, const struct jit_direct *d, unsigned int to)
{
	const struct jit_region *r = &regions(t->j)->region[n];
	uint8_t *jae;

	if (regions(t->j)->state[n].pair)
		return pair_direct(t, r, d);
	if (d->disp)
		j_lea(&t->b, true, R_10, d->base, d->disp);
	else
		j_mov(&t->b, R_10, d->base);
	j_data(&t->b, 0x2b, R_10, &r->base);  /* sub */
	j_data(&t->b, 0x3b, R_10, &r->limit); /* cmp */
	jae = j_ahead(&t->b, 0x0f83);
	j_data(&t->b, OP_LOAD, to, &r->delta);
	return jae;
}

void jit_region_delta(struct jit_tr *t, uint32_t n, unsigned int to)
{
	j_data(&t->b, OP_LOAD, to, &regions(t->j)->region[n].delta);
}

/* The distance from the region's base to r9, as its stub is to have it. */
static void direct_distance(struct jit_tr *t, const struct jit_slow *w)
{
	jit_direct_linear(t, &w->direct);
	if (!regions(t->j)->state[w->region].pair)
		j_data(&t->b, 0x2b, R_9, &regions(t->j)->region[w->region].base); /* sub */
}

uint8_t *jit_region_share_missed(struct jit_tr *t, const struct jit_slow *w)
{
	if (w->direct.there)
		direct_distance(t, w);
	j_data(&t->b, OP_LEA, R_10, &regions(t->j)->region[w->region]);
	jit_call_stub(t, t->j->stub.region_share[w->share->write]);
	if (w->direct.there)
		return j_ahead(&t->b, 0xe9);
	j_to(&t->b, 0xe9, w->done + t->b.to_rx);
	return NULL;
}

void jit_region_missed(struct jit_tr *t, const struct jit_slow *w)
{
	const struct jit_stubs *s = &t->j->stub;
	bool pair = regions(t->j)->state[w->region].pair;

	j_here(&t->b, w->ja);
	if (w->direct.there)
		direct_distance(t, w);
	j_data(&t->b, OP_LEA, R_10, &regions(t->j)->region[w->region]);
	jit_call_stub(t, s->region[pair][w->access == SOFT_WRITE][__builtin_ctz(w->size)]);
	/* The site is behind it, and jit_direct_found() behind that. */
	j_to(&t->b, 0xe9,
		w->direct.there ? t->b.p + t->b.to_rx + CALL_LEN + sizeof(struct jit_site)
				: w->retry + t->b.to_rx);
}

/* -------- the stubs -------- */
/* What may be accessed with RFLAGS.AC alone is in no region: CLAC does not clear them. */
static bool no_regions(const struct soft_vcpu *v)
{
	return v->mmu_index == SOFT_MMU_KERNEL_AC && v->cr4 & X86_CR4_SMAP;
}

/* ecx: a page's limit, or none. */
static void put_limit(struct jit_buf *b)
{
	uint8_t *other, *no_smap;

	j_rm(b, false, OP_LOAD, R_CX, R_10, STATE(page_limit));
	j_gs_byte(b, 7, V_OFF(mmu_index), SOFT_MMU_KERNEL_AC);
	other = j_ahead8(b, 0x75);
	j_gs(b, false, 0xf7, 0, V_OFF(cr4)); /* test dword */
	j32(b, X86_CR4_SMAP);
	no_smap = j_ahead8(b, 0x74);
	JCODE(b, "\x31\xc9"); /* xor ecx, ecx */
	j_here8(b, other);
	j_here8(b, no_smap);
}

/* The region at r10, which holds nothing, is put into the log. rax is lost. Returns where the jump is to be led
 * that is taken when that is full. */
static uint8_t *put_log(struct jit_buf *b, const struct jit_regions *r, bool write)
{
	uint8_t *full;

	j_data(b, OP_LOAD, R_AX, &r->log[write].n);
	jb(b, 0x3d); /* cmp eax, */
	j32(b, JIT_REGION_LOG);
	full = j_ahead8(b, 0x74);
	JCODE(b, "\x52"); /* push rdx */
	j_data(b, OP_LEA, R_DX, r->log[write].filled);
	JCODE(b, "\x4c\x89\x14\xc2");	      /* mov [rdx + 8 * rax], r10 */
	JCODE(b, "\x5a");		      /* pop rdx */
	j_data(b, 0xff, 0, &r->log[write].n); /* inc */
	return full;
}

/* The region at r10 becomes the page in r9, which the entry at rax has; rcx is the offset in it. r9 becomes
 * the host's address; rax and rcx are lost. A region that has the page, but for the last bytes, stays. */
static void put_fill(struct jit_buf *b, const struct jit_regions *r, bool write)
{
	uint8_t *other, *nothing, *logged, *full, *outside, *done;

	JCODE(b, "\x52"); /* push rdx */
	j_mov(b, R_DX, R_9);
	j_rm(b, true, 0x2b, R_DX, R_10, REGION(base));	/* sub */
	j_rm(b, true, 0x3b, R_DX, R_10, REGION(limit)); /* cmp */
	JCODE(b, "\x5a");				/* pop rdx */
	outside = j_ahead8(b, 0x73);
	j_rm(b, false, 0xff, 0, R_10, STATE(left)); /* inc */
	j_rm(b, true, OP_LOAD, R_9, R_AX, (int32_t)offsetof(struct jit_l1, host));
	j_rr(b, true, 0x03, R_9, R_CX);
	done = j_ahead(b, 0xe9);
	j_here8(b, outside);
	j_rm(b, true, 0x3b, R_9, R_10, REGION(base)); /* cmp */
	other = j_ahead8(b, 0x75);
	j_rm(b, false, 0xff, 0, R_10, STATE(same)); /* inc */
	j_here8(b, other);
	j_rm(b, true, OP_STORE, R_9, R_10, REGION(base));
	j_rm(b, true, OP_LOAD, R_9, R_AX, (int32_t)offsetof(struct jit_l1, host));
	j_rm(b, true, OP_STORE, R_9, R_10, REGION(host));
	j_rm(b, true, 0x2b, R_9, R_10, REGION(base)); /* sub */
	j_rm(b, true, OP_STORE, R_9, R_10, REGION(delta));
	j_rm(b, true, 0x03, R_9, R_10, REGION(base)); /* add */
	j_rr(b, true, 0x03, R_9, R_CX);
	put_limit(b);
	j_rm(b, true, 0x23, R_CX, R_10, STATE(mask)); /* and */
	nothing = j_ahead8(b, 0x74);
	j_rm(b, true, 0x83, 7, R_10, REGION(limit)); /* cmp .., 0 */
	jb(b, 0);
	logged = j_ahead8(b, 0x75);
	full = put_log(b, r, write);
	j_here8(b, nothing);
	j_here8(b, logged);
	j_rm(b, true, OP_STORE, R_CX, R_10, REGION(limit));
	j_here8(b, full);
	j_here(b, done);
}

/* Half of the pair at r10 becomes the page in r9, as put_fill() does it. */
static void put_pair_fill(struct jit_buf *b, const struct jit_regions *r, bool write)
{
	uint8_t *other, *nothing, *there, *full;

	JCODE(b, "\x52"); /* push rdx */
	j_rr(b, false, OP_LOAD, R_DX, R_9);
	JCODE(b, "\xc1\xea\x07\x83\xe2\x20"); /* shr edx, 12 - 5; and edx, 32 */
	j_rr(b, true, 0x03, R_DX, R_10);
	j_rr(b, true, 0xf7, 3, R_9);		      /* neg */
	j_rm(b, true, 0x3b, R_9, R_DX, REGION(base)); /* cmp */
	other = j_ahead8(b, 0x75);
	j_rm(b, false, 0xff, 0, R_10, STATE(same)); /* inc */
	j_here8(b, other);
	j_rm(b, true, OP_STORE, R_9, R_DX, REGION(base));
	j_rm(b, true, OP_LOAD, R_AX, R_AX, (int32_t)offsetof(struct jit_l1, delta));
	j_rm(b, true, OP_STORE, R_AX, R_DX, REGION(delta));
	j_rr(b, true, 0x03, R_CX, R_AX);
	JCODE(b, "\x51"); /* push rcx */
	put_limit(b);
	j_rm(b, true, 0x23, R_CX, R_10, STATE(mask)); /* and */
	nothing = j_ahead8(b, 0x74);
	j_rm(b, true, 0x83, 7, R_10, REGION(limit)); /* cmp .., 0 */
	jb(b, 0);
	there = j_ahead8(b, 0x75);
	/* The other half is of before, and may no longer be right: a page of this half is none of its. */
	JCODE(b, "\x48\x83\xf2\x20"); /* xor rdx, 32 */
	j_rm(b, true, OP_STORE, R_9, R_DX, REGION(base));
	full = put_log(b, r, write);
	j_here8(b, nothing);
	j_here8(b, there);
	j_rm(b, true, OP_STORE, R_CX, R_10, REGION(limit));
	j_here8(b, full);
	JCODE(b, "\x59");	     /* pop rcx */
	j_rr(b, true, 0xf7, 3, R_9); /* neg */
	j_rr(b, true, 0x03, R_9, R_CX);
	JCODE(b, "\x5a"); /* pop rdx */
}

/* Where a stub goes with the linear address in r9 and the site in r10. */
static void put_leave(struct jit_buf *b, const uint8_t *to)
{
	JCODE(b, "\x59\x58\x41\x5a"); /* pop rcx; pop rax; pop r10 */
	j_lea(b, true, R_10, R_10, CALL_LEN);
	j_to(b, 0xe9, to);
}

/* A group that is not in one page: on to its block that does without. */
static void put_apart(struct jit_buf *b)
{
	uint8_t *within;

	j_rr(b, false, OP_LOAD, R_CX, R_9);
	JCODE(b, "\x81\xe1"); /* and ecx, */
	j32(b, JIT_PAGE - 1);
	j_rm(b, false, 0x3b, R_CX, R_10, STATE(page_limit)); /* cmp */
	within = j_ahead8(b, 0x72);
	JCODE(b, "\x59\x58");	      /* pop rcx; pop rax */
	JCODE(b, "\x48\x81\x04\x24"); /* add qword [rsp], */
	j32(b, CALL_LEN + sizeof(struct jit_site) + sizeof(struct jit_share_site));
	jb(b, 0xc3);
	j_here8(b, within);
}

/* @size 0: of a group, by what the region's state says. Called with the distance from the region's base in r9 and the region's place in r10. Returns with the
 * host's address in r9; or does not. */
static void make_stub(struct jit_buf *b, struct jit_stubs *s, const struct jit_regions *r,
	unsigned int size, bool write, bool pair)
{
	bool share = !size;
	uint8_t *ja, *js;

	if (!pair)
		j_rm(b, true, 0x03, R_9, R_10, REGION(base)); /* add */
	JCODE(b, "\x50\x51");				      /* push rax; push rcx */
	j_rr(b, false, OP_LOAD, R_AX, R_9);
	JCODE(b, "\xc1\xe8"); /* shr eax, */
	jb(b, 12 - JIT_L1_SHIFT);
	jb(b, 0x25); /* and eax, */
	j32(b, (JIT_L1_SIZE - 1) << JIT_L1_SHIFT);
	j_rm(b, true, 0x03, R_AX, R_SP, 24 + F_L1); /* add */
	j_mov(b, R_CX, R_9);
	j_rm(b, true, 0x33, R_CX, R_AX, 8 * write); /* xor */
	if (share) {
		j_rm(b, true, 0x3b, R_CX, R_10, STATE(page_limit));
		ja = j_ahead(b, 0x0f83);
	} else {
		JCODE(b, "\x48\x81\xf9"); /* cmp rcx, */
		j32(b, JIT_PAGE - size);
		ja = j_ahead(b, 0x0f87);
	}
	j_rm(b, false, 0xff, 1, R_10, STATE(left)); /* dec */
	js = j_ahead(b, 0x0f88);
	j_rr(b, true, 0x2b, R_9, R_CX); /* sub */
	if (pair)
		put_pair_fill(b, r, write);
	else
		put_fill(b, r, write);
	JCODE(b, "\x59\x58\xc3"); /* pop rcx; pop rax; ret */
	j_here(b, ja);
	if (share)
		put_apart(b);
	put_leave(b, share ? s->share_popped : s->slow_popped);
	j_here(b, js);
	put_leave(b, share ? s->share_again_popped : s->again_popped);
}

void jit_make_region_stubs(struct jit_buf *b, struct soft_jit *j)
{
	for (unsigned int write = 0; write < 2; write++) {
		j->stub.region_share[write] = b->p + b->to_rx;
		make_stub(b, &j->stub, regions(j), 0, write, false);
		for (unsigned int n = 0; n < 2 * JIT_REGION_STUBS; n++) {
			bool pair = n & 1;

			j->stub.region[pair][write][n / 2] = b->p + b->to_rx;
			make_stub(b, &j->stub, regions(j), 1u << n / 2, write, pair);
		}
	}
}

/* -------- widening, trials -------- */
static bool log_add(struct jit_region_log *log, struct jit_region *r)
{
	if (r->limit)
		return true;
	if (log->n == JIT_REGION_LOG)
		return false;
	log->filled[log->n++] = r;
	return true;
}

/* Is the page in the TLB, at @host, for regions? */
static bool page_at(
	const struct soft_vcpu *v, uint64_t page, const uint8_t *host, enum soft_access access)
{
	const struct jit_l1 *e = &v->l1[page >> 12 & (JIT_L1_SIZE - 1)];

	return e->tag[access] == page && e->host == host;
}

/* May a region go on into the page at linear @page? That of 32-bit code not to where addresses wrap around. */
static bool may_go_on(const struct soft_vcpu *v, uint64_t page)
{
	return v->code == X86_CODE_64 || jit_wraps_not(page);
}

/* The region becomes what lies around @lin. Returns how many pages that are. */
static unsigned int widen(
	struct soft_vcpu *v, struct jit_region *r, uint64_t lin, enum soft_access access)
{
	uint64_t page = lin & ~0xfffull, below = 0, above = 0x1000;
	uint8_t *host = v->l1[lin >> 12 & (JIT_L1_SIZE - 1)].host;

	if (no_regions(v) || !page_at(v, page, host, access) ||
		!log_add(&regions(v->jit)->log[access], r))
		return 0;
	while (below < WIDE * 0x1000 && may_go_on(v, page - below - 0x1000) &&
		page_at(v, page - below - 0x1000, host - below - 0x1000, access))
		below += 0x1000;
	while (above < WIDE * 0x1000 && may_go_on(v, page + above) &&
		page_at(v, page + above, host + above, access))
		above += 0x1000;
	r->base = page - below;
	r->host = host - below;
	r->delta = (uintptr_t)r->host - r->base;
	r->limit = below + above -
		   (JIT_PAGE - regions(v->jit)->state[r - regions(v->jit)->region].page_limit);
	return (unsigned int)((below + above) >> 12);
}

/* The instruction looks into the TLB at once henceforth: its block is translated anew. */
static void give_up(struct soft_jit *j, const struct jit_site *s)
{
	uint32_t page = j->block[s->block].page;

	*place_in(j->given_up, page, s->off) = place_key(page, s->off);
	jit_block_drop(j, s->block);
	j->n_given_up++;
}

/* The same with a pair. */
static void try_pair(struct soft_jit *j, const struct jit_site *s)
{
	uint32_t page = j->block[s->block].page;

	*place_in(j->paired, page, s->off) = place_key(page, s->off);
	jit_block_drop(j, s->block);
	j->n_paired++;
}

/* A pair whose two pages lie in one piece by now, as a program's do where a window has them: one region does. */
static bool is_one(const struct soft_vcpu *v, const struct jit_region *r, enum soft_access access)
{
	uint64_t even = -r[0].base, odd = -r[1].base, page = MIN(even, odd), end = MAX(even, odd);
	const uint8_t *host = v->l1[page >> 12 & (JIT_L1_SIZE - 1)].host;

	if (even == odd || end - page > WIDE * 0x1000ull)
		return false;
	for (; page <= end; page += 0x1000, host += 0x1000)
		if (!page_at(v, page, host, access))
			return false;
	return true;
}

static void end_pair(struct soft_jit *j, const struct jit_site *s)
{
	*place_in(j->paired, j->block[s->block].page, s->off) = UINT32_MAX;
	jit_block_drop(j, s->block);
}

/* The region that the code before site @s names. */
static struct jit_region *region_of(const struct jit_site *s)
{
	const uint8_t *lea_end = (const uint8_t *)s - 2 * CALL_LEN;
	int32_t d;

	memcpy(&d, lea_end - 4, 4);
	return (struct jit_region *)(uintptr_t)(lea_end + d);
}

void jit_region_again(
	struct soft_vcpu *v, const struct jit_site *s, uint64_t lin, enum soft_access access)
{
	struct jit_regions *all = regions(v->jit);
	struct jit_region *r = region_of(s);
	struct jit_region_state *st = &all->state[r - all->region];

	if (!st->mask) { /* the end of a trial */
		st->mask = UINT64_MAX;
		st->left = MISSES << st->level;
		st->level = (uint8_t)MIN(st->level + 1, LEVELS);
		st->tries = 0;
		if (st->same >= SAME)
			return;
		if (st->same >= SAME_TWO && s->size && !st->pair)
			try_pair(v->jit, s);
		else
			give_up(v->jit, s);
		return;
	}
	st->left = st->pair ? MISSES / TRIES : MISSES;
	soft_window_add(v, lin);
	if (soft_window_wants_room(v))
		return;
	if (st->pair && is_one(v, r, access)) {
		end_pair(v->jit, s);
		return;
	}
	if (!st->pair) {
		if (widen(v, r, lin, access) > 1 && st->drops != (uint32_t)v->g.drops)
			st->tries = 0; /* what it had was lost */
		st->drops = (uint32_t)v->g.drops;
	}
	if (++st->tries < TRIES)
		return;
	st->mask = st->same = 0;
	st->left = TRIAL;
	r->limit = 0;
}
