// SPDX-License-Identifier: GPL-2.0-or-later
/* Devices from their options: ids, defaults, bad input, order of freeing. */
#include "base/testing.h"

#include "core/machine.h"

struct toy_config {
	uint32_t size;
	char *text;
	bool refuse;
};

struct toy {
	struct device dev;
	struct toy_config c;
};

static int realized;

static const struct field toy_fields[] = {
	FIELD_U32(struct toy_config, size, "size", .min = 1, .max = 8, .dflt = "4",
		.doc = "a number"),
	FIELD_STR(struct toy_config, text, "text", .doc = "a text"),
	FIELD_BOOL(struct toy_config, refuse, "refuse", .doc = "fail"),
};
static const struct field_table toy_table = FIELD_TABLE("toy", struct toy_config, toy_fields);

static bool toy_realize(struct device *d, struct error *err)
{
	struct toy *t = CONTAINER_OF(d, struct toy, dev);

	if (t->c.refuse)
		return error_set(err, "asked to fail");
	realized++;
	return true;
}

static void toy_unrealize(struct device *d)
{
	realized--;
}

static const struct device_type toy_type = {
	.name = "toy",
	.flags = DEVICE_USER,
	.size = sizeof(struct toy),
	.config = &toy_table,
	.config_off = offsetof(struct toy, c),
	.realize = toy_realize,
	.unrealize = toy_unrealize,
};
static const struct device_type single_type = {
	.name = "single",
	.flags = DEVICE_SINGLE,
	.size = sizeof(struct device),
};

const struct accel *const accel_table[] = { NULL };
const struct device_type *const device_type_table[] = { &toy_type, &single_type, NULL };

static struct loop *loop;
static struct machine *m;

static int setup(void **state)
{
	struct error err = ERROR_INIT;

	loop = loop_new("main", 0, &err);
	m = loop ? machine_new("test", loop, &err) : NULL;
	realized = 0;
	return m ? 0 : -1;
}

static int teardown(void **state)
{
	machine_free(m);
	loop_free(loop);
	return realized;
}

static void test_options(void **state)
{
	struct error err = ERROR_INIT;
	struct device *d = device_create(m, "toy", "size=7,id=a,,b,text=x,,y", &err);

	assert_non_null(d);
	assert_string_equal(d->id, "a,b");
	assert_int_equal(CONTAINER_OF(d, struct toy, dev)->c.size, 7);
	assert_string_equal(CONTAINER_OF(d, struct toy, dev)->c.text, "x,y");
	d = device_create(m, "toy", NULL, &err);
	assert_non_null(d);
	assert_int_equal(CONTAINER_OF(d, struct toy, dev)->c.size, 4);
	assert_int_equal(d->instance, 1);
	assert_string_equal(device_name(d), "toy");
	device_free(d);
}

static void refused(const char *type, const char *options, const char *part)
{
	struct error err = ERROR_INIT;

	assert_null(device_create(m, type, options, &err));
	assert_contains(err.msg, part);
}

static void test_bad_options(void **state)
{
	struct error err = ERROR_INIT;

	refused("toi", NULL, "unknown device type 'toi'");
	refused("toy", "size=9", "1..8");
	refused("toy", "sise=1", "sise");
	refused("single", "size=1", "size");
	refused("toy", "id=x,refuse=on", "device 'x': asked to fail");
	assert_non_null(device_create(m, "toy", "id=x", &err));
	refused("toy", "id=x", "used twice");
	assert_non_null(device_create(m, "single", NULL, &err));
	refused("single", NULL, "already");
	assert_int_equal(realized, 1);
}

static void test_backends(void **state)
{
	struct error err = ERROR_INIT;
	int thing;

	assert_true(machine_backend_add(m, BACKEND_CHARDEV, "c", &thing, &err));
	assert_false(machine_backend_add(m, BACKEND_CHARDEV, "c", &thing, &err));
	assert_contains(err.msg, "used twice");
	assert_ptr_equal(machine_backend(m, BACKEND_CHARDEV, "c", &err), &thing);
	assert_null(machine_backend(m, BACKEND_BLOCK, "c", &err));
	assert_contains(err.msg, "no disk with id 'c'");
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
}

static void test_engine_choice(void **state)
{
	struct error err = ERROR_INIT;
	AUTO(str) report = STR_INIT;
	void *options;

	assert_null(accel_select("auto", &options, &report, &err));
	assert_null(accel_select("vkm", &options, &report, &err));
	assert_contains(err.msg, "unknown engine 'vkm'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_options, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_options, setup, teardown),
		cmocka_unit_test_setup_teardown(test_backends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_engine_choice, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
