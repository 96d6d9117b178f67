// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/notice.h"

#include <stdio.h>
#include "core/machine.h"

void machine_notice(struct machine *m, const struct notice *n)
{
	struct notice_listener *l = atomic_load_explicit(&m->notice, memory_order_acquire);

	if (l)
		l->notice(l, n);
}

char *device_path(const struct device *d, char *buf, unsigned int size)
{
	bool user = d->type->flags & DEVICE_USER;
	/* The CPUs are the first of what the board made. */
	unsigned int n = user ? 0 : d->machine->n_vcpus;
	const struct device *it;

	if (d->id) {
		snprintf(buf, size, "/machine/peripheral/%s", d->id);
		return buf;
	}
	list_for_each (it, &d->machine->devices, node) {
		if (it == d)
			break;
		if (!it->id && user == !!(it->type->flags & DEVICE_USER))
			n++;
	}
	snprintf(buf, size, "/machine/%s/device[%u]", user ? "peripheral-anon" : "unattached", n);
	return buf;
}
