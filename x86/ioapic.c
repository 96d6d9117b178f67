/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * ioapic - see the 82093AA data sheet, Redirection Table. state->irr is the inputs' level.
 *
 * Edge: a rise sends the message, unless the pin is masked: then the edge is lost. Level: the
 * message is sent while the input is high and no one is under way (remote IRR); the end of
 * interrupt clears that, and a level that is still high sends it again.
 */
#include "x86/ioapic.h"

#define REG_SELECT 0x00
#define REG_WINDOW 0x10
#define IDX_ID	   0x00
#define IDX_VER	   0x01
#define IDX_ARB	   0x02
#define IDX_TABLE  0x10

#define VERSION 0x11 /* without an EOI register, as KVM's */

#define RTE_VECTOR     0xffull
#define RTE_MODE(e)    ((e) >> 8 & 7)
#define RTE_LOGICAL    (1ull << 11)
#define RTE_STATUS     (1ull << 12)
#define RTE_REMOTE_IRR X86_IOAPIC_REMOTE_IRR
#define RTE_LEVEL      (1ull << 15)
#define RTE_MASKED     (1ull << 16)
#define RTE_READ_ONLY  (RTE_STATUS | RTE_REMOTE_IRR)
#define MODE_LOWEST    1
#define MODE_EXTINT    7

void x86_ioapic_reset(struct x86_ioapic_state *s)
{
	memset(s, 0, sizeof(*s));
	s->base_address = X86_IOAPIC_BASE;
	for (int i = 0; i < X86_IOAPIC_PINS; i++)
		s->redirtbl[i] = RTE_MASKED;
}

bool x86_ioapic_message(
	const struct x86_ioapic_state *s, uint32_t pin, uint64_t *addr, uint32_t *data)
{
	uint64_t e = s->redirtbl[pin];

	if ((e & RTE_MASKED) || RTE_MODE(e) == MODE_EXTINT)
		return false;
	/* SDM, Message Address and Message Data Register Format. */
	*addr = 0xfee00000 | (e >> 56) << 12 | (RTE_MODE(e) == MODE_LOWEST ? 1 << 3 : 0) |
		(e & RTE_LOGICAL ? 1 << 2 : 0);
	*data = (uint32_t)((e & RTE_VECTOR) | RTE_MODE(e) << 8) |
		(e & RTE_LEVEL ? 1u << 15 | 1u << 14 : 0);
	return true;
}

/* A level input that is due: mark it under way; the bit of the pin to fire. */
static uint32_t serve_level(struct x86_ioapic_state *s, uint32_t pin)
{
	uint64_t *e = &s->redirtbl[pin];

	if (!(*e & RTE_LEVEL) || (*e & (RTE_MASKED | RTE_REMOTE_IRR)) || !(s->irr >> pin & 1) ||
		RTE_MODE(*e) == MODE_EXTINT)
		return 0;
	*e |= RTE_REMOTE_IRR;
	return 1u << pin;
}

struct x86_ioapic_effect x86_ioapic_set(struct x86_ioapic_state *s, uint32_t pin, bool level)
{
	struct x86_ioapic_effect f = { 0, 0 };
	uint32_t bit = 1u << pin;
	bool rise = level && !(s->irr & bit);

	s->irr = level ? s->irr | bit : s->irr & ~bit;
	if (s->redirtbl[pin] & RTE_LEVEL)
		f.fire = serve_level(s, pin);
	else if (rise && !(s->redirtbl[pin] & RTE_MASKED) &&
		 RTE_MODE(s->redirtbl[pin]) != MODE_EXTINT)
		f.fire = bit;
	return f;
}

struct x86_ioapic_effect x86_ioapic_eoi(struct x86_ioapic_state *s, uint8_t vector)
{
	struct x86_ioapic_effect f = { 0, 0 };

	for (uint32_t i = 0; i < X86_IOAPIC_PINS; i++) {
		uint64_t *e = &s->redirtbl[i];

		if (!(*e & RTE_LEVEL) || !(*e & RTE_REMOTE_IRR) || (*e & RTE_VECTOR) != vector)
			continue;
		*e &= ~RTE_REMOTE_IRR;
		f.fire |= serve_level(s, i);
	}
	return f;
}

static struct x86_ioapic_effect write_entry(
	struct x86_ioapic_state *s, uint32_t pin, bool high, uint32_t value)
{
	struct x86_ioapic_effect f = { 0, 0 };
	uint64_t old = s->redirtbl[pin], e;

	if (high)
		e = (uint64_t)value << 32 | (old & 0xffffffff);
	else
		e = (old & ~0xffffffffull) | value;
	e = (e & ~RTE_READ_ONLY) | (old & RTE_READ_ONLY);
	/* Nothing is under way on an edge pin; systems clear a stuck one by this. */
	if (!(e & RTE_LEVEL))
		e &= ~RTE_REMOTE_IRR;
	s->redirtbl[pin] = e;
	if ((old ^ e) & ~RTE_READ_ONLY)
		f.changed = 1u << pin;
	f.fire = serve_level(s, pin);
	return f;
}

struct x86_ioapic_effect x86_ioapic_write(struct x86_ioapic_state *s, uint32_t off, uint32_t value)
{
	uint32_t i = s->ioregsel;

	if (off == REG_SELECT)
		s->ioregsel = value & 0xff;
	else if (off == REG_WINDOW && i == IDX_ID)
		s->id = value >> 24 & 0xf;
	else if (off == REG_WINDOW && i >= IDX_TABLE && i < IDX_TABLE + 2 * X86_IOAPIC_PINS)
		return write_entry(s, (i - IDX_TABLE) / 2, i & 1, value);
	return (struct x86_ioapic_effect){ 0, 0 };
}

uint32_t x86_ioapic_read(const struct x86_ioapic_state *s, uint32_t off)
{
	uint32_t i = s->ioregsel;

	if (off == REG_SELECT)
		return i;
	if (off != REG_WINDOW)
		return 0;
	if (i == IDX_ID || i == IDX_ARB)
		return s->id << 24;
	if (i == IDX_VER)
		return VERSION | (X86_IOAPIC_PINS - 1) << 16;
	if (i >= IDX_TABLE && i < IDX_TABLE + 2 * X86_IOAPIC_PINS)
		return s->redirtbl[(i - IDX_TABLE) / 2] >> (i & 1 ? 32 : 0);
	return 0;
}
