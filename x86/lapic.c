/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * lapic - see SDM, Advanced Programmable Interrupt Controller (APIC).
 *
 * What is pending and in service is only in the register page: eight words each, searched from the
 * top. That is cheap enough, and leaves nothing to keep in step when a page is put in.
 *
 * The timer: a count of TMICT steps of `divide` ns began at count_start. In one-shot mode it is over
 * after one period, in periodic mode it starts again without end: the current count is arithmetic
 * on the time, and interrupt_at says when to act.
 *
 * ESR: what was detected is gathered in ->errors and shown by the register after a write to it.
 */
#include "x86/lapic.h"

#define BASE_X2APIC	 (1u << 10)
#define BASE_ENABLE	 (1u << 11)
#define BASE_FLAGS	 (X86_APIC_BASE_BSP | BASE_X2APIC | BASE_ENABLE)
#define BASE_DEFAULT	 0xfee00000u
#define SVR_ENABLE	 (1u << 8)
#define SVR_FOCUS	 (1u << 9)
#define SVR_NO_EOI	 (1u << 12)
#define VER_NO_EOI	 (1u << 24)
#define LVT_STATUS	 (1u << 12)
#define LVT_REMOTE_IRR	 (1u << 14)
#define LVT_MASKED	 (1u << 16)
#define LVT_READ_ONLY	 (LVT_STATUS | LVT_REMOTE_IRR)
#define LVT_MODE(e)	 ((e) >> 8 & 7)
#define TIMER_MODE(e)	 ((e) >> 17 & 3)
#define ICR_STATUS	 (1u << 12)
#define ICR_BITS	 0xccfffu /* without the status */
#define ICR_LOGICAL	 (1u << 11)
#define ICR_ASSERT	 (1u << 14)
#define ICR_LEVEL	 (1u << 15)
#define ICR_SHORTHAND(v) ((v) >> 18 & 3)
#define DFR_FIXED	 0x0fffffffu
#define DFR_FLAT	 0xfu
#define TDCR_BITS	 0xbu
#define ESR_SEND_VECTOR	 (1u << 5)
#define ESR_RECV_VECTOR	 (1u << 6)
#define ESR_REGISTER	 (1u << 7)
#define FIRST_VECTOR	 16

enum timer_mode { ONE_SHOT, PERIODIC, DEADLINE };

static void set32(struct x86_lapic *l, uint32_t reg, uint32_t v)
{
	__builtin_memcpy(l->regs + reg, &v, sizeof(v));
}

static uint32_t get32(const struct x86_lapic *l, uint32_t reg)
{
	return x86_lapic_get32(l, reg);
}

/* -------- vectors -------- */

static uint32_t vector_word(uint32_t reg, uint8_t vector)
{
	return reg + (vector >> 5) * 16;
}

static bool vector_test(const struct x86_lapic *l, uint32_t reg, uint8_t vector)
{
	return get32(l, vector_word(reg, vector)) >> (vector & 31) & 1;
}

static void vector_put(struct x86_lapic *l, uint32_t reg, uint8_t vector, bool on)
{
	uint32_t w = vector_word(reg, vector), bit = 1u << (vector & 31), v = get32(l, w);

	set32(l, w, on ? v | bit : v & ~bit);
}

/* The highest vector that is set, or -1. */
static int vector_top(const struct x86_lapic *l, uint32_t reg)
{
	for (int i = 7; i >= 0; i--) {
		uint32_t v = get32(l, reg + i * 16);

		if (v)
			return i * 32 + 31 - __builtin_clz(v);
	}
	return -1;
}

uint8_t x86_lapic_ppr(const struct x86_lapic *l)
{
	uint8_t tpr = get32(l, X86_LAPIC_TPR);
	int isr = vector_top(l, X86_LAPIC_ISR);

	return isr < 0 || (tpr & 0xf0) >= (isr & 0xf0) ? tpr : isr & 0xf0;
}

int x86_lapic_pending(const struct x86_lapic *l)
{
	int v = vector_top(l, X86_LAPIC_IRR);

	if (v < 0 || x86_lapic_mode(l) == X86_LAPIC_OFF)
		return -1;
	return (v & 0xf0) > (x86_lapic_ppr(l) & 0xf0) ? v : -1;
}

