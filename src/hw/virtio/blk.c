// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-blk (virtio 1.2, 5.2): a disk with one or more request queues.
 *
 * The way of a request: the driver kicks a queue; on its lane's loop its chains are popped, each into
 * a request of the queue's pool, checked, and handed to block/ as iovecs over guest memory; the loop
 * carries all of them to the kernel in one system call. Completions push the chain and mark the
 * queue; when the loop's round is over, one deferred call decides about the interrupt for all of
 * them.
 *
 * 1. A chain is a header of 16 bytes that we read, data, and a status byte, the last byte that we
 *    may write (2.7.4.1: in any layout of descriptors). A chain too short for these breaks the
 *    device; everything else wrong with a request is told in its status byte.
 * 2. A queue never has more chains out than it has descriptors, so its pool never runs dry.
 * 3. Queues are divided among as many loops as there are (virtio.h), each with what its requests need.
 *    Everything here runs with the lane's lock held. Only block_done() is called from outside and
 *    takes it, except while `submitting`: block/ may complete a request before it returns.
 * 4. A request that outlives a reset of the device (its generation is old) touches no guest memory
 *    any more; the transport lets the reset complete when it is done.
 * 5. With a writeback cache (5.2.6.2) the guest flushes; without, every write is durable when done.
 *    A switch to write-through makes writes in flight durable (block/) and flushes the earlier ones.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/trace.h"
#include "base/wire.h"
#include "block/block.h"
#include "hw/virtio/virtio.h"

#define QUEUES_AUTO_MAX	    8u
#define SECTOR_SHIFT	    9
#define SERIAL_LEN	    20u
#define IOV_SMALL	    6 /* header, status and a few pieces of data */
/* Limits told to the driver, in sectors. Zeroes may have to be written out: not too many at once. */
#define DISCARD_MAX_SECTORS (1u << 22)
#define ZEROES_MAX_SECTORS  (1u << 17)

/* Features (5.2.3). */
#define F_SEG_MAX      2
#define F_RO	       5
#define F_BLK_SIZE     6
#define F_FLUSH	       9
#define F_TOPOLOGY     10
#define F_CONFIG_WCE   11
#define F_MQ	       12
#define F_DISCARD      13
#define F_WRITE_ZEROES 14

/* Request types (5.2.6). */
enum {
	T_IN = 0,
	T_OUT = 1,
	T_FLUSH = 4,
	T_GET_ID = 8,
	T_DISCARD = 11,
	T_WRITE_ZEROES = 13,
};

enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };

/* Device configuration (5.2.4). */
struct config_space {
	le64 capacity;
	le32 size_max;
	le32 seg_max;
	le16 cylinders;
	uint8_t heads, sectors;
	le32 blk_size;
	uint8_t physical_block_exp, alignment_offset;
	le16 min_io_size;
	le32 opt_io_size;
	uint8_t writeback;
	uint8_t unused0;
	le16 num_queues;
	le32 max_discard_sectors;
	le32 max_discard_seg;
	le32 discard_sector_alignment;
	le32 max_write_zeroes_sectors;
	le32 max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap;
	uint8_t unused1[3];
} __attribute__((packed));
_Static_assert(sizeof(struct config_space) == 60, "virtio 1.2, 5.2.4");
#define WRITEBACK_OFF offsetof(struct config_space, writeback)

struct header {
	le32 type;
	le32 reserved;
	le64 sector;
};

struct range {
	le64 sector;
	le32 num_sectors;
	le32 flags;
};

struct virtio_blk;

struct request {
	struct block_req io;
	struct virtio_blk *s;
	struct vq_chain chain; /* its iov is ->small or ->big */
	struct virtqueue *vq;
	uint32_t generation;
	struct request *next; /* free list */
	struct iovec *big;    /* in the pool's arena: twice max_iov, the second half for data */
	struct iovec small[IOV_SMALL];
};

struct pool {
	struct request *req; /* owned, calloc'ed: pages are touched on first use */
	struct iovec *iovs;  /* owned: two arrays a request */
	struct request *free;
	uint32_t used, n; /* requests handed out at least once; all */
};

