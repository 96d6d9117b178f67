// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * block - disks as the devices see them: a block_dev takes requests of iovecs at byte offsets and
 * completes them on the loop that it is attached to. It knows no guests. Below are a format (raw,
 * later qcow2 ...) and a protocol (file, later NBD ...).
 *
 * A block_dev is opened on main and attached to one loop, its home, and perhaps to others: a request comes on
 * one of them and completes there. What each loop counts is its own; what requests share is atomic. Requests that
 * need more of the file than one transfer (bounce buffers, a worker) are carried out on the home loop, whichever
 * they came on.
 */
#ifndef BLOCK_BLOCK_H
#define BLOCK_BLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "base/error.h"
#include "base/field.h"
#include "base/list.h"
#include "block/limits.h"
#include "loop/loop.h"

enum block_cache {
	BLOCK_CACHE_WRITEBACK,
	BLOCK_CACHE_NONE,
	BLOCK_CACHE_WRITETHROUGH,
	BLOCK_CACHE_UNSAFE
};

/* `unmap` and `on` are one, `ignore` and `off` too: users of QEMU know both. */
enum block_discard {
	BLOCK_DISCARD_IGNORE,
	BLOCK_DISCARD_UNMAP,
	BLOCK_DISCARD_OFF,
	BLOCK_DISCARD_ON
};
enum block_detect_zeroes { BLOCK_DETECT_OFF, BLOCK_DETECT_ON, BLOCK_DETECT_UNMAP };

/* `--disk` keys that concern the back end. Table: block_config_table. */
struct block_config {
	char *file;
	char *format; /* "raw"; never guessed from a guest's disk */
	char *id;
	bool readonly;
	bool snapshot;	   /* writes go to a temporary file that vanishes */
	int cache;	   /* enum block_cache */
	int discard;	   /* enum block_discard: pass discards down or not */
	int detect_zeroes; /* off, on, unmap */
	struct block_limits limits;
	bool unlocked; /* not an option: another process's until block_acquire() */
};
extern const struct field_table block_config_table;

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,
	BLOCK_DISCARD,	    /* contents become undefined but never someone else's data */
	BLOCK_WRITE_ZEROES, /* ->may_unmap: space may be given back */
};

/* A request on the caller's storage. Fill the first part; everything must live until done(). */
struct block_req {
	enum block_op op;
	uint64_t offset, len;	 /* bytes; multiples of the device's request alignment */
	const struct iovec *iov; /* READ, WRITE: sums to @len */
	int n_iov;
	bool fua; /* WRITE: durable when done */
	bool may_unmap;
	uint8_t lane; /* which of the loops that the device is attached to this one is */
	/* On the loop's thread; 0 or -errno. May run before block_submit returns. */
	void (*done)(struct block_req *r, int res);
	void *opaque;
	/* private */
	struct loop_io io;
	struct loop *loop;     /* that carries it out */
	struct loop_defer hop; /* to the home loop and back */
	int hop_res;
	bool hopped;
	struct block_dev *dev; /* NULL: a format's own request on its file */
	uint64_t progress; /* bytes done; while it is made durable: the write generation wanted */
	uint64_t iov_off;  /* cursor: bytes into iov[iov_idx] */
	uint32_t iov_idx;
	uint8_t stage, retries;
	int64_t start_ns; /* CLOCK_MONOTONIC */
	bool special, tracked, counted;
	enum block_op act; /* what is done for @op (detect-zeroes) */
	struct iovec part;
	uint8_t *bounce; /* a slot of the file's, or NULL */
	uint64_t bounce_done;
	struct list node; /* in the file's lists; valid when @special */
	struct list wait; /* likewise, or among those that are made durable */
};

struct block_info {
	uint64_t size;		/* bytes */
	uint32_t logical_block; /* smallest unit a guest should be told: 512 or 4096 */
	uint32_t physical_block;
	uint32_t request_align; /* offsets and lengths must be multiples: 512; what O_DIRECT wants
				      beyond that is done here, by read-modify-write */
	uint32_t opt_io;	/* 0 unknown */
	bool readonly, can_discard, can_write_zeroes;
	bool rotational;
};

