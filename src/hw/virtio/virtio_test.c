// SPDX-License-Identifier: GPL-2.0-or-later
/* The transport and the device core, driven through registers like a guest; virtio-rng too. */
#include "core/device.h"
#include "hw/virtio/virtio_testing.h"
#include "hw/virtio/virtio_int.h"

extern const struct device_type pci_host_type, echo_type, virtio_rng_type;
#define TEST_DEVICE_TYPES &pci_host_type, &echo_type, &virtio_rng_type,
#include "hw/testing.h"
#include <assert.h>
#include "base/clock.h"
#include "base/wire.h"

/* -------- a device: queue 0 copies what is readable into what is writable, inverted; queue 1 keeps
 * its requests until the test lets them go -------- */

#define KEEP 32

struct kept {
	struct iovec iov[8];
	struct vq_chain c;
	uint32_t generation;
};

struct echo {
	struct virtio_device v;
	struct virtio_config config;
	struct kept kept[KEEP];
	int n_kept, starts, resets, turns;
	bool full;	       /* leave chains in queue 1 */
	bool returns;	       /* take all of them and put them back */
	void (*emptied)(void); /* once, when a ring was found empty, before kicks are on again */
	uint8_t written[10];
};

static uint64_t echo_features(struct virtio_device *v)
{
	return 3;
}

static bool echo_features_ok(struct virtio_device *v, uint64_t f)
{
	return (f & 3) != 2; /* bit 1 needs bit 0 */
}

static void echo_config_write(
	struct virtio_device *v, uint32_t off, const void *data, unsigned int size)
{
	struct echo *e = (struct echo *)v;

	assert(off + size <= 10); /* not cmocka's: the lock is held */
	memcpy(e->written + off, data, size);
}

static void echo_one(struct echo *e, struct virtqueue *q, struct vq_chain *c)
{
	uint8_t buf[256];
	size_t n = vq_chain_read(c, 0, buf, sizeof(buf));

	for (size_t i = 0; i < n; i++)
		buf[i] = (uint8_t)~buf[i];
	n = vq_chain_write(c, 0, buf, n);
	assert(vq_push(q, c, (uint32_t)n) == 0);
}

static void echo_return(struct echo *e, struct virtqueue *q)
{
	int n = 0;

	for (; n < KEEP; n++) {
		e->kept[n].c.iov = e->kept[n].iov;
		if (vq_pop(q, &e->kept[n].c, 8) <= 0)
			break;
	}
	while (n)
		vq_unpop(q, &e->kept[--n].c);
}

static void echo_queue(struct virtio_device *v, unsigned int index)
{
	struct echo *e = (struct echo *)v;
	struct virtqueue *q = &v->vq[index];
	struct kept *k;
	int rc;

	e->turns++;
	if (index == 1 && e->returns) {
		echo_return(e, q);
		return;
	}
	for (;;) {
		if (index == 1 && (e->full || e->n_kept == KEEP))
			break;
		k = &e->kept[e->n_kept];
		k->c.iov = k->iov;
		rc = vq_pop(q, &k->c, 8);
		if (rc < 0)
			virtio_break(v, "ring");
		if (rc == 0 && e->emptied)
			TAKE(e->emptied)();
		if (rc <= 0)
			break;
		if (index == 0) {
			echo_one(e, q, &k->c);
			continue;
		}
		k->generation = v->generation;
		virtio_request_begin(v, q);
		e->n_kept++;
	}
	virtio_notify(v, q);
}

static void echo_let_go(struct echo *e)
{
	mutex_lock(&e->v.pci.dev.lock);
	for (int i = 0; i < e->n_kept; i++) {
		if (e->kept[i].generation == e->v.generation)
			assert(e->v.broken || vq_push(&e->v.vq[1], &e->kept[i].c, 0) == 0);
		virtio_request_done(&e->v, &e->v.vq[1]);
	}
	e->n_kept = 0;
	virtio_notify(&e->v, &e->v.vq[1]);
	mutex_unlock(&e->v.pci.dev.lock);
}

static int n_kept(struct echo *e)
{
	GUARD(&e->v.pci.dev.lock);
	return e->n_kept;
}

static void echo_start(struct virtio_device *v)
{
	((struct echo *)v)->starts++;
}

static void echo_reset(struct virtio_device *v)
{
	((struct echo *)v)->resets++;
}

