// SPDX-License-Identifier: GPL-2.0-or-later
/* What a helper that a guest has taken over is kept from: files (libslirp looks for the DNS server in one), other
 * processes, all but sockets of IPv4 and IPv6; src/sandbox/calls has the list. */
#include "net/helper/confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <unistd.h>
#include "base/types.h"
#include "sandbox/helper.h"

bool confine(struct error *err)
{
	const struct helper_rules r = { .kind = HELPER_USER_NET,
		.readable = "/etc/resolv.conf",
		.capabilities = BIT_ULL(CAP_NET_BIND_SERVICE), /* ports below 1024, if we had it */
		.memory = 4 * GIB,
		.descriptors = 16384 };

	if (chdir("/") < 0)
		return error_set_errno(err, errno, "/");
	return sandbox_helper_confine(&r, err);
}
