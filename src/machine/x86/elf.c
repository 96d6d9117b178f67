// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * elf - ELF kernels: by their 64-bit entry with a Linux zero page, or by the PVH note.
 *
 * A Linux vmlinux has both. It is entered in 64-bit mode: the PVH path would first build the same
 * zero page, in the guest, and look for Xen with 256 CPUIDs, an exit each. Linux tells itself by
 * its build-salt note. Any other kernel with a PVH note is entered through it; one without is
 * trusted to follow Linux's 64-bit boot protocol.
 *
 * Source: System V gABI, ELF-64; Xen, docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/ovf.h"
#include "machine/x86/boot_int.h"

#define NOTES_MAX (64 * KIB) /* of one PT_NOTE segment */

#define NOTE_PVH_ENTRY	18    /* owner "Xen": XEN_ELFNOTE_PHYS32_ENTRY */
#define NOTE_BUILD_SALT 0x100 /* owner "Linux" */

bool boot_is_elf(const struct boot_job *j)
{
	return j->head_len >= sizeof(Elf32_Ehdr) && !memcmp(j->head, ELFMAG, SELFMAG);
}

/* A program header of either class. */
struct segment {
	uint32_t type;
	uint64_t off, vaddr, paddr, filesz, memsz, align;
};

static struct segment segment_parse(const uint8_t *p, bool is64)
{
	if (is64) {
		Elf64_Phdr h;

		memcpy(&h, p, sizeof(h));
		return (struct segment){ h.p_type, h.p_offset, h.p_vaddr, h.p_paddr, h.p_filesz,
			h.p_memsz, h.p_align };
	}
	Elf32_Phdr h;

	memcpy(&h, p, sizeof(h));
	return (struct segment){ h.p_type, h.p_offset, h.p_vaddr, h.p_paddr, h.p_filesz, h.p_memsz,
		h.p_align };
}

static void take_note(struct boot_elf *e, const char *owner, uint32_t owner_len, uint32_t type,
	const uint8_t *desc, uint32_t desc_len)
{
	if (owner_len == 4 && !memcmp(owner, "Xen", 4) && type == NOTE_PVH_ENTRY &&
		(desc_len == 4 || desc_len == 8)) {
		e->pvh = true;
		e->pvh_entry = rd_le(desc, desc_len);
	} else if (owner_len == 6 && !memcmp(owner, "Linux", 6) && type == NOTE_BUILD_SALT) {
		e->linux_kernel = true;
	}
}

/* Notes are: owner length, description length, type, then both padded to @align. */
static void scan_notes(struct boot_elf *e, const uint8_t *p, uint64_t len, uint64_t align)
{
	uint64_t off = 0;

	while (len - off >= 12) {
		uint32_t owner_len = rd_le32(p + off), desc_len = rd_le32(p + off + 4);
		uint32_t type = rd_le32(p + off + 8);
		uint64_t owner = off + 12;
		/* Lengths are 32-bit, offsets at most NOTES_MAX: no sum overflows. */
		uint64_t desc = ALIGN_UP(owner + owner_len, align);
		uint64_t next = ALIGN_UP(desc + desc_len, align);

		if (desc > len || desc_len > len - desc)
			return;
		take_note(e, (const char *)p + owner, owner_len, type, p + desc, desc_len);
		if (next > len)
			return;
		off = next;
	}
}

static bool read_notes(
	struct boot_job *j, struct boot_elf *e, const struct segment *s, struct error *err)
{
	if (!s->filesz || s->filesz > NOTES_MAX)
		return true; /* not what Linux or Xen write: no notes for us */
	AUTO_FREE uint8_t *buf = malloc(s->filesz);

	if (!buf)
		return error_set(err, "out of memory");
	if (!boot_pread(&j->kernel, s->off, buf, s->filesz, err))
		return false;
	scan_notes(e, buf, s->filesz, s->align == 8 ? 8 : 4);
	return true;
}

