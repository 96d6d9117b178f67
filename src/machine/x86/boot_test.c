// SPDX-License-Identifier: GPL-2.0-or-later
/* Kernel loaders against made-up images, good and bad, in 64 MiB of RAM. */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/types.h"
#include "base/wire.h"
#include "machine/x86/boot.h"
#include "mem/gmem.h"
#include "mem/ram.h"

#define RAM (64 * MIB)

static struct as as;
static struct as_region low;
static struct boot_mem_map map = { .n = 3,
	.e = { { 0, 0x9fc00, BOOT_MEM_RAM }, { 0xf0000, 0x10000, BOOT_MEM_RESERVED },
		{ MIB, RAM - MIB, BOOT_MEM_RAM } } };
static struct boot_result res;
static struct error err;

/* A file in memory, by a path. */
struct file {
	int fd;
	char path[64];
};

static struct file file_new(const void *p, size_t len)
{
	struct file f = { .fd = memfd_create("image", MFD_CLOEXEC) };

	assert_true(f.fd >= 0);
	assert_int_equal(write(f.fd, p, len), (ssize_t)len);
	snprintf(f.path, sizeof(f.path), "/proc/self/fd/%d", f.fd);
	return f;
}

/* Load an image of @len bytes with an initrd of @initrd_len bytes (0: none). */
static bool load(const void *p, size_t len, size_t initrd_len, const char *cmdline)
{
	struct file k = file_new(p, len), i = file_new("initrd", 6);
	struct boot_request q = { .kernel = k.path,
		.cmdline = cmdline,
		.map = &map,
		.ram_below_4g = RAM,
		.acpi_rsdp = 0xe0000 };
	bool ok;

	if (initrd_len) {
		assert_int_equal(ftruncate(i.fd, (off_t)initrd_len), 0);
		q.initrd = i.path;
	}
	err = (struct error)ERROR_INIT;
	memset(&res, 0, sizeof(res));
	ok = boot_load(&as, &q, &res, &err);
	close(k.fd);
	close(i.fd);
	if (!ok)
		assert_string_not_equal(err.msg, "");
	return ok;
}

static void assert_refused(
	const void *p, size_t len, size_t initrd, const char *cmdline, const char *text)
{
	assert_false(load(p, len, initrd, cmdline));
	if (!strstr(err.msg, text))
		fail_msg("'%s' does not say '%s'", err.msg, text);
}

static void peek(uint64_t addr, void *buf, size_t len)
{
	assert_int_equal(gmem_read(&as, GPA(addr), buf, len), 0);
}

static uint32_t peek32(uint64_t addr)
{
	uint8_t b[4];

	peek(addr, b, 4);
	return rd_le32(b);
}

static uint64_t peek64(uint64_t addr)
{
	uint8_t b[8];

	peek(addr, b, 8);
	return rd_le64(b);
}

static int setup(void **state)
{
	struct ram_config c = { .name = "test", .size = RAM, .host_node = -1 };
	struct ram_block *b = ram_block_new(&c, &err);

	if (!b || !as_init(&as, "memory", 1ull << 40, &err))
		return -1;
	low = (struct as_region){ .name = "ram", .kind = AS_RAM, .ram = b };
	return as_add(&as, &low, 0, RAM);
}

static int teardown(void **state)
{
	as_del(&as, &low);
	as_fini(&as);
	ram_block_unref(low.ram);
	return 0;
}

/* ---------------------------------------------------------------- bzImage */

#define BZ_LEN 0x3000

static void make_bzimage(uint8_t *p)
{
	memset(p, 0, BZ_LEN);
	memset(p + 0x400, 0xaa, BZ_LEN - 0x400);
	p[0x1f1] = 1;
	wr_le32(p + 0x1f4, (BZ_LEN - 0x400) / 16);
	wr_le16(p + 0x1fe, 0xaa55);
	p[0x201] = 0x66;
	memcpy(p + 0x202, "HdrS", 4);
	wr_le16(p + 0x206, 0x20f);
	wr_le32(p + 0x22c, 0x7fffffff);
	wr_le32(p + 0x230, 0x200000);
	p[0x234] = 1;
	wr_le16(p + 0x236, 3);
	wr_le32(p + 0x238, 2047);
	wr_le64(p + 0x258, 16 * MIB);
	wr_le32(p + 0x260, 4 * MIB);
}

