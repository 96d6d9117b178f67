/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * window - pages of a program side by side in the host's memory, too.
 *
 * A program's pages lie next to each other in its address space, but anywhere in the guest's RAM. Generated code that
 * goes from one to the next would have to ask each time where that one is. So pages that code which runs often goes
 * between are mapped a second time, in the order in which the program has them: there a site's region
 * (jit_region.c) spans as many as it needs, and the distance from a linear address to the host's is one.
 *
 * Only the TLB leads there, and only to a page that the window has from the very place where a walk finds the guest's; so a
 * window need not know of flushes, and one that no longer fits is merely not used. What is mapped changes only when
 * nothing leads there: soft_window_make_room(), soft_window_reset().
 *
 * Needs RAM that can be mapped twice (a memfd). Each vCPU has its own; its thread.
 */
#ifndef ACCEL_SOFT_WINDOW_H
#define ACCEL_SOFT_WINDOW_H

#include "accel/soft/soft_int.h"

struct soft_windows;

/* Where generated code is to find linear @page, a page of a program's at @host in RAM. */
uint8_t *soft_window_host(const struct soft_vcpu *v, uint64_t page, uint8_t *host);
/* The page at @host as it lies in RAM, whether that leads to a window or not. */
uint8_t *soft_window_frame(const struct soft_vcpu *v, uint8_t *host);
/* Generated code misses the page of @lin, which the TLB has for reading, where it is one of several: map it, and what the
 * TLB knows of the pages around it, and have the TLBs lead there. False: nothing has changed. */
bool soft_window_add(struct soft_vcpu *v, uint64_t lin);
/* Between instructions, or where a page has found no room: is some to be made now? */
bool soft_window_wants_room(const struct soft_vcpu *v);
/* Between instructions: forget what has not been used for long, or what no longer fits. The caller flushes the TLB before
 * anything else is done with it. */
void soft_window_make_room(struct soft_vcpu *v);
/* Forget all of it; the same for the caller. */
void soft_window_reset(struct soft_vcpu *v);
void soft_windows_free(struct soft_windows *w);

#endif
