// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A virtio device's registers and guest memory: the input is a program of register accesses and
 * stores to RAM; afterwards the device must come out of a reset.
 */
#include "fuzz/virtio.h"

static struct vt_driver t;

static void make(void)
{
	struct machine *m = fuzz_machine();
	struct error err = ERROR_INIT;
	/* All doorbells in the BAR that the input reaches. */
	struct device *d = device_create(m, "virtio-rng-pci", "queue-size=8,notify=mmio", &err);
	bool ok;

	assert(d);
	d->type->reset(d);
	ok = vt_attach(&t, (struct virtio_device *)d);
	assert(ok);
}

/* A quick way to a working ring, so that inputs needn't find it. */
static void bring_up(uint8_t how)
{
	uint64_t features = how & 1 ? UINT64_MAX : ~BIT_ULL(VIRTIO_F_RING_PACKED);

	if (vt_init(&t, features) && vt_queue_init(&t, 0, how & 2 ? 4 : 8))
		vt_start(&t);
}

static void step(struct fuzz_input *in)
{
	static const uint8_t sizes[] = { 1, 2, 4, 8 };
	uint8_t op = (uint8_t)fuzz_take(in, 1);
	unsigned int size = sizes[op >> 4 & 3];
	uint64_t off, v;

	switch (op & 7) {
	case 0:
	case 1: /* common registers, ISR */
		off = fuzz_take(in, 1);
		v = op & 8 ? fuzz_take(in, size) : 0;
		if (op & 8)
			vt_write(&t, t.common + off, size, v);
		else
			vt_read(&t, t.common + off, size);
		break;
	case 2: /* the whole BAR */
		off = fuzz_take(in, 2) & 0x3fff;
		vt_write(&t, t.common + off, size, fuzz_take(in, size));
		break;
	case 3:
	case 4: /* rings and buffers */
		off = fuzz_take(in, 2) & 0x3ff;
		vt_write(&t, t.ram + off, size, fuzz_take(in, size));
		break;
	case 5:
		vt_kick(&t, 0);
		vt_run(&t);
		break;
	case 6:
		bring_up(op >> 3);
		break;
	case 7: { /* a true request */
		struct vt_buf b = { t.ram + 0x1000, (uint32_t)fuzz_take(in, 2), true };

		if (t.q[0].size)
			vt_send(&t, 0, &b, 1, op & 8);
		break;
	}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	if (!t.m)
		make();
	while (in.len)
		step(&in);
	fuzz_virtio_reset(&t);
	return 0;
}