static void test_bzimage(void **state)
{
	uint8_t p[BZ_LEN], mem[16];

	make_bzimage(p);
	assert_true(load(p, sizeof(p), 5000, "console=ttyS0"));
	assert_int_equal(res.entry, BOOT_ENTRY_64);
	assert_int_equal(res.rip, 16 * MIB + 0x200);
	assert_string_equal(res.format, "bzImage");
	peek(16 * MIB, mem, 16);
	assert_int_equal(mem[0], 0xaa);
	/* Zero page: header copied, loader's members set. */
	assert_int_equal(peek32(res.info + 0x202), 0x53726448);
	peek(res.info + 0x210, mem, 1);
	assert_int_equal(mem[0], 0xff);
	peek(peek32(res.info + 0x228), mem, 14);
	assert_string_equal((char *)mem, "console=ttyS0");
	assert_int_equal(peek64(res.info + 0x70), 0xe0000);
	/* Memory map. */
	peek(res.info + 0x1e8, mem, 1);
	assert_int_equal(mem[0], 3);
	assert_int_equal(peek64(res.info + 0x2d0 + 40), MIB);
	assert_int_equal(peek64(res.info + 0x2d0 + 48), RAM - MIB);
	assert_int_equal(peek32(res.info + 0x2d0 + 56), BOOT_MEM_RAM);
	/* Initrd: as high as possible, page-aligned. */
	assert_int_equal(peek32(res.info + 0x218), RAM - 8192);
	assert_int_equal(peek32(res.info + 0x21c), 5000);
	peek(RAM - 8192, mem, 6);
	assert_memory_equal(mem, "initrd", 6);
}

/* A kernel without the 64-bit entry, or older than that: protected mode, no paging. */
static void test_bzimage_32(void **state)
{
	struct x86_cpu_state s = { 0 };
	uint8_t p[BZ_LEN];

	make_bzimage(p);
	wr_le16(p + 0x236, 0);
	assert_true(load(p, sizeof(p), 0, ""));
	assert_int_equal(res.entry, BOOT_ENTRY_32);
	assert_int_equal(res.rip, 16 * MIB);
	assert_int_equal(peek64(res.gdt + 0x10), 0x00cf9b000000ffffull);
	boot_cpu_state(&res, &s);
	assert_int_equal(s.cr0 & 0x80000001, 1);
	assert_int_equal(s.gpr[X86_RSI], res.info);
	assert_int_equal(s.gpr[X86_RBX] | s.gpr[X86_RBP] | s.gpr[X86_RDI], 0);
	make_bzimage(p);
	wr_le16(p + 0x206, 0x20a);
	assert_true(load(p, sizeof(p), 0, ""));
	assert_int_equal(res.entry, BOOT_ENTRY_32);
}

static void test_bzimage_page_tables(void **state)
{
	uint8_t p[BZ_LEN];
	const uint64_t probes[] = { 0, 16 * MIB, 0xfee00000, 4 * GIB - 1 };

	make_bzimage(p);
	assert_true(load(p, sizeof(p), 0, ""));
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
		uint64_t a = probes[i], e = peek64(res.cr3);

		e = peek64((e & ~0xfffull) + (a >> 30) * 8);
		assert_int_equal(e & 0x81, 1);
		e = peek64((e & ~0xfffull) + ((a >> 21) & 511) * 8);
		assert_int_equal(e & 0x83, 0x83);
		assert_int_equal(e & ~0x1fffffull, a & ~0x1fffffull);
	}
	assert_int_equal(peek64(res.gdt + 0x10), 0x00af9b000000ffffull);
	assert_int_equal(peek64(res.gdt + 0x18), 0x00cf93000000ffffull);
}

static void test_bzimage_places(void **state)
{
	uint8_t p[BZ_LEN];

	make_bzimage(p);
	wr_le64(p + 0x258, 1 * GIB); /* preferred place is not there: the lowest aligned one */
	assert_true(load(p, sizeof(p), 0, ""));
	assert_int_equal(res.rip, 2 * MIB + 0x200);
	p[0x234] = 0;
	assert_refused(p, sizeof(p), 0, "", "does not fit into guest RAM");
	make_bzimage(p);
	wr_le32(p + 0x260, 0xfffffff0);
	assert_refused(p, sizeof(p), 0, "", "give more memory");
	make_bzimage(p);
	wr_le64(p + 0x258, UINT64_MAX - 4095); /* wraps */
	assert_true(load(p, sizeof(p), 0, ""));
	wr_le64(p + 0x258, 0); /* below 1 MiB nothing is loaded */
	wr_le32(p + 0x230, 3);
	assert_refused(p, sizeof(p), 0, "", "does not fit");
	/* The initrd stays below initrd_addr_max and off the kernel. */
	make_bzimage(p);
	wr_le32(p + 0x22c, 20 * MIB - 1);
	assert_true(load(p, sizeof(p), 4096, ""));
	assert_int_equal(peek32(res.info + 0x218), 16 * MIB - 4096);
}

