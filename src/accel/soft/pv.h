// SPDX-License-Identifier: GPL-2.0-or-later
/* pv - KVM's paravirtual MSRs beside its clock. The vCPU's own thread, or main while it is stopped. */
#ifndef ACCEL_SOFT_PV_H
#define ACCEL_SOFT_PV_H

#include <stdbool.h>
#include <stdint.h>

#define MSR_KVM_ASYNC_PF     0x4b564d02u
#define MSR_KVM_STEAL_TIME   0x4b564d03u
#define MSR_KVM_PV_EOI	     0x4b564d04u
#define MSR_KVM_POLL_CONTROL 0x4b564d05u
#define MSR_KVM_ASYNC_PF_INT 0x4b564d06u
#define MSR_KVM_ASYNC_PF_ACK 0x4b564d07u

struct soft_vcpu;

/* False: #GP. @restore: a state is put in, which may have been saved under KVM. */
bool soft_pv_write(struct soft_vcpu *v, uint32_t index, uint64_t value, bool restore);
bool soft_pv_read(struct soft_vcpu *v, uint32_t index, uint64_t *value);
/* Does the guest's CPUID have what the MSR is for? */
bool soft_pv_offered(const struct soft_vcpu *v, uint32_t index);
/* The vCPU's thread begins to run it. */
void soft_pv_enter(struct soft_vcpu *v);
/* Now and then, with v->pv.slept kept up: time that was stolen. */
void soft_pv_account(struct soft_vcpu *v);

#endif
