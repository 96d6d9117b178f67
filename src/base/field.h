// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * field - structs that describe themselves. A field table lists a struct's members: name, type,
 * offset, limits, default, doc. One mechanism serves options (`key=value,...`), --help, the config
 * file, QMP arguments and results, and saved state. The FIELD_* macros check the member's C type
 * at compile time.
 *
 * A table is const and static. An object is the caller's storage; fields_init() sets every member
 * to its default (and owned pointers to NULL), fields_fini() frees what strings and lists own.
 * Everything parsed is hostile: out-of-range values are refused with the key, the value and what
 * would be valid, and the object keeps what it had.
 */
#ifndef BASE_FIELD_H
#define BASE_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/str.h"

enum field_type {
	FT_BOOL, /* bool; on|off|yes|no|true|false */
	/* uint8_t .. uint64_t: decimal or 0x */
	FT_U8,
	FT_U16,
	FT_U32,
	FT_U64,
	FT_I64,	 /* int64_t */
	FT_SIZE, /* uint64_t with K M G T suffixes */
	FT_ENUM, /* int; one of ->names (NULL-terminated), the value is the index */
	FT_STR,	 /* char *, owned by the object, NULL when absent */
	/* uint8_t[count]; hex text, `-` or `:` may stand between bytes; saved as count bytes */
	FT_BYTES,
	FT_MAC,	   /* uint8_t[6]; aa:bb:cc:dd:ee:ff */
	FT_STRUCT, /* struct, ->sub; text form `outer.inner=value` */
	/* T[count] of ->elem type (or ->sub); state and JSON only. Elements of arrays and lists are
	 * scalars or structs */
	FT_ARRAY,
	/* struct { T *items; size_t len; } of ->elem type (or ->sub), items owned; text form: the
	 * key repeated; a struct's value is its own `key=value,,key=value` */
	FT_LIST,
	/* union whose arm is chosen by the enum member at ->sel; ->arms[value], an entry may be NULL
	 * (that arm is empty). Text form as FT_STRUCT; choosing another arm clears the old one and
	 * gives the new one its defaults */
	FT_UNION,
};

/* The shape of every FT_LIST member: any struct whose first members are these two. */
struct field_list {
	void *items;
	size_t len;
};

enum field_flag {
	/* text, JSON: must be given, that is, not be zero there (an empty text or list). Not for
	 * FT_BOOL; FT_ENUM: names[0] is "" */
	FF_REQUIRED = 1 << 0,
	/* text: the first bare value is this key's (`user,...`) */
	FF_FIRST = 1 << 1,
	/* result only: shown, never parsed or loaded */
	FF_DERIVED = 1 << 2,
	/* state: a reader that does not know the tag may skip it */
	FF_OPTIONAL_STATE = 1 << 3,
	/* never printed or logged */
	FF_SECRET = 1 << 4,
	/* QMP: the key must be given, whatever its value (results: is always there); any type */
	FF_GIVEN = 1 << 5,
	/* JSON results: no key when it is zero or empty */
	FF_OMIT_ZERO = 1 << 6,
	/* FT_STR, JSON: holds any value, as its JSON text. With ->sub only a text or an object of that
	 * is meant (QAPI's alternate), which who reads it has to see to */
	FF_ANY = 1 << 7,
};

/* Named limits. */
#define FIELDS_MAX	 256u	/* fields in one table */
#define FIELD_STR_MAX	 65536u /* bytes of a FT_STR without a max of its own */
#define FIELD_TOKENS_MAX 1024	/* options in one text */
#define FIELD_DEPTH_MAX	 8u	/* structs in lists in structs ... that a text or stream may make */

struct field_table;

struct field {
	/* No '.', '=' or ','. FT_STRUCT, FT_UNION: "" when the keys stand among the outer ones
	 * (flat) instead of being reached as `name.key` */
	const char *name;
	/* One line, for help and schema */
	const char *doc;
	/* Default in text form (of each element of a FT_ARRAY); NULL: zero or absent */
	const char *dflt;
	enum field_type type;
	enum field_type elem; /* FT_ARRAY, FT_LIST: element type; FT_STRUCT: see ->sub */
	uint32_t offset;      /* of the member in its struct */
	uint32_t size;	      /* sizeof the member (FT_LIST: of one element) */
	/* FT_ARRAY, FT_BYTES: elements. FT_LIST: most elements allowed, a named limit */
	uint32_t count;
	uint32_t flags; /* enum field_flag */
	uint16_t tag;	/* saved state: unique in its table, never reused; 0: not saved */
	/* Numbers: inclusive; max 0 means the type's own (FT_I64: both are signed, and both 0 mean
	 * the type's own). FT_STR: length in bytes */
	uint64_t min, max;
	const char *const *names;	       /* FT_ENUM */
	const struct field_table *sub;	       /* struct elements */
	const struct field_table *const *arms; /* FT_UNION */
	uint32_t sel; /* FT_UNION: offset of the int enum that selects the arm */
	uint32_t n_arms;
};

