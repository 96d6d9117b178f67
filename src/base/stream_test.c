// SPDX-License-Identifier: GPL-2.0-or-later
/* stream_test - records, and objects saved and loaded (field_state.c). */
#include "base/stream.h"

#include "base/fault.h"
#include "base/field_random.h"
#include "base/field_sample_testing.h"
#include "base/testing.h"
#include "base/wire.h"

/* -------- records -------- */

static void test_records(void **state)
{
	AUTO(str) out = STR_INIT;
	struct stream_reader r;
	struct stream_record rec;
	struct error err = ERROR_INIT;
	size_t pos;

	stream_put(&out, 7, 0, "abc", 3);
	pos = stream_begin(&out, 8, STREAM_F_MANDATORY);
	stream_put(&out, 1, 0, NULL, 0);
	stream_end(&out, pos);
	assert_int_equal(out.len, 11 + 16);
	assert_memory_equal(out.s, "\7\0\0\0\3\0\0\0abc\10\0\1\0\10\0\0\0\1\0\0\0\0\0\0\0", 27);

	r = (struct stream_reader){ (uint8_t *)out.s, out.len };
	assert_true(stream_next(&r, &rec, &err));
	assert_int_equal(rec.tag, 7);
	assert_int_equal(rec.len, 3);
	assert_memory_equal(rec.p, "abc", 3);
	assert_true(stream_next(&r, &rec, &err));
	assert_int_equal(rec.flags, STREAM_F_MANDATORY);
	assert_int_equal(rec.len, 8);
	assert_false(stream_next(&r, &rec, &err));
	assert_int_equal(err.kind, ERROR_NONE);
}

static void test_damaged_records(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *message;
	} rows[] = {
		{ "\7\0\0\0\3\0\0", 7, "7 stray bytes at the end" },
		{ "\7\0\0\0\3\0\0\0ab", 10,
			"record 7 is cut short: 3 bytes are announced, 2 are there" },
		{ "\7\0\0\0\xff\xff\xff\xff", 8,
			"record 7 is cut short: 4294967295 bytes are announced, 0 are there" },
		{ "\7\0\2\0\0\0\0\0", 8, "record 7 has unknown flags 0x2" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct stream_reader r = { (const uint8_t *)rows[i].bytes, rows[i].len };
		struct error err = ERROR_INIT;
		struct stream_record rec;

		assert_false(stream_next(&r, &rec, &err));
		assert_string_equal(err.msg, rows[i].message);
	}
}

/* -------- objects -------- */

/* Load from memory of exactly that size, so that ASan sees a read past the end. */
static bool load_exact(
	const struct field_table *t, void *obj, const void *p, size_t len, struct error *err)
{
	uint8_t *copy = malloc(len ? len : 1);
	bool ok;

	memcpy(copy, p, len);
	ok = fields_load(t, obj, copy, len, err);
	free(copy);
	return ok;
}

/* The bytes on the wire are a promise. */
static void test_golden(void **state)
{
	static const uint8_t want[] = {
		1, 0, 1, 0, 4, 0, 0, 0, 5, 0, 0, 0,  /* id */
		2, 0, 1, 0, 3, 0, 0, 0, 'a', 'b', 0, /* label */
		3, 0, 1, 0, 36, 0, 0, 0,	     /* kids */
		1, 0, 1, 0, 28, 0, 0, 0,	     /* element */
		1, 0, 1, 0, 4, 0, 0, 0, 6, 0, 0, 0,  /* id */
		2, 0, 1, 0, 0, 0, 0, 0,		     /* label: absent */
		3, 0, 1, 0, 0, 0, 0, 0,		     /* no kids */
	};
	struct error err = ERROR_INIT;
	struct sample_node n, back;
	AUTO(str) out = STR_INIT;

	assert_true(fields_init(&sample_node_table, &n, &err));
	assert_true(fields_set(&sample_node_table, &n, "id", "5", &err));
	assert_true(fields_set(&sample_node_table, &n, "label", "ab", &err));
	assert_true(fields_set(&sample_node_table, &n, "kids", "id=6", &err));
	fields_save(&sample_node_table, &n, &out);
	assert_int_equal(out.len, sizeof(want));
	assert_memory_equal(out.s, want, sizeof(want));

	assert_true(fields_init(&sample_node_table, &back, &err));
	assert_true(load_exact(&sample_node_table, &back, want, sizeof(want), &err));
	assert_true(fields_equal_state(&sample_node_table, &n, &back));
	assert_null(back.kids.items[0].label);
	fields_fini(&sample_node_table, &n);
	fields_fini(&sample_node_table, &back);
}

