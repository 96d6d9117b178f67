// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Virtqueues, split and packed: the input is the ring's shape, then guest memory as it is found at
 * each operation. What is popped must lie in guest RAM, within bounds; nothing else is asked for.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/wire.h"
#include "fuzz/input.h"
#include "hw/virtio/virtqueue.h"
#include "mem/gmem.h"

#define RAM	     0x10000u
#define DESC	     0x0000u
#define AVAIL	     0x0800u
#define USED	     0x0c00u
#define IOV_MAX_FUZZ 40

static struct as as;
static struct ram_block *ram[2];
static struct as_region low, high, device;

static void set_up(void)
{
	struct ram_config c = { .name = "fuzz", .size = RAM, .host_node = -1 };
	struct error err = ERROR_INIT;
	bool ok = as_init(&as, "memory", 1ull << 40, &err);
	int rc;

	ram[0] = ram_block_new(&c, &err);
	ram[1] = ram_block_new(&c, &err);
	assert(ok && ram[0] && ram[1]);
	low = (struct as_region){ .name = "low", .kind = AS_RAM, .ram = ram[0] };
	high = (struct as_region){ .name = "high", .kind = AS_RAM, .ram = ram[1] };
	device = (struct as_region){ .name = "device", .kind = AS_IO };
	rc = as_add(&as, &low, 0, RAM);
	assert(rc == 0);
	rc = as_add(&as, &high, RAM, RAM);
	assert(rc == 0);
	rc = as_add(&as, &device, 2 * RAM, 0x1000);
	assert(rc == 0);
}

/* Overwrite a stretch of guest memory; the ring's three parts are near the start. */
static void poke(struct fuzz_input *in)
{
	uint64_t at = fuzz_take(in, 2), n = 1 + (fuzz_take(in, 1) & 63);

	for (uint64_t i = 0; i < n && in->len; i++)
		ram[0]->host[(at + i) % RAM] = (uint8_t)fuzz_take(in, 1);
}

static void check_chain(const struct vq_chain *c, const struct virtqueue *q)
{
	uint64_t out = 0, in_len = 0;

	assert(c->n_desc >= 1 && c->n_desc <= q->size && c->n_out + c->n_in <= IOV_MAX_FUZZ);
	for (int i = 0; i < c->n_out + c->n_in; i++) {
		const uint8_t *p = c->iov[i].iov_base;
		size_t n = c->iov[i].iov_len;
		bool inside = false;

		for (int k = 0; k < 2; k++)
			inside |= p >= ram[k]->host && n <= RAM &&
				  (size_t)(p - ram[k]->host) <= RAM - n;
		assert(n && inside);
		if (i < c->n_out)
			out += n;
		else
			in_len += n;
	}
	assert(out == c->out_len && in_len == c->in_len && out + in_len <= UINT32_MAX);
}

/* A chain that is out, with iovecs of its own. */
struct slot {
	struct vq_chain c;
	struct iovec iov[IOV_MAX_FUZZ];
};

static bool pop(struct virtqueue *q, struct slot *s)
{
	int rc;

	s->c.iov = s->iov;
	rc = vq_pop(q, &s->c, IOV_MAX_FUZZ);
	assert(rc == 0 || rc == 1 || rc == -EPROTO);
	if (rc == 1)
		check_chain(&s->c, q);
	if (rc < 0)
		vq_reset(q);
	return rc == 1;
}

static void run(struct virtqueue *q, struct fuzz_input *in)
{
	static struct slot out[64];
	unsigned int n = 0;

	while (in->len) {
		uint8_t op = (uint8_t)fuzz_take(in, 1);

		switch (op & 7) {
		case 0:
		case 1:
			poke(in);
			break;
		case 2:
			if (n < 64 && pop(q, &out[n]))
				n++;
			break;
		case 3:
			if (n) {
				struct slot *s = &out[(op >> 3) % n];

				int rc = vq_push(
					q, &s->c, (uint32_t)MIN(fuzz_take(in, 2), s->c.in_len));

				assert(rc == 0 || rc == -EPROTO);
				*s = out[--n];
				s->c.iov = s->iov;
			}
			break;
		case 4:
			if (n)
				vq_unpop(q, &out[--n].c);
			break;
		case 5:
			vq_set_notify(q, op >> 3 & 1);
			break;
		case 6:
			vq_should_signal(q);
			break;
		case 7:
			/* The next descriptor, made available as the driver would. */
			if (q->ready && q->packed)
				wr_le16(ram[0]->host + DESC + 16 * (q->last_avail & 0x7fff) + 14,
					(uint16_t)((op >> 3 & 7) |
						   (q->last_avail & 0x8000 ? 1 << 7 : 1 << 15)));
			else
				wr_le16(ram[0]->host + AVAIL + 2, q->last_avail + 1);
			break;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct virtqueue q;
	uint8_t shape;

	if (!ram[0])
		set_up();
	memset(ram[0]->host, 0, RAM);
	vq_init(&q, &as, 0, 64);
	shape = (uint8_t)fuzz_take(&in, 1);
	q.size = (uint16_t)(shape & 1 ? 1 + fuzz_take(&in, 1) % 64 : 1u << fuzz_take(&in, 1) % 7);
	q.packed = shape & 2;
	q.event_idx = shape & 4;
	q.indirect = shape & 8;
	q.desc = shape & 16 ? fuzz_take(&in, 3) : DESC;
	q.avail = shape & 32 ? fuzz_take(&in, 3) : AVAIL;
	q.used = shape & 64 ? fuzz_take(&in, 3) : USED;
	if (vq_enable(&q) == 0)
		run(&q, &in);
	vq_fini(&q);
	return 0;
}
