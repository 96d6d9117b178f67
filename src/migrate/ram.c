// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ram - guest memory for saving and loading: which pages hold anything, chunks and their form.
 *
 * A guest seldom touches all of its memory. Looking at a page that nobody has touched would make the
 * host fill it in, and make a VM larger by saving it; so the host is asked first: for anonymous memory
 * /proc/self/pagemap tells which pages are there or swapped out, for a file or memfd lseek() tells
 * where its data is. What is left is compared with zero.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/ovf.h"
#include "base/wire.h"
#include "config.h"
#include "core/machine.h"
#include "migrate/migrate_int.h"

#if HAVE_ZSTD
#include <zstd.h>
#endif

#define PAGEMAP_THERE (3ull << 62) /* present or swapped (Linux, admin-guide/mm/pagemap.rst) */

/* -------- blocks -------- */

static bool set_has(const struct ram_set *s, const struct ram_block *b)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->block[i] == b)
			return true;
	return false;
}

bool ram_set_init(struct ram_set *s, struct machine *m, struct error *err)
{
	const struct as_snapshot *snap;
	bool ok = true;

	memset(s, 0, sizeof(*s));
	s->pagemap = -1;
	as_read_begin();
	snap = atomic_load(&m->mem.current);
	for (uint32_t i = 0; i < snap->n; i++) {
		const struct as_range *r = &snap->r[i];

		if (r->kind != AS_RAM || r->ram->readonly || set_has(s, r->ram))
			continue;
		ok = s->n < DESC_BLOCKS_MAX;
		if (!ok)
			break;
		s->block[s->n++] = ram_block_ref(r->ram);
	}
	as_read_end();
	if (!ok) {
		ram_set_fini(s);
		return error_set(err, "guest memory is in more than %d pieces", DESC_BLOCKS_MAX);
	}
	s->pagemap = ((struct migrate *)m->migrate)->pagemap;
	return true;
}

void ram_set_fini(struct ram_set *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		ram_block_unref(s->block[i]);
	s->n = 0;
	s->pagemap = -1;
}

uint64_t ram_set_bytes(const struct ram_set *s)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < s->n; i++)
		sum += s->block[i]->size;
	return sum;
}

static bool is_zero(const uint8_t *p, size_t len)
{
	static const uint8_t zero[16];

	return !memcmp(p, zero, sizeof(zero)) && !memcmp(p, p + sizeof(zero), len - sizeof(zero));
}

/* What a load that came to nothing has left is private memory, too: the kernel takes it back. */
static bool drop_pages(const struct ram_block *b)
{
	return !madvise(b->host, b->size, b->fd < 0 ? MADV_DONTNEED : MADV_REMOVE);
}

bool ram_set_clear(struct ram_set *s, struct error *err)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct ram_block *b = s->block[i];

		if (drop_pages(b))
			continue;
		if (errno != EOPNOTSUPP && errno != EINVAL)
			return error_set_errno(
				err, errno, "memory '%s' cannot be cleared", b->name);
		for (uint64_t off = 0; off < b->size; off += PAGE)
			if (!is_zero(b->host + off, PAGE))
				memset(b->host + off, 0, PAGE);
	}
	return true;
}

/* -------- which pages hold anything -------- */

/* Bits of pages that are there. What the host does not tell counts as there. */
static void pages_there(const struct ram_set *s, const struct chunk *c, uint64_t *map)
{
	const struct ram_block *b = s->block[c->block];
	uint64_t at = (uintptr_t)b->host / PAGE + c->first, entry[CHUNK_PAGES];
	size_t want = c->n * sizeof(entry[0]);

	memset(map, 0xff, CHUNK_PAGES / 8);
	if (s->pagemap < 0 ||
		pread(s->pagemap, entry, want, (off_t)(at * sizeof(entry[0]))) != (ssize_t)want)
		return;
	memset(map, 0, CHUNK_PAGES / 8);
	for (uint32_t i = 0; i < c->n; i++)
		if (entry[i] & PAGEMAP_THERE)
			map[i / 64] |= BIT_ULL(i % 64);
}

/* The same of a file, whose pages need not be in our page tables. */
static void file_pages_there(const struct ram_set *s, const struct chunk *c, uint64_t *map)
{
	const struct ram_block *b = s->block[c->block];
	off_t from = (off_t)(c->first * PAGE), to = from + (off_t)c->n * PAGE, at = from;

	memset(map, 0, CHUNK_PAGES / 8);
	while (at < to) {
		off_t data = lseek(b->fd, at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			return;
		hole = data < 0 ? -1 : lseek(b->fd, data, SEEK_HOLE);
		if (hole <= data) {
			memset(map, 0xff, CHUNK_PAGES / 8);
			return;
		}
		for (off_t p = ALIGN_DOWN(data, (off_t)PAGE); p < hole && p < to; p += PAGE) {
			uint64_t i = (uint64_t)(p - from) / PAGE;

			map[i / 64] |= BIT_ULL(i % 64);
		}
		at = hole;
	}
}

uint32_t chunk_scan(const struct ram_set *s, struct chunk *c)
{
	const struct ram_block *b = s->block[c->block];
	const uint8_t *p = b->host + c->first * PAGE;
	uint64_t there[CHUNK_PAGES / 64];
	uint32_t n = 0;

	if (b->fd >= 0 && b->page_size == PAGE)
		file_pages_there(s, c, there);
	else
		pages_there(s, c, there);
	memset(c->data, 0, sizeof(c->data));
	memset(c->zero, 0, sizeof(c->zero));
	for (uint32_t i = 0; i < c->n; i++) {
		if (!chunk_bit(there, i) || is_zero(p + (size_t)i * PAGE, PAGE))
			continue;
		c->data[i / 64] |= BIT_ULL(i % 64);
		n++;
	}
	return n;
}

/* -------- chunks -------- */

uint32_t chunk_data_pages(const struct chunk *c)
{
	uint32_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(c->data); i++)
		n += (uint32_t)__builtin_popcountll(c->data[i]);
	return n;
}

