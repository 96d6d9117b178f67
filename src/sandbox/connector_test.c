// SPDX-License-Identifier: GPL-2.0-or-later
#include "sandbox/connector.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/testing.h"
#include "base/types.h"
#include "sandbox/helper.h"

static char folder[] = "/tmp/lodge-connector-XXXXXX";

static struct sockaddr_un unix_address(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", folder);
	return a;
}

static int listener(const struct sockaddr *a, socklen_t len)
{
	int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, a, len), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

/* Ask and wait for the answer. */
static int get(struct connector *c)
{
	struct pollfd p = { connector_fd(c), POLLIN, 0 };

	assert_int_equal(connector_ask(c), 0);
	assert_int_equal(connector_ask(c), 0); /* the same question */
	assert_int_equal(poll(&p, 1, 10000), 1);
	return connector_take(c);
}

static void check_connection(struct connector *c, int listening)
{
	int a = get(c), b;
	char byte = 0;

	assert_true(a >= 0);
	assert_true(fcntl(a, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(a, F_GETFD) & FD_CLOEXEC);
	b = accept(listening, NULL, NULL);
	assert_true(b >= 0);
	assert_int_equal(write(b, "x", 1), 1);
	close(b);
	assert_int_equal(read(a, &byte, 1), 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(read(a, &byte, 1), 0); /* nobody else has it open */
	close(a);
	assert_int_equal(connector_take(c), -EAGAIN);
}

static void connects_again(void **state)
{
	struct sockaddr_un a = unix_address();
	struct error err = ERROR_INIT;
	struct connector *c = connector_new((struct sockaddr *)&a, sizeof(a), &err);

	assert_non_null(c);
	assert_int_equal(get(c), -ENOENT);
	for (int i = 0; i < 2; i++) {
		int fd = listener((struct sockaddr *)&a, sizeof(a));

		check_connection(c, fd);
		check_connection(c, fd);
		close(fd);
		assert_int_equal(get(c), -ECONNREFUSED);
		unlink(a.sun_path);
	}
	connector_free(c);
	assert_int_equal(waitpid(-1, NULL, 0), -1); /* no child is left */
}

static void connects_by_tcp(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = listener((struct sockaddr *)&a, sizeof(a));
	socklen_t len = sizeof(a);
	struct error err = ERROR_INIT;
	struct connector *c;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	c = connector_new((struct sockaddr *)&a, sizeof(a), &err);
	assert_non_null(c);
	check_connection(c, fd);
	check_connection(c, fd);
	close(fd);
	assert_int_equal(get(c), -ECONNREFUSED);
	connector_free(c);
}

static pid_t only_child(void)
{
	char path[64], text[64] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	return (pid_t)atoi(text);
}

/* It has a filter, no rights, and one descriptor; and when it is killed that is told. */
static void is_confined(void **state)
{
	struct sockaddr_un a = unix_address();
	struct error err = ERROR_INIT;
	struct connector *c = connector_new((struct sockaddr *)&a, sizeof(a), &err);
	char path[64], text[4096] = "";
	pid_t pid = only_child();
	FILE *f;

	assert_non_null(c);
	if (!pid)
		skip(); /* no CONFIG_PROC_CHILDREN */
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	fclose(f);
	assert_non_null(strstr(text, "Seccomp:\t2"));
	assert_non_null(strstr(text, "NoNewPrivs:\t1"));
	assert_non_null(strstr(text, "CapPrm:\t0000000000000000"));
	if (!geteuid()) {
		DIR *d;
		int n = 0;

		snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
		d = opendir(path);
		assert_non_null(d);
		while (readdir(d))
			n++;
		closedir(d);
		assert_int_equal(n, 3); /* with . and .. */
	}
	kill(pid, SIGKILL);
	while (connector_ask(c) == 0) {
		int r = connector_take(c);

		assert_true(r == -EAGAIN || r == -EPIPE);
		if (r == -EPIPE)
			break;
	}
	connector_free(c);
}

/* -------- taken over -------- */

enum { DENIED = 40, WORKED };
static uint16_t some_port;

static bool open_file(void)
{
	return open("/etc/passwd", O_RDONLY) >= 0;
}

static bool exec_program(void)
{
	char name[] = "true", *const argv[] = { name, NULL };

	execv("/bin/true", argv);
	return false;
}

static bool new_process(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0;
}

static bool kill_parent(void)
{
	return kill(getppid(), 0) == 0;
}

static bool listen_somewhere(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
}

static bool other_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(some_port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
}

static bool packet_socket(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0) >= 0 || socket(AF_NETLINK, SOCK_RAW, 0) >= 0;
}

static void check_denied(enum sandbox_helper kind, bool (*fn)(void))
{
	const struct helper_rules rules = {
		.kind = kind, .port = kind == HELPER_CONNECTOR, .descriptors = 64
	};
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		struct error err = ERROR_INIT;

		if (!sandbox_helper_confine(&rules, &err))
			syscall(SYS_exit_group, 1);
		syscall(SYS_exit_group, fn() ? WORKED : DENIED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!(WIFEXITED(status) && WEXITSTATUS(status) == DENIED) &&
		!(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS))
		fail_msg("status %#x", status);
}

static void nothing_else_works(void **state)
{
	static bool (*const tries[])(
		void) = { open_file, exec_program, new_process, kill_parent, packet_socket };
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = listener((struct sockaddr *)&a, sizeof(a));
	socklen_t len = sizeof(a);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	some_port = ntohs(a.sin_port);
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		check_denied(HELPER_CONNECTOR, tries[i]);
		check_denied(HELPER_USER_NET, tries[i]);
	}
	check_denied(HELPER_CONNECTOR, listen_somewhere);
	/* Landlock of Linux 6.7: ABI 4. */
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 4)
		check_denied(HELPER_CONNECTOR, other_port);
	close(fd);
}

static int setup(void **state)
{
	return !mkdtemp(folder);
}

static int teardown(void **state)
{
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connects_again),
		cmocka_unit_test(connects_by_tcp),
		cmocka_unit_test(is_confined),
		cmocka_unit_test(nothing_else_works),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
