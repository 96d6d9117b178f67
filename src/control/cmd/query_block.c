// SPDX-License-Identifier: GPL-2.0-or-later
/* query-block, query-named-block-nodes, query-blockstats: the disks. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "block/block.h"
#include "control/qmp.h"
#include "core/machine.h"

/* -------- the tables -------- */

static const char *const zeroes_names[] = { "off", "on", "unmap", NULL };
static const char *const status_names[] = { "ok", "failed", "nospace", NULL };

struct cache {
	bool writeback, direct, no_flush;
};
static const struct field cache_fields[] = {
	FIELD_BOOL(struct cache, writeback, "writeback"),
	FIELD_BOOL(struct cache, direct, "direct"),
	FIELD_BOOL(struct cache, no_flush, "no-flush"),
};
static const struct field_table cache = FIELD_TABLE(
	"BlockdevCacheInfo", struct cache, cache_fields);

struct image {
	char *filename, *format;
	int64_t virtual_size, actual_size;
};
static const struct field image_fields[] = {
	FIELD_STR(struct image, filename, "filename", .flags = FF_GIVEN),
	FIELD_STR(struct image, format, "format", .flags = FF_GIVEN),
	FIELD_I64(struct image, virtual_size, "virtual-size", .doc = "bytes that the guest sees"),
	FIELD_I64(struct image, actual_size, "actual-size", .doc = "bytes that the file takes"),
};
static const struct field_table image = FIELD_TABLE("ImageInfo", struct image, image_fields);

struct node {
	char *file, *name, *driver;
	bool ro, encrypted;
	int zeroes;
	int64_t depth, limit[BLOCK_LIMITS], burst[BLOCK_LIMITS], seconds[BLOCK_LIMITS], iops_size;
	int64_t threshold;
	char *group;
	struct image image;
	struct cache cache;
};
#define LIMIT(i, name)                                                                \
	FIELD_I64(struct node, limit[i], name, .doc = "limit; 0: none"),              \
		FIELD_I64(struct node, burst[i], name "_max", .flags = FF_OMIT_ZERO), \
		FIELD_I64(struct node, seconds[i], name "_max_length", .flags = FF_OMIT_ZERO)
static const struct field node_fields[] = {
	FIELD_STR(struct node, file, "file", .flags = FF_GIVEN),
	FIELD_STR(struct node, name, "node-name"),
	FIELD_BOOL(struct node, ro, "ro", .doc = "the guest cannot write"),
	FIELD_STR(struct node, driver, "drv", .flags = FF_GIVEN, .doc = "its format"),
	FIELD_I64(struct node, depth, "backing_file_depth"),
	FIELD_BOOL(struct node, encrypted, "encrypted"),
	FIELD_ENUM(struct node, zeroes, "detect_zeroes", zeroes_names),
	LIMIT(BLOCK_BPS, "bps"),
	LIMIT(BLOCK_BPS_READ, "bps_rd"),
	LIMIT(BLOCK_BPS_WRITE, "bps_wr"),
	LIMIT(BLOCK_IOPS, "iops"),
	LIMIT(BLOCK_IOPS_READ, "iops_rd"),
	LIMIT(BLOCK_IOPS_WRITE, "iops_wr"),
	FIELD_I64(struct node, iops_size, "iops_size", .flags = FF_OMIT_ZERO),
	FIELD_STR(struct node, group, "group", .doc = "the disks that share the limits"),
	FIELD_STRUCT(struct node, image, "image", &image),
	FIELD_STRUCT(struct node, cache, "cache", &cache),
	FIELD_I64(struct node, threshold, "write_threshold"),
};
static const struct field_table node = FIELD_TABLE("BlockDeviceInfo", struct node, node_fields);

struct disk {
	char *device, *qdev, *type;
	bool removable, locked;
	struct node inserted;
	int status;
};
static const struct field disk_fields[] = {
	FIELD_STR(struct disk, device, "device", .flags = FF_GIVEN, .doc = "the disk's id"),
	FIELD_STR(struct disk, qdev, "qdev", .doc = "the device that uses it"),
	FIELD_STR(struct disk, type, "type", .flags = FF_GIVEN, .dflt = "unknown"),
	FIELD_BOOL(struct disk, removable, "removable"),
	FIELD_BOOL(struct disk, locked, "locked"),
	FIELD_STRUCT(struct disk, inserted, "inserted", &node),
	FIELD_ENUM(struct disk, status, "io-status", status_names),
};
static const struct field_table disk = FIELD_TABLE("BlockInfo", struct disk, disk_fields);

struct disks {
	struct {
		struct disk *items;
		size_t len;
	} list;
};
static const struct field disks_fields[] = {
	FIELD_LIST(struct disks, list, "disks", FT_STRUCT, 4096, .sub = &disk),
};
static const struct field_table disks = FIELD_TABLE("query-block", struct disks, disks_fields);

