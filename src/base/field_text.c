// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * field_text - the `key=value,...` form: parsing, printing, and what error messages say.
 */
#include "base/field_int.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/vec.h"

/* -------- one scalar -------- */

static const char *const true_words[] = { "on", "yes", "true", NULL };
static const char *const false_words[] = { "off", "no", "false", NULL };

static int word_index(const char *const *words, const char *text)
{
	for (int i = 0; words[i]; i++)
		if (strcmp(words[i], text) == 0)
			return i;
	return -1;
}

static int hex_digit(char c)
{
	const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *p = c ? strchr(digits, c) : NULL;

	return p ? (int)((p - digits) % 16) : -1;
}

/* @n bytes of hex; ':' or '-' may stand between two bytes (@sep: ':' must, nothing else may).
 * @out NULL: only look. */
static bool parse_hex(const char *text, uint8_t *out, size_t n, bool mac)
{
	for (size_t i = 0; i < n; i++) {
		int hi, lo;

		if (i && mac && *text != ':')
			return false;
		if (i && (*text == ':' || (*text == '-' && !mac)))
			text++;
		hi = hex_digit(text[0]);
		lo = hi < 0 ? -1 : hex_digit(text[1]);
		if (lo < 0)
			return false;
		if (out)
			out[i] = (uint8_t)(hi << 4 | lo);
		text += 2;
	}
	return !*text;
}

static bool parse_i64(const char *text, uint64_t *out)
{
	bool neg = *text == '-';
	uint64_t v;

	if (!str_parse_u64(text + neg, &v) || v > (uint64_t)INT64_MAX + neg)
		return false;
	*out = neg ? 0 - v : v;
	return true;
}

static bool parse_num(const struct field *f, const char *text, uint64_t *out)
{
	int i;

	switch (f->type) {
	case FT_BOOL:
		*out = word_index(true_words, text) >= 0;
		return *out || word_index(false_words, text) >= 0;
	case FT_ENUM:
		i = word_index(f->names, text);
		*out = (uint64_t)i;
		return i >= 0;
	case FT_I64:
		return parse_i64(text, out);
	case FT_SIZE:
		return str_parse_size(text, out);
	default:
		return str_parse_u64(text, out);
	}
}

int field_parse_scalar(const struct field *f, void *obj, const char *text)
{
	bool mac = f->type == FT_MAC;
	size_t len = strlen(text);
	uint64_t v;

	if (field_is_num(f)) {
		if (!parse_num(f, text, &v) || !field_num_ok(f, v))
			return -EINVAL;
		field_set_num(f, obj, v);
		return 0;
	}
	if (f->type == FT_STR) {
		if (!field_str_len_ok(f, len))
			return -EINVAL;
		return field_set_str(f, obj, text, len) ? 0 : -ENOMEM;
	}
	assert(f->type == FT_BYTES || f->type == FT_MAC);
	if (!parse_hex(text, NULL, f->size, mac))
		return -EINVAL;
	parse_hex(text, field_ptr(f, obj), f->size, mac);
	return 0;
}

void field_format_scalar(const struct field *f, const void *obj, struct str *out)
{
	const uint8_t *bytes = field_ptr(f, obj);
	uint64_t v = field_is_num(f) ? field_num(f, obj) : 0;
	const char *text;
	char buf[32];

	switch (f->type) {
	case FT_BOOL:
		str_append(out, v ? "on" : "off");
		return;
	case FT_ENUM:
		str_append(out, v < field_enum_len(f) ? f->names[v] : "?");
		return;
	case FT_I64:
		str_appendf(out, "%lld", (long long)v);
		return;
	case FT_SIZE:
		str_append(out, str_format_size(v, buf, sizeof(buf)));
		return;
	case FT_STR:
		text = *(char **)field_ptr(f, obj);
		str_append(out, text ? text : "");
		return;
	case FT_BYTES:
	case FT_MAC:
		for (size_t i = 0; i < f->size; i++)
			str_appendf(out, "%s%02x", i && f->type == FT_MAC ? ":" : "", bytes[i]);
		return;
	default:
		str_appendf(out, "%llu", (unsigned long long)v);
	}
}

/* -------- what would be valid -------- */

void field_names_text(const struct field *f, const char *sep, struct str *out)
{
	const char *s = "";

	for (size_t i = 0; f->names[i]; i++) {
		if (!*f->names[i])
			continue;
		str_appendf(out, "%s%s", s, f->names[i]);
		s = sep;
	}
}

static void str_range_text(const struct field *f, struct str *out)
{
	unsigned long long max = f->max ? f->max : FIELD_STR_MAX;

	if (f->min)
		str_appendf(out, "a text of %llu to %llu bytes", (unsigned long long)f->min, max);
	else
		str_appendf(out, "a text of at most %llu bytes", max);
}

