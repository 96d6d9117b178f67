// SPDX-License-Identifier: GPL-2.0-or-later
/* query-chardev, chardev-add, chardev-remove. */
#include "chardev/chardev.h"

#include <string.h>
#include "base/str.h"
#include "control/qmp.h"
#include "core/machine.h"

/* -------- query-chardev -------- */

struct info {
	char *label, *filename;
	bool open;
};
static const struct field info_fields[] = {
	FIELD_STR(struct info, label, "label", .flags = FF_GIVEN, .doc = "its id"),
	FIELD_STR(struct info, filename, "filename", .flags = FF_GIVEN, .doc = "where it leads"),
	FIELD_BOOL(struct info, open, "frontend-open", .doc = "a device uses it"),
};
static const struct field_table info = FIELD_TABLE("ChardevInfo", struct info, info_fields);
struct infos {
	struct {
		struct info *items;
		size_t len;
	} list;
};
static const struct field infos_fields[] = {
	FIELD_LIST(struct infos, list, "chardevs", FT_STRUCT, 4096, .sub = &info),
};
static const struct field_table infos = FIELD_TABLE("query-chardev", struct infos, infos_fields);

static bool query_chardev(struct qmp_call *c, struct error *err)
{
	struct map_entry *e;

	map_for_each (e, &c->m->backends[BACKEND_CHARDEV]) {
		struct info *i = fields_list_add(&infos, c->ret, "chardevs", err);

		if (!i || !qmp_set_text(&i->label, e->key, err) ||
			!qmp_set_text(&i->filename, chardev_filename(e->value), err))
			return false;
		i->open = chardev_has_front(e->value);
	}
	return true;
}

const struct qmp_command query_chardev_cmd = {
	.name = "query-chardev",
	.doc = "the character devices",
	.ret = &infos,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = query_chardev,
};

/* -------- chardev-add -------- */

static const char *const type_names[] = { "null", "pty", "file", "socket", NULL };
enum { TYPE_NULL, TYPE_PTY, TYPE_FILE, TYPE_SOCKET };
static const char *const addr_names[] = { "unix", NULL };

struct nothing {
	char dummy;
};
struct file {
	char *out;
	bool append;
};
struct unix_path {
	char *path;
};
struct addr {
	int type;
	union {
		struct unix_path unix_path;
	} data;
};
struct socket {
	struct addr addr;
	bool server, wait;
};
struct backend {
	int type;
	union {
		struct file file;
		struct socket socket;
		struct nothing nothing;
	} data;
};
struct add_args {
	char *id;
	struct backend backend;
};

static const struct field_table nothing = {
	.name = "data", .struct_size = sizeof(struct nothing), .version = 1
};
static const struct field file_fields[] = {
	FIELD_STR(struct file, out, "out", .flags = FF_GIVEN, .doc = "the file, or /dev/fdset/N"),
	FIELD_BOOL(struct file, append, "append", .doc = "keep what is in it"),
};
static const struct field_table file = FIELD_TABLE("file", struct file, file_fields);
static const struct field path_fields[] = {
	FIELD_STR(struct unix_path, path, "path", .flags = FF_GIVEN, .doc = "the socket's path"),
};
static const struct field_table unix_path = FIELD_TABLE("unix", struct unix_path, path_fields);
static const struct field_table *const addr_arms[] = { &unix_path };
static const struct field addr_fields[] = {
	FIELD_ENUM(struct addr, type, "type", addr_names, .flags = FF_GIVEN),
	FIELD_UNION(struct addr, data, "data", type, addr_arms, .flags = FF_GIVEN),
};
static const struct field_table addr = FIELD_TABLE("addr", struct addr, addr_fields);
static const struct field socket_fields[] = {
	FIELD_STRUCT(struct socket, addr, "addr", &addr, .flags = FF_GIVEN),
	FIELD_BOOL(struct socket, server, "server", .dflt = "on", .doc = "listen, not connect"),
	FIELD_BOOL(struct socket, wait, "wait", .doc = "only false: nothing waits for a client"),
};
static const struct field_table socket_table = FIELD_TABLE("socket", struct socket, socket_fields);
static const struct field_table *const backend_arms[] = { &nothing, &nothing, &file,
	&socket_table };
