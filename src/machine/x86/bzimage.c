// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bzimage - Linux/x86 boot protocol, 64-bit entry or, for 32-bit kernels, 32-bit entry: no real-mode
 * code runs. The protected-mode part of the file goes to a place in RAM with room to unpack
 * (init_size), the setup header into a zero page (boot_params), and the CPU enters at load address +
 * 0x200 in long mode, or at the load address in protected mode without paging.
 *
 * Source: Linux, Documentation/arch/x86/boot.rst (The Linux/x86 Boot Protocol; 32-bit and 64-bit Boot
 * Protocol) and zero-page.rst.
 */
#include <string.h>
#include "base/ovf.h"
#include "base/str.h"
#include "machine/x86/boot_int.h"

/* The setup header: offsets in the file and, the same, in boot_params. */
#define HDR_SETUP_SECTS	     0x1f1
#define HDR_SYSSIZE	     0x1f4 /* of the protected-mode part, in 16-byte units */
#define HDR_VID_MODE	     0x1fa
#define HDR_BOOT_FLAG	     0x1fe
#define HDR_JUMP_LEN	     0x201 /* the header ends at 0x202 + this */
#define HDR_MAGIC	     0x202
#define HDR_VERSION	     0x206
#define HDR_TYPE_OF_LOADER   0x210
#define HDR_LOADFLAGS	     0x211
#define HDR_RAMDISK_IMAGE    0x218
#define HDR_RAMDISK_SIZE     0x21c
#define HDR_CMD_LINE_PTR     0x228
#define HDR_INITRD_ADDR_MAX  0x22c
#define HDR_KERNEL_ALIGNMENT 0x230
#define HDR_RELOCATABLE	     0x234
#define HDR_XLOADFLAGS	     0x236
#define HDR_CMDLINE_SIZE     0x238
#define HDR_PREF_ADDRESS     0x258
#define HDR_INIT_SIZE	     0x260
#define HDR_END		     0x290 /* what comes next in boot_params */

#define BOOT_FLAG	    0xaa55
#define MAGIC_HDRS	    0x53726448 /* "HdrS" */
#define LOADED_HIGH	    0x01       /* loadflags */
#define KERNEL_64	    0x01       /* xloadflags: has the 64-bit entry */
#define LOADER_UNREGISTERED 0xff
#define ENTRY_64	    0x200

/* Other members of boot_params. */
#define BP_SIZE		4096
#define BP_ACPI_RSDP	0x070
#define BP_E820_ENTRIES 0x1e8
#define BP_E820_TABLE	0x2d0
#define E820_ENTRY	20 /* bytes */

_Static_assert(BP_E820_TABLE + BOOT_MEM_MAX * E820_ENTRY <= BP_SIZE, "the memory map fits");

bool boot_is_bzimage(const struct boot_job *j)
{
	return j->head_len >= HDR_END && rd_le16(j->head + HDR_BOOT_FLAG) == BOOT_FLAG &&
	       rd_le32(j->head + HDR_MAGIC) == MAGIC_HDRS;
}

bool boot_put_params(struct boot_job *j, const uint8_t *hdr, uint32_t hdr_len, struct error *err)
{
	const struct boot_mem_map *m = j->q->map;
	uint8_t bp[BP_SIZE] = { 0 };

	if (hdr) {
		memcpy(bp + HDR_SETUP_SECTS, hdr, hdr_len);
	} else { /* an ELF kernel: what a loader must set at least */
		wr_le16(bp + HDR_BOOT_FLAG, BOOT_FLAG);
		wr_le32(bp + HDR_MAGIC, MAGIC_HDRS);
		wr_le16(bp + HDR_VERSION, 0x20c);
		bp[HDR_LOADFLAGS] = LOADED_HIGH;
		wr_le32(bp + HDR_KERNEL_ALIGNMENT, 2 * MIB);
		wr_le32(bp + HDR_CMDLINE_SIZE, BOOT_CMDLINE_MAX - 1);
	}
	bp[HDR_TYPE_OF_LOADER] = LOADER_UNREGISTERED;
	wr_le16(bp + HDR_VID_MODE, 0xffff); /* "normal" */
	wr_le32(bp + HDR_CMD_LINE_PTR, BOOT_CMDLINE_ADDR);
	if (j->initrd_addr) { /* placed below 4 GiB */
		wr_le32(bp + HDR_RAMDISK_IMAGE, (uint32_t)j->initrd_addr);
		wr_le32(bp + HDR_RAMDISK_SIZE, (uint32_t)j->initrd.size);
	}
	wr_le64(bp + BP_ACPI_RSDP, j->q->acpi_rsdp);
	bp[BP_E820_ENTRIES] = (uint8_t)m->n;
	boot_map_write(m, bp + BP_E820_TABLE, E820_ENTRY);
	j->r->info = BOOT_INFO_ADDR;
	return boot_claim(j, BOOT_INFO_ADDR, BP_SIZE, "the zero page", err) &&
	       boot_put(j, BOOT_INFO_ADDR, bp, BP_SIZE, err);
}

