// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trace - USDT trace points for bpftrace, perf and SystemTap: a nop in the code when nobody looks.
 * TRACE2(virtio, pop, qid, head) is the probe lodge:virtio_pop with two arguments. Arguments must
 * be cheap to compute: they are computed even when no tracer is attached.
 */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H

#include "config.h"

#if HAVE_SDT
#include <sys/sdt.h>
#define TRACE0(mod, name)	      DTRACE_PROBE(lodge, mod##_##name)
#define TRACE1(mod, name, a)	      DTRACE_PROBE1(lodge, mod##_##name, a)
#define TRACE2(mod, name, a, b)	      DTRACE_PROBE2(lodge, mod##_##name, a, b)
#define TRACE3(mod, name, a, b, c)    DTRACE_PROBE3(lodge, mod##_##name, a, b, c)
#define TRACE4(mod, name, a, b, c, d) DTRACE_PROBE4(lodge, mod##_##name, a, b, c, d)
#else
#define TRACE0(mod, name)	      ((void)0)
#define TRACE1(mod, name, a)	      ((void)(a))
#define TRACE2(mod, name, a, b)	      ((void)(a), (void)(b))
#define TRACE3(mod, name, a, b, c)    ((void)(a), (void)(b), (void)(c))
#define TRACE4(mod, name, a, b, c, d) ((void)(a), (void)(b), (void)(c), (void)(d))
#endif

#endif
