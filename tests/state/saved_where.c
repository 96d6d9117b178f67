// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * saved_where - where saved VMs go, and come from: files, FIFOs, sockets; full disks, peers who refuse or do
 * not come, and a save or load that is cancelled.
 *
 * usage: saved_where [SEED]
 */
#include "tests/state/saved_vm.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int files_in_dir(void)
{
	glob_t g = { 0 };
	char pattern[128];
	int n;

	snprintf(pattern, sizeof(pattern), "%s/*", dir);
	n = glob(pattern, 0, NULL, &g) ? 0 : (int)g.gl_pathc;
	globfree(&g);
	return n;
}

/* The disk is full: the old file is there as it was, no other, and the machine runs on. */
static void test_full_disk(void **state)
{
	struct rlimit was, small;
	struct error err = ERROR_INIT;
	AUTO(str) old = STR_INIT;
	AUTO(str) now = STR_INIT;
	uint64_t rnd = seed;
	struct vm vm;
	int files;

	make_stream(&old, MIGRATE_PLAIN);
	files = files_in_dir();
	vm_make(&vm, &usual);
	vm_use(&vm, &rnd);
	assert_true(machine_resume(vm.m, &err));
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	small = (struct rlimit){ 100000, was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_false(vm_save(&vm, path_of("stream"), &err));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_non_null(strstr(err.msg, strerror(EFBIG)));
	assert_int_equal(vm.m->state, RUN_RUNNING);
	assert_int_equal(files_in_dir(), files);
	read_file(path_of("stream"), &now);
	assert_true(now.len == old.len && !memcmp(now.s, old.s, old.len));
	assert_true(vm_save(&vm, path_of("stream"), &err));
	vm_free(&vm);
}

static void test_uris(void **state)
{
	static const char *const bad[] = { "", "file:", "tcp:1:2", "unix:", "fd:", "fd:x", "fd:1",
		"fd:9999", "unix:/nowhere/at/all", "/nowhere/at/all", "/", "bogus", "defer" };
	struct vm vm, in;

	vm_make(&vm, &usual);
	vm_wait_incoming(&in, &usual);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error err = ERROR_INIT;

		assert_false(vm_save(&vm, bad[i], &err));
		assert_true(err.msg[0]);
		err = (struct error)ERROR_INIT;
		assert_false(vm_load(&in, bad[i], &err));
		assert_true(err.msg[0]);
	}
	vm_free(&vm);
	vm_free(&in);
}

/* Both sides in this process, over a socket. */
static void test_socket(void **state)
{
	struct error err = ERROR_INIT;
	uint64_t rnd = seed;
	char uri[160];
	struct vm a, b;

	snprintf(uri, sizeof(uri), "unix:%s", path_of("socket"));
	vm_make(&a, &usual);
	vm_use(&a, &rnd);
	vm_wait_incoming(&b, &usual);
	if (!migrate_load(b.m, uri, &err) || !vm_save(&a, uri, &err) ||
		!migrate_wait(migrate_of(b.m), &err))
		fail_msg("%s", err.msg);
	assert_int_equal(a.m->state, RUN_POSTMIGRATE);
	assert_int_equal(b.m->state, RUN_PAUSED);
	assert_memory_equal(a.ram->host, b.ram->host, usual.ram);
	assert_int_equal(access(path_of("socket"), F_OK), -1);
	vm_free(&a);
	vm_free(&b);
}

struct slow {
	int fd;
	const char *p;
	size_t len;
};

/* In pieces, and then the end. */
static void *write_slowly(void *arg)
{
	struct slow *s = arg;

	signal(SIGPIPE, SIG_IGN);
	while (s->len) {
		ssize_t n = write(s->fd, s->p, MIN(s->len, (size_t)30011));

		if (n <= 0)
			break;
		s->p += n;
		s->len -= (size_t)n;
	}
	close(s->fd);
	return NULL;
}

