// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * resize - another size for a disk that may be in use. Main; the device's requests stand still meanwhile, so
 * nothing reads the size while it changes, and no write beyond a new end is under way.
 */
#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "block/block_int.h"

void block_set_user(struct block_dev *b, struct block_user *u)
{
	b->user = u;
}

/* A block device has the size that it has: it is asked anew. */
static bool resize_device(struct block_file *f, uint64_t size, struct error *err)
{
	uint64_t have = 0;

	if (ioctl(f->fd, BLKGETSIZE64, &have) < 0)
		return error_set_errno(err, errno, "cannot ask '%s' for its size", f->path);
	if (size > have)
		return error_set(err,
			"'%s' is a block device of %llu bytes and does not grow by this: enlarge "
			"it on the host first",
			f->path, (unsigned long long)have);
	f->size = have;
	return true;
}

static bool resize_file(struct block_file *f, uint64_t size, struct error *err)
{
	if (f->blkdev)
		return resize_device(f, size, err);
	if (ftruncate(f->fd, (off_t)size) < 0)
		return error_set_errno(err, errno, "'%s' cannot be given %llu bytes", f->path ?: "",
			(unsigned long long)size);
	f->size = size;
	atomic_fetch_add(&f->write_gen, 1); /* the next flush has something to make durable */
	return true;
}

static bool check_size(const struct block_dev *b, uint64_t size, struct error *err)
{
	const struct block_file *f = b->file;
	uint32_t unit = f->direct ? MAX(f->dio_align, b->info.request_align)
				  : b->info.request_align;

	if (f->readonly)
		return error_set(err, "it is read-only");
	if (f->overlay_fd >= 0)
		return error_set(err, "with snapshot=on its size cannot change");
	if (!size || size > INT64_MAX)
		return error_usage(err, "%llu bytes is no size", (unsigned long long)size);
	if (size % unit && !f->blkdev)
		return error_usage(err, "its size must be a multiple of %u bytes", unit);
	return true;
}

bool block_resize(struct block_dev *b, uint64_t size, struct error *err)
{
	struct block_user *u = b->user;
	bool ok;

	if (!check_size(b, size, err))
		return error_prefix(err, "disk '%s'", b->id);
	if (b->loop && !u)
		return error_set(err, "disk '%s': its device's size cannot change", b->id);
	if (u)
		u->hold(u);
	ok = resize_file(b->file, size, err);
	b->info.size = b->file->size;
	if (u) {
		u->let_go(u);
		if (ok)
			u->resized(u);
	}
	return ok || error_prefix(err, "disk '%s'", b->id);
}
