// SPDX-License-Identifier: GPL-2.0-or-later
/* testing - unit tests that run on each back end of the loop: *state points to the flags of loop_new(). */
#ifndef LOOP_TESTING_H
#define LOOP_TESTING_H

#include "base/testing.h"
#include "loop/loop.h"

static unsigned int with_epoll = LOOP_URING | LOOP_NO_URING, with_uring = LOOP_URING;

/* Two rows of a struct CMUnitTest array. */
#define BOTH_WITH(f, setup, teardown)                            \
	{ #f "(epoll)", f, setup, teardown, &with_epoll },       \
	{                                                        \
#f "(io_uring)", f, setup, teardown, &with_uring \
	}
#define BOTH(f) BOTH_WITH(f, NULL, NULL)

static inline struct loop *test_loop(void **state)
{
	struct error err = ERROR_INIT;
	struct loop *l = loop_new("test", *(unsigned int *)*state, &err);

	assert_non_null(l);
	return l;
}

#endif
