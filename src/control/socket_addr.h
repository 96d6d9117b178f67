// SPDX-License-Identifier: GPL-2.0-or-later
/* socket_addr - an address as --net has them, in the form of QMP's SocketAddress. */
#ifndef CONTROL_SOCKET_ADDR_H
#define CONTROL_SOCKET_ADDR_H

#include "base/field.h"

struct socket_addr_inet {
	char *host, *port;
	bool ipv4, ipv6;
};
struct socket_addr_unix {
	char *path;
};
extern const struct field_table socket_addr_unix_table;
struct socket_addr {
	int type;
	union {
		struct socket_addr_inet inet;
		struct socket_addr_unix unix_path;
	} u;
};
/* To write, not to read: the texts are borrowed. */
extern const struct field_table socket_addr_table;

/* @text, `unix:PATH`, `ADDR:PORT` or `[ADDR6]:PORT`, is cut into pieces, which @out borrows. Of anything else it makes an
 * address of inet with what there is. */
void socket_addr_cut(char *text, struct socket_addr *out);

#endif
