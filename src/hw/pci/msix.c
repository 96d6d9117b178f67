// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * msix - MSI-X table, pending bits and their effect on message routes (PCI 3.0, 6.8.2).
 *
 * A vector has a route (msi_vector_set) while it can fire: enabled, function not masked, entry not
 * masked. A guest programs an entry while it is masked, so a route is changed once, at unmasking.
 */
#include <assert.h>
#include <stdlib.h>
#include "base/ovf.h"
#include "base/wire.h"
#include "hw/pci/pci_int.h"

#define ENTRY_SIZE     16u
#define ENTRY_MASKED   1u
#define CONTROL	       2 /* of the capability: message control */
#define CONTROL_ENABLE 0x8000u
#define CONTROL_MASK   0x4000u

static bool can_fire(const struct pci_msix *x, uint16_t v)
{
	return x->enabled && !x->masked && !(x->table[v].control & ENTRY_MASKED);
}

/* Bring vector @v's route in line with the registers; deliver what was pending. */
static void update(struct pci_device *d, uint16_t v)
{
	struct pci_msix *x = &d->msix;
	struct pci_msix_entry *e = &x->table[v];
	bool routed = x->vectors[v].gsi >= 0;

	if (!can_fire(x, v)) {
		msi_vector_clear(&x->vectors[v]);
		return;
	}
	/* On failure it fires by a call instead of a route. */
	if (msi_vector_set(&x->vectors[v], e->addr, e->data) < 0)
		return;
	if (!routed && d->msix_changed)
		d->msix_changed(d);
	if (__atomic_exchange_n(&e->pending, false, __ATOMIC_RELAXED))
		msi_vector_fire(&x->vectors[v], NULL);
}

static void update_all(struct pci_device *d)
{
	for (uint16_t v = 0; v < d->msix.n; v++)
		update(d, v);
}

bool pci_add_msix(struct pci_device *d, uint16_t n, uint8_t bar, uint32_t table_off,
	uint32_t pba_off, struct error *err)
{
	struct pci_msix *x = &d->msix;
	uint8_t *c;

	assert(n >= 1 && n <= PCI_MSIX_MAX && bar < PCI_BARS && !x->cap);
	assert(range_fits(table_off, n * ENTRY_SIZE, d->bar[bar].size) && !(table_off & 7));
	assert(range_fits(pba_off, (n + 63u) / 64 * 8, d->bar[bar].size) && !(pba_off & 7));
	x->table = calloc(n, sizeof(*x->table));
	x->vectors = calloc(n, sizeof(*x->vectors));
	if (!x->table || !x->vectors)
		return error_set(err, "out of memory for %u MSI-X vectors", n);
	x->n = n;
	x->bar = bar;
	x->table_off = table_off;
	x->pba_off = pba_off;
	for (uint16_t v = 0; v < n; v++) {
		msi_vector_init(&x->vectors[v], d->dev.machine);
		x->table[v].control = ENTRY_MASKED;
	}
	x->cap = pci_add_cap(d, PCI_CAP_ID_MSIX, 12);
	c = d->config + x->cap;
	wr_le16(c + CONTROL, n - 1);
	wr_le32(c + 4, table_off | bar);
	wr_le32(c + 8, pba_off | bar);
	wr_le16(d->wmask + x->cap + CONTROL, CONTROL_ENABLE | CONTROL_MASK);
	return true;
}

void pci_msix_control_written(struct pci_device *d)
{
	struct pci_msix *x = &d->msix;
	uint16_t control = rd_le16(d->config + x->cap + CONTROL);
	bool enabled = control & CONTROL_ENABLE, masked = control & CONTROL_MASK;

	if (!x->cap || (enabled == x->enabled && masked == x->masked))
		return;
	x->enabled = enabled;
	x->masked = masked;
	update_all(d);
	pci_intx_update(d);
	if (d->msix_changed)
		d->msix_changed(d);
}

void pci_msix_reset(struct pci_device *d)
{
	struct pci_msix *x = &d->msix;

	x->enabled = x->masked = false;
	for (uint16_t v = 0; v < x->n; v++) {
		x->table[v] = (struct pci_msix_entry){ .control = ENTRY_MASKED };
		msi_vector_clear(&x->vectors[v]);
	}
}

void pci_msix_fini(struct pci_device *d)
{
	struct pci_msix *x = &d->msix;

	for (uint16_t v = 0; v < x->n; v++)
		msi_vector_fini(&x->vectors[v]);
	free(x->table);
	free(x->vectors);
	*x = (struct pci_msix){ .n = 0 };
}

/* -------- table and PBA accesses: bytes of a little-endian image -------- */

static void entry_image(const struct pci_msix_entry *e, uint8_t image[ENTRY_SIZE])
{
	wr_le64(image, e->addr);
	wr_le32(image + 8, e->data);
	wr_le32(image + 12, e->control);
}

static bool is_pending(const struct pci_msix *x, uint64_t n)
{
	return __atomic_load_n(&x->table[n].pending, __ATOMIC_RELAXED);
}

