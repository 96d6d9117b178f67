// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * gmem - the only way from a guest-physical address to bytes. Always with a length, always
 * checked; marks pages dirty when written. Only RAM (and ROM for reading) can be reached: a DMA
 * that touches a device's registers gets -EFAULT, so a guest cannot make devices call each other.
 *
 * Guest memory changes under our hands: read once into a local and decide only on the copy. Any
 * thread. Inside an as_read_begin/end pair these are a look-up and a copy; they open one
 * themselves otherwise.
 */
#ifndef MEM_GMEM_H
#define MEM_GMEM_H

#include <stdint.h>
#include <sys/uio.h>
#include "base/wire.h"
#include "mem/as.h"

/* Copy @len bytes; ranges may span blocks. 0 or -EFAULT (then a part may have been copied). */
int gmem_read(struct as *as, gpa_t addr, void *buf, size_t len) MUST_USE;
int gmem_write(struct as *as, gpa_t addr, const void *buf, size_t len) MUST_USE;
int gmem_fill(struct as *as, gpa_t addr, uint8_t byte, uint64_t len) MUST_USE;
/* NUL-terminated string of at most @size - 1 bytes. 0, -EFAULT, or -E2BIG when no NUL is found. */
int gmem_read_str(struct as *as, gpa_t addr, char *buf, size_t size) MUST_USE;

/* Turn [addr, addr+len) into iovecs for the kernel or a copy helper; appends to @iov from *@n, at
 * most @max entries in all. @write: the range will be written (ROM refused). 0, -EFAULT, or -E2BIG
 * when @max is too small (then *@n is unchanged). The memory stays mapped while the device that
 * uses it is not quiesced. */
int gmem_iov(struct as *as, gpa_t addr, uint64_t len, bool write, struct iovec *iov, int *n,
	int max) MUST_USE;
/* The same for one who makes many in one read section (as_read_begin): *@near is the piece where the
 * last was found, NULL at first, and saves most look-ups. Errors as gmem_iov. */
static inline int gmem_iov_near(struct as *as, const struct as_range **near, gpa_t addr,
	uint64_t len, bool write, struct iovec *iov, int *n, int max)
{
	const struct as_range *r = *near;

	if (!r || addr.v - r->start >= r->size)
		*near = r = as_find(as, addr.v);
	if (!r || r->kind != AS_RAM || *n >= max || !len || len > r->size - (addr.v - r->start))
		return gmem_iov(as, addr, len, write, iov, n, max);
	iov[*n] = (struct iovec){ r->host + (addr.v - r->start), len };
	++*n;
	return 0;
}
/* After the kernel wrote through iovecs: mark the guest range dirty. */
void gmem_mark_dirty(struct as *as, gpa_t addr, uint64_t len);

/* Give memory that the guest does not need back to the host; it reads as zeroes from now on. Only whole
 * pages of the host's: where these are larger than 4 KiB, 4 KiB pieces are collected in *@partial (zeroed
 * at first), until one is whole or a piece of another one comes. @addr and @len are multiples of 4 KiB;
 * what is no RAM is skipped. */
#define GMEM_PARTIAL_PIECES 512
struct gmem_partial {
	const struct ram_block *block; /* identity only */
	uint64_t off;
	uint32_t n;
	uint64_t have[GMEM_PARTIAL_PIECES / 64];
};
void gmem_discard(struct as *as, gpa_t addr, uint64_t len, struct gmem_partial *partial);
/* The same for a range that gmem_iov() made: the whole pages inside. */
void gmem_discard_host(struct as *as, void *p, uint64_t len);

/* A host pointer to @len contiguous bytes of RAM that lie in one block (rings). NULL when they do
 * not. Used with the atomic accessors below; the owner drops it when the address map changes under
 * it (device reset, memory unplug) by ram_block_unref(*@ram), and marks what it writes with
 * ram_dirty_mark(*@ram, *@ram_off + ..., ...). */
void *gmem_map(struct as *as, gpa_t addr, uint64_t len, bool write, struct ram_block **ram,
	uint64_t *ram_off);

/* Accesses to shared memory that the guest may change at any time: relaxed atomics, so that the
 * compiler reads or writes exactly once. Pair with fences as the protocol says. */
static inline uint16_t gmem_load_le16(const void *p)
{
	return le16toh(__atomic_load_n((const uint16_t *)p, __ATOMIC_RELAXED));
}
static inline uint16_t gmem_load_acquire_le16(const void *p)
{
	return le16toh(__atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE));
}
static inline void gmem_store_le16(void *p, uint16_t v)
{
	__atomic_store_n((uint16_t *)p, htole16(v), __ATOMIC_RELAXED);
}
static inline void gmem_store_release_le16(void *p, uint16_t v)
{
	__atomic_store_n((uint16_t *)p, htole16(v), __ATOMIC_RELEASE);
}
static inline uint32_t gmem_load_le32(const void *p)
{
	return le32toh(__atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED));
}
static inline void gmem_store_le32(void *p, uint32_t v)
{
	__atomic_store_n((uint32_t *)p, htole32(v), __ATOMIC_RELAXED);
}
static inline uint64_t gmem_load_le64(const void *p)
{
	return le64toh(__atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED));
}

#endif
