// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * discard - guest memory goes back to the host. The mapping stays: who touches a discarded page finds
 * zeroes. So an engine's translations of addresses stay right; that the bytes have changed is told as
 * any write is, after the fact, to the dirty log and to whoever decoded code there.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include "base/ovf.h"
#include "mem/gmem.h"

#define PAGE 4096ull

static int give_back(struct ram_block *b, uint64_t off, uint64_t len)
{
	int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, rc;

	/* Of shared memory MADV_DONTNEED drops only our view. */
	rc = b->fd < 0 ? madvise(b->host + off, len, MADV_DONTNEED)
		       : fallocate(b->fd, mode, (off_t)off, (off_t)len);
	return rc < 0 ? -errno : 0;
}

int ram_discard(struct ram_block *b, uint64_t off, uint64_t len)
{
	uint64_t first, end;
	int rc;

	if (b->readonly || !range_fits(off, len, b->size))
		return -EINVAL;
	first = ALIGN_UP(off, b->page_size);
	end = ALIGN_DOWN(off + len, b->page_size);
	if (end <= first)
		return 0;
	rc = give_back(b, first, end - first);
	if (!rc)
		ram_dirty_mark(b, first, end - first);
	return rc;
}

/* The 4 KiB pages [off, off + len), which lie in one page of the host's: remember them, and discard
 * that page when it is whole. */
static void collect(struct ram_block *b, uint64_t off, uint64_t len, struct gmem_partial *p)
{
	uint64_t page = ALIGN_DOWN(off, b->page_size);

	if (b->page_size / PAGE > GMEM_PARTIAL_PIECES)
		return;
	if (p->block != b || p->off != page)
		*p = (struct gmem_partial){ .block = b, .off = page };
	for (uint64_t i = (off - page) / PAGE; len; i++, len -= PAGE) {
		uint64_t bit = BIT_ULL(i % 64), *word = &p->have[i / 64];

		p->n += !(*word & bit);
		*word |= bit;
	}
	if (p->n < b->page_size / PAGE)
		return;
	*p = (struct gmem_partial){ .n = 0 };
	(void)!ram_discard(b, page, b->page_size);
}

static void discard_piece(struct ram_block *b, uint64_t off, uint64_t len, struct gmem_partial *p)
{
	while (len) {
		uint64_t in = off % b->page_size, n = MIN(len, b->page_size - in);

		if (!in && n == b->page_size) {
			n = ALIGN_DOWN(len, b->page_size);
			(void)!ram_discard(b, off, n); /* then it stays: nothing depends on it */
		} else {
			collect(b, off, n, p);
		}
		off += n;
		len -= n;
	}
}

void gmem_discard(struct as *as, gpa_t addr, uint64_t len, struct gmem_partial *partial)
{
	uint64_t at = addr.v, end;

	if (addr.v % PAGE || len % PAGE || ovf_add(addr.v, len, &end))
		return;
	as_read_begin();
	while (at < end) {
		const struct as_range *r = as_find(as, at);
		uint64_t n;

		if (!r || r->kind != AS_RAM || (r->start | r->ram_off | r->size) % PAGE) {
			at += PAGE;
			continue;
		}
		n = MIN(end - at, r->size - (at - r->start));
		discard_piece(r->ram, r->ram_off + (at - r->start), n, partial);
		at += n;
	}
	as_read_end();
}

/* The block of RAM that the machine has at host address @p. */
static struct ram_block *block_at(struct as *as, const uint8_t *p)
{
	const struct as_snapshot *s = atomic_load(&as->current);

	for (uint32_t i = 0; i < s->n; i++) {
		const struct as_range *r = &s->r[i];

		if (r->kind == AS_RAM && p >= r->host && (uint64_t)(p - r->host) < r->size)
			return r->ram;
	}
	return NULL;
}

void gmem_discard_host(struct as *as, void *p, uint64_t len)
{
	struct ram_block *b;

	as_read_begin();
	b = block_at(as, p);
	if (b)
		(void)!ram_discard(b, (uint64_t)((uint8_t *)p - b->host), len);
	as_read_end();
}
