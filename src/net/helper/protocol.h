// SPDX-License-Identifier: GPL-2.0-or-later
/* protocol - between lodge (user.c) and lodge-net-user: which descriptors it starts with, and how long a
 * control message may be. Frames: SOCK_SEQPACKET, struct vnet_hdr and a frame. Control: SOCK_SEQPACKET, text.
 * An answer is `ok`, or an enum error_kind in digits and a message. The first one comes when the helper has confined
 * itself; then it waits for `start` and strings KEY=VALUE, each with a zero behind it, which is answered. When that was
 * refused it waits for the next `start`; otherwise for `forward SPEC` (which waits a while for a port that a VM which has
 * just ended may still have), `forward-now SPEC` and `unforward SPEC`, answered; `describe`, with a text for people;
 * `offloads N`, not. `stop` ends the network, if there is one, with all that belongs to it: the answer is
 * NET_USER_STOPPED, behind which nothing of that network comes any more, and the helper waits for `start`. */
#ifndef NET_HELPER_PROTOCOL_H
#define NET_HELPER_PROTOCOL_H

#define NET_USER_ARGUMENT	 "--child" /* its only one: people have none to give */
#define NET_USER_DATA_FD	 3
#define NET_USER_CTL_FD		 4
#define NET_USER_STOPPED	 "stopped"
#define NET_USER_TEXT_MAX	 400
#define NET_USER_START_MAX	 16384
#define NET_USER_DESCRIPTION_MAX 65536

#endif
