// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/sock_file.h"
#include "control/listen.h"
#include "control/rundir.h"
#include "core/device.h"
#include "control/qmp.h"

const struct device_type *const device_type_table[] = { NULL };
const struct qmp_command *const qmp_command_table[] = { NULL };

static char top[] = "/tmp/lodge-rundir-XXXXXX";

static int set_up(void **state)
{
	assert_non_null(mkdtemp(top));
	return setenv("XDG_RUNTIME_DIR", top, 1);
}

static int tear_down(void **state)
{
	AUTO_FREE char *lodge = str_printf("%s/lodge", top);

	rmdir(lodge);
	return rmdir(top);
}

static pid_t pid_of(const char *name)
{
	struct error err = ERROR_INIT;
	AUTO(str) base = STR_INIT;

	assert_true(rundir_base(&base, &err));
	return rundir_pid(str_cstr(&base), name, NULL);
}

static void names_are_checked(void **state)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "/", "a b", "a\tb", "\x7f", "-x",
		"1234567890123456789012345678901234567890123456789012345678901234" };
	static const char *const good[] = { "a", "a.b", "lodge-1", "vm,1", "ü" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(rundir_name_possible(bad[i]));
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(rundir_name_possible(good[i]));
}

static void a_name_is_one_vms(void **state)
{
	struct error err = ERROR_INIT;
	struct rundir *a = rundir_claim("a", &err), *b;
	AUTO_FREE char *file = NULL;
	struct stat st;

	assert_non_null(a);
	assert_int_equal(pid_of("a"), getpid());
	assert_null(rundir_claim("a", &err));
	assert_non_null(strstr(err.msg, "runs already"));
	b = rundir_claim("b", &err);
	assert_non_null(b);
	file = rundir_file(a, "x");
	*strrchr(file, '/') = 0;
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	rundir_release(a);
	assert_int_equal(pid_of("a"), 0);
	assert_int_equal(stat(file, &st), -1);
	rundir_release(b);
}

static void what_the_killed_left_is_used_again(void **state)
{
	struct error err = ERROR_INIT;
	AUTO_FREE char *dir = NULL;
	AUTO(str) base = STR_INIT;
	struct rundir *r;
	int p[2], status;
	pid_t child;
	char byte;

	assert_int_equal(pipe(p), 0);
	child = fork();
	if (!child) {
		r = rundir_claim("dead", &err);
		AUTO_FREE char *path = rundir_file(r, RUNDIR_CONTROL);

		close(open(path, O_CREAT | O_WRONLY, 0600));
		(void)!write(p[1], "", 1);
		pause();
	}
	assert_int_equal(read(p[0], &byte, 1), 1);
	assert_int_equal(pid_of("dead"), child);
	assert_true(rundir_base(&base, &err));
	dir = str_printf("%s/dead", str_cstr(&base));
	rundir_clean(str_cstr(&base), "dead");
	assert_int_equal(access(dir, F_OK), 0);
	assert_null(rundir_claim("dead", &err));
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	assert_int_equal(pid_of("dead"), 0);
	rundir_clean(str_cstr(&base), "dead");
	assert_int_equal(access(dir, F_OK), -1);
	r = rundir_claim("dead", &err);
	assert_non_null(r);
	assert_int_equal(pid_of("dead"), getpid());
	rundir_clean(str_cstr(&base), "dead");
	assert_int_equal(access(dir, F_OK), 0);
	rundir_release(r);
	close(p[0]);
	close(p[1]);
}

static void foreign_directories_are_refused(void **state)
{
	AUTO_FREE char *lodge = str_printf("%s/lodge", top);
	struct error err = ERROR_INIT;
	struct rundir *r;

	rmdir(lodge);
	assert_int_equal(symlink("/tmp", lodge), 0);
	assert_null(rundir_claim("a", &err));
	unlink(lodge);
	assert_int_equal(mkdir(lodge, 0777), 0);
	assert_int_equal(chmod(lodge, 0777), 0);
	assert_null(rundir_claim("a", &err));
	assert_non_null(strstr(err.msg, "not a directory of ours alone"));
	rmdir(lodge);
	r = rundir_claim("a", &err);
	assert_non_null(r);
	rundir_release(r);
}

static void what_cannot_be_used_is_named(void **state)
{
	AUTO_FREE char *lodge = str_printf("%s/lodge", top), *dir = str_printf("%s/a", lodge),
		       *lock = str_printf("%s/lock", dir), *deep = NULL;
	struct error err = ERROR_INIT;
	struct rundir *r;
	size_t most = 107 - strlen("/lodge/a/monitor"), n = strlen(top);

	mkdir(lodge, 0700);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(mkfifo(lock, 0600), 0);
	assert_null(rundir_claim("a", &err));
	assert_non_null(strstr(err.msg, "/lock' is not a regular file"));
	unlink(lock);
	rmdir(dir);
	rmdir(lodge);
	/* As long as a socket's path can be, and a byte longer. */
	for (int more = 0; more < 2; more++) {
		free(deep);
		deep = str_printf("%s/%0*d", top, (int)(most - n - 1) + more, 0);
		assert_int_equal(mkdir(deep, 0700), 0);
		setenv("XDG_RUNTIME_DIR", deep, 1);
		r = rundir_claim("a", &err);
		assert_int_equal(!r, more);
		rundir_release(r);
		free(lodge);
		lodge = str_printf("%s/lodge", deep);
		rmdir(lodge);
		rmdir(deep);
	}
	assert_non_null(strstr(err.msg, "too long for sockets, by 1 bytes"));
	setenv("XDG_RUNTIME_DIR", top, 1);
}

static void accepted(void *opaque, int fd)
{
	close(fd);
	++*(int *)opaque;
}

static void sockets_are_replaced_when_dead(void **state)
{
	AUTO_FREE char *path = str_printf("%s/sock", top);
	struct error err = ERROR_INIT;
	AUTO_PTR(loop) l = loop_new("main", 0, &err);
	int n = 0, fd;
	struct listen_sock *s = listen_unix(l, path, accepted, &n, &err), *t;
	struct stat st;

	assert_non_null(s);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_null(listen_unix(l, path, accepted, &n, &err));
	assert_non_null(strstr(err.msg, "another process listens"));
	fd = sock_connect(path, 0);
	assert_true(fd >= 0);
	/* The attempt above was not noticed. */
	for (int i = 0; i < 10; i++)
		loop_run_once(l, 0);
	assert_int_equal(n, 1);
	close(fd);
	/* A file in its place is not ours to remove. */
	assert_int_equal(unlink(path), 0);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	listen_free(s);
	assert_int_equal(stat(path, &st), 0);
	t = listen_unix(l, path, accepted, &n, &err);
	assert_null(t);
	assert_non_null(strstr(err.msg, "not a socket"));
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_checked),
		cmocka_unit_test(a_name_is_one_vms),
		cmocka_unit_test(what_the_killed_left_is_used_again),
		cmocka_unit_test(foreign_directories_are_refused),
		cmocka_unit_test(what_cannot_be_used_is_named),
		cmocka_unit_test(sockets_are_replaced_when_dead),
	};

	thread_enter(ROLE_MAIN, "test");
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
