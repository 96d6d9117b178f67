// SPDX-License-Identifier: GPL-2.0-or-later
/* qom-list, qom-get, qom-set, qom-list-types, qom-list-properties, device-list-properties. */
#include "control/qom.h"

#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "chardev/chardev.h"
#include "control/qmp.h"

/* -------- the tables -------- */

struct path_args {
	char *path, *property;
};
static const struct field list_fields[] = {
	FIELD_STR(struct path_args, path, "path", .flags = FF_GIVEN, .doc = "an object's path"),
};
static const struct field_table list_args = FIELD_TABLE("qom-list", struct path_args, list_fields);
static const struct field get_fields[] = {
	FIELD_STR(struct path_args, path, "path", .flags = FF_GIVEN, .doc = "an object's path"),
	FIELD_STR(struct path_args, property, "property", .flags = FF_GIVEN, .doc = "its property"),
};
static const struct field_table get_args = FIELD_TABLE("qom-get", struct path_args, get_fields);

struct type_args {
	char *name;
};
static const struct field type_fields[] = {
	FIELD_STR(struct type_args, name, "typename", .flags = FF_GIVEN, .doc = "a type's name"),
};
static const struct field_table type_args = FIELD_TABLE(
	"device-list-properties", struct type_args, type_fields);

struct property {
	char *name, *type, *doc;
};
static const struct field property_fields[] = {
	FIELD_STR(struct property, name, "name", .flags = FF_GIVEN),
	FIELD_STR(struct property, type, "type", .flags = FF_GIVEN),
	FIELD_STR(struct property, doc, "description"),
};
static const struct field_table property = FIELD_TABLE(
	"ObjectPropertyInfo", struct property, property_fields);

struct properties {
	struct {
		struct property *items;
		size_t len;
	} list;
};
static const struct field properties_fields[] = {
	FIELD_LIST(struct properties, list, "properties", FT_STRUCT, 65536, .sub = &property),
};
static const struct field_table properties = FIELD_TABLE(
	"properties", struct properties, properties_fields);

static bool add(
	struct qmp_call *c, const char *name, const char *type, const char *doc, struct error *err)
{
	struct property *p = fields_list_add(&properties, c->ret, "properties", err);

	return p && qmp_set_text(&p->name, name, err) && qmp_set_text(&p->type, type, err) &&
	       (!doc || qmp_set_text(&p->doc, doc, err));
}

/* A table's fields, flat ones in their place. */
static bool add_fields(
	struct qmp_call *c, const struct field_table *t, bool docs, struct error *err)
{
	for (uint32_t i = 0; t && i < t->n_fields; i++) {
		const struct field *f = &t->fields[i];

		if (f->flags & FF_SECRET)
			continue;
		if (f->type == FT_STRUCT && !*f->name) {
			if (!add_fields(c, f->sub, docs, err))
				return false;
		} else if (!add(c, f->name, qom_field_type(f), docs ? f->doc : NULL, err)) {
			return false;
		}
	}
	return true;
}

/* -------- paths -------- */

static bool qom_list(struct qmp_call *c, struct error *err)
{
	const struct path_args *a = c->args;
	char name[160], type[200];
	struct qom_node n, child;

	if (!qom_resolve(c->m, a->path, &n, err) || !add(c, "type", "string", NULL, err))
		return false;
	for (uint32_t i = 0; qom_child(c->m, &n, i, &child, name, sizeof(name)); i++) {
		snprintf(type, sizeof(type), "child<%s>", qom_type(c->m, &child));
		if (!add(c, name, type, NULL, err))
			return false;
	}
	if (n.kind != QOM_DEVICE)
		return true;
	for (const struct device_property *p = n.device->type->properties; p && p->name; p++) {
		if (!add(c, p->name, p->type, NULL, err))
			return false;
	}
	return add(c, "realized", "bool", NULL, err) &&
	       add_fields(c, n.device->type->config, false, err);
}

static const struct device_property *property_find(const struct qom_node *n, const char *name)
{
	const struct device_property *p = n->kind == QOM_DEVICE ? n->device->type->properties
								: NULL;

	for (; p && p->name; p++) {
		if (!strcmp(p->name, name))
			return p;
	}
	return NULL;
}

static bool no_property(
	const struct qom_node *n, struct qmp_call *c, const char *name, struct error *err)
{
	return error_set(
		err, "Property '%s.%s' not found (qom-list names them)", qom_type(c->m, n), name);
}

