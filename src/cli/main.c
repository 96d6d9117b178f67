// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "base/types.h"
#include "cli/cli.h"
#include "config.h"

static const struct command *const commands[] = { &run_command, &ps_command, &status_command,
	&stop_command, &kill_command, &reset_command, &pause_command, &resume_command,
	&save_command, &console_command, &qmp_command_line, &info_command };

int cli_fail(const struct error *err)
{
	char line[4 * ERROR_MSG_MAX];

	/* It may quote a saved state, an image or a VM. */
	fprintf(stderr, "lodge: %.*s\n", (int)log_escape(line, 0, sizeof(line), err->msg), line);
	return err->kind == ERROR_FAILED ? EXIT_STATUS_FAILED : EXIT_STATUS_USAGE;
}

static void usage(FILE *f)
{
	fprintf(f, "Lodge %s - virtual machines\n\n", LODGE_VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(f, "  lodge %-7s %-30s %s\n", commands[i]->name, commands[i]->args,
			commands[i]->doc);
	fprintf(f, "\nlodge COMMAND --help tells more.\n");
}

/* Whoever starts us may have closed the standard descriptors. What we open would get their numbers,
 * and our messages and the guest's console would be written into a disk. */
static bool hold_standard_fds(void)
{
	while (fcntl(STDIN_FILENO, F_GETFD) < 0 || fcntl(STDOUT_FILENO, F_GETFD) < 0 ||
		fcntl(STDERR_FILENO, F_GETFD) < 0) {
		int fd = open("/dev/null", O_RDWR);

		if (fd < 0)
			return false;
		if (fd > STDERR_FILENO) {
			close(fd);
			return false; /* one of them is closed all the same */
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	if (!hold_standard_fds())
		return EXIT_STATUS_FAILED;
	if (argc < 2) {
		usage(stderr);
		return EXIT_STATUS_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return EXIT_STATUS_OK;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("lodge %s\n", LODGE_VERSION);
		return EXIT_STATUS_OK;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(argv[1], commands[i]->name))
			return commands[i]->run(argc - 1, argv + 1);
	}
	fprintf(stderr, "lodge: unknown command '%s'; valid:", argv[1]);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(stderr, " %s", commands[i]->name);
	fprintf(stderr, " (lodge --help)\n");
	return EXIT_STATUS_USAGE;
}
