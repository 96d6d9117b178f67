// SPDX-License-Identifier: GPL-2.0-or-later
/* field_sample_testing - a struct sample as a unit test's local variable: AUTO(sample) s; sample_new(&s). */
#ifndef BASE_FIELD_SAMPLE_TESTING_H
#define BASE_FIELD_SAMPLE_TESTING_H

#include "base/cleanup.h"
#include "base/field_sample.h"
#include "base/testing.h"

static inline void sample_new(struct sample *s)
{
	struct error err = ERROR_INIT;

	memset(s, 0, sizeof(*s));
	assert_true(fields_init(&sample_table, s, &err));
}

static inline void sample_fini(struct sample *s)
{
	fields_fini(&sample_table, s);
}
DEFINE_AUTO(sample, struct sample, sample_fini)

#endif
