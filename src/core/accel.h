// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * accel - the boundary between the machine and what runs guest code.
 *
 * An engine (struct accel, in the generated table) makes an accel_vm for a machine and puts an
 * accel_vcpu behind each vCPU. It never sees a device: it runs guest code until an access or event
 * that is the machine's business and hands that up as a normalised struct vcpu_exit. What an engine
 * may have or not (ioeventfd, irqfd, in-kernel chips) is an optional operation: NULL when absent.
 *
 * Unless said otherwise functions return 0 or -errno. vm_* run on main or under the address space's
 * lock; vcpu_* on that vCPU's own thread, or on main while it is stopped, except vcpu_kick.
 */
#ifndef CORE_ACCEL_H
#define CORE_ACCEL_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/field.h"
#include "base/str.h"
#include "mem/as.h"
#include "x86/cpu_state.h"
#include "x86/cpuid.h"

struct machine;
struct vcpu;
struct accel;

enum vcpu_exit_kind {
	VCPU_EXIT_NONE,	    /* kicked or interrupted by a signal: look for requests, go on */
	VCPU_EXIT_PORT,	    /* I/O port access */
	VCPU_EXIT_MEM,	    /* access to memory that is not RAM */
	VCPU_EXIT_HLT,	    /* halted; only where the engine's interrupt chips are not its own */
	VCPU_EXIT_SHUTDOWN, /* triple fault */
	VCPU_EXIT_RESET,    /* the engine reports a guest-requested reset */
	VCPU_EXIT_CRASH,    /* the engine reports a guest-requested crash */
	VCPU_EXIT_RDMSR,
	VCPU_EXIT_WRMSR,
	VCPU_EXIT_EOI,	 /* split irqchip: EOI of a level-triggered vector for the I/O APIC */
	VCPU_EXIT_DEBUG, /* breakpoint or single step asked for by a debugger */
	VCPU_EXIT_ERROR, /* the engine cannot go on; text and bytes tell */
};

struct vcpu_exit {
	enum vcpu_exit_kind kind;
	union {
		struct {
			uint16_t port;
			uint8_t size; /* 1, 2, 4 */
			bool write;
			uint32_t count; /* string I/O: @count units of @size at @data */
			uint8_t *
				data; /* in the engine's memory; filled by reads before the next run */
		} port;
		struct {
			uint64_t addr;
			uint8_t size; /* 1..8 */
			bool write;
			uint8_t *data;
		} mem;
		struct {
			uint32_t index;
			uint64_t value; /* in for WRMSR, out for RDMSR */
			bool fault;	/* out: inject #GP */
		} msr;
		struct {
			uint8_t vector;
		} eoi;
		struct {
			uint64_t pc;
			uint64_t
				points; /* bit n: accel_debug.point[n] was hit; 0: a step, or else */
		} debug;
		struct {
			uint64_t code; /* the engine's own number */
			uint8_t insn[15];
			uint8_t insn_len;
			char text[160]; /* `KVM internal error 1 (emulation failure)` */
		} error;
	};
};

struct accel_msi {
	uint32_t gsi;
	uint64_t addr;
	uint32_t data;
};

enum accel_irqchip { ACCEL_IRQCHIP_FULL, ACCEL_IRQCHIP_SPLIT };

/* What the machine asks of vm_new. */
struct accel_vm_config {
	uint32_t max_vcpus;
	uint32_t max_apic_id;
	int irqchip;	     /* enum accel_irqchip */
	bool pit;	     /* i8254 and its speaker port wanted */
	const void *options; /* the engine's own config struct (accel->config), or NULL: defaults */
};

/* What a debugger wants of a vCPU. */
#define ACCEL_DEBUG_POINTS 64
enum accel_debug_kind { ACCEL_DEBUG_EXEC, ACCEL_DEBUG_WRITE, ACCEL_DEBUG_ACCESS };
struct accel_debug_point {
	uint64_t addr; /* linear */
	uint8_t len;   /* 1, 2, 4, 8, aligned; EXEC: 1 */
	uint8_t kind;  /* enum accel_debug_kind */
};
struct accel_debug {
	bool step; /* exit after one instruction; interrupts wait */
	uint32_t n;
	struct accel_debug_point point[ACCEL_DEBUG_POINTS];
};

/* Base of an engine's VM and vCPU objects. */
struct accel_vm {
	const struct accel *accel;
	struct machine *machine;
	uint32_t tsc_khz; /* guest TSC frequency, 0 unknown */
	int irqchip;	  /* enum accel_irqchip: what vm_new made; an option may say split */
};

struct accel_vcpu {
	struct accel_vm *vm;
	struct vcpu *vcpu;
};

struct accel {
	const char *name, *doc;
	bool hardware;	  /* auto: hardware engines are tried first */
	bool aliases_ram; /* it is faster with RAM that can be mapped twice: ram_config.alias */
	const struct field_table *config; /* `--accel NAME,KEY=VALUE`; NULL: none */

	/* Can it run a guest here? Runs a tiny guest, a few milliseconds. Appends a clause to @report
	 * either way (what was found, why not). @options as in accel_vm_config. */
	bool (*probe)(const void *options, struct str *report);
	/* Optional: is it plain without a guest, in microseconds, that the probe would find it
	 * usable? Appends why when so, nothing otherwise. */
	bool (*evident)(const void *options, struct str *report);

