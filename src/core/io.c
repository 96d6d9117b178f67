// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/io.h"

#include <assert.h>
#include <string.h>
#include "base/trace.h"
#include "base/wire.h"
#include "core/machine.h"

void io_region_init(struct io_region *r, const char *name, const struct io_ops *ops, void *opaque,
	struct mutex *lock)
{
	memset(r, 0, sizeof(*r));
	r->as.name = name;
	r->as.kind = AS_IO;
	r->as.io = r;
	r->ops = ops;
	r->opaque = opaque;
	r->lock = lock;
	list_init(&r->events);
}

int io_region_map(struct machine *m, struct io_region *r, bool pio, uint64_t start, uint64_t size)
{
	r->machine = m;
	r->pio = pio;
	return as_add(pio ? &m->pio : &m->mem, &r->as, start, size);
}

bool io_region_take_ports(
	struct machine *m, struct io_region *r, uint64_t port, uint64_t n, struct error *err)
{
	const char *other = NULL;
	int rc;

	as_read_begin();
	for (uint64_t p = port; p < port + n && !other; p++) {
		const struct as_range *range = as_find(&m->pio, p);

		if (range)
			other = ((const struct io_region *)range->io)->as.name;
	}
	as_read_end();
	if (other)
		return error_usage(err, "ports 0x%llx-0x%llx: taken by '%s'",
			(unsigned long long)port, (unsigned long long)(port + n - 1), other);
	rc = io_region_map(m, r, true, port, n);
	return !rc || error_set_errno(err, rc, "cannot take ports 0x%llx-0x%llx",
			      (unsigned long long)port, (unsigned long long)(port + n - 1));
}

void io_region_unmap(struct io_region *r)
{
	if (r->as.mapped)
		as_del(r->pio ? &r->machine->pio : &r->machine->mem, &r->as);
}

int io_region_move(struct io_region *r, uint64_t start)
{
	return as_move(r->pio ? &r->machine->pio : &r->machine->mem, &r->as, start);
}

void io_event_add(struct io_region *r, struct io_event *e)
{
	assert(!r->as.mapped);
	e->in_kernel = false;
	list_add_tail(&r->events, &e->node);
}

void io_event_del(struct io_region *r, struct io_event *e)
{
	assert(!r->as.mapped);
	list_del(&e->node);
}

/* Tell the engine of the doorbells that lie in @range of a region, or that they are gone. What it
 * cannot take is done by the dispatcher: the effect is the same, so an error is no error here. */
static void events_in_kernel(struct machine *m, bool pio, const struct as_range *range, bool add)
{
	struct io_region *r = range->io;
	struct io_event *e;

	if (!m->vm || !m->accel->ioeventfd)
		return;
	list_for_each (e, &r->events, node) {
		uint64_t addr = range->start + (e->off - range->off);

		if (e->off < range->off || e->off - range->off >= range->size ||
			e->in_kernel == add)
			continue;
		e->in_kernel = m->accel->ioeventfd(m->vm, pio, addr, e->size, e->match, e->data,
				       e->event->fd, add) == 0 &&
			       add;
	}
}

void io_region_mapped(struct machine *m, bool pio, const struct as_range *range)
{
	events_in_kernel(m, pio, range, true);
}

void io_region_unmapped(struct machine *m, bool pio, const struct as_range *range)
{
	events_in_kernel(m, pio, range, false);
}

static bool ring_doorbells(struct io_region *r, uint64_t off, uint64_t value, unsigned int size)
{
	struct io_event *e;
	bool rung = false;

	list_for_each (e, &r->events, node) {
		if (e->off != off || (e->size && e->size != size))
			continue;
		if (e->match && e->data != value)
			continue;
		loop_event_kick(e->event);
		rung = true;
	}
	return rung;
}

/* The widest naturally aligned unit at @off within @left bytes that the handler takes. */
static unsigned int unit_size(uint64_t off, unsigned int left, unsigned int max)
{
	unsigned int n = max;

	while (n > left || (off & (n - 1)))
		n >>= 1;
	return n;
}

static uint64_t read_unit(struct io_region *r, uint64_t off, unsigned int size, unsigned int min)
{
	uint64_t v;

	if (size >= min)
		return r->ops->read(r->opaque, off, size);
	v = r->ops->read(r->opaque, ALIGN_DOWN(off, (uint64_t)min), min);
	return v >> (8 * (off & (min - 1)));
}

/* Takes the region's lock if it has one, which clang's analysis cannot follow. */
static void region_access(struct io_region *r, uint64_t off, uint8_t *data, unsigned int size,
	bool write) NO_THREAD_SAFETY
{
	unsigned int min = r->ops->min_size ?: 1, max = r->ops->max_size ?: 8;

	if (write && !list_empty(&r->events) && ring_doorbells(r, off, rd_le(data, size), size))
		return;
	if (r->lock)
		mutex_lock(r->lock);
	for (unsigned int done = 0, n; done < size; done += n) {
		n = unit_size(off + done, size - done, max);
		if (!write)
			wr_le(data + done, n,
				r->ops->read ? read_unit(r, off + done, n, min) : ~0ull);
		else if (r->ops->write)
			r->ops->write(r->opaque, off + done, rd_le(data + done, n), MAX(n, min));
	}
	if (r->lock)
		mutex_unlock(r->lock);
}

/* RAM is reached this way only when an engine could not do it itself (an access that straddles a
 * boundary, a ROM). */
static void memory_access(
	const struct as_range *r, uint64_t off, void *data, unsigned int size, bool write)
{
	if (!write) {
		memcpy(data, r->host + off, size);
	} else if (r->kind == AS_RAM) {
		memcpy(r->host + off, data, size);
		ram_dirty_mark(r->ram, r->ram_off + off, size);
	} else if (r->io) {
		region_access(r->io, r->off + off, data, size, true);
	}
}

static void access_space(struct as *as, uint64_t addr, uint8_t *data, unsigned int size, bool write)
{
	as_read_begin();
	for (unsigned int done = 0, n; done < size; done += n) {
		const struct as_range *r = as_find(as, addr + done);
		uint64_t off;

		if (!r) {
			n = 1;
			if (!write)
				data[done] = 0xff;
			continue;
		}
		off = addr + done - r->start;
		n = MIN(size - done, r->size - off);
		if (r->kind == AS_IO) {
			const struct io_region *reg = r->io;

			/* The region where an access starts gets it whole, as far as the region
			 * reaches, even if a smaller one lies over its tail: a dword to 0xcf8 is
			 * not a byte to the reset register 0xcf9. */
			n = MIN(size - done, reg->as.size - (r->off + off));
			region_access(r->io, r->off + off, data + done, n, write);
		} else {
			memory_access(r, off, data + done, n, write);
		}
	}
	as_read_end();
}

void io_access_mem(struct machine *m, uint64_t addr, void *data, unsigned int size, bool write)
{
	assert(size >= 1 && size <= 8);
	TRACE3(io, mem, addr, size, write);
	access_space(&m->mem, addr, data, size, write);
}

void io_access_port(struct machine *m, uint16_t port, void *data, unsigned int size, bool write)
{
	assert(size >= 1 && size <= 8);
	TRACE3(io, port, port, size, write);
	access_space(&m->pio, port, data, size, write);
}
