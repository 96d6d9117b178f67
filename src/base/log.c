// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"

#define LOG_LINE_MAX 1024

#define RATE_BURST  5
#define RATE_GAP_NS (10 * NS_PER_SEC)

_Atomic int log_level = LOG_WARN;

static _Atomic int log_fd = STDERR_FILENO;

static const char *const level_names[] = { "err", "warn", "info", "debug" };

bool log_set_level(const char *spec, struct error *err)
{
	for (int i = 0; i < 4; i++) {
		if (strcmp(spec, level_names[i]) == 0) {
			atomic_store_explicit(&log_level, i, memory_order_relaxed);
			return true;
		}
	}
	return error_usage(err, "unknown log level '%s'; valid: err, warn, info, debug", spec);
}

bool log_set_file(const char *path, struct error *err)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	int old = atomic_load(&log_fd);

	if (fd < 0)
		return error_set_errno(err, errno, "cannot open log file '%s'", path);
	if (old == STDERR_FILENO) {
		atomic_store(&log_fd, fd);
		return true;
	}
	/* Another thread may be writing to the old number: replace what is behind it. */
	if (dup3(fd, old, O_CLOEXEC) < 0) {
		error_set_errno(err, errno, "cannot switch to log file '%s'", path);
		close(fd);
		return false;
	}
	close(fd);
	return true;
}

/* Wall time of day in UTC, for lines that somebody will hold against other logs. */
static size_t log_head(char *line, size_t size, enum log_level level, const char *mod)
{
	long long us;
	int n;

	if (level < LOG_INFO) {
		n = snprintf(line, size, "lodge: %s: ", mod);
	} else {
		us = clock_wall_ns() / 1000 % (86400ll * 1000000);
		n = snprintf(line, size,
			"lodge: %02lld:%02lld:%02lld.%06lld %s: ", us / 3600000000ll,
			us / 60000000 % 60, us / 1000000 % 60, us % 1000000, mod);
	}
	return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

/* A control character: text may come from a guest or a file and must neither end the line nor
 * reach the terminal as an escape sequence. C1 controls are 0xc2 0x80..0x9f in UTF-8. */
static bool is_control(const char *p)
{
	unsigned char c = (unsigned char)p[0], next = (unsigned char)p[1];

	return c < 0x20 || c == 0x7f || (c == 0xc2 && next >= 0x80 && next <= 0x9f);
}

size_t log_escape(char *line, size_t len, size_t size, const char *text)
{
	for (; *text; text++) {
		if (len + 5 > size)
			break;
		if (is_control(text))
			len += (size_t)snprintf(line + len, 5, "\\x%02x", (unsigned char)*text);
		else
			line[len++] = *text;
	}
	if (*text)
		memcpy(line + len - 3, "...", 3);
	return len;
}

void log_write(enum log_level level, const char *mod, const char *fmt, ...)
{
	char line[LOG_LINE_MAX], text[LOG_LINE_MAX];
	int saved_errno = errno;
	size_t len;
	va_list ap;

	len = log_head(line, LOG_LINE_MAX / 2, level, mod);
	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		snprintf(text, sizeof(text), "(cannot format '%s')", fmt);
	va_end(ap);
	len = log_escape(line, len, sizeof(line) - 1, text);
	line[len++] = '\n';
	/* Nowhere to tell a failure; a signal must not lose the line. */
	while (write(atomic_load_explicit(&log_fd, memory_order_relaxed), line, len) < 0 &&
		errno == EINTR)
		;
	errno = saved_errno;
}

/*
 * Token bucket in one number (the "generic cell rate algorithm"): next_ns is when the bucket will be
 * full again. Each line moves it on by RATE_GAP_NS; a line passes while it is less than RATE_BURST
 * gaps ahead.
 */
bool log_ratelimit_pass_at(struct log_ratelimit *rl, int64_t now_ns, uint32_t *dropped)
{
	int64_t old = atomic_load_explicit(&rl->next_ns, memory_order_relaxed), full;

	do {
		full = old > now_ns ? old : now_ns;
		if (full - now_ns > (RATE_BURST - 1) * RATE_GAP_NS) {
			atomic_fetch_add_explicit(&rl->dropped, 1, memory_order_relaxed);
			return false;
		}
	} while (!atomic_compare_exchange_weak_explicit(&rl->next_ns, &old, full + RATE_GAP_NS,
		memory_order_relaxed, memory_order_relaxed));
	*dropped = atomic_exchange_explicit(&rl->dropped, 0, memory_order_relaxed);
	return true;
}

bool log_ratelimit_pass(struct log_ratelimit *rl, uint32_t *dropped)
{
	return log_ratelimit_pass_at(rl, clock_mono_ns(), dropped);
}
