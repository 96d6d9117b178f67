// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/irq.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/trace.h"
#include "base/types.h"
#include "core/machine.h"

void irq_lines_init(struct irq_lines *l)
{
	memset(l, 0, sizeof(*l));
	mutex_init(&l->lock);
	l->used[0] = BIT_ULL(IRQ_GSI_PINS) - 1;
}

void irq_source_init(struct irq_source *s, struct machine *m, uint32_t gsi)
{
	assert(gsi < IRQ_GSI_PINS);
	*s = (struct irq_source){ .machine = m, .gsi = gsi };
}

void irq_set(struct irq_source *s, bool level)
{
	struct machine *m = s->machine;
	struct irq_lines *l;
	uint32_t *high;

	if (!m)
		return;
	l = &m->irqs;
	high = &l->high[s->gsi];
	mutex_lock(&l->lock);
	if (s->level != level) {
		s->level = level;
		*high += level ? 1 : -1;
		TRACE2(irq, set, s->gsi, level);
		/* Only the first to rise and the last to fall move the wire. */
		if (m->vm && *high == (level ? 1 : 0))
			m->accel->irq_set(m->vm, s->gsi, level);
	}
	mutex_unlock(&l->lock);
}

void irq_pulse(struct irq_source *s)
{
	irq_set(s, true);
	irq_set(s, false);
}

bool irq_open(const struct irq_source *s)
{
	const struct machine *m = s->machine;

	return m && m->vm && (!m->accel->irq_open || m->accel->irq_open(m->vm, s->gsi));
}

void irq_opened(struct machine *m)
{
	if (m->irqs.opened)
		m->irqs.opened(m->irqs.opened_opaque);
}

void msi_vector_init(struct msi_vector *v, struct machine *m)
{
	*v = (struct msi_vector){ .machine = m, .gsi = -1, .eventfd = -1 };
}

static bool has_routes(const struct machine *m)
{
	return m->vm && m->accel->routes_set && m->accel->irqfd;
}

/* Under irqs.lock. A free route number, or -ENOSPC. */
static int gsi_alloc(struct irq_lines *l)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(l->used); i++) {
		if (~l->used[i]) {
			unsigned int bit = __builtin_ctzll(~l->used[i]);

			l->used[i] |= BIT_ULL(bit);
			return i * 64 + bit;
		}
	}
	return -ENOSPC;
}

static void gsi_free(struct irq_lines *l, int gsi)
{
	l->used[gsi / 64] &= ~BIT_ULL(gsi % 64);
}

/* Under irqs.lock: the route of @gsi in the machine's table, or NULL. */
static struct accel_msi *route_find(struct machine *m, int gsi)
{
	struct accel_msi *r;

	vec_for_each (r, &m->msi_routes) {
		if ((int)r->gsi == gsi)
			return r;
	}
	return NULL;
}

static int routes_commit(struct machine *m)
{
	return m->accel->routes_set(m->vm, m->msi_routes.data, m->msi_routes.len);
}

/* Under irqs.lock: a first route with its irqfd. */
static int route_add(struct msi_vector *v, uint64_t addr, uint32_t data)
{
	struct machine *m = v->machine;
	int gsi = gsi_alloc(&m->irqs), fd, rc;

	if (gsi < 0)
		return gsi;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = fd < 0 ? -errno : 0;
	if (!rc && !vec_push(&m->msi_routes, ((struct accel_msi){ gsi, addr, data })))
		rc = -ENOMEM;
	if (!rc) {
		rc = routes_commit(m) ?: m->accel->irqfd(m->vm, gsi, fd, true);
		if (rc)
			m->msi_routes.len--;
	}
	if (rc) {
		if (fd >= 0)
			close(fd);
		gsi_free(&m->irqs, gsi);
		return rc;
	}
	v->gsi = gsi;
	v->eventfd = fd;
	return 0;
}

