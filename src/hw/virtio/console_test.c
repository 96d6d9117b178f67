// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-console as a driver sees it, with sockets at the other end: one console without control
 * queues, several ports with them, flow control both ways, reset and save in the middle, drivers
 * that break the rules.
 */
#include "core/device.h"

extern const struct device_type pci_host_type, virtio_console_pci_type;
#define TEST_DEVICE_TYPES &pci_host_type, &virtio_console_pci_type,
#include "hw/testing.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/log.h"
#include "chardev/chardev.h"
#include "hw/virtio/driver.h"

#define F_SIZE	     BIT_ULL(0)
#define F_MULTIPORT  BIT_ULL(1)
#define F_EMERG	     BIT_ULL(2)
#define ALL_FEATURES (UINT32_MAX & ~BIT_ULL(VIRTIO_F_EVENT_IDX))
#define CHARDEVS     3

struct env {
	struct test_machine *f;
	struct chardev *c[CHARDEVS];
	char path[CHARDEVS][64];
	int fd[CHARDEVS]; /* our end; -1: not connected */
	struct device *dev;
	struct drv d;
};

static void dial(struct env *e, int i)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	e->fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", e->path[i]);
	assert_int_equal(connect(e->fd[i], (struct sockaddr *)&a, sizeof(a)), 0);
	fcntl(e->fd[i], F_SETFL, O_NONBLOCK);
	while (!chardev_is_open(e->c[i]))
		loop_run_once(e->f->loop, 100);
}

static void hang_up(struct env *e, int i)
{
	close(e->fd[i]);
	e->fd[i] = -1;
}

static void env_open(struct env *e, const char *options)
{
	static int n;
	struct error err = ERROR_INIT;

	e->f = fixture_new(&test_pci);
	for (int i = 0; i < CHARDEVS; i++) {
		char id[8], spec[80];

		e->fd[i] = -1;
		snprintf(id, sizeof(id), "c%d", i);
		snprintf(e->path[i], sizeof(e->path[i]), "/tmp/lodge-con-%d-%d", getpid(), n++);
		snprintf(spec, sizeof(spec), "unix:%s,server", e->path[i]);
		e->c[i] = chardev_open(spec, id, e->f->loop, &err);
		assert_non_null(e->c[i]);
		assert_true(machine_backend_add(e->f->m, BACKEND_CHARDEV, id, e->c[i], &err));
	}
	e->dev = device_create(e->f->m, "virtio-console-pci", options, &err);
	if (!e->dev)
		fail_msg("%s", err.msg);
	e->dev->type->reset(e->dev);
	drv_probe(&e->d, e->f, e->dev);
}

static void env_close(struct env *e)
{
	device_free(e->dev);
	for (int i = 0; i < CHARDEVS; i++) {
		chardev_close(e->c[i]);
		if (e->fd[i] >= 0)
			close(e->fd[i]);
	}
	fixture_free(e->f);
}

/* Each queue has 64 KiB of guest memory for its buffers. */
static uint64_t heap(unsigned int q)
{
	return DRV_HEAP + q * 0x10000ull;
}

/* Offer @n input buffers of @len bytes. */
static void offer(struct env *e, unsigned int q, int n, uint32_t len)
{
	for (int i = 0; i < n; i++) {
		struct drv_buf b = { heap(q) + (uint64_t)i * len, len };

		drv_add(&e->d, q, &b, 0, 1, 0);
	}
	drv_kick(&e->d, q);
}

static uint64_t buf_addr(struct env *e, unsigned int q, int head)
{
	return rd_le64(drv_mem(&e->d, drv_ring(q) + (uint64_t)head * 16));
}

/* Send from the guest. */
static void send_out(struct env *e, unsigned int q, const void *p, uint32_t n)
{
	struct drv_buf b = { heap(q), n };

	memcpy(drv_mem(&e->d, b.addr), p, n);
	drv_add(&e->d, q, &b, 1, 0, 0);
	drv_kick(&e->d, q);
}

static void expect_host(struct env *e, int i, const char *text)
{
	char buf[256];
	size_t n = 0;

	DRV_UNTIL(&e->d, ({
		ssize_t r = read(e->fd[i], buf + n, sizeof(buf) - 1 - n);

		n += r > 0 ? (size_t)r : 0;
		n >= strlen(text);
	}));
	buf[n] = 0;
	assert_string_equal(buf, text);
}