int x86_lapic_ack(struct x86_lapic *l)
{
	int v = x86_lapic_pending(l);

	if (v >= 0) {
		vector_put(l, X86_LAPIC_IRR, v, false);
		vector_put(l, X86_LAPIC_ISR, v, true);
	}
	return v;
}

bool x86_lapic_enabled(const struct x86_lapic *l)
{
	return x86_lapic_mode(l) != X86_LAPIC_OFF && (get32(l, X86_LAPIC_SVR) & SVR_ENABLE);
}

/* An error: its own interrupt must not make another one of a bad vector. */
static void error(struct x86_lapic *l, uint32_t bit)
{
	uint32_t lvt = get32(l, X86_LAPIC_LVT_ERROR);

	l->errors |= bit;
	if ((lvt & LVT_MASKED) || !x86_lapic_enabled(l))
		return;
	if ((lvt & 0xff) < FIRST_VECTOR) {
		l->errors |= ESR_RECV_VECTOR;
		return;
	}
	vector_put(l, X86_LAPIC_TMR, lvt, false);
	vector_put(l, X86_LAPIC_IRR, lvt, true);
}

bool x86_lapic_accept(struct x86_lapic *l, uint8_t vector, bool level)
{
	if (!x86_lapic_enabled(l))
		return false;
	if (vector < FIRST_VECTOR) {
		error(l, ESR_RECV_VECTOR);
		return false;
	}
	vector_put(l, X86_LAPIC_TMR, vector, level);
	vector_put(l, X86_LAPIC_IRR, vector, true);
	return true;
}

int x86_lapic_lvt_mode(const struct x86_lapic *l, uint32_t reg)
{
	uint32_t e = get32(l, reg);

	return e & LVT_MASKED ? -1 : (int)LVT_MODE(e);
}

static void end_of_interrupt(struct x86_lapic *l, struct x86_lapic_effect *f)
{
	int v = vector_top(l, X86_LAPIC_ISR);

	if (v < 0)
		return;
	vector_put(l, X86_LAPIC_ISR, v, false);
	f->eoi = vector_test(l, X86_LAPIC_TMR, v) && !(get32(l, X86_LAPIC_SVR) & SVR_NO_EOI);
	f->eoi_vector = v;
}

void x86_lapic_set_cr8(struct x86_lapic *l, uint8_t value)
{
	set32(l, X86_LAPIC_TPR, (value & 0xf) << 4);
}

/* -------- messages -------- */

static bool is_broadcast(const struct x86_lapic_msg *m)
{
	return m->dest == (m->wide ? 0xffffffffu : 0xffu);
}

static bool matches_logical(const struct x86_lapic *l, const struct x86_lapic_msg *m)
{
	uint32_t ldr = get32(l, X86_LAPIC_LDR);

	if (x86_lapic_mode(l) == X86_LAPIC_X2APIC)
		return ldr >> 16 == m->dest >> 16 && (ldr & m->dest & 0xffff);
	if (m->dest > 0xff)
		return false;
	ldr >>= 24;
	if (get32(l, X86_LAPIC_DFR) >> 28 == DFR_FLAT)
		return ldr & m->dest;
	return ldr >> 4 == m->dest >> 4 && (ldr & m->dest & 0xf);
}

bool x86_lapic_matches(
	const struct x86_lapic *l, const struct x86_lapic_msg *m, const struct x86_lapic *from)
{
	if (x86_lapic_mode(l) == X86_LAPIC_OFF)
		return false;
	if (m->shorthand == X86_SH_SELF)
		return l == from;
	if (m->shorthand == X86_SH_OTHERS && l == from)
		return false;
	if (m->shorthand != X86_SH_NONE || is_broadcast(m))
		return true;
	if (m->logical)
		return matches_logical(l, m);
	if (x86_lapic_mode(l) == X86_LAPIC_X2APIC)
		return m->dest == l->id;
	return m->dest == get32(l, X86_LAPIC_ID) >> 24;
}

