// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rtc - MC146818 real-time clock and 128 bytes of CMOS memory, ports 0x70 and 0x71.
 *
 * The guest's time is the host's wall clock plus an offset that changes when the guest sets the
 * clock. The time registers are filled when they are read. Flags (periodic, alarm, update-ended)
 * are found out on access from what passed since they were last looked at; a host timer is armed
 * only for the next one that the guest wants an interrupt for. So an idle guest causes no wake-up.
 *
 * Source: Motorola MC146818A data sheet; Intel ICH9 datasheet, Real Time Clock Registers.
 */
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/types.h"
#include "base/wire.h"
#include "core/device.h"
#include "core/io.h"
#include "core/irq.h"
#include "core/machine.h"
#include "hw/legacy/civil.h"
#include "hw/legacy/legacy.h"
#include "hw/legacy/timer.h"

#define RTC_PORT 0x70
#define RTC_IRQ	 8
#define CMOS	 128

enum {
	REG_SEC = 0,
	REG_SEC_ALARM = 1,
	REG_MIN = 2,
	REG_MIN_ALARM = 3,
	REG_HOUR = 4,
	REG_HOUR_ALARM = 5,
	REG_WDAY = 6,
	REG_MDAY = 7,
	REG_MONTH = 8,
	REG_YEAR = 9,
	REG_A = 10,
	REG_B = 11,
	REG_C = 12,
	REG_D = 13,
	REG_EQUIPMENT = 0x14,
	REG_BASE_MEM = 0x15,
	REG_EXT_MEM = 0x17,
	REG_CHECKED = 0x10, /* 0x10..0x2d have a checksum at 0x2e */
	REG_CHECKSUM = 0x2e,
	REG_EXT_MEM2 = 0x30,
	REG_CENTURY = 0x32,
	REG_MEM_16M = 0x34, /* RAM above 16 MiB in units of 64 KiB */
	REG_MEM_4G = 0x5b,  /* RAM above 4 GiB in units of 64 KiB, three bytes */
};

#define A_UIP	  0x80
#define A_DIVIDER 0x70
#define A_RUNNING 0x20 /* divider for a 32768 Hz crystal; 0x60 and 0x70 hold it in reset */
#define A_RATE	  0x0f
#define B_SET	  0x80
#define B_BINARY  0x04
#define B_24H	  0x02
#define B_PM	  0x80 /* in an hour register, 12-hour mode */
#define C_IRQF	  0x80
#define C_PF	  0x40 /* the same bits as the enables in B */
#define C_AF	  0x20
#define C_UF	  0x10
#define C_FLAGS	  (C_PF | C_AF | C_UF)
#define D_VALID	  0x80
#define DONT_CARE 0xc0

#define UIP_NS	 (244 * NS_PER_US) /* UIP is high so long before an update */
#define CRYSTAL	 32768
#define NMI_MASK 0x80

struct rtc_config {
	int base; /* 0 utc, 1 local time */
};

struct rtc_state {
	uint8_t cmos[CMOS];
	uint8_t index;	   /* as written: bit 7 masks NMIs */
	int64_t offset_ns; /* guest time - host wall clock */
	int64_t last_s;	   /* saved: last_ns in seconds while an alarm is awaited, otherwise 0 */
};

struct rtc {
	struct device dev;
	struct rtc_config config;
	struct rtc_state s; /* under dev.lock */
	int64_t last_ns;    /* guest time up to which flags are known */
	struct io_region io;
	struct irq_source irq;
	struct dev_timer timer;
};

static const char *const base_names[] = { "utc", "localtime", NULL };
static const struct field config_fields[] = {
	FIELD_ENUM(struct rtc_config, base, "base", base_names, .dflt = "utc",
		.doc = "what the clock shows when the machine is made"),
};
static const struct field_table config_table = FIELD_TABLE(
	"mc146818-rtc", struct rtc_config, config_fields);

static const struct field state_fields[] = {
	FIELD_BYTES(struct rtc_state, cmos, "cmos", .tag = 1),
	FIELD_U8(struct rtc_state, index, "index", .tag = 2),
	FIELD_I64(struct rtc_state, offset_ns, "offset-ns", .tag = 3),
	FIELD_I64(struct rtc_state, last_s, "alarm-checked", .tag = 4),
};
static const struct field_table state_table = FIELD_TABLE(
	"mc146818-rtc", struct rtc_state, state_fields);

