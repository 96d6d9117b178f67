// SPDX-License-Identifier: GPL-2.0-or-later
/* remote - a running VM as its other commands see it: found by name, asked through its own sockets. */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/error.h"
#include "base/str.h"

struct remote {
	int fd; /* owned; -1 */
	pid_t pid;
	char *dir; /* owned */
	struct str in;
	int timeout_ms; /* for each reply */
	int send_fd;	/* borrowed: goes with the next request; -1: none */
};

#define REMOTE_INIT                           \
	{                                     \
		.fd = -1, .timeout_ms = 10000, .send_fd = -1 \
	}

/* Connect to VM @name's socket @file (RUNDIR_CONTROL, RUNDIR_MONITOR) and negotiate. ERROR_NOT_FOUND:
 * there is no such VM. @r is REMOTE_INIT; remote_fini() it also on failure. */
bool remote_open(struct remote *r, const char *name, const char *file, struct error *err) MUST_USE;
/* Only find it: pid and directory. */
bool remote_find(struct remote *r, const char *name, struct error *err) MUST_USE;
void remote_fini(struct remote *r);
DEFINE_AUTO(remote, struct remote, remote_fini)
/* Send a line, and wait for the reply's line (events are passed to @event, which may be NULL). */
bool remote_ask(struct remote *r, const char *request, struct str *reply,
	void (*event)(const char *line), struct error *err) MUST_USE;
/* One command without arguments; false with the error that it answers. @result (may be NULL) gets the
 * JSON of its result. */
bool remote_command(
	struct remote *r, const char *command, struct str *result, struct error *err) MUST_USE;
/* Is @line an event; the result of a reply, or its error. */
bool remote_is_event(const char *line);
bool remote_result(const struct str *reply, struct str *result, struct error *err) MUST_USE;
/* Take the next whole line out of what has been received; false: there is none yet. */
bool remote_line(struct remote *r, struct str *line);
/* Receive more; false and @err: the VM has gone, or was silent for the time. */
bool remote_receive(struct remote *r, struct error *err) MUST_USE;

#endif
