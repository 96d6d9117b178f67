// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/netdev.h"

#include <assert.h>

static void close_net(void *backend)
{
	net_close(backend);
}

struct net_dev *machine_net_add(struct machine *m, const struct net_config *c, struct error *err)
{
	struct net_dev *d;

	assert(c->id);
	m->backend_close[BACKEND_NET] = close_net;
	if (map_has(&m->backends[BACKEND_NET], c->id)) {
		error_usage(err, "network id '%s' is used twice", c->id);
		return NULL;
	}
	d = net_open(c, m->main_loop, err);
	if (!d || machine_backend_add(m, BACKEND_NET, c->id, d, err))
		return d;
	net_close(d);
	return NULL;
}

bool machine_net_del(struct machine *m, const char *id, struct error *err)
{
	struct net_dev *d = machine_net(m, id, err);

	if (!d)
		return false;
	machine_backend_del(m, BACKEND_NET, id);
	if (net_has_front(d))
		net_cut(d);
	else
		net_close(d);
	return true;
}

struct net_dev *machine_net(struct machine *m, const char *id, struct error *err)
{
	return machine_backend(m, BACKEND_NET, id, err);
}