static bool load_segment(
	struct boot_job *j, struct boot_elf *e, const struct segment *s, struct error *err)
{
	if (!s->memsz)
		return true;
	if (s->filesz > s->memsz)
		return error_set(err, "kernel '%s': damaged ELF program header", j->kernel.path);
	if (!boot_claim(j, s->paddr, s->memsz, "an ELF segment", err) ||
		!boot_read_into(j, &j->kernel, s->off, s->paddr, s->filesz, err) ||
		!boot_zero(j, s->paddr + s->filesz, s->memsz - s->filesz, err))
		return false;
	e->start[e->n_loads] = s->paddr;
	e->end[e->n_loads] = s->paddr + s->memsz;
	e->n_loads++;
	return true;
}

static bool elf_has(const struct boot_elf *e, uint64_t addr)
{
	for (uint32_t i = 0; i < e->n_loads; i++)
		if (addr >= e->start[i] && addr < e->end[i])
			return true;
	return false;
}

/* Fills machine, entry as in the file, and where the program headers are. */
static bool parse_header(
	struct boot_job *j, struct boot_elf *e, uint64_t *phoff, uint32_t *phnum, struct error *err)
{
	uint16_t phentsize;

	e->is64 = j->head[EI_CLASS] == ELFCLASS64;
	if (j->head[EI_DATA] != ELFDATA2LSB || (!e->is64 && j->head[EI_CLASS] != ELFCLASS32))
		return error_set(err, "kernel '%s': an ELF file, but not for x86", j->kernel.path);
	if (e->is64) {
		Elf64_Ehdr h;

		memcpy(&h, j->head, sizeof(h));
		e->machine = h.e_machine;
		e->entry = h.e_entry;
		*phoff = h.e_phoff;
		*phnum = h.e_phnum;
		phentsize = h.e_phentsize;
	} else {
		Elf32_Ehdr h;

		memcpy(&h, j->head, sizeof(h));
		e->machine = h.e_machine;
		e->entry = h.e_entry;
		*phoff = h.e_phoff;
		*phnum = h.e_phnum;
		phentsize = h.e_phentsize;
	}
	if (e->machine != EM_X86_64 && e->machine != EM_386)
		return error_set(err, "kernel '%s': an ELF file, but not for x86 (machine %u)",
			j->kernel.path, e->machine);
	if (!*phnum || *phnum > BOOT_PHDRS_MAX ||
		phentsize != (e->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)))
		return error_set(err,
			"kernel '%s': an ELF file without usable program headers: not a kernel?",
			j->kernel.path);
	return true;
}

/* Kernels may give the entry as a virtual address of a segment that loads elsewhere. */
static uint64_t entry_to_physical(const struct segment *s, uint32_t n, uint64_t entry)
{
	for (uint32_t i = 0; i < n; i++)
		if (s[i].type == PT_LOAD && entry >= s[i].paddr && entry - s[i].paddr < s[i].memsz)
			return entry;
	for (uint32_t i = 0; i < n; i++)
		if (s[i].type == PT_LOAD && entry >= s[i].vaddr && entry - s[i].vaddr < s[i].memsz)
			return entry - s[i].vaddr + s[i].paddr;
	return entry;
}

bool boot_elf_load(struct boot_job *j, struct boot_elf *e, bool notes, struct error *err)
{
	uint8_t raw[sizeof(Elf64_Phdr)];
	struct segment s[BOOT_PHDRS_MAX];
	uint64_t phoff = 0;
	uint32_t n = 0;

	memset(e, 0, sizeof(*e));
	if (!parse_header(j, e, &phoff, &n, err))
		return false;
	uint32_t each = e->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);

	if (!range_fits(phoff, (uint64_t)n * each, j->kernel.size))
		return error_set(err, "kernel '%s': the file is cut short", j->kernel.path);
	for (uint32_t i = 0; i < n; i++) {
		if (!boot_pread(&j->kernel, phoff + i * each, raw, each, err))
			return false;
		s[i] = segment_parse(raw, e->is64);
		if (s[i].type == PT_LOAD && !load_segment(j, e, &s[i], err))
			return false;
		if (s[i].type == PT_NOTE && notes && !read_notes(j, e, &s[i], err))
			return false;
	}
	if (!e->n_loads)
		return error_set(err,
			"kernel '%s': an ELF file with nothing to load: not a kernel?",
			j->kernel.path);
	e->entry = entry_to_physical(s, n, e->entry);
	e->entry_inside = elf_has(e, e->entry);
	return true;
}

