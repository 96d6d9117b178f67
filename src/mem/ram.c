// SPDX-License-Identifier: GPL-2.0-or-later
/* ram - making guest RAM: what backs it, where it is mapped, how it is placed; the dirty log, words of decoded code. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include "base/cleanup.h"
#include "base/ovf.h"
#include "mem/huge_file.h"
#include "mem/mem_int.h"

#define PAGE	   4096ull
#define HUGE_PAGE  (2 * MIB)
#define GUARD_SIZE (64 * KIB) /* no access, either side: an overrun of ours faults */
#define WORD_PAGES 64ull
#define NODES_MAX  1024

/* Newer than Debian 12's headers. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* -------- what backs it -------- */

bool mem_read_small_file(const char *path, char *buf, size_t size)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = 0;
	return n > 0;
}

/* More than the host can ever hold is refused now instead of by the OOM killer later, as the kernel
 * itself does with private memory; overcommit_memory=1 asks for no such check. */
static bool check_host_memory(const struct ram_config *c, struct error *err)
{
	struct sysinfo si;
	uint64_t total;
	char buf[16];

	if (sysinfo(&si) < 0)
		return true;
	total = ((uint64_t)si.totalram + si.totalswap) * si.mem_unit;
	if (c->size <= total)
		return true;
	if (mem_read_small_file("/proc/sys/vm/overcommit_memory", buf, sizeof(buf)) &&
		buf[0] == '1')
		return true;
	return error_set(err,
		"memory '%s': %llu MiB is more than this host has (%llu MiB with swap)", c->name,
		(unsigned long long)(c->size / MIB), (unsigned long long)(total / MIB));
}

static int memfd_make(const struct ram_config *c)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd;

	if (c->hugepages)
		flags |= MFD_HUGETLB | MFD_HUGE_2MB;
	fd = memfd_create(c->name, flags | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create(c->name, flags);
	return fd;
}

