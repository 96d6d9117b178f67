// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * as - an address space: what lies where (guest-physical memory, or the 64 Ki I/O ports), as
 * immutable flat snapshots.
 *
 * Readers (vCPU and I/O threads) look up in the current snapshot inside as_read_begin/end, which
 * cost a store each and never wait; a pair may nest. Writers publish a new snapshot under the
 * space's lock, from any thread; an old one is freed when no reader can hold it (epochs). So there
 * is no lock on the access path, and a guest that moves a BAR in a loop leaks nothing.
 *
 * A region is RAM, ROM (reads from memory, writes to the handler or dropped), or I/O (an opaque
 * handler that core/ interprets). Where regions overlap, the higher priority wins, then the later
 * added.
 */
#ifndef MEM_AS_H
#define MEM_AS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/list.h"
#include "base/thread.h"
#include "base/types.h"
#include "mem/ram.h"

#define AS_REGIONS_MAX 4096 /* in one space */

enum as_kind { AS_NONE, AS_RAM, AS_ROM, AS_IO };

/* A region as its owner describes it, on the owner's storage. Zero-initialise. */
struct as_region {
	const char *name; /* borrowed, static or as long-lived as the region */
	enum as_kind kind;
	uint64_t start, size;  /* set by as_add */
	int priority;	       /* 0 normal; RAM -10; overlays +10 */
	struct ram_block *ram; /* RAM, ROM: counted while mapped */
	uint64_t ram_off;
	void *io; /* I/O: core's struct io_handler; ROM: handler of writes or NULL */
	/* private */
	struct list node;
	bool mapped;
	uint64_t seq;
};

/* A piece of a snapshot; pieces are sorted, do not overlap, and may leave holes. */
struct as_range {
	uint64_t start, size;
	uint64_t off; /* of @start in the region */
	enum as_kind kind;
	uint8_t *host;	       /* RAM, ROM: address of @start's byte; otherwise NULL */
	struct ram_block *ram; /* RAM, ROM */
	uint64_t ram_off;      /* of @start in @ram */
	void *io;
	const struct as_region
		*region; /* identity only: may be dead after the snapshot is replaced */
};

struct as_snapshot {
	uint64_t retired_epoch;	  /* private */
	struct as_snapshot *next; /* private */
	uint32_t n, cap;
	struct as_range r[];
};

/* Told of the difference of two snapshots: removed pieces first, then added ones; pieces that a
 * listener knows never overlap. Runs under the space's lock, before the new snapshot is visible:
 * so while a piece of RAM is cut in two, a vCPU may leave guest mode for an address that the
 * snapshot calls RAM. Whoever dispatches exits carries such an access out through the snapshot.
 *
 * When added() fails, as_add and as_move undo the change and return its error. What cannot be
 * refused (as_del, the undoing itself) goes on without that piece: it is then served by exits. */
struct as_listener {
	void (*removed)(struct as_listener *l, const struct as_range *r);
	int (*added)(struct as_listener *l, const struct as_range *r); /* 0 or -errno */
	struct list node;
};

struct as {
	const char *name;
	uint64_t limit; /* addresses are below this */
	_Atomic(struct as_snapshot *) current;
	_Atomic uint64_t version; /* another number for each snapshot, set after it was published:
				     who reads a new one finds the new snapshot, too */
	struct mutex lock;	  /* writers: everything below */
	struct list regions;	  /* what wins comes first */
	struct list listeners;
	struct as_snapshot *reserve; /* so that as_del can do without malloc */
	uint64_t seq;
	uint32_t n_regions;
};

/* An empty space of addresses 0 .. @limit - 1; @name is borrowed. */
bool as_init(struct as *as, const char *name, uint64_t limit, struct error *err) MUST_USE;
/* No reader is inside; regions that are still mapped are dropped, listeners are not told. Takes a
 * zeroed struct. */
void as_fini(struct as *as);
/* 0, or -errno (-EINVAL: outside the space, empty, or more than the RAM block has; -EBUSY: is
 * mapped; -ENOSPC: AS_REGIONS_MAX; -ENOMEM; what a listener said); then nothing has changed. Any
 * thread; not from inside a listener. The caller may be inside as_read_begin. */
int as_add(struct as *as, struct as_region *r, uint64_t start, uint64_t size) MUST_USE;
/* Nothing happens when it is not mapped. Readers may be in its handler until as_synchronize(). */
void as_del(struct as *as, struct as_region *r);
/* Move in one step (BAR reprogramming). Errors as as_add; -ENOENT: is not mapped. */
int as_move(struct as *as, struct as_region *r, uint64_t start) MUST_USE;
/* Add a listener; it is told of the pieces that are there. 0 or what it said; then it is not added. */
int as_listener_add(struct as *as, struct as_listener *l) MUST_USE;
/* Forget a listener; it is not told of pieces going away. */
void as_listener_del(struct as *as, struct as_listener *l);
/* A listener has been told of a change, before it is visible: wait until it is. Not from a listener. */
void as_settle(struct as *as);
/* Wait until every reader that was inside has left; not inside a read section, and with no lock
 * that a reader may wait for. Before freeing what a removed region's handler uses. */
void as_synchronize(void);

void as_read_begin(void);
void as_read_end(void);
/* Inside a read section: the piece that holds @addr, or NULL. Valid until as_read_end. */
const struct as_range *as_find(struct as *as, uint64_t addr);

#endif
