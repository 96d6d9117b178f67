// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/notice.h"

#include <stdio.h>
#include "core/machine.h"

const char *const notice_action_names[] = { "reset", "shutdown", "poweroff", "pause", "debug",
	"none", "inject-nmi", NULL };

void machine_notice(struct machine *m, const struct notice *n)
{
	struct notice_listener *l = atomic_load_explicit(&m->notice, memory_order_acquire);

	if (l)
		l->notice(l, n);
}

char *device_path(const struct device *d, char *buf, unsigned int size)
{
	if (d->id)
		snprintf(buf, size, "/machine/peripheral/%s", d->id);
	else if (d->type->flags & DEVICE_USER)
		snprintf(buf, size, "/machine/peripheral-anon/device[%u]", d->anonymous);
	else /* the CPUs are the first of what the board made */
		snprintf(buf, size, "/machine/unattached/device[%u]",
			d->machine->n_vcpus + d->anonymous);
	return buf;
}
