// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kvm_int - the kvm engine's own declarations: struct kvm_vm and struct kvm_vcpu behind
 * core/accel.h. The engine speaks to Linux's /dev/kvm or to anything with the same ioctl API
 * (`device=PATH`).
 *
 * Locks: slots_lock (memory slots; taken inside the memory address space's lock), routes_lock
 * (routing table and, when split, the I/O APIC; taken inside the machine's irqs.lock), msrs_lock
 * (which MSRs there are). Each is a leaf; but routes_lock is taken inside pit_lock (the PIT until KVM
 * has it, and its making).
 */
#ifndef ACCEL_KVM_INT_H
#define ACCEL_KVM_INT_H

#include <linux/kvm.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include "base/thread.h"
#include "base/types.h"
#include "base/vec.h"
#include "core/accel.h"
#include "x86/ioapic.h"
#include "x86/pic.h"

#define KVM_DEVICE_DEFAULT "/dev/kvm"
/* Interrupts the guest-mode thread. An ordinary signal: any number of kicks are one. */
#define KVM_KICK_SIGNAL	   SIGUSR1
/* Intel without "unrestricted guest" wants three pages of guest-physical space for its real-mode
 * tricks and one for identity-mapped page tables: the 16 KiB below the 16 MiB firmware window. */
#define KVM_IDENTITY_ADDR  0xfeffc000ull
#define KVM_TSS_ADDR	   0xfeffd000ull
/* Where slots start to be refused: far above what a board makes, below every kernel's limit. */
#define KVM_SLOTS_LIMIT	   509
/* The I/O APIC's pin of GSI 0, the timer. */
#define KVM_TIMER_PIN	   2

struct kvm_config {
	char *device; /* owned; NULL: KVM_DEVICE_DEFAULT */
};
extern const struct field_table kvm_config_table;
extern const struct accel kvm_accel;

struct kvm_slot {
	uint64_t gpa, size; /* bytes; size 0: free */
	uint64_t range_start,
		range_size; /* as the address space named it, before trimming to pages */
	uint8_t *host;
	struct ram_block
		*ram; /* borrowed: the address space holds a reference while it is mapped */
	uint64_t ram_off;
	bool readonly, logged;
};

struct kvm_vcpu;

struct kvm_vm {
	struct accel_vm base;
	int dev_fd, fd; /* owned */
	size_t run_size;
	bool split;		 /* PIC and I/O APIC are not in the kernel */
	bool pit_wanted;	 /* there is to be a PIT: pit.c */
	bool apic_id32;		 /* the LAPIC page's ID register is 32 bits wide in x2APIC mode */
	_Atomic bool event_caps; /* exception payloads and pending triple faults are told */

	struct mutex slots_lock; /* of the members up to the next lock */
	VEC(struct kvm_slot) slots;
	bool dirty_on;
	uint64_t *dirty_buf; /* one slot's bitmap and a word */
	size_t dirty_words;

	struct mutex routes_lock; /* likewise */
	struct kvm_irq_routing *routes;
	bool pins_told;			/* KVM has our routes of the pins */
	uint32_t n_messages;		/* the table's first entries; the pins follow */
	struct x86_ioapic_state ioapic; /* split only, to the end of this group */
	struct x86_pic_state pic[2];
	_Atomic bool pic_int; /* the PICs' output; written under the lock */
	struct kvm_vcpu *bsp; /* the CPU on that output; NULL: none yet, or no more */
	uint32_t routed;      /* split: pins that have a route */

	struct mutex pit_lock; /* likewise */
	bool has_pit;
	struct x86_pit_state pit; /* until KVM has it; times are of CLOCK_MONOTONIC */

	struct mutex msrs_lock; /* likewise */
	uint32_t *msrs;		/* indices that are state; NULL: not asked yet */
	uint32_t n_msrs;
};

struct kvm_vcpu {
	struct accel_vcpu base;
	struct kvm_vm *vm;	  /* borrowed */
	int fd;			  /* owned */
	struct kvm_run *run;	  /* owned mapping of vm->run_size bytes */
	_Atomic pid_t tid;	  /* of the thread that runs it; 0: it has not run yet */
	bool on_pics;		  /* split: the PICs' output is this CPU's LINT0 */
	bool unfinished;	  /* an exit's access is completed by the next KVM_RUN */
	struct vcpu_exit *answer; /* an MSR exit whose answer goes to KVM with the next run */
	bool held; /* an exit came up while finishing another: vcpu_run returns it first */
};

/* KVM's tables with a tail, and room for it. */
union kvm_cpuid_buf {
	struct kvm_cpuid2 head;
	uint8_t room[sizeof(struct kvm_cpuid2) + X86_CPUID_MAX * sizeof(struct kvm_cpuid_entry2)];
};

#define to_kvm_vm(p)   CONTAINER_OF(p, struct kvm_vm, base)
#define to_kvm_vcpu(p) CONTAINER_OF(p, struct kvm_vcpu, base)

/* ioctl that gives the result or -errno and starts again after a signal. */
int kvm_ioctl(int fd, unsigned long request, void *arg);
int kvm_ioctl_val(int fd, unsigned long request, unsigned long arg);
int kvm_enable_cap(int fd, uint32_t cap, uint64_t arg0);
/* Descriptor of @path, or -1 and what to do about it. */
int kvm_open(const char *path, struct error *err) MUST_USE;
/* True when the host's CPU is AMD's (or Hygon's). */
bool kvm_host_is_amd(void);

/* probe.c */
bool kvm_probe(const void *options, struct str *report);
bool kvm_evident(const void *options, struct str *report);

/* vm.c */
struct accel_vm *kvm_vm_new(struct machine *m, const struct accel_vm_config *c, struct error *err);
void kvm_vm_free(struct accel_vm *vm);
bool kvm_cpuid_supported(struct accel_vm *vm, struct x86_cpuid *out, struct error *err);
bool kvm_cpuid_query(int dev_fd, struct x86_cpuid *out, struct error *err) MUST_USE;
int kvm_clock_get(struct accel_vm *vm, uint64_t *ns);
int kvm_clock_set(struct accel_vm *vm, uint64_t ns);

/* memory.c */
int kvm_ram_add(struct accel_vm *vm, const struct as_range *r);
void kvm_ram_del(struct accel_vm *vm, const struct as_range *r);
int kvm_dirty_log(struct accel_vm *vm, bool on);
int kvm_dirty_sync(struct accel_vm *vm);
/* Copy guest-physical bytes out of the slots; the number that could be read. */
size_t kvm_slots_read(struct kvm_vm *vm, uint64_t gpa, void *buf, size_t len);
void kvm_slots_fini(struct kvm_vm *vm);

/* irq.c */
bool kvm_chips_new(struct kvm_vm *vm, const struct accel_vm_config *c, struct error *err) MUST_USE;
int kvm_irq_set(struct accel_vm *vm, uint32_t gsi, bool level);
int kvm_msi_send(struct accel_vm *vm, uint64_t addr, uint32_t data);
int kvm_routes_set(struct accel_vm *vm, const struct accel_msi *routes, uint32_t n);
/* Tell KVM our routes of the pins, unless it has them. */
int kvm_routes_pins(struct kvm_vm *vm);
int kvm_irqfd_set(struct accel_vm *vm, uint32_t gsi, int eventfd, bool add);
int kvm_ioeventfd_set(struct accel_vm *vm, bool pio, uint64_t addr, uint8_t size, bool match,
	uint64_t data, int eventfd, bool add);
int kvm_chips_get(struct accel_vm *vm, struct x86_chips_state *out);
int kvm_chips_set(struct accel_vm *vm, const struct x86_chips_state *in);

/* Send the routing table with its pins made anew; routes_lock is held. */
int kvm_routes_put(struct kvm_vm *vm);

/* split.c: our own I/O APIC and PICs in front of the kernel's local APICs */
void kvm_split_init(struct kvm_vm *vm);
int kvm_split_irq_set(struct kvm_vm *vm, uint32_t gsi, bool level);
void kvm_split_get(struct kvm_vm *vm, struct x86_chips_state *out);
int kvm_split_set(struct kvm_vm *vm, const struct x86_chips_state *in);
bool kvm_irq_open(struct accel_vm *vm, uint32_t gsi);
/* A vCPU comes (@make) or goes. */
void kvm_split_vcpu(struct kvm_vcpu *v, uint32_t apic_id, bool make);
/* Before KVM_RUN: hand the PICs' interrupt to the CPU, or ask to be told when it can take one. */
void kvm_split_extint(struct kvm_vcpu *v);
/* Append the pins' routes at @e; how many. */
uint32_t kvm_split_routes(struct kvm_vm *vm, struct kvm_irq_routing_entry *e);
/* True: the exit was the I/O APIC's and is dealt with. */
bool kvm_split_exit(struct kvm_vm *vm, struct vcpu_exit *exit);

/* pit.c */
/* Is an access to @port the PIT's? Carry it out; 0 or -errno. */
bool kvm_pit_takes(const struct kvm_vm *vm, uint16_t port);
int kvm_pit_access(struct kvm_vm *vm, struct vcpu_exit *exit);
/* The PIT's state; @clock_off is what to add to the host's monotonic clock to get the state's. All
 * zero when there is no PIT. 0 or -errno. */
int kvm_pit_get(struct kvm_vm *vm, struct x86_pit_state *out, int64_t clock_off);
int kvm_pit_set(struct kvm_vm *vm, const struct x86_pit_state *in, int64_t clock_off);

/* vcpu.c */
struct accel_vcpu *kvm_vcpu_new(struct accel_vm *vm, struct vcpu *v, struct error *err);
struct kvm_vcpu *kvm_vcpu_make(struct kvm_vm *vm, uint32_t apic_id, struct error *err) MUST_USE;
void kvm_vcpu_free(struct accel_vcpu *v);
bool kvm_vcpu_set_cpuid(struct accel_vcpu *v, const struct x86_cpuid *c, struct error *err);
int kvm_vcpu_run(struct accel_vcpu *v, struct vcpu_exit *exit);
/* Let KVM_KICK_SIGNAL through on this thread; it does nothing but end KVM_RUN. */
void kvm_kick_enable(void);
void kvm_vcpu_kick(struct accel_vcpu *v);
int kvm_vcpu_nmi(struct accel_vcpu *v);
int kvm_vcpu_stalled(struct accel_vcpu *v);
/* Complete the last exit's access without running guest code. 0 or -errno. */
int kvm_vcpu_finish(struct kvm_vcpu *v);
/* Complete it with all that follows of its instruction: the state is about to be replaced, and KVM
 * would go on with the instruction over the new one. */
void kvm_vcpu_abandon(struct kvm_vcpu *v);

/* debug.c */
int kvm_vcpu_debug(struct accel_vcpu *v, const struct accel_debug *d);
int kvm_vcpu_translate(struct accel_vcpu *v, uint64_t linear, uint64_t *gpa);

/* exits.c: the kvm_run page after KVM_RUN returned 0, as a normalised exit. */
void kvm_exit_translate(struct kvm_vcpu *v, struct vcpu_exit *exit);
/* Carry the answer to an MSR exit to KVM. */
void kvm_msr_answer(struct kvm_vcpu *v);
/* KVM_RUN failed with @errnum. */
void kvm_exit_failed(struct kvm_vcpu *v, int errnum, struct vcpu_exit *exit);

/* state.c */
int kvm_vcpu_get(struct accel_vcpu *v, struct x86_cpu_state *s, unsigned int parts);
int kvm_vcpu_set(struct accel_vcpu *v, const struct x86_cpu_state *s, unsigned int parts);

#endif
