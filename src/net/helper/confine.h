// SPDX-License-Identifier: GPL-2.0-or-later
/* confine - the helper puts away all that it does not need: privileges, files, processes, other system calls. */
#ifndef NET_HELPER_CONFINE_H
#define NET_HELPER_CONFINE_H

#include <stdbool.h>
#include "base/error.h"

/* At the start, before a byte of anybody else's is read. What a kernel does not have (Landlock) is done
 * without; all else must work. */
bool confine(struct error *err) MUST_USE;

#endif
