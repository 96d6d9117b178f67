// SPDX-License-Identifier: GPL-2.0-or-later
#include "sandbox/network.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/log.h"
#include "base/thread.h"

static struct {
	pthread_t thread;
	bool started;
	bool share;
	int fd;
} network = { .fd = -1 };

static void *network_thread(void *opaque)
{
	if (!unshare(CLONE_NEWNET))
		network.fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	return NULL;
}

/* -------- the one for all -------- */

/* Nobody else can have put something in its place. */
static bool shared_dir_is_ours(void)
{
	struct stat st;

	return !lstat(NETWORK_SHARED_DIR, &st) && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       !(st.st_mode & 022);
}

/* -1: there is none, or something else is there. */
static int open_shared(void)
{
	AUTO_FD int fd = -1;
	struct statfs fs;
	int taken;

	if (!shared_dir_is_ours())
		return -1;
	fd = open(NETWORK_SHARED, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != NSFS_MAGIC ||
		ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return -1;
	taken = fd;
	fd = -1;
	return taken;
}

/* A namespace lives as long as it is mounted somewhere. Two VMs that do this at the same time mount two, one over the other:
 * nothing is lost but that. What cannot be done is left: the next VM makes its own again. */
static void leave_shared(void)
{
	AUTO_FD int fd = -1;
	char own[32];

	if (mkdir(NETWORK_SHARED_DIR, 0700) < 0 && !shared_dir_is_ours())
		return;
	fd = open(NETWORK_SHARED, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0400);
	snprintf(own, sizeof(own), "/proc/self/fd/%d", network.fd);
	if (fd < 0 || mount(own, NETWORK_SHARED, NULL, MS_BIND, NULL) < 0)
		log_info("sandbox", "each VM makes a network namespace: none can be left at '%s'",
			NETWORK_SHARED);
}

/* -------- -------- */

void network_begin(bool share)
{
	network.share = share;
	network.fd = share ? open_shared() : -1;
	if (network.fd < 0)
		network.started = !thread_create(&network.thread, false, -1, network_thread, NULL);
}

void network_forget(void)
{
	if (network.started)
		pthread_join(network.thread, NULL);
	network.started = false;
	if (network.fd >= 0)
		close(network.fd);
	network.fd = -1;
}

bool network_join(void)
{
	bool is_new = network.started, ok;

	if (is_new)
		pthread_join(network.thread, NULL);
	network.started = false;
	ok = network.fd >= 0 && !setns(network.fd, CLONE_NEWNET);
	if (ok && is_new && network.share)
		leave_shared();
	network_forget();
	return ok || !unshare(CLONE_NEWNET);
}
