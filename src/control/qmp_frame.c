// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qmp_frame - finds the end of each JSON value in a stream. Tokens are recognised and brackets are
 * counted; whether it is JSON the parser says, on the whole text. Every byte is seen once, so a peer
 * that sends a request byte by byte costs no more than one that sends it whole.
 *
 * After a byte that no token can have, what follows is skipped up to where a token may begin again, by
 * the rule of QEMU's qmp-spec (2.6): to a structural character, or a control character but a tab, or
 * 0xfe or 0xff, which clients send on purpose. So a client that goes on after its own mistake gets as
 * many errors from here as from there. Where a limit is passed the rest of the line is skipped.
 */
#include "control/qmp_int.h"

#include <string.h>

bool frame_empty(const struct frame *f)
{
	return !f->text.len && f->lex != LEX_SKIP;
}

void frame_reset(struct frame *f)
{
	struct str text = f->text;

	str_clear(&text);
	text.failed = false;
	*f = (struct frame){ .text = text };
}

void frame_fini(struct frame *f)
{
	str_fini(&f->text);
	frame_reset(f);
}

static bool is_structural(char c)
{
	return c && strchr("{}[]:,", c);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static enum frame_result bad(struct frame *f, enum frame_lex then, const char *what)
{
	frame_reset(f);
	f->what = what;
	f->lex = then;
	return FRAME_BAD;
}

/* A token has ended; with it the value, unless it is inside another. Brackets that do not match end
 * it, too: the parser will say so. */
static enum frame_result token_end(struct frame *f)
{
	f->lex = LEX_START;
	if (f->braces + f->brackets > (int)JSON_DEPTH_MAX)
		return bad(f, LEX_SKIP, "nested too deeply");
	if ((f->braces > 0 || f->brackets > 0) && f->braces >= 0 && f->brackets >= 0)
		return FRAME_MORE;
	return f->text.failed ? bad(f, LEX_START, "out of memory") : FRAME_WHOLE;
}

/* A byte inside a string. What QEMU takes beyond JSON (single quotes, \') becomes JSON's. */
static enum frame_result in_string(struct frame *f, char c)
{
	if ((unsigned char)c < 0x20 || (unsigned char)c >= 0xfe)
		return bad(f, LEX_RECOVER, "a stray byte in a string");
	if (f->lex == LEX_ESCAPE) {
		f->lex = LEX_STRING;
		if (c != '\'')
			str_append_char(&f->text, '\\');
		str_append_char(&f->text, c);
		return FRAME_MORE;
	}
	if (c == '\\') {
		f->lex = LEX_ESCAPE; /* appended with what follows */
		return FRAME_MORE;
	}
	if (c == f->quote) {
		str_append_char(&f->text, '"');
		return token_end(f);
	}
	if (c == '"')
		str_append_char(&f->text, '\\');
	str_append_char(&f->text, c);
	return FRAME_MORE;
}

/* Where @c leads inside a number or a word; LEX_START: it is the token's end, LEX_RECOVER: a mistake. */
static enum frame_lex scalar_next(enum frame_lex lex, char c)
{
	bool digit = is_digit(c), e = c == 'e' || c == 'E';

	switch (lex) {
	case LEX_SIGN:
		return c == '0' ? LEX_ZERO : digit ? LEX_DIGITS : LEX_RECOVER;
	case LEX_ZERO:
		return digit ? LEX_RECOVER : c == '.' ? LEX_POINT : LEX_START;
	case LEX_DIGITS:
		return digit ? lex : c == '.' ? LEX_POINT : e ? LEX_E : LEX_START;
	case LEX_POINT:
		return digit ? LEX_FRACTION : LEX_RECOVER;
	case LEX_FRACTION:
		return digit ? lex : e ? LEX_E : LEX_START;
	case LEX_E:
		return digit ? LEX_POWER : c == '+' || c == '-' ? LEX_E_SIGN : LEX_RECOVER;
	case LEX_E_SIGN:
		return digit ? LEX_POWER : LEX_RECOVER;
	case LEX_POWER:
		return digit ? lex : LEX_START;
	default: /* LEX_WORD */
		return c >= 'a' && c <= 'z' ? lex : LEX_START;
	}
}

/* *@again: the byte is not the number's or the word's. */
static enum frame_result in_scalar(struct frame *f, char c, bool *again)
{
	enum frame_lex next = scalar_next(f->lex, c);

	if (next == LEX_RECOVER)
		return bad(f, LEX_RECOVER, "a stray byte");
	if (next == LEX_START) {
		*again = true;
		return token_end(f);
	}
	f->lex = next;
	str_append_char(&f->text, c);
	return FRAME_MORE;
}

/* A byte where a token may begin. */
static enum frame_result outside(struct frame *f, char c)
{
	if (is_blank(c)) {
		if (f->text.len)
			str_append_char(&f->text, ' ');
		return FRAME_MORE;
	}
	if (is_structural(c)) {
		f->braces += (c == '{') - (c == '}');
		f->brackets += (c == '[') - (c == ']');
		str_append_char(&f->text, c);
		return token_end(f);
	}
	if (c == '"' || c == '\'') {
		f->quote = c;
		f->lex = LEX_STRING;
		str_append_char(&f->text, '"');
		return FRAME_MORE;
	}
	if (c == '-')
		f->lex = LEX_SIGN;
	else if (is_digit(c))
		f->lex = c == '0' ? LEX_ZERO : LEX_DIGITS;
	else if (c >= 'a' && c <= 'z')
		f->lex = LEX_WORD;
	else
		return bad(f, LEX_RECOVER, "a stray byte");
	str_append_char(&f->text, c);
	return FRAME_MORE;
}

static enum frame_result take(struct frame *f, char c, bool *again)
{
	switch (f->lex) {
	case LEX_SKIP:
		if (c == '\n')
			f->lex = LEX_START;
		return FRAME_MORE;
	case LEX_RECOVER:
		*again = is_structural(c) || ((unsigned char)c < 0x20 && c != '\t') ||
			 (unsigned char)c >= 0xfe;
		if (*again)
			f->lex = LEX_START;
		return FRAME_MORE;
	case LEX_START:
		return outside(f, c);
	case LEX_STRING:
	case LEX_ESCAPE:
		return in_string(f, c);
	default:
		return in_scalar(f, c, again);
	}
}

size_t frame_take(struct frame *f, const char *p, size_t n, enum frame_result *out)
{
	size_t i = 0;

	*out = FRAME_MORE;
	if (f->text.len == 0)
		f->text.failed = false;
	while (i < n && *out == FRAME_MORE) {
		bool again = false;

		*out = take(f, p[i], &again);
		i += !again;
		if (*out == FRAME_MORE && f->text.len > JSON_TEXT_MAX)
			*out = bad(f, LEX_SKIP, "the request is longer than 1 MiB");
	}
	return i;
}
