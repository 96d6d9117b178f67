// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fw_cfg - named blobs for firmware and Linux's qemu_fw_cfg.
 *
 * Three ways in: a selector and a data port that gives a byte an access, and a DMA interface that
 * copies a piece of an item into guest RAM within the write that starts it. Nothing can be written
 * by the guest.
 *
 * Source: QEMU, docs/specs/fw_cfg.
 */
#include "hw/legacy/fw_cfg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/types.h"
#include "base/wire.h"
#include "core/device.h"
#include "core/io.h"
#include "core/machine.h"
#include "mem/gmem.h"

#define PORT_SELECTOR 0x510
#define OFF_DATA      1
#define OFF_DMA	      4
#define PORTS	      12

#define KEY_SIGNATURE  0x0000
#define KEY_ID	       0x0001
#define KEY_RAM_SIZE   0x0003
#define KEY_CPUS       0x0005
#define KEY_MAX_CPUS   0x000f
#define KEY_FILE_DIR   0x0019
#define KEY_FILE_FIRST 0x0020
#define KEY_MASK       0xbfff /* without the write bit; bit 15: items of the architecture */
#define ID_TRADITIONAL BIT(0)
#define ID_DMA	       BIT(1)

#define DMA_SIGNATURE	 0x51454d5520434647ull /* "QEMU CFG" */
#define DMA_ERROR	 BIT(0)
#define DMA_READ	 BIT(1)
#define DMA_SKIP	 BIT(2)
#define DMA_SELECT	 BIT(3)
#define DMA_WRITE	 BIT(4)
#define DMA_CONTROL_SIZE 16

#define ITEMS_MAX     128
#define FILES_MAX     64
#define FILE_NAME     56 /* bytes with the NUL */
#define FILE_ENTRY    64
/* Zeros that a DMA may fetch behind an item's end; more is an error instead of a long stall. */
#define DMA_ZEROS_MAX (1 * MIB)

struct item {
	uint16_t key;
	uint8_t *data; /* owned */
	size_t len;
};

struct fw_cfg_state {
	uint16_t key;
	uint32_t off;
	uint64_t dma; /* address as far as written */
};

struct fw_cfg {
	struct device dev;
	struct fw_cfg_state s; /* under dev.lock */
	struct item item[ITEMS_MAX];
	uint32_t n_items;
	uint32_t n_files;
	uint8_t dir[4 + FILES_MAX * FILE_ENTRY]; /* the file directory, as the guest reads it */
	struct io_region io;
};

static const struct field state_fields[] = {
	FIELD_U16(struct fw_cfg_state, key, "key", .tag = 1),
	FIELD_U32(struct fw_cfg_state, off, "offset", .tag = 2),
	FIELD_U64(struct fw_cfg_state, dma, "dma", .tag = 3),
};
static const struct field_table state_table = FIELD_TABLE(
	"fw_cfg", struct fw_cfg_state, state_fields);

/* ---------------------------------------------------------------- items */

bool fw_cfg_add_item(
	struct fw_cfg *f, uint16_t key, const void *data, size_t len, struct error *err)
{
	struct item *it = &f->item[f->n_items];

	if (f->n_items == ITEMS_MAX)
		return error_set(err, "fw_cfg: more than %d items", ITEMS_MAX);
	if (len > UINT32_MAX)
		return error_set(err, "fw_cfg: an item of more than 4 GiB");
	it->data = malloc(len ? len : 1);
	if (!it->data)
		return error_set(err, "fw_cfg: out of memory");
	memcpy(it->data, data, len);
	it->key = key;
	it->len = len;
	f->n_items++;
	return true;
}

bool fw_cfg_add_file(
	struct fw_cfg *f, const char *name, const void *data, size_t len, struct error *err)
{
	uint8_t *e = f->dir + 4 + f->n_files * FILE_ENTRY;
	uint16_t key = (uint16_t)(KEY_FILE_FIRST + f->n_files);

