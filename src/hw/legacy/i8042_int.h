// SPDX-License-Identifier: GPL-2.0-or-later
/* i8042_int - what the controller and the two devices at it share: their state, under the device's lock. */
#ifndef HW_LEGACY_I8042_INT_H
#define HW_LEGACY_I8042_INT_H

#include <stdbool.h>
#include <stdint.h>

#define QUEUE  32
#define ACK    0xfa
#define RESEND 0xfe

struct queue {
	uint8_t b[QUEUE];
	uint8_t len;
};

struct i8042_state {
	uint8_t ctr, outport, last_write_command;
	uint8_t data, source; /* the output buffer */
	uint8_t pending;      /* controller command that waits for its byte; 0: none */
	struct queue ctl, kbd, aux;
	uint8_t ctl_aux; /* the controller's bytes are posed as the mouse's */
	uint8_t kbd_pending, kbd_enabled, kbd_set, kbd_break, kbd_last;
	uint8_t aux_pending, aux_enabled, aux_remote, aux_scale, aux_resolution, aux_rate;
	uint8_t aux_id, aux_knock; /* how far the wheel mouse's magic rates have come */
	uint8_t aux_buttons;
};

/* What does not go in is lost. */
static inline void queue_put(struct queue *q, uint8_t v)
{
	if (q->len < QUEUE)
		q->b[q->len++] = v;
}

/* i8042_kbd.c: power-on state; a byte that the host writes. */
void i8042_kbd_defaults(struct i8042_state *s, bool enabled);
void i8042_kbd_write(struct i8042_state *s, uint8_t v);

/* i8042_aux.c: likewise, and a movement. */
void i8042_aux_defaults(struct i8042_state *s);
void i8042_aux_write(struct i8042_state *s, uint8_t v);
void i8042_aux_packet(struct i8042_state *s, int dx, int dy, int dz);

#endif