static void test_bzimage_bad(void **state)
{
	uint8_t p[BZ_LEN];
	char line[4096];

	make_bzimage(p);
	assert_refused(p, 0x1000, 0, "", "cut short");
	assert_refused(p, 0x300, 0, "", "cut short");
	assert_refused(p, 0x250, 0, "", "not a bootable image");
	assert_refused(p, sizeof(p), 60 * MIB, "", "does not fit into guest RAM");
	assert_refused(p, sizeof(p), 1ull << 40, "", "does not fit into guest RAM");
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = 0;
	assert_refused(p, sizeof(p), 0, line, "command line is too long");
	wr_le16(p + 0x206, 0x204);
	assert_refused(p, sizeof(p), 0, "", "boot protocol 2.04");
	make_bzimage(p);
	p[0x1f1] = 0xff;
	assert_refused(p, sizeof(p), 0, "", "cut short");
}

/* ---------------------------------------------------------------- ELF */

#define ELF_LEN 0x2000

/* One segment: file 0x1000..0x1800 to 32 MiB, 0x1000 bytes of memory; notes at 0x200. */
static void make_elf(uint8_t *p, bool pvh, bool linux_note)
{
	Elf64_Ehdr eh = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = 1,
		.e_entry = 32 * MIB + 0x10,
		.e_phoff = 64,
		.e_ehsize = 64,
		.e_phentsize = 56,
		.e_phnum = 2 };
	Elf64_Phdr load = { .p_type = PT_LOAD,
		.p_offset = 0x1000,
		.p_vaddr = 0xffffffff82000000,
		.p_paddr = 32 * MIB,
		.p_filesz = 0x800,
		.p_memsz = 0x1000 };
	Elf64_Phdr note = { .p_type = PT_NOTE, .p_offset = 0x200, .p_align = 4 };
	uint8_t *n = p + 0x200;

	memset(p, 0, ELF_LEN);
	memset(p + 0x1000, 0x90, 0x800);
	if (linux_note) {
		wr_le32(n, 6);
		wr_le32(n + 4, 1);
		wr_le32(n + 8, 0x100);
		memcpy(n + 12, "Linux", 6);
		n += 24;
	}
	if (pvh) {
		wr_le32(n, 4);
		wr_le32(n + 4, 8);
		wr_le32(n + 8, 18);
		memcpy(n + 12, "Xen", 4);
		wr_le64(n + 16, 32 * MIB + 0x20);
		n += 24;
	}
	note.p_filesz = (uint64_t)(n - (p + 0x200));
	memcpy(p, &eh, sizeof(eh));
	memcpy(p + 64, &load, sizeof(load));
	memcpy(p + 120, &note, sizeof(note));
}

static void test_elf_pvh(void **state)
{
	uint8_t p[ELF_LEN], byte = 0x55;
	uint64_t mods, mmap;

	make_elf(p, true, false);
	assert_int_equal(gmem_write(&as, GPA(32 * MIB + 0x800), &byte, 1), 0);
	assert_true(load(p, sizeof(p), 100, "a b"));
	assert_int_equal(res.entry, BOOT_ENTRY_PVH);
	assert_int_equal(res.rip, 32 * MIB + 0x20);
	assert_int_equal(peek32(res.info), 0x336ec578);
	assert_int_equal(peek32(res.info + 4), 1);
	assert_int_equal(peek32(res.info + 12), 1);
	mods = peek64(res.info + 16);
	assert_int_equal(peek64(mods), RAM - 4096);
	assert_int_equal(peek64(mods + 8), 100);
	assert_int_equal(peek32(peek64(res.info + 24)), 0x00622061); /* "a b" */
	assert_int_equal(peek64(res.info + 32), 0xe0000);
	mmap = peek64(res.info + 40);
	assert_int_equal(peek32(res.info + 48), 3);
	assert_int_equal(peek64(mmap + 48), MIB);
	assert_int_equal(peek32(mmap + 24 + 16), BOOT_MEM_RESERVED);
	/* .bss is zero again, the rest is loaded. */
	peek(32 * MIB + 0x800, &byte, 1);
	assert_int_equal(byte, 0);
	peek(32 * MIB + 0x7ff, &byte, 1);
	assert_int_equal(byte, 0x90);
}

