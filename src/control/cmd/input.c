// SPDX-License-Identifier: GPL-2.0-or-later
/* send-key, input-send-event: the PS/2 keyboard and mouse, from somebody who is not there. */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/types.h"
#include "control/keys.h"
#include "control/qmp_int.h"
#include "hw/legacy/i8042.h"

#define KEYS_MAX    16 /* pressed together */
#define EVENTS_MAX  256
#define HOLD_MS	    100
#define HOLD_MS_MAX 60000

static struct device *find(struct machine *m, struct error *err)
{
	struct device *d;

	if (m->state != RUN_RUNNING) {
		error_set(err, "VM not running");
		return NULL;
	}
	list_for_each (d, &m->devices, node) {
		if (!strcmp(d->type->name, "i8042"))
			return d;
	}
	error_set(err, "the machine has no keyboard");
	return NULL;
}

/* -------- a key -------- */

static const char *const kind_names[] = { "number", "qcode", NULL };
enum { KIND_NUMBER, KIND_QCODE };

struct number {
	uint32_t data;
};
struct qcode {
	int data;
};
struct key {
	int type;
	union {
		struct number number;
		struct qcode qcode;
	} u;
};
static const struct field number_fields[] = {
	FIELD_U32(struct number, data, "data", .flags = FF_GIVEN, .max = 255,
		.doc = "scan code of set 1, with bit 7 set for those behind 0xe0"),
};
static const struct field_table number_table = FIELD_TABLE(
	"IntWrapper", struct number, number_fields);
static const struct field qcode_fields[] = {
	FIELD_ENUM(struct qcode, data, "data", key_names, .flags = FF_GIVEN),
};
static const struct field_table qcode_table = FIELD_TABLE(
	"QKeyCodeWrapper", struct qcode, qcode_fields);
static const struct field_table *const key_arms[] = { &number_table, &qcode_table };
static const struct field key_fields[] = {
	FIELD_ENUM(struct key, type, "type", kind_names, .flags = FF_GIVEN),
	FIELD_UNION(struct key, u, "", type, key_arms),
};
static const struct field_table key_table = FIELD_TABLE("KeyValue", struct key, key_fields);

static size_t bytes_of(const struct key *k, bool down, uint8_t out[KEY_BYTES_MAX])
{
	return k->type == KIND_QCODE ? key_bytes(k->u.qcode.data, down, out)
				     : key_number_bytes(k->u.number.data, down, out);
}

static bool check_key(const struct key *k, struct error *err)
{
	uint8_t bytes[KEY_BYTES_MAX];

	if (bytes_of(k, true, bytes))
		return true;
	if (k->type == KIND_QCODE)
		return error_usage(
			err, "a PC's keyboard has no key '%s'", key_names[k->u.qcode.data]);
	return error_usage(err, "a PC's keyboard has no key of number %u", k->u.number.data);
}

/* -------- send-key -------- */

/* What is still to be pressed and let go. */
struct key_queue {
	struct machine *m; /* borrowed */
	struct loop_timer timer;
	unsigned int n;
	struct {
		struct key key;
		bool down;
		int64_t hold_ns; /* before the next */
	} event[EVENTS_MAX];
};

/* Bytes for which there is no room are lost, as those of a real keyboard are. */
static void next_key(void *opaque)
{
	struct key_queue *k = opaque;
	struct error none = ERROR_INIT;
	struct device *d = find(k->m, &none);
	uint8_t bytes[KEY_BYTES_MAX];
	int64_t hold_ns = k->event[0].hold_ns;
	size_t n = bytes_of(&k->event[0].key, k->event[0].down, bytes);

	if (d && n)
		i8042_put_keys(d, bytes, n);
	memmove(k->event, k->event + 1, --k->n * sizeof(k->event[0]));
	if (k->n)
		loop_timer_arm(&k->timer, clock_mono_ns() + hold_ns);
}

static void queue_free(struct key_queue *k)
{
	loop_timer_fini(&k->timer);
	free(k);
}

