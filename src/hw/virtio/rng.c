// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rng - entropy device (virtio 1.2, 5.4): random bytes from the host's kernel, at most so many in a
 * period. A guest that asks for more waits; nothing runs while it doesn't ask.
 */
#include <errno.h>
#include <sys/random.h>
#include "base/clock.h"
#include "hw/virtio/virtio.h"

/* Most bytes a request gets, so that one request cannot hold the loop for long. */
#define CHUNK	    4096u
/* One descriptor may span RAM blocks, but a driver that asks for bytes needs one buffer. */
#define IOV_MAX_RNG 64
#define RETRY_NS    (100 * NS_PER_MS)

struct rng_config {
	struct virtio_config virtio;
	uint64_t max_bytes; /* a period; 0: no limit */
	uint32_t period;    /* ms */
};

struct rng {
	struct virtio_device v; /* first */
	struct rng_config config;
	/* Home loop, under dev.lock. */
	uint64_t quota;
	int64_t period_end_ns;
	struct loop_timer timer;
};

static const struct field config_fields[] = {
	VIRTIO_FIELDS(struct rng_config, virtio),
	FIELD_SIZE(struct rng_config, max_bytes, "max-bytes", .dflt = "0",
		.doc = "random bytes a period at most; 0: no limit"),
	FIELD_U32(struct rng_config, period, "period", .dflt = "1000", .min = 1,
		.doc = "length of a period in milliseconds"),
};
static const struct field_table config_table = FIELD_TABLE(
	"virtio-rng-pci", struct rng_config, config_fields);

static const struct field state_fields[] = {
	FIELD_STRUCT(struct rng, v, "virtio", &virtio_device_state, .tag = 1),
};
static const struct field_table state_table = FIELD_TABLE(
	"virtio-rng-pci", struct rng, state_fields);

/* Bytes that may be given now. */
static uint64_t allowance(struct rng *r)
{
	int64_t now;

	if (!r->config.max_bytes)
		return CHUNK;
	now = clock_mono_ns();
	if (now >= r->period_end_ns) {
		r->quota = r->config.max_bytes;
		r->period_end_ns = now + r->config.period * NS_PER_MS;
	}
	return MIN(r->quota, CHUNK);
}

/* Fill up to @len bytes of @c's writable part. Bytes, or -EAGAIN: the host has none yet. */
static int64_t fill(const struct vq_chain *c, uint64_t len)
{
	uint64_t done = 0;

	for (int i = c->n_out; i < c->n_out + c->n_in && done < len; i++) {
		uint8_t *p = c->iov[i].iov_base;
		size_t left = MIN(c->iov[i].iov_len, len - done);

		while (left) {
			ssize_t n = getrandom(p, left, GRND_NONBLOCK);

			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0)
				return done ? (int64_t)done : -EAGAIN;
			p += n;
			left -= (size_t)n;
			done += (uint64_t)n;
		}
	}
	return (int64_t)done;
}

/* Answer one request. False: that was the last one for now. */
static bool answer(struct rng *r, struct virtqueue *q)
{
	struct iovec iov[IOV_MAX_RNG];
	struct vq_chain c = { .iov = iov };
	uint64_t can = allowance(r);
	int64_t n;
	int rc = vq_pop(q, &c, IOV_MAX_RNG);

	if (rc == 0)
		return false;
	if (rc < 0 || c.n_out) {
		virtio_break(&r->v, rc < 0 ? "broken ring" : "a request with readable buffers");
		return false;
	}
	n = can || !c.in_len ? fill(&c, can) : -EAGAIN;
	if (n < 0) {
		vq_unpop(q, &c);
		loop_timer_arm(&r->timer, can ? clock_mono_ns() + RETRY_NS : r->period_end_ns);
		return false;
	}
	if (r->config.max_bytes)
		r->quota -= (uint64_t)n;
	rc = vq_push(q, &c, (uint32_t)n);
	return rc == 0;
}

static void rng_queue(struct virtio_device *v, unsigned int q)
{
	struct rng *r = (struct rng *)v;

	while (answer(r, &v->vq[q]))
		;
	virtio_notify(v, &v->vq[q]);
}

static void rng_again(void *opaque)
{
	virtio_kick(opaque, 0);
}

static const struct virtio_class rng_class = {
	.device_id = 4,
	.pci_class = 0x00ff00,
	.handle_queue = rng_queue,
};

static void timer_make(void *opaque)
{
	struct rng *r = opaque;

	loop_timer_init(&r->timer, r->v.pci.dev.home, rng_again, r);
}

static void timer_end(void *opaque)
{
	struct rng *r = opaque;

	loop_timer_fini(&r->timer);
}

static bool rng_realize(struct device *d, struct error *err)
{
	struct rng *r = (struct rng *)d;

	d->home = machine_io_loop(d->machine, r->config.virtio.iothread, err);
	if (!d->home)
		return false;
	loop_call(d->home, timer_make, r);
	if (virtio_init(&r->v, &rng_class, &r->config.virtio, 1, err))
		return true;
	loop_call(d->home, timer_end, r);
	return false;
}

static void rng_unrealize(struct device *d)
{
	struct rng *r = (struct rng *)d;

	/* No queue handler runs after the first, so none arms the timer; the timer uses doorbells
	 * until it is gone. */
	virtio_quiesce(d);
	loop_call(d->home, timer_end, r);
	virtio_fini(&r->v);
}

const struct device_type virtio_rng_type = {
	.name = "virtio-rng-pci",
	.alias = "virtio-rng-pci-non-transitional",
	.doc = "entropy: random bytes from the host",
	.bus = BUS_PCI,
	.flags = DEVICE_USER,
	.size = sizeof(struct rng),
	.config = &config_table,
	.config_off = offsetof(struct rng, config),
	.state = &state_table,
	.realize = rng_realize,
	.unrealize = rng_unrealize,
	.reset = virtio_reset,
	.quiesce = virtio_quiesce,
	.resume = virtio_resume,
	.pre_save = virtio_pre_save,
	.post_load = virtio_post_load,
	.test_options = "",
};