static const struct virtio_class echo_class = {
	.device_id = 42,
	.pci_class = 0xff0000,
	.config_size = 10,
	.features = echo_features,
	.features_ok = echo_features_ok,
	.config_write = echo_config_write,
	.start = echo_start,
	.handle_queue = echo_queue,
	.reset = echo_reset,
};

static bool echo_realize(struct device *d, struct error *err)
{
	struct echo *e = (struct echo *)d;

	for (int i = 0; i < 10; i++)
		e->v.config[i] = (uint8_t)(0x10 + i);
	if (!strcmp(e->config.iothread ?: "", "io")) {
		d->home = machine_io_loop(d->machine, "io", err);
		if (!d->home)
			return false;
	}
	return virtio_init(&e->v, &echo_class, &e->config, 2, err);
}

static void echo_unrealize(struct device *d)
{
	virtio_fini((struct virtio_device *)d);
}

static const struct field echo_fields[] = { VIRTIO_FIELDS(struct echo, config) };
static const struct field_table echo_table = FIELD_TABLE("echo", struct echo, echo_fields);

const struct device_type echo_type = {
	.name = "echo",
	.bus = BUS_PCI,
	.size = sizeof(struct echo),
	.config = &echo_table,
	.state = &virtio_device_state,
	.realize = echo_realize,
	.unrealize = echo_unrealize,
	.reset = virtio_reset,
	.quiesce = virtio_quiesce,
	.resume = virtio_resume,
	.pre_save = virtio_pre_save,
	.post_load = virtio_post_load,
};

/* -------- fixture -------- */

static struct test_machine *f;
static struct vt_driver *t;

static int setup(void **state)
{
	f = fixture_new(&test_pci);
	t = calloc(1, sizeof(*t));
	return 0;
}

/* A test that failed may have left requests, for which freeing would wait. */
static int teardown(void **state)
{
	struct device *d;

	list_for_each (d, &f->m->devices, node) {
		if (d->type == &echo_type)
			echo_let_go((struct echo *)d);
	}
	fixture_free(f);
	free(t);
	return 0;
}

static struct device *make(const char *type, const char *options)
{
	struct error err = ERROR_INIT;
	struct device *d = device_create(f->m, type, options, &err);

	if (!d)
		fail_msg("%s", err.msg);
	d->type->reset(d);
	assert_true(vt_attach(t, (struct virtio_device *)d));
	return d;
}

#define ALL UINT64_MAX

static struct echo *start(const char *options, uint64_t features)
{
	struct echo *e = (struct echo *)make("echo", options);

	assert_true(vt_init(t, features));
	assert_true(vt_queue_init(t, 0, 0) && vt_queue_init(t, 1, 0));
	vt_start(t);
	return e;
}

static uint64_t common(unsigned int off, unsigned int size)
{
	return vt_read(t, t->common + off, size);
}

static void common_set(unsigned int off, unsigned int size, uint64_t v)
{
	vt_write(t, t->common + off, size, v);
}

static void config_set(uint16_t off, unsigned int size, uint32_t v)
{
	pci_config_write(f->host, 0, t->v->pci.devfn, off, v, size);
}

static uint32_t config(uint16_t off, unsigned int size)
{
	return pci_config_read(f->host, 0, t->v->pci.devfn, off, size);
}

/* -------- tests -------- */

static void test_identity(void **state)
{
	make("echo", "");
	assert_int_equal(config(0, 4), 0x106a1af4);
	assert_int_equal(config(PCI_REVISION, 4), 0xff000001);
	assert_true(config(PCI_SUBDEVICE, 2) >= 0x40);
	assert_int_equal(t->n_queues, 2);
	assert_true(t->notify_pio);
	assert_int_equal(vt_read(t, t->device, 8), 0x1716151413121110);
	assert_int_equal(vt_read(t, t->device + 8, 4), 0x1918);
	assert_int_equal(vt_read(t, t->device + 100, 4), 0);
	vt_write(t, t->device + 2, 2, 0xabcd);
	assert_int_equal(((struct echo *)t->v)->written[3], 0xab);
	vt_write(t, t->device + 8, 4, 0); /* over the end: ignored */
}

