// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * file - regular files and host block devices: opening them, what they can do, who else may have
 * them open. The requests are file_io.c's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/fdset.h"
#include "base/patience.h"
#include "base/str.h"
#include "block/block_int.h"

#define SECTOR	      512u
#define DIO_ALIGN_MAX 65536u /* more than any device wants; beyond it something is wrong */

static struct block_file *file_new(const char *path, struct error *err)
{
	struct block_file *f = calloc(1, sizeof(*f));

	if (!f || !(f->path = strdup(path))) {
		free(f);
		error_set(err, "out of memory");
		return NULL;
	}
	f->fd = f->overlay_fd = -1;
	f->logical = SECTOR;
	f->physical = OVERLAY_UNIT;
	f->dio_align = f->mem_align = 1;
	f->rmw_align = SECTOR;
	list_init(&f->bounce_wait);
	list_init(&f->active);
	list_init(&f->waiting);
	list_init(&f->job_wait);
	block_sync_init(&f->sync);
	/* Data may have been left in the host's cache by who had the file before: the first flush
	 * is always done. */
	f->write_gen = 1;
	return f;
}

void block_file_close(struct block_file *f)
{
	if (!f)
		return;
	worker_pool_free(f->pool);
	block_sync_fini(&f->sync);
	if (f->overlay_fd >= 0)
		close(f->overlay_fd);
	free(f->overlay_map);
	if (f->bounce)
		munmap(f->bounce, (size_t)BOUNCE_SLOTS * BOUNCE_SIZE);
	/* The locks are the open file's, which who passed it in may still hold. */
	if (f->fd >= 0 && fdset_is_path(f->path))
		block_file_unlock(f);
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	free(f);
}

uint64_t block_file_allocated(const struct block_file *f)
{
	struct stat st;

	return f->fd >= 0 && !fstat(f->fd, &st) ? (uint64_t)st.st_blocks * 512 : 0;
}

/* -------- opening -------- */

