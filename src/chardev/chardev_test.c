// SPDX-License-Identifier: GPL-2.0-or-later
/* Byte streams over real ptys, sockets, pipes and files, on both back ends of the loop. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/patience.h"
#include "base/testing.h"
#include "chardev/chardev_int.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__clang__)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

/* A front end that records. */
struct front {
	struct chardev *c;
	struct loop *l;
	char in[65536];
	size_t n;
	int opens, closes, writables;
	size_t room_after; /* told again in receive() */
};

static void on_receive(void *opaque, const uint8_t *p, size_t n)
{
	struct front *f = opaque;

	assert_true(f->n + n < sizeof(f->in));
	memcpy(f->in + f->n, p, n);
	f->n += n;
	f->in[f->n] = 0;
	if (f->room_after)
		chardev_set_room(f->c, f->room_after);
}

static void on_opened(void *opaque, bool open)
{
	struct front *f = opaque;

	if (open)
		f->opens++;
	else
		f->closes++;
}

static void on_writable(void *opaque)
{
	((struct front *)opaque)->writables++;
}

static unsigned int loop_flags;

static struct front *front_new(const char *spec)
{
	struct front *f = calloc(1, sizeof(*f));
	struct error err = ERROR_INIT;
	struct chardev_front cf = { on_receive, on_opened, on_writable, f };

	f->l = loop_new("test", loop_flags, &err);
	assert_non_null(f->l);
	f->c = chardev_open(spec, "c0", f->l, &err);
	if (!f->c)
		fail_msg("%s", err.msg);
	chardev_set_front(f->c, &cf);
	return f;
}

static void front_free(struct front *f)
{
	chardev_set_front(f->c, NULL);
	chardev_close(f->c);
	loop_free(f->l);
	free(f);
}

/* Run the loop until @cond holds; fails after 5 s. */
#define run_until(f, cond)                                        \
	do {                                                      \
		int64_t end_ = clock_mono_ns() + 5 * NS_PER_SEC;  \
		while (!(cond)) {                                 \
			loop_run_once((f)->l, 20);                \
			if (clock_mono_ns() > end_)               \
				fail_msg("timed out: %s", #cond); \
		}                                                 \
	} while (0)

static void run_ms(struct front *f, int ms)
{
	int64_t end = clock_mono_ns() + ms * NS_PER_MS;

	while (clock_mono_ns() < end)
		loop_run_once(f->l, 1);
}

static size_t put(struct front *f, const char *s)
{
	return chardev_write(f->c, (const uint8_t *)s, strlen(s));
}

/* Does the loop sleep? Counts its turns in 50 ms. */
static void assert_idle_at(struct front *f, int line)
{
	int turns = 0;
	int64_t end;

	run_ms(f, 20);
	end = clock_mono_ns() + 50 * NS_PER_MS;
	while (clock_mono_ns() < end) {
		loop_run_once(f->l, 60);
		turns++;
	}
	if (turns > 2)
		fail_msg("line %d: %d turns of the loop in 50 ms", line, turns);
}
#define assert_idle(f) assert_idle_at(f, __LINE__)

static void read_all(int fd, char *buf, size_t want)
{
	size_t n = 0;

	while (n < want) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t r;

		assert_int_equal(poll(&p, 1, 5000), 1);
		r = read(fd, buf + n, want - n);
		assert_true(r > 0);
		n += (size_t)r;
	}
	buf[n] = 0;
}

/* -------- null, file -------- */

static void test_null(void **state)
{
	struct front *f = front_new("null");
	uint16_t cols = 1, rows = 1;

	assert_int_equal(put(f, "gone"), 4);
	assert_true(chardev_is_open(f->c));
	assert_true(chardev_has_front(f->c));
	assert_false(chardev_size(f->c, &cols, &rows));
	assert_int_equal(cols + rows, 0);
	assert_string_equal(chardev_id(f->c), "c0");
	chardev_set_room(f->c, 100);
	assert_idle(f);
	front_free(f);
}

