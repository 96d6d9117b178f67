// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * query-qmp-schema - all commands and events with their types, from the field tables (QEMU's
 * docs/devel/qapi-code-gen, Client JSON Protocol introspection). A table or a list of names is an
 * entry; the entries that are met are put into a list and written one after the other, so that each
 * is written once.
 */
#include <stdio.h>
#include <string.h>
#include "base/vec.h"
#include "control/qmp.h"

enum kind { KIND_OBJECT, KIND_EMPTY, KIND_ENUM, KIND_ARRAY, KIND_ALTERNATE };

/* One entry to be written: its number is its name. */
struct entry {
	enum kind kind;
	const struct field_table *table; /* OBJECT; ALTERNATE: its object */
	const char
		*wrap; /* OBJECT: not @table, but an object whose only member, of this name, is */
	bool args;     /* OBJECT: of a command's arguments */
	const char *const *names; /* ENUM */
	char element[16];	  /* ARRAY: the type's name */
};

struct schema {
	VEC(struct entry) entries;
	struct str *out;
	const char *sep;
};

static const char *const builtins[][2] = {
	{ "str", "string" },
	{ "int", "int" },
	{ "number", "number" },
	{ "bool", "boolean" },
	{ "null", "null" },
	{ "any", "value" },
};

static bool same(const struct entry *a, const struct entry *b)
{
	if (a->kind != b->kind)
		return false;
	return a->kind == KIND_EMPTY ||
	       (a->kind == KIND_OBJECT && a->table == b->table && a->wrap == b->wrap &&
		       a->args == b->args) ||
	       (a->kind == KIND_ALTERNATE && a->table == b->table) ||
	       (a->kind == KIND_ENUM && a->names == b->names) ||
	       (a->kind == KIND_ARRAY && !strcmp(a->element, b->element));
}

/* The entry's name, into @name. */
static void intern(struct schema *s, struct entry e, char name[16])
{
	size_t i;

	for (i = 0; i < s->entries.len; i++) {
		if (same(&s->entries.data[i], &e))
			break;
	}
	if (i == s->entries.len && !vec_push(&s->entries, e))
		s->out->failed = true;
	if (e.kind == KIND_ARRAY)
		snprintf(name, 16, "[%.12s]", e.element);
	else
		snprintf(name, 16, "%zu", i);
}

static void object_name(struct schema *s, const struct field_table *t, bool args, char name[16])
{
	if (t)
		intern(s, (struct entry){ .kind = KIND_OBJECT, .table = t, .args = args }, name);
	else
		intern(s, (struct entry){ .kind = KIND_EMPTY }, name);
}

static void type_name(struct schema *s, const struct field *f, bool args, char name[16])
{
	struct entry array = { .kind = KIND_ARRAY };
	struct field e = *f;

	switch (f->type) {
	case FT_BOOL:
		strcpy(name, "bool");
		return;
	case FT_ENUM:
		intern(s, (struct entry){ .kind = KIND_ENUM, .names = f->names }, name);
		return;
	case FT_ARRAY:
	case FT_LIST:
		e.type = f->elem;
		type_name(s, &e, args, array.element);
		intern(s, array, name);
		return;
	case FT_STRUCT:
		object_name(s, f->sub, args, name);
		return;
	case FT_STR:
		if (f->sub) {
			intern(s, (struct entry){ .kind = KIND_ALTERNATE, .table = f->sub }, name);
			return;
		}
		__attribute__((fallthrough));
	case FT_BYTES:
	case FT_MAC:
		strcpy(name, f->flags & FF_ANY ? "any" : "str");
		return;
	default:
		strcpy(name, "int");
	}
}

static bool is_optional(const struct field *f, bool args)
{
	if (f->flags & (FF_GIVEN | FF_REQUIRED))
		return false;
	return args || f->type == FT_STR || f->flags & FF_OMIT_ZERO;
}

static void members(struct schema *s, const struct field_table *t, bool args, const char **sep)
{
	for (uint32_t i = 0; i < t->n_fields; i++) {
		const struct field *f = &t->fields[i];
		char name[16];

		if (f->flags & FF_SECRET && !args)
			continue;
		if (f->type == FT_STRUCT && !*f->name)
			members(s, f->sub, args, sep);
		if (f->type == FT_UNION || !*f->name)
			continue;
		type_name(s, f, args, name);
		str_appendf(s->out, "%s{\"name\": \"%s\", \"type\": \"%s\"%s}", *sep, f->name, name,
			is_optional(f, args) ? ", \"default\": null" : "");
		*sep = ", ";
	}
}

/* A union makes the object's variants: an arm's members stand beside the selector, or, where the union
 * has a name, in a member of that name. */
