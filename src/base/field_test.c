// SPDX-License-Identifier: GPL-2.0-or-later
/* field_test - tables that check themselves, required members, and want of memory in all of it. */
#include "base/field.h"

#include "base/fault.h"
#include "base/field_random.h"
#include "base/field_sample.h"
#include "base/testing.h"

static void test_sample_valid(void **state)
{
	struct error err = ERROR_INIT;

	if (!fields_table_valid(&sample_table, &err))
		fail_msg("%s", err.msg);
}

struct odd {
	uint32_t a, b;
	int kind;
	bool flag;
	uint32_t arr[2];
	struct sample_point point;
	char *text;
	struct {
		uint32_t *items;
		size_t len;
	} list;
	union {
		uint32_t small;
	} u;
};

static const char *const kinds[] = { "x", "y", NULL };
static const char *const doubled[] = { "x", "x", NULL };
static const char *const no_names[] = { NULL };
static const struct field_table *const big_arms[] = { &sample_point_table };
static const struct field_table *const many_arms[] = { NULL, NULL, NULL };
static const struct field unsound[] = { FIELD_U32(struct sample_point, x, "x", .dflt = "?") };
static const struct field_table unsound_table = FIELD_TABLE("inner", struct sample_point, unsound);

/* @f, beside one sound enum `kind`, must be refused with @message. */
static void expect_unsound(struct field f, const char *message)
{
	const struct field fields[] = {
		FIELD_ENUM(struct odd, kind, "kind", kinds, .flags = FF_FIRST, .tag = 77),
		f,
	};
	const struct field_table t = FIELD_TABLE("odd", struct odd, fields);
	struct error err = ERROR_INIT;

	assert_false(fields_table_valid(&t, &err));
	assert_string_equal(err.msg, message);
}

#define EXPECT_UNSOUND(message, ...) expect_unsound((struct field)__VA_ARGS__, message)

static void test_unsound_tables(void **state)
{
	EXPECT_UNSOUND("odd.kind: its name is there twice", FIELD_U32(struct odd, a, "kind"));
	EXPECT_UNSOUND("odd.a: tag 77 is that of 'kind'", FIELD_U32(struct odd, a, "a", .tag = 77));
	EXPECT_UNSOUND("odd.a: a second first bare value",
		FIELD_U32(struct odd, a, "a", .flags = FF_FIRST));
	EXPECT_UNSOUND("odd.a.b: a name with . = or ,", FIELD_U32(struct odd, a, "a.b"));
	EXPECT_UNSOUND("odd.: no name", FIELD_U32(struct odd, a, ""));
	EXPECT_UNSOUND(
		"odd.a: min is above max", FIELD_U32(struct odd, a, "a", .min = 3, .max = 2));
	EXPECT_UNSOUND("odd.a: zero is out of range and there is no default",
		FIELD_U32(struct odd, a, "a", .min = 3));
	EXPECT_UNSOUND(
		"odd.a: bad default '2'", FIELD_U32(struct odd, a, "a", .min = 3, .dflt = "2"));
	EXPECT_UNSOUND("odd.a: derived, but saved or required",
		FIELD_U32(struct odd, a, "a", .flags = FF_DERIVED, .tag = 1));
	EXPECT_UNSOUND("odd.flag: a type that cannot be required",
		FIELD_BOOL(struct odd, flag, "flag", .flags = FF_REQUIRED));
	EXPECT_UNSOUND("odd.e: an enum without names", FIELD_ENUM(struct odd, kind, "e", no_names));
	EXPECT_UNSOUND(
		"odd.e: an enum with a name twice", FIELD_ENUM(struct odd, kind, "e", doubled));
	EXPECT_UNSOUND("odd.e: a required enum whose first name is not \"\"",
		FIELD_ENUM(struct odd, kind, "e", kinds, .flags = FF_REQUIRED));
	EXPECT_UNSOUND(
		"odd.a: its size is not its type's", { .name = "a", .type = FT_U16, .size = 4 });
	EXPECT_UNSOUND("odd.z: outside its struct",
		{ .name = "z", .type = FT_U32, .size = 4, .offset = sizeof(struct odd) - 3 });
	EXPECT_UNSOUND("odd.point: not the struct of its table",
		FIELD_STRUCT(struct odd, point, "point", &sample_file_table));
	EXPECT_UNSOUND("odd.point: inner.x: bad default '?'",
		FIELD_STRUCT(struct odd, point, "point", &unsound_table));
	EXPECT_UNSOUND("odd.list: no count", FIELD_LIST(struct odd, list, "list", FT_U32, 0));
	EXPECT_UNSOUND("odd.list: its size is not its type's",
		FIELD_LIST(struct odd, list, "list", FT_U64, 2));
	EXPECT_UNSOUND("odd.list: elements that are neither scalars nor structs",
		FIELD_LIST(struct odd, list, "list", FT_LIST, 2));
	EXPECT_UNSOUND("odd.list: a list with a default",
		FIELD_LIST(struct odd, list, "list", FT_U32, 2, .dflt = "1"));
	EXPECT_UNSOUND("odd.arr: bad default 'x'",
		FIELD_ARRAY(struct odd, arr, "arr", FT_U32, uint32_t, .dflt = "x"));
	EXPECT_UNSOUND("odd.u: no selector in its table",
		{ .name = "u", .type = FT_UNION, .size = 4, .sel = 0 });
	EXPECT_UNSOUND("odd.u: arm 0 is bigger than the union",
		FIELD_UNION(struct odd, u, "u", kind, big_arms));
	EXPECT_UNSOUND("odd.u: more arms than its selector has names",
		FIELD_UNION(struct odd, u, "u", kind, many_arms));
}

