// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A ring's way: vq_lend() and all that the kernel must know (size, position, addresses), then the eventfds.
 * Back: the kernel's position, and nobody else's eventfds any more.
 *
 * 1. The doorbell's eventfd is watched either by the home loop or by the kernel: each watcher costs a wake-up a
 *    kick. Nobody ever reads it, so a kick that came in between is seen by the new watcher.
 * 2. The kernel writes to the irqfd of the queue's vector (pci_msix_lend), which holds back what comes while the
 *    vector is masked. Without MSI-X, or where the engine has no irqfds, it writes to an eventfd of ours.
 * 3. The kernel takes the used ring's position from guest memory, which its driver may have changed: afterwards
 *    ours is the position of the available ring, as all that was taken has been given back.
 */
#include "hw/virtio/vhost.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/log.h"
#include "base/trace.h"

static int real_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

int (*vhost_ioctl)(int fd, unsigned long request, void *arg) = real_ioctl;

/* -------- memory -------- */

static int map_added(struct as_listener *l, const struct as_range *r)
{
	struct vhost_mem *m = CONTAINER_OF(l, struct vhost_mem, listener);

	if (r->kind == AS_RAM)
		loop_post(m->v->pci.dev.home, &m->changed);
	return 0;
}

static void map_removed(struct as_listener *l, const struct as_range *r)
{
	map_added(l, r);
}

bool vhost_mem_init(struct vhost_mem *m, struct virtio_device *v, struct error *err)
{
	*m = (struct vhost_mem){ .v = v,
		.listener = { .added = map_added, .removed = map_removed } };
	m->table = calloc(1, sizeof(*m->table) + VHOST_REGIONS_MAX * sizeof(*m->table->regions));
	return m->table || error_set(err, "out of memory");
}

void vhost_mem_listen(struct vhost_mem *m, void (*changed)(void *opaque))
{
	loop_defer_init(&m->changed, changed, m->v);
	m->listening = as_listener_add(&m->v->pci.dev.machine->mem, &m->listener) == 0;
	assert(m->listening); /* ours refuses nothing */
}

static void cancel(void *opaque)
{
	struct vhost_mem *m = opaque;

	loop_defer_cancel(m->v->pci.dev.home, &m->changed);
}

void vhost_mem_drop(struct vhost_mem *old)
{
	for (uint32_t i = 0; old->table && i < old->table->nregions; i++)
		ram_block_unref(old->ram[i]);
	free(old->table);
	old->table = NULL;
}

void vhost_mem_fini(struct vhost_mem *m)
{
	if (m->listening) {
		as_listener_del(&m->v->pci.dev.machine->mem, &m->listener);
		loop_call(m->v->pci.dev.home, cancel, m);
	}
	vhost_mem_drop(m);
	m->listening = false;
}

/* One more piece, or a longer last one. */
static int mem_add(struct vhost_mem *m, const struct as_range *r)
{
	struct vhost_memory *t = m->table;
	struct vhost_memory_region *last = t->nregions ? &t->regions[t->nregions - 1] : NULL;

	if (ram_dirty_wanted(r->ram))
		return -EBUSY;
	if (last && m->ram[t->nregions - 1] == r->ram &&
		last->guest_phys_addr + last->memory_size == r->start &&
		last->userspace_addr + last->memory_size == (uintptr_t)r->host) {
		last->memory_size += r->size;
		return 0;
	}
	if (t->nregions == VHOST_REGIONS_MAX)
		return -E2BIG;
	m->ram[t->nregions] = ram_block_ref(r->ram);
	t->regions[t->nregions++] = (struct vhost_memory_region){
		.guest_phys_addr = r->start,
		.memory_size = r->size,
		.userspace_addr = (uintptr_t)r->host,
	};
	return 0;
}

static bool same(const struct vhost_memory *a, const struct vhost_memory *b)
{
	return a->nregions == b->nregions &&
	       !memcmp(a->regions, b->regions, a->nregions * sizeof(*a->regions));
}

