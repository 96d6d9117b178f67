// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fault - allocations that fail on demand, so that tests can walk every out-of-memory path.
 *
 * Tests are linked with this library and with `-Wl,--wrap=malloc` and so on (fault_link_args in
 * src/meson.build): every call of an allocation function from code that is linked statically into
 * the test, which is all of Lodge, goes through here. The C library's own calls and shared
 * libraries' do not. No program links it, so a release pays nothing, not even a branch.
 *
 * The countdown belongs to the calling thread: what loops and workers allocate meanwhile is neither
 * counted nor failed, which keeps a sweep repeatable.
 *
 * To walk a piece of code with each of its allocations failing in turn:
 *
 *	struct fault_sweep sweep = FAULT_SWEEP_INIT;
 *
 *	while (fault_sweep(&sweep)) {
 *		struct device *d = device_create(m, "virtio-blk", "drive=d0", &err);
 *
 *		fault_stop();          // the clean-up and the checks get their memory
 *		if (d)
 *			device_free(d);
 *		else
 *			assert_true(fault_hit() && err.kind != ERROR_NONE);
 *	}
 *
 * The body runs with the first allocation failing, then with the second, and so on, until a run in
 * which none was left to fail: that last one must succeed. Under AddressSanitizer what a failed run
 * forgot to free is reported at exit.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdbool.h>

#define FAULT_SWEEP_MAX 100000u /* runs; more means that the body does not end */

struct fault_sweep {
	unsigned int n; /* the allocation that fails in this run, from 1 */
};

#define FAULT_SWEEP_INIT \
	{                \
		.n = 0   \
	}

/* Make the calling thread's @n-th allocation from now fail, once; 1 is the next. 0: none. */
void fault_alloc_after(unsigned int n);
/* No more failing. fault_hit() and fault_count() keep their answers. */
void fault_stop(void);
/* Has an allocation failed since the last fault_alloc_after()? */
bool fault_hit(void);
/* Allocations since then, the failed one included, until fault_stop(). */
unsigned int fault_count(void);
/* Arm the next run of a sweep; false when the last run went without a failure. */
bool fault_sweep(struct fault_sweep *s);

#endif
