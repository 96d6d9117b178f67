// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/field_sample.h"
#include "base/testing.h"

/* Parse @text into a fresh sample; the caller finis it. */
static bool parse(struct sample *s, const char *text, struct error *err)
{
	*err = (struct error)ERROR_INIT;
	assert_true(fields_init(&sample_table, s, err));
	return fields_parse(&sample_table, s, text, err);
}

static void expect_bad(const char *text, const char *message)
{
	struct sample s;
	struct error err;

	assert_false(parse(&s, text, &err));
	assert_string_equal(err.msg, message);
	assert_int_equal(err.kind, ERROR_USAGE);
	fields_fini(&sample_table, &s);
}

/* Parse `file=f,TEXT` and compare what fields_get says of @key. */
static void expect_get(const char *text, const char *key, const char *want)
{
	AUTO(str) got = STR_INIT, full = STR_INIT;
	struct sample s;
	struct error err;

	str_appendf(&full, "file=f,%s", text);
	if (!parse(&s, str_cstr(&full), &err))
		fail_msg("%s: %s", text, err.msg);
	assert_true(fields_get(&sample_table, &s, key, &got));
	assert_string_equal(str_cstr(&got), want);
	fields_fini(&sample_table, &s);
}

static void test_defaults(void **state)
{
	struct sample s;
	struct error err;

	memset(&s, 0xaa, sizeof(s));
	assert_true(fields_init(&sample_table, &s, &err));
	assert_int_equal(s.before, 0xaaaaaaaaaaaaaaaaull);
	assert_int_equal(s.after, 0xaaaaaaaaaaaaaaaaull);
	assert_false(s.flag);
	assert_int_equal(s.queues, 4);
	assert_int_equal(s.temp, -1);
	assert_int_equal(s.size, 4096);
	assert_int_equal(s.cache, 1);
	assert_null(s.file);
	assert_string_equal(s.serial, "S1");
	assert_int_equal(s.mac[0], 0x52);
	assert_int_equal(s.at.y, 7);
	assert_string_equal(s.base.path, "/dev/null");
	assert_int_equal(s.irr[3], 3);
	assert_int_equal(s.line[2].y, 7);
	assert_null(s.nums.items);
	assert_int_equal(s.kind, SAMPLE_NONE);
	fields_fini(&sample_table, &s);
	assert_null(s.serial);
	assert_null(s.base.path);
	assert_int_equal(s.after, 0xaaaaaaaaaaaaaaaaull);
	fields_fini(&sample_table, &s);
}

static void test_scalars(void **state)
{
	expect_get("flag=yes", "flag", "on");
	expect_get("flag", "flag", "on");
	expect_get("flag=off", "flag", "off");
	expect_get("u8=255", "u8", "255");
	expect_get("u8=0xff", "u8", "255");
	expect_get("u64=18446744073709551615", "u64", "18446744073709551615");
	expect_get("u64=0xffffffffffffffff", "u64", "18446744073709551615");
	expect_get("i64=-9223372036854775808", "i64", "-9223372036854775808");
	expect_get("temp=-5", "temp", "-5");
	expect_get("size=1T", "size", "1T");
	expect_get("size=1536", "size", "1536");
	expect_get("cache=unsafe", "cache", "unsafe");
	expect_get("serial=a,,b=c", "serial", "a,b=c");
	expect_get("serial=", "serial", "");
	expect_get("mac=52:54:00:AB:cd:ef", "mac", "52:54:00:ab:cd:ef");
	expect_get("uuid=00112233-4455-6677-8899-aabbccddeeff", "uuid",
		"00112233445566778899aabbccddeeff");
	expect_get("password=hush", "password", "(secret)");
	expect_get("flag", "file", "f");
}

static void test_structured(void **state)
{
	expect_get("at.x=3", "at.x", "3");
	expect_get("at=x=3", "at.x", "3");
	expect_get("at.x=3", "at", "{\"x\": 3, \"y\": 7}");
	expect_get("path=/x,direct", "path", "/x");
	expect_get("path=/x,direct", "direct", "on");
	expect_get("num=1,num=2,num=3", "num", "[1, 2, 3]");
	expect_get("name=a,name=,name=b", "name", "[\"a\", \"\", \"b\"]");
	expect_get("node=label=n,node=id=7,,label=m", "node",
		"[{\"id\": 0, \"label\": \"n\", \"kids\": []}, {\"id\": 7, \"label\": \"m\", "
		"\"kids\": []}]");
	expect_get("node=label=n,,kids=label=k,", "node",
		"[{\"id\": 0, \"label\": \"n\", \"kids\": [{\"id\": 0, \"label\": \"k\", \"kids\": "
		"[]}]}]");
	expect_get("num=1", "irr", "[3, 3, 3, 3]");
}

