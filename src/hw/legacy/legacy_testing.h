// SPDX-License-Identifier: GPL-2.0-or-later
/* legacy_testing - for unit tests: a machine with 1 MiB of RAM, no CPU, and an engine that notes
 * interrupt lines. */
#ifndef HW_LEGACY_LEGACY_TESTING_H
#define HW_LEGACY_LEGACY_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/wire.h"
#include "core/device.h"
#include "core/io.h"
#include "mem/gmem.h"
#include "testing/machine.h"

/* What the program's generated tables would be. */
const struct device_type *const device_type_table[] = { NULL };
const struct accel *const accel_table[] = { NULL };

struct rig {
	struct loop *loop; /* t's */
	struct machine *m;
	struct device *dev;
	struct test_machine t;
};

static bool rig_level[IRQ_GSI_PINS];
static unsigned int rig_rises[IRQ_GSI_PINS];

static bool rig_masked; /* no edge is heard */

static bool rig_irq_open(struct accel_vm *vm, uint32_t gsi)
{
	return !rig_masked;
}

static int rig_irq_set(struct accel_vm *vm, uint32_t gsi, bool level)
{
	rig_rises[gsi] += level && !rig_level[gsi];
	rig_level[gsi] = level;
	return 0;
}

static struct accel_vm *rig_vm_new(
	struct machine *m, const struct accel_vm_config *c, struct error *err)
{
	struct accel_vm *vm = calloc(1, sizeof(*vm));

	assert_non_null(vm);
	return vm;
}

static void rig_vm_free(struct accel_vm *vm)
{
	free(vm);
}

static int rig_ram_add(struct accel_vm *vm, const struct as_range *r)
{
	return 0;
}

static void rig_ram_del(struct accel_vm *vm, const struct as_range *r)
{
}

static const struct accel rig_accel = {
	.name = "rig",
	.vm_new = rig_vm_new,
	.vm_free = rig_vm_free,
	.ram_add = rig_ram_add,
	.ram_del = rig_ram_del,
	.irq_set = rig_irq_set,
	.irq_open = rig_irq_open,
};

static inline void rig_init(struct rig *r)
{
	struct test_machine_config c = { .accel = &rig_accel, .ram = 1 * MIB };
	struct error err = ERROR_INIT;

	memset(r, 0, sizeof(*r));
	rig_masked = false;
	memset(rig_level, 0, sizeof(rig_level));
	memset(rig_rises, 0, sizeof(rig_rises));
	if (!test_machine_init(&r->t, &c, &err))
		fail_msg("%s", err.msg);
	r->loop = r->t.loop;
	r->m = r->t.m;
}

/* Make a device of @type, configured by its option text (may be NULL), and realize it. */
static inline void rig_add(struct rig *r, const struct device_type *type, const char *options)
{
	struct error err = ERROR_INIT;

	r->dev = device_new(r->m, type, NULL, &err);
	assert_non_null(r->dev);
	if (options && !fields_parse(type->config, device_config(r->dev), options, &err))
		fail_msg("%s", err.msg);
	if (!device_realize(r->dev, &err))
		fail_msg("%s", err.msg);
}

static inline void rig_fini(struct rig *r)
{
	device_free(r->dev);
	test_machine_fini(&r->t);
}

static inline uint32_t rig_in(struct rig *r, uint16_t port, unsigned int size)
{
	uint8_t b[8] = { 0 };

	io_access_port(r->m, port, b, size, false);
	return (uint32_t)rd_le(b, size);
}

static inline void rig_out(struct rig *r, uint16_t port, uint32_t v, unsigned int size)
{
	uint8_t b[8];

	wr_le64(b, v);
	io_access_port(r->m, port, b, size, true);
}

static inline uint8_t inb(struct rig *r, uint16_t port)
{
	return (uint8_t)rig_in(r, port, 1);
}

static inline void outb(struct rig *r, uint16_t port, uint8_t v)
{
	rig_out(r, port, v, 1);
}

/* Take the pending event @e: true when it had been raised. */
static inline bool rig_event(struct rig *r, enum machine_event e)
{
	return atomic_fetch_and(&r->m->pending, ~BIT(e)) & BIT(e);
}

/* The machine runs (it has no CPU): its clock goes on. */
static inline void rig_run(struct rig *r)
{
	struct error err = ERROR_INIT;

	if (!machine_resume(r->m, &err))
		fail_msg("%s", err.msg);
}

/* Save, reset, load: what was there must be there again. */
static inline void rig_save_load(struct rig *r)
{
	struct error err = ERROR_INIT;
	AUTO(str) s = STR_INIT;

	assert_true(device_save(r->dev, &s, &err));
	r->dev->type->reset(r->dev);
	if (!device_load(r->dev, s.s, s.len, &err))
		fail_msg("%s", err.msg);
}

#endif
