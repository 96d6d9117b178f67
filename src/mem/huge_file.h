// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * huge_file - memory that can be mapped more than once and yet has huge pages.
 *
 * What memfd_create() makes gets transparent huge pages as /sys/kernel/mm/transparent_hugepage/shmem_enabled says, which
 * is "never" almost everywhere. A tmpfs does as its own mount option says (huge=), and one that is nowhere in the tree
 * of files costs nobody anything: Linux's Documentation/admin-guide/mm/transhuge.rst.
 */
#ifndef MEM_HUGE_FILE_H
#define MEM_HUGE_FILE_H

/* An empty file whose mappings heed MADV_HUGEPAGE, in the tmpfs that the process has for such; /proc/PID/maps
 * has it as "/lodge-@name (deleted)". -1: a memfd is as good, or the host permits none: no mounts, no user namespaces. Main thread. */
int huge_file_new(const char *name);
/* There will be no more, which lets go of the directory. */
void huge_file_end(void);

#endif
