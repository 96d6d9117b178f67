// SPDX-License-Identifier: GPL-2.0-or-later
/* Back ends against each other: streams, datagrams, limits, capture, link; hostile peers. */
#include "base/testing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/types.h"
#include "net/net_int.h"
#include "net/testing.h"

struct end {
	struct net_dev *d;
	struct loop *loop;
	int links, readable, writable;
	bool up;
};

static char dir[] = "/tmp/lodge-net-test.XXXXXX";

static void on_readable(void *opaque, unsigned int q)
{
	((struct end *)opaque)->readable++;
}

static void on_writable(void *opaque, unsigned int q)
{
	((struct end *)opaque)->writable++;
}

static void on_link(void *opaque, bool up)
{
	struct end *e = opaque;

	e->links++;
	e->up = up;
}

static void end_open(struct end *e, struct loop *l, const char *options)
{
	const struct net_front f = { on_readable, on_writable, on_link, e };
	struct error err = ERROR_INIT;

	memset(e, 0, sizeof(*e));
	e->loop = l;
	e->d = open_dev(l, options, &err);
	if (!e->d)
		fail_msg("%s", err.msg);
	assert_true(net_attach(e->d, &l, 1, &f, &err));
	net_rx_enable(e->d, 0, true);
}

static void end_close(struct end *e)
{
	net_detach(e->d);
	net_close(e->d);
}

#define UNTIL(l, cond)                                            \
	do {                                                      \
		int64_t end_ = clock_mono_ns() + 10 * NS_PER_SEC; \
		while (!(cond)) {                                 \
			loop_run_once((l), 1);                    \
			if (clock_mono_ns() > end_)               \
				fail_msg("timed out: %s", #cond); \
		}                                                 \
	} while (0)

static int send_frame(struct end *e, const uint8_t *p, uint32_t len)
{
	struct iovec iov[4] = { { NULL, 0 }, { (void *)(uintptr_t)p, len / 3 },
		{ (void *)(uintptr_t)(p + len / 3), len - len / 3 } };
	struct net_packet packet = { .iov = iov + 1, .n = 2, .len = len };

	return net_send(e->d, 0, &packet, 1);
}

/* The next frame; -1: none yet. */
static ssize_t take_frame(struct end *e, uint8_t *p, size_t room)
{
	struct iovec iov[3] = { { NULL, 0 }, { p, 20 }, { p + 20, room - 20 } };
	struct vnet_hdr h;
	ssize_t r = net_recv(e->d, 0, &h, iov + 1, 2);

	return r == -EAGAIN ? -1 : r;
}

static void fill(uint8_t *p, uint32_t len, uint64_t seed)
{
	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)(test_random(&seed) >> 9);
}

/* Frames of all sizes both ways, more than any buffer holds. */
static void exchange(struct end *a, struct end *b, bool lossless, uint32_t longest)
{
	static uint8_t out[NET_FRAME_MAX], in[NET_FRAME_MAX];
	uint64_t rnd = 77, check = 77;
	int sent = 0, got = 0;

	while (got < 300) {
		uint64_t before = rnd;
		uint32_t len = 14 +
			       (uint32_t)(test_random(&rnd) % (sent % 3 ? 1500 : longest - 14));
		ssize_t n;

		fill(out, len, sent + 1);
		if (sent < 300 && (lossless || sent == got) && send_frame(a, out, len) == 1)
			sent++;
		else
			rnd = before;
		while ((n = take_frame(b, in, sizeof(in))) >= 0) {
			len = 14 +
			      (uint32_t)(test_random(&check) % (got % 3 ? 1500 : longest - 14));
			assert_int_equal(n, len);
			fill(out, len, ++got);
			assert_memory_equal(in, out, len);
		}
		loop_run_once(a->loop, 0);
	}
}

/* Options in which @ is the test's folder. */
static void end_open_at(struct end *e, struct loop *l, const char *options)
{
	char text[300];
	size_t n = 0;

	for (; *options && n < sizeof(text) - sizeof(dir); options++) {
		if (*options == '@')
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", dir);
		else
			text[n++] = *options;
	}
	text[n] = 0;
	end_open(e, l, text);
}

static void pair(
	struct end *a, struct end *b, struct loop *l, const char *first, const char *second)
{
	end_open_at(a, l, first);
	end_open_at(b, l, second);
	UNTIL(l, net_link(a->d) && net_link(b->d));
}

