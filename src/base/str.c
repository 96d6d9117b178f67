// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/str.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "base/ovf.h"

void str_init(struct str *s)
{
	*s = (struct str)STR_INIT;
}

void str_fini(struct str *s)
{
	free(s->s);
	str_init(s);
}

void str_clear(struct str *s)
{
	s->len = 0;
	s->failed = false;
	if (s->s)
		s->s[0] = '\0';
}

/* Make room for @n more bytes and the NUL. */
static bool str_reserve(struct str *s, size_t n)
{
	size_t need, want;
	char *p;

	if (s->failed)
		return false;
	if (ovf_add(s->len, n, &need) || ovf_add(need, (size_t)1, &need)) {
		s->failed = true;
		return false;
	}
	if (need <= s->cap)
		return true;
	if (ovf_mul(s->cap, (size_t)2, &want) || want < need)
		want = need;
	if (want < 32)
		want = 32;
	p = realloc(s->s, want);
	if (!p) {
		s->failed = true;
		return false;
	}
	s->s = p;
	s->cap = want;
	return true;
}

void str_append_mem(struct str *s, const void *p, size_t n)
{
	if (!str_reserve(s, n))
		return;
	if (n)
		memcpy(s->s + s->len, p, n);
	s->len += n;
	s->s[s->len] = '\0';
}

void str_append(struct str *s, const char *text)
{
	str_append_mem(s, text, strlen(text));
}

void str_vappendf(struct str *s, const char *fmt, va_list ap)
{
	char small[128];
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	if (n < 0) {
		s->failed = true;
	} else if ((size_t)n < sizeof(small)) {
		str_append_mem(s, small, (size_t)n);
	} else if (str_reserve(s, (size_t)n)) {
		vsnprintf(s->s + s->len, (size_t)n + 1, fmt, again);
		s->len += (size_t)n;
	}
	va_end(again);
}

void str_appendf(struct str *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	str_vappendf(s, fmt, ap);
	va_end(ap);
}

const char *str_cstr(struct str *s)
{
	return s->s ? s->s : "";
}

char *str_take(struct str *s)
{
	char *p = NULL;

	if (!s->failed)
		str_append_mem(s, "", 0); /* an empty text is "", not NULL */
	if (!s->failed)
		p = TAKE(s->s);
	str_fini(s);
	return p;
}

char *str_printf(const char *fmt, ...)
{
	struct str s = STR_INIT;
	va_list ap;

	va_start(ap, fmt);
	str_vappendf(&s, fmt, ap);
	va_end(ap);
	return str_take(&s);
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The digits at @text; returns what follows them, NULL when there are none or too many. Own code
 * because strtoull takes blanks, signs and octal. */
static const char *parse_digits(const char *text, uint64_t *out)
{
	unsigned int base = 10;
	const char *start;
	uint64_t v = 0;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	}
	for (start = text;; text++) {
		int d = digit_value(*text);

		if (d < 0 || (unsigned int)d >= base)
			break;
		if (ovf_mul(v, (uint64_t)base, &v) || ovf_add(v, (uint64_t)d, &v))
			return NULL;
	}
	if (text == start)
		return NULL;
	*out = v;
	return text;
}

bool str_parse_u64(const char *text, uint64_t *out)
{
	uint64_t v;
	const char *end = parse_digits(text, &v);

	if (!end || *end)
		return false;
	*out = v;
	return true;
}

static const char size_suffixes[] = "KMGTP";

bool str_parse_size(const char *text, uint64_t *out)
{
	uint64_t v;
	const char *end = parse_digits(text, &v);

	if (!end)
		return false;
	if (*end) {
		const char *suffix = strchr(size_suffixes, toupper((unsigned char)*end));
		unsigned int shift;

		if (!suffix || end[1])
			return false;
		shift = 10 * (unsigned int)(suffix - size_suffixes + 1);
		if (v > UINT64_MAX >> shift)
			return false;
		v <<= shift;
	}
	*out = v;
	return true;
}

char *str_format_size(uint64_t size, char *buf, size_t n)
{
	unsigned int i = 0;

	while (size && size % 1024 == 0 && i < sizeof(size_suffixes) - 1) {
		size /= 1024;
		i++;
	}
	if (i)
		snprintf(buf, n, "%llu%c", (unsigned long long)size, size_suffixes[i - 1]);
	else
		snprintf(buf, n, "%llu", (unsigned long long)size);
	return buf;
}

bool str_has_prefix(const char *text, const char *prefix, const char **rest)
{
	size_t n = strlen(prefix);

	if (strncmp(text, prefix, n) != 0)
		return false;
	if (rest)
		*rest = text + n;
	return true;
}
