// SPDX-License-Identifier: GPL-2.0-or-later
/* query-yank, yank: connections that can be broken off at once, also by a client that waits for a reply. */
#include <string.h>
#include "chardev/chardev.h"
#include "control/qmp.h"
#include "core/machine.h"
#include "migrate/migrate.h"

static const char *const type_names[] = { "block-node", "chardev", "migration", NULL };
enum { TYPE_NODE, TYPE_CHARDEV, TYPE_MIGRATION };

struct node {
	char *name;
};
struct chardev_id {
	char *id;
};
struct instance {
	int type;
	union {
		struct node node;
		struct chardev_id chardev;
	} u;
};
struct instances {
	struct {
		struct instance *items;
		size_t len;
	} list;
};

static const struct field node_fields[] = {
	FIELD_STR(struct node, name, "node-name", .flags = FF_GIVEN, .doc = "the node"),
};
static const struct field_table node = FIELD_TABLE(
	"YankInstanceBlockNode", struct node, node_fields);
static const struct field chardev_fields[] = {
	FIELD_STR(struct chardev_id, id, "id", .flags = FF_GIVEN, .doc = "the character device"),
};
static const struct field_table chardev = FIELD_TABLE(
	"YankInstanceChardev", struct chardev_id, chardev_fields);
static const struct field_table *const arms[] = { &node, &chardev, NULL };
static const struct field instance_fields[] = {
	FIELD_ENUM(struct instance, type, "type", type_names, .flags = FF_GIVEN,
		.doc = "what it belongs to; no disk here stands on a connection"),
	FIELD_UNION(struct instance, u, "", type, arms),
};
static const struct field_table instance = FIELD_TABLE(
	"YankInstance", struct instance, instance_fields);
static const struct field list_fields[] = {
	FIELD_LIST(struct instances, list, "instances", FT_STRUCT, 4096, .sub = &instance,
		.flags = FF_GIVEN, .doc = "all of them, or none if one is not there"),
};
static const struct field_table yank_args = FIELD_TABLE("yank", struct instances, list_fields);
static const struct field_table query_ret = FIELD_TABLE(
	"query-yank", struct instances, list_fields);

static bool is_migrating(struct machine *m)
{
	struct migrate *g = migrate_of(m);
	enum migrate_status s = g ? migrate_get_info(g)->status : MIGRATE_NONE;

	return s == MIGRATE_SETUP || s == MIGRATE_ACTIVE || s == MIGRATE_CANCELLING;
}

static struct chardev *socket_of(struct machine *m, const struct instance *i)
{
	struct chardev *c = i->type == TYPE_CHARDEV
				    ? map_get(&m->backends[BACKEND_CHARDEV], i->u.chardev.id)
				    : NULL;

	return c && chardev_is_socket(c) ? c : NULL;
}

static bool yank(struct qmp_call *c, struct error *err)
{
	const struct instances *a = c->args;

	for (size_t i = 0; i < a->list.len; i++) {
		const struct instance *y = &a->list.items[i];

		if (y->type == TYPE_MIGRATION ? !is_migrating(c->m) : !socket_of(c->m, y))
			return error_not_found(
				err, "there is no such instance (query-yank lists them)");
	}
	for (size_t i = 0; i < a->list.len; i++) {
		const struct instance *y = &a->list.items[i];

		if (y->type == TYPE_MIGRATION)
			migrate_cancel(migrate_of(c->m));
		else
			chardev_break(socket_of(c->m, y));
	}
	return true;
}

static bool query_yank(struct qmp_call *c, struct error *err)
{
	struct map_entry *e;
	struct instance *y;

	map_for_each (e, &c->m->backends[BACKEND_CHARDEV]) {
		if (!chardev_is_socket(e->value))
			continue;
		y = fields_list_add(&query_ret, c->ret, "instances", err);
		if (!y)
			return false;
		y->type = TYPE_CHARDEV;
		if (!qmp_set_text(&y->u.chardev.id, e->key, err))
			return false;
	}
	if (!is_migrating(c->m))
		return true;
	y = fields_list_add(&query_ret, c->ret, "instances", err);
	if (y)
		y->type = TYPE_MIGRATION;
	return y;
}

const struct qmp_command yank_cmd = {
	.name = "yank",
	.doc = "break connections off that hang",
	.args = &yank_args,
	.flags = QMP_OOB,
	.run = yank,
};

const struct qmp_command query_yank_cmd = {
	.name = "query-yank",
	.doc = "the connections that yank can break off",
	.ret = &query_ret,
	.flags = QMP_QUERY | QMP_VALUE | QMP_OOB,
	.run = query_yank,
};