static void test_file(void **state)
{
	char path[] = "./chardev-test-XXXXXX", spec[64], buf[64];
	int fd = mkstemp(path);
	struct front *f;

	assert_int_equal(write(fd, "old contents", 12), 12);
	snprintf(spec, sizeof(spec), "file:%s", path);
	f = front_new(spec);
	assert_string_equal(chardev_filename(f->c), spec);
	assert_int_equal(put(f, "one "), 4);
	assert_int_equal(put(f, "two"), 3);
	front_free(f);
	assert_int_equal(pread(fd, buf, sizeof(buf), 0), 7);
	assert_memory_equal(buf, "one two", 7);
	close(fd);
	unlink(path);
	/* A full disk takes all and keeps nothing. */
	f = front_new("file:/dev/full");
	assert_int_equal(put(f, "lost"), 4);
	assert_int_equal(put(f, "lost"), 4);
	front_free(f);
}

static void expect_error(const char *spec, const char *part)
{
	struct error err = ERROR_INIT;
	struct loop *l = loop_new("test", loop_flags, &err);

	assert_null(chardev_open(spec, "c0", l, &err));
	assert_contains(err.msg, part);
	assert_contains(err.msg, "chardev 'c0': ");
	loop_free(l);
}

static void test_bad_specs(void **state)
{
	char longpath[300] = "unix:/";

	expect_error("", "unknown kind ''");
	expect_error("nothing:x", "use stdio, null, pty");
	expect_error("stdi", "unknown kind");
	expect_error("null:x", "no argument");
	expect_error("pty:x", "no argument");
	expect_error("file:", "file needs a path");
	expect_error("file", "file needs a path");
	expect_error("file:/nonexistent/x", "cannot write to '/nonexistent/x': No such file");
	expect_error("unix:", "unix needs a path");
	expect_error("unix:/nonexistent/x", "cannot connect");
	expect_error("unix:/nonexistent/x,server", "cannot listen");
	expect_error("unix:/tmp/x,sever", "unknown option 'sever'");
	memset(longpath + 6, 'a', sizeof(longpath) - 7);
	expect_error(longpath, "longer than");
	expect_error("unix:/dev/null,server", "not a socket");
}

/* -------- pty -------- */

static void test_pty(void **state)
{
	struct front *f = front_new("pty");
	const char *name = chardev_filename(f->c) + 4;
	char buf[64];
	int fd;

	assert_int_equal(strncmp(chardev_filename(f->c), "pty:/dev/pts/", 13), 0);
	assert_false(chardev_is_open(f->c));
	assert_int_equal(put(f, "nobody hears"), 12);
	chardev_set_room(f->c, 3);
	assert_idle(f);
	for (int round = 0; round < 3; round++) {
		fd = open(name, O_RDWR | O_NOCTTY);
		assert_true(fd >= 0);
		run_until(f, chardev_is_open(f->c));
		assert_int_equal(put(f, "hi\n\r"), 4);
		read_all(fd, buf, 4);
		assert_string_equal(buf, "hi\n\r");
		/* Input stops at the room told. */
		chardev_set_room(f->c, 3);
		assert_int_equal(write(fd, "a\003c\rdef", 7), 7);
		run_until(f, f->n == 3);
		assert_idle(f);
		assert_int_equal(f->n, 3);
		chardev_set_room(f->c, 100);
		run_until(f, f->n == 7);
		assert_string_equal(f->in, "a\003c\rdef");
		close(fd);
		run_until(f, !chardev_is_open(f->c));
		assert_idle(f);
		f->n = 0;
	}
	assert_int_equal(f->opens, 3);
	assert_int_equal(f->closes, 3);
	front_free(f);
}

/* -------- unix -------- */

