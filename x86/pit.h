/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * pit - the 8254 interval timer with its three channels, and system control port 0x61, which has
 * channel 2's gate and output. Pure: the state is a struct x86_pit_state, time is an argument
 * (nanoseconds of any clock that does not go back), and nothing ticks: what a counter holds follows
 * from when it was loaded. The caller asks for the next rise of channel 0's output and raises the
 * interrupt then. The caller also has the lock.
 *
 * Any state is safe to work on, one from a hostile stream after x86_pit_sanitize().
 */
#ifndef X86_PIT_H
#define X86_PIT_H

#include "x86/cpu_state.h"

#define X86_PIT_HZ	  1193182
#define X86_PIT_CHANNELS  3
#define X86_PIT_PORT	  0x40 /* channels 0-2, then the control word */
#define X86_PIT_PORTS	  4
#define X86_PIT_CONTROL	  0x43
#define X86_PIT_PORT_B	  0x61
#define X86_PIT_MODE_NONE 0xff /* since power-on no control word was written */
#define X86_PIT_SPEAKER	  2    /* in flags: port 0x61's speaker data bit */
#define X86_PIT_NEVER	  INT64_MAX

static inline bool x86_pit_has_port(uint16_t port)
{
	return (port >= X86_PIT_PORT && port < X86_PIT_PORT + X86_PIT_PORTS) ||
	       port == X86_PIT_PORT_B;
}

/* State after power-on. */
void x86_pit_reset(struct x86_pit_state *s);
bool x86_pit_is_reset(const struct x86_pit_state *s);
/* A byte read from or written to @port (x86_pit_has_port) at time @now. */
uint8_t x86_pit_read(struct x86_pit_state *s, uint16_t port, int64_t now);
void x86_pit_write(struct x86_pit_state *s, uint16_t port, uint8_t value, int64_t now);
/* Level of channel @ch's output at @now. */
bool x86_pit_out(const struct x86_pit_state *s, unsigned int ch, int64_t now);
/* When channel @ch's output rises next, later than @now; X86_PIT_NEVER: not before the guest does
 * something. */
int64_t x86_pit_next_rise(const struct x86_pit_state *s, unsigned int ch, int64_t now);
/* No channel is between its control word and the last byte of its count. */
bool x86_pit_settled(const struct x86_pit_state *s);
/* Add @ns to every time in @s: it changes clocks. */
void x86_pit_shift(struct x86_pit_state *s, int64_t ns);
/* Bring what no 8254 can hold into range; no time of it is later than @now then. */
void x86_pit_sanitize(struct x86_pit_state *s, int64_t now);

#endif
