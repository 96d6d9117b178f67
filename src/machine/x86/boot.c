// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * boot - what all kernel formats share: the file, claims on guest RAM, command line, initrd, the
 * first GDT and page tables, and the boot CPU's first state.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/ovf.h"
#include "base/str.h"
#include "machine/x86/boot_int.h"

/* ---------------------------------------------------------------- files */

void boot_file_fini(struct boot_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

static int kept_fd(const struct boot_files *files, const char *path)
{
	for (unsigned int i = 0; files && i < files->n; i++) {
		if (!strcmp(files->f[i].path, path))
			return files->f[i].fd;
	}
	return -1;
}

bool boot_file_exists(const struct boot_files *files, const char *path)
{
	return kept_fd(files, path) >= 0 || !access(path, F_OK);
}

static bool boot_file_open(
	struct boot_file *f, const struct boot_files *files, const char *path, struct error *err)
{
	int kept = kept_fd(files, path);
	struct stat st;

	f->path = path;
	/* O_NONBLOCK: a FIFO given by mistake must not hang the start. */
	f->fd = kept >= 0 ? fcntl(kept, F_DUPFD_CLOEXEC, 3)
			  : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (f->fd < 0)
		return error_set_errno(err, errno, "%s '%s': cannot open", f->what, path);
	if (fstat(f->fd, &st) < 0)
		return error_set_errno(err, errno, "%s '%s': cannot stat", f->what, path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, "%s '%s': not a regular file", f->what, path);
	if (st.st_size <= 0)
		return error_set(err, "%s '%s': the file is empty", f->what, path);
	f->size = (uint64_t)st.st_size;
	return true;
}

static bool keep(struct boot_files *files, const char *what, const char *path, struct error *err)
{
	struct boot_file f = { .what = what, .fd = -1 };
	bool ok = files->n < BOOT_FILES_MAX && boot_file_open(&f, NULL, path, err) &&
		  (files->f[files->n].path = strdup(path));

	if (ok)
		files->f[files->n++].fd = f.fd;
	else
		boot_file_fini(&f);
	return ok;
}

static bool keep_module(void *opaque, char *text, struct error *err)
{
	struct error none = ERROR_INIT;

	if (!keep(opaque, "module", text, &none)) {
		text[strcspn(text, " ")] = 0;
		(void)!keep(opaque, "module", text, &none);
	}
	return true;
}

bool boot_files_open(
	struct boot_files *files, const char *kernel, const char *initrd, struct error *err)
{
	bool one = initrd && !initrd[strcspn(initrd, ", ")];

	if (!keep(files, "kernel", kernel, err))
		return false;
	if (one)
		return keep(files, "initrd", initrd, err);
	return !initrd || keep(files, "initrd", initrd, &(struct error)ERROR_INIT) ||
	       boot_each_module(initrd, keep_module, files, err);
}

void boot_files_close(struct boot_files *files)
{
	while (files->n) {
		files->n--;
		free(files->f[files->n].path);
		close(files->f[files->n].fd);
	}
}

bool boot_pread(const struct boot_file *f, uint64_t off, void *buf, uint64_t len, struct error *err)
{
	uint8_t *p = buf;

	if (!range_fits(off, len, f->size))
		return error_set(err, "%s '%s': the file is cut short", f->what, f->path);
	while (len) {
		ssize_t n = pread(f->fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set_errno(
				err, errno, "%s '%s': cannot read", f->what, f->path);
		if (n == 0)
			return error_set(err, "%s '%s': the file is cut short", f->what, f->path);
		p += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return true;
}

/* ---------------------------------------------------------------- guest RAM */

/* True when [start, start + len) lies in RAM entries of the map; neighbours may join. */
static bool map_is_ram(const struct boot_mem_map *m, uint64_t start, uint64_t len)
{
	while (len) {
		uint32_t i;

		for (i = 0; i < m->n; i++)
			if (m->e[i].type == BOOT_MEM_RAM && start >= m->e[i].start &&
				start - m->e[i].start < m->e[i].size)
				break;
		if (i == m->n)
			return false;
		uint64_t left = m->e[i].size - (start - m->e[i].start);

		if (left >= len)
			return true;
		start += left;
		len -= left;
	}
	return true;
}

static const struct boot_claim *claim_overlap(
	const struct boot_job *j, uint64_t start, uint64_t len)
{
	for (uint32_t i = 0; i < j->n_claims; i++)
		if (range_overlaps(start, len, j->claim[i].start, j->claim[i].len))
			return &j->claim[i];
	return NULL;
}

bool boot_is_free(const struct boot_job *j, uint64_t start, uint64_t len)
{
	uint64_t end;

	return !ovf_add(start, len, &end) && map_is_ram(j->q->map, start, len) &&
	       !claim_overlap(j, start, len);
}

/* A size for messages: whole MiB, rounded up. */
static const char *size_text(uint64_t size, char *buf, size_t n)
{
	return str_format_size(
		size > MIB && size < UINT64_MAX - MIB ? ALIGN_UP(size, MIB) : size, buf, n);
}

bool boot_claim(
	struct boot_job *j, uint64_t start, uint64_t len, const char *what, struct error *err)
{
	uint64_t end;

	if (!len)
		return true;
	if (ovf_add(start, len, &end) || !map_is_ram(j->q->map, start, len)) {
		char size[32];

		return error_set(err,
			"kernel '%s': %s (%s at 0x%llx) lies outside guest RAM; give more memory",
			j->kernel.path, what, size_text(len, size, sizeof(size)),
			(unsigned long long)start);
	}
	const struct boot_claim *c = claim_overlap(j, start, len);

	if (c)
		return error_set(err,
			"kernel '%s': %s at 0x%llx-0x%llx overlaps what is loaded at 0x%llx-0x%llx",
			j->kernel.path, what, (unsigned long long)start,
			(unsigned long long)(end - 1), (unsigned long long)c->start,
			(unsigned long long)(c->start + c->len - 1));
	if (j->n_claims == BOOT_CLAIMS_MAX)
		return error_set(err, "kernel '%s': too many segments", j->kernel.path);
	j->claim[j->n_claims++] = (struct boot_claim){ start, len };
	return true;
}

static bool boot_ram_error(struct boot_job *j, uint64_t addr, int r, struct error *err)
{
	return error_set_errno(err, r, "kernel '%s': cannot write guest RAM at 0x%llx",
		j->kernel.path, (unsigned long long)addr);
}

bool boot_put(struct boot_job *j, uint64_t addr, const void *p, uint64_t len, struct error *err)
{
	int r = gmem_write(j->as, GPA(addr), p, len);

	return r ? boot_ram_error(j, addr, r, err) : true;
}

bool boot_zero(struct boot_job *j, uint64_t addr, uint64_t len, struct error *err)
{
	if (!len || j->q->ram_zeroed)
		return true;
	int r = gmem_fill(j->as, GPA(addr), 0, len);

	return r ? boot_ram_error(j, addr, r, err) : true;
}

/* preadv from @off until the iovecs are full. */
static bool read_iov(
	const struct boot_file *f, uint64_t off, struct iovec *iov, int n, struct error *err)
{
	while (n) {
		ssize_t got = preadv(f->fd, iov, n, (off_t)off);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set_errno(
				err, errno, "%s '%s': cannot read", f->what, f->path);
		if (got == 0)
			return error_set(err, "%s '%s': the file is cut short", f->what, f->path);
		off += (uint64_t)got;
		while (n && (size_t)got >= iov->iov_len) {
			got -= (ssize_t)iov->iov_len;
			iov++;
			n--;
		}
		if (n) {
			iov->iov_base = (char *)iov->iov_base + got;
			iov->iov_len -= (size_t)got;
		}
	}
	return true;
}

bool boot_read_into(struct boot_job *j, const struct boot_file *f, uint64_t off, uint64_t addr,
	uint64_t len, struct error *err)
{
	struct iovec iov[16];
	int n = 0;

	if (!range_fits(off, len, f->size))
		return error_set(err, "%s '%s': the file is cut short", f->what, f->path);
	if (!len)
		return true;
	int r = gmem_iov(j->as, GPA(addr), len, true, iov, &n, (int)ARRAY_SIZE(iov));

	if (r)
		return boot_ram_error(j, addr, r, err);
	if (!read_iov(f, off, iov, n, err))
		return false;
	gmem_mark_dirty(j->as, GPA(addr), len);
	return true;
}

/* ---------------------------------------------------------------- command line, initrd */

void boot_map_write(const struct boot_mem_map *m, uint8_t *p, size_t stride)
{
	for (uint32_t i = 0; i < m->n; i++, p += stride) {
		wr_le64(p, m->e[i].start);
		wr_le64(p + 8, m->e[i].size);
		wr_le32(p + 16, m->e[i].type);
	}
}

bool boot_put_cmdline(struct boot_job *j, const char *prefix, uint64_t max, struct error *err)
{
	AUTO(str) s = STR_INIT;

	max = MIN(max, BOOT_CMDLINE_MAX - 1);
	if (prefix)
		str_appendf(&s, "%s ", prefix);
	str_append(&s, j->q->cmdline);
	const char *text = str_cstr(&s);

	if (s.failed)
		return error_set(err, "out of memory");
	if (s.len > max)
		return error_set(err,
			"the kernel command line is too long: %zu bytes, this kernel takes %llu",
			s.len, (unsigned long long)max);
	return boot_claim(j, BOOT_CMDLINE_ADDR, s.len + 1, "the command line", err) &&
	       boot_put(j, BOOT_CMDLINE_ADDR, text, s.len + 1, err);
}

/* The highest free page-aligned place of @len bytes below @limit: it ends at an end of RAM or
 * below a claim. 0: none. */
static uint64_t find_top(const struct boot_job *j, uint64_t len, uint64_t limit)
{
	const struct boot_mem_map *m = j->q->map;
	uint64_t best = 0;

	for (uint32_t i = 0; i < m->n + j->n_claims; i++) {
		uint64_t end = i < m->n ? m->e[i].start + m->e[i].size : j->claim[i - m->n].start;

		end = MIN(end, limit);
		if (end < len)
			continue;
		uint64_t at = ALIGN_DOWN(end - len, BOOT_PAGE);

		/* Below 1 MiB is the firmware's and the real-mode trampolines' place. */
		if (at > best && at >= MIB && boot_is_free(j, at, len))
			best = at;
	}
	return best;
}

bool boot_put_file(struct boot_job *j, struct boot_file *f, const char *path, uint64_t limit,
	uint64_t *addr, struct error *err)
{
	if (!boot_file_open(f, j->q->files, path, err))
		return false;
	limit = MIN(limit, j->q->ram_below_4g);
	*addr = find_top(j, f->size, limit);
	if (!*addr) {
		char a[32], b[32];

		return error_set(err,
			"%s '%s' (%s) does not fit into guest RAM beside the kernel (RAM ends "
			"at %s); give more memory",
			f->what, f->path, size_text(f->size, a, sizeof(a)),
			str_format_size(limit, b, sizeof(b)));
	}
	return boot_claim(j, *addr, f->size, f->what, err) &&
	       boot_read_into(j, f, 0, *addr, f->size, err);
}

bool boot_put_initrd(struct boot_job *j, uint64_t limit, struct error *err)
{
	return !j->q->initrd ||
	       boot_put_file(j, &j->initrd, j->q->initrd, limit, &j->initrd_addr, err);
}

/* ---------------------------------------------------------------- first CPU state */

#define SEL_CODE 0x10
#define SEL_DATA 0x18
#define SEL_TSS	 0x20
#define TSS_MIN	 0x67 /* limit of the smallest 32-bit TSS */

/* Access byte and flags of flat segments: present, DPL 0, accessed; page granular. */
#define ATTR_FLAT   (X86_ATTR_S | X86_ATTR_P | X86_ATTR_G)
#define ATTR_CODE64 (0xb | ATTR_FLAT | X86_ATTR_L)
#define ATTR_CODE32 (0xb | ATTR_FLAT | X86_ATTR_DB)
#define ATTR_DATA   (0x3 | ATTR_FLAT | X86_ATTR_DB)
#define ATTR_TSS    (0xb | X86_ATTR_P) /* busy 32-bit TSS */

/* SDM, Segment Descriptors. */
static uint64_t gdt_entry(uint32_t attr, uint32_t limit)
{
	return ((uint64_t)(attr & 0xf0ff) << 40) | ((uint64_t)(limit & 0xf0000) << 32) |
	       (limit & 0xffff);
}

#define PTE_PRESENT_RW 0x3ull
#define PTE_LARGE      0x80ull

static bool put_page_tables(struct boot_job *j, struct error *err)
{
	/* Kept off the heap and static-free: 24 KiB on main's stack, once a boot. */
	le64 t[BOOT_PT_PAGES][512] = { 0 };

	t[0][0] = le64_of((BOOT_PT_ADDR + 1 * BOOT_PAGE) | PTE_PRESENT_RW);
	for (uint64_t i = 0; i < 4; i++)
		t[1][i] = le64_of((BOOT_PT_ADDR + (2 + i) * BOOT_PAGE) | PTE_PRESENT_RW);
	for (uint64_t i = 0; i < 4 * 512; i++)
		t[2 + i / 512][i % 512] = le64_of((i << 21) | PTE_PRESENT_RW | PTE_LARGE);
	j->r->cr3 = BOOT_PT_ADDR;
	return boot_claim(j, BOOT_PT_ADDR, sizeof(t), "the first page tables", err) &&
	       boot_put(j, BOOT_PT_ADDR, t, sizeof(t), err);
}

bool boot_put_cpu_tables(struct boot_job *j, bool paging, struct error *err)
{
	le64 gdt[5] = { 0 };

	gdt[SEL_CODE / 8] = le64_of(gdt_entry(paging ? ATTR_CODE64 : ATTR_CODE32, 0xfffff));
	gdt[SEL_DATA / 8] = le64_of(gdt_entry(ATTR_DATA, 0xfffff));
	gdt[SEL_TSS / 8] = le64_of(gdt_entry(ATTR_TSS, TSS_MIN));
	j->r->gdt = BOOT_GDT_ADDR;
	if (!boot_claim(j, BOOT_GDT_ADDR, sizeof(gdt), "the first GDT", err) ||
		!boot_put(j, BOOT_GDT_ADDR, gdt, sizeof(gdt), err))
		return false;
	return !paging || put_page_tables(j, err);
}

#define CR0_PE	 (1u << 0)
#define CR0_ET	 (1u << 4)
#define CR0_PG	 (1u << 31)
#define CR4_PAE	 (1u << 5)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)

#define MULTIBOOT_LOADED 0x2badb002 /* in EAX: a multiboot loader was here */

void boot_cpu_state(const struct boot_result *r, struct x86_cpu_state *s)
{
	bool is64 = r->entry == BOOT_ENTRY_64;
	struct x86_segment code = {
		.selector = SEL_CODE, .limit = UINT32_MAX, .attr = is64 ? ATTR_CODE64 : ATTR_CODE32
	};
	struct x86_segment data = { .selector = SEL_DATA, .limit = UINT32_MAX, .attr = ATTR_DATA };

	memset(s->gpr, 0, sizeof(s->gpr));
	for (int i = 0; i < X86_NSEG; i++)
		s->seg[i] = i == X86_CS ? code : data;
	s->tr = (struct x86_segment){ .selector = SEL_TSS, .limit = TSS_MIN, .attr = ATTR_TSS };
	s->gdtr = (struct x86_dtable){ .base = r->gdt, .limit = 5 * 8 - 1 };
	s->idtr = (struct x86_dtable){ .base = 0, .limit = 0 };
	s->rip = r->rip;
	s->rflags = 2; /* bit 1 is always set; interrupts off */
	s->cr0 = CR0_PE | CR0_ET | (is64 ? CR0_PG : 0);
	s->cr3 = is64 ? r->cr3 : 0;
	s->cr4 = is64 ? CR4_PAE : 0;
	s->efer = is64 ? EFER_LME | EFER_LMA : 0;
	s->mp_state = X86_MP_RUNNABLE;
	if (is64 || r->entry == BOOT_ENTRY_32)
		s->gpr[X86_RSI] = r->info;
	else
		s->gpr[X86_RBX] = r->info;
	if (r->entry == BOOT_ENTRY_MULTIBOOT)
		s->gpr[X86_RAX] = MULTIBOOT_LOADED;
}

/* ---------------------------------------------------------------- formats */

/* Files that people take for a kernel, and what to tell them. */
static const struct {
	uint32_t off, len;
	const char *magic, *is;
} lookalikes[] = {
	{ 0, 2, "\x1f\x8b", "a gzip file (an initrd, or a kernel of another architecture?)" },
	{ 0, 6,
		"\xfd"
		"7zXZ",
		"an xz file; unpack it first" },
	{ 0, 4, "\x28\xb5\x2f\xfd", "a zstd file; unpack it first" },
	{ 0, 4, "\x02\x21\x4c\x18", "an LZ4 file; unpack it first" },
	{ 0, 4, "\x04\x22\x4d\x18", "an LZ4 file; unpack it first" },
	{ 0, 3, "BZh", "a bzip2 file; unpack it first" },
	{ 0, 6, "070701", "a cpio archive: an initrd?" },
	{ 56, 4, "ARM\x64", "a kernel for arm64, not x86-64" },
	{ 56, 4, "RSC\x05", "a kernel for RISC-V, not x86-64" },
	{ 0, 4, "QFI\xfb", "a qcow2 disk image; use --disk" },
	{ 0, 2, "MZ", "an EFI program; boot it with --firmware uefi" },
};

static bool not_bootable(const struct boot_job *j, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(lookalikes); i++)
		if (!memcmp(j->head + lookalikes[i].off, lookalikes[i].magic, lookalikes[i].len))
			return error_set(
				err, "kernel '%s': this is %s", j->kernel.path, lookalikes[i].is);
	return error_set(err,
		"kernel '%s': not a bootable image (known are bzImage, ELF and multiboot)",
		j->kernel.path);
}

static bool load_format(struct boot_job *j, struct error *err)
{
	j->head_len = (uint32_t)MIN(j->kernel.size, BOOT_HEAD_MAX);
	if (!boot_pread(&j->kernel, 0, j->head, j->head_len, err))
		return false;
	memset(j->head + j->head_len, 0, BOOT_HEAD_MAX - j->head_len);
	if (boot_is_bzimage(j))
		return boot_bzimage(j, err);

	/* Some multiboot images are ELF files too; the header says what they want. */
	int header = boot_find_multiboot(j);

	if (header >= 0)
		return boot_multiboot(j, header, err);
	if (boot_is_elf(j))
		return boot_elf(j, err);
	return not_bootable(j, err);
}

bool boot_load(
	struct as *as, const struct boot_request *q, struct boot_result *r, struct error *err)
{
	struct boot_result result = { 0 };
	uint8_t head[BOOT_HEAD_MAX];
	struct boot_job j = { .as = as,
		.q = q,
		.r = &result,
		.head = head,
		.kernel = { .what = "kernel", .fd = -1 },
		.initrd = { .what = "initrd", .fd = -1 } };
	bool ok = boot_file_open(&j.kernel, q->files, q->kernel, err) && load_format(&j, err);

	boot_file_fini(&j.kernel);
	boot_file_fini(&j.initrd);
	if (ok)
		*r = result;
	return ok;
}