static void test_stream(void **state)
{
	struct error err = ERROR_INIT;
	struct loop *l = loop_new("main", 0, &err);
	char path[100];
	struct end a, b;

	pair(&a, &b, l, "socket,listen=unix:@/s", "socket,connect=unix:@/s");
	exchange(&a, &b, true, NET_FRAME_MAX);
	exchange(&b, &a, true, NET_FRAME_MAX);
	/* The peer goes: the link goes. Another one comes. */
	end_close(&b);
	UNTIL(l, a.links && !a.up);
	assert_int_equal(send_frame(&a, (const uint8_t *)"0123456789abcdef", 16), 1); /* lost */
	end_close(&a);
	snprintf(path, sizeof(path), "%s/s", dir);
	assert_int_equal(access(path, F_OK), -1);
	loop_free(l);
}

static void test_reconnect(void **state)
{
	struct error err = ERROR_INIT;
	struct loop *l = loop_new("main", 0, &err);
	char text[256];
	struct end a, b;

	snprintf(text, sizeof(text), "socket,connect=unix:%s/r,reconnect=1", dir);
	end_open(&b, l, text);
	assert_false(net_link(b.d));
	for (int i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), "socket,listen=unix:%s/r", dir);
		end_open(&a, l, text);
		UNTIL(l, net_link(a.d) && net_link(b.d));
		exchange(&a, &b, true, 2000);
		end_close(&a);
		UNTIL(l, !net_link(b.d));
	}
	end_close(&b);
	loop_free(l);
}

/* A peer whose lengths cannot be is dropped; the next one is served. */
static void test_hostile_stream(void **state)
{
	static const uint8_t bad[][8] = { { 0, 0, 0, 0, 1, 2, 3, 4 }, { 0xff, 0xff, 0xff, 0xff },
		{ 0, 1, 0, 0x21, 0 }, { 'G', 'E', 'T', ' ', '/' } };
	struct error err = ERROR_INIT;
	struct loop *l = loop_new("main", 0, &err);
	struct sockaddr_storage addr;
	char text[256];
	uint8_t in[100];
	socklen_t len;
	struct end a;

	snprintf(text, sizeof(text), "socket,listen=unix:%s/h", dir);
	end_open(&a, l, text);
	snprintf(text, sizeof(text), "unix:%s/h", dir);
	assert_true(net_addr_parse(text, &addr, &len, &err));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		static const uint8_t good[] = { 0, 0, 0, 14, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
			13, 14 };
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		assert_int_equal(connect(fd, (struct sockaddr *)&addr, len), 0);
		UNTIL(l, net_link(a.d));
		for (size_t k = 0; k < sizeof(good); k++) /* in the smallest pieces */
			assert_int_equal(write(fd, good + k, 1), 1);
		UNTIL(l, take_frame(&a, in, sizeof(in)) == 14);
		assert_memory_equal(in, good + 4, 14);
		assert_int_equal(write(fd, bad[i], sizeof(bad[i])), sizeof(bad[i]));
		UNTIL(l, (take_frame(&a, in, sizeof(in)), !net_link(a.d)));
		close(fd);
	}
	end_close(&a);
	loop_free(l);
}

static void test_datagrams(void **state)
{
	struct error err = ERROR_INIT;
	struct loop *l = loop_new("main", 0, &err);
	char first[300], second[300];
	struct end a, b;

	snprintf(first, sizeof(first), "socket,dgram=unix:%s/a,peer=unix:%s/b", dir, dir);
	snprintf(second, sizeof(second), "socket,dgram=unix:%s/b,peer=unix:%s/a", dir, dir);
	end_open(&a, l, first);
	/* Nobody there yet: lost. */
	assert_int_equal(send_frame(&a, (const uint8_t *)"0123456789abcdef", 16), 1);
	end_open(&b, l, second);
	exchange(&a, &b, false, NET_FRAME_MAX);
	exchange(&b, &a, false, NET_FRAME_MAX);
	/* What is too short to be a frame is nothing. */
	assert_int_equal(send_frame(&a, (const uint8_t *)"short", 5), 1);
	exchange(&a, &b, false, 2000);
	end_close(&a);
	end_close(&b);
	/* No socket file is left. */
	snprintf(first, sizeof(first), "%s/a", dir);
	assert_int_equal(access(first, F_OK), -1);
	loop_free(l);
}

