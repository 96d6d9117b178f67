// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/sock_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/patience.h"
#include "base/testing.h"

static char path[64];

static int setup(void **state)
{
	strcpy(path, "/tmp/lodge-sock-XXXXXX");
	assert_non_null(mkdtemp(path));
	strcat(path, "/s");
	return 0;
}

static int teardown(void **state)
{
	unlink(path);
	*strrchr(path, '/') = 0;
	return rmdir(path);
}

static int make(struct removal **f, int type)
{
	struct error err = ERROR_INIT;
	int fd = sock_file_make(f, path, type, 1, &err);

	if (fd < 0)
		fail_msg("%s", err.msg);
	return fd;
}

static void refused(int type, const char *why)
{
	struct removal *f;
	struct error err = ERROR_INIT;

	assert_int_equal(sock_file_make(&f, path, type, 1, &err), -1);
	assert_contains(err.msg, why);
	assert_contains(err.msg, path);
	assert_null(f);
}

static void only_the_owner_may_connect(void **state)
{
	mode_t old = umask(0);
	struct removal *f;
	int fd = make(&f, SOCK_STREAM | SOCK_NONBLOCK), client;
	struct stat st;

	umask(old);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_true(removal_is_private(f));
	client = sock_connect(path, 0);
	assert_true(client >= 0);
	close(client);
	close(fd);
	removal_do(f);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(sock_connect(path, 0), -ENOENT);
}

/* Also before it listens, when its backlog is full, and for servers of other types. */
static void a_live_one_stays_and_notices_nothing(void **state)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
	struct sockaddr_un a;
	struct error err = ERROR_INIT;
	int fd;

	for (int i = 0; i < 3; i++) {
		struct removal *f;

		fd = make(&f, types[i] | SOCK_NONBLOCK);
		for (int j = 0; j < 3; j++)
			refused(types[j], "another process listens");
		if (types[i] != SOCK_DGRAM)
			assert_int_equal(accept(fd, NULL, NULL), -1);
		close(fd);
		removal_do(f);
	}
	assert_true(sock_address(&a, path, &err));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	refused(SOCK_STREAM, "another process listens");
	close(fd);
}

static void a_dead_one_is_replaced(void **state)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
	struct removal *f, *next;
	int fd;

	for (int i = 0; i < 3; i++) {
		close(make(&f, types[i])); /* as if killed: the file is left */
		fd = make(&next, SOCK_STREAM);
		assert_int_equal(access(path, F_OK), 0);
		close(fd);
		removal_do(next);
		assert_int_equal(access(path, F_OK), -1);
		removal_do(f); /* of what is not there any more */
	}
}

static void other_files_are_left_alone(void **state)
{
	struct removal *f;
	int fd = make(&f, SOCK_STREAM);

	assert_int_equal(unlink(path), 0);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	close(fd);
	removal_do(f);
	assert_int_equal(access(path, F_OK), 0);
	refused(SOCK_STREAM, "not a socket");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/nonexistent", path), 0);
	refused(SOCK_STREAM, "not a socket");
}

static void paths_are_checked(void **state)
{
	char longest[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
	struct error err = ERROR_INIT;
	struct sockaddr_un a;
	struct removal *f;

	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(sock_file_make(&f, longest, SOCK_STREAM, 1, &err), -1);
	assert_contains(err.msg, "longer than 107 bytes");
	assert_int_equal(err.kind, ERROR_USAGE);
	assert_int_equal(sock_connect(longest, 0), -ENAMETOOLONG);
	assert_false(sock_address(&a, "", &err));
	assert_contains(err.msg, "is wanted");
	longest[sizeof(longest) - 2] = 0;
	assert_true(sock_address(&a, longest, &err));
	assert_int_equal(sock_file_make(&f, "/nonexistent/x", SOCK_STREAM, 1, &err), -1);
	assert_contains(err.msg, "cannot listen on '/nonexistent/x': No such file");
	assert_int_equal(err.kind, ERROR_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_the_owner_may_connect, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_live_one_stays_and_notices_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dead_one_is_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(other_files_are_left_alone, setup, teardown),
		cmocka_unit_test(paths_are_checked),
	};

	patience_ms = 50;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
