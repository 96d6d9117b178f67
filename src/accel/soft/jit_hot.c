// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jit_hot - code that runs often.
 *
 * At most once a millisecond it is looked where generated code is entered: ticker.c makes the vCPU leave it
 * that often, so this is where it spends its time. A piece of code that it was found at several times of
 * late is hot: its blocks are dropped, and translated anew with regions for their accesses (jit_region.c).
 * These want room in the host's cache, of which code that is spread out would take too much.
 */
#include "accel/soft/jit.h"

#define PIECE	   256 /* bytes; a loop is found at its beginning, and may reach into the next */
#define PAGE	   0x1000
#define LOOK_AFTER 1000000 /* cycles */
#define LOOKS	   128	   /* then what was found counts half */
#define HOT	   3

static struct jit_hot *hot_at(const struct soft_jit *j, uint32_t page, uint32_t piece)
{
	uint32_t h = (page * (PAGE / PIECE) + piece) * 0x9e3779b1u;

	return (struct jit_hot *)(uintptr_t)&j->hot[h >> 24];
}

bool jit_is_hot(const struct soft_jit *j, uint32_t page, uint32_t off)
{
	const struct jit_hot *h = hot_at(j, page, off / PIECE);

	return j->hot_all || (h->hot && h->page == page && h->piece == off / PIECE);
}

static void forget_some(struct soft_jit *j)
{
	if (++j->hot_looks % LOOKS)
		return;
	for (unsigned int n = 0; n < ARRAY_SIZE(j->hot); n++)
		j->hot[n].found /= 2;
}

static struct jit_hot *hot_get(struct soft_jit *j, uint32_t page, uint32_t piece)
{
	struct jit_hot *h = hot_at(j, page, piece);

	/* Another one is there: whoever is found more often stays. */
	if ((h->page != page || h->piece != piece) && h->found)
		h->found--;
	else if (h->page != page || h->piece != piece)
		*h = (struct jit_hot){ .page = page, .piece = piece };
	return h->page == page && h->piece == piece ? h : NULL;
}

static void make_hot(struct soft_jit *j, uint32_t page, uint32_t piece)
{
	struct jit_hot *h = hot_get(j, page, piece);

	if (!h || h->hot)
		return;
	h->hot = true;
	for (uint32_t b = j->page[page].first; b != JIT_NONE; b = j->block[b].next_page)
		if (j->block[b].off / PIECE == piece)
			jit_block_drop(j, b);
}

void jit_hot_look(struct soft_vcpu *v)
{
	struct soft_jit *j = v->jit;
	uint64_t now = soft_host_tsc();
	struct jit_hot *h;
	uint32_t b, page, piece;

	if (now - j->hot_tsc < LOOK_AFTER)
		return;
	j->hot_tsc = now;
	b = jit_find(v, v->code == X86_CODE_64 ? v->rip : (uint32_t)(v->rip + v->seg[X86_CS].base));
	if (b == JIT_NONE)
		return;
	forget_some(j);
	page = j->block[b].page;
	piece = j->block[b].off / PIECE;
	h = hot_get(j, page, piece);
	if (!h || h->hot || ++h->found < HOT)
		return;
	make_hot(j, page, piece);
	if ((piece + 1) * PIECE < PAGE)
		make_hot(j, page, piece + 1);
}
