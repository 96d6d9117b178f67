// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * multiboot - Multiboot 1 images: ELF32, ELF64 entered in 32-bit mode, or flat with the address
 * fields in the header. The first word of the command line is the image's path, as GRUB passes it
 * (kvm-unit-tests skips one).
 *
 * The initrd is the modules: FILE, or FILE [WORDS],FILE [WORDS]... with `,,` for a comma. A module's
 * string is all of that, as QEMU's -initrd has it.
 *
 * Source: GNU Multiboot Specification, version 0.6.96.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/ovf.h"
#include "machine/x86/boot_int.h"

#define MB_MAGIC       0x1badb002
#define MB_PAGE_ALIGN  BIT(0)
#define MB_WANT_MEMORY BIT(1)
#define MB_WANT_VIDEO  BIT(2)
#define MB_MUST_KNOW   0xffffu /* an unknown bit here must be refused */
#define MB_ADDRESSES   BIT(16)

/* The information structure. */
#define MBI_MEMORY     BIT(0)
#define MBI_CMDLINE    BIT(2)
#define MBI_MODS       BIT(3)
#define MBI_MMAP       BIT(6)
#define MBI_LOADER     BIT(9)
#define MBI_MMAP_ENTRY 24 /* bytes, its own size field included */
/* Places in the info page. */
#define OFF_LOADER     0x080
#define OFF_MMAP       0x0c0

/* The BIOS data area: IBM PC Technical Reference, system BIOS. */
#define BDA_ADDR	 0x400
#define BDA_SIZE	 0x100
#define BDA_EBDA_SEGMENT 0x0e
#define BDA_BASE_MEMORY	 0x13 /* KiB */

/* The modules' table and strings. */
#define MODULES_ADDR 0x91000ull
#define MODULES_SIZE 0x1000
#define MODULES_MAX  32
#define MODULE_ENTRY 16

struct modules {
	uint32_t n, used; /* bytes of @page */
	uint8_t page[MODULES_SIZE];
};

static const char loader_name[] = "Lodge";

_Static_assert(OFF_MMAP + BOOT_MEM_MAX * MBI_MMAP_ENTRY <= BOOT_INFO_SIZE, "the map fits");

int boot_find_multiboot(const struct boot_job *j)
{
	const uint8_t *p = j->head, *end = j->head + j->head_len;

	/* By the magic number's first byte: most of an image's head is zeros. */
	while (p < end && (p = memchr(p, MB_MAGIC & 0xff, end - p))) {
		if ((p - j->head) % 4 == 0 && end - p >= 12 && rd_le32(p) == MB_MAGIC &&
			(uint32_t)(MB_MAGIC + rd_le32(p + 4) + rd_le32(p + 8)) == 0)
			return (int)(p - j->head);
		p++;
	}
	return -1;
}

/* A flat image: the header (at offset @off of the file) says what goes where. */
static bool load_flat(struct boot_job *j, uint32_t off, struct error *err)
{
	const uint8_t *h = j->head + off;

	if (off + 32 > j->head_len)
		return error_set(
			err, "kernel '%s': the multiboot header is cut short", j->kernel.path);
	uint32_t header_addr = rd_le32(h + 12), load_addr = rd_le32(h + 16);
	uint32_t load_end = rd_le32(h + 20), bss_end = rd_le32(h + 24), entry = rd_le32(h + 28);
	uint64_t start, len, total;

	if (load_addr > header_addr || header_addr - load_addr > off)
		return error_set(err, "kernel '%s': damaged multiboot header", j->kernel.path);
	start = off - (header_addr - load_addr);
	len = j->kernel.size - start;
	if (load_end) {
		if (load_end < load_addr || load_end - load_addr > len)
			return error_set(err, "kernel '%s': the file is cut short", j->kernel.path);
		len = load_end - load_addr;
	}
	total = len;
	if (bss_end) {
		if (bss_end < load_addr || bss_end - load_addr < len)
			return error_set(
				err, "kernel '%s': damaged multiboot header", j->kernel.path);
		total = bss_end - load_addr;
	}
	if (entry < load_addr || entry - load_addr >= len)
		return error_set(
			err, "kernel '%s': its entry lies outside the image", j->kernel.path);
	j->r->rip = entry;
	j->r->format = "multiboot";
	return boot_claim(j, load_addr, total, "the image", err) &&
	       boot_read_into(j, &j->kernel, start, load_addr, len, err) &&
	       boot_zero(j, load_addr + len, total - len, err);
}

