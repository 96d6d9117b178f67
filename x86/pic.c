/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Source: Intel 8259A data sheet; ICH9 datasheet, 8259 Interrupt Controllers (ELCR). The state's
 * members are those of KVM_GET_IRQCHIP: last_irr holds the inputs' levels, priority_add is the line
 * of the highest priority, init_state counts the ICWs that are still to come.
 *
 * SPEC: there is no single mode, no 8080 mode and no global level mode (ICW1's LTIM): a PC has the ELCR.
 * With vector base 0, which it has from power-on until ICW2, a chip asks for nothing: such a request
 * would be an exception, and a guest that is booted without firmware need not know of the chips.
 * A request of an edge-triggered line stays when the line falls before it is acknowledged.
 */
#include "x86/pic.h"

#define ICW1	    0x10
#define ICW1_IC4    0x01
#define ICW4_AEOI   0x02
#define ICW4_SFNM   0x10
#define OCW3	    0x08
#define OCW3_ESMM   0x40
#define OCW3_SMM    0x20
#define OCW3_POLL   0x04
#define OCW3_RR	    0x02
#define OCW3_RIS    0x01
#define POLL_INT    0x80
#define SPURIOUS    7
#define ELCR_PORT   0x4d0
#define ELCR_MASK_0 0xf8 /* lines 0-2, 8 and 13 are edge-triggered on every PC */
#define ELCR_MASK_1 0xde
#define NONE	    8

enum { INIT_NONE, INIT_ICW2, INIT_ICW3, INIT_ICW4 };
/* OCW2's upper three bits. */
enum {
	AEOI_ROTATE_OFF,
	EOI,
	NO_OPERATION,
	EOI_LINE,
	AEOI_ROTATE_ON,
	EOI_ROTATE,
	SET_PRIORITY,
	EOI_LINE_ROTATE
};

typedef struct x86_pic_state chip;

static uint8_t bit(unsigned int line)
{
	return (uint8_t)(1u << (line & 7));
}

/* Rank of the line of the highest priority in @lines: 0 is the best, NONE when there is none. */
static unsigned int rank(const chip *c, uint8_t lines)
{
	unsigned int i = 0;

	while (i < NONE && !(lines & bit(i + c->priority_add)))
		i++;
	return i;
}

static unsigned int line_of(const chip *c, unsigned int r)
{
	return (r + c->priority_add) & 7;
}

/* Lines in service that hold others back. In special mask mode a masked one does not; in special
 * fully nested mode the slave may interrupt its own service. */
static uint8_t holding(const chip *c, bool master)
{
	uint8_t isr = c->isr;

	if (c->special_mask)
		isr &= (uint8_t)~c->imr;
	if (c->special_fully_nested_mode && master)
		isr &= (uint8_t)~bit(X86_PIC_CASCADE);
	return isr;
}

/* The line that asks for service, or NONE. */
static unsigned int request(const chip *c, bool master)
{
	unsigned int r = rank(c, c->irr & (uint8_t)~c->imr);

	if (!c->irq_base || r == NONE || r >= rank(c, holding(c, master)))
		return NONE;
	return line_of(c, r);
}

/* The slave's output is the master's line 2, which follows it. */
static void cascade(chip s[2])
{
	if (request(&s[1], false) == NONE)
		s[0].irr &= (uint8_t)~bit(X86_PIC_CASCADE);
	else
		s[0].irr |= bit(X86_PIC_CASCADE);
}

static void serve(chip *c, unsigned int line)
{
	if (c->auto_eoi) {
		if (c->rotate_on_auto_eoi)
			c->priority_add = (line + 1) & 7;
	} else {
		c->isr |= bit(line);
	}
	if (!(c->elcr & bit(line)))
		c->irr &= (uint8_t)~bit(line);
}

bool x86_pic_output(const chip s[2])
{
	return request(&s[0], true) != NONE;
}

uint8_t x86_pic_ack(chip s[2])
{
	unsigned int line = request(&s[0], true), slave;

	if (line == NONE)
		return (uint8_t)(s[0].irq_base + SPURIOUS);
	serve(&s[0], line);
	if (line != X86_PIC_CASCADE)
		return (uint8_t)(s[0].irq_base + line);
	slave = request(&s[1], false);
	if (slave == NONE)
		return (uint8_t)(s[1].irq_base + SPURIOUS);
	serve(&s[1], slave);
	cascade(s);
	return (uint8_t)(s[1].irq_base + slave);
}

void x86_pic_set(chip s[2], unsigned int line, bool level)
{
	chip *c = &s[line / 8 & 1];
	uint8_t b = bit(line);

	if (line == X86_PIC_CASCADE)
		return;
	if (level && (c->elcr & b || !(c->last_irr & b)))
		c->irr |= b;
	else if (!level && c->elcr & b)
		c->irr &= (uint8_t)~b;
	c->last_irr = (uint8_t)(level ? c->last_irr | b : c->last_irr & ~b);
	cascade(s);
}

bool x86_pic_open(const chip s[2], unsigned int line)
{
	return s[0].irq_base && !(s[line / 8 & 1].imr & bit(line)) &&
	       (line < 8 || !(s[0].imr & bit(X86_PIC_CASCADE)));
}

/* -------- registers -------- */

static void icw1(chip *c, uint8_t v)
{
	/* Edges must come anew; levels are still there. */
	c->irr &= c->elcr;
	c->imr = c->isr = 0;
	c->priority_add = 0;
	c->special_mask = c->read_reg_select = c->poll = 0;
	c->rotate_on_auto_eoi = 0;
	c->init4 = v & ICW1_IC4;
	if (!c->init4)
		c->special_fully_nested_mode = c->auto_eoi = 0;
	c->init_state = INIT_ICW2;
}

static void end_of_interrupt(chip *c, bool rotate)
{
	unsigned int r = rank(c, c->special_mask ? c->isr & (uint8_t)~c->imr : c->isr);
	unsigned int line = line_of(c, r);

	if (r == NONE)
		return;
	c->isr &= (uint8_t)~bit(line);
	if (rotate)
		c->priority_add = (line + 1) & 7;
}

static void ocw2(chip *c, uint8_t v)
{
	unsigned int line = v & 7;

	switch (v >> 5) {
	case AEOI_ROTATE_OFF:
	case AEOI_ROTATE_ON:
		c->rotate_on_auto_eoi = v >> 7;
		break;
	case EOI:
	case EOI_ROTATE:
		end_of_interrupt(c, v >> 7);
		break;
	case EOI_LINE:
		c->isr &= (uint8_t)~bit(line);
		break;
	case EOI_LINE_ROTATE:
		c->isr &= (uint8_t)~bit(line);
		c->priority_add = (line + 1) & 7;
		break;
	case SET_PRIORITY:
		c->priority_add = (line + 1) & 7;
		break;
	case NO_OPERATION:
		break;
	}
}

static void ocw3(chip *c, uint8_t v)
{
	if (v & OCW3_POLL)
		c->poll = 1;
	if (v & OCW3_RR)
		c->read_reg_select = v & OCW3_RIS;
	if (v & OCW3_ESMM)
		c->special_mask = !!(v & OCW3_SMM);
}

/* The odd port: the next ICW, or the mask. */
static void write_data(chip *c, uint8_t v)
{
	switch (c->init_state) {
	case INIT_ICW2:
		c->irq_base = v & 0xf8;
		c->init_state = INIT_ICW3;
		break;
	case INIT_ICW3: /* how they are wired is known */
		c->init_state = c->init4 ? INIT_ICW4 : INIT_NONE;
		break;
	case INIT_ICW4:
		c->special_fully_nested_mode = !!(v & ICW4_SFNM);
		c->auto_eoi = !!(v & ICW4_AEOI);
		c->init_state = INIT_NONE;
		break;
	default:
		c->imr = v;
	}
}

static void write_elcr(chip *c, uint8_t v)
{
	c->elcr = v & c->elcr_mask;
	c->irr = (uint8_t)((c->irr & ~c->elcr) | (c->last_irr & c->elcr));
}

/* A poll is an acknowledgement by reading. */
static uint8_t poll(chip *c, bool master)
{
	unsigned int line = request(c, master);

	c->poll = 0;
	if (line == NONE)
		return SPURIOUS;
	serve(c, line);
	return (uint8_t)(POLL_INT | line);
}

bool x86_pic_has_port(uint16_t port)
{
	return (port & ~0x81) == 0x20 || (port & ~1) == ELCR_PORT;
}

uint8_t x86_pic_read(chip s[2], uint16_t port)
{
	bool slave = (port & ~1) == ELCR_PORT ? port & 1 : port & 0x80;
	chip *c = &s[slave];
	uint8_t v;

	if ((port & ~1) == ELCR_PORT)
		return c->elcr;
	if (c->poll) {
		v = poll(c, !slave);
		cascade(s);
		return v;
	}
	if (port & 1)
		return c->imr;
	return c->read_reg_select ? c->isr : c->irr;
}

void x86_pic_write(chip s[2], uint16_t port, uint8_t v)
{
	chip *c = &s[port & 0x80 ? 1 : 0];

	if ((port & ~1) == ELCR_PORT)
		write_elcr(&s[port & 1], v);
	else if (port & 1)
		write_data(c, v);
	else if (v & ICW1)
		icw1(c, v);
	else if (v & OCW3)
		ocw3(c, v);
	else
		ocw2(c, v);
	cascade(s);
}

void x86_pic_reset(chip s[2])
{
	memset(s, 0, 2 * sizeof(s[0]));
	s[0].elcr_mask = ELCR_MASK_0;
	s[1].elcr_mask = ELCR_MASK_1;
}

void x86_pic_sanitize(chip s[2])
{
	for (int i = 0; i < 2; i++) {
		chip *c = &s[i];

		c->elcr_mask = i ? ELCR_MASK_1 : ELCR_MASK_0;
		c->elcr &= c->elcr_mask;
		c->priority_add &= 7;
		c->irq_base &= 0xf8;
		c->init_state &= 3;
		c->read_reg_select = !!c->read_reg_select;
		c->rotate_on_auto_eoi = !!c->rotate_on_auto_eoi;
	}
	cascade(s);
}
