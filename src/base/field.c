// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * field - walking objects by their tables: defaults, clean-up, look-up, unions, required members,
 * and a check of tables themselves. Text, JSON and saved state are in field_*.c beside this.
 *
 * Recursion: structs, arrays and unions lie inside their object, so that their depth is the
 * program's own. Lists can make it grow by data; whatever fills them from outside counts the depth.
 */
#include "base/field_int.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/ovf.h"

/* -------- paths -------- */

const char *field_path_text(const struct field_path *path, char *buf, size_t size)
{
	const struct field_path *chain[4 * FIELD_DEPTH_MAX];
	size_t n = 0, len = 0;

	buf[0] = '\0';
	for (; path && n < sizeof(chain) / sizeof(chain[0]); path = path->up)
		chain[n++] = path;
	while (n-- && len < size) {
		const struct field_path *p = chain[n];
		int w;

		if (!p->name)
			w = snprintf(buf + len, size - len, "[%zu]", p->index);
		else
			w = snprintf(
				buf + len, size - len, "%s%s", len && *p->name ? "." : "", p->name);
		len += w > 0 ? (size_t)w : 0;
	}
	return buf;
}

bool field_path_prefix(const struct field_path *path, struct error *err)
{
	char buf[FIELD_PATH_MAX];

	return error_prefix(err, "%s", field_path_text(path, buf, sizeof(buf)));
}

/* -------- walking -------- */

static size_t elem_size(const struct field *f)
{
	return f->type == FT_ARRAY ? f->size / f->count : f->size;
}

struct field field_element(const struct field *f)
{
	struct field e = *f;

	e.type = f->elem;
	e.offset = 0;
	e.size = (uint32_t)elem_size(f);
	e.count = f->elem == FT_BYTES ? e.size : 1;
	return e;
}

size_t field_len(const struct field *f, const void *obj)
{
	const struct field_list *list = field_ptr(f, obj);

	return f->type == FT_ARRAY ? f->count : list->len;
}

void *field_at(const struct field *f, const void *obj, size_t i)
{
	char *base = field_ptr(f, obj);

	if (f->type == FT_LIST)
		base = ((struct field_list *)field_ptr(f, obj))->items;
	return base + i * elem_size(f);
}

const struct field_table *field_sub(const struct field *f, const void *obj)
{
	int arm;

	if (f->type == FT_STRUCT)
		return f->sub;
	arm = *(const int *)((uintptr_t)obj + f->sel);
	return arm >= 0 && (uint32_t)arm < f->n_arms ? f->arms[arm] : NULL;
}

/* -------- clearing -------- */

static void table_clear(const struct field_table *t, void *obj, bool release);

static void list_clear(const struct field *f, void *obj, bool release);

static void member_clear(const struct field *f, void *obj, bool release)
{
	void *p = field_ptr(f, obj);
	const struct field_table *arm;

	switch (f->type) {
	case FT_STRUCT:
		table_clear(f->sub, p, release);
		return;
	case FT_ARRAY: {
		struct field e = field_element(f);

		for (size_t i = 0; i < f->count; i++)
			member_clear(&e, field_at(f, obj, i), release);
		return;
	}
	case FT_LIST:
		list_clear(f, obj, release);
		return;
	case FT_UNION:
		arm = release ? field_sub(f, obj) : NULL;
		if (arm)
			table_clear(arm, p, true);
		break;
	case FT_STR:
		if (release)
			free(*(char **)p);
		break;
	default:
		break;
	}
	memset(p, 0, f->size);
}

static void list_clear(const struct field *f, void *obj, bool release)
{
	struct field_list *list = field_ptr(f, obj);

	if (release) {
		struct field e = field_element(f);

		for (size_t i = 0; i < list->len; i++)
			member_clear(&e, field_at(f, obj, i), true);
		free(list->items);
	}
	list->items = NULL;
	list->len = 0;
}