static struct key_queue *get_queue(struct qmp *q)
{
	if (q->keys)
		return q->keys;
	q->keys = calloc(1, sizeof(*q->keys));
	if (!q->keys)
		return NULL;
	q->keys_free = queue_free;
	q->keys->m = q->m;
	loop_timer_init(&q->keys->timer, q->m->main_loop, next_key, q->keys);
	return q->keys;
}

static void put_event(struct key_queue *k, const struct key *key, bool down, int64_t hold_ms)
{
	k->event[k->n].key = *key;
	k->event[k->n].down = down;
	k->event[k->n++].hold_ns = hold_ms * 1000000;
}

struct send_args {
	struct {
		struct key *items;
		size_t len;
	} keys;
	int64_t hold;
};
static const struct field send_fields[] = {
	FIELD_LIST(struct send_args, keys, "keys", FT_STRUCT, KEYS_MAX, .sub = &key_table,
		.flags = FF_GIVEN, .doc = "pressed in this order, and let go in the other"),
	FIELD_I64(struct send_args, hold, "hold-time",
		.doc = "milliseconds between one and the next; without it 100"),
};
static const struct field_table send_args = FIELD_TABLE("send-key", struct send_args, send_fields);

static bool send_key(struct qmp_call *c, struct error *err)
{
	const struct send_args *a = c->args;
	int64_t hold = qmp_given(c, "hold-time") ? a->hold : HOLD_MS;
	struct key_queue *k;

	if (hold < 0 || hold > HOLD_MS_MAX)
		return error_usage(err, "'hold-time' is 0 to %d", HOLD_MS_MAX);
	for (size_t i = 0; i < a->keys.len; i++) {
		if (!check_key(&a->keys.items[i], err))
			return false;
	}
	if (!a->keys.len)
		return true;
	k = find(c->m, err) ? get_queue(c->q) : NULL;
	if (!k)
		return err->kind ? false : error_set(err, "out of memory");
	if (2 * a->keys.len > EVENTS_MAX - k->n)
		return error_set(err, "the keys of before are still being pressed");
	for (size_t i = 0; i < a->keys.len; i++)
		put_event(k, &a->keys.items[i], true, hold);
	for (size_t i = a->keys.len; i--;)
		put_event(k, &a->keys.items[i], false, hold);
	if (k->n && !loop_timer_armed(&k->timer))
		loop_timer_arm(&k->timer, clock_mono_ns());
	return true;
}

const struct qmp_command send_key_cmd = {
	.name = "send-key",
	.doc = "press keys together, and let them go",
	.args = &send_args,
	.run = send_key,
};

/* -------- input-send-event -------- */

static const char *const event_names[] = { "key", "btn", "rel", NULL };
enum { EVENT_KEY, EVENT_BUTTON, EVENT_MOVE };
static const char *const button_names[] = { "left", "middle", "right", "wheel-up", "wheel-down",
	NULL };
enum { BUTTON_LEFT, BUTTON_MIDDLE, BUTTON_RIGHT, WHEEL_UP, WHEEL_DOWN };
static const char *const axis_names[] = { "x", "y", NULL };
enum { AXIS_X, AXIS_Y };

struct key_event {
	struct key key;
	bool down;
};
struct button_event {
	int button;
	bool down;
};
struct move_event {
	int axis;
	int64_t value;
};
static const struct field key_event_fields[] = {
	FIELD_STRUCT(struct key_event, key, "key", &key_table, .flags = FF_GIVEN),
	FIELD_BOOL(struct key_event, down, "down", .flags = FF_GIVEN),
};
static const struct field_table key_event = FIELD_TABLE(
	"InputKeyEvent", struct key_event, key_event_fields);
static const struct field button_fields[] = {
	FIELD_ENUM(struct button_event, button, "button", button_names, .flags = FF_GIVEN),
	FIELD_BOOL(struct button_event, down, "down", .flags = FF_GIVEN),
};
static const struct field_table button_event = FIELD_TABLE(
	"InputBtnEvent", struct button_event, button_fields);
