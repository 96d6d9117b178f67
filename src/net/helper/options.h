// SPDX-License-Identifier: GPL-2.0-or-later
/* options - the strings KEY=VALUE that lodge gives its helper, for libslirp. */
#ifndef NET_HELPER_OPTIONS_H
#define NET_HELPER_OPTIONS_H

#include <slirp/libslirp.h>
#include <stdbool.h>
#include "base/error.h"

/* Strings one behind the other, and an empty one. Into @c, which borrows from @text, which is changed. False: an address that cannot be. */
bool options_read(char *text, SlirpConfig *c, struct error *err) MUST_USE;

#endif
