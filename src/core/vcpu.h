// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vcpu - a virtual CPU: a thread named `CPU n/VM`, that runs guest code through the accelerator and
 * carries register accesses to the devices. The thread is made when the vCPU first runs: until then
 * all is done on main, and starting a guest takes no hand-over between threads.
 *
 * Stopping: main sets a request and kicks; the thread answers at its next exit and sleeps on its
 * condition until told to go on. While all are stopped, main may touch their state.
 */
#ifndef CORE_VCPU_H
#define CORE_VCPU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "base/error.h"
#include "core/accel.h"

struct machine;

enum vcpu_request {
	VCPU_REQ_STOP = 1 << 0,	   /* park until resumed */
	VCPU_REQ_QUIT = 1 << 1,	   /* end the thread */
	VCPU_REQ_STALLED = 1 << 2, /* tell the engine that the guest lost time */
	VCPU_REQ_NMI = 1 << 3,
};

struct vcpu {
	struct machine *machine; /* borrowed */
	uint32_t index;
	uint32_t apic_id;
	struct accel_vcpu *accel; /* owned */
	pthread_t thread;
	bool thread_started;
	_Atomic int tid;	       /* written by the thread when it begins */
	bool held;		       /* machine_resume() leaves it stopped; main */
	int host_cpu;		       /* pin to this host CPU, -1: no */
	_Atomic unsigned int requests; /* enum vcpu_request; set by others, cleared by the thread */
	/* Under machine->vcpu_lock: */
	bool parked;	  /* stopped, state may be touched by main */
	bool needs_reset; /* the first state is put into it before anything else happens */
	void (*call)(struct vcpu *v, void *opaque); /* vcpu_run_on's request, NULL when done */
	void *call_opaque;
	const struct x86_cpuid *cpuid; /* borrowed from the board */
	_Atomic uint64_t exits;	       /* for statistics; written by the thread only */
};

/* Make the engine's vCPU, stopped. Main; also on failure vcpu_fini() frees it. */
bool vcpu_init(struct vcpu *v, struct error *err) MUST_USE;
/* Make its thread, which stands still until vcpu_go(). Main. */
bool vcpu_start_parked(struct vcpu *v, struct error *err) MUST_USE;
/* Let a stopped vCPU run; the first time this makes its thread. Main. */
bool vcpu_go(struct vcpu *v, struct error *err) MUST_USE;
/* End the thread, free the engine's part. Main. */
void vcpu_fini(struct vcpu *v);
void vcpu_ask(struct vcpu *v, unsigned int requests);
/* Run @fn on the vCPU's thread and wait; it must be parked. As long as it has no thread @fn runs on
 * the caller's. Main. */
void vcpu_run_on(struct vcpu *v, void (*fn)(struct vcpu *v, void *opaque), void *opaque);
/* The calling thread's vCPU or NULL. */
struct vcpu *vcpu_current(void);

#endif
