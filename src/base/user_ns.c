// SPDX-License-Identifier: GPL-2.0-or-later
/* user_ns - a child in a user namespace: user_ns.h. */
#include "base/user_ns.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"

struct child {
	char uid[48], gid[48];
	void (*fn)(void *);
	void *opaque;
	bool ran;
};

static bool write_file(const char *path, const char *text)
{
	AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static int child_main(void *opaque)
{
	struct child *c = opaque;

	if (write_file("/proc/self/setgroups", "deny") &&
		write_file("/proc/self/uid_map", c->uid) &&
		write_file("/proc/self/gid_map", c->gid)) {
		c->fn(c->opaque);
		c->ran = true;
	}
	syscall(SYS_exit, 0);
	return 0;
}

int user_ns_run(int flags, void (*fn)(void *), void *opaque)
{
	struct child c = { .fn = fn, .opaque = opaque };
	_Alignas(16) char stack[16384];
	int status;
	pid_t pid;

	snprintf(c.uid, sizeof(c.uid), "%u %u 1\n", geteuid(), geteuid());
	snprintf(c.gid, sizeof(c.gid), "%u %u 1\n", getegid(), getegid());
	pid = clone(child_main, stack + sizeof(stack),
		CLONE_NEWUSER | flags | CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &c);
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return c.ran ? 0 : -EPERM;
}
