// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ram - guest RAM: memfd (shareable with helper processes and vhost-user), a file, or anonymous
 * huge pages; the mapping is aligned to 2 MiB (1 GiB for large blocks) so that the second-level
 * page tables can use large pages. A block lives as long as its references.
 */
#ifndef MEM_RAM_H
#define MEM_RAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/types.h"

struct ram_config {
	const char *name;     /* borrowed; for messages and /proc/PID/maps */
	uint64_t size;        /* bytes, a multiple of 4 KiB */
	const char *file;     /* NULL: memfd */
	bool hugepages;       /* MFD_HUGETLB 2 MiB; fails clearly when the host has none reserved */
	bool prealloc;
	bool readonly;        /* ROM: the guest may not write */
	int host_node;        /* -1: any NUMA node of the host */
};

struct ram_block {
	char *name;           /* owned */
	uint8_t *host;        /* mapping of @size bytes */
	uint64_t size;
	int fd;               /* owned; -1 for anonymous */
	uint64_t page_size;   /* of the backing: 4096, 2 MiB ... */
	bool readonly;
	_Atomic uint32_t refs;
	/* Dirty log: one bit a 4 KiB page, atomic words; NULL when off. Set by gmem writes and merged
	 * from the accelerator. */
	_Atomic uint64_t *_Atomic dirty;
};

struct ram_block *ram_block_new(const struct ram_config *c, struct error *err) MUST_USE;
struct ram_block *ram_block_ref(struct ram_block *b);
void ram_block_unref(struct ram_block *b);

/* Dirty log. start: all bits clear. Main thread. */
bool ram_dirty_start(struct ram_block *b, struct error *err) MUST_USE;
void ram_dirty_stop(struct ram_block *b);
/* Mark [off, off+len); cheap no-op when the log is off. Any thread. */
void ram_dirty_mark(struct ram_block *b, uint64_t off, uint64_t len);
/* Take and clear @n_words 64-page words from page @first_page (a multiple of 64) into @out. */
void ram_dirty_take(struct ram_block *b, uint64_t first_page, uint64_t *out, uint64_t n_words);
/* Merge an accelerator's bitmap (bit i = page @first_page + i). */
void ram_dirty_merge(struct ram_block *b, uint64_t first_page, const uint64_t *bits, uint64_t n_words);

#endif