/* Not a directory, a FIFO ...: checked before open(), which a FIFO would block. */
static bool check_kind(struct block_file *f, struct error *err)
{
	struct stat st;

	if ((f->fd >= 0 ? fstat(f->fd, &st) : stat(f->path, &st)) < 0)
		return error_set_errno(err, errno, "cannot open '%s'", f->path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_set(err, "'%s' is neither a regular file nor a block device", f->path);
	f->blkdev = S_ISBLK(st.st_mode);
	return true;
}

static bool open_failed(struct block_file *f, int e, struct error *err)
{
	if (e == EINVAL && f->direct)
		return error_set(err,
			"cannot open '%s' with cache=none: its file system has no direct I/O; use "
			"cache=writeback",
			f->path);
	if (e == EBUSY && f->blkdev)
		return error_set(err,
			"'%s' is in use by the host (mounted, or part of a RAID or volume group): "
			"release it, or use readonly=on",
			f->path);
	if (!f->readonly && (e == EACCES || e == EROFS || e == EPERM) && !access(f->path, R_OK))
		return error_set_errno(
			err, e, "cannot open '%s' for writing (readonly=on would do)", f->path);
	return error_set_errno(err, e, "cannot open '%s'", f->path);
}

static bool open_fd(struct block_file *f, bool shared, struct error *err)
{
	int flags = O_CLOEXEC | O_NOCTTY | (f->readonly ? O_RDONLY : O_RDWR);

	if (f->direct)
		flags |= O_DIRECT;
	/* On a block device O_EXCL means: not while the host itself uses it. */
	if (f->blkdev && !f->readonly && !shared)
		flags |= O_EXCL;
	f->fd = open(f->path, flags);
	return f->fd >= 0 || open_failed(f, errno, err);
}

/* One that was passed in; who opened it has decided on O_EXCL. */
static bool take_fd(struct block_file *f, struct error *err)
{
	f->fd = fdset_open(
		f->path, (f->readonly ? O_RDONLY : O_RDWR) | (f->direct ? O_DIRECT : 0), err);
	return f->fd >= 0 && check_kind(f, err);
}

static bool open_path(struct block_file *f, bool shared, struct error *err)
{
	if (fdset_is_path(f->path))
		return take_fd(f, err);
	return check_kind(f, err) && open_fd(f, shared, err);
}

static bool pow2(uint32_t x)
{
	return x && !(x & (x - 1));
}

/* What the kernel says about direct I/O on this file; false when it does not say. */
static bool statx_align(struct block_file *f)
{
#ifdef STATX_DIOALIGN
	struct statx sx;

	if (statx(f->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) < 0 ||
		!(sx.stx_mask & STATX_DIOALIGN) || !pow2(sx.stx_dio_offset_align) ||
		!pow2(sx.stx_dio_mem_align))
		return false;
	f->dio_align = MAX(sx.stx_dio_offset_align, SECTOR);
	f->mem_align = sx.stx_dio_mem_align;
	return f->dio_align <= DIO_ALIGN_MAX && f->mem_align <= DIO_ALIGN_MAX;
#else
	return false;
#endif
}

/* Find by trying what reads the kernel takes. */
static bool probe_align(struct block_file *f)
{
	uint8_t *buf = mmap(NULL, 2 * DIO_ALIGN_MAX, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t a, m;

	if (buf == MAP_FAILED)
		return false;
	for (a = SECTOR; a <= DIO_ALIGN_MAX; a *= 2) {
		if (pread(f->fd, buf, a, 0) >= 0)
			break;
	}
	for (m = SECTOR; m < OVERLAY_UNIT; m *= 2) {
		if (pread(f->fd, buf + m, a, 0) >= 0)
			break;
	}
	munmap(buf, 2 * DIO_ALIGN_MAX);
	f->dio_align = a;
	f->mem_align = m;
	return a <= DIO_ALIGN_MAX;
}

static bool find_align(struct block_file *f, struct error *err)
{
	if (!f->direct)
		return true;
	if (!statx_align(f) && !probe_align(f))
		return error_set(
			err, "'%s' has no direct I/O (cache=none): use cache=writeback", f->path);
	if (!f->readonly && f->size % f->dio_align)
		return error_set(err,
			"cache=none needs a size that is a multiple of %u here, '%s' has %llu "
			"bytes: "
			"use cache=writeback, or enlarge it with: truncate -s %%%u",
			f->dio_align, f->path, (unsigned long long)f->size, f->dio_align);
	return true;
}

/* -------- size and geometry -------- */

static bool regular_info(struct block_file *f, struct error *err)
{
	struct stat st;

	if (fstat(f->fd, &st) < 0)
		return error_set_errno(err, errno, "cannot stat '%s'", f->path);
	f->size = (uint64_t)st.st_size;
	if (!f->size)
		return error_set(
			err, "'%s' is empty: give it a size with: truncate -s SIZE", f->path);
	if (f->size % SECTOR)
		return error_set(err,
			"'%s' has %llu bytes, not a multiple of 512: enlarge it with: truncate -s "
			"%%512",
			f->path, (unsigned long long)f->size);
	return true;
}

/* One number from the device's queue directory in sysfs; 0 when it is not there. */
static uint64_t sysfs_queue(dev_t dev, const char *name)
{
	AUTO_FREE char *path = str_printf(
		"/sys/dev/block/%u:%u/queue/%s", major(dev), minor(dev), name);
	unsigned long long v = 0;
	FILE *fp = path ? fopen(path, "re") : NULL;

	if (!fp && path) {
		/* A partition: the queue is its disk's. */
		free(path);
		path = str_printf("/sys/dev/block/%u:%u/../queue/%s", major(dev), minor(dev), name);
		fp = path ? fopen(path, "re") : NULL;
	}
	if (!fp)
		return 0;
	if (fscanf(fp, "%llu", &v) != 1)
		v = 0;
	fclose(fp);
	return v;
}

static bool blkdev_info(struct block_file *f, struct error *err)
{
	unsigned int physical = 0, opt = 0;
	int logical = 0, ro = 0;
	struct stat st;

	if (ioctl(f->fd, BLKGETSIZE64, &f->size) < 0 || ioctl(f->fd, BLKSSZGET, &logical) < 0 ||
		ioctl(f->fd, BLKROGET, &ro) < 0 || fstat(f->fd, &st) < 0)
		return error_set_errno(
			err, errno, "cannot ask block device '%s' for its size", f->path);
	if (!f->size)
		return error_set(err, "block device '%s' has no medium or no size", f->path);
	if (ro && !f->readonly)
		return error_set(err, "block device '%s' is read-only: use readonly=on", f->path);
	if (logical < (int)SECTOR || logical > (int)DIO_ALIGN_MAX || !pow2((uint32_t)logical))
		return error_set(
			err, "block device '%s' has sectors of %d bytes", f->path, logical);
	ioctl(f->fd, BLKPBSZGET, &physical);
	ioctl(f->fd, BLKIOOPT, &opt);
	f->logical = (uint32_t)logical;
	f->physical = pow2(physical) ? MAX(physical, f->logical) : f->logical;
	f->opt_io = opt % f->logical ? 0 : opt;
	f->rotational = sysfs_queue(st.st_rdev, "rotational");
	return true;
}

/* -------- locks -------- */

/*
 * QEMU's protocol, so that it and we keep out of each other's images. A process that uses an image
 * in way P holds a shared lock on byte 100 + P, and one that cannot bear others to use it in way P
 * holds byte 200 + P. Take one's own first, then look for the others': who comes second notices.
 */
enum { WAY_READ = 0, WAY_WRITE = 1 };
#define LOCK_USES    100
#define LOCK_FORBIDS 200

static int lock_byte(int fd, int cmd, int type, off_t byte, bool *held)
{
	struct flock fl = {
		.l_type = (short)type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1
	};
	int r;

	do {
		r = fcntl(fd, cmd, &fl);
	} while (r < 0 && errno == EINTR);
	if (held)
		*held = fl.l_type != F_UNLCK;
	return r < 0 ? -errno : 0;
}

static bool others_hold(const struct block_file *f, off_t byte)
{
	bool held = false;

	return !lock_byte(f->fd, F_OFD_GETLK, F_WRLCK, byte, &held) && held;
}

static bool lock_now(struct block_file *f, struct error *err)
{
	const char *remedy = "end it, or give both of them readonly=on or snapshot=on";
	bool readonly = f->readonly || f->overlay_fd >= 0; /* the image itself */
	int r = lock_byte(f->fd, F_OFD_SETLK, F_RDLCK, LOCK_USES + WAY_READ, NULL);

	if (!r && !readonly)
		r = lock_byte(f->fd, F_OFD_SETLK, F_RDLCK, LOCK_USES + WAY_WRITE, NULL);
	if (!r)
		r = lock_byte(f->fd, F_OFD_SETLK, F_RDLCK, LOCK_FORBIDS + WAY_WRITE, NULL);
	if (r == -EAGAIN || r == -EACCES)
		return error_set(err, "'%s' is locked by another process", f->path);
	if (r < 0)
		return true; /* a file system without locks: nothing to be had */
	if (others_hold(f, LOCK_USES + WAY_WRITE))
		return error_set(err, "'%s' is being written by another virtual machine: %s",
			f->path, remedy);
	if (others_hold(f, LOCK_FORBIDS + WAY_READ))
		return error_set(err, "'%s' is in exclusive use by another process", f->path);
	if (!readonly && others_hold(f, LOCK_FORBIDS + WAY_WRITE))
		return error_set(
			err, "'%s' is in use by another virtual machine: %s", f->path, remedy);
	return true;
}

bool block_file_lock(struct block_file *f, struct error *err)
{
	for (unsigned int waited = 0; !lock_now(f, err);) {
		if (!patience_wait(&waited))
			return false;
		block_file_unlock(f); /* or two that wait would wait for each other */
		*err = (struct error)ERROR_INIT;
	}
	return true;
}

void block_file_unlock(struct block_file *f)
{
	for (off_t way = WAY_READ; way <= WAY_WRITE; way++) {
		(void)!lock_byte(f->fd, F_OFD_SETLK, F_UNLCK, LOCK_USES + way, NULL);
		(void)!lock_byte(f->fd, F_OFD_SETLK, F_UNLCK, LOCK_FORBIDS + way, NULL);
	}
}

/* -------- buffers and the temporary overlay -------- */

bool block_file_bounce(struct block_file *f, struct error *err)
{
	void *p = mmap(NULL, (size_t)BOUNCE_SLOTS * BOUNCE_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return error_set(err, "out of memory");
	f->bounce = p;
	f->bounce_free = BIT(BOUNCE_SLOTS) - 1;
	return true;
}

static int temporary_file(void)
{
	const char *dir = getenv("TMPDIR");
	int fd;

	if (!dir || !*dir)
		dir = "/var/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		AUTO_FREE char *path = str_printf("%s/lodge-XXXXXX", dir);

		if (!path)
			return -1;
		fd = mkostemp(path, O_CLOEXEC);
		if (fd >= 0)
			unlink(path);
	}
	return fd;
}

bool block_file_overlay(struct block_file *f, struct error *err)
{
	uint64_t units = (f->size + OVERLAY_UNIT - 1) / OVERLAY_UNIT;

	f->overlay_map = calloc((units + 63) / 64, sizeof(uint64_t));
	if (!f->overlay_map)
		return error_set(err, "out of memory for the snapshot of '%s'", f->path);
	f->overlay_fd = temporary_file();
	if (f->overlay_fd < 0 || ftruncate(f->overlay_fd, (off_t)f->size) < 0)
		return error_set_errno(err, errno,
			"snapshot=on cannot make a temporary file in '%s' (TMPDIR chooses another "
			"place)",
			getenv("TMPDIR") ? getenv("TMPDIR") : "/var/tmp");
	f->unsafe = true;
	return true;
}

/* -------- all together -------- */

static bool file_setup(struct block_file *f, const struct block_config *c, struct error *err)
{
	bool snapshot = c->snapshot && !c->readonly;

	f->readonly = c->readonly || snapshot;
	/* An overlay lives in the host's cache anyway; so its base need not do without. */
	f->direct = c->cache == BLOCK_CACHE_NONE && !snapshot;
	f->unsafe = c->cache == BLOCK_CACHE_UNSAFE;
	f->cache_through = c->cache == BLOCK_CACHE_WRITETHROUGH;
	f->discard = c->discard & 1;
	f->detect_zeroes = c->detect_zeroes;
	if (!open_path(f, c->unlocked, err) || (!c->unlocked && !block_file_lock(f, err)) ||
		!(f->blkdev ? blkdev_info(f, err) : regular_info(f, err)) || !find_align(f, err))
		return false;
	if (snapshot) {
		if (!block_file_overlay(f, err))
			return false;
		f->readonly = false;
		f->discard = false;
		f->rmw_align = OVERLAY_UNIT;
	}
	f->rmw_align = MAX(f->rmw_align, f->dio_align);
	if (f->blkdev && f->discard && !(f->pool = worker_pool_new("discard", 1, err)))
		return false;
	return (!f->direct && !snapshot) || block_file_bounce(f, err);
}

struct block_file *block_file_open(const struct block_config *c, struct error *err)
{
	struct block_file *f = file_new(c->file, err);

	if (f && file_setup(f, c, err))
		return f;
	block_file_close(f);
	return NULL;
}

struct block_file *block_file_new_memory(uint64_t size, struct error *err)
{
	struct block_file *f = file_new("memory", err);

	if (!f)
		return NULL;
	f->size = size;
	f->discard = true;
	f->fd = memfd_create("lodge-test-disk", MFD_CLOEXEC);
	if (f->fd < 0 || ftruncate(f->fd, (off_t)size) < 0) {
		error_set_errno(err, errno, "cannot make a disk in memory");
		block_file_close(f);
		return NULL;
	}
	return f;
}