/* Where to load @need bytes: the preferred address, otherwise (relocatable) the lowest free
 * aligned one above it, then the lowest at all. 0: nowhere. */
static uint64_t place_kernel(const struct boot_job *j, uint64_t need)
{
	const struct boot_mem_map *m = j->q->map;
	uint64_t pref = rd_le64(j->head + HDR_PREF_ADDRESS);
	uint64_t align = rd_le32(j->head + HDR_KERNEL_ALIGNMENT);
	uint64_t limit = MIN(j->q->ram_below_4g, 4 * GIB);

	if (pref >= MIB && pref < limit && need <= limit - pref && boot_is_free(j, pref, need))
		return pref;
	if (!j->head[HDR_RELOCATABLE] || !align || (align & (align - 1)))
		return 0;
	uint64_t best = 0;

	for (uint32_t i = 0; i < m->n; i++) {
		uint64_t at = ALIGN_UP(MAX(m->e[i].start, MIB), align);

		if (at < limit && need <= limit - at && boot_is_free(j, at, need) &&
			(!best || at < best))
			best = at;
	}
	return best;
}

static bool check_header(const struct boot_job *j, struct error *err)
{
	uint16_t version = rd_le16(j->head + HDR_VERSION);

	/* 2.10 brought pref_address and init_size; 2.12 the 64-bit entry. */
	if (version < 0x20a)
		return error_set(err,
			"kernel '%s': boot protocol %u.%02u is too old: a kernel of Linux 2.6.31 "
			"or "
			"newer is wanted",
			j->kernel.path, version >> 8, version & 0xff);
	return true;
}

static bool has_entry_64(const struct boot_job *j)
{
	return rd_le16(j->head + HDR_VERSION) >= 0x20c &&
	       rd_le16(j->head + HDR_XLOADFLAGS) & KERNEL_64;
}

bool boot_bzimage(struct boot_job *j, struct error *err)
{
	if (!check_header(j, err))
		return false;

	uint8_t sects = j->head[HDR_SETUP_SECTS];
	uint64_t start = ((uint64_t)(sects ? sects : 4) + 1) * 512;
	uint64_t want = (uint64_t)rd_le32(j->head + HDR_SYSSIZE) * 16;
	uint64_t init_size = rd_le32(j->head + HDR_INIT_SIZE);

	if (start >= j->kernel.size || want > j->kernel.size - start + 15)
		return error_set(err,
			"kernel '%s': the file is cut short: it has %llu bytes, its header tells "
			"of %llu",
			j->kernel.path, (unsigned long long)j->kernel.size,
			(unsigned long long)(start + want));
	/* All of the rest: some images carry more than syssize tells. */
	uint64_t len = j->kernel.size - start;
	uint64_t need = MAX(len, init_size);
	bool is64 = has_entry_64(j);

	if (len <= ENTRY_64)
		return error_set(err, "kernel '%s': the file has no kernel behind its header",
			j->kernel.path);
	/* The low tables first, so that the kernel is placed around them. */
	if (!boot_put_cpu_tables(j, is64, err) ||
		!boot_put_cmdline(j, NULL, rd_le32(j->head + HDR_CMDLINE_SIZE), err))
		return false;
	uint64_t at = place_kernel(j, need);

	if (!at) {
		char size[32];

		return error_set(err,
			"kernel '%s' needs %s to unpack and does not fit into guest RAM; give more "
			"memory",
			j->kernel.path, str_format_size(ALIGN_UP(need, MIB), size, sizeof(size)));
	}
	uint32_t hdr_end = MIN(HDR_MAGIC + j->head[HDR_JUMP_LEN], HDR_END);
	uint64_t initrd_max = rd_le32(j->head + HDR_INITRD_ADDR_MAX);

	j->r->entry = is64 ? BOOT_ENTRY_64 : BOOT_ENTRY_32;
	j->r->rip = is64 ? at + ENTRY_64 : at;
	j->r->format = is64 ? "bzImage" : "bzImage (32 bits)";
	return boot_claim(j, at, need, "the kernel", err) &&
	       boot_read_into(j, &j->kernel, start, at, len, err) &&
	       boot_put_initrd(j, initrd_max + 1, err) &&
	       boot_put_params(j, j->head + HDR_SETUP_SECTS, hdr_end - HDR_SETUP_SECTS, err);
}
