/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter - the seccomp filters as make-filters wrote them at build time; private to sandbox/ and the
 * build.
 */
#ifndef SANDBOX_FILTER_H
#define SANDBOX_FILTER_H

#include <linux/filter.h>

/* In the order of enum thread_role from ROLE_MAIN on, which sandbox.c asserts; then processes. */
#define SANDBOX_THREADS		 4
#define SANDBOX_ROLES		 6
#define SANDBOX_ROLE_LETTERS	 "mciwbn"
#define SANDBOX_FILTER_CONNECTOR 4
#define SANDBOX_FILTER_USER_NET	 5
/* Stands in the filters where our process id belongs. */
#define SANDBOX_PID		 0x5a0d0c1du

struct sandbox_filter {
	const struct sock_filter *code;
	unsigned int len;
};

/* Those of threads other than main go on top of main's: a thread needs both. */
extern const struct sandbox_filter sandbox_filters[SANDBOX_ROLES];
extern const char *const sandbox_call_names[];
extern const unsigned int sandbox_call_names_count;

#endif
