// SPDX-License-Identifier: GPL-2.0-or-later
/* query-chardev, chardev-add, chardev-remove. */
#include "chardev/chardev.h"

#include <string.h>
#include <unistd.h>
#include "base/sock_inet.h"
#include "base/str.h"
#include "control/qmp.h"
#include "control/socket_addr.h"
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

static const char *const type_names[] = { "null", "pty", "file", "socket", "udp", NULL };
enum { TYPE_NULL, TYPE_PTY, TYPE_FILE, TYPE_SOCKET, TYPE_UDP };
static const char *const addr_names[] = { "inet", "unix", "fd", NULL };
enum { ADDR_INET, ADDR_UNIX, ADDR_FD };

struct nothing {
	char dummy;
};
struct file {
	char *out;
	bool append;
};
struct inet {
	char *host, *port;
	uint16_t to;
	bool ipv4, ipv6;
};
struct string {
	char *str;
};
struct addr {
	int type;
	union {
		struct inet inet;
		struct socket_addr_unix unix_path;
		struct string fd;
	} data;
};
struct socket {
	struct addr addr;
	bool server, wait, nodelay, telnet, tn3270, websocket;
};
struct udp {
	struct addr remote, local;
};
struct backend {
	int type;
	union {
		struct file file;
		struct socket socket;
		struct udp udp;
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
static const struct field inet_fields[] = {
	FIELD_STR(struct inet, host, "host", .flags = FF_GIVEN,
		.doc = "a numeric address; an empty one is 127.0.0.1, or, where datagrams are "
		       "received, any"),
	FIELD_STR(struct inet, port, "port", .flags = FF_GIVEN,
		.doc = "its number; a server's 0 is any that is free"),
	FIELD_U16(struct inet, to, "to", .doc = "a server's port may be any up to this one"),
	FIELD_BOOL(struct inet, ipv4, "ipv4", .dflt = "on", .doc = "IPv4 is allowed"),
	FIELD_BOOL(struct inet, ipv6, "ipv6", .dflt = "on", .doc = "IPv6 is allowed"),
};
static const struct field_table inet = FIELD_TABLE("inet", struct inet, inet_fields);
static const struct field string_fields[] = {
	FIELD_STR(struct string, str, "str", .flags = FF_GIVEN,
		.doc = "the name that getfd gave a stream socket"),
};
static const struct field_table string = FIELD_TABLE("fd", struct string, string_fields);
static const struct field_table *const addr_arms[] = { &inet, &socket_addr_unix_table, &string };
static const struct field addr_fields[] = {
	FIELD_ENUM(struct addr, type, "type", addr_names, .flags = FF_GIVEN),
	FIELD_UNION(struct addr, data, "data", type, addr_arms, .flags = FF_GIVEN),
};
static const struct field_table addr = FIELD_TABLE("addr", struct addr, addr_fields);
#define S struct socket
static const struct field socket_fields[] = {
	FIELD_STRUCT(S, addr, "addr", &addr, .flags = FF_GIVEN,
		.doc = "where it listens, or connects to"),
	FIELD_BOOL(S, server, "server", .dflt = "on", .doc = "listen, not connect"),
	FIELD_BOOL(S, wait, "wait", .doc = "only false: nothing waits for a client"),
	FIELD_BOOL(S, nodelay, "nodelay", .doc = "inet: send what is small at once, too"),
	FIELD_BOOL(S, telnet, "telnet", .doc = "only false: bytes go as they are"),
	FIELD_BOOL(S, tn3270, "tn3270", .doc = "only false"),
	FIELD_BOOL(S, websocket, "websocket", .doc = "only false"),
};
#undef S
static const struct field_table socket_table = FIELD_TABLE("socket", struct socket, socket_fields);
static const struct field udp_fields[] = {
	FIELD_STRUCT(struct udp, remote, "remote", &addr, .flags = FF_GIVEN,
		.doc = "inet: where datagrams go to, and come from"),
	FIELD_STRUCT(struct udp, local, "local", &addr, .doc = "inet: where they are received"),
};
static const struct field_table udp = FIELD_TABLE("udp", struct udp, udp_fields);
static const struct field_table *const backend_arms[] = { &nothing, &nothing, &file, &socket_table,
	&udp };
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

/* What is being made. A descriptor that came by getfd is ours to close when it does not come to that. */
struct making {
	struct qmp_call *c;
	struct str spec; /* as --serial has it */
	int fd;
};

/* `ADDR:PORT`, as the text of a number and of an address only: it goes amid other text. */
static bool put_inet(struct making *m, const struct inet *i, bool any, struct error *err)
{
	struct sock_inet s;
	uint64_t port;

	if (!str_parse_u64(i->port, &port) || port > UINT16_MAX)
		return error_usage(
			err, "Parameter 'port' expects a number 0..65535, not '%.100s'", i->port);
	if (!sock_inet_set(&s, i->host, (uint16_t)port, err))
		return error_prefix(err, "'host'");
	if (any && !*i->host)
		str_appendf(&m->spec, ":%u", (unsigned int)port);
	else
		sock_inet_text(&s.a, &m->spec);
	return true;
}

static bool put_options(struct making *m, const struct socket *s, struct error *err)
{
	const struct inet *i = s->addr.type == ADDR_INET ? &s->addr.data.inet : NULL;

	if (s->wait)
		return error_usage(
			err, "'wait': only false is possible: nothing waits for a client");
	if (s->telnet || s->tn3270 || s->websocket)
		return error_usage(err,
			"'%s': only false is possible: bytes go as they are (socat or websockify "
			"puts them into other protocols)",
			s->telnet   ? "telnet"
			: s->tn3270 ? "tn3270"
				    : "websocket");
	str_append(&m->spec, s->server ? ",server" : "");
	if (i && i->to)
		str_appendf(&m->spec, ",to=%u", i->to);
	str_appendf(&m->spec, "%s%s%s", i && s->nodelay ? ",nodelay" : "",
		i && !i->ipv4 ? ",ipv4=off" : "", i && !i->ipv6 ? ",ipv6=off" : "");
	return true;
}

static bool put_socket(struct making *m, const struct socket *s, struct error *err)
{
	switch (s->addr.type) {
	case ADDR_INET:
		str_append(&m->spec, "tcp:");
		if (!put_inet(m, &s->addr.data.inet, false, err))
			return false;
		break;
	case ADDR_UNIX:
		str_append(&m->spec, "unix:");
		fields_put_token(s->addr.data.unix_path.path, &m->spec);
		break;
	default:
		m->fd = qmp_named_fd_take(m->c->q, s->addr.data.fd.str, err);
		if (m->fd < 0)
			return false;
		str_appendf(&m->spec, "fd:%d", m->fd);
	}
	return put_options(m, s, err);
}

static bool put_udp(struct making *m, const struct udp *u, bool local, struct error *err)
{
	if (u->remote.type != ADDR_INET || (local && u->local.type != ADDR_INET))
		return error_usage(err, "'%s': datagrams go from inet to inet",
			u->remote.type != ADDR_INET ? "remote" : "local");
	str_append(&m->spec, "udp:");
	if (!put_inet(m, &u->remote.data.inet, false, err))
		return false;
	str_append(&m->spec, local ? "@" : "");
	return !local || put_inet(m, &u->local.data.inet, true, err);
}

/* Is the member @key of the back end's data there? */
static bool is_in_data(const struct qmp_call *c, const char *key)
{
	const struct json_token *t = json_member(c->doc, c->tok, "backend");

	t = t ? json_member(c->doc, t, "data") : NULL;
	return t && json_member(c->doc, t, key);
}

static bool put_spec(struct making *m, const struct backend *b, struct error *err)
{
	switch (b->type) {
	case TYPE_FILE:
		str_appendf(&m->spec, "%s:%s", b->data.file.append ? "append" : "file",
			b->data.file.out);
		return true;
	case TYPE_SOCKET:
		return put_socket(m, &b->data.socket, err);
	case TYPE_UDP:
		return put_udp(m, &b->data.udp, is_in_data(m->c, "local"), err);
	default:
		str_append(&m->spec, type_names[b->type]);
		return true;
	}
}

static struct chardev *make(struct qmp_call *c, const struct add_args *a, struct error *err)
{
	struct making m = { .c = c, .spec = STR_INIT, .fd = -1 };
	struct chardev *dev = NULL;

	if (put_spec(&m, &a->backend, err)) {
		if (m.spec.failed)
			error_set(err, "out of memory");
		else
			dev = chardev_open(str_cstr(&m.spec), a->id, c->m->main_loop, err);
	}
	if (!dev && m.fd >= 0)
		close(m.fd);
	str_fini(&m.spec);
	return dev;
}

static bool chardev_add(struct qmp_call *c, struct error *err)
{
	const struct add_args *a = c->args;
	struct added *r = c->ret;
	struct chardev *dev;
	const char *pty;

	if (!*a->id)
		return error_set(err, "'id': a name is wanted");
	if (map_has(&c->m->backends[BACKEND_CHARDEV], a->id))
		return error_set(err, "there is a character device '%s' already", a->id);
	dev = make(c, a, err);
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