static void test_multicast(void **state)
{
	struct error err = ERROR_INIT;
	struct loop *l = loop_new("main", 0, &err);
	unsigned int pid = (unsigned int)getpid();
	struct end a, b;
	uint8_t in[100];
	char options[80];

	/* Another run of this test on the host would be heard, too. */
	snprintf(options, sizeof(options), "socket,mcast=239.255.%u.%u:31234,localaddr=127.0.0.1",
		pid >> 8 & 0xff, pid & 0xff);
	end_open(&a, l, options);
	end_open(&b, l, options);
	exchange(&a, &b, false, 2000);
	/* It does not hear itself. */
	assert_int_equal(take_frame(&a, in, sizeof(in)), -1);
	exchange(&b, &a, false, 2000);
	assert_int_equal(take_frame(&b, in, sizeof(in)), -1);
	end_close(&a);
	end_close(&b);
	loop_free(l);
}

static void test_link(void **state)
{
	struct error err = ERROR_INIT;
	struct loop *l = loop_new("main", 0, &err);
	uint8_t frame[64] = { 1 }, in[100];
	struct end a, b;
	struct net_stats s;

	pair(&a, &b, l, "socket,listen=unix:@/l", "socket,connect=unix:@/l");
	UNTIL(l, a.up);
	net_set_link(b.d, false);
	assert_true(b.links && !b.up && !net_link(b.d));
	/* What comes now is lost, and is not waited for again and again. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(send_frame(&a, frame, sizeof(frame)), 1);
	UNTIL(l, b.readable);
	assert_int_equal(take_frame(&b, in, sizeof(in)), -1);
	loop_run_once(l, 0); /* was armed before */
	b.readable = 0;
	for (int i = 0; i < 5; i++)
		loop_run_once(l, 1);
	assert_int_equal(b.readable, 0);
	assert_true(net_get_stats(b.d, &s));
	assert_true(s.of[NET_RX].frames == 3 && s.of[NET_RX].dropped == 3);
	net_set_link(b.d, true);
	assert_true(b.up);
	frame[0] = 2;
	assert_int_equal(send_frame(&a, frame, sizeof(frame)), 1);
	UNTIL(l, take_frame(&b, in, sizeof(in)) == 64);
	assert_int_equal(in[0], 2);
	end_close(&a);
	end_close(&b);
	loop_free(l);
}

static void test_limits(void **state)
{
	static uint8_t frame[1000];
	struct error err = ERROR_INIT;
	struct loop *l = loop_new("main", 0, &err);
	int64_t start = clock_mono_ns();
	struct end a, b;
	int got = 0, sent = 0;

	/* A burst of 100 frames is free, the other 100 take half a second. */
	pair(&a, &b, l, "socket,tx-pps=200,listen=unix:@/m", "socket,connect=unix:@/m");
	while (got < 120) {
		int before = sent;

		while (sent < 120 && send_frame(&a, frame, sizeof(frame)) == 1)
			sent++;
		while (take_frame(&b, frame, sizeof(frame)) > 0)
			got++;
		if (sent == before)
			loop_run_once(l, 5);
	}
	assert_true(clock_mono_ns() - start > 450 * NS_PER_MS);
	assert_true(a.writable > 0);
	end_close(&a);
	end_close(&b);
	/* Bytes, towards the guest: 64 KiB free, then 100 KiB/s. */
	pair(&a, &b, l, "socket,listen=unix:@/m", "socket,rx-rate=100K,connect=unix:@/m");
	start = clock_mono_ns();
	for (sent = got = 0; got < 110;) {
		if (sent < 110 && send_frame(&a, frame, sizeof(frame)) == 1)
			sent++;
		if (take_frame(&b, frame, sizeof(frame)) > 0)
			got++;
		else
			loop_run_once(l, 1);
	}
	assert_true(clock_mono_ns() - start > 380 * NS_PER_MS);
	assert_true(b.readable > 0);
	end_close(&a);
	end_close(&b);
	loop_free(l);
}

