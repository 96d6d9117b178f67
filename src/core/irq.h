// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * irq - interrupts from devices to the guest's interrupt chips. Any thread may raise one.
 *
 * Wired: a GSI (0..23, the I/O APIC's pins; ISA interrupts are GSIs of the same number) has any
 * number of sources; the line is high while one of them is (PCI INTx are shared). Messages: an
 * msi_vector is an address/data pair with a route in the accelerator, fired by an irqfd where there
 * is one, so that an I/O thread needs no ioctl.
 */
#ifndef CORE_IRQ_H
#define CORE_IRQ_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/list.h"
#include "base/thread.h"

#define IRQ_GSI_PINS 24
#define IRQ_GSI_MAX  1024 /* pins and message routes */

struct machine;
struct loop;

struct irq_source {
	struct machine *machine; /* NULL: not connected; setting it does nothing */
	uint32_t gsi;
	bool level;
};

struct irq_lines {
	struct mutex lock;		 /* counts; held around the accelerator's call so that level
					   changes reach it in order */
	uint32_t high[IRQ_GSI_PINS];	 /* sources that are high */
	uint64_t used[IRQ_GSI_MAX / 64]; /* allocated message routes; under lock */
	/* The timer's, of GSI 0: see irq_opened(). Set and cleared on main while no vCPU runs. */
	void (*opened)(void *opaque);
	void *opened_opaque;
};

void irq_lines_init(struct irq_lines *l);
void irq_source_init(struct irq_source *s, struct machine *m, uint32_t gsi);
/* Level-triggered or the edges of an edge-triggered line. Idempotent. */
void irq_set(struct irq_source *s, bool level);
/* Low, high, low: an edge. */
void irq_pulse(struct irq_source *s);
/* Would an edge be heard now, or do the interrupt chips mask it? */
bool irq_open(const struct irq_source *s);
/* The engine: the timer's edges (GSI 0) are heard from now on. Any thread, no lock held. */
void irq_opened(struct machine *m);

struct msi_vector {
	struct machine *machine;
	uint64_t addr;
	uint32_t data;
	bool active;   /* has a route: unmasked and programmed */
	int32_t gsi;   /* route number, -1: none yet */
	int eventfd;   /* owned; irqfd joined to gsi; -1: fired by ioctl */
	uint32_t lent; /* msi_vector_lend() less msi_vector_release() */
	bool withheld; /* lent and not active: the irqfd is not joined */
};

void msi_vector_init(struct msi_vector *v, struct machine *m);
void msi_vector_fini(struct msi_vector *v);
/* Program (address, data). Routes are changed only when they differ. 0 or -errno. */
int msi_vector_set(struct msi_vector *v, uint64_t addr, uint32_t data) MUST_USE;
/* Masked: firing is the caller's business (it keeps the pending bit). */
void msi_vector_clear(struct msi_vector *v);
/* Raise it. @loop: the calling thread's loop, which may batch the irqfd write with its next system
 * call; NULL: at once. */
void msi_vector_fire(struct msi_vector *v, struct loop *loop);
/* Have somebody else raise it (vhost, in the host's kernel), who writes to the eventfd that this returns; -1:
 * it has no route. What is written while the vector is not active is held back until it is again. */
int msi_vector_lend(struct msi_vector *v);
/* Nobody else writes any more; once for each msi_vector_lend(). True: something was held back, and keeping the
 * pending bit is the caller's business again. */
bool msi_vector_release(struct msi_vector *v);
/* Is something held back? */
bool msi_vector_held(const struct msi_vector *v);

#endif