bool x86_lapic_prefer(const struct x86_lapic *a, const struct x86_lapic *b)
{
	uint8_t pa = x86_lapic_ppr(a) >> 4, pb = x86_lapic_ppr(b) >> 4;

	/* The difference: a count that has wrapped around is the higher one still. */
	return pa != pb ? pa < pb : (int32_t)(a->arbitration - b->arbitration) < 0;
}

bool x86_lapic_msi(uint64_t addr, uint32_t data, struct x86_lapic_msg *out)
{
	if ((addr >> 20 & 0xfffff) != 0xfee)
		return false;
	*out = (struct x86_lapic_msg){
		.dest = (addr >> 12 & 0xff) | (addr >> 32 & 0xffffff00u),
		.vector = data,
		.mode = data >> 8 & 7,
		.logical = addr >> 2 & 1,
		.wide = addr >> 40,
		.level = data >> 15 & 1,
		.deassert = (data >> 15 & 1) && !(data >> 14 & 1),
	};
	/* The redirection hint asks for the same choice as the delivery mode does. */
	if ((addr >> 3 & 1) && out->mode == X86_DM_FIXED)
		out->mode = X86_DM_LOWEST;
	return true;
}

/* The ICR was written: what is sent. Trigger and level count for INIT only. */
static void send(struct x86_lapic *l, uint32_t icr, uint32_t dest, struct x86_lapic_effect *f)
{
	struct x86_lapic_msg m = {
		.dest = dest,
		.vector = icr,
		.mode = LVT_MODE(icr),
		.shorthand = ICR_SHORTHAND(icr),
		.logical = icr & ICR_LOGICAL,
		.wide = x86_lapic_mode(l) == X86_LAPIC_X2APIC,
	};

	if (m.mode == X86_DM_INIT)
		m.deassert = (icr & ICR_LEVEL) && !(icr & ICR_ASSERT);
	if (m.mode <= X86_DM_LOWEST && m.vector < FIRST_VECTOR) {
		error(l, ESR_SEND_VECTOR);
		return;
	}
	if (m.mode == 3 || m.mode == X86_DM_EXTINT || m.deassert)
		return;
	f->send = true;
	f->msg = m;
}

/* -------- timer -------- */

static uint32_t divider(const struct x86_lapic *l)
{
	uint32_t d = get32(l, X86_LAPIC_TDCR);

	return 1u << ((((d & 3) | (d >> 1 & 4)) + 1) & 7);
}

static int64_t period(const struct x86_lapic *l)
{
	return (int64_t)get32(l, X86_LAPIC_TMICT) * divider(l);
}

static uint32_t timer_mode(const struct x86_lapic *l)
{
	return TIMER_MODE(get32(l, X86_LAPIC_LVTT));
}

/* Nanoseconds left of the count at @now; 0: it is over, or there is none. */
static int64_t left(const struct x86_lapic *l, int64_t now)
{
	int64_t p = period(l), passed = now - l->count_start;

	if (!l->counting)
		return 0;
	if (passed < 0)
		passed = 0;
	if (timer_mode(l) == PERIODIC)
		passed %= p;
	return passed < p ? p - passed : 0;
}

static uint32_t current_count(const struct x86_lapic *l, int64_t now)
{
	uint32_t div = divider(l);

	return (left(l, now) + div - 1) / div;
}

/* Count on from @count of TMICT steps. */
static void count_from(struct x86_lapic *l, uint32_t count, int64_t now)
{
	uint32_t initial = get32(l, X86_LAPIC_TMICT);

	l->counting = count && timer_mode(l) < DEADLINE;
	l->count_start = now - (int64_t)(initial - count) * divider(l);
	l->interrupt_at = now + (int64_t)count * divider(l);
}

static void timer_fire(struct x86_lapic *l)
{
	uint32_t lvt = get32(l, X86_LAPIC_LVTT);

	if (!(lvt & LVT_MASKED))
		x86_lapic_accept(l, lvt, false);
}

static void expire_count(struct x86_lapic *l, int64_t now)
{
	int64_t p = period(l);

	if (!l->counting || now < l->interrupt_at)
		return;
	timer_fire(l);
	if (timer_mode(l) != PERIODIC)
		l->counting = false;
	else if (p < X86_LAPIC_MIN_PERIOD_NS)
		l->interrupt_at = now + X86_LAPIC_MIN_PERIOD_NS;
	else
		l->interrupt_at = now + left(l, now);
}

