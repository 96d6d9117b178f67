// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/fault.h"
#include "base/field_random.h"
#include "base/field_sample_testing.h"
#include "base/json.h"
#include "base/testing.h"

static void sample_node_fini(struct sample_node *n)
{
	fields_fini(&sample_node_table, n);
}
DEFINE_AUTO(sample_node, struct sample_node, sample_node_fini)

static bool read_json(struct sample *s, const char *text, struct error *err)
{
	*err = (struct error)ERROR_INIT;
	return fields_from_json_text(&sample_table, s, text, strlen(text), err);
}

static void expect_bad(const char *text, const char *message)
{
	struct error err;
	AUTO(sample) s;

	sample_new(&s);
	assert_false(read_json(&s, text, &err));
	assert_string_equal(err.msg, message);
	assert_int_equal(err.kind, ERROR_USAGE);
}

/* Read TEXT, and compare what fields_get says of @key. */
static void expect_get(const char *text, const char *key, const char *want)
{
	AUTO(str) got = STR_INIT;
	struct error err;
	AUTO(sample) s;

	sample_new(&s);
	if (!read_json(&s, text, &err))
		fail_msg("%s: %s", text, err.msg);
	assert_true(fields_get(&sample_table, &s, key, &got));
	assert_string_equal(str_cstr(&got), want);
}

static void test_write(void **state)
{
	AUTO(str) out = STR_INIT;
	struct error err = ERROR_INIT;
	AUTO(sample) s;

	sample_new(&s);
	assert_true(fields_parse(&sample_table, &s,
		"/a\"b,u64=18446744073709551615,i64=-3,password=hush,num=7,kind=net,u.proto=udp,"
		"node=label=n,uuid=00112233445566778899aabbccddeeff",
		&err));
	s.hits = 5;
	fields_to_json(&sample_table, &s, &out);
	assert_string_equal(str_cstr(&out),
		"{\"file\": \"/a\\\"b\", \"flag\": false, \"u8\": 0, \"u16\": 0, \"queues\": 4, "
		"\"u64\": 18446744073709551615, \"i64\": -3, \"temp\": -1, \"size\": 4096, "
		"\"cache\": \"writeback\", \"serial\": \"S1\", "
		"\"uuid\": \"00112233445566778899aabbccddeeff\", \"mac\": \"52:54:00:12:34:56\", "
		"\"at\": {\"x\": 0, \"y\": 7}, \"path\": \"/dev/null\", \"direct\": false, "
		"\"irr\": [3, 3, 3, 3], "
		"\"line\": [{\"x\": 0, \"y\": 7}, {\"x\": 0, \"y\": 7}, {\"x\": 0, \"y\": 7}], "
		"\"num\": [7], \"name\": [], \"node\": [{\"id\": 0, \"label\": \"n\", \"kids\": "
		"[]}], "
		"\"u\": {\"path\": \"/dev/null\", \"direct\": false, \"port\": 80, \"proto\": "
		"\"udp\"}, "
		"\"kind\": \"net\", \"hits\": 5, \"local\": 0}");
}

