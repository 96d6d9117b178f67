// SPDX-License-Identifier: GPL-2.0-or-later
#include "accel/kvm/kvm_int.h"

bool kvm_probe(const void *options, struct str *report)
{
	return true;
}
