// SPDX-License-Identifier: GPL-2.0-or-later
/* Opening a disk by its configuration: the format is told, never guessed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/str.h"
#include "block/block_int.h"

#define MAGIC_MAX 512

/* Formats whose header at the start of the file says that a user probably forgot to name them. A
 * guest can write such a header into its raw disk, so it must never decide how a disk is read. */
static const struct {
	const char *name, *magic;
	uint32_t off, len;
} magics[] = {
	{ "qcow2", "QFI\xfb", 0, 4 },
	{ "vmdk", "KDMV", 0, 4 },
	{ "vhdx", "vhdxfile", 0, 8 },
	{ "vdi", "\x7f\x10\xda\xbe", 64, 4 },
};

/* No format was named: refuse a file that looks like another format than raw. */
static bool check_magic(const struct block_file *f, struct error *err)
{
	int flags = fcntl(f->fd, F_GETFL);
	uint8_t head[MAGIC_MAX];
	ssize_t n;

	/* A look at some bytes in any buffer: without O_DIRECT. */
	fcntl(f->fd, F_SETFL, flags & ~O_DIRECT);
	n = pread(f->fd, head, sizeof(head), 0);
	if (n < 0)
		return error_set_errno(err, errno, "cannot read '%s'", f->path);
	fcntl(f->fd, F_SETFL, flags);
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		if ((size_t)n >= magics[i].off + magics[i].len &&
			!memcmp(head + magics[i].off, magics[i].magic, magics[i].len))
			return error_usage(err,
				"'%s' begins like a %s image: say format=raw if the guest shall "
				"see the file's bytes as its disk",
				f->path, magics[i].name);
	}
	return true;
}

static const struct block_format *format_find(const char *name, struct error *err)
{
	AUTO(str) have = STR_INIT;

	for (size_t i = 0; block_format_table[i]; i++) {
		if (!strcmp(block_format_table[i]->name, name))
			return block_format_table[i];
		str_appendf(&have, "%s%s", i ? ", " : "", block_format_table[i]->name);
	}
	error_usage(err, "unknown image format '%s': there is %s", name, str_cstr(&have));
	return NULL;
}

static bool open_layers(struct block_dev *b, const struct block_config *c, struct error *err)
{
	b->format = format_find(c->format ? c->format : "raw", err);
	if (!b->format)
		return false;
	b->file = block_file_open(c, err);
	if (!b->file)
		return false;
	if (!c->format && !check_magic(b->file, err))
		return false;
	block_dev_fill_info(b);
	b->cache = c->cache;
	b->detect_zeroes = c->detect_zeroes;
	return !b->format->open || b->format->open(b, c, err);
}

struct block_dev *block_open(const struct block_config *c, struct error *err)
{
	const char *id = c->id ? c->id : c->file ? c->file : "";
	struct block_dev *b;

	if (!c->file || !*c->file) {
		error_usage(err, "disk '%s': needs file=PATH", id);
		return NULL;
	}
	b = block_dev_new(id, err);
	if (b && open_layers(b, c, err) && block_set_limits(b, &c->limits, err))
		return b;
	error_prefix(err, "disk '%s'", id);
	if (b)
		b->format = NULL; /* not opened: not closed */
	block_close(b);
	return NULL;
}