/* Guest time is kept within 1970..2199, so that sums of two never overflow. */
#define TIME_MAX_NS (7258118400ll * NS_PER_SEC)

static int64_t guest_now(const struct rtc *r)
{
	int64_t t = clock_wall_ns() + r->s.offset_ns;

	return t < 0 ? 0 : MIN(t, TIME_MAX_NS);
}

/* The oscillator runs and the guest is not setting the time. */
static bool ticking(const struct rtc_state *s)
{
	return !(s->cmos[REG_B] & B_SET) && (s->cmos[REG_A] & A_DIVIDER) < 0x60;
}

/* ---------------------------------------------------------------- time registers */

static uint8_t encode(const struct rtc_state *s, int v)
{
	return (uint8_t)(s->cmos[REG_B] & B_BINARY ? v : (v / 10) << 4 | v % 10);
}

static int decode(const struct rtc_state *s, uint8_t v)
{
	return s->cmos[REG_B] & B_BINARY ? v : (v >> 4) * 10 + (v & 0xf);
}

static void store_time(struct rtc_state *s, int64_t now_ns)
{
	struct civil c = civil_from_seconds(now_ns / NS_PER_SEC);

	s->cmos[REG_SEC] = encode(s, c.second);
	s->cmos[REG_MIN] = encode(s, c.minute);
	if (s->cmos[REG_B] & B_24H)
		s->cmos[REG_HOUR] = encode(s, c.hour);
	else
		s->cmos[REG_HOUR] = encode(s, c.hour % 12 ? c.hour % 12 : 12) |
				    (c.hour >= 12 ? B_PM : 0);
	s->cmos[REG_WDAY] = encode(s, c.weekday + 1);
	s->cmos[REG_MDAY] = encode(s, c.day);
	s->cmos[REG_MONTH] = encode(s, c.month);
	s->cmos[REG_YEAR] = encode(s, c.year % 100);
	s->cmos[REG_CENTURY] = encode(s, c.year / 100);
}

static int decode_hour(const struct rtc_state *s, uint8_t v)
{
	if (s->cmos[REG_B] & B_24H)
		return decode(s, v);
	return decode(s, v & 0x7f) % 12 + (v & B_PM ? 12 : 0);
}

/* What the registers say, in nanoseconds. Any contents: nonsense is carried over into the next
 * unit, as mktime() does. */
static int64_t load_time(const struct rtc_state *s)
{
	struct civil c = { .second = decode(s, s->cmos[REG_SEC]),
		.minute = decode(s, s->cmos[REG_MIN]),
		.hour = decode_hour(s, s->cmos[REG_HOUR]),
		.day = decode(s, s->cmos[REG_MDAY]),
		.month = decode(s, s->cmos[REG_MONTH]),
		.year = decode(s, s->cmos[REG_CENTURY]) * 100 + decode(s, s->cmos[REG_YEAR]) };
	int64_t t = civil_to_seconds(&c);

	return t < 0 ? 0 : MIN(t, TIME_MAX_NS / NS_PER_SEC) * NS_PER_SEC;
}

/* ---------------------------------------------------------------- flags */

/* Length of the periodic interrupt's period in crystal ticks; 0: off. */
static int64_t period_ticks(const struct rtc_state *s)
{
	unsigned int rate = s->cmos[REG_A] & A_RATE;

	if (!rate || (s->cmos[REG_A] & A_DIVIDER) >= 0x60)
		return 0;
	return 1ll << (rate <= 2 ? rate + 6 : rate - 1);
}

static int64_t to_ticks(int64_t ns)
{
	return (int64_t)((__int128)ns * CRYSTAL / NS_PER_SEC);
}

static bool alarm_field(const struct rtc_state *s, uint8_t reg, int value, bool hour)
{
	uint8_t v = s->cmos[reg];

	return v >= DONT_CARE || (hour ? decode_hour(s, v) : decode(s, v)) == value;
}

/* The first second after @after_s at which the alarm matches, or INT64_MAX. Walks a day by hours
 * and minutes. */
