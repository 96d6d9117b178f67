// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ksyms - names of a guest kernel's functions, from a file that the user gives: a copy of its
 * /proc/kallsyms, a System.map or an ELF file with symbols. The file may be hostile. Read once, then any
 * thread may look into it.
 */
#ifndef ACCEL_SOFT_KSYMS_H
#define ACCEL_SOFT_KSYMS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

struct ksyms;

struct ksyms *ksyms_load(const char *path, struct error *err) MUST_USE;
void ksyms_free(struct ksyms *k);
/* The function that @addr lies in and the distance from its start; NULL: none. @lstar: the guest's
 * IA32_LSTAR, which is where Linux has entry_SYSCALL_64: it tells how far the kernel lies from where the
 * file has it (KASLR). 0: it lies there. The name is printable. */
const char *ksyms_find(const struct ksyms *k, uint64_t addr, uint64_t lstar, uint32_t *off);

#endif