void x86_lapic_expire(struct x86_lapic *l, int64_t now, uint64_t tsc)
{
	expire_count(l, now);
	if (l->tsc_deadline && tsc >= l->tsc_deadline) {
		l->tsc_deadline = 0;
		timer_fire(l);
	}
}

int64_t x86_lapic_timer_next(const struct x86_lapic *l)
{
	if (!l->counting || (get32(l, X86_LAPIC_LVTT) & LVT_MASKED))
		return X86_LAPIC_NEVER;
	return l->interrupt_at;
}

uint64_t x86_lapic_tsc_deadline(const struct x86_lapic *l)
{
	return l->tsc_deadline;
}

void x86_lapic_set_tsc_deadline(struct x86_lapic *l, uint64_t value)
{
	if (timer_mode(l) == DEADLINE && x86_lapic_mode(l) != X86_LAPIC_OFF)
		l->tsc_deadline = value;
}

/* One-shot and periodic may change under way: the count goes on. From and to TSC-deadline: off. */
static void write_lvtt(struct x86_lapic *l, uint32_t value, int64_t now)
{
	uint32_t was = timer_mode(l), mode = TIMER_MODE(value), count;

	expire_count(l, now);
	count = current_count(l, now);
	set32(l, X86_LAPIC_LVTT, value);
	if (was == mode)
		return;
	l->tsc_deadline = 0;
	if (was >= DEADLINE || mode >= DEADLINE) {
		set32(l, X86_LAPIC_TMICT, 0);
		l->counting = false;
	} else {
		count_from(l, count, now);
	}
}

static void write_divider(struct x86_lapic *l, uint32_t value, int64_t now)
{
	uint32_t count;

	expire_count(l, now);
	count = current_count(l, now);
	set32(l, X86_LAPIC_TDCR, value & TDCR_BITS);
	count_from(l, count, now);
}

static void write_initial(struct x86_lapic *l, uint32_t value, int64_t now)
{
	if (timer_mode(l) >= DEADLINE)
		return;
	expire_count(l, now);
	set32(l, X86_LAPIC_TMICT, value);
	count_from(l, value, now);
}

/* -------- registers -------- */

/* The bits of an LVT entry that are there; 0: @reg is none. */
static uint32_t lvt_bits(const struct x86_lapic *l, uint32_t reg)
{
	switch (reg) {
	case X86_LAPIC_LVTT:
		return l->features & X86_LAPIC_HAS_DEADLINE ? 0x710ff : 0x310ff;
	case X86_LAPIC_LVT_THERMAL:
	case X86_LAPIC_LVT_PERF:
		return 0x117ff;
	case X86_LAPIC_LVT0:
	case X86_LAPIC_LVT1:
		return 0x1f7ff;
	case X86_LAPIC_LVT_ERROR:
		return 0x110ff;
	default:
		return 0;
	}
}

static uint32_t svr_bits(const struct x86_lapic *l)
{
	return 0xff | SVR_ENABLE | SVR_FOCUS |
	       (l->features & X86_LAPIC_HAS_EOI_SUPPRESSION ? SVR_NO_EOI : 0);
}

static void write_svr(struct x86_lapic *l, uint32_t value)
{
	set32(l, X86_LAPIC_SVR, value & svr_bits(l));
	if (value & SVR_ENABLE)
		return;
	for (uint32_t reg = X86_LAPIC_LVTT; reg <= X86_LAPIC_LVT_ERROR; reg += 16)
		set32(l, reg, get32(l, reg) | LVT_MASKED);
}

static void write_lvt(struct x86_lapic *l, uint32_t reg, uint32_t value, int64_t now)
{
	value &= lvt_bits(l, reg) & ~LVT_READ_ONLY;
	/* While disabled by software no entry can be unmasked. */
	if (!(get32(l, X86_LAPIC_SVR) & SVR_ENABLE))
		value |= LVT_MASKED;
	if (reg == X86_LAPIC_LVTT)
		write_lvtt(l, value, now);
	else
		set32(l, reg, value);
}

/* What a register allows; bits of enum. */
enum { NONE, READ, WRITE, BOTH };

