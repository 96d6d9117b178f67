// SPDX-License-Identifier: GPL-2.0-or-later
/* query-commands - the names of all commands. */
#include <stdlib.h>
#include <string.h>
#include "control/qmp.h"

struct command {
	char *name;
};

struct ret {
	struct {
		struct command *items;
		size_t len;
	} commands;
};

static const struct field command_fields[] = {
	FIELD_STR(struct command, name, "name", .flags = FF_GIVEN, .doc = "its name"),
};
static const struct field_table command = FIELD_TABLE(
	"CommandInfo", struct command, command_fields);

static const struct field fields[] = {
	FIELD_LIST(struct ret, commands, "commands", FT_STRUCT, 4096, .sub = &command),
};
static const struct field_table ret = FIELD_TABLE("query-commands", struct ret, fields);

static bool run(struct qmp_call *c, struct error *err)
{
	for (const struct qmp_command *const *t = qmp_command_table; *t; t++) {
		struct command *item = fields_list_add(&ret, c->ret, "commands", err);

		if (!item || !qmp_set_text(&item->name, (*t)->name, err))
			return false;
	}
	return true;
}

const struct qmp_command query_commands_cmd = {
	.name = "query-commands",
	.doc = "all commands",
	.ret = &ret,
	.flags = QMP_QUERY | QMP_VALUE,
	.run = run,
};
