// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-net whose frames the host's kernel moves, with a kernel made here: it keeps what the ioctls say, serves
 * the rings by the addresses that it was given, and gives back what is sent. Every way in which the rings come
 * back (link, reset, pause, save, unplug, bus mastering, queues in use, errors) and go again.
 */
#define TEST_IRQFDS
#include "core/device.h"

extern const struct device_type pci_host_type, virtio_net_pci_type;
#define TEST_DEVICE_TYPES &pci_host_type, &virtio_net_pci_type,
#include "hw/testing.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/log.h"
#include "base/wire.h"
#include "hw/virtio/net_int.h"
#include "hw/virtio/vhost.h"
#include "hw/virtio/virtio_testing.h"

#define RX	0
#define TX	1
#define BUFS	32
#define BUF_LEN 2048u
#define FEATURES                                                         \
	(BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_INDIRECT_DESC) | \
		BIT_ULL(VIRTIO_F_EVENT_IDX) | BIT_ULL(F_MRG_RXBUF) |     \
		BIT_ULL(VHOST_NET_F_VIRTIO_NET_HDR))

/* -------- the kernel -------- */

struct k_ring {
	uint32_t size;
	uint16_t last;
	int kick, call, err, backend;
	struct vhost_vring_addr addr;
};

static struct kernel {
	int fd;
	uint64_t features;
	uint32_t regions, tables;
	struct k_ring ring[2];
} kernel[2];
static pthread_mutex_t k_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long k_fails; /* this request */

static int k_request(struct kernel *k, unsigned long request, void *arg)
{
	struct vhost_vring_state *s = arg;
	struct vhost_vring_file *f = arg;
	struct k_ring *r = &k->ring[*(unsigned int *)arg & 1];

	switch (request) {
	case VHOST_SET_FEATURES:
		k->features = *(uint64_t *)arg;
		return 0;
	case VHOST_SET_MEM_TABLE:
		k->regions = ((struct vhost_memory *)arg)->nregions;
		k->tables++;
		return 0;
	case VHOST_SET_VRING_NUM:
		r->size = s->num;
		return r->backend < 0 ? 0 : -EBUSY;
	case VHOST_SET_VRING_BASE:
		r->last = (uint16_t)s->num;
		return r->backend < 0 ? 0 : -EBUSY;
	case VHOST_GET_VRING_BASE:
		s->num = r->last;
		return 0;
	case VHOST_SET_VRING_ADDR:
		r->addr = *(struct vhost_vring_addr *)arg;
		return 0;
	case VHOST_SET_VRING_KICK:
		r->kick = f->fd;
		return 0;
	case VHOST_SET_VRING_CALL:
		r->call = f->fd;
		return 0;
	case VHOST_SET_VRING_ERR:
		r->err = f->fd;
		return 0;
	case VHOST_NET_SET_BACKEND:
		r->backend = f->fd;
		return 0;
	default:
		return -ENOTTY;
	}
}

static int k_ioctl(int fd, unsigned long request, void *arg)
{
	struct kernel *k = fd == kernel[0].fd ? &kernel[0] : &kernel[1];
	int rc;

	assert_true(fd == k->fd);
	pthread_mutex_lock(&k_lock);
	rc = request == k_fails ? -ENOMEM : k_request(k, request, arg);
	pthread_mutex_unlock(&k_lock);
	return rc;
}

static uint8_t *at(uint64_t user)
{
	return (uint8_t *)(uintptr_t)user;
}

static void k_used(struct k_ring *r, uint16_t head, uint32_t len)
{
	uint8_t *used = at(r->addr.used_user_addr);
	uint16_t idx = rd_le16(used + 2);

	wr_le32(used + 4 + idx % r->size * 8, head);
	wr_le32(used + 8 + idx % r->size * 8, len);
	wr_le16(used + 2, idx + 1);
}