static void test_elf_64(void **state)
{
	uint8_t p[ELF_LEN];

	make_elf(p, true, true); /* Linux: 64-bit entry although it has the note */
	assert_true(load(p, sizeof(p), 0, "x"));
	assert_int_equal(res.entry, BOOT_ENTRY_64);
	assert_int_equal(res.rip, 32 * MIB + 0x10);
	assert_int_equal(peek32(res.info + 0x202), 0x53726448);
	make_elf(p, false, false);
	wr_le64(p + 24, 0xffffffff82000044); /* a virtual entry is translated */
	assert_true(load(p, sizeof(p), 0, "x"));
	assert_int_equal(res.rip, 32 * MIB + 0x44);
	wr_le64(p + 24, 12345);
	assert_refused(p, sizeof(p), 0, "", "neither a PVH note nor");
}

static void test_elf_bad(void **state)
{
	uint8_t p[ELF_LEN];

	make_elf(p, true, false);
	assert_refused(p, 0x100, 0, "", "cut short");
	assert_refused(p, 100, 0, "", "cut short");
	assert_refused(p, 0x1700, 0, "", "cut short");
	wr_le64(p + 64 + 40, UINT64_MAX); /* p_memsz */
	assert_refused(p, sizeof(p), 0, "", "outside guest RAM");
	wr_le64(p + 64 + 40, 0x10);
	assert_refused(p, sizeof(p), 0, "", "damaged ELF");
	make_elf(p, true, false);
	wr_le64(p + 64 + 24, RAM); /* p_paddr */
	assert_refused(p, sizeof(p), 0, "", "outside guest RAM");
	wr_le64(p + 64 + 24, 0x8fff0); /* over the start info */
	wr_le64(p + 0x200 + 16, 0x8fff0);
	assert_refused(p, sizeof(p), 0, "", "overlaps");
	make_elf(p, true, false);
	wr_le64(p + 0x200 + 16, 0x1234);
	assert_refused(p, sizeof(p), 0, "", "PVH entry");
	make_elf(p, true, false);
	wr_le64(p + 32, UINT64_MAX - 8); /* e_phoff */
	assert_refused(p, sizeof(p), 0, "", "cut short");
	make_elf(p, true, false);
	wr_le16(p + 56, 0xffff); /* e_phnum */
	assert_refused(p, sizeof(p), 0, "", "program headers");
	make_elf(p, true, false);
	wr_le16(p + 18, EM_AARCH64);
	assert_refused(p, sizeof(p), 0, "", "not for x86");
	make_elf(p, true, false);
	wr_le32(p + 0x200, UINT32_MAX); /* the note's owner is longer than everything */
	assert_true(load(p, sizeof(p), 0, ""));
	assert_int_equal(res.entry, BOOT_ENTRY_64);
}

/* ---------------------------------------------------------------- multiboot */

static void make_multiboot(uint8_t *p, uint32_t flags)
{
	uint8_t *h = p + 0x100;

	memset(p, 0, 0x1000);
	memset(p + 0x200, 0x90, 0xe00);
	wr_le32(h, 0x1badb002);
	wr_le32(h + 4, flags);
	wr_le32(h + 8, 0u - 0x1badb002 - flags);
	wr_le32(h + 12, 4 * MIB + 0x100);
	wr_le32(h + 16, 4 * MIB);
	wr_le32(h + 20, 4 * MIB + 0x1000);
	wr_le32(h + 24, 4 * MIB + 0x3000);
	wr_le32(h + 28, 4 * MIB + 0x200);
}

