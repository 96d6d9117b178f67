// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * error - what the control path (start-up, options, QMP, migration set-up) says when it fails.
 *
 * A struct error is a value on the caller's stack, passed as the last parameter, never NULL. The
 * function returns bool (true: success) or a pointer (NULL: failure) and sets the error only on
 * failure. The message names the thing and the remedy: `disk 'data': cannot open '/x': No such
 * file`. Only cli and control print or send it. The data path does not use this: it returns 0 or
 * a negative errno.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>

#define ERROR_MSG_MAX 512

enum error_kind {
	ERROR_NONE = 0,
	ERROR_FAILED,	 /* the host side failed: exit status 1, QMP GenericError */
	ERROR_USAGE,	 /* wrong option or value: exit status 2, QMP GenericError */
	ERROR_NOT_FOUND, /* a named thing does not exist: QMP DeviceNotFound, exit status 2 */
};

struct error {
	enum error_kind kind;
	char msg[ERROR_MSG_MAX]; /* NUL-terminated, no trailing newline or full stop */
};

#define ERROR_INIT                 \
	{                          \
		.kind = ERROR_NONE \
	}

#define MUST_USE     __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Set @err (an error already in it is replaced). Always returns false, so that a caller can write
 * `return error_set(err, ...)`. Too long a message is cut and ends in "...". */
bool error_set(struct error *err, const char *fmt, ...) PRINTF(2, 3);
bool error_usage(struct error *err, const char *fmt, ...) PRINTF(2, 3);
bool error_not_found(struct error *err, const char *fmt, ...) PRINTF(2, 3);
/* As error_set, with ": " and strerror(@errnum) appended; @errnum may be negative (-errno). */
bool error_set_errno(struct error *err, int errnum, const char *fmt, ...) PRINTF(3, 4);
/* Put "PREFIX: " before the message that is in @err; the kind stays. Returns false. */
bool error_prefix(struct error *err, const char *fmt, ...) PRINTF(2, 3);

#endif