/* The descriptor of the next available chain, which has one; NULL: none. */
static uint8_t *k_next(struct k_ring *r, uint16_t *head)
{
	uint8_t *avail = at(r->addr.avail_user_addr);

	if (r->last == rd_le16(avail + 2))
		return NULL;
	*head = rd_le16(avail + 4 + r->last++ % r->size * 2);
	return at(r->addr.desc_user_addr) + *head * 16;
}

/* Give back what is sent; no address is translated, as the memory begins at 0. */
static int k_serve(struct kernel *k, struct test_machine *f)
{
	struct k_ring *rx = &k->ring[RX], *tx = &k->ring[TX];
	uint16_t head, to;
	uint8_t *d, *in;
	int n = 0;

	pthread_mutex_lock(&k_lock);
	while (tx->kick >= 0 && (d = k_next(tx, &head))) {
		uint32_t len = rd_le32(d + 8);

		in = k_next(rx, &to);
		assert_non_null(in);
		memcpy(f->ram->host + rd_le64(in), f->ram->host + rd_le64(d), len);
		wr_le16(f->ram->host + rd_le64(in) + 10, 1);
		k_used(rx, to, len);
		k_used(tx, head, 0);
		assert_int_equal(eventfd_write(rx->call, 1), 0);
		n++;
	}
	pthread_mutex_unlock(&k_lock);
	return n;
}

/* -------- the machine -------- */

static struct test_machine *f;
static struct vt_driver *t;
static struct net_dev *net;
static struct device *dev;
static uint64_t tx_at, ctrl_at;

static int setup(void **state)
{
	struct error err = ERROR_INIT;
	int fds[2];

	f = fixture_new(&test_pci);
	t = calloc(1, sizeof(*t));
	net = net_open_test(&err);
	assert_true(t && net && machine_backend_add(f->m, BACKEND_NET, "n", net, &err));
	vhost_ioctl = k_ioctl;
	k_fails = 0;
	for (int i = 0; i < 2; i++) {
		kernel[i] = (struct kernel){ .fd = fds[i] = eventfd(0, EFD_CLOEXEC) };
		for (int r = 0; r < 2; r++)
			kernel[i].ring[r].backend = kernel[i].ring[r].call =
				kernel[i].ring[r].kick = kernel[i].ring[r].err = -1;
	}
	net_test_vhost(net, fds, FEATURES);
	return 0;
}

