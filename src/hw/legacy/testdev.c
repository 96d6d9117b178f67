// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * testdev - what kvm-unit-tests expects of the machine on x86 ("pc-testdev"):
 *   ports 0xe0-0xe3      a 32-bit register that gives back what was written, at any width
 *   ports 0xe4-0xe7      a dword written here: the host drops and restores the mapping of the
 *                        guest page at that address, so that the engine must fault it in again
 *   ports 0xe8-0xeb      as 0xe0, but reached a byte at a time
 *   ports 0x2000-0x2017  a write sets the interrupt line of that number to the value's truth
 *   memory 0xff000000    64 KiB that give back what was written, through the device
 */
#include <string.h>
#include <sys/mman.h>
#include "base/types.h"
#include "base/wire.h"
#include "core/device.h"
#include "core/io.h"
#include "core/irq.h"
#include "core/machine.h"
#include "mem/gmem.h"

#define ECHO_PORT  0xe0
#define FLUSH_PORT 0xe4
#define BYTE_PORT  0xe8
#define IRQ_PORT   0x2000
#define IOMEM_BASE 0xff000000ull
#define IOMEM_SIZE 0x10000

struct testdev_state {
	uint8_t echo[4];
	uint8_t iomem[IOMEM_SIZE];
};

struct testdev {
	struct device dev;
	struct testdev_state s; /* under dev.lock */
	struct io_region echo_io, flush_io, byte_io, irq_io, iomem_io;
	struct irq_source irq[IRQ_GSI_PINS];
};

static const struct field state_fields[] = {
	FIELD_BYTES(struct testdev_state, echo, "echo", .tag = 1),
	FIELD_BYTES(struct testdev_state, iomem, "iomem", .tag = 2),
};
static const struct field_table state_table = FIELD_TABLE(
	"pc-testdev", struct testdev_state, state_fields);

/* Registers that are bytes and nothing else. */
static uint64_t bytes_read(void *opaque, uint64_t off, unsigned int size)
{
	return rd_le((uint8_t *)opaque + off, size);
}

static void bytes_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	wr_le((uint8_t *)opaque + off, size, value);
}

static void flush_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct testdev *t = opaque;
	struct as *as = &t->dev.machine->mem;
	struct iovec iov;
	int n = 0;

	as_read_begin();
	if (!gmem_iov(as, GPA(ALIGN_DOWN(value, 4096ull)), 4096, true, &iov, &n, 1)) {
		/* Threads that touch the page meanwhile would crash: only this very device may, and
		 * only on pages that no other device uses. The test guest knows. */
		mprotect(iov.iov_base, 4096, PROT_READ);
		mprotect(iov.iov_base, 4096, PROT_READ | PROT_WRITE);
	}
	as_read_end();
}

static uint64_t none_read(void *opaque, uint64_t off, unsigned int size)
{
	return 0;
}

static void irq_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct testdev *t = opaque;

	irq_set(&t->irq[off], value != 0);
}

static const struct io_ops echo_ops = { bytes_read, bytes_write, 1, 4 };
static const struct io_ops byte_ops = { bytes_read, bytes_write, 1, 1 };
static const struct io_ops iomem_ops = { bytes_read, bytes_write, 1, 8 };
static const struct io_ops flush_ops = { none_read, flush_write, 4, 4 };
static const struct io_ops irq_ops = { none_read, irq_write, 1, 1 };

static void testdev_reset(struct device *d)
{
	struct testdev *t = CONTAINER_OF(d, struct testdev, dev);

	mutex_lock(&d->lock);
	memset(&t->s, 0, sizeof(t->s));
	for (uint32_t i = 0; i < IRQ_GSI_PINS; i++)
		irq_set(&t->irq[i], false);
	mutex_unlock(&d->lock);
}

static void testdev_unrealize(struct device *d)
{
	struct testdev *t = CONTAINER_OF(d, struct testdev, dev);

	io_region_unmap(&t->echo_io);
	io_region_unmap(&t->flush_io);
	io_region_unmap(&t->byte_io);
	io_region_unmap(&t->irq_io);
	io_region_unmap(&t->iomem_io);
	for (uint32_t i = 0; i < IRQ_GSI_PINS; i++)
		irq_set(&t->irq[i], false);
}

static bool map(struct testdev *t, struct io_region *r, const struct io_ops *ops, void *opaque,
	bool pio, uint64_t start, uint64_t size, struct error *err)
{
	int rc;

	io_region_init(r, "testdev", ops, opaque, &t->dev.lock);
	rc = io_region_map(t->dev.machine, r, pio, start, size);
	return !rc || error_set_errno(err, rc, "cannot map %s 0x%llx", pio ? "port" : "memory",
			      (unsigned long long)start);
}

static bool testdev_realize(struct device *d, struct error *err)
{
	struct testdev *t = CONTAINER_OF(d, struct testdev, dev);

	for (uint32_t i = 0; i < IRQ_GSI_PINS; i++)
		irq_source_init(&t->irq[i], d->machine, i);
	if (map(t, &t->echo_io, &echo_ops, t->s.echo, true, ECHO_PORT, 4, err) &&
		map(t, &t->flush_io, &flush_ops, t, true, FLUSH_PORT, 4, err) &&
		map(t, &t->byte_io, &byte_ops, t->s.echo, true, BYTE_PORT, 4, err) &&
		map(t, &t->irq_io, &irq_ops, t, true, IRQ_PORT, IRQ_GSI_PINS, err) &&
		map(t, &t->iomem_io, &iomem_ops, t->s.iomem, false, IOMEM_BASE, IOMEM_SIZE, err))
		return true;
	testdev_unrealize(d);
	return false;
}

const struct device_type pc_testdev_type = {
	.name = "pc-testdev",
	.doc = "registers that kvm-unit-tests pokes at",
	.bus = BUS_SYSTEM,
	.flags = DEVICE_USER | DEVICE_SINGLE,
	.size = sizeof(struct testdev),
	.state = &state_table,
	.state_off = offsetof(struct testdev, s),
	.realize = testdev_realize,
	.unrealize = testdev_unrealize,
	.reset = testdev_reset,
};
