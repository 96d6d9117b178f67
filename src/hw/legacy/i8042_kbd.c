// SPDX-License-Identifier: GPL-2.0-or-later
/* i8042_kbd - the PS/2 keyboard: its commands. */
#include "hw/legacy/i8042_int.h"

void i8042_kbd_defaults(struct i8042_state *s, bool enabled)
{
	s->kbd_pending = 0;
	s->kbd_set = 2;
	s->kbd_enabled = enabled;
}

/* The second byte of a command. */
static void kbd_argument(struct i8042_state *s, uint8_t v)
{
	uint8_t command = s->kbd_pending;

	s->kbd_pending = 0;
	queue_put(&s->kbd, ACK);
	if (command != 0xf0)
		return; /* LEDs, typematic rate */
	if (v == 0)
		queue_put(&s->kbd, s->kbd_set);
	else if (v <= 3)
		s->kbd_set = v;
}

void i8042_kbd_write(struct i8042_state *s, uint8_t v)
{
	if (s->kbd_pending && v < 0xed) {
		kbd_argument(s, v);
		return;
	}
	s->kbd_pending = 0;
	switch (v) {
	case 0xed: /* LEDs */
	case 0xf0: /* scan code set */
	case 0xf3: /* typematic rate */
		s->kbd_pending = v;
		queue_put(&s->kbd, ACK);
		break;
	case 0xee:
		queue_put(&s->kbd, v); /* echo */
		break;
	case 0xf2:
		queue_put(&s->kbd, ACK);
		queue_put(&s->kbd, 0xab);
		queue_put(&s->kbd, 0x83);
		break;
	case 0xf4:
		s->kbd_enabled = true;
		queue_put(&s->kbd, ACK);
		break;
	case 0xf5:
	case 0xf6:
		i8042_kbd_defaults(s, v == 0xf6);
		queue_put(&s->kbd, ACK);
		break;
	case 0xfe:
		queue_put(&s->kbd, s->kbd_last);
		break;
	case 0xff:
		s->kbd.len = 0;
		i8042_kbd_defaults(s, true);
		queue_put(&s->kbd, ACK);
		queue_put(&s->kbd, 0xaa); /* self test passed */
		break;
	default:
		queue_put(&s->kbd, RESEND);
		break;
	}
}
