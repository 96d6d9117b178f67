// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio - the device core: status, features, queues' turns on the home loop, interrupts, reset,
 * saved state. The registers are virtio_pci.c's.
 *
 * Invariants, under dev.lock or a lane's lock:
 *  1. started is DRIVER_OK of status, unless a reset is under way.
 *  2. A queue is ready only while FEATURES_OK is set, the device isn't broken and no reset is under
 *     way: everything that pops or pushes looks at ready alone.
 *  3. status falls to 0 only when nothing is in flight: a driver that has read 0 may reuse its memory.
 *  4. The level of the INTx pin is set on the home loop or by a register access, so under dev.lock; a lane
 *     leaves its bit in isr and has the home loop look.
 */
#include "hw/virtio/virtio.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/trace.h"
#include "hw/virtio/virtio_int.h"

#define DRIVER_STATUS                                                                         \
	(VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_DRIVER_OK | VIRTIO_S_FEATURES_OK | \
		VIRTIO_S_FAILED)

const char *const virtio_notify_names[] = { "auto", "mmio", "pio", NULL };
const char *const virtio_no_legacy_names[] = { "auto", "on", NULL };
enum notify { NOTIFY_AUTO, NOTIFY_MMIO, NOTIFY_PIO };

/* -------- interrupts -------- */

/* On @l's loop under its lock, or under dev.lock. */
static void interrupt(struct virtio_lane *l, uint16_t vector, uint8_t isr)
{
	struct virtio_device *v = l->v;

	if (pci_msix_enabled(&v->pci)) {
		pci_msix_fire(&v->pci, vector, loop_in_thread(l->loop) ? l->loop : NULL);
		return;
	}
	atomic_fetch_or(&v->isr, isr);
	if (l == v->lanes)
		pci_intx_set(&v->pci, true);
	else
		loop_post(v->pci.dev.home, &l->attention); /* 4 */
}

static void config_interrupt(struct virtio_device *v)
{
	if (v->started)
		interrupt(v->lanes, v->msix_config, VIRTIO_ISR_CONFIG);
}

void virtio_notify(struct virtio_device *v, struct virtqueue *q)
{
	if (vq_should_signal(q))
		virtio_interrupt(v, q);
}

void virtio_interrupt(struct virtio_device *v, struct virtqueue *q)
{
	TRACE2(virtio, interrupt, q->index, q->msix_vector);
	interrupt(virtio_lane(v, q->index), q->msix_vector, VIRTIO_ISR_QUEUE);
}

void virtio_config_changed(struct virtio_device *v)
{
	v->config_generation++;
	config_interrupt(v);
}

/* -------- queues' turns -------- */

bool virtio_queue_live(const struct virtio_device *v, const struct virtqueue *q)
{
	return v->started && q->ready && !q->lent && !v->quiesced &&
	       !virtio_lane(v, q->index)->failed && pci_bus_master(&v->pci);
}

void virtio_changed(struct virtio_device *v)
{
	if (v->vclass->changed)
		v->vclass->changed(v);
}

/* True: there is more, but this turn is over. */
static bool queue_turn(struct virtio_device *v, struct virtqueue *q)
{
	bool more = false;

	q->budget = VIRTIO_BUDGET;
	for (;;) {
		uint32_t before = q->budget;

		q->drained = false;
		vq_set_notify(q, false);
		v->vclass->handle_queue(v, q->index);
		if (!virtio_queue_live(v, q))
			break;
		more = q->budget == 0;
		if (more || q->quiet || !vq_set_notify(q, true))
			break;
		if (q->budget == before) {
			/* The device has no room: it will say when. But if it saw the ring empty, the
			 * driver has added something since, and was told not to kick. A turn of its own:
			 * a guest that plays with its index must not keep us here. */
			more = q->drained;
			break;
		}
	}
	q->budget = UINT32_MAX;
	return more;
}

/* Must all lanes wait for a turn of @d's queue? Under one lane's lock. */
static bool is_exclusive(const struct virtio_doorbell *d)
{
	const struct virtio_class *c = d->v->vclass;

	return d->v->n_lanes > 1 && c->exclusive && c->exclusive(d->v, d->index);
}

