// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The UART from both sides: register accesses and bytes on its line, with its interrupt held
 * against what its registers say. An operation is a byte: bit 7 set: bits 0-4 so many bytes come
 * down the line; otherwise bits 0-2 register, bit 3 write (the value is the next byte), bit 4 the
 * loop runs first.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "accel/null/null.h"
#include "chardev/chardev.h"
#include "core/device.h"
#include "core/io.h"
#include "core/machine.h"

#define COM1 0x3f8
#define IRQ  4

static struct loop *loop;
static struct machine *m;
static struct device *uart;
static int peer = -1;

static void set_up(void)
{
	struct accel_vm_config vc = { .max_vcpus = 1 };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct error err = ERROR_INIT;
	struct chardev *c;
	char spec[128];

	snprintf(a.sun_path, sizeof(a.sun_path), "/tmp/lodge-fuzz-uart-%d", getpid());
	snprintf(spec, sizeof(spec), "unix:%s,server", a.sun_path);
	loop = loop_new("fuzz", 0, &err);
	c = chardev_open(spec, "line", loop, &err);
	m = machine_new("fuzz", loop, &err);
	assert(loop && c && m);
	bool ok = machine_set_accel(m, &null_accel, &vc, &err) &&
		  machine_backend_add(m, BACKEND_CHARDEV, "line", c, &err);

	assert(ok);
	uart = device_create(m, "isa-serial", "chardev=line", &err);
	peer = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int r = connect(peer, (struct sockaddr *)&a, sizeof(a));

	assert(uart && !r);
	unlink(a.sun_path);
	for (int i = 0; i < 100 && !chardev_is_open(c); i++)
		loop_run_once(loop, 10);
}

static uint8_t reg(uint8_t off, bool write, uint8_t v)
{
	io_access_port(m, COM1 + off, &v, 1, write);
	return v;
}

static void drain(void)
{
	char buf[4096];

	while (recv(peer, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

static void check(void)
{
	uint8_t lcr = reg(3, false, 0), lsr, iir;
	bool level;

	reg(3, true, lcr & 0x7f); /* get at the registers; a break is not begun by this */
	level = null_irq_level(m->vm, IRQ);
	iir = reg(2, false, 0);
	assert(level == !(iir & 1));
	lsr = reg(5, false, 0);
	assert((lsr & 0x60) == 0 || (lsr & 0x60) == 0x60);
	if (!(lsr & 1))
		assert(!(lsr & 0x9c)); /* no character, no error of one */
	assert((iir & 0xc0) == 0 || (iir & 0xc0) == 0xc0);
	reg(3, true, lcr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!m)
		set_up();
	uart->type->reset(uart);
	for (size_t i = 0; i < size && i < 4096; i++) {
		uint8_t op = data[i];

		if (op & 0x80) {
			size_t n = op & 0x1f;

			n = n < size - i ? n : size - i;
			if (send(peer, data + i, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
				continue;
		} else {
			if (op & 0x10)
				loop_run_once(loop, 0);
			reg(op & 7, op & 8, op & 8 && i + 1 < size ? data[++i] : 0);
		}
		check();
	}
	drain();
	/* What is left on the line goes to nobody. */
	for (int i = 0; i < 64 && uart; i++) {
		reg(3, true, 0);
		reg(4, true, 0);
		reg(2, true, 7);
		loop_run_once(loop, 0);
		if (!(reg(5, false, 0) & 1) && i > 2)
			break;
	}
	return 0;
}
