// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rundir - a directory for each running VM, named as the VM, 0700: in $XDG_RUNTIME_DIR/lodge, else in
 * /run/lodge (root) or /tmp/lodge-UID. In it are `lock` (the process holds it as long as it lives,
 * its text is the process id) and the VM's sockets. What a killed process has left is recognised by
 * the lock that nobody holds, and is used again.
 */
#ifndef CONTROL_RUNDIR_H
#define CONTROL_RUNDIR_H

#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"
#include "base/str.h"

#define RUNDIR_CONTROL "qmp"	 /* QMP, everything */
#define RUNDIR_MONITOR "monitor" /* QMP, query commands only */
#define RUNDIR_METRICS "metrics" /* Prometheus text */
#define RUNDIR_CONSOLE "console" /* the serial console of a VM in the background */

struct rundir;

/* May a VM be called @name? It becomes part of paths: no '/', no blanks or control characters, not
 * beginning with '.' or '-', at most 63 bytes. */
bool rundir_name_possible(const char *name);
/* Take the name: ERROR_FAILED when a living process has it. */
struct rundir *rundir_claim(const char *name, struct error *err) MUST_USE;
/* Remove the directory. NULL is fine. */
void rundir_release(struct rundir *r);
/* `DIR/@file`; malloc'ed, NULL: out of memory. */
char *rundir_file(const struct rundir *r, const char *file);

/* -------- for those who look for VMs -------- */

/* Append the directory that holds all VMs' directories. False: it cannot be there or is not ours. */
bool rundir_base(struct str *out, struct error *err) MUST_USE;
/* The process of VM @name, and when it started (CLOCK_REALTIME seconds; may be NULL); 0: there is none. */
pid_t rundir_pid(const char *base, const char *name, int64_t *since);

/* Remove what a VM that was killed has left; nothing happens while one of that name lives. */
void rundir_clean(const char *base, const char *name);

#endif
