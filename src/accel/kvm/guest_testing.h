// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest_testing - tiny guests on KVM. Where there is none the test says why and ends with 77, which
 * Meson counts as skipped.
 */
#ifndef ACCEL_KVM_GUEST_TESTING_H
#define ACCEL_KVM_GUEST_TESTING_H

#include "accel/guest_testing.h"
#include "accel/kvm/kvm_int.h"

static inline struct guest *guest_new_chips(enum guest_mode mode, int irqchip, bool pit)
{
	return guest_new_on(&kvm_accel, mode, irqchip, pit);
}

static inline struct guest *guest_new(enum guest_mode mode)
{
	return guest_new_chips(mode, ACCEL_IRQCHIP_FULL, false);
}

/* First thing in a test's main(): 0, or the exit status when the test cannot run here. */
static inline int guest_testing_skip(void)
{
	struct error err = ERROR_INIT;
	int fd = kvm_open(KVM_DEVICE_DEFAULT, &err);

	if (fd < 0) {
		printf("skipped: %s\n", err.msg);
		return 77;
	}
	close(fd);
	return 0;
}

#endif