struct blk_config {
	struct virtio_config virtio;
	char *drive, *serial;
	uint32_t num_queues;
	uint32_t logical_block, physical_block;
	bool write_cache, discard, write_zeroes;
};

/* What the requests of one loop share. */
struct blk_lane {
	struct virtio_blk *s;
	struct virtio_lane *v;
	struct iovec *scratch; /* owned, max_iov: chains are popped into it */
	bool submitting;       /* the loop: inside block_submit() */
	uint64_t pushed;       /* queues with chains pushed since the last interrupt decision */
	struct loop_defer notify;
	uint8_t apart[64];
};

struct virtio_blk {
	struct virtio_device v; /* first */
	struct blk_config cfg;
	struct block_dev *disk; /* borrowed */
	struct block_user user;
	bool held;	    /* for a change of its size */
	struct pool *pools; /* owned, a queue each */
	int max_iov;
	uint32_t n_lanes;
	struct blk_lane *lanes; /* owned */
	bool writeback;		/* the guest's choice; saved */
	struct loop_defer flush_defer;
	struct block_req flush;
	bool flushing, flush_again;
	uint64_t capacity; /* sectors; saved, must agree on load */
};

static struct virtio_blk *blk_of(struct virtio_device *v)
{
	return CONTAINER_OF(v, struct virtio_blk, v);
}

static struct blk_lane *lane_of(struct virtio_blk *s, const struct virtqueue *vq)
{
	return &s->lanes[vq->index % s->n_lanes];
}

static unsigned int blk_lane(struct virtio_device *v, unsigned int q)
{
	return q;
}

/* -------- the pool -------- */

static struct request *request_get(struct virtio_blk *s, struct virtqueue *vq)
{
	struct pool *p = &s->pools[vq->index];
	struct request *r = p->free;

	if (r) {
		p->free = r->next;
		return r;
	}
	assert(p->used < p->n); /* point 2 */
	r = &p->req[p->used];
	r->big = p->iovs + (size_t)p->used++ * 2 * (size_t)s->max_iov;
	r->s = s;
	r->vq = vq;
	return r;
}

static void request_put(struct request *r)
{
	struct pool *p = &r->s->pools[r->vq->index];

	r->next = p->free;
	p->free = r;
}

static void pools_free(struct virtio_blk *s)
{
	for (uint32_t i = 0; s->pools && i < s->cfg.num_queues; i++) {
		free(s->pools[i].req);
		free(s->pools[i].iovs);
	}
	for (uint32_t i = 0; s->lanes && i < s->n_lanes; i++)
		free(s->lanes[i].scratch);
	free(s->pools);
	free(s->lanes);
	s->pools = NULL;
	s->lanes = NULL;
}

static void blk_notify(void *opaque);

static bool lanes_make(struct virtio_blk *s)
{
	s->n_lanes = s->v.n_lanes;
	s->lanes = calloc(s->n_lanes, sizeof(*s->lanes));
	for (uint32_t i = 0; s->lanes && i < s->n_lanes; i++) {
		struct blk_lane *l = &s->lanes[i];

		l->s = s;
		loop_defer_init(&l->notify, blk_notify, l);
		l->scratch = calloc((size_t)s->max_iov, sizeof(*l->scratch));
		if (!l->scratch)
			return false;
	}
	return s->lanes;
}

static bool pools_make(struct virtio_blk *s, struct error *err)
{
	uint32_t n = s->cfg.virtio.queue_size;

	/* A descriptor that spans two blocks of RAM takes two. */
	s->max_iov = (int)n + VQ_IOV_MAX - VQ_SIZE_MAX;
	s->pools = calloc(s->cfg.num_queues, sizeof(*s->pools));
	for (uint32_t i = 0; s->pools && i < s->cfg.num_queues; i++) {
		struct pool *p = &s->pools[i];

		p->n = n;
		p->req = calloc(n, sizeof(*p->req));
		p->iovs = calloc((size_t)n * 2 * (size_t)s->max_iov, sizeof(*p->iovs));
		if (!p->req || !p->iovs)
			return error_set(err, "out of memory for %u queues of %u requests",
				s->cfg.num_queues, n);
	}
	return (s->pools && lanes_make(s)) || error_set(err, "out of memory");
}

