/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* env - the only portability surface of x86/: fixed-width types in the VMM and in the kernel driver. */
#ifndef X86_ENV_H
#define X86_ENV_H

#ifdef __KERNEL__
#include <linux/string.h>
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
void *memcpy(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
#endif

#endif
