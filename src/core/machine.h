// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * machine - a virtual machine: memory and port space, devices, vCPUs, an accelerator, loops, and
 * its run state. What the machine looks like (a PC with such and such parts) is the board's
 * business (machine/x86); what the user asked for is the cli's.
 *
 * Made and freed on main. Requests (power-off, reset, crash) come from any thread and are carried
 * out on main.
 */
#ifndef CORE_MACHINE_H
#define CORE_MACHINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/vec.h"
#include "core/accel.h"
#include "core/device.h"
#include "core/irq.h"
#include "core/notice.h"
#include "loop/loop.h"
#include "mem/as.h"

struct vcpu;

enum run_state {
	RUN_PRELAUNCH, /* made, never run */
	RUN_RUNNING,
	RUN_PAUSED,
	RUN_SHUTDOWN,	 /* over, or off until it is reset: see machine->end */
	RUN_INCOMING,	 /* made to be filled with a saved state, which has not come yet */
	RUN_POSTMIGRATE, /* saved: paused, and its disks given up for who loads it */
};

/* Why a machine ends or resets. */
enum machine_event {
	MACHINE_POWEROFF, /* the guest turned it off */
	MACHINE_RESET,	  /* the guest asked for a reset */
	MACHINE_TRIPLE_FAULT,
	MACHINE_PANIC,	    /* pvpanic or the engine: the guest crashed */
	MACHINE_DEBUG_EXIT, /* isa-debug-exit; ->exit_code */
	MACHINE_ERROR,	    /* the engine failed; already logged */
	MACHINE_QUIT,	    /* the host side wants it to end: ->exit_code */
	MACHINE_WATCHDOG,   /* the guest has let it expire: ->watchdog_action */
};

/* RUN_PAUSED: why. */
enum pause_reason {
	PAUSED_USER,
	PAUSED_RESET, /* it was reset since and would start anew */
	PAUSED_WATCHDOG,
	PAUSED_PANICKED,
};

/* What follows when the guest says that it crashed. */
enum panic_action {
	PANIC_SHUTDOWN, /* it ends; or waits, see ->shutdown_pauses */
	PANIC_EXIT,	/* it ends in any case */
	PANIC_PAUSE,
	PANIC_NONE,
};

enum backend_kind { BACKEND_BLOCK, BACKEND_CHARDEV, BACKEND_NET, BACKEND_KINDS };

/* A back end that came while the machine was there, and goes with it at the latest. */
struct machine_owned {
	enum backend_kind kind;
	char *id; /* owned */
	void *backend;
	void (*close)(void *backend); /* NULL: it is the one's on which it stands */
	struct machine_owned *on;     /* on which it stands, or NULL */
	struct machine_owned *user;   /* which stands on it, or NULL */
	struct list node;	      /* in machine->owned */
};

/* What a board provides to the generic machine (reset of CPUs, power button). */
struct board_ops {
	/* Free board_data: vCPUs, devices and engine are gone. */
	void (*fini)(struct machine *m);
	/* Initial state of vCPU @v: parked, on its own thread or, before it has one, on main. */
	void (*vcpu_reset)(struct machine *m, struct vcpu *v);
	/* Put back what reset destroys (kernel in RAM, tables). False: cannot be done. */
	bool (*reset)(struct machine *m, struct error *err);
	/* A saved state has been loaded into a machine that was never reset. */
	void (*loaded)(struct machine *m);
	/* Ask the guest to power off (ACPI button). False: it has no button. */
	bool (*powerdown)(struct machine *m);
	bool (*nmi)(struct machine *m);
};