/* -------- the end of a request -------- */

static uint8_t status_of(int res)
{
	return res == 0 ? S_OK : res == -ENOTSUP ? S_UNSUPP : S_IOERR;
}

/* Under the lock, on the lane's loop. */
static void request_end(struct request *r, uint8_t status)
{
	struct virtio_blk *s = r->s;
	struct virtio_device *v = &s->v;
	struct blk_lane *l = lane_of(s, r->vq);

	TRACE2(virtio_blk, done, r->vq->index, status);
	if (virtio_request_valid(v, r->vq, r->generation)) {
		/* All that may be written counts as written, for the status byte is the last. */
		vq_chain_write(&r->chain, r->chain.in_len - 1, &status, 1);
		if (vq_push(r->vq, &r->chain, (uint32_t)r->chain.in_len) < 0)
			virtio_break(v, "queue %u is damaged", r->vq->index);
		if (!l->pushed)
			loop_post(l->v->loop, &l->notify);
		l->pushed |= BIT_ULL(r->vq->index);
	} else { /* the disk's bytes have come all the same */
		vq_mark_written(&v->pci.dev.machine->mem, &r->chain, r->chain.in_len);
	}
	request_put(r);
	virtio_request_done(v, r->vq);
}

/* The loop's round is over: one decision for all that was completed in it. */
static void blk_notify(void *opaque)
{
	struct blk_lane *l = opaque;
	struct virtio_device *v = &l->s->v;

	mutex_lock(l->v->lock);
	for (; l->pushed; l->pushed &= l->pushed - 1)
		virtio_notify(v, &v->vq[__builtin_ctzll(l->pushed)]);
	mutex_unlock(l->v->lock);
}

/* The host has failed a request. What the guest had no right to ask for is refused before that. */
static void tell_error(struct virtio_blk *s, const struct block_req *io, int res)
{
	struct notice n = { .kind = NOTICE_BLOCK_IO_ERROR,
		.flag = io->op != BLOCK_READ,
		.value = -res,
		.device = &s->v.pci.dev };

	snprintf(n.id, sizeof(n.id), "%s", block_id(s->disk));
	machine_notice(s->v.pci.dev.machine, &n);
}

static void block_done(struct block_req *io, int res) NO_THREAD_SAFETY
{
	struct request *r = CONTAINER_OF(io, struct request, io);
	struct virtio_blk *s = r->s;
	struct blk_lane *l = lane_of(s, r->vq);

	if (l->submitting) { /* point 3: the lock is held */
		request_end(r, status_of(res));
		return;
	}
	if (res < 0)
		tell_error(s, io, res);
	mutex_lock(l->v->lock);
	request_end(r, status_of(res));
	mutex_unlock(l->v->lock);
}

static void submit(struct blk_lane *l, struct block_req *io)
{
	io->lane = (uint8_t)(l - l->s->lanes);
	l->submitting = true;
	block_submit(l->s->disk, io);
	l->submitting = false;
}

/* -------- requests -------- */

/* Copy @iov without its first @skip bytes, up to @len bytes, into @out; returns the elements. */
static int iov_cut(const struct iovec *iov, int n, uint64_t skip, uint64_t len, struct iovec *out)
{
	int made = 0;

	for (int i = 0; i < n && len; i++) {
		uint64_t have = iov[i].iov_len, take;

		if (skip >= have) {
			skip -= have;
			continue;
		}
		take = MIN(have - skip, len);
		out[made++] = (struct iovec){ (uint8_t *)iov[i].iov_base + skip, take };
		len -= take;
		skip = 0;
	}
	return made;
}