	if (f->n_files == FILES_MAX)
		return error_set(err, "fw_cfg: more than %d files", FILES_MAX);
	if (strlen(name) >= FILE_NAME)
		return error_set(err, "fw_cfg: file name '%s' is longer than %d characters", name,
			FILE_NAME - 1);
	for (uint32_t i = 0; i < f->n_files; i++)
		if (!strcmp((const char *)f->dir + 4 + i * FILE_ENTRY + 8, name))
			return error_set(err, "fw_cfg: file '%s' is there twice", name);
	if (!fw_cfg_add_item(f, key, data, len, err))
		return false;
	wr_be32(e, (uint32_t)len);
	wr_be16(e + 4, key);
	memcpy(e + 8, name, strlen(name) + 1);
	wr_be32(f->dir, ++f->n_files);
	return true;
}

/* The selected item's bytes; *@len 0 when there is none. */
static const uint8_t *selected(const struct fw_cfg *f, size_t *len)
{
	*len = 0;
	if (f->s.key == KEY_FILE_DIR) {
		*len = 4 + f->n_files * FILE_ENTRY;
		return f->dir;
	}
	for (uint32_t i = 0; i < f->n_items; i++) {
		if (f->item[i].key == f->s.key) {
			*len = f->item[i].len;
			return f->item[i].data;
		}
	}
	return NULL;
}

static void select_item(struct fw_cfg *f, uint16_t key)
{
	f->s.key = key & KEY_MASK;
	f->s.off = 0;
}

/* ---------------------------------------------------------------- DMA */

/* Copy @len bytes of the item to @addr; zeros behind its end. */
static int dma_read(struct fw_cfg *f, uint64_t addr, uint32_t len)
{
	struct as *as = &f->dev.machine->mem;
	size_t size;
	const uint8_t *p = selected(f, &size);
	size_t have = f->s.off < size ? MIN(size - f->s.off, len) : 0;
	int rc = 0;

	if (len - have > DMA_ZEROS_MAX)
		return -EFBIG;
	if (have)
		rc = gmem_write(as, GPA(addr), p + f->s.off, have);
	if (!rc && len > have)
		rc = gmem_fill(as, GPA(addr + have), 0, len - have);
	return rc;
}

static void dma_run(struct fw_cfg *f, uint64_t control_addr)
{
	struct as *as = &f->dev.machine->mem;
	uint8_t c[DMA_CONTROL_SIZE];
	uint32_t control, len;
	int rc = 0;

	if (gmem_read(as, GPA(control_addr), c, sizeof(c)))
		return; /* there is nowhere to tell the error */
	control = rd_be32(c);
	len = rd_be32(c + 4);
	if (control & DMA_SELECT)
		select_item(f, (uint16_t)(control >> 16));
	if (control & DMA_READ)
		rc = dma_read(f, rd_be64(c + 8), len);
	else if (control & DMA_WRITE)
		rc = -EPERM;
	else if (!(control & DMA_SKIP))
		len = 0;
	/* The offset stops at the top: what is behind an item's end is zeros anyway. */
	f->s.off = len > UINT32_MAX - f->s.off ? UINT32_MAX : f->s.off + len;
	wr_be32(c, rc ? DMA_ERROR : 0);
	rc = gmem_write(as, GPA(control_addr), c, 4);
	(void)rc; /* as above */
}

/* ---------------------------------------------------------------- registers */

static uint64_t data_byte(struct fw_cfg *f)
{
	size_t len;
	const uint8_t *p = selected(f, &len);
	uint8_t v = f->s.off < len ? p[f->s.off] : 0;

	if (f->s.off < UINT32_MAX)
		f->s.off++;
	return v;
}

static uint64_t fw_cfg_read(void *opaque, uint64_t off, unsigned int size)
{
	struct fw_cfg *f = opaque;
	uint64_t v = 0;

	if (off == OFF_DATA)
		return data_byte(f); /* a byte, however wide the access */
	for (unsigned int i = 0; i < size && off >= OFF_DMA; i++)
		v |= (DMA_SIGNATURE >> (56 - 8 * (off - OFF_DMA + i)) & 0xff) << (8 * i);
	return v;
}