static int dial(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

static void sock_path(char *path)
{
	int fd = mkstemp(strcpy(path, "/tmp/lodge-chr-XXXXXX"));

	close(fd);
	unlink(path);
}

/* A server with a client, connected. */
static struct front *served(int *client)
{
	char path[64], spec[80];
	struct front *f;

	sock_path(path);
	snprintf(spec, sizeof(spec), "unix:%s,server", path);
	f = front_new(spec);
	*client = dial(path);
	run_until(f, chardev_is_open(f->c));
	return f;
}

static void test_unix_server(void **state)
{
	char path[64], spec[80], buf[64];
	struct front *f;
	struct stat st;
	int a, b;

	sock_path(path);
	snprintf(spec, sizeof(spec), "unix:%s,server", path);
	umask(0);
	f = front_new(spec);
	umask(022);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(put(f, "dropped"), 7);
	chardev_set_room(f->c, 1000);
	for (int round = 0; round < 2; round++) {
		f->n = 0;
		a = dial(path);
		assert_true(a >= 0);
		b = dial(path); /* waits for its turn */
		assert_true(b >= 0);
		assert_int_equal(write(b, "second", 6), 6);
		run_until(f, chardev_is_open(f->c));
		assert_int_equal(put(f, "hello"), 5);
		read_all(a, buf, 5);
		assert_string_equal(buf, "hello");
		assert_int_equal(write(a, "first", 5), 5);
		run_until(f, f->n == 5);
		assert_idle(f);
		assert_string_equal(f->in, "first");
		close(a);
		f->n = 0;
		chardev_set_room(f->c, 1000);
		run_until(f, f->n == 6);
		assert_string_equal(f->in, "second");
		close(b);
		run_until(f, !chardev_is_open(f->c));
		assert_idle(f);
	}
	assert_int_equal(f->opens, 4);
	assert_int_equal(f->closes, 4);
	/* In use: not taken away. */
	expect_error(spec, "another process listens");
	front_free(f);
	assert_true(stat(path, &st) < 0); /* removed */
}

/* A client is put out, and the next one comes in. */
static void test_unix_break(void **state)
{
	char path[64], spec[80], buf[64];
	struct front *f;
	int a, b;

	sock_path(path);
	snprintf(spec, sizeof(spec), "unix:%s,server", path);
	f = front_new(spec);
	assert_true(chardev_is_socket(f->c));
	chardev_break(f->c); /* there is none */
	a = dial(path);
	b = dial(path);
	run_until(f, chardev_is_open(f->c));
	chardev_break(f->c);
	run_until(f, f->opens == 2);
	assert_int_equal(read(a, buf, sizeof(buf)), 0);
	assert_int_equal(put(f, "hello"), 5);
	read_all(b, buf, 5);
	close(a);
	close(b);
	front_free(f);
	f = front_new("null");
	assert_false(chardev_is_socket(f->c));
	chardev_break(f->c);
	front_free(f);
}

/* Half-closed (`printf x | nc -U`): output still goes. With a hang-up and no room: no busy loop, and
 * what was sent is still received. */
static void test_unix_ends(void **state)
{
	char path[64], spec[80], buf[64];
	struct front *f;
	int a;

	sock_path(path);
	snprintf(spec, sizeof(spec), "unix:%s,server", path);
	f = front_new(spec);
	chardev_set_room(f->c, 100);
	a = dial(path);
	assert_int_equal(write(a, "cmd", 3), 3);
	shutdown(a, SHUT_WR);
	run_until(f, f->n == 3);
	assert_idle(f);
	assert_true(chardev_is_open(f->c));
	assert_int_equal(put(f, "answer"), 6);
	read_all(a, buf, 6);
	close(a);
	run_until(f, !chardev_is_open(f->c));

	f->n = 0;
	chardev_set_room(f->c, 0);
	a = dial(path);
	assert_int_equal(write(a, "bye", 3), 3);
	close(a);
	run_until(f, f->opens == 2);
	assert_idle(f);
	chardev_set_room(f->c, 2);
	run_until(f, f->n == 2);
	assert_idle(f);
	chardev_set_room(f->c, 2);
	run_until(f, !chardev_is_open(f->c));
	assert_string_equal(f->in, "bye");
	/* The next one is served. */
	a = dial(path);
	run_until(f, chardev_is_open(f->c));
	close(a); /* noticed without room to read */
	run_until(f, !chardev_is_open(f->c));
	/* One that is gone and whose input nobody reads makes way for the next. */
	a = dial(path);
	run_until(f, chardev_is_open(f->c));
	assert_int_equal(write(a, "unread", 6), 6);
	close(a);
	run_ms(f, 10);
	assert_idle(f);
	a = dial(path);
	run_until(f, f->opens == 5);
	f->n = 0;
	assert_int_equal(write(a, "new", 3), 3);
	chardev_set_room(f->c, 10);
	run_until(f, f->n == 3);
	assert_string_equal(f->in, "new");
	close(a);
	front_free(f);
}

static void test_unix_stale(void **state)
{
	char path[64], spec[80];
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct front *f;

	sock_path(path);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	close(fd); /* its owner is dead, its file is left */
	snprintf(spec, sizeof(spec), "unix:%s,server=on", path);
	f = front_new(spec);
	fd = dial(path);
	assert_true(fd >= 0);
	run_until(f, chardev_is_open(f->c));
	close(fd);
	/* Somebody else's file in our place is left alone. */
	unlink(path);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	front_free(f);
	assert_int_equal(unlink(path), 0);
}

static void test_unix_client(void **state)
{
	char path[64], spec[80];
	struct front *srv, *f;

	sock_path(path);
	snprintf(spec, sizeof(spec), "unix:%s,server", path);
	srv = front_new(spec);
	snprintf(spec, sizeof(spec), "unix:%s", path);
	f = front_new(spec);
	assert_true(chardev_is_open(f->c));
	run_until(srv, chardev_is_open(srv->c));
	chardev_set_room(f->c, 10);
	assert_int_equal(put(srv, "down"), 4);
	run_until(f, f->n == 4);
	front_free(srv);
	run_until(f, !chardev_is_open(f->c));
	assert_idle(f);
	assert_int_equal(put(f, "dropped"), 7);
	front_free(f);
}

/* The connection ends before anybody has seen that it can be written: who waits for room is told. */
static void test_hangup_full(void **state)
{
	static const uint8_t line[1000] = { 'x' };
	struct front *f;
	int a;

	f = served(&a);
	while (chardev_write(f->c, line, sizeof(line)) == sizeof(line))
		;
	f->c->kind->hangup(f->c); /* as the watch of a half-closed client does */
	run_until(f, f->writables == 1);
	close(a);
	assert_int_equal(put(f, "dropped"), 7);
	front_free(f);
}

/* A reader that doesn't read: bounded, never blocking; told when there is room again. */
static void test_backpressure(void **state)
{
	static char big[300000], back[400000];
	struct front *f;
	size_t n;
	int a;

	f = served(&a);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + i / 256);
	n = 0;
	for (;;) {
		size_t w = chardev_write(f->c, (uint8_t *)big + n, MIN(1000, sizeof(big) - n));

		n += w;
		if (w < 1000)
			break;
	}
	assert_true(n >= CHARDEV_OUT_MAX && n < sizeof(big));
	assert_idle(f);
	assert_int_equal(f->writables, 0);
	read_all(a, back, n - CHARDEV_OUT_MAX);
	for (size_t got = n - CHARDEV_OUT_MAX; got < n;) {
		size_t step = MIN(4000, n - got);

		run_ms(f, 2);
		read_all(a, back + got, step);
		got += step;
	}
	assert_memory_equal(back, big, n);
	assert_int_equal(f->writables, 1);
	assert_idle(f);
	/* Full again, then the reader leaves: output is dropped, not kept. */
	while (chardev_write(f->c, (uint8_t *)big, 1000) == 1000)
		;
	close(a);
	run_until(f, !chardev_is_open(f->c));
	assert_int_equal(put(f, "x"), 1);
	front_free(f);
}

