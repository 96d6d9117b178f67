// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/testing.h"

static char path[] = "/tmp/lodge-log-test-XXXXXX";

/* What was logged since the last call. */
static const char *logged(void)
{
	static char text[65536];
	int fd = open(path, O_RDWR | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	assert_int_equal(ftruncate(fd, 0), 0);
	close(fd);
	return text;
}

static int setup(void **state)
{
	struct error err = ERROR_INIT;
	int fd = mkstemp(path);

	close(fd);
	/* Twice: the second replaces the file behind the same descriptor. */
	return fd < 0 || !log_set_file("/dev/null", &err) || !log_set_file(path, &err);
}

static int teardown(void **state)
{
	return unlink(path);
}

static void test_levels(void **state)
{
	struct error err = ERROR_INIT;

	log_info("mod", "not shown");
	log_warn("mod", "shown %d", 1);
	log_err("mod", "and this");
	assert_string_equal(logged(), "lodge: mod: shown 1\nlodge: mod: and this\n");
	assert_true(log_set_level("err", &err));
	log_warn("mod", "not shown");
	assert_string_equal(logged(), "");
	assert_false(log_set_level("loud", &err));
	assert_int_equal(err.kind, ERROR_USAGE);
	assert_string_equal(err.msg, "unknown log level 'loud'; valid: err, warn, info, debug");
	assert_true(log_set_level("debug", &err));
	log_debug("mod", "x");
	assert_true(log_set_level("warn", &err));
}

static void test_time(void **state)
{
	struct error err = ERROR_INIT;
	int h, m, s, us;
	char rest[32];

	logged();
	assert_true(log_set_level("info", &err));
	log_info("mod", "hello");
	assert_true(log_set_level("warn", &err));
	assert_int_equal(
		sscanf(logged(), "lodge: %d:%d:%d.%6d %31[^\n]", &h, &m, &s, &us, rest), 5);
	assert_true(h < 24 && m < 60 && s < 60);
	assert_string_equal(rest, "mod: hello");
}

/* Text from a guest must not command the terminal, nor forge a line. */
static void test_escapes(void **state)
{
	log_warn("mod", "a\nb\x1b[2J\x7f \xc2\x9b \xc3\xa9 \t");
	assert_string_equal(
		logged(), "lodge: mod: a\\x0ab\\x1b[2J\\x7f \\xc2\x9b \xc3\xa9 \\x09\n");
}

static void test_long_line(void **state)
{
	char big[3000];
	const char *text;

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_warn("mod", "%s", big);
	text = logged();
	assert_true(strlen(text) <= 1024);
	assert_string_equal(text + strlen(text) - 5, "x...\n");
	memset(big, '\n', sizeof(big) - 1);
	log_warn("mod", "%s", big);
	text = logged();
	assert_true(strlen(text) <= 1024);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	log_write(LOG_WARN, big, "a very long module name is no trouble");
	assert_true(strlen(logged()) <= 1024);
}

static void test_errno_kept(void **state)
{
	errno = EXDEV;
	log_warn("mod", "x");
	assert_int_equal(errno, EXDEV);
	logged();
}

static void test_bad_file(void **state)
{
	struct error err = ERROR_INIT;

	assert_false(log_set_file("/nowhere/x", &err));
	assert_string_equal(
		err.msg, "cannot open log file '/nowhere/x': No such file or directory");
}

/* Five at once, then one in ten seconds, each saying how many were lost. */
static void test_ratelimit(void **state)
{
	struct log_ratelimit rl = { 0 };
	int64_t t = 1000 * NS_PER_SEC;
	uint32_t dropped = 77;

	for (int i = 0; i < 5; i++) {
		assert_true(log_ratelimit_pass_at(&rl, t, &dropped));
		assert_int_equal(dropped, 0);
	}
	for (int i = 0; i < 100; i++)
		assert_false(log_ratelimit_pass_at(&rl, t + i, &dropped));
	assert_false(log_ratelimit_pass_at(&rl, t + 9 * NS_PER_SEC, &dropped));
	assert_true(log_ratelimit_pass_at(&rl, t + 10 * NS_PER_SEC, &dropped));
	assert_int_equal(dropped, 101);
	assert_false(log_ratelimit_pass_at(&rl, t + 10 * NS_PER_SEC, &dropped));
	/* After a long silence the whole burst is there again. */
	t += 1000 * NS_PER_SEC;
	for (int i = 0; i < 5; i++)
		assert_true(log_ratelimit_pass_at(&rl, t, &dropped));
	assert_false(log_ratelimit_pass_at(&rl, t, &dropped));
}

static void test_guest(void **state)
{
	const char *text;
	int lines = 0;

	for (int i = 0; i < 1000; i++)
		log_guest("mod", "guest did %d", i);
	for (text = logged(); (text = strchr(text, '\n')); text++)
		lines++;
	assert_int_equal(lines, 5);
}

static struct log_ratelimit shared_rl;
static _Atomic int passed;

static void *hammer(void *unused)
{
	uint32_t dropped;

	for (int i = 0; i < 10000; i++) {
		if (log_ratelimit_pass_at(&shared_rl, NS_PER_SEC, &dropped))
			atomic_fetch_add(&passed, 1);
		if (i % 1000 == 0)
			log_warn("mod", "line %d", i);
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, hammer, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(passed, 5);
	assert_int_equal(shared_rl.dropped + passed, 40000);
	logged();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_errno_kept),
		cmocka_unit_test(test_bad_file),
		cmocka_unit_test(test_ratelimit),
		cmocka_unit_test(test_guest),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
