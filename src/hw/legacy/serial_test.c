// SPDX-License-Identifier: GPL-2.0-or-later
/* The 16550A from both sides: registers, and a socket as its line. */
#include "hw/legacy/legacy_testing.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "chardev/chardev.h"

extern const struct device_type isa_serial_type;

#define COM1 0x3f8
#define IRQ  4

enum { THR, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static struct rig rig;
static struct chardev *chr;
static int peer = -1;

static void connect_peer(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	peer = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(peer, (struct sockaddr *)&a, sizeof(a)), 0);
	for (int i = 0; i < 100 && !chardev_is_open(chr); i++)
		loop_run_once(rig.loop, 10);
	assert_true(chardev_is_open(chr));
}

static int setup(void **state)
{
	struct error err = ERROR_INIT;
	char path[64], spec[100];

	rig_init(&rig);
	snprintf(path, sizeof(path), "/tmp/lodge-serial-test-%d", getpid());
	snprintf(spec, sizeof(spec), "unix:%s,server", path);
	chr = chardev_open(spec, "line", rig.loop, &err);
	assert_non_null(chr);
	assert_true(machine_backend_add(rig.m, BACKEND_CHARDEV, "line", chr, &err));
	rig_add(&rig, &isa_serial_type, "chardev=line");
	connect_peer(path);
	return 0;
}

static int teardown(void **state)
{
	device_free(rig.dev);
	rig.dev = NULL;
	close(peer);
	chardev_close(chr);
	rig_fini(&rig);
	return 0;
}

static uint8_t rd(uint8_t reg)
{
	return inb(&rig, COM1 + reg);
}

static void wr(uint8_t reg, uint8_t v)
{
	outb(&rig, COM1 + reg, v);
}

static void pump(void)
{
	for (int i = 0; i < 4; i++)
		loop_run_once(rig.loop, 5);
}

/* Bytes come down the line until the UART has no more room or there are none left. */
static void from_line(const char *text, size_t n)
{
	assert_int_equal(write(peer, text, n), (ssize_t)n);
	pump();
}

static void test_power_on(void **state)
{
	assert_int_equal(rd(IER), 0);
	assert_int_equal(rd(IIR), 0x01);
	assert_int_equal(rd(LCR), 0);
	assert_int_equal(rd(LSR), 0x60);
	assert_int_equal(rd(MSR), 0xb0);
	wr(SCR, 0xa5);
	assert_int_equal(rd(SCR), 0xa5);
	wr(LCR, 0x80);
	wr(THR, 1);
	wr(IER, 2);
	assert_int_equal(rd(THR), 1);
	assert_int_equal(rd(IER), 2);
	wr(LCR, 3);
	assert_int_equal(rd(IER), 0); /* the divisor is not the enable register */
	assert_int_equal(
		rig_in(&rig, COM1 + LCR, 2), 3 | 0x08 << 8); /* wide access: two registers */
	wr(IER, 0xff);
	assert_int_equal(rd(IER), 0x0f);
}

static void test_output(void **state)
{
	char buf[8] = "";

	wr(THR, 'h');
	wr(THR, 'i');
	assert_int_equal(read(peer, buf, sizeof(buf)), 2);
	assert_string_equal(buf, "hi");
	assert_int_equal(rd(LSR), 0x60);
	assert_int_equal(rig_rises[IRQ], 0);
}

static void test_thr_interrupt(void **state)
{
	wr(IER, 2); /* an empty transmitter tells at once */
	assert_true(rig_level[IRQ]);
	assert_int_equal(rd(IIR), 0x02); /* and reading acknowledges */
	assert_false(rig_level[IRQ]);
	assert_int_equal(rd(IIR), 0x01);
	wr(THR, 'x');
	assert_true(rig_level[IRQ]);
	assert_int_equal(rig_rises[IRQ], 2);
	wr(THR, 'y'); /* each byte gives an edge, acknowledged or not */
	assert_int_equal(rig_rises[IRQ], 3);
	wr(IER, 0);
	assert_false(rig_level[IRQ]);
	wr(IER, 2); /* switching on asks again */
	assert_int_equal(rd(IIR), 0x02);
	/* Linux's check for a chip that does not re-raise it. */
	wr(IER, 0);
	wr(IER, 2);
	assert_int_equal(rd(IIR), 0x02);
}

static void test_input_without_fifo(void **state)
{
	from_line("abc", 3);
	assert_int_equal(rd(LSR), 0x61);
	wr(IER, 1);
	assert_true(rig_level[IRQ]);
	assert_int_equal(rd(IIR), 0x04);
	assert_int_equal(rd(THR), 'a');
	assert_false(rig_level[IRQ]);
	pump();
	assert_int_equal(rd(THR), 'b');
	pump();
	assert_int_equal(rd(THR), 'c');
	assert_int_equal(rd(LSR), 0x60);
}