static void test_unions(void **state)
{
	expect_get("kind=file", "u", "{\"path\": \"/dev/null\", \"direct\": false}");
	expect_get("kind=file,u.path=/a", "u.path", "/a");
	/* The selector may come later, in every layer. */
	expect_get("u.path=/a,kind=file", "u.path", "/a");
	expect_get("u.x=9,u.proto=tcp,kind=net", "u.x", "9");
	expect_get("u.path=/q,u.proto=udp,kind=net", "u.path", "/q");
	expect_get("kind=net", "u", "{\"x\": 0, \"y\": 7, \"port\": 80, \"proto\": \"tcp\"}");
	expect_get("kind=none", "u", "{}");
	expect_bad("f,u.path=/a", "unknown option 'u.path' for sample; none is valid here");
	expect_bad("f,kind=net,u.path=/a",
		"unknown option 'u.path' for sample; valid: u.x, u.y, u.port, u.proto");
}

/* Setting another arm clears the old one and keeps the rest. */
static void test_union_switch(void **state)
{
	struct error err = ERROR_INIT;
	struct sample s;

	assert_true(parse(&s, "f,kind=net,u.proto=udp,u.path=/q,num=1", &err));
	assert_string_equal(s.u.net.u.udp.path, "/q");
	assert_true(fields_set(&sample_table, &s, "u.proto", "udp", &err));
	assert_string_equal(s.u.net.u.udp.path, "/q");
	assert_true(fields_set(&sample_table, &s, "u.proto", "tcp", &err));
	assert_int_equal(s.u.net.u.tcp.y, 7);
	assert_true(fields_set(&sample_table, &s, "kind", "file", &err));
	assert_string_equal(s.u.file.path, "/dev/null");
	assert_false(fields_set(&sample_table, &s, "kind", "fish", &err));
	assert_string_equal(s.u.file.path, "/dev/null");
	assert_int_equal(s.nums.len, 1);
	fields_fini(&sample_table, &s);
}

static void test_first(void **state)
{
	expect_get("flag", "file", "f");
	struct error err;
	struct sample s;

	assert_true(parse(&s, "/a b,,c,flag", &err));
	assert_string_equal(s.file, "/a b,c");
	assert_true(s.flag);
	fields_fini(&sample_table, &s);
	/* The first word is the path even if it is the name of a switch. */
	assert_true(parse(&s, "flag", &err));
	assert_string_equal(s.file, "flag");
	assert_false(s.flag);
	fields_fini(&sample_table, &s);
	expect_bad("/a,file=/b", "'file' is given twice");
}

static void test_bad_keys(void **state)
{
	expect_bad("", "sample: 'file' is required: path of the image");
	expect_bad("file=", "sample: 'file' is required: path of the image");
	expect_bad("f,foo=1", "unknown option 'foo' for sample; valid: file, flag, u8, u16, "
			      "queues, u64, i64, temp, size, "
			      "cache, serial, password, uuid, mac, at, path, direct, "
			      "num, name, node, u, kind, "
			      "local");
	expect_bad("f,at.z=1", "unknown option 'at.z' for sample; valid: at.x, at.y");
	expect_bad("f,at.=1", "unknown option 'at.' for sample; valid: at.x, at.y");
	expect_bad("f,flag.x=1", "unknown option 'flag.x' for sample; none is valid here");
	expect_bad("f,=1", "an option has no name");
	expect_bad(",f", "an option has no name");
	expect_bad("f,queues", "'queues' needs a value: a number 1..64");
	expect_bad("f,hits=1", "'hits' is shown only and cannot be set");
	expect_bad("f,irr=1", "'irr' cannot be set as text");
	expect_bad("f,u8=1,u8=1", "'u8' is given twice");
	expect_bad("f,kind=file,kind=net", "'kind' is given twice");
	expect_bad("f,node=id=1", "sample: 'node[0].label' is required");
}

