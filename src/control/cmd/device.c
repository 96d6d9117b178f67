// SPDX-License-Identifier: GPL-2.0-or-later
/* device_add, device_del: devices come and go while the guest runs. */
#include <string.h>
#include "control/qmp.h"
#include "core/machine.h"
#include "hw/pci/hotplug.h"
#include "machine/none.h"

static struct device *find(struct machine *m, const char *id)
{
	struct device *d;

	list_for_each (d, &m->devices, node) {
		if (d->id && !strcmp(d->id, id))
			return d;
	}
	return NULL;
}

/* One member as the command line would have it, `key=value`, behind what is in @out. */
static bool put_option(const struct json_doc *doc, const struct json_token *key, struct str *out,
	struct error *err)
{
	const struct json_token *value = key + 1;
	AUTO(str) text = STR_INIT;

	json_text(doc, key, &text);
	if (value->type == JSON_ARRAY || value->type == JSON_OBJECT || value->type == JSON_NULL)
		return error_usage(err, "Parameter '%s' expects a text, a number or a boolean",
			str_cstr(&text));
	if (memchr(text.s, '=', text.len) || strlen(str_cstr(&text)) != text.len)
		return error_usage(err, "Parameter '%s' is unexpected", str_cstr(&text));
	str_append(&text, "=");
	json_text(doc, value, &text);
	if (strlen(str_cstr(&text)) != text.len)
		return error_usage(err, "a parameter has a NUL byte in it");
	if (out->len)
		str_append(out, ",");
	fields_put_token(str_cstr(&text), out);
	return !text.failed || error_set(err, "out of memory");
}

/* @type and, as options, all the rest. */
static bool take_options(
	const struct qmp_call *c, struct str *type, struct str *options, struct error *err)
{
	const struct json_token *key = c->tok ? c->tok + 1 : NULL;
	const struct json_token *end = c->tok ? c->doc->tokens + c->tok->next : NULL;

	for (; key < end; key = c->doc->tokens + key[1].next) {
		if (json_text_is(c->doc, key, "driver") && key[1].type < JSON_ARRAY &&
			key[1].type != JSON_NULL)
			json_text(c->doc, key + 1, type);
		else if (!put_option(c->doc, key, options, err))
			return false;
	}
	if (!type->len)
		return error_usage(err, "Parameter 'driver' is missing");
	return !(type->failed || options->failed) || error_set(err, "out of memory");
}

/* The wrong bus is told before what else is wrong. */
static bool check_bus(const struct qmp_call *c, const char *type, struct error *err)
{
	const struct json_token *t = c->tok ? json_member(c->doc, c->tok, "bus") : NULL;
	const struct device_type *dt = device_type_find(type);
	AUTO(str) bus = STR_INIT;

	str_append(&bus, t ? "" : "pcie.0");
	if (t)
		json_text(c->doc, t, &bus);
	if (!dt || dt->bus != BUS_PCI)
		return true;
	if (strcmp(str_cstr(&bus), "pcie.0"))
		return find(c->m, str_cstr(&bus)) ||
		       error_usage(err, "Bus '%s' not found", str_cstr(&bus));
	return c->m->state == RUN_PRELAUNCH ||
	       error_usage(err, "Bus 'pcie.0' does not support hotplugging: name a root port's "
				"(bus=ID; --device pcie-root-port,id=ID makes one at the start)");
}

static bool device_add(struct qmp_call *c, struct error *err)
{
	AUTO(str) type = STR_INIT;
	AUTO(str) options = STR_INIT;
	AUTO(str) id = STR_INIT;
	const struct json_token *t = c->tok ? json_member(c->doc, c->tok, "id") : NULL;

	if (!take_options(c, &type, &options, err))
		return false;
	/* As with QEMU, whatever is wrong: there is a device's class for device_del alone. */
	c->error_class = "GenericError";
	if (t)
		json_text(c->doc, t, &id);
	if (t && !qmp_check_id(str_cstr(&id), err))
		return false;
	if (id.len && find(c->m, str_cstr(&id)))
		return error_usage(err, "Duplicate device ID '%s'", str_cstr(&id));
	if (!check_bus(c, str_cstr(&type), err))
		return false;
	if (machine_is_none(c->m))
		return error_usage(err, "No bus found for device '%s': the machine has nothing",
			str_cstr(&type));
	return pci_hotplug_add(c->m, str_cstr(&type), str_cstr(&options), err);
}

/* What all devices have; each type has more, which is read as options are. */
struct add_args {
	char *driver, *bus, *id;
};

static const struct field add_fields[] = {
	FIELD_STR(struct add_args, driver, "driver", .flags = FF_GIVEN, .doc = "its type"),
	FIELD_STR(struct add_args, bus, "bus", .doc = "a root port, by its id"),
	FIELD_STR(struct add_args, id, "id", .doc = "its id"),
};
static const struct field_table add_args = FIELD_TABLE("device_add", struct add_args, add_fields);

const struct qmp_command device_add_cmd = {
	.name = "device_add",
	.doc = "plug a device in; what else its type takes device-list-properties tells",
	.args = &add_args,
	.flags = QMP_OPEN,
	.run = device_add,
};

struct del_args {
	char *id;
};

static const struct field del_fields[] = {
	FIELD_STR(struct del_args, id, "id", .flags = FF_GIVEN,
		.doc = "the device, by its id or its path"),
};
static const struct field_table del_args = FIELD_TABLE("device_del", struct del_args, del_fields);

static bool device_del(struct qmp_call *c, struct error *err)
{
	const struct del_args *a = c->args;
	const char *id = a->id;
	struct device *d;

	str_has_prefix(a->id, "/machine/peripheral/", &id);
	d = find(c->m, id);
	if (!d)
		return error_not_found(err, "Device '%s' not found", a->id);
	return pci_hotplug_del(d, err);
}

const struct qmp_command device_del_cmd = {
	.name = "device_del",
	.doc = "ask the guest to let go of a device; the event DEVICE_DELETED tells when it has",
	.args = &del_args,
	.run = device_del,
};
