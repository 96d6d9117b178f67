// SPDX-License-Identifier: GPL-2.0-or-later
/* What the helper does to frames (helper/frames.c, helper/forward.c), held against plain references. */
#include "base/testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include "base/types.h"
#include "net/helper/forward.h"
#include "net/helper/frames.h"

/* As RFC 1071 has it. */
static uint16_t plain_sum(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* All of a TCP or UDP packet with its pseudo header: 0xffff when the checksum is right. */
static uint16_t l4_sum(const uint8_t *p, size_t l4, size_t end)
{
	bool v6 = p[12] == 0x86;
	uint32_t sum = (uint32_t)(end - l4) + (v6 ? p[20] : p[23]);

	for (size_t i = v6 ? 22 : 26; i < (v6 ? 54u : 34u); i += 2)
		sum += rd_be16(p + i);
	return plain_sum(p + l4, end - l4, sum);
}

static void test_sum(void **state)
{
	uint8_t buf[300];
	uint64_t rnd = 3;

	for (int i = 0; i < 2000; i++) {
		size_t n = test_random(&rnd) % sizeof(buf), off = test_random(&rnd) % 8;
		uint32_t got;

		for (size_t k = 0; k < sizeof(buf); k++)
			buf[k] = i % 5 ? (uint8_t)test_random(&rnd) : 0xff;
		n = MIN(n, sizeof(buf) - off);
		got = frame_sum(buf + off, n, 0);
		assert_int_equal(ntohs((uint16_t)got), plain_sum(buf + off, n, 0));
	}
}

/* An Ethernet frame of TCP or UDP with @len bytes behind IP. Returns where the transport begins. */
static size_t make(uint8_t *p, bool v6, uint8_t proto, size_t len)
{
	size_t l4 = v6 ? 54 : 34;

	memset(p, 0, l4);
	wr_be16(p + 12, v6 ? 0x86dd : 0x0800);
	if (v6) {
		p[14] = 0x60;
		wr_be16(p + 18, (uint16_t)len);
		p[20] = proto;
		p[22] = 0xfe;
		p[38] = 0xfe;
		p[53] = 9;
	} else {
		p[14] = 0x45;
		wr_be16(p + 16, (uint16_t)(20 + len));
		p[23] = proto;
		wr_be32(p + 26, 0x0a00020f);
		wr_be32(p + 30, 0x0a000202);
	}
	for (size_t i = 0; i < len; i++)
		p[l4 + i] = (uint8_t)(i * 7 + 1);
	if (proto == 6)
		p[l4 + 12] = 5 << 4;
	return l4;
}

static void test_checksum_made(void **state)
{
	uint8_t p[2000];

	for (int v6 = 0; v6 < 2; v6++) {
		size_t l4 = make(p, v6, 6, 101);
		struct vnet_hdr h = { .flags = VNET_F_NEEDS_CSUM,
			.csum_start = le16_of((uint16_t)l4),
			.csum_offset = le16_of(16) };
		uint32_t pseudo = 101 + 6;

		for (size_t i = v6 ? 22 : 26; i < (v6 ? 54u : 34u); i += 2)
			pseudo += rd_be16(p + i);
		wr_be16(p + l4 + 16, plain_sum(NULL, 0, pseudo));
		assert_true(frame_from_guest(&h, p, l4 + 101, false));
		assert_int_equal(l4_sum(p, l4, l4 + 101), 0xffff);
		/* Outside of the frame. */
		h.csum_offset = le16_of(100);
		assert_false(frame_from_guest(&h, p, l4 + 101, false));
		h.csum_start = le16_of(0xffff);
		assert_false(frame_from_guest(&h, p, l4 + 101, false));
		h.csum_start = le16_of(3);
		assert_false(frame_from_guest(&h, p, l4 + 101, false));
	}
}

static void test_mss(void **state)
{
	static const uint8_t options[] = { 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 2, 4, 5, 180, 0 };
	const struct vnet_hdr none = { 0 };
	uint8_t p[200], before[200];

	for (int v6 = 0; v6 < 2; v6++) {
		size_t l4 = make(p, v6, 6, 36), n = l4 + 36;

		p[l4 + 12] = 9 << 4;
		p[l4 + 13] = 2; /* SYN */
		memcpy(p + l4 + 20, options, sizeof(options));
		memcpy(before, p, n);
		assert_true(frame_from_guest(&none, p, n, false));
		assert_memory_equal(p, before, n);
		assert_true(frame_from_guest(&none, p, n, true));
		assert_true(rd_be16(p + l4 + 33) > 60000);
		assert_int_equal(l4_sum(p, l4, n), 0xffff);
		/* No SYN: untouched. Options that run over the end, too. */
		memcpy(p, before, n);
		p[l4 + 13] = before[l4 + 13] = 0x10;
		assert_true(frame_from_guest(&none, p, n, true));
		assert_memory_equal(p, before, n);
		p[l4 + 13] = before[l4 + 13] = 2;
		p[l4 + 22] = before[l4 + 22] = 200;
		assert_true(frame_from_guest(&none, p, n, true));
		assert_memory_equal(p, before, n);
	}
}

struct got {
	int frames;
	size_t bytes, end;
	struct vnet_hdr h;
	uint8_t all[NET_FRAME_MAX];
};

static void on_frame(void *opaque, const struct vnet_hdr *h, const uint8_t *p, size_t n)
{
	struct got *g = opaque;
	size_t head = 34, at, len;

	g->frames++;
	g->h = *h;
	if (h->gso_type) {
		memcpy(g->all, p, n);
		g->bytes = n;
		return;
	}
	assert_true(n <= 1514);
	if (rd_be16(p + 12) == 0x0800) {
		assert_int_equal(plain_sum(p + 14, 20, 0), 0xffff);
		at = (rd_be16(p + 20) & 0x1fff) * 8u;
		len = rd_be16(p + 16) - 20u;
		if (!(p[20] & 0x20))
			g->end = at + len;
	} else {
		head = 54 + 8;
		assert_int_equal(p[20], 44);
		assert_int_equal(p[54], 17);
		at = rd_be16(p + 56) & 0xfff8;
		len = rd_be16(p + 18) - 8u;
		if (!(p[57] & 1))
			g->end = at + len;
	}
	assert_int_equal(n, head + len);
	memcpy(g->all + at, p + head, len);
	g->bytes += len;
}

static void test_long_frames(void **state)
{
	static uint8_t p[NET_FRAME_MAX], copy[NET_FRAME_MAX];
	static struct got g;

	for (int v6 = 0; v6 < 2; v6++) {
		/* Datagrams come in fragments. */
		for (size_t len = 1481; len < 65000; len += 3777) {
			size_t l4 = make(p, v6, 17, len);

			memset(&g, 0, sizeof(g));
			memcpy(copy, p, l4 + len);
			frame_to_guest(p, l4 + len, 0, on_frame, &g);
			assert_true(g.frames > 1);
			assert_int_equal(g.bytes, len);
			assert_int_equal(g.end, len);
			assert_memory_equal(g.all, copy + l4, len);
		}
		/* Segments go as they are to a guest that takes them, with the pseudo header's sum. */
		for (int takes = 0; takes < 2; takes++) {
			size_t l4 = make(p, v6, 6, 20000);

			memset(&g, 0, sizeof(g));
			frame_to_guest(p, l4 + 20000,
				takes ? NET_CSUM | NET_TSO4 | NET_TSO6 : NET_CSUM, on_frame, &g);
			assert_int_equal(g.frames, takes);
			if (!takes)
				continue;
			assert_int_equal(g.bytes, l4 + 20000);
			assert_int_equal(g.h.gso_type, v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4);
			assert_int_equal(le16_get(g.h.gso_size), v6 ? 1440 : 1460);
			assert_int_equal(le16_get(g.h.hdr_len), l4 + 20);
			g.h.csum_start = le16_of((uint16_t)l4);
			assert_true(frame_from_guest(&g.h, g.all, g.bytes, false));
			assert_int_equal(l4_sum(g.all, l4, l4 + 20000), 0xffff);
		}
	}
	/* Neither IP nor short: nothing that a guest could take. */
	memset(p, 0x55, 2000);
	memset(&g, 0, sizeof(g));
	frame_to_guest(p, 2000, 15, on_frame, &g);
	assert_int_equal(g.frames, 0);
}

static void test_forward(void **state)
{
	static const char *const bad[] = { "", "tcp", "tcp:", "tcp::", "tcp::1",
		"tcp::1:", "tcp::0:1", "tcp::1:65536", "sctp::1:2", "tcp:x:1:2", "tcp:::1",
		"tcp:[::1]:1:2", "tcp:[::1:1:2", "tcp:[::1]x:1:2", "tcp::1:2:3:4", "tcp::1:[::1]:2",
		"tcp:127.0.0.1:1:[fec0::15]:2" };
	struct error err = ERROR_INIT;
	struct forward f;

	assert_true(forward_parse("tcp::2222:22", false, &f, &err));
	assert_false(f.udp);
	assert_int_equal(ntohl(((struct sockaddr_in *)&f.host)->sin_addr.s_addr), INADDR_LOOPBACK);
	assert_int_equal(ntohs(((struct sockaddr_in *)&f.guest)->sin_port), 22);
	assert_true(forward_parse("udp:0.0.0.0:53:10.0.2.20:53", false, &f, &err));
	assert_true(f.udp);
	assert_int_equal(ntohl(((struct sockaddr_in *)&f.guest)->sin_addr.s_addr), 0x0a000214);
	assert_true(forward_parse("tcp:[::1]:80:[fec0::15]:81", false, &f, &err));
	assert_int_equal(f.host.ss_family, AF_INET6);
	assert_true(forward_parse("tcp::2222", true, &f, &err));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (forward_parse(bad[i], false, &f, &err))
			fail_msg("'%s' was taken", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum),
		cmocka_unit_test(test_checksum_made),
		cmocka_unit_test(test_mss),
		cmocka_unit_test(test_long_frames),
		cmocka_unit_test(test_forward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