	struct accel_vm *(*vm_new)(
		struct machine *m, const struct accel_vm_config *c, struct error *err);
	void (*vm_free)(struct accel_vm *vm);

	/* Guest RAM and ROM: ranges of the memory address space come and go. */
	int (*ram_add)(struct accel_vm *vm, const struct as_range *r);
	void (*ram_del)(struct accel_vm *vm, const struct as_range *r);
	/* Dirty log of all RAM: on/off, and merge into the ram_blocks' bitmaps. */
	int (*dirty_log)(struct accel_vm *vm, bool on);
	int (*dirty_sync)(struct accel_vm *vm);

	/* Interrupts. irq_set: a pin of the chips. msi_send: at once. routes_set: replaces all message
	 * routes (gsi >= IRQ_GSI_PINS). */
	int (*irq_set)(struct accel_vm *vm, uint32_t gsi, bool level);
	int (*msi_send)(struct accel_vm *vm, uint64_t addr, uint32_t data);
	/* Optional: would an edge of pin @gsi be heard, or do the chips mask it? When it comes to be,
	 * the engine calls irq_opened(). So a timer that nobody hears costs no wake-ups. NULL: always. */
	bool (*irq_open)(struct accel_vm *vm, uint32_t gsi);
	int (*routes_set)(
		struct accel_vm *vm, const struct accel_msi *routes, uint32_t n); /* optional */
	int (*irqfd)(struct accel_vm *vm, uint32_t gsi, int eventfd, bool add);	  /* optional */
	int (*ioeventfd)(struct accel_vm *vm, bool pio, uint64_t addr, uint8_t size, bool match,
		uint64_t data, int eventfd, bool add); /* optional */

	/* CPU model: everything that the engine can offer. */
	bool (*cpuid_supported)(struct accel_vm *vm, struct x86_cpuid *out, struct error *err);

	/* Clock: nanoseconds since the guest's start (kvmclock). pause: the guest was stopped on
	 * purpose, time stands still; vcpu_stalled: it did not get the CPU for a while (SIGSTOP), its
	 * watchdogs should know (KVMCLOCK_CTRL). */
	int (*chips_get)(struct accel_vm *vm, struct x86_chips_state *out);
	int (*chips_set)(struct accel_vm *vm, const struct x86_chips_state *in);
	int (*clock_get)(struct accel_vm *vm, uint64_t *ns);
	int (*clock_set)(struct accel_vm *vm, uint64_t ns);

	/* Optional: what the engine has counted, as lines for the log. @asked: somebody wants to know now;
	 * else the VM is about to end, and the engine's options say whether that is told (false: not).
	 * While vCPUs run. */
	bool (*report)(struct accel_vm *vm, bool asked, struct str *out);

	/* vCPUs. vcpu_new runs on main; the thread of the first vcpu_run is the vCPU's own. */
	struct accel_vcpu *(*vcpu_new)(struct accel_vm *vm, struct vcpu *v, struct error *err);
	void (*vcpu_free)(struct accel_vcpu *v);
	bool (*vcpu_set_cpuid)(struct accel_vcpu *v, const struct x86_cpuid *c, struct error *err);
	/* Run until something is the machine's business. Finishes the previous exit's access first;
	 * @exit stays as the caller left it until then (it may hold the answer). A kick makes it
	 * return at least once more after the kick, in the end with VCPU_EXIT_NONE: the place to
	 * park, since no access is half done there. */
	int (*vcpu_run)(struct accel_vcpu *v, struct vcpu_exit *exit);
	/* Make vcpu_run return soon, from any thread; not lost when it comes just before the run. */
	void (*vcpu_kick)(struct accel_vcpu *v);
	int (*vcpu_get)(struct accel_vcpu *v, struct x86_cpu_state *s, unsigned int parts);
	int (*vcpu_set)(struct accel_vcpu *v, const struct x86_cpu_state *s, unsigned int parts);
	int (*vcpu_nmi)(struct accel_vcpu *v);
	int (*vcpu_stalled)(struct accel_vcpu *v); /* optional */

	/* For a debugger, both optional. debug: exit with VCPU_EXIT_DEBUG before an instruction or after
	 * an access of these; all zero: no more. The guest does not see it. -ENOSPC: more points than
	 * the hardware has. translate: what a supervisor's access to @linear would reach. -EFAULT. */
	int (*vcpu_debug)(struct accel_vcpu *v, const struct accel_debug *d);
	int (*vcpu_translate)(struct accel_vcpu *v, uint64_t linear, uint64_t *gpa);
};

/* The generated table of all engines, NULL-terminated. */
extern const struct accel *const accel_table[];
const struct accel *accel_find(const char *name);
/* `kvm`, `auto`, `kvm:soft,device=/dev/kvm`: the first engine of the list that works, its options in
 * *@options (free with accel_options_free). The report says for each what was found. */
const struct accel *accel_select(
	const char *spec, void **options, struct str *report, struct error *err) MUST_USE;
void accel_options_free(const struct accel *a, void *options);

#endif