/* @release false: the memory holds nothing yet. Unions go first, while their selectors still say
 * what is in them. Only described members are touched: a device's state table describes a part of
 * a bigger, living struct. */
static void table_clear(const struct field_table *t, void *obj, bool release)
{
	const struct field *f;

	fields_for_each (f, t)
		if (f->type == FT_UNION)
			member_clear(f, obj, release);
	fields_for_each (f, t)
		if (f->type != FT_UNION)
			member_clear(f, obj, release);
}

void field_clear(const struct field *f, void *obj)
{
	member_clear(f, obj, true);
}

void fields_fini(const struct field_table *t, void *obj)
{
	table_clear(t, obj, true);
}

/* -------- defaults -------- */

static bool table_defaults(const struct field_table *t, void *obj, struct error *err);

/* The member is zero and owns nothing. */
static bool member_default(const struct field *f, void *obj, struct error *err)
{
	const struct field_table *arm;
	struct field e;
	int ret;

	switch (f->type) {
	case FT_STRUCT:
		return table_defaults(f->sub, field_ptr(f, obj), err);
	case FT_UNION:
		arm = field_sub(f, obj);
		return !arm || fields_init(arm, field_ptr(f, obj), err);
	case FT_ARRAY:
		e = field_element(f);
		for (size_t i = 0; i < f->count; i++)
			if (!member_default(&e, field_at(f, obj, i), err))
				return false;
		return true;
	case FT_LIST:
		return true;
	default:
		if (!f->dflt)
			return true;
		ret = field_parse_scalar(f, obj, f->dflt);
		assert(ret == 0 || ret == -ENOMEM);
		return ret == 0 || error_set_errno(err, ENOMEM, "'%s'", f->name);
	}
}

/* Unions last: their selectors have their defaults by then. */
static bool table_defaults(const struct field_table *t, void *obj, struct error *err)
{
	const struct field *f;

	fields_for_each (f, t)
		if (f->type != FT_UNION && !member_default(f, obj, err))
			return false;
	fields_for_each (f, t)
		if (f->type == FT_UNION && !member_default(f, obj, err))
			return false;
	return true;
}

bool fields_init(const struct field_table *t, void *obj, struct error *err)
{
	table_clear(t, obj, false);
	return table_defaults(t, obj, err);
}

/* -------- lists -------- */

void *field_list_add(const struct field *f, void *obj, struct error *err)
{
	struct field_list *list = field_ptr(f, obj);
	struct field e = field_element(f);
	size_t bytes = 0;
	void *items = NULL;

	if (!ovf_mul(list->len + 1, elem_size(f), &bytes))
		items = realloc(list->items, bytes);
	if (!items) {
		error_set_errno(err, ENOMEM, "'%s'", f->name);
		return NULL;
	}
	list->items = items;
	/* Members that the table does not describe are zero, too. */
	memset(field_at(f, obj, list->len), 0, elem_size(f));
	list->len++;
	if (!member_default(&e, field_at(f, obj, list->len - 1), err)) {
		field_list_drop(f, obj);
		return NULL;
	}
	return field_at(f, obj, list->len - 1);
}

bool field_list_alloc(const struct field *f, void *obj, size_t n, struct error *err)
{
	struct field_list *list = field_ptr(f, obj);
	struct field e = field_element(f);

	list_clear(f, obj, true);
	if (!n)
		return true;
	list->items = calloc(n, elem_size(f));
	if (!list->items)
		return error_set_errno(err, ENOMEM, "%zu elements", n);
	while (list->len < n)
		if (!member_default(&e, field_at(f, obj, list->len++), err))
			return false;
	return true;
}

void field_list_drop(const struct field *f, void *obj)
{
	struct field_list *list = field_ptr(f, obj);
	struct field e = field_element(f);

	assert(list->len);
	member_clear(&e, field_at(f, obj, list->len - 1), true);
	list->len--;
}

/* -------- enums and unions -------- */

size_t field_enum_len(const struct field *f)
{
	size_t n = 0;

	while (f->names[n])
		n++;
	return n;
}

