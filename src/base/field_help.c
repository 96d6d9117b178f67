// SPDX-License-Identifier: GPL-2.0-or-later
/* field_help - what `--help` says of a table: a line a key. */
#include <stdio.h>
#include "base/field_int.h"

#define HELP_COLUMN 28

static void placeholder(const struct field *f, enum field_type type, struct str *out)
{
	switch (type) {
	case FT_BOOL:
		str_append(out, "on|off");
		return;
	case FT_ENUM:
		field_names_text(f, "|", out);
		return;
	case FT_SIZE:
		str_append(out, "SIZE");
		return;
	case FT_STR:
		str_append(out, "TEXT");
		return;
	case FT_MAC:
		str_append(out, "MAC");
		return;
	case FT_BYTES:
		str_append(out, "HEX");
		return;
	case FT_STRUCT:
		str_append(out, "KEY=VALUE...");
		return;
	default:
		if (f->min || f->max)
			field_range_text(f, out);
		else
			str_append(out, "N");
	}
}

/* "doc (1K..1T; default 4K; repeatable)" */
static void help_notes(const struct field *f, struct str *out)
{
	const char *open = f->doc ? " (" : "(", *sep = open;

	str_append(out, f->doc ? f->doc : "");
	if (f->type == FT_SIZE && (f->min || f->max)) {
		str_append(out, sep);
		field_range_text(f, out);
		sep = "; ";
	}
	if (f->dflt && !(f->flags & FF_SECRET)) {
		str_appendf(out, "%sdefault %s", sep, *f->dflt ? f->dflt : "empty");
		sep = "; ";
	}
	if (f->flags & FF_REQUIRED) {
		str_appendf(out, "%srequired", sep);
		sep = "; ";
	}
	if (f->type == FT_LIST) {
		str_appendf(out, "%srepeatable", sep);
		sep = "; ";
	}
	if (sep != open)
		str_append(out, ")");
}

static void help_line(const struct field *f, const char *prefix, int indent, struct str *out)
{
	bool first = f->flags & FF_FIRST;
	size_t start = out->len;
	int used;

	str_appendf(out, "%*s%s%s%s%s", indent, "", first ? "[" : "", prefix, f->name,
		first ? "=]" : "=");
	placeholder(f, f->type == FT_LIST ? f->elem : f->type, out);
	used = (int)(out->len - start) - indent;
	if (used >= HELP_COLUMN) {
		str_append(out, "\n");
		used = -indent;
	}
	str_appendf(out, "%*s", HELP_COLUMN - used, "");
	help_notes(f, out);
	str_append(out, "\n");
}

static void help_table(
	const struct field_table *t, const char *prefix, int indent, struct str *out);

static void help_union(const struct field_table *t, const struct field *u, const char *prefix,
	const char *inner, int indent, struct str *out)
{
	const struct field *sel;

	fields_for_each (sel, t)
		if (sel->type == FT_ENUM && sel->offset == u->sel)
			break;
	if (sel == t->fields + t->n_fields)
		return;
	for (uint32_t i = 0; i < u->n_arms && sel->names[i]; i++) {
		if (!u->arms[i] || !*sel->names[i])
			continue;
		str_appendf(
			out, "%*swith %s%s=%s:\n", indent, "", prefix, sel->name, sel->names[i]);
		help_table(u->arms[i], inner, indent + 2, out);
	}
}

static void help_table(const struct field_table *t, const char *prefix, int indent, struct str *out)
{
	char inner[FIELD_PATH_MAX];
	const struct field *f;

	fields_for_each (f, t) {
		if ((f->flags & FF_DERIVED) || f->type == FT_ARRAY)
			continue;
		snprintf(inner, sizeof(inner), "%s%s%s", prefix, f->name,
			field_is_flat(f) ? "" : ".");
		if (f->type == FT_STRUCT)
			help_table(f->sub, inner, indent, out);
		else if (f->type == FT_UNION)
			help_union(t, f, prefix, inner, indent, out);
		else
			help_line(f, prefix, indent, out);
	}
}

void fields_help(const struct field_table *t, int indent, struct str *out)
{
	help_table(t, "", indent, out);
}
