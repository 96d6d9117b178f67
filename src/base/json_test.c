// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/json.h"

#include "base/fault.h"
#include "base/testing.h"
#include "base/types.h"

/* Parse memory of exactly that size, so that ASan sees a read past the end. */
static bool parse_exact(struct json_doc *doc, const char *text, size_t len, struct error *err)
{
	char *copy = malloc(len ? len : 1);
	bool ok;

	memcpy(copy, text, len);
	ok = json_parse(doc, copy, len, err);
	doc->text = text;
	free(copy);
	return ok;
}

static void expect_bad(const char *text, size_t len, const char *message)
{
	AUTO(json_doc) doc = JSON_DOC_INIT;
	struct error err = ERROR_INIT;

	if (parse_exact(&doc, text, len, &err))
		fail_msg("accepted: %s", text);
	assert_string_equal(err.msg, message);
	assert_int_equal(err.kind, ERROR_USAGE);
}

static void test_good(void **state)
{
	static const char *const good[] = { "{}", "[]", " [ ] \r\n\t", "0", "-0", "-1.5e+10", "1E5",
		"0.0", "123456789012345678901234567890", "\"\"", "\"\\u00e9\\ud83d\\ude00\\n\\/\"",
		"\"\xc3\xa9 \xf0\x9f\x98\x80\"", "true", "false", "null", "[1,[2,[]],{}]",
		"{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":2}]}", "\"\x7f\"" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		AUTO(json_doc) doc = JSON_DOC_INIT;
		struct error err = ERROR_INIT;

		if (!parse_exact(&doc, good[i], strlen(good[i]), &err))
			fail_msg("%s: %s", good[i], err.msg);
		assert_int_equal(doc.tokens[0].next, doc.len);
	}
}