static void test_capture(void **state)
{
	struct error err = ERROR_INIT;
	struct loop *l = loop_new("main", 0, &err);
	uint8_t frame[100], in[200], file[4096];
	char path[256];
	struct end a, b;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/pcap", dir);
	pair(&a, &b, l, "socket,listen=unix:@/c,capture=@/pcap", "socket,connect=unix:@/c");
	fill(frame, sizeof(frame), 5);
	assert_int_equal(send_frame(&a, frame, 100), 1);
	assert_int_equal(send_frame(&b, frame, 60), 1);
	UNTIL(l, take_frame(&a, in, sizeof(in)) == 60);
	end_close(&a);
	end_close(&b);
	fd = open(path, O_RDONLY);
	n = read(fd, file, sizeof(file));
	close(fd);
	assert_int_equal(n, 24 + 16 + 100 + 16 + 60);
	assert_int_equal(rd_le32(file), 0xa1b23c4d);
	assert_int_equal(rd_le32(file + 20), 1);
	assert_int_equal(rd_le32(file + 24 + 8), 100);
	assert_memory_equal(file + 24 + 16, frame, 100);
	assert_int_equal(rd_le32(file + 24 + 116 + 12), 60);
	assert_memory_equal(file + 24 + 116 + 16, frame, 60);
	loop_free(l);
}

static void test_refused(void **state)
{
	static const char *const bad[] = { "socket", "socket,listen=:1,connect=:1",
		"socket,peer=unix:/x", "socket,udp=127.0.0.1:9", "socket,dgram=unix:/x",
		"socket,listen=example.org:1", "socket,listen=unix:", "socket,listen=1.2.3.4",
		"socket,listen=[::1]", "socket,listen=:0", "socket,listen=:65536",
		"socket,mcast=10.0.0.1:9", "socket,reconnect=1,listen=:1",
		"socket,mcast=230.0.0.1:9,localaddr=x", "tap,fd=1,ifname=x", "tap,fd=1,queues=2",
		"user,ipv4=off,ipv6=off", "socket,listen=:1,queues=2",
		"socket,udp=[::1]:9,localaddr=:9", "tap,vhostfd=3", "tap,vhost=on,capture=/x",
		"tap,vhost=on,rx-pps=1", "tap,vhost=on,tx-rate=1M" };
	struct error err = ERROR_INIT;
	struct loop *l = loop_new("main", 0, &err);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error e = ERROR_INIT;

		if (open_dev(l, bad[i], &e))
			fail_msg("'%s' was opened", bad[i]);
		if (e.kind != ERROR_USAGE)
			fail_msg("'%s': %s", bad[i], e.msg);
	}
	loop_free(l);
}

/* Descriptors that a network was to be made of are still the caller's when it fails. */
static void test_passed_descriptors(void **state)
{
	struct error err = ERROR_INIT, e = ERROR_INIT;
	struct loop *l = loop_new("main", 0, &err);
	char text[100];
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	snprintf(text, sizeof(text), "tap,fd=%d", fd[0]);
	assert_null(open_dev(l, text, &e));
	assert_contains(e.msg, "is not a tap interface");
	snprintf(text, sizeof(text), "socket,fd=%d,capture=/nonexistent/x", fd[0]);
	e = (struct error)ERROR_INIT;
	assert_null(open_dev(l, text, &e));
	assert_int_equal(close(fd[0]), 0);
	close(fd[1]);
	loop_free(l);
}

/* @e has a stream with little room in its socket. Returns the other end, which does not block. */
static int end_open_narrow(struct end *e, struct loop *l)
{
	int fd[2], size = 4096;
	char text[40];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	snprintf(text, sizeof(text), "socket,fd=%d", fd[0]);
	end_open(e, l, text);
	return fd[1];
}

/* The rest of a frame that went in part goes as soon as it can, also when nothing else is sent. */
static void test_rest_of_frame(void **state)
{
	static uint8_t frame[60000], got[60004];
	struct error err = ERROR_INIT;
	struct loop *l = loop_new("main", 0, &err);
	int peer;
	size_t have = 0;
	struct end e;

	peer = end_open_narrow(&e, l);
	fill(frame, sizeof(frame), 1);
	assert_int_equal(send_frame(&e, frame, sizeof(frame)), 1);
	UNTIL(l, ({
		ssize_t n = read(peer, got + have, sizeof(got) - have);

		have += n > 0 ? (size_t)n : 0;
		have == sizeof(got);
	}));
	assert_memory_equal(got + 4, frame, sizeof(frame));
	end_close(&e);
	close(peer);
	loop_free(l);
}

#define BURST 200

/* Frames of random lengths, each in some pieces of a few bytes: the list that goes with one
 * net_send(). */