static void test_round_trip(void **state)
{
	uint64_t seed = 20261120;

	for (int i = 0; i < 2000; i++) {
		AUTO(str) once = STR_INIT, twice = STR_INIT;
		struct error err = ERROR_INIT;
		AUTO(sample) a, b;

		sample_new(&a);
		sample_new(&b);
		fields_random(&sample_table, &a, &seed);
		if (i & 1) /* over an object that holds something */
			fields_random(&sample_table, &b, &seed);
		fields_save(&sample_table, &a, &once);
		assert_false(once.failed);
		if (!load_exact(&sample_table, &b, once.s, once.len, &err))
			fail_msg("%s", err.msg);
		assert_true(fields_equal_state(&sample_table, &a, &b));
		fields_save(&sample_table, &b, &twice);
		assert_int_equal(once.len, twice.len);
		assert_memory_equal(once.s, twice.s, once.len);
	}
}

static void test_equal_state(void **state)
{
	AUTO(sample) a, b;
	uint64_t seed = 7;

	sample_new(&a);
	sample_new(&b);
	assert_true(fields_equal_state(&sample_table, &a, &b));
	b.local = b.hits = 1; /* neither is saved */
	assert_true(fields_equal_state(&sample_table, &a, &b));
	b.line[2].x++;
	assert_false(fields_equal_state(&sample_table, &a, &b));
	b.line[2].x--;
	b.base.path[0] = 'x';
	assert_false(fields_equal_state(&sample_table, &a, &b));
	fields_random(&sample_table, &b, &seed);
	assert_false(fields_equal_state(&sample_table, &a, &b));
}

static void put_u32(struct str *out, uint16_t tag, uint32_t v)
{
	uint8_t b[4];

	wr_le32(b, v);
	stream_put(out, tag, STREAM_F_MANDATORY, b, 4);
}

/* What is missing keeps its value; what is unknown and optional is passed over; order is free. */
static void test_other_versions(void **state)
{
	struct error err = ERROR_INIT;
	AUTO(str) out = STR_INIT;
	AUTO(sample) s;
	size_t pos;

	sample_new(&s);
	stream_put(&out, 999, 0, "later", 5);
	pos = stream_begin(&out, 23, STREAM_F_MANDATORY); /* the union, before its selector */
	stream_put(&out, 1, STREAM_F_MANDATORY, "/p", 3);
	stream_end(&out, pos);
	put_u32(&out, 5, 9);
	put_u32(&out, 22, SAMPLE_FILE);
	stream_put(&out, 999, 0, "again", 5);
	assert_true(load_exact(&sample_table, &s, out.s, out.len, &err));
	assert_int_equal(s.queues, 9);
	assert_int_equal(s.size, 4096);
	assert_string_equal(s.serial, "S1");
	assert_int_equal(s.kind, SAMPLE_FILE);
	assert_string_equal(s.u.file.path, "/p");
	assert_true(load_exact(&sample_table, &s, "", 0, &err));
	assert_int_equal(s.queues, 9);
}

static void expect_refused(const struct str *in, const char *message)
{
	struct error err = ERROR_INIT;
	AUTO(sample) s;

	sample_new(&s);
	assert_false(load_exact(&sample_table, &s, in->s, in->len, &err));
	assert_string_equal(err.msg, message);
	assert_int_equal(err.kind, ERROR_FAILED);
}

/* One record of @len bytes for @tag. */
static void expect_bad(uint16_t tag, const char *bytes, size_t len, const char *message)
{
	AUTO(str) out = STR_INIT;

	stream_put(&out, tag, STREAM_F_MANDATORY, bytes, len);
	expect_refused(&out, message);
}