static void expect_guest(struct env *e, unsigned int q, const char *text)
{
	char buf[256] = "";
	size_t n = 0;

	while (n < strlen(text)) {
		uint32_t len;
		int head = drv_wait(&e->d, q, &len);

		memcpy(buf + n, drv_mem(&e->d, buf_addr(e, q, head)), len);
		n += len;
	}
	assert_string_equal(buf, text);
}

static void put_host(struct env *e, int i, const char *text)
{
	assert_int_equal(write(e->fd[i], text, strlen(text)), strlen(text));
}

/* -------- one console -------- */

static void test_single(void **state)
{
	struct env e;

	env_open(&e, "console=c0");
	assert_false(drv_offered(&e.d) & F_MULTIPORT);
	assert_int_equal(drv_read(&e.d, 0x12, 2), 2);
	dial(&e, 0);
	drv_start(&e.d, ALL_FEATURES);
	send_out(&e, 1, "hello host", 10);
	drv_wait(&e.d, 1, NULL);
	expect_host(&e, 0, "hello host");
	/* Input waits for buffers, then comes in their sizes. */
	put_host(&e, 0, "hello guest");
	for (int i = 0; i < 5; i++)
		drv_breathe(&e.d);
	assert_int_equal(drv_used(&e.d, 0, NULL), -1);
	offer(&e, 0, 2, 4);
	expect_guest(&e, 0, "hello gu");
	offer(&e, 0, 2, 4);
	expect_guest(&e, 0, "est");
	put_host(&e, 0, "more");
	expect_guest(&e, 0, "more");
	/* Emergency write. */
	drv_write(&e.d, 0x108, '!', 4);
	expect_host(&e, 0, "!");
	/* Without a peer output is dropped, with the next one it goes on. */
	hang_up(&e, 0);
	DRV_UNTIL(&e.d, !chardev_is_open(e.c[0]));
	send_out(&e, 1, "lost", 4);
	drv_wait(&e.d, 1, NULL);
	dial(&e, 0);
	send_out(&e, 1, "again", 5);
	drv_wait(&e.d, 1, NULL);
	expect_host(&e, 0, "again");
	env_close(&e);
}

/* A host that doesn't read holds the guest's output; all arrives in order when it does. */
static void test_output_flow(void **state)
{
	static char all[40 * 50000], got[sizeof(all)];
	size_t sent = 0, n = 0;
	struct env e;

	env_open(&e, "console=c0");
	dial(&e, 0);
	drv_start(&e.d, ALL_FEATURES);
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)(i * 11 + i / 997);
	while (n < sizeof(all)) {
		ssize_t r;

		if (e.d.q[1].n_free == DRV_SIZE && sent < sizeof(all)) {
			send_out(&e, 1, all + sent, 50000);
			sent += 50000;
			for (int i = 0; i < 3; i++)
				drv_breathe(&e.d);
		}
		/* Read little, until the guest is held up for sure. */
		r = read(e.fd[0], got + n, sent < 800000 ? 1000 : 100000);
		n += r > 0 ? (size_t)r : 0;
		if (sent == 800000 && n < 100000) {
			AUTO(str) saved = STR_INIT;
			struct error err = ERROR_INIT;

			/* Saved and loaded in the middle of a chain. */
			e.dev->type->quiesce(e.dev);
			assert_true(device_save(e.dev, &saved, &err));
			if (!device_load(e.dev, saved.s, saved.len, &err))
				fail_msg("%s", err.msg);
			e.dev->type->resume(e.dev);
		}
		drv_breathe(&e.d);
		drv_used(&e.d, 1, NULL);
	}
	assert_memory_equal(all, got, sizeof(all));
	env_close(&e);
}

/* Input while the machine is stopped stays in the socket. */
static void test_stopped(void **state)
{
	struct env e;

	env_open(&e, "console=c0");
	dial(&e, 0);
	drv_start(&e.d, ALL_FEATURES);
	offer(&e, 0, 10, 16);
	drv_breathe(&e.d);
	e.dev->type->quiesce(e.dev);
	put_host(&e, 0, "later");
	send_out(&e, 1, "out", 3);
	for (int i = 0; i < 5; i++)
		drv_breathe(&e.d);
	assert_int_equal(drv_used(&e.d, 0, NULL), -1);
	assert_int_equal(drv_used(&e.d, 1, NULL), -1);
	e.dev->type->resume(e.dev);
	expect_guest(&e, 0, "later");
	expect_host(&e, 0, "out");
	env_close(&e);
}

/* -------- several ports -------- */

struct msg {
	uint32_t id;
	uint16_t event, value;
	char text[80];
};

