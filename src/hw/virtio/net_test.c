// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-net as a driver sees it, on a network that gives back what it is given: frames in any layout of
 * descriptors, over one buffer and over many, with too few buffers; filters, control commands, the link, reset,
 * save.
 */
#include "core/device.h"

extern const struct device_type pci_host_type, virtio_net_pci_type;
#define TEST_DEVICE_TYPES &pci_host_type, &virtio_net_pci_type,
#include "hw/testing.h"

#include <sched.h>
#include <semaphore.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/stream.h"
#include "base/wire.h"
#include "hw/virtio/net_int.h"
#include "hw/virtio/virtio_testing.h"

#define ALL  UINT64_MAX
#define RX   0
#define TX   1
#define BUFS 200

static struct test_machine *f;
static struct vt_driver *t;
static struct net_dev *net;
static struct device *dev;
static uint64_t rx_at[VT_SIZE_MAX], tx, ctrl_at;
static uint32_t rx_len;
static uint16_t ctrl_queue;

static int setup(void **state)
{
	struct error err = ERROR_INIT;

	f = fixture_new(&test_pci);
	t = calloc(1, sizeof(*t));
	net = net_open_test(&err);
	assert_true(t && net && machine_backend_add(f->m, BACKEND_NET, "n", net, &err));
	return 0;
}

static int teardown(void **state)
{
	device_free(dev);
	dev = NULL;
	net_close(net);
	fixture_free(f);
	free(t);
	return 0;
}

static void make(const char *options)
{
	struct error err = ERROR_INIT;

	dev = device_create(f->m, "virtio-net-pci", options, &err);
	if (!dev)
		fail_msg("%s", err.msg);
	dev->type->reset(dev);
	assert_true(vt_attach(t, (struct virtio_device *)dev));
}

static void give_buffers(int n, uint32_t len)
{
	rx_len = len;
	for (int i = 0; i < n; i++) {
		struct vt_buf b = { vt_alloc(t, len, 16), len, true };
		int id = vt_send(t, RX, &b, 1, false);

		assert_true(b.addr && id >= 0);
		rx_at[id] = b.addr;
	}
	vt_kick(t, RX);
	vt_run(t);
}

static void start(uint64_t features, int buffers, uint32_t len)
{
	assert_true(vt_init(t, features));
	ctrl_queue = t->features >> F_MQ & 1 ? 4 : 2;
	assert_true(vt_queue_init(t, RX, 0) && vt_queue_init(t, TX, 0) &&
		    vt_queue_init(t, ctrl_queue, 0));
	vt_start(t);
	vt_run(t);
	tx = vt_alloc(t, 70000, 16);
	ctrl_at = vt_alloc(t, 8192, 16);
	give_buffers(buffers, len);
}

static uint8_t *mem(uint64_t addr)
{
	return f->ram->host + addr;
}

/* -------- frames -------- */

static void frame(uint8_t *p, uint32_t len, uint64_t seed)
{
	static const uint8_t head[] = { 0x52, 0x54, 0, 1, 2, 3, 0x52, 0x54, 0, 9, 9, 9, 0x88,
		0xb5 };

	for (uint32_t i = 0; i < len; i++)
		p[i] = i < sizeof(head) ? head[i] : (uint8_t)(test_random(&seed) >> 7);
}

/* Send what is at tx + 12 in @pieces descriptors. */
static void send_raw(uint32_t len, int pieces, uint64_t *rnd)
{
	struct vt_buf b[20];
	uint32_t at = 0, total = len + 12;
	int n = 0;

	for (; n < pieces - 1 && total - at > 1; n++) {
		uint32_t take = 1 + (uint32_t)(test_random(rnd) % MIN(total - at - 1, 40));

		b[n] = (struct vt_buf){ tx + at, take, false };
		at += take;
	}
	b[n++] = (struct vt_buf){ tx + at, total - at, false };
	assert_int_equal(vt_call(t, TX, b, n), 0);
}

/* A frame as it came, header first, into @out; the buffers go back. 0: none came. */
static uint32_t receive(uint8_t *out, int *buffers)
{
	uint32_t id, len, total = 0;
	int want = 1;

	vt_run(t);
	for (*buffers = 0; *buffers < want; ++*buffers) {
		struct vt_buf b = { 0, rx_len, true };

		if (!vt_take(t, RX, &id, &len)) {
			assert_int_equal(*buffers, 0);
			return 0;
		}
		memcpy(out + total, mem(rx_at[id]), len);
		total += len;
		if (!*buffers && t->features >> F_MRG_RXBUF & 1)
			want = rd_le16(out + 10);
		b.addr = rx_at[id];
		rx_at[vt_send(t, RX, &b, 1, false)] = b.addr;
	}
	vt_kick(t, RX);
	vt_run(t);
	return total;
}

static void echo(uint32_t len, int pieces, uint64_t *rnd, int *buffers)
{
	static uint8_t got[80000], want[70000];

	memset(mem(tx), 0, 12);
	frame(want, len, *rnd);
	memcpy(mem(tx + 12), want, len);
	send_raw(len, pieces, rnd);
	assert_int_equal(receive(got, buffers), len + 12);
	assert_memory_equal(got + 12, want, len);
}

static void test_echo(void **state)
{
	static const uint64_t features[] = { ALL, ALL & ~BIT_ULL(VIRTIO_F_RING_PACKED),
		ALL & ~BIT_ULL(VIRTIO_F_EVENT_IDX), BIT_ULL(F_MRG_RXBUF) };
	uint64_t rnd = 99;
	int buffers;

	make("netdev=n");
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		start(features[i], BUFS, 1526);
		for (int k = 0; k < 400; k++)
			echo(14 + (uint32_t)(test_random(&rnd) % 1500),
				1 + (int)(test_random(&rnd) % 16), &rnd, &buffers);
		/* Over many buffers; without mergeable ones it would be lost. */
		for (int k = 0; k < 20; k++) {
			uint32_t len = 2000 + (uint32_t)(test_random(&rnd) % 7000);

			echo(len, 3, &rnd, &buffers);
			assert_int_equal(buffers, (len + 12 + 1525) / 1526);
		}
		assert_int_equal(vt_status(t), 15);
	}
}