static int burst_make(uint8_t *p, struct net_packet *packet, struct iovec *iov, uint64_t *rnd)
{
	int n = 1 + (int)(test_random(rnd) % NET_BATCH);

	for (int i = 0; i < n; i++) {
		uint32_t len = (uint32_t)(test_random(rnd) % 8 ? 14 + test_random(rnd) % 3000 : 0),
			 at = 0;

		packet[i] = (struct net_packet){ .iov = ++iov, .len = len };
		while (at < len) {
			uint32_t take = 1 + (uint32_t)(test_random(rnd) % 100);

			take = MIN(take, len - at);
			*iov++ = (struct iovec){ p + at, take };
			packet[i].n++;
			at += take;
		}
		fill(p, len, test_random(rnd));
		p += len;
	}
	return n;
}

/* Reads up to @most bytes and holds them against what is expected next. */
static void burst_check(int fd, const uint8_t *want, size_t *have, size_t all, size_t most)
{
	static uint8_t got[40000];
	ssize_t n = read(fd, got, MIN(MIN(most, sizeof(got)), all - *have));

	if (n <= 0)
		return;
	assert_memory_equal(got, want + *have, n);
	*have += (size_t)n;
}

/* What a NIC sends at a time goes into the stream in order and whole, wherever a socket of little
 * room ends it. */
static void test_bursts(void **state)
{
	static struct net_packet packet[NET_BATCH];
	static struct iovec iov[NET_BATCH * 3100];
	static uint8_t bytes[NET_BATCH * 3100], want[BURST * NET_BATCH * 800];
	struct error err = ERROR_INIT;
	struct loop *l = loop_new("main", 0, &err);
	int peer, parts = 0;
	size_t all = 0, have = 0;
	uint64_t rnd = 11;
	struct end e;

	peer = end_open_narrow(&e, l);
	for (int b = 0; b < BURST && all + sizeof(bytes) < sizeof(want); b++) {
		int n = burst_make(bytes, packet, iov, &rnd), sent = 0;
		const uint8_t *p = bytes;

		for (int i = 0; i < n; p += packet[i++].len) {
			if (!packet[i].len)
				continue;
			wr_be32(want + all, packet[i].len);
			memcpy(want + all + 4, p, packet[i].len);
			all += 4 + packet[i].len;
		}
		while (sent < n) {
			int k = net_send(e.d, 0, packet + sent, n - sent);

			sent += k;
			parts += sent < n && k;
			burst_check(peer, want, &have, all, test_random(&rnd) % 40000);
			loop_run_once(l, 0);
		}
	}
	UNTIL(l, ({
		burst_check(peer, want, &have, all, SIZE_MAX);
		have == all;
	}));
	assert_true(parts > 10);
	end_close(&e);
	close(peer);
	loop_free(l);
}

static void test_counters(void **state)
{
	struct error err = ERROR_INIT;
	struct net_dev *d = net_open_test(&err);
	uint8_t bytes[100] = { 0 };
	struct iovec iov[3] = { { NULL, 0 }, { bytes, sizeof(bytes) }, { NULL, 0 } };
	struct net_packet p[2] = { { .iov = iov + 1, .n = 1, .len = 100 },
		{ .iov = iov + 2, .n = 0, .len = 0 } };
	struct net_stats s;
	struct vnet_hdr h;

	assert_int_equal(net_send(d, 0, p, 2), 2);
	iov[1] = (struct iovec){ bytes, sizeof(bytes) };
	assert_int_equal(net_recv(d, 0, &h, iov + 1, 1), 100);
	assert_int_equal(net_recv(d, 0, &h, iov + 1, 1), -EAGAIN);
	assert_true(net_get_stats(d, &s));
	assert_true(
		s.of[NET_TX].frames == 2 && s.of[NET_TX].bytes == 100 && s.of[NET_TX].dropped == 1);
	assert_true(
		s.of[NET_RX].frames == 1 && s.of[NET_RX].bytes == 100 && s.of[NET_RX].dropped == 0);
	net_set_link(d, false);
	assert_int_equal(net_send(d, 0, p, 1), 1);
	net_rx_dropped(d, 0);
	assert_true(net_get_stats(d, &s));
	assert_true(
		s.of[NET_TX].frames == 3 && s.of[NET_TX].dropped == 2 && s.of[NET_RX].dropped == 1);
	/* More than a socket takes: what does not go is lost, and counted. */
	net_set_link(d, true);
	for (int i = 0; i < 5000; i++) {
		iov[1] = (struct iovec){ bytes, sizeof(bytes) };
		assert_int_equal(net_send(d, 0, p, 1), 1);
	}
	assert_true(net_get_stats(d, &s));
	assert_int_equal(s.of[NET_TX].frames, 5003);
	assert_true(s.of[NET_TX].dropped > 2);
	net_close(d);
}

