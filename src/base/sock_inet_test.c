// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/sock_inet.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>
#include "base/patience.h"
#include "base/testing.h"
#include "base/types.h"

static void text_is(const char *text, const char *wanted)
{
	struct error err = ERROR_INIT;
	AUTO(str) out = STR_INIT;
	struct sock_inet s;

	if (!sock_inet_parse(&s, text, 1, &err))
		fail_msg("%s", err.msg);
	assert_true(sock_inet_text(&s.a, &out));
	assert_string_equal(str_cstr(&out), wanted);
}

static void addresses(void **state)
{
	text_is("127.0.0.1:1", "127.0.0.1:1");
	text_is(":65535", "127.0.0.1:65535");
	text_is("localhost:0x10", "127.0.0.1:16");
	text_is("0.0.0.0:80", "0.0.0.0:80");
	text_is("[::1]:80", "[::1]:80");
	text_is("::1:80", "[::1]:80");
	text_is("[fe80::1:2]:80", "[fe80::1:2]:80");
}

static void no_addresses(void **state)
{
	static const char *const bad[] = { "", ":", "80", ":0", ":65536", ":-1", ":80x", "1.2.3:80",
		"1.2.3.4.5:80", "example.org:80", "[::1:80", "::1]:80", "[]:80", "[:80", "[1.2.3.4",
		"1.2.3.4", "[::1]", "tcp:127.0.0.1:80",
		"00000000000000000000000000000000000000000000000000000000000000000000000000:80" };
	struct sockaddr_storage other = { .ss_family = AF_UNIX };
	struct error err = ERROR_INIT;
	AUTO(str) out = STR_INIT;
	struct sock_inet s;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (sock_inet_parse(&s, bad[i], 1, &err))
			fail_msg("'%s' is taken", bad[i]);
		assert_int_equal(err.kind, ERROR_USAGE);
		assert_contains(err.msg, "bad address '");
	}
	assert_true(sock_inet_parse(&s, ":0", 0, &err));
	assert_false(sock_inet_text(&other, &out));
	assert_int_equal(out.len, 0);
}

static void listens_and_connects(void **state)
{
	static const char *const hosts[] = { "127.0.0.1", "::1" };

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		struct error err = ERROR_INIT;
		struct sock_inet s;
		int a, b;

		assert_true(sock_inet_set(&s, hosts[i], 0, &err));
		a = sock_inet_listen(&s, true, &err);
		if (a < 0 && strstr(err.msg, strerror(EADDRNOTAVAIL)))
			continue; /* no IPv6 here */
		assert_true(a >= 0);
		assert_int_equal(getsockname(a, (struct sockaddr *)&s.a, &s.len), 0);
		assert_int_not_equal(sock_inet_port(&s), 0);
		assert_int_equal(fcntl(a, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
		assert_int_equal(fcntl(a, F_GETFD), FD_CLOEXEC);
		b = sock_inet_connect(&s, 1000, &err);
		assert_true(b >= 0);
		assert_int_equal(sock_inet_listen(&s, false, &err), -1);
		assert_contains(err.msg, "cannot use the address ");
		assert_contains(err.msg, "another process does");
		assert_contains(err.msg, strerror(EADDRINUSE));
		close(b);
		close(a);
		assert_int_equal(sock_inet_connect(&s, 1000, &err), -1);
		assert_contains(err.msg, "cannot connect to ");
		assert_contains(err.msg, "nobody listens there");
	}
}

static void not_of_this_host(void **state)
{
	struct error err = ERROR_INIT;
	struct sock_inet s;

	assert_true(
		sock_inet_parse(&s, "192.0.2.7:4444", 1, &err)); /* for documentation: nobody's */
	assert_int_equal(sock_inet_listen(&s, false, &err), -1);
	assert_contains(err.msg, "192.0.2.7:4444 (the address is not one of this host's)");
}

/* A server that takes no more connections: nobody waits for it for ever. */
static void waits_only_so_long(void **state)
{
	struct error err = ERROR_INIT;
	struct sock_inet s;
	int server, fds[8];
	size_t n = 0;

	assert_true(sock_inet_set(&s, "127.0.0.1", 0, &err));
	server = sock_inet_listen(&s, false, &err);
	assert_int_equal(getsockname(server, (struct sockaddr *)&s.a, &s.len), 0);
	while (n < ARRAY_SIZE(fds) && (fds[n] = sock_inet_connect(&s, 50, &err)) >= 0)
		n++;
	assert_in_range(n, 1, ARRAY_SIZE(fds) - 1);
	assert_contains(err.msg, strerror(ETIMEDOUT));
	while (n)
		close(fds[--n]);
	close(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(no_addresses),
		cmocka_unit_test(listens_and_connects),
		cmocka_unit_test(not_of_this_host),
		cmocka_unit_test(waits_only_so_long),
	};

	patience_ms = 20;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
