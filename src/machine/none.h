// SPDX-License-Identifier: GPL-2.0-or-later
/* none - a machine without anything: an engine, to ask what it offers, and no CPU, memory or device. */
#ifndef MACHINE_NONE_H
#define MACHINE_NONE_H

#include "core/machine.h"

/* Main. What @options points at must live as long as the machine. Freed by machine_free(). */
bool none_init(
	struct machine *m, const struct accel *a, const void *options, struct error *err) MUST_USE;
bool machine_is_none(const struct machine *m);

#endif
