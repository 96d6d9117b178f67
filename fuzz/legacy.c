// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Register accesses to any classic device. The first byte chooses the type; then each operation is
 * a byte (bits 0-1 what, 2-3 size, 4-7 part of the offset) with its operands. Now and then the
 * device is saved and loaded, or loaded from the input itself.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "accel/null/null.h"
#include "base/str.h"
#include "base/wire.h"
#include "chardev/chardev.h"
#include "core/device.h"
#include "core/io.h"
#include "testing/machine.h"

static const char *const types[] = { "acpi-pm", "fw_cfg", "i8042", "isa-debug-exit", "isa-debugcon",
	"isa-serial", "mc146818-rtc", "pc-testdev", "pvpanic" };

/* Where their registers are; a few ports around each are hit too. */
static const uint16_t ports[] = { 0x600, 0x620, 0xcf8, 0xb0, 0x510, 0x60, 0x92, 0x501, 0xe0, 0x3f8,
	0x70, 0x2000, 0x505 };

static struct machine *m;

static void set_up(void)
{
	static struct test_machine t;
	struct test_machine_config tc = { .accel = &null_accel, .ram = 4 * MIB };
	struct error err = ERROR_INIT;
	bool ok = test_machine_init(&t, &tc, &err);
	struct chardev *c;

	assert(ok);
	m = t.m;
	c = chardev_open("null", "test", t.loop, &err);
	ok = c && machine_backend_add(m, BACKEND_CHARDEV, "test", c, &err);
	assert(ok);
}

struct input {
	const uint8_t *p;
	size_t n;
};

static uint64_t take(struct input *in, unsigned int bytes)
{
	uint64_t v = 0;

	while (bytes-- && in->n) {
		v = v << 8 | *in->p++;
		in->n--;
	}
	return v;
}

static void access_register(struct input *in, uint8_t op)
{
	unsigned int size = 1u << (op >> 2 & 3);
	uint16_t port = ports[take(in, 1) % (sizeof(ports) / sizeof(ports[0]))] + (op >> 4);
	bool write = op & 1;
	uint8_t b[8];

	wr_le64(b, write ? take(in, size) : 0);
	if (size <= 4)
		io_access_port(m, port, b, size, write);
	else
		io_access_mem(m, 0xff000000 + take(in, 2), b, size, write);
}

static void save_load(struct device *d)
{
	struct error err = ERROR_INIT;
	AUTO(str) s = STR_INIT;

	bool ok = device_save(d, &s, &err) && device_load(d, s.s, s.len, &err);

	assert(ok);
}

static void load_input(struct device *d, struct input *in)
{
	struct error err = ERROR_INIT;

	if (!device_load(d, in->p, in->n, &err)) {
		assert(err.msg[0]);
		if (d->type->reset)
			d->type->reset(d);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct error err = ERROR_INIT;
	struct device *d;

	if (!m)
		set_up();
	const char *name = types[take(&in, 1) % (sizeof(types) / sizeof(types[0]))];

	d = device_create(m, name,
		strstr(name, "serial") || strstr(name, "con") ? "chardev=test" : NULL, &err);
	assert(d);
	if (d->type->reset)
		d->type->reset(d);
	for (int ops = 0; in.n && ops < 4096; ops++) {
		uint8_t op = (uint8_t)take(&in, 1);

		if ((op & 2) == 0)
			access_register(&in, op);
		else if ((op & 0xfc) == 0)
			save_load(d);
		else if ((op & 0xfc) == 4)
			load_input(d, &in);
		else
			loop_run_once(m->main_loop, 0);
	}
	device_free(d);
	atomic_store(&m->pending, 0);
	return 0;
}
