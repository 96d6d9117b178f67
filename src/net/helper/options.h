// SPDX-License-Identifier: GPL-2.0-or-later
/* options - the KEY=VALUE arguments that lodge gives its helper, for libslirp. */
#ifndef NET_HELPER_OPTIONS_H
#define NET_HELPER_OPTIONS_H

#include <slirp/libslirp.h>
#include <stdbool.h>
#include "base/error.h"

/* Into @c, which borrows from @argv. False: an address that cannot be. */
bool options_read(char **argv, SlirpConfig *c, struct error *err) MUST_USE;

#endif