static void run_echo(const char *options, uint64_t features, bool indirect)
{
	struct echo *e = start(options, features);
	uint8_t out[100], in[100];
	uint64_t a = vt_alloc(t, 100, 1), b = vt_alloc(t, 100, 1);
	struct vt_buf bufs[] = { { a, 30, false }, { a + 30, 70, false }, { b, 1, true },
		{ b + 1, 99, true } };
	uint32_t id, len;

	for (int round = 0; round < 600; round++) {
		for (int i = 0; i < 100; i++)
			out[i] = (uint8_t)(round + i);
		assert_int_equal(gmem_write(&f->m->mem, GPA(a), out, 100), 0);
		if (indirect && round % 2) {
			int sent = vt_send(t, 0, bufs, 4, true);

			assert_true(sent >= 0);
			vt_kick(t, 0);
			while (!vt_take(t, 0, &id, &len))
				vt_run(t);
			assert_int_equal(id, sent);
			assert_int_equal(len, 100);
		} else {
			assert_int_equal(vt_call(t, 0, bufs, 4), 100);
		}
		assert_int_equal(gmem_read(&f->m->mem, GPA(b), in, 100), 0);
		for (int i = 0; i < 100; i++)
			assert_int_equal(in[i], (uint8_t)~out[i]);
	}
	assert_int_equal(vt_status(t), 0xf);
	assert_int_equal(e->starts, 1);
	device_free(&e->v.pci.dev);
}

static void test_echo(void **state)
{
	run_echo("", ALL, true);
	run_echo("", ALL & ~BIT_ULL(VIRTIO_F_RING_PACKED), true);
	run_echo("packed=off,event_idx=off,queue-size=4", ALL, false);
	run_echo("event_idx=off", ALL, false);
	run_echo("notify=mmio", ALL, false);
	run_echo("iothread=io,notify=mmio,packed=off", ALL, true);
	run_echo("iothread=io", ALL, true);
}

static void test_options(void **state)
{
	struct error err = ERROR_INIT;

	assert_null(device_create(f->m, "echo", "queue-size=3", &err));
	assert_contains(err.msg, "power of two");
	assert_null(device_create(f->m, "echo", "addr=77", &err));
	assert_null(device_create(f->m, "echo", "queue-size=2048", &err));
	make("echo", "packed=off,indirect_desc=off,event_idx=off");
	assert_int_equal(t->v->host_features, 3 | BIT_ULL(VIRTIO_F_VERSION_1));
}

static void test_features(void **state)
{
	make("echo", "");
	/* Without VERSION_1. */
	common_set(0x14, 1, 1);
	common_set(0x14, 1, 3);
	common_set(0x08, 4, 0);
	common_set(0x0c, 4, 1);
	common_set(0x14, 1, 11);
	assert_int_equal(common(0x14, 1), 3);
	/* Not offered. */
	common_set(0x08, 4, 1);
	common_set(0x0c, 4, 1u << 3 | 1);
	common_set(0x14, 1, 11);
	assert_int_equal(common(0x14, 1), 3);
	/* Refused by the device. */
	common_set(0x0c, 4, 1);
	common_set(0x08, 4, 0);
	common_set(0x0c, 4, 2);
	common_set(0x14, 1, 11);
	assert_int_equal(common(0x14, 1), 3);
	/* DRIVER_OK before its turn. */
	common_set(0x14, 1, 7);
	assert_int_equal(common(0x14, 1), 3);
	common_set(0x0c, 4, 3);
	common_set(0x14, 1, 11);
	assert_int_equal(common(0x14, 1), 11);
	/* Final. */
	common_set(0x0c, 4, 0);
	assert_int_equal(common(0x0c, 4), 3);
	/* Bits do not go, foreign ones do not come. */
	common_set(0x14, 1, 0x70);
	assert_int_equal(common(0x14, 1), 11);
	/* Other feature words. */
	common_set(0x00, 4, 2);
	assert_int_equal(common(0x04, 4), 0);
	common_set(0x00, 4, 0xffffffff);
	assert_int_equal(common(0x04, 4), 0);
	assert_true(vt_reset(t));
	assert_int_equal(common(0x0c, 4), 0);
}

