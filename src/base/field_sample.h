// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * field_sample - a table with a field of every type, for the unit tests and fuzz targets of `field`
 * and `stream`. Not part of any program.
 */
#ifndef BASE_FIELD_SAMPLE_H
#define BASE_FIELD_SAMPLE_H

#include "base/field.h"
#include "base/types.h"

struct sample_point {
	uint32_t x, y;
};

static const struct field sample_point_fields[] = {
	FIELD_U32(struct sample_point, x, "x", .tag = 1, .max = 1000, .doc = "to the right"),
	FIELD_U32(struct sample_point, y, "y", .tag = 2, .min = 1, .max = 1000, .dflt = "7"),
};
static const struct field_table sample_point_table = FIELD_TABLE(
	"point", struct sample_point, sample_point_fields);

struct sample_file {
	char *path;
	bool direct;
};

static const struct field sample_file_fields[] = {
	FIELD_STR(struct sample_file, path, "path", .tag = 1, .dflt = "/dev/null",
		.doc = "what to open"),
	FIELD_BOOL(struct sample_file, direct, "direct", .tag = 2, .doc = "past the page cache"),
};
static const struct field_table sample_file_table = FIELD_TABLE(
	"file", struct sample_file, sample_file_fields);

/* A union inside a union's arm. */
struct sample_net {
	uint16_t port;
	int proto;
	union {
		struct sample_point tcp;
		struct sample_file udp;
	} u;
};

static const char *const sample_proto_names[] = { "tcp", "udp", NULL };
static const struct field_table *const sample_proto_arms[] = { &sample_point_table,
	&sample_file_table };
static const struct field sample_net_fields[] = {
	FIELD_UNION(struct sample_net, u, "", proto, sample_proto_arms, .tag = 3),
	FIELD_U16(struct sample_net, port, "port", .tag = 1, .dflt = "80"),
	FIELD_ENUM(struct sample_net, proto, "proto", sample_proto_names, .tag = 2),
};
static const struct field_table sample_net_table = FIELD_TABLE(
	"net", struct sample_net, sample_net_fields);

/* A table that is its own list's element. */
struct sample_node {
	uint32_t id;
	char *label;
	struct {
		struct sample_node *items;
		size_t len;
	} kids;
};

extern const struct field_table sample_node_table;
static const struct field sample_node_fields[] = {
	FIELD_U32(struct sample_node, id, "id", .tag = 1),
	FIELD_STR(struct sample_node, label, "label", .tag = 2, .max = 30, .flags = FF_REQUIRED),
	FIELD_LIST(struct sample_node, kids, "kids", FT_STRUCT, 3, .sub = &sample_node_table,
		.tag = 3),
};
const struct field_table sample_node_table = FIELD_TABLE(
	"node", struct sample_node, sample_node_fields);

enum { SAMPLE_NONE, SAMPLE_FILE, SAMPLE_NET };

struct sample {
	uint64_t before; /* not described: must stay as it is */
	bool flag;
	uint8_t u8;
	uint16_t u16;
	uint32_t queues;
	uint64_t u64;
	int64_t i64;
	int64_t temp;
	uint64_t size;
	int cache;
	char *file;
	char *serial;
	char *password;
	uint8_t uuid[16];
	uint8_t mac[6];
	struct sample_point at;
	struct sample_file base; /* flat */
	uint16_t irr[4];
	struct sample_point line[3];
	struct {
		uint32_t *items;
		size_t len;
	} nums;
	struct {
		char **items;
		size_t len;
	} names;
	struct {
		struct sample_node *items;
		size_t len;
	} nodes;
	int kind;
	union {
		struct sample_file file;
		struct sample_net net;
	} u;
	uint32_t hits;	/* derived */
	uint32_t local; /* not saved */
	uint64_t after; /* not described */
};

static const char *const sample_cache_names[] = { "none", "writeback", "unsafe", NULL };
static const char *const sample_kind_names[] = { "none", "file", "net", NULL };
static const struct field_table *const sample_kind_arms[] = { NULL, &sample_file_table,
	&sample_net_table };

static const struct field sample_fields[] = {
	FIELD_STR(struct sample, file, "file", .tag = 1, .flags = FF_REQUIRED | FF_FIRST,
		.doc = "path of the image"),
	FIELD_BOOL(struct sample, flag, "flag", .tag = 2, .doc = "raised"),
	FIELD_U8(struct sample, u8, "u8", .tag = 3),
	FIELD_U16(struct sample, u16, "u16", .tag = 4),
	FIELD_U32(struct sample, queues, "queues", .tag = 5, .min = 1, .max = 64, .dflt = "4",
		.doc = "request queues"),
	FIELD_U64(struct sample, u64, "u64", .tag = 6, .doc = "big"),
	FIELD_I64(struct sample, i64, "i64", .tag = 7),
	FIELD_I64(struct sample, temp, "temp", .tag = 8, .min = (uint64_t)-5, .max = 10,
		.dflt = "-1"),
	FIELD_SIZE(struct sample, size, "size", .tag = 9, .min = 512, .max = 1ull << 40,
		.dflt = "4K", .doc = "of a cluster"),
	FIELD_ENUM(
		struct sample, cache, "cache", sample_cache_names, .tag = 10, .dflt = "writeback"),
	FIELD_STR(struct sample, serial, "serial", .tag = 11, .max = 20, .dflt = "S1"),
	FIELD_STR(struct sample, password, "password", .tag = 12, .min = 4, .flags = FF_SECRET),
	FIELD_BYTES(struct sample, uuid, "uuid", .tag = 13),
	FIELD_MAC(struct sample, mac, "mac", .tag = 14, .dflt = "52:54:00:12:34:56"),
	FIELD_STRUCT(struct sample, at, "at", &sample_point_table, .tag = 15),
	FIELD_STRUCT(struct sample, base, "", &sample_file_table, .tag = 16),
	FIELD_ARRAY(
		struct sample, irr, "irr", FT_U16, uint16_t, .tag = 17, .max = 999, .dflt = "3"),
	FIELD_STRUCT_ARRAY(
		struct sample, line, "line", &sample_point_table, struct sample_point, .tag = 18),
	FIELD_LIST(struct sample, nums, "num", FT_U32, 8, .tag = 19, .max = 100),
	FIELD_LIST(struct sample, names, "name", FT_STR, 4, .tag = 20, .max = 10),
	FIELD_LIST(
		struct sample, nodes, "node", FT_STRUCT, 3, .sub = &sample_node_table, .tag = 21),
	FIELD_UNION(struct sample, u, "u", kind, sample_kind_arms, .tag = 23),
	FIELD_ENUM(struct sample, kind, "kind", sample_kind_names, .tag = 22),
	FIELD_U32(struct sample, hits, "hits", .flags = FF_DERIVED),
	FIELD_U32(struct sample, local, "local"),
};
static const struct field_table sample_table = FIELD_TABLE("sample", struct sample, sample_fields);

#endif