int vhost_mem_read(struct vhost_mem *m, bool *differs, struct vhost_mem *old)
{
	const struct as_snapshot *s;
	int rc = 0;

	*old = (struct vhost_mem){ .table = m->table };
	memcpy(old->ram, m->ram, sizeof(old->ram));
	m->table = calloc(1, sizeof(*m->table) + VHOST_REGIONS_MAX * sizeof(*m->table->regions));
	if (!m->table) {
		m->table = old->table;
		old->table = NULL;
		return -ENOMEM;
	}
	as_settle(&m->v->pci.dev.machine->mem);
	as_read_begin();
	s = atomic_load_explicit(&m->v->pci.dev.machine->mem.current, memory_order_seq_cst);
	for (uint32_t i = 0; !rc && i < s->n; i++)
		rc = s->r[i].kind == AS_RAM ? mem_add(m, &s->r[i]) : 0;
	as_read_end();
	*differs = !same(m->table, old->table);
	return rc;
}

/* -------- eventfds of our own -------- */

static void on_call(void *opaque)
{
	struct vhost_ring *r = opaque;
	struct virtio_device *v = r->h->v;

	mutex_lock(&v->pci.dev.lock);
	if (r->q->ready && v->started)
		virtio_interrupt(v, r->q);
	mutex_unlock(&v->pci.dev.lock);
}

static void on_err(void *opaque)
{
	struct vhost_ring *r = opaque;
	struct virtio_device *v = r->h->v;
	uint64_t count;

	if (read(r->err.fd, &count, sizeof(count)) < 0)
		return; /* the watch has just begun */
	mutex_lock(&v->pci.dev.lock);
	if (r->h->running && r->h->generation == v->generation)
		virtio_break(v, "queue %u is damaged", r->q->index);
	mutex_unlock(&v->pci.dev.lock);
}

static bool ring_make(struct vhost_ring *r, struct error *err)
{
	int rc = loop_event_init(&r->call, on_call, r);

	if (!rc) {
		rc = loop_event_init(&r->err, on_err, r);
		if (rc)
			loop_event_fini(&r->call);
	}
	r->made = !rc;
	return r->made || error_set_errno(err, rc, "no event descriptor for vhost");
}

bool vhost_init(struct vhost *h, struct virtio_device *v, int fd, unsigned int first,
	unsigned int n, struct error *err)
{
	assert(v->n_lanes == 1);
	*h = (struct vhost){ .v = v, .fd = fd, .n = n };
	for (unsigned int i = 0; i < n; i++) {
		struct vhost_ring *r = &h->ring[i];

		r->h = h;
		r->q = &v->vq[first + i];
		r->lent = VIRTIO_NO_VECTOR;
		if (!ring_make(r, err))
			return false;
	}
	return true;
}

void vhost_fini(struct vhost *h)
{
	for (unsigned int i = 0; i < h->n; i++) {
		if (!h->ring[i].made)
			continue;
		loop_event_fini(&h->ring[i].call);
		loop_event_fini(&h->ring[i].err);
	}
	h->n = 0;
}

/* -------- a ring -------- */

static int ring_state(struct vhost_ring *r, unsigned long request, uint32_t *num)
{
	struct vhost_vring_state s = { .index = (unsigned int)(r - r->h->ring), .num = *num };
	int rc = vhost_ioctl(r->h->fd, request, &s);

	if (!rc)
		*num = s.num;
	return rc;
}

static int ring_file(struct vhost_ring *r, unsigned long request, int fd)
{
	struct vhost_vring_file f = { .index = (unsigned int)(r - r->h->ring), .fd = fd };

	return vhost_ioctl(r->h->fd, request, &f);
}

static int ring_addresses(struct vhost_ring *r)
{
	struct vhost_vring_addr a = {
		.index = (unsigned int)(r - r->h->ring),
		.desc_user_addr = (uintptr_t)r->q->desc_area.host,
		.used_user_addr = (uintptr_t)r->q->used_area.host,
		.avail_user_addr = (uintptr_t)r->q->avail_area.host,
		.log_guest_addr = r->q->used,
	};

	return vhost_ioctl(r->h->fd, VHOST_SET_VRING_ADDR, &a);
}

/* The vector's route if there is one that can be written to, and ours otherwise. */
static int ring_set_call(struct vhost_ring *r)
{
	struct pci_device *pci = &r->h->v->pci;
	uint16_t vector = r->q->msix_vector;
	int fd = pci_msix_lend(pci, vector), rc;

	if (fd >= 0 && vector == r->lent) {
		pci_msix_release(pci, vector); /* it is lent already */
		return 0;
	}
	rc = ring_file(r, VHOST_SET_VRING_CALL, fd >= 0 ? fd : r->call.fd);
	if (rc) {
		if (fd >= 0)
			pci_msix_release(pci, vector);
		return rc;
	}
	if (r->lent != VIRTIO_NO_VECTOR) {
		pci_msix_release(pci, r->lent);
		loop_event_kick(&r->call); /* it may have held something back */
	}
	r->lent = fd >= 0 ? vector : VIRTIO_NO_VECTOR;
	return 0;
}

