// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/machine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "core/io.h"
#include "core/vcpu.h"

#define PHYS_LIMIT (1ull << 52)

/* -------- the engine follows the address spaces -------- */

static int mem_added(struct as_listener *l, const struct as_range *r)
{
	struct machine *m = CONTAINER_OF(l, struct machine, mem_listener);

	if (r->kind == AS_IO) {
		io_region_mapped(m, false, r);
		return 0;
	}
	return m->accel->ram_add(m->vm, r);
}

static void mem_removed(struct as_listener *l, const struct as_range *r)
{
	struct machine *m = CONTAINER_OF(l, struct machine, mem_listener);

	if (r->kind == AS_IO)
		io_region_unmapped(m, false, r);
	else
		m->accel->ram_del(m->vm, r);
}

static int pio_added(struct as_listener *l, const struct as_range *r)
{
	io_region_mapped(CONTAINER_OF(l, struct machine, pio_listener), true, r);
	return 0;
}

static void pio_removed(struct as_listener *l, const struct as_range *r)
{
	io_region_unmapped(CONTAINER_OF(l, struct machine, pio_listener), true, r);
}

/* -------- life -------- */

struct machine *machine_new(const char *name, struct loop *main_loop, struct error *err)
{
	struct machine *m = calloc(1, sizeof(*m));

	assert(thread_is(ROLE_MAIN));
	if (!m || !(m->name = strdup(name))) {
		free(m);
		error_set(err, "machine '%s': out of memory", name);
		return NULL;
	}
	m->main_loop = main_loop;
	irq_lines_init(&m->irqs);
	list_init(&m->devices);
	list_init(&m->owned);
	for (int i = 0; i < BACKEND_KINDS; i++)
		map_init(&m->backends[i]);
	mutex_init(&m->vcpu_lock);
	pthread_cond_init(&m->vcpu_cond, NULL);
	pthread_cond_init(&m->vcpu_parked, NULL);
	loop_defer_init(&m->event_defer, machine_handle_events, m);
	m->mem_listener = (struct as_listener){ .added = mem_added, .removed = mem_removed };
	m->pio_listener = (struct as_listener){ .added = pio_added, .removed = pio_removed };
	list_init(&m->mem_listener.node);
	list_init(&m->pio_listener.node);
	if (!as_init(&m->mem, "memory", PHYS_LIMIT, err)) {
		free(m->name);
		free(m);
		return NULL;
	}
	if (!as_init(&m->pio, "ports", 0x10000, err)) {
		as_fini(&m->mem);
		free(m->name);
		free(m);
		return NULL;
	}
	return m;
}

static void backends_fini(struct machine *m, int kind)
{
	struct map_entry *e;

	map_for_each (e, &m->backends[kind]) {
		if (m->backend_close[kind])
			m->backend_close[kind](e->value);
	}
	map_fini(&m->backends[kind]);
}

void machine_free(struct machine *m)
{
	struct loop **l;

	if (!m)
		return;
	assert(thread_is(ROLE_MAIN));
	if (m->state == RUN_RUNNING)
		machine_pause(m);
	for (uint32_t i = 0; i < m->n_vcpus; i++)
		vcpu_fini(&m->vcpus[i]);
	while (!list_empty(&m->devices))
		device_free(list_entry(m->devices.prev, struct device, node));
	vec_for_each (l, &m->io_loops)
		loop_thread_stop(*l);
	vec_fini(&m->io_loops);
	while (!list_empty(&m->owned)) /* the newest first: it may stand on others */
		machine_backend_drop(m, list_entry(m->owned.prev, struct machine_owned, node));
	if (m->vm) {
		as_listener_del(&m->mem, &m->mem_listener);
		as_listener_del(&m->pio, &m->pio_listener);
		m->accel->vm_free(m->vm);
	}
	if (m->board && m->board->fini)
		m->board->fini(m);
	as_fini(&m->mem);
	as_fini(&m->pio);
	for (int i = 0; i < BACKEND_KINDS; i++)
		backends_fini(m, i);
	loop_defer_cancel(m->main_loop, &m->event_defer);
	vec_fini(&m->msi_routes);
	mutex_fini(&m->irqs.lock);
	mutex_fini(&m->vcpu_lock);
	pthread_cond_destroy(&m->vcpu_cond);
	pthread_cond_destroy(&m->vcpu_parked);
	free(m->vcpus);
	free(m->name);
	free(m);
}