/* READ and WRITE: set the data's iovecs. Usually they are the chain's own, between header and
 * status; a driver that mixes these with data in a descriptor gets a cut copy. */
static void set_data(struct request *r, bool write, uint64_t len)
{
	const struct vq_chain *c = &r->chain;
	const struct iovec *out = c->iov, *in = c->iov + c->n_out;

	if (write && out[0].iov_len == sizeof(struct header)) {
		r->io.iov = out + 1;
		r->io.n_iov = c->n_out - 1;
	} else if (!write && in[c->n_in - 1].iov_len == 1) {
		r->io.iov = in;
		r->io.n_iov = c->n_in - 1;
	} else {
		struct iovec *cut = r->big + r->s->max_iov;

		r->io.iov = cut;
		r->io.n_iov = write ? iov_cut(out, c->n_out, sizeof(struct header), len, cut)
				    : iov_cut(in, c->n_in, 0, len, cut);
	}
}

static void transfer(struct request *r, bool write, uint64_t sector)
{
	uint64_t len = write ? r->chain.out_len - sizeof(struct header) : r->chain.in_len - 1;

	/* Whole sectors inside the disk: block/ checks both, but not in bytes that overflow. */
	if (sector > UINT64_MAX >> SECTOR_SHIFT) {
		request_end(r, S_IOERR);
		return;
	}
	set_data(r, write, len);
	r->io.op = write ? BLOCK_WRITE : BLOCK_READ;
	r->io.offset = sector << SECTOR_SHIFT;
	r->io.len = len;
	submit(lane_of(r->s, r->vq), &r->io);
}

/* GET_ID: the serial number, without a NUL when it is 20 bytes long (5.2.6.1). */
static void get_id(struct request *r)
{
	const char *serial = r->s->cfg.serial ?: "";
	uint8_t id[SERIAL_LEN] = { 0 };

	memcpy(id, serial, strnlen(serial, SERIAL_LEN));
	vq_chain_write(&r->chain, 0, id, MIN(r->chain.in_len - 1, SERIAL_LEN));
	request_end(r, S_OK);
}

/* DISCARD, WRITE_ZEROES: one range (max_*_seg is 1). */
static void zero_range(struct request *r, bool zeroes)
{
	uint64_t offered = r->s->v.guest_features;
	struct range d;
	uint32_t n, flags;

	if (!(offered >> (zeroes ? F_WRITE_ZEROES : F_DISCARD) & 1)) {
		request_end(r, S_UNSUPP);
		return;
	}
	if (r->chain.out_len != sizeof(struct header) + sizeof(d)) {
		request_end(r, S_IOERR);
		return;
	}
	vq_chain_read(&r->chain, sizeof(struct header), &d, sizeof(d));
	n = le32_get(d.num_sectors);
	flags = le32_get(d.flags);
	/* Unknown flags, and unmap in a discard (5.2.6.2). */
	if (flags & ~(zeroes ? 1u : 0u)) {
		request_end(r, S_UNSUPP);
		return;
	}
	if (n > (zeroes ? ZEROES_MAX_SECTORS : DISCARD_MAX_SECTORS) ||
		le64_get(d.sector) > UINT64_MAX >> SECTOR_SHIFT) {
		request_end(r, S_IOERR);
		return;
	}
	r->io.op = zeroes ? BLOCK_WRITE_ZEROES : BLOCK_DISCARD;
	r->io.may_unmap = flags & 1;
	r->io.offset = le64_get(d.sector) << SECTOR_SHIFT;
	r->io.len = (uint64_t)n << SECTOR_SHIFT;
	r->io.iov = NULL;
	r->io.n_iov = 0;
	submit(lane_of(r->s, r->vq), &r->io);
}