static void test_forward_without_user(void **state)
{
	struct error err = ERROR_INIT;
	struct net_dev *d = net_open_test(&err);

	assert_false(net_forward_add(d, "tcp::1:2", &err));
	assert_contains(err.msg, "forwards no ports");
	assert_false(net_has_front(d));
	net_close(d);
}

/* The network goes under the NIC: it hears of it, its peer does, and nothing of it is left but a link that is down. */
static void test_cut(void **state)
{
	struct error err = ERROR_INIT;
	struct loop *l = loop_new("main", 0, &err);
	uint8_t frame[64] = { 1 }, in[100];
	char path[100];
	struct end a, b;

	snprintf(path, sizeof(path), "%s/u", dir);
	for (int round = 0; round < 4; round++) {
		pair(&a, &b, l, "socket,tx-pps=50,listen=unix:@/u,capture=@/pcap",
			"socket,connect=unix:@/u,reconnect=1");
		UNTIL(l, a.up);
		a.links = 0;
		if (round & 1) /* it waits for tokens, there is more to read */
			while (send_frame(&a, frame, sizeof(frame)) == 1)
				;
		assert_int_equal(send_frame(&b, frame, sizeof(frame)), 1);
		if (round & 2) /* by the user, which no longer counts */
			net_set_link(a.d, false);
		net_cut(a.d);
		assert_true(a.links && !a.up && !net_link(a.d));
		assert_true(net_is_cut(a.d) && !net_plugged(a.d) && net_has_front(a.d));
		assert_int_equal(access(path, F_OK), -1);
		assert_int_equal(send_frame(&a, frame, sizeof(frame)), 1); /* lost */
		assert_int_equal(take_frame(&a, in, sizeof(in)), -1);
		net_rx_enable(a.d, 0, false);
		net_rx_enable(a.d, 0, true);
		net_set_guest_offloads(a.d, 0);
		net_set_pairs(a.d, 1);
		a.links = a.readable = a.writable = 0;
		net_set_link(a.d, true);
		net_load_link(a.d, true);
		UNTIL(l, !net_link(b.d));
		for (int i = 0; i < 5; i++)
			loop_run_once(l, 1);
		assert_true(!a.links && !a.readable && !a.writable && !net_link(a.d));
		net_detach(a.d);
		net_drop(a.d);
		end_close(&b);
	}
	/* Of one that was not cut nothing is dropped. */
	end_open_at(&a, l, "socket,listen=unix:@/u");
	net_detach(a.d);
	net_drop(a.d);
	net_close(a.d);
	loop_free(l);
}

struct told {
	int came, went;
	char addr[200];
};

static void on_peer(void *opaque, const char *id, const char *addr)
{
	struct told *told = opaque;

	told->came += addr != NULL;
	told->went += !addr;
	snprintf(told->addr, sizeof(told->addr), "%s of %s", addr ?: "nobody", id);
}