static void test_read(void **state)
{
	expect_get("{}", "queues", "4");
	expect_get("{\"queues\": 64}", "queues", "64");
	expect_get("{\"u64\": 18446744073709551615}", "u64", "18446744073709551615");
	expect_get("{\"u64\": \"0xffffffffffffffff\"}", "u64", "18446744073709551615");
	expect_get("{\"i64\": -9223372036854775808}", "i64", "-9223372036854775808");
	expect_get("{\"flag\": true}", "flag", "on");
	expect_get("{\"flag\": \"on\"}", "flag", "on");
	expect_get("{\"size\": \"512M\"}", "size", "512M");
	expect_get("{\"size\": 1024}", "size", "1K");
	expect_get("{\"cache\": \"unsafe\"}", "cache", "unsafe");
	expect_get("{\"serial\": \"\\u0041,b=c\"}", "serial", "A,b=c");
	expect_get("{\"mac\": \"00:00:00:00:00:01\"}", "mac", "00:00:00:00:00:01");
	expect_get("{\"at\": {\"x\": 5}}", "at.x", "5");
	expect_get("{\"path\": \"/p\", \"direct\": true}", "path", "/p");
	expect_get("{\"irr\": [1, 2, 3, 4]}", "irr", "[1, 2, 3, 4]");
	expect_get("{\"line\": [{\"x\": 1}, {}, {\"y\": 2}]}", "line",
		"[{\"x\": 1, \"y\": 7}, {\"x\": 0, \"y\": 7}, {\"x\": 0, \"y\": 2}]");
	expect_get("{\"num\": []}", "num", "[]");
	expect_get("{\"name\": [\"a\", \"\"]}", "name", "[\"a\", \"\"]");
	expect_get("{\"node\": [{\"label\": \"n\", \"kids\": [{\"id\": 3}]}]}", "node",
		"[{\"id\": 0, \"label\": \"n\", \"kids\": [{\"id\": 3, \"kids\": []}]}]");
	/* The selector may come last, in every layer. */
	expect_get("{\"u\": {\"path\": \"/q\", \"proto\": \"udp\"}, \"kind\": \"net\"}", "u.path",
		"/q");
	expect_get("{\"kind\": \"file\", \"u\": {\"path\": \"/q\"}}", "u.path", "/q");
}

/* A list is replaced, what isn't named stays. */
static void test_read_over(void **state)
{
	struct error err;
	AUTO(sample) s;

	sample_new(&s);
	assert_true(read_json(&s, "{\"num\": [1, 2], \"queues\": 3, \"kind\": \"file\"}", &err));
	assert_true(read_json(&s, "{\"num\": [9], \"u\": {\"path\": \"/x\"}}", &err));
	assert_int_equal(s.nums.len, 1);
	assert_int_equal(s.queues, 3);
	assert_string_equal(s.u.file.path, "/x");
	assert_false(fields_check(&sample_table, &s, &err));
}

static void test_read_bad(void **state)
{
	expect_bad("[]", "bad value for 'sample': an object is wanted");
	expect_bad("{\"queues\": 1, \"queues\": 1}", "line 1, column 15: 'queues' is given twice");
	expect_bad(
		"{\"queues\": 99}", "bad value '99' for 'sample.queues': a number 1..64 is wanted");
	expect_bad("{\"queues\": 1.0}",
		"bad value '1.0' for 'sample.queues': a number 1..64 is wanted");
	expect_bad("{\"queues\": 1e1}",
		"bad value '1e1' for 'sample.queues': a number 1..64 is wanted");
	expect_bad("{\"queues\": null}", "bad value for 'sample.queues': a number 1..64 is wanted");
	expect_bad("{\"queues\": true}",
		"bad value 'true' for 'sample.queues': a number 1..64 is wanted");
	expect_bad("{\"queues\": [1]}", "bad value for 'sample.queues': a number 1..64 is wanted");
	expect_bad("{\"u64\": 18446744073709551616}",
		"bad value '18446744073709551616' for 'sample.u64': a number is wanted");
	expect_bad("{\"i64\": 9223372036854775808}",
		"bad value '9223372036854775808' for 'sample.i64': a number is wanted");
	expect_bad("{\"flag\": 1}", "bad value '1' for 'sample.flag': on or off is wanted");
	expect_bad("{\"serial\": 1}",
		"bad value for 'sample.serial': a text of at most 20 bytes is wanted");
	expect_bad("{\"serial\": \"a\\u0000b\"}",
		"bad value for 'sample.serial': a text of at most 20 bytes is wanted");
	expect_bad("{\"password\": \"abc\"}",
		"bad value for 'sample.password': a text of 4 to 65536 bytes is wanted");
	expect_bad("{\"hits\": 1}", "bad value for 'sample.hits': nothing is wanted");
	expect_bad("{\"at\": 1}", "bad value for 'sample.at': an object is wanted");
	expect_bad("{\"at\": {\"z\": 1}}", "unknown key 'z' for sample.at; valid: x, y");
	expect_bad("{\"at.x\": 1}", "unknown key 'at.x' for sample; valid: file, flag, u8, u16, "
				    "queues, u64, i64, temp, size, "
				    "cache, serial, password, uuid, mac, at, path, direct, irr, "
				    "line, num, name, node, u, kind, "
				    "local");
	expect_bad("{\"u\": {}}", "bad value for 'sample.u': nothing is wanted");
	expect_bad("{\"kind\": \"file\", \"u\": {\"port\": 1}}",
		"unknown key 'port' for sample.u; valid: path, direct");
	expect_bad("{\"irr\": [1, 2, 3]}", "bad value for 'sample.irr': an array of 4 is wanted");
	expect_bad("{\"irr\": [1, 2, 3, 1000]}",
		"bad value '1000' for 'sample.irr[3]': a number 0..999 is wanted");
	expect_bad("{\"num\": 1}", "bad value for 'sample.num': an array of at most 8 is wanted");
	expect_bad("{\"num\": [1,1,1,1,1,1,1,1,1]}",
		"bad value for 'sample.num': an array of at most 8 is wanted");
	expect_bad("{\"node\": [{}, {\"kids\": [{\"id\": -1}]}]}",
		"bad value '-1' for 'sample.node[1].kids[0].id': a number 0..4294967295 is wanted");
}

