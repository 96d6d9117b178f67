// SPDX-License-Identifier: GPL-2.0-or-later
/* Frames as messages on a socket, one each: the user network's helper, datagrams between VMs. */
#include <errno.h>
#include <string.h>
#include "base/types.h"
#include "net/net_int.h"

/* Messages that are nothing for us, in one call. */
#define TRIES 64

/* Fill @m for @p; the back end's header goes before the frame. */
static void message_fill(struct net_dev *d, struct mmsghdr *m, struct net_packet *p)
{
	struct iovec *iov = p->iov;
	size_t n = (size_t)p->n;

	if (d->vnet) {
		*--iov = (struct iovec){ &p->hdr, sizeof(p->hdr) };
		n++;
	}
	m->msg_hdr = (struct msghdr){ .msg_iov = iov, .msg_iovlen = n };
	if (d->peer_len) {
		m->msg_hdr.msg_name = &d->peer;
		m->msg_hdr.msg_namelen = d->peer_len;
	}
}

int net_message_send(struct net_dev *d, unsigned int q, struct net_packet *p, int n)
{
	int fd = d->queue[q].tx_fd >= 0 ? d->queue[q].tx_fd : d->queue[q].fd, made = 0, done = 0;
	struct mmsghdr m[NET_BATCH];
	int index[NET_BATCH];

	for (int i = 0; i < n && made < NET_BATCH; i++) {
		if (!p[i].len)
			continue;
		index[made] = i;
		message_fill(d, &m[made++], &p[i]);
	}
	while (done < made) {
		int r = sendmmsg(
			fd, m + done, (unsigned int)(made - done), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (r > 0)
			done += r;
		else if (errno == EAGAIN || errno == ENOBUFS)
			return index[done];
		else if (errno != EINTR)
			p[index[done++]].lost = true; /* nobody there, or too long: as on a wire */
	}
	return n;
}

static bool is_own(const struct net_dev *d, const struct sockaddr_storage *from, socklen_t len)
{
	return d->own_known && len == d->own_len && !memcmp(from, &d->own, len);
}

ssize_t net_message_recv(
	struct net_dev *d, unsigned int q, struct vnet_hdr *h, struct iovec *iov, int n)
{
	size_t skip = d->vnet ? sizeof(*h) : 0;
	struct sockaddr_storage from;
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = (size_t)n };
	ssize_t r;

	errno = 0;
	if (d->vnet) {
		iov[-1] = (struct iovec){ h, sizeof(*h) };
		m.msg_iov--;
		m.msg_iovlen++;
	} else {
		memset(h, 0, sizeof(*h));
	}
	for (int tries = 0; tries < TRIES; tries++) {
		m.msg_name = d->own_known ? &from : NULL;
		m.msg_namelen = d->own_known ? sizeof(from) : 0;
		r = recvmsg(d->queue[q].fd, &m, MSG_DONTWAIT);
		if (r < 0 && errno == EAGAIN)
			return -EAGAIN;
		/* Without a connection an error is an earlier message's, and an empty message is one. */
		if (r <= 0 && d->connected && errno != EINTR)
			return -EPIPE;
		if (r >= (ssize_t)(skip + NET_FRAME_MIN) && !is_own(d, &from, m.msg_namelen))
			return r - (ssize_t)skip;
	}
	return -EAGAIN; /* the descriptor is readable still: called again */
}