void field_want(const struct field *f, struct str *out)
{
	struct str range = STR_INIT;

	switch (f->type) {
	case FT_BOOL:
		str_append(out, "on or off");
		return;
	case FT_ENUM:
		str_append(out, "one of ");
		field_names_text(f, ", ", out);
		return;
	case FT_STR:
		str_range_text(f, out);
		return;
	case FT_MAC:
		str_append(out, "a MAC address like 52:54:00:12:34:56");
		return;
	case FT_BYTES:
		str_appendf(out, "%u hex digits", 2 * f->size);
		return;
	case FT_STRUCT:
	case FT_UNION:
		str_append(out, "key=value,...");
		return;
	default:
		break;
	}
	field_range_text(f, &range);
	str_appendf(out, "a %s%s%s", f->type == FT_SIZE ? "size" : "number", range.len ? " " : "",
		str_cstr(&range));
	if (f->type == FT_SIZE)
		str_append(out, ", as in 512M");
	str_fini(&range);
}

static bool bad_value(const struct field *f, const char *key, const char *value, struct error *err)
{
	AUTO(str) want = STR_INIT;

	field_want(f, &want);
	if (f->flags & FF_SECRET)
		return error_usage(err, "bad value for '%s': %s is wanted", key, str_cstr(&want));
	return error_usage(err, "bad value '%.100s%s' for '%s': %s is wanted", value,
		strlen(value) > 100 ? "..." : "", key, str_cstr(&want));
}

/* The keys that can be given, behind the prefix that led to their table. */
struct key_list {
	struct str out;
	const char *prefix;
	size_t prefix_len;
	bool arrays; /* in JSON; there is no text for them */
};

static void list_keys(const struct field_table *t, const void *obj, struct key_list *keys)
{
	const struct field *f;

	fields_for_each (f, t) {
		if ((f->flags & FF_DERIVED) || (f->type == FT_ARRAY && !keys->arrays))
			continue;
		if (!field_is_flat(f))
			str_appendf(&keys->out, "%s%.*s%s", keys->out.len ? ", " : "",
				(int)keys->prefix_len, keys->prefix, f->name);
		else if (field_sub(f, obj))
			list_keys(field_sub(f, obj), field_ptr(f, obj), keys);
	}
}

static bool unknown(const char *what, const char *key, const char *table_name,
	const struct field_ref *in, struct key_list *keys, struct error *err)
{
	if (in->t)
		list_keys(in->t, in->obj, keys);
	if (keys->out.len)
		error_usage(err, "unknown %s '%s' for %s; valid: %s", what, key, table_name,
			str_cstr(&keys->out));
	else
		error_usage(
			err, "unknown %s '%s' for %s; none is valid here", what, key, table_name);
	str_fini(&keys->out);
	return false;
}

bool field_unknown_key(const struct field_table *t, const void *obj, const struct field_path *path,
	const char *key, struct error *err)
{
	struct field_ref in = { .t = t, .obj = (void *)(uintptr_t)obj };
	struct key_list keys = { .arrays = true };
	char buf[FIELD_PATH_MAX];

	return unknown("key", key, field_path_text(path, buf, sizeof(buf)), &in, &keys, err);
}

bool field_unexpected_key(const struct field_table *t, const void *obj,
	const struct field_path *path, struct error *err)
{
	struct key_list keys = { .arrays = true };
	char buf[FIELD_PATH_MAX];

	list_keys(t, obj, &keys);
	error_usage(err, "Parameter '%s' is unexpected; %s%s",
		field_path_text(path, buf, sizeof(buf)),
		keys.out.len ? "valid: " : "none is valid here", str_cstr(&keys.out));
	str_fini(&keys.out);
	return false;
}

/* -------- keys -------- */

/* Follow a dotted key. On failure @ref->t is the table that has no such key (NULL: an empty union
 * arm or no struct at all) and @ref->obj its object; *@good counts the bytes of @key that led there. */
static bool resolve(const struct field_table *t, const void *obj, const char *key,
	struct field_ref *ref, size_t *good)
{
	const char *at = key;
	unsigned int depth = 0;

	for (;;) {
		size_t n = strcspn(at, ".");

		*good = (size_t)(at - key);
		*ref = (struct field_ref){ .t = t, .obj = (void *)(uintptr_t)obj };
		if (!t || !field_lookup(t, obj, at, n, ref))
			return false;
		depth += ref->depth;
		ref->depth = depth;
		if (!at[n])
			return true;
		if (!field_is_aggregate(ref->f)) {
			*ref = (struct field_ref){ .t = NULL };
			return false;
		}
		t = field_sub(ref->f, ref->obj);
		obj = field_ptr(ref->f, ref->obj);
		at += n + 1;
		depth++;
	}
}

