// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * patience - for what a process that was killed may still have: the kernel closes an io_uring's files, and those of a
 * child that it was about to start, only some moments after the process has gone, and nobody can wait for that. Who finds
 * a name, a lock or an address taken asks again for a second:
 *
 *	for (unsigned int waited = 0; !(ok = take(thing)) && is_taken && patience_wait(&waited);)
 *		;
 */
#ifndef BASE_PATIENCE_H
#define BASE_PATIENCE_H

#include <stdbool.h>
#include <unistd.h>

#define PATIENCE_MS	 1000u
#define PATIENCE_STEP_MS 10u

/* What patience_wait() has: PATIENCE_MS. A test in which much is refused may set less, before all threads. */
extern unsigned int patience_ms;

/* Sleep a little. False, at once: it has been long enough. */
static inline bool patience_wait_for(unsigned int *waited_ms, unsigned int limit_ms)
{
	if (*waited_ms >= limit_ms)
		return false;
	usleep(PATIENCE_STEP_MS * 1000);
	*waited_ms += PATIENCE_STEP_MS;
	return true;
}

static inline bool patience_wait(unsigned int *waited_ms)
{
	return patience_wait_for(waited_ms, patience_ms);
}

#endif
