// SPDX-License-Identifier: GPL-2.0-or-later
/* netdev_add, netdev_del, set_link: networks come and go while the guest runs. A confined machine makes no
 * sockets: then a network is a descriptor that came by getfd. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/types.h"
#include "control/hostfwd.h"
#include "control/qmp.h"
#include "control/qmp_fd.h"
#include "core/device.h"
#include "machine/netdev.h"

static bool put_forward(struct net_config *n, const char *text, struct error *err)
{
	AUTO_FREE char *spec = hostfwd_spec(text, true, err);

	return spec && fields_set(&net_config_table, n, "forward", spec, err);
}

/* QEMU's [{"str": "tcp::2222-:22"}, ..]. */
static bool put_forwards(
	struct qmp_call *c, struct net_config *n, const struct json_token *list, struct error *err)
{
	const struct json_token *end = c->doc->tokens + list->next, *t, *s;

	if (list->type != JSON_ARRAY)
		return error_usage(err, "Parameter 'hostfwd' expects an array");
	for (t = list + 1; t < end; t = c->doc->tokens + t->next) {
		AUTO(str) text = STR_INIT;

		s = t->type == JSON_OBJECT ? json_member(c->doc, t, "str") : NULL;
		if (!s || s->type != JSON_STRING)
			return error_usage(err, "Parameter 'hostfwd.str' is missing");
		json_text(c->doc, s, &text);
		if (!put_forward(n, str_cstr(&text), err))
			return false;
	}
	return true;
}

/* Descriptors that came by getfd: ours to close when the network is not made. */
struct taken {
	int fd[2 * NET_QUEUES_MAX];
	size_t n;
};

/* @name, to the next colon or the end, is the name that getfd gave a descriptor, or the number of one that was
 * open at the start; its number goes to @out. */
static bool put_fd(struct qmp_call *c, const char *name, size_t len, struct taken *taken,
	struct str *out, struct error *err)
{
	AUTO_FREE char *copy = strndup(name, len);
	int fd;

	if (!copy || taken->n == ARRAY_SIZE(taken->fd))
		return error_set(err, copy ? "too many descriptors" : "out of memory");
	if (copy[0] >= '0' && copy[0] <= '9') {
		str_append(out, copy);
		return true;
	}
	fd = qmp_named_fd_take(c->q, copy, err);
	if (fd < 0)
		return false;
	taken->fd[taken->n++] = fd;
	str_appendf(out, "%d", fd);
	return true;
}

/* `fd`, `vhostfd`, and `fds`, `vhostfds` for several queues: one or more of them with colons between. */
static bool put_fds(struct qmp_call *c, struct net_config *n, const char *key, const char *text,
	struct taken *taken, struct error *err)
{
	AUTO(str) numbers = STR_INIT;

	for (;;) {
		size_t len = strcspn(text, ":");

		if (!put_fd(c, text, len, taken, &numbers, err))
			return false;
		if (!text[len])
			break;
		str_append(&numbers, ":");
		text += len + 1;
	}
	return numbers.failed ? error_set(err, "out of memory")
			      : fields_set(&net_config_table, n, key[0] == 'v' ? "vhostfd" : "fd",
					str_cstr(&numbers), err);
}

static bool is_fds(const char *key)
{
	static const char *const keys[] = { "fd", "fds", "vhostfd", "vhostfds" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!strcmp(key, keys[i]))
			return true;
	}
	return false;
}

static bool put_member(struct qmp_call *c, struct net_config *n, const struct json_token *key,
	struct taken *taken, struct error *err)
{
	const struct json_token *value = key + 1;
	AUTO(str) name = STR_INIT;
	AUTO(str) text = STR_INIT;

	json_text(c->doc, key, &name);
	if (!strcmp(str_cstr(&name), "hostfwd"))
		return put_forwards(c, n, value, err);
	if (value->type == JSON_ARRAY || value->type == JSON_OBJECT || value->type == JSON_NULL ||
		(!net_config_has(str_cstr(&name)) && !is_fds(str_cstr(&name))))
		return error_usage(err, "Parameter '%s' is unexpected", str_cstr(&name));
	json_text(c->doc, value, &text);
	if (name.failed || text.failed || strlen(str_cstr(&text)) != text.len)
		return error_usage(err, "Parameter '%s' is no text", str_cstr(&name));
	if (is_fds(str_cstr(&name)))
		return put_fds(c, n, str_cstr(&name), str_cstr(&text), taken, err);
	return fields_set(&net_config_table, n, str_cstr(&name), str_cstr(&text), err);
}