static int teardown(void **state)
{
	static const int none[2] = { -1, -1 };

	device_free(dev);
	dev = NULL;
	/* Nothing of ours is left with the kernel. */
	for (int i = 0; i < 2; i++) {
		for (int r = 0; r < 2; r++) {
			struct k_ring *k = &kernel[i].ring[r];

			assert_true(k->backend < 0 && k->call < 0 && k->kick < 0 && k->err < 0);
		}
		close(kernel[i].fd);
	}
	net_test_vhost(net, none, 0);
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

/* A vector of MSI-X for each queue, as Linux has it. */
static void use_msix(void)
{
	struct pci_device *p = (struct pci_device *)dev;
	uint64_t table = p->bar[0].mapped_at + 0x2000;

	for (uint16_t i = 0; i < p->msix.n; i++) {
		vt_write(t, table + i * 16u, 4, 0xfee00000);
		vt_write(t, table + i * 16u + 8, 4, 0x40u + i);
		vt_write(t, table + i * 16u + 12, 4, 0);
	}
	pci_config_write(f->host, 0, p->devfn, p->msix.cap + 2u, 0x8000, 2);
}

static void set_vectors(int n)
{
	for (uint16_t q = 0; q < n; q++) {
		vt_write(t, t->common + 0x16, 2, q);
		vt_write(t, t->common + 0x1a, 2, q + 1u);
	}
}

static void give_buffers(uint16_t queue)
{
	for (int i = 0; i < BUFS; i++) {
		struct vt_buf b = { vt_alloc(t, BUF_LEN, 16), BUF_LEN, true };

		assert_true(b.addr && vt_send(t, queue, &b, 1, false) >= 0);
	}
	vt_kick(t, queue);
}

static void start(bool msix)
{
	uint16_t queues = 5;

	if (msix)
		use_msix();
	assert_true(vt_init(t, UINT64_MAX));
	if (!(t->features >> F_MQ & 1))
		queues = 3;
	for (uint16_t q = 0; q < queues; q++)
		assert_true(vt_queue_init(t, q, 0));
	if (msix)
		set_vectors(queues);
	vt_start(t);
	tx_at = vt_alloc(t, 4096, 16);
	ctrl_at = vt_alloc(t, 4096, 16);
	give_buffers(RX);
	vt_run(t);
}

static bool runs(int pair)
{
	/* The test's network has a descriptor for the first pair alone. */
	return (kernel[pair].ring[RX].backend >= 0 || pair) && kernel[pair].ring[RX].kick >= 0 &&
	       kernel[pair].ring[TX].kick >= 0;
}

/* Send a frame and have it back; @served: by the kernel of @pair. */
static void echo(int pair, bool served)
{
	static uint64_t seed = 3;
	uint8_t *mem = f->ram->host;
	uint32_t len = 60 + (uint32_t)(test_random(&seed) % 1400), id, got;
	uint16_t rx = (uint16_t)(2 * pair), tx = rx + 1;
	struct vt_buf b = { tx_at, len + 12, false };

	memset(mem + tx_at, 0, 12);
	for (uint32_t i = 0; i < len; i++)
		mem[tx_at + 12 + i] = (uint8_t)test_random(&seed);
	mem[tx_at + 12] = 0x52;
	assert_true(vt_send(t, tx, &b, 1, false) >= 0);
	vt_kick(t, tx);
	vt_run(t);
	assert_int_equal(k_serve(&kernel[pair], f), served ? 1 : 0);
	vt_run(t);
	assert_true(vt_take(t, tx, &id, &got));
	assert_true(vt_take(t, rx, &id, &got));
	assert_int_equal(got, len + 12);
	/* Its buffer goes back. */
	{
		uint8_t *desc = mem + t->q[rx].desc + id * 16;
		struct vt_buf back = { rd_le64(desc), BUF_LEN, true };

		assert_memory_equal(mem + back.addr + 12, mem + tx_at + 12, len);
		assert_true(vt_send(t, rx, &back, 1, false) >= 0);
	}
	vt_kick(t, rx);
	vt_run(t);
}

static int command(uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
	uint8_t *mem = f->ram->host;
	struct vt_buf b[] = { { ctrl_at, 2, false }, { ctrl_at + 2, len, false },
		{ ctrl_at + 4000, 1, true } };

	mem[ctrl_at] = class;
	mem[ctrl_at + 1] = cmd;
	memcpy(mem + ctrl_at + 2, data, len);
	assert_int_equal(vt_call(t, 4, b, 3), 1);
	return mem[ctrl_at + 4000];
}

/* -------- tests -------- */

static void test_echo(void **state)
{
	make("netdev=n");
	assert_false(runs(0));
	start(false);
	assert_true(runs(0) && !runs(1));
	/* What vhost-net does not have is not offered. */
	assert_false(t->features >> VIRTIO_F_RING_PACKED & 1);
	assert_true(t->features >> VIRTIO_F_EVENT_IDX & 1);
	assert_int_equal(kernel[0].features, FEATURES & ~BIT_ULL(VHOST_NET_F_VIRTIO_NET_HDR));
	assert_int_equal(kernel[0].regions, 1);
	for (int i = 0; i < 300; i++)
		echo(0, true);
	/* Without MSI-X the interrupt comes by us. */
	assert_int_equal(vt_read(t, t->isr, 1) & 1, 1);
}

static void test_lacks(void **state)
{
	int fds[2] = { kernel[0].fd, kernel[1].fd };

	net_test_vhost(net, fds, BIT_ULL(VIRTIO_F_VERSION_1));
	make("netdev=n");
	start(false);
	assert_false(t->features & (BIT_ULL(F_MRG_RXBUF) | BIT_ULL(VIRTIO_F_EVENT_IDX) |
					   BIT_ULL(VIRTIO_F_INDIRECT_DESC)));
	assert_true(runs(0));
	echo(0, true);
}

static void test_link(void **state)
{
	uint32_t id, len;
	struct vt_buf b;

	make("netdev=n");
	start(false);
	for (int round = 0; round < 3; round++) {
		echo(0, true);
		net_set_link(net, false);
		vt_run(t);
		assert_false(runs(0));
		assert_true(kernel[0].ring[TX].kick < 0);
		/* What is sent now is gone, but answered: by us. */
		b = (struct vt_buf){ tx_at, 100, false };
		vt_send(t, TX, &b, 1, false);
		vt_kick(t, TX);
		vt_run(t);
		assert_true(vt_take(t, TX, &id, &len));
		net_set_link(net, true);
		vt_run(t);
		assert_true(runs(0));
		echo(0, true);
	}
}

static void pull_plug(void *still_runs)
{
	net_set_link(net, false);
	*(bool *)still_runs = runs(0);
}

/* When the card has been told that the link is down the kernel has nothing any more. */
static void test_link_at_once(void **state)
{
	bool still_runs = true;

	make("netdev=n");
	start(true);
	echo(0, true);
	loop_call(dev->home, pull_plug, &still_runs);
	assert_false(still_runs);
}

/* The network goes: when that returns the kernel has nothing any more, and nothing comes back. */
static void test_cut(void **state)
{
	struct error err = ERROR_INIT;
	uint32_t id, len;
	struct vt_buf b;

	for (int round = 0; round < 8; round++) {
		int fds[2] = { kernel[0].fd, kernel[1].fd };

		make("netdev=n");
		start(round & 1);
		echo(0, true);
		if (round & 2)
			net_set_link(net, false);
		machine_backend_del(f->m, BACKEND_NET, "n");
		net_cut(net);
		for (int r = 0; r < 2; r++) {
			const struct k_ring *k = &kernel[0].ring[r];

			assert_true(k->backend < 0 && k->call < 0 && k->kick < 0 && k->err < 0);
		}
		b = (struct vt_buf){ tx_at, 100, false };
		vt_send(t, TX, &b, 1, false);
		vt_kick(t, TX);
		net_set_link(net, true);
		dev->type->quiesce(dev);
		dev->type->resume(dev);
		vt_run(t);
		assert_true(vt_take(t, TX, &id, &len));
		assert_false(runs(0));
		if (round & 4) {
			start(false);
			assert_false(runs(0));
		}
		device_free(dev);
		dev = NULL;
		net = net_open_test(&err);
		assert_true(net && machine_backend_add(f->m, BACKEND_NET, "n", net, &err));
		net_test_vhost(net, fds, FEATURES);
	}
}

static void test_reset(void **state)
{
	make("netdev=n");
	for (int round = 0; round < 3; round++) {
		start(round & 1);
		echo(0, true);
		/* In the time between, the driver must not be told that it is over. */
		vt_write(t, t->common + 0x14, 1, 0);
		while (vt_read(t, t->common + 0x14, 1))
			vt_run(t);
		assert_false(runs(0));
	}
	start(true);
	dev->type->quiesce(dev);
	dev->type->reset(dev);
	assert_false(runs(0));
	dev->type->resume(dev);
	assert_true(vt_attach(t, (struct virtio_device *)dev));
	start(true);
	echo(0, true);
}

static void test_pause_and_save(void **state)
{
	struct error err = ERROR_INIT;
	AUTO(str) saved = STR_INIT;
	struct virtio_device *v;
	uint16_t last;

	make("netdev=n");
	v = (struct virtio_device *)dev;
	start(true);
	for (int i = 0; i < 5; i++)
		echo(0, true);
	last = kernel[0].ring[TX].last;
	/* A driver that plays with the used ring harms itself alone. */
	wr_le16(f->ram->host + t->q[TX].used + 2, 77);
	dev->type->quiesce(dev);
	assert_false(runs(0));
	assert_int_equal(v->vq[TX].last_avail, last);
	assert_int_equal(v->vq[TX].used_idx, last);
	wr_le16(f->ram->host + t->q[TX].used + 2, last);
	assert_true(device_save(dev, &saved, &err));
	if (!device_load(dev, saved.s, saved.len, &err))
		fail_msg("%s", err.msg);
	dev->type->resume(dev);
	vt_run(t);
	assert_true(runs(0));
	assert_int_equal(kernel[0].ring[TX].last, last);
	for (int i = 0; i < 5; i++)
		echo(0, true);
}

static void test_pairs(void **state)
{
	make("netdev=n");
	start(true);
	give_buffers(2);
	assert_int_equal(command(4, 0, "\2\0", 2), 0);
	vt_run(t);
	assert_true(runs(0) && runs(1));
	for (int i = 0; i < 5; i++) {
		echo(0, true);
		echo(1, true);
	}
	assert_int_equal(command(4, 0, "\1\0", 2), 0);
	vt_run(t);
	assert_true(runs(0) && !runs(1));
	echo(0, true);
	assert_int_equal(command(4, 0, "\2\0", 2), 0);
	vt_run(t);
	echo(1, true);
}

/* Interrupts go by the vectors' routes; what comes while one is masked is pending. */
static void test_vectors(void **state)
{
	struct pci_device *p;
	uint64_t table, pba;
	int gsi;

	make("netdev=n");
	p = (struct pci_device *)dev;
	start(true);
	table = p->bar[0].mapped_at + 0x2000;
	pba = p->bar[0].mapped_at + 0x3000;
	gsi = p->msix.vectors[1].gsi;
	assert_int_equal(kernel[0].ring[RX].call, p->msix.vectors[1].eventfd);
	assert_int_equal(kernel[0].ring[TX].call, p->msix.vectors[2].eventfd);
	assert_true(test_irqfd_joined(gsi));
	echo(0, true);
	test_irqfd_take(gsi);
	vt_write(t, table + 16 + 12, 4, 1);
	assert_false(test_irqfd_joined(gsi));
	assert_int_equal(vt_read(t, pba, 8), 0);
	echo(0, true);
	assert_int_equal(vt_read(t, pba, 8), 2);
	vt_write(t, table + 16 + 12, 4, 0);
	assert_true(test_irqfd_joined(gsi) && test_irqfd_take(gsi));
	assert_int_equal(vt_read(t, pba, 8), 0);
	/* Pending over a pause. */
	vt_write(t, table + 16 + 12, 4, 1);
	echo(0, true);
	dev->type->quiesce(dev);
	assert_true(p->msix.table[1].pending);
	dev->type->resume(dev);
	vt_run(t);
	assert_int_equal(vt_read(t, pba, 8), 2);
	vt_write(t, table + 16 + 12, 4, 0);
	assert_true(test_irqfd_take(gsi));
	/* Another vector, two queues on one, none. */
	vt_write(t, t->common + 0x16, 2, RX);
	vt_write(t, t->common + 0x1a, 2, 2);
	vt_run(t);
	assert_int_equal(kernel[0].ring[RX].call, p->msix.vectors[2].eventfd);
	assert_int_equal(p->msix.vectors[2].lent, 2);
	assert_int_equal(p->msix.vectors[1].lent, 0);
	vt_write(t, t->common + 0x1a, 2, 0xffff);
	vt_run(t);
	assert_int_not_equal(kernel[0].ring[RX].call, p->msix.vectors[2].eventfd);
	echo(0, true);
	/* MSI-X off: the pin. */
	vt_read(t, t->isr, 1);
	pci_config_write(f->host, 0, p->devfn, p->msix.cap + 2u, 0, 2);
	vt_run(t);
	echo(0, true);
	assert_int_equal(vt_read(t, t->isr, 1) & 1, 1);
	pci_config_write(f->host, 0, p->devfn, p->msix.cap + 2u, 0x8000, 2);
	vt_run(t);
	assert_int_equal(kernel[0].ring[TX].call, p->msix.vectors[2].eventfd);
}

static void test_memory(void **state)
{
	struct error err = ERROR_INIT;
	struct ram_config rc = { .name = "more", .size = MIB, .host_node = -1 };
	struct ram_block *more = ram_block_new(&rc, &err);
	struct as_region region = { .name = "more", .kind = AS_RAM, .priority = -10, .ram = more };
	uint32_t tables;

	make("netdev=n");
	start(true);
	assert_int_equal(kernel[0].regions, 1);
	assert_int_equal(as_add(&f->m->mem, &region, 64 * MIB, MIB), 0);
	vt_run(t);
	assert_int_equal(kernel[0].regions, 2);
	assert_true(runs(0));
	echo(0, true);
	as_del(&f->m->mem, &region);
	vt_run(t);
	assert_int_equal(kernel[0].regions, 1);
	ram_block_unref(more);
	/* What changes nothing costs nothing. */
	tables = kernel[0].tables;
	net_apply_later((struct virtio_net *)dev);
	vt_run(t);
	assert_int_equal(kernel[0].tables, tables);
	echo(0, true);
}

/* Pages whose writes somebody has to see are not for the kernel. */
static void test_dirty_log(void **state)
{
	struct error err = ERROR_INIT;

	assert_true(ram_dirty_start(f->ram, &err));
	make("netdev=n");
	start(false);
	assert_true(t->features >> VIRTIO_F_EVENT_IDX & 1);
	assert_false(runs(0));
	device_free(dev);
	dev = NULL;
	ram_dirty_stop(f->ram);
	make("netdev=n");
	start(false);
	assert_true(runs(0));
	assert_true(ram_dirty_start(f->ram, &err));
	net_apply_later((struct virtio_net *)dev);
	vt_run(t);
	assert_false(runs(0));
	ram_dirty_stop(f->ram);
	echo(0, false);
}

static void test_refused(void **state)
{
	static const unsigned long requests[] = { VHOST_SET_FEATURES, VHOST_SET_MEM_TABLE,
		VHOST_SET_VRING_NUM, VHOST_SET_VRING_BASE, VHOST_SET_VRING_ADDR,
		VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR };

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		make("netdev=n");
		k_fails = requests[i];
		start(i & 1);
		k_fails = 0;
		assert_false(runs(0));
		echo(0, false);
		echo(0, false);
		device_free(dev);
		dev = NULL;
	}
}

