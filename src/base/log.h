// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * log - Lodge's own words. Lines go to stderr (or a file) as `lodge: MOD: text`; info and debug
 * carry the time (UTC) as well. stdout belongs to the guest. Any thread may call; a line is one write(2).
 * Library modules log only debug; what a guest can trigger goes through log_guest(), which is
 * rate-limited for each call site so that a hostile guest cannot fill a disk. Control characters
 * in a line are written as \xNN, so that no guest's or file's text reaches the terminal as a command.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>
#include "base/error.h"

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* The current level; read by the macros without a lock. Default LOG_WARN. */
extern _Atomic int log_level;

/* @spec: "err" | "warn" | "info" | "debug" */
bool log_set_level(const char *spec, struct error *err) MUST_USE;
/* Append to @path instead of stderr. */
bool log_set_file(const char *path, struct error *err) MUST_USE;

/* Append @text to @line, which is @len bytes long, control characters as \xNN; what does not fit
 * ends in "...". Returns the new length, below @size; there is no NUL. */
size_t log_escape(char *line, size_t len, size_t size, const char *text);

void log_write(enum log_level level, const char *mod, const char *fmt, ...) PRINTF(3, 4);

#define log_at(level, mod, ...)                                                             \
	do {                                                                                \
		if ((int)(level) <= atomic_load_explicit(&log_level, memory_order_relaxed)) \
			log_write(level, mod, __VA_ARGS__);                                 \
	} while (0)
#define log_err(mod, ...)   log_at(LOG_ERR, mod, __VA_ARGS__)
#define log_warn(mod, ...)  log_at(LOG_WARN, mod, __VA_ARGS__)
#define log_info(mod, ...)  log_at(LOG_INFO, mod, __VA_ARGS__)
#define log_debug(mod, ...) log_at(LOG_DEBUG, mod, __VA_ARGS__)

/* A call site's token bucket: 5 lines at once, then one in 10 s; the next line says how many were
 * held back. */
struct log_ratelimit {
	_Atomic int64_t next_ns;
	_Atomic uint32_t dropped;
};
/* May a line be written now? Sets *@dropped (lines held back since the last) when it may. */
bool log_ratelimit_pass(struct log_ratelimit *rl, uint32_t *dropped);
/* The same at a given CLOCK_MONOTONIC time, for tests. */
bool log_ratelimit_pass_at(struct log_ratelimit *rl, int64_t now_ns, uint32_t *dropped);

#define log_guest(mod, ...)                                                                       \
	do {                                                                                      \
		static struct log_ratelimit rl_;                                                  \
		uint32_t dropped_ = 0;                                                            \
		if (LOG_WARN <= atomic_load_explicit(&log_level, memory_order_relaxed) &&         \
			log_ratelimit_pass(&rl_, &dropped_)) {                                    \
			if (dropped_)                                                             \
				log_write(LOG_WARN, mod, "%u like messages held back", dropped_); \
			log_write(LOG_WARN, mod, __VA_ARGS__);                                    \
		}                                                                                 \
	} while (0)

#endif
