// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/field_random.h"

#include <stdlib.h>
#include "base/field_int.h"
#include "base/random.h"
#include "base/types.h"

#define LIST_MAX  4
#define DEPTH_MAX 3 /* of lists in lists */
#define STR_MAX	  40

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* In lo..hi; the edges often. */
static uint64_t pick(uint64_t lo, uint64_t hi, uint64_t *seed)
{
	uint64_t r = test_random(seed), span = hi - lo;

	if (r % 8 == 0)
		return lo;
	if (r % 8 == 1)
		return hi;
	r = test_random(seed) >> (test_random(seed) % 64); /* of any magnitude */
	return span == UINT64_MAX ? r : lo + r % (span + 1);
}

static uint64_t random_num(const struct field *f, uint64_t *seed)
{
	uint64_t lo = f->min, hi = f->max ? f->max : UINT64_MAX;

	if (f->type == FT_ENUM)
		return pick(f->flags & FF_REQUIRED ? 1 : 0, field_enum_len(f) - 1, seed);
	if (f->type == FT_BOOL)
		hi = 1;
	else if (f->type != FT_I64 && f->size < 8)
		hi = MIN(hi, (1ull << (8 * f->size)) - 1);
	else if (f->type == FT_I64 && (f->min || f->max))
		hi = f->max;
	return pick(lo, hi, seed);
}

static void random_str(const struct field *f, void *obj, uint64_t *seed)
{
	size_t hi = f->max && f->max < STR_MAX ? f->max : MAX(f->min, STR_MAX);
	size_t lo = (f->flags & FF_REQUIRED) && !f->min ? 1 : f->min;
	size_t len = pick(lo, hi, seed);
	char text[1024];

	if (!(f->flags & FF_REQUIRED) && test_random(seed) % 4 == 0) {
		check(field_set_str(f, obj, NULL, 0));
		return;
	}
	len = MIN(len, sizeof(text));
	for (size_t i = 0; i < len; i++)
		text[i] = (char)(1 + test_random(seed) % 255);
	check(field_set_str(f, obj, text, len));
}

static void random_table(const struct field_table *t, void *obj, int depth, uint64_t *seed);

static void random_elements(const struct field *f, void *obj, int depth, uint64_t *seed);

static void random_list(const struct field *f, void *obj, int depth, uint64_t *seed)
{
	uint64_t max = depth < DEPTH_MAX ? MIN(f->count, LIST_MAX) : 0;
	uint64_t min = f->flags & FF_REQUIRED ? 1 : 0;
	struct error err = ERROR_INIT;

	check(field_list_alloc(f, obj, max > min ? pick(min, max, seed) : min, &err));
	random_elements(f, obj, depth + 1, seed);
}

static void random_member(
	const struct field_table *t, const struct field *f, void *obj, int depth, uint64_t *seed)
{
	struct error err = ERROR_INIT;
	uint8_t *p = field_ptr(f, obj);

	switch (f->type) {
	case FT_ENUM:
		check(field_set_enum(t, f, obj, (int)random_num(f, seed), &err));
		return;
	case FT_STR:
		random_str(f, obj, seed);
		return;
	case FT_BYTES:
	case FT_MAC:
		for (size_t i = 0; i < f->size; i++)
			p[i] = (uint8_t)test_random(seed);
		return;
	case FT_STRUCT:
	case FT_UNION:
		if (field_sub(f, obj))
			random_table(field_sub(f, obj), p, depth, seed);
		return;
	case FT_LIST:
		random_list(f, obj, depth, seed);
		return;
	case FT_ARRAY:
		random_elements(f, obj, depth, seed);
		return;
	default:
		field_set_num(f, obj, random_num(f, seed));
	}
}

static void random_elements(const struct field *f, void *obj, int depth, uint64_t *seed)
{
	struct field e = field_element(f);

	for (size_t i = 0; i < field_len(f, obj); i++)
		random_member(NULL, &e, field_at(f, obj, i), depth, seed);
}

static void random_table(const struct field_table *t, void *obj, int depth, uint64_t *seed)
{
	const struct field *f;

	fields_for_each (f, t)
		if (!(f->flags & FF_DERIVED) && f->type != FT_UNION)
			random_member(t, f, obj, depth, seed);
	fields_for_each (f, t)
		if (!(f->flags & FF_DERIVED) && f->type == FT_UNION)
			random_member(t, f, obj, depth, seed);
}

void fields_random(const struct field_table *t, void *obj, uint64_t *seed)
{
	random_table(t, obj, 0, seed);
}