static void test_segments(void **state)
{
	uint64_t rnd = 5;
	int buffers;

	make("netdev=n");
	start(ALL, BUFS, 1526);
	echo(65000, 4, &rnd, &buffers);
	assert_int_equal(buffers, (65012 + 1525) / 1526);
	echo(100, 1, &rnd, &buffers);
	assert_int_equal(buffers, 1);
}

/* Runs of short frames and long ones among them, many in one turn: after eight short ones there is
 * room for a short one. */
static void test_mixed(void **state)
{
	static uint8_t got[80000], want[70000];
	static uint64_t at[20];
	uint32_t len[20], short_only = 0;
	uint64_t rnd = 8;
	int buffers;

	make("netdev=n");
	start(ALL, BUFS, 1526);
	for (int k = 0; k < 20; k++)
		at[k] = vt_alloc(t, 12000, 16);
	for (int round = 0; round < 60; round++) {
		int n = 1 + (int)(test_random(&rnd) % 20);

		for (int k = 0; k < n; k++) {
			struct vt_buf b = { at[k], 0, false };

			short_only = short_only ? short_only - 1
						: (uint32_t)(test_random(&rnd) % 30);
			len[k] = 14 + (uint32_t)(test_random(&rnd) % (short_only ? 1500 : 9000));
			b.len = len[k] + 12;
			memset(mem(at[k]), 0, 12);
			frame(mem(at[k] + 12), len[k], (uint64_t)(round * 20 + k + 1));
			vt_send(t, TX, &b, 1, false);
		}
		vt_kick(t, TX);
		for (int k = 0; k < n; k++) {
			assert_int_equal(receive(got, &buffers), len[k] + 12);
			assert_int_equal(buffers, (len[k] + 12 + 1525) / 1526);
			frame(want, len[k], (uint64_t)(round * 20 + k + 1));
			assert_memory_equal(got + 12, want, len[k]);
		}
		while (vt_take(t, TX, &(uint32_t){ 0 }, &(uint32_t){ 0 }))
			;
	}
	assert_int_equal(vt_status(t), 15);
}

static void be_ordinary(void *unused)
{
	assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){ 0 }), 0);
}

static void ask_policy(void *opaque)
{
	*(int *)opaque = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
}

static int loop_policy(void)
{
	int policy;

	loop_call(dev->home, ask_policy, &policy);
	return policy;
}

/* So much in one turn that it is bulk however slow the machine is. Was the loop's thread a batch job? */
static bool burst(void)
{
	const struct vt_buf b = { tx, 9012, false };
	static uint8_t got[80000];
	bool batch = false;
	int buffers;

	memset(mem(tx), 0, 12);
	frame(mem(tx + 12), 9000, 1);
	for (int k = 0; k < 20; k++)
		vt_send(t, TX, &b, 1, false);
	vt_kick(t, TX);
	for (int k = 0; k < 20; k++) {
		batch = loop_policy() == SCHED_BATCH || batch; /* not for long */
		assert_int_equal(receive(got, &buffers), 9012);
	}
	while (vt_take(t, TX, &(uint32_t){ 0 }, &(uint32_t){ 0 }))
		;
	return batch;
}

/* With one CPU, long frames one after the other make the loop's thread a batch job (loop_moved()), and short ones do
 * not; all come. */