static int access_of(uint32_t reg, bool x2apic)
{
	switch (reg) {
	case X86_LAPIC_ID:
	case X86_LAPIC_LDR:
		return x2apic ? READ : BOTH;
	case X86_LAPIC_DFR:
	case X86_LAPIC_ICR2:
		return x2apic ? NONE : BOTH;
	case X86_LAPIC_APR:
		return x2apic ? NONE : READ;
	case X86_LAPIC_SELF_IPI:
		return x2apic ? WRITE : NONE;
	case X86_LAPIC_EOI:
		return x2apic ? WRITE : BOTH;
	case X86_LAPIC_TPR:
	case X86_LAPIC_SVR:
	case X86_LAPIC_ESR:
	case X86_LAPIC_ICR:
	case X86_LAPIC_TMICT:
	case X86_LAPIC_TDCR:
		return BOTH;
	case X86_LAPIC_VER:
	case X86_LAPIC_PPR:
	case X86_LAPIC_TMCCT:
		return READ;
	default:
		if (reg >= X86_LAPIC_ISR && reg < X86_LAPIC_IRR + 0x80)
			return READ;
		return reg >= X86_LAPIC_LVTT && reg <= X86_LAPIC_LVT_ERROR ? BOTH : NONE;
	}
}

static uint32_t read_reg(const struct x86_lapic *l, uint32_t reg, int64_t now)
{
	switch (reg) {
	case X86_LAPIC_VER:
		return X86_LAPIC_VERSION |
		       (l->features & X86_LAPIC_HAS_EOI_SUPPRESSION ? VER_NO_EOI : 0);
	case X86_LAPIC_PPR:
		return x86_lapic_ppr(l);
	case X86_LAPIC_TMCCT:
		return current_count(l, now);
	case X86_LAPIC_APR: /* SPEC: no arbitration priority, as on CPUs since the Pentium 4 */
	case X86_LAPIC_EOI:
		return 0;
	default:
		return get32(l, reg);
	}
}

uint32_t x86_lapic_read(struct x86_lapic *l, uint32_t off, int64_t now)
{
	if (off < X86_LAPIC_SIZE && (access_of(off, false) & READ))
		return read_reg(l, off, now);
	error(l, ESR_REGISTER);
	return 0;
}

/* Registers that may be written, in either mode; @value has been judged. */
static void write_reg(
	struct x86_lapic *l, uint32_t reg, uint32_t value, int64_t now, struct x86_lapic_effect *f)
{
	switch (reg) {
	case X86_LAPIC_ID:
	case X86_LAPIC_LDR:
	case X86_LAPIC_ICR2:
		set32(l, reg, value & 0xff000000);
		break;
	case X86_LAPIC_DFR:
		set32(l, reg, value | DFR_FIXED);
		break;
	case X86_LAPIC_TPR:
		set32(l, reg, value & 0xff);
		break;
	case X86_LAPIC_EOI:
		end_of_interrupt(l, f);
		break;
	case X86_LAPIC_SVR:
		write_svr(l, value);
		f->timer = true;
		break;
	case X86_LAPIC_ESR:
		set32(l, reg, l->errors);
		l->errors = 0;
		break;
	case X86_LAPIC_ICR:
		set32(l, reg, value & ICR_BITS);
		send(l, value & ICR_BITS, get32(l, X86_LAPIC_ICR2) >> 24, f);
		break;
	case X86_LAPIC_SELF_IPI:
		send(l, (value & 0xff) | X86_SH_SELF << 18, 0, f);
		break;
	case X86_LAPIC_TMICT:
		write_initial(l, value, now);
		f->timer = true;
		break;
	case X86_LAPIC_TDCR:
		write_divider(l, value, now);
		f->timer = true;
		break;
	default: /* an LVT entry: access_of() */
		write_lvt(l, reg, value, now);
		f->timer = reg == X86_LAPIC_LVTT;
	}
}

struct x86_lapic_effect x86_lapic_write(
	struct x86_lapic *l, uint32_t off, uint32_t value, int64_t now)
{
	struct x86_lapic_effect f = { 0 };
	int access = off < X86_LAPIC_SIZE ? access_of(off, false) : NONE;