static void test_depth(void **state)
{
	AUTO(str) text = STR_INIT;
	struct error err = ERROR_INIT;
	struct sample_node n;

	for (int i = 0; i < 12; i++)
		str_append(&text, "{\"kids\": [");
	for (int i = 0; i < 12; i++)
		str_append(&text, "]}");
	assert_true(fields_init(&sample_node_table, &n, &err));
	assert_false(fields_from_json_text(&sample_node_table, &n, text.s, text.len, &err));
	assert_contains(err.msg, "node.kids[0].kids[0].");
	assert_contains(err.msg, ": nested too deeply");
	fields_fini(&sample_node_table, &n);
}

/* What is written is read back and written the same. */
static void test_round_trip(void **state)
{
	uint64_t seed = 77;

	for (int i = 0; i < 500; i++) {
		AUTO(str) once = STR_INIT, twice = STR_INIT;
		struct error err = ERROR_INIT;
		AUTO(sample_node) a, b;

		assert_true(fields_init(&sample_node_table, &a, &err));
		assert_true(fields_init(&sample_node_table, &b, &err));
		fields_random(&sample_node_table, &a, &seed);
		for (char *c = a.label; *c; c++)
			*c &= 0x7f; /* U+FFFD would be longer than the limit */
		while (a.kids.len)  /* likewise */
			fields_fini(&sample_node_table, &a.kids.items[--a.kids.len]);
		fields_to_json(&sample_node_table, &a, &once);
		if (!fields_from_json_text(&sample_node_table, &b, once.s, once.len, &err))
			fail_msg("%s: %s", once.s, err.msg);
		fields_to_json(&sample_node_table, &b, &twice);
		assert_string_equal(once.s, twice.s);
		assert_true(fields_equal_state(&sample_node_table, &a, &b));
	}
}

static void test_out_of_memory(void **state)
{
	static const char text[] =
		"{\"file\": \"/f\", \"num\": [1], \"name\": [\"a\"], \"kind\": \"net\", "
		"\"u\": {\"proto\": \"udp\", \"path\": \"/p\"}, "
		"\"node\": [{\"label\": \"n\", \"kids\": [{}]}]}";
	struct fault_sweep sweep = FAULT_SWEEP_INIT;

	while (fault_sweep(&sweep)) {
		struct error err = ERROR_INIT;
		struct sample s = { 0 };
		bool ok = fields_init(&sample_table, &s, &err) &&
			  fields_from_json_text(&sample_table, &s, text, strlen(text), &err);

		assert_int_equal(ok, !fault_hit());
		if (!ok)
			assert_contains(err.msg, "Cannot allocate memory");
		fault_stop();
		fields_fini(&sample_table, &s);
	}
}

