// SPDX-License-Identifier: GPL-2.0-or-later
/* testing - guest RAM for unit tests. */
#ifndef MEM_TESTING_H
#define MEM_TESTING_H

#include "base/testing.h"
#include "mem/ram.h"

static inline struct ram_block *test_ram(uint64_t size)
{
	struct ram_config c = { .name = "test", .size = size, .host_node = -1 };
	struct error err = ERROR_INIT;
	struct ram_block *b = ram_block_new(&c, &err);

	assert_non_null(b);
	return b;
}

#endif