static void test_bad_values(void **state)
{
	expect_bad("f,flag=maybe", "bad value 'maybe' for 'flag': on or off is wanted");
	expect_bad("f,queues=x", "bad value 'x' for 'queues': a number 1..64 is wanted");
	expect_bad("f,queues=0", "bad value '0' for 'queues': a number 1..64 is wanted");
	expect_bad("f,queues=65", "bad value '65' for 'queues': a number 1..64 is wanted");
	expect_bad("f,queues=4294967297",
		"bad value '4294967297' for 'queues': a number 1..64 is wanted");
	expect_bad("f,u8=256", "bad value '256' for 'u8': a number 0..255 is wanted");
	expect_bad("f,u8=-1", "bad value '-1' for 'u8': a number 0..255 is wanted");
	expect_bad("f,u8= 1", "bad value ' 1' for 'u8': a number 0..255 is wanted");
	expect_bad("f,u64=18446744073709551616",
		"bad value '18446744073709551616' for 'u64': a number is wanted");
	expect_bad("f,i64=9223372036854775808",
		"bad value '9223372036854775808' for 'i64': a number is wanted");
	expect_bad("f,i64=--1", "bad value '--1' for 'i64': a number is wanted");
	expect_bad("f,temp=-6", "bad value '-6' for 'temp': a number -5..10 is wanted");
	expect_bad(
		"f,size=100", "bad value '100' for 'size': a size 512..1T, as in 512M is wanted");
	expect_bad("f,cache=fast",
		"bad value 'fast' for 'cache': one of none, writeback, unsafe is wanted");
	expect_bad("f,serial=123456789012345678901",
		"bad value '123456789012345678901' for 'serial': "
		"a text of at most 20 bytes is wanted");
	expect_bad(
		"f,password=abc", "bad value for 'password': a text of 4 to 65536 bytes is wanted");
	expect_bad("f,mac=52:54:00:12:34", "bad value '52:54:00:12:34' for 'mac': a MAC address "
					   "like 52:54:00:12:34:56 is wanted");
	expect_bad("f,mac=52:54:00:12:34:5g", "bad value '52:54:00:12:34:5g' for 'mac': a MAC "
					      "address like 52:54:00:12:34:56 is wanted");
	expect_bad("f,uuid=0011", "bad value '0011' for 'uuid': 32 hex digits is wanted");
	expect_bad("f,at.y=0", "bad value '0' for 'at.y': a number 1..1000 is wanted");
	expect_bad("f,num=101", "bad value '101' for 'num': a number 0..100 is wanted");
	expect_bad("f,node=label=x,,kids=foo=1",
		"'node': 'kids': unknown option 'foo' for node; valid: id, label, kids");
	expect_bad("f,num=1,num=1,num=1,num=1,num=1,num=1,num=1,num=1,num=1",
		"too many 'num': at most 8 can be given");
}

/* A refused value leaves what was there. */
static void test_keeps_old(void **state)
{
	struct error err = ERROR_INIT;
	struct sample s;

	assert_true(parse(&s, "f,queues=9,serial=abc,mac=00:01:02:03:04:05,num=5", &err));
	assert_false(fields_set(&sample_table, &s, "queues", "99", &err));
	assert_false(fields_set(&sample_table, &s, "serial", "123456789012345678901", &err));
	assert_false(fields_set(&sample_table, &s, "mac", "ff:ff:ff:ff:ff:", &err));
	assert_false(fields_set(&sample_table, &s, "num", "z", &err));
	assert_int_equal(s.queues, 9);
	assert_string_equal(s.serial, "abc");
	assert_int_equal(s.mac[0], 0);
	assert_int_equal(s.nums.len, 1);
	fields_fini(&sample_table, &s);
}

static void test_nesting_limit(void **state)
{
	struct sample_node n;
	struct error err = ERROR_INIT;
	AUTO(str) text = STR_INIT;

	assert_true(fields_init(&sample_node_table, &n, &err));
	for (int i = 0; i < 40; i++)
		str_append(&text, "kids=");
	str_append(&text, "id=1");
	assert_false(fields_set(&sample_node_table, &n, "kids", str_cstr(&text), &err));
	assert_contains(err.msg, "nested too deeply");
	fields_fini(&sample_node_table, &n);
}

