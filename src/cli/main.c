// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>
#include "base/types.h"
#include "cli/cli.h"
#include "config.h"

static const struct command *const commands[] = { &run_command, &info_command };

int cli_fail(const struct error *err)
{
	fprintf(stderr, "lodge: %s\n", err->msg);
	return err->kind == ERROR_FAILED ? EXIT_STATUS_FAILED : EXIT_STATUS_USAGE;
}

static void usage(FILE *f)
{
	fprintf(f, "Lodge %s - virtual machines\n\n", LODGE_VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(f, "  lodge %s %-24s %s\n", commands[i]->name, commands[i]->args,
			commands[i]->doc);
	fprintf(f, "\nlodge COMMAND --help tells more.\n");
}

int main(int argc, char **argv)
{
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
