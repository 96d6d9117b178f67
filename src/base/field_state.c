// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * field_state - objects in a stream (the form is in stream.h). Loading treats every byte as hostile;
 * what it accepts, it has checked against the table.
 */
#include "base/stream.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include "base/field_int.h"
#include "base/wire.h"

#define ELEMENT_TAG 1

static bool is_saved(const struct field *f)
{
	return f->tag && !(f->flags & FF_DERIVED);
}

/* Bytes of the value on the wire, 0: it varies. */
static size_t wire_size(const struct field *f)
{
	if (f->type == FT_ENUM)
		return 4;
	if (field_is_num(f) || f->type == FT_BYTES || f->type == FT_MAC)
		return f->size;
	return 0;
}

/* -------- saving -------- */

static void put_value(const struct field *f, const void *obj, struct str *out)
{
	uint8_t num[8];

	if (field_is_num(f)) {
		wr_le64(num, field_num(f, obj));
		str_append_mem(out, num, wire_size(f));
	} else {
		str_append_mem(out, field_ptr(f, obj), f->size);
	}
}

static void save_member(
	const struct field *f, const void *obj, uint16_t tag, uint16_t flags, struct str *out)
{
	bool many = f->type == FT_ARRAY || f->type == FT_LIST;
	const struct field_table *sub;
	const char *text;
	struct field e;
	size_t pos;

	if (f->type == FT_UNION && !field_sub(f, obj))
		return;
	pos = stream_begin(out, tag, flags);
	if (many) {
		e = field_element(f);
		for (size_t i = 0; i < field_len(f, obj); i++) {
			if (wire_size(&e))
				put_value(&e, field_at(f, obj, i), out);
			else
				save_member(&e, field_at(f, obj, i), ELEMENT_TAG,
					STREAM_F_MANDATORY, out);
		}
	} else if (field_is_aggregate(f)) {
		sub = field_sub(f, obj);
		fields_save(sub, field_ptr(f, obj), out);
	} else if (f->type == FT_STR) {
		text = *(char **)field_ptr(f, obj);
		if (text)
			str_append_mem(out, text, strlen(text) + 1);
	} else {
		put_value(f, obj, out);
	}
	stream_end(out, pos);
}

void fields_save(const struct field_table *t, const void *obj, struct str *out)
{
	const struct field *f;

	fields_for_each (f, t) {
		if (is_saved(f))
			save_member(f, obj, f->tag,
				f->flags & FF_OPTIONAL_STATE ? 0 : STREAM_F_MANDATORY, out);
	}
}

/* -------- loading -------- */

/* Where the loader is: what it reads, how deep, and what to call it. */
struct load {
	const uint8_t *p;
	size_t len;
	unsigned int depth;
	struct field_path path;
};

static bool load_fail(const struct load *at, struct error *err)
{
	return field_path_prefix(&at->path, err);
}

static bool load_table(
	const struct field_table *t, void *obj, const struct load *at, struct error *err);

static bool load_num(const struct field_table *t, const struct field *f, void *obj,
	const struct load *at, struct error *err)
{
	uint64_t v = rd_le(at->p, (unsigned int)at->len);
	AUTO(str) range = STR_INIT;

	if (field_num_ok(f, v)) {
		if (f->type == FT_ENUM)
			return field_set_enum(t, f, obj, (int)v, err) || load_fail(at, err);
		field_set_num(f, obj, v);
		return true;
	}
	field_range_text(f, &range);
	if (f->type == FT_I64)
		error_set(err, "%lld is out of range %s", (long long)v, str_cstr(&range));
	else
		error_set(err, "%llu is out of range %s", (unsigned long long)v, str_cstr(&range));
	return load_fail(at, err);
}

