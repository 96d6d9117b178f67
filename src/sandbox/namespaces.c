// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * 1. unshare() copies the mounts. The copies are made private first: else what we mount and unmount
 *    would spread to the host.
 * 2. A ramfs, empty and read-only, becomes the root (pivot_root), and all else is unmounted. Where "/" is the
 *    kernel's own first file system (an initramfs), which cannot be moved, the ramfs lies over it.
 * 3. Directories from which something is to be removed later are cloned: mounts with no place in the tree,
 *    each its own root, so that ".." leads nowhere. The clone's descriptor takes the place of the old one.
 */
#include "sandbox/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/removal.h"
#include "base/user_ns.h"
#include "sandbox/network.h"

/* Kept with what else is: a new file gets its name by way of it when it is complete (linkat). What it leads
 * to is open already, and Landlock keeps it from being opened in another way. */
#define OWN_FDS "/proc/self/fd"

/* What unshare() has done, CLONE_*. Main, before other threads look. */
static int made;
static bool have_user;

/* -------- a user namespace -------- */

static void open_user(void *opaque)
{
	*(int *)opaque = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
}

static bool has_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	return syscall(SYS_capget, &head, data) < 0 || data[0].permitted || data[1].permitted;
}

int namespaces_user(void)
{
	int fd = -1, r;

	/* Who has some capabilities would lose them for what is opened yet. */
	if (has_capabilities())
		return 0;
	if (geteuid() == UID_UNKNOWN)
		return -EPERM;
	r = user_ns_run(0, open_user, &fd);
	if (r)
		return r;
	if (fd < 0)
		return -EPERM;
	if (setns(fd, CLONE_NEWUSER) < 0)
		r = -errno;
	close(fd);
	have_user = !r;
	return r;
}

bool namespaces_have_user(void)
{
	return have_user;
}

/* -------- directories and paths that are kept -------- */

static int clone_tree(const char *path, bool whole)
{
	return open_tree(
		AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (whole ? AT_RECURSIVE : 0));
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* In the copy of the host's mounts. What fails keeps its old descriptor. */
static void clone_removal_dirs(void)
{
	struct removal_dir *d;
	struct stat a, b;

	for (size_t i = 0; (d = removal_dir(i)); i++) {
		AUTO_FD int fd = clone_tree(d->path, false);

		if (fd < 0) /* mounts in it that we may not uncover */
			fd = clone_tree(d->path, true);
		if (fd >= 0 && !fstat(fd, &a) && !fstat(d->fd, &b) && same_file(&a, &b))
			dup3(fd, d->fd, O_CLOEXEC);
	}
}

/* The folders above @path in the new root. Where what is kept already covers them nothing is made. */
static void make_parents(char *path)
{
	for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = 0;
		mkdir(path, 0755);
		*p = '/';
	}
}

/* Mount the @tree at its @path in the new root, unless it is there with what was mounted before. */
static int put_tree(int tree, const char *path)
{
	AUTO_FREE char *copy = strdup(path);
	struct stat want, there;
	int fd;

	if (!copy)
		return -ENOMEM;
	if (fstat(tree, &want) < 0)
		return -errno;
	if (!stat(path, &there) && same_file(&want, &there))
		return 0;
	make_parents(copy);
	if (S_ISDIR(want.st_mode)) {
		mkdir(path, 0755);
	} else {
		fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
		if (fd >= 0)
			close(fd);
	}
	return move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

/* The name that the user gave leads there, too; but not `a/../b`, which would need an `a`. */
static void put_name(const struct kept_path *k)
{
	AUTO_FREE char *copy = strdup(k->given);
	struct stat st;

	if (!copy || strstr(k->given, "/../") || !stat(k->given, &st))
		return;
	make_parents(copy);
	(void)!symlink(k->real, k->given);
}

/* -------- the empty root -------- */

static int empty_root(void)
{
	AUTO_FD int fs = fsopen("ramfs", FSOPEN_CLOEXEC);

	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(
		fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

/* 1: the root is @root, and the old one lies over it; 0: it is, for good; else nothing has changed. */
static int change_root(int root)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
		fchdir(root) < 0)
		return -errno;
	if (!syscall(SYS_pivot_root, ".", "."))
		return 1;
	return errno != EINVAL || chroot(".") < 0 ? -errno : 0;
}

static void close_trees(int *trees, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (trees[i] >= 0)
			close(trees[i]);
	}
	free(trees);
}