static void test_bad_values(void **state)
{
	expect_bad(5, "\x41\0\0\0", 4, "sample.queues: 65 is out of range 1..64");
	expect_bad(5, "\0\0\0\0", 4, "sample.queues: 0 is out of range 1..64");
	expect_bad(5, "\1\0\0", 3, "sample.queues: 3 bytes where 4 are wanted");
	expect_bad(5, "\1\0\0\0\0", 5, "sample.queues: 5 bytes where 4 are wanted");
	expect_bad(5, "", 0, "sample.queues: 0 bytes where 4 are wanted");
	expect_bad(2, "\2", 1, "sample.flag: 2 is out of range 0..1");
	expect_bad(
		8, "\xfa\xff\xff\xff\xff\xff\xff\xff", 8, "sample.temp: -6 is out of range -5..10");
	expect_bad(9, "\1\0\0\0\0\0\0\0", 8, "sample.size: 1 is out of range 512..1T");
	expect_bad(10, "\3\0\0\0", 4, "sample.cache: 3 is out of range 0..2");
	expect_bad(10, "\xff\xff\xff\xff", 4, "sample.cache: 4294967295 is out of range 0..2");
	expect_bad(22, "\3\0\0\0", 4, "sample.kind: 3 is out of range 0..2");
	expect_bad(13, "0123456789abcde", 15, "sample.uuid: 15 bytes where 16 are wanted");
	expect_bad(14, "0123456", 7, "sample.mac: 7 bytes where 6 are wanted");
	expect_bad(1, "ab", 2, "sample.file: a text does not end where it should");
	expect_bad(1, "a\0b", 4, "sample.file: a text does not end where it should");
	expect_bad(1, "a\0\0", 3, "sample.file: a text does not end where it should");
	expect_bad(11, "123456789012345678901", 22,
		"sample.serial: a text of 21 bytes is out of range 0..20");
	expect_bad(12, "abc", 4, "sample.password: a text of 3 bytes is out of range 4..65536");
	expect_bad(17, "\1\0\2\0\3\0", 6, "sample.irr: 3 elements where 4 are wanted");
	expect_bad(17, "\1\0\2\0\3\0\4\0\5\0", 10, "sample.irr: 5 elements where 4 are wanted");
	expect_bad(17, "\1\0\2\0\3\0\4", 7, "sample.irr[3]: 1 bytes where 2 are wanted");
	expect_bad(17, "\1\0\2\0\3\0\xe8\3", 8, "sample.irr[3]: 1000 is out of range 0..999");
	expect_bad(19, "\0\0\0\0\xff\0\0\0", 8, "sample.num[1]: 255 is out of range 0..100");
	expect_bad(
		20, "\2\0\1\0\1\0\0\0", 9, "sample.name[0]: record 2 where an element is wanted");
	expect_bad(20, "\1\0\1\0\2\0\0\0", 9,
		"sample.name[0]: record 1 is cut short: 2 bytes are announced, 1 are there");
	expect_bad(23, "x", 1, "sample.u: 1 bytes where 0 are wanted");
	expect_bad(24, "\0\0\0\0", 4,
		"sample: unknown mandatory field 24 (saved by a newer version?)");
	expect_bad(
		0, "\0\0\0\0", 4, "sample: unknown mandatory field 0 (saved by a newer version?)");
	expect_bad(15, "\1\0\1\0\4\0\0\0\xff\xff\0\0", 12,
		"sample.at.x: 65535 is out of range 0..1000");
	expect_bad(15, "\1\0\1", 3, "sample.at: 3 stray bytes at the end");
}

static void test_bad_structure(void **state)
{
	AUTO(str) out = STR_INIT;
	size_t list;

	put_u32(&out, 5, 1);
	put_u32(&out, 5, 1);
	expect_refused(&out, "sample: 'queues' is there twice");

	/* More elements than the list's limit. */
	str_clear(&out);
	list = stream_begin(&out, 19, 0);
	for (int i = 0; i < 9; i++)
		str_append_mem(&out, "\0\0\0\0", 4);
	stream_end(&out, list);
	expect_refused(&out, "sample.num: 9 elements where at most 8 are allowed");
	str_clear(&out);
	list = stream_begin(&out, 21, 0);
	for (int i = 0; i < 4; i++)
		stream_put(&out, 1, 0, NULL, 0);
	stream_end(&out, list);
	expect_refused(&out, "sample.node: 4 elements where at most 3 are allowed");

	/* A mistake deep inside is named from the outside in. */
	str_clear(&out);
	list = stream_begin(&out, 21, 0);
	stream_put(&out, 1, 0, NULL, 0);
	stream_put(&out, 1, 0, "\2\0\1\0\1\0\0\0x", 9);
	stream_end(&out, list);
	expect_refused(&out, "sample.node[1].label: a text does not end where it should");
}

static void test_depth(void **state)
{
	struct error err = ERROR_INIT;
	struct sample_node n;

	for (int depth = 1; depth < 100; depth += depth < 12 ? 1 : 29) {
		AUTO(str) out = STR_INIT;
		size_t pos[200];
		bool ok;

		for (int i = 0; i < 2 * depth; i += 2) {
			pos[i] = stream_begin(&out, 3, 0);
			pos[i + 1] = stream_begin(&out, 1, 0);
		}
		for (int i = 2 * depth; i--;)
			stream_end(&out, pos[i]);
		assert_true(fields_init(&sample_node_table, &n, &err));
		ok = load_exact(&sample_node_table, &n, out.s, out.len, &err);
		assert_int_equal(ok, depth < (int)STREAM_DEPTH_MAX);
		if (!ok)
			assert_contains(err.msg, ": nested too deeply");
		fields_fini(&sample_node_table, &n);
	}
}