bool field_is_selector(const struct field_table *t, const struct field *f)
{
	const struct field *u;

	if (!t || f->type != FT_ENUM)
		return false;
	fields_for_each (u, t)
		if (u->type == FT_UNION && u->sel == f->offset)
			return true;
	return false;
}

bool field_set_enum(
	const struct field_table *t, const struct field *f, void *obj, int value, struct error *err)
{
	int *p = field_ptr(f, obj);
	const struct field *u;

	if (!field_is_selector(t, f)) {
		*p = value;
		return true;
	}
	if (*p == value)
		return true;
	fields_for_each (u, t)
		if (u->type == FT_UNION && u->sel == f->offset)
			field_clear(u, obj);
	*p = value;
	fields_for_each (u, t)
		if (u->type == FT_UNION && u->sel == f->offset && !member_default(u, obj, err))
			return false;
	return true;
}

/* -------- scalars -------- */

bool field_is_num(const struct field *f)
{
	return f->type <= FT_ENUM;
}

uint64_t field_num(const struct field *f, const void *obj)
{
	const void *p = field_ptr(f, obj);

	switch (f->type) {
	case FT_BOOL:
		return *(const bool *)p;
	case FT_U8:
		return *(const uint8_t *)p;
	case FT_U16:
		return *(const uint16_t *)p;
	case FT_U32:
		return *(const uint32_t *)p;
	case FT_ENUM:
		return *(const unsigned int *)p;
	default:
		assert(f->type == FT_U64 || f->type == FT_I64 || f->type == FT_SIZE);
		return *(const uint64_t *)p;
	}
}

void field_set_num(const struct field *f, void *obj, uint64_t v)
{
	void *p = field_ptr(f, obj);

	switch (f->type) {
	case FT_BOOL:
		*(bool *)p = v;
		return;
	case FT_U8:
		*(uint8_t *)p = (uint8_t)v;
		return;
	case FT_U16:
		*(uint16_t *)p = (uint16_t)v;
		return;
	case FT_U32:
		*(uint32_t *)p = (uint32_t)v;
		return;
	case FT_ENUM:
		*(int *)p = (int)v;
		return;
	default:
		assert(f->type == FT_U64 || f->type == FT_I64 || f->type == FT_SIZE);
		*(uint64_t *)p = v;
	}
}

static uint64_t num_max(const struct field *f)
{
	uint64_t type_max = UINT64_MAX;

	if (f->type == FT_BOOL)
		type_max = 1;
	else if (f->type == FT_U8)
		type_max = UINT8_MAX;
	else if (f->type == FT_U16)
		type_max = UINT16_MAX;
	else if (f->type == FT_U32)
		type_max = UINT32_MAX;
	else if (f->type == FT_ENUM)
		return field_enum_len(f) - 1;
	return f->max && f->max < type_max ? f->max : type_max;
}

bool field_num_ok(const struct field *f, uint64_t v)
{
	if (f->type == FT_I64) {
		if (!f->min && !f->max)
			return true;
		return (int64_t)v >= (int64_t)f->min && (int64_t)v <= (int64_t)f->max;
	}
	/* An enum's unset name ("") is no value that anybody could give. */
	if (f->type == FT_ENUM && v <= num_max(f))
		return *f->names[v] || !(f->flags & FF_REQUIRED);
	return v >= f->min && v <= num_max(f);
}

void field_range_text(const struct field *f, struct str *out)
{
	char lo[32], hi[32];
	uint64_t max = num_max(f);

	if (f->type == FT_I64) {
		if (f->min || f->max)
			str_appendf(out, "%lld..%lld", (long long)f->min, (long long)f->max);
		return;
	}
	if (max == UINT64_MAX && !f->min)
		return;
	if (f->type == FT_SIZE && max == UINT64_MAX)
		str_appendf(out, "of at least %s", str_format_size(f->min, lo, sizeof(lo)));
	else if (f->type == FT_SIZE)
		str_appendf(out, "%s..%s", str_format_size(f->min, lo, sizeof(lo)),
			str_format_size(max, hi, sizeof(hi)));
	else
		str_appendf(out, "%llu..%llu", (unsigned long long)f->min, (unsigned long long)max);
}

