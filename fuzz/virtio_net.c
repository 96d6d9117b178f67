// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-net: the input is a program of control commands, frames, buffers of odd sizes, kicks, stray stores and
 * plugs pulled, on a network that gives back what it is given; afterwards the card must come out of a reset.
 */
#include "fuzz/virtio.h"
#include "net/net.h"

static struct vt_driver t;
static struct net_dev *net;
static uint64_t area; /* 128 KiB for frames, commands and buffers */
static uint16_t ctrl;

static void make(void)
{
	struct machine *m = fuzz_machine();
	struct error err = ERROR_INIT;
	struct device *d;
	bool ok;

	net = net_open_test(&err);
	ok = net && machine_backend_add(m, BACKEND_NET, "n", net, &err);
	assert(ok);
	d = device_create(m, "virtio-net-pci", "netdev=n,queue-size=32", &err);
	assert(d);
	d->type->reset(d);
	ok = vt_attach(&t, (struct virtio_device *)d);
	assert(ok);
}

static void bring_up(uint64_t features)
{
	ctrl = 0;
	if (!vt_init(&t, features | BIT_ULL(5) | BIT_ULL(17)))
		return;
	ctrl = t.features >> 22 & 1 ? 4 : 2;
	area = 0;
	if (vt_queue_init(&t, 0, 0) && vt_queue_init(&t, 1, 0) && vt_queue_init(&t, ctrl, 0)) {
		vt_start(&t);
		area = vt_alloc(&t, 128 * KIB, 16);
	}
}

static void put_bytes(struct fuzz_input *in, uint64_t at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		vt_write(&t, at + i, 1, fuzz_take(in, 1));
}

static void step(struct fuzz_input *in)
{
	uint8_t op = (uint8_t)fuzz_take(in, 1);
	struct vt_buf b[3] = { { area, 2, false } };
	uint32_t id, len;

	switch (op & 7) {
	case 0: /* a command: class, command, data */
		put_bytes(in, area, 2 + (op >> 3));
		b[1] = (struct vt_buf){ area + 2, op & 0x80 ? (uint32_t)fuzz_take(in, 2) : op >> 3,
			false };
		b[2] = (struct vt_buf){ area + 0x18000, 1, true };
		vt_send(&t, ctrl, b, 3, op & 0x40);
		vt_kick(&t, ctrl);
		break;
	case 1:
	case 2: /* a frame: header and the start of it */
		put_bytes(in, area + 0x1000, 12 + (op >> 3));
		b[0] = (struct vt_buf){ area + 0x1000, (uint32_t)fuzz_take(in, 1), false };
		b[1] = (struct vt_buf){ area + 0x1000 + b[0].len, (uint32_t)fuzz_take(in, 2),
			false };
		vt_send(&t, 1, b, 2, op & 0x40);
		vt_kick(&t, 1);
		break;
	case 3: /* buffers */
		for (int i = 0; i <= op >> 4; i++) {
			b[0] = (struct vt_buf){ area + 0x4000 + 0x1000u * (unsigned int)i,
				(uint32_t)fuzz_take(in, 2), !!(op & 8) | (i != 3) };
			vt_send(&t, 0, b, 1, op & 8);
		}
		vt_kick(&t, 0);
		break;
	case 4:
		vt_write(&t, t.ram + (fuzz_take(in, 2) & 0x3fff), 1, fuzz_take(in, 1));
		break;
	case 5:
		net_set_link(net, op & 8);
		break;
	case 6:
		bring_up(fuzz_take(in, 8));
		break;
	case 7:
		while (vt_take(&t, op >> 3 & 1, &id, &len))
			;
		break;
	}
	vt_run(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	if (!t.m)
		make();
	bring_up(fuzz_take(&in, 8));
	while (in.len && area)
		step(&in);
	net_set_link(net, true);
	fuzz_virtio_reset(&t);
	return 0;
}
