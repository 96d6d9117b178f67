// SPDX-License-Identifier: GPL-2.0-or-later
/* JSON: the parser, and reading into a table with every type of field. */
#include "base/field_fuzz.h"
#include "base/field_sample.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Tokens lie inside the text and each ends inside the document. */
static void check_tokens(const struct json_doc *doc, size_t size)
{
	for (size_t i = 0; i < doc->len; i++) {
		const struct json_token *tok = &doc->tokens[i];
		AUTO(str) text = STR_INIT;

		FUZZ_CHECK(tok->start <= size && tok->len <= size - tok->start);
		FUZZ_CHECK(tok->next > i && tok->next <= doc->len);
		json_text(doc, tok, &text);
		FUZZ_CHECK(text.len <= tok->len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(json_doc) doc = JSON_DOC_INIT;
	struct error err = ERROR_INIT;
	struct sample s, other;

	if (!json_parse(&doc, (const char *)data, size, &err)) {
		fuzz_check_error(&err);
		FUZZ_CHECK(err.kind == ERROR_USAGE);
		return 0;
	}
	check_tokens(&doc, size);
	FUZZ_CHECK(fields_init(&sample_table, &s, &err));
	if (!fields_from_json(&sample_table, &s, &doc, doc.tokens, &err)) {
		fuzz_check_error(&err);
		FUZZ_CHECK(err.kind == ERROR_USAGE);
	}
	fuzz_check_object(&sample_table, &s, &other);
	fields_fini(&sample_table, &s);
	return 0;
}