bool machine_set_accel(struct machine *m, const struct accel *a, const struct accel_vm_config *c,
	struct error *err)
{
	int rc;

	assert(!m->vm);
	m->accel = a;
	m->vm = a->vm_new(m, c, err);
	if (!m->vm)
		return false;
	rc = as_listener_add(&m->mem, &m->mem_listener);
	if (rc)
		return error_set_errno(err, rc, "engine %s does not take the memory map", a->name);
	rc = as_listener_add(&m->pio, &m->pio_listener);
	return !rc || error_set_errno(err, rc, "engine %s does not take the port map", a->name);
}

bool machine_add_vcpus(struct machine *m, uint32_t n, struct error *err)
{
	assert(!m->vcpus);
	m->vcpus = calloc(n, sizeof(*m->vcpus));
	if (!m->vcpus)
		return error_set(err, "out of memory for %u CPUs", n);
	m->n_vcpus = n;
	for (uint32_t i = 0; i < n; i++) {
		m->vcpus[i].machine = m;
		m->vcpus[i].index = m->vcpus[i].apic_id = i;
		m->vcpus[i].host_cpu = -1;
	}
	return true;
}

bool machine_init_vcpus(struct machine *m, struct error *err)
{
	for (uint32_t i = 0; i < m->n_vcpus; i++) {
		if (!vcpu_init(&m->vcpus[i], err))
			return false;
	}
	return true;
}

static struct loop *find_io_loop(const struct machine *m, const char *name)
{
	struct loop *const *it;

	vec_for_each (it, &m->io_loops) {
		if (!strcmp(loop_name(*it), name))
			return *it;
	}
	return NULL;
}

bool machine_has_io_loop(const struct machine *m, const char *name)
{
	return find_io_loop(m, name);
}

struct loop *machine_io_loop(struct machine *m, const char *name, struct error *err)
{
	struct loop *l;

	assert(thread_is(ROLE_MAIN));
	name = name ?: "io";
	l = find_io_loop(m, name);
	if (l)
		return l;
	if (m->io_loops.len >= IO_LOOPS_MAX) {
		error_set(err, "I/O thread '%s': there are %d already", name, IO_LOOPS_MAX);
		return NULL;
	}
	if (!vec_reserve(&m->io_loops, 1)) {
		error_set(err, "I/O thread '%s': out of memory", name);
		return NULL;
	}
	l = loop_thread_start(name, ROLE_IO, LOOP_URING, err);
	if (l)
		m->io_loops.data[m->io_loops.len++] = l;
	return l;
}

bool machine_io_loop_is_shared(const char *name)
{
	const char *rest;

	return !strcmp(name, "io") || (str_has_prefix(name, "io-", &rest) && *rest &&
					      strspn(rest, "0123456789") == strlen(rest));
}

bool machine_io_loop_del(struct machine *m, const char *name)
{
	struct loop *l = find_io_loop(m, name);
	size_t i = 0;

	assert(thread_is(ROLE_MAIN) && l);
	if (loop_is_used(l))
		return false;
	while (m->io_loops.data[i] != l)
		i++;
	vec_remove(&m->io_loops, i);
	loop_thread_stop(l);
	return true;
}

static const char *const backend_names[BACKEND_KINDS] = {
	[BACKEND_BLOCK] = "disk",
	[BACKEND_CHARDEV] = "character device",
	[BACKEND_NET] = "network",
};

bool machine_backend_add(
	struct machine *m, enum backend_kind kind, const char *id, void *backend, struct error *err)
{
	if (map_has(&m->backends[kind], id))
		return error_usage(err, "%s id '%s' is used twice", backend_names[kind], id);
	if (!map_set(&m->backends[kind], id, backend))
		return error_set(err, "%s '%s': out of memory", backend_names[kind], id);
	return true;
}

void *machine_backend_del(struct machine *m, enum backend_kind kind, const char *id)
{
	return map_del(&m->backends[kind], id);
}

void *machine_backend(struct machine *m, enum backend_kind kind, const char *id, struct error *err)
{
	void *b = map_get(&m->backends[kind], id);

	if (!b)
		error_not_found(err, "there is no %s with id '%s'", backend_names[kind], id);
	return b;
}

