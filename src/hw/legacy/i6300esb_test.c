// SPDX-License-Identifier: GPL-2.0-or-later
/* The watchdog as a driver sees it: unlocking, two stages, reload, lock, pause, saved state. */
#include "core/device.h"

extern const struct device_type pci_host_type, i6300esb_type;
#define TEST_DEVICE_TYPES &pci_host_type, &i6300esb_type,
#include "hw/testing.h"

#include "base/clock.h"
#include "base/wire.h"

#define CONFIG 0x60
#define LOCK   0x68
#define RELOAD 0xc

struct env {
	struct test_machine *f;
	struct device *dev;
	uint64_t bar;
	uint8_t devfn;
};

static uint32_t config_read(struct env *e, uint16_t off, unsigned int size)
{
	return pci_config_read(e->f->host, 0, e->devfn, off, size);
}

static void config_write(struct env *e, uint16_t off, uint32_t v, unsigned int size)
{
	pci_config_write(e->f->host, 0, e->devfn, off, v, size);
}

static uint32_t reg_read(struct env *e, uint64_t off, unsigned int size)
{
	uint8_t b[8] = { 0 };

	io_access_mem(e->f->m, e->bar + off, b, size, false);
	return rd_le32(b);
}

static void reg_write(struct env *e, uint64_t off, uint32_t v, unsigned int size)
{
	uint8_t b[8];

	wr_le64(b, v);
	io_access_mem(e->f->m, e->bar + off, b, size, true);
}

static void unlocked(struct env *e, uint64_t off, uint32_t v, unsigned int size)
{
	reg_write(e, RELOAD, 0x80, 2);
	reg_write(e, RELOAD, 0x86, 2);
	reg_write(e, off, v, size);
}

/* Preloads of about @ms1 and @ms2 milliseconds. */
static void preload(struct env *e, uint32_t ms1, uint32_t ms2)
{
	unlocked(e, 0, ms1, 4);
	unlocked(e, 4, ms2, 4);
}

static void reload(struct env *e)
{
	unlocked(e, RELOAD, 0x100, 2);
}

/* Let @ms pass; true: it has expired. */
static bool expires(struct env *e, int ms)
{
	int64_t end = clock_mono_ns() + ms * NS_PER_MS;
	bool expired = false;

	while (!expired && clock_mono_ns() < end) {
		loop_run_once(e->f->loop, 1);
		expired = atomic_fetch_and(&e->f->m->pending, ~BIT(MACHINE_WATCHDOG)) &
			  BIT(MACHINE_WATCHDOG);
	}
	return expired;
}

static void ignore_events(void *opaque)
{
}

static int setup(void **state)
{
	struct env *e = calloc(1, sizeof(*e));
	struct error err = ERROR_INIT;

	assert_non_null(e);
	*state = e;
	e->f = fixture_new(&test_pci);
	/* What follows is the machine's; here only the event counts. */
	loop_defer_init(&e->f->m->event_defer, ignore_events, NULL);
	e->dev = device_create(e->f->m, "i6300esb", NULL, &err);
	if (!e->dev)
		fail_msg("%s", err.msg);
	assert_true(machine_resume(e->f->m, &err));
	e->devfn = ((struct pci_device *)e->dev)->devfn;
	e->bar = config_read(e, PCI_BAR0, 4);
	config_write(e, PCI_COMMAND, PCI_COMMAND_MEM, 2);
	return 0;
}

static int teardown(void **state)
{
	struct env *e = *state;

	fixture_free(e->f);
	free(e);
	return 0;
}

static void test_registers(void **state)
{
	struct env *e = *state;

	assert_int_equal(config_read(e, PCI_VENDOR_ID, 4), 0x25ab8086);
	assert_int_equal(config_read(e, 8, 4) >> 8, 0x088000);
	config_write(e, CONFIG, 0xffff, 2);
	assert_int_equal(config_read(e, CONFIG, 2), 0x27);
	assert_int_equal(reg_read(e, 0, 4), 0xfffff);
	reg_write(e, 0, 1234, 4); /* locked */
	assert_int_equal(reg_read(e, 0, 4), 0xfffff);
	unlocked(e, 0, 0xfff12345, 4);
	assert_int_equal(reg_read(e, 0, 4), 0x12345);
	reg_write(e, 0, 1, 4); /* each write is unlocked anew */
	assert_int_equal(reg_read(e, 0, 4), 0x12345);
	reg_write(e, RELOAD, 0x80, 2);
	reg_write(e, RELOAD, 0x80, 2);
	reg_write(e, RELOAD, 0x86, 2);
	reg_write(e, 4, 77, 2);
	assert_int_equal(reg_read(e, 4, 4), 0xf004d);
	reg_write(e, RELOAD, 0x80, 2);
	reg_write(e, 0, 5, 4); /* between the two */
	reg_write(e, RELOAD, 0x86, 2);
	reg_write(e, 0, 5, 4);
	assert_int_equal(reg_read(e, 0, 4), 0x12345);
	unlocked(e, 1, 0xff, 1);
	assert_int_equal(reg_read(e, 0, 4), 0x1ff45);
	assert_int_equal(reg_read(e, RELOAD, 4), 0);
}

