/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * cpuid - CPU models as pure functions: a table of CPUID leaves from a model's name, +/- flags, the
 * topology, and what the engine can offer.
 */
#ifndef X86_CPUID_H
#define X86_CPUID_H

#include "x86/env.h"

#define X86_CPUID_MAX 128

struct x86_cpuid_leaf {
	uint32_t function, index;
	bool indexed; /* @index is significant */
	uint32_t eax, ebx, ecx, edx;
};

struct x86_cpuid {
	uint32_t n;
	struct x86_cpuid_leaf leaf[X86_CPUID_MAX];
};

struct x86_topology {
	uint32_t sockets, cores, threads; /* a socket's cores, a core's threads; all >= 1 */
};

#define X86_FLAGS_MAX 192 /* more than there are flags */
struct x86_cpu_model_request {
	const char *model; /* base | x86-64-v2 | x86-64-v3 | host | max */
	const char *plus
		[X86_FLAGS_MAX]; /* NULL-terminated flag names, Linux's /proc/cpuinfo spelling */
	const char *minus[X86_FLAGS_MAX];
	struct x86_topology topology;
	uint32_t tsc_khz;     /* announced in 0x15/0x16 and 0x40000010; 0: not */
	bool hypervisor_leaf; /* KVM signature and features of the engine, if it offers them */
};

/* @supported: all leaves the engine offers. @out: the leaves of vCPU @apic_id, ready for the engine.
 * Returns NULL, or a static or @buf text (at most @buf_size) that names what cannot be done: an
 * unknown model or flag, or a model's or asked-for feature that the engine lacks. */
const char *x86_cpuid_build(const struct x86_cpu_model_request *req,
	const struct x86_cpuid *supported, uint32_t apic_id, struct x86_cpuid *out, char *buf,
	size_t buf_size);
/* What a guest that was given @saved would miss on an engine that offers @supported and gives it @built
 * for the same CPU: the text of x86_cpuid_build's kind, or NULL: nothing. */
const char *x86_cpuid_missing(const struct x86_cpuid *saved, const struct x86_cpuid *supported,
	const struct x86_cpuid *built, char *buf, size_t buf_size);
/* What @saved has of CPU features and @model has not: their names in @buf, or NULL: nothing. */
const char *x86_cpuid_lacks(
	const struct x86_cpuid *model, const struct x86_cpuid *saved, char *buf, size_t buf_size);
/* The leaf for (function, index), or NULL. */
const struct x86_cpuid_leaf *x86_cpuid_find(
	const struct x86_cpuid *c, uint32_t function, uint32_t index);
/* i-th known flag name or NULL (for help). */
const char *x86_cpuid_flag_name(unsigned int i);
const char *x86_cpuid_model_name(unsigned int i);
/* Is model @model impossible without flag @flag (both by their numbers above)? */
bool x86_cpuid_model_needs(unsigned int model, unsigned int flag);
/* Does @c have flag @flag, by its number? */
bool x86_cpuid_has(const struct x86_cpuid *c, unsigned int flag);
/* APIC id of vCPU @n under @t: fields rounded up to powers of two (SDM, Hierarchical Mapping of
 * Shared Resources). */
uint32_t x86_apic_id(const struct x86_topology *t, uint32_t n);

#endif