static struct msg control_get(struct env *e)
{
	struct msg m = { 0 };
	uint32_t len;
	int head = drv_wait(&e->d, 2, &len);
	uint8_t *p = drv_mem(&e->d, buf_addr(e, 2, head));
	struct drv_buf b = { buf_addr(e, 2, head), 128 };

	assert_true(len >= 8 && len < 88);
	m.id = rd_le32(p);
	m.event = rd_le16(p + 4);
	m.value = rd_le16(p + 6);
	memcpy(m.text, p + 8, len - 8);
	drv_add(&e->d, 2, &b, 0, 1, 0);
	drv_kick(&e->d, 2);
	return m;
}

static void expect_control(
	struct env *e, uint32_t id, uint16_t event, uint16_t value, const char *text)
{
	struct msg m = control_get(e);

	assert_int_equal(m.id, id);
	assert_int_equal(m.event, event);
	assert_int_equal(m.value, value);
	assert_string_equal(m.text, text);
}

static void control_put(struct env *e, uint32_t id, uint16_t event, uint16_t value)
{
	uint8_t m[8];

	wr_le32(m, id);
	wr_le16(m + 4, event);
	wr_le16(m + 6, value);
	send_out(e, 3, m, 8);
	drv_wait(&e->d, 3, NULL);
}

static void bring_up(struct env *e)
{
	drv_start(&e->d, ALL_FEATURES);
	assert_true(e->d.features & F_MULTIPORT);
	control_put(e, 0, 0, 1); /* the messages wait for buffers */
	for (int i = 0; i < 3; i++)
		drv_breathe(&e->d);
	offer(e, 2, 8, 128);
	expect_control(e, 0, 1, 1, "");
	expect_control(e, 1, 1, 1, "");
	expect_control(e, 2, 1, 1, "");
}

static void test_ports(void **state)
{
	struct env e;

	env_open(&e, "console=c0,port=c1:org.lodge.agent,port=c2");
	assert_int_equal(drv_read(&e.d, 0x12, 2), 8);
	assert_int_equal(drv_config(&e.d, 4, 4), 3);
	bring_up(&e);
	control_put(&e, 0, 3, 1);
	expect_control(&e, 0, 4, 1, "");
	control_put(&e, 1, 3, 1);
	expect_control(&e, 1, 7, 1, "org.lodge.agent");
	dial(&e, 2);
	expect_control(&e, 2, 6, 1, "");
	control_put(&e, 2, 3, 1);
	expect_control(&e, 2, 6, 1, "");
	/* A closed port takes no input, an opened one does. */
	put_host(&e, 2, "to port 2");
	offer(&e, 6, 4, 32);
	for (int i = 0; i < 5; i++)
		drv_breathe(&e.d);
	assert_int_equal(drv_used(&e.d, 6, NULL), -1);
	control_put(&e, 2, 6, 1);
	expect_guest(&e, 6, "to port 2");
	send_out(&e, 7, "from port 2", 11);
	drv_wait(&e.d, 7, NULL);
	expect_host(&e, 2, "from port 2");
	hang_up(&e, 2);
	expect_control(&e, 2, 6, 0, "");
	dial(&e, 1);
	expect_control(&e, 1, 6, 1, "");
	control_put(&e, 1, 6, 1);
	offer(&e, 4, 4, 32);
	put_host(&e, 1, "agent");
	expect_guest(&e, 4, "agent");
	/* Nonsense is ignored. */
	control_put(&e, 99, 6, 1);
	control_put(&e, UINT32_MAX, 3, 1);
	control_put(&e, 1, 77, 1);
	send_out(&e, 3, "abc", 3);
	drv_wait(&e.d, 3, NULL);
	assert_int_equal(drv_status(&e.d), 15);
	/* After a reset all begins anew. */
	bring_up(&e);
	control_put(&e, 1, 3, 1);
	expect_control(&e, 1, 7, 1, "org.lodge.agent");
	expect_control(&e, 1, 6, 1, "");
	env_close(&e);
}

/* MULTIPORT offered but not taken: port 0 works, the rest is dead. */
static void test_without_multiport(void **state)
{
	struct env e;

	env_open(&e, "console=c0,port=c1");
	dial(&e, 0);
	dial(&e, 1);
	drv_start(&e.d, 0);
	send_out(&e, 1, "plain", 5);
	drv_wait(&e.d, 1, NULL);
	expect_host(&e, 0, "plain");
	offer(&e, 0, 2, 16);
	offer(&e, 2, 2, 16);
	put_host(&e, 0, "in");
	put_host(&e, 1, "nowhere");
	expect_guest(&e, 0, "in");
	send_out(&e, 3, "\0\0\0\0\0\0\1\0", 8);
	for (int i = 0; i < 5; i++)
		drv_breathe(&e.d);
	assert_int_equal(drv_used(&e.d, 2, NULL), -1);
	env_close(&e);
}