/* On the home loop: a turn that all lanes have to wait for. */
static void exclusive_turn(void *opaque)
{
	struct virtio_doorbell *d = opaque;
	struct virtio_device *v = d->v;
	struct virtqueue *q = &v->vq[d->index];
	bool more = true;

	mutex_lock(&v->pci.dev.lock);
	virtio_hold(v);
	/* A new driver may have made it another queue since: then its own loop must see to it. */
	if (is_exclusive(d))
		more = virtio_queue_live(v, q) && queue_turn(v, q);
	virtio_let_go(v);
	mutex_unlock(&v->pci.dev.lock);
	if (more)
		loop_event_kick(&d->kick);
}

static void kicked(void *opaque)
{
	struct virtio_doorbell *d = opaque;
	struct virtio_device *v = d->v;
	struct virtqueue *q = &v->vq[d->index];
	bool more = false, alone;

	mutex_lock(d->lane->lock);
	TRACE1(virtio, kick, d->index);
	alone = is_exclusive(d);
	if (!alone && virtio_queue_live(v, q))
		more = queue_turn(v, q);
	mutex_unlock(d->lane->lock);
	if (more)
		loop_event_kick(&d->kick);
	if (alone)
		loop_post(v->pci.dev.home, &d->forward);
}

void virtio_kick(struct virtio_device *v, unsigned int q)
{
	loop_event_kick(&v->doorbells[q].kick);
}

void virtio_kick_live(struct virtio_device *v)
{
	for (uint32_t i = 0; i < v->n_queues; i++) {
		if (virtio_queue_live(v, &v->vq[i]))
			virtio_kick(v, i);
	}
}

/* -------- broken -------- */

static void queues_reset(struct virtio_device *v)
{
	for (uint32_t i = 0; i < v->n_queues; i++)
		vq_reset(&v->vq[i]);
}

/* Under dev.lock. */
static void break_down(struct virtio_device *v, const char *why)
{
	if (v->broken || v->resetting)
		return;
	log_guest("virtio", "%s: the guest's driver broke the protocol, device stopped: %s",
		device_name(&v->pci.dev), why);
	virtio_hold(v);
	v->broken = true;
	v->status |= VIRTIO_S_NEEDS_RESET;
	/* The interrupt's vectors survive: the config vector is the device's, not a queue's. */
	queues_reset(v);
	virtio_changed(v);
	virtio_let_go(v);
	config_interrupt(v);
}

void virtio_break(struct virtio_device *v, const char *fmt, ...)
{
	struct virtio_lane *l = virtio_lane_here(v);
	char why[sizeof(l->why)];
	va_list ap;

	if (v->broken || v->resetting || l->failed)
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (l == v->lanes) {
		break_down(v, why);
		return;
	}
	memcpy(l->why, why, sizeof(why));
	l->failed = true;
	loop_post(v->pci.dev.home, &l->attention);
}

void virtio_attention(void *lane)
{
	struct virtio_lane *l = lane;
	struct virtio_device *v = l->v;

	mutex_lock(&v->pci.dev.lock);
	virtio_hold(v);
	if (l->failed)
		break_down(v, l->why);
	if (v->resetting && !virtio_in_flight(v))
		virtio_reset_finish(v);
	if (atomic_load(&v->isr) && !pci_msix_enabled(&v->pci))
		pci_intx_set(&v->pci, true);
	virtio_let_go(v);
	mutex_unlock(&v->pci.dev.lock);
}

/* -------- reset -------- */

void virtio_reset_finish(struct virtio_device *v)
{
	v->resetting = false;
	v->status = 0;
	v->guest_features = 0;
	v->feature_select[0] = v->feature_select[1] = 0;
	v->queue_select = 0;
	v->msix_config = VIRTIO_NO_VECTOR;
}

