/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Source: Intel 82C54 data sheet (mode definitions, read-back command); for port 0x61 Intel ICH9
 * datasheet, NMI Status and Control Register. rw_mode, read_state, write_state and count_latched are
 * encoded as in KVM_GET_PIT2.
 *
 * A channel's time: it was loaded with @count at @count_load_time and has counted the clocks since,
 * or up to @gate_time where a low gate stops it. count is the register's value as written (0x10000
 * for 0), in BCD if @bcd, and 0 from the control word until a count has arrived. @next_count, 0 for
 * none, was written while the counter was busy: it takes over at @next_time (modes 2, 3) or with the
 * gate's next rise (modes 1, 5).
 *
 * SPEC: the clock pulse that loads the counter takes no time here. In mode 3 a new count waits for
 * the end of the whole period, not of its half.
 */
#include "x86/pit.h"

#define NS	   1000000000ull
#define REFRESH_NS 15085 /* port 0x61's bit 4 toggles so often */

enum rw { RW_LSB = 1, RW_MSB, RW_WORD0, RW_WORD1 };

/* Control word. */
#define CW_READ_BACK  3
#define RB_NO_COUNT   0x20
#define RB_NO_STATUS  0x10
#define STATUS_OUT    0x80
#define STATUS_NULL   0x40 /* a count was written (or is awaited) and not loaded yet */
#define PORT_B_GATE   0x01
#define PORT_B_DATA   0x02
#define PORT_B_TOGGLE 0x10
#define PORT_B_OUT    0x20

typedef struct x86_pit_channel_state channel;

static uint64_t ns_to_ticks(uint64_t ns)
{
	return ns / NS * X86_PIT_HZ + ns % NS * X86_PIT_HZ / NS;
}

/* The first nanosecond of tick @n. */
static uint64_t ticks_to_ns(uint64_t n)
{
	return n / X86_PIT_HZ * NS + (n % X86_PIT_HZ * NS + X86_PIT_HZ - 1) / X86_PIT_HZ;
}

static uint32_t from_bcd(uint32_t v)
{
	uint32_t n = 0;

	for (int shift = 16; shift >= 0; shift -= 4)
		n = n * 10 + (v >> shift & 0xf);
	return n;
}

static uint32_t to_bcd(uint32_t n)
{
	return n % 10 | n / 10 % 10 << 4 | n / 100 % 10 << 8 | n / 1000 % 10 << 12;
}

/* The count in clocks; not 0 once one is loaded. */
static uint32_t period(const channel *c)
{
	uint32_t n = c->bcd ? from_bcd(c->count) : c->count;

	return n ? n : 1;
}

static bool is_periodic(const channel *c)
{
	return c->mode == 2 || c->mode == 3;
}

/* Modes in which the gate's rising edge starts the count, and its level does nothing. */
static bool is_triggered(const channel *c)
{
	return c->mode == 1 || c->mode == 5;
}

static bool is_stopped(const channel *c)
{
	return !c->gate && !is_triggered(c);
}

static uint64_t elapsed(const channel *c, int64_t now)
{
	int64_t end = is_stopped(c) ? c->gate_time : now;

	return end <= c->count_load_time
		       ? 0
		       : ns_to_ticks((uint64_t)end - (uint64_t)c->count_load_time);
}

static int64_t shifted(int64_t t, int64_t ns)
{
	return (int64_t)((uint64_t)t + (uint64_t)ns);
}

static int64_t tick_time(const channel *c, uint64_t n)
{
	return shifted(c->count_load_time, (int64_t)ticks_to_ns(n));
}

/* When the period that is running at @now ends. */
static int64_t period_end(const channel *c, int64_t now)
{
	return tick_time(c, (elapsed(c, now) / period(c) + 1) * period(c));
}

static void begin(channel *c, uint32_t count, int64_t now)
{
	c->count = count;
	c->next_count = 0;
	c->count_load_time = c->gate_time = now;
}

/* A count that waited for the period's end may have taken over since. */
static void settle(channel *c, int64_t now)
{
	if (is_periodic(c) && c->next_count && !is_stopped(c) && now >= c->next_time)
		begin(c, c->next_count, c->next_time);
}

static bool out(const channel *c, int64_t now)
{
	uint64_t d = elapsed(c, now), n = period(c);

	if (!c->count)
		return c->mode != 0;
	switch (c->mode) {
	case 0:
	case 1:
		return d >= n;
	case 2:
		return is_stopped(c) || d % n != n - 1;
	case 3:
		return is_stopped(c) || d % n < (n + 1) / 2;
	case 4:
	case 5:
		return d != n;
	}
	return true;
}

