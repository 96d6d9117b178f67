// SPDX-License-Identifier: GPL-2.0-or-later
/* debug - a debugger's points in the host CPU's four debug registers, and single steps. */
#include <errno.h>
#include "accel/kvm/kvm_int.h"

#define DR_POINTS 4
#define DR7_FIXED 0x600ull /* bit 10 is always set; GE: exact */

/* DR7's bits for point @p in register @i: enabled, R/W and LEN (SDM, Debug Control Register). */
static uint64_t dr7_bits(const struct accel_debug_point *p, unsigned int i)
{
	static const uint8_t rw[] = {
		[ACCEL_DEBUG_EXEC] = 0, [ACCEL_DEBUG_WRITE] = 1, [ACCEL_DEBUG_ACCESS] = 3
	};
	static const uint8_t length[] = { [1] = 0, [2] = 1, [4] = 3, [8] = 2 };

	return 2ull << (2 * i) | (uint64_t)(length[p->len] << 2 | rw[p->kind]) << (16 + 4 * i);
}

int kvm_vcpu_debug(struct accel_vcpu *v, const struct accel_debug *d)
{
	struct kvm_guest_debug k = { .arch.debugreg[7] = DR7_FIXED };

	if (d->n > DR_POINTS)
		return -ENOSPC;
	if (d->n || d->step)
		k.control = KVM_GUESTDBG_ENABLE;
	if (d->step)
		k.control |= KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_BLOCKIRQ;
	if (d->n)
		k.control |= KVM_GUESTDBG_USE_HW_BP;
	for (unsigned int i = 0; i < d->n; i++) {
		k.arch.debugreg[i] = d->point[i].addr;
		k.arch.debugreg[7] |= dr7_bits(&d->point[i], i);
	}
	return kvm_ioctl(to_kvm_vcpu(v)->fd, KVM_SET_GUEST_DEBUG, &k);
}

int kvm_vcpu_translate(struct accel_vcpu *v, uint64_t linear, uint64_t *gpa)
{
	struct kvm_translation t = { .linear_address = linear };
	int r = kvm_ioctl(to_kvm_vcpu(v)->fd, KVM_TRANSLATE, &t);

	if (r < 0 || !t.valid)
		return r < 0 ? r : -EFAULT;
	*gpa = t.physical_address;
	return 0;
}