static void reset_begin(struct virtio_device *v)
{
	v->generation++;
	v->started = false;
	v->broken = false;
	v->isr = 0;
	pci_intx_set(&v->pci, false);
	queues_reset(v);
	for (uint32_t i = 0; i < v->n_lanes; i++)
		v->lanes[i].failed = false;
	if (v->vclass->reset)
		v->vclass->reset(v);
	v->resetting = true;
	/* With a status of 0 what is in flight is the device's own (a flush), and a driver would not wait for it. */
	if (!v->status || !virtio_in_flight(v))
		virtio_reset_finish(v);
}

void virtio_reset(struct device *d)
{
	struct virtio_device *v = (struct virtio_device *)d;

	pci_device_reset(&v->pci);
	mutex_lock(&d->lock);
	virtio_hold(v);
	reset_begin(v);
	virtio_let_go(v);
	mutex_unlock(&d->lock);
}

/* -------- status and features -------- */

static bool features_acceptable(struct virtio_device *v, uint64_t f)
{
	if (f & ~v->host_features || !(f & BIT_ULL(VIRTIO_F_VERSION_1)))
		return false;
	return !v->vclass->features_ok || v->vclass->features_ok(v, f);
}

void virtio_set_driver_features(struct virtio_device *v, unsigned int word, uint32_t value)
{
	if (word > 1 || v->resetting || v->status & VIRTIO_S_FEATURES_OK)
		return;
	v->guest_features &= word ? UINT32_MAX : ~(uint64_t)UINT32_MAX;
	v->guest_features |= (uint64_t)value << 32 * word;
}

static void driver_ok(struct virtio_device *v)
{
	v->started = true;
	if (v->vclass->start)
		v->vclass->start(v);
	for (uint32_t i = 0; i < v->n_queues; i++) {
		if (virtio_queue_live(v, &v->vq[i]) && !vq_empty(&v->vq[i]))
			virtio_kick(v, i);
	}
}

/* Bits only come; 0 takes all away (virtio 1.2, 2.1.1). A step before its turn does not count. */
void virtio_set_status(struct virtio_device *v, uint8_t status)
{
	uint8_t set = (uint8_t)(status & DRIVER_STATUS & ~v->status);

	if (v->resetting)
		return;
	TRACE2(virtio, status, v->status, status);
	if (!status) {
		reset_begin(v);
		return;
	}
	if (set & VIRTIO_S_FEATURES_OK && (!((v->status | set) & VIRTIO_S_DRIVER) ||
						  !features_acceptable(v, v->guest_features)))
		set &= (uint8_t)~VIRTIO_S_FEATURES_OK;
	if (set & VIRTIO_S_DRIVER_OK && !((v->status | set) & VIRTIO_S_FEATURES_OK))
		set &= (uint8_t)~VIRTIO_S_DRIVER_OK;
	v->status |= set;
	if (set & VIRTIO_S_DRIVER_OK)
		driver_ok(v);
}

bool virtio_queue_writable(const struct virtio_device *v, const struct virtqueue *q)
{
	return !q->ready && !v->resetting && !v->broken && v->status & VIRTIO_S_FEATURES_OK;
}

static void queue_layout(const struct virtio_device *v, struct virtqueue *q)
{
	q->packed = virtio_has(v, VIRTIO_F_RING_PACKED);
	q->event_idx = virtio_has(v, VIRTIO_F_EVENT_IDX);
	q->indirect = virtio_has(v, VIRTIO_F_INDIRECT_DESC);
}

void virtio_queue_enable(struct virtio_device *v, struct virtqueue *q)
{
	int rc;

	if (!virtio_queue_writable(v, q))
		return;
	queue_layout(v, q);
	rc = vq_enable(q);
	if (rc < 0)
		virtio_break(v, "queue %u of %u entries at 0x%llx, 0x%llx, 0x%llx: %s", q->index,
			q->size, (unsigned long long)q->desc, (unsigned long long)q->avail,
			(unsigned long long)q->used, strerror(-rc));
	else if (virtio_queue_live(v, q) && !vq_empty(q))
		virtio_kick(v, q->index);
	virtio_changed(v);
}