static bool open_shared(struct ram_block *b, const struct ram_config *c, struct error *err)
{
	/* A huge file cannot be sealed, so it is for what stays with us. */
	b->fd = c->share || c->hugepages || c->size < HUGE_PAGE ? -1 : huge_file_new(c->name);
	if (b->fd < 0)
		b->fd = memfd_make(c);
	if (b->fd < 0)
		return error_set_errno(err, errno, "memory '%s': cannot make a memfd%s", c->name,
			c->hugepages ? " of huge pages" : "");
	if (ftruncate(b->fd, (off_t)c->size) < 0)
		return error_set_errno(err, errno, "memory '%s': cannot size it", c->name);
	/* Nobody who is given the descriptor can make us fault by shrinking it. Older kernels do
	 * not seal huge pages; then we trust whom we hand it to. */
	(void)!fcntl(b->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	if (c->hugepages)
		b->page_size = HUGE_PAGE;
	return true;
}

/* An existing file keeps its size when it is large enough; an empty one is made as large as asked. */
static bool size_file(struct ram_block *b, const struct ram_config *c, struct error *err)
{
	struct stat st;

	if (fstat(b->fd, &st) < 0)
		return error_set_errno(err, errno, "memory '%s': '%s'", c->name, c->file);
	if (!S_ISREG(st.st_mode))
		return error_usage(
			err, "memory '%s': '%s' is not a regular file", c->name, c->file);
	if ((uint64_t)st.st_size > UINT64_MAX - PAGE ||
		ALIGN_UP((uint64_t)st.st_size, PAGE) >= c->size)
		return true;
	if (st.st_size != 0 || c->readonly)
		return error_usage(err, "memory '%s': '%s' has %lld bytes, %llu are needed",
			c->name, c->file, (long long)st.st_size, (unsigned long long)c->size);
	if (ftruncate(b->fd, (off_t)c->size) < 0)
		return error_set_errno(
			err, errno, "memory '%s': cannot extend '%s'", c->name, c->file);
	return true;
}

static bool open_file(struct ram_block *b, const struct ram_config *c, struct error *err)
{
	int flags = (c->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC;
	struct statfs fs;

	b->fd = open(c->file, flags);
	if (b->fd < 0 && errno == EISDIR)
		b->fd = open(c->file, flags | O_TMPFILE, 0600);
	if (b->fd < 0)
		return error_set_errno(
			err, errno, "memory '%s': cannot open '%s'", c->name, c->file);
	if (fstatfs(b->fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC) {
		b->page_size = (uint64_t)fs.f_bsize;
		if (c->size % b->page_size)
			return error_usage(err,
				"memory '%s': size must be a multiple of %llu KiB, the page size "
				"of '%s'",
				c->name, (unsigned long long)(b->page_size / KIB), c->file);
	}
	return size_file(b, c, err);
}

static bool open_backing(struct ram_block *b, const struct ram_config *c, struct error *err)
{
	if (c->file)
		return open_file(b, c, err);
	if (!check_host_memory(c, err))
		return false;
	if (c->hugepages || c->share || c->alias)
		return open_shared(b, c, err);
	return true; /* anonymous */
}

/* -------- where it is mapped -------- */

static uint64_t block_align(const struct ram_block *b)
{
	return MAX(b->size >= HUGE_PAGE ? HUGE_PAGE : PAGE, b->page_size);
}

/* Address space for the block, its alignment and its guards. What is over stays reserved too: it
 * costs nothing, giving it back would cost two system calls. */
static bool reserve(struct ram_block *b)
{
	uint64_t align = block_align(b), total = b->size + 2 * GUARD_SIZE;
	uint8_t *p;

	if (align > PAGE)
		total += align;
	p = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return false;
	b->reserved = p;
	b->reserved_size = total;
	b->host = (uint8_t *)ALIGN_UP((uintptr_t)p + GUARD_SIZE, (uintptr_t)align);
	return true;
}

static bool map_backing(struct ram_block *b, const struct ram_config *c)
{
	int prot = PROT_READ | (c->file && c->readonly ? 0 : PROT_WRITE);

	if (b->fd < 0)
		return mprotect(b->host, b->size, prot) == 0;
	return mmap(b->host, b->size, prot, MAP_FIXED | MAP_SHARED, b->fd, 0) != MAP_FAILED;
}

static bool map(struct ram_block *b, const struct ram_config *c, struct error *err)
{
	if (reserve(b) && map_backing(b, c))
		return true;
	if (errno == ENOMEM && b->page_size > PAGE)
		return error_set(err,
			"memory '%s': the host has not reserved enough huge pages (%llu are "
			"needed, see /proc/sys/vm/nr_hugepages)",
			c->name, (unsigned long long)(b->size / b->page_size));
	return error_set_errno(err, errno, "memory '%s': cannot map %llu MiB", c->name,
		(unsigned long long)(c->size / MIB));
}

/* -------- how it is placed -------- */

static bool bind_node(struct ram_block *b, const struct ram_config *c, struct error *err)
{
	unsigned long mask[NODES_MAX / (8 * sizeof(long))] = { 0 };
	const int bits = 8 * sizeof(long);

	if (c->host_node < 0)
		return true;
	if (c->host_node >= NODES_MAX - 1)
		return error_usage(
			err, "memory '%s': host node %d does not exist", c->name, c->host_node);
	mask[c->host_node / bits] = 1ul << (c->host_node % bits);
	if (syscall(SYS_mbind, b->host, b->size, MPOL_BIND, mask, (unsigned long)NODES_MAX, 0) < 0)
		return error_set_errno(err, errno, "memory '%s': cannot bind to host node %d",
			c->name, c->host_node);
	return true;
}

static bool populate(struct ram_block *b, const struct ram_config *c, struct error *err)
{
	if (!c->prealloc || (c->file && c->readonly))
		return true;
	if (madvise(b->host, b->size, MADV_POPULATE_WRITE) == 0)
		return true;
	if (errno == EINVAL) { /* before Linux 5.14 */
		if (b->fd >= 0) {
			if (fallocate(b->fd, 0, 0, (off_t)b->size) == 0)
				return true;
		} else {
			for (uint64_t off = 0; off < b->size; off += PAGE)
				*(volatile uint8_t *)(b->host + off) = 0;
			return true;
		}
	}
	return error_set_errno(err, errno, "memory '%s': cannot allocate %llu MiB beforehand",
		c->name, (unsigned long long)(c->size / MIB));
}

/* Advice, which may be refused: the guest runs without it. */
static void advise(struct ram_block *b, uint64_t small_head)
{
	if (b->page_size == PAGE && b->size >= HUGE_PAGE)
		(void)!madvise(b->host, b->size, MADV_HUGEPAGE);
	if (b->page_size == PAGE && small_head)
		(void)!madvise(b->host, MIN(small_head, b->size), MADV_NOHUGEPAGE);
	(void)!madvise(b->host, b->size, MADV_DONTDUMP);
	(void)!madvise(
		b->host, b->size, MADV_DONTFORK); /* helper processes have no business there */
#ifdef PR_SET_VMA
	if (b->fd < 0)
		(void)!prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, b->host, b->size, b->name);
#endif
}

static bool check_config(const struct ram_config *c, struct error *err)
{
	if (!c->size || c->size % PAGE || c->size > (uint64_t)INT64_MAX - GIB)
		return error_usage(
			err, "memory '%s': size must be a multiple of 4 KiB and not zero", c->name);
	if (c->hugepages && c->file)
		return error_usage(err,
			"memory '%s': hugepages and file exclude each other; give a file or "
			"directory on hugetlbfs",
			c->name);
	if (c->hugepages && c->size % HUGE_PAGE)
		return error_usage(err,
			"memory '%s': size must be a multiple of 2 MiB to use huge pages", c->name);
	return true;
}

static bool block_make(struct ram_block *b, const struct ram_config *c, struct error *err)
{
	if (!open_backing(b, c, err) || !map(b, c, err) || !bind_node(b, c, err))
		return false;
	advise(b, c->small_head);
	return populate(b, c, err);
}

struct ram_block *ram_block_new(const struct ram_config *c, struct error *err)
{
	struct ram_block *b;

	if (!check_config(c, err))
		return NULL;
	b = calloc(1, sizeof(*b));
	if (!b) {
		error_set(err, "memory '%s': out of memory", c->name);
		return NULL;
	}
	b->fd = -1;
	b->size = c->size;
	b->page_size = PAGE;
	b->readonly = c->readonly;
	atomic_init(&b->refs, 1);
	b->name = strdup(c->name);
	if (!b->name)
		error_set(err, "memory '%s': out of memory", c->name);
	if (!b->name || !block_make(b, c, err)) {
		ram_block_unref(b);
		return NULL;
	}
	return b;
}

struct ram_block *ram_block_ref(struct ram_block *b)
{
	uint32_t was = atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);

	assert(was > 0 && was < UINT32_MAX);
	return b;
}

static void log_free(_Atomic uint64_t *log)
{
	free((void *)(uintptr_t)log); /* no cast says "not atomic any more" without a warning */
}

static uint64_t code_bytes(const struct ram_block *b)
{
	return b->size / PAGE * RAM_CODE_WORDS * sizeof(uint32_t);
}

static void code_free(struct ram_block *b, _Atomic uint32_t *code)
{
	if (code)
		munmap((void *)(uintptr_t)code, code_bytes(b));
}

void ram_block_unref(struct ram_block *b)
{
	/* acq_rel: whoever frees has seen what the other holders did with the block. */
	if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (b->reserved)
		munmap(b->reserved, b->reserved_size);
	if (b->fd >= 0)
		close(b->fd);
	log_free(atomic_load_explicit(&b->dirty, memory_order_relaxed));
	code_free(b, atomic_load_explicit(&b->code, memory_order_relaxed));
	free(b->name);
	free(b);
}

/* -------- dirty log -------- */

static uint64_t dirty_words(const struct ram_block *b)
{
	return (b->size / PAGE + WORD_PAGES - 1) / WORD_PAGES;
}

bool ram_dirty_start(struct ram_block *b, struct error *err)
{
	_Atomic uint64_t *log;

	if (atomic_load_explicit(&b->dirty, memory_order_relaxed))
		ram_dirty_stop(b);
	log = calloc(dirty_words(b), sizeof(*log));
	if (!log)
		return error_set(err, "memory '%s': no room for its dirty log", b->name);
	atomic_store_explicit(&b->dirty, log, memory_order_seq_cst);
	/* A writer that looked before this store has copied its bytes when this returns; one that
	 * looks later sees the log. */
	as_synchronize();
	return true;
}

void ram_dirty_stop(struct ram_block *b)
{
	_Atomic uint64_t *log = atomic_exchange_explicit(&b->dirty, NULL, memory_order_seq_cst);

	if (!log)
		return;
	as_synchronize(); /* ram_dirty_mark() uses the log inside a section */
	log_free(log);
}

static void mark_words(_Atomic uint64_t *log, uint64_t first, uint64_t last)
{
	for (uint64_t w = first / WORD_PAGES; w <= last / WORD_PAGES; w++) {
		uint64_t lo = w == first / WORD_PAGES ? first % WORD_PAGES : 0;
		uint64_t hi = w == last / WORD_PAGES ? last % WORD_PAGES : WORD_PAGES - 1;
		uint64_t bits = (UINT64_MAX >> (WORD_PAGES - 1 - hi)) & (UINT64_MAX << lo);

		/* Release: pairs with the acquire in ram_dirty_take(), which then copies the page.
		 * The bit must be set even when it was seen set: it may be taken meanwhile. */
		atomic_fetch_or_explicit(&log[w], bits, memory_order_release);
	}
}

void (*_Atomic ram_code_hook)(_Atomic uint32_t *word);

static void bump_words(_Atomic uint32_t *code, uint64_t first, uint64_t last)
{
	/* A full barrier between the bytes that were written and the look at the bits (ram.h): x86's
	 * locked instructions are one. (A fence is what ThreadSanitizer does not know.) */
	atomic_fetch_or(&code[RAM_CODE_WORDS * first], 0);
	for (uint64_t i = first; i <= last; i++) {
		_Atomic uint32_t *word = &code[RAM_CODE_WORDS * i];
		void (*hook)(_Atomic uint32_t *);

		if (!ram_code_bump(word))
			continue;
		hook = atomic_load(&ram_code_hook);
		if (hook)
			hook(word);
	}
}

void ram_dirty_mark(struct ram_block *b, uint64_t off, uint64_t len)
{
	_Atomic uint32_t *code = atomic_load_explicit(&b->code, memory_order_acquire);
	_Atomic uint64_t *log;

	if (!len)
		return;
	assert(range_fits(off, len, b->size));
	if (code)
		bump_words(code, off / PAGE, (off + len - 1) / PAGE);
	if (!atomic_load_explicit(&b->dirty, memory_order_seq_cst))
		return;
	as_read_begin(); /* keeps the log from being freed */
	log = atomic_load_explicit(&b->dirty, memory_order_seq_cst);
	if (log)
		mark_words(log, off / PAGE, (off + len - 1) / PAGE);
	as_read_end();
}

void ram_dirty_take(struct ram_block *b, uint64_t first_page, uint64_t *out, uint64_t n_words)
{
	_Atomic uint64_t *log;
	uint64_t first = first_page / WORD_PAGES;

	assert(first_page % WORD_PAGES == 0 && range_fits(first, n_words, dirty_words(b)));
	as_read_begin();
	log = atomic_load_explicit(&b->dirty, memory_order_seq_cst);
	for (uint64_t i = 0; i < n_words; i++) {
		out[i] = 0;
		/* Most words are clear: look before taking the cache line for writing. */
		if (log && atomic_load_explicit(&log[first + i], memory_order_relaxed))
			out[i] = atomic_exchange_explicit(&log[first + i], 0, memory_order_acquire);
	}
	as_read_end();
}

void ram_dirty_merge(
	struct ram_block *b, uint64_t first_page, const uint64_t *bits, uint64_t n_words)
{
	uint64_t pages = b->size / PAGE, total = dirty_words(b), first = first_page / WORD_PAGES;
	_Atomic uint64_t *log;

	assert(first_page % WORD_PAGES == 0);
	as_read_begin();
	log = atomic_load_explicit(&b->dirty, memory_order_seq_cst);
	for (uint64_t i = 0; log && i < n_words && first + i < total; i++) {
		uint64_t v = bits[i];

		if (first + i == total - 1 && pages % WORD_PAGES)
			v &= BIT_ULL(pages % WORD_PAGES) - 1;
		if (v)
			atomic_fetch_or_explicit(&log[first + i], v, memory_order_release);
	}
	as_read_end();
}

/* -------- words of decoded code -------- */

_Atomic uint32_t *ram_code_words(struct ram_block *b)
{
	_Atomic uint32_t *code = atomic_load_explicit(&b->code, memory_order_acquire);
	_Atomic uint32_t *mine;
	void *p;

	if (code)
		return code;
	/* Only the words of pages that hold code are ever touched by more than a look. */
	p = mmap(NULL, code_bytes(b), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	mine = p;
	if (atomic_compare_exchange_strong(&b->code, &code, mine))
		return mine;
	code_free(b, mine);
	return code;
}