static void fw_cfg_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct fw_cfg *f = opaque;

	if (off == 0 && size == 2) {
		select_item(f, (uint16_t)value);
	} else if (off == OFF_DMA && size == 4) {
		f->s.dma = (uint64_t)be32toh(htole32((uint32_t)value)) << 32;
	} else if (off == OFF_DMA + 4 && size == 4) {
		uint64_t addr = f->s.dma | be32toh(htole32((uint32_t)value));

		f->s.dma = 0;
		dma_run(f, addr);
	}
}

static const struct io_ops fw_cfg_ops = { fw_cfg_read, fw_cfg_write, 1, 4 };

/* ---------------------------------------------------------------- device */

static void fw_cfg_reset(struct device *d)
{
	struct fw_cfg *f = CONTAINER_OF(d, struct fw_cfg, dev);

	mutex_lock(&d->lock);
	f->s = (struct fw_cfg_state){ 0 };
	mutex_unlock(&d->lock);
}

static void free_items(struct fw_cfg *f)
{
	for (uint32_t i = 0; i < f->n_items; i++)
		free(f->item[i].data);
	f->n_items = 0;
}

static uint64_t ram_size(struct as *as)
{
	const struct as_snapshot *s;
	uint64_t size = 0;

	as_read_begin();
	s = atomic_load(&as->current);
	for (uint32_t i = 0; i < s->n; i++)
		if (s->r[i].kind == AS_RAM)
			size += s->r[i].size;
	as_read_end();
	return size;
}

/* What is told by numbers: RAM is mapped and CPUs are counted when devices are made. */
static bool add_standard(struct fw_cfg *f, struct error *err)
{
	struct machine *m = f->dev.machine;
	uint8_t id[4], ram[8], cpus[2];

	wr_le32(id, ID_TRADITIONAL | ID_DMA);
	wr_le64(ram, ram_size(&m->mem));
	wr_le16(cpus, (uint16_t)m->n_vcpus);
	return fw_cfg_add_item(f, KEY_SIGNATURE, "QEMU", 4, err) &&
	       fw_cfg_add_item(f, KEY_ID, id, sizeof(id), err) &&
	       fw_cfg_add_item(f, KEY_RAM_SIZE, ram, sizeof(ram), err) &&
	       fw_cfg_add_item(f, KEY_CPUS, cpus, sizeof(cpus), err) &&
	       fw_cfg_add_item(f, KEY_MAX_CPUS, cpus, sizeof(cpus), err);
}

static bool fw_cfg_realize(struct device *d, struct error *err)
{
	struct fw_cfg *f = CONTAINER_OF(d, struct fw_cfg, dev);
	int rc;

	if (!add_standard(f, err)) {
		free_items(f);
		return false;
	}
	io_region_init(&f->io, "fw_cfg", &fw_cfg_ops, f, &d->lock);
	rc = io_region_map(d->machine, &f->io, true, PORT_SELECTOR, PORTS);
	if (rc) {
		free_items(f);
		return error_set_errno(err, rc, "cannot take ports 0x510-0x51b");
	}
	d->machine->fw_cfg = f;
	return true;
}

static void fw_cfg_unrealize(struct device *d)
{
	struct fw_cfg *f = CONTAINER_OF(d, struct fw_cfg, dev);

	io_region_unmap(&f->io);
	free_items(f);
	d->machine->fw_cfg = NULL;
}

const struct device_type fw_cfg_type = {
	.name = "fw_cfg",
	.doc = "QEMU's firmware configuration device",
	.bus = BUS_SYSTEM,
	.flags = DEVICE_USER | DEVICE_SINGLE,
	.size = sizeof(struct fw_cfg),
	.state = &state_table,
	.state_off = offsetof(struct fw_cfg, s),
	.realize = fw_cfg_realize,
	.unrealize = fw_cfg_unrealize,
	.reset = fw_cfg_reset,
};