/* -------- stop and go on -------- */

void virtio_quiesce(struct device *d)
{
	virtio_lanes_quiesce((struct virtio_device *)d);
}

void virtio_resume(struct device *d)
{
	struct virtio_device *v = (struct virtio_device *)d;

	mutex_lock(&d->lock);
	virtio_hold(v);
	v->quiesced = false;
	virtio_kick_live(v);
	virtio_let_go(v);
	mutex_unlock(&d->lock);
}

/* -------- making and ending -------- */

static bool make_queues(struct virtio_device *v, uint16_t size, uint32_t n, struct error *err)
{
	v->vq = calloc(n, sizeof(*v->vq));
	v->doorbells = calloc(n, sizeof(*v->doorbells));
	if (!v->vq || !v->doorbells)
		return error_set(err, "out of memory for %u queues", n);
	for (uint32_t i = 0; i < n; i++) {
		struct virtio_doorbell *d = &v->doorbells[i];
		int rc = loop_event_init(&d->kick, kicked, d);

		if (rc < 0)
			return error_set_errno(err, rc, "no event descriptor for queue %u", i);
		vq_init(&v->vq[i], &v->pci.dev.machine->mem, (uint16_t)i, size);
		d->v = v;
		d->index = (uint16_t)i;
		d->lane = &v->lanes[(v->vclass->lane ? v->vclass->lane(v, i) : 0) % v->n_lanes];
		d->event.event = &d->kick;
		loop_defer_init(&d->forward, exclusive_turn, d);
		v->n_queues++; /* as many as virtio_fini has to undo */
	}
	return virtio_lanes_watch(v, err);
}

/*
 * A port is never the dearer doorbell: AMD's port intercept tells everything about the access, while a
 * memory write has to be decoded; with EPT a doorbell of any length is found by its address alone, as
 * cheap as a port; in software they are the same. And a machine must look the same everywhere, as it
 * may be moved.
 */
static bool use_pio(const struct virtio_device *v, int notify)
{
	/* A root port passes no I/O on. */
	return pci_bus_is_root(v->pci.dev.bus) && notify != NOTIFY_MMIO;
}

static void offer_features(struct virtio_device *v, const struct virtio_config *cfg)
{
	v->host_features = v->vclass->features ? v->vclass->features(v) : 0;
	v->host_features |= BIT_ULL(VIRTIO_F_VERSION_1);
	if (cfg->packed)
		v->host_features |= BIT_ULL(VIRTIO_F_RING_PACKED);
	if (cfg->event_idx)
		v->host_features |= BIT_ULL(VIRTIO_F_EVENT_IDX);
	if (cfg->indirect)
		v->host_features |= BIT_ULL(VIRTIO_F_INDIRECT_DESC);
}

bool virtio_init(struct virtio_device *v, const struct virtio_class *c,
	const struct virtio_config *cfg, uint32_t n_queues, struct error *err)
{
	assert(n_queues >= 1 && n_queues <= VIRTIO_QUEUES_MAX && c->handle_queue);
	assert(c->config_size <= sizeof(v->config) || c->config_read);
	if (cfg->queue_size & (cfg->queue_size - 1))
		return error_usage(err, "queue-size %u: must be a power of two", cfg->queue_size);
	if (cfg->notify == NOTIFY_PIO && !pci_bus_is_root(v->pci.dev.bus))
		return error_usage(err, "notify=pio: behind a root port there are no I/O ports");
	v->vclass = c;
	v->n_queues = 0;
	v->msix_config = VIRTIO_NO_VECTOR;
	offer_features(v, cfg);
	if (!virtio_lanes_init(v, err) ||
		!make_queues(v, (uint16_t)cfg->queue_size, n_queues, err) ||
		!virtio_pci_init(v, cfg->addr, use_pio(v, cfg->notify), err)) {
		virtio_fini(v);
		return false;
	}
	return true;
}