struct nodes {
	struct {
		struct node *items;
		size_t len;
	} list;
};
static const struct field nodes_fields[] = {
	FIELD_LIST(struct nodes, list, "nodes", FT_STRUCT, 4096, .sub = &node),
};
static const struct field_table nodes = FIELD_TABLE(
	"query-named-block-nodes", struct nodes, nodes_fields);

/* -------- filling them -------- */

static bool fill_limits(struct node *n, const struct block_dev *b, struct error *err)
{
	const struct block_limits *l = block_get_limits(b);

	for (int i = 0; l && i < BLOCK_LIMITS; i++) {
		n->limit[i] = (int64_t)l->of[i].rate;
		n->burst[i] = (int64_t)l->of[i].burst;
		n->seconds[i] = l->of[i].burst ? (int64_t)(l->of[i].burst_seconds ?: 1) : 0;
	}
	n->iops_size = l ? (int64_t)l->request_size : 0;
	return !l || qmp_set_text(&n->group, l->group, err);
}

static bool fill_node(struct node *n, const struct block_dev *b, struct error *err)
{
	const struct block_info *i = block_get_info(b);
	int mode = block_cache_mode(b);

	n->ro = i->readonly;
	n->zeroes = block_detect_zeroes_mode(b);
	n->image.virtual_size = (int64_t)i->size;
	n->image.actual_size = (int64_t)block_allocated(b);
	n->cache = (struct cache){ mode != BLOCK_CACHE_WRITETHROUGH, mode == BLOCK_CACHE_NONE,
		mode == BLOCK_CACHE_UNSAFE };
	return fill_limits(n, b, err) && qmp_set_text(&n->file, block_filename(b), err) &&
	       qmp_set_text(&n->name, block_id(b), err) &&
	       qmp_set_text(&n->driver, block_format_name(b), err) &&
	       qmp_set_text(&n->image.filename, block_filename(b), err) &&
	       qmp_set_text(&n->image.format, block_format_name(b), err);
}

/* The device whose `drive` is @id, as a path. */
static bool user_of(struct machine *m, const char *id, char **out, struct error *err)
{
	struct device *d;
	char path[200];

	list_for_each (d, &m->devices, node) {
		AUTO(str) drive = STR_INIT;

		if (!d->type->config || !fields_find(d->type->config, "drive") ||
			!fields_get(d->type->config, device_config(d), "drive", &drive) ||
			strcmp(str_cstr(&drive), id))
			continue;
		device_path(d, path, sizeof(path) - 20);
		strcat(path, "/virtio-backend");
		return qmp_set_text(out, path, err);
	}
	return true;
}

/* A node of blockdev-add's and its like (as --disk bus=none) is no disk of its own name for QEMU's clients: it has its node's
 * name only, and is there when a device uses it. */
static bool is_node(struct machine *m, const char *id)
{
	return machine_owned_find(m, BACKEND_BLOCK, id);
}

static bool query_block(struct qmp_call *c, struct error *err)
{
	struct map_entry *e;

	map_for_each (e, &c->m->backends[BACKEND_BLOCK]) {
		AUTO_FREE char *user = NULL;
		struct disk *d;

		if (!user_of(c->m, e->key, &user, err))
			return false;
		if (is_node(c->m, e->key) && !user)
			continue;
		d = fields_list_add(&disks, c->ret, "disks", err);
		if (!d || !qmp_set_text(&d->device, is_node(c->m, e->key) ? "" : e->key, err) ||
			!fill_node(&d->inserted, e->value, err))
			return false;
		d->qdev = TAKE(user);
	}
	return true;
}

struct flat_args {
	bool flat;
};
static const struct field flat_fields[] = {
	FIELD_BOOL(struct flat_args, flat, "flat", .doc = "without backing images"),
};
static const struct field_table flat_args = FIELD_TABLE(
	"query-named-block-nodes", struct flat_args, flat_fields);

static bool query_nodes(struct qmp_call *c, struct error *err)
{
	struct map_entry *e;

	map_for_each (e, &c->m->backends[BACKEND_BLOCK]) {
		struct node *n = fields_list_add(&nodes, c->ret, "nodes", err);

		if (!n || !fill_node(n, e->value, err))
			return false;
	}
	return true;
}

const struct qmp_command query_block_cmd = {
	.name = "query-block",
	.doc = "the disks",
	.ret = &disks,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = query_block,
};

const struct qmp_command query_named_block_nodes_cmd = {
	.name = "query-named-block-nodes",
	.doc = "what the disks are made of",
	.args = &flat_args,
	.ret = &nodes,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = query_nodes,
};

/* -------- statistics -------- */

struct stats {
	uint64_t n[24];
	int64_t idle_ns;
	bool account_invalid, account_failed;
	struct {
		int64_t *items;
		size_t len;
	} timed;
};