struct block_dev;

/* The device that uses a disk lets it be changed. On main. */
struct block_user {
	void (*hold)(
		struct block_user *u); /* returns with no request in flight; none comes until: */
	void (*let_go)(struct block_user *u);
	void (*resized)(struct block_user *u); /* it has another size now */
};

/* What a disk has done since it was opened. WRITE_ZEROES counts as a write. */
enum block_stat {
	BLOCK_STAT_READ,
	BLOCK_STAT_WRITE,
	BLOCK_STAT_FLUSH,
	BLOCK_STAT_DISCARD,
	BLOCK_STATS
};
struct block_stats {
	struct {
		uint64_t ops, bytes, ns;  /* done; ns from submitting to done, summed */
		uint64_t failed, invalid; /* by the host; refused by the checks */
	} of[BLOCK_STATS];
	uint64_t write_end; /* the highest byte written to, and one more */
	int64_t last_ns;    /* CLOCK_MONOTONIC of the last request's end; 0: there was none */
};
/* A snapshot (each number by itself); any thread. */
void block_get_stats(const struct block_dev *b, struct block_stats *out);
/* The image's file and its format. */
const char *block_filename(const struct block_dev *b);
/* Bytes that its file takes up in the host's file system; 0: unknown. */
uint64_t block_allocated(const struct block_dev *b);
const char *block_format_name(const struct block_dev *b);
/* enum block_cache, block_detect_zeroes. */
int block_cache_mode(const struct block_dev *b);
int block_detect_zeroes_mode(const struct block_dev *b);

struct block_dev *block_open(const struct block_config *c, struct error *err) MUST_USE;
/* Waits for nothing: the caller has drained. */
void block_close(struct block_dev *b);
const struct block_info *block_get_info(const struct block_dev *b);
const char *block_id(const struct block_dev *b);
/* The writethrough behaviour: guest without flush gets FUA writes. Set by the device from the
 * negotiated features. Writes in flight become durable before they are done; for those done before,
 * the caller submits a flush. Any thread. */
void block_set_writethrough(struct block_dev *b, bool on);
/* How many loops may bring requests at once: 1 where each needs to know of all others. */
#define BLOCK_LANES_MAX 16u
uint32_t block_max_lanes(const struct block_dev *b);
/* Requests with ->lane i come and complete on @loops[i]; @loops[0] is the home loop. At most block_max_lanes(). One
 * device at a time may attach. */
bool block_attach(
	struct block_dev *b, struct loop *const *loops, uint32_t n, struct error *err) MUST_USE;
void block_detach(struct block_dev *b);
bool block_is_attached(const struct block_dev *b);
/* From attaching to detaching; without one its size is fixed while it is attached. */
void block_set_user(struct block_dev *b, struct block_user *u);
/* Give it @size bytes (a block device: look how many it has now, at least @size). What is cut off is lost. Main; the
 * disk is not released. */
bool block_resize(struct block_dev *b, uint64_t size, struct error *err) MUST_USE;
/* Start @r: bounds and alignment are checked (-EINVAL, -EIO beyond the end, -EROFS), errors come
 * through done(). When the host could not make something durable, then all flushes and durable writes fail
 * that are under way or come later, until the disk is closed: docs/disks.md. */
void block_submit(struct block_dev *b, struct block_req *r);
/* Requests in flight. A number that means something while none comes. */
uint32_t block_in_flight(const struct block_dev *b);

/* For a VM that is saved. On main, the device quiesced, its loop running. flush: all that was written is
 * durable. release: others may write to the image; nothing is submitted until acquire, which fails
 * when they do. */
bool block_flush(struct block_dev *b, struct error *err) MUST_USE;
void block_release(struct block_dev *b);
bool block_acquire(struct block_dev *b, struct error *err) MUST_USE;
/* Is what the guest writes lost with the process? */
bool block_is_temporary(const struct block_dev *b);

/* A disk of @size zero bytes (a multiple of 512) in memory that belongs to nobody else, for tests.
 * Same code as a disk on a file. */
struct block_dev *block_open_test(uint64_t size, struct error *err) MUST_USE;

#endif
