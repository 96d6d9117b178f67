// SPDX-License-Identifier: GPL-2.0-or-later
/* Option text against a table with every type of field. */
#include "base/field_fuzz.h"
#include "base/field_sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	struct error err = ERROR_INIT;
	struct sample s, other;

	FUZZ_CHECK(text && fields_init(&sample_table, &s, &err));
	if (!fields_parse(&sample_table, &s, text, &err)) {
		fuzz_check_error(&err);
		FUZZ_CHECK(err.kind == ERROR_USAGE);
	}
	/* Half-parsed or whole, it is an object inside its limits. */
	fuzz_check_object(&sample_table, &s, &other);
	fields_fini(&sample_table, &s);
	free(text);
	return 0;
}