static const struct field move_fields[] = {
	FIELD_ENUM(struct move_event, axis, "axis", axis_names, .flags = FF_GIVEN),
	FIELD_I64(struct move_event, value, "value", .flags = FF_GIVEN,
		.doc = "steps to the right, or down"),
};
static const struct field_table move_event = FIELD_TABLE(
	"InputMoveEvent", struct move_event, move_fields);
struct event {
	int type;
	union {
		struct key_event key;
		struct button_event button;
		struct move_event move;
	} data;
};
static const struct field_table *const event_arms[] = { &key_event, &button_event, &move_event };
static const struct field event_fields[] = {
	FIELD_ENUM(struct event, type, "type", event_names, .flags = FF_GIVEN),
	FIELD_UNION(struct event, data, "data", type, event_arms, .flags = FF_GIVEN),
};
static const struct field_table event_table = FIELD_TABLE("InputEvent", struct event, event_fields);
struct event_args {
	struct {
		struct event *items;
		size_t len;
	} events;
};
static const struct field event_args_fields[] = {
	FIELD_LIST(struct event_args, events, "events", FT_STRUCT, EVENTS_MAX, .sub = &event_table,
		.flags = FF_GIVEN),
};
static const struct field_table event_args = FIELD_TABLE(
	"input-send-event", struct event_args, event_args_fields);

/* What the events before have left to be told. */
struct mouse {
	int dx, dy, dz;
	bool moved;
};

static int clamp(int64_t v)
{
	return (int)MIN(MAX(v, -255), 255);
}

static bool tell_mouse(struct device *d, struct qmp *q, struct mouse *mouse, struct error *err)
{
	bool ok = !mouse->moved || i8042_put_mouse(d, mouse->dx, mouse->dy, mouse->dz, q->buttons);

	*mouse = (struct mouse){ .moved = false };
	return ok || error_set(err, "the guest does not listen to its mouse, or has not yet heard "
				    "what it was told before");
}

static bool take_button(struct device *d, struct qmp *q, const struct button_event *e,
	struct mouse *mouse, struct error *err)
{
	static const uint8_t bits[] = { 1, 4, 2 };

	mouse->moved = true;
	if (e->button >= WHEEL_UP) {
		if (!e->down)
			return true;
		mouse->dz += e->button == WHEEL_UP ? -1 : 1;
	} else if (e->down) {
		q->buttons |= bits[e->button];
	} else {
		q->buttons &= (uint8_t)~bits[e->button];
	}
	return tell_mouse(d, q, mouse, err);
}

static bool take_event(struct device *d, struct qmp *q, const struct event *e, struct mouse *mouse,
	struct error *err)
{
	uint8_t bytes[KEY_BYTES_MAX];
	size_t n;

	switch (e->type) {
	case EVENT_KEY:
		if (!check_key(&e->data.key.key, err))
			return false;
		n = bytes_of(&e->data.key.key, e->data.key.down, bytes);
		return !n || i8042_put_keys(d, bytes, n) ||
		       error_set(err, "the guest does not listen to its keyboard, or has not yet "
				      "read the keys of before");
	case EVENT_BUTTON:
		return take_button(d, q, &e->data.button, mouse, err);
	default:
		mouse->moved = true;
		if (e->data.move.axis == AXIS_X)
			mouse->dx = clamp(mouse->dx + (int64_t)clamp(e->data.move.value));
		else /* the mouse's up is positive */
			mouse->dy = clamp(mouse->dy - (int64_t)clamp(e->data.move.value));
		return true;
	}
}

static bool input_send_event(struct qmp_call *c, struct error *err)
{
	const struct event_args *a = c->args;
	struct mouse mouse = { .moved = false };
	struct device *d = find(c->m, err);

	for (size_t i = 0; d && i < a->events.len; i++) {
		if (!take_event(d, c->q, &a->events.items[i], &mouse, err))
			return false;
	}
	return d && tell_mouse(d, c->q, &mouse, err);
}

const struct qmp_command input_send_event_cmd = {
	.name = "input-send-event",
	.doc = "keys, buttons and movements, one by one",
	.args = &event_args,
	.run = input_send_event,
};
