// SPDX-License-Identifier: GPL-2.0-or-later
/* Kernel loaders: the input is the kernel file; its last byte also sizes an initrd. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/types.h"
#include "machine/x86/boot.h"
#include "mem/ram.h"

#define RAM (64 * MIB)

static struct as as;
static struct as_region low;
static const struct boot_mem_map map = { .n = 3,
	.e = { { 0, 0x9fc00, BOOT_MEM_RAM }, { 0xf0000, 0x10000, BOOT_MEM_RESERVED },
		{ MIB, RAM - MIB, BOOT_MEM_RAM } } };
static int kernel_fd = -1, initrd_fd = -1;
static char kernel_path[64], initrd_path[64];

static void set_up(void)
{
	struct ram_config c = { .name = "fuzz", .size = RAM, .host_node = -1 };
	struct error err = ERROR_INIT;
	struct ram_block *b = ram_block_new(&c, &err);
	bool ok = b && as_init(&as, "memory", 1ull << 40, &err);

	assert(ok);
	low = (struct as_region){ .name = "ram", .kind = AS_RAM, .ram = b };
	int r = as_add(&as, &low, 0, RAM);

	assert(!r);
	kernel_fd = memfd_create("kernel", MFD_CLOEXEC);
	initrd_fd = memfd_create("initrd", MFD_CLOEXEC);
	snprintf(kernel_path, sizeof(kernel_path), "/proc/self/fd/%d", kernel_fd);
	snprintf(initrd_path, sizeof(initrd_path), "/proc/self/fd/%d", initrd_fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct boot_request q = { .kernel = kernel_path,
		.initrd = initrd_path,
		.cmdline = "console=ttyS0",
		.map = &map,
		.ram_below_4g = RAM,
		.acpi_rsdp = 0xe0000,
		.ram_zeroed = true };
	struct boot_result r;
	struct error err = ERROR_INIT;
	off_t initrd = size ? data[size - 1] * 64 : 0;

	if (kernel_fd < 0)
		set_up();
	if (ftruncate(kernel_fd, 0) || pwrite(kernel_fd, data, size, 0) != (ssize_t)size ||
		ftruncate(initrd_fd, initrd))
		return 0;
	if (!initrd)
		q.initrd = NULL;
	if (boot_load(&as, &q, &r, &err))
		assert(r.rip < 4 * GIB && r.format && r.info);
	else
		assert(err.kind != ERROR_NONE && err.msg[0]);
	return 0;
}