static bool qom_get(struct qmp_call *c, struct error *err)
{
	const struct path_args *a = c->args;
	const struct device_property *p;
	const struct field_table *t;
	struct qom_node n;

	if (!qom_resolve(c->m, a->path, &n, err))
		return false;
	if (!strcmp(a->property, "type")) {
		json_quote(qom_type(c->m, &n), c->raw);
		return true;
	}
	p = property_find(&n, a->property);
	if (p)
		return p->get(n.device, c->raw, err);
	t = n.kind == QOM_DEVICE ? n.device->type->config : NULL;
	if (n.kind == QOM_DEVICE && !strcmp(a->property, "realized"))
		str_append(c->raw, n.device->realized ? "true" : "false");
	else if (!t || !fields_get_json(t, device_config(n.device), a->property, c->raw))
		return no_property(&n, c, a->property, err);
	return true;
}

struct set_args {
	char *path, *property, *value;
};
static const struct field set_fields[] = {
	FIELD_STR(struct set_args, path, "path", .flags = FF_GIVEN, .doc = "an object's path"),
	FIELD_STR(struct set_args, property, "property", .flags = FF_GIVEN, .doc = "its property"),
	FIELD_STR(struct set_args, value, "value", .flags = FF_GIVEN | FF_ANY, .doc = "its value"),
};
static const struct field_table set_args = FIELD_TABLE("qom-set", struct set_args, set_fields);

static bool qom_set(struct qmp_call *c, struct error *err)
{
	const struct set_args *a = c->args;
	const struct device_property *p;
	AUTO(str) value = STR_INIT;
	struct qom_node n;

	json_text(c->doc, json_member(c->doc, c->tok, "value"), &value);
	if (!qom_resolve(c->m, a->path, &n, err))
		return false;
	p = property_find(&n, a->property);
	if (p && p->set)
		return p->set(n.device, str_cstr(&value), err);
	if (p || (n.kind == QOM_DEVICE && n.device->type->config &&
			 fields_find(n.device->type->config, a->property)))
		return error_set(err, "'%s' cannot be changed any more", a->property);
	return no_property(&n, c, a->property, err);
}

const struct qmp_command qom_list_cmd = {
	.name = "qom-list",
	.doc = "an object's children and properties",
	.args = &list_args,
	.ret = &properties,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = qom_list,
};

const struct qmp_command qom_get_cmd = {
	.name = "qom-get",
	.doc = "a property's value",
	.args = &get_args,
	.flags = QMP_QUERY | QMP_RAW,
	.run = qom_get,
};

const struct qmp_command qom_set_cmd = {
	.name = "qom-set",
	.doc = "change a property, where that is possible",
	.args = &set_args,
	.run = qom_set,
};

/* -------- types -------- */

struct list_types_args {
	char *implements;
	bool abstract;
};
static const struct field list_types_fields[] = {
	FIELD_STR(
		struct list_types_args, implements, "implements", .doc = "only heirs of this type"),
	FIELD_BOOL(struct list_types_args, abstract, "abstract", .doc = "abstract ones too"),
};
static const struct field_table list_types_args = FIELD_TABLE(
	"qom-list-types", struct list_types_args, list_types_fields);

struct type {
	char *name, *parent;
};
static const struct field qom_type_fields[] = {
	FIELD_STR(struct type, name, "name", .flags = FF_GIVEN),
	FIELD_STR(struct type, parent, "parent"),
};
static const struct field_table type = FIELD_TABLE("ObjectTypeInfo", struct type, qom_type_fields);
struct types {
	struct {
		struct type *items;
		size_t len;
	} list;
};
static const struct field types_fields[] = {
	FIELD_LIST(struct types, list, "types", FT_STRUCT, 4096, .sub = &type),
};
static const struct field_table types = FIELD_TABLE("types", struct types, types_fields);

/* What is there besides devices. */
struct other_property {
	const char *name, *type, *doc;
};

static const struct other_property iothread_properties[] = {
	{ "thread-id", "int", "its thread" },
	{ .name = NULL },
};
/* Options of --memory; a file's is always shared. */
static const struct other_property ram_properties[] = {
	{ "size", "int", "bytes" },
	{ "prealloc", "bool", "take all of it at the start" },
	{ .name = NULL },
};
static const struct other_property file_properties[] = {
	{ "size", "int", "bytes" },
	{ "prealloc", "bool", "take all of it at the start" },
	{ "share", "bool", "what the guest writes goes to the file" },
	{ "mem-path", "string", "the file" },
	{ .name = NULL },
};

/* Options of `lodge run`. */
static const struct other_property pc_properties[] = {
	{ "kernel", "string", "the kernel's file" },
	{ "initrd", "string", "the initial RAM disk's file" },
	{ "append", "string", "the kernel's command line" },
	{ .name = NULL },
};

