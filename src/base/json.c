// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * json - a recursive descent over the text. Each level of recursion is an object or array, and
 * JSON_DEPTH_MAX bounds it. After json_parse() has accepted a text, the readers of its tokens need
 * not look for mistakes any more.
 */
#include "base/json.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include "base/map.h"
#include "base/vec.h"

/* -------- characters -------- */

/* Length of the well-formed UTF-8 sequence at @s (1 to 4 bytes), 0 when it is not one. @left: bytes
 * there, at least 1. Refuses overlong forms, surrogates and what is beyond U+10FFFF. */
static size_t utf8_len(const unsigned char *s, size_t left)
{
	uint32_t c;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4 || n > left)
		return 0;
	c = s[0] & (0x7f >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) || c > 0x10ffff)
		return 0;
	return c >= 0xd800 && c <= 0xdfff ? 0 : n;
}

/* @c in UTF-8; returns how many bytes. */
static size_t utf8_encode(uint32_t c, char b[4])
{
	size_t n = 0;

	if (c < 0x80) {
		b[n++] = (char)c;
		return n;
	}
	if (c < 0x800) {
		b[n++] = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		b[n++] = (char)(0xe0 | c >> 12);
		b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
	} else {
		b[n++] = (char)(0xf0 | c >> 18);
		b[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
	}
	b[n++] = (char)(0x80 | (c & 0x3f));
	return n;
}

/* Four hex digits; -1 when they are not. */
static int hex4(const char *p, const char *end)
{
	int v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = p[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v << 4 | ((c | 0x20) - 'a' + 10);
		else
			return -1;
	}
	return v;
}

/* The \u escape at @p, or a surrogate pair of two; returns its length, 0 when it is bad. */
static size_t unicode_escape(const char *p, const char *end, uint32_t *c)
{
	int hi = end - p >= 6 ? hex4(p + 2, end) : -1, lo;

	if (hi < 0 || (hi >= 0xdc00 && hi <= 0xdfff))
		return 0;
	*c = (uint32_t)hi;
	if (hi < 0xd800 || hi > 0xdbff)
		return 6;
	if (end - p < 12 || p[6] != '\\' || p[7] != 'u')
		return 0;
	lo = hex4(p + 8, end);
	if (lo < 0xdc00 || lo > 0xdfff)
		return 0;
	*c = 0x10000 + ((uint32_t)(hi - 0xd800) << 10 | (uint32_t)(lo - 0xdc00));
	return 12;
}

static const char escape_names[] = "\"\\/bfnrt", escape_bytes[] = "\"\\/\b\f\n\r\t";

/* The escape at @p (a backslash); returns its length, 0 when it is bad. */
static size_t escape(const char *p, const char *end, uint32_t *c)
{
	const char *name;

	if (end - p < 2)
		return 0;
	if (p[1] == 'u')
		return unicode_escape(p, end, c);
	name = memchr(escape_names, p[1], sizeof(escape_names) - 1);
	if (!name)
		return 0;
	*c = (unsigned char)escape_bytes[name - escape_names];
	return 2;
}

/* -------- parsing -------- */

struct parser {
	struct json_doc *doc;
	const char *p, *end;
	struct error *err;
};

static bool parse_fail(struct parser *s, const char *at, const char *what)
{
	unsigned int line = 1;
	const char *start = s->doc->text;

	for (const char *p = start; p < at; p++) {
		if (*p == '\n') {
			line++;
			start = p + 1;
		}
	}
	return error_usage(s->err, "line %u, column %zu: %s", line, (size_t)(at - start) + 1, what);
}

static void skip_blanks(struct parser *s)
{
	while (s->p < s->end && memchr(" \t\r\n", *s->p, 4))
		s->p++;
}

static bool next_is(struct parser *s, char c)
{
	return s->p < s->end && *s->p == c;
}

/* Append a token that begins here; returns its number, SIZE_MAX: out of memory. */
static size_t add_token(struct parser *s, enum json_type type, const char *start)
{
	struct json_doc *d = s->doc;

	if (!vec_grow((void **)&d->tokens, &d->cap, d->len, 1, sizeof(*d->tokens))) {
		error_set_errno(s->err, ENOMEM, "JSON");
		return SIZE_MAX;
	}
	d->tokens[d->len] = (struct json_token){ type, (uint32_t)(start - d->text), 0, 0 };
	return d->len++;
}

/* The token is complete: all after it is inside it. */
static bool end_token(struct parser *s, size_t i, const char *end)
{
	struct json_token *tok;

	if (i == SIZE_MAX)
		return false;
	tok = &s->doc->tokens[i];
	tok->len = (uint32_t)(end - s->doc->text) - tok->start;
	tok->next = (uint32_t)s->doc->len;
	return true;
}

static bool parse_string(struct parser *s)
{
	const char *start = ++s->p;
	uint32_t c;

	while (s->p < s->end && *s->p != '"') {
		size_t n;

		if (*s->p == '\\')
			n = escape(s->p, s->end, &c);
		else if ((unsigned char)*s->p < 0x20)
			return parse_fail(s, s->p, "a control character in a string");
		else
			n = utf8_len((const unsigned char *)s->p, (size_t)(s->end - s->p));
		if (!n)
			return parse_fail(
				s, s->p, *s->p == '\\' ? "a bad escape in a string" : "not UTF-8");
		s->p += n;
	}
	if (s->p == s->end)
		return parse_fail(s, start - 1, "a string without its end");
	return end_token(s, add_token(s, JSON_STRING, start), s->p++);
}

static size_t count_digits(const struct parser *s)
{
	const char *p = s->p;

	while (p < s->end && *p >= '0' && *p <= '9')
		p++;
	return (size_t)(p - s->p);
}

/* -?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]+)? */
static bool parse_number(struct parser *s)
{
	const char *start = s->p;
	size_t n;

	s->p += *s->p == '-';
	n = count_digits(s);
	if (!n || (n > 1 && *s->p == '0'))
		return parse_fail(s, start, "a bad number");
	s->p += n;
	if (next_is(s, '.')) {
		s->p++;
		n = count_digits(s);
		s->p += n;
	}
	if (n && (next_is(s, 'e') || next_is(s, 'E'))) {
		s->p++;
		s->p += next_is(s, '+') || next_is(s, '-');
		n = count_digits(s);
		s->p += n;
	}
	if (!n)
		return parse_fail(s, start, "a bad number");
	return end_token(s, add_token(s, JSON_NUMBER, start), s->p);
}

static bool parse_word(struct parser *s)
{
	static const char *const words[] = { "null", "true", "false" };

	for (int i = 0; i < 3; i++) {
		size_t n = strlen(words[i]);
		const char *start = s->p;

		if ((size_t)(s->end - s->p) < n || memcmp(s->p, words[i], n) != 0)
			continue;
		s->p += n;
		return end_token(s, add_token(s, i ? JSON_BOOL : JSON_NULL, start), s->p);
	}
	return parse_fail(s, s->p, "a value is wanted");
}

static bool parse_value(struct parser *s, unsigned int depth);

static bool parse_array(struct parser *s, unsigned int depth)
{
	size_t i = add_token(s, JSON_ARRAY, s->p++);

	skip_blanks(s);
	if (i == SIZE_MAX)
		return false;
	while (!next_is(s, ']')) {
		if (!parse_value(s, depth + 1))
			return false;
		if (next_is(s, ']'))
			break;
		if (!next_is(s, ','))
			return parse_fail(s, s->p, "',' or ']' is wanted");
		s->p++;
		skip_blanks(s);
		if (next_is(s, ']'))
			return parse_fail(s, s->p, "a value is wanted");
	}
	s->p++;
	return end_token(s, i, s->p);
}

/* A key that is in @keys already, or that no table could have, is refused. */
static bool check_key(struct parser *s, struct map *keys)
{
	const struct json_token *tok = &s->doc->tokens[s->doc->len - 1];
	const char *at = s->doc->text + tok->start - 1;
	AUTO(str) key = STR_INIT, message = STR_INIT;

	json_text(s->doc, tok, &key);
	if (key.failed)
		return error_set_errno(s->err, ENOMEM, "JSON");
	if (strlen(str_cstr(&key)) != key.len)
		return parse_fail(s, at, "a key holds \\u0000");
	if (map_has(keys, str_cstr(&key))) {
		str_appendf(&message, "'%s' is given twice", str_cstr(&key));
		return parse_fail(s, at, str_cstr(&message));
	}
	return map_set(keys, str_cstr(&key), NULL) || error_set_errno(s->err, ENOMEM, "JSON");
}

static bool parse_members(struct parser *s, struct map *keys, unsigned int depth)
{
	while (!next_is(s, '}')) {
		if (!next_is(s, '"'))
			return parse_fail(s, s->p, "a key in double quotes is wanted");
		if (!parse_string(s) || !check_key(s, keys))
			return false;
		skip_blanks(s);
		if (!next_is(s, ':'))
			return parse_fail(s, s->p, "':' is wanted");
		s->p++;
		skip_blanks(s);
		if (!parse_value(s, depth + 1))
			return false;
		if (next_is(s, '}'))
			break;
		if (!next_is(s, ','))
			return parse_fail(s, s->p, "',' or '}' is wanted");
		s->p++;
		skip_blanks(s);
		if (next_is(s, '}'))
			return parse_fail(s, s->p, "a key in double quotes is wanted");
	}
	s->p++;
	return true;
}

static bool parse_object(struct parser *s, unsigned int depth)
{
	size_t i = add_token(s, JSON_OBJECT, s->p++);
	struct map keys;
	bool ok;

	if (i == SIZE_MAX)
		return false;
	map_init(&keys);
	skip_blanks(s);
	ok = parse_members(s, &keys, depth);
	map_fini(&keys);
	return ok && end_token(s, i, s->p);
}

/* One value at s->p and the blanks behind it. */
static bool parse_value(struct parser *s, unsigned int depth)
{
	bool ok;

	if (s->p == s->end)
		return parse_fail(s, s->p, "the text ends too early");
	if (depth >= JSON_DEPTH_MAX)
		return parse_fail(s, s->p, "nested too deeply");
	if (*s->p == '{')
		ok = parse_object(s, depth);
	else if (*s->p == '[')
		ok = parse_array(s, depth);
	else if (*s->p == '"')
		ok = parse_string(s);
	else if (*s->p == '-' || (*s->p >= '0' && *s->p <= '9'))
		ok = parse_number(s);
	else
		ok = parse_word(s);
	skip_blanks(s);
	return ok;
}

bool json_parse(struct json_doc *doc, const char *text, size_t len, struct error *err)
{
	struct parser s = { doc, text, text + len, err };

	doc->text = text;
	doc->len = 0;
	if (len > JSON_TEXT_MAX)
		return error_usage(
			err, "%zu bytes of JSON; at most %u are read", len, JSON_TEXT_MAX);
	skip_blanks(&s);
	if (!parse_value(&s, 0))
		return false;
	return s.p == s.end || parse_fail(&s, s.p, "something follows the end");
}

void json_doc_fini(struct json_doc *doc)
{
	free(doc->tokens);
	*doc = (struct json_doc)JSON_DOC_INIT;
}

/* -------- reading tokens -------- */

/* The next bytes of a string at @*p: @*b and the return value; moves @*p on. 0 at @end. */
static size_t next_bytes(const char **p, const char *end, const char **b, char buf[4])
{
	const char *stop = *p < end ? memchr(*p, '\\', (size_t)(end - *p)) : end;
	uint32_t c;
	size_t n;

	*b = *p;
	if (stop != *p) {
		n = (size_t)((stop ? stop : end) - *p);
		*p += n;
		return n;
	}
	if (*p == end)
		return 0;
	n = escape(*p, end, &c);
	assert(n); /* the parser has seen it */
	*p += n;
	*b = buf;
	return utf8_encode(c, buf);
}

void json_text(const struct json_doc *doc, const struct json_token *tok, struct str *out)
{
	const char *p = doc->text + tok->start, *end = p + tok->len, *b;
	char buf[4];
	size_t n;

	if (tok->type != JSON_STRING) {
		str_append_mem(out, p, tok->len);
		return;
	}
	while ((n = next_bytes(&p, end, &b, buf)))
		str_append_mem(out, b, n);
}

bool json_text_is(const struct json_doc *doc, const struct json_token *tok, const char *text)
{
	const char *p = doc->text + tok->start, *end = p + tok->len, *b;
	size_t left = strlen(text), n;
	char buf[4];

	if (tok->type != JSON_STRING)
		return tok->len == left && memcmp(p, text, left) == 0;
	while ((n = next_bytes(&p, end, &b, buf))) {
		if (n > left || memcmp(b, text, n) != 0)
			return false;
		text += n;
		left -= n;
	}
	return left == 0;
}

const struct json_token *json_member(
	const struct json_doc *doc, const struct json_token *object, const char *key)
{
	const struct json_token *tok = object + 1, *end = doc->tokens + object->next;

	for (; tok < end; tok = doc->tokens + tok[1].next)
		if (json_text_is(doc, tok, key))
			return tok + 1;
	return NULL;
}

/* -------- writing -------- */

void json_quote(const char *text, struct str *out)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t left = strlen(text);

	str_append(out, "\"");
	while (left) {
		size_t n = utf8_len(s, left);

		if (*s == '"' || *s == '\\')
			str_appendf(out, "\\%c", *s);
		else if (*s == '\n')
			str_append(out, "\\n");
		else if (*s == '\t')
			str_append(out, "\\t");
		else if (*s < 0x20 || *s == 0x7f)
			str_appendf(out, "\\u%04x", *s);
		else if (!n)
			str_append(out, "\\ufffd");
		else
			str_append_mem(out, s, n);
		n = n ? n : 1;
		s += n;
		left -= n;
	}
	str_append(out, "\"");
}