static bool load_elf(struct boot_job *j, struct error *err)
{
	struct boot_elf e;

	if (!boot_is_elf(j))
		return error_set(err,
			"kernel '%s': a multiboot image that is neither ELF nor tells its "
			"addresses",
			j->kernel.path);
	if (!boot_elf_load(j, &e, false, err))
		return false;
	if (!e.entry_inside || e.entry > UINT32_MAX)
		return error_set(err, "kernel '%s': its entry 0x%llx lies outside the image",
			j->kernel.path, (unsigned long long)e.entry);
	j->r->rip = e.entry;
	j->r->format = e.is64 ? "multiboot (ELF64)" : "multiboot (ELF32)";
	return true;
}

/* One module: @text is its file and words. */
static bool put_module(struct boot_job *j, struct modules *m, const char *text, struct error *err)
{
	struct boot_file f = { .what = "module", .fd = -1 };
	size_t len = strlen(text) + 1;
	uint8_t *e = m->page + m->n * MODULE_ENTRY;
	AUTO_FREE char *path = strdup(text);
	uint64_t at;
	bool ok;

	if (!path)
		return error_set(err, "out of memory");
	if (m->n == MODULES_MAX || len > sizeof(m->page) - m->used)
		return error_set(err,
			"module '%s': there are too many modules, or their words "
			"are too long",
			text);
	/* A file of that name, blanks and all, or the first word. */
	if (!boot_file_exists(j->q->files, path))
		path[strcspn(path, " ")] = 0;
	ok = boot_put_file(j, &f, path, 4 * GIB, &at, err);
	boot_file_fini(&f);
	if (!ok)
		return false;
	memcpy(m->page + m->used, text, len);
	wr_le32(e, (uint32_t)at);
	wr_le32(e + 4, (uint32_t)(at + f.size));
	wr_le32(e + 8, (uint32_t)MODULES_ADDR + m->used);
	m->used += (uint32_t)len;
	m->n++;
	return true;
}

bool boot_each_module(const char *list, bool (*fn)(void *opaque, char *text, struct error *err),
	void *opaque, struct error *err)
{
	AUTO_FREE char *text = strdup(list);
	char *to = text, *begin = text;

	if (!text)
		return error_set(err, "out of memory");
	for (const char *from = text;; from++) {
		bool last = !*from;

		if (*from == ',' && from[1] == ',') {
			*to++ = *from++;
			continue;
		}
		if (!last && *from != ',') {
			*to++ = *from;
			continue;
		}
		*to++ = 0;
		if (!fn(opaque, begin, err))
			return false;
		if (last)
			return true;
		begin = to;
	}
}

struct put {
	struct boot_job *j;
	struct modules *m;
};

static bool put_one(void *opaque, char *text, struct error *err)
{
	struct put *p = opaque;

	return put_module(p->j, p->m, text, err);
}

static bool put_modules(struct boot_job *j, uint32_t *n, struct error *err)
{
	struct modules m = { .used = MODULES_MAX * MODULE_ENTRY };
	struct put p = { j, &m };

	*n = 0;
	if (!j->q->initrd)
		return true;
	if (!boot_claim(j, MODULES_ADDR, MODULES_SIZE, "the table of modules", err) ||
		!(boot_file_exists(j->q->files, j->q->initrd)
				? put_module(j, &m, j->q->initrd, err)
				: boot_each_module(j->q->initrd, put_one, &p, err)))
		return false;
	*n = m.n;
	return boot_put(j, MODULES_ADDR, m.page, sizeof(m.page), err);
}