/* ---------------------------------------------------------------- PVH */

#define PVH_MAGIC      0x336ec578
#define PVH_INFO_SIZE  56
#define PVH_MODULE     32 /* bytes an entry */
#define PVH_MEMMAP     24
#define PVH_MODULE_OFF 64
#define PVH_MEMMAP_OFF 128

#define PVH_SIZE (PVH_MEMMAP_OFF + BOOT_MEM_MAX * PVH_MEMMAP)

_Static_assert(PVH_SIZE <= BOOT_INFO_SIZE, "the map fits");

static bool put_start_info(struct boot_job *j, struct error *err)
{
	const struct boot_mem_map *m = j->q->map;
	uint8_t p[PVH_SIZE] = { 0 };

	wr_le32(p, PVH_MAGIC);
	wr_le32(p + 4, 1); /* version: with the memory map */
	wr_le64(p + 24, BOOT_CMDLINE_ADDR);
	wr_le64(p + 32, j->q->acpi_rsdp);
	wr_le64(p + 40, BOOT_INFO_ADDR + PVH_MEMMAP_OFF);
	wr_le32(p + 48, m->n);
	if (j->initrd_addr) {
		wr_le32(p + 12, 1);
		wr_le64(p + 16, BOOT_INFO_ADDR + PVH_MODULE_OFF);
		wr_le64(p + PVH_MODULE_OFF, j->initrd_addr);
		wr_le64(p + PVH_MODULE_OFF + 8, j->initrd.size);
	}
	boot_map_write(m, p + PVH_MEMMAP_OFF, PVH_MEMMAP);
	j->r->info = BOOT_INFO_ADDR;
	return boot_claim(j, BOOT_INFO_ADDR, BOOT_INFO_SIZE, "the start info", err) &&
	       boot_put(j, BOOT_INFO_ADDR, p, sizeof(p), err);
}

bool boot_elf(struct boot_job *j, struct error *err)
{
	struct boot_elf e;

	if (!boot_elf_load(j, &e, true, err))
		return false;
	bool long_mode = e.is64 && e.machine == EM_X86_64 && e.entry_inside;
	bool pvh = e.pvh && !(e.linux_kernel && long_mode);

	if (!pvh && !long_mode)
		return error_set(err,
			"kernel '%s': an ELF file with neither a PVH note nor a 64-bit entry "
			"inside its segments",
			j->kernel.path);
	if (pvh && (e.pvh_entry > UINT32_MAX || !elf_has(&e, e.pvh_entry)))
		return error_set(err, "kernel '%s': its PVH entry 0x%llx lies outside its segments",
			j->kernel.path, (unsigned long long)e.pvh_entry);
	j->r->entry = pvh ? BOOT_ENTRY_PVH : BOOT_ENTRY_64;
	j->r->rip = pvh ? e.pvh_entry : e.entry;
	j->r->format = pvh ? "ELF (PVH)" : "ELF (64-bit)";
	/* The identity map ends at 4 GiB. */
	if (j->r->rip > UINT32_MAX)
		return error_set(err, "kernel '%s': its entry 0x%llx lies above 4 GiB",
			j->kernel.path, (unsigned long long)j->r->rip);
	return boot_put_cpu_tables(j, !pvh, err) &&
	       boot_put_cmdline(j, NULL, BOOT_CMDLINE_MAX - 1, err) &&
	       boot_put_initrd(j, 4 * GIB, err) &&
	       (pvh ? put_start_info(j, err) : boot_put_params(j, NULL, 0, err));
}