void virtio_leave(struct virtio_device *v)
{
	virtio_lanes_quiesce(v);
	/* First the loops' end, so that no interrupt is fired any more, then the guest's. */
	virtio_lanes_unwatch(v);
	pci_device_fini(&v->pci);
}

void virtio_fini(struct virtio_device *v)
{
	if (!v->vclass)
		return;
	virtio_leave(v);
	for (uint32_t i = 0; i < v->n_queues; i++) {
		vq_fini(&v->vq[i]);
		loop_event_fini(&v->doorbells[i].kick);
	}
	free(v->vq);
	free(v->doorbells);
	free(v->saved.queues.items);
	v->vq = NULL;
	v->doorbells = NULL;
	v->saved.queues.items = NULL;
	v->saved.queues.len = 0;
	v->n_queues = 0;
	virtio_lanes_fini(v);
	v->vclass = NULL;
}

/* -------- saved state -------- */

static const struct field queue_fields[] = {
	FIELD_U64(struct virtio_queue_saved, desc, "desc", .tag = 1),
	FIELD_U64(struct virtio_queue_saved, avail, "avail", .tag = 2),
	FIELD_U64(struct virtio_queue_saved, used, "used", .tag = 3),
	FIELD_U16(struct virtio_queue_saved, size, "size", .tag = 4),
	FIELD_U16(struct virtio_queue_saved, msix_vector, "vector", .tag = 5),
	FIELD_U16(struct virtio_queue_saved, last_avail, "last-avail", .tag = 6),
	FIELD_U16(struct virtio_queue_saved, used_idx, "used-idx", .tag = 7),
	FIELD_BOOL(struct virtio_queue_saved, ready, "ready", .tag = 8),
};
static const struct field_table queue_table = FIELD_TABLE(
	"virtqueue", struct virtio_queue_saved, queue_fields);
static const struct field saved_fields[] = {
	FIELD_U64(struct virtio_saved, guest_features, "features", .tag = 1),
	FIELD_U32(struct virtio_saved, device_feature_select, "device-feature-select", .tag = 2),
	FIELD_U32(struct virtio_saved, driver_feature_select, "driver-feature-select", .tag = 3),
	FIELD_U16(struct virtio_saved, queue_select, "queue-select", .tag = 4),
	FIELD_U16(struct virtio_saved, msix_config, "config-vector", .tag = 5),
	FIELD_U8(struct virtio_saved, status, "status", .tag = 6),
	FIELD_U8(struct virtio_saved, config_generation, "config-generation", .tag = 7),
	FIELD_U8(struct virtio_saved, isr, "isr", .tag = 8, .max = 3),
	FIELD_BOOL(struct virtio_saved, broken, "broken", .tag = 9),
	FIELD_LIST(struct virtio_saved, queues, "queues", FT_STRUCT, VIRTIO_QUEUES_MAX,
		.sub = &queue_table, .tag = 10),
};
static const struct field_table saved_table = FIELD_TABLE(
	"virtio-registers", struct virtio_saved, saved_fields);
static const struct field device_fields[] = {
	FIELD_STRUCT(struct virtio_device, pci, "pci", &pci_device_state, .tag = 1),
	FIELD_STRUCT(struct virtio_device, saved, "registers", &saved_table, .tag = 2),
};
const struct field_table virtio_device_state = FIELD_TABLE(
	"virtio-device", struct virtio_device, device_fields);

static void save_queues(struct virtio_device *v)
{
	struct virtio_saved *s = &v->saved;

	if (s->queues.len != v->n_queues) {
		free(s->queues.items);
		s->queues.items = calloc(v->n_queues, sizeof(*s->queues.items));
		s->queues.len = s->queues.items ? v->n_queues : 0;
	}
	for (size_t i = 0; i < s->queues.len; i++) {
		const struct virtqueue *q = &v->vq[i];

		s->queues.items[i] = (struct virtio_queue_saved){ .desc = q->desc,
			.avail = q->avail,
			.used = q->used,
			.size = q->size,
			.msix_vector = q->msix_vector,
			.last_avail = q->last_avail,
			.used_idx = q->used_idx,
			.ready = q->ready };
	}
}

