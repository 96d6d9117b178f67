// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * field_json - objects as JSON text, for QMP results and `--json`, and from JSON, for configuration
 * files and QMP arguments.
 */
#include "base/json.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/field_int.h"

/* -------- writing -------- */

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

	if (f->flags & FF_ANY) {
		str_append(out, *(char **)field_ptr(f, obj));
		return;
	}
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

static bool is_zero(const void *p, size_t n)
{
	const char *c = p;

	return !n || (!c[0] && !memcmp(c, c + 1, n - 1));
}

/* An absent text has no key, nor has an empty arm; a secret is nobody's business. */
static bool json_absent(const struct field *f, const void *obj)
{
	if (f->flags & FF_SECRET)
		return true;
	if (f->flags & FF_OMIT_ZERO && field_is_num(f))
		return !field_num(f, obj);
	if (f->flags & FF_OMIT_ZERO && (f->type == FT_LIST || f->type == FT_ARRAY))
		return !field_len(f, obj);
	if (f->flags & FF_OMIT_ZERO && f->type == FT_STRUCT)
		return is_zero(field_ptr(f, obj), f->sub->struct_size);
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

bool fields_get_json(const struct field_table *t, const void *obj, const char *key, struct str *out)
{
	const struct field *f = fields_find(t, key);

	if (!f || f->flags & FF_SECRET)
		return false;
	field_to_json(f, obj, out);
	return true;
}

void *fields_list_add(const struct field_table *t, void *obj, const char *key, struct error *err)
{
	const struct field *f = fields_find(t, key);

	assert(f && f->type == FT_LIST);
	if (field_len(f, obj) < f->count)
		return field_list_add(f, obj, err);
	error_set(err, "'%s' has more than %u elements", key, f->count);
	return NULL;
}

/* -------- reading -------- */

/* Where the reader is. */
struct read {
	const struct json_doc *doc;
	const struct json_token *tok;
	unsigned int depth;
	struct field_path path;
};

static bool read_table(
	const struct field_table *t, void *obj, const struct read *at, struct error *err);

static bool wrong_type(const struct read *at, const char *want, struct error *err)
{
	char path[FIELD_PATH_MAX];

	return error_usage(err, "bad value for '%s': %s is wanted",
		field_path_text(&at->path, path, sizeof(path)), want);
}

static enum json_type scalar_type(const struct field *f)
{
	if (f->type == FT_BOOL)
		return JSON_BOOL;
	return field_is_num(f) && f->type != FT_ENUM ? JSON_NUMBER : JSON_STRING;
}

/* What is said of a typed document's mistakes begins as QEMU's clients know it. */
static bool wrong_json(const struct read *at, enum json_type want, struct error *err)
{
	static const char *const names[] = { [JSON_OBJECT] = "object",
		[JSON_ARRAY] = "array",
		[JSON_STRING] = "string",
		[JSON_NUMBER] = "integer",
		[JSON_BOOL] = "boolean" };
	char path[FIELD_PATH_MAX];

	return error_usage(err, "Invalid parameter type for '%s', expected: %s",
		field_path_text(&at->path, path, sizeof(path)), names[want]);
}

/* An enum's value that is none. */
static bool wrong_name(
	const struct field *f, const struct read *at, const char *value, struct error *err)
{
	AUTO(str) want = STR_INIT;
	char path[FIELD_PATH_MAX];

	field_want(f, &want);
	field_path_text(&at->path, path, sizeof(path));
	return error_usage(err, "Parameter '%s' does not accept value '%.100s': %s is wanted",
		at->path.name ?: path, value, str_cstr(&want));
}

static bool is_name(const struct field *f, const char *text)
{
	for (size_t i = 0; f->names[i]; i++) {
		if (!strcmp(f->names[i], text))
			return true;
	}
	return false;
}

/* Scalars go through their text form, so that options and JSON agree in all values and messages. */
static bool read_scalar(const struct field_table *t, const struct field *f, void *obj,
	const struct read *at, struct error *err)
{
	AUTO(str) text = STR_INIT, want = STR_INIT;
	char path[FIELD_PATH_MAX];

	json_text(at->doc, at->tok, &text);
	field_path_text(&at->path, path, sizeof(path));
	if (text.failed)
		return error_set_errno(err, ENOMEM, "'%s'", path);
	if (at->doc->typed &&
		(at->tok->type != scalar_type(f) ||
			(at->tok->type == JSON_NUMBER && strpbrk(str_cstr(&text), ".eE"))))
		return wrong_json(at, scalar_type(f), err);
	if (at->doc->typed && f->type == FT_ENUM && !is_name(f, str_cstr(&text)))
		return wrong_name(f, at, str_cstr(&text), err);
	if (at->tok->type == JSON_NULL || at->tok->type > JSON_STRING ||
		(f->type == FT_STR && at->tok->type != JSON_STRING) ||
		strlen(str_cstr(&text)) != text.len) {
		field_want(f, &want);
		return wrong_type(at, str_cstr(&want), err);
	}
	return field_set_text(t, f, obj, path, str_cstr(&text), 0, err);
}

static bool read_elements(
	const struct field *f, void *obj, const struct read *at, struct error *err);

/* The value's text as it stands. */
static bool read_any(const struct field *f, void *obj, const struct read *at, struct error *err)
{
	bool quoted = at->tok->type == JSON_STRING;

	return field_set_str(f, obj, at->doc->text + at->tok->start - quoted,
		       at->tok->len + 2 * (size_t)quoted) ||
	       error_set_errno(err, ENOMEM, "'%s'", f->name);
}

static bool read_member(const struct field_table *t, const struct field *f, void *obj,
	const struct read *at, struct error *err)
{
	const struct field_table *sub;

	switch (f->type) {
	case FT_ARRAY:
	case FT_LIST:
		return read_elements(f, obj, at, err);
	case FT_STRUCT:
	case FT_UNION:
		sub = field_sub(f, obj);
		if (!sub)
			return wrong_type(at, "nothing", err);
		return read_table(sub, field_ptr(f, obj), at, err);
	default:
		return f->flags & FF_ANY ? read_any(f, obj, at, err)
					 : read_scalar(t, f, obj, at, err);
	}
}

static bool read_elements(
	const struct field *f, void *obj, const struct read *at, struct error *err)
{
	const struct json_token *tok = at->tok + 1, *end = at->doc->tokens + at->tok->next;
	struct read in = { .doc = at->doc, .depth = at->depth, .path = { .up = &at->path } };
	struct field e = field_element(f);
	char want[64];
	size_t n = 0;

	snprintf(want, sizeof(want), "an array of %s%u", f->type == FT_LIST ? "at most " : "",
		f->count);
	if (at->tok->type != JSON_ARRAY)
		return at->doc->typed ? wrong_json(at, JSON_ARRAY, err) : wrong_type(at, want, err);
	for (in.tok = tok; in.tok < end; in.tok = at->doc->tokens + in.tok->next)
		n++;
	if (n > f->count || (f->type == FT_ARRAY && n != f->count))
		return wrong_type(at, want, err);
	if (f->type == FT_LIST && !field_list_alloc(f, obj, n, err))
		return field_path_prefix(&at->path, err);
	in.tok = tok;
	for (; in.path.index < n; in.path.index++) {
		if (!read_member(NULL, &e, field_at(f, obj, in.path.index), &in, err))
			return false;
		in.tok = at->doc->tokens + in.tok->next;
	}
	return true;
}

/* Unions' selectors first, so that the order of keys does not matter; flat structs and arms have
 * theirs in the same JSON object. */
static bool read_selectors(
	const struct field_table *t, void *obj, const struct read *at, struct error *err)
{
	const struct field *f;

	fields_for_each (f, t) {
		struct read in = { at->doc, NULL, at->depth, { .up = &at->path, .name = f->name } };

		if (!field_is_selector(t, f))
			continue;
		in.tok = json_member(at->doc, at->tok, f->name);
		if (in.tok && !read_scalar(t, f, obj, &in, err))
			return false;
	}
	fields_for_each (f, t)
		if (field_is_flat(f) && field_sub(f, obj) &&
			!read_selectors(field_sub(f, obj), field_ptr(f, obj), at, err))
			return false;
	return true;
}

static bool unknown_key(const struct field_table *t, const void *obj, const struct read *at,
	const char *name, struct error *err)
{
	struct field_path p = { .up = &at->path, .name = name };

	return at->doc->typed ? field_unexpected_key(t, obj, &p, err)
			      : field_unknown_key(t, obj, &at->path, name, err);
}

/* One key, at @key, and the value behind it. */
static bool read_key(const struct field_table *t, void *obj, const struct read *at,
	const struct json_token *key, struct error *err)
{
	AUTO(str) name = STR_INIT;
	struct read in = { at->doc, key + 1, at->depth + 1, { .up = &at->path } };
	struct field_ref ref;

	json_text(at->doc, key, &name);
	if (name.failed) {
		error_set_errno(err, ENOMEM, "JSON");
		return field_path_prefix(&at->path, err);
	}
	if (!field_lookup(t, obj, str_cstr(&name), name.len, &ref))
		return unknown_key(t, obj, at, str_cstr(&name), err);
	in.path.name = ref.f->name;
	in.depth += ref.depth;
	if (ref.f->flags & FF_DERIVED)
		return wrong_type(&in, "nothing", err);
	return read_member(ref.t, ref.f, ref.obj, &in, err);
}

/* Have the FF_GIVEN members been? Flat structs and arms have theirs in the same JSON object. */
static bool check_given(
	const struct field_table *t, void *obj, const struct read *at, struct error *err)
{
	const struct field *f;

	fields_for_each (f, t) {
		char path[FIELD_PATH_MAX];
		struct field_path p = { .up = &at->path, .name = f->name };

		if (field_is_flat(f)) {
			if (field_sub(f, obj) &&
				!check_given(field_sub(f, obj), field_ptr(f, obj), at, err))
				return false;
		} else if (f->flags & FF_GIVEN && !json_member(at->doc, at->tok, f->name)) {
			return error_usage(err, "Parameter '%s' is missing",
				field_path_text(&p, path, sizeof(path)));
		}
	}
	return true;
}

static bool read_table(
	const struct field_table *t, void *obj, const struct read *at, struct error *err)
{
	const struct json_token *key = at->tok + 1, *end = at->doc->tokens + at->tok->next;

	if (at->tok->type != JSON_OBJECT)
		return at->doc->typed ? wrong_json(at, JSON_OBJECT, err)
				      : wrong_type(at, "an object", err);
	if (at->depth >= FIELD_DEPTH_MAX) {
		error_usage(err, "nested too deeply");
		return field_path_prefix(&at->path, err);
	}
	if (!read_selectors(t, obj, at, err))
		return false;
	for (; key < end; key = at->doc->tokens + key[1].next)
		if (!read_key(t, obj, at, key, err))
			return false;
	return !at->doc->typed || check_given(t, obj, at, err);
}

bool fields_from_json(const struct field_table *t, void *obj, const struct json_doc *doc,
	const struct json_token *tok, struct error *err)
{
	/* The name of a command's table is nobody's business. */
	struct read at = { doc, tok, 0, { .name = doc->typed ? "" : t->name } };

	return read_table(t, obj, &at, err);
}

bool fields_from_json_text(
	const struct field_table *t, void *obj, const char *text, size_t len, struct error *err)
{
	AUTO(json_doc) doc = JSON_DOC_INIT;

	return json_parse(&doc, text, len, err) && fields_from_json(t, obj, &doc, doc.tokens, err);
}
