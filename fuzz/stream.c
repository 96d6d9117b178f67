// SPDX-License-Identifier: GPL-2.0-or-later
/* Saved state, loaded over a table with every type of field. */
#include "base/field_fuzz.h"
#include "base/field_sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	struct sample s, other;

	FUZZ_CHECK(fields_init(&sample_table, &s, &err));
	if (!fields_load(&sample_table, &s, data, size, &err)) {
		fuzz_check_error(&err);
		FUZZ_CHECK(err.kind == ERROR_FAILED);
	}
	fuzz_check_object(&sample_table, &s, &other);
	fields_fini(&sample_table, &s);
	return 0;
}
