// SPDX-License-Identifier: GPL-2.0-or-later
/* What tests of networks share. */
#ifndef NET_TESTING_H
#define NET_TESTING_H

#include "base/field.h"
#include "net/net.h"

/* As --net has @options. NULL and @err: it cannot be opened. */
static inline struct net_dev *open_dev(struct loop *l, const char *options, struct error *err)
{
	struct net_config c;
	struct net_dev *d = NULL;

	if (fields_init(&net_config_table, &c, err) &&
		fields_parse(&net_config_table, &c, options, err))
		d = net_open(&c, l, err);
	fields_fini(&net_config_table, &c);
	return d;
}

#endif
