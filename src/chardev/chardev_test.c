// SPDX-License-Identifier: GPL-2.0-or-later
/* Byte streams over real ptys, sockets, pipes and files, on both back ends of the loop. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/field.h"
#include "base/patience.h"
#include "base/sock_inet.h"
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
	expect_error("unix:", "a path, unix:PATH[,server], is wanted");
	expect_error("unix", "a path, unix:PATH[,server], is wanted");
	expect_error("unix:/nonexistent/x", "cannot connect");
	expect_error("unix:/nonexistent/x,server", "cannot listen");
	expect_error("unix:/tmp/x,sever", "'sever'");
	expect_error("unix:/tmp/x,nodelay", "'nodelay'");
	expect_error("unix:/tmp/x,server,wait", "nothing waits for a client");
	expect_error("tcp:", "an address, tcp:ADDR:PORT[,server], is wanted");
	expect_error("tcp:4444", "bad address '4444'");
	expect_error("tcp:127.0.0.1:0", "bad address '127.0.0.1:0'");
	expect_error("tcp:127.0.0.1:65536,server", "bad address '127.0.0.1:65536'");
	expect_error("tcp:example.org:80", "names are not looked up");
	expect_error("tcp:127.0.0.1:1,reconnect=1", "'reconnect'");
	expect_error("tcp:127.0.0.1:1,server,wait=on", "nothing waits for a client");
	expect_error("tcp:127.0.0.1:10,server,to=9", "to=9 is below the port");
	expect_error("tcp:127.0.0.1:10,to=11", "a server's ports are meant");
	expect_error("tcp:127.0.0.1:1,ipv4=off", "the address is of IPv4, and ipv4=off");
	expect_error("tcp:[::1]:1,ipv6=off", "the address is of IPv6, and ipv6=off");
	expect_error("tcp:192.0.2.7:4444,server", "(the address is not one of this host's)");
	expect_error("udp:", "an address, udp:[ADDR]:PORT[@[ADDR]:PORT], is wanted");
	expect_error("udp:@:1", "an address, udp:[ADDR]:PORT[@[ADDR]:PORT], is wanted");
	expect_error("udp::0", "bad address ':0'");
	expect_error("udp::1@", "bad address ''");
	expect_error("udp::1@:65536", "bad address '0.0.0.0:65536'");
	expect_error("udp:127.0.0.1:1@[::1]:1", "both must be of IPv4, or both of IPv6");
	expect_error("udp::1,server", "bad address");
	expect_error("fd:x", "'x' is no descriptor's number");
	expect_error("fd:99999999999", "is no descriptor's number");
	expect_error("fd:", "a descriptor's number, fd:N[,server], is wanted");
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

/* -------- stream sockets: all that follows with a path and with an address -------- */

/* Where the server of @f is, from its file name. */
static socklen_t place_of(const struct front *f, struct sockaddr_storage *a)
{
	const char *name = chardev_filename(f->c), *rest;
	struct sockaddr_un *un = (struct sockaddr_un *)a;
	struct error err = ERROR_INIT;
	struct sock_inet inet;
	char text[200];

	str_has_prefix(name, "disconnected:", &name);
	memset(a, 0, sizeof(*a));
	if (str_has_prefix(name, "tcp:", &rest)) {
		snprintf(text, sizeof(text), "%.*s", (int)strcspn(rest, ","), rest);
		assert_true(sock_inet_parse(&inet, text, 1, &err));
		*a = inet.a;
		return inet.len;
	}
	assert_true(str_has_prefix(name, "unix:", &rest));
	un->sun_family = AF_UNIX;
	snprintf(un->sun_path, sizeof(un->sun_path), "%.*s", (int)strcspn(rest, ","), rest);
	return sizeof(*un);
}

static int dial(const struct front *f)
{
	struct sockaddr_storage a;
	socklen_t len = place_of(f, &a);
	int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&a, len) < 0)
		fail_msg("connect: %s", strerror(errno));
	return fd;
}

