// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cleanup - ownership by scope. AUTO_FREE and AUTO_FD release what a local variable owns when the
 * scope ends; TAKE(p) hands ownership out (`return TAKE(p)`); GUARD(&lock) holds a mutex to the
 * end of the scope; AUTO(name) calls name##_cleanup, made by DEFINE_AUTO(name, type, fn).
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define AUTO_FREE CLEANUP(cleanup_free)
#define AUTO_FD	  CLEANUP(cleanup_fd) /* initialise with -1 or a descriptor, never leave it unset */

/* Move a pointer out of an owning variable, which is left NULL. */
#define TAKE(p)                           \
	({                                \
		__typeof__(p) took = (p); \
		(p) = NULL;               \
		took;                     \
	})

#define TAKE_FD(fd)              \
	({                       \
		int took = (fd); \
		(fd) = -1;       \
		took;            \
	})

/* DEFINE_AUTO(str, struct str, str_fini): then `AUTO(str) s = ...;` runs str_fini(&s) at scope end.
 * DEFINE_AUTO_PTR(loop, struct loop, loop_free): `AUTO_PTR(loop) l = loop_new(...)`. */
#define DEFINE_AUTO(name, type, fn)                \
	typedef type auto_##name;                  \
	static inline void cleanup_##name(type *p) \
	{                                          \
		fn(p);                             \
	}
#define AUTO(name) CLEANUP(cleanup_##name) auto_##name

#define DEFINE_AUTO_PTR(name, type, fn)                 \
	typedef type *autoptr_##name;                   \
	static inline void cleanup_ptr_##name(type **p) \
	{                                               \
		fn(*p);                                 \
	}
#define AUTO_PTR(name) CLEANUP(cleanup_ptr_##name) autoptr_##name

#endif
