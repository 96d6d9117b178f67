/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * ioapic - the I/O APIC (82093AA) as pure state: inputs and register accesses in, messages out.
 * The caller serializes and sends the messages that an effect names.
 */
#ifndef X86_IOAPIC_H
#define X86_IOAPIC_H

#include "x86/cpu_state.h"

#define X86_IOAPIC_PINS 24
#define X86_IOAPIC_BASE 0xfec00000ull
#define X86_IOAPIC_SIZE 0x1000ull

/* A redirection entry's bit: a level-triggered interrupt was sent and has not ended yet. */
#define X86_IOAPIC_REMOTE_IRR (1ull << 14)

/* What a call brought about: bit n is pin n. */
struct x86_ioapic_effect {
	uint32_t fire;	  /* send the pin's message */
	uint32_t changed; /* its message is another one, or it was masked or unmasked */
};

void x86_ioapic_reset(struct x86_ioapic_state *s);
/* Register access at byte @off of the page; 32 bits wide. Unknown registers read as 0. */
uint32_t x86_ioapic_read(const struct x86_ioapic_state *s, uint32_t off);
struct x86_ioapic_effect x86_ioapic_write(struct x86_ioapic_state *s, uint32_t off, uint32_t value);
/* The input of @pin (< X86_IOAPIC_PINS) is asserted or not. SPEC: the polarity bit is ignored, as
 * in KVM: @level is what the device means. */
struct x86_ioapic_effect x86_ioapic_set(struct x86_ioapic_state *s, uint32_t pin, bool level);
/* A CPU has finished the interrupt of @vector. */
struct x86_ioapic_effect x86_ioapic_eoi(struct x86_ioapic_state *s, uint8_t vector);
/* The message of @pin. False: it is masked, or of a kind that is no message (ExtINT). */
bool x86_ioapic_message(
	const struct x86_ioapic_state *s, uint32_t pin, uint64_t *addr, uint32_t *data);

#endif
