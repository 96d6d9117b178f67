// SPDX-License-Identifier: GPL-2.0-or-later
/* machine - a machine for fuzz targets: RAM, an engine that does nothing, a PCI bus. Made once. */
#ifndef FUZZ_MACHINE_H
#define FUZZ_MACHINE_H

#include <assert.h>
#include <string.h>
#include "accel/null/null.h"
#include "base/log.h"
#include "base/wire.h"
#include "core/io.h"
#include "core/machine.h"
#include "hw/pci/pci.h"

#define FUZZ_RAM (1 * MIB)

struct fuzz_input {
	const uint8_t *p;
	size_t len;
};

/* The next bytes as a little-endian number; 0 where the input has ended. */
static inline uint64_t fuzz_take(struct fuzz_input *in, unsigned int size)
{
	uint8_t b[8] = { 0 };
	size_t n = MIN(size, in->len);

	if (n)
		memcpy(b, in->p, n);
	in->p += n;
	in->len -= n;
	return rd_le64(b);
}

static struct machine *fuzz_machine(void)
{
	static const struct pci_host_config pci = {
		.ecam_base = 0xe0000000,
		.ecam_buses = 1,
		.mmio32_base = 0xc0000000,
		.mmio32_size = 0x20000000,
		.mmio64_base = 0x100000000,
		.mmio64_size = 0x100000000,
		.io_base = 0x1000,
		.io_size = 0xf000,
		.intx_gsi = { 16, 17, 18, 19 },
		.assign = true,
	};
	static struct as_region region;
	struct ram_config rc = { .name = "ram", .size = FUZZ_RAM, .host_node = -1 };
	struct accel_vm_config vc = { .max_vcpus = 1 };
	struct error err = ERROR_INIT;
	struct loop *loop = loop_new("main", 0, &err);
	struct ram_block *ram = ram_block_new(&rc, &err);
	struct machine *m = loop ? machine_new("fuzz", loop, &err) : NULL;
	bool ok = ram && m && machine_set_accel(m, &null_accel, &vc, &err);
	int r;

	assert(ok);
	log_level = LOG_ERR;
	region = (struct as_region){ .name = "ram", .kind = AS_RAM, .priority = -10, .ram = ram };
	r = as_add(&m->mem, &region, 0, FUZZ_RAM);
	ok = r == 0 && pci_host_new(m, &pci, &err);
	assert(ok);
	return m;
}

#endif
