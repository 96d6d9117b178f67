// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * blockdev-add, blockdev-del: disks that come and go while the machine runs. A node is a file, or a format
 * over one: either described inside (`file` is an object) or named. A format node takes its file node over,
 * which then can neither be used by a device nor deleted.
 */
#include <string.h>
#include "base/json.h"
#include "block/block.h"
#include "control/qmp.h"
#include "core/machine.h"

/* -------- arguments -------- */

/* A format's name is its driver's. */
enum { DRIVER_FILE, DRIVER_RAW };
static const char *const driver_names[] = { "file", "raw", NULL };
static const char *const discard_names[] = { "ignore", "unmap", NULL };
static const char *const detect_names[] = { "off", "on", "unmap", NULL };

struct cache {
	bool direct, no_flush;
};
struct file_node {
	char *filename;
};
struct format_node {
	char *file; /* JSON */
};
struct node {
	int driver;
	char *name;
	bool readonly, auto_readonly;
	int discard, detect_zeroes;
	struct cache cache;
	union {
		struct file_node file;
		struct format_node format;
	} u;
};
static const struct field_table node_table;

static const struct field cache_fields[] = {
	FIELD_BOOL(struct cache, direct, "direct", .doc = "not through the host's page cache"),
	FIELD_BOOL(struct cache, no_flush, "no-flush", .doc = "flushes do nothing"),
};
static const struct field_table cache_table = FIELD_TABLE("cache", struct cache, cache_fields);
static const struct field file_fields[] = {
	FIELD_STR(struct file_node, filename, "filename", .flags = FF_GIVEN,
		.doc = "its path, or /dev/fdset/N"),
};
static const struct field_table file_table = FIELD_TABLE("file", struct file_node, file_fields);
static const struct field format_fields[] = {
	FIELD_STR(struct format_node, file, "file", .flags = FF_GIVEN | FF_ANY, .sub = &node_table,
		.doc = "the file's node, by its name or as it would be added"),
};
static const struct field_table format_table = FIELD_TABLE(
	"format", struct format_node, format_fields);
static const struct field_table *const driver_arms[] = { &file_table, &format_table };
static const struct field node_fields[] = {
	FIELD_ENUM(struct node, driver, "driver", driver_names, .flags = FF_GIVEN,
		.doc = "a file, or what is in one"),
	FIELD_STR(struct node, name, "node-name", .doc = "its name"),
	FIELD_BOOL(struct node, readonly, "read-only", .doc = "not to be written to"),
	FIELD_BOOL(struct node, auto_readonly, "auto-read-only",
		.doc = "the same, if it may not be written to"),
	FIELD_ENUM(struct node, discard, "discard", discard_names, .dflt = "ignore",
		.doc = "give space back that the guest discards"),
	FIELD_ENUM(struct node, detect_zeroes, "detect-zeroes", detect_names, .dflt = "off",
		.doc = "write zeroes as such, or discard where it may"),
	FIELD_STRUCT(struct node, cache, "cache", &cache_table),
	FIELD_UNION(struct node, u, "", driver, driver_arms),
};
static const struct field_table node_table = FIELD_TABLE("blockdev-add", struct node, node_fields);

/* A format's `file` that is no name. */
struct below {
	struct node file;
};
static const struct field below_fields[] = {
	FIELD_STRUCT(struct below, file, "file", &node_table, .flags = FF_GIVEN),
};
static const struct field_table below_table = FIELD_TABLE("file", struct below, below_fields);

static void below_fini(struct below *b)
{
	fields_fini(&below_table, b);
}
DEFINE_AUTO(below, struct below, below_fini)

/* What a format lies over: a node that it describes, or @over, the name of one. */
static bool read_file(const char *json, struct below *below, struct str *over, struct error *err)
{
	AUTO_FREE char *text = str_printf("{\"file\": %s}", json);
	AUTO(json_doc) doc = JSON_DOC_INIT;
	const struct json_token *file;

	if (!text)
		return error_set(err, "out of memory");
	if (!json_parse(&doc, text, strlen(text), err))
		return false;
	doc.typed = true;
	file = json_member(&doc, doc.tokens, "file");
	if (file->type == JSON_STRING) {
		json_text(&doc, file, over);
		return strlen(str_cstr(over)) == over->len ||
		       error_usage(err, "'file' has a NUL byte in it");
	}
	if (!fields_init(&below_table, below, err) ||
		!fields_from_json(&below_table, below, &doc, doc.tokens, err))
		return false;
	if (below->file.driver != DRIVER_FILE)
		return error_usage(err, "'file': its driver is 'file'");
	return !below->file.name ||
	       error_usage(err, "'file': it has no node-name: add it by itself, and name it");
}

static bool check_node(const struct node *n, struct error *err)
{
	if (!n->name || !n->name[0])
		return error_usage(err, "'node-name' must be specified for the root node");
	return !(n->cache.direct && n->cache.no_flush) ||
	       error_usage(err, "'cache': 'direct' and 'no-flush' exclude each other here");
}