static int64_t next_alarm(const struct rtc_state *s, int64_t after_s)
{
	int64_t t = after_s + 1, end = t + 86400 + 60;

	while (t < end) {
		int hour = (int)(t / 3600 % 24), min = (int)(t / 60 % 60), sec = (int)(t % 60);

		if (!alarm_field(s, REG_HOUR_ALARM, hour, true))
			t = (t / 3600 + 1) * 3600;
		else if (!alarm_field(s, REG_MIN_ALARM, min, false))
			t = (t / 60 + 1) * 60;
		else if (!alarm_field(s, REG_SEC_ALARM, sec, false))
			t++;
		else
			return t;
	}
	return INT64_MAX;
}

/* Raise the flags of what happened up to now. */
static void sync_flags(struct rtc *r)
{
	struct rtc_state *s = &r->s;
	int64_t now = guest_now(r), last = r->last_ns, period = period_ticks(s);
	uint8_t *c = &s->cmos[REG_C];

	r->last_ns = now;
	if (now <= last) /* the host's clock was set back */
		return;
	if (period && to_ticks(now) / period != to_ticks(last) / period)
		*c |= C_PF;
	if (!ticking(s))
		return;
	if (now / NS_PER_SEC != last / NS_PER_SEC) {
		*c |= C_UF;
		if (!(*c & C_AF) && next_alarm(s, last / NS_PER_SEC) <= now / NS_PER_SEC)
			*c |= C_AF;
	}
}

/* Guest time of the next flag that the guest waits for. */
static int64_t next_event(const struct rtc *r)
{
	const struct rtc_state *s = &r->s;
	uint8_t want = s->cmos[REG_B] & ~s->cmos[REG_C];
	int64_t now = r->last_ns, period = period_ticks(s), next = INT64_MAX;

	if ((want & C_PF) && period) {
		int64_t tick = (to_ticks(now) / period + 1) * period;

		next = (int64_t)(((__int128)tick * NS_PER_SEC + CRYSTAL - 1) / CRYSTAL);
	}
	if (!ticking(s))
		return next;
	if (want & C_UF)
		next = MIN(next, (now / NS_PER_SEC + 1) * NS_PER_SEC);
	if (want & C_AF) {
		int64_t t = next_alarm(s, now / NS_PER_SEC);

		if (t != INT64_MAX)
			next = MIN(next, t * NS_PER_SEC);
	}
	return next;
}

/* The interrupt line and the timer follow from flags and enables. */
static void update(struct rtc *r)
{
	struct rtc_state *s = &r->s;
	bool irq = s->cmos[REG_B] & s->cmos[REG_C] & C_FLAGS;
	int64_t next;

	s->cmos[REG_C] = (s->cmos[REG_C] & C_FLAGS) | (irq ? C_IRQF : 0);
	irq_set(&r->irq, irq);
	/* While the line is high another flag changes nothing. */
	next = irq ? INT64_MAX : next_event(r);
	dev_timer_set(&r->timer,
		next == INT64_MAX ? DEV_TIMER_OFF : clock_mono_ns() + (next - guest_now(r)));
}

static void on_timer(struct device *d)
{
	struct rtc *r = CONTAINER_OF(d, struct rtc, dev);

	sync_flags(r);
	update(r);
}

/* ---------------------------------------------------------------- registers */

static bool is_time(uint8_t reg)
{
	return reg == REG_CENTURY || reg == REG_SEC || reg == REG_MIN ||
	       (reg >= REG_HOUR && reg <= REG_YEAR && reg != REG_HOUR_ALARM);
}

static uint8_t read_cmos(struct rtc *r, uint8_t reg)
{
	struct rtc_state *s = &r->s;
	uint8_t v;

	if (is_time(reg) && ticking(s))
		store_time(s, guest_now(r));
	switch (reg) {
	case REG_A:
		v = s->cmos[REG_A] & ~A_UIP;
		if (ticking(s) && guest_now(r) % NS_PER_SEC >= NS_PER_SEC - UIP_NS)
			v |= A_UIP;
		return v;
	case REG_C:
		sync_flags(r);
		update(r);
		v = s->cmos[REG_C];
		s->cmos[REG_C] = 0;
		update(r);
		return v;
	default:
		return s->cmos[reg];
	}
}