static void sock_path(char *path)
{
	int fd = mkstemp(strcpy(path, "/tmp/lodge-chr-XXXXXX"));

	close(fd);
	unlink(path);
}

static bool is_tcp(void **state)
{
	return !strcmp(*state, "tcp");
}

static struct front *serve(void **state)
{
	char path[64], spec[80];

	if (is_tcp(state))
		return front_new("tcp:127.0.0.1:0,server");
	sock_path(path);
	snprintf(spec, sizeof(spec), "unix:%s,server", path);
	return front_new(spec);
}

/* A server with a client, connected. */
static struct front *served(void **state, int *client)
{
	struct front *f = serve(state);

	*client = dial(f);
	run_until(f, chardev_is_open(f->c));
	return f;
}

/* The client has closed its socket: TCP tells that when something is sent. */
static bool is_gone(void **state, struct front *f)
{
	if (is_tcp(state))
		put(f, "?");
	return !chardev_is_open(f->c);
}

static void run_until_gone(void **state, struct front *f)
{
	run_until(f, is_gone(state, f));
}

static void test_server(void **state)
{
	struct front *f = serve(state);
	char spec[100], buf[64];
	int a, b;

	assert_int_equal(put(f, "dropped"), 7);
	chardev_set_room(f->c, 1000);
	for (int round = 0; round < 2; round++) {
		f->n = 0;
		a = dial(f);
		b = dial(f); /* waits for its turn */
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
		run_until_gone(state, f);
		assert_idle(f);
	}
	assert_int_equal(f->opens, 4);
	assert_int_equal(f->closes, 4);
	/* In use: not taken away. */
	snprintf(spec, sizeof(spec), "%s", chardev_filename(f->c) + strlen("disconnected:"));
	expect_error(spec, is_tcp(state) ? "(another process does: end it, or take another port): "
					   "Address already in use"
					 : "another process listens");
	front_free(f);
}

