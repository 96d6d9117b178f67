// SPDX-License-Identifier: GPL-2.0-or-later
#include "net/helper/frames.h"

#include <string.h>
#include "base/types.h"

#define ETH_LEN	  14u
#define TYPE_IPV4 0x0800u
#define TYPE_IPV6 0x86ddu
#define PROTO_TCP 6u
#define TCP_SYN	  0x02u
#define OPT_END	  0u
#define OPT_NOP	  1u
#define OPT_MSS	  2u
/* Segments as long as IP and libslirp's mbufs take. */
#define BIG_MSS	  65400u

/* The parts of a frame that were found; offsets from its start. */
struct parts {
	bool v6;
	uint8_t proto;
	size_t l4, end; /* transport header; end of the IP packet (a short frame is padded) */
	bool fragment;
};

uint32_t frame_sum(const uint8_t *p, size_t n, uint32_t sum)
{
	uint64_t s = sum;

	/* Sums of 32-bit words fold to the same number as of 16-bit ones, in either byte order. */
	for (; n >= 32; p += 32, n -= 32) {
		uint32_t w[8];

		memcpy(w, p, sizeof(w));
		s += (uint64_t)w[0] + w[1] + w[2] + w[3] + w[4] + w[5] + w[6] + w[7];
	}
	for (; n >= 4; p += 4, n -= 4) {
		uint32_t w;

		memcpy(&w, p, sizeof(w));
		s += w;
	}
	if (n) {
		uint8_t rest[4] = { 0 };
		uint32_t w;

		memcpy(rest, p, n);
		memcpy(&w, rest, sizeof(w));
		s += w;
	}
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint32_t)s; /* in the order of memory */
}

static void put_sum(uint8_t *at, uint32_t sum)
{
	uint16_t v = (uint16_t)~sum;

	memcpy(at, &v, sizeof(v));
}

/* Find the transport header. False: no IP packet of which we know the layout. */
static bool dissect(const uint8_t *p, size_t n, struct parts *out)
{
	size_t header, total;

	if (n < ETH_LEN + 20)
		return false;
	if (rd_be16(p + 12) == TYPE_IPV4 && p[ETH_LEN] >> 4 == 4) {
		header = (p[ETH_LEN] & 15u) * 4u;
		total = rd_be16(p + ETH_LEN + 2);
		if (header < 20 || total < header || ETH_LEN + total > n)
			return false;
		*out = (struct parts){ false, p[ETH_LEN + 9], ETH_LEN + header, ETH_LEN + total,
			(rd_be16(p + ETH_LEN + 6) & 0x3fff) != 0 };
		return true;
	}
	if (rd_be16(p + 12) != TYPE_IPV6 || n < ETH_LEN + 40)
		return false;
	total = 40u + rd_be16(p + ETH_LEN + 4);
	if (ETH_LEN + total > n)
		return false;
	*out = (struct parts){ true, p[ETH_LEN + 6], ETH_LEN + 40, ETH_LEN + total, false };
	return true;
}

/* Sum of the pseudo header of @len bytes of transport. */
static uint32_t pseudo_sum(const uint8_t *p, const struct parts *f, size_t len)
{
	uint8_t tail[8] = { 0 };
	size_t at = f->v6 ? ETH_LEN + 8 : ETH_LEN + 12, n = f->v6 ? 32 : 8;

	wr_be32(tail, (uint32_t)len);
	tail[7] = f->proto;
	return frame_sum(tail, sizeof(tail), frame_sum(p + at, n, 0));
}

static size_t tcp_header(const uint8_t *p, const struct parts *f)
{
	size_t len = f->end - f->l4, header;

	if (f->proto != PROTO_TCP || f->fragment || len < 20)
		return 0;
	header = (size_t)(p[f->l4 + 12] >> 4) * 4;
	return header >= 20 && header <= len ? header : 0;
}

/* Where the value of the MSS option is; 0: none. */
static size_t find_mss(const uint8_t *p, size_t at, size_t end)
{
	while (at < end && p[at] != OPT_END) {
		if (p[at] == OPT_NOP) {
			at++;
			continue;
		}
		if (at + 2 > end || p[at + 1] < 2 || at + p[at + 1] > end)
			return 0;
		if (p[at] == OPT_MSS && p[at + 1] == 4)
			return at + 2;
		at += p[at + 1];
	}
	return 0;
}

/* An offer of BIG_MSS in place of the guest's; the checksum follows (RFC 1624). */
static void raise_mss(uint8_t *p, const struct parts *f)
{
	size_t header = tcp_header(p, f), at;

	if (!header || !(p[f->l4 + 13] & TCP_SYN))
		return;
	at = find_mss(p, f->l4 + 20, f->l4 + header);
	if (!at)
		return;
	wr_be16(p + at, BIG_MSS);
	wr_be16(p + f->l4 + 16, 0);
	put_sum(p + f->l4 + 16,
		frame_sum(p + f->l4, f->end - f->l4, pseudo_sum(p, f, f->end - f->l4)));
}