/* The type first: it decides what the other members may be. */
static bool take_config(
	struct qmp_call *c, struct net_config *n, struct taken *taken, struct error *err)
{
	const struct json_token *type = c->tok ? json_member(c->doc, c->tok, "type") : NULL;
	const struct json_token *end = c->tok ? c->doc->tokens + c->tok->next : NULL;
	AUTO(str) text = STR_INIT;

	if (!type || type->type != JSON_STRING)
		return error_usage(err, "Parameter 'type' is missing");
	json_text(c->doc, type, &text);
	if (!fields_set(&net_config_table, n, "type", str_cstr(&text), err))
		return false;
	for (const struct json_token *k = c->tok + 1; k < end; k = c->doc->tokens + k[1].next) {
		if (!json_text_is(c->doc, k, "type") && !put_member(c, n, k, taken, err))
			return false;
	}
	if (!n->id)
		return error_usage(err, "Parameter 'id' is missing");
	if (n->type == NET_NONE)
		return error_usage(err, "Parameter 'type' expects user, tap or socket");
	return fields_check(&net_config_table, n, err);
}

static bool netdev_add(struct qmp_call *c, struct error *err)
{
	struct net_config n = { 0 };
	struct taken taken = { .n = 0 };
	bool ok = fields_init(&net_config_table, &n, err) && take_config(c, &n, &taken, err) &&
		  machine_net_add(c->m, &n, err);

	/* Otherwise they are the network's. */
	for (size_t i = 0; !ok && i < taken.n; i++)
		close(taken.fd[i]);
	fields_fini(&net_config_table, &n);
	return ok;
}

const struct qmp_command netdev_add_cmd = {
	.name = "netdev_add",
	.doc = "make a network for a card: type (user, tap, socket), id, and the keys of --net",
	.flags = QMP_OPEN,
	.run = netdev_add,
};

struct id_args {
	char *id;
};

static const struct field id_fields[] = {
	FIELD_STR(struct id_args, id, "id", .flags = FF_GIVEN, .doc = "the network"),
};
static const struct field_table id_args = FIELD_TABLE("netdev_del", struct id_args, id_fields);

static bool netdev_del(struct qmp_call *c, struct error *err)
{
	const struct id_args *a = c->args;

	return machine_net_del(c->m, a->id, err);
}

const struct qmp_command netdev_del_cmd = {
	.name = "netdev_del",
	.doc = "take a network away that no card uses",
	.args = &id_args,
	.run = netdev_del,
};

struct link_args {
	char *name;
	bool up;
};

static const struct field link_fields[] = {
	FIELD_STR(struct link_args, name, "name", .flags = FF_GIVEN,
		.doc = "the network, or the card that uses it"),
	FIELD_BOOL(
		struct link_args, up, "up", .flags = FF_GIVEN, .doc = "is the cable plugged in?"),
};
static const struct field_table link_args = FIELD_TABLE("set_link", struct link_args, link_fields);

/* The id of the network that device @id uses; NULL: there is no such network card. */
static const char *network_of(struct machine *m, const char *id)
{
	struct device *d;

	list_for_each (d, &m->devices, node) {
		const struct field *f = d->id && d->type->config && !strcmp(d->id, id)
						? fields_find(d->type->config, "netdev")
						: NULL;

		if (f && f->type == FT_STR)
			return *(char **)((char *)device_config(d) + f->offset);
	}
	return NULL;
}

static bool set_link(struct qmp_call *c, struct error *err)
{
	const struct link_args *a = c->args;
	const char *id = network_of(c->m, a->name) ?: a->name;
	struct error none = ERROR_INIT;
	struct net_dev *d = machine_net(c->m, id, &none);

	if (!d)
		return error_not_found(err, "Device '%s' not found", a->name);
	net_set_link(d, a->up);
	return true;
}

const struct qmp_command set_link_cmd = {
	.name = "set_link",
	.doc = "plug a network's cable in or out",
	.args = &link_args,
	.run = set_link,
};