static bool resolve_or_fail(const struct field_table *t, const void *obj, const char *key,
	struct field_ref *ref, struct error *err)
{
	struct key_list keys = { .prefix = key };

	if (resolve(t, obj, key, ref, &keys.prefix_len))
		return true;
	return unknown("option", key, t->name, ref, &keys, err);
}

/* -------- setting -------- */

static bool parse_table(const struct field_table *t, void *obj, const char *text,
	unsigned int depth, struct error *err);

static bool set_list(const struct field *f, void *obj, const char *key, const char *value,
	unsigned int depth, struct error *err)
{
	struct field e = field_element(f);
	void *elem;

	if (field_len(f, obj) >= f->count)
		return error_usage(err, "too many '%s': at most %u can be given", key, f->count);
	elem = field_list_add(f, obj, err);
	if (!elem)
		return false;
	if (!field_set_text(NULL, &e, elem, key, value, depth, err)) {
		field_list_drop(f, obj);
		return false;
	}
	return true;
}

static bool set_aggregate(const struct field *f, void *obj, const char *key, const char *value,
	unsigned int depth, struct error *err)
{
	const struct field_table *sub = field_sub(f, obj);

	if (!sub)
		return error_usage(err, "'%s' takes no options here", key);
	if (depth + 1 >= FIELD_DEPTH_MAX)
		return error_usage(err, "'%s' is nested too deeply", key);
	return parse_table(sub, field_ptr(f, obj), value, depth + 1, err) ||
	       error_prefix(err, "'%s'", key);
}

static bool set_scalar(const struct field_table *t, const struct field *f, void *obj,
	const char *key, const char *value, struct error *err)
{
	uint64_t v;
	int ret;

	if (f->type == FT_ENUM) {
		if (!parse_num(f, value, &v) || !field_num_ok(f, v))
			return bad_value(f, key, value, err);
		return field_set_enum(t, f, obj, (int)v, err);
	}
	ret = field_parse_scalar(f, obj, value);
	if (ret == -EINVAL)
		return bad_value(f, key, value, err);
	return ret == 0 || error_set_errno(err, -ret, "'%s'", key);
}

bool field_set_text(const struct field_table *t, const struct field *f, void *obj, const char *key,
	const char *value, unsigned int depth, struct error *err)
{
	if (f->flags & FF_DERIVED)
		return error_usage(err, "'%s' is shown only and cannot be set", key);
	switch (f->type) {
	case FT_ARRAY:
		return error_usage(err, "'%s' cannot be set as text", key);
	case FT_LIST:
		return set_list(f, obj, key, value, depth, err);
	case FT_STRUCT:
	case FT_UNION:
		return set_aggregate(f, obj, key, value, depth, err);
	default:
		return set_scalar(t, f, obj, key, value, err);
	}
}

bool fields_set(const struct field_table *t, void *obj, const char *key, const char *value,
	struct error *err)
{
	struct field_ref ref;

	return resolve_or_fail(t, obj, key, &ref, err) &&
	       field_set_text(ref.t, ref.f, ref.obj, key, value, ref.depth, err);
}

/* -------- key=value,... -------- */

bool fields_next_token(const char **cursor, struct str *out)
{
	const char *p = *cursor;

	str_clear(out);
	if (!*p)
		return false;
	for (;;) {
		size_t n = strcspn(p, ",");

		str_append_mem(out, p, n);
		p += n;
		if (!*p)
			break;
		p++;
		if (*p != ',')
			break;
		str_append_mem(out, p, 1); /* `,,` */
		p++;
	}
	*cursor = p;
	return true;
}

void fields_put_token(const char *text, struct str *out)
{
	for (size_t n; *text; text += n) {
		n = strcspn(text, ",");
		str_append_mem(out, text, n);
		if (text[n]) {
			str_append(out, ",,");
			n++;
		}
	}
}

struct token {
	char *text; /* owned; cut at its '=' */
	const char *key;
	const char *value; /* NULL: a bare word */
};

struct tokens {
	VEC(struct token) v;
};

static void tokens_fini(struct tokens *ts)
{
	struct token *tok;

	vec_for_each (tok, &ts->v)
		free(tok->text);
	vec_fini(&ts->v);
}
DEFINE_AUTO(tokens, struct tokens, tokens_fini)

