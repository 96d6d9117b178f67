// SPDX-License-Identifier: GPL-2.0-or-later
/* capture - what passes a back end, both ways, in a pcap file (the format of libpcap 2.4, link type
 * Ethernet, nanoseconds) for tcpdump and Wireshark. A frame goes out in one write(2), so that the file can be
 * read while it grows; when the disk is full the capture ends, not the network. Queues on several loops take
 * turns, so that times in the file only grow. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "base/log.h"
#include "base/types.h"
#include "net/net_int.h"

#define MAGIC_NS      0xa1b23c4du
#define LINK_ETHERNET 1
#define SNAP_LEN      262144

struct net_capture {
	int fd;		   /* owned */
	struct mutex lock; /* the file's end; `failed` */
	bool failed MEMBER_GUARDED_BY(lock);
};

struct net_capture *net_capture_open(const char *path, struct error *err)
{
	struct {
		uint32_t magic;
		uint16_t major, minor;
		uint32_t zone, accuracy, snap, link;
	} head = { MAGIC_NS, 2, 4, 0, 0, SNAP_LEN, LINK_ETHERNET };
	struct net_capture *c = calloc(1, sizeof(*c));

	if (!c) {
		error_set(err, "out of memory");
		return NULL;
	}
	mutex_init(&c->lock);
	c->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (c->fd >= 0 && write(c->fd, &head, sizeof(head)) == sizeof(head))
		return c;
	error_set_errno(err, errno, "cannot write the capture '%s'", path);
	net_capture_close(c);
	return NULL;
}

void net_capture_close(struct net_capture *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	mutex_fini(&c->lock);
	free(c);
}

static void write_frame(struct net_capture *c, const struct iovec *iov, int n, size_t len)
	REQUIRES(c->lock)
{
	struct {
		uint32_t sec, ns, captured, length;
	} head;
	struct iovec v[NET_IOV_MAX + 1];
	struct timespec now;
	size_t left = len;
	int k = 0;

	if (c->failed || n > NET_IOV_MAX)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	head.sec = (uint32_t)now.tv_sec;
	head.ns = (uint32_t)now.tv_nsec;
	head.captured = head.length = (uint32_t)len;
	v[k++] = (struct iovec){ &head, sizeof(head) };
	for (int i = 0; i < n && left; i++) {
		v[k++] = (struct iovec){ iov[i].iov_base, MIN(iov[i].iov_len, left) };
		left -= v[k - 1].iov_len;
	}
	if (writev(c->fd, v, k) == (ssize_t)(sizeof(head) + len))
		return;
	log_write(LOG_WARN, "net", "the capture ends here: it cannot be written any more");
	c->failed = true;
}

void net_capture_frame(struct net_capture *c, const struct iovec *iov, int n, size_t len)
{
	mutex_lock(&c->lock);
	write_frame(c, iov, n, len);
	mutex_unlock(&c->lock);
}