	if (access & WRITE)
		write_reg(l, off, value, now, &f);
	else if (access == NONE)
		error(l, ESR_REGISTER);
	return f;
}

/* -------- x2APIC's MSRs -------- */

bool x86_lapic_msr_read(struct x86_lapic *l, uint32_t n, uint64_t *value, int64_t now)
{
	uint32_t reg = n * 16;

	if (x86_lapic_mode(l) != X86_LAPIC_X2APIC || n >= X86_LAPIC_SIZE / 16 ||
		!(access_of(reg, true) & READ))
		return false;
	*value = read_reg(l, reg, now);
	if (reg == X86_LAPIC_ICR)
		*value |= (uint64_t)get32(l, X86_LAPIC_ICR2) << 32;
	return true;
}

/* The bits that may be 1 in a write. */
static uint64_t writable(const struct x86_lapic *l, uint32_t reg)
{
	switch (reg) {
	case X86_LAPIC_TPR:
	case X86_LAPIC_SELF_IPI:
		return 0xff;
	case X86_LAPIC_SVR:
		return svr_bits(l);
	case X86_LAPIC_ICR:
		return 0xffffffff00000000ull | ICR_BITS | ICR_STATUS;
	case X86_LAPIC_TMICT:
		return 0xffffffff;
	case X86_LAPIC_TDCR:
		return TDCR_BITS;
	default: /* EOI and ESR: 0 */
		return lvt_bits(l, reg);
	}
}

struct x86_lapic_effect x86_lapic_msr_write(
	struct x86_lapic *l, uint32_t n, uint64_t value, int64_t now)
{
	struct x86_lapic_effect f = { 0 };
	uint32_t reg = n * 16;

	f.fault = x86_lapic_mode(l) != X86_LAPIC_X2APIC || n >= X86_LAPIC_SIZE / 16 ||
		  !(access_of(reg, true) & WRITE) || (value & ~writable(l, reg));
	if (f.fault)
		return f;
	if (reg == X86_LAPIC_ICR) {
		set32(l, X86_LAPIC_ICR, value & ICR_BITS);
		set32(l, X86_LAPIC_ICR2, value >> 32);
		send(l, value & ICR_BITS, value >> 32, &f);
	} else {
		write_reg(l, reg, value, now, &f);
	}
	return f;
}

/* -------- modes, reset -------- */

/* ID and LDR of the mode. */
static void put_id(struct x86_lapic *l)
{
	if (x86_lapic_mode(l) != X86_LAPIC_X2APIC) {
		set32(l, X86_LAPIC_ID, l->id << 24);
		return;
	}
	set32(l, X86_LAPIC_ID, l->id);
	set32(l, X86_LAPIC_LDR, (l->id >> 4) << 16 | 1u << (l->id & 15));
}

static void reset(struct x86_lapic *l)
{
	memset(l->regs, 0, sizeof(l->regs));
	set32(l, X86_LAPIC_VER, X86_LAPIC_VERSION);
	set32(l, X86_LAPIC_DFR, 0xffffffff);
	set32(l, X86_LAPIC_SVR, 0xff);
	for (uint32_t reg = X86_LAPIC_LVTT; reg <= X86_LAPIC_LVT_ERROR; reg += 16)
		set32(l, reg, LVT_MASKED);
	l->errors = 0;
	l->counting = false;
	l->tsc_deadline = 0;
	put_id(l);
}

void x86_lapic_init_signal(struct x86_lapic *l)
{
	reset(l);
	/* SPEC: as in x86_cpu_state_reset(). */
	if (l->apic_base & X86_APIC_BASE_BSP)
		set32(l, X86_LAPIC_LVT0, X86_DM_EXTINT << 8);
}

void x86_lapic_power_on(struct x86_lapic *l, uint32_t id, bool bsp)
{
	l->id = id;
	l->apic_base = BASE_DEFAULT | BASE_ENABLE | (bsp ? X86_APIC_BASE_BSP : 0);
	l->arbitration = 0;
	x86_lapic_init_signal(l);
}

