// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * netdev - a machine's networks by id, made and taken away at any time: what `--net` and QMP's netdev_add,
 * netdev_del and set_link do. The machine owns them. All on main.
 */
#ifndef MACHINE_NETDEV_H
#define MACHINE_NETDEV_H

#include "core/machine.h"
#include "net/net.h"

/* Open the network that @c describes (its id is set); a device's netdev= finds it from here on. Who comes and goes at the
 * other end of a byte stream is told by notices. */
struct net_dev *machine_net_add(
	struct machine *m, const struct net_config *c, struct error *err) MUST_USE;
/* Close it; ERROR_NOT_FOUND. A network card that uses it stays, with its link down for good. */
bool machine_net_del(struct machine *m, const char *id, struct error *err) MUST_USE;
/* NULL and ERROR_NOT_FOUND. For net_set_link(), net_forward_add() and net_forward_remove(). */
struct net_dev *machine_net(struct machine *m, const char *id, struct error *err) MUST_USE;

#endif
