// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * json - JSON text. Writing objects is fields_to_json() in field.h; this is the quoting that it
 * uses, for those who write a few members by hand, and reading, for configuration files.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "base/field.h"
#include "base/str.h"

#define JSON_TEXT_MAX  (1u << 20) /* bytes of a document that is read */
#define JSON_DEPTH_MAX 32	  /* nested objects and arrays in it */

/* Append @text as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. */
void json_quote(const char *text, struct str *out);

#endif