static void request_start(struct request *r, const struct header *h)
{
	switch (le32_get(h->type)) {
	case T_IN:
		transfer(r, false, le64_get(h->sector));
		break;
	case T_OUT:
		transfer(r, true, le64_get(h->sector));
		break;
	case T_FLUSH:
		r->io.op = BLOCK_FLUSH;
		r->io.offset = r->io.len = 0;
		r->io.n_iov = 0;
		submit(lane_of(r->s, r->vq), &r->io);
		break;
	case T_GET_ID:
		get_id(r);
		break;
	case T_DISCARD:
		zero_range(r, false);
		break;
	case T_WRITE_ZEROES:
		zero_range(r, true);
		break;
	default:
		request_end(r, S_UNSUPP);
	}
}

/* A popped chain, whose iovecs are in the scratch array. False: the device is broken now. */
static bool take(struct virtio_blk *s, struct virtqueue *vq, struct vq_chain *c)
{
	int n = c->n_out + c->n_in;
	struct request *r;
	struct header h;

	if (c->out_len < sizeof(h) || c->in_len < 1) {
		virtio_break(&s->v, "request without room for header or status");
		return false;
	}
	r = request_get(s, vq);
	r->chain = *c;
	r->chain.iov = n <= IOV_SMALL ? r->small : r->big;
	memcpy(r->chain.iov, c->iov, (size_t)n * sizeof(*c->iov));
	r->generation = s->v.generation;
	r->io.done = block_done;
	r->io.fua = false;
	vq_chain_read(&r->chain, 0, &h, sizeof(h));
	TRACE3(virtio_blk, request, vq->index, le32_get(h.type), le64_get(h.sector));
	virtio_request_begin(&s->v, vq);
	request_start(r, &h);
	return true;
}

static void blk_handle_queue(struct virtio_device *v, unsigned int q)
{
	struct virtio_blk *s = blk_of(v);
	struct virtqueue *vq = &v->vq[q];
	struct vq_chain c = { .iov = lane_of(s, vq)->scratch };
	int r;

	while ((r = vq_pop(vq, &c, s->max_iov)) > 0) {
		if (!take(s, vq, &c))
			return;
	}
	if (r < 0)
		virtio_break(v, "queue %u is damaged", q);
}

/* -------- the write cache (point 5) -------- */

static void flush_done(struct block_req *io, int res) NO_THREAD_SAFETY
{
	struct virtio_blk *s = CONTAINER_OF(io, struct virtio_blk, flush);
	bool locked = !s->lanes[0].submitting;

	/* An error is sticky in block/: the guest's next flush or write tells it. */
	if (locked)
		mutex_lock(&s->v.pci.dev.lock);
	s->flushing = false;
	if (s->flush_again)
		loop_post(s->v.pci.dev.home, &s->flush_defer);
	virtio_request_done(&s->v, NULL);
	if (locked)
		mutex_unlock(&s->v.pci.dev.lock);
}

static void blk_flush(void *opaque)
{
	struct virtio_blk *s = opaque;

	mutex_lock(&s->v.pci.dev.lock);
	s->flush_again = s->flushing;
	if (!s->flushing) {
		s->flushing = true;
		s->flush = (struct block_req){ .op = BLOCK_FLUSH, .done = flush_done };
		virtio_request_begin(&s->v, NULL);
		submit(&s->lanes[0], &s->flush);
	}
	mutex_unlock(&s->v.pci.dev.lock);
}

/* What the driver negotiated and chose. */
static void cache_update(struct virtio_blk *s)
{
	bool flushes = virtio_has(&s->v, F_FLUSH) || virtio_has(&s->v, F_CONFIG_WCE);

	block_set_writethrough(
		s->disk, !flushes || (virtio_has(&s->v, F_CONFIG_WCE) && !s->writeback));
}

static void blk_config_write(
	struct virtio_device *v, uint32_t off, const void *data, unsigned int size)
{
	struct virtio_blk *s = blk_of(v);
	bool on;

	if (off != WRITEBACK_OFF || size != 1 || !virtio_has(v, F_CONFIG_WCE))
		return;
	on = *(const uint8_t *)data & 1;
	if (on == s->writeback)
		return;
	s->writeback = on;
	v->config[WRITEBACK_OFF] = on;
	cache_update(s);
	if (!on)
		loop_post(v->pci.dev.home, &s->flush_defer);
}

