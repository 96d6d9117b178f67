/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rights - what a thread gives up for good; private to sandbox/. All functions: 0 or -errno. */
#ifndef SANDBOX_RIGHTS_H
#define SANDBOX_RIGHTS_H

#include <stdint.h>
#include "sandbox/filter.h"

/* All capabilities but those of the mask @keep, which are had only if they were. */
int rights_drop_capabilities(uint64_t keep);
/* The thread has no_new_privs. */
int rights_load_filter(const struct sandbox_filter *f);

#endif