/* A text with its NUL; no bytes: absent. */
static bool load_str(const struct field *f, void *obj, const struct load *at, struct error *err)
{
	bool ok;

	if (!at->len) {
		ok = field_set_str(f, obj, NULL, 0);
	} else if (memchr(at->p, 0, at->len) != at->p + at->len - 1) {
		error_set(err, "a text does not end where it should");
		return load_fail(at, err);
	} else if (!field_str_len_ok(f, at->len - 1)) {
		error_set(err, "a text of %zu bytes is out of range %llu..%llu", at->len - 1,
			(unsigned long long)f->min,
			(unsigned long long)(f->max ? f->max : FIELD_STR_MAX));
		return load_fail(at, err);
	} else {
		ok = field_set_str(f, obj, (const char *)at->p, at->len - 1);
	}
	if (ok)
		return true;
	error_set_errno(err, ENOMEM, "%zu bytes", at->len);
	return load_fail(at, err);
}

static bool load_value(const struct field_table *t, const struct field *f, void *obj,
	const struct load *at, struct error *err)
{
	size_t want = wire_size(f);
	const struct field_table *sub;

	if (f->type == FT_STR)
		return load_str(f, obj, at, err);
	if (field_is_aggregate(f)) {
		sub = field_sub(f, obj);
		if (sub)
			return load_table(sub, field_ptr(f, obj), at, err);
		want = 0;
	}
	if (at->len != want) {
		error_set(err, "%zu bytes where %zu are wanted", at->len, want);
		return load_fail(at, err);
	}
	if (field_is_num(f))
		return load_num(t, f, obj, at, err);
	if (want)
		memcpy(field_ptr(f, obj), at->p, want);
	return true;
}

/* How many elements does the record hold? Damage counts as an element; reading finds it. */
static size_t count_elements(const struct field *e, const struct load *at)
{
	struct stream_reader r = { at->p, at->len };
	struct error ignored = ERROR_INIT;
	struct stream_record rec;
	size_t n = 0;

	if (wire_size(e))
		return at->len / wire_size(e) + (at->len % wire_size(e) != 0);
	while (stream_next(&r, &rec, &ignored))
		n++;
	return n + (ignored.kind != ERROR_NONE);
}

static bool check_count(const struct field *f, size_t n, const struct load *at, struct error *err)
{
	if (f->type == FT_ARRAY && n != f->count)
		error_set(err, "%zu elements where %u are wanted", n, f->count);
	else if (n > f->count)
		error_set(err, "%zu elements where at most %u are allowed", n, f->count);
	else
		return true;
	return load_fail(at, err);
}

/* Cut the next element's bytes off @r. */
static bool next_element(
	const struct field *e, struct stream_reader *r, struct load *at, struct error *err)
{
	size_t n = wire_size(e);
	struct stream_record rec;

	if (n) {
		at->p = r->p;
		at->len = n < r->len ? n : r->len;
		r->p += at->len;
		r->len -= at->len;
		return true;
	}
	if (!stream_next(r, &rec, err))
		return load_fail(at, err);
	if (rec.tag != ELEMENT_TAG) {
		error_set(err, "record %u where an element is wanted", rec.tag);
		return load_fail(at, err);
	}
	at->p = rec.p;
	at->len = rec.len;
	return true;
}

static bool load_elements(
	const struct field *f, void *obj, const struct load *at, struct error *err)
{
	struct stream_reader r = { at->p, at->len };
	struct field e = field_element(f);
	size_t n = count_elements(&e, at);

	if (!check_count(f, n, at, err))
		return false;
	if (f->type == FT_LIST && !field_list_alloc(f, obj, n, err))
		return load_fail(at, err);
	for (size_t i = 0; i < n; i++) {
		struct load elem = { .depth = at->depth, .path = { .up = &at->path, .index = i } };

		if (!next_element(&e, &r, &elem, err) ||
			!load_value(NULL, &e, field_at(f, obj, i), &elem, err))
			return false;
	}
	return true;
}