static void test_close_bounded(void **state)
{
	static char big[300000];
	struct front *f;
	int64_t start;
	int a;

	f = served(&a);
	chardev_write(f->c, (uint8_t *)big, sizeof(big));
	start = clock_mono_ns();
	front_free(f);
	start = clock_mono_ns() - start;
	assert_true(start > 900 * NS_PER_MS && start < 3 * NS_PER_SEC);
	close(a);
}

/* Writers on another thread while the loop flushes: nothing lost, nothing twice. */
static void *writer(void *opaque)
{
	struct front *f = opaque;

	for (uint32_t i = 0; i < 20000; i++) {
		uint8_t b = (uint8_t)(i * 31 >> 3);

		while (!chardev_write(f->c, &b, 1))
			usleep(100);
	}
	return NULL;
}

static void test_threads(void **state)
{
	char path[64], spec[80];
	uint8_t buf[1000];
	uint32_t n = 0;
	struct front *f;
	pthread_t t;
	int a;

	sock_path(path);
	snprintf(spec, sizeof(spec), "unix:%s,server", path);
	f = front_new(spec);
	a = dial(path);
	fcntl(a, F_SETFL, O_NONBLOCK);
	run_until(f, chardev_is_open(f->c));
	pthread_create(&t, NULL, writer, f);
	while (n < 20000) {
		ssize_t r;

		loop_run_once(f->l, 0);
		r = read(a, buf, 1 + n % 777);
		for (ssize_t i = 0; i < r; i++, n++)
			assert_int_equal(buf[i], (uint8_t)(n * 31 >> 3));
	}
	pthread_join(t, NULL);
	close(a);
	front_free(f);
}