/* -------- life -------- */

static uint64_t blk_features(struct virtio_device *v)
{
	struct virtio_blk *s = blk_of(v);
	const struct block_info *i = block_get_info(s->disk);
	uint64_t f = BIT_ULL(F_SEG_MAX) | BIT_ULL(F_BLK_SIZE) | BIT_ULL(F_TOPOLOGY) |
		     BIT_ULL(F_FLUSH) | BIT_ULL(F_CONFIG_WCE);

	if (i->readonly)
		f |= BIT_ULL(F_RO);
	if (s->cfg.num_queues > 1)
		f |= BIT_ULL(F_MQ);
	if (i->can_discard && s->cfg.discard)
		f |= BIT_ULL(F_DISCARD);
	if (i->can_write_zeroes && s->cfg.write_zeroes)
		f |= BIT_ULL(F_WRITE_ZEROES);
	return f;
}

static void config_fill(struct virtio_blk *s)
{
	const struct block_info *i = block_get_info(s->disk);
	uint32_t logical = s->cfg.logical_block ?: i->logical_block;
	uint32_t physical = s->cfg.physical_block ?: MAX(i->physical_block, logical);
	uint32_t align = MAX(physical, logical) >> SECTOR_SHIFT;
	struct config_space c = {
		.capacity = le64_of(s->capacity),
		.seg_max = le32_of(MAX(s->cfg.virtio.queue_size, 3u) - 2),
		.blk_size = le32_of(logical),
		.physical_block_exp =
			(uint8_t)(physical > logical ? __builtin_ctz(physical / logical) : 0),
		.min_io_size = le16_of((uint16_t)MAX(physical / logical, 1u)),
		.opt_io_size = le32_of(i->opt_io / logical),
		.writeback = s->writeback,
		.num_queues = le16_of((uint16_t)s->cfg.num_queues),
		.max_discard_sectors = le32_of(DISCARD_MAX_SECTORS),
		.max_discard_seg = le32_of(1),
		.discard_sector_alignment = le32_of(align),
		.max_write_zeroes_sectors = le32_of(ZEROES_MAX_SECTORS),
		.max_write_zeroes_seg = le32_of(1),
		.write_zeroes_may_unmap = i->can_discard,
	};

	memcpy(s->v.config, &c, sizeof(c));
}

static void blk_start(struct virtio_device *v)
{
	cache_update(blk_of(v));
}

static void blk_class_reset(struct virtio_device *v)
{
	struct virtio_blk *s = blk_of(v);

	s->writeback = s->cfg.write_cache;
	v->config[WRITEBACK_OFF] = s->writeback;
	block_hurry_once(s->disk); /* the reset waits for them */
}

static const struct virtio_class blk_class = {
	.device_id = 2,
	.pci_class = 0x010000, /* SCSI controller: what drivers are used to */
	.config_size = sizeof(struct config_space),
	.features = blk_features,
	.config_write = blk_config_write,
	.start = blk_start,
	.handle_queue = blk_handle_queue,
	.reset = blk_class_reset,
	.lane = blk_lane,
};

/* -------- what is in flight comes to its end, limits or not -------- */

static void blk_quiesce(struct device *d)
{
	struct virtio_blk *s = CONTAINER_OF(d, struct virtio_blk, v.pci.dev);

	block_hurry(s->disk, true);
	virtio_quiesce(d);
	block_hurry(s->disk, false);
}

static void blk_reset(struct device *d)
{
	struct virtio_blk *s = CONTAINER_OF(d, struct virtio_blk, v.pci.dev);

	block_hurry(s->disk, true);
	virtio_reset(d);
	block_hurry(s->disk, false);
}

/* -------- another size -------- */

static void user_hold(struct block_user *u)
{
	struct virtio_blk *s = CONTAINER_OF(u, struct virtio_blk, user);

	s->held = !s->v.quiesced; /* or the whole machine stands still, and goes on later */
	if (s->held)
		blk_quiesce(&s->v.pci.dev);
}