/* A client is put out, and the next one comes in. */
static void test_break(void **state)
{
	struct front *f = serve(state);
	char buf[64];
	int a, b;

	assert_true(chardev_is_socket(f->c));
	chardev_break(f->c); /* there is none */
	a = dial(f);
	b = dial(f);
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

/* Half-closed (`printf x | nc`): output still goes. With a hang-up and no room: no busy loop, and
 * what was sent is still received. */
static void test_ends(void **state)
{
	struct front *f = serve(state);
	char buf[64];
	int a;

	chardev_set_room(f->c, 100);
	a = dial(f);
	assert_int_equal(write(a, "cmd", 3), 3);
	shutdown(a, SHUT_WR);
	run_until(f, f->n == 3);
	assert_idle(f);
	assert_true(chardev_is_open(f->c));
	assert_int_equal(put(f, "answer"), 6);
	read_all(a, buf, 6);
	close(a);
	run_until_gone(state, f);

	f->n = 0;
	chardev_set_room(f->c, 0);
	a = dial(f);
	assert_int_equal(write(a, "bye", 3), 3);
	close(a);
	run_until(f, f->opens == 2);
	assert_idle(f);
	chardev_set_room(f->c, 2);
	run_until(f, f->n == 2);
	assert_idle(f);
	chardev_set_room(f->c, 2);
	run_until(f, f->n == 3);
	assert_string_equal(f->in, "bye");
	run_until_gone(state, f);
	/* The next one is served. */
	a = dial(f);
	run_until(f, f->opens == 3);
	close(a); /* noticed without room to read */
	run_until_gone(state, f);
	/* One that sends no more, and whose input nobody reads, is no trouble, and is then read. */
	chardev_set_room(f->c, 0);
	a = dial(f);
	run_until(f, f->opens == 4);
	f->n = 0;
	assert_int_equal(write(a, "end", 3), 3);
	shutdown(a, SHUT_WR);
	run_ms(f, 10);
	assert_idle(f);
	assert_int_equal(put(f, "hello"), 5);
	read_all(a, buf, 5);
	chardev_set_room(f->c, 10);
	run_until(f, f->n == 3);
	assert_idle(f);
	close(a);
	run_until_gone(state, f);
	/* One that is gone and whose input nobody reads makes way for the next. */
	chardev_set_room(f->c, 0);
	a = dial(f);
	run_until(f, chardev_is_open(f->c));
	assert_int_equal(write(a, "unread", 6), 6);
	close(a);
	run_ms(f, 10);
	assert_idle(f);
	a = dial(f);
	run_until(f, f->opens == 6);
	f->n = 0;
	assert_int_equal(write(a, "new", 3), 3);
	chardev_set_room(f->c, 10);
	run_until(f, f->n == 3);
	assert_string_equal(f->in, "new");
	close(a);
	front_free(f);
}

static void test_client(void **state)
{
	struct front *srv = serve(state), *f;
	const char *spec;
	char part[100];

	assert_true(str_has_prefix(chardev_filename(srv->c), "disconnected:", &spec));
	snprintf(part, sizeof(part), "%.*s", (int)strcspn(spec, ","), spec);
	f = front_new(part);
	assert_true(chardev_is_open(f->c));
	run_until(srv, chardev_is_open(srv->c));
	chardev_set_room(f->c, 10);
	assert_int_equal(put(srv, "down"), 4);
	run_until(f, f->n == 4);
	front_free(srv);
	run_until_gone(state, f);
	assert_idle(f);
	assert_int_equal(put(f, "dropped"), 7);
	assert_contains(chardev_filename(f->c), "disconnected:");
	assert_contains(chardev_filename(f->c), part);
	front_free(f);
	expect_error(part,
		is_tcp(state) ? "(nobody listens there): Connection refused" : "cannot connect to");
}

/* The connection ends before anybody has seen that it can be written: who waits for room is told. */
static void test_hangup_full(void **state)
{
	static const uint8_t line[1000] = { 'x' };
	struct front *f;
	int a;

	f = served(state, &a);
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
	static char big[16 << 20], back[sizeof(big) + 1];
	struct front *f;
	size_t n, got;
	int a;

	f = served(state, &a);
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
	/* The kernel of a TCP peer goes on taking a little. */
	assert_true(is_tcp(state) || f->writables == 0);
	for (got = 0; got < n;) {
		size_t step = MIN(4000, n - got);

		run_ms(f, 1);
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
	static char big[16 << 20];
	struct front *f;
	int64_t start;
	int a;

	f = served(state, &a);
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
	uint8_t buf[1000];
	uint32_t n = 0;
	struct front *f;
	pthread_t t;
	int a;

	f = served(state, &a);
	fcntl(a, F_SETFL, O_NONBLOCK);
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

/* -------- unix -------- */

static void test_unix_file(void **state)
{
	char path[64], spec[100], name[100];
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct front *f;
	struct stat st;

	sock_path(path);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	close(fd); /* its owner is dead, its file is left */
	snprintf(spec, sizeof(spec), "unix:%s,server=on,nowait", path);
	umask(0);
	f = front_new(spec);
	umask(022);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	snprintf(name, sizeof(name), "disconnected:unix:%s,server=on", path);
	assert_string_equal(chardev_filename(f->c), name);
	fd = dial(f);
	run_until(f, chardev_is_open(f->c));
	assert_string_equal(chardev_filename(f->c), name + strlen("disconnected:"));
	close(fd);
	front_free(f);
	assert_true(stat(path, &st) < 0); /* removed */
	/* Somebody else's file in our place is left alone. */
	f = front_new(spec);
	unlink(path);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	front_free(f);
	assert_int_equal(unlink(path), 0);
}

/* -------- tcp -------- */

static int port_of(int fd, int (*end)(int, struct sockaddr *, socklen_t *))
{
	struct sock_inet s = { .len = sizeof(s.a) };

	assert_int_equal(end(fd, (struct sockaddr *)&s.a, &s.len), 0);
	return sock_inet_port(&s);
}

static void test_tcp_names(void **state)
{
	struct front *f = front_new("tcp::0,server,nowait,nodelay"), *c;
	char name[100], spec[64];
	int a, port, on = 0;
	socklen_t len = sizeof(on);

	a = dial(f);
	port = port_of(a, getpeername);
	snprintf(name, sizeof(name), "disconnected:tcp:127.0.0.1:%d,server=on", port);
	assert_string_equal(chardev_filename(f->c), name);
	run_until(f, chardev_is_open(f->c));
	snprintf(name, sizeof(name), "tcp:127.0.0.1:%d,server=on <-> 127.0.0.1:%d", port,
		port_of(a, getsockname));
	assert_string_equal(chardev_filename(f->c), name);
	assert_int_equal(getsockopt(f->c->in_fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
	assert_true(on);
	close(a);
	/* A reset is an end. */
	a = dial(f);
	run_until(f, f->opens == 2);
	setsockopt(a, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
	close(a);
	run_until(f, !chardev_is_open(f->c));
	assert_idle(f);
	snprintf(spec, sizeof(spec), "tcp:localhost:%d", port);
	c = front_new(spec);
	snprintf(name, sizeof(name), "tcp:127.0.0.1:%d <-> 127.0.0.1:%d",
		port_of(c->c->in_fd, getsockname), port);
	assert_string_equal(chardev_filename(c->c), name);
	assert_int_equal(getsockopt(c->c->in_fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
	assert_false(on);
	front_free(c);
	front_free(f);
}

/* The kernel is to ask whether a silent peer that sends no more is still there. */
static void test_tcp_asks(void **state)
{
	struct front *f = front_new("tcp:127.0.0.1:0,server");
	int a = dial(f), on = 0;
	socklen_t len = sizeof(on);

	run_until(f, chardev_is_open(f->c));
	assert_int_equal(getsockopt(f->c->in_fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
	assert_false(on);
	close(a);
	run_until(f, (getsockopt(f->c->in_fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len), on));
	assert_idle(f);
	front_free(f);
}

/* The first free port of several; IPv6. */
static void test_tcp_places(void **state)
{
	struct front *f = front_new("tcp:127.0.0.1:0,server"), *g;
	struct sockaddr_storage at;
	char spec[80];
	int port, a;

	place_of(f, &at);
	port = ntohs(((struct sockaddr_in *)&at)->sin_port);
	snprintf(spec, sizeof(spec), "tcp:127.0.0.1:%d,server,to=%d", port, MIN(port + 50, 65535));
	g = front_new(spec);
	place_of(g, &at);
	assert_in_range(ntohs(((struct sockaddr_in *)&at)->sin_port), port + 1, port + 50);
	front_free(g);
	front_free(f);
	f = front_new("tcp:[::]:0,server,ipv4=off");
	snprintf(spec, sizeof(spec), "%s", chardev_filename(f->c));
	assert_contains(spec, "disconnected:tcp:[::]:");
	a = dial(f);
	run_until(f, chardev_is_open(f->c));
	assert_contains(chardev_filename(f->c), ",server=on <-> [::1]:");
	close(a);
	front_free(f);
}

/* -------- fd -------- */

static void test_fd(void **state)
{
	int pair[2], listener = socket(AF_INET, SOCK_STREAM, 0),
		     udp = socket(AF_INET, SOCK_DGRAM, 0);
	char spec[64], buf[16];
	struct front *f;
	int a;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	snprintf(spec, sizeof(spec), "fd:%d,server", pair[0]);
	expect_error(spec, "does not listen");
	snprintf(spec, sizeof(spec), "fd:%d", udp);
	expect_error(spec, "no stream socket");
	snprintf(spec, sizeof(spec), "fd:%d", pair[0]);
	f = front_new(spec);
	assert_true(chardev_is_open(f->c) && chardev_is_socket(f->c));
	assert_string_equal(chardev_filename(f->c), "unix:");
	assert_int_equal(fcntl(pair[0], F_GETFD), FD_CLOEXEC);
	chardev_set_room(f->c, 100);
	assert_int_equal(put(f, "out"), 3);
	read_all(pair[1], buf, 3);
	assert_int_equal(write(pair[1], "in", 2), 2);
	run_until(f, f->n == 2);
	close(pair[1]);
	run_until(f, !chardev_is_open(f->c));
	assert_string_equal(chardev_filename(f->c), "disconnected:unix:");
	front_free(f);
	assert_true(fcntl(pair[0], F_GETFD) < 0); /* closed with it */

	assert_int_equal(listen(listener, 1), 0); /* at some port */
	snprintf(spec, sizeof(spec), "fd:%d", listener);
	expect_error(spec, "server=on is wanted");
	assert_int_equal(fcntl(listener, F_GETFD), 0); /* still the caller's */
	strcat(spec, ",server=on");
	f = front_new(spec);
	a = dial(f);
	run_until(f, chardev_is_open(f->c));
	close(a);
	f->n = 0;
	a = dial(f);
	run_until(f, f->opens == 2);
	close(a);
	front_free(f);
	close(udp);
	expect_error("fd:9999", "descriptor 9999: Bad file descriptor");
}

/* -------- udp -------- */

/* A socket of the peer's, and the chardev that talks with it. */
static struct front *udp_pair(int *peer, const char *local)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	char spec[80];

	*peer = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*peer, (struct sockaddr *)&a, sizeof(a)), 0);
	snprintf(spec, sizeof(spec), "udp::%d%s", port_of(*peer, getsockname), local);
	return front_new(spec);
}

static void udp_answer(struct front *f, int peer)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	assert_int_equal(getsockname(f->c->in_fd, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(connect(peer, (struct sockaddr *)&a, len), 0);
}

static void test_udp(void **state)
{
	static char big[20000];
	struct front *f;
	char buf[8192];
	int peer;

	f = udp_pair(&peer, "");
	assert_string_equal(chardev_filename(f->c), "udp");
	assert_true(chardev_is_open(f->c));
	assert_false(chardev_is_socket(f->c));
	assert_int_equal(put(f, "one"), 3);
	assert_int_equal(put(f, "two!"), 4);
	assert_int_equal(recv(peer, buf, sizeof(buf), 0), 3);
	assert_int_equal(recv(peer, buf, sizeof(buf), 0), 4);
	/* What is long goes in several. */
	assert_int_equal(chardev_write(f->c, (uint8_t *)big, 10000), 10000);
	assert_int_equal(recv(peer, buf, sizeof(buf), 0), 4096);
	assert_int_equal(recv(peer, buf, sizeof(buf), 0), 4096);
	assert_int_equal(recv(peer, buf, sizeof(buf), 0), 1808);
	udp_answer(f, peer);
	/* Without room nothing is read, and the loop sleeps; an empty one is no end. */
	assert_int_equal(send(peer, "abcde", 5, 0), 5);
	assert_int_equal(send(peer, "", 0, 0), 0);
	assert_int_equal(send(peer, "fg", 2, 0), 2);
	run_ms(f, 5);
	assert_idle(f);
	assert_int_equal(f->n, 0);
	/* A datagram for which there is not room enough is not cut short. */
	for (size_t n = 2; n <= 6; n += 2) {
		chardev_set_room(f->c, MIN(2, 7 - n));
		run_until(f, f->n == MIN(n, 5));
		assert_idle(f);
	}
	assert_string_equal(f->in, "abcde");
	chardev_set_room(f->c, 1000);
	run_until(f, f->n == 7);
	assert_string_equal(f->in, "abcdefg");
	/* A long one, with all the room. */
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(1 + i % 100);
	f->n = 0;
	chardev_set_room(f->c, 60000);
	assert_int_equal(send(peer, big, sizeof(big), 0), sizeof(big));
	run_until(f, f->n == sizeof(big));
	assert_memory_equal(f->in, big, sizeof(big));
	assert_idle(f);
	close(peer);
	front_free(f);
}

/* Nobody is there: what is sent is lost, and that is all. When somebody comes he is heard. */
static void test_udp_alone(void **state)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	struct front *f;
	char buf[16];
	int peer;

	f = udp_pair(&peer, "@:0");
	assert_int_equal(getsockname(peer, (struct sockaddr *)&a, &len), 0);
	close(peer);
	for (size_t room = 0; room < 20; room += 10) {
		chardev_set_room(f->c, room);
		for (int i = 0; i < 10; i++) {
			assert_int_equal(put(f, "lost"), 4);
			run_ms(f, 2);
		}
		assert_idle(f);
		assert_true(chardev_is_open(f->c));
	}
	assert_int_equal(f->closes, 0);
	peer = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(peer, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(
		put(f, "found"), 5); /* also if the error of the last one is told only now */
	read_all(peer, buf, 5);
	assert_string_equal(buf, "found");
	udp_answer(f, peer);
	assert_int_equal(send(peer, "you", 3, 0), 3);
	run_until(f, f->n == 3);
	/* Only he is. */
	peer = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	udp_answer(f, peer);
	assert_int_equal(send(peer, "other", 5, 0), 5);
	run_ms(f, 20);
	assert_int_equal(f->n, 3);
	close(peer);
	front_free(f);
}

static void test_udp_places(void **state)
{
	struct front *f, *g;
	char spec[100];
	int port, peer;

	f = udp_pair(&peer, "@127.0.0.1:0");
	port = port_of(f->c->in_fd, getsockname);
	snprintf(spec, sizeof(spec), "udp:127.0.0.1:9@127.0.0.1:%d", port);
	expect_error(spec, "cannot use the address 127.0.0.1:");
	close(peer);
	front_free(f);
	/* Two that talk with each other, by IPv6. */
	f = front_new("udp:[::1]:9@[::1]:0");
	port = port_of(f->c->in_fd, getsockname);
	front_free(f);
	snprintf(spec, sizeof(spec), "udp:[::1]:%d@:%d", port, port - 1);
	g = front_new(spec);
	snprintf(spec, sizeof(spec), "udp:[::1]:%d@[::1]:%d", port - 1, port);
	f = front_new(spec);
	chardev_set_room(g->c, 10);
	assert_int_equal(put(f, "six"), 3);
	run_until(g, g->n == 3);
	front_free(f);
	front_free(g);
}

static void test_options_sound(void **state)
{
	struct error err = ERROR_INIT;

	for (const struct chardev_kind *const *k = chardev_kinds; *k; k++) {
		if ((*k)->options && !fields_table_valid((*k)->options, &err))
			fail_msg("%s", err.msg);
	}
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

#define both(test)                                                         \
	{ #test ", unix", test, NULL, NULL, (void *)(uintptr_t) "unix" },  \
	{                                                                  \
#test ", tcp", test, NULL, NULL, (void *)(uintptr_t) "tcp" \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_bad_specs),
		cmocka_unit_test(test_pty),
		both(test_hangup_full),
		both(test_server),
		both(test_break),
		both(test_ends),
		both(test_client),
		both(test_backpressure),
		both(test_close_bounded),
		both(test_threads),
		cmocka_unit_test(test_unix_file),
		cmocka_unit_test(test_tcp_names),
		cmocka_unit_test(test_tcp_asks),
		cmocka_unit_test(test_tcp_places),
		cmocka_unit_test(test_fd),
		cmocka_unit_test(test_udp),
		cmocka_unit_test(test_udp_alone),
		cmocka_unit_test(test_udp_places),
		cmocka_unit_test(test_options_sound),
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