/* -1: too many wait already. */
static int connect_to(const char *text)
{
	struct error err = ERROR_INIT;
	struct sockaddr_storage a;
	socklen_t len;
	int fd;

	assert_true(net_addr_parse(text, &a, &len, &err));
	fd = socket(a.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (connect(fd, (struct sockaddr *)&a, len) == 0)
		return fd;
	assert_int_equal(errno, EAGAIN);
	close(fd);
	return -1;
}

/* The peer of a stream: who it is, that it has gone, the next one; and not too often. */
static void test_peers(void **state)
{
	struct end a;
	const struct net_front f = { on_readable, on_writable, on_link, &a };
	struct error err = ERROR_INIT;
	struct loop *l = loop_new("main", 0, &err);
	struct told told = { 0 };
	char at[100], want[200];
	int64_t start;
	int fd[2];

	snprintf(at, sizeof(at), "unix:%s/p", dir);
	snprintf(want, sizeof(want), "%s of x", at);
	end_open_at(&a, l, "socket,id=x,listen=unix:@/p");
	net_detach(a.d); /* it is not asked for later than this, as a rule */
	net_watch_peer(a.d, on_peer, &told);
	assert_int_equal(told.came, 0);
	assert_true(net_attach(a.d, &l, 1, &f, &err));
	net_rx_enable(a.d, 0, true);
	for (int i = 1; i < 4; i++) {
		fd[0] = connect_to(at);
		fd[1] = connect_to(at); /* has to wait */
		UNTIL(l, told.came == 2 * i - 1);
		assert_string_equal(told.addr, want);
		close(fd[0]);
		UNTIL(l, told.came == 2 * i);
		assert_int_equal(told.went, 2 * i - 1);
		close(fd[1]);
		UNTIL(l, told.went == 2 * i);
		assert_string_equal(told.addr, "nobody of x");
	}
	told = (struct told){ 0 };
	start = clock_mono_ns();
	while (clock_mono_ns() - start < 350 * NS_PER_MS) {
		fd[0] = connect_to(at);
		if (fd[0] >= 0)
			close(fd[0]);
		loop_run_once(l, 1);
	}
	assert_true(
		told.came >= 2 && told.came <= (clock_mono_ns() - start) / (100 * NS_PER_MS) + 1);
	/* It goes by our will: nobody is told. Those that wait come first, one after the other. */
	UNTIL(l, (fd[0] = connect_to(at)) >= 0);
	for (start = clock_mono_ns(); clock_mono_ns() - start < 500 * NS_PER_MS;)
		loop_run_once(l, 10);
	assert_int_equal(told.came, told.went + 1);
	told = (struct told){ 0 };
	end_close(&a);
	assert_true(!told.came && !told.went);
	close(fd[0]);
	/* One that is there from the start, and has no name. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	snprintf(at, sizeof(at), "socket,id=y,fd=%d", fd[0]);
	a.d = open_dev(l, at, &err);
	net_watch_peer(a.d, on_peer, &told);
	assert_string_equal(told.addr, "unix: of y");
	net_close(a.d);
	close(fd[1]);
	loop_free(l);
}

/* As TCP has them. */
static void test_addr_of_peer(void **state)
{
	static const char *const at[] = { "127.0.0.1", "::1" };
	char text[NET_ADDR_TEXT_MAX], want[100];

	for (int i = 0; i < 2; i++) {
		struct sockaddr_storage a = { .ss_family = i ? AF_INET6 : AF_INET };
		struct sockaddr_in *in = (struct sockaddr_in *)&a;
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a;
		socklen_t len = i ? sizeof(*in6) : sizeof(*in);
		int l = socket(a.ss_family, SOCK_STREAM, 0),
		    c = socket(a.ss_family, SOCK_STREAM, 0);

		if (i)
			in6->sin6_addr.s6_addr[15] = 1;
		else
			in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		if (bind(l, (struct sockaddr *)&a, len) == 0) { /* a host may have no IPv6 */
			assert_int_equal(listen(l, 1), 0);
			getsockname(l, (struct sockaddr *)&a, &len);
			assert_int_equal(connect(c, (struct sockaddr *)&a, len), 0);
			net_addr_of_peer(c, text);
			snprintf(want, sizeof(want), i ? "[%s]:%u" : "%s:%u", at[i],
				ntohs(i ? in6->sin6_port : in->sin_port));
			assert_string_equal(text, want);
		}
		close(l);
		close(c);
	}
	net_addr_of_peer(-1, text);
	assert_string_equal(text, "unix:");
}

static void test_tables(void **state)
{
	struct error err = ERROR_INIT;

	if (!fields_table_valid(&net_config_table, &err))
		fail_msg("%s", err.msg);
	assert_true(net_config_has("forward") && net_config_has("id") && net_config_has("listen"));
	assert_false(net_config_has("mac") || net_config_has(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_reconnect),
		cmocka_unit_test(test_hostile_stream),
		cmocka_unit_test(test_datagrams),
		cmocka_unit_test(test_multicast),
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_capture),
		cmocka_unit_test(test_forward_without_user),
		cmocka_unit_test(test_passed_descriptors),
		cmocka_unit_test(test_rest_of_frame),
		cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_peers),
		cmocka_unit_test(test_addr_of_peer),
	};
	struct error err = ERROR_INIT;
	char command[100];
	int failed;

	if (!log_set_level("err", &err) || !mkdtemp(dir))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) || failed;
}