static bool tokens_add(struct tokens *ts, struct str *text, struct error *err)
{
	struct token tok = { .text = str_take(text) };
	char *equals;

	if (!tok.text || !vec_push(&ts->v, tok)) {
		free(tok.text);
		return error_set_errno(err, ENOMEM, "options");
	}
	equals = strchr(tok.text, '=');
	if (equals) {
		*equals = '\0';
		tok.value = equals + 1;
	}
	tok.key = tok.text;
	ts->v.data[ts->v.len - 1] = tok;
	if (!*tok.key)
		return error_usage(err, "an option has no name");
	return true;
}

/* Split @text; a first bare word gets the name of the FF_FIRST field. */
static bool tokens_split(
	const struct field_table *t, const char *text, struct tokens *ts, struct error *err)
{
	AUTO(str) one = STR_INIT;
	const struct field *f;

	while (fields_next_token(&text, &one)) {
		if (ts->v.len == FIELD_TOKENS_MAX)
			return error_usage(err, "more than %d options", FIELD_TOKENS_MAX);
		if (!tokens_add(ts, &one, err))
			return false;
	}
	if (!ts->v.len || ts->v.data[0].value)
		return true;
	fields_for_each (f, t) {
		if (f->flags & FF_FIRST) {
			ts->v.data[0].value = ts->v.data[0].text;
			ts->v.data[0].key = f->name;
		}
	}
	return true;
}

static const struct token *tokens_find(const struct tokens *ts, const char *key, size_t end)
{
	for (size_t i = 0; i < end; i++)
		if (strcmp(ts->v.data[i].key, key) == 0)
			return &ts->v.data[i];
	return NULL;
}

/* Set the enums that choose unions' arms before anything else, so that the order of keys does not
 * matter. Goes by the table, from the outside in: an arm may have a union of its own. */
static bool apply_selectors(const struct field_table *t, void *obj, const struct tokens *ts,
	const char *prefix, struct error *err)
{
	const struct field *f;
	char key[FIELD_PATH_MAX];

	fields_for_each (f, t) {
		const struct token *tok;

		if (!field_is_selector(t, f))
			continue;
		snprintf(key, sizeof(key), "%s%s", prefix, f->name);
		tok = tokens_find(ts, key, ts->v.len);
		if (tok && tok->value && !field_set_text(t, f, obj, key, tok->value, 0, err))
			return false;
	}
	fields_for_each (f, t) {
		const struct field_table *sub = field_is_aggregate(f) ? field_sub(f, obj) : NULL;

		if (!sub)
			continue;
		snprintf(key, sizeof(key), "%s%s%s", prefix, f->name, field_is_flat(f) ? "" : ".");
		if (!apply_selectors(sub, field_ptr(f, obj), ts, key, err))
			return false;
	}
	return true;
}

static bool apply_token(const struct field_table *t, void *obj, const struct tokens *ts, size_t i,
	unsigned int depth, struct error *err)
{
	const struct token *tok = &ts->v.data[i];
	struct field_ref ref;

	if (!resolve_or_fail(t, obj, tok->key, &ref, err))
		return false;
	depth += ref.depth;
	if (ref.f->type != FT_LIST && tokens_find(ts, tok->key, i))
		return error_usage(err, "'%s' is given twice", tok->key);
	if (tok->value)
		return field_set_text(ref.t, ref.f, ref.obj, tok->key, tok->value, depth, err);
	if (ref.f->type != FT_BOOL) {
		AUTO(str) want = STR_INIT;

		field_want(ref.f, &want);
		return error_usage(err, "'%s' needs a value: %s", tok->key, str_cstr(&want));
	}
	return field_set_text(ref.t, ref.f, ref.obj, tok->key, "on", depth, err);
}

static bool parse_table(const struct field_table *t, void *obj, const char *text,
	unsigned int depth, struct error *err)
{
	AUTO(tokens) ts = { 0 };

	if (!tokens_split(t, text, &ts, err) || !apply_selectors(t, obj, &ts, "", err))
		return false;
	for (size_t i = 0; i < ts.v.len; i++)
		if (!apply_token(t, obj, &ts, i, depth, err))
			return false;
	return true;
}

bool fields_parse(const struct field_table *t, void *obj, const char *text, struct error *err)
{
	return parse_table(t, obj, text, 0, err) && fields_check(t, obj, err);
}

/* -------- getting -------- */

bool fields_get(const struct field_table *t, const void *obj, const char *key, struct str *out)
{
	struct field_ref ref;
	size_t good;

	if (!resolve(t, obj, key, &ref, &good))
		return false;
	if (ref.f->flags & FF_SECRET)
		str_append(out, "(secret)");
	else if (ref.f->type == FT_ARRAY || ref.f->type == FT_LIST || field_is_aggregate(ref.f))
		field_to_json(ref.f, ref.obj, out);
	else
		field_format_scalar(ref.f, ref.obj, out);
	return true;
}