static const struct field *find_tag(const struct field_table *t, uint16_t tag)
{
	const struct field *f;

	fields_for_each (f, t)
		if (f->tag == tag && is_saved(f))
			return f;
	return NULL;
}

/* Look at every tag before anything is loaded. */
static bool check_tags(const struct field_table *t, const struct load *at, struct error *err)
{
	struct stream_reader r = { at->p, at->len };
	uint64_t seen[FIELDS_MAX / 64] = { 0 };
	struct stream_record rec;

	while (stream_next(&r, &rec, err)) {
		const struct field *f = find_tag(t, rec.tag);
		size_t i = f ? (size_t)(f - t->fields) : 0;

		if (!f && !(rec.flags & STREAM_F_MANDATORY))
			continue;
		if (!f)
			error_set(err, "unknown mandatory field %u (saved by a newer version?)",
				rec.tag);
		else if (seen[i / 64] >> (i % 64) & 1)
			error_set(err, "'%s' is there twice", f->name);
		if (err->kind != ERROR_NONE)
			break;
		seen[i / 64] |= 1ull << (i % 64);
	}
	return err->kind == ERROR_NONE || load_fail(at, err);
}

/* One pass over the records, either for unions or for all else. */
static bool load_pass(const struct field_table *t, void *obj, const struct load *at, bool unions,
	struct error *err)
{
	struct stream_reader r = { at->p, at->len };
	struct stream_record rec;

	while (stream_next(&r, &rec, err)) {
		const struct field *f = find_tag(t, rec.tag);
		struct load in = { rec.p, rec.len, at->depth + 1, { .up = &at->path } };
		bool ok;

		if (!f || (f->type == FT_UNION) != unions)
			continue;
		in.path.name = f->name;
		if (f->type == FT_ARRAY || f->type == FT_LIST)
			ok = load_elements(f, obj, &in, err);
		else
			ok = load_value(t, f, obj, &in, err);
		if (!ok)
			return false;
	}
	return true;
}

/* Unions come after their selectors, whatever the order in the stream. */
static bool load_table(
	const struct field_table *t, void *obj, const struct load *at, struct error *err)
{
	if (at->depth >= STREAM_DEPTH_MAX) {
		error_set(err, "nested too deeply");
		return load_fail(at, err);
	}
	return check_tags(t, at, err) && load_pass(t, obj, at, false, err) &&
	       load_pass(t, obj, at, true, err);
}

bool fields_load(
	const struct field_table *t, void *obj, const void *p, size_t len, struct error *err)
{
	struct load at = { p, len, 0, { .name = t->name } };

	err->kind = ERROR_NONE;
	assert(t->n_fields <= FIELDS_MAX);
	return load_table(t, obj, &at, err);
}

/* -------- comparing -------- */

static bool str_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool member_equal(const struct field *f, const void *a, const void *b)
{
	const struct field_table *sub;
	struct field e;

	switch (f->type) {
	case FT_STR:
		return str_equal(*(char **)field_ptr(f, a), *(char **)field_ptr(f, b));
	case FT_STRUCT:
	case FT_UNION:
		sub = field_sub(f, a);
		if (sub != field_sub(f, b))
			return false;
		return !sub || fields_equal_state(sub, field_ptr(f, a), field_ptr(f, b));
	case FT_ARRAY:
	case FT_LIST:
		if (field_len(f, a) != field_len(f, b))
			return false;
		e = field_element(f);
		for (size_t i = 0; i < field_len(f, a); i++)
			if (!member_equal(&e, field_at(f, a, i), field_at(f, b, i)))
				return false;
		return true;
	default:
		return memcmp(field_ptr(f, a), field_ptr(f, b), f->size) == 0;
	}
}

bool fields_equal_state(const struct field_table *t, const void *a, const void *b)
{
	const struct field *f;

	fields_for_each (f, t)
		if (is_saved(f) && !member_equal(f, a, b))
			return false;
	return true;
}