static void user_let_go(struct block_user *u)
{
	struct virtio_blk *s = CONTAINER_OF(u, struct virtio_blk, user);

	if (s->held)
		virtio_resume(&s->v.pci.dev);
}

static void user_resized(struct block_user *u)
{
	struct virtio_blk *s = CONTAINER_OF(u, struct virtio_blk, user);
	le64 capacity;

	mutex_lock(&s->v.pci.dev.lock);
	s->capacity = block_get_info(s->disk)->size >> SECTOR_SHIFT;
	capacity = le64_of(s->capacity);
	memcpy(s->v.config + offsetof(struct config_space, capacity), &capacity, sizeof(capacity));
	virtio_config_changed(&s->v);
	mutex_unlock(&s->v.pci.dev.lock);
}

static bool check_sizes(struct virtio_blk *s, struct error *err)
{
	struct blk_config *c = &s->cfg;
	const uint32_t sizes[] = { c->logical_block, c->physical_block };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (sizes[i] && (sizes[i] < 512 || (sizes[i] & (sizes[i] - 1))))
			return error_usage(err,
				"block size %u: must be a power of two from 512 to 32768",
				sizes[i]);
	}
	if (c->logical_block && block_get_info(s->disk)->size % c->logical_block)
		return error_usage(err,
			"the disk's size is not a multiple of logical_block_size=%u",
			c->logical_block);
	if (c->serial && strlen(c->serial) > SERIAL_LEN)
		return error_usage(
			err, "serial '%s' is longer than %u characters", c->serial, SERIAL_LEN);
	return true;
}

/* Forget deferred calls; on the lane's loop. */
static void notify_cancel(void *opaque)
{
	struct blk_lane *l = opaque;

	loop_defer_cancel(l->v->loop, &l->notify);
}

static void flush_cancel(void *opaque)
{
	struct virtio_blk *s = opaque;

	loop_defer_cancel(s->v.pci.dev.home, &s->flush_defer);
}

static bool blk_prepare(struct virtio_blk *s, struct error *err)
{
	/* More than one thread is for who asks for queues or names threads: each costs a little at the start. */
	uint32_t lanes = s->cfg.num_queues || s->cfg.virtio.iothread ? VIRTIO_LANES_MAX : 1;
	struct device *d = &s->v.pci.dev;

	if (!s->cfg.num_queues)
		s->cfg.num_queues = MAX(MIN(d->machine->n_vcpus, QUEUES_AUTO_MAX), 1u);
	s->disk = machine_backend(d->machine, BACKEND_BLOCK, s->cfg.drive, err);
	if (!s->disk || !check_sizes(s, err))
		return false;
	lanes = MIN(lanes, MIN(s->cfg.num_queues, block_max_lanes(s->disk)));
	if (!virtio_choose_loops(&s->v, &s->cfg.virtio, lanes, err))
		return false;
	s->capacity = block_get_info(s->disk)->size >> SECTOR_SHIFT;
	s->writeback = s->cfg.write_cache;
	loop_defer_init(&s->flush_defer, blk_flush, s);
	return true;
}

static bool blk_realize(struct device *d, struct error *err)
{
	struct virtio_blk *s = CONTAINER_OF(d, struct virtio_blk, v.pci.dev);

	if (!blk_prepare(s, err))
		return false;
	if (!pools_make(s, err) || !block_attach(s->disk, s->v.loops, s->v.n_lanes, err)) {
		pools_free(s);
		return false;
	}
	if (!virtio_init(&s->v, &blk_class, &s->cfg.virtio, s->cfg.num_queues, err)) {
		block_detach(s->disk);
		pools_free(s);
		return false;
	}
	for (uint32_t i = 0; i < s->n_lanes; i++)
		s->lanes[i].v = &s->v.lanes[i];
	config_fill(s);
	s->user = (struct block_user){ user_hold, user_let_go, user_resized };
	block_set_user(s->disk, &s->user);
	return true;
}

