// SPDX-License-Identifier: GPL-2.0-or-later
/* hostfwd - forwarded ports as QEMU's users write them, put into what `--net forward=` and net_forward_add() take. */
#ifndef CONTROL_HOSTFWD_H
#define CONTROL_HOSTFWD_H

#include <stdbool.h>
#include "base/error.h"

/* @text: `[tcp|udp]:[ADDR]:PORT-[GUESTADDR]:GUESTPORT`; without @guest (a forward to be removed) only what is before the
 * `-`. Owned by the caller, or NULL. No ADDR means all addresses, here as in QEMU, unlike in `--net forward=`. */
char *hostfwd_spec(const char *text, bool guest, struct error *err);

#endif
