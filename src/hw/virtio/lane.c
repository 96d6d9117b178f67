// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lane - the loops that a device's queues are worked on: choosing them, having them stand still, counting
 * what is in flight on each.
 *
 * Locks: dev.lock is lane 0's; whoever has it may take the others', in their order, and nobody takes
 * dev.lock while he has another lane's. So code on such a lane posts to the home loop what concerns the
 * device.
 */
#include <assert.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "hw/virtio/virtio_int.h"

struct virtio_lane *virtio_lane_here(const struct virtio_device *v)
{
	for (uint32_t i = 1; i < v->n_lanes; i++) {
		if (loop_in_thread(v->lanes[i].loop))
			return &v->lanes[i];
	}
	return v->lanes;
}

void virtio_hold(struct virtio_device *v) NO_THREAD_SAFETY
{
	if (v->held++)
		return;
	for (uint32_t i = 1; i < v->n_lanes; i++)
		mutex_lock(v->lanes[i].lock);
}

void virtio_let_go(struct virtio_device *v) NO_THREAD_SAFETY
{
	assert(v->held);
	if (--v->held)
		return;
	for (uint32_t i = v->n_lanes; i > 1; i--)
		mutex_unlock(v->lanes[i - 1].lock);
}

/* -------- requests -------- */

static struct virtio_lane *lane_of(const struct virtio_device *v, const struct virtqueue *q)
{
	return q ? virtio_lane(v, q->index) : v->lanes;
}

uint32_t virtio_in_flight(const struct virtio_device *v)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->n_lanes; i++)
		n += v->lanes[i].in_flight;
	return n;
}

bool virtio_request_valid(
	const struct virtio_device *v, const struct virtqueue *q, uint32_t generation)
{
	return generation == v->generation && !v->broken && !lane_of(v, q)->failed;
}

void virtio_request_begin(struct virtio_device *v, const struct virtqueue *q)
{
	lane_of(v, q)->in_flight++;
}

void virtio_request_done(struct virtio_device *v, const struct virtqueue *q)
{
	struct virtio_lane *l = lane_of(v, q);

	assert(l->in_flight);
	if (--l->in_flight)
		return;
	pthread_cond_broadcast(&l->idle);
	if (!v->resetting)
		return;
	if (l != v->lanes) {
		loop_post(v->pci.dev.home, &l->attention);
		return;
	}
	virtio_hold(v);
	if (!virtio_in_flight(v))
		virtio_reset_finish(v);
	virtio_let_go(v);
}

static void nothing(void *opaque)
{
}

/* The lane's lock is dropped meanwhile. */
static void wait_requests(struct virtio_lane *l)
{
	mutex_lock(l->lock);
	while (l->in_flight) {
		if (!loop_in_thread(l->loop)) {
			pthread_cond_wait(&l->idle, &l->lock->m);
			continue;
		}
		mutex_unlock(l->lock);
		loop_run_once(l->loop, -1);
		mutex_lock(l->lock);
	}
	mutex_unlock(l->lock);
}

static bool any_in_flight(struct virtio_device *v)
{
	bool any;

	mutex_lock(&v->pci.dev.lock);
	virtio_hold(v);
	any = virtio_in_flight(v);
	virtio_let_go(v);
	mutex_unlock(&v->pci.dev.lock);
	return any;
}

void virtio_lanes_quiesce(struct virtio_device *v)
{
	mutex_lock(&v->pci.dev.lock);
	virtio_hold(v);
	v->quiesced = true;
	virtio_let_go(v);
	mutex_unlock(&v->pci.dev.lock);
	do {
		for (uint32_t i = 0; i < v->n_lanes; i++)
			wait_requests(&v->lanes[i]);
		/* A turn that was running is over after the first, with what it posted (a device may
		 * defer its interrupts, or a flush, which is one more request); after the second its
		 * interrupts have reached the kernel. The home loop comes last: others post to it. */
		for (uint32_t i = v->n_lanes; i > 0; i--) {
			loop_call(v->lanes[i - 1].loop, nothing, NULL);
			loop_call(v->lanes[i - 1].loop, nothing, NULL);
		}
	} while (any_in_flight(v));
}

/* -------- choosing -------- */

uint32_t virtio_host_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : (uint32_t)MAX(CPU_COUNT(&set), 1);
}

static void lane_add(struct virtio_device *v, struct loop *l)
{
	v->loops[v->n_lanes++] = l;
}

