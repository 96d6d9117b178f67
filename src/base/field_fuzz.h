// SPDX-License-Identifier: GPL-2.0-or-later
/* field_fuzz - what the fuzz targets of `field` ask of every object that a hostile text made. */
#ifndef BASE_FIELD_FUZZ_H
#define BASE_FIELD_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/stream.h"

#define FUZZ_CHECK(x)                                               \
	do {                                                        \
		if (!(x)) {                                         \
			fprintf(stderr, "does not hold: %s\n", #x); \
			abort();                                    \
		}                                                   \
	} while (0)

/* An error has a kind and one line of text. */
static inline void fuzz_check_error(const struct error *err)
{
	FUZZ_CHECK(err->kind != ERROR_NONE);
	FUZZ_CHECK(err->msg[0] && strnlen(err->msg, ERROR_MSG_MAX) < ERROR_MSG_MAX);
}

/* The object can be shown, and saved and loaded to one that equals it. */
static inline void fuzz_check_object(const struct field_table *t, const void *obj, void *other)
{
	AUTO(str) json = STR_INIT, once = STR_INIT, twice = STR_INIT, text = STR_INIT;
	struct error err = ERROR_INIT;

	fields_to_json(t, obj, &json);
	FUZZ_CHECK(!json.failed && json.len >= 2);
	for (uint32_t i = 0; i < t->n_fields; i++)
		if (*t->fields[i].name)
			FUZZ_CHECK(fields_get(t, obj, t->fields[i].name, &text));
	fields_save(t, obj, &once);
	FUZZ_CHECK(fields_init(t, other, &err));
	FUZZ_CHECK(fields_load(t, other, once.s, once.len, &err));
	FUZZ_CHECK(fields_equal_state(t, obj, other));
	fields_save(t, other, &twice);
	FUZZ_CHECK(once.len == twice.len && memcmp(once.s, twice.s, once.len) == 0);
	fields_fini(t, other);
}

#endif