void virtio_pre_save(struct device *d)
{
	struct virtio_device *v = (struct virtio_device *)d;
	struct virtio_saved *s = &v->saved;

	pci_pre_save(&v->pci);
	s->guest_features = v->guest_features;
	s->device_feature_select = v->feature_select[0];
	s->driver_feature_select = v->feature_select[1];
	s->queue_select = v->queue_select;
	s->msix_config = v->msix_config;
	s->status = v->status;
	s->config_generation = v->config_generation;
	s->isr = v->isr;
	s->broken = v->broken;
	save_queues(v);
}

static bool check_saved(struct virtio_device *v, struct error *err)
{
	const struct virtio_saved *s = &v->saved;
	bool features_ok = s->status & VIRTIO_S_FEATURES_OK;

	if (s->status & ~(DRIVER_STATUS | VIRTIO_S_NEEDS_RESET) ||
		(s->status & VIRTIO_S_DRIVER_OK && !features_ok) ||
		s->broken != !!(s->status & VIRTIO_S_NEEDS_RESET))
		return error_set(err, "saved device status 0x%x cannot be", s->status);
	if (s->queues.len != v->n_queues)
		return error_set(err, "saved state has %zu queues, the device has %u",
			s->queues.len, v->n_queues);
	if (features_ok && !features_acceptable(v, s->guest_features)) {
		uint64_t lacking = s->guest_features & ~v->host_features;

		return error_set(err,
			"the guest's driver uses features (bits %#llx) that this device does not "
			"offer: give it the options and the kind of back end that the saved one "
			"had",
			(unsigned long long)(lacking ?: s->guest_features));
	}
	return true;
}

static bool load_queue(struct virtio_device *v, struct virtqueue *q, struct error *err)
{
	const struct virtio_queue_saved *s = &v->saved.queues.items[q->index];
	int rc = 0;

	vq_reset(q);
	queue_layout(v, q);
	q->desc = s->desc;
	q->avail = s->avail;
	q->used = s->used;
	q->size = MIN(s->size, q->max_size);
	q->msix_vector = s->msix_vector < v->pci.msix.n ? s->msix_vector : VIRTIO_NO_VECTOR;
	q->last_avail = s->last_avail;
	q->used_idx = s->used_idx;
	if (!s->ready)
		return true;
	if (v->broken || !(v->status & VIRTIO_S_FEATURES_OK) || s->size > q->max_size)
		rc = -EINVAL;
	rc = rc ?: vq_restore(q);
	return !rc || error_set_errno(err, rc, "saved queue %u cannot be", q->index);
}

bool virtio_post_load(struct device *d, struct error *err)
{
	struct virtio_device *v = (struct virtio_device *)d;
	const struct virtio_saved *s = &v->saved;
	bool ok = true;

	/* What differs in the registers of its PCI function follows from what check_saved() can name. */
	if (!check_saved(v, err) || !pci_post_load(&v->pci, err))
		return false;
	mutex_lock(&d->lock);
	virtio_hold(v);
	v->generation++;
	v->resetting = false;
	v->guest_features = s->guest_features;
	v->feature_select[0] = s->device_feature_select;
	v->feature_select[1] = s->driver_feature_select;
	v->queue_select = s->queue_select;
	v->msix_config = s->msix_config < v->pci.msix.n ? s->msix_config : VIRTIO_NO_VECTOR;
	v->status = s->status;
	v->config_generation = s->config_generation;
	v->isr = s->isr;
	v->broken = s->broken;
	v->started = s->status & VIRTIO_S_DRIVER_OK;
	for (uint32_t i = 0; i < v->n_lanes; i++)
		v->lanes[i].failed = false;
	for (uint32_t i = 0; ok && i < v->n_queues; i++)
		ok = load_queue(v, &v->vq[i], err);
	pci_intx_set(&v->pci, v->isr && !pci_msix_enabled(&v->pci));
	virtio_let_go(v);
	mutex_unlock(&d->lock);
	return ok;
}