static void variants(struct schema *s, const struct field_table *t, bool args)
{
	for (uint32_t i = 0; i < t->n_fields; i++) {
		const struct field *f = &t->fields[i], *tag = t->fields;
		const char *sep = "";

		if (f->type != FT_UNION)
			continue;
		while (tag->offset != f->sel || tag->type != FT_ENUM)
			tag++;
		str_appendf(s->out, ", \"tag\": \"%s\", \"variants\": [", tag->name);
		for (uint32_t a = 0; a < f->n_arms && tag->names[a]; a++) {
			char name[16];

			if (*f->name && f->arms[a])
				intern(s,
					(struct entry){ .kind = KIND_OBJECT,
						.table = f->arms[a],
						.wrap = f->name,
						.args = args },
					name);
			else
				object_name(s, f->arms[a], args, name);
			str_appendf(s->out, "%s{\"case\": \"%s\", \"type\": \"%s\"}", sep,
				tag->names[a], name);
			sep = ", ";
		}
		str_append(s->out, "]");
		return;
	}
}

static void wrapped(struct schema *s, const struct entry *e)
{
	char name[16];

	object_name(s, e->table, e->args, name);
	str_appendf(s->out, "{\"name\": \"%s\", \"type\": \"%s\"}", e->wrap, name);
}

static void entry(struct schema *s, size_t i)
{
	struct entry e = s->entries.data[i];
	const char *sep = "";

	if (e.kind == KIND_ARRAY) {
		str_appendf(s->out,
			"%s{\"name\": \"[%s]\", \"meta-type\": \"array\", \"element-type\": "
			"\"%s\"}",
			s->sep, e.element, e.element);
	} else if (e.kind == KIND_ENUM) {
		str_appendf(s->out, "%s{\"name\": \"%zu\", \"meta-type\": \"enum\", \"values\": [",
			s->sep, i);
		for (const char *const *n = e.names; *n; n++, sep = ", ")
			str_appendf(s->out, "%s\"%s\"", sep, *n);
		str_append(s->out, "], \"members\": [");
		sep = "";
		for (const char *const *n = e.names; *n; n++, sep = ", ")
			str_appendf(s->out, "%s{\"name\": \"%s\"}", sep, *n);
		str_append(s->out, "]}");
	} else if (e.kind == KIND_ALTERNATE) {
		char name[16];

		object_name(s, e.table, true, name);
		str_appendf(s->out,
			"%s{\"name\": \"%zu\", \"meta-type\": \"alternate\", \"members\": "
			"[{\"type\": "
			"\"%s\"}, {\"type\": \"str\"}]}",
			s->sep, i, name);
	} else {
		str_appendf(s->out,
			"%s{\"name\": \"%zu\", \"meta-type\": \"object\", \"members\": [", s->sep,
			i);
		if (e.wrap)
			wrapped(s, &e);
		else if (e.kind == KIND_OBJECT)
			members(s, e.table, e.args, &sep);
		str_append(s->out, "]");
		if (e.kind == KIND_OBJECT && !e.wrap)
			variants(s, e.table, e.args);
		str_append(s->out, "}");
	}
	s->sep = ", ";
}

static void command(struct schema *s, const struct qmp_command *c)
{
	char args[16], ret[16];

	object_name(s, c->args, true, args);
	if (c->flags & QMP_RAW)
		strcpy(ret, "any");
	else if (c->flags & QMP_VALUE)
		type_name(s, &c->ret->fields[0], false, ret);
	else
		object_name(s, c->ret, false, ret);
	str_appendf(s->out,
		"%s{\"name\": \"%s\", \"meta-type\": \"command\", \"arg-type\": \"%s\", "
		"\"ret-type\": \"%s\"%s}",
		s->sep, c->name, args, ret, c->flags & QMP_OOB ? ", \"allow-oob\": true" : "");
	s->sep = ", ";
}

static bool run(struct qmp_call *c, struct error *err)
{
	struct schema s = { .out = c->raw, .sep = "" };
	char name[16];

	str_append(s.out, "[");
	for (const struct qmp_command *const *t = qmp_command_table; *t; t++)
		command(&s, *t);
	for (const struct qmp_event *const *e = qmp_event_table; *e; e++) {
		object_name(&s, (*e)->data, false, name);
		str_appendf(s.out,
			"%s{\"name\": \"%s\", \"meta-type\": \"event\", \"arg-type\": \"%s\"}",
			s.sep, (*e)->name, name);
	}
	for (size_t i = 0; i < ARRAY_SIZE(builtins); i++)
		str_appendf(s.out,
			"%s{\"name\": \"%s\", \"meta-type\": \"builtin\", \"json-type\": \"%s\"}",
			s.sep, builtins[i][0], builtins[i][1]);
	/* Writing one may add others. */
	for (size_t i = 0; i < s.entries.len; i++)
		entry(&s, i);
	str_append(s.out, "]");
	vec_fini(&s.entries);
	return !s.out->failed || error_set(err, "out of memory");
}

const struct qmp_command query_qmp_schema_cmd = {
	.name = "query-qmp-schema",
	.doc = "all commands and events with their types",
	.flags = QMP_QUERY | QMP_RAW,
	.run = run,
};