static void test_errors(void **state)
{
	make("netdev=n");
	start(false);
	echo(0, true);
	assert_int_equal(eventfd_write(kernel[0].ring[RX].err, 1), 0);
	for (int i = 0; i < 1000 && !(vt_status(t) & VIRTIO_S_NEEDS_RESET); i++)
		vt_run(t);
	assert_true(vt_status(t) & VIRTIO_S_NEEDS_RESET);
	vt_run(t);
	assert_false(runs(0));
	start(false);
	echo(0, true);
	assert_int_equal(vt_status(t), 15);
}

static void test_bus_master(void **state)
{
	struct pci_device *p;
	uint32_t cmd;

	make("netdev=n");
	p = (struct pci_device *)dev;
	start(true);
	cmd = pci_config_read(f->host, 0, p->devfn, PCI_COMMAND, 2);
	pci_config_write(f->host, 0, p->devfn, PCI_COMMAND, cmd & ~PCI_COMMAND_MASTER, 2);
	vt_run(t);
	assert_false(runs(0));
	pci_config_write(f->host, 0, p->devfn, PCI_COMMAND, cmd, 2);
	vt_run(t);
	assert_true(runs(0));
	echo(0, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_echo, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lacks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_link, setup, teardown),
		cmocka_unit_test_setup_teardown(test_link_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause_and_save, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pairs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vectors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dirty_log, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bus_master, setup, teardown),
	};
	struct error err = ERROR_INIT;

	if (!log_set_level("warn", &err))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
