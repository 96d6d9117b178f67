// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stats - what a vCPU counts: events that call C code anyway, so it costs nothing worth measuring. Only the
 * vCPU's own thread writes; stats.c reads at any time and may be a moment late.
 */
#ifndef ACCEL_SOFT_STATS_H
#define ACCEL_SOFT_STATS_H

#include <stdint.h>

/* The translator's; struct jit_counters, in v->jit->count. */
#define JIT_COUNTERS(X)                                                      \
	X(blocks, "blocks translated")                                       \
	X(guest_bytes, "  their guest code, bytes")                          \
	X(host_bytes, "  their host code, bytes")                            \
	X(links, "branches linked straight to a block")                      \
	X(finds, "branches to addresses that the table did not have")        \
	X(misses, "  of these to code that had no block")                    \
	X(strays, "branches to dropped blocks, by address")                  \
	X(stales, "branches to dropped blocks, linked")                      \
	X(spans, "instructions over a page's end: pages looked up")          \
	X(slows, "accesses that the small TLB did not know")                 \
	X(shares, "groups of accesses that were not where they were before") \
	X(fills, "  of these then entered into it")                          \
	X(host_faults, "exceptions of the host's CPU in generated code")     \
	X(interps, "instructions of blocks that were interpreted")           \
	X(dropped, "blocks dropped: code written to, or other code")         \
	X(resets, "all blocks dropped: no room, or memory map changed")      \
	X(entries, "generated code entered")                                 \
	X(left_timer, "  left: a tick, or the timer is due")                 \
	X(left_irq, "  left: an interrupt may be due")                       \
	X(left_code, "  left: code was written to")                          \
	X(left_flush, "  left: another vCPU wants this one to stop")         \
	X(left_other, "  left: main thread, INIT, SIPI, NMI")                \
	X(left_window, "  left: interrupts were let in")                     \
	X(left_halt, "  left: HLT")                                          \
	X(left_step, "  left: single steps, shadows, breakpoints")           \
	X(left_rest, "  left: VM stops, or yields")                          \
	X(left_none, "  left: code that is not translated in this mode")

/* Of any vCPU; struct soft_counters, in v->count. */
#define SOFT_COUNTERS(X)                                          \
	X(loop, "interpreted outside of blocks (translator on)")  \
	X(slices, "stretches of work between looks at the world") \
	X(page_faults, "page faults")                             \
	X(exceptions, "other exceptions and INT instructions")    \
	X(interrupts, "interrupts")                               \
	X(nmis, "NMIs")                                           \
	X(halts, "HLTs that waited")                              \
	X(mem_io, "register accesses, memory")                    \
	X(port_io, "register accesses, ports")                    \
	X(walks, "page-table walks: misses of the big TLB")       \
	X(flushes, "TLB flushes: all pages, or a context")        \
	X(flush_pages, "TLB flushes: one page")                   \
	X(code_pages, "pages found to have code")                 \
	X(code_writes, "stores to pages that have code")

#define STATS_FIELD(name, text) uint64_t name;
struct jit_counters {
	JIT_COUNTERS(STATS_FIELD)
};
struct soft_counters {
	SOFT_COUNTERS(STATS_FIELD)
};

#endif
