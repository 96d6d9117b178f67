// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * field_check - is a table itself sound? For tests: a mistake here is our own bug, found before any
 * user can. Each rule is a row of text in the error.
 */
#include "base/field_int.h"

#include <string.h>
#include "base/types.h"

static const uint32_t type_sizes[] = {
	[FT_BOOL] = sizeof(bool),
	[FT_U8] = 1,
	[FT_U16] = 2,
	[FT_U32] = 4,
	[FT_U64] = 8,
	[FT_I64] = 8,
	[FT_SIZE] = 8,
	[FT_ENUM] = sizeof(int),
	[FT_STR] = sizeof(char *),
	[FT_MAC] = 6,
};

static bool table_valid(const struct field_table *t, unsigned int depth, struct error *err);

/* NULL, or what is wrong. */
static const char *numbers_problem(const struct field *f)
{
	bool is_signed = f->type == FT_I64;

	if (!field_is_num(f) && f->type != FT_STR)
		return NULL;
	if (f->max && (is_signed ? (int64_t)f->min > (int64_t)f->max : f->min > f->max))
		return "min is above max";
	/* Else the object would be born with a value that its own saved state may not have. */
	if (field_is_num(f) && !f->dflt && !(f->flags & FF_REQUIRED) && !field_num_ok(f, 0))
		return "zero is out of range and there is no default";
	return NULL;
}

static const char *enum_problem(const struct field *f)
{
	if (!f->names || !f->names[0])
		return "an enum without names";
	if ((f->flags & FF_REQUIRED) && *f->names[0])
		return "a required enum whose first name is not \"\"";
	for (size_t i = 0; f->names[i]; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(f->names[i], f->names[j]) == 0)
				return "an enum with a name twice";
	return NULL;
}

static const char *flags_problem(const struct field *f)
{
	if ((f->flags & FF_DERIVED) && (f->tag || f->flags & FF_REQUIRED))
		return "derived, but saved or required";
	if ((f->flags & FF_REQUIRED) && (f->type == FT_BOOL || f->type >= FT_STRUCT) &&
		f->type != FT_LIST)
		return "a type that cannot be required";
	if ((f->flags & FF_FIRST) && f->type >= FT_STRUCT && f->type != FT_LIST)
		return "a type that cannot be the first bare value";
	if (!*f->name && !field_is_aggregate(f))
		return "no name";
	if (strpbrk(f->name, ".=,"))
		return "a name with . = or ,";
	return NULL;
}

static const char *scalar_problem(const struct field *f)
{
	const char *problem = f->type == FT_ENUM ? enum_problem(f) : NULL;

	if (f->type < ARRAY_SIZE(type_sizes) && type_sizes[f->type] &&
		f->size != type_sizes[f->type])
		return "its size is not its type's";
	if (f->type == FT_BYTES && f->count != f->size)
		return "count is not size";
	return problem ? problem : numbers_problem(f);
}

static bool default_ok(const struct field *f)
{
	_Alignas(8) uint8_t value[256] = { 0 };
	struct field e = *f;
	int ret;

	if (!f->dflt)
		return true;
	e.offset = 0;
	if (f->type >= FT_STRUCT || f->size > sizeof(value))
		return false;
	ret = field_parse_scalar(&e, value, f->dflt);
	if (f->type == FT_STR && ret == 0)
		free(*(char **)(void *)value);
	return ret == 0;
}

static const char *union_problem(const struct field_table *t, const struct field *f)
{
	const struct field *sel;

	fields_for_each (sel, t) {
		if (sel->type != FT_ENUM || sel->offset != f->sel)
			continue;
		if (f->n_arms > field_enum_len(sel))
			return "more arms than its selector has names";
		if (f->tag && !sel->tag)
			return "saved, but its selector is not";
		return NULL;
	}
	return "no selector in its table";
}

static bool union_valid(const struct field *f, unsigned int depth, struct error *err)
{
	for (uint32_t i = 0; i < f->n_arms; i++) {
		if (!f->arms[i])
			continue;
		if (f->arms[i]->struct_size > f->size)
			return error_set(err, "arm %u is bigger than the union", i);
		if (!table_valid(f->arms[i], depth + 1, err))
			return false;
	}
	return true;
}

static bool elements_valid(
	const struct field_table *t, const struct field *f, unsigned int depth, struct error *err);

static bool member_valid(
	const struct field_table *t, const struct field *f, unsigned int depth, struct error *err)
{
	const char *problem = flags_problem(f);

	if (!problem && f->type < FT_STRUCT)
		problem = scalar_problem(f);
	if (!problem && f->type == FT_UNION)
		problem = union_problem(t, f);
	if (problem)
		return error_set(err, "%s", problem);
	if (f->type == FT_ARRAY || f->type == FT_LIST)
		return elements_valid(t, f, depth, err);
	if (!default_ok(f))
		return error_set(err, "bad default '%s'", f->dflt);
	if (f->type == FT_UNION)
		return union_valid(f, depth, err);
	if (f->type == FT_STRUCT) {
		if (!f->sub || f->sub->struct_size != f->size)
			return error_set(err, "not the struct of its table");
		return table_valid(f->sub, depth + 1, err);
	}
	return true;
}

static bool elements_valid(
	const struct field_table *t, const struct field *f, unsigned int depth, struct error *err)
{
	struct field e;

	if (!f->count || !f->size)
		return error_set(err, "no count");
	if (f->type == FT_LIST && f->dflt)
		return error_set(err, "a list with a default");
	if (f->elem == FT_ARRAY || f->elem == FT_LIST || f->elem == FT_UNION)
		return error_set(err, "elements that are neither scalars nor structs");
	e = field_element(f);
	e.flags = 0;
	if (f->type == FT_LIST) /* elements are born with their value */
		e.min = 0;
	return member_valid(t, &e, depth, err);
}

static bool unique_valid(const struct field_table *t, const struct field *f, struct error *err)
{
	const struct field *g;

	fields_for_each (g, t) {
		if (g == f)
			break;
		if (*f->name && strcmp(f->name, g->name) == 0)
			return error_set(err, "its name is there twice");
		if (f->tag && f->tag == g->tag)
			return error_set(err, "tag %u is that of '%s'", f->tag, g->name);
		if (f->flags & g->flags & FF_FIRST)
			return error_set(err, "a second first bare value");
	}
	return true;
}

static bool table_valid(const struct field_table *t, unsigned int depth, struct error *err)
{
	const struct field *f;

	if (t->n_fields > FIELDS_MAX)
		return error_set(err, "%s: more than %u fields", t->name, FIELDS_MAX);
	/* A table may be its own list's element: what is below has been looked at. */
	if (depth >= FIELD_DEPTH_MAX)
		return true;
	fields_for_each (f, t) {
		uint32_t size = f->type == FT_LIST ? sizeof(struct field_list) : f->size;

		if (!f->name)
			return error_set(err, "%s: a field without a name", t->name);
		if (f->offset > t->struct_size || size > t->struct_size - f->offset)
			error_set(err, "outside its struct");
		else if (unique_valid(t, f, err) && member_valid(t, f, depth, err))
			continue;
		return error_prefix(err, "%s.%s", t->name, f->name);
	}
	return true;
}

bool fields_table_valid(const struct field_table *t, struct error *err)
{
	return table_valid(t, 0, err);
}
