// SPDX-License-Identifier: GPL-2.0-or-later
#include "sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/types.h"

/* Debian 12's header is of ABI 2: the rest by its numbers. */
#define FS_TRUNCATE   (1ull << 14) /* ABI 3 */
#define FS_IOCTL_DEV  (1ull << 15) /* ABI 5 */
#define NET_BOTH      3ull	   /* ABI 4: bind and connect TCP */
#define NET_CONNECT   2ull
#define RULE_NET_PORT 2
#define SCOPE_BOTH    3ull /* ABI 6: abstract unix sockets and signals of others */
#define FS_OF_ABI_1   ((1ull << 13) - 1)
#define FS_FILE	      (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)
#define FS_WRITE                                                                  \
	(FS_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
		LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |     \
		LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SOCK)

/* What the ruleset forbids: what of it this kernel knows. Set by landlock_new(); main only. */
static uint64_t handled_fs;

struct ruleset_attr {
	uint64_t fs, net, scoped;
};

int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? -errno : (int)abi;
}

static uint64_t fs_rights(int abi)
{
	return FS_OF_ABI_1 | (abi >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0) |
	       (abi >= 3 ? FS_TRUNCATE : 0) | (abi >= 5 ? FS_IOCTL_DEV : 0);
}

int landlock_new(bool tcp)
{
	int abi = landlock_abi();
	struct ruleset_attr a = { 0 };
	size_t size;
	long fd;

	if (abi < 0)
		return abi;
	a.fs = handled_fs = fs_rights(abi);
	if (abi >= 4 && tcp)
		a.net = NET_BOTH;
	if (abi >= 6)
		a.scoped = SCOPE_BOTH;
	/* An older kernel knows a shorter struct. */
	size = abi >= 6 ? sizeof(a) : abi >= 4 ? 16 : 8;
	fd = syscall(SYS_landlock_create_ruleset, &a, size, 0); /* close-on-exec of itself */
	return fd < 0 ? -errno : (int)fd;
}

static int add_rule(int ruleset, const char *path, uint64_t rights)
{
	AUTO_FD int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr a = { .parent_fd = fd };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	/* A file has none of the rights that only a folder can have. */
	if (!S_ISDIR(st.st_mode))
		rights &= FS_FILE;
	a.allowed_access = rights & handled_fs;
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &a, 0) < 0
		       ? -errno
		       : 0;
}

int landlock_allow_removal(int ruleset, int dir, bool files, bool folders)
{
	struct landlock_path_beneath_attr a = { .parent_fd = dir,
		.allowed_access = (files ? LANDLOCK_ACCESS_FS_REMOVE_FILE : 0) |
				  (folders ? LANDLOCK_ACCESS_FS_REMOVE_DIR : 0) };

	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &a, 0) < 0
		       ? -errno
		       : 0;
}

int landlock_allow(int ruleset, const char *path, enum sandbox_access access)
{
	switch (access) {
	case SANDBOX_READ:
		return add_rule(
			ruleset, path, LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR);
	case SANDBOX_WRITE:
		return add_rule(ruleset, path, FS_WRITE);
	}
	return -EINVAL;
}

int landlock_allow_connect(int ruleset, uint16_t port)
{
	struct {
		uint64_t access, port;
	} a = { NET_CONNECT, port };

	if (landlock_abi() < 4)
		return 0;
	return syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &a, 0) < 0 ? -errno : 0;
}

int landlock_restrict(int ruleset)
{
	return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}