/* Sizes and states that are not allowed: ignored. */
static void test_odd_accesses(void **state)
{
	make("echo", "");
	common_set(0x16, 2, 0); /* queue select */
	common_set(0x18, 2, 8); /* before FEATURES_OK */
	assert_int_equal(common(0x18, 2), 256);
	assert_true(vt_init(t, ALL));
	common_set(0x18, 2, 0);
	common_set(0x18, 2, 257);
	common_set(0x18, 1, 8);
	common_set(0x18, 4, 8);
	assert_int_equal(common(0x18, 2), 256);
	common_set(0x18, 2, 8);
	assert_int_equal(common(0x18, 2), 8);
	common_set(0x20, 4, 0x1000);
	common_set(0x24, 4, 1);
	assert_int_equal(common(0x20, 8), 0x100001000);
	common_set(0x20, 2, 0xffff);
	common_set(0x22, 2, 0xffff);
	assert_int_equal(common(0x20, 8), 0x100001000);
	assert_int_equal(common(0x21, 1), 0x10);
	common_set(0x1c, 2, 0);
	common_set(0x1c, 2, 2);
	assert_int_equal(common(0x1c, 2), 0);
	common_set(0x16, 2, 2); /* no such queue */
	assert_int_equal(common(0x18, 2), 0);
	common_set(0x18, 2, 8);
	common_set(0x1c, 2, 1);
	assert_int_equal(common(0x1c, 2), 0);
	assert_int_equal(vt_status(t), 11);
	/* Vectors that are not there. */
	common_set(0x10, 2, 3);
	assert_int_equal(common(0x10, 2), 0xffff);
	common_set(0x10, 2, 2);
	assert_int_equal(common(0x10, 2), 2);
}

static void test_bad_ring(void **state)
{
	struct echo *e = (struct echo *)make("echo", "");

	assert_true(vt_init(t, ALL));
	vt_start(t);
	common_set(0x16, 2, 0);
	common_set(0x20, 8, 0x8); /* unaligned */
	common_set(0x1c, 2, 1);
	assert_int_equal(vt_status(t), 0xf | VIRTIO_S_NEEDS_RESET);
	assert_int_equal(common(0x1c, 2), 0);
	/* The interrupt says that the configuration changed; reading it takes it back. */
	assert_true(test_irq_level[17]);
	assert_int_equal(vt_read(t, t->isr, 1), VIRTIO_S_ACKNOWLEDGE << 1);
	assert_false(test_irq_level[17]);
	assert_int_equal(vt_read(t, t->isr, 1), 0);
	assert_true(vt_queue_init(t, 1, 0) == false);
	assert_true(vt_init(t, ALL));
	assert_int_equal(e->v.broken, false);
}

static void test_broken_chain(void **state)
{
	struct echo *e = start("", ALL);
	struct vt_buf b = { 1ull << 45, 4, false };

	assert_int_equal(vt_call(t, 0, &b, 1), -1);
	assert_int_equal(vt_status(t), 0xf | VIRTIO_S_NEEDS_RESET);
	/* Kicks do nothing any more. */
	e->turns = 0;
	vt_kick(t, 1);
	vt_run(t);
	assert_int_equal(e->turns, 0);
	assert_true(vt_init(t, ALL));
}

/* -------- interrupts -------- */

static void test_intx(void **state)
{
	struct vt_buf b = { 0, 4, false };

	start("", ALL & ~BIT_ULL(VIRTIO_F_EVENT_IDX));
	b.addr = vt_alloc(t, 4, 4);
	assert_int_equal(vt_call(t, 0, &b, 1), 0);
	assert_true(test_irq_level[17]);
	assert_int_equal(vt_read(t, t->isr, 1), 1);
	assert_false(test_irq_level[17]);
	mutex_lock(&t->v->pci.dev.lock);
	virtio_config_changed(t->v);
	mutex_unlock(&t->v->pci.dev.lock);
	assert_true(test_irq_level[17]);
	assert_int_equal(common(0x15, 1), 1);
	assert_int_equal(vt_read(t, t->isr, 4), 2);
	assert_int_equal(vt_call(t, 0, &b, 1), 0);
	assert_true(vt_reset(t));
	assert_false(test_irq_level[17]);
}

#define MSIX(t) ((t)->common + 0x2000)