/* What the counter holds, as it is read. */
static uint16_t counter(const channel *c, int64_t now)
{
	uint64_t d = elapsed(c, now), n = period(c), v = n;
	uint32_t wrap = c->bcd ? 10000 : 0x10000;

	if (!c->count)
		return 0;
	if (c->mode == 2) {
		v = n - d % n;
	} else if (c->mode == 3) {
		/* By twos, through the period's two halves; the first is longer when n is odd. */
		d %= n;
		if (d >= (n + 1) / 2)
			d -= (n + 1) / 2;
		v = (n & ~1ull) - 2 * d;
	} else if (c->mode <= 5) {
		v = n + wrap - d % wrap;
	}
	v %= wrap;
	return (uint16_t)(c->bcd ? to_bcd((uint32_t)v) : v);
}

static void load(channel *c, uint16_t value, int64_t now)
{
	uint32_t count = value ? value : 0x10000;

	if (is_triggered(c)) {
		c->next_count = count;
	} else if (is_periodic(c) && c->count && c->gate) {
		c->next_time = period_end(c, now);
		c->next_count = count;
	} else {
		begin(c, count, now);
	}
}

static void set_gate(channel *c, bool level, int64_t now)
{
	if (level == !!c->gate)
		return;
	settle(c, now);
	if (!level) {
		c->gate_time = now;
	} else if (is_periodic(c) || is_triggered(c)) {
		begin(c, c->next_count ? c->next_count : c->count, now);
	} else {
		c->count_load_time = shifted(
			c->count_load_time, (int64_t)((uint64_t)now - (uint64_t)c->gate_time));
	}
	c->gate = level;
}

static void latch_count(channel *c, int64_t now)
{
	if (c->count_latched)
		return;
	c->latched_count = counter(c, now);
	c->count_latched = c->rw_mode ? c->rw_mode : RW_LSB;
}

static void latch_status(channel *c, int64_t now)
{
	if (c->status_latched)
		return;
	c->status = (out(c, now) ? STATUS_OUT : 0) |
		    (!c->count || c->next_count ? STATUS_NULL : 0) | (c->rw_mode & 3) << 4 |
		    (c->mode & 7) << 1 | (c->bcd & 1);
	c->status_latched = 1;
}

static void write_control(struct x86_pit_state *s, uint8_t v, int64_t now)
{
	uint8_t access = v >> 4 & 3;
	channel *c;

	if (v >> 6 == CW_READ_BACK) {
		for (int i = 0; i < X86_PIT_CHANNELS; i++) {
			if (!(v & 2 << i))
				continue;
			if (!(v & RB_NO_COUNT))
				latch_count(&s->channel[i], now);
			if (!(v & RB_NO_STATUS))
				latch_status(&s->channel[i], now);
		}
		return;
	}
	c = &s->channel[v >> 6];
	if (!access) {
		latch_count(c, now);
		return;
	}
	c->rw_mode = c->read_state = c->write_state = access;
	c->mode = v >> 1 & 7;
	if (c->mode > 5) /* bit 2 of the mode does not count in modes 2 and 3 */
		c->mode -= 4;
	c->bcd = v & 1;
	c->count_latched = c->status_latched = 0;
	c->count = c->next_count = 0;
}

static void write_counter(channel *c, uint8_t v, int64_t now)
{
	switch (c->write_state) {
	case RW_MSB:
		load(c, (uint16_t)(v << 8), now);
		break;
	case RW_WORD0:
		c->write_latch = v;
		c->write_state = RW_WORD1;
		if (c->mode == 0) /* the first byte stops it, and its output is low */
			c->count = 0;
		break;
	case RW_WORD1:
		c->write_state = RW_WORD0;
		load(c, (uint16_t)(c->write_latch | v << 8), now);
		break;
	default:
		load(c, v, now);
	}
}

static uint8_t read_latched(channel *c)
{
	uint8_t which = c->count_latched;

	/* Of a word the low byte comes first. */
	c->count_latched = which == RW_WORD0 ? RW_MSB : 0;
	return (uint8_t)(which == RW_MSB ? c->latched_count >> 8 : c->latched_count);
}

static uint8_t read_counter(channel *c, int64_t now)
{
	uint16_t v;

	if (c->status_latched) {
		c->status_latched = 0;
		return c->status;
	}
	if (c->count_latched)
		return read_latched(c);
	v = counter(c, now);
	switch (c->read_state) {
	case RW_MSB:
		return (uint8_t)(v >> 8);
	case RW_WORD0:
		c->read_state = RW_WORD1;
		return (uint8_t)v;
	case RW_WORD1:
		c->read_state = RW_WORD0;
		return (uint8_t)(v >> 8);
	}
	return (uint8_t)v;
}

static uint8_t read_port_b(const struct x86_pit_state *s, int64_t now)
{
	return (s->channel[2].gate ? PORT_B_GATE : 0) |
	       (s->flags & X86_PIT_SPEAKER ? PORT_B_DATA : 0) |
	       ((uint64_t)now / REFRESH_NS & 1 ? PORT_B_TOGGLE : 0) |
	       (out(&s->channel[2], now) ? PORT_B_OUT : 0);
}

