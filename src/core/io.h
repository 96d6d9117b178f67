// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * io - register regions and the way of an access to its device.
 *
 * An io_region is a run of registers in guest-physical memory or in port space. Its ops declare the
 * access sizes that the handler understands; the dispatcher splits or widens other sizes, so that a
 * handler sees only what it declared. If the region has a lock (its device's), the dispatcher holds
 * it around the handler. Handlers run on vCPU threads, on any of them, and must never block.
 *
 * An io_event is a doorbell in a region: a write that matches kicks a loop instead of calling the
 * handler. Where the accelerator has ioeventfds the kernel does it without leaving to userspace;
 * otherwise the dispatcher does, with the same effect.
 */
#ifndef CORE_IO_H
#define CORE_IO_H

#include <stdint.h>
#include "base/error.h"
#include "base/list.h"
#include "base/thread.h"
#include "loop/loop.h"
#include "mem/as.h"

struct machine;

struct io_ops {
	/* @off from the region's start; @size is one of the declared sizes. */
	uint64_t (*read)(void *opaque, uint64_t off, unsigned int size);
	void (*write)(void *opaque, uint64_t off, uint64_t value, unsigned int size);
	uint8_t min_size, max_size; /* 1, 2, 4, 8; 0 means 1 and 8 */
	/* Accesses wider than max_size are split, low part first. Narrower than min_size: reads read
	 * the aligned min_size unit and take the part; writes are widened with zero. */
};

struct io_event {
	uint64_t off; /* in the region */
	uint8_t size; /* 1, 2, 4, 8; 0: any size */
	bool match;   /* only writes of @data */
	uint64_t data;
	struct loop_event *event; /* kicked */
	struct list node;	  /* in region->events */
	bool in_kernel;
};

struct io_region {
	struct as_region as; /* .io points back here */
	const struct io_ops *ops;
	void *opaque;
	struct mutex *lock; /* borrowed from the device; NULL: the handler locks for itself */
	struct list events;
	struct machine *machine;
	bool pio;
};

/* Prepare; cannot fail. @name static or as long-lived as the region. */
void io_region_init(struct io_region *r, const char *name, const struct io_ops *ops, void *opaque,
	struct mutex *lock);
/* Map at @start for @size bytes in the machine's ports (@pio) or memory. 0 or -errno. */
int io_region_map(
	struct machine *m, struct io_region *r, bool pio, uint64_t start, uint64_t size) MUST_USE;
/* The same for fixed ports that a user may have chosen: refused, with the other's name, where another
 * region has one of them. Not for what a guest places: that may overlap, and the later one wins. */
bool io_region_take_ports(struct machine *m, struct io_region *r, uint64_t port, uint64_t n,
	struct error *err) MUST_USE;
void io_region_unmap(struct io_region *r);
/* Move a mapped region (BAR). 0 or -errno, then it stays where it was. */
int io_region_move(struct io_region *r, uint64_t start) MUST_USE;
/* Doorbells are added before the region is first mapped and removed after it was unmapped (so the
 * dispatcher reads the list without a lock); they follow the region when it moves. */
void io_event_add(struct io_region *r, struct io_event *e);
void io_event_del(struct io_region *r, struct io_event *e);

/* An access by a vCPU (or a test). @data holds @size bytes, little-endian, 1..8; it may straddle
 * regions. Reads from nowhere give all ones, writes to nowhere are dropped. */
void io_access_mem(struct machine *m, uint64_t addr, void *data, unsigned int size, bool write);
void io_access_port(struct machine *m, uint16_t port, void *data, unsigned int size, bool write);

/* Accelerators with ioeventfds: called by the machine's address-space listeners. */
void io_region_mapped(struct machine *m, bool pio, const struct as_range *range);
void io_region_unmapped(struct machine *m, bool pio, const struct as_range *range);

#endif