static void test_msix(void **state)
{
	struct vt_buf b = { 0, 4, false };

	make("echo", "");
	config_set(0x42, 2, 0x8000);
	for (unsigned int i = 0; i < 3; i++) {
		vt_write(t, MSIX(t) + 16 * i, 8, 0xfee00000);
		vt_write(t, MSIX(t) + 16 * i + 8, 4, 0x50 + i);
		vt_write(t, MSIX(t) + 16 * i + 12, 4, 0);
	}
	assert_true(vt_init(t, ALL & ~BIT_ULL(VIRTIO_F_EVENT_IDX)));
	common_set(0x10, 2, 2);
	common_set(0x16, 2, 0);
	common_set(0x1a, 2, 1);
	assert_true(vt_queue_init(t, 0, 0) && vt_queue_init(t, 1, 0));
	vt_start(t);
	b.addr = vt_alloc(t, 4, 4);
	assert_int_equal(vt_call(t, 0, &b, 1), 0);
	assert_int_equal(test_msis, 1);
	assert_int_equal(test_msi_data, 0x51);
	mutex_lock(&t->v->pci.dev.lock);
	virtio_config_changed(t->v);
	mutex_unlock(&t->v->pci.dev.lock);
	assert_int_equal(test_msis, 2);
	assert_int_equal(test_msi_data, 0x52);
	assert_int_equal(vt_read(t, t->isr, 1), 0);
	assert_false(test_irq_level[17]);
	/* No vector: no interrupt. */
	common_set(0x1a, 2, 0xffff);
	assert_int_equal(vt_call(t, 0, &b, 1), 0);
	assert_int_equal(test_msis, 2);
	assert_true(vt_reset(t));
	assert_int_equal(common(0x10, 2), 0xffff);
	assert_int_equal(common(0x1a, 2), 0xffff);
}

/* -------- requests in flight -------- */

static void test_async_reset(void **state)
{
	struct echo *e = start("", ALL);
	struct vt_buf b = { vt_alloc(t, 64, 8), 4, true };
	int resets = e->resets;

	for (int i = 0; i < 3; i++)
		vt_send(t, 1, &b, 1, false);
	vt_kick(t, 1);
	vt_run(t);
	assert_int_equal(e->n_kept, 3);
	common_set(0x14, 1, 0);
	assert_int_equal(e->resets, resets + 1);
	assert_int_not_equal(common(0x14, 1), 0);
	/* Nothing else counts meanwhile. */
	common_set(0x14, 1, 1);
	common_set(0x0c, 4, 1);
	common_set(0x16, 2, 1);
	common_set(0x18, 2, 8);
	vt_kick(t, 1);
	vt_run(t);
	assert_int_equal(e->n_kept, 3);
	echo_let_go(e);
	assert_int_equal(common(0x14, 1), 0);
	assert_int_equal(common(0x16, 2), 0);
	assert_true(vt_init(t, ALL));
}

static void *let_go_later(void *opaque)
{
	usleep(30000);
	echo_let_go(opaque);
	return NULL;
}

static void test_quiesce(void **state)
{
	struct echo *e = start("iothread=io", ALL);
	struct vt_buf b = { vt_alloc(t, 64, 8), 4, true };
	struct device *d = &e->v.pci.dev;
	uint32_t id, len;
	pthread_t thread;

	vt_send(t, 1, &b, 1, false);
	vt_kick(t, 1);
	while (n_kept(e) == 0)
		vt_run(t);
	pthread_create(&thread, NULL, let_go_later, e);
	virtio_quiesce(d);
	assert_int_equal(virtio_in_flight(&e->v), 0);
	pthread_join(thread, NULL);
	assert_true(vt_take(t, 1, &id, &len));
	/* A kick that comes now is remembered by the ring. */
	vt_send(t, 0, &b, 1, false);
	vt_kick(t, 0);
	vt_run(t);
	usleep(1000);
	assert_false(vt_take(t, 0, &id, &len));
	virtio_resume(d);
	while (!vt_take(t, 0, &id, &len))
		vt_run(t);
}

/* A turn that ended with kicks off is followed by another, which quiescing may swallow: the driver must
 * not stay told that kicks are unwanted. */
static void test_quiesce_between_turns(void **state)
{
	struct echo *e = start("", ALL);
	struct device *d = &e->v.pci.dev;
	uint64_t flags = t->q[0].used + 2;

	mutex_lock(&d->lock);
	vq_set_notify(&e->v.vq[0], false);
	mutex_unlock(&d->lock);
	assert_int_equal(vt_read(t, flags, 2), 1);
	virtio_quiesce(d);
	virtio_resume(d);
	vt_run(t);
	assert_int_equal(vt_read(t, flags, 2), 2);
}

/* Freed with requests in flight: it waits. */
static void test_free_in_flight(void **state)
{
	struct echo *e = start("iothread=io", ALL);
	struct vt_buf b = { vt_alloc(t, 64, 8), 4, true };
	pthread_t thread;

	vt_send(t, 1, &b, 1, false);
	vt_kick(t, 1);
	while (n_kept(e) == 0)
		vt_run(t);
	pthread_create(&thread, NULL, let_go_later, e);
	device_free(&e->v.pci.dev);
	pthread_join(thread, NULL);
}

