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
#include "fuzz/input.h"
#include "testing/machine.h"

#define FUZZ_RAM (1 * MIB)

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