bool frame_from_guest(const struct vnet_hdr *h, uint8_t *p, size_t n, bool big)
{
	size_t start = le16_get(h->csum_start), at = start + le16_get(h->csum_offset);
	struct parts f;
	uint32_t sum;

	if (n < ETH_LEN)
		return false;
	if (h->flags & VNET_F_NEEDS_CSUM) {
		if (start < ETH_LEN || at + 2 > n)
			return false;
		/* The field holds the pseudo header's sum. A sum of 0 is written as ffff: UDP's 0 means none. */
		sum = frame_sum(p + start, n - start, 0);
		put_sum(p + at, sum == 0xffff ? 0 : sum);
	}
	if (big && dissect(p, n, &f))
		raise_mss(p, &f);
	return true;
}

/* -------- to the guest -------- */

static void emit_segments(uint8_t *p, size_t n, const struct parts *f, size_t header,
	void (*emit)(void *opaque, const struct vnet_hdr *h, const uint8_t *p, size_t n),
	void *opaque)
{
	struct vnet_hdr h = {
		.flags = VNET_F_NEEDS_CSUM,
		.gso_type = f->v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4,
		.hdr_len = le16_of((uint16_t)(f->l4 + header)),
		.gso_size = le16_of((uint16_t)(FRAME_MTU - (f->l4 - ETH_LEN) - header)),
		.csum_start = le16_of((uint16_t)f->l4),
		.csum_offset = le16_of(16),
	};

	/* The guest, or whom it sends this on to, makes the checksum: its field begins as the pseudo header's. */
	put_sum(p + f->l4 + 16, ~pseudo_sum(p, f, f->end - f->l4));
	emit(opaque, &h, p, n);
}

/* RFC 791, 3.2. */
static void emit_fragments4(uint8_t *p, const struct parts *f,
	void (*emit)(void *opaque, const struct vnet_hdr *h, const uint8_t *p, size_t n),
	void *opaque)
{
	size_t header = f->l4 - ETH_LEN, piece = (FRAME_MTU - header) & ~(size_t)7,
	       len = f->end - f->l4;
	uint16_t old = rd_be16(p + ETH_LEN + 6), at = old & 0x1fff;
	const struct vnet_hdr h = { 0 };
	uint8_t out[ETH_LEN + FRAME_MTU];

	memcpy(out, p, f->l4);
	for (size_t done = 0; done < len; done += piece) {
		size_t now = MIN(piece, len - done);
		bool more = done + now < len || old & 0x2000;

		memcpy(out + f->l4, p + f->l4 + done, now);
		wr_be16(out + ETH_LEN + 2, (uint16_t)(header + now));
		wr_be16(out + ETH_LEN + 6, (uint16_t)((at + done / 8) | (more ? 0x2000 : 0)));
		wr_be16(out + ETH_LEN + 10, 0);
		put_sum(out + ETH_LEN + 10, frame_sum(out + ETH_LEN, header, 0));
		emit(opaque, &h, out, f->l4 + now);
	}
}

/* RFC 8200, 4.5. */
static void emit_fragments6(uint8_t *p, const struct parts *f,
	void (*emit)(void *opaque, const struct vnet_hdr *h, const uint8_t *p, size_t n),
	void *opaque)
{
	static uint32_t id;
	size_t piece = (FRAME_MTU - 40 - 8) & ~(size_t)7, len = f->end - f->l4;
	const struct vnet_hdr h = { 0 };
	uint8_t out[ETH_LEN + FRAME_MTU], *frag = out + f->l4;

	memcpy(out, p, f->l4);
	out[ETH_LEN + 6] = 44;
	id++;
	for (size_t done = 0; done < len; done += piece) {
		size_t now = MIN(piece, len - done);

		frag[0] = f->proto;
		frag[1] = 0;
		wr_be16(frag + 2, (uint16_t)(done | (done + now < len)));
		wr_be32(frag + 4, id);
		memcpy(frag + 8, p + f->l4 + done, now);
		wr_be16(out + ETH_LEN + 4, (uint16_t)(8 + now));
		emit(opaque, &h, out, f->l4 + 8 + now);
	}
}

void frame_to_guest(uint8_t *p, size_t n, unsigned int offloads,
	void (*emit)(void *opaque, const struct vnet_hdr *h, const uint8_t *p, size_t n),
	void *opaque)
{
	struct vnet_hdr h = { .flags = offloads & NET_CSUM ? VNET_F_DATA_VALID : 0 };
	size_t header;
	struct parts f;

	if (n <= ETH_LEN + FRAME_MTU) {
		emit(opaque, &h, p, n);
		return;
	}
	if (!dissect(p, n, &f))
		return;
	header = tcp_header(p, &f);
	if (header && offloads & (f.v6 ? NET_TSO6 : NET_TSO4))
		emit_segments(p, f.end, &f, header, emit, opaque);
	else if (f.proto != PROTO_TCP && !f.v6)
		emit_fragments4(p, &f, emit, opaque);
	else if (f.proto != PROTO_TCP)
		emit_fragments6(p, &f, emit, opaque);
}
