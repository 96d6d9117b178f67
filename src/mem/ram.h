// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ram - guest RAM: anonymous, a memfd (shareable with helper processes and vhost-user), or a file;
 * the mapping is aligned to 2 MiB, or to the file's page, so that the second-level page tables can
 * use large pages, and lies between guards. A block lives as long as its references.
 *
 * A memfd gets transparent huge pages only where the host's shmem_enabled allows them; the usual
 * setting is never. Touching 128 MiB then takes 165 M instructions instead of 19 M, and the guest's
 * second-level faults come on top. So only RAM that others will map is a memfd; that of an engine that maps parts of it
 * again (accel.aliases_ram) is a file of a tmpfs that allows them (huge_file.h), if the host lets us have one.
 */
#ifndef MEM_RAM_H
#define MEM_RAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/types.h"

struct ram_config {
	const char *name; /* borrowed; for messages and /proc/PID/maps */
	uint64_t size;	  /* bytes, a multiple of 4 KiB */
	const char *file; /* path of a file or of a directory (a file without name is made in it,
				 for hugetlbfs); NULL: memory */
	bool share;	  /* others will map it: a memfd, sealed */
	bool alias;	  /* we will map it more than once: some file, not for others */
	bool hugepages;	  /* MFD_HUGETLB 2 MiB; fails clearly when the host has none reserved */
	bool prealloc;
	uint64_t
		small_head; /* this many bytes at the start stay in 4 KiB pages: where only a few are
				touched, the first of a huge page would cost the clearing of all of it */
	bool readonly;	    /* ROM: the guest may not write */
	int host_node;	    /* -1: any NUMA node of the host */
};

struct ram_block {
	char *name;	/* owned */
	uint8_t *host;	/* mapping of @size bytes */
	void *reserved; /* private: with guards and alignment */
	uint64_t reserved_size;
	uint64_t size;
	int fd;		    /* owned; -1 for anonymous */
	uint64_t page_size; /* smallest page of the backing: 4096, 2 MiB (hugetlb) ... */
	bool readonly;
	_Atomic uint32_t refs;
	/* Dirty log: one bit a 4 KiB page, atomic words; NULL when off. Set by gmem writes and merged
	 * from the accelerator. */
	_Atomic uint64_t *_Atomic dirty;
	/* For an engine that keeps decoded guest code: a word a 4 KiB page, see ram_code_words(). NULL
	 * until asked for. */
	_Atomic uint32_t *_Atomic code;
};

/* A block of zeroes (or of the file's bytes), mapped and owned by the caller's one reference. The
 * error names the block and what to do about it. */
struct ram_block *ram_block_new(const struct ram_config *c, struct error *err) MUST_USE;
struct ram_block *ram_block_ref(struct ram_block *b);
/* NULL is fine. The last reference unmaps. Any thread. */
void ram_block_unref(struct ram_block *b);

/* Dirty log. start: all bits clear; every write through gmem_* that ends after it returned is
 * logged. Main thread, not inside as_read_begin/end (both wait for readers). */
bool ram_dirty_start(struct ram_block *b, struct error *err) MUST_USE;
void ram_dirty_stop(struct ram_block *b);
/* Does anybody want to be told of writes? */
static inline bool ram_dirty_wanted(const struct ram_block *b)
{
	return atomic_load_explicit(&b->dirty, memory_order_seq_cst) ||
	       atomic_load_explicit(&b->code, memory_order_relaxed);
}
/* Mark [off, off+len), which lies in the block, in the dirty log and for whoever decoded code there;
 * cheap no-op when nobody wants to know. Any thread. Write first, then mark: whoever takes the bit
 * then copies the page. */
void ram_dirty_mark(struct ram_block *b, uint64_t off, uint64_t len);
/* Take and clear @n_words 64-page words from page @first_page (a multiple of 64) into @out; zeroes
 * when the log is off. */
void ram_dirty_take(struct ram_block *b, uint64_t first_page, uint64_t *out, uint64_t n_words);
/* Merge an accelerator's bitmap (bit i = page @first_page + i). Bits beyond the block are dropped. */
void ram_dirty_merge(
	struct ram_block *b, uint64_t first_page, const uint64_t *bits, uint64_t n_words);

/* Give the host's whole pages in [off, off+len) back: they read as zeroes from now on, which the dirty log
 * and whoever decoded code there are told. The mapping stays. 0; -EINVAL: not in the block, or it is
 * read-only; or what the kernel says. Any thread. */
int ram_discard(struct ram_block *b, uint64_t off, uint64_t len) MUST_USE;

/* Words of decoded code, two for each 4 KiB page (RAM_CODE_WORDS). The first one's bit 0: somebody has
 * decoded code of the page and wants to hear of writes; the rest is a generation. Who has written to the page and finds bit 0 set calls
 * ram_code_bump(): a new generation, bit 0 clear, in one step; whoever kept the old word sees that it
 * is void.
 *
 * No write may be missed: the writer stores, then looks at the bit; the decoder sets the bit, then
 * reads the bytes. Either must have a full barrier in between. The decoder has one (its locked
 * instruction); ram_dirty_mark() has one. Stores of the engine itself do without where the decoder
 * makes up for them: accel/soft/mmu.c.
 *
 * The second one is for who would rather not lose a page's code to data beside it: bit n says that nobody
 * has decoded any of the 128 bytes from 128 n on since the last ram_code_bump(), which sets all. Who
 * decodes clears the bits of what it is going to read (ram_code_take()); a writer that finds the bits of what
 * it wrote set (ram_code_hit()) need not bump. Until the first bump none is set.
 *
 * Makes them, all zero, or finds them made; lives as long as the block. NULL: no memory. */
_Atomic uint32_t *ram_code_words(struct ram_block *b) MUST_USE;
#define RAM_CODE_WORDS	   2
#define RAM_CODE_LINE_BITS 7
/* True: it was this one who did it. */
static inline bool ram_code_bump(_Atomic uint32_t *word)
{
	uint32_t w = atomic_load_explicit(word, memory_order_relaxed);

	/* An odd word plus one is even and of the next generation. Who loses the race finds it done. Bits of
	 * lines that somebody clears meanwhile are of what the bump voids: it comes after. */
	while (w & 1) {
		atomic_store_explicit(word + 1, UINT32_MAX, memory_order_relaxed);
		if (atomic_compare_exchange_weak(word, &w, w + 1))
			return true;
	}
	return false;
}
/* Lines that @n bytes (not 0) from @off of the page on lie in. */
static inline uint32_t ram_code_lines(uint32_t off, uint32_t n)
{
	uint32_t first = off >> RAM_CODE_LINE_BITS, last = (off + n - 1) >> RAM_CODE_LINE_BITS;

	return (uint32_t)((2ull << last) - (1ull << first));
}
/* The bytes will be read and decoded. A full barrier if that is new. */
static inline void ram_code_take(_Atomic uint32_t *word, uint32_t lines)
{
	if (atomic_load_explicit(word + 1, memory_order_relaxed) & lines)
		atomic_fetch_and(word + 1, ~lines);
}
/* After a store: are any of its bytes decoded? A full barrier. */
static inline bool ram_code_hit(_Atomic uint32_t *word, uint32_t lines)
{
	return ~atomic_fetch_or(word + 1, 0) & lines;
}
/* Called with every word that ram_dirty_mark() has bumped, on its thread; NULL: nobody's. */
extern void (*_Atomic ram_code_hook)(_Atomic uint32_t *word);

#endif
