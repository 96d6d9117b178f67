// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Copy @text into the error, cut with "..." when it does not fit. */
static void error_store(struct error *err, const char *text, bool cut)
{
	size_t len = strnlen(text, ERROR_MSG_MAX);

	if (len >= ERROR_MSG_MAX) {
		len = ERROR_MSG_MAX - 1;
		cut = true;
	}
	memcpy(err->msg, text, len);
	err->msg[len] = '\0';
	if (cut) {
		if (len > ERROR_MSG_MAX - 4)
			len = ERROR_MSG_MAX - 4;
		memcpy(err->msg + len, "...", 4);
	}
}

/* The arguments may point into err->msg, hence the copy on the stack. */
PRINTF(3, 0)
static void error_vset(struct error *err, enum error_kind kind, const char *fmt, va_list ap)
{
	char text[ERROR_MSG_MAX];
	int n = vsnprintf(text, sizeof(text), fmt, ap);

	err->kind = kind;
	if (n < 0)
		error_store(err, fmt, true);
	else
		error_store(err, text, (size_t)n >= sizeof(text));
}

bool error_set(struct error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	error_vset(err, ERROR_FAILED, fmt, ap);
	va_end(ap);
	return false;
}

bool error_usage(struct error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	error_vset(err, ERROR_USAGE, fmt, ap);
	va_end(ap);
	return false;
}

bool error_not_found(struct error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	error_vset(err, ERROR_NOT_FOUND, fmt, ap);
	va_end(ap);
	return false;
}

/* Put ": @tail" behind the message. When there is no room the head is cut: the reason at the end
 * says more than the rest of a long path. */
static void error_append(struct error *err, const char *tail)
{
	size_t len = strlen(err->msg), n = strnlen(tail, ERROR_MSG_MAX / 2);

	if (len + 2 + n >= ERROR_MSG_MAX) {
		len = ERROR_MSG_MAX - 1 - n - 2 - 3;
		memcpy(err->msg + len, "...", 3);
		len += 3;
	}
	memcpy(err->msg + len, ": ", 2);
	memcpy(err->msg + len + 2, tail, n);
	err->msg[len + 2 + n] = '\0';
}

bool error_set_errno(struct error *err, int errnum, const char *fmt, ...)
{
	char buf[128];
	va_list ap;

	va_start(ap, fmt);
	error_vset(err, ERROR_FAILED, fmt, ap);
	va_end(ap);
	/* strerror_r's GNU form: returns the text, in @buf or constant. */
	error_append(err, strerror_r(abs(errnum), buf, sizeof(buf)));
	return false;
}

bool error_prefix(struct error *err, const char *fmt, ...)
{
	char text[2 * ERROR_MSG_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, ERROR_MSG_MAX, fmt, ap);
	va_end(ap);
	if (n < 0 || n >= ERROR_MSG_MAX)
		n = n < 0 ? 0 : ERROR_MSG_MAX - 1;
	snprintf(text + n, sizeof(text) - (size_t)n, ": %s", err->msg);
	error_store(err, text, false);
	return false;
}
