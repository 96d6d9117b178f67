// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * format - an image format: maps guest offsets to the file's. One file in fmt/ and one word in its
 * meson.build makes one.
 */
#ifndef BLOCK_FORMAT_H
#define BLOCK_FORMAT_H

#include "block/block.h"

struct block_format {
	const char *name, *doc;
	bool (*open)(struct block_dev *b, const struct block_config *c, struct error *err);
	void (*close)(struct block_dev *b);
	void (*submit)(struct block_dev *b, struct block_req *r);
};

extern const struct block_format *const block_format_table[];

#endif
