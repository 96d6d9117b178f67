// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * field_json - objects as JSON text, for QMP results and `--json`. Writing only; reading is in
 * json.c.
 */
#include "base/json.h"

#include "base/field_int.h"

static void array_to_json(const struct field *f, const void *obj, struct str *out)
{
	struct field e = field_element(f);

	str_append(out, "[");
	for (size_t i = 0; i < field_len(f, obj); i++) {
		if (i)
			str_append(out, ", ");
		field_to_json(&e, field_at(f, obj, i), out);
	}
	str_append(out, "]");
}

void field_to_json(const struct field *f, const void *obj, struct str *out)
{
	struct str text = STR_INIT;

	switch (f->type) {
	case FT_BOOL:
		str_append(out, field_num(f, obj) ? "true" : "false");
		return;
	case FT_U8:
	case FT_U16:
	case FT_U32:
	case FT_U64:
	case FT_SIZE:
		str_appendf(out, "%llu", (unsigned long long)field_num(f, obj));
		return;
	case FT_I64:
		str_appendf(out, "%lld", (long long)field_num(f, obj));
		return;
	case FT_STRUCT:
	case FT_UNION:
		if (field_sub(f, obj))
			fields_to_json(field_sub(f, obj), field_ptr(f, obj), out);
		else
			str_append(out, "{}");
		return;
	case FT_ARRAY:
	case FT_LIST:
		array_to_json(f, obj, out);
		return;
	default:
		field_format_scalar(f, obj, &text);
		json_quote(str_cstr(&text), out);
		out->failed |= text.failed;
		str_fini(&text);
	}
}

/* An absent text has no key, nor has an empty arm; a secret is nobody's business. */
static bool json_absent(const struct field *f, const void *obj)
{
	if (f->flags & FF_SECRET)
		return true;
	if (f->type == FT_STR)
		return !*(char **)field_ptr(f, obj);
	return field_is_aggregate(f) && !field_sub(f, obj);
}

static void members_to_json(
	const struct field_table *t, const void *obj, const char **sep, struct str *out)
{
	const struct field *f;

	fields_for_each (f, t) {
		if (json_absent(f, obj))
			continue;
		if (field_is_flat(f)) {
			members_to_json(field_sub(f, obj), field_ptr(f, obj), sep, out);
			continue;
		}
		str_append(out, *sep);
		json_quote(f->name, out);
		str_append(out, ": ");
		field_to_json(f, obj, out);
		*sep = ", ";
	}
}

void fields_to_json(const struct field_table *t, const void *obj, struct str *out)
{
	const char *sep = "";

	str_append(out, "{");
	members_to_json(t, obj, &sep, out);
	str_append(out, "}");
}