static void test_input_fifo(void **state)
{
	wr(IIR, 0xc1); /* trigger at 14 */
	wr(IER, 1);
	assert_int_equal(rd(IIR), 0xc1);
	from_line("0123456789abcd", 14);
	assert_int_equal(rd(IIR), 0xc4);
	assert_int_equal(rd(THR), '0');
	assert_int_equal(rd(IIR), 0xcc); /* 13 left, the line is silent: time-out */
	assert_true(rig_level[IRQ]);
	for (int i = 0; i < 13; i++)
		rd(THR);
	assert_int_equal(rd(IIR), 0xc1);
	assert_false(rig_level[IRQ]);
	from_line("z", 1);
	assert_int_equal(rd(IIR), 0xcc);
	wr(IIR, 0xc3); /* clear the receiver */
	assert_int_equal(rd(LSR), 0x60);
	assert_int_equal(rd(IIR), 0xc1);
}

static void test_no_overrun_from_the_line(void **state)
{
	char text[40];

	memset(text, 'q', sizeof(text));
	wr(IIR, 0x01);
	from_line(text, sizeof(text));
	for (int i = 0; i < 40; i++) {
		if (!(rd(LSR) & 1))
			pump();
		assert_int_equal(rd(LSR), 0x61);
		assert_int_equal(rd(THR), 'q');
	}
	assert_int_equal(rd(LSR), 0x60);
}

static void test_loopback(void **state)
{
	/* Linux's probe. */
	wr(MCR, 0x1a);
	assert_int_equal(rd(MSR) & 0xf0, 0x90);
	wr(MCR, 0x10);
	assert_int_equal(rd(MSR), 0x09); /* CTS and DCD changed */
	assert_int_equal(rd(MSR), 0x00);
	wr(MCR, 0x14);
	assert_int_equal(rd(MSR), 0x40); /* ring on is no event */
	wr(IER, 8);
	wr(MCR, 0x10);
	assert_int_equal(rd(IIR), 0x00);
	assert_int_equal(rd(MSR), 0x04); /* its end is */
	assert_int_equal(rd(IIR), 0x01);
	wr(IIR, 0x01);
	wr(IER, 5);
	wr(THR, 0x5a);
	assert_int_equal(rd(IIR), 0xc4);
	assert_int_equal(rd(THR), 0x5a);
	for (int i = 0; i < 17; i++)
		wr(THR, (uint8_t)i);
	assert_int_equal(rd(IIR), 0xc6); /* overrun */
	assert_int_equal(rd(LSR), 0x63);
	assert_int_equal(rd(LSR), 0x61);
	for (int i = 0; i < 16; i++)
		assert_int_equal(rd(THR), i);
	wr(LCR, 0x43); /* a break comes back as a NUL with its flag */
	assert_int_equal(rd(LSR), 0xf1);
	assert_int_equal(rd(LSR), 0x61);
	assert_int_equal(rd(THR), 0);
	/* Nothing of it went out. */
	char c;

	assert_int_equal(recv(peer, &c, 1, MSG_DONTWAIT), -1);
}

static void test_state(void **state)
{
	wr(IIR, 0x81);
	wr(IER, 3);
	wr(LCR, 3);
	from_line("hello", 5);
	rig_save_load(&rig);
	assert_true(rig_level[IRQ]);
	assert_int_equal(rd(LCR), 3);
	assert_int_equal(rd(IER), 3);
	for (int i = 0; i < 5; i++)
		assert_int_equal(rd(THR), "hello"[i]);
	rig.dev->type->reset(rig.dev);
	assert_false(rig_level[IRQ]);
	assert_int_equal(rd(IIR), 0x01);
}

/* A back end that is full: the transmitter tells so, and nothing is lost. */
static void test_full_back_end(void **state)
{
	unsigned int sent = 0, got = 0, bad = 0;
	uint8_t buf[4096];
	ssize_t n;

	wr(IIR, 0x01);
	while (rd(LSR) & 0x20) {
		wr(THR, (uint8_t)sent++);
		assert_true(sent < 64 * 1024 * 1024);
	}
	for (int i = 0; i < 15; i++) /* one waits already */
		wr(THR, (uint8_t)sent++);
	wr(THR, 0xff); /* lost: the guest did not look */
	wr(IER, 2);
	assert_false(rig_level[IRQ]);
	while (got < sent && (n = recv(peer, buf, sizeof(buf), MSG_DONTWAIT)) != 0) {
		for (ssize_t i = 0; i < n; i++)
			bad += buf[i] != (uint8_t)got++;
		if (n < 0)
			loop_run_once(rig.loop, 10);
	}
	assert_int_equal(bad, 0);
	assert_int_equal(got, sent);
	assert_int_equal(rd(LSR), 0x60);
	assert_true(rig_level[IRQ]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_power_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_output, setup, teardown),
		cmocka_unit_test_setup_teardown(test_thr_interrupt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_input_without_fifo, setup, teardown),
		cmocka_unit_test_setup_teardown(test_input_fifo, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_overrun_from_the_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loopback, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_back_end, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
