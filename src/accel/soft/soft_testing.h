// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * soft_testing - tiny guests (accel/guest_testing.h) on the soft engine, without a machine. A write to
 * a port or to memory that is not RAM ends soft_vcpu_run() with that exit, after the instruction is
 * done; reads give all ones.
 */
#ifndef ACCEL_SOFT_SOFT_TESTING_H
#define ACCEL_SOFT_SOFT_TESTING_H

#include "accel/guest_testing.h"
#include "accel/soft/soft_int.h"

static uint8_t soft_test_data[8]; /* of the last write */

static inline void soft_test_leave(struct soft_vcpu *v, void *data, unsigned int size)
{
	memcpy(soft_test_data, data, size);
	v->leaving = v->stop = true;
}

static inline void soft_test_mem(
	struct soft_vcpu *v, uint64_t gpa, void *data, unsigned int size, bool write)
{
	if (!write) {
		memset(data, 0xff, size);
		return;
	}
	v->exit = (struct vcpu_exit){ .kind = VCPU_EXIT_MEM,
		.mem = { .addr = gpa, .size = size, .write = true, .data = soft_test_data } };
	soft_test_leave(v, data, size);
}

static inline void soft_test_port(
	struct soft_vcpu *v, uint16_t port, void *data, unsigned int size, bool write)
{
	if (!write) {
		memset(data, 0xff, size);
		return;
	}
	v->exit = (struct vcpu_exit){ .kind = VCPU_EXIT_PORT,
		.port = { .port = port,
			.size = size,
			.write = true,
			.count = 1,
			.data = soft_test_data } };
	soft_test_leave(v, data, size);
}

static const struct soft_io soft_test_io = { .mem = soft_test_mem, .port = soft_test_port };

static inline struct guest *soft_guest_new(enum guest_mode mode)
{
	struct guest *g = guest_new_on(&soft_accel, mode, ACCEL_IRQCHIP_SPLIT, false);

	to_soft_vm(g->vm)->io = &soft_test_io;
	return g;
}

static inline struct soft_vcpu *soft_of(struct guest *g)
{
	return to_soft_vcpu(g->vcpu);
}

#endif
