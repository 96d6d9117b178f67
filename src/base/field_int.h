// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * field_int - what the parts of `field` share: walking a table, one scalar's text form, naming the
 * place of a mistake. "@obj" is always the struct that holds the member; an element of an array or
 * list is handled as the only member (offset 0) of an object that begins at the element.
 */
#ifndef BASE_FIELD_INT_H
#define BASE_FIELD_INT_H

#include "base/field.h"

/* Where in a document a mistake is: a chain on the stack, innermost first. */
struct field_path {
	const struct field_path *up; /* NULL: outermost */
	const char *name;	     /* of a table or field; NULL: element number @index */
	size_t index;
};

#define FIELD_PATH_MAX 200

/* "disk.queues" or "pic.line[3].level" into @buf, cut when too long; returns @buf. */
const char *field_path_text(const struct field_path *path, char *buf, size_t size);
/* Put the path before the message in @err. Returns false. */
bool field_path_prefix(const struct field_path *path, struct error *err);

#define fields_for_each(f, t) for (f = (t)->fields; f && f < (t)->fields + (t)->n_fields; f++)

/* The member's place. Takes a const object since readers and writers walk alike; who was given a
 * const object only reads. */
static inline void *field_ptr(const struct field *f, const void *obj)
{
	return (void *)((uintptr_t)obj + f->offset);
}

/* FT_ARRAY, FT_LIST: the element as a field; and how many there are, and where. */
struct field field_element(const struct field *f);
size_t field_len(const struct field *f, const void *obj);
void *field_at(const struct field *f, const void *obj, size_t i);
/* FT_LIST: append an element with its defaults; NULL and @err: out of memory, nothing changed. The
 * caller has checked the limit. */
void *field_list_add(const struct field *f, void *obj, struct error *err);
/* FT_LIST: replace what is there by @n elements with their defaults. */
bool field_list_alloc(const struct field *f, void *obj, size_t n, struct error *err);
/* FT_LIST: take the last element away again. */
void field_list_drop(const struct field *f, void *obj);

static inline bool field_is_aggregate(const struct field *f)
{
	return f->type == FT_STRUCT || f->type == FT_UNION;
}

/* FT_STRUCT, FT_UNION without a name: its keys stand among the outer ones. */
static inline bool field_is_flat(const struct field *f)
{
	return field_is_aggregate(f) && !*f->name;
}

/* FT_STRUCT, FT_UNION: the table of what is in it now; NULL: an empty arm. */
const struct field_table *field_sub(const struct field *f, const void *obj);

/* Free what the member owns and zero it. */
void field_clear(const struct field *f, void *obj);

/* Is @f an enum that chooses the arm of a union in @t? */
bool field_is_selector(const struct field_table *t, const struct field *f);
/* FT_ENUM: set to @value; when @f is a selector and the value is new, its unions are cleared and the
 * new arm gets its defaults. @t NULL: an element. False: out of memory. */
bool field_set_enum(const struct field_table *t, const struct field *f, void *obj, int value,
	struct error *err);
/* FT_ENUM: how many names. */
size_t field_enum_len(const struct field *f);

/* Integers, sizes, booleans and enums as a number; I64 as its bit pattern. */
bool field_is_num(const struct field *f);
uint64_t field_num(const struct field *f, const void *obj);
void field_set_num(const struct field *f, void *obj, uint64_t v);
/* Is the number inside the field's limits? */
bool field_num_ok(const struct field *f, uint64_t v);
/* Is @len (bytes without NUL) allowed for a FT_STR? */
bool field_str_len_ok(const struct field *f, size_t len);
/* FT_STR: replace the text by a copy of @len bytes, NULL: absent. False: out of memory. */
bool field_set_str(const struct field *f, void *obj, const char *text, size_t len);

/* A key found: the member, the table and object it is in, and how many structs and unions, flat ones
 * too, lie between that and where the search began: they count as depth, as they do in a stream. */
struct field_ref {
	const struct field_table *t;
	const struct field *f;
	void *obj;
	unsigned int depth;
};

/* The member called by the @n bytes at @name, in @t or in what is flat in it. @ref is set on success
 * only. */
bool field_lookup(const struct field_table *t, const void *obj, const char *name, size_t n,
	struct field_ref *ref);

/* Scalars only. 0, -EINVAL (not of that form or out of range) or -ENOMEM; nothing is stored then. */
int field_parse_scalar(const struct field *f, void *obj, const char *text);
void field_format_scalar(const struct field *f, const void *obj, struct str *out);
/* Append what would be valid: "a number 1..64". */
void field_want(const struct field *f, struct str *out);
/* FT_ENUM: its words with @sep between them. */
void field_names_text(const struct field *f, const char *sep, struct str *out);
/* `1..64`, or nothing when the type has no limit worth saying. */
void field_range_text(const struct field *f, struct str *out);
/* Fail with `unknown key 'KEY' for PATH; valid: a, b`. Returns false. */
bool field_unknown_key(const struct field_table *t, const void *obj, const struct field_path *path,
	const char *key, struct error *err);
/* The same of a typed document's key at @path, as QEMU's clients know it. */
bool field_unexpected_key(const struct field_table *t, const void *obj,
	const struct field_path *path, struct error *err);
/* Set a member from text; @key is what messages call it. @t NULL: an element. */
bool field_set_text(const struct field_table *t, const struct field *f, void *obj, const char *key,
	const char *value, unsigned int depth, struct error *err);

/* Append a member's value as JSON; FF_SECRET is the caller's business. */
void field_to_json(const struct field *f, const void *obj, struct str *out);

#endif