struct field_table {
	const char *name; /* "virtio-blk" - used in messages and schema */
	uint32_t struct_size;
	uint32_t version; /* saved state: raised with any change (tests hold golden streams) */
	const struct field *fields;
	uint32_t n_fields;
};

#define FIELD_TABLE(table_name, type, fields_array)                              \
	{                                                                        \
		.name = (table_name), .struct_size = sizeof(type), .version = 1, \
		.fields = (fields_array),                                        \
		.n_fields = sizeof(fields_array) / sizeof((fields_array)[0])     \
	}

/* Offset of @m in @s, refused by the compiler unless the member has C type @t. */
#define FIELD_IS_(s, m, t) __builtin_types_compatible_p(__typeof__(((s *)0)->m), t)
#define FIELD_OFF(s, m, t) (offsetof(s, m) + 0 * sizeof(char[FIELD_IS_(s, m, t) ? 1 : -1]))
#define FIELD_SIZEOF(s, m) sizeof(((s *)0)->m)
#define FIELD_SCALAR_(s, m, n, ft, ct, ...)                               \
	{                                                                 \
		.name = (n), .type = (ft), .offset = FIELD_OFF(s, m, ct), \
		.size = FIELD_SIZEOF(s, m), __VA_ARGS__                   \
	}

/* FIELD_U32(struct blk_config, queues, "queues", .min = 1, .max = 64, .dflt = "1", .doc = "...") */
#define FIELD_BOOL(s, m, n, ...) FIELD_SCALAR_(s, m, n, FT_BOOL, bool, __VA_ARGS__)
#define FIELD_U8(s, m, n, ...)	 FIELD_SCALAR_(s, m, n, FT_U8, uint8_t, __VA_ARGS__)
#define FIELD_U16(s, m, n, ...)	 FIELD_SCALAR_(s, m, n, FT_U16, uint16_t, __VA_ARGS__)
#define FIELD_U32(s, m, n, ...)	 FIELD_SCALAR_(s, m, n, FT_U32, uint32_t, __VA_ARGS__)
#define FIELD_U64(s, m, n, ...)	 FIELD_SCALAR_(s, m, n, FT_U64, uint64_t, __VA_ARGS__)
#define FIELD_I64(s, m, n, ...)	 FIELD_SCALAR_(s, m, n, FT_I64, int64_t, __VA_ARGS__)
#define FIELD_SIZE(s, m, n, ...) FIELD_SCALAR_(s, m, n, FT_SIZE, uint64_t, __VA_ARGS__)
#define FIELD_STR(s, m, n, ...)	 FIELD_SCALAR_(s, m, n, FT_STR, char *, __VA_ARGS__)
#define FIELD_MAC(s, m, n, ...)	 FIELD_SCALAR_(s, m, n, FT_MAC, uint8_t[6], __VA_ARGS__)
/* Members that hold enums are declared `int` (C leaves an enum's size open). */
#define FIELD_ENUM(s, m, n, names_array, ...) \
	FIELD_SCALAR_(s, m, n, FT_ENUM, int, .names = (names_array), __VA_ARGS__)
#define FIELD_BYTES(s, m, n, ...)                                                    \
	{                                                                            \
		.name = (n), .type = FT_BYTES,                                       \
		.offset = FIELD_OFF(s, m, uint8_t[FIELD_SIZEOF(s, m)]),              \
		.size = FIELD_SIZEOF(s, m), .count = FIELD_SIZEOF(s, m), __VA_ARGS__ \
	}
#define FIELD_STRUCT(s, m, n, subtable, ...)                               \
	{                                                                  \
		.name = (n), .type = FT_STRUCT, .offset = offsetof(s, m),  \
		.size = FIELD_SIZEOF(s, m), .sub = (subtable), __VA_ARGS__ \
	}
/* A fixed array of scalars: FIELD_ARRAY(struct pic, irr, "irr", FT_U8, uint8_t, .tag = 3) */
#define FIELD_ARRAY(s, m, n, elem_type, ct, ...)                                                  \
	{                                                                                         \
		.name = (n), .type = FT_ARRAY, .elem = (elem_type),                               \
		.offset = FIELD_OFF(s, m, ct[FIELD_SIZEOF(s, m) / sizeof(ct)]),                   \
		.size = FIELD_SIZEOF(s, m), .count = FIELD_SIZEOF(s, m) / sizeof(ct), __VA_ARGS__ \
	}
#define FIELD_STRUCT_ARRAY(s, m, n, subtable, ct, ...)                                            \
	{                                                                                         \
		.name = (n), .type = FT_ARRAY, .elem = FT_STRUCT, .sub = (subtable),              \
		.offset = FIELD_OFF(s, m, ct[FIELD_SIZEOF(s, m) / sizeof(ct)]),                   \
		.size = FIELD_SIZEOF(s, m), .count = FIELD_SIZEOF(s, m) / sizeof(ct), __VA_ARGS__ \
	}
