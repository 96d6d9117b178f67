// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/error.h"

#include <errno.h>
#include "base/testing.h"

static char *repeat(char c, size_t n)
{
	char *s = malloc(n + 1);

	memset(s, c, n);
	s[n] = '\0';
	return s;
}

static void test_kinds(void **state)
{
	struct error err = ERROR_INIT;

	assert_false(error_set(&err, "disk '%s': %d", "data", 3));
	assert_int_equal(err.kind, ERROR_FAILED);
	assert_string_equal(err.msg, "disk 'data': 3");
	assert_false(error_usage(&err, "u"));
	assert_int_equal(err.kind, ERROR_USAGE);
	assert_false(error_not_found(&err, "n"));
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_string_equal(err.msg, "n");
}

static void test_errno(void **state)
{
	struct error err = ERROR_INIT;

	assert_false(error_set_errno(&err, ENOENT, "cannot open '%s'", "/x"));
	assert_string_equal(err.msg, "cannot open '/x': No such file or directory");
	assert_false(error_set_errno(&err, -ENOENT, "x"));
	assert_string_equal(err.msg, "x: No such file or directory");
	assert_int_equal(err.kind, ERROR_FAILED);
}

static void test_prefix(void **state)
{
	struct error err = ERROR_INIT;

	error_usage(&err, "bad value");
	assert_false(error_prefix(&err, "device '%s'", "d0"));
	assert_string_equal(err.msg, "device 'd0': bad value");
	assert_int_equal(err.kind, ERROR_USAGE);
}

/* The message itself may be an argument. */
static void test_own_message(void **state)
{
	struct error err = ERROR_INIT;

	error_set(&err, "inner");
	error_set(&err, "outer (%s)", err.msg);
	assert_string_equal(err.msg, "outer (inner)");
	error_prefix(&err, "%s", err.msg);
	assert_string_equal(err.msg, "outer (inner): outer (inner)");
}

static void assert_cut(const struct error *err)
{
	assert_int_equal(strlen(err->msg), ERROR_MSG_MAX - 1);
	assert_string_equal(err->msg + ERROR_MSG_MAX - 4, "...");
}

static void test_too_long(void **state)
{
	char *just = repeat('a', ERROR_MSG_MAX - 1), *big = repeat('b', 2000);
	struct error err = ERROR_INIT;

	error_set(&err, "%s", just);
	assert_string_equal(err.msg, just);
	error_set(&err, "%s", big);
	assert_cut(&err);
	error_set(&err, "%s", just);
	error_prefix(&err, "p");
	assert_cut(&err);
	assert_memory_equal(err.msg, "p: aaa", 6);
	error_prefix(&err, "%s", big);
	assert_cut(&err);
	/* The reason stays whole: it says more than the end of a long path. */
	error_set_errno(&err, ENOENT, "cannot open '%s'", big);
	assert_int_equal(strlen(err.msg), ERROR_MSG_MAX - 1);
	assert_contains(err.msg, "bbb...: No such file or directory");
	free(just);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_own_message),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