static uint64_t pba_read(const struct pci_msix *x, uint64_t off, unsigned int size)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < size * 8; i++) {
		uint64_t n = off * 8 + i;

		if (n < x->n && (is_pending(x, n) || msi_vector_held(&x->vectors[n])))
			v |= BIT_ULL(i);
	}
	return v;
}

/* Where in the table or PBA. Accesses are naturally aligned and at most 8 bytes, so one lies in one
 * entry. */
static bool in_table(const struct pci_msix *x, uint8_t bar, uint64_t off)
{
	return x->cap && bar == x->bar && off >= x->table_off &&
	       off - x->table_off < x->n * ENTRY_SIZE;
}

static bool in_pba(const struct pci_msix *x, uint8_t bar, uint64_t off)
{
	return x->cap && bar == x->bar && off >= x->pba_off &&
	       off - x->pba_off < (x->n + 63u) / 64 * 8;
}

bool pci_msix_read(
	struct pci_device *d, uint8_t bar, uint64_t off, unsigned int size, uint64_t *value)
{
	const struct pci_msix *x = &d->msix;
	uint8_t image[ENTRY_SIZE];

	if (in_pba(x, bar, off)) {
		*value = pba_read(x, off - x->pba_off, size);
		return true;
	}
	if (!in_table(x, bar, off))
		return false;
	off -= x->table_off;
	entry_image(&x->table[off / ENTRY_SIZE], image);
	*value = rd_le(image + off % ENTRY_SIZE, size);
	return true;
}

bool pci_msix_write(
	struct pci_device *d, uint8_t bar, uint64_t off, unsigned int size, uint64_t value)
{
	struct pci_msix *x = &d->msix;
	struct pci_msix_entry *e;
	uint8_t image[ENTRY_SIZE];

	if (in_pba(x, bar, off))
		return true; /* read-only */
	if (!in_table(x, bar, off))
		return false;
	off -= x->table_off;
	e = &x->table[off / ENTRY_SIZE];
	entry_image(e, image);
	wr_le(image + off % ENTRY_SIZE, size, value);
	e->addr = rd_le64(image) & ~3ull;
	e->data = rd_le32(image + 8);
	e->control = rd_le32(image + 12) & ENTRY_MASKED;
	update(d, (uint16_t)(off / ENTRY_SIZE));
	return true;
}

void pci_msix_fire(struct pci_device *d, uint16_t v, struct loop *loop)
{
	struct pci_msix *x = &d->msix;

	if (v >= x->n || !x->enabled)
		return;
	if (can_fire(x, v))
		msi_vector_fire(&x->vectors[v], loop);
	else /* other loops may say so too, and a vCPU read it */
		__atomic_store_n(&x->table[v].pending, true, __ATOMIC_RELAXED);
}

bool pci_msix_enabled(const struct pci_device *d)
{
	return d->msix.enabled;
}

int pci_msix_lend(struct pci_device *d, uint16_t v)
{
	struct pci_msix *x = &d->msix;

	return x->enabled && v < x->n ? msi_vector_lend(&x->vectors[v]) : -1;
}

void pci_msix_release(struct pci_device *d, uint16_t v)
{
	struct pci_msix *x = &d->msix;

	if (msi_vector_release(&x->vectors[v]) && x->enabled)
		x->table[v].pending = true;
}

/* -------- saved state -------- */

static const struct field entry_fields[] = {
	FIELD_U64(struct pci_msix_entry, addr, "addr", .tag = 1),
	FIELD_U32(struct pci_msix_entry, data, "data", .tag = 2),
	FIELD_U32(struct pci_msix_entry, control, "control", .tag = 3, .max = ENTRY_MASKED),
	FIELD_BOOL(struct pci_msix_entry, pending, "pending", .tag = 4),
};
const struct field_table pci_msix_entry_state = FIELD_TABLE(
	"msix-entry", struct pci_msix_entry, entry_fields);

/* Room is made once, so that saving cannot fail later. */
bool pci_msix_save(struct pci_device *d)
{
	struct pci_msix *x = &d->msix;
	struct pci_saved *s = &d->saved;

	if (!x->n)
		return true;
	if (s->msix.len != x->n) {
		free(s->msix.items);
		s->msix.items = calloc(x->n, sizeof(*s->msix.items));
		s->msix.len = s->msix.items ? x->n : 0;
	}
	for (size_t v = 0; v < s->msix.len; v++)
		s->msix.items[v] = x->table[v];
	return s->msix.len == x->n;
}

bool pci_msix_load(struct pci_device *d, struct error *err)
{
	struct pci_msix *x = &d->msix;

	if (d->saved.msix.len != x->n)
		return error_set(err, "saved state has %zu MSI-X vectors, the device has %u",
			d->saved.msix.len, x->n);
	for (uint16_t v = 0; v < x->n; v++) {
		x->table[v] = d->saved.msix.items[v];
		x->table[v].addr &= ~3ull;
		msi_vector_clear(&x->vectors[v]);
	}
	return true;
}
