// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * frames - what the user network's helper does to Ethernet frames between a guest and libslirp, which knows
 * nothing of virtio's headers. Every frame and header is the guest's or the Internet's, and hostile.
 *
 * libslirp takes and gives TCP segments of up to 64 KiB, so a guest that can make and take such ("segments still
 * to be made") gets through with a fortieth of the frames: outgoing ones pass as they are, with the checksum
 * made here; for incoming ones the guest's offer of a segment size is replaced by a large one, and what comes then
 * is marked as to be segmented by the guest's own size.
 */
#ifndef NET_HELPER_FRAMES_H
#define NET_HELPER_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "net/net.h"

#define FRAME_MTU 1500u /* of the guest's link */

/* From the guest: make the checksum that @h leaves to us, and with @big raise the segment size in a SYN. @p has
 * @n bytes. False: nonsense, drop it. */
bool frame_from_guest(const struct vnet_hdr *h, uint8_t *p, size_t n, bool big);

/* To the guest, which takes @offloads (NET_*): emit() is called with the frame, or with its IP fragments when it
 * is longer than the link's MTU and no TCP. A TCP segment too long for a guest that takes no such is lost. */
void frame_to_guest(uint8_t *p, size_t n, unsigned int offloads,
	void (*emit)(void *opaque, const struct vnet_hdr *h, const uint8_t *p, size_t n),
	void *opaque);

/* Internet checksum: the sum of @n bytes in network order as a folded 16-bit number, added to @sum. */
uint32_t frame_sum(const uint8_t *p, size_t n, uint32_t sum);

#endif