static void test_one_cpu(void **state)
{
	int64_t end = clock_mono_ns() + 20 * NS_PER_SEC;
	cpu_set_t all, one;
	uint64_t rnd = 9;
	int buffers;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	make("netdev=n,iothread=one");
	loop_call(dev->home, be_ordinary, NULL);
	start(ALL, BUFS, 1526);
	for (int i = 0; i < 100; i++) {
		echo(60, 2, &rnd, &buffers);
		assert_int_equal(loop_policy(), SCHED_OTHER);
	}
	while (!burst())
		assert_true(clock_mono_ns() < end);
	while (loop_policy() == SCHED_BATCH && clock_mono_ns() < end)
		echo(60, 2, &rnd, &buffers);
	assert_int_equal(loop_policy(), SCHED_OTHER);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

/* Fewer buffers than the longest frame may take: what fits comes all the same, what never fits is lost, and what
 * does not fit yet waits. */
static void test_few_buffers(void **state)
{
	static uint8_t got[80000];
	uint64_t rnd = 6;
	int buffers;

	for (int packed = 0; packed < 2; packed++) {
		make("netdev=n,queue-size=16");
		start(packed ? ALL : ALL & ~BIT_ULL(VIRTIO_F_RING_PACKED), 16, 600);
		for (int i = 0; i < 50; i++)
			echo(14 + (uint32_t)(test_random(&rnd) % 6000), 2, &rnd, &buffers);
		frame(mem(tx + 12), 20000, 1);
		send_raw(20000, 1, &rnd);
		assert_int_equal(receive(got, &buffers), 0);
		echo(3000, 2, &rnd, &buffers);
		/* Three buffers, then the rest. */
		start(packed ? ALL : ALL & ~BIT_ULL(VIRTIO_F_RING_PACKED), 3, 600);
		frame(mem(tx + 12), 3000, 1);
		send_raw(3000, 1, &rnd);
		assert_int_equal(receive(got, &buffers), 0);
		give_buffers(2, 600);
		assert_int_equal(receive(got, &buffers), 0);
		give_buffers(1, 600);
		assert_int_equal(receive(got, &buffers), 3012);
		assert_int_equal(buffers, 6);
		assert_memory_equal(got + 12 + 600, mem(tx + 12 + 600), 2400);
		/* None at all. */
		start(ALL, 0, 600);
		frame(mem(tx + 12), 500, 1);
		send_raw(500, 1, &rnd);
		send_raw(500, 1, &rnd);
		give_buffers(2, 600);
		assert_int_equal(receive(got, &buffers), 512);
		assert_int_equal(receive(got, &buffers), 512);
		device_free(dev);
		dev = NULL;
	}
}

/* Without mergeable buffers each frame has a chain; what is too long for it is lost. */
static void test_no_merge(void **state)
{
	static uint8_t got[80000];
	uint64_t rnd = 7;
	int buffers;

	make("netdev=n");
	start(ALL & ~BIT_ULL(F_MRG_RXBUF), 20, 1526);
	for (int i = 0; i < 50; i++)
		echo(14 + (uint32_t)(test_random(&rnd) % 1500), 2, &rnd, &buffers);
	memset(mem(tx), 0, 12);
	frame(mem(tx + 12), 1515, 1);
	send_raw(1515, 1, &rnd);
	assert_int_equal(receive(got, &buffers), 0);
	echo(1514, 2, &rnd, &buffers);
}

/* What the driver did not negotiate it must not leave to us; nonsense is dropped and goes on. */
static void test_headers(void **state)
{
	static uint8_t got[80000];
	static const uint8_t bad[][2] = { { 1, 0 }, { 0, 1 }, { 0, 4 }, { 0, 3 }, { 0, 0x80 },
		{ 0, 7 } };
	uint64_t rnd = 8;
	struct vt_buf b;
	int buffers;

	make("netdev=n");
	start(BIT_ULL(F_MRG_RXBUF), 20, 1526);
	frame(mem(tx + 12), 100, 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		memset(mem(tx), 0, 12);
		memcpy(mem(tx), bad[i], 2);
		send_raw(100, 1, &rnd);
		assert_int_equal(receive(got, &buffers), 0);
	}
	for (uint32_t len = 1; len < 26; len++) {
		memset(mem(tx), 0, 12);
		b = (struct vt_buf){ tx, len, false };
		assert_int_equal(vt_call(t, TX, &b, 1), 0);
	}
	assert_int_equal(receive(got, &buffers), 0);
	/* All offloads: the header arrives as it was sent. */
	start(ALL, BUFS, 1526);
	memset(mem(tx), 0, 12);
	mem(tx)[0] = 1;
	mem(tx)[1] = 1;
	wr_le16(mem(tx + 4), 1460);
	frame(mem(tx + 12), 9000, 1);
	send_raw(9000, 1, &rnd);
	assert_int_equal(receive(got, &buffers), 9012);
	assert_memory_equal(got, mem(tx), 10);
	assert_int_equal(vt_status(t), 15);
}

/* -------- control -------- */

static int command(uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
	struct vt_buf b[] = { { ctrl_at, 2, false }, { ctrl_at + 2, len, false },
		{ ctrl_at + 8000, 1, true } };

	mem(ctrl_at)[0] = class;
	mem(ctrl_at)[1] = cmd;
	memcpy(mem(ctrl_at + 2), data, len);
	*mem(ctrl_at + 8000) = 0xee;
	if (!len)
		b[1] = b[2];
	assert_int_equal(vt_call(t, ctrl_queue, b, len ? 3 : 2), 1);
	return *mem(ctrl_at + 8000);
}

/* Is a frame to @mac, with a VLAN tag when @vlan >= 0, received? */
static bool passes(const uint8_t *mac, int vlan)
{
	static uint8_t got[2000];
	uint64_t rnd = 9;
	int buffers;

	memset(mem(tx), 0, 12);
	frame(mem(tx + 12), 100, 1);
	memcpy(mem(tx + 12), mac, 6);
	if (vlan >= 0) {
		wr_be16(mem(tx + 24), 0x8100);
		wr_be16(mem(tx + 26), (uint16_t)vlan);
	}
	send_raw(100, 1, &rnd);
	return receive(got, &buffers);
}

static const uint8_t own[6] = { 0x52, 0x54, 0, 1, 2, 3 }, other[6] = { 0x52, 0x54, 0, 1, 2, 4 },
		     all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
		     group[6] = { 1, 0, 0x5e, 0, 0, 1 }, group2[6] = { 1, 0, 0x5e, 0, 0, 2 };

static void test_filter(void **state)
{
	uint8_t on = 1, off = 0, table[8 + 12];

	make("netdev=n,mac=52:54:00:01:02:03");
	start(ALL, 20, 1526);
	assert_true(passes(own, -1) && passes(other, -1) && passes(group, -1) && passes(all, -1));
	assert_int_equal(command(0, 0, &off, 1), 0);
	assert_true(passes(own, -1) && passes(all, -1));
	assert_false(passes(other, -1) || passes(group, -1));
	assert_int_equal(command(0, 1, &on, 1), 0); /* all groups */
	assert_true(passes(group, -1));
	assert_int_equal(command(0, 1, &off, 1), 0);
	wr_le32(table, 1);
	memcpy(table + 4, other, 6);
	wr_le32(table + 10, 1);
	memcpy(table + 14, group, 6);
	assert_int_equal(command(1, 0, table, 20), 0);
	assert_true(passes(other, -1) && passes(group, -1));
	assert_false(passes(group2, -1));
	assert_int_equal(command(0, 3, &on, 1), 0);
	assert_int_equal(command(0, 4, &on, 1), 0);
	assert_int_equal(command(0, 5, &on, 1), 0);
	assert_false(passes(own, -1) || passes(group, -1) || passes(all, -1));
	assert_int_equal(command(0, 3, &off, 1), 0);
	assert_int_equal(command(0, 4, &off, 1), 0);
	assert_int_equal(command(0, 5, &off, 1), 0);
	assert_int_equal(command(0, 2, &on, 1), 0);
	wr_le32(table, 0);
	wr_le32(table + 4, 0);
	assert_int_equal(command(1, 0, table, 8), 0);
	assert_true(passes(other, -1));
	assert_int_equal(command(0, 2, &off, 1), 0);
	assert_false(passes(other, -1) || passes(group, -1));
	/* Another address. */
	assert_int_equal(command(1, 1, other, 6), 0);
	assert_true(passes(other, -1));
	assert_false(passes(own, -1));
	assert_int_equal(vt_read(t, t->device + 5, 1), 4);
	/* A reset forgets all that. */
	start(ALL, 20, 1526);
	assert_true(passes(group2, -1));
	assert_int_equal(vt_read(t, t->device + 5, 1), 3);
}

static int changes;

static void count_changes(struct notice_listener *l, const struct notice *n)
{
	changes += n->kind == NOTICE_NIC_RX_FILTER_CHANGED && n->device == dev && !n->id[0];
}

/* Who looks from outside sees the filter, and is told of a change once until it has looked. */
static void test_filter_told(void **state)
{
	static struct notice_listener listener = { count_changes };
	uint8_t on = 1, off = 0, table[20] = { 1 }, id[2] = { 5, 0 };
	struct nic_rx_filter f;

	make("netdev=n,mac=52:54:00:01:02:03");
	atomic_store(&dev->machine->notice, &listener);
	changes = 0;
	assert_true(nic_is(dev));
	start(ALL, 20, 1526);
	nic_get_rx_filter(dev, &f);
	assert_true(f.promisc && f.broadcast && f.unicast == NIC_SOME && f.vlan == NIC_NONE);
	assert_memory_equal(f.mac, own, 6);
	assert_int_equal(changes, 0);
	assert_int_equal(command(0, 0, &off, 1), 0);
	assert_int_equal(command(0, 1, &on, 1), 0);
	assert_int_equal(changes, 1);
	nic_get_rx_filter(dev, &f);
	assert_true(!f.promisc && f.multicast == NIC_ALL);
	memcpy(table + 4, other, 6);
	table[10] = 1;
	memcpy(table + 14, group, 6);
	assert_int_equal(command(1, 0, table, 20), 0);
	assert_int_equal(changes, 2);
	nic_get_rx_filter(dev, &f);
	assert_true(f.n_uni == 1 && f.n_multi == 1 && !f.uni_overflow);
	assert_memory_equal(f.uni[0], other, 6);
	assert_memory_equal(f.multi[0], group, 6);
	assert_int_equal(command(2, 0, id, 2), 0);
	assert_int_equal(changes, 3);
	nic_get_rx_filter(dev, &f);
	assert_int_equal(f.vlans[0], 1 << 5);
	assert_int_equal(f.vlan, NIC_SOME);
	assert_int_equal(command(1, 1, other, 6), 0);
	assert_int_equal(changes, 4);
	/* What is refused changes nothing. */
	nic_get_rx_filter(dev, &f);
	assert_memory_equal(f.mac, other, 6);
	assert_int_equal(command(2, 0, "\377\377", 2), 1);
	assert_int_equal(changes, 4);
	atomic_store(&dev->machine->notice, NULL);
}

static void test_vlan(void **state)
{
	uint8_t id[2];

	make("netdev=n,mac=52:54:00:01:02:03");
	start(ALL, 20, 1526);
	assert_true(passes(own, -1));
	assert_false(passes(own, 5) || passes(own, 0));
	wr_le16(id, 5);
	assert_int_equal(command(2, 0, id, 2), 0);
	assert_true(passes(own, 5) && passes(own, 0xe005) && passes(own, -1));
	assert_false(passes(own, 6));
	assert_int_equal(command(2, 1, id, 2), 0);
	assert_false(passes(own, 5));
	wr_le16(id, 4096);
	assert_int_equal(command(2, 0, id, 2), 1);
	start(ALL & ~BIT_ULL(F_CTRL_VLAN), 20, 1526);
	assert_true(passes(own, 5));
}

static void test_commands(void **state)
{
	struct virtio_net *s;
	uint8_t data[500] = { 1 };
	struct vt_buf b = { 0, 1, false };

	make("netdev=n");
	s = (struct virtio_net *)dev;
	start(ALL, 20, 1526);
	assert_true(t->features >> F_MQ & 1);
	assert_int_equal(vt_read(t, t->device + 8, 2), 2);
	assert_int_equal(command(4, 0, "\2\0", 2), 0);
	assert_int_equal(s->pairs, 2);
	assert_int_equal(command(4, 0, "\0\0", 2), 1);
	assert_int_equal(command(4, 0, "\3\0", 2), 1);
	assert_int_equal(command(4, 1, "\1\0", 2), 1);
	assert_int_equal(command(4, 0, "\1", 1), 1);
	/* Offloads: off and on again, but not more than was negotiated. */
	assert_int_equal(s->offloads, NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN);
	assert_int_equal(command(5, 0, "\0\0\0\0\0\0\0\0", 8), 0);
	assert_int_equal(s->offloads, 0);
	assert_int_equal(command(5, 0, "\202\0\0\0\0\0\0\0", 8), 0);
	assert_int_equal(s->offloads, NET_CSUM | NET_TSO4);
	assert_int_equal(command(5, 0, "\202\377\0\0\0\0\0\0", 8), 1);
	/* Tables that lie about their size, and too many addresses: then all pass. */
	wr_le32(data, UINT32_MAX);
	assert_int_equal(command(1, 0, data, 100), 1);
	wr_le32(data, 2);
	assert_int_equal(command(1, 0, data, 15), 1);
	wr_le32(data, 70);
	wr_le32(data + 4 + 420, 0);
	assert_int_equal(command(1, 0, data, 428), 0);
	assert_true(s->filter.uni_overflow);
	/* Nobody knows these; too short ones. */
	assert_int_equal(command(9, 0, data, 4), 1);
	assert_int_equal(command(0, 6, data, 1), 1);
	assert_int_equal(command(0, 0, data, 0), 1);
	assert_int_equal(command(1, 2, data, 6), 1);
	assert_int_equal(command(1, 1, data, 5), 1);
	assert_int_equal(command(3, 1, data, 0), 1);
	assert_int_equal(vt_status(t), 15);
	/* Not negotiated: without MQ the control queue is elsewhere, too. */
	start(ALL & ~(BIT_ULL(F_MQ) | BIT_ULL(F_CTRL_RX) | BIT_ULL(F_CTRL_GUEST_OFFLOADS)), 20,
		1526);
	assert_int_equal(command(4, 0, "\1\0", 2), 1);
	assert_int_equal(command(0, 0, data, 1), 1);
	assert_int_equal(command(5, 0, "\0\0\0\0\0\0\0\0", 8), 1);
	assert_int_equal(command(2, 0, "\1\0", 2), 0);
	/* No room for the status. */
	b.addr = ctrl_at;
	assert_int_equal(vt_call(t, ctrl_queue, &b, 1), -1);
	assert_true(vt_status(t) & VIRTIO_S_NEEDS_RESET);
}

static void test_link(void **state)
{
	uint64_t rnd = 3;
	int buffers;

	make("netdev=n,mtu=9000");
	start(ALL, BUFS, 1526);
	assert_int_equal(vt_read(t, t->device + 6, 2), 1);
	assert_int_equal(vt_read(t, t->device + 10, 2), 9000);
	vt_read(t, t->isr, 1);
	net_set_link(net, false);
	vt_run(t);
	assert_int_equal(vt_read(t, t->device + 6, 2), 0);
	assert_int_equal(vt_read(t, t->isr, 1) & 2, 2);
	frame(mem(tx + 12), 100, 1);
	send_raw(100, 1, &rnd); /* gone, and answered */
	net_set_link(net, true);
	vt_run(t);
	assert_int_equal(vt_read(t, t->device + 6, 2), 1);
	echo(100, 1, &rnd, &buffers);
}

static void test_save(void **state)
{
	struct error err = ERROR_INIT;
	AUTO(str) saved = STR_INIT;
	uint64_t rnd = 4;
	uint8_t off = 0;
	int buffers;

	make("netdev=n,mac=52:54:00:01:02:03");
	start(ALL, BUFS, 1526);
	assert_int_equal(command(0, 0, &off, 1), 0);
	echo(1000, 2, &rnd, &buffers);
	dev->type->quiesce(dev);
	assert_true(device_save(dev, &saved, &err));
	if (!device_load(dev, saved.s, saved.len, &err))
		fail_msg("%s", err.msg);
	vt_read(t, t->isr, 1);
	dev->type->resume(dev);
	vt_run(t);
	/* The guest is asked to announce itself, does so, and says it. */
	assert_int_equal(vt_read(t, t->device + 6, 2), 3);
	assert_int_equal(vt_read(t, t->isr, 1) & 2, 2);
	assert_int_equal(command(3, 0, "", 0), 0);
	assert_int_equal(vt_read(t, t->device + 6, 2), 1);
	assert_false(passes(other, -1));
	echo(5000, 2, &rnd, &buffers);
}

static void load(const struct str *saved)
{
	struct error err = ERROR_INIT;

	if (!device_load(dev, saved->s, saved->len, &err))
		fail_msg("%s", err.msg);
}

/* Saved with the plug pulled, it stays out wherever it is loaded; the driver hears of it there if it has it in. */
static void test_save_unplugged(void **state)
{
	struct error err = ERROR_INIT;
	AUTO(str) saved = STR_INIT, up = STR_INIT;
	uint64_t rnd = 4;
	int buffers;

	make("netdev=n");
	start(ALL & ~BIT_ULL(F_GUEST_ANNOUNCE), BUFS, 1526);
	dev->type->quiesce(dev);
	assert_true(device_save(dev, &up, &err));
	dev->type->resume(dev);
	net_set_link(net, false);
	vt_run(t);
	assert_int_equal(vt_read(t, t->isr, 1) & 2, 2);
	assert_int_equal(vt_read(t, t->device + 6, 2), 0);
	dev->type->quiesce(dev);
	assert_true(device_save(dev, &saved, &err));
	net_set_link(net, true);
	vt_read(t, t->isr, 1);
	load(&saved);
	assert_false(net_link(net));
	assert_int_equal(vt_read(t, t->isr, 1), 0);
	dev->type->resume(dev);
	vt_run(t);
	assert_int_equal(vt_read(t, t->isr, 1) & 2, 2);
	assert_int_equal(vt_read(t, t->device + 6, 2), 0);
	net_set_link(net, true);
	vt_run(t);
	assert_int_equal(vt_read(t, t->isr, 1) & 2, 2);
	assert_int_equal(vt_read(t, t->device + 6, 2), 1);
	echo(1000, 2, &rnd, &buffers);
	/* And the other way round. */
	net_set_link(net, false);
	vt_run(t);
	dev->type->quiesce(dev);
	load(&up);
	assert_true(net_link(net));
	vt_read(t, t->isr, 1);
	dev->type->resume(dev);
	vt_run(t);
	assert_int_equal(vt_read(t, t->isr, 1) & 2, 2);
	assert_int_equal(vt_read(t, t->device + 6, 2), 1);
	/* Once. */
	dev->type->quiesce(dev);
	dev->type->resume(dev);
	assert_int_equal(vt_read(t, t->isr, 1) & 2, 0);
}

/* Version 1 of the state has no plug: it is in. */
static void test_load_version_1(void **state)
{
	const uint16_t fields_part = 4;
	const uint32_t last = 8 + 1; /* the record of `unplugged` */
	struct stream_record outer, part = { 0 };
	struct stream_reader r, parts;
	struct error err = ERROR_INIT;
	AUTO(str) saved = STR_INIT;
	uint8_t *len;

	make("netdev=n");
	start(ALL, BUFS, 1526);
	net_set_link(net, false);
	vt_run(t);
	dev->type->quiesce(dev);
	assert_true(device_save(dev, &saved, &err));
	r = (struct stream_reader){ (uint8_t *)saved.s, saved.len };
	assert_true(stream_next(&r, &outer, &err));
	parts = (struct stream_reader){ outer.p, outer.len };
	while (part.tag != fields_part)
		assert_true(stream_next(&parts, &part, &err));
	len = (uint8_t *)(uintptr_t)part.p - 4;
	assert_ptr_equal(part.p + part.len, saved.s + saved.len);
	assert_int_equal(rd_le16(part.p + part.len - last), 6);
	wr_le32(len, part.len - last);
	wr_le32((uint8_t *)(uintptr_t)outer.p - 4, outer.len - last);
	saved.len -= last;
	load(&saved);
	assert_true(net_link(net));
	dev->type->resume(dev);
	vt_run(t);
	assert_int_equal(vt_read(t, t->device + 6, 2) & 1, 1);
}

static void test_options(void **state)
{
	struct error err = ERROR_INIT;

	assert_null(device_create(f->m, "virtio-net-pci", "netdev=x", &err));
	assert_null(device_create(f->m, "virtio-net-pci", "netdev=n,mac=01:00:00:00:00:00", &err));
	assert_contains(err.msg, "multicast");
	assert_null(device_create(f->m, "virtio-net-pci", "netdev=n,mtu=67", &err));
	/* Two pairs and a control queue. */
	assert_null(device_create(f->m, "virtio-net-pci", "netdev=n,vectors=5", &err));
	assert_contains(err.msg, "has 6");
	make("netdev=n,vectors=6,host_mtu=9000");
	assert_int_equal(((struct virtio_net *)dev)->v.pci.msix.n, 6);
	assert_int_equal(rd_le16(((struct virtio_net *)dev)->v.config + 10), 9000);
	device_free(dev);
	make("netdev=n,csum=off,guest_csum=off,mrg_rxbuf=off,ctrl_vq=off,status=off");
	assert_int_equal(((struct virtio_device *)dev)->host_features & 0xffffff, BIT(F_MAC));
	/* One card a network. */
	assert_null(device_create(f->m, "virtio-net-pci", "netdev=n", &err));
	assert_contains(err.msg, "already used");
	assert_true(net_has_front(net));
	/* Features that need others. */
	device_free(dev);
	make("netdev=n");
	assert_false(vt_init(t, BIT_ULL(F_GUEST_TSO4)));
	assert_false(vt_init(t, BIT_ULL(F_CTRL_RX)));
	assert_true(vt_init(t, BIT_ULL(F_CTRL_RX) | BIT_ULL(F_CTRL_VQ)));
}

/* On the queue's loop, where a back end's frames are told of. */
static void send_frame(void *opaque)
{
	struct net_packet *p = opaque;

	assert_int_equal(net_send(net, 0, p, 1), 1);
}

/* What comes before there is a driver is gone, and holds nobody up. */
static void test_no_driver(void **state)
{
	uint64_t rnd = 2;
	uint8_t bytes[100] = { 0 };
	struct iovec iov[2] = { { NULL, 0 }, { bytes, sizeof(bytes) } };
	int buffers;

	make("netdev=n");
	for (int i = 0; i < 1000; i++) {
		struct net_packet p = { .iov = iov + 1, .n = 1, .len = sizeof(bytes) };

		loop_call(t->v->loops[0], send_frame, &p);
		vt_run(t);
	}
	start(ALL, BUFS, 1526);
	echo(200, 1, &rnd, &buffers);
	/* Nor are frames kept from one driver to the next. */
	assert_true(vt_reset(t));
	start(ALL, BUFS, 1526);
	echo(200, 1, &rnd, &buffers);
}

/* Chains that reception cannot use. */
static void test_bad_buffers(void **state)
{
	struct vt_buf small, readable;

	make("netdev=n");
	start(ALL, 0, 0);
	small = (struct vt_buf){ tx, 11, true };
	vt_send(t, RX, &small, 1, false);
	vt_kick(t, RX);
	vt_run(t);
	assert_true(vt_status(t) & VIRTIO_S_NEEDS_RESET);
	start(ALL, 0, 0);
	readable = (struct vt_buf){ tx, 2000, false };
	vt_send(t, RX, &readable, 1, false);
	vt_kick(t, RX);
	vt_run(t);
	assert_true(vt_status(t) & VIRTIO_S_NEEDS_RESET);
}

/* -------- two loops -------- */

#define PAIR_BUFS 60

static uint64_t pair_rx[2][VT_SIZE_MAX], pair_tx[2][PAIR_BUFS];

static void pair_give(unsigned int pair, uint64_t addr)
{
	struct vt_buf b = { addr, 1526, true };
	int id = vt_send(t, (uint16_t)(2 * pair), &b, 1, false);

	assert_true(id >= 0);
	pair_rx[pair][id] = addr;
}

static void pairs_begin(uint64_t features, int buffers)
{
	assert_true(vt_init(t, features));
	ctrl_queue = 4;
	for (uint16_t q = 0; q < 5; q++)
		assert_true(vt_queue_init(t, q, 0));
	vt_start(t);
	ctrl_at = vt_alloc(t, 8192, 16);
	for (unsigned int i = 0; i < 2; i++) {
		for (int k = 0; k < PAIR_BUFS; k++) {
			if (k < buffers)
				pair_give(i, vt_alloc(t, 1526, 16));
			pair_tx[i][k] = vt_alloc(t, 1526, 16);
		}
		vt_kick(t, (uint16_t)(2 * i));
	}
}

static void pairs_start(uint64_t features, int buffers)
{
	pairs_begin(features, buffers);
	assert_int_equal(command(4, 0, "\2\0", 2), 0);
}

static uint32_t pair_len(uint64_t seed)
{
	return 20 + (uint32_t)(seed * 97 % 1400);
}

static void pair_send(unsigned int pair, uint32_t n, uint64_t seed)
{
	uint16_t q = (uint16_t)(2 * pair + 1);

	for (uint32_t k = 0; k < n; k++) {
		struct vt_buf b = { pair_tx[pair][k], pair_len(seed + k) + 12, false };

		memset(mem(b.addr), 0, 12);
		frame(mem(b.addr + 12), b.len - 12, seed + k);
		assert_true(vt_send(t, q, &b, 1, false) >= 0);
		if (k % 7 == 0)
			vt_kick(t, q);
	}
	vt_kick(t, q);
}

/* All @n frames come back by the pair's own queue, in order. */
static void pair_receive(unsigned int pair, uint32_t n, uint64_t seed)
{
	int64_t end = clock_mono_ns() + 20 * NS_PER_SEC;
	static uint8_t want[2000];
	uint32_t id, len, sent = 0;

	for (uint32_t k = 0; k < n || sent < n;) {
		assert_true(clock_mono_ns() < end);
		if (vt_take(t, (uint16_t)(2 * pair + 1), &id, &len))
			sent++;
		if (!vt_take(t, (uint16_t)(2 * pair), &id, &len)) {
			vt_run(t);
			continue;
		}
		frame(want, pair_len(seed + k), seed + k);
		assert_int_equal(len, pair_len(seed + k) + 12);
		assert_memory_equal(mem(pair_rx[pair][id] + 12), want, len - 12);
		pair_give(pair, pair_rx[pair][id]);
		k++;
	}
	vt_kick(t, (uint16_t)(2 * pair));
}

static void stop_and_go(uint32_t i)
{
	if (i % 8 == 0) {
		dev->type->quiesce(dev);
		dev->type->resume(dev);
	} else if (i % 8 == 1) {
		assert_int_equal(command(0, 0, "\1", 1), 0);
	} else if (i % 8 == 2) { /* MSI-X, which the loops look at, and the address of the BAR */
		uint8_t devfn = ((struct pci_device *)dev)->devfn;

		pci_config_write(f->host, 0, devfn, ((struct pci_device *)dev)->msix.cap + 2u,
			i & 8 ? 0x8000 : 0xc000, 2);
	} else if (i % 8 == 3) {
		assert_int_equal(
			command(5, 0, i & 8 ? "\0\0\0\0\0\0\0\0" : "\202\0\0\0\0\0\0\0", 8), 0);
	}
}

/* Two pairs on two threads, each with its own frames, while the device is stopped, told other filters, its
 * interrupts are turned on and off; and both die and live together. */
static void test_two_loops(void **state)
{
	static const uint64_t features[] = { ALL, ALL & ~BIT_ULL(VIRTIO_F_RING_PACKED) };
	struct virtio_device *v;
	struct vt_buf small;

	make("netdev=n,iothread=one:two");
	v = (struct virtio_device *)dev;
	assert_int_equal(v->n_lanes, 2);
	assert_ptr_equal(virtio_lane(v, 0), virtio_lane(v, 1));
	assert_ptr_equal(virtio_lane(v, 2), virtio_lane(v, 3));
	assert_ptr_not_equal(virtio_lane(v, 0)->loop, virtio_lane(v, 2)->loop);
	assert_ptr_equal(virtio_lane(v, 4)->loop, v->pci.dev.home);
	for (uint32_t round = 0; round < 4; round++) {
		pairs_start(features[round & 1], PAIR_BUFS);
		for (uint32_t i = 0; i < 60; i++) {
			uint32_t n = 1 + i % PAIR_BUFS;

			pair_send(0, n, 1000 * i);
			pair_send(1, n, 1000 * i + 500);
			stop_and_go(i);
			pair_receive(1, n, 1000 * i + 500);
			pair_receive(0, n, 1000 * i);
		}
		assert_int_equal(vt_status(t), 15);
		/* Reset in the middle of it, by the driver or as a whole. */
		pair_send(0, PAIR_BUFS, 7);
		pair_send(1, PAIR_BUFS, 8);
		if (round & 1)
			dev->type->reset(dev);
		if (round & 1)
			assert_true(vt_attach(t, v));
		assert_true(vt_reset(t));
		vt_run(t);
	}
	/* The other loop's queue is broken: the device is. */
	pairs_start(ALL, PAIR_BUFS);
	small = (struct vt_buf){ pair_tx[0][0], 2000, false };
	assert_true(vt_send(t, 2, &small, 1, false) >= 0);
	for (uint32_t k = 0; k < PAIR_BUFS + 1u; k++) {
		pair_send(1, 1, k);
		for (int i = 0; i < 20 && !(vt_status(t) & VIRTIO_S_NEEDS_RESET); i++)
			vt_run(t);
		if (vt_status(t) & VIRTIO_S_NEEDS_RESET)
			break;
	}
	assert_true(vt_status(t) & VIRTIO_S_NEEDS_RESET);
	pairs_start(ALL, PAIR_BUFS);
	pair_send(1, 5, 3);
	pair_receive(1, 5, 3);
}

static void wait_sent(unsigned int pair, uint32_t n)
{
	int64_t end = clock_mono_ns() + 20 * NS_PER_SEC;
	uint32_t id, len;

	while (n) {
		assert_true(clock_mono_ns() < end);
		if (vt_take(t, (uint16_t)(2 * pair + 1), &id, &len))
			n--;
		else
			vt_run(t);
	}
}

/* The network is taken away while its loops move frames, and the card goes on without. */
static void test_cut(void **state)
{
	struct error err = ERROR_INIT;
	uint64_t rnd = 5;

	for (uint32_t round = 0; round < 60; round++) {
		make(round & 1 ? "netdev=n,iothread=one:two" : "netdev=n");
		pairs_start(round & 2 ? ALL : ALL & ~BIT_ULL(VIRTIO_F_RING_PACKED), PAIR_BUFS);
		vt_read(t, t->isr, 1);
		pair_send(0, PAIR_BUFS, 1);
		pair_send(1, PAIR_BUFS, 2);
		if (round & 4)
			usleep((useconds_t)(test_random(&rnd) % 300));
		assert_ptr_equal(machine_backend_del(f->m, BACKEND_NET, "n"), net);
		net_cut(net);
		assert_ptr_equal(nic_network(dev), net);
		assert_int_equal(vt_read(t, t->device + 6, 2), 0);
		assert_int_equal(vt_read(t, t->isr, 1) & 2, 2);
		/* What is sent is answered, and gone. */
		wait_sent(0, PAIR_BUFS);
		wait_sent(1, PAIR_BUFS);
		pair_send(0, 5, 3);
		pair_send(1, 5, 4);
		stop_and_go(round);
		wait_sent(0, 5);
		wait_sent(1, 5);
		net_set_link(net, true);
		vt_run(t);
		assert_int_equal(vt_read(t, t->device + 6, 2), 0);
		assert_int_equal(vt_status(t), 15);
		if (round & 8) {
			dev->type->reset(dev);
			assert_true(vt_attach(t, (struct virtio_device *)dev));
			pairs_start(ALL, PAIR_BUFS);
			assert_int_equal(vt_read(t, t->device + 6, 2), 0);
			pair_send(1, PAIR_BUFS, 1);
		}
		device_free(dev); /* and of the network what is left */
		dev = NULL;
		net = net_open_test(&err);
		assert_true(net && machine_backend_add(f->m, BACKEND_NET, "n", net, &err));
	}
}

/* A card without its network is saved as one whose plug is pulled: where it is loaded there is one. */
static void test_save_cut(void **state)
{
	struct error err = ERROR_INIT;
	AUTO(str) saved = STR_INIT;
	uint64_t rnd = 4;
	int buffers;

	make("netdev=n");
	start(ALL & ~BIT_ULL(F_GUEST_ANNOUNCE), BUFS, 1526);
	machine_backend_del(f->m, BACKEND_NET, "n");
	net_cut(net);
	dev->type->quiesce(dev);
	assert_true(device_save(dev, &saved, &err));
	/* Here it stays without. */
	load(&saved);
	dev->type->resume(dev);
	vt_run(t);
	assert_int_equal(vt_read(t, t->device + 6, 2), 0);
	device_free(dev);
	net = net_open_test(&err);
	assert_true(net && machine_backend_add(f->m, BACKEND_NET, "n", net, &err));
	dev = device_create(f->m, "virtio-net-pci", "netdev=n", &err);
	dev->type->reset(dev);
	dev->type->quiesce(dev);
	t->v = (struct virtio_device *)dev;
	load(&saved);
	dev->type->resume(dev);
	vt_run(t);
	assert_false(net_link(net));
	assert_int_equal(vt_read(t, t->device + 6, 2), 0);
	net_set_link(net, true);
	vt_run(t);
	assert_int_equal(vt_read(t, t->device + 6, 2), 1);
	echo(1000, 2, &rnd, &buffers);
}

/* Frames that wait in the second pair's back end for buffers are not the next driver's. */
static void test_next_driver(void **state)
{
	int64_t end = clock_mono_ns() + 20 * NS_PER_SEC;
	uint32_t id, len;

	make("netdev=n,iothread=one:two");
	for (uint32_t round = 0; round < 10; round++) {
		pairs_start(ALL, 0);
		pair_send(1, 5, 3);
		for (int sent = 0; sent < 5; sent += vt_take(t, 3, &id, &len)) {
			assert_true(clock_mono_ns() < end);
			vt_run(t);
		}
		if (round & 1)
			assert_true(vt_reset(t));
		pairs_start(ALL, PAIR_BUFS);
		pair_send(1, 5, 9);
		pair_receive(1, 5, 9);
	}
}

static void wait_for(void *sem)
{
	while (sem_wait(sem))
		;
}

/* The second pair's kick came after a reset, when its queue was the control queue's, to be served by the home loop;
 * the next driver has made it the second pair's again by the time that loop comes round. */
static void test_other_queue(void **state)
{
	struct loop_defer home, other;
	struct virtio_device *v;
	sem_t sem[2];

	make("netdev=n,iothread=one:two");
	v = (struct virtio_device *)dev;
	for (uint32_t round = 0; round < 4; round++) {
		for (int i = 0; i < 2; i++)
			assert_int_equal(sem_init(&sem[i], 0, 0), 0);
		loop_defer_init(&home, wait_for, &sem[0]);
		loop_defer_init(&other, wait_for, &sem[1]);
		pairs_start(ALL, PAIR_BUFS);
		pair_send(1, 5, round);
		pair_receive(1, 5, round);
		loop_post(v->pci.dev.home, &home);
		assert_true(vt_reset(t));
		vt_kick(t, 2);
		usleep(5000);
		loop_post(virtio_lane(v, 2)->loop, &other);
		pairs_begin(ALL, PAIR_BUFS);
		sem_post(&sem[0]);
		usleep(5000);
		sem_post(&sem[1]);
		assert_int_equal(command(4, 0, "\2\0", 2), 0);
		pair_send(1, 5, round);
		pair_receive(1, 5, round);
		for (int i = 0; i < 2; i++)
			sem_destroy(&sem[i]);
	}
}

static void test_loop_names(void **state)
{
	static const struct {
		const char *options, *want;
	} bad[] = {
		{ "netdev=n,iothread=a:a", "twice" },
		{ "netdev=n,iothread=a:", "missing" },
		{ "netdev=n,iothread=a:b:c", "has use for 2" },
		{ "netdev=n,mq=off,iothread=a:b", "has use for 1" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error err = ERROR_INIT;

		assert_null(device_create(f->m, "virtio-net-pci", bad[i].options, &err));
		assert_non_null(strstr(err.msg, bad[i].want));
	}
	make("netdev=n,iothread=a");
	assert_int_equal(((struct virtio_device *)dev)->n_lanes, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_echo, setup, teardown),
		cmocka_unit_test_setup_teardown(test_segments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mixed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_cpu, setup, teardown),
		cmocka_unit_test_setup_teardown(test_few_buffers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_merge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_headers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_filter, setup, teardown),
		cmocka_unit_test_setup_teardown(test_filter_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vlan, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commands, setup, teardown),
		cmocka_unit_test_setup_teardown(test_link, setup, teardown),
		cmocka_unit_test_setup_teardown(test_save, setup, teardown),
		cmocka_unit_test_setup_teardown(test_save_unplugged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_load_version_1, setup, teardown),
		cmocka_unit_test_setup_teardown(test_options, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_driver, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_buffers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_loops, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_save_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_next_driver, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loop_names, setup, teardown),
	};
	struct error err = ERROR_INIT;

	if (!log_set_level("err", &err))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