/* A member declared as `struct { T *items; size_t len; } m;`. .count is the limit. */
#define FIELD_LIST(s, m, n, elem_type, limit, ...)                                           \
	{                                                                                    \
		.name = (n), .type = FT_LIST, .elem = (elem_type), .offset = offsetof(s, m), \
		.size = sizeof(*((s *)0)->m.items), .count = (limit), __VA_ARGS__            \
	}
#define FIELD_UNION(s, m, n, sel_member, arms_array, ...)                                     \
	{                                                                                     \
		.name = (n), .type = FT_UNION, .offset = offsetof(s, m),                      \
		.size = FIELD_SIZEOF(s, m), .sel = FIELD_OFF(s, sel_member, int),             \
		.arms = (arms_array), .n_arms = sizeof(arms_array) / sizeof((arms_array)[0]), \
		__VA_ARGS__                                                                   \
	}

/* Set every member to its default. Cannot fail except for want of memory (string defaults). */
bool fields_init(const struct field_table *t, void *obj, struct error *err) MUST_USE;
/* Free owned strings and lists; the object is as after zeroing. Takes half-made objects. */
void fields_fini(const struct field_table *t, void *obj);

/* Parse `value,key=value,flag,...` over an initialised object. `,,` is a comma. A bare word is the
 * FF_FIRST field's value when it comes first, otherwise a boolean switched on. A key given twice is
 * refused unless it is a list's; a union's keys may come before its selector. Required keys are
 * checked. On failure (kind ERROR_USAGE) @obj may hold some of the values; fini it. */
bool fields_parse(
	const struct field_table *t, void *obj, const char *text, struct error *err) MUST_USE;
/* Parse one value. @key may be dotted into FT_STRUCT and FT_UNION members. Appends to a FT_LIST. */
bool fields_set(const struct field_table *t, void *obj, const char *key, const char *value,
	struct error *err) MUST_USE;
/* Check FF_REQUIRED of a whole object (fields_parse does this itself). */
bool fields_check(const struct field_table *t, const void *obj, struct error *err) MUST_USE;
/* Append one member's value in text form (structs, arrays and lists as JSON; FF_SECRET as
 * "(secret)"); false when @key is unknown. */
bool fields_get(
	const struct field_table *t, const void *obj, const char *key, struct str *out) MUST_USE;
/* Split the next element off a `a,b,,c` list: advances *@cursor, unescapes `,,` into @out (check
 * its ->failed). False at the end; a comma at the very end adds no empty element. */
bool fields_next_token(const char **cursor, struct str *out);
/* The way back: append @text as one element of such a list, its commas doubled. */
void fields_put_token(const char *text, struct str *out);
/* Append help: a line per key with type, limits, default and doc, indented by @indent spaces. */
void fields_help(const struct field_table *t, int indent, struct str *out);
/* Append `{"key": value, ...}` (results, `--json`). uint64 exact. FF_SECRET members and absent texts
 * have no key. */
void fields_to_json(const struct field_table *t, const void *obj, struct str *out);
/*
 * Read a JSON object (json.h has the rules of the text) over an initialised object. Keys are the
 * table's names; structs and unions are objects, arrays and lists are arrays, and an array replaces
 * what a list held. Any scalar but a text may be a JSON string in its text form, too ("512M",
 * "0x10"). The order of keys does not matter. FF_REQUIRED is not checked, since options may still
 * follow: fields_check() does. On failure (ERROR_USAGE, with the line or with the member's path) @obj
 * may hold some of the values; fini it.
 */
bool fields_from_json_text(const struct field_table *t, void *obj, const char *text, size_t len,
	struct error *err) MUST_USE;
/* The same from a part of a document: @tok is any token of @doc. */
struct json_doc;
struct json_token;
bool fields_from_json(const struct field_table *t, void *obj, const struct json_doc *doc,
	const struct json_token *tok, struct error *err) MUST_USE;
/* Append one member's value as JSON; false when @key is unknown or its value is nobody's business. */
bool fields_get_json(
	const struct field_table *t, const void *obj, const char *key, struct str *out) MUST_USE;
/* Append an element with its defaults to the FT_LIST @key; NULL and @err: the limit is reached, or out
 * of memory. The pointer is good until the next call. */
void *fields_list_add(
	const struct field_table *t, void *obj, const char *key, struct error *err) MUST_USE;
/* The field called @name, or NULL. */
const struct field *fields_find(const struct field_table *t, const char *name);
/* Equality of all saved members (tag != 0). */
bool fields_equal_state(const struct field_table *t, const void *a, const void *b);
/* Is the table itself sound (unique names and tags, sizes, limits, defaults that parse ...)? What is
 * not is our own bug: every module's test asks this of its tables. */
bool fields_table_valid(const struct field_table *t, struct error *err) MUST_USE;

#endif
