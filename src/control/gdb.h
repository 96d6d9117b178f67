// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * gdb - a debugger's way to a machine: gdb's remote serial protocol on a socket, one client at a time.
 * Each vCPU is a thread (number + 1). Works with every engine that has vcpu_debug.
 *
 * A client that comes stops the machine; when it goes the machine runs on. All on main.
 */
#ifndef CONTROL_GDB_H
#define CONTROL_GDB_H

#include "base/error.h"

struct gdb;
struct machine;

/* Listen at @address: `unix:PATH` or `tcp:ADDR:PORT` (numeric; [::1] in brackets). */
struct gdb *gdb_new(struct machine *m, const char *address, struct error *err) MUST_USE;
/* Tells the client that the machine is gone. Before machine_free(). NULL is fine. */
void gdb_free(struct gdb *g);

#endif