/* -------- stdio, in a child with descriptors of ours -------- */

static pid_t child(int in, int out, void (*run)(void))
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid)
		return pid;
	if (in >= 0)
		dup2(in, 0);
	else
		close(0);
	if (out >= 0)
		dup2(out, 1);
	else
		close(1);
	/* cmocka's handlers and its way of going on after a failure are the parent's. */
	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL);
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	alarm(10);
	run();
	_exit(0);
}

static int reap(pid_t pid)
{
	int st;

	assert_int_equal(waitpid(pid, &st, 0), pid);
	return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
}

static int escapes;

static void on_escape(void *opaque)
{
	escapes++;
}

/* Echoes what it gets until `q`. */
static void run_echo(void)
{
	struct front *f = front_new("stdio");
	size_t sent = 0;

	f->room_after = 16;
	chardev_stdio_set_escape(on_escape, NULL);
	chardev_set_room(f->c, 16);
	put(f, "ready\n");
	while (!memchr(f->in, 'q', f->n)) {
		loop_run_once(f->l, 1000);
		sent += chardev_write(f->c, (uint8_t *)f->in + sent, f->n - sent);
	}
	front_free(f);
	_exit(escapes ? 40 + escapes : 0);
}

static void make_pty(int *master, int *slave)
{
	char name[64];

	*master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	grantpt(*master);
	unlockpt(*master);
	assert_int_equal(ptsname_r(*master, name, sizeof(name)), 0);
	*slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*slave >= 0);
}

static void test_stdio_tty(void **state)
{
	struct termios before, during, after;
	int master, slave, flags;
	char buf[256];
	pid_t pid;

	make_pty(&master, &slave);
	tcgetattr(slave, &before);
	flags = fcntl(slave, F_GETFL);
	pid = child(slave, slave, run_echo);
	read_all(master, buf, 7);
	assert_string_equal(buf, "ready\r\n");
	tcgetattr(slave, &during);
	assert_false(during.c_lflag & (ICANON | ECHO | ISIG));
	/* The open file that we share with the child has not become non-blocking. */
	assert_int_equal(fcntl(slave, F_GETFL), flags);
	assert_int_equal(write(master, "a\003\035b", 4), 4); /* Ctrl-C passes, Ctrl-] does not */
	read_all(master, buf, 3);
	assert_string_equal(buf, "a\003b");
	assert_int_equal(write(master, "q", 1), 1);
	assert_int_equal(reap(pid), 41);
	tcgetattr(slave, &after);
	assert_int_equal(before.c_lflag, after.c_lflag);
	assert_int_equal(before.c_iflag, after.c_iflag);
	assert_int_equal(fcntl(slave, F_GETFL), flags);
	close(master);
	close(slave);
}

static void run_crash(void)
{
	struct front *f = front_new("stdio");

	put(f, "up");
	raise(SIGSEGV);
}

static void run_abort(void)
{
	front_new("stdio");
	signal(SIGCHLD, SIG_DFL);
	abort();
}

static void run_term(void)
{
	front_new("stdio");
	raise(SIGTERM);
}

static void run_exit(void)
{
	front_new("stdio");
	exit(3);
}

static void test_stdio_restored(void **state)
{
	static const struct {
		void (*run)(void);
		int status;
	} ends[] = { { run_crash, 128 + SIGSEGV }, { run_abort, 128 + SIGABRT },
		{ run_term, 128 + SIGTERM }, { run_exit, 3 } };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct termios before, after;
		int master, slave, status;

		make_pty(&master, &slave);
		tcgetattr(slave, &before);
		status = reap(child(slave, slave, ends[i].run));
#ifndef SANITIZED
		/* A sanitizer has its own handler and status for crashes. */
		assert_int_equal(status, ends[i].status);
		tcgetattr(slave, &after);
		assert_int_equal(before.c_lflag, after.c_lflag);
		assert_int_equal(before.c_iflag, after.c_iflag);
#else
		(void)status;
		(void)after;
		(void)before;
#endif
		close(master);
		close(slave);
	}
}

