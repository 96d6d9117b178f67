// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * str - growable string / byte buffer for the control path. `s` is always NUL-terminated when
 * `len` > 0 or after str_cstr(); bytes may include NUL. Allocation failure sets `failed`, keeps
 * what was there and makes later appends no-ops: check once at the end.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/error.h"

struct str {
	char *s;
	size_t len, cap;
	bool failed;
};

#define STR_INIT          \
	{                 \
		.s = NULL \
	}

void str_init(struct str *s);
void str_fini(struct str *s);
DEFINE_AUTO(str, struct str, str_fini)
void str_clear(struct str *s);
void str_append(struct str *s, const char *text);
void str_append_mem(struct str *s, const void *p, size_t n);
/* One byte; for tables and texts that are made byte by byte. */
static inline void str_append_char(struct str *s, char c)
{
	if (s->failed || s->cap - s->len < 2) { /* the byte and the NUL */
		str_append_mem(s, &c, 1);
		return;
	}
	s->s[s->len++] = c;
	s->s[s->len] = '\0';
}
void str_appendf(struct str *s, const char *fmt, ...) PRINTF(2, 3);
void str_vappendf(struct str *s, const char *fmt, va_list ap) PRINTF(2, 0);
/* The text, never NULL; owned by @s. */
const char *str_cstr(struct str *s);
/* The text as a malloc'ed string, leaving @s empty; NULL when an append failed. */
char *str_take(struct str *s);

/* malloc'ed printf; NULL when out of memory. */
char *str_printf(const char *fmt, ...) PRINTF(1, 2);

/* "512M" -> 536870912. Suffixes K M G T P (any case; powers of two), no suffix = bytes; decimal or
 * 0x. False on anything else, negative numbers and overflow. */
bool str_parse_size(const char *text, uint64_t *out) MUST_USE;
/* Decimal or 0x number up to UINT64_MAX, whole string. */
bool str_parse_u64(const char *text, uint64_t *out) MUST_USE;
/* 536870912 -> "512M": the shortest exact form. @buf of at least 32 bytes; returns @buf. */
char *str_format_size(uint64_t size, char *buf, size_t n);
bool str_has_prefix(const char *text, const char *prefix, const char **rest);

#endif