/* A FIFO without a writer does not hold main; what comes through it later is loaded, in pieces. */
static void test_fifo(void **state)
{
	AUTO(str) stream = STR_INIT;
	struct error err = ERROR_INIT;
	pthread_t writer;
	struct vm vm;

	make_stream(&stream, MIGRATE_PLAIN);
	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	vm_wait_incoming(&vm, &usual);
	for (int cut = 1; cut >= 0; cut--) {
		struct slow slow = { -1, stream.s, cut ? stream.len / 3 : stream.len };

		if (!migrate_load(vm.m, path_of("fifo"), &err))
			fail_msg("%s", err.msg);
		usleep(150000);
		loop_run_once(vm.m->main_loop, 0);
		assert_int_equal(migrate_get_info(migrate_of(vm.m))->status, MIGRATE_SETUP);
		slow.fd = open(path_of("fifo"), O_WRONLY | O_CLOEXEC);
		assert_true(slow.fd >= 0);
		assert_int_equal(pthread_create(&writer, NULL, write_slowly, &slow), 0);
		assert_int_equal(migrate_wait(migrate_of(vm.m), &err), !cut);
		pthread_join(writer, NULL);
	}
	vm_free(&vm);
	vm_wait_incoming(&vm, &usual);
	assert_true(migrate_load(vm.m, path_of("fifo"), &err)); /* nobody comes */
	migrate_cancel(migrate_of(vm.m));
	assert_false(migrate_wait(migrate_of(vm.m), &err));
	assert_int_equal(migrate_get_info(migrate_of(vm.m))->status, MIGRATE_CANCELLED);
	vm_free(&vm);
}

/* The other side refuses: this one goes on as if nothing had happened. */
static void test_socket_refused(void **state)
{
	struct error err = ERROR_INIT;
	struct shape s = usual;
	uint64_t rnd = seed;
	char uri[160];
	struct vm a, b;

	s.cpus = 1;
	snprintf(uri, sizeof(uri), "unix:%s", path_of("socket"));
	vm_make(&a, &usual);
	vm_use(&a, &rnd);
	assert_true(machine_resume(a.m, &err));
	vm_wait_incoming(&b, &s);
	assert_true(migrate_load(b.m, uri, &err));
	assert_false(vm_save(&a, uri, &err));
	assert_false(migrate_wait(migrate_of(b.m), &err));
	assert_int_equal(a.m->state, RUN_RUNNING);
	vm_free(&a);
	vm_free(&b);
}

/* A server that takes nobody in, and has others waiting, does not hold main. */
static void test_socket_busy(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct error err = ERROR_INIT;
	int server, waiting[8], n = 0;
	char uri[160];
	struct vm vm;

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path_of("busy"));
	snprintf(uri, sizeof(uri), "unix:%s", a.sun_path);
	server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(server, 0), 0);
	do {
		waiting[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_true(n < 8 && waiting[n] >= 0);
	} while (!connect(waiting[n++], (struct sockaddr *)&a, sizeof(a)));
	assert_int_equal(errno, EAGAIN);
	vm_make(&vm, &usual);
	assert_false(vm_save(&vm, uri, &err));
	assert_non_null(strstr(err.msg, "no more connections"));
	vm_free(&vm);
	while (n)
		close(waiting[--n]);
	close(server);
}

static void test_cancel(void **state)
{
	struct error err = ERROR_INIT;
	uint64_t rnd = seed;
	char uri[160];
	struct vm a;
	int p[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
	snprintf(uri, sizeof(uri), "fd:%d", p[0]);
	vm_make(&a, &usual);
	vm_use(&a, &rnd);
	assert_true(machine_resume(a.m, &err));
	assert_true(migrate_save(a.m, uri, &err)); /* nobody reads */
	assert_false(migrate_save(a.m, uri, &err));
	usleep(20000);
	migrate_cancel(migrate_of(a.m));
	assert_false(migrate_wait(migrate_of(a.m), &err));
	assert_int_equal(migrate_get_info(migrate_of(a.m))->status, MIGRATE_CANCELLED);
	assert_int_equal(a.m->state, RUN_RUNNING);
	close(p[1]);
	/* Freed while it waits. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
	snprintf(uri, sizeof(uri), "fd:%d", p[0]);
	assert_true(migrate_save(a.m, uri, &err));
	vm_free(&a);
	close(p[1]);
	vm_wait_incoming(&a, &usual);
	snprintf(uri, sizeof(uri), "unix:%s", path_of("nobody"));
	assert_true(migrate_load(a.m, uri, &err));
	vm_free(&a);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_uris),
		cmocka_unit_test(test_fifo),
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_socket_refused),
		cmocka_unit_test(test_socket_busy),
		cmocka_unit_test(test_cancel),
	};

	saved_begin(argc > 1 ? argv[1] : NULL);
	return saved_end(cmocka_run_group_tests(tests, NULL, NULL));
}
