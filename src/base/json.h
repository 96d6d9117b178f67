// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * json - JSON text (RFC 8259). Reading: a document becomes a flat array of tokens over the text,
 * which stays the caller's. Everything read is hostile: size and depth are limited, a key twice in
 * an object is refused, nothing is accepted beyond the RFC (no comments, no NaN, no stray commas),
 * and numbers stay text, so that none loses a digit.
 *
 * Objects are written by fields_to_json() and read by fields_from_json() in field.h.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"

#define JSON_TEXT_MAX  (1u << 20) /* bytes of a document */
#define JSON_DEPTH_MAX 1024u /* objects and arrays in each other; QMP's clients may send as deep */

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

struct json_token {
	enum json_type type;
	uint32_t start, len; /* in the text; a string without its quotes, escapes as they stand */
	uint32_t next;	     /* the token behind this one and all that is in it */
};

/* tokens[0] is the whole. An array's elements begin at the token behind it and go on from ->next to
 * ->next, to its own ->next; an object's are a string (the key) and a value in turn. */
struct json_doc {
	const char *text; /* borrowed */
	struct json_token *tokens;
	size_t len, cap;
	/* fields_from_json() as QMP wants it: a number or a boolean must be one in JSON, too, and FF_GIVEN
	 * members must be there. Set by the caller. */
	bool typed;
};

#define JSON_DOC_INIT        \
	{                    \
		.text = NULL \
	}

/* Parse all of @text (any value). ERROR_USAGE `line N, column N: ...` when it is no JSON. */
bool json_parse(struct json_doc *doc, const char *text, size_t len, struct error *err) MUST_USE;
void json_doc_fini(struct json_doc *doc);
DEFINE_AUTO(json_doc, struct json_doc, json_doc_fini)

/* Append a string's text, unescaped, or any other scalar's as it stands. @out may get a NUL byte
 * inside from \u0000. */
void json_text(const struct json_doc *doc, const struct json_token *tok, struct str *out);
/* Does json_text() say @text? */
bool json_text_is(const struct json_doc *doc, const struct json_token *tok, const char *text);
/* The value of @key in @object; NULL when there is none. */
const struct json_token *json_member(
	const struct json_doc *doc, const struct json_token *object, const char *key);

/* Append @text as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. */
void json_quote(const char *text, struct str *out);

#endif