static const char *const required_names[] = { "", "x", NULL };
static const struct field required_fields[] = {
	FIELD_U32(struct odd, a, "a", .flags = FF_REQUIRED, .doc = "the first"),
	FIELD_ENUM(struct odd, kind, "kind", required_names, .flags = FF_REQUIRED),
	FIELD_STR(struct odd, text, "text", .flags = FF_REQUIRED),
	FIELD_LIST(struct odd, list, "list", FT_U32, 2, .flags = FF_REQUIRED, .min = 1),
};
static const struct field_table required_table = FIELD_TABLE("odd", struct odd, required_fields);

static void test_required(void **state)
{
	struct error err = ERROR_INIT;
	struct odd o;

	assert_true(fields_table_valid(&required_table, &err));
	assert_true(fields_init(&required_table, &o, &err));
	assert_false(fields_check(&required_table, &o, &err));
	assert_string_equal(err.msg, "odd: 'a' is required: the first");
	assert_int_equal(err.kind, ERROR_USAGE);
	assert_false(fields_parse(&required_table, &o, "a=1", &err));
	assert_string_equal(err.msg, "odd: 'kind' is required");
	assert_false(fields_parse(&required_table, &o, "kind=", &err));
	assert_string_equal(err.msg, "bad value '' for 'kind': one of x is wanted");
	assert_false(fields_parse(&required_table, &o, "kind=x", &err));
	assert_string_equal(err.msg, "odd: 'text' is required");
	assert_false(fields_parse(&required_table, &o, "text=t", &err));
	assert_string_equal(err.msg, "odd: 'list' is required");
	assert_false(fields_parse(&required_table, &o, "list=0", &err));
	/* What a configuration file gave, the command line need not repeat. */
	assert_true(fields_parse(&required_table, &o, "list=1", &err));
	assert_true(fields_parse(&required_table, &o, "", &err));
	fields_fini(&required_table, &o);
}

static void test_no_fields(void **state)
{
	static const struct field_table none = { .name = "none" };
	AUTO(str) out = STR_INIT;
	struct error err = ERROR_INIT;

	assert_true(fields_init(&none, NULL, &err));
	assert_true(fields_parse(&none, NULL, "", &err));
	assert_false(fields_parse(&none, NULL, "x=1", &err));
	assert_string_equal(err.msg, "unknown option 'x' for none; none is valid here");
	fields_to_json(&none, NULL, &out);
	assert_string_equal(str_cstr(&out), "{}");
	fields_fini(&none, NULL);
}

/* Every way in, with each allocation failing: an error that says so, nothing leaked, and the object
 * can be cleaned up. */
static void test_out_of_memory(void **state)
{
	static const char text[] =
		"/f,num=1,num=2,name=a,name=b,serial=x,u.proto=udp,kind=net,u.path=/p,"
		"node=label=n,,kids=label=k,path=q,at=x=1";
	struct fault_sweep sweep = FAULT_SWEEP_INIT;
	unsigned int failures = 0;

	while (fault_sweep(&sweep)) {
		struct error err = ERROR_INIT;
		struct sample s = { 0 };
		bool ok = fields_init(&sample_table, &s, &err) &&
			  fields_parse(&sample_table, &s, text, &err) &&
			  fields_set(&sample_table, &s, "kind", "file", &err) &&
			  fields_set(&sample_table, &s, "kind", "net", &err);

		assert_int_equal(ok, !fault_hit());
		if (!ok) {
			assert_contains(err.msg, "Cannot allocate memory");
			assert_int_equal(err.kind, ERROR_FAILED);
			failures++;
		}
		fault_stop();
		fields_fini(&sample_table, &s);
	}
	assert_true(failures > 20);
}

/* Printing marks the text as failed and goes on. */
static void test_out_of_memory_printing(void **state)
{
	struct fault_sweep sweep = FAULT_SWEEP_INIT;
	struct error err = ERROR_INIT;
	uint64_t seed = 5;
	struct sample s;

	assert_true(fields_init(&sample_table, &s, &err));
	fields_random(&sample_table, &s, &seed);
	while (fault_sweep(&sweep)) {
		AUTO(str) out = STR_INIT;

		fields_help(&sample_table, 2, &out);
		fields_to_json(&sample_table, &s, &out);
		assert_int_equal(out.failed, fault_hit());
	}
	/* An unknown key's message still comes, if without the list. */
	fault_alloc_after(1);
	assert_false(fields_set(&sample_table, &s, "foo", "1", &err));
	fault_stop();
	assert_contains(err.msg, "unknown option 'foo' for sample");
	fields_fini(&sample_table, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample_valid),
		cmocka_unit_test(test_unsound_tables),
		cmocka_unit_test(test_required),
		cmocka_unit_test(test_no_fields),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_out_of_memory_printing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
