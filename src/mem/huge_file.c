// SPDX-License-Identifier: GPL-2.0-or-later
/* huge_file - memory with huge pages that can be mapped more than once: huge_file.h. */
#include "mem/huge_file.h"
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/user_ns.h"
#include "mem/mem_int.h"

#define SETTING "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

/* "deny" is for tmpfs, too; all other settings give a memfd what it asks for. */
static bool memfd_is_small(void)
{
	char text[128];

	return mem_read_small_file(SETTING, text, sizeof(text)) && strstr(text, "[never]");
}

static bool set(int fs, const char *name, const char *value)
{
	return fsconfig(fs, FSCONFIG_SET_STRING, name, value, 0) == 0;
}

/* Of the tmpfs; NONE: not tried yet; -1: there is none. */
#define NONE (-2)
static int root = NONE;

static void make_root(void *opaque)
{
	AUTO_FD int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

	/* No size: as with a memfd the file's is what counts. */
	if (fs >= 0 && set(fs, "huge", "advise") && set(fs, "size", "0") &&
		!fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		root = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

int huge_file_new(const char *name)
{
	char path[64];
	int fd;

	if (root == NONE) {
		root = -1;
		if (memfd_is_small()) {
			make_root(NULL);
			if (root < 0)
				(void)user_ns_run(CLONE_NEWNS, make_root, NULL);
		}
	}
	if (root < 0)
		return -1;
	snprintf(path, sizeof(path), "lodge-%s", name);
	fd = openat(root, path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		unlinkat(root, path, 0);
	return fd;
}

void huge_file_end(void)
{
	if (root >= 0)
		close(root);
	root = -1;
}
