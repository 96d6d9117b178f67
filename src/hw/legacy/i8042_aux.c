// SPDX-License-Identifier: GPL-2.0-or-later
/* i8042_aux - the PS/2 mouse, with a wheel for who knocks. */
#include "hw/legacy/i8042_int.h"

void i8042_aux_defaults(struct i8042_state *s)
{
	s->aux_pending = s->aux_enabled = s->aux_remote = s->aux_scale = 0;
	s->aux_resolution = 2;
	s->aux_rate = 100;
}

/* A wheel mouse shows itself after the rates 200, 100, 80. */
static void aux_set_rate(struct i8042_state *s, uint8_t rate)
{
	static const uint8_t knock[] = { 200, 100, 80 };

	s->aux_rate = rate;
	s->aux_knock = rate == knock[s->aux_knock] ? s->aux_knock + 1 : rate == knock[0];
	if (s->aux_knock == sizeof(knock)) {
		s->aux_id = 3;
		s->aux_knock = 0;
	}
}

static int clamp_move(int v)
{
	return v < -255 ? -255 : v > 255 ? 255 : v;
}

void i8042_aux_packet(struct i8042_state *s, int dx, int dy, int dz)
{
	dx = clamp_move(dx);
	dy = clamp_move(dy);
	queue_put(&s->aux,
		(uint8_t)(0x08 | s->aux_buttons | (dx < 0 ? 0x10 : 0) | (dy < 0 ? 0x20 : 0)));
	queue_put(&s->aux, (uint8_t)dx);
	queue_put(&s->aux, (uint8_t)dy);
	if (s->aux_id == 3)
		queue_put(&s->aux, (uint8_t)(dz < -8 ? -8 : dz > 7 ? 7 : dz));
}

static void aux_argument(struct i8042_state *s, uint8_t v)
{
	if (s->aux_pending == 0xf3)
		aux_set_rate(s, v);
	else
		s->aux_resolution = v & 3;
	s->aux_pending = 0;
	queue_put(&s->aux, ACK);
}

static void aux_status(struct i8042_state *s)
{
	queue_put(&s->aux, (uint8_t)((s->aux_remote ? 0x40 : 0) | (s->aux_enabled ? 0x20 : 0) |
				     (s->aux_scale ? 0x10 : 0) | s->aux_buttons));
	queue_put(&s->aux, s->aux_resolution);
	queue_put(&s->aux, s->aux_rate);
}

static void aux_reset(struct i8042_state *s)
{
	s->aux.len = 0;
	i8042_aux_defaults(s);
	s->aux_id = s->aux_knock = 0;
	queue_put(&s->aux, ACK);
	queue_put(&s->aux, 0xaa);
	queue_put(&s->aux, s->aux_id);
}

void i8042_aux_write(struct i8042_state *s, uint8_t v)
{
	if (s->aux_pending) {
		aux_argument(s, v);
		return;
	}
	if (v == 0xff) {
		aux_reset(s);
		return;
	}
	if (v < 0xe6 || (v > 0xeb && v < 0xf0) || v == 0xf1 || v > 0xf6) {
		queue_put(&s->aux, RESEND); /* wrap mode (0xec, 0xee) included: nobody uses it */
		return;
	}
	queue_put(&s->aux, ACK);
	switch (v) {
	case 0xe6:
	case 0xe7:
		s->aux_scale = v & 1;
		break;
	case 0xe8: /* resolution */
	case 0xf3: /* sample rate */
		s->aux_pending = v;
		break;
	case 0xe9:
		aux_status(s);
		break;
	case 0xea:
	case 0xf0:
		s->aux_remote = v == 0xf0;
		break;
	case 0xeb:
		i8042_aux_packet(s, 0, 0, 0);
		break;
	case 0xf2:
		queue_put(&s->aux, s->aux_id);
		break;
	case 0xf4:
	case 0xf5:
		s->aux_enabled = v == 0xf4;
		break;
	case 0xf6:
		i8042_aux_defaults(s);
		break;
	default:
		break;
	}
}