static void test_multiboot_flat(void **state)
{
	struct x86_cpu_state s = { 0 };
	uint8_t p[0x1000];
	char text[64];
	uint32_t mod;

	make_multiboot(p, 0x10003);
	assert_true(load(p, sizeof(p), 3000, "arg"));
	assert_int_equal(res.entry, BOOT_ENTRY_MULTIBOOT);
	assert_int_equal(res.rip, 4 * MIB + 0x200);
	assert_int_equal(peek32(4 * MIB + 0x100), 0x1badb002);
	assert_int_equal(peek32(res.info), 0x24d);
	assert_int_equal(peek32(res.info + 4), 639);
	assert_int_equal(peek32(res.info + 8), RAM / KIB - 1024);
	assert_int_equal(peek32(res.info + 20), 1);
	mod = peek32(res.info + 24);
	assert_int_equal(peek32(mod), RAM - 4096);
	assert_int_equal(peek32(mod + 4), RAM - 4096 + 3000);
	assert_int_equal(peek32(res.info + 44), 3 * 24);
	assert_int_equal(peek32(peek32(res.info + 48)), 20);
	peek(peek32(res.info + 16), text, sizeof(text));
	text[63] = 0;
	assert_non_null(strstr(text, " arg"));
	boot_cpu_state(&res, &s);
	assert_int_equal(s.gpr[X86_RAX], 0x2badb002);
	assert_int_equal(s.gpr[X86_RBX], res.info);
	assert_int_equal(s.cr0 & 0x80000001, 1);
	assert_int_equal(s.efer, 0);
	assert_int_equal(s.seg[X86_CS].attr & X86_ATTR_DB, X86_ATTR_DB);
	/* The BIOS data area. */
	assert_int_equal(peek32(0x40e) & 0xffff, 0x9fc0);
	assert_int_equal(peek32(0x413) & 0xffff, 639);
}

static void test_multiboot_over_bios_data(void **state)
{
	uint8_t p[0x1000];

	make_multiboot(p, 0x10000);
	wr_le32(p + 0x100 + 12, 0x400);
	wr_le32(p + 0x100 + 16, 0x400);
	wr_le32(p + 0x100 + 20, 0x1300);
	wr_le32(p + 0x100 + 24, 0);
	wr_le32(p + 0x100 + 28, 0x500);
	assert_true(load(p, sizeof(p), 0, ""));
	assert_int_equal(peek32(0x40e), rd_le32(p + 0x10e));
}

static bool load_modules(const char *modules)
{
	uint8_t p[0x1000];
	struct file k;
	struct boot_request q = {
		.initrd = modules, .cmdline = "", .map = &map, .ram_below_4g = RAM
	};
	bool ok;

	make_multiboot(p, 0x10000);
	k = file_new(p, sizeof(p));
	q.kernel = k.path;
	err = (struct error)ERROR_INIT;
	ok = boot_load(&as, &q, &res, &err);
	close(k.fd);
	return ok;
}

static void assert_module(unsigned int n, uint64_t len, const char *string)
{
	uint64_t mod = peek32(res.info + 24) + 16 * n, start = peek32(mod);
	char text[64];

	assert_int_equal(peek32(mod + 4) - start, len);
	assert_int_equal(start % 4096, 0);
	peek(peek32(mod + 8), text, sizeof(text));
	text[63] = 0;
	assert_string_equal(text, string);
}

static void test_multiboot_modules(void **state)
{
	struct file a = file_new("first", 5), b = file_new("second file", 11);
	char list[300], one[100], many[64 * 40] = "";

	snprintf(list, sizeof(list), "%s quiet x=1,,2,%s", a.path, b.path);
	assert_true(load_modules(list));
	assert_int_equal(peek32(res.info + 20), 2);
	snprintf(one, sizeof(one), "%s quiet x=1,2", a.path);
	assert_module(0, 5, one);
	assert_module(1, 11, b.path);
	assert_int_equal(peek32(peek32(peek32(res.info + 24) + 16)), rd_le32("seco"));
	/* No such file, none, too many of them. */
	snprintf(list, sizeof(list), "%s,/nonexistent/module x", a.path);
	assert_false(load_modules(list));
	assert_non_null(strstr(err.msg, "module '/nonexistent/module': cannot open"));
	snprintf(list, sizeof(list), "%s,", a.path);
	assert_false(load_modules(list));
	for (int i = 0; i < 33; i++) {
		strcat(many, a.path);
		strcat(many, i < 32 ? "," : "");
	}
	assert_false(load_modules(many));
	assert_non_null(strstr(err.msg, "too many modules"));
	close(a.fd);
	close(b.fd);
}

static void test_multiboot_elf(void **state)
{
	uint8_t p[ELF_LEN];
	uint8_t *h = p + 0x400;

	make_elf(p, false, false);
	wr_le32(h, 0x1badb002);
	wr_le32(h + 4, 0);
	wr_le32(h + 8, 0u - 0x1badb002);
	assert_true(load(p, sizeof(p), 0, ""));
	assert_int_equal(res.entry, BOOT_ENTRY_MULTIBOOT);
	assert_int_equal(res.rip, 32 * MIB + 0x10);
	assert_string_equal(res.format, "multiboot (ELF64)");
}

