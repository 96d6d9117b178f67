// SPDX-License-Identifier: GPL-2.0-or-later
/* field_random - objects with random valid values, for round-trip tests of any table. Tests only. */
#ifndef BASE_FIELD_RANDOM_H
#define BASE_FIELD_RANDOM_H

#include "base/field.h"

/* Give every member of an initialised object (but FF_DERIVED) a random value inside its limits:
 * edges of ranges, absent and empty texts, empty and filled lists, any arm of a union. @seed: not 0,
 * moved on. Aborts when out of memory. */
void fields_random(const struct field_table *t, void *obj, uint64_t *seed);

#endif
