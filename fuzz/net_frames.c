// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a peer's stream is cut into, and what the user network's helper does to frames of a guest and of the
 * Internet. The first byte says which, the second how the bytes come.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/types.h"
#include "net/helper/forward.h"
#include "net/helper/frames.h"
#include "net/net_int.h"

static void stream(const uint8_t *p, size_t n, size_t step)
{
	struct net_frames f = { .buf = malloc(NET_FRAMES_SIZE) };

	assert(f.buf);
	while (n && !f.bad) {
		size_t len, take;
		uint8_t *at;
		size_t room = net_frames_room(&f, &at);

		assert(room); /* or no frame could ever be completed */
		take = MIN(MIN(step, n), room);
		memcpy(at, p, take);
		f.len += take;
		p += take;
		n -= take;
		for (const uint8_t *frame; (frame = net_frames_next(&f, &len));)
			assert(len && len <= NET_FRAME_MAX && frame >= f.buf &&
				frame + len <= f.buf + NET_FRAMES_SIZE);
	}
	free(f.buf);
}

static size_t longest;

static void on_frame(void *opaque, const struct vnet_hdr *h, const uint8_t *p, size_t n)
{
	assert(n <= longest && (h->gso_type || n <= 14 + FRAME_MTU || n == longest));
	assert(le16_get(h->hdr_len) <= n && (!h->gso_type || le16_get(h->gso_size)));
	*(volatile uint8_t *)opaque ^= p[0] ^ p[n - 1];
}

/* In memory of just that size, so that a byte beyond shows. */
static void frames(const uint8_t *p, size_t n, uint8_t how)
{
	struct vnet_hdr h = { 0 };
	size_t total = n;
	uint8_t *copy, sink = 0;

	if (how & 1 && n >= sizeof(h)) {
		memcpy(&h, p, sizeof(h));
		p += sizeof(h);
		total = n -= sizeof(h);
	}
	if (how & 2)
		total = MIN(n * 50, NET_FRAME_MAX);
	if (!total)
		return;
	copy = calloc(1, total);
	assert(copy);
	memcpy(copy, p, MIN(n, total));
	if (how & 4) {
		frame_from_guest(&h, copy, total, how & 8);
	} else {
		longest = total;
		frame_to_guest(copy, total, how >> 4, on_frame, &sink);
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	struct forward f;
	char text[200];

	if (size < 2)
		return 0;
	switch (data[0] & 3) {
	case 0:
		stream(data + 2, size - 2, data[1] + 1u);
		break;
	case 1:
		size = MIN(size - 2, sizeof(text) - 1);
		memcpy(text, data + 2, size);
		text[size] = 0;
		if (forward_parse(text, data[1] & 1, &f, &err))
			assert(f.len);
		break;
	default:
		frames(data + 2, size - 2, data[1]);
	}
	return 0;
}
