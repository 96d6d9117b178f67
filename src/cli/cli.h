// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cli - the subcommands of `lodge`. Only this module (and control) prints. Each returns the
 * process's exit status as the command-line contract says: 0, 1 host side failed, 2 wrong usage,
 * and what `run` adds.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/error.h"

enum exit_status {
	EXIT_STATUS_OK = 0,
	EXIT_STATUS_FAILED = 1,
	EXIT_STATUS_USAGE = 2,
	EXIT_STATUS_CRASH = 3
};

struct command {
	const char *name, *args, *doc;
	int (*run)(int argc, char **argv); /* argv[0] is the subcommand's name */
};

extern const struct command run_command, info_command;
extern const struct command ps_command, status_command, stop_command, kill_command, reset_command,
	pause_command, resume_command, console_command, qmp_command_line, save_command;

/* Print `lodge: MESSAGE` to stderr; returns the exit status for the error's kind. */
int cli_fail(const struct error *err);

#endif
