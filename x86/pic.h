/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * pic - the two cascaded 8259A interrupt controllers of a PC with their edge/level registers, as pure
 * state: inputs and register accesses in, the level of INTR out. The caller serializes, and looks at
 * x86_pic_output() after every call that changes something.
 *
 * state[0] is the master, lines 0-7; state[1] the slave, lines 8-15, on the master's line 2.
 */
#ifndef X86_PIC_H
#define X86_PIC_H

#include "x86/cpu_state.h"

#define X86_PIC_LINES	16
#define X86_PIC_CASCADE 2

/* Ports 0x20-0x21, 0xa0-0xa1 and 0x4d0-0x4d1. */
bool x86_pic_has_port(uint16_t port);
void x86_pic_reset(struct x86_pic_state s[2]);
uint8_t x86_pic_read(struct x86_pic_state s[2], uint16_t port);
void x86_pic_write(struct x86_pic_state s[2], uint16_t port, uint8_t value);
/* The input @line (< X86_PIC_LINES; the cascade's is ignored) is high or low. */
void x86_pic_set(struct x86_pic_state s[2], unsigned int line, bool level);
/* INTR to the CPU. */
bool x86_pic_output(const struct x86_pic_state s[2]);
/* The CPU acknowledges: the vector. Without a request it is the spurious one, line 7's. */
uint8_t x86_pic_ack(struct x86_pic_state s[2]);
/* Would a rise of @line reach INTR, nothing else being served? */
bool x86_pic_open(const struct x86_pic_state s[2], unsigned int line);
/* Bring what no 8259A can hold into range. */
void x86_pic_sanitize(struct x86_pic_state s[2]);

#endif