bool x86_lapic_set_base(struct x86_lapic *l, uint64_t value, unsigned int phys_bits)
{
	uint64_t page = ((1ull << (phys_bits & 63)) - 1) & ~0xfffull;
	enum x86_lapic_mode was = x86_lapic_mode(l), mode;
	uint8_t cr8 = x86_lapic_cr8(l);

	if ((value & ~(page | BASE_FLAGS)) || (value & (BASE_X2APIC | BASE_ENABLE)) == BASE_X2APIC)
		return false;
	if ((value & BASE_X2APIC) &&
		(was == X86_LAPIC_OFF || !(l->features & X86_LAPIC_HAS_X2APIC)))
		return false;
	if (was == X86_LAPIC_X2APIC && (value & BASE_ENABLE) && !(value & BASE_X2APIC))
		return false;
	l->apic_base = value;
	mode = x86_lapic_mode(l);
	if (mode == was)
		return true;
	if (mode == X86_LAPIC_X2APIC) {
		set32(l, X86_LAPIC_ICR2, 0);
		put_id(l);
	} else {
		/* From on to off, or back: nothing of before is left but the task priority, which
		 * is CR8 too. */
		reset(l);
		x86_lapic_set_cr8(l, cr8);
	}
	return true;
}

void x86_lapic_restore_base(struct x86_lapic *l, uint64_t value)
{
	enum x86_lapic_mode was = x86_lapic_mode(l);

	if (!(value & BASE_ENABLE))
		value &= ~(uint64_t)BASE_X2APIC;
	l->apic_base = value & ~0xfffull;
	l->apic_base |= value & BASE_FLAGS;
	if (x86_lapic_mode(l) != was)
		put_id(l);
}

/* -------- saved state -------- */

void x86_lapic_get(struct x86_lapic *l, uint8_t page[X86_LAPIC_SIZE], int64_t now)
{
	set32(l, X86_LAPIC_TMCCT, current_count(l, now));
	set32(l, X86_LAPIC_PPR, x86_lapic_ppr(l));
	memcpy(page, l->regs, X86_LAPIC_SIZE);
}

static void mask32(struct x86_lapic *l, uint32_t reg, uint32_t bits)
{
	set32(l, reg, get32(l, reg) & bits);
}

/* Nothing that the registers could not hold. That LINT0 is unmasked while the APIC is disabled is
 * how a boot processor starts. */
static void sanitize(struct x86_lapic *l)
{
	static const uint16_t no_vectors[] = { X86_LAPIC_ISR, X86_LAPIC_TMR, X86_LAPIC_IRR };

	for (unsigned int i = 0; i < 3; i++)
		mask32(l, no_vectors[i], 0xffffffffu << FIRST_VECTOR);
	for (uint32_t reg = X86_LAPIC_LVTT; reg <= X86_LAPIC_LVT_ERROR; reg += 16)
		mask32(l, reg, lvt_bits(l, reg) & ~LVT_READ_ONLY);
	mask32(l, X86_LAPIC_TPR, 0xff);
	mask32(l, X86_LAPIC_SVR, svr_bits(l));
	mask32(l, X86_LAPIC_ESR, 0xff);
	mask32(l, X86_LAPIC_ICR, ICR_BITS);
	mask32(l, X86_LAPIC_TDCR, TDCR_BITS);
	set32(l, X86_LAPIC_DFR, get32(l, X86_LAPIC_DFR) | DFR_FIXED);
	set32(l, X86_LAPIC_VER, read_reg(l, X86_LAPIC_VER, 0));
	if (x86_lapic_mode(l) == X86_LAPIC_X2APIC) {
		put_id(l);
		return;
	}
	mask32(l, X86_LAPIC_ID, 0xff000000);
	mask32(l, X86_LAPIC_LDR, 0xff000000);
	mask32(l, X86_LAPIC_ICR2, 0xff000000);
}

void x86_lapic_set(struct x86_lapic *l, const uint8_t page[X86_LAPIC_SIZE], int64_t now)
{
	uint32_t initial, count;

	memcpy(l->regs, page, X86_LAPIC_SIZE);
	sanitize(l);
	l->errors = 0;
	if (timer_mode(l) != DEADLINE)
		l->tsc_deadline = 0;
	initial = get32(l, X86_LAPIC_TMICT);
	count = get32(l, X86_LAPIC_TMCCT);
	count_from(l, count < initial ? count : initial, now);
}