/* A device at work for itself (a disk's flush) that is reset once more: its status is 0, so it takes a driver. */
static void test_reset_again(void **state)
{
	struct echo *e = start("", ALL);
	struct mutex *lock = &e->v.pci.dev.lock;
	bool taken;
	uint8_t meanwhile;

	assert_true(vt_reset(t));
	mutex_lock(lock);
	virtio_request_begin(&e->v, NULL);
	mutex_unlock(lock);
	taken = vt_init(t, ALL);
	/* From here on a reset takes as long as it. */
	vt_write(t, t->common + 0x14, 1, 0);
	meanwhile = vt_status(t);
	mutex_lock(lock);
	virtio_request_done(&e->v, NULL);
	mutex_unlock(lock);
	assert_true(taken && meanwhile);
	assert_int_equal(vt_status(t), 0);
	assert_true(vt_init(t, ALL));
}

/* A device that leaves chains is not called again and again, and gets its call when it asks. */
static void test_no_room(void **state)
{
	struct echo *e = start("", ALL);
	struct vt_buf b = { vt_alloc(t, 64, 8), 4, true };

	e->full = true;
	vt_send(t, 1, &b, 1, false);
	vt_kick(t, 1);
	vt_run(t);
	assert_int_equal(e->turns, 1);
	e->full = false;
	virtio_kick(&e->v, 1);
	vt_run(t);
	assert_int_equal(e->n_kept, 1);
	echo_let_go(e);
}

/* The same for one that took them all to see whether it has room (a card without a token for its frames). */
static void test_no_room_after_all(void **state)
{
	struct echo *e = start("", ALL);
	struct vt_buf b = { vt_alloc(t, 64, 8), 4, true };

	e->returns = true;
	for (int i = 1; i < 4; i++) {
		vt_send(t, 1, &b, 1, false);
		vt_kick(t, 1);
		for (int round = 0; round < 5; round++)
			vt_run(t);
		assert_int_equal(e->turns, i);
	}
	e->returns = false;
	virtio_kick(&e->v, 1);
	vt_run(t);
	assert_int_equal(e->n_kept, 3);
	echo_let_go(e);
}

static struct vt_buf late;

static void send_late(void)
{
	assert(vt_send(t, 0, &late, 1, false) >= 0); /* no kick: the driver is told not to */
}

/* A kick for nothing, and while its turn is over but kicks are still off, the driver adds a chain:
 * it is served without another kick. */
static void late_chain(const char *options)
{
	struct echo *e = start(options, ALL);
	uint32_t id, len;

	late = (struct vt_buf){ vt_alloc(t, 64, 8), 4, true };
	e->emptied = send_late;
	vt_kick(t, 0);
	for (int i = 0; i < 4; i++)
		vt_run(t);
	assert_true(vt_take(t, 0, &id, &len));
	device_free(&e->v.pci.dev);
}

static void test_late_chain(void **state)
{
	late_chain("");
	late_chain("event_idx=off");
	late_chain("packed=off");
	late_chain("packed=off,event_idx=off");
}

/* A ring that is refilled while it is served: other work comes in between. */
static void test_budget(void **state)
{
	struct echo *e = start("queue-size=1024", ALL & ~BIT_ULL(VIRTIO_F_RING_PACKED));
	struct virtqueue *q = &e->v.vq[0];
	uint64_t b = vt_alloc(t, 4, 4);
	struct vt_buf buf = { b, 4, true };
	uint32_t id, len;
	int n = 0;

	/* The ring itself is 256 at most in this driver: lie about an index far ahead. */
	for (int i = 0; i < VT_SIZE_MAX; i++)
		assert_true(vt_send(t, 0, &buf, 1, false) >= 0);
	mutex_lock(&e->v.pci.dev.lock);
	q->budget = 100;
	echo_queue(&e->v, 0);
	assert_int_equal(q->budget, 0);
	q->budget = UINT32_MAX;
	mutex_unlock(&e->v.pci.dev.lock);
	while (vt_take(t, 0, &id, &len))
		n++;
	assert_int_equal(n, 100);
	vt_kick(t, 0);
	vt_run(t);
	while (vt_take(t, 0, &id, &len))
		n++;
	assert_int_equal(n, VT_SIZE_MAX);
}