static const struct {
	const char *name, *parent;
	const struct other_property *properties; /* NULL: none */
} other_types[] = {
	/* Engines; clients of QEMU's know `soft` by the name of QEMU's own. */
	{ "kvm-accel", "accel" },
	{ "tcg-accel", "accel" },
	{ "chardev", "object" },
	{ "container", "object" },
	{ "base-x86_64-cpu", "x86_64-cpu" },
	{ "host-x86_64-cpu", "max-x86_64-cpu" },
	{ "max-x86_64-cpu", "x86_64-cpu" },
	{ "x86-64-v2-x86_64-cpu", "x86_64-cpu" },
	{ "x86-64-v3-x86_64-cpu", "x86_64-cpu" },
	{ "iothread", "object", iothread_properties },
	{ "memory-backend-file", "memory-backend", file_properties },
	{ "memory-backend-ram", "memory-backend", ram_properties },
	{ "none-machine", "machine" },
	{ "pc-q35-7.2-machine", "generic-pc-machine", pc_properties },
};

static const char *parent_of(const struct device_type *t)
{
	return t->bus == BUS_PCI	      ? "pci-device"
	       : !strncmp(t->name, "isa-", 4) ? "isa-device"
					      : "sys-bus-device";
}

static bool is_heir(const char *name, const char *parent, const char *of)
{
	if (!of || !strcmp(of, "object") || !strcmp(of, name) || !strcmp(of, parent))
		return true;
	return !strcmp(of, "device") && strstr(parent, "-device");
}

static bool add_type(struct qmp_call *c, const char *name, const char *parent, struct error *err)
{
	const struct list_types_args *a = c->args;
	struct type *t;

	if (!is_heir(name, parent, a->implements))
		return true;
	t = fields_list_add(&types, c->ret, "types", err);
	return t && qmp_set_text(&t->name, name, err) && qmp_set_text(&t->parent, parent, err);
}

static bool qom_list_types(struct qmp_call *c, struct error *err)
{
	for (const struct device_type *const *t = device_type_table; *t; t++) {
		if (!add_type(c, (*t)->name, parent_of(*t), err))
			return false;
		if ((*t)->alias && !add_type(c, (*t)->alias, parent_of(*t), err))
			return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(other_types); i++) {
		if (!add_type(c, other_types[i].name, other_types[i].parent, err))
			return false;
	}
	return true;
}

static bool add_others(struct qmp_call *c, const struct other_property *p, struct error *err)
{
	for (; p && p->name; p++) {
		if (!add(c, p->name, p->type, p->doc, err))
			return false;
	}
	return true;
}

static bool list_properties(struct qmp_call *c, struct error *err)
{
	const struct type_args *a = c->args;
	const struct device_type *t = device_type_find(a->name);

	for (size_t i = 0; !t && i < ARRAY_SIZE(other_types); i++) {
		if (!strcmp(other_types[i].name, a->name))
			return add_others(c, other_types[i].properties, err);
	}
	if (!t)
		return error_not_found(
			err, "Class '%s' not found (qom-list-types names them)", a->name);
	return add_fields(c, t->config, true, err);
}

static bool list_device_properties(struct qmp_call *c, struct error *err)
{
	const struct type_args *a = c->args;
	const struct device_type *t = device_type_find(a->name);
	bool other = false;

	for (size_t i = 0; !t && i < ARRAY_SIZE(other_types); i++)
		other |= !strcmp(other_types[i].name, a->name) ||
			 !strcmp(other_types[i].parent, a->name);
	for (size_t i = 0; !t && device_type_table[i]; i++)
		other |= !strcmp(parent_of(device_type_table[i]), a->name);
	if (other)
		return error_usage(err, "Parameter 'typename' expects a non-abstract device type");
	if (!t)
		return error_not_found(
			err, "Device '%s' not found (qom-list-types names them)", a->name);
	return add_fields(c, t->config, true, err);
}

const struct qmp_command qom_list_types_cmd = {
	.name = "qom-list-types",
	.doc = "the types of devices and other objects",
	.args = &list_types_args,
	.ret = &types,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = qom_list_types,
};

const struct qmp_command qom_list_properties_cmd = {
	.name = "qom-list-properties",
	.doc = "the properties of a type",
	.args = &type_args,
	.ret = &properties,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = list_properties,
};

const struct qmp_command device_list_properties_cmd = {
	.name = "device-list-properties",
	.doc = "the options of a type of device",
	.args = &type_args,
	.ret = &properties,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = list_device_properties,
};
