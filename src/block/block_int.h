// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * block_int - what lies below a block_dev: the file protocol's object and its engine.
 *
 * file.c opens (size, alignment, locks, temporary overlay), file_io.c carries requests out. What is not
 * atomic belongs to the home loop after opening.
 */
#ifndef BLOCK_BLOCK_INT_H
#define BLOCK_BLOCK_INT_H

#include <stdatomic.h>
#include "base/thread.h"
#include "block/block.h"
#include "block/format.h"
#include "loop/worker.h"

/* Unit in which the temporary overlay (snapshot=on) holds data: a page, so that what guests write
 * seldom needs the rest read first. */
#define OVERLAY_UNIT 4096u
/* Bounce buffers for requests that O_DIRECT or the overlay cannot take as they are. */
#define BOUNCE_SLOTS 8u
#define BOUNCE_SIZE  (256u * 1024)

#define BLOCK_RETRIES_MAX 100u /* of EINTR and EAGAIN */

/* What makes a file's writes durable (file_sync.c). */
struct block_sync {
	_Atomic int error;	   /* 0 or -errno for good: the kernel tells a lost write once */
	_Atomic uint64_t done_gen; /* what is durable; changed under the lock */
	struct mutex lock;
	bool running;	   /* an fdatasync, or it is about to */
	struct loop *loop; /* that does it, and has @start, @io, @retries to itself */
	uint64_t gen;	   /* that it covers */
	struct list batch; /* of requests that it serves, and that wait for the next one */
	struct list next;
	struct loop_defer start;
	struct loop_io io;
	uint32_t retries;
};

struct block_file {
	char *path;	   /* owned */
	int fd;		   /* owned */
	struct loop *loop; /* borrowed: the home loop; NULL: not attached */
	uint64_t size;
	uint32_t logical, physical, opt_io;
	bool rotational, blkdev, readonly;

	bool direct;	    /* O_DIRECT: dio_align and mem_align count */
	uint32_t dio_align; /* offsets, lengths; 1 when buffered */
	uint32_t mem_align;
	uint32_t rmw_align; /* writes not aligned to this are read-modify-write; > 512: writes that
				 overlap in these units are serialised */
	bool unsafe;	    /* no flush, no FUA: cache=unsafe and overlays */
	bool cache_through; /* cache=writethrough */
	_Atomic bool guest_through; /* the guest has no flush; set by any thread */
	bool discard;
	int detect_zeroes;
	_Atomic bool no_zero_range, no_punch; /* the host has said so */

	_Atomic uint64_t write_gen; /* writes done that are not yet durable: raised by each */
	struct block_sync sync;

	int overlay_fd;	       /* owned; -1: none */
	uint64_t *overlay_map; /* owned: a bit a unit that lives in the overlay */

	uint8_t *bounce;      /* owned: BOUNCE_SLOTS slots, pages touched on use */
	uint32_t bounce_free; /* bit mask */
	struct list bounce_wait;
	struct list active, waiting; /* modifying requests, when they are tracked */
	bool starting;		     /* inside start_waiting() */

	struct worker_pool *pool; /* owned: BLKDISCARD */
	struct worker_job job;
	struct block_req *job_req; /* NULL: job idle */
	int job_res;
	struct list job_wait;
};

/* What one loop counts: it alone adds, anybody reads. */
struct block_lane {
	struct loop *loop;
	struct block_group *group; /* borrowed; NULL: no limits */
	struct list waiting[2];	   /* for their limits: reads, writes */
	struct loop_timer timer;
	struct loop_defer rush;
	_Atomic uint32_t in_flight;
	_Atomic uint64_t ops[BLOCK_STATS], bytes[BLOCK_STATS], ns[BLOCK_STATS];
	_Atomic uint64_t failed[BLOCK_STATS], invalid[BLOCK_STATS];
	_Atomic uint64_t write_end;
	_Atomic int64_t last_ns;
	uint8_t apart[64]; /* from the next */
};

struct block_dev {
	char *id; /* owned */
	struct block_info info;
	const struct block_format *format;
	void *format_data;
	struct block_file *file;  /* owned */
	struct loop *loop;	  /* the home loop */
	int cache, detect_zeroes; /* as configured */
	struct block_user *user;  /* borrowed; NULL: none */
	struct block_group
		*group; /* counted; NULL: no limits. Main's; each lane has its own copy */
	_Atomic bool hurry;
	uint32_t n_lanes; /* attached; counters stay */
	struct block_lane lane[BLOCK_LANES_MAX];
};

/* `disk 'ID'` goes before every message. */
struct block_file *block_file_open(const struct block_config *c, struct error *err) MUST_USE;
struct block_file *block_file_new_memory(uint64_t size, struct error *err) MUST_USE;
void block_file_close(struct block_file *f);
uint64_t block_file_allocated(const struct block_file *f);
/* As block_submit without the checks: bounds and 512-byte alignment have been checked. */
void block_file_submit(struct block_file *f, struct block_req *r);
/* Make durable what was written up to the generation r->progress, then block_file_synced() on @r's loop (perhaps
 * at once). On @r's loop. */
void block_file_sync(struct block_file *f, struct block_req *r);
void block_file_synced(struct block_file *f, struct block_req *r, int res);
void block_sync_init(struct block_sync *s);
void block_sync_fini(struct block_sync *s);
/* OFD locks, compatible with QEMU's. */
bool block_file_lock(struct block_file *f, struct error *err) MUST_USE;
void block_file_unlock(struct block_file *f);
bool block_file_overlay(struct block_file *f, struct error *err) MUST_USE;
bool block_file_bounce(struct block_file *f, struct error *err) MUST_USE;

struct block_dev *block_dev_new(const char *id, struct error *err) MUST_USE;
void block_dev_fill_info(struct block_dev *b);
/* Count a request that is done. */
void block_account(struct block_dev *b, const struct block_req *r, int res);

/* limits.c. True: @r waits and will be started when its time has come. On its lane's loop. */
bool block_limits_hold(struct block_dev *b, struct block_req *r);
void block_limits_attach(struct block_dev *b);
void block_limits_detach(struct block_dev *b);
void block_limits_close(struct block_dev *b);

/* End of a request, where it was carried out. The caller does not touch @r afterwards. */
void block_req_end(struct block_req *r, int res);

extern const struct block_format raw_format;

#endif