/* The guest's time becomes @ns. */
static void set_time(struct rtc *r, int64_t ns)
{
	r->s.offset_ns = ns - clock_wall_ns();
	machine_notice(r->dev.machine, &(struct notice){ .kind = NOTICE_RTC_CHANGE,
					       .device = &r->dev,
					       .value = r->s.offset_ns / NS_PER_SEC });
	r->last_ns = ns;
}

static void write_time(struct rtc *r, uint8_t reg, uint8_t v)
{
	struct rtc_state *s = &r->s;
	int64_t now = guest_now(r);

	if (!ticking(s)) { /* takes effect when the clock goes on */
		s->cmos[reg] = v;
		return;
	}
	store_time(s, now);
	s->cmos[reg] = v;
	set_time(r, load_time(s) + now % NS_PER_SEC);
}

/* A or B: the clock may stop or go on. */
static void write_control(struct rtc *r, uint8_t reg, uint8_t v)
{
	struct rtc_state *s = &r->s;
	bool was_reset = (s->cmos[REG_A] & A_DIVIDER) >= 0x60, was = ticking(s);
	int64_t now = guest_now(r);

	if (was)
		store_time(s, now);
	if (reg == REG_A) {
		s->cmos[REG_A] = v & ~A_UIP;
	} else {
		/* Setting the time drops a pending update-ended interrupt's enable. */
		s->cmos[REG_B] = v & B_SET ? v & ~C_UF : v;
	}
	/* Released from reset, the divider updates the time after half a second. */
	if (!was && ticking(s))
		set_time(r, load_time(s) + (was_reset ? NS_PER_SEC / 2 : now % NS_PER_SEC));
	/* A change of format re-reads as the same time. */
	if (was && ticking(s))
		store_time(s, now);
}

static void write_cmos(struct rtc *r, uint8_t reg, uint8_t v)
{
	struct rtc_state *s = &r->s;

	sync_flags(r);
	if (is_time(reg))
		write_time(r, reg, v);
	else if (reg == REG_A || reg == REG_B)
		write_control(r, reg, v);
	else if (reg != REG_C && reg != REG_D)
		s->cmos[reg] = v;
	update(r);
}

static uint64_t rtc_read(void *opaque, uint64_t off, unsigned int size)
{
	struct rtc *r = opaque;

	if (off == 0)
		return 0xff; /* the index cannot be read */
	return read_cmos(r, r->s.index & ~NMI_MASK);
}

static void rtc_write(void *opaque, uint64_t off, uint64_t value, unsigned int size)
{
	struct rtc *r = opaque;

	if (off == 0)
		r->s.index = (uint8_t)value;
	else
		write_cmos(r, r->s.index & ~NMI_MASK, (uint8_t)value);
}

static const struct io_ops rtc_ops = { rtc_read, rtc_write, 1, 1 };

/* ---------------------------------------------------------------- memory sizes */

/* Where RAM that begins at @from ends; @from when there is none. */
static uint64_t ram_end(struct as *as, uint64_t from)
{
	const struct as_range *p;
	uint64_t end = from;

	as_read_begin();
	while ((p = as_find(as, end)) && p->kind == AS_RAM)
		end = p->start + p->size;
	as_read_end();
	return end;
}

/* What firmware reads there. */
static void fill_memory(struct rtc *r)
{
	uint8_t *c = r->s.cmos;
	uint64_t low = ram_end(&r->dev.machine->mem, MIB);
	uint64_t high = ram_end(&r->dev.machine->mem, 4 * GIB) - 4 * GIB;
	uint16_t ext = (uint16_t)MIN((low - MIB) / KIB, 0xffff), sum = 0;
	uint64_t above = MIN(high / (64 * KIB), 0xffffff);

	wr_le16(c + REG_BASE_MEM, 640);
	wr_le16(c + REG_EXT_MEM, ext);
	wr_le16(c + REG_EXT_MEM2, ext);
	wr_le16(c + REG_MEM_16M,
		low > 16 * MIB ? (uint16_t)MIN((low - 16 * MIB) / (64 * KIB), 0xffff) : 0);
	wr_le16(c + REG_MEM_4G, (uint16_t)above);
	c[REG_MEM_4G + 2] = (uint8_t)(above >> 16);
	c[REG_EQUIPMENT] = 0x06; /* FPU, PS/2 mouse */
	for (int i = REG_CHECKED; i < REG_CHECKSUM; i++)
		sum += c[i];
	wr_be16(c + REG_CHECKSUM, sum);
}

