// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/none.h"

static bool no_button(struct machine *m)
{
	return false;
}

static bool no_reset(struct machine *m, struct error *err)
{
	return true;
}

static const struct board_ops none_ops = {
	.reset = no_reset,
	.powerdown = no_button,
	.nmi = no_button,
};

bool none_init(struct machine *m, const struct accel *a, const void *options, struct error *err)
{
	struct accel_vm_config c = { .max_vcpus = 1, .options = options };

	m->board = &none_ops;
	return machine_set_accel(m, a, &c, err);
}

bool machine_is_none(const struct machine *m)
{
	return m->board == &none_ops;
}
