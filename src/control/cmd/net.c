// SPDX-License-Identifier: GPL-2.0-or-later
/* netdev_del, set_link: networks go, and their cables are plugged in and out (netdev_add: netdev.c). */
#include <string.h>
#include "control/qmp.h"
#include "core/device.h"
#include "hw/virtio/nic.h"
#include "machine/netdev.h"

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
	.doc = "take a network away; a card that uses it stays, with its link down",
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

/* The network of the card @id, or the one that is called so; NULL. */
static struct net_dev *find(struct machine *m, const char *id)
{
	struct error none = ERROR_INIT;
	struct device *d;

	list_for_each (d, &m->devices, node) {
		if (d->id && !strcmp(d->id, id) && nic_is(d))
			return nic_network(d);
	}
	return machine_net(m, id, &none);
}

static bool set_link(struct qmp_call *c, struct error *err)
{
	const struct link_args *a = c->args;
	struct net_dev *d = find(c->m, a->name);

	if (!d)
		return error_not_found(err, "Device '%s' not found", a->name);
	if (a->up && net_is_cut(d))
		return error_set(err,
			"network card '%s' has no network any more, so its link stays down: "
			"device_del it, and device_add one with netdev= of another network",
			a->name);
	net_set_link(d, a->up);
	return true;
}

const struct qmp_command set_link_cmd = {
	.name = "set_link",
	.doc = "plug a network's cable in or out",
	.args = &link_args,
	.run = set_link,
};