static void test_save_ports(void **state)
{
	AUTO(str) saved = STR_INIT;
	struct error err = ERROR_INIT;
	struct env e;

	env_open(&e, "console=c0,port=c1:name,port=c2");
	bring_up(&e);
	dial(&e, 1);
	expect_control(&e, 1, 6, 1, "");
	control_put(&e, 1, 6, 1);
	offer(&e, 4, 4, 32);
	e.dev->type->quiesce(e.dev);
	assert_true(device_save(e.dev, &saved, &err));
	e.dev->type->reset(e.dev);
	e.dev->type->quiesce(e.dev);
	if (!device_load(e.dev, saved.s, saved.len, &err))
		fail_msg("%s", err.msg);
	e.dev->type->resume(e.dev);
	put_host(&e, 1, "still open");
	expect_guest(&e, 4, "still open");
	env_close(&e);
}

/* -------- bad drivers -------- */

static void test_bad_drivers(void **state)
{
	struct drv_buf b = { DRV_HEAP, 16 };
	uint64_t rnd = 3;
	struct env e;

	env_open(&e, "console=c0,port=c1,port=c2");
	dial(&e, 0);
	/* An input buffer that cannot be written. */
	drv_start(&e.d, 0);
	put_host(&e, 0, "x");
	drv_add(&e.d, 0, &b, 1, 0, 0);
	drv_kick(&e.d, 0);
	DRV_UNTIL(&e.d, drv_status(&e.d) & VIRTIO_S_NEEDS_RESET);
	for (int i = 0; i < 600; i++) {
		unsigned int q = (unsigned int)(test_random(&rnd) % 8);
		uint8_t *ring;

		drv_start(&e.d, i & 1 ? ALL_FEATURES : 0);
		ring = drv_mem(&e.d, drv_ring(q));
		for (int k = 0; k < DRV_SIZE; k++) {
			uint64_t r = test_random(&rnd);

			wr_le64(ring + k * 16, r % 8 ? DRV_HEAP + r % 0x20000 : r);
			wr_le32(ring + k * 16 + 8, (uint32_t)(r >> 32) % 5000);
			wr_le16(ring + k * 16 + 12, (uint16_t)(test_random(&rnd) % 8));
			wr_le16(ring + k * 16 + 14, (uint16_t)(r >> 11 & 127));
			wr_le16(ring + DRV_AVAIL + 4 + k * 2, (uint16_t)(test_random(&rnd) % 66));
		}
		for (uint64_t k = 0; k < 0x20000; k += 8)
			wr_le64(drv_mem(&e.d, DRV_HEAP + k),
				test_random(&rnd) & 0x0001000700000003);
		wr_le16(ring + DRV_AVAIL + 2, (uint16_t)(test_random(&rnd) % (i % 4 ? 64 : 65536)));
		drv_kick(&e.d, q);
		(void)!write(e.fd[0], "noise", 5);
		for (int k = 0; k < 3; k++) {
			char buf[4096];

			loop_run_once(e.f->loop, 0);
			while (read(e.fd[0], buf, sizeof(buf)) > 0)
				;
		}
	}
	bring_up(&e);
	env_close(&e);
}

static void expect_error(struct env *e, const char *options, const char *part)
{
	struct error err = ERROR_INIT;

	assert_null(device_create(e->f->m, "virtio-console-pci", options, &err));
	assert_contains(err.msg, part);
}

static void test_options(void **state)
{
	struct env e;

	env_open(&e, "console=c0");
	expect_error(&e, NULL, "at least one");
	expect_error(&e, "console=c0", "already used");
	expect_error(&e, "console=nosuch", "nosuch");
	expect_error(&e, "console=c1,port=c1:x", "two ports use 'c1'");
	expect_error(&e, "console=c1,iothread=x", "no iothread");
	expect_error(&e,
		"port=c1:0123456789012345678901234567890123456789012345678901234567890123456789",
		"longer than 64");
	expect_error(&e, "console=c1,queue-size=3", "power of two");
	env_close(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_single),
		cmocka_unit_test(test_output_flow),
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_without_multiport),
		cmocka_unit_test(test_save_ports),
		cmocka_unit_test(test_bad_drivers),
		cmocka_unit_test(test_options),
	};

	log_level = LOG_ERR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