/* KiB of RAM from @from to the first hole. */
static uint32_t ram_kib(const struct boot_mem_map *m, uint64_t from)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->e[i].type == BOOT_MEM_RAM && from >= m->e[i].start &&
			from - m->e[i].start < m->e[i].size)
			return (uint32_t)MIN(
				(m->e[i].size - (from - m->e[i].start)) / KIB, UINT32_MAX);
	return 0;
}

static bool put_info(struct boot_job *j, uint32_t modules, struct error *err)
{
	const struct boot_mem_map *m = j->q->map;
	uint8_t p[BOOT_INFO_SIZE] = { 0 };

	wr_le32(p, MBI_MEMORY | MBI_CMDLINE | MBI_MODS | MBI_MMAP | MBI_LOADER);
	wr_le32(p + 4, ram_kib(m, 0));
	wr_le32(p + 8, ram_kib(m, MIB));
	wr_le32(p + 16, BOOT_CMDLINE_ADDR);
	wr_le32(p + 20, modules);
	wr_le32(p + 24, MODULES_ADDR);
	wr_le32(p + 44, m->n * MBI_MMAP_ENTRY);
	wr_le32(p + 48, BOOT_INFO_ADDR + OFF_MMAP);
	wr_le32(p + 64, BOOT_INFO_ADDR + OFF_LOADER);
	memcpy(p + OFF_LOADER, loader_name, sizeof(loader_name));
	for (uint32_t i = 0; i < m->n; i++) {
		uint8_t *e = p + OFF_MMAP + i * MBI_MMAP_ENTRY;

		wr_le32(e, MBI_MMAP_ENTRY - 4);
		wr_le64(e + 4, m->e[i].start);
		wr_le64(e + 12, m->e[i].size);
		wr_le32(e + 20, m->e[i].type);
	}
	j->r->info = BOOT_INFO_ADDR;
	return boot_claim(j, BOOT_INFO_ADDR, BOOT_INFO_SIZE, "the multiboot information", err) &&
	       boot_put(j, BOOT_INFO_ADDR, p, BOOT_INFO_SIZE, err);
}

/* What a BIOS leaves behind and kernels that a boot loader starts believe: where low memory ends (Xen
 * puts its trampoline there). Not where the image itself lies. */
static bool put_bios_data(struct boot_job *j, struct error *err)
{
	uint32_t kib = MIN(ram_kib(j->q->map, 0), 640u);
	uint8_t word[2];

	if (!boot_is_free(j, BDA_ADDR, BDA_SIZE))
		return true;
	wr_le16(word, (uint16_t)kib);
	if (!boot_put(j, BDA_ADDR + BDA_BASE_MEMORY, word, sizeof(word), err))
		return false;
	wr_le16(word, (uint16_t)(kib * KIB / 16));
	return boot_put(j, BDA_ADDR + BDA_EBDA_SEGMENT, word, sizeof(word), err);
}

bool boot_multiboot(struct boot_job *j, int header, struct error *err)
{
	uint32_t flags = rd_le32(j->head + header + 4), modules;

	if (flags & MB_MUST_KNOW & ~(MB_PAGE_ALIGN | MB_WANT_MEMORY | MB_WANT_VIDEO))
		return error_set(err,
			"kernel '%s': its multiboot header asks for unknown things (0x%x)",
			j->kernel.path, flags & MB_MUST_KNOW);
	j->r->entry = BOOT_ENTRY_MULTIBOOT;
	return (flags & MB_ADDRESSES ? load_flat(j, (uint32_t)header, err) : load_elf(j, err)) &&
	       boot_put_cpu_tables(j, false, err) &&
	       boot_put_cmdline(j, j->kernel.path, BOOT_CMDLINE_MAX - 1, err) &&
	       put_modules(j, &modules, err) && put_info(j, modules, err) && put_bios_data(j, err);
}