static const struct field backend_fields[] = {
	FIELD_ENUM(struct backend, type, "type", type_names, .flags = FF_GIVEN),
	FIELD_UNION(struct backend, data, "data", type, backend_arms, .flags = FF_GIVEN),
};
static const struct field_table backend = FIELD_TABLE("backend", struct backend, backend_fields);
static const struct field add_fields[] = {
	FIELD_STR(struct add_args, id, "id", .flags = FF_GIVEN, .max = 63, .doc = "its id"),
	FIELD_STRUCT(struct add_args, backend, "backend", &backend, .flags = FF_GIVEN,
		.doc = "what it is"),
};
static const struct field_table add_args = FIELD_TABLE("chardev-add", struct add_args, add_fields);

struct added {
	char *pty;
};
static const struct field added_fields[] = {
	FIELD_STR(struct added, pty, "pty", .doc = "the terminal's path"),
};
static const struct field_table added = FIELD_TABLE("ChardevReturn", struct added, added_fields);

/* The same text that --serial takes. */
static bool spec_of(const struct backend *b, struct str *out, struct error *err)
{
	str_append(out, type_names[b->type]);
	if (b->type == TYPE_FILE) {
		str_clear(out);
		str_appendf(
			out, "%s:%s", b->data.file.append ? "append" : "file", b->data.file.out);
	} else if (b->type == TYPE_SOCKET) {
		const struct socket *s = &b->data.socket;

		if (s->wait && s->server)
			return error_set(err, "'wait': only false is possible");
		str_clear(out);
		str_append(out, "unix:");
		fields_put_token(s->addr.data.unix_path.path, out);
		str_append(out, s->server ? ",server" : "");
	}
	return !out->failed || error_set(err, "out of memory");
}

static bool chardev_add(struct qmp_call *c, struct error *err)
{
	const struct add_args *a = c->args;
	struct added *r = c->ret;
	AUTO(str) spec = STR_INIT;
	struct chardev *dev;
	const char *pty;

	if (!*a->id)
		return error_set(err, "'id': a name is wanted");
	if (map_has(&c->m->backends[BACKEND_CHARDEV], a->id))
		return error_set(err, "there is a character device '%s' already", a->id);
	if (!spec_of(&a->backend, &spec, err))
		return false;
	dev = chardev_open(str_cstr(&spec), a->id, c->m->main_loop, err);
	if (!dev)
		return false;
	if (!machine_backend_add(c->m, BACKEND_CHARDEV, a->id, dev, err)) {
		chardev_close(dev);
		return false;
	}
	return !str_has_prefix(chardev_filename(dev), "pty:", &pty) ||
	       qmp_set_text(&r->pty, pty, err);
}

const struct qmp_command chardev_add_cmd = {
	.name = "chardev-add",
	.doc = "make a character device",
	.args = &add_args,
	.ret = &added,
	.run = chardev_add,
};

/* -------- chardev-remove -------- */

static const struct field remove_fields[] = {
	FIELD_STR(struct add_args, id, "id", .flags = FF_GIVEN, .doc = "its id"),
};
static const struct field_table remove_args = FIELD_TABLE(
	"chardev-remove", struct add_args, remove_fields);

static bool chardev_remove(struct qmp_call *c, struct error *err)
{
	const struct add_args *a = c->args;
	struct chardev *dev = map_get(&c->m->backends[BACKEND_CHARDEV], a->id);

	if (!dev)
		return error_set(err, "there is no character device '%s'", a->id);
	if (chardev_has_front(dev))
		return error_set(err, "the character device '%s' is in use", a->id);
	map_del(&c->m->backends[BACKEND_CHARDEV], a->id);
	chardev_close(dev);
	return true;
}

const struct qmp_command chardev_remove_cmd = {
	.name = "chardev-remove",
	.doc = "close a character device that no device uses",
	.args = &remove_args,
	.run = chardev_remove,
};
