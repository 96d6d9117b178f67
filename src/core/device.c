// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "core/machine.h"

const struct device_type *device_type_find(const char *name)
{
	for (const struct device_type *const *t = device_type_table; *t; t++) {
		if (!strcmp((*t)->name, name) || ((*t)->alias && !strcmp((*t)->alias, name)))
			return *t;
	}
	return NULL;
}

const char *device_name(const struct device *d)
{
	return d->id ?: d->type->name;
}

void *device_config(struct device *d)
{
	return (char *)d + d->type->config_off;
}

static bool check_new(struct machine *m, const struct device_type *type, const char *id,
	uint32_t *instance, struct error *err)
{
	struct device *d;
	bool taken;

	list_for_each (d, &m->devices, node) {
		if (id && d->id && !strcmp(d->id, id))
			return error_usage(err, "device id '%s' is used twice", id);
		if (d->type != type)
			continue;
		if (type->flags & DEVICE_SINGLE)
			return error_usage(err, "the machine has a %s already", type->name);
	}
	/* The lowest that is free: devices come and go, and a machine that is made anew to load this one's
	 * state counts from 0. */
	for (*instance = 0, taken = true; taken; *instance += taken) {
		taken = false;
		list_for_each (d, &m->devices, node)
			taken |= d->type == type && d->instance == *instance;
	}
	return true;
}

struct device *device_new(
	struct machine *m, const struct device_type *type, const char *id, struct error *err)
{
	struct device *d;
	uint32_t instance = 0;

	assert(thread_is(ROLE_MAIN));
	if (!check_new(m, type, id, &instance, err))
		return NULL;
	d = calloc(1, type->size);
	if (!d || (id && !(d->id = strdup(id)))) {
		free(d);
		error_set(err, "device '%s': out of memory", id ?: type->name);
		return NULL;
	}
	d->type = type;
	d->machine = m;
	d->home = m->main_loop;
	d->instance = d->saved_instance = instance;
	d->anonymous = id ? 0 : m->anonymous[!!(type->flags & DEVICE_USER)]++;
	mutex_init(&d->lock);
	list_add_tail(&m->devices, &d->node);
	if (type->config && !fields_init(type->config, device_config(d), err)) {
		device_free(d);
		return NULL;
	}
	return d;
}

bool device_realize(struct device *d, struct error *err)
{
	assert(thread_is(ROLE_MAIN));
	if (d->type->realize && !d->type->realize(d, err))
		return error_prefix(err, "device '%s'", device_name(d));
	d->realized = true;
	return true;
}

void device_free(struct device *d)
{
	if (!d)
		return;
	assert(thread_is(ROLE_MAIN));
	if (d->realized && d->type->unrealize)
		d->type->unrealize(d);
	list_del(&d->node);
	if (d->type->config)
		fields_fini(d->type->config, device_config(d));
	mutex_fini(&d->lock);
	free(d->id);
	free(d->bus);
	free(d);
}

/* Take `id=NAME` and `bus=NAME` out of @options: every device has them, so no type's table lists them.
 * The rest, commas escaped again, goes to @rest. */
static bool split_options(
	const char *options, struct str *id, struct str *bus, struct str *rest, struct error *err)
{
	AUTO(str) token = STR_INIT;
	const char *p = options;
	bool first = true;

	while (p && fields_next_token(&p, &token)) {
		const char *value;

		if (str_has_prefix(str_cstr(&token), "id=", &value)) {
			str_clear(id);
			str_append(id, value);
			continue;
		}
		if (str_has_prefix(str_cstr(&token), "bus=", &value)) {
			str_clear(bus);
			str_append(bus, value);
			continue;
		}
		if (!first)
			str_append(rest, ",");
		first = false;
		fields_put_token(str_cstr(&token), rest);
	}
	if (token.failed || id->failed || bus->failed || rest->failed)
		return error_set(err, "out of memory");
	return true;
}

static bool configure(struct device *d, const char *options, struct error *err)
{
	static const struct field_table none = { .name = "device" };
	const struct field_table *t = d->type->config;

	if (!t && !options[0])
		return true;
	if (!fields_parse(t ?: &none, device_config(d), options, err))
		return error_prefix(err, "device '%s'", device_name(d));
	return true;
}

static bool choose_bus(struct device *d, const char *bus, struct error *err)
{
	if (!bus[0])
		return true;
	if (d->type->bus != BUS_PCI)
		return error_usage(err, "device '%s': a %s is on no bus that could be chosen",
			device_name(d), d->type->name);
	d->bus = strdup(bus);
	return d->bus || error_set(err, "device '%s': out of memory", device_name(d));
}

struct device *device_create(
	struct machine *m, const char *type_name, const char *options, struct error *err)
{
	const struct device_type *type = device_type_find(type_name);
	AUTO(str) id = STR_INIT;
	AUTO(str) bus = STR_INIT;
	AUTO(str) rest = STR_INIT;
	struct device *d;

	if (!type) {
		error_not_found(
			err, "unknown device type '%s' (--device help lists them)", type_name);
		return NULL;
	}
	if (!split_options(options, &id, &bus, &rest, err))
		return NULL;
	d = device_new(m, type, id.len ? str_cstr(&id) : NULL, err);
	if (!d)
		return NULL;
	if (!choose_bus(d, str_cstr(&bus), err) || !configure(d, str_cstr(&rest), err) ||
		!device_realize(d, err)) {
		device_free(d);
		return NULL;
	}
	return d;
}
