// SPDX-License-Identifier: GPL-2.0-or-later
/* The user network's helper, the real one, as a confined process has it: it waits, and a network that is refused costs
 * nothing. */
#include "base/testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>
#include "base/log.h"
#include "base/thread.h"
#include "base/types.h"
#include "net/net_int.h"
#include "net/testing.h"

static struct loop *l;

static struct net_dev *open_good(const char *options)
{
	struct error err = ERROR_INIT;
	struct net_dev *d = open_dev(l, options, &err);

	if (!d)
		fail_msg("%s: %s", options, err.msg);
	return d;
}

/* A socket of @type at 127.0.0.1 and *@port, 0: any, which is told; -1: somebody has that. */
static int bound(int type, uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons(*port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0); /* not the helper's */

	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
		(type == SOCK_STREAM && listen(fd, 1) < 0)) {
		close(fd);
		return -1;
	}
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static uint16_t free_port(int type)
{
	uint16_t port = 0;

	close(bound(type, &port));
	return port;
}

static bool is_free(int type, uint16_t port)
{
	int fd = bound(type, &port);

	return fd >= 0 && !close(fd);
}

static void on_event(void *opaque, unsigned int q)
{
}

static void on_link(void *opaque, bool up)
{
}

static void nothing_more(enum thread_role role, bool inherited)
{
}

/* One helper for all that is refused, and for the network that is made then. */
static void test_refused(void **state)
{
	static const struct {
		const char *options, *why;
	} bad[] = { { "user,net=10.0.0.0/4", "'net'" }, { "user,net=x", "'net'" },
		{ "user,net6=fe80::/10", "'net6'" }, { "user,dns=1.2.3.4", "'dns'" },
		{ "user,forward=tcp::99", "bad forward" }, { "user,forward=x", "bad forward" },
		{ "user,ipv6=off,capture=/nonexistent/x", "/nonexistent/x" } };
	const struct net_front front = { on_event, on_event, on_link, &l };
	uint16_t taken = 0, tcp = free_port(SOCK_STREAM), udp = free_port(SOCK_DGRAM);
	int other = bound(SOCK_STREAM, &taken);
	struct error err = ERROR_INIT;
	struct net_dev *d;
	char text[200];

	thread_set_confinement(nothing_more);
	assert_true(net_user_prepare(1, &err));
	thread_confine();
	assert_true(thread_is_confined());
	for (int i = 0; i < 20; i++) {
		err = (struct error)ERROR_INIT;
		assert_null(open_dev(l, bad[i % ARRAY_SIZE(bad)].options, &err));
		assert_contains(err.msg, bad[i % ARRAY_SIZE(bad)].why);
	}
	/* What it has made before the fault is gone. */
	snprintf(text, sizeof(text),
		"user,forward=tcp::%u:22,forward=udp::%u:53,forward=tcp:127.0.0.1:%u:80", tcp, udp,
		taken);
	err = (struct error)ERROR_INIT;
	assert_null(open_dev(l, text, &err));
	assert_contains(err.msg, "cannot forward");
	assert_true(is_free(SOCK_STREAM, tcp) && is_free(SOCK_DGRAM, udp));
	close(other);
	/* The same, now that nothing is in its way; and it may go as long as no card had it. */
	for (int i = 0; i < 3; i++) {
		d = open_good(text);
		assert_false(is_free(SOCK_STREAM, tcp) || is_free(SOCK_DGRAM, udp));
		net_close(d);
		assert_true(is_free(SOCK_STREAM, tcp) && is_free(SOCK_DGRAM, udp));
	}
	d = open_good("user");
	assert_null(open_dev(l, "user", &err));
	assert_contains(err.msg, "user-networks=N");
	assert_true(net_attach(d, &l, 1, &front, &err));
	net_detach(d);
	net_close(d);
	assert_null(open_dev(l, "user", &err));
	assert_contains(err.msg, "user-networks=N");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
	};
	struct error err = ERROR_INIT;
	int failed;

	l = loop_new("main", 0, &err);
	if (!l || !log_set_level("err", &err))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	net_user_forget();
	loop_free(l);
	return failed;
}
