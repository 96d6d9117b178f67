// SPDX-License-Identifier: GPL-2.0-or-later
/* protocol - between lodge (user.c) and lodge-net-user: which descriptors it starts with, and how long a
 * control message may be. Frames: SOCK_SEQPACKET, struct vnet_hdr and a frame. Control: SOCK_SEQPACKET, text;
 * `forward SPEC` (which waits a
 * while for a port that a VM which has just ended may still have), `forward-now SPEC` and `unforward SPEC` are answered
 * (`ok`, or an enum error_kind in digits and a message), `describe` with a text for people, `offloads N` isn't; at
 * the start comes such an answer too. */
#ifndef NET_HELPER_PROTOCOL_H
#define NET_HELPER_PROTOCOL_H

#define NET_USER_DATA_FD	 3
#define NET_USER_CTL_FD		 4
#define NET_USER_TEXT_MAX	 400
#define NET_USER_DESCRIPTION_MAX 65536

#endif