static void settle_all(struct x86_pit_state *s, int64_t now)
{
	for (int i = 0; i < X86_PIT_CHANNELS; i++)
		settle(&s->channel[i], now);
}

uint8_t x86_pit_read(struct x86_pit_state *s, uint16_t port, int64_t now)
{
	settle_all(s, now);
	if (port == X86_PIT_PORT_B)
		return read_port_b(s, now);
	if (port == X86_PIT_CONTROL)
		return 0; /* cannot be read */
	return read_counter(&s->channel[port & 3], now);
}

void x86_pit_write(struct x86_pit_state *s, uint16_t port, uint8_t value, int64_t now)
{
	settle_all(s, now);
	if (port == X86_PIT_PORT_B) {
		set_gate(&s->channel[2], value & PORT_B_GATE, now);
		s->flags &= ~(uint32_t)X86_PIT_SPEAKER;
		s->flags |= value & PORT_B_DATA ? X86_PIT_SPEAKER : 0;
	} else if (port == X86_PIT_CONTROL) {
		write_control(s, value, now);
	} else {
		write_counter(&s->channel[port & 3], value, now);
	}
}

bool x86_pit_out(const struct x86_pit_state *s, unsigned int ch, int64_t now)
{
	channel c = s->channel[ch];

	settle(&c, now);
	return out(&c, now);
}

int64_t x86_pit_next_rise(const struct x86_pit_state *s, unsigned int ch, int64_t now)
{
	channel c = s->channel[ch];
	uint64_t d, n;

	settle(&c, now);
	if (!c.count || c.mode > 5 || is_stopped(&c))
		return X86_PIT_NEVER;
	if (is_periodic(&c))
		return period_end(&c, now);
	d = elapsed(&c, now);
	n = period(&c) + (c.mode >= 4 ? 1 : 0); /* a strobe of one clock ends */
	return d < n ? tick_time(&c, n) : X86_PIT_NEVER;
}

void x86_pit_reset(struct x86_pit_state *s)
{
	memset(s, 0, sizeof(*s));
	for (int i = 0; i < X86_PIT_CHANNELS; i++) {
		s->channel[i].count = 0x10000;
		s->channel[i].mode = X86_PIT_MODE_NONE;
		s->channel[i].gate = i != 2;
	}
}

bool x86_pit_is_reset(const struct x86_pit_state *s)
{
	for (int i = 0; i < X86_PIT_CHANNELS; i++) {
		const channel *c = &s->channel[i];

		if (c->mode != X86_PIT_MODE_NONE || c->count != 0x10000 || c->gate != (i != 2) ||
			c->count_latched || c->status_latched || c->read_state || c->write_state ||
			c->rw_mode || c->bcd)
			return false;
	}
	return !s->flags;
}

bool x86_pit_settled(const struct x86_pit_state *s)
{
	for (int i = 0; i < X86_PIT_CHANNELS; i++) {
		const channel *c = &s->channel[i];

		if (c->write_state == RW_WORD1 || (!c->count && !c->next_count))
			return false;
	}
	return true;
}

void x86_pit_shift(struct x86_pit_state *s, int64_t ns)
{
	for (int i = 0; i < X86_PIT_CHANNELS; i++) {
		channel *c = &s->channel[i];

		c->count_load_time = shifted(c->count_load_time, ns);
		c->gate_time = shifted(c->gate_time, ns);
		c->next_time = shifted(c->next_time, ns);
	}
}

static int64_t not_later(int64_t t, int64_t now)
{
	return t < now ? t : now;
}

static void limit(uint8_t *v, uint8_t max)
{
	if (*v > max)
		*v = 0;
}

void x86_pit_sanitize(struct x86_pit_state *s, int64_t now)
{
	for (int i = 0; i < X86_PIT_CHANNELS; i++) {
		channel *c = &s->channel[i];

		if (c->mode > 5)
			c->mode = X86_PIT_MODE_NONE;
		if (c->count > 0x10000)
			c->count = 0x10000;
		if (c->next_count > 0x10000)
			c->next_count = 0x10000;
		limit(&c->rw_mode, RW_WORD0);
		limit(&c->count_latched, RW_WORD0);
		limit(&c->read_state, RW_WORD1);
		limit(&c->write_state, RW_WORD1);
		limit(&c->status_latched, 1);
		limit(&c->bcd, 1);
		limit(&c->gate, 1);
		c->count_load_time = not_later(c->count_load_time, now);
		c->gate_time = not_later(c->gate_time, now);
		/* Not later than the end of the period that runs. */
		if (is_periodic(c) && c->next_count && c->count)
			c->next_time = not_later(c->next_time, period_end(c, now));
	}
	s->flags &= X86_PIT_SPEAKER;
}
