// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * blockdev-add, blockdev-del: disks that come and go while the machine runs. A node is a file, or a format
 * over one: either described inside (`file` is an object) or named. A format node takes its file node over,
 * which then can neither be used by a device nor deleted.
 */
#include <stdlib.h>
#include <string.h>
#include "block/format.h"
#include "control/qmp.h"
#include "core/machine.h"

/* What is asked for; all texts are owned. */
struct node {
	char *driver, *name, *filename, *over;
	bool readonly, auto_readonly, direct, no_flush, unmap;
	char *detect_zeroes;
};

static void node_fini(struct node *n)
{
	char *owned[] = { n->driver, n->name, n->filename, n->over, n->detect_zeroes };

	for (size_t i = 0; i < ARRAY_SIZE(owned); i++)
		free(owned[i]);
}
DEFINE_AUTO(node, struct node, node_fini)

/* -------- arguments -------- */

struct reader {
	const struct json_doc *doc;
	struct node *n;
	unsigned int depth;
};

static bool take_text(const struct reader *r, const struct json_token *value, const char *key,
	char **out, struct error *err)
{
	AUTO(str) text = STR_INIT;

	if (value->type != JSON_STRING)
		return error_usage(err, "Invalid parameter type for '%s', expected: string", key);
	json_text(r->doc, value, &text);
	if (strlen(str_cstr(&text)) != text.len)
		return error_usage(err, "'%s' has a NUL byte in it", key);
	if (!*out && !(*out = strdup(str_cstr(&text))))
		return error_set(err, "out of memory");
	return true;
}

static bool take_bool(const struct reader *r, const struct json_token *value, const char *key,
	bool *out, struct error *err)
{
	if (value->type != JSON_BOOL)
		return error_usage(err, "Invalid parameter type for '%s', expected: boolean", key);
	*out = json_text_is(r->doc, value, "true");
	return true;
}

static bool take_cache(const struct reader *r, const struct json_token *object, struct error *err)
{
	const struct json_token *end = r->doc->tokens + object->next, *key;

	if (object->type != JSON_OBJECT)
		return error_usage(err, "Invalid parameter type for 'cache', expected: object");
	for (key = object + 1; key < end; key = r->doc->tokens + key[1].next) {
		bool direct = json_text_is(r->doc, key, "direct");

		if (!direct && !json_text_is(r->doc, key, "no-flush"))
			return error_usage(err, "'cache' has 'direct' and 'no-flush'");
		if (!take_bool(r, key + 1, "cache", direct ? &r->n->direct : &r->n->no_flush, err))
			return false;
	}
	return true;
}

static bool take_node(struct reader *r, const struct json_token *object, struct error *err);

static bool take_member(struct reader *r, const struct json_token *key, struct error *err)
{
	const struct json_token *value = key + 1;
	struct node *n = r->n;
	AUTO(str) name = STR_INIT;
	const char *k;
	bool inner = r->depth > 1;

	json_text(r->doc, key, &name);
	k = str_cstr(&name);
	if (!strcmp(k, "driver") && inner) /* checked by take_file() */
		return true;
	if (!strcmp(k, "driver"))
		return take_text(r, value, k, &n->driver, err);
	if (!strcmp(k, "node-name") && !inner)
		return take_text(r, value, k, &n->name, err);
	if (!strcmp(k, "filename"))
		return take_text(r, value, k, &n->filename, err);
	if (!strcmp(k, "read-only"))
		return take_bool(r, value, k, &n->readonly, err);
	if (!strcmp(k, "auto-read-only"))
		return take_bool(r, value, k, &n->auto_readonly, err);
	if (!strcmp(k, "detect-zeroes"))
		return take_text(r, value, k, &n->detect_zeroes, err);
	if (!strcmp(k, "cache"))
		return take_cache(r, value, err);
	if (!strcmp(k, "discard")) {
		n->unmap = json_text_is(r->doc, value, "unmap");
		return n->unmap || json_text_is(r->doc, value, "ignore") ||
		       error_usage(err, "'discard' is 'unmap' or 'ignore'");
	}
	if (!strcmp(k, "file") && !inner && value->type == JSON_STRING)
		return take_text(r, value, k, &n->over, err);
	if (!strcmp(k, "file") && !inner)
		return take_node(r, value, err);
	return error_usage(err, "Parameter '%s' is unexpected", k);
}

