// SPDX-License-Identifier: GPL-2.0-or-later
/* qmp_manual - the manual of all commands and events, in Markdown, from their tables. */
#include "control/qmp_manual.h"

#include <string.h>
#include "control/qmp.h"

static void members(const struct field_table *t, bool args, int depth, struct str *out);

static const char *type_word(const struct field *f)
{
	switch (f->type) {
	case FT_BOOL:
		return "boolean";
	case FT_STR:
		return f->sub ? "text or object" : f->flags & FF_ANY ? "any value" : "text";
	case FT_BYTES:
	case FT_MAC:
		return "text";
	case FT_STRUCT:
	case FT_UNION:
		return "object";
	case FT_ENUM:
		return "one of";
	case FT_ARRAY:
	case FT_LIST:
		return "list";
	default:
		return "number";
	}
}

static void names(const struct field *f, struct str *out)
{
	for (const char *const *n = f->names; *n; n++)
		str_appendf(out, " `%s`", *n);
}

static void member(const struct field *f, bool args, int depth, struct str *out)
{
	bool list = f->type == FT_LIST || f->type == FT_ARRAY;
	bool optional = !(f->flags & (FF_GIVEN | FF_REQUIRED)) &&
			(args || f->type == FT_STR || f->flags & FF_OMIT_ZERO);
	struct field e = *f;

	if (list)
		e.type = f->elem;
	str_appendf(out, "%*s- `%s`%s: %s%s", 2 * depth, "", f->name, optional ? " (optional)" : "",
		list ? "list of " : "", type_word(&e));
	if (e.type == FT_ENUM)
		names(f, out);
	str_appendf(out, "%s%s\n", f->doc ? ": " : "", f->doc ?: "");
	if (e.type == FT_STRUCT)
		members(f->sub, args, depth + 1, out);
	if (e.type != FT_UNION)
		return;
	for (uint32_t i = 0; i < f->n_arms; i++) {
		if (f->arms[i] && f->arms[i]->n_fields)
			members(f->arms[i], args, depth + 1, out);
	}
}

/* A flat member's own stand in its place. */
static void members(const struct field_table *t, bool args, int depth, struct str *out)
{
	for (uint32_t i = 0; t && i < t->n_fields; i++) {
		const struct field *f = &t->fields[i];

		if (*f->name)
			member(f, args, depth, out);
		else if (f->type == FT_STRUCT)
			members(f->sub, args, depth, out);
		for (uint32_t a = 0; !*f->name && f->type == FT_UNION && a < f->n_arms; a++)
			members(f->arms[a], args, depth, out);
	}
}

static void command(const struct qmp_command *c, struct str *out)
{
	str_appendf(out, "\n### %s\n\n%s%s.\n", c->name, c->doc,
		c->flags & QMP_QUERY ? " (also on the read-only socket)" : "");
	if (c->args && c->args->n_fields) {
		str_append(out, "\nArguments:\n");
		members(c->args, true, 0, out);
	}
	if (c->flags & QMP_RAW) {
		str_append(out, "\nResult: any value.\n");
	} else if (c->ret && c->ret->n_fields) {
		const struct field *f = &c->ret->fields[0];

		str_append(out, c->flags & QMP_VALUE ? "\nResult: the value of\n" : "\nResult:\n");
		if (c->flags & QMP_VALUE)
			member(f, false, 0, out);
		else
			members(c->ret, false, 0, out);
	}
}

void qmp_manual(struct str *out)
{
	str_append(out, "## Commands\n");
	for (const struct qmp_command *const *c = qmp_command_table; *c; c++)
		command(*c, out);
	str_append(out, "\n## Events\n");
	for (const struct qmp_event *const *e = qmp_event_table; *e; e++) {
		str_appendf(out, "\n### %s\n\n%s%s.\n", (*e)->name, (*e)->doc,
			(*e)->interval_ns ? " (at most once a second; the newest counts)" : "");
		members((*e)->data, false, 0, out);
	}
}