struct machine {
	char *name;		/* owned */
	struct loop *main_loop; /* borrowed */
	struct as mem, pio;
	struct accel_vm *vm; /* owned */
	const struct accel *accel;
	struct irq_lines irqs;
	struct list devices; /* struct device, in order of making; freed in reverse */
	/* Devices made without an id: the board's, the user's (DEVICE_USER). */
	uint32_t anonymous[2];
	struct map backends[BACKEND_KINDS]; /* id -> back end; borrowed from the cli, but: */
	/* Kinds with this are the machine's own: closed when it is freed, after its devices. */
	void (*backend_close[BACKEND_KINDS])(void *backend);
	struct list owned;	     /* struct machine_owned */
	VEC(struct loop *) io_loops; /* owned threads */
	struct vcpu *vcpus;	     /* owned array */
	uint32_t n_vcpus;
	struct mutex vcpu_lock;	  /* parking; docs/locking.md */
	pthread_cond_t vcpu_cond; /* vCPUs wait here to go on; main waits in vcpu_parked */
	pthread_cond_t vcpu_parked;
	const struct board_ops *board;
	void *board_data;
	void *pci;     /* struct pci_host of hw/pci; NULL: none */
	void *fw_cfg;  /* struct fw_cfg of hw/legacy; NULL: none */
	void *migrate; /* struct migrate of migrate/; NULL: cannot be saved */
	/* May it run (again)? NULL: yes. */
	bool (*before_resume)(struct machine *m, struct error *err);

	/* A debugger's, told of VCPU_EXIT_DEBUG on the vCPU's thread; it stops the vCPU. Set on main while
	 * no vCPU runs. */
	void (*debug_exit)(void *opaque, struct vcpu *v, const struct vcpu_exit *e);
	void *debug_opaque;

	/* Who is told of what happens here; NULL: nobody (core/notice.h). */
	struct notice_listener *_Atomic notice;

	enum run_state state;	  /* main */
	_Atomic uint32_t pending; /* 1 << enum machine_event, set by any thread */
	_Atomic int pending_code;
	struct loop_defer event_defer;
	int quit_reason; /* enum notice_reason: who asks for MACHINE_QUIT; main */
	/* What follows from what; main, see events.c */
	bool no_reboot;	      /* a reset ends the machine */
	bool shutdown_pauses; /* a power-off leaves it there, off; or it ends */
	enum panic_action panic_action;
	enum notice_action watchdog_action;
	enum pause_reason paused_for;
	bool over;		/* the main loop has been told to end */
	enum machine_event end; /* why it ended */
	int exit_code;		/* MACHINE_DEBUG_EXIT, MACHINE_QUIT */
	bool quiesced;		/* devices are; from pause to resume */
	bool clock_valid;	/* paused_clock_ns was taken */
	uint64_t paused_clock_ns;
	_Atomic int64_t clock_off_ns;	  /* CLOCK_MONOTONIC - machine_clock_ns() while running */
	_Atomic int64_t clock_stopped_ns; /* machine_clock_ns() while not running; -1: running */
	VEC(struct accel_msi) msi_routes; /* under irqs.lock */
	struct as_listener mem_listener, pio_listener;
};

/* A machine without an engine or vCPUs yet. */
struct machine *machine_new(const char *name, struct loop *main_loop, struct error *err) MUST_USE;
/* Stops vCPUs, frees devices (newest first), engine, loops, memory. NULL is fine. */
void machine_free(struct machine *m);
DEFINE_AUTO_PTR(machine, struct machine, machine_free)
/* Attach the engine: from here on RAM regions and doorbells are passed to it. */
bool machine_set_accel(struct machine *m, const struct accel *a, const struct accel_vm_config *c,
	struct error *err) MUST_USE;
/* Make @n vCPUs (structs only); the board fills apic_id, cpuid, host_cpu, then machine_init_vcpus. */
bool machine_add_vcpus(struct machine *m, uint32_t n, struct error *err) MUST_USE;
bool machine_init_vcpus(struct machine *m, struct error *err) MUST_USE;

