// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * null - an engine that runs no guest: its vCPUs play back exits that a test has queued, and it
 * records the interrupts that devices raise. For unit tests, the conformance suite and fuzzers; not
 * in the table of engines that users can choose.
 */
#ifndef ACCEL_NULL_NULL_H
#define ACCEL_NULL_NULL_H

#include <stdbool.h>
#include <stdint.h>
#include "core/accel.h"

extern const struct accel null_accel;

#define NULL_SCRIPT_MAX 64

/* Queue @e for vCPU @index (copied; data pointers stay the test's). False: the script is full. */
bool null_push_exit(struct accel_vm *vm, uint32_t index, const struct vcpu_exit *e);
/* Wait until vCPU @index has played all its exits and asks for more. */
void null_wait_idle(struct accel_vm *vm, uint32_t index);
/* The level of pin @gsi as last told. */
bool null_irq_level(struct accel_vm *vm, uint32_t gsi);
/* How often a pin has risen; messages sent so far and the last one. */
uint64_t null_irq_rises(struct accel_vm *vm, uint32_t gsi);
uint64_t null_msi_count(struct accel_vm *vm, uint64_t *addr, uint32_t *data);

#endif