static int ring_start(struct vhost_ring *r)
{
	struct virtio_device *v = r->h->v;
	uint32_t size = r->q->size, position = r->q->last_avail;

	if (r->q->packed) /* the position of the used ring, too */
		position |= (uint32_t)r->q->used_idx << 16;
	return ring_state(r, VHOST_SET_VRING_NUM, &size)
		       ?: ring_state(r, VHOST_SET_VRING_BASE, &position)
		       ?: ring_addresses(r)
		       ?: loop_event_add(v->pci.dev.home, &r->call)
		       ?: loop_event_add(v->pci.dev.home, &r->err)
		       ?: ring_file(r, VHOST_SET_VRING_ERR, r->err.fd)
		       ?: ring_set_call(r)
		       ?: ring_file(r, VHOST_SET_VRING_KICK, v->doorbells[r->q->index].kick.fd);
}

/* Also half a start. */
static void ring_stop(struct vhost_ring *r)
{
	struct virtio_device *v = r->h->v;

	ring_file(r, VHOST_SET_VRING_KICK, VHOST_FILE_UNBIND);
	ring_file(r, VHOST_SET_VRING_CALL, VHOST_FILE_UNBIND);
	ring_file(r, VHOST_SET_VRING_ERR, VHOST_FILE_UNBIND);
	loop_event_del(&r->call);
	loop_event_del(&r->err);
	if (r->lent != VIRTIO_NO_VECTOR)
		pci_msix_release(&v->pci, r->lent);
	r->lent = VIRTIO_NO_VECTOR;
}

/* -------- all rings -------- */

int vhost_set_memory(struct vhost *h, const struct vhost_mem *m)
{
	return vhost_ioctl(h->fd, VHOST_SET_MEM_TABLE, m->table);
}

int vhost_start(struct vhost *h, uint64_t features, const struct vhost_mem *m)
{
	int rc = vhost_ioctl(h->fd, VHOST_SET_FEATURES, &features) ?: vhost_set_memory(h, m);

	for (unsigned int i = 0; !rc && i < h->n; i++) {
		rc = ring_start(&h->ring[i]);
		for (unsigned int k = i + 1; rc && k; k--)
			ring_stop(&h->ring[k - 1]);
	}
	if (rc)
		return rc;
	for (unsigned int i = 0; i < h->n; i++) {
		vq_lend(h->ring[i].q);
		loop_event_del(&h->v->doorbells[h->ring[i].q->index].kick); /* 1 */
	}
	h->running = true;
	h->generation = h->v->generation;
	virtio_request_begin(h->v, NULL);
	TRACE2(vhost, start, h->ring[0].q->index, h->n);
	return 0;
}

void vhost_go(struct vhost *h)
{
	for (unsigned int i = 0; i < h->n; i++)
		virtio_kick(h->v, h->ring[i].q->index);
}

/* 3. A ring of an earlier life of the device is gone already. */
static void take_back(struct vhost_ring *r)
{
	uint32_t position = r->q->last_avail;
	int rc = ring_state(r, VHOST_GET_VRING_BASE, &position);

	if (rc)
		virtio_break(r->h->v, "queue %u: the host's kernel keeps it (%s)", r->q->index,
			strerror(-rc));
	else if (r->q->ready && r->q->lent && r->h->generation == r->h->v->generation)
		vq_take_back(r->q, (uint16_t)position);
}

void vhost_stop(struct vhost *h)
{
	struct virtio_device *v = h->v;

	for (unsigned int i = 0; i < h->n; i++) {
		struct vhost_ring *r = &h->ring[i];

		take_back(r);
		ring_stop(r);
		if (loop_event_add(v->pci.dev.home, &v->doorbells[r->q->index].kick))
			virtio_break(v, "queue %u cannot be watched any more", r->q->index);
	}
	h->running = false;
	TRACE2(vhost, stop, h->ring[0].q->index, h->n);
	virtio_request_done(v, NULL);
}

void vhost_update_calls(struct vhost *h)
{
	for (unsigned int i = 0; i < h->n; i++) {
		int rc = ring_set_call(&h->ring[i]);

		if (rc)
			log_debug("vhost", "queue %u: VHOST_SET_VRING_CALL: %s",
				h->ring[i].q->index, strerror(-rc));
	}
}