/* What QMP asks of its arguments and results beyond the rest. */
struct part {
	uint32_t a;
	uint64_t b;
};
static const struct field part_fields[] = {
	FIELD_U32(struct part, a, "a"),
	FIELD_U64(struct part, b, "b"),
};
static const struct field_table part_table = FIELD_TABLE("part", struct part, part_fields);
struct strict {
	struct part part;
	uint32_t zero;
	bool flag;
	char *any;
	struct {
		uint32_t *items;
		size_t len;
	} list;
};
static const struct field strict_fields[] = {
	FIELD_STRUCT(struct strict, part, "part", &part_table, .flags = FF_OMIT_ZERO),
	FIELD_U32(struct strict, zero, "zero", .flags = FF_OMIT_ZERO),
	FIELD_BOOL(struct strict, flag, "flag", .flags = FF_GIVEN),
	FIELD_STR(struct strict, any, "any", .flags = FF_ANY),
	FIELD_LIST(struct strict, list, "list", FT_U32, 2, .flags = FF_OMIT_ZERO),
};
static const struct field_table strict_table = FIELD_TABLE("strict", struct strict, strict_fields);

static bool read_strict(struct strict *s, const char *text, struct error *err)
{
	struct json_doc doc = JSON_DOC_INIT;
	bool ok;

	doc.typed = true;
	fields_fini(&strict_table, s);
	ok = json_parse(&doc, text, strlen(text), err) &&
	     fields_from_json(&strict_table, s, &doc, doc.tokens, err);
	json_doc_fini(&doc);
	return ok;
}

static void typed_documents_are_strict(void **state)
{
	AUTO(str) out = STR_INIT;
	struct error err = ERROR_INIT;
	struct strict s = { 0 };
	uint32_t *item;

	assert_true(fields_table_valid(&strict_table, &err));
	assert_true(read_strict(&s, "{\"flag\": false, \"any\": [1, \"x\"]}", &err));
	item = fields_list_add(&strict_table, &s, "list", &err);
	assert_non_null(item);
	*item = 7;
	fields_to_json(&strict_table, &s, &out);
	assert_string_equal(
		str_cstr(&out), "{\"flag\": false, \"any\": [1, \"x\"], \"list\": [7]}");
	s.part.b = 1;
	str_clear(&out);
	fields_to_json(&strict_table, &s, &out);
	assert_non_null(strstr(str_cstr(&out), "{\"part\": {\"a\": 0, \"b\": 1}, "));
	assert_non_null(fields_list_add(&strict_table, &s, "list", &err));
	assert_null(fields_list_add(&strict_table, &s, "list", &err));
	str_clear(&out);
	assert_true(fields_get_json(&strict_table, &s, "list", &out));
	assert_string_equal(str_cstr(&out), "[7, 0]");
	assert_false(fields_get_json(&strict_table, &s, "none", &out));
	assert_false(read_strict(&s, "{}", &err));
	assert_non_null(strstr(err.msg, "Parameter 'flag' is missing"));
	assert_false(read_strict(&s, "{\"flag\": \"on\"}", &err));
	assert_false(read_strict(&s, "{\"flag\": true, \"zero\": \"1\"}", &err));
	assert_true(read_strict(&s, "{\"flag\": true, \"zero\": 1, \"any\": \"q\"}", &err));
	assert_string_equal(s.any, "\"q\"");
	fields_fini(&strict_table, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(typed_documents_are_strict),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_read_over),
		cmocka_unit_test(test_read_bad),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
