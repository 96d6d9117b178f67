// SPDX-License-Identifier: GPL-2.0-or-later
/* forward - `tcp:[ADDR]:PORT:[GUESTADDR:]GUESTPORT` taken apart. */
#ifndef NET_HELPER_FORWARD_H
#define NET_HELPER_FORWARD_H

#include <stdbool.h>
#include <sys/socket.h>
#include "base/error.h"

struct forward {
	bool udp;
	struct sockaddr_storage host,
		guest; /* of one family; guest's address may be zero: the DHCP's first */
	socklen_t len;
};

/* @host_only: for removal, the guest's part may be missing. ADDR is 127.0.0.1 unless given; IPv6 addresses
 * stand in brackets and want a GUESTADDR. */
bool forward_parse(const char *text, bool host_only, struct forward *f, struct error *err) MUST_USE;

#endif