/* Bus mastering off: the device does not touch memory; on: it goes on by itself. */
static void test_bus_master(void **state)
{
	struct vt_buf b;
	uint32_t id, len;

	start("", ALL);
	b = (struct vt_buf){ vt_alloc(t, 64, 8), 4, true };
	config_set(PCI_COMMAND, 2, PCI_COMMAND_MEM);
	vt_send(t, 0, &b, 1, false);
	vt_kick(t, 0);
	vt_run(t);
	assert_false(vt_take(t, 0, &id, &len));
	config_set(PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_MASTER);
	vt_run(t);
	assert_true(vt_take(t, 0, &id, &len));
}

/* Buffers that come before DRIVER_OK are served after it. */
static void test_early_buffers(void **state)
{
	struct vt_buf b;
	uint32_t id, len;

	make("echo", "");
	assert_true(vt_init(t, ALL) && vt_queue_init(t, 0, 0));
	b = (struct vt_buf){ vt_alloc(t, 64, 8), 4, true };
	vt_send(t, 0, &b, 1, false);
	vt_kick(t, 0);
	vt_run(t);
	assert_false(vt_take(t, 0, &id, &len));
	vt_start(t);
	vt_run(t);
	assert_true(vt_take(t, 0, &id, &len));
}

/* -------- the window in configuration space -------- */

static void window(uint8_t cap, uint8_t bar, uint32_t off, uint32_t len)
{
	config_set(cap + 4, 1, bar);
	config_set(cap + 8, 4, off);
	config_set(cap + 12, 4, len);
}

static void test_pci_cfg(void **state)
{
	struct echo *e = start("", ALL);
	uint8_t cap = e->v.cfg_cap;
	struct vt_buf b = { vt_alloc(t, 64, 8), 4, true };
	uint32_t id, len;

	window(cap, 0, 0x14, 1);
	assert_int_equal(config(cap + 16, 1), 0xf);
	window(cap, 0, 0x12, 2);
	assert_int_equal(config(cap + 16, 2), 2);
	window(cap, 0, 0x100, 4);
	assert_int_equal(config(cap + 16, 4), 0x13121110);
	config_set(cap + 16, 4, 0x99);
	assert_int_equal(e->written[0], 0x99);
	/* A doorbell. */
	vt_send(t, 0, &b, 1, false);
	window(cap, 0, 0x1000, 2);
	config_set(cap + 16, 2, 0);
	vt_run(t);
	assert_true(vt_take(t, 0, &id, &len));
	/* Anything else: nothing. */
	static const struct {
		uint32_t off, len;
		uint8_t bar;
	} bad[] = { { 0, 8, 0 }, { 0, 3, 0 }, { 1, 2, 0 }, { 0xffffffff, 1, 0 }, { 0x2000, 4, 0 },
		{ 0, 4, 1 }, { 0, 4, 2 }, { 0, 4, 255 }, { 0, 0, 0 }, { 0x1ffe, 4, 0 } };

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		window(cap, bad[i].bar, bad[i].off, bad[i].len);
		config_set(cap + 16, 4, 0);
		config(cap + 16, 4);
	}
	assert_int_equal(vt_status(t), 0xf);
}

/* -------- saved state -------- */

static void refused(struct device *d)
{
	struct error err = ERROR_INIT;

	assert_false(virtio_post_load(d, &err));
	assert_true(err.msg[0]);
}

static void load(struct device *d, const struct str *saved)
{
	struct error err = ERROR_INIT;

	if (!device_load(d, saved->s, saved->len, &err))
		fail_msg("%s", err.msg);
}

static void test_state(void **state)
{
	AUTO(str) saved = STR_INIT;
	AUTO(str) again = STR_INIT;
	struct error err = ERROR_INIT;
	struct echo *e = start("", ALL);
	struct vt_buf b = { vt_alloc(t, 64, 8), 4, true };
	struct device *d = &e->v.pci.dev;

	for (int i = 0; i < 300; i++)
		assert_int_equal(vt_call(t, 0, &b, 1), 0);
	virtio_quiesce(d);
	assert_true(device_save(d, &saved, &err));
	virtio_reset(d);
	load(d, &saved);
	assert_true(device_save(d, &again, &err));
	assert_int_equal(saved.len, again.len);
	assert_memory_equal(saved.s, again.s, saved.len);
	virtio_resume(d);
	for (int i = 0; i < 300; i++)
		assert_int_equal(vt_call(t, 0, &b, 1), 0);
	/* Relations that cannot be. */
	e->v.saved.queues.items[0].last_avail ^= 1;
	refused(d);
	virtio_pre_save(d);
	e->v.saved.queues.items[0].desc = 1ull << 50;
	e->v.saved.queues.items[0].ready = true;
	refused(d);
	load(d, &saved);
	virtio_pre_save(d);
	e->v.saved.guest_features |= 1ull << 50;
	refused(d);
	virtio_pre_save(d);
	e->v.saved.status |= VIRTIO_S_NEEDS_RESET;
	refused(d);
	virtio_pre_save(d);
	e->v.saved.queues.len = 1;
	refused(d);
	e->v.saved.queues.len = 2;
	load(d, &saved);
	virtio_resume(d);
	assert_true(vt_init(t, ALL)); /* the driver is 300 requests ahead of that state */
}

