// SPDX-License-Identifier: GPL-2.0-or-later
/* raw - the guest's bytes are the file's. */
#include "block/block_int.h"

static void raw_submit(struct block_dev *b, struct block_req *r)
{
	block_file_submit(b->file, r);
}

const struct block_format raw_format = {
	.name = "raw",
	.doc = "the file's bytes are the disk's",
	.submit = raw_submit,
};
