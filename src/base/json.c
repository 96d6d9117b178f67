// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/json.h"

/* Length of the well-formed UTF-8 sequence at @s (1 to 4 bytes), 0 when it is not one. Refuses
 * overlong forms, surrogates and what is beyond U+10FFFF. */
static size_t utf8_len(const unsigned char *s)
{
	uint32_t c;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	c = s[0] & (0x7f >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80) /* the NUL at the end, too */
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) || c > 0x10ffff)
		return 0;
	return c >= 0xd800 && c <= 0xdfff ? 0 : n;
}

void json_quote(const char *text, struct str *out)
{
	const unsigned char *s = (const unsigned char *)text;

	str_append(out, "\"");
	while (*s) {
		size_t n = utf8_len(s);

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
		s += n ? n : 1;
	}
	str_append(out, "\"");
}
