// SPDX-License-Identifier: GPL-2.0-or-later
/* A disk in memory, for tests of devices: the file protocol over a memfd. */
#include <stdlib.h>
#include "block/block_int.h"

struct block_dev *block_open_test(uint64_t size, struct error *err)
{
	struct block_dev *b = block_dev_new("test", err);

	if (!b)
		return NULL;
	b->file = block_file_new_memory(size, err);
	if (!b->file) {
		block_close(b);
		return NULL;
	}
	b->format = &raw_format;
	block_dev_fill_info(b);
	return b;
}