static void test_stdio_pipes(void **state)
{
	int in[2], out[2];
	char buf[64];
	pid_t pid;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = child(in[0], out[1], run_echo);
	read_all(out[0], buf, 6);
	assert_int_equal(write(in[1], "x\035q", 3), 3); /* no terminal: no escape */
	read_all(out[0], buf, 3);
	assert_string_equal(buf, "x\035q");
	assert_int_equal(reap(pid), 0);
	assert_false(fcntl(out[1], F_GETFL) & O_NONBLOCK);
	assert_false(fcntl(in[0], F_GETFL) & O_NONBLOCK);
	close(in[0]);
	close(in[1]);
	close(out[0]);
	close(out[1]);
}

/* Input from a file, which cannot be polled by epoll; then it is at its end and the loop sleeps. */
static void run_file_in(void)
{
	struct front *f = front_new("stdio");

	f->room_after = 7;
	chardev_set_room(f->c, 7);
	run_until(f, f->n == 10000);
	assert_idle(f);
	put(f, "done");
	front_free(f);
}

static void test_stdio_file(void **state)
{
	char path[] = "./chardev-test-XXXXXX", buf[10000];
	int fd = mkstemp(path), out = open("/dev/null", O_WRONLY);

	memset(buf, 'z', sizeof(buf));
	assert_int_equal(write(fd, buf, sizeof(buf)), sizeof(buf));
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(reap(child(fd, out, run_file_in)), 0);
	close(fd);
	/* Output to a file goes on where it stood and shares its position. */
	fd = open(path, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "before ", 7), 7);
	lseek(fd, 0, SEEK_CUR);
	close(out);
	out = open("/dev/null", O_RDONLY);
	assert_int_equal(reap(child(out, fd, run_term)), 128 + SIGTERM);
	close(out);
	close(fd);
	unlink(path);
}

/* Standard output closed, or its reader gone, or full: no hang, no death by SIGPIPE. */
static void run_output(void)
{
	static char big[200000];
	struct front *f = front_new("stdio");
	int64_t start = clock_mono_ns();

	for (int i = 0; i < 10; i++) {
		chardev_write(f->c, (uint8_t *)big, sizeof(big));
		loop_run_once(f->l, 0);
	}
	assert_idle(f);
	front_free(f);
	_exit(clock_mono_ns() - start < 3 * NS_PER_SEC ? 0 : 1);
}

static void test_stdio_output_lost(void **state)
{
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC), p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(reap(child(in, p[1], run_output)), 0); /* full */
	assert_false(fcntl(p[1], F_GETFL) & O_NONBLOCK);
	close(p[0]);
	assert_int_equal(reap(child(in, p[1], run_output)), 0); /* nobody reads */
	close(p[1]);
	assert_int_equal(reap(child(in, -1, run_output)), 0); /* closed */
	assert_int_equal(reap(child(-1, -1, run_output)), 0);
	close(in);
}

static void run_two(void)
{
	struct front *f = front_new("stdio");
	struct error err = ERROR_INIT;

	if (chardev_open("stdio", "c1", f->l, &err) || !strstr(err.msg, "already used by 'c0'"))
		_exit(1);
	front_free(f);
}

static void test_stdio_once(void **state)
{
	int in = open("/dev/null", O_RDWR);

	assert_int_equal(reap(child(in, in, run_two)), 0);
	close(in);
}

static int set_uring(void **state)
{
	loop_flags = LOOP_URING;
	return 0;
}

static int set_epoll(void **state)
{
	loop_flags = LOOP_NO_URING;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_bad_specs),
		cmocka_unit_test(test_pty),
		cmocka_unit_test(test_hangup_full),
		cmocka_unit_test(test_unix_server),
		cmocka_unit_test(test_unix_break),
		cmocka_unit_test(test_unix_ends),
		cmocka_unit_test(test_unix_stale),
		cmocka_unit_test(test_unix_client),
		cmocka_unit_test(test_backpressure),
		cmocka_unit_test(test_close_bounded),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_stdio_tty),
		cmocka_unit_test(test_stdio_restored),
		cmocka_unit_test(test_stdio_pipes),
		cmocka_unit_test(test_stdio_file),
		cmocka_unit_test(test_stdio_output_lost),
		cmocka_unit_test(test_stdio_once),
	};

	patience_ms = 50;
	return cmocka_run_group_tests_name("epoll", tests, set_epoll, NULL) ||
	       cmocka_run_group_tests_name("io_uring", tests, set_uring, NULL);
}
