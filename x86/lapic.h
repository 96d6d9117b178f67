/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* lapic - the local APIC as pure state: to be filled in. */
#ifndef X86_LAPIC_H
#define X86_LAPIC_H

#include "x86/cpu_state.h"

struct x86_lapic {
	uint8_t regs[X86_LAPIC_SIZE]; /* the register page, as struct x86_cpu_state has it */
};

#endif