#define IO_LOOPS_MAX 256
/* An I/O loop thread by name; NULL: the machine's default one. Made at first use. Main. */
struct loop *machine_io_loop(struct machine *m, const char *name, struct error *err) MUST_USE;
bool machine_has_io_loop(const struct machine *m, const char *name);
/* Is it one of those that devices share of which nobody has named one (`io`, `io-1` ...)? */
bool machine_io_loop_is_shared(const char *name);
/* End it. False: somebody uses it (loop_use()). It must be there. Main. */
bool machine_io_loop_del(struct machine *m, const char *name) MUST_USE;

bool machine_backend_add(struct machine *m, enum backend_kind kind, const char *id, void *backend,
	struct error *err) MUST_USE;
/* Forget it; the caller sees to it that no device uses it. NULL: there was none. */
void *machine_backend_del(struct machine *m, enum backend_kind kind, const char *id);
/* NULL and err (ERROR_NOT_FOUND) when there is none of that name. */
void *machine_backend(
	struct machine *m, enum backend_kind kind, const char *id, struct error *err) MUST_USE;

/* The same for one that the machine closes: with machine_backend_drop(), which nobody may use any more, or
 * at its own end, after the devices. @on: the id of an owned one on which this one stands, or NULL. On failure
 * @backend is still the caller's. */
bool machine_backend_own(struct machine *m, enum backend_kind kind, const char *id, void *backend,
	void (*close)(void *backend), const char *on, struct error *err) MUST_USE;
struct machine_owned *machine_owned_find(struct machine *m, enum backend_kind kind, const char *id);
void machine_backend_drop(struct machine *m, struct machine_owned *o);

/* Run control, on main. resume from RUN_PRELAUNCH resets everything first. */
bool machine_resume(struct machine *m, struct error *err) MUST_USE;
void machine_pause(struct machine *m);
/* Power-on state of devices, memory contents that the board put there, and vCPUs. */
bool machine_reset(struct machine *m, struct error *err) MUST_USE;
/* Make the vCPUs' threads, which stand still, so that they can be told of and pinned before they run. Main, while
 * none runs. */
bool machine_start_threads(struct machine *m, struct error *err) MUST_USE;
/* Saved state, on main. For a machine that has not run: make it wait for one (RUN_INCOMING). Then
 * machine_load_devices(), and machine_loaded(): it is paused, as the saved one was. */
bool machine_wait_incoming(struct machine *m, struct error *err) MUST_USE;
void machine_loaded(struct machine *m);
/* Stop it so that it can be saved; one that has not run is reset first. */
bool machine_stop_to_save(struct machine *m, struct error *err) MUST_USE;
/* Nanoseconds that the machine has been running: what device timers of the guest's own time are
 * made of. Stands still while it is paused. Any thread. */
int64_t machine_clock_ns(const struct machine *m);
/* The process was stopped and continued: tell the guest that it lost time. */
void machine_stalled(struct machine *m);

/* From any thread: something happened. @code for the kinds that have one. A vCPU that calls this
 * stops before its next instruction. When the machine ends, its state is RUN_SHUTDOWN, ->end and
 * ->exit_code say why, and its main loop is stopped. */
void machine_event(struct machine *m, enum machine_event e, int code);
/* End it now, whatever its state is; as MACHINE_QUIT. Main. */
void machine_quit(struct machine *m, enum notice_reason why, int code);
const char *machine_event_name(enum machine_event e);
void machine_handle_events(void *machine); /* of machine->event_defer */
/* Saved state of all devices and vCPUs (RAM is migrate/'s business). Paused. Loading asks for all of
 * them, each once; on failure the machine is of no more use. */
#define MACHINE_PIT "i8254"
/* Is the interval timer among the engine's chips, and so no device? */
bool machine_pit_is_engines(const struct machine *m);
bool machine_save_devices(struct machine *m, struct str *out, struct error *err) MUST_USE;
bool machine_load_devices(struct machine *m, const void *p, size_t len, struct error *err) MUST_USE;
/* One device: quiesced; used by the conformance suite too. */
bool device_save(struct device *d, struct str *out, struct error *err) MUST_USE;
bool device_load(struct device *d, const void *p, size_t len, struct error *err) MUST_USE;

#endif