int chunk_iov(const struct ram_set *s, const struct chunk *c, struct iovec *iov)
{
	uint8_t *p = s->block[c->block]->host + c->first * PAGE;
	int n = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		if (!chunk_bit(c->data, i))
			continue;
		if (i && chunk_bit(c->data, i - 1))
			iov[n - 1].iov_len += PAGE;
		else
			iov[n++] = (struct iovec){ p + (size_t)i * PAGE, PAGE };
	}
	return n;
}

void chunk_put_head(const struct chunk *c, uint8_t *buf)
{
	wr_le16(buf, (uint16_t)c->block);
	wr_le16(buf + 2, c->encoding);
	wr_le32(buf + 4, c->n);
	wr_le64(buf + 8, c->first);
	for (size_t i = 0; i < ARRAY_SIZE(c->data); i++) {
		wr_le64(buf + 16 + 8 * i, c->data[i]);
		wr_le64(buf + 48 + 8 * i, c->zero[i]);
	}
}

bool chunk_get_head(const struct ram_set *s, const uint8_t *buf, struct chunk *c, struct error *err)
{
	*c = (struct chunk){
		.block = rd_le16(buf),
		.encoding = rd_le16(buf + 2),
		.n = rd_le32(buf + 4),
		.first = rd_le64(buf + 8),
	};
	if (c->block >= s->n)
		return error_set(err, "memory block %u does not exist", c->block);
	if (!c->n || c->n > CHUNK_PAGES ||
		!range_fits(c->first, c->n, s->block[c->block]->size / PAGE))
		return error_set(err, "%u pages from page %llu do not lie in memory '%s'", c->n,
			(unsigned long long)c->first, s->block[c->block]->name);
	if (c->encoding > CHUNK_ZSTD)
		return error_set(err,
			"pages are encoded in a way (%u) that this version does not know",
			c->encoding);
	for (uint32_t i = 0; i < CHUNK_PAGES / 64; i++) {
		c->data[i] = rd_le64(buf + 16 + 8 * i);
		c->zero[i] = rd_le64(buf + 48 + 8 * i);
		if (c->data[i] & c->zero[i])
			return error_set(err, "a page is zero and is not");
	}
	for (uint32_t i = c->n; i < CHUNK_PAGES; i++)
		if (chunk_bit(c->data, i) || chunk_bit(c->zero, i))
			return error_set(err, "pages beyond the end of their range");
	return true;
}

void chunk_clear(const struct ram_set *s, const struct chunk *c)
{
	uint8_t *p = s->block[c->block]->host + c->first * PAGE;

	for (uint32_t i = 0; i < c->n; i++)
		if (chunk_bit(c->zero, i))
			memset(p + (size_t)i * PAGE, 0, PAGE);
}

/* -------- compression -------- */

#if HAVE_ZSTD

struct packer {
	ZSTD_CCtx *c;
	ZSTD_DCtx *d;
	uint8_t *flat; /* CHUNK_BYTES: pages one after the other */
};

bool migrate_has_zstd(void)
{
	return true;
}

struct packer *packer_new(const struct migrate_params *p)
{
	struct packer *z = calloc(1, sizeof(*z));

	if (!z)
		return NULL;
	z->flat = malloc(CHUNK_BYTES);
	z->d = ZSTD_createDCtx();
	z->c = ZSTD_createCCtx();
	if (!z->flat || !z->c || !z->d) {
		packer_free(z);
		return NULL;
	}
	ZSTD_CCtx_setParameter(z->c, ZSTD_c_compressionLevel, (int)p->level);
	/* A frame that asks for more than a chunk is not ours. */
	ZSTD_DCtx_setParameter(z->d, ZSTD_d_windowLogMax, 20);
	return z;
}

void packer_free(struct packer *z)
{
	if (!z)
		return;
	ZSTD_freeCCtx(z->c);
	ZSTD_freeDCtx(z->d);
	free(z->flat);
	free(z);
}

size_t chunk_pack(struct packer *z, const struct iovec *iov, int n, size_t len, uint8_t *out)
{
	size_t off = 0, done;

	for (int i = 0; i < n; off += iov[i].iov_len, i++)
		memcpy(z->flat + off, iov[i].iov_base, iov[i].iov_len);
	done = ZSTD_compress2(z->c, out, len, z->flat, len);
	return ZSTD_isError(done) ? 0 : done;
}

bool chunk_unpack(
	struct packer *z, const uint8_t *p, size_t len, const struct iovec *iov, int n, size_t want)
{
	size_t off = 0;

	/* One frame, no more and no less. */
	if (ZSTD_findFrameCompressedSize(p, len) != len ||
		ZSTD_decompressDCtx(z->d, z->flat, CHUNK_BYTES, p, len) != want)
		return false;
	for (int i = 0; i < n; off += iov[i].iov_len, i++)
		memcpy(iov[i].iov_base, z->flat + off, iov[i].iov_len);
	return true;
}

#else

struct packer {
	char unused;
};

bool migrate_has_zstd(void)
{
	return false;
}

struct packer *packer_new(const struct migrate_params *p)
{
	return NULL;
}

void packer_free(struct packer *z)
{
}

size_t chunk_pack(struct packer *z, const struct iovec *iov, int n, size_t len, uint8_t *out)
{
	return 0;
}

bool chunk_unpack(
	struct packer *z, const uint8_t *p, size_t len, const struct iovec *iov, int n, size_t want)
{
	return false;
}

#endif