static void blk_unrealize(struct device *d)
{
	struct virtio_blk *s = CONTAINER_OF(d, struct virtio_blk, v.pci.dev);

	block_hurry(s->disk, true);
	virtio_leave(&s->v); /* nothing is in flight any more, and nobody puts off a flush */
	for (uint32_t i = 0; i < s->n_lanes; i++)
		loop_call(s->v.loops[i], notify_cancel, &s->lanes[i]);
	loop_call(d->home, flush_cancel, s);
	virtio_fini(&s->v);
	block_hurry(s->disk, false);
	block_detach(s->disk);
	pools_free(s);
}

static bool blk_post_load(struct device *d, struct error *err)
{
	struct virtio_blk *s = CONTAINER_OF(d, struct virtio_blk, v.pci.dev);
	uint64_t size = block_get_info(s->disk)->size >> SECTOR_SHIFT;

	if (s->capacity != size) {
		error_set(err,
			"disk '%s' has %llu sectors, the saved one had %llu: open the same image",
			block_id(s->disk), (unsigned long long)size,
			(unsigned long long)s->capacity);
		s->capacity = size;
		return false;
	}
	if (!virtio_post_load(d, err))
		return false;
	s->v.config[WRITEBACK_OFF] = s->writeback;
	cache_update(s);
	return true;
}

static const struct field blk_config_fields[] = {
	FIELD_STR(struct blk_config, drive, "drive", .flags = FF_REQUIRED, .doc = "disk by its id"),
	FIELD_STR(struct blk_config, serial, "serial",
		.doc = "serial number that the guest sees, at most 20 characters"),
	FIELD_U32(struct blk_config, num_queues, "num-queues", .max = VIRTIO_QUEUES_MAX,
		.dflt = "0",
		.doc = "request queues, on a thread each as far as the host has CPUs; 0: one a "
		       "vCPU, at most 8, all on one thread"),
	FIELD_BOOL(struct blk_config, write_cache, "write-cache", .dflt = "on",
		.doc = "the guest sees a volatile write cache and flushes it"),
	FIELD_BOOL(struct blk_config, discard, "discard", .dflt = "on",
		.doc = "offer discard, if the disk passes it on"),
	FIELD_BOOL(struct blk_config, write_zeroes, "write-zeroes", .dflt = "on",
		.doc = "offer write-zeroes"),
	FIELD_U32(struct blk_config, logical_block, "logical_block_size", .max = 32768, .dflt = "0",
		.doc = "sector size told to the guest; 0: the disk's"),
	FIELD_U32(struct blk_config, physical_block, "physical_block_size", .max = 32768,
		.dflt = "0", .doc = "physical sector size told to the guest; 0: the disk's"),
	VIRTIO_FIELDS(struct blk_config, virtio),
};
static const struct field_table blk_config_table = FIELD_TABLE(
	"virtio-blk-pci", struct blk_config, blk_config_fields);

static const struct field blk_state_fields[] = {
	FIELD_STRUCT(struct virtio_blk, v, "virtio", &virtio_device_state, .tag = 1),
	FIELD_BOOL(struct virtio_blk, writeback, "writeback", .tag = 2),
	FIELD_U64(struct virtio_blk, capacity, "capacity", .tag = 3),
};
static const struct field_table blk_state_table = FIELD_TABLE(
	"virtio-blk-pci", struct virtio_blk, blk_state_fields);

const struct device_type virtio_blk_pci_type = {
	.name = "virtio-blk-pci",
	.alias = "virtio-blk-pci-non-transitional",
	.doc = "virtio disk",
	.bus = BUS_PCI,
	.flags = DEVICE_USER,
	.size = sizeof(struct virtio_blk),
	.config = &blk_config_table,
	.config_off = offsetof(struct virtio_blk, cfg),
	.state = &blk_state_table,
	.realize = blk_realize,
	.unrealize = blk_unrealize,
	.reset = blk_reset,
	.quiesce = blk_quiesce,
	.resume = virtio_resume,
	.pre_save = virtio_pre_save,
	.post_load = blk_post_load,
	.test_options = "drive=test",
};