/* NAME or NAME:NAME... */
static bool take_named(struct virtio_device *v, const char *names, uint32_t want, struct error *err)
{
	AUTO_FREE char *copy = strdup(names);
	char *rest = copy, *name;

	while (rest && (name = strsep(&rest, ":"))) {
		struct loop *l;

		if (!*name)
			return error_usage(err, "iothread=%s: a name is missing", names);
		if (v->n_lanes == want)
			return error_usage(err,
				"iothread=%s: this device has use for %u, not more (queues)", names,
				want);
		l = machine_io_loop(v->pci.dev.machine, name, err);
		if (!l)
			return false;
		for (uint32_t i = 0; i < v->n_lanes; i++) {
			if (v->loops[i] == l)
				return error_usage(
					err, "iothread=%s: '%s' is named twice", names, name);
		}
		lane_add(v, l);
	}
	return copy || error_set(err, "out of memory");
}

/* The shared ones. A machine that has been started makes no more of them on its own: it is confined, and what
 * they use best (io_uring) cannot be had any more. */
static bool take_shared(struct virtio_device *v, uint32_t want, struct error *err)
{
	struct machine *m = v->pci.dev.machine;

	want = MIN(want, virtio_host_cpus());
	for (uint32_t i = 0; i < want; i++) {
		char name[16];
		struct loop *l;

		snprintf(name, sizeof(name), "io-%u", i);
		if (i && m->state != RUN_PRELAUNCH && !machine_has_io_loop(m, name))
			break;
		l = machine_io_loop(m, i ? name : NULL, err);
		if (!l)
			return false;
		lane_add(v, l);
	}
	return true;
}

bool virtio_choose_loops(
	struct virtio_device *v, const struct virtio_config *cfg, uint32_t want, struct error *err)
{
	want = MIN(MAX(want, 1u), VIRTIO_LANES_MAX);
	v->n_lanes = 0;
	if (!(cfg->iothread ? take_named(v, cfg->iothread, want, err) : take_shared(v, want, err)))
		return false;
	v->pci.dev.home = v->loops[0];
	return true;
}

/* -------- making and ending -------- */

bool virtio_lanes_init(struct virtio_device *v, struct error *err)
{
	if (!v->n_lanes)
		lane_add(v, v->pci.dev.home);
	v->lanes = calloc(v->n_lanes, sizeof(*v->lanes));
	if (!v->lanes) {
		v->n_lanes = 0;
		return error_set(err, "out of memory");
	}
	v->held = 0;
	for (uint32_t i = 0; i < v->n_lanes; i++) {
		struct virtio_lane *l = &v->lanes[i];

		l->v = v;
		l->loop = v->loops[i];
		loop_use(l->loop);
		mutex_init(&l->own);
		l->lock = i ? &l->own : &v->pci.dev.lock;
		pthread_cond_init(&l->idle, NULL);
		loop_defer_init(&l->attention, virtio_attention, l);
	}
	return true;
}

void virtio_lanes_fini(struct virtio_device *v)
{
	for (uint32_t i = 0; i < v->n_lanes; i++) {
		loop_unuse(v->lanes[i].loop);
		mutex_fini(&v->lanes[i].own);
		pthread_cond_destroy(&v->lanes[i].idle);
	}
	free(v->lanes);
	v->lanes = NULL;
	v->n_lanes = 0;
}

struct watch_call {
	struct virtio_lane *lane;
	int rc;
};

static void lane_watch(void *opaque)
{
	struct watch_call *c = opaque;
	struct virtio_device *v = c->lane->v;

	for (uint32_t i = 0; i < v->n_queues && c->rc == 0; i++) {
		if (v->doorbells[i].lane == c->lane)
			c->rc = loop_event_add(c->lane->loop, &v->doorbells[i].kick);
	}
}

static void lane_unwatch(void *opaque)
{
	struct virtio_lane *l = opaque;
	struct virtio_device *v = l->v;

	for (uint32_t i = 0; i < v->n_queues; i++) {
		if (v->doorbells[i].lane == l)
			loop_event_del(&v->doorbells[i].kick);
	}
	loop_flush(l->loop);
}

static void home_forget(void *opaque)
{
	struct virtio_device *v = opaque;

	for (uint32_t i = 0; i < v->n_lanes; i++)
		loop_defer_cancel(v->pci.dev.home, &v->lanes[i].attention);
	for (uint32_t i = 0; i < v->n_queues; i++)
		loop_defer_cancel(v->pci.dev.home, &v->doorbells[i].forward);
}

bool virtio_lanes_watch(struct virtio_device *v, struct error *err)
{
	for (uint32_t i = 0; i < v->n_lanes; i++) {
		struct watch_call c = { .lane = &v->lanes[i] };

		loop_call(v->lanes[i].loop, lane_watch, &c);
		if (c.rc)
			return error_set_errno(err, c.rc, "the queues' events cannot be watched");
	}
	return true;
}

void virtio_lanes_unwatch(struct virtio_device *v)
{
	for (uint32_t i = 0; i < v->n_lanes; i++)
		loop_call(v->lanes[i].loop, lane_unwatch, &v->lanes[i]);
	loop_call(v->pci.dev.home, home_forget, v);
}