struct machine_owned *machine_owned_find(struct machine *m, enum backend_kind kind, const char *id)
{
	struct machine_owned *o;

	list_for_each (o, &m->owned, node) {
		if (o->kind == kind && !strcmp(o->id, id))
			return o;
	}
	return NULL;
}

bool machine_backend_own(struct machine *m, enum backend_kind kind, const char *id, void *backend,
	void (*close)(void *backend), const char *on, struct error *err)
{
	struct machine_owned *o = calloc(1, sizeof(*o));

	if (!o || !(o->id = strdup(id))) {
		free(o);
		return error_set(err, "%s '%s': out of memory", backend_names[kind], id);
	}
	if (!machine_backend_add(m, kind, id, backend, err)) {
		free(o->id);
		free(o);
		return false;
	}
	o->kind = kind;
	o->backend = backend;
	o->close = close;
	o->on = on ? machine_owned_find(m, kind, on) : NULL;
	if (o->on)
		o->on->user = o;
	list_add_tail(&m->owned, &o->node);
	return true;
}

void machine_backend_drop(struct machine *m, struct machine_owned *o)
{
	assert(!o->user);
	map_del(&m->backends[o->kind], o->id);
	list_del(&o->node);
	if (o->on)
		o->on->user = NULL;
	if (o->close)
		o->close(o->backend);
	free(o->id);
	free(o);
}

/* -------- run control -------- */

static void park_vcpus(struct machine *m)
{
	for (uint32_t i = 0; i < m->n_vcpus; i++)
		vcpu_ask(&m->vcpus[i], VCPU_REQ_STOP);
	mutex_lock(&m->vcpu_lock);
	for (uint32_t i = 0; i < m->n_vcpus; i++) {
		while (m->vcpus[i].thread_started && !m->vcpus[i].parked)
			pthread_cond_wait(&m->vcpu_parked, &m->vcpu_lock.m);
	}
	mutex_unlock(&m->vcpu_lock);
}

static void quiesce_devices(struct machine *m)
{
	struct device *d;

	if (m->quiesced)
		return;
	list_for_each (d, &m->devices, node) {
		if (d->realized && d->type->quiesce)
			d->type->quiesce(d);
	}
	m->quiesced = true;
}

static void resume_devices(struct machine *m)
{
	struct device *d;

	if (!m->quiesced)
		return;
	m->quiesced = false;
	list_for_each (d, &m->devices, node) {
		if (d->realized && d->type->resume)
			d->type->resume(d);
	}
}

int64_t machine_clock_ns(const struct machine *m)
{
	int64_t stopped = atomic_load(&m->clock_stopped_ns);

	return stopped >= 0 ? stopped : clock_mono_ns() - atomic_load(&m->clock_off_ns);
}

static void clock_stop(struct machine *m)
{
	atomic_store(&m->clock_stopped_ns, machine_clock_ns(m));
}

static void clock_start(struct machine *m)
{
	atomic_store(&m->clock_off_ns, clock_mono_ns() - atomic_load(&m->clock_stopped_ns));
	/* Pairs with the reader: the offset is there before anybody uses it. */
	atomic_store(&m->clock_stopped_ns, -1);
}

void machine_pause(struct machine *m)
{
	assert(thread_is(ROLE_MAIN));
	if (m->state != RUN_RUNNING)
		return;
	park_vcpus(m);
	clock_stop(m);
	m->clock_valid = m->accel->clock_get &&
			 m->accel->clock_get(m->vm, &m->paused_clock_ns) == 0;
	quiesce_devices(m);
	m->state = RUN_PAUSED;
	m->paused_for = PAUSED_USER;
}

/* The engine's chips at power-on. A machine that has not run yet has them so. */
static void reset_chips(struct machine *m)
{
	struct x86_chips_state s;
	int rc;

	if (m->state == RUN_PRELAUNCH || !m->accel || !m->accel->chips_get)
		return;
	rc = m->accel->chips_get(m->vm, &s);
	if (!rc) {
		x86_chips_state_reset(&s);
		rc = m->accel->chips_set(m->vm, &s);
	}
	if (rc)
		log_err("machine", "the interrupt chips cannot be reset: %s", strerror(-rc));
}

