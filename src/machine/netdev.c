// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/netdev.h"

#include <assert.h>
#include <stdio.h>
#include "core/notice.h"

static void close_net(void *backend)
{
	net_close(backend);
}

static void on_peer(void *machine, const char *id, const char *addr)
{
	struct notice n = { .kind = addr ? NOTICE_STREAM_CONNECTED : NOTICE_STREAM_DISCONNECTED };

	snprintf(n.id, sizeof(n.id), "%s", id);
	snprintf(n.text, sizeof(n.text), "%s", addr ?: "");
	machine_notice(machine, &n);
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
	if (!d)
		return NULL;
	if (!machine_backend_add(m, BACKEND_NET, c->id, d, err)) {
		net_close(d);
		return NULL;
	}
	net_watch_peer(d, on_peer, m);
	return d;
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