/* As deep as text and JSON can go, no deeper, a stream can follow. */
static void test_depth_agrees(void **state)
{
	for (unsigned int kids = 0; kids < FIELD_DEPTH_MAX + 2; kids++) {
		AUTO(str) text = STR_INIT, json = STR_INIT, out = STR_INIT;
		struct error err = ERROR_INIT;
		AUTO(sample) a, b, c;
		bool ok;

		sample_new(&a);
		sample_new(&b);
		sample_new(&c);
		str_append(&json, "{\"node\": [");
		for (unsigned int i = 0; i < kids; i++) {
			str_append(&text, "kids=");
			str_append(&json, "{\"kids\": [");
		}
		str_append(&text, "id=1");
		str_append(&json, "{\"id\": 1}");
		for (unsigned int i = 0; i < kids; i++)
			str_append(&json, "]}");
		str_append(&json, "]}");
		ok = fields_set(&sample_table, &a, "node", str_cstr(&text), &err);
		assert_int_equal(ok, kids + 2 <= FIELD_DEPTH_MAX);
		assert_int_equal(
			ok, fields_from_json_text(&sample_table, &b, json.s, json.len, &err));
		if (!ok)
			continue;
		fields_save(&sample_table, &a, &out);
		assert_true(fields_load(&sample_table, &c, out.s, out.len, &err));
		assert_true(fields_equal_state(&sample_table, &a, &c));
		assert_true(fields_equal_state(&sample_table, &b, &c));
	}
}

/* Cut anywhere, a stream is refused, or it is a whole number of records. */
static void test_truncation(void **state)
{
	AUTO(str) out = STR_INIT;
	struct error err;
	uint64_t seed = 99;
	AUTO(sample) a;

	sample_new(&a);
	fields_random(&sample_table, &a, &seed);
	fields_save(&sample_table, &a, &out);
	for (size_t len = 0; len < out.len; len++) {
		struct stream_reader r = { (uint8_t *)out.s, len };
		struct stream_record rec;
		AUTO(sample) b;
		bool whole;

		err = (struct error)ERROR_INIT;
		while (stream_next(&r, &rec, &err))
			;
		whole = err.kind == ERROR_NONE;
		sample_new(&b);
		/* A whole one is refused only where a union comes without its selector. */
		if (load_exact(&sample_table, &b, out.s, len, &err))
			assert_true(whole);
		else if (whole)
			assert_contains(err.msg, "sample.u: ");
	}
}

/* Whatever damaged bytes are accepted make an object that is itself saved and loaded exactly. */
static void test_mutations(void **state)
{
	uint64_t seed = 4711;
	int loaded = 0;

	for (int i = 0; i < 3000; i++) {
		AUTO(str) in = STR_INIT, once = STR_INIT;
		struct error err = ERROR_INIT;
		AUTO(sample) a, b, c;

		sample_new(&a);
		sample_new(&b);
		sample_new(&c);
		fields_random(&sample_table, &a, &seed);
		fields_save(&sample_table, &a, &in);
		for (uint64_t n = 1 + test_random(&seed) % 3; n; n--)
			in.s[test_random(&seed) % in.len] ^= (char)(1 << test_random(&seed) % 8);
		if (!load_exact(&sample_table, &b, in.s, in.len, &err)) {
			assert_int_equal(err.kind, ERROR_FAILED);
			assert_memory_equal(err.msg, "sample", 6);
			continue;
		}
		loaded++;
		fields_save(&sample_table, &b, &once);
		assert_true(load_exact(&sample_table, &c, once.s, once.len, &err));
		assert_true(fields_equal_state(&sample_table, &b, &c));
	}
	assert_true(loaded > 100);
}

static void test_out_of_memory(void **state)
{
	struct fault_sweep sweep = FAULT_SWEEP_INIT;
	AUTO(str) out = STR_INIT;
	uint64_t seed = 12;
	AUTO(sample) a;

	sample_new(&a);
	fields_random(&sample_table, &a, &seed);
	while (fault_sweep(&sweep)) {
		struct error err = ERROR_INIT;
		struct sample b = { 0 };

		str_clear(&out);
		fields_save(&sample_table, &a, &out);
		if (out.failed) {
			assert_true(fault_hit());
			continue;
		}
		if (fields_init(&sample_table, &b, &err) &&
			fields_load(&sample_table, &b, out.s, out.len, &err)) {
			fault_stop();
			assert_true(fields_equal_state(&sample_table, &a, &b));
			assert_false(fault_hit());
		} else {
			assert_true(fault_hit());
			assert_contains(err.msg, "Cannot allocate memory");
		}
		fields_fini(&sample_table, &b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_damaged_records),
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_equal_state),
		cmocka_unit_test(test_other_versions),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_bad_structure),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_depth_agrees),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
