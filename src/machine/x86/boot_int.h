// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * boot_int - shared by the kernel loaders (boot.c, bzimage.c, elf.c, multiboot.c).
 *
 * A load is a struct boot_job on boot_load()'s stack. Everything put into guest RAM is claimed
 * first: a claim lies in RAM of the machine's map and overlaps no other, so that a hostile image
 * cannot be laid over the tables that start it.
 */
#ifndef MACHINE_X86_BOOT_INT_H
#define MACHINE_X86_BOOT_INT_H

#include "base/wire.h"
#include "machine/x86/boot.h"
#include "mem/gmem.h"

/* What the loaders put into low memory; above what real-mode images (kvm-unit-tests) link to. */
#define BOOT_GDT_ADDR	  0x80000ull
#define BOOT_CMDLINE_ADDR 0x80040ull /* in the GDT's page: one page less to fault in */
#define BOOT_CMDLINE_MAX  0xffc0ull  /* bytes with the NUL */
#define BOOT_INFO_ADDR	  0x90000ull /* boot_params, hvm_start_info or multiboot info; one page */
#define BOOT_INFO_SIZE	  0x1000ull
#define BOOT_PT_ADDR	  0x92000ull /* PML4, PDPT, four PDs: identity map of 4 GiB */
#define BOOT_PT_PAGES	  6

#define BOOT_PAGE	4096ull
#define BOOT_HEAD_MAX	8192 /* bytes of the image that are looked at to tell the format */
#define BOOT_CLAIMS_MAX 80
#define BOOT_PHDRS_MAX	64

struct boot_file {
	const char *what; /* "kernel", "initrd": for messages */
	const char *path; /* borrowed */
	int fd;		  /* owned; -1: not open */
	uint64_t size;	  /* bytes */
};

struct boot_claim {
	uint64_t start, len;
};

struct boot_job {
	struct as *as;
	const struct boot_request *q;
	struct boot_result *r;
	struct boot_file kernel, initrd;
	uint64_t initrd_addr; /* 0: none; the size is initrd.size */
	struct boot_claim claim[BOOT_CLAIMS_MAX];
	uint32_t n_claims;
	uint32_t head_len;
	uint8_t *head; /* borrowed: the image's first bytes, BOOT_HEAD_MAX; zero beyond head_len */
};

/* The formats. Each returns false with @err set; *tried says whether the image is of the format. */
bool boot_is_bzimage(const struct boot_job *j);
bool boot_bzimage(struct boot_job *j, struct error *err) MUST_USE;
/* Offset of a multiboot header in the head, or -1. */
int boot_find_multiboot(const struct boot_job *j);
bool boot_multiboot(struct boot_job *j, int header, struct error *err) MUST_USE;
bool boot_is_elf(const struct boot_job *j);
bool boot_elf(struct boot_job *j, struct error *err) MUST_USE;

/* An ELF image's loadable parts in physical memory, of either class. */
struct boot_elf {
	bool is64;
	uint16_t machine;
	uint64_t entry;		/* physical */
	bool entry_inside;	/* of a loadable segment */
	bool pvh, linux_kernel; /* notes found */
	uint64_t pvh_entry;
	uint32_t n_loads;
	uint64_t start[BOOT_PHDRS_MAX], end[BOOT_PHDRS_MAX]; /* physical, of the loaded segments */
};
/* Claim and load all segments. Notes are looked for when @notes. */
bool boot_elf_load(struct boot_job *j, struct boot_elf *e, bool notes, struct error *err) MUST_USE;

/* Claim [start, start + len) for @what. */
bool boot_claim(struct boot_job *j, uint64_t start, uint64_t len, const char *what,
	struct error *err) MUST_USE;
/* True when the range is RAM and nobody's. */
bool boot_is_free(const struct boot_job *j, uint64_t start, uint64_t len);
/* Read @len bytes at @off of the file; all of them or an error. */
bool boot_pread(const struct boot_file *f, uint64_t off, void *buf, uint64_t len,
	struct error *err) MUST_USE;
/* Read [off, off + len) of the file straight into guest RAM at @addr, which is claimed. */
bool boot_read_into(struct boot_job *j, const struct boot_file *f, uint64_t off, uint64_t addr,
	uint64_t len, struct error *err) MUST_USE;
/* Zero claimed RAM, unless all RAM is known to be zero. */
bool boot_zero(struct boot_job *j, uint64_t addr, uint64_t len, struct error *err) MUST_USE;
bool boot_put(
	struct boot_job *j, uint64_t addr, const void *p, uint64_t len, struct error *err) MUST_USE;
/* The memory map as an array at @p, which has room: start, size and type, an entry every @stride bytes. */
void boot_map_write(const struct boot_mem_map *m, uint8_t *p, size_t stride);
/* Put the command line at BOOT_CMDLINE_ADDR, with @prefix and a space before it when not NULL; at
 * most @max bytes without the NUL. */
bool boot_put_cmdline(
	struct boot_job *j, const char *prefix, uint64_t max, struct error *err) MUST_USE;
/* Open, place (as high as possible, below @limit) and load a file: @f has what it is and no descriptor, and
 * is to be given to boot_file_fini() in any case. The initrd, if there is one: into the job. */
bool boot_put_file(struct boot_job *j, struct boot_file *f, const char *path, uint64_t limit,
	uint64_t *addr, struct error *err) MUST_USE;
bool boot_file_exists(const struct boot_files *files, const char *path);
void boot_file_fini(struct boot_file *f);
/* The modules of a multiboot kernel: `FILE [WORDS],FILE [WORDS]...`, `,,` for a comma. @fn may change its
 * text. False as soon as @fn is. */
bool boot_each_module(const char *list, bool (*fn)(void *opaque, char *text, struct error *err),
	void *opaque, struct error *err) MUST_USE;
bool boot_put_initrd(struct boot_job *j, uint64_t limit, struct error *err) MUST_USE;
/* GDT; with @paging identity page tables too. Fills the result's gdt and cr3. */
bool boot_put_cpu_tables(struct boot_job *j, bool paging, struct error *err) MUST_USE;
/* Zero page for a Linux kernel: @hdr is its setup header (@hdr_len bytes at 0x1f1) or NULL. */
bool boot_put_params(
	struct boot_job *j, const uint8_t *hdr, uint32_t hdr_len, struct error *err) MUST_USE;

#endif