static void test_expires(void **state)
{
	struct env *e = *state;
	int64_t start;

	preload(e, 20, 20);
	reload(e); /* not enabled: nothing */
	assert_false(expires(e, 60));
	start = clock_mono_ns();
	config_write(e, LOCK, 2, 1);
	assert_true(expires(e, 10000));
	assert_true(clock_mono_ns() - start >= 38 * NS_PER_MS);
	assert_int_equal(reg_read(e, 8, 4), 1);
	assert_int_equal(reg_read(e, RELOAD, 2), 0x200);
	assert_false(expires(e, 60)); /* once, until it is reloaded */
	reload(e);
	assert_true(expires(e, 10000));
	/* A reset leaves what happened to be read, and stops it. */
	reload(e);
	e->dev->type->reset(e->dev);
	config_write(e, PCI_COMMAND, PCI_COMMAND_MEM, 2);
	assert_false(expires(e, 60));
	assert_int_equal(reg_read(e, 8, 4), 0);
	assert_int_equal(reg_read(e, RELOAD, 2), 0x200);
	unlocked(e, RELOAD, 0x200, 2);
	assert_int_equal(reg_read(e, RELOAD, 2), 0);
}

static void test_reload(void **state)
{
	struct env *e = *state;

	preload(e, 400, 400);
	config_write(e, LOCK, 2, 1);
	for (int i = 0; i < 4; i++) {
		assert_false(expires(e, 250));
		reload(e);
	}
	preload(e, 10, 10);
	reload(e);
	config_write(e, LOCK, 0, 1);
	expires(e, 1); /* it may just have come */
	assert_false(expires(e, 60));
}

static void test_free_run(void **state)
{
	struct env *e = *state;

	preload(e, 5, 5);
	config_write(e, LOCK, 6, 1);
	for (int i = 0; i < 3; i++)
		assert_true(expires(e, 10000));
	/* The least that a stage takes; and with the output off nothing follows. */
	config_write(e, LOCK, 0, 1);
	config_write(e, CONFIG, 0x24, 2);
	preload(e, 0, 0);
	config_write(e, LOCK, 6, 1);
	assert_false(expires(e, 60));
	assert_int_equal(reg_read(e, RELOAD, 2), 0x200);
}

static void test_lock(void **state)
{
	struct env *e = *state;

	config_write(e, LOCK, 3, 1);
	config_write(e, LOCK, 0, 1);
	assert_int_equal(config_read(e, LOCK, 1), 3);
	config_write(e, LOCK, 4, 4);
	assert_int_equal(config_read(e, LOCK, 1), 3);
	e->dev->type->reset(e->dev);
	assert_int_equal(config_read(e, LOCK, 1), 0);
	config_write(e, LOCK, 2, 1);
	assert_int_equal(config_read(e, LOCK, 1), 2);
}

static void test_pause(void **state)
{
	struct env *e = *state;
	struct error err = ERROR_INIT;

	preload(e, 150, 150);
	config_write(e, LOCK, 2, 1);
	machine_pause(e->f->m);
	assert_false(expires(e, 400));
	assert_true(machine_resume(e->f->m, &err));
	assert_false(expires(e, 100));
	assert_true(expires(e, 10000));
}

static void test_saved(void **state)
{
	struct env *e = *state;
	struct error err = ERROR_INIT;
	AUTO(str) s = STR_INIT;

	preload(e, 40, 60000);
	config_write(e, LOCK, 3, 1);
	assert_false(expires(e, 60)); /* in the second stage now */
	machine_pause(e->f->m);
	assert_true(device_save(e->dev, &s, &err));
	e->dev->type->reset(e->dev);
	if (!device_load(e->dev, s.s, s.len, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(config_read(e, LOCK, 1), 3);
	assert_int_equal(reg_read(e, 8, 4), 1);
	assert_true(machine_resume(e->f->m, &err));
	config_write(e, LOCK, 0, 1);
	assert_int_equal(config_read(e, LOCK, 1), 3);
	preload(e, 10, 10);
	assert_false(expires(e, 60)); /* the stage that was loaded goes on */
	reload(e);
	assert_true(expires(e, 10000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expires, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
		cmocka_unit_test_setup_teardown(test_free_run, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(test_saved, setup, teardown),
	};

	thread_enter(ROLE_MAIN, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