static void test_token_limit(void **state)
{
	AUTO(str) text = STR_INIT;
	struct sample s;
	struct error err;

	for (int i = 0; i < FIELD_TOKENS_MAX + 1; i++)
		str_append(&text, "num=1,");
	assert_false(parse(&s, str_cstr(&text), &err));
	assert_string_equal(err.msg, "more than 1024 options");
	fields_fini(&sample_table, &s);
}

static void test_next_token(void **state)
{
	static const char *const rows[][5] = {
		{ "" },
		{ "a", "a" },
		{ "a,b", "a", "b" },
		{ "a,,b", "a,b" },
		{ "a,,,b", "a,", "b" },
		{ "a,", "a" },
		{ "a,,", "a," },
		{ ",a", "", "a" },
		{ ",,a", ",a" },
		{ "a=b,c", "a=b", "c" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *cursor = rows[i][0];
		AUTO(str) out = STR_INIT;

		for (int j = 1; rows[i][j]; j++) {
			assert_true(fields_next_token(&cursor, &out));
			assert_string_equal(str_cstr(&out), rows[i][j]);
		}
		assert_false(fields_next_token(&cursor, &out));
		assert_false(fields_next_token(&cursor, &out));
	}
}

static void test_put_token(void **state)
{
	static const char *const texts[] = { "a", ",", ",,", "a,b", ",a,", "a=b,,c", "x,,,y" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		AUTO(str) list = STR_INIT;
		AUTO(str) out = STR_INIT;
		const char *cursor;

		fields_put_token(texts[i], &list);
		cursor = str_cstr(&list);
		assert_true(fields_next_token(&cursor, &out));
		assert_string_equal(str_cstr(&out), texts[i]);
		assert_false(fields_next_token(&cursor, &out));
	}
}

static void test_get_unknown(void **state)
{
	AUTO(str) out = STR_INIT;
	struct error err;
	struct sample s;

	assert_true(fields_init(&sample_table, &s, &err));
	assert_false(fields_get(&sample_table, &s, "foo", &out));
	assert_false(fields_get(&sample_table, &s, "", &out));
	assert_false(fields_get(&sample_table, &s, "at.", &out));
	assert_false(fields_get(&sample_table, &s, "u.path", &out));
	assert_true(fields_get(&sample_table, &s, "file", &out));
	assert_string_equal(str_cstr(&out), "");
	fields_fini(&sample_table, &s);
}

static void test_help(void **state)
{
	AUTO(str) out = STR_INIT;

	fields_help(&sample_table, 2, &out);
	assert_contains(
		str_cstr(&out), "  [file=]TEXT                 path of the image (required)\n");
	assert_contains(str_cstr(&out), "  flag=on|off                 raised\n");
	assert_contains(
		str_cstr(&out), "  queues=1..64                request queues (default 4)\n");
	assert_contains(str_cstr(&out), "  cache=none|writeback|unsafe (default writeback)\n");
	assert_contains(str_cstr(&out),
		"  size=SIZE                   of a cluster (512..1T; default 4K)\n");
	assert_contains(str_cstr(&out), "  at.x=0..1000                to the right\n");
	assert_contains(
		str_cstr(&out), "  path=TEXT                   what to open (default /dev/null)\n");
	assert_contains(str_cstr(&out), "  num=0..100                  (repeatable)\n");
	assert_contains(
		str_cstr(&out), "  with kind=net:\n    with u.proto=tcp:\n      u.x=0..1000 ");
	assert_null(strstr(str_cstr(&out), "hits"));
}

static void test_find(void **state)
{
	assert_ptr_equal(fields_find(&sample_table, "file"), &sample_fields[0]);
	assert_null(fields_find(&sample_table, ""));
	assert_null(fields_find(&sample_table, "fil"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_scalars),
		cmocka_unit_test(test_structured),
		cmocka_unit_test(test_unions),
		cmocka_unit_test(test_union_switch),
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_bad_keys),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_keeps_old),
		cmocka_unit_test(test_nesting_limit),
		cmocka_unit_test(test_token_limit),
		cmocka_unit_test(test_next_token),
		cmocka_unit_test(test_put_token),
		cmocka_unit_test(test_get_unknown),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
