// SPDX-License-Identifier: GPL-2.0-or-later
/* qmp_fd - what the commands about descriptors call (cmd/fd.c). */
#ifndef CONTROL_QMP_FD_H
#define CONTROL_QMP_FD_H

#include "control/qmp.h"

/* Keep @fd by @name, in place of one that had it. Taken over, also on failure. */
bool qmp_fd_name(struct qmp *q, const char *name, int fd, struct error *err) MUST_USE;
/* Put @fd into *@set (negative: the lowest free number, which is stored). Taken over. */
bool qmp_fdset_add(
	struct qmp *q, int64_t *set, const char *opaque, int fd, struct error *err) MUST_USE;
/* Close @fd of @set, or all of it (@fd negative). False: there was none. */
bool qmp_fdset_remove(struct qmp *q, uint64_t set, int64_t fd);
/* Descriptor number @i of all sets; returns how many there are. */
size_t qmp_fdset_at(struct qmp *q, size_t i, uint64_t *set, int *fd, const char **opaque);

#endif
