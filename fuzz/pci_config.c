// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * PCI configuration space: reads and writes of any kind, through all three ways, to the bridge and a
 * device with BARs, MSI-X and the virtio window; then resets, loads of what was saved, and the
 * identity must still be there.
 */
#include "base/str.h"
#include "fuzz/machine.h"

static struct machine *m;
static struct pci_device *dev;

static void make(void)
{
	struct error err = ERROR_INIT;

	m = fuzz_machine();
	dev = (struct pci_device *)device_create(m, "virtio-rng-pci", NULL, &err);
	assert(dev);
}

static void reset(void)
{
	struct device *d;

	list_for_each (d, &m->devices, node) {
		if (d->type->quiesce)
			d->type->quiesce(d);
		if (d->type->reset)
			d->type->reset(d);
		if (d->type->resume)
			d->type->resume(d);
	}
}

static void touch(struct fuzz_input *in, uint8_t op)
{
	static const uint8_t sizes[] = { 1, 2, 4, 8 };
	unsigned int size = sizes[op >> 4 & 3];
	uint64_t off = fuzz_take(in, 1), v = op & 8 ? fuzz_take(in, size) : 0;
	uint8_t b[8];

	wr_le64(b, v);
	switch (op & 3) {
	case 0: /* the device, the bridge */
		io_access_mem(m, 0xe0000000 + (op & 4 ? 0x8000 : 0) + off, b, size, op & 8);
		break;
	case 1: /* ports */
		io_access_port(m, (uint16_t)(0xcf8 + off % 8), b, MIN(size, 4u), op & 8);
		break;
	case 2: /* anywhere in ECAM */
		io_access_mem(m, 0xe0000000 + (off << 12 | off >> 4), b, size, op & 8);
		break;
	case 3: /* where a BAR may be */
		io_access_mem(m, 0xc0000000 + (off << 6), b, size, op & 8);
		break;
	}
}

static void save_and_load(void)
{
	AUTO(str) saved = STR_INIT;
	struct error err = ERROR_INIT;
	bool ok;

	dev->dev.type->quiesce(&dev->dev);
	ok = device_save(&dev->dev, &saved, &err);
	assert(ok);
	ok = device_load(&dev->dev, saved.s, saved.len, &err);
	assert(ok);
	dev->dev.type->resume(&dev->dev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	if (!m)
		make();
	reset();
	while (in.len) {
		uint8_t op = (uint8_t)fuzz_take(&in, 1);

		if (op == 0xff)
			reset();
		else if (op == 0xfe)
			save_and_load();
		else
			touch(&in, op);
	}
	m->pending = 0;
	assert(pci_config_read(m->pci, 0, dev->devfn, 0, 4) == 0x10441af4);
	assert(pci_config_read(m->pci, 0, 0, 0, 4) == 0x29c08086);
	return 0;
}
