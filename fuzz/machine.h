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
#include "testing/machine.h"

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
	static const struct pci_host_config pci = { TEST_PCI };
	static struct test_machine t;
	struct test_machine_config c = { .accel = &null_accel, .ram = FUZZ_RAM, .pci = &pci };
	struct error err = ERROR_INIT;
	bool ok = test_machine_init(&t, &c, &err);

	assert(ok);
	log_level = LOG_ERR;
	return t.m;
}

#endif