/* -------- hostile -------- */

static void let_all_go(void *opaque)
{
	echo_let_go(opaque);
}

static void test_hostile(void **state)
{
	for (uint64_t seed = 1; seed < 20; seed++) {
		struct device *d = make("virtio-rng-pci", seed & 1 ? "" : "packed=off,notify=mmio");

		virtio_hostile_test((struct virtio_device *)d, seed);
		device_free(d);
	}
}

/* The same with a device that keeps requests: a timer lets them go. */
static void test_hostile_async(void **state)
{
	struct echo *e = (struct echo *)make("echo", "");
	struct loop_timer timer;

	for (uint64_t seed = 1; seed < 10; seed++) {
		loop_timer_init(&timer, f->loop, let_all_go, e);
		loop_timer_arm(&timer, clock_mono_ns() + NS_PER_MS);
		for (int i = 0; i < 20; i++) {
			loop_timer_arm(&timer, clock_mono_ns() + i * NS_PER_MS / 10);
			vt_run(t);
		}
		e->full = true; /* the hostile driver waits for resets: nothing may stay */
		virtio_hostile_test(&e->v, seed * 77);
		e->full = false;
		loop_timer_fini(&timer);
	}
}

/* -------- rng -------- */

static void test_rng(void **state)
{
	uint8_t buf[4096] = { 0 };
	struct vt_buf b = { 0, 64, true };
	int zeros = 0;

	make("virtio-rng-pci", "");
	assert_int_equal(config(0, 4), 0x10441af4);
	assert_int_equal(t->device, 0);
	assert_true(vt_init(t, ALL) && vt_queue_init(t, 0, 0));
	vt_start(t);
	b.addr = vt_alloc(t, 65536, 8);
	assert_int_equal(vt_call(t, 0, &b, 1), 64);
	assert_int_equal(gmem_read(&f->m->mem, GPA(b.addr), buf, 64), 0);
	for (int i = 0; i < 64; i++)
		zeros += buf[i] == 0;
	assert_true(zeros < 10);
	b.len = 65536;
	assert_int_equal(vt_call(t, 0, &b, 1), 4096);
	b.len = 0;
	assert_int_equal(vt_call(t, 0, &b, 1), 0);
	b.len = 1;
	assert_int_equal(vt_call(t, 0, &b, 1), 1);
	b.write = false;
	assert_int_equal(vt_call(t, 0, &b, 1), -1);
	assert_int_equal(vt_status(t), 0xf | VIRTIO_S_NEEDS_RESET);
}

static void test_rng_rate(void **state)
{
	struct vt_buf b = { 0, 64, true };
	int64_t start_ns;
	int64_t got = 0;

	make("virtio-rng-pci", "max-bytes=100,period=40");
	assert_true(vt_init(t, ALL) && vt_queue_init(t, 0, 0));
	vt_start(t);
	b.addr = vt_alloc(t, 64, 8);
	start_ns = clock_mono_ns();
	while (got < 350) {
		int64_t n = vt_call(t, 0, &b, 1);

		assert_true(n > 0);
		got += n;
	}
	/* 100 at once, then 100 a period: 3 periods. */
	assert_true(clock_mono_ns() - start_ns >= 3 * 40 * NS_PER_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_echo, setup, teardown),
		cmocka_unit_test_setup_teardown(test_options, setup, teardown),
		cmocka_unit_test_setup_teardown(test_features, setup, teardown),
		cmocka_unit_test_setup_teardown(test_odd_accesses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_ring, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken_chain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_intx, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_async_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quiesce, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quiesce_between_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_free_in_flight, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_room_after_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_chain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_budget, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bus_master, setup, teardown),
		cmocka_unit_test_setup_teardown(test_early_buffers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pci_cfg, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_async, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rng, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rng_rate, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
