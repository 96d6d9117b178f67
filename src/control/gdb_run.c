// SPDX-License-Identifier: GPL-2.0-or-later
/* gdb_run - the vCPUs: their state and breakpoints, stopping and going on. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "control/gdb_int.h"

/* -------- vCPUs -------- */

struct transfer {
	struct x86_cpu_state *s;
	bool set;
	int rc;
};

static void transfer(struct vcpu *v, void *opaque)
{
	struct transfer *t = opaque;
	const struct accel *a = v->machine->accel;

	t->rc = t->set ? a->vcpu_set(v->accel, t->s, GDB_REG_PARTS)
		       : a->vcpu_get(v->accel, t->s, GDB_REG_PARTS);
}

struct vcpu *gdb_vcpu(struct gdb *g)
{
	return &g->m->vcpus[g->thread];
}

/* The state of the thread at hand, or NULL. Free it. */
struct x86_cpu_state *gdb_state_get(struct gdb *g)
{
	struct x86_cpu_state *s = calloc(1, sizeof(*s));
	struct transfer t = { .s = s, .rc = -ENOMEM };

	if (s)
		vcpu_run_on(gdb_vcpu(g), transfer, &t);
	if (!t.rc)
		return s;
	free(s);
	return NULL;
}

bool gdb_state_set(struct gdb *g, struct x86_cpu_state *s)
{
	struct transfer t = { .s = s, .set = true };

	vcpu_run_on(gdb_vcpu(g), transfer, &t);
	return !t.rc;
}

struct debug_call {
	const struct accel_debug *d;
	int rc;
};

static void debug_call(struct vcpu *v, void *opaque)
{
	struct debug_call *c = opaque;

	c->rc = v->machine->accel->vcpu_debug(v->accel, c->d);
}

static int debug_set(struct gdb *g, uint32_t vcpu, bool step)
{
	struct debug_call c = { .d = &g->debug };

	g->debug.step = step;
	vcpu_run_on(&g->m->vcpus[vcpu], debug_call, &c);
	return c.rc;
}

int gdb_debug_set_all(struct gdb *g)
{
	int rc = 0;

	for (uint32_t i = 0; i < g->m->n_vcpus && !rc; i++)
		rc = debug_set(g, i, false);
	return rc;
}

/* -------- stop and go -------- */

/* On the vCPU's thread. */
void gdb_debug_exit(void *opaque, struct vcpu *v, const struct vcpu_exit *e)
{
	struct gdb *g = opaque;

	mutex_lock(&g->lock);
	if (!g->hit) {
		g->hit = true;
		g->hit_vcpu = v->index;
		g->hit_points = e->debug.points;
	}
	mutex_unlock(&g->lock);
	atomic_fetch_or(&v->requests, VCPU_REQ_STOP);
	loop_post(g->m->main_loop, &g->stop_defer);
}

void gdb_put_stop(struct gdb *g, int signal)
{
	AUTO(str) s = STR_INIT;

	str_appendf(&s, "T%02xthread:%x;", signal, g->thread + 1);
	for (uint32_t i = 0; i < g->debug.n && signal == SIGNAL_TRAP; i++) {
		static const char *const name[] = { "", "", "watch", "rwatch", "awatch" };

		if (g->hit_points >> i & 1 && g->point_type[i] >= 2)
			str_appendf(&s, "%s:%llx;", name[g->point_type[i]],
				(unsigned long long)g->debug.point[i].addr);
	}
	gdb_put_str(g, &s);
}

void gdb_pause_all(struct gdb *g)
{
	machine_pause(g->m);
	for (uint32_t i = 0; i < g->m->n_vcpus; i++)
		g->m->vcpus[i].held = false;
	g->running = false;
}

/* On main: a vCPU has hit something. */
void gdb_stopped(void *opaque)
{
	struct gdb *g = opaque;

	if (g->m->state == RUN_SHUTDOWN)
		return;
	gdb_pause_all(g);
	mutex_lock(&g->lock);
	if (g->hit)
		g->thread = g->hit_vcpu;
	g->hit = false;
	mutex_unlock(&g->lock);
	if (g->fd < 0)
		return;
	gdb_put_stop(g, SIGNAL_TRAP);
	gdb_flush(g);
}

void gdb_interrupt(struct gdb *g)
{
	if (!g->running)
		return;
	gdb_pause_all(g);
	gdb_put_stop(g, SIGNAL_INT);
}

static void go(struct gdb *g)
{
	struct error err = ERROR_INIT;

	g->hit_points = 0;
	g->was_paused = false;
	g->running = true;
	if (machine_resume(g->m, &err))
		return;
	log_err("gdb", "cannot go on: %s", err.msg);
	g->running = false;
	gdb_put(g, "X09");
}

/* What each thread does next: 's', 'c' or 0 (stays); then go. */
static void go_with(struct gdb *g, const char *action)
{
	for (uint32_t i = 0; i < g->m->n_vcpus; i++) {
		if (debug_set(g, i, action[i] == 's')) {
			gdb_put(g, E_INVAL);
			return;
		}
		g->m->vcpus[i].held = !action[i];
	}
	go(g);
}

void gdb_vcont(struct gdb *g, const char *p)
{
	AUTO_FREE char *action = calloc(1, g->m->n_vcpus);
	bool any = false;

	while (action && *p == ';') {
		char kind = p[1] == 'S' ? 's' : p[1] == 'C' ? 'c' : p[1];
		uint64_t signal, thread = 0;

		p += 2;
		if (p[-1] == 'S' || p[-1] == 'C')
			gdb_hex_number(&p, &signal);
		if (*p == ':' && p[1] == '-')
			p += 3;
		else if (*p == ':' && (++p, !gdb_hex_number(&p, &thread)))
			break;
		if (kind != 's' && kind != 'c')
			break;
		for (uint32_t i = 0; i < g->m->n_vcpus; i++) {
			if (!action[i] && (!thread || thread == i + 1))
				action[i] = kind;
		}
		any = true;
	}
	if (!action || !any || *p)
		gdb_put(g, E_INVAL);
	else
		go_with(g, action);
}

void gdb_go(struct gdb *g, char kind)
{
	AUTO_FREE char *action = malloc(g->m->n_vcpus);

	if (!action) {
		gdb_put(g, E_NOMEM);
		return;
	}
	memset(action, 'c', g->m->n_vcpus);
	if (kind == 's') {
		memset(action, 0, g->m->n_vcpus);
		action[g->step_thread] = 's';
	}
	go_with(g, action);
}
