// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * boot - direct kernel boot: puts a kernel, initrd and command line into guest RAM and tells the
 * boot CPU's first state. Kernel images are hostile: every offset and size is checked against the
 * file and against RAM.
 *
 * Formats, by content: bzImage (Linux/x86 boot protocol, 64-bit entry), ELF64 with a PVH note
 * (XEN_ELFNOTE_PHYS32_ENTRY) or by its 64-bit entry, ELF32/ELF64/flat by a multiboot 1 header.
 */
#ifndef MACHINE_X86_BOOT_H
#define MACHINE_X86_BOOT_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "mem/as.h"
#include "x86/cpu_state.h"

/* Guest-physical memory map entry (E820 types). */
enum boot_mem_type { BOOT_MEM_RAM = 1, BOOT_MEM_RESERVED = 2, BOOT_MEM_ACPI = 3, BOOT_MEM_NVS = 4 };
#define BOOT_MEM_MAX 32
struct boot_mem_map {
	uint32_t n;
	struct {
		uint64_t start, size;
		uint32_t type;
	} e[BOOT_MEM_MAX];
};

/* The files of a machine, open for its lifetime: at a reset their paths may be closed to us (sandbox/), or
 * lead to other files. */
#define BOOT_FILES_MAX 66
struct boot_files {
	unsigned int n;
	struct {
		char *path; /* owned */
		int fd;	    /* owned */
	} f[BOOT_FILES_MAX];
};

struct boot_request {
	const char *kernel; /* path */
	const char *initrd; /* path or NULL; multiboot: modules, multiboot.c has their form */
	const struct boot_files *files; /* NULL: paths are opened at each load */
	const char *cmdline;		/* never NULL */
	const struct boot_mem_map *map;
	uint64_t ram_below_4g; /* end of low RAM */
	uint64_t acpi_rsdp;    /* guest-physical address of the RSDP, 0: none */
	bool ram_zeroed;       /* RAM is fresh: parts that must be zero need not be written */
};

enum boot_entry { BOOT_ENTRY_64, BOOT_ENTRY_32, BOOT_ENTRY_PVH, BOOT_ENTRY_MULTIBOOT };

struct boot_result {
	enum boot_entry entry;
	uint64_t rip;
	uint64_t info; /* address of boot_params, hvm_start_info or multiboot info */
	uint64_t cr3;  /* 64-bit entry: identity page tables */
	uint64_t gdt;
	const char *format; /* "bzImage", "ELF (PVH)", ... */
};

/* Open what @kernel and @initrd name, for all loads to come. @files is zeroed before; modules that are
 * not there are the load's business. */
bool boot_files_open(struct boot_files *files, const char *kernel, const char *initrd,
	struct error *err) MUST_USE;
void boot_files_close(struct boot_files *files);
/* Load everything into @as. Called again at each reset (guest RAM is the guest's to overwrite). */
bool boot_load(struct as *as, const struct boot_request *q, struct boot_result *r,
	struct error *err) MUST_USE;
/* First state of the boot CPU: changes registers, segments, control registers and EFER of a state
 * that x86_cpu_state_reset() has prepared. */
void boot_cpu_state(const struct boot_result *r, struct x86_cpu_state *s);

#endif