bool machine_reset(struct machine *m, struct error *err)
{
	bool was_running = m->state == RUN_RUNNING;
	struct device *d;

	assert(thread_is(ROLE_MAIN));
	if (m->state == RUN_INCOMING)
		return error_set(err, "the machine waits for its saved state");
	machine_pause(m);
	m->clock_valid = false; /* the guest starts anew: its clock may go on */
	if (m->state != RUN_PRELAUNCH)
		quiesce_devices(m);
	list_for_each (d, &m->devices, node) {
		if (d->realized && d->type->reset)
			d->type->reset(d);
	}
	reset_chips(m);
	if (m->board && m->board->reset && !m->board->reset(m, err))
		return false;
	for (uint32_t i = 0; i < m->n_vcpus; i++)
		m->vcpus[i].needs_reset = true;
	if (m->state == RUN_SHUTDOWN && !m->over)
		m->state = RUN_PAUSED;
	if (!was_running)
		m->paused_for = PAUSED_RESET;
	return !was_running || machine_resume(m, err);
}

bool machine_resume(struct machine *m, struct error *err)
{
	assert(thread_is(ROLE_MAIN));
	if (m->state == RUN_RUNNING)
		return true;
	if (m->state == RUN_SHUTDOWN)
		return error_set(err, "the machine has ended (%s): it must be reset first",
			machine_event_name(m->end));
	if (m->state == RUN_INCOMING)
		return error_set(err, "the machine waits for its saved state");
	if (m->before_resume && !m->before_resume(m, err))
		return false;
	if (m->state == RUN_PRELAUNCH && !machine_reset(m, err))
		return false;
	if (m->clock_valid && m->accel->clock_set)
		m->accel->clock_set(m->vm, m->paused_clock_ns);
	m->clock_valid = false;
	clock_start(m);
	resume_devices(m);
	m->state = RUN_RUNNING;
	for (uint32_t i = 0; i < m->n_vcpus; i++) {
		if (!m->vcpus[i].held && !vcpu_go(&m->vcpus[i], err)) {
			machine_pause(m);
			return false;
		}
	}
	return true;
}

bool machine_start_threads(struct machine *m, struct error *err)
{
	assert(thread_is(ROLE_MAIN) && m->state != RUN_RUNNING);
	for (uint32_t i = 0; i < m->n_vcpus; i++) {
		if (!vcpu_start_parked(&m->vcpus[i], err))
			return false;
	}
	return true;
}

/* -------- saved state -------- */

bool machine_wait_incoming(struct machine *m, struct error *err)
{
	struct device *d;

	assert(thread_is(ROLE_MAIN));
	if (m->state != RUN_PRELAUNCH)
		return error_set(err, "a saved state is loaded into a machine that has not run");
	quiesce_devices(m);
	list_for_each (d, &m->devices, node) {
		if (d->realized && d->type->reset)
			d->type->reset(d);
	}
	/* The engine's vCPUs are new, the state brings all of the rest. */
	for (uint32_t i = 0; i < m->n_vcpus; i++)
		m->vcpus[i].needs_reset = false;
	m->state = RUN_INCOMING;
	return true;
}

void machine_loaded(struct machine *m)
{
	assert(thread_is(ROLE_MAIN) && m->state == RUN_INCOMING);
	if (m->board && m->board->loaded)
		m->board->loaded(m);
	/* The guest's clock goes on from where it stood, however long that is ago. */
	m->clock_valid = m->accel->clock_get &&
			 m->accel->clock_get(m->vm, &m->paused_clock_ns) == 0;
	m->state = RUN_PAUSED;
}

bool machine_stop_to_save(struct machine *m, struct error *err)
{
	assert(thread_is(ROLE_MAIN));
	if (m->state == RUN_SHUTDOWN || m->state == RUN_INCOMING)
		return error_set(err, m->state == RUN_SHUTDOWN
					      ? "the machine has ended: there is nothing to save"
					      : "the machine waits for its own saved state");
	if (m->state == RUN_PRELAUNCH) {
		if (!machine_reset(m, err))
			return false;
		quiesce_devices(m);
		m->state = RUN_PAUSED;
	}
	machine_pause(m);
	return true;
}

void machine_stalled(struct machine *m)
{
	for (uint32_t i = 0; m->state == RUN_RUNNING && i < m->n_vcpus; i++)
		vcpu_ask(&m->vcpus[i], VCPU_REQ_STALLED);
}