#define STAT(i, name) FIELD_U64(struct stats, n[i], name)
static const struct field stats_fields[] = {
	STAT(0, "rd_bytes"),
	STAT(1, "wr_bytes"),
	STAT(2, "unmap_bytes"),
	STAT(3, "rd_operations"),
	STAT(4, "wr_operations"),
	STAT(5, "flush_operations"),
	STAT(6, "unmap_operations"),
	STAT(7, "rd_total_time_ns"),
	STAT(8, "wr_total_time_ns"),
	STAT(9, "flush_total_time_ns"),
	STAT(10, "unmap_total_time_ns"),
	STAT(11, "wr_highest_offset"),
	STAT(12, "rd_merged"),
	STAT(13, "wr_merged"),
	STAT(14, "unmap_merged"),
	FIELD_I64(struct stats, idle_ns, "idle_time_ns", .flags = FF_OMIT_ZERO,
		.doc = "since the last request ended"),
	STAT(15, "failed_rd_operations"),
	STAT(16, "failed_wr_operations"),
	STAT(17, "failed_flush_operations"),
	STAT(18, "failed_unmap_operations"),
	STAT(19, "invalid_rd_operations"),
	STAT(20, "invalid_wr_operations"),
	STAT(21, "invalid_flush_operations"),
	STAT(22, "invalid_unmap_operations"),
	FIELD_BOOL(struct stats, account_invalid, "account_invalid", .dflt = "on"),
	FIELD_BOOL(struct stats, account_failed, "account_failed", .dflt = "on"),
	FIELD_LIST(struct stats, timed, "timed_stats", FT_I64, 16, .doc = "always empty"),
};
static const struct field_table stats = FIELD_TABLE("BlockDeviceStats", struct stats, stats_fields);

struct entry {
	char *device, *qdev, *node;
	struct stats stats;
};
static const struct field entry_fields[] = {
	FIELD_STR(struct entry, device, "device"),
	FIELD_STR(struct entry, qdev, "qdev"),
	FIELD_STR(struct entry, node, "node-name"),
	FIELD_STRUCT(struct entry, stats, "stats", &stats),
};
static const struct field_table entry = FIELD_TABLE("BlockStats", struct entry, entry_fields);
struct entries {
	struct {
		struct entry *items;
		size_t len;
	} list;
};
static const struct field entries_fields[] = {
	FIELD_LIST(struct entries, list, "entries", FT_STRUCT, 4096, .sub = &entry),
};
static const struct field_table entries = FIELD_TABLE(
	"query-blockstats", struct entries, entries_fields);

static void fill_stats(struct stats *s, const struct block_dev *b)
{
	/* Position of ops, bytes, ns, failed, invalid of reads, writes, flushes, discards. */
	static const uint8_t at[BLOCK_STATS][5] = { { 3, 0, 7, 15, 19 }, { 4, 1, 8, 16, 20 },
		{ 5, 23, 9, 17, 21 }, { 6, 2, 10, 18, 22 } };
	struct block_stats in;

	block_get_stats(b, &in);
	for (int i = 0; i < BLOCK_STATS; i++) {
		s->n[at[i][0]] = in.of[i].ops;
		s->n[at[i][1]] = in.of[i].bytes;
		s->n[at[i][2]] = in.of[i].ns;
		s->n[at[i][3]] = in.of[i].failed;
		s->n[at[i][4]] = in.of[i].invalid;
	}
	s->n[11] = in.write_end;
	s->idle_ns = in.last_ns ? clock_mono_ns() - in.last_ns : 0;
}

struct stats_args {
	bool nodes;
};
static const struct field stats_args_fields[] = {
	FIELD_BOOL(struct stats_args, nodes, "query-nodes", .doc = "by node, not by disk"),
};
static const struct field_table stats_args = FIELD_TABLE(
	"query-blockstats", struct stats_args, stats_args_fields);

static bool query_blockstats(struct qmp_call *c, struct error *err)
{
	const struct stats_args *a = c->args;
	struct map_entry *e;

	map_for_each (e, &c->m->backends[BACKEND_BLOCK]) {
		AUTO_FREE char *user = NULL;
		struct entry *r;

		if (!a->nodes && !user_of(c->m, e->key, &user, err))
			return false;
		if (!a->nodes && is_node(c->m, e->key) && !user)
			continue;
		r = fields_list_add(&entries, c->ret, "entries", err);
		if (!r || !qmp_set_text(&r->node, e->key, err))
			return false;
		if (!a->nodes &&
			!qmp_set_text(&r->device, is_node(c->m, e->key) ? "" : e->key, err))
			return false;
		r->qdev = TAKE(user);
		fill_stats(&r->stats, e->value);
	}
	return true;
}

const struct qmp_command query_blockstats_cmd = {
	.name = "query-blockstats",
	.doc = "what the disks have done",
	.args = &stats_args,
	.ret = &entries,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = query_blockstats,
};