/* -------- opening -------- */

static void close_disk(void *disk)
{
	block_close(disk);
}

/* What is asked of a format's file is asked of the format. */
static void join(struct node *n, const struct node *file)
{
	n->readonly |= file->readonly;
	n->auto_readonly |= file->auto_readonly;
	n->cache.direct |= file->cache.direct;
	n->cache.no_flush |= file->cache.no_flush;
	n->discard = MAX(n->discard, file->discard);
	n->detect_zeroes = MAX(n->detect_zeroes, file->detect_zeroes);
}

static bool open_as(const struct node *n, const char *path, bool readonly, struct block_dev **out,
	struct error *err)
{
	struct block_config b = { 0 };
	const struct field_table *t = &block_config_table;
	bool ok = fields_init(t, &b, err) && fields_set(t, &b, "file", path, err) &&
		  fields_set(t, &b, "id", n->name, err) &&
		  fields_set(t, &b, "readonly", readonly ? "on" : "off", err) &&
		  fields_set(t, &b, "discard", discard_names[n->discard], err) &&
		  fields_set(t, &b, "detect-zeroes", detect_names[n->detect_zeroes], err);

	if (ok && n->driver != DRIVER_FILE)
		ok = fields_set(t, &b, "format", driver_names[n->driver], err);
	if (ok && (n->cache.direct || n->cache.no_flush))
		ok = fields_set(t, &b, "cache", n->cache.direct ? "none" : "unsafe", err);
	if (ok)
		ok = fields_check(t, &b, err) && (*out = block_open(&b, err));
	fields_fini(t, &b);
	return ok;
}

static bool open_node(
	const struct node *n, const char *path, struct block_dev **out, struct error *err)
{
	struct error second = ERROR_INIT;

	if (open_as(n, path, n->readonly, out, err))
		return true;
	return !n->readonly && n->auto_readonly && open_as(n, path, true, out, &second);
}

/* A format over a node that there is: the disk is its file's, in another name. */
static bool add_over(struct machine *m, const char *name, const char *over, struct error *err)
{
	struct machine_owned *under = machine_owned_find(m, BACKEND_BLOCK, over);

	if (!under)
		return error_usage(err, "Cannot find device='%s' nor node-name='%s'", over, over);
	if (under->user || block_is_attached(under->backend))
		return error_usage(err, "Node '%s' is busy: it is in use", over);
	return machine_backend_own(m, BACKEND_BLOCK, name, under->backend, NULL, over, err);
}

static bool blockdev_add(struct qmp_call *c, struct error *err)
{
	struct node *n = c->args;
	AUTO(below) below = { .file.name = NULL };
	AUTO(str) over = STR_INIT;
	const char *path = n->u.file.filename;
	struct block_dev *disk;

	if (n->driver != DRIVER_FILE) {
		if (!read_file(n->u.format.file, &below, &over, err))
			return false;
		path = below.file.u.file.filename;
		join(n, &below.file);
	}
	if (!check_node(n, err))
		return false;
	if (map_has(&c->m->backends[BACKEND_BLOCK], n->name))
		return error_usage(err, "Duplicate nodes with node-name='%s'", n->name);
	if (!path)
		return add_over(c->m, n->name, str_cstr(&over), err);
	if (!open_node(n, path, &disk, err))
		return false;
	if (machine_backend_own(c->m, BACKEND_BLOCK, n->name, disk, close_disk, NULL, err))
		return true;
	block_close(disk);
	return false;
}

const struct qmp_command blockdev_add_cmd = {
	.name = "blockdev-add",
	.doc = "open a disk",
	.args = &node_table,
	.run = blockdev_add,
};

/* -------- closing -------- */

struct del_args {
	char *name;
};

static const struct field del_fields[] = {
	FIELD_STR(struct del_args, name, "node-name", .flags = FF_GIVEN, .doc = "the node"),
};
static const struct field_table del_args = FIELD_TABLE("blockdev-del", struct del_args, del_fields);

static bool blockdev_del(struct qmp_call *c, struct error *err)
{
	const struct del_args *a = c->args;
	struct machine_owned *o = machine_owned_find(c->m, BACKEND_BLOCK, a->name);

	if (!o && map_has(&c->m->backends[BACKEND_BLOCK], a->name))
		return error_usage(err, "Node '%s' is not owned by the monitor", a->name);
	if (!o)
		return error_usage(err, "Failed to find node with node-name='%s'", a->name);
	if (o->user || block_is_attached(o->backend))
		return error_usage(err, "Node %s is in use", a->name);
	machine_backend_drop(c->m, o);
	return true;
}

const struct qmp_command blockdev_del_cmd = {
	.name = "blockdev-del",
	.doc = "close a disk that blockdev-add has opened and no device uses",
	.args = &del_args,
	.run = blockdev_del,
};