static int route_update(struct msi_vector *v, uint64_t addr, uint32_t data)
{
	struct accel_msi *r = route_find(v->machine, v->gsi), was = *r;
	int rc;

	if (r->addr == addr && r->data == data)
		return 0;
	r->addr = addr;
	r->data = data;
	rc = routes_commit(v->machine);
	/* An address that the engine refuses must not stay: it takes all routes or none. */
	if (rc)
		*r = was;
	return rc;
}

/* Under irqs.lock. An irqfd that is not joined leaves what is written in the eventfd's counter; KVM looks at the
 * counter when it joins one. 0 or -errno. */
static int withhold(struct msi_vector *v, bool on)
{
	struct machine *m = v->machine;
	int rc = 0;

	if (v->withheld != on)
		rc = m->accel->irqfd(m->vm, (uint32_t)v->gsi, v->eventfd, !on);
	if (!rc)
		v->withheld = on;
	return rc;
}

int msi_vector_set(struct msi_vector *v, uint64_t addr, uint32_t data)
{
	struct machine *m = v->machine;
	int rc = 0;

	mutex_lock(&m->irqs.lock);
	if (has_routes(m))
		rc = v->gsi < 0 ? route_add(v, addr, data)
				: route_update(v, addr, data) ?: withhold(v, false);
	mutex_unlock(&m->irqs.lock);
	/* Without a route the vector still works: it is fired by a call. With one that could not be
	 * changed it must not fire the old message. */
	v->addr = addr;
	v->data = data;
	v->active = v->gsi < 0 || !rc;
	return v->gsi < 0 ? 0 : rc;
}

void msi_vector_clear(struct msi_vector *v)
{
	v->active = false;
	if (!v->lent)
		return;
	mutex_lock(&v->machine->irqs.lock);
	withhold(v, true);
	mutex_unlock(&v->machine->irqs.lock);
}

int msi_vector_lend(struct msi_vector *v)
{
	struct machine *m = v->machine;

	if (v->gsi < 0)
		return -1;
	v->lent++;
	mutex_lock(&m->irqs.lock);
	if (!v->active)
		withhold(v, true);
	mutex_unlock(&m->irqs.lock);
	return v->eventfd;
}

bool msi_vector_release(struct msi_vector *v)
{
	uint64_t count;
	bool held;

	if (--v->lent || !v->withheld)
		return false;
	held = read(v->eventfd, &count, sizeof(count)) > 0;
	mutex_lock(&v->machine->irqs.lock);
	withhold(v, false);
	mutex_unlock(&v->machine->irqs.lock);
	return held;
}

bool msi_vector_held(const struct msi_vector *v)
{
	struct pollfd p = { .fd = v->eventfd, .events = POLLIN };

	return v->withheld && poll(&p, 1, 0) > 0;
}

void msi_vector_fini(struct msi_vector *v)
{
	struct machine *m = v->machine;

	if (!m || v->gsi < 0)
		return;
	/* A signal that this thread's loop still holds back must not be written to a descriptor that is
	 * somebody else's by then. Other loops have been quiesced. */
	if (loop_in_thread(m->main_loop))
		loop_flush(m->main_loop);
	mutex_lock(&m->irqs.lock);
	if (m->vm) {
		withhold(v, true);
		vec_remove(&m->msi_routes, (size_t)(route_find(m, v->gsi) - m->msi_routes.data));
		/* The engine keeps a dead route until the next change: nothing can fire it. */
	}
	gsi_free(&m->irqs, v->gsi);
	mutex_unlock(&m->irqs.lock);
	close(v->eventfd);
	v->gsi = v->eventfd = -1;
	v->active = false;
}

void msi_vector_fire(struct msi_vector *v, struct loop *loop)
{
	struct machine *m = v->machine;
	uint64_t one = 1;

	if (!v->active || !m->vm)
		return;
	TRACE2(irq, msi, v->addr, v->data);
	if (v->eventfd < 0)
		m->accel->msi_send(m->vm, v->addr, v->data);
	else if (loop)
		loop_eventfd_signal(loop, v->eventfd);
	else if (write(v->eventfd, &one, sizeof(one)) < 0)
		return; /* counter at its limit: it is pending already */
}