/* ---------------------------------------------------------------- device */

/* The battery keeps memory and time; the reset line drops the interrupt enables. */
static void rtc_reset(struct device *d)
{
	struct rtc *r = CONTAINER_OF(d, struct rtc, dev);
	uint8_t *c = r->s.cmos;

	mutex_lock(&d->lock);
	r->s.index = 0;
	c[REG_B] &= B_BINARY | B_24H | B_SET;
	c[REG_C] = 0;
	r->last_ns = guest_now(r);
	fill_memory(r);
	update(r);
	mutex_unlock(&d->lock);
}

static bool rtc_realize(struct device *d, struct error *err)
{
	struct rtc *r = CONTAINER_OF(d, struct rtc, dev);
	uint8_t *c = r->s.cmos;
	int rc;

	irq_source_init(&r->irq, d->machine, RTC_IRQ);
	dev_timer_init(&r->timer, d, on_timer);
	c[REG_A] = A_RUNNING | 6;
	c[REG_B] = B_24H;
	c[REG_D] = D_VALID;
	if (r->config.base == 1) {
		time_t now = time(NULL);
		struct tm tm;

		localtime_r(&now, &tm);
		r->s.offset_ns = tm.tm_gmtoff * NS_PER_SEC;
	}
	io_region_init(&r->io, "rtc", &rtc_ops, r, &d->lock);
	rc = io_region_map(d->machine, &r->io, true, RTC_PORT, 2);
	if (rc) {
		dev_timer_fini(&r->timer);
		return error_set_errno(err, rc, "cannot take ports 0x70-0x71");
	}
	rtc_reset(d);
	return true;
}

static void rtc_unrealize(struct device *d)
{
	struct rtc *r = CONTAINER_OF(d, struct rtc, dev);

	io_region_unmap(&r->io);
	dev_timer_fini(&r->timer);
	irq_set(&r->irq, false);
}

/* Time registers that tick are derived: saved as zero, so that equal states are equal streams. */
static void rtc_pre_save(struct device *d)
{
	struct rtc *r = CONTAINER_OF(d, struct rtc, dev);
	struct rtc_state *s = &r->s;

	mutex_lock(&d->lock);
	for (uint8_t reg = 0; ticking(s) && reg < CMOS; reg++)
		if (is_time(reg))
			s->cmos[reg] = 0;
	s->last_s = s->cmos[REG_B] & C_AF ? r->last_ns / NS_PER_SEC : 0;
	mutex_unlock(&d->lock);
}

static bool rtc_post_load(struct device *d, struct error *err)
{
	struct rtc *r = CONTAINER_OF(d, struct rtc, dev);
	struct rtc_state *s = &r->s;

	if (s->offset_ns > TIME_MAX_NS || s->offset_ns < -TIME_MAX_NS || s->last_s < 0 ||
		s->last_s > TIME_MAX_NS / NS_PER_SEC) {
		s->offset_ns = s->last_s = 0; /* nor does a reset, which keeps the time, keep it */
		return error_set(err, "mc146818-rtc: impossible time");
	}
	mutex_lock(&d->lock);
	/* An alarm that was due while the guest was nowhere is found at the next look. */
	r->last_ns = s->last_s ? s->last_s * NS_PER_SEC : guest_now(r);
	s->cmos[REG_A] &= ~A_UIP;
	s->cmos[REG_D] = D_VALID;
	update(r);
	mutex_unlock(&d->lock);
	return true;
}

const struct device_type rtc_type = {
	.name = "mc146818-rtc",
	.doc = "real-time clock and CMOS memory",
	.bus = BUS_SYSTEM,
	.flags = DEVICE_SINGLE | DEVICE_TICKS,
	.size = sizeof(struct rtc),
	.config = &config_table,
	.config_off = offsetof(struct rtc, config),
	.state = &state_table,
	.state_off = offsetof(struct rtc, s),
	.realize = rtc_realize,
	.unrealize = rtc_unrealize,
	.reset = rtc_reset,
	.pre_save = rtc_pre_save,
	.post_load = rtc_post_load,
};
