/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helper - processes beside the VM's confine themselves: one thread, at the start, before a byte of anybody
 * else's is read. */
#ifndef SANDBOX_HELPER_H
#define SANDBOX_HELPER_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

enum sandbox_helper {
	HELPER_CONNECTOR, /* connects to one address */
	HELPER_USER_NET,  /* lodge-net-user: sockets of IPv4 and IPv6 */
};

struct helper_rules {
	enum sandbox_helper kind;
	const char
		*readable; /* a file that may be opened for reading, if it is there; NULL: none */
	uint16_t port;	   /* HELPER_CONNECTOR: of TCP; 0: no TCP */
	uint64_t capabilities; /* those to be kept */
	uint64_t memory;       /* limit of address space, bytes; 0: none */
	uint32_t descriptors;  /* limit of their number */
};

/* No new privileges, no core dump, no trace by others of the same user; paths, capabilities, limits and
 * system calls as @r says. What a kernel does not have (Landlock) is done without; all else must work. */
bool sandbox_helper_confine(const struct helper_rules *r, struct error *err) MUST_USE;

#endif