/* Of @n paths, and one more of OWN_FDS, which may be missing. */
static int *open_trees(const struct kept_path *keep, size_t n, struct error *err)
{
	int *trees = malloc((n + 1) * sizeof(*trees));

	if (!trees) {
		error_set(err, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		trees[i] = clone_tree(keep[i].real, true);
		if (trees[i] < 0) {
			error_set_errno(err, errno, "sandbox: '%s'", keep[i].given);
			close_trees(trees, i);
			return NULL;
		}
	}
	trees[n] = n ? clone_tree(OWN_FDS, false) : -1;
	return trees;
}

/* Relative names of what is kept go on from @cwd, where they did. */
static bool fill_root(
	const struct kept_path *keep, size_t n, int *trees, char *cwd, struct error *err)
{
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };

	if (trees[n] >= 0)
		put_tree(trees[n], OWN_FDS);
	if (n && cwd) {
		make_parents(cwd);
		mkdir(cwd, 0755);
	}
	for (size_t i = 0; i < n; i++) {
		int r = put_tree(trees[i], keep[i].real);

		if (r)
			return error_set_errno(err, r, "sandbox: '%s'", keep[i].given);
		put_name(&keep[i]);
	}
	if (mount_setattr(AT_FDCWD, "/", 0, &ro, sizeof(ro)) < 0)
		return error_set_errno(err, errno, "sandbox: a read-only root");
	return (n && cwd && !chdir(cwd)) || !chdir("/") ||
	       error_set_errno(err, errno, "sandbox: the new root");
}

/* The host may refuse it yet: then paths are as they were. */
static bool empty_mounts(const struct kept_path *keep, size_t n, struct error *err)
{
	AUTO_FREE char *cwd = getcwd(NULL, 0);
	AUTO_FD int root = empty_root();
	int *trees, r = -1;
	bool ok;

	trees = open_trees(keep, n, err);
	if (!trees)
		return false;
	if (root >= 0) {
		clone_removal_dirs();
		r = change_root(root);
	}
	if (r < 0)
		made &= ~CLONE_NEWNS;
	ok = r != 1 || !umount2(".", MNT_DETACH) ||
	     error_set_errno(err, errno, "sandbox: the old root");
	if (ok && r >= 0)
		ok = fill_root(keep, n, trees, cwd, err);
	close_trees(trees, n + 1);
	return ok;
}

/* -------- all of them -------- */

void namespaces_begin(void)
{
	network_begin(!have_user && !geteuid());
}

void namespaces_forget(void)
{
	network_forget();
}

bool namespaces_make(const struct kept_path *keep, size_t n, struct error *err)
{
	made |= network_join() ? CLONE_NEWNET : 0;
	made |= unshare(CLONE_NEWNS) ? 0 : CLONE_NEWNS;
	return !(made & CLONE_NEWNS) || empty_mounts(keep, n, err);
}

int namespaces_join(void)
{
	AUTO_FD int self = -1;

	if (!made)
		return 0;
	self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	return self < 0 || setns(self, made) < 0 ? -errno : 0;
}

const char *namespaces_made(void)
{
	if (!made)
		return NULL;
	return made == CLONE_NEWNS ? "mount" : made == CLONE_NEWNET ? "network" : "mount, network";
}

bool namespaces_possible(void)
{
	int status = 1;
	pid_t pid = fork();

	if (!pid)
		_exit(namespaces_user() || unshare(CLONE_NEWNS | CLONE_NEWNET));
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && !status;
}