bool field_str_len_ok(const struct field *f, size_t len)
{
	return len >= f->min && len <= (f->max ? f->max : FIELD_STR_MAX);
}

bool field_set_str(const struct field *f, void *obj, const char *text, size_t len)
{
	char **p = field_ptr(f, obj);
	char *copy = NULL;

	if (text) {
		copy = malloc(len + 1);
		if (!copy)
			return false;
		memcpy(copy, text, len);
		copy[len] = '\0';
	}
	free(*p);
	*p = copy;
	return true;
}

/* -------- looking up -------- */

const struct field *fields_find(const struct field_table *t, const char *name)
{
	const struct field *f;

	fields_for_each (f, t)
		if (*name && strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

bool field_lookup(const struct field_table *t, const void *obj, const char *name, size_t n,
	struct field_ref *ref)
{
	const struct field *f;

	if (!n)
		return false;
	fields_for_each (f, t) {
		if (strlen(f->name) == n && memcmp(f->name, name, n) == 0) {
			*ref = (struct field_ref){ t, f, (void *)(uintptr_t)obj, 0 };
			return true;
		}
	}
	fields_for_each (f, t) {
		const struct field_table *sub = field_is_flat(f) ? field_sub(f, obj) : NULL;

		if (sub && field_lookup(sub, field_ptr(f, obj), name, n, ref)) {
			ref->depth++;
			return true;
		}
	}
	return false;
}

/* -------- required members -------- */

static bool all_zero(const void *p, size_t n)
{
	const uint8_t *b = p;

	while (n && !b[n - 1])
		n--;
	return n == 0;
}

static bool table_check(const struct field_table *t, const void *obj, const struct field_path *path,
	struct error *err);

static bool member_missing(const struct field *f, const void *obj)
{
	if (!(f->flags & FF_REQUIRED))
		return false;
	if (f->type == FT_LIST)
		return field_len(f, obj) == 0;
	if (f->type == FT_STR) {
		const char *text = *(char **)field_ptr(f, obj);

		return !text || !*text;
	}
	return all_zero(field_ptr(f, obj), f->size);
}

static bool member_check(
	const struct field *f, const void *obj, const struct field_path *path, struct error *err)
{
	const struct field_table *sub;
	struct field e;

	switch (f->type) {
	case FT_STRUCT:
	case FT_UNION:
		sub = field_sub(f, obj);
		return !sub || table_check(sub, field_ptr(f, obj), path, err);
	case FT_ARRAY:
	case FT_LIST:
		if (f->elem != FT_STRUCT)
			return true;
		e = field_element(f);
		for (size_t i = 0; i < field_len(f, obj); i++) {
			struct field_path at = { .up = path, .index = i };

			if (!member_check(&e, field_at(f, obj, i), &at, err))
				return false;
		}
		return true;
	default:
		return true;
	}
}

static bool table_check(const struct field_table *t, const void *obj, const struct field_path *path,
	struct error *err)
{
	const struct field *f;

	fields_for_each (f, t) {
		struct field_path at = { .up = path, .name = f->name };
		char buf[FIELD_PATH_MAX];

		if (f->flags & FF_DERIVED)
			continue;
		if (member_missing(f, obj)) {
			field_path_text(&at, buf, sizeof(buf));
			return error_usage(err, "'%s' is required%s%s", buf, f->doc ? ": " : "",
				f->doc ? f->doc : "");
		}
		if (!member_check(f, obj, &at, err))
			return false;
	}
	return true;
}

bool fields_check(const struct field_table *t, const void *obj, struct error *err)
{
	if (table_check(t, obj, NULL, err))
		return true;
	return error_prefix(err, "%s", t->name);
}