static void test_bad(void **state)
{
	static const char *const rows[][2] = {
		{ "", "line 1, column 1: the text ends too early" },
		{ " \n ", "line 2, column 2: the text ends too early" },
		{ "{", "line 1, column 2: a key in double quotes is wanted" },
		{ "[", "line 1, column 2: the text ends too early" },
		{ "[1", "line 1, column 3: ',' or ']' is wanted" },
		{ "[1,]", "line 1, column 4: a value is wanted" },
		{ "[,1]", "line 1, column 2: a value is wanted" },
		{ "[1 2]", "line 1, column 4: ',' or ']' is wanted" },
		{ "[1,", "line 1, column 4: the text ends too early" },
		{ "{\"a\"}", "line 1, column 5: ':' is wanted" },
		{ "{\"a\":}", "line 1, column 6: a value is wanted" },
		{ "{\"a\":1,}", "line 1, column 8: a key in double quotes is wanted" },
		{ "{\"a\":1", "line 1, column 7: ',' or '}' is wanted" },
		{ "{'a':1}", "line 1, column 2: a key in double quotes is wanted" },
		{ "{a:1}", "line 1, column 2: a key in double quotes is wanted" },
		{ "{1:1}", "line 1, column 2: a key in double quotes is wanted" },
		{ "{}{}", "line 1, column 3: something follows the end" },
		{ "1 x", "line 1, column 3: something follows the end" },
		{ "nul", "line 1, column 1: a value is wanted" },
		{ "True", "line 1, column 1: a value is wanted" },
		{ "truex", "line 1, column 5: something follows the end" },
		{ "NaN", "line 1, column 1: a value is wanted" },
		{ "-Infinity", "line 1, column 1: a bad number" },
		{ "01", "line 1, column 1: a bad number" },
		{ "-", "line 1, column 1: a bad number" },
		{ "1.", "line 1, column 1: a bad number" },
		{ ".5", "line 1, column 1: a value is wanted" },
		{ "+1", "line 1, column 1: a value is wanted" },
		{ "1e", "line 1, column 1: a bad number" },
		{ "1e+", "line 1, column 1: a bad number" },
		{ "0x10", "line 1, column 2: something follows the end" },
		{ "// x\n1", "line 1, column 1: a value is wanted" },
		{ "\"abc", "line 1, column 1: a string without its end" },
		{ "\"a\nb\"", "line 1, column 3: a control character in a string" },
		{ "\"\\x\"", "line 1, column 2: a bad escape in a string" },
		{ "\"\\", "line 1, column 2: a bad escape in a string" },
		{ "\"\\u12\"", "line 1, column 2: a bad escape in a string" },
		{ "\"\\u12g4\"", "line 1, column 2: a bad escape in a string" },
		{ "\"\\ud800\"", "line 1, column 2: a bad escape in a string" },
		{ "\"\\ud800\\u0041\"", "line 1, column 2: a bad escape in a string" },
		{ "\"\\udc00\"", "line 1, column 2: a bad escape in a string" },
		{ "\"\xff\"", "line 1, column 2: not UTF-8" },
		{ "\"\xc0\x80\"", "line 1, column 2: not UTF-8" },
		{ "\"\xed\xa0\x80\"", "line 1, column 2: not UTF-8" },
		{ "\"\xf4\x90\x80\x80\"", "line 1, column 2: not UTF-8" },
		{ "\"\xe2\x82\"", "line 1, column 2: not UTF-8" },
		{ "\"\xe2\x82", "line 1, column 2: not UTF-8" },
		{ "\xef\xbb\xbf{}", "line 1, column 1: a value is wanted" },
		{ "{\"a\":1,\n \"a\":2}", "line 2, column 2: 'a' is given twice" },
		{ "{\"a\":1,\"\\u0061\":2}", "line 1, column 8: 'a' is given twice" },
		{ "[{\"b\":{\"a\":1,\"a\":2}}]", "line 1, column 14: 'a' is given twice" },
		{ "{\"a\\u0000b\":1}", "line 1, column 2: a key holds \\u0000" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect_bad(rows[i][0], strlen(rows[i][0]), rows[i][1]);
	expect_bad("[1\0]", 4, "line 1, column 3: ',' or ']' is wanted");
	expect_bad("\"\0\"", 3, "line 1, column 2: a control character in a string");
}

static void test_limits(void **state)
{
	AUTO(str) text = STR_INIT;
	AUTO(json_doc) doc = JSON_DOC_INIT;
	struct error err = ERROR_INIT;

	for (unsigned int i = 0; i < JSON_DEPTH_MAX; i++)
		str_append(&text, "[");
	for (unsigned int i = 0; i < JSON_DEPTH_MAX; i++)
		str_append(&text, "]");
	assert_true(json_parse(&doc, text.s, text.len, &err));
	str_clear(&text);
	for (int i = 0; i < 100000; i++)
		str_append(&text, "[");
	expect_bad(text.s, text.len, "line 1, column 1025: nested too deeply");
	while (text.len <= JSON_TEXT_MAX)
		str_append(&text, "          ");
	expect_bad(text.s, JSON_TEXT_MAX + 1, "1048577 bytes of JSON; at most 1048576 are read");
}

static void test_tokens(void **state)
{
	static const char text[] =
		"{\"n\": -12.50, \"s\": \"a\\tb\\u00e9\\ud83d\\ude00c\", \"l\": [1, [2], 3],"
		" \"\\u006e2\": null}";
	AUTO(json_doc) doc = JSON_DOC_INIT;
	struct error err = ERROR_INIT;
	AUTO(str) out = STR_INIT;
	const struct json_token *root, *tok;

	assert_true(json_parse(&doc, text, strlen(text), &err));
	root = doc.tokens;
	tok = json_member(&doc, root, "n");
	assert_int_equal(tok->type, JSON_NUMBER);
	json_text(&doc, tok, &out);
	assert_string_equal(str_cstr(&out), "-12.50");
	tok = json_member(&doc, root, "s");
	str_clear(&out);
	json_text(&doc, tok, &out);
	assert_string_equal(str_cstr(&out), "a\tb\xc3\xa9\xf0\x9f\x98\x80"
					    "c");
	assert_true(json_text_is(&doc, tok, str_cstr(&out)));
	assert_false(json_text_is(&doc, tok, "a\tb"));
	assert_false(json_text_is(&doc, tok,
		"a\tb\xc3\xa9\xf0\x9f\x98\x80"
		"cd"));
	tok = json_member(&doc, root, "l");
	assert_int_equal(tok->type, JSON_ARRAY);
	tok++;
	assert_true(json_text_is(&doc, tok, "1"));
	tok = &doc.tokens[tok->next];
	assert_int_equal(tok->type, JSON_ARRAY);
	tok = &doc.tokens[tok->next];
	assert_true(json_text_is(&doc, tok, "3"));
	assert_int_equal(json_member(&doc, root, "n2")->type, JSON_NULL);
	assert_null(json_member(&doc, root, "n3"));
	assert_null(json_member(&doc, root, ""));
}

static void test_quote(void **state)
{
	AUTO(str) out = STR_INIT;

	json_quote("a\"\\\n\t\x01\x7f/\xc3\xa9\xff\xed\xa0\x80\xf0\x9f\x98\x80\xe2\x82", &out);
	assert_string_equal(str_cstr(&out),
		"\"a\\\"\\\\\\n\\t\\u0001\\u007f/\xc3\xa9\\ufffd\\ufffd\\ufffd\\ufffd"
		"\xf0\x9f\x98\x80\\ufffd\\ufffd\"");
}

/* What is quoted is read back as it was. */
static void test_quote_round_trip(void **state)
{
	uint64_t seed = 3;

	for (int i = 0; i < 2000; i++) {
		AUTO(json_doc) doc = JSON_DOC_INIT;
		AUTO(str) quoted = STR_INIT;
		struct error err = ERROR_INIT;
		char text[20] = "";

		for (uint64_t n = test_random(&seed) % 20, j = 0; j < n; j++)
			text[j] = (char)(1 + test_random(&seed) % 127);
		json_quote(text, &quoted);
		assert_true(json_parse(&doc, quoted.s, quoted.len, &err));
		assert_true(json_text_is(&doc, doc.tokens, text));
	}
}

static void test_out_of_memory(void **state)
{
	static const char text[] = "{\"a\": [1, {\"b\": 2}], \"c\": {\"d\": 3}}";
	struct fault_sweep sweep = FAULT_SWEEP_INIT;

	while (fault_sweep(&sweep)) {
		AUTO(json_doc) doc = JSON_DOC_INIT;
		struct error err = ERROR_INIT;

		bool ok = json_parse(&doc, text, strlen(text), &err);

		assert_int_equal(ok, !fault_hit());
		if (fault_hit())
			assert_string_equal(err.msg, "JSON: Cannot allocate memory");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_quote_round_trip),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