static bool take_node(struct reader *r, const struct json_token *object, struct error *err)
{
	const struct json_token *end = r->doc->tokens + object->next, *key, *driver;

	if (object->type != JSON_OBJECT)
		return error_usage(err, "Invalid parameter type for 'file', expected: object");
	driver = json_member(r->doc, object, "driver");
	if (!driver)
		return error_usage(err, "Parameter 'driver' is missing");
	if (r->depth && !json_text_is(r->doc, driver, "file"))
		return error_usage(err, "'file': its driver is 'file'");
	r->depth++;
	for (key = object + 1; key < end; key = r->doc->tokens + key[1].next) {
		if (!take_member(r, key, err))
			return false;
	}
	r->depth--;
	return true;
}

static bool is_driver(const char *name)
{
	for (const struct block_format *const *f = block_format_table; *f; f++) {
		if (!strcmp((*f)->name, name))
			return true;
	}
	return !strcmp(name, "file");
}

static bool check_node(const struct node *n, struct error *err)
{
	bool file = !strcmp(n->driver, "file");

	if (!is_driver(n->driver))
		return error_usage(err, "Parameter 'driver' does not accept value '%s'", n->driver);
	if (!n->name || !n->name[0])
		return error_usage(err, "'node-name' must be specified for the root node");
	if (file && n->over)
		return error_usage(err, "Parameter 'file' is unexpected");
	if (!n->filename == !n->over)
		return error_usage(err, "Parameter '%s' is missing", file ? "filename" : "file");
	if (n->direct && n->no_flush)
		return error_usage(err, "'cache': 'direct' and 'no-flush' exclude each other here");
	return true;
}

/* -------- opening -------- */

static void close_disk(void *disk)
{
	block_close(disk);
}

static bool open_as(const struct node *n, bool readonly, struct block_dev **out, struct error *err)
{
	struct block_config b = { 0 };
	const struct field_table *t = &block_config_table;
	bool ok = fields_init(t, &b, err) && fields_set(t, &b, "file", n->filename, err) &&
		  fields_set(t, &b, "id", n->name, err) &&
		  fields_set(t, &b, "readonly", readonly ? "on" : "off", err) &&
		  fields_set(t, &b, "discard", n->unmap ? "unmap" : "ignore", err);

	if (ok && strcmp(n->driver, "file"))
		ok = fields_set(t, &b, "format", n->driver, err);
	if (ok && (n->direct || n->no_flush))
		ok = fields_set(t, &b, "cache", n->direct ? "none" : "unsafe", err);
	if (ok && n->detect_zeroes)
		ok = fields_set(t, &b, "detect-zeroes", n->detect_zeroes, err);
	if (ok)
		ok = fields_check(t, &b, err) && (*out = block_open(&b, err));
	fields_fini(t, &b);
	return ok;
}

static bool open_node(const struct node *n, struct block_dev **out, struct error *err)
{
	struct error second = ERROR_INIT;

	if (open_as(n, n->readonly, out, err))
		return true;
	return !n->readonly && n->auto_readonly && open_as(n, true, out, &second);
}

/* A format over a node that there is: the disk is its file's, in another name. */
static bool add_over(struct machine *m, const struct node *n, struct error *err)
{
	struct machine_owned *under = machine_owned_find(m, BACKEND_BLOCK, n->over);

	if (!under)
		return error_usage(
			err, "Cannot find device='%s' nor node-name='%s'", n->over, n->over);
	if (strcmp(n->driver, "raw"))
		return error_usage(err,
			"a '%s' node over a node is not possible: describe the file inside",
			n->driver);
	if (under->user || block_is_attached(under->backend))
		return error_usage(err, "Node '%s' is busy: it is in use", n->over);
	return machine_backend_own(m, BACKEND_BLOCK, n->name, under->backend, NULL, n->over, err);
}

static bool blockdev_add(struct qmp_call *c, struct error *err)
{
	AUTO(node) n = { .driver = NULL };
	struct reader r = { .doc = c->doc, .n = &n };
	struct block_dev *disk;

	if (!c->tok)
		return error_usage(err, "Parameter 'driver' is missing");
	if (!take_node(&r, c->tok, err) || !check_node(&n, err))
		return false;
	if (map_has(&c->m->backends[BACKEND_BLOCK], n.name))
		return error_usage(err, "Duplicate nodes with node-name='%s'", n.name);
	if (n.over)
		return add_over(c->m, &n, err);
	if (!open_node(&n, &disk, err))
		return false;
	if (machine_backend_own(c->m, BACKEND_BLOCK, n.name, disk, close_disk, NULL, err))
		return true;
	block_close(disk);
	return false;
}

const struct qmp_command blockdev_add_cmd = {
	.name = "blockdev-add",
	.doc = "open a disk: driver, node-name, filename or file, and how",
	.flags = QMP_OPEN,
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