static void test_multiboot_bad(void **state)
{
	uint8_t p[0x1000];

	make_multiboot(p, 0x10008);
	assert_refused(p, sizeof(p), 0, "", "unknown things");
	make_multiboot(p, 0);
	assert_refused(p, sizeof(p), 0, "", "neither ELF");
	make_multiboot(p, 0x10000);
	assert_refused(p, 0x110, 0, "", "cut short");
	assert_refused(p, 0x800, 0, "", "cut short");
	wr_le32(p + 0x100 + 16, 4 * MIB + 0x200); /* loads behind its header */
	assert_refused(p, sizeof(p), 0, "", "damaged");
	make_multiboot(p, 0x10000);
	wr_le32(p + 0x100 + 24, 5);
	assert_refused(p, sizeof(p), 0, "", "damaged");
	make_multiboot(p, 0x10000);
	wr_le32(p + 0x100 + 28, 0);
	assert_refused(p, sizeof(p), 0, "", "entry");
	make_multiboot(p, 0x10000);
	wr_le32(p + 0x100 + 24, 0xfffffff0);
	assert_refused(p, sizeof(p), 0, "", "outside guest RAM");
}

/* ---------------------------------------------------------------- others */

static void test_not_kernels(void **state)
{
	struct boot_request q = {
		.kernel = "/nonexistent/kernel", .cmdline = "", .map = &map, .ram_below_4g = RAM
	};
	uint8_t p[256] = { 0 };

	assert_refused("", 0, 0, "", "empty");
	assert_refused("x", 1, 0, "", "not a bootable image");
	assert_refused(p, sizeof(p), 0, "", "not a bootable image");
	assert_refused("\x1f\x8b\x08", 3, 0, "", "gzip");
	memcpy(p + 56, "ARM\x64", 4);
	assert_refused(p, sizeof(p), 0, "", "arm64");
	assert_false(boot_load(&as, &q, &res, &err));
	assert_non_null(strstr(err.msg, "No such file"));
	q.kernel = "/";
	assert_false(boot_load(&as, &q, &res, &err));
	assert_non_null(strstr(err.msg, "not a regular file"));
}

static void test_missing_initrd(void **state)
{
	uint8_t p[BZ_LEN];
	struct file f;
	struct boot_request q = {
		.initrd = "/nonexistent/initrd", .cmdline = "", .map = &map, .ram_below_4g = RAM
	};

	make_bzimage(p);
	f = file_new(p, sizeof(p));
	q.kernel = f.path;
	assert_false(boot_load(&as, &q, &res, &err));
	assert_non_null(strstr(err.msg, "initrd '/nonexistent/initrd': cannot open"));
	close(f.fd);
}

static void test_cpu_state_64(void **state)
{
	struct x86_cpu_state s = { 0 };
	struct boot_result r = { .entry = BOOT_ENTRY_64,
		.rip = 0x1000200,
		.info = 0x90000,
		.cr3 = 0x92000,
		.gdt = 0x80000 };

	boot_cpu_state(&r, &s);
	assert_int_equal(s.gpr[X86_RSI], 0x90000);
	assert_int_equal(s.cr0 & 0x80000001, 0x80000001);
	assert_int_equal(s.cr4, 1 << 5);
	assert_int_equal(s.efer, 0x500);
	assert_int_equal(s.seg[X86_CS].selector, 0x10);
	assert_int_equal(s.seg[X86_CS].attr & (X86_ATTR_L | X86_ATTR_DB), X86_ATTR_L);
	assert_int_equal(s.seg[X86_SS].selector, 0x18);
	r.entry = BOOT_ENTRY_PVH;
	boot_cpu_state(&r, &s);
	assert_int_equal(s.gpr[X86_RBX], 0x90000);
	assert_int_equal(s.gpr[X86_RAX], 0);
	assert_int_equal(s.cr4, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bzimage),
		cmocka_unit_test(test_bzimage_32),
		cmocka_unit_test(test_bzimage_page_tables),
		cmocka_unit_test(test_bzimage_places),
		cmocka_unit_test(test_bzimage_bad),
		cmocka_unit_test(test_elf_pvh),
		cmocka_unit_test(test_elf_64),
		cmocka_unit_test(test_elf_bad),
		cmocka_unit_test(test_multiboot_flat),
		cmocka_unit_test(test_multiboot_over_bios_data),
		cmocka_unit_test(test_multiboot_modules),
		cmocka_unit_test(test_multiboot_elf),
		cmocka_unit_test(test_multiboot_bad),
		cmocka_unit_test(test_not_kernels),
		cmocka_unit_test(test_missing_initrd),
		cmocka_unit_test(test_cpu_state_64),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
