/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter-code - make-filters' compiler: rules about system calls become a short seccomp filter. Build time only.
 *
 * What a filter costs at a VM's start is its length (the kernel compiles it) and the way through it (the kernel walks it once for
 * each system call there is, to learn which calls are always allowed). So it is a tree over ranges of numbers.
 */
#ifndef SANDBOX_FILTER_CODE_H
#define SANDBOX_FILTER_CODE_H

#include <linux/filter.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>

#define SYSCALLS_MAX   512
#define CONDITIONS_MAX 2
#define FILTER_MAX     1024

/* When a call with certain arguments is allowed, or refused with an error. All conditions must hold. */
struct alternative {
	unsigned int n;
	struct scmp_arg_cmp cond[CONDITIONS_MAX];
	uint32_t action; /* SECCOMP_RET_* */
	struct alternative *next;
};

struct policy {
	uint32_t otherwise; /* for what no alternative holds of */
	struct alternative *call[SYSCALLS_MAX];
};

struct filter_code {
	struct sock_filter code[FILTER_MAX];
	unsigned int len;
};

/* The filter of @p. With @above: for threads that have that policy's filter already; the two together then do
 * what @p says. False: it would be too long. */
bool filter_compile(const struct policy *p, const struct policy *above, struct filter_code *out);

#endif
