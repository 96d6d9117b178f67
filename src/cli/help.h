// SPDX-License-Identifier: GPL-2.0-or-later
/* help - what `--help`, `--device help`, `--device TYPE,help` and `--disk help` print, all of it
 * from field tables. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include <stdbool.h>
#include "cli/vm_config.h"

void help_run(void);
/* An option's value was `help`: print that; *@status is the exit status. */
bool help_asked(const struct vm_config *c, int *status);

#endif
